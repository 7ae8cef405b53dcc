/* SPDX-License-Identifier: Apache-2.0 */
/* import_smooth.c -- input scales of an int8 model (SmoothQuant, arXiv 2211.10438).
 *
 * At run time each row of activations is rounded to 255 steps of its largest value. A
 * few columns of BERT's LayerNorm outputs are many times larger than the rest, which
 * then have few steps left. So columns are multiplied by m on the way in and weights
 * divided by it:
 *
 *     m = w^(1 - a) / x^a      x, w: largest |value| of the column in activations, weights
 *
 * a = 1/2 shares the difficulty between the two. x is measured by running the f32 model
 * over a few texts and over random pieces of the vocabulary. Where the input is a
 * product of ours (values -> context), m is folded into that product and costs nothing. */
#include "base/bits.h"
#include "nn/import/import_internal.h"
#include "nn/nn_internal.h"

#include <math.h>

enum {
    RANDOM_SEQUENCES = 48,
    RANDOM_LONGEST = 64,
};

/* The multipliers of one input of one layer; before they are computed, the ranges. */
static float *slot(const qn_import *im, uint32_t layer, qn_encoder_input which)
{
    return im->scales + ((size_t)layer * QN_ENCODER_INPUTS + which) * im->scale_stride;
}

const float *qn_import__scale(const qn_import *im, uint32_t layer,
                              qn_encoder_input which)
{
    return im->scales == NULL ? NULL : slot(im, layer, which);
}

static void measure(void *ctx, uint32_t layer, qn_encoder_input which, const float *x,
                    size_t n, size_t K)
{
    float *range = slot(ctx, layer, which);
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < K; c++) range[c] = fmaxf(range[c], fabsf(x[r * K + c]));
}

/* ---- activations ------------------------------------------------------------ */

static qn_status run_sequence(qn_model *exact, qn_nn_scratch *s,
                              const qn_encoder_trace *trace, qn_error *err)
{
    qn_encoder_batch batch = {s->ids, s->types, s->starts, s->sequences, NULL};
    const float *rows = NULL;
    QN_TRY(qn_encoder_run(exact->encoder, s->encoder, &batch, NULL, trace, &rows, err));
    s->sequences = s->tokens = 0;
    return QN_OK;
}

/* Document i alone, or with its query for a model of pairs. */
static qn_status run_text(qn_import *im, qn_model *exact, qn_nn_scratch *s, size_t i,
                          const qn_encoder_trace *trace, qn_error *err)
{
    const qn_model_info *info = &exact->info;
    bool pair = info->task == QN_MODEL_RERANK;
    qn_pieces first = {0}, second = {0};
    qn_encoding e = {0};
    qn_arena arena;
    qn_arena_init(&arena, im->alloc, 0);
    qn_status st;
    QN_TRY_TO(out, qn_nn__encode(
                       exact, pair ? qn_import__query(i / 2) : qn_import__document(i),
                       true, info->max_tokens, &arena, &first, err));
    QN_TRY_TO(out, qn_nn__encode(exact, qn_import__document(i), true, info->max_tokens,
                                 &arena, &second, err));
    QN_TRY_TO(out, qn_tokenizer_join(exact->tokenizer, &first, pair ? &second : NULL,
                                     info->max_tokens, QN_TRUNCATE_LONGEST_FIRST,
                                     &arena, &e, err));
    qn_nn__batch_add(s, &e, 0);
    st = run_sequence(exact, s, trace, err);
out:
    qn_arena_deinit(&arena);
    return st;
}

/* [CLS] random pieces [SEP], with [SEP] in the middle for a model of pairs. */
static qn_status run_random(qn_model *exact, qn_nn_scratch *s, qn_rng *rng,
                            const qn_encoder_trace *trace, qn_error *err)
{
    const qn_tokenizer_specials *special = qn_tokenizer_special(exact->tokenizer);
    bool pair = exact->info.task == QN_MODEL_RERANK;
    bool typed = pair && exact->config.types > 1;
    uint32_t longest = exact->info.max_tokens < RANDOM_LONGEST ? exact->info.max_tokens
                                                               : RANDOM_LONGEST;
    uint32_t ids[RANDOM_LONGEST];
    uint8_t types[RANDOM_LONGEST];
    size_t n = 3 + qn_rng_next(rng) % (longest - 2), middle = n / 3;
    for (size_t i = 0; i < n; i++) {
        ids[i] =
            (uint32_t)(qn_rng_next(rng) % qn_tokenizer_vocab_size(exact->tokenizer));
        types[i] = typed && i > middle;
    }
    if (special->sep >= 0) ids[n - 1] = (uint32_t)special->sep;
    if (pair && special->sep >= 0) ids[middle] = (uint32_t)special->sep;
    if (special->cls >= 0) ids[0] = (uint32_t)special->cls;
    qn_nn__batch_add(s, &(qn_encoding){.ids = ids, .types = types, .n = n}, 0);
    return run_sequence(exact, s, trace, err);
}

