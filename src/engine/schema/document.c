/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/schema/document.h"

#include "engine/schema/when.h"
#include "index/segment.h"
#include "query/geo_point.h"
#include "text/utf8.h"

#include <float.h>
#include <math.h>

typedef struct walk {
    qn_arena *arena;
    const qn_table_schema *schema;
    qn_slice source, id;
    qn_error *err;
    QN_VEC(qn_doc_value) values;
    QN_VEC(qn_schema_addition) additions;
    uint8_t *seen; /* by place of a field: it has a value already */
    char path[QN_SCHEMA_NAME_MAX + 1];
    size_t path_size;
} walk;

static qn_status no_memory(walk *w)
{
    return qn_fail(w->err, QN_ENOMEM, "out of memory while reading a document");
}

/* ---- errors ------------------------------------------------------------------------- */

static void line_and_column(qn_slice text, uint64_t at, size_t *line, size_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        if (text.p[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            ++*column;
        }
    }
}

/* At most 50 bytes of the value, cut between characters. */
static qn_slice preview(const qn_json *v)
{
    qn_slice s = v->kind == QN_JSON_STRING ? v->string : v->raw;
    if (s.n > 50) s.n = 50;
    while (s.n != 0 && !qn_utf8_valid(s, NULL)) s.n--;
    return s;
}

static qn_status does_not_fit(walk *w, const qn_field *f, const qn_json *v,
                              const char *why)
{
    uint64_t at = qn_json_offset(v, w->source);
    size_t line, column;
    line_and_column(w->source, at, &line, &column);
    return qn_fail_at(w->err, QN_EDOCUMENT, at,
                      "[%zu:%zu] failed to parse field [%.*s] of type [%s] in document "
                      "with id '%.*s'. Preview of field's value: '%.*s'%s%s",
                      line, column, QN_SLICE_ARG(f->name), qn_field_type_name(f->type),
                      (int)(w->id.n > 100 ? 100 : w->id.n), w->id.p,
                      QN_SLICE_ARG(preview(v)), *why == 0 ? "" : ": ", why);
}

/* ---- one value ------------------------------------------------------------------------
 */

static qn_status add(walk *w, qn_slice name, const char *mapping)
{
    for (size_t i = 0; i < w->additions.n; i++)
        if (qn_slice_eq(w->additions.p[i].name, name)) return QN_OK;
    if (w->additions.n == w->additions.capacity) {
        size_t wider = w->additions.capacity == 0 ? 8 : 2 * w->additions.capacity;
        qn_schema_addition *p = qn_arena_array(w->arena, wider, sizeof *p);
        if (p == NULL) return no_memory(w);
        if (w->additions.n != 0) memcpy(p, w->additions.p, w->additions.n * sizeof *p);
        w->additions.p = p;
        w->additions.capacity = wider;
    }
    qn_slice copy = qn_arena_slice(w->arena, name);
    if (mapping == NULL || copy.p == NULL) return no_memory(w);
    w->additions.p[w->additions.n++] = (qn_schema_addition){copy, qn_slice_of(mapping)};
    return QN_OK;
}

static qn_status push(walk *w, qn_doc_value value)
{
    const qn_field *f = value.field;
    size_t field_place = (size_t)(f - w->schema->schema.fields);
    if (w->seen[field_place] && !f->multi &&
        w->schema->schema.dialect == QN_SCHEMA_MAPPING)
        QN_TRY(add(w, f->name, "{\"quern_multi\":true}"));
    w->seen[field_place] = 1;
    if (w->values.n >= QN_DOCUMENT_VALUES_MAX)
        return qn_fail(w->err, QN_ELIMIT, "a document with more than %d values",
                       QN_DOCUMENT_VALUES_MAX);
    if (w->values.n == w->values.capacity) {
        size_t wider = w->values.capacity == 0 ? 32 : 2 * w->values.capacity;
        qn_doc_value *p = qn_arena_array(w->arena, wider, sizeof *p);
        if (p == NULL) return no_memory(w);
        if (w->values.n != 0) memcpy(p, w->values.p, w->values.n * sizeof *p);
        w->values.p = p;
        w->values.capacity = wider;
    }
    w->values.p[w->values.n++] = value;
    return QN_OK;
}

static qn_slice as_text(const qn_json *v)
{
    return v->kind == QN_JSON_STRING ? v->string : v->raw;
}

