/* SPDX-License-Identifier: Apache-2.0 */
/* Merging: what is joined when; deletes that come meanwhile; failures; files that stay
 * as long as somebody looks at them; stopping. */
#include "engine_fixture.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/table/merge_policy.h"
#include "io/io_internal.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define MERGE_MAPPING                                                                  \
    "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"},\"n\":{\"type\":"        \
    "\"long\"},\"k\":{\"type\":\"keyword\"},\"v\":{\"type\":\"dense_vector\","         \
    "\"dims\":2,\"similarity\":\"l2_norm\"}}}}"

/* ---- the policy --------------------------------------------------------------------- */

static const qn_merge_policy policy = {
    .fan_in = 4,
    .segments_max = 12,
    .floor_bytes = 100,
    .bytes_max = 100000,
    .docs_max = 1000000,
    .deleted_percent = 20,
    .updated_percent = 50,
};

enum { SHAPES_MAX = 16 };
static const struct {
    const char *name;
    size_t n, first, count;
    uint32_t deleted; /* percent, of the last */
    uint64_t bytes[SHAPES_MAX];
} choices[] = {
    {"none", 0, 0, 0, 0, {0}},
    {"one", 1, 0, 0, 0, {500}},
    {"three of a tier", 3, 0, 0, 0, {90, 90, 90}},
    {"four of a tier", 4, 0, 4, 0, {90, 90, 90, 90}},
    {"five: the oldest four", 5, 0, 4, 0, {90, 90, 90, 90, 90}},
    {"a large one in front stays", 5, 1, 4, 0, {5000, 90, 90, 90, 90}},
    {"three small behind three large", 6, 0, 0, 0, {5000, 5000, 5000, 90, 90, 90}},
    {"a small one among large ones", 4, 0, 4, 0, {5000, 5000, 90, 5000}},
    {"too large together", 4, 0, 0, 0, {40000, 40000, 40000, 40000}},
    {"20 percent deleted", 1, 0, 0, 20, {500}},
    {"21 percent deleted", 1, 0, 1, 21, {500}},
    {"a huge one, 21 percent deleted", 2, 1, 1, 21, {500, 900000}},
    {"all deleted", 2, 1, 1, 100, {500, 500}},
    {"too many: the cheapest neighbours",
     13,
     11,
     2,
     0,
     {90000, 90000, 90000, 90000, 90000, 90000, 90000, 90000, 90000, 90000, 90000, 300,
      400}},
};

static void test_merge_policy(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof choices / sizeof *choices; r++) {
        T_ROW(choices[r].name);
        qn_merge_shape s[SHAPES_MAX];
        size_t n = choices[r].n;
        for (size_t i = 0; i < n; i++)
            s[i] = (qn_merge_shape){.bytes = choices[r].bytes[i], .docs = 100};
        if (n > 0) s[n - 1].deleted = choices[r].deleted;
        qn_merge_choice c = qn_merge_policy_choose(&policy, s, n);
        T_EQ_I(c.count, choices[r].count);
        if (c.count != 0) T_EQ_I(c.first, choices[r].first);
    }
    T_ROW("50 and 51 percent updated in place");
    for (uint32_t updated = 50; updated <= 51; updated++) {
        const qn_merge_shape one = {.bytes = 500, .docs = 100, .updated = updated};
        T_EQ_I(qn_merge_policy_choose(&policy, &one, 1).count, updated == 51);
    }
}

/* A thousand flushes: few segments at any time, each byte copied a few times. */
static void test_merge_policy_growth(void **state)
{
    (void)state;
    T_ROW("growth");
    qn_rng rng = {7};
    qn_merge_shape s[64];
    size_t n = 0, most = 0;
    uint64_t came = 0, copied = 0;
    const qn_merge_policy p = {.fan_in = 10,
                               .segments_max = 30,
                               .floor_bytes = 100,
                               .bytes_max = UINT64_MAX,
                               .docs_max = UINT32_MAX / 8,
                               .deleted_percent = 20};
    for (int i = 0; i < 3000; i++) {
        uint64_t bytes = 50 + qn_rng_next(&rng) % 500;
        s[n++] = (qn_merge_shape){.bytes = bytes, .docs = (uint32_t)bytes};
        came += bytes;
        for (;;) {
            qn_merge_choice c = qn_merge_policy_choose(&p, s, n);
            if (c.count == 0) break;
            T_OK(c.count > 1 && c.first + c.count <= n);
            qn_merge_shape all = {0};
            for (size_t k = c.first; k < c.first + c.count; k++) {
                all.bytes += s[k].bytes;
                all.docs += s[k].docs;
            }
            copied += all.bytes;
            s[c.first] = all;
            memmove(s + c.first + 1, s + c.first + c.count,
                    (n - c.first - c.count) * sizeof *s);
            n -= c.count - 1;
        }
        if (n > most) most = n;
    }
    T_OK(most <= 30);
    T_OK(copied <= 4 * came); /* four tiers lie between the first and the last size */
}

