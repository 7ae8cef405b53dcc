/* SPDX-License-Identifier: Apache-2.0 */
/* The sort and search_after sections. */
#include "query/dsl/dsl_internal.h"

#include "query/geo_point.h"

#include <math.h>

/* ---- sort ------------------------------------------------------------------------ */

static qn_status sort_direction(qn_dsl *d, const qn_json *v, qn_sort_key *key)
{
    qn_slice s;
    QN_TRY(qn_dsl__text(d, v, &s));
    if (!qn_slice_eq_nocase(s, "asc") && !qn_slice_eq_nocase(s, "desc"))
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                          "sort direction [%.*s] should be either [asc] or [desc]",
                          QN_SLICE_ARG(s));
    key->descending = qn_slice_eq_nocase(s, "desc");
    return QN_OK;
}

static qn_status sort_missing(qn_dsl *d, const qn_json *v, qn_sort_key *key)
{
    qn_slice s;
    QN_TRY(qn_dsl__text(d, v, &s));
    if (qn_slice_eq_str(s, "_last")) {
        key->missing = QN_MISSING_LAST;
    } else if (qn_slice_eq_str(s, "_first")) {
        key->missing = QN_MISSING_FIRST;
    } else {
        key->missing = QN_MISSING_VALUE;
        key->missing_text = s;
    }
    return QN_OK;
}

static qn_status sort_mode(qn_dsl *d, const qn_json *v, qn_sort_key *key)
{
    static const char *const names[] = {
        [QN_SORT_MODE_MIN] = "min",       [QN_SORT_MODE_MAX] = "max",
        [QN_SORT_MODE_SUM] = "sum",       [QN_SORT_MODE_AVG] = "avg",
        [QN_SORT_MODE_MEDIAN] = "median",
    };
    qn_slice s;
    QN_TRY(qn_dsl__text(d, v, &s));
    for (size_t i = QN_SORT_MODE_MIN; i <= QN_SORT_MODE_MEDIAN; i++) {
        if (!qn_slice_eq_nocase(s, names[i])) continue;
        key->mode = (qn_sort_mode)i;
        return QN_OK;
    }
    return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                      "Unknown SortMode [%.*s]", QN_SLICE_ARG(s));
}

/* Members of {"field": {...}}. */
static qn_status sort_members(qn_dsl *d, const qn_json *v, qn_sort_key *key,
                              bool *unmapped_allowed)
{
    for (const qn_json *m = v->first; m != NULL; m = m->next) {
        if (qn_dsl__key_is(m, "order")) {
            QN_TRY(sort_direction(d, m, key));
        } else if (qn_dsl__key_is(m, "missing")) {
            QN_TRY(sort_missing(d, m, key));
        } else if (qn_dsl__key_is(m, "unmapped_type")) {
            *unmapped_allowed = true;
        } else if (qn_dsl__key_is(m, "mode")) {
            QN_TRY(sort_mode(d, m, key));
        } else {
            return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                              "[sort] does not support [%.*s]", QN_SLICE_ARG(m->key));
        }
    }
    return QN_OK;
}

static qn_status check_mode(qn_dsl *d, const qn_json *v, qn_slice name,
                            const qn_sort_key *key)
{
    qn_field_type type = key->field->type;
    if (type == QN_FIELD_GEO)
        return qn_fail_at(d->make.err, QN_ESORT, qn_dsl__at(d, v),
                          "can't sort on geo_point field [%.*s] without using specific "
                          "sorting feature, like geo_distance",
                          QN_SLICE_ARG(name));
    if (type != QN_FIELD_KEYWORD) return QN_OK;
    if (key->mode >= QN_SORT_MODE_SUM)
        return qn_fail_at(d->make.err, QN_ESORT, qn_dsl__at(d, v),
                          "we only support AVG, MEDIAN and SUM on number based fields");
    return QN_OK;
}

