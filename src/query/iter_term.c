/* SPDX-License-Identifier: Apache-2.0 */
/* TERM: one list of one field; several spellings; several fields. */
#include "query/iter.h"

static qn_status no_memory(qn_iter_maker *m)
{
    return qn_fail(m->err, QN_ENOMEM, "query iterator");
}

/* ---- one list --------------------------------------------------------------------- */

typedef struct term_iter {
    qn_iter base;
    bool scores;
    qn_bm25_term bm25;
    const uint8_t *norms; /* NULL: every length counts as 1 */
    qn_postings p;
} term_iter;

static qn_status term_next(qn_iter *it, qn_error *err)
{
    term_iter *t = (term_iter *)it;
    QN_TRY(qn_postings_next(&t->p, err));
    it->doc = t->p.doc;
    return QN_OK;
}

static qn_status term_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    term_iter *t = (term_iter *)it;
    QN_TRY(qn_postings_seek(&t->p, target, err));
    it->doc = t->p.doc;
    return QN_OK;
}

static qn_status term_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    const term_iter *t = (const term_iter *)it;
    *score = 0.0f;
    if (t->scores)
        *score = qn_bm25_score(&t->bm25, (float)t->p.freq,
                               t->norms == NULL ? 1 : t->norms[t->p.doc]);
    return QN_OK;
}

/* A run of decoded documents, all below the window's limit. */
static void add_run(const term_iter *t, const uint32_t *docs, const uint32_t *freqs,
                    size_t n, qn_window *w)
{
    if (!t->scores) {
        for (size_t i = 0; i < n; i++) qn_window_add(w, docs[i], 0.0f);
        return;
    }
    float scores[QN_POSTINGS_BLOCK];
    for (size_t i = 0; i < n; i++)
        scores[i] = qn_bm25_score(&t->bm25, (float)freqs[i],
                                  t->norms == NULL ? 1 : t->norms[docs[i]]);
    for (size_t i = 0; i < n; i++) qn_window_add(w, docs[i], scores[i]);
}

static qn_status term_window(qn_iter *it, qn_window *w, qn_error *err)
{
    term_iter *t = (term_iter *)it;
    QN_TRY(qn_iter_reach(it, w->base, err));
    while (t->p.doc < w->limit) {
        const uint32_t *docs, *freqs;
        size_t n, inside;
        qn_postings_rest(&t->p, &docs, &freqs, &n);
        inside = n;
        if (docs[n - 1] >= w->limit)
            for (inside = 0; docs[inside] < w->limit;) inside++;
        add_run(t, docs, freqs, inside, w);
        if (inside < n)
            QN_TRY(qn_postings_seek(&t->p, docs[inside], err));
        else
            QN_TRY(qn_postings_next_block(&t->p, err));
    }
    it->doc = t->p.doc;
    return QN_OK;
}

static const qn_iter_kind term_kind = {term_next, term_seek, term_score, term_window};

static qn_status make_one(qn_iter_maker *m, const qn_plan *plan, const qn_plan_field *f,
                          qn_slice bytes, qn_iter **out)
{
    *out = NULL;
    qn_term term;
    const qn_segment *seg = m->view->segment;
    QN_TRY(qn_segment_term(seg, f->field->id, bytes, &term, m->err));
    if (term.doc_freq == 0) return QN_OK;
    term_iter *it = qn_arena_new(m->scratch, sizeof *it);
    if (it == NULL) return no_memory(m);
    QN_TRY(qn_segment_postings(seg, &term, NULL, &it->p, m->err));
    if (plan->scores) QN_TRY(qn_segment_norms(seg, f->field->id, &it->norms, m->err));
    it->scores = plan->scores;
    it->bm25 = f->bm25;
    it->base = (qn_iter){&term_kind, it->p.doc, term.doc_freq};
    *out = &it->base;
    return QN_OK;
}

/* ---- several spellings ------------------------------------------------------------- */

/* Tokens at one place count as one word: frequencies add up. */
typedef struct spelling_iter {
    qn_iter base;
    bool scores;
    qn_bm25_term bm25;
    const uint8_t *norms;
    size_t n;
    qn_postings *p;
} spelling_iter;

static void spelling_settle(spelling_iter *s)
{
    s->base.doc = QN_DOC_END;
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i].doc < s->base.doc) s->base.doc = s->p[i].doc;
}

static qn_status spelling_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    spelling_iter *s = (spelling_iter *)it;
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i].doc < target) QN_TRY(qn_postings_seek(&s->p[i], target, err));
    spelling_settle(s);
    return QN_OK;
}

static qn_status spelling_next(qn_iter *it, qn_error *err)
{
    return it->doc == QN_DOC_END ? QN_OK : spelling_seek(it, it->doc + 1, err);
}

static qn_status spelling_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    const spelling_iter *s = (const spelling_iter *)it;
    uint64_t freq = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i].doc == it->doc) freq += s->p[i].freq;
    *score = 0.0f;
    if (s->scores)
        *score = qn_bm25_score(&s->bm25, (float)freq,
                               s->norms == NULL ? 1 : s->norms[it->doc]);
    return QN_OK;
}

static const qn_iter_kind spelling_kind = {spelling_next, spelling_seek, spelling_score,
                                           NULL};

static qn_status make_spellings(qn_iter_maker *m, const qn_plan *plan,
                                const qn_plan_field *f, qn_iter **out)
{
    *out = NULL;
    const qn_query *q = plan->query;
    const qn_segment *seg = m->view->segment;
    spelling_iter *it = qn_arena_new(m->scratch, sizeof *it);
    if (it == NULL) return no_memory(m);
    it->p = qn_arena_array(m->scratch, q->term_count, sizeof *it->p);
    if (it->p == NULL) return no_memory(m);
    uint64_t cost = 0;
    for (size_t i = 0; i < q->term_count; i++) {
        qn_term term;
        QN_TRY(qn_segment_term(seg, f->field->id, q->terms[i].bytes, &term, m->err));
        if (term.doc_freq == 0) continue;
        QN_TRY(qn_segment_postings(seg, &term, NULL, &it->p[it->n++], m->err));
        cost += term.doc_freq;
    }
    if (it->n == 0) return QN_OK;
    if (plan->scores) QN_TRY(qn_segment_norms(seg, f->field->id, &it->norms, m->err));
    it->scores = plan->scores;
    it->bm25 = f->bm25;
    it->base = (qn_iter){&spelling_kind, 0, cost};
    spelling_settle(it);
    *out = &it->base;
    return QN_OK;
}

/* ---- several fields ---------------------------------------------------------------- */

qn_status qn_iter_make_term(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    const qn_query *q = plan->query;
    *out = NULL;
    qn_iter **fields =
        qn_arena_array(m->scratch, plan->field_count + 1, sizeof *fields);
    if (fields == NULL) return no_memory(m);
    size_t n = 0;
    for (size_t i = 0; i < plan->field_count; i++) {
        const qn_plan_field *f = &plan->fields[i];
        qn_iter *one;
        if (q->term_count == 1)
            QN_TRY(make_one(m, plan, f, q->terms[0].bytes, &one));
        else
            QN_TRY(make_spellings(m, plan, f, &one));
        if (one != NULL) fields[n++] = one;
    }
    uint32_t at_least = q->every_field ? (uint32_t)plan->field_count : 1;
    return qn_iter_make_union(m, fields, n, at_least, QN_UNION_DISMAX, 0.0f, out);
}
