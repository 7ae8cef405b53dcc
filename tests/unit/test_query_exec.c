/* SPDX-License-Identifier: Apache-2.0 */
/* Trees run over small segments, against an evaluator that looks at every document. */
#include "query_corpus.h"

#include <math.h>

/* ---- the plain evaluator ------------------------------------------------------------ */

typedef struct oracle {
    const test_corpus *c;
    float scale;
    bool vectors_score;
    const qn_exec_options *options;
} oracle;

typedef struct verdict {
    bool match;
    float score;
} verdict;

static verdict judge(const oracle *o, const qn_query *q, size_t doc, float boost);

static size_t words_of(const test_doc *d, const qn_field *f, const uint8_t **words)
{
    *words = f->id == FIX_TITLE ? d->title : d->body;
    return f->id == FIX_TITLE ? d->title_n : f->id == FIX_BODY ? d->body_n : d->tag_n;
}

static bool word_is(const test_doc *d, const qn_field *f, size_t i, qn_slice bytes)
{
    char word[8];
    const uint8_t *words = d->tags;
    if (f->id != FIX_TAG) words_of(d, f, &words);
    corpus_word(word, f->id == FIX_TAG ? "t" : "w", words[i]);
    return qn_slice_eq_str(bytes, word);
}

static unsigned count_word(const test_doc *d, const qn_field *f, qn_slice bytes)
{
    const uint8_t *words;
    unsigned count = 0;
    size_t n = words_of(d, f, &words);
    for (size_t i = 0; i < n; i++) count += word_is(d, f, i, bytes);
    return f->id == FIX_TAG && count > 1 ? 1 : count;
}

/* Some word of the phrase that stands at place `at` of it is at `i`. */
static bool stands(const test_doc *d, const qn_query *q, const qn_field *f,
                   uint32_t place, size_t i)
{
    for (size_t t = 0; t < q->term_count; t++)
        if (q->terms[t].position == place && word_is(d, f, i, q->terms[t].bytes))
            return true;
    return false;
}

static unsigned count_phrase(const test_doc *d, const qn_query *q, const qn_field *f)
{
    const uint8_t *words;
    size_t n = words_of(d, f, &words);
    unsigned count = 0;
    for (size_t begin = 0; begin < n; begin++) {
        bool all = true;
        for (size_t t = 0; t < q->term_count && all; t++) {
            size_t i = begin + q->terms[t].position;
            all = i < n && stands(d, q, f, q->terms[t].position, i);
        }
        count += all;
    }
    return count;
}

/* Lucene's arithmetic, written again from its description. */
static float norm_length(unsigned length)
{
    if (length < 40) return (float)length;
    unsigned x = length - 24, shift = 0;
    while ((x >> shift) >= 16) shift++;
    return (float)(((x >> shift) << shift) + 24);
}

/* A keyword is there or not: said twice it counts once. */
static size_t distinct_tags(const test_doc *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->tag_n; i++) {
        size_t k = 0;
        while (d->tags[k] != d->tags[i]) k++;
        n += k == i;
    }
    return n;
}

static float bm25(const oracle *o, const qn_query *q, const qn_field *f, unsigned freq,
                  unsigned length, float boost)
{
    double count = 0, tokens = 0, idf = 0, df_most = 0;
    for (size_t i = 0; i < o->c->n; i++) {
        const uint8_t *words;
        size_t n = words_of(&o->c->docs[i], f, &words);
        count += n > 0;
        tokens += (double)(f->id == FIX_TAG ? distinct_tags(&o->c->docs[i]) : n);
    }
    for (size_t t = 0; t < q->term_count; t++) {
        double df = 0;
        for (size_t i = 0; i < o->c->n; i++)
            df += count_word(&o->c->docs[i], f, q->terms[t].bytes) > 0;
        if (q->kind == QN_QUERY_PHRASE)
            idf += (double)(float)log(1 + (count - df + 0.5) / (df + 0.5));
        if (df > df_most) df_most = df;
    }
    if (q->kind == QN_QUERY_TERM)
        idf = (double)(float)log(1 + (count - df_most + 0.5) / (df_most + 0.5));
    const float k1 = 1.2f, b = 0.75f;
    float avgdl = (float)(tokens / count);
    float dl = f->id == FIX_TAG ? 1.0f : norm_length(length);
    float weight = boost * o->scale * (float)idf;
    float inverse = 1.0f / (k1 * ((1.0f - b) + b * dl / avgdl));
    return weight - weight / (1.0f + (float)freq * inverse);
}

static verdict judge_words(const oracle *o, const qn_query *q, const test_doc *d,
                           float boost)
{
    verdict v = {false, 0};
    size_t matched = 0;
    for (size_t i = 0; i < q->field_count; i++) {
        const qn_field *f = q->fields[i].field;
        const uint8_t *words;
        unsigned freq = 0;
        for (size_t t = 0; q->kind == QN_QUERY_TERM && t < q->term_count; t++)
            freq += count_word(d, f, q->terms[t].bytes);
        if (q->kind == QN_QUERY_PHRASE) freq = count_phrase(d, q, f);
        if (freq == 0) continue;
        matched++;
        unsigned length = (unsigned)words_of(d, f, &words);
        float score = bm25(o, q, f, freq, length, boost * q->fields[i].boost);
        if (score > v.score) v.score = score;
    }
    v.match = q->every_field ? matched == q->field_count : matched > 0;
    return v;
}

