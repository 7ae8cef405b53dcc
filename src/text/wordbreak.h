/* SPDX-License-Identifier: Apache-2.0 */
/* text/wordbreak.h -- the words of UAX #29 as Lucene's StandardTokenizer cuts them.
 *
 * A state machine over classes of characters, both written by tools/gen_wordbreak.py:
 * the longest match from here is a word, with a type; where nothing matches, one
 * character is skipped. A match looks at no more than 255 UTF-16 units.
 *
 * Lifetime   a machine is in its owner's memory.
 * Threads    read-only once initialised.
 * Errors     QN_ENOMEM at init only. */
#ifndef QN_TEXT_WORDBREAK_H
#define QN_TEXT_WORDBREAK_H

#include "base/slice.h"

/* ORDER of the rules in tools/gen_wordbreak.py. */
typedef enum qn_word_type {
    QN_WORD_NONE,
    QN_WORD_EMOJI,
    QN_WORD_NUM,
    QN_WORD_HANGUL,
    QN_WORD_KATAKANA,
    QN_WORD_ALPHANUM,
    QN_WORD_SOUTHEAST_ASIAN,
    QN_WORD_IDEOGRAPHIC,
    QN_WORD_HIRAGANA,
    QN_WORD_TYPE_COUNT,
} qn_word_type;

typedef struct qn_wordbreak {
    /* Private to wordbreak.c. */
    qn_alloc *alloc;
    uint16_t *block_of; /* of a character divided by 256 */
    uint8_t *classes;   /* blocks of 256 */
} qn_wordbreak;

QN_MUST_CHECK qn_status qn_wordbreak_init(qn_wordbreak *wb, qn_alloc *a, qn_error *err);
void qn_wordbreak_deinit(qn_wordbreak *wb);

typedef struct qn_word {
    uint32_t start, end, start16, end16;
    qn_word_type type;
    bool ascii;
} qn_word;

/* The longest word that begins at byte `at` (UTF-16 unit `at16`) of valid UTF-8; of
 * type QN_WORD_NONE when no word begins there. Requires at < text.n. */
qn_word qn_wordbreak_match(const qn_wordbreak *wb, qn_slice text, uint32_t at,
                           uint32_t at16);
/* "<ALPHANUM>" and the like. */
const char *qn_word_type_name(qn_word_type type);

/* The generated tables. */
typedef struct qn_wordbreak_range {
    uint32_t first; /* up to the next range's first */
    uint8_t class_;
} qn_wordbreak_range;

extern const uint32_t qn_text__wordbreak_range_count;
extern const qn_wordbreak_range qn_text__wordbreak_ranges[];
extern const uint32_t qn_text__wordbreak_class_count;
extern const uint8_t qn_text__wordbreak_next[];
extern const uint8_t qn_text__wordbreak_accept[];

#endif
