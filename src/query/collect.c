/* SPDX-License-Identifier: Apache-2.0 */
#include "query/collect.h"

#include "base/bits.h"
#include "index/postings.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void qn_collector_init(qn_collector *c, const qn_exec_options *options, qn_alloc *alloc,
                       qn_error *err)
{
    memset(c, 0,
           offsetof(qn_collector, docs)); /* the arrays behind may hold anything */
    c->options = options;
    c->alloc = alloc;
    c->err = err;
}

void qn_collector_deinit(qn_collector *c)
{
    qn_vec_deinit(c->alloc, &c->kept);
}

void qn_collector_begin(qn_collector *c, size_t segment)
{
    c->segment = (uint32_t)segment;
}

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

static qn_status push(qn_collector *c, qn_candidate one)
{
    size_t limit = c->options->candidates_max;
    if (limit > 0 && c->kept.n == limit)
        return qn_fail(c->err, QN_ELIMIT, "over %zu documents match", limit);
    return qn_vec_push(c->alloc, &c->kept, one)
               ? QN_OK
               : qn_fail(c->err, QN_ENOMEM, "search candidates");
}

static qn_status keep(qn_collector *c, uint32_t doc, float score)
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

bool qn_collector_floor(const qn_collector *c, uint32_t from, float *floor)
{
    size_t n = c->options->top_n;
    if (n == 0 || c->kept.n < n) return false;
    qn_candidate worst = c->kept.p[0];
    bool behind = worst.segment < c->segment || worst.doc < from;
    *floor = behind ? worst.score : nextafterf(worst.score, -HUGE_VALF);
    return true;
}

/* ---- several collectors ------------------------------------------------------------- */

qn_status qn_collector_absorb(qn_collector *c, const qn_collector *other)
{
    uint32_t segment = c->segment;
    if (other->total > 0 && (c->total == 0 || other->max_score > c->max_score))
        c->max_score = other->max_score;
    c->total += other->total;
    for (size_t i = 0; i < other->kept.n; i++) {
        qn_candidate one = other->kept.p[i];
        c->segment = one.segment;
        QN_TRY(keep(c, one.doc, one.score));
    }
    c->segment = segment;
    return QN_OK;
}

void qn_collector_share(qn_collector *c, float *floor, uint64_t *total)
{
    qn_collect_shared *s = c->shared;
    float own;
    if (qn_collector_floor(c, QN_DOC_END, &own) && own > 0) {
        uint32_t mine = qn_float_bits(own), theirs = atomic_load(&s->floor);
        while (mine > theirs && !atomic_compare_exchange_weak(&s->floor, &theirs, mine))
            continue;
    }
    *total = atomic_fetch_add(&s->total, c->total - c->told) + c->total - c->told;
    c->told = c->total;
    *floor = qn_bits_float(atomic_load(&s->floor));
}

/* ---- runs -------------------------------------------------------------------------- */

qn_status qn_collector_flush(qn_collector *c)
{
    const qn_exec_options *o = c->options;
    bool keeps[QN_COLLECT_RUN];
    size_t passed = 0;
    if (o->filter != NULL && c->n > 0)
        QN_TRY(o->filter(o->filter_ctx, c->segment, c->docs, c->n, keeps, c->err));
    for (size_t i = 0; i < c->n; i++) {
        if (o->filter != NULL && !keeps[i]) continue;
        if (o->has_min_score && !(c->scores[i] >= o->min_score)) continue;
        if (c->total == 0 || c->scores[i] > c->max_score) c->max_score = c->scores[i];
        c->total++;
        if (c->sorter != NULL) {
            c->docs[passed] = c->docs[i];
            c->scores[passed++] = c->scores[i];
        } else {
            QN_TRY(keep(c, c->docs[i], c->scores[i]));
        }
    }
    c->n = 0;
    if (passed > 0 && !qn_sorter_add(c->sorter, c->docs, c->scores, passed))
        return qn_fail(c->err, QN_ENOMEM, "sort");
    return QN_OK;
}

static int best_first(const void *a, const void *b)
{
    const qn_candidate *x = a, *y = b;
    return is_worse(*x, *y) ? 1 : -1;
}

qn_status qn_collector_finish(qn_collector *c, qn_arena *arena, qn_exec_result *out)
{
    out->total = c->total;
    out->max_score = c->total > 0 ? c->max_score : 0.0f;
    if (c->sorter != NULL)
        return qn_sorter_finish(c->sorter, &out->candidates, &out->count, c->err);
    qn_candidate *all = qn_arena_array(arena, c->kept.n + 1, sizeof *all);
    if (all == NULL) return qn_fail(c->err, QN_ENOMEM, "search candidates");
    if (c->kept.n > 0) memcpy(all, c->kept.p, c->kept.n * sizeof *all);
    if (c->options->top_n > 0) qsort(all, c->kept.n, sizeof *all, best_first);
    out->candidates = all;
    out->count = c->kept.n;
    return QN_OK;
}
