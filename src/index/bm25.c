/* SPDX-License-Identifier: Apache-2.0 */
#include "index/bm25.h"

#include "num/kernels.h"
#include "num/lists.h"

#include <math.h>
#include <string.h>

/* Lengths below 24 are themselves; from 24 on the rest is a float of three mantissa
 * bits and an implicit one, rounded down, as SmallFloat.intToByte4 packs it. */
enum { NORM_EXACT = 24 };

void qn_bm25_scores(const qn_kernels *kernels, const qn_bm25_term *t,
                    const uint32_t *freqs, const uint8_t *norms, size_t n, float *out)
{
    kernels->lists->bm25(t->weight, t->inverse, freqs, norms, n, out);
}

uint8_t qn_bm25_norm(uint32_t length)
{
    if (length < NORM_EXACT) return (uint8_t)length;
    /* Lucene's lengths are signed; longer ones cannot occur there, and share a byte. */
    if (length > INT32_MAX) length = INT32_MAX;
    uint32_t rest = length - NORM_EXACT, bits = 0;
    while (bits < 32 && rest >> bits != 0) bits++;
    if (bits < 4) return (uint8_t)(NORM_EXACT + rest);
    return (uint8_t)(NORM_EXACT + (((bits - 3) << 3) | ((rest >> (bits - 4)) & 7)));
}

uint32_t qn_bm25_norm_length(uint8_t norm)
{
    if (norm < NORM_EXACT) return norm;
    uint32_t rest = (uint32_t)norm - NORM_EXACT;
    uint32_t exponent = rest >> 3, mantissa = rest & 7;
    if (exponent == 0) return NORM_EXACT + mantissa;
    return NORM_EXACT + ((mantissa | 8) << (exponent - 1));
}

/* A few are remembered by each thread: a search asks for the same ones again and again,
 * and 256 divisions are a tenth of a small search. */
static void fill_inverse(qn_bm25_field *f)
{
    enum { RECENT = 4 };
    static _Thread_local qn_bm25_field recent[RECENT]; /* k1 0: empty */
    static _Thread_local unsigned next;
    for (size_t i = 0; i < RECENT; i++) {
        const qn_bm25_field *r = &recent[i];
        if (r->avgdl != f->avgdl || r->k1 != f->k1 || r->b != f->b) continue;
        memcpy(f->inverse, r->inverse, sizeof f->inverse);
        return;
    }
    for (int i = 0; i < 256; i++) {
        float length = (float)qn_bm25_norm_length((uint8_t)i);
        f->inverse[i] = 1.0f / (f->k1 * ((1.0f - f->b) + f->b * length / f->avgdl));
    }
    recent[next++ % RECENT] = *f;
}

void qn_bm25_field_init(qn_bm25_field *f, float k1, float b,
                        uint64_t sum_total_term_freq, uint64_t doc_count)
{
    f->k1 = k1;
    f->b = b;
    f->avgdl = 1.0f;
    f->doc_count = doc_count;
    if (doc_count != 0)
        f->avgdl = (float)((double)sum_total_term_freq / (double)doc_count);
    fill_inverse(f);
}

static double idf_exact(uint64_t doc_count, uint64_t doc_freq)
{
    double N = (double)doc_count, n = (double)doc_freq;
    return log(1.0 + (N - n + 0.5) / (n + 0.5));
}

float qn_bm25_idf(uint64_t doc_count, uint64_t doc_freq)
{
    return (float)idf_exact(doc_count, doc_freq);
}

float qn_bm25_idf_sum(uint64_t doc_count, const uint64_t *doc_freqs, size_t n)
{
    double sum = 0.0; /* of idfs that are floats already, as Lucene adds them */
    for (size_t i = 0; i < n; i++) sum += (double)qn_bm25_idf(doc_count, doc_freqs[i]);
    return (float)sum;
}

void qn_bm25_term_init(qn_bm25_term *t, const qn_bm25_field *f, float boost, float idf)
{
    *t = (qn_bm25_term){.weight = boost * idf, .inverse = f->inverse};
}

void qn_bm25_explain(const qn_bm25_field *f, float boost, float idf, uint64_t doc_freq,
                     float freq, uint8_t norm, qn_bm25_parts *out)
{
    qn_bm25_term t;
    qn_bm25_term_init(&t, f, boost, idf);
    *out = (qn_bm25_parts){
        .score = qn_bm25_score(&t, freq, norm),
        .boost = boost,
        .idf = idf,
        .tf = 1.0f - 1.0f / (1.0f + freq * f->inverse[norm]),
        .freq = freq,
        .k1 = f->k1,
        .b = f->b,
        .dl = (float)qn_bm25_norm_length(norm),
        .avgdl = f->avgdl,
        .dl_approximate = norm > 39,
        .doc_count = f->doc_count,
        .doc_freq = doc_freq,
    };
}
