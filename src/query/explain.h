/* SPDX-License-Identifier: Apache-2.0 */
/* query/explain.h -- why a document has the score it has, as a tree of sentences.
 *
 *     0.87 sum of:
 *       0.87 weight(title:red in 3) [PerFieldSimilarity], result of:
 *         0.87 score(freq=2.0), computed as boost * idf * tf from:
 *           2.2  boost
 *           ...
 *
 * The words are Lucene's and Elasticsearch's, which tools read. Values come from the
 * iterators and weights that scored the document, not from a second implementation.
 *
 * Lifetime   an explainer lives in its arena and borrows snapshot, tree and options;
 *            explanations live in theirs.
 * Threads    an explainer may be shared once made; each thread brings its own arena.
 * Errors     as qn_query_execute(). */
#ifndef QN_QUERY_EXPLAIN_H
#define QN_QUERY_EXPLAIN_H

#include "query/exec.h"

typedef struct qn_explanation {
    bool match;
    bool whole; /* the value is a count: print it without a fraction */
    double value;
    const char *description;
    const struct qn_explanation *first, *next; /* details; the next one beside this */
} qn_explanation;

typedef struct qn_explainer qn_explainer;

/* Does what qn_query_execute() does once per query: vectors, statistics, weights. */
QN_MUST_CHECK qn_status qn_explainer_create(const qn_snapshot_view *snapshot,
                                            const qn_query *query,
                                            const qn_exec_options *options,
                                            qn_arena *arena, qn_explainer **out,
                                            qn_error *err);
/* Also for documents that do not match: it then says what was missing. */
QN_MUST_CHECK qn_status qn_explainer_run(const qn_explainer *e, uint32_t segment,
                                         uint32_t doc, qn_arena *arena,
                                         const qn_explanation **out, qn_error *err);
/* Indented lines, "value description". */
void qn_explanation_print(const qn_explanation *e, qn_buf *out);

/* The query in Lucene's notation: +title:red -(body:car body:bike)^2.0 */
void qn_query_lucene_text(const qn_query *query, qn_buf *out);

#endif
