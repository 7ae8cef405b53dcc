/* SPDX-License-Identifier: Apache-2.0 */
/* nn/file/encoder_meta.h -- "architecture", "encoder" and "head" of a model's description.
 * Keys: docs/formats/qnm.md.
 *
 * Errors     as meta_reader.h; what does not fit together is QN_EMODEL. */
#ifndef QN_NN_ENCODER_META_H
#define QN_NN_ENCODER_META_H

#include "nn/encoder/head.h"
#include "nn/file/meta_reader.h"

void qn_encoder_meta_write(const qn_encoder_config *c, qn_json_writer *w);
void qn_encoder_meta_read(qn_meta_reader *r, qn_encoder_config *c);

/* "head" and, of more than one, "labels". */
void qn_head_meta_write(const qn_head_config *c, qn_json_writer *w);
void qn_head_meta_read(qn_meta_reader *r, const qn_encoder_config *encoder,
                       qn_head_config *c);

#endif
