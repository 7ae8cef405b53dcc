/* SPDX-License-Identifier: Apache-2.0 */
/* write.c -- quern_write: batches of operations, one sync. */
#include "engine/write/write.h"

#include "base/log.h"

enum {
    BATCH_OPS = 256,
    BATCH_EMBED_OPS = 64, /* progress is seen, and memory stays small */
    FULL_FACTOR = 3,      /* of the bytes at which a flush begins */
    WAITING_MAX = 1000,   /* calls that wait for a flush of a full table */
    GROUP_OPS = 64,       /* calls of so many are carried out together */
    BATCH_BYTES = 16 * 1024 * 1024,
};

typedef struct write_call {
    quern *q;
    qn_table *table;
    const quern_op *ops;
    size_t count;
    quern_op_result *results;
    quern_write_options options;
    bool durable; /* a group has seen to that, or failed to */
} write_call;

static bool has_models(const qn_schema *s)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].model != NULL) return true;
    return false;
}

static size_t batch_end(const write_call *c, size_t from, size_t most)
{
    size_t bytes = 0, end = from;
    while (end < c->count && end - from < most && bytes < BATCH_BYTES)
        bytes += c->ops[end++].source_size;
    return end;
}

void qn_write__relieve(qn_table *t)
{
    qn_error err;
    if (qn_table_relieve(t, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "table %s stays in memory: %s", t->name,
               err.text);
}

/* Nothing of this call counts as written. */
static void fail_all(write_call *c, qn_status st, const qn_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->results[i].status != QN_OK) continue;
        c->results[i].status = st;
        c->results[i].error = *err;
    }
}

/* Before a batch: memory is bounded. A full one is flushed while the call waits; when that
 * fails, or too many wait already, the call is refused and nothing of it is written. */
static qn_status admit(qn_table *t, qn_error *err)
{
    size_t most = FULL_FACTOR * qn_engine_flush_bytes(t->engine);
    if (atomic_load(&t->memory_seen) < most) return QN_OK;
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = QN_EBUSY;
    if (atomic_fetch_add(&t->waiting, 1) < WAITING_MAX) {
        st = qn_table__flush_full(t, &why);
    }
    atomic_fetch_sub(&t->waiting, 1);
    if (st == QN_OK) return QN_OK;
    if (why.code == QN_OK)
        return qn_fail(err, QN_EBUSY,
                       "table %s: %d writes wait for memory already, try again later",
                       t->name, WAITING_MAX);
    if (st == QN_ENOSPC || st == QN_EREADONLY || st == QN_ENOTABLE) {
        if (err != NULL) *err = why;
        return st;
    }
    return qn_fail(
        err, QN_EBUSY,
        "table %s has no memory for more documents, and those it has could not "
        "be written to files: %.300s",
        t->name, why.text);
}

/* Updates embed when they know the merged document. */
static void embed_whole(write_call *c, const qn_table_schema *schema, qn_write_op *ops,
                        size_t n, qn_arena *arena)
{
    qn_write_op *whole = qn_arena_array(arena, n, sizeof *whole);
    size_t *back = qn_arena_array(arena, n, sizeof *back);
    size_t m = 0;
    for (size_t i = 0; whole != NULL && back != NULL && i < n; i++) {
        quern_op_kind kind = ops[i].op->kind;
        if (kind != QUERN_OP_INDEX && kind != QUERN_OP_CREATE) continue;
        back[m] = i;
        whole[m++] = ops[i];
    }
    qn_write__embed(c->q, schema, whole, m, c->options.cancel, arena);
    for (size_t i = 0; i < m; i++) ops[back[i]] = whole[i];
}

/* Prepared operations, on their own: another thread may be with the disk. */
static void apply_alone(write_call *c, qn_write_op *ops, size_t n, qn_arena *arena)
{
    qn_table *t = c->table;
    (void)pthread_mutex_lock(&t->write);
    for (size_t i = 0; i < n; i++)
        if (!ops[i].failed) qn_write__apply(t, &ops[i], c->options.cancel, arena);
    (void)pthread_mutex_unlock(&t->write);
    qn_write__relieve(t);
}

