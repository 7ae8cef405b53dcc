/* SPDX-License-Identifier: Apache-2.0 */
/* ALL: words and phrases that must match, the best n of the documents that hold them,
 * with words that may match besides.
 *
 * The rarest list leads, a block at a time. A block whose bound, together with those of
 * the others over the same documents, does not reach the floor is passed over without
 * being decoded. The documents of a block are then looked up in the other lists, the
 * rarest first; a document that cannot pass the floor any more is dropped as soon as
 * that is known. Positions are read last, by cursors of their own, and of a phrase only
 * where its words' least frequency would be enough. A filter with fewer documents than
 * the rarest list leads instead. */
#include "query/phrase_match.h"
#include "query/run.h"

#include <math.h>

enum { LISTS_MAX = 64, BLOCK = QN_POSTINGS_BLOCK };

typedef struct all_list {
    qn_word *word;
    bool scored;  /* by itself; words of phrases are not */
    double bound; /* over the documents at hand */
} all_list;

typedef struct all_phrase {
    qn_bm25_term bm25;
    qn_phrase match; /* with cursors of its own */
    qn_word **words; /* those that are looked up, for bounds */
} all_phrase;

typedef struct all_run {
    qn_run *r;
    size_t list_count;
    all_phrase *phrases;
    size_t phrase_count;
    bool none;     /* a word is not there */
    qn_word **may; /* that need not match; of several fields the best counts */
    size_t *may_fields;
    size_t may_count; /* words in all their fields */
    bool may_one;     /* one of them must */
    double may_bound;

    bool lead_waits; /* is scored last */
    size_t n;        /* candidates */

    /* Written before they are read. */
    all_list lists[LISTS_MAX];  /* the rarest first */
    double left[LISTS_MAX + 1]; /* left[i]: bounds of lists [i, ..), phrases, may */
    uint32_t docs[BLOCK];
    double sums[BLOCK];
    uint32_t least[BLOCK]; /* of one phrase: its words' least frequency */
    qn_word_docs run;
} all_run;

/* Its words' least frequency says how often it stands at most. */
static bool one_exact_phrase(const all_run *a)
{
    return a->phrase_count == 1 && a->phrases[0].match.slop == 0;
}

static qn_status no_memory(const all_run *a)
{
    return qn_fail(a->r->m->err, QN_ENOMEM, "query iterator");
}

/* ---- making ------------------------------------------------------------------------- */

static qn_status add_list(all_run *a, const qn_plan *plan, size_t which, bool scored,
                          qn_word **out)
{
    qn_word *w;
    QN_TRY(qn_word_open(a->r->m, plan, 0, which, &w));
    *out = w;
    if (w == NULL) {
        a->none = true;
        return QN_OK;
    }
    size_t k = a->list_count++;
    for (; k > 0 && a->lists[k - 1].word->p.doc_count > w->p.doc_count; k--)
        a->lists[k] = a->lists[k - 1];
    a->lists[k] = (all_list){.word = w, .scored = scored};
    return QN_OK;
}

static qn_status add_phrase(all_run *a, const qn_plan *plan)
{
    const qn_query *q = plan->query;
    qn_iter_maker *m = a->r->m;
    all_phrase *ph = &a->phrases[a->phrase_count++];
    ph->bm25 = plan->fields[0].bm25;
    ph->match.arena = m->scratch;
    ph->match.places =
        qn_arena_array(m->scratch, q->term_count, sizeof *ph->match.places);
    ph->words = qn_arena_array(m->scratch, q->term_count, sizeof(qn_word *));
    if (ph->match.places == NULL || ph->words == NULL) return no_memory(a);
    for (size_t i = 0; i < q->term_count; i++) {
        qn_phrase_place *place = &ph->match.places[i];
        place->offset = q->terms[i].position;
        place->number = i;
        QN_TRY(add_list(a, plan, i, false, &ph->words[i]));
        if (a->none) return QN_OK;
        place->p = qn_arena_new(m->scratch, sizeof *place->p);
        if (place->p == NULL) return no_memory(a);
        QN_TRY(qn_segment_postings_open(
            m->view->segment, qn_plan_term(plan, 0, i, m->segment), QN_POSTINGS_LAZY,
            m->scratch, place->p, m->err));
    }
    ph->match.n = q->term_count;
    ph->match.slop = q->slop;
    if (q->slop == 0) return QN_OK;
    ph->match.sloppy =
        qn_arena_array(m->scratch, q->term_count, sizeof *ph->match.sloppy);
    if (ph->match.sloppy == NULL) return no_memory(a);
    qn_sloppy_words(q, ph->match.sloppy);
    return QN_OK;
}

