/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate.c -- one aggregation after another over all matches, in batches. */
#include "rank/agg_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOK_EVERY = 64 }; /* batches between two looks at the clock */

typedef struct function {
    const qn_agg_function *asked;
    qn_agg_source source; /* SUM, MAX, MIN */
    int64_t *whole;       /* by group; COUNT uses those of the aggregation */
    double *real;
    qn_agg_keys *keys; /* DISTINCT_COUNT: its values, and (group, value) seen */
    qn_agg_numbers seen;
    uint64_t refused;
} function;

typedef struct aggregation {
    const qn_rank_input *in;
    qn_arena *arena;
    qn_error *err;
    const qn_aggregate *asked;

    qn_agg_keys keys[QN_AGG_KEYS_MAX];
    size_t keys_open;
    qn_agg_numbers tuples[QN_AGG_KEYS_MAX]; /* [i]: (number so far, number of key i) */
    QN_VEC(uint64_t) pairs[QN_AGG_KEYS_MAX];
    uint64_t refused;
    qn_rank_filter *filter;
    function functions[QN_AGG_FUNCTIONS_MAX];
    size_t functions_open;

    size_t groups, capacity;
    int64_t *counts;
    uint64_t *last_doc; /* multi-value keys: the document that a group counted last */
    uint64_t serial;
    qn_agg_ids ids;    /* of one document */
    qn_agg_ids values; /* the same, of a distinct_count() */
    uint64_t documents;
} aggregation;

/* ---- opening -------------------------------------------------------------------------- */

static qn_status check_argument(aggregation *a, const function *f, const char *what)
{
    if (f->source.multi)
        return qn_fail_at(a->err, QN_EMULTIEXPR, f->asked->argument.at,
                          "%s: the attribute has several values", what);
    if (f->source.text)
        return qn_fail_at(a->err, QN_EAGGTYPE, f->asked->argument.at,
                          "%s: sum, max and min are of numbers, '%.*s' is a text", what,
                          QN_SLICE_ARG(f->asked->argument.text));
    return QN_OK;
}

static qn_status open_function(aggregation *a, const qn_agg_function *asked)
{
    function *f = &a->functions[a->functions_open++];
    f->asked = asked;
    if (asked->kind == QN_AGG_COUNT) return QN_OK;
    const char *what =
        qn_arena_printf(a->arena, "aggregate %.*s", QN_SLICE_ARG(asked->name));
    if (what == NULL) return qn_fail(a->err, QN_ENOMEM, "aggregate");
    if (asked->kind == QN_AGG_DISTINCT_COUNT) {
        f->keys = qn_arena_new(a->arena, sizeof *f->keys);
        if (f->keys == NULL) return qn_fail(a->err, QN_ENOMEM, "aggregate");
        f->seen.limit = QN_FACET_DISTINCT_MAX;
        return qn_agg_keys_open(a->in, a->arena, what, &asked->argument, NULL, 0,
                                QN_FACET_DISTINCT_MAX, f->keys, a->err);
    }
    QN_TRY(qn_agg_source_open(a->in, a->arena, what, &asked->argument, &f->source,
                              a->err));
    return check_argument(a, f, what);
}

static qn_status open_keys(aggregation *a)
{
    const qn_aggregate *q = a->asked;
    const char *what =
        qn_arena_printf(a->arena, "group_key %.*s", QN_SLICE_ARG(q->key_name));
    if (what == NULL) return qn_fail(a->err, QN_ENOMEM, "aggregate");
    for (size_t i = 0; i < q->key_count; i++) {
        qn_agg_keys *k = &a->keys[a->keys_open++];
        bool range = q->key_count == 1;
        QN_TRY(qn_agg_keys_open(a->in, a->arena, what, &q->keys[i],
                                range ? q->bounds : NULL, range ? q->bound_count : 0,
                                QN_FACET_GROUPS_MAX, k, a->err));
        a->tuples[i].limit = QN_FACET_GROUPS_MAX;
        if (q->key_count > 1 && k->source.multi)
            return qn_fail_at(a->err, QN_EMULTIEXPR, q->keys[i].at,
                              "%s: '%.*s' has several values; several keys take "
                              "single-value attributes",
                              what, QN_SLICE_ARG(q->keys[i].text));
    }
    if (q->key_count > 1 && q->bound_count > 0)
        return qn_fail_at(a->err, QN_EAGGRANGETYPE, q->keys[0].at,
                          "%s: a range takes one key", what);
    return QN_OK;
}

