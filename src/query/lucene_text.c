/* SPDX-License-Identifier: Apache-2.0 */
#include "query/explain.h"

#include <inttypes.h>
#include <stdio.h>

static void write_query(const qn_query *q, bool nested, qn_buf *out);

/* As Java prints floats: 2.0, 0.5, 1.25. */
static void write_float(double v, qn_buf *out)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%.7g", v);
    qn_buf_add(out, text, (size_t)n);
    if (strpbrk(text, ".eni") == NULL) qn_buf_add_str(out, ".0");
}

static void write_boost(const qn_query *q, qn_buf *out)
{
    if (q->boost == 1.0f) return;
    qn_buf_add_char(out, '^');
    write_float((double)q->boost, out);
}

static void write_term(const qn_query *q, const qn_field *f, qn_buf *out)
{
    if (q->term_count > 1) qn_buf_add_str(out, "Synonym(");
    for (size_t i = 0; i < q->term_count; i++) {
        if (i > 0) qn_buf_add_char(out, ' ');
        qn_buf_printf(out, "%.*s:%.*s", QN_SLICE_ARG(f->name),
                      QN_SLICE_ARG(q->terms[i].bytes));
    }
    if (q->term_count > 1) qn_buf_add_char(out, ')');
}

static void write_phrase(const qn_query *q, const qn_field *f, qn_buf *out)
{
    qn_buf_printf(out, "%.*s:\"", QN_SLICE_ARG(f->name));
    for (size_t i = 0; i < q->term_count; i++) {
        uint32_t step = 1;
        if (i > 0) step = q->terms[i].position - q->terms[i - 1].position;
        if (i > 0) qn_buf_add_char(out, step == 0 ? '|' : ' ');
        for (; step > 1; step--) qn_buf_add_str(out, "? ");
        qn_buf_add_slice(out, q->terms[i].bytes);
    }
    qn_buf_add_char(out, '"');
    if (q->slop != 0) qn_buf_printf(out, "~%u", q->slop);
}

static void write_words(const qn_query *q, qn_buf *out)
{
    bool several = q->field_count > 1;
    if (several) qn_buf_add_char(out, '(');
    for (size_t i = 0; i < q->field_count; i++) {
        if (i > 0) qn_buf_add_str(out, q->every_field ? " & " : " | ");
        const qn_query_field *f = &q->fields[i];
        if (q->kind == QN_QUERY_TERM)
            write_term(q, f->field, out);
        else
            write_phrase(q, f->field, out);
        if (f->boost == 1.0f) continue;
        qn_buf_add_char(out, '^');
        write_float((double)f->boost, out);
    }
    if (several) qn_buf_add_char(out, ')');
}

static void write_end(const qn_field *f, const qn_query_end *end, qn_buf *out)
{
    if (!end->present)
        qn_buf_add_char(out, '*');
    else if (f->type == QN_FIELD_FLOAT || f->type == QN_FIELD_DOUBLE)
        write_float(end->f64, out);
    else if (f->type == QN_FIELD_KEYWORD || f->type == QN_FIELD_TEXT)
        qn_buf_add_slice(out, end->bytes);
    else
        qn_buf_printf(out, "%" PRId64, end->i64);
}

static void write_range(const qn_query *q, qn_buf *out)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    const qn_field *f = q->fields[0].field;
    qn_buf_printf(out, "%.*s:%c", QN_SLICE_ARG(f->name),
                  !low->present || low->inclusive ? '[' : '{');
    write_end(f, low, out);
    qn_buf_add_str(out, " TO ");
    write_end(f, high, out);
    qn_buf_add_char(out, !high->present || high->inclusive ? ']' : '}');
}

/* Long sets are cut: the text is for people. */
static void write_set(const qn_query *q, qn_buf *out)
{
    enum { SHOWN = 16 };
    qn_slice name =
        q->kind == QN_QUERY_IDS ? QN_SLICE_LIT("_id") : q->fields[0].field->name;
    qn_buf_printf(out, "%.*s:(", QN_SLICE_ARG(name));
    size_t n = q->term_count + (q->kind == QN_QUERY_SET ? q->u.set.count : 0);
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        if (i > 0) qn_buf_add_char(out, ' ');
        if (q->term_count > 0)
            qn_buf_add_slice(out, q->terms[i].bytes);
        else if (q->u.set.values != NULL)
            qn_buf_printf(out, "%" PRId64, q->u.set.values[i]);
        else
            write_float(q->u.set.floats[i], out);
    }
    if (n > SHOWN) qn_buf_printf(out, " and %zu more", n - SHOWN);
    qn_buf_add_char(out, ')');
}

