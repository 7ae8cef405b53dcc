qn_test(test_expr SOURCES test_expr.c test_expr_parse.c test_expr_strict.c test_expr_calls.c
  test_expr_math.c test_expr_code.c expr_test.c)
qn_test(test_cava SOURCES test_cava.c)
qn_test(test_cava_hostile SOURCES test_cava_hostile.c)
if(TARGET quern_llvm)
  add_dependencies(test_expr quern_llvm)
  set_tests_properties(test_expr PROPERTIES ENVIRONMENT "QUERN_LLVM=$<TARGET_FILE:quern_llvm>")
endif()
