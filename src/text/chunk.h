/* SPDX-License-Identifier: Apache-2.0 */
/* text/chunk.h -- a long text cut into pieces that a model can read whole.
 *
 *     sentence    whole sentences, as many as `size` words hold; `overlap` 1: each piece
 *                 begins with the last sentence of the one before
 *     word        `size` words, of which `overlap` were in the piece before
 *     recursive   cut at separators, the coarsest first, until a piece has at most `size`
 *                 words; what no separator cuts small enough is cut by sentences
 *     token       `size` tokens of a model's own tokenizer, cut at blanks, `overlap` of
 *                 them shared; size 0: as many as the model has room for
 *     none        the whole text
 *
 * Words and sentences are those of UAX #29 as ICU finds them for the root locale, with its
 * dictionaries for Chinese, Japanese and Thai; blanks and punctuation are no words. Names,
 * defaults, ranges and messages are those of Elasticsearch's chunking_settings.
 *
 * A chunk is a range of bytes of the text, on borders of characters, never an altered text.
 * There is always at least one.
 *
 * Lifetime   chunks live in the caller's arena; settings' separators in the arena they were
 *            read into.
 * Threads    a chunker belongs to one thread at a time; settings are read-only.
 * Errors     QN_EINVAL for settings, naming the one and what it may be; QN_EUTF8;
 *            QN_ELIMIT for a text that is too long and for a separator that takes too long
 *            to look for. */
#ifndef QN_TEXT_CHUNK_H
#define QN_TEXT_CHUNK_H

#include "base/arena.h"
#include "io/json.h"

struct qn_tokenizer;

enum {
    QN_CHUNK_SIZE_DEFAULT = 250,
    QN_CHUNK_SIZE_MAX = 100000,
    QN_CHUNK_SENTENCE_SIZE_MIN = 20,
    QN_CHUNK_WORD_SIZE_MIN = 10, /* and of recursive, and token */
    QN_CHUNK_OVERLAP_DEFAULT = 100,
    QN_CHUNK_SEPARATORS_MAX = 32,
    QN_CHUNK_SEPARATOR_BYTES_MAX = 1024,
    QN_CHUNK_TEXT_MAX = 1 << 30, /* bytes */
};

typedef enum qn_chunk_strategy {
    QN_CHUNK_NONE,
    QN_CHUNK_SENTENCE,
    QN_CHUNK_WORD,
    QN_CHUNK_RECURSIVE,
    QN_CHUNK_TOKEN,
} qn_chunk_strategy;

/* Zero-initialised: none. */
typedef struct qn_chunk_settings {
    qn_chunk_strategy strategy;
    uint32_t size;              /* words; TOKEN: tokens, 0: what there is room for */
    uint32_t overlap;           /* words, tokens; SENTENCE: sentences, 0 or 1 */
    const qn_slice *separators; /* RECURSIVE: regular expressions, coarsest first */
    size_t separator_count;
} qn_chunk_settings;

/* "sentence" and so on. */
const char *qn_chunk_strategy_name(qn_chunk_strategy s);

/* A chunking_settings object of `text`. An empty one is sentence, 250, 1. */
QN_MUST_CHECK qn_status qn_chunk_settings_read(const qn_json *v, qn_slice text,
                                               qn_arena *arena, qn_chunk_settings *out,
                                               qn_error *err);
/* The same as a text, or in short: STRATEGY[:SIZE[:OVERLAP]], recursive:SIZE:GROUP. */
QN_MUST_CHECK qn_status qn_chunk_settings_parse(qn_slice text, qn_arena *arena,
                                                qn_chunk_settings *out, qn_error *err);
/* As a chunking_settings object. */
void qn_chunk_settings_print(const qn_chunk_settings *s, qn_json_writer *w);

typedef struct qn_chunk {
    uint32_t start, end; /* bytes of the text */
} qn_chunk;

typedef struct qn_chunker qn_chunker;

/* `settings` are borrowed. `tokenizer` and `room`, the tokens that a piece may have at
 * most: of TOKEN alone. */
QN_MUST_CHECK qn_status
qn_chunker_create(qn_alloc *a, const qn_chunk_settings *settings,
                  QN_NULLABLE const struct qn_tokenizer *tokenizer, size_t room,
                  QN_OWNED qn_chunker **out, qn_error *err);
void qn_chunker_destroy(QN_OWNED QN_NULLABLE qn_chunker *c);
/* *count >= 1, in the order of the text. */
QN_MUST_CHECK qn_status qn_chunker_run(qn_chunker *c, qn_slice text, qn_arena *arena,
                                       const qn_chunk **out, size_t *count,
                                       qn_error *err);

#endif
