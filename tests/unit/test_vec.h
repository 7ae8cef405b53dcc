/* SPDX-License-Identifier: Apache-2.0 */
/* test_vec.h -- what the tests of this module share. */
#ifndef QN_TEST_VEC_H
#define QN_TEST_VEC_H

#include "../qn_test.h"

#include "base/bits.h"
#include "base/clock.h"
#include "vec/flat.h"
#include "vec/top.h"

void test_top(void **state);
void test_flat_search(void **state);
void test_flat_filter(void **state);
void test_flat_threshold(void **state);
void test_flat_ties(void **state);
void test_flat_vectors(void **state);
void test_flat_refusals(void **state);
void test_flat_deadline(void **state);
void test_flat_bit_flips(void **state);
void test_flat_no_memory(void **state);
void test_flat_recall(void **state);

/* A block file in memory with one index in it. */
typedef struct t_vectors {
    qn_blockfile *file;
    qn_vindex *index;
} t_vectors;

enum { T_FIELD = 7 };
qn_status t_vectors_open(qn_alloc *a, const qn_flat_builder *b, uint32_t doc_count,
                         t_vectors *out, qn_error *err);
void t_vectors_close(t_vectors *v);
/* A number about 0, roughly normal. */
float t_normal(qn_rng *rng);

#endif
