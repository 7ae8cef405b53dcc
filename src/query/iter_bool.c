/* SPDX-License-Identifier: Apache-2.0 */
/* BOOL and DISMAX. The sums are those of Lucene's scorers:
 *   intersection   required scores added in double, rounded
 *   union          scores of the children on the document added in double, rounded
 *   both at once   the two rounded sums added as floats
 *   DISMAX         greatest + tie x (sum of the others, in double), rounded */
#include "query/filters.h"

static qn_status no_memory(qn_iter_maker *m)
{
    return qn_fail(m->err, QN_ENOMEM, "query iterator");
}

/* ---- union ------------------------------------------------------------------------ */

typedef struct union_iter {
    qn_iter base;
    qn_iter **heap; /* by document, the least first */
    size_t n;
    uint32_t at_least;
    qn_union_score how;
    float tie_breaker;
} union_iter;

static void sift_down(union_iter *u, size_t i)
{
    qn_iter *moved = u->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= u->n) break;
        if (child + 1 < u->n && u->heap[child + 1]->doc < u->heap[child]->doc) child++;
        if (u->heap[child]->doc >= moved->doc) break;
        u->heap[i] = u->heap[child];
        i = child;
    }
    u->heap[i] = moved;
}

static void heapify(union_iter *u)
{
    for (size_t i = u->n / 2; i > 0; i--) sift_down(u, i - 1);
}

/* How many children are on the current document. */
static uint32_t count_matches(const union_iter *u, size_t i)
{
    if (i >= u->n || u->heap[i]->doc != u->heap[0]->doc) return 0;
    return 1 + count_matches(u, 2 * i + 1) + count_matches(u, 2 * i + 2);
}

static qn_status union_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    union_iter *u = (union_iter *)it;
    for (;;) {
        while (u->heap[0]->doc < target) {
            QN_TRY(u->heap[0]->kind->seek(u->heap[0], target, err));
            sift_down(u, 0);
        }
        it->doc = u->heap[0]->doc;
        if (it->doc == QN_DOC_END || u->at_least <= 1) return QN_OK;
        if (count_matches(u, 0) >= u->at_least) return QN_OK;
        target = it->doc + 1;
    }
}

static qn_status union_next(qn_iter *it, qn_error *err)
{
    union_iter *u = (union_iter *)it;
    uint32_t doc = it->doc;
    if (doc == QN_DOC_END) return QN_OK;
    while (u->heap[0]->doc == doc) {
        QN_TRY(u->heap[0]->kind->next(u->heap[0], err));
        sift_down(u, 0);
    }
    return union_seek(it, doc + 1, err);
}

typedef struct union_sum {
    double sum; /* SUM: of all; DISMAX: of all but the greatest */
    float best;
} union_sum;

static qn_status add_scores(const union_iter *u, size_t i, union_sum *s, qn_error *err)
{
    if (i >= u->n || u->heap[i]->doc != u->base.doc) return QN_OK;
    float score;
    QN_TRY(u->heap[i]->kind->score(u->heap[i], &score, err));
    if (u->how == QN_UNION_SUM) {
        s->sum += (double)score;
    } else if (score >= s->best) {
        s->sum += (double)s->best;
        s->best = score;
    } else {
        s->sum += (double)score;
    }
    QN_TRY(add_scores(u, 2 * i + 1, s, err));
    return add_scores(u, 2 * i + 2, s, err);
}

static qn_status union_score(qn_iter *it, float *score, qn_error *err)
{
    const union_iter *u = (const union_iter *)it;
    union_sum s = {0};
    QN_TRY(add_scores(u, 0, &s, err));
    *score = u->how == QN_UNION_SUM
                 ? (float)s.sum
                 : (float)((double)s.best + s.sum * (double)u->tie_breaker);
    return QN_OK;
}

static const qn_iter_kind union_kind = {union_next, union_seek, union_score, NULL};

