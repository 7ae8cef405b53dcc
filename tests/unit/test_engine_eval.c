/* SPDX-License-Identifier: Apache-2.0 */
/* Real collections through the public interface: the orders and scores of Lucene 10.4
 * (golden-bm25) and the quality figures of its runs. */
#include "engine_fixture.h"

#include "base/clock.h"
#include "base/slice.h"
#include "base/vec.h"
#include "io/json.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static char shared[512];

static void path_in(char *out, size_t size, const char *rest)
{
    (void)snprintf(out, size, "%s/%s", shared, rest);
}

/* ---- reading collections --------------------------------------------------------------- */

static void read_all(const char *rest, qn_buf *out)
{
    char path[1024];
    qn_error err;
    path_in(path, sizeof path, rest);
    qn_buf_init(out, qn_alloc_heap());
    T_CALL(qn_file_read(path, (size_t)1 << 30, out, &err), &err);
}

static bool next_line(qn_slice *rest, qn_slice *line)
{
    while (rest->n != 0) {
        const char *end = memchr(rest->p, '\n', rest->n);
        size_t n = end == NULL ? rest->n : (size_t)(end - rest->p);
        *line = (qn_slice){rest->p, n};
        size_t skip = n + (end != NULL);
        rest->p += skip;
        rest->n -= skip;
        if (line->n != 0) return true;
    }
    return false;
}

static void load(fixture *f, const char *table, const char *rest)
{
    qn_buf all;
    qn_slice left, line;
    qn_arena arena;
    enum { BATCH = 500 };
    static quern_op ops[BATCH];
    static quern_op_result results[BATCH];
    size_t n = 0;
    read_all(rest, &all);
    left = qn_buf_slice(&all);
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (bool more = true; more;) {
        more = next_line(&left, &line);
        if (more) {
            const qn_json *doc = NULL;
            T_CALL(qn_json_parse(&arena, line, &doc, &f->err), &f->err);
            qn_slice id = qn_json_get(doc, "_id")->string;
            ops[n++] = (quern_op){.kind = QUERN_OP_INDEX,
                                  .id = id.p,
                                  .id_size = id.n,
                                  .source = line.p,
                                  .source_size = line.n,
                                  .if_seq_no = QUERN_SEQ_NONE};
        }
        if (n == BATCH || (!more && n != 0)) {
            T_CALL(quern_write(f->q, table, ops, n, NULL, results, &f->err), &f->err);
            for (size_t i = 0; i < n; i++)
                if (results[i].status != QN_OK) T_FAIL("%s", results[i].error.text);
            n = 0;
            qn_arena_deinit(&arena);
            qn_arena_init(&arena, qn_alloc_heap(), 0);
        }
    }
    qn_arena_deinit(&arena);
    qn_buf_deinit(&all);
    T_CALL(quern_flush(f->q, table, &f->err), &f->err);
}

typedef struct collection {
    qn_arena arena;
    QN_VEC(quern_eval_query) queries;
    QN_VEC(quern_eval_judgement) judgements;
} collection;

static const char *keep(collection *c, qn_slice s)
{
    return qn_arena_strndup(&c->arena, s.p, s.n);
}

static void read_queries(collection *c, const char *rest)
{
    qn_buf all;
    qn_slice left, line;
    qn_error err;
    read_all(rest, &all);
    left = qn_buf_slice(&all);
    while (next_line(&left, &line)) {
        const qn_json *q = NULL;
        T_CALL(qn_json_parse(&c->arena, qn_arena_slice(&c->arena, line), &q, &err),
               &err);
        qn_slice text = qn_json_get(q, "text")->string;
        quern_eval_query one = {keep(c, qn_json_get(q, "_id")->string), keep(c, text),
                                text.n};
        T_OK(qn_vec_push(qn_alloc_heap(), &c->queries, one));
    }
    qn_buf_deinit(&all);
}

static void read_judgements(collection *c, const char *rest)
{
    qn_buf all;
    qn_slice left, line;
    read_all(rest, &all);
    left = qn_buf_slice(&all);
    (void)next_line(&left, &line); /* header */
    while (next_line(&left, &line)) {
        char query[64], document[64];
        int grade = 0;
        char copy[256];
        T_OK(line.n < sizeof copy);
        memcpy(copy, line.p, line.n);
        copy[line.n] = 0;
        T_OK(sscanf(copy, "%63s %63s %d", query, document, &grade) == 3);
        quern_eval_judgement one = {keep(c, qn_slice_of(query)),
                                    keep(c, qn_slice_of(document)), grade};
        T_OK(qn_vec_push(qn_alloc_heap(), &c->judgements, one));
    }
    qn_buf_deinit(&all);
}

