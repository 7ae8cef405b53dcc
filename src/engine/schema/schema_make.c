/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/schema/schema_make.h"

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory while reading a schema");
}

/* ---- fields and indexes ------------------------------------------------------- */

/* Arena arrays grow by doubling; the old one stays behind until the arena goes. */
static bool grow(qn_table_schema *s, void **items, size_t n, size_t *capacity,
                 size_t size)
{
    if (n < *capacity) return true;
    size_t wider = *capacity == 0 ? 16 : 2 * *capacity;
    void *p = qn_arena_array(&s->arena, wider, size);
    if (p == NULL) return false;
    if (n != 0) memcpy(p, *items, n * size);
    *items = p;
    *capacity = wider;
    return true;
}

qn_field *qn_schema__find_field(qn_table_schema *s, qn_slice name)
{
    for (size_t i = 0; i < s->schema.field_count; i++)
        if (qn_slice_eq(s->fields[i].name, name)) return &s->fields[i];
    return NULL;
}

void qn_schema__int_range(qn_field *f)
{
    static const struct {
        qn_field_type type;
        int64_t min, max;
    } rows[] = {
        {QN_FIELD_INT8, INT8_MIN, INT8_MAX},    {QN_FIELD_INT16, INT16_MIN, INT16_MAX},
        {QN_FIELD_INT32, INT32_MIN, INT32_MAX}, {QN_FIELD_INT64, INT64_MIN, INT64_MAX},
        {QN_FIELD_DATE, INT64_MIN, INT64_MAX},  {QN_FIELD_BOOL, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].type != f->type) continue;
        f->int_min = rows[i].min;
        f->int_max = rows[i].max;
    }
}

qn_status qn_schema__add_field(qn_table_schema *s, qn_slice name, qn_field_type type,
                               uint64_t at, qn_field **out, qn_error *err)
{
    *out = NULL;
    if (name.n == 0) return qn_fail_at(err, QN_ESCHEMA, at, "a field has no name");
    if (name.n > QN_SCHEMA_NAME_MAX)
        return qn_fail_at(err, QN_ELIMIT, at,
                          "a field's name has %zu bytes, at most %d are allowed",
                          name.n, QN_SCHEMA_NAME_MAX);
    size_t depth = 1;
    bool empty_part = name.p[0] == '.' || name.p[name.n - 1] == '.';
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != '.') continue;
        depth++;
        empty_part |= i + 1 < name.n && name.p[i + 1] == '.';
    }
    if (empty_part) /* printed, it would be another name or none */
        return qn_fail_at(err, QN_ESCHEMA, at,
                          "[%.*s] cannot be the name of a field: a part is empty",
                          QN_SLICE_ARG(name));
    if (depth > QN_SCHEMA_DEPTH_MAX)
        return qn_fail_at(err, QN_ELIMIT, at,
                          "Limit of mapping depth [%d] has been exceeded",
                          QN_SCHEMA_DEPTH_MAX);
    if (s->schema.field_count >= QN_SCHEMA_FIELDS_MAX)
        return qn_fail_at(err, QN_ELIMIT, at,
                          "Limit of total fields [%d] has been exceeded",
                          QN_SCHEMA_FIELDS_MAX);
    if (qn_schema__find_field(s, name) != NULL)
        return qn_fail_at(err, QN_ESCHEMA, at, "the field [%.*s] is declared twice",
                          QN_SLICE_ARG(name));
    if (!grow(s, (void **)(void *)&s->fields, s->schema.field_count,
              &s->fields_capacity, sizeof *s->fields))
        return no_memory(err);
    qn_field *f = &s->fields[s->schema.field_count];
    *f = (qn_field){.id = s->schema.field_id_next, .type = type};
    f->name = qn_arena_slice(&s->arena, name);
    if (f->name.p == NULL) return no_memory(err);
    f->path = f->name;
    qn_schema__int_range(f);
    s->schema.fields = s->fields;
    s->schema.field_count++;
    s->schema.field_id_next++;
    *out = f;
    return QN_OK;
}

