/* SPDX-License-Identifier: Apache-2.0 */
/* Models over searches and texts: passages, stages in a list, retrievers, what is kept. */
#include "engine_fixture.h"

#include <math.h>

/* ---- two models and a table --------------------------------------------------------------- */

static void import(fixture *f, const char *folder, const char *name, const char *dtype)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/nn/%s", QN_SOURCE_DIR, folder);
    T_CALL(quern_model_import(f->q, path, name, dtype, NULL, NULL, &f->err), &f->err);
}

static void begin(fixture *f)
{
    fixture_begin(f);
    import(f, "tiny-rerank", "small", "int8");
    import(f, "tiny-rerank", "large", "f32");
}

static quern_text text_of(const char *s)
{
    return (quern_text){s, strlen(s)};
}

/* The logit of one pair alone, computed anew. */
static float logit_of(fixture *f, const char *model, const char *query,
                      const char *text, size_t n)
{
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    quern_rerank_score score;
    quern_text document = {text, n};
    o.model = model;
    o.not_kept = true;
    T_CALL(quern_rerank(f->q, &o, text_of(query), &document, 1, &score, NULL, &f->err),
           &f->err);
    T_OK(score.scored);
    return score.logit;
}

/* ---- passages ------------------------------------------------------------------------------- */

#define SENTENCE_1 "The mill stone turns in the water and grinds the grain to flour. "
#define SENTENCE_2                                                                     \
    "A library in the town keeps paper cards and waits for days to be paid. "
#define SENTENCE_3                                                                     \
    "The lake in winter has thin ice and nobody walks on it by mistake at all."

static const char long_text[] = SENTENCE_1 SENTENCE_2 SENTENCE_3;
static const char query[] = "how does water grind flour";

static void ask(fixture *f, const quern_rerank_options *o, const char *text,
                quern_rerank_score *out)
{
    quern_text document = text_of(text);
    T_CALL(quern_rerank(f->q, o, text_of(query), &document, 1, out, NULL, &f->err),
           &f->err);
    T_OK(out->scored);
}

