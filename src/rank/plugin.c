/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c -- entry points, and the run of a plug-in over the documents of a stage. */
#include "rank/plugin.h"

#include "rank/plugin_internal.h"

#include <math.h>
#include <stdio.h>

#define BASIC "users.scorer.BasicSimilarityScorer"
#define SMART "users.scorer.IntelligenceAlgorithmScorer"

/* ---- entry points ----------------------------------------------------------------------- */

static qn_status find_ops(const qn_cava_program *p, const char *class_name,
                          size_t *init, size_t *score, bool *there, qn_error *err)
{
    static const char init_is[] = "boolean init(OpsScorerInitParams)";
    static const char score_is[] = "double score(OpsScoreParams)";
    qn_slice name = qn_slice_of(class_name);
    qn_cava_class_name k;
    *init = *score = SIZE_MAX;
    *there = false;
    for (size_t i = 0; qn_cava_class_at(p, i, &k); i++)
        *there = *there || qn_slice_eq((qn_slice){k.text, k.n}, name);
    if (!*there) return QN_OK;
    *init = qn_cava_find(p, name, init_is);
    *score = qn_cava_find(p, name, score_is);
    if (*init == SIZE_MAX || *score == SIZE_MAX)
        return qn_fail(err, QN_EPLUGINCODE, "class %s has no %s", class_name,
                       *init == SIZE_MAX ? init_is : score_is);
    return QN_OK;
}

static bool find_ha3(const qn_cava_program *p, qn_rank_plugin *out)
{
    qn_slice name = {out->class_name.text, out->class_name.n};
    /* Both providers are spelt alike: the method of the first is found. */
    out->init = qn_cava_find(p, name, "boolean init(ScorerProvider)");
    out->process = qn_cava_find(p, name, "double process(MatchDoc)");
    return out->process != SIZE_MAX;
}

qn_status qn_rank_plugin_describe(const qn_cava_program *program, qn_slice class_name,
                                  qn_rank_plugin *out, qn_error *err)
{
    bool basic = false, smart = false;
    *out = (qn_rank_plugin){.program = program, .style = QN_PLUGIN_OPS};
    out->basic_init = out->basic_score = out->smart_init = out->smart_score = SIZE_MAX;
    out->init = out->process = SIZE_MAX;
    if (class_name.n == 0) {
        QN_TRY(
            find_ops(program, BASIC, &out->basic_init, &out->basic_score, &basic, err));
        QN_TRY(
            find_ops(program, SMART, &out->smart_init, &out->smart_score, &smart, err));
        if (basic || smart) return QN_OK;
    }
    out->style = QN_PLUGIN_HA3;
    for (size_t i = 0; qn_cava_class_at(program, i, &out->class_name); i++) {
        qn_slice name = {out->class_name.text, out->class_name.n};
        if (class_name.n > 0 && !qn_slice_eq(name, class_name)) continue;
        if (!find_ha3(program, out)) continue;
        out->turing = qn_cava_takes(program, out->init, QN_CAVA_TuringScorerProvider);
        return QN_OK;
    }
    if (class_name.n > 0)
        return qn_fail(err, QN_EPLUGINCODE,
                       "there is no class %.*s with a method double process(MatchDoc)",
                       QN_SLICE_ARG(class_name));
    return qn_fail(err, QN_EPLUGINCODE,
                   "no entry point: a plug-in has the class BasicSimilarityScorer in "
                   "package users.scorer, or a class with double process(MatchDoc)");
}

/* ---- opening ---------------------------------------------------------------------------- */

/* An object of the plug-in and its init(); false in *ok: init() said so. */
static qn_status start(qn_rank_scorer *s, const char *class_name, size_t init,
                       qn_cava_slot given, qn_cava_slot *object, bool *ok,
                       qn_error *err)
{
    qn_cava_slot result = {.i = 1};
    QN_TRY(qn_cava_run_new(s->run, qn_slice_of(class_name), object, err));
    if (init != SIZE_MAX)
        QN_TRY(qn_cava_run_call(s->run, init, (qn_cava_slot[]){*object, given}, 2,
                                &result, err));
    if (result.i == 0) *ok = false;
    return QN_OK;
}

static qn_status native(qn_rank_scorer *s, qn_cava_class_id id, qn_cava_slot *out,
                        qn_error *err)
{
    out->r = qn_cava_new_native(s->run, id, 0, err);
    return out->r == NULL ? QN_EPLUGIN : QN_OK;
}

