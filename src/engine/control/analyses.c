/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control/analyses.h"

#include "engine/engine_internal.h"
#include "engine/models/neural.h"
#include "text/utf8.h"

#include <unicode/uchar.h>

/* What is kept of one table. */
typedef struct kept {
    char *table;
    qn_analysis_set *set; /* NULL: it has no rules, as of `generation` */
    bool known;
    uint64_t generation;
    qn_analysis_words *words;
    bool building;    /* words, on the builder's thread */
    qn_error failure; /* of the last building; code QN_OK: none */
} kept;

struct qn_analyses {
    qn_alloc *alloc;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t built; /* a building ended */
    QN_VEC(kept) tables;
    qn_pool *builder; /* one thread, once words are asked for */
    atomic_bool stopping;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "query analysis");
}

qn_status qn_analyses_create(qn_alloc *a, qn_analyses **out, qn_error *err)
{
    *out = qn_new0(a, sizeof **out);
    if (*out == NULL) return no_memory(err);
    (*out)->alloc = a;
    (void)pthread_mutex_init(&(*out)->lock, NULL); /* never fails on Linux */
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&(*out)->built, &attr);
    (void)pthread_condattr_destroy(&attr);
    return QN_OK;
}

void qn_analyses_destroy(qn_analyses *a)
{
    if (a == NULL) return;
    atomic_store(&a->stopping, true);
    qn_pool_destroy(a->builder); /* waits for what is being built */
    for (size_t i = 0; i < a->tables.n; i++) {
        qn_analysis_set_release(a->tables.p[i].set);
        qn_analysis_words_release(a->tables.p[i].words);
        qn_delete(a->alloc, a->tables.p[i].table);
    }
    qn_vec_deinit(a->alloc, &a->tables);
    (void)pthread_cond_destroy(&a->built);
    (void)pthread_mutex_destroy(&a->lock);
    qn_delete(a->alloc, a);
}

void qn_analysis_set_release(qn_analysis_set *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) return;
    for (size_t i = 0; i < s->rule_count; i++)
        qn_qa_compiled_destroy(s->rules[i].compiled);
    qn_arena_deinit(&s->arena);
    qn_delete(s->alloc, s->table);
    qn_delete(s->alloc, s);
}

void qn_analysis_words_release(qn_analysis_words *w)
{
    if (w == NULL || atomic_fetch_sub(&w->refs, 1) != 1) return;
    qn_spelling_destroy(w->spelling);
    qn_delete(w->alloc, w);
}

const qn_analysis_rule *qn_analysis_set_find(const qn_analysis_set *s, qn_slice name)
{
    for (size_t i = 0; s != NULL && i < s->rule_count; i++)
        if (qn_slice_eq(s->rules[i].name, name)) return &s->rules[i];
    return NULL;
}

/* ---- compiling ----------------------------------------------------------------------------- */

typedef struct source {
    quern *q;
    const char *table;
    qn_arena arena; /* bodies of dictionaries */
} source;

static qn_status read_dictionary(void *ctx, qn_slice name, qn_slice *body,
                                 qn_error *err)
{
    source *from = ctx;
    qn_control_record record;
    QN_TRY(qn_control_get(from->q->control, from->table, QN_CONTROL_DICTIONARY, name, 0,
                          &from->arena, &record, err));
    *body = record.body;
    return QN_OK;
}

qn_status qn_analyses_compile(quern *q, const char *table, const qn_schema *schema,
                              qn_slice name, qn_slice body, qn_qa_compiled **out,
                              qn_error *err)
{
    source from = {.q = q, .table = table};
    qn_arena_init(&from.arena, q->alloc, 0);
    const qn_qa_compiler compiler = {.name = name,
                                     .schema = schema,
                                     .analyzers = q->analyzers,
                                     .dictionary = read_dictionary,
                                     .ctx = &from};
    qn_status st = qn_qa_compile(q->alloc, &compiler, body, out, err);
    qn_arena_deinit(&from.arena);
    return st;
}

