/* SPDX-License-Identifier: Apache-2.0 */
#include "test_io.h"

#include "../qn_test.h"

#include "base/bits.h"
#include "base/clock.h"
#include "io/json_internal.h"

#include <math.h>

/* A tree as text again, compact: what the tests compare. */
static void write_back(qn_json_writer *w, const qn_json *v)
{
    if (v->key.p != NULL) qn_json_key_slice(w, v->key);
    switch (v->kind) {
    case QN_JSON_NULL:
        qn_json_null(w);
        break;
    case QN_JSON_BOOL:
        qn_json_bool(w, v->boolean);
        break;
    case QN_JSON_INT:
        qn_json_int(w, v->integer);
        break;
    case QN_JSON_DOUBLE:
        qn_json_double(w, v->number);
        break;
    case QN_JSON_STRING:
        qn_json_string(w, v->string);
        break;
    case QN_JSON_ARRAY:
        qn_json_begin_array(w);
        for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next)
            write_back(w, it);
        qn_json_end_array(w);
        break;
    case QN_JSON_OBJECT:
        qn_json_begin_object(w);
        for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next)
            write_back(w, it);
        qn_json_end_object(w);
        break;
    }
}

static const struct {
    const char *text, *want; /* want NULL: refused */
    qn_status st;
    int at;
} rows[] = {
    {"null", "null", QN_OK, 0},
    {" true ", "true", QN_OK, 0},
    {"[]", "[]", QN_OK, 0},
    {"{ }", "{}", QN_OK, 0},
    {"\"\"", "\"\"", QN_OK, 0},
    {"-0", "0", QN_OK, 0},
    {"-0.0", "-0.0", QN_OK, 0},
    {"[1,2.50,-3e2]", "[1,2.5,-300.0]", QN_OK, 0},
    {"9223372036854775807", "9223372036854775807", QN_OK, 0},
    {"-9223372036854775808", "-9223372036854775808", QN_OK, 0},
    {"9223372036854775808", "9.223372036854776e+18", QN_OK, 0},
    {"18446744073709551615", "1.8446744073709552e+19", QN_OK, 0},
    {"[123456789012345678901234567890]", "[1.2345678901234568e+29]", QN_OK, 0},
    {"1e-400", "0.0", QN_OK, 0},
    {"{\"b\":1,\"a\":[{}, {\"c\": null}],\"b\":2}",
     "{\"b\":1,\"a\":[{},{\"c\":null}],\"b\":2}", QN_OK, 0},
    {"\"a\\n\\u00e9\\ud83d\\ude00\\\"\\/\"", "\"a\\n\xC3\xA9\xF0\x9F\x98\x80\\\"/\"",
     QN_OK, 0},
    {"{\"k\\u0041\":\"\\u0000\"}", "{\"kA\":\"\\u0000\"}", QN_OK, 0},
    {"\"\xE4\xBD\xA0\xE5\xA5\xBD\"", "\"\xE4\xBD\xA0\xE5\xA5\xBD\"", QN_OK, 0},
    {"", NULL, QN_EJSON, 0},
    {"   ", NULL, QN_EJSON, 3},
    {"{", NULL, QN_EJSON, 1},
    {"[1,]", NULL, QN_EJSON, 3},
    {"[1 2]", NULL, QN_EJSON, 3},
    {"{\"a\":1,}", NULL, QN_EJSON, 7},
    {"{\"a\" 1}", NULL, QN_EJSON, 5},
    {"{a:1}", NULL, QN_EJSON, 1},
    {"[1}", NULL, QN_EJSON, 2},
    {"1 2", NULL, QN_EJSON, 2},
    {"01", NULL, QN_EJSON, 1},
    {"1.", NULL, QN_EJSON, 2},
    {"-", NULL, QN_EJSON, 1},
    {"1e", NULL, QN_EJSON, 2},
    {"1e400", NULL, QN_EJSON, 0},
    {"NaN", NULL, QN_EJSON, 0},
    {"nul", NULL, QN_EJSON, 0},
    {"truex", NULL, QN_EJSON, 4},
    {"\"abc", NULL, QN_EJSON, 4},
    {"\"a\nb\"", NULL, QN_EJSON, 2},
    {"\"\\x\"", NULL, QN_EJSON, 2},
    {"\"\\u12g4\"", NULL, QN_EJSON, 5},
    {"\"\\", NULL, QN_EJSON, 2},
    {"[\"\\ud800\"]", NULL, QN_EUTF8, 2},
    {"\"\\ud800\\u0041\"", NULL, QN_EUTF8, 1},
    {"\"\\udc00\"", NULL, QN_EUTF8, 1},
    {"{\"\\udfff\":1}", NULL, QN_EUTF8, 2},
    {"\"\xFF\"", NULL, QN_EUTF8, 1},
    {"\"a\xC3\"", NULL, QN_EUTF8, 2},
    {"\"\xED\xA0\x80\"", NULL, QN_EUTF8, 1},
    {"\"\xC0\xAF\"", NULL, QN_EUTF8, 1},
    {"\xEF\xBB\xBF{}", NULL, QN_EJSON, 0},
};

