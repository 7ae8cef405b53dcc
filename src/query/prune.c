/* SPDX-License-Identifier: Apache-2.0 */
#include "query/prune.h"

enum {
    STEP_MIN = 512,   /* documents of a window at least */
    LOOK_EVERY = 64,  /* windows between two looks at the clock */
    CLAUSES_MAX = 64, /* beyond, bookkeeping costs more than it saves */
};
/* Sums of bounds are compared with float scores; this covers their own rounding. */
static const double SLACK = 1.0 + 1e-9;

typedef struct clause {
    qn_postings p;
    qn_bm25_term bm25;
    const uint8_t *norms;
    double bound; /* no score in the window is greater */
} clause;

typedef struct pruner {
    qn_iter_maker *m;
    qn_collector *c;
    clause *clauses[CLAUSES_MAX]; /* in the window: by bound, the least first */
    size_t n;
    size_t essential;              /* the first of those that are */
    double reach[CLAUSES_MAX + 1]; /* reach[i]: bounds of clauses [0, i) together */
    bool pruning;
    float floor;
    qn_window *w;
} pruner;

/* ---- which plans ----------------------------------------------------------------- */

static bool is_word(const qn_plan *plan)
{
    return plan->query->kind == QN_QUERY_TERM && plan->field_count == 1 &&
           plan->query->term_count == 1;
}

bool qn_prune_applies(const qn_plan *plan, const qn_exec_options *options)
{
    if (options->top_n == 0 || options->total_limit <= 0 || options->no_scores)
        return false;
    if (is_word(plan)) return true;
    if (plan->query->kind != QN_QUERY_BOOL || plan->should_min > 1) return false;
    if (plan->must.n + plan->filter.n + plan->must_not.n > 0) return false;
    if (plan->should.n > CLAUSES_MAX) return false;
    for (size_t i = 0; i < plan->should.n; i++)
        if (!is_word(plan->should.p[i])) return false;
    return true;
}

