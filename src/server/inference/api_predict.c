/* SPDX-License-Identifier: Apache-2.0 */
/* Classifiers: /predict of text-embeddings-inference, /classify of vLLM. An input is a text
 * or a pair of texts. */
#include "server/inference/api_tei.h"

#include "server/handlers.h"
#include "server/server_internal.h"

#include <math.h>
#include <stdlib.h>

/* What becomes of logits; AUTO: softmax over several labels, the sigmoid of a single one. */
typedef enum label_function {
    LABEL_AUTO,
    LABEL_NONE,
    LABEL_SIGMOID,
    LABEL_SOFTMAX,
} label_function;

typedef struct classify_call {
    qn_rank_request r;
    qn_text_pair *inputs;
    bool *single; /* [count]: the input is its text alone */
    size_t count;
    const quern_model_info *info;
    label_function function;
    float *scores; /* count x labels: logits, then what is shown */
    const char *model;
    uint64_t tokens;
    size_t truncated;
} classify_call;

/* ---- inputs ------------------------------------------------------------------------- */

static qn_status check_length(qn_call *c, const qn_json *v, const char *name,
                              qn_error *err)
{
    if (v->string.n <= QN_LIMIT_RERANK_TEXT_BYTES) return QN_OK;
    return qn_fail_at(err, QN_ELIMIT, qn_json_offset(v, c->request->body),
                      "a text of [%s] is longer than %d bytes", name,
                      QN_LIMIT_RERANK_TEXT_BYTES);
}

static qn_status not_an_input(qn_call *c, const qn_json *v, qn_error *err)
{
    return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, c->request->body),
                      "[inputs] must be a string, a pair of strings, or a list of "
                      "lists with one or two strings");
}

/* "a", ["a"] or ["a","b"]. */
static qn_status read_input(qn_call *c, const qn_json *v, classify_call *k, size_t i,
                            qn_error *err)
{
    const qn_json *first = v->kind == QN_JSON_ARRAY ? v->first : v;
    const qn_json *second = first == v || first == NULL ? NULL : first->next;
    if (first == NULL || first->kind != QN_JSON_STRING ||
        (second != NULL && (second->kind != QN_JSON_STRING || second->next != NULL)))
        return not_an_input(c, v, err);
    QN_TRY(check_length(c, first, "inputs", err));
    if (second != NULL) QN_TRY(check_length(c, second, "inputs", err));
    k->single[i] = second == NULL;
    k->inputs[i] = second == NULL ? (qn_text_pair){{"", 0}, first->string}
                                  : (qn_text_pair){first->string, second->string};
    return QN_OK;
}

static qn_status new_inputs(qn_call *c, classify_call *k, const char *name,
                            qn_error *err)
{
    if (k->count == 0) return qn_fail(err, QN_EEMPTY, "[%s] is empty", name);
    if (k->count > QN_LIMIT_RERANK_DOCUMENTS)
        return qn_fail(err, QN_ELIMIT, "[%s] has %zu texts, at most %d are allowed",
                       name, k->count, QN_LIMIT_RERANK_DOCUMENTS);
    k->inputs = qn_arena_array(c->arena, k->count, sizeof *k->inputs);
    k->single = qn_arena_array(c->arena, k->count, sizeof *k->single);
    return k->inputs == NULL || k->single == NULL
               ? qn_fail(err, QN_ENOMEM, "no memory for the texts")
               : QN_OK;
}

/* One input, or a list of lists. */
static qn_status read_inputs(qn_call *c, const qn_json *list, classify_call *k,
                             bool *batch, qn_error *err)
{
    if (list == NULL) return qn_fail(err, QN_EINVAL, "[inputs] is required");
    *batch = list->kind == QN_JSON_ARRAY &&
             (list->count == 0 || list->first->kind == QN_JSON_ARRAY);
    k->count = *batch ? list->count : 1;
    QN_TRY(new_inputs(c, k, "inputs", err));
    if (!*batch) return read_input(c, list, k, 0, err);
    size_t i = 0;
    for (const qn_json *v = list->first; v != NULL; v = v->next, i++) {
        if (v->kind != QN_JSON_ARRAY) return not_an_input(c, v, err);
        QN_TRY(read_input(c, v, k, i, err));
    }
    return QN_OK;
}

/* ---- scores ------------------------------------------------------------------------- */

