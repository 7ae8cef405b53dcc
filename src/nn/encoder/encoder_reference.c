/* SPDX-License-Identifier: Apache-2.0 */
/* encoder_reference.c -- plain on purpose; do not optimise it. Letters: encoder_config.h.
 */
#include "nn/encoder/encoder_reference.h"

#include <math.h>

typedef struct reference {
    qn_alloc *alloc;
    const qn_qnm *file;
    const qn_encoder_config *config;
    uint32_t layer;
    qn_error *err;
    qn_status st;
} reference;

static double *no_memory(reference *r)
{
    if (r->st == QN_OK) r->st = qn_fail(r->err, QN_ENOMEM, "reference");
    return NULL;
}

static double *widen(reference *r, const qn_tensor *t)
{
    size_t count = (size_t)t->rows * t->columns;
    float *narrow = qn_new_array(r->alloc, count, sizeof *narrow);
    double *wide = qn_new_array(r->alloc, count, sizeof *wide);
    if (narrow == NULL || wide == NULL) {
        qn_delete(r->alloc, wide);
        wide = no_memory(r);
    } else {
        qn_tensor_to_f32(t, narrow);
        for (size_t i = 0; i < count; i++) wide[i] = (double)narrow[i];
    }
    qn_delete(r->alloc, narrow);
    return wide;
}

/* The tensor as f64, to be freed; NULL when there is none, or once anything failed. */
static double *load(reference *r, qn_slot slot)
{
    qn_tensor_spec spec;
    const qn_tensor *t = NULL;
    if (slot == QN_SLOT_NONE || r->st != QN_OK ||
        !qn_encoder_spec_of(r->config, slot, r->layer, &spec))
        return NULL;
    r->st = qn_spec_tensor(r->file, &spec, &t, r->err);
    return r->st == QN_OK ? widen(r, t) : NULL;
}

static double *load_scale(reference *r, qn_encoder_input which)
{
    qn_tensor_spec spec;
    if (which == QN_INTO_OUT || which == QN_ENCODER_INPUTS) return NULL;
    qn_encoder_scale_spec(r->config, r->layer, which, &spec);
    const qn_tensor *t = qn_qnm_find(r->file, spec.name);
    return t == NULL || r->st != QN_OK ? NULL : widen(r, t);
}

/* Y = (X s) W^T + b; X: n x in, W: out x in. `which` QN_ENCODER_INPUTS: no s. */
static void linear(reference *r, qn_slot weight, qn_slot bias, qn_encoder_input which,
                   const double *X, size_t n, size_t in, size_t out, double *Y)
{
    double *W = load(r, weight), *b = load(r, bias), *s = load_scale(r, which);
    for (size_t t = 0; r->st == QN_OK && t < n; t++)
        for (size_t o = 0; o < out; o++) {
            double sum = b == NULL ? 0.0 : b[o];
            for (size_t i = 0; i < in; i++)
                sum += X[t * in + i] * (s == NULL ? 1.0 : s[i]) * W[o * in + i];
            Y[t * out + o] = sum;
        }
    qn_delete(r->alloc, s);
    qn_delete(r->alloc, b);
    qn_delete(r->alloc, W);
}

/* X = LN(X), rows of H; no gamma: X stays. */
static void norm(reference *r, qn_slot gamma_slot, qn_slot beta_slot, size_t n,
                 double *X)
{
    size_t H = r->config->hidden;
    double *gamma = load(r, gamma_slot), *beta = load(r, beta_slot);
    for (size_t t = 0; r->st == QN_OK && gamma != NULL && t < n; t++) {
        double *x = X + t * H, mean = 0.0, variance = 0.0;
        for (size_t i = 0; i < H; i++) mean += x[i] / (double)H;
        for (size_t i = 0; i < H; i++)
            variance += (x[i] - mean) * (x[i] - mean) / (double)H;
        for (size_t i = 0; i < H; i++)
            x[i] = (x[i] - mean) / sqrt(variance + (double)r->config->eps) * gamma[i] +
                   (beta == NULL ? 0.0 : beta[i]);
    }
    qn_delete(r->alloc, beta);
    qn_delete(r->alloc, gamma);
}

