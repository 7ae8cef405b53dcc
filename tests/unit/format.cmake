qn_test(test_golden_format SOURCES test_golden_format.c ../fault/folders.c)
