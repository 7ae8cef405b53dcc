/* SPDX-License-Identifier: Apache-2.0 */
/* write_apply.c -- one operation against the table, under its lock. */
#include "engine/table/table_overlay.h"
#include "engine/write/write.h"

enum { ADD_ROUNDS_MAX = 3, UPDATE_ROUNDS_MAX = 5 };

/* ---- conflicts -----------------------------------------------------------------------
 */

/* The version that an id has, or had when it was deleted; -1: none that is known. */
static int64_t known_version(qn_table *t, const qn_write_op *w, const qn_place *old)
{
    if (old->found) return old->version;
    return qn_graves_version(&t->graves, w->id, qn_clock_mono_ns());
}

static qn_status check_external(qn_table *t, const qn_write_op *w, const qn_place *old,
                                qn_error *err)
{
    bool gte = w->op->version_type == QUERN_VERSION_EXTERNAL_GTE;
    int64_t known = known_version(t, w, old), given = w->op->version;
    if (known < 0 || known < given || (gte && known == given)) return QN_OK;
    return qn_fail(err, QN_ECONFLICT,
                   "[%s]: version conflict, current version [%lld] is higher %s the "
                   "one provided [%lld]",
                   w->result->id, (long long)known, gte ? "than" : "or equal to",
                   (long long)given);
}

static qn_status check_conflict(qn_table *t, const qn_write_op *w, const qn_place *old,
                                qn_error *err)
{
    int64_t wanted = w->op->if_seq_no;
    if (w->op->version_type != QUERN_VERSION_INTERNAL)
        return check_external(t, w, old, err);
    if (w->op->kind == QUERN_OP_CREATE && old->found)
        return qn_fail(err, QN_ECONFLICT,
                       "[%s]: version conflict, document already exists (current "
                       "version [%lld])",
                       w->result->id, (long long)old->version);
    if (wanted == QUERN_SEQ_NONE) return QN_OK;
    if (!old->found)
        return qn_fail(err, QN_ECONFLICT,
                       "[%s]: version conflict, required seqNo [%lld], primary term "
                       "[1]. but no document was found",
                       w->result->id, (long long)wanted);
    if (old->seq_no != wanted)
        return qn_fail(err, QN_ECONFLICT,
                       "[%s]: version conflict, required seqNo [%lld], primary term "
                       "[1]. current document has seqNo [%lld] and primary term [1]",
                       w->result->id, (long long)wanted, (long long)old->seq_no);
    return QN_OK;
}

/* ---- one document ----------------------------------------------------------------------
 */

/* The primary key is a value of the document also when only the operation named it. */
static qn_status settle_key(qn_table *t, qn_slice id, const qn_json *root,
                            qn_document *d, qn_arena *arena, qn_error *err)
{
    const qn_schema *s = &t->schema->schema;
    const qn_field *key = qn_schema_field_by_id(s, s->primary_key);
    if (key == NULL) return QN_OK;
    if (qn_document_has(d, key)) {
        qn_slice given = {0};
        QN_TRY(qn_document_key(arena, root, key->path, &given, err));
        if (qn_slice_eq(given, id)) return QN_OK;
        return qn_fail(err, QN_EDOCUMENT,
                       "the primary key [%.*s] of the document is not its _id",
                       QN_SLICE_ARG(key->name));
    }
    qn_doc_value v = {.field = key, .text = id};
    if (key->type != QN_FIELD_KEYWORD && !qn_slice_to_i64(id, &v.i64))
        return qn_fail(err, QN_EDOCUMENT, "the _id must be an integer, as [%.*s] is",
                       QN_SLICE_ARG(key->name));
    qn_doc_value *more = qn_arena_array(arena, d->count + 1, sizeof *more);
    if (more == NULL) return qn_fail(err, QN_ENOMEM, "document");
    if (d->count != 0) memcpy(more, d->values, d->count * sizeof *more);
    more[d->count] = v;
    d->values = more;
    d->count++;
    return QN_OK;
}

/* Checked against the schema, which grows by what the document brings along. */
static qn_status fit_schema(qn_table *t, qn_slice id, qn_slice source,
                            const qn_json *root, qn_document *d, qn_arena *arena,
                            qn_error *err)
{
    for (int round = 0; round < ADD_ROUNDS_MAX; round++) {
        QN_TRY(qn_document_check(arena, t->schema, source, root, id, d, err));
        if (d->addition_count == 0) return settle_key(t, id, root, d, arena, err);
        QN_TRY(qn_table__add_fields(t, d->additions, d->addition_count, true, err));
    }
    return qn_fail(err, QN_EINTERNAL, "the fields of the document cannot be mapped");
}

