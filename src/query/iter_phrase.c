/* SPDX-License-Identifier: Apache-2.0 */
/* PHRASE: word i stands at p + position_i for one p, in one field. The frequency is the
 * number of such p. Words at one place are alternatives. */
#include "query/iter.h"
#include "query/phrase_sloppy.h"

static qn_status no_memory(qn_iter_maker *m)
{
    return qn_fail(m->err, QN_ENOMEM, "query iterator");
}

/* One place of the phrase: any of its words. */
typedef struct phrase_slot {
    uint32_t offset; /* from the phrase's first word */
    size_t number;   /* place among the slots, before they were ordered */
    uint32_t doc;
    uint64_t cost;
    qn_postings *p;
    size_t n;

    /* Positions in the current document. */
    const uint32_t *positions;
    size_t position_count, at;
    uint32_t *merged; /* of several words */
    size_t merged_capacity;
} phrase_slot;

typedef struct phrase_iter {
    qn_iter base;
    bool scores;
    bool has_positions;
    qn_bm25_term bm25;
    const uint8_t *norms;
    phrase_slot *slots; /* rarest first */
    size_t n;
    float freq;
    uint32_t slop;
    qn_sloppy_word *sloppy; /* with slop: by place in the phrase */
    qn_arena *scratch;
} phrase_iter;

/* ---- slots ------------------------------------------------------------------------ */

static void slot_settle(phrase_slot *s)
{
    s->doc = QN_DOC_END;
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i].doc < s->doc) s->doc = s->p[i].doc;
}

static qn_status slot_seek(phrase_slot *s, uint32_t target, qn_error *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i].doc < target) QN_TRY(qn_postings_seek(&s->p[i], target, err));
    slot_settle(s);
    return QN_OK;
}

/* Merges `more` into the slot's own ascending array. */
static qn_status slot_merge(phrase_slot *s, qn_arena *arena, const uint32_t *more,
                            size_t n, qn_error *err)
{
    size_t total = s->position_count + n;
    if (total > s->merged_capacity) {
        uint32_t *grown = qn_arena_array(arena, total * 2, sizeof *grown);
        if (grown == NULL) return qn_fail(err, QN_ENOMEM, "phrase positions");
        if (s->position_count > 0)
            memcpy(grown, s->positions, s->position_count * sizeof *grown);
        s->merged = grown;
        s->merged_capacity = total * 2;
    }
    size_t a = s->position_count, b = n;
    for (size_t i = total; i > 0; i--) {
        bool left = b == 0 || (a > 0 && s->merged[a - 1] > more[b - 1]);
        s->merged[i - 1] = left ? s->merged[--a] : more[--b];
    }
    s->positions = s->merged;
    s->position_count = total;
    return QN_OK;
}

static qn_status slot_positions(phrase_slot *s, qn_arena *arena, qn_error *err)
{
    s->position_count = s->at = 0;
    if (s->n == 1)
        return qn_postings_positions(&s->p[0], &s->positions, &s->position_count, err);
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i].doc != s->doc) continue;
        const uint32_t *more;
        size_t n;
        QN_TRY(qn_postings_positions(&s->p[i], &more, &n, err));
        QN_TRY(slot_merge(s, arena, more, n, err));
    }
    return QN_OK;
}

/* Does the slot stand at `position`? Positions are asked for in ascending order. */
static bool slot_has(phrase_slot *s, uint64_t position)
{
    while (s->at < s->position_count && s->positions[s->at] < position) s->at++;
    return s->at < s->position_count && s->positions[s->at] == position;
}

/* ---- documents -------------------------------------------------------------------- */

/* The same where words may be moved. */
static void count_sloppy(phrase_iter *it)
{
    for (size_t i = 0; i < it->n; i++) {
        const phrase_slot *slot = &it->slots[i];
        qn_sloppy_word *w = &it->sloppy[slot->number];
        w->positions = slot->positions;
        w->count = slot->position_count;
    }
    it->freq = qn_sloppy_freq(it->sloppy, it->n, it->slop);
}

/* How often the phrase stands in the current document. */
static qn_status count_phrase(phrase_iter *it, qn_error *err)
{
    it->freq = 1; /* without positions a phrase is an AND */
    if (!it->has_positions) return QN_OK;
    for (size_t i = 0; i < it->n; i++)
        QN_TRY(slot_positions(&it->slots[i], it->scratch, err));
    if (it->slop > 0) {
        count_sloppy(it);
        return QN_OK;
    }
    uint32_t freq = 0;
    const phrase_slot *lead = &it->slots[0];
    for (size_t k = 0; k < lead->position_count; k++) {
        if (k > 0 && lead->positions[k] == lead->positions[k - 1]) continue;
        if (lead->positions[k] < lead->offset) continue;
        uint64_t begin = lead->positions[k] - lead->offset;
        size_t i = 1;
        while (i < it->n && slot_has(&it->slots[i], begin + it->slots[i].offset)) i++;
        freq += i == it->n;
    }
    it->freq = (float)freq;
    return QN_OK;
}

