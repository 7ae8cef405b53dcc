/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders of every family: against the reference framework's hidden states and logits,
 * and the fast one against our own plain loops over many configurations. */
#include "test_nn.h"

#include "../qn_test.h"

#include "nn/calls/embed.h"
#include "nn/encoder/encoder.h"
#include "nn/encoder/encoder_reference.h"
#include "nn/file/model_meta.h"
#include "nn/calls/rerank.h"

#include <math.h>

enum { TOKENS_MAX = 640, HIDDEN = 16, LAYERS_MAX = 4, LONGEST = 520 };

typedef struct seen {
    float rows[LAYERS_MAX + 1][TOKENS_MAX * HIDDEN];
    size_t n[LAYERS_MAX + 1];
} seen;

static void keep_rows(void *ctx, uint32_t layer, const float *x, size_t n)
{
    seen *s = ctx;
    s->n[layer] = n;
    memcpy(s->rows[layer], x, n * HIDDEN * sizeof *x);
}

static size_t read_ids(const qn_json *list, uint32_t *out)
{
    size_t n = 0;
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next)
        out[n++] = (uint32_t)it->integer;
    return n;
}

/* ---- against the reference framework ---------------------------------------- */

static const char *const families[] = {"tiny-deberta-v3", "tiny-deberta-v2",
                                       "tiny-xlm-roberta", "tiny-modernbert",
                                       "tiny-modernbert-embed"};
enum { FAMILIES = sizeof families / sizeof *families };

typedef struct opened {
    qn_qnm *file;
    qn_arena arena;
    qn_model_meta meta;
} opened;

static opened open_file(const char *path)
{
    opened o = {0};
    qn_error err = {0};
    T_CALL(qn_qnm_open(qn_alloc_heap(), path, &o.file, &err), &err);
    qn_arena_init(&o.arena, qn_alloc_heap(), 0);
    T_CALL(qn_model_meta_read(qn_qnm_meta(o.file), &o.arena, &o.meta, &err), &err);
    return o;
}

static void close_file(opened *o)
{
    qn_arena_deinit(&o->arena);
    qn_qnm_close(o->file);
}

/* Runs one sequence; s gets the rows of every layer. */
static void run_one(const opened *o, const qn_kernels *kernels, bool first_only,
                    const uint32_t *ids, const uint8_t *types, size_t n, seen *s)
{
    qn_alloc *a = qn_alloc_heap();
    qn_encoder *e = NULL;
    qn_encoder_scratch *scratch = NULL;
    qn_error err = {0};
    const float *rows = NULL;
    uint32_t starts[2] = {0, (uint32_t)n};
    qn_encoder_batch batch = {ids, types, starts, 1, NULL};
    qn_encoder_trace trace = {.rows = keep_rows, .ctx = s};
    T_CALL(qn_encoder_open(a, kernels, o->file, &o->meta.encoder, first_only, &e, &err),
           &err);
    T_CALL(qn_encoder_scratch_create(a, e, n, &scratch, &err), &err);
    T_CALL(qn_encoder_run(e, scratch, &batch, NULL, &trace, &rows, &err), &err);
    qn_encoder_scratch_destroy(scratch);
    qn_encoder_close(e);
}

/* Every value of every layer: sums of f32 in another order. The golden values are of f32
 * too, and up to 1.6e-5 off the plain ones. */
