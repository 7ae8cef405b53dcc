/* SPDX-License-Identifier: Apache-2.0 */
/* Merging one field's column: the values of live documents in the new order, handed to
 * the column's writer as the builder would hand them. */
#include "index/merge_internal.h"

typedef struct column_merge {
    const merge *m;
    merge_field *f;
    qn_column *columns; /* by input; those without one have no values */
    uint32_t *docs;
    uint64_t *values;
    size_t count, capacity;
    qn_slice *dict; /* keywords */
    uint32_t dict_count;
} column_merge;

static void deinit(column_merge *c)
{
    qn_delete(c->m->alloc, c->columns);
    qn_delete(c->m->alloc, c->docs);
    qn_delete(c->m->alloc, c->values);
    qn_delete(c->m->alloc, c->dict);
}

static bool has_column(const column_merge *c, size_t i)
{
    return c->f->of[i] != NULL && c->f->of[i]->has_column;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "a column of a merge");
}

static qn_status open_columns(column_merge *c, qn_error *err)
{
    const merge *m = c->m;
    for (size_t i = 0; i < m->count; i++) {
        if (!has_column(c, i)) continue;
        QN_TRY(qn_segment_column(m->in[i].segment, c->f->pub.id, &c->columns[i], err));
        if (c->columns[i].type != c->f->pub.type)
            return qn_fail(err, QN_EINVAL, "field %u has two types", c->f->pub.id);
        c->capacity += (size_t)c->columns[i].value_count; /* some may be deleted */
    }
    c->docs = qn_new_array(m->alloc, c->capacity, sizeof *c->docs);
    c->values = qn_new_array(m->alloc, c->capacity, sizeof *c->values);
    return c->docs == NULL || c->values == NULL ? no_memory(err) : QN_OK;
}

/* Keyword columns give ordinals of their own dictionary. */
static qn_status take_values(column_merge *c, size_t i, qn_error *err)
{
    const qn_column *column = &c->columns[i];
    const qn_doc_map *map = c->m->in[i].map;
    for (uint32_t doc = 0; doc < map->doc_count; doc++) {
        if (doc % 4096 == 0) QN_TRY(qn_merge__check(c->m, err));
        uint32_t to = qn_doc_map_get(map, doc);
        if (to == QN_DOC_END) continue;
        uint64_t begin = 0, limit = 0;
        qn_column_range(column, doc, &begin, &limit);
        for (uint64_t place = begin; place < limit; place++) {
            qn_assert(c->count < c->capacity);
            c->docs[c->count] = to;
            c->values[c->count++] = qn_column_value_bits(column, place);
        }
    }
    return QN_OK;
}

/* ---- keywords ---------------------------------------------------------------------- */

/* Which ordinals of an input live documents use, and what becomes of them. */
typedef struct ord_map {
    uint32_t *to;  /* new ordinal + 1 where used; 0: nobody has it any more */
    uint32_t next; /* in the walk over all dictionaries */
} ord_map;

static void skip_unused(const column_merge *c, ord_map *maps, size_t i)
{
    while (maps[i].next < c->columns[i].dict_count && maps[i].to[maps[i].next] == 0)
        maps[i].next++;
}

/* The least keyword that some map stands at; false: all are through. A line of inputs
 * is short, so it is searched from end to end. */
static bool least_keyword(const column_merge *c, const ord_map *maps, qn_slice *least)
{
    bool any = false;
    for (size_t i = 0; i < c->m->count; i++) {
        if (maps[i].next >= c->columns[i].dict_count) continue;
        qn_slice s = qn_column_bytes(&c->columns[i], maps[i].next);
        if (!any || qn_slice_compare(s, *least) < 0) *least = s;
        any = true;
    }
    return any;
}

static void merge_dicts(column_merge *c, ord_map *maps)
{
    for (size_t i = 0; i < c->m->count; i++) skip_unused(c, maps, i);
    qn_slice least = {0};
    while (least_keyword(c, maps, &least)) {
        for (size_t i = 0; i < c->m->count; i++) {
            if (maps[i].next >= c->columns[i].dict_count ||
                !qn_slice_eq(qn_column_bytes(&c->columns[i], maps[i].next), least))
                continue;
            maps[i].to[maps[i].next++] = c->dict_count + 1;
            skip_unused(c, maps, i);
        }
        c->dict[c->dict_count++] = least;
    }
}

/* `ends[i]`: how many values there were after input i. */
static qn_status renumber(column_merge *c, ord_map *maps, const size_t *ends,
                          qn_error *err)
{
    size_t distinct = 0;
    for (size_t i = 0, v = 0; i < c->m->count; i++) {
        uint32_t n = c->columns[i].dict_count;
        maps[i].to = qn_new_array(c->m->alloc, n, sizeof *maps[i].to);
        if (maps[i].to == NULL) return no_memory(err);
        for (; v < ends[i]; v++) {
            distinct += maps[i].to[c->values[v]] == 0;
            maps[i].to[c->values[v]] = 1;
        }
    }
    c->dict = qn_new_array(c->m->alloc, distinct, sizeof *c->dict);
    if (c->dict == NULL) return no_memory(err);
    merge_dicts(c, maps);
    for (size_t i = 0, v = 0; i < c->m->count; i++)
        for (; v < ends[i]; v++) c->values[v] = maps[i].to[c->values[v]] - 1;
    return QN_OK;
}

static qn_status renumber_keywords(column_merge *c, const size_t *ends, qn_error *err)
{
    ord_map *maps = qn_new_array(c->m->alloc, c->m->count, sizeof *maps);
    if (maps == NULL) return no_memory(err);
    qn_status st = renumber(c, maps, ends, err);
    for (size_t i = 0; i < c->m->count; i++) qn_delete(c->m->alloc, maps[i].to);
    qn_delete(c->m->alloc, maps);
    return st;
}

/* ---- the column -------------------------------------------------------------------- */

static qn_status merge_column(column_merge *c, size_t *ends, qn_error *err)
{
    const merge *m = c->m;
    QN_TRY(open_columns(c, err));
    for (size_t i = 0; i < m->count; i++) {
        if (has_column(c, i)) QN_TRY(take_values(c, i, err));
        ends[i] = c->count;
    }
    if (c->count == 0) return QN_OK; /* no live document has a value */
    if (c->f->pub.type == QN_FIELD_KEYWORD) QN_TRY(renumber_keywords(c, ends, err));
    column_values values = {
        .type = c->f->pub.type,
        .doc_count = m->doc_count,
        .count = c->count,
        .docs = c->docs,
        .values = c->values,
        .dict = c->dict,
        .dict_count = c->dict_count,
    };
    c->f->pub.has_column = true;
    return qn_column__write(&values, c->f->pub.id, m->alloc, m->out, err);
}

qn_status qn_merge__column(const merge *m, merge_field *f, qn_error *err)
{
    column_merge c = {.m = m, .f = f};
    bool any = false;
    for (size_t i = 0; i < m->count; i++) any |= has_column(&c, i);
    if (!any || m->doc_count == 0) return QN_OK;
    c.columns = qn_new_array(m->alloc, m->count, sizeof *c.columns);
    size_t *ends = qn_new_array(m->alloc, m->count, sizeof *ends);
    qn_status st = c.columns == NULL || ends == NULL ? no_memory(err)
                                                     : merge_column(&c, ends, err);
    qn_delete(m->alloc, ends);
    deinit(&c);
    return st;
}
