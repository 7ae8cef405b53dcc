/* SPDX-License-Identifier: Apache-2.0 */
/* RANGE, SET, EXISTS. By column where there is one, 512 documents at a time, only where
 * the iterator is asked to look and not into blocks whose bounds say no; selective ranges
 * by points; else by the field's terms, all at once into a bit set. */
#include "index/points.h"
#include "query/iter.h"
#include "vec/vindex.h"

#include <math.h>
#include <stdlib.h>

enum { LOOK = QN_COLUMN_BLOCK }; /* documents tested together */

typedef enum test_kind {
    TEST_RANGE, /* of keys */
    TEST_KEYS,  /* a set of keys, ascending */
    TEST_ORDS,  /* a set of ordinals, as bits */
    TEST_COLUMN_HAS,
    TEST_VECTOR_HAS,
    TEST_NORM_HAS,
} test_kind;

typedef struct values_iter {
    qn_iter base;
    test_kind test;
    float score;
    uint32_t limit;     /* documents of the segment */
    uint32_t look_base; /* the documents whose answers are in `bits` */
    uint64_t bits[LOOK / 64];

    qn_column column;
    int64_t low, high; /* keys: both inside; of sets the least and the greatest */
    const int64_t *keys;
    size_t count;
    const uint64_t *ords;
    const struct qn_vindex *vectors;
    const uint8_t *norms;
} values_iter;

static qn_status no_memory(qn_iter_maker *m)
{
    return qn_fail(m->err, QN_ENOMEM, "query iterator");
}

/* ---- one value ---------------------------------------------------------------------- */

static bool has_key(const values_iter *v, int64_t key)
{
    if (v->test == TEST_ORDS) return qn_bitset_has(v->ords, (size_t)key);
    size_t low = 0, high = v->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < v->count && v->keys[low] == key;
}

/* ---- a run of documents --------------------------------------------------------------- */

static void set_bit(uint64_t *bits, size_t i, bool on)
{
    bits[i / 64] |= (uint64_t)on << (i % 64);
}

static bool multi_has(const values_iter *v, uint32_t doc)
{
    uint64_t at, end;
    qn_column_range(&v->column, doc, &at, &end);
    for (; at < end; at++)
        if (has_key(v, qn_column_value_key(&v->column, at))) return true;
    return false;
}

static void test_single(const values_iter *v, uint32_t begin, size_t n, uint64_t *bits)
{
    uint32_t docs[LOOK];
    int64_t keys[LOOK];
    uint64_t missing[LOOK / 64];
    for (size_t i = 0; i < LOOK; i++) docs[i] = begin + (uint32_t)i;
    qn_column_get_keys(&v->column, docs, n, keys, missing);
    for (size_t i = 0; i < n; i++)
        if (!qn_bitset_has(missing, i)) set_bit(bits, i, has_key(v, keys[i]));
}

static bool has_any(const values_iter *v, uint32_t doc)
{
    if (v->test == TEST_COLUMN_HAS) return qn_column_has(&v->column, doc);
    if (v->test == TEST_VECTOR_HAS) return qn_vindex_has(v->vectors, doc);
    return v->norms[doc] != 0;
}

/* Can a document of this block match at all? `begin` is a multiple of LOOK. */
static bool may_match(const values_iter *v, uint32_t begin)
{
    if (v->test >= TEST_COLUMN_HAS) return true;
    uint32_t last;
    int64_t min, max;
    qn_column_bounds(&v->column, begin, &last, &min, &max);
    return min <= v->high && max >= v->low;
}

/* Sets the bits of the block [begin, begin + n) in a set that begins there. */
static void test_run(const values_iter *v, uint32_t begin, size_t n, uint64_t *bits)
{
    if (v->test >= TEST_COLUMN_HAS) {
        for (size_t i = 0; i < n; i++)
            set_bit(bits, i, has_any(v, begin + (uint32_t)i));
    } else if (v->column.multi) {
        for (size_t i = 0; i < n; i++)
            set_bit(bits, i, multi_has(v, begin + (uint32_t)i));
    } else {
        test_single(v, begin, n, bits);
    }
}

