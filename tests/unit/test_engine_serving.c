/* SPDX-License-Identifier: Apache-2.0 */
/* Models in use while the world changes: scores from caches and anew, models that are
 * removed, changed and closed under calls, stages of a search that run out of time. */
#include "engine_fixture.h"

#include "base/clock.h"
#include "engine/engine_internal.h"
#include "engine/models/neural.h"
#include "nn/calls/token_cache.h"

#include <pthread.h>

enum { MS = 1000000 };
static const char query[] = "how does water grind flour";

static void import(fixture *f, const char *name, const char *dtype)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/nn/tiny-rerank", QN_SOURCE_DIR);
    T_CALL(quern_model_import(f->q, path, name, dtype, NULL, NULL, &f->err), &f->err);
}

static quern_text text_of(const char *s)
{
    return (quern_text){s, strlen(s)};
}

static void logits_of(fixture *f, const char *model, const char *const *texts, size_t n,
                      float *out)
{
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    o.model = model;
    o.not_kept = true;
    for (size_t i = 0; i < n; i++) {
        quern_text document = text_of(texts[i]);
        quern_rerank_score score;
        T_CALL(
            quern_rerank(f->q, &o, text_of(query), &document, 1, &score, NULL, &f->err),
            &f->err);
        T_OK(score.scored);
        out[i] = score.logit;
    }
}

/* ---- caches ---------------------------------------------------------------------- */

/* Calls drawn at random, on an engine with small caches and on one without any: the same
 * bits, whatever was asked before, also after a model changed under its name. */
typedef struct drawn {
    quern_rerank_options o;
    char query[64];
    quern_text texts[12];
    size_t n;
} drawn;

static const char *const words[] = {"mill",  "stone", "grinds", "grain", "water",
                                    "river", "and",   "paper",  "[SEP]", "library"};

static size_t draw_words(qn_rng *rng, char *out, size_t room, size_t most)
{
    size_t n = 0, count = qn_rng_next(rng) % (most + 1);
    out[0] = 0;
    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(out + n, room - n, "%s ", words[qn_rng_next(rng) % 10]);
    return n;
}

static void draw_call(qn_rng *rng, drawn *d, char texts[][256])
{
    static const char *const truncations[] = {NULL, "balanced", "longest_first",
                                              "only_second"};
    static const char *const chunkings[] = {NULL, NULL, NULL, "word:10:2",
                                            "token:12:4"};
    static const uint32_t lengths[] = {0, 0, 0, 12, 16, 30};
    *d = (drawn){.o = QUERN_RERANK_OPTIONS_INIT};
    qn_rng few = {qn_rng_next(rng) % 3};
    (void)draw_words(&few, d->query, sizeof d->query, 4);
    d->o.model = qn_rng_next(rng) % 2 == 0 ? "small" : "large";
    d->o.truncation = truncations[qn_rng_next(rng) % 4];
    d->o.chunking = chunkings[qn_rng_next(rng) % 5];
    d->o.tokens_max = lengths[qn_rng_next(rng) % 6];
    d->o.query_tokens_max = qn_rng_next(rng) % 4 == 0 ? 2 : 0;
    d->o.document_tokens_max = qn_rng_next(rng) % 4 == 0 ? 3 : 0;
    d->o.plain_special_tokens = qn_rng_next(rng) % 4 == 0;
    d->n = 1 + qn_rng_next(rng) % 12;
    for (size_t i = 0; i < d->n; i++) {
        /* Few texts, so that they come again, alone and beside others. */
        qn_rng one = {qn_rng_next(rng) % 20};
        size_t n = draw_words(&one, texts[i], 256, 28);
        d->texts[i] = (quern_text){texts[i], n};
    }
}

static void check_same(fixture *with, fixture *without, const drawn *d)
{
    quern_rerank_score a[12], b[12];
    qn_status st = quern_rerank(without->q, &d->o, text_of(d->query), d->texts, d->n, a,
                                NULL, &without->err);
    T_EQ_I(quern_rerank(with->q, &d->o, text_of(d->query), d->texts, d->n, b, NULL,
                        &with->err),
           st);
    if (st != QN_OK) {
        T_EQ_S(with->err.text, without->err.text);
        return;
    }
    for (size_t i = 0; i < d->n; i++) {
        T_OK(a[i].scored && b[i].scored);
        T_OK(memcmp(&a[i].logit, &b[i].logit, sizeof a[i].logit) == 0);
        T_EQ_I(a[i].tokens, b[i].tokens);
        T_EQ_I(a[i].truncated, b[i].truncated);
        T_EQ_I(a[i].passage_start, b[i].passage_start);
        T_EQ_I(a[i].passage_end, b[i].passage_end);
    }
}