static qn_status make_heap(qn_iter_maker *m, qn_iter *const *children, size_t n,
                           uint32_t at_least, qn_union_score how, float tie_breaker,
                           qn_iter **out)
{
    union_iter *u = qn_arena_new(m->scratch, sizeof *u);
    if (u == NULL) return no_memory(m);
    *u = (union_iter){.base = {&union_kind, 0, 0},
                      .heap = qn_arena_array(m->scratch, n, sizeof *u->heap),
                      .n = n,
                      .at_least = at_least,
                      .how = how,
                      .tie_breaker = tie_breaker};
    if (u->heap == NULL) return no_memory(m);
    for (size_t i = 0; i < n; i++) {
        u->heap[i] = children[i];
        u->base.cost += children[i]->cost;
    }
    heapify(u);
    QN_TRY(union_seek(&u->base, 0, m->err));
    if (u->base.doc != QN_DOC_END) *out = &u->base;
    return QN_OK;
}

/* ---- union, a window at a time ------------------------------------------------------
 * Each child adds its scores to an array indexed by document, so that a document costs
 * a store per clause and no comparison between clauses. */

typedef struct window_iter {
    qn_iter base;
    qn_iter **children;
    size_t n;
    uint32_t at_least, doc_count;
    qn_window *w;
} window_iter;

/* Forgets documents that too few clauses had. */
static void drop_rare(const window_iter *u)
{
    qn_window *w = u->w;
    for (uint32_t i = 0; i < w->limit - w->base; i++)
        if (w->counts[i] < u->at_least) w->seen[i / 64] &= ~((uint64_t)1 << (i % 64));
}

/* The window that begins at the first document >= target of any child; false when
 * there is none. */
static qn_status fill_window(window_iter *u, uint32_t target, bool *any, qn_error *err)
{
    qn_window *w = u->w;
    uint32_t first = QN_DOC_END;
    for (size_t i = 0; i < u->n; i++) {
        QN_TRY(qn_iter_reach(u->children[i], target, err));
        if (u->children[i]->doc < first) first = u->children[i]->doc;
    }
    *any = first != QN_DOC_END;
    if (!*any) return QN_OK;
    w->base = first;
    w->limit = u->doc_count - first < QN_WINDOW ? u->doc_count : first + QN_WINDOW;
    memset(w->sums, 0, sizeof w->sums);
    memset(w->seen, 0, sizeof w->seen);
    if (w->counts != NULL) memset(w->counts, 0, QN_WINDOW * sizeof *w->counts);
    for (size_t i = 0; i < u->n; i++)
        if (u->children[i]->doc < w->limit)
            QN_TRY(qn_iter_window(u->children[i], w, err));
    if (w->counts != NULL) drop_rare(u);
    return QN_OK;
}

/* The first document of the window >= target, or QN_DOC_END. */
static uint32_t in_window(const qn_window *w, uint32_t target)
{
    if (target >= w->limit) return QN_DOC_END;
    uint32_t i = target - w->base, word = i / 64;
    uint64_t left = w->seen[word] & (UINT64_MAX << (i % 64));
    while (left == 0 && ++word < QN_WINDOW / 64) left = w->seen[word];
    if (left == 0) return QN_DOC_END;
    return w->base + word * 64 + (uint32_t)__builtin_ctzll(left);
}

static qn_status window_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    window_iter *u = (window_iter *)it;
    for (;;) {
        it->doc = in_window(u->w, target);
        if (it->doc != QN_DOC_END) return QN_OK;
        bool any;
        if (target < u->w->limit) target = u->w->limit;
        QN_TRY(fill_window(u, target, &any, err));
        if (!any) return QN_OK;
        target = u->w->base;
    }
}

static qn_status window_next(qn_iter *it, qn_error *err)
{
    return it->doc == QN_DOC_END ? QN_OK : window_seek(it, it->doc + 1, err);
}

static qn_status window_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    const qn_window *w = ((const window_iter *)it)->w;
    *score = (float)w->sums[it->doc - w->base];
    return QN_OK;
}

static const qn_iter_kind window_kind = {window_next, window_seek, window_score, NULL};

