/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer.h -- from a text to the ids that a model reads.
 *
 * One interface for the three families, each made from the bytes that come with a model:
 *
 *     vocab.txt         BERT's uncased WordPiece (wordpiece.h)
 *     spm.model         SentencePiece Unigram, as the C++ library reads it
 *     tokenizer.json    Hugging Face `tokenizers`: normalizers, splits, WordPiece, Unigram
 *                       or BPE, template; what is not built is refused by its name
 *
 * A text is encoded once, without special tokens around it; pairs are put together from
 * encoded texts, so a query is not encoded again for each document:
 *
 *     qn_tokenizer_encode(t, query, QN_TOKENIZE_PLAIN, arena, &q, err)
 *     qn_tokenizer_encode(t, document, QN_TOKENIZE_PLAIN, arena, &d, err)
 *     qn_tokenizer_join(t, &q, &d, 512, QN_TRUNCATE_BALANCED, arena, &pair, err)
 *
 * Lifetime   results live in the caller's arena.
 * Threads    a created qn_tokenizer is read-only: any number of threads.
 * Errors     QN_EMODEL for unusable or unsupported files, QN_EUTF8 with the offset for
 *            invalid text, QN_ETOOLONG where truncation is not allowed or leaves nothing. */
#ifndef QN_TEXT_TOKENIZER_H
#define QN_TEXT_TOKENIZER_H

#include "text/pieces.h"

typedef struct qn_tokenizer qn_tokenizer;

/* Format (model files name them): what the bytes are. */
typedef enum qn_tokenizer_form {
    QN_TOKENIZER_VOCAB,       /* "wordpiece-uncased": one piece a line */
    QN_TOKENIZER_SPM_DEBERTA, /* "spm-deberta": spm.model; [CLS] a [SEP] b [SEP] */
    QN_TOKENIZER_SPM_XLMR,    /* "spm-xlmr": ids one further; <s> a </s></s> b </s> */
    QN_TOKENIZER_JSON,        /* "tokenizer.json" */
} qn_tokenizer_form;

/* "wordpiece-uncased" and so on. */
const char *qn_tokenizer_form_name(qn_tokenizer_form form);
bool qn_tokenizer_form_parse(qn_slice name, qn_tokenizer_form *out);

/* The bytes are copied or read once; they need not stay. */
QN_MUST_CHECK qn_status qn_tokenizer_create(qn_alloc *a, qn_tokenizer_form form,
                                            qn_slice bytes, QN_OWNED qn_tokenizer **out,
                                            qn_error *err);
void qn_tokenizer_destroy(QN_OWNED QN_NULLABLE qn_tokenizer *t);

enum { QN_TOKEN_NONE = -1 };

/* Ids, or QN_TOKEN_NONE for what the model does not have. cls and sep are what stands
 * first and last around a text, whatever their names. */
typedef struct qn_tokenizer_specials {
    int32_t pad, unk, cls, sep, mask;
} qn_tokenizer_specials;

const qn_tokenizer_specials *qn_tokenizer_special(const qn_tokenizer *t);
/* One more than the greatest id. */
size_t qn_tokenizer_vocab_size(const qn_tokenizer *t);
/* {NULL, 0} for an id that does not exist. */
qn_slice qn_tokenizer_piece(const qn_tokenizer *t, uint32_t id);
bool qn_tokenizer_is_special(const qn_tokenizer *t, uint32_t id);

/* The text may be at most QN_TOKENIZE_BYTES_MAX bytes. */
QN_MUST_CHECK qn_status qn_tokenizer_encode(const qn_tokenizer *t, qn_slice text,
                                            qn_tokenize_flags flags, qn_arena *arena,
                                            qn_pieces *out, qn_error *err);

/* The text that ids stand for, as the tokenizer's own decoder puts it together, in the
 * arena; what it was before it was normalised is not known any more. `skip_special`:
 * without special tokens. QN_EINVAL for an id that is none. */
QN_MUST_CHECK qn_status qn_tokenizer_decode(const qn_tokenizer *t, const uint32_t *ids,
                                            size_t n, bool skip_special,
                                            qn_arena *arena, qn_slice *out,
                                            qn_error *err);

/* How many special tokens a text (or a pair) gets. */
size_t qn_tokenizer_extra(const qn_tokenizer *t, bool pair);
/* `second` NULL gives one text with its special tokens; the strategies then cut `first`
 * alone, but only_second and none refuse. length_max counts the specials. */
QN_MUST_CHECK qn_status qn_tokenizer_join(const qn_tokenizer *t, const qn_pieces *first,
                                          QN_NULLABLE const qn_pieces *second,
                                          size_t length_max, qn_truncation how,
                                          qn_arena *arena, qn_encoding *out,
                                          qn_error *err);

#endif