static int64_t next_version(qn_table *t, const qn_write_op *w, const qn_place *old)
{
    if (w->op->version_type != QUERN_VERSION_INTERNAL) return w->op->version;
    int64_t known = known_version(t, w, old);
    return known < 0 ? 1 : known + 1;
}

/* The log has a document that memory could not take in: reading the log again brings
 * both together. */
static qn_status log_is_ahead(qn_table *t, qn_status st, const qn_error *why,
                              qn_error *err)
{
    t->broken = QN_EREADONLY;
    (void)qn_fail(
        &t->broken_error, QN_EREADONLY,
        "table %s takes no writes until reopened: its log has a document that "
        "could not be taken in (%s)",
        t->name, why->text);
    if (err != NULL) *err = *why;
    return st;
}

/* Old: what is replaced, found or not. */
static qn_status store(qn_table *t, qn_write_op *w, qn_slice source,
                       const qn_json *root, const qn_place *old, qn_arena *arena,
                       qn_error *err)
{
    qn_document d;
    QN_TRY(fit_schema(t, w->id, source, root, &d, arena, err));
    QN_TRY(qn_table__will_delete(t, old, err));
    qn_oplog_op op = {
        .type = QN_OPLOG_INDEX,
        .seq_no = t->seq_no_next,
        .version = next_version(t, w, old),
        .id = w->id,
        .source = source,
        .vectors = w->made,
        .vector_count = w->made_count,
    };
    QN_TRY(qn_oplog_append(t->wal, t->lsn_next, &op, &t->scratch, err));
    t->lsn_next++;
    t->seq_no_next++;
    t->unflushed = true;
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_table__feed(t, w->id, &d, source, w->made, w->made_count,
                                  op.seq_no, op.version, &why);
    if (st != QN_OK) return log_is_ahead(t, st, &why, err);
    if (old->found) QN_TRY(qn_table__mark_deleted(t, old, err));
    w->result->created = !old->found;
    w->result->outcome = old->found ? QUERN_UPDATED : QUERN_CREATED;
    w->result->seq_no = op.seq_no;
    w->result->version = op.version;
    return QN_OK;
}

/* Deleting what is not there has a sequence number and a version too: an older write that
 * comes late is told from it. */
static qn_status erase(qn_table *t, qn_write_op *w, const qn_place *old, qn_error *err)
{
    if (old->found) QN_TRY(qn_table__will_delete(t, old, err));
    qn_oplog_op op = {
        .type = QN_OPLOG_DELETE,
        .seq_no = t->seq_no_next,
        .version = next_version(t, w, old),
        .id = w->id,
    };
    /* First, since it can fail; a version too many is remembered when the log fails. */
    if (!qn_graves_put(&t->graves, w->id, op.version, qn_clock_mono_ns()))
        return qn_fail(err, QN_ENOMEM, "out of memory in table %s", t->name);
    QN_TRY(qn_oplog_append(t->wal, t->lsn_next, &op, &t->scratch, err));
    t->lsn_next++;
    t->seq_no_next++;
    t->unflushed = true;
    if (old->found) QN_TRY(qn_table__mark_deleted(t, old, err));
    w->result->outcome = old->found ? QUERN_DELETED : QUERN_NOT_FOUND;
    w->result->seq_no = op.seq_no;
    w->result->version = op.version;
    if (old->found) return QN_OK;
    return qn_fail(err, QN_ENODOC, "[%s]: document missing", w->result->id);
}

/* ---- updates ---------------------------------------------------------------------------
 */

static bool has_models(const qn_schema *s)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (s->fields[i].type == QN_FIELD_VECTOR && s->fields[i].model != NULL)
            return true;
    return false;
}

/* The old document with the partial one merged in, in the arena; NULL: it would be the
 * same. */
static qn_status merge(qn_table *t, const qn_write_op *w, const qn_place *old,
                       qn_arena *arena, qn_slice *source, const qn_json **root,
                       qn_error *err)
{
    *root = NULL;
    qn_slice before = {0};
    QN_TRY(qn_table__source(t, old, &t->source_scratch, &before, err));
    before = qn_arena_slice(arena, before);
    if (before.p == NULL) return qn_fail(err, QN_ENOMEM, "update");
    const qn_json *base = NULL;
    QN_TRY(qn_json_parse(arena, before, &base, err));
    if (!w->op->always && !qn_document_changes(base, w->root)) return QN_OK;
    qn_buf merged;
    qn_buf_init(&merged, arena->alloc);
    qn_status st = qn_document_merge(base, w->root, &merged, err);
    if (st == QN_OK) {
        *source = qn_arena_slice(arena, qn_buf_slice(&merged));
        if (source->p == NULL) st = qn_fail(err, QN_ENOMEM, "update");
    }
    qn_buf_deinit(&merged);
    return st == QN_OK ? qn_json_parse(arena, *source, root, err) : st;
}

