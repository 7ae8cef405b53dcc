/* SPDX-License-Identifier: Apache-2.0 */
/* text_open.c -- `open`: the first answer of an index that no memory holds; `mixed`: answers
 * while documents arrive. */
#include "text_peer.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- open ------------------------------------------------------------------------------ */

typedef struct folder {
    const char *path;
} folder;

/* Takes a file out of the page cache; nothing may have it mapped. */
static void forget(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fdatasync(fd); /* dirty pages stay otherwise */
    if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) peer_die("fadvise", path);
    (void)close(fd);
}

static bool forget_entry(void *ctx, const char *name, bool is_dir)
{
    const folder *in = ctx;
    char path[4096];
    qn_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", in->path, name);
    folder below = {path};
    if (is_dir)
        peer_check(qn_dir_list(path, forget_entry, &below, &err), &err);
    else
        forget(path);
    return true;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

void peer_run_open(const peer_options *o)
{
    enum { ROUNDS_MAX = 1000 };
    static int64_t opened[ROUNDS_MAX], answered[ROUNDS_MAX];
    peer_topics topics;
    size_t rounds = peer_number(o, "rounds", 10);
    folder index_folder = {peer_required(o, "index")};
    peer_topics_read(peer_required(o, "queries"), &topics);
    if (rounds == 0 || rounds > ROUNDS_MAX || topics.list.n == 0)
        peer_die("open", "no rounds, too many, or no queries");
    for (size_t i = 0; i < rounds; i++) {
        qn_error err = {0};
        peer_check(qn_dir_list(index_folder.path, forget_entry, &index_folder, &err),
                   &err);
        qn_arena arena;
        peer_index index;
        qn_exec_result found;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        int64_t start = qn_clock_mono_ns();
        peer_index_open(o, &index);
        opened[i] = qn_clock_mono_ns() - start;
        peer_search(&index, topics.list.p[i % topics.list.n].text, &arena, &found);
        answered[i] = qn_clock_mono_ns() - start;
        qn_arena_deinit(&arena);
        peer_index_close(&index);
    }
    qsort(opened, rounds, sizeof *opened, by_value);
    qsort(answered, rounds, sizeof *answered, by_value);
    printf("engine=quern open_ms_min=%.2f open_ms_median=%.2f first_answer_ms_min=%.2f "
           "first_answer_ms_median=%.2f first_answer_ms_max=%.2f rounds=%zu\n",
           (double)opened[0] / 1e6, (double)opened[rounds / 2] / 1e6,
           (double)answered[0] / 1e6, (double)answered[rounds / 2] / 1e6,
           (double)answered[rounds - 1] / 1e6, rounds);
    peer_topics_free(&topics);
}

/* ---- mixed ----------------------------------------------------------------------------- */

enum { SAMPLES_MAX = 1 << 22, WRITE_BATCH = 500 };

typedef struct writer {
    quern *q;
    const char *corpus;
    atomic_bool stop;
    size_t docs;
    uint64_t bytes;
} writer;

/* Documents under fresh ids, over and over, at full rate. */
static void *write_all(void *ctx)
{
    writer *w = ctx;
    static quern_op ops[WRITE_BATCH];
    static quern_op_result results[WRITE_BATCH];
    static char ids[WRITE_BATCH][32];
    peer_corpus corpus;
    peer_corpus_open(w->corpus, &corpus);
    while (!atomic_load(&w->stop)) {
        size_t n = 0;
        qn_slice line;
        qn_error err = {0};
        while (n < WRITE_BATCH) {
            if (!peer_corpus_next(&corpus, &line)) {
                corpus.at = (const char *)corpus.file.p;
                continue;
            }
            int id = snprintf(ids[n], sizeof ids[n], "mixed-%zu", w->docs + n);
            ops[n] = (quern_op){.kind = QUERN_OP_INDEX,
                                .id = ids[n],
                                .id_size = (size_t)id,
                                .source = line.p,
                                .source_size = line.n,
                                .if_seq_no = QUERN_SEQ_NONE};
            w->bytes += line.n;
            n++;
        }
        peer_check(quern_write(w->q, PEER_TABLE, ops, n, NULL, results, &err), &err);
        for (size_t i = 0; i < n; i++)
            if (results[i].status != QN_OK) peer_die("write", results[i].error.text);
        w->docs += n;
    }
    peer_corpus_close(&corpus);
    return NULL;
}

/* Every query in turn for so many seconds, each on the snapshot of its moment. */
static void search_for(peer_index *index, const peer_topics *topics, double seconds,
                       const char *phase, int64_t *ns)
{
    size_t n = 0;
    int64_t start = qn_clock_mono_ns();
    qn_arena arena;
    qn_arena_init(&arena, index->alloc, 0);
    while (n < SAMPLES_MAX && (double)(qn_clock_mono_ns() - start) * 1e-9 < seconds) {
        qn_exec_result found;
        int64_t before = qn_clock_mono_ns();
        index->snapshot = qn_table_search(index->table);
        peer_search(index, topics->list.p[n % topics->list.n].text, &arena, &found);
        qn_table_snapshot_release(index->snapshot);
        ns[n++] = qn_clock_mono_ns() - before;
        qn_arena_reset(&arena);
    }
    qn_arena_deinit(&arena);
    qsort(ns, n, sizeof *ns, by_value);
    printf("engine=quern phase=%s searches=%zu p50_us=%.1f p90_us=%.1f p99_us=%.1f "
           "p999_us=%.1f max_us=%.1f\n",
           phase, n, (double)ns[n / 2] / 1e3, (double)ns[n * 9 / 10] / 1e3,
           (double)ns[n * 99 / 100] / 1e3, (double)ns[n * 999 / 1000] / 1e3,
           (double)ns[n - 1] / 1e3);
    (void)fflush(stdout);
}

void peer_run_mixed(const peer_options *o)
{
    peer_index index = {.alloc = qn_alloc_heap(),
                        .fields = peer_text(o, "fields", "text"),
                        .op = peer_text(o, "op", "or"),
                        .k = peer_number(o, "k", 10)};
    quern_options options = QUERN_OPTIONS_INIT;
    peer_topics topics;
    qn_error err = {0};
    double seconds = (double)peer_number(o, "seconds", 20);
    int64_t *ns = calloc(SAMPLES_MAX, sizeof *ns);
    options.data_dir = peer_required(o, "index");
    writer w = {.corpus = peer_required(o, "corpus")};
    peer_topics_read(peer_required(o, "queries"), &topics);
    if (ns == NULL || topics.list.n == 0) peer_die("mixed", "no memory or no queries");
    peer_check(quern_open(&options, &index.q, &err), &err);
    peer_check(qn_engine_table(index.q, PEER_TABLE, &index.table, &err), &err);
    w.q = index.q;
    search_for(&index, &topics, 3, "warm", ns);
    search_for(&index, &topics, seconds, "idle", ns);
    pthread_t thread;
    int64_t start = qn_clock_mono_ns();
    if (pthread_create(&thread, NULL, write_all, &w) != 0) peer_die("mixed", "thread");
    search_for(&index, &topics, seconds, "ingest", ns);
    atomic_store(&w.stop, true);
    (void)pthread_join(thread, NULL);
    double took = (double)(qn_clock_mono_ns() - start) * 1e-9;
    printf("engine=quern ingested=%zu mb_per_s=%.1f\n", w.docs,
           (double)w.bytes * 1e-6 / took);
    search_for(&index, &topics, seconds, "idle-again", ns);
    qn_table_release(index.table);
    quern_close(index.q);
    peer_topics_free(&topics);
    free(ns);
}
