/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_internal.h -- one text being cut; what the files of the chunker share. */
#ifndef QN_TEXT_CHUNK_INTERNAL_H
#define QN_TEXT_CHUNK_INTERNAL_H

#include "base/vec.h"
#include "text/chunk.h"

#include <unicode/ubrk.h>
#include <unicode/uregex.h>

struct qn_chunker {
    qn_alloc *alloc;
    const qn_chunk_settings *settings;
    const struct qn_tokenizer *tokenizer;
    size_t room;
    UBreakIterator *words_of, *sentences_of;
    URegularExpression *separators[QN_CHUNK_SEPARATORS_MAX];

    /* Of the text being cut. */
    qn_slice text;
    qn_error *err;
    QN_VEC(uint32_t) words; /* where each ends */
    QN_VEC(qn_chunk) chunks;
};

/* What ICU could not do. */
qn_status qn_chunk__failed(const qn_chunker *c, UErrorCode code);
/* How many words end at or before byte `at`. */
size_t qn_chunk__words_before(const qn_chunker *c, uint32_t at);
qn_status qn_chunk__add(qn_chunker *c, uint32_t start, uint32_t end);

/* Bytes [start, end) of the text by sentences of at most `size` words. */
qn_status qn_chunk__sentences(qn_chunker *c, uint32_t start, uint32_t end, size_t size,
                              bool overlap);
/* chunk_recursive.c */
qn_status qn_chunk__recursive_open(qn_chunker *c);
qn_status qn_chunk__recursive(qn_chunker *c, uint32_t start, uint32_t end,
                              size_t separator);
/* chunk_tokens.c */
qn_status qn_chunk__tokens(qn_chunker *c);

#endif
