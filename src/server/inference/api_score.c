/* SPDX-License-Identifier: Apache-2.0 */
/* vLLM's /score: one text and one, one and many, or as many on either side. Its /pooling. Its
 * errors, and llama.cpp's. */
#include "server/handlers.h"

#include "server/inference/inference.h"
#include "server/server_internal.h"

void qn_vllm_begin_list(qn_call *c, const char *id_prefix, const char *model)
{
    qn_json_writer *w = &c->w;
    qn_call_json(c, 200);
    qn_json_begin_object(w);
    qn_inference_write_id(c, id_prefix);
    qn_json_member_str(w, "object", "list");
    qn_json_member_int(w, "created", qn_clock_wall_ms() / 1000);
    qn_json_member_str(w, "model", model);
    qn_json_key(w, "data");
    qn_json_begin_array(w);
}

void qn_vllm_end_list(qn_call *c, uint64_t tokens)
{
    qn_json_end_array(&c->w);
    qn_json_key(&c->w, "usage");
    qn_inference_write_usage(c, tokens, true);
    qn_json_end_object(&c->w);
}

void qn_vllm_error(qn_call *c, const qn_error *err)
{
    int status = qn_status_describe(err->code)->http_status;
    const char *type = status == 404   ? "NotFoundError"
                       : status == 429 ? "RateLimitError"
                       : status < 500  ? "BadRequestError"
                                       : "InternalServerError";
    qn_json_writer *w = &c->w;
    qn_call_json(c, status);
    qn_json_begin_object(w);
    qn_json_key(w, "error");
    qn_json_begin_object(w);
    qn_json_member_str(w, "message", qn_call_error_text(c, err));
    qn_json_member_str(w, "type", type);
    qn_json_key(w, "param");
    qn_json_null(w);
    qn_json_member_int(w, "code", status);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

typedef struct score_call {
    qn_rank_request r;
    const qn_json *first, *second;
    const char *first_name, *second_name;
    int64_t doc_tokens, query_tokens, cut_tokens;
    bool activation;
} score_call;

static qn_status read_score(qn_call *c, score_call *s, qn_error *err)
{
    static const char *const names[][2] = {{"text_1", "text_2"},
                                           {"data_1", "data_2"},
                                           {"queries", "documents"},
                                           {"queries", "items"}};
    enum { NAMES = sizeof names / sizeof *names, CAP_MAX = 1 << 30 };
    const qn_json *body = NULL, *unused = NULL;
    *s = (score_call){.activation = true};
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &s->r.model, 0, 0},
        {"text_1", QN_MEMBER_ANY, &unused, 0, 0},
        {"text_2", QN_MEMBER_ANY, &unused, 0, 0},
        {"data_1", QN_MEMBER_ANY, &unused, 0, 0},
        {"data_2", QN_MEMBER_ANY, &unused, 0, 0},
        {"queries", QN_MEMBER_ANY, &unused, 0, 0},
        {"documents", QN_MEMBER_ANY, &unused, 0, 0},
        {"items", QN_MEMBER_ANY, &unused, 0, 0},
        {"use_activation", QN_MEMBER_BOOL, &s->activation, 0, 0},
        {"activation", QN_MEMBER_BOOL, &s->activation, 0, 0},
        {"truncate_prompt_tokens", QN_MEMBER_INT, &s->cut_tokens, -1, CAP_MAX},
        {"max_tokens_per_query", QN_MEMBER_INT, &s->query_tokens, 0, CAP_MAX},
        {"max_tokens_per_doc", QN_MEMBER_INT, &s->doc_tokens, 0, CAP_MAX},
        {"encoding_format", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"user", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    for (size_t i = 0; i < NAMES && s->second == NULL; i++) {
        s->first_name = names[i][0];
        s->second_name = names[i][1];
        s->first = qn_json_get(body, s->first_name);
        s->second = s->first == NULL ? NULL : qn_json_get(body, s->second_name);
    }
    if (s->second == NULL)
        return qn_fail(err, QN_EINVAL,
                       "[text_1] and [text_2] are required (or [queries] and "
                       "[documents])");
    s->r.query_tokens_max = (uint32_t)s->query_tokens;
    s->r.document_tokens_max = (uint32_t)s->doc_tokens;
    s->r.tokens_max = s->cut_tokens > 0 ? (uint32_t)s->cut_tokens : 0;
    return QN_OK;
}

static qn_status read_pairs(qn_call *c, const score_call *s, qn_text_pair **out,
                            size_t *count, qn_error *err)
{
    quern_text *first = NULL, *second = NULL;
    size_t firsts = 0, seconds = 0;
    QN_TRY(qn_inference_texts(c, s->first, s->first_name, QN_LIMIT_RERANK_DOCUMENTS,
                              true, &first, &firsts, err));
    QN_TRY(qn_inference_texts(c, s->second, s->second_name, QN_LIMIT_RERANK_DOCUMENTS,
                              true, &second, &seconds, err));
    if (firsts != 1 && firsts != seconds)
        return qn_fail(err, QN_EINVAL,
                       "[%s] has %zu texts and [%s] %zu: one to many, or as many on "
                       "either side",
                       s->first_name, firsts, s->second_name, seconds);
    *count = seconds;
    *out = qn_arena_array(c->arena, seconds, sizeof **out);
    if (*out == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the pairs");
    for (size_t i = 0; i < seconds; i++) {
        quern_text a = first[firsts == 1 ? 0 : i], b = second[i];
        (*out)[i] = (qn_text_pair){{a.text, a.size}, {b.text, b.size}};
    }
    return QN_OK;
}

qn_status qn_vllm_score(qn_call *c, qn_error *err)
{
    score_call s;
    qn_text_pair *pairs = NULL;
    size_t count = 0;
    qn_ranking ranking;
    QN_TRY(read_score(c, &s, err));
    QN_TRY(read_pairs(c, &s, &pairs, &count, err));
    QN_TRY(qn_inference_pairs(c, &s.r, pairs, count, &ranking, err));
    qn_inference_count_header(c, "X-Quern-Truncated", ranking.truncated);
    qn_json_writer *w = &c->w;
    qn_vllm_begin_list(c, "score-", ranking.model);
    for (size_t i = 0; i < count; i++) {
        const qn_ranked *item = &ranking.items[i];
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", (int64_t)i);
        qn_json_member_str(w, "object", "score");
        qn_json_key(w, "score");
        qn_json_float(w, s.activation ? item->score : item->logit);
        qn_json_end_object(w);
    }
    qn_vllm_end_list(c, ranking.tokens);
    return QN_OK;
}

/* ---- /pooling ----------------------------------------------------------------------- */

static void begin_pooled(qn_call *c, size_t i)
{
    qn_json_begin_object(&c->w);
    qn_json_member_int(&c->w, "index", (int64_t)i);
    qn_json_member_str(&c->w, "object", "pooling");
    qn_json_key(&c->w, "data");
}

/* A row for each token. */
static qn_status pool_tokens(qn_call *c, const qn_embed_request *r, qn_error *err)
{
    qn_token_texts all;
    QN_TRY(qn_inference_tokens(c, r, &all, err));
    qn_vllm_begin_list(c, "pool-", all.model);
    for (size_t i = 0; i < all.count; i++) {
        begin_pooled(c, i);
        qn_json_begin_array(&c->w);
        for (size_t k = 0; k < all.texts[i].count; k++)
            qn_inference_write_vector(c, all.texts[i].vectors + k * all.dims, all.dims);
        qn_json_end_array(&c->w);
        qn_json_end_object(&c->w);
    }
    qn_vllm_end_list(c, all.tokens);
    return QN_OK;
}

static qn_status pool_texts(qn_call *c, const qn_embed_request *r, bool base64,
                            qn_error *err)
{
    qn_vectors v;
    QN_TRY(qn_inference_embed(c, r, &v, err));
    qn_vllm_begin_list(c, "pool-", v.model);
    for (size_t i = 0; i < v.count; i++) {
        begin_pooled(c, i);
        QN_TRY(qn_inference_write_numbers(c, v.floats + i * v.dims, v.dims,
                                          QN_NUMBERS_FLOAT, base64, err));
        qn_json_end_object(&c->w);
    }
    qn_vllm_end_list(c, v.tokens);
    return QN_OK;
}

qn_status qn_vllm_pooling(qn_call *c, qn_error *err)
{
    qn_embed_request r = {.length = QUERN_LENGTH_ONE};
    const qn_json *body = NULL, *input = NULL;
    qn_slice task = {"", 0}, format = {"", 0};
    int64_t dims = 0, cut_tokens = 0;
    bool activation = true;
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &r.model, 0, 0},
        {"input", QN_MEMBER_ANY, &input, 0, 0},
        {"task", QN_MEMBER_STRING, &task, 0, 0},
        {"encoding_format", QN_MEMBER_STRING, &format, 0, 0},
        {"dimensions", QN_MEMBER_INT, &dims, 1, 65536},
        {"normalize", QN_MEMBER_BOOL, &activation, 0, 0},
        {"use_activation", QN_MEMBER_BOOL, &activation, 0, 0},
        {"truncate_prompt_tokens", QN_MEMBER_INT, &cut_tokens, -1, 1 << 30},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"user", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    bool base64 = qn_slice_eq_str(format, "base64");
    bool tokens = qn_slice_eq_str(task, "token_embed") ||
                  (task.n == 0 && r.model.n > 0 &&
                   strcmp(qn_inference_task(c, r.model), "tokens") == 0);
    if (!tokens && task.n > 0 && !qn_slice_eq_str(task, "embed"))
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[task] must be embed or token_embed; labels are at /classify, "
                       "scores at /score");
    if (format.n > 0 && !qn_slice_eq_str(format, "float") && (!base64 || tokens))
        return qn_fail(err, QN_EUNSUPPORTED, "[encoding_format] must be float%s",
                       tokens ? " for vectors of tokens" : " or base64");
    if (tokens && dims > 0)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[dimensions] is for models with one vector a text");
    r.dims = (uint32_t)dims;
    r.tokens_max = cut_tokens > 0 ? (uint32_t)cut_tokens : 0;
    if (!activation) r.length = QUERN_LENGTH_AS_POOLED;
    QN_TRY(qn_inference_inputs(c, input, "input", &r.inputs, err));
    return tokens ? pool_tokens(c, &r, err) : pool_texts(c, &r, base64, err);
}
