/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/features.h"

#include "base/status.h"

#include <math.h>

static const double BM25_K = 2.0, BM25_B = 0.1, DEFAULT_AVG_LENGTH = 20.0;
static const double FIELD_MATCH_A = 0.5; /* weight of the base against the bonus */

double qn_feature_idf(uint64_t doc_count, uint64_t doc_freq)
{
    double df = (double)doc_freq;
    double rest = doc_count > doc_freq ? (double)(doc_count - doc_freq) : 0;
    return log(1 + (rest + 0.5) / (df + 0.5));
}

static size_t term_count(const qn_match_view *v)
{
    return v->term_count < QN_FEATURE_TERMS_MAX ? v->term_count : QN_FEATURE_TERMS_MAX;
}

/* Positions are known and there is one. */
static bool is_placed(const qn_match_term *t)
{
    return t->count > 0 && t->positions != NULL;
}

/* How many terms before `i` are the same term. */
static size_t repeats_before(const qn_match_view *v, size_t i)
{
    size_t n = 0;
    for (size_t k = 0; k < i; k++) n += v->terms[k].id == v->terms[i].id;
    return n;
}

/* --- counts and ratios --- */

double qn_feature_field_length(const qn_match_view *v)
{
    return v->length;
}

double qn_feature_query_term_count(const qn_match_view *v)
{
    return (double)term_count(v);
}

double qn_feature_query_term_match_count_any(const qn_match_view *fields, size_t n)
{
    size_t hits = 0, terms = n == 0 ? 0 : term_count(&fields[0]);
    for (size_t i = 0; i < terms; i++) {
        bool hit = false;
        for (size_t f = 0; f < n && !hit; f++) hit = fields[f].terms[i].count > 0;
        hits += hit;
    }
    return (double)hits;
}

double qn_feature_query_term_match_count(const qn_match_view *v)
{
    return qn_feature_query_term_match_count_any(v, 1);
}

double qn_feature_field_term_match_count(const qn_match_view *v)
{
    double sum = 0;
    for (size_t i = 0; i < term_count(v); i++)
        if (repeats_before(v, i) == 0) sum += v->terms[i].count;
    return sum;
}

double qn_feature_field_match_ratio(const qn_match_view *v)
{
    if (v->length == 0) return 0;
    double ratio = qn_feature_field_term_match_count(v) / v->length;
    return ratio < 1 ? ratio : 1;
}

double qn_feature_query_match_ratio_any(const qn_match_view *fields, size_t n)
{
    size_t terms = n == 0 ? 0 : term_count(&fields[0]);
    return terms == 0
               ? 0
               : qn_feature_query_term_match_count_any(fields, n) / (double)terms;
}

double qn_feature_query_match_ratio(const qn_match_view *v)
{
    return qn_feature_query_match_ratio_any(v, 1);
}

/* --- the shortest window --- */

/* One term that a window has to hold: `need` occurrences, the first of them at
 * positions[first]. */
typedef struct window_term {
    const uint32_t *positions;
    uint32_t count, need, first;
} window_term;

/* The multiset of query terms that occur, each term once; `total` of all needs. */
static size_t window_terms(const qn_match_view *v, window_term *out, uint32_t *total)
{
    size_t n = 0;
    uint32_t ids[QN_FEATURE_TERMS_MAX];
    *total = 0;
    for (size_t i = 0; i < term_count(v); i++) {
        const qn_match_term *t = &v->terms[i];
        if (!is_placed(t)) continue;
        size_t k = 0;
        while (k < n && ids[k] != t->id) k++;
        if (k == n) {
            ids[n] = t->id;
            out[n++] = (window_term){.positions = t->positions, .count = t->count};
        }
        if (out[k].need < out[k].count) out[k].need++, (*total)++;
    }
    return n;
}

/* Moves the term that begins the window until it runs out. The shortest window is among
 * those met: a shorter one that begins later would still be ahead. */
