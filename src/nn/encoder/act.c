/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder/act.h"

#include <math.h>

#define TANH_SCALE 0.79788456080286535588 /* sqrt(2 / pi) */
#define TANH_CUBE 0.044715
#define QUICK 1.702

enum { BLOCK = 256 };

static const struct {
    const char *name;
    qn_act act;
} names[] = {
    /* ORDER ACT: the first eight are the names of the enum's values. */
    {"gelu", QN_ACT_GELU},
    {"gelu_tanh", QN_ACT_GELU_TANH},
    {"quick_gelu", QN_ACT_QUICK_GELU},
    {"relu", QN_ACT_RELU},
    {"silu", QN_ACT_SILU},
    {"tanh", QN_ACT_TANH},
    {"sigmoid", QN_ACT_SIGMOID},
    {"linear", QN_ACT_LINEAR},
    {"gelu_python", QN_ACT_GELU},
    {"gelu_new", QN_ACT_GELU_TANH},
    {"gelu_pytorch_tanh", QN_ACT_GELU_TANH},
    {"gelu_python_tanh", QN_ACT_GELU_TANH},
    {"gelu_fast", QN_ACT_GELU_TANH},
    {"gelu_accurate", QN_ACT_GELU_TANH},
    {"swish", QN_ACT_SILU},
};

const char *qn_act_name(qn_act act)
{
    qn_assert(names[act].act == act);
    return names[act].name;
}

bool qn_act_parse(qn_slice name, qn_act *out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!qn_slice_eq_str(name, names[i].name)) continue;
        *out = names[i].act;
        return true;
    }
    return false;
}

/* sigmoid(s x), or x sigmoid(s x): sigmoid(v) is (1 + tanh(v / 2)) / 2. */
static void sigmoid(const qn_kernels *kernels, float s, bool times_x, float *x,
                    size_t n)
{
    float u[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t m = n - at < BLOCK ? n - at : BLOCK;
        float *v = x + at;
        for (size_t i = 0; i < m; i++) u[i] = 0.5f * s * v[i];
        kernels->tanh(u, m);
        for (size_t i = 0; i < m; i++)
            v[i] = (times_x ? 0.5f * v[i] : 0.5f) * (1.0f + u[i]);
    }
}

void qn_act_run(const qn_kernels *kernels, qn_act act, float *x, size_t n)
{
    switch (act) {
    case QN_ACT_GELU:
        kernels->gelu(x, n);
        break;
    case QN_ACT_TANH:
        kernels->tanh(x, n);
        break;
    case QN_ACT_GELU_TANH:
        kernels->gelu_tanh(x, n);
        break;
    case QN_ACT_RELU:
        kernels->relu(x, n);
        break;
    case QN_ACT_SILU:
        kernels->silu(x, n);
        break;
    case QN_ACT_QUICK_GELU:
        sigmoid(kernels, (float)QUICK, true, x, n);
        break;
    case QN_ACT_SIGMOID:
        sigmoid(kernels, 1.0f, false, x, n);
        break;
    case QN_ACT_LINEAR:
        break;
    }
}

bool qn_act_pointwise(qn_act act, qn_pointwise *out)
{
    static const struct {
        qn_act act;
        qn_pointwise pointwise;
    } rows[] = {
        {QN_ACT_GELU, QN_POINTWISE_GELU}, {QN_ACT_GELU_TANH, QN_POINTWISE_GELU_TANH},
        {QN_ACT_RELU, QN_POINTWISE_RELU}, {QN_ACT_SILU, QN_POINTWISE_SILU},
        {QN_ACT_TANH, QN_POINTWISE_TANH}, {QN_ACT_LINEAR, QN_POINTWISE_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].act != act) continue;
        *out = rows[i].pointwise;
        return true;
    }
    return false;
}

double qn_act_exact(qn_act act, double x)
{
    switch (act) {
    case QN_ACT_GELU:
        return 0.5 * x * (1.0 + erf(x / sqrt(2.0)));
    case QN_ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(TANH_SCALE * (x + TANH_CUBE * x * x * x)));
    case QN_ACT_QUICK_GELU:
        return x / (1.0 + exp(-QUICK * x));
    case QN_ACT_RELU:
        return x < 0.0 ? 0.0 : x;
    case QN_ACT_SILU:
        return x / (1.0 + exp(-x));
    case QN_ACT_TANH:
        return tanh(x);
    case QN_ACT_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case QN_ACT_LINEAR:
        break;
    }
    return x;
}
