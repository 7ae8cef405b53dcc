/* SPDX-License-Identifier: Apache-2.0 */
/* bench_query -- the executors alone: one segment in memory, every query of a file
 * several times, on one thread.
 *
 *     bench_query SEGMENT CORPUS.jsonl QUERIES.tsv or|and|phrase|term|best
 *                 [K] [TOTAL_LIMIT] [DROP] [ROUNDS] [SLOP]
 *
 * SEGMENT is written from the corpus when it is not there. `term`: each word of the
 * file alone; `best`: over title and text. TOTAL_LIMIT 0 counts every match. DROP (0,
 * 50, 90, 99) adds a filter that takes that many percent of the documents away. Every
 * query is first answered without passing over anything, and both answers compared.
 * With BENCH_HITS in the environment the answers are printed, with BENCH_EACH the time of
 * every query. One JSON line: the geometric mean over the queries of each one's fastest round, in
 * microseconds, of executing and of parsing. */
#include "base/clock.h"
#include "index/segment_builder.h"
#include "io/file.h"
#include "io/json.h"
#include "query/exec.h"
#include "query/filter_cache.h"
#include "query/request.h"
#include "text/analyzer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TITLE, TEXT, SPACE, FIELDS, QUERIES_MAX = 20000 };

typedef struct bench {
    qn_analyzers *analyzers;
    qn_field fields[FIELDS];
    qn_schema schema;
    qn_segment *segment;
    qn_segment_view view;
    qn_snapshot_view snapshot;
    qn_filter_cache *filters;
    const char *op;
    size_t k, rounds;
    int64_t total_limit, drop, slop;
    qn_slice queries[QUERIES_MAX];
    size_t query_count;
} bench;

static bench b;
static qn_error err;

static void must(qn_status st)
{
    if (st == QN_OK) return;
    (void)fprintf(stderr, "%s\n", err.text);
    exit(1);
}

/* ---- the segment ------------------------------------------------------------------- */

static void add_text(qn_segment_builder *to, int field, qn_slice text, qn_arena *arena)
{
    const qn_analyzer *how;
    qn_token_list tokens = {0};
    must(qn_analyzer_find(b.analyzers, qn_slice_of("standard"), &how, &err));
    must(qn_analyzer_run(how, text, arena, &tokens, &err));
    for (size_t i = 0; i < tokens.n; i++)
        must(qn_segment_builder_term(to, &b.fields[field], tokens.p[i].term,
                                     tokens.p[i].position, &err));
}

static void add_document(qn_segment_builder *to, qn_slice line, qn_rng *rng)
{
    static const char *const spaces[] = {"half", "tenth", "hundredth"};
    static const unsigned out_of[] = {2, 10, 100};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *doc;
    uint32_t number;
    must(qn_json_parse(&arena, line, &doc, &err));
    must(qn_segment_builder_begin(to, qn_json_get(doc, "_id")->string, &number, &err));
    add_text(to, TITLE, qn_json_get(doc, "title")->string, &arena);
    add_text(to, TEXT, qn_json_get(doc, "text")->string, &arena);
    for (size_t i = 0; i < 3; i++)
        if (qn_rng_next(rng) % out_of[i] == 0)
            must(qn_segment_builder_keyword(to, &b.fields[SPACE],
                                            qn_slice_of(spaces[i]), &err));
    qn_arena_deinit(&arena);
}

static void build(const char *path, const char *corpus)
{
    qn_segment_builder *to;
    must(qn_segment_builder_create(qn_alloc_heap(), 1, &to, &err));
    FILE *in = fopen(corpus, "r");
    if (in == NULL) {
        perror(corpus);
        exit(1);
    }
    char *line = NULL;
    size_t room = 0;
    qn_rng rng = {1};
    for (ssize_t n; (n = getline(&line, &room, in)) > 0;)
        add_document(to, (qn_slice){line, (size_t)n}, &rng);
    free(line);
    (void)fclose(in);
    qn_blockfile_writer *w;
    must(qn_blockfile_writer_create(qn_alloc_heap(), path, QN_SEGMENT_MAGIC,
                                    QN_SEGMENT_VERSION, &w, &err));
    must(qn_segment_builder_write(to, w, &err));
    must(qn_blockfile_finish(w, false, &err));
    qn_blockfile_writer_destroy(w);
    qn_segment_builder_destroy(to);
}

