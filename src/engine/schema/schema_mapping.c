/* SPDX-License-Identifier: Apache-2.0 */
/* schema_mapping.c -- {"mappings": {"properties": ...}, "settings": ...}.
 *
 * Every property becomes one field and, when it can be searched, one index of its own
 * name; `fields` become fields of the dotted name that read the same path; an object's
 * properties become fields of dotted names. What a parameter only tunes is accepted;
 * what would change results and is not built in is refused by name. */
#include "engine/schema/schema_make.h"

typedef struct property {
    qn_slice name, path; /* dotted */
    const qn_json *mapping;
    unsigned depth;
    bool sub_field; /* inside "fields" of another one */
} property;

/* Which parameters a type takes: T text, K keyword, N number or bool, D date, V vector, G
 * point.
 * A `fixed` value is the only one accepted. */
static const struct parameter {
    const char *name, *types;
    const char *fixed;
} parameters[] = {
    {"type", "TKNDVG", NULL},
    {"fields", "TKND", NULL},
    {"meta", "TKNDVG", NULL},
    {"index", "TKNDVG", NULL},
    {"store", "TKNDG", NULL},
    {"doc_values", "KNDG", NULL},
    {"boost", "TKND", "1"},
    {"coerce", "N", "true"},
    {"ignore_malformed", "NDG", "false"},
    {"ignore_z_value", "G", "true"},
    {"null_value", "KNDG", "null"},
    {"analyzer", "T", NULL},
    {"search_analyzer", "T", NULL},
    {"search_quote_analyzer", "T", NULL},
    {"position_increment_gap", "T", NULL},
    {"index_options", "TKV", NULL},
    {"norms", "TK", NULL},
    {"fielddata", "T", "false"},
    {"index_phrases", "T", NULL},
    {"index_prefixes", "T", NULL},
    {"term_vector", "T", NULL},
    {"similarity", "TKV", NULL},
    {"eager_global_ordinals", "TK", NULL},
    {"ignore_above", "K", NULL},
    {"split_queries_on_whitespace", "K", "false"},
    {"format", "D", NULL},
    {"locale", "D", NULL},
    {"dims", "V", NULL},
    {"element_type", "V", NULL},
    {"quern_model", "V", NULL},
    {"quern_source", "V", NULL},
};

static const struct type_row {
    const char *name;
    qn_field_type type;
    char letter;
} types[] = {
    {"text", QN_FIELD_TEXT, 'T'},        {"keyword", QN_FIELD_KEYWORD, 'K'},
    {"boolean", QN_FIELD_BOOL, 'N'},     {"byte", QN_FIELD_INT8, 'N'},
    {"short", QN_FIELD_INT16, 'N'},      {"integer", QN_FIELD_INT32, 'N'},
    {"long", QN_FIELD_INT64, 'N'},       {"float", QN_FIELD_FLOAT, 'N'},
    {"half_float", QN_FIELD_FLOAT, 'N'}, {"double", QN_FIELD_DOUBLE, 'N'},
    {"date", QN_FIELD_DATE, 'D'},        {"dense_vector", QN_FIELD_VECTOR, 'V'},
    {"geo_point", QN_FIELD_GEO, 'G'},
};

static uint64_t place(const qn_table_schema *s, const qn_json *node)
{
    return qn_json_offset(node, s->schema.source);
}

/* ---- single parameters ---------------------------------------------------------- */

static qn_status want_bool(qn_table_schema *s, const property *p, const char *key,
                           bool *value, qn_error *err)
{
    const qn_json *v = qn_json_get(p->mapping, key);
    if (v == NULL) return QN_OK;
    bool text = v->kind == QN_JSON_STRING;
    if (v->kind != QN_JSON_BOOL && !(text && (qn_slice_eq_str(v->string, "true") ||
                                              qn_slice_eq_str(v->string, "false"))))
        return qn_fail_at(err, QN_ESCHEMA, place(s, v),
                          "%s of [%.*s] must be true or false", key,
                          QN_SLICE_ARG(p->name));
    *value = text ? qn_slice_eq_str(v->string, "true") : v->boolean;
    return QN_OK;
}

