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
#include "num/kernels.h"
#include "num/lists.h"
#include "query/run.h"

#include <math.h>

enum {
    STEP_MIN = 512, /* documents of a window of several words, at least */
    ONE_MAX = 8192, /* of a window of one word before there is a floor */
    BATCH = QN_WORD_BATCH,
    LEAD_GAIN = 4, /* a filter leads when it has that many times fewer documents */
};

/* A word in one field; or in several, of which the best counts. */
typedef struct any_clause {
    qn_word **words;
    size_t n;
    uint64_t cost;
    double outer; /* no score in the outer window is greater */
    double bound; /* nor in the window */
} any_clause;

/* Sums by document. `some` says which words of `seen` are not empty. */
typedef struct any_window {
    uint32_t base, limit;
    uint64_t some, seen[QN_WINDOW / 64];
    double sums[QN_WINDOW];
} any_window;

typedef struct any_part {
    any_clause **clauses; /* by bound, the least first */
    size_t n, essential;  /* the first of those that are */
    any_clause **outer;   /* the same in the outer window */
    size_t outer_essential;
    double *reach; /* reach[i]: bounds of clauses [0, i) together */
    QN_NULLABLE any_window *w;
    double sums[BATCH + 8]; /* the kernel writes some behind */
} any_part;

typedef struct any_run {
    qn_run *r;
    const qn_lists *lists; /* kernels */
    any_part *parts;
    size_t part_count;
    float tie;
    uint32_t doc_count;
    uint32_t outer_end; /* of the outer window; and what it was split for */
    float outer_floor;
    bool outer_pruning;
    uint32_t docs[BATCH]; /* the candidates */
    bool only_hits;       /* candidates come from a filter: a word must match */
    uint32_t hits[BATCH]; /* does one? */
    size_t n;
    qn_word_docs run;
    float *best;    /* several fields: a window of their greatest scores */
    uint64_t *seen; /* and where they are */
} any_run;

static qn_status no_memory(const any_run *a)
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
    if (o->top_n == 0) return QN_OK;
    float seed;
    QN_TRY(qn_word_seed(r->m, w, term, o->top_n, &r->accept, r->seed, &seed));
    if (seed > r->seed) r->seed = seed;
    return QN_OK;
}

