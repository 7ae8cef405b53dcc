/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the control plane: versions, transactions, damage, and the tables they go with. */
#include "engine_fixture.h"

#include "engine/engine_internal.h"

#include "server/limits.h"

static qn_arena arena;

static qn_slice S(const char *s)
{
    return qn_slice_of(s);
}

static uint32_t put_body(fixture *f, const char *name, const char *body, bool activate)
{
    uint32_t version = 0;
    T_CALL(qn_control_put(f->q->control, "t", QN_CONTROL_FINE, S(name), S(body),
                          activate, &version, &f->err),
           &f->err);
    return version;
}

/* The body; "!" and the error's text when there is none. */
static const char *body_of(fixture *f, const char *table, const char *name,
                           uint32_t version)
{
    qn_control_record r;
    if (qn_control_get(f->q->control, table, QN_CONTROL_FINE, S(name), version, &arena,
                       &r, &f->err) != QN_OK)
        return "!";
    return r.body.p;
}

static size_t records_of(fixture *f, const char *table)
{
    const qn_control_record *all = NULL;
    size_t n = 0;
    T_CALL(qn_control_list(f->q->control, table, NULL, NULL, true, &arena, &all, &n,
                           &f->err),
           &f->err);
    return n;
}

static void begin(fixture *f)
{
    fixture_begin(f);
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    fixture_table(f, "t", "{}");
    fixture_table(f, "u", "{}");
}

static void end(fixture *f)
{
    qn_arena_deinit(&arena);
    fixture_end(f);
}

static void test_versions(void **state)
{
    (void)state;
    fixture f;
    uint32_t version = 0;
    begin(&f);
    qn_control *c = f.q->control;
    T_EQ_S(body_of(&f, "t", "p", 0), "!");
    T_EQ_S(f.err.text, "table t has no fine policy [p]; it has none at all");
    T_EQ_I(put_body(&f, "p", "one", true), 1);
    T_EQ_I(put_body(&f, "p", "two", false), 2);
    uint64_t before = qn_control_generation(c);
    T_EQ_I(put_body(&f, "p", "three", true), 3);
    T_OK(qn_control_generation(c) != before);
    T_EQ_S(body_of(&f, "t", "p", 0), "three");
    T_EQ_S(body_of(&f, "t", "p", 2), "two");
    T_EQ_S(body_of(&f, "t", "p", 4), "!");
    T_EQ_S(f.err.text, "fine policy [p] of table t has no version 4; the newest is 3");
    T_EQ_S(body_of(&f, "u", "p", 0), "!");
    fixture_reopen(&f);
    c = f.q->control;
    T_CALL(qn_control_roll_back(c, "t", QN_CONTROL_FINE, S("p"), &version, &f.err),
           &f.err);
    T_EQ_I(version, 2);
    T_EQ_S(body_of(&f, "t", "p", 0), "two");
    T_CALL(qn_control_roll_back(c, "t", QN_CONTROL_FINE, S("p"), &version, &f.err),
           &f.err);
    T_EQ_I(qn_control_roll_back(c, "t", QN_CONTROL_FINE, S("p"), &version, &f.err),
           QN_ENOTFOUND);
    T_CALL(qn_control_activate(c, "t", QN_CONTROL_FINE, S("p"), 3, &f.err), &f.err);
    T_EQ_S(body_of(&f, "t", "p", 0), "three");
    T_EQ_I(qn_control_activate(c, "t", QN_CONTROL_FINE, S("p"), 9, &f.err),
           QN_ENOTFOUND);
    T_EQ_I(qn_control_activate(c, "t", QN_CONTROL_FINE, S("pp"), 1, &f.err),
           QN_ENOTFOUND);
    T_EQ_S(f.err.text, "table t has no fine policy [pp]; did you mean [p]?");
    T_CALL(qn_control_drop(c, "t", QN_CONTROL_FINE, S("p"), &f.err), &f.err);
    T_EQ_I(qn_control_drop(c, "t", QN_CONTROL_FINE, S("p"), &f.err), QN_ENOTFOUND);
    T_EQ_I(records_of(&f, "t"), 0);
    end(&f);
}

