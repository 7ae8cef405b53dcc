/* SPDX-License-Identifier: Apache-2.0 */
/* inference_texts.c -- the texts of inference requests, in and out. */
#include "server/inference/inference.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- reading ------------------------------------------------------------------------ */

static qn_status read_text(qn_call *c, const qn_json *v, const char *name,
                           quern_text *out, qn_error *err)
{
    const qn_json *text = v->kind == QN_JSON_OBJECT ? qn_json_get(v, "text") : v;
    uint64_t at = qn_json_offset(v, c->request->body);
    if (text == NULL || text->kind != QN_JSON_STRING)
        return qn_fail_at(err, QN_EINVAL, at,
                          "[%s] must hold strings (or objects with a string [text])",
                          name);
    if (text->string.n > QN_LIMIT_RERANK_TEXT_BYTES)
        return qn_fail_at(err, QN_ELIMIT, at, "a text of [%s] is longer than %d bytes",
                          name, QN_LIMIT_RERANK_TEXT_BYTES);
    *out = (quern_text){.text = text->string.p, .size = text->string.n};
    return QN_OK;
}

static qn_status check_list(qn_call *c, const qn_json *list, const char *name,
                            size_t max, qn_error *err)
{
    if (list == NULL) return qn_fail(err, QN_EINVAL, "[%s] is required", name);
    if (list->kind != QN_JSON_ARRAY)
        return qn_fail_at(err, QN_EINVAL, qn_json_offset(list, c->request->body),
                          "[%s] must be a list of strings, not %s", name,
                          qn_json_kind_name(list->kind));
    if (list->count == 0) return qn_fail(err, QN_EEMPTY, "[%s] is empty", name);
    if (list->count > max)
        return qn_fail(err, QN_ELIMIT, "[%s] has %zu texts, at most %zu are allowed",
                       name, list->count, max);
    return QN_OK;
}

static qn_status new_texts(qn_call *c, size_t count, quern_text **out, qn_error *err)
{
    *out = qn_arena_array(c->arena, count, sizeof **out);
    return *out == NULL ? qn_fail(err, QN_ENOMEM, "no memory for the texts") : QN_OK;
}

qn_status qn_inference_texts(qn_call *c, const qn_json *list, const char *name,
                             size_t max, bool one, quern_text **out, size_t *count,
                             qn_error *err)
{
    one = one && list != NULL && list->kind == QN_JSON_STRING;
    if (!one) QN_TRY(check_list(c, list, name, max, err));
    *count = one ? 1 : list->count;
    QN_TRY(new_texts(c, *count, out, err));
    if (one) return read_text(c, list, name, *out, err);
    size_t i = 0;
    for (const qn_json *v = list->first; v != NULL; v = v->next, i++)
        QN_TRY(read_text(c, v, name, &(*out)[i], err));
    return QN_OK;
}

static bool is_text_alone(const qn_json *fields)
{
    return fields == NULL ||
           (fields->count == 1 && qn_slice_eq_str(fields->first->string, "text"));
}

static qn_status check_fields(qn_call *c, const qn_json *fields, qn_error *err)
{
    bool good = fields == NULL || (fields->kind == QN_JSON_ARRAY && fields->count > 0);
    for (const qn_json *v = qn_json_items(fields); good && v != NULL; v = v->next)
        good = v->kind == QN_JSON_STRING;
    if (good) return QN_OK;
    return qn_fail_at(err, QN_EINVAL, qn_json_offset(fields, c->request->body),
                      "[rank_fields] must be a list of names");
}

/* The values of the members that `fields` names, in that order, one a line. */
static qn_status join_fields(qn_call *c, const qn_json *document, const qn_json *fields,
                             quern_text *out, qn_error *err)
{
    qn_buf text;
    qn_buf_init(&text, c->out->body.alloc);
    uint64_t at = qn_json_offset(document, c->request->body);
    for (const qn_json *f = fields->first; f != NULL; f = f->next) {
        const char *name = qn_arena_strndup(c->arena, f->string.p, f->string.n);
        const qn_json *v = name == NULL ? NULL : qn_json_get(document, name);
        if (v == NULL || v->kind == QN_JSON_NULL) continue;
        if (text.n > 0) qn_buf_add_char(&text, '\n');
        qn_buf_add_slice(&text, v->kind == QN_JSON_STRING ? v->string : v->raw);
    }
    qn_slice joined = qn_arena_slice(c->arena, qn_buf_slice(&text));
    bool empty = text.n == 0, lost = text.failed || joined.p == NULL;
    qn_buf_deinit(&text);
    *out = (quern_text){joined.p, joined.n};
    if (empty)
        return qn_fail_at(err, QN_EINVAL, at,
                          "a document of [documents] has none of the [rank_fields]");
    if (lost) return qn_fail(err, QN_ENOMEM, "no memory for the texts");
    if (joined.n <= QN_LIMIT_RERANK_TEXT_BYTES) return QN_OK;
    return qn_fail_at(err, QN_ELIMIT, at,
                      "a text of [documents] is longer than %d bytes",
                      QN_LIMIT_RERANK_TEXT_BYTES);
}

