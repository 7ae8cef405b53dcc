qn_test(test_kernels SOURCES test_kernels.c)
qn_test(test_num_gemm SOURCES test_num_gemm.c)
