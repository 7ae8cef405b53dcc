/* SPDX-License-Identifier: Apache-2.0 */
/* _analyze: what becomes of a text. */
#include "server/handlers.h"

#include "server/es/api_es.h"

static void write_token(void *ctx, const quern_token *t)
{
    qn_json_writer *w = ctx;
    qn_json_begin_object(w);
    qn_json_member_slice(w, "token", (qn_slice){t->text, t->text_size});
    qn_json_member_int(w, "start_offset", t->start16);
    qn_json_member_int(w, "end_offset", t->end16);
    qn_json_member_str(w, "type", t->type == NULL ? "word" : t->type);
    qn_json_member_int(w, "position", t->position);
    qn_json_end_object(w);
}

static char *name_of(qn_call *c, qn_slice s)
{
    return s.n == 0 ? NULL : qn_arena_strndup(c->arena, s.p, s.n);
}

qn_status qn_es_analyze(qn_call *c, qn_error *err)
{
    qn_slice analyzer = {"", 0}, field = {"", 0};
    const qn_json *body = NULL, *text = NULL;
    const qn_member members[] = {
        {"analyzer", QN_MEMBER_STRING, &analyzer, 0, 0},
        {"field", QN_MEMBER_STRING, &field, 0, 0},
        {"text", QN_MEMBER_ANY, &text, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const char *table = NULL;
    if (qn_route_arg(&c->match, "index").n > 0) QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    const qn_json *value = text;
    if (text != NULL && text->kind == QN_JSON_ARRAY && text->count == 1)
        value = text->first;
    if (value == NULL || value->kind != QN_JSON_STRING)
        return qn_fail(err, QN_EINVAL,
                       "[text] is required: a string, or a list of one string");
    if (analyzer.n == 0 && field.n == 0) analyzer = QN_SLICE_LIT("standard");
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "tokens");
    qn_json_begin_array(&c->w);
    QN_TRY(quern_analyze(c->q, table, name_of(c, field), name_of(c, analyzer),
                         value->string.p, value->string.n, write_token, &c->w, err));
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}
