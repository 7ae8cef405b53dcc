/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control/rank_policies.h"

#include "engine/engine_internal.h"
#include "expr/expr.h"
#include "rank/bind.h"
#include "rank/rank_policy.h"

static const char *kind_of(qn_stage_kind stage)
{
    return stage == QN_STAGE_ROUGH ? QN_CONTROL_ROUGH : QN_CONTROL_FINE;
}

static qn_stage_kind stage_of(quern_policy_stage stage)
{
    return stage == QUERN_POLICY_ROUGH ? QN_STAGE_ROUGH : QN_STAGE_FINE;
}

/* ---- for searches ---------------------------------------------------------------------- */

qn_status qn_rank_policies_formula(qn_control *c, const char *table,
                                   qn_stage_kind stage, qn_slice name, qn_arena *arena,
                                   qn_slice *formula, uint32_t *version, qn_error *err)
{
    qn_control_record r;
    qn_rank_policy policy;
    *formula = QN_SLICE_LIT("");
    *version = 0;
    qn_status st = qn_control_get(c, table, kind_of(stage), name, 0, arena, &r, err);
    if (st == QN_ENOTFOUND && qn_slice_eq_str(name, "default")) return QN_OK;
    QN_TRY(st);
    QN_TRY(qn_rank_policy_parse(r.body, stage == QN_STAGE_ROUGH, arena, &policy, err));
    *formula = policy.formula;
    *version = r.version;
    return QN_OK;
}

qn_status qn_rank_policies_read(qn_control *c, const char *table,
                                const quern_policy_test_options *options,
                                qn_arena *arena, qn_slice *formula, qn_error *err)
{
    qn_control_record r = {0};
    qn_rank_policy policy;
    qn_stage_kind stage = stage_of(options->stage);
    bool named = options->name != NULL && options->name[0] != 0;
    if (named == (options->policy != NULL))
        return qn_fail(err, QN_EINVAL,
                       "give the policy itself, or the name of a stored one");
    r.body = (qn_slice){options->policy, options->policy_size};
    if (named)
        QN_TRY(qn_control_get(c, table, kind_of(stage), qn_slice_of(options->name),
                              options->version, arena, &r, err));
    QN_TRY(qn_rank_policy_parse(r.body, stage == QN_STAGE_ROUGH, arena, &policy, err));
    *formula = policy.formula;
    return QN_OK;
}

/* One of a request's two policies. */
static qn_status resolve_one(qn_control *c, const char *table, qn_arena *arena,
                             qn_stage_kind stage, qn_slice *name, qn_slice *formula,
                             qn_error *warning, qn_error *err)
{
    uint32_t version = 0;
    if (name->n > 0 && formula->n > 0)
        return qn_fail(err, QN_EINVAL,
                       "the request gives %s and names the policy [%.*s]: one of them "
                       "must go",
                       stage == QN_STAGE_ROUGH ? "first_formula" : "formula",
                       QN_SLICE_ARG(*name));
    if (formula->n > 0) return QN_OK;
    if (name->n > 0) {
        QN_TRY(qn_rank_policies_formula(c, table, stage, *name, arena, formula,
                                        &version, err));
        *name = QN_SLICE_LIT("");
        return QN_OK;
    }
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_rank_policies_formula(c, table, stage, QN_SLICE_LIT("default"),
                                            arena, formula, &version, &why);
    if (st == QN_ENOMEM || (st != QN_OK && warning == NULL)) {
        if (err != NULL) *err = why;
        return st;
    }
    if (st != QN_OK) *warning = why;
    return QN_OK;
}

/* rank=rank_profile:NAME stands for the rough and the fine policy of that name; one of them
 * may be missing. */
static qn_status take_profile(qn_control *c, const char *table, qn_arena *arena,
                              qn_request *request, qn_error *err)
{
    qn_slice profile = request->rank.profile;
    qn_control_record r;
    qn_error ignored = {0};
    if (profile.n == 0 || qn_slice_eq_str(profile, "DefaultProfile")) return QN_OK;
    qn_status rough =
        qn_control_get(c, table, QN_CONTROL_ROUGH, profile, 0, arena, &r, &ignored);
    qn_status fine =
        qn_control_get(c, table, QN_CONTROL_FINE, profile, 0, arena, &r, &ignored);
    if (rough != QN_OK && fine != QN_OK) {
        if (fine != QN_ENOTFOUND) {
            if (err != NULL) *err = ignored;
            return fine;
        }
        return qn_fail(err, QN_ENOPROFILE,
                       "rank_profile: table %s has neither a rough nor a fine policy "
                       "[%.*s], nor a plug-in of that name",
                       table, QN_SLICE_ARG(profile));
    }
    if (rough == QN_OK && request->first_formula.n == 0 &&
        request->first_rank_name.n == 0)
        request->first_rank_name = profile;
    if (fine == QN_OK && request->formula.n == 0 && request->second_rank_name.n == 0)
        request->second_rank_name = profile;
    return QN_OK;
}

