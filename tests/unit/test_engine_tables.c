/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: writing, reading, refresh, flush, recovery, damage. */
#include "engine_fixture.h"
#include "test_engine.h"

#include "base/slice.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAPPING                                                                        \
    "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"},\"n\":{\"type\":"        \
    "\"long\"},"                                                                       \
    "\"v\":{\"type\":\"dense_vector\",\"dims\":2,\"similarity\":\"l2_norm\"}}}}"

void test_write_and_read(void **state)
{
    (void)state;
    fixture f;
    T_ROW("write and read");
    fixture_begin(&f);
    fixture_table(&f, "films", MAPPING);
    T_EQ_I(quern_table_create(f.q, "films", "{}", 2, &f.err), QN_ETABLEEXISTS);
    put(&f, "films", "1", "{\"t\":\"Up\",\"n\":7,\"v\":[1,2]}");
    T_EQ_S(source_of(&f, "films", "1"), "{\"t\":\"Up\",\"n\":7,\"v\":[1,2]}");
    T_EQ_S(source_of(&f, "films", "2"), "");
    uint64_t n = 9;
    T_CALL(quern_count_all(f.q, "films", &n, &f.err), &f.err);
    T_EQ_I(count_of(&f, "films"), 1);
    put(&f, "films", "1", "{\"t\":\"Up again\"}");
    put(&f, "films", "2", "{\"t\":\"Brave\"}");
    T_EQ_S(source_of(&f, "films", "1"), "{\"t\":\"Up again\"}");
    T_EQ_I(count_of(&f, "films"), 2);
    T_EQ_I(quern_count_all(f.q, "book", &n, &f.err), QN_ENOTABLE);
    fixture_end(&f);
}

/* The status of an operation, then the table's documents 1 and 2. */
static const struct {
    const char *name;
    quern_op_kind kind;
    const char *id, *source;
    int64_t if_seq_no;
    qn_status st;
    bool created;
    int64_t seq_no, version;
    const char *one;
} steps[] = {
    {"create", QUERN_OP_CREATE, "1", "{\"n\":1}", -1, QN_OK, true, 0, 1, "{\"n\":1}"},
    {"create again", QUERN_OP_CREATE, "1", "{\"n\":2}", -1, QN_ECONFLICT, false, 0, 0,
     "{\"n\":1}"},
    {"index over it", QUERN_OP_INDEX, "1", "{\"n\":3}", -1, QN_OK, false, 1, 2,
     "{\"n\":3}"},
    {"wrong seq_no", QUERN_OP_INDEX, "1", "{\"n\":4}", 0, QN_ECONFLICT, false, 0, 0,
     "{\"n\":3}"},
    {"right seq_no", QUERN_OP_INDEX, "1", "{\"n\":4}", 1, QN_OK, false, 2, 3,
     "{\"n\":4}"},
    {"partial update", QUERN_OP_UPDATE, "1", "{\"t\":\"x\"}", -1, QN_OK, false, 3, 4,
     "{\"n\":4,\"t\":\"x\"}"},
    {"update of none", QUERN_OP_UPDATE, "2", "{\"t\":\"x\"}", -1, QN_ENODOC, false, 0,
     0, "{\"n\":4,\"t\":\"x\"}"},
    {"upsert", QUERN_OP_UPSERT, "2", "{\"t\":\"y\"}", -1, QN_OK, true, 4, 1,
     "{\"n\":4,\"t\":\"x\"}"},
    {"bad type", QUERN_OP_INDEX, "1", "{\"n\":\"x\"}", -1, QN_EDOCUMENT, false, 0, 0,
     "{\"n\":4,\"t\":\"x\"}"},
    {"bad update", QUERN_OP_UPDATE, "1", "{\"n\":\"x\"}", -1, QN_EDOCUMENT, false, 0, 0,
     "{\"n\":4,\"t\":\"x\"}"},
    {"broken JSON", QUERN_OP_INDEX, "1", "{\"n\":", -1, QN_EJSON, false, 0, 0,
     "{\"n\":4,\"t\":\"x\"}"},
    {"no object", QUERN_OP_INDEX, "1", "[]", -1, QN_EDOCUMENT, false, 0, 0,
     "{\"n\":4,\"t\":\"x\"}"},
    {"wrong dims", QUERN_OP_INDEX, "1", "{\"v\":[1]}", -1, QN_EDIMS, false, 0, 0,
     "{\"n\":4,\"t\":\"x\"}"},
    {"delete", QUERN_OP_DELETE, "1", NULL, -1, QN_OK, false, 5, 5, ""},
    {"delete again", QUERN_OP_DELETE, "1", NULL, -1, QN_ENODOC, false, 0, 0, ""},
    {"seq_no of none", QUERN_OP_INDEX, "1", "{}", 5, QN_ECONFLICT, false, 0, 0, ""},
    {"version goes on", QUERN_OP_INDEX, "1", "{\"n\":5}", -1, QN_OK, true, 7, 7,
     "{\"n\":5}"},
};

