/* SPDX-License-Identifier: Apache-2.0 */
/* The best by sort keys against all matches sorted: every kind of key, missing values,
 * several values, ties, deletions, several segments; pages by search_after cover every
 * document exactly once; documents are passed over only where the total may be inexact. */
#include "query_corpus.h"

#include "query/sort.h"

#include <math.h>

enum { DOCS = 5000, SEGMENTS = 3, KEYS_MAX = 3 };

static unsigned below(qn_rng *rng, unsigned n)
{
    return (unsigned)(qn_rng_next(rng) % n);
}

/* Years rise with the document (`rising`) or fall, roughly, so that blocks differ. */
static void make_docs(test_doc *d, bool rising, qn_rng *rng)
{
    for (unsigned i = 0; i < DOCS; i++) {
        test_doc *one = &d[i];
        unsigned place = rising ? i : DOCS - i;
        snprintf(one->key, sizeof one->key, "k%u", i);
        one->title_n = 1 + below(rng, 3);
        for (size_t k = 0; k < one->title_n; k++)
            one->title[k] = (uint8_t)below(rng, 4);
        one->has_year = below(rng, 12) != 0;
        one->year = (int)(place / 8 + below(rng, 40)) - 200;
        one->price = (double)below(rng, 40) / 4 - 2;
        if (below(rng, 30) == 0) one->price = -0.0;
        one->weight_n = below(rng, 4);
        for (size_t k = 0; k < one->weight_n; k++)
            one->weights[k] = (float)below(rng, 30) - 9.5f;
        one->tag_n = below(rng, 3);
        for (size_t k = 0; k < one->tag_n; k++) one->tags[k] = (uint8_t)below(rng, 25);
        one->deleted = below(rng, 9) == 0;
    }
}

/* ---- the plain meaning ----------------------------------------------------------------- */

typedef struct plain_value {
    bool missing;
    double number;
    char text[8];
} plain_value;

typedef struct plain_row {
    uint32_t doc;
    plain_value v[KEYS_MAX];
} plain_row;

typedef struct plain_sort {
    const qn_sort_key *keys;
    size_t n;
} plain_sort;

static int compare_f64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double plain_fold(const qn_sort_key *k, double *v, size_t n)
{
    double sum = 0;
    qn_sort_mode mode = k->mode;
    if (mode == QN_SORT_MODE_DEFAULT)
        mode = k->descending ? QN_SORT_MODE_MAX : QN_SORT_MODE_MIN;
    qsort(v, n, sizeof *v, compare_f64);
    for (size_t i = 0; i < n; i++) sum += v[i];
    switch (mode) {
    case QN_SORT_MODE_MIN:
        return v[0];
    case QN_SORT_MODE_MAX:
        return v[n - 1];
    case QN_SORT_MODE_SUM:
        return sum;
    case QN_SORT_MODE_AVG:
        return sum / (double)n;
    default:
        return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
    }
}

static size_t plain_numbers(const qn_sort_key *k, const test_doc *d, double *v)
{
    size_t n = 0;
    if (k->field->id == FIX_YEAR && d->has_year) v[n++] = d->year;
    if (k->field->id == FIX_PRICE && d->has_year) v[n++] = d->price;
    if (k->field->id == FIX_WEIGHT)
        for (; n < d->weight_n; n++) v[n] = (double)d->weights[n];
    return n;
}

static plain_value plain_text(const qn_sort_key *k, const test_doc *d)
{
    plain_value out = {.missing = d->tag_n == 0};
    bool greatest =
        k->mode == QN_SORT_MODE_DEFAULT ? k->descending : k->mode == QN_SORT_MODE_MAX;
    for (size_t i = 0; i < d->tag_n; i++) {
        char one[8];
        corpus_word(one, "t", d->tags[i]);
        int order = i == 0 ? 0 : strcmp(one, out.text);
        if (i == 0 || (greatest ? order > 0 : order < 0))
            memcpy(out.text, one, sizeof one);
    }
    return out;
}

static plain_value plain_value_of(const qn_sort_key *k, const test_doc *d, uint32_t doc,
                                  float score)
{
    plain_value out = {0};
    double v[DOC_TAGS + 1];
    if (k->kind == QN_SORT_SCORE) {
        out.number = (double)score;
    } else if (k->kind == QN_SORT_DOC) {
        out.number = doc;
    } else if (k->field->type == QN_FIELD_KEYWORD) {
        out = plain_text(k, d);
        if (out.missing && k->missing == QN_MISSING_VALUE)
            snprintf(out.text, sizeof out.text, "%.*s", QN_SLICE_ARG(k->missing_text));
    } else {
        size_t n = plain_numbers(k, d, v);
        out.missing = n == 0;
        if (n > 0) out.number = plain_fold(k, v, n);
        if (k->field->type == QN_FIELD_FLOAT) out.number = (double)(float)out.number;
        if (n == 0 && k->missing == QN_MISSING_VALUE)
            T_OK(qn_slice_to_f64(k->missing_text, &out.number));
    }
    if (k->missing == QN_MISSING_VALUE) out.missing = false;
    return out;
}