static qn_status add_clause(any_run *a, any_part *part, const qn_plan *plan)
{
    qn_iter_maker *m = a->r->m;
    any_clause *c = qn_arena_new(m->scratch, sizeof *c);
    if (c == NULL) return no_memory(a);
    c->words = qn_arena_array(m->scratch, plan->field_count, sizeof(qn_word *));
    if (c->words == NULL) return no_memory(a);
    for (size_t i = 0; i < plan->field_count; i++) {
        qn_word *w;
        QN_TRY(qn_word_open(m, plan, i, 0, &w));
        if (w == NULL) continue;
        c->words[c->n++] = w;
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
        return no_memory(a);
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
    if (a->parts == NULL) return no_memory(a);
    for (size_t i = 0; i < n; i++) {
        any_part *part = &a->parts[a->part_count];
        QN_TRY(make_part(a, part, dismax ? plan->should.p[i] : plan));
        if (part->n > 0) a->part_count++;
    }
    return QN_OK;
}

static qn_status need_windows(any_run *a)
{
    qn_arena *scratch = a->r->m->scratch;
    for (size_t i = 0; i < a->part_count; i++) {
        if (a->parts[i].w != NULL) continue;
        a->parts[i].w = qn_arena_new(scratch, sizeof(any_window));
        if (a->parts[i].w == NULL) return no_memory(a);
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

/* ---- candidates -------------------------------------------------------------------- */

static qn_status add_to(const any_clause *c, uint32_t doc, double *sum, uint32_t *hit,
                        qn_error *err)
{
    float best = 0;
    for (size_t i = 0; i < c->n; i++) {
        qn_word *w = c->words[i];
        QN_TRY(qn_word_seek(w, doc, err));
        if (w->p.doc != doc) continue;
        float score;
        QN_TRY(qn_word_score(w, &score, err));
        if (score > best) best = score;
        *hit = 1;
    }
    *sum += (double)best;
    return QN_OK;
}

/* Looks the candidates up in one clause, dropping those for which it cannot matter. */
static qn_status look_up(any_run *a, any_part *part, size_t clause)
{
    const any_clause *c = part->clauses[clause];
    double rest = part->reach[clause];
    qn_word_batch batch = {a->docs, part->sums, a->only_hits ? a->hits : NULL, a->n};
    if (c->n == 1) {
        QN_TRY(qn_word_look_up(c->words[0], &batch, QN_WORD_MAY, rest, a->r->floor,
                               a->r->m->err));
        a->n = batch.n;
        return QN_OK;
    }
    size_t kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        a->docs[kept] = a->docs[i];
        a->hits[kept] = a->hits[i];
        part->sums[kept] = part->sums[i];
        QN_TRY(
            add_to(c, a->docs[kept], &part->sums[kept], &a->hits[kept], a->r->m->err));
        kept += !qn_run_hopeless(a->r, part->sums[kept] + rest);
    }
    a->n = kept;
    return QN_OK;
}

/* Several parts: all that may matter of each. */
static qn_status complete_parts(any_run *a, size_t i, float *score)
{
    float best = 0;
    double sum = 0;
    for (size_t p = 0; p < a->part_count; p++) {
        any_part *part = &a->parts[p];
        for (size_t k = part->essential; k > 0; k--) {
            if (qn_run_hopeless(a->r, part->sums[i] + part->reach[k])) break;
            QN_TRY(add_to(part->clauses[k - 1], a->docs[i], &part->sums[i], &a->hits[i],
                          a->r->m->err));
        }
        float one = (float)part->sums[i];
        sum += (double)(one >= best ? best : one);
        if (one > best) best = one;
    }
    *score = (float)((double)best + sum * (double)a->tie);
    return QN_OK;
}

static qn_status drop_unaccepted(any_run *a, bool bits_said)
{
    bool keep[BATCH];
    QN_TRY(qn_accept_test(&a->r->accept, a->docs, a->n, bits_said, keep, a->r->m->err));
    size_t kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (!keep[i]) continue;
        a->docs[kept] = a->docs[i];
        a->hits[kept] = a->hits[i];
        for (size_t p = 0; p < a->part_count; p++)
            a->parts[p].sums[kept] = a->parts[p].sums[i];
        kept++;
    }
    a->n = kept;
    return QN_OK;
}

/* Hands the candidates over. */
static qn_status finish_batch(any_run *a, bool bits_said)
{
    qn_accept *accept = &a->r->accept;
    if (qn_accept_asks(accept) || (!bits_said && !qn_accept_all(accept)))
        QN_TRY(drop_unaccepted(a, bits_said));
    if (a->part_count == 1)
        for (size_t k = a->parts[0].essential; k > 0 && a->n > 0; k--)
            QN_TRY(look_up(a, &a->parts[0], k - 1));
    for (size_t i = 0; i < a->n; i++) {
        float score = (float)a->parts[0].sums[i];
        if (a->part_count > 1) QN_TRY(complete_parts(a, i, &score));
        if (a->only_hits && a->hits[i] == 0) continue;
        if (score <= a->r->cut)
            a->r->c->total++;
        else
            QN_TRY(qn_collector_add(a->r->c, a->docs[i], score));
    }
    a->n = 0;
    return QN_OK;
}

/* ---- one essential word ----------------------------------------------------------------- */

/* Up to which sum a match is of no use, when all but filters is known of it. */
static float useless_score(const any_run *a, bool accepted)
{
    if (a->r->pruning) return a->r->floor;
    return accepted ? a->r->cut : -HUGE_VALF;
}

static qn_status take_run(any_run *a, any_part *part, const uint32_t *docs,
                          const float *scores, size_t n)
{
    double rest = part->reach[part->essential];
    size_t kept = 0;
    bool asks = qn_accept_asks(&a->r->accept);
    float least = useless_score(a, !asks);
    if (rest > 0) { /* rounded down, with room for the rounding of sums */
        double left = ((double)least - rest) * (1.0 - 1e-6);
        least = left > 0 ? (float)left : -HUGE_VALF;
    }
    for (size_t i = 0; i < n; i++) {
        a->docs[kept] = docs[i];
        part->sums[kept] = (double)scores[i];
        kept += scores[i] > least;
    }
    if (a->r->counting && !asks) a->r->c->total += n - kept;
    if (kept == 0) return QN_OK;
    for (size_t p = 0; p < a->part_count; p++)
        if (&a->parts[p] != part) memset(a->parts[p].sums, 0, kept * sizeof(double));
    a->n = kept;
    return finish_batch(a, true);
}

/* All documents of the word in [base, limit). Leaves the list on the last of them, so
 * that no block is decoded that may be passed over. */
static qn_status run_word(any_run *a, any_part *part, qn_word *w, uint32_t base,
                          uint32_t limit)
{
    QN_TRY(qn_word_seek(w, base, a->r->m->err));
    while (w->p.doc < limit) {
        qn_word_docs *run = &a->run;
        QN_TRY(qn_word_run(w, limit, &a->r->accept, run, a->r->m->err));
        QN_TRY(take_run(a, part, run->docs, run->scores, run->n));
        if (run->last) break;
        QN_TRY(qn_word_pass(w, run->taken, a->r->m->err));
    }
    return QN_OK;
}

/* ---- several essential words --------------------------------------------------------------- */

/* The documents' bits, a store a word of them. */
static void mark_dense(any_window *w, const uint32_t *docs, size_t n)
{
    uint32_t word = (docs[0] - w->base) / 64;
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t at = docs[i] - w->base;
        if (at / 64 != word) {
            w->seen[word] |= bits;
            word = at / 64;
            bits = 0;
        }
        bits |= (uint64_t)1 << (at % 64);
    }
    w->seen[word] |= bits;
}

