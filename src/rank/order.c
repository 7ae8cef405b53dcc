/* SPDX-License-Identifier: Apache-2.0 */
/* order.c -- sort keys, and the order of rows. */
#include "rank/rank_internal.h"

#include "base/slice.h"
#include "expr/expr.h"
#include "index/column.h"
#include "index/segment.h"
#include "query/sort.h"
#include "rank/bind.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 1024 };

bool qn_rank__by_score(const qn_rank_input *in)
{
    return in->sort_count == 0 ||
           (in->sort_count == 1 && in->sort[0].kind == QN_SORT_SCORE &&
            in->sort[0].descending);
}

/* ---- reading keys ---------------------------------------------------------------------- */

/* Rows of one segment, ascending by document, and where their values go. */
typedef struct key_run {
    const qn_rank_input *in;
    qn_arena *arena;
    qn_rank_row *const *rows; /* of this segment */
    uint32_t *docs;
    size_t n, segment;
    qn_error *err;
} key_run;

static qn_sort_value *value_at(const key_run *k, size_t i, size_t key)
{
    return (qn_sort_value *)(uintptr_t)&k->rows[i]->keys[key];
}

static void set_missing(const qn_sort_key *key, qn_sort_value *v)
{
    double number = 0;
    int64_t integer = 0;
    *v = (qn_sort_value){.kind = QN_SORT_VALUE_MISSING};
    if (key->missing != QN_MISSING_VALUE) return;
    if (qn_slice_to_i64(key->missing_text, &integer))
        *v = (qn_sort_value){
            .kind = QN_SORT_VALUE_INT, .i64 = integer, .f64 = (double)integer};
    else if (qn_slice_to_f64(key->missing_text, &number))
        *v = (qn_sort_value){.kind = QN_SORT_VALUE_DOUBLE, .f64 = number};
    else
        *v = (qn_sort_value){.kind = QN_SORT_VALUE_TEXT, .text = key->missing_text};
}

static qn_sort_value value_of(const qn_sort_key *sort, const qn_column *c, int64_t key)
{
    qn_field_type type = qn_sort_type(sort);
    if (type == QN_FIELD_KEYWORD)
        return (qn_sort_value){.kind = QN_SORT_VALUE_TEXT,
                               .text = qn_column_bytes(c, (uint32_t)key)};
    if (type == QN_FIELD_FLOAT || type == QN_FIELD_DOUBLE)
        return (qn_sort_value){.kind = QN_SORT_VALUE_DOUBLE,
                               .f64 = qn_column_f64_of_key(type, key)};
    return (qn_sort_value){.kind = QN_SORT_VALUE_INT, .i64 = key, .f64 = (double)key};
}

static qn_status read_field(const key_run *k, size_t key)
{
    const qn_sort_key *sort = &k->in->sort[key];
    qn_column column;
    qn_status st = qn_segment_column(k->in->snapshot->segments[k->segment].segment,
                                     sort->field->id, &column, k->err);
    if (st != QN_OK && st != QN_ENOTFOUND) return st;
    for (size_t i = 0; i < k->n; i++) {
        qn_sort_value *v = value_at(k, i, key);
        int64_t value = 0;
        if (st == QN_OK && qn_sort_read(sort, &column, k->docs[i], &value))
            *v = value_of(sort, &column, value);
        else
            set_missing(sort, v);
    }
    if (k->err != NULL && st == QN_ENOTFOUND) k->err->code = QN_OK;
    return QN_OK;
}

static qn_status read_expression(const key_run *k, size_t key)
{
    qn_rank_key *bound = NULL;
    QN_TRY(qn_rank_key_open(k->in, k->arena, k->in->sort[key].text, &bound, k->err));
    qn_status st = QN_OK;
    for (size_t i = 0; st == QN_OK && i < k->n; i += BATCH) {
        size_t n = k->n - i < BATCH ? k->n - i : BATCH;
        qn_sort_value values[BATCH];
        st = qn_rank_key_run(bound, k->segment, k->docs + i, n, values, k->err);
        for (size_t j = 0; st == QN_OK && j < n; j++)
            *value_at(k, i + j, key) = values[j];
    }
    qn_rank_key_close(bound);
    return st;
}

