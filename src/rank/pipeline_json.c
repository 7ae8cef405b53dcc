/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_json.c -- pipelines as people write them. */
#include "rank/pipeline.h"

#include "base/nearest.h"
#include "io/json.h"

enum { K_MAX = 10000 };

/* What a key may hold; the reader below walks these tables. */
typedef struct reader {
    qn_arena *arena;
    qn_slice text;
    qn_pipeline *p;
    qn_stage stages[QN_RANK_STAGES_MAX];
    size_t stage_count;
    bool has_weights;
    qn_error *err;
} reader;

typedef qn_status member_fn(reader *r, const qn_json *v, void *into);

typedef struct member {
    const char *key;
    member_fn *read;
} member;

static qn_status wrong(reader *r, const qn_json *v, const char *wanted)
{
    return qn_fail_at(r->err, QN_EJSON, qn_json_offset(v, r->text),
                      "pipeline: \"%.*s\" takes %s, not %s", QN_SLICE_ARG(v->key),
                      wanted, qn_json_kind_name(v->kind));
}

static qn_status unknown(reader *r, const qn_json *v, const member *known)
{
    qn_nearest near = qn_nearest_begin(v->key);
    qn_buf list;
    qn_buf_init(&list, qn_alloc_heap());
    for (const member *m = known; m->key != NULL; m++) {
        qn_nearest_offer(&near, qn_slice_of(m->key));
        qn_buf_printf(&list, "%s%s", m == known ? "" : ", ", m->key);
    }
    qn_slice all = qn_buf_slice(&list);
    uint64_t at = qn_json_offset(v, r->text);
    if (near.best.p != NULL)
        (void)qn_fail_at(r->err, QN_EJSON, at,
                         "pipeline: unknown key \"%.*s\", did you mean \"%.*s\"?",
                         QN_SLICE_ARG(v->key), QN_SLICE_ARG(near.best));
    else
        (void)qn_fail_at(r->err, QN_EJSON, at,
                         "pipeline: unknown key \"%.*s\"; known: %.*s",
                         QN_SLICE_ARG(v->key), QN_SLICE_ARG(all));
    qn_buf_deinit(&list);
    return QN_EJSON;
}

static qn_status read_object(reader *r, const qn_json *v, const member *known,
                             void *into)
{
    if (v->kind != QN_JSON_OBJECT) return wrong(r, v, "an object");
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        const member *m = known;
        while (m->key != NULL && !qn_slice_eq_str(it->key, m->key)) m++;
        if (m->key == NULL) return unknown(r, it, known);
        QN_TRY(m->read(r, it, into));
    }
    return QN_OK;
}

static qn_status read_count(reader *r, const qn_json *v, size_t most, size_t *out)
{
    if (v->kind != QN_JSON_INT || v->integer < 0)
        return wrong(r, v, "a whole number from 0");
    if ((uint64_t)v->integer > most)
        return qn_fail_at(r->err, QN_ELIMIT, qn_json_offset(v, r->text),
                          "pipeline: \"%.*s\" is %lld, at most %zu",
                          QN_SLICE_ARG(v->key), (long long)v->integer, most);
    *out = (size_t)v->integer;
    return QN_OK;
}

static qn_status read_names(reader *r, const qn_json *v, const qn_slice **out,
                            size_t *count)
{
    if (v->kind != QN_JSON_ARRAY || v->count == 0)
        return wrong(r, v, "a list of field names");
    qn_slice *names = qn_arena_array(r->arena, v->count, sizeof *names);
    if (names == NULL) return qn_fail(r->err, QN_ENOMEM, "pipeline");
    size_t n = 0;
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        if (it->kind != QN_JSON_STRING) return wrong(r, v, "a list of field names");
        names[n++] = qn_arena_slice(r->arena, it->string);
    }
    *out = names;
    *count = n;
    return QN_OK;
}

/* ---- recall ------------------------------------------------------------------------- */

