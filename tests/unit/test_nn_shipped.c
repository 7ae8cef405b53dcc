/* SPDX-License-Identifier: Apache-2.0 */
/* The models that are shipped open, say what they are and tell right from wrong. */
#include "../qn_test.h"

#include "nn/embed.h"
#include "nn/rerank.h"

enum { DIMS = 384 };

static qn_model *open_shipped(const char *name)
{
    char path[512];
    qn_error err = {0};
    qn_model *m = NULL;
    (void)snprintf(path, sizeof path, "%s/models/%s.qnm", QN_SOURCE_DIR, name);
    T_CALL(qn_model_open(qn_alloc_heap(), path, NULL, &m, &err), &err);
    T_EQ_S(qn_model_describe(m)->name, name);
    T_EQ_S(qn_model_describe(m)->licence, "Apache-2.0");
    T_EQ_I(qn_model_describe(m)->dtype, QN_MODEL_INT8);
    return m;
}

/* A query, the text that answers it, and one that shares words but does not. */
static const struct {
    const char *name, *query, *right, *wrong;
} rows[] = {
    {"flour", "how is grain made into flour",
     "Between the two millstones wheat is crushed and sieved until only a fine powder "
     "for baking is left.",
     "How tall is the tower that was made out of grain sacks?"},
    {"capital", "what is the capital of France",
     "Paris is the capital and largest city of France.",
     "The capital of the company was raised in Germany."},
    {"rain", "will it be wet outside tomorrow",
     "The forecast for tomorrow says heavy rain from morning to night.",
     "The wet paint on the outside wall needs a day to dry."},
};

static void test_reranker(void **state)
{
    (void)state;
    qn_model *m = open_shipped("reranker-minilm-l6");
    T_EQ_I(qn_model_describe(m)->max_tokens, 512);
    T_EQ_I(qn_model_describe(m)->truncation, QN_TRUNCATE_LONGEST_FIRST);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_slice docs[2] = {qn_slice_of(rows[i].wrong), qn_slice_of(rows[i].right)};
        qn_rerank_doc out[2];
        qn_error err = {0};
        T_CALL(qn_rerank_run(m, qn_slice_of(rows[i].query), docs, 2, NULL, out, NULL,
                             &err),
               &err);
        if (!(out[1].logit > out[0].logit))
            T_FAIL("right %g, wrong %g", (double)out[1].logit, (double)out[0].logit);
    }
    qn_model_close(m);
}

static float dot(const float *a, const float *b)
{
    float sum = 0.0f;
    for (size_t i = 0; i < DIMS; i++) sum += a[i] * b[i];
    return sum;
}

static void test_embedder(void **state)
{
    (void)state;
    qn_model *m = open_shipped("minilm-l6-v2");
    T_EQ_I(qn_model_describe(m)->dims, DIMS);
    T_EQ_I(qn_model_describe(m)->max_tokens, 256);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_slice texts[3] = {qn_slice_of(rows[i].query), qn_slice_of(rows[i].right),
                             qn_slice_of(rows[i].wrong)};
        static float v[3][DIMS];
        qn_error err = {0};
        T_CALL(qn_embed_run(m, texts, 3, NULL, v[0], NULL, &err), &err);
        T_NEAR(dot(v[0], v[0]), 1.0, 1e-5);
        T_OK(dot(v[0], v[1]) > dot(v[0], v[2]));
    }
    qn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reranker),
        cmocka_unit_test(test_embedder),
    };
    return cmocka_run_group_tests_name("nn shipped", tests, NULL, NULL);
}
