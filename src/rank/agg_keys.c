/* SPDX-License-Identifier: Apache-2.0 */
/* agg_keys.c -- values become numbers: through a table a segment where a column's ordinals or
 * a narrow span of integers allow it, through a hash table otherwise. */
#include "rank/agg_internal.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SPAN_MAX = 1 << 20, NUMBERS_FIRST = 256, FEW_BOUNDS = 16 };

/* ---- 64-bit keys ---------------------------------------------------------------------- */

static size_t slot_of(uint64_t key, size_t capacity)
{
    key ^= key >> 32;
    key *= UINT64_C(0x9E3779B97F4A7C15);
    key ^= key >> 29;
    key *= UINT64_C(0xBF58476D1CE4E5B9);
    return (size_t)(key >> 20) & (capacity - 1);
}

void qn_agg_numbers_deinit(qn_agg_numbers *t)
{
    qn_delete(qn_alloc_heap(), t->slots);
    *t = (qn_agg_numbers){0};
}

static qn_status grow(qn_agg_numbers *t, qn_error *err)
{
    qn_agg_numbers bigger = *t;
    bigger.capacity = t->capacity == 0 ? NUMBERS_FIRST : 2 * t->capacity;
    bigger.slots = qn_new_array(qn_alloc_heap(), bigger.capacity, sizeof *t->slots);
    if (bigger.slots == NULL) return qn_fail(err, QN_ENOMEM, "groups");
    for (size_t i = 0; i < t->capacity; i++) {
        if (t->slots[i].id == 0) continue;
        size_t at = slot_of(t->slots[i].key, bigger.capacity);
        while (bigger.slots[at].id != 0) at = (at + 1) & (bigger.capacity - 1);
        bigger.slots[at] = t->slots[i];
    }
    qn_delete(qn_alloc_heap(), t->slots);
    *t = bigger;
    return QN_OK;
}

/* A free slot becomes the next number's; QN_AGG_NONE past the limit. */
static uint32_t take_slot(qn_agg_numbers *t, size_t at, uint64_t key)
{
    if (t->n == t->limit) return QN_AGG_NONE;
    t->slots[at] = (struct qn_agg_slot){key, (uint32_t)++t->n};
    return (uint32_t)t->n - 1;
}

qn_status qn_agg_number(qn_agg_numbers *t, uint64_t key, uint32_t *id, qn_error *err)
{
    if (2 * (t->n + 1) > t->capacity) QN_TRY(grow(t, err));
    size_t at = slot_of(key, t->capacity);
    while (t->slots[at].id != 0 && t->slots[at].key != key)
        at = (at + 1) & (t->capacity - 1);
    *id = t->slots[at].id != 0 ? t->slots[at].id - 1 : take_slot(t, at, key);
    return QN_OK;
}

/* ---- keys ----------------------------------------------------------------------------- */

qn_status qn_agg_keys_open(const qn_rank_input *in, qn_arena *arena, const char *what,
                           const qn_clause_expr *expr, const qn_clause_number *bounds,
                           size_t bound_count, size_t limit, qn_agg_keys *out,
                           qn_error *err)
{
    *out = (qn_agg_keys){
        .bounds = bounds, .bound_count = bound_count, .arena = arena, .limit = limit};
    out->numbers.limit = limit;
    out->seed = (uint64_t)qn_clock_mono_ns(); /* no input can line up collisions */
    QN_TRY(qn_agg_source_open(in, arena, what, expr, &out->source, err));
    if (bound_count > 0 && out->source.text)
        return qn_fail_at(err, QN_EAGGRANGETYPE, expr->at,
                          "%s: a range is over numbers, '%.*s' is a text", what,
                          QN_SLICE_ARG(expr->text));
    if (bound_count == 0) return QN_OK;
    /* Boundaries adapt to the key: whole numbers for integers. */
    for (size_t i = 0; !out->source.real && i < bound_count; i++)
        if (!bounds[i].whole)
            return qn_fail_at(err, QN_EAGGRANGETYPE, expr->at,
                              "%s: '%.*s' is no whole number, '%.*s' is an integer",
                              what, QN_SLICE_ARG(bounds[i].text),
                              QN_SLICE_ARG(expr->text));
    return QN_OK;
}

static void forget_segment(qn_agg_keys *k)
{
    qn_delete(qn_alloc_heap(), k->local);
    k->local = NULL;
    k->local_count = 0;
    k->missing = 0;
}

