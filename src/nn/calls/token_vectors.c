/* SPDX-License-Identifier: Apache-2.0 */
/* token_vectors.c -- a vector for each token, and what they say together: see embed.h. */
#include "nn/nn_internal.h"

#include <math.h>

typedef struct call {
    qn_alloc *alloc;
    qn_token_vectors *out;
} call;

/* Whether tokens of the skip list are left out of texts of this role; a text without a
 * role is read like a document. */
static bool skips(const qn_multi_config *c, qn_text_role role)
{
    return role == QN_TEXT_QUERY ? c->skip_query : c->skip_document;
}

static bool is_skipped(const qn_multi_config *c, uint32_t id)
{
    for (uint32_t i = 0; i < c->skip_count; i++)
        if (c->skip[i] == id) return true;
    return false;
}

static qn_status vectors_of_one(qn_nn_texts *j, qn_nn_scratch *s, size_t sequence,
                                const float *rows, size_t n, qn_error *err)
{
    const qn_model *m = j->work.model;
    const call *c = j->ctx;
    size_t dims = m->info.dims, item = s->item[sequence];
    const uint32_t *ids = s->ids + s->starts[sequence];
    bool skip = skips(&m->multi, j->options->role);
    qn_token_vectors *out = &c->out[item];
    out->values = qn_new_array(c->alloc, n * dims, sizeof *out->values);
    out->ids = qn_new_array(c->alloc, n, sizeof *out->ids);
    if (out->values == NULL || out->ids == NULL)
        return qn_fail(err, QN_ENOMEM, "token vectors");
    for (size_t i = 0; i < n; i++) {
        if (skip && is_skipped(&m->multi, ids[i])) continue;
        float *v = out->values + out->n * dims;
        qn_tail_run_row(&m->tail, rows + i * m->config.hidden, v, s->tail);
        if (m->info.normalize && !j->options->as_pooled) qn_tail_unit(v, dims);
        for (size_t k = 0; k < dims; k++)
            if (!isfinite(v[k]))
                return qn_fail(err, QN_EMODEL, "a vector of text %zu is not finite",
                               item);
        out->ids[out->n++] = ids[i];
    }
    return QN_OK;
}

qn_status qn_token_vectors_run(qn_model *model, const qn_slice *texts, size_t n,
                               const qn_embed_options *options, qn_alloc *a,
                               qn_token_vectors *out, qn_embed_item *items,
                               qn_error *err)
{
    call c = {a, out};
    qn_nn_texts j = {.work = {.model = model, .items = n},
                     .texts = texts,
                     .options = options,
                     .items = items,
                     .each = vectors_of_one,
                     .ctx = &c};
    return qn_nn__texts_run(&j, QN_MODEL_TOKENS, "vectors of tokens", err);
}

void qn_token_vectors_free(qn_alloc *a, qn_token_vectors *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        qn_delete(a, v[i].values);
        qn_delete(a, v[i].ids);
        v[i] = (qn_token_vectors){0};
    }
}

float qn_max_sim(const qn_kernels *kernels, const qn_token_vectors *query,
                 const qn_token_vectors *document, size_t dims)
{
    double sum = 0.0;
    for (size_t q = 0; q < query->n && document->n > 0; q++) {
        float best = -INFINITY;
        for (size_t d = 0; d < document->n; d++) {
            float dot = kernels->dot_f32(query->values + q * dims,
                                         document->values + d * dims, dims);
            if (dot > best) best = dot;
        }
        sum += (double)best;
    }
    return (float)sum;
}
