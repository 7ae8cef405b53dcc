/* SPDX-License-Identifier: Apache-2.0 */
/* RANGE, SET, EXISTS. By column where there is one, a few hundred documents at a time
 * and only where the iterator is asked to look; else by the field's terms, all at once
 * into a bit set. */
#include "query/iter.h"
#include "vec/vindex.h"

#include <math.h>

enum { LOOK = 256 }; /* documents tested together */

typedef enum test_kind {
    TEST_I64_RANGE,
    TEST_F64_RANGE,
    TEST_ORD_RANGE,
    TEST_I64_SET,
    TEST_F64_SET,
    TEST_ORD_SET,
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
    int64_t low, high;           /* both inside */
    double f_low, f_high;        /* both inside */
    uint32_t ord_low, ord_limit; /* [ord_low, ord_limit) */
    const int64_t *ints;         /* SET, ascending */
    const double *floats;
    size_t count;
    const uint64_t *ords; /* bit set of ordinals */
    const struct qn_vindex *vectors;
    const uint8_t *norms;
} values_iter;

static qn_status no_memory(qn_iter_maker *m)
{
    return qn_fail(m->err, QN_ENOMEM, "query iterator");
}

/* ---- one value ---------------------------------------------------------------------- */

static bool has_int(const values_iter *v, int64_t x)
{
    if (v->test == TEST_I64_RANGE) return x >= v->low && x <= v->high;
    size_t low = 0, high = v->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v->ints[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low < v->count && v->ints[low] == x;
}

static bool has_float(const values_iter *v, double x)
{
    if (v->test == TEST_F64_RANGE) return x >= v->f_low && x <= v->f_high;
    size_t low = 0, high = v->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v->floats[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low < v->count && v->floats[low] == x;
}

static bool has_ord(const values_iter *v, uint32_t ord)
{
    if (ord == QN_ORD_NONE) return false;
    if (v->test == TEST_ORD_RANGE) return ord >= v->ord_low && ord < v->ord_limit;
    return qn_bitset_has(v->ords, ord);
}

/* ---- a run of documents --------------------------------------------------------------- */

static void set_bit(values_iter *v, size_t i, bool on)
{
    v->bits[i / 64] |= (uint64_t)on << (i % 64);
}

static bool multi_has(const values_iter *v, uint32_t doc)
{
    uint64_t at, end;
    qn_column_range(&v->column, doc, &at, &end);
    for (; at < end; at++) {
        bool hit;
        if (v->test == TEST_I64_RANGE || v->test == TEST_I64_SET)
            hit = has_int(v, qn_column_value_i64(&v->column, at));
        else if (v->test == TEST_F64_RANGE || v->test == TEST_F64_SET)
            hit = has_float(v, qn_column_value_f64(&v->column, at));
        else
            hit = has_ord(v, qn_column_value_ord(&v->column, at));
        if (hit) return true;
    }
    return false;
}

/* Without a branch a value: x - low <= high - low, unsigned. */
static void test_range(values_iter *v, const int64_t *x, size_t n)
{
    uint64_t low = (uint64_t)v->low, span = (uint64_t)v->high - low;
    for (size_t i = 0; i < n; i += 64) {
        uint64_t word = 0;
        size_t end = n - i < 64 ? n - i : 64;
        for (size_t k = 0; k < end; k++)
            word |= (uint64_t)((uint64_t)x[i + k] - low <= span) << k;
        v->bits[i / 64] = word;
    }
}

static void test_single(values_iter *v, const uint32_t *docs, size_t n)
{
    uint64_t missing[LOOK / 64];
    if (v->test == TEST_I64_RANGE && v->low <= v->high) {
        int64_t x[LOOK];
        qn_column_get_i64(&v->column, docs, n, x, missing);
        test_range(v, x, n);
    } else if (v->test == TEST_I64_RANGE || v->test == TEST_I64_SET) {
        int64_t x[LOOK];
        qn_column_get_i64(&v->column, docs, n, x, missing);
        for (size_t i = 0; i < n; i++) set_bit(v, i, has_int(v, x[i]));
    } else if (v->test == TEST_F64_RANGE || v->test == TEST_F64_SET) {
        double x[LOOK];
        qn_column_get_f64(&v->column, docs, n, x, missing);
        for (size_t i = 0; i < n; i++) set_bit(v, i, has_float(v, x[i]));
    } else {
        uint32_t x[LOOK];
        qn_column_get_ord(&v->column, docs, n, x);
        for (size_t i = 0; i < n; i++) set_bit(v, i, has_ord(v, x[i]));
        return;
    }
    for (size_t i = 0; i < qn_bitset_words(n); i++) v->bits[i] &= ~missing[i];
}

static bool has_any(const values_iter *v, uint32_t doc)
{
    if (v->test == TEST_COLUMN_HAS) return qn_column_has(&v->column, doc);
    if (v->test == TEST_VECTOR_HAS) return qn_vindex_has(v->vectors, doc);
    return v->norms[doc] != 0;
}

/* Fills `bits` for the documents from `base` on. */
static void look(values_iter *v, uint32_t base)
{
    uint32_t docs[LOOK];
    uint32_t left = v->limit - base;
    size_t n = left < LOOK ? left : LOOK;
    for (size_t i = 0; i < n; i++) docs[i] = base + (uint32_t)i;
    v->look_base = base;
    memset(v->bits, 0, sizeof v->bits);
    if (v->test >= TEST_COLUMN_HAS) {
        for (size_t i = 0; i < n; i++) set_bit(v, i, has_any(v, docs[i]));
    } else if (v->column.multi) {
        for (size_t i = 0; i < n; i++) set_bit(v, i, multi_has(v, docs[i]));
    } else {
        test_single(v, docs, n);
    }
}

/* ---- the iterator ------------------------------------------------------------------- */

static qn_status values_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    (void)err;
    values_iter *v = (values_iter *)it;
    while (target < v->limit) {
        if (target - v->look_base >= LOOK || target < v->look_base)
            look(v, target - target % LOOK);
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

/* ---- by column ------------------------------------------------------------------------ */

static void range_of_floats(values_iter *v, const qn_query *q)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    v->test = TEST_F64_RANGE;
    v->f_low = !low->present    ? -HUGE_VAL
               : low->inclusive ? low->f64
                                : nextafter(low->f64, HUGE_VAL);
    v->f_high = !high->present    ? HUGE_VAL
                : high->inclusive ? high->f64
                                  : nextafter(high->f64, -HUGE_VAL);
}

static void range_of_ords(values_iter *v, const qn_query *q)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    v->test = TEST_ORD_RANGE;
    v->ord_limit = v->column.dict_count;
    if (low->present) {
        v->ord_low = qn_column_lower_bound(&v->column, low->bytes);
        if (!low->inclusive && qn_column_find(&v->column, low->bytes) != QN_ORD_NONE)
            v->ord_low++;
    }
    if (high->present) {
        v->ord_limit = qn_column_lower_bound(&v->column, high->bytes);
        if (high->inclusive && qn_column_find(&v->column, high->bytes) != QN_ORD_NONE)
            v->ord_limit++;
    }
}

static qn_status set_of_ords(qn_iter_maker *m, values_iter *v, const qn_query *q)
{
    v->test = TEST_ORD_SET;
    size_t words = qn_bitset_words(v->column.dict_count);
    uint64_t *ords = qn_arena_array(m->scratch, words + 1, sizeof *ords);
    if (ords == NULL) return no_memory(m);
    for (size_t i = 0; i < q->term_count; i++) {
        uint32_t ord = qn_column_find(&v->column, q->terms[i].bytes);
        if (ord != QN_ORD_NONE) qn_bitset_add(ords, ord);
    }
    v->ords = ords;
    return QN_OK;
}

static qn_status choose_test(qn_iter_maker *m, const qn_query *q, const qn_field *f,
                             values_iter *v)
{
    bool integer = f->type != QN_FIELD_KEYWORD && f->type != QN_FIELD_FLOAT &&
                   f->type != QN_FIELD_DOUBLE;
    bool keyword = f->type == QN_FIELD_KEYWORD;
    if (q->kind == QN_QUERY_EXISTS) {
        v->test = TEST_COLUMN_HAS;
    } else if (q->kind == QN_QUERY_RANGE && integer) {
        v->test = TEST_I64_RANGE;
        v->low = q->u.range.low.present ? q->u.range.low.i64 : INT64_MIN;
        v->high = q->u.range.high.present ? q->u.range.high.i64 : INT64_MAX;
    } else if (q->kind == QN_QUERY_RANGE && keyword) {
        range_of_ords(v, q);
    } else if (q->kind == QN_QUERY_RANGE) {
        range_of_floats(v, q);
    } else if (keyword) {
        return set_of_ords(m, v, q);
    } else {
        v->test = integer ? TEST_I64_SET : TEST_F64_SET;
        v->ints = q->u.set.values;
        v->floats = q->u.set.floats;
        v->count = q->u.set.count;
    }
    return QN_OK;
}

static qn_status start(values_iter *v, qn_iter_maker *m, qn_iter **out)
{
    v->limit = m->view->doc_count;
    v->look_base = UINT32_MAX - LOOK; /* nothing looked at yet */
    v->base = (qn_iter){&values_kind, 0, v->limit};
    QN_TRY(values_seek(&v->base, 0, m->err));
    *out = v->base.doc == QN_DOC_END ? NULL : &v->base;
    return QN_OK;
}

static qn_status make_by_column(qn_iter_maker *m, const qn_query *q, const qn_field *f,
                                values_iter *v, qn_iter **out)
{
    qn_status st = qn_segment_column(m->view->segment, f->id, &v->column, m->err);
    if (st == QN_ENOTFOUND) return QN_OK; /* no document of the segment has it */
    QN_TRY(st);
    QN_TRY(choose_test(m, q, f, v));
    return start(v, m, out);
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

static qn_status make_by_terms(qn_iter_maker *m, const qn_query *q, const qn_field *f,
                               float score, qn_iter **out)
{
    size_t words = qn_bitset_words(m->view->doc_count);
    uint64_t *bits = qn_arena_array(m->scratch, words + 1, sizeof *bits);
    if (bits == NULL) return no_memory(m);
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
    return qn_iter_make_bits(m, bits, score, out);
}

/* ---- the choice -------------------------------------------------------------------------- */

static const struct qn_vindex *vectors_of(const qn_segment_view *s, uint32_t field)
{
    for (size_t i = 0; i < s->vector_count; i++)
        if (s->vectors[i].field_id == field) return s->vectors[i].index;
    return NULL;
}

qn_status qn_iter_make_values(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    *out = NULL;
    const qn_query *q = plan->query;
    const qn_field *f = q->fields[0].field;
    if (m->view->doc_count == 0) return QN_OK;
    values_iter *v = qn_arena_new(m->scratch, sizeof *v);
    if (v == NULL) return no_memory(m);
    v->score = plan->scores ? plan->boost : 0.0f;
    if (f->type == QN_FIELD_VECTOR) {
        v->test = TEST_VECTOR_HAS;
        v->vectors = vectors_of(m->view, f->id);
        return v->vectors == NULL ? QN_OK : start(v, m, out);
    }
    /* A handful of values is found faster by its terms than by reading a column. */
    bool set_by_terms =
        q->kind == QN_QUERY_SET && f->type == QN_FIELD_KEYWORD && f->indexed;
    if (f->column && !set_by_terms) return make_by_column(m, q, f, v, out);
    if (q->kind == QN_QUERY_EXISTS) {
        const qn_segment_field *in = qn_segment_field_of(m->view->segment, f->id);
        v->test = TEST_NORM_HAS;
        if (in == NULL) return QN_OK;
        QN_TRY(qn_segment_norms(m->view->segment, f->id, &v->norms, m->err));
        if (v->norms != NULL) return start(v, m, out);
    }
    return make_by_terms(m, q, f, v->score, out);
}
