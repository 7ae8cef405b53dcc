/* SPDX-License-Identifier: Apache-2.0 */
#include "test_index.h"

#include <math.h>

/* SmallFloat.intToByte4 and back. */
static const struct {
    const char *name;
    uint32_t length;
    uint8_t norm;
    uint32_t scored;
} norm_rows[] = {
    {"nothing", 0, 0, 0},
    {"one", 1, 1, 1},
    {"last plain", 23, 23, 23},
    {"first packed", 24, 24, 24},
    {"exact to 39", 39, 39, 39},
    {"exact at 40", 40, 40, 40},
    {"41 is 40", 41, 40, 40},
    {"43 is 42", 43, 41, 42},
    {"57 is 56", 57, 48, 56},
    {"100 is 96", 100, 57, 96},
    {"250 is 248", 250, 70, 248},
    {"400 is 376", 400, 75, 376},
    {"1000 is 984", 1000, 87, 984},
    {"10000 is 9240", 10000, 113, 9240},
    {"greatest length", INT32_MAX, 255, 2013265944},
    {"longer than that", UINT32_MAX, 255, 2013265944},
};

void test_bm25_norm(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof norm_rows / sizeof *norm_rows; i++) {
        T_ROW(norm_rows[i].name);
        uint8_t norm = qn_bm25_norm(norm_rows[i].length);
        T_EQ_I(norm, norm_rows[i].norm);
        T_EQ_I(qn_bm25_norm_length(norm), norm_rows[i].scored);
    }
    T_ROW("round trip");
    for (unsigned norm = 0; norm <= 255; norm++)
        T_EQ_I(qn_bm25_norm(qn_bm25_norm_length((uint8_t)norm)), norm);
    T_ROW("never longer than it is");
    for (uint32_t length = 0; length < 5000; length++)
        T_OK(qn_bm25_norm_length(qn_bm25_norm(length)) <= length);
}

/* Four documents that say "rrf" once to four times, searched for "rrf": the scores that
 * Elasticsearch's documentation of reciprocal rank fusion prints. */
void test_bm25_golden(void **state)
{
    (void)state;
    static const float want[] = {0.13963442f, 0.15350538f, 0.15876243f, 0.16152832f};
    qn_error err = {0};
    qn_segment_builder *b = t_builder();
    for (unsigned doc = 0; doc < 4; doc++) {
        t_begin(b, doc);
        for (uint32_t i = 0; i <= doc; i++) t_term(b, "rrf", i);
    }
    qn_segment *seg = t_image(b);
    const qn_segment_field *f = qn_segment_field_of(seg, t_text.id);
    qn_term term;
    T_CALL(qn_segment_term(seg, t_text.id, QN_SLICE_LIT("rrf"), &term, &err), &err);
    T_EQ_I(term.doc_freq, 4);
    T_EQ_I(term.total_term_freq, 10);
    const uint8_t *norms = NULL;
    T_CALL(qn_segment_norms(seg, t_text.id, &norms, &err), &err);

    qn_bm25_field field;
    qn_bm25_term scorer;
    qn_bm25_field_init(&field, QN_BM25_K1, QN_BM25_B, f->sum_total_term_freq,
                       f->doc_count);
    qn_bm25_term_init(&scorer, &field, qn_bm25_classic_boost(1.0f, QN_BM25_K1),
                      qn_bm25_idf(f->doc_count, term.doc_freq));
    qn_postings p;
    T_CALL(qn_segment_postings(seg, &term, NULL, &p, &err), &err);
    T_ROW("to the last bit");
    for (unsigned doc = 0; doc < 4; doc++) {
        T_EQ_I(p.doc, doc);
        float got = qn_bm25_score(&scorer, (float)p.freq, norms[p.doc]);
        T_EQ_I(qn_float_bits(got), qn_float_bits(want[doc]));
        T_CALL(qn_postings_next(&p, &err), &err);
    }
    T_EQ_I(p.doc, QN_DOC_END);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}

void test_bm25_statistics(void **state)
{
    (void)state;
    T_ROW("a phrase's idf is the sum of floats, added in double");
    unsigned differ =
        0; /* from the sum of exact idfs: else the test would show nothing */
    for (uint64_t n = 1; n < 500; n++) {
        const uint64_t freqs[] = {n, 2 * n, 999 - n};
        double sum = 0, exact = 0;
        for (size_t i = 0; i < 3; i++) {
            sum += (double)qn_bm25_idf(1000, freqs[i]);
            exact +=
                log(1 + (1000 - (double)freqs[i] + 0.5) / ((double)freqs[i] + 0.5));
        }
        T_EQ_I(qn_float_bits(qn_bm25_idf_sum(1000, freqs, 3)),
               qn_float_bits((float)sum));
        differ += (float)sum != (float)exact;
    }
    T_OK(differ > 0);
    T_ROW("idf never falls below zero");
    T_OK(qn_bm25_idf(10, 10) > 0.0f);
    T_ROW("rarer weighs more");
    T_OK(qn_bm25_idf(1000, 1) > qn_bm25_idf(1000, 2));
    T_ROW("no documents");
    qn_bm25_field f;
    qn_bm25_field_init(&f, QN_BM25_K1, QN_BM25_B, 0, 0);
    T_NEAR(f.avgdl, 1, 0);
}

void test_bm25_explain(void **state)
{
    (void)state;
    qn_bm25_field f;
    qn_bm25_field_init(&f, QN_BM25_K1, QN_BM25_B, 1000, 100);
    float boost = qn_bm25_classic_boost(1.0f, QN_BM25_K1), idf = qn_bm25_idf(100, 7);
    qn_bm25_term t;
    qn_bm25_term_init(&t, &f, boost, idf);
    qn_bm25_parts parts;
    qn_bm25_explain(&f, boost, idf, 7, 3.0f, qn_bm25_norm(100), &parts);
    T_ROW("the explained score is the score");
    T_EQ_I(qn_float_bits(parts.score),
           qn_float_bits(qn_bm25_score(&t, 3.0f, qn_bm25_norm(100))));
    T_NEAR(parts.boost * parts.idf * parts.tf, parts.score, 1e-5);
    T_NEAR(parts.boost, 2.2, 1e-6);
    T_NEAR(parts.dl, 96, 0);
    T_NEAR(parts.avgdl, 10, 0);
    T_OK(parts.dl_approximate);
    T_EQ_I(parts.doc_freq, 7);
    T_EQ_I(parts.doc_count, 100);
    qn_bm25_explain(&f, boost, idf, 7, 3.0f, qn_bm25_norm(39), &parts);
    T_OK(!parts.dl_approximate);
}