static void collection_end(collection *c)
{
    qn_vec_deinit(qn_alloc_heap(), &c->queries);
    qn_vec_deinit(qn_alloc_heap(), &c->judgements);
    qn_arena_deinit(&c->arena);
}

/* ---- quality: the figures of the golden runs ------------------------------------------- */

static const struct {
    const char *name, *analyzer;
    double text, best_fields; /* nDCG@10 */
} figures[] = {
    {"beir-scifact", "standard", 0.6521, 0.6537},
    {"beir-scifact", "english", 0.6684, 0.6705},
    {"cranfield", "standard", 0.3340, 0.3417},
    {"cranfield", "english", 0.3587, 0.3615},
};

static void test_quality(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        char row[64], rest[128], schema[512];
        (void)snprintf(row, sizeof row, "%s %s", figures[i].name, figures[i].analyzer);
        T_ROW(row);
        fixture f;
        fixture_begin(&f);
        (void)snprintf(
            schema, sizeof schema,
            "{\"mappings\":{\"dynamic\":false,\"properties\":{\"title\":{\"type\":"
            "\"text\",\"analyzer\":\"%s\"},\"text\":{\"type\":\"text\",\"analyzer\":"
            "\"%s\"}}}}",
            figures[i].analyzer, figures[i].analyzer);
        fixture_table(&f, "c", schema);
        (void)snprintf(rest, sizeof rest, "data/%s/corpus.jsonl", figures[i].name);
        load(&f, "c", rest);
        collection c = {0};
        qn_arena_init(&c.arena, qn_alloc_heap(), 0);
        (void)snprintf(rest, sizeof rest, "data/%s/queries.jsonl", figures[i].name);
        read_queries(&c, rest);
        (void)snprintf(rest, sizeof rest, "data/%s/qrels/test.tsv", figures[i].name);
        read_judgements(&c, rest);
        const char *const pipelines[] = {
            "{\"recall\":{\"text\":{\"fields\":[\"text\"]}}}", "bm25"};
        const char *const metrics[] = {"ndcg@10"};
        quern_eval_options o = QUERN_EVAL_OPTIONS_INIT;
        o.queries = c.queries.p;
        o.query_count = c.queries.n;
        o.judgements = c.judgements.p;
        o.judgement_count = c.judgements.n;
        o.pipelines = pipelines;
        o.pipeline_count = 2;
        o.metrics = metrics;
        o.metric_count = 1;
        o.depth = 10;
        quern_eval_report *r = NULL;
        T_CALL(quern_eval(f.q, "c", &o, &r, &f.err), &f.err);
        print_message(
            "%s: %zu queries, text %.4f (%.2f ms), best_fields %.4f (%.2f ms)\n", row,
            r->query_count, r->values[0], r->mean_ms[0], r->values[1], r->mean_ms[1]);
        T_NEAR(r->values[0], figures[i].text, 0.00051);
        T_NEAR(r->values[1], figures[i].best_fields, 0.00051);
        quern_eval_report_free(r);
        collection_end(&c);
        fixture_end(&f);
    }
}

/* ---- models ------------------------------------------------------------------------------ */

static quern_reply *search_words(fixture *f, const char *text, const char *pipeline,
                                 int64_t hits)
{
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    s.query = text;
    s.query_size = strlen(text);
    s.pipeline = pipeline;
    s.hits = hits;
    T_CALL(quern_search(f->q, "c", &s, &reply, &f->err), &f->err);
    return reply;
}

static double stage_ms(const quern_reply *r, const char *name)
{
    for (size_t i = 0; i < r->stage_count; i++)
        if (strcmp(r->stages[i].name, name) == 0) return r->stages[i].ms;
    return 0;
}

static void import_models(fixture *f)
{
    static const char *const names[] = {"minilm-l6-v2", "reranker-minilm-l6"};
    for (size_t i = 0; i < 2; i++) {
        char rest[128], path[1024];
        (void)snprintf(rest, sizeof rest, "data/models/%s", names[i]);
        path_in(path, sizeof path, rest);
        T_CALL(quern_model_import(f->q, path, names[i], "int8", NULL, NULL, &f->err),
               &f->err);
        T_CALL(quern_model_verify(f->q, names[i], &f->err), &f->err);
    }
}