static qn_status add_must(all_run *a, const qn_plan *plan)
{
    qn_word *w;
    if (plan->query->kind == QN_QUERY_PHRASE) return add_phrase(a, plan);
    return add_list(a, plan, 0, true, &w);
}

static qn_status add_may(all_run *a, qn_plan_list should)
{
    size_t room = 0;
    for (size_t i = 0; i < should.n; i++) room += should.p[i]->field_count;
    a->may = qn_arena_array(a->r->m->scratch, room + 1, sizeof(qn_word *));
    a->may_fields = qn_arena_array(a->r->m->scratch, room + 1, sizeof(size_t));
    if (a->may == NULL || a->may_fields == NULL) return no_memory(a);
    for (size_t i = 0; i < should.n; i++) {
        double best = 0;
        for (size_t f = 0; f < should.p[i]->field_count; f++) {
            qn_word *w;
            QN_TRY(qn_word_open(a->r->m, should.p[i], f, 0, &w));
            if (w == NULL) continue;
            if (w->bound_all > best) best = w->bound_all;
            a->may_fields[a->may_count] = i;
            a->may[a->may_count++] = w;
        }
        a->may_bound += best;
    }
    return QN_OK;
}

static qn_status make_lists(all_run *a, const qn_plan *plan)
{
    bool alone = plan->query->kind != QN_QUERY_BOOL;
    size_t n = alone ? 1 : plan->must.n;
    a->phrases = qn_arena_array(a->r->m->scratch, n, sizeof *a->phrases);
    if (a->phrases == NULL) return no_memory(a);
    for (size_t i = 0; i < n && !a->none; i++)
        QN_TRY(add_must(a, alone ? plan : plan->must.p[i]));
    if (alone || a->none) return QN_OK;
    a->may_one = plan->should_min > 0;
    return add_may(a, plan->should);
}

/* ---- bounds --------------------------------------------------------------------------- */

static double phrase_bound(const all_phrase *ph, uint32_t base, uint32_t limit)
{
    qn_postings_bound least = {UINT32_MAX, 0};
    if (ph->match.slop > 0) return (double)ph->bm25.weight; /* words count many times */
    for (size_t i = 0; i < ph->match.n; i++) {
        qn_postings_bound b = qn_word_bound_pair(ph->words[i], base, limit);
        if (b.freq < least.freq) least.freq = b.freq;
        if (b.norm > least.norm) least.norm = b.norm;
    }
    if (least.freq == UINT32_MAX) return (double)ph->bm25.weight;
    return (double)qn_bm25_score(&ph->bm25, (float)least.freq, least.norm);
}

/* Bounds over [base, limit); left[0] is that of the whole query. */
static void find_bounds(all_run *a, uint32_t base, uint32_t limit)
{
    double sum = a->may_bound;
    for (size_t i = 0; i < a->phrase_count; i++)
        sum += phrase_bound(&a->phrases[i], base, limit);
    a->left[a->list_count] = sum;
    for (size_t i = a->list_count; i > 0; i--) {
        all_list *l = &a->lists[i - 1];
        if (l->scored) {
            l->bound = qn_word_bound(l->word, base, limit, l->word->bound_all);
            sum += l->bound;
        }
        a->left[i - 1] = sum;
    }
}

/* ---- what may match --------------------------------------------------------------------- */

/* The sum of what matches of it. */
static qn_status add_optional(all_run *a, uint32_t doc, float *score, bool *any)
{
    double sum = 0;
    for (size_t i = 0; i < a->may_count;) {
        size_t clause = a->may_fields[i];
        float best = 0;
        for (; i < a->may_count && a->may_fields[i] == clause; i++) {
            qn_word *w = a->may[i];
            QN_TRY(qn_word_seek(w, doc, a->r->m->err));
            if (w->p.doc != doc) continue;
            float one;
            QN_TRY(qn_word_score(w, &one, a->r->m->err));
            if (one > best) best = one;
            *any = true;
        }
        sum += (double)best;
    }
    *score += (float)sum;
    return QN_OK;
}

static qn_status hand_over(all_run *a, uint32_t doc, double sum)
{
    float score = (float)sum;
    if (a->may_count > 0 || a->may_one) {
        bool any = false;
        QN_TRY(add_optional(a, doc, &score, &any));
        if (a->may_one && !any) return QN_OK;
    }
    if (score <= a->r->cut) {
        a->r->c->total++;
        return QN_OK;
    }
    return qn_collector_add(a->r->c, doc, score);
}

