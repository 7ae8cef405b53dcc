/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/damage.h"

#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/table/manifest.h"

bool qn_damage_is_known(qn_status st)
{
    return st == QN_ECORRUPT || st == QN_ENOTFOUND;
}

qn_status qn_damage_note(qn_table *t, const qn_error *what, qn_error *err)
{
    if (!qn_vec_push(t->engine->alloc, &t->damage, *what))
        return qn_fail(err, QN_ENOMEM, "table %s", t->name);
    qn_log(QN_LOG_ERROR, "engine", "table %s is damaged: %s", t->name, what->text);
    if (t->broken != QN_OK) return QN_OK;
    t->broken = QN_EREADONLY;
    (void)qn_fail(
        &t->broken_error, QN_EREADONLY,
        "table %s takes no writes: it is damaged (%.300s). 'quern table check' "
        "lists everything; a backup can be restored under another name",
        t->name, what->text);
    return QN_OK;
}

qn_status qn_damage_copy(const qn_table *t, qn_error **out, size_t *count,
                         qn_error *err)
{
    *out = NULL;
    *count = t->damage.n;
    if (t->damage.n == 0) return QN_OK;
    *out = qn_new_array(t->engine->alloc, t->damage.n, sizeof **out);
    if (*out == NULL) return qn_fail(err, QN_ENOMEM, "snapshot");
    memcpy(*out, t->damage.p, t->damage.n * sizeof **out);
    return QN_OK;
}

bool qn_damage_mark(qn_table *t, const qn_error *what)
{
    bool found = false;
    qn_error err;
    if (what->code != QN_ECORRUPT || what->file[0] == '\0') return false;
    qn_buf path;
    qn_buf_init(&path, t->engine->alloc);
    for (size_t i = 0; i < t->segments.n && !found; i++) {
        qn_table_segment *s = &t->segments.p[i];
        qn_manifest_segment_path(&path, t->dir, s->live->id);
        if (s->damaged || path.failed || strcmp(path.p, what->file) != 0) continue;
        found = qn_damage_note(t, what, &err) == QN_OK;
        s->damaged = found;
        t->changed = true;
    }
    qn_buf_deinit(&path);
    return found;
}

bool qn_damage_leave_out(qn_table *t, const qn_error *what)
{
    qn_error err;
    (void)pthread_mutex_lock(&t->write);
    bool found = qn_damage_mark(t, what);
    (void)pthread_mutex_unlock(&t->write);
    return found && qn_table_refresh(t, &err) == QN_OK;
}

qn_status qn_damage_doubt(const qn_table *t, bool found, qn_error *err)
{
    if (t->damage.n == 0 || (found && !t->log_damaged)) return QN_OK;
    const qn_error *first = &t->damage.p[0];
    return qn_fail_file(err, QN_ECORRUPT, first->file, first->at,
                        "table %s is damaged, so it is not known whether this is the "
                        "document's last state: %.300s",
                        t->name, first->text);
}

void qn_damage_print(const qn_table *t, qn_json_writer *w)
{
    if (t->damage.n == 0) return;
    qn_json_key(w, "damage");
    qn_json_begin_array(w);
    for (size_t i = 0; i < t->damage.n; i++) {
        const qn_error *e = &t->damage.p[i];
        qn_json_begin_object(w);
        qn_json_member_str(w, "file", e->file);
        if (e->at != QN_AT_NONE) qn_json_member_int(w, "offset", (int64_t)e->at);
        qn_json_member_str(w, "text", e->text);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}