/* ---- tables ----------------------------------------------------------------------------- */

/* A merge at this rate takes hours: it runs until hurry() or the end of the test, however
 * slow the disk and the machine are. */
enum { CRAWL = 1 };

static void merge_fixture(fixture *f, uint64_t bytes_per_second, bool manual)
{
    quern_options o = QUERN_OPTIONS_INIT;
    memset(f, 0, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/quern-test-XXXXXX");
    T_OK(mkdtemp(f->dir) != NULL);
    o.data_dir = f->dir;
    o.neural_threads = 1;
    o.merge_bytes_per_second = bytes_per_second;
    o.manual_merges = manual;
    T_CALL(quern_open(&o, &f->q, &f->err), &f->err);
    fixture_table(f, "t", MERGE_MAPPING);
}

static void put_number(fixture *f, int i, int value)
{
    char id[16], source[128];
    (void)snprintf(id, sizeof id, "%d", i);
    (void)snprintf(source, sizeof source,
                   "{\"t\":\"common word%d\",\"n\":%d,\"k\":\"k%d\",\"v\":[%d,1]}",
                   i % 7, value, i % 5, i);
    put(f, "t", id, source);
}

static void delete_number(fixture *f, int i)
{
    char id[16];
    (void)snprintf(id, sizeof id, "%d", i);
    T_EQ_I(write_one(f, "t", op_of(QUERN_OP_DELETE, id, NULL), NULL), QN_OK);
}

static bool has_value(fixture *f, int i, int value)
{
    char id[16], want[16];
    (void)snprintf(id, sizeof id, "%d", i);
    (void)snprintf(want, sizeof want, "\"n\":%d,", value);
    return strstr(source_of(f, "t", id), want) != NULL;
}

/* A number from the statistics: the first member of that name. */
static long stat_of(fixture *f, const char *name)
{
    char *json = NULL, key[32];
    size_t n = 0;
    T_CALL(quern_table_stats(f->q, "t", &json, &n, &f->err), &f->err);
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(strstr(json, "\"merges\""), key);
    long value = at == NULL ? -1 : strtol(at + strlen(key), NULL, 10);
    quern_free(json);
    return value;
}

static void wait_until(fixture *f, const char *name, long least)
{
    for (int i = 0; stat_of(f, name) < least; i++) {
        if (i == 4000) T_FAIL("merges: %s does not reach %ld", name, least);
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static bool count_segment(void *ctx, const char *name, bool is_dir)
{
    (void)is_dir;
    if (strncmp(name, "seg-", 4) == 0) ++*(int *)ctx;
    return true;
}

static int segment_files(fixture *f)
{
    char dir[96];
    int n = 0;
    (void)snprintf(dir, sizeof dir, "%s/tables/t", f->dir);
    T_CALL(qn_dir_list(dir, count_segment, &n, &f->err), &f->err);
    return n;
}

/* Ten segments of 40: what the policy joins. */
static void ten_segments(fixture *f)
{
    for (int i = 0; i < 400; i++) {
        put_number(f, i, i);
        if (i % 40 == 39) T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    }
}

/* The running merge goes on without a limit. */
static void hurry(fixture *f)
{
    qn_table *t = NULL;
    T_CALL(qn_engine_table(f->q, "t", &t, &f->err), &f->err);
    atomic_store(&t->pace.bytes_per_second, 0);
    qn_table_release(t);
}

/* While the merge is slow documents are deleted and replaced: it takes that over. */
/* In place, but for the first of a table. */
static void update_number(fixture *f, int i, int value)
{
    char id[16], source[32];
    (void)snprintf(id, sizeof id, "%d", i);
    (void)snprintf(source, sizeof source, "{\"n\":%d}", value);
    T_EQ_I(write_one(f, "t", op_of(QUERN_OP_UPDATE, id, source), NULL), QN_OK);
}

/* What a document of the table below has in the end. */
static int value_meanwhile(int i)
{
    return i % 10 == 5 ? 1000 + i : i % 10 == 3 ? 2000 + i : i % 10 == 7 ? 3000 + i : i;
}

static void test_merge_meanwhile(void **state)
{
    (void)state;
    fixture f;
    T_ROW("meanwhile");
    merge_fixture(&f, CRAWL, false);
    ten_segments(&f);
    wait_until(&f, "running", 1);
    for (int i = 0; i < 400; i += 10) delete_number(&f, i);
    for (int i = 5; i < 400; i += 10) put_number(&f, i, 1000 + i);
    T_EQ_I(stat_of(&f, "running"), 1); /* else nothing was tried */
    for (int i = 3; i < 400; i += 10) update_number(&f, i, 2000 + i);
    for (int i = 7; i < 400; i += 20) update_number(&f, i, 5);
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err); /* of the inputs as well */
    for (int i = 7; i < 400; i += 10) update_number(&f, i, 3000 + i);
    T_EQ_I(stat_of(&f, "running"), 1);
    T_EQ_I(count_of(&f, "t"), 360);
    hurry(&f);
    wait_until(&f, "done", 1);
    T_EQ_I(count_of(&f, "t"), 360);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 400; i++)
            T_OK(i % 10 == 0 ? source_of(&f, "t", i == 0 ? "0" : "10")[0] == 0
                             : has_value(&f, i, value_meanwhile(i)));
        fixture_reopen(&f);
        T_EQ_I(count_of(&f, "t"), 360);
    }
    fixture_end(&f);
}