void test_operations(void **state)
{
    (void)state;
    /* The same steps with the documents in memory, and with each in a segment. */
    for (int flushed = 0; flushed < 2; flushed++) {
        fixture f;
        fixture_begin(&f);
        fixture_table(&f, "t", MAPPING);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            T_ROW(steps[i].name);
            quern_op op = op_of(steps[i].kind, steps[i].id, steps[i].source);
            op.if_seq_no = steps[i].if_seq_no;
            quern_op_result r;
            T_EQ_I(write_one(&f, "t", op, &r), steps[i].st);
            if (steps[i].st == QN_OK) {
                T_EQ_I(r.created, steps[i].created);
                T_EQ_I(r.seq_no, steps[i].seq_no);
                T_EQ_I(r.version, steps[i].version);
                T_EQ_S(r.id, steps[i].id);
            }
            T_EQ_S(source_of(&f, "t", "1"), steps[i].one);
            if (flushed) T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
        }
        fixture_end(&f);
    }
}

void test_ids(void **state)
{
    (void)state;
    fixture f;
    T_ROW("ids");
    fixture_begin(&f);
    fixture_table(&f, "t", "{}");
    quern_op_result r;
    T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_INDEX, NULL, "{\"a\":1}"), &r), QN_OK);
    T_EQ_I(strlen(r.id), 20);
    T_EQ_S(source_of(&f, "t", r.id), "{\"a\":1}");
    char id[514];
    memset(id, 'x', sizeof id);
    id[513] = 0;
    T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_INDEX, id, "{}"), &r), QN_EDOCUMENT);
    id[512] = 0;
    T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_INDEX, id, "{}"), &r), QN_OK);
    T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_DELETE, NULL, NULL), &r), QN_EDOCUMENT);
    const char *ha3 =
        "{\"fields\":[{\"field_name\":\"pk\",\"field_type\":\"INT64\"}],\"indexs\":[{"
        "\"index_name\":\"pk\",\"index_type\":\"PRIMARYKEY64\",\"index_fields\":\"pk\"}"
        "]}";
    fixture_table(&f, "Main", ha3);
    T_EQ_I(write_one(&f, "Main", op_of(QUERN_OP_INDEX, NULL, "{\"pk\":42}"), &r),
           QN_OK);
    T_EQ_S(r.id, "42");
    T_EQ_I(write_one(&f, "Main", op_of(QUERN_OP_INDEX, NULL, "{}"), &r), QN_EDOCUMENT);
    T_EQ_I(write_one(&f, "Main", op_of(QUERN_OP_INDEX, "7", "{}"), &r), QN_OK);
    T_EQ_I(write_one(&f, "Main", op_of(QUERN_OP_INDEX, "x", "{}"), &r), QN_EDOCUMENT);
    T_EQ_I(write_one(&f, "Main", op_of(QUERN_OP_INDEX, "7", "{\"pk\":8}"), &r),
           QN_EDOCUMENT);
    T_EQ_I(count_of(&f, "Main"), 2);
    fixture_end(&f);
}

