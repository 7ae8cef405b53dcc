/* SPDX-License-Identifier: Apache-2.0 */
/* POST /_quern/attribute: which words moved a pair's score. */
#include "server/handlers.h"

#include "server/server_internal.h"

enum { TIMEOUT_MS = 10000 };

static qn_status check_size(qn_slice text, const char *name, qn_error *err)
{
    if (text.p == NULL) return qn_fail(err, QN_EINVAL, "[%s] is required", name);
    if (text.n <= QN_LIMIT_RERANK_TEXT_BYTES) return QN_OK;
    return qn_fail(err, QN_ELIMIT, "[%s] is longer than %d bytes", name,
                   QN_LIMIT_RERANK_TEXT_BYTES);
}

qn_status qn_attribute(qn_call *c, qn_error *err)
{
    qn_slice model = {"", 0}, query = {NULL, 0}, text = {NULL, 0}, how = {"", 0};
    quern_attribute_options o = QUERN_ATTRIBUTE_OPTIONS_INIT;
    qn_slice truncation = {"", 0};
    int64_t timeout = TIMEOUT_MS, tokens = 0, of_query = 0, of_document = 0;
    const qn_json *body = NULL;
    char *json = NULL;
    size_t n = 0;
    const qn_member members[] = {
        {"model", QN_MEMBER_STRING, &model, 0, 0},
        {"query", QN_MEMBER_STRING, &query, 0, 0},
        {"text", QN_MEMBER_STRING, &text, 0, 0},
        {"how", QN_MEMBER_STRING, &how, 0, 0},
        {"timeout_ms", QN_MEMBER_INT, &timeout, 1, 86400000},
        {"truncation", QN_MEMBER_STRING, &truncation, 0, 0},
        {"max_tokens", QN_MEMBER_INT, &tokens, 8, 1 << 30},
        {"max_query_tokens", QN_MEMBER_INT, &of_query, 1, 1 << 30},
        {"max_document_tokens", QN_MEMBER_INT, &of_document, 1, 1 << 30},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(check_size(query, "query", err));
    QN_TRY(check_size(text, "text", err));
    QN_TRY(
        qn_server_model(c, model, c->server->options.default_reranker, &o.model, err));
    o.timeout_ms = timeout;
    o.cancel = c->request->cancelled;
    o.tokens_max = (uint32_t)tokens;
    o.query_tokens_max = (uint32_t)of_query;
    o.document_tokens_max = (uint32_t)of_document;
    if (how.n > 0) o.how = qn_arena_strndup(c->arena, how.p, how.n);
    if (truncation.n > 0)
        o.truncation = qn_arena_strndup(c->arena, truncation.p, truncation.n);
    if ((how.n > 0 && o.how == NULL) || (truncation.n > 0 && o.truncation == NULL))
        return qn_fail(err, QN_ENOMEM, "no memory");
    QN_TRY(quern_attribute(c->q, &o, (quern_text){query.p, query.n},
                           (quern_text){text.p, text.n}, &json, &n, err));
    qn_call_json(c, 200);
    qn_json_raw(&c->w, (qn_slice){json, n});
    quern_free(json);
    return QN_OK;
}
