/* SPDX-License-Identifier: Apache-2.0 */
/* rank/trace.h -- why a document has its score: what every formula made of it.
 *
 *     FirstRank:                                          a stage whose formula scored it
 *     expression[static_bm25()], result[0.496452].        every term of the outermost sum
 *       input[static_bm25()], value[0.496452].            what the formula asked for
 *         word[quern], field[title], count[2], positions[0 7], length[12].
 *       part[static_bm25()*10], value[4.96452].           every sub-expression
 *
 * How much is asked for by level; a trace is made for the documents that are shown, once
 * they are known. Sub-expressions are compiled anew, each once for all those documents.
 *
 * Lifetime   everything in the arena of the request; texts of formulas are copied.
 * Threads    one.
 * Errors     damage met while reading; no memory. A part that has no number is NaN. */
#ifndef QN_RANK_TRACE_H
#define QN_RANK_TRACE_H

#include "base/arena.h"

#include <stdint.h>

/* Each has what those before it have. */
typedef enum qn_trace_level {
    QN_TRACE_NONE,
    QN_TRACE_TERMS,  /* INFO */
    QN_TRACE_INPUTS, /* DEBUG: features with the words they saw */
    QN_TRACE_ALL,    /* TRACE1 and below: every sub-expression */
} qn_trace_level;

/* HA3's words, in any case: ALL TRACE3 TRACE2 TRACE1 DEBUG INFO; anything else is NONE. */
qn_trace_level qn_trace_level_of(qn_slice word);

enum { QN_TRACE_PARTS_MAX = 256, QN_TRACE_POSITIONS_MAX = 32 };

typedef struct qn_trace_word {
    qn_slice text, field;
    uint32_t count;
    const uint32_t *positions; /* the first of them */
    size_t position_count;
    uint32_t length; /* of the field */
    double idf;
} qn_trace_word;

typedef struct qn_trace_part {
    qn_slice text;
    uint32_t parent;            /* UINT32_MAX: none */
    double value;               /* NaN: no number */
    const qn_trace_word *words; /* of an input */
    size_t word_count;
} qn_trace_part;

/* A stage's formula and one document. */
typedef struct qn_trace_stage {
    const char *title; /* "FirstRank", "SecondRank", "NeuralRank" */
    const char *name;  /* "rough", "fine", "neural" */
    qn_slice formula;
    bool scored;
    double value;         /* when scored */
    uint32_t rank;        /* from 0; UINT32_MAX: not known */
    qn_slice why;         /* not scored: a sentence */
    qn_slice plugin, log; /* a plug-in scored it: its name; the lines that it traced */
    const qn_trace_part *terms, *inputs, *parts;
    size_t term_count, input_count, part_count;
} qn_trace_stage;

enum { QN_TRACE_STAGES_MAX = 3 };

typedef struct qn_trace {
    qn_trace_stage stages[QN_TRACE_STAGES_MAX];
    size_t stage_count;
} qn_trace;

void qn_trace_text(const qn_trace *t, qn_buf *out);
/* [{"stage","title","formula","scored","value","rank","why","terms":[{"expression","value"}],
 * "features":[{"expression","value","words":[...]}],"expression":{"text","value","parts"}}] */
void qn_trace_json(const qn_trace *t, qn_buf *out);

#endif
