qn_test(test_server SOURCES test_server.c test_server_parts.c)
