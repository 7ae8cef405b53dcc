/* SPDX-License-Identifier: Apache-2.0 */
/* text_index.c -- `index`: a JSONL corpus becomes a table (quern_write: JSON, log, sources,
 * everything a user pays for) or, with --via builder, one segment (analysis, postings,
 * file: what the peers do). */
#include "text_peer.h"

#include "io/json.h"
#include "text/analyzer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000 };

typedef struct job {
    const peer_options *options;
    peer_corpus corpus;
    size_t docs_max, docs;
    uint64_t text_bytes;  /* of the indexed fields */
    int64_t parse_cpu_ns; /* of JSON; --via builder only */
    qn_slice fields[8];
    size_t field_count;
} job;

static void split_fields(job *j)
{
    qn_slice rest = qn_slice_of(peer_text(j->options, "fields", "title,text"));
    while (rest.n > 0 && j->field_count < sizeof j->fields / sizeof *j->fields) {
        const char *comma = memchr(rest.p, ',', rest.n);
        size_t used = comma == NULL ? rest.n : (size_t)(comma - rest.p);
        j->fields[j->field_count++] = (qn_slice){rest.p, used};
        used += comma != NULL;
        rest = (qn_slice){rest.p + used, rest.n - used};
    }
}

static void write_schema(const job *j, qn_buf *out)
{
    qn_buf_printf(out, "{\"mappings\":{\"dynamic\":\"false\",\"properties\":{");
    for (size_t i = 0; i < j->field_count; i++)
        qn_buf_printf(out, "\"%.*s\":{\"type\":\"text\",\"analyzer\":\"%s\"},",
                      QN_SLICE_ARG(j->fields[i]),
                      peer_text(j->options, "analyzer", "standard"));
    qn_buf_printf(out,
                  "\"ns50\":{\"type\":\"keyword\"},\"ns90\":{\"type\":\"keyword\"},"
                  "\"ns99\":{\"type\":\"keyword\"}}}}");
}

/* Bytes of a text inside its quotes, escapes as they stand: near enough for a rate, and
 * not on the clock. */
static uint64_t text_bytes(const job *j, qn_slice line)
{
    qn_arena arena;
    qn_error err = {0};
    const qn_json *root = NULL;
    uint64_t sum = 0;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    peer_check(qn_json_parse(&arena, line, &root, &err), &err);
    for (const qn_json *m = qn_json_items(root); m != NULL; m = m->next)
        for (size_t i = 0; i < j->field_count; i++)
            if (qn_slice_eq(m->key, j->fields[i])) sum += m->string.n;
    qn_arena_deinit(&arena);
    return sum;
}

/* With --namespaces: three keywords, "in" for 50, 10 and 1 of 100 documents, spread by a
 * hash of the document's number. */
static void add_namespaces(size_t number, qn_slice line, qn_buf *out)
{
    uint64_t bucket = (number * UINT64_C(0x9E3779B97F4A7C15) >> 40) % 100;
    qn_buf_add(out, line.p, line.n - 1); /* without the brace */
    qn_buf_printf(out, ",\"ns50\":\"%s\",\"ns90\":\"%s\",\"ns99\":\"%s\"}",
                  bucket < 50 ? "in" : "out", bucket < 10 ? "in" : "out",
                  bucket < 1 ? "in" : "out");
}

static qn_slice id_of(qn_slice line)
{
    static const char head[] = "{\"_id\": \"";
    if (line.n < sizeof head || memcmp(line.p, head, sizeof head - 1) != 0)
        peer_die("corpus", "lines must begin with {\"_id\": \"");
    const char *p = line.p + sizeof head - 1;
    const char *end = memchr(p, '"', line.n - (sizeof head - 1));
    return (qn_slice){p, (size_t)(end - p)};
}

static void write_batch(quern *q, const quern_op *ops, size_t n,
                        quern_op_result *results)
{
    qn_error err = {0};
    peer_check(quern_write(q, PEER_TABLE, ops, n, NULL, results, &err), &err);
    for (size_t i = 0; i < n; i++)
        if (results[i].status != QN_OK) peer_die("document", results[i].error.text);
}

