/* SPDX-License-Identifier: Apache-2.0 */
#include "query/exec.h"

#include "base/vec.h"
#include "query/iter.h"

#include <stdlib.h>

enum {
    RUN = 256,              /* documents filtered and kept together */
    DEADLINE_EVERY = 65536, /* matches between two looks at the clock */
};

typedef struct collector {
    const qn_exec_options *options;
    qn_alloc *alloc;
    qn_error *err;
    QN_VEC(qn_candidate)
    kept; /* top_n 0: all, in order; else a heap, the worst first */
    uint64_t total;
    float max_score;

    /* The run under the collector's hands. */
    uint32_t segment;
    uint32_t docs[RUN];
    float scores[RUN];
    size_t n;
} collector;

/* ---- the best n ------------------------------------------------------------------ */

/* Does `a` come after `b` in the result? */
static bool is_worse(qn_candidate a, qn_candidate b)
{
    if (a.score != b.score) return a.score < b.score;
    if (a.segment != b.segment) return a.segment > b.segment;
    return a.doc > b.doc;
}

static void sift_down(qn_candidate *heap, size_t n, size_t i)
{
    qn_candidate moved = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && is_worse(heap[child + 1], heap[child])) child++;
        if (!is_worse(heap[child], moved)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static qn_status push(collector *c, qn_candidate one)
{
    size_t limit = c->options->candidates_max;
    if (limit > 0 && c->kept.n == limit)
        return qn_fail(c->err, QN_ELIMIT, "over %zu documents match", limit);
    return qn_vec_push(c->alloc, &c->kept, one)
               ? QN_OK
               : qn_fail(c->err, QN_ENOMEM, "search candidates");
}

static qn_status keep(collector *c, uint32_t doc, float score)
{
    qn_candidate one = {c->segment, doc, score};
    size_t n = c->options->top_n;
    if (n == 0) return push(c, one);
    if (c->kept.n < n) {
        QN_TRY(push(c, one));
        if (c->kept.n < n) return QN_OK;
        for (size_t i = n / 2; i > 0; i--) sift_down(c->kept.p, n, i - 1);
        return QN_OK;
    }
    if (!is_worse(c->kept.p[0], one)) return QN_OK;
    c->kept.p[0] = one;
    sift_down(c->kept.p, n, 0);
    return QN_OK;
}

static int best_first(const void *a, const void *b)
{
    const qn_candidate *x = a, *y = b;
    return is_worse(*x, *y) ? 1 : -1;
}

/* ---- one segment ------------------------------------------------------------------- */

static qn_status flush(collector *c)
{
    const qn_exec_options *o = c->options;
    bool keeps[RUN];
    if (o->filter != NULL && c->n > 0)
        QN_TRY(o->filter(o->filter_ctx, c->segment, c->docs, c->n, keeps, c->err));
    for (size_t i = 0; i < c->n; i++) {
        if (o->filter != NULL && !keeps[i]) continue;
        if (o->has_min_score && !(c->scores[i] >= o->min_score)) continue;
        if (c->total == 0 || c->scores[i] > c->max_score) c->max_score = c->scores[i];
        c->total++;
        QN_TRY(keep(c, c->docs[i], c->scores[i]));
    }
    c->n = 0;
    return QN_OK;
}

static qn_status walk(collector *c, qn_iter *it, const qn_segment_view *view,
                      bool *timed_out)
{
    uint32_t until_look = DEADLINE_EVERY;
    while (it->doc != QN_DOC_END) {
        if (!qn_segment_view_is_deleted(view, it->doc)) {
            c->docs[c->n] = it->doc;
            c->scores[c->n] = 0.0f;
            if (!c->options->no_scores)
                QN_TRY(it->kind->score(it, &c->scores[c->n], c->err));
            if (++c->n == RUN) QN_TRY(flush(c));
        }
        if (--until_look == 0) {
            until_look = DEADLINE_EVERY;
            *timed_out = qn_deadline_passed(c->options->deadline);
            if (*timed_out) break;
        }
        QN_TRY(it->kind->next(it, c->err));
    }
    return flush(c);
}

static qn_status run_segment(const qn_planner *p, const qn_plan *plan, size_t segment,
                             collector *c, bool *timed_out)
{
    qn_arena scratch;
    qn_arena_init(&scratch, p->arena->alloc, p->arena->limit_bytes);
    qn_iter_maker m = {.planner = p,
                       .segment = segment,
                       .view = &p->snapshot->segments[segment],
                       .scratch = &scratch,
                       .err = p->err};
    qn_iter *it;
    c->segment = (uint32_t)segment;
    qn_status st = qn_iter_make(&m, plan, &it);
    if (st == QN_OK && it != NULL) st = walk(c, it, m.view, timed_out);
    qn_arena_deinit(&scratch);
    return st;
}

/* ---- the whole --------------------------------------------------------------------- */

static qn_status finish(collector *c, qn_arena *arena, qn_exec_result *out)
{
    qn_candidate *all = qn_arena_array(arena, c->kept.n + 1, sizeof *all);
    if (all == NULL) return qn_fail(c->err, QN_ENOMEM, "search candidates");
    if (c->kept.n > 0) memcpy(all, c->kept.p, c->kept.n * sizeof *all);
    if (c->options->top_n > 0) qsort(all, c->kept.n, sizeof *all, best_first);
    out->candidates = all;
    out->count = c->kept.n;
    out->total = c->total;
    out->max_score = c->total > 0 ? c->max_score : 0.0f;
    return QN_OK;
}

static qn_status run_segments(qn_planner *p, const qn_query *query, collector *c,
                              qn_exec_result *out)
{
    qn_plan *plan;
    QN_TRY(qn_plan_vectors(p, query));
    QN_TRY(qn_plan_build(p, query, 1.0f, !p->options->no_scores, &plan));
    out->timed_out = p->timed_out;
    for (size_t i = 0; i < p->snapshot->segment_count && !out->timed_out; i++) {
        QN_TRY(run_segment(p, plan, i, c, &out->timed_out));
        if (!out->timed_out) out->timed_out = qn_deadline_passed(p->options->deadline);
    }
    out->total_exact = !out->timed_out;
    out->vectors = p->vectors;
    out->vector_count = p->vector_count;
    return finish(c, p->arena, out);
}

qn_status qn_query_execute(const qn_snapshot_view *snapshot, const qn_query *query,
                           const qn_exec_options *options, qn_arena *arena,
                           qn_exec_result *out, qn_error *err)
{
    *out = (qn_exec_result){0};
    qn_planner p;
    QN_TRY(qn_planner_init(&p, snapshot, options, arena, err));
    collector *c = qn_arena_new(arena, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "search candidates");
    c->options = options;
    c->alloc = arena->alloc;
    c->err = err;
    qn_status st = run_segments(&p, query, c, out);
    qn_vec_deinit(c->alloc, &c->kept);
    if (st != QN_OK) *out = (qn_exec_result){0};
    return st;
}
