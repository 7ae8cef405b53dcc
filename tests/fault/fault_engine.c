/* SPDX-License-Identifier: Apache-2.0 */
/* One session over a small table, in which the n-th system call of a kind fails, or the
 * n-th allocation, for n = 1, 2, ... until a session sees no failure.
 *
 * After each: the files as kill -9 would leave them open and hold what was acknowledged
 * (the ledger decides); so does the folder after an orderly close; nothing leaked; and
 * the table takes writes again, at the latest when it is opened anew.
 *
 *     fault_engine [STRIDE [KIND]]
 *
 * STRIDE 0: every n. Else n grows by an STRIDE-th of itself: early calls, where a table is
 * made and opened, are all tried, later ones now and then. KIND: one row of `kinds`. */
#include "folders.h"
#include "ledger.h"

#include "../qn_test.h"

#include "base/alloc.h"
#include "base/log.h"
#include "io/io_internal.h"

#include <errno.h>
#include <stdlib.h>

#define TABLE "t"
#define OTHER "other"
#define BACK "back"

static const struct kind {
    const char *name;
    unsigned calls; /* 0: allocations */
    int errnum;
    bool sticky, torn, shorten;
    bool harmless; /* no call may fail for it */
} kinds[] = {
    {.name = "open", .calls = QN_IO_OPEN, .errnum = EMFILE},
    {.name = "read", .calls = QN_IO_READ, .errnum = EIO},
    {.name = "write", .calls = QN_IO_WRITE, .errnum = EIO},
    {.name = "write torn", .calls = QN_IO_WRITE, .errnum = ENOSPC, .torn = true},
    {.name = "sync", .calls = QN_IO_SYNC, .errnum = EIO},
    {.name = "rename", .calls = QN_IO_RENAME, .errnum = EIO},
    {.name = "truncate", .calls = QN_IO_TRUNCATE, .errnum = EIO},
    {.name = "remove", .calls = QN_IO_REMOVE, .errnum = EIO},
    {.name = "map", .calls = QN_IO_MAP, .errnum = ENOMEM},
    {.name = "link", .calls = QN_IO_LINK, .errnum = EMLINK},
    {.name = "allocate", .calls = QN_IO_ALLOCATE, .errnum = ENOSPC},
    {.name = "mkdir", .calls = QN_IO_MKDIR, .errnum = ENOSPC},
    {.name = "list", .calls = QN_IO_LIST, .errnum = EMFILE},
    {.name = "disk full",
     .calls = QN_IO_WRITE | QN_IO_ALLOCATE | QN_IO_MKDIR,
     .errnum = ENOSPC,
     .sticky = true,
     .torn = true},
    {.name = "disk gone",
     .calls = QN_IO_ALL & ~(unsigned)QN_IO_MAP,
     .errnum = EIO,
     .sticky = true},
    {.name = "short read", .calls = QN_IO_READ, .shorten = true, .harmless = true},
    {.name = "short write", .calls = QN_IO_WRITE, .shorten = true, .harmless = true},
    {.name = "interrupt",
     .calls = QN_IO_OPEN | QN_IO_READ | QN_IO_WRITE | QN_IO_SYNC | QN_IO_TRUNCATE |
              QN_IO_ALLOCATE,
     .errnum = EINTR,
     .harmless = true},
    {.name = "memory"},
};

/* ---- the session ------------------------------------------------------------------------
 */

typedef enum step_kind {
    STEP_CREATE, /* the table */
    STEP_WRITE,  /* `count` operations from id `first` on, one call */
    STEP_REFRESH,
    STEP_FLUSH,
    STEP_OPTIMIZE,
    STEP_READ,
    STEP_REOPEN,
    STEP_OTHER,  /* another table is made, written and dropped */
    STEP_BACKUP, /* a copy of the table, and a table of that */
} step_kind;

