/* SPDX-License-Identifier: Apache-2.0 */
/* bench_durable.c -- single-document writes that are on the disk when acknowledged, one
 * JSON line per figure. In turns, in one folder, so that all see the same disk:
 *
 *     raw       append + fdatasync of the bytes that such a write takes in a log
 *     quern     quern_write() of one document, durability "request"
 *     sqlite    INSERT of the same key and text, WAL, synchronous=FULL
 *
 *     bench_durable [DIR [SECONDS [ROUNDS [CLIENTS]]]]
 *
 * Default: a folder in ., 2 s, 3 rounds, 1, 16 and 64 clients. With CLIENTS only Quern
 * runs, with so many: for a profiler.
 *
 * Rates are per second of wall time, since that is what a disk is waited for in. */
#include "base/clock.h"
#include "io/file.h"
#include "quern/quern.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, ROUNDS_MAX = 32, LATENCIES_MAX = 4000000, RECORD_BYTES = 320 };

typedef struct client client;
typedef bool write_fn(client *c, const char *id, size_t id_size, const char *json,
                      size_t json_size);

struct client {
    write_fn *write;
    quern *q;
    sqlite3 *db;
    sqlite3_stmt *insert;
    int fd;
    int number, round;
    int64_t until_ns;
    uint64_t done;
    uint32_t *latencies_us; /* room for LATENCIES_MAX / clients */
    uint64_t latency_capacity;
    bool failed;
};

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_durable: %s: %s\n", what, why);
    exit(1);
}

/* ---- the three that write ------------------------------------------------------------ */

static bool write_raw(client *c, const char *id, size_t id_size, const char *json,
                      size_t json_size)
{
    static const char record[RECORD_BYTES];
    (void)id;
    (void)id_size;
    (void)json;
    (void)json_size;
    return write(c->fd, record, sizeof record) == (ssize_t)sizeof record &&
           fdatasync(c->fd) == 0;
}

static bool write_quern(client *c, const char *id, size_t id_size, const char *json,
                        size_t json_size)
{
    quern_op op = {.kind = QUERN_OP_INDEX,
                   .id = id,
                   .id_size = id_size,
                   .source = json,
                   .source_size = json_size,
                   .if_seq_no = QUERN_SEQ_NONE};
    quern_op_result result;
    qn_error err = {0};
    qn_status st = quern_write(c->q, "t", &op, 1, NULL, &result, &err);
    if (st == QN_OK && result.status == QN_OK) return true;
    (void)fprintf(stderr, "bench_durable: %s\n",
                  st != QN_OK ? err.text : result.error.text);
    return false;
}

static bool write_sqlite(client *c, const char *id, size_t id_size, const char *json,
                         size_t json_size)
{
    (void)sqlite3_bind_text(c->insert, 1, id, (int)id_size, SQLITE_STATIC);
    (void)sqlite3_bind_text(c->insert, 2, json, (int)json_size, SQLITE_STATIC);
    bool ok = sqlite3_step(c->insert) == SQLITE_DONE;
    if (!ok) (void)fprintf(stderr, "bench_durable: %s\n", sqlite3_errmsg(c->db));
    (void)sqlite3_reset(c->insert);
    return ok;
}

static void *client_main(void *arg)
{
    client *c = arg;
    char id[48], json[512];
    for (uint64_t i = 0; qn_clock_mono_ns() < c->until_ns; i++) {
        int id_size = snprintf(id, sizeof id, "r%d-c%d-%llu", c->round, c->number,
                               (unsigned long long)i);
        int json_size = snprintf(
            json, sizeof json,
            "{\"title\":\"a durable document number %llu of client %d\",\"body\":\"the "
            "quick brown fox jumps over the lazy dog and is written down before "
            "anybody is told, word%llu\",\"n\":%llu}",
            (unsigned long long)i, c->number, (unsigned long long)(i * 7919 % 50021),
            (unsigned long long)i);
        int64_t began = qn_clock_mono_ns();
        if (!c->write(c, id, (size_t)id_size, json, (size_t)json_size)) {
            c->failed = true;
            break;
        }
        if (c->done < c->latency_capacity)
            c->latencies_us[c->done] = (uint32_t)((qn_clock_mono_ns() - began) / 1000);
        c->done++;
    }
    return NULL;
}

