/* SPDX-License-Identifier: Apache-2.0 */
/* bench_update.c -- one number of documents of a large table updated, one JSON line per
 * figure, in turns:
 *
 *     in place   {"n": N}: an attribute alone
 *     anew       {"n": N, "k": "..."}: an indexed keyword with it, so that the document is
 *                written anew
 *
 *     bench_update [DOCUMENTS [UPDATES [ROUNDS]]]        1,000,000  200,000  3
 *
 * Documents are picked at random; calls of 1,000 operations; durability async, so that
 * the disk is not what is measured. CPU seconds are those of the process, refreshes and
 * flushes that happen meanwhile with them; afterwards the time of a refresh, a flush, and
 * a range query over the number. */
#include "base/clock.h"
#include "io/file.h"
#include "quern/quern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { CALL = 1000, SOURCE = 1200, WORDS = 120 };

static const char schema[] =
    "{\"settings\":{\"index\":{\"translog\":{\"durability\":\"async\"}}},\"mappings\":{"
    "\"properties\":{\"title\":{\"type\":\"text\"},\"body\":{\"type\":\"text\"},\"k\":{"
    "\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},\"price\":{\"type\":\"double\"}}}"
    "}";

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_update: %s: %s\n", what, why);
    exit(1);
}

static double cpu_seconds(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

typedef struct batch {
    quern_op ops[CALL];
    quern_op_result results[CALL];
    char ids[CALL][24], sources[CALL][SOURCE];
    size_t n;
} batch;

static void add(batch *b, quern_op_kind kind, uint64_t id)
{
    char *s = b->sources[b->n];
    (void)snprintf(b->ids[b->n], sizeof *b->ids, "doc-%llu", (unsigned long long)id);
    b->ops[b->n] = (quern_op){.kind = kind,
                              .id = b->ids[b->n],
                              .id_size = strlen(b->ids[b->n]),
                              .source = s,
                              .source_size = strlen(s),
                              .if_seq_no = QUERN_SEQ_NONE};
    b->n++;
}

static void send(quern *q, batch *b)
{
    qn_error err = {0};
    if (b->n == 0) return;
    if (quern_write(q, "t", b->ops, b->n, NULL, b->results, &err) != QN_OK)
        die("write", err.text);
    for (size_t i = 0; i < b->n; i++)
        if (b->results[i].status != QN_OK) die("write", b->results[i].error.text);
    b->n = 0;
}

static void fill(quern *q, batch *b, uint64_t docs)
{
    qn_rng rng = {1};
    for (uint64_t i = 0; i < docs; i++) {
        char *s = b->sources[b->n];
        size_t n = (size_t)snprintf(s, SOURCE, "{\"title\":\"number %llu\",\"body\":\"",
                                    (unsigned long long)i);
        for (int w = 0; w < WORDS; w++) {
            uint64_t r = qn_rng_next(&rng);
            n += (size_t)snprintf(s + n, SOURCE - n, "w%llu ",
                                  (unsigned long long)(r % (1 + (r >> 32) % 20000)));
        }
        (void)snprintf(s + n, SOURCE - n,
                       "\",\"k\":\"k%llu\",\"n\":%llu,\"price\":%llu.5}",
                       (unsigned long long)(i % 100),
                       (unsigned long long)(qn_rng_next(&rng) % 1000000),
                       (unsigned long long)(i % 977));
        add(b, QUERN_OP_INDEX, i);
        if (b->n == CALL) send(q, b);
    }
    send(q, b);
}

static void timed(quern *q, const char *what,
                  qn_status (*call)(quern *, const char *, qn_error *))
{
    qn_error err = {0};
    int64_t began = qn_clock_mono_ns();
    if (call(q, "t", &err) != QN_OK) die(what, err.text);
    (void)printf("{\"bench\":\"update\",\"figure\":\"%s\",\"ms\":%.1f}\n", what,
                 1e-6 * (double)(qn_clock_mono_ns() - began));
}

static void ranges(quern *q, const char *when)
{
    double best = 1e9;
    for (int i = 0; i < 30; i++) {
        char body[128];
        qn_error err = {0};
        quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *reply = NULL;
        (void)snprintf(
            body, sizeof body,
            "{\"size\":0,\"track_total_hits\":true,\"query\":{\"range\":{\"n\":"
            "{\"gte\":%d,\"lt\":%d}}}}",
            5000 * i, 5000 * i + 1000);
        o.kind = QUERN_QUERY_DSL;
        o.query = body;
        o.query_size = strlen(body);
        int64_t began = qn_clock_mono_ns();
        if (quern_search(q, "t", &o, &reply, &err) != QN_OK) die("search", err.text);
        double ms = 1e-6 * (double)(qn_clock_mono_ns() - began);
        if (ms < best) best = ms;
        quern_reply_free(reply);
    }
    (void)printf(
        "{\"bench\":\"update\",\"figure\":\"a range of 0.1 %% %s\",\"ms\":%.3f}\n",
        when, best);
}

static void update(quern *q, batch *b, uint64_t docs, uint64_t count, bool anew,
                   int round)
{
    qn_rng rng = {(uint64_t)round * 2 + anew};
    double cpu = cpu_seconds();
    int64_t began = qn_clock_mono_ns();
    for (uint64_t i = 0; i < count; i++) {
        unsigned n = (unsigned)(qn_rng_next(&rng) % 1000000);
        char *s = b->sources[b->n];
        (void)snprintf(s, SOURCE, anew ? "{\"n\":%u,\"k\":\"k%u\"}" : "{\"n\":%u}", n,
                       n % 100);
        add(b, QUERN_OP_UPDATE, qn_rng_next(&rng) % docs);
        if (b->n == CALL) send(q, b);
    }
    send(q, b);
    double wall = 1e-9 * (double)(qn_clock_mono_ns() - began);
    cpu = cpu_seconds() - cpu;
    (void)printf("{\"bench\":\"update\",\"how\":\"%s\",\"round\":%d,\"documents\":%llu,"
                 "\"per_second\":%.0f,\"per_cpu_second\":%.0f}\n",
                 anew ? "anew" : "in place", round, (unsigned long long)docs,
                 (double)count / wall, (double)count / cpu);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static batch b;
    uint64_t docs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
    long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 3;
    char dir[] = "bench-update-XXXXXX";
    qn_error err = {0};
    quern *q = NULL;
    quern_options o = QUERN_OPTIONS_INIT;
    if (mkdtemp(dir) == NULL) die(dir, "cannot be made");
    o.data_dir = dir;
    o.neural_threads = 1;
    o.manual_merges = true;
    if (quern_open(&o, &q, &err) != QN_OK) die("open", err.text);
    if (quern_table_create(q, "t", schema, strlen(schema), &err) != QN_OK)
        die("table", err.text);
    fill(q, &b, docs);
    timed(q, "merge of all", quern_table_optimize);
    ranges(q, "before");
    update(q, &b, docs, 1, false, 0); /* asks for updates in place */
    for (int round = 1; round <= (int)rounds; round++) {
        update(q, &b, docs, count, false, round);
        timed(q, "refresh, in place", quern_refresh);
        timed(q, "flush, in place", quern_flush);
    }
    ranges(q, "updated in place");
    for (int round = 1; round <= (int)rounds; round++) {
        update(q, &b, docs, count, true, round);
        timed(q, "refresh, anew", quern_refresh);
        timed(q, "flush, anew", quern_flush);
    }
    quern_close(q);
    if (qn_dir_remove(dir, &err) != QN_OK) die(dir, err.text);
    return 0;
}