static qn_status read_key(const key_run *k, size_t key)
{
    switch (k->in->sort[key].kind) {
    case QN_SORT_SCORE:
        for (size_t i = 0; i < k->n; i++)
            *value_at(k, i, key) = (qn_sort_value){.kind = QN_SORT_VALUE_SCORE,
                                                   .f64 = k->rows[i]->r.score};
        return QN_OK;
    case QN_SORT_DOC:
        for (size_t i = 0; i < k->n; i++) {
            uint32_t base = k->in->snapshot->segments[k->segment].doc_base;
            int64_t place = (int64_t)base + k->docs[i];
            *value_at(k, i, key) = (qn_sort_value){
                .kind = QN_SORT_VALUE_INT, .i64 = place, .f64 = (double)place};
        }
        return QN_OK;
    case QN_SORT_FIELD:
    case QN_SORT_DISTANCE:
        return read_field(k, key);
    case QN_SORT_EXPR:
        return read_expression(k, key);
    }
    return QN_OK;
}

static int by_document(const void *a, const void *b)
{
    const qn_rank_row *const *x = a, *const *y = b;
    if ((*x)->r.segment != (*y)->r.segment)
        return (*x)->r.segment < (*y)->r.segment ? -1 : 1;
    return ((*x)->r.doc > (*y)->r.doc) - ((*x)->r.doc < (*y)->r.doc);
}

qn_status qn_rank__keys_fill(const qn_rank_input *in, qn_arena *arena,
                             qn_rank_row *rows, size_t n, qn_error *err)
{
    qn_rank_row **order = qn_arena_array(arena, n + 1, sizeof *order);
    uint32_t *docs = qn_arena_array(arena, n + 1, sizeof *docs);
    qn_sort_value *values =
        qn_arena_array(arena, n * in->sort_count + 1, sizeof *values);
    if (order == NULL || docs == NULL || values == NULL)
        return qn_fail(err, QN_ENOMEM,
                       "out of memory for the sort keys of %zu documents", n);
    for (size_t i = 0; i < n; i++) {
        rows[i].keys = values + i * in->sort_count;
        order[i] = &rows[i];
    }
    qsort(order, n, sizeof *order, by_document);
    for (size_t i = 0; i < n; i++) docs[i] = order[i]->r.doc;
    for (size_t begin = 0, end; begin < n; begin = end) {
        uint32_t segment = order[begin]->r.segment;
        for (end = begin; end < n && order[end]->r.segment == segment;) end++;
        key_run k = {in, arena, order + begin, docs + begin, end - begin, segment, err};
        for (size_t key = 0; key < in->sort_count; key++) QN_TRY(read_key(&k, key));
    }
    return QN_OK;
}

/* ---- comparing --------------------------------------------------------------------------- */

/* -1: a first. NaN behind every number. */
static int compare_numbers(double a, double b, bool descending)
{
    if (isnan(a) || isnan(b)) return isnan(a) - isnan(b);
    int order = (a > b) - (a < b);
    return descending ? -order : order;
}

static int compare_values(const qn_sort_key *key, const qn_sort_value *a,
                          const qn_sort_value *b)
{
    bool missing_a = a->kind == QN_SORT_VALUE_MISSING,
         missing_b = b->kind == QN_SORT_VALUE_MISSING;
    if (missing_a || missing_b) {
        int order = (int)missing_a - (int)missing_b;
        return key->missing == QN_MISSING_FIRST ? -order : order;
    }
    if (a->kind == QN_SORT_VALUE_TEXT && b->kind == QN_SORT_VALUE_TEXT) {
        int order = qn_slice_compare(a->text, b->text);
        return key->descending ? -order : order;
    }
    if (a->kind == QN_SORT_VALUE_INT && b->kind == QN_SORT_VALUE_INT) {
        int order = (a->i64 > b->i64) - (a->i64 < b->i64);
        return key->descending ? -order : order;
    }
    return compare_numbers(a->f64, b->f64, key->descending);
}

