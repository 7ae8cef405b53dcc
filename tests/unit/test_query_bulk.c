/* SPDX-License-Identifier: Apache-2.0 */
/* The bulk executors against the walk document by document: the same best documents and
 * scores, bit by bit, over lists of many blocks and super-blocks, several segments,
 * deletions, filters, least scores and every way of counting. */
#include "base/pool.h"
#include "num/kernels.h"
#include "num/lists.h"
#include "query/filter_cache.h"
#include "query/phrase_sloppy.h"
#include "query_corpus.h"

enum { DOCS = 24000, SEGMENTS = 3, TREES = 700 };

static unsigned below(qn_rng *r, unsigned n)
{
    return (unsigned)(qn_rng_next(r) % n);
}

/* ---- the corpus --------------------------------------------------------------------- */

/* Low numbers are common; which of the others, changes along the documents, so that the
 * bounds of blocks differ. */
static uint8_t skewed_word(qn_rng *r, size_t doc)
{
    unsigned n = below(r, 1u << (1 + below(r, 8)));
    if (n >= 8 && below(r, 3) > 0) n = 8 + (n + (unsigned)(doc / 1500) * 13) % 248;
    return (uint8_t)n;
}

static void skewed_doc(qn_rng *r, test_doc *d, size_t number)
{
    *d = (test_doc){0};
    snprintf(d->key, sizeof d->key, "k%u", (unsigned)number);
    d->title_n = below(r, 5);
    d->body_n =
        below(r, 20) == 0 ? 0 : 1 + below(r, below(r, 4) == 0 ? DOC_TOKENS : 12);
    for (size_t i = 0; i < d->title_n; i++) d->title[i] = skewed_word(r, number);
    uint8_t again = skewed_word(r, number);
    for (size_t i = 0; i < d->body_n; i++)
        d->body[i] = below(r, 5) == 0 ? again : skewed_word(r, number);
    d->tag_n = 1 + below(r, 2);
    d->tags[0] = (uint8_t)(10 + below(r, 2));            /* half */
    d->tags[1] = (uint8_t)(below(r, 40) == 0 ? 13 : 12); /* most, few */
    d->has_year = true;
    d->year = 2000 + (int)below(r, 20);
    d->deleted = below(r, 30) == 0;
}

/* ---- queries ------------------------------------------------------------------------- */

typedef struct maker {
    qn_rng rng;
    qn_arena *arena;
} maker;

static const qn_query_field *one_field(maker *m, int id, float boost)
{
    qn_query_field *f = qn_arena_new(m->arena, sizeof *f);
    *f = (qn_query_field){&fix_fields[id], boost};
    return f;
}

static qn_slice term_bytes(maker *m, const char *letter, unsigned n)
{
    char word[8];
    corpus_word(word, letter, n);
    return qn_arena_slice(m->arena, qn_slice_of(word));
}

static const qn_query *word_in(maker *m, int field)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_TERM, 0);
    qn_query_term *t = qn_arena_new(m->arena, sizeof *t);
    t->bytes = term_bytes(m, "w", skewed_word(&m->rng, below(&m->rng, DOCS)));
    q->terms = t;
    q->term_count = 1;
    q->fields = one_field(m, field, 1.0f);
    q->field_count = 1;
    if (below(&m->rng, 5) == 0) q->boost = (float)below(&m->rng, 7) / 2.0f;
    return q;
}

/* The best of two fields. */
static const qn_query *word_in_both(maker *m)
{
    const qn_query *w = word_in(m, FIX_BODY);
    qn_query *q = qn_query_new(m->arena, QN_QUERY_TERM, 0);
    qn_query_field *f = qn_arena_array(m->arena, 2, sizeof *f);
    f[0] = (qn_query_field){&fix_fields[FIX_TITLE], 2.0f};
    f[1] = (qn_query_field){&fix_fields[FIX_BODY], 1.0f};
    *q = *w;
    q->fields = f;
    q->field_count = 2;
    return q;
}

static const qn_query *some_word(maker *m)
{
    unsigned which = below(&m->rng, 8);
    return which == 0 ? word_in_both(m) : word_in(m, which == 1 ? FIX_TITLE : FIX_BODY);
}

