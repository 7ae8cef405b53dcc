/* SPDX-License-Identifier: Apache-2.0 */
/* nn/import/import.h -- a Hugging Face folder becomes a .qnm file.
 *
 * Reads config.json, model.safetensors (F32, F16, BF16), vocab.txt or the WordPiece
 * vocabulary of tokenizer.json, tokenizer_config.json, and for sentence-transformers
 * models modules.json, 1_Pooling/config.json and sentence_bert_config.json. What is not
 * supported is refused by the name of its key. The file is written beside `output` and
 * renamed when complete.
 *
 * Threads   independent calls may run at the same time.
 * Errors    QN_EMODEL with the key or tensor that does not fit; QN_EUNSUPPORTED for
 *           architectures, activations and the like that are not built in; errors of
 *           files. */
#ifndef QN_NN_IMPORT_H
#define QN_NN_IMPORT_H

#include "nn/model.h"

typedef struct qn_import_options {
    const char *name; /* NULL: the folder's name */
    qn_model_dtype dtype;
    const char *licence; /* NULL: what a LICENSE file in the folder plainly is */
    const char *origin;  /* NULL: unknown; where the folder came from */
    /* Of a reranker: what it was trained with. Not given: "longest_first" when the
     * folder was written by sentence-transformers, whose default that is; else nothing
     * is recorded and pairs are cut "balanced". */
    bool truncation_given;
    qn_truncation truncation;
    /* Not given: what the folder's files say. A masked-language model without
     * modules.json is "embed", unless "sparse" is asked for. */
    bool task_given;
    qn_model_task task;
} qn_import_options;

typedef struct qn_import_report {
    qn_model_task task;
    size_t tensors, ignored; /* written; left out because the task does not use them */
    uint64_t parameters;
    uint64_t source_bytes, output_bytes;
    /* Against f32 on built-in questions and passages, when dtype is not f32. Scores are
     * logits; of vectors, what compares a question with a passage: cosine, product or
     * the sum of maxima. Kendall's tau of each question's order of passages, 1 where
     * none of them changed places. */
    size_t samples, rankings; /* scores; orders */
    /* Products of the layers that were measured one by one; how many of them stay in the
     * next finer type (bf16: f32; int8: bf16), and their part of the arithmetic. */
    size_t products, products_finer;
    double finer_share;
    double score_change_max, score_change_mean;
    double
        score_spread; /* standard deviation of f32's scores, to hold the changes against */
    double tau_min, tau_mean;
    double cosine_min, cosine_mean; /* of the vectors themselves; rerankers: 0 */
} qn_import_report;

QN_MUST_CHECK qn_status qn_import_run(qn_alloc *a, const char *folder,
                                      const char *output,
                                      const qn_import_options *options,
                                      QN_NULLABLE qn_import_report *report,
                                      qn_error *err);

#endif
