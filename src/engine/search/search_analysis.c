/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/search/search_analysis.h"

#include "engine/control/analyses.h"

typedef struct attempt {
    qn_qa_join join;
    uint64_t matched;
} attempt;

struct qn_search_analysis {
    qn_analysis_set *set;
    qn_analysis_words *words;
    const qn_qa_compiled *rules[QN_QA_RULES_MAX];
    qn_qa_run run;
    attempt attempts[QN_QA_ATTEMPTS_MAX];
    size_t attempt_count; /* made */
    uint32_t below;       /* what the request says; 0: the rules */
    qn_slice raw_query;
    qn_qa_compiled *unstored;
    const qn_qa_category *categories;
    size_t category_count;
};

/* What a request says of its analysis. */
typedef struct asked {
    qn_slice names, off, raw_query;
    bool named;
    uint32_t below;
} asked;

/* ---- which rules --------------------------------------------------------------------------- */

static qn_status embed_nothing(void *ctx, const qn_field *field, const char *model,
                               qn_slice text, float *out, qn_error *err)
{
    (void)ctx;
    (void)model;
    (void)text;
    (void)err;
    for (uint32_t i = 0; i < field->dims; i++) out[i] = i == 0 ? 1.0f : 0.0f;
    return QN_OK;
}

static void take_pair(const qn_request *r, const char *key, qn_slice *out)
{
    const qn_kvpair *pair = qn_request_kvpair(r, key);
    if (pair != NULL && out->n == 0) *out = pair->value;
}

static qn_slice option_text(const char *text)
{
    return text == NULL ? QN_SLICE_LIT("") : qn_slice_of(text);
}

/* The caller's options; for HA3 also kvpairs and config, for which the request is read
 * once without analysis. */
static qn_status read_asked(qn_search *s, asked *a, qn_error *err)
{
    const quern_search_options *o = &s->options;
    *a = (asked){.names = option_text(o->analysis),
                 .off = option_text(o->analysis_off),
                 .named = o->analysis != NULL};
    a->raw_query = o->raw_query == NULL ? QN_SLICE_LIT("")
                                        : (qn_slice){o->raw_query, o->raw_query_size};
    if (o->kind != QUERN_QUERY_HA3) return QN_OK;
    const qn_request *r = NULL;
    qn_query_env env = s->env;
    env.embed = embed_nothing;
    QN_TRY(qn_ha3_parse(s->arena, &env, s->text, &r, err));
    take_pair(r, "qp", &a->names);
    take_pair(r, "disable", &a->off);
    take_pair(r, "raw_query", &a->raw_query);
    a->named = a->named || qn_request_kvpair(r, "qp") != NULL;
    a->below = r->research_threshold;
    return QN_OK;
}

static qn_status add_rule(qn_search *s, const qn_analysis_rule *rule, bool named,
                          qn_error *err)
{
    struct qn_search_analysis *a = s->analysis;
    if (rule->compiled == NULL) {
        qn_error why = {.at = QN_AT_NONE};
        (void)qn_fail(&why, rule->error.code, "query analysis [%.*s]: %s",
                      QN_SLICE_ARG(rule->name), rule->error.text);
        if (named) {
            if (err != NULL) *err = why;
            return why.code;
        }
        s->analysis_warning = why;
        return QN_OK;
    }
    for (size_t i = 0; i < a->run.rule_count; i++)
        if (a->rules[i] == rule->compiled) return QN_OK;
    if (a->run.rule_count == QN_QA_RULES_MAX)
        return qn_fail(err, QN_ELIMIT, "over %d rules of query analysis in one request",
                       QN_QA_RULES_MAX);
    a->rules[a->run.rule_count++] = rule->compiled;
    return QN_OK;
}

static qn_status unknown_rule(const qn_search *s, qn_slice name, qn_error *err)
{
    qn_control_record record; /* the store says it best: nearest name, none at all */
    qn_status st = qn_control_get(s->q->control, s->table, QN_CONTROL_ANALYSIS, name, 0,
                                  s->arena, &record, err);
    return st != QN_OK
               ? st
               : qn_fail(err, QN_ENOTFOUND, "query analysis [%.*s] is not active",
                         QN_SLICE_ARG(name));
}

