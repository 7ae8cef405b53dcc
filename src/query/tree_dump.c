/* SPDX-License-Identifier: Apache-2.0 */
#include "query/tree.h"

#include <inttypes.h>

static void dump(const qn_query *q, qn_buf *out);

static void dump_quoted(qn_slice s, qn_buf *out)
{
    qn_buf_add_char(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\'' || c == '\\') qn_buf_add_char(out, '\\');
        if (c < 0x20 || c == 0x7F)
            qn_buf_printf(out, "\\x%02X", c);
        else
            qn_buf_add_char(out, (char)c);
    }
    qn_buf_add_char(out, '\'');
}

/* "default", or "default(title,body)" when only some of its fields are asked. */
static void dump_target(const qn_query *q, qn_buf *out)
{
    qn_buf_add_char(out, ' ');
    if (q->index == NULL) {
        qn_buf_add_slice(out, q->field_count > 0 ? q->fields[0].field->name
                                                 : QN_SLICE_LIT("_id"));
        return;
    }
    qn_buf_add_slice(out, q->index->name);
    bool all = q->field_count == q->index->field_count && !q->every_field;
    if (all || q->index->kind != QN_INDEX_TEXT) return;
    qn_buf_add_char(out, q->every_field ? '(' : '[');
    for (size_t i = 0; i < q->field_count; i++) {
        if (i > 0) qn_buf_add_char(out, ',');
        qn_buf_add_slice(out, q->fields[i].field->name);
    }
    qn_buf_add_char(out, q->every_field ? ')' : ']');
}

/* Words with their places: equal places as 'a'/'b', holes as _. */
static void dump_terms(const qn_query *q, qn_buf *out)
{
    bool placed = q->kind == QN_QUERY_PHRASE || q->kind == QN_QUERY_TERM;
    for (size_t i = 0; i < q->term_count; i++) {
        uint32_t hole = 0;
        if (placed && i > 0) hole = q->terms[i].position - q->terms[i - 1].position;
        if (placed && i > 0 && hole == 0)
            qn_buf_add_char(out, '/');
        else
            qn_buf_add_char(out, ' ');
        for (; hole > 1; hole--) qn_buf_add_str(out, "_ ");
        dump_quoted(q->terms[i].bytes, out);
    }
}

static void dump_end(const qn_query *q, const qn_query_end *end, qn_buf *out)
{
    if (!end->present) {
        qn_buf_add_char(out, '*');
        return;
    }
    switch (q->fields[0].field->type) {
    case QN_FIELD_TEXT:
    case QN_FIELD_KEYWORD:
        dump_quoted(end->bytes, out);
        return;
    case QN_FIELD_FLOAT:
    case QN_FIELD_DOUBLE:
        qn_buf_printf(out, "%.9g", end->f64);
        return;
    default:
        qn_buf_printf(out, "%" PRId64, end->i64);
    }
}

static void dump_range(const qn_query *q, qn_buf *out)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    qn_buf_add_str(out, low->present && low->inclusive ? " [" : " (");
    dump_end(q, low, out);
    qn_buf_add_char(out, ',');
    dump_end(q, high, out);
    qn_buf_add_char(out, high->present && high->inclusive ? ']' : ')');
}

static void dump_set(const qn_query *q, qn_buf *out)
{
    dump_terms(q, out);
    for (size_t i = 0; i < q->u.set.count; i++) {
        if (q->u.set.values != NULL)
            qn_buf_printf(out, " %" PRId64, q->u.set.values[i]);
        else
            qn_buf_printf(out, " %.9g", q->u.set.floats[i]);
    }
}

static void dump_vector(const qn_query *q, qn_buf *out)
{
    const qn_query_vector *v = &q->u.vector;
    qn_buf_printf(out, " :dims %" PRIu32 " :k %" PRIu32, q->fields[0].field->dims,
                  v->k);
    if (v->num_candidates > v->k)
        qn_buf_printf(out, " :candidates %" PRIu32, v->num_candidates);
    if (v->has_threshold) {
        bool nearer = q->fields[0].field->metric == QN_METRIC_L2;
        qn_buf_printf(out, " %s%s %.9g", nearer ? "<" : ">", v->strict ? "" : "=",
                      (double)v->threshold);
    }
    if (v->filter != NULL) {
        qn_buf_add_str(out, " :filter ");
        dump(v->filter, out);
    }
}

