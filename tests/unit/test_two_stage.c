/* SPDX-License-Identifier: Apache-2.0 */
/* The rough sort within recall finds what scoring every document finds: random tables and
 * queries, the same formula in a spelling that is pruned and in one that is not. */
#include "engine_fixture.h"

#include "base/clock.h"
#include "base/slice.h"

enum { DOCUMENTS = 4000, WORDS = 60, QUERIES = 60 };

static const char schema[] =
    "{\"table_name\":\"t\",\"fields\":["
    "{\"field_name\":\"id\",\"field_type\":\"STRING\"},"
    "{\"field_name\":\"title\",\"field_type\":\"TEXT\",\"analyzer\":\"standard\"},"
    "{\"field_name\":\"body\",\"field_type\":\"TEXT\",\"analyzer\":\"standard\"},"
    "{\"field_name\":\"n\",\"field_type\":\"INT32\"}],"
    "\"indexs\":[{\"index_name\":\"pk\",\"index_type\":\"PRIMARYKEY64\","
    "\"index_fields\":\"id\",\"has_primary_key_attribute\":true},"
    "{\"index_name\":\"default\",\"index_type\":\"PACK\",\"index_fields\":["
    "{\"field_name\":\"title\",\"boost\":3},{\"field_name\":\"body\",\"boost\":1}]}],"
    "\"attributes\":[\"id\",\"n\"],\"summarys\":{\"summary_fields\":[\"id\"]}}";

/* Word w is about 1 / (w + 1) as frequent as word 0. */
static uint32_t draw(qn_rng *rng)
{
    return (uint32_t)(WORDS * qn_rng_unit(rng) * qn_rng_unit(rng) * qn_rng_unit(rng));
}

static void add_words(qn_buf *b, qn_rng *rng, size_t most)
{
    size_t n = qn_rng_next(rng) % (most + 1);
    for (size_t i = 0; i < n; i++) qn_buf_printf(b, "w%u ", draw(rng));
}

/* Several segments, some documents gone, lengths on both sides of what a norm tells. */
static void fill(fixture *f, qn_rng *rng)
{
    qn_buf b;
    qn_buf_init(&b, qn_alloc_heap());
    fixture_table(f, "t", schema);
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        qn_buf_reset(&b);
        qn_buf_printf(&b, "{\"id\":\"d%u\",\"n\":%u,\"title\":\"", i, i % 10);
        add_words(&b, rng, 6);
        qn_buf_add_str(&b, "\",\"body\":\"");
        add_words(&b, rng, i % 7 == 0 ? 120 : 12);
        qn_buf_add_str(&b, "\"}");
        char id[16];
        (void)snprintf(id, sizeof id, "d%u", i);
        put(f, "t", id, b.p);
        if (i % 1500 == 700) T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    }
    for (unsigned i = 0; i < DOCUMENTS; i += 9) {
        char id[16];
        (void)snprintf(id, sizeof id, "d%u", i);
        T_EQ_I(write_one(f, "t", op_of(QUERN_OP_DELETE, id, NULL), NULL), QN_OK);
    }
    T_CALL(quern_refresh(f->q, "t", &f->err), &f->err);
    qn_buf_deinit(&b);
}

static void ask(fixture *f, const char *words, const char *rest, const char *rough,
                quern_reply **out)
{
    qn_buf b;
    qn_buf_init(&b, qn_alloc_heap());
    qn_buf_printf(&b,
                  "query=default:'%s'&&config=hit:25,start:5,rerank_size:40,"
                  "default_operator:OR,format:json%s,first_formula:%s",
                  words, rest, rough);
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = b.p;
    o.query_size = b.n;
    T_CALL(quern_search(f->q, "t", &o, out, &f->err), &f->err);
    qn_buf_deinit(&b);
}

static void expect_equal(fixture *f, const char *words, const char *rest)
{
    quern_reply *a = NULL, *b = NULL;
    ask(f, words, rest, "static_bm25()*10", &a);
    ask(f, words, rest, "10*static_bm25()", &b);
    T_EQ_I(a->total, b->total);
    T_EQ_I(a->total_is_lower_bound, 0);
    T_EQ_I(a->hit_count, b->hit_count);
    for (size_t i = 0; i < a->hit_count; i++) {
        T_EQ_S(a->hits[i].id, b->hits[i].id);
        T_NEAR(a->hits[i].score, b->hits[i].score, 0);
        T_NEAR(a->hits[i].stages.text, b->hits[i].stages.text, 1e-6);
        T_NEAR(a->hits[i].stages.rough, b->hits[i].stages.rough, 0);
    }
    quern_reply_free(a);
    quern_reply_free(b);
}

static void test_pruned_and_not(void **state)
{
    (void)state;
    static const char *const rests[] = {
        "&&kvpairs=x:1",
        "&&kvpairs=formula:n",
        "&&kvpairs=formula:text_relevance(title)+first_phase_score()",
        "&&filter=n>3&&kvpairs=formula:n*2",
        /* These ask for the score of recall. */
        "&&kvpairs=formula:text_score()",
        "&&kvpairs=formula:bm25(title)",
        "&&kvpairs=formula:n+bm25()",
        "&&kvpairs=formula:bm25_score()",
        "&&kvpairs=formula:n*0+recall_score()",
        "&&kvpairs=formula:text_z()",
        /* Of one index: summed apart where the query asks several, else recall's. */
        "&&kvpairs=formula:if(n>4\\,bm25(default)\\,1)",
    };
    fixture f;
    qn_rng rng = {20240607};
    fixture_begin(&f);
    fill(&f, &rng);
    for (size_t i = 0; i < QUERIES; i++) {
        char words[64];
        size_t n = 0, count = 1 + qn_rng_next(&rng) % 4;
        for (size_t w = 0; w < count; w++)
            n += (size_t)snprintf(words + n, sizeof words - n, "%sw%u",
                                  w > 0 ? " " : "", draw(&rng));
        T_ROW(words);
        for (size_t k = 0; k < sizeof rests / sizeof *rests; k++)
            expect_equal(&f, words, rests[k]);
    }
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pruned_and_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
