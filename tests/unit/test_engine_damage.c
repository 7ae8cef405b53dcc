/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged tables: opened read-only, what is sound of them searched, what is not named; and
 * nothing of them changed, so that mending the file mends the table. */
#include "engine_fixture.h"
#include "test_engine.h"

#include "base/slice.h"

#include <sys/wait.h>
#include <unistd.h>

/* Segment 1 has "1" and "2", segment 2 has "3"; "4" is in the log of a killed process. */
static void make_table(fixture *f)
{
    fixture_begin(f);
    fixture_table(f, "t",
                  "{\"mappings\":{\"properties\":{\"w\":{\"type\":\"text\"}}}}");
    put(f, "t", "1", "{\"w\":\"mill stone\"}");
    put(f, "t", "2", "{\"w\":\"mill wheel\"}");
    T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    put(f, "t", "3", "{\"w\":\"mill race\"}");
    quern_close(f->q);
    f->q = NULL;
    pid_t child = fork();
    if (child == 0) {
        fixture_open(f);
        put(f, "t", "4", "{\"w\":\"mill pond\"}");
        put(f, "t", "5", "{\"w\":\"mill dam\"}");
        _exit(0);
    }
    int status = -1;
    T_OK(waitpid(child, &status, 0) == child && status == 0);
}

static const char *path_in(const fixture *f, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/tables/t/%s", f->dir, name);
    return path;
}

/* Hits of a search for all documents; *warned: how many parts were left out. */
static uint64_t search_all(fixture *f, size_t *warned, char *file, size_t file_size)
{
    static const char query[] = "{\"query\":{\"match\":{\"w\":\"mill\"}},\"size\":50}";
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    s.kind = QUERN_QUERY_DSL;
    s.query = query;
    s.query_size = sizeof query - 1;
    T_CALL(quern_search(f->q, "t", &s, &reply, &f->err), &f->err);
    uint64_t hits = reply->hit_count;
    *warned = reply->warning_count;
    file[0] = 0;
    if (*warned != 0) {
        T_EQ_I(reply->warnings[0].code, QN_ECORRUPT);
        (void)snprintf(file, file_size, "%s", reply->warnings[0].file);
    }
    quern_reply_free(reply);
    return hits;
}

static void expect_read_only(fixture *f, const char *file)
{
    quern_op_result r;
    char *json = NULL;
    size_t n = 0;
    quern_op op = op_of(QUERN_OP_INDEX, "9", "{}");
    (void)quern_write(f->q, "t", &op, 1, NULL, &r, &f->err);
    T_EQ_I(r.status, QN_EREADONLY);
    T_OK(strstr(r.error.text, "is damaged") != NULL);
    T_EQ_I(quern_table_backup(f->q, "t", path_in(f, "../../copy"), NULL, NULL, &f->err),
           QN_ECORRUPT);
    (void)quern_flush(f->q, "t", &f->err);
    (void)quern_table_optimize(f->q, "t", &f->err);
    static const char set[] = "{\"index.translog.durability\":\"async\"}";
    T_EQ_I(quern_table_set(f->q, "t", set, sizeof set - 1, &f->err), QN_EREADONLY);
    T_CALL(quern_refresh(f->q, "t", &f->err), &f->err);
    T_CALL(quern_table_stats(f->q, "t", &json, &n, &f->err), &f->err);
    T_OK(strstr(json, "\"damage\":[{") != NULL && strstr(json, file) != NULL);
    quern_free(json);
    T_EQ_I(quern_table_check(f->q, "t", &json, &n, &f->err), QN_ECORRUPT);
    quern_free(json);
}

static qn_status get(fixture *f, const char *id)
{
    quern_document doc;
    qn_status st = quern_get(f->q, "t", id, 1, &doc, &f->err);
    quern_document_free(&doc);
    return st;
}

typedef struct damage_row {
    const char *name, *file;
    int from_end; /* the byte to change; -1: the file is taken away */
    uint64_t hits;
    qn_status one, three, four, nine; /* reading these documents */
} damage_row;

static const damage_row damage_rows[] = {
    {"end of a segment", "seg-1.qns", 8, 3, QN_ECORRUPT, QN_OK, QN_OK, QN_ECORRUPT},
    {"segment gone", "seg-1.qns", -1, 3, QN_ECORRUPT, QN_OK, QN_OK, QN_ECORRUPT},
    {"the other segment", "seg-2.qns", 8, 4, QN_OK, QN_ECORRUPT, QN_OK, QN_ECORRUPT},
};