/* A merge that fails changes nothing, is counted, and is tried again. */
static void test_merge_fails(void **state)
{
    (void)state;
    fixture f;
    T_ROW("fails");
    /* Armed before there are threads, but for the kind of call. */
    qn_io__fault_set(&(qn_io_fault){.countdown = 1, .errnum = ENOSPC, .sticky = true});
    merge_fixture(&f, CRAWL, false);
    qn_log_set_level(QN_LOG_ERROR);
    ten_segments(&f);
    wait_until(&f, "running", 1);
    atomic_store(&qn_io__fault.calls, QN_IO_WRITE);
    hurry(&f);
    wait_until(&f, "failed", 1);
    atomic_store(&qn_io__fault.calls, 0);
    T_OK(atomic_load(&qn_io__fault.delivered) > 0);
    T_EQ_I(count_of(&f, "t"), 400);
    T_EQ_I(segment_files(&f), 10);
    T_OK(has_value(&f, 399, 399));
    wait_until(&f, "running", 1); /* a second later */
    hurry(&f);
    wait_until(&f, "done", 1);
    T_EQ_I(count_of(&f, "t"), 400);
    T_OK(has_value(&f, 399, 399));
    qn_log_set_level(QN_LOG_INFO);
    fixture_end(&f);
}

/* Closing and dropping do not wait for a merge that would take minutes. */
static void test_merge_stops(void **state)
{
    (void)state;
    fixture f;
    for (int drop = 0; drop < 2; drop++) {
        T_ROW(drop ? "drop" : "close");
        merge_fixture(&f, CRAWL, false);
        ten_segments(&f);
        wait_until(&f, "running", 1);
        int64_t began = qn_clock_mono_ns();
        if (drop)
            T_CALL(quern_table_drop(f.q, "t", &f.err), &f.err);
        else
            quern_close(f.q);
        T_OK(qn_clock_mono_ns() - began < (int64_t)10 * 1000000000);
        if (drop) {
            /* The name can be taken again, and nobody meddles with the new one. */
            fixture_table(&f, "t", MERGE_MAPPING);
            put_number(&f, 1, 1);
            T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
        } else {
            fixture_open(&f);
        }
        T_EQ_I(count_of(&f, "t"), drop ? 1 : 400);
        fixture_end(&f);
    }
}

/* The files of a snapshot stay until it is let go. */
static void test_merge_snapshot(void **state)
{
    (void)state;
    fixture f;
    T_ROW("snapshot");
    merge_fixture(&f, 0, true);
    ten_segments(&f);
    T_EQ_I(count_of(&f, "t"), 400);
    qn_table *t = NULL;
    T_CALL(qn_engine_table(f.q, "t", &t, &f.err), &f.err);
    qn_table_snapshot *s = qn_table_current(t);
    T_EQ_I(s->view.segment_count, 10);
    T_CALL(quern_table_optimize(f.q, "t", &f.err), &f.err);
    T_EQ_I(segment_files(&f), 11);
    qn_slice id = {0};
    for (size_t i = 0; i < s->view.segment_count; i++)
        T_CALL(qn_segment_id(s->views[i].segment, 39, &id, &f.err), &f.err);
    T_OK(qn_slice_eq(id, QN_SLICE_LIT("399")));
    qn_table_snapshot_release(s);
    T_EQ_I(segment_files(&f), 1);
    qn_table_release(t);
    T_EQ_I(count_of(&f, "t"), 400);
    fixture_end(&f);
}

