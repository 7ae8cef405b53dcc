/* SPDX-License-Identifier: Apache-2.0 */
/* bench_two_stage -- a whole two-stage search: words recalled, a rough sort over all that
 * matched, a fine sort of twenty terms over the best 200, ten hits with their fields.
 *
 *     bench_two_stage DATA DOCUMENTS [CORPUS.jsonl]
 *
 * The table is made in DATA when it is not there: from a corpus of {"_id","title","text"}
 * lines, or from words drawn by Zipf's law; attributes are drawn from the document's number.
 * Queries are three words of titles. One JSON line per way of recall and rough sort: p50, p90,
 * p99 of wall microseconds over ROUNDS passes, p50 and p90 of CPU time, documents recalled. */
#include "base/clock.h"
#include "base/slice.h"
#include "io/file.h"
#include "io/json.h"
#include "quern/quern.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUERIES = 100, ROUNDS = 3, BATCH = 2000, VOCABULARY = 50000, WORDS = 3 };

static const char schema[] =
    "{\"table_name\":\"t\",\"fields\":["
    "{\"field_name\":\"id\",\"field_type\":\"STRING\"},"
    "{\"field_name\":\"title\",\"field_type\":\"TEXT\",\"analyzer\":\"standard\"},"
    "{\"field_name\":\"body\",\"field_type\":\"TEXT\",\"analyzer\":\"standard\"},"
    "{\"field_name\":\"price\",\"field_type\":\"DOUBLE\"},"
    "{\"field_name\":\"sales\",\"field_type\":\"INT64\"},"
    "{\"field_name\":\"clicks\",\"field_type\":\"INT32\"},"
    "{\"field_name\":\"stars\",\"field_type\":\"INT8\"},"
    "{\"field_name\":\"stock\",\"field_type\":\"INT32\"},"
    "{\"field_name\":\"made\",\"field_type\":\"INT64\"}],"
    "\"indexs\":["
    "{\"index_name\":\"pk\",\"index_type\":\"PRIMARYKEY64\",\"index_fields\":\"id\","
    "\"has_primary_key_attribute\":true},"
    "{\"index_name\":\"default\",\"index_type\":\"PACK\",\"index_fields\":["
    "{\"field_name\":\"title\",\"boost\":2},{\"field_name\":\"body\",\"boost\":1}]}],"
    "\"attributes\":[\"id\",\"price\",\"sales\",\"clicks\",\"stars\",\"stock\","
    "\"made\"],"
    "\"summarys\":{\"summary_fields\":[\"id\",\"title\",\"price\",\"stars\"]}}";

static const char fine[] =
    "text_relevance(title)*3+text_relevance(body)+query_min_slide_window(title)*0.5"
    "+query_match_ratio(title)*0.4+query_match_ratio(body)*0.3+field_match_ratio(title)"
    "*0.2"
    "+field_term_match_count(body)*0.01+query_term_match_count(title)*0.05"
    "+if(query_min_slide_window(title\\,true)>0.99\\,1\\,0)+first_phase_score()*0.05"
    "+timeliness(made)*0.5+normalize(sales\\,1000000)*0.3+log10(clicks+1)*0.1"
    "+if(price>100 and price<1000\\,0.2\\,0)+if(stars in (4\\,5)\\,0.4\\,0)"
    "+if(stock==0\\,-1\\,0)+min(sales/(clicks+1)\\,1)*0.3-normalize(price\\,10000)*0.1"
    "+exp_decay(50\\,price\\,500)*0.2+sqrt(stars)*0.05";

static const struct {
    const char *name, *config, *first;
} runs[] = {
    {"and, default rough", "", NULL},
    {"or, default rough", ",default_operator:OR", NULL},
    {"or, rough of text and attributes", ",default_operator:OR",
     "static_bm25()*10+normalize(sales\\,1000000)*2+stars*0.1"},
    {"or, rough of attributes", ",default_operator:OR",
     "normalize(sales\\,1000000)*2+stars*0.1"},
};

/* ---- the corpus ---------------------------------------------------------------------------- */

static double zipf_sums[VOCABULARY];

static void spell(qn_buf *out, uint32_t word)
{
    static const char consonants[] = "bdfgklmnprstvz", vowels[] = "aeiou";
    for (word += 70; word > 0; word /= 70) {
        qn_buf_add_char(out, consonants[word % 14]);
        qn_buf_add_char(out, vowels[word / 14 % 5]);
    }
}