static void begin_with_caches(fixture *f, uint64_t bytes)
{
    quern_options o = QUERN_OPTIONS_INIT;
    memset(f, 0, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/quern-test-XXXXXX");
    T_OK(mkdtemp(f->dir) != NULL);
    o.data_dir = f->dir;
    o.neural_threads = 2;
    T_CALL(quern_open(&o, &f->q, &f->err), &f->err);
    /* Smaller than any that can be asked for: what is kept gives way all the time. */
    qn_score_cache_destroy(f->q->scores);
    qn_token_cache_destroy(f->q->tokens);
    T_CALL(qn_score_cache_create(f->q->alloc, bytes, &f->q->scores, &f->err), &f->err);
    T_CALL(qn_token_cache_create(f->q->alloc, bytes, &f->q->tokens, &f->err), &f->err);
    import(f, "small", "int8");
    import(f, "large", "f32");
}

static void test_caches_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {{"room for few", 16 * 1024}, {"room for all", 4 * 1024 * 1024}};
    fixture without;
    begin_with_caches(&without, 0);
    for (size_t r = 0; r < 2; r++) {
        fixture with;
        T_ROW(rows[r].name);
        begin_with_caches(&with, rows[r].bytes);
        qn_rng rng = {r + 1};
        for (size_t i = 0; i < 200; i++) {
            char texts[12][256];
            drawn d;
            draw_call(&rng, &d, texts);
            check_same(&with, &without, &d);
            if (i % 100 != 99) continue;
            /* The same name, another model. */
            const char *dtype = i % 200 == 99 ? "bf16" : "int8";
            import(&with, "small", dtype);
            import(&without, "small", dtype);
        }
        quern_cache_stats s = {.size = sizeof s};
        quern_cache_stats_get(with.q, &s);
        T_OK(s.score_hits > 20 && s.token_hits > 20);
        T_OK(s.score_entries <= s.score_entries_max);
        T_OK(s.score_entries_max * 32 <= rows[r].bytes);
        T_OK(s.token_bytes <= rows[r].bytes);
        import(&without, "small", "int8");
        fixture_end(&with);
    }
    fixture_end(&without);
}

/* ---- models that go --------------------------------------------------------------- */

static const char *const texts[] = {"the mill grinds grain", "a library",
                                    "water turns the stone", "paper"};
enum { TEXTS = 4 };

typedef struct caller {
    fixture *f;
    float int8[TEXTS], f32[TEXTS];
    atomic_bool stop;
    atomic_size_t ok, gone, wrong;
} caller;

/* Every reply is whole and of one of the models, or says that there is none. */
static void *call_on(void *arg)
{
    caller *c = arg;
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    quern_text documents[TEXTS];
    o.model = "m";
    o.not_kept = true;
    for (size_t i = 0; i < TEXTS; i++) documents[i] = text_of(texts[i]);
    while (!atomic_load(&c->stop)) {
        quern_rerank_score s[TEXTS];
        qn_error err;
        qn_status st =
            quern_rerank(c->f->q, &o, text_of(query), documents, TEXTS, s, NULL, &err);
        if (st == QN_ENOMODEL || st == QN_ENOTFOUND) {
            atomic_fetch_add(&c->gone, 1);
            continue;
        }
        bool a = st == QN_OK, b = st == QN_OK;
        for (size_t i = 0; st == QN_OK && i < TEXTS; i++) {
            a = a && s[i].scored && s[i].logit == c->int8[i];
            b = b && s[i].scored && s[i].logit == c->f32[i];
        }
        atomic_fetch_add(a || b ? &c->ok : &c->wrong, 1);
        if (!a && !b) print_error("status %d: %s\n", st, st == QN_OK ? "" : err.text);
    }
    return NULL;
}