static void add_scores(any_window *w, const uint32_t *docs, const float *scores,
                       size_t n)
{
    enum { DENSE = 3 }; /* documents to one of the list */
    if (n == 0) return;
    uint32_t first = (docs[0] - w->base) / 64, last = (docs[n - 1] - w->base) / 64;
    w->some |= UINT64_MAX >> (63 - (last - first)) << first;
    double *sums = w->sums;
    const uint32_t base = w->base;
    if (docs[n - 1] - docs[0] < DENSE * n) {
        for (size_t i = 0; i < n; i++) sums[docs[i] - base] += (double)scores[i];
        mark_dense(w, docs, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t at = docs[i] - base;
        sums[at] += (double)scores[i];
        w->seen[at / 64] |= (uint64_t)1 << (at % 64);
    }
}

static void add_best(any_run *a, const any_window *w, const uint32_t *docs,
                     const float *scores, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t at = docs[i] - w->base;
        if (scores[i] > a->best[at]) a->best[at] = scores[i];
        a->seen[at / 64] |= (uint64_t)1 << (at % 64);
    }
}

static qn_status fill_word(any_run *a, qn_word *word, any_window *w, uint32_t base,
                           bool best)
{
    qn_error *err = a->r->m->err;
    QN_TRY(qn_word_seek(word, base, err));
    while (word->p.doc < w->limit) {
        qn_word_docs *run = &a->run;
        QN_TRY(qn_word_run(word, w->limit, &a->r->accept, run, err));
        if (best)
            add_best(a, w, run->docs, run->scores, run->n);
        else
            add_scores(w, run->docs, run->scores, run->n);
        if (run->last) break;
        QN_TRY(qn_word_pass(word, run->taken, err));
    }
    return QN_OK;
}

/* The best of the word's fields goes into the sums. */
static qn_status fill_fields(any_run *a, const any_clause *c, any_window *w,
                             uint32_t base)
{
    qn_arena *scratch = a->r->m->scratch;
    if (a->best == NULL) {
        a->best = qn_arena_array(scratch, QN_WINDOW, sizeof *a->best);
        a->seen = qn_arena_array(scratch, QN_WINDOW / 64, sizeof *a->seen);
        if (a->best == NULL || a->seen == NULL) return no_memory(a);
    }
    for (size_t i = 0; i < c->n; i++) QN_TRY(fill_word(a, c->words[i], w, base, true));
    for (size_t word = 0; word < QN_WINDOW / 64; word++) {
        uint64_t left = a->seen[word];
        if (left == 0) continue;
        w->some |= (uint64_t)1 << word;
        w->seen[word] |= left;
        a->seen[word] = 0;
        for (; left != 0; left &= left - 1) {
            size_t at = word * 64 + (size_t)__builtin_ctzll(left);
            w->sums[at] += (double)a->best[at];
            a->best[at] = 0;
        }
    }
    return QN_OK;
}

/* Takes document `at` of the window out of it, and to the candidates unless it is of no
 * use; *useless counts. */
static void take_sums(any_run *a, uint32_t at, float least, size_t *useless)
{
    bool hopeful = false;
    double together = 0;
    for (size_t p = 0; p < a->part_count; p++) {
        any_part *part = &a->parts[p];
        double sum = part->w->sums[at];
        part->w->sums[at] = 0;
        part->sums[a->n] = sum;
        sum += part->reach[part->essential];
        together += sum;
        hopeful = hopeful || sum * QN_SUM_SLACK > (double)least;
    }
    if (a->tie > 0.0f) hopeful = together * QN_SUM_SLACK > (double)least;
    a->docs[a->n] = a->parts[0].w->base + at;
    a->n += hopeful;
    *useless += !hopeful;
}

