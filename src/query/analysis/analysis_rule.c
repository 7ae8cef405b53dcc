/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_rule.c -- rules and the switches of a request, from their texts. */
#include "query/analysis/analysis_internal.h"
#include "query/analysis/analysis_json.h"

/* ORDER STEPS */
const qn_qa_step_info qn_qa_steps[QN_QA_STEP_COUNT] = {
    [QN_QA_SPELL] = {"spell_check", "correction"},
    [QN_QA_STOP] = {"stop_word", "stopword"},
    [QN_QA_NER] = {"ner", "ner"},
    [QN_QA_WEIGHT] = {"term_weighting", "term_weighting"},
    [QN_QA_SYNONYM] = {"synonym", "synonym"},
    [QN_QA_CATEGORY] = {"category_prediction", "category_prediction"},
};

static const char *const join_names[] = {"AND", "HIGH", "OR"};

const char *qn_qa_join_name(qn_qa_join join)
{
    return join_names[join];
}

static qn_status step_named(qn_qa_reader *r, const qn_json *at, qn_slice name,
                            int *step)
{
    for (*step = 0; *step < QN_QA_STEP_COUNT; (*step)++)
        if (qn_slice_eq_str(name, qn_qa_steps[*step].processor)) return QN_OK;
    if (qn_slice_eq_str(name, "text_vectorization") ||
        qn_slice_eq_str(name, "query_vectorization"))
        return qn_qa__wrong(
            r, QN_EUNSUPPORTED, at,
            "[%.*s] is not supported: recall by vectors is a pipeline's",
            QN_SLICE_ARG(name));
    return qn_qa__wrong(r, QN_EINVAL, at,
                        "no processor [%.*s]; there are spell_check, stop_word, ner, "
                        "term_weighting, synonym, category_prediction",
                        name.n > 60 ? 60 : (int)name.n, name.p);
}

/* [{"priority":"HIGH","tag":"brand","order":1}] */
static qn_status read_priorities(qn_qa_reader *r, const qn_json *v, qn_qa_processor *p)
{
    static const struct {
        const char *name;
        int32_t weight;
    } levels[] = {{"HIGH", 7}, {"MIDDLE", 4}, {"LOW", 1}};
    if (v == NULL) return QN_OK;
    if (v->kind != QN_JSON_ARRAY)
        return qn_qa__wrong(r, QN_EJSON, v, "\"priorities\" takes a list of objects");
    if (v->count > QN_QA_ITEMS_MAX)
        return qn_qa__wrong(r, QN_ELIMIT, v, "over %d priorities", QN_QA_ITEMS_MAX);
    qn_qa_item *items = qn_arena_array(r->arena, v->count + 1, sizeof *items);
    if (items == NULL) return qn_fail(r->err, QN_ENOMEM, "query analysis");
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        qn_slice priority = {0}, tag = {0};
        const qn_qa_member known[] = {{"priority", QN_QA_TEXT, &priority, 0, 0},
                                      {"tag", QN_QA_TEXT, &tag, 0, 0},
                                      {"order", QN_QA_ANY, NULL, 0, 0},
                                      {NULL, QN_QA_ANY, NULL, 0, 0}};
        QN_TRY(qn_qa__members(r, it, known));
        for (size_t i = 0; i < 3; i++)
            if (qn_slice_eq_nocase(priority, levels[i].name))
                items[p->priority_count] =
                    (qn_qa_item){.tag = tag, .value = levels[i].weight};
        if (items[p->priority_count++].value == 0 || tag.n == 0)
            return qn_qa__wrong(
                r, QN_EINVAL, it,
                "a priority has a \"tag\" and \"priority\" HIGH, MIDDLE "
                "or LOW");
    }
    p->priorities = items;
    return QN_OK;
}