void qn_agg_keys_close(qn_agg_keys *k)
{
    qn_agg_source_close(&k->source);
    qn_agg_numbers_deinit(&k->numbers);
    qn_vec_deinit(qn_alloc_heap(), &k->values);
    qn_vec_deinit(qn_alloc_heap(), &k->labels);
    forget_segment(k);
}

qn_status qn_agg_keys_begin(const qn_rank_input *in, qn_agg_keys *k, size_t segment,
                            qn_error *err)
{
    forget_segment(k);
    QN_TRY(qn_agg_source_begin(in, &k->source, segment, err));
    const qn_column *c = &k->source.column;
    if (k->bound_count == 0 && (!k->source.there || k->source.real)) return QN_OK;
    uint64_t span = (uint64_t)c->max.i64 - (uint64_t)c->min.i64;
    if (k->bound_count > 0)
        k->local_count = k->bound_count + 1;
    else if (k->source.text)
        k->local_count = c->dict_count;
    else if (span < SPAN_MAX)
        k->local_count = (size_t)span + 1;
    if (k->local_count == 0) return QN_OK;
    bool by_value = k->bound_count == 0 && !k->source.text;
    k->local_least = by_value ? c->min.i64 : 0;
    k->local = qn_new_array(qn_alloc_heap(), k->local_count, sizeof *k->local);
    return k->local == NULL ? qn_fail(err, QN_ENOMEM, "groups") : QN_OK;
}

static uint64_t hash_of(uint64_t seed, qn_slice text)
{
    uint64_t h = seed ^ text.n * UINT64_C(0x9E3779B97F4A7C15), word;
    for (; text.n >= 8; text.p += 8, text.n -= 8) {
        memcpy(&word, text.p, 8);
        h = (h ^ word) * UINT64_C(0xD6E8FEB86659FD93);
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, text.p, text.n);
    h = (h ^ word) * UINT64_C(0xD6E8FEB86659FD93);
    return h ^ h >> 32;
}

/* `kept`: the bytes outlive the request; others are copied. */
static qn_status number_text(qn_agg_keys *k, qn_slice text, bool kept, uint32_t *id,
                             qn_error *err)
{
    qn_agg_numbers *t = &k->numbers;
    uint64_t hash = hash_of(k->seed, text);
    if (2 * (t->n + 1) > t->capacity) QN_TRY(grow(t, err));
    size_t at = slot_of(hash, t->capacity);
    for (; t->slots[at].id != 0; at = (at + 1) & (t->capacity - 1)) {
        *id = t->slots[at].id - 1;
        if (t->slots[at].key == hash && qn_slice_eq(k->labels.p[*id], text))
            return QN_OK;
    }
    *id = take_slot(t, at, hash);
    k->refused += *id == QN_AGG_NONE;
    if (*id == QN_AGG_NONE) return QN_OK;
    qn_slice label = kept ? text : qn_arena_slice(k->arena, text);
    if (label.p == NULL || !qn_vec_push(qn_alloc_heap(), &k->labels, label))
        return qn_fail(err, QN_ENOMEM, "groups");
    return QN_OK;
}