/* Only so many are kept, and always the active one. */
static void test_versions_kept(void **state)
{
    (void)state;
    fixture f;
    const qn_control_record *all = NULL;
    size_t n = 0;
    begin(&f);
    (void)put_body(&f, "p", "first", true);
    for (int i = 0; i < QN_CONTROL_VERSIONS_MAX - 1; i++)
        (void)put_body(&f, "p", "more", false);
    T_EQ_I(records_of(&f, "t"), QN_CONTROL_VERSIONS_MAX);
    (void)put_body(&f, "p", "more", false);
    T_CALL(
        qn_control_list(f.q->control, "t", NULL, "p", false, &arena, &all, &n, &f.err),
        &f.err);
    T_EQ_I(n, QN_CONTROL_VERSIONS_MAX);
    T_EQ_I(all[0].version, 1);
    T_OK(all[0].active);
    T_EQ_I(all[1].version, 3);
    T_EQ_S(all[1].body.p, "");
    T_EQ_S(body_of(&f, "t", "p", 0), "first");
    end(&f);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
        qn_status st;
    } rows[] = {
        {"", "x", QN_EBADNAME},    {"-a", "x", QN_EBADNAME},
        {".a", "x", QN_EBADNAME},  {"a b", "x", QN_EBADNAME},
        {"a/b", "x", QN_EBADNAME}, {"\xC3\xA9", "x", QN_EBADNAME},
        {"a", "\xFF", QN_EUTF8},   {"a-b.c_9", "", QN_OK},
    };
    fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_EQ_I(qn_control_put(f.q->control, "t", QN_CONTROL_CAVA, S(rows[i].name),
                              S(rows[i].body), true, NULL, &f.err),
               rows[i].st);
    }
    T_ROW("limits");
    T_EQ_I(QN_LIMIT_CONTROL_NAME_BYTES, QN_CONTROL_NAME_MAX);
    T_EQ_I(QN_LIMIT_CONTROL_BODY_BYTES, QN_CONTROL_BODY_MAX);
    T_EQ_I(QN_LIMIT_CONTROL_VERSIONS, QN_CONTROL_VERSIONS_MAX);
    T_EQ_I(QN_LIMIT_CONTROL_NAMES, QN_CONTROL_NAMES_MAX);
    char name[QN_CONTROL_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    qn_slice long_name = {name, QN_CONTROL_NAME_MAX};
    static char body[QN_CONTROL_BODY_MAX + 1];
    memset(body, 'b', sizeof body);
    T_CALL(qn_control_put(f.q->control, "t", QN_CONTROL_CAVA, long_name,
                          (qn_slice){body, QN_CONTROL_BODY_MAX}, true, NULL, &f.err),
           &f.err);
    T_EQ_I(qn_control_put(f.q->control, "t", QN_CONTROL_CAVA, long_name,
                          (qn_slice){body, QN_CONTROL_BODY_MAX + 1}, true, NULL,
                          &f.err),
           QN_ELIMIT);
    long_name.n++;
    T_EQ_I(qn_control_put(f.q->control, "t", QN_CONTROL_CAVA, long_name, S("x"), true,
                          NULL, &f.err),
           QN_EBADNAME);
    end(&f);
}

static void test_tables(void **state)
{
    (void)state;
    fixture f;
    char copy[128];
    begin(&f);
    (void)snprintf(copy, sizeof copy, "%s/copy", f.dir);
    (void)put_body(&f, "p", "one \"quoted\"\n\xE4\xB8\xAD", true);
    (void)put_body(&f, "p", "two", false);
    T_CALL(quern_table_backup(f.q, "t", copy, NULL, NULL, &f.err), &f.err);
    T_CALL(quern_table_drop(f.q, "t", &f.err), &f.err);
    T_EQ_I(records_of(&f, "t"), 0);
    fixture_table(&f, "t", "{}");
    T_EQ_S(body_of(&f, "t", "p", 0), "!");
    T_CALL(quern_table_restore(f.q, copy, "v", NULL, NULL, &f.err), &f.err);
    T_EQ_S(body_of(&f, "v", "p", 0), "one \"quoted\"\n\xE4\xB8\xAD");
    T_EQ_S(body_of(&f, "v", "p", 2), "two");
    /* A restore that may not be changes nothing. */
    T_EQ_I(quern_table_restore(f.q, copy, "t", NULL, NULL, &f.err), QN_ETABLEEXISTS);
    T_EQ_I(records_of(&f, "t"), 0);
    /* A changed byte of the copy is seen. */
    char path[160];
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    (void)snprintf(path, sizeof path, "%s/control.json", copy);
    T_CALL(qn_file_read(path, 4096, &text, &f.err), &f.err);
    text.p[text.n / 2] ^= 1;
    T_CALL(qn_file_replace(path, text.p, text.n, &f.err), &f.err);
    qn_buf_deinit(&text);
    T_EQ_I(quern_table_restore(f.q, copy, "w", NULL, NULL, &f.err), QN_ECORRUPT);
    T_OK(strstr(f.err.text, "control.json") != NULL);
    T_OK(!quern_table_exists(f.q, "w"));
    /* What a crash left of a table is gone when the folder is opened. */
    T_CALL(qn_control_put(f.q->control, "gone", QN_CONTROL_FINE, S("p"), S("x"), true,
                          NULL, &f.err),
           &f.err);
    T_CALL(qn_control_put(f.q->control, "", QN_CONTROL_FINE, S("p"), S("mine"), true,
                          NULL, &f.err),
           &f.err);
    fixture_reopen(&f);
    T_EQ_I(records_of(&f, "gone"), 0);
    T_EQ_S(body_of(&f, "", "p", 0), "mine");
    T_EQ_S(body_of(&f, "v", "p", 2), "two");
    end(&f);
}