qn_status qn_schema__add_index(qn_table_schema *s, qn_slice name, qn_index_kind kind,
                               const uint32_t *fields, size_t count, uint64_t at,
                               qn_index_def **out, qn_error *err)
{
    if (out != NULL) *out = NULL;
    for (size_t i = 0; i < s->schema.index_count; i++)
        if (qn_slice_eq(s->indexes[i].name, name))
            return qn_fail_at(err, QN_ESCHEMA, at, "the index [%.*s] is declared twice",
                              QN_SLICE_ARG(name));
    if (!grow(s, (void **)(void *)&s->indexes, s->schema.index_count,
              &s->indexes_capacity, sizeof *s->indexes))
        return no_memory(err);
    qn_index_def *d = &s->indexes[s->schema.index_count];
    *d = (qn_index_def){.kind = kind, .field_count = count};
    d->name = qn_arena_slice(&s->arena, name);
    uint32_t *ids = qn_arena_array(&s->arena, count + 1, sizeof *ids);
    float *boosts = qn_arena_array(&s->arena, count + 1, sizeof *boosts);
    if (d->name.p == NULL || ids == NULL || boosts == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        ids[i] = fields[i];
        boosts[i] = 1.0f;
    }
    d->fields = ids;
    d->boosts = boosts;
    s->schema.indexes = s->indexes;
    s->schema.index_count++;
    if (out != NULL) *out = d;
    return QN_OK;
}

qn_status qn_schema__add_own_index(qn_table_schema *s, const qn_field *f, qn_error *err)
{
    if (qn_schema_index(&s->schema, f->name) != NULL) return QN_OK;
    qn_index_kind kind = QN_INDEX_NUMBER;
    switch (f->type) {
    case QN_FIELD_TEXT:
        if (!f->indexed) return QN_OK;
        kind = QN_INDEX_TEXT;
        break;
    case QN_FIELD_KEYWORD:
        if (!f->indexed) return QN_OK;
        kind = QN_INDEX_TERM;
        break;
    case QN_FIELD_VECTOR:
        kind = QN_INDEX_VECTOR;
        break;
    case QN_FIELD_BOOL:
    case QN_FIELD_INT8:
    case QN_FIELD_INT16:
    case QN_FIELD_INT32:
    case QN_FIELD_INT64:
    case QN_FIELD_FLOAT:
    case QN_FIELD_DOUBLE:
    case QN_FIELD_DATE:
    case QN_FIELD_GEO:
        if (!f->column) return QN_OK;
        break;
    }
    qn_index_def *d = NULL;
    QN_TRY(qn_schema__add_index(s, f->name, kind, &f->id, 1, QN_AT_NONE, &d, err));
    d->analyzer = f->search_analyzer;
    return QN_OK;
}

qn_status qn_schema__analyzer(const qn_table_schema *s, qn_slice name, const char **out,
                              qn_error *err)
{
    const qn_analyzer *analyzer = NULL;
    *out = NULL;
    QN_TRY(qn_analyzer_find(s->analyzers, name, &analyzer, err));
    *out = qn_analyzer_name(analyzer);
    return QN_OK;
}

/* ---- Quern's own words --------------------------------------------------------- */

qn_status qn_schema__take_quern(qn_table_schema *s, const qn_json *quern,
                                const char *place, qn_error *err)
{
    if (quern == NULL) return QN_OK;
    qn_slice text = s->schema.source;
    if (quern->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESCHEMA, qn_json_offset(quern, text),
                          "%s must be an object", place);
    for (const qn_json *it = qn_json_items(quern); it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "pipeline") &&
            (it->kind == QN_JSON_OBJECT || it->kind == QN_JSON_STRING)) {
            s->pipeline = it->raw;
        } else if (qn_slice_eq_str(it->key, "pipelines") &&
                   it->kind == QN_JSON_OBJECT) {
            s->pipelines = it;
        } else if (qn_slice_eq_str(it->key, "durability")) {
            QN_TRY(qn_policy_read_durability(it, "quern.durability", &s->policy, err));
        } else if (qn_slice_eq_str(it->key, "sync_interval")) {
            QN_TRY(qn_policy_read_interval(it, "quern.sync_interval", &s->policy, err));
        } else {
            return qn_fail_at(err, QN_ESCHEMA, qn_json_offset(it, text),
                              "%s.%.*s: known are pipeline (an object or a name), "
                              "pipelines (an object), durability and sync_interval",
                              place, QN_SLICE_ARG(it->key));
        }
    }
    return QN_OK;
}

static qn_status bad_source(qn_table_schema *s, const qn_field *f, const qn_json *at,
                            qn_error *err)
{
    return qn_fail_at(err, QN_ESCHEMA, qn_json_offset(at, s->schema.source),
                      "quern_source of [%.*s] must be a field's name or a list of them",
                      QN_SLICE_ARG(f->name));
}