static qn_status start_all(qn_rank_scorer *s, bool *ok, qn_error *err)
{
    const qn_rank_plugin *p = s->plugin;
    qn_cava_slot given;
    if (p->style == QN_PLUGIN_HA3) {
        QN_TRY(native(s, QN_CAVA_MatchDoc, &s->doc, err));
        QN_TRY(native(
            s, p->turing ? QN_CAVA_TuringScorerProvider : QN_CAVA_Ha3ScorerProvider,
            &given, err));
        return start(s, p->class_name.text, p->init, given, &s->object, ok, err);
    }
    QN_TRY(native(s, QN_CAVA_OpsScorerInitParams, &given, err));
    QN_TRY(native(s, QN_CAVA_OpsScoreParams, &s->params, err));
    if (p->basic_score != SIZE_MAX)
        QN_TRY(start(s, BASIC, p->basic_init, given, &s->basic, ok, err));
    if (p->smart_score != SIZE_MAX && *ok)
        QN_TRY(start(s, SMART, p->smart_init, given, &s->smart, ok, err));
    return QN_OK;
}

static void fail_scorer(qn_rank_scorer *s, const qn_error *why)
{
    s->failure = (qn_error){.at = QN_AT_NONE};
    (void)qn_fail(&s->failure, QN_EPLUGIN, "plug-in %.*s: %.*s",
                  QN_SLICE_ARG(s->plugin->name), QN_ERROR_TEXT_MAX - 100, why->text);
}

/* What the search must not go on after. */
static bool is_grave(qn_status st)
{
    return st != QN_OK && st != QN_EPLUGIN;
}

static qn_status open_scorer(qn_rank_scorer *s, qn_error *err)
{
    const qn_rank_input *in = s->in;
    qn_error why = {.at = QN_AT_NONE};
    bool ok = true;
    s->logs = qn_arena_array(s->arena, s->most + 1, sizeof *s->logs);
    s->deleted = qn_arena_array(s->arena, s->most + 1, sizeof *s->deleted);
    if (s->logs == NULL || s->deleted == NULL)
        return qn_fail(err, QN_ENOMEM, "plug-in");
    QN_TRY(qn_binding_init(&s->binding, in, s->arena, err));
    s->bound = true;
    s->env = qn_binding_env(&s->binding, QN_EXPR_IN_FINE);
    const qn_cava_host host = {s, qn_plugin__call};
    const qn_cava_limits limits = {.heap_bytes = s->plugin->heap_bytes,
                                   .fuel = s->plugin->fuel,
                                   .deadline = in->deadline,
                                   .seed = in->seed,
                                   .now_ms = in->now_ms};
    QN_TRY(qn_cava_run_create(qn_alloc_heap(), s->plugin->program, &host, &limits,
                              &s->run, err));
    s->starting = true;
    qn_status st = start_all(s, &ok, &why);
    s->starting = false;
    if (is_grave(st)) {
        if (err != NULL) *err = why;
        return st;
    }
    if (st == QN_OK && !ok) {
        if (s->plugin->style == QN_PLUGIN_OPS)
            return qn_fail(err, QN_EPLUGIN, "plug-in %.*s: init() returned false",
                           QN_SLICE_ARG(s->plugin->name));
        st = qn_fail(&why, QN_EPLUGIN, "init() returned false");
    }
    if (st != QN_OK) fail_scorer(s, &why);
    return QN_OK;
}

qn_status qn_rank_scorer_open(const qn_rank_input *in, qn_arena *arena,
                              const qn_rank_plugin *plugin, size_t most,
                              qn_rank_scorer **out, qn_error *err)
{
    *out = NULL;
    qn_rank_scorer *s = qn_new0(qn_alloc_heap(), sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "plug-in");
    s->in = in;
    s->arena = arena;
    s->plugin = plugin;
    s->most = most;
    qn_buf_init(&s->log, qn_alloc_heap());
    qn_status st = open_scorer(s, err);
    if (st != QN_OK) {
        qn_rank_scorer_close(s);
        return st;
    }
    *out = s;
    return QN_OK;
}

void qn_rank_scorer_close(qn_rank_scorer *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->feature_count; i++)
        qn_rank_formula_close(s->features[i].formula);
    if (s->bound) qn_binding_deinit(&s->binding);
    qn_cava_run_destroy(s->run);
    qn_buf_deinit(&s->log);
    qn_delete(qn_alloc_heap(), s);
}

/* ---- running ---------------------------------------------------------------------------- */

