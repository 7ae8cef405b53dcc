/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control/control_file.h"

#include "base/log.h"
#include "io/file.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <xxhash.h>

enum { APPLICATION_ID = 0x514E4354 }; /* "QNCT" */

static const char create_sql[] = "BEGIN;"
                                 "PRAGMA application_id = 1364083540;"
                                 "PRAGMA user_version = 1;"
                                 "CREATE TABLE record("
                                 " id INTEGER PRIMARY KEY AUTOINCREMENT,"
                                 " \"table\" TEXT NOT NULL,"
                                 " kind TEXT NOT NULL,"
                                 " name TEXT NOT NULL,"
                                 " version INTEGER NOT NULL CHECK(version > 0),"
                                 " active INTEGER NOT NULL CHECK(active IN (0, 1)),"
                                 " created_ms INTEGER NOT NULL,"
                                 " body TEXT NOT NULL,"
                                 " sum INTEGER NOT NULL,"
                                 " UNIQUE(\"table\", kind, name, version));"
                                 "COMMIT;";

/* ORDER STATEMENTS */
typedef enum statement {
    GET_VERSION,
    GET_ACTIVE,
    LIST,
    COUNT_NAMES,
    TABLES,
    INSERT,
    SET_ACTIVE,
    REMOVE,
    REMOVE_OLDEST,
    REMOVE_TABLE,
    BEGIN,
    COMMIT,
    ROLL_BACK,
    STATEMENT_COUNT
} statement;

#define COLUMNS "id, kind, name, version, active, created_ms, body, sum"
#define ONE_NAME "\"table\" = ?1 AND kind = ?2 AND name = ?3"

/* ORDER STATEMENTS */
static const char *const statements[STATEMENT_COUNT] = {
    "SELECT " COLUMNS " FROM record WHERE " ONE_NAME " AND version = ?4",
    "SELECT " COLUMNS " FROM record WHERE " ONE_NAME " AND active = 1",
    "SELECT " COLUMNS " FROM record WHERE \"table\" = ?1 AND (?2 = '' OR kind = ?2) AND"
    " (?3 = '' OR name = ?3) ORDER BY kind, name, version",
    "SELECT count(DISTINCT name) FROM record WHERE \"table\" = ?1 AND kind = ?2",
    "SELECT DISTINCT \"table\" FROM record",
    "INSERT INTO record(\"table\", kind, name, version, active, created_ms, body, sum)"
    " VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)",
    "UPDATE record SET active = (version = ?4) WHERE " ONE_NAME,
    "DELETE FROM record WHERE " ONE_NAME,
    "DELETE FROM record WHERE id = (SELECT id FROM record WHERE " ONE_NAME
    " AND active = 0 ORDER BY version LIMIT 1)",
    "DELETE FROM record WHERE \"table\" = ?1",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
};

struct qn_control {
    qn_alloc *alloc;
    char *path;
    bool read_only;
    atomic_uint_fast64_t generation;
    pthread_mutex_t lock;
    sqlite3 *db;     /* NULL: no file yet, or `broken`; guarded by lock, as all below */
    qn_error broken; /* code QN_OK: the file can be used */
    sqlite3_stmt *prepared[STATEMENT_COUNT];
};

/* ---- errors ------------------------------------------------------------------------------ */

static qn_status fail_sql(const qn_control *c, const char *doing, qn_error *err)
{
    int code = c->db == NULL ? SQLITE_CANTOPEN : sqlite3_errcode(c->db);
    const char *text = c->db == NULL ? "cannot open" : sqlite3_errmsg(c->db);
    qn_status st = QN_EIO;
    switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* a table or column that is not there */
        st = QN_ECORRUPT;
        break;
    case SQLITE_FULL:
        st = QN_ENOSPC;
        break;
    case SQLITE_NOMEM:
        st = QN_ENOMEM;
        break;
    case SQLITE_READONLY:
        st = QN_EREADONLY;
        break;
    case SQLITE_BUSY:
        st = QN_ELOCKED;
        break;
    default:
        break;
    }
    return qn_fail_file(err, st, c->path, QN_AT_NONE,
                        "%s: %s: %s. Policies, plug-ins and dictionaries stand in it: "
                        "put a copy from a backup in its place, or remove it to begin "
                        "with none",
                        c->path, doing, text);
}