/* Many refreshes leave few images, many flushes few files; what is searched is the same
 * all along. */
static void test_merge_images(void **state)
{
    (void)state;
    fixture f;
    T_ROW("images");
    merge_fixture(&f, 0, true);
    for (int i = 0; i < 300; i++) {
        put_number(&f, i, i);
        if (i >= 10 && i % 3 == 0) delete_number(&f, i - 10);
        T_EQ_I(count_of(&f, "t"), (uint64_t)(i + 1 - (i < 10 ? 0 : i / 3 - 3)));
    }
    qn_table *t = NULL;
    T_CALL(qn_engine_table(f.q, "t", &t, &f.err), &f.err);
    qn_table_snapshot *s = qn_table_current(t);
    T_OK(s->view.segment_count <= 24);
    qn_table_snapshot_release(s);
    qn_table_release(t);
    uint64_t left = count_of(&f, "t");
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    T_EQ_I(segment_files(&f), 1);
    T_EQ_I(count_of(&f, "t"), left);
    fixture_reopen(&f);
    T_EQ_I(count_of(&f, "t"), left);
    fixture_end(&f);
}

/* Never a wrong no, at any time of its making, and hardly a needless maybe after. */
static void test_id_filter(void **state)
{
    (void)state;
    fixture f;
    T_ROW("id filter");
    merge_fixture(&f, 0, true);
    enum { IDS = 3000 };
    for (int i = 0; i < IDS; i++) put_number(&f, i, i);
    T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
    T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
    qn_table *t = NULL;
    T_CALL(qn_engine_table(f.q, "t", &t, &f.err), &f.err);
    qn_table_snapshot *s = qn_table_current(t);
    T_EQ_I(s->view.segment_count, 1);
    const qn_segment *seg = s->views[0].segment;
    qn_id_filter filter = {0};
    int maybe = 0, complete_at = -1;
    for (int i = 0; i < 2 * IDS; i++) {
        char id[16];
        int n = snprintf(id, sizeof id, "%d", i % IDS);
        T_OK(qn_id_filter_maybe(&filter, qn_alloc_heap(), seg,
                                qn_id_filter_hash((qn_slice){id, (size_t)n})));
        if (complete_at < 0 && qn_id_filter_complete(&filter, seg)) complete_at = i;
    }
    T_OK(complete_at > 0 && complete_at < IDS);
    for (int i = 0; i < 20000; i++) {
        char id[16];
        int n = snprintf(id, sizeof id, "x%d", i);
        maybe += qn_id_filter_maybe(&filter, qn_alloc_heap(), seg,
                                    qn_id_filter_hash((qn_slice){id, (size_t)n}));
    }
    T_OK(maybe > 0 && maybe < 400); /* two percent */
    qn_id_filter_deinit(&filter, qn_alloc_heap());
    qn_table_snapshot_release(s);
    qn_table_release(t);
    /* Through the table: each id is found, replaced and deleted behind its filter. */
    for (int i = 0; i < IDS; i++) put_number(&f, i, i + 1);
    for (int i = 0; i < IDS; i += 3) delete_number(&f, i);
    T_EQ_I(count_of(&f, "t"), IDS - IDS / 3);
    T_OK(has_value(&f, 1, 2) && has_value(&f, IDS - 1, IDS));
    fixture_end(&f);
}

/* ---- everybody at once ------------------------------------------------------------------- */

enum { WRITERS = 2, READERS = 2, DOCS = 240 };

typedef struct crowd {
    quern *q;
    int first;
    atomic_bool *stop;
    atomic_int *failures;
} crowd;

static bool write_quietly(quern *q, quern_op_kind kind, int id, int value)
{
    char name[16], source[128];
    qn_error err;
    quern_op_result r;
    (void)snprintf(name, sizeof name, "%d", id);
    (void)snprintf(source, sizeof source,
                   "{\"t\":\"common word%d\",\"n\":%d,\"k\":\"k%d\",\"v\":[%d,1]}",
                   id % 7, value, id % 5, id);
    quern_op op = op_of(kind, name, kind == QUERN_OP_DELETE ? NULL : source);
    return quern_write(q, "t", &op, 1, NULL, &r, &err) == QN_OK && r.status == QN_OK;
}

