set(prop_engine_sources prop_engine.c prop_engine_naive.c prop_engine_query.c ../fault/folders.c)
qn_test(prop_engine SOURCES ${prop_engine_sources})
add_test(NAME prop_engine_many COMMAND prop_engine 1 600)
set_tests_properties(prop_engine_many PROPERTIES LABELS full TIMEOUT 900)
