/* SPDX-License-Identifier: Apache-2.0 */
/* ANY: the best n of a union of words, and of the best of several unions.
 *
 * MaxScore with block bounds (Turtle and Flood 1995; Chakrabarti et al. 2011). The
 * documents are taken in windows, which end where blocks end. In a window a word cannot
 * give more than its blocks' (frequency, length) bound allows. Words whose bounds
 * together do not reach the floor are not essential: a document that holds only those is
 * never looked at. The essential ones are scored by the block: one alone straight from
 * its block, several through an array of sums by document. What can still get in is
 * then looked up in the others, the greatest bound first, a batch at a time.
 *
 * Windows in which nothing can get in are passed over without decoding, and the gaps
 * between the documents of the essential words without even looking at bounds.
 *
 * Parts: one for a union; for DISMAX one for each child. With a tie breaker of nought a
 * part that cannot pass the floor need not be known. */
#include "query/run_any.h"

#include <math.h>

qn_status qn_any__no_memory(const any_run *a)
{
    return qn_fail(a->r->m->err, QN_ENOMEM, "query iterator");
}

/* ---- making ---------------------------------------------------------------------- */

/* What one list says of the whole answer: how many documents match at least, and how
 * well the k best score at least. */
static qn_status learn(any_run *a, qn_word *w, const qn_term *term)
{
    qn_run *r = a->r;
    const qn_exec_options *o = r->c->options;
    bool all = qn_accept_all(&r->accept);
    if (o->filter != NULL || qn_accept_asks(&r->accept)) return QN_OK;
    if (all && !o->has_min_score && w->p.doc_count > r->known)
        r->known = w->p.doc_count;
    if (o->top_n == 0 || a->alone) return QN_OK;
    float seed;
    QN_TRY(qn_word_seed(r->m, w, term, o->top_n, &r->accept, r->seed, &seed));
    if (seed > r->seed) r->seed = seed;
    return QN_OK;
}

static qn_status add_clause(any_run *a, any_part *part, const qn_plan *plan)
{
    qn_iter_maker *m = a->r->m;
    any_clause *c = qn_arena_new(m->scratch, sizeof *c);
    if (c == NULL) return qn_any__no_memory(a);
    c->words = qn_arena_array(m->scratch, plan->field_count, sizeof(qn_word *));
    if (c->words == NULL) return qn_any__no_memory(a);
    for (size_t i = 0; i < plan->field_count; i++) {
        qn_word *w;
        QN_TRY(qn_word_open(m, plan, i, 0, &w));
        if (w == NULL) continue;
        c->words[c->n++] = w;
        c->field = &plan->fields[i];
        c->cost += w->p.doc_count;
        QN_TRY(learn(a, w, qn_plan_term(plan, i, 0, m->segment)));
    }
    if (c->n > 0) part->outer[part->n++] = c;
    return QN_OK;
}

static qn_status make_part(any_run *a, any_part *part, const qn_plan *plan)
{
    bool word = qn_shape_is_word(plan);
    size_t n = word ? 1 : plan->should.n;
    qn_arena *scratch = a->r->m->scratch;
    part->clauses = qn_arena_array(scratch, n, sizeof(any_clause *));
    part->outer = qn_arena_array(scratch, n, sizeof(any_clause *));
    part->reach = qn_arena_array(scratch, n + 1, sizeof *part->reach);
    if (part->clauses == NULL || part->outer == NULL || part->reach == NULL)
        return qn_any__no_memory(a);
    if (word) return add_clause(a, part, plan);
    for (size_t i = 0; i < n; i++) QN_TRY(add_clause(a, part, plan->should.p[i]));
    return QN_OK;
}

static qn_status make_parts(any_run *a, const qn_plan *plan)
{
    bool dismax = plan->query->kind == QN_QUERY_DISMAX;
    size_t n = dismax ? plan->should.n : 1;
    a->tie = dismax ? plan->query->u.dismax.tie_breaker : 0.0f;
    a->parts = qn_arena_array(a->r->m->scratch, n, sizeof *a->parts);
    if (a->parts == NULL) return qn_any__no_memory(a);
    for (size_t i = 0; i < n; i++) {
        any_part *part = &a->parts[a->part_count];
        QN_TRY(make_part(a, part, dismax ? plan->should.p[i] : plan));
        if (part->n > 0) a->part_count++;
    }
    return QN_OK;
}

