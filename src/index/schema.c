/* SPDX-License-Identifier: Apache-2.0 */
#include "index/schema.h"

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
    }
    return "unknown";
}

enum { NAME_MAX_BYTES = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance by bytes, one row at a time. */
static size_t distance(qn_slice a, qn_slice b)
{
    size_t row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= b.n; j++) row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t above = row[j];
            size_t change = a.p[i - 1] == b.p[j - 1] ? diagonal : diagonal + 1;
            row[j] = min3(above + 1, row[j - 1] + 1, change);
            diagonal = above;
        }
    }
    return row[b.n];
}

typedef struct nearest {
    qn_slice wanted;
    size_t distance;
    const char *name;
} nearest;

/* Names of a schema lie in its arena, where every slice ends in a zero. */
static void consider(nearest *best, qn_slice name)
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES) return;
    size_t d = distance(best->wanted, name);
    if (d >= best->distance) return;
    best->distance = d;
    best->name = name.p;
}

const char *qn_schema_nearest(const qn_schema *s, qn_slice name)
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES) return NULL;
    /* A third of the letters may be wrong, at least one: "titel" is near "title",
     * "a" is near nothing but other single letters. */
    nearest best = {.wanted = name, .distance = name.n / 3 + 2};
    for (size_t i = 0; i < s->field_count; i++) consider(&best, s->fields[i].name);
    for (size_t i = 0; i < s->index_count; i++) consider(&best, s->indexes[i].name);
    return best.name;
}
