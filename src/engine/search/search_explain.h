/* SPDX-License-Identifier: Apache-2.0 */
/* engine/search/search_explain.h -- why a document has its score, as a tree.
 *
 * The root is the score that ordered the document; below it what each stage said, and
 * below the text score the terms that it is the sum of.
 *
 * Lifetime   the tree lives in the search's arena. */
#ifndef QN_ENGINE_SEARCH_EXPLAIN_H
#define QN_ENGINE_SEARCH_EXPLAIN_H

#include "engine/search/search.h"

QN_MUST_CHECK qn_status qn_search__explain(qn_search *s, const qn_ranked *d,
                                           const quern_explanation **out,
                                           qn_error *err);

#endif