static qn_status run_batch(write_call *c, qn_table_schema *schema, size_t from,
                           size_t end, qn_error *err)
{
    qn_table *t = c->table;
    qn_arena arena;
    qn_arena_init(&arena, c->q->alloc, 0);
    size_t n = end - from;
    bool models = has_models(&schema->schema);
    qn_write_op *ops = qn_arena_array(&arena, n, sizeof *ops);
    if (ops == NULL) {
        qn_arena_deinit(&arena);
        return qn_fail(err, QN_ENOMEM, "write");
    }
    for (size_t i = 0; i < n; i++) {
        ops[i].op = &c->ops[from + i];
        ops[i].result = &c->results[from + i];
        qn_write__prepare(t, schema, &ops[i], &arena);
    }
    if (models) embed_whole(c, schema, ops, n, &arena);
    /* A model may have to be asked while an update is applied: nobody should wait for
     * that, so it goes alone. */
    qn_status st = QN_OK;
    if (from == 0 && end == c->count && n <= GROUP_OPS && !models) {
        st = qn_write_group_run(t, ops, n, c->options.cancel, &arena, err);
        c->durable = true;
        if (st != QN_OK) fail_all(c, st, err);
    } else {
        apply_alone(c, ops, n, &arena);
    }
    qn_arena_deinit(&arena);
    return st;
}

static qn_status run(write_call *c, qn_error *err)
{
    qn_table *t = c->table;
    for (size_t from = 0; from < c->count;) {
        if (c->options.cancel != NULL && atomic_load(c->options.cancel))
            return qn_fail(err, QN_ECANCELLED, "the write was cancelled");
        qn_table_schema *schema = qn_table_schema_now(t);
        qn_status full = admit(t, err);
        if (full != QN_OK) {
            qn_table_schema_release(schema);
            return full;
        }
        size_t most = has_models(&schema->schema) ? BATCH_EMBED_OPS : BATCH_OPS;
        size_t end = batch_end(c, from, most);
        qn_status st = run_batch(c, schema, from, end, err);
        qn_table_schema_release(schema);
        if (st != QN_OK) return st;
        from = end;
        if (c->options.progress != NULL)
            c->options.progress(c->options.progress_ctx, from, c->count);
    }
    return QN_OK;
}

static qn_status find_table(write_call *c, const char *name, qn_error *err)
{
    qn_status st = qn_engine_table(c->q, name, &c->table, err);
    if (st != QN_ENOTABLE || !c->options.create_table) return st;
    st = qn_engine_create(c->q, name, QN_SLICE_LIT("{}"), err);
    if (st != QN_OK && st != QN_ETABLEEXISTS) return st;
    return qn_engine_table(c->q, name, &c->table, err);
}

qn_status quern_write(quern *q, const char *table, const quern_op *ops, size_t op_count,
                      const quern_write_options *options, quern_op_result *results,
                      qn_error *err)
{
    write_call c = {.q = q, .ops = ops, .count = op_count, .results = results};
    if (options != NULL) {
        if (options->size > sizeof c.options)
            return qn_fail(err, QN_EINVAL, "quern_write_options of a newer version");
        memcpy(&c.options, options, options->size);
    }
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    QN_TRY(find_table(&c, table, err));
    qn_error why = {.at = QN_AT_NONE};
    for (size_t i = 0; i < op_count; i++)
        results[i] = (quern_op_result){.status = QN_OK, .seq_no = -1};
    qn_status st = run(&c, &why);
    /* What was applied before a failure is logged: it is made durable as well, and its
     * results stand; the rest gets the failure. */
    if (st != QN_OK) {
        for (size_t i = 0; i < op_count; i++)
            if (results[i].status == QN_OK && results[i].seq_no < 0) {
                results[i].status = st;
                results[i].error = why;
            }
    }
    qn_error late = {.at = QN_AT_NONE};
    qn_status synced = c.durable ? QN_OK : qn_write__make_durable(c.table, &late);
    if (synced != QN_OK) {
        fail_all(&c, synced, &late);
        if (st == QN_OK) {
            st = synced;
            why = late;
        }
    }
    if (atomic_load(&c.table->wants_updates) && !atomic_load(&c.table->takes_updates))
        qn_table__allow_updates(c.table);
    if (st == QN_OK && c.options.refresh) st = qn_table_refresh(c.table, &why);
    qn_table_release(c.table);
    if (st != QN_OK && err != NULL) *err = why;
    return st;
}
