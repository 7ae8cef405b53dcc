/* SPDX-License-Identifier: Apache-2.0 */
/* A filter as canonical bytes: what it lets through, and nothing else. */
#include "query/filters.h"

#include <stdlib.h>

static void put8(qn_buf *out, uint8_t v)
{
    qn_buf_add_char(out, (char)v);
}

static void put32(qn_buf *out, uint32_t v)
{
    char bytes[4];
    qn_store32(bytes, v);
    qn_buf_add(out, bytes, sizeof bytes);
}

static void put64(qn_buf *out, uint64_t v)
{
    char bytes[8];
    qn_store64(bytes, v);
    qn_buf_add(out, bytes, sizeof bytes);
}

static void put_f64(qn_buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put64(out, bits);
}

static void put_slice(qn_buf *out, qn_slice s)
{
    put32(out, (uint32_t)s.n);
    qn_buf_add_slice(out, s);
}

static void put_end(const qn_query_end *e, qn_buf *out)
{
    put8(out, (uint8_t)(e->present ? 1 + e->inclusive : 0));
    if (!e->present) return;
    put64(out, (uint64_t)e->i64);
    put_f64(out, e->f64);
    put_slice(out, e->bytes);
}

static void put_set(const qn_query *q, qn_buf *out)
{
    put32(out, (uint32_t)q->u.set.count);
    for (size_t i = 0; i < q->u.set.count; i++) {
        if (q->u.set.values != NULL)
            put64(out, (uint64_t)q->u.set.values[i]);
        else
            put_f64(out, q->u.set.floats[i]);
    }
}

static void put_leaf(const qn_query *q, qn_buf *out)
{
    put8(out, q->every_field);
    put32(out, q->slop);
    put32(out, (uint32_t)q->field_count);
    for (size_t i = 0; i < q->field_count; i++) put32(out, q->fields[i].field->id);
    put32(out, (uint32_t)q->term_count);
    for (size_t i = 0; i < q->term_count; i++) {
        put32(out, q->terms[i].position);
        put_slice(out, q->terms[i].bytes);
    }
    if (q->kind == QN_QUERY_RANGE) {
        put_end(&q->u.range.low, out);
        put_end(&q->u.range.high, out);
    } else if (q->kind == QN_QUERY_SET) {
        put_set(q, out);
    } else if (q->kind == QN_QUERY_GEO) {
        const qn_query_geo *g = &q->u.geo;
        const double numbers[] = {g->lat,  g->lon,    g->radius_m, g->top,
                                  g->left, g->bottom, g->right};
        put8(out, g->is_box);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            put_f64(out, numbers[i]);
    }
}

static int compare_bytes(const void *a, const void *b)
{
    const qn_slice *x = a, *y = b;
    return qn_slice_compare(*x, *y);
}

/* Clauses in the order of their bytes. */
static bool put_list(qn_query_list list, qn_buf *out)
{
    qn_slice *keys = qn_new_array(out->alloc, list.n + 1, sizeof *keys);
    bool good = keys != NULL;
    if (!good) return false;
    size_t n = 0;
    for (; n < list.n && good; n++) {
        qn_buf one;
        qn_buf_init(&one, out->alloc);
        good = qn_filter_key(list.p[n], &one) && !one.failed;
        keys[n] = (qn_slice){one.p, one.n}; /* the bytes are ours until below */
    }
    qsort(keys, n, sizeof *keys, compare_bytes);
    put32(out, (uint32_t)list.n);
    for (size_t i = 0; i < n; i++) {
        put_slice(out, keys[i]);
        qn_delete(out->alloc, (void *)(uintptr_t)keys[i].p);
    }
    qn_delete(out->alloc, keys);
    return good;
}

static bool put_bool(const qn_query_bool *b, qn_buf *out)
{
    put32(out, b->should_min);
    return put_list(b->must, out) && put_list(b->should, out) &&
           put_list(b->filter, out) && put_list(b->must_not, out);
}

bool qn_filter_key(const qn_query *q, qn_buf *out)
{
    if (q->kind == QN_QUERY_CONSTANT) return qn_filter_key(q->u.child, out);
    put8(out, (uint8_t)q->kind);
    switch (q->kind) {
    case QN_QUERY_VECTOR:
        return false;
    case QN_QUERY_BOOL:
        return put_bool(&q->u.boolean, out);
    case QN_QUERY_DISMAX:
        return put_list(q->u.dismax.children, out);
    default:
        put_leaf(q, out);
        return !out->failed;
    }
}