/* Binds the key to a column; *skip for an unmapped field that is allowed to be so. */
static qn_status sort_field(qn_dsl *d, const qn_json *v, qn_slice name,
                            bool unmapped_allowed, qn_sort_key *key, bool *skip)
{
    key->text = name;
    key->kind = QN_SORT_FIELD;
    if (qn_slice_eq_str(name, "_score")) key->kind = QN_SORT_SCORE;
    if (qn_slice_eq_str(name, "_doc") || qn_slice_eq_str(name, "_shard_doc"))
        key->kind = QN_SORT_DOC;
    if (key->kind != QN_SORT_FIELD) return QN_OK;
    key->field = qn_schema_field(d->make.env->schema, name);
    *skip = key->field == NULL && unmapped_allowed;
    if (*skip) return QN_OK;
    if (key->field == NULL)
        return qn_fail_at(d->make.err, QN_ESORT, qn_dsl__at(d, v),
                          "No mapping found for [%.*s] in order to sort on",
                          QN_SLICE_ARG(name));
    if (!key->field->column)
        return qn_fail_at(d->make.err, QN_ESORT, qn_dsl__at(d, v),
                          "cannot sort on field [%.*s] of type [%s]: it has no column",
                          QN_SLICE_ARG(name), qn_field_type_name(key->field->type));
    return check_mode(d, v, name, key);
}

typedef struct sort_list {
    qn_sort_key *keys;
    size_t n;
} sort_list;

static qn_status new_key(qn_dsl *d, const qn_json *v, sort_list *list,
                         qn_sort_key **out)
{
    if (list->n == QN_REQUEST_SORT_KEYS_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, v), "over %d sort keys",
                          QN_REQUEST_SORT_KEYS_MAX);
    *out = &list->keys[list->n];
    **out = (qn_sort_key){.missing_text = {"", 0}, .at = (uint32_t)qn_dsl__at(d, v)};
    return QN_OK;
}

static qn_status add_sort_key(qn_dsl *d, const qn_json *v, qn_slice name,
                              const qn_json *how, sort_list *list)
{
    qn_sort_key *key = NULL;
    QN_TRY(new_key(d, v, list, &key));
    key->descending = qn_slice_eq_str(name, "_score");
    bool unmapped_allowed = false, skip = false;
    if (how != NULL && how->kind == QN_JSON_OBJECT)
        QN_TRY(sort_members(d, how, key, &unmapped_allowed));
    else if (how != NULL)
        QN_TRY(sort_direction(d, how, key));
    QN_TRY(sort_field(d, v, name, unmapped_allowed, key, &skip));
    if (!skip) list->n++;
    return QN_OK;
}

/* ---- by distance ------------------------------------------------------------------- */

static qn_status distance_field(qn_dsl *d, const qn_json *m, qn_sort_key *key)
{
    const char *why = NULL;
    if (key->text.n != 0)
        return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                          "[_geo_distance] does not support [%.*s]",
                          QN_SLICE_ARG(m->key));
    key->text = m->key;
    key->field = qn_schema_field(d->make.env->schema, m->key);
    const qn_json *point = m; /* a list of one point is that point */
    if (m->kind == QN_JSON_ARRAY && m->count == 1) point = m->first;
    if (!qn_geo_parse(point, &key->lat, &key->lon, &why))
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, m),
                          "[_geo_distance] of [%.*s]: %s; several points are not "
                          "supported",
                          QN_SLICE_ARG(m->key), why);
    return QN_OK;
}

