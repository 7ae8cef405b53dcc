/* SPDX-License-Identifier: Apache-2.0 */
/* Alibaba's inference services: DashScope's text-rerank and text-embedding, AI Search's
 * ranker, text-embedding and text-sparse-embedding. The compatible-mode paths are OpenAI's and Jina's. */
#include "server/handlers.h"

#include "server/inference/inference.h"
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

static bool is_ai_search(const qn_call *c)
{
    const qn_url *url = &c->request->url;
    return url->segment_count > 0 && qn_slice_eq_str(url->segments[0], "v3");
}

static void write_latency(qn_call *c)
{
    int64_t ns = qn_clock_mono_ns() - c->request->arrived_ns;
    qn_json_member_int(&c->w, "latency", ns / 1000000);
}

void qn_dashscope_error(qn_call *c, const qn_error *err)
{
    int status = qn_status_describe(err->code)->http_status;
    bool search = is_ai_search(c);
    const char *code = status == 404   ? "NotFound"
                       : status == 429 ? "Throttling"
                       : status < 500  ? "InvalidParameter"
                       : search        ? "InternalServerError"
                                       : "InternalError";
    if (search && err->code == QN_ENOMODEL) {
        code = "ServiceIdNotExist";
        status = 400;
    }
    qn_call_json(c, status);
    qn_json_begin_object(&c->w);
    write_request_id(&c->w);
    if (search) write_latency(c);
    qn_json_member_str(&c->w, "code", code);
    qn_json_member_str(&c->w, "message", qn_call_error_text(c, err));
    qn_json_end_object(&c->w);
}

/* ---- text-rerank -------------------------------------------------------------------- */

typedef struct text_rerank {
    qn_rank_request r;
    const qn_json *documents;
    int64_t top_n;
    bool return_documents;
} text_rerank;

static void write_usage(qn_json_writer *w, uint64_t tokens)
{
    qn_json_key(w, "usage");
    qn_json_begin_object(w);
    qn_json_member_int(w, "total_tokens", (int64_t)tokens);
    qn_json_member_int(w, "input_tokens", (int64_t)tokens);
    qn_json_end_object(w);
}