static void test_removed_under_calls(void **state)
{
    (void)state;
    enum { CALLERS = 3, ROUNDS = 16 };
    fixture f;
    fixture_begin(&f);
    import(&f, "m", "f32");
    caller c = {.f = &f};
    logits_of(&f, "m", texts, TEXTS, c.f32);
    import(&f, "m", "int8");
    logits_of(&f, "m", texts, TEXTS, c.int8);
    pthread_t ids[CALLERS];
    for (size_t i = 0; i < CALLERS; i++)
        T_EQ_I(pthread_create(&ids[i], NULL, call_on, &c), 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        T_ROW("changed under its name");
        import(&f, "m", i % 2 == 0 ? "f32" : "int8");
        if (i % 2 == 0) continue;
        T_ROW("removed");
        T_CALL(quern_model_remove(f.q, "m", &f.err), &f.err);
        for (int k = 0; k < 3; k++) {
            quern_model_info info;
            quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
            quern_rerank_score s;
            quern_text document = text_of("a");
            o.model = "m";
            T_EQ_I(
                quern_rerank(f.q, &o, text_of(query), &document, 1, &s, NULL, &f.err),
                QN_ENOMODEL);
            T_EQ_I(quern_model_info_get(f.q, "m", &info, &f.err), QN_ENOMODEL);
        }
        import(&f, "m", "int8");
    }
    atomic_store(&c.stop, true);
    for (size_t i = 0; i < CALLERS; i++) (void)pthread_join(ids[i], NULL);
    T_OK(atomic_load(&c.ok) > 0);
    T_EQ_I(atomic_load(&c.wrong), 0);
    fixture_end(&f);
}

static void state_of(fixture *f, const char *name, qn_model_state *s)
{
    qn_models_state(f->q->models, name, s);
}

static void test_goes_when_idle(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f);
    import(&f, "m", "int8");
    float before[TEXTS], after[TEXTS];
    qn_model_state s;
    const quern_deployment d = {.size = sizeof d, .adaptive = true, .idle_ms = 15000};
    T_CALL(quern_model_deploy(f.q, "m", &d, &f.err), &f.err);
    logits_of(&f, "m", texts, TEXTS, before);
    int64_t now = qn_clock_mono_ns();

    T_ROW("used a moment ago");
    qn_models_tick(f.q->models, now += 11000 * (int64_t)MS);
    state_of(&f, "m", &s);
    T_OK(s.loaded && s.allocations > 0);
    qn_models_tick(f.q->models, now += 11000 * (int64_t)MS);
    state_of(&f, "m", &s);
    T_OK(s.loaded);

    T_ROW("somebody has it");
    qn_model *held = NULL;
    T_CALL(qn_models_get(f.q->models, "m", QN_MODEL_RERANK, &held, &f.err), &f.err);
    quern_model_info info;
    T_CALL(quern_model_info_get(f.q, "m", &info, &f.err), &f.err);
    T_OK(info.label_names != NULL);
    /* What is told of a model outlives it. */
    T_OK(info.label_names[0] != qn_model_describe(held)->label_names[0]);
    T_EQ_S(info.label_names[0], qn_model_describe(held)->label_names[0]);
    for (int i = 0; i < 4; i++) qn_models_tick(f.q->models, now += 11000 * (int64_t)MS);
    state_of(&f, "m", &s);
    T_OK(s.loaded);
    T_EQ_I(s.users, 1);
    T_EQ_I(s.allocations, 0);
    qn_models_release(f.q->models, held);

    T_ROW("idle");
    qn_models_tick(f.q->models, now += 11000 * (int64_t)MS);
    state_of(&f, "m", &s);
    T_OK(!s.loaded);
    T_EQ_I(s.allocations, 0);

    T_ROW("what it is is still known");
    T_CALL(quern_model_info_get(f.q, "m", &info, &f.err), &f.err);
    state_of(&f, "m", &s);
    T_OK(!s.loaded);

    T_ROW("the first call after: in its time, of what is scored the same bits");
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    quern_text documents[TEXTS];
    quern_rerank_score scores[TEXTS];
    size_t scored = 0;
    o.model = "m";
    o.not_kept = true;
    o.timeout_ms = 1;
    for (size_t i = 0; i < TEXTS; i++) documents[i] = text_of(texts[i]);
    int64_t begin = qn_clock_mono_ns();
    T_CALL(quern_rerank(f.q, &o, text_of(query), documents, TEXTS, scores, &scored,
                        &f.err),
           &f.err);
    T_OK(qn_clock_mono_ns() - begin < 2000 * (int64_t)MS);
    for (size_t i = 0; i < TEXTS; i++)
        T_OK(!scores[i].scored || scores[i].logit == before[i]);

    T_ROW("and with time enough all");
    logits_of(&f, "m", texts, TEXTS, after);
    T_OK(memcmp(before, after, sizeof before) == 0);
    state_of(&f, "m", &s);
    T_OK(s.loaded && s.allocations == 1);

    T_ROW("another file of the same size came while it was away");
    char path[256], other[256];
    (void)snprintf(path, sizeof path, "%s/models/m.qnm", f.dir);
    (void)snprintf(other, sizeof other, "%s/models/n.qnm", f.dir);
    for (int i = 0; i < 5; i++) qn_models_tick(f.q->models, now += 11000 * (int64_t)MS);
    state_of(&f, "m", &s);
    T_OK(!s.loaded);
    import(&f, "n", "int8");
    T_EQ_I(rename(other, path), 0);
    logits_of(&f, "m", texts, TEXTS, after);
    fixture_end(&f);
}

