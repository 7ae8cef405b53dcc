/* SPDX-License-Identifier: Apache-2.0 */
#include "query/exec.h"

#include "base/pool.h"
#include "query/collect.h"
#include "query/iter.h"
#include "query/run.h"
#include "query/set_run.h"
#include "query/sort_run.h"

enum { DEADLINE_EVERY = 65536 }; /* matches between two looks at the clock */

/* Every match of a segment. */
static qn_status walk(qn_collector *c, qn_iter *it, const qn_segment_view *view,
                      bool *timed_out)
{
    uint32_t until_look = DEADLINE_EVERY;
    while (it->doc != QN_DOC_END) {
        if (!qn_segment_view_is_deleted(view, it->doc)) {
            float score = 0.0f;
            if (!c->options->no_scores) QN_TRY(it->kind->score(it, &score, c->err));
            QN_TRY(qn_collector_add(c, it->doc, score));
        }
        if (--until_look == 0) {
            until_look = DEADLINE_EVERY;
            *timed_out = qn_deadline_passed(c->options->deadline);
            if (*timed_out) break;
        }
        QN_TRY(it->kind->next(it, c->err));
    }
    return qn_collector_flush(c);
}

static qn_status run_plan(qn_iter_maker *m, const qn_plan *plan, qn_collector *c,
                          qn_exec_result *out)
{
    if (c->sorter != NULL) return qn_sort_segment(m, plan, c, out);
    bool done;
    QN_TRY(qn_set_segment(m, plan, c, &done));
    if (done) return QN_OK;
    qn_shape shape;
    qn_shape_of(plan, c->options, &shape);
    if (shape.kind != QN_SHAPE_OTHER)
        return qn_run_segment(m, &shape, c, &out->total_exact, &out->timed_out);
    qn_iter *it;
    QN_TRY(qn_iter_make(m, plan, &it));
    return it == NULL ? QN_OK : walk(c, it, m->view, &out->timed_out);
}

static qn_status run_in(const qn_planner *p, const qn_plan *plan, size_t segment,
                        qn_collector *c, qn_arena *scratch, qn_exec_result *out,
                        qn_error *err)
{
    qn_iter_maker m = {.planner = p,
                       .segment = segment,
                       .view = &p->snapshot->segments[segment],
                       .scratch = scratch,
                       .err = err};
    qn_collector_begin(c, segment);
    return run_plan(&m, plan, c, out);
}

static qn_status run_segment(const qn_planner *p, const qn_plan *plan, size_t segment,
                             qn_collector *c, qn_exec_result *out, qn_error *err)
{
    /* Of one segment the request's arena takes what is needed: it is at hand. */
    if (p->snapshot->segment_count == 1)
        return run_in(p, plan, segment, c, p->arena, out, err);
    qn_arena scratch;
    qn_arena_init(&scratch, p->arena->alloc, p->arena->limit_bytes);
    qn_status st = run_in(p, plan, segment, c, &scratch, out, err);
    qn_arena_deinit(&scratch);
    return st;
}

/* ---- segments at the same time ------------------------------------------------------ */

typedef struct segment_job {
    qn_collector collector;
    qn_exec_result result; /* what it says of exactness and time */
    qn_error err;
    qn_status st;
} segment_job;

typedef struct segment_jobs {
    const qn_planner *planner;
    const qn_plan *plan;
    segment_job *jobs;
} segment_jobs;

static void run_job(void *arg, size_t index, size_t worker)
{
    (void)worker;
    const segment_jobs *all = arg;
    segment_job *job = &all->jobs[index];
    job->st = run_segment(all->planner, all->plan, index, &job->collector, &job->result,
                          &job->err);
}

/* Together they keep what one after the other would have: a floor that came from another
 * segment is taken as one that equal scores still pass. */