static const qn_query *phrase(maker *m)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_PHRASE, 0);
    size_t n = 2 + below(&m->rng, 2);
    qn_query_term *t = qn_arena_array(m->arena, n, sizeof *t);
    for (size_t i = 0; i < n; i++) {
        t[i].bytes = term_bytes(m, "w", skewed_word(&m->rng, 0) % 24);
        t[i].position = (uint32_t)i + (i > 0 && below(&m->rng, 6) == 0);
    }
    if (n == 3 && t[2].position <= t[1].position) t[2].position = t[1].position + 1;
    q->terms = t;
    q->term_count = n;
    q->slop = below(&m->rng, 3) == 0 ? 1 + below(&m->rng, 4) : 0;
    q->fields = one_field(m, FIX_BODY, 1.0f);
    q->field_count = 1;
    return q;
}

static const qn_query *tag(maker *m)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_TERM, 0);
    qn_query_term *t = qn_arena_new(m->arena, sizeof *t);
    t->bytes = term_bytes(m, "t", 10 + below(&m->rng, 4));
    q->terms = t;
    q->term_count = 1;
    q->fields = one_field(m, FIX_TAG, 1.0f);
    q->field_count = 1;
    return q;
}

static const qn_query *years(maker *m)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_RANGE, 0);
    int64_t low = 2000 + (int64_t)below(&m->rng, 20);
    q->u.range.low = (qn_query_end){.present = true, .inclusive = true, .i64 = low};
    q->u.range.high = (qn_query_end){
        .present = true, .inclusive = true, .i64 = low + (int64_t)below(&m->rng, 8)};
    q->fields = one_field(m, FIX_YEAR, 1.0f);
    q->field_count = 1;
    return q;
}

static const qn_query *some_filter(maker *m)
{
    return below(&m->rng, 2) == 0 ? tag(m) : years(m);
}

typedef const qn_query *make_fn(maker *m);

static qn_query_list list_of(maker *m, unsigned n, make_fn *make)
{
    const qn_query **p = qn_arena_array(m->arena, n + 1, sizeof *p);
    for (unsigned i = 0; i < n; i++) p[i] = make(m);
    return (qn_query_list){p, n};
}

static const qn_query *must_clause(maker *m)
{
    return below(&m->rng, 4) == 0 ? phrase(m) : word_in(m, FIX_BODY);
}

static qn_query *union_of_words(maker *m)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_BOOL, 0);
    q->u.boolean.should = list_of(m, 1 + below(&m->rng, 5), some_word);
    q->u.boolean.should_min = 1;
    return q;
}

static qn_query *both_fields(maker *m)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_DISMAX, 0);
    const qn_query **p = qn_arena_array(m->arena, 2, sizeof *p);
    unsigned n = 1 + below(&m->rng, 3);
    for (unsigned f = 0; f < 2; f++) {
        qn_query *one = qn_query_new(m->arena, QN_QUERY_BOOL, 0);
        const qn_query **words = qn_arena_array(m->arena, n, sizeof *words);
        for (unsigned i = 0; i < n; i++)
            words[i] = word_in(m, f == 0 ? FIX_TITLE : FIX_BODY);
        one->u.boolean = (qn_query_bool){.should = {words, n}, .should_min = 1};
        if (f == 0) one->boost = 1.5f;
        p[f] = one;
    }
    q->u.dismax.children = (qn_query_list){p, 2};
    q->u.dismax.tie_breaker = (float[]){0, 0, 0.3f, 1}[below(&m->rng, 4)];
    return q;
}

static qn_query *required(maker *m)
{
    qn_query *q = qn_query_new(m->arena, QN_QUERY_BOOL, 0);
    q->u.boolean.must = list_of(m, 1 + below(&m->rng, 3), must_clause);
    if (below(&m->rng, 3) == 0) {
        q->u.boolean.should = list_of(m, 1 + below(&m->rng, 3), some_word);
        q->u.boolean.should_min = below(&m->rng, 2);
    }
    return q;
}

