qn_test(test_query_ha3 SOURCES test_query_ha3.c)
qn_test(test_query_dsl SOURCES test_query_dsl.c)
qn_test(test_query_exec SOURCES test_query_exec.c LIBS m)
qn_test(test_query_golden SOURCES test_query_golden.c LABELS eval)