static plain_sort plain_order; /* of the qsort() that runs */

static int compare_values(const qn_sort_key *k, const plain_value *a,
                          const plain_value *b)
{
    if (a->missing != b->missing)
        return (k->missing == QN_MISSING_FIRST) == a->missing ? -1 : 1;
    if (a->missing) return 0;
    int order = (a->number > b->number) - (a->number < b->number);
    if (order == 0) order = strcmp(a->text, b->text);
    return k->descending ? -order : order;
}

static int compare_keys(const plain_row *a, const plain_row *b)
{
    for (size_t k = 0; k < plain_order.n; k++) {
        int order = compare_values(&plain_order.keys[k], &a->v[k], &b->v[k]);
        if (order != 0) return order < 0 ? -1 : 1;
    }
    return 0;
}

static int compare_rows(const void *a, const void *b)
{
    const plain_row *x = a, *y = b;
    int order = compare_keys(x, y);
    return order != 0 ? order : (x->doc > y->doc) - (x->doc < y->doc);
}

/* ---- random keys -------------------------------------------------------------------------- */

static qn_sort_key random_key(qn_rng *rng)
{
    static const int fields[] = {FIX_YEAR, FIX_PRICE, FIX_WEIGHT, FIX_TAG, FIX_CODE};
    qn_sort_key k = {.descending = below(rng, 2) != 0, .missing_text = {"", 0}};
    unsigned what = below(rng, 9);
    if (what == 0) {
        k.kind = QN_SORT_SCORE;
    } else if (what == 1) {
        k.kind = QN_SORT_DOC;
    } else {
        k.kind = QN_SORT_FIELD;
        k.field = &fix_fields[fields[below(rng, 5)]];
        bool text = k.field->type == QN_FIELD_KEYWORD;
        k.mode = (qn_sort_mode)below(rng, text ? 3 : 6);
        k.missing = (qn_sort_missing)below(rng, 3);
        if (k.missing == QN_MISSING_VALUE)
            k.missing_text = text ? QN_SLICE_LIT("t13x") : QN_SLICE_LIT("-3");
    }
    return k;
}

typedef struct sort_case {
    test_corpus *corpus;
    const qn_query *query;
    qn_sort_key keys[KEYS_MAX];
    size_t key_count;
    plain_row *rows;
    size_t n;
} sort_case;

static bool needs_scores(const sort_case *c)
{
    for (size_t k = 0; k < c->key_count; k++)
        if (c->keys[k].kind == QN_SORT_SCORE) return true;
    return false;
}

/* All matches and their values, sorted. */
static void sort_plainly(sort_case *c, qn_arena *arena)
{
    qn_error err;
    qn_exec_result all;
    const qn_exec_options o = {0};
    T_CALL(qn_query_execute(&c->corpus->view, c->query, &o, arena, &all, &err), &err);
    c->n = all.count;
    c->rows = qn_arena_array(arena, all.count + 1, sizeof *c->rows);
    for (size_t i = 0; i < all.count; i++) {
        const qn_candidate *one = &all.candidates[i];
        uint32_t doc = c->corpus->segments[one->segment].doc_base + one->doc;
        c->rows[i].doc = doc;
        for (size_t k = 0; k < c->key_count; k++)
            c->rows[i].v[k] =
                plain_value_of(&c->keys[k], &c->corpus->docs[doc], doc, one->score);
    }
    plain_order = (plain_sort){c->keys, c->key_count};
    qsort(c->rows, c->n, sizeof *c->rows, compare_rows);
}

static void fill_after(const sort_case *c, const plain_row *row, qn_sort_after *out)
{
    for (size_t k = 0; k < c->key_count; k++)
        out[k] = (qn_sort_after){.missing = row->v[k].missing,
                                 .i64 = (int64_t)row->v[k].number,
                                 .f64 = row->v[k].number,
                                 .text = qn_slice_of(row->v[k].text)};
}

/* `rows`: what is wanted, best first; at most top_n of them. */
static void check_page(const sort_case *c, const qn_exec_result *r, size_t top_n,
                       const plain_row *rows, size_t n)
{
    T_EQ_I(r->count, n < top_n ? n : top_n);
    for (size_t i = 0; i < r->count; i++) {
        const qn_candidate *got = &r->candidates[i];
        T_EQ_I(c->corpus->segments[got->segment].doc_base + got->doc, rows[i].doc);
    }
}

