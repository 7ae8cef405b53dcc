qn_test(test_query_ha3 SOURCES test_query_ha3.c)
