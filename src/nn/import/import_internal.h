/* SPDX-License-Identifier: Apache-2.0 */
/* import_internal.h -- what the parts of the importer share. */
#ifndef QN_NN_IMPORT_INTERNAL_H
#define QN_NN_IMPORT_INTERNAL_H

#include "nn/encoder/encoder.h"
#include "nn/import/import.h"
#include "nn/file/model_meta.h"
#include "nn/import/weights.h"

typedef struct qn_import {
    qn_alloc *alloc;
    qn_arena arena; /* JSON trees, names, paths: all of one import */
    const char *folder;
    const char *encoder_folder; /* where the encoder and its tokenizer lie: the same, or
                                 * what modules.json says */
    const qn_import_options *options;
    qn_model_meta meta;
    qn_buf vocab; /* the tokenizer's bytes, in the form that meta names */
    qn_weights *weights;
    /* Of an int8 model: layers x QN_ENCODER_INPUTS rows of multipliers; else NULL. */
    float *scales;
    size_t scale_stride;
    /* Of a model smaller than f32, by layer: bit qn_encoder_input: in the next finer type.
     * NULL: none is. */
    uint8_t *finer;
    bool has_lm;  /* the folder's class has a masked-language head */
    bool colbert; /* of the first authors: the projection is among the weights */
    /* Weights of the steps after the encoder that lie in files of their own. */
    qn_weights *tail[QN_TAIL_STEPS_MAX];
    /* Of models of token vectors, to be found in the vocabulary. */
    const qn_json *skip_words; /* NULL: `skip_punctuation` decides */
    bool skip_punctuation;
    qn_slice expand_token; /* empty: the mask */
} qn_import;

/* The path of a file in the folder, to be opened: config.json and the like lie with the
 * encoder. */
QN_MUST_CHECK qn_status qn_import__path(qn_import *im, const char *name,
                                        const char **out, qn_error *err);
/* The same for a message; the bare name when out of memory. */
const char *qn_import__shown(qn_import *im, const char *name);
/* The JSON file of this name; *out is NULL when there is none and it is optional. What
 * is wrong in it is QN_EMODEL with file and offset. */
QN_MUST_CHECK qn_status qn_import__json(qn_import *im, const char *name, bool optional,
                                        const qn_json **out, qn_error *err);
/* "<file>: <key> is <value>" */
QN_MUST_CHECK qn_status qn_import__unsupported(qn_import *im, const char *file,
                                               const char *key, const qn_json *value,
                                               qn_error *err);
bool qn_import__is_string(const qn_json *v, const char *s);
bool qn_import__is_true(const qn_json *v);

/* config.json and, for embedding models, modules.json and what it names: fills meta. */
QN_MUST_CHECK qn_status qn_import__config(qn_import *im, qn_error *err);
/* Its parts: the encoder of config.json, and the head of a reranker. */
QN_MUST_CHECK qn_status qn_import__encoder(qn_import *im, const qn_json *config,
                                           qn_error *err);
QN_MUST_CHECK qn_status qn_import__head(qn_import *im, const qn_json *config,
                                        qn_error *err);
/* modules.json and what it names, prompts: what follows the encoder. */
QN_MUST_CHECK qn_status qn_import__modules(qn_import *im, const qn_json *config,
                                           qn_error *err);
/* The same of a reranker: nothing may follow the encoder; prompts. *settings is what
 * config_sentence_transformers.json says, or NULL. */
QN_MUST_CHECK qn_status qn_import__rerank_modules(qn_import *im,
                                                  const qn_json **settings,
                                                  qn_error *err);
/* Fills im->encoder_folder. */
QN_MUST_CHECK qn_status qn_import__find_encoder(qn_import *im, qn_error *err);
/* ---- of import_modules.c, for import_tokens.c ------------------------------- */

/* One entry of modules.json. */
typedef struct qn_import_module {
    const qn_json *type;
    qn_slice kind, path;
    bool last;
} qn_import_module;

extern const char qn_import__prompts_file[];
/* NULL, or JSON's null. */
bool qn_import__is_null(QN_NULLABLE const qn_json *v);
/* An integer of 1..most, and a boolean, where the key may be absent or null. */
QN_MUST_CHECK qn_status qn_import__count(qn_import *im, const char *file,
                                         const qn_json *object, const char *key,
                                         uint32_t most, uint32_t *out, qn_error *err);
QN_MUST_CHECK qn_status qn_import__flag(qn_import *im, const char *file,
                                        const qn_json *object, const char *key,
                                        bool *out, qn_error *err);
QN_MUST_CHECK qn_status qn_import__add_prompt(qn_import *im, qn_slice name,
                                              qn_slice text, qn_error *err);
/* One more step of the tail; its weights lie in the module's folder (NULL: it has none,
 * or they lie with the encoder's). */
QN_MUST_CHECK qn_status qn_import__add_step(qn_import *im,
                                            QN_NULLABLE const qn_import_module *m,
                                            qn_tail_step step, qn_error *err);