static int compare_ties(const qn_rank_input *in, const qn_rank_row *a,
                        const qn_rank_row *b)
{
    if (in->scale == QN_RANK_HA3 && !isnan(a->r.fine) && !isnan(b->r.fine)) {
        if (a->tie_query != b->tie_query) return a->tie_query > b->tie_query ? -1 : 1;
        if (a->tie_field != b->tie_field) return a->tie_field > b->tie_field ? -1 : 1;
        int order = compare_numbers(a->r.rough, b->r.rough, true);
        if (order != 0) return order;
    }
    const qn_rank_row *const x[] = {a}, *const y[] = {b};
    return by_document(x, y);
}

static int compare_rows(const qn_rank_input *in, const qn_rank_row *a,
                        const qn_rank_row *b)
{
    int order = 0;
    if (qn_rank__by_score(in)) {
        if (a->group != b->group) return a->group < b->group ? -1 : 1;
        order = compare_numbers(a->r.score, b->r.score, true);
    }
    for (size_t k = 0; !qn_rank__by_score(in) && order == 0 && k < in->sort_count; k++)
        order = compare_values(&in->sort[k], &a->keys[k], &b->keys[k]);
    return order != 0 ? order : compare_ties(in, a, b);
}

/* One pass of a bottom-up merge sort: runs of `width` in `from` become runs of twice that. */
static void merge_runs(const qn_rank_input *in, const qn_rank_row *rows, size_t n,
                       size_t width, const uint32_t *from, uint32_t *to)
{
    for (size_t begin = 0; begin < n; begin += 2 * width) {
        size_t middle = begin + width < n ? begin + width : n;
        size_t end = begin + 2 * width < n ? begin + 2 * width : n;
        size_t a = begin, b = middle;
        for (size_t i = begin; i < end; i++) {
            bool left = a < middle && (b >= end || compare_rows(in, &rows[from[a]],
                                                                &rows[from[b]]) <= 0);
            to[i] = left ? from[a++] : from[b++];
        }
    }
}

/* qsort() passes no context; places are sorted and rows, which are big, moved once. */
qn_status qn_rank__sort(const qn_rank_input *in, qn_arena *arena, qn_rank_row *rows,
                        size_t n, qn_error *err)
{
    uint32_t *from = qn_arena_array(arena, n + 1, sizeof *from);
    uint32_t *to = qn_arena_array(arena, n + 1, sizeof *to);
    qn_rank_row *copy = qn_arena_array(arena, n + 1, sizeof *copy);
    if (from == NULL || to == NULL || copy == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for sorting %zu documents", n);
    for (uint32_t i = 0; i < n; i++) from[i] = i;
    for (size_t width = 1; width < n; width *= 2) {
        merge_runs(in, rows, n, width, from, to);
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++) copy[i] = rows[from[i]];
    if (n > 0) memcpy(rows, copy, n * sizeof *rows);
    return QN_OK;
}

void qn_sort_value_print(const qn_sort_value *v, qn_buf *out)
{
    switch (v->kind) {
    case QN_SORT_VALUE_MISSING:
        break;
    case QN_SORT_VALUE_INT:
        qn_buf_printf(out, "%lld", (long long)v->i64);
        break;
    case QN_SORT_VALUE_DOUBLE:
        qn_buf_printf(out, "%.10g", v->f64);
        break;
    case QN_SORT_VALUE_TEXT:
        qn_buf_add_slice(out, v->text);
        break;
    case QN_SORT_VALUE_SCORE:
        qn_buf_printf(out, "%.10f", v->f64);
        break;
    }
}