/* ---- a cascade out of time ----------------------------------------------------------- */

/* A call that has all threads until it is told to end. */
typedef struct blocker {
    qn_ticket *ticket;
    qn_schedule_group *group;
    atomic_bool runs, end, taken;
} blocker;

static bool block_take(void *job, void **batch, qn_turn *turn)
{
    blocker *b = job;
    *batch = b;
    *turn = (qn_turn){1, MS};
    return !atomic_exchange(&b->taken, true);
}

static void block_run(void *batch, const qn_deadline *deadline, const int64_t *paused)
{
    blocker *b = batch;
    (void)deadline;
    (void)paused;
    atomic_store(&b->runs, true);
    while (!atomic_load(&b->end)) (void)sched_yield();
}

static void block_give(void *job, void *batch)
{
    (void)job;
    (void)batch;
}

static void block(fixture *f, blocker *b)
{
    static const qn_schedule_work work = {block_take, block_run, block_give};
    *b = (blocker){.end = false};
    T_CALL(qn_schedule_group_create(f->q->scheduler, 0, &b->group, &f->err), &f->err);
    const qn_schedule_call call = {.group = b->group,
                                   .items = 1,
                                   .tokens = 1000,
                                   .cost_ns = MS,
                                   .always = true,
                                   .work = &work,
                                   .job = b};
    T_CALL(qn_scheduler_begin(&call, &b->ticket, &f->err), &f->err);
    while (!atomic_load(&b->runs)) (void)sched_yield();
}

static void unblock(blocker *b)
{
    atomic_store(&b->end, true);
    qn_scheduler_end(b->ticket);
    qn_schedule_group_destroy(b->group);
}

enum { DOCS = 10, FIRST = 8, SECOND = 4 };
static const char *const bodies[DOCS] = {
    "water water water water mill", "water water water stone wheat",
    "water water water flour",      "water water the river and the lake",
    "water water grind the grain",  "water turn the wheel by hand",
    "water in winter is thin ice",  "water and paper in the library",
    "water for the upper stone",    "the town of water",
};

static float kept_logit(fixture *f, const char *model, const char *body, bool keep)
{
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    quern_text document = text_of(body);
    quern_rerank_score s;
    o.model = model;
    o.not_kept = !keep;
    T_CALL(quern_rerank(f->q, &o, text_of("water"), &document, 1, &s, NULL, &f->err),
           &f->err);
    return s.logit;
}

static int number_of(const quern_hit *h)
{
    int64_t n = -1;
    T_OK(qn_slice_to_i64((qn_slice){h->id, h->id_size}, &n));
    return (int)n;
}

/* Puts those of the first n that the model has scores of in front, best first. */
static void reorder(fixture *f, const char *model, const bool *known, int *ids,
                    size_t n)
{
    int front[DOCS], behind[DOCS];
    size_t a = 0, b = 0;
    for (size_t i = 0; i < n; i++) {
        if (!known[ids[i]]) {
            behind[b++] = ids[i];
            continue;
        }
        size_t k = a++;
        float own = kept_logit(f, model, bodies[ids[i]], false);
        for (; k > 0 && kept_logit(f, model, bodies[front[k - 1]], false) < own; k--)
            front[k] = front[k - 1];
        front[k] = ids[i];
    }
    memcpy(ids, front, a * sizeof *ids);
    memcpy(ids + a, behind, b * sizeof *ids);
}

