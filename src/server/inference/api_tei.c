/* SPDX-License-Identifier: Apache-2.0 */
/* The dialect of text-embeddings-inference. A body may name a `model` and ask for the
 * `top_n` best, which the original has not, but clients of several servers send. Tokens are in api_tei_tokens.c. */
#include "server/inference/api_tei.h"

#include "server/handlers.h"
#include "server/server_internal.h"

#include <math.h>
#include <stdio.h>

/* ---- errors ------------------------------------------------------------------------- */

void qn_tei_error(qn_call *c, const qn_error *err)
{
    int status = qn_status_describe(err->code)->http_status;
    const char *type = "Validation";
    switch (err->code) {
    case QN_EROUTE:
    case QN_EMETHOD:
    case QN_EBODY:
    case QN_EMEDIA:
        break;
    case QN_EBUSY:
    case QN_ENOMEM:
    case QN_ETIMEOUT:
        status = 429;
        type = "Overloaded";
        break;
    case QN_EEMPTY:
        type = "Empty";
        break;
    case QN_EUTF8:
        status = 422;
        type = "Tokenizer";
        break;
    case QN_EMODELTASK: /* the model is there, but of another kind */
        status = 424;
        type = "Backend";
        break;
    default:
        type = status < 500 && status != 404 ? "Validation" : "Backend";
        status = status < 500 && status != 404 ? 422 : 424;
    }
    qn_call_json(c, status);
    qn_json_begin_object(&c->w);
    qn_json_member_str(&c->w, "error", qn_call_error_text(c, err));
    qn_json_member_str(&c->w, "error_type", type);
    qn_json_end_object(&c->w);
}

/* ---- what requests share ------------------------------------------------------------ */

static size_t count_characters(const quern_text *texts, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < texts[i].size; k++)
            n += ((unsigned char)texts[i].text[k] & 0xC0) != 0x80;
    return n;
}

/* The headers that its replies have. */
static void add_compute_headers(qn_call *c, uint64_t tokens, size_t characters)
{
    int64_t ms = (qn_clock_mono_ns() - c->request->arrived_ns) / 1000000;
    const char *took = qn_arena_printf(c->arena, "%lld", (long long)ms);
    const char *read = qn_arena_printf(c->arena, "%llu", (unsigned long long)tokens);
    const char *chars = qn_arena_printf(c->arena, "%zu", characters);
    if (took == NULL || read == NULL || chars == NULL) return;
    qn_http_add_header(c->out, "x-compute-type", "cpu");
    qn_http_add_header(c->out, "x-compute-time", took);
    qn_http_add_header(c->out, "x-compute-characters", chars);
    qn_http_add_header(c->out, "x-compute-tokens", read);
    qn_http_add_header(c->out, "x-total-time", took);
}

void qn_tei_compute_headers(qn_call *c, uint64_t tokens, const quern_text *texts,
                            size_t count)
{
    add_compute_headers(c, tokens, count_characters(texts, count));
}

qn_status qn_tei_direction(qn_slice direction, bool *left, qn_error *err)
{
    *left = qn_slice_eq_nocase(direction, "left");
    if (*left || direction.n == 0 || qn_slice_eq_nocase(direction, "right"))
        return QN_OK;
    return qn_fail(err, QN_EINVAL, "[truncation_direction] must be Right or Left");
}

/* ---- /rerank ------------------------------------------------------------------------ */

static qn_status write_ranks(qn_call *c, const quern_text *texts, const qn_ranking *r,
                             bool raw, bool return_text)
{
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < r->count; i++) {
        const qn_ranked *item = &r->items[i];
        const quern_text *text = &texts[item->index];
        qn_json_begin_object(&c->w);
        qn_json_member_int(&c->w, "index", (int64_t)item->index);
        if (return_text)
            qn_json_member_slice(&c->w, "text", (qn_slice){text->text, text->size});
        qn_json_key(&c->w, "score");
        qn_json_float(&c->w, raw ? item->logit : item->score);
        qn_json_end_object(&c->w);
    }
    qn_json_end_array(&c->w);
    return QN_OK;
}

