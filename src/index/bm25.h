/* SPDX-License-Identifier: Apache-2.0 */
/* index/bm25.h -- the text score, in Lucene's arithmetic to the last bit.
 *
 *     weight       = boost * idf                      idf of a phrase: sum over its
 * words inverse[len] = 1 / (k1 * ((1 - b) + b * len / avgdl)) score        = weight -
 * weight / (1 + freq * inverse[norm])
 *
 * Every step is a 32-bit float, rounded, in this order, unless a comment says double;
 * the tree is compiled with -ffp-contract=off so that it stays so. Elasticsearch keeps
 * the classic numerator (k1 + 1) by passing boost * (k1 + 1) as the boost.
 *
 * A document's length is kept as one byte, its norm: exact up to 40, then with four
 * significant bits, rounded down (SmallFloat.intToByte4). Norm 0 means that the
 * document has no token in the field. Fields without norms (keywords) score with
 * norm 1.
 *
 * Clause scores are added in double and the sum is rounded once: that is the caller's
 * part.
 *
 * Threads   pure functions over the caller's memory. */
#ifndef QN_INDEX_BM25_H
#define QN_INDEX_BM25_H

#include "base/status.h"

#define QN_BM25_K1 1.2f
#define QN_BM25_B 0.75f

/* What one field's lengths look like over a whole snapshot (all its segments). */
typedef struct qn_bm25_field {
    float k1, b, avgdl;
    uint64_t doc_count; /* N: documents with at least one token in the field */
    float inverse[256]; /* by norm byte */
} qn_bm25_field;

/* One term, or one phrase, of a query. */
typedef struct qn_bm25_term {
    float weight;
    const float *inverse; /* borrowed from the qn_bm25_field */
} qn_bm25_term;

/* `sum_total_term_freq` and `doc_count` summed over the snapshot; doc_count 0 is valid:
 * nothing will match. */
void qn_bm25_field_init(qn_bm25_field *f, float k1, float b,
                        uint64_t sum_total_term_freq, uint64_t doc_count);
/* `doc_freq` summed over the snapshot. */
float qn_bm25_idf(uint64_t doc_count, uint64_t doc_freq);
/* A phrase's: added in double, rounded once. */
float qn_bm25_idf_sum(uint64_t doc_count, const uint64_t *doc_freqs, size_t n);
/* `boost` as the query language means it, times k1 + 1 where the classic numerator is
 * wanted: qn_bm25_classic_boost(). */
void qn_bm25_term_init(qn_bm25_term *t, const qn_bm25_field *f, float boost, float idf);

static inline float qn_bm25_classic_boost(float boost, float k1)
{
    return boost * (1.0f + k1);
}

/* `freq` is a count for a term, and may be a fraction for a sloppy phrase. */
static inline float qn_bm25_score(const qn_bm25_term *t, float freq, uint8_t norm)
{
    return t->weight - t->weight / (1.0f + freq * t->inverse[norm]);
}

/* The same of n documents at once, to the same bits. */
struct qn_kernels;
void qn_bm25_scores(const struct qn_kernels *kernels, const qn_bm25_term *t,
                    const uint32_t *freqs, const uint8_t *norms, size_t n, float *out);

uint8_t qn_bm25_norm(uint32_t length);
/* The length that scores with this norm: at most the true one. */
uint32_t qn_bm25_norm_length(uint8_t norm);

/* The numbers behind one score, as an explanation names them. */
typedef struct qn_bm25_parts {
    float score, boost, idf, tf;
    float freq, k1, b, dl, avgdl;
    bool dl_approximate; /* the norm stands for more than one length */
    uint64_t doc_count, doc_freq;
} qn_bm25_parts;

/* `doc_freq` is passed through (0 for a phrase); `idf` is what the term was made with.
 */
void qn_bm25_explain(const qn_bm25_field *f, float boost, float idf, uint64_t doc_freq,
                     float freq, uint8_t norm, qn_bm25_parts *out);

#endif
