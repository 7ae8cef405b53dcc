/* SPDX-License-Identifier: Apache-2.0 */
/* import_internal.h -- what the parts of the importer share. */
#ifndef QN_NN_IMPORT_INTERNAL_H
#define QN_NN_IMPORT_INTERNAL_H

#include "nn/import.h"
#include "nn/model_meta.h"
#include "nn/weights.h"

typedef struct qn_import {
    qn_alloc *alloc;
    qn_arena arena; /* JSON trees, names, paths: all of one import */
    const char *folder;
    const qn_import_options *options;
    qn_model_meta meta;
    qn_buf vocab; /* the tokenizer's bytes, in the form that meta names */
    qn_weights *weights;
    /* Of an int8 model: layers x QN_ENCODER_INPUTS rows of multipliers; else NULL. */
    float *scales;
    size_t scale_stride;
} qn_import;

/* The path of a file in the folder, to be opened. */
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
/* tokenizer.json, spm.model, sentencepiece.bpe.model or vocab.txt: fills vocab and
 * meta.tokenizer. */
QN_MUST_CHECK qn_status qn_import__vocab(qn_import *im, qn_error *err);
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

/* Texts short and long, plain and odd: enough to see a broken tensor and to measure
 * ranges, not an evaluation. */
enum { QN_IMPORT_SAMPLES = 8 };
void qn_import__samples(qn_slice texts[QN_IMPORT_SAMPLES]);

/* Measures `exact`, the same model in f32, and fills im->scales: the written int8 model
 * will scale what goes into its products. */
QN_MUST_CHECK qn_status qn_import__smooth(qn_import *im, qn_model *exact,
                                          const qn_slice *texts, size_t n,
                                          qn_error *err);
/* K multipliers, or NULL when nothing is scaled. */
QN_NULLABLE const float *qn_import__scale(const qn_import *im, uint32_t layer,
                                          qn_encoder_input which);
/* How far `other` is from `exact`. */
QN_MUST_CHECK qn_status qn_import__compare(qn_import *im, qn_model *exact,
                                           qn_model *other, qn_import_report *report,
                                           qn_error *err);

#endif