static qn_status number_bits(qn_agg_keys *k, uint64_t bits, uint32_t *id, qn_error *err)
{
    size_t before = k->numbers.n;
    QN_TRY(qn_agg_number(&k->numbers, bits, id, err));
    k->refused += *id == QN_AGG_NONE;
    if (k->numbers.n > before && !qn_vec_push(qn_alloc_heap(), &k->values, bits))
        return qn_fail(err, QN_ENOMEM, "groups");
    return QN_OK;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    v += 0.0; /* -0 is 0 */
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* ---- ranges --------------------------------------------------------------------------- */

/* How many boundaries are at or below the value: the place of its interval. */
static uint64_t place_i64(const qn_agg_keys *k, int64_t v)
{
    size_t low = 0, high = k->bound_count, few = 0;
    for (size_t i = 0; high <= FEW_BOUNDS && i < high; i++)
        few += k->bounds[i].i64 <= v;
    if (high <= FEW_BOUNDS) return few;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->bounds[middle].i64 <= v)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t place_f64(const qn_agg_keys *k, double v)
{
    size_t low = 0, high = k->bound_count, few = 0;
    for (size_t i = 0; high <= FEW_BOUNDS && i < high; i++)
        few += k->bounds[i].f64 <= v;
    if (high <= FEW_BOUNDS) return few;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->bounds[middle].f64 <= v)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- batches -------------------------------------------------------------------------- */

/* The slow half: the first time a segment shows an ordinal or a small integer. */
static qn_status meet(qn_agg_keys *k, size_t at, uint32_t *id, qn_error *err)
{
    if (k->source.text)
        QN_TRY(number_text(k, qn_column_bytes(&k->source.column, (uint32_t)at), true,
                           id, err));
    else
        QN_TRY(number_bits(k, (uint64_t)k->local_least + at, id, err));
    if (*id != QN_AGG_NONE) k->local[at] = *id + 1;
    return QN_OK;
}

static qn_status of_ordinals(qn_agg_keys *k, const uint32_t *docs, size_t n,
                             uint32_t *ids, qn_error *err)
{
    qn_column_get_ord(&k->source.column, docs, n, ids);
    for (size_t i = 0; i < n; i++) {
        uint32_t ord = ids[i];
        if (ord == QN_ORD_NONE) {
            if (k->missing == 0) {
                QN_TRY(number_text(k, (qn_slice){"", 0}, true, &ids[i], err));
                k->missing = ids[i] + 1; /* NONE becomes 0: asked again */
            }
            ids[i] = k->missing - 1;
        } else if (k->local[ord] != 0) {
            ids[i] = k->local[ord] - 1;
        } else {
            QN_TRY(meet(k, ord, &ids[i], err));
        }
    }
    return QN_OK;
}

static qn_status of_integers(qn_agg_keys *k, const uint32_t *docs, size_t n,
                             uint32_t *ids, qn_error *err)
{
    int64_t values[QN_AGG_BATCH];
    QN_TRY(qn_agg_source_i64(&k->source, docs, n, values, err));
    for (size_t i = 0; k->bound_count > 0 && i < n; i++)
        values[i] = (int64_t)place_i64(k, values[i]);
    for (size_t i = 0; i < n; i++) {
        /* A missing value reads as 0, which may lie outside of the span. */
        uint64_t at = (uint64_t)values[i] - (uint64_t)k->local_least;
        bool near = at < k->local_count;
        if (near && k->local[at] != 0)
            ids[i] = k->local[at] - 1;
        else if (near)
            QN_TRY(meet(k, (size_t)at, &ids[i], err));
        else
            QN_TRY(number_bits(k, (uint64_t)values[i], &ids[i], err));
    }
    return QN_OK;
}

static qn_status of_doubles(qn_agg_keys *k, const uint32_t *docs, size_t n,
                            uint32_t *ids, qn_error *err)
{
    double values[QN_AGG_BATCH];
    QN_TRY(qn_agg_source_f64(&k->source, docs, n, values, err));
    for (size_t i = 0; i < n; i++) {
        if (k->bound_count == 0) {
            QN_TRY(number_bits(k, bits_of(values[i]), &ids[i], err));
            continue;
        }
        size_t at = (size_t)place_f64(k, values[i]);
        if (k->local[at] != 0)
            ids[i] = k->local[at] - 1;
        else
            QN_TRY(meet(k, at, &ids[i], err));
    }
    return QN_OK;
}

qn_status qn_agg_keys_of(qn_agg_keys *k, const uint32_t *docs, size_t n, uint32_t *ids,
                         qn_error *err)
{
    if (k->source.real) return of_doubles(k, docs, n, ids, err);
    if (!k->source.text) return of_integers(k, docs, n, ids, err);
    if (k->local != NULL) return of_ordinals(k, docs, n, ids, err);
    qn_slice texts[QN_AGG_BATCH];
    QN_TRY(qn_agg_source_text(&k->source, docs, n, texts, err));
    for (size_t i = 0; i < n; i++)
        QN_TRY(number_text(k, texts[i], k->source.field != NULL, &ids[i], err));
    return QN_OK;
}

static qn_status one_of_several(qn_agg_keys *k, uint64_t place, uint32_t *id,
                                qn_error *err)
{
    const qn_column *c = &k->source.column;
    if (k->source.text) {
        uint32_t ord = qn_column_value_ord(c, place);
        if (k->local[ord] == 0) return meet(k, ord, id, err);
        *id = k->local[ord] - 1;
        return QN_OK;
    }
    if (k->source.real) {
        double v = qn_column_value_f64(c, place);
        return number_bits(k, k->bound_count > 0 ? place_f64(k, v) : bits_of(v), id,
                           err);
    }
    int64_t v = qn_column_value_i64(c, place);
    return number_bits(k, k->bound_count > 0 ? place_i64(k, v) : (uint64_t)v, id, err);
}

qn_status qn_agg_keys_all(qn_agg_keys *k, uint32_t doc, qn_agg_ids *ids, qn_error *err)
{
    uint64_t begin = 0, limit = 0;
    if (!k->source.there) return QN_OK;
    qn_column_range(&k->source.column, doc, &begin, &limit);
    for (uint64_t at = begin; at < limit; at++) {
        uint32_t id = QN_AGG_NONE;
        QN_TRY(one_of_several(k, at, &id, err));
        if (!qn_vec_push(qn_alloc_heap(), ids, id))
            return qn_fail(err, QN_ENOMEM, "groups");
    }
    return QN_OK;
}

/* ---- order and labels ----------------------------------------------------------------- */

size_t qn_agg_keys_count(const qn_agg_keys *k)
{
    return k->source.text ? k->labels.n : k->values.n;
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

int qn_agg_keys_compare(const qn_agg_keys *k, uint32_t a, uint32_t b)
{
    if (k->source.text) return qn_slice_compare(k->labels.p[a], k->labels.p[b]);
    uint64_t x = k->values.p[a], y = k->values.p[b];
    if (k->bound_count > 0) return (x > y) - (x < y);
    if (k->source.real)
        return (double_of(x) > double_of(y)) - (double_of(x) < double_of(y));
    return ((int64_t)x > (int64_t)y) - ((int64_t)x < (int64_t)y);
}

/* The shortest of the usual forms that reads back as the same number. */
static void add_double(qn_buf *out, double v, bool single)
{
    char text[40];
    (void)snprintf(text, sizeof text, single ? "%.6g" : "%.15g", v);
    double back = strtod(text, NULL);
    bool same = single ? (float)back == (float)v : back == v;
    if (!same) (void)snprintf(text, sizeof text, single ? "%.9g" : "%.17g", v);
    qn_buf_add_str(out, text);
}

static void add_end(const qn_agg_keys *k, bool greatest, qn_buf *out)
{
    static const struct {
        int64_t least, most;
    } ends[] = {
        [QN_EXPR_BOOL] = {0, 1},
        [QN_EXPR_INT8] = {INT8_MIN, INT8_MAX},
        [QN_EXPR_INT16] = {INT16_MIN, INT16_MAX},
        [QN_EXPR_INT32] = {INT32_MIN, INT32_MAX},
        [QN_EXPR_INT64] = {INT64_MIN, INT64_MAX},
        [QN_EXPR_UINT8] = {0, UINT8_MAX},
        [QN_EXPR_UINT16] = {0, UINT16_MAX},
        [QN_EXPR_UINT32] = {0, UINT32_MAX},
        [QN_EXPR_UINT64] = {0, INT64_MAX},
    };
    double most = k->source.type == QN_EXPR_FLOAT ? (double)FLT_MAX : DBL_MAX;
    if (k->source.real)
        qn_buf_printf(out, "%g", greatest ? most : -most);
    else
        qn_buf_printf(out, "%" PRId64,
                      greatest ? ends[k->source.type].most
                               : ends[k->source.type].least);
}

static void add_bound(const qn_agg_keys *k, size_t place, bool greatest, qn_buf *out)
{
    if (place == 0 || place > k->bound_count)
        add_end(k, greatest, out);
    else if (k->source.real)
        add_double(out, k->bounds[place - 1].f64, k->source.type == QN_EXPR_FLOAT);
    else
        qn_buf_printf(out, "%" PRId64, k->bounds[place - 1].i64);
}

void qn_agg_keys_label(const qn_agg_keys *k, uint32_t id, qn_buf *out)
{
    if (k->source.text) {
        qn_buf_add_slice(out, k->labels.p[id]);
        return;
    }
    uint64_t bits = k->values.p[id];
    if (k->bound_count > 0) {
        add_bound(k, (size_t)bits, false, out);
        qn_buf_add_char(out, ':');
        add_bound(k, (size_t)bits + 1, true, out);
    } else if (k->source.real) {
        add_double(out, double_of(bits), k->source.type == QN_EXPR_FLOAT);
    } else {
        qn_buf_printf(out, "%" PRId64, (int64_t)bits);
    }
}