/* Something with scores, then perhaps filters and exclusions around or beside it. */
static const qn_query *some_query(maker *m)
{
    qn_query *q;
    switch (below(&m->rng, 8)) {
    case 0:
        q = (qn_query *)(uintptr_t)some_word(m);
        break;
    case 1:
        q = (qn_query *)(uintptr_t)phrase(m);
        break;
    case 2:
        q = both_fields(m);
        break;
    case 3:
    case 4:
        q = required(m);
        break;
    default:
        q = union_of_words(m);
        break;
    }
    if (below(&m->rng, 2) == 0) return q;
    qn_query *around = q;
    if (q->kind != QN_QUERY_BOOL || below(&m->rng, 2) == 0) {
        const qn_query **p = qn_arena_array(m->arena, 1, sizeof *p);
        p[0] = q;
        around = qn_query_new(m->arena, QN_QUERY_BOOL, 0);
        around->u.boolean.must = (qn_query_list){p, 1};
    }
    around->u.boolean.filter = list_of(m, below(&m->rng, 3), some_filter);
    if (below(&m->rng, 2) == 0) around->u.boolean.must_not = list_of(m, 1, some_word);
    return around;
}

/* ---- comparing ----------------------------------------------------------------------- */

static qn_status keep_most(void *ctx, size_t segment, const uint32_t *docs, size_t n,
                           bool *keep, qn_error *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = 0; i < n; i++) keep[i] = (docs[i] + segment) % 3 != 0;
    return QN_OK;
}

static qn_pool *pool; /* NULL: segments in turn */

static void random_options(maker *m, qn_exec_options *o)
{
    static const size_t tops[] = {1, 3, 10, 10, 100, 1000};
    static const int64_t limits[] = {0, 1, 1, 100, 5000};
    *o = (qn_exec_options){.top_n = tops[below(&m->rng, 6)],
                           .total_limit = limits[below(&m->rng, 5)],
                           .pool = pool,
                           .pool_from = 1};
    if (below(&m->rng, 8) == 0) o->top_n = 0;
    if (below(&m->rng, 6) == 0) o->filter = keep_most;
    if (below(&m->rng, 6) == 0) {
        o->has_min_score = true;
        o->min_score = (float)below(&m->rng, 60) / 10.0f;
    }
}

static void compare(const test_corpus *c, const qn_query *q, qn_exec_options o,
                    qn_arena *arena, size_t *behind)
{
    qn_exec_result fast, plain;
    qn_error err;
    T_CALL(qn_query_execute(&c->view, q, &o, arena, &fast, &err), &err);
    qn_exec_options by_document = o;
    by_document.by_document = true;
    by_document.pool = NULL;
    T_CALL(qn_query_execute(&c->view, q, &by_document, arena, &plain, &err), &err);
    T_EQ_I(fast.count, plain.count);
    for (size_t i = 0; i < fast.count; i++) {
        const qn_candidate *a = &fast.candidates[i], *b = &plain.candidates[i];
        if (a->segment != b->segment || a->doc != b->doc || a->score != b->score)
            T_FAIL("rank %zu: %u.%u %.9g, want %u.%u %.9g", i, a->segment, a->doc,
                   (double)a->score, b->segment, b->doc, (double)b->score);
    }
    T_OK(fast.max_score == plain.max_score || fast.count == 0);
    T_OK(plain.total_exact);
    if (fast.total_exact) {
        T_EQ_I(fast.total, plain.total);
    } else {
        T_OK(o.total_limit > 0 && fast.total <= plain.total);
        T_OK(fast.total >= (uint64_t)o.total_limit);
        *behind += fast.total < plain.total;
    }
}

