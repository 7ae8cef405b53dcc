/* SPDX-License-Identifier: Apache-2.0 */
/* bench_facets -- aggregations and distinct over all documents of a table of random ones.
 *
 *     bench_facets FOLDER [DOCUMENTS] [ROUNDS]
 *
 * Makes the table when the folder has none. One JSON line per clause: matches, the least
 * milliseconds of recall, of the clause's own stage and of the whole search, and the
 * stage's matches a second. */
#include "base/clock.h"
#include "quern/quern.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 5000, DOC_BYTES = 256 };

static const char schema[] =
    "{\"table_name\":\"t\",\"fields\":["
    "{\"field_name\":\"id\",\"field_type\":\"INT64\"},"
    "{\"field_name\":\"kind\",\"field_type\":\"STRING\"},"
    "{\"field_name\":\"brand\",\"field_type\":\"STRING\"},"
    "{\"field_name\":\"shop\",\"field_type\":\"STRING\"},"
    "{\"field_name\":\"year\",\"field_type\":\"INT32\"},"
    "{\"field_name\":\"seller\",\"field_type\":\"INT64\"},"
    "{\"field_name\":\"price\",\"field_type\":\"DOUBLE\"},"
    "{\"field_name\":\"tags\",\"field_type\":\"STRING\",\"multi_value\":true}],"
    "\"indexs\":[{\"index_name\":\"id\",\"index_type\":\"PRIMARYKEY64\","
    "\"index_fields\":\"id\",\"has_primary_key_attribute\":true},"
    "{\"index_name\":\"kind\",\"index_type\":\"STRING\",\"index_fields\":\"kind\"}],"
    "\"attributes\":[\"id\",\"brand\",\"shop\",\"year\",\"seller\",\"price\",\"tags\"],"
    "\"summarys\":{\"summary_fields\":[\"id\"]}}";

static uint64_t state = 1;

static uint64_t roll(uint64_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % below;
}

static int fail(const char *what, const qn_error *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    return 1;
}

static int write_batch(quern *q, size_t first, size_t n)
{
    static char texts[BATCH][DOC_BYTES], ids[BATCH][24];
    static quern_op ops[BATCH];
    static quern_op_result results[BATCH];
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    qn_error err = {0};
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%zu", first + i);
        int size = snprintf(
            texts[i], DOC_BYTES,
            "{\"id\":%zu,\"kind\":\"all\",\"brand\":\"brand%" PRIu64
            "\",\"shop\":\"shop%" PRIu64 "\",\"year\":%" PRIu64 ",\"seller\":%" PRIu64
            ",\"price\":%g,\"tags\":[\"t%" PRIu64 "\",\"t%" PRIu64 "\"]}",
            first + i, roll(200), roll(100000), 1980 + roll(45), roll(1 << 30),
            (double)roll(100000) / 100, roll(20), roll(20));
        ops[i] = (quern_op){.kind = QUERN_OP_INDEX,
                            .id = ids[i],
                            .id_size = strlen(ids[i]),
                            .source = texts[i],
                            .source_size = (size_t)size,
                            .if_seq_no = QUERN_SEQ_NONE};
    }
    if (quern_write(q, "t", ops, n, &o, results, &err) != QN_OK)
        return fail("write", &err);
    return results[n - 1].status == QN_OK ? 0 : fail("write", &results[n - 1].error);
}

static int make_table(quern *q, size_t documents)
{
    qn_error err = {0};
    uint64_t had = 0;
    if (quern_count_all(q, "t", &had, &err) == QN_OK && had == documents) return 0;
    if (quern_table_create(q, "t", schema, strlen(schema), &err) != QN_OK)
        return fail("create", &err);
    for (size_t i = 0; i < documents; i += BATCH) {
        size_t n = documents - i < BATCH ? documents - i : BATCH;
        if (write_batch(q, i, n) != 0) return 1;
    }
    if (quern_table_optimize(q, "t", &err) != QN_OK ||
        quern_refresh(q, "t", &err) != QN_OK)
        return fail("optimize", &err);
    return 0;
}