static qn_status want_count(qn_table_schema *s, const property *p, const char *key,
                            int64_t min, int64_t max, uint32_t *value, qn_error *err)
{
    const qn_json *v = qn_json_get(p->mapping, key);
    if (v == NULL) return QN_OK;
    int64_t n = v->integer;
    bool good = v->kind == QN_JSON_INT ||
                (v->kind == QN_JSON_STRING && qn_slice_to_i64(v->string, &n));
    if (!good || n < min || n > max)
        return qn_fail_at(err, QN_ESCHEMA, place(s, v),
                          "%s of [%.*s] must be an integer from %lld to %lld", key,
                          QN_SLICE_ARG(p->name), (long long)min, (long long)max);
    *value = (uint32_t)n;
    return QN_OK;
}

static qn_status want_analyzer(qn_table_schema *s, const property *p, const char *key,
                               const char **value, qn_error *err)
{
    const qn_json *v = qn_json_get(p->mapping, key);
    if (v == NULL) return QN_OK;
    if (v->kind != QN_JSON_STRING)
        return qn_fail_at(err, QN_ESCHEMA, place(s, v),
                          "%s of [%.*s] must be an analyzer's name", key,
                          QN_SLICE_ARG(p->name));
    qn_status st = qn_schema__analyzer(s, v->string, value, err);
    if (st != QN_OK && err != NULL && err->at == QN_AT_NONE) err->at = place(s, v);
    return st;
}

static const char *want_text(const property *p, const char *key, const char *absent,
                             qn_slice *value)
{
    const qn_json *v = qn_json_get(p->mapping, key);
    if (v == NULL || v->kind != QN_JSON_STRING) {
        *value = qn_slice_of(absent);
        return v == NULL ? absent : NULL;
    }
    *value = v->string;
    return absent;
}

static qn_status check_parameters(qn_table_schema *s, const property *p,
                                  const struct type_row *type, qn_error *err)
{
    for (const qn_json *it = qn_json_items(p->mapping); it != NULL; it = it->next) {
        const struct parameter *row = NULL;
        for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
            if (qn_slice_eq_str(it->key, parameters[i].name)) row = &parameters[i];
        if (row == NULL || strchr(row->types, type->letter) == NULL)
            return qn_fail_at(err, QN_ESCHEMA, place(s, it),
                              "unknown parameter [%.*s] on mapper [%.*s] of type [%s]",
                              QN_SLICE_ARG(it->key), QN_SLICE_ARG(p->name), type->name);
        if (row->fixed == NULL) continue;
        qn_slice given = it->kind == QN_JSON_STRING ? it->string : it->raw;
        if (!qn_slice_eq_str(given, row->fixed))
            return qn_fail_at(err, QN_EUNSUPPORTED, place(s, it),
                              "parameter [%s] on mapper [%.*s]: only %s is supported",
                              row->name, QN_SLICE_ARG(p->name), row->fixed);
    }
    return QN_OK;
}

/* ---- types ----------------------------------------------------------------------- */

static qn_status fill_text(qn_table_schema *s, const property *p, qn_field *f,
                           qn_error *err)
{
    f->indexed = true;
    f->position_gap = 100;
    QN_TRY(want_bool(s, p, "index", &f->indexed, err));
    QN_TRY(qn_schema__analyzer(s, QN_SLICE_LIT("standard"), &f->analyzer, err));
    QN_TRY(want_analyzer(s, p, "analyzer", &f->analyzer, err));
    f->search_analyzer = f->analyzer;
    QN_TRY(want_analyzer(s, p, "search_analyzer", &f->search_analyzer, err));
    QN_TRY(
        want_count(s, p, "position_increment_gap", 0, 1 << 20, &f->position_gap, err));
    bool norms = true;
    QN_TRY(want_bool(s, p, "norms", &norms, err));
    if (!norms)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "parameter [norms] on mapper [%.*s]: only true is supported",
                       QN_SLICE_ARG(p->name));
    qn_slice v;
    if (want_text(p, "similarity", "BM25", &v) == NULL || !qn_slice_eq_str(v, "BM25"))
        return qn_fail(err, QN_EUNSUPPORTED,
                       "similarity [%.*s] of [%.*s]: only BM25 is supported",
                       QN_SLICE_ARG(v), QN_SLICE_ARG(p->name));
    if (want_text(p, "index_options", "positions", &v) == NULL ||
        !(qn_slice_eq_str(v, "positions") || qn_slice_eq_str(v, "offsets")))
        return qn_fail(err, QN_EUNSUPPORTED,
                       "index_options [%.*s] of [%.*s]: positions are always kept",
                       QN_SLICE_ARG(v), QN_SLICE_ARG(p->name));
    return QN_OK;
}