static void feed_table(job *j, quern *q, int64_t *cpu_ns)
{
    bool spaces = peer_option(j->options, "namespaces") != NULL;
    static quern_op ops[BATCH];
    static quern_op_result results[BATCH];
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    static size_t begin[BATCH + 1];
    bool more = true;
    while (more && j->docs < j->docs_max) {
        size_t n = 0;
        qn_slice line;
        qn_buf_reset(&text);
        while (n < BATCH && j->docs + n < j->docs_max &&
               (more = peer_corpus_next(&j->corpus, &line))) {
            qn_slice id = id_of(line);
            ops[n] = (quern_op){.kind = QUERN_OP_INDEX,
                                .id = id.p,
                                .id_size = id.n,
                                .source = line.p,
                                .source_size = line.n,
                                .if_seq_no = QUERN_SEQ_NONE};
            j->text_bytes += text_bytes(j, line);
            begin[n++] = text.n;
            if (spaces) add_namespaces(j->docs + n, line, &text);
        }
        begin[n] = text.n;
        for (size_t i = 0; spaces && i < n; i++) {
            ops[i].source = text.p + begin[i];
            ops[i].source_size = begin[i + 1] - begin[i];
        }
        if (n == 0) break;
        int64_t before = peer_process_cpu_ns();
        write_batch(q, ops, n, results);
        *cpu_ns += peer_process_cpu_ns() - before;
        j->docs += n;
    }
    qn_buf_deinit(&text);
}

static void report(const job *j, const char *engine, double wall, double cpu,
                   double unmerged, uint64_t bytes, uint64_t index_bytes,
                   uint64_t id_bytes)
{
    double mb = (double)j->text_bytes * 1e-6;
    printf("engine=%s docs=%zu text_mb=%.1f wall_s=%.2f cpu_s=%.2f docs_per_s=%.0f "
           "mb_per_cpu_s=%.2f mb_per_cpu_s_unmerged=%.2f table_bytes=%llu "
           "index_bytes=%llu id_bytes=%llu\n",
           engine, j->docs, mb, wall, cpu, (double)j->docs / wall, mb / cpu,
           mb / unmerged, (unsigned long long)bytes, (unsigned long long)index_bytes,
           (unsigned long long)id_bytes);
}

/* Bytes of the table's segments: all, those of the index alone (sources left out, as the
 * peers keep none), and of these the hash table by id, which the peers do not have either:
 * four bytes a slot, five slots for four documents. */
static void measure_table(quern *q, uint64_t *all, uint64_t *index, uint64_t *ids)
{
    qn_error err = {0};
    qn_table *t = NULL;
    peer_check(qn_engine_table(q, PEER_TABLE, &t, &err), &err);
    qn_table_snapshot *s = qn_table_current(t);
    for (size_t i = 0; i < s->view.segment_count; i++) {
        uint64_t n = s->view.segments[i].doc_count;
        *ids += 4 * (n + n / 4 + 1);
        const qn_blockfile *file = qn_segment_file(s->view.segments[i].segment);
        for (size_t k = 0; k < qn_blockfile_count(file); k++) {
            uint32_t kind = 0, id = 0;
            uint64_t at = 0, size = 0;
            qn_blockfile_entry(file, k, &kind, &id, &at, &size);
            *all += size;
            if (kind != QN_BLOCK_SOURCES) *index += size;
        }
    }
    qn_table_snapshot_release(s);
    qn_table_release(t);
}

static void index_table(job *j)
{
    quern_options options = QUERN_OPTIONS_INIT;
    quern *q = NULL;
    qn_error err = {0};
    qn_buf schema;
    options.data_dir = peer_required(j->options, "out");
    /* A builder may hold a quarter of the budget; the peers buffer as much. */
    options.memory_budget_bytes = (uint64_t)peer_number(j->options, "ram-mb", 256)
                                  << 22;
    options.async_commit = peer_option(j->options, "async") != NULL;
    if (qn_file_exists(options.data_dir)) {
        char tables[4096];
        (void)snprintf(tables, sizeof tables, "%s/tables", options.data_dir);
        if (!qn_file_exists(tables)) peer_die("--out is not empty", options.data_dir);
        peer_check(qn_dir_remove(options.data_dir, &err), &err);
    }
    peer_check(quern_open(&options, &q, &err), &err);
    qn_buf_init(&schema, qn_alloc_heap());
    write_schema(j, &schema);
    peer_check(quern_table_create(q, PEER_TABLE, schema.p, schema.n, &err), &err);
    qn_buf_deinit(&schema);
    int64_t wall = qn_clock_mono_ns(), cpu = 0;
    feed_table(j, q, &cpu);
    int64_t flush = peer_process_cpu_ns();
    peer_check(quern_flush(q, PEER_TABLE, &err), &err);
    int64_t unmerged = cpu + peer_process_cpu_ns() - flush;
    if (peer_option(j->options, "merge") != NULL)
        peer_check(quern_table_optimize(q, PEER_TABLE, &err), &err);
    cpu += peer_process_cpu_ns() - flush;
    wall = qn_clock_mono_ns() - wall;
    uint64_t all = 0, index = 0, ids = 0;
    measure_table(q, &all, &index, &ids);
    report(j, "quern", (double)wall * 1e-9, (double)cpu * 1e-9, (double)unmerged * 1e-9,
           all, index, ids);
    quern_close(q);
}

