/* SPDX-License-Identifier: Apache-2.0 */
/* rank/bind.h -- formulas over documents: names become columns, feature calls become match
 * data, scores of earlier stages become functions.
 *
 *     compile once per request --> for each segment: run over its documents, in batches
 *
 * What a name or a call stands for is decided here; the language is expr's, the features'
 * arithmetic is features.h's. Match data is fetched once per segment and run, and shared by
 * all features of the formula.
 *
 * Lifetime   a formula borrows the input and the arena it was opened with.
 * Threads    one formula, one thread.
 * Errors     compile errors with the offset into the formula and `what` in the message;
 *            QN_ENOATTR for a field that is no attribute ("Invalid formula"); damage. */
#ifndef QN_RANK_BIND_H
#define QN_RANK_BIND_H

#include "expr/expr.h"
#include "rank/pipeline.h"
#include "rank/trace.h"

typedef struct qn_rank_formula qn_rank_formula;

enum { QN_RANK_MODELS_MAX = 4 }; /* models that one formula may name */

/* Compiles `text` for its place (QN_EXPR_IN_*). `what` ("first_formula", "fine formula")
 * begins the messages. Ended by qn_rank_formula_close(). */
QN_MUST_CHECK qn_status qn_rank_formula_open(const qn_rank_input *in, qn_arena *arena,
                                             const char *what, qn_slice text,
                                             unsigned where,
                                             QN_OWNED qn_rank_formula **out,
                                             qn_error *err);
void qn_rank_formula_close(QN_OWNED QN_NULLABLE qn_rank_formula *f);

/* Mean, deviation and least value of a score over the documents of a stage. */
typedef struct qn_rank_spread {
    double mean, deviation, least;
} qn_rank_spread;

/* A model that a formula asks by name; its scores are facts, got before the formula runs. */
typedef struct qn_rank_model_ask {
    const char *model;
    const qn_slice *fields; /* what it reads; none: as the request says */
    size_t field_count;
} qn_rank_model_ask;
const qn_rank_model_ask *qn_rank_formula_models(const qn_rank_formula *f, size_t *n);
/* It has neural_score() and the like without a name: the neural stage's own. */
bool qn_rank_formula_asks_stage(const qn_rank_formula *f);
/* It looks at what recall made of documents: text scores, fused scores, places. */
bool qn_rank_formula_asks_recall(const qn_rank_formula *f);

struct qn_rank_pool;

/* Facts about documents that formulas may read besides columns and match data. Arrays are
 * parallel to the documents of the run; NULL: not known at this stage. */
typedef struct qn_rank_facts {
    const float *text;   /* NaN: words did not find it */
    const float *vector; /* raw metric; NaN: no vector, or not asked */
    const float *recall;
    const float *rough;
    const double *neural; /* logits */
    QN_NULLABLE const qn_rank_spread *text_spread, *vector_spread, *neural_spread;
    /* By the models of qn_rank_formula_models(): logits by document, NaN where it was not
     * reached, and their spreads. */
    const double *const *models;
    const qn_rank_spread *model_spreads;
    /* All candidates, for rrf() and linear(). */
    QN_NULLABLE const struct qn_rank_pool *pool;
} qn_rank_facts;

/* Values for `n` documents of one segment, ascending. `facts` start at the same document. */
QN_MUST_CHECK qn_status qn_rank_formula_run(qn_rank_formula *f, size_t segment,
                                            const uint32_t *docs, size_t n,
                                            const qn_rank_facts *facts, double *out,
                                            qn_error *err);
uint64_t qn_rank_formula_bad_docs(const qn_rank_formula *f);
/* What the formula made of a document: terms, inputs, parts of `out`, in the arena. */
QN_MUST_CHECK qn_status qn_rank_formula_trace(qn_rank_formula *f, qn_trace_level level,
                                              size_t segment, uint32_t doc,
                                              const qn_rank_facts *facts,
                                              qn_arena *arena, qn_trace_stage *out,
                                              qn_error *err);
/* Warnings collected while compiling (2112: a text field that the query does not ask). */
size_t qn_rank_formula_warnings(const qn_rank_formula *f, qn_error *out, size_t most);

/* HA3's tie-break inside the fine sort: query_match_ratio and the
 * best field_match_ratio over the queried indexes, for documents of one segment. */
QN_MUST_CHECK qn_status qn_rank_tie_values(const qn_rank_input *in, qn_arena *arena,
                                           size_t segment, const uint32_t *docs,
                                           size_t n, float *query_match,
                                           float *field_match, qn_error *err);

/* ---- sort keys that are expressions ------------------------------------------------ */

typedef struct qn_rank_key qn_rank_key;
QN_MUST_CHECK qn_status qn_rank_key_open(const qn_rank_input *in, qn_arena *arena,
                                         qn_slice text, QN_OWNED qn_rank_key **out,
                                         qn_error *err);
void qn_rank_key_close(QN_OWNED QN_NULLABLE qn_rank_key *key);
/* A number's type (qn_expr_type) or QN_EXPR_STRING. */
qn_expr_type qn_rank_key_type(const qn_rank_key *key);
bool qn_rank_key_asks_recall(const qn_rank_key *key);
QN_MUST_CHECK qn_status qn_rank_key_run(qn_rank_key *key, size_t segment,
                                        const uint32_t *docs, size_t n,
                                        qn_sort_value *out, qn_error *err);

/* ---- filters -------------------------------------------------------------------------- */

/* HA3's filter clause as a predicate for qn_exec_options.filter; its ctx is the filter. */
typedef struct qn_rank_filter qn_rank_filter;
QN_MUST_CHECK qn_status qn_rank_filter_open(const qn_rank_input *in, qn_arena *arena,
                                            qn_slice text,
                                            QN_OWNED qn_rank_filter **out,
                                            qn_error *err);
void qn_rank_filter_close(QN_OWNED QN_NULLABLE qn_rank_filter *filter);
qn_status qn_rank_filter_run(void *filter, size_t segment, const uint32_t *docs,
                             size_t n, bool *keep, qn_error *err);

#endif
