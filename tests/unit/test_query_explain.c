/* SPDX-License-Identifier: Apache-2.0 */
#include "query/explain.h"
#include "query_corpus.h"

/* Six documents with known words; two segments. */
static void open_known(test_corpus *c, test_doc *d)
{
    static const uint8_t words[6][4] = {
        {0, 1, 2, 0}, {1, 0, 0, 3}, {2, 2, 2, 2},
        {0, 1, 0, 1}, {4, 4, 0, 1}, {5, 6, 7, 8},
    };
    for (size_t i = 0; i < 6; i++) {
        d[i] = (test_doc){.title_n = 4, .body_n = 2 * i, .tag_n = 1, .has_year = true};
        snprintf(d[i].key, sizeof d[i].key, "k%zu", i);
        memcpy(d[i].title, words[i], 4);
        for (size_t k = 0; k < d[i].body_n; k++) d[i].body[k] = (uint8_t)(k % 3);
        d[i].tags[0] = (uint8_t)(10 + i % 2);
        d[i].year = 2000 + (int)i;
        d[i].has_vector = true;
        d[i].vector[0] = (float)i;
    }
    corpus_open(c, d, 6, 2);
}

static const qn_query *parse(qn_arena *arena, const char *text)
{
    qn_error err;
    qn_analyzers *analyzers;
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &analyzers, &err), &err);
    qn_query_env env = {.schema = &fix_schema, .analyzers = analyzers};
    const qn_ha3_query_options options = {0};
    const qn_query *q;
    T_CALL(qn_ha3_parse_query(arena, &env, qn_slice_of(text), &options, &q, &err),
           &err);
    qn_analyzers_destroy(analyzers);
    return q;
}

static const struct {
    const char *name, *query;
    uint32_t segment, doc;
    const char *want;
} rows[] = {
    {"a term", "title:w0", 0, 0,
     "0.60751998 weight(title:w0 in 0) [PerFieldSimilarity], result of:\n"
     "  0.60751998 score(freq=2.0), computed as boost * idf * tf from:\n"
     "    2.2 boost\n"
     "    0.44183275 idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:\n"
     "      4 n, number of documents containing term\n"
     "      6 N, total number of documents with field\n"
     "    0.625 tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:\n"
     "      2 freq, occurrences of term within document\n"
     "      1.2 k1, term saturation parameter\n"
     "      0.75 b, length normalization parameter\n"
     "      4 dl, length of field\n"
     "      4 avgdl, average length of field\n"},
    {"not there", "title:w0", 0, 2, "0 no matching term: title:w0\n"},
    {"a number", "year:[2001,2003)", 0, 1, "1 year:[2001 TO 2002]\n"},
    {"not in it", "year:[2001,2003)", 0, 0, "0 year:[2001 TO 2002] doesn't match id\n"},
    {"vector", "vector:'0,0&n=2'", 0, 1, "0.5 within top k documents\n"},
    {"no vector", "vector:'0,0&n=2'", 1, 1, "0 not in top k documents\n"},
    {"must not", "year:[2001,2003) ANDNOT id:k1", 0, 1,
     "0 Failure to meet condition(s) of required/prohibited clause(s)\n"
     "  1 year:[2001 TO 2002]\n"
     "  0 match on prohibited clause (_id:(k1))\n"
     "    1 _id:(k1)\n"},
    {"must", "year:[2001,2003) AND year:2002", 0, 1,
     "0 Failure to meet condition(s) of required/prohibited clause(s)\n"
     "  1 year:[2001 TO 2002]\n"
     "  0 no match on required clause (year:[2002 TO 2002])\n"
     "    0 year:[2002 TO 2002] doesn't match id\n"},
};

static void test_sentences(void **state)
{
    (void)state;
    test_doc d[6];
    test_corpus c;
    open_known(&c, d);
    const qn_exec_options options = {.score_scale = 2.2f, .vector_in_score = true};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_explainer *e;
        const qn_explanation *x;
        qn_error err;
        qn_buf text = {.alloc = qn_alloc_heap()};
        const qn_query *q = parse(&arena, rows[i].query);
        T_CALL(qn_explainer_create(&c.view, q, &options, &arena, &e, &err), &err);
        T_CALL(qn_explainer_run(e, rows[i].segment, rows[i].doc, &arena, &x, &err),
               &err);
        qn_explanation_print(x, &text);
        T_EQ_S(text.p, rows[i].want);
        T_EQ_I(qn_explainer_run(e, 2, 0, &arena, &x, &err), QN_ENODOC);
        T_EQ_I(qn_explainer_run(e, 0, 3, &arena, &x, &err), QN_ENODOC);
        qn_buf_deinit(&text);
        qn_arena_deinit(&arena);
    }
    corpus_close(&c);
}

static const char *const queries[] = {
    "w0",
    "w0 w1",
    "w0 OR w1 OR w2",
    "title:\"w0 w1\" OR body:w2",
    "\"w0 w1\"",
    "default(title,body):w0 RANK tag:t10 RANK year:[2001,2004]",
    "(w0 OR w1) ANDNOT title:w3",
    "w0^50 OR id:k3 OR vector:'1,1&n=3'",
    "title:(w0||w1||w4)^2",
    "tag:t10|t11",
};

/* The root's value is the score of the run, to the last bit, and what the run left out
 * does not match. */
static void test_values(void **state)
{
    (void)state;
    test_doc d[6];
    test_corpus c;
    open_known(&c, d);
    const qn_exec_options options = {.score_scale = 2.2f, .vector_in_score = true};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        T_ROW(queries[i]);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_explainer *e;
        qn_exec_result r;
        qn_error err;
        const qn_query *q = parse(&arena, queries[i]);
        T_CALL(qn_query_execute(&c.view, q, &options, &arena, &r, &err), &err);
        T_CALL(qn_explainer_create(&c.view, q, &options, &arena, &e, &err), &err);
        T_OK(r.count > 0);
        size_t at = 0;
        for (uint32_t doc = 0; doc < 6; doc++) {
            const qn_explanation *x;
            T_CALL(qn_explainer_run(e, doc / 3, doc % 3, &arena, &x, &err), &err);
            bool found = at < r.count && r.candidates[at].segment == doc / 3 &&
                         r.candidates[at].doc == doc % 3;
            T_OK(x->match == found);
            if (found) T_OK(x->value == (double)r.candidates[at++].score);
        }
        qn_arena_deinit(&arena);
    }
    corpus_close(&c);
}

static const struct {
    const char *query, *want;
} texts[] = {
    {"a b", "+(title:a^2.0 | body:a) +(title:b^2.0 | body:b)"},
    {"title:a OR body:b", "title:a body:b"},
    {"title:a AND (tag:b OR tag:c) ANDNOT id:k1", "+title:a +(tag:b tag:c) -_id:(k1)"},
    {"title:\"a b\"", "title:\"a b\""},
    {"body:\"run to the dogs\"", "body:\"run ? ? dog\""},
    {"title:(a||b||c)^2", "(title:a title:b title:c)~2"},
    {"price:(1,2]", "price:{1.0 TO 2.0]"},
    {"price:>1", "price:{1.0 TO *]"},
    {"vector:'1,2&n=7'", "knn(embedding, k=7)"},
};

static void test_lucene_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        T_ROW(texts[i].query);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_buf b = {.alloc = qn_alloc_heap()};
        qn_query_lucene_text(parse(&arena, texts[i].query), &b);
        T_EQ_S(b.p, texts[i].want);
        qn_buf_deinit(&b);
        qn_arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_lucene_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