static void run_all_trees(test_corpus *c, uint64_t seed)
{
    size_t behind = 0;
    for (uint64_t i = 0; i < TREES; i++) {
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        maker m = {.rng = {seed + i}, .arena = &arena};
        const qn_query *q = some_query(&m), *simple;
        qn_error err;
        qn_buf row = {.alloc = qn_alloc_heap()};
        qn_exec_options o;
        random_options(&m, &o);
        qn_buf_printf(&row, "seed %llu top %zu limit %lld filter %d min %g: ",
                      (unsigned long long)(seed + i), o.top_n, (long long)o.total_limit,
                      o.filter != NULL, o.has_min_score ? (double)o.min_score : -1.0);
        qn_query_dump(q, &row);
        T_ROW(row.p);
        T_CALL(qn_query_rewrite(&arena, q, &simple, &err), &err);
        compare(c, simple, o, &arena, &behind);
        T_ROW("");
        qn_buf_deinit(&row);
        qn_arena_deinit(&arena);
    }
    T_OK(behind > TREES / 20); /* pruning does happen */
}

static void run_corpus(size_t docs, size_t segments, bool with_deletions,
                       bool with_cache)
{
    qn_rng rng = {segments + (with_deletions ? 10 : 0)};
    test_doc *d = qn_new_array(qn_alloc_heap(), docs, sizeof *d);
    for (size_t i = 0; i < docs; i++) {
        skewed_doc(&rng, &d[i], i);
        d[i].deleted = d[i].deleted && with_deletions;
    }
    test_corpus c;
    corpus_open(&c, d, docs, segments);
    qn_filter_cache *cache = NULL;
    qn_error err;
    if (with_cache) {
        T_CALL(qn_filter_cache_create(qn_alloc_heap(), 1 << 24, QN_FILTER_DOCS_MIN,
                                      &cache, &err),
               &err);
        c.view.filters = cache;
        for (size_t i = 0; i < segments; i++) c.segments[i].uid = i + 1;
    }
    run_all_trees(&c, segments * 100000 + (with_cache ? 50000 : 0));
    qn_filter_cache_destroy(cache);
    corpus_close(&c);
    qn_delete(qn_alloc_heap(), d);
}

static void test_one_segment(void **state)
{
    (void)state;
    run_corpus(DOCS, 1, false, true);
}

static void test_deletions(void **state)
{
    (void)state;
    run_corpus(DOCS, 1, true, false);
}

static void test_segments(void **state)
{
    (void)state;
    run_corpus(DOCS, SEGMENTS, true, true);
}

/* Segments at the same time, with one floor. */
static void test_pool(void **state)
{
    (void)state;
    qn_error err;
    T_CALL(qn_pool_create(qn_alloc_heap(), 2, &pool, &err), &err);
    run_corpus(DOCS, SEGMENTS, true, true);
    qn_pool_destroy(pool);
    pool = NULL;
}

/* ---- phrases with slop ------------------------------------------------------------------ */

/* Frequencies that Lucene finds. A letter is a word, a dot some other. */
static const struct {
    const char *text, *phrase;
    uint32_t slop;
    float freq;
} sloppy_rows[] = {
    {"ab", "ab", 1, 1.0f},        {"a.b", "ab", 1, 0.5f},
    {"a..b", "ab", 1, 0.0f},      {"a..b", "ab", 2, 1.0f / 3.0f},
    {"ba", "ab", 1, 0.0f}, /* two words change places: two moves */
    {"ba", "ab", 2, 1.0f / 3.0f}, {"ab.ab", "ab", 1, 2.0f},
    {"aab", "ab", 3, 1.0f}, /* the nearest of two counts */
    {"a.bc", "abc", 1, 0.5f},     {"a.b.c", "abc", 2, 1.0f / 3.0f},
    {"a", "aa", 5, 0.0f}, /* no occurrence counts twice */
    {"aa", "aa", 1, 1.0f},        {"a.a", "aa", 1, 0.5f},
    {"aba", "aba", 1, 1.0f},
};

static void test_sloppy(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof sloppy_rows / sizeof *sloppy_rows; r++) {
        const char *text = sloppy_rows[r].text, *phrase = sloppy_rows[r].phrase;
        uint32_t positions[8][8];
        qn_sloppy_word words[8] = {0};
        size_t n = strlen(phrase);
        T_ROW(text);
        bool all = true;
        for (size_t i = 0; i < n; i++) {
            words[i].offset = (uint32_t)i;
            words[i].same = (uint32_t)(strchr(phrase, phrase[i]) - phrase);
            words[i].positions = positions[i];
            for (uint32_t at = 0; text[at] != '\0'; at++)
                if (text[at] == phrase[i]) positions[i][words[i].count++] = at;
            all = all && words[i].count > 0;
        }
        T_OK(all);
        T_OK(qn_sloppy_freq(words, n, sloppy_rows[r].slop) == sloppy_rows[r].freq);
    }
    T_ROW("");
}

