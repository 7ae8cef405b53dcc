/* SPDX-License-Identifier: Apache-2.0 */
/* schema_ha3.c -- the Retrieval Engine's schema: fields, indexs, attributes, summarys.
 *
 *     fields      what a document has        -> qn_field, nothing kept yet
 *     indexs      what queries name          -> qn_index_def; their fields are indexed
 *     attributes  what filters and sorts use -> columns
 *     summarys    what replies show          -> stored
 *
 * A CUSTOMIZED index turns its last field into a vector; the one between primary key
 * and vector, when there is one, is the category. Keys that tune files or builders are
 * read over, as the original does with every key it does not know; types that mean
 * something Quern has not are refused by name. */
#include "engine/schema/schema_make.h"

static uint64_t place(const qn_table_schema *s, const qn_json *node)
{
    return qn_json_offset(node, s->schema.source);
}

/* ---- fields ----------------------------------------------------------------------- */

static const struct type_row {
    const char *name;
    qn_field_type type;
    int64_t min, max; /* of integers; both 0: the type's own */
} types[] = {
    {"text", QN_FIELD_TEXT, 0, 0},
    {"string", QN_FIELD_KEYWORD, 0, 0},
    {"int8", QN_FIELD_INT8, 0, 0},
    {"uint8", QN_FIELD_INT16, 0, UINT8_MAX},
    {"int16", QN_FIELD_INT16, 0, 0},
    {"uint16", QN_FIELD_INT32, 0, UINT16_MAX},
    {"integer", QN_FIELD_INT32, 0, 0},
    {"int32", QN_FIELD_INT32, 0, 0},
    {"uint32", QN_FIELD_INT64, 0, UINT32_MAX},
    {"long", QN_FIELD_INT64, 0, 0},
    {"int64", QN_FIELD_INT64, 0, 0},
    {"uint64", QN_FIELD_INT64, 0, INT64_MAX},
    {"float", QN_FIELD_FLOAT, 0, 0},
    {"double", QN_FIELD_DOUBLE, 0, 0},
    {"date", QN_FIELD_DATE, 0, 0},
    {"timestamp", QN_FIELD_DATE, 0, 0},
    {"location", QN_FIELD_GEO, 0, 0}, /* several values, always */
    {"raw", QN_FIELD_KEYWORD, 0, 0},  /* of a vector index only */
};

/* The names under which the hosted editions know their analyzers, for those that the
 * analyzers' own table does not know. */
static const struct {
    const char *name, *ours;
} analyzer_names[] = {
    {"chn_ecommerce", "chinese"},
    {"chn_ecommerce_general", "chinese"},
    {"chn_film", "chinese"},
    {"chn_scene_name", "chinese"},
    {"chn_scene_org", "chinese"},
    {"chn_it_content", "chinese"},
    {"chn_esports_general", "chinese"},
    {"chn_edu_question", "chinese"},
    {"aliws", "chinese"},
    {"jieba_analyzer", "chinese"},
    {"eng_nostem", "standard"},
    {"singlews", "chn_single"},
};

static qn_status find_analyzer(const qn_table_schema *s, const qn_json *name,
                               const char **out, qn_error *err)
{
    if (name->kind != QN_JSON_STRING || name->string.n == 0)
        return qn_fail_at(err, QN_ESCHEMA, place(s, name),
                          "an analyzer must be a name, not %s",
                          qn_json_kind_name(name->kind));
    qn_status st = qn_schema__analyzer(s, name->string, out, err);
    if (st == QN_OK) return QN_OK;
    for (size_t i = 0; i < sizeof analyzer_names / sizeof *analyzer_names; i++)
        if (qn_slice_eq_str(name->string, analyzer_names[i].name))
            return qn_schema__analyzer(s, qn_slice_of(analyzer_names[i].ours), out,
                                       err);
    if (err != NULL) err->at = place(s, name);
    return st;
}

static qn_status member_string(const qn_table_schema *s, const qn_json *object,
                               const char *list, const char *key, qn_slice *out,
                               qn_error *err)
{
    const qn_json *v = qn_json_get(object, key);
    if (v == NULL || v->kind != QN_JSON_STRING || v->string.n == 0)
        return qn_fail_at(err, QN_ESCHEMA, place(s, v == NULL ? object : v),
                          "an entry of %s needs %s, a string", list, key);
    *out = v->string;
    return QN_OK;
}