/* The same of one part, without a branch that depends on the sum. */
static void take_sum(any_run *a, any_part *part, uint32_t at, double need,
                     size_t *useless)
{
    double sum = part->w->sums[at];
    part->w->sums[at] = 0;
    part->sums[a->n] = sum;
    a->docs[a->n] = part->w->base + at;
    size_t hopeful = sum > need;
    a->n += hopeful;
    *useless += 1 - hopeful;
}

static uint64_t take_seen(any_run *a, size_t word)
{
    uint64_t seen = 0;
    for (size_t p = 0; p < a->part_count; p++) {
        seen |= a->parts[p].w->seen[word];
        a->parts[p].w->seen[word] = 0;
    }
    return seen;
}

/* One part: the word's sums are compared together when there are several. */
static void take_word_alone(any_run *a, size_t word, uint64_t left, double need,
                            size_t *useless)
{
    any_part *part = &a->parts[0];
    uint32_t base = part->w->base + (uint32_t)word * 64;
    if ((left & (left - 1)) == 0) {
        take_sum(a, part, (uint32_t)word * 64 + (uint32_t)__builtin_ctzll(left), need,
                 useless);
        return;
    }
    uint64_t good = a->lists->take_above(part->w->sums + word * 64, left, need,
                                         part->sums + a->n, useless);
    for (; good != 0; good &= good - 1)
        a->docs[a->n++] = base + (uint32_t)__builtin_ctzll(good);
}

static void take_word(any_run *a, size_t word, float least, double need,
                      size_t *useless)
{
    uint64_t left = take_seen(a, word);
    if (left == 0) return;
    if (a->part_count == 1) {
        take_word_alone(a, word, left, need, useless);
        return;
    }
    for (; left != 0; left &= left - 1) {
        uint32_t bit = (uint32_t)__builtin_ctzll(left);
        take_sums(a, (uint32_t)word * 64 + bit, least, useless);
    }
}

static qn_status empty_window(any_run *a)
{
    bool asks = qn_accept_asks(&a->r->accept);
    float least = useless_score(a, !asks);
    uint64_t some = 0;
    size_t useless = 0;
    double need = (double)least / QN_SUM_SLACK * (1.0 - 1e-12) -
                  a->parts[0].reach[a->parts[0].essential];
    for (size_t p = 0; p < a->part_count; p++) {
        some |= a->parts[p].w->some;
        a->parts[p].w->some = 0;
    }
    for (; some != 0; some &= some - 1) {
        take_word(a, (size_t)__builtin_ctzll(some), least, need, &useless);
        if (a->n > BATCH - 64) QN_TRY(finish_batch(a, true));
    }
    if (a->r->counting && !asks) a->r->c->total += useless;
    return finish_batch(a, true);
}

