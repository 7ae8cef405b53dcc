/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder, layer by layer: against the reference framework's hidden states and
 * against our own plain loops. */
#include "test_nn.h"

#include "../qn_test.h"

#include "nn/encoder/encoder.h"
#include "nn/encoder/encoder_reference.h"
#include "nn/file/model_meta.h"

#include <math.h>

enum { TOKENS_MAX = 512, HIDDEN = 32, LAYERS = 2 };

/* What a run showed of each layer. */
typedef struct seen {
    float rows[LAYERS + 1][TOKENS_MAX * HIDDEN];
    size_t n[LAYERS + 1];
} seen;

static void keep_rows(void *ctx, uint32_t layer, const float *x, size_t n)
{
    seen *s = ctx;
    s->n[layer] = n;
    memcpy(s->rows[layer], x, n * HIDDEN * sizeof *x);
}

typedef struct opened {
    qn_qnm *file;
    qn_arena arena;
    qn_model_meta meta;
    qn_encoder *bert;
    qn_encoder_scratch *scratch;
} opened;

static opened open_tiny(const char *which, qn_model_dtype dtype, bool first_only,
                        const qn_kernels *kernels)
{
    opened o = {0};
    qn_error err = {0};
    qn_alloc *a = qn_alloc_heap();
    T_CALL(qn_qnm_open(a, nn_tiny(which, dtype), &o.file, &err), &err);
    qn_arena_init(&o.arena, a, 0);
    T_CALL(qn_model_meta_read(qn_qnm_meta(o.file), &o.arena, &o.meta, &err), &err);
    T_CALL(
        qn_encoder_open(a, kernels, o.file, &o.meta.encoder, first_only, &o.bert, &err),
        &err);
    T_CALL(qn_encoder_scratch_create(a, o.bert, TOKENS_MAX, &o.scratch, &err), &err);
    return o;
}

static void close_tiny(opened *o)
{
    qn_encoder_scratch_destroy(o->scratch);
    qn_encoder_close(o->bert);
    qn_arena_deinit(&o->arena);
    qn_qnm_close(o->file);
}

static size_t read_ids(const qn_json *list, uint32_t *out)
{
    size_t n = 0;
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next)
        out[n++] = (uint32_t)it->integer;
    return n;
}

/* Every value of every layer within `tol` of the reference framework's: f32 sums in
 * another order, over values of up to about 4. */
static void check_layers(const seen *s, const qn_json *layers, double tol)
{
    size_t number = 0;
    for (const qn_json *l = qn_json_items(layers); l != NULL; l = l->next, number++) {
        size_t at = 0;
        for (const qn_json *row = l->first; row != NULL; row = row->next)
            for (const qn_json *v = row->first; v != NULL; v = v->next)
                T_NEAR(s->rows[number][at++], v->number, tol);
        T_EQ_I(at, s->n[number] * HIDDEN);
    }
    T_EQ_I(number, LAYERS + 1);
}

static void test_hidden_states(void **state)
{
    (void)state;
    static seen s;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *cases = nn_cases(&arena, "tiny-embed");
    for (size_t k = 0; k < qn_kernel_set_count; k++) {
        if (!qn_kernel_sets[k].usable()) continue;
        opened o = open_tiny("tiny-embed", QN_MODEL_F32, false, &qn_kernel_sets[k]);
        for (const qn_json *c = cases->first; c != NULL; c = c->next) {
            T_ROW(qn_kernel_sets[k].name);
            uint32_t ids[64], starts[2] = {0};
            uint8_t types[64] = {0};
            starts[1] = (uint32_t)read_ids(qn_json_get(c, "ids"), ids);
            qn_encoder_batch batch = {ids, types, starts, 1, NULL};
            qn_encoder_trace trace = {.rows = keep_rows, .ctx = &s};
            const float *rows = NULL;
            qn_error err = {0};
            T_CALL(qn_encoder_run(o.bert, o.scratch, &batch, NULL, &trace, &rows, &err),
                   &err);
            check_layers(&s, qn_json_get(c, "layers"), 1e-5);
        }
        close_tiny(&o);
    }
    qn_arena_deinit(&arena);
}

/* The classifier's encoder: the first row after every layer, the last of which computes
 * only that one. */
