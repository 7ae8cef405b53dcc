/* SPDX-License-Identifier: Apache-2.0 */
#include "index/schema.h"

#include "base/nearest.h"

const qn_field *qn_schema_field(const qn_schema *s, qn_slice name)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (qn_slice_eq(s->fields[i].name, name)) return &s->fields[i];
    return NULL;
}

const qn_field *qn_schema_field_by_id(const qn_schema *s, uint32_t id)
{
    /* Ids are given in order and never reused: most often the id is the place. */
    if (id < s->field_count && s->fields[id].id == id) return &s->fields[id];
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].id == id) return &s->fields[i];
    return NULL;
}

const qn_index_def *qn_schema_index(const qn_schema *s, qn_slice name)
{
    for (size_t i = 0; i < s->index_count; i++)
        if (qn_slice_eq(s->indexes[i].name, name)) return &s->indexes[i];
    return NULL;
}

const char *qn_field_type_name(qn_field_type type)
{
    switch (type) {
    case QN_FIELD_TEXT:
        return "text";
    case QN_FIELD_KEYWORD:
        return "keyword";
    case QN_FIELD_BOOL:
        return "boolean";
    case QN_FIELD_INT8:
        return "byte";
    case QN_FIELD_INT16:
        return "short";
    case QN_FIELD_INT32:
        return "integer";
    case QN_FIELD_INT64:
        return "long";
    case QN_FIELD_FLOAT:
        return "float";
    case QN_FIELD_DOUBLE:
        return "double";
    case QN_FIELD_DATE:
        return "date";
    case QN_FIELD_VECTOR:
        return "dense_vector";
    case QN_FIELD_GEO:
        return "geo_point";
    }
    return "unknown";
}

const char *qn_schema_nearest(const qn_schema *s, qn_slice name)
{
    qn_nearest near = qn_nearest_begin(name);
    for (size_t i = 0; i < s->field_count; i++)
        qn_nearest_offer(&near, s->fields[i].name);
    for (size_t i = 0; i < s->index_count; i++)
        qn_nearest_offer(&near, s->indexes[i].name);
    return near.best.p; /* names lie in the schema's arena and end in a zero */
}
