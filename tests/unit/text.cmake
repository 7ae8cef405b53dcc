qn_test(test_text SOURCES test_text.c)