static void test_first_rows(void **state)
{
    (void)state;
    static seen s;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *cases = nn_cases(&arena, "tiny-rerank");
    opened o = open_tiny("tiny-rerank", QN_MODEL_F32, true, qn_kernels_best());
    for (const qn_json *c = cases->first; c != NULL; c = c->next) {
        T_ROW("first row");
        uint32_t ids[64], type_ids[64], starts[2] = {0};
        uint8_t types[64];
        starts[1] = (uint32_t)read_ids(qn_json_get(c, "ids"), ids);
        (void)read_ids(qn_json_get(c, "types"), type_ids);
        for (size_t i = 0; i < starts[1]; i++) types[i] = (uint8_t)type_ids[i];
        qn_encoder_batch batch = {ids, types, starts, 1, NULL};
        qn_encoder_trace trace = {.rows = keep_rows, .ctx = &s};
        const float *rows = NULL;
        qn_error err = {0};
        T_CALL(qn_encoder_run(o.bert, o.scratch, &batch, NULL, &trace, &rows, &err),
               &err);
        size_t layer = 0;
        for (const qn_json *l = qn_json_get(c, "first")->first; l != NULL;
             l = l->next) {
            size_t at = 0;
            for (const qn_json *v = l->first; v != NULL; v = v->next)
                T_NEAR(s.rows[layer][at++], v->number, 1e-5);
            layer++;
        }
        T_EQ_I(s.n[LAYERS], 1);
    }
    close_tiny(&o);
    qn_arena_deinit(&arena);
}

/* Random packed batches of many lengths against the plain loops, in every dtype. The
 * plain loops use the stored weights, so int8 differs by the rounding of activations
 * alone: half a step of 1/127 of the row's largest, through two layers. */
static void test_reference(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_model_dtype dtype;
        double tol;
    } rows[] = {
        {"f32", QN_MODEL_F32, 2e-5},
        {"bf16", QN_MODEL_BF16, 0.1},
        {"int8", QN_MODEL_INT8, 0.35},
    };
    static double want[(LAYERS + 1) * 48 * HIDDEN];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        opened o = open_tiny("tiny-embed", rows[r].dtype, false, qn_kernels_best());
        const uint32_t lengths[] = {1, 2, 3, 17, 31, 32, 33, 47, 48, 48, 40, 5};
        uint32_t ids[TOKENS_MAX], starts[16] = {0};
        uint8_t types[TOKENS_MAX];
        size_t sequences = sizeof lengths / sizeof *lengths;
        qn_rng rng = {7};
        for (size_t i = 0; i < sequences; i++) starts[i + 1] = starts[i] + lengths[i];
        for (size_t t = 0; t < starts[sequences]; t++) {
            ids[t] = (uint32_t)(qn_rng_next(&rng) % o.meta.encoder.vocab);
            types[t] = (uint8_t)(qn_rng_next(&rng) % 2);
        }
        qn_encoder_batch batch = {ids, types, starts, sequences, NULL};
        const float *got = NULL;
        qn_error err = {0};
        T_CALL(qn_encoder_run(o.bert, o.scratch, &batch, NULL, NULL, &got, &err), &err);
        double worst = 0.0;
        for (size_t i = 0; i < sequences; i++) {
            T_CALL(qn_encoder_reference(qn_alloc_heap(), o.file, &o.meta.encoder,
                                        ids + starts[i], types + starts[i], lengths[i],
                                        want, &err),
                   &err);
            const double *last = want + LAYERS * lengths[i] * HIDDEN;
            for (size_t v = 0; v < lengths[i] * HIDDEN; v++)
                worst =
                    fmax(worst, fabs((double)got[starts[i] * HIDDEN + v] - last[v]));
        }
        T_NEAR(worst, 0.0, rows[r].tol);
        T_OK(worst > 0.0); /* two computations, not one */
        close_tiny(&o);
    }
}

static void test_deadline(void **state)
{
    (void)state;
    opened o = open_tiny("tiny-embed", QN_MODEL_F32, false, qn_kernels_best());
    uint32_t ids[4] = {2, 7, 8, 3}, starts[2] = {0, 4};
    uint8_t types[4] = {0};
    qn_encoder_batch batch = {ids, types, starts, 1, NULL};
    const float *rows = NULL;
    qn_error err = {0};
    T_ROW("passed");
    qn_deadline passed = {.at_ns = 1};
    T_EQ_I(qn_encoder_run(o.bert, o.scratch, &batch, &passed, NULL, &rows, &err),
           QN_ETIMEOUT);
    T_ROW("cancelled");
    atomic_bool cancelled = true;
    qn_deadline given_up = {.cancelled = &cancelled};
    T_EQ_I(qn_encoder_run(o.bert, o.scratch, &batch, &given_up, NULL, &rows, &err),
           QN_ECANCELLED);
    T_ROW("ample");
    qn_deadline ample = qn_deadline_in_ms(100000, NULL);
    T_CALL(qn_encoder_run(o.bert, o.scratch, &batch, &ample, NULL, &rows, &err), &err);
    close_tiny(&o);
}

int test_nn_encoder(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hidden_states),
        cmocka_unit_test(test_first_rows),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_deadline),
    };
    return cmocka_run_group_tests_name("nn encoder", tests, NULL, NULL);
}
