/* SPDX-License-Identifier: Apache-2.0 */
#include "query/phrase_sloppy.h"

typedef struct sloppy {
    qn_sloppy_word *words;
    size_t n;
    int64_t end; /* the greatest beginning so far */
} sloppy;

/* To the word's next occurrence; false when there is none. */
static bool advance(qn_sloppy_word *w)
{
    if (w->next == w->count) return false;
    w->begin = (int64_t)w->positions[w->next++] - (int64_t)w->offset;
    return true;
}

static bool advance_end(sloppy *s, qn_sloppy_word *w)
{
    if (!advance(w)) return false;
    if (w->begin > s->end) s->end = w->begin;
    return true;
}

static bool is_before(const qn_sloppy_word *a, const qn_sloppy_word *b)
{
    return a->begin < b->begin || (a->begin == b->begin && a->offset < b->offset);
}

/* The first of the words in the queue. */
static qn_sloppy_word *top(const sloppy *s)
{
    qn_sloppy_word *best = NULL;
    for (size_t i = 0; i < s->n; i++) {
        qn_sloppy_word *w = &s->words[i];
        if (w->queued && (best == NULL || is_before(w, best))) best = w;
    }
    return best;
}

static qn_sloppy_word *pop(sloppy *s)
{
    qn_sloppy_word *w = top(s);
    w->queued = false;
    return w;
}

/* ---- words that repeat ---------------------------------------------------------------- */

/* Another place of the same word that takes the same occurrence. */
static qn_sloppy_word *collision(const sloppy *s, const qn_sloppy_word *w)
{
    for (size_t i = 0; i < s->n; i++) {
        qn_sloppy_word *other = &s->words[i];
        if (other != w && other->same == w->same &&
            other->begin + (int64_t)other->offset == w->begin + (int64_t)w->offset)
            return other;
    }
    return NULL;
}

/* Of two that collide the one before goes on, until none do. */
static bool resolve(sloppy *s, qn_sloppy_word *w)
{
    for (qn_sloppy_word *other; (other = collision(s, w)) != NULL;) {
        if (is_before(other, w)) w = other;
        if (!advance_end(s, w)) return false;
    }
    return true;
}

/* Place j of a word begins with its j-th occurrence. */
static bool spread_repeats(sloppy *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < i; k++)
            if (s->words[k].same == s->words[i].same && !advance(&s->words[i]))
                return false;
    return true;
}

/* ---- matches -------------------------------------------------------------------------- */

static bool begin(sloppy *s)
{
    for (size_t i = 0; i < s->n; i++) {
        s->words[i].next = 0;
        if (!advance(&s->words[i])) return false;
    }
    if (!spread_repeats(s)) return false;
    s->end = INT64_MIN;
    for (size_t i = 0; i < s->n; i++) {
        if (s->words[i].begin > s->end) s->end = s->words[i].begin;
        s->words[i].queued = true;
    }
    return true;
}

/* The length of the next match that is short enough; *more is false when the words are
 * used up, which can be together with a last match. */
static bool next_match(sloppy *s, int64_t slop, int64_t *length, bool *more)
{
    qn_sloppy_word *w = pop(s);
    *length = s->end - w->begin;
    int64_t next = top(s)->begin;
    while (advance_end(s, w)) {
        if (!resolve(s, w)) break;
        if (w->begin > next) { /* this match cannot become shorter */
            w->queued = true;
            if (*length <= slop) return true;
            w = pop(s);
            next = top(s)->begin;
            *length = s->end - w->begin;
        } else if (s->end - w->begin < *length) {
            *length = s->end - w->begin;
        }
    }
    *more = false;
    return *length <= slop;
}

void qn_sloppy_words(const qn_query *q, qn_sloppy_word *out)
{
    for (size_t i = 0; i < q->term_count; i++) {
        uint32_t same = 0;
        while (!qn_slice_eq(q->terms[same].bytes, q->terms[i].bytes)) same++;
        out[i] = (qn_sloppy_word){.offset = q->terms[i].position, .same = same};
    }
}

float qn_sloppy_freq(qn_sloppy_word *words, size_t n, uint32_t slop)
{
    sloppy s = {.words = words, .n = n};
    float freq = 0;
    if (n == 1) return (float)words[0].count;
    for (bool more = begin(&s); more;) {
        int64_t length;
        if (next_match(&s, slop, &length, &more)) freq += 1.0f / (1.0f + (float)length);
    }
    return freq;
}
