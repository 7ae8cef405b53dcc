/* SPDX-License-Identifier: Apache-2.0 */
/* What follows the encoder: poolings and steps, prompts, sparse vectors, vectors of
 * tokens, against what sentence-transformers computed (tests/oracle/nn_make_tails.py). */
#include "test_nn.h"

#include "../qn_test.h"

#include "io/file.h"
#include "io/json.h"
#include "nn/calls/embed.h"
#include "nn/file/model_meta.h"
#include "nn/encoder/tail.h"

#include <math.h>
#include <stdio.h>

/* Largest difference from the numbers of a list; the list's length must be n. */
static double farthest(const float *got, size_t n, const qn_json *want)
{
    double most = 0.0;
    size_t i = 0;
    T_OK(want != NULL);
    T_EQ_I(want->count, n);
    for (const qn_json *it = qn_json_items(want); it != NULL; it = it->next, i++)
        most = fmax(most, fabs((double)got[i] - it->number));
    return most;
}

static void test_modules(void **state)
{
    (void)state;
    qn_model *m = nn_tiny_open("tiny-modules", QN_MODEL_F32);
    const qn_model_info *info = qn_model_describe(m);
    T_ROW("description");
    T_EQ_I(info->dims, 8);
    T_EQ_I(info->poolings, 6);
    T_EQ_I(info->prompt_count, 2);
    T_EQ_S(info->default_prompt, "document");
    T_EQ_I(info->max_tokens, 40);
    T_OK(info->normalize);
    static const struct {
        const char *key;
        qn_embed_options options;
    } rows[] = {
        {"default", {.role = QN_TEXT_PLAIN}}, {"default", {.role = QN_TEXT_DOCUMENT}},
        {"query", {.role = QN_TEXT_QUERY}},   {"query", {.prompt_name = "query"}},
        {"query", {.prompt = "water: "}},     {"plain", {.prompt = ""}},
    };
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (const qn_json *c = qn_json_items(nn_cases(&arena, "tiny-modules")); c != NULL;
         c = c->next)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            T_ROW(rows[i].key);
            float v[8];
            qn_error err = {0};
            qn_slice text = qn_json_get(c, "text")->string;
            T_CALL(qn_embed_run(m, &text, 1, &rows[i].options, v, NULL, &err), &err);
            T_NEAR(farthest(v, 8, qn_json_get(c, rows[i].key)), 0.0, 2e-5);
        }
    T_ROW("no such prompt");
    float v[8];
    qn_error err = {0};
    qn_slice text = QN_SLICE_LIT("x");
    qn_embed_options options = {.prompt_name = "passage"};
    T_EQ_I(qn_embed_run(m, &text, 1, &options, v, NULL, &err), QN_EINVAL);
    T_OK(strstr(err.text, "it has: document, query") != NULL);
    qn_arena_deinit(&arena);
    qn_model_close(m);
}

/* ---- sparse ----------------------------------------------------------------- */

static void check_sparse(const char *model)
{
    qn_model *m = nn_tiny_open(model, QN_MODEL_F32);
    size_t V = qn_model_describe(m)->dims;
    T_EQ_S(qn_model_task_name(qn_model_describe(m)->task), "sparse");
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (const qn_json *c = qn_json_items(nn_cases(&arena, model)); c != NULL;
         c = c->next) {
        qn_slice text = qn_json_get(c, "text")->string;
        T_ROW(model);
        qn_error err = {0};
        qn_sparse_vector v = {0}, best = {0};
        float dense[512] = {0};
        T_OK(V <= 512);
        T_CALL(qn_sparse_run(m, &text, 1, NULL, qn_alloc_heap(), &v, NULL, &err), &err);
        for (size_t i = 0; i < v.n; i++) {
            T_OK(v.terms[i].weight > 0.0f &&
                 (i == 0 || v.terms[i].id > v.terms[i - 1].id));
            dense[v.terms[i].id] = v.terms[i].weight;
        }
        T_NEAR(farthest(dense, V, qn_json_get(c, "vector")), 0.0, 2e-5);

        T_ROW("the best five over 0.1");
        qn_sparse_options options = {.top_k = 5, .min_weight = 0.1f};
        T_CALL(qn_sparse_run(m, &text, 1, &options, qn_alloc_heap(), &best, NULL, &err),
               &err);
        T_EQ_I(best.n, 5);
        for (size_t i = 0; i < v.n; i++) {
            size_t higher = 0;
            for (size_t k = 0; k < v.n; k++)
                higher += v.terms[k].weight > v.terms[i].weight;
            bool there = false;
            for (size_t k = 0; k < best.n; k++)
                there = there || best.terms[k].id == v.terms[i].id;
            T_EQ_I(there, higher < 5);
        }
        T_ROW("a product with itself");
        double self = 0.0;
        for (size_t i = 0; i < best.n; i++)
            self += (double)best.terms[i].weight * (double)best.terms[i].weight;
        T_NEAR(qn_sparse_dot(&v, &best), self, 1e-9);
        qn_sparse_free(qn_alloc_heap(), &v, 1);
        qn_sparse_free(qn_alloc_heap(), &best, 1);
    }
    qn_arena_deinit(&arena);
    qn_model_close(m);
}