static qn_status text_fields(reader *r, const qn_json *v, void *into)
{
    (void)into;
    return read_names(r, v, &r->p->text_fields, &r->p->text_field_count);
}

static qn_status text_operator(reader *r, const qn_json *v, void *into)
{
    (void)into;
    if (v->kind == QN_JSON_STRING && qn_slice_eq_nocase(v->string, "and")) {
        r->p->operator_and = true;
        return QN_OK;
    }
    if (v->kind == QN_JSON_STRING && qn_slice_eq_nocase(v->string, "or")) return QN_OK;
    return wrong(r, v, "\"and\" or \"or\"");
}

static qn_status text_tie_breaker(reader *r, const qn_json *v, void *into)
{
    (void)into;
    bool number = v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE;
    if (!number || v->number < 0 || v->number > 1)
        return wrong(r, v, "a number from 0 to 1");
    r->p->tie_breaker = (float)v->number;
    return QN_OK;
}

static qn_status text_k(reader *r, const qn_json *v, void *into)
{
    (void)into;
    return read_count(r, v, 1000000, &r->p->text_k);
}

static qn_status recall_text(reader *r, const qn_json *v, void *into)
{
    static const member known[] = {{"fields", text_fields},
                                   {"operator", text_operator},
                                   {"tie_breaker", text_tie_breaker},
                                   {"k", text_k},
                                   {NULL, NULL}};
    r->p->has_text = true;
    return read_object(r, v, known, into);
}

static qn_status vector_field(reader *r, const qn_json *v, void *into)
{
    (void)into;
    if (v->kind != QN_JSON_STRING) return wrong(r, v, "a field name");
    r->p->vector_field = qn_arena_slice(r->arena, v->string);
    return QN_OK;
}

static qn_status vector_k(reader *r, const qn_json *v, void *into)
{
    size_t k = 0;
    (void)into;
    QN_TRY(read_count(r, v, K_MAX, &k));
    if (k == 0) return wrong(r, v, "a whole number from 1");
    r->p->vector_k = (uint32_t)k;
    return QN_OK;
}

static qn_status recall_vector(reader *r, const qn_json *v, void *into)
{
    static const member known[] = {
        {"field", vector_field}, {"k", vector_k}, {NULL, NULL}};
    r->p->has_vector = true;
    return read_object(r, v, known, into);
}

static qn_status recall_fusion(reader *r, const qn_json *v, void *into)
{
    static const struct {
        const char *name;
        qn_fusion fusion;
    } kinds[] = {
        {"rrf", QN_FUSION_RRF}, {"linear", QN_FUSION_LINEAR}, {"sum", QN_FUSION_SUM}};
    (void)into;
    for (size_t i = 0; v->kind == QN_JSON_STRING && i < 3; i++) {
        if (!qn_slice_eq_str(v->string, kinds[i].name)) continue;
        r->p->fusion = kinds[i].fusion;
        return QN_OK;
    }
    return wrong(r, v, "\"rrf\", \"linear\" or \"sum\"");
}

static qn_status weight(reader *r, const qn_json *v, void *into)
{
    float *weights = into;
    bool number = v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE;
    if (!number || v->number < 0 || v->number > 1e6)
        return wrong(r, v, "a number from 0");
    weights[qn_slice_eq_str(v->key, "vector")] = (float)v->number;
    return QN_OK;
}

static qn_status recall_weights(reader *r, const qn_json *v, void *into)
{
    static const member known[] = {{"text", weight}, {"vector", weight}, {NULL, NULL}};
    float weights[2] = {1, 1};
    (void)into;
    QN_TRY(read_object(r, v, known, weights));
    r->p->text_weight = weights[0];
    r->p->vector_weight = weights[1];
    r->has_weights = true;
    return QN_OK;
}

static qn_status recall(reader *r, const qn_json *v, void *into)
{
    static const member known[] = {{"text", recall_text},
                                   {"vector", recall_vector},
                                   {"fusion", recall_fusion},
                                   {"weights", recall_weights},
                                   {NULL, NULL}};
    return read_object(r, v, known, into);
}