static const struct step {
    step_kind kind;
    quern_op_kind op;
    int first, count, n;
} steps[] = {
    {.kind = STEP_CREATE},
    {STEP_WRITE, QUERN_OP_INDEX, 0, 6, 10},
    {STEP_WRITE, QUERN_OP_CREATE, 6, 2, 20},
    {.kind = STEP_READ},
    {.kind = STEP_FLUSH},
    {STEP_WRITE, QUERN_OP_UPDATE, 1, 3, 30},
    {STEP_WRITE, QUERN_OP_DELETE, 4, 2, 0},
    {STEP_WRITE, QUERN_OP_UPSERT, 5, 2, 40},
    {.kind = STEP_REFRESH},
    {STEP_WRITE, QUERN_OP_UPDATE, 0, 3, 45}, /* in place, from here on */
    {.kind = STEP_READ},
    {STEP_WRITE, QUERN_OP_INDEX, 8, 7, 50},
    {.kind = STEP_REOPEN},
    {.kind = STEP_READ},
    {STEP_WRITE, QUERN_OP_DELETE, 8, 3, 0},
    {STEP_WRITE, QUERN_OP_INDEX, 0, 3, 60},
    {.kind = STEP_FLUSH},
    {STEP_WRITE, QUERN_OP_UPDATE, 11, 4, 70},
    {.kind = STEP_FLUSH},
    {STEP_WRITE, QUERN_OP_UPDATE, 13, 2, 75},
    {.kind = STEP_OTHER},
    {.kind = STEP_BACKUP},
    {.kind = STEP_OPTIMIZE},
    {.kind = STEP_READ},
    {STEP_WRITE, QUERN_OP_DELETE, 0, 2, 0},
    {STEP_WRITE, QUERN_OP_UPSERT, 14, 3, 80},
    {.kind = STEP_FLUSH},
    {STEP_WRITE, QUERN_OP_INDEX, 2, 2, 90},
};
enum { STEP_COUNT = sizeof steps / sizeof *steps, OPS_MAX = 8, PROBE = LEDGER_IDS - 1 };

typedef struct session {
    const struct kind *kind;
    char base[FOLDER_PATH];
    char dir[FOLDER_PATH + 8], copy[FOLDER_PATH + 8];
    quern *q;
    ledger l;
    bool failed; /* a call did */
    bool other_written;
    char backup[FOLDER_PATH + 8];
    bool backed_up, restored;
    ledger then; /* when the backup was made */
} session;

/* A failure must be what was injected, or the consequence: no writes any more. */
static void expect(session *s, qn_status st, const qn_error *err)
{
    if (st == QN_OK) return;
    if (s->kind->harmless) T_FAIL("a call failed: %s", err->text);
    s->failed = true;
    bool fits =
        st == QN_EREADONLY || st == QN_EIO || st == QN_ENOSPC || st == QN_ENOMEM;
    if (st == QN_ENOTABLE && !s->l.table_made) fits = true;
    if (!fits || err->text[0] == '\0') T_FAIL("status %d: %s", st, err->text);
}

static qn_status open_session(session *s, const char *dir)
{
    quern_options o = QUERN_OPTIONS_INIT;
    qn_error err;
    o.data_dir = dir;
    o.neural_threads = 1;
    o.search_threads = 1;
    o.manual_merges = true; /* the folder is copied as if the process were killed */
    qn_status st = quern_open(&o, &s->q, &err);
    expect(s, st, &err);
    return st;
}