static qn_status open_all(aggregation *a)
{
    const qn_aggregate *q = a->asked;
    QN_TRY(open_keys(a));
    for (size_t i = 0; i < q->function_count; i++)
        QN_TRY(open_function(a, &q->functions[i]));
    if (q->filter.text.n == 0) return QN_OK;
    return qn_agg_place(
        a->err, "agg_filter", &q->filter,
        qn_rank_filter_open(a->in, a->arena, q->filter.text, &a->filter, a->err));
}

static void close_all(aggregation *a)
{
    qn_alloc *heap = qn_alloc_heap();
    for (size_t i = 0; i < a->keys_open; i++) {
        qn_agg_keys_close(&a->keys[i]);
        qn_agg_numbers_deinit(&a->tuples[i]);
        qn_vec_deinit(heap, &a->pairs[i]);
    }
    for (size_t i = 0; i < a->functions_open; i++) {
        function *f = &a->functions[i];
        qn_agg_source_close(&f->source);
        if (f->keys != NULL) qn_agg_keys_close(f->keys);
        qn_agg_numbers_deinit(&f->seen);
        qn_delete(heap, f->whole);
        qn_delete(heap, f->real);
    }
    qn_rank_filter_close(a->filter);
    qn_delete(heap, a->counts);
    qn_delete(heap, a->last_doc);
    qn_vec_deinit(heap, &a->ids);
    qn_vec_deinit(heap, &a->values);
}

static qn_status begin_segment(aggregation *a, size_t segment)
{
    for (size_t i = 0; i < a->keys_open; i++)
        QN_TRY(qn_agg_keys_begin(a->in, &a->keys[i], segment, a->err));
    for (size_t i = 0; i < a->functions_open; i++) {
        function *f = &a->functions[i];
        if (f->keys != NULL) QN_TRY(qn_agg_keys_begin(a->in, f->keys, segment, a->err));
        if (f->asked->kind != QN_AGG_COUNT && f->keys == NULL)
            QN_TRY(qn_agg_source_begin(a->in, &f->source, segment, a->err));
    }
    return QN_OK;
}

/* ---- groups --------------------------------------------------------------------------- */

static qn_status more_of(aggregation *a, void *array, size_t capacity)
{
    void **p = array;
    void *grown = qn_resize(qn_alloc_heap(), *p, capacity * 8);
    if (grown == NULL) return qn_fail(a->err, QN_ENOMEM, "%zu groups", capacity);
    *p = grown;
    return QN_OK;
}

static void init_groups(aggregation *a, size_t from, size_t to)
{
    for (size_t g = from; g < to; g++) {
        a->counts[g] = 0;
        a->last_doc[g] = 0;
        for (size_t i = 0; i < a->functions_open; i++) {
            function *f = &a->functions[i];
            qn_agg_kind kind = f->asked->kind;
            bool least = kind == QN_AGG_MIN, most = kind == QN_AGG_MAX;
            if (f->whole != NULL)
                f->whole[g] = least ? INT64_MAX : most ? INT64_MIN : 0;
            if (f->real != NULL)
                f->real[g] = least ? (double)INFINITY : most ? -(double)INFINITY : 0.0;
        }
    }
}

/* Room for `n` groups. */
static qn_status have_groups(aggregation *a, size_t n)
{
    if (n > a->groups) a->groups = n;
    if (n <= a->capacity) return QN_OK;
    size_t capacity = n < 128 ? 256 : 2 * n;
    QN_TRY(more_of(a, &a->counts, capacity));
    QN_TRY(more_of(a, &a->last_doc, capacity));
    for (size_t i = 0; i < a->functions_open; i++) {
        function *f = &a->functions[i];
        if (f->asked->kind == QN_AGG_COUNT) continue;
        if (f->source.real)
            QN_TRY(more_of(a, &f->real, capacity));
        else
            QN_TRY(more_of(a, &f->whole, capacity));
    }
    init_groups(a, a->capacity, capacity);
    a->capacity = capacity;
    return QN_OK;
}

static size_t group_count(const aggregation *a)
{
    return a->keys_open == 1 ? qn_agg_keys_count(&a->keys[0])
                             : a->pairs[a->keys_open - 1].n;
}

