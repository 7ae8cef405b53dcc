/* SPDX-License-Identifier: Apache-2.0 */
/* query/phrase_sloppy.h -- how often a phrase stands in a document when its words may be
 * some places off: Lucene's count, step by step (SloppyPhraseMatcher). Private to this
 * module.
 *
 * Each word's position, less its place in the phrase, says where the phrase would begin.
 * A match takes one occurrence of each word; its length is the distance between the
 * greatest and the least of these beginnings. Matches of at most `slop` count 1 / (1 +
 * length) each. Of words that the phrase holds twice no two take the same occurrence. */
#ifndef QN_QUERY_PHRASE_SLOPPY_H
#define QN_QUERY_PHRASE_SLOPPY_H

#include "query/tree.h"

typedef struct qn_sloppy_word {
    uint32_t offset;           /* place in the phrase; words ascend by it */
    uint32_t same;             /* equal words have equal numbers */
    const uint32_t *positions; /* in the document, ascending, at least one */
    size_t count;

    /* Private to phrase_sloppy.c. */
    size_t next;
    int64_t begin;
    bool queued;
} qn_sloppy_word;

/* offset and same of the words of a phrase that has one word a place. */
void qn_sloppy_words(const qn_query *q, qn_sloppy_word *out);

/* 0: the phrase does not stand there. */
float qn_sloppy_freq(qn_sloppy_word *words, size_t n, uint32_t slop);

#endif
