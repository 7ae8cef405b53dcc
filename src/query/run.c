/* SPDX-License-Identifier: Apache-2.0 */
#include "query/run.h"

#include <math.h>

enum {
    LOOK_EVERY = 64, /* floors between two looks at the clock */
};

/* ---- shapes ---------------------------------------------------------------------- */

bool qn_shape_is_word(const qn_plan *plan)
{
    const qn_query *q = plan->query;
    return q->kind == QN_QUERY_TERM && q->term_count == 1 && plan->field_count > 0 &&
           (plan->field_count == 1 || !q->every_field);
}

/* One field, with positions, and one word a place. */
static bool is_phrase(const qn_plan *plan)
{
    const qn_query *q = plan->query;
    if (q->kind != QN_QUERY_PHRASE || plan->field_count != 1 ||
        q->term_count > QN_PHRASE_WORDS_MAX ||
        plan->fields[0].field->type != QN_FIELD_TEXT)
        return false;
    for (size_t i = 1; i < q->term_count; i++)
        if (q->terms[i].position == q->terms[i - 1].position) return false;
    return q->term_count > 0;
}

static bool all_words(qn_plan_list list)
{
    for (size_t i = 0; i < list.n; i++)
        if (!qn_shape_is_word(list.p[i])) return false;
    return list.n <= QN_SHAPE_CLAUSES_MAX;
}

/* A word or a union of words, without anything around. */
static bool is_union(const qn_plan *plan)
{
    if (qn_shape_is_word(plan)) return true;
    return plan->query->kind == QN_QUERY_BOOL && plan->should_min <= 1 &&
           plan->must.n + plan->filter.n + plan->must_not.n == 0 &&
           plan->should.n > 0 && all_words(plan->should);
}

static bool is_dismax(const qn_plan *plan)
{
    enum { PARTS_MAX = 8 };
    if (plan->query->kind != QN_QUERY_DISMAX || plan->should.n > PARTS_MAX ||
        plan->should.n == 0 || !(plan->query->u.dismax.tie_breaker <= 1.0f))
        return false;
    for (size_t i = 0; i < plan->should.n; i++)
        if (!is_union(plan->should.p[i])) return false;
    return true;
}

static bool must_is_plain(qn_plan_list must)
{
    size_t lists = 0;
    for (size_t i = 0; i < must.n; i++) {
        if (!is_phrase(must.p[i]) &&
            !(qn_shape_is_word(must.p[i]) && must.p[i]->field_count == 1))
            return false;
        lists += must.p[i]->query->term_count;
    }
    return lists <= QN_SHAPE_CLAUSES_MAX;
}

static qn_shape_kind kind_of(const qn_plan *plan)
{
    if (is_union(plan) || is_dismax(plan)) return QN_SHAPE_ANY;
    if (is_phrase(plan)) return plan->query->slop == 0 ? QN_SHAPE_PHRASE : QN_SHAPE_ALL;
    if (plan->query->kind != QN_QUERY_BOOL || plan->should_min > 1)
        return QN_SHAPE_OTHER;
    if (plan->must.n == 0)
        return plan->should.n > 0 && plan->should_min == 1 && all_words(plan->should)
                   ? QN_SHAPE_ANY
                   : QN_SHAPE_OTHER;
    return must_is_plain(plan->must) && all_words(plan->should) ? QN_SHAPE_ALL
                                                                : QN_SHAPE_OTHER;
}

static bool take_around(const qn_plan *plan, qn_shape *s)
{
    if (s->filter_lists == QN_SHAPE_LISTS_MAX ||
        s->excluded_lists == QN_SHAPE_LISTS_MAX)
        return false;
    if (plan->filter.n > 0) s->filters[s->filter_lists++] = plan->filter;
    if (plan->must_not.n > 0) s->excluded[s->excluded_lists++] = plan->must_not;
    return true;
}

void qn_shape_of(const qn_plan *plan, const qn_exec_options *options, qn_shape *out)
{
    *out = (qn_shape){.kind = QN_SHAPE_OTHER};
    if (options->no_scores || options->by_document) return;
    /* A clause with only filters around it scores as it does alone. */
    while (plan->query->kind == QN_QUERY_BOOL && plan->must.n == 1 &&
           plan->should.n == 0) {
        if (!take_around(plan, out)) return;
        plan = plan->must.p[0];
    }
    if (plan->query->kind == QN_QUERY_BOOL && !take_around(plan, out)) return;
    out->scored = plan;
    out->kind = kind_of(plan);
}

/* ---- running ----------------------------------------------------------------------- */

qn_status qn_run_look(qn_run *r)
{
    const qn_exec_options *o = r->c->options;
    QN_TRY(qn_collector_flush(r->c));
    float floor = -HUGE_VALF;
    bool full = qn_collector_floor(r->c, QN_DOC_END, &floor);
    if (r->seed > 0) { /* others may score exactly as much */
        float below = nextafterf(r->seed, 0.0f);
        if (below > floor) floor = below;
        full = true;
    }
    uint64_t total = r->c->total, known = r->before + r->known;
    if (r->c->shared != NULL) {
        float theirs;
        qn_collector_share(r->c, &theirs, &total);
        theirs = theirs > 0 ? nextafterf(theirs, 0.0f) : -HUGE_VALF;
        if (theirs > 0 && (!full || theirs > floor)) floor = theirs;
        full = full || theirs > 0;
    }
    r->counting = full && o->filter == NULL && !o->has_min_score;
    r->pruning = full && o->total_limit > 0 &&
                 (total > known ? total : known) > (uint64_t)o->total_limit;
    r->cut = r->counting ? floor : -HUGE_VALF;
    r->floor = r->pruning ? floor : -HUGE_VALF;
    if (r->pruning) *r->exact = false;
    if (++r->looks % LOOK_EVERY == 0) *r->timed_out = qn_deadline_passed(o->deadline);
    return QN_OK;
}

qn_status qn_run_segment(qn_iter_maker *m, const qn_shape *shape, qn_collector *c,
                         bool *exact, bool *timed_out)
{
    qn_run r = {.m = m,
                .c = c,
                .shape = shape,
                .exact = exact,
                .timed_out = timed_out,
                .floor = -HUGE_VALF,
                .cut = -HUGE_VALF,
                .seed = -HUGE_VALF,
                .before = c->total};
    QN_TRY(qn_accept_open(m, shape->filters, shape->filter_lists, shape->excluded,
                          shape->excluded_lists, &r.accept));
    if (r.accept.none) return QN_OK;
    QN_TRY(shape->kind == QN_SHAPE_ANY      ? qn_run_any(&r)
           : shape->kind == QN_SHAPE_PHRASE ? qn_run_phrase(&r)
                                            : qn_run_all(&r));
    QN_TRY(qn_collector_flush(c));
    if (c->total < r.before + r.known) c->total = r.before + r.known;
    return QN_OK;
}
