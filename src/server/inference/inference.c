/* SPDX-License-Identifier: Apache-2.0 */
#include "server/inference/inference.h"

#include "server/server_internal.h"

#include <math.h>
#include <stdlib.h>

/* ---- ranking ------------------------------------------------------------------------ */

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
        const quern_rerank_score *s = &scores[i];
        if (!s->scored) {
            out->unscored++;
            continue;
        }
        if (isnan(s->logit))
            return qn_fail(err, QN_EINTERNAL,
                           "the model gave no number for document %zu", i);
        items[out->count++] = (qn_ranked){i, s->score, s->logit, s->tokens};
        out->tokens += s->tokens;
        out->truncated += s->truncated;
    }
    return QN_OK;
}

void qn_inference_count_header(qn_call *c, const char *name, size_t count)
{
    if (count == 0) return;
    const char *text = qn_arena_printf(c->arena, "%zu", count);
    if (text != NULL) qn_http_add_header(c->out, name, text);
}

static void add_headers(qn_call *c, const qn_ranking *r)
{
    qn_inference_count_header(c, "X-Quern-Truncated", r->truncated);
    qn_inference_count_header(c, "X-Quern-Unscored", r->unscored);
}

/* What any dialect's client may say of a call as such: X-Quern-Priority (interactive,
 * bulk), X-Quern-Timeout (milliseconds, at most what the server gives). */
static qn_status set_service(const qn_call *c, int64_t asked_ms, int64_t *timeout_ms,
                             quern_priority *priority, qn_error *err)
{
    const qn_http_request *r = c->request;
    const qn_param *p = qn_header_find(r->headers, r->header_count, "x-quern-priority");
    if (p != NULL) {
        bool bulk = qn_slice_eq_str(p->value, "bulk");
        if (!bulk && !qn_slice_eq_str(p->value, "interactive"))
            return qn_fail(err, QN_EINVAL,
                           "X-Quern-Priority [%.*s]: known are interactive, bulk",
                           p->value.n > 40 ? 40 : (int)p->value.n, p->value.p);
        *priority = bulk ? QUERN_PRIORITY_BULK : QUERN_PRIORITY_INTERACTIVE;
    }
    p = qn_header_find(r->headers, r->header_count, "x-quern-timeout");
    int64_t ms = *timeout_ms;
    if (p != NULL && (!qn_slice_to_i64(p->value, &ms) || ms < 1))
        return qn_fail(err, QN_EINVAL,
                       "X-Quern-Timeout [%.*s] must be a whole number of milliseconds, "
                       "at least 1",
                       p->value.n > 40 ? 40 : (int)p->value.n, p->value.p);
    if (ms < *timeout_ms) *timeout_ms = ms;
    if (asked_ms > 0 && asked_ms < *timeout_ms) *timeout_ms = asked_ms;
    /* What it waited for a worker is gone. */
    *timeout_ms -= (qn_clock_mono_ns() - r->arrived_ns) / 1000000;
    if (*timeout_ms < 1) *timeout_ms = 1;
    return QN_OK;
}

static qn_status set_options(qn_call *c, const qn_rank_request *r,
                             quern_rerank_options *o, qn_error *err)
{
    const qn_server_options *options = &c->server->options;
    *o = (quern_rerank_options)QUERN_RERANK_OPTIONS_INIT;
    QN_TRY(qn_server_model(c, r->model, options->default_reranker, &o->model, err));
    o->timeout_ms = options->rerank_timeout_ms;
    o->cancel = c->request->cancelled;
    QN_TRY(set_service(c, r->timeout_ms, &o->timeout_ms, &o->priority, err));
    o->whole = r->whole;
    o->tokens_max = r->tokens_max;
    o->query_tokens_max = r->query_tokens_max;
    o->document_tokens_max = r->document_tokens_max;
    o->chunking = r->chunking;
    o->passages_max = r->passages_max;
    o->keep_ends = r->keep_ends;
    o->single = r->single;
    if (r->refuse_long) o->truncation = "none";
    return QN_OK;
}