static void check_recovery(fixture *f)
{
    char best[16];
    quern_reply *r = search_words(f, "heat transfer in shock waves", "vector", 10);
    T_EQ_I(r->hit_count, 10);
    (void)snprintf(best, sizeof best, "%s", r->hits[0].id);
    quern_reply_free(r);
    /* A text that changes has another vector; one that is gone has none. */
    put(f, "c", "1", "{\"title\":\"\",\"text\":\"the cat sat on the mat and purred\"}");
    put(f, "c", "2", "{\"title\":\"x\"}");
    quern_op_result result;
    T_EQ_I(write_one(f, "c",
                     op_of(QUERN_OP_UPDATE, "2", "{\"text\":\"dogs bark at night\"}"),
                     &result),
           QN_OK);
    /* A process that dies leaves its last vectors in the log. */
    quern_close(f->q);
    f->q = NULL;
    pid_t child = fork();
    if (child == 0) {
        fixture_open(f);
        put(f, "c", "3", "{\"title\":\"y\",\"text\":\"fish swim in the sea\"}");
        _exit(0);
    }
    int status = -1;
    T_OK(waitpid(child, &status, 0) == child && status == 0);
    fixture_open(f);
    T_CALL(quern_refresh(f->q, "c", &f->err), &f->err);
    static const struct {
        const char *words, *id;
    } found[] = {
        {"a purring cat", "1"}, {"barking dogs", "2"}, {"fish in the sea", "3"}};
    for (size_t i = 0; i < 3; i++) {
        r = search_words(f, found[i].words, "vector", 1);
        T_EQ_S(r->hits[0].id, found[i].id);
        quern_reply_free(r);
    }
    r = search_words(f, "heat transfer in shock waves", "vector", 10);
    T_EQ_S(r->hits[0].id, best);
    quern_reply_free(r);
}

static void check_rerank(fixture *f)
{
    const char *words = "what are the structural problems of high speed flight";
    quern_reply *r = search_words(f, words, "bm25+rerank", 10);
    T_OK(r->reranked && !r->rerank_timed_out);
    T_EQ_I(r->rerank_scored, r->rerank_of);
    T_EQ_I(r->rerank_of, 100);
    for (size_t i = 0; i < 10; i++) {
        T_EQ_I(r->hits[i].stages.neural_rank, i);
        T_OK(i == 0 || r->hits[i].stages.neural <= r->hits[i - 1].stages.neural);
    }
    T_EQ_S(r->rerank_model, "reranker-minilm-l6");
    double cold = stage_ms(r, "neural");
    quern_reply_free(r);
    r = search_words(f, words, "bm25+rerank", 10);
    print_message("rerank of 100: %.0f ms, remembered: %.1f ms\n", cold,
                  stage_ms(r, "neural"));
    T_OK(stage_ms(r, "neural") < cold / 4);
    quern_reply_free(r);
    /* In a time that is too short some are reached, and they stand in front. */
    words = "can a criterion be developed to show the effect of slip flow";
    r = search_words(
        f, words,
        "{\"recall\":{\"text\":{}},\"neural\":{\"keep\":100,\"budget_ms\":60}}", 100);
    T_OK(r->rerank_timed_out);
    T_OK(r->rerank_scored < r->rerank_of);
    size_t reached = (size_t)r->rerank_scored;
    for (size_t i = 0; i < r->hit_count; i++)
        T_EQ_I(isnan(r->hits[i].stages.neural), i >= reached);
    for (size_t i = reached + 1; i < r->hit_count; i++)
        T_OK(r->hits[i].stages.recall_rank > r->hits[i - 1].stages.recall_rank);
    print_message("in 60 ms: %zu of 100\n", reached);
    quern_reply_free(r);
}