/* Embeds without the lock. */
static qn_status embed_unlocked(qn_table *t, qn_write_op *w, qn_slice source,
                                const qn_json *root, const quern_cancel *cancel,
                                qn_arena *arena, qn_error *err)
{
    qn_table_schema *schema = qn_table_schema_acquire(t->schema);
    (void)pthread_mutex_unlock(&t->write);
    qn_write_op whole = {
        .op = w->op, .result = w->result, .id = w->id, .source = source, .root = root};
    qn_write__embed(t->engine, schema, &whole, 1, cancel, arena);
    (void)pthread_mutex_lock(&t->write);
    qn_table_schema_release(schema);
    w->made = whole.made;
    w->made_count = whole.made_count;
    if (!whole.failed) return QN_OK;
    *err = w->result->error;
    return w->result->status;
}

static qn_status leave(qn_write_op *w, const qn_place *old)
{
    w->result->outcome = QUERN_NOOP;
    w->result->seq_no = old->seq_no;
    w->result->version = old->version;
    return QN_OK;
}

/* *done: the update was one of attributes alone, and is carried out. */
static qn_status update_in_place(qn_table *t, qn_write_op *w, const qn_place *old,
                                 qn_arena *arena, bool *done, qn_error *err)
{
    qn_overlay_plan p;
    bool possible = false;
    QN_TRY(qn_overlay_plan_make(t, old, w->id, w->source, w->root, arena, &p, &possible,
                                err));
    /* What looks the same may be so: only the stored source tells. */
    if (!possible || (!p.differs && !w->op->always)) return QN_OK;
    if (!atomic_load(&t->takes_updates)) {
        atomic_store(&t->wants_updates, true);
        return QN_OK;
    }
    qn_oplog_op op = {
        .type = QN_OPLOG_UPDATE,
        .seq_no = t->seq_no_next,
        .version = next_version(t, w, old),
        .id = w->id,
        .source = p.partial,
    };
    qn_status st = qn_overlay_plan_stage(t, old, &p, op.seq_no, op.version, err);
    if (st == QN_ELIMIT) return QN_OK;
    if (st != QN_OK) return st;
    st = qn_oplog_append(t->wal, t->lsn_next, &op, &t->scratch, err);
    if (st != QN_OK) {
        qn_overlay_plan_drop(t, old);
        return st;
    }
    t->lsn_next++;
    t->seq_no_next++;
    qn_overlay_plan_publish(t, old, &p);
    *done = true;
    w->result->outcome = QUERN_UPDATED;
    w->result->seq_no = op.seq_no;
    w->result->version = op.version;
    return QN_OK;
}

static qn_status update(qn_table *t, qn_write_op *w, const quern_cancel *cancel,
                        qn_arena *arena, qn_error *err)
{
    for (int round = 0; round < UPDATE_ROUNDS_MAX; round++) {
        qn_place old, again;
        bool upsert = w->op->kind == QUERN_OP_UPDATE;
        qn_slice source = upsert ? w->upsert : w->source;
        const qn_json *root = upsert ? w->upsert_root : w->root;
        QN_TRY(qn_table__find(t, w->id, &old, err));
        if (!old.found && root == NULL)
            return qn_fail(err, QN_ENODOC, "[%s]: document missing", w->result->id);
        QN_TRY(check_conflict(t, w, &old, err));
        bool done = false;
        if (old.found) QN_TRY(update_in_place(t, w, &old, arena, &done, err));
        if (done) return QN_OK;
        if (old.found) QN_TRY(merge(t, w, &old, arena, &source, &root, err));
        if (root == NULL) return leave(w, &old);
        if (!has_models(&t->schema->schema))
            return store(t, w, source, root, &old, arena, err);
        QN_TRY(embed_unlocked(t, w, source, root, cancel, arena, err));
        if (t->dropped) return qn_fail(err, QN_ENOTABLE, "no such index [%s]", t->name);
        QN_TRY(qn_table__find(t, w->id, &again, err));
        if (again.found == old.found && again.seq_no == old.seq_no)
            return store(t, w, source, root, &again, arena, err);
    }
    return qn_fail(err, QN_ECONFLICT,
                   "[%s]: version conflict, the document kept "
                   "changing",
                   w->result->id);
}

static qn_status apply(qn_table *t, qn_write_op *w, const quern_cancel *cancel,
                       qn_arena *arena, qn_error *err)
{
    if (t->dropped) return qn_fail(err, QN_ENOTABLE, "no such index [%s]", t->name);
    if (t->broken != QN_OK) {
        *err = t->broken_error;
        return t->broken;
    }
    if (w->op->kind == QUERN_OP_UPDATE || w->op->kind == QUERN_OP_UPSERT)
        return update(t, w, cancel, arena, err);
    qn_place old;
    QN_TRY(qn_table__find(t, w->id, &old, err));
    QN_TRY(check_conflict(t, w, &old, err));
    if (w->op->kind == QUERN_OP_DELETE) return erase(t, w, &old, err);
    return store(t, w, w->source, w->root, &old, arena, err);
}