/* The inputs that are single, or those that are pairs. */
static qn_status score_some(qn_call *c, classify_call *k, bool single, qn_error *err)
{
    size_t n = 0, labels = k->info->labels;
    qn_rank_request r = k->r;
    qn_ranking ranking;
    qn_text_pair *some = qn_arena_array(c->arena, k->count, sizeof *some);
    float *logits = qn_arena_array(c->arena, k->count * labels, sizeof *logits);
    if (some == NULL || logits == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for the scores");
    for (size_t i = 0; i < k->count; i++)
        if (k->single[i] == single) some[n++] = k->inputs[i];
    if (n == 0) return QN_OK;
    r.single = single;
    r.labels = labels;
    r.logits = labels > 1 ? logits : NULL;
    QN_TRY(qn_inference_pairs(c, &r, some, n, &ranking, err));
    n = 0;
    for (size_t i = 0; i < k->count; i++) {
        if (k->single[i] != single) continue;
        float *to = k->scores + i * labels;
        if (labels > 1)
            memcpy(to, logits + n * labels, labels * sizeof *to);
        else
            *to = ranking.items[n].logit;
        n++;
    }
    k->model = ranking.model;
    k->tokens += ranking.tokens;
    k->truncated += ranking.truncated;
    return QN_OK;
}

/* Logits to probabilities that add up to 1. */
static void softmax(float *p, size_t n)
{
    double most = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, (double)p[i]);
    for (size_t i = 0; i < n; i++) sum += exp((double)p[i] - most);
    for (size_t i = 0; i < n; i++) p[i] = (float)(exp((double)p[i] - most) / sum);
}

static void apply(label_function f, float *p, size_t n)
{
    if (f == LABEL_AUTO) f = n > 1 ? LABEL_SOFTMAX : LABEL_SIGMOID;
    if (f == LABEL_SOFTMAX) softmax(p, n);
    for (size_t i = 0; f == LABEL_SIGMOID && i < n; i++)
        p[i] = (float)(1.0 / (1.0 + exp(-(double)p[i])));
}

