/* SPDX-License-Identifier: Apache-2.0 */
/* bench_deadline -- does reranking keep its time?
 *
 *     bench_deadline FOLDER MODEL [clients=0,8] [budget_ms=800] [docs=50] [words=600]
 *                    [threads=2] [seconds=20]
 *
 * Clients call quern_rerank() one call after another, each with 50 documents of over 512
 * tokens and 800 ms. One JSON line for each number of clients: calls, how many
 * milliseconds after the budget they came back (0: not at all), documents scored a call,
 * calls that scored none, pairs and tokens a second, cores used. Every score that came is
 * compared to the bit with that of a call without a limit; a reply that is an error or has
 * a wrong score is invalid. clients=0 is one client on an idle machine. With
 * embedder=NAME a further client embeds a short text 20 times a second meanwhile.
 *
 * The first line says how long a batch goes without looking at its deadline, in CPU time
 * of its thread. */
#include "base/clock.h"
#include "io/file.h"
#include "nn/calls/rerank.h"
#include "quern/quern.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCS_MAX = 1000, CALLS_MAX = 100000, CLIENTS_MAX = 256 };

typedef struct bench {
    quern *q;
    const char *folder, *model, *embedder, *clients;
    long budget_ms, docs, words, threads, seconds;
    quern_text texts[DOCS_MAX];
    float logits[DOCS_MAX]; /* without a limit */
    bool known[DOCS_MAX];
    int64_t end_ns;
    pthread_mutex_t lock; /* guards what follows */
    double over_ms[CALLS_MAX];
    size_t calls, scored, invalid, none;
    uint64_t tokens;
    double embed_ms[CALLS_MAX];
    size_t embeds;
} bench;

static const char query[] = "how does a mill grind grain between two stones";