static qn_status fill_plain(qn_table_schema *s, const property *p, qn_field *f,
                            qn_error *err)
{
    bool indexed = true;
    f->column = true;
    QN_TRY(want_bool(s, p, "index", &indexed, err));
    QN_TRY(want_bool(s, p, "doc_values", &f->column, err));
    if (f->type == QN_FIELD_KEYWORD) {
        f->indexed = indexed;
        return want_count(s, p, "ignore_above", 0, INT32_MAX, &f->ignore_above, err);
    }
    /* Numbers are found by their column, so an index is one as well. */
    if (indexed) f->column = true;
    return QN_OK;
}

static bool known_date_format(qn_slice format)
{
    static const char *const names[] = {"strict_date_optional_time",
                                        "date_optional_time",
                                        "strict_date_optional_time_nanos",
                                        "epoch_millis",
                                        "epoch_second",
                                        "strict_date",
                                        "date",
                                        "yyyy-MM-dd",
                                        "yyyy-MM-dd HH:mm:ss",
                                        "yyyy/MM/dd",
                                        "yyyy/MM/dd HH:mm:ss",
                                        "strict_date_time",
                                        "date_time",
                                        "strict_year",
                                        "yyyy"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (qn_slice_eq_str(format, names[i])) return true;
    return false;
}

static qn_status check_date_format(qn_table_schema *s, const property *p, qn_error *err)
{
    const qn_json *v = qn_json_get(p->mapping, "format");
    if (v == NULL) return QN_OK;
    qn_slice rest = v->string;
    while (v->kind == QN_JSON_STRING && rest.n != 0) {
        size_t n = 0;
        while (n < rest.n &&
               !(rest.p[n] == '|' && n + 1 < rest.n && rest.p[n + 1] == '|'))
            n++;
        qn_slice one = {rest.p, n};
        if (!known_date_format(one)) break;
        rest = n == rest.n ? (qn_slice){rest.p, 0}
                           : (qn_slice){rest.p + n + 2, rest.n - n - 2};
    }
    if (v->kind == QN_JSON_STRING && rest.n == 0) return QN_OK;
    return qn_fail_at(err, QN_EUNSUPPORTED, place(s, v),
                      "date format [%.*s] of [%.*s] is not supported; known: "
                      "strict_date_optional_time, epoch_millis, epoch_second, "
                      "yyyy-MM-dd, yyyy-MM-dd HH:mm:ss, yyyy/MM/dd, "
                      "yyyy/MM/dd HH:mm:ss, yyyy",
                      QN_SLICE_ARG(v->kind == QN_JSON_STRING ? v->string : v->raw),
                      QN_SLICE_ARG(p->name));
}

static qn_status fill_vector(qn_table_schema *s, const property *p, qn_field *f,
                             qn_error *err)
{
    static const struct {
        const char *name;
        qn_vector_metric metric;
        bool any_length;
    } metrics[] = {
        {"cosine", QN_METRIC_COSINE, false},
        {"dot_product", QN_METRIC_DOT, false},
        {"max_inner_product", QN_METRIC_DOT, true},
        {"l2_norm", QN_METRIC_L2, false},
    };
    uint64_t at = place(s, p->mapping);
    QN_TRY(want_count(s, p, "dims", 1, QN_VECTOR_DIMS_MAX, &f->dims, err));
    QN_TRY(qn_schema__take_embedding(s, f, p->mapping, at, err));
    if (f->dims == 0)
        return qn_fail_at(err, QN_ESCHEMA, at,
                          "dense_vector [%.*s] needs dims (1 to %d)",
                          QN_SLICE_ARG(p->name), QN_VECTOR_DIMS_MAX);
    qn_slice v;
    size_t m = 0;
    bool given = want_text(p, "similarity", "cosine", &v) != NULL;
    while (m < sizeof metrics / sizeof *metrics && given &&
           !qn_slice_eq_str(v, metrics[m].name))
        m++;
    if (!given || m == sizeof metrics / sizeof *metrics)
        return qn_fail_at(err, QN_ESCHEMA, at,
                          "similarity [%.*s] of [%.*s]: known are cosine, dot_product, "
                          "max_inner_product, l2_norm",
                          QN_SLICE_ARG(v), QN_SLICE_ARG(p->name));
    f->metric = metrics[m].metric;
    f->any_length = metrics[m].any_length;
    if (want_text(p, "element_type", "float", &v) == NULL ||
        !(qn_slice_eq_str(v, "float") || qn_slice_eq_str(v, "byte")))
        return qn_fail_at(err, QN_EUNSUPPORTED, at,
                          "element_type [%.*s] of [%.*s]: float and byte are supported",
                          QN_SLICE_ARG(v), QN_SLICE_ARG(p->name));
    if (qn_slice_eq_str(v, "byte")) f->element = QN_ELEMENT_I8;
    if (f->element == QN_ELEMENT_I8 && f->model != NULL)
        return qn_fail_at(err, QN_EUNSUPPORTED, at,
                          "[%.*s]: a model's vectors are float, not byte",
                          QN_SLICE_ARG(p->name));
    return QN_OK;
}

static qn_status fill(qn_table_schema *s, const property *p, qn_field *f, qn_error *err)
{
    /* Any value may be a list; a field is `multi` from the first document that has
     * one, since formulas read a single value and a list differently. */
    f->multi = f->type == QN_FIELD_TEXT;
    f->stored = !p->sub_field;
    if (!qn_slice_eq(p->path, p->name)) {
        f->path = qn_arena_slice(&s->arena, p->path);
        if (f->path.p == NULL) return qn_fail(err, QN_ENOMEM, "schema");
    }
    switch (f->type) {
    case QN_FIELD_TEXT:
        return fill_text(s, p, f, err);
    case QN_FIELD_VECTOR:
        return fill_vector(s, p, f, err);
    case QN_FIELD_DATE:
        QN_TRY(check_date_format(s, p, err));
        return fill_plain(s, p, f, err);
    default:
        return fill_plain(s, p, f, err);
    }
}

/* ---- properties --------------------------------------------------------------------
 */

static qn_status parse_one(qn_table_schema *s, const property *p, qn_error *err);

static qn_status dotted(qn_table_schema *s, qn_slice left, qn_slice right,
                        qn_slice *out, qn_error *err)
{
    if (left.n == 0) {
        *out = right;
        return QN_OK;
    }
    char *p = qn_arena_printf(&s->arena, "%.*s.%.*s", QN_SLICE_ARG(left),
                              QN_SLICE_ARG(right));
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "schema");
    *out = qn_slice_of(p);
    return QN_OK;
}