static qn_status take_keyword(walk *w, const qn_field *f, const qn_json *v,
                              qn_slice text)
{
    if (f->ignore_above != 0 && text.n > f->ignore_above &&
        qn_utf16_length(text) > f->ignore_above)
        return QN_OK;
    if (text.n > QN_SEGMENT_TERM_MAX && f->ignore_above == 0)
        return does_not_fit(w, f, v,
                            "the value has more than 32766 bytes; ignore_above lets "
                            "such values pass unindexed");
    if (text.n > QN_SEGMENT_TERM_MAX) return QN_OK;
    return push(w, (qn_doc_value){.field = f, .text = text});
}

static qn_status take_bool(walk *w, const qn_field *f, const qn_json *v, qn_slice text)
{
    bool value = v->kind == QN_JSON_BOOL && v->boolean;
    if (v->kind == QN_JSON_STRING) {
        value = qn_slice_eq_str(text, "true");
        if (!value && !qn_slice_eq_str(text, "false") && text.n != 0)
            return does_not_fit(w, f, v, "only [true] or [false] are allowed");
    } else if (v->kind != QN_JSON_BOOL) {
        return does_not_fit(w, f, v, "only [true] or [false] are allowed");
    }
    return push(w, (qn_doc_value){.field = f, .i64 = value});
}

static qn_status take_integer(walk *w, const qn_field *f, const qn_json *v,
                              qn_slice text)
{
    int64_t n = v->integer;
    double d = v->number;
    bool exact = v->kind == QN_JSON_INT;
    if (v->kind == QN_JSON_STRING) {
        text = qn_slice_trim(text);
        exact = qn_slice_to_i64(text, &n);
        if (!exact && !qn_slice_to_f64(text, &d))
            return does_not_fit(w, f, v, "it is no number");
    } else if (v->kind == QN_JSON_BOOL) {
        return does_not_fit(w, f, v, "it is no number");
    }
    if (!exact) { /* "5.7" is 5, as with `coerce` */
        if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0))
            return does_not_fit(w, f, v, "the value is out of range");
        n = (int64_t)d;
    }
    if (n < f->int_min || n > f->int_max)
        return does_not_fit(w, f, v, "the value is out of range");
    return push(w, (qn_doc_value){.field = f, .i64 = n});
}

static qn_status take_float(walk *w, const qn_field *f, const qn_json *v, qn_slice text)
{
    double d = v->number;
    if (v->kind == QN_JSON_STRING && !qn_slice_to_f64(qn_slice_trim(text), &d))
        return does_not_fit(w, f, v, "it is no finite number");
    if (v->kind == QN_JSON_BOOL) return does_not_fit(w, f, v, "it is no number");
    double limit = f->type == QN_FIELD_FLOAT ? (double)FLT_MAX : DBL_MAX;
    if (!(fabs(d) <= limit))
        return does_not_fit(w, f, v, "only finite values are supported");
    return push(w, (qn_doc_value){.field = f, .f64 = d});
}

static qn_status take_date(walk *w, const qn_field *f, const qn_json *v, qn_slice text)
{
    int64_t ms = v->integer;
    if (v->kind == QN_JSON_STRING) {
        if (text.n == 0) return QN_OK;
        if (!qn_when_parse(text, &ms))
            return does_not_fit(w, f, v,
                                "it is no date; known are yyyy-MM-dd, "
                                "yyyy-MM-ddTHH:mm:ss.SSSZ, yyyy/MM/dd HH:mm:ss and "
                                "milliseconds since 1970");
    } else if (v->kind != QN_JSON_INT) {
        return does_not_fit(w, f, v, "it is no date");
    }
    return push(w, (qn_doc_value){.field = f, .i64 = ms});
}

/* HA3 writes "lon lat"; a mapping takes what Elasticsearch takes. */
static qn_status take_point(walk *w, const qn_field *f, const qn_json *v, qn_slice text)
{
    double lat = 0, lon = 0;
    const char *why = "a location is \"lon lat\", in degrees";
    bool good = w->schema->schema.dialect == QN_SCHEMA_HA3
                    ? v->kind == QN_JSON_STRING && qn_geo_parse_pair(text, &lat, &lon)
                    : qn_geo_parse(v, &lat, &lon, &why);
    if (!good) return does_not_fit(w, f, v, why);
    return push(w, (qn_doc_value){.field = f, .i64 = (int64_t)qn_geo_bits(lat, lon)});
}