/* ---- stages ------------------------------------------------------------------------- */

static qn_status stage_formula(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    if (v->kind != QN_JSON_STRING) return wrong(r, v, "a formula as a string");
    stage->formula = qn_arena_slice(r->arena, v->string);
    return QN_OK;
}

static qn_status stage_policy(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    if (v->kind != QN_JSON_STRING || v->string.n == 0)
        return wrong(r, v, "the name of a policy");
    stage->policy = qn_arena_slice(r->arena, v->string);
    return stage->policy.p == NULL ? qn_fail(r->err, QN_ENOMEM, "pipeline") : QN_OK;
}

static qn_status stage_plugin(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    if (v->kind != QN_JSON_STRING || v->string.n == 0)
        return wrong(r, v, "the name of a plug-in");
    stage->plugin_name = qn_arena_slice(r->arena, v->string);
    return stage->plugin_name.p == NULL ? qn_fail(r->err, QN_ENOMEM, "pipeline")
                                        : QN_OK;
}

static qn_status stage_keep(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    return read_count(r, v, 1000000, &stage->keep);
}

static qn_status stage_budget(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    size_t ms = 0;
    QN_TRY(read_count(r, v, 86400000, &ms));
    stage->budget_ms = (int64_t)ms;
    return QN_OK;
}

static qn_status stage_model(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    if (v->kind != QN_JSON_STRING) return wrong(r, v, "a model's name");
    stage->model = qn_arena_strndup(r->arena, v->string.p, v->string.n);
    return QN_OK;
}

static qn_status neural_fields(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    return read_names(r, v, &stage->fields, &stage->field_count);
}

static qn_status neural_tokens(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    size_t n = 0;
    QN_TRY(read_count(r, v, 65536, &n));
    stage->tokens_max = (uint32_t)n;
    return QN_OK;
}

static qn_status read_part(reader *r, const qn_json *v, double *out)
{
    bool number = v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE;
    if (!number || !(v->number > 0) || v->number > 1)
        return wrong(r, v, "a number above 0, at most 1");
    *out = v->number;
    return QN_OK;
}

static qn_status neural_share(reader *r, const qn_json *v, void *into)
{
    return read_part(r, v, &((qn_stage *)into)->budget_share);
}

static qn_status neural_weight(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    QN_TRY(read_part(r, v, &stage->weight));
    if (stage->weight >= 1) stage->weight = 0; /* the model alone */
    return QN_OK;
}

static qn_status neural_optional(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    if (v->kind != QN_JSON_BOOL) return wrong(r, v, "true or false");
    stage->may_fail = v->boolean;
    return QN_OK;
}

static qn_status neural_chunking(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    qn_chunk_settings *s = &stage->passages.chunking;
    if (v->kind == QN_JSON_STRING)
        return qn_chunk_settings_parse(qn_arena_slice(r->arena, v->string), r->arena, s,
                                       r->err);
    return qn_chunk_settings_read(v, r->text, r->arena, s, r->err);
}

static qn_status passages_max(reader *r, const qn_json *v, void *into)
{
    return read_count(r, v, 1000000, &((qn_stage *)into)->passages.most);
}

static qn_status passages_best(reader *r, const qn_json *v, void *into)
{
    return read_count(r, v, 1000000, &((qn_stage *)into)->passages.best_by_words);
}

static qn_status passages_join(reader *r, const qn_json *v, void *into)
{
    qn_stage *stage = into;
    if (v->kind == QN_JSON_STRING &&
        qn_passage_join_parse(v->string, &stage->passages.join))
        return QN_OK;
    return wrong(r, v, "\"max\", \"first\", \"mean\" or \"sum\"");
}

static qn_status passages_top(reader *r, const qn_json *v, void *into)
{
    return read_count(r, v, 1000000, &((qn_stage *)into)->passages.top);
}