/* `_id` names the document's id, but only where no object is around it. */
static qn_status check_name(qn_table_schema *s, const property *parent,
                            const qn_json *node, qn_error *err)
{
    qn_slice name = node->key;
    bool bad = name.n == 0 || name.p[0] == '.' || name.p[name.n - 1] == '.';
    for (size_t i = 0; i + 1 < name.n; i++)
        bad = bad || (name.p[i] == '.' && name.p[i + 1] == '.');
    for (size_t i = 0; i < name.n; i++)
        bad = bad || (unsigned char)name.p[i] < 0x20 || name.p[i] == ' ';
    bool is_id = qn_slice_eq_str(name, "_id") || qn_slice_starts_with(name, "_id.");
    if (bad || (parent->name.n == 0 && is_id))
        return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                          "[%.*s] cannot be the name of a field", QN_SLICE_ARG(name));
    return QN_OK;
}

static qn_status parse_children(qn_table_schema *s, const property *parent,
                                const qn_json *properties, bool sub_fields,
                                qn_error *err)
{
    if (properties == NULL) return QN_OK;
    if (properties->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESCHEMA, place(s, properties),
                          "%s of [%.*s] must be an object, not %s",
                          sub_fields ? "fields" : "properties",
                          QN_SLICE_ARG(parent->name),
                          qn_json_kind_name(properties->kind));
    if (parent->depth >= QN_SCHEMA_DEPTH_MAX)
        return qn_fail_at(err, QN_ELIMIT, place(s, properties),
                          "Limit of mapping depth [%d] has been exceeded",
                          QN_SCHEMA_DEPTH_MAX);
    for (const qn_json *it = qn_json_items(properties); it != NULL; it = it->next) {
        QN_TRY(check_name(s, parent, it, err));
        property child = {
            .mapping = it, .depth = parent->depth + 1, .sub_field = sub_fields};
        QN_TRY(dotted(s, parent->name, it->key, &child.name, err));
        child.path = sub_fields ? parent->path : child.name;
        QN_TRY(parse_one(s, &child, err));
    }
    return QN_OK;
}

