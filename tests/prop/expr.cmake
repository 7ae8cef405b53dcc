qn_test(prop_expr SOURCES prop_expr.c prop_expr_gen.c)
# Reports itself skipped where no LLVM was found.
qn_test(prop_expr_code SOURCES prop_expr_code.c prop_expr_gen.c LABELS full ARGS 20240607 1000)
add_test(NAME soak_expr_code COMMAND prop_expr_code 1 100000)
set_tests_properties(soak_expr_code PROPERTIES LABELS soak SKIP_RETURN_CODE 77 TIMEOUT 7200)
if(TARGET quern_llvm)
  add_dependencies(prop_expr_code quern_llvm)
  set_tests_properties(prop_expr_code soak_expr_code PROPERTIES
    ENVIRONMENT "QUERN_LLVM=$<TARGET_FILE:quern_llvm>")
endif()
