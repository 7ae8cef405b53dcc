/* SPDX-License-Identifier: Apache-2.0 */
/* bind_names.c -- names become columns, virtual attributes and the alias `score`. */
#include "rank/bind_internal.h"

#include "index/segment.h"

#include <math.h>

enum { NESTING_MAX = 8 };

qn_status qn_binding_init(qn_binding *b, const qn_rank_input *in, qn_arena *arena,
                          qn_error *err)
{
    *b = (qn_binding){.in = in, .arena = arena};
    for (size_t p = 0; p < in->path_count; p++)
        QN_TRY(qn_match_words_collect(in->paths[p].query, arena, &b->words, err));
    return QN_OK;
}

void qn_binding_deinit(qn_binding *b)
{
    for (size_t i = 0; i < b->slots.n; i++)
        if (b->slots.p[i].nested != NULL) qn_rank_key_close(b->slots.p[i].nested);
    qn_vec_deinit(qn_alloc_heap(), &b->slots);
}

bool qn_slot_is_recall(const qn_slot *slot)
{
    switch (slot->kind) {
    case QN_SLOT_NESTED:
        return qn_rank_key_asks_recall(slot->nested);
    case QN_SLOT_BM25:
    case QN_SLOT_BM25_PLAIN:
        return qn_slot_bm25_is_text_score(slot);
    case QN_SLOT_RRF:
    case QN_SLOT_LINEAR:
    case QN_SLOT_TEXT_SCORE:
    case QN_SLOT_TEXT_Z:
    case QN_SLOT_RECALL_SCORE:
        return true;
    default:
        return false;
    }
}

qn_status qn_binding_add(qn_binding *b, const qn_slot *slot, qn_expr_symbol *out,
                         qn_error *err)
{
    *out = (qn_expr_symbol){
        .type = slot->type, .multi = slot->multi, .slot = (uint32_t)b->slots.n};
    if (!qn_vec_push(qn_alloc_heap(), &b->slots, *slot)) {
        b->no_memory = true;
        return qn_fail(err, QN_ENOMEM, "inputs of a formula");
    }
    b->asks_recall = b->asks_recall || qn_slot_is_recall(slot);
    b->slots.p[b->slots.n - 1].walk_segment = SIZE_MAX;
    b->slots.p[b->slots.n - 1].column_segment = SIZE_MAX;
    return QN_OK;
}

/* An integer column under the type it was declared with: UINT8 is kept in an INT16 column
 * with the range of a UINT8. */
static qn_expr_type integer_type(const qn_field *f)
{
    static const struct {
        int64_t max;
        qn_expr_type type;
    } unsigned_types[] = {{UINT8_MAX, QN_EXPR_UINT8},
                          {UINT16_MAX, QN_EXPR_UINT16},
                          {UINT32_MAX, QN_EXPR_UINT32}};
    for (size_t i = 0; f->int_min == 0 && i < 3; i++)
        if (f->int_max == unsigned_types[i].max) return unsigned_types[i].type;
    switch (f->type) {
    case QN_FIELD_INT8:
        return QN_EXPR_INT8;
    case QN_FIELD_INT16:
        return QN_EXPR_INT16;
    case QN_FIELD_INT32:
        return QN_EXPR_INT32;
    default:
        return QN_EXPR_INT64;
    }
}

static bool column_type(const qn_field *f, qn_expr_type *type)
{
    switch (f->type) {
    case QN_FIELD_BOOL:
        *type = QN_EXPR_BOOL;
        return true;
    case QN_FIELD_FLOAT:
        *type = QN_EXPR_FLOAT;
        return true;
    case QN_FIELD_DOUBLE:
        *type = QN_EXPR_DOUBLE;
        return true;
    case QN_FIELD_KEYWORD:
        *type = QN_EXPR_STRING;
        return true;
    case QN_FIELD_TEXT:
    case QN_FIELD_VECTOR:
    case QN_FIELD_GEO:
        return false;
    default:
        *type = integer_type(f);
        return true;
    }
}