static qn_status choose_rules(qn_search *s, const asked *want, qn_error *err)
{
    struct qn_search_analysis *a = s->analysis;
    qn_slice rest = want->names;
    for (size_t i = 0; !want->named && a->set != NULL && i < a->set->rule_count; i++) {
        const qn_analysis_rule *rule = &a->set->rules[i];
        const qn_qa_rule *r =
            rule->compiled == NULL ? NULL : qn_qa_compiled_rule(rule->compiled);
        bool dsl = s->options.kind == QUERN_QUERY_DSL;
        if (r == NULL ? !dsl : r->active && (!dsl || r->dsl))
            QN_TRY(add_rule(s, rule, false, err));
    }
    while (want->named && rest.n > 0) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ',' && rest.p[n] != ';') n++;
        qn_slice name = qn_slice_trim((qn_slice){rest.p, n});
        size_t used = n < rest.n ? n + 1 : n;
        rest = (qn_slice){rest.p + used, rest.n - used};
        if (name.n == 0) continue;
        const qn_analysis_rule *rule = qn_analysis_set_find(a->set, name);
        if (rule == NULL) return unknown_rule(s, name, err);
        QN_TRY(add_rule(s, rule, true, err));
    }
    return QN_OK;
}

/* ---- what rules ask of the table ------------------------------------------------------------ */

static qn_status frequency(void *ctx, const qn_leaf_target *t, qn_slice term,
                           uint64_t *documents, uint64_t *of, qn_error *err)
{
    const qn_search *s = ctx;
    *documents = 0;
    *of = s->snapshot->view.doc_count;
    for (size_t i = 0; i < t->field_count; i++) {
        qn_term_totals totals;
        QN_TRY(qn_snapshot_term_totals(&s->snapshot->view, t->fields[i].field->id, term,
                                       &totals, err));
        if (totals.doc_count > *documents) *documents = totals.doc_count;
    }
    return QN_OK;
}

static bool wants_words(const struct qn_search_analysis *a)
{
    for (size_t i = 0; i < a->run.rule_count; i++) {
        const qn_qa_rule *rule = qn_qa_compiled_rule(a->rules[i]);
        if (rule->steps[QN_QA_SPELL].on && rule->steps[QN_QA_SPELL].use_system)
            return true;
    }
    return false;
}

/* A rule that is not stored is the only one. */
static qn_status use_unstored(qn_search *s, qn_error *err)
{
    struct qn_search_analysis *a = s->analysis;
    qn_slice body = {s->options.analysis_rule, s->options.analysis_rule_size};
    QN_TRY(qn_analyses_compile(s->q, s->table, &s->snapshot->schema->schema,
                               QN_SLICE_LIT(""), body, &a->unstored, err));
    a->rules[a->run.rule_count++] = a->unstored;
    return QN_OK;
}

static qn_status start_run(qn_search *s, const asked *want, qn_error *err)
{
    struct qn_search_analysis *a = s->analysis;
    a->run.arena = s->arena;
    a->run.analyzers = s->q->analyzers;
    a->run.rules = a->rules;
    a->run.frequency = frequency;
    a->run.ctx = s;
    a->run.once = s->options.kind == QUERN_QUERY_DSL;
    a->below = want->below;
    a->raw_query = want->raw_query;
    QN_TRY(
        qn_qa_switches_parse(s->arena, want->off, &a->run.off, &a->run.off_count, err));
    if (wants_words(a)) {
        QN_TRY(qn_analyses_words(s->q, s->table, a->set, s->snapshot, &s->deadline,
                                 &a->words, err));
        if (a->words == NULL && s->analysis_warning.code == QN_OK)
            (void)qn_fail(
                &s->analysis_warning, QN_ETIMEOUT,
                "the words of the table are still being gathered: nothing was "
                "corrected by them");
        a->run.spelling = a->words == NULL ? NULL : a->words->spelling;
        a->run.spelling_sampled = a->words != NULL && a->words->sampled;
    }
    s->env.analyse = qn_qa_analyse;
    s->env.analyse_ctx = &a->run;
    return QN_OK;
}

