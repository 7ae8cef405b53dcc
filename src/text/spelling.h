/* SPDX-License-Identifier: Apache-2.0 */
/* text/spelling.h -- which known words a mistyped one may have been.
 *
 * The known words, each with a count, stand in a trie whose nodes lie in depth-first
 * order; a node knows where its subtree ends. Looking a word up is one pass over that
 * array with a band of the edit-distance matrix on a stack: a subtree that cannot come
 * within the allowed edits is passed over in one step. Nothing is precomputed for the
 * edits, so the dictionary takes 16 bytes a node, about 45 a word.
 *
 * What was found is weighed as a noisy channel does (Kernighan, Church and Gale 1990):
 * the chance of the word, from its count, times the chance of the slip, from what was
 * mistyped: neighbours swapped, letters doubled, vowels taken for each other and keys that
 * lie side by side are likelier than others, the first letter is rarely wrong. One more
 * candidate is the word as typed, a word that the dictionary happens not to have. The
 * shares of all candidates add to one; `confidence` is a candidate's share.
 *
 * Words are valid UTF-8 and lower case, as the analyzers give them; letters are code
 * points.
 *
 * Lifetime   words are copied in; suggestions live in the caller's arena.
 * Threads    adding: one; after qn_spelling_build() any number may ask.
 * Errors     QN_ESYNTAX with line and offset from a wrong dictionary text; QN_ELIMIT over
 *            QN_SPELLING_WORDS_MAX. */
#ifndef QN_TEXT_SPELLING_H
#define QN_TEXT_SPELLING_H

#include "base/arena.h"

enum {
    QN_SPELLING_WORDS_MAX = 1 << 22,
    QN_SPELLING_LETTERS_MAX = 40, /* longer words are neither kept nor corrected */
    QN_SPELLING_EDITS_MAX = 3,
    QN_SPELLING_SUGGESTIONS_MAX = 16,
};

typedef struct qn_spelling qn_spelling;

typedef struct qn_spelling_options {
    unsigned edits_max; /* of words of five letters and more; 0: 2. Words of three and
                           * four letters: one; shorter ones: none */
    size_t suggestions; /* at most; 0: 5 */
    bool no_splits;     /* never two words for one */
    uint64_t count_min; /* known words with a lower count are not suggested */
} qn_spelling_options;

typedef struct qn_suggestion {
    qn_slice word;     /* two with a blank between when a blank was forgotten */
    uint64_t count;    /* of two words: of the rarer */
    unsigned edits;    /* letters inserted, deleted, replaced or swapped */
    double confidence; /* 0..1 */
} qn_suggestion;

QN_MUST_CHECK qn_status qn_spelling_create(qn_alloc *a, QN_OWNED qn_spelling **out,
                                           qn_error *err);
void qn_spelling_destroy(QN_OWNED QN_NULLABLE qn_spelling *s);
/* Adds to the count of a word. Words with blanks and over-long ones are passed over. */
QN_MUST_CHECK qn_status qn_spelling_add(qn_spelling *s, qn_slice word, uint64_t count,
                                        qn_error *err);
/* Lines `word count`, blank or tab between; a byte order mark and empty lines are passed
 * over. */
QN_MUST_CHECK qn_status qn_spelling_add_text(qn_spelling *s, qn_slice text,
                                             qn_error *err);
/* Once, after the last word. */
QN_MUST_CHECK qn_status qn_spelling_build(qn_spelling *s, qn_error *err);

size_t qn_spelling_word_count(const qn_spelling *s);
/* 0: unknown. */
uint64_t qn_spelling_count_of(const qn_spelling *s, qn_slice word);

/* The likeliest first, at most `suggestions`; the word itself is never among them. */
QN_MUST_CHECK qn_status qn_spelling_suggest(const qn_spelling *s, qn_slice word,
                                            const qn_spelling_options *options,
                                            qn_arena *arena, const qn_suggestion **out,
                                            size_t *count, qn_error *err);

#endif
