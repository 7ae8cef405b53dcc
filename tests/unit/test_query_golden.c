/* SPDX-License-Identifier: Apache-2.0 */
/* Whole collections against the runs that Lucene made of them: the same documents in
 * the same order with the same 32-bit scores. The collections lie outside the
 * repository, in the folder that $QUERN_SHARED names. */
#include "../qn_test.h"
#include "index/segment_builder.h"
#include "io/file.h"
#include "io/json.h"
#include "query/exec.h"
#include "query/request.h"
#include "text/analyzer.h"

#include <stdlib.h>

enum { TITLE, TEXT, SKIPPED = 77 };

static char shared[512];

typedef struct collection {
    qn_analyzers *analyzers;
    qn_field fields[2];
    qn_schema schema;
    qn_segment *segment;
    qn_segment_view view;
    qn_snapshot_view snapshot;
} collection;

/* Lines of a file under the shared folder; .gz is unpacked. */
static void read_lines(const char *name, qn_buf *out)
{
    char path[1024];
    qn_error err;
    if (!qn_slice_ends_with(qn_slice_of(name), ".gz")) {
        snprintf(path, sizeof path, "%s/data/%s", shared, name);
        T_CALL(qn_file_read(path, (size_t)1 << 30, out, &err), &err);
        return;
    }
    snprintf(path, sizeof path, "gzip -dc '%s/data/%s'", shared, name);
    FILE *pipe = popen(path, "r");
    T_OK(pipe != NULL);
    size_t n;
    do {
        char *room = qn_buf_reserve(out, 1 << 16);
        T_OK(room != NULL);
        n = fread(room, 1, 1 << 16, pipe);
        out->n += n;
    } while (n > 0);
    T_EQ_I(pclose(pipe), 0);
}

static bool next_line(qn_slice *rest, qn_slice *line)
{
    if (rest->n == 0) return false;
    const char *end = memchr(rest->p, '\n', rest->n);
    *line = (qn_slice){rest->p, end == NULL ? rest->n : (size_t)(end - rest->p)};
    size_t used = line->n + (end != NULL);
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return true;
}

static qn_slice column(qn_slice line, int i)
{
    for (;; i--) {
        const char *tab = memchr(line.p, '\t', line.n);
        size_t n = tab == NULL ? line.n : (size_t)(tab - line.p);
        if (i == 0) return (qn_slice){line.p, n};
        T_OK(tab != NULL);
        line = (qn_slice){tab + 1, line.n - n - 1};
    }
}

/* ---- the collection ------------------------------------------------------------------ */

static void add_text(qn_segment_builder *b, const qn_field *f, const qn_analyzer *how,
                     qn_slice text, qn_arena *arena)
{
    qn_token_list tokens = {0};
    qn_error err;
    T_CALL(qn_analyzer_run(how, text, arena, &tokens, &err), &err);
    for (size_t i = 0; i < tokens.n; i++)
        T_CALL(
            qn_segment_builder_term(b, f, tokens.p[i].term, tokens.p[i].position, &err),
            &err);
}

static void add_documents(collection *c, qn_segment_builder *b, const char *folder)
{
    char name[128];
    snprintf(name, sizeof name, "%s/corpus.jsonl", folder);
    qn_buf text = {.alloc = qn_alloc_heap()};
    read_lines(name, &text);
    qn_error err;
    const qn_analyzer *how;
    T_CALL(
        qn_analyzer_find(c->analyzers, qn_slice_of(c->fields[0].analyzer), &how, &err),
        &err);
    qn_slice rest = qn_buf_slice(&text), line;
    while (next_line(&rest, &line)) {
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_json *doc;
        uint32_t number;
        T_CALL(qn_json_parse(&arena, line, &doc, &err), &err);
        T_CALL(
            qn_segment_builder_begin(b, qn_json_get(doc, "_id")->string, &number, &err),
            &err);
        add_text(b, &c->fields[TITLE], how, qn_json_get(doc, "title")->string, &arena);
        add_text(b, &c->fields[TEXT], how, qn_json_get(doc, "text")->string, &arena);
        qn_arena_deinit(&arena);
    }
    qn_buf_deinit(&text);
}