/* Of a tuple: (number so far, number of the next key) is the next number. */
static qn_status tuples_of(aggregation *a, const uint32_t *docs, size_t n,
                           uint32_t *ids)
{
    uint32_t next[QN_AGG_BATCH];
    QN_TRY(qn_agg_keys_of(&a->keys[0], docs, n, ids, a->err));
    for (size_t k = 1; k < a->keys_open; k++) {
        QN_TRY(qn_agg_keys_of(&a->keys[k], docs, n, next, a->err));
        for (size_t i = 0; i < n; i++) {
            if (ids[i] == QN_AGG_NONE) continue;
            uint64_t pair = (uint64_t)ids[i] << 32 | next[i];
            ids[i] = next[i];
            if (next[i] == QN_AGG_NONE) continue;
            QN_TRY(qn_agg_number(&a->tuples[k], pair, &ids[i], a->err));
            a->refused += ids[i] == QN_AGG_NONE;
            if (ids[i] != QN_AGG_NONE && ids[i] == a->pairs[k].n &&
                !qn_vec_push(qn_alloc_heap(), &a->pairs[k], pair))
                return qn_fail(a->err, QN_ENOMEM, "groups");
        }
    }
    return QN_OK;
}

/* ---- functions ------------------------------------------------------------------------ */

static void add_whole(qn_agg_kind kind, int64_t *by_group, const uint32_t *ids,
                      const int64_t *values, size_t n, int64_t weight)
{
    if (kind == QN_AGG_SUM) /* wraps as in C */
        for (size_t i = 0; i < n; i++)
            by_group[ids[i]] = (int64_t)((uint64_t)by_group[ids[i]] +
                                         (uint64_t)values[i] * (uint64_t)weight);
    else if (kind == QN_AGG_MAX)
        for (size_t i = 0; i < n; i++)
            by_group[ids[i]] =
                values[i] > by_group[ids[i]] ? values[i] : by_group[ids[i]];
    else
        for (size_t i = 0; i < n; i++)
            by_group[ids[i]] =
                values[i] < by_group[ids[i]] ? values[i] : by_group[ids[i]];
}

static void add_real(qn_agg_kind kind, double *by_group, const uint32_t *ids,
                     const double *values, size_t n, double weight)
{
    if (kind == QN_AGG_SUM)
        for (size_t i = 0; i < n; i++) by_group[ids[i]] += values[i] * weight;
    else if (kind == QN_AGG_MAX)
        for (size_t i = 0; i < n; i++)
            by_group[ids[i]] =
                values[i] > by_group[ids[i]] ? values[i] : by_group[ids[i]];
    else
        for (size_t i = 0; i < n; i++)
            by_group[ids[i]] =
                values[i] < by_group[ids[i]] ? values[i] : by_group[ids[i]];
}

static qn_status add_seen(aggregation *a, function *f, uint32_t group, uint32_t value)
{
    uint32_t id = QN_AGG_NONE;
    size_t before = f->seen.n;
    if (value != QN_AGG_NONE)
        QN_TRY(qn_agg_number(&f->seen, (uint64_t)group << 32 | value, &id, a->err));
    f->refused += id == QN_AGG_NONE;
    f->whole[group] += f->seen.n > before;
    return QN_OK;
}

static qn_status add_distinct(aggregation *a, function *f, const uint32_t *docs,
                              const uint32_t *ids, size_t n)
{
    uint32_t values[QN_AGG_BATCH];
    if (!f->keys->source.multi) {
        QN_TRY(qn_agg_keys_of(f->keys, docs, n, values, a->err));
        for (size_t i = 0; i < n; i++) QN_TRY(add_seen(a, f, ids[i], values[i]));
        return QN_OK;
    }
    for (size_t i = 0; i < n; i++) {
        a->values.n = 0;
        QN_TRY(qn_agg_keys_all(f->keys, docs[i], &a->values, a->err));
        for (size_t k = 0; k < a->values.n; k++)
            QN_TRY(add_seen(a, f, ids[i], a->values.p[k]));
    }
    return QN_OK;
}

static qn_status add_function(aggregation *a, function *f, const uint32_t *docs,
                              const uint32_t *ids, size_t n, uint32_t weight)
{
    qn_agg_kind kind = f->asked->kind;
    union {
        int64_t whole[QN_AGG_BATCH];
        double real[QN_AGG_BATCH];
    } v;
    if (kind == QN_AGG_COUNT) return QN_OK; /* counts[] are had anyway */
    if (kind == QN_AGG_DISTINCT_COUNT) return add_distinct(a, f, docs, ids, n);
    if (f->source.real) {
        QN_TRY(qn_agg_source_f64(&f->source, docs, n, v.real, a->err));
        add_real(kind, f->real, ids, v.real, n, (double)weight);
    } else {
        QN_TRY(qn_agg_source_i64(&f->source, docs, n, v.whole, a->err));
        add_whole(kind, f->whole, ids, v.whole, n, (int64_t)weight);
    }
    return QN_OK;
}

