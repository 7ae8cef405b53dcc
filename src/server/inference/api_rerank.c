/* SPDX-License-Identifier: Apache-2.0 */
/* Reranking of documents: Cohere, Jina, Voyage, vLLM, infinity, llama.cpp.
 *
 * /v1/rerank, and /rerank with documents, serve several: one reply has what each of them
 * reads (`results` and `meta` of Cohere, `results`, `model` and `usage` of Jina, vLLM and
 * infinity, `data` of Voyage), an error has `message` and `detail`. /v2/rerank is Cohere's
 * with `model` required and the reply that its version 2 has; what only version 1 had is
 * taken there too, since clients go on to send it. Where they differ, the members of the
 * request decide:
 *
 *     return_documents absent   documents come back for a model called jina..., and for
 *                               a request with a member of vLLM alone
 *     raw_scores                infinity: its `object`, documents as bare strings; true:
 *                               logits, and use_activation false (vLLM) as well
 *     truncation                Voyage: an unknown model is 400; false: a pair too long is
 *                               an error
 *
 * /reranking and /v1/reranking are llama.cpp's, whose scores are logits; with `input` they
 * are Mixedbread's. */
#include "server/inference/api_tei.h"

#include "server/handlers.h"
#include "server/server_internal.h"

#include <inttypes.h>
#include <stdio.h>

void qn_cohere_error(qn_call *c, const qn_error *err)
{
    qn_call_json(c, qn_status_describe(err->code)->http_status);
    qn_json_begin_object(&c->w);
    const char *text = qn_call_error_text(c, err);
    qn_json_member_str(&c->w, "message", text);
    qn_json_member_str(&c->w, "detail", text); /* Jina, Voyage, infinity */
    qn_json_end_object(&c->w);
}

/* ---- requests ----------------------------------------------------------------------- */

typedef struct rerank_call {
    qn_rank_request r;
    const qn_json *documents, *fields;
    const qn_json **by_index; /* of return_documents */
    quern_text *texts;
    int64_t top_n, doc_tokens, query_tokens, cut_tokens, passages;
    bool return_documents, raw, truncation, activation;
    bool infinity, voyage; /* whose members it has */
} rerank_call;

static const rerank_call call_init = {
    .r = {.model = {"", 0}},
    .truncation = true,
    .activation = true,
};

enum { CAP_MAX = 1 << 30 };

/* Absent and false are not the same. */
static bool was_given(const qn_json *body, const char *name)
{
    const qn_json *v = qn_json_get(body, name);
    return v != NULL && v->kind != QN_JSON_NULL;
}

static bool documents_unasked(const qn_json *body, qn_slice model)
{
    static const char *const of_vllm[] = {"truncate_prompt_tokens", "use_activation",
                                          "activation", "mm_processor_kwargs"};
    if (model.n >= 4 && qn_slice_eq_nocase((qn_slice){model.p, 4}, "jina")) return true;
    for (size_t i = 0; i < sizeof of_vllm / sizeof *of_vllm; i++)
        if (was_given(body, of_vllm[i])) return true;
    return false;
}

static qn_status read_any(qn_call *c, rerank_call *r, qn_error *err)
{
    const qn_json *body = NULL;
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &r->r.model, 0, 0},
        {"query", QN_MEMBER_STRING, &r->r.query, 0, 0},
        {"documents", QN_MEMBER_ANY, &r->documents, 0, 0},
        {"top_n", QN_MEMBER_INT, &r->top_n, 0, INT64_MAX}, /* 0 of vLLM: all */
        {"top_k", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"truncation", QN_MEMBER_BOOL, &r->truncation, 0, 0},
        {"raw_scores", QN_MEMBER_BOOL, &r->raw, 0, 0},
        {"rank_fields", QN_MEMBER_ANY, &r->fields, 0, 0},
        {"max_chunks_per_doc", QN_MEMBER_INT, &r->passages, 0, CAP_MAX},
        {"max_tokens_per_doc", QN_MEMBER_INT, &r->doc_tokens, 0, CAP_MAX},
        {"max_tokens_per_query", QN_MEMBER_INT, &r->query_tokens, 0, CAP_MAX},
        {"truncate_prompt_tokens", QN_MEMBER_INT, &r->cut_tokens, -1, CAP_MAX},
        {"use_activation", QN_MEMBER_BOOL, &r->activation, 0, 0},
        {"activation", QN_MEMBER_BOOL, &r->activation, 0, 0},
        {"mm_processor_kwargs", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"user", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"instruct", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    *r = call_init;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (!was_given(body, "return_documents"))
        r->return_documents = documents_unasked(body, r->r.model);
    r->infinity = was_given(body, "raw_scores");
    r->voyage = was_given(body, "truncation");
    return QN_OK;
}

