/* SPDX-License-Identifier: Apache-2.0 */
/* encoder_reference.c -- plain on purpose; do not optimise it. Letters: encoder.h.
 */
#include "nn/encoder_reference.h"

#include <math.h>
#include <stdio.h>

typedef struct reference {
    qn_alloc *alloc;
    const qn_qnm *file;
    const qn_encoder_config *config;
    qn_error *err;
    qn_status st;
} reference;

/* The tensor as f64, to be freed; NULL once anything failed. */
static double *load(reference *r, const char *prefix, const char *suffix)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s%s", prefix, suffix);
    const qn_tensor *t = qn_qnm_find(r->file, name);
    if (r->st == QN_OK && t == NULL)
        r->st = qn_fail(r->err, QN_EMODEL, "tensor \"%s\" is missing", name);
    if (r->st != QN_OK) return NULL;
    size_t count = (size_t)t->rows * t->columns;
    float *narrow = qn_new_array(r->alloc, count, sizeof *narrow);
    double *wide = qn_new_array(r->alloc, count, sizeof *wide);
    if (narrow == NULL || wide == NULL) {
        r->st = qn_fail(r->err, QN_ENOMEM, "reference");
        qn_delete(r->alloc, wide);
        wide = NULL;
    } else {
        qn_tensor_to_f32(t, narrow);
        for (size_t i = 0; i < count; i++) wide[i] = (double)narrow[i];
    }
    qn_delete(r->alloc, narrow);
    return wide;
}

/* Y = (X s) W^T + b; X: n x in, W: out x in; s: in, where `scale` names a tensor that
 * the file has. */
static void linear(reference *r, const char *prefix, const char *which,
                   const char *scale, const double *X, size_t n, size_t in, size_t out,
                   double *Y)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s%s", prefix, scale);
    double *s = qn_qnm_find(r->file, name) == NULL ? NULL : load(r, prefix, scale);
    (void)snprintf(name, sizeof name, "%s.weight", which);
    double *W = load(r, prefix, name);
    (void)snprintf(name, sizeof name, "%s.bias", which);
    double *b = load(r, prefix, name);
    for (size_t t = 0; r->st == QN_OK && t < n; t++)
        for (size_t o = 0; o < out; o++) {
            double sum = b[o];
            for (size_t i = 0; i < in; i++)
                sum += X[t * in + i] * (s == NULL ? 1.0 : s[i]) * W[o * in + i];
            Y[t * out + o] = sum;
        }
    qn_delete(r->alloc, b);
    qn_delete(r->alloc, W);
    qn_delete(r->alloc, s);
}

/* Y = LN(X + Y), rows of H; X NULL: LN(Y). */
static void add_norm(reference *r, const char *prefix, const char *which,
                     const double *X, size_t n, double *Y)
{
    char name[96];
    size_t H = r->config->hidden;
    (void)snprintf(name, sizeof name, "%s.weight", which);
    double *gamma = load(r, prefix, name);
    (void)snprintf(name, sizeof name, "%s.bias", which);
    double *beta = load(r, prefix, name);
    for (size_t t = 0; r->st == QN_OK && t < n; t++) {
        double *y = Y + t * H, mean = 0.0, variance = 0.0;
        for (size_t i = 0; i < H; i++) {
            if (X != NULL) y[i] += X[t * H + i];
            mean += y[i] / (double)H;
        }
        for (size_t i = 0; i < H; i++)
            variance += (y[i] - mean) * (y[i] - mean) / (double)H;
        for (size_t i = 0; i < H; i++)
            y[i] = (y[i] - mean) / sqrt(variance + (double)r->config->eps) * gamma[i] +
                   beta[i];
    }
    qn_delete(r->alloc, beta);
    qn_delete(r->alloc, gamma);
}