static void test_passages(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    static const struct {
        const char *text;
    } parts[] = {{SENTENCE_1}, {SENTENCE_2}, {SENTENCE_3}};
    float logits[3];
    size_t best = 0;
    for (size_t i = 0; i < 3; i++) {
        logits[i] = logit_of(&f, "large", query, parts[i].text, strlen(parts[i].text));
        if (logits[i] > logits[best]) best = i;
    }
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    quern_rerank_score s;
    o.model = "large";

    T_ROW("whole");
    ask(&f, &o, long_text, &s);
    T_EQ_I(s.passages, 1);
    T_EQ_I(s.passage_end, sizeof long_text - 1);

    T_ROW("the best of three sentences");
    o.chunking = "sentence:20:0";
    ask(&f, &o, long_text, &s);
    T_EQ_I(s.passages, 3);
    T_EQ_I(s.passage, best);
    T_OK(s.logit == logits[best]); /* to the bit: the model on the passage alone */
    T_EQ_I(s.passage_end - s.passage_start, strlen(parts[best].text));
    T_OK(memcmp(long_text + s.passage_start, parts[best].text,
                s.passage_end - s.passage_start) == 0);

    T_ROW("first");
    o.join = "first";
    ask(&f, &o, long_text, &s);
    T_OK(s.logit == logits[0]);
    T_EQ_I(s.passage, 0);
    T_EQ_I(s.passages, 3);

    T_ROW("mean and sum");
    o.join = "mean";
    ask(&f, &o, long_text, &s);
    double sum = (double)logits[0] + (double)logits[1] + (double)logits[2];
    T_NEAR(s.logit, sum / 3, 1e-6);
    o.join = "sum";
    ask(&f, &o, long_text, &s);
    T_NEAR(s.logit, sum, 1e-6);
    o.join_top = 1;
    ask(&f, &o, long_text, &s);
    T_OK(s.logit == logits[best]);
    o.join_top = 0;

    T_ROW("no more than two");
    o.join = NULL;
    o.passages_max = 2;
    ask(&f, &o, long_text, &s);
    T_OK(s.logit == (logits[0] > logits[1] ? logits[0] : logits[1]));

    T_ROW("the one with the query's words");
    o.passages_max = 0;
    o.passages_best = 1;
    ask(&f, &o, long_text, &s);
    T_OK(s.logit == logits[0]); /* water, flour */
    T_EQ_I(s.passage, 0);

    T_ROW("empty");
    o.passages_best = 0;
    ask(&f, &o, "", &s);
    T_EQ_I(s.passages, 1);
    T_OK(s.logit == logit_of(&f, "large", query, "", 0));

    T_ROW("by tokens");
    o.chunking = "token:12:4";
    ask(&f, &o, long_text, &s);
    T_OK(s.passages > 3);
    T_OK(s.logit == logit_of(&f, "large", query, long_text + s.passage_start,
                             s.passage_end - s.passage_start));

    static const struct {
        const char *name, *chunking, *join, *want;
    } wrong[] = {
        {"strategy", "sentences", NULL, "Invalid chunkingStrategy sentences"},
        {"size", "word:5", NULL,
         "[max_chunk_size] must be greater than or equal to [10]"},
        {"join", "word", "least", "join [least]: known are max, first, mean, sum"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_ROW(wrong[i].name);
        quern_text document = text_of("a");
        o.chunking = wrong[i].chunking;
        o.join = wrong[i].join;
        T_EQ_I(quern_rerank(f.q, &o, text_of(query), &document, 1, &s, NULL, &f.err),
               QN_EINVAL);
        T_OK(strstr(f.err.text, wrong[i].want) != NULL);
    }
    fixture_end(&f);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static void test_kept(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    const char *texts[] = {"the mill", "the stone", "the mill", "the mill"};
    quern_text documents[4];
    quern_rerank_score first[4], again[4];
    quern_cache_stats before, after;
    size_t scored = 0;
    o.model = "small";
    for (size_t i = 0; i < 4; i++) documents[i] = text_of(texts[i]);

    T_ROW("equal texts are scored once");
    before.size = after.size = sizeof before;
    quern_cache_stats_get(f.q, &before);
    T_CALL(quern_rerank(f.q, &o, text_of(query), documents, 4, first, &scored, &f.err),
           &f.err);
    quern_cache_stats_get(f.q, &after);
    T_EQ_I(scored, 4);
    T_OK(first[0].logit == first[2].logit && first[0].logit == first[3].logit);
    T_OK(first[0].logit != first[1].logit);
    T_EQ_I(after.score_entries - before.score_entries, 2);
    T_EQ_I(after.token_entries - before.token_entries, 2);

    T_ROW("and once only");
    quern_cache_stats_get(f.q, &before);
    T_CALL(quern_rerank(f.q, &o, text_of(query), documents, 4, again, &scored, &f.err),
           &f.err);
    quern_cache_stats_get(f.q, &after);
    T_EQ_I(after.score_hits - before.score_hits, 2);
    T_EQ_I(after.token_hits - before.token_hits, 0);
    for (size_t i = 0; i < 4; i++) {
        T_OK(first[i].logit == again[i].logit);
        T_EQ_I(first[i].tokens, again[i].tokens);
    }

    T_ROW("another query reads the tokens that are kept");
    quern_cache_stats_get(f.q, &before);
    T_CALL(
        quern_rerank(f.q, &o, text_of("water"), documents, 4, again, &scored, &f.err),
        &f.err);
    quern_cache_stats_get(f.q, &after);
    T_EQ_I(after.token_hits - before.token_hits, 2);
    T_EQ_I(after.score_hits - before.score_hits, 0);

    T_ROW("the other model: another score, the same tokenizer");
    o.model = "large";
    quern_cache_stats_get(f.q, &before);
    T_CALL(quern_rerank(f.q, &o, text_of(query), documents, 4, again, &scored, &f.err),
           &f.err);
    quern_cache_stats_get(f.q, &after);
    T_EQ_I(after.token_hits - before.token_hits, 2);
    T_EQ_I(after.score_hits - before.score_hits, 0);

    T_ROW("another length is another score");
    o.tokens_max = 8;
    quern_cache_stats_get(f.q, &before);
    T_CALL(quern_rerank(f.q, &o, text_of(query), documents, 4, again, &scored, &f.err),
           &f.err);
    quern_cache_stats_get(f.q, &after);
    T_EQ_I(after.score_hits - before.score_hits, 0);
    T_OK(again[0].truncated);

    T_ROW("a changed model of the same name");
    o.tokens_max = 0;
    o.model = "small";
    import(&f, "tiny-rerank", "small", "bf16");
    quern_cache_stats_get(f.q, &before);
    T_CALL(quern_rerank(f.q, &o, text_of(query), documents, 4, again, &scored, &f.err),
           &f.err);
    quern_cache_stats_get(f.q, &after);
    T_EQ_I(after.score_hits - before.score_hits, 0);
    fixture_end(&f);
}

/* ---- stages in a list ------------------------------------------------------------------------ */

enum { DOCS = 12 };
static const char *const bodies[DOCS] = {
    "water water water water mill",
    "water water water stone wheat",
    "water water water flour",
    "water water the river and the lake",
    "water water grind the grain",
    "water turn the wheel by hand",
    "water in winter is thin ice",
    "water and paper in the library",
    "water for the upper stone",
    "water for the lower stone lies still",
    "the town of water",
    "water moves and opened the file",
};

static void fill(fixture *f)
{
    fixture_table(f, "t",
                  "{\"mappings\":{\"properties\":{\"body\":{\"type\":\"text\"}}}}");
    for (size_t i = 0; i < DOCS; i++) {
        char id[8], source[256];
        (void)snprintf(id, sizeof id, "%zu", i);
        (void)snprintf(source, sizeof source, "{\"body\":\"%s\"}", bodies[i]);
        put(f, "t", id, source);
    }
    T_CALL(quern_refresh(f->q, "t", &f->err), &f->err);
}

static quern_reply *search(fixture *f, quern_query_kind kind, const char *text,
                           const char *pipeline, const char *rerank)
{
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    s.kind = kind;
    s.query = text;
    s.query_size = strlen(text);
    s.pipeline = pipeline;
    s.rerank = rerank;
    if (kind == QUERN_QUERY_WORDS) s.hits = DOCS;
    T_CALL(quern_search(f->q, "t", &s, &reply, &f->err), &f->err);
    return reply;
}

static qn_status refused(fixture *f, quern_query_kind kind, const char *text,
                         const char *pipeline, const char *rerank)
{
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    s.kind = kind;
    s.query = text;
    s.query_size = strlen(text);
    s.pipeline = pipeline;
    s.rerank = rerank;
    qn_status st = quern_search(f->q, "t", &s, &reply, &f->err);
    quern_reply_free(reply);
    return st;
}

/* Sorts the first n of `ids` by a model's logits, best first. */
static void sort_by(fixture *f, const char *model, const char *words, int *ids,
                    size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t k = i; k > 0; k--) {
            const char *a = bodies[ids[k - 1]], *b = bodies[ids[k]];
            if (logit_of(f, model, words, a, strlen(a)) >=
                logit_of(f, model, words, b, strlen(b)))
                break;
            int swap = ids[k];
            ids[k] = ids[k - 1];
            ids[k - 1] = swap;
        }
    }
}

