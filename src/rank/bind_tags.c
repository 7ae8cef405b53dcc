/* SPDX-License-Identifier: Apache-2.0 */
/* bind_tags.c -- category_score(field), and tag_match(query_key, field, kv_op, merge_op[, has_default[, doc_kv[, max]]])
 *
 * The request gives tags with weights, kvpairs=KEY:10=0.67:960=0.85:1 (1 where there is no
 * weight); the document a list of numbers: tag, weight, tag, weight ..., before them its
 * default score where has_default says so, or tags alone (weight 1) where doc_kv is false.
 * For every tag of both, kv_op makes one number of the two weights; merge_op makes one of
 * all. Nothing in common: the default score, else 0. */
#include "rank/bind_internal.h"

#include "base/slice.h"
#include "index/column.h"

#include <math.h>

enum { TAGS_DEFAULT = 50, TAGS_MAX = 5120 };

/* ORDER OPS */
typedef enum op {
    OP_MAX,
    OP_MIN,
    OP_SUM,
    OP_AVG,
    OP_MUL,
    OP_QUERY,
    OP_DOC,
    OP_CONSTANT,
    OP_FIRST,
} op;

static const struct {
    const char *name;
    bool pairs, merges; /* may be kv_op, merge_op */
} ops[] = {
    {"max", true, true},        {"min", true, true},  {"sum", true, true},
    {"avg", true, true},        {"mul", true, false}, {"query_value", true, false},
    {"doc_value", true, false}, {NULL, false, false}, {"first_match", false, true},
};

typedef struct tag {
    int64_t key;
    double weight;
} tag;

struct qn_slot_tags {
    tag *tags; /* of the request */
    size_t count, most;
    op pair, merge;
    double constant;
    bool has_default, doc_kv;
};

/* ---- arguments ------------------------------------------------------------------------ */

static qn_status read_op(const qn_expr_arg *arg, bool merges, op *out, qn_error *err)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (arg->kind > QN_EXPR_ARG_STRING || ops[i].name == NULL) continue;
        if (!(merges ? ops[i].merges : ops[i].pairs)) continue;
        if (!qn_slice_eq_str(arg->text, ops[i].name)) continue;
        *out = (op)i;
        return QN_OK;
    }
    return qn_fail_at(err, QN_EFUNCARGS, arg->at,
                      merges ? "merge_op is max, min, sum, avg or first_match"
                             : "kv_op is max, min, sum, avg, mul, query_value, "
                               "doc_value or a number");
}

static qn_status read_most(const qn_expr_arg *arg, size_t *out, qn_error *err)
{
    int64_t most = arg->kind == QN_EXPR_ARG_NUMBER && arg->is_int ? arg->i64 : 0;
    if (arg->kind == QN_EXPR_ARG_STRING) (void)qn_slice_to_i64(arg->text, &most);
    if (most < 1 || most > TAGS_MAX)
        return qn_fail_at(err, QN_EFUNCARGS, arg->at,
                          "the most tags of a document are a whole number from 1 to %d",
                          TAGS_MAX);
    *out = (size_t)most;
    return QN_OK;
}

static qn_status read_options(const qn_expr_arg *args, size_t n, struct qn_slot_tags *t,
                              qn_error *err)
{
    t->most = TAGS_DEFAULT;
    t->doc_kv = true;
    t->pair = OP_CONSTANT;
    t->constant = args[2].f64;
    bool quoted = args[2].kind == QN_EXPR_ARG_STRING &&
                  qn_slice_to_f64(args[2].text, &t->constant);
    if (args[2].kind != QN_EXPR_ARG_NUMBER && !quoted)
        QN_TRY(read_op(&args[2], false, &t->pair, err));
    QN_TRY(read_op(&args[3], true, &t->merge, err));
    if (n > 4) QN_TRY(qn_binding_flag(&args[4], &t->has_default, err));
    if (n > 5) QN_TRY(qn_binding_flag(&args[5], &t->doc_kv, err));
    return n > 6 ? read_most(&args[6], &t->most, err) : QN_OK;
}

/* "10=0.67", "10" */
static bool read_tag(qn_slice text, tag *out)
{
    const char *equals = memchr(text.p, '=', text.n);
    size_t n = equals == NULL ? text.n : (size_t)(equals - text.p);
    out->weight = 1;
    if (!qn_slice_to_i64(qn_slice_trim((qn_slice){text.p, n}), &out->key)) return false;
    return equals == NULL ||
           qn_slice_to_f64(qn_slice_trim((qn_slice){equals + 1, text.n - n - 1}),
                           &out->weight);
}

static qn_status read_tags(qn_binding *b, const qn_expr_arg *key,
                           struct qn_slot_tags *t, qn_error *err)
{
    qn_slice rest = {"", 0};
    (void)qn_binding_kvpair(b, key->text, &rest);
    t->tags = qn_arena_array(b->arena, rest.n / 2 + 1, sizeof *t->tags);
    if (t->tags == NULL) return qn_fail(err, QN_ENOMEM, "tags");
    while (rest.n > 0) {
        const char *colon = memchr(rest.p, ':', rest.n);
        size_t n = colon == NULL ? rest.n : (size_t)(colon - rest.p);
        qn_slice piece = qn_slice_trim((qn_slice){rest.p, n});
        size_t used = colon == NULL ? n : n + 1;
        rest = (qn_slice){rest.p + used, rest.n - used};
        if (piece.n == 0) continue;
        if (t->count == TAGS_MAX || !read_tag(piece, &t->tags[t->count++]))
            return qn_fail_at(err, QN_EINVAL, key->at,
                              "kvpairs: '%.*s' is no tag=weight of '%.*s' (at most %d)",
                              piece.n > 60 ? 60 : (int)piece.n, piece.p,
                              QN_SLICE_ARG(key->text), TAGS_MAX);
    }
    return QN_OK;
}

