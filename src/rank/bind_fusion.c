/* SPDX-License-Identifier: Apache-2.0 */
/* bind_fusion.c -- rrf(path[, weight]...[, k, constant]) and linear(path[, weight]...).
 *
 * A path is `text` (the words of the query), `vector` (its first vector index) or the name
 * of a vector index that the query asks. Both look at all recalled documents that the path
 * found, at each path for itself:
 *
 *   rrf     sum of weight / (k + place), places from 1 by descending score, k = 60
 *   linear  sum of weight x (score - least) / (most - least); 1 where all are equal
 *
 * A path that did not find the document adds nothing. Scores are text_score() and
 * nearness in the sense of vector_score(). Equal scores keep document order. */
#include "rank/bind_internal.h"
#include "rank/rank_internal.h"

#include <math.h>

enum { PATHS_MAX = 8 };

typedef struct fused_path {
    const qn_field *field; /* of the vector index; NULL: text */
    double weight;
} fused_path;

struct qn_slot_fusion {
    fused_path paths[PATHS_MAX];
    size_t path_count;
    double k;
    float *values; /* by place in the pool; NULL: not computed yet */
};

/* ---- arguments ------------------------------------------------------------------------ */

/* Whether a vector leaf of the query asks the field; NULL: the first of them. */
static const qn_field *asked_field(const qn_binding *b, const qn_field *field)
{
    for (size_t p = 0; p < b->in->path_count; p++) {
        const qn_exec_result *found = b->in->paths[p].found;
        for (size_t v = 0; v < found->vector_count; v++) {
            const qn_field *asked = found->vectors[v].leaf->fields[0].field;
            if (field == NULL || asked->id == field->id) return asked;
        }
    }
    return NULL;
}

static qn_status read_path(qn_binding *b, const qn_expr_arg *arg, fused_path *out,
                           bool *there, qn_error *err)
{
    bool name = arg->kind == QN_EXPR_ARG_NAME || arg->kind == QN_EXPR_ARG_STRING;
    *there = true;
    *out = (fused_path){.weight = 1};
    if (name && qn_slice_eq_str(arg->text, "text")) return QN_OK;
    const qn_index_def *index = NULL;
    const qn_schema *schema = b->in->snapshot->schema;
    bool any = name && qn_slice_eq_str(arg->text, "vector");
    if (name) index = qn_schema_index(schema, arg->text);
    if (index != NULL && index->kind == QN_INDEX_VECTOR)
        out->field = qn_schema_field_by_id(schema, index->fields[0]);
    else if (!any)
        return qn_fail_at(err, QN_EFUNCARGS, arg->at,
                          "a path of recall is expected here: text, vector or the name "
                          "of a vector index");
    out->field = asked_field(b, out->field);
    *there = out->field != NULL; /* not asked: it found nothing */
    return QN_OK;
}

qn_status qn_slot_fusion_make(qn_binding *b, qn_slot *slot, const qn_expr_arg *args,
                              size_t n, qn_error *err)
{
    struct qn_slot_fusion *f = qn_arena_new(b->arena, sizeof *f);
    if (f == NULL) return qn_fail(err, QN_ENOMEM, "inputs of a formula");
    *f = (struct qn_slot_fusion){.k = QN_RANK_RRF_CONSTANT};
    slot->fusion = f;
    for (size_t i = 0; i < n; i++) {
        bool number = i + 1 < n && args[i + 1].kind == QN_EXPR_ARG_NUMBER;
        bool is_k = slot->kind == QN_SLOT_RRF && args[i].kind == QN_EXPR_ARG_NAME &&
                    qn_slice_eq_str(args[i].text, "k") && number;
        if (is_k) {
            f->k = args[++i].f64;
            if (!(f->k >= 0))
                return qn_fail_at(err, QN_EFUNCARGS, args[i].at, "k is 0 or more");
            continue;
        }
        bool there = false;
        if (f->path_count == PATHS_MAX)
            return qn_fail_at(err, QN_ELIMIT, args[i].at, "at most %d paths",
                              PATHS_MAX);
        QN_TRY(read_path(b, &args[i], &f->paths[f->path_count], &there, err));
        if (number) f->paths[f->path_count].weight = args[++i].f64;
        f->path_count += there;
    }
    return QN_OK;
}

/* ---- values --------------------------------------------------------------------------- */

