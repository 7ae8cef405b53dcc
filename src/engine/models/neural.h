/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models/neural.h -- a model's scores of stored documents, remembered.
 *
 * The text of a document is the strings of some fields of its source, in the order of
 * the fields, joined by one blank. How it is cut and scored: engine/models/passages.h.
 *
 * Lifetime   texts and results in the caller's arena.
 * Threads    any number of calls.
 * Errors     QN_ENOMODEL, QN_EMODELTASK, errors of reading sources. Running out of time
 *            is none. */
#ifndef QN_ENGINE_NEURAL_H
#define QN_ENGINE_NEURAL_H

#include "engine/engine_internal.h"
#include "rank/pipeline.h"

typedef struct qn_neural_job {
    quern *q;
    const qn_table_snapshot *snapshot;
    qn_slice query;
    const qn_slice *fields; /* dotted paths; none: every text field of the table */
    size_t field_count;
    uint32_t tokens_max; /* of a pair; 0: what the model takes */
    qn_arena *arena;
    const char *model_name; /* out: which model answered; NULL until one did */
} qn_neural_job;

/* A qn_rank_neural_fn (rank/pipeline.h); ctx is a qn_neural_job. */
qn_status qn_neural_score(void *ctx, const qn_rank_neural_ask *ask,
                          qn_rank_neural_answer *answers, const char **model_name,
                          qn_error *err);

/* The text a model reads of one source. */
QN_MUST_CHECK qn_status qn_neural_text(qn_arena *arena, const qn_schema *schema,
                                       const qn_slice *fields, size_t field_count,
                                       qn_slice source, qn_slice *out, qn_error *err);

#endif
