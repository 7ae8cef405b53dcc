/* SPDX-License-Identifier: Apache-2.0 */
/* ANY: several essential words, through an array of sums by document. */
#include "query/run_any.h"

/* Makes a score of nought one that is there, and changes no other. */
#define SOME 1e-200

static qn_status need_windows(any_run *a)
{
    qn_arena *scratch = a->r->m->scratch;
    for (size_t i = 0; i < a->part_count; i++) {
        if (a->parts[i].w != NULL) continue;
        a->parts[i].w = qn_arena_new(scratch, sizeof(any_window));
        if (a->parts[i].w == NULL) return qn_any__no_memory(a);
    }
    return QN_OK;
}

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
    if (w->full) {
        for (size_t i = 0; i < n; i++)
            w->sums[docs[i] - w->base] += (double)scores[i] + SOME;
        return;
    }
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
        if (a->best == NULL || a->seen == NULL) return qn_any__no_memory(a);
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

/* One part: the sums of a word's 64 documents, whichever are there. */
static void take_full(any_run *a, size_t word, double need, size_t *useless)
{
    any_part *part = &a->parts[0];
    uint32_t base = part->w->base + (uint32_t)word * 64;
    uint64_t good = a->lists->take_positive(part->w->sums + word * 64, need,
                                            part->sums + a->n, useless);
    for (; good != 0; good &= good - 1)
        a->docs[a->n++] = base + (uint32_t)__builtin_ctzll(good);
}

static uint64_t words_to_empty(any_run *a)
{
    const any_window *w = a->parts[0].w;
    uint64_t some = 0;
    if (w->full) return UINT64_MAX >> (63 - (w->limit - 1 - w->base) / 64);
    for (size_t p = 0; p < a->part_count; p++) {
        some |= a->parts[p].w->some;
        a->parts[p].w->some = 0;
    }
    return some;
}

static qn_status empty_window(any_run *a)
{
    bool asks = qn_accept_asks(&a->r->accept), full = a->parts[0].w->full;
    float least = qn_any__useless(a, !asks);
    size_t useless = 0;
    double need = (double)least / QN_SUM_SLACK * (1.0 - 1e-12) -
                  a->parts[0].reach[a->parts[0].essential];
    for (uint64_t some = words_to_empty(a); some != 0; some &= some - 1) {
        size_t word = (size_t)__builtin_ctzll(some);
        if (full)
            take_full(a, word, need, &useless);
        else
            take_word(a, word, least, need, &useless);
        if (a->n > BATCH - 64) QN_TRY(qn_any__finish(a, true));
    }
    if (a->r->counting && !asks) a->r->c->total += useless;
    return qn_any__finish(a, true);
}

/* Are there documents in nearly every word? */
static bool is_full(const any_run *a)
{
    enum { DENSE = 16 }; /* documents to one of the lists' */
    const any_part *part = &a->parts[0];
    uint64_t docs = 0;
    if (a->part_count > 1) return false;
    for (size_t k = part->essential; k < part->n; k++) {
        const any_clause *c = part->clauses[k];
        if (c->n > 1 || !(c->words[0]->bm25.weight >= 0)) return false;
        docs += c->cost;
    }
    return docs * DENSE > a->doc_count;
}

qn_status qn_any__run_window(any_run *a, uint32_t base, uint32_t limit)
{
    bool full = is_full(a);
    QN_TRY(need_windows(a));
    for (size_t p = 0; p < a->part_count; p++) {
        any_part *part = &a->parts[p];
        part->w->base = base & ~(uint32_t)63;
        part->w->limit = limit;
        part->w->full = full;
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