/* `count` operations in one call, each with an answer of its own. */
static qn_status write_ops(session *s, quern_op_kind kind, int first, int count, int n)
{
    quern_op ops[OPS_MAX];
    ledger_op noted[OPS_MAX];
    char ids[OPS_MAX][16], sources[OPS_MAX][LEDGER_SOURCE_MAX];
    quern_op_result results[OPS_MAX];
    qn_error err = {.text = ""};
    memset(ops, 0, sizeof ops);
    for (int i = 0; i < count; i++) {
        noted[i] = (ledger_op){kind, first + i, n + i, (first + n + i) % LEDGER_WORDS};
        ledger_op_source(&noted[i], sources[i]);
        (void)snprintf(ids[i], sizeof ids[i], "d%d", first + i);
        ops[i] = (quern_op){.kind = kind,
                            .id = ids[i],
                            .id_size = strlen(ids[i]),
                            .source = sources[i],
                            .source_size = strlen(sources[i]),
                            .if_seq_no = QUERN_SEQ_NONE};
        results[i].status = QN_EIO; /* a call that fails early fills nothing in */
        results[i].error = err;
    }
    qn_status st = quern_write(s->q, TABLE, ops, (size_t)count, NULL, results, &err);
    expect(s, st, &err);
    for (int i = 0; i < count; i++) {
        qn_status one = results[i].status;
        ledger_note(&s->l, &noted[i], one);
        if (one != QN_OK && one != QN_ENODOC && one != QN_ECONFLICT && st == QN_OK) {
            expect(s, one, &results[i].error);
            st = one;
        }
    }
    return st;
}

static void create_table(session *s)
{
    qn_error err;
    for (int tries = 0; tries < 2 && !s->l.table_made; tries++) {
        s->l.table_maybe = true;
        qn_status st =
            quern_table_create(s->q, TABLE, ledger_schema, strlen(ledger_schema), &err);
        s->l.table_made = st == QN_OK || st == QN_ETABLEEXISTS;
        if (!s->l.table_made) expect(s, st, &err);
    }
}

static void other_table(session *s)
{
    static const char source[] = "{\"x\":1}";
    qn_error err;
    quern_op op = {.kind = QUERN_OP_INDEX,
                   .id = "1",
                   .id_size = 1,
                   .source = source,
                   .source_size = sizeof source - 1,
                   .if_seq_no = QUERN_SEQ_NONE};
    quern_op_result r;
    qn_status st = quern_table_create(s->q, OTHER, "{}", 2, &err);
    if (st != QN_OK) {
        expect(s, st, &err);
        return;
    }
    (void)quern_write(s->q, OTHER, &op, 1, NULL, &r, &err);
    st = quern_table_drop(s->q, OTHER, &err);
    expect(s, st, &err);
    if (st == QN_OK) return;
    /* Still there, or gone: but it does not take a document and go. */
    if (!quern_table_exists(s->q, OTHER)) return;
    op.id = "2";
    s->other_written =
        quern_write(s->q, OTHER, &op, 1, NULL, &r, &err) == QN_OK && r.status == QN_OK;
}

/* A table whose drop failed, and which took a document afterwards, has it. */
static void check_other(session *s, const char *how)
{
    qn_error err;
    quern_document doc;
    if (!s->other_written) return;
    if (quern_get(s->q, OTHER, "2", 1, &doc, &err) != QN_OK)
        T_FAIL("%s: the document of the other table: %s", how, err.text);
    quern_document_free(&doc);
}

static void backup(session *s)
{
    qn_error err;
    if (!s->l.table_made) return;
    s->then = s->l;
    qn_status st = quern_table_backup(s->q, TABLE, s->backup, NULL, NULL, &err);
    expect(s, st, &err);
    s->backed_up = st == QN_OK;
    if (!s->backed_up) return;
    st = quern_table_restore(s->q, s->backup, BACK, NULL, NULL, &err);
    expect(s, st, &err);
    s->restored = st == QN_OK;
}

/* What was restored is there; what may have been is not there by half. */
static void check_restored(session *s, const char *table, bool wanted, const char *how)
{
    qn_error err;
    bool there = quern_table_exists(s->q, table);
    if (wanted && !there) T_FAIL("%s: the table %s is gone", how, table);
    if (!there) return;
    if (quern_refresh(s->q, table, &err) != QN_OK) T_FAIL("%s: %s", how, err.text);
    ledger then = s->then;
    const char *wrong = ledger_check(&then, s->q, table, false);
    if (wrong != NULL) T_FAIL("%s, table %s: %s", how, table, wrong);
}

