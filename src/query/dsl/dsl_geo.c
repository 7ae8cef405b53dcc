/* SPDX-License-Identifier: Apache-2.0 */
/* geo_distance, geo_bounding_box. */
#include "query/dsl/dsl_internal.h"
#include "query/geo_point.h"

/* Members that every geo query has besides its field; *taken is false for others. */
static qn_status geo_common(qn_dsl *d, const char *type, const qn_json *m,
                            qn_dsl_common *common, bool *ignore_unmapped, bool *taken)
{
    qn_slice s;
    QN_TRY(qn_dsl__common(d, type, m, common, taken));
    if (*taken) return QN_OK;
    *taken = true;
    if (qn_dsl__key_is(m, "ignore_unmapped"))
        return qn_dsl__flag(d, m, ignore_unmapped);
    if (qn_dsl__key_is(m, "distance_type") || qn_dsl__key_is(m, "validation_method") ||
        qn_dsl__key_is(m, "type")) {
        static const char *const known[] = {"arc", "STRICT", "strict", "memory",
                                            "indexed"};
        QN_TRY(qn_dsl__text(d, m, &s));
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (qn_slice_eq_str(s, known[i])) return QN_OK;
        return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                          "[%s] query: %.*s [%.*s] is not supported", type,
                          QN_SLICE_ARG(m->key), QN_SLICE_ARG(s));
    }
    *taken = false;
    return QN_OK;
}

static qn_status point(qn_dsl *d, const char *type, const qn_json *v, double *lat,
                       double *lon)
{
    const char *why = NULL;
    if (qn_geo_parse(v, lat, lon, &why)) return QN_OK;
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v), "[%s] query: %s", type,
                      why);
}

/* A node on the field; *out NULL for one that is not there and need not be. */
static qn_status geo_node(qn_dsl *d, const char *type, const qn_json *body,
                          const qn_json *field, bool ignore_unmapped, qn_query **out)
{
    *out = NULL;
    if (field == NULL)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                          "failed to parse [%s] query: no field given", type);
    const qn_field *f = qn_schema_field(d->make.env->schema, field->key);
    if (f == NULL && ignore_unmapped) return QN_OK;
    if (f == NULL)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, field),
                          "failed to find geo field [%.*s]", QN_SLICE_ARG(field->key));
    if (f->type != QN_FIELD_GEO)
        return qn_fail_at(d->make.err, QN_EFIELDTYPE, qn_dsl__at(d, field),
                          "Field [%.*s] is of unsupported type [%s] for [%s] query",
                          QN_SLICE_ARG(f->name), qn_field_type_name(f->type), type);
    qn_leaf_target target;
    QN_TRY(qn_leaf_target_field(&d->make, f, &target));
    return qn_leaf_new(&d->make, QN_QUERY_GEO, &target, qn_dsl__at(d, field), out);
}

/* {"geo_distance": {"distance": "12km", "pin.location": {"lat": 40, "lon": -70}}} */
qn_status qn_dsl__geo_distance(qn_dsl *d, const char *type, const qn_json *body,
                               const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    const qn_json *field = NULL, *distance = NULL, *unit = NULL;
    bool ignore_unmapped = false;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(geo_common(d, type, m, &common, &ignore_unmapped, &taken));
        if (taken) continue;
        if (qn_dsl__key_is(m, "distance"))
            distance = m;
        else if (qn_dsl__key_is(m, "unit"))
            unit = m;
        else if (field == NULL)
            field = m;
        else
            return qn_dsl__unknown_key(d, type, m);
    }
    qn_query *q = NULL;
    QN_TRY(geo_node(d, type, body, field, ignore_unmapped, &q));
    if (distance == NULL)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                          "geo_distance requires 'distance' to be specified");
    qn_slice text;
    double metres = 0, unit_m = 1;
    QN_TRY(qn_dsl__text(d, distance, &text));
    bool good = qn_geo_parse_distance(text, &metres) && metres > 0;
    bool bare = distance->kind != QN_JSON_STRING;
    if (unit != NULL) {
        QN_TRY(qn_dsl__text(d, unit, &text));
        good = good && qn_geo_unit(text, &unit_m);
        double ignored;
        bare = bare || qn_slice_to_f64(distance->string, &ignored);
    }
    if (!good)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, distance),
                          "distance must be greater than zero, as in \"12km\"");
    if (q != NULL) {
        q->u.geo.radius_m = bare ? metres * unit_m : metres;
        QN_TRY(point(d, type, field, &q->u.geo.lat, &q->u.geo.lon));
    }
    return qn_dsl__finish(d, body, q, &common, out);
}

static bool number(const qn_json *v, double *out)
{
    *out = v->number;
    return v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE ||
           (v->kind == QN_JSON_STRING && qn_slice_to_f64(v->string, out));
}

typedef struct box {
    double top, left, bottom, right;
    unsigned have; /* bits: top, left, bottom, right */
} box;

static qn_status box_member(qn_dsl *d, const char *type, const qn_json *m, box *b)
{
    static const struct {
        const char *name;
        unsigned sides;
    } rows[] = {
        {"top", 1},      {"left", 2},          {"bottom", 4},    {"right", 8},
        {"top_left", 3}, {"bottom_right", 12}, {"top_right", 9}, {"bottom_left", 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned s = rows[i].sides;
        double lat = 0, lon = 0;
        if (!qn_dsl__key_is(m, rows[i].name)) continue;
        bool corner = (s & 5) != 0 && (s & 10) != 0;
        if (corner)
            QN_TRY(point(d, type, m, &lat, &lon));
        else if (!number(m, s & 5 ? &lat : &lon))
            return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, m),
                              "[%s] query: [%s] must be a number", type, rows[i].name);
        if (s & 1) b->top = lat;
        if (s & 4) b->bottom = lat;
        if (s & 2) b->left = lon;
        if (s & 8) b->right = lon;
        b->have |= s;
        return QN_OK;
    }
    return qn_dsl__unknown_key(d, type, m);
}

/* {"geo_bounding_box": {"pin": {"top_left": ..., "bottom_right": ...}}} */
qn_status qn_dsl__geo_box(qn_dsl *d, const char *type, const qn_json *body,
                          const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    const qn_json *field = NULL;
    bool ignore_unmapped = false;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(geo_common(d, type, m, &common, &ignore_unmapped, &taken));
        if (taken) continue;
        if (field != NULL) return qn_dsl__unknown_key(d, type, m);
        field = m;
    }
    qn_query *q = NULL;
    QN_TRY(geo_node(d, type, body, field, ignore_unmapped, &q));
    box b = {0};
    QN_TRY(qn_dsl__object(d, type, field));
    for (const qn_json *m = field->first; m != NULL; m = m->next)
        QN_TRY(box_member(d, type, m, &b));
    bool on_earth = b.top <= 90 && b.bottom >= -90 && b.left >= -180 && b.left <= 180 &&
                    b.right >= -180 && b.right <= 180;
    if (b.have != 15 || !on_earth || b.top < b.bottom)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, field),
                          "failed to parse bounding box: top, left, bottom and right "
                          "are needed, top not below bottom, on the earth");
    if (q != NULL) {
        q->u.geo.is_box = true;
        q->u.geo.top = b.top;
        q->u.geo.left = b.left;
        q->u.geo.bottom = b.bottom;
        q->u.geo.right = b.right;
    }
    return qn_dsl__finish(d, body, q, &common, out);
}
