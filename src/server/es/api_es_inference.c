/* SPDX-License-Identifier: Apache-2.0 */
/* POST _inference/rerank/{id}, .../text_embedding/{id} and .../sparse_embedding/{id}; the id
 * is an endpoint's (api_es_endpoints.c) or a model's name. Scores are the model's own numbers, without
 * sigmoid. */
#include "server/handlers.h"

#include "server/es/api_es_endpoints.h"
#include "server/inference/inference.h"
#include "server/server_internal.h"

typedef struct inference_call {
    qn_es_endpoint endpoint;
    qn_slice query, input_type;
    const qn_json *input, *settings;
    int64_t top_n, timeout_ms; /* timeout_ms 0: none asked for */
    bool return_documents;
    quern_text *texts;
    size_t count;
} inference_call;

static qn_status unknown_endpoint(qn_call *c, qn_status st, qn_error *err)
{
    if (st != QN_ENOMODEL) return st;
    return qn_fail(err, QN_ENOMODEL, "Inference endpoint not found [%s]",
                   qn_call_arg(c, "id"));
}

static qn_status not_for_task(const char *field, const char *task, qn_error *err)
{
    return qn_fail(err, QN_EINVAL,
                   "Validation Failed: 1: Field [%s] cannot be specified for task type "
                   "[%s];",
                   field, task);
}

/* The parameter, else the member. */
static qn_status read_timeout(const qn_call *c, qn_slice member, int64_t *ms,
                              qn_error *err)
{
    const qn_slice *param = qn_call_param(c, "timeout");
    qn_slice s = param != NULL ? *param : member;
    if (s.n == 0 || qn_slice_eq_str(s, "-1")) return QN_OK;
    if (!qn_slice_to_ms(s, ms) || *ms < 1)
        return qn_fail(err, QN_EINVAL,
                       "failed to parse setting [timeout] with value [%.*s] as a time "
                       "value: it must be like 500ms or 10s",
                       s.n > 40 ? 40 : (int)s.n, s.p);
    return QN_OK;
}

/* Members of the body that another task has. */
static qn_status check_fields(const qn_json *body, const char *task, qn_error *err)
{
    static const char *const of_rerank[] = {"query", "top_n", "return_documents"};
    if (strcmp(task, "rerank") == 0)
        return qn_json_get(body, "input_type") == NULL
                   ? QN_OK
                   : not_for_task("input_type", task, err);
    for (size_t i = 0; i < sizeof of_rerank / sizeof *of_rerank; i++)
        if (qn_json_get(body, of_rerank[i]) != NULL)
            return not_for_task(of_rerank[i], task, err);
    return QN_OK;
}

/* The body wins over task_settings, and they over the endpoint's. */
static qn_status read_settings(qn_call *c, const char *task, inference_call *r,
                               qn_error *err)
{
    const qn_json *body = NULL;
    qn_slice text = c->request->body;
    *r = (inference_call){.top_n = 0};
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(check_fields(body, task, err));
    QN_TRY(qn_es_endpoint_use(c, task, &r->endpoint, err));
    r->return_documents = r->endpoint.return_documents;
    const qn_json *settings = qn_json_get(body, "task_settings");
    const qn_member inner[] = {
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    if (settings != NULL && settings->kind == QN_JSON_OBJECT)
        QN_TRY(qn_call_members(settings, inner, text, err));
    qn_slice timeout = {0};
    const qn_member members[] = {
        {"query", QN_MEMBER_STRING, &r->query, 0, 0},
        {"input", QN_MEMBER_ANY, &r->input, 0, 0},
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"task_settings", QN_MEMBER_ANY, &r->settings, 0, 0},
        {"input_type", QN_MEMBER_STRING, &r->input_type, 0, 0},
        {"timeout", QN_MEMBER_STRING, &timeout, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_members(body, members, text, err));
    QN_TRY(read_timeout(c, timeout, &r->timeout_ms, err));
    if (r->input == NULL)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: Field [input] cannot be null;");
    if (r->input->kind == QN_JSON_ARRAY && r->input->count == 0)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: Field [input] cannot be an empty array;");
    return QN_OK;
}

qn_status qn_es_inference_rerank(qn_call *c, qn_error *err)
{
    inference_call r;
    qn_ranking ranking;
    QN_TRY(read_settings(c, "rerank", &r, err));
    if (r.query.n == 0)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: Field [query] cannot be %s for task type "
                       "[rerank];",
                       r.query.p == NULL ? "null" : "empty");
    QN_TRY(qn_inference_texts(c, r.input, "input", QN_LIMIT_RERANK_DOCUMENTS, true,
                              &r.texts, &r.count, err));
    const qn_rank_request request = {.model = r.endpoint.model,
                                     .query = r.query,
                                     .texts = r.texts,
                                     .count = r.count,
                                     .chunking = r.endpoint.chunking,
                                     .passages_max = r.endpoint.passages_max,
                                     .timeout_ms = r.timeout_ms,
                                     .whole = true};
    QN_TRY(unknown_endpoint(c, qn_inference_rerank(c, &request, &ranking, err), err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "rerank");
    qn_json_begin_array(w);
    for (size_t i = 0; i < ranking.count; i++) {
        if (r.top_n > 0 && i >= (size_t)r.top_n) break;
        const quern_text *text = &r.texts[ranking.items[i].index];
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)ranking.items[i].index);
        qn_json_key(w, "relevance_score");
        qn_json_float(w, ranking.items[i].logit);
        if (r.return_documents)
            qn_json_member_slice(w, "text", (qn_slice){text->text, text->size});
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
    return QN_OK;
}