static quern_reply *cascade(fixture *f, const char *rerank, int64_t budget_ms)
{
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    s.query = "water";
    s.query_size = 5;
    s.pipeline = "bm25";
    s.rerank = rerank;
    s.rerank_budget_ms = budget_ms;
    s.hits = DOCS;
    T_CALL(quern_search(f->q, "t", &s, &reply, &f->err), &f->err);
    T_EQ_I(reply->hit_count, DOCS);
    return reply;
}

static void begin_table(fixture *f)
{
    fixture_begin(f);
    import(f, "small", "int8");
    import(f, "large", "f32");
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

/* Documents of a search are not read when nobody waits for them any more, and only a
 * little when the time is over. */
static void test_reading_ends(void **state)
{
    (void)state;
    static const atomic_bool yes = true;
    const struct {
        const char *name;
        qn_deadline deadline;
        size_t want;
    } rows[] = {{"no limit", {0}, DOCS},
                {"cancelled", {.cancelled = &yes}, 0},
                {"long over", {.at_ns = 1}, 0}};
    fixture f;
    begin_table(&f);
    for (size_t i = 0; i < DOCS; i++) (void)kept_logit(&f, "large", bodies[i], true);
    qn_table *t = NULL;
    T_CALL(qn_engine_table(f.q, "t", &t, &f.err), &f.err);
    const qn_table_snapshot *snapshot = qn_table_search(t);
    qn_table_release(t);
    uint32_t segments[DOCS] = {0}, docs[DOCS];
    for (uint32_t i = 0; i < DOCS; i++) docs[i] = i;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_rank_neural_answer answers[DOCS];
        const char *name = NULL;
        qn_neural_job job = {.q = f.q,
                             .snapshot = snapshot,
                             .query = QN_SLICE_LIT("water"),
                             .arena = &arena};
        const qn_rank_neural_ask ask = {.model = "large",
                                        .segments = segments,
                                        .docs = docs,
                                        .n = DOCS,
                                        .deadline = &rows[r].deadline};
        qn_status st = qn_neural_score(&job, &ask, answers, &name, &f.err);
        if (st != QN_ECANCELLED) T_EQ_I(st, QN_OK);
        size_t n = 0;
        for (size_t i = 0; st == QN_OK && i < DOCS; i++) n += answers[i].scored;
        T_EQ_I(n, rows[r].want);
        qn_arena_deinit(&arena);
    }
    qn_table_snapshot_release((qn_table_snapshot *)(uintptr_t)snapshot);
    fixture_end(&f);
}

static void test_cascade_out_of_time(void **state)
{
    (void)state;
    /* Which documents of its window a stage has scores of, by place; the others would have
     * to be computed, and no thread is free. */
    static const struct {
        const char *name;
        unsigned first, second;
    } rows[] = {
        {"all of the first, two of the second", 0xFF, 0x5},
        {"all of the first, none of the second", 0xFF, 0},
        {"some of the first, some of the second", 0xA5, 0xA},
        {"none of the first, one of the second", 0, 0x4},
        {"none at all", 0, 0},
        {"all", 0xFF, 0xF},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        fixture f;
        T_ROW(rows[r].name);
        begin_table(&f);
        int ids[DOCS];
        bool first[DOCS] = {false}, second[DOCS] = {false};
        quern_reply *plain = cascade(&f, NULL, 0);
        for (size_t i = 0; i < DOCS; i++) ids[i] = number_of(&plain->hits[i]);
        quern_reply_free(plain);
        for (size_t i = 0; i < FIRST; i++) {
            first[ids[i]] = rows[r].first >> i & 1;
            if (first[ids[i]]) (void)kept_logit(&f, "small", bodies[ids[i]], true);
        }
        reorder(&f, "small", first, ids, FIRST);
        for (size_t i = 0; i < SECOND; i++) {
            second[ids[i]] = rows[r].second >> i & 1;
            if (second[ids[i]]) (void)kept_logit(&f, "large", bodies[ids[i]], true);
        }
        reorder(&f, "large", second, ids, SECOND);

        blocker b;
        block(&f, &b);
        int64_t begin = qn_clock_mono_ns();
        quern_reply *reply = cascade(&f, "small:8,large:4", 60);
        int64_t took = qn_clock_mono_ns() - begin;
        unblock(&b);
        for (size_t i = 0; i < DOCS; i++) T_EQ_I(number_of(&reply->hits[i]), ids[i]);
        for (size_t i = 1; i < DOCS; i++)
            T_OK(reply->hits[i].score <= reply->hits[i - 1].score);
        size_t n1 = 0, n2 = 0;
        for (size_t i = 0; i < DOCS; i++) {
            n1 += first[i];
            n2 += second[i];
        }
        bool whole = n1 == FIRST && n2 == SECOND;
        T_EQ_I(reply->neural_stages[0].scored, n1);
        T_EQ_I(reply->neural_stages[1].scored, n2);
        T_EQ_I(reply->neural_stages[0].timed_out, n1 < FIRST);
        T_EQ_I(reply->neural_stages[1].timed_out, n2 < SECOND);
        T_EQ_I(reply->rerank_timed_out, !whole);
        /* Both together had the time of one; nothing is waited for that is there. */
        T_OK(took < 3000 * (int64_t)MS);
        if (!whole) T_OK(took >= 25 * (int64_t)MS);
        quern_reply_free(reply);
        fixture_end(&f);
    }
}