static uint32_t draw(qn_rng *rng)
{
    double x = qn_rng_unit(rng) * zipf_sums[VOCABULARY - 1];
    uint32_t low = 0, high = VOCABULARY - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zipf_sums[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_words(qn_buf *out, qn_rng *rng, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0) qn_buf_add_char(out, ' ');
        spell(out, draw(rng));
    }
}

/* The rest of a document behind its texts. */
static void add_attributes(qn_buf *out, uint64_t number)
{
    qn_rng rng = {number * 77 + 1};
    int64_t now = qn_clock_wall_ms() / 1000;
    qn_buf_printf(out,
                  "\",\"price\":%.2f,\"sales\":%llu,\"clicks\":%llu,\"stars\":%llu,"
                  "\"stock\":%llu,\"made\":%lld}",
                  exp(qn_rng_unit(&rng) * 9),
                  (unsigned long long)exp(qn_rng_unit(&rng) * 13),
                  (unsigned long long)exp(qn_rng_unit(&rng) * 11),
                  (unsigned long long)(qn_rng_next(&rng) % 6),
                  (unsigned long long)(qn_rng_next(&rng) % 20),
                  (long long)(now - (int64_t)(qn_rng_next(&rng) % (200 * 86400))));
}

/* The next document; false at the corpus's end. */
static bool next_document(FILE *corpus, uint64_t number, qn_buf *out)
{
    static char line[1 << 16];
    qn_buf_printf(out, "{\"id\":\"%llu\",\"title\":\"", (unsigned long long)number);
    if (corpus == NULL) {
        qn_rng rng = {number + 12345};
        add_words(out, &rng, 4 + qn_rng_next(&rng) % 5);
        qn_buf_add_str(out, "\",\"body\":\"");
        add_words(out, &rng, 20 + qn_rng_next(&rng) % 41);
    } else {
        if (fgets(line, sizeof line, corpus) == NULL) return false;
        qn_arena arena;
        const qn_json *root = NULL;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        if (qn_json_parse(&arena, qn_slice_of(line), &root, NULL) == QN_OK) {
            const qn_json *title = qn_json_get(root, "title"),
                          *text = qn_json_get(root, "text");
            if (title != NULL) qn_buf_add_slice(out, title->string);
            qn_buf_add_str(out, "\",\"body\":\"");
            if (text != NULL) qn_buf_add_slice(out, text->string);
        }
        qn_arena_deinit(&arena);
    }
    add_attributes(out, number);
    return true;
}

static bool load(quern *q, uint64_t documents, FILE *corpus, qn_error *err)
{
    static quern_op ops[BATCH];
    static quern_op_result results[BATCH];
    static size_t begins[BATCH + 1];
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    qn_status st = quern_table_create(q, "t", schema, sizeof schema - 1, err);
    bool more = true;
    for (uint64_t number = 0; st == QN_OK && more && number < documents;) {
        size_t n = 0;
        qn_buf_reset(&text);
        for (; n < BATCH && number < documents; n++, number++) {
            begins[n] = text.n;
            more = next_document(corpus, number, &text);
            if (!more) break;
        }
        begins[n] = text.n;
        for (size_t i = 0; i < n; i++)
            ops[i] = (quern_op){.kind = QUERN_OP_INDEX,
                                .source = text.p + begins[i],
                                .source_size = begins[i + 1] - begins[i],
                                .if_seq_no = QUERN_SEQ_NONE};
        if (!more)
            ops[n == 0 ? 0 : n - 1].source_size =
                begins[n] - begins[n == 0 ? 0 : n - 1];
        if (n > 0) st = quern_write(q, "t", ops, n, NULL, results, err);
        for (size_t i = 0; st == QN_OK && i < n; i++)
            if (results[i].status != QN_OK) {
                *err = results[i].error;
                st = results[i].status;
            }
    }
    qn_buf_deinit(&text);
    if (st == QN_OK) st = quern_table_optimize(q, "t", err);
    return st == QN_OK;
}

/* ---- queries ------------------------------------------------------------------------------- */

/* Three words of the titles of documents far apart. */
static bool make_queries(quern *q, uint64_t documents, qn_buf *words, size_t *begins)
{
    for (size_t i = 0; i < QUERIES; i++) {
        char id[24];
        quern_document doc;
        qn_error err;
        (void)snprintf(id, sizeof id, "%llu",
                       (unsigned long long)(documents * i / QUERIES + i));
        if (quern_get(q, "t", id, strlen(id), &doc, &err) != QN_OK) return false;
        const char *title = strstr(doc.source, "\"title\":\"") + 9;
        begins[i] = words->n;
        for (size_t w = 0; w < WORDS && *title != '"'; w++) {
            size_t n = strcspn(title, " \"");
            qn_buf_printf(words, "%s%.*s", w > 0 ? " " : "", (int)n, title);
            title += title[n] == ' ' ? n + 1 : n;
        }
        begins[i + 1] = words->n;
        quern_document_free(&doc);
    }
    return !words->failed;
}