qn_status qn_slot_tags_make(qn_binding *b, qn_slot *slot, const qn_expr_arg *args,
                            size_t n, qn_error *err)
{
    slot->tags = qn_arena_new(b->arena, sizeof *slot->tags);
    if (slot->tags == NULL) return qn_fail(err, QN_ENOMEM, "tag_match");
    QN_TRY(qn_binding_attribute(b, &args[1], &slot->field, err));
    if (slot->field->type < QN_FIELD_INT8 || slot->field->type > QN_FIELD_DOUBLE)
        return qn_fail_at(err, QN_EFIELDTYPE, args[1].at,
                          "'%.*s' is an attribute of type %s; a list of numbers is "
                          "expected",
                          QN_SLICE_ARG(args[1].text),
                          qn_field_type_name(slot->field->type));
    QN_TRY(read_options(args, n, slot->tags, err));
    return read_tags(b, &args[0], slot->tags, err);
}

qn_status qn_slot_category_make(qn_binding *b, qn_slot *slot, const qn_expr_arg *args,
                                qn_error *err)
{
    struct qn_slot_tags *t = qn_arena_new(b->arena, sizeof *t);
    if (t == NULL) return qn_fail(err, QN_ENOMEM, "category_score");
    QN_TRY(qn_binding_attribute(b, &args[0], &slot->field, err));
    if (slot->field->type < QN_FIELD_INT8 || slot->field->type > QN_FIELD_INT64)
        return qn_fail_at(err, QN_EFIELDTYPE, args[0].at,
                          "'%.*s' is an attribute of type %s; categories are whole "
                          "numbers",
                          QN_SLICE_ARG(args[0].text),
                          qn_field_type_name(slot->field->type));
    *t = (struct qn_slot_tags){.most = TAGS_MAX, .pair = OP_QUERY, .merge = OP_MAX};
    t->tags = qn_arena_array(b->arena, b->in->category_count + 1, sizeof *t->tags);
    if (t->tags == NULL) return qn_fail(err, QN_ENOMEM, "category_score");
    for (size_t i = 0; i < b->in->category_count; i++)
        t->tags[t->count++] =
            (tag){b->in->categories[i].id, (double)b->in->categories[i].relevance};
    slot->tags = t;
    return QN_OK;
}

/* ---- values --------------------------------------------------------------------------- */

static double pair_value(const struct qn_slot_tags *t, double query, double doc)
{
    switch (t->pair) {
    case OP_MAX:
        return fmax(query, doc);
    case OP_MIN:
        return fmin(query, doc);
    case OP_SUM:
        return query + doc;
    case OP_AVG:
        return (query + doc) / 2;
    case OP_MUL:
        return query * doc;
    case OP_QUERY:
        return query;
    case OP_DOC:
        return doc;
    default:
        return t->constant;
    }
}

static double merged(op merge, double so_far, double value, size_t count)
{
    if (count == 0) return value;
    switch (merge) {
    case OP_MAX:
        return fmax(so_far, value);
    case OP_MIN:
        return fmin(so_far, value);
    case OP_FIRST:
        return so_far;
    default:
        return so_far + value;
    }
}

/* The weight that the request gives a tag; false: it has not that tag. */
static bool find_tag(const struct qn_slot_tags *t, int64_t key, double *weight)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->tags[i].key != key) continue;
        *weight = t->tags[i].weight;
        return true;
    }
    return false;
}

static double match_document(const struct qn_slot_tags *t, const qn_column *c,
                             uint32_t doc)
{
    uint64_t at = 0, limit = 0;
    double total = 0, fallback = 0, query = 0;
    size_t count = 0;
    if (!qn_column_has(c, doc)) return 0;
    qn_column_range(c, doc, &at, &limit);
    if (t->has_default && at < limit) fallback = qn_column_value_f64(c, at++);
    uint64_t step = t->doc_kv ? 2 : 1;
    for (size_t seen = 0; at + step <= limit && seen < t->most; at += step, seen++) {
        double key = qn_column_value_f64(c, at);
        double weight = t->doc_kv ? qn_column_value_f64(c, at + 1) : 1;
        bool whole = key > -0x1p62 && key < 0x1p62;
        if (!whole || !find_tag(t, (int64_t)key, &query)) continue;
        total = merged(t->merge, total, pair_value(t, query, weight), count++);
    }
    if (count == 0) return fallback;
    return t->merge == OP_AVG ? total / (double)count : total;
}

qn_status qn_slot_tags_values(qn_binding *b, const qn_slot *slot, const uint32_t *docs,
                              size_t n, double *out, qn_error *err)
{
    qn_column column;
    bool there = false;
    QN_TRY(qn_binding_column(b, slot->field, &column, &there, err));
    for (size_t i = 0; i < n; i++)
        out[i] = there ? match_document(slot->tags, &column, docs[i]) : 0;
    return QN_OK;
}