static size_t check_case(sort_case *c, qn_rng *rng)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_error err;
    qn_exec_result r;
    sort_plainly(c, &arena);
    qn_exec_options o = {.sort = c->keys,
                         .sort_count = c->key_count,
                         .no_scores = !needs_scores(c),
                         .top_n = 1 + below(rng, 60)};
    T_CALL(qn_query_execute(&c->corpus->view, c->query, &o, &arena, &r, &err), &err);
    T_OK(r.total_exact);
    T_EQ_I(r.total, c->n);
    check_page(c, &r, o.top_n, c->rows, c->n);
    o.total_limit = 1 + below(rng, 300);
    T_CALL(qn_query_execute(&c->corpus->view, c->query, &o, &arena, &r, &err), &err);
    check_page(c, &r, o.top_n, c->rows, c->n);
    T_OK(r.total_exact ? r.total == c->n : r.total <= c->n);
    T_OK(r.total >= (c->n < (uint64_t)o.total_limit ? c->n : (uint64_t)o.total_limit));
    size_t skipped = r.total < c->n;
    /* Behind some row: what is equal to it in all keys is left out. */
    if (c->n > 0) {
        size_t at = below(rng, (unsigned)c->n);
        qn_sort_after after[KEYS_MAX];
        fill_after(c, &c->rows[at], after);
        o.after = after;
        T_CALL(qn_query_execute(&c->corpus->view, c->query, &o, &arena, &r, &err),
               &err);
        size_t next = at;
        while (next < c->n && compare_keys(&c->rows[at], &c->rows[next]) == 0) next++;
        check_page(c, &r, o.top_n, c->rows + next, c->n - next);
    }
    qn_arena_deinit(&arena);
    return skipped;
}

static const qn_query_field title_field = {&fix_fields[FIX_TITLE], 1};
static const qn_query_field year_field = {&fix_fields[FIX_YEAR], 1};
static const qn_query_term word_term = {{"w1", 2}, 0};
static const qn_query all_query = {.kind = QN_QUERY_ALL, .boost = 1};
static const qn_query word_query = {.kind = QN_QUERY_TERM,
                                    .boost = 1,
                                    .fields = &title_field,
                                    .field_count = 1,
                                    .terms = &word_term,
                                    .term_count = 1};
static const qn_query range_query = {
    .kind = QN_QUERY_RANGE,
    .boost = 1,
    .fields = &year_field,
    .field_count = 1,
    .u.range = {.low = {.present = true, .inclusive = true, .i64 = 0},
                .high = {.present = true, .inclusive = true, .i64 = 250}}};

static void run_cases(bool rising, unsigned cases)
{
    qn_rng rng = {rising ? 3 : 4};
    static const qn_query *const queries[] = {&all_query, &word_query, &range_query};
    test_doc *d = qn_new_array(qn_alloc_heap(), DOCS, sizeof *d);
    make_docs(d, rising, &rng);
    test_corpus corpus;
    corpus_open(&corpus, d, DOCS, SEGMENTS);
    size_t skipped = 0;
    for (unsigned i = 0; i < cases; i++) {
        char row[32];
        snprintf(row, sizeof row, "%s, case %u", rising ? "rising" : "falling", i);
        T_ROW(row);
        sort_case c = {.corpus = &corpus, .query = queries[below(&rng, 3)]};
        c.key_count = 1 + below(&rng, KEYS_MAX);
        for (size_t k = 0; k < c.key_count; k++) c.keys[k] = random_key(&rng);
        skipped += check_case(&c, &rng);
    }
    T_OK(skipped > 0);
    corpus_close(&corpus);
    qn_delete(qn_alloc_heap(), d);
}

static void test_random_sorts(void **state)
{
    (void)state;
    run_cases(true, 250);
    run_cases(false, 250);
}

/* Page after page, the last values of one being search_after of the next. */
static void test_pages_cover_everything(void **state)
{
    (void)state;
    qn_rng rng = {9};
    test_doc *d = qn_new_array(qn_alloc_heap(), DOCS, sizeof *d);
    make_docs(d, true, &rng);
    test_corpus corpus;
    corpus_open(&corpus, d, DOCS, SEGMENTS);
    static const qn_query *const queries[] = {&all_query, &word_query, &range_query};
    for (unsigned i = 0; i < 30; i++) {
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        sort_case c = {.corpus = &corpus, .query = queries[i % 3], .key_count = 2};
        c.keys[0] = random_key(&rng);
        c.keys[1] = (qn_sort_key){.kind = QN_SORT_DOC, .missing_text = {"", 0}};
        sort_plainly(&c, &arena);
        qn_sort_after after[KEYS_MAX];
        qn_exec_options o = {.sort = c.keys,
                             .sort_count = 2,
                             .no_scores = !needs_scores(&c),
                             .top_n = 300,
                             .total_limit = 100};
        size_t seen = 0;
        qn_exec_result r;
        do {
            qn_error err;
            T_CALL(qn_query_execute(&corpus.view, c.query, &o, &arena, &r, &err), &err);
            check_page(&c, &r, o.top_n, c.rows + seen, c.n - seen);
            seen += r.count;
            if (seen > 0) fill_after(&c, &c.rows[seen - 1], after);
            o.after = after;
        } while (r.count > 0);
        T_EQ_I(seen, c.n);
        qn_arena_deinit(&arena);
    }
    corpus_close(&corpus);
    qn_delete(qn_alloc_heap(), d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_sorts),
        cmocka_unit_test(test_pages_cover_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