/* Fills `bits` for the block from `base` on; false when nothing there matches. */
static bool look(values_iter *v, uint32_t base)
{
    uint32_t left = v->limit - base;
    size_t n = left < LOOK ? left : LOOK;
    v->look_base = base;
    memset(v->bits, 0, sizeof v->bits);
    if (!may_match(v, base)) return false;
    if (v->test != TEST_RANGE) {
        test_run(v, base, n, v->bits);
        return true;
    }
    qn_column_match(&v->column, v->low, v->high, base, base + (uint32_t)n, v->bits);
    return true;
}

/* ---- the iterator ------------------------------------------------------------------- */

static qn_status values_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    (void)err;
    values_iter *v = (values_iter *)it;
    while (target < v->limit) {
        if (target - v->look_base >= LOOK || target < v->look_base) {
            if (!look(v, target - target % LOOK)) {
                target = v->look_base + LOOK;
                continue;
            }
        }
        uint32_t i = target - v->look_base;
        for (uint32_t word = i / 64; word < LOOK / 64; word++) {
            uint64_t left = v->bits[word];
            if (word == i / 64) left &= UINT64_MAX << (i % 64);
            if (left == 0) continue;
            it->doc = v->look_base + word * 64 + (uint32_t)__builtin_ctzll(left);
            return QN_OK;
        }
        target = v->look_base + LOOK;
    }
    it->doc = QN_DOC_END;
    return QN_OK;
}

static qn_status values_next(qn_iter *it, qn_error *err)
{
    return it->doc == QN_DOC_END ? QN_OK : values_seek(it, it->doc + 1, err);
}

static qn_status values_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    *score = ((const values_iter *)it)->score;
    return QN_OK;
}

static const qn_iter_kind values_kind = {values_next, values_seek, values_score, NULL};

/* ---- what to ask of a column ---------------------------------------------------------- */

/* The least key whose number is at least (`above`: greater than) v; +0 and -0 are one
 * number. */
static int64_t least_key(qn_field_type type, double v, bool above)
{
    if (v == 0) v = above ? 0.0 : -0.0;
    int64_t key = qn_column_key_f64(type, v);
    double back = qn_column_f64_of_key(type, key); /* a float may lie beside v */
    return above ? (back > v ? key : key + 1) : (back < v ? key + 1 : key);
}

static int64_t greatest_key(qn_field_type type, double v, bool below)
{
    if (v == 0) v = below ? -0.0 : 0.0;
    int64_t key = qn_column_key_f64(type, v);
    double back = qn_column_f64_of_key(type, key);
    return below ? (back < v ? key : key - 1) : (back > v ? key - 1 : key);
}

static void range_of_floats(values_iter *v, const qn_query *q)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    qn_field_type type = v->column.type;
    v->low = least_key(type, low->present ? low->f64 : -HUGE_VAL,
                       low->present && !low->inclusive);
    v->high = greatest_key(type, high->present ? high->f64 : HUGE_VAL,
                           high->present && !high->inclusive);
}

static void range_of_ords(values_iter *v, const qn_query *q)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    v->low = 0;
    v->high = (int64_t)v->column.dict_count - 1;
    if (low->present) {
        v->low = qn_column_lower_bound(&v->column, low->bytes);
        if (!low->inclusive && qn_column_find(&v->column, low->bytes) != QN_ORD_NONE)
            v->low++;
    }
    if (high->present) {
        v->high = (int64_t)qn_column_lower_bound(&v->column, high->bytes) - 1;
        if (high->inclusive && qn_column_find(&v->column, high->bytes) != QN_ORD_NONE)
            v->high++;
    }
}

static void take_range(values_iter *v, const qn_query *q, const qn_field *f)
{
    v->test = TEST_RANGE;
    if (f->type == QN_FIELD_KEYWORD) {
        range_of_ords(v, q);
    } else if (f->type == QN_FIELD_FLOAT || f->type == QN_FIELD_DOUBLE) {
        range_of_floats(v, q);
    } else {
        v->low = q->u.range.low.present ? q->u.range.low.i64 : INT64_MIN;
        v->high = q->u.range.high.present ? q->u.range.high.i64 : INT64_MAX;
    }
}