static int number_of(const quern_hit *h)
{
    int64_t n = -1;
    T_OK(qn_slice_to_i64((qn_slice){h->id, h->id_size}, &n));
    return (int)n;
}

static void check_order(const quern_reply *r, const int *ids, size_t n)
{
    T_EQ_I(r->hit_count, n);
    for (size_t i = 0; i < n; i++) {
        T_EQ_I(number_of(&r->hits[i]), ids[i]);
        if (i > 0) T_OK(r->hits[i].score <= r->hits[i - 1].score);
    }
}

static void take_order(fixture *f, int *ids)
{
    quern_reply *r = search(f, QUERN_QUERY_WORDS, "water", "bm25", NULL);
    T_EQ_I(r->hit_count, DOCS);
    for (size_t i = 0; i < DOCS; i++) ids[i] = number_of(&r->hits[i]);
    quern_reply_free(r);
}

static void test_cascade(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    fill(&f);
    int ids[DOCS];
    take_order(&f, ids);
    sort_by(&f, "small", "water", ids, 8);
    sort_by(&f, "large", "water", ids, 3);

    static const struct {
        const char *name, *pipeline, *rerank;
    } ways[] = {
        {"the pipeline's",
         "{\"recall\":{\"text\":{}},\"neural\":[{\"model\":\"small\",\"keep\":8},"
         "{\"model\":\"large\",\"keep\":3}]}",
         NULL},
        {"the caller's", "bm25", "small:8,large:3"},
        {"in the place of the pipeline's", "bm25+rerank", " small:8 , large:3"},
        {"the caller's as JSON", "bm25",
         "[{\"model\":\"small\",\"keep\":8},{\"model\":\"large\",\"keep\":3}]"},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        T_ROW(ways[i].name);
        quern_reply *r =
            search(&f, QUERN_QUERY_WORDS, "water", ways[i].pipeline, ways[i].rerank);
        check_order(r, ids, DOCS);
        T_EQ_I(r->neural_stage_count, 2);
        T_EQ_S(r->neural_stages[0].model, "small");
        T_EQ_I(r->neural_stages[0].scored, 8);
        T_EQ_I(r->neural_stages[1].of, 3);
        T_OK(!r->rerank_timed_out && r->reranked);
        T_EQ_I(r->rerank_scored, 3);
        for (size_t k = 0; k < DOCS; k++) {
            const quern_hit *h = &r->hits[k];
            T_EQ_I(h->neural_count, 2);
            T_EQ_I(isnan(h->neural[0].logit), k >= 8);
            T_EQ_I(isnan(h->neural[1].logit), k >= 3);
            if (k < 3) T_EQ_I(h->neural[1].rank, k);
            if (k < 8) {
                const char *body = bodies[number_of(h)];
                T_OK((float)h->neural[0].logit ==
                     logit_of(&f, "small", "water", body, strlen(body)));
            }
        }
        quern_reply_free(r);
    }

    T_ROW("an HA3 request's");
    quern_reply *ha3 = search(&f, QUERN_QUERY_HA3,
                              "query=body:'water'&&config=hit:12,format:json&&kvpairs="
                              "first_formula:bm25_score(),rerank:small:8\\,large:3,"
                              "rerank_budget:60000",
                              NULL, NULL);
    T_EQ_I(ha3->hit_count, DOCS);
    T_EQ_I(ha3->neural_stage_count, 2);
    T_EQ_I(ha3->neural_stages[0].scored, 8);
    T_EQ_I(ha3->neural_stages[1].scored, 3);
    for (size_t i = 1; i < DOCS; i++)
        T_OK(ha3->hits[i].score <= ha3->hits[i - 1].score);
    quern_reply_free(ha3);

    T_ROW("explained");
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *r = NULL;
    char id[8];
    (void)snprintf(id, sizeof id, "%d", ids[0]);
    s.query = "water";
    s.query_size = 5;
    s.pipeline = "bm25";
    s.rerank = "small:8,large:3";
    T_CALL(quern_explain(f.q, "t", id, strlen(id), &s, &r, &f.err), &f.err);
    const quern_explanation *e = r->hits[0].explanation;
    T_OK(e->detail_count >= 3);
    T_OK(strstr(e->details[0].description, "logit of large") != NULL);
    T_OK(strstr(e->details[1].description, "logit of small") != NULL);
    quern_reply_free(r);
    fixture_end(&f);
}

