qn_test(test_vec SOURCES test_vec.c test_vec_flat.c test_vec_recall.c)