static void dump_geo(const qn_query *q, qn_buf *out)
{
    const qn_query_geo *g = &q->u.geo;
    if (g->is_box)
        qn_buf_printf(out, " :top %.9g :left %.9g :bottom %.9g :right %.9g", g->top,
                      g->left, g->bottom, g->right);
    else
        qn_buf_printf(out, " :lat %.9g :lon %.9g :metres %.9g", g->lat, g->lon,
                      g->radius_m);
}

static void dump_list(qn_query_list list, qn_buf *out)
{
    for (size_t i = 0; i < list.n; i++) {
        qn_buf_add_char(out, ' ');
        dump(list.p[i], out);
    }
}

static void dump_group(const char *name, qn_query_list list, qn_buf *out)
{
    if (list.n == 0) return;
    qn_buf_printf(out, " (%s", name);
    dump_list(list, out);
    qn_buf_add_char(out, ')');
}

/* The left side of ANDNOT and RANK: one clause as it is, several as their AND. */
static void dump_left(qn_query_list must, qn_buf *out)
{
    qn_buf_add_char(out, ' ');
    if (must.n == 1) {
        dump(must.p[0], out);
        return;
    }
    qn_buf_add_str(out, "(and");
    dump_list(must, out);
    qn_buf_add_char(out, ')');
}

static void dump_bool(const qn_query_bool *b, qn_buf *out)
{
    bool must = b->must.n > 0, should = b->should.n > 0, filter = b->filter.n > 0,
         must_not = b->must_not.n > 0;
    if (must && !should && !filter && !must_not) {
        qn_buf_add_str(out, "and");
        dump_list(b->must, out);
    } else if (should && !must && !filter && !must_not && b->should_min == 1) {
        qn_buf_add_str(out, "or");
        dump_list(b->should, out);
    } else if (must && must_not && !should && !filter) {
        qn_buf_add_str(out, "andnot");
        dump_left(b->must, out);
        dump_list(b->must_not, out);
    } else if (must && should && !must_not && !filter && b->should_min == 0) {
        qn_buf_add_str(out, "rank");
        dump_left(b->must, out);
        dump_list(b->should, out);
    } else {
        qn_buf_add_str(out, "bool");
        dump_group("must", b->must, out);
        dump_group("should", b->should, out);
        dump_group("filter", b->filter, out);
        dump_group("not", b->must_not, out);
        if (should) qn_buf_printf(out, " (min %" PRIu32 ")", b->should_min);
    }
}

static void dump_kind(const qn_query *q, qn_buf *out)
{
    if (q->kind == QN_QUERY_BOOL) {
        dump_bool(&q->u.boolean, out);
        return;
    }
    qn_buf_add_str(out, qn_query_kind_name(q->kind));
    switch (q->kind) {
    case QN_QUERY_TERM:
    case QN_QUERY_PHRASE:
        dump_target(q, out);
        dump_terms(q, out);
        break;
    case QN_QUERY_RANGE:
        dump_target(q, out);
        dump_range(q, out);
        break;
    case QN_QUERY_SET:
        dump_target(q, out);
        dump_set(q, out);
        break;
    case QN_QUERY_IDS:
        dump_terms(q, out);
        break;
    case QN_QUERY_EXISTS:
        dump_target(q, out);
        break;
    case QN_QUERY_GEO:
        dump_target(q, out);
        dump_geo(q, out);
        break;
    case QN_QUERY_VECTOR:
        dump_target(q, out);
        dump_vector(q, out);
        break;
    case QN_QUERY_DISMAX:
        dump_list(q->u.dismax.children, out);
        if (q->u.dismax.tie_breaker != 0)
            qn_buf_printf(out, " :tie %.9g", (double)q->u.dismax.tie_breaker);
        break;
    case QN_QUERY_CONSTANT:
        qn_buf_add_char(out, ' ');
        dump(q->u.child, out);
        break;
    default:
        break;
    }
}

static void dump(const qn_query *q, qn_buf *out)
{
    qn_buf_add_char(out, '(');
    dump_kind(q, out);
    if (q->slop != 0) qn_buf_printf(out, " :slop %" PRIu32, q->slop);
    if (q->weight != QN_QUERY_WEIGHT_DEFAULT)
        qn_buf_printf(out, " :weight %" PRId32, q->weight);
    if (q->chain.n > 0) qn_buf_printf(out, " #%.*s", QN_SLICE_ARG(q->chain));
    qn_buf_add_char(out, ')');
    if (q->boost != 1.0f) qn_buf_printf(out, "^%.9g", (double)q->boost);
    if (q->label.n > 0) qn_buf_printf(out, "@%.*s", QN_SLICE_ARG(q->label));
}

void qn_query_dump(const qn_query *query, qn_buf *out)
{
    dump(query, out);
}
