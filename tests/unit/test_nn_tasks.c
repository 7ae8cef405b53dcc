/* SPDX-License-Identifier: Apache-2.0 */
/* Embedding and reranking: against the reference framework, in any batch, on any number
 * of threads, and inside a time budget. */
#include "test_nn.h"

#include "../qn_test.h"

#include <stdlib.h>

#include "io/json.h"
#include "nn/calls/embed.h"
#include "nn/calls/rerank.h"

#include <math.h>

enum { DIMS = 32, MANY = 200 };

static qn_slice string_of(const qn_json *object, const char *key)
{
    return qn_json_get(object, key)->string;
}

static void test_embed_golden(void **state)
{
    (void)state;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_model *m = nn_tiny_open("tiny-embed", QN_MODEL_F32);
    for (const qn_json *c = nn_cases(&arena, "tiny-embed")->first; c; c = c->next) {
        qn_slice text = string_of(c, "text");
        float v[DIMS];
        qn_embed_item item;
        qn_error err = {0};
        T_ROW(text.n == 0 ? "(empty)" : text.p);
        T_CALL(qn_embed_run(m, &text, 1, NULL, v, &item, &err), &err);
        T_EQ_I(item.tokens, qn_json_get(c, "ids")->count);
        size_t at = 0;
        for (const qn_json *x = qn_json_get(c, "embedding")->first; x; x = x->next)
            T_NEAR(v[at++], x->number, 2e-6);
    }
    qn_model_close(m);
    qn_arena_deinit(&arena);
}

static void test_rerank_golden(void **state)
{
    (void)state;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_model *m = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    for (const qn_json *c = nn_cases(&arena, "tiny-rerank")->first; c; c = c->next) {
        qn_slice document = string_of(c, "document");
        qn_rerank_doc doc;
        qn_rerank_stats stats;
        qn_error err = {0};
        T_ROW(document.p);
        T_CALL(qn_rerank_run(m, string_of(c, "query"), &document, 1, NULL, &doc, &stats,
                             &err),
               &err);
        T_NEAR(doc.logit, qn_json_get(c, "logit")->number, 1e-5);
        T_EQ_I(doc.tokens, qn_json_get(c, "ids")->count);
        T_EQ_I(doc.truncated, doc.tokens == 48);
        T_EQ_I(stats.scored, 1);
        T_EQ_I(stats.tokens, doc.tokens);
        T_OK(doc.scored && !stats.timed_out);
    }
    qn_model_close(m);
    qn_arena_deinit(&arena);
}

/* Documents of 0 to 60 words from a fixed vocabulary. */
static void make_docs(qn_arena *arena, qn_slice *docs, size_t n, uint64_t seed)
{
    static const char *const words[] = {"mill",  "stone", "the",   "water",  "grain",
                                        "turns", "flour", "paper", "crushed"};
    qn_rng rng = {seed};
    for (size_t i = 0; i < n; i++) {
        size_t count = qn_rng_next(&rng) % 60;
        char *text = qn_arena_new(arena, count * 8 + 1);
        size_t at = 0;
        for (size_t w = 0; w < count; w++) {
            const char *word = words[qn_rng_next(&rng) % 9];
            memcpy(text + at, word, strlen(word));
            at += strlen(word);
            text[at++] = ' ';
        }
        docs[i] = (qn_slice){text, at};
    }
}