static bool inside(double x, const qn_query_end *low, const qn_query_end *high, bool f)
{
    double l = f ? low->f64 : (double)low->i64, h = f ? high->f64 : (double)high->i64;
    if (low->present && (low->inclusive ? x < l : x <= l)) return false;
    return !high->present || (high->inclusive ? x <= h : x < h);
}

static bool tag_inside(const qn_query *q, const char *tag)
{
    qn_slice s = qn_slice_of(tag);
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    if (low->present) {
        int c = qn_slice_compare(s, low->bytes);
        if (low->inclusive ? c < 0 : c <= 0) return false;
    }
    if (!high->present) return true;
    int c = qn_slice_compare(s, high->bytes);
    return high->inclusive ? c <= 0 : c < 0;
}

static bool in_set(const qn_query *q, const char *tag)
{
    for (size_t i = 0; i < q->term_count; i++)
        if (qn_slice_eq_str(q->terms[i].bytes, tag)) return true;
    return false;
}

static bool tags_match(const qn_query *q, const test_doc *d)
{
    for (size_t i = 0; i < d->tag_n; i++) {
        char tag[8];
        corpus_word(tag, "t", d->tags[i]);
        if (q->kind == QN_QUERY_SET ? in_set(q, tag) : tag_inside(q, tag)) return true;
    }
    return false;
}

static bool judge_value(const qn_query *q, const test_doc *d)
{
    const qn_field *f = q->fields[0].field;
    bool exists = q->kind == QN_QUERY_EXISTS, set = q->kind == QN_QUERY_SET;
    switch (f->id) {
    case FIX_TITLE:
        return d->title_n > 0;
    case FIX_TAG:
    case FIX_CODE:
        return exists ? d->tag_n > 0 : tags_match(q, d);
    case FIX_EMBEDDING:
        return d->has_vector;
    case FIX_YEAR:
        if (exists || !d->has_year) return d->has_year;
        for (size_t i = 0; set && i < q->u.set.count; i++)
            if (q->u.set.values[i] == d->year) return true;
        return !set && inside(d->year, &q->u.range.low, &q->u.range.high, false);
    case FIX_PRICE:
        if (exists || !d->has_year) return d->has_year;
        return inside(d->price, &q->u.range.low, &q->u.range.high, true);
    default: /* weight */
        for (size_t i = 0; i < d->weight_n; i++) {
            if (exists) return true;
            if (inside((double)d->weights[i], &q->u.range.low, &q->u.range.high, true))
                return true;
        }
        return false;
    }
}

static float squared(const test_doc *d, const qn_query *q)
{
    float x = d->vector[0] - q->u.vector.values[0];
    float y = d->vector[1] - q->u.vector.values[1];
    return x * x + y * y;
}

static bool vector_sees(const oracle *o, const qn_query *q, size_t i)
{
    const test_doc *d = &o->c->docs[i];
    if (!d->has_vector || d->deleted) return false;
    float metric = squared(d, q);
    const qn_query_vector *v = &q->u.vector;
    if (v->has_threshold &&
        (v->strict ? metric >= v->threshold : metric > v->threshold))
        return false;
    return v->filter == NULL || judge(o, v->filter, i, 1).match;
}

/* Fewer than k that it sees are nearer. */
static verdict judge_vector(const oracle *o, const qn_query *q, size_t doc, float boost)
{
    if (!vector_sees(o, q, doc)) return (verdict){false, 0};
    float metric = squared(&o->c->docs[doc], q);
    uint32_t nearer = 0;
    for (size_t i = 0; i < o->c->n; i++) {
        if (i == doc || !vector_sees(o, q, i)) continue;
        float other = squared(&o->c->docs[i], q);
        nearer += other < metric || (other == metric && i < doc);
    }
    float score = o->vectors_score ? boost * (1.0f / (1.0f + metric)) : 0.0f;
    return (verdict){nearer < q->u.vector.k, score};
}

static bool any_key(const qn_query *q, const test_doc *d)
{
    for (size_t i = 0; i < q->term_count; i++)
        if (qn_slice_eq_str(q->terms[i].bytes, d->key)) return true;
    return false;
}

