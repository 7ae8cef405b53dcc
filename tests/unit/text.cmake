qn_test(test_text SOURCES test_text.c)
qn_test(test_text_golden SOURCES test_text_golden.c)
