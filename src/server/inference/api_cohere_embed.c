/* SPDX-License-Identifier: Apache-2.0 */
/* Cohere's /v1/embed and /v2/embed. */
#include "server/inference/api_tei.h"

#include "server/handlers.h"
#include "server/server_internal.h"

typedef struct cohere_embed {
    qn_embed_request r;
    const qn_json *texts, *inputs, *types;
    qn_slice truncate, input_type;
    int64_t dims, tokens;
    bool forms[QN_NUMBERS_UBINARY + 1], base64; /* asked for */
} cohere_embed;

static qn_status read_types(qn_call *c, cohere_embed *e, qn_error *err)
{
    e->forms[QN_NUMBERS_FLOAT] = e->types == NULL;
    if (e->types != NULL && (e->types->kind != QN_JSON_ARRAY || e->types->count == 0))
        return qn_fail(err, QN_EINVAL, "[embedding_types] must be a list of names");
    for (const qn_json *v = qn_json_items(e->types); v != NULL; v = v->next) {
        qn_number_form form;
        bool base64 = qn_slice_eq_str(v->string, "base64");
        e->base64 |= base64;
        if (qn_number_form_parse(v->string, &form))
            e->forms[form] = true;
        else if (!base64)
            return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, c->request->body),
                              "[embedding_types] may have float, int8, uint8, binary, "
                              "ubinary and base64");
    }
    return QN_OK;
}

static qn_status read_truncate(cohere_embed *e, qn_error *err)
{
    e->r.refuse_long = qn_slice_eq_nocase(e->truncate, "none");
    e->r.keep_ends = qn_slice_eq_nocase(e->truncate, "start");
    if (e->truncate.n == 0 || e->r.refuse_long || e->r.keep_ends ||
        qn_slice_eq_nocase(e->truncate, "end"))
        return QN_OK;
    return qn_fail(err, QN_EINVAL, "[truncate] must be NONE, START or END");
}

/* {"content":[{"type":"text","text":"..."}]} to its text. */
static qn_status read_content(qn_call *c, const qn_json *input, quern_text *out,
                              qn_error *err)
{
    const qn_json *content = qn_json_get(input, "content");
    const qn_json *part = qn_json_items(content);
    const qn_json *text = qn_json_get(part, "text");
    if (content != NULL && content->count == 1 && text != NULL &&
        text->kind == QN_JSON_STRING && text->string.n <= QN_LIMIT_RERANK_TEXT_BYTES) {
        *out = (quern_text){text->string.p, text->string.n};
        return QN_OK;
    }
    return qn_fail_at(err, QN_EUNSUPPORTED, qn_json_offset(input, c->request->body),
                      "[inputs]: a [content] must be one text of at most %d bytes",
                      QN_LIMIT_RERANK_TEXT_BYTES);
}

