/* SPDX-License-Identifier: Apache-2.0 */
#include "query/plan.h"

#include "base/vec.h"

#include <pthread.h>

typedef struct qn_planner_held {
    pthread_mutex_t lock;
    QN_VEC(qn_filter_bits) bits;
} qn_planner_held;

static qn_status no_memory(qn_planner *p)
{
    return qn_fail(p->err, QN_ENOMEM, "query plan");
}

qn_status qn_planner_init(qn_planner *p, const qn_snapshot_view *snapshot,
                          const qn_exec_options *options, qn_arena *arena,
                          qn_error *err)
{
    *p = (qn_planner){.snapshot = snapshot,
                      .options = options,
                      .arena = arena,
                      .err = err,
                      .scale =
                          options->score_scale == 0.0f ? 1.0f : options->score_scale};
    p->stats =
        qn_arena_array(arena, snapshot->schema->field_count + 1, sizeof *p->stats);
    if (p->stats == NULL) return no_memory(p);
    qn_planner_held *held = qn_arena_new(arena, sizeof *held);
    if (held == NULL) return no_memory(p);
    (void)pthread_mutex_init(&held->lock, NULL);
    p->held = held;
    return QN_OK;
}

void qn_planner_deinit(qn_planner *p)
{
    if (p->held == NULL) return;
    for (size_t i = 0; i < p->held->bits.n; i++)
        qn_filter_bits_release(&p->held->bits.p[i]);
    qn_vec_deinit(p->arena->alloc, &p->held->bits);
    (void)pthread_mutex_destroy(&p->held->lock);
    p->held = NULL;
}

bool qn_planner_hold(const qn_planner *p, qn_filter_bits bits)
{
    (void)pthread_mutex_lock(&p->held->lock);
    bool good = qn_vec_push(p->arena->alloc, &p->held->bits, bits);
    (void)pthread_mutex_unlock(&p->held->lock);
    return good;
}

/* ---- weights of leaves ------------------------------------------------------------ */

static qn_status field_stats(qn_planner *p, const qn_field *field,
                             const qn_bm25_field **out)
{
    size_t place = (size_t)(field - p->snapshot->schema->fields);
    bool known = place < p->snapshot->schema->field_count;
    if (known && p->stats[place] != NULL) {
        *out = p->stats[place];
        return QN_OK;
    }
    qn_bm25_field *stats = qn_arena_raw(p->arena, 1, sizeof *stats);
    if (stats == NULL) return no_memory(p);
    qn_field_totals totals = qn_snapshot_field_totals(p->snapshot, field->id);
    const qn_exec_options *o = p->options;
    bool own = o != NULL && o->bm25_k1 > 0;
    qn_bm25_field_init(stats, own ? o->bm25_k1 : QN_BM25_K1,
                       own ? o->bm25_b : QN_BM25_B, totals.token_count,
                       totals.doc_count);
    if (known) p->stats[place] = stats;
    *out = stats;
    return QN_OK;
}

/* Looks the leaf's terms up in every segment, once. */
static qn_status find_terms(qn_planner *p, const qn_query *q, qn_plan_field *f)
{
    const qn_snapshot_view *s = p->snapshot;
    uint64_t *dfs = qn_arena_array(p->arena, q->term_count + 1, sizeof *dfs);
    qn_term *found =
        qn_arena_array(p->arena, s->segment_count * q->term_count + 1, sizeof *found);
    if (dfs == NULL || found == NULL) return no_memory(p);
    f->doc_freqs = dfs;
    f->found = found;
    for (size_t i = 0; i < s->segment_count; i++)
        for (size_t t = 0; t < q->term_count; t++, found++) {
            QN_TRY(qn_segment_term(s->segments[i].segment, f->field->id,
                                   q->terms[t].bytes, found, p->err));
            dfs[t] += found->doc_freq;
        }
    for (size_t t = 0; t < q->term_count; t++)
        if (dfs[t] > f->doc_freq) f->doc_freq = dfs[t];
    return QN_OK;
}

static qn_status weigh_field(qn_planner *p, const qn_query *q, size_t i,
                             const qn_plan *plan, qn_plan_field *f)
{
    f->field = q->fields[i].field;
    QN_TRY(field_stats(p, f->field, &f->stats));
    QN_TRY(find_terms(p, q, f));
    f->idf = q->kind == QN_QUERY_PHRASE
                 ? qn_bm25_idf_sum(f->stats->doc_count, f->doc_freqs, q->term_count)
                 : qn_bm25_idf(f->stats->doc_count, f->doc_freq);
    f->boost = plan->boost * q->fields[i].boost;
    if (p->scale != 1.0f) f->boost *= p->scale;
    qn_bm25_term_init(&f->bm25, f->stats, f->boost, f->idf);
    return QN_OK;
}

