/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/act.h -- the functions between two products, by the names that configurations give
 * them ("hidden_act", "hidden_activation", "pooler_hidden_act", ...).
 *
 *     gelu         x Phi(x), by the error function     gelu_python
 *     gelu_tanh    0.5 x (1 + tanh(0.79788 (x + 0.044715 x^3)))
 *                  gelu_new, gelu_pytorch_tanh, gelu_python_tanh, gelu_fast, gelu_accurate
 *     quick_gelu   x sigmoid(1.702 x)
 *     relu         max(x, 0)
 *     silu         x sigmoid(x)                        swish
 *     tanh, sigmoid
 *     linear       x
 *
 * Threads   pure. */
#ifndef QN_NN_ACT_H
#define QN_NN_ACT_H

#include "base/slice.h"
#include "num/kernels.h"

typedef enum qn_act {
    QN_ACT_GELU,
    QN_ACT_GELU_TANH,
    QN_ACT_QUICK_GELU,
    QN_ACT_RELU,
    QN_ACT_SILU,
    QN_ACT_TANH,
    QN_ACT_SIGMOID,
    QN_ACT_LINEAR,
} qn_act;

/* The first name of the list above: what model files say. */
const char *qn_act_name(qn_act act);
/* Any name of the list; false for others. */
bool qn_act_parse(qn_slice name, qn_act *out);

/* n values in place. A value's bits do not depend on its neighbours. */
void qn_act_run(const qn_kernels *kernels, qn_act act, float *x, size_t n);
/* The same as what can follow a product; false for those that cannot. */
bool qn_act_pointwise(qn_act act, qn_pointwise *out);
/* The same in f64, one value: the meaning. */
double qn_act_exact(qn_act act, double x);

#endif