static qn_status add_groups(aggregation *a, uint32_t *docs, uint32_t *ids, size_t n,
                            uint32_t weight)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == QN_AGG_NONE) continue;
        docs[kept] = docs[i];
        ids[kept++] = ids[i];
    }
    QN_TRY(have_groups(a, group_count(a)));
    for (size_t i = 0; i < kept; i++) a->counts[ids[i]] += weight;
    for (size_t i = 0; i < a->functions_open; i++)
        QN_TRY(add_function(a, &a->functions[i], docs, ids, kept, weight));
    return QN_OK;
}

/* ---- batches -------------------------------------------------------------------------- */

/* A document counts once in each of its values. */
static qn_status add_multi(aggregation *a, const uint32_t *docs, size_t n,
                           uint32_t weight)
{
    uint32_t pair_docs[QN_AGG_BATCH], pair_ids[QN_AGG_BATCH];
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++) {
        a->ids.n = 0;
        QN_TRY(qn_agg_keys_all(&a->keys[0], docs[i], &a->ids, a->err));
        QN_TRY(have_groups(a, group_count(a)));
        a->serial++;
        for (size_t k = 0; k < a->ids.n; k++) {
            uint32_t id = a->ids.p[k];
            if (id == QN_AGG_NONE || a->last_doc[id] == a->serial) continue;
            a->last_doc[id] = a->serial;
            pair_docs[pairs] = docs[i];
            pair_ids[pairs++] = id;
            if (pairs < QN_AGG_BATCH) continue;
            QN_TRY(add_groups(a, pair_docs, pair_ids, pairs, weight));
            pairs = 0;
        }
    }
    return add_groups(a, pair_docs, pair_ids, pairs, weight);
}

static qn_status add_batch(aggregation *a, size_t segment, uint32_t *docs, size_t n,
                           uint32_t weight)
{
    uint32_t ids[QN_AGG_BATCH];
    bool keep[QN_AGG_BATCH];
    a->documents += n;
    if (a->filter != NULL) {
        size_t kept = 0;
        QN_TRY(qn_rank_filter_run(a->filter, segment, docs, n, keep, a->err));
        for (size_t i = 0; i < n; i++)
            if (keep[i]) docs[kept++] = docs[i];
        n = kept;
    }
    if (n == 0) return QN_OK;
    if (a->keys_open > 1)
        QN_TRY(tuples_of(a, docs, n, ids));
    else if (a->keys[0].source.multi)
        return add_multi(a, docs, n, weight);
    else
        QN_TRY(qn_agg_keys_of(&a->keys[0], docs, n, ids, a->err));
    return add_groups(a, docs, ids, n, weight);
}

/* The document at place `i` of all is looked at: the first of them all, then the last of
 * every `step`. */
static size_t next_place(const qn_aggregate *q, size_t i)
{
    size_t step = q->sampler_step, threshold = q->sampler_threshold;
    if (step <= 1 || i < threshold) return i;
    size_t past = i - threshold;
    return threshold + (past / step + 1) * step - 1;
}

static qn_status run_all(aggregation *a, const qn_candidate *docs, size_t count,
                         bool *timed_out)
{
    const qn_aggregate *q = a->asked;
    uint32_t batch[QN_AGG_BATCH];
    size_t segment = SIZE_MAX, looks = LOOK_EVERY;
    for (size_t i = next_place(q, 0); i < count && !*timed_out;) {
        size_t n = 0, first = i;
        bool sampled = q->sampler_step > 1 && first >= q->sampler_threshold;
        if (docs[i].segment != segment) {
            segment = docs[i].segment;
            QN_TRY(begin_segment(a, segment));
        }
        while (n < QN_AGG_BATCH && i < count && docs[i].segment == segment) {
            if ((q->sampler_step > 1 && i >= q->sampler_threshold) != sampled) break;
            batch[n++] = docs[i].doc;
            i = next_place(q, i + 1);
        }
        QN_TRY(add_batch(a, segment, batch, n, sampled ? q->sampler_step : 1));
        if (--looks > 0) continue;
        looks = LOOK_EVERY;
        *timed_out = qn_deadline_passed(a->in->deadline);
    }
    return QN_OK;
}