qn_status qn_inference_documents(qn_call *c, const qn_json *list, const qn_json *fields,
                                 quern_text **out, size_t *count, qn_error *err)
{
    QN_TRY(check_fields(c, fields, err));
    if (is_text_alone(fields))
        return qn_inference_texts(c, list, "documents", QN_LIMIT_RERANK_DOCUMENTS,
                                  false, out, count, err);
    QN_TRY(check_list(c, list, "documents", QN_LIMIT_RERANK_DOCUMENTS, err));
    *count = list->count;
    QN_TRY(new_texts(c, *count, out, err));
    size_t i = 0;
    for (const qn_json *v = list->first; v != NULL; v = v->next, i++) {
        if (v->kind == QN_JSON_OBJECT)
            QN_TRY(join_fields(c, v, fields, &(*out)[i], err));
        else
            QN_TRY(read_text(c, v, "documents", &(*out)[i], err));
    }
    return QN_OK;
}

/* ---- texts as token ids ------------------------------------------------------------- */

static qn_status read_ids(qn_call *c, const qn_json *list, const char *name,
                          quern_token_ids *out, qn_error *err)
{
    if (list->count == 0 || list->count > QN_LIMIT_TOKEN_IDS)
        return qn_fail_at(err, list->count == 0 ? QN_EEMPTY : QN_ELIMIT,
                          qn_json_offset(list, c->request->body),
                          "[%s]: a list of token ids has 1 to %d of them", name,
                          QN_LIMIT_TOKEN_IDS);
    uint32_t *ids = qn_arena_array(c->arena, list->count, sizeof *ids);
    if (ids == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the token ids");
    size_t i = 0;
    for (const qn_json *v = list->first; v != NULL; v = v->next, i++) {
        if (v->kind != QN_JSON_INT || v->integer < 0 || v->integer > UINT32_MAX)
            return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, c->request->body),
                              "[%s]: a token id is a whole number", name);
        ids[i] = (uint32_t)v->integer;
    }
    *out = (quern_token_ids){ids, list->count};
    return QN_OK;
}

static bool is_number_list(const qn_json *v)
{
    return v->kind == QN_JSON_ARRAY && v->count > 0 &&
           (v->first->kind == QN_JSON_INT || v->first->kind == QN_JSON_DOUBLE);
}

static bool has_lists(const qn_json *list)
{
    for (const qn_json *v = qn_json_items(list); v != NULL; v = v->next)
        if (v->kind == QN_JSON_ARRAY) return true;
    return false;
}

qn_status qn_inference_inputs(qn_call *c, const qn_json *list, const char *name,
                              qn_inputs *out, qn_error *err)
{
    *out = (qn_inputs){0};
    if (list == NULL) return qn_fail(err, QN_EINVAL, "[%s] is required", name);
    bool single = is_number_list(list);
    out->one = single || list->kind == QN_JSON_STRING;
    if (!single && (list->kind != QN_JSON_ARRAY || !has_lists(list)))
        return qn_inference_texts(c, list, name, QN_LIMIT_EMBED_TEXTS, true,
                                  &out->texts, &out->count, err);
    if (!single) QN_TRY(check_list(c, list, name, QN_LIMIT_EMBED_TEXTS, err));
    out->count = single ? 1 : list->count;
    QN_TRY(new_texts(c, out->count, &out->texts, err));
    out->ids = qn_arena_array(c->arena, out->count, sizeof *out->ids);
    if (out->ids == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the token ids");
    memset(out->ids, 0, out->count * sizeof *out->ids);
    memset(out->texts, 0, out->count * sizeof *out->texts);
    if (single) return read_ids(c, list, name, out->ids, err);
    size_t i = 0;
    for (const qn_json *v = list->first; v != NULL; v = v->next, i++) {
        if (v->kind == QN_JSON_ARRAY)
            QN_TRY(read_ids(c, v, name, &out->ids[i], err));
        else
            QN_TRY(read_text(c, v, name, &out->texts[i], err));
    }
    return QN_OK;
}

/* ---- writing ------------------------------------------------------------------------ */

void qn_inference_write_vector(qn_call *c, const float *v, size_t dims)
{
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < dims; i++) qn_json_float(&c->w, v[i]);
    qn_json_end_array(&c->w);
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

void qn_inference_write_base64(qn_call *c, const void *bytes, size_t n)
{
    qn_json_str(&c->w, ""); /* the quotes; the digits go between them */
    c->out->body.n--;
    add_base64(&c->out->body, bytes, n);
    qn_buf_add_char(&c->out->body, '"');
}

void qn_inference_write_id(qn_call *c, const char *prefix)
{
    uint64_t a = qn_clock_seed(), b = qn_clock_seed();
    char id[80];
    (void)snprintf(id, sizeof id, "%s%08x-%04x-4%03x-%04x-%012" PRIx64, prefix,
                   (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xFFFF),
                   (unsigned)(a & 0xFFF), (unsigned)(0x8000 | (b >> 48 & 0x3FFF)),
                   b & UINT64_C(0xFFFFFFFFFFFF));
    qn_json_member_str(&c->w, "id", id);
}

void qn_inference_write_usage(qn_call *c, uint64_t tokens, bool completion)
{
    qn_json_begin_object(&c->w);
    qn_json_member_int(&c->w, "prompt_tokens", (int64_t)tokens);
    qn_json_member_int(&c->w, "total_tokens", (int64_t)tokens);
    if (completion) qn_json_member_int(&c->w, "completion_tokens", 0);
    qn_json_end_object(&c->w);
}