static qn_status make_window(qn_iter_maker *m, qn_iter *const *children, size_t n,
                             uint32_t at_least, qn_iter **out)
{
    window_iter *u = qn_arena_new(m->scratch, sizeof *u);
    if (u == NULL) return no_memory(m);
    *u = (window_iter){.base = {&window_kind, 0, 0},
                       .children = qn_arena_array(m->scratch, n, sizeof *u->children),
                       .n = n,
                       .at_least = at_least,
                       .doc_count = m->view->doc_count,
                       .w = qn_arena_new(m->scratch, sizeof *u->w)};
    if (u->children == NULL || u->w == NULL) return no_memory(m);
    if (at_least > 1) {
        u->w->counts = qn_arena_array(m->scratch, QN_WINDOW, sizeof *u->w->counts);
        if (u->w->counts == NULL) return no_memory(m);
    }
    for (size_t i = 0; i < n; i++) {
        u->children[i] = children[i];
        u->base.cost += children[i]->cost;
    }
    QN_TRY(window_seek(&u->base, 0, m->err));
    if (u->base.doc != QN_DOC_END) *out = &u->base;
    return QN_OK;
}

qn_status qn_iter_make_union(qn_iter_maker *m, qn_iter *const *children, size_t n,
                             uint32_t at_least, qn_union_score how, float tie_breaker,
                             qn_iter **out)
{
    *out = NULL;
    if (n == 0 || at_least > n) return QN_OK;
    if (n == 1) {
        *out = children[0];
        return QN_OK;
    }
    if (how == QN_UNION_SUM && !m->jumps)
        return make_window(m, children, n, at_least, out);
    return make_heap(m, children, n, at_least, how, tie_breaker, out);
}

/* ---- intersection ------------------------------------------------------------------- */

typedef struct both_iter {
    qn_iter base;
    qn_iter **all; /* cheapest first */
    size_t n;
    qn_iter *const *scored; /* in clause order */
    size_t scored_count;
} both_iter;

static qn_status both_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    both_iter *b = (both_iter *)it;
    qn_iter *lead = b->all[0];
    for (;;) {
        QN_TRY(qn_iter_reach(lead, target, err));
        it->doc = target = lead->doc;
        if (target == QN_DOC_END) return QN_OK;
        size_t i = 1;
        for (; i < b->n; i++) {
            QN_TRY(qn_iter_reach(b->all[i], target, err));
            if (b->all[i]->doc != target) break;
        }
        if (i == b->n) return QN_OK;
        target = b->all[i]->doc;
    }
}

static qn_status both_next(qn_iter *it, qn_error *err)
{
    return it->doc == QN_DOC_END ? QN_OK : both_seek(it, it->doc + 1, err);
}

static qn_status both_score(qn_iter *it, float *score, qn_error *err)
{
    const both_iter *b = (const both_iter *)it;
    double sum = 0;
    for (size_t i = 0; i < b->scored_count; i++) {
        float one;
        QN_TRY(b->scored[i]->kind->score(b->scored[i], &one, err));
        sum += (double)one;
    }
    *score = (float)sum;
    return QN_OK;
}

static const qn_iter_kind both_kind = {both_next, both_seek, both_score, NULL};

qn_status qn_iter_make_both(qn_iter_maker *m, qn_iter *const *all, size_t n,
                            qn_iter *const *scored, size_t scored_count, qn_iter **out)
{
    *out = NULL;
    both_iter *b = qn_arena_new(m->scratch, sizeof *b);
    if (b == NULL) return no_memory(m);
    *b = (both_iter){.base = {&both_kind, 0, 0},
                     .all = qn_arena_array(m->scratch, n, sizeof *b->all),
                     .n = n,
                     .scored = scored,
                     .scored_count = scored_count};
    if (b->all == NULL) return no_memory(m);
    for (size_t i = 0; i < n; i++) {
        size_t k = i;
        for (; k > 0 && b->all[k - 1]->cost > all[i]->cost; k--)
            b->all[k] = b->all[k - 1];
        b->all[k] = all[i];
    }
    b->base.cost = b->all[0]->cost;
    QN_TRY(both_seek(&b->base, 0, m->err));
    if (b->base.doc != QN_DOC_END) *out = &b->base;
    return QN_OK;
}

/* ---- required, with something optional ------------------------------------------------- */

typedef struct optional_iter {
    qn_iter base;
    qn_iter *required, *optional;
} optional_iter;