void qn_write__apply(qn_table *t, qn_write_op *w, const quern_cancel *cancel,
                     qn_arena *arena)
{
    qn_error err = {.at = QN_AT_NONE};
    qn_status st = apply(t, w, cancel, arena, &err);
    if (st != QN_OK) qn_write__fail(w, st, &err);
}

/* ---- replay ----------------------------------------------------------------------------
 */

static qn_status replay_index(qn_table *t, const qn_oplog_op *op, qn_arena *arena,
                              qn_error *err)
{
    const qn_json *root = NULL;
    qn_document d;
    qn_place old;
    QN_TRY(qn_json_parse(arena, op->source, &root, err));
    QN_TRY(qn_document_check(arena, t->schema, op->source, root, op->id, &d, err));
    if (d.addition_count != 0)
        return qn_fail(err, QN_ECORRUPT,
                       "the log of table %s lacks the mapping of field [%.*s]", t->name,
                       QN_SLICE_ARG(d.additions[0].name));
    QN_TRY(settle_key(t, op->id, root, &d, arena, err));
    QN_TRY(qn_table__find(t, op->id, &old, err));
    QN_TRY(qn_table__feed(t, op->id, &d, op->source, op->vectors, op->vector_count,
                          op->seq_no, op->version, err));
    return old.found ? qn_table__mark_deleted(t, &old, err) : QN_OK;
}

/* The document as the partial one leaves it, written anew: it is in memory, or the
 * schema has changed. */
static qn_status replay_whole(qn_table *t, const qn_oplog_op *op, const qn_place *old,
                              const qn_json *partial, qn_arena *arena, qn_error *err)
{
    qn_slice before = {0};
    const qn_json *base = NULL;
    QN_TRY(qn_table__source(t, old, &t->source_scratch, &before, err));
    before = qn_arena_slice(arena, before);
    if (before.p == NULL) return qn_fail(err, QN_ENOMEM, "update");
    QN_TRY(qn_json_parse(arena, before, &base, err));
    qn_buf merged;
    qn_oplog_op whole = *op;
    qn_buf_init(&merged, arena->alloc);
    qn_status st = qn_document_merge(base, partial, &merged, err);
    whole.source = qn_buf_slice(&merged);
    if (st == QN_OK) st = replay_index(t, &whole, arena, err);
    qn_buf_deinit(&merged);
    return st;
}

/* A document that is not there was deleted, or written anew, by what the log has further
 * on: the manifest knew. One that is newer has this already. */
static qn_status replay_update(qn_table *t, const qn_oplog_op *op, qn_arena *arena,
                               qn_error *err)
{
    qn_place old;
    qn_overlay_plan p;
    const qn_json *partial = NULL;
    bool possible = false;
    QN_TRY(qn_table__find(t, op->id, &old, err));
    if (!old.found || old.seq_no >= op->seq_no) return QN_OK;
    QN_TRY(qn_json_parse(arena, op->source, &partial, err));
    QN_TRY(qn_overlay_plan_make(t, &old, op->id, op->source, partial, arena, &p,
                                &possible, err));
    if (!possible) return replay_whole(t, op, &old, partial, arena, err);
    qn_status st = qn_overlay_plan_stage(t, &old, &p, op->seq_no, op->version, err);
    if (st == QN_ELIMIT) return replay_whole(t, op, &old, partial, arena, err);
    if (st == QN_OK) qn_overlay_plan_publish(t, &old, &p);
    return st;
}

qn_status qn_table__replay(qn_table *t, const qn_oplog_op *op, qn_arena *arena,
                           qn_error *err)
{
    qn_place old;
    if (op->type == QN_OPLOG_FIELDS)
        return qn_table__add_fields(t, op->fields, op->field_count, false, err);
    if (op->type == QN_OPLOG_POLICY) {
        t->policy = op->policy;
        return QN_OK;
    }
    if (op->seq_no >= t->seq_no_next) t->seq_no_next = op->seq_no + 1;
    if (op->type == QN_OPLOG_INDEX) return replay_index(t, op, arena, err);
    if (op->type == QN_OPLOG_UPDATE) return replay_update(t, op, arena, err);
    QN_TRY(qn_table__find(t, op->id, &old, err));
    if (old.found) QN_TRY(qn_table__mark_deleted(t, &old, err));
    return qn_graves_put(&t->graves, op->id, op->version, qn_clock_mono_ns())
               ? QN_OK
               : qn_fail(err, QN_ENOMEM, "out of memory in table %s", t->name);
}
