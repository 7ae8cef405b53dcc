/* SPDX-License-Identifier: Apache-2.0 */
/* agg_source.c -- where aggregations get values: a column read in batches, or an expression
 * compiled as a sort key. */
#include "rank/agg_internal.h"

#include "index/segment.h"

#include <stdio.h>

qn_status qn_agg_place(qn_error *err, const char *what, const qn_clause_expr *expr,
                       qn_status st)
{
    if (st == QN_OK || err == NULL) return st;
    char text[QN_ERROR_TEXT_MAX];
    static const char *const names[] = {"sort key: ", "filter: "};
    const char *rest = err->text;
    for (size_t i = 0; i < 2; i++)
        if (strncmp(rest, names[i], strlen(names[i])) == 0) rest += strlen(names[i]);
    (void)snprintf(text, sizeof text, "%s: %.*s", what, (int)(sizeof text - 64), rest);
    memcpy(err->text, text, sizeof text);
    err->at = expr->at + (err->at == QN_AT_NONE ? 0 : err->at);
    return st;
}

static qn_expr_type type_of(const qn_field *f)
{
    switch (f->type) {
    case QN_FIELD_KEYWORD:
        return QN_EXPR_STRING;
    case QN_FIELD_FLOAT:
        return QN_EXPR_FLOAT;
    case QN_FIELD_DOUBLE:
        return QN_EXPR_DOUBLE;
    case QN_FIELD_BOOL:
        return QN_EXPR_BOOL;
    case QN_FIELD_INT8:
        return QN_EXPR_INT8;
    case QN_FIELD_INT16:
        return f->int_min == 0 && f->int_max == UINT8_MAX ? QN_EXPR_UINT8
                                                          : QN_EXPR_INT16;
    case QN_FIELD_INT32:
        return f->int_min == 0 && f->int_max == UINT16_MAX ? QN_EXPR_UINT16
                                                           : QN_EXPR_INT32;
    default:
        return f->int_min == 0 && f->int_max == UINT32_MAX ? QN_EXPR_UINT32
                                                           : QN_EXPR_INT64;
    }
}

qn_status qn_agg_source_open(const qn_rank_input *in, qn_arena *arena, const char *what,
                             const qn_clause_expr *expr, qn_agg_source *out,
                             qn_error *err)
{
    *out = (qn_agg_source){.segment = SIZE_MAX};
    qn_slice name = qn_slice_trim(expr->text);
    const qn_field *f = qn_schema_field(in->snapshot->schema, name);
    bool readable = f != NULL && f->column && f->type != QN_FIELD_TEXT &&
                    f->type != QN_FIELD_VECTOR && f->type != QN_FIELD_GEO;
    if (readable) {
        out->field = f;
        out->type = type_of(f);
        out->multi = f->multi;
    } else {
        qn_status st = qn_rank_key_open(in, arena, expr->text, &out->key, err);
        if (st != QN_OK) return qn_agg_place(err, what, expr, st);
        out->type = qn_rank_key_type(out->key);
    }
    out->text = out->type == QN_EXPR_STRING;
    out->real = out->type == QN_EXPR_FLOAT || out->type == QN_EXPR_DOUBLE;
    return QN_OK;
}

void qn_agg_source_close(qn_agg_source *s)
{
    qn_rank_key_close(s->key);
    *s = (qn_agg_source){0};
}

qn_status qn_agg_source_begin(const qn_rank_input *in, qn_agg_source *s, size_t segment,
                              qn_error *err)
{
    qn_error inner = {0};
    s->segment = segment;
    s->there = false;
    if (s->field == NULL) return QN_OK;
    qn_status st = qn_segment_column(in->snapshot->segments[segment].segment,
                                     s->field->id, &s->column, &inner);
    s->there = st == QN_OK;
    if (st == QN_OK || st == QN_ENOTFOUND) return QN_OK;
    if (err != NULL) *err = inner;
    return st;
}

qn_status qn_agg_source_i64(qn_agg_source *s, const uint32_t *docs, size_t n,
                            int64_t *out, qn_error *err)
{
    if (s->field != NULL) {
        if (s->there)
            qn_column_get_i64(&s->column, docs, n, out, NULL);
        else
            memset(out, 0, n * sizeof *out);
        return QN_OK;
    }
    qn_sort_value values[QN_AGG_BATCH];
    QN_TRY(qn_rank_key_run(s->key, s->segment, docs, n, values, err));
    for (size_t i = 0; i < n; i++) out[i] = values[i].i64;
    return QN_OK;
}

qn_status qn_agg_source_f64(qn_agg_source *s, const uint32_t *docs, size_t n,
                            double *out, qn_error *err)
{
    if (s->field != NULL) {
        if (s->there)
            qn_column_get_f64(&s->column, docs, n, out, NULL);
        else
            memset(out, 0, n * sizeof *out);
        return QN_OK;
    }
    qn_sort_value values[QN_AGG_BATCH];
    QN_TRY(qn_rank_key_run(s->key, s->segment, docs, n, values, err));
    for (size_t i = 0; i < n; i++) out[i] = values[i].f64;
    return QN_OK;
}

qn_status qn_agg_source_text(qn_agg_source *s, const uint32_t *docs, size_t n,
                             qn_slice *out, qn_error *err)
{
    uint32_t ords[QN_AGG_BATCH];
    if (s->field != NULL) {
        if (s->there) qn_column_get_ord(&s->column, docs, n, ords);
        for (size_t i = 0; i < n; i++)
            out[i] = !s->there || ords[i] == QN_ORD_NONE
                         ? (qn_slice){"", 0}
                         : qn_column_bytes(&s->column, ords[i]);
        return QN_OK;
    }
    qn_sort_value values[QN_AGG_BATCH];
    QN_TRY(qn_rank_key_run(s->key, s->segment, docs, n, values, err));
    for (size_t i = 0; i < n; i++) out[i] = values[i].text;
    return QN_OK;
}
