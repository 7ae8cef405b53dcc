/* SPDX-License-Identifier: Apache-2.0 */
/* import_precision.c -- which products of a smaller model keep a finer type.
 *
 * Rounding does not harm all products alike: on MiniLM-L6 in bf16, the queries, keys and
 * values of one layer make a third of what moves a logit, with a twenty-fifth of the
 * arithmetic. So the f32 model runs over the built-in texts with one product at a time as
 * the smaller model would have it, and what that moves in the rows that come out, squared,
 * is the product's part. Small errors of different products add up like independent ones:
 * their squares do. The products that move most for their arithmetic then stay in the next
 * finer type (bf16 in f32, int8 in bf16), as long as all of those are no more than a
 * part of the arithmetic and not yet most of what moves is gone. For bf16 that part is a
 * quarter: its errors are spread over many products. int8 is for speed: a sixty-fourth, which
 * is what costs next to nothing.
 *
 * Where only first rows are wanted, the last layer's products after attention run for one
 * row a text and are nearly free; its queries, keys and values, packed apart, are left as
 * they are. */
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "nn/import/import_internal.h"
#include "nn/nn_internal.h"

#include <stdlib.h>

enum {
    BF16_BUDGET = 4, /* one in so many multiply-adds */
    INT8_BUDGET = 64,
    REMAINS = 6,     /* one in so many squares: the rest is let be */
    FIRST_ROWS = 32, /* of a text with so many tokens one row: its part of them */
    PROBES_MAX = 16, /* texts */
    PROBES_MIN = 4,
};
/* Multiply-adds that measuring may take, about: half a minute to a minute of one core. */
static const double WORK_MAX = 2e12;
static const double TOKENS = 57; /* of a built-in text, about */

/* One product that may be kept finer. */
typedef struct candidate {
    uint32_t layer;
    qn_encoder_input which;
    double work;  /* multiply-adds a token */
    double moved; /* squares, against those of the rows */
} candidate;

typedef struct probe {
    qn_import *im;
    qn_model *exact;
    size_t texts;
    uint32_t layers; /* the trace's number of the last rows */
    size_t width;
    QN_VEC(float) rows; /* of the f32 model */
    bool comparing, failed;
    size_t at;
    double moved, all; /* squares */
} probe;

/* ---- running ---------------------------------------------------------------- */

/* The rows that come out, kept or compared with those kept. */
static void take_rows(void *ctx, uint32_t layer, const float *x, size_t n)
{
    probe *p = ctx;
    if (layer != p->layers) return;
    size_t count = n * p->width;
    if (!p->comparing) {
        for (size_t i = 0; i < count; i++)
            if (!qn_vec_push(p->im->alloc, &p->rows, x[i])) p->failed = true;
        return;
    }
    qn_assert(p->at + count <= p->rows.n);
    const float *before = p->rows.p + p->at;
    for (size_t i = 0; i < count; i++) {
        double d = (double)x[i] - (double)before[i];
        p->moved += d * d;
        p->all += (double)before[i] * (double)before[i];
    }
    p->at += count;
}

static qn_status run(probe *p, qn_error *err)
{
    const qn_encoder_trace trace = {.rows = take_rows, .ctx = p};
    p->at = 0;
    p->moved = p->all = 0.0;
    QN_TRY(qn_import__run_samples(p->im, p->exact, p->texts, 0, &trace, err));
    return p->failed ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}

/* ---- one product ------------------------------------------------------------ */

static size_t value_bytes(qn_model_dtype dtype)
{
    return dtype == QN_MODEL_BF16 ? 2 : 1;
}

/* A matrix of the f32 model as the smaller one stores it; memory of `arena`. */
static qn_status narrowed(const qn_tensor *t, qn_model_dtype dtype, qn_arena *arena,
                          qn_tensor *out, qn_error *err)
{
    size_t columns = t->columns, count = (size_t)t->rows * columns;
    void *values = qn_arena_array(arena, count, value_bytes(dtype));
    float *scale = qn_arena_array(arena, t->rows, sizeof *scale);
    if (values == NULL || scale == NULL) return qn_fail(err, QN_ENOMEM, "import");
    const float *from = t->data;
    for (size_t r = 0; r < t->rows; r++) {
        if (dtype == QN_MODEL_INT8) {
            scale[r] = qn_tensor_quantize_row(from + r * columns, columns,
                                              (int8_t *)values + r * columns);
            continue;
        }
        uint16_t *row = (uint16_t *)values + r * columns;
        for (size_t c = 0; c < columns; c++)
            row[c] = qn_bf16_from_f32(from[r * columns + c]);
    }
    *out = *t;
    out->dtype = dtype;
    out->data = values;
    out->scale = dtype == QN_MODEL_INT8 ? scale : NULL;
    return QN_OK;
}

/* The product's weights of the f32 model; how many. */
static size_t tensors_of(const probe *p, const candidate *c, const qn_tensor *out[3])
{
    qn_slot slots[3];
    size_t n = qn_encoder_input_slots(c->which, slots), found = 0;
    for (size_t i = 0; i < n; i++) {
        qn_tensor_spec spec;
        if (qn_encoder_spec_of(&p->exact->config, slots[i], c->layer, &spec))
            out[found++] = qn_qnm_find(p->exact->file, spec.name);
    }
    return found;
}