qn_status qn_search__analysis_begin(qn_search *s, qn_error *err)
{
    asked want;
    qn_analysis_set *set = NULL;
    qn_error why = {.at = QN_AT_NONE};
    if (s->options.kind == QUERN_QUERY_DSL && s->options.analysis != NULL)
        return qn_fail(
            err, QN_EUNSUPPORTED,
            "a DSL query cannot name rules of query analysis; the active ones "
            "with \"dsl\": true are about it");
    qn_status st =
        qn_analyses_acquire(s->q, s->table, &s->snapshot->schema->schema, &set, &why);
    if (st == QN_ENOMEM) return qn_fail(err, st, "search");
    if (st != QN_OK) s->analysis_warning = why;
    bool unstored = s->options.analysis_rule != NULL;
    bool mentions =
        s->options.analysis != NULL || unstored; /* in HA3, kvpairs may hold a name */
    for (size_t i = 0; set == NULL && !mentions && i + 3 <= s->text.n; i++)
        mentions =
            s->options.kind == QUERN_QUERY_HA3 && memcmp(s->text.p + i, "qp:", 3) == 0;
    if (set == NULL && !mentions) return QN_OK;
    s->analysis = qn_arena_new(s->arena, sizeof *s->analysis);
    if (s->analysis == NULL) {
        qn_analysis_set_release(set);
        return qn_fail(err, QN_ENOMEM, "search");
    }
    s->analysis->set = set;
    QN_TRY(read_asked(s, &want, err));
    if (st != QN_OK && want.named && want.names.n > 0) {
        if (err != NULL) *err = why;
        return st;
    }
    if (unstored)
        QN_TRY(use_unstored(s, err));
    else
        QN_TRY(choose_rules(s, &want, err));
    return s->analysis->run.rule_count == 0 ? QN_OK : start_run(s, &want, err);
}

void qn_search__analysis_end(qn_search *s)
{
    if (s->analysis == NULL) return;
    qn_qa_compiled_destroy(s->analysis->unstored);
    qn_analysis_words_release(s->analysis->words);
    qn_analysis_set_release(s->analysis->set);
}

static bool is_on(const qn_search *s)
{
    return s->analysis != NULL && s->analysis->run.rule_count > 0;
}

qn_slice qn_search__analysis_words(const qn_search *s, qn_slice words)
{
    return is_on(s) ? qn_qa_corrected(&s->analysis->run, words) : words;
}

/* ---- categories ----------------------------------------------------------------------------- */

/* Documents of the category, for what they are worth. */
static qn_status category_clause(qn_search *s, const qn_qa_category *c,
                                 const qn_query **out, qn_error *err)
{
    qn_leaf_maker m = {s->arena, &s->env, err};
    qn_leaf_target t;
    qn_query *leaf = NULL, *worth = NULL;
    *out = NULL;
    const qn_field *f = qn_schema_field(s->env.schema, c->processor->field);
    if (f == NULL) return QN_OK;
    QN_TRY(qn_leaf_target_field(&m, f, &t));
    qn_status st = qn_leaf_value(&m, &t, c->id, 0, &leaf);
    if (st == QN_EFIELDTYPE) return QN_OK; /* an id that no document can have */
    QN_TRY(st);
    QN_TRY(qn_leaf_new(&m, QN_QUERY_CONSTANT, NULL, 0, &worth));
    worth->u.child = leaf;
    worth->boost = (float)(c->processor->boost * c->relevance);
    *out = worth;
    return QN_OK;
}

