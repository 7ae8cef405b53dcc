/* SPDX-License-Identifier: Apache-2.0 */
/* text/pieces.h -- what a tokenizer makes of a text, and how pairs are cut to length.
 *
 * Lifetime   results live in the caller's arena. */
#ifndef QN_TEXT_PIECES_H
#define QN_TEXT_PIECES_H

#include "base/arena.h"

typedef enum qn_tokenize_flags {
    /* "[SEP]" and the like in the text become the special token, as in Hugging Face. */
    QN_TOKENIZE_SPECIALS = 0,
    /* They are text like any other: for what users typed. */
    QN_TOKENIZE_PLAIN = 1,
} qn_tokenize_flags;

enum { QN_TOKENIZE_BYTES_MAX = INT32_MAX };

typedef struct qn_pieces {
    uint32_t *ids;         /* [n], without the special tokens around a text */
    uint32_t *start, *end; /* [n], bytes of the text that a piece covers */
    size_t n;

    /* Private to pieces.c. */
    size_t capacity;
} qn_pieces;

/* Room for `more` pieces after the first n; false when out of memory. */
bool qn_pieces_reserve(qn_pieces *p, qn_arena *arena, size_t more);

/* Room was reserved. */
static inline void qn_pieces_push(qn_pieces *p, uint32_t id, uint32_t start,
                                  uint32_t end)
{
    p->ids[p->n] = id;
    p->start[p->n] = start;
    p->end[p->n++] = end;
}

/* What gives way when a pair is too long; room = length_max less the specials. */
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
/* The same for one text; only_second and none refuse what is too long. */
QN_MUST_CHECK qn_status qn_truncate_single(size_t first, size_t room, qn_truncation how,
                                           qn_pair_lengths *out, qn_error *err);

typedef struct qn_encoding {
    uint32_t *ids;  /* [n]: [CLS] first [SEP] second [SEP], or as the model wants it */
    uint8_t *types; /* [n]: the segment of each token, 0 or 1 */
    size_t n;
    qn_pair_lengths kept;
} qn_encoding;

#endif
