/* SPDX-License-Identifier: Apache-2.0 */
/* analyses_api.c -- storing rules of query analysis and their dictionaries. */
#include "engine/control/analyses.h"
#include "engine/engine_internal.h"

static const char *kind_of(quern_analysis_kind kind)
{
    return kind == QUERN_ANALYSIS_RULE ? QN_CONTROL_ANALYSIS : QN_CONTROL_DICTIONARY;
}

/* ---- checks ------------------------------------------------------------------------------- */

static qn_status check_rule(quern *q, const char *table, const char *name,
                            qn_slice body, qn_error *err)
{
    qn_table *t = NULL;
    qn_qa_compiled *compiled = NULL;
    QN_TRY(qn_engine_table(q, table, &t, err));
    qn_table_snapshot *s = qn_table_current(t);
    qn_status st = qn_analyses_compile(q, table, &s->schema->schema, qn_slice_of(name),
                                       body, &compiled, err);
    qn_qa_compiled_destroy(compiled);
    qn_table_snapshot_release(s);
    qn_table_release(t);
    return st;
}

/* Of synonyms also the rules, as the plainest analyzer reads them. */
static qn_status check_synonyms(quern *q, const qn_qa_dictionary *d, qn_error *err)
{
    const qn_analyzer *standard = NULL;
    qn_synonyms *s = NULL;
    QN_TRY(qn_analyzer_find(q->analyzers, QN_SLICE_LIT("standard"), &standard, err));
    QN_TRY(qn_synonyms_create(q->alloc, standard, &s, err));
    qn_status st = qn_synonyms_add_text(s, d->text, &d->format, err);
    qn_synonyms_destroy(s);
    return st;
}

static qn_status check_words(quern *q, const qn_qa_dictionary *d, qn_error *err)
{
    qn_spelling *s = NULL;
    QN_TRY(qn_spelling_create(q->alloc, &s, err));
    qn_status st = qn_spelling_add_text(s, d->text, err);
    qn_spelling_destroy(s);
    return st;
}

static qn_status check_dictionary(quern *q, qn_slice body, qn_error *err)
{
    qn_arena arena;
    const qn_qa_dictionary *d = NULL;
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st = qn_qa_dictionary_parse(&arena, body, &d, err);
    if (st == QN_OK && d->text.n > 0)
        st = d->step == QN_QA_SYNONYM ? check_synonyms(q, d, err)
                                      : check_words(q, d, err);
    qn_arena_deinit(&arena);
    return st;
}

static qn_status check(quern *q, const char *table, quern_analysis_kind kind,
                       const char *name, qn_slice body, qn_error *err)
{
    return kind == QUERN_ANALYSIS_RULE ? check_rule(q, table, name, body, err)
                                       : check_dictionary(q, body, err);
}

/* ---- calls -------------------------------------------------------------------------------- */

qn_status quern_analysis_put(quern *q, const char *table, quern_analysis_kind kind,
                             const char *name, const char *text, size_t text_size,
                             bool draft, char **json, size_t *json_size, qn_error *err)
{
    qn_slice body = {text, text_size};
    uint32_t version = 0;
    if (json != NULL) *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    QN_TRY(check(q, table, kind, name, body, err));
    QN_TRY(qn_control_put(q->control, table, kind_of(kind), qn_slice_of(name), body,
                          !draft, &version, err));
    if (json == NULL) return QN_OK;
    return quern_analysis_show(q, table, kind, name, version, json, json_size, err);
}

qn_status quern_analysis_change(quern *q, const char *table, const char *dictionary,
                                const char *entries, size_t entries_size, char **json,
                                size_t *json_size, qn_error *err)
{
    qn_arena arena;
    qn_buf b;
    qn_control_record r;
    if (json != NULL) *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    qn_arena_init(&arena, q->alloc, 0);
    qn_buf_init(&b, q->alloc);
    qn_status st = qn_control_get(q->control, table, QN_CONTROL_DICTIONARY,
                                  qn_slice_of(dictionary), 0, &arena, &r, err);
    if (st == QN_OK)
        st = qn_qa_dictionary_change(&arena, r.body, (qn_slice){entries, entries_size},
                                     &b, err);
    if (st == QN_OK)
        st = quern_analysis_put(q, table, QUERN_ANALYSIS_DICTIONARY, dictionary, b.p,
                                b.n, false, json, json_size, err);
    qn_buf_deinit(&b);
    qn_arena_deinit(&arena);
    return st;
}

static void write_record(qn_json_writer *w, quern_analysis_kind kind,
                         const qn_control_record *r)
{
    qn_json_member_str(w, "kind", kind == QUERN_ANALYSIS_RULE ? "rule" : "dictionary");
    qn_json_member_slice(w, "name", r->name);
    qn_json_member_int(w, "version", (int64_t)r->version);
    qn_json_member_bool(w, "active", r->active);
    qn_json_member_int(w, "created_ms", r->created_ms);
}

qn_status quern_analysis_show(quern *q, const char *table, quern_analysis_kind kind,
                              const char *name, uint32_t version, char **json,
                              size_t *json_size, qn_error *err)
{
    qn_arena arena;
    qn_buf b;
    qn_json_writer w;
    qn_control_record r;
    *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    qn_arena_init(&arena, q->alloc, 0);
    qn_buf_init(&b, q->alloc);
    qn_status st = qn_control_get(q->control, table, kind_of(kind), qn_slice_of(name),
                                  version, &arena, &r, err);
    if (st == QN_OK) {
        qn_json_writer_init(&w, &b, false);
        qn_json_begin_object(&w);
        qn_json_member_str(&w, "table", table);
        write_record(&w, kind, &r);
        qn_json_key(&w, "body");
        qn_json_raw(&w, r.body);
        qn_json_end_object(&w);
    }
    st = qn_engine_reply(&b, st, json, json_size, err);
    qn_arena_deinit(&arena);
    return st;
}