static qn_status compile_all(quern *q, qn_analysis_set *set, const qn_schema *schema,
                             const qn_control_record *records, size_t n, qn_error *err)
{
    set->rules = qn_arena_array(&set->arena, n + 1, sizeof *set->rules);
    if (set->rules == NULL) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        if (!records[i].active) continue;
        qn_analysis_rule *rule = &set->rules[set->rule_count++];
        rule->name = qn_arena_slice(&set->arena, records[i].name);
        if (rule->name.p == NULL) return no_memory(err);
        rule->error = (qn_error){.at = QN_AT_NONE};
        qn_status st =
            qn_analyses_compile(q, set->table, schema, rule->name, records[i].body,
                                &rule->compiled, &rule->error);
        if (st == QN_ENOMEM) return no_memory(err);
        rule->error.code = st;
    }
    return QN_OK;
}

/* *out NULL when the table has no rules. */
static qn_status make_set(quern *q, const char *table, const qn_schema *schema,
                          uint64_t generation, qn_analysis_set **out, qn_error *err)
{
    const qn_control_record *records = NULL;
    size_t n = 0;
    qn_arena arena;
    *out = NULL;
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st = qn_control_list(q->control, table, QN_CONTROL_ANALYSIS, NULL, true,
                                   &arena, &records, &n, err);
    if (st == QN_OK && n > 0) {
        qn_analysis_set *set = qn_new0(q->alloc, sizeof *set);
        if (set != NULL) {
            atomic_init(&set->refs, 1);
            set->alloc = q->alloc;
            qn_arena_init(&set->arena, q->alloc, 0);
            set->table = qn_strndup(q->alloc, table, strlen(table));
            set->generation = generation;
            set->field_count = schema->field_count;
        }
        st = set == NULL || set->table == NULL
                 ? no_memory(err)
                 : compile_all(q, set, schema, records, n, err);
        if (st == QN_OK)
            *out = set;
        else
            qn_analysis_set_release(set);
    }
    qn_arena_deinit(&arena);
    return st;
}

static kept *find_kept(qn_analyses *a, const char *table)
{
    for (size_t i = 0; i < a->tables.n; i++)
        if (strcmp(a->tables.p[i].table, table) == 0) return &a->tables.p[i];
    char *name = qn_strndup(a->alloc, table, strlen(table));
    if (name == NULL) return NULL;
    if (!qn_vec_push(a->alloc, &a->tables, ((kept){.table = name}))) {
        qn_delete(a->alloc, name);
        return NULL;
    }
    return &a->tables.p[a->tables.n - 1];
}

static bool is_fresh(const kept *k, uint64_t generation, const qn_schema *schema)
{
    if (!k->known || k->generation != generation) return false;
    return k->set == NULL || k->set->field_count == schema->field_count;
}

qn_status qn_analyses_acquire(quern *q, const char *table, const qn_schema *schema,
                              qn_analysis_set **out, qn_error *err)
{
    qn_analyses *a = q->analyses;
    uint64_t generation = qn_control_generation(q->control);
    qn_status st = QN_OK;
    *out = NULL;
    (void)pthread_mutex_lock(&a->lock);
    kept *k = find_kept(a, table);
    if (k == NULL) {
        st = no_memory(err);
    } else if (!is_fresh(k, generation, schema)) {
        qn_analysis_set *fresh = NULL;
        st = make_set(q, table, schema, generation, &fresh, err);
        if (st == QN_OK) {
            qn_analysis_set_release(k->set);
            k->set = fresh;
            k->generation = generation;
            k->known = true;
        }
    }
    if (st == QN_OK && k->set != NULL) {
        *out = k->set;
        atomic_fetch_add(&k->set->refs, 1);
    }
    (void)pthread_mutex_unlock(&a->lock);
    return st;
}

/* ---- the words of a table ------------------------------------------------------------------- */

typedef struct gatherer {
    quern *q;
    const qn_schema *schema;
    const qn_analyzer *standard;
    qn_spelling *spelling;
    qn_arena arena; /* of one document */
    qn_buf scratch;
    size_t bytes;
} gatherer;