/* A pair alone, in a batch, in another order, on more threads: the same bits. */
static void test_batch_invariance(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_model_dtype dtype;
        size_t threads;
    } rows[] = {
        {"f32, one thread", QN_MODEL_F32, 0},   {"f32, three", QN_MODEL_F32, 2},
        {"int8, one thread", QN_MODEL_INT8, 0}, {"int8, three", QN_MODEL_INT8, 2},
        {"bf16, two", QN_MODEL_BF16, 1},
    };
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    static qn_slice docs[MANY], reversed[MANY];
    static qn_rerank_doc together[MANY], backwards[MANY];
    make_docs(&arena, docs, MANY, 11);
    for (size_t i = 0; i < MANY; i++) reversed[i] = docs[MANY - 1 - i];
    qn_slice query = QN_SLICE_LIT("how does the mill grind?");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        qn_error err = {0};
        qn_pool *pool = NULL;
        T_CALL(qn_pool_create(qn_alloc_heap(), rows[r].threads, &pool, &err), &err);
        qn_model *m = nn_tiny_open("tiny-rerank", rows[r].dtype);
        qn_rerank_options options = {.pool = pool};
        qn_rerank_stats stats;
        T_CALL(qn_rerank_run(m, query, docs, MANY, &options, together, &stats, &err),
               &err);
        T_EQ_I(stats.scored, MANY);
        T_CALL(qn_rerank_run(m, query, reversed, MANY, &options, backwards, NULL, &err),
               &err);
        for (size_t i = 0; i < MANY; i++) {
            qn_rerank_doc alone;
            T_CALL(qn_rerank_run(m, query, &docs[i], 1, NULL, &alone, NULL, &err),
                   &err);
            T_OK(memcmp(&alone.logit, &together[i].logit, sizeof(float)) == 0);
            T_OK(memcmp(&alone.logit, &backwards[MANY - 1 - i].logit, sizeof(float)) ==
                 0);
        }
        qn_model_close(m);
        qn_pool_destroy(pool);
    }
    qn_arena_deinit(&arena);
}

static void test_embed_invariance(void **state)
{
    (void)state;
    T_ROW("embed");
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    static qn_slice docs[MANY];
    static float together[MANY * DIMS];
    make_docs(&arena, docs, MANY, 12);
    qn_error err = {0};
    qn_pool *pool = NULL;
    T_CALL(qn_pool_create(qn_alloc_heap(), 2, &pool, &err), &err);
    qn_model *m = nn_tiny_open("tiny-embed", QN_MODEL_INT8);
    qn_embed_options options = {.pool = pool};
    T_CALL(qn_embed_run(m, docs, MANY, &options, together, NULL, &err), &err);
    for (size_t i = 0; i < MANY; i++) {
        float alone[DIMS];
        T_CALL(qn_embed_run(m, &docs[i], 1, NULL, alone, NULL, &err), &err);
        T_OK(memcmp(alone, together + i * DIMS, sizeof alone) == 0);
    }
    qn_model_close(m);
    qn_pool_destroy(pool);
    qn_arena_deinit(&arena);
}

static void test_truncation(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_truncation truncation;
        uint32_t max_tokens, query, document; /* words; one piece each */
        qn_status st;
        uint32_t tokens;
        bool truncated;
    } rows[] = {
        {"fits", QN_TRUNCATE_BALANCED, 0, 5, 5, QN_OK, 13, false},
        {"fits exactly", QN_TRUNCATE_BALANCED, 0, 5, 40, QN_OK, 48, false},
        {"one over", QN_TRUNCATE_BALANCED, 0, 5, 41, QN_OK, 48, true},
        {"smaller limit", QN_TRUNCATE_LONGEST_FIRST, 20, 30, 30, QN_OK, 20, true},
        {"a limit over the model's", QN_TRUNCATE_BALANCED, 1000, 60, 60, QN_OK, 48,
         true},
        {"none", QN_TRUNCATE_NONE, 0, 5, 41, QN_ETOOLONG, 0, false},
        {"none that fits", QN_TRUNCATE_NONE, 0, 5, 40, QN_OK, 48, false},
        {"only second", QN_TRUNCATE_ONLY_SECOND, 0, 40, 41, QN_OK, 48, true},
        {"a limit that holds no pair", QN_TRUNCATE_BALANCED, 4, 5, 5, QN_EINVAL, 0,
         false},
    };
    qn_model *m = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        char words[500] = {0};
        for (size_t w = 0; w < 100; w++) memcpy(words + w * 5, "mill ", 5);
        qn_slice query = {words, rows[i].query * 5},
                 doc = {words, rows[i].document * 5};
        qn_rerank_options options = {.truncation_given = true,
                                     .truncation = rows[i].truncation,
                                     .max_tokens = rows[i].max_tokens};
        qn_rerank_doc out;
        qn_error err = {0};
        T_EQ_I(qn_rerank_run(m, query, &doc, 1, &options, &out, NULL, &err),
               rows[i].st);
        if (rows[i].st != QN_OK) continue;
        T_EQ_I(out.tokens, rows[i].tokens);
        T_EQ_I(out.truncated, rows[i].truncated);
    }
    qn_model_close(m);
}