/* What `input_type` says of the texts: the prompt that the model has for it. */
static qn_status role_of(qn_slice input_type, qn_slice *role, qn_error *err)
{
    static const struct {
        const char *name, *role;
    } rows[] = {
        {"search", "query"},          {"ingest", "document"},
        {"internal_search", "query"}, {"internal_ingest", "document"},
        {"classification", ""},       {"clustering", ""},
        {"unspecified", ""},
    };
    if (input_type.n == 0) return QN_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (qn_slice_eq_nocase(input_type, rows[i].name)) {
            *role = qn_slice_of(rows[i].role);
            return QN_OK;
        }
    return qn_fail(err, QN_EINVAL,
                   "[input_type] must be ingest, search, classification or clustering, "
                   "not [%.*s]",
                   input_type.n > 40 ? 40 : (int)input_type.n, input_type.p);
}

static qn_status read_embedding(qn_call *c, const char *task, inference_call *r,
                                qn_embed_request *request, qn_error *err)
{
    QN_TRY(read_settings(c, task, r, err));
    QN_TRY(qn_inference_texts(c, r->input, "input", QN_LIMIT_EMBED_TEXTS, true,
                              &r->texts, &r->count, err));
    *request = (qn_embed_request){.model = r->endpoint.model,
                                  .timeout_ms = r->timeout_ms,
                                  .inputs = {.texts = r->texts, .count = r->count}};
    return role_of(r->input_type, &request->role, err);
}

qn_status qn_es_inference_embed(qn_call *c, qn_error *err)
{
    inference_call r;
    qn_embed_request request;
    qn_vectors v;
    QN_TRY(read_embedding(c, "text_embedding", &r, &request, err));
    QN_TRY(unknown_endpoint(c, qn_inference_embed(c, &request, &v, err), err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "text_embedding");
    qn_json_begin_array(w);
    for (size_t i = 0; i < v.count; i++) {
        qn_json_begin_object(w);
        qn_json_key(w, "embedding");
        qn_inference_write_vector(c, v.floats + i * v.dims, v.dims);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
    return QN_OK;
}

qn_status qn_es_inference_sparse(qn_call *c, qn_error *err)
{
    inference_call r;
    qn_embed_request request;
    qn_sparse_texts sparse;
    QN_TRY(read_embedding(c, "sparse_embedding", &r, &request, err));
    QN_TRY(unknown_endpoint(c, qn_inference_sparse(c, &request, &sparse, err), err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "sparse_embedding");
    qn_json_begin_array(w);
    for (size_t i = 0; i < sparse.count; i++) {
        const qn_sparse_text *text = &sparse.texts[i];
        qn_json_begin_object(w);
        qn_json_member_bool(w, "is_truncated", text->truncated);
        qn_json_key(w, "embedding");
        qn_json_begin_object(w);
        for (size_t k = 0; k < text->count; k++) {
            const quern_term *term = &text->terms[k];
            qn_json_key_slice(w, (qn_slice){term->token, term->token_size});
            qn_json_float(w, term->weight);
        }
        qn_json_end_object(w);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
    return QN_OK;
}
