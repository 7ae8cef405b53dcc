qn_test(test_text SOURCES test_text.c)
qn_test(test_text_golden SOURCES test_text_golden.c)
qn_test(test_text_chinese SOURCES test_text_chinese.c)
qn_test(test_text_wordpiece SOURCES test_text_wordpiece.c)
qn_test(test_text_tokenizers SOURCES test_text_tokenizers.c)
qn_test(test_synonyms SOURCES test_synonyms.c)
qn_test(test_spelling SOURCES test_spelling.c)
qn_test(test_chunk SOURCES test_chunk.c)
qn_test(test_text_eval SOURCES test_text_eval.c LABELS eval LIBS PkgConfig::ZLIB)
qn_test(test_spelling_eval SOURCES test_spelling_eval.c LABELS eval)

# Not a test: what the comparisons in tests/oracle run.
add_executable(text_dump ../oracle/text_dump.c)
target_link_libraries(text_dump PRIVATE quern_static)
