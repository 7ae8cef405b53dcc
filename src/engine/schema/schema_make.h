/* SPDX-License-Identifier: Apache-2.0 */
/* engine/schema/schema_make.h -- from what a user wrote to a qn_schema.
 *
 * A table's schema is one JSON text, as given when the table was made, and a list of
 * additions: fields that arrived later, by dynamic mapping or by request, each a dotted
 * name with its mapping. Making the schema again from both gives the same field ids,
 * so that is how a table keeps it: the text verbatim, the additions in order.
 *
 *     {"fields":..,"indexs":..}                 schema_ha3.c      \
 *     {"mappings":..,"settings":..} or {}       schema_mapping.c  / --> qn_table_schema
 *
 * Quern's own words, in both dialects: a vector field may carry
 *     "quern_model": "minilm-l6-v2"     the model that embeds documents
 *     "quern_source": ["title", "body"] from which fields, joined by one blank
 * (in a Retrieval Engine schema inside the field's user_defined_param), and the table
 *     "quern": {"pipeline": ..., "pipelines": {"name": ...}, "durability": "async",
 *               "sync_interval": "5s"}
 * beside `mappings` or `fields`, in mappings._meta, in settings, or in the top
 * user_defined_param.
 *
 * Lifetime   counted: create() gives one reference.
 * Threads    immutable once created.
 * Errors     QN_ESCHEMA naming the place ("mappings.properties.title.analyzer") and the
 *            offset; QN_EJSON; QN_ENOANALYZER; QN_ELIMIT; QN_EUNSUPPORTED. */
#ifndef QN_ENGINE_SCHEMA_MAKE_H
#define QN_ENGINE_SCHEMA_MAKE_H

#include "base/map.h"
#include "engine/table/policy.h"
#include "index/schema.h"
#include "io/json.h"
#include "text/analyzer.h"

#include <stdatomic.h>

enum {
    QN_SCHEMA_FIELDS_MAX = 1000,
    QN_SCHEMA_DEPTH_MAX = 20,
    QN_SCHEMA_NAME_MAX = 255, /* bytes of a field's dotted name */
    QN_VECTOR_DIMS_MAX = 4096,
    QN_SCHEMA_BYTES_MAX = 1024 * 1024,
};

typedef struct qn_schema_addition {
    qn_slice name; /* "address.city" */
    /* {"type":"keyword"}, or {"quern_multi":true}: a document came with several values
     * of a field that is there. */
    qn_slice mapping;
} qn_schema_addition;

typedef struct qn_table_schema {
    qn_schema schema;
    qn_slice settings; /* the "settings" as given, or "" */
    qn_slice pipeline; /* JSON object, or a JSON string with a name; "" when none */
    qn_policy policy;  /* as the schema sets it */
    const struct qn_json *pipelines;     /* object name -> pipeline, or NULL */
    const qn_schema_addition *additions; /* all so far, in order */
    size_t addition_count;

    /* Private to schema_make.c. */
    qn_alloc *alloc;
    qn_arena arena;
    atomic_uint refs;
    size_t fields_capacity, indexes_capacity;
    const qn_analyzers *analyzers;
    qn_field *fields;
    qn_index_def *indexes;
    qn_map by_path;    /* path -> place of the first field that reads it */
    size_t *same_path; /* the next field of the same path, SIZE_MAX: none */
} qn_table_schema;

QN_MUST_CHECK qn_status qn_table_schema_create(qn_alloc *a, const qn_analyzers *set,
                                               qn_slice source,
                                               const qn_schema_addition *additions,
                                               size_t addition_count,
                                               QN_OWNED qn_table_schema **out,
                                               qn_error *err);
qn_table_schema *qn_table_schema_acquire(qn_table_schema *s);
void qn_table_schema_release(QN_OWNED QN_NULLABLE qn_table_schema *s);

/* Places in schema.fields of those that read `path`: the first, then the next ones
 * until SIZE_MAX. false when there is none. */
bool qn_table_schema_at_path(const qn_table_schema *s, qn_slice path, size_t *place);
static inline size_t qn_table_schema_next(const qn_table_schema *s, size_t place)
{
    return s->same_path[place];
}

/* Writes the mappings as the mapping dialect shows them: {"properties":{...}}. */
void qn_table_schema_print(const qn_table_schema *s, qn_json_writer *w);

/* ---- for the two parsers --------------------------------------------------- */

/* A fresh field with its id, to be filled by the caller; `place` stands in messages. */
QN_MUST_CHECK qn_status qn_schema__add_field(qn_table_schema *s, qn_slice name,
                                             qn_field_type type, uint64_t at,
                                             qn_field **out, qn_error *err);
/* An index of `count` fields with boost 1 each. */
QN_MUST_CHECK qn_status qn_schema__add_index(qn_table_schema *s, qn_slice name,
                                             qn_index_kind kind, const uint32_t *fields,
                                             size_t count, uint64_t at,
                                             qn_index_def **out, qn_error *err);
/* The index that every searchable field has under its own name; nothing when the name
 * is taken or the field cannot be searched. */
QN_MUST_CHECK qn_status qn_schema__add_own_index(qn_table_schema *s,
                                                 const qn_field *field, qn_error *err);
QN_NULLABLE qn_field *qn_schema__find_field(qn_table_schema *s, qn_slice name);
/* An analyzer's proper name, from the set. */
QN_MUST_CHECK qn_status qn_schema__analyzer(const qn_table_schema *s, qn_slice name,
                                            const char **out, qn_error *err);
/* "quern": {...} of a schema: the default pipeline and named ones. */
QN_MUST_CHECK qn_status qn_schema__take_quern(qn_table_schema *s, const qn_json *quern,
                                              const char *place, qn_error *err);
/* "quern_model" and "quern_source" of a vector field, wherever the dialect puts them.
 */
QN_MUST_CHECK qn_status qn_schema__take_embedding(qn_table_schema *s, qn_field *field,
                                                  const qn_json *params, uint64_t at,
                                                  qn_error *err);
/* The declared range of an integer type. */
void qn_schema__int_range(qn_field *field);

QN_MUST_CHECK qn_status qn_schema__parse_ha3(qn_table_schema *s, const qn_json *root,
                                             qn_error *err);
QN_MUST_CHECK qn_status qn_schema__parse_mapping(qn_table_schema *s,
                                                 const qn_json *root, qn_error *err);
/* One field of dotted name `name` from its mapping. */
QN_MUST_CHECK qn_status qn_schema__parse_property(qn_table_schema *s, qn_slice name,
                                                  const qn_json *mapping,
                                                  qn_error *err);

#endif
