/* SPDX-License-Identifier: Apache-2.0 */
/* Updates of attributes: which are made in place, what they leave to readers, searches,
 * files, a killed process, merges and backups. */
#include "../fault/folders.h"
#include "engine_fixture.h"
#include "test_engine.h"

#include "io/io_internal.h"

#include <stdlib.h>

static const char schema[] =
    "{\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"},\"f\":{\"type\":"
    "\"float\"},"
    "\"d\":{\"type\":\"date\"},\"b\":{\"type\":\"boolean\"},\"g\":{\"type\":\"geo_"
    "point\"},"
    "\"tag\":{\"type\":\"keyword\",\"index\":false},\"word\":{\"type\":\"keyword\"},"
    "\"dark\":{\"type\":\"long\",\"doc_values\":false},"
    "\"text\":{\"type\":\"text\"},\"many\":{\"type\":\"long\"},"
    "\"deep\":{\"properties\":{\"n\":{\"type\":\"long\"}}}}}}";

static const char first[] =
    "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}";

/* Sum of the numbers behind a key in the statistics. */
static long stat_of(fixture *f, const char *key)
{
    char *json = NULL;
    size_t n = 0;
    long sum = 0;
    T_CALL(quern_refresh(f->q, "t", &f->err), &f->err);
    T_CALL(quern_table_stats(f->q, "t", &json, &n, &f->err), &f->err);
    for (const char *at = json; (at = strstr(at, key)) != NULL;) {
        at += strlen(key);
        sum += strtol(at, NULL, 10);
    }
    quern_free(json);
    return sum;
}

static long updated(fixture *f)
{
    return stat_of(f, "\"updated\":");
}

static void update(fixture *f, const char *id, const char *partial)
{
    quern_op_result r;
    if (write_one(f, "t", op_of(QUERN_OP_UPDATE, id, partial), &r) != QN_OK)
        T_FAIL("update of %s with %s: %s", id, partial, f->err.text);
    T_EQ_I(r.outcome, QUERN_UPDATED);
    T_OK(!r.created);
}

/* A table that takes updates in place, with documents 0 .. n-1 in a file. */
static void begin(fixture *f, int n)
{
    char id[16];
    fixture_begin(f);
    fixture_table(f, "t", schema);
    put(f, "t", "warm", first);
    for (int i = 0; i < n; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        put(f, "t", id, first);
    }
    T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    update(f, "warm", "{\"n\":2}"); /* written anew: asks for it */
    T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    T_EQ_I(updated(f), 0);
}

static long found(fixture *f, const char *query)
{
    char body[512];
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    (void)snprintf(body, sizeof body, "{\"track_total_hits\":true,\"query\":%s}",
                   query);
    o.kind = QUERN_QUERY_DSL;
    o.query = body;
    o.query_size = strlen(body);
    T_CALL(quern_search(f->q, "t", &o, &reply, &f->err), &f->err);
    long total = (long)reply->total;
    quern_reply_free(reply);
    return total;
}