static bool resolve_virtual(qn_binding *b, qn_slice name, qn_expr_symbol *out)
{
    const qn_rank_input *in = b->in;
    for (size_t i = in->virtual_attribute_count; i-- > 0;) {
        if (!qn_slice_eq(in->virtual_attributes[i].key, name)) continue;
        if (b->nesting >= NESTING_MAX) return false;
        qn_slot slot = {.kind = QN_SLOT_NESTED, .type = QN_EXPR_DOUBLE};
        /* Only those before it may be used by it: no cycles. */
        qn_rank_input *before = qn_arena_new(b->arena, sizeof *before);
        if (before == NULL) {
            b->no_memory = true;
            return false;
        }
        *before = *in;
        before->virtual_attribute_count = i;
        qn_error inner = {.at = QN_AT_NONE};
        qn_status st = qn_rank_key_open(
            before, b->arena, in->virtual_attributes[i].value, &slot.nested, &inner);
        if (st == QN_ENOMEM) b->no_memory = true;
        if (st != QN_OK) {
            (void)qn_fail(&b->failure, st, "virtual attribute '%.*s': %.300s",
                          QN_SLICE_ARG(name), inner.text);
            return false;
        }
        slot.type = qn_rank_key_type(slot.nested);
        bool bound = qn_binding_add(b, &slot, out, NULL) == QN_OK;
        out->costly = true;
        return bound;
    }
    return false;
}

static bool resolve_name(void *ctx, qn_slice name, qn_expr_symbol *out)
{
    qn_binding *b = ctx;
    const qn_field *field = qn_schema_field(b->in->snapshot->schema, name);
    qn_slot slot = {.kind = QN_SLOT_COLUMN, .field = field};
    if (field != NULL && field->column && column_type(field, &slot.type)) {
        slot.multi = field->multi;
        return qn_binding_add(b, &slot, out, NULL) == QN_OK;
    }
    if (resolve_virtual(b, name, out)) return true;
    if (!qn_slice_eq_str(name, "score") || b->in->path_count == 0) return false;
    slot = (qn_slot){.kind = QN_SLOT_FIRST_PHASE, .type = QN_EXPR_FLOAT};
    return qn_binding_add(b, &slot, out, NULL) == QN_OK;
}

static bool list_name(void *ctx, size_t i, qn_slice *name)
{
    qn_binding *b = ctx;
    const qn_schema *schema = b->in->snapshot->schema;
    for (size_t f = 0; f < schema->field_count; f++) {
        qn_expr_type type;
        if (!schema->fields[f].column || !column_type(&schema->fields[f], &type))
            continue;
        if (i-- > 0) continue;
        *name = schema->fields[f].name;
        return true;
    }
    if (i >= b->in->virtual_attribute_count) return false;
    *name = b->in->virtual_attributes[i].key;
    return true;
}

qn_expr_env qn_binding_env(qn_binding *b, unsigned where)
{
    return (qn_expr_env){.ctx = b,
                         .where = where,
                         .resolve_name = resolve_name,
                         .list_name = list_name,
                         .resolve_call = qn_binding_call};
}

/* ---- arguments of features ----------------------------------------------------------------- */

bool qn_binding_kvpair(const qn_binding *b, qn_slice key, qn_slice *value)
{
    for (size_t i = b->in->kvpair_count; i-- > 0;) {
        if (!qn_slice_eq(b->in->kvpairs[i].key, key)) continue;
        *value = b->in->kvpairs[i].value;
        return true;
    }
    return false;
}