/* ---- kernels ------------------------------------------------------------------------------ */

static void check_meet(const qn_lists *k, qn_rng *rng, size_t count)
{
    uint32_t list[QN_LIST_BLOCK + QN_LIST_SPARE], wanted[100];
    uint8_t which[100], places[100];
    uint32_t doc = below(rng, 5);
    for (size_t i = 0; i < QN_LIST_BLOCK + QN_LIST_SPARE; i++) {
        list[i] = doc; /* what stands behind the list may be found by mistake */
        doc += 1 + below(rng, i % 3 == 0 ? 1u << 24 : 4);
    }
    size_t want = 0;
    for (size_t i = 0; i < 100; i++)
        wanted[i] = list[below(rng, QN_LIST_BLOCK)] + (below(rng, 3) == 0);
    size_t found = k->meet(list, count, wanted, 100, which, places);
    for (size_t i = 0; i < 100; i++) {
        size_t at = 0;
        while (at < count && list[at] != wanted[i]) at++;
        if (at == count) continue;
        T_OK(want < found);
        T_EQ_I(which[want], i);
        T_EQ_I(places[want++], at);
    }
    T_EQ_I(found, want);
}

static void check_take(const qn_lists *k, qn_rng *rng)
{
    double x[64], before[64], out[72];
    uint64_t among = qn_rng_next(rng) & (below(rng, 2) == 0 ? UINT64_MAX : 0xFF00FF);
    size_t others = 7, kept = 0, left = 0;
    for (size_t i = 0; i < 64; i++) before[i] = x[i] = (double)below(rng, 5);
    uint64_t mask = k->take_above(x, among, 2.0, out, &others);
    for (size_t i = 0; i < 64; i++) {
        bool marked = (among >> i & 1) != 0, good = marked && before[i] > 2.0;
        T_EQ_I(mask >> i & 1, good);
        if (good) T_OK(out[kept++] == before[i]);
        left += marked && !good;
        T_OK(x[i] == 0);
    }
    T_EQ_I(others, 7 + left);
}

/* take_positive() is take_above() among those above nought. */
static void check_take_positive(const qn_lists *k, qn_rng *rng)
{
    double x[64], y[64], out[72], want[72];
    uint64_t among = 0;
    size_t others = 3, want_others = 3;
    double least = (double)below(rng, 4) - 1.0;
    for (size_t i = 0; i < 64; i++) {
        x[i] = y[i] = (double)below(rng, 4);
        among |= (uint64_t)(x[i] > 0) << i;
    }
    uint64_t wanted = k->take_above(y, among, least, want, &want_others);
    T_EQ_I(k->take_positive(x, least, out, &others), wanted);
    T_EQ_I(others, want_others);
    size_t n = (size_t)__builtin_popcountll(wanted);
    for (size_t i = 0; i < n; i++) T_OK(out[i] == want[i]);
    for (size_t i = 0; i < 64; i++) T_OK(x[i] == 0);
}

static void test_kernels(void **state)
{
    (void)state;
    qn_rng rng = {3};
    for (size_t s = 0; s < qn_kernel_set_count; s++) {
        if (!qn_kernel_sets[s].usable()) continue;
        T_ROW(qn_kernel_sets[s].name);
        for (size_t count = 1; count <= QN_LIST_BLOCK; count++)
            check_meet(qn_kernel_sets[s].lists, &rng, count);
        for (size_t i = 0; i < 200; i++) {
            check_take(qn_kernel_sets[s].lists, &rng);
            check_take_positive(qn_kernel_sets[s].lists, &rng);
        }
    }
    T_ROW("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_segment), cmocka_unit_test(test_deletions),
        cmocka_unit_test(test_segments),    cmocka_unit_test(test_pool),
        cmocka_unit_test(test_sloppy),      cmocka_unit_test(test_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
