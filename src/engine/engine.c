/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c -- opening a data folder, its tables by name, and the thread that refreshes
 * them. */
#include "base/log.h"
#include "engine/engine_internal.h"

#include "engine/control/analyses.h"
#include "engine/table/names.h"
#include "engine/control/plugins.h"
#include "expr/code.h"
#include "nn/calls/token_cache.h"

#include <time.h>
#include <unistd.h>

enum {
    REFRESH_MS = 1000,
    PRIORITY = 5, /* of the thread that refreshes and flushes */
    SCORE_CACHE_BYTES = 32 * 1024 * 1024,
    TOKEN_CACHE_BYTES = 64 * 1024 * 1024,
};
static const int64_t searched_ns = (int64_t)30 * 1000 * 1000 * 1000;
static const uint64_t memory_default = (uint64_t)512 * 1024 * 1024;
static const uint64_t queue_tokens_default = (uint64_t)4 * 1024 * 1024;
static const uint64_t filters_default = (uint64_t)64 * 1024 * 1024;

size_t qn_engine_flush_bytes(const quern *q)
{
    /* An image of the builder may stand beside it, and another table's builder too. */
    uint64_t bytes = q->memory_budget / 4;
    return bytes < 1024 * 1024 ? 1024 * 1024 : (size_t)bytes;
}

/* ---- tables ----------------------------------------------------------------------------
 */

