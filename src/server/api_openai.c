/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/embeddings: OpenAI's, with the members that Voyage, Jina and vLLM add to it;
 * /v1/models. */
#include "server/handlers.h"

#include "server/inference.h"
#include "server/server_internal.h"

void qn_openai_error(qn_call *c, const qn_error *err)
{
    const qn_status_info *info = qn_status_describe(err->code);
    const char *type = info->http_status == 429  ? "rate_limit_error"
                       : info->http_status < 500 ? "invalid_request_error"
                                                 : "server_error";
    const char *text = qn_call_error_text(c, err);
    qn_call_json(c, info->http_status);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "error");
    qn_json_begin_object(w);
    qn_json_member_str(w, "message", text);
    qn_json_member_str(w, "type", type);
    qn_json_key(w, "param");
    qn_json_null(w);
    qn_json_member_str(w, "code",
                       err->code == QN_ENOMODEL ? "model_not_found" : info->name);
    qn_json_end_object(w);
    qn_json_member_str(w, "detail", text); /* Voyage, Jina */
    qn_json_end_object(w);
}

/* ---- embeddings --------------------------------------------------------------------- */

typedef struct embeddings_call {
    qn_embed_request r;
    const qn_json *input;
    qn_slice format, type, dtype;
    int64_t dims, cut_tokens;
    bool truncation, truncate, base64;
} embeddings_call;

/* One of the words, or nothing. */
static qn_status check_word(const char *name, qn_slice value, const char *const *words,
                            qn_error *err)
{
    if (value.n == 0) return QN_OK;
    for (size_t i = 0; words[i] != NULL; i++)
        if (qn_slice_eq_str(value, words[i])) return QN_OK;
    return qn_fail(err, QN_EINVAL, "[%s] must be %s%s%s", name, words[0],
                   words[1] == NULL ? "" : " or ", words[1] == NULL ? "" : words[1]);
}

static qn_status check_embeddings(embeddings_call *e, qn_error *err)
{
    static const char *const formats[] = {"float", "base64", NULL};
    static const char *const types[] = {"query", "document", NULL};
    static const char *const dtypes[] = {"float", NULL};
    QN_TRY(check_word("encoding_format", e->format, formats, err));
    QN_TRY(check_word("input_type", e->type, types, err));
    QN_TRY(check_word("output_dtype", e->dtype, dtypes, err));
    e->base64 = qn_slice_eq_str(e->format, "base64");
    e->r.dims = (uint32_t)e->dims;
    e->r.length = QUERN_LENGTH_ONE;
    e->r.role = e->type;
    e->r.refuse_long = !e->truncation || !e->truncate;
    e->r.tokens_max = e->cut_tokens > 0 ? (uint32_t)e->cut_tokens : 0;
    return QN_OK;
}

static qn_status read_embeddings(qn_call *c, embeddings_call *e, qn_error *err)
{
    const qn_json *body = NULL;
    *e = (embeddings_call){.truncation = true, .truncate = true};
    const qn_member members[] = {
        {"input", QN_MEMBER_ANY, &e->input, 0, 0},
        {"model", QN_MEMBER_STRING, &e->r.model, 0, 0},
        {"encoding_format", QN_MEMBER_STRING, &e->format, 0, 0},
        {"dimensions", QN_MEMBER_INT, &e->dims, 1, 65536},
        {"user", QN_MEMBER_IGNORE, NULL, 0, 0},
        /* Voyage */
        {"input_type", QN_MEMBER_STRING, &e->type, 0, 0},
        {"truncation", QN_MEMBER_BOOL, &e->truncation, 0, 0},
        {"output_dtype", QN_MEMBER_STRING, &e->dtype, 0, 0},
        {"output_dimension", QN_MEMBER_INT, &e->dims, 1, 65536},
        /* Jina */
        {"task", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"normalized", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"embedding_type", QN_MEMBER_STRING, &e->format, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &e->truncate, 0, 0},
        /* vLLM */
        {"truncate_prompt_tokens", QN_MEMBER_INT, &e->cut_tokens, -1, 1 << 30},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(check_embeddings(e, err));
    return qn_inference_inputs(c, e->input, "input", &e->r.inputs, err);
}

qn_status qn_openai_embeddings(qn_call *c, qn_error *err)
{
    embeddings_call e;
    qn_vectors v;
    QN_TRY(read_embeddings(c, &e, err));
    QN_TRY(qn_inference_embed(c, &e.r, &v, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "object", "list");
    qn_json_key(w, "data");
    qn_json_begin_array(w);
    for (size_t i = 0; i < v.count; i++) {
        const float *vector = v.floats + i * v.dims;
        qn_json_begin_object(w);
        qn_json_member_str(w, "object", "embedding");
        qn_json_member_int(w, "index", (int64_t)i);
        qn_json_key(w, "embedding");
        if (e.base64)
            qn_inference_write_base64(c, vector, v.dims * sizeof *vector);
        else
            qn_inference_write_vector(c, vector, v.dims);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_member_str(w, "model", v.model);
    qn_json_key(w, "usage");
    qn_inference_write_usage(c, v.tokens, false);
    qn_json_end_object(w);
    return QN_OK;
}

/* ---- models ------------------------------------------------------------------------- */

static void write_model(qn_call *c, const quern_model_info *m)
{
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "id", m->name);
    qn_json_member_str(w, "object", "model");
    qn_json_member_int(w, "created", c->server->started_ms / 1000);
    qn_json_member_str(w, "owned_by", "quern");
    qn_json_member_str(w, "task", m->task);
    qn_json_member_int(w, "max_model_len", m->max_tokens);
    qn_json_end_object(w);
}

static bool list_model(void *ctx, const quern_model_info *m)
{
    write_model(ctx, m);
    return true;
}

qn_status qn_openai_models(qn_call *c, qn_error *err)
{
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_str(&c->w, "object", "list");
    qn_json_key(&c->w, "data");
    qn_json_begin_array(&c->w);
    QN_TRY(quern_model_list(c->q, list_model, c, err));
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

qn_status qn_openai_model(qn_call *c, qn_error *err)
{
    const char *name = NULL;
    quern_model_info info;
    QN_TRY(qn_server_model(c, qn_route_arg(&c->match, "model"), "", &name, err));
    QN_TRY(quern_model_info_get(c->q, name, &info, err));
    qn_call_json(c, 200);
    write_model(c, &info);
    return QN_OK;
}