/* ---- which words are essential ------------------------------------------------------- */

static void order_by_bound(any_part *part)
{
    for (size_t i = 1; i < part->n; i++) {
        any_clause *moved = part->clauses[i];
        size_t k = i;
        for (; k > 0 && part->clauses[k - 1]->bound > moved->bound; k--)
            part->clauses[k] = part->clauses[k - 1];
        part->clauses[k] = moved;
    }
}

static void sum_bounds(any_part *part)
{
    part->reach[0] = 0;
    for (size_t i = 0; i < part->n; i++)
        part->reach[i + 1] = part->reach[i] + part->clauses[i]->bound;
}

/* No sum of the parts' scores is greater. */
static double reach_of_all(const any_run *a)
{
    double sum = 0;
    for (size_t i = 0; i < a->part_count; i++) sum += a->parts[i].reach[a->parts[i].n];
    return sum;
}

/* The first essential clause of each part; false when no document can get in. */
static bool split(any_run *a)
{
    bool any = false, together = a->tie > 0.0f;
    if (together && qn_run_hopeless(a->r, reach_of_all(a))) return false;
    for (size_t i = 0; i < a->part_count; i++) {
        any_part *part = &a->parts[i];
        part->essential = 0;
        while (!together && part->essential < part->n &&
               qn_run_hopeless(a->r, part->reach[part->essential + 1]))
            part->essential++;
        any = any || part->essential < part->n;
    }
    return any;
}

/* Everything is scored. */
static void no_split(any_run *a)
{
    for (size_t i = 0; i < a->part_count; i++) {
        any_part *part = &a->parts[i];
        memcpy(part->clauses, part->outer, part->n * sizeof(any_clause *));
        part->essential = part->outer_essential = 0;
        part->reach[0] = 0;
    }
}

/* The outer window from `base` on, which ends where a super-block ends; false when no
 * document of it can get in. */
static bool split_outer(any_run *a, uint32_t base)
{
    uint32_t end = a->doc_count;
    for (size_t i = 0; i < a->part_count; i++) {
        any_part *part = &a->parts[i];
        memcpy(part->clauses, part->outer, part->n * sizeof(any_clause *));
        for (size_t k = 0; k < part->n; k++) {
            any_clause *c = part->clauses[k];
            c->bound = 0;
            for (size_t f = 0; f < c->n; f++) {
                qn_word *w = c->words[f];
                qn_word_look_far(w, base);
                if (w->super > c->bound) c->bound = w->super;
                if (w->super_last < end - 1) end = w->super_last + 1;
            }
            c->outer = c->bound;
        }
        order_by_bound(part);
        sum_bounds(part);
    }
    a->outer_end = end;
    bool any = split(a);
    for (size_t i = 0; i < a->part_count; i++) {
        any_part *part = &a->parts[i];
        memcpy(part->outer, part->clauses, part->n * sizeof(any_clause *));
        part->outer_essential = part->essential;
    }
    return any;
}

/* The outer window's split again, or that of the next one. */
static bool enter_outer(any_run *a, uint32_t base)
{
    if (!a->r->pruning) {
        a->outer_end = a->doc_count;
        a->outer_pruning = false;
        no_split(a);
        return true;
    }
    if (base >= a->outer_end || !a->outer_pruning || a->r->floor > a->outer_floor) {
        a->outer_pruning = true;
        a->outer_floor = a->r->floor;
        return split_outer(a, base);
    }
    for (size_t i = 0; i < a->part_count; i++) {
        any_part *part = &a->parts[i];
        memcpy(part->clauses, part->outer, part->n * sizeof(any_clause *));
        part->essential = part->outer_essential;
    }
    return true;
}

/* By the bounds inside a window. */
static bool split_window(any_run *a, uint32_t base, uint32_t limit)
{
    for (size_t i = 0; i < a->part_count; i++) {
        any_part *part = &a->parts[i];
        memcpy(part->clauses, part->outer, part->n * sizeof(any_clause *));
        for (size_t k = 0; k < part->n; k++) {
            any_clause *c = part->clauses[k];
            c->bound = 0;
            for (size_t f = 0; f < c->n; f++) {
                double bound = qn_word_bound(c->words[f], base, limit, c->outer);
                if (bound > c->bound) c->bound = bound;
            }
        }
        order_by_bound(part);
        sum_bounds(part);
    }
    return split(a);
}