static qn_status classify(qn_call *c, classify_call *k, qn_error *err)
{
    const char *model = NULL;
    quern_model_info *info = qn_arena_array(c->arena, 1, sizeof *info);
    if (info == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the scores");
    QN_TRY(qn_server_model(c, k->r.model, c->server->options.default_reranker, &model,
                           err));
    QN_TRY(quern_model_info_get(c->q, model, info, err));
    if (info->labels == 0)
        return qn_fail(err, QN_EMODELTASK,
                       "the model [%s] makes vectors, it does not classify", model);
    k->info = info;
    k->scores = qn_arena_array(c->arena, k->count * info->labels, sizeof *k->scores);
    if (k->scores == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the scores");
    QN_TRY(score_some(c, k, false, err));
    QN_TRY(score_some(c, k, true, err));
    for (size_t i = 0; i < k->count; i++)
        apply(k->function, k->scores + i * info->labels, info->labels);
    qn_inference_count_header(c, "X-Quern-Truncated", k->truncated);
    return QN_OK;
}

/* ---- TEI ---------------------------------------------------------------------------- */

/* What Hugging Face's client sends beside. */
static qn_status read_parameters(qn_call *c, const qn_json *parameters,
                                 label_function *function, int64_t *top_k,
                                 qn_error *err)
{
    qn_slice name = {"", 0};
    const qn_member members[] = {
        {"function_to_apply", QN_MEMBER_STRING, &name, 0, 0},
        {"top_k", QN_MEMBER_INT, top_k, 1, INT64_MAX},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    if (parameters == NULL) return QN_OK;
    QN_TRY(qn_call_members(parameters, members, c->request->body, err));
    if (name.n == 0) return QN_OK;
    if (qn_slice_eq_str(name, "none"))
        *function = LABEL_NONE;
    else if (qn_slice_eq_str(name, "sigmoid"))
        *function = LABEL_SIGMOID;
    else if (qn_slice_eq_str(name, "softmax"))
        *function = LABEL_SOFTMAX;
    else
        return qn_fail(err, QN_EINVAL,
                       "[function_to_apply] must be sigmoid, softmax or none");
    return QN_OK;
}

typedef struct prediction {
    uint32_t label;
    float score;
} prediction;

static int by_score(const void *a, const void *b)
{
    const prediction *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->label > y->label) - (x->label < y->label);
}

/* Labels with their scores, best first. */
static qn_status write_prediction(qn_call *c, const classify_call *k, size_t input,
                                  int64_t top_k, qn_error *err)
{
    uint32_t labels = k->info->labels;
    prediction *p = qn_arena_array(c->arena, labels, sizeof *p);
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the labels");
    for (uint32_t i = 0; i < labels; i++)
        p[i] = (prediction){i, k->scores[input * labels + i]};
    qsort(p, labels, sizeof *p, by_score);
    qn_json_begin_array(&c->w);
    for (uint32_t i = 0; i < labels && (top_k == 0 || i < top_k); i++) {
        qn_json_begin_object(&c->w);
        qn_json_key(&c->w, "score");
        qn_json_float(&c->w, p[i].score);
        qn_json_member_str(&c->w, "label", k->info->label_names[p[i].label]);
        qn_json_end_object(&c->w);
    }
    qn_json_end_array(&c->w);
    return QN_OK;
}

static void write_headers(qn_call *c, const classify_call *k)
{
    quern_text *texts = qn_arena_array(c->arena, 2 * k->count, sizeof *texts);
    if (texts == NULL) return;
    for (size_t i = 0; i < k->count; i++) {
        texts[2 * i] = (quern_text){k->inputs[i].query.p, k->inputs[i].query.n};
        texts[2 * i + 1] = (quern_text){k->inputs[i].text.p, k->inputs[i].text.n};
    }
    qn_tei_compute_headers(c, k->tokens, texts, 2 * k->count);
}

qn_status qn_tei_predict(qn_call *c, qn_error *err)
{
    qn_slice direction = {"", 0};
    classify_call k = {.function = LABEL_AUTO};
    const qn_json *body = NULL, *inputs = NULL, *parameters = NULL;
    bool truncate = true, raw = false, batch = false;
    int64_t top_k = 0;
    const qn_member members[] = {
        {"inputs", QN_MEMBER_ANY, &inputs, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &direction, 0, 0},
        {"raw_scores", QN_MEMBER_BOOL, &raw, 0, 0},
        {"parameters", QN_MEMBER_ANY, &parameters, 0, 0},
        {"model", QN_MEMBER_STRING, &k.r.model, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(qn_tei_direction(direction, &k.r.keep_ends, err));
    if (raw) k.function = LABEL_NONE;
    QN_TRY(read_parameters(c, parameters, &k.function, &top_k, err));
    QN_TRY(read_inputs(c, inputs, &k, &batch, err));
    k.r.refuse_long = !truncate;
    QN_TRY(classify(c, &k, err));
    write_headers(c, &k);
    qn_call_json(c, 200);
    if (batch) qn_json_begin_array(&c->w);
    for (size_t i = 0; i < k.count; i++) QN_TRY(write_prediction(c, &k, i, top_k, err));
    if (batch) qn_json_end_array(&c->w);
    return QN_OK;
}

/* ---- vLLM --------------------------------------------------------------------------- */

static qn_status read_texts(qn_call *c, const qn_json *input, classify_call *k,
                            qn_error *err)
{
    quern_text *texts = NULL;
    QN_TRY(qn_inference_texts(c, input, "input", QN_LIMIT_RERANK_DOCUMENTS, true,
                              &texts, &k->count, err));
    QN_TRY(new_inputs(c, k, "input", err));
    for (size_t i = 0; i < k->count; i++) {
        k->single[i] = true;
        k->inputs[i] = (qn_text_pair){{"", 0}, {texts[i].text, texts[i].size}};
    }
    return QN_OK;
}

static void write_class(qn_call *c, const classify_call *k, size_t input)
{
    qn_json_writer *w = &c->w;
    uint32_t labels = k->info->labels, best = 0;
    const float *scores = k->scores + input * labels;
    for (uint32_t i = 1; i < labels; i++)
        if (scores[i] > scores[best]) best = i;
    qn_json_begin_object(w);
    qn_json_member_int(w, "index", (int64_t)input);
    qn_json_member_str(w, "label", k->info->label_names[best]);
    qn_json_key(w, "probs");
    qn_inference_write_vector(c, scores, labels);
    qn_json_member_int(w, "num_classes", labels);
    qn_json_end_object(w);
}

qn_status qn_vllm_classify(qn_call *c, qn_error *err)
{
    classify_call k = {.function = LABEL_AUTO};
    const qn_json *body = NULL, *input = NULL;
    int64_t cut_tokens = 0;
    bool activation = true;
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &k.r.model, 0, 0},
        {"input", QN_MEMBER_ANY, &input, 0, 0},
        {"use_activation", QN_MEMBER_BOOL, &activation, 0, 0},
        {"activation", QN_MEMBER_BOOL, &activation, 0, 0},
        {"truncate_prompt_tokens", QN_MEMBER_INT, &cut_tokens, -1, 1 << 30},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"user", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(read_texts(c, input, &k, err));
    k.r.tokens_max = cut_tokens > 0 ? (uint32_t)cut_tokens : 0;
    if (!activation) k.function = LABEL_NONE;
    QN_TRY(classify(c, &k, err));
    qn_vllm_begin_list(c, "classify-", k.model);
    for (size_t i = 0; i < k.count; i++) write_class(c, &k, i);
    qn_vllm_end_list(c, k.tokens);
    return QN_OK;
}