void test_dynamic_fields_last(void **state)
{
    (void)state;
    fixture f;
    T_ROW("dynamic fields");
    fixture_begin(&f);
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    quern_op_result r;
    quern_op op = op_of(QUERN_OP_INDEX, "1", "{\"a\":\"x\",\"o\":{\"b\":1}}");
    T_EQ_I(quern_write(f.q, "auto", &op, 1, &o, &r, &f.err), QN_ENOTABLE);
    o.create_table = true;
    T_CALL(quern_write(f.q, "auto", &op, 1, &o, &r, &f.err), &f.err);
    T_EQ_I(r.status, QN_OK);
    for (int round = 0; round < 3; round++) {
        char *json = NULL;
        size_t n = 0;
        T_CALL(quern_table_show(f.q, "auto", &json, &n, &f.err), &f.err);
        T_OK(strstr(json,
                    "\"mappings\":{\"properties\":{\"a\":{\"type\":\"text\","
                    "\"fields\":{\"keyword\":{\"type\":\"keyword\",\"ignore_above\":"
                    "256}}},\"o\":{\"properties\":{\"b\":{\"type\":\"long\"}}}}}") !=
             NULL);
        quern_free(json);
        T_EQ_I(write_one(&f, "auto",
                         op_of(QUERN_OP_INDEX, "2", "{\"o\":{\"b\":\"z\"}}"), &r),
               QN_EDOCUMENT);
        fixture_reopen(&f); /* from the manifest: closing flushes */
    }
    T_EQ_S(source_of(&f, "auto", "1"), "{\"a\":\"x\",\"o\":{\"b\":1}}");
    fixture_end(&f);
}

/* A child writes and dies without a word; nothing it was told is written may be lost. */
static void write_and_die(fixture *f, int flush_every)
{
    char id[16], source[64];
    fixture_open(f);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(id, sizeof id, "%d", i % 40);
        (void)snprintf(source, sizeof source, "{\"n\":%d,\"v\":[%d,1],\"k%d\":true}", i,
                       i, i % 5);
        put(f, "t", id, source);
        if (flush_every != 0 && i % flush_every == 0)
            T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    }
    if (write_one(f, "t", op_of(QUERN_OP_DELETE, "39", NULL), NULL) != QN_OK) _exit(1);
    _exit(0);
}

void test_recovery(void **state)
{
    (void)state;
    for (int flush_every = 0; flush_every <= 7; flush_every += 7) {
        T_ROW(flush_every == 0 ? "from the log" : "from segments and the log");
        fixture f;
        fixture_begin(&f);
        fixture_table(&f, "t", MAPPING);
        quern_close(f.q);
        f.q = NULL;
        pid_t child = fork();
        if (child == 0) write_and_die(&f, flush_every);
        int status = -1;
        T_OK(waitpid(child, &status, 0) == child);
        T_EQ_I(status, 0);
        fixture_open(&f);
        for (int round = 0; round < 2; round++) {
            T_EQ_I(count_of(&f, "t"), 39);
            T_EQ_S(source_of(&f, "t", "0"), "{\"n\":40,\"v\":[40,1],\"k0\":true}");
            T_EQ_S(source_of(&f, "t", "38"), "{\"n\":38,\"v\":[38,1],\"k3\":true}");
            T_EQ_S(source_of(&f, "t", "39"), "");
            quern_op_result r;
            if (round == 0) {
                T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_INDEX, "0", "{}"), &r), QN_OK);
                T_EQ_I(r.seq_no, 51);
                T_EQ_I(r.version, 3);
                put(&f, "t", "0", "{\"n\":40,\"v\":[40,1],\"k0\":true}");
                fixture_reopen(&f);
            }
        }
        fixture_end(&f);
    }
}

/* ---- files ------------------------------------------------------------------------------
 */

typedef struct finding {
    const char *prefix;
    char name[256];
    int count;
} finding;

static bool find_file(void *ctx, const char *name, bool is_dir)
{
    finding *x = ctx;
    if (is_dir || strncmp(name, x->prefix, strlen(x->prefix)) != 0) return true;
    x->count++;
    (void)snprintf(x->name, sizeof x->name, "%s", name);
    return true;
}

static int files_with(fixture *f, const char *prefix, char *path, size_t size)
{
    finding x = {.prefix = prefix};
    char dir[128];
    (void)snprintf(dir, sizeof dir, "%s/tables/t", f->dir);
    T_CALL(qn_dir_list(dir, find_file, &x, &f->err), &f->err);
    if (path != NULL) (void)snprintf(path, size, "%s/%s", dir, x.name);
    return x.count;
}