static void check_case(const opened *o, const qn_kernels *kernels, const qn_json *c)
{
    static seen s;
    static double plain[(LAYERS_MAX + 1) * 64 * HIDDEN];
    uint32_t ids[64], type_ids[64];
    uint8_t types[64];
    size_t n = read_ids(qn_json_get(c, "ids"), ids), layer = 0;
    (void)read_ids(qn_json_get(c, "types"), type_ids);
    for (size_t i = 0; i < n; i++) types[i] = (uint8_t)type_ids[i];
    run_one(o, kernels, false, ids, types, n, &s);
    qn_error err = {0};
    T_CALL(qn_encoder_reference(qn_alloc_heap(), o->file, &o->meta.encoder, ids, types,
                                n, plain, &err),
           &err);
    for (const qn_json *l = qn_json_get(c, "layers")->first; l; l = l->next, layer++) {
        size_t at = 0;
        for (const qn_json *v = l->first; v != NULL; v = v->next, at++) {
            T_NEAR(s.rows[layer][at], v->number, 4e-5);
            T_NEAR(s.rows[layer][at], plain[layer * n * HIDDEN + at], 2e-5);
            T_NEAR(plain[layer * n * HIDDEN + at], v->number, 2e-5);
        }
        T_EQ_I(at, n * HIDDEN);
        T_EQ_I(s.n[layer], n);
    }
    T_EQ_I(layer, o->meta.encoder.layers + 1);
    float last[HIDDEN];
    memcpy(last, s.rows[o->meta.encoder.layers], sizeof last);
    run_one(o, kernels, true, ids, types, n, &s);
    T_EQ_I(s.n[o->meta.encoder.layers], 1);
    for (size_t i = 0; i < HIDDEN; i++)
        T_NEAR(s.rows[o->meta.encoder.layers][i], last[i], 2e-6);
}

static void test_hidden_states(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        T_ROW(families[f]);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        opened o = open_file(nn_tiny(families[f], QN_MODEL_F32));
        for (const qn_json *c = nn_cases(&arena, families[f])->first; c; c = c->next)
            for (size_t k = 0; k < qn_kernel_set_count; k++)
                if (qn_kernel_sets[k].usable()) check_case(&o, &qn_kernel_sets[k], c);
        close_file(&o);
        qn_arena_deinit(&arena);
    }
}

/* From texts to logits: tokenizer, encoder, pooling, head. */
static void test_logits(void **state)
{
    (void)state;
    for (size_t f = 0; f + 1 < FAMILIES; f++) {
        T_ROW(families[f]);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_model *m = nn_tiny_open(families[f], QN_MODEL_F32);
        uint32_t labels = qn_model_describe(m)->labels;
        for (const qn_json *c = nn_cases(&arena, families[f])->first; c; c = c->next) {
            const qn_json *texts = qn_json_get(c, "texts");
            qn_slice document = texts->first->next->string;
            float logits[4] = {0};
            size_t at = 0;
            qn_rerank_options options = {.logits = logits,
                                         .truncation_given = true,
                                         .truncation = QN_TRUNCATE_LONGEST_FIRST};
            qn_rerank_doc doc;
            qn_error err = {0};
            T_CALL(qn_rerank_run(m, texts->first->string, &document, 1, &options, &doc,
                                 NULL, &err),
                   &err);
            T_EQ_I(doc.tokens, qn_json_get(c, "ids")->count);
            for (const qn_json *v = qn_json_get(c, "logits")->first; v; v = v->next)
                T_NEAR(logits[at++], v->number, 2e-5);
            T_EQ_I(at, labels);
            T_OK(doc.logit == logits[0]);
        }
        qn_model_close(m);
        qn_arena_deinit(&arena);
    }
}

static void test_describe(void **state)
{
    (void)state;
    static const struct {
        const char *model, *architecture;
        uint32_t labels, max_tokens;
        qn_pooling pooling;
        qn_activation activation;
    } rows[] = {
        {"tiny-deberta-v3", "deberta-v2", 1, 48, QN_POOL_CLS, QN_ACTIVATION_SIGMOID},
        {"tiny-deberta-v2", "deberta-v2", 3, 48, QN_POOL_CLS, QN_ACTIVATION_IDENTITY},
        {"tiny-xlm-roberta", "roberta", 1, 48, QN_POOL_CLS, QN_ACTIVATION_SIGMOID},
        {"tiny-modernbert", "modernbert", 1, 48, QN_POOL_MEAN, QN_ACTIVATION_SIGMOID},
        {"tiny-modernbert-embed", "modernbert", 0, 48, QN_POOL_MEAN,
         QN_ACTIVATION_IDENTITY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].model);
        qn_model *m = nn_tiny_open(rows[i].model, QN_MODEL_F32);
        const qn_model_info *info = qn_model_describe(m);
        T_EQ_S(info->architecture, rows[i].architecture);
        T_EQ_I(info->labels, rows[i].labels);
        T_EQ_I(info->max_tokens, rows[i].max_tokens);
        T_EQ_I(info->pooling, rows[i].pooling);
        T_EQ_I(info->activation, rows[i].activation);
        qn_model_close(m);
    }
    T_ROW("several labels rank nothing");
    qn_model *m = nn_tiny_open("tiny-deberta-v2", QN_MODEL_F32);
    qn_slice text = QN_SLICE_LIT("mill");
    qn_rerank_doc doc;
    qn_error err = {0};
    T_EQ_I(qn_rerank_run(m, text, &text, 1, NULL, &doc, NULL, &err), QN_EMODELTASK);
    T_OK(strstr(err.text, "3 labels") != NULL);
    qn_model_close(m);
}