static void write_clauses(qn_query_list list, const char *sign, bool *any, qn_buf *out)
{
    for (size_t i = 0; i < list.n; i++) {
        if (*any) qn_buf_add_char(out, ' ');
        *any = true;
        qn_buf_add_str(out, sign);
        write_query(list.p[i], true, out);
    }
}

static void write_bool(const qn_query *q, bool nested, qn_buf *out)
{
    const qn_query_bool *b = &q->u.boolean;
    bool any = false, closed = nested || q->boost != 1.0f || b->should_min > 1;
    if (closed) qn_buf_add_char(out, '(');
    write_clauses(b->must, "+", &any, out);
    write_clauses(b->should, "", &any, out);
    write_clauses(b->filter, "#", &any, out);
    write_clauses(b->must_not, "-", &any, out);
    if (closed) qn_buf_add_char(out, ')');
    if (b->should_min > 1) qn_buf_printf(out, "~%" PRIu32, b->should_min);
}

static void write_dismax(const qn_query *q, qn_buf *out)
{
    qn_buf_add_char(out, '(');
    for (size_t i = 0; i < q->u.dismax.children.n; i++) {
        if (i > 0) qn_buf_add_str(out, " | ");
        write_query(q->u.dismax.children.p[i], true, out);
    }
    qn_buf_add_char(out, ')');
    if (q->u.dismax.tie_breaker == 0) return;
    qn_buf_add_char(out, '~');
    write_float((double)q->u.dismax.tie_breaker, out);
}

static void write_geo(const qn_query *q, qn_buf *out)
{
    const qn_query_geo *g = &q->u.geo;
    qn_slice name = q->fields[0].field->name;
    if (g->is_box)
        qn_buf_printf(out, "%.*s:[%.9g,%.9g TO %.9g,%.9g]", QN_SLICE_ARG(name),
                      g->bottom, g->left, g->top, g->right);
    else
        qn_buf_printf(out, "%.*s:%.9g,%.9g +/- %.9g meters", QN_SLICE_ARG(name), g->lat,
                      g->lon, g->radius_m);
}

static void write_query(const qn_query *q, bool nested, qn_buf *out)
{
    switch (q->kind) {
    case QN_QUERY_ALL:
        qn_buf_add_str(out, "*:*");
        break;
    case QN_QUERY_NONE:
        qn_buf_add_str(out, "MatchNoDocsQuery(\"\")");
        break;
    case QN_QUERY_TERM:
    case QN_QUERY_PHRASE:
        write_words(q, out);
        break;
    case QN_QUERY_RANGE:
        write_range(q, out);
        break;
    case QN_QUERY_SET:
    case QN_QUERY_IDS:
        write_set(q, out);
        break;
    case QN_QUERY_EXISTS:
        qn_buf_printf(out, "FieldExistsQuery [field=%.*s]",
                      QN_SLICE_ARG(q->fields[0].field->name));
        break;
    case QN_QUERY_GEO:
        write_geo(q, out);
        break;
    case QN_QUERY_VECTOR:
        qn_buf_printf(out, "knn(%.*s, k=%" PRIu32 ")",
                      QN_SLICE_ARG(q->fields[0].field->name), q->u.vector.k);
        break;
    case QN_QUERY_BOOL:
        write_bool(q, nested, out);
        break;
    case QN_QUERY_DISMAX:
        write_dismax(q, out);
        break;
    case QN_QUERY_CONSTANT:
        qn_buf_add_str(out, "ConstantScore(");
        write_query(q->u.child, false, out);
        qn_buf_add_char(out, ')');
        break;
    }
    write_boost(q, out);
}

void qn_query_lucene_text(const qn_query *query, qn_buf *out)
{
    write_query(query, false, out);
}