static uint64_t shortest_window(window_term *terms, size_t n)
{
    uint64_t best = UINT64_MAX;
    for (;;) {
        size_t leftmost = 0;
        uint32_t begin = UINT32_MAX, end = 0;
        for (size_t i = 0; i < n; i++) {
            const window_term *t = &terms[i];
            if (t->positions[t->first] < begin) {
                begin = t->positions[t->first];
                leftmost = i;
            }
            uint32_t last = t->positions[t->first + t->need - 1];
            if (last > end) end = last;
        }
        uint64_t width = (uint64_t)end - begin + 1;
        if (width < best) best = width;
        window_term *t = &terms[leftmost];
        if (t->first + t->need >= t->count) return best;
        t->first++;
    }
}

/* The terms in query order, repeats kept as often as the field has them. */
static size_t ordered_terms(const qn_match_view *v, window_term *out)
{
    size_t n = 0;
    for (size_t i = 0; i < term_count(v); i++) {
        const qn_match_term *t = &v->terms[i];
        if (!is_placed(t) || repeats_before(v, i) >= t->count) continue;
        out[n++] = (window_term){.positions = t->positions, .count = t->count};
    }
    return n;
}

/* For each place of the first term the nearest ascending chain. Cursors only move
 * forward, as a later start cannot end earlier. UINT64_MAX: there is none. */
static uint64_t shortest_ordered_window(window_term *terms, size_t n)
{
    uint64_t best = UINT64_MAX;
    for (; terms[0].first < terms[0].count; terms[0].first++) {
        uint32_t begin = terms[0].positions[terms[0].first], end = begin;
        for (size_t i = 1; i < n; i++) {
            window_term *t = &terms[i];
            while (t->first < t->count && t->positions[t->first] <= end) t->first++;
            if (t->first == t->count) return best;
            end = t->positions[t->first];
        }
        uint64_t width = (uint64_t)end - begin + 1;
        if (width < best) best = width;
    }
    return best;
}

double qn_feature_query_min_slide_window(const qn_match_view *v, bool in_order)
{
    window_term terms[QN_FEATURE_TERMS_MAX];
    uint32_t wanted;
    size_t n = window_terms(v, terms, &wanted);
    if (n == 0) return 0;
    uint64_t width;
    if (in_order) {
        n = ordered_terms(v, terms);
        width = shortest_ordered_window(terms, n);
    } else {
        width = shortest_window(terms, n);
    }
    if (width == UINT64_MAX) return 0;
    double ratio = wanted / (double)width;
    return ratio < 1 ? ratio : 1;
}

/* --- proximity --- */

/* The best (y > x ? 1 : 0.5) / |y - x| over occurrences x of a and y of b. For each x
 * only the y next to it on either side can be best. */
static double pair_nearness(const qn_match_term *a, const qn_match_term *b)
{
    double best = 0;
    uint32_t next = 0; /* of b, the first past x */
    if (!is_placed(a) || !is_placed(b)) return 0;
    for (uint32_t i = 0; i < a->count; i++) {
        uint32_t x = a->positions[i];
        while (next < b->count && b->positions[next] <= x) next++;
        if (next < b->count) {
            double after = 1.0 / (b->positions[next] - x);
            if (after > best) best = after;
        }
        uint32_t before = next;
        if (before > 0 && b->positions[before - 1] == x) before--;
        if (before > 0) {
            double nearness = 0.5 / (x - b->positions[before - 1]);
            if (nearness > best) best = nearness;
        }
    }
    return best;
}

double qn_feature_fieldterm_proximity(const qn_match_view *v)
{
    size_t n = term_count(v);
    double sum = 0, weights = 0;
    if (n == 0) return 0;
    if (n == 1) return is_placed(&v->terms[0]) ? 1 : 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const qn_match_term *a = &v->terms[i], *b = &v->terms[i + 1];
        double weight = (a->weight + b->weight) / 2;
        sum += weight * pair_nearness(a, b);
        weights += weight;
    }
    return weights > 0 ? sum / weights : 0;
}

/* --- relevance --- */

/* What stands against a count in a field of that length. */
static double resistance(const qn_match_view *v)
{
    double avg = v->avg_length > 0 ? v->avg_length : DEFAULT_AVG_LENGTH;
    return BM25_K * (1 - BM25_B + BM25_B * v->length / avg);
}

static double saturation(const qn_match_view *v, uint32_t count)
{
    return count / (count + resistance(v));
}