static qn_status read_inputs(qn_call *c, cohere_embed *e, qn_error *err)
{
    qn_inputs *in = &e->r.inputs;
    if (e->inputs == NULL)
        return qn_inference_texts(c, e->texts, "texts", QN_LIMIT_EMBED_TEXTS, false,
                                  &in->texts, &in->count, err);
    if (e->inputs->kind != QN_JSON_ARRAY || e->inputs->count == 0)
        return qn_fail(err, QN_EINVAL, "[inputs] must be a list");
    if (e->inputs->count > QN_LIMIT_EMBED_TEXTS)
        return qn_fail(err, QN_ELIMIT, "[inputs] has %zu texts, at most %d are allowed",
                       e->inputs->count, QN_LIMIT_EMBED_TEXTS);
    in->count = e->inputs->count;
    in->texts = qn_arena_array(c->arena, in->count, sizeof *in->texts);
    if (in->texts == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the texts");
    size_t i = 0;
    for (const qn_json *v = e->inputs->first; v != NULL; v = v->next)
        QN_TRY(read_content(c, v, &in->texts[i++], err));
    return QN_OK;
}

static qn_status read_embed(qn_call *c, cohere_embed *e, bool v2, qn_error *err)
{
    const qn_json *body = NULL, *images = NULL;
    *e = (cohere_embed){.r = {.length = QUERN_LENGTH_ONE}};
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &e->r.model, 0, 0},
        {"texts", QN_MEMBER_ANY, &e->texts, 0, 0},
        {"images", QN_MEMBER_ANY, &images, 0, 0},
        {"input_type", QN_MEMBER_STRING, &e->input_type, 0, 0},
        {"embedding_types", QN_MEMBER_ANY, &e->types, 0, 0},
        {"truncate", QN_MEMBER_STRING, &e->truncate, 0, 0},
        /* of v2 */
        {"inputs", QN_MEMBER_ANY, &e->inputs, 0, 0},
        {"max_tokens", QN_MEMBER_INT, &e->tokens, 1, 1 << 30},
        {"output_dimension", QN_MEMBER_INT, &e->dims, 1, 65536},
        {"priority", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (v2 && e->r.model.n == 0) return qn_fail(err, QN_EINVAL, "[model] is required");
    if (qn_json_items(images) != NULL)
        return qn_fail(err, QN_EUNSUPPORTED, "[images] are not embedded here");
    e->r.dims = (uint32_t)e->dims;
    e->r.tokens_max = (uint32_t)e->tokens;
    if (qn_slice_eq_str(e->input_type, "search_query"))
        e->r.role = QN_SLICE_LIT("query");
    if (qn_slice_eq_str(e->input_type, "search_document"))
        e->r.role = QN_SLICE_LIT("document");
    QN_TRY(read_types(c, e, err));
    QN_TRY(read_inputs(c, e, err));
    return read_truncate(e, err);
}

static qn_status write_vectors(qn_call *c, const qn_vectors *v, qn_number_form form,
                               bool base64, qn_error *err)
{
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < v->count; i++)
        QN_TRY(qn_inference_write_numbers(c, v->floats + i * v->dims, v->dims, form,
                                          base64, err));
    qn_json_end_array(&c->w);
    return QN_OK;
}

/* {"float":[...],"int8":[...],...} */
static qn_status write_by_type(qn_call *c, const cohere_embed *e, const qn_vectors *v,
                               qn_error *err)
{
    qn_json_begin_object(&c->w);
    for (size_t f = 0; f < sizeof e->forms / sizeof *e->forms; f++) {
        if (!e->forms[f]) continue;
        qn_json_key(&c->w, qn_number_form_name((qn_number_form)f));
        QN_TRY(write_vectors(c, v, (qn_number_form)f, false, err));
    }
    if (e->base64) qn_json_key(&c->w, "base64");
    if (e->base64) QN_TRY(write_vectors(c, v, QN_NUMBERS_FLOAT, true, err));
    qn_json_end_object(&c->w);
    return QN_OK;
}

static void write_meta(qn_json_writer *w, const char *version, const qn_vectors *v)
{
    qn_json_key(w, "meta");
    qn_json_begin_object(w);
    qn_json_key(w, "api_version");
    qn_json_begin_object(w);
    qn_json_member_str(w, "version", version);
    qn_json_end_object(w);
    qn_json_key(w, "billed_units");
    qn_json_begin_object(w);
    qn_json_member_int(w, "input_tokens", (int64_t)v->tokens);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

static qn_status embed(qn_call *c, bool v2, qn_error *err)
{
    cohere_embed e;
    qn_vectors v;
    QN_TRY(read_embed(c, &e, v2, err));
    QN_TRY(qn_inference_embed(c, &e.r, &v, err));
    bool by_type = v2 || e.types != NULL;
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "response_type",
                       by_type ? "embeddings_by_type" : "embeddings_floats");
    qn_inference_write_id(c, "");
    qn_json_key(w, "embeddings");
    QN_TRY(by_type ? write_by_type(c, &e, &v, err)
                   : write_vectors(c, &v, QN_NUMBERS_FLOAT, false, err));
    qn_json_key(w, "texts");
    qn_json_begin_array(w);
    for (size_t i = 0; i < v.count; i++)
        qn_json_string(w,
                       (qn_slice){e.r.inputs.texts[i].text, e.r.inputs.texts[i].size});
    qn_json_end_array(w);
    write_meta(w, v2 ? "2" : "1", &v);
    qn_json_end_object(w);
    return QN_OK;
}

qn_status qn_cohere_embed_v1(qn_call *c, qn_error *err)
{
    return embed(c, false, err);
}

qn_status qn_cohere_embed_v2(qn_call *c, qn_error *err)
{
    return embed(c, true, err);
}