static qn_status optional_next(qn_iter *it, qn_error *err)
{
    optional_iter *o = (optional_iter *)it;
    QN_TRY(o->required->kind->next(o->required, err));
    it->doc = o->required->doc;
    return QN_OK;
}

static qn_status optional_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    optional_iter *o = (optional_iter *)it;
    QN_TRY(qn_iter_reach(o->required, target, err));
    it->doc = o->required->doc;
    return QN_OK;
}

static qn_status optional_score(qn_iter *it, float *score, qn_error *err)
{
    const optional_iter *o = (const optional_iter *)it;
    QN_TRY(o->required->kind->score(o->required, score, err));
    QN_TRY(qn_iter_reach(o->optional, it->doc, err));
    if (o->optional->doc != it->doc) return QN_OK;
    float more;
    QN_TRY(o->optional->kind->score(o->optional, &more, err));
    *score += more;
    return QN_OK;
}

static const qn_iter_kind optional_kind = {optional_next, optional_seek, optional_score,
                                           NULL};

static qn_status make_optional(qn_iter_maker *m, qn_iter *required, qn_iter *optional,
                               qn_iter **out)
{
    *out = required;
    if (required == NULL || optional == NULL) return QN_OK;
    optional_iter *o = qn_arena_new(m->scratch, sizeof *o);
    if (o == NULL) return no_memory(m);
    *o = (optional_iter){
        {&optional_kind, required->doc, required->cost}, required, optional};
    *out = &o->base;
    return QN_OK;
}

/* ---- without ----------------------------------------------------------------------- */

typedef struct without_iter {
    qn_iter base;
    qn_iter *kept, *dropped;
} without_iter;

static qn_status without_settle(without_iter *w, qn_error *err)
{
    for (;;) {
        w->base.doc = w->kept->doc;
        if (w->base.doc == QN_DOC_END) return QN_OK;
        QN_TRY(qn_iter_reach(w->dropped, w->base.doc, err));
        if (w->dropped->doc != w->base.doc) return QN_OK;
        QN_TRY(w->kept->kind->next(w->kept, err));
    }
}

static qn_status without_next(qn_iter *it, qn_error *err)
{
    without_iter *w = (without_iter *)it;
    QN_TRY(w->kept->kind->next(w->kept, err));
    return without_settle(w, err);
}

static qn_status without_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    without_iter *w = (without_iter *)it;
    QN_TRY(qn_iter_reach(w->kept, target, err));
    return without_settle(w, err);
}

static qn_status without_score(qn_iter *it, float *score, qn_error *err)
{
    const without_iter *w = (const without_iter *)it;
    return w->kept->kind->score(w->kept, score, err);
}

static const qn_iter_kind without_kind = {without_next, without_seek, without_score,
                                          NULL};

static qn_status make_without(qn_iter_maker *m, qn_iter *kept, qn_iter *dropped,
                              qn_iter **out)
{
    *out = kept;
    if (kept == NULL || dropped == NULL) return QN_OK;
    without_iter *w = qn_arena_new(m->scratch, sizeof *w);
    if (w == NULL) return no_memory(m);
    *w = (without_iter){{&without_kind, kept->doc, kept->cost}, kept, dropped};
    QN_TRY(without_settle(w, m->err));
    *out = w->base.doc == QN_DOC_END ? NULL : &w->base;
    return QN_OK;
}

/* ---- putting them together -------------------------------------------------------------- */

/* The children that have documents here; filters from the cache where it has them. */
static qn_status make_list(qn_iter_maker *m, qn_plan_list list, bool filters,
                           qn_iter ***out, size_t *n)
{
    *n = 0;
    *out = qn_arena_array(m->scratch, list.n + 1, sizeof **out);
    if (*out == NULL) return no_memory(m);
    for (size_t i = 0; i < list.n; i++) {
        qn_iter *one;
        if (filters)
            QN_TRY(qn_filter_iter(m, list.p[i], &one));
        else
            QN_TRY(qn_iter_make(m, list.p[i], &one));
        if (one != NULL) (*out)[(*n)++] = one;
    }
    return QN_OK;
}