/* y = a + b */
static void sum(const double *a, const double *b, size_t n, double *y)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

/* ---- attention -------------------------------------------------------------- */

/* What one layer's attention reads; PK and PQ may be NULL. */
typedef struct heads {
    const double *Q, *K, *V, *PK, *PQ;
    size_t n;
    bool local;
} heads;

static double dot(const double *a, const double *b, size_t n)
{
    double total = 0.0;
    for (size_t i = 0; i < n; i++) total += a[i] * b[i];
    return total;
}

/* The score of query i and key j: at = the head's first column. */
static double score_of(const qn_encoder_config *c, const heads *a, size_t at, size_t i,
                       size_t j)
{
    size_t H = c->hidden, d = H / c->heads;
    size_t far = i > j ? i - j : j - i;
    const double *q = a->Q + i * H + at, *k = a->K + j * H + at;
    if (a->local && far > c->window) return -(double)INFINITY;
    double score = dot(q, k, d);
    if (a->PK == NULL && a->PQ == NULL) return score * qn_encoder_alpha(c);
    size_t row = qn_encoder_distance_row(c, (int32_t)i - (int32_t)j);
    if (a->PK != NULL) score += dot(q, a->PK + row * H + at, d);
    if (a->PQ != NULL) score += dot(k, a->PQ + row * H + at, d);
    return score * qn_encoder_alpha(c);
}

/* context = softmax(scores) V, head by head; score: n values. */
static void attention(const qn_encoder_config *c, const heads *a, double *score,
                      double *context)
{
    size_t H = c->hidden, d = H / c->heads, n = a->n;
    for (size_t h = 0; h < c->heads; h++)
        for (size_t i = 0; i < n; i++) {
            double most = -(double)INFINITY, total = 0.0;
            for (size_t j = 0; j < n; j++) {
                score[j] = score_of(c, a, h * d, i, j);
                most = fmax(most, score[j]);
            }
            for (size_t j = 0; j < n; j++) total += score[j] = exp(score[j] - most);
            for (size_t k = h * d; k < (h + 1) * d; k++) {
                context[i * H + k] = 0.0;
                for (size_t j = 0; j < n; j++)
                    context[i * H + k] += score[j] / total * a->V[j * H + k];
            }
        }
}

/* Rotary positions, in place. The angle is rounded to f32 as in the libraries: at large
 * positions that is more than the rounding of everything else. */
static void rotate(const qn_encoder_config *c, float theta, size_t n, double *X)
{
    size_t H = c->hidden, d = H / c->heads;
    for (size_t t = 0; t < n; t++)
        for (size_t at = 0; at < H; at += d)
            for (size_t k = 0; k < d / 2; k++) {
                float frequency =
                    (float)(1.0 / pow((double)theta, 2.0 * (double)k / (double)d));
                double angle = (double)((float)t * frequency);
                double *x = X + t * H + at + k, a = x[0], b = x[d / 2];
                x[0] = a * cos(angle) - b * sin(angle);
                x[d / 2] = b * cos(angle) + a * sin(angle);
            }
}

/* The relative table through a projection, 2 span x H, to be freed. */
static double *project_table(reference *r, qn_slot weight, qn_slot bias,
                             qn_encoder_input which)
{
    size_t H = r->config->hidden, n = 2 * (size_t)qn_encoder_span(r->config);
    double *R = load(r, QN_SLOT_RELATIVE);
    double *out = R == NULL ? NULL : qn_new_array(r->alloc, n * H, sizeof *out);
    if (out == NULL) {
        qn_delete(r->alloc, R);
        return no_memory(r);
    }
    norm(r, QN_SLOT_RELATIVE_GAMMA, QN_SLOT_RELATIVE_BETA, n, R);
    linear(r, weight, bias, which, R, n, H, H, out);
    qn_delete(r->alloc, R);
    return out;
}