static bool is_true(const qn_json *v)
{
    if (v == NULL) return false;
    if (v->kind == QN_JSON_BOOL) return v->boolean;
    if (v->kind == QN_JSON_INT) return v->integer != 0;
    return v->kind == QN_JSON_STRING && qn_slice_eq_nocase(v->string, "true");
}

static qn_status take_copy(qn_table_schema *s, qn_field *f, const qn_json *params,
                           qn_error *err)
{
    const qn_json *from = qn_json_get(params, "copy_from");
    if (from == NULL) return QN_OK;
    if (from->kind != QN_JSON_STRING || from->string.n == 0)
        return qn_fail_at(err, QN_ESCHEMA, place(s, from),
                          "copy_from of [%.*s] must be a field's name",
                          QN_SLICE_ARG(f->name));
    f->path = from->string;
    return QN_OK;
}

static qn_status parse_field(qn_table_schema *s, const qn_json *node, qn_error *err)
{
    qn_slice name = {0}, type = {0};
    QN_TRY(member_string(s, node, "fields", "field_name", &name, err));
    QN_TRY(member_string(s, node, "fields", "field_type", &type, err));
    const struct type_row *row = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (qn_slice_eq_nocase(type, types[i].name)) row = &types[i];
    if (row == NULL)
        return qn_fail_at(err, QN_ESCHEMA, place(s, qn_json_get(node, "field_type")),
                          "field_type [%.*s] of [%.*s] is not supported; known: TEXT, "
                          "STRING, INT8..INT64, UINT8..UINT64, INTEGER, LONG, FLOAT, "
                          "DOUBLE, DATE, TIMESTAMP, LOCATION, RAW",
                          QN_SLICE_ARG(type), QN_SLICE_ARG(name));
    if (memchr(name.p, '.', name.n) != NULL)
        return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                          "field_name [%.*s] must not have a dot", QN_SLICE_ARG(name));
    qn_field *f = NULL;
    QN_TRY(qn_schema__add_field(s, name, row->type, place(s, node), &f, err));
    f->multi = is_true(qn_json_get(node, "multi_value")) || f->type == QN_FIELD_GEO;
    if (row->min != 0 || row->max != 0) {
        f->int_min = row->min;
        f->int_max = row->max;
    }
    const qn_json *analyzer = qn_json_get(node, "analyzer");
    if ((analyzer != NULL) != (f->type == QN_FIELD_TEXT))
        return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                          "field [%.*s]: TEXT fields need an analyzer, others must not "
                          "have one",
                          QN_SLICE_ARG(name));
    if (analyzer != NULL) {
        QN_TRY(find_analyzer(s, analyzer, &f->analyzer, err));
        f->search_analyzer = f->analyzer;
        f->position_gap = 1; /* a section's end counts one position */
    }
    return take_copy(s, f, qn_json_get(node, "user_defined_param"), err);
}

static qn_status need_array(const qn_table_schema *s, const qn_json *v,
                            const char *name, qn_error *err)
{
    if (v->kind == QN_JSON_ARRAY) return QN_OK;
    return qn_fail_at(err, QN_ESCHEMA, place(s, v), "%s must be a list, not %s", name,
                      qn_json_kind_name(v->kind));
}

static qn_status known_field(qn_table_schema *s, qn_slice name, const qn_json *at,
                             const char *where, qn_field **out, qn_error *err)
{
    *out = qn_schema__find_field(s, name);
    if (*out != NULL) return QN_OK;
    const char *near = qn_schema_nearest(&s->schema, name);
    return qn_fail_at(err, QN_ESCHEMA, place(s, at),
                      "%s names [%.*s], which is no field%s%s", where,
                      QN_SLICE_ARG(name), near == NULL ? "" : "; did you mean ",
                      near == NULL ? "" : near);
}

/* ---- vector indexes ----------------------------------------------------------------
 */

static qn_status parse_dimension(qn_table_schema *s, qn_field *f, const qn_json *params,
                                 const qn_json *node, qn_error *err)
{
    const qn_json *v = qn_json_get(params, "dimension");
    int64_t dims = 0;
    if (v != NULL && v->kind == QN_JSON_INT) dims = v->integer;
    if (v != NULL && v->kind == QN_JSON_STRING) (void)qn_slice_to_i64(v->string, &dims);
    if (dims < 1 || dims > QN_VECTOR_DIMS_MAX)
        return qn_fail_at(err, QN_ESCHEMA, place(s, v == NULL ? node : v),
                          "parameters.dimension of a vector index must be 1 to %d",
                          QN_VECTOR_DIMS_MAX);
    f->dims = (uint32_t)dims;
    return QN_OK;
}