/* Ids go in, are replaced, and each third goes out again. Flushes make files enough for
 * the other thread to join. */
static void *write_crowd(void *arg)
{
    const crowd *c = arg;
    qn_error err;
    int bad = 0;
    for (int i = 0; i < DOCS; i++) {
        int id = c->first + i;
        bad += !write_quietly(c->q, QUERN_OP_INDEX, id, i);
        if (i >= 20) bad += !write_quietly(c->q, QUERN_OP_INDEX, id - 20, 5000 + i);
        if (i >= 40 && i % 3 == 0)
            bad += !write_quietly(c->q, QUERN_OP_DELETE, id - 40, 0);
        if (i % 8 == 7) bad += quern_flush(c->q, "t", &err) != QN_OK;
    }
    atomic_fetch_add(c->failures, bad);
    return NULL;
}

/* Every document of a reply is whole, and none is there twice. */
static void *read_crowd(void *arg)
{
    const crowd *c = arg;
    static const char query[] = "config=hit:5000&&query=t:'common'&&sort=-n";
    while (!atomic_load(c->stop)) {
        quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *reply = NULL;
        qn_error err;
        bool seen[WRITERS * 1000] = {false};
        o.kind = QUERN_QUERY_HA3;
        o.query = query;
        o.query_size = sizeof query - 1;
        if (quern_refresh(c->q, "t", &err) != QN_OK ||
            quern_search(c->q, "t", &o, &reply, &err) != QN_OK) {
            atomic_fetch_add(c->failures, 1);
            continue;
        }
        for (size_t i = 0; i < reply->hit_count; i++) {
            long id = strtol(reply->hits[i].id, NULL, 10);
            bool wrong = id < 0 || id >= WRITERS * 1000 || seen[id] ||
                         strstr(reply->hits[i].source, "common word") == NULL;
            atomic_fetch_add(c->failures, wrong);
            if (!wrong) seen[id] = true;
        }
        quern_reply_free(reply);
    }
    return NULL;
}

static void test_merge_crowd(void **state)
{
    (void)state;
    fixture f;
    T_ROW("crowd");
    merge_fixture(&f, 0, false);
    atomic_bool stop = false;
    atomic_int failures = 0;
    pthread_t threads[WRITERS + READERS];
    crowd work[WRITERS + READERS];
    for (int i = 0; i < WRITERS + READERS; i++) {
        work[i] = (crowd){f.q, i * 1000, &stop, &failures};
        T_OK(pthread_create(&threads[i], NULL, i < WRITERS ? write_crowd : read_crowd,
                            &work[i]) == 0);
    }
    for (int i = 0; i < WRITERS; i++) (void)pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    for (int i = WRITERS; i < WRITERS + READERS; i++)
        (void)pthread_join(threads[i], NULL);
    T_EQ_I(atomic_load(&failures), 0);
    wait_until(&f, "done", 1);
    T_EQ_I(stat_of(&f, "failed"), 0);
    int deleted = 0;
    for (int i = 40; i < DOCS; i++) deleted += i % 3 == 0;
    for (int round = 0; round < 2; round++) {
        T_EQ_I(count_of(&f, "t"), (uint64_t)(WRITERS * (DOCS - deleted)));
        for (int w = 0; w < WRITERS; w++) {
            T_OK(has_value(&f, w * 1000 + DOCS - 1, DOCS - 1));
            T_OK(has_value(&f, w * 1000 + DOCS - 21, 5000 + DOCS - 1));
        }
        char *json = NULL;
        size_t n = 0;
        T_CALL(quern_table_check(f.q, "t", &json, &n, &f.err), &f.err);
        quern_free(json);
        if (round == 0) fixture_reopen(&f);
    }
    T_CALL(quern_table_optimize(f.q, "t", &f.err), &f.err);
    T_EQ_I(count_of(&f, "t"), (uint64_t)(WRITERS * (DOCS - deleted)));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_policy),
        cmocka_unit_test(test_merge_policy_growth),
        cmocka_unit_test(test_merge_meanwhile),
        cmocka_unit_test(test_merge_fails),
        cmocka_unit_test(test_merge_stops),
        cmocka_unit_test(test_merge_snapshot),
        cmocka_unit_test(test_merge_images),
        cmocka_unit_test(test_id_filter),
        cmocka_unit_test(test_merge_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
