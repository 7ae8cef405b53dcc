/* SPDX-License-Identifier: Apache-2.0 */
/* ANY: candidates looked up in the words that are not essential and handed over; one
 * essential word, straight from its blocks. */
#include "query/run_any.h"

#include <math.h>

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

qn_status qn_any__finish(any_run *a, bool bits_said)
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

float qn_any__useless(const any_run *a, bool accepted)
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
    float least = qn_any__useless(a, !asks);
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
    return qn_any__finish(a, true);
}

qn_status qn_any__run_word(any_run *a, any_part *part, qn_word *w, uint32_t base,
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