static void make_texts(bench *b)
{
    static const char *const words[] = {
        "stone", "water", "wheel", "grain", "flour", "miller",  "river",   "wind",
        "gear",  "shaft", "bread", "sack",  "dust",  "harvest", "field",   "mountain",
        "quern", "hand",  "turn",  "slow",  "heavy", "old",     "village", "market"};
    qn_rng rng = {42};
    for (long i = 0; i < b->docs; i++) {
        size_t room = (size_t)b->words * 12 + 16, n = 0;
        char *text = malloc(room);
        if (text == NULL) abort();
        for (long k = 0; k < b->words; k++)
            n += (size_t)snprintf(
                text + n, room - n, "%s ",
                words[qn_rng_next(&rng) % (sizeof words / sizeof *words)]);
        b->texts[i] = (quern_text){text, n};
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, size_t n, double p)
{
    if (n == 0) return 0;
    size_t i = (size_t)(p * (double)n);
    return sorted[i >= n ? n - 1 : i];
}

/* ---- clients ---------------------------------------------------------------------- */

static void one_call(bench *b, quern_rerank_score *scores)
{
    qn_error err;
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    o.model = b->model;
    o.timeout_ms = b->budget_ms;
    o.not_kept = true;
    size_t scored = 0, counted = 0;
    uint64_t tokens = 0;
    int64_t begin = qn_clock_mono_ns();
    qn_status st = quern_rerank(b->q, &o, (quern_text){query, sizeof query - 1},
                                b->texts, (size_t)b->docs, scores, &scored, &err);
    double over = (double)(qn_clock_mono_ns() - begin) / 1e6 - (double)b->budget_ms;
    bool valid = st == QN_OK;
    if (!valid) fprintf(stderr, "bench_deadline: %s\n", err.text);
    for (long i = 0; valid && i < b->docs; i++) {
        if (!scores[i].scored) continue;
        counted++;
        tokens += scores[i].tokens;
        if (b->known[i] && memcmp(&scores[i].logit, &b->logits[i], sizeof(float)) != 0)
            valid = false;
    }
    if (counted != scored) valid = false;
    (void)pthread_mutex_lock(&b->lock);
    if (b->calls < CALLS_MAX) b->over_ms[b->calls++] = over > 0 ? over : 0;
    b->scored += counted;
    b->tokens += tokens;
    b->none += valid && counted == 0;
    b->invalid += !valid;
    (void)pthread_mutex_unlock(&b->lock);
}

static void *client_main(void *arg)
{
    bench *b = arg;
    quern_rerank_score *scores = calloc((size_t)b->docs, sizeof *scores);
    if (scores == NULL) abort();
    while (qn_clock_mono_ns() < b->end_ns) one_call(b, scores);
    free(scores);
    return NULL;
}

/* Five short texts a second, one at a time. */
static void *embedder_main(void *arg)
{
    bench *b = arg;
    qn_error err;
    quern_model_info info;
    if (quern_model_info_get(b->q, b->embedder, &info, &err) != QN_OK) {
        fprintf(stderr, "bench_deadline: %s\n", err.text);
        return NULL;
    }
    float *v = malloc(info.dims * sizeof *v);
    while (v != NULL && qn_clock_mono_ns() < b->end_ns) {
        const quern_text text = {query, sizeof query - 1};
        int64_t begin = qn_clock_mono_ns();
        qn_status st = quern_embed(b->q, b->embedder, &text, 1, 10000, NULL, v,
                                   info.dims, NULL, &err);
        double ms = (double)(qn_clock_mono_ns() - begin) / 1e6;
        if (st == QN_OK && b->embeds < CALLS_MAX) b->embed_ms[b->embeds++] = ms;
        const struct timespec pause = {0, 50000000};
        (void)nanosleep(&pause, NULL);
    }
    free(v);
    return NULL;
}

/* ---- looks ------------------------------------------------------------------------- */

typedef struct looks {
    int64_t last_ns;
    double *ms;
    size_t n, max;
} looks;

static void look(void *ctx)
{
    looks *l = ctx;
    int64_t now = qn_clock_cpu_ns();
    if (l->last_ns != 0 && l->n < l->max)
        l->ms[l->n++] = (double)(now - l->last_ns) / 1e6;
    l->last_ns = qn_clock_cpu_ns();
}

static void print_looks(bench *b)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s.qnm", b->folder, b->model);
    qn_error err;
    qn_model *m = NULL;
    if (qn_model_open(qn_alloc_heap(), path, NULL, &m, &err) != QN_OK) {
        fprintf(stderr, "bench_deadline: %s\n", err.text);
        exit(1);
    }
    static double ms[CALLS_MAX];
    looks l = {.ms = ms, .max = CALLS_MAX};
    const qn_deadline deadline = {.breathe = look, .breathe_ctx = &l};
    const qn_rerank_options o = {.deadline = &deadline};
    for (int i = 0; i < 8; i++) {
        const qn_slice text = {b->texts[i % b->docs].text, b->texts[i % b->docs].size};
        qn_rerank_doc doc;
        l.last_ns = 0;
        if (qn_rerank_run(m, QN_SLICE_LIT("how does a mill grind grain"), &text, 1, &o,
                          &doc, NULL, &err) != QN_OK)
            exit(1);
    }
    qsort(ms, l.n, sizeof *ms, compare);
    printf("{\"bench\":\"deadline\",\"model\":\"%s\",\"backend\":\"%s\",\"looks\":%zu,"
           "\"between_looks_ms\":{\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f}}\n",
           b->model, qn_model_describe(m)->backend, l.n, percentile(ms, l.n, 0.50),
           percentile(ms, l.n, 0.99), percentile(ms, l.n, 1.0));
    (void)fflush(stdout);
    qn_model_close(m);
}

/* ---- a row ------------------------------------------------------------------------- */

static void print_row(bench *b, long clients, double seconds, double cpu)
{
    qsort(b->over_ms, b->calls, sizeof *b->over_ms, compare);
    double calls = b->calls == 0 ? 1 : (double)b->calls;
    printf(
        "{\"bench\":\"deadline\",\"model\":\"%s\",\"clients\":%ld,\"budget_ms\":%ld,"
        "\"docs\":%ld,\"calls\":%zu,\"over_ms\":{\"p50\":%.2f,\"p90\":%.2f,"
        "\"p99\":%.2f,\"max\":%.2f},\"scored\":%.1f,\"none\":%zu,\"invalid\":%zu,"
        "\"pairs_s\":%.1f,\"tokens_s\":%.0f,\"cores\":%.2f",
        b->model, clients == 0 ? 1 : clients, b->budget_ms, b->docs, b->calls,
        percentile(b->over_ms, b->calls, 0.50), percentile(b->over_ms, b->calls, 0.90),
        percentile(b->over_ms, b->calls, 0.99), percentile(b->over_ms, b->calls, 1.0),
        (double)b->scored / calls, b->none, b->invalid, (double)b->scored / seconds,
        (double)b->tokens / seconds, cpu / seconds);
    if (b->embeds > 0) {
        qsort(b->embed_ms, b->embeds, sizeof *b->embed_ms, compare);
        printf(",\"embed_ms\":{\"count\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}",
               b->embeds, percentile(b->embed_ms, b->embeds, 0.50),
               percentile(b->embed_ms, b->embeds, 0.99),
               percentile(b->embed_ms, b->embeds, 1.0));
    }
    printf("}\n");
    (void)fflush(stdout);
}

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_row(bench *b, long clients)
{
    pthread_t ids[CLIENTS_MAX + 1];
    long n = clients == 0 ? 1 : clients > CLIENTS_MAX ? CLIENTS_MAX : clients;
    b->calls = b->scored = b->invalid = b->none = b->embeds = 0;
    b->tokens = 0;
    double cpu = cpu_seconds();
    int64_t begin = qn_clock_mono_ns();
    b->end_ns = begin + b->seconds * 1000000000;
    for (long i = 0; i < n; i++)
        if (pthread_create(&ids[i], NULL, client_main, b) != 0) abort();
    bool embed = b->embedder != NULL;
    if (embed && pthread_create(&ids[n], NULL, embedder_main, b) != 0) abort();
    for (long i = 0; i < n + embed; i++) (void)pthread_join(ids[i], NULL);
    print_row(b, clients, (double)(qn_clock_mono_ns() - begin) / 1e9,
              cpu_seconds() - cpu);
}