static void read_table(session *s)
{
    static const char *const texts[] = {
        "{\"query\":{\"bool\":{\"must\":[{\"match\":{\"w\":\"grind "
        "w3\"}}],\"filter\":[{"
        "\"term\":{\"k\":\"all\"}},{\"range\":{\"n\":{\"gte\":0}}}]}},\"sort\":[{\"f\":"
        "\"desc\"}]}",
        "{\"query\":{\"match_phrase\":{\"w\":\"grind w2\"}}}",
    };
    qn_error err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *reply = NULL;
        o.kind = QUERN_QUERY_DSL;
        o.query = texts[i];
        o.query_size = strlen(texts[i]);
        o.explain = i == 0;
        expect(s, quern_search(s->q, TABLE, &o, &reply, &err), &err);
        quern_reply_free(reply);
    }
    char *json = NULL;
    size_t size = 0;
    expect(s, quern_table_stats(s->q, TABLE, &json, &size, &err), &err);
    quern_free(json);
    json = NULL;
    expect(s, quern_table_check(s->q, TABLE, &json, &size, &err), &err);
    quern_free(json);
}

/* false: the engine cannot be opened. */
static bool run_step(session *s, const struct step *step)
{
    qn_error err;
    switch (step->kind) {
    case STEP_CREATE:
        create_table(s);
        break;
    case STEP_WRITE:
        (void)write_ops(s, step->op, step->first, step->count, step->n);
        break;
    case STEP_REFRESH:
        expect(s, quern_refresh(s->q, TABLE, &err), &err);
        break;
    case STEP_FLUSH:
        expect(s, quern_flush(s->q, TABLE, &err), &err);
        break;
    case STEP_OPTIMIZE:
        expect(s, quern_table_optimize(s->q, TABLE, &err), &err);
        break;
    case STEP_READ:
        read_table(s);
        break;
    case STEP_REOPEN:
        quern_close(s->q);
        if (open_session(s, s->dir) != QN_OK && open_session(s, s->dir) != QN_OK)
            return false;
        break;
    case STEP_OTHER:
        other_table(s);
        break;
    case STEP_BACKUP:
        backup(s);
        break;
    }
    return true;
}

/* ---- around it ----------------------------------------------------------------------------
 */

static void arm(const struct kind *k, long n)
{
    qn_io__fault = (qn_io_fault){.skip_sync = true};
    if (k->calls == 0) {
        atomic_store(&qn_alloc_heap()->fail_countdown, n);
        return;
    }
    qn_io__fault.countdown = n;
    qn_io__fault.errnum = k->errnum;
    qn_io__fault.sticky = k->sticky;
    qn_io__fault.torn = k->torn;
    qn_io__fault.shorten = k->shorten;
    atomic_store(&qn_io__fault.calls, k->calls);
}

/* true: something had failed. */
static bool disarm(const struct kind *k)
{
    atomic_store(&qn_io__fault.calls, 0);
    if (k->calls != 0) return atomic_load(&qn_io__fault.delivered) > 0;
    return atomic_exchange(&qn_alloc_heap()->fail_countdown, 0) <= 0;
}

/* Still open, with all calls working again: what is answered is right, and a write
 * succeeds or says that it takes a reopening. */
static void check_open(session *s)
{
    qn_error err;
    if (!s->l.table_made) create_table(s);
    if (!s->l.table_made) return;
    qn_status st = quern_refresh(s->q, TABLE, &err);
    if (st == QN_OK) {
        const char *wrong = ledger_check(&s->l, s->q, TABLE, false);
        if (wrong != NULL) T_FAIL("in the same session: %s", wrong);
    } else {
        expect(s, st, &err);
    }
    st = write_ops(s, QUERN_OP_INDEX, PROBE, 1, 7);
    if (st != QN_OK && st != QN_EREADONLY && st != QN_EIO)
        T_FAIL("the table takes no writes, and does not say so: %d", st);
}

