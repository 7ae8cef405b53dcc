/* SPDX-License-Identifier: Apache-2.0 */
/* control.c -- records of the control plane in SQLite. Bytes: docs/formats/control.md. */
#include "engine/control/control.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/nearest.h"
#include "engine/control/control_file.h"
#include "io/json.h"
#include "text/utf8.h"

/* ---- names and bodies ------------------------------------------------------------------- */

static const char *kind_text(const char *kind)
{
    static const struct {
        const char *kind, *text;
    } texts[] = {
        {QN_CONTROL_ROUGH, "rough policy"},    {QN_CONTROL_FINE, "fine policy"},
        {QN_CONTROL_CAVA, "Cava plug-in"},     {QN_CONTROL_ANALYSIS, "query analysis"},
        {QN_CONTROL_DICTIONARY, "dictionary"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].kind, kind) == 0) return texts[i].text;
    return kind;
}

static qn_status check_name(qn_slice name, const char *kind, qn_error *err)
{
    bool good = name.n > 0 && name.n <= QN_CONTROL_NAME_MAX;
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (c >= '0' && c <= '9') || c == '_' || (i > 0 && (c == '-' || c == '.'));
    }
    if (good) return QN_OK;
    return qn_fail(err, QN_EBADNAME,
                   "the name of a %s is 1 to %d letters, digits, _ - or . and begins "
                   "with none of the last two, not [%.*s]",
                   kind_text(kind), QN_CONTROL_NAME_MAX, name.n > 80 ? 80 : (int)name.n,
                   name.p);
}

static qn_status check_body(qn_slice body, const char *kind, qn_error *err)
{
    if (body.n > QN_CONTROL_BODY_MAX)
        return qn_fail(err, QN_ELIMIT, "a %s of %zu bytes, at most %d", kind_text(kind),
                       body.n, QN_CONTROL_BODY_MAX);
    return qn_utf8_check(body, err);
}

static qn_status not_there(qn_control *c, const char *table, const char *kind,
                           qn_slice name, qn_error *err)
{
    qn_arena arena;
    const qn_control_record *all = NULL;
    size_t n = 0;
    qn_nearest near = qn_nearest_begin(name);
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st =
        qn_control_file_list(c, table, kind, NULL, false, &arena, &all, &n, err);
    for (size_t i = 0; st == QN_OK && i < n; i++) qn_nearest_offer(&near, all[i].name);
    if (st == QN_OK && near.best.p != NULL)
        st = qn_fail(err, QN_ENOTFOUND,
                     "table %s has no %s [%.*s]; did you mean [%.*s]?", table,
                     kind_text(kind), QN_SLICE_ARG(name), QN_SLICE_ARG(near.best));
    else if (st == QN_OK)
        st = qn_fail(err, QN_ENOTFOUND, "table %s has no %s [%.*s]%s", table,
                     kind_text(kind), name.n > 80 ? 80 : (int)name.n, name.p,
                     n == 0 ? "; it has none at all" : "");
    qn_arena_deinit(&arena);
    return st;
}

/* ---- the calls -------------------------------------------------------------------------- */

static qn_status begin_write(qn_control *c, qn_error *err)
{
    qn_control_file_lock(c);
    qn_status st = qn_control_file_begin(c, err);
    if (st != QN_OK) qn_control_file_unlock(c);
    return st;
}

static qn_status end_write(qn_control *c, qn_status st, qn_error *err)
{
    st = qn_control_file_end(c, st, err);
    qn_control_file_unlock(c);
    return st;
}

/* What the versions of a name are: how many, the newest, the active one (0: none). */
typedef struct versions {
    size_t n;
    uint32_t newest, active, before; /* before: the greatest below the active one */
} versions;