/* "<path>/config.json" */
QN_MUST_CHECK qn_status qn_import__module_json(qn_import *im, const qn_import_module *m,
                                               bool optional, const char **file,
                                               const qn_json **out, qn_error *err);

/* ---- token vectors ---------------------------------------------------------- */

/* Whether config_sentence_transformers.json says that it is such a model. */
bool qn_import__says_tokens(QN_NULLABLE const qn_json *settings);
/* "query_expansion" of sentence_bert_config.json. */
QN_MUST_CHECK qn_status qn_import__expansion(qn_import *im,
                                             QN_NULLABLE const qn_json *v,
                                             qn_error *err);
/* The module that leaves tokens out. */
QN_MUST_CHECK qn_status qn_import__mask(qn_import *im, const qn_import_module *m,
                                        qn_error *err);
/* Lengths of either role. */
QN_MUST_CHECK qn_status qn_import__lengths(qn_import *im, const char *file,
                                           QN_NULLABLE const qn_json *config,
                                           qn_error *err);
QN_MUST_CHECK qn_status qn_import__pylate(qn_import *im, const qn_json *config,
                                          qn_error *err);
/* Also the projection that lies with the encoder's weights. */
QN_MUST_CHECK qn_status qn_import__artifact(qn_import *im, qn_error *err);

/* The masked-language head of config.json: fills meta.lm. */
QN_MUST_CHECK qn_status qn_import__lm_head(qn_import *im, const qn_json *config,
                                           qn_error *err);
/* After the vocabulary: words that models of token vectors name become ids. */
QN_MUST_CHECK qn_status qn_import__find_words(qn_import *im, qn_error *err);
/* tokenizer.json, spm.model, sentencepiece.bpe.model or vocab.txt: fills vocab and
 * meta.tokenizer. */
QN_MUST_CHECK qn_status qn_import__vocab(qn_import *im, qn_error *err);
/* The same of older files: vocab.txt with other switches than the built-in tokenizer's;
 * vocab.json and merges.txt. */
QN_MUST_CHECK qn_status qn_import__bert_vocab(qn_import *im, const qn_json *config,
                                              qn_error *err);
QN_MUST_CHECK qn_status qn_import__roberta_vocab(qn_import *im, const qn_json *config,
                                                 qn_error *err);
/* What sentence_bert_config.json adds to whatever tokenizer there is. */
QN_MUST_CHECK qn_status qn_import__lower_case(qn_import *im, qn_error *err);
/* Where the folder has a tensor of the model: number `part` of `parts`, one below the
 * other, of the tensor `name`, with `prefix` or without. */
typedef struct qn_source_name {
    char name[128];
    const char *prefix;
    uint32_t part, parts;
} qn_source_name;

void qn_import__source_name(qn_family family, const char *name, qn_source_name *out);
/* NULL when the folder has no such tensor. */
QN_NULLABLE const qn_weight *qn_import__find_source(const qn_import *im,
                                                    const qn_source_name *s);

/* Writes meta, vocabulary and weights in `dtype` to `path`, or to memory (NULL). */
QN_MUST_CHECK qn_status qn_import__write(qn_import *im, qn_model_dtype dtype,
                                         QN_NULLABLE const char *path,
                                         QN_OWNED qn_qnm_writer **out, qn_error *err);
/* Tensors of the source that the written model has no use for. */
size_t qn_import__ignored(const qn_import *im);
/* Tensors of the written model, input scales included. */
size_t qn_import__written(const qn_import *im);

/* Built-in texts: enough to see a broken tensor and to measure ranges, not an evaluation.
 * Documents 2 i and 2 i + 1 are about query i. */
enum { QN_IMPORT_QUERIES = 16, QN_IMPORT_DOCUMENTS = 2 * QN_IMPORT_QUERIES };
qn_slice qn_import__query(size_t i);
qn_slice qn_import__document(size_t i);

/* Measures `exact`, the same model in f32, and fills im->scales: the written int8 model
 * will scale what goes into its products. */
QN_MUST_CHECK qn_status qn_import__smooth(qn_import *im, qn_model *exact,
                                          qn_error *err);
/* Runs the first `documents` of the built-in texts, then `random` texts of random pieces,
 * each by itself, through the encoder. */
QN_MUST_CHECK qn_status qn_import__run_samples(qn_import *im, qn_model *exact,
                                               size_t documents, size_t random,
                                               const qn_encoder_trace *trace,
                                               qn_error *err);
/* Measures `exact`, the same model in f32 with the same input scales, and fills im->finer
 * and what the report says of it. */
QN_MUST_CHECK qn_status qn_import__precision(qn_import *im, qn_model *exact,
                                             qn_import_report *report, qn_error *err);
/* K multipliers, or NULL when nothing is scaled. */
QN_NULLABLE const float *qn_import__scale(const qn_import *im, uint32_t layer,
                                          qn_encoder_input which);
/* How far `other` is from `exact`. */
QN_MUST_CHECK qn_status qn_import__compare(qn_import *im, qn_model *exact,
                                           qn_model *other, qn_import_report *report,
                                           qn_error *err);

#endif