static qn_status read_processor(qn_qa_reader *r, const qn_json *v, qn_qa_rule *rule)
{
    qn_qa_processor p = {.on = true, .use_system = true, .confidence = 0.8, .boost = 1};
    qn_slice name = {0}, model = {0};
    const qn_json *priorities = NULL;
    int64_t edits = 2;
    const qn_qa_member known[] = {
        {"name", QN_QA_TEXT, &name, 0, 0},
        {"use_system_dictionary", QN_QA_FLAG, &p.use_system, 0, 0},
        {"useSystemDictionary", QN_QA_FLAG, &p.use_system, 0, 0},
        {"intervention_dictionary", QN_QA_TEXT, &p.dictionary, 0, 0},
        {"interventionDictionary", QN_QA_TEXT, &p.dictionary, 0, 0},
        {"confidence", QN_QA_SHARE, &p.confidence, 0, 1},
        {"edits_max", QN_QA_WHOLE, &edits, 1, QN_SPELLING_EDITS_MAX},
        {"suggest_only", QN_QA_FLAG, &p.suggest_only, 0, 0},
        {"field", QN_QA_TEXT, &p.field, 0, 0},
        {"boost", QN_QA_SHARE, &p.boost, 0, 1e6},
        {"priorities", QN_QA_NODE, &priorities, 0, 0},
        {"categoryPrediction", QN_QA_TEXT, &model, 0, 0},
        {"projectId", QN_QA_TEXT, &model, 0, 0},
        {NULL, QN_QA_ANY, NULL, 0, 0},
    };
    int step;
    QN_TRY(qn_qa__members(r, v, known));
    QN_TRY(step_named(r, v, name, &step));
    if (model.n > 0)
        return qn_qa__wrong(r, QN_EUNSUPPORTED, v,
                            "trained models of category prediction are not supported; "
                            "give an intervention_dictionary");
    QN_TRY(read_priorities(r, priorities, &p));
    p.edits_max = (unsigned)edits;
    bool needs = step == QN_QA_NER || step == QN_QA_CATEGORY;
    if (needs && p.dictionary.n == 0)
        return qn_qa__wrong(r, QN_EINVAL, v, "[%s] needs an intervention_dictionary",
                            qn_qa_steps[step].processor);
    if (rule->steps[step].on)
        return qn_qa__wrong(r, QN_EINVAL, v, "processor [%s] stands there twice",
                            qn_qa_steps[step].processor);
    rule->steps[step] = p;
    return QN_OK;
}

/* "OR", or ["AND", "OR"]. */
static qn_status read_joins(qn_qa_reader *r, const qn_json *v, qn_qa_rule *rule)
{
    const qn_slice *names = NULL;
    size_t n = 0;
    if (v == NULL) return QN_OK;
    QN_TRY(qn_qa__strings(r, v, QN_QA_ATTEMPTS_MAX, &names, &n));
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < 3 && !qn_slice_eq_nocase(names[i], join_names[k])) k++;
        if (k == 3)
            return qn_qa__wrong(r, QN_EINVAL, v,
                                "\"rewrite\" has AND, HIGH and OR, not [%.*s]",
                                names[i].n > 40 ? 40 : (int)names[i].n, names[i].p);
        rule->joins[rule->join_count++] = (qn_qa_join)k;
    }
    return QN_OK;
}

static qn_status check_rule(qn_qa_reader *r, const qn_json *root,
                            const qn_qa_rule *rule)
{
    static const char *const domains[] = {"", "GENERAL", "ECOMMERCE", "IT_CONTENT"};
    for (size_t i = 0; i < 4; i++)
        if (qn_slice_eq_nocase(rule->domain, domains[i])) return QN_OK;
    return qn_qa__wrong(r, QN_EINVAL, root,
                        "\"domain\" is GENERAL, ECOMMERCE or IT_CONTENT, not [%.*s]",
                        rule->domain.n > 40 ? 40 : (int)rule->domain.n, rule->domain.p);
}