/* ---- --via builder --------------------------------------------------------------------- */

typedef struct direct {
    qn_analyzers *analyzers;
    const qn_analyzer *analyzer;
    qn_segment_builder *builder;
    QN_VEC(qn_segment_token) tokens;
} direct;

static void add_text(direct *d, const qn_field *f, qn_slice text, qn_arena *arena)
{
    qn_error err = {0};
    qn_token_list list = {0};
    peer_check(qn_analyzer_run(d->analyzer, text, arena, &list, &err), &err);
    d->tokens.n = 0;
    for (size_t i = 0; i < list.n; i++) {
        qn_segment_token t = {list.p[i].term, list.p[i].position};
        if (!qn_vec_push(qn_alloc_heap(), &d->tokens, t)) peer_die("token", "memory");
    }
    peer_check(qn_segment_builder_terms(d->builder, f, d->tokens.p, d->tokens.n, &err),
               &err);
}

static void add_document(job *j, direct *d, const qn_json *root, qn_arena *arena)
{
    qn_error err = {0};
    uint32_t doc = 0;
    peer_check(qn_segment_builder_begin(d->builder, qn_json_get(root, "_id")->string,
                                        &doc, &err),
               &err);
    for (size_t i = 0; i < j->field_count; i++) {
        const qn_field f = {.id = (uint32_t)i, .type = QN_FIELD_TEXT, .indexed = true};
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", QN_SLICE_ARG(j->fields[i]));
        const qn_json *text = qn_json_get(root, name);
        if (text == NULL) continue;
        j->text_bytes += text->string.n;
        add_text(d, &f, text->string, arena);
        qn_arena_reset(arena);
    }
    j->docs++;
}

/* JSON is parsed a batch at a time, off the clock. */
static void feed_builder(job *j, direct *d)
{
    static const qn_json *roots[BATCH];
    qn_arena json, words;
    qn_arena_init(&json, qn_alloc_heap(), 0);
    qn_arena_init(&words, qn_alloc_heap(), 0);
    for (bool more = true; more;) {
        qn_error err = {0};
        qn_slice line;
        size_t n = 0;
        int64_t before = peer_process_cpu_ns();
        while (n < BATCH && j->docs + n < j->docs_max &&
               (more = peer_corpus_next(&j->corpus, &line)))
            peer_check(qn_json_parse(&json, line, &roots[n++], &err), &err);
        j->parse_cpu_ns += peer_process_cpu_ns() - before;
        more = more && n > 0;
        for (size_t i = 0; i < n; i++) add_document(j, d, roots[i], &words);
        qn_arena_deinit(&json);
    }
    qn_arena_deinit(&words);
}

static void index_builder(job *j)
{
    direct d = {0};
    qn_error err = {0};
    const char *out = peer_required(j->options, "out");
    peer_check(qn_analyzers_create(qn_alloc_heap(), &d.analyzers, &err), &err);
    peer_check(
        qn_analyzer_find(d.analyzers,
                         qn_slice_of(peer_text(j->options, "analyzer", "standard")),
                         &d.analyzer, &err),
        &err);
    peer_check(qn_segment_builder_create(qn_alloc_heap(), 1, &d.builder, &err), &err);
    int64_t wall = qn_clock_mono_ns(), cpu = peer_process_cpu_ns();
    feed_builder(j, &d);
    qn_blockfile_writer *w = NULL;
    peer_check(qn_blockfile_writer_create(qn_alloc_heap(), out, QN_SEGMENT_MAGIC,
                                          QN_SEGMENT_VERSION, &w, &err),
               &err);
    peer_check(qn_segment_builder_write(d.builder, w, &err), &err);
    peer_check(qn_blockfile_finish(w, true, &err), &err);
    qn_blockfile_writer_destroy(w);
    cpu = peer_process_cpu_ns() - cpu - j->parse_cpu_ns;
    wall = qn_clock_mono_ns() - wall;
    uint64_t size = 0;
    peer_check(qn_file_size(out, &size, &err), &err);
    report(j, "quern-builder", (double)wall * 1e-9, (double)cpu * 1e-9,
           (double)cpu * 1e-9, size, size, 0);
    qn_vec_deinit(qn_alloc_heap(), &d.tokens);
    qn_segment_builder_destroy(d.builder);
    qn_analyzers_destroy(d.analyzers);
}

void peer_run_index(const peer_options *o)
{
    job j = {.options = o, .docs_max = peer_number(o, "docs", SIZE_MAX)};
    peer_corpus_open(peer_required(o, "corpus"), &j.corpus);
    split_fields(&j);
    if (strcmp(peer_text(o, "via", "write"), "builder") == 0)
        index_builder(&j);
    else
        index_table(&j);
    peer_corpus_close(&j.corpus);
}