static qn_status add_clause(pruner *u, const qn_plan *plan)
{
    qn_iter_maker *m = u->m;
    const qn_plan_field *f = &plan->fields[0];
    const qn_segment *seg = m->view->segment;
    qn_term term;
    QN_TRY(
        qn_segment_term(seg, f->field->id, plan->query->terms[0].bytes, &term, m->err));
    if (term.doc_freq == 0) return QN_OK;
    clause *one = qn_arena_new(m->scratch, sizeof *one);
    if (one == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    QN_TRY(qn_segment_postings(seg, &term, NULL, &one->p, m->err));
    QN_TRY(qn_segment_norms(seg, f->field->id, &one->norms, m->err));
    one->bm25 = f->bm25;
    u->clauses[u->n++] = one;
    return QN_OK;
}

/* ---- bounds ---------------------------------------------------------------------- */

static double bound_of(const clause *c, qn_postings_bound b)
{
    if (b.freq == UINT32_MAX) return (double)c->bm25.weight;
    return (double)qn_bm25_score(&c->bm25, (float)b.freq,
                                 c->norms == NULL ? 1 : b.norm);
}

/* The greatest bound of the blocks that reach into [base, limit). */
static void bound_window(clause *c, uint32_t base, uint32_t limit)
{
    uint32_t at = c->p.doc > base ? c->p.doc : base;
    c->bound = 0;
    while (at < limit) {
        uint32_t last;
        qn_postings_bound b;
        qn_postings_peek(&c->p, at, &last, &b);
        double bound = bound_of(c, b);
        if (bound > c->bound) c->bound = bound;
        if (last == QN_DOC_END) return; /* the list's tail */
        at = last + 1;
    }
}

static void order_by_bound(pruner *u)
{
    for (size_t i = 1; i < u->n; i++) {
        clause *moved = u->clauses[i];
        size_t k = i;
        for (; k > 0 && u->clauses[k - 1]->bound > moved->bound; k--)
            u->clauses[k] = u->clauses[k - 1];
        u->clauses[k] = moved;
    }
}

/* Where the window ends: with the first block of an essential clause that ends, but not
 * at once. `limit` on entry: the segment's end. */
static uint32_t window_end(const pruner *u, uint32_t base, uint32_t limit)
{
    uint32_t end = limit - base < QN_WINDOW ? limit : base + QN_WINDOW;
    for (size_t i = u->essential; u->pruning && i < u->n; i++) {
        uint32_t last, at = u->clauses[i]->p.doc;
        qn_postings_bound b;
        if (at < base) at = base;
        if (at >= end) continue;
        qn_postings_peek(&u->clauses[i]->p, at, &last, &b);
        if (last < end - 1) end = last + 1;
    }
    uint32_t least = limit - base < STEP_MIN ? limit : base + STEP_MIN;
    return end < least ? least : end;
}

/* Orders the clauses for the window and finds the first essential one; u->n when a
 * document of the window cannot get in at all. */
static void split_clauses(pruner *u, uint32_t base, uint32_t limit)
{
    u->essential = 0;
    u->reach[0] = 0;
    if (!u->pruning) return;
    for (size_t i = 0; i < u->n; i++) bound_window(u->clauses[i], base, limit);
    order_by_bound(u);
    for (size_t i = 0; i < u->n; i++)
        u->reach[i + 1] = u->reach[i] + u->clauses[i]->bound;
    while (u->essential < u->n &&
           u->reach[u->essential + 1] * SLACK <= (double)u->floor)
        u->essential++;
}

/* ---- scoring --------------------------------------------------------------------- */

static float score_of(const clause *c, uint32_t doc, uint32_t freq)
{
    return qn_bm25_score(&c->bm25, (float)freq, c->norms == NULL ? 1 : c->norms[doc]);
}

/* Adds every document of the window. */
static qn_status add_window(clause *c, qn_window *w, qn_error *err)
{
    if (c->p.doc < w->base) QN_TRY(qn_postings_seek(&c->p, w->base, err));
    while (c->p.doc < w->limit) {
        const uint32_t *docs, *freqs;
        size_t n, i = 0;
        qn_postings_rest(&c->p, &docs, &freqs, &n);
        for (; i < n && docs[i] < w->limit; i++)
            qn_window_add(w, docs[i], score_of(c, docs[i], freqs[i]));
        if (i < n)
            QN_TRY(qn_postings_seek(&c->p, docs[i], err));
        else
            QN_TRY(qn_postings_next_block(&c->p, err));
    }
    return QN_OK;
}

/* The clauses that are not essential, the greatest first, as long as it can matter. */
static qn_status complete(pruner *u, uint32_t doc, double *sum, bool *out_of_reach)
{
    for (size_t i = u->essential; i > 0; i--) {
        *out_of_reach = (*sum + u->reach[i]) * SLACK <= (double)u->floor;
        if (*out_of_reach) return QN_OK;
        clause *c = u->clauses[i - 1];
        if (c->p.doc < doc) QN_TRY(qn_postings_seek(&c->p, doc, u->m->err));
        if (c->p.doc == doc) *sum += (double)score_of(c, doc, c->p.freq);
    }
    return QN_OK;
}

static qn_status collect_window(pruner *u)
{
    const qn_window *w = u->w;
    for (uint32_t word = 0; word < QN_WINDOW / 64; word++) {
        for (uint64_t left = w->seen[word]; left != 0; left &= left - 1) {
            uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(left), doc = w->base + i;
            if (qn_segment_view_is_deleted(u->m->view, doc)) continue;
            double sum = w->sums[i];
            bool out_of_reach = false;
            QN_TRY(complete(u, doc, &sum, &out_of_reach));
            if (!out_of_reach) QN_TRY(qn_collector_add(u->c, doc, (float)sum));
        }
    }
    return qn_collector_flush(u->c);
}

static qn_status run_window(pruner *u, uint32_t base, uint32_t limit)
{
    qn_window *w = u->w;
    w->base = base;
    w->limit = limit;
    memset(w->sums, 0, sizeof w->sums);
    memset(w->seen, 0, sizeof w->seen);
    for (size_t i = u->essential; i < u->n; i++)
        QN_TRY(add_window(u->clauses[i], w, u->m->err));
    return collect_window(u);
}

/* ---- the segment ------------------------------------------------------------------- */

/* Pruning begins once enough is counted and the best n are had. */
static void look_at_floor(pruner *u)
{
    const qn_exec_options *o = u->c->options;
    bool full = qn_collector_floor(u->c, &u->floor);
    u->pruning = full && u->c->total >= (uint64_t)o->total_limit;
}

static qn_status walk(pruner *u, bool *exact, bool *timed_out)
{
    uint32_t count = u->m->view->doc_count, windows = 0;
    for (uint32_t base = 0; base < count && !*timed_out;) {
        look_at_floor(u);
        if (u->pruning) *exact = false;
        uint32_t limit = window_end(u, base, count);
        split_clauses(u, base, limit);
        if (u->essential < u->n) QN_TRY(run_window(u, base, limit));
        base = limit;
        if (++windows % LOOK_EVERY == 0)
            *timed_out = qn_deadline_passed(u->c->options->deadline);
    }
    return QN_OK;
}

qn_status qn_prune_segment(qn_iter_maker *m, const qn_plan *plan, qn_collector *c,
                           bool *exact, bool *timed_out)
{
    pruner *u = qn_arena_new(m->scratch, sizeof *u);
    if (u == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    u->m = m;
    u->c = c;
    u->w = qn_arena_new(m->scratch, sizeof *u->w);
    if (u->w == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    if (is_word(plan)) QN_TRY(add_clause(u, plan));
    for (size_t i = 0; i < plan->should.n; i++)
        QN_TRY(add_clause(u, plan->should.p[i]));
    return u->n == 0 ? QN_OK : walk(u, exact, timed_out);
}
