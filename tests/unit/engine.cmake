qn_test(test_engine_schema SOURCES test_engine_schema.c)
qn_test(test_engine SOURCES test_engine.c test_engine_tables.c test_engine_search.c test_engine_sorting.c
  test_engine_threads.c test_engine_writes.c test_engine_attributes.c ../fault/folders.c test_engine_backup.c test_engine_damage.c)
qn_test(test_engine_eval SOURCES test_engine_eval.c LABELS eval)
qn_test(test_engine_merge SOURCES test_engine_merge.c)
qn_test(test_control SOURCES test_control.c)
qn_test(test_analysis SOURCES test_analysis.c)
qn_test(test_two_stage SOURCES test_two_stage.c)
qn_test(test_engine_plugins SOURCES test_engine_plugins.c)
