/* SPDX-License-Identifier: Apache-2.0 */
/* test_nn.h -- the groups of the program test_nn, and the tiny models they share. */
#ifndef QN_TEST_NN_H
#define QN_TEST_NN_H

#include "nn/import/import.h"

int test_nn_tensor(void);
int test_nn_safetensors(void);
int test_nn_torch(void);
int test_nn_tails(void);
int test_nn_import(void);
int test_nn_folders(void);
int test_nn_encoder(void);
int test_nn_tasks(void);
int test_nn_families(void);
int test_nn_packed(void);

/* A path in this run's scratch folder; valid until the next but seven calls. */
const char *nn_path(const char *name);
/* Imports tests/golden/nn/<which> once per dtype; the path of the .qnm file. */
const char *nn_tiny(const char *which, qn_model_dtype dtype);
/* The same, opened. */
qn_model *nn_tiny_open(const char *which, qn_model_dtype dtype);
/* The cases of tests/golden/nn/<which>.json; nodes live in the arena. */
struct qn_json;
const struct qn_json *nn_cases(qn_arena *arena, const char *which);

#endif