qn_status qn_tei_rank_texts(qn_call *c, bool raw, qn_error *err)
{
    qn_slice direction = {"", 0};
    qn_rank_request r = {.model = {"", 0}, .query = {NULL, 0}, .whole = true};
    const qn_json *body = NULL, *list = NULL;
    bool truncate = true, return_text = false;
    int64_t top_n = INT64_MAX;
    const qn_member members[] = {
        {"query", QN_MEMBER_STRING, &r.query, 0, 0},
        {"texts", QN_MEMBER_ANY, &list, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &direction, 0, 0},
        {"raw_scores", QN_MEMBER_BOOL, &raw, 0, 0},
        {"return_text", QN_MEMBER_BOOL, &return_text, 0, 0},
        {"model", QN_MEMBER_STRING, &r.model, 0, 0},
        {"top_n", QN_MEMBER_INT, &top_n, 1, INT64_MAX},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    quern_text *texts = NULL;
    qn_ranking ranking;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (r.query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    QN_TRY(qn_tei_direction(direction, &r.keep_ends, err));
    QN_TRY(qn_inference_texts(c, list, "texts", QN_LIMIT_RERANK_DOCUMENTS, false,
                              &texts, &r.count, err));
    r.texts = texts;
    r.refuse_long = !truncate;
    QN_TRY(qn_inference_rerank(c, &r, &ranking, err));
    qn_tei_compute_headers(c, ranking.tokens, texts, r.count);
    if ((uint64_t)top_n < ranking.count) ranking.count = (size_t)top_n;
    return write_ranks(c, texts, &ranking, raw, return_text);
}

/* Jina's, vLLM's and infinity's requests have documents here, no texts. */
qn_status qn_tei_rerank(qn_call *c, qn_error *err)
{
    const qn_json *body = NULL;
    QN_TRY(qn_call_object(c, &body, err));
    if (qn_json_get(body, "documents") != NULL) return qn_rerank_any(c, err);
    return qn_tei_rank_texts(c, false, err);
}

/* ---- /embed ------------------------------------------------------------------------- */

typedef struct embed_call {
    qn_embed_request r;
    const qn_json *inputs;
    qn_slice direction, prompt;
    int64_t dims;
    bool truncate, normalize;
} embed_call;

static qn_status read_embed_parameters(qn_call *c, embed_call *e,
                                       const qn_json *parameters, qn_error *err)
{
    const qn_member members[] = {
        {"truncate", QN_MEMBER_BOOL, &e->truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &e->direction, 0, 0},
        {"prompt_name", QN_MEMBER_STRING, &e->prompt, 0, 0},
        {"normalize", QN_MEMBER_BOOL, &e->normalize, 0, 0},
        {"dimensions", QN_MEMBER_INT, &e->dims, 1, 65536},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    return qn_call_members(parameters, members, c->request->body, err);
}

static qn_status read_embed(qn_call *c, embed_call *e, qn_error *err)
{
    const qn_json *body = NULL, *parameters = NULL;
    *e = (embed_call){.truncate = true, .normalize = true};
    const qn_member members[] = {
        {"truncate", QN_MEMBER_BOOL, &e->truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &e->direction, 0, 0},
        {"prompt_name", QN_MEMBER_STRING, &e->prompt, 0, 0},
        {"normalize", QN_MEMBER_BOOL, &e->normalize, 0, 0},
        {"dimensions", QN_MEMBER_INT, &e->dims, 1, 65536},
        {"inputs", QN_MEMBER_ANY, &e->inputs, 0, 0},
        {"parameters", QN_MEMBER_ANY, &parameters, 0, 0}, /* of Hugging Face's client */
        {"model", QN_MEMBER_STRING, &e->r.model, 0, 0},
        {"input_type", QN_MEMBER_STRING, &e->r.role, 0, 0}, /* not of the original */
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (parameters != NULL) QN_TRY(read_embed_parameters(c, e, parameters, err));
    e->r.refuse_long = !e->truncate;
    e->r.length = e->normalize ? QUERN_LENGTH_ONE : QUERN_LENGTH_AS_POOLED;
    e->r.dims = (uint32_t)e->dims;
    e->r.prompt_name = e->prompt;
    return qn_inference_inputs(c, e->inputs, "inputs", &e->r.inputs, err);
}

qn_status qn_tei_embed(qn_call *c, qn_error *err)
{
    embed_call e;
    qn_vectors v;
    QN_TRY(read_embed(c, &e, err));
    QN_TRY(qn_tei_direction(e.direction, &e.r.keep_ends, err));
    QN_TRY(qn_inference_embed(c, &e.r, &v, err));
    qn_tei_compute_headers(c, v.tokens, e.r.inputs.texts, v.count);
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < v.count; i++)
        qn_inference_write_vector(c, v.floats + i * v.dims, v.dims);
    qn_json_end_array(&c->w);
    return QN_OK;
}

/* ---- /similarity -------------------------------------------------------------------- */

static float cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return (float)(ab / fmax(sqrt(aa * bb), 1e-24));
}

static qn_status read_similarity(qn_call *c, qn_embed_request *r, qn_error *err)
{
    const qn_json *body = NULL, *inputs = NULL, *parameters = NULL, *list = NULL;
    qn_slice text = c->request->body, source = {NULL, 0}, direction = {"", 0};
    bool truncate = true;
    const qn_member outer[] = {{"inputs", QN_MEMBER_ANY, &inputs, 0, 0},
                               {"parameters", QN_MEMBER_ANY, &parameters, 0, 0},
                               {"model", QN_MEMBER_STRING, &r->model, 0, 0},
                               {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    const qn_member inner[] = {{"source_sentence", QN_MEMBER_STRING, &source, 0, 0},
                               {"sentences", QN_MEMBER_ANY, &list, 0, 0},
                               {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    const qn_member of_parameters[] = {
        {"truncate", QN_MEMBER_BOOL, &truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &direction, 0, 0},
        {"prompt_name", QN_MEMBER_STRING, &r->prompt_name, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, outer, text, err));
    if (inputs == NULL || inputs->kind != QN_JSON_OBJECT)
        return qn_fail(
            err, QN_EINVAL,
            "[inputs] must be {\"source_sentence\":...,\"sentences\":[...]}");
    QN_TRY(qn_call_members(inputs, inner, text, err));
    if (parameters != NULL)
        QN_TRY(qn_call_members(parameters, of_parameters, text, err));
    QN_TRY(qn_tei_direction(direction, &r->keep_ends, err));
    if (source.p == NULL)
        return qn_fail(err, QN_EINVAL, "[source_sentence] is required");
    if (source.n > QN_LIMIT_RERANK_TEXT_BYTES)
        return qn_fail(err, QN_ELIMIT, "[source_sentence] is longer than %d bytes",
                       QN_LIMIT_RERANK_TEXT_BYTES);
    quern_text *sentences = NULL, *all = NULL;
    size_t n = 0;
    QN_TRY(qn_inference_texts(c, list, "sentences", QN_LIMIT_EMBED_TEXTS - 1, false,
                              &sentences, &n, err));
    all = qn_arena_array(c->arena, n + 1, sizeof *all);
    if (all == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the texts");
    all[0] = (quern_text){source.p, source.n};
    memcpy(all + 1, sentences, n * sizeof *all);
    r->inputs = (qn_inputs){.texts = all, .count = n + 1};
    r->refuse_long = !truncate;
    return QN_OK;
}

qn_status qn_tei_similarity(qn_call *c, qn_error *err)
{
    qn_embed_request r = {.length = QUERN_LENGTH_ONE};
    qn_vectors v;
    QN_TRY(read_similarity(c, &r, err));
    QN_TRY(qn_inference_embed(c, &r, &v, err));
    add_compute_headers(c, v.tokens, count_characters(r.inputs.texts, v.count));
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 1; i < v.count; i++)
        qn_json_float(&c->w, cosine(v.floats, v.floats + i * v.dims, v.dims));
    qn_json_end_array(&c->w);
    return QN_OK;
}

/* ---- the address without a path ----------------------------------------------------- */

/* Hugging Face's client sends parameters when it asks for labels, and only then without
 * any of embedding in them. */
static bool asks_labels(const qn_json *body)
{
    const qn_json *parameters = qn_json_get(body, "parameters");
    if (parameters == NULL || parameters->kind != QN_JSON_OBJECT) return false;
    return parameters->count == 0 || qn_json_get(parameters, "top_k") != NULL ||
           qn_json_get(parameters, "function_to_apply") != NULL;
}

/* What a client means that was given the server's address alone is in the members. */
qn_status qn_tei_any(qn_call *c, qn_error *err)
{
    const qn_json *body = NULL;
    QN_TRY(qn_call_object(c, &body, err));
    const qn_json *inputs = qn_json_get(body, "inputs");
    if (qn_json_get(body, "texts") != NULL || qn_json_get(body, "documents") != NULL)
        return qn_tei_rerank(c, err);
    if (inputs == NULL)
        return qn_fail(err, QN_EINVAL,
                       "[inputs] to embed, or [query] and [texts] to rerank");
    if (inputs->kind == QN_JSON_OBJECT) return qn_tei_similarity(c, err);
    bool pairs = inputs->kind == QN_JSON_ARRAY && inputs->count > 0 &&
                 inputs->first->kind == QN_JSON_ARRAY && inputs->first->count > 0 &&
                 inputs->first->first->kind == QN_JSON_STRING;
    return pairs || asks_labels(body) ? qn_tei_predict(c, err) : qn_tei_embed(c, err);
}

/* ---- facts -------------------------------------------------------------------------- */

static void write_labels(qn_json_writer *w, const quern_model_info *info)
{
    qn_json_key(w, "id2label");
    qn_json_begin_object(w);
    for (uint32_t i = 0; i < info->labels; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", i);
        qn_json_member_str(w, number, info->label_names[i]);
    }
    qn_json_end_object(w);
    qn_json_key(w, "label2id");
    qn_json_begin_object(w);
    for (uint32_t i = 0; i < info->labels; i++)
        qn_json_member_int(w, info->label_names[i], i);
    qn_json_end_object(w);
}

static void write_model_type(qn_json_writer *w, const quern_model_info *info)
{
    bool pairs = strcmp(info->task, "rerank") == 0;
    qn_json_key(w, "model_type");
    qn_json_begin_object(w);
    qn_json_key(w, !pairs ? "embedding" : info->labels > 1 ? "classifier" : "reranker");
    qn_json_begin_object(w);
    if (pairs)
        write_labels(w, info);
    else
        qn_json_member_str(w, "pooling", info->pooling);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

qn_status qn_tei_info(qn_call *c, qn_error *err)
{
    quern_model_info info;
    const qn_server_options *o = &c->server->options;
    const qn_slice *asked = qn_call_param(c, "model");
    const char *model = NULL;
    QN_TRY(qn_server_model(c, asked == NULL ? (qn_slice){"", 0} : *asked,
                           o->default_reranker, &model, err));
    QN_TRY(quern_model_info_get(c->q, model, &info, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "model_id", info.name);
    qn_json_key(w, "model_sha");
    qn_json_null(w);
    qn_json_member_str(w, "model_dtype", info.dtype);
    qn_json_member_str(w, "served_model_name", info.name);
    write_model_type(w, &info);
    qn_json_member_int(w, "max_concurrent_requests", o->queue_max);
    qn_json_member_int(w, "max_input_length", info.max_tokens);
    qn_json_member_int(w, "max_batch_tokens", 256);
    qn_json_key(w, "max_batch_requests");
    qn_json_null(w);
    qn_json_member_int(w, "max_client_batch_size",
                       strcmp(info.task, "rerank") == 0 ? QN_LIMIT_RERANK_DOCUMENTS
                                                        : QN_LIMIT_EMBED_TEXTS);
    qn_json_member_bool(w, "auto_truncate", true);
    qn_json_member_int(w, "tokenization_workers", o->workers);
    qn_json_member_str(w, "version", quern_version());
    qn_json_key(w, "sha");
    qn_json_null(w);
    qn_json_key(w, "docker_label");
    qn_json_null(w);
    qn_json_end_object(w);
    return QN_OK;
}

/* TEI and vLLM answer nothing, llama.cpp and infinity these. */
qn_status qn_tei_health(qn_call *c, qn_error *err)
{
    (void)err;
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_str(&c->w, "status", "ok");
    qn_json_member_double(&c->w, "unix", (double)qn_clock_wall_ms() / 1000);
    qn_json_end_object(&c->w);
    return QN_OK;
}