qn_status qn_rank_policies_resolve(qn_control *c, const char *table, qn_arena *arena,
                                   qn_request *request, qn_error *warning,
                                   qn_error *err)
{
    QN_TRY(take_profile(c, table, arena, request, err));
    QN_TRY(resolve_one(c, table, arena, QN_STAGE_ROUGH, &request->first_rank_name,
                       &request->first_formula, warning, err));
    return resolve_one(c, table, arena, QN_STAGE_FINE, &request->second_rank_name,
                       &request->formula, warning, err);
}

qn_status qn_rank_policies_stages(qn_control *c, const char *table, qn_arena *arena,
                                  qn_stage *stages, size_t n, qn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t version = 0;
        if (stages[i].policy.n == 0) continue;
        QN_TRY(qn_rank_policies_formula(c, table, stages[i].kind, stages[i].policy,
                                        arena, &stages[i].formula, &version, err));
        if (stages[i].formula.n == 0)
            return qn_fail(
                err, QN_ENOTFOUND,
                "the pipeline names the policy [default], which table %s does "
                "not have",
                table);
    }
    return QN_OK;
}

/* ---- the public calls -------------------------------------------------------------------- */

/* Compiles the formula against the table as it is, for no query in particular: that nobody
 * asks for a field is no fault of the policy. */
static qn_status try_formula(const qn_snapshot_view *view, qn_arena *arena,
                             qn_stage_kind stage, qn_slice formula, qn_error *err)
{
    qn_exec_result nothing = {0};
    qn_query *all = qn_query_new(arena, QN_QUERY_ALL, 0);
    if (all == NULL) return qn_fail(err, QN_ENOMEM, "policy");
    qn_rank_path path = {.name = "query", .query = all, .found = &nothing, .weight = 1};
    qn_rank_input in = {.snapshot = view,
                        .paths = &path,
                        .path_count = 1,
                        .scale = QN_RANK_HA3,
                        .now_ms = qn_clock_wall_ms()};
    qn_rank_formula *f = NULL;
    bool rough = stage == QN_STAGE_ROUGH;
    qn_status st = qn_rank_formula_open(
        &in, arena, rough ? "rough policy" : "fine policy", formula,
        rough ? QN_EXPR_IN_ROUGH : QN_EXPR_IN_FINE, &f, err);
    qn_rank_formula_close(f);
    return st;
}

static qn_status check_formula(quern *q, const char *table, qn_arena *arena,
                               qn_stage_kind stage, qn_slice formula, qn_error *err)
{
    qn_table *t = NULL;
    QN_TRY(qn_engine_table(q, table, &t, err));
    qn_table_snapshot *s = qn_table_search(t);
    qn_table_release(t);
    qn_status st = try_formula(&s->view, arena, stage, formula, err);
    qn_table_snapshot_release(s);
    return st;
}

static void write_record(qn_json_writer *w, const char *table, const char *stage,
                         const qn_control_record *r)
{
    qn_json_member_str(w, "table", table);
    qn_json_member_str(w, "stage", stage);
    qn_json_member_slice(w, "name", r->name);
    qn_json_member_int(w, "version", r->version);
    qn_json_member_bool(w, "active", r->active);
    qn_json_member_int(w, "created_ms", r->created_ms);
}

static void write_policy(qn_json_writer *w, const qn_control_record *r,
                         const qn_rank_policy *p)
{
    qn_json_member_slice(w, "formula", p->formula);
    if (p->description.n > 0) qn_json_member_slice(w, "description", p->description);
    qn_slice body = qn_slice_trim(r->body);
    qn_json_key(w, "policy");
    if (body.n > 0 && body.p[0] == '{')
        qn_json_raw(w, body);
    else
        qn_json_string(w, body);
}

qn_status quern_policy_put(quern *q, const char *table, quern_policy_stage stage,
                           const char *name, const char *policy, size_t policy_size,
                           bool draft, char **json, size_t *json_size, qn_error *err)
{
    qn_rank_policy parsed;
    qn_arena arena;
    qn_stage_kind kind = stage_of(stage);
    qn_slice body = {policy, policy_size};
    uint32_t version = 0;
    if (json != NULL) *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st =
        qn_rank_policy_parse(body, kind == QN_STAGE_ROUGH, &arena, &parsed, err);
    if (st == QN_OK) st = check_formula(q, table, &arena, kind, parsed.formula, err);
    if (st == QN_OK)
        st = qn_control_put(q->control, table, kind_of(kind), qn_slice_of(name), body,
                            !draft, &version, err);
    qn_arena_deinit(&arena);
    if (st != QN_OK || json == NULL) return st;
    return quern_policy_show(q, table, stage, name, version, json, json_size, err);
}