static qn_status usable(const qn_control *c, qn_error *err)
{
    if (c->broken.code == QN_OK) return QN_OK;
    if (err != NULL) *err = c->broken;
    return c->broken.code;
}

/* ---- opening ------------------------------------------------------------------------------- */

static qn_status pragma_number(qn_control *c, const char *sql, int64_t *out,
                               qn_error *err)
{
    sqlite3_stmt *s = NULL;
    *out = 0;
    bool good = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL) == SQLITE_OK &&
                sqlite3_step(s) == SQLITE_ROW;
    if (good) *out = sqlite3_column_int64(s, 0);
    qn_status st = good ? QN_OK : fail_sql(c, "reading", err);
    (void)sqlite3_finalize(s);
    return st;
}

static qn_status check_pages(qn_control *c, qn_error *err)
{
    sqlite3_stmt *s = NULL;
    qn_status st = QN_OK;
    if (sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW) {
        st = fail_sql(c, "checking", err);
    } else {
        const char *said = (const char *)sqlite3_column_text(s, 0);
        if (said == NULL || strcmp(said, "ok") != 0)
            st = qn_fail_file(err, QN_ECORRUPT, c->path, QN_AT_NONE,
                              "%s is damaged: %s. Put a copy from a backup in its "
                              "place, or remove it to begin with none",
                              c->path, said == NULL ? "unreadable" : said);
    }
    (void)sqlite3_finalize(s);
    return st;
}

static qn_status check_file(qn_control *c, qn_error *err)
{
    int64_t application = 0, version = 0;
    QN_TRY(pragma_number(c, "PRAGMA application_id", &application, err));
    QN_TRY(pragma_number(c, "PRAGMA user_version", &version, err));
    if (application != APPLICATION_ID)
        return qn_fail_file(
            err, QN_ECORRUPT, c->path, QN_AT_NONE,
            "%s is no control file of Quern (application id %lld); move "
            "it away",
            c->path, (long long)application);
    if (version != QN_CONTROL_FILE_VERSION)
        return qn_fail_file(err, QN_EVERSION, c->path, QN_AT_NONE,
                            "%s is of version %lld; this Quern reads version %d: use a "
                            "newer one",
                            c->path, (long long)version, QN_CONTROL_FILE_VERSION);
    return check_pages(c, err);
}

static qn_status prepare_all(qn_control *c, qn_error *err)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        if (sqlite3_prepare_v3(c->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &c->prepared[i], NULL) != SQLITE_OK)
            return fail_sql(c, "reading", err);
    return QN_OK;
}

static void close_db(qn_control *c)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(c->prepared[i]);
        c->prepared[i] = NULL;
    }
    (void)sqlite3_close(c->db);
    c->db = NULL;
}