static qn_status parse_distance(qn_table_schema *s, qn_field *f, const qn_json *params,
                                const qn_json *node, qn_error *err)
{
    static const struct {
        const char *name;
        qn_vector_metric metric;
    } rows[] = {
        {"SquaredEuclidean", QN_METRIC_L2},
        {"InnerProduct", QN_METRIC_DOT},
        {"Cosine", QN_METRIC_COSINE},
    };
    const qn_json *v = qn_json_get(params, "distance_type");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (v == NULL || v->kind != QN_JSON_STRING) break;
        if (!qn_slice_eq_nocase(v->string, rows[i].name)) continue;
        f->metric = rows[i].metric;
        f->any_length = f->metric == QN_METRIC_DOT;
        return QN_OK;
    }
    return qn_fail_at(err, QN_ESCHEMA, place(s, v == NULL ? node : v),
                      "parameters.distance_type must be SquaredEuclidean, InnerProduct "
                      "or Cosine");
}

/* pk, [category,] embedding: the last is the vector. */
static qn_status make_vector(qn_table_schema *s, const qn_json *node, qn_field *f,
                             qn_error *err)
{
    if (f->type == QN_FIELD_VECTOR)
        return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                          "[%.*s] is in two vector indexes", QN_SLICE_ARG(f->name));
    if (f->type != QN_FIELD_FLOAT && f->type != QN_FIELD_DOUBLE &&
        f->type != QN_FIELD_KEYWORD)
        return qn_fail_at(
            err, QN_ESCHEMA, place(s, node),
            "the last field of a vector index, [%.*s], must be a FLOAT or "
            "RAW field",
            QN_SLICE_ARG(f->name));
    f->type = QN_FIELD_VECTOR;
    f->multi = false;
    const qn_json *params = qn_json_get(node, "parameters");
    const qn_json *delimiter = qn_json_get(params, "embedding_delimiter");
    if (delimiter != NULL &&
        !(delimiter->kind == QN_JSON_STRING && qn_slice_eq_str(delimiter->string, ",")))
        return qn_fail_at(err, QN_EUNSUPPORTED, place(s, delimiter),
                          "embedding_delimiter: only \",\" is supported");
    QN_TRY(parse_distance(s, f, params, node, err));
    return parse_dimension(s, f, params, node, err);
}

/* ---- indexs ------------------------------------------------------------------------
 */

typedef enum index_shape {
    SHAPE_TEXT,
    SHAPE_TERM,
    SHAPE_NUMBER,
    SHAPE_PRIMARY,
    SHAPE_VECTOR,
    SHAPE_DATE,
    SHAPE_SPATIAL
} index_shape;

static const struct index_row {
    const char *name;
    index_shape shape;
} index_types[] = {
    {"TEXT", SHAPE_TEXT},
    {"PACK", SHAPE_TEXT},
    {"EXPACK", SHAPE_TEXT},
    {"STRING", SHAPE_TERM},
    {"NUMBER", SHAPE_NUMBER},
    {"RANGE", SHAPE_NUMBER},
    {"INT8", SHAPE_NUMBER},
    {"INT16", SHAPE_NUMBER},
    {"INT32", SHAPE_NUMBER},
    {"INT64", SHAPE_NUMBER},
    {"UINT8", SHAPE_NUMBER},
    {"UINT16", SHAPE_NUMBER},
    {"UINT32", SHAPE_NUMBER},
    {"UINT64", SHAPE_NUMBER},
    {"DATE", SHAPE_DATE},
    {"DATETIME", SHAPE_DATE},
    {"PRIMARYKEY64", SHAPE_PRIMARY},
    {"PRIMARYKEY128", SHAPE_PRIMARY},
    {"SPATIAL", SHAPE_SPATIAL},
    {"CUSTOMIZED", SHAPE_VECTOR},
    {"ANN", SHAPE_VECTOR},
};

typedef struct member {
    qn_field *field;
    float boost;
} member;

enum { MEMBERS_MAX = 32 };

