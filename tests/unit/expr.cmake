qn_test(test_expr SOURCES test_expr.c test_expr_parse.c test_expr_strict.c test_expr_calls.c
  test_expr_math.c expr_test.c)
qn_test(test_cava SOURCES test_cava.c)
