/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of tables and back, while serving: in folders of one root that the operator has
 * named, by plain names. */
#include "server/handlers.h"

#include "server/server_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES_MAX = 200 };

static bool is_plain(qn_slice name)
{
    if (name.n == 0 || name.n > NAME_BYTES_MAX || name.p[0] == '.') return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!letter && !other) return false;
    }
    return true;
}

/* {"name": "films-1"} -> BACKUP_DIR/films-1 */
static qn_status read_folder(qn_call *c, const char **dir, qn_error *err)
{
    const char *root = c->server->options.backup_dir;
    const qn_json *body = NULL;
    qn_slice name = {"", 0};
    QN_TRY(qn_call_object(c, &body, err));
    const qn_member members[] = {
        {"name", QN_MEMBER_STRING, &name, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (root[0] == '\0')
        return qn_fail(err, QN_EUNSUPPORTED,
                       "this server has no folder for backups: start it with "
                       "--backup-dir DIR");
    if (!is_plain(name))
        return qn_fail(
            err, QN_EINVAL,
            "[name] must be the name of a folder in the server's backup_dir: "
            "1 to %d letters, digits, '-', '_' and '.', no path",
            NAME_BYTES_MAX);
    *dir = qn_arena_printf(c->arena, "%s/%.*s", root, QN_SLICE_ARG(name));
    return *dir == NULL ? qn_fail(err, QN_ENOMEM, "no memory for the request") : QN_OK;
}

static qn_status reply(qn_call *c, char *json, size_t n)
{
    qn_call_json(c, 200);
    qn_json_raw(&c->w, (qn_slice){json, n});
    quern_free(json);
    return QN_OK;
}

qn_status qn_admin_backup(qn_call *c, qn_error *err)
{
    const char *table = NULL, *dir = NULL;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(read_folder(c, &dir, err));
    QN_TRY(quern_table_backup(c->q, table, dir, &json, &n, err));
    return reply(c, json, n);
}

qn_status qn_admin_restore(qn_call *c, qn_error *err)
{
    const char *dir = NULL, *table = qn_call_arg(c, "index");
    char *json = NULL;
    size_t n = 0;
    (void)snprintf(c->table, sizeof c->table, "%s", table);
    QN_TRY(read_folder(c, &dir, err));
    QN_TRY(quern_table_restore(c->q, dir, table, &json, &n, err));
    return reply(c, json, n);
}