/* must and filter together; *none when one of them has no documents. */
static qn_status make_required(qn_iter_maker *m, const qn_plan *plan, qn_iter **out,
                               bool *none)
{
    qn_iter **must, **filter;
    size_t musts, filters;
    *out = NULL;
    QN_TRY(make_list(m, plan->must, false, &must, &musts));
    *none = musts < plan->must.n;
    if (*none) return QN_OK;
    QN_TRY(make_list(m, plan->filter, true, &filter, &filters));
    *none = filters < plan->filter.n;
    if (*none || musts + filters == 0) return QN_OK;
    if (filters == 0 && musts == 1) {
        *out = must[0];
        return QN_OK;
    }
    qn_iter **all = qn_arena_array(m->scratch, musts + filters, sizeof *all);
    if (all == NULL) return no_memory(m);
    for (size_t i = 0; i < musts; i++) all[i] = must[i];
    for (size_t i = 0; i < filters; i++) all[musts + i] = filter[i];
    QN_TRY(qn_iter_make_both(m, all, musts + filters, must, plan->scores ? musts : 0,
                             out));
    *none = *out == NULL;
    return QN_OK;
}

/* Will `lead` ask a union of these for a few of its documents only? Then comparing
 * clauses document by document beats adding up whole windows. */
static bool is_sparse(QN_NULLABLE const qn_iter *lead, qn_iter *const *children,
                      size_t n)
{
    enum { MANY = 16 };
    uint64_t cost = 0;
    for (size_t i = 0; i < n; i++) cost += children[i]->cost;
    return lead != NULL && lead->cost < cost / MANY;
}

/* The union of a list, beside what leads the walk. */
static qn_status make_union_of(qn_iter_maker *m, qn_plan_list list, bool filters,
                               uint32_t at_least, QN_NULLABLE const qn_iter *lead,
                               qn_iter **out)
{
    qn_iter **children;
    size_t n;
    bool jumps = m->jumps;
    QN_TRY(make_list(m, list, filters, &children, &n));
    m->jumps = jumps || is_sparse(lead, children, n);
    QN_TRY(qn_iter_make_union(m, children, n, at_least, QN_UNION_SUM, 0.0f, out));
    m->jumps = jumps;
    return QN_OK;
}

static qn_status make_dismax(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    qn_iter **children;
    size_t n;
    QN_TRY(make_list(m, plan->should, false, &children, &n));
    return qn_iter_make_union(m, children, n, 1, QN_UNION_DISMAX,
                              plan->query->u.dismax.tie_breaker, out);
}

/* Required and at least one of the optional ones: both scores as floats. */
static qn_status make_mixed(qn_iter_maker *m, const qn_plan *plan, qn_iter *required,
                            qn_iter *optional, qn_iter **out)
{
    if (plan->should_min == 0) return make_optional(m, required, optional, out);
    *out = NULL;
    if (optional == NULL) return QN_OK;
    qn_iter **two = qn_arena_array(m->scratch, 2, sizeof *two);
    if (two == NULL) return no_memory(m);
    two[0] = required;
    two[1] = optional;
    return qn_iter_make_both(m, two, 2, two, plan->scores ? 2 : 0, out);
}

qn_status qn_iter_make_bool(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    if (plan->query->kind == QN_QUERY_DISMAX) return make_dismax(m, plan, out);
    qn_iter *required, *optional = NULL, *kept;
    bool none, jumps = m->jumps;
    *out = NULL;
    m->jumps = jumps || plan->must.n + plan->filter.n > 1;
    QN_TRY(make_required(m, plan, &required, &none));
    m->jumps = jumps;
    if (none) return QN_OK;
    uint32_t at_least = plan->should_min == 0 ? 1 : plan->should_min;
    QN_TRY(make_union_of(m, plan->should, false, at_least, required, &optional));
    if (required != NULL)
        QN_TRY(make_mixed(m, plan, required, optional, &kept));
    else if (plan->should.n > 0)
        kept = optional;
    else /* only must_not: everything else, with score nought */
        QN_TRY(qn_iter_make_all(m, 0.0f, &kept));
    *out = kept;
    if (kept == NULL || plan->must_not.n == 0) return QN_OK;
    qn_iter *any;
    QN_TRY(make_union_of(m, plan->must_not, true, 1, kept, &any));
    return make_without(m, kept, any, out);
}