/* ---- phrases ------------------------------------------------------------------------------- */

/* All words stand on `doc`, which has `norm`: adds the phrases' scores unless one of them
 * does not stand there. */
static qn_status add_phrases(all_run *a, uint32_t doc, uint8_t norm, double *sum,
                             bool *stands)
{
    qn_error *err = a->r->m->err;
    *stands = true;
    for (size_t i = 0; i < a->phrase_count && *stands; i++) {
        all_phrase *ph = &a->phrases[i];
        float freq;
        QN_TRY(qn_phrase_freq(&ph->match, doc, &freq, err));
        *stands = freq > 0;
        *sum += (double)qn_bm25_score(&ph->bm25, freq, norm);
    }
    return QN_OK;
}

static qn_status take_phrases(all_run *a)
{
    const qn_word *any = a->phrases[0].words[0];
    for (size_t i = 0; i < a->n; i++) {
        uint32_t doc = a->docs[i];
        uint8_t norm = qn_postings_norm_of(&any->p, doc);
        if (one_exact_phrase(a)) {
            double most =
                a->sums[i] + a->may_bound +
                (double)qn_bm25_score(&a->phrases[0].bm25, (float)a->least[i], norm);
            if (qn_run_hopeless(a->r, most)) continue;
        }
        bool stands;
        double sum = a->sums[i];
        QN_TRY(add_phrases(a, doc, norm, &sum, &stands));
        if (stands) QN_TRY(hand_over(a, doc, sum));
    }
    a->n = 0;
    return QN_OK;
}

/* ---- candidates ------------------------------------------------------------------------------ */

/* Keeps the candidates that list `i` has. */
static qn_status look_up(all_run *a, size_t i)
{
    const all_list *l = &a->lists[i];
    bool one_phrase = one_exact_phrase(a);
    qn_word_batch batch = {a->docs, a->sums, one_phrase ? a->least : NULL, a->n};
    qn_word_how how = l->scored                     ? QN_WORD_MUST
                      : a->r->pruning && one_phrase ? QN_WORD_LEAST
                                                    : QN_WORD_HAS;
    QN_TRY(qn_word_look_up(l->word, &batch, how, a->left[i + 1], a->r->floor,
                           a->r->m->err));
    a->n = batch.n;
    return QN_OK;
}

static qn_status drop_unaccepted(all_run *a)
{
    bool keep[BLOCK];
    qn_accept *accept = &a->r->accept;
    if (qn_accept_all(accept) || a->n == 0) return QN_OK;
    QN_TRY(qn_accept_test(accept, a->docs, a->n, false, keep, a->r->m->err));
    size_t kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        a->docs[kept] = a->docs[i];
        a->sums[kept] = a->sums[i];
        a->least[kept] = a->least[i];
        kept += keep[i];
    }
    a->n = kept;
    return QN_OK;
}

/* The candidates through lists [from, ..), and through the lead if it waited for them. */
static qn_status match_lists(all_run *a, size_t from)
{
    for (size_t i = from; i < a->list_count && a->n > 0; i++) QN_TRY(look_up(a, i));
    QN_TRY(drop_unaccepted(a));
    if (a->lead_waits && a->n > 0) QN_TRY(look_up(a, 0));
    a->lead_waits = false;
    if (a->phrase_count > 0) return take_phrases(a);
    for (size_t i = 0; i < a->n; i++) QN_TRY(hand_over(a, a->docs[i], a->sums[i]));
    a->n = 0;
    return QN_OK;
}

/* ---- the segment ------------------------------------------------------------------------------- */

/* Those whose score would do become the candidates. */
static qn_status take_scored(all_run *a, uint32_t limit)
{
    qn_word_docs *run = &a->run;
    QN_TRY(qn_word_run(a->lists[0].word, limit, &a->r->accept, run, a->r->m->err));
    double need = (double)a->r->floor / QN_SUM_SLACK * (1.0 - 1e-12) - a->left[1];
    size_t kept = 0;
    for (size_t i = 0; i < run->n; i++) {
        double score = (double)run->scores[i];
        a->docs[kept] = run->docs[i];
        a->sums[kept] = score;
        a->least[kept] = UINT32_MAX;
        kept += score > need;
    }
    a->n = kept;
    return QN_OK;
}

