/* SPDX-License-Identifier: Apache-2.0 */
/* PHRASE: the best n documents in which a few words stand one behind another.
 *
 * Whether all words are in a document, and how often the phrase stands there at most (its
 * rarest word), is known without positions. So documents are first gathered, some
 * hundreds to a round, with where their positions lie; then positions are read, of the
 * most promising first, until none can get in.
 *
 * The rarest list leads, a block at a time, or a filter with fewer documents. */
#include "num/kernels.h"
#include "num/lists.h"
#include "query/phrase_match.h"
#include "query/run.h"

#include <math.h>

enum {
    WORDS_MAX = QN_PHRASE_WORDS_MAX,
    BLOCK = QN_POSTINGS_BLOCK,
    ROUND_FIRST = 256, /* documents of a round, at least: a floor is wanted soon */
    ROUND_MAX = 1024,
    BINS = 64,        /* of bounds */
    SOON = 6,         /* documents whose positions are asked for beforehand */
    MANY = INT32_MAX, /* as a frequency: not known yet */
    NEAR = 4, /* bounds of lists with many times the lead's documents say little */
};

/* Documents that hold all words. */
typedef struct phrase_round {
    uint32_t *docs, *least; /* the words' least frequency */
    uint8_t *norms;
    float *most;             /* no more is its score */
    qn_postings_spot *spots; /* word by word of each */
    uint32_t *ranked;        /* the most promising first */
    size_t n, room;
    size_t wanted;
} phrase_round;

typedef struct phrase_run {
    qn_run *r;
    const qn_kernels *kernels;
    qn_bm25_term bm25;
    qn_word *words[WORDS_MAX]; /* the rarest first */
    uint32_t offsets[WORDS_MAX];
    size_t count;
    qn_phrase match;
    bool ordered; /* the most promising first */
    phrase_round round;

    /* At hand: documents that the words looked at so far have. */
    uint32_t docs[BLOCK], least[BLOCK];
    uint8_t norms[BLOCK], origin[BLOCK]; /* spots[word * BLOCK + origin] */
    size_t n;
    qn_postings_spot *spots;
} phrase_run;

static qn_status no_memory(const phrase_run *f)
{
    return qn_fail(f->r->m->err, QN_ENOMEM, "query iterator");
}

/* ---- making ------------------------------------------------------------------------- */

/* *missing: the segment does not have one of the words. */
static qn_status open_words(phrase_run *f, const qn_plan *plan, bool *missing)
{
    const qn_query *q = plan->query;
    for (size_t i = 0; i < q->term_count; i++) {
        qn_word *w;
        *missing = qn_plan_term(plan, 0, i, f->r->m->segment)->doc_freq == 0;
        if (*missing) return QN_OK;
        QN_TRY(qn_word_open(f->r->m, plan, 0, i, &w));
        size_t k = f->count++;
        for (; k > 0 && f->words[k - 1]->p.doc_count > w->p.doc_count; k--) {
            f->words[k] = f->words[k - 1];
            f->offsets[k] = f->offsets[k - 1];
        }
        f->words[k] = w;
        f->offsets[k] = q->terms[i].position;
    }
    return QN_OK;
}

static qn_status make_match(phrase_run *f)
{
    qn_arena *scratch = f->r->m->scratch;
    f->match.arena = scratch;
    f->match.n = f->count;
    f->match.places = qn_arena_array(scratch, f->count, sizeof *f->match.places);
    f->spots = qn_arena_raw(scratch, f->count * BLOCK, sizeof *f->spots);
    return f->match.places == NULL || f->spots == NULL ? no_memory(f) : QN_OK;
}

static qn_status make_round(phrase_run *f, size_t most)
{
    qn_arena *scratch = f->r->m->scratch;
    phrase_round *o = &f->round;
    size_t room = (most < ROUND_MAX ? most : ROUND_MAX) + BLOCK;
    o->docs = qn_arena_raw(scratch, room, sizeof *o->docs);
    o->least = qn_arena_raw(scratch, room, sizeof *o->least);
    o->norms = qn_arena_raw(scratch, room, 1);
    o->most = qn_arena_raw(scratch, room, sizeof *o->most);
    o->ranked = qn_arena_raw(scratch, room, sizeof *o->ranked);
    o->spots = qn_arena_raw(scratch, room * f->count, sizeof *o->spots);
    if (o->docs == NULL || o->least == NULL || o->norms == NULL || o->most == NULL ||
        o->ranked == NULL || o->spots == NULL)
        return no_memory(f);
    o->room = room;
    o->wanted = ROUND_FIRST;
    return QN_OK;
}

