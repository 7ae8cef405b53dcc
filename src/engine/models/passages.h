/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models/passages.h -- the one way from a query and texts to a model's scores.
 *
 *     texts --cut--> passages --known?--> score cache
 *                            \--the others, equal ones once--> nn/calls/rerank.h
 *     scores of passages --joined--> a score of each text, and which passage it owes it to
 *
 * A passage is a range of bytes of its text; its score is that of the model on it alone. A
 * text counts as scored when all of its passages are: a deadline leaves whole texts out,
 * never parts, so a score does not depend on the time there was.
 *
 * With `how.logits` (several labels) texts are read whole and nothing is kept.
 *
 * Lifetime   results in the caller's array.
 * Threads    any number of calls.
 * Errors     those of nn/calls/rerank.h and text/chunk.h; QN_ELIMIT for too many passages. Running
 *            out of time is none. */
#ifndef QN_ENGINE_PASSAGES_H
#define QN_ENGINE_PASSAGES_H

#include "engine/engine_internal.h"
#include "nn/calls/passage_options.h"
#include "nn/calls/rerank.h"

enum { QN_PASSAGES_MAX = 1 << 20 }; /* of one call */

typedef struct qn_passage_score {
    bool scored, truncated;
    float logit;                /* of the text */
    uint32_t tokens;            /* of all its pairs */
    uint32_t start, end;        /* the best passage: bytes of the text */
    uint32_t passage, passages; /* its number from 0; how many the text was cut into */
} qn_passage_score;

/* `how` goes to the model as it is; its caches are the engine's. `kept`: scores known from
 * earlier are used, and new ones kept. */
typedef struct qn_passage_job {
    quern *q;
    qn_model *model;
    qn_slice query;
    const qn_passage_options *options; /* NULL: texts as they are */
    qn_rerank_options how;
    bool kept;
} qn_passage_job;

/* Texts most promising first. *scored: how many of them have a score. */
QN_MUST_CHECK qn_status qn_passages_score(const qn_passage_job *job,
                                          const qn_slice *texts, size_t n,
                                          qn_passage_score *out, size_t *scored,
                                          qn_error *err);

/* passages_best.c: puts the `keep` passages whose words are most like the query's in front,
 * best first; the others after them in no order. Equal ones by place. */
QN_MUST_CHECK qn_status qn_passages__best(quern *q, qn_slice query, qn_slice text,
                                          qn_chunk *chunks, size_t n, size_t keep,
                                          qn_error *err);

#endif
