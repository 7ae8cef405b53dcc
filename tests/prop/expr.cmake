qn_test(prop_expr SOURCES prop_expr.c prop_expr_gen.c)