static int by_time(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool measure(quern *q, size_t which, const qn_buf *words, const size_t *begins)
{
    static int64_t times[QUERIES * ROUNDS], cpu_times[QUERIES * ROUNDS];
    static uint64_t totals[QUERIES];
    size_t n = 0;
    qn_buf request;
    qn_buf_init(&request, qn_alloc_heap());
    for (size_t round = 0; round <= ROUNDS; round++) {
        for (size_t i = 0; i < QUERIES; i++) {
            quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
            quern_reply *reply = NULL;
            qn_error err = {0};
            qn_buf_reset(&request);
            qn_buf_printf(&request,
                          "query=default:'%.*s'&&config=hit:10,rerank_size:200,"
                          "format:json%s&&kvpairs=formula:%s",
                          (int)(begins[i + 1] - begins[i]), words->p + begins[i],
                          runs[which].config, fine);
            if (runs[which].first != NULL)
                qn_buf_printf(&request, ",first_formula:%s", runs[which].first);
            o.kind = QUERN_QUERY_HA3;
            o.query = request.p;
            o.query_size = request.n;
            int64_t began = qn_clock_mono_ns(), cpu_began = qn_clock_cpu_ns();
            if (quern_search(q, "t", &o, &reply, &err) != QN_OK) {
                (void)fprintf(stderr, "%s\n", err.text);
                return false;
            }
            cpu_times[n] = qn_clock_cpu_ns() - cpu_began;
            times[n] = qn_clock_mono_ns() - began;
            n += round > 0;
            totals[i] = reply->total;
            quern_reply_free(reply);
        }
    }
    qn_buf_deinit(&request);
    qsort(times, n, sizeof *times, by_time);
    qsort(cpu_times, n, sizeof *cpu_times, by_time);
    qsort(totals, QUERIES, sizeof *totals, by_time);
    (void)printf(
        "{\"bench\":\"two-stage\",\"run\":\"%s\",\"recalled_p50\":%llu,"
        "\"recalled_p90\":%llu,\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,"
        "\"cpu_p50_us\":%.0f,\"cpu_p90_us\":%.0f}\n",
        runs[which].name, (unsigned long long)totals[QUERIES / 2],
        (unsigned long long)totals[QUERIES * 9 / 10], (double)times[n / 2] / 1e3,
        (double)times[n * 9 / 10] / 1e3, (double)times[n * 99 / 100] / 1e3,
        (double)cpu_times[n / 2] / 1e3, (double)cpu_times[n * 9 / 10] / 1e3);
    return true;
}

int main(int argc, char **argv)
{
    int64_t documents = 0;
    quern *q = NULL;
    qn_error err = {0};
    if (argc < 3 || !qn_slice_to_i64(qn_slice_of(argv[2]), &documents) ||
        documents < QUERIES * 2) {
        (void)fprintf(stderr, "bench_two_stage DATA DOCUMENTS [CORPUS.jsonl]\n");
        return 2;
    }
    double sum = 0;
    for (size_t i = 0; i < VOCABULARY; i++)
        zipf_sums[i] = sum += 1.0 / pow((double)i + 5, 1.05);
    FILE *corpus = argc > 3 ? fopen(argv[3], "r") : NULL;
    if (argc > 3 && corpus == NULL) {
        (void)fprintf(stderr, "cannot open %s\n", argv[3]);
        return 1;
    }
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = argv[1];
    o.async_commit = true;
    qn_buf words;
    static size_t begins[QUERIES + 1];
    qn_buf_init(&words, qn_alloc_heap());
    bool ok =
        quern_open(&o, &q, &err) == QN_OK &&
        (quern_table_exists(q, "t") || load(q, (uint64_t)documents, corpus, &err));
    if (!ok) (void)fprintf(stderr, "%s\n", err.text);
    if (ok) ok = make_queries(q, (uint64_t)documents, &words, begins);
    for (size_t i = 0; ok && i < sizeof runs / sizeof *runs; i++)
        ok = measure(q, i, &words, begins);
    if (corpus != NULL) (void)fclose(corpus);
    qn_buf_deinit(&words);
    quern_close(q);
    return ok ? 0 : 1;
}
