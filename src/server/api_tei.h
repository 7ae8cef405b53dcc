/* SPDX-License-Identifier: Apache-2.0 */
/* server/api_tei.h -- what the files of this dialect and its neighbours share. */
#ifndef QN_SERVER_API_TEI_H
#define QN_SERVER_API_TEI_H

#include "server/inference.h"

/* {"query","texts",...} to [{"index","score"}]; `raw`: what raw_scores is when absent. */
QN_MUST_CHECK qn_status qn_tei_rank_texts(qn_call *c, bool raw, qn_error *err);
/* x-compute-... of its replies. */
void qn_tei_compute_headers(qn_call *c, uint64_t tokens, const quern_text *texts,
                            size_t count);
/* Long texts become lists of their last token ids. */
QN_MUST_CHECK qn_status qn_tei_keep_ends(qn_call *c, qn_embed_request *r,
                                         qn_error *err);
#endif
