/* SPDX-License-Identifier: Apache-2.0 */
#include "test_nn.h"

#include "../qn_test.h"

#include "base/bits.h"
#include "nn/import/safetensors.h"

/* A file of this header and `data` zero bytes; header_size 0: the true one. */
static qn_buf file_of(const char *header, uint64_t header_size, size_t data)
{
    qn_buf b;
    qn_buf_init(&b, qn_alloc_heap());
    uint8_t size[8];
    qn_store64(size, header_size == 0 ? strlen(header) : header_size);
    qn_buf_add(&b, size, 8);
    qn_buf_add_str(&b, header);
    for (size_t i = 0; i < data; i++) qn_buf_add_char(&b, '\0');
    return b;
}

#define T(name, dtype, shape, offsets)                                                 \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape                           \
    ",\"data_offsets\":" offsets "}"

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *header;
        uint64_t header_size;
        size_t data;
        const char *says; /* NULL: accepted */
    } rows[] = {
        {"one tensor", "{" T("a", "F32", "[2,3]", "[0,24]") "}", 0, 24, NULL},
        {"padded with blanks", "{" T("a", "F16", "[4]", "[0,8]") "}   ", 0, 8, NULL},
        {"metadata", "{\"__metadata__\":{\"format\":\"pt\"}}", 0, 0, NULL},
        {"no tensors", "{}", 0, 0, NULL},
        {"metadata is a list", "{\"__metadata__\":[]}", 0, 0, "no object"},
        {"metadata holds a number", "{\"__metadata__\":{\"n\":1}}", 0, 0, "strings"},
        {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, 0, "twice"},
        {"a key twice",
         "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         0, 4, "a key twice"},
        {"rank 0", "{" T("a", "F32", "[]", "[0,4]") "}", 0, 4, NULL},
        {"an empty tensor", "{" T("a", "F32", "[0,7]", "[0,0]") "}", 0, 0, NULL},
        {"two, out of order",
         "{" T("b", "I64", "[1]", "[4,12]") "," T("a", "F32", "[1]", "[0,4]") "}", 0,
         12, NULL},
        {"header past the end", "{}", 3, 0, "past the end"},
        {"header of 2^63 bytes", "{}", 1ull << 63, 0, "a header of"},
        {"header over the limit", "{}", 100000001, 0, "a header of"},
        {"no object", "[]", 0, 0, "no JSON object"},
        {"broken JSON", "{\"a\":", 0, 0, "header"},
        {"entry is no object", "{\"a\":1}", 0, 0, "tensor \"a\""},
        {"unknown dtype", "{" T("a", "F4", "[2]", "[0,1]") "}", 0, 1, "unknown dtype"},
        {"no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 0, 4,
         "shape"},
        {"negative shape", "{" T("a", "F32", "[-1]", "[0,4]") "}", 0, 4, "shape"},
        {"shape overflows",
         "{" T("a", "F32", "[4294967296,4294967296,4294967296]", "[0,4]") "}", 0, 4,
         "shape"},
        {"bytes overflow", "{" T("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0,
         0, "not as many"},
        {"shape and bytes differ", "{" T("a", "F32", "[2]", "[0,4]") "}", 0, 4,
         "not as many"},
        {"past the data", "{" T("a", "F32", "[2]", "[0,8]") "}", 0, 4, "data_offsets"},
        {"end before begin", "{" T("a", "F32", "[0]", "[4,0]") "}", 0, 4,
         "data_offsets"},
        {"one offset", "{" T("a", "F32", "[1]", "[4]") "}", 0, 4, "data_offsets"},
        {"there twice",
         "{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", 0, 8,
         "there twice"},
        {"overlap",
         "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[1]", "[4,8]") "}", 0, 8,
         "overlaps"},
        {"hole",
         "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[8,12]") "}", 0,
         12, "hole"},
        {"bytes after the last", "{" T("a", "F32", "[1]", "[0,4]") "}", 0, 5, "after"},
        {"rank 9", "{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 0, 4,
         "shape"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_buf b = file_of(rows[i].header, rows[i].header_size, rows[i].data);
        qn_safetensors *s = NULL;
        qn_error err = {0};
        qn_status st = qn_safetensors_open_memory(qn_alloc_heap(), qn_buf_slice(&b),
                                                  "x", &s, &err);
        if (rows[i].says == NULL) {
            T_CALL(st, &err);
        } else {
            T_EQ_I(st, QN_EMODEL);
            if (strstr(err.text, rows[i].says) == NULL) T_FAIL("it says: %s", err.text);
        }
        qn_safetensors_close(s);
        qn_buf_deinit(&b);
    }
}

/* Nesting that would exhaust a recursive parser's stack. */
static void test_depth(void **state)
{
    (void)state;
    T_ROW("depth");
    qn_buf header;
    qn_buf_init(&header, qn_alloc_heap());
    qn_buf_add_str(&header, "{\"a\":");
    for (int i = 0; i < 100000; i++) qn_buf_add_char(&header, '[');
    qn_buf b = file_of(header.p, 0, 0);
    qn_safetensors *s = NULL;
    qn_error err = {0};
    T_EQ_I(qn_safetensors_open_memory(qn_alloc_heap(), qn_buf_slice(&b), "x", &s, &err),
           QN_EMODEL);
    qn_buf_deinit(&b);
    qn_buf_deinit(&header);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *dtype;
        uint8_t bytes[4];
        size_t size;
        float value;
        bool ok;
    } rows[] = {
        {"F32", "F32", {0x00, 0x00, 0x80, 0xBF}, 4, -1.0f, true},
        {"F16", "F16", {0x00, 0x3E}, 2, 1.5f, true},
        {"BF16", "BF16", {0xC0, 0x3F}, 2, 1.5f, true},
        {"NaN", "F32", {0x00, 0x00, 0xC0, 0x7F}, 4, 0, false},
        {"infinity", "F16", {0x00, 0x7C}, 2, 0, false},
        {"integers", "I32", {1, 0, 0, 0}, 4, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        char header[128];
        (void)snprintf(
            header, sizeof header,
            "{\"w\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}",
            rows[i].dtype, rows[i].size);
        qn_buf b = file_of(header, 0, 0);
        qn_buf_add(&b, rows[i].bytes, rows[i].size);
        qn_safetensors *s = NULL;
        qn_error err = {0};
        T_CALL(qn_safetensors_open_memory(qn_alloc_heap(), qn_buf_slice(&b), "x", &s,
                                          &err),
               &err);
        const qn_weight *t = qn_safetensors_find(s, "w");
        T_OK(t != NULL && t->rank == 1 && t->shape[0] == 1);
        float value = 0;
        qn_status st = qn_weight_to_f32(t, "x", &value, &err);
        T_EQ_I(st, rows[i].ok ? QN_OK : QN_EMODEL);
        if (rows[i].ok) T_OK(value == rows[i].value);
        if (!rows[i].ok) T_OK(strstr(err.text, "\"w\"") != NULL);
        qn_safetensors_close(s);
        qn_buf_deinit(&b);
    }
}

int test_nn_safetensors(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests_name("nn safetensors", tests, NULL, NULL);
}