static qn_status distance_members(qn_dsl *d, const qn_json *v, qn_sort_key *key,
                                  bool *unmapped_allowed)
{
    for (const qn_json *m = v->first; m != NULL; m = m->next) {
        qn_slice s;
        if (qn_dsl__key_is(m, "order")) {
            QN_TRY(sort_direction(d, m, key));
        } else if (qn_dsl__key_is(m, "mode")) {
            QN_TRY(sort_mode(d, m, key));
        } else if (qn_dsl__key_is(m, "ignore_unmapped")) {
            QN_TRY(qn_dsl__flag(d, m, unmapped_allowed));
        } else if (qn_dsl__key_is(m, "unit")) {
            QN_TRY(qn_dsl__text(d, m, &s));
            if (!qn_geo_unit(s, &key->unit_m))
                return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, m),
                                  "No matching unit for distance [%.*s]",
                                  QN_SLICE_ARG(s));
        } else if (qn_dsl__key_is(m, "distance_type")) {
            QN_TRY(qn_dsl__text(d, m, &s));
            if (!qn_slice_eq_str(s, "arc"))
                return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                                  "[_geo_distance] distance_type: only [arc] is "
                                  "supported");
        } else if (!qn_dsl__key_is(m, "validation_method")) {
            QN_TRY(distance_field(d, m, key));
        }
    }
    return QN_OK;
}

/* {"_geo_distance": {"pin": {"lat": 40, "lon": -70}, "order": "asc", "unit": "km"}} */
static qn_status add_distance_key(qn_dsl *d, const qn_json *v, sort_list *list)
{
    qn_sort_key *key = NULL;
    bool unmapped_allowed = false;
    QN_TRY(new_key(d, v, list, &key));
    QN_TRY(qn_dsl__object(d, "_geo_distance", v));
    key->kind = QN_SORT_DISTANCE;
    key->unit_m = 1;
    QN_TRY(distance_members(d, v, key, &unmapped_allowed));
    if (key->text.n == 0)
        return qn_fail_at(d->make.err, QN_ESORT, qn_dsl__at(d, v),
                          "[_geo_distance] names no field");
    if (key->field == NULL && unmapped_allowed) return QN_OK;
    if (key->field == NULL || key->field->type != QN_FIELD_GEO || !key->field->column)
        return qn_fail_at(d->make.err, QN_ESORT, qn_dsl__at(d, v),
                          "failed to find mapper for [%.*s] for geo distance based "
                          "sort",
                          QN_SLICE_ARG(key->text));
    if (key->mode == QN_SORT_MODE_SUM)
        return qn_fail_at(d->make.err, QN_ESORT, qn_dsl__at(d, v),
                          "sort_mode [sum] isn't supported for sorting by geo "
                          "distance");
    list->n++;
    return QN_OK;
}

/* "field", "field:desc" is for URLs only; {"a": "desc", "b": {...}}. */
static qn_status add_sort_item(qn_dsl *d, const qn_json *v, sort_list *list)
{
    if (v->kind == QN_JSON_STRING) return add_sort_key(d, v, v->string, NULL, list);
    if (v->kind != QN_JSON_OBJECT)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                          "malformed sort format, within the sort array, an object, or "
                          "an actual string are allowed");
    for (const qn_json *m = v->first; m != NULL; m = m->next) {
        if (qn_dsl__key_is(m, "_geo_distance") || qn_dsl__key_is(m, "_geoDistance"))
            QN_TRY(add_distance_key(d, m, list));
        else
            QN_TRY(add_sort_key(d, m, m->key, m, list));
    }
    return QN_OK;
}

qn_status qn_dsl__sort(qn_dsl *d, const qn_json *v, const qn_sort_key **out,
                       size_t *count)
{
    sort_list list = {
        qn_arena_array(d->make.arena, QN_REQUEST_SORT_KEYS_MAX, sizeof *list.keys), 0};
    if (list.keys == NULL) return qn_fail(d->make.err, QN_ENOMEM, "sort");
    if (v->kind == QN_JSON_ARRAY) {
        for (const qn_json *i = v->first; i != NULL; i = i->next)
            QN_TRY(add_sort_item(d, i, &list));
    } else {
        QN_TRY(add_sort_item(d, v, &list));
    }
    *out = list.keys;
    *count = list.n;
    return QN_OK;
}