/* Far more text than tokens that fit: only a prefix is tokenized, with the same result
 * as the cut text. */
static void test_long_text(void **state)
{
    (void)state;
    T_ROW("long text");
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    size_t n = 1000000;
    char *text = qn_arena_new(&arena, n);
    /* Blanks first: the prefix has to grow until it holds enough tokens. */
    memset(text, ' ', n);
    for (size_t at = n / 2; at + 6 < n; at += 6) memcpy(text + at, "stone ", 6);
    qn_slice docs[2] = {{text, n}, {text + n / 2, 6 * 60}};
    qn_model *m = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    qn_rerank_doc out[2];
    qn_error err = {0};
    T_CALL(qn_rerank_run(m, QN_SLICE_LIT("mill"), docs, 2, NULL, out, NULL, &err),
           &err);
    T_OK(out[0].logit == out[1].logit);
    T_EQ_I(out[0].tokens, 48);
    T_OK(out[0].truncated && out[1].truncated);
    qn_model_close(m);
    qn_arena_deinit(&arena);
}

/* Texts that have no place to be cut at are read as far as a model can see, in any
 * tokenizer, within a bounded time and memory: not to their end. */
static void test_endless_words(void **state)
{
    (void)state;
    enum { BYTES = 8 * 1024 * 1024 };
    static const char *const models[] = {"tiny-rerank", "tiny-deberta-v3",
                                         "tiny-xlm-roberta", "tiny-modernbert"};
    static const char *const patterns[] = {
        "g", "\xE8\xB0\xB7\xE7\xA3\xA8", "x-", "=", "\xC3\xA9", "a\t", " ", "\n ",
    };
    char *text = malloc(BYTES);
    T_OK(text != NULL);
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        qn_model *m = nn_tiny_open(models[k], QN_MODEL_F32);
        for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
            char row[64];
            (void)snprintf(row, sizeof row, "%s, pattern %zu", models[k], p);
            T_ROW(row);
            size_t step = strlen(patterns[p]), n = 0;
            for (; n + step <= BYTES; n += step) memcpy(text + n, patterns[p], step);
            const qn_slice texts[2] = {{text, n}, {text, n / 8 / step * step}};
            qn_rerank_doc docs[2];
            qn_error err;
            T_CALL(qn_rerank_run(m, QN_SLICE_LIT("mill"), texts, 2, NULL, docs, NULL,
                                 &err),
                   &err);
            T_OK(docs[0].scored && docs[1].scored);
            T_OK(docs[0].logit == docs[1].logit);
            T_EQ_I(docs[0].tokens, docs[1].tokens);
        }
        qn_model_close(m);
    }
    free(text);
}

static void test_specials(void **state)
{
    (void)state;
    qn_model *m = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    static const struct {
        const char *name;
        bool text;
        uint32_t tokens;
    } rows[] = {
        {"[SEP] is the token", false, 6}, /* [CLS] mill [SEP] [SEP] ice [SEP] */
        {"[SEP] is text: [UNK] s ##e ##p [UNK]", true, 10},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_slice doc = QN_SLICE_LIT("[SEP] ice");
        qn_rerank_options options = {.specials_are_text = rows[i].text};
        qn_rerank_doc out;
        qn_error err = {0};
        T_CALL(
            qn_rerank_run(m, QN_SLICE_LIT("mill"), &doc, 1, &options, &out, NULL, &err),
            &err);
        T_EQ_I(out.tokens, rows[i].tokens);
    }
    qn_model_close(m);
}