static size_t essential_count(const any_run *a, any_clause **one, any_part **of)
{
    size_t n = 0;
    for (size_t i = 0; i < a->part_count; i++) {
        any_part *part = &a->parts[i];
        n += part->n - part->essential;
        if (part->essential == part->n) continue;
        *one = part->clauses[part->n - 1];
        *of = part;
    }
    return n;
}

/* ---- the segment --------------------------------------------------------------------------- */

/* The first document >= base that an essential word may have. */
static uint32_t next_base(const any_run *a, uint32_t base)
{
    uint32_t next = QN_DOC_END;
    for (size_t i = 0; i < a->part_count; i++) {
        const any_part *part = &a->parts[i];
        for (size_t k = part->essential; k < part->n; k++)
            for (size_t f = 0; f < part->clauses[k]->n; f++) {
                uint32_t doc = part->clauses[k]->words[f]->p.doc;
                if (doc < next) next = doc;
            }
    }
    return next < base ? base : next;
}

/* Where the window ends: with the first block of an essential word that ends, but, of
 * several words, not at once. */
static uint32_t window_end(const any_run *a, uint32_t base, bool one)
{
    uint32_t end = a->outer_end;
    if (!one && end - base > QN_WINDOW - base % 64)
        end = (base & ~(uint32_t)63) + QN_WINDOW;
    if (!a->r->pruning) return end - base > ONE_MAX ? base + ONE_MAX : end;
    for (size_t i = 0; i < a->part_count; i++) {
        const any_part *part = &a->parts[i];
        for (size_t k = part->essential; k < part->n; k++)
            for (size_t f = 0; f < part->clauses[k]->n; f++) {
                qn_word *w = part->clauses[k]->words[f];
                if (w->p.doc >= end) continue;
                qn_word_look(w, w->p.doc > base ? w->p.doc : base);
                if (w->block_last < end - 1) end = w->block_last + 1;
            }
    }
    if (one) return end;
    uint32_t least = a->outer_end - base < STEP_MIN ? a->outer_end : base + STEP_MIN;
    return end < least ? least : end;
}

/* What holds in [base, limit) holds in a part of it. */
static void end_sooner(uint32_t *limit, uint32_t end)
{
    if (end < *limit) *limit = end;
}

/* Several words that are rare. */
static qn_status run_sparse(any_run *a, uint32_t base, uint32_t *limit)
{
    any_clause *one = NULL;
    any_part *of = NULL;
    *limit = qn_any__merge_end(a, base);
    if (a->r->pruning && !split_window(a, base, *limit)) return QN_OK;
    if (essential_count(a, &one, &of) == 1) { /* its blocks have closer bounds */
        end_sooner(limit, window_end(a, base, true));
        if (a->r->pruning && !split_window(a, base, *limit)) return QN_OK;
    }
    if (essential_count(a, &one, &of) == 1 && one->n == 1)
        return qn_any__run_word(a, of, one->words[0], base, *limit);
    /* These need not be the words that it began with. */
    if (qn_any__is_sparse(a)) {
        end_sooner(limit, qn_any__merge_end(a, base));
        return qn_any__run_merge(a, base, *limit);
    }
    end_sooner(limit, window_end(a, base, false));
    return qn_any__run_window(a, base, *limit);
}

static qn_status run_piece(any_run *a, uint32_t base, uint32_t *limit)
{
    any_clause *one = NULL;
    any_part *of = NULL;
    bool alone = essential_count(a, &one, &of) == 1 && one->n == 1;
    if (!alone && qn_any__is_sparse(a)) return run_sparse(a, base, limit);
    *limit = window_end(a, base, alone);
    if (a->r->pruning && !split_window(a, base, *limit)) return QN_OK;
    if (essential_count(a, &one, &of) == 1 && one->n == 1)
        return qn_any__run_word(a, of, one->words[0], base, *limit);
    return qn_any__run_window(a, base, *limit);
}