/* ---- the program ------------------------------------------------------------------- */

static void take_option(bench *b, const char *arg)
{
    const struct {
        const char *name;
        long *to;
    } numbers[] = {{"budget_ms=", &b->budget_ms},
                   {"docs=", &b->docs},
                   {"words=", &b->words},
                   {"threads=", &b->threads},
                   {"seconds=", &b->seconds}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t n = strlen(numbers[i].name);
        if (strncmp(arg, numbers[i].name, n) != 0) continue;
        *numbers[i].to = strtol(arg + n, NULL, 10);
        return;
    }
    if (strncmp(arg, "clients=", 8) == 0)
        b->clients = arg + 8;
    else if (strncmp(arg, "embedder=", 9) == 0)
        b->embedder = arg + 9;
    else {
        fprintf(stderr, "bench_deadline: what is %s?\n", arg);
        exit(2);
    }
}

/* All scores without a limit: what the others must equal. */
static void learn_logits(bench *b)
{
    qn_error err;
    quern_rerank_score *scores = calloc((size_t)b->docs, sizeof *scores);
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    o.model = b->model;
    o.not_kept = true;
    if (scores == NULL ||
        quern_rerank(b->q, &o, (quern_text){query, sizeof query - 1}, b->texts,
                     (size_t)b->docs, scores, NULL, &err) != QN_OK) {
        fprintf(stderr, "bench_deadline: %s\n", err.text);
        exit(1);
    }
    for (long i = 0; i < b->docs; i++) {
        b->logits[i] = scores[i].logit;
        b->known[i] = true;
    }
    free(scores);
}

int main(int argc, char **argv)
{
    static bench b = {.clients = "0,8",
                      .budget_ms = 800,
                      .docs = 50,
                      .words = 600,
                      .threads = 2,
                      .seconds = 20};
    if (argc < 3) {
        fprintf(stderr, "usage: bench_deadline FOLDER MODEL [clients=0,8] "
                        "[budget_ms=800] [docs=50] [words=600] [threads=2] "
                        "[seconds=20] [embedder=MODEL]\n");
        return 2;
    }
    b.folder = argv[1];
    b.model = argv[2];
    for (int i = 3; i < argc; i++) take_option(&b, argv[i]);
    if (b.docs < 1 || b.docs > DOCS_MAX || b.words < 1) return 2;
    (void)pthread_mutex_init(&b.lock, NULL);
    make_texts(&b);
    char data[] = "/tmp/bench_deadline_XXXXXX";
    if (mkdtemp(data) == NULL) return 1;
    qn_error err;
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = data;
    o.models_dir = b.folder;
    o.neural_threads = (unsigned)b.threads;
    if (quern_open(&o, &b.q, &err) != QN_OK) {
        fprintf(stderr, "bench_deadline: %s\n", err.text);
        return 1;
    }
    print_looks(&b);
    learn_logits(&b);
    for (const char *p = b.clients; *p != 0;) {
        char *end = NULL;
        run_row(&b, strtol(p, &end, 10));
        p = *end == ',' ? end + 1 : end + strlen(end);
    }
    quern_close(b.q);
    return qn_dir_remove(data, &err) == QN_OK ? 0 : 1;
}