static qn_status score_one(qn_rank_scorer *s, double *out, qn_error *err)
{
    const qn_rank_plugin *p = s->plugin;
    qn_cava_slot value = {.d = 0};
    if (p->style == QN_PLUGIN_HA3) {
        QN_TRY(qn_cava_run_call(s->run, p->process, (qn_cava_slot[]){s->object, s->doc},
                                2, &value, err));
        *out = value.d;
        return QN_OK;
    }
    if (p->basic_score != SIZE_MAX) {
        QN_TRY(qn_cava_run_call(s->run, p->basic_score,
                                (qn_cava_slot[]){s->basic, s->params}, 2, &value, err));
        s->basic_score = value.d;
    }
    if (p->smart_score != SIZE_MAX)
        QN_TRY(qn_cava_run_call(s->run, p->smart_score,
                                (qn_cava_slot[]){s->smart, s->params}, 2, &value, err));
    *out = value.d;
    return QN_OK;
}

static qn_status keep_log(qn_rank_scorer *s, qn_error *err)
{
    if (s->log.n == 0) return QN_OK;
    qn_slice copy = qn_arena_slice(s->arena, qn_buf_slice(&s->log));
    if (s->log.failed || copy.p == NULL)
        return qn_fail(err, QN_ENOMEM, "trace of a plug-in");
    s->logs[qn_plugin_number(s)] = copy;
    return QN_OK;
}

static qn_status run_block(qn_rank_scorer *s, double *out, qn_error *err)
{
    double unscored = s->plugin->style == QN_PLUGIN_HA3 ? 0 : (double)NAN;
    for (s->at = s->block_begin; s->at < s->block_begin + s->block_size; s->at++) {
        qn_error why = {.at = QN_AT_NONE};
        out[s->at] = unscored;
        if (s->failure.code != QN_OK) continue;
        qn_buf_reset(&s->log);
        double value = 0;
        qn_status st = score_one(s, &value, &why);
        QN_TRY(keep_log(s, err));
        if (is_grave(st)) {
            if (err != NULL) *err = why;
            return st;
        }
        if (st != QN_OK) {
            fail_scorer(s, &why);
            continue;
        }
        if (!isfinite(value)) {
            s->bad_docs++;
            value = 0;
        }
        out[s->at] = value;
    }
    return QN_OK;
}

qn_status qn_rank_scorer_run(qn_rank_scorer *s, size_t first, size_t segment,
                             const uint32_t *docs, size_t n, const qn_rank_facts *facts,
                             double *out, qn_error *err)
{
    qn_assert(first + n <= s->most);
    s->first = first;
    s->segment = segment;
    s->docs = docs;
    s->n = n;
    s->facts = facts;
    s->binding.segment = segment;
    s->binding.docs = docs;
    s->binding.doc_count = n;
    s->binding.facts = facts;
    for (size_t begin = 0; begin < n; begin += s->block_size) {
        s->block++;
        s->block_begin = begin;
        s->block_size = n - begin < QN_EXPR_LANES ? n - begin : QN_EXPR_LANES;
        QN_TRY(run_block(s, out, err));
    }
    return QN_OK;
}

/* ---- what came of it -------------------------------------------------------------------- */

const qn_error *qn_rank_scorer_failure(const qn_rank_scorer *s)
{
    return &s->failure;
}

uint64_t qn_rank_scorer_bad_docs(const qn_rank_scorer *s)
{
    return s->bad_docs;
}

qn_slice qn_rank_scorer_log(const qn_rank_scorer *s, size_t number)
{
    return s->logs[number];
}

bool qn_rank_scorer_deleted(const qn_rank_scorer *s, size_t number)
{
    return s->deleted[number];
}

const qn_plugin_value *qn_rank_scorer_values(const qn_rank_scorer *s, size_t number,
                                             size_t *n)
{
    size_t count = 0;
    *n = 0;
    for (size_t i = 0; i < s->variable_count; i++) count += s->variables[i].serialize;
    if (count == 0) return NULL;
    qn_plugin_value *out = qn_arena_array(s->arena, count, sizeof *out);
    for (size_t i = 0; i < s->variable_count && out != NULL; i++) {
        const qn_plugin_variable *v = &s->variables[i];
        if (!v->serialize) continue;
        qn_cava_slot value = v->values[number];
        out[(*n)++] =
            (qn_plugin_value){.name = v->name,
                              .is_integer = v->is_integer,
                              .i64 = v->is_integer ? value.i : 0,
                              .f64 = v->is_integer ? (double)value.i : value.d};
    }
    return out;
}
