/* SPDX-License-Identifier: Apache-2.0 */
/* /tokenize and /decode of text-embeddings-inference and of vLLM, which the members of a
 * request tell apart. */
#include "server/api_tei.h"

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

qn_status qn_tei_tokenize(qn_call *c, qn_error *err)
{
    qn_slice asked = {"", 0};
    const qn_json *body = NULL, *inputs = NULL;
    bool special = true;
    const qn_member members[] = {
        {"inputs", QN_MEMBER_ANY, &inputs, 0, 0},
        {"add_special_tokens", QN_MEMBER_BOOL, &special, 0, 0},
        {"model", QN_MEMBER_STRING, &asked, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const char *model = NULL;
    quern_text *texts = NULL;
    size_t count = 0;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(qn_server_model(c, asked, c->server->options.default_reranker, &model, err));
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