/* {"model","input":{"query","documents"},"parameters":{...}}, or the same flat. */
static qn_status read_text_rerank(qn_call *c, text_rerank *r, qn_error *err)
{
    const qn_json *body = NULL, *input = NULL, *parameters = NULL;
    qn_slice text = c->request->body;
    const qn_member flat[] = {
        {"model", QN_MEMBER_STRING, &r->r.model, 0, 0},
        {"input", QN_MEMBER_ANY, &input, 0, 0},
        {"parameters", QN_MEMBER_ANY, &parameters, 0, 0},
        {"query", QN_MEMBER_STRING, &r->r.query, 0, 0},
        {"documents", QN_MEMBER_ANY, &r->documents, 0, 0},
        {"top_n", QN_MEMBER_INT, &r->top_n, 1, INT64_MAX},
        {"return_documents", QN_MEMBER_BOOL, &r->return_documents, 0, 0},
        {"instruct", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const qn_member of_input[] = {
        {"query", QN_MEMBER_STRING, &r->r.query, 0, 0},
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
    if (r->r.query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
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
    qn_ranking ranking;
    QN_TRY(read_text_rerank(c, &r, err));
    QN_TRY(qn_inference_texts(c, r.documents, "documents", QN_LIMIT_RERANK_DOCUMENTS,
                              false, &texts, &r.r.count, err));
    r.r.texts = texts;
    QN_TRY(qn_inference_rerank(c, &r.r, &ranking, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "output");
    qn_json_begin_object(w);
    write_results(c, &r, texts, &ranking);
    qn_json_end_object(w);
    write_usage(w, ranking.tokens);
    write_request_id(w);
    qn_json_end_object(w);
    return QN_OK;
}

/* ---- text-embedding ----------------------------------------------------------------- */

typedef struct text_embedding {
    qn_embed_request r;
    const qn_json *texts;
    qn_slice text_type, output_type;
    int64_t dims;
    bool dense, sparse;
} text_embedding;

/* An output_type, in either order of its two. */
static bool read_output(qn_slice type, bool *dense, bool *sparse)
{
    static const struct {
        const char *name;
        bool dense, sparse;
    } rows[] = {{"dense", true, false},
                {"sparse", false, true},
                {"dense&sparse", true, true},
                {"sparse&dense", true, true}};
    *dense = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!qn_slice_eq_str(type, rows[i].name)) continue;
        *dense = rows[i].dense;
        *sparse = rows[i].sparse;
        return true;
    }
    return type.n == 0;
}

static qn_status check_embedding(text_embedding *e, qn_error *err)
{
    bool query = qn_slice_eq_str(e->text_type, "query");
    if (e->text_type.n > 0 && !query && !qn_slice_eq_str(e->text_type, "document"))
        return qn_fail(err, QN_EINVAL, "[text_type] must be query or document");
    if (!read_output(e->output_type, &e->dense, &e->sparse))
        return qn_fail(err, QN_EINVAL,
                       "[output_type] must be dense, sparse or dense&sparse");
    e->r.role = e->text_type;
    e->r.dims = (uint32_t)e->dims;
    e->r.length = QUERN_LENGTH_ONE;
    return QN_OK;
}

/* {"model","input":{"texts"},"parameters":{...}} */
static qn_status read_embedding(qn_call *c, text_embedding *e, qn_error *err)
{
    const qn_json *body = NULL, *input = NULL, *parameters = NULL;
    qn_slice text = c->request->body;
    *e = (text_embedding){.dims = 0};
    const qn_member outer[] = {
        {"model", QN_MEMBER_STRING, &e->r.model, 0, 0},
        {"input", QN_MEMBER_ANY, &input, 0, 0},
        {"parameters", QN_MEMBER_ANY, &parameters, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const qn_member of_input[] = {
        {"texts", QN_MEMBER_ANY, &e->texts, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const qn_member of_parameters[] = {
        {"text_type", QN_MEMBER_STRING, &e->text_type, 0, 0},
        {"dimension", QN_MEMBER_INT, &e->dims, 1, 65536},
        {"output_type", QN_MEMBER_STRING, &e->output_type, 0, 0},
        {"instruct", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, outer, text, err));
    if (input == NULL || input->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EINVAL, "[input] must be {\"texts\":[...]}");
    QN_TRY(qn_call_members(input, of_input, text, err));
    if (parameters != NULL)
        QN_TRY(qn_call_members(parameters, of_parameters, text, err));
    QN_TRY(check_embedding(e, err));
    return qn_inference_texts(c, e->texts, "texts", QN_LIMIT_EMBED_TEXTS, true,
                              &e->r.inputs.texts, &e->r.inputs.count, err);
}

static void write_embeddings(qn_call *c, const qn_vectors *v, const char *number)
{
    qn_json_writer *w = &c->w;
    qn_json_key(w, "embeddings");
    qn_json_begin_array(w);
    for (size_t i = 0; i < v->count; i++) {
        qn_json_begin_object(w);
        qn_json_member_int(w, number, (int64_t)i);
        qn_json_key(w, "embedding");
        qn_inference_write_vector(c, v->floats + i * v->dims, v->dims);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

/* What each of the two services calls an entry; `token` NULL: left out. */
typedef struct term_names {
    const char *id, *weight, *token;
} term_names;

static void write_terms(qn_json_writer *w, const qn_sparse_text *text, term_names names)
{
    qn_json_begin_array(w);
    for (size_t i = 0; i < text->count; i++) {
        const quern_term *term = &text->terms[i];
        qn_json_begin_object(w);
        qn_json_member_int(w, names.id, term->id);
        qn_json_key(w, names.weight);
        qn_json_float(w, term->weight);
        if (names.token != NULL)
            qn_json_member_slice(w, names.token,
                                 (qn_slice){term->token, term->token_size});
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

/* One entry a text with what was asked for. */
static void write_both(qn_call *c, const text_embedding *e, const qn_vectors *dense,
                       const qn_sparse_texts *sparse)
{
    qn_json_writer *w = &c->w;
    qn_json_key(w, "embeddings");
    qn_json_begin_array(w);
    for (size_t i = 0; i < e->r.inputs.count; i++) {
        qn_json_begin_object(w);
        if (e->sparse) {
            qn_json_key(w, "sparse_embedding");
            write_terms(w, &sparse->texts[i], (term_names){"index", "value", "token"});
        }
        if (e->dense) {
            qn_json_key(w, "embedding");
            qn_inference_write_vector(c, dense->floats + i * dense->dims, dense->dims);
        }
        qn_json_member_int(w, "text_index", (int64_t)i);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

/* A model makes vectors of one kind. The named one makes those that it can; where both are
 * asked for, the others come from the default embedder, or the only sparse model. */
static qn_status run_embedding(qn_call *c, const text_embedding *e, qn_vectors *dense,
                               qn_sparse_texts *sparse, qn_error *err)
{
    qn_embed_request of_dense = e->r, of_sparse = e->r;
    bool named_sparse =
        e->r.model.n > 0 && strcmp(qn_inference_task(c, e->r.model), "sparse") == 0;
    if (e->sparse && e->r.dims > 0 && !e->dense)
        return qn_fail(err, QN_EINVAL, "[dimension] goes with dense vectors");
    if (e->dense && e->sparse && named_sparse) of_dense.model = (qn_slice){"", 0};
    if (e->dense && e->sparse && !named_sparse) of_sparse.model = (qn_slice){"", 0};
    if (e->dense) QN_TRY(qn_inference_embed(c, &of_dense, dense, err));
    return e->sparse ? qn_inference_sparse(c, &of_sparse, sparse, err) : QN_OK;
}

qn_status qn_dashscope_embedding(qn_call *c, qn_error *err)
{
    text_embedding e;
    qn_vectors dense = {0};
    qn_sparse_texts sparse = {0};
    QN_TRY(read_embedding(c, &e, err));
    QN_TRY(run_embedding(c, &e, &dense, &sparse, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "output");
    qn_json_begin_object(w);
    write_both(c, &e, &dense, &sparse);
    qn_json_end_object(w);
    write_usage(w, e.dense ? dense.tokens : sparse.tokens);
    write_request_id(w);
    qn_json_end_object(w);
    return QN_OK;
}

/* ---- AI Search ---------------------------------------------------------------------- */

static void begin_ai_search(qn_call *c, const char *unit, uint64_t used)
{
    qn_json_writer *w = &c->w;
    qn_call_json(c, 200);
    qn_json_begin_object(w);
    write_request_id(w);
    write_latency(c);
    qn_json_key(w, "usage");
    qn_json_begin_object(w);
    qn_json_member_int(w, unit, (int64_t)used);
    qn_json_end_object(w);
    qn_json_key(w, "result");
    qn_json_begin_object(w);
}

qn_status qn_aisearch_ranker(qn_call *c, qn_error *err)
{
    qn_rank_request r = {.model = qn_route_arg(&c->match, "service")};
    const qn_json *body = NULL, *docs = NULL;
    const qn_member members[] = {{"query", QN_MEMBER_STRING, &r.query, 0, 0},
                                 {"docs", QN_MEMBER_ANY, &docs, 0, 0},
                                 {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    quern_text *texts = NULL;
    qn_ranking ranking;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (r.query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    QN_TRY(qn_inference_texts(c, docs, "docs", QN_LIMIT_RERANK_DOCUMENTS, false, &texts,
                              &r.count, err));
    r.texts = texts;
    QN_TRY(qn_inference_rerank(c, &r, &ranking, err));
    qn_json_writer *w = &c->w;
    begin_ai_search(c, "doc_count", r.count);
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

/* {"input","input_type"}, of sparse vectors `return_token` as well. */
static qn_status read_ai_search(qn_call *c, qn_embed_request *r, bool *token,
                                qn_error *err)
{
    const qn_json *body = NULL, *input = NULL;
    qn_slice type = {"", 0};
    bool given = false;
    const qn_member members[] = {
        {"input", QN_MEMBER_ANY, &input, 0, 0},
        {"input_type", QN_MEMBER_STRING, &type, 0, 0},
        {token == NULL ? NULL : "return_token", QN_MEMBER_BOOL, &given, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    *r = (qn_embed_request){.model = qn_route_arg(&c->match, "service"),
                            .length = QUERN_LENGTH_ONE};
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (type.n > 0 && !qn_slice_eq_str(type, "query") &&
        !qn_slice_eq_str(type, "document"))
        return qn_fail(err, QN_EINVAL, "[input_type] must be query or document");
    r->role = type;
    if (token != NULL) *token = given;
    return qn_inference_texts(c, input, "input", QN_LIMIT_EMBED_TEXTS, true,
                              &r->inputs.texts, &r->inputs.count, err);
}

qn_status qn_aisearch_embedding(qn_call *c, qn_error *err)
{
    qn_embed_request r;
    qn_vectors v;
    QN_TRY(read_ai_search(c, &r, NULL, err));
    QN_TRY(qn_inference_embed(c, &r, &v, err));
    begin_ai_search(c, "token_count", v.tokens);
    write_embeddings(c, &v, "index");
    qn_json_end_object(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

qn_status qn_aisearch_sparse(qn_call *c, qn_error *err)
{
    qn_embed_request r;
    qn_sparse_texts sparse;
    bool token = false;
    QN_TRY(read_ai_search(c, &r, &token, err));
    QN_TRY(qn_inference_sparse(c, &r, &sparse, err));
    begin_ai_search(c, "token_count", sparse.tokens);
    qn_json_writer *w = &c->w;
    qn_json_key(w, "sparse_embeddings");
    qn_json_begin_array(w);
    for (size_t i = 0; i < sparse.count; i++) {
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)i);
        qn_json_key(w, "embedding");
        write_terms(w, &sparse.texts[i],
                    (term_names){"token_id", "weight", token ? "token" : NULL});
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
    qn_json_end_object(w);
    return QN_OK;
}