static void test_models(void **state)
{
    (void)state;
    T_ROW("models");
    fixture f;
    fixture_begin(&f);
    import_models(&f);
    fixture_table(
        &f, "c",
        "{\"mappings\":{\"dynamic\":false,\"properties\":{\"title\":{\"type\":\"text\","
        "\"analyzer\":\"english\"},\"text\":{\"type\":\"text\",\"analyzer\":"
        "\"english\"},\"v\":{\"type\":\"dense_vector\",\"dims\":384,\"quern_model\":"
        "\"minilm-l6-v2\",\"quern_source\":[\"title\",\"text\"]}}}}");
    int64_t began = qn_clock_mono_ns();
    load(&f, "c", "data/cranfield/corpus.jsonl");
    print_message("1400 documents with vectors: %.1f s\n",
                  (double)(qn_clock_mono_ns() - began) / 1e9);
    collection c = {0};
    qn_arena_init(&c.arena, qn_alloc_heap(), 0);
    read_queries(&c, "data/cranfield/queries.jsonl");
    read_judgements(&c, "data/cranfield/qrels/test.tsv");
    const char *const pipelines[] = {"bm25", "vector", "hybrid"};
    const char *const metrics[] = {"ndcg@10", "recall@100"};
    quern_eval_options o = QUERN_EVAL_OPTIONS_INIT;
    o.queries = c.queries.p;
    o.query_count = c.queries.n;
    o.judgements = c.judgements.p;
    o.judgement_count = c.judgements.n;
    o.pipelines = pipelines;
    o.pipeline_count = 3;
    o.metrics = metrics;
    o.metric_count = 2;
    quern_eval_report *r = NULL;
    T_CALL(quern_eval(f.q, "c", &o, &r, &f.err), &f.err);
    for (size_t i = 0; i < 3; i++)
        print_message("%s: nDCG@10 %.4f, recall@100 %.4f, %.2f ms\n", pipelines[i],
                      r->values[i * 2], r->values[i * 2 + 1], r->mean_ms[i]);
    T_NEAR(r->values[0], 0.3615, 0.00051);
    T_OK(r->values[2] > 0.34);
    T_OK(r->values[4] > r->values[0] && r->values[5] > r->values[1]);
    quern_eval_report_free(r);
    collection_end(&c);
    check_recovery(&f);
    check_rerank(&f);
    fixture_end(&f);
}

/* ---- the practice guide's schema, whole -------------------------------------------------- */

static void test_practice_schema(void **state)
{
    (void)state;
    T_ROW("multi-path recall practice");
    qn_buf all;
    read_all("seeds/002_099e69213eadaa92.txt", &all);
    const char *begin = strstr(all.p, "{\n    \"file_compress\"");
    const char *end = strstr(all.p, "Query syntax explanation");
    T_OK(begin != NULL && end != NULL && begin < end);
    while (end > begin && end[-1] != '}') end--;
    fixture f;
    fixture_begin(&f);
    T_CALL(quern_table_create(f.q, "main", begin, (size_t)(end - begin), &f.err),
           &f.err);
    put(&f, "main", "a",
        "{\"pk\":\"a\",\"chunk_id\":\"1\",\"content\":\"城南庄 1948 "
        "会议\",\"title\":\"历史\","
        "\"namespace\":\"n\",\"picture\":[1,2]}");
    T_CALL(quern_refresh(f.q, "main", &f.err), &f.err);
    const char *query =
        "query=default:\"城南庄\" OR title:'What happened in Chengnanzhuang in 1948'"
        "&&cluster=general&&sort=-RANK\n&&config=start:0,hit:3,rerank_size:100,format:"
        "json"
        "\n&&kvpairs=fetch_fields:pk;DUP_content,\n  "
        "formula:if(query_min_slide_window(title\\, true\\, title)>0.99\\, 1\\, 0)\n   "
        " "
        "+if(query_min_slide_window(content\\, true\\, default)>0.99\\, 0.5\\, 0)\n    "
        "  "
        "+text_relevance(content)*0.2+normalize(score)*0.1";
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = QUERN_QUERY_HA3;
    s.query = query;
    s.query_size = strlen(query);
    quern_reply *reply = NULL;
    T_CALL(quern_search(f.q, "main", &s, &reply, &f.err), &f.err);
    T_EQ_I(reply->hit_count, 1);
    T_EQ_S(reply->hits[0].source,
           "{\"pk\":\"a\",\"DUP_content\":\"城南庄 1948 会议\"}");
    T_OK(reply->hits[0].score > 10000.5 && reply->hits[0].score < 10001);
    quern_reply_free(reply);
    fixture_end(&f);
    qn_buf_deinit(&all);
}

int main(void)
{
    const char *given = getenv("QUERN_SHARED");
    (void)snprintf(shared, sizeof shared, "%s",
                   given != NULL ? given : QN_SOURCE_DIR "/../shared");
    if (access(shared, R_OK) != 0) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quality),
        cmocka_unit_test(test_practice_schema),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