qn_status quern_analysis_list(quern *q, const char *table, char **json,
                              size_t *json_size, qn_error *err)
{
    qn_arena arena;
    qn_buf b;
    qn_json_writer w;
    *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    qn_arena_init(&arena, q->alloc, 0);
    qn_buf_init(&b, q->alloc);
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "table", table);
    qn_json_key(&w, "analysis");
    qn_json_begin_array(&w);
    qn_status st = QN_OK;
    for (int kind = QUERN_ANALYSIS_RULE;
         st == QN_OK && kind <= QUERN_ANALYSIS_DICTIONARY; kind++) {
        const qn_control_record *all = NULL;
        size_t n = 0;
        st = qn_control_list(q->control, table, kind_of((quern_analysis_kind)kind),
                             NULL, false, &arena, &all, &n, err);
        for (size_t i = 0; st == QN_OK && i < n; i++) {
            qn_json_begin_object(&w);
            write_record(&w, (quern_analysis_kind)kind, &all[i]);
            qn_json_end_object(&w);
        }
    }
    qn_json_end_array(&w);
    qn_json_end_object(&w);
    st = qn_engine_reply(&b, st, json, json_size, err);
    qn_arena_deinit(&arena);
    return st;
}

qn_status quern_analysis_test(quern *q, const char *table,
                              const quern_analysis_test_options *options, char **json,
                              size_t *json_size, qn_error *err)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    *json = NULL;
    if (options->size > sizeof *options)
        return qn_fail(err, QN_EINVAL,
                       "quern_analysis_test_options of a newer version");
    o.query = options->words;
    o.query_size = options->words_size;
    o.pipeline = "bm25";
    o.count_only = true;
    o.analysis = options->rules;
    o.analysis_off = options->off;
    o.analysis_rule = options->rule;
    o.analysis_rule_size = options->rule_size;
    QN_TRY(quern_search(q, table, &o, &reply, err));
    qn_buf b;
    qn_json_writer w;
    qn_buf_init(&b, q->alloc);
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_member_int(&w, "total", (int64_t)reply->total);
    qn_json_key(&w, "analysis");
    if (reply->analysis == NULL)
        qn_json_null(&w);
    else
        qn_json_raw(&w, (qn_slice){reply->analysis, reply->analysis_size});
    qn_json_end_object(&w);
    quern_reply_free(reply);
    return qn_engine_reply(&b, QN_OK, json, json_size, err);
}

/* A version is checked again before it is used: the table may have changed since. */
qn_status quern_analysis_activate(quern *q, const char *table, quern_analysis_kind kind,
                                  const char *name, uint32_t version, qn_error *err)
{
    qn_arena arena;
    qn_control_record r;
    QN_TRY(qn_engine_need_table(q, table, err));
    if (version == 0) return qn_fail(err, QN_EINVAL, "versions are counted from 1");
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st = qn_control_get(q->control, table, kind_of(kind), qn_slice_of(name),
                                  version, &arena, &r, err);
    if (st == QN_OK) st = check(q, table, kind, name, r.body, err);
    if (st == QN_OK)
        st = qn_control_activate(q->control, table, kind_of(kind), qn_slice_of(name),
                                 version, err);
    qn_arena_deinit(&arena);
    return st;
}

qn_status quern_analysis_roll_back(quern *q, const char *table,
                                   quern_analysis_kind kind, const char *name,
                                   uint32_t *version, qn_error *err)
{
    QN_TRY(qn_engine_need_table(q, table, err));
    return qn_control_roll_back(q->control, table, kind_of(kind), qn_slice_of(name),
                                version, err);
}

static qn_status check_unused(quern *q, const char *table, const char *name,
                              qn_arena *arena, qn_error *err)
{
    const qn_control_record *all = NULL;
    size_t n = 0;
    QN_TRY(qn_control_list(q->control, table, QN_CONTROL_ANALYSIS, NULL, true, arena,
                           &all, &n, err));
    for (size_t i = 0; i < n; i++) {
        const qn_qa_rule *rule = NULL;
        if (!all[i].active ||
            qn_qa_rule_parse(arena, all[i].body, &rule, NULL) != QN_OK)
            continue;
        for (int k = 0; k < QN_QA_STEP_COUNT; k++)
            if (rule->steps[k].on && qn_slice_eq_str(rule->steps[k].dictionary, name))
                return qn_fail(err, QN_EINVAL,
                               "dictionary [%s] is read by the rule [%.*s]: drop or "
                               "change that first",
                               name, QN_SLICE_ARG(all[i].name));
    }
    return QN_OK;
}

qn_status quern_analysis_drop(quern *q, const char *table, quern_analysis_kind kind,
                              const char *name, qn_error *err)
{
    QN_TRY(qn_engine_need_table(q, table, err));
    if (kind == QUERN_ANALYSIS_DICTIONARY) {
        qn_arena arena;
        qn_arena_init(&arena, q->alloc, 0);
        qn_status st = check_unused(q, table, name, &arena, err);
        qn_arena_deinit(&arena);
        QN_TRY(st);
    }
    return qn_control_drop(q->control, table, kind_of(kind), qn_slice_of(name), err);
}