/* Documents from `base` on. */
static qn_status walk(any_run *a, uint32_t base)
{
    while (base < a->doc_count && !*a->r->timed_out) {
        QN_TRY(qn_run_look(a->r));
        if (!enter_outer(a, base)) {
            base = a->outer_end;
            continue;
        }
        base = next_base(a, base);
        if (a->r->accept.lead != NULL && base < a->outer_end) {
            QN_TRY(qn_iter_reach(a->r->accept.lead, base, a->r->m->err));
            base = a->r->accept.lead->doc;
        }
        if (base >= a->outer_end) { /* in the next one other words may be essential */
            base = a->outer_end;
            continue;
        }
        uint32_t limit;
        QN_TRY(run_piece(a, base, &limit));
        base = limit;
    }
    return QN_OK;
}

static double clause_bound_all(const any_clause *c)
{
    double bound = 0;
    for (size_t f = 0; f < c->n; f++)
        if (c->words[f]->bound_all > bound) bound = c->words[f]->bound_all;
    return bound;
}

/* By the bounds of whole lists; false when no document can get in. */
static bool split_all(any_run *a)
{
    any_part *part = &a->parts[0];
    memcpy(part->clauses, part->outer, part->n * sizeof(any_clause *));
    for (size_t k = 0; k < part->n; k++)
        part->clauses[k]->bound = clause_bound_all(part->clauses[k]);
    order_by_bound(part);
    sum_bounds(part);
    return split(a);
}

/* Looking a document of the filter up costs as much as reading so many of a list. */
static bool filter_is_dearer(const any_run *a, const qn_iter *lead)
{
    const any_part *part = &a->parts[0];
    uint64_t docs = 0;
    for (size_t k = part->essential; k < part->n; k++) docs += part->clauses[k]->cost;
    return a->r->pruning && docs / LEAD_GAIN < lead->cost;
}

/* A filter with few documents: those are looked up in every word. Once a floor leaves so
 * few words essential that their lists are shorter, they may lead: *next is then where
 * they have to go on. */
static qn_status walk_filter(any_run *a, qn_iter *lead, bool may_leave, uint32_t *next)
{
    any_part *part = &a->parts[0];
    *next = QN_DOC_END;
    a->only_hits = true;
    while (lead->doc != QN_DOC_END && !*a->r->timed_out) {
        QN_TRY(qn_run_look(a->r));
        if (!split_all(a)) break;
        if (may_leave && filter_is_dearer(a, lead)) {
            *next = lead->doc;
            break;
        }
        part->essential = part->n;
        while (a->n < BATCH && lead->doc != QN_DOC_END) {
            a->docs[a->n] = lead->doc;
            a->hits[a->n] = 0;
            part->sums[a->n++] = 0;
            QN_TRY(lead->kind->next(lead, a->r->m->err));
        }
        QN_TRY(qn_any__finish(a, false));
    }
    a->only_hits = false;
    return QN_OK;
}

qn_status qn_run_any(qn_run *r)
{
    any_run *a = qn_arena_new(r->m->scratch, sizeof *a);
    if (a == NULL) return qn_fail(r->m->err, QN_ENOMEM, "query iterator");
    a->r = r;
    a->doc_count = r->m->view->doc_count;
    const qn_plan *plan = r->shape->scored;
    a->alone = qn_shape_is_word(plan) && plan->field_count == 1;
    QN_TRY(make_parts(a, plan));
    if (a->part_count == 0) return QN_OK;
    a->lists = a->parts[0].outer[0]->words[0]->p.kernels->lists;
    uint64_t cost = 0;
    for (size_t p = 0; p < a->part_count; p++)
        for (size_t k = 0; k < a->parts[p].n; k++) cost += a->parts[p].outer[k]->cost;
    bool done;
    QN_TRY(qn_any__take_best(a, &done));
    if (done) return QN_OK;
    if (a->alone) { /* then a floor is of use */
        a->alone = false;
        QN_TRY(learn(a, a->parts[0].outer[0]->words[0],
                     qn_plan_term(plan, 0, 0, r->m->segment)));
    }
    size_t asked = r->accept.filter_count;
    qn_iter *lead =
        a->part_count == 1 ? qn_accept_lead(&r->accept, cost / LEAD_GAIN) : NULL;
    uint32_t base = 0;
    /* What the bits say is tested by whoever leads. */
    bool may_leave = r->accept.filter_count == asked;
    if (lead != NULL) QN_TRY(walk_filter(a, lead, may_leave, &base));
    return walk(a, base);
}