qn_status quern_policy_show(quern *q, const char *table, quern_policy_stage stage,
                            const char *name, uint32_t version, char **json,
                            size_t *json_size, qn_error *err)
{
    qn_control_record r;
    qn_rank_policy parsed;
    qn_arena arena;
    qn_buf b;
    qn_json_writer w;
    qn_stage_kind kind = stage_of(stage);
    *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    qn_arena_init(&arena, q->alloc, 0);
    qn_buf_init(&b, q->alloc);
    qn_status st = qn_control_get(q->control, table, kind_of(kind), qn_slice_of(name),
                                  version, &arena, &r, err);
    if (st == QN_OK)
        st = qn_rank_policy_parse(r.body, kind == QN_STAGE_ROUGH, &arena, &parsed, err);
    if (st == QN_OK) {
        qn_json_writer_init(&w, &b, false);
        qn_json_begin_object(&w);
        write_record(&w, table, kind_of(kind), &r);
        write_policy(&w, &r, &parsed);
        qn_json_end_object(&w);
    }
    st = qn_engine_reply(&b, st, json, json_size, err);
    qn_arena_deinit(&arena);
    return st;
}

qn_status quern_policy_list(quern *q, const char *table, char **json, size_t *json_size,
                            qn_error *err)
{
    static const char *const kinds[] = {QN_CONTROL_ROUGH, QN_CONTROL_FINE};
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
    qn_json_key(&w, "policies");
    qn_json_begin_array(&w);
    qn_status st = QN_OK;
    for (size_t k = 0; st == QN_OK && k < 2; k++) {
        const qn_control_record *all = NULL;
        size_t n = 0;
        st = qn_control_list(q->control, table, kinds[k], NULL, true, &arena, &all, &n,
                             err);
        for (size_t i = 0; st == QN_OK && i < n; i++) {
            qn_rank_policy parsed;
            st = qn_rank_policy_parse(all[i].body, k == 0, &arena, &parsed, err);
            if (st != QN_OK) break;
            qn_json_begin_object(&w);
            write_record(&w, table, kinds[k], &all[i]);
            qn_json_member_slice(&w, "formula", parsed.formula);
            qn_json_end_object(&w);
        }
    }
    qn_json_end_array(&w);
    qn_json_end_object(&w);
    st = qn_engine_reply(&b, st, json, json_size, err);
    qn_arena_deinit(&arena);
    return st;
}

/* A version is checked again before it is used: the table may have changed since. */
qn_status quern_policy_activate(quern *q, const char *table, quern_policy_stage stage,
                                const char *name, uint32_t version, qn_error *err)
{
    qn_control_record r;
    qn_rank_policy parsed;
    qn_arena arena;
    qn_stage_kind kind = stage_of(stage);
    QN_TRY(qn_engine_need_table(q, table, err));
    if (version == 0) return qn_fail(err, QN_EINVAL, "versions are counted from 1");
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st = qn_control_get(q->control, table, kind_of(kind), qn_slice_of(name),
                                  version, &arena, &r, err);
    if (st == QN_OK)
        st = qn_rank_policy_parse(r.body, kind == QN_STAGE_ROUGH, &arena, &parsed, err);
    if (st == QN_OK) st = check_formula(q, table, &arena, kind, parsed.formula, err);
    if (st == QN_OK)
        st = qn_control_activate(q->control, table, kind_of(kind), qn_slice_of(name),
                                 version, err);
    qn_arena_deinit(&arena);
    return st;
}

qn_status quern_policy_roll_back(quern *q, const char *table, quern_policy_stage stage,
                                 const char *name, uint32_t *version, qn_error *err)
{
    QN_TRY(qn_engine_need_table(q, table, err));
    return qn_control_roll_back(q->control, table, kind_of(stage_of(stage)),
                                qn_slice_of(name), version, err);
}

qn_status quern_policy_drop(quern *q, const char *table, quern_policy_stage stage,
                            const char *name, qn_error *err)
{
    QN_TRY(qn_engine_need_table(q, table, err));
    return qn_control_drop(q->control, table, kind_of(stage_of(stage)),
                           qn_slice_of(name), err);
}
