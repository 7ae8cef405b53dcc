/* SPDX-License-Identifier: Apache-2.0 */
/* num/gemm_packed.h -- what a packed weight looks like in memory, which is also how it
 * is kept in a file. Private to num/.
 *
 *     head     64 bytes: what it is, and for which tiles
 *     panels   W cut into panels of as many rows n as a tile has columns, the last one
 *              filled up with zeros; each stored k by k, so that a tile reads it
 *              straight through:
 *                  f32   [panel][k][column]
 *                  bf16  [panel][k / 2][column][k % 2]
 *                  int8  [part][panel][k / group][column][k % group]
 *     int8     scale [column]; start [part][column]; with centered activations also
 *              sum [part][column]; columns of whole panels
 *
 * Each piece begins on a line of 64 bytes. Numbers are as the machine has them: a packed
 * weight is made by the machine that reads it, or one like it.
 *
 * Lifetime   views into one block, which the weight owns or borrows. */
#ifndef QN_NUM_GEMM_PACKED_H
#define QN_NUM_GEMM_PACKED_H

#include "num/gemm_internal.h"

typedef struct qn_packed {
    uint8_t *owned; /* NULL: borrowed */
    const uint8_t *block;
    size_t bytes;
    size_t panel_cols, panel_count, panel_bytes; /* of one panel of one part */
    size_t parts, depth;                         /* k of one part, before filling up */
    const uint8_t *panels;
    const float *scale;
    const int32_t *start;
    const float *sum; /* NULL: activations are not centered */
} qn_packed;

/* Does the set multiply this type as it is, or by converting it to f32? */
bool qn_num__packed_is_f32(const qn_gemm *g);

/* Fill g->state with a new block; g->alloc .. g->parts are set. */
QN_MUST_CHECK qn_status qn_num__pack_f32(qn_gemm *g, const float *W, qn_error *err);
QN_MUST_CHECK qn_status qn_num__pack_bf16(qn_gemm *g, const uint16_t *W, qn_error *err);
QN_MUST_CHECK qn_status qn_num__pack_i8(qn_gemm *g, const int8_t *W, const float *scale,
                                        qn_error *err);
/* What a head says, into g->type .. g->parts; QN_EMODEL when it is not for g->kernels.
 */
QN_MUST_CHECK qn_status qn_num__packed_head(qn_gemm *g, const void *bytes, size_t size,
                                            qn_error *err);
/* Fills g->state with views into a block that qn_num__packed_head() accepted. */
QN_MUST_CHECK qn_status qn_num__packed_open(qn_gemm *g, const void *bytes, size_t size,
                                            qn_error *err);
void qn_num__packed_destroy(qn_gemm *g);

#endif