static qn_status set_of_ords(qn_iter_maker *m, values_iter *v, const qn_query *q)
{
    v->test = TEST_ORDS;
    v->low = INT64_MAX;
    v->high = -1;
    size_t words = qn_bitset_words(v->column.dict_count);
    uint64_t *ords = qn_arena_array(m->scratch, words + 1, sizeof *ords);
    if (ords == NULL) return no_memory(m);
    for (size_t i = 0; i < q->term_count; i++) {
        uint32_t ord = qn_column_find(&v->column, q->terms[i].bytes);
        if (ord == QN_ORD_NONE) continue;
        qn_bitset_add(ords, ord);
        if (ord < v->low) v->low = ord;
        if (ord > v->high) v->high = ord;
    }
    v->ords = ords;
    return QN_OK;
}

/* Keys of the set's numbers, ascending; a nought is both noughts. */
static qn_status set_of_floats(qn_iter_maker *m, values_iter *v, const qn_query *q)
{
    int64_t *keys = qn_arena_array(m->scratch, q->u.set.count + 2, sizeof *keys);
    if (keys == NULL) return no_memory(m);
    bool zero = false;
    for (size_t i = 0; i < q->u.set.count; i++) {
        double x = q->u.set.floats[i];
        if (x == 0) {
            if (zero) continue;
            keys[v->count++] = qn_column_key_f64(v->column.type, -0.0);
            x = 0.0;
            zero = true;
        }
        int64_t key = qn_column_key_f64(v->column.type, x);
        if (qn_column_f64_of_key(v->column.type, key) == x) keys[v->count++] = key;
    }
    v->keys = keys;
    return QN_OK;
}

static qn_status take_set(qn_iter_maker *m, values_iter *v, const qn_query *q,
                          const qn_field *f)
{
    if (f->type == QN_FIELD_KEYWORD) return set_of_ords(m, v, q);
    v->test = TEST_KEYS;
    if (f->type == QN_FIELD_FLOAT || f->type == QN_FIELD_DOUBLE) {
        QN_TRY(set_of_floats(m, v, q));
    } else {
        v->keys = q->u.set.values;
        v->count = q->u.set.count;
    }
    v->low = v->count == 0 ? INT64_MAX : v->keys[0];
    v->high = v->count == 0 ? INT64_MIN : v->keys[v->count - 1];
    return QN_OK;
}

static qn_status choose_test(qn_iter_maker *m, const qn_query *q, const qn_field *f,
                             values_iter *v)
{
    if (q->kind == QN_QUERY_RANGE) {
        take_range(v, q, f);
        return QN_OK;
    }
    if (q->kind == QN_QUERY_SET) return take_set(m, v, q, f);
    v->test = TEST_COLUMN_HAS;
    return QN_OK;
}

/* ---- by points ------------------------------------------------------------------------ */

/* Setting a bit here and there costs more than comparing the next value in a row: points
 * are taken where they are fewer by this factor than the values to be looked through. */
enum { POINT_COST = 4, LIST_MAX = 4096 };