static qn_status run_together(qn_planner *p, const qn_plan *plan, qn_collector *c,
                              qn_exec_result *out)
{
    size_t n = p->snapshot->segment_count;
    qn_collect_shared shared = {0};
    segment_jobs all = {p, plan, qn_arena_array(p->arena, n, sizeof *all.jobs)};
    if (all.jobs == NULL) return qn_fail(p->err, QN_ENOMEM, "search candidates");
    for (size_t i = 0; i < n; i++) {
        segment_job *job = &all.jobs[i];
        qn_collector_init(&job->collector, p->options, c->alloc, &job->err);
        job->collector.shared = &shared;
        job->result.total_exact = true;
    }
    qn_pool_run(p->options->pool, n, run_job, &all);
    qn_status st = QN_OK;
    for (size_t i = 0; i < n; i++) {
        segment_job *job = &all.jobs[i];
        if (st == QN_OK && job->st != QN_OK && p->err != NULL) *p->err = job->err;
        if (st == QN_OK) st = job->st;
        if (st == QN_OK) st = qn_collector_absorb(c, &job->collector);
        qn_collector_deinit(&job->collector);
        out->total_exact = out->total_exact && job->result.total_exact;
        out->timed_out = out->timed_out || job->result.timed_out;
    }
    return st;
}

static uint64_t plan_cost(const qn_planner *p, const qn_plan *plan);

static uint64_t list_cost(const qn_planner *p, qn_plan_list list)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < list.n; i++) sum += plan_cost(p, list.p[i]);
    return sum;
}

/* Documents in all lists of the query; a leaf that is no word may hold them all. */
static uint64_t plan_cost(const qn_planner *p, const qn_plan *plan)
{
    uint64_t sum = 0;
    switch (plan->query->kind) {
    case QN_QUERY_TERM:
    case QN_QUERY_PHRASE:
        for (size_t i = 0; i < plan->field_count; i++)
            for (size_t t = 0; t < plan->query->term_count; t++)
                sum += plan->fields[i].doc_freqs[t];
        return sum;
    case QN_QUERY_BOOL:
    case QN_QUERY_DISMAX:
        return list_cost(p, plan->must) + list_cost(p, plan->should) +
               list_cost(p, plan->filter);
    case QN_QUERY_CONSTANT:
        return plan_cost(p, plan->child);
    default:
        return p->snapshot->doc_count;
    }
}

/* Threads wake up in some ten microseconds, and are then missed by other searches. */
static bool is_worth_a_pool(const qn_planner *p, const qn_plan *plan)
{
    const uint64_t million = 1000000;
    const qn_exec_options *o = p->options;
    return o->pool != NULL && p->snapshot->segment_count > 1 && o->filter == NULL &&
           o->sort_count == 0 &&
           plan_cost(p, plan) >= (o->pool_from > 0 ? o->pool_from : million);
}

static qn_status run_in_turn(qn_planner *p, const qn_plan *plan, qn_collector *c,
                             qn_exec_result *out)
{
    for (size_t i = 0; i < p->snapshot->segment_count && !out->timed_out; i++) {
        QN_TRY(run_segment(p, plan, i, c, out, p->err));
        if (!out->timed_out) out->timed_out = qn_deadline_passed(p->options->deadline);
    }
    return QN_OK;
}

static qn_status run_segments(qn_planner *p, const qn_query *query, qn_collector *c,
                              qn_exec_result *out)
{
    qn_plan *plan;
    QN_TRY(qn_plan_vectors(p, query));
    QN_TRY(qn_plan_build(p, query, 1.0f, !p->options->no_scores, &plan));
    out->timed_out = p->timed_out;
    out->total_exact = true;
    QN_TRY(is_worth_a_pool(p, plan) ? run_together(p, plan, c, out)
                                    : run_in_turn(p, plan, c, out));
    if (out->timed_out) out->total_exact = false;
    out->vectors = p->vectors;
    out->vector_count = p->vector_count;
    return qn_collector_finish(c, p->arena, out);
}

qn_status qn_query_execute(const qn_snapshot_view *snapshot, const qn_query *query,
                           const qn_exec_options *options, qn_arena *arena,
                           qn_exec_result *out, qn_error *err)
{
    *out = (qn_exec_result){0};
    qn_planner p;
    QN_TRY(qn_planner_init(&p, snapshot, options, arena, err));
    qn_collector *c = qn_arena_raw(arena, 1, sizeof *c);
    qn_status st = QN_OK;
    if (c == NULL) {
        st = qn_fail(err, QN_ENOMEM, "search candidates");
    } else {
        qn_collector_init(c, options, arena->alloc, err);
        if (options->sort_count > 0)
            st = qn_sorter_create(snapshot, options, arena, &c->sorter, err);
        if (st == QN_OK) st = run_segments(&p, query, c, out);
        qn_collector_deinit(c);
    }
    qn_planner_deinit(&p);
    if (st != QN_OK) *out = (qn_exec_result){0};
    return st;
}
