/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/calls/embed.h"

#include "nn/nn_internal.h"

#include <math.h>

static qn_status embed_one(qn_nn_texts *j, qn_nn_scratch *s, size_t sequence,
                           const float *rows, size_t n, qn_error *err)
{
    const qn_model *m = j->work.model;
    size_t dims = m->info.dims, item = s->item[sequence];
    float *out = (float *)j->ctx + item * dims;
    qn_tail_run(&m->tail, rows, n, s->skip[sequence], out, s->tail);
    if (m->info.normalize && !j->options->as_pooled) qn_tail_unit(out, dims);
    for (size_t c = 0; c < dims; c++)
        if (!isfinite(out[c]))
            return qn_fail(err, QN_EMODEL, "the vector of text %zu is not finite",
                           item);
    return QN_OK;
}

qn_status qn_embed_run(qn_model *model, const qn_slice *texts, size_t n,
                       const qn_embed_options *options, float *out,
                       qn_embed_item *items, qn_error *err)
{
    qn_nn_texts j = {.work = {.model = model, .items = n},
                     .texts = texts,
                     .options = options,
                     .items = items,
                     .each = embed_one,
                     .ctx = out};
    return qn_nn__texts_run(&j, QN_MODEL_EMBED, "single vectors", err);
}