/* The first document >= target that holds the phrase. */
static qn_status phrase_find(phrase_iter *it, uint32_t target, qn_error *err)
{
    phrase_slot *lead = &it->slots[0];
    for (;;) {
        if (lead->doc < target) QN_TRY(slot_seek(lead, target, err));
        it->base.doc = lead->doc;
        if (lead->doc == QN_DOC_END) return QN_OK;
        size_t i = 1;
        for (; i < it->n; i++) {
            phrase_slot *s = &it->slots[i];
            if (s->doc < lead->doc) QN_TRY(slot_seek(s, lead->doc, err));
            if (s->doc != lead->doc) break;
        }
        if (i < it->n) {
            target = it->slots[i].doc;
            continue;
        }
        QN_TRY(count_phrase(it, err));
        if (it->freq > 0) return QN_OK;
        target = lead->doc + 1;
    }
}

static qn_status phrase_next(qn_iter *it, qn_error *err)
{
    if (it->doc == QN_DOC_END) return QN_OK;
    return phrase_find((phrase_iter *)it, it->doc + 1, err);
}

static qn_status phrase_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    return it->doc >= target ? QN_OK : phrase_find((phrase_iter *)it, target, err);
}

static qn_status phrase_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    const phrase_iter *p = (const phrase_iter *)it;
    *score = 0.0f;
    if (p->scores)
        *score =
            qn_bm25_score(&p->bm25, p->freq, p->norms == NULL ? 1 : p->norms[it->doc]);
    return QN_OK;
}

static const qn_iter_kind phrase_kind = {phrase_next, phrase_seek, phrase_score, NULL};

float qn_iter_phrase_freq(const qn_iter *it)
{
    return ((const phrase_iter *)it)->freq;
}

/* ---- making ------------------------------------------------------------------------ */

/* Words [from, from + n) of the phrase stand at one place. */
static qn_status make_slot(qn_iter_maker *m, const qn_query *q, size_t from, size_t n,
                           uint32_t field, phrase_iter *it, phrase_slot *s)
{
    s->offset = q->terms[from].position;
    s->p = qn_arena_array(m->scratch, n, sizeof *s->p);
    if (s->p == NULL) return no_memory(m);
    for (size_t i = 0; i < n; i++) {
        qn_term term;
        QN_TRY(qn_segment_term(m->view->segment, field, q->terms[from + i].bytes, &term,
                               m->err));
        if (term.doc_freq == 0) continue;
        qn_postings *p = &s->p[s->n++];
        QN_TRY(qn_segment_postings(m->view->segment, &term, m->scratch, p, m->err));
        s->cost += term.doc_freq;
        if (!p->has_positions) it->has_positions = false;
    }
    slot_settle(s);
    return QN_OK;
}

static void order_by_cost(phrase_slot *s, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        phrase_slot moved = s[i];
        size_t k = i;
        for (; k > 0 && s[k - 1].cost > moved.cost; k--) s[k] = s[k - 1];
        s[k] = moved;
    }
}

/* Slop: one word a place; front ends see to it. */
static qn_status make_sloppy(qn_iter_maker *m, const qn_query *q, phrase_iter *it)
{
    it->slop = q->slop;
    if (q->slop == 0) return QN_OK;
    it->sloppy = qn_arena_array(m->scratch, q->term_count, sizeof *it->sloppy);
    if (it->sloppy == NULL) return no_memory(m);
    qn_sloppy_words(q, it->sloppy);
    return QN_OK;
}

static qn_status make_one(qn_iter_maker *m, const qn_plan *plan, const qn_plan_field *f,
                          qn_iter **out)
{
    *out = NULL;
    const qn_query *q = plan->query;
    phrase_iter *it = qn_arena_new(m->scratch, sizeof *it);
    if (it == NULL) return no_memory(m);
    it->slots = qn_arena_array(m->scratch, q->term_count, sizeof *it->slots);
    if (it->slots == NULL) return no_memory(m);
    it->has_positions = true;
    for (size_t i = 0; i < q->term_count;) {
        size_t n = 1;
        while (i + n < q->term_count &&
               q->terms[i + n].position == q->terms[i].position)
            n++;
        phrase_slot *slot = &it->slots[it->n++];
        slot->number = it->n - 1;
        QN_TRY(make_slot(m, q, i, n, f->field->id, it, slot));
        if (slot->n == 0) return QN_OK;
        i += n;
    }
    QN_TRY(make_sloppy(m, q, it));
    order_by_cost(it->slots, it->n);
    if (plan->scores)
        QN_TRY(qn_segment_norms(m->view->segment, f->field->id, &it->norms, m->err));
    it->scores = plan->scores;
    it->bm25 = f->bm25;
    it->scratch = m->scratch;
    it->base = (qn_iter){&phrase_kind, 0, it->slots[0].cost};
    QN_TRY(phrase_find(it, 0, m->err));
    if (it->base.doc != QN_DOC_END) *out = &it->base;
    return QN_OK;
}

qn_status qn_iter_make_phrase(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    *out = NULL;
    qn_iter **fields =
        qn_arena_array(m->scratch, plan->field_count + 1, sizeof *fields);
    if (fields == NULL) return no_memory(m);
    size_t n = 0;
    for (size_t i = 0; i < plan->field_count; i++) {
        qn_iter *one;
        QN_TRY(make_one(m, plan, &plan->fields[i], &one));
        if (one != NULL) fields[n++] = one;
    }
    return qn_iter_make_union(m, fields, n, 1, QN_UNION_DISMAX, 0.0f, out);
}
