/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models.h -- the models of a data folder, opened when first used.
 *
 * Looked for as NAME.qnm in DATA/models, then in the shipped folder. An opened model
 * stays open until the engine closes, also when its file was removed meanwhile.
 *
 * Threads    any number of threads.
 * Errors     QN_ENOMODEL naming those that there are; QN_EMODELTASK; errors of opening.
 */
#ifndef QN_ENGINE_MODELS_H
#define QN_ENGINE_MODELS_H

#include "nn/model.h"

typedef struct qn_models qn_models;

/* Either folder may be NULL or absent. Names are copied. */
QN_MUST_CHECK qn_status qn_models_create(qn_alloc *a, const char *own_dir,
                                         QN_NULLABLE const char *shipped_dir,
                                         QN_NULLABLE const char *default_embedder,
                                         QN_NULLABLE const char *default_reranker,
                                         QN_NULLABLE const qn_kernels *kernels,
                                         QN_OWNED qn_models **out, qn_error *err);
void qn_models_destroy(QN_OWNED QN_NULLABLE qn_models *m);

/* `name` NULL or "": the default of the task. The model lives as long as `m`. */
QN_MUST_CHECK qn_status qn_models_get(qn_models *m, QN_NULLABLE const char *name,
                                      qn_model_task task, qn_model **out,
                                      qn_error *err);
/* Whatever its task. */
QN_MUST_CHECK qn_status qn_models_any(qn_models *m, const char *name, qn_model **out,
                                      qn_error *err);
/* The path of a name's file, "" when there is none. */
QN_MUST_CHECK qn_status qn_models_path(qn_models *m, const char *name, qn_buf *path,
                                       qn_error *err);
/* Where a new model of that name would lie. QN_EBADNAME. */
QN_MUST_CHECK qn_status qn_models_new_path(qn_models *m, const char *name, qn_buf *path,
                                           qn_error *err);
/* Forgets an open model of that name, so that a changed file is opened anew. */
void qn_models_forget(qn_models *m, const char *name);
/* Names in order of bytes, own ones hiding shipped ones; false stops. */
QN_MUST_CHECK qn_status qn_models_list(qn_models *m,
                                       bool (*each)(void *ctx, const char *name,
                                                    const char *path),
                                       void *ctx, qn_error *err);
/* The path of the model's file as it was opened. */
const char *qn_models_path_of(qn_models *m, const qn_model *model);

#endif