static const struct {
    const char *name, *partial;
    bool in_place;
    const char *source; /* afterwards */
} rows[] = {
    {"a number", "{\"n\":7}", true,
     "{\"n\":7,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}"},
    {"as text", "{\"n\":\"8\"}", true,
     "{\"n\":\"8\",\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}"},
    {"blanks around", " { \"n\" : 9 } ", true,
     "{\"n\":9,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}"},
    {"none any more", "{\"n\":null}", true,
     "{\"n\":null,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}"},
    {"new members", "{\"f\":1.5,\"d\":\"2024-02-29\",\"b\":true,\"g\":\"1,2\"}", true,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1},\"f\":"
     "1.5,"
     "\"d\":\"2024-02-29\",\"b\":true,\"g\":\"1,2\"}"},
    {"a keyword that is not indexed", "{\"tag\":\"zz\"}", true,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"zz\",\"deep\":{\"n\":1}}"},
    {"several, first time", "{\"many\":[3,4]}", false,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1},"
     "\"many\":["
     "3,4]}"},
    {"several", "{\"many\":[5,4,5]}", true,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1},"
     "\"many\":["
     "5,4,5]}"},
    {"a point as an object", "{\"g\":{\"lat\":1,\"lon\":2}}", false,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1},\"g\":{"
     "\"lat\":1,\"lon\":2}}"},
    {"an indexed keyword", "{\"word\":\"v\"}", false,
     "{\"n\":1,\"text\":\"old\",\"word\":\"v\",\"tag\":\"a\",\"deep\":{\"n\":1}}"},
    {"a text with it", "{\"n\":4,\"text\":\"new\"}", false,
     "{\"n\":4,\"text\":\"new\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}"},
    {"a member of a member", "{\"deep\":{\"n\":5}}", false,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":5}}"},
    {"a dotted name", "{\"deep.n\":5}", false,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1},\"deep."
     "n\":"
     "5}"},
    {"without doc_values", "{\"dark\":5}", true,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1},"
     "\"dark\":5}"},
    {"a new field", "{\"fresh\":5}", false,
     "{\"n\":1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1},"
     "\"fresh\":"
     "5}"},
    {"twice", "{\"n\":5,\"n\":6}", false,
     "{\"n\":6,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}"},
};
enum { ROWS = sizeof rows / sizeof *rows };

void test_attributes_in_place(void **state)
{
    (void)state;
    fixture f;
    char id[16];
    begin(&f, ROWS);
    for (int i = 0; i < ROWS; i++) {
        T_ROW(rows[i].name);
        (void)snprintf(id, sizeof id, "%d", i);
        long before = updated(&f);
        update(&f, id, rows[i].partial);
        T_EQ_S(source_of(&f, "t", id), rows[i].source);
        T_EQ_I(updated(&f) - before, rows[i].in_place);
    }
    T_ROW("all of them after a merge");
    T_CALL(quern_table_optimize(f.q, "t", &f.err), &f.err);
    T_EQ_I(updated(&f), 0);
    T_EQ_I(stat_of(&f, "\"deleted\":"), 0);
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        T_EQ_S(source_of(&f, "t", id), rows[i].source);
    }
    fixture_end(&f);
}

/* ---- what others see ------------------------------------------------------------------------ */

static void expect(fixture *f, const char *id, const char *source, int version)
{
    quern_document doc;
    T_CALL(quern_get(f->q, "t", id, strlen(id), &doc, &f->err), &f->err);
    T_EQ_S(doc.source, source);
    T_EQ_I(doc.version, version);
    quern_document_free(&doc);
}

void test_attributes_seen(void **state)
{
    (void)state;
    fixture f;
    quern_op_result r;
    T_ROW("versions");
    begin(&f, 3);
    T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_UPDATE, "0", "{\"n\":5}"), &r), QN_OK);
    T_EQ_I(r.version, 2);
    quern_op op = op_of(QUERN_OP_UPDATE, "0", "{\"n\":6}");
    op.if_seq_no = r.seq_no - 1;
    T_EQ_I(write_one(&f, "t", op, NULL), QN_ECONFLICT);
    op.if_seq_no = r.seq_no;
    T_EQ_I(write_one(&f, "t", op, &r), QN_OK);
    T_EQ_I(r.seq_no, op.if_seq_no + 1);
    T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_UPDATE, "0", "{\"n\":6}"), &r), QN_OK);
    T_EQ_I(r.outcome, QUERN_NOOP);
    T_EQ_I(r.version, 3);
    T_ROW("before and after a refresh");
    T_EQ_I(found(&f, "{\"term\":{\"n\":6}}"), 0);
    T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
    T_EQ_I(found(&f, "{\"term\":{\"n\":6}}"), 1);
    T_EQ_I(found(&f, "{\"range\":{\"n\":{\"lte\":1}}}"), 2);
    T_ROW("a column that no document had");
    update(&f, "1", "{\"f\":2.5}");
    update(&f, "2", "{\"tag\":\"b\"}");
    T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
    T_EQ_I(found(&f, "{\"exists\":{\"field\":\"f\"}}"), 1);
    T_EQ_I(found(&f, "{\"terms\":{\"tag\":[\"b\",\"c\"]}}"), 1);
    T_ROW("patches over patches, then written anew");
    update(&f, "0", "{\"b\":true,\"tag\":\"q\"}");
    update(&f, "0", "{\"n\":-1}");
    expect(&f, "0",
           "{\"n\":-1,\"text\":\"old\",\"word\":\"w\",\"tag\":\"q\",\"deep\":{\"n\":1},"
           "\"b\":true}",
           5);
    update(&f, "0", "{\"text\":\"new\"}");
    expect(&f, "0",
           "{\"n\":-1,\"text\":\"new\",\"word\":\"w\",\"tag\":\"q\",\"deep\":{\"n\":1},"
           "\"b\":true}",
           6);
    T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
    T_EQ_I(found(&f, "{\"term\":{\"n\":-1}}"), 1);
    T_EQ_I(found(&f, "{\"match\":{\"text\":\"new\"}}"), 1);
    fixture_end(&f);
}