static const struct {
    const char *name, *stage, *clauses;
} rows[] = {
    {"no clause", "recall", ""},
    {"count by keyword of 200", "aggregate",
     "&&aggregate=group_key:brand,agg_fun:count()"},
    {"count by keyword of 100000", "aggregate",
     "&&aggregate=group_key:shop,agg_fun:count()"},
    {"count by year", "aggregate", "&&aggregate=group_key:year,agg_fun:count()"},
    {"count by a wide number", "aggregate",
     "&&aggregate=group_key:seller,agg_fun:count()"},
    {"count by range", "aggregate",
     "&&aggregate=group_key:price,agg_fun:count(),range:10~50~100~500"},
    {"count, sum, min, max by keyword", "aggregate",
     "&&aggregate=group_key:brand,agg_fun:count()#sum(price)#min(price)#max(year)"},
    {"count by tags, two each", "aggregate",
     "&&aggregate=group_key:tags,agg_fun:count()"},
    {"count by a tuple", "aggregate",
     "&&aggregate=group_key:[brand,year],agg_fun:count()"},
    {"count by an expression", "aggregate",
     "&&aggregate=group_key:year/10,agg_fun:count()"},
    {"count by keyword, filtered", "aggregate",
     "&&aggregate=group_key:brand,agg_fun:count(),agg_filter:price>500.0"},
    {"distinct_count", "aggregate",
     "&&aggregate=group_key:year,agg_fun:distinct_count(shop)"},
    {"sampled from 10000 by 10", "aggregate",
     "&&aggregate=group_key:brand,agg_fun:count(),agg_sampler_threshold:10000,"
     "agg_sampler_step:10"},
    {"ranked by price", "rough", "&&kvpairs=first_formula:price"},
    {"the same, distinct brand", "distinct",
     "&&kvpairs=first_formula:price&&distinct=dist_key:brand,dist_count:1"},
    {"the same, distinct shop", "distinct",
     "&&kvpairs=first_formula:price&&distinct=dist_key:shop,dist_count:1,"
     "reserved:false"},
};

static double stage_ms(const quern_reply *r, const char *name)
{
    double ms = 0;
    for (size_t i = 0; i < r->stage_count; i++)
        if (strcmp(r->stages[i].name, name) == 0) ms += r->stages[i].ms;
    return ms;
}

static int measure(quern *q, size_t row, size_t rounds)
{
    char text[1024];
    double recall = 1e9, own = 1e9, whole = 1e9;
    uint64_t matches = 0;
    (void)snprintf(text, sizeof text, "config=hit:10&&query=kind:'all'%s&&sort=%s",
                   rows[row].clauses,
                   strstr(rows[row].clauses, "kvpairs") == NULL ? "-year" : "-RANK");
    for (size_t i = 0; i < rounds; i++) {
        quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *r = NULL;
        qn_error err = {0};
        o.kind = QUERN_QUERY_HA3;
        o.query = text;
        o.query_size = strlen(text);
        if (quern_search(q, "t", &o, &r, &err) != QN_OK) return fail(text, &err);
        double ms = stage_ms(r, "recall"), stage = stage_ms(r, rows[row].stage);
        recall = ms < recall ? ms : recall;
        own = stage < own ? stage : own;
        whole = r->took_ms < whole ? r->took_ms : whole;
        matches = r->total;
        quern_reply_free(r);
    }
    (void)printf("{\"clause\":\"%s\",\"matches\":%" PRIu64
                 ",\"recall_ms\":%.2f,\"stage_ms\":%.2f,\"whole_ms\":%.2f,"
                 "\"matches_per_s\":%.3g}\n",
                 rows[row].name, matches, recall, own, whole,
                 own > 0 ? (double)matches / own * 1000 : 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_facets FOLDER [DOCUMENTS] [ROUNDS]\n");
        return 2;
    }
    size_t documents = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 7;
    quern *q = NULL;
    qn_error err = {0};
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = argv[1];
    if (quern_open(&o, &q, &err) != QN_OK) return fail("open", &err);
    int rc = make_table(q, documents);
    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof *rows; i++)
        rc = measure(q, i, rounds);
    quern_close(q);
    return rc;
}