static qn_status parse_object(qn_table_schema *s, const property *p, qn_error *err)
{
    for (const qn_json *it = qn_json_items(p->mapping); it != NULL; it = it->next) {
        bool known = qn_slice_eq_str(it->key, "properties") ||
                     qn_slice_eq_str(it->key, "type") ||
                     qn_slice_eq_str(it->key, "dynamic") ||
                     qn_slice_eq_str(it->key, "enabled");
        bool fixed = !qn_slice_eq_str(it->key, "enabled") ||
                     (it->kind == QN_JSON_BOOL && it->boolean);
        if (!known || !fixed)
            return qn_fail_at(err, known ? QN_EUNSUPPORTED : QN_ESCHEMA, place(s, it),
                              "unsupported parameter [%.*s] on object [%.*s]",
                              QN_SLICE_ARG(it->key), QN_SLICE_ARG(p->name));
    }
    return parse_children(s, p, qn_json_get(p->mapping, "properties"), false, err);
}

static qn_status unknown_type(qn_table_schema *s, const property *p,
                              const qn_json *type, qn_error *err)
{
    qn_slice t = type->kind == QN_JSON_STRING ? type->string : type->raw;
    return qn_fail_at(err, QN_ESCHEMA, place(s, type),
                      "No handler for type [%.*s] declared on field [%.*s]; known: "
                      "text, keyword, boolean, byte, short, integer, long, half_float, "
                      "float, double, date, dense_vector, geo_point, object",
                      QN_SLICE_ARG(t), QN_SLICE_ARG(p->name));
}

static qn_status parse_one(qn_table_schema *s, const property *p, qn_error *err)
{
    if (p->mapping->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESCHEMA, place(s, p->mapping),
                          "the mapping of [%.*s] must be an object, not %s",
                          QN_SLICE_ARG(p->name), qn_json_kind_name(p->mapping->kind));
    const qn_json *type = qn_json_get(p->mapping, "type");
    bool object = type == NULL || (type->kind == QN_JSON_STRING &&
                                   qn_slice_eq_str(type->string, "object"));
    if (object && (p->sub_field ||
                   (type == NULL && qn_json_get(p->mapping, "properties") == NULL)))
        return qn_fail_at(err, QN_ESCHEMA, place(s, p->mapping),
                          "No type specified for field [%.*s]", QN_SLICE_ARG(p->name));
    if (object) return parse_object(s, p, err);
    const struct type_row *row = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (type->kind == QN_JSON_STRING &&
            qn_slice_eq_str(type->string, types[i].name))
            row = &types[i];
    if (row == NULL) return unknown_type(s, p, type, err);
    QN_TRY(check_parameters(s, p, row, err));
    qn_field *f = NULL;
    QN_TRY(qn_schema__add_field(s, p->name, row->type, place(s, p->mapping), &f, err));
    QN_TRY(fill(s, p, f, err));
    return parse_children(s, p, qn_json_get(p->mapping, "fields"), true, err);
}

qn_status qn_schema__parse_property(qn_table_schema *s, qn_slice name,
                                    const qn_json *mapping, qn_error *err)
{
    if (qn_json_get(mapping, "quern_multi") != NULL) {
        qn_field *f = qn_schema__find_field(s, name);
        if (f == NULL) return qn_fail(err, QN_ESCHEMA, "quern_multi of no field");
        f->multi = true;
        return QN_OK;
    }
    property p = {.name = name, .path = name, .mapping = mapping, .depth = 1};
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.') p.depth++;
    if (p.depth > QN_SCHEMA_DEPTH_MAX)
        return qn_fail(err, QN_ELIMIT, "Limit of mapping depth [%d] has been exceeded",
                       QN_SCHEMA_DEPTH_MAX);
    return parse_one(s, &p, err);
}

/* ---- the top -----------------------------------------------------------------------
 */

