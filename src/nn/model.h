/* SPDX-License-Identifier: Apache-2.0 */
/* nn/model.h -- an opened model: one .qnm file, ready to run.
 *
 * A .qnm file holds everything that a model needs: weights, tokenizer and a JSON
 * description (docs/formats/qnm.md). Opening maps it read-only, verifies every
 * checksum, checks that the tensors are those of the described architecture, and packs
 * the big matrices for the CPU at hand. A model does one task: it turns a text into a
 * vector (embed.h), or a query and a document into a score (rerank.h).
 *
 * Lifetime   open() to close(); what info() and tokenizer() return lives as long.
 * Threads    any number of threads run one model at the same time. Inside it keeps
 *            working memory for reuse and a measured speed, both safe to share.
 * Errors     QN_ECORRUPT for damage, QN_EVERSION for another format version, QN_EMODEL
 *            for a description or tensors that do not fit; the message names the key or
 *            the tensor. */
#ifndef QN_NN_MODEL_H
#define QN_NN_MODEL_H

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/slice.h"
#include "num/kernels.h"
#include "text/tokenizer.h"

#include <stdint.h>

typedef struct qn_model qn_model;

typedef enum qn_model_task {
    QN_MODEL_EMBED,  /* text -> vector */
    QN_MODEL_RERANK, /* query, document -> logit, or several */
    QN_MODEL_SPARSE, /* text -> weights of the vocabulary's tokens (SPLADE) */
    QN_MODEL_TOKENS, /* text -> a vector for each token (ColBERT) */
} qn_model_task;

typedef enum qn_model_dtype {
    QN_MODEL_F32,
    QN_MODEL_BF16, /* half the size; computed in bf16 where the CPU can, else f32 */
    QN_MODEL_INT8, /* symmetric per row; computed in int8, summed in int32 */
} qn_model_dtype;

/* How a text vector is made of the last layer's rows. */
typedef enum qn_pooling {
    QN_POOL_CLS,
    QN_POOL_MEAN,
    QN_POOL_MAX,
    QN_POOL_MEAN_SQRT_LEN,
    QN_POOL_WEIGHTED_MEAN,
    QN_POOL_LAST,
} qn_pooling;
enum { QN_POOLINGS = 6 };

/* What stands before a text, by name: "query" -> "query: ". */
typedef struct qn_prompt {
    const char *name, *text;
} qn_prompt;
enum { QN_LABEL_BYTES_MAX = 128 };
enum { QN_PROMPTS_MAX = 64, QN_PROMPT_BYTES_MAX = 4096 };

/* What a text is: models may have prompts, lengths and the like for either. */
typedef enum qn_text_role {
    QN_TEXT_PLAIN, /* neither was said: the model's default prompt */
    QN_TEXT_QUERY,
    QN_TEXT_DOCUMENT,
} qn_text_role;

/* What follows the logit before it is shown as a score. */
typedef enum qn_activation {
    QN_ACTIVATION_IDENTITY,
    QN_ACTIVATION_SIGMOID,
} qn_activation;

typedef struct qn_model_info {
    const char *name;                           /* "reranker-minilm-l6" */
    const char *architecture;                   /* "bert", "deberta-v2", ... */
    const char *licence, *origin, *source_hash; /* as recorded at import, or "" */
    qn_model_task task;
    qn_model_dtype dtype;
    qn_pooling pooling; /* what a vector or the classifier is made of; the first
                               * of several that stand one behind the other */
    uint32_t poolings;  /* of embed models */
    const qn_prompt *prompts;
    size_t prompt_count;
    QN_NULLABLE const char *default_prompt; /* a name; of rerankers: before the query */
    bool normalize;                         /* vectors have length 1 */
    qn_activation activation;               /* of rerank models */
    qn_truncation truncation;               /* of pairs: as trained, else balanced */
    bool truncation_recorded;               /* the file says how it was trained */
    uint32_t dims;   /* length of a vector; 1 for a reranker; tokens of a sparse
                               * model's vocabulary */
    uint32_t labels; /* logits of a pair: 1 for a reranker; 0: an embed model */
    /* What the logits stand for, one each: as the folder named them, else "LABEL_0" and
     * so on; NULL when there are none. */
    const char *const *label_names;
    uint32_t max_tokens; /* special tokens included */
    uint32_t layers, hidden, heads, vocab;
    uint64_t parameters, file_bytes;
    uint64_t memory_bytes;     /* weights packed for this process alone */
    uint64_t packed_bytes;     /* of the mapped packed copy; 0: there is none */
    uint64_t digest;           /* of all that the file says */
    uint64_t tokenizer_digest; /* of what the tokenizer was made from */
    const char *backend;       /* who multiplies: qn_gemm_backend() */
} qn_model_info;

/* Zero-initialised options are the defaults. */
typedef struct qn_model_options {
    const qn_kernels *kernels; /* NULL: qn_kernels_best() */
    /* Where packed copies lie (packed_copy.h); NULL: weights are packed for this process
     * alone. The string is only used while opening. */
    const char *packed_dir;
    bool packed_read_only; /* a copy that is there is used, none is made */
} qn_model_options;

QN_MUST_CHECK qn_status qn_model_open(qn_alloc *a, const char *path,
                                      QN_NULLABLE const qn_model_options *options,
                                      QN_OWNED qn_model **out, qn_error *err);
/* Over the bytes of a .qnm file, borrowed until close(); `name` stands in messages. */
QN_MUST_CHECK qn_status
qn_model_open_memory(qn_alloc *a, const uint8_t *bytes, size_t n, const char *name,
                     QN_NULLABLE const qn_model_options *options,
                     QN_OWNED qn_model **out, qn_error *err);
void qn_model_close(QN_OWNED QN_NULLABLE qn_model *model);

const qn_model_info *qn_model_describe(const qn_model *model);
/* The tokenizer inside the file. */
const qn_tokenizer *qn_model_tokenizer(const qn_model *model);

/* "cls", "mean", "max", "mean_sqrt_len", "weightedmean", "lasttoken". */
const char *qn_pooling_name(qn_pooling p);
/* "embed", "rerank", "sparse", "tokens" */
const char *qn_model_task_name(qn_model_task task);
bool qn_model_task_parse(qn_slice name, qn_model_task *out);
/* The prompt of this name, or NULL. */
QN_NULLABLE const qn_prompt *qn_model_prompt(const qn_model_info *info, qn_slice name);
/* Nanoseconds a token takes on one thread, as measured, for sequences of up to 32, 64,
 * 128, 256, 512 and more tokens; 0: not measured. */
enum { QN_MODEL_SPEEDS = 6 };
void qn_model_speed(const qn_model *model, int64_t token_ns[QN_MODEL_SPEEDS]);

const char *qn_model_dtype_name(qn_model_dtype dtype); /* "f32", "bf16", "int8" */
/* false for an unknown name. */
bool qn_model_dtype_parse(qn_slice name, qn_model_dtype *out);

#endif