/* ---- search_after ------------------------------------------------------------------ */

static qn_status bad_after(qn_dsl *d, const qn_json *v, const qn_sort_key *key)
{
    return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                      "Failed to parse search_after value for field [%.*s].",
                      QN_SLICE_ARG(key->text));
}

static bool number_of(const qn_json *v, double *out)
{
    *out = v->number;
    return v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE ||
           (v->kind == QN_JSON_STRING && qn_slice_to_f64(v->string, out));
}

static qn_status after_integer(qn_dsl *d, const qn_json *v, const qn_sort_key *key,
                               qn_sort_after *out)
{
    const qn_field *f = key->kind == QN_SORT_FIELD ? key->field : NULL;
    bool in_range = true;
    qn_slice text = v->kind == QN_JSON_STRING ? v->string : v->raw;
    if (v->kind == QN_JSON_INT) {
        out->i64 = v->integer;
        return QN_OK;
    }
    if (f != NULL && v->kind == QN_JSON_BOOL && f->type == QN_FIELD_BOOL) {
        out->i64 = v->boolean;
        return QN_OK;
    }
    if (f == NULL || v->kind == QN_JSON_BOOL)
        return qn_slice_to_i64(text, &out->i64) ? QN_OK : bad_after(d, v, key);
    if (qn_leaf_parse_i64(&d->make, f, text, qn_dsl__at(d, v), &out->i64, &in_range) !=
            QN_OK ||
        !in_range)
        return bad_after(d, v, key);
    return QN_OK;
}

static qn_status after_value(qn_dsl *d, const qn_json *v, const qn_sort_key *key,
                             qn_sort_after *out)
{
    *out = (qn_sort_after){.missing = v->kind == QN_JSON_NULL, .text = {"", 0}};
    if (out->missing) return QN_OK;
    if (v->kind == QN_JSON_ARRAY || v->kind == QN_JSON_OBJECT)
        return bad_after(d, v, key);
    bool field = key->kind == QN_SORT_FIELD;
    if (field && key->field->type == QN_FIELD_KEYWORD)
        return qn_dsl__text(d, v, &out->text);
    bool real = key->kind == QN_SORT_SCORE || key->kind == QN_SORT_DISTANCE ||
                (field && qn_field_is_float(key->field));
    if (!real) return after_integer(d, v, key, out);
    return number_of(v, &out->f64) ? QN_OK : bad_after(d, v, key);
}

qn_status qn_dsl__after(qn_dsl *d, const qn_json *v, qn_request *r)
{
    if (v == NULL) return QN_OK;
    uint64_t at = qn_dsl__at(d, v);
    if (v->kind != QN_JSON_ARRAY)
        return qn_fail_at(d->make.err, QN_ESYNTAX, at,
                          "[search_after] takes a list of values, not %s",
                          qn_json_kind_name(v->kind));
    if (v->count == 0)
        return qn_fail_at(d->make.err, QN_EINVAL, at,
                          "Values must contains at least one value.");
    if (r->from > 0)
        return qn_fail_at(d->make.err, QN_EINVAL, at,
                          "`from` parameter must be set to 0 when `search_after` is "
                          "used");
    if (r->sort_count == 0)
        return qn_fail_at(d->make.err, QN_EINVAL, at,
                          "Sort must contain at least one field.");
    if (v->count != r->sort_count)
        return qn_fail_at(d->make.err, QN_EINVAL, at,
                          "search_after has %zu value(s) but sort has %zu.", v->count,
                          r->sort_count);
    qn_sort_after *out = qn_arena_array(d->make.arena, v->count, sizeof *out);
    if (out == NULL) return qn_fail(d->make.err, QN_ENOMEM, "search_after");
    size_t i = 0;
    for (const qn_json *m = v->first; m != NULL; m = m->next, i++)
        QN_TRY(after_value(d, m, &r->sort[i], &out[i]));
    r->after = out;
    return QN_OK;
}