static qn_status open_db(qn_control *c, bool make, qn_error *err)
{
    int flags = SQLITE_OPEN_NOMUTEX |
                (c->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    if (make) flags |= SQLITE_OPEN_CREATE;
    qn_status st = QN_OK;
    if (sqlite3_open_v2(c->path, &c->db, flags, NULL) != SQLITE_OK)
        st = fail_sql(c, "opening", err);
    /* Somebody may be looking at the file with sqlite3. */
    if (st == QN_OK) (void)sqlite3_busy_timeout(c->db, 2000);
    if (st == QN_OK && !c->read_only &&
        sqlite3_exec(c->db, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA",
                     NULL, NULL, NULL) != SQLITE_OK)
        st = fail_sql(c, "opening", err);
    if (st == QN_OK && !make) st = check_file(c, err);
    if (st == QN_OK && make &&
        sqlite3_exec(c->db, create_sql, NULL, NULL, NULL) != SQLITE_OK)
        st = fail_sql(c, "making", err);
    if (st == QN_OK) st = prepare_all(c, err);
    if (st != QN_OK) close_db(c);
    return st;
}

qn_status qn_control_open(qn_alloc *a, const char *data_dir, bool read_only,
                          qn_control **out, qn_error *err)
{
    qn_control *c = *out = qn_new0(a, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "control records");
    qn_buf path;
    qn_buf_init(&path, a);
    qn_buf_printf(&path, "%s/control.db", data_dir);
    c->alloc = a;
    c->read_only = read_only;
    c->path = qn_buf_take(&path, NULL);
    (void)pthread_mutex_init(&c->lock, NULL);
    if (c->path == NULL) {
        qn_control_close(c);
        *out = NULL;
        return qn_fail(err, QN_ENOMEM, "control records");
    }
    /* A crash while it was made leaves an empty file. */
    uint64_t size = 0;
    bool there = qn_file_exists(c->path) &&
                 !(qn_file_size(c->path, &size, NULL) == QN_OK && size == 0);
    if (!there || open_db(c, false, &c->broken) == QN_OK) {
        c->broken.code = QN_OK;
        return QN_OK;
    }
    qn_log(QN_LOG_ERROR, "engine", "%s", c->broken.text);
    return QN_OK;
}

void qn_control_close(qn_control *c)
{
    if (c == NULL) return;
    close_db(c);
    (void)pthread_mutex_destroy(&c->lock);
    qn_delete(c->alloc, c->path);
    qn_delete(c->alloc, c);
}

void qn_control_file_lock(qn_control *c)
{
    (void)pthread_mutex_lock(&c->lock);
}

void qn_control_file_unlock(qn_control *c)
{
    (void)pthread_mutex_unlock(&c->lock);
}

uint64_t qn_control_generation(const qn_control *c)
{
    return atomic_load(&c->generation);
}

/* ---- running statements ---------------------------------------------------------------------- */

static sqlite3_stmt *bound(qn_control *c, statement which, const char *table,
                           const char *kind, qn_slice name)
{
    sqlite3_stmt *s = c->prepared[which];
    int n = sqlite3_bind_parameter_count(s);
    if (n >= 1) (void)sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    if (n >= 2)
        (void)sqlite3_bind_text(s, 2, kind == NULL ? "" : kind, -1, SQLITE_STATIC);
    if (n >= 3)
        (void)sqlite3_bind_text(s, 3, name.p == NULL ? "" : name.p, (int)name.n,
                                SQLITE_STATIC);
    return s;
}

static void done(sqlite3_stmt *s)
{
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
}

/* A statement that gives no rows. */
static qn_status execute(qn_control *c, sqlite3_stmt *s, const char *doing,
                         qn_error *err)
{
    qn_status st = sqlite3_step(s) == SQLITE_DONE ? QN_OK : fail_sql(c, doing, err);
    done(s);
    return st;
}

static uint64_t sum_of(qn_slice kind, qn_slice name, uint32_t version, qn_slice body)
{
    uint64_t parts[] = {XXH3_64bits(kind.p, kind.n), XXH3_64bits(name.p, name.n),
                        version, XXH3_64bits(body.p, body.n)};
    return XXH3_64bits(parts, sizeof parts);
}

static qn_slice column_text(sqlite3_stmt *s, int i, qn_arena *arena)
{
    const char *p = (const char *)sqlite3_column_text(s, i);
    return qn_arena_slice(
        arena, (qn_slice){p == NULL ? "" : p, (size_t)sqlite3_column_bytes(s, i)});
}

/* The record on which the statement stands; its body is checked whether kept or not. */
static qn_status take_record(qn_control *c, sqlite3_stmt *s, bool body, qn_arena *arena,
                             qn_control_record *out, qn_error *err)
{
    const char *bytes = (const char *)sqlite3_column_text(s, 6);
    qn_slice all = {bytes == NULL ? "" : bytes, (size_t)sqlite3_column_bytes(s, 6)};
    *out = (qn_control_record){
        .id = (uint64_t)sqlite3_column_int64(s, 0),
        .kind = column_text(s, 1, arena),
        .name = column_text(s, 2, arena),
        .version = (uint32_t)sqlite3_column_int64(s, 3),
        .active = sqlite3_column_int(s, 4) != 0,
        .created_ms = sqlite3_column_int64(s, 5),
        .body = body ? qn_arena_slice(arena, all) : QN_SLICE_LIT(""),
    };
    if (out->kind.p == NULL || out->name.p == NULL || out->body.p == NULL)
        return qn_fail(err, QN_ENOMEM, "control records");
    if (sum_of(out->kind, out->name, out->version, all) ==
        (uint64_t)sqlite3_column_int64(s, 7))
        return QN_OK;
    return qn_fail_file(
        err, QN_ECORRUPT, c->path, QN_AT_NONE,
        "%s: the record %.*s [%.*s] version %u is damaged: put it again", c->path,
        QN_SLICE_ARG(out->kind), QN_SLICE_ARG(out->name), out->version);
}

qn_status qn_control_file_get(qn_control *c, const char *table, const char *kind,
                              qn_slice name, uint32_t version, qn_arena *arena,
                              qn_control_record *out, bool *found, qn_error *err)
{
    *found = false;
    QN_TRY(usable(c, err));
    if (c->db == NULL) return QN_OK;
    sqlite3_stmt *s =
        bound(c, version == 0 ? GET_ACTIVE : GET_VERSION, table, kind, name);
    if (version != 0) (void)sqlite3_bind_int64(s, 4, version);
    int step = sqlite3_step(s);
    qn_status st = QN_OK;
    *found = step == SQLITE_ROW;
    if (*found) st = take_record(c, s, true, arena, out, err);
    if (step != SQLITE_ROW && step != SQLITE_DONE) st = fail_sql(c, "reading", err);
    done(s);
    if (*found && st == QN_OK) {
        out->table = qn_arena_slice(arena, qn_slice_of(table));
        if (out->table.p == NULL) return qn_fail(err, QN_ENOMEM, "control records");
    }
    return st;
}

qn_status qn_control_file_list(qn_control *c, const char *table, const char *kind,
                               const char *name, bool bodies, qn_arena *arena,
                               const qn_control_record **out, size_t *count,
                               qn_error *err)
{
    *out = NULL;
    *count = 0;
    QN_TRY(usable(c, err));
    if (c->db == NULL) return QN_OK;
    qn_control_record *list = NULL;
    size_t n = 0, room = 0;
    qn_slice owner = qn_arena_slice(arena, qn_slice_of(table));
    sqlite3_stmt *s =
        bound(c, LIST, table, kind, name == NULL ? (qn_slice){0} : qn_slice_of(name));
    qn_status st = owner.p == NULL ? qn_fail(err, QN_ENOMEM, "control records") : QN_OK;
    int step = SQLITE_DONE;
    while (st == QN_OK && (step = sqlite3_step(s)) == SQLITE_ROW) {
        if (n == room) {
            qn_control_record *more =
                qn_arena_array(arena, room = room * 2 + 16, sizeof *more);
            if (more == NULL) {
                st = qn_fail(err, QN_ENOMEM, "control records");
                break;
            }
            if (n > 0) memcpy(more, list, n * sizeof *more);
            list = more;
        }
        st = take_record(c, s, bodies, arena, &list[n], err);
        list[n++].table = owner;
    }
    if (st == QN_OK && step != SQLITE_DONE) st = fail_sql(c, "reading", err);
    done(s);
    *out = list;
    *count = n;
    return st;
}

qn_status qn_control_file_count_names(qn_control *c, const char *table,
                                      const char *kind, size_t *n, qn_error *err)
{
    sqlite3_stmt *s = bound(c, COUNT_NAMES, table, kind, (qn_slice){0});
    qn_status st = sqlite3_step(s) == SQLITE_ROW ? QN_OK : fail_sql(c, "reading", err);
    *n = st == QN_OK ? (size_t)sqlite3_column_int64(s, 0) : 0;
    done(s);
    return st;
}

qn_status qn_control_file_tables(qn_control *c, qn_arena *arena, const char ***out,
                                 size_t *n, qn_error *err)
{
    const char **names = NULL;
    size_t room = 0;
    *n = 0;
    QN_TRY(usable(c, err));
    if (c->db == NULL) return QN_OK;
    sqlite3_stmt *s = c->prepared[TABLES];
    qn_status st = QN_OK;
    int step = SQLITE_DONE;
    while (st == QN_OK && (step = sqlite3_step(s)) == SQLITE_ROW) {
        const char **more = names;
        if (*n == room) {
            more = qn_arena_array(arena, room = room * 2 + 16, sizeof *more);
            if (more != NULL && *n > 0) memcpy(more, names, *n * sizeof *more);
        }
        qn_slice name = column_text(s, 0, arena);
        if (more == NULL || name.p == NULL) {
            st = qn_fail(err, QN_ENOMEM, "control records");
            break;
        }
        names = more;
        names[(*n)++] = name.p;
    }
    if (st == QN_OK && step != SQLITE_DONE) st = fail_sql(c, "reading", err);
    done(s);
    *out = names;
    return st;
}

/* ---- writing ------------------------------------------------------------------------------------ */

qn_status qn_control_file_begin(qn_control *c, qn_error *err)
{
    if (c->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    QN_TRY(usable(c, err));
    if (c->db == NULL) QN_TRY(open_db(c, true, err));
    return execute(c, c->prepared[BEGIN], "writing", err);
}

qn_status qn_control_file_end(qn_control *c, qn_status st, qn_error *err)
{
    qn_error ignored;
    if (st == QN_OK) {
        st = execute(c, c->prepared[COMMIT], "writing", err);
        if (st == QN_OK) {
            (void)atomic_fetch_add(&c->generation, 1);
            return QN_OK;
        }
    }
    /* SQLite may have undone it by itself. */
    if (sqlite3_get_autocommit(c->db) == 0 &&
        execute(c, c->prepared[ROLL_BACK], "undoing", &ignored) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s", ignored.text);
    return st;
}

qn_status qn_control_file_insert(qn_control *c, const char *table, const char *kind,
                                 const qn_control_record *r, qn_error *err)
{
    sqlite3_stmt *s = bound(c, INSERT, table, kind, r->name);
    uint64_t sum = sum_of(qn_slice_of(kind), r->name, r->version, r->body);
    (void)sqlite3_bind_int64(s, 4, r->version);
    (void)sqlite3_bind_int64(s, 5, r->created_ms);
    (void)sqlite3_bind_text(s, 6, r->body.p == NULL ? "" : r->body.p, (int)r->body.n,
                            SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 7, (sqlite3_int64)sum);
    return execute(c, s, "writing", err);
}

qn_status qn_control_file_set_active(qn_control *c, const char *table, const char *kind,
                                     qn_slice name, uint32_t version, qn_error *err)
{
    sqlite3_stmt *s = bound(c, SET_ACTIVE, table, kind, name);
    (void)sqlite3_bind_int64(s, 4, version);
    return execute(c, s, "writing", err);
}

qn_status qn_control_file_remove(qn_control *c, const char *table, const char *kind,
                                 qn_slice name, qn_error *err)
{
    return execute(c, bound(c, REMOVE, table, kind, name), "writing", err);
}

qn_status qn_control_file_remove_oldest(qn_control *c, const char *table,
                                        const char *kind, qn_slice name, qn_error *err)
{
    return execute(c, bound(c, REMOVE_OLDEST, table, kind, name), "writing", err);
}

qn_status qn_control_file_remove_table(qn_control *c, const char *table, qn_error *err)
{
    return execute(c, bound(c, REMOVE_TABLE, table, NULL, (qn_slice){0}), "writing",
                   err);
}