static qn_status look(qn_control *c, const char *table, const char *kind, qn_slice name,
                      versions *out, qn_error *err)
{
    qn_arena arena;
    const qn_control_record *all = NULL;
    size_t n = 0;
    *out = (versions){0};
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    char *text = qn_arena_strndup(&arena, name.p, name.n);
    qn_status st = text == NULL ? qn_fail(err, QN_ENOMEM, "records")
                                : qn_control_file_list(c, table, kind, text, false,
                                                       &arena, &all, &n, err);
    out->n = n;
    for (size_t i = 0; st == QN_OK && i < n; i++) {
        out->newest = all[i].version;
        if (all[i].active) out->active = all[i].version;
        if (all[i].active && i > 0) out->before = all[i - 1].version;
    }
    qn_arena_deinit(&arena);
    return st;
}

static qn_status names_left(qn_control *c, const char *table, const char *kind,
                            qn_error *err)
{
    size_t n = 0;
    QN_TRY(qn_control_file_count_names(c, table, kind, &n, err));
    if (n < QN_CONTROL_NAMES_MAX) return QN_OK;
    return qn_fail(err, QN_ELIMIT, "table %s has %zu names of kind %s, at most %d",
                   table, n, kind_text(kind), QN_CONTROL_NAMES_MAX);
}

/* The oldest versions over the limit, but for the active one. */
static qn_status prune(qn_control *c, const char *table, const char *kind,
                       qn_slice name, qn_error *err)
{
    versions v;
    QN_TRY(look(c, table, kind, name, &v, err));
    for (; v.n > QN_CONTROL_VERSIONS_MAX; v.n--)
        QN_TRY(qn_control_file_remove_oldest(c, table, kind, name, err));
    return QN_OK;
}

static qn_status put_inside(qn_control *c, qn_control_record *r, const char *table,
                            const char *kind, qn_error *err)
{
    versions v;
    QN_TRY(look(c, table, kind, r->name, &v, err));
    if (v.n == 0) QN_TRY(names_left(c, table, kind, err));
    r->version = v.newest + 1;
    QN_TRY(qn_control_file_insert(c, table, kind, r, err));
    if (r->active)
        QN_TRY(qn_control_file_set_active(c, table, kind, r->name, r->version, err));
    return prune(c, table, kind, r->name, err);
}

qn_status qn_control_put(qn_control *c, const char *table, const char *kind,
                         qn_slice name, qn_slice body, bool activate, uint32_t *version,
                         qn_error *err)
{
    qn_control_record r = {.name = name,
                           .body = body,
                           .active = activate,
                           .created_ms = qn_clock_wall_ms()};
    QN_TRY(check_name(name, kind, err));
    QN_TRY(check_body(body, kind, err));
    QN_TRY(begin_write(c, err));
    qn_status st = end_write(c, put_inside(c, &r, table, kind, err), err);
    if (st == QN_OK && version != NULL) *version = r.version;
    return st;
}

static qn_status get_inside(qn_control *c, const char *table, const char *kind,
                            qn_slice name, uint32_t version, qn_arena *arena,
                            qn_control_record *out, qn_error *err)
{
    bool found = false;
    QN_TRY(qn_control_file_get(c, table, kind, name, version, arena, out, &found, err));
    if (found) return QN_OK;
    versions v;
    QN_TRY(look(c, table, kind, name, &v, err));
    if (v.n == 0) return not_there(c, table, kind, name, err);
    if (version == 0)
        return qn_fail(err, QN_ENOTFOUND,
                       "%s [%.*s] of table %s has no active version; activate one",
                       kind_text(kind), QN_SLICE_ARG(name), table);
    return qn_fail(err, QN_ENOTFOUND,
                   "%s [%.*s] of table %s has no version %u; the newest is %u",
                   kind_text(kind), QN_SLICE_ARG(name), table, version, v.newest);
}

qn_status qn_control_get(qn_control *c, const char *table, const char *kind,
                         qn_slice name, uint32_t version, qn_arena *arena,
                         qn_control_record *out, qn_error *err)
{
    *out = (qn_control_record){0};
    qn_control_file_lock(c);
    qn_status st = get_inside(c, table, kind, name, version, arena, out, err);
    qn_control_file_unlock(c);
    return st;
}

