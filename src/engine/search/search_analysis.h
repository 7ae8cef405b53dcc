/* SPDX-License-Identifier: Apache-2.0 */
/* engine/search/search_analysis.h -- query analysis within one search.
 *
 *     begin    which rules: those that the request names, else the table's active ones;
 *              they stand behind env.analyse while the query is read
 *     recall   and again with the query rewritten for the next attempt, as long as too few
 *              documents are found
 *     report   what was done, as JSON
 *
 * Without a rule every call does nothing. */
#ifndef QN_ENGINE_SEARCH_ANALYSIS_H
#define QN_ENGINE_SEARCH_ANALYSIS_H

#include "engine/search/search.h"

QN_MUST_CHECK qn_status qn_search__analysis_begin(qn_search *s, qn_error *err);
void qn_search__analysis_end(qn_search *s);

/* Once the query is read: categories that it is likely about. */
QN_MUST_CHECK qn_status qn_search__analysis_categories(qn_search *s, qn_error *err);
/* Is there an attempt left, and did this one find too little? Then the first path's query
 * is that of the next attempt. */
QN_MUST_CHECK qn_status qn_search__analysis_again(qn_search *s, bool *again,
                                                  qn_error *err);
/* The words as they were searched, corrections included. */
qn_slice qn_search__analysis_words(const qn_search *s, qn_slice words);
QN_MUST_CHECK qn_status qn_search__analysis_reply(const qn_search *s, quern_reply *r,
                                                  qn_error *err);

#endif
