/* SPDX-License-Identifier: Apache-2.0 */
/* models_internal.h -- what models.c, models_files.c, models_open.c and models_deployed.c
 * share; not for other files. */
#ifndef QN_ENGINE_MODELS_INTERNAL_H
#define QN_ENGINE_MODELS_INTERNAL_H

#include "engine/models/models.h"

#include "base/arena.h"
#include "base/vec.h"

#include <pthread.h>

/* One file of a name as it was found once. Entries are never freed before the end: what
 * was told about them stays true. */
typedef struct qn_model_entry {
    char *name, *path;
    qn_model *model;    /* NULL: not open */
    qn_model_info info; /* as of the first opening; its texts are in `texts` */
    qn_arena texts;
    bool described;
    bool opening;
    bool forgotten; /* for those alone who still use it */
    size_t users;
    qn_error why; /* code: of the last opening */
} qn_model_entry;

typedef struct qn_model_deployed {
    char *name;
    qn_deployment *deployment;
    bool given; /* settings of its own */
} qn_model_deployed;

struct qn_models {
    qn_alloc *alloc;
    char *dirs[2]; /* own, shipped; may be NULL */
    char *packed;  /* folder of packed copies */
    char *embedder, *reranker;
    qn_models_options options;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t opened;
    QN_VEC(qn_model_entry *) entries;
    QN_VEC(qn_model_deployed) deployments;
    size_t openers; /* threads */
};

/* ---- models_files.c -------------------------------------------------------------- */

/* QN_ENOMODEL, naming those that there are. */
qn_status qn_models__unknown(qn_models *m, const char *name, qn_error *err);

/* ---- models_open.c; under the lock ------------------------------------------------ */

/* Until the entry's model is open, or the reason why not. */
QN_MUST_CHECK qn_status qn_models__open(qn_models *m, qn_model_entry *e,
                                        QN_NULLABLE const qn_deadline *deadline,
                                        qn_error *err);

/* ---- models_deployed.c; under the lock -------------------------------------------- */

/* NULL: it has none. */
QN_NULLABLE qn_deployment *qn_models__deployment(qn_models *m, const char *name);
/* Its own, or a new one with the settings of models that were given none. */
QN_MUST_CHECK qn_status qn_models__need_deployment(qn_models *m, const char *name,
                                                   qn_deployment **out, qn_error *err);

/* ---- models.c; under the lock ------------------------------------------------------ */

/* NULL: there is none. */
QN_NULLABLE qn_model_entry *qn_models__find(qn_models *m, const char *name);
QN_NULLABLE qn_model_entry *qn_models__entry_of(qn_models *m, const qn_model *model);
/* A name's file as it lies there now becomes an entry. */
QN_MUST_CHECK qn_status qn_models__need_entry(qn_models *m, const char *name,
                                              qn_model_entry **out, qn_error *err);

#endif