/* ---- positions -------------------------------------------------------------------------- */

/* The bin of a bound, the greatest bounds first. */
static size_t bin_of(float most, float unit)
{
    size_t bin = (size_t)(most * unit);
    return bin < BINS ? BINS - 1 - bin : 0;
}

static qn_status check(phrase_run *f, size_t i)
{
    phrase_round *o = &f->round;
    const qn_postings_spot *spots = o->spots + i * f->count;
    float freq;
    for (size_t k = 0; k < f->count; k++)
        f->match.places[k] = (qn_phrase_place){.offset = f->offsets[k],
                                               .freq = spots[k].freq,
                                               .number = k,
                                               .p = &f->words[k]->p,
                                               .spot = spots[k]};
    QN_TRY(qn_phrase_freq_there(&f->match, &freq, f->r->m->err));
    if (!(freq > 0)) return QN_OK;
    float score = qn_bm25_score(&f->bm25, freq, o->norms[i]);
    if (f->ordered ? score < f->r->cut : score <= f->r->cut) {
        f->r->c->total++;
        return QN_OK;
    }
    return qn_collector_add(f->r->c, o->docs[i], score);
}

/* Can document i get in, by what is known of it? Of equal scores the lower document is the
 * better one. */
static bool is_hopeful(const phrase_run *f, size_t i)
{
    const phrase_round *o = &f->round;
    float floor = f->r->floor;
    if (o->most[i] != floor) return o->most[i] > floor;
    return qn_collector_floor(f->r->c, o->docs[i], &floor) && o->most[i] > floor;
}

/* Puts the documents in order: which bins promise most, in a bin by number. */
static void order(const phrase_round *o, float most)
{
    uint32_t counts[BINS + 1] = {0};
    float unit = (float)BINS / most;
    for (size_t i = 0; i < o->n; i++) counts[bin_of(o->most[i], unit) + 1]++;
    for (size_t b = 1; b <= BINS; b++) counts[b] += counts[b - 1];
    for (uint32_t i = 0; i < o->n; i++)
        o->ranked[counts[bin_of(o->most[i], unit)]++] = i;
}

/* Asks the memory for the positions of what is looked at soon. */
static void want(const phrase_run *f, size_t i)
{
    const qn_postings_spot *spots = f->round.spots + i * f->count;
    for (size_t k = 0; k < f->count; k++)
        qn_postings_want_spot(&f->words[k]->p, spots[k]);
}

/* The most promising first: that soon shows which need not be looked at. */
static qn_status check_best(phrase_run *f)
{
    const phrase_round *o = &f->round;
    float most = 0;
    for (size_t i = 0; i < o->n; i++)
        if (o->most[i] > most) most = o->most[i];
    if (!(most > 0)) most = 1;
    order(o, most);
    for (size_t k = 0; k < SOON && k < o->n; k++) want(f, o->ranked[k]);
    for (size_t k = 0; k < o->n && !*f->r->timed_out; k++) {
        uint32_t i = o->ranked[k];
        if (k + SOON < o->n) want(f, o->ranked[k + SOON]);
        if (!is_hopeful(f, i)) continue;
        QN_TRY(check(f, i));
        if (f->r->c->n > 0) QN_TRY(qn_run_look(f->r));
    }
    return QN_OK;
}

/* Reads the positions of the documents gathered. */
static qn_status end_round(phrase_run *f)
{
    phrase_round *o = &f->round;
    if (f->ordered && o->n > 0) {
        qn_bm25_scores(f->kernels, &f->bm25, o->least, o->norms, o->n, o->most);
        QN_TRY(check_best(f));
    } else {
        for (size_t i = 0; i < o->n; i++) {
            if (i + SOON < o->n) want(f, i + SOON);
            QN_TRY(check(f, i));
        }
    }
    o->n = 0;
    if (o->wanted < ROUND_MAX) o->wanted *= 2;
    return qn_run_look(f->r);
}

/* ---- documents that hold all words ---------------------------------------------------------- */

