/* SPDX-License-Identifier: Apache-2.0 */
/* /tokenize of text-embeddings-inference, and texts cut at their beginning. */
#include "server/api_tei.h"

#include "base/vec.h"
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

/* ---- cutting at the beginning ------------------------------------------------------- */

typedef struct id_list {
    qn_alloc *alloc;
    QN_VEC(uint32_t) ids;
    size_t before, after; /* special tokens around the text's own */
    bool own, failed;
} id_list;

static void take_id(void *ctx, const quern_piece *p)
{
    id_list *l = ctx;
    l->failed |= !qn_vec_push(l->alloc, &l->ids, p->id);
    if (!p->special)
        l->own = true;
    else if (l->own)
        l->after++;
    else
        l->before++;
}

/* The special tokens, and of the others as many of the last as there is room for. */
static qn_status keep_end(qn_call *c, const id_list *l, size_t most,
                          quern_token_ids *out, qn_error *err)
{
    uint32_t *ids = qn_arena_array(c->arena, most, sizeof *ids);
    if (ids == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the token ids");
    memcpy(ids, l->ids.p, l->before * sizeof *ids);
    size_t rest = most - l->before;
    memcpy(ids + l->before, l->ids.p + (l->ids.n - rest), rest * sizeof *ids);
    *out = (quern_token_ids){ids, most};
    return QN_OK;
}

qn_status qn_tei_keep_ends(qn_call *c, qn_embed_request *r, qn_error *err)
{
    const char *model = NULL;
    quern_model_info info;
    qn_inputs *in = &r->inputs;
    QN_TRY(
        qn_server_model(c, r->model, c->server->options.default_embedder, &model, err));
    QN_TRY(quern_model_info_get(c->q, model, &info, err));
    if (in->ids == NULL) {
        in->ids = qn_arena_array(c->arena, in->count, sizeof *in->ids);
        if (in->ids == NULL)
            return qn_fail(err, QN_ENOMEM, "no memory for the token ids");
        memset(in->ids, 0, in->count * sizeof *in->ids);
    }
    qn_status st = QN_OK;
    size_t cut = 0;
    for (size_t i = 0; st == QN_OK && i < in->count; i++) {
        if (in->ids[i].ids != NULL) continue;
        id_list l = {.alloc = c->out->body.alloc};
        st = quern_tokenize(c->q, model, in->texts[i], true, take_id, &l, err);
        if (st == QN_OK && l.failed)
            st = qn_fail(err, QN_ENOMEM, "no memory for the token ids");
        if (st == QN_OK && l.ids.n > info.max_tokens) {
            st = keep_end(c, &l, info.max_tokens, &in->ids[i], err);
            cut++;
        }
        qn_vec_deinit(l.alloc, &l.ids);
    }
    if (st != QN_OK || cut == 0) return st;
    const char *text = qn_arena_printf(c->arena, "%zu", cut);
    if (text != NULL) qn_http_add_header(c->out, "X-Quern-Truncated", text);
    return QN_OK;
}