/* The folder, opened by a process without faults. */
static void check_folder(session *s, const char *dir, const char *how, bool settle)
{
    qn_error err = {.text = ""};
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = dir;
    o.neural_threads = 1;
    if (quern_open(&o, &s->q, &err) != QN_OK) T_FAIL("%s: %s", how, err.text);
    bool there = quern_table_exists(s->q, TABLE);
    if (s->l.table_made && !there) T_FAIL("%s: the table is gone", how);
    check_other(s, how);
    check_restored(s, BACK, s->restored, how);
    if (there) {
        if (quern_refresh(s->q, TABLE, &err) != QN_OK) T_FAIL("%s: %s", how, err.text);
        ledger copy = s->l;
        const char *wrong = ledger_check(settle ? &s->l : &copy, s->q, TABLE, settle);
        if (wrong != NULL) T_FAIL("%s: %s", how, wrong);
        char *json = NULL;
        size_t n = 0;
        if (quern_table_check(s->q, TABLE, &json, &n, &err) != QN_OK)
            T_FAIL("%s: damaged: %s", how, json == NULL ? err.text : json);
        quern_free(json);
    }
    if (settle && s->backed_up) {
        if (quern_table_restore(s->q, s->backup, "again", NULL, NULL, &err) != QN_OK)
            T_FAIL("the backup: %s", err.text);
        check_restored(s, "again", true, "from the backup");
    }
    if (there && settle) {
        s->kind = &(const struct kind){.name = "none", .harmless = true};
        T_EQ_I(write_ops(s, QUERN_OP_INDEX, PROBE, 1, 9), QN_OK);
        if (quern_table_optimize(s->q, TABLE, &err) != QN_OK ||
            quern_refresh(s->q, TABLE, &err) != QN_OK)
            T_FAIL("%s: %s", how, err.text);
        const char *wrong = ledger_check(&s->l, s->q, TABLE, true);
        if (wrong != NULL) T_FAIL("%s, optimized: %s", how, wrong);
    }
    quern_close(s->q);
    s->q = NULL;
}

/* As kill -9 would leave the folder. */
static void check_killed(const session *s)
{
    session killed = *s;
    check_folder(&killed, s->copy, "killed", false);
}

/* true: a failure was handed out. */
static bool run_session(const struct kind *k, long n)
{
    session s = {.kind = k};
    ledger_init(&s.l);
    folder_make(s.base);
    (void)snprintf(s.dir, sizeof s.dir, "%s/data", s.base);
    (void)snprintf(s.copy, sizeof s.copy, "%s/killed", s.base);
    (void)snprintf(s.backup, sizeof s.backup, "%s/backup", s.base);
    size_t before = atomic_load(&qn_alloc_heap()->live_bytes);
    int files = folder_open_files();
    arm(k, n);
    bool opened = open_session(&s, s.dir) == QN_OK || open_session(&s, s.dir) == QN_OK;
    for (size_t i = 0; i < STEP_COUNT && opened; i++) opened = run_step(&s, &steps[i]);
    if (opened) folder_copy(s.dir, s.copy);
    bool hit = disarm(k);
    if (opened) check_killed(&s);
    if (opened) check_open(&s);
    if (opened) quern_close(s.q);
    s.q = NULL;
    T_EQ_I(atomic_load(&qn_alloc_heap()->live_bytes), before);
    T_EQ_I(folder_open_files(), files);
    if (!hit) T_OK(!s.failed);
    check_folder(&s, s.dir, "reopened", true);
    folder_remove(s.base);
    return hit;
}

static long stride;
static const char *only;

static void test_faults(void **state)
{
    (void)state;
    char row[64];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *k = &kinds[i];
        if (only != NULL && strcmp(only, k->name) != 0) continue;
        long n = 1, count = 0;
        for (;; n += 1 + (stride == 0 ? 0 : n / stride), count++) {
            (void)snprintf(row, sizeof row, "%s, call %ld", k->name, n);
            T_ROW(row);
            if (!run_session(k, n)) break;
        }
        print_message("%s: %ld failures in turn, about %ld calls\n", k->name, count, n);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};
    if (argc > 1) stride = strtol(argv[1], NULL, 10);
    if (argc > 2) only = argv[2];
    qn_log_set_level(QN_LOG_ERROR);
    return stride < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