/* Under tables_lock. */
static bool find_entry(const quern *q, const char *name, size_t *place)
{
    size_t low = 0, high = q->tables.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(q->tables.p[middle].name, name);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

/* Under tables_lock. */
static qn_status add_entry(quern *q, const char *name, qn_error *err)
{
    size_t place = 0;
    if (find_entry(q, name, &place)) return QN_OK;
    qn_table_entry entry = {.name = qn_strndup(q->alloc, name, strlen(name))};
    if (entry.name == NULL || !qn_vec_grow(q->alloc, &q->tables)) {
        qn_delete(q->alloc, entry.name);
        return qn_fail(err, QN_ENOMEM, "table %s", name);
    }
    memmove(q->tables.p + place + 1, q->tables.p + place,
            (q->tables.n - place) * sizeof entry);
    q->tables.p[place] = entry;
    q->tables.n++;
    return QN_OK;
}

static qn_status no_table(const char *name, qn_error *err)
{
    return qn_fail(err, QN_ENOTABLE, "no such index [%s]", name);
}

/* Opening happens under the lock: a table is opened once. */
qn_status qn_engine_table(quern *q, const char *name, qn_table **out, qn_error *err)
{
    size_t place = 0;
    qn_status st = QN_OK;
    *out = NULL;
    (void)pthread_mutex_lock(&q->tables_lock);
    if (!find_entry(q, name, &place)) {
        st = no_table(name, err);
    } else {
        qn_table_entry *e = &q->tables.p[place];
        if (e->table == NULL) st = qn_table_open(q, name, &e->table, err);
        if (st == QN_OK) *out = qn_table_acquire(e->table);
    }
    (void)pthread_mutex_unlock(&q->tables_lock);
    return st;
}

/* A vector field's model must be there and make vectors of that length. */
static qn_status check_models(quern *q, qn_slice schema, qn_schema_dialect *dialect,
                              qn_error *err)
{
    qn_table_schema *s = NULL;
    QN_TRY(qn_table_schema_create(q->alloc, q->analyzers, schema, NULL, 0, &s, err));
    *dialect = s->schema.dialect;
    qn_status st = QN_OK;
    for (size_t i = 0; i < s->schema.field_count && st == QN_OK; i++) {
        const qn_field *f = &s->schema.fields[i];
        if (f->model == NULL) continue;
        qn_model *model = NULL;
        st = qn_models_get(q->models, f->model, QN_MODEL_EMBED, &model, err);
        if (st == QN_OK && qn_model_describe(model)->dims != f->dims)
            st = qn_fail(err, QN_EDIMS,
                         "[%.*s] has %u dims, its model %s makes vectors of %u",
                         QN_SLICE_ARG(f->name), f->dims, f->model,
                         qn_model_describe(model)->dims);
        qn_models_release(q->models, model);
    }
    qn_table_schema_release(s);
    return st;
}

/* Under tables_lock. What fails here is swept when the folder is opened again. */
static void forget_records(quern *q, const char *table)
{
    qn_error why;
    if (qn_control_drop_table(q->control, table, &why) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s", why.text);
}

qn_status qn_engine_create(quern *q, const char *name, qn_slice schema, qn_error *err)
{
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    qn_schema_dialect dialect = QN_SCHEMA_MAPPING;
    QN_TRY(qn_name_check_table(qn_slice_of(name), true, err));
    QN_TRY(check_models(q, schema, &dialect, err));
    QN_TRY(qn_name_check_table(qn_slice_of(name), dialect == QN_SCHEMA_HA3, err));
    size_t place = 0;
    (void)pthread_mutex_lock(&q->tables_lock);
    qn_status st = QN_OK;
    if (find_entry(q, name, &place))
        st = qn_fail(err, QN_ETABLEEXISTS, "index [%s] already exists", name);
    if (st == QN_OK) st = qn_table_make(q, name, schema, err);
    if (st == QN_OK) st = add_entry(q, name, err);
    if (st == QN_OK) forget_records(q, name); /* of an earlier table of that name */
    (void)pthread_mutex_unlock(&q->tables_lock);
    return st;
}

qn_status qn_engine_adopt(quern *q, const char *folder, const char *name, qn_error *err)
{
    size_t place = 0;
    qn_buf path;
    qn_buf_init(&path, q->alloc);
    qn_buf_printf(&path, "%s/%s", q->tables_dir, name);
    (void)pthread_mutex_lock(&q->tables_lock);
    qn_status st = path.failed ? qn_fail(err, QN_ENOMEM, "table %s", name) : QN_OK;
    if (st == QN_OK && find_entry(q, name, &place))
        st = qn_fail(err, QN_ETABLEEXISTS, "index [%s] already exists", name);
    if (st == QN_OK) st = qn_file_rename(folder, path.p, err);
    bool renamed = st == QN_OK;
    if (renamed) st = qn_dir_sync(q->tables_dir, err);
    if (renamed && st == QN_OK) st = add_entry(q, name, err);
    qn_error why; /* a folder that is no table keeps no table's name */
    if (renamed && st != QN_OK && qn_file_rename(path.p, folder, &why) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", path.p, why.text);
    (void)pthread_mutex_unlock(&q->tables_lock);
    qn_buf_deinit(&path);
    return st;
}

/* Out of the list first; searches that hold it go on, writes are refused. The folder is
 * renamed before it is emptied, so a crash leaves no half table. */
qn_status quern_table_drop(quern *q, const char *name, qn_error *err)
{
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    size_t place = 0;
    qn_buf from, to;
    qn_buf_init(&from, q->alloc);
    qn_buf_init(&to, q->alloc);
    qn_buf_printf(&from, "%s/%s", q->tables_dir, name);
    qn_buf_printf(&to, "%s/.drop-%016llx", q->tables_dir,
                  (unsigned long long)qn_clock_seed());
    qn_table *gone = NULL;
    bool renamed = false;
    (void)pthread_mutex_lock(&q->tables_lock);
    qn_status st = from.failed || to.failed ? qn_fail(err, QN_ENOMEM, "drop") : QN_OK;
    if (st == QN_OK && !find_entry(q, name, &place)) st = no_table(name, err);
    if (st == QN_OK) {
        qn_table *t = q->tables.p[place].table;
        if (t != NULL) qn_table_stop(t);
        st = qn_file_rename(from.p, to.p, err);
        renamed = st == QN_OK;
        if (t != NULL) qn_table_go_on(t, renamed);
    }
    /* Once it has lost its name it takes no writes, whether the disk knows or not. */
    if (renamed) {
        st = qn_dir_sync(q->tables_dir, err);
        gone = q->tables.p[place].table;
        qn_delete(q->alloc, q->tables.p[place].name);
        memmove(q->tables.p + place, q->tables.p + place + 1,
                (q->tables.n - place - 1) * sizeof *q->tables.p);
        q->tables.n--;
        forget_records(q, name);
    }
    (void)pthread_mutex_unlock(&q->tables_lock);
    qn_table_release(gone);
    if (st == QN_OK) st = qn_dir_remove(to.p, err);
    qn_buf_deinit(&from);
    qn_buf_deinit(&to);
    return st;
}

bool quern_table_exists(quern *q, const char *name)
{
    size_t place = 0;
    (void)pthread_mutex_lock(&q->tables_lock);
    bool found = find_entry(q, name, &place);
    (void)pthread_mutex_unlock(&q->tables_lock);
    return found;
}

/* Names are copied first: `each` may call anything. */
qn_status quern_table_list(quern *q, bool (*each)(void *ctx, const char *name),
                           void *ctx, qn_error *err)
{
    qn_buf names;
    qn_buf_init(&names, q->alloc);
    (void)pthread_mutex_lock(&q->tables_lock);
    for (size_t i = 0; i < q->tables.n; i++)
        qn_buf_add(&names, q->tables.p[i].name, strlen(q->tables.p[i].name) + 1);
    (void)pthread_mutex_unlock(&q->tables_lock);
    qn_status st = names.failed ? qn_fail(err, QN_ENOMEM, "list of tables") : QN_OK;
    for (size_t at = 0; st == QN_OK && at < names.n; at += strlen(names.p + at) + 1)
        if (!each(ctx, names.p + at)) break;
    qn_buf_deinit(&names);
    return st;
}

/* ---- which table -------------------------------------------------------------------------
 */

qn_status quern_default_table(quern *q, char *name, size_t name_size, qn_error *err)
{
    qn_status st = QN_OK;
    qn_buf known;
    qn_buf_init(&known, q->alloc);
    (void)pthread_mutex_lock(&q->tables_lock);
    const char *found = q->default_table;
    if (found == NULL && q->tables.n == 1) found = q->tables.p[0].name;
    for (size_t i = 0; found == NULL && i < q->tables.n && i < 10; i++)
        qn_buf_printf(&known, "%s%s", i == 0 ? "" : ", ", q->tables.p[i].name);
    if (found == NULL)
        st = qn_fail(err, QN_ENOTABLE,
                     q->tables.n == 0
                         ? "there is no table%s"
                         : "the request names no table and there are several: %s",
                     known.p == NULL ? "" : known.p);
    else if (strlen(found) >= name_size)
        st = qn_fail(err, QN_EINVAL, "the name of the table does not fit");
    else
        memcpy(name, found, strlen(found) + 1);
    (void)pthread_mutex_unlock(&q->tables_lock);
    qn_buf_deinit(&known);
    return st;
}

/* ---- maintenance --------------------------------------------------------------------------
 */

/* Under tables_lock only for taking a reference. */
qn_table *qn_engine_open_table_at(quern *q, size_t i, bool *end)
{
    qn_table *t = NULL;
    (void)pthread_mutex_lock(&q->tables_lock);
    *end = i >= q->tables.n;
    if (i < q->tables.n && q->tables.p[i].table != NULL)
        t = qn_table_acquire(q->tables.p[i].table);
    (void)pthread_mutex_unlock(&q->tables_lock);
    return t;
}

qn_table *qn_engine_table_if_open(quern *q, const char *name)
{
    qn_table *t = NULL;
    size_t place = 0;
    (void)pthread_mutex_lock(&q->tables_lock);
    if (find_entry(q, name, &place) && q->tables.p[place].table != NULL)
        t = qn_table_acquire(q->tables.p[place].table);
    (void)pthread_mutex_unlock(&q->tables_lock);
    return t;
}

/* Under `write`. A refresh is put off after one that took long, and for longer where it
 * would be repeated soon and nobody looks: while documents keep coming and nobody has
 * searched for a while. */
static bool refresh_due(qn_table *t)
{
    int64_t now = qn_clock_mono_ns(), took = atomic_load(&t->refresh_took_ns);
    int64_t since = now - atomic_load(&t->refreshed_at_ns);
    bool still = t->seq_no_next == t->seq_no_seen;
    bool searched = now - atomic_load(&t->searched_at_ns) < searched_ns;
    t->seq_no_seen = t->seq_no_next;
    if (still || searched) return since >= 5 * took;
    /* Some five nanoseconds a byte: what the next one will take at least. */
    size_t bytes = t->memory == NULL ? 0 : qn_segment_builder_bytes(t->memory->builder);
    int64_t guess = 5 * (int64_t)bytes;
    return since >= 40 * (guess > took ? guess : took);
}

/* `tick`: a second has passed. */
static void maintain(qn_table *t, bool tick)
{
    qn_error err;
    qn_status st = QN_OK;
    (void)pthread_mutex_lock(&t->write);
    bool idle = t->dropped || t->broken != QN_OK;
    bool refresh = !idle && tick && refresh_due(t) && t->changed;
    (void)pthread_mutex_unlock(&t->write);
    if (!idle && atomic_load(&t->flush_wanted)) st = qn_table_flush(t, &err);
    if (st == QN_OK && refresh) st = qn_table_refresh(t, &err);
    if (st != QN_OK) qn_log(QN_LOG_WARN, "engine", "table %s: %s", t->name, err.text);
}

static void *maintenance_main(void *arg)
{
    quern *q = arg;
    struct timespec until;
    qn_thread_lower_priority(PRIORITY);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REFRESH_MS / 1000;
    (void)pthread_mutex_lock(&q->stop_lock);
    while (!q->stopping) {
        bool tick = false;
        if (!q->upkeep_wanted)
            tick = pthread_cond_timedwait(&q->stop_signal, &q->stop_lock, &until) != 0;
        if (q->stopping) break;
        if (!tick && !q->upkeep_wanted) continue;
        q->upkeep_wanted = false;
        (void)pthread_mutex_unlock(&q->stop_lock);
        for (size_t i = 0;; i++) {
            bool end = false;
            qn_table *t = qn_engine_open_table_at(q, i, &end);
            if (end) break;
            if (t == NULL) continue;
            maintain(t, tick);
            qn_table_release(t);
        }
        if (tick) {
            qn_models_tick(q->models, qn_clock_mono_ns());
            (void)clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += REFRESH_MS / 1000;
        }
        (void)pthread_mutex_lock(&q->stop_lock);
    }
    (void)pthread_mutex_unlock(&q->stop_lock);
    return NULL;
}

void qn_engine_wake_upkeep(quern *q)
{
    (void)pthread_mutex_lock(&q->stop_lock);
    q->upkeep_wanted = true;
    (void)pthread_cond_signal(&q->stop_signal);
    (void)pthread_mutex_unlock(&q->stop_lock);
}

static void stop_maintenance(quern *q)
{
    if (!q->maintenance_runs) return;
    (void)pthread_mutex_lock(&q->stop_lock);
    q->stopping = true;
    (void)pthread_cond_signal(&q->stop_signal);
    (void)pthread_mutex_unlock(&q->stop_lock);
    (void)pthread_join(q->maintenance, NULL);
    q->maintenance_runs = false;
}

/* ---- opening ------------------------------------------------------------------------------
 */

typedef struct scan {
    quern *q;
    qn_status st;
    qn_error *err;
} scan;

static bool see_table(void *ctx, const char *name, bool is_dir)
{
    scan *s = ctx;
    qn_error ignored;
    if (!is_dir) return true;
    if (strncmp(name, ".new-", 5) == 0 || strncmp(name, ".drop-", 6) == 0) {
        /* What a crash left of a table that was being made or dropped. */
        qn_buf path;
        qn_buf_init(&path, s->q->alloc);
        qn_buf_printf(&path, "%s/%s", s->q->tables_dir, name);
        if (!path.failed && qn_dir_remove(path.p, &ignored) != QN_OK)
            qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", path.p, ignored.text);
        qn_buf_deinit(&path);
        return true;
    }
    if (qn_name_check_table(qn_slice_of(name), true, &ignored) != QN_OK) return true;
    s->st = add_entry(s->q, name, s->err);
    return s->st == QN_OK;
}

static char *joined(qn_alloc *a, const char *left, const char *right)
{
    qn_buf b;
    qn_buf_init(&b, a);
    qn_buf_printf(&b, "%s/%s", left, right);
    return qn_buf_take(&b, NULL);
}

static char *copied(qn_alloc *a, const char *s)
{
    return s == NULL || *s == 0 ? NULL : qn_strndup(a, s, strlen(s));
}

static qn_status open_folder(quern *q, qn_error *err)
{
    char *lock = joined(q->alloc, q->data_dir, "quern.lock");
    q->tables_dir = joined(q->alloc, q->data_dir, "tables");
    qn_status st = lock == NULL || q->tables_dir == NULL
                       ? qn_fail(err, QN_ENOMEM, "data folder")
                       : qn_dir_create(q->data_dir, err);
    if (st == QN_OK) st = qn_lock_acquire(lock, &q->lock, err);
    if (st == QN_OK) st = qn_dir_create(q->tables_dir, err);
    qn_delete(q->alloc, lock);
    if (st != QN_OK) return st;
    scan s = {q, QN_OK, err};
    QN_TRY(qn_dir_list(q->tables_dir, see_table, &s, err));
    return s.st;
}

static qn_status pick_kernels(quern *q, const char *name, qn_error *err)
{
    q->kernels = name == NULL ? qn_kernels_best() : qn_kernels_find(name);
    if (q->kernels != NULL) return QN_OK;
    return qn_fail(err, QN_EINVAL, "kernels [%s] are not built in or not for this CPU",
                   name);
}

static qn_status open_models(quern *q, const quern_options *o, qn_error *err)
{
    char *own = joined(q->alloc, q->data_dir, "models");
    if (own == NULL) return qn_fail(err, QN_ENOMEM, "models");
    qn_models_options options = {.own_dir = own,
                                 .shipped_dir = o->models_dir,
                                 .default_embedder = o->default_embedder,
                                 .default_reranker = o->default_reranker,
                                 .kernels = q->kernels,
                                 .read_only = q->read_only,
                                 .scheduler = q->scheduler};
    qn_status st = qn_deployment_of(o->deployment, &options.deployment, err);
    if (st == QN_OK) st = qn_models_create(q->alloc, &options, &q->models, err);
    qn_delete(q->alloc, own);
    return st;
}

static bool has_table(void *ctx, const char *name)
{
    return quern_table_exists(ctx, name);
}

/* Records that cannot be read keep nobody from searching: whoever asks for one is told. */
static qn_status open_control(quern *q, qn_error *err)
{
    qn_error why;
    QN_TRY(qn_control_open(q->alloc, q->data_dir, q->read_only, &q->control, err));
    if (!q->read_only && qn_control_sweep(q->control, has_table, q, &why) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s", why.text);
    return QN_OK;
}

static size_t core_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (size_t)n;
}

static size_t cache_bytes(uint64_t asked, size_t otherwise)
{
    if (asked == QUERN_CACHE_OFF) return 0;
    return asked == 0 ? otherwise : (size_t)asked;
}

static qn_status open_parts(quern *q, const quern_options *o, qn_error *err)
{
    size_t threads = o->neural_threads == 0 ? core_count() : o->neural_threads;
    size_t search = o->search_threads == 0 ? core_count() : o->search_threads;
    if (o->data_dir == NULL || o->data_dir[0] == 0)
        return qn_fail(err, QN_EINVAL, "the data folder's name is missing");
    q->data_dir = copied(q->alloc, o->data_dir);
    q->default_table = copied(q->alloc, o->default_table);
    bool named = o->default_table != NULL && o->default_table[0] != 0;
    if (q->data_dir == NULL || (named && q->default_table == NULL))
        return qn_fail(err, QN_ENOMEM, "engine");
    QN_TRY(pick_kernels(q, o->kernels, err));
    QN_TRY(qn_analyzers_create(q->alloc, &q->analyzers, err));
    qn_scheduler_options neural = {.threads = threads,
                                   .queue_tokens = o->neural_queue_tokens == 0
                                                       ? queue_tokens_default
                                                       : o->neural_queue_tokens};
    QN_TRY(qn_scheduler_create(q->alloc, &neural, &q->scheduler, err));
    if (search > 1) QN_TRY(qn_pool_create(q->alloc, search - 1, &q->search_pool, err));
    QN_TRY(qn_score_cache_create(q->alloc,
                                 cache_bytes(o->score_cache_bytes, SCORE_CACHE_BYTES),
                                 &q->scores, err));
    QN_TRY(qn_token_cache_create(q->alloc,
                                 cache_bytes(o->token_cache_bytes, TOKEN_CACHE_BYTES),
                                 &q->tokens, err));
    QN_TRY(qn_filter_cache_create(
        q->alloc, o->filter_cache_bytes == 0 ? filters_default : o->filter_cache_bytes,
        QN_FILTER_DOCS_MIN, &q->filters, err));
    qn_code_options code = {.bytes_max = (size_t)o->code_cache_bytes};
    QN_TRY(qn_code_create(q->alloc, &code, &q->code, err));
    QN_TRY(open_folder(q, err));
    QN_TRY(open_control(q, err));
    QN_TRY(qn_plugins_create(q->alloc, &q->plugins, err));
    QN_TRY(qn_analyses_create(q->alloc, &q->analyses, err));
    QN_TRY(open_models(q, o, err));
    qn_deployments_load(q);
    QN_TRY(qn_sync_thread_start(q, err));
    if (pthread_create(&q->maintenance, NULL, maintenance_main, q) != 0)
        return qn_fail(err, QN_ENOMEM, "no thread for maintenance");
    q->maintenance_runs = true;
    if (q->read_only || o->manual_merges) return QN_OK;
    return qn_merger_start(q, o->merge_bytes_per_second, o->merge_segment_bytes_max,
                           err);
}

qn_status quern_open(const quern_options *options, quern **out, qn_error *err)
{
    *out = NULL;
    quern_options o = QUERN_OPTIONS_INIT;
    if (options == NULL || options->size > sizeof o)
        return qn_fail(err, QN_EINVAL, "quern_options of a newer version");
    memcpy(&o, options, options->size);
    qn_alloc *a = qn_alloc_heap();
    quern *q = qn_new0(a, sizeof *q);
    if (q == NULL) return qn_fail(err, QN_ENOMEM, "engine");
    q->alloc = a;
    q->lock.fd = -1;
    q->read_only = o.read_only;
    q->async_commit = o.async_commit;
    q->ha3_sort_ascending = o.ha3_sort_ascending;
    q->memory_budget =
        o.memory_budget_bytes == 0 ? memory_default : o.memory_budget_bytes;
    (void)pthread_mutex_init(&q->tables_lock, NULL);
    (void)pthread_mutex_init(&q->stop_lock, NULL);
    (void)pthread_cond_init(&q->stop_signal, NULL);
    qn_status st = open_parts(q, &o, err);
    if (st != QN_OK) {
        quern_close(q);
        return st;
    }
    *out = q;
    return QN_OK;
}

void quern_close(quern *q)
{
    if (q == NULL) return;
    stop_maintenance(q);
    qn_merger_stop(q);
    qn_sync_thread_stop(q);
    qn_analyses_destroy(q->analyses); /* before the tables whose words it gathers */
    for (size_t i = 0; i < q->tables.n; i++) {
        qn_table_release(q->tables.p[i].table);
        qn_delete(q->alloc, q->tables.p[i].name);
    }
    qn_vec_deinit(q->alloc, &q->tables);
    qn_plugins_destroy(q->plugins);
    qn_control_close(q->control);
    qn_models_destroy(q->models);
    qn_score_cache_destroy(q->scores);
    qn_token_cache_destroy(q->tokens);
    qn_filter_cache_destroy(q->filters);
    qn_code_destroy(q->code);
    qn_scheduler_destroy(q->scheduler);
    qn_pool_destroy(q->search_pool);
    qn_analyzers_destroy(q->analyzers);
    qn_lock_release(&q->lock);
    (void)pthread_mutex_destroy(&q->tables_lock);
    (void)pthread_mutex_destroy(&q->stop_lock);
    (void)pthread_cond_destroy(&q->stop_signal);
    qn_delete(q->alloc, q->data_dir);
    qn_delete(q->alloc, q->tables_dir);
    qn_delete(q->alloc, q->default_table);
    qn_delete(q->alloc, q);
}