static bool is_word(const qn_token *t)
{
    if (strcmp(t->type, "<ALPHANUM>") != 0) return false;
    for (size_t at = 0; at < t->term.n;) {
        size_t length;
        uint32_t c = qn_utf8_get(t->term.p + at, &length);
        if (c != '\'' && !u_isalpha((UChar32)c)) return false;
        at += length;
    }
    return t->term.n > 0;
}

static qn_status gather_document(gatherer *g, const qn_segment *segment, uint32_t doc,
                                 qn_error *err)
{
    qn_slice json = {0}, text = {0};
    qn_token_list tokens = {0};
    qn_arena_reset(&g->arena);
    QN_TRY(qn_segment_source(segment, doc, &g->scratch, &json, NULL, err));
    json = qn_arena_slice(&g->arena, json);
    if (json.p == NULL) return no_memory(err);
    QN_TRY(qn_neural_text(&g->arena, g->schema, NULL, 0, json, &text, err));
    QN_TRY(qn_analyzer_run(g->standard, text, &g->arena, &tokens, err));
    g->bytes += text.n;
    for (size_t i = 0; i < tokens.n; i++)
        if (is_word(&tokens.p[i]))
            QN_TRY(qn_spelling_add(g->spelling, tokens.p[i].term, 1, err));
    return QN_OK;
}

static qn_status gather_all(gatherer *g, const qn_table_snapshot *s, bool *sampled,
                            qn_error *err)
{
    uint64_t step = s->live_count / QN_ANALYSES_SAMPLE_DOCS + 1, turn = 0;
    *sampled = step > 1;
    for (size_t i = 0; i < s->view.segment_count; i++) {
        const qn_segment_view *view = &s->view.segments[i];
        for (uint32_t doc = 0; doc < view->doc_count; doc++) {
            if (qn_segment_view_is_deleted(view, doc) || turn++ % step != 0) continue;
            if (atomic_load(&g->q->analyses->stopping))
                return qn_fail(err, QN_ECANCELLED, "the folder is being closed");
            if (g->bytes > QN_ANALYSES_SAMPLE_BYTES) {
                *sampled = true;
                return QN_OK;
            }
            QN_TRY(gather_document(g, view->segment, doc, err));
        }
    }
    return QN_OK;
}

static qn_status add_dictionaries(const qn_analysis_set *set, qn_spelling *spelling,
                                  qn_error *err)
{
    for (size_t i = 0; set != NULL && i < set->rule_count; i++)
        if (set->rules[i].compiled != NULL)
            QN_TRY(qn_qa_add_words(set->rules[i].compiled, spelling, err));
    return QN_OK;
}

static qn_status make_words(quern *q, const qn_analysis_set *set,
                            const qn_table_snapshot *s, qn_analysis_words **out,
                            qn_error *err)
{
    qn_status st;
    gatherer g = {.q = q, .schema = s->view.schema};
    qn_analysis_words *w = qn_new0(q->alloc, sizeof *w);
    *out = NULL;
    if (w == NULL) return no_memory(err);
    atomic_init(&w->refs, 1);
    w->alloc = q->alloc;
    w->live_count = s->live_count;
    w->generation = set == NULL ? 0 : set->generation;
    qn_arena_init(&g.arena, q->alloc, 0);
    qn_buf_init(&g.scratch, q->alloc);
    QN_TRY_TO(end, qn_spelling_create(q->alloc, &w->spelling, err));
    QN_TRY_TO(end, qn_analyzer_find(q->analyzers, QN_SLICE_LIT("standard"), &g.standard,
                                    err));
    g.spelling = w->spelling;
    QN_TRY_TO(end, gather_all(&g, s, &w->sampled, err));
    QN_TRY_TO(end, add_dictionaries(set, w->spelling, err));
    st = qn_spelling_build(w->spelling, err);

end:
    qn_buf_deinit(&g.scratch);
    qn_arena_deinit(&g.arena);
    if (st == QN_OK)
        *out = w;
    else
        qn_analysis_words_release(w);
    return st;
}