qn_status qn_control_list(qn_control *c, const char *table, const char *kind,
                          const char *name, bool bodies, qn_arena *arena,
                          const qn_control_record **out, size_t *count, qn_error *err)
{
    qn_control_file_lock(c);
    qn_status st =
        qn_control_file_list(c, table, kind, name, bodies, arena, out, count, err);
    qn_control_file_unlock(c);
    return st;
}

static qn_status activate_inside(qn_control *c, const char *table, const char *kind,
                                 qn_slice name, uint32_t version, qn_error *err)
{
    qn_arena arena;
    qn_control_record r;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = version == 0
                       ? qn_fail(err, QN_EINVAL, "versions are counted from 1")
                       : get_inside(c, table, kind, name, version, &arena, &r, err);
    qn_arena_deinit(&arena);
    if (st != QN_OK) return st;
    return qn_control_file_set_active(c, table, kind, name, version, err);
}

qn_status qn_control_activate(qn_control *c, const char *table, const char *kind,
                              qn_slice name, uint32_t version, qn_error *err)
{
    QN_TRY(begin_write(c, err));
    return end_write(c, activate_inside(c, table, kind, name, version, err), err);
}

static qn_status roll_back_inside(qn_control *c, const char *table, const char *kind,
                                  qn_slice name, uint32_t *version, qn_error *err)
{
    versions v;
    QN_TRY(look(c, table, kind, name, &v, err));
    if (v.n == 0) return not_there(c, table, kind, name, err);
    if (v.before == 0)
        return qn_fail(err, QN_ENOTFOUND,
                       "%s [%.*s] of table %s has no version before the active one",
                       kind_text(kind), QN_SLICE_ARG(name), table);
    *version = v.before;
    return qn_control_file_set_active(c, table, kind, name, v.before, err);
}

qn_status qn_control_roll_back(qn_control *c, const char *table, const char *kind,
                               qn_slice name, uint32_t *version, qn_error *err)
{
    uint32_t before = 0;
    QN_TRY(begin_write(c, err));
    qn_status st =
        end_write(c, roll_back_inside(c, table, kind, name, &before, err), err);
    if (st == QN_OK && version != NULL) *version = before;
    return st;
}

static qn_status drop_inside(qn_control *c, const char *table, const char *kind,
                             qn_slice name, qn_error *err)
{
    versions v;
    QN_TRY(look(c, table, kind, name, &v, err));
    if (v.n == 0) return not_there(c, table, kind, name, err);
    return qn_control_file_remove(c, table, kind, name, err);
}

qn_status qn_control_drop(qn_control *c, const char *table, const char *kind,
                          qn_slice name, qn_error *err)
{
    QN_TRY(begin_write(c, err));
    return end_write(c, drop_inside(c, table, kind, name, err), err);
}

/* ---- tables as a whole -------------------------------------------------------------------- */

qn_status qn_control_drop_table(qn_control *c, const char *table, qn_error *err)
{
    qn_arena arena;
    const qn_control_record *all = NULL;
    size_t n = 0;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_control_list(c, table, NULL, NULL, false, &arena, &all, &n, err);
    qn_arena_deinit(&arena);
    if (st != QN_OK || n == 0) return st;
    QN_TRY(begin_write(c, err));
    return end_write(c, qn_control_file_remove_table(c, table, err), err);
}

typedef struct tables {
    qn_arena arena;
    const char **names;
    size_t n;
} tables;

qn_status qn_control_sweep(qn_control *c, bool (*exists)(void *ctx, const char *table),
                           void *ctx, qn_error *err)
{
    tables t = {0};
    qn_arena_init(&t.arena, qn_alloc_heap(), 0);
    qn_control_file_lock(c);
    qn_status st = qn_control_file_tables(c, &t.arena, &t.names, &t.n, err);
    qn_control_file_unlock(c);
    for (size_t i = 0; st == QN_OK && i < t.n; i++) {
        if (t.names[i][0] == 0 || exists(ctx, t.names[i])) continue;
        st = qn_control_drop_table(c, t.names[i], err);
        if (st == QN_OK)
            qn_log(QN_LOG_INFO, "engine", "records of table %s, which is gone, removed",
                   t.names[i]);
    }
    qn_arena_deinit(&t.arena);
    return st;
}

