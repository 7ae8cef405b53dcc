/* SPDX-License-Identifier: Apache-2.0 */
/* text/wordpiece.h -- BERT's uncased WordPiece, equal to Hugging Face `tokenizers`.
 *
 *     text -> special tokens typed in it -> clean, split ideographs, strip accents,
 *     lower-case -> words and punctuation -> longest pieces from the left ("##" goes
 *     on) -> ids; a word without pieces, or of more than 100 characters, is [UNK]
 *
 * Everybody but text reaches it through tokenizer.h.
 *
 * Lifetime   results live in the caller's arena.
 * Threads    a created qn_wordpiece is read-only: any number of threads.
 * Errors     QN_EMODEL for an unusable vocabulary, QN_EUTF8 with the offset for
 *            invalid text. */
#ifndef QN_TEXT_WORDPIECE_H
#define QN_TEXT_WORDPIECE_H

#include "text/pieces.h"

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

/* The text may be at most 2^31 bytes. */
QN_MUST_CHECK qn_status qn_wordpiece_encode(const qn_wordpiece *wp, qn_slice text,
                                            qn_tokenize_flags flags, qn_arena *arena,
                                            qn_pieces *out, qn_error *err);

#endif