/* ---- order ---------------------------------------------------------------------------- */

static int compare_keys(const aggregation *a, uint32_t x, uint32_t y)
{
    uint32_t xs[QN_AGG_KEYS_MAX], ys[QN_AGG_KEYS_MAX];
    for (size_t k = a->keys_open; k-- > 0;) {
        if (k > 0) {
            xs[k] = (uint32_t)a->pairs[k].p[x], ys[k] = (uint32_t)a->pairs[k].p[y];
            x = (uint32_t)(a->pairs[k].p[x] >> 32),
            y = (uint32_t)(a->pairs[k].p[y] >> 32);
        } else {
            xs[0] = x, ys[0] = y;
        }
    }
    for (size_t k = 0; k < a->keys_open; k++) {
        int order = qn_agg_keys_compare(&a->keys[k], xs[k], ys[k]);
        if (order != 0) return order;
    }
    return 0;
}

static int compare_groups(const aggregation *a, bool by_count, uint32_t x, uint32_t y)
{
    if (by_count && a->counts[x] != a->counts[y])
        return a->counts[x] > a->counts[y] ? -1 : 1;
    return compare_keys(a, x, y);
}

static void sift_down(const aggregation *a, uint32_t *heap, size_t n, size_t at)
{
    for (;;) {
        size_t last = at, left = 2 * at + 1;
        for (size_t c = left; c < left + 2 && c < n; c++)
            if (compare_groups(a, true, heap[c], heap[last]) > 0) last = c;
        if (last == at) return;
        uint32_t swap = heap[at];
        heap[at] = heap[last];
        heap[last] = swap;
        at = last;
    }
}

/* The k groups of the greatest counts, in no order: a heap, the last of them on top. */
static void choose(const aggregation *a, uint32_t *heap, size_t k)
{
    for (size_t i = 0; i < k; i++) heap[i] = (uint32_t)i;
    for (size_t i = k / 2; i-- > 0;) sift_down(a, heap, k, i);
    for (size_t g = k; g < a->groups && k > 0; g++) {
        if (compare_groups(a, true, (uint32_t)g, heap[0]) >= 0) continue;
        heap[0] = (uint32_t)g;
        sift_down(a, heap, k, 0);
    }
}

static void sort_groups(const aggregation *a, bool by_count, uint32_t *groups,
                        uint32_t *room, size_t n)
{
    uint32_t *from = groups, *to = room;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            size_t middle = begin + width < n ? begin + width : n;
            size_t end = begin + 2 * width < n ? begin + 2 * width : n;
            size_t x = begin, y = middle;
            for (size_t i = begin; i < end; i++) {
                bool left =
                    x < middle &&
                    (y >= end || compare_groups(a, by_count, from[x], from[y]) <= 0);
                to[i] = left ? from[x++] : from[y++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != groups && n > 0) memcpy(groups, from, n * sizeof *groups);
}

/* ---- results -------------------------------------------------------------------------- */

/* [v1, v2] of a tuple. */
static void add_label(const aggregation *a, uint32_t group, qn_buf *out)
{
    uint32_t parts[QN_AGG_KEYS_MAX];
    if (a->keys_open == 1) {
        qn_agg_keys_label(&a->keys[0], group, out);
        return;
    }
    for (size_t k = a->keys_open; k-- > 1;) {
        parts[k] = (uint32_t)a->pairs[k].p[group];
        group = (uint32_t)(a->pairs[k].p[group] >> 32);
    }
    parts[0] = group;
    for (size_t k = 0; k < a->keys_open; k++) {
        qn_buf_add_str(out, k == 0 ? "[" : ", ");
        qn_agg_keys_label(&a->keys[k], parts[k], out);
    }
    qn_buf_add_char(out, ']');
}

/* A float as the double that prints like it. */
static double of_float(double v)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%.6g", v);
    if ((float)strtod(text, NULL) != (float)v)
        (void)snprintf(text, sizeof text, "%.9g", v);
    return isfinite(v) ? strtod(text, NULL) : v;
}

static qn_sort_value value_of(const aggregation *a, const function *f, uint32_t group)
{
    if (f->asked->kind != QN_AGG_COUNT && f->source.real) {
        double v = f->real[group];
        return (qn_sort_value){
            .kind = QN_SORT_VALUE_DOUBLE,
            .f64 = f->source.type == QN_EXPR_FLOAT ? of_float((double)(float)v) : v};
    }
    int64_t v = f->asked->kind == QN_AGG_COUNT ? a->counts[group] : f->whole[group];
    return (qn_sort_value){.kind = QN_SORT_VALUE_INT, .i64 = v, .f64 = (double)v};
}