/* "index_fields": "title", or [{"field_name": "title", "boost": 10}, ...]. */
static qn_status parse_members(qn_table_schema *s, const qn_json *node, member *out,
                               size_t *count, qn_error *err)
{
    const qn_json *v = qn_json_get(node, "index_fields");
    *count = 0;
    if (v != NULL && v->kind == QN_JSON_STRING) {
        out[0].boost = 1.0f;
        *count = 1;
        return known_field(s, v->string, v, "index_fields", &out[0].field, err);
    }
    if (v == NULL || v->kind != QN_JSON_ARRAY || v->count == 0 ||
        v->count > MEMBERS_MAX)
        return qn_fail_at(err, QN_ESCHEMA, place(s, v == NULL ? node : v),
                          "index_fields must be a field's name or a list of 1 to %d "
                          "{field_name, boost}",
                          MEMBERS_MAX);
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) {
        member *m = &out[(*count)++];
        qn_slice name = it->string;
        if (it->kind != QN_JSON_STRING)
            QN_TRY(member_string(s, it, "index_fields", "field_name", &name, err));
        QN_TRY(known_field(s, name, it, "index_fields", &m->field, err));
        const qn_json *boost = qn_json_get(it, "boost");
        m->boost = 1.0f;
        if (boost == NULL) continue;
        if ((boost->kind != QN_JSON_INT && boost->kind != QN_JSON_DOUBLE) ||
            !(boost->number >= 0 && boost->number <= 1e6))
            return qn_fail_at(err, QN_ESCHEMA, place(s, boost),
                              "boost must be a number from 0 to 1000000");
        m->boost = (float)boost->number;
    }
    return QN_OK;
}

static qn_status wrong_field(const qn_table_schema *s, const qn_json *node,
                             qn_slice index, const qn_field *f, qn_error *err)
{
    return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                      "index [%.*s]: field [%.*s] of type %s does not fit its "
                      "index_type",
                      QN_SLICE_ARG(index), QN_SLICE_ARG(f->name),
                      qn_field_type_name(f->type));
}

/* Marks what the index needs of a field, and says whether it fits. */
static bool fit(index_shape shape, qn_field *f)
{
    switch (shape) {
    case SHAPE_TEXT:
        f->indexed = true;
        return f->type == QN_FIELD_TEXT;
    case SHAPE_TERM:
        f->indexed = true;
        return f->type == QN_FIELD_KEYWORD;
    case SHAPE_NUMBER:
        f->column = true;
        return f->type >= QN_FIELD_INT8 && f->type <= QN_FIELD_INT64;
    case SHAPE_DATE:
        f->column = true;
        return f->type == QN_FIELD_DATE || f->type == QN_FIELD_INT64;
    case SHAPE_SPATIAL:
        f->column = true;
        return f->type == QN_FIELD_GEO;
    case SHAPE_PRIMARY:
        f->column = true;
        return !f->multi && (f->type == QN_FIELD_KEYWORD ||
                             (f->type >= QN_FIELD_INT8 && f->type <= QN_FIELD_INT64));
    case SHAPE_VECTOR:
        return true;
    }
    return false;
}

static const qn_index_kind kinds[] = {
    [SHAPE_TEXT] = QN_INDEX_TEXT,      [SHAPE_TERM] = QN_INDEX_TERM,
    [SHAPE_NUMBER] = QN_INDEX_NUMBER,  [SHAPE_PRIMARY] = QN_INDEX_PRIMARY,
    [SHAPE_VECTOR] = QN_INDEX_VECTOR,  [SHAPE_DATE] = QN_INDEX_NUMBER,
    [SHAPE_SPATIAL] = QN_INDEX_NUMBER,
};

static qn_status text_analyzer(qn_table_schema *s, const qn_json *node,
                               const member *members, size_t count, const char **out,
                               qn_error *err)
{
    const qn_json *own = qn_json_get(node, "index_analyzer");
    if (own != NULL) return find_analyzer(s, own, out, err);
    *out = members[0].field->search_analyzer;
    for (size_t i = 1; i < count; i++)
        if (strcmp(members[i].field->analyzer, members[0].field->analyzer) != 0)
            return qn_fail_at(
                err, QN_ESCHEMA, place(s, node),
                "the fields of an index must share one analyzer: [%.*s] "
                "has %s, [%.*s] has %s",
                QN_SLICE_ARG(members[0].field->name), members[0].field->analyzer,
                QN_SLICE_ARG(members[i].field->name), members[i].field->analyzer);
    return QN_OK;
}

