qn_test(test_features SOURCES test_features.c)
