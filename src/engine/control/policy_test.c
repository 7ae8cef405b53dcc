/* SPDX-License-Identifier: Apache-2.0 */
/* policy_test.c -- what a policy makes of given documents, nothing stored. */
#include "engine/control/rank_policies.h"
#include "engine/search/search.h"
#include "expr/expr.h"

#include <math.h>

enum { IDS_MAX = 100 };

typedef struct testing {
    qn_search *s;
    const quern_policy_test_options *o;
    qn_slice formula;
    qn_rank_formula *tested, *rough; /* rough: for first_phase_score() of a fine one */
    qn_json_writer w;
    qn_error *err;
} testing;

/* A clause alone becomes a request. */
static qn_status request_of(const quern_policy_test_options *o, qn_buf *out,
                            qn_error *err)
{
    qn_slice text =
        qn_slice_trim((qn_slice){o->query == NULL ? "" : o->query, o->query_size});
    bool whole = qn_slice_starts_with(text, "query=");
    for (size_t i = 0; !whole && i + 8 < text.n; i++)
        whole = memcmp(text.p + i, "&&query=", 8) == 0;
    if (text.n == 0)
        return qn_fail(err, QN_EEMPTYQUERY, "a query is needed: features look at it");
    qn_buf_printf(out, "%s", whole ? "" : "query=");
    qn_buf_add_slice(out, text);
    return out->failed ? qn_fail(err, QN_ENOMEM, "policy") : QN_OK;
}