static void collection_open(collection *c, const char *folder, const char *analyzer)
{
    static const char *const names[] = {"title", "text"};
    *c = (collection){0};
    qn_alloc *heap = qn_alloc_heap();
    qn_error err;
    T_CALL(qn_analyzers_create(heap, &c->analyzers, &err), &err);
    for (uint32_t i = 0; i < 2; i++)
        c->fields[i] = (qn_field){.id = i,
                                  .name = qn_slice_of(names[i]),
                                  .type = QN_FIELD_TEXT,
                                  .indexed = true,
                                  .analyzer = analyzer};
    c->schema = (qn_schema){.fields = c->fields, .field_count = 2};
    qn_segment_builder *b;
    T_CALL(qn_segment_builder_create(heap, 1, &b, &err), &err);
    add_documents(c, b, folder);
    qn_blockfile_writer *w;
    qn_blockfile *file;
    T_CALL(qn_blockfile_writer_create(heap, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION,
                                      &w, &err),
           &err);
    T_CALL(qn_segment_builder_write(b, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    size_t n;
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    T_CALL(qn_blockfile_open_memory(heap, bytes, n, true, folder, QN_SEGMENT_MAGIC,
                                    QN_SEGMENT_VERSION, &file, &err),
           &err);
    T_CALL(qn_segment_open(heap, file, &c->segment, &err), &err);
    c->view = (qn_segment_view){.segment = c->segment,
                                .doc_count = qn_segment_doc_count(c->segment)};
    c->snapshot = (qn_snapshot_view){.schema = &c->schema,
                                     .segments = &c->view,
                                     .segment_count = 1,
                                     .doc_count = c->view.doc_count};
    qn_segment_builder_destroy(b);
}

static void collection_close(collection *c)
{
    qn_segment_close(c->segment);
    qn_analyzers_destroy(c->analyzers);
}

/* ---- runs ---------------------------------------------------------------------------- */

/* The query as a person would send it. */
static void write_query(const char *form, qn_slice words, qn_buf *out)
{
    qn_json_writer w;
    qn_buf_reset(out);
    qn_json_writer_init(&w, out, false);
    bool best = strcmp(form, "best_fields") == 0, phrase = strcmp(form, "phrase") == 0;
    qn_json_begin_object(&w);
    qn_json_key(&w, best ? "multi_match" : phrase ? "match_phrase" : "match");
    qn_json_begin_object(&w);
    if (best) {
        qn_json_member_slice(&w, "query", words);
        qn_json_key(&w, "fields");
        qn_json_begin_array(&w);
        qn_json_str(&w, "title");
        qn_json_str(&w, "text");
        qn_json_end_array(&w);
    } else {
        qn_json_key(&w, "text");
        qn_json_begin_object(&w);
        qn_json_member_slice(&w, "query", words);
        if (!phrase)
            qn_json_member_str(&w, "operator", strcmp(form, "and") == 0 ? "and" : "or");
        qn_json_end_object(&w);
    }
    qn_json_end_object(&w);
    qn_json_end_object(&w);
}

/* One query against its lines of the run; returns how many there were. */
static size_t check_query(const collection *c, const char *form, qn_slice id,
                          qn_slice words, size_t k, int64_t limit, qn_slice *run)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_buf body = {.alloc = qn_alloc_heap()};
    write_query(form, words, &body);
    const qn_query_env env = {.schema = &c->schema, .analyzers = c->analyzers};
    const qn_exec_options options = {.top_n = k, .total_limit = limit};
    const qn_json *json;
    const qn_query *q;
    qn_exec_result r;
    qn_error err;
    qn_slice text = qn_buf_slice(&body), line, ahead = *run;
    T_CALL(qn_json_parse(&arena, text, &json, &err), &err);
    T_CALL(qn_dsl_parse_query(&arena, &env, text, json, &q, &err), &err);
    T_CALL(qn_query_execute(&c->snapshot, q, &options, &arena, &r, &err), &err);
    size_t n = 0;
    while (next_line(&ahead, &line) && qn_slice_eq(column(line, 0), id)) {
        char score[32];
        snprintf(score, sizeof score, "%.*s", QN_SLICE_ARG(column(line, 3)));
        qn_slice key;
        T_OK(n < r.count);
        T_CALL(qn_segment_id(c->segment, r.candidates[n].doc, &key, &err), &err);
        if (!qn_slice_eq(key, column(line, 1)) ||
            r.candidates[n].score != strtof(score, NULL))
            T_FAIL("query %.*s rank %zu: %.*s %.9g, want %.*s", QN_SLICE_ARG(id), n + 1,
                   QN_SLICE_ARG(key), (double)r.candidates[n].score,
                   QN_SLICE_ARG(line));
        n++;
        *run = ahead;
    }
    T_EQ_I(r.count, n);
    qn_buf_deinit(&body);
    qn_arena_deinit(&arena);
    return n;
}

static void check_run(const collection *c, const char *name, const char *analyzer,
                      const char *form, const char *queries, size_t k, int64_t limit)
{
    char path[256];
    qn_buf run = {.alloc = qn_alloc_heap()}, asked = {.alloc = qn_alloc_heap()};
    snprintf(path, sizeof path, "golden-bm25/%s.%s%s%s.tsv.gz", name, analyzer,
             strcmp(form, "or") == 0 ? "" : ".", strcmp(form, "or") == 0 ? "" : form);
    T_ROW(path);
    read_lines(path, &run);
    char query_path[256];
    snprintf(query_path, sizeof query_path, "golden-bm25/queries/%s.%s.tsv", name,
             queries);
    read_lines(query_path, &asked);
    qn_slice rest = qn_buf_slice(&asked), lines = qn_buf_slice(&run), line;
    size_t count = 0, hits = 0;
    for (; next_line(&rest, &line); count++)
        hits +=
            check_query(c, form, column(line, 0), column(line, 1), k, limit, &lines);
    T_EQ_I(lines.n, 0);
    T_OK(hits > 1000 || strcmp(form, "or") != 0);
    print_message("%s: %zu queries, %zu hits, all equal\n", path, count, hits);
    qn_buf_deinit(&run);
    qn_buf_deinit(&asked);
}

static void check_collection(const char *name, const char *folder, const char *analyzer)
{
    collection c;
    collection_open(&c, folder, analyzer);
    check_run(&c, name, analyzer, "or", "real", 100, 0);
    check_run(&c, name, analyzer, "or", "real", 100, 1); /* pruned */
    check_run(&c, name, analyzer, "best_fields", "real", 50, 0);
    check_run(&c, name, analyzer, "and", "intersection", 100, 0);
    check_run(&c, name, analyzer, "phrase", "phrase", 100, 0);
    collection_close(&c);
}

static void test_cranfield(void **state)
{
    (void)state;
    check_collection("cranfield", "cranfield", "standard");
    check_collection("cranfield", "cranfield", "english");
}

static void test_scifact(void **state)
{
    (void)state;
    check_collection("scifact", "beir-scifact", "standard");
    check_collection("scifact", "beir-scifact", "english");
}

int main(void)
{
    const char *folder = getenv("QUERN_SHARED");
    snprintf(shared, sizeof shared, "%s",
             folder != NULL ? folder : QN_SOURCE_DIR "/../shared");
    char probe[600];
    snprintf(probe, sizeof probe, "%s/data/golden-bm25/README.md", shared);
    FILE *f = fopen(probe, "r");
    if (f == NULL) return SKIPPED;
    fclose(f);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cranfield),
        cmocka_unit_test(test_scifact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