typedef qn_status reader(qn_arena *, qn_slice, const qn_json **, qn_error *);

static void check_rows(reader *read)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_buf out = {.alloc = qn_alloc_heap()};
        const qn_json *v = NULL;
        qn_error err = {0};
        T_EQ_I(read(&arena, qn_slice_of(rows[i].text), &v, &err), rows[i].st);
        if (rows[i].want == NULL) {
            T_EQ_I(err.at, rows[i].at);
            T_OK(err.text[0] != '\0' && v == NULL);
        } else {
            qn_json_writer w;
            qn_json_writer_init(&w, &out, false);
            write_back(&w, v);
            T_EQ_S(out.p, rows[i].want);
        }
        qn_buf_deinit(&out);
        qn_arena_deinit(&arena);
    }
}

static void test_parse(void **state)
{
    (void)state;
    check_rows(qn_json_parse);
    check_rows(qn_io__json_parse_plain);
}

static void test_nodes(void **state)
{
    (void)state;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_slice text = qn_slice_of(" {\"a\" : [1, 22 , \"x\" ] , \"b\":{ }, \"a\":-1.5} ");
    const qn_json *v = NULL;
    qn_error err = {0};
    reader *const readers[] = {qn_json_parse, qn_io__json_parse_plain};
    for (size_t i = 0; i < 2; i++) {
        T_ROW(i == 0 ? "fast" : "plain");
        T_CALL(readers[i](&arena, text, &v, &err), &err);
        T_EQ_I(v->count, 3);
        T_EQ_I(qn_json_offset(v, text), 1);
        T_EQ_I(v->raw.n, text.n - 2);
        const qn_json *a = qn_json_items(v);
        T_OK(qn_slice_eq_str(a->key, "a"));
        T_OK(qn_slice_eq_str(a->raw, "[1, 22 , \"x\" ]"));
        T_OK(qn_slice_eq_str(a->first->next->raw, "22"));
        T_OK(qn_slice_eq_str(a->first->next->next->raw, "\"x\""));
        T_OK(qn_slice_eq_str(qn_json_get(v, "b")->raw, "{ }"));
        T_OK(qn_slice_eq_str(qn_json_get(v, "a")->raw, "-1.5")); /* the last one */
        T_OK(qn_json_get(v, "c") == NULL && qn_json_get(a, "a") == NULL);
        T_EQ_S(qn_json_kind_name(a->kind), "array");
    }
    qn_arena_deinit(&arena);
}

static void nested(char *text, size_t depth)
{
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
}

static void test_depth(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t depth;
        qn_status st;
    } depths[] = {
        {"at the limit", QN_JSON_DEPTH_MAX, QN_OK},
        {"one past it", QN_JSON_DEPTH_MAX + 1, QN_ELIMIT},
        {"far past it", 100000, QN_ELIMIT},
    };
    static char text[200001];
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        T_ROW(depths[i].name);
        nested(text, depths[i].depth);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_json *v = NULL;
        qn_error err = {0};
        T_EQ_I(qn_json_parse(&arena, qn_slice_of(text), &v, &err), depths[i].st);
        if (depths[i].st != QN_OK) T_EQ_I(err.at, QN_JSON_DEPTH_MAX);
        qn_arena_deinit(&arena);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    qn_slice text =
        qn_slice_of("{\"a\\n\":[1,\"\\t\",{\"c\":123456789012345678901234}]}");
    qn_alloc alloc = {0};
    qn_status st = QN_ENOMEM;
    for (long n = 1; st != QN_OK; n++) {
        qn_arena arena;
        qn_arena_init(&arena, &alloc, 0);
        atomic_store(&alloc.fail_countdown, n);
        const qn_json *v = NULL;
        qn_error err = {0};
        st = qn_json_parse(&arena, text, &v, &err);
        T_OK(st == QN_OK || (st == QN_ENOMEM && v == NULL));
        qn_arena_deinit(&arena);
        T_EQ_I(atomic_load(&alloc.live_bytes), 0);
    }
}