static int compare_docs(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* *found: the range is better taken from these points. */
static qn_status choose_points(qn_iter_maker *m, const values_iter *v, uint32_t field,
                               qn_points *points, qn_points_run *run, bool *found)
{
    *found = false;
    if (v->test != TEST_RANGE) return QN_OK;
    qn_error missing;
    qn_status st = qn_segment_points(m->view->segment, field, points, &missing);
    if (st == QN_ENOTFOUND) return QN_OK;
    if (st != QN_OK) {
        if (m->err != NULL) *m->err = missing;
        return st;
    }
    *run = qn_points_find(points, v->low, v->high);
    *found = (run->limit - run->begin) * POINT_COST <
             qn_column_estimate(&v->column, v->low, v->high);
    return QN_OK;
}

static qn_status list_of_points(qn_iter_maker *m, const qn_points *points,
                                qn_points_run run, float score, qn_iter **out)
{
    size_t n = (size_t)(run.limit - run.begin), kept = 0;
    uint32_t *docs = qn_arena_array(m->scratch, n + 1, sizeof *docs);
    if (docs == NULL) return no_memory(m);
    qn_points_docs(points, run, docs);
    qsort(docs, n, sizeof *docs, compare_docs);
    for (size_t i = 0; i < n; i++) /* a document may have several values inside */
        if (kept == 0 || docs[kept - 1] != docs[i]) docs[kept++] = docs[i];
    return qn_iter_make_list(m, docs, NULL, kept, score, out);
}

static qn_status iter_of_points(qn_iter_maker *m, const qn_points *points,
                                qn_points_run run, float score, qn_iter **out)
{
    if (run.limit - run.begin <= LIST_MAX)
        return list_of_points(m, points, run, score, out);
    size_t words = qn_bitset_words(m->view->doc_count);
    uint64_t *bits = qn_arena_array(m->scratch, words + 1, sizeof *bits);
    if (bits == NULL) return no_memory(m);
    qn_points_match(points, run, bits);
    return qn_iter_make_bits(m, bits, score, out);
}

static qn_status start(values_iter *v, qn_iter_maker *m, qn_iter **out)
{
    v->limit = m->view->doc_count;
    v->look_base = UINT32_MAX - LOOK; /* nothing looked at yet */
    v->base = (qn_iter){&values_kind, 0, v->limit};
    if (v->test == TEST_RANGE || v->test == TEST_KEYS || v->test == TEST_ORDS)
        v->base.cost = qn_column_estimate(&v->column, v->low, v->high);
    QN_TRY(values_seek(&v->base, 0, m->err));
    *out = v->base.doc == QN_DOC_END ? NULL : &v->base;
    return QN_OK;
}

/* ---- by terms -------------------------------------------------------------------------- */

static qn_status add_postings(qn_iter_maker *m, const qn_term *term, uint64_t *bits)
{
    if (term->doc_freq == 0) return QN_OK;
    qn_postings p;
    QN_TRY(qn_segment_postings(m->view->segment, term, NULL, &p, m->err));
    while (p.doc != QN_DOC_END) {
        const uint32_t *docs, *freqs;
        size_t n;
        qn_postings_rest(&p, &docs, &freqs, &n);
        for (size_t i = 0; i < n; i++) qn_bitset_add(bits, docs[i]);
        QN_TRY(qn_postings_next_block(&p, m->err));
    }
    return QN_OK;
}

static qn_status add_range(qn_iter_maker *m, const qn_query *q, uint32_t field,
                           uint64_t *bits)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    qn_slice from = low->present ? low->bytes : QN_SLICE_LIT("");
    qn_terms t = {0};
    qn_status st =
        qn_terms_init(&t, m->view->segment, field, m->scratch->alloc, from, m->err);
    while (st == QN_OK && !t.at_end) {
        int c = high->present ? qn_slice_compare(t.bytes, high->bytes) : -1;
        if (c > 0 || (c == 0 && !high->inclusive)) break;
        bool skip = low->present && !low->inclusive && qn_slice_eq(t.bytes, low->bytes);
        if (!skip) st = add_postings(m, &t.term, bits);
        if (st == QN_OK) st = qn_terms_next(&t, m->err);
    }
    qn_terms_deinit(&t);
    return st;
}

static qn_status fill_by_terms(qn_iter_maker *m, const qn_query *q, const qn_field *f,
                               uint64_t *bits)
{
    const qn_segment_field *in = qn_segment_field_of(m->view->segment, f->id);
    if (in == NULL || !in->has_terms) return QN_OK;
    if (q->kind == QN_QUERY_RANGE) QN_TRY(add_range(m, q, f->id, bits));
    for (size_t i = 0; q->kind == QN_QUERY_SET && i < q->term_count; i++) {
        qn_term term;
        QN_TRY(
            qn_segment_term(m->view->segment, f->id, q->terms[i].bytes, &term, m->err));
        QN_TRY(add_postings(m, &term, bits));
    }
    if (q->kind == QN_QUERY_EXISTS) {
        qn_query all = {.kind = QN_QUERY_RANGE};
        QN_TRY(add_range(m, &all, f->id, bits));
    }
    return QN_OK;
}

/* ---- the choice -------------------------------------------------------------------------- */

static const struct qn_vindex *vectors_of(const qn_segment_view *s, uint32_t field)
{
    for (size_t i = 0; i < s->vector_count; i++)
        if (s->vectors[i].field_id == field) return s->vectors[i].index;
    return NULL;
}

typedef enum values_way {
    WAY_NOTHING, /* no document of the segment can match */
    WAY_TESTS,   /* `v` is ready */
    WAY_TERMS,
} values_way;