static const member neural_members[] = {{"formula", stage_formula},
                                        {"keep", stage_keep},
                                        {"budget_ms", stage_budget},
                                        {"budget_share", neural_share},
                                        {"weight", neural_weight},
                                        {"model", stage_model},
                                        {"fields", neural_fields},
                                        {"max_tokens", neural_tokens},
                                        {"optional", neural_optional},
                                        {"chunking", neural_chunking},
                                        {"passages_max", passages_max},
                                        {"passages_best", passages_best},
                                        {"join", passages_join},
                                        {"join_top", passages_top},
                                        {NULL, NULL}};

static qn_status add_stage(reader *r, const qn_json *v, qn_stage s)
{
    if (r->stage_count == QN_RANK_STAGES_MAX)
        return qn_fail_at(r->err, QN_ELIMIT, qn_json_offset(v, r->text),
                          "pipeline: a pipeline has at most %d stages",
                          QN_RANK_STAGES_MAX);
    r->stages[r->stage_count++] = s;
    return QN_OK;
}

static qn_status neural_one(reader *r, const qn_json *v)
{
    qn_stage s = {.kind = QN_STAGE_NEURAL};
    QN_TRY(read_object(r, v, neural_members, &s));
    if (s.weight > 0 && s.formula.n > 0)
        return qn_fail_at(r->err, QN_EJSON, qn_json_offset(v, r->text),
                          "pipeline: \"neural\" takes a \"weight\" or a \"formula\", "
                          "not both");
    if (s.budget_ms > 0 && s.budget_share > 0)
        return qn_fail_at(r->err, QN_EJSON, qn_json_offset(v, r->text),
                          "pipeline: \"neural\" takes a \"budget_ms\" or a "
                          "\"budget_share\", not both");
    return add_stage(r, v, s);
}

/* One stage, or several in the order they run. */
static qn_status neural(reader *r, const qn_json *v, void *into)
{
    (void)into;
    if (v->kind != QN_JSON_ARRAY) return neural_one(r, v);
    if (v->count == 0) return wrong(r, v, "a stage or a list of stages");
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        if (it->kind != QN_JSON_OBJECT) return wrong(r, v, "a list of objects");
        QN_TRY(neural_one(r, it));
    }
    return QN_OK;
}

static qn_status neural_budget(reader *r, const qn_json *v, void *into)
{
    size_t ms = 0;
    (void)into;
    QN_TRY(read_count(r, v, 86400000, &ms));
    r->p->neural_budget_ms = (int64_t)ms;
    return QN_OK;
}

static qn_status stage(reader *r, const qn_json *v, void *into)
{
    static const member plain[] = {{"formula", stage_formula},
                                   {"policy", stage_policy},
                                   {"keep", stage_keep},
                                   {NULL, NULL}};
    static const member fine[] = {{"formula", stage_formula},
                                  {"policy", stage_policy},
                                  {"plugin", stage_plugin},
                                  {"keep", stage_keep},
                                  {NULL, NULL}};
    bool is_fine = qn_slice_eq_str(v->key, "fine");
    qn_stage s = {.kind = is_fine ? QN_STAGE_FINE : QN_STAGE_ROUGH};
    const member *known = is_fine ? fine : plain;
    (void)into;
    QN_TRY(read_object(r, v, known, &s));
    int ways = (s.formula.n > 0) + (s.policy.n > 0) + (s.plugin_name.n > 0);
    if (ways != 1)
        return wrong(r, v,
                     s.kind == QN_STAGE_FINE
                         ? "a \"formula\", a \"policy\" or a \"plugin\", one of them"
                         : "a \"formula\" or a \"policy\", one of them");
    return add_stage(r, v, s);
}