static qn_status run_window(any_run *a, uint32_t base, uint32_t limit)
{
    QN_TRY(need_windows(a));
    for (size_t p = 0; p < a->part_count; p++) {
        any_part *part = &a->parts[p];
        part->w->base = base & ~(uint32_t)63;
        part->w->limit = limit;
        for (size_t k = part->essential; k < part->n; k++) {
            any_clause *c = part->clauses[k];
            if (c->n > 1)
                QN_TRY(fill_fields(a, c, part->w, base));
            else
                QN_TRY(fill_word(a, c->words[0], part->w, base, false));
        }
    }
    return empty_window(a);
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

static qn_status run_piece(any_run *a, uint32_t base, uint32_t *limit)
{
    any_clause *one = NULL;
    any_part *of = NULL;
    bool alone = essential_count(a, &one, &of) == 1 && one->n == 1;
    *limit = window_end(a, base, alone);
    if (a->r->pruning && !split_window(a, base, *limit)) return QN_OK;
    if (essential_count(a, &one, &of) == 1 && one->n == 1)
        return run_word(a, of, one->words[0], base, *limit);
    return run_window(a, base, *limit);
}

static qn_status walk(any_run *a)
{
    for (uint32_t base = 0; base < a->doc_count && !*a->r->timed_out;) {
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

/* A filter with few documents: those are looked up in every word. */
static qn_status walk_filter(any_run *a, qn_iter *lead)
{
    any_part *part = &a->parts[0];
    a->only_hits = true;
    while (lead->doc != QN_DOC_END && !*a->r->timed_out) {
        QN_TRY(qn_run_look(a->r));
        if (!split_all(a)) break;
        part->essential = part->n;
        while (a->n < BATCH && lead->doc != QN_DOC_END) {
            a->docs[a->n] = lead->doc;
            a->hits[a->n] = 0;
            part->sums[a->n++] = 0;
            QN_TRY(lead->kind->next(lead, a->r->m->err));
        }
        QN_TRY(finish_batch(a, false));
    }
    return QN_OK;
}

/* ---- one word from its best documents ---------------------------------------------------------- */

typedef struct best_entry {
    float score;
    uint32_t doc;
} best_entry;

static bool comes_before(best_entry a, best_entry b)
{
    return a.score > b.score || (a.score == b.score && a.doc < b.doc);
}

/* The entries that pass, the best first under today's statistics. They stand nearly so. */
static size_t sort_entries(const any_run *a, const qn_word *w,
                           const qn_postings_top *top, best_entry *out)
{
    const qn_accept *accept = &a->r->accept;
    size_t n = 0;
    for (size_t i = 0; i < top->n; i++) {
        const qn_postings_entry *e = &top->entries[i];
        if (!qn_accept_bit(accept, e->doc)) continue;
        best_entry one = {qn_bm25_score(&w->bm25, (float)e->freq, e->norm), e->doc};
        size_t k = n++;
        for (; k > 0 && comes_before(one, out[k - 1]); k--) out[k] = out[k - 1];
        out[k] = one;
    }
    return n;
}

/* Are the k best entries the k best of the list? */
static bool are_best(const qn_word *w, const qn_postings_top *top, best_entry kth)
{
    for (size_t i = 0; i < top->left_out_n; i++) {
        const qn_postings_entry *e = &top->left_out[i];
        best_entry most = {qn_bm25_score(&w->bm25, (float)e->freq, e->norm), e->doc};
        if (!comes_before(kth, most)) return false;
    }
    return true;
}

/* A single word whose k best documents are stored: nothing else need be read, if how many
 * match is known as well. */
static qn_status take_best(any_run *a, bool *done)
{
    qn_run *r = a->r;
    const qn_exec_options *o = r->c->options;
    const any_part *part = &a->parts[0];
    *done = false;
    if (a->part_count != 1 || part->n != 1 || part->outer[0]->n != 1) return QN_OK;
    if (o->top_n == 0 || o->filter != NULL || o->has_min_score ||
        qn_accept_asks(&r->accept))
        return QN_OK;
    const qn_word *w = part->outer[0]->words[0];
    qn_postings_top top;
    QN_TRY(qn_postings_best(&w->p, r->m->scratch, &top, r->m->err));
    if (top.n < o->top_n) return QN_OK;
    best_entry *best = qn_arena_array(r->m->scratch, top.n, sizeof *best);
    if (best == NULL) return no_memory(a);
    size_t n = sort_entries(a, w, &top, best), k = o->top_n;
    bool counted = qn_accept_all(&r->accept) ||
                   (o->total_limit > 0 && r->before + k >= (uint64_t)o->total_limit);
    if (n < k || !counted || !are_best(w, &top, best[k - 1])) return QN_OK;
    if (!qn_accept_all(&r->accept)) *r->exact = false;
    for (size_t i = 0; i < k; i++)
        QN_TRY(qn_collector_add(r->c, best[i].doc, best[i].score));
    *done = true;
    return QN_OK;
}

qn_status qn_run_any(qn_run *r)
{
    any_run *a = qn_arena_new(r->m->scratch, sizeof *a);
    if (a == NULL) return qn_fail(r->m->err, QN_ENOMEM, "query iterator");
    a->r = r;
    a->doc_count = r->m->view->doc_count;
    QN_TRY(make_parts(a, r->shape->scored));
    if (a->part_count == 0) return QN_OK;
    a->lists = a->parts[0].outer[0]->words[0]->p.kernels->lists;
    uint64_t cost = 0;
    for (size_t p = 0; p < a->part_count; p++)
        for (size_t k = 0; k < a->parts[p].n; k++) cost += a->parts[p].outer[k]->cost;
    bool done;
    QN_TRY(take_best(a, &done));
    if (done) return QN_OK;
    qn_iter *lead =
        a->part_count == 1 ? qn_accept_lead(&r->accept, cost / LEAD_GAIN) : NULL;
    return lead != NULL ? walk_filter(a, lead) : walk(a);
}