static void test_rerank_deadline(void **state)
{
    (void)state;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    static qn_slice docs[MANY];
    static qn_rerank_doc out[MANY];
    make_docs(&arena, docs, MANY, 13);
    qn_slice query = QN_SLICE_LIT("mill");
    qn_model *m = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    qn_rerank_stats stats;
    qn_error err = {0};

    T_ROW("passed before the start: nothing is scored, and that is an answer");
    qn_deadline passed = {.at_ns = 1};
    qn_rerank_options options = {.deadline = &passed};
    T_CALL(qn_rerank_run(m, query, docs, MANY, &options, out, &stats, &err), &err);
    T_EQ_I(stats.scored, 0);
    T_OK(stats.timed_out && !out[0].scored && !out[MANY - 1].scored);

    T_ROW("cancelled");
    atomic_bool cancelled = true;
    qn_deadline given_up = {.cancelled = &cancelled};
    options.deadline = &given_up;
    T_CALL(qn_rerank_run(m, query, docs, MANY, &options, out, &stats, &err), &err);
    T_EQ_I(stats.scored, 0);

    T_ROW("ample");
    qn_deadline ample = qn_deadline_in_ms(60000, NULL);
    options.deadline = &ample;
    T_CALL(qn_rerank_run(m, query, docs, MANY, &options, out, &stats, &err), &err);
    T_EQ_I(stats.scored, MANY);
    T_OK(!stats.timed_out);

    T_ROW("too short for all: the scored ones come first");
    int64_t least_ns = stats.took_ns; /* one slow run must not set the time */
    for (int i = 0; i < 5; i++) {
        T_CALL(qn_rerank_run(m, query, docs, MANY, &options, out, &stats, &err), &err);
        if (stats.took_ns < least_ns) least_ns = stats.took_ns;
    }
    qn_deadline near = {.at_ns = qn_clock_mono_ns() + least_ns / 4};
    options.deadline = &near;
    T_CALL(qn_rerank_run(m, query, docs, MANY, &options, out, &stats, &err), &err);
    T_OK(stats.scored < MANY);
    T_OK(stats.timed_out);
    for (size_t i = 0; i < MANY; i++) T_EQ_I(out[i].scored, i < stats.scored);
    qn_model_close(m);
    qn_arena_deinit(&arena);
}

/* A text's own ids give its vector; unscaled, the same direction. */
static void test_embed_ids(void **state)
{
    (void)state;
    T_ROW("ids");
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_model *m = nn_tiny_open("tiny-embed", QN_MODEL_F32);
    const qn_tokenizer *t = qn_model_tokenizer(m);
    qn_slice texts[2] = {QN_SLICE_LIT("the mill turns"), QN_SLICE_LIT("")};
    qn_pieces pieces = {0};
    qn_encoding e;
    qn_error err = {0};
    T_CALL(qn_tokenizer_encode(t, texts[0], QN_TOKENIZE_PLAIN, &arena, &pieces, &err),
           &err);
    T_CALL(qn_tokenizer_join(t, &pieces, NULL, 100, QN_TRUNCATE_NONE, &arena, &e, &err),
           &err);
    qn_embed_ids ids[2] = {{NULL, 0}, {e.ids, e.n}};
    qn_embed_options options = {.ids = ids};
    float v[2 * DIMS], pooled[2 * DIMS];
    qn_embed_item items[2];
    T_CALL(qn_embed_run(m, texts, 2, &options, v, items, &err), &err);
    T_OK(memcmp(v, v + DIMS, DIMS * sizeof *v) == 0);
    T_EQ_I(items[1].tokens, e.n);
    options.as_pooled = true;
    T_CALL(qn_embed_run(m, texts, 2, &options, pooled, NULL, &err), &err);
    double square = 0;
    for (size_t i = 0; i < DIMS; i++) square += (double)pooled[i] * (double)pooled[i];
    T_OK(fabs(square - 1) > 1e-3);
    for (size_t i = 0; i < DIMS; i++)
        T_NEAR((double)pooled[i] / sqrt(square), v[i], 1e-6);
    e.ids[1] = (uint32_t)qn_tokenizer_vocab_size(t);
    T_EQ_I(qn_embed_run(m, texts, 2, &options, v, NULL, &err), QN_EINVAL);
    T_OK(strstr(err.text, "text 1") != NULL && strstr(err.text, "vocabulary") != NULL);
    qn_model_close(m);
    qn_arena_deinit(&arena);
}