static qn_status fill_group(const aggregation *a, uint32_t group, qn_buf *label,
                            qn_facet_group *out)
{
    qn_sort_value *values =
        qn_arena_array(a->arena, a->functions_open + 1, sizeof *values);
    qn_buf_reset(label);
    add_label(a, group, label);
    out->label = qn_arena_slice(a->arena, qn_buf_slice(label));
    out->values = values;
    if (values == NULL || out->label.p == NULL || label->failed)
        return qn_fail(a->err, QN_ENOMEM, "groups");
    for (size_t i = 0; i < a->functions_open; i++)
        values[i] = value_of(a, &a->functions[i], group);
    return QN_OK;
}

static qn_status finish(const aggregation *a, qn_facet *out)
{
    const qn_aggregate *q = a->asked;
    size_t n = a->groups < q->max_group ? a->groups : q->max_group;
    bool counted = false;
    for (size_t i = 0; i < q->function_count; i++)
        counted |= q->functions[i].kind == QN_AGG_COUNT;
    uint32_t *chosen = qn_arena_raw(a->arena, n + 1, sizeof *chosen);
    uint32_t *room = qn_arena_raw(a->arena, n + 1, sizeof *room);
    qn_facet_group *groups = qn_arena_array(a->arena, n + 1, sizeof *groups);
    if (chosen == NULL || room == NULL || groups == NULL)
        return qn_fail(a->err, QN_ENOMEM, "groups");
    choose(a, chosen, n);
    sort_groups(a, q->order_by_count && counted, chosen, room, n);
    qn_buf label;
    qn_buf_init(&label, qn_alloc_heap());
    qn_status st = QN_OK;
    for (size_t i = 0; i < n && st == QN_OK; i++)
        st = fill_group(a, chosen[i], &label, &groups[i]);
    qn_buf_deinit(&label);
    *out = (qn_facet){.asked = q,
                      .groups = groups,
                      .group_count = n,
                      .groups_found = a->groups,
                      .documents = a->documents};
    return st;
}

static void warn(const aggregation *a, qn_facets *out)
{
    uint64_t refused = a->refused, pairs = 0;
    for (size_t i = 0; i < a->keys_open; i++) refused += a->keys[i].refused;
    for (size_t i = 0; i < a->functions_open; i++) pairs += a->functions[i].refused;
    if (refused > 0 && out->warning_count < QN_FACET_WARNINGS_MAX)
        (void)qn_fail(
            &out->warnings[out->warning_count++], QN_ELIMIT,
            "aggregate %.*s: over %d groups; %llu times a document of another "
            "group was not counted",
            QN_SLICE_ARG(a->asked->key_name), QN_FACET_GROUPS_MAX,
            (unsigned long long)refused);
    if (pairs > 0 && out->warning_count < QN_FACET_WARNINGS_MAX)
        (void)qn_fail(&out->warnings[out->warning_count++], QN_ELIMIT,
                      "aggregate %.*s: distinct_count() counts at most %d values",
                      QN_SLICE_ARG(a->asked->key_name), QN_FACET_DISTINCT_MAX);
}

qn_status qn_aggregate_run(const qn_rank_input *in, qn_arena *arena,
                           const qn_aggregate *asked, size_t n,
                           const qn_candidate *docs, size_t count, qn_facets *out,
                           qn_error *err)
{
    *out = (qn_facets){0};
    qn_facet *facets = qn_arena_array(arena, n + 1, sizeof *facets);
    aggregation *a = qn_new0(qn_alloc_heap(), sizeof *a);
    qn_status st = QN_OK;
    if (facets == NULL || a == NULL) st = qn_fail(err, QN_ENOMEM, "aggregate");
    for (size_t i = 0; i < n && st == QN_OK; i++) {
        *a = (aggregation){.in = in, .arena = arena, .err = err, .asked = &asked[i]};
        st = open_all(a);
        if (st == QN_OK) st = run_all(a, docs, count, &out->timed_out);
        if (st == QN_OK) st = finish(a, &facets[i]);
        if (st == QN_OK) warn(a, out);
        close_all(a);
    }
    qn_delete(qn_alloc_heap(), a);
    out->p = facets;
    out->n = n;
    return st;
}
