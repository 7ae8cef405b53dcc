/* SPDX-License-Identifier: Apache-2.0 */
/* The dialect of text-embeddings-inference: /rerank, /embed, /info. */
#include "server/handlers.h"

#include "server/inference.h"
#include "server/server_internal.h"

void qn_tei_error(qn_call *c, const qn_error *err)
{
    int status = qn_status_describe(err->code)->http_status;
    const char *type = "Validation";
    switch (err->code) {
    case QN_EROUTE:
    case QN_EMETHOD:
    case QN_EBODY:
    case QN_EMEDIA:
        break;
    case QN_EBUSY:
    case QN_ENOMEM:
    case QN_ETIMEOUT:
        status = 429;
        type = "Overloaded";
        break;
    case QN_ETOOLONG:
        status = 422;
        type = "Tokenizer";
        break;
    default:
        type = status < 500 && status != 404 ? "Validation" : "Backend";
        status = status < 500 && status != 404 ? 422 : 424;
    }
    qn_call_json(c, status);
    qn_json_begin_object(&c->w);
    qn_json_member_str(&c->w, "error", qn_call_error_text(c, err));
    qn_json_member_str(&c->w, "error_type", type);
    qn_json_end_object(&c->w);
}

static qn_status check_direction(qn_slice direction, qn_error *err)
{
    if (direction.n == 0 || qn_slice_eq_nocase(direction, "right")) return QN_OK;
    return qn_fail(err, QN_EUNSUPPORTED,
                   "[truncation_direction] must be Right: texts are cut at their end");
}

qn_status qn_tei_rerank(qn_call *c, qn_error *err)
{
    qn_slice query = {NULL, 0}, direction = {"", 0};
    const qn_json *body = NULL, *list = NULL;
    bool truncate = true, raw = false, return_text = false;
    const qn_member members[] = {
        {"query", QN_MEMBER_STRING, &query, 0, 0},
        {"texts", QN_MEMBER_ANY, &list, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &direction, 0, 0},
        {"raw_scores", QN_MEMBER_BOOL, &raw, 0, 0},
        {"return_text", QN_MEMBER_BOOL, &return_text, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    quern_text *texts = NULL;
    size_t count = 0;
    qn_ranking r;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (query.p == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    QN_TRY(check_direction(direction, err));
    QN_TRY(qn_inference_texts(c, list, "texts", QN_LIMIT_RERANK_DOCUMENTS, false,
                              &texts, &count, err));
    QN_TRY(qn_inference_rerank(c, (qn_slice){"", 0}, query, texts, count, &r, err));
    if (r.truncated && !truncate)
        return qn_fail(
            err, QN_ETOOLONG,
            "a pair is longer than the model reads, and [truncate] is false");
    if (r.unscored > 0)
        return qn_fail(err, QN_ETIMEOUT, "time was up with %zu of %zu texts unscored",
                       r.unscored, count);
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < r.count; i++) {
        const qn_ranked *item = &r.items[i];
        qn_json_begin_object(&c->w);
        qn_json_member_int(&c->w, "index", (int64_t)item->index);
        qn_json_key(&c->w, "score");
        qn_json_float(&c->w, raw ? item->logit : item->score);
        if (return_text)
            qn_json_member_slice(
                &c->w, "text",
                (qn_slice){texts[item->index].text, texts[item->index].size});
        qn_json_end_object(&c->w);
    }
    qn_json_end_array(&c->w);
    return QN_OK;
}

qn_status qn_tei_embed(qn_call *c, qn_error *err)
{
    qn_slice direction = {"", 0};
    const qn_json *body = NULL, *list = NULL;
    bool truncate = true, normalize = true;
    const qn_member members[] = {
        {"inputs", QN_MEMBER_ANY, &list, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &direction, 0, 0},
        {"normalize", QN_MEMBER_BOOL, &normalize, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    quern_text *texts = NULL;
    size_t count = 0;
    qn_vectors v;
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(check_direction(direction, err));
    if (!normalize)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[normalize] must be true: the models' "
                       "vectors have length 1");
    QN_TRY(qn_inference_texts(c, list, "inputs", QN_LIMIT_EMBED_TEXTS, true, &texts,
                              &count, err));
    QN_TRY(qn_inference_embed(c, (qn_slice){"", 0}, texts, count, &v, err));
    qn_call_json(c, 200);
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < v.count; i++) {
        qn_json_begin_array(&c->w);
        for (size_t k = 0; k < v.dims; k++)
            qn_json_float(&c->w, v.floats[i * v.dims + k]);
        qn_json_end_array(&c->w);
    }
    qn_json_end_array(&c->w);
    return QN_OK;
}

qn_status qn_tei_info(qn_call *c, qn_error *err)
{
    quern_model_info info;
    const char *model = c->server->options.default_reranker;
    QN_TRY(quern_model_info_get(c->q, model, &info, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "model_id", info.name);
    qn_json_key(w, "model_sha");
    qn_json_null(w);
    qn_json_member_str(w, "model_dtype", info.dtype);
    qn_json_key(w, "model_type");
    qn_json_begin_object(w);
    qn_json_key(w, "reranker");
    qn_json_begin_object(w);
    qn_json_end_object(w);
    qn_json_end_object(w);
    qn_json_member_int(w, "max_concurrent_requests", c->server->options.queue_max);
    qn_json_member_int(w, "max_input_length", info.max_tokens);
    qn_json_member_int(w, "max_client_batch_size", QN_LIMIT_RERANK_DOCUMENTS);
    qn_json_member_bool(w, "auto_truncate", true);
    qn_json_member_str(w, "version", quern_version());
    qn_json_end_object(w);
    return QN_OK;
}