/* ---- one run ---------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double cpu_seconds(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double run(const char *who, client *clients, int n, double seconds, int round)
{
    pthread_t threads[CLIENTS_MAX];
    static uint32_t latencies[LATENCIES_MAX];
    uint64_t room = LATENCIES_MAX / (uint64_t)n, total = 0, kept = 0;
    double cpu = cpu_seconds();
    int64_t began = qn_clock_mono_ns();
    for (int i = 0; i < n; i++) {
        clients[i].number = i;
        clients[i].round = round;
        clients[i].done = 0;
        clients[i].until_ns = began + (int64_t)(seconds * 1e9);
        clients[i].latencies_us = latencies + (uint64_t)i * room;
        clients[i].latency_capacity = room;
        if (pthread_create(&threads[i], NULL, client_main, &clients[i]) != 0)
            die("thread", "cannot be made");
    }
    for (int i = 0; i < n; i++) (void)pthread_join(threads[i], NULL);
    double wall = 1e-9 * (double)(qn_clock_mono_ns() - began);
    cpu = cpu_seconds() - cpu;
    for (int i = 0; i < n; i++) {
        if (clients[i].failed) die(who, "failed");
        uint64_t have = clients[i].done < room ? clients[i].done : room;
        memmove(latencies + kept, latencies + (uint64_t)i * room,
                have * sizeof *latencies);
        kept += have;
        total += clients[i].done;
    }
    qsort(latencies, kept, sizeof *latencies, by_value);
    double rate = (double)total / wall;
    (void)printf(
        "{\"bench\":\"durable\",\"who\":\"%s\",\"clients\":%d,\"round\":%d,"
        "\"per_second\":%.0f,\"p50_us\":%u,\"p99_us\":%u,\"cpu_us_each\":%.1f}\n",
        who, n, round, rate, kept == 0 ? 0 : latencies[kept / 2],
        kept == 0 ? 0 : latencies[kept * 99 / 100],
        total == 0 ? 0.0 : 1e6 * cpu / (double)total);
    (void)fflush(stdout);
    return rate;
}

static double run_raw(const char *dir, double seconds, int round)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/raw-%d", dir, round);
    client c = {.write = write_raw};
    c.fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_APPEND, 0666);
    if (c.fd < 0) die(path, "cannot be made");
    double rate = run("raw append+fdatasync", &c, 1, seconds, round);
    (void)close(c.fd);
    (void)unlink(path);
    return rate;
}

static double run_quern(quern *q, int n, double seconds, int round)
{
    static client clients[CLIENTS_MAX];
    for (int i = 0; i < n; i++) clients[i] = (client){.write = write_quern, .q = q};
    return run("quern", clients, n, seconds, round);
}

static double run_sqlite(const char *path, int n, double seconds, int round)
{
    static client clients[CLIENTS_MAX];
    for (int i = 0; i < n; i++) {
        client *c = &clients[i];
        *c = (client){.write = write_sqlite};
        if (sqlite3_open(path, &c->db) != SQLITE_OK) die(path, "cannot be opened");
        (void)sqlite3_busy_timeout(c->db, 60000);
        if (sqlite3_exec(c->db,
                         "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                         "CREATE TABLE IF NOT EXISTS t(id TEXT PRIMARY KEY, doc TEXT);",
                         NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_prepare_v2(c->db, "INSERT OR REPLACE INTO t VALUES(?,?)", -1,
                               &c->insert, NULL) != SQLITE_OK)
            die(path, sqlite3_errmsg(c->db));
    }
    double rate = run("sqlite WAL FULL", clients, n, seconds, round);
    for (int i = 0; i < n; i++) {
        (void)sqlite3_finalize(clients[i].insert);
        (void)sqlite3_close(clients[i].db);
    }
    return rate;
}

/* ---- all --------------------------------------------------------------------------------- */

static int by_rate(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_rate);
    return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

int main(int argc, char **argv)
{
    static const int counts[] = {1, 16, 64};
    enum { COUNTS = sizeof counts / sizeof *counts };
    char own[] = "./durable-XXXXXX", sqlite_path[4096];
    const char *dir = argc > 1 ? argv[1] : mkdtemp(own);
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2.0;
    int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 3;
    if (dir == NULL || rounds < 1 || rounds > ROUNDS_MAX || seconds <= 0)
        die("usage", "bench_durable [DIR [SECONDS [ROUNDS [CLIENTS]]]]");
    char data[4096];
    (void)snprintf(data, sizeof data, "%s/quern", dir);
    (void)snprintf(sqlite_path, sizeof sqlite_path, "%s/peer.db", dir);
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = data;
    o.neural_threads = 1;
    quern *q = NULL;
    qn_error err = {0};
    static const char schema[] = "{\"mappings\":{\"properties\":{\"title\":{\"type\":"
                                 "\"text\"},\"body\":{\"type\":"
                                 "\"text\"},\"n\":{\"type\":\"long\"}}}}";
    if (quern_open(&o, &q, &err) != QN_OK) die(data, err.text);
    if (quern_table_create(q, "t", schema, sizeof schema - 1, &err) != QN_OK)
        die("table", err.text);
    int alone = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0;
    if (alone < 0 || alone > CLIENTS_MAX) die("usage", "at most 64 clients");
    for (int r = 0; alone > 0 && r < rounds; r++) (void)run_quern(q, alone, seconds, r);
    if (alone > 0) {
        quern_close(q);
        return 0;
    }
    double raw[ROUNDS_MAX], ours[COUNTS][ROUNDS_MAX], theirs[COUNTS][ROUNDS_MAX];
    for (int r = 0; r < rounds; r++) {
        raw[r] = run_raw(dir, seconds, r);
        for (int k = 0; k < (int)COUNTS; k++) {
            ours[k][r] = run_quern(q, counts[k], seconds, r * 10 + k);
            theirs[k][r] = run_sqlite(sqlite_path, counts[k], seconds, r * 10 + k);
        }
    }
    double disk = median(raw, rounds);
    for (int k = 0; k < (int)COUNTS; k++) {
        double mine = median(ours[k], rounds), peer = median(theirs[k], rounds);
        (void)printf(
            "{\"bench\":\"durable\",\"clients\":%d,\"quern\":%.0f,\"sqlite\":%.0f,"
            "\"raw\":%.0f,\"over_raw\":%.2f,\"over_sqlite\":%.2f}\n",
            counts[k], mine, peer, disk, mine / disk, mine / peer);
    }
    quern_close(q);
    if (argc <= 1 && qn_dir_remove(dir, &err) != QN_OK) die(dir, err.text);
    return 0;
}