static verdict judge_bool(const oracle *o, const qn_query *q, size_t doc, float boost)
{
    const qn_query_bool *b = &q->u.boolean;
    double sum = 0;
    uint32_t matched = 0;
    bool required = b->must.n + b->filter.n > 0;
    if (b->must.n + b->filter.n + b->should.n + b->must_not.n == 0)
        return (verdict){true, boost};
    for (size_t i = 0; i < b->must.n; i++) {
        verdict v = judge(o, b->must.p[i], doc, boost);
        if (!v.match) return v;
        sum += (double)v.score;
    }
    for (size_t i = 0; i < b->filter.n; i++)
        if (!judge(o, b->filter.p[i], doc, boost).match) return (verdict){false, 0};
    for (size_t i = 0; i < b->must_not.n; i++)
        if (judge(o, b->must_not.p[i], doc, boost).match) return (verdict){false, 0};
    for (size_t i = 0; i < b->should.n; i++) {
        verdict v = judge(o, b->should.p[i], doc, boost);
        matched += v.match;
        if (v.match) sum += (double)v.score;
    }
    uint32_t least = b->should_min;
    if (!required && b->should.n > 0 && least == 0) least = 1;
    return (verdict){matched >= least, (float)sum};
}

static verdict judge_dismax(const oracle *o, const qn_query *q, size_t doc, float boost)
{
    verdict best = {false, 0};
    double sum = 0;
    for (size_t i = 0; i < q->u.dismax.children.n; i++) {
        verdict v = judge(o, q->u.dismax.children.p[i], doc, boost);
        if (!v.match) continue;
        best.match = true;
        sum += (double)v.score;
        if (v.score > best.score) best.score = v.score;
    }
    sum -= (double)best.score;
    best.score = (float)((double)best.score + sum * (double)q->u.dismax.tie_breaker);
    return best;
}

static verdict judge(const oracle *o, const qn_query *q, size_t doc, float boost)
{
    const test_doc *d = &o->c->docs[doc];
    boost *= q->boost;
    switch (q->kind) {
    case QN_QUERY_ALL:
        return (verdict){true, boost};
    case QN_QUERY_NONE:
    case QN_QUERY_GEO: /* these documents have no points: test_query_filters */
        return (verdict){false, 0};
    case QN_QUERY_TERM:
    case QN_QUERY_PHRASE:
        return judge_words(o, q, d, boost);
    case QN_QUERY_RANGE:
    case QN_QUERY_SET:
    case QN_QUERY_EXISTS:
        return (verdict){judge_value(q, d), boost};
    case QN_QUERY_IDS:
        return (verdict){any_key(q, d), boost};
    case QN_QUERY_VECTOR:
        return judge_vector(o, q, doc, boost);
    case QN_QUERY_BOOL:
        return judge_bool(o, q, doc, boost);
    case QN_QUERY_DISMAX:
        return judge_dismax(o, q, doc, boost);
    case QN_QUERY_CONSTANT:
        return (verdict){judge(o, q->u.child, doc, 1).match, boost};
    }
    return (verdict){false, 0};
}

/* ---- random corpora and trees ------------------------------------------------------- */

static unsigned below(qn_rng *r, unsigned n)
{
    return (unsigned)(qn_rng_next(r) % n);
}

/* Low numbers are common words. */
static uint8_t random_word(qn_rng *r)
{
    return (uint8_t)(below(r, 3) == 0 ? below(r, 40) : below(r, 5));
}

static void random_doc(qn_rng *r, test_doc *d, size_t number)
{
    *d = (test_doc){0};
    snprintf(d->key, sizeof d->key, "k%zu", number);
    d->title_n = below(r, 6);
    d->body_n = below(r, 8) == 0 ? 0 : below(r, DOC_TOKENS + 1);
    d->tag_n = below(r, DOC_TAGS + 1);
    d->weight_n = below(r, DOC_TAGS + 1);
    for (size_t i = 0; i < d->title_n; i++) d->title[i] = random_word(r);
    for (size_t i = 0; i < d->body_n; i++) d->body[i] = random_word(r);
    for (size_t i = 0; i < DOC_TAGS; i++) {
        d->tags[i] = (uint8_t)(10 + below(r, 12));
        d->weights[i] = (float)below(r, 10) / 2.0f;
    }
    d->has_year = below(r, 5) > 0;
    d->year = 2000 + (int)below(r, 20);
    d->price = (double)below(r, 20) / 4.0;
    d->has_vector = below(r, 6) > 0;
    d->vector[0] = (float)below(r, 9);
    d->vector[1] = (float)below(r, 9);
    d->deleted = below(r, 9) == 0;
}

typedef struct tree_maker {
    qn_rng rng;
    qn_arena *arena;
} tree_maker;

static qn_slice random_term(tree_maker *m, const char *letter, unsigned number)
{
    char word[8];
    corpus_word(word, letter, number);
    return qn_arena_slice(m->arena, qn_slice_of(word));
}