/* Beside the query, none of them needed. */
static qn_status add_categories(qn_search *s, const qn_query **query, qn_error *err)
{
    const struct qn_search_analysis *a = s->analysis;
    if (*query == NULL) return QN_OK;
    const qn_query **should =
        qn_arena_array(s->arena, a->category_count + 1, sizeof *should);
    const qn_query **must = qn_arena_array(s->arena, 1, sizeof *must);
    qn_query *both = qn_query_new(s->arena, QN_QUERY_BOOL, 0);
    size_t n = 0;
    if (should == NULL || must == NULL || both == NULL)
        return qn_fail(err, QN_ENOMEM, "search");
    for (size_t i = 0; i < a->category_count; i++) {
        if (a->categories[i].processor->field.n == 0) continue;
        QN_TRY(category_clause(s, &a->categories[i], &should[n], err));
        if (should[n] != NULL) n++;
    }
    if (n == 0) return QN_OK;
    must[0] = *query;
    both->u.boolean.must = (qn_query_list){must, 1};
    both->u.boolean.should = (qn_query_list){should, n};
    *query = both;
    return QN_OK;
}

/* Categories of whole numbers are what category_score() sees. */
static qn_status tell_ranking(qn_search *s, qn_error *err)
{
    const struct qn_search_analysis *a = s->analysis;
    qn_rank_category *list = qn_arena_array(s->arena, a->category_count, sizeof *list);
    if (list == NULL) return qn_fail(err, QN_ENOMEM, "search");
    for (size_t i = 0; i < a->category_count; i++) {
        qn_rank_category *one = &list[s->category_count];
        one->relevance = a->categories[i].relevance;
        if (qn_slice_to_i64(a->categories[i].id, &one->id)) s->category_count++;
    }
    s->categories = list;
    return QN_OK;
}

static qn_slice typed_words(const qn_search *s)
{
    if (s->analysis->raw_query.n > 0) return s->analysis->raw_query;
    if (s->options.kind == QUERN_QUERY_WORDS) return s->text;
    return qn_qa_first_text(&s->analysis->run);
}