/* The encoder's scratch is made anew: products may have been exchanged since the last. */
qn_status qn_import__run_samples(qn_import *im, qn_model *exact, size_t documents,
                                 size_t random, const qn_encoder_trace *trace,
                                 qn_error *err)
{
    qn_nn_scratch *s = NULL;
    qn_encoder_scratch *own = NULL, *kept;
    QN_TRY(qn_nn__scratch_take(exact, &s, err));
    qn_status st =
        qn_encoder_scratch_create(im->alloc, exact->encoder, s->capacity, &own, err);
    kept = s->encoder;
    s->encoder = own;
    for (size_t i = 0; st == QN_OK && i < documents; i++)
        st = run_text(im, exact, s, i, trace, err);
    qn_rng rng = {1};
    for (size_t i = 0; st == QN_OK && i < random; i++)
        st = run_random(exact, s, &rng, trace, err);
    s->encoder = kept;
    qn_encoder_scratch_destroy(own);
    qn_nn__scratch_give(exact, s);
    return st;
}

/* ---- weights ---------------------------------------------------------------- */

/* widest[c] = the largest |value| of column c in the named weights. */
static void column_ranges(const qn_model *exact, uint32_t layer, qn_encoder_input which,
                          float *widest, size_t K)
{
    qn_slot slots[3];
    size_t n = qn_encoder_input_slots(which, slots);
    memset(widest, 0, K * sizeof *widest);
    for (size_t i = 0; i < n; i++) {
        qn_tensor_spec spec;
        if (!qn_encoder_spec_of(&exact->config, slots[i], layer, &spec)) continue;
        const qn_tensor *t = qn_qnm_find(exact->file, spec.name);
        qn_assert(t != NULL && t->columns == K && t->dtype == QN_MODEL_F32);
        const float *W = t->data;
        for (size_t at = 0; at < (size_t)t->rows * K; at++)
            widest[at % K] = fmaxf(widest[at % K], fabsf(W[at]));
    }
}

/* Keeps three bits after the leading one, so that the last bits of a measurement, which
 * differ from one kernel set to the next, do not reach the file. */
static float round_coarsely(float m)
{
    return qn_bits_float((qn_float_bits(m) + 0x80000u) & 0xFFF00000u);
}

/* Ranges become multipliers, in place. A column that is never used keeps its scale. */
static void balance(float *range, const float *widest, size_t K)
{
    for (size_t c = 0; c < K; c++) {
        float m = sqrtf(widest[c]) / sqrtf(range[c]);
        range[c] = isfinite(m) && m > 0.0f
                       ? round_coarsely(fminf(fmaxf(m, 1e-4f), 1e4f))
                       : 1.0f;
    }
}

qn_status qn_import__smooth(qn_import *im, qn_model *exact, qn_error *err)
{
    const qn_encoder_config *c = &im->meta.encoder;
    im->scale_stride = c->hidden > c->intermediate ? c->hidden : c->intermediate;
    im->scales = qn_arena_array(&im->arena, (size_t)c->layers * QN_ENCODER_INPUTS,
                                im->scale_stride * sizeof *im->scales);
    float *widest = qn_arena_array(&im->arena, im->scale_stride, sizeof *widest);
    if (im->scales == NULL || widest == NULL) return qn_fail(err, QN_ENOMEM, "import");
    const qn_encoder_trace trace = {.input = measure, .ctx = im};
    QN_TRY(qn_import__run_samples(im, exact, QN_IMPORT_DOCUMENTS, RANDOM_SEQUENCES,
                                  &trace, err));
    for (uint32_t layer = 0; layer < c->layers; layer++)
        for (int which = 0; which < QN_ENCODER_INPUTS; which++) {
            size_t K = which == QN_INTO_DOWN ? c->intermediate : c->hidden;
            column_ranges(exact, layer, (qn_encoder_input)which, widest, K);
            balance(slot(im, layer, (qn_encoder_input)which), widest, K);
        }
    return QN_OK;
}
