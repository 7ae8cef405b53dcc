/* SPDX-License-Identifier: Apache-2.0 */
/* sparse.c -- weights of the vocabulary's tokens: see embed.h. */
#include "nn/nn_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct call {
    qn_alloc *alloc;
    const qn_sparse_options *options;
    qn_sparse_vector *out;
} call;

static int by_weight(const void *a, const void *b)
{
    const qn_sparse_term *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b)
{
    const qn_sparse_term *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void keep_best(qn_sparse_vector *v, size_t k)
{
    if (k == 0 || v->n <= k) return;
    qsort(v->terms, v->n, sizeof *v->terms, by_weight);
    v->n = k;
    qsort(v->terms, v->n, sizeof *v->terms, by_id);
}

static qn_status sparse_one(qn_nn_texts *j, qn_nn_scratch *s, size_t sequence,
                            const float *rows, size_t n, qn_error *err)
{
    const qn_model *m = j->work.model;
    const call *c = j->ctx;
    size_t V = m->lm.config.vocab, kept = 0, item = s->item[sequence];
    float least = c->options->min_weight > 0.0f ? c->options->min_weight : 0.0f;
    if (!qn_lm_head_run(&m->lm, rows, n, j->options->deadline, s->vector, s->tail))
        return qn_fail(err,
                       qn_deadline_cancelled(j->options->deadline) ? QN_ECANCELLED
                                                                   : QN_ETIMEOUT,
                       "the deadline passed inside the language head");
    for (size_t v = 0; v < V; v++) {
        if (!isfinite(s->vector[v]))
            return qn_fail(err, QN_EMODEL, "the vector of text %zu is not finite",
                           item);
        kept += s->vector[v] > least;
    }
    qn_sparse_vector *out = &c->out[item];
    out->terms = qn_new_array(c->alloc, kept, sizeof *out->terms);
    if (out->terms == NULL) return qn_fail(err, QN_ENOMEM, "sparse vectors");
    for (uint32_t v = 0; v < V; v++)
        if (s->vector[v] > least)
            out->terms[out->n++] = (qn_sparse_term){v, s->vector[v]};
    keep_best(out, c->options->top_k);
    return QN_OK;
}

qn_status qn_sparse_run(qn_model *model, const qn_slice *texts, size_t n,
                        const qn_sparse_options *options, qn_alloc *a,
                        qn_sparse_vector *out, qn_embed_item *items, qn_error *err)
{
    static const qn_sparse_options defaults;
    call c = {a, options == NULL ? &defaults : options, out};
    qn_nn_texts j = {.work = {.model = model, .items = n},
                     .texts = texts,
                     .options = c.options->text,
                     .items = items,
                     .each = sparse_one,
                     .ctx = &c};
    return qn_nn__texts_run(&j, QN_MODEL_SPARSE, "sparse vectors", err);
}

void qn_sparse_free(qn_alloc *a, qn_sparse_vector *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        qn_delete(a, v[i].terms);
        v[i] = (qn_sparse_vector){0};
    }
}

double qn_sparse_dot(const qn_sparse_vector *a, const qn_sparse_vector *b)
{
    double sum = 0.0;
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        uint32_t x = a->terms[i].id, y = b->terms[k].id;
        if (x == y) sum += (double)a->terms[i].weight * (double)b->terms[k].weight;
        if (x <= y) i++;
        if (y <= x) k++;
    }
    return sum;
}