/* x: what the layer's attention begins with; work: n x 3H + n. */
static void attend(reference *r, const double *x, size_t n, double *work,
                   double *context)
{
    const qn_encoder_config *c = r->config;
    size_t H = c->hidden;
    double *Q = work, *K = Q + n * H, *V = K + n * H, *PK = NULL, *PQ = NULL;
    linear(r, QN_SLOT_QUERY, QN_SLOT_QUERY_BIAS, QN_INTO_QKV, x, n, H, H, Q);
    linear(r, QN_SLOT_KEY, QN_SLOT_KEY_BIAS, QN_INTO_QKV, x, n, H, H, K);
    linear(r, QN_SLOT_VALUE, QN_SLOT_VALUE_BIAS, QN_INTO_QKV, x, n, H, H, V);
    heads a = {.Q = Q, .K = K, .V = V, .n = n};
    a.local = qn_encoder_is_local(c, r->layer);
    if (c->rotary) {
        rotate(c, a.local ? c->theta_local : c->theta_global, n, Q);
        rotate(c, a.local ? c->theta_local : c->theta_global, n, K);
    }
    bool own = !c->shared;
    if (c->relative && c->c2p)
        PK = project_table(r, own ? QN_SLOT_POS_KEY : QN_SLOT_KEY,
                           own ? QN_SLOT_POS_KEY_BIAS : QN_SLOT_KEY_BIAS,
                           own ? QN_ENCODER_INPUTS : QN_INTO_QKV);
    if (c->relative && c->p2c)
        PQ = project_table(r, own ? QN_SLOT_POS_QUERY : QN_SLOT_QUERY,
                           own ? QN_SLOT_POS_QUERY_BIAS : QN_SLOT_QUERY_BIAS,
                           own ? QN_ENCODER_INPUTS : QN_INTO_QKV);
    a.PK = PK;
    a.PQ = PQ;
    if (r->st == QN_OK) attention(c, &a, V + n * H, context);
    qn_delete(r->alloc, PK);
    qn_delete(r->alloc, PQ);
}

/* ---- embeddings, layers ----------------------------------------------------- */

static void embed(reference *r, const uint32_t *ids, const uint8_t *types, size_t n,
                  double *out)
{
    const qn_encoder_config *c = r->config;
    size_t E = c->embedding, H = c->hidden;
    double *word = load(r, QN_SLOT_WORD), *position = load(r, QN_SLOT_POSITION),
           *type = load(r, QN_SLOT_TYPE);
    double *x = qn_new_array(r->alloc, n * E, sizeof *x);
    if (x == NULL) (void)no_memory(r);
    uint32_t seen = 0;
    for (size_t t = 0; r->st == QN_OK && t < n; t++) {
        uint32_t row = (uint32_t)t, kind = types[t];
        if (c->skip_pad) row = ids[t] == c->pad ? c->pad : c->pad + 1 + seen++;
        if (!qn_encoder_reads_types(c)) kind = 0;
        for (size_t i = 0; i < E; i++)
            x[t * E + i] = word[ids[t] * E + i] +
                           (position == NULL ? 0.0 : position[row * E + i]) +
                           (type == NULL ? 0.0 : type[kind * E + i]);
    }
    if (r->st == QN_OK && E == H) memcpy(out, x, n * H * sizeof *x);
    if (E != H)
        linear(r, QN_SLOT_EMBED_PROJ, QN_SLOT_NONE, QN_ENCODER_INPUTS, x, n, E, H, out);
    norm(r, QN_SLOT_EMBED_GAMMA, QN_SLOT_EMBED_BETA, n, out);
    qn_delete(r->alloc, x);
    qn_delete(r->alloc, type);
    qn_delete(r->alloc, position);
    qn_delete(r->alloc, word);
}

/* wide: n x F. gate: n x F. y = W2 (act(W1 x) * Wg x). */
static void feed_forward(reference *r, const double *x, size_t n, double *wide,
                         double *gate, double *y)
{
    const qn_encoder_config *c = r->config;
    size_t H = c->hidden, F = c->intermediate;
    linear(r, QN_SLOT_UP, QN_SLOT_UP_BIAS, QN_INTO_UP, x, n, H, F, wide);
    if (c->gated)
        linear(r, QN_SLOT_GATE, QN_SLOT_GATE_BIAS, QN_INTO_UP, x, n, H, F, gate);
    for (size_t i = 0; i < n * F; i++)
        wide[i] = qn_act_exact(c->act, wide[i]) * (c->gated ? gate[i] : 1.0);
    linear(r, QN_SLOT_DOWN, QN_SLOT_DOWN_BIAS, QN_INTO_DOWN, wide, n, F, H, y);
}