static qn_status parse_index(qn_table_schema *s, const qn_json *node, qn_error *err)
{
    qn_slice name = {0}, type = {0};
    QN_TRY(member_string(s, node, "indexs", "index_name", &name, err));
    QN_TRY(member_string(s, node, "indexs", "index_type", &type, err));
    const struct index_row *row = NULL;
    for (size_t i = 0; i < sizeof index_types / sizeof *index_types; i++)
        if (qn_slice_eq_nocase(type, index_types[i].name)) row = &index_types[i];
    if (row == NULL)
        return qn_fail_at(
            err, QN_ESCHEMA, place(s, qn_json_get(node, "index_type")),
            "index_type [%.*s] of [%.*s] is not supported; known: TEXT, "
            "PACK, EXPACK, STRING, NUMBER, RANGE, DATE, SPATIAL, PRIMARYKEY64, "
            "PRIMARYKEY128, CUSTOMIZED, ANN",
            QN_SLICE_ARG(type), QN_SLICE_ARG(name));
    member members[MEMBERS_MAX];
    size_t count = 0;
    QN_TRY(parse_members(s, node, members, &count, err));
    bool many = row->shape == SHAPE_TEXT || row->shape == SHAPE_VECTOR;
    if (!many && count != 1)
        return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                          "index [%.*s] of type %s takes one field", QN_SLICE_ARG(name),
                          row->name);
    if (row->shape == SHAPE_VECTOR) {
        QN_TRY(make_vector(s, node, members[count - 1].field, err));
        /* The vector first, then the category. */
        member vector = members[count - 1];
        if (count >= 3) members[1].boost = 1.0f;
        members[0] = vector;
        count = count >= 3 ? 2 : 1;
    }
    uint32_t ids[MEMBERS_MAX];
    for (size_t i = 0; i < count; i++) {
        if (!fit(row->shape, members[i].field))
            return wrong_field(s, node, name, members[i].field, err);
        ids[i] = members[i].field->id;
    }
    qn_index_def *d = NULL;
    QN_TRY(qn_schema__add_index(s, name, kinds[row->shape], ids, count, place(s, node),
                                &d, err));
    float *boosts = qn_arena_array(&s->arena, count, sizeof *boosts);
    if (boosts == NULL) return qn_fail(err, QN_ENOMEM, "schema");
    for (size_t i = 0; i < count; i++) boosts[i] = members[i].boost;
    d->boosts = boosts;
    if (row->shape == SHAPE_TEXT)
        return text_analyzer(s, node, members, count, &d->analyzer, err);
    if (row->shape != SHAPE_PRIMARY) return QN_OK;
    if (s->schema.primary_key != QN_FIELD_NONE)
        return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                          "a table has one primary key index");
    s->schema.primary_key = ids[0];
    return QN_OK;
}

/* ---- attributes and summaries -------------------------------------------------------
 */

static qn_status parse_attribute(qn_table_schema *s, const qn_json *node, qn_error *err)
{
    const qn_json *pack = qn_json_get(node, "sub_attributes");
    if (pack != NULL) {
        QN_TRY(need_array(s, pack, "sub_attributes", err));
        for (const qn_json *it = qn_json_items(pack); it != NULL; it = it->next) {
            qn_field *f = NULL;
            qn_slice name = it->string;
            if (it->kind != QN_JSON_STRING)
                QN_TRY(
                    member_string(s, it, "sub_attributes", "field_name", &name, err));
            QN_TRY(known_field(s, name, it, "attributes", &f, err));
            f->column = f->type != QN_FIELD_VECTOR;
        }
        return QN_OK;
    }
    qn_slice name = node->string;
    if (node->kind != QN_JSON_STRING)
        QN_TRY(member_string(s, node, "attributes", "field_name", &name, err));
    qn_field *f = NULL;
    QN_TRY(known_field(s, name, node, "attributes", &f, err));
    if (f->type == QN_FIELD_TEXT)
        return qn_fail_at(err, QN_ESCHEMA, place(s, node),
                          "the TEXT field [%.*s] cannot be an attribute",
                          QN_SLICE_ARG(name));
    /* A vector is kept as such: its index gives it back. */
    f->column = f->type != QN_FIELD_VECTOR;
    return QN_OK;
}