void test_damaged_segments(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damage_rows / sizeof *damage_rows; i++) {
        const damage_row *row = &damage_rows[i];
        fixture f;
        char file[256];
        size_t warned = 0;
        uint64_t n = 0;
        qn_buf sound;
        make_table(&f);
        T_ROW(row->name);
        qn_buf_init(&sound, qn_alloc_heap());
        T_CALL(qn_file_read(path_in(&f, row->file), 1 << 20, &sound, &f.err), &f.err);
        if (row->from_end < 0) {
            T_CALL(qn_file_remove(path_in(&f, row->file), &f.err), &f.err);
        } else {
            char *byte = sound.p + sound.n - row->from_end;
            *byte ^= 1;
            T_CALL(qn_file_replace(path_in(&f, row->file), sound.p, sound.n, &f.err),
                   &f.err);
            *byte ^= 1;
        }
        fixture_open(&f);
        T_EQ_I(search_all(&f, &warned, file, sizeof file), row->hits);
        T_EQ_I(warned, 1);
        T_OK(strstr(file, row->file) != NULL);
        T_EQ_I(quern_count_all(f.q, "t", &n, &f.err), QN_ECORRUPT);
        T_EQ_I(n, row->hits);
        T_EQ_I(get(&f, "1"), row->one);
        T_EQ_I(get(&f, "3"), row->three);
        T_EQ_I(get(&f, "4"), row->four);
        T_EQ_I(get(&f, "9"), row->nine);
        expect_read_only(&f, row->file);
        quern_close(f.q);
        /* Mended: all is there, what was in the log too. */
        T_CALL(qn_file_replace(path_in(&f, row->file), sound.p, sound.n, &f.err),
               &f.err);
        fixture_open(&f);
        T_EQ_I(search_all(&f, &warned, file, sizeof file), 5);
        T_EQ_I(warned, 0);
        put(&f, "t", "9", "{}");
        qn_buf_deinit(&sound);
        fixture_end(&f);
    }
}

/* Any byte of a segment: a search has everything, or says what it left out. */
void test_damage_found_by_search(void **state)
{
    (void)state;
    fixture f;
    qn_buf sound;
    char file[256], row[32];
    size_t warned = 0;
    int found_late = 0;
    make_table(&f);
    qn_buf_init(&sound, qn_alloc_heap());
    T_CALL(qn_file_read(path_in(&f, "seg-1.qns"), 1 << 20, &sound, &f.err), &f.err);
    for (size_t at = 0; at < sound.n; at += 97) {
        (void)snprintf(row, sizeof row, "byte %zu", at);
        T_ROW(row);
        sound.p[at] ^= 4;
        T_CALL(qn_file_replace(path_in(&f, "seg-1.qns"), sound.p, sound.n, &f.err),
               &f.err);
        sound.p[at] ^= 4;
        fixture_open(&f);
        uint64_t n = 0;
        bool early = quern_count_all(f.q, "t", &n, &f.err) == QN_ECORRUPT;
        uint64_t hits = search_all(&f, &warned, file, sizeof file);
        T_EQ_I(hits, warned == 0 ? 5 : 3);
        T_OK(warned == 0 || strstr(file, "seg-1.qns") != NULL);
        if (warned != 0 && !early) {
            found_late++;
            expect_read_only(&f, "seg-1.qns");
            T_EQ_I(get(&f, "3"), QN_OK);
        }
        quern_close(f.q);
        f.q = NULL;
        T_CALL(qn_dir_remove(f.dir, &f.err), &f.err);
        make_table(&f);
    }
    T_OK(found_late > 0);
    qn_buf_deinit(&sound);
    fixture_open(&f);
    fixture_end(&f);
}

/* A record of the log damaged, a sound one that knew it durable behind it. */
void test_damaged_log(void **state)
{
    (void)state;
    fixture f;
    qn_buf sound;
    char file[256];
    size_t warned = 0;
    T_ROW("log");
    make_table(&f);
    qn_buf_init(&sound, qn_alloc_heap());
    const char *log = "wal-00000000000000000004";
    T_CALL(qn_file_read(path_in(&f, log), 1 << 20, &sound, &f.err), &f.err);
    sound.p[64 + 40] ^= 1;
    T_CALL(qn_file_replace(path_in(&f, log), sound.p, sound.n, &f.err), &f.err);
    fixture_open(&f);
    T_EQ_I(search_all(&f, &warned, file, sizeof file), 3);
    T_EQ_I(warned, 1);
    T_OK(strstr(file, log) != NULL);
    /* A later record may have changed it. */
    T_EQ_I(get(&f, "1"), QN_ECORRUPT);
    expect_read_only(&f, log);
    quern_close(f.q);
    sound.p[64 + 40] ^= 1;
    T_CALL(qn_file_replace(path_in(&f, log), sound.p, sound.n, &f.err), &f.err);
    fixture_open(&f);
    T_EQ_I(search_all(&f, &warned, file, sizeof file), 5);
    T_EQ_I(warned, 0);
    qn_buf_deinit(&sound);
    fixture_end(&f);
}