static qn_status read_v2(qn_call *c, rerank_call *r, qn_error *err)
{
    const qn_json *body = NULL;
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &r->r.model, 0, 0},
        {"query", QN_MEMBER_STRING, &r->r.query, 0, 0},
        {"documents", QN_MEMBER_ANY, &r->documents, 0, 0},
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"max_tokens_per_doc", QN_MEMBER_INT, &r->doc_tokens, 1, CAP_MAX},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        /* of version 1 */
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"rank_fields", QN_MEMBER_ANY, &r->fields, 0, 0},
        {"max_chunks_per_doc", QN_MEMBER_INT, &r->passages, 0, CAP_MAX},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    *r = call_init;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (r->r.model.n == 0) return qn_fail(err, QN_EINVAL, "[model] is required");
    return QN_OK;
}

static qn_status index_documents(qn_call *c, rerank_call *r, qn_error *err)
{
    r->by_index = qn_arena_array(c->arena, r->r.count, sizeof *r->by_index);
    if (r->by_index == NULL) return qn_fail(err, QN_ENOMEM, "no memory for documents");
    size_t i = 0;
    for (const qn_json *v = r->documents->first; v != NULL; v = v->next)
        r->by_index[i++] = v;
    return QN_OK;
}

static qn_status rank_documents(qn_call *c, rerank_call *r, qn_ranking *ranking,
                                qn_error *err)
{
    if (r->r.query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    QN_TRY(qn_inference_documents(c, r->documents, r->fields, &r->texts, &r->r.count,
                                  err));
    r->r.texts = r->texts;
    r->r.document_tokens_max = (uint32_t)r->doc_tokens;
    r->r.query_tokens_max = (uint32_t)r->query_tokens;
    r->r.tokens_max = r->cut_tokens > 0 ? (uint32_t)r->cut_tokens : 0;
    r->r.refuse_long = !r->truncation;
    if (r->passages > 0) { /* of what the model has room for beside the query */
        r->r.chunking = "token";
        r->r.passages_max = (uint32_t)r->passages;
    }
    r->raw |= !r->activation;
    if (r->return_documents) QN_TRY(index_documents(c, r, err));
    qn_status st = qn_inference_rerank(c, &r->r, ranking, err);
    return st == QN_ENOMODEL && r->voyage ? QN_EINVAL : st;
}

/* ---- replies ------------------------------------------------------------------------ */

/* Objects come back as they came; a string is {"text": ...}, or bare: a string. */
static void write_document(qn_json_writer *w, const char *key, const qn_json *document,
                           bool bare)
{
    qn_json_key(w, key);
    if (document->kind != QN_JSON_STRING) {
        qn_json_raw(w, document->raw);
    } else if (bare) {
        qn_json_string(w, document->string);
    } else {
        qn_json_begin_object(w);
        qn_json_member_slice(w, "text", document->string);
        qn_json_end_object(w);
    }
}

static void write_results(qn_call *c, const char *key, const rerank_call *r,
                          const qn_ranking *ranking)
{
    qn_json_writer *w = &c->w;
    bool bare = r->infinity || strcmp(key, "data") == 0;
    qn_json_key(w, key);
    qn_json_begin_array(w);
    for (size_t i = 0; i < ranking->count; i++) {
        const qn_ranked *item = &ranking->items[i];
        if (r->top_n > 0 && i >= (size_t)r->top_n) break;
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)item->index);
        qn_json_key(w, "relevance_score");
        qn_json_float(w, r->raw ? item->logit : item->score);
        if (r->return_documents)
            write_document(w, "document", r->by_index[item->index], bare);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

/* Cohere's unit: a query with up to 100 documents; one of over 500 tokens, the query's
 * included, counts as so many documents of 500. */
static int64_t search_units(const qn_ranking *ranking)
{
    size_t documents = ranking->unscored;
    for (size_t i = 0; i < ranking->count; i++)
        documents += (ranking->items[i].tokens + 499) / 500;
    return (int64_t)(documents + 99) / 100;
}

static void write_meta(qn_call *c, const char *version, const rerank_call *r,
                       const qn_ranking *ranking)
{
    qn_json_writer *w = &c->w;
    qn_json_key(w, "meta");
    qn_json_begin_object(w);
    qn_json_key(w, "api_version");
    qn_json_begin_object(w);
    qn_json_member_str(w, "version", version);
    qn_json_end_object(w);
    qn_json_key(w, "billed_units");
    qn_json_begin_object(w);
    qn_json_member_int(w, "search_units", search_units(ranking));
    qn_json_end_object(w);
    if (ranking->unscored > 0) {
        char text[128];
        (void)snprintf(
            text, sizeof text,
            "time was up: %zu of %zu documents are scored, the others left out",
            ranking->count, r->r.count);
        qn_json_key(w, "warnings");
        qn_json_begin_array(w);
        qn_json_str(w, text);
        qn_json_end_array(w);
    }
    qn_json_end_object(w);
}

qn_status qn_rerank_any(qn_call *c, qn_error *err)
{
    rerank_call r;
    qn_ranking ranking;
    c->api = QN_API_COHERE;
    QN_TRY(read_any(c, &r, err));
    QN_TRY(rank_documents(c, &r, &ranking, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_inference_write_id(c, "");
    qn_json_member_str(w, "object", r.infinity ? "rerank" : "list");
    qn_json_member_str(w, "model", ranking.model);
    qn_json_member_int(w, "created", qn_clock_wall_ms() / 1000);
    write_results(c, "results", &r, &ranking);
    write_results(c, "data", &r, &ranking);
    qn_json_key(w, "usage");
    qn_inference_write_usage(c, ranking.tokens, false);
    write_meta(c, "1", &r, &ranking);
    qn_json_end_object(w);
    return QN_OK;
}

qn_status qn_cohere_rerank_v2(qn_call *c, qn_error *err)
{
    rerank_call r;
    qn_ranking ranking;
    QN_TRY(read_v2(c, &r, err));
    QN_TRY(rank_documents(c, &r, &ranking, err));
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_inference_write_id(c, "");
    write_results(c, "results", &r, &ranking);
    write_meta(c, "2", &r, &ranking);
    qn_json_end_object(&c->w);
    return QN_OK;
}

/* ---- Mixedbread --------------------------------------------------------------------- */

static qn_status read_mixedbread(qn_call *c, rerank_call *r, qn_error *err)
{
    const qn_json *body = NULL;
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &r->r.model, 0, 0},
        {"query", QN_MEMBER_STRING, &r->r.query, 0, 0},
        {"input", QN_MEMBER_ANY, &r->documents, 0, 0},
        {"top_k", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_input", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"rank_fields", QN_MEMBER_ANY, &r->fields, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    *r = call_init;
    QN_TRY(qn_call_object(c, &body, err));
    return qn_call_members(body, members, c->request->body, err);
}

static qn_status mixedbread_rerank(qn_call *c, qn_error *err)
{
    rerank_call r;
    qn_ranking ranking;
    QN_TRY(read_mixedbread(c, &r, err));
    QN_TRY(rank_documents(c, &r, &ranking, err));
    size_t shown = ranking.count;
    if (r.top_n > 0 && (size_t)r.top_n < shown) shown = (size_t)r.top_n;
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "usage");
    qn_inference_write_usage(c, ranking.tokens, true);
    qn_json_member_str(w, "model", ranking.model);
    qn_json_key(w, "data");
    qn_json_begin_array(w);
    for (size_t i = 0; i < shown; i++) {
        const qn_ranked *item = &ranking.items[i];
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)item->index);
        qn_json_key(w, "score");
        qn_json_float(w, item->score);
        if (r.return_documents)
            write_document(w, "input", r.by_index[item->index], true);
        qn_json_member_str(w, "object", "text_document");
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_member_str(w, "object", "list");
    qn_json_member_int(w, "top_k", (int64_t)shown);
    qn_json_member_bool(w, "return_input", r.return_documents);
    qn_json_end_object(w);
    return QN_OK;
}

/* ---- llama.cpp ---------------------------------------------------------------------- */

qn_status qn_llama_rerank(qn_call *c, qn_error *err)
{
    rerank_call r;
    qn_ranking ranking;
    const qn_json *body = NULL;
    QN_TRY(qn_call_object(c, &body, err));
    if (qn_json_get(body, "texts") != NULL) return qn_tei_rank_texts(c, true, err);
    if (qn_json_get(body, "input") != NULL) return mixedbread_rerank(c, err);
    QN_TRY(read_any(c, &r, err));
    r.raw = true;
    QN_TRY(rank_documents(c, &r, &ranking, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "model", ranking.model);
    qn_json_member_str(w, "object", "list");
    qn_json_key(w, "usage");
    qn_inference_write_usage(c, ranking.tokens, false);
    write_results(c, "results", &r, &ranking);
    qn_json_end_object(w);
    return QN_OK;
}
