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

qn_status qn_any__take_best(any_run *a, bool *done)
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
    if (best == NULL) return qn_any__no_memory(a);
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
