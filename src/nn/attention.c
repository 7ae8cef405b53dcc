/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/attention.h"

#include <math.h>

enum { BLOCK = 32 };

size_t qn_attention_scratch(const qn_kernels *kernels, size_t d, size_t keys,
                            size_t positions)
{
    (void)kernels, (void)d, (void)positions;
    return BLOCK * keys;
}

/* Adds the terms with positions to the scores of query i. */
static void add_relative(const qn_attention *a, size_t i, float *scores)
{
    const qn_attention_relative *r = &a->relative;
    for (size_t j = 0; j < a->keys; j++) {
        size_t row = (size_t)r->index[(ptrdiff_t)i - (ptrdiff_t)j];
        float sum = 0;
        if (r->PK != NULL)
            sum += a->kernels->dot_f32(a->Q + i * a->ldq, r->PK + row * r->ld, a->d);
        if (r->PQ != NULL)
            sum += a->kernels->dot_f32(a->K + j * a->ldkv, r->PQ + row * r->ld, a->d);
        scores[j] += a->alpha * sum;
    }
}

static void hide_far(const qn_attention *a, size_t i, float *scores)
{
    for (size_t j = 0; j < a->keys; j++)
        if (j + a->window < i || j > i + a->window) scores[j] = -INFINITY;
}

bool qn_attention_run(const qn_attention *a, const qn_deadline *deadline,
                      float *scratch)
{
    bool relative = a->relative.PK != NULL || a->relative.PQ != NULL;
    for (size_t at = 0; at < a->queries; at += BLOCK) {
        size_t m = a->queries - at < BLOCK ? a->queries - at : BLOCK;
        if (deadline != NULL && qn_deadline_passed(deadline)) return false;
        a->kernels->matmul_nt(m, a->keys, a->d, a->alpha, a->Q + at * a->ldq, a->ldq,
                              a->K, a->ldkv, scratch, a->keys);
        for (size_t r = 0; r < m; r++) {
            if (relative) add_relative(a, at + r, scratch + r * a->keys);
            if (a->window > 0) hide_far(a, at + r, scratch + r * a->keys);
            a->kernels->softmax(scratch + r * a->keys, a->keys);
        }
        a->kernels->matmul_nn(m, a->d, a->keys, scratch, a->keys, a->V, a->ldkv,
                              a->out + at * a->ldo, a->ldo);
    }
    return true;
}
