/* SPDX-License-Identifier: Apache-2.0 */
/* The two real models against their golden outputs: tokens equal, f32 within the stated
 * tolerance, int8 near enough. Reads $QUERN_SHARED (default: shared/ beside the source
 * tree); without it the test is skipped. */
#include "../qn_test.h"

#include "io/file.h"
#include "io/json.h"
#include "nn/calls/embed.h"
#include "nn/import/import.h"
#include "nn/calls/rerank.h"

#include <math.h>
#include <stdlib.h>

enum { DIMS = 384, CASES_MAX = 100 };

static char models[400];
static qn_arena arena;

/* The path of the imported model. */
static const char *import(const char *name, qn_model_dtype dtype, qn_import_report *r)
{
    static char path[600];
    char source[600];
    qn_error err = {0};
    (void)snprintf(source, sizeof source, "%s/%s", models, name);
    (void)snprintf(path, sizeof path, "%s/eval-%s-%s.qnm", QN_BUILD_DIR, name,
                   qn_model_dtype_name(dtype));
    qn_import_options options = {.dtype = dtype};
    T_CALL(qn_import_run(qn_alloc_heap(), source, path, &options, r, &err), &err);
    return path;
}

static qn_model *open_model(const char *name, qn_model_dtype dtype)
{
    qn_import_report report;
    qn_error err = {0};
    qn_model *m = NULL;
    T_CALL(qn_model_open(qn_alloc_heap(), import(name, dtype, &report), NULL, &m, &err),
           &err);
    return m;
}

/* One JSON value a line. */
static size_t read_lines(const char *name, const qn_json **out)
{
    char path[600];
    qn_error err = {0};
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    (void)snprintf(path, sizeof path, "%s/golden/%s", models, name);
    T_CALL(qn_file_read(path, 1 << 26, &text, &err), &err);
    qn_slice rest = qn_arena_slice(&arena, qn_buf_slice(&text));
    qn_buf_deinit(&text);
    size_t n = 0;
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t line = end == NULL ? rest.n : (size_t)(end - rest.p);
        T_OK(n < CASES_MAX);
        if (line > 0)
            T_CALL(qn_json_parse(&arena, (qn_slice){rest.p, line}, &out[n++], &err),
                   &err);
        size_t step = end == NULL ? line : line + 1;
        rest = (qn_slice){rest.p + step, rest.n - step};
    }
    return n;
}

static void check_list(const qn_json *want, const uint32_t *ids, const uint8_t *types,
                       size_t n)
{
    T_EQ_I(n, want->count);
    size_t at = 0;
    for (const qn_json *v = want->first; v != NULL; v = v->next, at++)
        T_EQ_I(ids != NULL ? ids[at] : types[at], v->integer);
}

static void check_tokens(const qn_model *m, const qn_json *c, qn_slice a,
                         const qn_slice *b)
{
    const qn_tokenizer *wp = qn_model_tokenizer(m);
    const qn_model_info *info = qn_model_describe(m);
    qn_pieces first = {0}, second = {0};
    qn_encoding e = {0};
    qn_error err = {0};
    T_CALL(qn_tokenizer_encode(wp, a, QN_TOKENIZE_SPECIALS, &arena, &first, &err),
           &err);
    if (b != NULL)
        T_CALL(qn_tokenizer_encode(wp, *b, QN_TOKENIZE_SPECIALS, &arena, &second, &err),
               &err);
    T_CALL(qn_tokenizer_join(wp, &first, b == NULL ? NULL : &second, info->max_tokens,
                             QN_TRUNCATE_LONGEST_FIRST, &arena, &e, &err),
           &err);
    check_list(qn_json_get(c, "ids"), e.ids, NULL, e.n);
    if (b != NULL) check_list(qn_json_get(c, "type_ids"), NULL, e.types, e.n);
}

static void test_embed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_model_dtype dtype;
        double component, cosine;
    } rows[] = {
        {"f32", QN_MODEL_F32, 1e-5, 0.999999},
        {"bf16", QN_MODEL_BF16, 0.01, 0.9999},
        {"int8", QN_MODEL_INT8, 0.1, 0.995},
    };
    const qn_json *cases[CASES_MAX];
    size_t n = read_lines("minilm.jsonl", cases);
    T_EQ_I(n, 30);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        qn_model *m = open_model("minilm-l6-v2", rows[r].dtype);
        double cosine_least = 1.0, worst = 0.0;
        for (size_t i = 0; i < n; i++) {
            qn_slice text = qn_json_get(cases[i], "text")->string;
            float v[DIMS];
            qn_error err = {0};
            if (r == 0) check_tokens(m, cases[i], text, NULL);
            T_CALL(qn_embed_run(m, &text, 1, NULL, v, NULL, &err), &err);
            double dot = 0.0;
            size_t at = 0;
            const qn_json *x = qn_json_get(cases[i], "embedding")->first;
            for (; x != NULL; x = x->next, at++) {
                dot += (double)v[at] * x->number;
                worst = fmax(worst, fabs((double)v[at] - x->number));
            }
            T_EQ_I(at, DIMS);
            cosine_least = fmin(cosine_least, dot);
        }
        print_message("minilm-l6-v2 %s: component off by %.3g at most, cosine %.8f\n",
                      rows[r].name, worst, cosine_least);
        T_NEAR(worst, 0.0, rows[r].component);
        T_OK(cosine_least >= rows[r].cosine);
        qn_model_close(m);
    }
}

static void test_rerank(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_model_dtype dtype;
        double logit;
    } rows[] = {
        {"f32", QN_MODEL_F32, 1e-4},
        {"bf16", QN_MODEL_BF16, 0.1},
        {"int8", QN_MODEL_INT8, 0.25},
    };
    const qn_json *cases[CASES_MAX];
    size_t n = read_lines("reranker.jsonl", cases);
    T_EQ_I(n, 60);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        qn_model *m = open_model("reranker-minilm-l6", rows[r].dtype);
        double worst = 0.0, sum = 0.0;
        for (size_t i = 0; i < n; i++) {
            qn_slice query = qn_json_get(cases[i], "query")->string;
            qn_slice document = qn_json_get(cases[i], "document")->string;
            qn_rerank_doc doc;
            qn_error err = {0};
            if (r == 0) check_tokens(m, cases[i], query, &document);
            T_CALL(qn_rerank_run(m, query, &document, 1, NULL, &doc, NULL, &err), &err);
            double off =
                fabs((double)doc.logit - qn_json_get(cases[i], "logit")->number);
            worst = fmax(worst, off);
            sum += off;
        }
        print_message(
            "reranker-minilm-l6 %s: logit off by %.3g at most, %.3g on average\n",
            rows[r].name, worst, sum / (double)n);
        T_NEAR(worst, 0.0, rows[r].logit);
        qn_model_close(m);
    }
}

int main(void)
{
    const char *shared = getenv("QUERN_SHARED");
    (void)snprintf(models, sizeof models, "%.300s/data/models",
                   shared != NULL ? shared : QN_SOURCE_DIR "/../shared");
    if (!qn_file_exists(models)) {
        print_message("skipped: no %s\n", models);
        return 77;
    }
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_rerank),
    };
    int failed = cmocka_run_group_tests_name("nn eval", tests, NULL, NULL);
    qn_arena_deinit(&arena);
    return failed;
}