/* All that pass the bits do, with nothing known of their scores. */
static qn_status take_docs(all_run *a, uint32_t limit, bool least)
{
    qn_word *lead = a->lists[0].word;
    qn_word_docs *run = &a->run;
    const uint32_t *freqs = NULL;
    qn_postings_rest_docs(&lead->p, &run->docs, &run->n);
    run->n = run->taken = qn_word_below(run->docs, run->n, limit);
    run->last = run->docs[run->n - 1] + 1 == limit;
    if (least) QN_TRY(qn_postings_freqs(&lead->p, &freqs, a->r->m->err));
    const qn_accept *accept = &a->r->accept;
    a->n = 0;
    for (size_t i = 0; i < run->n; i++) {
        a->docs[a->n] = run->docs[i];
        a->least[a->n] = least ? freqs[i] : UINT32_MAX;
        a->n += qn_accept_bit(accept, run->docs[i]);
    }
    memset(a->sums, 0, a->n * sizeof *a->sums);
    return QN_OK;
}

/* The lead's next documents below `limit` become the candidates. Without a floor it is
 * cheaper to score those that the other lists have too. */
static qn_status take_lead(all_run *a, uint32_t limit)
{
    const all_list *l = &a->lists[0];
    if (l->scored && a->r->pruning) return take_scored(a, limit);
    a->lead_waits = l->scored;
    return take_docs(a, limit, a->r->pruning && one_exact_phrase(a));
}

static qn_status walk_lead(all_run *a, uint32_t base, uint32_t limit)
{
    qn_word *lead = a->lists[0].word;
    QN_TRY(qn_word_seek(lead, base, a->r->m->err));
    while (lead->p.doc < limit) {
        QN_TRY(take_lead(a, limit));
        QN_TRY(match_lists(a, 1));
        if (a->run.last) break;
        QN_TRY(qn_word_pass(lead, a->run.taken, a->r->m->err));
    }
    return QN_OK;
}

/* The first document >= base that all lists may have. */
static uint32_t next_base(const all_run *a, uint32_t base)
{
    for (size_t i = 0; i < a->list_count; i++)
        if (a->lists[i].word->p.doc > base) base = a->lists[i].word->p.doc;
    return base;
}

static qn_status walk(all_run *a)
{
    uint32_t count = a->r->m->view->doc_count;
    qn_word *lead = a->lists[0].word;
    find_bounds(a, 0, count);
    for (uint32_t base = 0; !*a->r->timed_out;) {
        QN_TRY(qn_run_look(a->r));
        base = next_base(a, base);
        if (a->r->accept.lead != NULL && base < count) {
            QN_TRY(qn_iter_reach(a->r->accept.lead, base, a->r->m->err));
            base = a->r->accept.lead->doc;
        }
        if (base >= count) break;
        qn_word_look(lead, base);
        uint32_t limit = lead->block_last < count ? lead->block_last + 1 : count;
        if (a->r->pruning) {
            find_bounds(a, base, limit);
            if (qn_run_hopeless(a->r, a->left[0])) {
                base = limit;
                continue;
            }
        }
        QN_TRY(walk_lead(a, base, limit));
        base = limit;
    }
    return QN_OK;
}

/* A filter with fewer documents than any list. */
static qn_status walk_filter(all_run *a, qn_iter *lead)
{
    find_bounds(a, 0, a->r->m->view->doc_count);
    while (lead->doc != QN_DOC_END && !*a->r->timed_out) {
        QN_TRY(qn_run_look(a->r));
        if (qn_run_hopeless(a->r, a->left[0])) break;
        while (a->n < BLOCK && lead->doc != QN_DOC_END) {
            a->docs[a->n] = lead->doc;
            a->least[a->n] = UINT32_MAX;
            a->sums[a->n++] = 0;
            QN_TRY(lead->kind->next(lead, a->r->m->err));
        }
        QN_TRY(match_lists(a, 0));
    }
    return QN_OK;
}

qn_status qn_run_all(qn_run *r)
{
    all_run *a = qn_arena_raw(r->m->scratch, 1, sizeof *a);
    if (a == NULL) return qn_fail(r->m->err, QN_ENOMEM, "query iterator");
    memset(a, 0, offsetof(all_run, lists));
    a->r = r;
    QN_TRY(make_lists(a, r->shape->scored));
    if (a->none || a->list_count == 0) return QN_OK;
    qn_iter *lead = qn_accept_lead(&r->accept, a->lists[0].word->p.doc_count);
    return lead != NULL ? walk_filter(a, lead) : walk(a);
}