double qn_feature_static_bm25(const qn_match_view *fields, const double *boosts,
                              size_t n)
{
    double score = 0, own = 0, boost_sum = 0, k[QN_FEATURE_TERMS_MAX];
    size_t terms = n == 0 ? 0 : term_count(&fields[0]);
    qn_assert(n <= QN_FEATURE_TERMS_MAX);
    for (size_t f = 0; f < n; f++) {
        boost_sum += boosts == NULL ? 1 : boosts[f];
        k[f] = resistance(&fields[f]);
    }
    for (size_t i = 0; i < terms; i++) {
        const qn_match_term *t = &fields[0].terms[i];
        double value = 0;
        for (size_t f = 0; f < n; f++) {
            uint32_t count = fields[f].terms[i].count;
            if (count == 0) continue; /* most words of most documents */
            value += (boosts == NULL ? 1 : boosts[f]) * (count / (count + k[f]));
        }
        if (value != 0) score += t->weight * t->idf * value;
        if (!t->expanded) own += t->weight * t->idf;
    }
    return own > 0 && boost_sum > 0 ? score / boost_sum / own : 0;
}

/* The query's tokens one after another in the field, from some place on. */
static bool has_run(const qn_match_view *v)
{
    size_t n = term_count(v);
    uint32_t cursors[QN_FEATURE_TERMS_MAX] = {0};
    for (size_t i = 0; i < n; i++)
        if (!is_placed(&v->terms[i])) return false;
    for (uint32_t k = 0; n > 0 && k < v->terms[0].count; k++) {
        uint64_t start = v->terms[0].positions[k];
        size_t i = 1;
        for (; i < n; i++) {
            const qn_match_term *t = &v->terms[i];
            uint32_t *c = &cursors[i];
            while (*c < t->count && t->positions[*c] < start + i) (*c)++;
            if (*c == t->count) return false;
            if (t->positions[*c] != start + i) break;
        }
        if (i == n) return true;
    }
    return false;
}

static double field_match(const qn_match_view *v)
{
    double hit = 0, all = 0;
    for (size_t i = 0; i < term_count(v); i++) {
        all += v->terms[i].weight;
        if (v->terms[i].count > 0) hit += v->terms[i].weight;
    }
    double base = all > 0 ? hit / all : 0;
    base *= 0.5 + 0.5 * qn_feature_field_match_ratio(v);
    double bonus = 0;
    if (has_run(v)) bonus = term_count(v) == v->length ? 1.0 : 0.5;
    return (FIELD_MATCH_A * base + bonus) / (FIELD_MATCH_A + 1);
}

static double field_bm25(const qn_match_view *v)
{
    double score = 0, all = 0;
    for (size_t i = 0; i < term_count(v); i++) {
        const qn_match_term *t = &v->terms[i];
        score += t->weight * t->idf * saturation(v, t->count);
        all += t->weight * t->idf;
    }
    return all > 0 ? score / all : 0;
}

qn_text_relevance qn_feature_text_relevance(const qn_match_view *v)
{
    qn_text_relevance r = {
        .field_match = field_match(v),
        .bm25 = field_bm25(v),
        .proximity = qn_feature_fieldterm_proximity(v),
    };
    r.value = (5 * r.field_match + 0.5 * r.bm25 + 9 * r.proximity) / 14.5;
    return r;
}

double qn_feature_text_relevance_groups(const qn_match_view *groups, size_t n,
                                        bool greatest)
{
    double sum = 0, best = 0;
    for (size_t g = 0; g < n; g++) {
        double value = qn_feature_text_relevance(&groups[g]).value;
        sum += value;
        if (value > best) best = value;
    }
    if (greatest) return best;
    return sum < 1 ? sum : 1;
}

/* --- boosts --- */

double qn_feature_exact_match_boost(const qn_boost_term *terms, size_t n, bool sum)
{
    static const int64_t most = 99;
    int64_t best = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        if (!terms[i].matched) continue;
        int64_t boost = terms[i].has_boost ? terms[i].boost : most;
        if (boost < 0) boost = 0;
        if (boost > most) boost = most;
        total += boost;
        if (boost > best) best = boost;
    }
    return (double)(sum ? total : best);
}
