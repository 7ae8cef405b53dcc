/* SPDX-License-Identifier: Apache-2.0 */
/* test_index.h -- what the tests of this module share. */
#ifndef QN_TEST_INDEX_H
#define QN_TEST_INDEX_H

#include "base/bits.h"
#include "base/clock.h"
#include "index/bm25.h"
#include "index/segment_builder.h"
#include "../qn_test.h"

void test_bm25_norm(void **state);
void test_bm25_golden(void **state);
void test_bm25_statistics(void **state);
void test_bm25_explain(void **state);
void test_schema_lookup(void **state);
void test_packing(void **state);
void test_sets(void **state);
void test_freq_codes(void **state);
void test_postings_borders(void **state);
void test_postings_seek(void **state);
void test_postings_bounds(void **state);
void test_postings_many_positions(void **state);
void test_postings_random(void **state);
void test_lists_blocks(void **state);
void test_lists_seek(void **state);
void test_lists_bits(void **state);
void test_lists_bounds(void **state);
void test_lists_best(void **state);
void test_lists_check(void **state);
int test_lists_end(void **state);
void test_column_numbers(void **state);
void test_column_random(void **state);
void test_column_keywords(void **state);
void test_column_shapes(void **state);
void test_column_float_keys(void **state);
void test_column_points(void **state);
void test_points(void **state);
void test_overlay_reads(void **state);
void test_overlay_bit_flips(void **state);
void test_overlay_no_memory(void **state);
void test_sources_dictionary(void **state);
void test_sources_merged(void **state);
void test_segment_empty(void **state);
void test_segment_ids(void **state);
void test_segment_sources(void **state);
void test_segment_terms(void **state);
void test_segment_refusals(void **state);
void test_segment_refresh(void **state);
void test_segment_version(void **state);
void test_segment_file(void **state);
void test_segment_bit_flips(void **state);
void test_segment_no_memory(void **state);
void test_segment_dump(void **state);
void test_merge_random(void **state);
void test_merge_steps(void **state);
void test_merge_cancelled(void **state);
void test_merge_no_memory(void **state);

static const qn_field t_text = {.id = 1, .type = QN_FIELD_TEXT, .indexed = true};
static const qn_field t_tag = {
    .id = 2, .type = QN_FIELD_KEYWORD, .indexed = true, .column = true, .multi = true};
static const qn_field t_year = {.id = 3, .type = QN_FIELD_INT32, .column = true};
static const qn_field t_price = {.id = 4, .type = QN_FIELD_FLOAT, .column = true};

/* The builder's documents as a segment over an image in memory; counts as a failure of
 * the test when it cannot be made. */
qn_segment *t_image(qn_segment_builder *b);
/* The same, but passes failures on. */
qn_status t_try_image(qn_alloc *a, qn_segment_builder *b, qn_segment **out,
                      qn_error *err);
/* A builder with a constant seed. */
qn_segment_builder *t_builder(void);
/* Begins a document named by a number. */
uint32_t t_begin(qn_segment_builder *b, unsigned name);
void t_term(qn_segment_builder *b, const char *term, uint32_t position);

#endif