qn_status qn_schema__take_embedding(qn_table_schema *s, qn_field *f,
                                    const qn_json *params, uint64_t at, qn_error *err)
{
    const qn_json *model = qn_json_get(params, "quern_model");
    const qn_json *source = qn_json_get(params, "quern_source");
    if (model == NULL && source == NULL) return QN_OK;
    if (model == NULL || source == NULL)
        return qn_fail_at(err, QN_ESCHEMA, at,
                          "[%.*s] needs both quern_model and quern_source, or neither",
                          QN_SLICE_ARG(f->name));
    if (model->kind != QN_JSON_STRING || model->string.n == 0)
        return qn_fail_at(err, QN_ESCHEMA, qn_json_offset(model, s->schema.source),
                          "quern_model of [%.*s] must be a model's name",
                          QN_SLICE_ARG(f->name));
    bool list = source->kind == QN_JSON_ARRAY;
    if (!list && source->kind != QN_JSON_STRING) return bad_source(s, f, source, err);
    size_t count = list ? source->count : 1;
    if (count == 0) return bad_source(s, f, source, err);
    qn_slice *paths = qn_arena_array(&s->arena, count, sizeof *paths);
    f->model = qn_arena_strndup(&s->arena, model->string.p, model->string.n);
    if (paths == NULL || f->model == NULL) return no_memory(err);
    const qn_json *it = list ? qn_json_items(source) : source;
    for (size_t i = 0; i < count; i++, it = list ? it->next : NULL) {
        if (it->kind != QN_JSON_STRING || it->string.n == 0)
            return bad_source(s, f, it, err);
        paths[i] = it->string;
    }
    f->model_paths = paths;
    f->model_path_count = count;
    return QN_OK;
}

/* ---- the whole ----------------------------------------------------------------- */

