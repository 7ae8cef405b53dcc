/* SPDX-License-Identifier: Apache-2.0 */
/* Alibaba's reranking services: DashScope's text-rerank and AI Search's ranker. */
#include "server/handlers.h"

#include "server/inference.h"
#include "server/server_internal.h"

#include <inttypes.h>
#include <stdio.h>

static void write_request_id(qn_json_writer *w)
{
    char id[40];
    (void)snprintf(id, sizeof id, "%016" PRIX64 "%016" PRIX64, qn_clock_seed(),
                   qn_clock_seed());
    qn_json_member_str(w, "request_id", id);
}

void qn_dashscope_error(qn_call *c, const qn_error *err)
{
    int status = qn_status_describe(err->code)->http_status;
    const char *code = status == 404   ? "NotFound"
                       : status == 429 ? "Throttling"
                       : status < 500  ? "InvalidParameter"
                                       : "InternalError";
    qn_call_json(c, status);
    qn_json_begin_object(&c->w);
    write_request_id(&c->w);
    qn_json_member_str(&c->w, "code", code);
    qn_json_member_str(&c->w, "message", qn_call_error_text(c, err));
    qn_json_end_object(&c->w);
}

typedef struct text_rerank {
    qn_slice model, query;
    const qn_json *documents;
    int64_t top_n;
    bool return_documents;
} text_rerank;

/* {"model","input":{"query","documents"},"parameters":{...}}, or the same flat. */
static qn_status read_text_rerank(qn_call *c, text_rerank *r, qn_error *err)
{
    const qn_json *body = NULL, *input = NULL, *parameters = NULL;
    qn_slice text = c->request->body;
    const qn_member flat[] = {
        {"model", QN_MEMBER_STRING, &r->model, 0, 0},
        {"input", QN_MEMBER_ANY, &input, 0, 0},
        {"parameters", QN_MEMBER_ANY, &parameters, 0, 0},
        {"query", QN_MEMBER_STRING, &r->query, 0, 0},
        {"documents", QN_MEMBER_ANY, &r->documents, 0, 0},
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"instruct", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const qn_member of_input[] = {
        {"query", QN_MEMBER_STRING, &r->query, 0, 0},
        {"documents", QN_MEMBER_ANY, &r->documents, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const qn_member of_parameters[] = {
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"instruct", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, flat, text, err));
    if (input != NULL) QN_TRY(qn_call_members(input, of_input, text, err));
    if (parameters != NULL)
        QN_TRY(qn_call_members(parameters, of_parameters, text, err));
    if (r->query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    return QN_OK;
}

static void write_results(qn_call *c, const text_rerank *r, const quern_text *texts,
                          const qn_ranking *ranking)
{
    qn_json_writer *w = &c->w;
    qn_json_key(w, "results");
    qn_json_begin_array(w);
    for (size_t i = 0; i < ranking->count; i++) {
        const quern_text *text = &texts[ranking->items[i].index];
        if (r->top_n > 0 && i >= (size_t)r->top_n) break;
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)ranking->items[i].index);
        qn_json_key(w, "relevance_score");
        qn_json_float(w, ranking->items[i].score);
        if (r->return_documents) {
            qn_json_key(w, "document");
            qn_json_begin_object(w);
            qn_json_member_slice(w, "text", (qn_slice){text->text, text->size});
            qn_json_end_object(w);
        }
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

qn_status qn_dashscope_rerank(qn_call *c, qn_error *err)
{
    text_rerank r = {0};
    quern_text *texts = NULL;
    size_t count = 0;
    qn_ranking ranking;
    QN_TRY(read_text_rerank(c, &r, err));
    QN_TRY(qn_inference_texts(c, r.documents, "documents", QN_LIMIT_RERANK_DOCUMENTS,
                              false, &texts, &count, err));
    QN_TRY(qn_inference_rerank(c, r.model, r.query, texts, count, &ranking, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "output");
    qn_json_begin_object(w);
    write_results(c, &r, texts, &ranking);
    qn_json_end_object(w);
    qn_json_key(w, "usage");
    qn_json_begin_object(w);
    qn_json_member_int(w, "total_tokens", (int64_t)ranking.tokens);
    qn_json_member_int(w, "input_tokens", (int64_t)ranking.tokens);
    qn_json_end_object(w);
    write_request_id(w);
    qn_json_end_object(w);
    return QN_OK;
}

qn_status qn_aisearch_ranker(qn_call *c, qn_error *err)
{
    qn_slice query = {NULL, 0};
    const qn_json *body = NULL, *docs = NULL;
    const qn_member members[] = {{"query", QN_MEMBER_STRING, &query, 0, 0},
                                 {"docs", QN_MEMBER_ANY, &docs, 0, 0},
                                 {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    quern_text *texts = NULL;
    size_t count = 0;
    qn_ranking ranking;
    int64_t begin = qn_clock_mono_ns();
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    QN_TRY(qn_inference_texts(c, docs, "docs", QN_LIMIT_RERANK_DOCUMENTS, false, &texts,
                              &count, err));
    QN_TRY(qn_inference_rerank(c, qn_route_arg(&c->match, "service"), query, texts,
                               count, &ranking, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    write_request_id(w);
    qn_json_member_int(w, "latency", (qn_clock_mono_ns() - begin) / 1000000);
    qn_json_key(w, "usage");
    qn_json_begin_object(w);
    qn_json_member_int(w, "doc_count", (int64_t)count);
    qn_json_end_object(w);
    qn_json_key(w, "result");
    qn_json_begin_object(w);
    qn_json_key(w, "scores");
    qn_json_begin_array(w);
    for (size_t i = 0; i < ranking.count; i++) {
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)ranking.items[i].index);
        qn_json_key(w, "score");
        qn_json_float(w, ranking.items[i].score);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
    qn_json_end_object(w);
    return QN_OK;
}