/* Smaller dtypes of every family import, run, and stay near f32. */
static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        qn_model_dtype dtype;
        double most;
    } rows[] = {{QN_MODEL_BF16, 0.1}, {QN_MODEL_INT8, 0.35}};
    for (size_t f = 0; f + 1 < FAMILIES; f++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            T_ROW(families[f]);
            char source[512];
            (void)snprintf(source, sizeof source, "%s/tests/golden/nn/%s",
                           QN_SOURCE_DIR, families[f]);
            qn_import_options options = {.name = "x", .dtype = rows[i].dtype};
            qn_import_report report;
            qn_error err = {0};
            T_CALL(qn_import_run(qn_alloc_heap(), source, nn_path("dtype.qnm"),
                                 &options, &report, &err),
                   &err);
            T_EQ_I(report.ignored, 0);
            T_OK(report.score_change_max > 0.0);
            T_NEAR(report.score_change_max, 0.0, rows[i].most);
        }
}

/* ---- the fast one against the plain one ------------------------------------- */

/* A model file of random weights for a configuration. */
static qn_qnm *make_file(const qn_encoder_config *c, qn_model_dtype dtype,
                         uint8_t **image)
{
    qn_error err = {0};
    qn_qnm_writer *w = NULL;
    qn_qnm *file = NULL;
    qn_rng rng = {9};
    size_t n = 0;
    T_CALL(qn_qnm_writer_create(qn_alloc_heap(), NULL, &w, &err), &err);
    for (size_t i = 0; i < qn_encoder_spec_count(c); i++) {
        qn_tensor_spec spec;
        qn_encoder_spec_at(c, i, &spec);
        size_t count = (size_t)spec.rows * spec.columns;
        float *v = qn_new_array(qn_alloc_heap(), count, sizeof *v);
        bool gamma = strstr(spec.name, "orm.weight") != NULL;
        for (size_t k = 0; k < count; k++)
            v[k] = ((float)(qn_rng_next(&rng) % 2001) - 1000.0f) / 2500.0f +
                   (gamma ? 1.0f : 0.0f);
        T_CALL(qn_qnm_writer_tensor(w, spec.name, spec.quantize ? dtype : QN_MODEL_F32,
                                    spec.rank, spec.rows, spec.columns, v, &err),
               &err);
        qn_delete(qn_alloc_heap(), v);
    }
    T_CALL(qn_qnm_writer_finish(w, QN_SLICE_LIT("{}"), QN_SLICE_LIT("a\n"), &err),
           &err);
    *image = qn_qnm_writer_take(w, &n);
    qn_qnm_writer_destroy(w);
    T_CALL(qn_qnm_open_memory(qn_alloc_heap(), *image, n, "x", &file, &err), &err);
    return file;
}

static qn_encoder_config base_of(qn_family family)
{
    qn_encoder_config c;
    qn_encoder_config_init(&c, family);
    c.vocab = 50;
    c.hidden = c.embedding = HIDDEN;
    c.layers = 2;
    c.heads = 2;
    c.intermediate = 24;
    c.positions = LONGEST;
    c.eps = 1e-7f;
    c.types = family == QN_FAMILY_BERT ? 2 : family == QN_FAMILY_ROBERTA ? 1 : 0;
    c.pad = 1;
    c.relative = c.c2p = c.p2c = c.shared = c.norm_table = family == QN_FAMILY_DEBERTA;
    c.buckets = c.relative ? 256 : 0;
    c.max_distance = c.relative ? 512 : 0;
    c.window = 64;
    c.local[0] = family == QN_FAMILY_MODERNBERT ? 2 : 0;
    c.theta_global = 160000.0f;
    c.theta_local = 10000.0f;
    return c;
}

