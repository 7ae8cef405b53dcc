/* SPDX-License-Identifier: Apache-2.0 */
/* text/analyzer.h -- text in, terms out, by the name of an analyzer.
 *
 * Documents and queries go through the same analyzer, so what it does is part of an
 * index: QN_ANALYSIS_VERSION changes whenever any analyzer gives other tokens, and
 * the index records it.
 *
 *     standard      words of UAX #29 as Lucene's StandardTokenizer finds them,
 *                   lower-cased; one token per ideograph
 *     english       standard, possessives off, 33 stop words out, Porter's stems
 *     whitespace    cut at blanks, nothing else changed
 *     keyword       the whole text as one token
 *     chinese       dictionary words, mixed text, lower-cased, NFKC-folded
 *     chn_single    the same folding, one token per ideograph
 * and other names for these: chn_standard, simple, eng_standard.
 *
 * Lifetime   a set is created once and outlives what uses it; analyzers are views
 *            into it. Tokens live in the caller's arena; a term may also point into
 *            the text itself, so both must last.
 * Threads    a set and its analyzers may be shared by any number of threads.
 * Errors     QN_EUTF8 with the offset for invalid text; QN_ENOANALYZER for an unknown
 *            name, listing the known ones; QN_ENOTFOUND on the first use of `chinese`
 *            when the dictionary is not installed. */
#ifndef QN_TEXT_ANALYZER_H
#define QN_TEXT_ANALYZER_H

#include "base/arena.h"

enum {
    QN_ANALYSIS_VERSION = 1,
    QN_TOKEN_UNITS_MAX = 255, /* longer words are cut, as in Lucene; UTF-16 units */
};

typedef struct qn_token {
    qn_slice term;           /* what is indexed; valid UTF-8 */
    uint32_t start, end;     /* bytes of the text it came from: [start, end) */
    uint32_t start16, end16; /* the same in UTF-16 units */
    uint32_t position;       /* counts removed stop words too; never decreases */
    const char *type;        /* "<ALPHANUM>", "<NUM>", "<IDEOGRAPHIC>", "<HIRAGANA>",
                              * "<KATAKANA>", "<HANGUL>", "<SOUTHEAST_ASIAN>",
                              * "<EMOJI>", "word" */
} qn_token;

/* Zero-initialised is empty. */
typedef struct qn_token_list {
    qn_token *p;
    size_t n;

    /* Private to the analyzers. */
    size_t capacity;
} qn_token_list;

typedef struct qn_analyzer qn_analyzer;
typedef struct qn_analyzers qn_analyzers;

QN_MUST_CHECK qn_status qn_analyzers_create(qn_alloc *a, QN_OWNED qn_analyzers **out,
                                            qn_error *err);
void qn_analyzers_destroy(QN_OWNED QN_NULLABLE qn_analyzers *set);

/* Where the Chinese dictionary is looked for instead of the built-in place: a folder
 * with friso.lex.ini. To be called before the first use of `chinese`. */
QN_MUST_CHECK qn_status qn_analyzers_set_dictionary(qn_analyzers *set,
                                                    const char *folder, qn_error *err);

QN_MUST_CHECK qn_status qn_analyzer_find(const qn_analyzers *set, qn_slice name,
                                         const qn_analyzer **out, qn_error *err);
/* The name proper, also when it was found by another one. */
const char *qn_analyzer_name(const qn_analyzer *analyzer);
/* All names, other names included; NULL at and past the end. */
const char *qn_analyzers_name_at(const qn_analyzers *set, size_t i);

/* Replaces the content of `out`. The text may be at most 2^31 bytes. */
QN_MUST_CHECK qn_status qn_analyzer_run(const qn_analyzer *analyzer, qn_slice text,
                                        qn_arena *arena, qn_token_list *out,
                                        qn_error *err);

#endif
