/* SPDX-License-Identifier: Apache-2.0 */
/* text/wordpiece.h -- BERT's uncased WordPiece, equal to Hugging Face `tokenizers`.
 *
 *     text -> special tokens typed in it -> clean, split ideographs, strip accents,
 *     lower-case -> words and punctuation -> longest pieces from the left ("##" goes
 *     on) -> ids; a word without pieces, or of more than 100 characters, is [UNK]
 *
 * A text is encoded once, without [CLS] and [SEP]; pairs are put together from
 * encoded texts, so a query is not encoded again for each document:
 *
 *     qn_wordpiece_encode(wp, query, QN_WORDPIECE_PLAIN, arena, &q, err)
 *     qn_wordpiece_encode(wp, document, QN_WORDPIECE_PLAIN, arena, &d, err)
 *     qn_wordpiece_join(wp, &q, &d, 512, QN_TRUNCATE_BALANCED, arena, &pair, err)
 *
 * Lifetime   results live in the caller's arena.
 * Threads    a created qn_wordpiece is read-only: any number of threads.
 * Errors     QN_EMODEL for an unusable vocabulary, QN_EUTF8 with the offset for
 *            invalid text, QN_ETOOLONG where truncation is not allowed or leaves
 *            nothing. */
#ifndef QN_TEXT_WORDPIECE_H
#define QN_TEXT_WORDPIECE_H

#include "base/arena.h"

enum { QN_WORDPIECE_WORD_CHARS_MAX = 100 };

typedef struct qn_wordpiece qn_wordpiece;

/* `vocab` is the content of vocab.txt: one piece a line, the line number is the id.
 * [PAD], [UNK], [CLS], [SEP], [MASK] must be in it. The bytes are copied. */
QN_MUST_CHECK qn_status qn_wordpiece_create(qn_alloc *a, qn_slice vocab,
                                            QN_OWNED qn_wordpiece **out, qn_error *err);
void qn_wordpiece_destroy(QN_OWNED QN_NULLABLE qn_wordpiece *wp);

typedef struct qn_wordpiece_specials {
    uint32_t pad, unk, cls, sep, mask;
} qn_wordpiece_specials;

const qn_wordpiece_specials *qn_wordpiece_special(const qn_wordpiece *wp);
size_t qn_wordpiece_vocab_size(const qn_wordpiece *wp);
/* {NULL, 0} for an id that does not exist. */
qn_slice qn_wordpiece_piece(const qn_wordpiece *wp, uint32_t id);
/* false when it is not in the vocabulary. */
bool qn_wordpiece_id(const qn_wordpiece *wp, qn_slice piece, uint32_t *id);

typedef enum qn_wordpiece_flags {
    /* "[SEP]" and the like in the text become the special token, as in Hugging Face. */
    QN_WORDPIECE_SPECIALS = 0,
    /* They are text like any other: for what users typed. */
    QN_WORDPIECE_PLAIN = 1,
} qn_wordpiece_flags;

typedef struct qn_pieces {
    uint32_t *ids;         /* [n], without [CLS] and [SEP] */
    uint32_t *start, *end; /* [n], bytes of the text that a piece covers */
    size_t n;

    /* Private to wordpiece.c. */
    size_t capacity;
} qn_pieces;

/* The text may be at most 2^31 bytes. */
QN_MUST_CHECK qn_status qn_wordpiece_encode(const qn_wordpiece *wp, qn_slice text,
                                            qn_wordpiece_flags flags, qn_arena *arena,
                                            qn_pieces *out, qn_error *err);

/* What gives way when a pair is too long; room = length_max less three specials. */
typedef enum qn_truncation {
    /* Both over half of the room: both cut to half, the odd token to the second; else
     * the longer is cut (Elasticsearch). */
    QN_TRUNCATE_BALANCED,
    /* The longer is cut down to the other, then both to half, the odd token to the one
     * that was longer (Hugging Face). */
    QN_TRUNCATE_LONGEST_FIRST,
    /* The first stays whole; QN_ETOOLONG when it leaves the second nothing. */
    QN_TRUNCATE_ONLY_SECOND,
    /* Too long is QN_ETOOLONG. */
    QN_TRUNCATE_NONE,
} qn_truncation;

/* "balanced", "longest_first", "only_second", "none". */
const char *qn_truncation_name(qn_truncation t);
bool qn_truncation_parse(qn_slice name, qn_truncation *out);

typedef struct qn_pair_lengths {
    size_t first, second; /* tokens kept of each text, without specials */
    bool truncated;
} qn_pair_lengths;

/* How much of texts of `first` and `second` tokens fits into `room` tokens. */
QN_MUST_CHECK qn_status qn_truncate_pair(size_t first, size_t second, size_t room,
                                         qn_truncation how, qn_pair_lengths *out,
                                         qn_error *err);

typedef struct qn_encoding {
    uint32_t *ids;  /* [n]: [CLS] first [SEP] second [SEP] */
    uint8_t *types; /* [n]: 0 up to the first [SEP], then 1 */
    size_t n;
    qn_pair_lengths kept;
} qn_encoding;

/* `second` NULL gives [CLS] first [SEP]; the strategies then cut `first` alone, but
 * only_second and none refuse. length_max counts the specials. */
QN_MUST_CHECK qn_status qn_wordpiece_join(const qn_wordpiece *wp,
                                          const qn_pieces *first,
                                          QN_NULLABLE const qn_pieces *second,
                                          size_t length_max, qn_truncation how,
                                          qn_arena *arena, qn_encoding *out,
                                          qn_error *err);

#endif
