/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/rerank (Cohere v1, Jina, Voyage: one reply that is a superset of the three),
 * /v2/rerank (Cohere v2), /v1/embeddings (OpenAI). */
#include "server/handlers.h"

#include "server/inference.h"
#include "server/server_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- Cohere and its relatives ------------------------------------------------------------- */

void qn_cohere_error(qn_call *c, const qn_error *err)
{
    qn_call_json(c, qn_status_describe(err->code)->http_status);
    qn_json_begin_object(&c->w);
    const char *text = qn_call_error_text(c, err);
    qn_json_member_str(&c->w, "message", text);
    qn_json_member_str(&c->w, "detail", text); /* Jina, Voyage */
    qn_json_end_object(&c->w);
}

typedef struct rerank_call {
    qn_slice model, query;
    const qn_json *documents;
    int64_t top_n;
    bool return_documents, truncation;
    quern_text *texts;
    size_t count;
} rerank_call;

static qn_status read_v1(const qn_json *body, qn_slice text, rerank_call *r,
                         qn_error *err)
{
    const qn_json *fields = NULL;
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &r->model, 0, 0},
        {"query", QN_MEMBER_STRING, &r->query, 0, 0},
        {"documents", QN_MEMBER_ANY, &r->documents, 0, 0},
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"top_k", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"truncation", QN_MEMBER_BOOL, &r->truncation, 0, 0},
        {"rank_fields", QN_MEMBER_ANY, &fields, 0, 0},
        {"max_chunks_per_doc", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_members(body, members, text, err));
    bool only_text =
        fields == NULL || (fields->kind == QN_JSON_ARRAY && fields->count == 1 &&
                           qn_slice_eq_str(fields->first->string, "text"));
    if (only_text) return QN_OK;
    return qn_fail_at(
        err, QN_EUNSUPPORTED, qn_json_offset(fields, text),
        "[rank_fields] must be [\"text\"]: one text a document is ranked");
}

static qn_status read_v2(const qn_json *body, qn_slice text, rerank_call *r,
                         qn_error *err)
{
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &r->model, 0, 0},
        {"query", QN_MEMBER_STRING, &r->query, 0, 0},
        {"documents", QN_MEMBER_ANY, &r->documents, 0, 0},
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"max_tokens_per_doc", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_members(body, members, text, err));
    if (r->model.n == 0) return qn_fail(err, QN_EINVAL, "[model] is required");
    return QN_OK;
}

static void write_results(qn_call *c, const char *key, const rerank_call *r,
                          const qn_ranking *ranking)
{
    qn_json_writer *w = &c->w;
    qn_json_key(w, key);
    qn_json_begin_array(w);
    for (size_t i = 0; i < ranking->count; i++) {
        const qn_ranked *item = &ranking->items[i];
        const quern_text *text = &r->texts[item->index];
        if (r->top_n > 0 && i >= (size_t)r->top_n) break;
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)item->index);
        qn_json_key(w, "relevance_score");
        qn_json_float(w, item->score);
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
    qn_json_member_int(w, "search_units", 0);
    qn_json_end_object(w);
    if (ranking->unscored > 0) {
        char text[128];
        (void)snprintf(
            text, sizeof text,
            "time was up: %zu of %zu documents are scored, the others left out",
            ranking->count, r->count);
        qn_json_key(w, "warnings");
        qn_json_begin_array(w);
        qn_json_str(w, text);
        qn_json_end_array(w);
    }
    qn_json_end_object(w);
}

static void write_id(qn_json_writer *w)
{
    uint64_t a = qn_clock_seed(), b = qn_clock_seed();
    char id[40];
    (void)snprintf(id, sizeof id, "%08x-%04x-4%03x-%04x-%012" PRIx64,
                   (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xFFFF),
                   (unsigned)(a & 0xFFF), (unsigned)(0x8000 | (b >> 48 & 0x3FFF)),
                   b & UINT64_C(0xFFFFFFFFFFFF));
    qn_json_member_str(w, "id", id);
}