/* x: n x H in, y: n x H out. work: n x (5H + 2F) + n. */
static void run_layer(reference *r, const double *x, size_t n, double *work, double *y)
{
    const qn_encoder_config *c = r->config;
    size_t H = c->hidden, F = c->intermediate;
    double *half = work, *context = half + n * H, *wide = context + n * H,
           *gate = wide + n * F, *rest = gate + n * F;
    bool before = c->pre_norm;
    memcpy(half, x, n * H * sizeof *x);
    if (before) norm(r, QN_SLOT_GAMMA_1, QN_SLOT_BETA_1, n, half);
    attend(r, half, n, rest, context);
    linear(r, QN_SLOT_OUT, QN_SLOT_OUT_BIAS, QN_ENCODER_INPUTS, context, n, H, H, half);
    sum(half, x, n * H, half);
    if (!before) norm(r, QN_SLOT_GAMMA_1, QN_SLOT_BETA_1, n, half);
    memcpy(context, half, n * H * sizeof *x);
    if (before) norm(r, QN_SLOT_GAMMA_2, QN_SLOT_BETA_2, n, context);
    feed_forward(r, context, n, wide, gate, y);
    sum(y, half, n * H, y);
    if (!before) norm(r, QN_SLOT_GAMMA_2, QN_SLOT_BETA_2, n, y);
}

/* y = LN(y + act(conv(x))), x: the embeddings. The stored kernel is out x (tap, in). */
static void convolve(reference *r, const double *x, size_t n, double *y)
{
    const qn_encoder_config *c = r->config;
    size_t H = c->hidden, taps = c->conv_kernel, part = H / c->conv_groups;
    double *W = load(r, QN_SLOT_CONV), *b = load(r, QN_SLOT_CONV_BIAS);
    for (size_t t = 0; r->st == QN_OK && t < n; t++)
        for (size_t o = 0; o < H; o++) {
            double total = b[o];
            for (size_t tap = 0; tap < taps; tap++) {
                size_t from = t + tap; /* of token from - taps / 2 */
                if (from < taps / 2 || from >= n + taps / 2) continue;
                total += dot(W + (o * taps + tap) * part,
                             x + (from - taps / 2) * H + o / part * part, part);
            }
            y[t * H + o] += qn_act_exact(c->conv_act, total);
        }
    norm(r, QN_SLOT_CONV_GAMMA, QN_SLOT_CONV_BETA, n, y);
    qn_delete(r->alloc, b);
    qn_delete(r->alloc, W);
}

qn_status qn_encoder_reference(qn_alloc *a, const qn_qnm *file,
                               const qn_encoder_config *config, const uint32_t *ids,
                               const uint8_t *types, size_t n, double *out,
                               qn_error *err)
{
    reference r = {.alloc = a, .file = file, .config = config, .err = err};
    size_t H = config->hidden, F = config->intermediate;
    double *work = qn_new_array(a, n * (5 * H + 2 * F + 1), sizeof *work);
    if (work == NULL) return qn_fail(err, QN_ENOMEM, "reference");
    embed(&r, ids, types, n, out);
    for (uint32_t i = 0; r.st == QN_OK && i < config->layers; i++) {
        double *y = out + (i + 1) * n * H;
        r.layer = i;
        run_layer(&r, out + i * n * H, n, work, y);
        if (i == 0 && config->conv_kernel > 0) convolve(&r, out, n, y);
    }
    if (config->pre_norm)
        norm(&r, QN_SLOT_LAST_GAMMA, QN_SLOT_LAST_BETA, n,
             out + config->layers * n * H);
    qn_delete(a, work);
    return r.st;
}