/* One query's texts, counted in the metrics. */
static qn_status score(qn_call *c, const quern_rerank_options *o, qn_slice query,
                       const quern_text *texts, size_t count,
                       quern_rerank_score *scores, qn_error *err)
{
    qn_metrics *m = &c->server->metrics;
    size_t scored = 0;
    int64_t begin = qn_clock_mono_ns();
    qn_status st = quern_rerank(c->q, o, (quern_text){query.p, query.n}, texts, count,
                                scores, &scored, err);
    qn_metrics_time(m, QN_METRIC_RERANK_SECONDS, qn_clock_mono_ns() - begin);
    qn_metrics_add(m, QN_METRIC_RERANK_PAIRS, scored);
    return st;
}

static qn_status time_is_up(const qn_ranking *r, size_t count, qn_error *err)
{
    return qn_fail(err, QN_ETIMEOUT, "time was up with %zu of %zu texts unscored",
                   r->unscored, count);
}

qn_status qn_inference_rerank(qn_call *c, const qn_rank_request *r, qn_ranking *out,
                              qn_error *err)
{
    quern_rerank_options o;
    *out = (qn_ranking){0};
    QN_TRY(set_options(c, r, &o, err));
    out->model = o.model;
    quern_rerank_score *scores = qn_arena_array(c->arena, r->count, sizeof *scores);
    qn_ranked *items = qn_arena_array(c->arena, r->count, sizeof *items);
    if (scores == NULL || items == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for the scores");
    QN_TRY(score(c, &o, r->query, r->texts, r->count, scores, err));
    QN_TRY(collect(scores, r->count, items, out, err));
    if (out->count > 0) qsort(items, out->count, sizeof *items, compare_ranked);
    out->items = items;
    if (r->whole && out->unscored > 0) return time_is_up(out, r->count, err);
    add_headers(c, out);
    return QN_OK;
}

/* ---- pairs -------------------------------------------------------------------------- */

typedef struct queued {
    qn_slice query;
    size_t index;
} queued;

static int by_query(const void *a, const void *b)
{
    const queued *x = a, *y = b;
    int order = qn_slice_compare(x->query, y->query);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* All pairs of one query in one call. */
static qn_status score_run(qn_call *c, const qn_rank_request *r,
                           quern_rerank_options *o, const qn_text_pair *pairs,
                           const queued *run, size_t count, quern_rerank_score *scores,
                           qn_error *err)
{
    size_t labels = r->labels;
    if (r->logits != NULL) {
        o->logits = qn_arena_array(c->arena, count * labels, sizeof *o->logits);
        if (o->logits == NULL)
            return qn_fail(err, QN_ENOMEM, "no memory for the pairs");
    }
    quern_text *texts = qn_arena_array(c->arena, count, sizeof *texts);
    quern_rerank_score *own = qn_arena_array(c->arena, count, sizeof *own);
    if (texts == NULL || own == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for the pairs");
    for (size_t i = 0; i < count; i++) {
        qn_slice text = pairs[run[i].index].text;
        texts[i] = (quern_text){text.p, text.n};
    }
    QN_TRY(score(c, o, run->query, texts, count, own, err));
    for (size_t i = 0; i < count; i++) {
        scores[run[i].index] = own[i];
        if (r->logits != NULL)
            memcpy(r->logits + run[i].index * labels, o->logits + i * labels,
                   labels * sizeof *o->logits);
    }
    return QN_OK;
}

qn_status qn_inference_pairs(qn_call *c, const qn_rank_request *r,
                             const qn_text_pair *pairs, size_t count, qn_ranking *out,
                             qn_error *err)
{
    quern_rerank_options o;
    *out = (qn_ranking){0};
    QN_TRY(set_options(c, r, &o, err));
    out->model = o.model;
    queued *queue = qn_arena_array(c->arena, count, sizeof *queue);
    quern_rerank_score *scores = qn_arena_array(c->arena, count, sizeof *scores);
    qn_ranked *items = qn_arena_array(c->arena, count, sizeof *items);
    if (queue == NULL || scores == NULL || items == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for the pairs");
    for (size_t i = 0; i < count; i++) queue[i] = (queued){pairs[i].query, i};
    qsort(queue, count, sizeof *queue, by_query);
    int64_t end_ms = qn_clock_mono_ns() / 1000000 + o.timeout_ms;
    for (size_t begin = 0, end = 0; begin < count; begin = end) {
        while (end < count && qn_slice_eq(queue[end].query, queue[begin].query)) end++;
        o.timeout_ms = end_ms - qn_clock_mono_ns() / 1000000;
        if (o.timeout_ms <= 0) o.timeout_ms = 1;
        QN_TRY(score_run(c, r, &o, pairs, queue + begin, end - begin, scores, err));
    }
    QN_TRY(collect(scores, count, items, out, err));
    out->items = items;
    return out->unscored > 0 ? time_is_up(out, count, err) : QN_OK;
}

/* ---- embedding ---------------------------------------------------------------------- */

qn_status qn_inference_embed_options(qn_call *c, const qn_embed_request *r,
                                     quern_embed_options *o, qn_error *err)
{
    *o = (quern_embed_options)QUERN_EMBED_OPTIONS_INIT;
    o->timeout_ms = c->server->options.request_timeout_ms;
    o->cancel = c->request->cancelled;
    QN_TRY(set_service(c, r->timeout_ms, &o->timeout_ms, &o->priority, err));
    o->dims = r->dims;
    o->length = r->length;
    o->tokens_max = r->tokens_max;
    o->refuse_long = r->refuse_long;
    o->keep_ends = r->keep_ends;
    o->ids = r->inputs.ids;
    if (r->prompt_name.n > 0)
        o->prompt_name = qn_arena_strndup(c->arena, r->prompt_name.p, r->prompt_name.n);
    if (r->role.n > 0) o->role = qn_arena_strndup(c->arena, r->role.p, r->role.n);
    if ((r->prompt_name.n > 0 && o->prompt_name == NULL) ||
        (r->role.n > 0 && o->role == NULL))
        return qn_fail(err, QN_ENOMEM, "no memory for a name");
    return QN_OK;
}

qn_status qn_inference_embed(qn_call *c, const qn_embed_request *r, qn_vectors *out,
                             qn_error *err)
{
    size_t count = r->inputs.count;
    quern_embed_options o;
    quern_model_info info;
    *out = (qn_vectors){.count = count};
    QN_TRY(qn_server_model(c, r->model, c->server->options.default_embedder,
                           &out->model, err));
    QN_TRY(quern_model_info_get(c->q, out->model, &info, err));
    QN_TRY(qn_inference_embed_options(c, r, &o, err));
    o.model = out->model;
    out->dims = r->dims != 0 ? r->dims : info.dims;
    if (out->dims > info.dims) out->dims = info.dims; /* refused below, by name */
    float *floats = qn_arena_array(c->arena, count * out->dims, sizeof *floats);
    quern_embed_item *items = qn_arena_array(c->arena, count, sizeof *items);
    if (floats == NULL || items == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for the vectors");
    QN_TRY(quern_embed_texts(c->q, &o, r->inputs.texts, count, floats,
                             count * out->dims, items, err));
    for (size_t i = 0; i < count; i++) {
        out->tokens += items[i].tokens;
        out->truncated += items[i].truncated;
    }
    out->floats = floats;
    qn_inference_count_header(c, "X-Quern-Truncated", out->truncated);
    qn_metrics_add(&c->server->metrics, QN_METRIC_EMBEDDED_TEXTS, count);
    return QN_OK;
}