/* ---- very many documents ------------------------------------------------------------- */

static void test_very_many(void **state)
{
    (void)state;
    enum { MANY = 100000, TOO_MANY = (1 << 20) + 1, KINDS = 5 };
    static const char *const kinds[KINDS] = {"the mill", "", "a library", "grain",
                                             "the mill "};
    fixture f;
    fixture_begin(&f);
    import(&f, "m", "int8");
    float want[KINDS];
    logits_of(&f, "m", kinds, KINDS, want);
    quern_text *documents = calloc(TOO_MANY, sizeof *documents);
    quern_rerank_score *scores = calloc(TOO_MANY, sizeof *scores);
    T_OK(documents != NULL && scores != NULL);
    for (size_t i = 0; i < TOO_MANY; i++) documents[i] = text_of(kinds[i % KINDS]);
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    size_t scored = 0;
    o.model = "m";

    T_ROW("equal ones are computed once");
    qn_model_state before, after;
    state_of(&f, "m", &before);
    T_CALL(
        quern_rerank(f.q, &o, text_of(query), documents, MANY, scores, &scored, &f.err),
        &f.err);
    state_of(&f, "m", &after);
    T_EQ_I(scored, MANY);
    T_EQ_I(after.stats.items_done - before.stats.items_done, KINDS);
    for (size_t i = 0; i < MANY; i++) T_OK(scores[i].logit == want[i % KINDS]);

    T_ROW("none at all");
    T_CALL(quern_rerank(f.q, &o, text_of(query), documents, 0, scores, &scored, &f.err),
           &f.err);
    T_EQ_I(scored, 0);

    T_ROW("more than a call may have");
    T_EQ_I(quern_rerank(f.q, &o, text_of(query), documents, TOO_MANY, scores, &scored,
                        &f.err),
           QN_ELIMIT);
    T_OK(strstr(f.err.text, "at most 1048576") != NULL);

    T_ROW("different ones, out of time: in order, and the call comes back");
    static char bodies_of[MANY][8];
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(bodies_of[i], sizeof bodies_of[i], "%zu", i);
        documents[i] = text_of(bodies_of[i]);
    }
    o.timeout_ms = 30;
    int64_t begin = qn_clock_mono_ns();
    T_CALL(
        quern_rerank(f.q, &o, text_of(query), documents, MANY, scores, &scored, &f.err),
        &f.err);
    T_OK(qn_clock_mono_ns() - begin < 5000 * (int64_t)MS);
    T_OK(scored < MANY);
    for (size_t i = scored + 1000; i < MANY; i++) T_OK(!scores[i].scored);
    free(documents);
    free(scores);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caches_change_nothing),
        cmocka_unit_test(test_removed_under_calls),
        cmocka_unit_test(test_goes_when_idle),
        cmocka_unit_test(test_very_many),
        cmocka_unit_test(test_reading_ends),
        cmocka_unit_test(test_cascade_out_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