static void run_lengths(const qn_encoder_config *c, qn_model_dtype dtype, double tol)
{
    static const uint32_t lengths[] = {1, 2, 5, 63, 64, 65, 66, 129, 130, 31, 7};
    static double want[(LAYERS_MAX + 1) * LONGEST * HIDDEN];
    enum { SEQUENCES = sizeof lengths / sizeof *lengths };
    uint8_t *image = NULL;
    qn_qnm *file = make_file(c, dtype, &image);
    qn_alloc *a = qn_alloc_heap();
    qn_encoder *e = NULL;
    qn_encoder_scratch *scratch = NULL;
    qn_error err = {0};
    uint32_t ids[TOKENS_MAX], starts[SEQUENCES + 1] = {0};
    uint8_t types[TOKENS_MAX];
    qn_rng rng = {3};
    for (size_t i = 0; i < SEQUENCES; i++) starts[i + 1] = starts[i] + lengths[i];
    for (size_t t = 0; t < starts[SEQUENCES]; t++) {
        ids[t] = (uint32_t)(qn_rng_next(&rng) % c->vocab);
        types[t] = (uint8_t)(c->types > 1 ? qn_rng_next(&rng) % c->types : 0);
    }
    T_CALL(qn_encoder_open(a, qn_kernels_best(), file, c, false, &e, &err), &err);
    T_CALL(qn_encoder_scratch_create(a, e, TOKENS_MAX, &scratch, &err), &err);
    qn_encoder_batch batch = {ids, types, starts, SEQUENCES, NULL};
    const float *rows = NULL;
    T_CALL(qn_encoder_run(e, scratch, &batch, NULL, NULL, &rows, &err), &err);
    static float together[TOKENS_MAX * HIDDEN];
    memcpy(together, rows, (size_t)starts[SEQUENCES] * HIDDEN * sizeof *rows);
    double worst = 0.0;
    for (size_t i = 0; i < SEQUENCES; i++) {
        const uint32_t *id = ids + starts[i];
        size_t n = lengths[i];
        T_CALL(qn_encoder_reference(a, file, c, id, types + starts[i], n, want, &err),
               &err);
        for (size_t v = 0; v < n * HIDDEN; v++)
            worst = fmax(worst, fabs((double)together[starts[i] * HIDDEN + v] -
                                     want[c->layers * n * HIDDEN + v]));
        uint32_t alone[2] = {0, lengths[i]};
        qn_encoder_batch one = {id, types + starts[i], alone, 1, NULL};
        T_CALL(qn_encoder_run(e, scratch, &one, NULL, NULL, &rows, &err), &err);
        T_OK(memcmp(rows, together + starts[i] * HIDDEN, n * HIDDEN * sizeof *rows) ==
             0);
    }
    T_NEAR(worst, 0.0, tol);
    T_OK(worst > 0.0); /* two computations, not one */
    qn_encoder_scratch_destroy(scratch);
    qn_encoder_close(e);
    qn_qnm_close(file);
    qn_delete_aligned(a, image);
}

/* ---- one switch of the configuration each ----------------------------------- */

static void relu(qn_encoder_config *c)
{
    c->act = QN_ACT_RELU;
}

static void silu(qn_encoder_config *c)
{
    c->act = QN_ACT_SILU;
}

static void quick_gelu(qn_encoder_config *c)
{
    c->act = QN_ACT_QUICK_GELU;
}

static void own_keys(qn_encoder_config *c)
{
    c->shared = false;
}

static void c2p_alone(qn_encoder_config *c)
{
    c->p2c = false;
}

static void own_p2c(qn_encoder_config *c)
{
    c->c2p = c->shared = false;
}

static void plain_distances(qn_encoder_config *c)
{
    c->buckets = 0;
    c->max_distance = 20;
}

static void no_table(qn_encoder_config *c)
{
    c->relative = false;
}

static void projected(qn_encoder_config *c)
{
    c->embedding = 12;
    c->absolute = true;
    c->types = 3;
}