/* A cap on a text's tokens is as if the text ended there. */
static void test_rerank_caps(void **state)
{
    (void)state;
    T_ROW("caps");
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_model *m = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    const qn_tokenizer *t = qn_model_tokenizer(m);
    qn_slice query = QN_SLICE_LIT("mill"), doc = QN_SLICE_LIT("the mill turns");
    qn_slice more = QN_SLICE_LIT("the mill turns water");
    qn_pieces q = {0}, d = {0};
    qn_rerank_doc capped, plain;
    qn_error err = {0};
    T_CALL(qn_tokenizer_encode(t, query, QN_TOKENIZE_PLAIN, &arena, &q, &err), &err);
    T_CALL(qn_tokenizer_encode(t, doc, QN_TOKENIZE_PLAIN, &arena, &d, &err), &err);
    qn_rerank_options options = {.doc_tokens_max = (uint32_t)d.n,
                                 .query_tokens_max = (uint32_t)q.n};
    T_CALL(qn_rerank_run(m, QN_SLICE_LIT("mill stone"), &more, 1, &options, &capped,
                         NULL, &err),
           &err);
    T_CALL(qn_rerank_run(m, query, &doc, 1, &options, &plain, NULL, &err), &err);
    T_EQ_I(capped.tokens, plain.tokens);
    T_OK(capped.logit == plain.logit && capped.truncated && !plain.truncated);
    qn_model_close(m);
    qn_arena_deinit(&arena);
}

static void test_wrong_task(void **state)
{
    (void)state;
    T_ROW("wrong task");
    qn_model *embed = nn_tiny_open("tiny-embed", QN_MODEL_F32);
    qn_model *rerank = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    qn_slice text = QN_SLICE_LIT("mill");
    qn_rerank_doc doc;
    float v[DIMS];
    qn_error err = {0};
    T_EQ_I(qn_rerank_run(embed, text, &text, 1, NULL, &doc, NULL, &err), QN_EMODELTASK);
    T_EQ_I(qn_embed_run(rerank, &text, 1, NULL, v, NULL, &err), QN_EMODELTASK);
    T_ROW("nothing to do");
    T_CALL(qn_rerank_run(rerank, text, NULL, 0, NULL, NULL, NULL, &err), &err);
    T_CALL(qn_embed_run(embed, NULL, 0, NULL, NULL, NULL, &err), &err);
    T_ROW("invalid UTF-8 names the document");
    qn_slice bad[2] = {text, QN_SLICE_LIT("\xFF")};
    qn_rerank_doc docs[2];
    T_EQ_I(qn_rerank_run(rerank, text, bad, 2, NULL, docs, NULL, &err), QN_EUTF8);
    T_OK(strstr(err.text, "document 1") != NULL);
    T_ROW("too long is refused when cutting is not allowed");
    char words[300];
    for (size_t w = 0; w < 60; w++) memcpy(words + w * 5, "mill ", 5);
    qn_slice longer = {words, sizeof words};
    qn_embed_options options = {.refuse_long = true};
    T_EQ_I(qn_embed_run(embed, &longer, 1, &options, v, NULL, &err), QN_ETOOLONG);
    T_OK(strstr(err.text, "text 0") != NULL);
    T_ROW("a passed deadline fails an embedding");
    qn_deadline passed = {.at_ns = 1};
    qn_embed_options late = {.deadline = &passed};
    T_EQ_I(qn_embed_run(embed, &text, 1, &late, v, NULL, &err), QN_ETIMEOUT);
    qn_model_close(rerank);
    qn_model_close(embed);
}

static void test_score(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float logit, score;
    } rows[] = {{"zero", 0.0f, 0.5f},
                {"two", 2.0f, 0.880797078f},
                {"far below", -200.0f, 0.0f},
                {"far above", 200.0f, 1.0f}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_NEAR(qn_rerank_score(rows[i].logit), rows[i].score, 1e-7);
    }
}

int test_nn_tasks(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_golden),
        cmocka_unit_test(test_rerank_golden),
        cmocka_unit_test(test_batch_invariance),
        cmocka_unit_test(test_embed_invariance),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_endless_words),
        cmocka_unit_test(test_specials),
        cmocka_unit_test(test_rerank_deadline),
        cmocka_unit_test(test_embed_ids),
        cmocka_unit_test(test_rerank_caps),
        cmocka_unit_test(test_wrong_task),
        cmocka_unit_test(test_score),
    };
    return cmocka_run_group_tests_name("nn tasks", tests, NULL, NULL);
}
