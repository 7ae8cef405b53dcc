qn_test(test_engine_schema SOURCES test_engine_schema.c)