static void test_sparse(void **state)
{
    (void)state;
    check_sparse("tiny-splade");
    check_sparse("tiny-splade-roberta");
    check_sparse("tiny-splade-modernbert");
}

/* ---- token vectors ---------------------------------------------------------- */

/* Tokens that are not seen, with relative positions: refused by the importer, and in a
 * model file that says so all the same. */
static void test_unseen(void **state)
{
    (void)state;
    static const char meta[] =
        "{\"name\":\"x\",\"task\":\"tokens\",\"architecture\":\"deberta-v2\",\"dtype\":"
        "\"f32\",\"encoder\":{\"vocab_size\":9,\"hidden_size\":8,\"num_hidden_layers\":"
        "1,"
        "\"num_attention_heads\":1,\"intermediate_size\":8,\"max_position_embeddings\":"
        "32,"
        "\"type_vocab_size\":0,\"layer_norm_eps\":1e-7,\"hidden_act\":\"gelu\","
        "\"embedding_size\":8,\"position_biased_input\":true,\"pos_att_type\":[\"c2p\"]"
        ","
        "\"relative_attention\":%s,\"max_relative_positions\":8,\"position_buckets\":0,"
        "\"share_att_key\":true,\"norm_rel_ebd\":\"none\",\"conv_kernel_size\":0},"
        "\"tokenizer\":\"wordpiece-uncased\",\"max_tokens\":32,\"normalize\":true,"
        "\"tokens\":{\"query_tokens\":0,\"document_tokens\":0,\"expand_to\":16,"
        "\"expand_id\":4,\"expand_seen\":%s,\"expand_exact\":true,\"skip_query\":false,"
        "\"skip_document\":false,\"skip\":[]},\"parameters\":1,\"licence\":\"\","
        "\"origin\":\"\",\"source_hash\":\"\"}";
    static const struct {
        const char *name, *relative, *seen;
        qn_status st;
    } rows[] = {{"not seen", "true", "false", QN_EMODEL},
                {"seen", "true", "true", QN_OK},
                {"no distances", "false", "false", QN_OK}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        char text[1200];
        qn_arena arena;
        qn_error err = {0};
        const qn_json *json = NULL;
        qn_model_meta read;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        (void)snprintf(text, sizeof text, meta, rows[i].relative, rows[i].seen);
        T_CALL(qn_json_parse(&arena, qn_slice_of(text), &json, &err), &err);
        qn_status st = qn_model_meta_read(json, &arena, &read, &err);
        if (st != rows[i].st) T_FAIL("%d: %s", st, err.text);
        if (st != QN_OK) T_OK(strstr(err.text, "expand_seen") != NULL);
        qn_arena_deinit(&arena);
    }
}

static void check_tokens(qn_model *m, const qn_json *c, const char *key,
                         qn_text_role role)
{
    qn_slice text = qn_json_get(c, "text")->string;
    qn_token_vectors v = {0};
    qn_error err = {0};
    qn_embed_options options = {.role = role};
    T_ROW(key);
    T_CALL(qn_token_vectors_run(m, &text, 1, &options, qn_alloc_heap(), &v, NULL, &err),
           &err);
    T_NEAR(farthest(v.values, v.n * 8, qn_json_get(c, key)), 0.0, 2e-5);
    qn_token_vectors_free(qn_alloc_heap(), &v, 1);
}

