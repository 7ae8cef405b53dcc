/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_eval.c -- quern eval TABLE --queries FILE --qrels FILE
 *
 * Reads queries and judgements in the forms that collections come in, runs every pipeline
 * over every judged query, prints the means side by side. */
#include "cli/cli.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "io/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIPELINE_MAX_BYTES = 1 << 20, PIPELINES_MAX = 32, METRICS_MAX = 32 };

const cli_option cmd_eval_options[] = {
    {"queries", CLI_TEXT, "FILE", "", "JSONL with _id and text, or id TAB text", 0, 0},
    {"qrels", CLI_TEXT, "FILE", "", "TREC (query 0 document grade) or BEIR TSV", 0, 0},
    {"pipeline", CLI_LIST, "NAME|FILE", "bm25", "may be given several times", 0, 0},
    {"metrics", CLI_TEXT, "LIST", "ndcg@10,mrr@10,recall@100,map", "what to compute", 0,
     0},
    {"depth", CLI_INT, "N", "100", "hits per query", 1, 10000},
    {"limit", CLI_INT, "N", "all", "only the first N judged queries of the file", 1,
     100000000},
    {"per-query", CLI_TEXT, "FILE", "", "write every query's values as TSV", 0, 0},
    {"format", CLI_TEXT, "table|json", "table", "how to print", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

typedef struct eval_input {
    cli *c;
    qn_arena arena;
    QN_VEC(quern_eval_query) queries;
    QN_VEC(quern_eval_judgement) judgements;
    qn_map judged; /* query ids */
    const char *pipelines[PIPELINES_MAX], *labels[PIPELINES_MAX], *metrics[METRICS_MAX];
    size_t pipeline_count, metric_count;
} eval_input;

static bool bad_line(eval_input *in, const char *path, uint64_t line,
                     const char *wanted)
{
    (void)qn_fail(&in->c->err, QN_EINVAL, "%s:%llu: expected %s", path,
                  (unsigned long long)line, wanted);
    return false;
}

/* Words separated by blanks or tabs; at most `most`, the last one holds the rest. */
static size_t split(qn_slice line, bool tabs_only, qn_slice *words, size_t most)
{
    size_t n = 0, i = 0;
    while (i < line.n && n < most) {
        while (!tabs_only && i < line.n && (line.p[i] == ' ' || line.p[i] == '\t')) i++;
        size_t begin = i;
        while (i < line.n && line.p[i] != '\t' && (tabs_only || line.p[i] != ' ')) i++;
        if (begin == i && !tabs_only) break;
        words[n++] = (qn_slice){line.p + begin, i - begin};
        if (i < line.n) i++;
    }
    return n;
}

static bool take_judgement(eval_input *in, const char *path, qn_slice line,
                           uint64_t number)
{
    qn_slice words[4];
    size_t n = split(line, false, words, 4);
    int64_t grade = 0;
    qn_slice document = n == 4 ? words[2] : words[1];
    if (n < 3) return bad_line(in, path, number, "query [0] document grade");
    if (!qn_slice_to_i64(words[n - 1], &grade)) {
        if (number == 1) return true; /* BEIR's header line */
        return bad_line(in, path, number,
                        "a whole number as the grade, last on the line");
    }
    quern_eval_judgement j = {
        .query_id = qn_arena_strndup(&in->arena, words[0].p, words[0].n),
        .document_id = qn_arena_strndup(&in->arena, document.p, document.n),
        .grade = (int)grade};
    if (j.query_id == NULL || j.document_id == NULL ||
        !qn_map_put(&in->judged, words[0], 1) ||
        !qn_vec_push(qn_alloc_heap(), &in->judgements, j)) {
        (void)qn_fail(&in->c->err, QN_ENOMEM, "out of memory");
        return false;
    }
    return true;
}

static bool take_query(eval_input *in, const char *path, qn_slice line, uint64_t number)
{
    qn_arena scratch;
    qn_slice words[2], id, text;
    const qn_json *root = NULL;
    bool ok = false;
    qn_arena_init(&scratch, qn_alloc_heap(), 0);
    if (line.p[0] == '{') {
        if (qn_json_parse(&scratch, line, &root, NULL) != QN_OK) root = NULL;
        const qn_json *i = qn_json_get(root, "_id"), *t = qn_json_get(root, "text");
        ok = i != NULL && t != NULL && t->kind == QN_JSON_STRING;
        if (ok) id = i->kind == QN_JSON_STRING ? i->string : i->raw;
        if (ok) text = t->string;
    } else {
        ok = split(line, true, words, 2) == 2;
        if (ok) id = words[0], text = words[1];
    }
    if (!ok) {
        (void)bad_line(in, path, number,
                       "{\"_id\": ..., \"text\": ...} or id TAB text");
    } else if (qn_map_get(&in->judged, id, NULL)) {
        quern_eval_query q = {.id = qn_arena_strndup(&in->arena, id.p, id.n),
                              .text = qn_arena_strndup(&in->arena, text.p, text.n),
                              .text_size = text.n};
        ok = q.id != NULL && q.text != NULL &&
             qn_vec_push(qn_alloc_heap(), &in->queries, q);
        if (!ok) (void)qn_fail(&in->c->err, QN_ENOMEM, "out of memory");
    }
    qn_arena_deinit(&scratch);
    return ok;
}

static bool read_lines(eval_input *in, const char *path,
                       bool (*take)(eval_input *, const char *, qn_slice, uint64_t))
{
    cli_lines lines;
    qn_slice line;
    if (!cli_lines_open(&lines, path, &in->c->err)) return false;
    bool ok = true;
    while (ok && cli_lines_next(&lines, &line, &in->c->err))
        if (qn_slice_trim(line).n > 0) ok = take(in, path, line, lines.line_number);
    ok = ok && !lines.failed;
    cli_lines_close(&lines);
    return ok;
}

static bool read_pipelines(eval_input *in)
{
    for (size_t i = 0; i < PIPELINES_MAX; i++) {
        const char *given = cli_list(in->c, "pipeline", i);
        if (given == NULL) break;
        const char *slash = strrchr(given, '/');
        in->labels[i] = slash == NULL ? given : slash + 1;
        in->pipelines[i] = given;
        if (qn_slice_ends_with(qn_slice_of(given), ".json")) {
            qn_buf text;
            qn_buf_init(&text, qn_alloc_heap());
            bool ok = cli_read_all(given, PIPELINE_MAX_BYTES, &text, &in->c->err);
            if (ok) in->pipelines[i] = qn_arena_strndup(&in->arena, text.p, text.n);
            qn_buf_deinit(&text);
            if (!ok) return false;
        }
        in->pipeline_count++;
    }
    if (in->pipeline_count == 0) {
        in->pipelines[0] = in->labels[0] = "bm25";
        in->pipeline_count = 1;
    }
    return true;
}

static void read_metrics(eval_input *in)
{
    const char *list = cli_text(in->c, "metrics", "ndcg@10,mrr@10,recall@100,map");
    while (*list != '\0' && in->metric_count < METRICS_MAX) {
        size_t n = strcspn(list, ",");
        in->metrics[in->metric_count++] = qn_arena_strndup(&in->arena, list, n);
        list += n;
        if (*list == ',') list++;
    }
}

static int write_per_query(cli *c, const eval_input *in, const quern_eval_report *r)
{
    const char *path = cli_text(c, "per-query", NULL);
    if (path == NULL) return 0;
    FILE *to = fopen(path, "w");
    if (to == NULL) {
        (void)fprintf(stderr, "quern: cannot write %s\n", path);
        return 1;
    }
    (void)fprintf(to, "query\tpipeline\tmetric\tvalue\n");
    for (size_t p = 0; p < r->pipeline_count; p++)
        for (size_t m = 0; m < r->metric_count; m++)
            for (size_t q = 0; q < r->query_count; q++)
                (void)fprintf(
                    to, "%s\t%s\t%s\t%.6f\n", r->query_ids[q], in->labels[p],
                    in->metrics[m],
                    r->per_query[(p * r->metric_count + m) * r->query_count + q]);
    if (fclose(to) == 0) return 0;
    (void)fprintf(stderr, "quern: cannot write %s\n", path);
    return 1;
}

static void print_report(cli *c, const eval_input *in, const quern_eval_report *r)
{
    if (cli_wants_json(c)) {
        (void)printf("{\"queries\":%zu,\"pipelines\":[", r->query_count);
        for (size_t p = 0; p < r->pipeline_count; p++) {
            (void)printf("%s{\"pipeline\":\"%s\",\"mean_ms\":%.3f", p > 0 ? "," : "",
                         in->labels[p], r->mean_ms[p]);
            for (size_t m = 0; m < r->metric_count; m++)
                (void)printf(",\"%s\":%.6f", in->metrics[m],
                             r->values[p * r->metric_count + m]);
            (void)printf("}");
        }
        (void)printf("]}\n");
        return;
    }
    const char *titles[METRICS_MAX + 2];
    cli_align aligns[METRICS_MAX + 2];
    size_t columns = 0;
    titles[columns] = "pipeline", aligns[columns++] = CLI_LEFT;
    for (size_t m = 0; m < r->metric_count; m++)
        titles[columns] = in->metrics[m], aligns[columns++] = CLI_RIGHT;
    titles[columns] = "ms/query", aligns[columns++] = CLI_RIGHT;
    cli_table t;
    cli_table_init(&t, columns, titles, aligns, NULL);
    for (size_t p = 0; p < r->pipeline_count; p++) {
        cli_table_cell(&t, "%s", in->labels[p]);
        for (size_t m = 0; m < r->metric_count; m++)
            cli_table_cell(&t, "%.4f", r->values[p * r->metric_count + m]);
        cli_table_cell(&t, "%.1f", r->mean_ms[p]);
    }
    cli_table_print(&t, c, stdout);
    cli_table_deinit(&t);
    (void)printf("%zu judged queries\n", r->query_count);
}

static void progressed(void *ctx, size_t done, size_t total)
{
    cli_progress *p = ctx;
    p->total = total;
    cli_progress_at(p, done);
}

static int evaluate(cli *c, eval_input *in)
{
    quern_eval_options o = QUERN_EVAL_OPTIONS_INIT;
    quern_eval_report *report = NULL;
    cli_progress progress;
    size_t limit = (size_t)cli_int(c, "limit", INT64_MAX);
    o.queries = in->queries.p;
    o.query_count = in->queries.n < limit ? in->queries.n : limit;
    o.judgements = in->judgements.p;
    o.judgement_count = in->judgements.n;
    o.pipelines = in->pipelines;
    o.pipeline_count = in->pipeline_count;
    o.metrics = in->metrics;
    o.metric_count = in->metric_count;
    o.depth = (size_t)cli_int(c, "depth", 100);
    o.progress = progressed;
    o.progress_ctx = &progress;
    cli_progress_begin(&progress, c, "evaluating", 0);
    qn_status st = quern_eval(c->q, c->arguments[0], &o, &report, &c->err);
    cli_progress_end(&progress);
    if (st != QN_OK) return cli_fail(c, &c->err);
    print_report(c, in, report);
    int code = write_per_query(c, in, report);
    quern_eval_report_free(report);
    return code;
}

int cmd_eval(cli *c)
{
    const char *queries = cli_text(c, "queries", NULL),
               *qrels = cli_text(c, "qrels", NULL);
    if (queries == NULL || qrels == NULL)
        return cli_usage(c, "--queries FILE and --qrels FILE are needed");
    eval_input in = {.c = c};
    qn_arena_init(&in.arena, qn_alloc_heap(), 0);
    qn_map_init(&in.judged, qn_alloc_heap());
    int code = 1;
    if (!read_lines(&in, qrels, take_judgement) ||
        !read_lines(&in, queries, take_query) || !read_pipelines(&in)) {
        code = cli_fail(c, &c->err);
    } else if (in.queries.n == 0) {
        (void)fprintf(stderr, "quern: none of the queries in %s is judged in %s\n",
                      queries, qrels);
    } else if (cli_open(c)) {
        read_metrics(&in);
        code = evaluate(c, &in);
    } else {
        code = qn_status_describe(c->err.code)->exit_code;
    }
    qn_map_deinit(&in.judged);
    qn_vec_deinit(qn_alloc_heap(), &in.queries);
    qn_vec_deinit(qn_alloc_heap(), &in.judgements);
    qn_arena_deinit(&in.arena);
    return code;
}