/* context = softmax(Q K^T / sqrt(d)) V, head by head; score: n values. */
static void attention(const qn_encoder_config *c, const double *Q, const double *K,
                      const double *V, size_t n, double *score, double *context)
{
    size_t H = c->hidden, d = H / c->heads;
    for (size_t h = 0; h < c->heads; h++)
        for (size_t i = 0; i < n; i++) {
            double most = -(double)INFINITY, sum = 0.0;
            for (size_t j = 0; j < n; j++) {
                score[j] = 0.0;
                for (size_t k = h * d; k < (h + 1) * d; k++)
                    score[j] += Q[i * H + k] * K[j * H + k];
                score[j] /= sqrt((double)d);
                most = fmax(most, score[j]);
            }
            for (size_t j = 0; j < n; j++) sum += score[j] = exp(score[j] - most);
            for (size_t k = h * d; k < (h + 1) * d; k++) {
                context[i * H + k] = 0.0;
                for (size_t j = 0; j < n; j++)
                    context[i * H + k] += score[j] / sum * V[j * H + k];
            }
        }
}

static void embed(reference *r, const uint32_t *ids, const uint8_t *types, size_t n,
                  double *x)
{
    size_t H = r->config->hidden;
    double *word = load(r, "embeddings.", "word_embeddings.weight");
    double *position = load(r, "embeddings.", "position_embeddings.weight");
    double *type = load(r, "embeddings.", "token_type_embeddings.weight");
    for (size_t t = 0; r->st == QN_OK && t < n; t++)
        for (size_t i = 0; i < H; i++)
            x[t * H + i] =
                word[ids[t] * H + i] + position[t * H + i] + type[types[t] * H + i];
    add_norm(r, "embeddings.", "LayerNorm", NULL, n, x);
    qn_delete(r->alloc, type);
    qn_delete(r->alloc, position);
    qn_delete(r->alloc, word);
}

/* x: n x H in, y: n x H out. work: n x (4H + F) + n. */
static void run_layer(reference *r, uint32_t number, const double *x, size_t n,
                      double *work, double *y)
{
    char prefix[48];
    (void)snprintf(prefix, sizeof prefix, "encoder.layer.%u.", number);
    size_t H = r->config->hidden, F = r->config->intermediate;
    double *Q = work, *K = Q + n * H, *V = K + n * H, *context = V + n * H;
    double *wide = context + n * H, *score = wide + n * F;
    linear(r, prefix, "attention.self.query", "attention.self.input_scale", x, n, H, H,
           Q);
    linear(r, prefix, "attention.self.key", "attention.self.input_scale", x, n, H, H,
           K);
    linear(r, prefix, "attention.self.value", "attention.self.input_scale", x, n, H, H,
           V);
    attention(r->config, Q, K, V, n, score, context);
    double *middle = Q; /* the queries are done with */
    linear(r, prefix, "attention.output.dense", "", context, n, H, H, middle);
    add_norm(r, prefix, "attention.output.LayerNorm", x, n, middle);
    linear(r, prefix, "intermediate.dense", "intermediate.input_scale", middle, n, H, F,
           wide);
    for (size_t i = 0; i < n * F; i++)
        wide[i] = 0.5 * wide[i] * (1.0 + erf(wide[i] / sqrt(2.0)));
    linear(r, prefix, "output.dense", "output.input_scale", wide, n, F, H, y);
    add_norm(r, prefix, "output.LayerNorm", middle, n, y);
}

qn_status qn_encoder_reference(qn_alloc *a, const qn_qnm *file,
                               const qn_encoder_config *config, const uint32_t *ids,
                               const uint8_t *types, size_t n, double *out,
                               qn_error *err)
{
    reference r = {.alloc = a, .file = file, .config = config, .err = err};
    size_t H = config->hidden, F = config->intermediate;
    double *work = qn_new_array(a, n * (4 * H + F + 1), sizeof *work);
    if (work == NULL) return qn_fail(err, QN_ENOMEM, "reference");
    embed(&r, ids, types, n, out);
    for (uint32_t i = 0; r.st == QN_OK && i < config->layers; i++)
        run_layer(&r, i, out + i * n * H, n, work, out + (i + 1) * n * H);
    qn_delete(a, work);
    return r.st;
}