qn_status qn_search__analysis_categories(qn_search *s, qn_error *err)
{
    if (!is_on(s) || s->options.kind == QUERN_QUERY_DSL) return QN_OK;
    struct qn_search_analysis *a = s->analysis;
    qn_slice words = qn_qa_corrected(&a->run, typed_words(s));
    QN_TRY(qn_qa_categories(&a->run, words, &a->categories, &a->category_count, err));
    if (a->category_count == 0) return QN_OK;
    QN_TRY(tell_ranking(s, err));
    bool plain = !s->paths[0].is_vector && s->request.layer_count == 0;
    return !plain ? QN_OK : add_categories(s, &s->paths[0].query, err);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static bool same_tree(const qn_search *s, const qn_query *a, const qn_query *b)
{
    qn_buf left, right;
    qn_buf_init(&left, s->q->alloc);
    qn_buf_init(&right, s->q->alloc);
    qn_query_dump(a, &left);
    qn_query_dump(b, &right);
    bool same = !left.failed && !right.failed &&
                qn_slice_eq(qn_buf_slice(&left), qn_buf_slice(&right));
    qn_buf_deinit(&left);
    qn_buf_deinit(&right);
    return same;
}

static qn_status rebuild(qn_search *s, const qn_query **out, qn_error *err)
{
    const qn_request *r = NULL;
    if (s->options.kind == QUERN_QUERY_WORDS) {
        QN_TRY(qn_search__words_text(s, out, err));
    } else {
        QN_TRY(qn_ha3_parse(s->arena, &s->env, s->text, &r, err));
        *out = r->query;
    }
    return s->analysis->category_count == 0 ? QN_OK : add_categories(s, out, err);
}

qn_status qn_search__analysis_again(qn_search *s, bool *again, qn_error *err)
{
    *again = false;
    if (!is_on(s) || s->paths[0].is_vector || s->paths[0].query == NULL) return QN_OK;
    if (s->request.layer_count > 0) return QN_OK; /* their quotas say when to go on */
    struct qn_search_analysis *a = s->analysis;
    uint32_t below = a->below > 0 ? a->below : a->run.retry_below;
    if (a->attempt_count < QN_QA_ATTEMPTS_MAX)
        a->attempts[a->attempt_count++] = (attempt){a->run.joined, s->found[0].total};
    while (!*again && s->found[0].total < below && !s->timed_out &&
           a->run.attempt + 1 < a->run.attempt_count) {
        const qn_query *next = NULL;
        a->run.attempt++;
        QN_TRY(rebuild(s, &next, err));
        *again = !same_tree(s, s->paths[0].query, next);
        s->paths[0].query = next;
        if (s->request.query != NULL) s->request.query = next;
    }
    return QN_OK;
}

/* ---- the reply -------------------------------------------------------------------------------- */

static void write_rules(const struct qn_search_analysis *a, qn_json_writer *w)
{
    qn_json_key(w, "rules");
    qn_json_begin_array(w);
    for (size_t i = 0; i < a->run.rule_count; i++) {
        qn_slice name = qn_qa_compiled_name(a->rules[i]);
        qn_json_string(w, name);
    }
    qn_json_end_array(w);
}

static void write_attempts(const struct qn_search_analysis *a, qn_json_writer *w)
{
    qn_json_key(w, "attempts");
    qn_json_begin_array(w);
    for (size_t i = 0; i < a->attempt_count; i++) {
        qn_json_begin_object(w);
        qn_json_member_str(w, "rewrite", qn_qa_join_name(a->attempts[i].join));
        qn_json_member_int(w, "matched", (int64_t)a->attempts[i].matched);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_member_int(w, "retry_below",
                       (int64_t)(a->below > 0 ? a->below : a->run.retry_below));
}

static void write_categories(const struct qn_search_analysis *a, qn_json_writer *w)
{
    if (a->category_count == 0) return;
    qn_json_key(w, "categories");
    qn_json_begin_object(w);
    for (size_t i = 0; i < a->category_count; i++) {
        qn_json_key_slice(w, a->categories[i].id);
        qn_json_int(w, a->categories[i].relevance);
    }
    qn_json_end_object(w);
}

static qn_status fill_corrections(const qn_search *s, quern_reply *r, qn_error *err)
{
    size_t n = qn_qa_corrections(&s->analysis->run, NULL, 0), at = 0;
    if (n == 0) return QN_OK;
    qn_qa_correction *found = qn_arena_array(s->arena, n, sizeof *found);
    quern_correction *out = qn_arena_array(s->arena, n, sizeof *out);
    if (found == NULL || out == NULL) return qn_fail(err, QN_ENOMEM, "reply");
    (void)qn_qa_corrections(&s->analysis->run, found, n);
    for (; at < n; at++) {
        out[at] = (quern_correction){
            .index = qn_arena_strndup(s->arena, found[at].index.p, found[at].index.n),
            .original = qn_arena_strndup(s->arena, found[at].text.p, found[at].text.n),
            .corrected = qn_arena_strndup(s->arena, found[at].corrected.p,
                                          found[at].corrected.n),
            .level = found[at].sure ? 1 : 2,
        };
        if (out[at].index == NULL || out[at].original == NULL ||
            out[at].corrected == NULL)
            return qn_fail(err, QN_ENOMEM, "reply");
    }
    r->corrections = out;
    r->correction_count = n;
    return QN_OK;
}

qn_status qn_search__analysis_reply(const qn_search *s, quern_reply *r, qn_error *err)
{
    if (!is_on(s)) return QN_OK;
    qn_buf b, queries;
    qn_json_writer w;
    qn_buf_init(&b, s->q->alloc);
    qn_buf_init(&queries, s->q->alloc);
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    write_rules(s->analysis, &w);
    write_attempts(s->analysis, &w);
    write_categories(s->analysis, &w);
    qn_qa_report_json(&s->analysis->run, &queries);
    qn_json_key(&w, "queries");
    qn_json_raw(&w, qn_buf_slice(&queries));
    qn_json_end_object(&w);
    qn_slice text = qn_buf_slice(&b);
    r->analysis = qn_arena_strndup(s->arena, text.p, text.n);
    r->analysis_size = text.n;
    bool failed = b.failed || queries.failed || r->analysis == NULL;
    qn_buf_deinit(&queries);
    qn_buf_deinit(&b);
    return failed ? qn_fail(err, QN_ENOMEM, "reply") : fill_corrections(s, r, err);
}
