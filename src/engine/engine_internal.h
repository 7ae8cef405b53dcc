/* SPDX-License-Identifier: Apache-2.0 */
/* engine_internal.h -- an open data folder, as the files of this module see it. */
#ifndef QN_ENGINE_INTERNAL_H
#define QN_ENGINE_INTERNAL_H

#include "base/clock.h"
#include "base/pool.h"
#include "engine/control/control.h"
#include "engine/table/merge_thread.h"
#include "engine/models/models.h"
#include "engine/models/score_cache.h"
#include "engine/write/sync_thread.h"
#include "engine/table/table.h"
#include "io/file.h"
#include "num/kernels.h"
#include "query/filter_cache.h"

typedef struct qn_table_entry {
    char *name;
    qn_table *table; /* NULL: not opened yet */
} qn_table_entry;

struct quern {
    qn_alloc *alloc;
    char *data_dir, *tables_dir, *default_table;
    bool read_only, async_commit, ha3_sort_ascending;
    uint64_t memory_budget;
    const qn_kernels *kernels;
    qn_analyzers *analyzers;
    qn_scheduler *scheduler;          /* of the models' calls */
    QN_NULLABLE qn_pool *search_pool; /* NULL: a search keeps to its thread */
    qn_models *models;
    qn_score_cache *scores;
    struct qn_token_cache *tokens; /* ids of documents that models read */
    qn_filter_cache *filters;
    struct qn_code *code; /* of formulas that run often */
    qn_control *control;
    struct qn_analyses *analyses;
    struct qn_plugins *plugins;
    qn_lock lock;

    pthread_mutex_t tables_lock;
    QN_VEC(qn_table_entry) tables; /* sorted by name; guarded by tables_lock */

    qn_sync_thread syncer;

    /* Refreshes tables that changed, once a second. */
    pthread_t maintenance;
    bool maintenance_runs;
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_signal;
    bool stopping, upkeep_wanted; /* guarded by stop_lock */

    qn_merger merger;
};

/* Opened when it was not yet; the caller releases. QN_ENOTABLE. */
QN_MUST_CHECK qn_status qn_engine_table(quern *q, const char *name,
                                        QN_OWNED qn_table **out, qn_error *err);
QN_MUST_CHECK qn_status qn_engine_create(quern *q, const char *name, qn_slice schema,
                                         qn_error *err);
/* A folder beside the tables' own that is one becomes the table `name`. */
QN_MUST_CHECK qn_status qn_engine_adopt(quern *q, const char *folder, const char *name,
                                        qn_error *err);
/* The i-th table, to be released, or NULL when it is not open; *end: there are no more. */
QN_NULLABLE qn_table *qn_engine_open_table_at(quern *q, size_t i, bool *end);
/* The same by name. */
QN_NULLABLE qn_table *qn_engine_table_if_open(quern *q, const char *name);
/* A public deployment, NULL for none, as the models take it; checked. */
QN_MUST_CHECK qn_status qn_deployment_of(QN_NULLABLE const quern_deployment *given,
                                         qn_deployment_settings *out, qn_error *err);
/* Deployments as they were set last, whether their models are there or not. */
void qn_deployments_load(quern *q);
/* QN_ENOTABLE where there is no table of this name. */
QN_MUST_CHECK qn_status qn_engine_need_table(quern *q, const char *name, qn_error *err);
/* The end of a call that answers with bytes: where `st` is QN_OK they become the
 * caller's, QN_ENOMEM where they had no memory. `b` is deinitialised in any case. */
QN_MUST_CHECK qn_status qn_engine_reply(qn_buf *b, qn_status st, char **json,
                                        size_t *json_size, qn_error *err);
/* Some table wants to be flushed. */
void qn_engine_wake_upkeep(quern *q);
/* Bytes of a table's documents in memory at which it is flushed. */
size_t qn_engine_flush_bytes(const quern *q);

/* texts_api.c: the caller's options over the defaults, checked; what a text is. */
QN_MUST_CHECK qn_status
qn_engine_embed_options(quern_embed_options *o,
                        QN_NULLABLE const quern_embed_options *given, qn_error *err);
qn_text_role qn_engine_text_role(const quern_embed_options *o);

#endif