static qn_status weigh_leaf(qn_planner *p, const qn_query *q, qn_plan *plan)
{
    plan->fields = qn_arena_array(p->arena, q->field_count + 1, sizeof *plan->fields);
    if (plan->fields == NULL) return no_memory(p);
    plan->field_count = q->field_count;
    for (size_t i = 0; i < q->field_count; i++)
        QN_TRY(weigh_field(p, q, i, plan, &plan->fields[i]));
    return QN_OK;
}

/* ---- equal clauses ---------------------------------------------------------------- */

static bool same_leaf(const qn_query *a, const qn_query *b)
{
    if (a->kind != b->kind ||
        (a->kind != QN_QUERY_TERM && a->kind != QN_QUERY_PHRASE) ||
        a->field_count != b->field_count || a->term_count != b->term_count ||
        a->every_field != b->every_field || a->slop != b->slop)
        return false;
    for (size_t i = 0; i < a->field_count; i++) {
        if (a->fields[i].field != b->fields[i].field ||
            a->fields[i].boost != b->fields[i].boost)
            return false;
    }
    for (size_t i = 0; i < a->term_count; i++) {
        if (a->terms[i].position != b->terms[i].position ||
            !qn_slice_eq(a->terms[i].bytes, b->terms[i].bytes))
            return false;
    }
    return true;
}

typedef struct joined_clause {
    const qn_query *query;
    double boost; /* the sum */
    bool several;
} joined_clause;

/* The distinct clauses of a list, in order of first appearance. */
static qn_status join_equal(qn_planner *p, qn_query_list list, bool join,
                            joined_clause **out, size_t *count)
{
    joined_clause *c = qn_arena_array(p->arena, list.n + 1, sizeof *c);
    if (c == NULL) return no_memory(p);
    size_t n = 0;
    for (size_t i = 0; i < list.n; i++) {
        size_t k = join ? 0 : n;
        while (k < n && !same_leaf(c[k].query, list.p[i])) k++;
        if (k == n) {
            c[n++] = (joined_clause){list.p[i], (double)list.p[i]->boost, false};
        } else {
            c[k].boost += (double)list.p[i]->boost;
            c[k].several = true;
        }
    }
    *out = c;
    *count = n;
    return QN_OK;
}

static qn_status build_list(qn_planner *p, qn_query_list list, float boost, bool scores,
                            bool join, qn_plan_list *out)
{
    joined_clause *clauses = NULL;
    size_t n = 0;
    QN_TRY(join_equal(p, list, join, &clauses, &n));
    qn_plan **plans = qn_arena_array(p->arena, n + 1, sizeof *plans);
    if (plans == NULL) return no_memory(p);
    for (size_t i = 0; i < n; i++) {
        const qn_query *q = clauses[i].query;
        if (clauses[i].several) {
            qn_query *copy = qn_arena_new(p->arena, sizeof *copy);
            if (copy == NULL) return no_memory(p);
            *copy = *q;
            copy->boost = (float)clauses[i].boost;
            q = copy;
        }
        QN_TRY(qn_plan_build(p, q, boost, scores, &plans[i]));
    }
    *out = (qn_plan_list){plans, n};
    return QN_OK;
}

/* ---- the plan --------------------------------------------------------------------- */

static qn_status build_bool(qn_planner *p, const qn_query_bool *b, qn_plan *plan)
{
    float boost = plan->boost;
    bool s = plan->scores;
    plan->should_min = b->should_min;
    QN_TRY(build_list(p, b->must, boost, s, true, &plan->must));
    QN_TRY(build_list(p, b->should, boost, s, b->should_min <= 1, &plan->should));
    QN_TRY(build_list(p, b->filter, boost, false, true, &plan->filter));
    return build_list(p, b->must_not, boost, false, false, &plan->must_not);
}

/* A VECTOR leaf finds its hits by its node: plans are built from the same tree that
 * qn_plan_vectors() walked. */
static void find_vector(const qn_planner *p, const qn_query *q, qn_plan *plan)
{
    while (plan->vector < p->vector_count && p->vectors[plan->vector].leaf != q)
        plan->vector++;
}

qn_status qn_plan_build(qn_planner *p, const qn_query *query, float boost, bool scores,
                        qn_plan **out)
{
    qn_plan *plan = *out = qn_arena_new(p->arena, sizeof *plan);
    if (plan == NULL) return no_memory(p);
    plan->query = query;
    plan->boost = boost * query->boost;
    plan->scores = scores;
    switch (query->kind) {
    case QN_QUERY_TERM:
    case QN_QUERY_PHRASE:
        return weigh_leaf(p, query, plan);
    case QN_QUERY_VECTOR:
        find_vector(p, query, plan);
        return QN_OK;
    case QN_QUERY_BOOL:
        return build_bool(p, &query->u.boolean, plan);
    case QN_QUERY_DISMAX:
        return build_list(p, query->u.dismax.children, plan->boost, scores, false,
                          &plan->should);
    case QN_QUERY_CONSTANT:
        return qn_plan_build(p, query->u.child, 1.0f, false, &plan->child);
    default:
        return QN_OK;
    }
}
