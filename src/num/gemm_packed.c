/* SPDX-License-Identifier: Apache-2.0 */
#include "num/gemm_packed.h"

#include <string.h>

enum { LINE_BYTES = 64, NAME_BYTES = 24, BF16_GROUP = 2 };

/* QN_PACKED_VERSION changes whenever the layout of any set does. */
#define MAGIC UINT64_C(0x31304d4d45474e51) /* "QNGEMM01" */

typedef struct head {
    uint64_t magic, N, K;
    uint32_t version, type, parts, centered;
    char set[NAME_BYTES];
} head;
_Static_assert(sizeof(head) == LINE_BYTES, "one line");

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

bool qn_num__packed_is_f32(const qn_gemm *g)
{
    return g->type == QN_GEMM_F32 ||
           (g->type == QN_GEMM_BF16 && g->kernels->tiles_bf16 == NULL);
}

static const void *view(const uint8_t *block, size_t at)
{
    return block == NULL ? NULL : block + at;
}

/* Where everything lies; `block` may be NULL, to measure. */
static void lay_out(const qn_gemm *g, const uint8_t *block, qn_packed *p)
{
    const qn_kernels *k = g->kernels;
    bool i8 = g->type == QN_GEMM_I8;
    p->block = block;
    p->parts = g->parts;
    p->depth = g->K / g->parts;
    if (i8) {
        p->panel_cols = k->tiles_i8->cols;
        p->panel_bytes = p->panel_cols * round_up(p->depth, k->tiles_i8->group);
    } else if (qn_num__packed_is_f32(g)) {
        p->panel_cols = k->tiles->f32_cols;
        p->panel_bytes = p->panel_cols * p->depth * sizeof(float);
    } else {
        p->panel_cols = k->tiles_bf16->cols;
        p->panel_bytes = p->panel_cols * round_up(p->depth, BF16_GROUP) * 2;
    }
    p->panel_count = (g->N + p->panel_cols - 1) / p->panel_cols;
    size_t at = sizeof(head), side = p->panel_count * p->panel_cols * sizeof(float);
    p->panels = view(block, at);
    at = round_up(at + p->parts * p->panel_count * p->panel_bytes, LINE_BYTES);
    if (i8) {
        p->scale = view(block, at);
        at = round_up(at + side, LINE_BYTES);
        p->start = view(block, at);
        at = round_up(at + p->parts * side, LINE_BYTES);
        if (g->centered) {
            p->sum = view(block, at);
            at = round_up(at + p->parts * side, LINE_BYTES);
        }
    }
    p->bytes = at;
}

static head head_of(const qn_gemm *g)
{
    head h = {.magic = MAGIC,
              .N = g->N,
              .K = g->K,
              .version = QN_GEMM_PACKED_VERSION,
              .type = (uint32_t)g->type,
              .parts = (uint32_t)g->parts,
              .centered = g->centered};
    memcpy(h.set, g->kernels->name, min_size(strlen(g->kernels->name), NAME_BYTES - 1));
    return h;
}

void qn_num__packed_destroy(qn_gemm *g)
{
    qn_packed *p = g->state;
    if (p == NULL) return;
    qn_delete_aligned(g->alloc, p->owned);
    qn_delete(g->alloc, p);
    g->state = NULL;
}

/* A block of zeros with its head, owned. */
static qn_status packed_new(qn_gemm *g, qn_packed **out, qn_error *err)
{
    qn_packed *p = qn_new0(g->alloc, sizeof *p);
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "a packed weight");
    g->state = *out = p;
    lay_out(g, NULL, p);
    p->owned = qn_new_aligned(g->alloc, LINE_BYTES, p->bytes);
    if (p->owned == NULL) {
        qn_num__packed_destroy(g);
        return qn_fail(err, QN_ENOMEM, "a packed weight of %zu x %zu", g->N, g->K);
    }
    lay_out(g, p->owned, p);
    g->bytes = sizeof *p + p->bytes;
    const head h = head_of(g);
    memcpy(p->owned, &h, sizeof h);
    return QN_OK;
}

static void *inside(const qn_packed *p, const void *view)
{
    return p->owned + ((const uint8_t *)view - p->block);
}

qn_status qn_num__pack_f32(qn_gemm *g, const float *W, qn_error *err)
{
    qn_packed *p;
    QN_TRY(packed_new(g, &p, err));
    size_t cols = p->panel_cols;
    float *panels = inside(p, p->panels);
    for (size_t n = 0; n < g->N; n += cols)
        g->kernels->tiles->transpose(W + n * g->K, g->K, min_size(cols, g->N - n), g->K,
                                     panels + n * g->K, cols);
    return QN_OK;
}

