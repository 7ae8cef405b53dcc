/* SPDX-License-Identifier: Apache-2.0 */
/* search_attributes.c -- HA3's attribute clause: columns, as typed JSON beside each hit.
 *
 * A value that is missing reads as 0 or the empty text, several values as a list. Virtual
 * attributes are computed. */
#include "engine/search/search.h"
#include "rank/bind.h"

#include <math.h>
#include <stdio.h>

static bool is_virtual(const qn_search *s, qn_slice name)
{
    for (size_t i = 0; i < s->request.virtual_attribute_count; i++)
        if (qn_slice_eq(s->request.virtual_attributes[i].key, name)) return true;
    return false;
}

static uint64_t place(const qn_search *s, qn_slice name)
{
    bool inside = name.p >= s->text.p && name.p <= s->text.p + s->text.n;
    return inside ? (uint64_t)(name.p - s->text.p) : QN_AT_NONE;
}

qn_status qn_search__check_attributes(const qn_search *s, qn_error *err)
{
    const qn_schema *schema = s->snapshot->view.schema;
    for (size_t i = 0; i < s->request.attribute_count; i++) {
        qn_slice name = s->request.attributes[i];
        const qn_field *f = qn_schema_field(schema, name);
        if ((f != NULL && f->column) || is_virtual(s, name)) continue;
        const char *near = f != NULL ? NULL : qn_schema_nearest(schema, name);
        return qn_fail_at(err, QN_ENOATTR, place(s, name), "no attribute '%.*s'%s%s%s",
                          QN_SLICE_ARG(name), near == NULL ? "" : "; did you mean '",
                          near == NULL ? "" : near, near == NULL ? "" : "'?");
    }
    return QN_OK;
}

/* ---- values ---------------------------------------------------------------------------- */

static void write_one(const qn_field *f, const qn_column *c, uint64_t at,
                      qn_json_writer *w)
{
    switch (f->type) {
    case QN_FIELD_KEYWORD:
        qn_json_string(w, qn_column_bytes(c, qn_column_value_ord(c, at)));
        return;
    case QN_FIELD_FLOAT:
        qn_json_float(w, (float)qn_column_value_f64(c, at));
        return;
    case QN_FIELD_DOUBLE:
        qn_json_double(w, qn_column_value_f64(c, at));
        return;
    case QN_FIELD_GEO: { /* as it is written: "lon lat" */
        char text[64];
        qn_geo_point p = qn_geo_of_bits(qn_column_value_bits(c, at));
        (void)snprintf(text, sizeof text, "%.9g %.9g", p.lon, p.lat);
        qn_json_str(w, text);
        return;
    }
    case QN_FIELD_BOOL:
        qn_json_bool(w, qn_column_value_i64(c, at) != 0);
        return;
    default:
        qn_json_int(w, qn_column_value_i64(c, at));
    }
}

static void write_missing(const qn_field *f, qn_json_writer *w)
{
    if (f->multi) {
        qn_json_begin_array(w);
        qn_json_end_array(w);
    } else if (f->type == QN_FIELD_KEYWORD) {
        qn_json_str(w, "");
    } else {
        qn_json_int(w, 0);
    }
}

static qn_status write_column(const qn_search *s, const qn_ranked *d, const qn_field *f,
                              qn_json_writer *w, qn_error *err)
{
    qn_column column;
    qn_error inner = {0};
    uint64_t begin = 0, limit = 0;
    qn_status st = qn_segment_column(s->snapshot->view.segments[d->segment].segment,
                                     f->id, &column, &inner);
    if (st == QN_OK) qn_column_range(&column, d->doc, &begin, &limit);
    if (st != QN_OK && st != QN_ENOTFOUND) {
        if (err != NULL) *err = inner;
        return st;
    }
    if (begin == limit) {
        write_missing(f, w);
        return QN_OK;
    }
    if (f->multi) qn_json_begin_array(w);
    for (uint64_t at = begin; at < (f->multi ? limit : begin + 1); at++)
        write_one(f, &column, at, w);
    if (f->multi) qn_json_end_array(w);
    return QN_OK;
}

static qn_status write_virtual(const qn_search *s, const qn_ranked *d, qn_slice name,
                               qn_json_writer *w, qn_error *err)
{
    qn_rank_key *key = NULL;
    qn_sort_value v = {0};
    QN_TRY(qn_rank_key_open(&s->input, s->arena, name, &key, err));
    qn_status st = qn_rank_key_run(key, d->segment, &d->doc, 1, &v, err);
    qn_rank_key_close(key);
    if (st != QN_OK) return st;
    if (v.kind == QN_SORT_VALUE_TEXT)
        qn_json_string(w, v.text);
    else if (v.kind == QN_SORT_VALUE_INT)
        qn_json_int(w, v.i64);
    else
        qn_json_double(w, isfinite(v.f64) ? v.f64 : 0);
    return QN_OK;
}

qn_status qn_search__attributes(const qn_search *s, const qn_ranked *d, qn_slice *out,
                                qn_error *err)
{
    qn_buf b;
    qn_json_writer w;
    qn_status st = QN_OK;
    *out = (qn_slice){NULL, 0};
    if (s->request.attribute_count == 0) return QN_OK;
    qn_buf_init(&b, s->q->alloc);
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    for (size_t i = 0; st == QN_OK && i < s->request.attribute_count; i++) {
        qn_slice name = s->request.attributes[i];
        const qn_field *f = qn_schema_field(s->snapshot->view.schema, name);
        qn_json_key_slice(&w, name);
        st = f != NULL ? write_column(s, d, f, &w, err)
                       : write_virtual(s, d, name, &w, err);
    }
    qn_json_end_object(&w);
    if (st == QN_OK) *out = qn_arena_slice(s->arena, qn_buf_slice(&b));
    if (st == QN_OK && out->p == NULL) st = qn_fail(err, QN_ENOMEM, "attributes");
    qn_buf_deinit(&b);
    return st;
}
