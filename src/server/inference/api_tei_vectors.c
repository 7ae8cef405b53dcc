/* SPDX-License-Identifier: Apache-2.0 */
/* The routes of text-embeddings-inference whose vectors are not one a text: /embed_sparse
 * (weights of the vocabulary's tokens) and /embed_all (a vector for each token). */
#include "server/inference/api_tei.h"

#include "server/handlers.h"
#include "server/server_internal.h"

static qn_status read_least(const qn_json *v, float *out, qn_error *err)
{
    if (v == NULL) return QN_OK;
    bool number = v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE;
    if (!number || !(v->number >= 0.0))
        return qn_fail(err, QN_EINVAL, "[min_weight] must be a number from 0 on");
    *out = (float)v->number;
    return QN_OK;
}

static qn_status read_call(qn_call *c, qn_embed_request *r, qn_error *err)
{
    const qn_json *body = NULL, *list = NULL, *least = NULL;
    qn_slice direction = {"", 0};
    int64_t top_k = 0;
    bool truncate = true;
    const qn_member members[] = {
        {"inputs", QN_MEMBER_ANY, &list, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &direction, 0, 0},
        {"prompt_name", QN_MEMBER_STRING, &r->prompt_name, 0, 0},
        {"model", QN_MEMBER_STRING, &r->model, 0, 0},
        /* not of the original */
        {"input_type", QN_MEMBER_STRING, &r->role, 0, 0},
        {"top_k", QN_MEMBER_INT, &top_k, 1, 1 << 24},
        {"min_weight", QN_MEMBER_ANY, &least, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(read_least(least, &r->weight_min, err));
    QN_TRY(qn_tei_direction(direction, &r->keep_ends, err));
    r->terms_max = (size_t)top_k;
    r->refuse_long = !truncate;
    return qn_inference_inputs(c, list, "inputs", &r->inputs, err);
}

qn_status qn_tei_embed_sparse(qn_call *c, qn_error *err)
{
    qn_embed_request r = {.model = {"", 0}};
    qn_sparse_texts sparse;
    QN_TRY(read_call(c, &r, err));
    QN_TRY(qn_inference_sparse(c, &r, &sparse, err));
    qn_tei_compute_headers(c, sparse.tokens, r.inputs.texts, r.inputs.count);
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_array(w);
    for (size_t i = 0; i < sparse.count; i++) {
        qn_json_begin_array(w);
        for (size_t k = 0; k < sparse.texts[i].count; k++) {
            qn_json_begin_object(w);
            qn_json_member_int(w, "index", sparse.texts[i].terms[k].id);
            qn_json_key(w, "value");
            qn_json_float(w, sparse.texts[i].terms[k].weight);
            qn_json_end_object(w);
        }
        qn_json_end_array(w);
    }
    qn_json_end_array(w);
    return QN_OK;
}

qn_status qn_tei_embed_all(qn_call *c, qn_error *err)
{
    qn_embed_request r = {.model = {"", 0}};
    qn_token_texts all;
    QN_TRY(read_call(c, &r, err));
    QN_TRY(qn_inference_tokens(c, &r, &all, err));
    qn_tei_compute_headers(c, all.tokens, r.inputs.texts, r.inputs.count);
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < all.count; i++) {
        const qn_token_text *text = &all.texts[i];
        qn_json_begin_array(&c->w);
        for (size_t k = 0; k < text->count; k++)
            qn_inference_write_vector(c, text->vectors + k * all.dims, all.dims);
        qn_json_end_array(&c->w);
    }
    qn_json_end_array(&c->w);
    return QN_OK;
}
