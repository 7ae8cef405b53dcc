/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/embeddings: OpenAI's, with the members that Voyage, Jina, Mixedbread, vLLM and infinity
 * add to it;
 * /v1/models. */
#include "server/handlers.h"

#include "server/inference/inference.h"
#include "server/server_internal.h"

void qn_openai_error(qn_call *c, const qn_error *err)
{
    const qn_status_info *info = qn_status_describe(err->code);
    const char *type = info->http_status == 429  ? "rate_limit_error"
                       : info->http_status < 500 ? "invalid_request_error"
                                                 : "server_error";
    const char *code = err->code == QN_ENOMODEL   ? "model_not_found"
                       : info->http_status == 429 ? "rate_limit_exceeded"
                                                  : info->name;
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
    qn_json_member_str(w, "code", code);
    qn_json_end_object(w);
    qn_json_member_str(w, "detail", text); /* Voyage, Jina */
    qn_json_end_object(w);
}

/* ---- embeddings --------------------------------------------------------------------- */

typedef struct embeddings_call {
    qn_embed_request r;
    const qn_json *input, *jina_type;
    qn_slice format, type, dtype, task, modality, prompt;
    int64_t dims, cut_tokens;
    bool truncation, truncate, normalized, late, multi;
    bool voyage; /* has members of Voyage's */
    qn_number_form form;
    bool base64;
} embeddings_call;

/* Jina's tasks, of which two say what the texts are. */
static qn_status read_task(embeddings_call *e, qn_error *err)
{
    static const struct {
        const char *name, *role;
    } rows[] = {
        {"retrieval.query", "query"},
        {"retrieval.passage", "document"},
        {"code.query", "query"},
        {"code.passage", "document"},
        {"nl2code.query", "query"},
        {"nl2code.passage", "document"},
        {"qa.query", "query"},
        {"qa.passage", "document"},
        {"code2code.query", "query"},
        {"code2code.passage", "document"},
        {"code2nl.query", "query"},
        {"code2nl.passage", "document"},
        {"code2completion.query", "query"},
        {"code2completion.passage", "document"},
        {"text-matching", ""},
        {"classification", ""},
        {"separation", ""},
        {"clustering", ""},
    };
    if (e->task.n == 0) return QN_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (qn_slice_eq_str(e->task, rows[i].name)) {
            e->r.role = qn_slice_of(rows[i].role);
            return QN_OK;
        }
    return qn_fail(err, QN_EINVAL,
                   "[task] must be retrieval.query, retrieval.passage, text-matching, "
                   "classification or separation, not [%.*s]",
                   e->task.n > 40 ? 40 : (int)e->task.n, e->task.p);
}

/* encoding_format of all, embedding_type of Jina, output_dtype of Voyage. */
static qn_status read_form(qn_call *c, embeddings_call *e, qn_error *err)
{
    const qn_json *t = e->jina_type;
    if (t != NULL && t->kind == QN_JSON_ARRAY && t->count == 1) t = t->first;
    if (t != NULL && t->kind != QN_JSON_STRING)
        return qn_fail_at(
            err, QN_EUNSUPPORTED, qn_json_offset(t, c->request->body),
            "[embedding_type] must be one name: several forms in one reply "
            "are Cohere's, at /v2/embed");
    qn_slice name = t != NULL ? t->string : e->format;
    const char *member = t != NULL ? "embedding_type" : "encoding_format";
    e->base64 = qn_slice_eq_str(name, "base64");
    if (name.n > 0 && !e->base64 && !qn_number_form_parse(name, &e->form))
        return qn_fail(err, QN_EINVAL,
                       "[%s] must be float or base64, int8, uint8, binary or ubinary",
                       member);
    if (e->dtype.n == 0 || qn_number_form_parse(e->dtype, &e->form)) return QN_OK;
    return qn_fail(err, QN_EINVAL,
                   "[output_dtype] must be float, int8, uint8, binary or ubinary");
}

