qn_test(test_rank_metrics SOURCES test_rank_metrics.c)