static qn_status parse_summaries(qn_table_schema *s, const qn_json *summaries,
                                 qn_error *err)
{
    const qn_json *list = qn_json_get(summaries, "summary_fields");
    if (list == NULL) return QN_OK;
    QN_TRY(need_array(s, list, "summarys.summary_fields", err));
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        qn_field *f = NULL;
        if (it->kind != QN_JSON_STRING)
            return qn_fail_at(err, QN_ESCHEMA, place(s, it),
                              "summary_fields must be names of fields");
        QN_TRY(known_field(s, it->string, it, "summary_fields", &f, err));
        f->stored = true;
    }
    return QN_OK;
}

/* ---- the top -------------------------------------------------------------------------
 */

static qn_status refuse(qn_table_schema *s, const qn_json *root, qn_error *err)
{
    static const char *const keys[] = {"sub_schema", "regions",
                                       "customized_table_config"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const qn_json *v = qn_json_get(root, keys[i]);
        if (v != NULL)
            return qn_fail_at(err, QN_EUNSUPPORTED, place(s, v),
                              "%s is not supported in a schema", keys[i]);
    }
    const qn_json *type = qn_json_get(root, "table_type");
    if (type != NULL &&
        !(type->kind == QN_JSON_STRING && qn_slice_eq_nocase(type->string, "normal")))
        return qn_fail_at(err, QN_EUNSUPPORTED, place(s, type),
                          "table_type: only normal is supported");
    return QN_OK;
}

typedef qn_status entry_fn(qn_table_schema *s, const qn_json *node, qn_error *err);

static qn_status each_entry(qn_table_schema *s, const qn_json *root, const char *key,
                            bool required, entry_fn *fn, qn_error *err)
{
    const qn_json *list = qn_json_get(root, key);
    if (list == NULL)
        return required ? qn_fail_at(err, QN_ESCHEMA, 0, "a schema needs %s", key)
                        : QN_OK;
    QN_TRY(need_array(s, list, key, err));
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next)
        QN_TRY(fn(s, it, err));
    return QN_OK;
}

/* Automatic vectors are declared with the field, before its index makes it one. */
static qn_status take_embeddings(qn_table_schema *s, const qn_json *root, qn_error *err)
{
    const qn_json *list = qn_json_get(root, "fields");
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        qn_field *f = qn_schema__find_field(s, qn_json_get(it, "field_name")->string);
        const qn_json *params = qn_json_get(it, "user_defined_param");
        QN_TRY(qn_schema__take_embedding(s, f, params, place(s, it), err));
    }
    return QN_OK;
}

static qn_status check_end(qn_table_schema *s, const qn_json *root, qn_error *err)
{
    const qn_json *it = qn_json_items(qn_json_get(root, "fields"));
    for (size_t i = 0; i < s->schema.field_count; i++, it = it->next) {
        const qn_field *f = &s->fields[i];
        if (f->model != NULL && f->type != QN_FIELD_VECTOR)
            return qn_fail_at(err, QN_ESCHEMA, place(s, it),
                              "quern_model of [%.*s]: the field is in no vector index",
                              QN_SLICE_ARG(f->name));
        if (!qn_slice_eq(f->path, f->name) && qn_schema__find_field(s, f->path) == NULL)
            return qn_fail_at(err, QN_ESCHEMA, place(s, it),
                              "copy_from of [%.*s] names [%.*s], which is no field",
                              QN_SLICE_ARG(f->name), QN_SLICE_ARG(f->path));
    }
    return QN_OK;
}

qn_status qn_schema__parse_ha3(qn_table_schema *s, const qn_json *root, qn_error *err)
{
    s->schema.dynamic = QN_DYNAMIC_FALSE;
    QN_TRY(refuse(s, root, err));
    QN_TRY(each_entry(s, root, "fields", true, parse_field, err));
    QN_TRY(take_embeddings(s, root, err));
    QN_TRY(each_entry(s, root, "indexs", true, parse_index, err));
    QN_TRY(each_entry(s, root, "attributes", false, parse_attribute, err));
    const qn_json *summaries = qn_json_get(root, "summarys");
    if (summaries != NULL) QN_TRY(parse_summaries(s, summaries, err));
    QN_TRY(check_end(s, root, err));
    QN_TRY(qn_schema__take_quern(s, qn_json_get(root, "quern"), "quern", err));
    return qn_schema__take_quern(
        s, qn_json_get(qn_json_get(root, "user_defined_param"), "quern"),
        "user_defined_param.quern", err);
}
