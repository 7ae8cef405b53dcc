/* SPDX-License-Identifier: Apache-2.0 */
#include "test_index.h"

qn_status t_try_image(qn_alloc *a, qn_segment_builder *b, qn_segment **out,
                      qn_error *err)
{
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    uint8_t *bytes = NULL;
    size_t n = 0;
    *out = NULL;
    qn_status st = qn_blockfile_writer_create(a, NULL, QN_SEGMENT_MAGIC,
                                              QN_SEGMENT_VERSION, &w, err);
    if (st == QN_OK) st = qn_segment_builder_write(b, w, err);
    if (st == QN_OK) st = qn_blockfile_finish(w, false, err);
    if (st == QN_OK) bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    if (st != QN_OK) return st;
    st = qn_blockfile_open_memory(a, bytes, n, true, "image", QN_SEGMENT_MAGIC,
                                  QN_SEGMENT_VERSION, &file, err);
    if (st != QN_OK) {
        qn_delete_aligned(a, bytes);
        return st;
    }
    st = qn_segment_open(a, file, out, err);
    if (st != QN_OK) qn_blockfile_close(file);
    return st;
}

qn_segment *t_image(qn_segment_builder *b)
{
    qn_error err = {0};
    qn_segment *seg = NULL;
    T_CALL(t_try_image(qn_alloc_heap(), b, &seg, &err), &err);
    return seg;
}

qn_segment_builder *t_builder(void)
{
    qn_error err = {0};
    qn_segment_builder *b = NULL;
    T_CALL(qn_segment_builder_create(qn_alloc_heap(), 42, &b, &err), &err);
    return b;
}

uint32_t t_begin(qn_segment_builder *b, unsigned name)
{
    qn_error err = {0};
    char id[16];
    int n = snprintf(id, sizeof id, "d%u", name);
    uint32_t doc = 0;
    T_CALL(qn_segment_builder_begin(b, (qn_slice){id, (size_t)n}, &doc, &err), &err);
    return doc;
}

void t_term(qn_segment_builder *b, const char *term, uint32_t position)
{
    qn_error err = {0};
    T_CALL(qn_segment_builder_term(b, &t_text, qn_slice_of(term), position, &err),
           &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bm25_norm),
        cmocka_unit_test(test_bm25_golden),
        cmocka_unit_test(test_bm25_statistics),
        cmocka_unit_test(test_bm25_explain),
        cmocka_unit_test(test_schema_lookup),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_freq_codes),
        cmocka_unit_test(test_postings_borders),
        cmocka_unit_test(test_postings_seek),
        cmocka_unit_test(test_postings_bounds),
        cmocka_unit_test(test_postings_many_positions),
        cmocka_unit_test(test_postings_random),
        cmocka_unit_test(test_lists_blocks),
        cmocka_unit_test(test_lists_seek),
        cmocka_unit_test(test_lists_bits),
        cmocka_unit_test(test_lists_bounds),
        cmocka_unit_test(test_lists_check),
        cmocka_unit_test_teardown(test_lists_best, test_lists_end),
        cmocka_unit_test(test_column_numbers),
        cmocka_unit_test(test_column_random),
        cmocka_unit_test(test_column_keywords),
        cmocka_unit_test(test_column_shapes),
        cmocka_unit_test(test_column_float_keys),
        cmocka_unit_test(test_column_points),
        cmocka_unit_test(test_overlay_reads),
        cmocka_unit_test(test_overlay_bit_flips),
        cmocka_unit_test(test_overlay_no_memory),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_sources_dictionary),
        cmocka_unit_test(test_sources_merged),
        cmocka_unit_test(test_segment_empty),
        cmocka_unit_test(test_segment_ids),
        cmocka_unit_test(test_segment_sources),
        cmocka_unit_test(test_segment_terms),
        cmocka_unit_test(test_segment_refusals),
        cmocka_unit_test(test_segment_refresh),
        cmocka_unit_test(test_segment_version),
        cmocka_unit_test(test_segment_file),
        cmocka_unit_test(test_segment_bit_flips),
        cmocka_unit_test(test_segment_no_memory),
        cmocka_unit_test(test_segment_dump),
        cmocka_unit_test(test_merge_random),
        cmocka_unit_test(test_merge_steps),
        cmocka_unit_test(test_merge_cancelled),
        cmocka_unit_test(test_merge_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
