/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models/models.h -- the models of a data folder, opened when first used.
 *
 * Looked for as NAME.qnm in DATA/models, then in the shipped folder. Who gets a model
 * releases it again; meanwhile it stays open, also when its file was removed. A model
 * whose deployment came down to no allocations (deployments.h) is closed as soon as
 * nobody uses it, and opened again for the next who asks.
 *
 * Lifetime   what info() tells, names and paths live as long as the qn_models.
 * Threads    any number of threads. Opening one model keeps nobody from another.
 * Errors     QN_ENOMODEL naming those that there are; QN_EMODELTASK; errors of opening.
 *            QN_ETIMEOUT, QN_ECANCELLED: the model was not open in time; it goes on
 *            being opened.
 */
#ifndef QN_ENGINE_MODELS_H
#define QN_ENGINE_MODELS_H

#include "engine/models/deployments.h"
#include "nn/model.h"

typedef struct qn_models qn_models;

/* Either folder may be NULL or absent. Texts and settings are copied. */
typedef struct qn_models_options {
    const char *own_dir;
    QN_NULLABLE const char *shipped_dir, *default_embedder, *default_reranker;
    QN_NULLABLE const qn_kernels *kernels;
    bool read_only; /* nothing is written to own_dir, packed copies included */
    qn_scheduler *scheduler;
    qn_deployment_settings deployment; /* of models that were given none */
} qn_models_options;

QN_MUST_CHECK qn_status qn_models_create(qn_alloc *a, const qn_models_options *options,
                                         QN_OWNED qn_models **out, qn_error *err);
void qn_models_destroy(QN_OWNED QN_NULLABLE qn_models *m);

/* `name` NULL or "": the default of the task. To be released. */
QN_MUST_CHECK qn_status qn_models_get(qn_models *m, QN_NULLABLE const char *name,
                                      qn_model_task task, qn_model **out,
                                      qn_error *err);
/* The same, but no longer than the deadline says. */
QN_MUST_CHECK qn_status qn_models_get_by(qn_models *m, QN_NULLABLE const char *name,
                                         qn_model_task task,
                                         QN_NULLABLE const qn_deadline *deadline,
                                         qn_model **out, qn_error *err);
/* Whatever its task. */
QN_MUST_CHECK qn_status qn_models_any(qn_models *m, const char *name, qn_model **out,
                                      qn_error *err);
/* NULL is accepted. */
void qn_models_release(qn_models *m, QN_NULLABLE qn_model *model);

/* What a model is, without keeping it open: it is opened only if it never was. */
QN_MUST_CHECK qn_status qn_models_info(qn_models *m, const char *name,
                                       const qn_model_info **info, const char **path,
                                       qn_error *err);
/* The same of one that was got. */
const qn_model_info *qn_models_info_of(qn_models *m, const qn_model *model);
/* The path of the model's file as it was opened. */
const char *qn_models_path_of(qn_models *m, const qn_model *model);

/* The path of a name's file, "" when there is none. */
QN_MUST_CHECK qn_status qn_models_path(qn_models *m, const char *name, qn_buf *path,
                                       qn_error *err);
/* Where a new model of that name would lie. QN_EBADNAME. */
QN_MUST_CHECK qn_status qn_models_new_path(qn_models *m, const char *name, qn_buf *path,
                                           qn_error *err);
/* Forgets an open model of that name, so that a changed file is opened anew. */
void qn_models_forget(qn_models *m, const char *name);
/* And removes its packed copies. */
QN_MUST_CHECK qn_status qn_models_forget_copies(qn_models *m, const char *name,
                                                qn_error *err);
/* Names in order of bytes, own ones hiding shipped ones; false stops. */
QN_MUST_CHECK qn_status qn_models_list(qn_models *m,
                                       bool (*each)(void *ctx, const char *name,
                                                    const char *path),
                                       void *ctx, qn_error *err);

/* ---- deployments ----------------------------------------------------------------- */

/* How calls of a model that was got are served. */
qn_serving qn_models_serving(qn_models *m, const qn_model *model, qn_priority priority);
/* QN_ENOMODEL, QN_EINVAL. NULL: those of models that were given none. `unseen`: the model
 * need not be there. */
QN_MUST_CHECK qn_status qn_models_deploy(
    qn_models *m, const char *name, QN_NULLABLE const qn_deployment_settings *settings,
    bool unseen, qn_error *err);
/* The models that were given some, in no order. */
void qn_models_deployed(qn_models *m,
                        void (*each)(void *ctx, const char *name,
                                     const qn_deployment_settings *settings),
                        void *ctx);
typedef struct qn_model_state {
    qn_deployment_settings settings;
    bool loaded;
    size_t users;         /* who have got it and not released */
    unsigned allocations; /* now; 0 also when it was never asked for */
    double rate, item_seconds;
    qn_schedule_stats stats;
    uint64_t memory_bytes; /* 0 when not loaded */
    int64_t token_ns[QN_MODEL_SPEEDS];
} qn_model_state;
/* Opens nothing. */
void qn_models_state(qn_models *m, const char *name, qn_model_state *out);
/* To be called about once a second: decides on allocations, closes models that have
 * none. */
void qn_models_tick(qn_models *m, int64_t now_ns);

#endif