static void move(phrase_run *f, size_t from, size_t to)
{
    f->docs[to] = f->docs[from];
    f->least[to] = f->least[from];
    f->norms[to] = f->norms[from];
    f->origin[to] = f->origin[from];
}

/* By what is known of their frequencies. */
static void drop_hopeless(phrase_run *f)
{
    float most[BLOCK];
    size_t kept = 0;
    if (!f->r->pruning || f->n == 0) return;
    qn_bm25_scores(f->kernels, &f->bm25, f->least, f->norms, f->n, most);
    for (size_t i = 0; i < f->n; i++) {
        move(f, i, kept);
        kept += most[i] > f->r->floor;
    }
    f->n = kept;
}

/* Candidates [from, from + n) are in the word's decoded block if anywhere: those that are
 * follow the `kept` ones. */
static qn_status match(phrase_run *f, size_t word, size_t from, size_t n, size_t *kept)
{
    uint8_t which[BLOCK], places[BLOCK];
    qn_postings_spot found[BLOCK];
    const uint32_t *list;
    size_t count;
    qn_postings *p = &f->words[word]->p;
    qn_postings_rest_docs(p, &list, &count);
    if (count == 0) return QN_OK;
    size_t hits =
        f->kernels->lists->meet(list, count, f->docs + from, n, which, places);
    if (hits == 0) return QN_OK;
    QN_TRY(qn_postings_spots(p, places, hits, found, f->r->m->err));
    qn_postings_spot *spots = f->spots + word * BLOCK;
    for (size_t k = 0; k < hits; k++, (*kept)++) {
        move(f, from + which[k], *kept);
        spots[f->origin[*kept]] = found[k];
        if (found[k].freq < f->least[*kept]) f->least[*kept] = found[k].freq;
    }
    return QN_OK;
}

/* Keeps the candidates that the word has. */
static qn_status look_up(phrase_run *f, size_t word)
{
    qn_word_group groups[BLOCK];
    qn_postings *p = &f->words[word]->p;
    size_t kept = 0, n = qn_word_groups(p, f->docs, f->n, groups);
    for (size_t i = 0; i < n; i++) {
        const qn_word_group *g = &groups[i];
        QN_TRY(qn_postings_seek_block(p, g->block, f->docs[g->at], f->r->m->err));
        QN_TRY(match(f, word, g->at, g->n, &kept));
    }
    f->n = kept;
    return QN_OK;
}

static qn_status drop_unaccepted(phrase_run *f, bool bits_said)
{
    bool keep[BLOCK];
    qn_accept *accept = &f->r->accept;
    if (f->n == 0 || (bits_said ? !qn_accept_asks(accept) : qn_accept_all(accept)))
        return QN_OK;
    QN_TRY(qn_accept_test(accept, f->docs, f->n, bits_said, keep, f->r->m->err));
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        move(f, i, kept);
        kept += keep[i];
    }
    f->n = kept;
    return QN_OK;
}

/* The candidates through words [from, ..), into the round. */
static qn_status gather(phrase_run *f, size_t from, bool bits_said)
{
    phrase_round *o = &f->round;
    for (size_t k = from; k < f->count && f->n > 0; k++) {
        QN_TRY(look_up(f, k));
        drop_hopeless(f);
    }
    QN_TRY(drop_unaccepted(f, bits_said));
    for (size_t i = 0; i < f->n; i++, o->n++) {
        o->docs[o->n] = f->docs[i];
        o->least[o->n] = f->least[i];
        o->norms[o->n] = f->norms[i];
        for (size_t k = 0; k < f->count; k++)
            o->spots[o->n * f->count + k] = f->spots[k * BLOCK + f->origin[i]];
    }
    f->n = 0;
    return o->n >= o->wanted || o->n + BLOCK > o->room ? end_round(f) : QN_OK;
}

/* ---- the segment ------------------------------------------------------------------------------ */

/* The lead's decoded documents that pass the bits become the candidates. */
static qn_status take_lead(phrase_run *f)
{
    const uint32_t *docs, *freqs;
    const uint8_t *norms;
    uint8_t places[BLOCK];
    qn_postings *p = &f->words[0]->p;
    const qn_accept *accept = &f->r->accept;
    QN_TRY(qn_postings_rest3(p, &docs, &freqs, &norms, &f->n, f->r->m->err));
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        f->docs[kept] = docs[i];
        f->least[kept] = freqs[i];
        f->norms[kept] = norms[i];
        f->origin[kept] = (uint8_t)i;
        kept += qn_accept_bit(accept, docs[i]);
    }
    f->n = kept;
    drop_hopeless(f);
    memcpy(places, f->origin, f->n);
    QN_TRY(qn_postings_spots(p, places, f->n, f->spots, f->r->m->err));
    for (size_t i = 0; i < f->n; i++) f->origin[i] = (uint8_t)i;
    return QN_OK;
}