static qn_query *random_words(tree_maker *m, qn_query_kind kind)
{
    qn_query *q = qn_query_new(m->arena, kind, 0);
    bool tag = kind == QN_QUERY_TERM && below(&m->rng, 4) == 0;
    qn_query_field *fields = qn_arena_array(m->arena, 2, sizeof *fields);
    unsigned which = below(&m->rng, 3); /* title, body, both */
    q->field_count = tag || which < 2 ? 1 : 2;
    fields[0] = (qn_query_field){&fix_fields[tag          ? FIX_TAG
                                             : which == 1 ? FIX_BODY
                                                          : FIX_TITLE],
                                 1.0f};
    fields[1] = (qn_query_field){&fix_fields[FIX_BODY], 1.0f};
    if (q->field_count == 2) fields[0].boost = 2.0f;
    q->fields = fields;
    q->every_field =
        q->field_count == 2 && kind == QN_QUERY_TERM && below(&m->rng, 3) == 0;
    q->term_count = kind == QN_QUERY_PHRASE  ? 2 + below(&m->rng, 2)
                    : below(&m->rng, 5) == 0 ? 2
                                             : 1;
    if (tag) q->term_count = 1;
    qn_query_term *terms = qn_arena_array(m->arena, q->term_count, sizeof *terms);
    for (size_t i = 0; i < q->term_count; i++) {
        terms[i].bytes = random_term(
            m, tag ? "t" : "w", tag ? 10 + below(&m->rng, 13) : random_word(&m->rng));
        if (kind == QN_QUERY_PHRASE && i > 0)
            terms[i].position = terms[i - 1].position + below(&m->rng, 5) % 3;
    }
    if (kind == QN_QUERY_PHRASE) terms[1].position += terms[1].position == 0;
    if (kind == QN_QUERY_PHRASE && q->term_count == 3 &&
        terms[2].position < terms[1].position)
        terms[2].position = terms[1].position;
    q->terms = terms;
    return q;
}

static qn_query *random_value(tree_maker *m, qn_query_kind kind)
{
    static const int fields[] = {FIX_YEAR, FIX_PRICE, FIX_WEIGHT,   FIX_TAG,
                                 FIX_CODE, FIX_TITLE, FIX_EMBEDDING};
    qn_query *q = qn_query_new(m->arena, kind, 0);
    qn_query_field *f = qn_arena_new(m->arena, sizeof *f);
    bool exists = kind == QN_QUERY_EXISTS, set = kind == QN_QUERY_SET;
    int id = fields[below(&m->rng, exists ? 7 : 5)];
    if (set) id = (int[]){FIX_YEAR, FIX_TAG, FIX_CODE}[below(&m->rng, 3)];
    *f = (qn_query_field){&fix_fields[id], 1.0f};
    q->fields = f;
    q->field_count = 1;
    if (exists) return q;
    if (set && id == FIX_YEAR) {
        int64_t *values = qn_arena_array(m->arena, 3, sizeof *values);
        for (size_t i = 0; i < 3; i++)
            values[i] = 2000 + (int64_t)(7 * i) + below(&m->rng, 7);
        q->u.set.values = values;
        q->u.set.count = 3;
    } else if (set) {
        qn_query_term *terms = qn_arena_array(m->arena, 2, sizeof *terms);
        terms[0].bytes = random_term(m, "t", 10 + below(&m->rng, 6));
        terms[1].bytes = random_term(m, "t", 16 + below(&m->rng, 6));
        q->terms = terms;
        q->term_count = 2;
    } else {
        qn_query_end *ends[] = {&q->u.range.low, &q->u.range.high};
        for (size_t i = 0; i < 2; i++) {
            unsigned n = (unsigned)i * 8 + below(&m->rng, 12);
            *ends[i] = (qn_query_end){.present = below(&m->rng, 4) > 0,
                                      .inclusive = below(&m->rng, 2) > 0,
                                      .i64 = 2000 + (int64_t)n,
                                      .f64 = (double)n / 4.0,
                                      .bytes = random_term(m, "t", 10 + n)};
            if (id == FIX_YEAR) ends[i]->inclusive = true;
        }
    }
    return q;
}

static const qn_query *random_tree(tree_maker *m, int depth);

static qn_query *random_vector(tree_maker *m, int depth)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_VECTOR, 0);
    qn_query_field *f = qn_arena_new(m->arena, sizeof *f);
    *f = (qn_query_field){&fix_fields[FIX_EMBEDDING], 1.0f};
    q->fields = f;
    q->field_count = 1;
    float *values = qn_arena_array(m->arena, 2, sizeof *values);
    values[0] = (float)below(&m->rng, 9);
    values[1] = (float)below(&m->rng, 9);
    q->u.vector = (qn_query_vector){.values = values,
                                    .k = 1 + below(&m->rng, 20),
                                    .has_threshold = below(&m->rng, 3) == 0,
                                    .strict = below(&m->rng, 2) == 0,
                                    .threshold = (float)below(&m->rng, 20)};
    if (depth > 0 && below(&m->rng, 3) == 0)
        q->u.vector.filter = random_tree(m, depth - 1);
    return q;
}

static qn_query_list random_list(tree_maker *m, int depth, unsigned n)
{
    const qn_query **p = qn_arena_array(m->arena, n + 1, sizeof *p);
    for (unsigned i = 0; i < n; i++) p[i] = random_tree(m, depth - 1);
    /* The same leaf twice, as people write. */
    if (n > 2 && below(&m->rng, 3) == 0) p[1] = p[0];
    return (qn_query_list){p, n};
}

