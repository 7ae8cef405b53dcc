/* SPDX-License-Identifier: Apache-2.0 */
/* /tokenize and /decode of text-embeddings-inference and of vLLM, which the members of a
 * request tell apart. */
#include "server/inference/api_tei.h"

#include "server/handlers.h"
#include "server/server_internal.h"

static void write_piece(void *ctx, const quern_piece *p)
{
    qn_call *c = ctx;
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_int(w, "id", p->id);
    qn_json_member_slice(w, "text", (qn_slice){p->text, p->text_size});
    qn_json_member_bool(w, "special", p->special);
    qn_json_key(w, "start");
    p->special ? qn_json_null(w) : qn_json_int(w, p->start);
    qn_json_key(w, "stop");
    p->special ? qn_json_null(w) : qn_json_int(w, p->end);
    qn_json_end_object(w);
}

/* Which model's vocabulary: the named one's, else the default reranker's. */
static qn_status vocabulary_of(qn_call *c, qn_slice asked, const char **model,
                               qn_error *err)
{
    return qn_server_model(c, asked, c->server->options.default_reranker, model, err);
}

qn_status qn_tei_tokenize(qn_call *c, qn_error *err)
{
    qn_slice asked = {"", 0};
    const qn_json *body = NULL, *inputs = NULL, *prompt = NULL;
    bool special = true;
    const qn_member members[] = {
        {"inputs", QN_MEMBER_ANY, &inputs, 0, 0},
        {"add_special_tokens", QN_MEMBER_BOOL, &special, 0, 0},
        {"prompt_name", QN_MEMBER_ANY, &prompt, 0, 0},
        {"model", QN_MEMBER_STRING, &asked, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const char *model = NULL;
    quern_text *texts = NULL;
    size_t count = 0;
    QN_TRY(qn_call_object(c, &body, err));
    if (qn_json_get(body, "prompt") != NULL || qn_json_get(body, "messages") != NULL) {
        c->api = QN_API_VLLM;
        return qn_vllm_tokenize(c, err);
    }
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (prompt != NULL && prompt->kind != QN_JSON_NULL)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[prompt_name]: put the prompt in front of the text");
    QN_TRY(vocabulary_of(c, asked, &model, err));
    QN_TRY(qn_inference_texts(c, inputs, "inputs", QN_LIMIT_EMBED_TEXTS, true, &texts,
                              &count, err));
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < count; i++) {
        qn_json_begin_array(&c->w);
        QN_TRY(quern_tokenize(c->q, model, texts[i], special, write_piece, c, err));
        qn_json_end_array(&c->w);
    }
    qn_json_end_array(&c->w);
    return QN_OK;
}

/* ---- ids to texts ------------------------------------------------------------------- */

/* A list of ids, or a list of such lists. */
static qn_status read_ids(qn_call *c, const qn_json *list, const char *name,
                          qn_inputs *out, qn_error *err)
{
    QN_TRY(qn_inference_inputs(c, list, name, out, err));
    bool ids = out->ids != NULL;
    for (size_t i = 0; ids && i < out->count; i++) ids = out->ids[i].ids != NULL;
    if (ids) return QN_OK;
    return qn_fail_at(err, QN_EINVAL, qn_json_offset(list, c->request->body),
                      "[%s] must be token ids, or lists of them", name);
}

static qn_status write_text(qn_call *c, const char *model, quern_token_ids ids,
                            bool skip_special, qn_error *err)
{
    char *text = NULL;
    size_t n = 0;
    QN_TRY(quern_detokenize(c->q, model, ids.ids, ids.count, skip_special, &text, &n,
                            err));
    qn_json_string(&c->w, (qn_slice){text, n});
    quern_free(text);
    return QN_OK;
}

qn_status qn_tei_decode(qn_call *c, qn_error *err)
{
    qn_slice asked = {"", 0};
    const qn_json *body = NULL, *list = NULL;
    bool skip = true;
    const qn_member members[] = {
        {"ids", QN_MEMBER_ANY, &list, 0, 0},
        {"skip_special_tokens", QN_MEMBER_BOOL, &skip, 0, 0},
        {"model", QN_MEMBER_STRING, &asked, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const char *model = NULL;
    qn_inputs ids;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(read_ids(c, list, "ids", &ids, err));
    QN_TRY(vocabulary_of(c, asked, &model, err));
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < ids.count; i++)
        QN_TRY(write_text(c, model, ids.ids[i], skip, err));
    qn_json_end_array(&c->w);
    return QN_OK;
}

/* ---- vLLM --------------------------------------------------------------------------- */

typedef struct pieces_call {
    qn_call *c;
    qn_buf names; /* token_strs, without what ends the list */
    size_t count;
} pieces_call;

static void write_id(void *ctx, const quern_piece *p)
{
    pieces_call *x = ctx;
    qn_json_writer w;
    qn_json_int(&x->c->w, p->id);
    qn_buf_add_char(&x->names, x->count++ > 0 ? ',' : '[');
    qn_json_writer_init(&w, &x->names, false);
    qn_json_string(&w, (qn_slice){p->text, p->text_size});
}

qn_status qn_vllm_tokenize(qn_call *c, qn_error *err)
{
    qn_slice asked = {"", 0}, prompt = {NULL, 0};
    const qn_json *body = NULL, *messages = NULL;
    bool special = true, names = false;
    const qn_member members[] = {
        {"prompt", QN_MEMBER_STRING, &prompt, 0, 0},
        {"messages", QN_MEMBER_ANY, &messages, 0, 0},
        {"add_special_tokens", QN_MEMBER_BOOL, &special, 0, 0},
        {"return_token_strs", QN_MEMBER_BOOL, &names, 0, 0},
        {"model", QN_MEMBER_STRING, &asked, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const char *model = NULL;
    quern_model_info info;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (messages != NULL)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[messages]: no model here has a chat template; send [prompt]");
    if (prompt.p == NULL) return qn_fail(err, QN_EINVAL, "[prompt] is required");
    if (prompt.n > QN_LIMIT_RERANK_TEXT_BYTES)
        return qn_fail(err, QN_ELIMIT, "[prompt] is longer than %d bytes",
                       QN_LIMIT_RERANK_TEXT_BYTES);
    QN_TRY(vocabulary_of(c, asked, &model, err));
    QN_TRY(quern_model_info_get(c->q, model, &info, err));
    pieces_call x = {.c = c};
    qn_buf_init(&x.names, c->out->body.alloc);
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "tokens");
    qn_json_begin_array(w);
    qn_status st = quern_tokenize(c->q, model, (quern_text){prompt.p, prompt.n},
                                  special, write_id, &x, err);
    qn_json_end_array(w);
    qn_json_member_int(w, "count", (int64_t)x.count);
    qn_json_member_int(w, "max_model_len", info.max_tokens);
    qn_json_key(w, "token_strs");
    if (x.count == 0) qn_buf_add_char(&x.names, '[');
    qn_buf_add_char(&x.names, ']');
    names ? qn_json_raw(w, qn_buf_slice(&x.names)) : qn_json_null(w);
    qn_json_end_object(w);
    if (st == QN_OK && x.names.failed) st = qn_fail(err, QN_ENOMEM, "no memory");
    qn_buf_deinit(&x.names);
    return st;
}

qn_status qn_vllm_detokenize(qn_call *c, qn_error *err)
{
    qn_slice asked = {"", 0};
    const qn_json *body = NULL, *list = NULL;
    const qn_member members[] = {
        {"tokens", QN_MEMBER_ANY, &list, 0, 0},
        {"model", QN_MEMBER_STRING, &asked, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const char *model = NULL;
    qn_inputs ids;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(read_ids(c, list, "tokens", &ids, err));
    if (!ids.one)
        return qn_fail(err, QN_EINVAL, "[tokens] must be one list of token ids");
    QN_TRY(vocabulary_of(c, asked, &model, err));
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "prompt");
    QN_TRY(write_text(c, model, ids.ids[0], false, err));
    qn_json_key(&c->w, "text"); /* as Cohere's client reads the same path */
    QN_TRY(write_text(c, model, ids.ids[0], false, err));
    qn_json_end_object(&c->w);
    return QN_OK;
}