/* The values of bf16 as they are, panel by panel. */
static qn_status pack_converted(qn_gemm *g, const uint16_t *W, qn_error *err)
{
    qn_packed *p;
    QN_TRY(packed_new(g, &p, err));
    size_t cols = p->panel_cols;
    float *panels = inside(p, p->panels);
    uint32_t *rows = qn_new_array(g->alloc, cols * g->K, sizeof *rows);
    if (rows == NULL) {
        qn_num__packed_destroy(g);
        return qn_fail(err, QN_ENOMEM, "a packed weight of %zu x %zu", g->N, g->K);
    }
    for (size_t n = 0; n < g->N; n += cols) {
        size_t count = min_size(cols, g->N - n);
        for (size_t i = 0; i < count * g->K; i++)
            rows[i] = (uint32_t)W[n * g->K + i] << 16;
        g->kernels->tiles->transpose((const float *)(const void *)rows, g->K, count,
                                     g->K, panels + n * g->K, cols);
    }
    qn_delete(g->alloc, rows);
    return QN_OK;
}

qn_status qn_num__pack_bf16(qn_gemm *g, const uint16_t *W, qn_error *err)
{
    if (qn_num__packed_is_f32(g)) return pack_converted(g, W, err);
    qn_packed *p;
    QN_TRY(packed_new(g, &p, err));
    size_t cols = p->panel_cols;
    for (size_t n = 0; n < g->N; n++) {
        uint16_t *panel = inside(p, p->panels + n / cols * p->panel_bytes);
        for (size_t k = 0; k < g->K; k += BF16_GROUP)
            memcpy(panel + k * cols + n % cols * BF16_GROUP, W + n * g->K + k,
                   min_size(BF16_GROUP, g->K - k) * sizeof *panel);
    }
    return QN_OK;
}

qn_status qn_num__pack_i8(qn_gemm *g, const int8_t *W, const float *scale,
                          qn_error *err)
{
    qn_packed *p;
    QN_TRY(packed_new(g, &p, err));
    const qn_tiles_i8 *t = g->kernels->tiles_i8;
    size_t cols = p->panel_cols, group = t->group, padded = p->panel_count * cols;
    float *scales = inside(p, p->scale);
    int32_t *start = inside(p, p->start);
    float *sums = p->sum == NULL ? NULL : inside(p, p->sum);
    memcpy(scales, scale, g->N * sizeof *scale);
    for (size_t part = 0; part < p->parts; part++) {
        for (size_t n = 0; n < g->N; n++) {
            const int8_t *w = W + n * g->K + part * p->depth;
            size_t number = part * p->panel_count + n / cols;
            int8_t *panel = inside(p, p->panels + number * p->panel_bytes);
            int32_t sum = 0; /* at most 127 * 65536 */
            for (size_t k = 0; k < p->depth; k++) sum += w[k];
            for (size_t k = 0; k < p->depth; k += group)
                memcpy(panel + k * cols + n % cols * group, w + k,
                       min_size(group, p->depth - k));
            start[part * padded + n] = -t->offset * sum;
            if (sums != NULL) sums[part * padded + n] = scale[n] * (float)sum;
        }
    }
    return QN_OK;
}

qn_status qn_num__packed_head(qn_gemm *g, const void *bytes, size_t size, qn_error *err)
{
    head h;
    if (size < sizeof h || (uintptr_t)bytes % LINE_BYTES != 0)
        return qn_fail(err, QN_EMODEL,
                       "a packed weight of %zu bytes: no head, or not "
                       "on a line of %d bytes",
                       size, LINE_BYTES);
    memcpy(&h, bytes, sizeof h);
    if (h.magic != MAGIC || h.version != QN_GEMM_PACKED_VERSION)
        return qn_fail(err, QN_EMODEL, "a packed weight of another version: pack anew");
    if (strncmp(h.set, g->kernels->name, sizeof h.set) != 0)
        return qn_fail(err, QN_EMODEL,
                       "a weight packed for \"%.*s\", wanted for \"%s\": pack anew",
                       (int)sizeof h.set, h.set, g->kernels->name);
    bool whole = h.N <= SIZE_MAX && h.K <= SIZE_MAX && h.type <= QN_GEMM_BF16;
    if (!whole || h.parts < 1 || h.parts > h.K || h.K % h.parts != 0 || h.centered > 1)
        return qn_fail(err, QN_EMODEL, "a packed weight with a damaged head");
    g->N = (size_t)h.N;
    g->K = (size_t)h.K;
    g->type = (qn_gemm_type)h.type;
    g->parts = h.parts;
    g->centered = h.centered != 0;
    if (g->type != QN_GEMM_I8 && (g->parts != 1 || g->centered))
        return qn_fail(err, QN_EMODEL, "a packed weight with a damaged head");
    return QN_OK;
}

qn_status qn_num__packed_open(qn_gemm *g, const void *bytes, size_t size, qn_error *err)
{
    qn_packed *p = qn_new0(g->alloc, sizeof *p);
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "a packed weight");
    g->state = p;
    lay_out(g, bytes, p);
    g->bytes = sizeof *p;
    if (p->bytes == size) return QN_OK;
    qn_status st = qn_fail(err, QN_EMODEL,
                           "a packed weight of %zu x %zu has %zu bytes, expected %zu",
                           g->N, g->K, size, p->bytes);
    qn_num__packed_destroy(g);
    return st;
}