static bool looks_like_ha3(const qn_json *root)
{
    static const char *const keys[] = {"indexs", "attributes", "summarys", "fields",
                                       "table_name"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (qn_json_get(root, keys[i]) != NULL) return true;
    return false;
}

/* All text fields under one name, for queries that name none. Sub-fields (title and
 * title.english hold the same words) are left out. */
static qn_status add_default_index(qn_table_schema *s, qn_error *err)
{
    qn_slice name = QN_SLICE_LIT("default");
    if (qn_schema_index(&s->schema, name) != NULL) return QN_OK;
    uint32_t ids[QN_SCHEMA_FIELDS_MAX];
    size_t n = 0;
    const char *analyzer = NULL;
    for (size_t i = 0; i < s->schema.field_count; i++) {
        const qn_field *f = &s->fields[i];
        if (f->type != QN_FIELD_TEXT || !f->indexed || !qn_slice_eq(f->name, f->path))
            continue;
        if (n == 0) analyzer = f->search_analyzer;
        ids[n++] = f->id;
    }
    if (n == 0) return QN_OK;
    qn_index_def *d = NULL;
    QN_TRY(qn_schema__add_index(s, name, QN_INDEX_TEXT, ids, n, QN_AT_NONE, &d, err));
    d->analyzer = analyzer;
    return QN_OK;
}

static qn_status take_additions(qn_table_schema *s, const qn_schema_addition *additions,
                                size_t count, qn_error *err)
{
    qn_schema_addition *copies = qn_arena_array(&s->arena, count + 1, sizeof *copies);
    if (copies == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        copies[i].name = qn_arena_slice(&s->arena, additions[i].name);
        copies[i].mapping = qn_arena_slice(&s->arena, additions[i].mapping);
        if (copies[i].name.p == NULL || copies[i].mapping.p == NULL)
            return no_memory(err);
        const qn_json *mapping = NULL;
        QN_TRY(qn_json_parse(&s->arena, copies[i].mapping, &mapping, err));
        QN_TRY(qn_schema__parse_property(s, copies[i].name, mapping, err));
    }
    s->additions = copies;
    s->addition_count = count;
    return QN_OK;
}

/* What the fields of automatic vectors read must be there: a typing error would
 * otherwise show as empty vectors. Dynamic tables may get the field later. */
static qn_status check_embedding_sources(qn_table_schema *s, qn_error *err)
{
    if (s->schema.dialect == QN_SCHEMA_MAPPING &&
        s->schema.dynamic != QN_DYNAMIC_STRICT)
        return QN_OK;
    for (size_t i = 0; i < s->schema.field_count; i++) {
        const qn_field *f = &s->fields[i];
        for (size_t k = 0; k < f->model_path_count; k++)
            if (qn_schema__find_field(s, f->model_paths[k]) == NULL)
                return qn_fail(err, QN_ESCHEMA,
                               "quern_source of [%.*s] names [%.*s], which is no field",
                               QN_SLICE_ARG(f->name), QN_SLICE_ARG(f->model_paths[k]));
    }
    return QN_OK;
}

static qn_status index_paths(qn_table_schema *s, qn_error *err)
{
    size_t n = s->schema.field_count;
    s->same_path = qn_arena_array(&s->arena, n + 1, sizeof *s->same_path);
    if (s->same_path == NULL) return no_memory(err);
    for (size_t i = n; i-- > 0;) { /* backwards, so that chains run forwards */
        uint64_t next = SIZE_MAX;
        (void)qn_map_get(&s->by_path, s->fields[i].path, &next);
        s->same_path[i] = (size_t)next;
        if (!qn_map_put(&s->by_path, s->fields[i].path, i)) return no_memory(err);
    }
    return QN_OK;
}

bool qn_table_schema_at_path(const qn_table_schema *s, qn_slice path, size_t *place)
{
    uint64_t v = 0;
    if (!qn_map_get(&s->by_path, path, &v)) return false;
    *place = (size_t)v;
    return true;
}

static qn_status parse_all(qn_table_schema *s, const qn_schema_addition *additions,
                           size_t addition_count, qn_error *err)
{
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(&s->arena, s->schema.source, &root, err));
    if (root->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESCHEMA, 0, "a schema must be a JSON object, not %s",
                          qn_json_kind_name(root->kind));
    bool ha3 = looks_like_ha3(root);
    s->schema.dialect = ha3 ? QN_SCHEMA_HA3 : QN_SCHEMA_MAPPING;
    QN_TRY(ha3 ? qn_schema__parse_ha3(s, root, err)
               : qn_schema__parse_mapping(s, root, err));
    QN_TRY(take_additions(s, additions, addition_count, err));
    for (size_t i = 0; i < s->schema.field_count; i++)
        QN_TRY(qn_schema__add_own_index(s, &s->fields[i], err));
    if (qn_schema_index(&s->schema, QN_SLICE_LIT("_id")) == NULL)
        QN_TRY(qn_schema__add_index(s, QN_SLICE_LIT("_id"), QN_INDEX_PRIMARY, NULL, 0,
                                    QN_AT_NONE, NULL, err));
    QN_TRY(add_default_index(s, err));
    s->schema.default_index = qn_schema_index(&s->schema, QN_SLICE_LIT("default"));
    QN_TRY(index_paths(s, err));
    return check_embedding_sources(s, err);
}

qn_status qn_table_schema_create(qn_alloc *a, const qn_analyzers *set, qn_slice source,
                                 const qn_schema_addition *additions,
                                 size_t addition_count, qn_table_schema **out,
                                 qn_error *err)
{
    *out = NULL;
    if (source.n > QN_SCHEMA_BYTES_MAX)
        return qn_fail(err, QN_ELIMIT, "a schema of %zu bytes, at most %d are allowed",
                       source.n, QN_SCHEMA_BYTES_MAX);
    qn_table_schema *s = qn_new0(a, sizeof *s);
    if (s == NULL) return no_memory(err);
    s->alloc = a;
    s->analyzers = set;
    atomic_init(&s->refs, 1);
    qn_arena_init(&s->arena, a, 0);
    qn_map_init(&s->by_path, a);
    s->schema.primary_key = QN_FIELD_NONE;
    s->schema.source = qn_arena_slice(&s->arena, source);
    qn_status st = s->schema.source.p == NULL
                       ? no_memory(err)
                       : parse_all(s, additions, addition_count, err);
    if (st != QN_OK) {
        qn_table_schema_release(s);
        return st;
    }
    *out = s;
    return QN_OK;
}

qn_table_schema *qn_table_schema_acquire(qn_table_schema *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void qn_table_schema_release(qn_table_schema *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) return;
    qn_map_deinit(&s->by_path);
    qn_arena_deinit(&s->arena);
    qn_delete(s->alloc, s);
}