/* The first document >= base that all words may have. */
static uint32_t next_base(const phrase_run *f, uint32_t base)
{
    for (size_t k = 0; k < f->count; k++)
        if (f->words[k]->p.doc > base) base = f->words[k]->p.doc;
    return base;
}

/* Can no document of the lead's block at `base` get in? */
static bool is_hopeless(phrase_run *f, uint32_t base, uint32_t *limit)
{
    qn_word *lead = f->words[0];
    float floor = f->r->floor;
    qn_word_look(lead, base);
    *limit = lead->block_last == QN_DOC_END ? QN_DOC_END : lead->block_last + 1;
    if (lead->block <= (double)floor) return true;
    for (size_t k = 1; k < f->count; k++) {
        qn_word *w = f->words[k];
        if (w->p.doc_count / NEAR > lead->p.doc_count) break;
        if (qn_word_bound(w, base, *limit, w->bound_all) <= (double)floor) return true;
    }
    return false;
}

static qn_status walk(phrase_run *f)
{
    qn_error *err = f->r->m->err;
    qn_postings *p = &f->words[0]->p;
    uint32_t count = f->r->m->view->doc_count, limit;
    QN_TRY(qn_run_look(f->r));
    for (uint32_t base = 0; !*f->r->timed_out; base = limit) {
        base = next_base(f, base);
        if (f->r->accept.lead != NULL && base < count) {
            QN_TRY(qn_iter_reach(f->r->accept.lead, base, err));
            base = f->r->accept.lead->doc;
        }
        if (base >= count) break;
        if (f->r->pruning && is_hopeless(f, base, &limit)) continue;
        QN_TRY(qn_postings_seek(p, base, err));
        if (p->doc == QN_DOC_END) break;
        const uint32_t *docs;
        size_t n;
        qn_postings_rest_docs(p, &docs, &n);
        limit = docs[n - 1] + 1;
        QN_TRY(take_lead(f));
        QN_TRY(gather(f, 1, true));
    }
    return end_round(f);
}

/* A filter with fewer documents than any word. */
static qn_status walk_filter(phrase_run *f, qn_iter *lead)
{
    QN_TRY(qn_run_look(f->r));
    while (lead->doc != QN_DOC_END && !*f->r->timed_out) {
        for (; f->n < BLOCK && lead->doc != QN_DOC_END; f->n++) {
            f->docs[f->n] = lead->doc;
            f->least[f->n] = MANY;
            f->norms[f->n] = qn_postings_norm_of(&f->words[0]->p, lead->doc);
            f->origin[f->n] = (uint8_t)f->n;
            QN_TRY(lead->kind->next(lead, f->r->m->err));
        }
        QN_TRY(gather(f, 0, false));
    }
    return end_round(f);
}

qn_status qn_run_phrase(qn_run *r)
{
    const qn_plan *plan = r->shape->scored;
    const qn_exec_options *o = r->c->options;
    phrase_run *f = qn_arena_raw(r->m->scratch, 1, sizeof *f);
    if (f == NULL) return qn_fail(r->m->err, QN_ENOMEM, "query iterator");
    f->r = r;
    f->bm25 = plan->fields[0].bm25;
    f->count = f->n = 0;
    f->match = (qn_phrase){0};
    f->round = (phrase_round){0};
    f->ordered = o->top_n > 0 && o->total_limit > 0 && o->filter == NULL;
    bool missing = false;
    QN_TRY(open_words(f, plan, &missing));
    if (missing) return QN_OK;
    f->kernels = f->words[0]->p.kernels;
    QN_TRY(make_match(f));
    uint32_t rarest = f->words[0]->p.doc_count;
    QN_TRY(make_round(f, rarest));
    qn_iter *lead = qn_accept_lead(&r->accept, rarest);
    return lead != NULL ? walk_filter(f, lead) : walk(f);
}