/* Runs with the product in `dtype`: what that moves. */
static qn_status try_product(probe *p, candidate *c, qn_model_dtype dtype,
                             qn_error *err)
{
    enum { ARENA_LIMIT = 1 << 30 };
    const qn_tensor *from[3];
    qn_tensor to[3];
    const qn_tensor *narrow[3] = {&to[0], &to[1], &to[2]};
    size_t n = tensors_of(p, c, from);
    qn_gemm **place = qn_encoder_product(p->exact->encoder, c->layer, c->which);
    qn_gemm *own = *place, *other = NULL;
    qn_arena arena;
    qn_status st = QN_OK;
    qn_arena_init(&arena, p->im->alloc, ARENA_LIMIT);
    for (size_t i = 0; st == QN_OK && i < n; i++)
        st = narrowed(from[i], dtype, &arena, &to[i], err);
    if (st == QN_OK)
        st = qn_pack_tensors(p->im->alloc, p->exact->kernels, narrow, n, &other, err);
    qn_arena_deinit(&arena);
    QN_TRY(st);
    *place = other;
    st = run(p, err);
    *place = own;
    qn_gemm_destroy(other);
    c->moved = p->all > 0.0 ? p->moved / p->all : 0.0;
    return st;
}

/* ---- all of them ------------------------------------------------------------ */

/* Every product of a layer that is packed in one piece. */
static size_t list_candidates(const probe *p, candidate *out)
{
    const qn_encoder_config *c = &p->exact->config;
    size_t n = 0;
    for (uint32_t layer = 0; layer < c->layers; layer++)
        for (int which = 0; which < QN_ENCODER_INPUTS; which++) {
            candidate one = {.layer = layer, .which = (qn_encoder_input)which};
            const qn_gemm *g = *qn_encoder_product(p->exact->encoder, layer, one.which);
            if (g == NULL) continue;
            bool first_rows = p->exact->first_only && layer + 1 == c->layers;
            one.work = (double)qn_gemm_rows(g) * (double)qn_gemm_columns(g) /
                       (first_rows ? FIRST_ROWS : 1);
            out[n++] = one;
        }
    return n;
}

/* Those that move most for their work first. */
static int compare_worth(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    double left = x->moved * y->work, right = y->moved * x->work;
    if (left != right) return left < right ? 1 : -1;
    if (x->layer != y->layer) return x->layer < y->layer ? -1 : 1;
    return x->which < y->which ? -1 : 1;
}

static void choose(qn_import *im, candidate *all, size_t n, qn_import_report *r)
{
    double work = 0.0, moved = 0.0, kept = 0.0, remains, budget;
    for (size_t i = 0; i < n; i++) work += all[i].work, moved += all[i].moved;
    qsort(all, n, sizeof *all, compare_worth);
    remains = moved;
    budget = work / (im->options->dtype == QN_MODEL_INT8 ? INT8_BUDGET : BF16_BUDGET);
    r->products = n;
    for (size_t i = 0; i < n && remains > moved / REMAINS; i++) {
        if (kept + all[i].work > budget) continue;
        im->finer[all[i].layer] |= (uint8_t)(1u << all[i].which);
        kept += all[i].work;
        remains -= all[i].moved;
        r->products_finer++;
    }
    r->finer_share = work > 0.0 ? kept / work : 0.0;
}

static size_t probe_count(const candidate *all, size_t n)
{
    double work = 0.0;
    for (size_t i = 0; i < n; i++) work += all[i].work;
    double texts = WORK_MAX / (work * TOKENS * (double)(n + 1) + 1.0);
    return texts < PROBES_MIN   ? PROBES_MIN
           : texts > PROBES_MAX ? PROBES_MAX
                                : (size_t)texts;
}

static qn_status measure(probe *p, candidate *all, size_t n, qn_model_dtype dtype,
                         qn_error *err)
{
    int64_t told = qn_clock_mono_ns();
    QN_TRY(run(p, err));
    p->comparing = true;
    for (size_t i = 0; i < n; i++) {
        QN_TRY(try_product(p, &all[i], dtype, err));
        if (qn_clock_mono_ns() - told < 5000000000) continue;
        told = qn_clock_mono_ns();
        qn_log(QN_LOG_INFO, "nn", "import: %zu of %zu products measured", i + 1, n);
    }
    return QN_OK;
}

qn_status qn_import__precision(qn_import *im, qn_model *exact, qn_import_report *report,
                               qn_error *err)
{
    const qn_encoder_config *c = &exact->config;
    qn_model_dtype dtype = im->options->dtype;
    probe p = {.im = im, .exact = exact, .layers = c->layers, .width = c->hidden};
    candidate *all =
        qn_arena_array(&im->arena, (size_t)c->layers * QN_ENCODER_INPUTS, sizeof *all);
    im->finer = qn_arena_array(&im->arena, c->layers, sizeof *im->finer);
    if (all == NULL || im->finer == NULL) return qn_fail(err, QN_ENOMEM, "import");
    memset(im->finer, 0, c->layers);
    size_t n = list_candidates(&p, all);
    p.texts = probe_count(all, n);
    qn_status st = measure(&p, all, n, dtype, err);
    qn_vec_deinit(im->alloc, &p.rows);
    if (st == QN_OK) choose(im, all, n, report);
    return st;
}