static qn_query *random_inner(tree_maker *m, int depth)
{
    qn_query *q;
    switch (below(&m->rng, 8)) {
    case 0:
        q = qn_query_new(m->arena, QN_QUERY_DISMAX, 0);
        q->u.dismax.children = random_list(m, depth, 1 + below(&m->rng, 3));
        q->u.dismax.tie_breaker = (float[]){0, 0.5f, 1}[below(&m->rng, 3)];
        return q;
    case 1:
        q = qn_query_new(m->arena, QN_QUERY_CONSTANT, 0);
        q->u.child = random_tree(m, depth - 1);
        return q;
    case 2: /* many in one union */
        q = qn_query_new(m->arena, QN_QUERY_BOOL, 0);
        q->u.boolean.should = random_list(m, 1, 3 + below(&m->rng, 5));
        q->u.boolean.should_min = below(&m->rng, 4);
        return q;
    default:
        q = qn_query_new(m->arena, QN_QUERY_BOOL, 0);
        q->u.boolean.must = random_list(m, depth, below(&m->rng, 3));
        q->u.boolean.should = random_list(m, depth, below(&m->rng, 3));
        if (below(&m->rng, 3) == 0)
            q->u.boolean.filter = random_list(m, depth, below(&m->rng, 3));
        if (below(&m->rng, 3) == 0)
            q->u.boolean.must_not = random_list(m, depth, below(&m->rng, 3));
        q->u.boolean.should_min = below(&m->rng, 3);
        if (q->u.boolean.should.n == 0) q->u.boolean.should_min = 0;
        return q;
    }
}

static const qn_query *random_tree(tree_maker *m, int depth)
{
    qn_query *q;
    qn_query_term *key;
    if (depth > 0 && below(&m->rng, 3) > 0) {
        q = random_inner(m, depth);
    } else {
        switch (below(&m->rng, 12)) {
        case 0:
            q = qn_query_new(m->arena, QN_QUERY_ALL, 0);
            break;
        case 1:
            q = qn_query_new(m->arena, QN_QUERY_NONE, 0);
            break;
        case 2:
        case 3:
            q = random_value(m, QN_QUERY_RANGE);
            break;
        case 4:
            q = random_value(m, QN_QUERY_SET);
            break;
        case 5:
            q = random_value(m, QN_QUERY_EXISTS);
            break;
        case 6:
            q = random_words(m, QN_QUERY_PHRASE);
            break;
        case 7:
            q = random_vector(m, depth);
            break;
        case 8:
            q = qn_query_new(m->arena, QN_QUERY_IDS, 0);
            key = qn_arena_array(m->arena, 2, sizeof *key);
            key[0].bytes = random_term(m, "k", below(&m->rng, 300));
            key[1].bytes = random_term(m, "k", below(&m->rng, 300));
            q->terms = key;
            q->term_count = 2;
            break;
        default:
            q = random_words(m, QN_QUERY_TERM);
            break;
        }
    }
    if (below(&m->rng, 4) == 0) q->boost = (float)(1 + below(&m->rng, 8)) / 2.0f;
    return q;
}

/* ---- comparing --------------------------------------------------------------------- */

static qn_status keep_even_years(void *ctx, size_t segment, const uint32_t *docs,
                                 size_t n, bool *keep, qn_error *err)
{
    (void)err;
    const test_corpus *c = ctx;
    for (size_t i = 0; i < n; i++)
        keep[i] = c->docs[c->segments[segment].doc_base + docs[i]].year % 2 == 0;
    return QN_OK;
}

static void check_candidates(const oracle *o, const qn_query *q,
                             const qn_exec_result *r)
{
    size_t at = 0;
    for (size_t i = 0; i < o->c->n; i++) {
        verdict v = judge(o, q, i, 1);
        bool kept = v.match && !o->c->docs[i].deleted;
        bool got = at < r->count && o->c->segments[r->candidates[at].segment].doc_base +
                                            r->candidates[at].doc ==
                                        i;
        if (kept != got)
            T_FAIL("document %zu: wanted %d, got %d", i, (int)kept, (int)got);
        if (!kept) continue;
        float score = r->candidates[at++].score;
        if (!(fabsf(score - v.score) <= 2e-6f * fabsf(v.score)))
            T_FAIL("document %zu: score %.9g, want %.9g", i, (double)score,
                   (double)v.score);
    }
    T_EQ_I(at, r->count);
    T_EQ_I(r->total, r->count);
}

static bool has_vector_leaf(const qn_query *q, qn_arena *arena)
{
    (void)arena;
    qn_buf b = {.alloc = qn_alloc_heap()};
    qn_query_dump(q, &b);
    bool found = strstr(b.p, "(vector") != NULL;
    qn_buf_deinit(&b);
    return found;
}

static void check_best(const qn_exec_result *top, const qn_exec_result *all)
{
    T_EQ_I(top->count, all->count < 7 ? all->count : 7);
    for (size_t i = 0; i < top->count; i++) {
        size_t better = 0;
        qn_candidate a = top->candidates[i];
        for (size_t k = 0; k < all->count; k++) {
            qn_candidate b = all->candidates[k];
            bool earlier =
                b.segment < a.segment || (b.segment == a.segment && b.doc < a.doc);
            better += b.score > a.score || (b.score == a.score && earlier);
        }
        T_EQ_I(better, i);
    }
}