qn_status qn_binding_flag(const qn_expr_arg *arg, bool *out, qn_error *err)
{
    bool text = arg->kind == QN_EXPR_ARG_NAME || arg->kind == QN_EXPR_ARG_STRING;
    bool yes = text && qn_slice_eq_nocase(arg->text, "true");
    if (arg->kind != QN_EXPR_ARG_BOOL && !yes &&
        !(text && qn_slice_eq_nocase(arg->text, "false")))
        return qn_fail_at(err, QN_EFUNCARGS, arg->at, "true or false is expected here");
    *out = arg->kind == QN_EXPR_ARG_BOOL ? arg->flag : yes;
    return QN_OK;
}

qn_status qn_binding_attribute(const qn_binding *b, const qn_expr_arg *arg,
                               const qn_field **out, qn_error *err)
{
    const qn_schema *schema = b->in->snapshot->schema;
    bool text = arg->kind == QN_EXPR_ARG_NAME || arg->kind == QN_EXPR_ARG_STRING;
    *out = text ? qn_schema_field(schema, arg->text) : NULL;
    if (*out != NULL && (*out)->column) return QN_OK;
    if (!text)
        return qn_fail_at(err, QN_EFUNCARGS, arg->at,
                          "the name of an attribute is expected here");
    if (*out != NULL)
        return qn_fail_at(err, QN_ENOATTR, arg->at,
                          "'%.*s' is no attribute: it has no column",
                          QN_SLICE_ARG(arg->text));
    const char *near = qn_schema_nearest(schema, arg->text);
    return qn_fail_at(err, QN_ENOATTR, arg->at, "no attribute '%.*s'%s%s%s",
                      QN_SLICE_ARG(arg->text), near == NULL ? "" : "; did you mean '",
                      near == NULL ? "" : near, near == NULL ? "" : "'?");
}

/* ---- loading ------------------------------------------------------------------------------- */

qn_status qn_binding_column(const qn_binding *b, const qn_field *field, qn_column *out,
                            bool *there, qn_error *err)
{
    qn_error inner = {0};
    qn_status st = qn_segment_column(b->in->snapshot->segments[b->segment].segment,
                                     field->id, out, &inner);
    *there = st == QN_OK;
    if (st == QN_OK || st == QN_ENOTFOUND) return QN_OK;
    if (err != NULL) *err = inner;
    return st;
}

static void load_missing(size_t n, qn_expr_values *out)
{
    for (size_t i = 0; i < n; i++) {
        if (out->i64 != NULL) out->i64[i] = 0;
        if (out->f64 != NULL) out->f64[i] = 0;
        if (out->str != NULL) out->str[i] = (qn_slice){"", 0};
        if (out->lists != NULL) out->lists[i] = (qn_expr_list){NULL, 0};
    }
}

/* Room for the lists of one run of documents: 8 or 16 bytes a value. */
static qn_status list_room(qn_binding *b, qn_slot *slot, size_t count, size_t size,
                           qn_error *err)
{
    if (count <= slot->item_capacity) return QN_OK;
    slot->items = qn_arena_array(b->arena, 2 * count, size);
    if (slot->items == NULL)
        return qn_fail(err, QN_ENOMEM, "values of a multi-value field");
    slot->item_capacity = 2 * count;
    return QN_OK;
}

static qn_status load_lists(qn_binding *b, qn_slot *slot, const qn_column *c,
                            const uint32_t *docs, size_t n, qn_expr_list *out,
                            qn_error *err)
{
    bool text = c->type == QN_FIELD_KEYWORD;
    bool real = c->type == QN_FIELD_FLOAT || c->type == QN_FIELD_DOUBLE;
    uint64_t begin = 0, limit = 0;
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        qn_column_range(c, docs[i], &begin, &limit);
        out[i].n = (size_t)(limit - begin);
        total += out[i].n;
    }
    QN_TRY(list_room(b, slot, total + 1, text ? sizeof(qn_slice) : 8, err));
    for (size_t i = 0; i < n; at += out[i++].n) {
        qn_column_range(c, docs[i], &begin, &limit);
        for (size_t k = 0; k < out[i].n; k++) {
            if (text)
                ((qn_slice *)slot->items)[at + k] =
                    qn_column_bytes(c, qn_column_value_ord(c, begin + k));
            else if (real)
                ((double *)slot->items)[at + k] = qn_column_value_f64(c, begin + k);
            else
                ((int64_t *)slot->items)[at + k] = qn_column_value_i64(c, begin + k);
        }
        out[i].items = (const char *)slot->items + at * (text ? sizeof(qn_slice) : 8);
    }
    return QN_OK;
}

