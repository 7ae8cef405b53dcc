/* SPDX-License-Identifier: Apache-2.0 */
/* bench_hostile -- what other searches notice of plug-ins that do all the harm they can.
 *
 *     bench_hostile DATA [ROUNDS]
 *
 * A server in this process, a table of DOCUMENTS, five plug-ins that loop, recurse, fill
 * memory, pile up strings and call features without end. One client searches every few
 * milliseconds; in every second round CROWD clients ask for the plug-ins at the same time, one
 * search after another. A JSON line per kind of round: latencies of that one client (median
 * over the rounds of their p50, p90, p99), searches with a plug-in answered a second. */
#include "base/clock.h"
#include "base/slice.h"
#include "net/http_client.h"
#include "quern/quern.h"
#include "server/server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DOCUMENTS = 50000,
    BATCH = 1000,
    WORDS = 2000,
    CROWD = 8,
    SEARCHES = 600,
    PAUSE_US = 4000,
    ROUNDS_MAX = 50
};

static const char schema[] =
    "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},\"n\":{\"type\":"
    "\"long\"}}}}";

#define SCORER(members, body)                                                          \
    "import ha3.*; class S { " members " double process(MatchDoc d) { " body           \
    " return 1; } }"
static const struct {
    const char *name, *source;
} plugins[] = {
    {"loop", SCORER("", "for (;;) { }")},
    {"deep",
     SCORER("int f(int a) { return a < 500 ? f(a + 1) + f(a + 2) : a; }", "f(0);")},
    {"room", SCORER("", "for (;;) { long[] a = new long[1000000]; a[0] = 1; }")},
    {"text", SCORER("", "CString s = \"0123456789abcdef\"; for (;;) { CString t = "
                        "s.substring(1, 8); }")},
    {"maths", SCORER("", "double x = 1; for (;;) { x = Math.pow(x + 1, 0.5); }")},
};
enum { PLUGINS = sizeof plugins / sizeof *plugins };

typedef struct bench {
    const char *url;
    atomic_bool stop;
    atomic_uint_fast64_t answered, failed;
} bench;

/* ---- the table ------------------------------------------------------------------------- */

static bool load(quern *q, qn_error *err)
{
    static quern_op ops[BATCH];
    static quern_op_result results[BATCH];
    static char sources[BATCH][256];
    qn_rng rng = {7};
    if (quern_table_create(q, "t", schema, sizeof schema - 1, err) != QN_OK)
        return false;
    for (unsigned first = 0; first < DOCUMENTS; first += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            int n = snprintf(sources[i], sizeof *sources, "{\"n\":%u,\"title\":\"",
                             first + i);
            for (int w = 0; w < 12; w++)
                n +=
                    snprintf(sources[i] + n, sizeof *sources - (size_t)n, "w%u ",
                             (unsigned)(WORDS * qn_rng_unit(&rng) * qn_rng_unit(&rng)));
            n += snprintf(sources[i] + n, sizeof *sources - (size_t)n, "\"}");
            ops[i] = (quern_op){.kind = QUERN_OP_INDEX,
                                .source = sources[i],
                                .source_size = (size_t)n,
                                .if_seq_no = QUERN_SEQ_NONE};
        }
        if (quern_write(q, "t", ops, BATCH, NULL, results, err) != QN_OK) return false;
    }
    for (size_t i = 0; i < PLUGINS; i++)
        if (quern_plugin_put(q, "t", plugins[i].name, plugins[i].source,
                             strlen(plugins[i].source), false, NULL, NULL,
                             err) != QN_OK)
            return false;
    return quern_table_optimize(q, "t", err) == QN_OK;
}

/* ---- clients ------------------------------------------------------------------------------ */

static bool post(qn_http_client *client, const bench *b, const char *request)
{
    char url[256];
    (void)snprintf(url, sizeof url, "%s/t/search", b->url);
    qn_http_call call = {.method = "POST", .url = url, .body = qn_slice_of(request)};
    qn_http_reply reply = {0};
    qn_error err = {0};
    qn_buf_init(&reply.body, qn_alloc_heap());
    bool ok =
        qn_http_fetch(client, &call, &reply, &err) == QN_OK && reply.status == 200;
    qn_buf_deinit(&reply.body);
    return ok;
}

