qn_test(test_io SOURCES test_io.c test_io_json.c test_io_file.c test_io_blockfile.c test_io_wal.c)
