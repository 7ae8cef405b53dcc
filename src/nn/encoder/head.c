/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder/head.h"

#include <stdio.h>

/* Shapes: H hidden, L labels. */
static const struct {
    const char *name, *shape;
    bool bias, norm; /* is there only with a dense bias; with a norm */
} rows[] = {
    {"pooler.dense.weight", "HH", false, false},
    {"pooler.dense.bias", "H", true, false},
    {"pooler.LayerNorm.weight", "H", false, true},
    {"pooler.LayerNorm.bias", "H", true, true},
    {"classifier.weight", "LH", false, false},
    {"classifier.bias", "L", false, false},
};
enum { ROWS = sizeof rows / sizeof *rows };

static bool has(const qn_head_config *c, size_t row)
{
    if (rows[row].norm) return c->norm && (!rows[row].bias || c->norm_bias);
    return !rows[row].bias || c->dense_bias;
}

static void describe(const qn_head_config *c, size_t row, qn_tensor_spec *out)
{
    const char *shape = rows[row].shape;
    *out = (qn_tensor_spec){.rank = shape[1] == '\0' ? 1 : 2, .slot = QN_SLOT_NONE};
    (void)snprintf(out->name, sizeof out->name, "%s", rows[row].name);
    out->rows = out->rank == 1 ? 1 : shape[0] == 'L' ? c->labels : c->hidden;
    out->columns = shape[out->rank - 1] == 'L' ? c->labels : c->hidden;
}

size_t qn_head_spec_count(const qn_head_config *c)
{
    size_t n = 0;
    for (size_t i = 0; i < ROWS; i++) n += has(c, i);
    return n;
}

void qn_head_spec_at(const qn_head_config *c, size_t i, qn_tensor_spec *out)
{
    for (size_t row = 0, n = 0; row < ROWS; row++)
        if (has(c, row) && n++ == i) describe(c, row, out);
}

qn_status qn_head_open(const qn_weight_source *from, const qn_head_config *config,
                       qn_head *out, qn_error *err)
{
    const qn_tensor *found[ROWS] = {0};
    *out = (qn_head){.kernels = from->kernels, .config = *config};
    for (size_t i = 0; i < ROWS; i++) {
        qn_tensor_spec spec;
        if (!has(config, i)) continue;
        describe(config, i, &spec);
        QN_TRY(qn_spec_find(from->file, &spec, &found[i], err));
        if (i > 0) QN_TRY(qn_qnm_read(from->file, found[i], err));
    }
    out->dense_bias = found[1] == NULL ? NULL : found[1]->data;
    out->gamma = found[2] == NULL ? NULL : found[2]->data;
    out->beta = found[3] == NULL ? NULL : found[3]->data;
    out->classifier = found[4]->data;
    out->classifier_bias = found[5]->data;
    return qn_pack_weight(from, found, 1, &out->dense, err);
}

void qn_head_close(qn_head *h)
{
    qn_gemm_destroy(h->dense);
    *h = (qn_head){0};
}

size_t qn_head_memory(const qn_head *h)
{
    return h->dense == NULL ? 0 : qn_gemm_bytes(h->dense);
}

/* The product's own, and a row. */
static size_t gemm_floats(const qn_head *h)
{
    return (qn_gemm_scratch_bytes(h->dense, 1) + 63) / 64 * 16;
}

size_t qn_head_scratch_bytes(const qn_head *h)
{
    return (gemm_floats(h) + h->config.hidden) * sizeof(float);
}

void qn_head_run(const qn_head *h, const float *x, float *logits, void *scratch)
{
    size_t H = h->config.hidden;
    float *row = (float *)scratch + gemm_floats(h);
    qn_gemm_run(h->dense, 1, x, H, h->dense_bias, row, H, scratch);
    qn_act_run(h->kernels, h->config.act, row, H);
    if (h->gamma != NULL)
        h->kernels->layer_norm(row, h->gamma, h->beta, h->config.eps, H, row);
    for (size_t i = 0; i < h->config.labels; i++)
        logits[i] =
            h->kernels->dot_f32(h->classifier + i * H, row, H) + h->classifier_bias[i];
}

void qn_pool_rows(const float *x, size_t n, size_t H, float *out)
{
    for (size_t c = 0; c < H; c++) {
        double sum = 0.0;
        for (size_t r = 0; r < n; r++) sum += (double)x[r * H + c];
        out[c] = (float)(sum / (double)n);
    }
}