/* ---- files that are not what they should be -------------------------------------------------- */

static void change_file(fixture *f, void (*change)(char *p, size_t n))
{
    char path[128];
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    (void)snprintf(path, sizeof path, "%s/control.db", f->dir);
    quern_close(f->q);
    T_CALL(qn_file_read(path, 1 << 20, &text, &f->err), &f->err);
    change(text.p, text.n);
    T_CALL(qn_file_replace(path, text.p, text.n, &f->err), &f->err);
    qn_buf_deinit(&text);
    fixture_open(f);
}

static void newer(char *p, size_t n)
{
    (void)n;
    p[63] = 2; /* user_version, big-endian at 60 */
}

static void foreign(char *p, size_t n)
{
    (void)n;
    p[68] ^= 1; /* application_id */
}

static void no_database(char *p, size_t n)
{
    memset(p, 'x', n);
}

static void broken_body(char *p, size_t n)
{
    for (size_t i = 0; i + 8 < n; i++)
        if (memcmp(p + i, "the body", 8) == 0) p[i] = 'T';
}

static void test_damage(void **state)
{
    (void)state;
    static const struct {
        const char *name, *says;
        void (*change)(char *p, size_t n);
        qn_status st;
    } rows[] = {
        {"newer version", "is of version 2; this Quern reads version 1", newer,
         QN_EVERSION},
        {"another program's", "is no control file of Quern", foreign, QN_ECORRUPT},
        {"no database", "file is not a database", no_database, QN_ECORRUPT},
        {"a changed byte", "the record fine [p] version 1 is damaged", broken_body,
         QN_ECORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f;
        qn_control_record r;
        T_ROW(rows[i].name);
        begin(&f);
        (void)put_body(&f, "p", "the body", true);
        put(&f, "t", "1", "{}");
        change_file(&f, rows[i].change);
        T_EQ_I(qn_control_get(f.q->control, "t", QN_CONTROL_FINE, S("p"), 0, &arena, &r,
                              &f.err),
               rows[i].st);
        T_OK(strstr(f.err.text, rows[i].says) != NULL);
        T_OK(strstr(f.err.file, "control.db") != NULL);
        T_EQ_I(count_of(&f, "t"), 1); /* documents are there all the same */
        end(&f);
    }
}

static void test_read_only(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    (void)put_body(&f, "p", "one", true);
    quern_close(f.q);
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = f.dir;
    o.read_only = true;
    T_CALL(quern_open(&o, &f.q, &f.err), &f.err);
    T_EQ_S(body_of(&f, "t", "p", 0), "one");
    T_EQ_I(qn_control_put(f.q->control, "t", QN_CONTROL_FINE, S("p"), S("two"), true,
                          NULL, &f.err),
           QN_EREADONLY);
    T_EQ_I(qn_control_drop(f.q->control, "t", QN_CONTROL_FINE, S("p"), &f.err),
           QN_EREADONLY);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions), cmocka_unit_test(test_versions_kept),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_tables),
        cmocka_unit_test(test_damage),   cmocka_unit_test(test_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