static void *harm(void *arg)
{
    bench *b = arg;
    qn_http_client *client = NULL;
    if (qn_http_client_create(qn_alloc_heap(), &client, NULL) != QN_OK) return NULL;
    for (size_t i = 0; !atomic_load(&b->stop); i++) {
        char request[512];
        (void)snprintf(request, sizeof request,
                       "{\"query\":\"title:'w%zu'\",\"kvpairs\":{\"second_rank_name\":"
                       "\"%s\",\"second_rank_type\":\"cava_script\"}}",
                       i % 10, plugins[i % PLUGINS].name);
        atomic_fetch_add(post(client, b, request) ? &b->answered : &b->failed, 1);
    }
    qn_http_client_destroy(client);
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

typedef struct figures {
    double p50, p90, p99;
} figures;

static bool search(const bench *b, figures *out)
{
    static double times[SEARCHES];
    qn_http_client *client = NULL;
    qn_rng rng = {99};
    if (qn_http_client_create(qn_alloc_heap(), &client, NULL) != QN_OK) return false;
    bool ok = true;
    for (size_t i = 0; i < SEARCHES && ok; i++) {
        char request[256];
        (void)snprintf(request, sizeof request,
                       "{\"query\":\"title:'w%u' OR title:'w%u'\",\"config\":{\"hit\":"
                       "10}}",
                       (unsigned)(qn_rng_next(&rng) % 300),
                       (unsigned)(qn_rng_next(&rng) % 300));
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000L}, NULL);
        int64_t began = qn_clock_mono_ns();
        ok = post(client, b, request);
        times[i] = (double)(qn_clock_mono_ns() - began) / 1e3;
    }
    qn_http_client_destroy(client);
    qsort(times, SEARCHES, sizeof *times, by_time);
    *out = (figures){times[SEARCHES / 2], times[SEARCHES * 9 / 10],
                     times[SEARCHES * 99 / 100]};
    return ok;
}

static bool round_of(bench *b, bool hostile, figures *out)
{
    pthread_t threads[CROWD];
    size_t n = 0;
    atomic_store(&b->stop, false);
    while (hostile && n < CROWD && pthread_create(&threads[n], NULL, harm, b) == 0) n++;
    if (hostile) (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    bool ok = search(b, out);
    atomic_store(&b->stop, true);
    for (size_t i = 0; i < n; i++) (void)pthread_join(threads[i], NULL);
    return ok;
}

/* ---- main ------------------------------------------------------------------------------------ */

static double median(figures *all, size_t n, size_t offset)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < n; i++)
        memcpy(&values[i], (const char *)&all[i] + offset, sizeof *values);
    qsort(values, n, sizeof *values, by_time);
    return values[n / 2];
}

static void print(const char *name, figures *all, size_t n)
{
    (void)printf("{\"bench\":\"hostile\",\"round\":\"%s\",\"p50_us\":%.0f,"
                 "\"p90_us\":%.0f,\"p99_us\":%.0f}\n",
                 name, median(all, n, offsetof(figures, p50)),
                 median(all, n, offsetof(figures, p90)),
                 median(all, n, offsetof(figures, p99)));
}

static bool run(const char *url, size_t rounds)
{
    static figures quiet[ROUNDS_MAX], hostile[ROUNDS_MAX];
    bench b = {.url = url};
    figures warm;
    int64_t began = 0, took = 0;
    if (!round_of(&b, false, &warm)) return false;
    for (size_t i = 0; i < rounds; i++) {
        if (!round_of(&b, false, &quiet[i])) return false;
        began = qn_clock_mono_ns();
        if (!round_of(&b, true, &hostile[i])) return false;
        took += qn_clock_mono_ns() - began;
    }
    print("alone", quiet, rounds);
    print("beside hostile plug-ins", hostile, rounds);
    (void)printf("{\"bench\":\"hostile\",\"plugin_searches_per_second\":%.1f,"
                 "\"failed\":%llu}\n",
                 (double)atomic_load(&b.answered) * 1e9 / (double)took,
                 (unsigned long long)atomic_load(&b.failed));
    return true;
}

int main(int argc, char **argv)
{
    int64_t rounds = 7;
    quern *q = NULL;
    qn_server *server = NULL;
    qn_error err = {0};
    if (argc < 2 || (argc > 2 && !qn_slice_to_i64(qn_slice_of(argv[2]), &rounds)) ||
        rounds < 1 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "bench_hostile DATA [ROUNDS]\n");
        return 2;
    }
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = argv[1];
    o.async_commit = true;
    static qn_server_options options;
    qn_server_options_init(&options);
    bool ok = qn_server_options_set(&options, "listen", "127.0.0.1:0", &err) == QN_OK &&
              quern_open(&o, &q, &err) == QN_OK &&
              (quern_table_exists(q, "t") || load(q, &err)) &&
              qn_server_create(q, &options, &server, &err) == QN_OK;
    if (!ok) (void)fprintf(stderr, "%s\n", err.text);
    if (ok) ok = run(qn_server_url(server), (size_t)rounds);
    qn_server_destroy(server);
    quern_close(q);
    return ok ? 0 : 1;
}