static void convolution(qn_encoder_config *c)
{
    c->conv_kernel = 5;
    c->conv_groups = 4;
    c->conv_act = QN_ACT_GELU;
}

static void one_layer(qn_encoder_config *c)
{
    c->layers = 1;
    c->conv_kernel = 3;
}

static void few_buckets(qn_encoder_config *c)
{
    c->buckets = 6;
    c->max_distance = 40;
}

static void all_biases(qn_encoder_config *c)
{
    c->norm_bias = c->attention_bias = c->feed_bias = true;
}

static void narrow(qn_encoder_config *c)
{
    c->window = 1;
    c->local[0] = 3;
}

/* Every switch of the configuration, each alone. */
static void test_variants(void **state)
{
    (void)state;
    const struct {
        const char *name;
        qn_family family;
        void (*change)(qn_encoder_config *c);
    } rows[] = {
        {"bert", QN_FAMILY_BERT, NULL},
        {"bert, relu", QN_FAMILY_BERT, relu},
        {"bert, silu", QN_FAMILY_BERT, silu},
        {"bert, quick gelu", QN_FAMILY_BERT, quick_gelu},
        {"roberta, padding among the words", QN_FAMILY_ROBERTA, NULL},
        {"deberta", QN_FAMILY_DEBERTA, NULL},
        {"deberta, own keys", QN_FAMILY_DEBERTA, own_keys},
        {"deberta, c2p", QN_FAMILY_DEBERTA, c2p_alone},
        {"deberta, p2c of its own", QN_FAMILY_DEBERTA, own_p2c},
        {"deberta, plain distances", QN_FAMILY_DEBERTA, plain_distances},
        {"deberta, no relative table", QN_FAMILY_DEBERTA, no_table},
        {"deberta, projected tables with positions and types", QN_FAMILY_DEBERTA,
         projected},
        {"deberta, convolution of five", QN_FAMILY_DEBERTA, convolution},
        {"deberta, one layer and a convolution", QN_FAMILY_DEBERTA, one_layer},
        {"deberta, few buckets", QN_FAMILY_DEBERTA, few_buckets},
        {"modernbert", QN_FAMILY_MODERNBERT, NULL},
        {"modernbert, all biases", QN_FAMILY_MODERNBERT, all_biases},
        {"modernbert, a window of one", QN_FAMILY_MODERNBERT, narrow},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_encoder_config c = base_of(rows[i].family);
        if (rows[i].change != NULL) rows[i].change(&c);
        run_lengths(&c, QN_MODEL_F32, 4e-5);
        run_lengths(&c, QN_MODEL_INT8, 0.6);
    }
}

/* DeBERTa-v3's buckets, as the reference framework computes them. */
static void test_buckets(void **state)
{
    (void)state;
    static const struct {
        int32_t distance, bucket;
    } rows[] = {{0, 0},     {1, 1},     {128, 128}, {130, 130}, {131, 131}, {132, 131},
                {133, 132}, {135, 133}, {140, 137}, {150, 143}, {160, 149}, {200, 169},
                {255, 192}, {256, 192}, {300, 207}, {383, 229}, {400, 233}, {450, 244},
                {500, 254}, {505, 254}, {509, 255}, {511, 255}};
    qn_encoder_config c = base_of(QN_FAMILY_DEBERTA);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW("bucket");
        T_EQ_I(qn_encoder_distance_row(&c, rows[i].distance), 256 + rows[i].bucket);
        T_EQ_I(qn_encoder_distance_row(&c, -rows[i].distance), 256 - rows[i].bucket);
    }
    for (int32_t d = -600; d < 600; d++) { /* never falls, always inside */
        T_OK(qn_encoder_distance_row(&c, d) <= qn_encoder_distance_row(&c, d + 1));
        T_OK(qn_encoder_distance_row(&c, d) < 512);
    }
}

int test_nn_families(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hidden_states), cmocka_unit_test(test_logits),
        cmocka_unit_test(test_describe),      cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_variants),      cmocka_unit_test(test_buckets),
    };
    return cmocka_run_group_tests_name("nn families", tests, NULL, NULL);
}