/* Filters are kept between searches: those of what was updated are not, the others are
 * right as well. */
void test_attributes_filters(void **state)
{
    (void)state;
    enum { N = 12000, ROUNDS = 6 };
    fixture f;
    char partial[32], id[16];
    T_ROW("filters");
    qn_io__fault.skip_sync = true;
    begin(&f, N);
    for (int round = 0; round < ROUNDS; round++) {
        (void)snprintf(id, sizeof id, "%d", round * 100);
        (void)snprintf(partial, sizeof partial, "{\"n\":%d}", 50 + round);
        update(&f, id, partial);
        T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
        for (int again = 0; again < 4; again++) {
            T_EQ_I(
                found(&f, "{\"bool\":{\"filter\":[{\"range\":{\"n\":{\"lt\":3}}}]}}"),
                N - round);
            T_EQ_I(found(&f,
                         "{\"constant_score\":{\"filter\":{\"bool\":{\"must_not\":[{"
                         "\"range\":{\"n\":{\"lt\":3}}}]}}}}"),
                   round + 1);
            T_EQ_I(
                found(&f,
                      "{\"bool\":{\"filter\":[{\"terms\":{\"word\":[\"w\",\"x\"]}}]}}"),
                N + 1);
        }
    }
    qn_io__fault.skip_sync = false;
    fixture_end(&f);
}

/* ---- files ------------------------------------------------------------------------------------ */

static bool see_overlay(void *ctx, const char *name, bool is_dir)
{
    (void)is_dir;
    *(int *)ctx += strncmp(name, "over-", 5) == 0;
    return true;
}

static int overlay_files(const fixture *f)
{
    char dir[FOLDER_PATH];
    qn_error err;
    int n = 0;
    (void)snprintf(dir, sizeof dir, "%s/tables/t", f->dir);
    T_CALL(qn_dir_list(dir, see_overlay, &n, &err), &err);
    return n;
}

static void expect_sound(fixture *f)
{
    char *json = NULL;
    size_t n = 0;
    T_CALL(quern_table_check(f->q, "t", &json, &n, &f->err), &f->err);
    quern_free(json);
}

/* The process is killed: the next one has a copy of the folder. */
static void crash(fixture *f)
{
    char copy[FOLDER_PATH];
    T_OK(snprintf(copy, sizeof copy, "%s+", f->dir) < (int)sizeof copy);
    folder_copy(f->dir, copy);
    quern_close(f->q);
    folder_remove(f->dir);
    T_OK(rename(copy, f->dir) == 0);
    fixture_open(f);
}