/* The best n of a run are the first n of all, sorted; also when the count may stop. */
static void check_top(const test_corpus *c, const qn_query *q, qn_exec_options options,
                      const qn_exec_result *all, qn_arena *arena)
{
    qn_exec_result top;
    qn_error err;
    options.top_n = 7;
    T_CALL(qn_query_execute(&c->view, q, &options, arena, &top, &err), &err);
    T_EQ_I(top.total, all->total);
    check_best(&top, all);
    options.total_limit = 1;
    T_CALL(qn_query_execute(&c->view, q, &options, arena, &top, &err), &err);
    check_best(&top, all);
    T_OK(top.total_exact ? top.total == all->total : top.total <= all->total);
}

static void run_one(const test_corpus *c, uint64_t seed, bool dsl)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    tree_maker m = {.rng = {seed}, .arena = &arena};
    const qn_query *tree = random_tree(&m, 3), *q;
    qn_error err;
    qn_buf row = {.alloc = qn_alloc_heap()};
    qn_buf_printf(&row, "seed %llu: ", (unsigned long long)seed);
    qn_query_dump(tree, &row);
    T_ROW(row.p);
    qn_exec_options options = {.score_scale = dsl ? 2.2f : 0, .vector_in_score = dsl};
    oracle o = {c, dsl ? 2.2f : 1.0f, dsl, &options};
    if (qn_query_rewrite(&arena, tree, &q, &err) == QN_OK) {
        qn_exec_result r;
        T_CALL(qn_query_execute(&c->view, q, &options, &arena, &r, &err), &err);
        check_candidates(&o, tree, &r);
        check_top(c, q, options, &r, &arena);
        /* A filter takes its documents away; vectors then reach further. */
        if (!has_vector_leaf(q, &arena)) {
            size_t kept = 0;
            for (size_t i = 0; i < r.count; i++)
                kept += c->docs[c->segments[r.candidates[i].segment].doc_base +
                                r.candidates[i].doc]
                                .year %
                            2 ==
                        0;
            options.filter = keep_even_years;
            options.filter_ctx = (void *)(uintptr_t)c;
            T_CALL(qn_query_execute(&c->view, q, &options, &arena, &r, &err), &err);
            T_EQ_I(r.count, kept);
        }
    }
    T_ROW("");
    qn_buf_deinit(&row);
    qn_arena_deinit(&arena);
}

static void run_random(uint64_t seed, size_t docs, size_t segments, size_t trees)
{
    qn_rng rng = {seed};
    test_doc *d = qn_new_array(qn_alloc_heap(), docs, sizeof *d);
    for (size_t i = 0; i < docs; i++) random_doc(&rng, &d[i], i);
    test_corpus c;
    corpus_open(&c, d, docs, segments);
    uint32_t live = 0;
    for (size_t i = 0; i < docs; i++) live += !d[i].deleted;
    T_EQ_I(qn_snapshot_live_count(&c.view), live);
    for (size_t i = 0; i < trees; i++) run_one(&c, seed * 1000 + i, i % 2 == 0);
    qn_filter_cache_stats stats = qn_filter_cache_look(c.filters);
    T_OK(stats.hits > trees / 10 && stats.bytes <= 1 << 17);
    corpus_close(&c);
    qn_delete(qn_alloc_heap(), d);
}

static void test_random_trees(void **state)
{
    (void)state;
    run_random(1, 120, 3, 1200);
    run_random(2, 17, 1, 800);
    run_random(3, 40, 4, 800);
}

/* More documents than a window holds, and lists of several blocks. */
static void test_many_documents(void **state)
{
    (void)state;
    enum { N = 10000 };
    qn_rng rng = {5};
    test_doc *d = qn_new_array(qn_alloc_heap(), N, sizeof *d);
    for (size_t i = 0; i < N; i++) {
        random_doc(&rng, &d[i], i);
        d[i].body_n = d[i].body_n % 4;
    }
    test_corpus c;
    corpus_open(&c, d, N, 1);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_query_field title = {&fix_fields[FIX_TITLE], 1};
    for (unsigned at_least = 1; at_least <= 3; at_least++) {
        qn_query leaves[3] = {0}, tree = {.kind = QN_QUERY_BOOL, .boost = 1};
        qn_query_term terms[3];
        const qn_query *list[3];
        for (unsigned i = 0; i < 3; i++) {
            terms[i] =
                (qn_query_term){{(const char *[]){"w0", "w3", "w17"}[i], 2 + i / 2}, 0};
            leaves[i] = (qn_query){.kind = QN_QUERY_TERM,
                                   .boost = 1,
                                   .fields = &title,
                                   .field_count = 1,
                                   .terms = &terms[i],
                                   .term_count = 1};
            list[i] = &leaves[i];
        }
        tree.u.boolean = (qn_query_bool){.should = {list, 3}, .should_min = at_least};
        const qn_exec_options options = {0};
        qn_exec_result r;
        qn_error err;
        T_CALL(qn_query_execute(&c.view, &tree, &options, &arena, &r, &err), &err);
        size_t at = 0;
        for (size_t i = 0; i < N; i++) {
            unsigned matched = 0;
            for (unsigned t = 0; t < 3; t++)
                matched += count_word(&d[i], title.field, terms[t].bytes) > 0;
            if (matched < at_least || d[i].deleted) continue;
            T_OK(at < r.count && r.candidates[at].doc == i);
            at++;
        }
        T_EQ_I(at, r.count);
    }
    qn_arena_deinit(&arena);
    corpus_close(&c);
    qn_delete(qn_alloc_heap(), d);
}