static void check_max_sim(qn_model *m, const qn_json *all)
{
    qn_slice query = qn_json_get(all, "query")->string, text[16];
    const qn_json *want = qn_json_get(all, "maxsim");
    size_t n = 0;
    for (const qn_json *c = qn_json_items(qn_json_get(all, "texts")); c != NULL;
         c = c->next)
        text[n++] = qn_json_get(c, "text")->string;
    qn_token_vectors q = {0}, d[16] = {0};
    qn_error err = {0};
    float score[16];
    qn_embed_options options = {.role = QN_TEXT_QUERY};
    T_ROW("max sim");
    T_CALL(
        qn_token_vectors_run(m, &query, 1, &options, qn_alloc_heap(), &q, NULL, &err),
        &err);
    options.role = QN_TEXT_DOCUMENT;
    T_CALL(qn_token_vectors_run(m, text, n, &options, qn_alloc_heap(), d, NULL, &err),
           &err);
    for (size_t i = 0; i < n; i++)
        score[i] = qn_max_sim(qn_kernels_best(), &q, &d[i], 8);
    T_NEAR(farthest(score, n, want), 0.0, 2e-4);
    qn_token_vectors_free(qn_alloc_heap(), &q, 1);
    qn_token_vectors_free(qn_alloc_heap(), d, n);
}

static void test_tokens(void **state)
{
    (void)state;
    static const char *const models[] = {"tiny-colbert", "tiny-expand", "tiny-artifact",
                                         "tiny-pylate"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        qn_model *m = nn_tiny_open(models[i], QN_MODEL_F32);
        T_EQ_S(qn_model_task_name(qn_model_describe(m)->task), "tokens");
        T_EQ_I(qn_model_describe(m)->dims, 8);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_json *all = nn_cases(&arena, models[i]);
        for (const qn_json *c = qn_json_items(qn_json_get(all, "texts")); c != NULL;
             c = c->next) {
            check_tokens(m, c, "query", QN_TEXT_QUERY);
            check_tokens(m, c, "document", QN_TEXT_DOCUMENT);
        }
        check_max_sim(m, all);
        qn_arena_deinit(&arena);
        qn_model_close(m);
    }
}

/* A model answers only what it was made for, by name. */
static void test_wrong_task(void **state)
{
    (void)state;
    qn_slice text = QN_SLICE_LIT("x");
    qn_error err = {0};
    float v[512];
    qn_sparse_vector s = {0};
    qn_token_vectors t = {0};
    qn_model *m = nn_tiny_open("tiny-splade", QN_MODEL_F32);
    T_ROW("sparse");
    T_EQ_I(qn_embed_run(m, &text, 1, NULL, v, NULL, &err), QN_EMODELTASK);
    T_EQ_S(err.text,
           "model tiny-splade makes sparse vectors, it makes no single vectors");
    qn_model_close(m);
    m = nn_tiny_open("tiny-colbert", QN_MODEL_F32);
    T_ROW("tokens");
    T_EQ_I(qn_sparse_run(m, &text, 1, NULL, qn_alloc_heap(), &s, NULL, &err),
           QN_EMODELTASK);
    qn_model_close(m);
    m = nn_tiny_open("tiny-embed", QN_MODEL_F32);
    T_ROW("embed");
    T_EQ_I(qn_token_vectors_run(m, &text, 1, NULL, qn_alloc_heap(), &t, NULL, &err),
           QN_EMODELTASK);
    qn_model_close(m);
}

/* The same bits alone and among others, on every number of threads. */
static void test_same_bits(void **state)
{
    (void)state;
    static const char *const words[] = {"mill", "the water wheel turns", "", "grain",
                                        "how does it grind the wheat?"};
    qn_slice texts[40];
    for (size_t i = 0; i < 40; i++) texts[i] = qn_slice_of(words[i % 5]);
    qn_error err = {0};
    qn_pool *pool = NULL;
    T_CALL(qn_pool_create(qn_alloc_heap(), 3, &pool, &err), &err);
    qn_embed_options options = {.pool = pool};
    qn_sparse_options sparse = {.text = &options};
    qn_model *m = nn_tiny_open("tiny-splade", QN_MODEL_F32);
    qn_sparse_vector many[40] = {0}, one = {0};
    T_ROW("sparse");
    T_CALL(qn_sparse_run(m, texts, 40, &sparse, qn_alloc_heap(), many, NULL, &err),
           &err);
    for (size_t i = 0; i < 40; i++) {
        T_CALL(qn_sparse_run(m, &texts[i], 1, NULL, qn_alloc_heap(), &one, NULL, &err),
               &err);
        T_EQ_I(one.n, many[i].n);
        T_OK(memcmp(one.terms, many[i].terms, one.n * sizeof *one.terms) == 0);
        qn_sparse_free(qn_alloc_heap(), &one, 1);
    }
    qn_sparse_free(qn_alloc_heap(), many, 40);
    qn_model_close(m);
    qn_pool_destroy(pool);
}

int test_nn_tails(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modules),    cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_tokens),     cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_wrong_task), cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests_name("nn tails", tests, NULL, NULL);
}