void test_flush_and_optimize(void **state)
{
    (void)state;
    fixture f;
    T_ROW("flush and optimize");
    fixture_begin(&f);
    fixture_table(&f, "t", MAPPING);
    char id[16], source[64];
    for (int i = 0; i < 30; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)snprintf(source, sizeof source,
                       "{\"t\":\"word %d\",\"n\":%d,\"v\":[%d,0]}", i, i, i);
        put(&f, "t", id, source);
        if (i % 10 == 9) T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    }
    T_EQ_I(files_with(&f, "seg-", NULL, 0), 3);
    T_EQ_I(files_with(&f, "manifest-", NULL, 0), 1);
    for (int i = 0; i < 30; i += 3) {
        (void)snprintf(id, sizeof id, "%d", i);
        T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_DELETE, id, NULL), NULL), QN_OK);
    }
    T_EQ_I(count_of(&f, "t"), 20);
    fixture_reopen(&f);
    T_EQ_I(count_of(&f, "t"), 20);
    T_CALL(quern_table_optimize(f.q, "t", &f.err), &f.err);
    T_EQ_I(files_with(&f, "seg-", NULL, 0), 1);
    T_EQ_I(count_of(&f, "t"), 20);
    quern_document doc;
    T_CALL(quern_get(f.q, "t", "10", 2, &doc, &f.err), &f.err);
    T_EQ_I(doc.seq_no, 10);
    T_EQ_I(doc.version, 1);
    quern_document_free(&doc);
    char *json = NULL;
    size_t n = 0;
    T_CALL(quern_table_stats(f.q, "t", &json, &n, &f.err), &f.err);
    T_OK(strstr(json, "\"documents\":20,\"deleted\":0") != NULL);
    quern_free(json);
    T_CALL(quern_table_check(f.q, "t", &json, &n, &f.err), &f.err);
    T_OK(strstr(json, "\"damaged\":[]") != NULL);
    quern_free(json);
    fixture_reopen(&f);
    T_EQ_I(count_of(&f, "t"), 20);
    T_EQ_S(source_of(&f, "t", "29"), "{\"t\":\"word 29\",\"n\":29,\"v\":[29,0]}");
    fixture_end(&f);
}

/* Merging goes on in the background: waits until at most so many files are left. */
static void wait_for_files(fixture *f, int most)
{
    for (int i = 0; files_with(f, "seg-", NULL, 0) > most; i++) {
        T_OK(i < 2000);
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        T_CALL(quern_refresh(f->q, "t", &f->err), &f->err); /* lets old files go */
    }
}

/* Many small flushes do not make many segments, and nothing is lost on the way. */
void test_small_segments(void **state)
{
    (void)state;
    fixture f;
    T_ROW("small segments");
    fixture_begin(&f);
    fixture_table(&f, "t", MAPPING);
    char id[16], source[64];
    for (int i = 0; i < 35; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)snprintf(source, sizeof source, "{\"t\":\"word\",\"n\":%d,\"v\":[%d,0]}",
                       i, i);
        put(&f, "t", id, source);
        if (i % 5 == 4)
            T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_DELETE, id, NULL), NULL), QN_OK);
        T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    }
    wait_for_files(&f, 9 + 3);
    T_EQ_I(count_of(&f, "t"), 28);
    fixture_reopen(&f);
    T_EQ_I(count_of(&f, "t"), 28);
    T_EQ_S(source_of(&f, "t", "0"), "{\"t\":\"word\",\"n\":0,\"v\":[0,0]}");
    T_EQ_S(source_of(&f, "t", "33"), "{\"t\":\"word\",\"n\":33,\"v\":[33,0]}");
    T_EQ_S(source_of(&f, "t", "34"), "");
    fixture_end(&f);
}

static void change_byte(const char *path, off_t at)
{
    int fd = open(path, O_RDWR);
    unsigned char c = 0;
    T_OK(fd >= 0 && pread(fd, &c, 1, at) == 1);
    c ^= 0x10;
    T_OK(pwrite(fd, &c, 1, at) == 1);
    (void)close(fd);
}