/* Unions of words over lists of many blocks: pruned runs give what full runs give, bit by
 * bit, and do pass documents over. */
static void test_pruning(void **state)
{
    (void)state;
    enum { N = 20000, WORDS = 5 };
    qn_rng rng = {11};
    test_doc *d = qn_new_array(qn_alloc_heap(), N, sizeof *d);
    for (size_t i = 0; i < N; i++) random_doc(&rng, &d[i], i);
    test_corpus c;
    corpus_open(&c, d, N, 2);
    size_t pruned = 0;
    for (unsigned run = 0; run < 60; run++) {
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        tree_maker m = {.rng = {run}, .arena = &arena};
        qn_query *q = qn_query_new(&arena, QN_QUERY_BOOL, 0);
        const qn_query *words[WORDS];
        size_t n = 1 + below(&m.rng, WORDS);
        for (size_t i = 0; i < n;) {
            qn_query *w = random_words(&m, QN_QUERY_TERM);
            w->boost = (float)(1 + below(&m.rng, 4));
            if (w->field_count == 1 && w->term_count == 1) words[i++] = w;
        }
        q->u.boolean = (qn_query_bool){.should = {words, n}, .should_min = 1};
        qn_exec_options options = {.top_n = 1 + below(&m.rng, 30)};
        qn_exec_result full, fast;
        qn_error err;
        T_CALL(qn_query_execute(&c.view, q, &options, &arena, &full, &err), &err);
        options.total_limit = 100;
        T_CALL(qn_query_execute(&c.view, q, &options, &arena, &fast, &err), &err);
        T_EQ_I(fast.count, full.count);
        T_OK(memcmp(fast.candidates, full.candidates,
                    full.count * sizeof *full.candidates) == 0);
        T_OK(fast.total_exact ? fast.total == full.total : fast.total <= full.total);
        T_OK(fast.total >= (full.total < 100 ? full.total : 100));
        pruned += fast.total < full.total;
        qn_arena_deinit(&arena);
    }
    T_OK(pruned > 30);
    corpus_close(&c);
    qn_delete(qn_alloc_heap(), d);
}

/* ---- known values -------------------------------------------------------------------- */

/* Four documents that say a word 1, 2, 3 and 4 times: the scores that Elasticsearch's
 * documentation prints. */
static void test_printed_scores(void **state)
{
    (void)state;
    static const float want[] = {0.13963442f, 0.15350538f, 0.15876243f, 0.16152832f};
    test_doc d[4] = {{.title_n = 1}, {.title_n = 2}, {.title_n = 3}, {.title_n = 4}};
    for (size_t i = 0; i < 4; i++) snprintf(d[i].key, sizeof d[i].key, "%zu", i);
    test_corpus c;
    corpus_open(&c, d, 4, 2);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_query_field title = {&fix_fields[FIX_TITLE], 1};
    qn_query_term term = {{"w0", 2}, 0};
    qn_query q = {.kind = QN_QUERY_TERM,
                  .boost = 1,
                  .fields = &title,
                  .field_count = 1,
                  .terms = &term,
                  .term_count = 1};
    const qn_exec_options options = {.score_scale = 2.2f, .top_n = 10};
    qn_exec_result r;
    qn_error err;
    T_CALL(qn_query_execute(&c.view, &q, &options, &arena, &r, &err), &err);
    T_EQ_I(r.count, 4);
    for (size_t i = 0; i < 4; i++) {
        uint32_t doc =
            c.segments[r.candidates[i].segment].doc_base + r.candidates[i].doc;
        T_EQ_I(doc, 3 - i);
        T_OK(r.candidates[i].score == want[3 - i]);
    }
    T_OK(r.max_score == want[3]);
    qn_arena_deinit(&arena);
    corpus_close(&c);
}

/* ---- options, limits, failures -------------------------------------------------------- */

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

static void open_some(test_corpus *c, test_doc *d, size_t n)
{
    qn_rng rng = {9};
    for (size_t i = 0; i < n; i++) random_doc(&rng, &d[i], i);
    corpus_open(c, d, n, 2);
}

