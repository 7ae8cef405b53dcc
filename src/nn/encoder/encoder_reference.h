/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/encoder_reference.h -- the meaning of the encoder: every family in plain loops over
 * f64, one sequence at a time, straight from the tensors. The faster encoder is tested
 * against it. Not for serving.
 *
 * Threads   pure. */
#ifndef QN_NN_ENCODER_REFERENCE_H
#define QN_NN_ENCODER_REFERENCE_H

#include "nn/encoder/encoder_config.h"

/* out: (layers + 1) x n x H: the rows after the embeddings and after each layer. */
QN_MUST_CHECK qn_status qn_encoder_reference(qn_alloc *a, const qn_qnm *file,
                                             const qn_encoder_config *config,
                                             const uint32_t *ids, const uint8_t *types,
                                             size_t n, double *out, qn_error *err);

#endif