static void open_segment(const char *path, const char *corpus)
{
    static const char *const names[] = {"title", "text", "space"};
    for (uint32_t i = 0; i < FIELDS; i++)
        b.fields[i] = (qn_field){.id = i,
                                 .name = qn_slice_of(names[i]),
                                 .type = i == SPACE ? QN_FIELD_KEYWORD : QN_FIELD_TEXT,
                                 .indexed = true,
                                 .analyzer = "standard"};
    b.schema = (qn_schema){.fields = b.fields, .field_count = FIELDS};
    must(qn_analyzers_create(qn_alloc_heap(), &b.analyzers, &err));
    FILE *there = fopen(path, "r");
    if (there == NULL)
        build(path, corpus);
    else
        (void)fclose(there);
    qn_blockfile *file;
    must(qn_blockfile_open(qn_alloc_heap(), path, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION,
                           &file, &err));
    must(qn_segment_open(qn_alloc_heap(), file, &b.segment, &err));
    must(qn_filter_cache_create(qn_alloc_heap(), 1 << 26, QN_FILTER_DOCS_MIN,
                                &b.filters, &err));
    b.view = (qn_segment_view){
        .segment = b.segment, .uid = 1, .doc_count = qn_segment_doc_count(b.segment)};
    b.snapshot = (qn_snapshot_view){.schema = &b.schema,
                                    .segments = &b.view,
                                    .segment_count = 1,
                                    .filters = b.filters,
                                    .doc_count = b.view.doc_count};
}

/* ---- queries ----------------------------------------------------------------------- */

static void add_query(qn_slice words)
{
    for (size_t i = 0; i < b.query_count; i++)
        if (qn_slice_eq(b.queries[i], words)) return;
    if (b.query_count < QUERIES_MAX && words.n > 0) b.queries[b.query_count++] = words;
}

static void split_queries(qn_slice text)
{
    bool words = strcmp(b.op, "term") == 0, from_tab = false;
    const char *begin = text.p;
    for (size_t i = 0; i < text.n; i++) {
        char ch = text.p[i];
        if (ch != '\t' && ch != '\n' && !(words && ch == ' ')) continue;
        if (from_tab) add_query((qn_slice){begin, (size_t)(text.p + i - begin)});
        from_tab = ch == '\t' || (from_tab && ch == ' ');
        begin = text.p + i + 1;
    }
}

static void write_body(qn_slice words, qn_buf *out)
{
    static const char *const filters[] = {"half", "tenth", "hundredth"};
    if (b.drop > 0) {
        const char *space = filters[b.drop >= 99 ? 2 : b.drop >= 90 ? 1 : 0];
        qn_buf_printf(
            out,
            "{\"bool\":{\"filter\":{\"term\":{\"space\":\"%s\"}},\"must\":", space);
    }
    if (strcmp(b.op, "phrase") == 0)
        qn_buf_printf(out, "{\"match_phrase\":{\"text\":{\"query\":\"%.*s\"",
                      QN_SLICE_ARG(words));
    else if (strcmp(b.op, "best") == 0)
        qn_buf_printf(out,
                      "{\"multi_match\":{\"fields\":[\"title\",\"text\"],"
                      "\"query\":\"%.*s\"}}",
                      QN_SLICE_ARG(words));
    else
        qn_buf_printf(out,
                      "{\"match\":{\"text\":{\"query\":\"%.*s\",\"operator\":\"%s\"",
                      QN_SLICE_ARG(words), strcmp(b.op, "and") == 0 ? "and" : "or");
    if (strcmp(b.op, "phrase") == 0 && b.slop > 0)
        qn_buf_printf(out, ",\"slop\":%lld", (long long)b.slop);
    if (strcmp(b.op, "best") != 0) qn_buf_printf(out, "}}}");
    if (b.drop > 0) qn_buf_printf(out, "}}");
}

static const qn_query *parse(qn_arena *arena, qn_slice body)
{
    const qn_query_env env = {.schema = &b.schema, .analyzers = b.analyzers};
    const qn_json *json;
    const qn_query *q;
    must(qn_json_parse(arena, body, &json, &err));
    must(qn_dsl_parse_query(arena, &env, body, json, &q, &err));
    return q;
}

/* The same answer as from all matches? */
static uint64_t check(const qn_query *q, const qn_exec_options *options, qn_slice words)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_exec_result fast, full;
    qn_exec_options all = *options;
    all.total_limit = 0;
    must(qn_query_execute(&b.snapshot, q, &all, &arena, &full, &err));
    must(qn_query_execute(&b.snapshot, q, options, &arena, &fast, &err));
    if (fast.count != full.count || memcmp(fast.candidates, full.candidates,
                                           full.count * sizeof *full.candidates) != 0) {
        (void)fprintf(stderr, "%.*s: another answer\n", QN_SLICE_ARG(words));
        for (size_t i = 0; i < full.count || i < fast.count; i++)
            (void)fprintf(stderr, "%zu: %u %.9g, %u %.9g\n", i,
                          i < full.count ? full.candidates[i].doc : 0,
                          i < full.count ? (double)full.candidates[i].score : 0,
                          i < fast.count ? fast.candidates[i].doc : 0,
                          i < fast.count ? (double)fast.candidates[i].score : 0);
        exit(1);
    }
    for (size_t i = 0; i < full.count && getenv("BENCH_HITS") != NULL; i++) {
        qn_slice id;
        must(qn_segment_id(b.segment, full.candidates[i].doc, &id, &err));
        (void)printf("%.*s\t%.*s\t%.9g\n", QN_SLICE_ARG(words), QN_SLICE_ARG(id),
                     (double)full.candidates[i].score);
    }
    uint64_t total = full.total;
    qn_arena_deinit(&arena);
    return total;
}