/* `text`: the value, or one piece of it where a separator cut it. */
static qn_status take_piece(walk *w, const qn_field *f, const qn_json *v, qn_slice text)
{
    switch (f->type) {
    case QN_FIELD_TEXT:
        return push(w, (qn_doc_value){.field = f, .text = text});
    case QN_FIELD_KEYWORD:
        return take_keyword(w, f, v, text);
    case QN_FIELD_BOOL:
        return take_bool(w, f, v, text);
    case QN_FIELD_INT8:
    case QN_FIELD_INT16:
    case QN_FIELD_INT32:
    case QN_FIELD_INT64:
        return take_integer(w, f, v, text);
    case QN_FIELD_FLOAT:
    case QN_FIELD_DOUBLE:
        return take_float(w, f, v, text);
    case QN_FIELD_DATE:
        return take_date(w, f, v, text);
    case QN_FIELD_GEO:
        return take_point(w, f, v, text);
    case QN_FIELD_VECTOR:
        break;
    }
    return does_not_fit(w, f, v, "not a vector");
}

static qn_status take_scalar(walk *w, const qn_field *f, const qn_json *v)
{
    if (v->kind == QN_JSON_NULL) return QN_OK;
    bool ha3 = w->schema->schema.dialect == QN_SCHEMA_HA3;
    if (f->type == QN_FIELD_GEO && !ha3) return take_point(w, f, v, (qn_slice){"", 0});
    if (v->kind == QN_JSON_OBJECT)
        return does_not_fit(w, f, v, "can't get text on a START_OBJECT");
    qn_slice text = as_text(v);
    bool cut = w->schema->schema.dialect == QN_SCHEMA_HA3 && f->multi &&
               v->kind == QN_JSON_STRING && f->type != QN_FIELD_TEXT;
    while (
        cut) { /* several values in one string, as the update interface writes them */
        const char *sep = text.n == 0 ? NULL : memchr(text.p, 0x1D, text.n);
        if (sep == NULL) break;
        qn_slice piece = {text.p, (size_t)(sep - text.p)};
        QN_TRY(take_piece(w, f, v, piece));
        text = (qn_slice){sep + 1, text.n - piece.n - 1};
    }
    return take_piece(w, f, v, text);
}

#define UNIT_LENGTH_SLACK 1e-4 /* of the squared length, as Elasticsearch has it */

/* ---- vectors ---------------------------------------------------------------------------
 */

static qn_status vector_number(walk *w, const qn_field *f, const qn_json *v, double d,
                               float *out)
{
    bool byte = f->element == QN_ELEMENT_I8;
    if (!(fabs(d) <= (double)FLT_MAX))
        return does_not_fit(w, f, v, "a vector's numbers must be finite");
    if (byte && (d < -128 || d > 127 || d != floor(d)))
        return does_not_fit(w, f, v,
                            "element_type [byte] vectors only support integers between "
                            "-128 and 127");
    *out = (float)d;
    return QN_OK;
}

/* "0.1,0.2,0.3" */
static qn_status vector_of_text(walk *w, const qn_field *f, const qn_json *v,
                                float *out, size_t *n)
{
    qn_slice rest = v->string;
    *n = 0;
    while (rest.n != 0) {
        const char *comma = memchr(rest.p, ',', rest.n);
        qn_slice piece = {rest.p, comma == NULL ? rest.n : (size_t)(comma - rest.p)};
        rest = comma == NULL ? (qn_slice){rest.p, 0}
                             : (qn_slice){comma + 1, rest.n - piece.n - 1};
        piece = qn_slice_trim(piece);
        if (piece.n == 0) continue;
        double d = 0;
        if (!qn_slice_to_f64(piece, &d))
            return does_not_fit(w, f, v, "a vector is numbers joined by commas");
        float x = 0;
        QN_TRY(vector_number(w, f, v, d, &x));
        if (*n < f->dims) out[*n] = x;
        ++*n;
    }
    return QN_OK;
}