static qn_status choose_way(qn_iter_maker *m, const qn_query *q, values_iter *v,
                            values_way *way)
{
    const qn_field *f = q->fields[0].field;
    *way = WAY_NOTHING;
    if (m->view->doc_count == 0) return QN_OK;
    if (f->type == QN_FIELD_VECTOR) {
        v->test = TEST_VECTOR_HAS;
        v->vectors = vectors_of(m->view, f->id);
        if (v->vectors != NULL) *way = WAY_TESTS;
        return QN_OK;
    }
    /* A handful of values is found faster by its terms than by reading a column. */
    bool set_by_terms =
        q->kind == QN_QUERY_SET && f->type == QN_FIELD_KEYWORD && f->indexed;
    if (f->column && !set_by_terms) {
        qn_status st = qn_segment_column(m->view->segment, f->id, &v->column, m->err);
        if (st == QN_ENOTFOUND) return QN_OK; /* no document of the segment has it */
        QN_TRY(st);
        *way = WAY_TESTS;
        return choose_test(m, q, f, v);
    }
    *way = WAY_TERMS;
    const qn_segment_field *in = qn_segment_field_of(m->view->segment, f->id);
    if (q->kind != QN_QUERY_EXISTS || in == NULL) return QN_OK;
    v->test = TEST_NORM_HAS;
    QN_TRY(qn_segment_norms(m->view->segment, f->id, &v->norms, m->err));
    if (v->norms != NULL) *way = WAY_TESTS;
    return QN_OK;
}

qn_status qn_iter_make_values(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    *out = NULL;
    values_way way;
    values_iter *v = qn_arena_new(m->scratch, sizeof *v);
    if (v == NULL) return no_memory(m);
    QN_TRY(choose_way(m, plan->query, v, &way));
    v->score = plan->scores ? plan->boost : 0.0f;
    if (way == WAY_NOTHING) return QN_OK;
    if (way == WAY_TESTS) {
        qn_points points;
        qn_points_run run;
        bool better;
        uint32_t field = plan->query->fields[0].field->id;
        QN_TRY(choose_points(m, v, field, &points, &run, &better));
        return better ? iter_of_points(m, &points, run, v->score, out)
                      : start(v, m, out);
    }
    size_t words = qn_bitset_words(m->view->doc_count);
    uint64_t *bits = qn_arena_array(m->scratch, words + 1, sizeof *bits);
    if (bits == NULL) return no_memory(m);
    QN_TRY(fill_by_terms(m, plan->query, plan->query->fields[0].field, bits));
    return qn_iter_make_bits(m, bits, v->score, out);
}

/* ---- all at once ------------------------------------------------------------------------- */

static bool is_values(qn_query_kind kind)
{
    return kind == QN_QUERY_RANGE || kind == QN_QUERY_SET || kind == QN_QUERY_EXISTS;
}

qn_status qn_iter_values_bits(qn_iter_maker *m, const qn_plan *plan, uint64_t *bits,
                              bool *done)
{
    while (plan->query->kind == QN_QUERY_CONSTANT) plan = plan->child;
    const qn_query *q = plan->query;
    *done = is_values(q->kind) || q->kind == QN_QUERY_GEO;
    if (!*done) return QN_OK;
    if (q->kind == QN_QUERY_GEO) return qn_iter_geo_bits(m, q, bits);
    values_way way;
    values_iter *v = qn_arena_new(m->scratch, sizeof *v);
    if (v == NULL) return no_memory(m);
    QN_TRY(choose_way(m, q, v, &way));
    if (way == WAY_TERMS) return fill_by_terms(m, q, q->fields[0].field, bits);
    uint32_t count = m->view->doc_count;
    if (way == WAY_NOTHING) return QN_OK;
    if (v->test == TEST_RANGE) {
        qn_points points;
        qn_points_run run;
        bool better;
        QN_TRY(choose_points(m, v, q->fields[0].field->id, &points, &run, &better));
        if (better)
            qn_points_match(&points, run, bits);
        else
            qn_column_match(&v->column, v->low, v->high, 0, count, bits);
        return QN_OK;
    }
    for (uint32_t at = 0; at < count; at += LOOK) {
        size_t n = count - at < LOOK ? count - at : LOOK;
        if (may_match(v, at)) test_run(v, at, n, bits + at / 64);
    }
    return QN_OK;
}