static uint64_t pool_key(const qn_rank_pool *pool, size_t i)
{
    return (uint64_t)pool->segments[i] << 32 | pool->docs[i];
}

/* The path's score of every document of the pool; NaN: not found by it. */
static void path_scores(const qn_binding *b, const qn_rank_pool *pool,
                        const fused_path *path, float *out)
{
    for (size_t i = 0; i < pool->n; i++)
        out[i] = path->field == NULL ? pool->text[i] : NAN;
    for (size_t p = 0; path->field != NULL && p < b->in->path_count; p++) {
        const qn_exec_result *found = b->in->paths[p].found;
        for (size_t v = 0; v < found->vector_count; v++) {
            const qn_vector_hits *hits = &found->vectors[v];
            if (hits->leaf->fields[0].field->id != path->field->id) continue;
            for (size_t h = 0, i = 0; h < hits->count; h++) {
                uint64_t key =
                    (uint64_t)hits->hits[h].segment << 32 | hits->hits[h].doc;
                while (i < pool->n && pool_key(pool, i) < key) i++;
                if (i == pool->n) break;
                if (pool_key(pool, i) != key) continue;
                out[i] =
                    fmaxf(out[i], qn_vector_score(path->field, hits->hits[h].metric));
            }
        }
    }
}

static qn_status add_ranks(qn_binding *b, const struct qn_slot_fusion *f,
                           const fused_path *path, const float *scores, size_t n,
                           qn_error *err)
{
    uint64_t *pairs = qn_arena_raw(b->arena, 2 * n + 1, sizeof *pairs);
    size_t count = 0;
    if (pairs == NULL) return qn_fail(err, QN_ENOMEM, "rrf()");
    for (size_t i = 0; i < n; i++)
        if (!isnan(scores[i]))
            pairs[count++] = (uint64_t)qn_rank__descending_key(scores[i]) << 32 | i;
    qn_rank__sort_pairs(pairs, pairs + n, count);
    for (size_t place = 0; place < count; place++)
        f->values[(uint32_t)pairs[place]] +=
            (float)(path->weight / (f->k + (double)place + 1));
    return QN_OK;
}

static void add_scaled(const struct qn_slot_fusion *f, const fused_path *path,
                       const float *scores, size_t n)
{
    float least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        least = fminf(least, scores[i]);
        most = fmaxf(most, scores[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (isnan(scores[i])) continue;
        float scaled = most > least ? (scores[i] - least) / (most - least) : 1;
        f->values[i] += (float)path->weight * scaled;
    }
}

static qn_status fill(qn_binding *b, const qn_slot *slot, const qn_rank_pool *pool,
                      qn_error *err)
{
    struct qn_slot_fusion *f = slot->fusion;
    float *scores = qn_arena_raw(b->arena, pool->n + 1, sizeof *scores);
    f->values = qn_arena_array(b->arena, pool->n + 1, sizeof *f->values);
    if (scores == NULL || f->values == NULL)
        return qn_fail(err, QN_ENOMEM, "fusion of %zu documents", pool->n);
    for (size_t p = 0; p < f->path_count; p++) {
        path_scores(b, pool, &f->paths[p], scores);
        if (slot->kind == QN_SLOT_RRF)
            QN_TRY(add_ranks(b, f, &f->paths[p], scores, pool->n, err));
        else
            add_scaled(f, &f->paths[p], scores, pool->n);
    }
    return QN_OK;
}

static size_t find_in_pool(const qn_rank_pool *pool, uint64_t key)
{
    size_t low = 0, high = pool->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pool_key(pool, middle) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

qn_status qn_slot_fusion_values(qn_binding *b, const qn_slot *slot,
                                const uint32_t *docs, size_t n, double *out,
                                qn_error *err)
{
    const qn_rank_pool *pool = b->facts == NULL ? NULL : b->facts->pool;
    if (pool != NULL && slot->fusion->values == NULL) QN_TRY(fill(b, slot, pool, err));
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t key = (uint64_t)b->segment << 32 | docs[i];
        out[i] = 0;
        if (pool == NULL) continue;
        /* In the rough sort the documents of a run stand side by side in the pool. */
        if (i > 0 && at + 1 < pool->n && pool_key(pool, at + 1) == key)
            at++;
        else
            at = find_in_pool(pool, key);
        if (at < pool->n && pool_key(pool, at) == key)
            out[i] = (double)slot->fusion->values[at];
    }
    return QN_OK;
}
