/* SPDX-License-Identifier: Apache-2.0 */
/* query/phrase_match.h -- how often a phrase stands in a document that holds all its
 * words. Private to this module.
 *
 * Word i stands at p + offset_i for one p; the frequency is the number of such p. The
 * words with the fewest occurrences are read first, so that most documents without the
 * phrase are known by two of its words.
 *
 * Lifetime   in the segment's scratch arena. */
#ifndef QN_QUERY_PHRASE_MATCH_H
#define QN_QUERY_PHRASE_MATCH_H

#include "query/phrase_sloppy.h"
#include "query/word.h"

typedef struct qn_phrase_place {
    uint32_t offset; /* from the phrase's first word */
    uint32_t freq;   /* of the word in the document at hand */
    size_t number;   /* place among the words of the phrase */
    qn_postings *p;
    qn_postings_spot spot; /* of the document at hand, for qn_phrase_freq_there() */
} qn_phrase_place;

typedef struct qn_phrase {
    qn_phrase_place *places;
    size_t n;
    uint32_t slop;
    QN_NULLABLE qn_sloppy_word *sloppy; /* with slop, by place */

    /* Private to phrase_match.c. */
    qn_arena *arena;
    uint32_t *begins; /* where the phrase may still begin */
    size_t capacity;
} qn_phrase;

/* In `doc`, which all words have; documents ascend. */
QN_MUST_CHECK qn_status qn_phrase_freq(qn_phrase *p, uint32_t doc, float *freq,
                                       qn_error *err);

/* The same where `freq` and `spot` of the places say where the document's positions are;
 * without slop; the places are ordered anew. Documents come in any order. */
QN_MUST_CHECK qn_status qn_phrase_freq_there(qn_phrase *p, float *freq, qn_error *err);

#endif