static void test_options(void **state)
{
    (void)state;
    test_doc d[60];
    test_corpus c;
    open_some(&c, d, 60);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_error err;
    qn_exec_result all, r;
    const qn_query *q = parse(&arena, "title:w0 OR vector:'3,3&n=5&sf=50'");
    qn_exec_options o = {0};
    T_CALL(qn_query_execute(&c.view, q, &o, &arena, &all, &err), &err);
    T_OK(all.count > 5 && all.total_exact && !all.timed_out);
    T_EQ_I(all.vector_count, 1);
    T_EQ_I(all.vectors[0].count, 5);
    size_t recalled = 0;
    for (size_t i = 0; i < all.count; i++) {
        float metric;
        const qn_candidate *x = &all.candidates[i];
        bool found =
            qn_exec_vector_metric(&all, FIX_EMBEDDING, x->segment, x->doc, &metric);
        recalled += found;
        const test_doc *doc = &d[c.segments[x->segment].doc_base + x->doc];
        if (found) T_OK(metric == squared(doc, all.vectors[0].leaf));
        if (count_word(doc, &fix_fields[FIX_TITLE], QN_SLICE_LIT("w0")) == 0)
            T_OK(found && x->score == 0.0f);
    }
    T_EQ_I(recalled, 5);

    T_ROW("min_score");
    o.has_min_score = true;
    o.min_score = 1e-6f;
    T_CALL(qn_query_execute(&c.view, q, &o, &arena, &r, &err), &err);
    T_OK(r.count < all.count && r.count > 0);
    for (size_t i = 0; i < r.count; i++) T_OK(r.candidates[i].score > 0);

    T_ROW("no scores");
    o = (qn_exec_options){.no_scores = true};
    T_CALL(qn_query_execute(&c.view, q, &o, &arena, &r, &err), &err);
    T_EQ_I(r.count, all.count);
    T_OK(r.max_score == 0.0f);

    T_ROW("candidates_max");
    o = (qn_exec_options){.candidates_max = all.count};
    T_CALL(qn_query_execute(&c.view, q, &o, &arena, &r, &err), &err);
    o.candidates_max--;
    T_EQ_I(qn_query_execute(&c.view, q, &o, &arena, &r, &err), QN_ELIMIT);

    T_ROW("deadline");
    qn_deadline passed = {.at_ns = 1};
    o = (qn_exec_options){.deadline = &passed};
    T_CALL(qn_query_execute(&c.view, q, &o, &arena, &r, &err), &err);
    T_OK(r.timed_out && !r.total_exact);

    T_ROW("filter before the nearest are taken");
    o = (qn_exec_options){.filter = keep_even_years, .filter_ctx = &c};
    q = parse(&arena, "vector:'3,3&n=5'");
    T_CALL(qn_query_execute(&c.view, q, &o, &arena, &r, &err), &err);
    T_EQ_I(r.count, 5);
    for (size_t i = 0; i < r.count; i++)
        T_EQ_I(
            d[c.segments[r.candidates[i].segment].doc_base + r.candidates[i].doc].year %
                2,
            0);
    qn_arena_deinit(&arena);
    corpus_close(&c);
}

static void test_vector_scores(void **state)
{
    (void)state;
    qn_field f = {.dims = 4, .metric = QN_METRIC_L2};
    T_OK(qn_vector_score(&f, 3.0f) == 0.25f);
    f.metric = QN_METRIC_COSINE;
    T_OK(qn_vector_score(&f, 0.5f) == 0.75f);
    f.metric = QN_METRIC_DOT;
    T_OK(qn_vector_score(&f, -3.0f) == 0.0f);
    f.any_length = true;
    T_OK(qn_vector_score(&f, -3.0f) == 0.25f);
    T_OK(qn_vector_score(&f, 5.0f) == 6.0f);
    f.any_length = false;
    f.element = QN_ELEMENT_I8;
    T_OK(qn_vector_score(&f, 131072.0f) == 1.5f);
}

/* Each allocation of a run fails in turn. */
static void test_no_memory(void **state)
{
    (void)state;
    test_doc d[40];
    test_corpus c;
    open_some(&c, d, 40);
    qn_arena text;
    qn_arena_init(&text, qn_alloc_heap(), 0);
    const qn_query *q = parse(
        &text, "(title:\"w0 w1\" OR body:'w2 w3' OR body:w2|w4) AND year:[2000,2030] "
               "ANDNOT tag:t10 RANK vector:'1,1&n=9' RANK default(title,body):w0");
    qn_status st = QN_ENOMEM;
    for (long n = 1; st != QN_OK; n++) {
        qn_alloc alloc = {.fail_countdown = n};
        qn_arena arena;
        qn_arena_init(&arena, &alloc, 0);
        const qn_exec_options options = {.top_n = 5};
        qn_exec_result r;
        qn_error err;
        st = qn_query_execute(&c.view, q, &options, &arena, &r, &err);
        T_OK(st == QN_OK || st == QN_ENOMEM);
        T_OK(n < 10000);
        qn_arena_deinit(&arena);
        T_EQ_I(alloc.live_bytes, 0);
    }
    qn_arena_deinit(&text);
    corpus_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_trees), cmocka_unit_test(test_many_documents),
        cmocka_unit_test(test_pruning),      cmocka_unit_test(test_printed_scores),
        cmocka_unit_test(test_options),      cmocka_unit_test(test_vector_scores),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
