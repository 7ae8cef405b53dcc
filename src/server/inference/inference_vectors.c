/* SPDX-License-Identifier: Apache-2.0 */
/* inference_vectors.c -- texts to vectors that are not one a text: weights of the
 * vocabulary's tokens, a vector for each token. */
#include "server/inference/inference.h"

#include "server/server_internal.h"

/* ---- which model -------------------------------------------------------------------- */

typedef struct only_model {
    qn_call *c;
    const char *task, *name;
    size_t count;
} only_model;

static bool see_model(void *ctx, const quern_model_info *info)
{
    only_model *m = ctx;
    if (strcmp(info->task, m->task) != 0) return true;
    m->name = qn_arena_strndup(m->c->arena, info->name, strlen(info->name));
    m->count++;
    return true;
}

/* The named one; without a name the only one of the task. */
static qn_status choose_model(qn_call *c, qn_slice name, const char *task,
                              const char **out, qn_error *err)
{
    only_model only = {.c = c, .task = task};
    if (name.n > 0) return qn_server_model(c, name, "", out, err);
    QN_TRY(quern_model_list(c->q, see_model, &only, err));
    if (only.count == 1 && only.name == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for a name");
    *out = only.name;
    if (only.count == 1) return QN_OK;
    if (only.count == 0)
        return qn_fail(err, QN_ENOMODEL,
                       "no model here has the task %s: 'quern model import' makes one",
                       task);
    return qn_fail(err, QN_EINVAL, "[model] is required: %zu models have the task %s",
                   only.count, task);
}

const char *qn_inference_task(qn_call *c, qn_slice model)
{
    const char *name = NULL;
    quern_model_info info;
    qn_error ignored;
    bool found = qn_server_model(c, model, "", &name, &ignored) == QN_OK &&
                 quern_model_info_get(c->q, name, &info, &ignored) == QN_OK;
    return found ? info.task : "";
}

/* ---- sparse ------------------------------------------------------------------------- */

typedef struct sparse_call {
    qn_call *c;
    qn_sparse_texts *out;
    qn_sparse_text *texts;
    bool failed;
} sparse_call;

/* Terms and tokens are valid during the call alone. */
static void take_terms(void *ctx, size_t index, const quern_term *terms, size_t n,
                       const quern_embed_item *item)
{
    sparse_call *s = ctx;
    quern_term *own = qn_arena_array(s->c->arena, n + 1, sizeof *own);
    s->failed |= own == NULL;
    for (size_t i = 0; own != NULL && i < n; i++) {
        qn_slice token = {terms[i].token, terms[i].token_size};
        if (token.n > 0) token = qn_arena_slice(s->c->arena, token);
        s->failed |= terms[i].token_size > 0 && token.p == NULL;
        own[i] = (quern_term){terms[i].id, terms[i].weight, token.p, token.n};
    }
    s->texts[index] = (qn_sparse_text){own, n, item->tokens, item->truncated};
    s->out->tokens += item->tokens;
    s->out->truncated += item->truncated;
}

qn_status qn_inference_sparse(qn_call *c, const qn_embed_request *r,
                              qn_sparse_texts *out, qn_error *err)
{
    size_t count = r->inputs.count;
    quern_embed_options o;
    *out = (qn_sparse_texts){.count = count};
    QN_TRY(choose_model(c, r->model, "sparse", &out->model, err));
    QN_TRY(qn_inference_embed_options(c, r, &o, err));
    o.model = out->model;
    sparse_call s = {c, out, qn_arena_array(c->arena, count, sizeof *s.texts), false};
    if (s.texts == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the vectors");
    QN_TRY(quern_embed_sparse(c->q, &o, r->terms_max, r->weight_min, r->inputs.texts,
                              count, take_terms, &s, err));
    if (s.failed) return qn_fail(err, QN_ENOMEM, "no memory for the vectors");
    out->texts = s.texts;
    qn_inference_count_header(c, "X-Quern-Truncated", out->truncated);
    qn_metrics_add(&c->server->metrics, QN_METRIC_EMBEDDED_TEXTS, count);
    return QN_OK;
}

/* ---- a vector for each token -------------------------------------------------------- */

typedef struct token_call {
    qn_call *c;
    qn_token_texts *out;
    qn_token_text *texts;
    bool failed;
} token_call;

static void take_vectors(void *ctx, size_t index, const float *vectors,
                         const uint32_t *ids, size_t n, size_t dims,
                         const quern_embed_item *item)
{
    token_call *t = ctx;
    (void)ids;
    float *own = qn_arena_array(t->c->arena, n * dims + 1, sizeof *own);
    t->failed |= own == NULL;
    if (own != NULL && n > 0) memcpy(own, vectors, n * dims * sizeof *own);
    t->texts[index] = (qn_token_text){own, n};
    t->out->dims = dims;
    t->out->tokens += item->tokens;
    t->out->truncated += item->truncated;
}

qn_status qn_inference_tokens(qn_call *c, const qn_embed_request *r,
                              qn_token_texts *out, qn_error *err)
{
    size_t count = r->inputs.count;
    quern_embed_options o;
    *out = (qn_token_texts){.count = count};
    QN_TRY(choose_model(c, r->model, "tokens", &out->model, err));
    QN_TRY(qn_inference_embed_options(c, r, &o, err));
    o.model = out->model;
    token_call t = {c, out, qn_arena_array(c->arena, count, sizeof *t.texts), false};
    if (t.texts == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the vectors");
    QN_TRY(quern_embed_tokens(c->q, &o, r->inputs.texts, count, take_vectors, &t, err));
    if (t.failed) return qn_fail(err, QN_ENOMEM, "no memory for the vectors");
    out->texts = t.texts;
    qn_inference_count_header(c, "X-Quern-Truncated", out->truncated);
    qn_metrics_add(&c->server->metrics, QN_METRIC_EMBEDDED_TEXTS, count);
    return QN_OK;
}