static qn_status take_vector(walk *w, const qn_field *f, const qn_json *v)
{
    if (v->kind == QN_JSON_NULL) return QN_OK;
    for (size_t i = 0; i < w->values.n; i++)
        if (w->values.p[i].field == f)
            return does_not_fit(w, f, v, "a document has one vector a field");
    float *out = qn_arena_array(w->arena, f->dims, sizeof *out);
    if (out == NULL) return no_memory(w);
    size_t n = 0;
    if (v->kind == QN_JSON_ARRAY) {
        for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next, n++) {
            if (it->kind != QN_JSON_INT && it->kind != QN_JSON_DOUBLE)
                return does_not_fit(w, f, it, "a vector is a list of numbers");
            float x = 0;
            QN_TRY(vector_number(w, f, it, it->number, &x));
            if (n < f->dims) out[n] = x;
        }
    } else if (v->kind == QN_JSON_STRING) {
        QN_TRY(vector_of_text(w, f, v, out, &n));
        if (n == 0) return QN_OK;
    } else {
        return does_not_fit(w, f, v, "a vector is a list of numbers");
    }
    if (n != f->dims)
        return qn_fail_at(w->err, QN_EDIMS, qn_json_offset(v, w->source),
                          "The [dense_vector] field [%.*s] in doc [%.*s] has a "
                          "different number of dimensions [%zu] than defined in the "
                          "mapping [%u]",
                          QN_SLICE_ARG(f->name), (int)(w->id.n > 100 ? 100 : w->id.n),
                          w->id.p, n, f->dims);
    double square = 0;
    for (size_t i = 0; i < n; i++) square += (double)out[i] * (double)out[i];
    if (f->metric == QN_METRIC_COSINE && !(square > 0))
        return does_not_fit(
            w, f, v,
            "The [cosine] similarity does not support vectors with zero "
            "magnitude");
    bool unit =
        f->metric == QN_METRIC_DOT && !f->any_length && f->element == QN_ELEMENT_F32;
    if (unit && fabs(square - 1) > UNIT_LENGTH_SLACK)
        return does_not_fit(w, f, v,
                            "The [dot_product] similarity can only be used with "
                            "unit-length vectors");
    return push(w, (qn_doc_value){.field = f, .vector = out});
}

/* ---- fields ----------------------------------------------------------------------------
 */

static qn_status take_value(walk *w, const qn_field *f, const qn_json *v)
{
    if (f->type == QN_FIELD_VECTOR) return take_vector(w, f, v);
    /* [lon, lat] is one point; lists of points begin otherwise. */
    bool pair = f->type == QN_FIELD_GEO && v->kind == QN_JSON_ARRAY && v->count > 0 &&
                (v->first->kind == QN_JSON_INT || v->first->kind == QN_JSON_DOUBLE);
    if (v->kind != QN_JSON_ARRAY || pair) return take_scalar(w, f, v);
    if (!f->multi && v->count > 1 && w->schema->schema.dialect == QN_SCHEMA_HA3)
        return does_not_fit(w, f, v, "the field is not multi_value");
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) {
        if (it->kind == QN_JSON_ARRAY)
            QN_TRY(take_value(w, f, it));
        else
            QN_TRY(take_scalar(w, f, it));
    }
    return QN_OK;
}

/* ---- fields that are not there yet -------------------------------------------------------
 */

static const qn_json *first_real(const qn_json *v)
{
    while (v != NULL && v->kind == QN_JSON_ARRAY) {
        const qn_json *it = v->first;
        while (it != NULL && it->kind == QN_JSON_NULL) it = it->next;
        v = it;
    }
    return v == NULL || v->kind == QN_JSON_NULL ? NULL : v;
}

static bool looks_like_vector(const qn_json *v)
{
    if (v->kind != QN_JSON_ARRAY || v->count < 128 || v->count > QN_VECTOR_DIMS_MAX)
        return false;
    bool fraction = false;
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) {
        if (it->kind != QN_JSON_INT && it->kind != QN_JSON_DOUBLE) return false;
        fraction = fraction || it->kind == QN_JSON_DOUBLE;
    }
    return fraction;
}

static bool looks_like_date(qn_slice s)
{
    int64_t ms;
    /* At least yyyy-MM-dd: "2015" and "2015-03" are more often other things. */
    return s.n >= 10 && (s.p[4] == '-' || s.p[4] == '/') && qn_when_parse(s, &ms);
}

static const char *guess(qn_arena *arena, const qn_json *v)
{
    if (looks_like_vector(v))
        return qn_arena_printf(arena,
                               "{\"type\":\"dense_vector\",\"dims\":%zu,"
                               "\"similarity\":\"cosine\"}",
                               v->count);
    const qn_json *one = first_real(v);
    switch (one->kind) {
    case QN_JSON_BOOL:
        return "{\"type\":\"boolean\"}";
    case QN_JSON_INT:
        return "{\"type\":\"long\"}";
    case QN_JSON_DOUBLE:
        return "{\"type\":\"float\"}";
    default:
        break;
    }
    if (looks_like_date(one->string)) return "{\"type\":\"date\"}";
    return "{\"type\":\"text\",\"fields\":{\"keyword\":{\"type\":\"keyword\","
           "\"ignore_above\":256}}}";
}

