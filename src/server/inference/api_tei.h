/* SPDX-License-Identifier: Apache-2.0 */
/* server/inference/api_tei.h -- what the files of this dialect and its neighbours share. */
#ifndef QN_SERVER_API_TEI_H
#define QN_SERVER_API_TEI_H

#include "server/inference/inference.h"

/* {"query","texts",...} to [{"index","score"}]; `raw`: what raw_scores is when absent. */
QN_MUST_CHECK qn_status qn_tei_rank_texts(qn_call *c, bool raw, qn_error *err);
/* x-compute-... of its replies. */
void qn_tei_compute_headers(qn_call *c, uint64_t tokens, const quern_text *texts,
                            size_t count);
/* truncation_direction: true in *left: texts lose their beginnings. */
QN_MUST_CHECK qn_status qn_tei_direction(qn_slice direction, bool *left, qn_error *err);
#endif