static void test_stage_options(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    fill(&f);
    int ids[DOCS];
    take_order(&f, ids);

    T_ROW("a stage whose documents are all scored anew is left out");
    quern_reply *r =
        search(&f, QUERN_QUERY_WORDS, "water", "bm25", "small:12,large:100");
    T_OK(r->neural_stages[0].skipped && !r->neural_stages[1].skipped);
    T_EQ_I(r->neural_stages[1].scored, DOCS);
    quern_reply_free(r);

    T_ROW("but not where time may run out");
    r = search(&f, QUERN_QUERY_WORDS, "water", "bm25",
               "[{\"model\":\"small\",\"budget_share\":0.5},{\"model\":\"large\"}]");
    T_OK(!r->neural_stages[0].skipped);
    quern_reply_free(r);

    T_ROW("a stage that may fail leaves the order");
    r = search(
        &f, QUERN_QUERY_WORDS, "water",
        "{\"recall\":{\"text\":{}},\"neural\":{\"model\":\"gone\",\"optional\":true}}",
        NULL);
    check_order(r, ids, DOCS);
    T_EQ_I(r->neural_stages[0].failure, QN_ENOMODEL);
    T_EQ_I(r->neural_stages[0].scored, 0);
    T_EQ_I(r->warning_count, 1);
    quern_reply_free(r);

    T_ROW("a weight of nearly nothing leaves the order of what it reached");
    r = search(&f, QUERN_QUERY_WORDS, "water",
               "{\"recall\":{\"text\":{}},\"neural\":{\"model\":\"large\",\"keep\":5,"
               "\"weight\":0.000001}}",
               NULL);
    check_order(r, ids, DOCS);
    quern_reply_free(r);

    T_ROW("no time at all: every document, in its order");
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.query = "water";
    s.query_size = 5;
    s.hits = DOCS;
    s.rerank_query = "nothing that is known already";
    s.rerank_query_size = strlen(s.rerank_query);
    s.rerank = "{\"model\":\"large\",\"budget_share\":0.0000000001,\"keep\":5}";
    T_CALL(quern_search(f.q, "t", &s, &r, &f.err), &f.err);
    T_EQ_I(r->hit_count, DOCS);
    T_OK(r->rerank_timed_out && r->neural_stages[0].timed_out);
    check_order(r, ids, DOCS);
    quern_reply_free(r);

    T_ROW("passages of documents");
    s.rerank_query = NULL;
    put(&f, "t", "long", "{\"body\":\"water " SENTENCE_1 SENTENCE_2 SENTENCE_3 "\"}");
    T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
    s.hits = DOCS + 1;
    s.rerank = "large";
    s.rerank_chunking = "sentence:20:0";
    T_CALL(quern_search(f.q, "t", &s, &r, &f.err), &f.err);
    bool seen = false;
    for (size_t i = 0; i < r->hit_count; i++) {
        const quern_hit *h = &r->hits[i];
        if (strcmp(h->id, "long") != 0) {
            T_OK(h->passage == NULL);
            continue;
        }
        seen = true;
        T_OK(h->passage != NULL && h->neural[0].passages == 3);
        T_OK(h->passage_size > 40 && h->passage_size < 90);
        T_OK((float)h->neural[0].logit ==
             logit_of(&f, "large", "water", h->passage, h->passage_size));
    }
    T_OK(seen);
    quern_reply_free(r);

    static const struct {
        const char *name, *pipeline, *rerank, *want;
        qn_status st;
    } wrong[] = {
        {"no model", "bm25", "small:8,", "rerank: MODEL[:DOCUMENTS]", QN_EINVAL},
        {"no document", "bm25", "small:0", "a model reads 1 to 10000", QN_EINVAL},
        {"too many", "bm25", "a,b,c,d,e,f,g,h,i", "at most 8 models", QN_ELIMIT},
        {"unknown", "bm25", "gone", "gone", QN_ENOMODEL},
        {"an empty list", "bm25", "[]", "takes a stage or a list of stages", QN_EJSON},
        {"weight and formula", "bm25", "{\"weight\":0.5,\"formula\":\"neural_z()\"}",
         "not both", QN_EJSON},
        {"share", "bm25", "{\"budget_share\":1.5}", "a number above 0, at most 1",
         QN_EJSON},
        {"key", "{\"neural\":[{\"modle\":\"small\"}]}", NULL, "did you mean \"model\"?",
         QN_EJSON},
        {"chunking",
         "{\"neural\":{\"chunking\":{\"strategy\":\"word\","
         "\"max_chunk_size\":3}}}",
         NULL, "[max_chunk_size]", QN_EINVAL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_ROW(wrong[i].name);
        T_EQ_I(
            refused(&f, QUERN_QUERY_WORDS, "water", wrong[i].pipeline, wrong[i].rerank),
            wrong[i].st);
        if (strstr(f.err.text, wrong[i].want) == NULL) T_FAIL("%s", f.err.text);
    }
    fixture_end(&f);
}

/* ---- retrievers -------------------------------------------------------------------------------- */

#define STANDARD "{\"standard\":{\"query\":{\"match\":{\"body\":\"water\"}}}}"
#define RERANK(model, window, more, child)                                             \
    "{\"text_similarity_reranker\":{\"retriever\":" child                              \
    ",\"field\":\"body\",\"inference_id\":\"" model                                    \
    "\",\"inference_text\":\"water\",\"rank_window_size\":" window more "}}"
#define BODY(size, retriever) "{\"size\":" size ",\"retriever\":" retriever "}"

static double mapped(float logit)
{
    return fmax((double)logit, 0) + fmin(exp((double)logit), 1);
}

static void test_retrievers(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    fill(&f);
    int ids[DOCS], nested[DOCS];
    take_order(&f, ids);
    memcpy(nested, ids, sizeof nested);
    sort_by(&f, "large", "water", ids, 5);
    sort_by(&f, "small", "water", nested, 8);
    sort_by(&f, "large", "water", nested, 3);

    T_ROW("one");
    quern_reply *r = search(&f, QUERN_QUERY_DSL,
                            BODY("5", RERANK("large", "5", "", STANDARD)), NULL, NULL);
    check_order(r, ids, 5);
    T_EQ_I(r->total, DOCS);
    for (size_t i = 0; i < 5; i++) {
        const char *body = bodies[ids[i]];
        T_NEAR(r->hits[i].score,
               mapped(logit_of(&f, "large", "water", body, strlen(body))), 1e-6);
        T_OK(r->hits[i].score > 0);
    }
    double third = r->hits[2].score;
    quern_reply_free(r);

    T_ROW("a page beyond the window is empty");
    r = search(
        &f, QUERN_QUERY_DSL,
        "{\"from\":4,\"size\":5,\"retriever\":" RERANK("large", "5", "", STANDARD) "}",
        NULL, NULL);
    T_EQ_I(r->hit_count, 1);
    quern_reply_free(r);

    T_ROW("nested: small ones on many, large ones on few");
    r = search(&f, QUERN_QUERY_DSL,
               BODY("3", RERANK("large", "3", "", RERANK("small", "8", "", STANDARD))),
               NULL, NULL);
    check_order(r, nested, 3);
    T_EQ_I(r->neural_stage_count, 2);
    quern_reply_free(r);

    T_ROW("a least score");
    char text[1024];
    (void)snprintf(
        text, sizeof text,
        "{\"size\":5,\"retriever\":{\"text_similarity_reranker\":{\"retriever\":"
        "%s,\"field\":\"body\",\"inference_id\":\"large\",\"inference_text\":"
        "\"water\",\"rank_window_size\":5,\"min_score\":%.9g}}}",
        STANDARD, third - 1e-7);
    r = search(&f, QUERN_QUERY_DSL, text, NULL, NULL);
    check_order(r, ids, 3);
    T_EQ_I(r->total, 3);
    quern_reply_free(r);

    T_ROW("filters of all of them hold");
    r = search(
        &f, QUERN_QUERY_DSL,
        BODY("5", RERANK("large", "5", ",\"filter\":{\"match\":{\"body\":\"stone\"}}",
                         STANDARD)),
        NULL, NULL);
    T_EQ_I(r->hit_count, 3);
    quern_reply_free(r);

    T_ROW("passages");
    put(&f, "t", "long", "{\"body\":\"water " SENTENCE_1 SENTENCE_2 SENTENCE_3 "\"}");
    T_CALL(quern_refresh(f.q, "t", &f.err), &f.err);
    r = search(
        &f, QUERN_QUERY_DSL,
        BODY("13", RERANK("large", "13",
                          ",\"chunk_rescorer\":{\"size\":1,\"chunking_settings\":"
                          "{\"strategy\":\"sentence\",\"max_chunk_size\":20,"
                          "\"sentence_overlap\":0}}",
                          STANDARD)),
        NULL, NULL);
    T_EQ_I(r->hit_count, 13);
    for (size_t i = 0; i < 13; i++) {
        const quern_hit *h = &r->hits[i];
        if (strcmp(h->id, "long") != 0) continue;
        T_OK(h->passage != NULL && h->neural[0].passages == 3);
        T_NEAR(h->score,
               mapped(logit_of(&f, "large", "water", h->passage, h->passage_size)),
               1e-6);
    }
    quern_reply_free(r);

    fixture_end(&f);
}

static void test_retriever_errors(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    fill(&f);
    quern_reply *r = NULL;

    T_ROW("failures may be allowed");
    r = search(
        &f, QUERN_QUERY_DSL,
        BODY("4", RERANK("gone", "4", ",\"allow_rerank_failures\":true", STANDARD)),
        NULL, NULL);
    T_EQ_I(r->hit_count, 4);
    T_EQ_I(r->neural_stages[0].failure, QN_ENOMODEL);
    quern_reply_free(r);

    T_ROW("knn and standard alone");
    r = search(&f, QUERN_QUERY_DSL, "{\"retriever\":" STANDARD "}", NULL, NULL);
    T_EQ_I(r->hit_count, 10);
    quern_reply_free(r);

    static const struct {
        const char *name, *body, *want;
        qn_status st;
    } wrong[] = {
        {"with a query", "{\"query\":{\"match_all\":{}},\"retriever\":" STANDARD "}",
         "cannot specify [retriever] and [query]", QN_EINVAL},
        {"window under size", BODY("6", RERANK("large", "5", "", STANDARD)),
         "[text_similarity_reranker] requires [rank_window_size: 5] be greater than or "
         "equal to [size: 6]",
         QN_EINVAL},
        {"window over the inner one",
         BODY("3", RERANK("large", "8", "", RERANK("small", "7", "", STANDARD))),
         "[text_similarity_reranker] requires [rank_window_size: 8] to be smaller than "
         "or "
         "equal to its sub retriever's text_similarity_reranker [rank_window_size: 7]",
         QN_EINVAL},
        {"unknown kind", "{\"retriever\":{\"standart\":{}}}",
         "unknown retriever [standart] did you mean [standard]?", QN_ESYNTAX},
        {"kind that is not built", "{\"retriever\":{\"rrf\":{}}}",
         "the retriever [rrf] is not supported", QN_EUNSUPPORTED},
        {"no object", "{\"retriever\":[]}", "must start with [START_OBJECT]",
         QN_ESYNTAX},
        {"empty", "{\"retriever\":{}}", "empty clause found", QN_ESYNTAX},
        {"two", "{\"retriever\":{\"standard\":{},\"knn\":{}}}", "expected [END_OBJECT]",
         QN_ESYNTAX},
        {"no text",
         "{\"retriever\":{\"text_similarity_reranker\":{\"retriever\":" STANDARD
         ",\"field\":\"body\"}}}",
         "Required [inference_text]", QN_ESYNTAX},
        {"unknown field",
         "{\"retriever\":{\"text_similarity_reranker\":{\"feild\":\"body\"}}}",
         "[text_similarity_reranker] unknown field [feild] did you mean [field]?",
         QN_ESYNTAX},
        {"chunks",
         BODY("3", RERANK("large", "5", ",\"chunk_rescorer\":{\"size\":0}", STANDARD)),
         "size must be greater than 0, was: 0", QN_EINVAL},
        {"unknown endpoint", BODY("3", RERANK("gone", "5", "", STANDARD)),
         "Inference endpoint not found [gone]", QN_ENOMODEL},
        {"unknown endpoint where nothing is found",
         BODY("3", RERANK("gone", "5", "",
                          "{\"standard\":{\"query\":{\"match\":{\"body\":\"zzz\"}}}}")),
         "Inference endpoint not found [gone]", QN_ENOMODEL},
        {"search_after in a standard one",
         "{\"retriever\":{\"standard\":{\"search_after\":[1]}}}",
         "[search_after] is not supported", QN_EUNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_ROW(wrong[i].name);
        T_EQ_I(refused(&f, QUERN_QUERY_DSL, wrong[i].body, NULL, NULL), wrong[i].st);
        if (strstr(f.err.text, wrong[i].want) == NULL) T_FAIL("%s", f.err.text);
    }
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passages),   cmocka_unit_test(test_kept),
        cmocka_unit_test(test_cascade),    cmocka_unit_test(test_stage_options),
        cmocka_unit_test(test_retrievers), cmocka_unit_test(test_retriever_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