static qn_status read_pipeline(reader *r)
{
    static const member known[] = {{"recall", recall},
                                   {"rough", stage},
                                   {"fine", stage},
                                   {"neural", neural},
                                   {"neural_budget_ms", neural_budget},
                                   {NULL, NULL}};
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(r->arena, r->text, &root, r->err));
    if (root->kind != QN_JSON_OBJECT)
        return qn_fail_at(r->err, QN_EJSON, 0, "a pipeline is a JSON object");
    /* Stages run in the order of their kinds, whatever order they were written in. */
    for (const qn_json *it = root->first; it != NULL; it = it->next) {
        const member *m = known;
        while (m->key != NULL && !qn_slice_eq_str(it->key, m->key)) m++;
        if (m->key == NULL) return unknown(r, it, known);
    }
    for (const member *m = known; m->key != NULL; m++) {
        const qn_json *v = qn_json_get(root, m->key);
        if (v != NULL) QN_TRY(m->read(r, v, NULL));
    }
    return QN_OK;
}

/* ---- names that are always there ------------------------------------------------------ */

static const struct {
    const char *name;
    bool text, vector;
} built_in[] = {{"bm25", true, false}, {"vector", false, true}, {"hybrid", true, true}};

static bool read_built_in(reader *r)
{
    static const char suffix[] = "+rerank";
    qn_slice name = r->text;
    bool rerank = qn_slice_ends_with(name, suffix);
    if (rerank) name.n -= sizeof suffix - 1;
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
        if (!qn_slice_eq_str(name, built_in[i].name)) continue;
        r->p->has_text = built_in[i].text;
        r->p->has_vector = built_in[i].vector;
        if (rerank) r->stages[r->stage_count++] = (qn_stage){.kind = QN_STAGE_NEURAL};
        return true;
    }
    return false;
}

qn_status qn_pipeline_parse(qn_slice text, qn_arena *arena, const qn_pipeline **out,
                            qn_error *err)
{
    qn_pipeline *p = qn_arena_new(arena, sizeof *p);
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "pipeline");
    p->vector_k = 100;
    p->fusion = QN_FUSION_RRF;
    p->text_weight = p->vector_weight = 1;
    reader r = {.arena = arena, .text = qn_slice_trim(text), .p = p, .err = err};
    if (r.text.n > 0 && r.text.p[0] == '{') {
        QN_TRY(read_pipeline(&r));
    } else if (!read_built_in(&r)) {
        return qn_fail(
            err, QN_ENOTFOUND,
            "no pipeline '%.*s': bm25, vector, hybrid, each also with +rerank, or a "
            "JSON object",
            QN_SLICE_ARG(r.text));
    }
    if (!p->has_text && !p->has_vector) p->has_text = true;
    qn_stage *stages = qn_arena_array(arena, r.stage_count + 1, sizeof *stages);
    if (stages == NULL) return qn_fail(err, QN_ENOMEM, "pipeline");
    memcpy(stages, r.stages, r.stage_count * sizeof *stages);
    /* Formulas that name a model have it read what the first neural stage reads. */
    for (size_t i = 0; i < r.stage_count && p->neural_fields == NULL; i++) {
        if (stages[i].kind != QN_STAGE_NEURAL) continue;
        p->neural_fields = stages[i].fields;
        p->neural_field_count = stages[i].field_count;
        p->neural_tokens = stages[i].tokens_max;
    }
    p->stages = stages;
    p->stage_count = r.stage_count;
    *out = p;
    return QN_OK;
}

qn_status qn_pipeline_neural(qn_slice text, qn_arena *arena, const qn_stage **stages,
                             size_t *count, qn_error *err)
{
    qn_pipeline *p = qn_arena_new(arena, sizeof *p);
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "pipeline");
    reader r = {.arena = arena, .text = qn_slice_trim(text), .p = p, .err = err};
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(arena, r.text, &root, err));
    QN_TRY(neural(&r, root, NULL));
    qn_stage *list = qn_arena_array(arena, r.stage_count + 1, sizeof *list);
    if (list == NULL) return qn_fail(err, QN_ENOMEM, "pipeline");
    memcpy(list, r.stages, r.stage_count * sizeof *list);
    *stages = list;
    *count = r.stage_count;
    return QN_OK;
}