void test_damage(void **state)
{
    (void)state;
    fixture f;
    char path[512];
    uint64_t n = 0;
    fixture_begin(&f);
    fixture_table(&f, "t", MAPPING);
    fixture_table(&f, "fine", MAPPING);
    put(&f, "t", "1", "{\"t\":\"a\"}");
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    quern_close(f.q);

    T_ROW("a byte of a segment's end");
    T_EQ_I(files_with(&f, "seg-", path, sizeof path), 1);
    uint64_t end = 0;
    T_CALL(qn_file_size(path, &end, &f.err), &f.err);
    change_byte(path, (off_t)end - 8);
    fixture_open(&f);
    T_EQ_I(quern_count_all(f.q, "t", &n, &f.err), QN_ECORRUPT);
    T_OK(strstr(f.err.file, "seg-1.qns") != NULL);
    T_CALL(quern_count_all(f.q, "fine", &n, &f.err), &f.err);
    quern_close(f.q);
    change_byte(path, (off_t)end - 8);

    T_ROW("any byte of a segment");
    char *json = NULL;
    size_t size = 0;
    for (uint64_t at = 0; at < end; at += 61) {
        change_byte(path, (off_t)at);
        fixture_open(&f);
        T_EQ_I(quern_table_check(f.q, "t", &json, &size, &f.err), QN_ECORRUPT);
        T_OK(strstr(json, "seg-1.qns") != NULL);
        quern_free(json);
        quern_close(f.q);
        change_byte(path, (off_t)at);
    }

    T_ROW("a byte of the manifest");
    T_EQ_I(files_with(&f, "manifest-", path, sizeof path), 1);
    change_byte(path, 70);
    fixture_open(&f);
    T_EQ_I(quern_count_all(f.q, "t", &n, &f.err), QN_ECORRUPT);
    T_OK(strstr(f.err.file, "manifest-") != NULL);
    quern_close(f.q);
    change_byte(path, 70);
    fixture_open(&f);
    T_EQ_I(count_of(&f, "t"), 1);
    fixture_end(&f);
}

/* The log cut at every length: what was acknowledged before the cut is there. */
void test_torn_log(void **state)
{
    (void)state;
    fixture f;
    char path[512];
    T_ROW("torn log");
    fixture_begin(&f);
    fixture_table(&f, "t", MAPPING);
    quern_close(f.q);
    f.q = NULL;
    pid_t child = fork();
    if (child == 0) {
        fixture_open(&f);
        put(&f, "t", "1", "{\"n\":1}");
        put(&f, "t", "2", "{\"n\":2}");
        _exit(0);
    }
    int status = -1;
    T_OK(waitpid(child, &status, 0) == child && status == 0);
    T_EQ_I(files_with(&f, "wal-", path, sizeof path), 1);
    uint64_t size = 0;
    T_CALL(qn_file_size(path, &size, &f.err), &f.err);
    qn_buf whole;
    qn_buf_init(&whole, qn_alloc_heap());
    T_CALL(qn_file_read(path, 1 << 20, &whole, &f.err), &f.err);
    /* Behind the records is room that the log had set aside. */
    while (size > 0 && whole.p[size - 1] == 0) size--;
    size += 8;
    uint64_t last = 2;
    for (uint64_t cut = size; cut-- > 0;) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
        T_OK(fd >= 0 && write(fd, whole.p, cut) == (ssize_t)cut);
        (void)close(fd);
        quern_options o = QUERN_OPTIONS_INIT;
        o.data_dir = f.dir;
        o.read_only = true; /* so that closing does not flush */
        T_CALL(quern_open(&o, &f.q, &f.err), &f.err);
        uint64_t n = count_of(&f, "t");
        T_OK(n <= last);
        last = n;
        quern_close(f.q);
        f.q = NULL;
    }
    T_EQ_I(last, 0);
    qn_buf_deinit(&whole);
    fixture_open(&f);
    fixture_end(&f);
}

void test_folder_is_locked(void **state)
{
    (void)state;
    fixture f;
    T_ROW("lock");
    fixture_begin(&f);
    quern *other = NULL;
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = f.dir;
    T_EQ_I(quern_open(&o, &other, &f.err), QN_ELOCKED);
    T_OK(other == NULL);
    fixture_end(&f);
}

void test_drop(void **state)
{
    (void)state;
    fixture f;
    char name[300];
    T_ROW("drop");
    fixture_begin(&f);
    T_EQ_I(quern_default_table(f.q, name, sizeof name, &f.err), QN_ENOTABLE);
    fixture_table(&f, "t", MAPPING);
    put(&f, "t", "1", "{\"t\":\"a\"}");
    T_CALL(quern_default_table(f.q, name, sizeof name, &f.err), &f.err);
    T_EQ_S(name, "t");
    fixture_table(&f, "u", MAPPING);
    T_EQ_I(quern_default_table(f.q, name, sizeof name, &f.err), QN_ENOTABLE);
    T_OK(strstr(f.err.text, "t, u") != NULL);
    T_EQ_I(quern_table_drop(f.q, "x", &f.err), QN_ENOTABLE);
    T_CALL(quern_table_drop(f.q, "t", &f.err), &f.err);
    T_OK(!quern_table_exists(f.q, "t"));
    fixture_table(&f, "t", MAPPING);
    T_EQ_I(count_of(&f, "t"), 0);
    fixture_end(&f);
}
