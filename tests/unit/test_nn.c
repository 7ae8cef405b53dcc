/* SPDX-License-Identifier: Apache-2.0 */
#include "test_nn.h"

#include "../qn_test.h"

#include "io/file.h"
#include "io/json.h"
#include "nn/file/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[256];

const char *nn_path(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *nn_tiny(const char *which, qn_model_dtype dtype)
{
    char name[64], source[512];
    (void)snprintf(name, sizeof name, "%s.%s.qnm", which, qn_model_dtype_name(dtype));
    const char *path = nn_path(name);
    if (qn_file_exists(path)) return path;
    (void)snprintf(source, sizeof source, "%s/tests/golden/nn/%s", QN_SOURCE_DIR,
                   which);
    qn_import_options options = {.dtype = dtype};
    qn_error err = {0};
    T_CALL(qn_import_run(qn_alloc_heap(), source, path, &options, NULL, &err), &err);
    return path;
}

qn_model *nn_tiny_open(const char *which, qn_model_dtype dtype)
{
    qn_error err = {0};
    qn_model *m = NULL;
    T_CALL(qn_model_open(qn_alloc_heap(), nn_tiny(which, dtype), NULL, &m, &err), &err);
    return m;
}

const qn_json *nn_cases(qn_arena *arena, const char *which)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/nn/%s.json", QN_SOURCE_DIR,
                   which);
    qn_error err = {0};
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    T_CALL(qn_file_read(path, 1 << 24, &text, &err), &err);
    qn_slice kept = qn_arena_slice(arena, qn_buf_slice(&text));
    qn_buf_deinit(&text);
    const qn_json *cases = NULL;
    T_CALL(qn_json_parse(arena, kept, &cases, &err), &err);
    return cases;
}

/* ---- numbers ---------------------------------------------------------------- */

static void test_f16(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t bits;
        float value;
    } rows[] = {
        {"zero", 0x0000, 0.0f},
        {"one", 0x3C00, 1.0f},
        {"minus two", 0xC000, -2.0f},
        {"a third", 0x3555, 0.333251953125f},
        {"largest", 0x7BFF, 65504.0f},
        {"smallest normal", 0x0400, 0x1p-14f},
        {"largest subnormal", 0x03FF, 0x1.ff8p-15f},
        {"smallest subnormal", 0x8001, -0x1p-24f},
        {"infinity", 0x7C00, INFINITY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_OK(qn_f16_to_f32(rows[i].bits) == rows[i].value);
    }
    T_OK(isnan(qn_f16_to_f32(0x7E00)));
    T_OK(signbit(qn_f16_to_f32(0x8000)));
}

static void test_bf16(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float value;
        uint16_t bits;
    } rows[] = {
        {"one", 1.0f, 0x3F80},
        {"half way goes to even, down", 0x1.01p0f, 0x3F80},
        {"half way goes to even, up", 0x1.03p0f, 0x3F82},
        {"just over half", 0x1.010002p0f, 0x3F81},
        {"carries into the exponent", 0x1.ffp0f, 0x4000},
        {"negative", -3.0f, 0xC040},
        {"over the largest", 0x1.fffffep127f, 0x7F80},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_EQ_I(qn_bf16_from_f32(rows[i].value), rows[i].bits);
    }
    T_OK(isnan(qn_bf16_to_f32(qn_bf16_from_f32(NAN))));
}

static void test_quantize_row(void **state)
{
    (void)state;
    int8_t q[4];
    const float plain[4] = {1.0f, -2.0f, 0.5f, 0.0f};
    T_ROW("largest becomes 127");
    T_NEAR(qn_tensor_quantize_row(plain, 4, q), 2.0 / 127.0, 1e-9);
    T_EQ_I(q[0], 64); /* 63.5 */
    T_EQ_I(q[1], -127);
    T_EQ_I(q[2], 32); /* 31.75 */
    T_EQ_I(q[3], 0);
    const float zeros[4] = {0};
    T_ROW("zeros");
    T_OK(qn_tensor_quantize_row(zeros, 4, q) == 0.0f);
    T_EQ_I(q[0], 0);
    const float tiny[4] = {0x1p-149f, 0.0f, 0.0f, 0.0f};
    T_ROW("a scale that underflows");
    T_OK(qn_tensor_quantize_row(tiny, 4, q) == 0.0f);
    T_EQ_I(q[0], 0);
}

int test_nn_tensor(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_quantize_row),
    };
    return cmocka_run_group_tests_name("nn tensor", tests, NULL, NULL);
}

int main(void)
{
    qn_error err = {0};
    (void)snprintf(folder, sizeof folder, "%s/test_nn.%ld", QN_BUILD_DIR,
                   (long)getpid());
    if (qn_dir_create(folder, &err) != QN_OK) {
        print_error("%s\n", err.text);
        return 1;
    }
    int failed = test_nn_tensor() + test_nn_safetensors() + test_nn_torch() +
                 test_nn_tails() + test_nn_import() + test_nn_folders() +
                 test_nn_encoder() + test_nn_tasks() + test_nn_families() +
                 test_nn_packed();
    return failed + (qn_dir_remove(folder, &err) != QN_OK);
}
