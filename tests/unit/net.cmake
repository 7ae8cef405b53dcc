qn_test(test_net SOURCES test_net.c test_net_http.c LIBS PkgConfig::ZLIB)
