/* SPDX-License-Identifier: Apache-2.0 */
/* nn/file/model_meta.h -- the JSON description inside a model file: written by the importer,
 * read at open. Keys: docs/formats/qnm.md.
 *
 * Lifetime   strings of a read description live in the given arena.
 * Errors     QN_EMODEL naming the key. */
#ifndef QN_NN_MODEL_META_H
#define QN_NN_MODEL_META_H

#include "io/json.h"
#include "nn/file/encoder_meta.h"
#include "nn/encoder/lm_head.h"
#include "nn/encoder/tail.h"

enum { QN_MODEL_NAME_MAX = 128 };

enum { QN_SKIP_IDS_MAX = 1024 };

/* How a model of token vectors reads queries and documents. */
typedef struct qn_multi_config {
    uint32_t query_tokens,
        document_tokens; /* at most, specials included; 0: max_tokens */
    /* Queries are made so long by adding a token (ColBERT's [MASK]s); 0: not. */
    uint32_t expand_to, expand_id;
    bool expand_seen;  /* other tokens see the added ones */
    bool expand_exact; /* longer queries are cut to it */
    uint32_t *skip;    /* ids of tokens that get no vector */
    uint32_t skip_count;
    bool skip_query, skip_document; /* in which texts */
} qn_multi_config;

typedef struct qn_model_meta {
    qn_model_info info; /* what is measured at open (bytes, backend) is not here */
    qn_encoder_config encoder;
    qn_head_config head; /* of rerank models */
    qn_tail_config tail; /* of embed models and those of token vectors */
    qn_lm_config lm;     /* of sparse models */
    qn_multi_config multi;
    qn_tokenizer_form tokenizer;
    bool untyped; /* the tokenizer's types are not given to the model: all are 0 */
} qn_model_meta;

/* 1..128 of letters, digits, '-', '_', '.', not beginning with '.': it appears in URLs
 * and file names. */
bool qn_model_name_ok(qn_slice name);

/* "LABEL_<i>", in the arena; NULL when out of memory. */
QN_NULLABLE const char *qn_label_default(qn_arena *arena, uint32_t i);

void qn_model_meta_write(const qn_model_meta *meta, qn_buf *out);
QN_MUST_CHECK qn_status qn_model_meta_read(const qn_json *json, qn_arena *arena,
                                           qn_model_meta *out, qn_error *err);

#endif