static qn_status parse_dynamic(qn_table_schema *s, const qn_json *v, qn_error *err)
{
    static const struct {
        const char *name;
        qn_dynamic value;
    } rows[] = {
        {"true", QN_DYNAMIC_TRUE},
        {"false", QN_DYNAMIC_FALSE},
        {"strict", QN_DYNAMIC_STRICT},
    };
    qn_slice text = v->kind == QN_JSON_STRING ? v->string : v->raw;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!qn_slice_eq_str(text, rows[i].name)) continue;
        s->schema.dynamic = rows[i].value;
        return QN_OK;
    }
    return qn_fail_at(err, QN_ESCHEMA, place(s, v),
                      "mappings.dynamic must be true, false or strict, not %.*s",
                      QN_SLICE_ARG(text));
}

static qn_status parse_mappings(qn_table_schema *s, const qn_json *mappings,
                                qn_error *err)
{
    if (mappings->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESCHEMA, place(s, mappings),
                          "mappings must be an object, not %s",
                          qn_json_kind_name(mappings->kind));
    for (const qn_json *it = qn_json_items(mappings); it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "properties")) {
            property root = {.mapping = mappings};
            QN_TRY(parse_children(s, &root, it, false, err));
        } else if (qn_slice_eq_str(it->key, "dynamic")) {
            QN_TRY(parse_dynamic(s, it, err));
        } else if (qn_slice_eq_str(it->key, "_meta")) {
            QN_TRY(qn_schema__take_quern(s, qn_json_get(it, "quern"),
                                         "mappings._meta.quern", err));
        } else if (!qn_slice_eq_str(it->key, "date_detection") &&
                   !qn_slice_eq_str(it->key, "numeric_detection")) {
            return qn_fail_at(err, QN_ESCHEMA, place(s, it),
                              "Root mapping definition has unsupported parameters: "
                              "[%.*s]",
                              QN_SLICE_ARG(it->key));
        } else if (it->kind != QN_JSON_BOOL ||
                   it->boolean != qn_slice_eq_str(it->key, "date_detection")) {
            return qn_fail_at(err, QN_EUNSUPPORTED, place(s, it),
                              "mappings.%.*s: only its default is supported",
                              QN_SLICE_ARG(it->key));
        }
    }
    return QN_OK;
}

/* Settings tune a cluster that is not there: they are kept and shown. Those that would
 * change results are refused. */
static qn_status parse_settings(qn_table_schema *s, const qn_json *settings,
                                qn_error *err)
{
    if (settings->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESCHEMA, place(s, settings),
                          "settings must be an object, not %s",
                          qn_json_kind_name(settings->kind));
    s->settings = settings->raw;
    const qn_json *inner = qn_json_get(settings, "index");
    const qn_json *levels[] = {settings, inner};
    for (size_t l = 0; l < 2; l++) {
        const qn_json *analysis = qn_json_get(levels[l], "analysis");
        const qn_json *similarity = qn_json_get(levels[l], "similarity");
        const qn_json *bad = analysis != NULL ? analysis : similarity;
        if (bad != NULL && bad->count != 0)
            return qn_fail_at(err, QN_EUNSUPPORTED, place(s, bad),
                              "settings.%s: custom %s is not supported; fields name "
                              "one of the built-in analyzers, synonyms stand in "
                              "rules of query analysis",
                              bad == analysis ? "analysis" : "similarity",
                              bad == analysis ? "analysis" : "similarity");
        QN_TRY(qn_schema__take_quern(s, qn_json_get(levels[l], "quern"),
                                     "settings.quern", err));
    }
    return qn_policy_read_settings(settings, false, &s->policy, err);
}

qn_status qn_schema__parse_mapping(qn_table_schema *s, const qn_json *root,
                                   qn_error *err)
{
    for (const qn_json *it = qn_json_items(root); it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "mappings")) {
            QN_TRY(parse_mappings(s, it, err));
        } else if (qn_slice_eq_str(it->key, "settings")) {
            QN_TRY(parse_settings(s, it, err));
        } else if (qn_slice_eq_str(it->key, "quern")) {
            QN_TRY(qn_schema__take_quern(s, it, "quern", err));
        } else if (!qn_slice_eq_str(it->key, "aliases") || it->count != 0) {
            return qn_fail_at(err, QN_ESCHEMA, place(s, it),
                              "unknown key [%.*s] for create index; known: mappings, "
                              "settings",
                              QN_SLICE_ARG(it->key));
        }
    }
    return QN_OK;
}