static qn_status check_embeddings(qn_call *c, embeddings_call *e, qn_error *err)
{
    QN_TRY(read_form(c, e, err));
    QN_TRY(read_task(e, err));
    if (e->late)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[late_chunking] is not done here: send passages as texts of "
                       "their own");
    if (e->multi)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[return_multivector]: vectors of tokens are at /embed_all");
    if (e->modality.n > 0 && !qn_slice_eq_str(e->modality, "text"))
        return qn_fail(err, QN_EUNSUPPORTED, "[modality] must be text");
    if (e->prompt.n > 0)
        return qn_fail(
            err, QN_EUNSUPPORTED,
            "[prompt]: put the words in front of the texts, or name a prompt "
            "of the model's, as [input_type]");
    if (e->type.n > 0 && !qn_slice_eq_str(e->type, "query") &&
        !qn_slice_eq_str(e->type, "document"))
        return qn_fail(err, QN_EINVAL, "[input_type] must be query or document");
    if (e->type.n > 0) e->r.role = e->type;
    if (e->dims == 0 && e->modality.n == 0) /* infinity's client: all of them */
        return qn_fail(err, QN_EINVAL,
                       "[dimensions] must be a whole number from 1 to 65536");
    e->r.dims = e->dims > 0 ? (uint32_t)e->dims : 0;
    e->r.length = e->normalized ? QUERN_LENGTH_ONE : QUERN_LENGTH_AS_POOLED;
    e->r.refuse_long = !e->truncation || !e->truncate;
    e->r.tokens_max = e->cut_tokens > 0 ? (uint32_t)e->cut_tokens : 0;
    return QN_OK;
}

static qn_status read_embeddings(qn_call *c, embeddings_call *e, qn_error *err)
{
    const qn_json *body = NULL;
    *e = (embeddings_call){
        .dims = -1, .truncation = true, .truncate = true, .normalized = true};
    const qn_member members[] = {
        {"input", QN_MEMBER_ANY, &e->input, 0, 0},
        {"model", QN_MEMBER_STRING, &e->r.model, 0, 0},
        {"encoding_format", QN_MEMBER_STRING, &e->format, 0, 0},
        {"dimensions", QN_MEMBER_INT, &e->dims, 0, 65536},
        {"user", QN_MEMBER_IGNORE, NULL, 0, 0},
        /* Voyage */
        {"input_type", QN_MEMBER_STRING, &e->type, 0, 0},
        {"truncation", QN_MEMBER_BOOL, &e->truncation, 0, 0},
        {"output_dtype", QN_MEMBER_STRING, &e->dtype, 0, 0},
        {"output_dimension", QN_MEMBER_INT, &e->dims, 1, 65536},
        /* Jina */
        {"task", QN_MEMBER_STRING, &e->task, 0, 0},
        {"embedding_type", QN_MEMBER_ANY, &e->jina_type, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &e->truncate, 0, 0},
        {"late_chunking", QN_MEMBER_BOOL, &e->late, 0, 0},
        {"return_multivector", QN_MEMBER_BOOL, &e->multi, 0, 0},
        /* Jina, Mixedbread, vLLM */
        {"normalized", QN_MEMBER_BOOL, &e->normalized, 0, 0},
        {"normalize", QN_MEMBER_BOOL, &e->normalized, 0, 0},
        {"use_activation", QN_MEMBER_BOOL, &e->normalized, 0, 0},
        {"prompt", QN_MEMBER_STRING, &e->prompt, 0, 0},
        {"truncate_prompt_tokens", QN_MEMBER_INT, &e->cut_tokens, -1, 1 << 30},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        /* infinity */
        {"modality", QN_MEMBER_STRING, &e->modality, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(check_embeddings(c, e, err));
    e->voyage = qn_json_get(body, "truncation") != NULL;
    return qn_inference_inputs(c, e->input, "input", &e->r.inputs, err);
}

qn_status qn_openai_embeddings(qn_call *c, qn_error *err)
{
    embeddings_call e;
    qn_vectors v;
    QN_TRY(read_embeddings(c, &e, err));
    qn_status st = qn_inference_embed(c, &e.r, &v, err);
    if (st == QN_ENOMODEL && e.voyage) return QN_EINVAL; /* 400 is what it looks for */
    QN_TRY(st);
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
        QN_TRY(qn_inference_write_numbers(c, vector, v.dims, e.form, e.base64, err));
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

/* As Cohere's client reads the same path. */
static bool list_cohere_model(void *ctx, const quern_model_info *m)
{
    qn_call *c = ctx;
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "name", m->name);
    qn_json_key(w, "endpoints");
    qn_json_begin_array(w);
    qn_json_str(w, strcmp(m->task, "rerank") == 0 ? "rerank" : "embed");
    qn_json_end_array(w);
    qn_json_member_bool(w, "finetuned", false);
    qn_json_member_int(w, "context_length", m->max_tokens);
    qn_json_end_object(w);
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
    qn_json_key(&c->w, "models");
    qn_json_begin_array(&c->w);
    QN_TRY(quern_model_list(c->q, list_cohere_model, c, err));
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
