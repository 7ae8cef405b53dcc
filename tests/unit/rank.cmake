qn_test(test_rank_metrics SOURCES test_rank_metrics.c)
qn_test(test_rank_functions SOURCES test_rank_functions.c)
qn_test(test_aggregate SOURCES test_aggregate.c)
qn_test(test_distinct SOURCES test_distinct.c)
