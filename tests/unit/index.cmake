qn_test(test_index SOURCES test_index.c test_index_bm25.c test_index_schema.c
  test_index_postings.c test_index_lists.c test_index_column.c
  test_index_column_match.c test_index_overlay.c test_index_sources.c test_index_segment.c test_index_merge.c)