qn_status qn_qa_rule_parse(qn_arena *arena, qn_slice text, const qn_qa_rule **out,
                           qn_error *err)
{
    *out = NULL;
    const qn_json *root = NULL, *processors = NULL, *indexes = NULL, *rewrite = NULL;
    int64_t below = QN_QA_RETRY_BELOW_DEFAULT;
    text = qn_arena_slice(arena, text);
    qn_qa_rule *rule = qn_arena_new(arena, sizeof *rule);
    if (rule == NULL || text.p == NULL)
        return qn_fail(err, QN_ENOMEM, "query analysis");
    rule->name = rule->domain = QN_SLICE_LIT("");
    QN_TRY(qn_json_parse(arena, text, &root, err));
    qn_qa_reader r = {arena, text, "query analysis", err};
    const qn_qa_member known[] = {
        {"name", QN_QA_TEXT, &rule->name, 0, 0},
        {"domain", QN_QA_TEXT, &rule->domain, 0, 0},
        {"processors", QN_QA_NODE, &processors, 0, 0},
        {"indexes", QN_QA_NODE, &indexes, 0, 0},
        {"active", QN_QA_FLAG, &rule->active, 0, 0},
        {"dsl", QN_QA_FLAG, &rule->dsl, 0, 0},
        {"rewrite", QN_QA_NODE, &rewrite, 0, 0},
        {"retry_below", QN_QA_WHOLE, &below, 0, 1000000},
        {"created", QN_QA_ANY, NULL, 0, 0},
        {"updated", QN_QA_ANY, NULL, 0, 0},
        {NULL, QN_QA_ANY, NULL, 0, 0},
    };
    QN_TRY(qn_qa__members(&r, root, known));
    QN_TRY(check_rule(&r, root, rule));
    QN_TRY(qn_qa__strings(&r, indexes, QN_QA_INDEXES_MAX, &rule->indexes,
                          &rule->index_count));
    QN_TRY(read_joins(&r, rewrite, rule));
    if (processors != NULL && processors->kind != QN_JSON_ARRAY)
        return qn_qa__wrong(&r, QN_EJSON, processors,
                            "\"processors\" takes a list of objects");
    for (const qn_json *it = qn_json_items(processors); it != NULL; it = it->next)
        QN_TRY(read_processor(&r, it, rule));
    rule->retry_below = (uint32_t)below;
    *out = rule;
    return QN_OK;
}

/* ---- switches ------------------------------------------------------------------------- */

static qn_slice cut_at(qn_slice *rest, const char *separators)
{
    size_t n = 0;
    while (n < rest->n && strchr(separators, rest->p[n]) == NULL) n++;
    qn_slice piece = {rest->p, n};
    size_t used = n < rest->n ? n + 1 : n;
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return qn_slice_trim(piece);
}

/* qp [":" step [":" index {"|" index}]] */
static qn_status read_switch(qn_slice piece, qn_qa_switch *list, size_t *n, size_t most,
                             qn_error *err)
{
    if (!qn_slice_eq_str(cut_at(&piece, ":"), "qp")) return QN_OK;
    qn_slice name = cut_at(&piece, ":");
    int step = -1;
    while (name.n > 0 && ++step < QN_QA_STEP_COUNT)
        if (qn_slice_eq_str(name, qn_qa_steps[step].processor)) break;
    if (step == QN_QA_STEP_COUNT)
        return qn_fail(err, QN_EINVAL,
                       "disable: no [qp:%.*s]; there are qp:spell_check, qp:stop_word, "
                       "qp:ner, qp:term_weighting, qp:synonym, qp:category_prediction",
                       name.n > 60 ? 60 : (int)name.n, name.p);
    do {
        qn_slice index = cut_at(&piece, "|");
        if (*n == most)
            return qn_fail(err, QN_ELIMIT, "disable: over %zu switches", most);
        list[(*n)++] = (qn_qa_switch){step, index};
    } while (piece.n > 0);
    return QN_OK;
}

qn_status qn_qa_switches_parse(qn_arena *arena, qn_slice text, const qn_qa_switch **out,
                               size_t *count, qn_error *err)
{
    enum { SWITCHES_MAX = 64 };
    *count = 0;
    qn_qa_switch *list = qn_arena_array(arena, SWITCHES_MAX, sizeof *list);
    if (list == NULL) return qn_fail(err, QN_ENOMEM, "query analysis");
    *out = list;
    while (text.n > 0)
        QN_TRY(read_switch(cut_at(&text, ",;"), list, count, SWITCHES_MAX, err));
    return QN_OK;
}