static qn_status rank_documents(qn_call *c, rerank_call *r, qn_ranking *ranking,
                                qn_error *err)
{
    if (r->query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    QN_TRY(qn_inference_texts(c, r->documents, "documents", QN_LIMIT_RERANK_DOCUMENTS,
                              false, &r->texts, &r->count, err));
    QN_TRY(
        qn_inference_rerank(c, r->model, r->query, r->texts, r->count, ranking, err));
    if (ranking->truncated && !r->truncation)
        return qn_fail(
            err, QN_ETOOLONG,
            "a pair is longer than the model reads, and [truncation] is false");
    return QN_OK;
}

qn_status qn_cohere_rerank_v1(qn_call *c, qn_error *err)
{
    rerank_call r = {.truncation = true};
    const qn_json *body = NULL;
    qn_ranking ranking;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(read_v1(body, c->request->body, &r, err));
    QN_TRY(rank_documents(c, &r, &ranking, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    write_id(w);
    qn_json_member_str(w, "object", "list");
    qn_json_member_str(w, "model", ranking.model);
    write_results(c, "results", &r, &ranking);
    write_results(c, "data", &r, &ranking);
    write_meta(c, "1", &r, &ranking);
    qn_json_key(w, "usage");
    qn_json_begin_object(w);
    qn_json_member_int(w, "total_tokens", (int64_t)ranking.tokens);
    qn_json_end_object(w);
    qn_json_end_object(w);
    return QN_OK;
}

qn_status qn_cohere_rerank_v2(qn_call *c, qn_error *err)
{
    rerank_call r = {.truncation = true};
    const qn_json *body = NULL;
    qn_ranking ranking;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(read_v2(body, c->request->body, &r, err));
    QN_TRY(rank_documents(c, &r, &ranking, err));
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    write_id(&c->w);
    write_results(c, "results", &r, &ranking);
    write_meta(c, "2", &r, &ranking);
    qn_json_end_object(&c->w);
    return QN_OK;
}

/* ---- OpenAI --------------------------------------------------------------------------------- */

void qn_openai_error(qn_call *c, const qn_error *err)
{
    const qn_status_info *info = qn_status_describe(err->code);
    qn_call_json(c, info->http_status);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "error");
    qn_json_begin_object(w);
    qn_json_member_str(w, "message", qn_call_error_text(c, err));
    qn_json_member_str(
        w, "type", info->http_status < 500 ? "invalid_request_error" : "server_error");
    qn_json_key(w, "param");
    qn_json_null(w);
    qn_json_member_str(w, "code", info->name);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

static void add_base64(qn_buf *out, const void *bytes, size_t n)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16;
        if (i + 1 < n) v |= (unsigned)p[i + 1] << 8;
        if (i + 2 < n) v |= p[i + 2];
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                        i + 1 < n ? digits[v >> 6 & 63] : '=',
                        i + 2 < n ? digits[v & 63] : '='};
        qn_buf_add(out, four, 4);
    }
}

static void write_vector(qn_call *c, const float *v, size_t dims, bool base64)
{
    qn_json_writer *w = &c->w;
    qn_json_key(w, "embedding");
    if (base64) {
        qn_json_str(w, ""); /* the quotes; the digits go between them */
        c->out->body.n--;
        add_base64(&c->out->body, v, dims * sizeof *v);
        qn_buf_add_char(&c->out->body, '"');
        return;
    }
    qn_json_begin_array(w);
    for (size_t i = 0; i < dims; i++) qn_json_float(w, v[i]);
    qn_json_end_array(w);
}

static void write_embeddings(qn_call *c, const qn_vectors *v, bool base64)
{
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "object", "list");
    qn_json_key(w, "data");
    qn_json_begin_array(w);
    for (size_t i = 0; i < v->count; i++) {
        qn_json_begin_object(w);
        qn_json_member_str(w, "object", "embedding");
        qn_json_member_int(w, "index", (int64_t)i);
        write_vector(c, v->floats + i * v->dims, v->dims, base64);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_member_str(w, "model", v->model);
    qn_json_key(w, "usage");
    qn_json_begin_object(w);
    qn_json_member_int(w, "prompt_tokens", (int64_t)v->tokens);
    qn_json_member_int(w, "total_tokens", (int64_t)v->tokens);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

qn_status qn_openai_embeddings(qn_call *c, qn_error *err)
{
    qn_slice model = {"", 0}, format = QN_SLICE_LIT("float");
    const qn_json *body = NULL, *input = NULL;
    int64_t dims = 0;
    const qn_member members[] = {
        {"input", QN_MEMBER_ANY, &input, 0, 0},
        {"model", QN_MEMBER_STRING, &model, 0, 0},
        {"encoding_format", QN_MEMBER_STRING, &format, 0, 0},
        {"dimensions", QN_MEMBER_INT, &dims, 1, 65536},
        {"user", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    quern_text *texts = NULL;
    size_t count = 0;
    qn_vectors v;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    bool base64 = qn_slice_eq_str(format, "base64");
    if (!base64 && !qn_slice_eq_str(format, "float"))
        return qn_fail(err, QN_EINVAL, "[encoding_format] must be float or base64");
    QN_TRY(qn_inference_texts(c, input, "input", QN_LIMIT_EMBED_TEXTS, true, &texts,
                              &count, err));
    QN_TRY(qn_inference_embed(c, model, texts, count, &v, err));
    if (dims != 0 && (size_t)dims != v.dims)
        return qn_fail(err, QN_EDIMS, "the model %s gives %zu dimensions, not %" PRId64,
                       v.model, v.dims, dims);
    write_embeddings(c, &v, base64);
    return QN_OK;
}