static void test_numbers_round_trip(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *want;
    } doubles[] = {
        {1, "1.0"},
        {0, "0.0"},
        {0.1, "0.1"},
        {-2.5, "-2.5"},
        {1e15, "1e+15"},
        {123456789, "123456789.0"},
        {1.0 / 3, "0.3333333333333333"},
        {NAN, "null"},
        {INFINITY, "null"},
        {5e-324, "4.94065645841247e-324"},
    };
    qn_buf out = {.alloc = qn_alloc_heap()};
    qn_json_writer w;
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        T_ROW(doubles[i].want);
        qn_buf_reset(&out);
        qn_json_writer_init(&w, &out, false);
        qn_json_double(&w, doubles[i].v);
        T_EQ_S(out.p, doubles[i].want);
    }
    qn_rng rng = {.state = 7};
    for (int i = 0; i < 20000; i++) {
        T_ROW("random bits");
        uint64_t bits = qn_rng_next(&rng);
        double d;
        memcpy(&d, &bits, sizeof d);
        float f = qn_bits_float((uint32_t)bits);
        if (!isfinite(d) || !isfinite(f)) continue;
        double back = 0;
        qn_buf_reset(&out);
        qn_json_writer_init(&w, &out, false);
        qn_json_double(&w, d);
        T_OK(qn_slice_to_f64(qn_buf_slice(&out), &back) &&
             !memcmp(&back, &d, sizeof d));
        qn_buf_reset(&out);
        qn_json_float(&w, f);
        T_OK(qn_slice_to_f64(qn_buf_slice(&out), &back));
        T_OK(qn_float_bits((float)back) == (uint32_t)bits);
    }
    qn_buf_reset(&out);
    qn_json_writer_init(&w, &out, false);
    qn_json_float(&w, 0.1f);
    T_EQ_S(out.p, "0.1");
    qn_buf_deinit(&out);
}

static void test_pretty(void **state)
{
    (void)state;
    qn_buf out = {.alloc = qn_alloc_heap()};
    qn_json_writer w;
    qn_json_writer_init(&w, &out, true);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "a", "\x01\t\"");
    qn_json_key(&w, "b");
    qn_json_begin_array(&w);
    qn_json_int(&w, 1);
    qn_json_raw(&w, qn_slice_of("{}"));
    qn_json_end_array(&w);
    qn_json_key(&w, "c");
    qn_json_begin_array(&w);
    qn_json_end_array(&w);
    qn_json_member_bool(&w, "d", false);
    qn_json_member_int(&w, "e", -7);
    qn_json_member_double(&w, "f", 2);
    qn_json_end_object(&w);
    T_EQ_S(out.p, "{\n  \"a\": \"\\u0001\\t\\\"\",\n  \"b\": [\n    1,\n    {}\n  ],\n"
                  "  \"c\": [],\n  \"d\": false,\n  \"e\": -7,\n  \"f\": 2.0\n}");
    qn_buf_deinit(&out);
}

/* Both readers must say the same about any bytes: valid ones, and valid ones with one
 * byte changed. */
static void test_readers_agree(void **state)
{
    (void)state;
    static const char seed[] =
        "{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\n\"],\"b\":{\"c\":"
        "[[],{}]},\"\xE4\xBD\xA0\":18446744073709551615}";
    static const char bytes[] =
        "{}[]:,\"\\u0123456789.eE+-truefalsn \n\t\x80\xC3\xED\x01";
    char text[sizeof seed];
    qn_rng rng = {.state = 11};
    for (int round = 0; round < 20000; round++) {
        memcpy(text, seed, sizeof seed);
        for (int k = 0; k < 1 + round % 2; k++)
            text[qn_rng_next(&rng) % (sizeof seed - 1)] =
                bytes[qn_rng_next(&rng) % (sizeof bytes - 1)];
        qn_slice s = {text, sizeof seed - 1};
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_json *fast = NULL, *slow = NULL;
        qn_status tape = qn_io__json_parse_tape(&arena, s, &fast);
        qn_status st = qn_io__json_parse_plain(&arena, s, &slow, NULL);
        T_ROW(text);
        if (tape == QN_OK) {
            T_EQ_I(st, QN_OK);
            qn_buf a = {.alloc = qn_alloc_heap()}, b = {.alloc = qn_alloc_heap()};
            qn_json_writer w;
            qn_json_writer_init(&w, &a, false);
            write_back(&w, fast);
            qn_json_writer_init(&w, &b, false);
            write_back(&w, slow);
            T_EQ_S(a.p, b.p);
            qn_buf_deinit(&a);
            qn_buf_deinit(&b);
        }
        qn_arena_deinit(&arena);
    }
}

int test_io_json(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),         cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_pretty),        cmocka_unit_test(test_numbers_round_trip),
        cmocka_unit_test(test_readers_agree),
    };
    return cmocka_run_group_tests_name("io/json", tests, NULL, NULL);
}