static bool is_good(const kept *k, const qn_analysis_set *set, uint64_t live_count)
{
    const qn_analysis_words *w = k->words;
    if (w == NULL) return false;
    uint64_t change = w->live_count > live_count ? w->live_count - live_count
                                                 : live_count - w->live_count;
    return w->generation == (set == NULL ? 0 : set->generation) &&
           change <= w->live_count / 8;
}

/* ---- building them --------------------------------------------------------------------------- */

typedef struct building {
    quern *q;
    const char *table; /* of `kept`, which stays */
    qn_analysis_set *set;
    qn_table_snapshot *snapshot;
} building;

static void end_building(qn_analyses *a, const char *table, qn_analysis_words *words,
                         const qn_error *failure)
{
    (void)pthread_mutex_lock(&a->lock);
    kept *k = find_kept(a, table);
    k->building = false;
    k->failure = *failure;
    if (words != NULL) {
        qn_analysis_words_release(k->words);
        k->words = words;
    }
    (void)pthread_cond_broadcast(&a->built);
    (void)pthread_mutex_unlock(&a->lock);
}

/* On the builder's thread. */
static void build(void *arg)
{
    building *b = arg;
    quern *q = b->q;
    qn_analysis_words *words = NULL;
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = make_words(q, b->set, b->snapshot, &words, &why);
    why.code = st;
    qn_analysis_set_release(b->set);
    qn_table_snapshot_release(b->snapshot);
    end_building(q->analyses, b->table, words, &why);
    qn_delete(q->alloc, b);
}

/* Under the lock. */
static qn_status start_building(quern *q, kept *k, qn_analysis_set *set,
                                qn_table_snapshot *s, qn_error *err)
{
    qn_analyses *a = q->analyses;
    if (a->builder == NULL) QN_TRY(qn_pool_create(a->alloc, 1, &a->builder, err));
    building *b = qn_new0(q->alloc, sizeof *b);
    if (b == NULL) return no_memory(err);
    *b = (building){.q = q, .table = k->table, .set = set, .snapshot = s};
    if (set != NULL) atomic_fetch_add(&set->refs, 1);
    atomic_fetch_add(&s->refs, 1);
    k->building = true;
    qn_status st = qn_pool_submit(a->builder, build, b, err);
    if (st == QN_OK) return QN_OK;
    k->building = false;
    qn_analysis_set_release(set);
    qn_table_snapshot_release(s);
    qn_delete(q->alloc, b);
    return st;
}

/* When a search no longer waits: half of its time, and no longer than this. */
static struct timespec patience(const qn_deadline *deadline)
{
    int64_t now = qn_clock_mono_ns(), left = qn_deadline_left_ns(deadline) / 2;
    int64_t most = (int64_t)QN_ANALYSES_WAIT_MS * 1000000;
    int64_t until = now + (left < most ? left : most);
    return (struct timespec){.tv_sec = (time_t)(until / 1000000000),
                             .tv_nsec = (long)(until % 1000000000)};
}

qn_status qn_analyses_words(quern *q, const char *table, qn_analysis_set *set,
                            qn_table_snapshot *s, const qn_deadline *deadline,
                            qn_analysis_words **out, qn_error *err)
{
    qn_analyses *a = q->analyses;
    struct timespec until = patience(deadline);
    qn_status st = QN_OK;
    bool started = false, in_time = true;
    *out = NULL;
    (void)pthread_mutex_lock(&a->lock);
    kept *k = find_kept(a, table);
    if (k == NULL) st = no_memory(err);
    while (st == QN_OK && in_time && !is_good(k, set, s->live_count)) {
        if (k->building) {
            in_time = pthread_cond_timedwait(&a->built, &a->lock, &until) == 0;
            k = find_kept(a, table); /* the list may have grown */
        } else if (!started) {
            started = true;
            st = start_building(q, k, set, s, err);
        } else {
            break; /* it failed */
        }
    }
    if (st == QN_OK && started && !k->building && k->failure.code != QN_OK) {
        st = k->failure.code;
        if (err != NULL) *err = k->failure;
    }
    if (st == QN_OK && k->words != NULL) {
        *out = k->words;
        atomic_fetch_add(&k->words->refs, 1);
    }
    (void)pthread_mutex_unlock(&a->lock);
    return st;
}