static const qn_candidate *recalled(const qn_exec_result *found, qn_rank_place p)
{
    uint64_t wanted = (uint64_t)p.segment << 32 | p.doc;
    size_t low = 0, high = found->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const qn_candidate *c = &found->candidates[middle];
        uint64_t key = (uint64_t)c->segment << 32 | c->doc;
        if (key == wanted) return c;
        if (key < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static float vector_of(const qn_exec_result *found, qn_rank_place p)
{
    for (size_t v = 0; v < found->vector_count; v++)
        for (size_t i = 0; i < found->vectors[v].count; i++)
            if (found->vectors[v].hits[i].segment == p.segment &&
                found->vectors[v].hits[i].doc == p.doc)
                return found->vectors[v].hits[i].metric;
    return (float)NAN;
}

static void write_trace(testing *t, const qn_trace *trace)
{
    qn_buf json;
    qn_buf_init(&json, t->s->q->alloc);
    qn_trace_json(trace, &json);
    qn_json_key(&t->w, "trace");
    qn_json_raw(&t->w, qn_buf_slice(&json));
    t->w.out->failed = t->w.out->failed || json.failed;
    qn_buf_deinit(&json);
}

static qn_status test_document(testing *t, qn_rank_place p)
{
    const qn_exec_result *found = &t->s->found[0];
    const qn_candidate *c = recalled(found, p);
    bool fine = t->o->stage == QUERN_POLICY_FINE;
    float vector = vector_of(found, p), recall = c == NULL ? 0 : c->score;
    float text = c == NULL || !(c->score > 0) ? (float)NAN : c->score, rough = 0;
    qn_rank_spread flat = {0, 0, 0};
    qn_rank_facts facts = {.text = &text,
                           .vector = &vector,
                           .recall = &recall,
                           .text_spread = &flat,
                           .vector_spread = &flat,
                           .neural_spread = &flat};
    double value = 0;
    if (fine && t->rough != NULL) {
        QN_TRY(qn_rank_formula_run(t->rough, p.segment, &p.doc, 1, &facts, &value,
                                   t->err));
        rough = (float)value;
    }
    if (fine) facts.rough = &rough;
    QN_TRY(
        qn_rank_formula_run(t->tested, p.segment, &p.doc, 1, &facts, &value, t->err));
    qn_trace trace = {.stage_count = 1};
    trace.stages[0] = (qn_trace_stage){.title = fine ? "SecondRank" : "FirstRank",
                                       .name = fine ? "fine" : "rough",
                                       .formula = t->formula,
                                       .scored = true,
                                       .value = (double)(float)value,
                                       .rank = UINT32_MAX};
    QN_TRY(qn_rank_formula_trace(t->tested, QN_TRACE_ALL, p.segment, p.doc, &facts,
                                 t->s->arena, &trace.stages[0], t->err));
    qn_json_member_bool(&t->w, "recalled", c != NULL);
    qn_json_member_double(&t->w, "value", (double)(float)value);
    write_trace(t, &trace);
    return QN_OK;
}

static qn_status test_documents(testing *t)
{
    qn_json_key(&t->w, "documents");
    qn_json_begin_array(&t->w);
    for (size_t i = 0; i < t->o->id_count; i++) {
        qn_rank_place place;
        qn_error why = {.at = QN_AT_NONE};
        qn_json_begin_object(&t->w);
        qn_json_member_str(&t->w, "id", t->o->ids[i]);
        qn_status st = qn_search__find(t->s, qn_slice_of(t->o->ids[i]), &place, &why);
        if (st == QN_ENODOC) {
            qn_json_member_str(&t->w, "error", why.text);
        } else if (st != QN_OK) {
            if (t->err != NULL) *t->err = why;
            return st;
        } else {
            QN_TRY(test_document(t, place));
        }
        qn_json_end_object(&t->w);
    }
    qn_json_end_array(&t->w);
    return QN_OK;
}

static void write_warnings(testing *t)
{
    qn_error warnings[8];
    size_t n = qn_rank_formula_warnings(t->tested, warnings, 8);
    if (n == 0) return;
    qn_json_key(&t->w, "warnings");
    qn_json_begin_array(&t->w);
    for (size_t i = 0; i < n; i++) qn_json_str(&t->w, warnings[i].text);
    qn_json_end_array(&t->w);
}

static qn_status open_formulas(testing *t)
{
    qn_search *s = t->s;
    bool fine = t->o->stage == QUERN_POLICY_FINE;
    size_t models = 0;
    QN_TRY(qn_rank_formula_open(
        &s->input, s->arena, fine ? "fine policy" : "rough policy", t->formula,
        fine ? QN_EXPR_IN_FINE : QN_EXPR_IN_ROUGH, &t->tested, t->err));
    (void)qn_rank_formula_models(t->tested, &models);
    if (models > 0)
        return qn_fail(
            t->err, QN_EUNSUPPORTED,
            "a policy that asks a model cannot be tested on documents alone: "
            "search with it and explain");
    for (size_t i = 0; fine && i < s->stage_count; i++)
        if (s->stages[i].kind == QN_STAGE_ROUGH)
            return qn_rank_formula_open(&s->input, s->arena, "rough formula",
                                        s->stages[i].formula, QN_EXPR_IN_ROUGH,
                                        &t->rough, t->err);
    return QN_OK;
}

static qn_status run_test(testing *t, const char *table)
{
    qn_search *s = t->s;
    QN_TRY(qn_rank_policies_read(s->q->control, table, t->o, s->arena, &t->formula,
                                 t->err));
    s->recall_only = s->all_rows = true;
    QN_TRY(qn_search__run(s, t->err));
    QN_TRY(open_formulas(t));
    qn_json_begin_object(&t->w);
    qn_json_member_str(&t->w, "table", table);
    qn_json_member_str(&t->w, "stage",
                       t->o->stage == QUERN_POLICY_FINE ? "fine" : "rough");
    qn_json_member_slice(&t->w, "formula", t->formula);
    qn_json_member_int(&t->w, "matched", (int64_t)s->total);
    QN_TRY(test_documents(t));
    write_warnings(t);
    qn_json_end_object(&t->w);
    return QN_OK;
}

static qn_status check_options(const quern_policy_test_options *options,
                               quern_policy_test_options *out, qn_error *err)
{
    *out = (quern_policy_test_options)QUERN_POLICY_TEST_OPTIONS_INIT;
    if (options == NULL || options->size > sizeof *out)
        return qn_fail(err, QN_EINVAL, "quern_policy_test_options of a newer version");
    memcpy(out, options, options->size);
    if (out->id_count == 0 || out->id_count > IDS_MAX)
        return qn_fail(err, out->id_count == 0 ? QN_EINVAL : QN_ELIMIT,
                       "a policy is tested on 1 to %d documents: name them by id",
                       IDS_MAX);
    return QN_OK;
}

qn_status quern_policy_test(quern *q, const char *table,
                            const quern_policy_test_options *options, char **json,
                            size_t *json_size, qn_error *err)
{
    quern_policy_test_options o;
    qn_search s;
    qn_reply_box *box = NULL;
    qn_buf request, out;
    *json = NULL;
    QN_TRY(check_options(options, &o, err));
    qn_buf_init(&request, q->alloc);
    qn_buf_init(&out, q->alloc);
    qn_status st = request_of(&o, &request, err);
    quern_search_options so = QUERN_SEARCH_OPTIONS_INIT;
    so.kind = QUERN_QUERY_HA3;
    so.query = request.p;
    so.query_size = request.n;
    if (st == QN_OK) st = qn_search__begin(q, table, &so, &s, &box, err);
    if (st == QN_OK) {
        testing t = {.s = &s, .o = &o, .err = err};
        qn_json_writer_init(&t.w, &out, false);
        st = run_test(&t, table);
        qn_rank_formula_close(t.tested);
        qn_rank_formula_close(t.rough);
        qn_search__end(&s);
        quern_reply_free(&box->reply);
    }
    st = qn_engine_reply(&out, st, json, json_size, err);
    qn_buf_deinit(&request);
    return st;
}