qn_status qn_control_export(qn_control *c, const char *table, qn_buf *out,
                            qn_error *err)
{
    qn_arena arena;
    const qn_control_record *all = NULL;
    size_t n = 0;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_control_list(c, table, NULL, NULL, true, &arena, &all, &n, err);
    if (st == QN_OK && n > 0) {
        qn_json_writer w;
        qn_json_writer_init(&w, out, false);
        qn_json_begin_object(&w);
        qn_json_key(&w, "records");
        qn_json_begin_array(&w);
        for (size_t i = 0; i < n; i++) {
            qn_json_begin_object(&w);
            qn_json_member_slice(&w, "kind", all[i].kind);
            qn_json_member_slice(&w, "name", all[i].name);
            qn_json_member_int(&w, "version", all[i].version);
            qn_json_member_bool(&w, "active", all[i].active);
            qn_json_member_int(&w, "created_ms", all[i].created_ms);
            qn_json_member_slice(&w, "body", all[i].body);
            qn_json_end_object(&w);
        }
        qn_json_end_array(&w);
        qn_json_end_object(&w);
        if (out->failed) st = qn_fail(err, QN_ENOMEM, "records of %s", table);
    }
    qn_arena_deinit(&arena);
    return st;
}

static qn_status read_record(const qn_json *from, qn_control_record *r, qn_error *err)
{
    const qn_json *kind = qn_json_get(from, "kind"), *name = qn_json_get(from, "name"),
                  *version = qn_json_get(from, "version"),
                  *active = qn_json_get(from, "active"),
                  *created = qn_json_get(from, "created_ms"),
                  *body = qn_json_get(from, "body");
    bool whole =
        kind != NULL && kind->kind == QN_JSON_STRING && name != NULL &&
        name->kind == QN_JSON_STRING && body != NULL && body->kind == QN_JSON_STRING &&
        version != NULL && version->kind == QN_JSON_INT && version->integer > 0 &&
        version->integer <= UINT32_MAX && active != NULL &&
        active->kind == QN_JSON_BOOL && created != NULL && created->kind == QN_JSON_INT;
    if (!whole || kind->string.n > QN_CONTROL_NAME_MAX)
        return qn_fail(
            err, QN_ECORRUPT,
            "a record lacks kind, name, version, active, created_ms or body");
    *r = (qn_control_record){.kind = kind->string,
                             .name = name->string,
                             .version = (uint32_t)version->integer,
                             .active = active->boolean,
                             .created_ms = created->integer,
                             .body = body->string};
    QN_TRY(check_name(r->name, "record", err));
    return check_body(r->body, "record", err);
}

static qn_status import_inside(qn_control *c, const char *table, const qn_json *root,
                               qn_error *err)
{
    QN_TRY(qn_control_file_remove_table(c, table, err));
    const qn_json *list = qn_json_get(root, "records");
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        qn_control_record r;
        char kind[QN_CONTROL_NAME_MAX + 1];
        QN_TRY(read_record(it, &r, err));
        memcpy(kind, r.kind.p, r.kind.n);
        kind[r.kind.n] = 0;
        QN_TRY(qn_control_file_insert(c, table, kind, &r, err));
        if (r.active)
            QN_TRY(qn_control_file_set_active(c, table, kind, r.name, r.version, err));
    }
    return QN_OK;
}

qn_status qn_control_import(qn_control *c, const char *table, qn_slice text,
                            qn_error *err)
{
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_json_parse(&arena, text, &root, err);
    if (st == QN_OK) st = begin_write(c, err);
    if (st == QN_OK) st = end_write(c, import_inside(c, table, root, err), err);
    qn_arena_deinit(&arena);
    return st;
}