static bool is_object_path(const walk *w, qn_slice path)
{
    const qn_schema *s = &w->schema->schema;
    for (size_t i = 0; i < s->field_count; i++) {
        qn_slice p = s->fields[i].path;
        if (p.n > path.n && p.p[path.n] == '.' && memcmp(p.p, path.p, path.n) == 0)
            return true;
    }
    return false;
}

static qn_status map_new(walk *w, qn_slice path, const qn_json *v)
{
    if (first_real(v) == NULL || w->schema->schema.dynamic == QN_DYNAMIC_FALSE)
        return QN_OK;
    uint64_t at = qn_json_offset(v, w->source);
    size_t line, column;
    line_and_column(w->source, at, &line, &column);
    if (w->schema->schema.dynamic == QN_DYNAMIC_STRICT)
        return qn_fail_at(w->err, QN_ESTRICT, at,
                          "[%zu:%zu] mapping set to strict, dynamic introduction of "
                          "[%.*s] within [_doc] is not allowed",
                          line, column, QN_SLICE_ARG(path));
    if (is_object_path(w, path))
        return qn_fail_at(w->err, QN_EDOCUMENT, at,
                          "[%zu:%zu] object mapping for [%.*s] tried to parse field "
                          "[%.*s] as object, but found a concrete value",
                          line, column, QN_SLICE_ARG(path), QN_SLICE_ARG(path));
    return add(w, path, guess(w->arena, v));
}

/* ---- the walk ----------------------------------------------------------------------------
 */

static qn_status walk_object(walk *w, const qn_json *object);

static bool holds_objects(const qn_json *v)
{
    const qn_json *one = first_real(v);
    return one != NULL && one->kind == QN_JSON_OBJECT;
}

static qn_status walk_member(walk *w, const qn_json *v)
{
    qn_slice path = {w->path, w->path_size};
    size_t place;
    if (qn_table_schema_at_path(w->schema, path, &place)) {
        for (; place != SIZE_MAX; place = qn_table_schema_next(w->schema, place))
            QN_TRY(take_value(w, &w->schema->schema.fields[place], v));
        return QN_OK;
    }
    if (v->kind == QN_JSON_OBJECT) return walk_object(w, v);
    if (holds_objects(v)) {
        for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next)
            if (it->kind != QN_JSON_NULL) QN_TRY(walk_member(w, it));
        return QN_OK;
    }
    return map_new(w, path, v);
}

static qn_status walk_object(walk *w, const qn_json *object)
{
    size_t mark = w->path_size;
    for (const qn_json *it = qn_json_items(object); it != NULL; it = it->next) {
        size_t need = mark + (mark != 0) + it->key.n;
        if (it->key.n == 0 || need > QN_SCHEMA_NAME_MAX) {
            if (w->schema->schema.dialect == QN_SCHEMA_HA3) continue;
            return qn_fail_at(w->err, QN_EDOCUMENT, qn_json_offset(it, w->source),
                              "the name of a member is empty, or its dotted path has "
                              "more than %d bytes",
                              QN_SCHEMA_NAME_MAX);
        }
        if (mark != 0) w->path[w->path_size++] = '.';
        memcpy(w->path + w->path_size, it->key.p, it->key.n);
        w->path_size = need;
        qn_status st = walk_member(w, it);
        w->path_size = mark;
        if (st != QN_OK) return st;
    }
    return QN_OK;
}

qn_status qn_document_check(qn_arena *arena, const qn_table_schema *schema,
                            qn_slice source, const qn_json *root, qn_slice id,
                            qn_document *out, qn_error *err)
{
    *out = (qn_document){0};
    if (root->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_EDOCUMENT, 0,
                          "a document must be a JSON object, not "
                          "%s",
                          qn_json_kind_name(root->kind));
    walk *w = qn_arena_new(arena, sizeof *w);
    if (w == NULL) return qn_fail(err, QN_ENOMEM, "document");
    w->arena = arena;
    w->schema = schema;
    w->source = source;
    w->id = id;
    w->err = err;
    w->seen = qn_arena_array(arena, schema->schema.field_count + 1, 1);
    if (w->seen == NULL) return no_memory(w);
    QN_TRY(walk_object(w, root));
    out->values = w->values.p;
    out->count = w->values.n;
    out->additions = w->additions.p;
    out->addition_count = w->additions.n;
    return QN_OK;
}

bool qn_document_has(const qn_document *doc, const qn_field *field)
{
    for (size_t i = 0; i < doc->count; i++)
        if (doc->values[i].field == field) return true;
    return false;
}
