/* SPDX-License-Identifier: Apache-2.0 */
/* The models that are shipped open, say what they are and tell right from wrong. */
#include "../qn_test.h"

#include "nn/calls/embed.h"
#include "nn/calls/rerank.h"
#include "num/kernels.h"

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

/* ---- looks at the deadline --------------------------------------------------------- */

typedef struct looks {
    int64_t last_ns, most_ns; /* CPU time of the thread: others do not matter */
    size_t n;
} looks;

static void look(void *ctx)
{
    looks *l = ctx;
    int64_t now = qn_clock_cpu_ns();
    if (l->last_ns != 0 && now - l->last_ns > l->most_ns) l->most_ns = now - l->last_ns;
    l->last_ns = now;
    l->n++;
}

/* Inside layers, not between them alone: a pair of 512 tokens is never computed for longer
 * than 5 ms without a look. */
static void test_looks(void **state)
{
    (void)state;
    enum { ROUNDS = 5 };
    if (strcmp(qn_kernels_best()->name, "scalar") == 0) skip();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    qn_model *m = open_shipped("reranker-minilm-l6");
    char text[600 * 6 + 1];
    for (size_t i = 0; i < 600; i++) memcpy(text + 6 * i, "stone ", 7);
    int64_t least_ns = INT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        looks l = {0};
        const qn_deadline deadline = {.breathe = look, .breathe_ctx = &l};
        const qn_rerank_options o = {.deadline = &deadline};
        const qn_slice doc = qn_slice_of(text);
        qn_rerank_doc out;
        qn_error err = {0};
        T_CALL(qn_rerank_run(m, QN_SLICE_LIT("a mill"), &doc, 1, &o, &out, NULL, &err),
               &err);
        T_EQ_I(out.tokens, 512);
        T_OK(l.n > 20 * 6);
        if (l.most_ns < least_ns) least_ns = l.most_ns;
    }
    T_OK(least_ns < 5000000);
    qn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reranker),
        cmocka_unit_test(test_embedder),
        cmocka_unit_test(test_looks),
    };
    return cmocka_run_group_tests_name("nn shipped", tests, NULL, NULL);
}