static void ask(qn_slice body, const qn_exec_options *options, int64_t *parse_ns,
                int64_t *run_ns)
{
    static qn_arena arena;
    qn_exec_result r;
    if (arena.alloc == NULL) qn_arena_init(&arena, qn_alloc_heap(), 0);
    int64_t began = qn_clock_mono_ns();
    const qn_query *q = parse(&arena, body);
    int64_t parsed = qn_clock_mono_ns();
    must(qn_query_execute(&b.snapshot, q, options, &arena, &r, &err));
    qn_arena_reset(&arena);
    int64_t ended = qn_clock_mono_ns();
    if (parsed - began < *parse_ns) *parse_ns = parsed - began;
    if (ended - parsed < *run_ns) *run_ns = ended - parsed;
}

static int by_value(const void *x, const void *y)
{
    const double *a = x, *c = y;
    return (*a > *c) - (*a < *c);
}

typedef struct times {
    qn_buf body;
    int64_t parse_ns, run_ns;
    uint64_t matches;
} times;

static void print(times *t)
{
    double log_run = 0, log_parse = 0, sum = 0, matches = 0, n = (double)b.query_count;
    double *each = calloc(b.query_count + 1, sizeof *each);
    if (each == NULL || b.query_count == 0) exit(1);
    for (size_t i = 0; i < b.query_count; i++) {
        each[i] = (double)t[i].run_ns / 1e3;
        log_run += log(each[i]);
        log_parse += log((double)t[i].parse_ns / 1e3);
        sum += each[i];
        matches += (double)t[i].matches;
        if (getenv("BENCH_EACH") != NULL)
            (void)printf("%.*s\t%llu\t%.1f\n", QN_SLICE_ARG(b.queries[i]),
                         (unsigned long long)t[i].matches, each[i]);
        qn_buf_deinit(&t[i].body);
    }
    qsort(each, b.query_count, sizeof *each, by_value);
    (void)printf("{\"bench\":\"query\",\"op\":\"%s\",\"k\":%zu,\"total_limit\":%lld,"
                 "\"drop\":%lld,\"queries\":%zu,\"geomean_us\":%.2f,\"mean_us\":%.2f,"
                 "\"p50_us\":%.2f,\"max_us\":%.1f,\"parse_us\":%.2f,"
                 "\"matches_per_us\":%.0f}\n",
                 b.op, b.k, (long long)b.total_limit, (long long)b.drop, b.query_count,
                 exp(log_run / n), sum / n, each[b.query_count / 2],
                 each[b.query_count - 1], exp(log_parse / n), matches / sum);
    free(each);
}

static void run_all(void)
{
    qn_exec_options options = {.top_n = b.k, .total_limit = b.total_limit};
    times *t = calloc(b.query_count + 1, sizeof *t);
    if (t == NULL) exit(1);
    for (size_t i = 0; i < b.query_count; i++) {
        t[i] = (times){{.alloc = qn_alloc_heap()}, INT64_MAX, INT64_MAX, 0};
        write_body(b.queries[i], &t[i].body);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        t[i].matches =
            check(parse(&arena, qn_buf_slice(&t[i].body)), &options, b.queries[i]);
        qn_arena_deinit(&arena);
    }
    for (size_t r = 0; r < b.rounds; r++)
        for (size_t i = 0; i < b.query_count; i++)
            ask(qn_buf_slice(&t[i].body), &options, &t[i].parse_ns, &t[i].run_ns);
    print(t);
    free(t);
}

static int64_t number(int argc, char **argv, int i, int64_t otherwise)
{
    int64_t v = otherwise;
    if (i < argc && !qn_slice_to_i64(qn_slice_of(argv[i]), &v)) exit(2);
    return v;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        (void)fprintf(stderr,
                      "bench_query SEGMENT CORPUS.jsonl QUERIES.tsv "
                      "or|and|phrase|term|best [K] [TOTAL_LIMIT] [DROP] [ROUNDS] "
                      "[SLOP]\n");
        return 2;
    }
    b.op = argv[4];
    b.k = (size_t)number(argc, argv, 5, 10);
    b.total_limit = number(argc, argv, 6, 1);
    b.drop = number(argc, argv, 7, 0);
    b.rounds = (size_t)number(argc, argv, 8, 10);
    b.slop = number(argc, argv, 9, 0);
    open_segment(argv[1], argv[2]);
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    must(qn_file_read(argv[3], 1 << 24, &text, &err));
    split_queries(qn_buf_slice(&text));
    run_all();
    qn_buf_deinit(&text);
    qn_filter_cache_destroy(b.filters);
    qn_segment_close(b.segment);
    qn_analyzers_destroy(b.analyzers);
    return 0;
}
