/* SPDX-License-Identifier: Apache-2.0 */
#include "server/inference.h"

#include "server/server_internal.h"

#include <math.h>
#include <stdlib.h>

static qn_status read_text(const qn_call *c, const qn_json *v, const char *name,
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

qn_status qn_inference_texts(qn_call *c, const qn_json *list, const char *name,
                             size_t max, bool one, quern_text **out, size_t *count,
                             qn_error *err)
{
    if (list == NULL) return qn_fail(err, QN_EINVAL, "[%s] is required", name);
    one = one && list->kind == QN_JSON_STRING;
    if (!one && list->kind != QN_JSON_ARRAY)
        return qn_fail_at(err, QN_EINVAL, qn_json_offset(list, c->request->body),
                          "[%s] must be a list of strings, not %s", name,
                          qn_json_kind_name(list->kind));
    *count = one ? 1 : list->count;
    if (*count == 0) return qn_fail(err, QN_EINVAL, "[%s] is empty", name);
    if (*count > max)
        return qn_fail(err, QN_ELIMIT, "[%s] has %zu texts, at most %zu are allowed",
                       name, *count, max);
    *out = qn_arena_array(c->arena, *count, sizeof **out);
    if (*out == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the texts");
    if (one) return read_text(c, list, name, *out, err);
    size_t i = 0;
    for (const qn_json *v = list->first; v != NULL; v = v->next, i++)
        QN_TRY(read_text(c, v, name, &(*out)[i], err));
    return QN_OK;
}

/* ---- reranking ------------------------------------------------------------------------- */

static int compare_ranked(const void *a, const void *b)
{
    const qn_ranked *x = a, *y = b;
    if (x->logit > y->logit) return -1;
    if (x->logit < y->logit) return 1;
    return (x->index > y->index) - (x->index < y->index);
}

static qn_status collect(const quern_rerank_score *scores, size_t count,
                         qn_ranked *items, qn_ranking *out, qn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!scores[i].scored) {
            out->unscored++;
            continue;
        }
        if (isnan(scores[i].logit))
            return qn_fail(err, QN_EINTERNAL,
                           "the model gave no number for document %zu", i);
        items[out->count++] = (qn_ranked){i, scores[i].score, scores[i].logit};
        out->tokens += scores[i].tokens;
        out->truncated |= scores[i].truncated;
    }
    if (out->count > 0) qsort(items, out->count, sizeof *items, compare_ranked);
    out->items = items;
    return QN_OK;
}

qn_status qn_inference_rerank(qn_call *c, qn_slice model, qn_slice query,
                              const quern_text *texts, size_t count, qn_ranking *out,
                              qn_error *err)
{
    const qn_server_options *options = &c->server->options;
    qn_metrics *m = &c->server->metrics;
    *out = (qn_ranking){0};
    QN_TRY(qn_server_model(c, model, options->default_reranker, &out->model, err));
    quern_rerank_score *scores = qn_arena_array(c->arena, count, sizeof *scores);
    qn_ranked *items = qn_arena_array(c->arena, count, sizeof *items);
    if (scores == NULL || items == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for the scores");
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    o.model = out->model;
    o.timeout_ms = options->rerank_timeout_ms;
    o.cancel = c->request->cancelled;
    size_t scored = 0;
    int64_t begin = qn_clock_mono_ns();
    qn_status st = quern_rerank(c->q, &o, (quern_text){query.p, query.n}, texts, count,
                                scores, &scored, err);
    qn_metrics_time(m, QN_METRIC_RERANK_SECONDS, qn_clock_mono_ns() - begin);
    qn_metrics_add(m, QN_METRIC_RERANK_PAIRS, scored);
    return st == QN_OK ? collect(scores, count, items, out, err) : st;
}

/* ---- embedding ------------------------------------------------------------------------- */

qn_status qn_inference_embed(qn_call *c, qn_slice model, const quern_text *texts,
                             size_t count, qn_vectors *out, qn_error *err)
{
    const qn_server_options *options = &c->server->options;
    *out = (qn_vectors){.count = count};
    QN_TRY(qn_server_model(c, model, options->default_embedder, &out->model, err));
    quern_model_info info;
    QN_TRY(quern_model_info_get(c->q, out->model, &info, err));
    out->dims = info.dims;
    float *floats = qn_arena_array(c->arena, count * out->dims, sizeof *floats);
    if (floats == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the vectors");
    QN_TRY(quern_embed(c->q, out->model, texts, count, options->request_timeout_ms,
                       c->request->cancelled, floats, count * out->dims, &out->tokens,
                       err));
    out->floats = floats;
    qn_metrics_add(&c->server->metrics, QN_METRIC_EMBEDDED_TEXTS, count);
    return QN_OK;
}