static void expect_values(fixture *f, int docs, int from)
{
    char id[16], want[128];
    for (int i = 0; i < docs; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)snprintf(
            want, sizeof want,
            "{\"n\":%d,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{"
            "\"n\":1}}",
            from + i);
        T_EQ_S(source_of(f, "t", id), want);
    }
    (void)snprintf(want, sizeof want, "{\"range\":{\"n\":{\"gte\":%d,\"lt\":%d}}}",
                   from, from + docs);
    T_CALL(quern_refresh(f->q, "t", &f->err), &f->err);
    T_EQ_I(found(f, want), docs);
    T_EQ_I(count_of(f, "t"), 2 * docs + 1);
    expect_sound(f);
}

static void update_all(fixture *f, int docs, int from)
{
    char id[16], partial[32];
    for (int i = 0; i < docs; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)snprintf(partial, sizeof partial, "{\"n\":%d}", from + i);
        update(f, id, partial);
    }
}

void test_attributes_kept(void **state)
{
    (void)state;
    enum { N = 700 };
    fixture f;
    qn_io__fault.skip_sync = true;
    begin(&f, 2 * N); /* more than half of them updated would be merged at once */
    T_ROW("in the log alone");
    update_all(&f, N, 1000);
    T_EQ_I(overlay_files(&f), 0);
    crash(&f);
    T_EQ_I(updated(&f), N);
    expect_values(&f, N, 1000);
    T_ROW("in a file");
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    T_EQ_I(overlay_files(&f), 1);
    T_OK(stat_of(&f, "\"overlays\":") > 8 * N / 4);
    T_OK(stat_of(&f, "\"overlay_memory_bytes\":") > 3 * 8 * N);
    crash(&f);
    T_EQ_I(updated(&f), N);
    expect_values(&f, N, 1000);
    T_ROW("in both");
    update_all(&f, N, 2000);
    crash(&f);
    expect_values(&f, N, 2000);
    T_ROW("an older file goes");
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    T_EQ_I(overlay_files(&f), 1);
    T_ROW("one that did not change stays");
    put(&f, "t", "x", first);
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    T_EQ_I(overlay_files(&f), 1);
    T_EQ_I(write_one(&f, "t", op_of(QUERN_OP_DELETE, "x", NULL), NULL), QN_OK);
    expect_values(&f, N, 2000);
    T_ROW("merged");
    update_all(&f, N, 3000);
    T_CALL(quern_table_optimize(f.q, "t", &f.err), &f.err);
    T_EQ_I(overlay_files(&f), 0);
    T_EQ_I(updated(&f), 0);
    crash(&f);
    expect_values(&f, N, 3000);
    T_ROW("in an image, killed");
    put(&f, "t", "x", first);
    T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
    update(&f, "x", "{\"n\":5}");
    update(&f, "x", "{\"tag\":\"b\"}");
    crash(&f);
    expect(&f, "x",
           "{\"n\":5,\"text\":\"old\",\"word\":\"w\",\"tag\":\"b\",\"deep\":{\"n\":1}}",
           3);
    qn_io__fault.skip_sync = false;
    fixture_end(&f);
}

void test_attributes_backup(void **state)
{
    (void)state;
    enum { N = 20 };
    fixture f;
    char dir[FOLDER_PATH + 8];
    begin(&f, 2 * N + 2); /* with more of them updated it would be merged at once */
    T_ROW("backup with an overlay and a log");
    update_all(&f, N, 1000);
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    update_all(&f, N / 2, 2000);
    (void)snprintf(dir, sizeof dir, "%s-copy", f.dir);
    T_CALL(quern_table_backup(f.q, "t", dir, NULL, NULL, &f.err), &f.err);
    T_CALL(quern_table_drop(f.q, "t", &f.err), &f.err);
    T_CALL(quern_table_restore(f.q, dir, "t", NULL, NULL, &f.err), &f.err);
    T_EQ_I(overlay_files(&f), 1);
    expect(
        &f, "0",
        "{\"n\":2000,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}",
        3);
    expect(
        &f, "19",
        "{\"n\":1019,\"text\":\"old\",\"word\":\"w\",\"tag\":\"a\",\"deep\":{\"n\":1}}",
        2);
    expect_sound(&f);
    T_CALL(qn_dir_remove(dir, &f.err), &f.err);
    fixture_end(&f);
}
