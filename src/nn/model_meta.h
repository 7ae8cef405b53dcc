/* SPDX-License-Identifier: Apache-2.0 */
/* nn/model_meta.h -- the JSON description inside a model file: written by the importer,
 * read at open. Keys: docs/formats/qnm.md.
 *
 * Lifetime   strings of a read description live in the given arena.
 * Errors     QN_EMODEL naming the key. */
#ifndef QN_NN_MODEL_META_H
#define QN_NN_MODEL_META_H

#include "io/json.h"
#include "nn/encoder_meta.h"

enum { QN_MODEL_NAME_MAX = 128 };

typedef struct qn_model_meta {
    qn_model_info info; /* what is measured at open (bytes, backend) is not here */
    qn_encoder_config encoder;
    qn_head_config head; /* of rerank models */
    qn_tokenizer_form tokenizer;
} qn_model_meta;

/* 1..128 of letters, digits, '-', '_', '.', not beginning with '.': it appears in URLs
 * and file names. */
bool qn_model_name_ok(qn_slice name);

void qn_model_meta_write(const qn_model_meta *meta, qn_buf *out);
QN_MUST_CHECK qn_status qn_model_meta_read(const qn_json *json, qn_arena *arena,
                                           qn_model_meta *out, qn_error *err);

#endif