static void load_strings(const qn_column *c, const uint32_t *docs, size_t n,
                         qn_slice *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t ord = QN_ORD_NONE;
        qn_column_get_ord(c, docs + i, 1, &ord);
        out[i] = ord == QN_ORD_NONE ? (qn_slice){"", 0} : qn_column_bytes(c, ord);
    }
}

/* A column is looked up once a segment, not once a batch. */
static qn_status open_column(qn_binding *b, qn_slot *slot, qn_error *err)
{
    bool there = false;
    if (slot->column_segment == b->segment) return QN_OK;
    QN_TRY(qn_binding_column(b, slot->field, &slot->column, &there, err));
    slot->absent = !there;
    slot->column_segment = b->segment;
    return QN_OK;
}

static qn_status load_column(qn_binding *b, qn_slot *slot, const uint32_t *docs,
                             size_t n, qn_expr_values *out, qn_error *err)
{
    QN_TRY(open_column(b, slot, err));
    const qn_column *column = &slot->column;
    if (slot->absent) {
        load_missing(n, out);
        return QN_OK;
    }
    if (out->lists != NULL)
        return load_lists(b, slot, column, docs, n, out->lists, err);
    if (out->str != NULL)
        load_strings(column, docs, n, out->str);
    else if (out->i64 != NULL)
        qn_column_get_i64(column, docs, n, out->i64, NULL);
    else
        qn_column_get_f64(column, docs, n, out->f64, NULL);
    return QN_OK;
}

static qn_status load_nested(qn_binding *b, const qn_slot *slot, const uint32_t *docs,
                             size_t n, qn_expr_values *out, qn_error *err)
{
    qn_sort_value values[QN_EXPR_LANES];
    qn_assert(n <= QN_EXPR_LANES);
    QN_TRY(qn_rank_key_run(slot->nested, b->segment, docs, n, values, err));
    for (size_t i = 0; i < n; i++) {
        if (out->f64 != NULL) out->f64[i] = values[i].f64;
        if (out->i64 != NULL) out->i64[i] = values[i].i64;
        if (out->str != NULL) out->str[i] = values[i].text;
    }
    return QN_OK;
}

qn_status qn_binding_load(void *ctx, uint32_t number, const uint32_t *docs, size_t n,
                          qn_expr_values *out, qn_error *err)
{
    qn_binding *b = ctx;
    qn_slot *slot = &b->slots.p[number];
    double values[QN_EXPR_LANES];
    if (slot->kind == QN_SLOT_COLUMN) return load_column(b, slot, docs, n, out, err);
    if (slot->kind == QN_SLOT_NESTED) return load_nested(b, slot, docs, n, out, err);
    if (slot->kind == QN_SLOT_TO_STRING || slot->kind == QN_SLOT_STRING_REPLACE)
        return qn_slot_text_values(b, slot, docs, n, out->str, err);
    if (slot->kind == QN_SLOT_LIST) {
        for (size_t i = 0; i < n; i++) out->lists[i] = slot->list;
        return QN_OK;
    }
    qn_assert(n <= QN_EXPR_LANES);
    QN_TRY(qn_binding_feature(b, slot, docs, n, values, err));
    for (size_t i = 0; i < n; i++) {
        if (out->i64 != NULL)
            out->i64[i] = (int64_t)values[i];
        else
            out->f64[i] = values[i];
    }
    return QN_OK;
}
