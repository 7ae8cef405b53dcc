/* SPDX-License-Identifier: Apache-2.0 */
/* ANY: one word from its stored best documents. */
#include "query/run_any.h"

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

/* Do entries stand in order of score: are the statistics still those that the segment was
 * written with? */
static bool in_order(const any_run *a, const qn_plan_field *f)
{
    const qn_segment_field *own =
        qn_segment_field_of(a->r->m->view->segment, f->field->id);
    if (own == NULL || own->doc_count == 0) return false;
    return (float)((double)own->sum_total_term_freq / (double)own->doc_count) ==
           f->stats->avgdl;
}

/* The k best of the first `most` entries go to `best`; *good says whether they are those
 * of the list. */
static qn_status best_of(any_run *a, const qn_word *w, size_t most, best_entry **best,
                         bool *good)
{
    size_t k = a->r->c->options->top_n;
    qn_postings_top top;
    *good = false;
    QN_TRY(qn_postings_best_some(&w->p, a->r->m->scratch, most, &top, a->r->m->err));
    if (top.n < k) return QN_OK;
    *best = qn_arena_raw(a->r->m->scratch, top.n, sizeof **best);
    if (*best == NULL) return qn_any__no_memory(a);
    size_t n = sort_entries(a, w, &top, *best);
    if (n < k || !are_best(w, &top, (*best)[k - 1])) return QN_OK;
    /* Those not read score no more than the last one read. */
    const qn_postings_entry *last = &top.entries[top.n - 1];
    float least = qn_bm25_score(&w->bm25, (float)last->freq, last->norm);
    *good = top.n == top.of || least < (*best)[k - 1].score;
    return QN_OK;
}

qn_status qn_any__take_best(any_run *a, bool *done)
{
    enum { MORE = 16 }; /* entries than wanted: scores may be equal */
    qn_run *r = a->r;
    const qn_exec_options *o = r->c->options;
    const any_part *part = &a->parts[0];
    *done = false;
    if (a->part_count != 1 || part->n != 1 || part->outer[0]->n != 1) return QN_OK;
    if (o->top_n == 0 || o->filter != NULL || o->has_min_score ||
        qn_accept_asks(&r->accept))
        return QN_OK;
    const qn_word *w = part->outer[0]->words[0];
    best_entry *best = NULL;
    size_t k = o->top_n;
    bool good = false;
    bool counted = qn_accept_all(&r->accept) ||
                   (o->total_limit > 0 && r->before + k >= (uint64_t)o->total_limit);
    if (!counted || w->p.doc_count < k) return QN_OK;
    if (in_order(a, part->outer[0]->field))
        QN_TRY(best_of(a, w, k + MORE, &best, &good));
    if (!good) QN_TRY(best_of(a, w, SIZE_MAX, &best, &good));
    if (!good) return QN_OK;
    if (!qn_accept_all(&r->accept)) *r->exact = false;
    for (size_t i = 0; i < k; i++)
        QN_TRY(qn_collector_add(r->c, best[i].doc, best[i].score));
    *done = true;
    return QN_OK;
}
