/* SPDX-License-Identifier: Apache-2.0 */
#include "../qn_test.h"

#include "net/http_address.h"
#include "net/url.h"

#include <unistd.h>

int test_net_http(void);

static const struct {
    const char *name, *target;
    const char *want; /* segments, then name=value */
    qn_status st;
    uint64_t at;
} rows[] = {
    {"root", "/", "", QN_OK, 0},
    {"segments", "/a/b", "[a][b]", QN_OK, 0},
    {"doubled and last slash", "//a//b/", "[a][b]", QN_OK, 0},
    {"split before decoding", "/a%2Fb/c", "[a/b][c]", QN_OK, 0},
    {"plus in a path is a plus", "/a+b", "[a+b]", QN_OK, 0},
    {"bare parameter", "/a?pretty", "[a]{pretty=}", QN_OK, 0},
    {"parameters", "/?q=x+y%20z&n=1", "{q=x y z}{n=1}", QN_OK, 0},
    {"empty parts", "/?&&a=&=b&", "{a=}{=b}", QN_OK, 0},
    {"equals in a value", "/q?query=config=hit:1", "[q]{query=config=hit:1}", QN_OK, 0},
    {"question mark in a value", "/?a=b?c", "{a=b?c}", QN_OK, 0},
    {"UTF-8", "/%E4%BD%A0", "[\xE4\xBD\xA0]", QN_OK, 0},
    {"escape at the end", "/a%41", "[aA]", QN_OK, 0},
    {"cut escape", "/a%4", "", QN_EINVAL, 2},
    {"lone percent", "/a?b=50%", "", QN_EINVAL, 7},
    {"no hex", "/%zz", "", QN_EINVAL, 1},
    {"bad UTF-8", "/a/%FF", "", QN_EUTF8, 3},
    {"overlong UTF-8", "/?a=%C0%AF", "", QN_EUTF8, 4},
};

static void test_url(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_buf got = {.alloc = qn_alloc_heap()};
        qn_url url;
        qn_error err = {0};
        T_EQ_I(qn_url_parse(&arena, qn_slice_of(rows[i].target), &url, &err),
               rows[i].st);
        if (rows[i].st == QN_OK) {
            for (size_t k = 0; k < url.segment_count; k++)
                qn_buf_printf(&got, "[%.*s]", QN_SLICE_ARG(url.segments[k]));
            for (size_t k = 0; k < url.param_count; k++)
                qn_buf_printf(&got, "{%.*s=%.*s}", QN_SLICE_ARG(url.params[k].name),
                              QN_SLICE_ARG(url.params[k].value));
            T_EQ_S(qn_buf_slice(&got).p, rows[i].want);
        } else {
            T_EQ_I(err.at, rows[i].at);
        }
        qn_buf_deinit(&got);
        qn_arena_deinit(&arena);
    }
}

static void test_url_limits(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part;
        size_t count;
        qn_status st;
    } limits[] = {
        {"segments at the limit", "/a", QN_URL_SEGMENTS_MAX, QN_OK},
        {"one segment more", "/a", QN_URL_SEGMENTS_MAX + 1, QN_ELIMIT},
        {"parameters at the limit", "&a", QN_URL_PARAMS_MAX - 1, QN_OK},
        {"one parameter more", "&a", QN_URL_PARAMS_MAX, QN_ELIMIT},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        T_ROW(limits[i].name);
        qn_buf target = {.alloc = qn_alloc_heap()};
        qn_buf_add_str(&target, limits[i].part[0] == '&' ? "/?a" : "");
        for (size_t k = 0; k < limits[i].count; k++)
            qn_buf_add_str(&target, limits[i].part);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_url url;
        qn_error err = {0};
        T_EQ_I(qn_url_parse(&arena, qn_buf_slice(&target), &url, &err), limits[i].st);
        qn_arena_deinit(&arena);
        qn_buf_deinit(&target);
    }
}

static void test_find_and_encode(void **state)
{
    (void)state;
    T_ROW("find");
    const qn_param p[] = {{.name = QN_SLICE_LIT("a"), .value = QN_SLICE_LIT("1")},
                          {.name = QN_SLICE_LIT("Accept"), .value = QN_SLICE_LIT("2")},
                          {.name = QN_SLICE_LIT("a"), .value = QN_SLICE_LIT("3")}};
    T_OK(qn_param_find(p, 3, "a") == &p[2]);
    T_OK(qn_param_find(p, 3, "accept") == NULL);
    T_OK(qn_header_find(p, 3, "accept") == &p[1]);
    qn_buf out = {.alloc = qn_alloc_heap()};
    qn_url_encode(&out, qn_slice_of("a b/\xC3\xA9~"));
    T_EQ_S(out.p, "a%20b%2F%C3%A9~");
    qn_buf_deinit(&out);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool allow_remote;
        qn_status st;
        const char *says;
    } addresses[] = {
        {"127.0.0.1:0", false, QN_OK, "http://127.0.0.1:"},
        {"localhost:0", false, QN_OK, "http://"},
        {"127.1.2.3:0", false, QN_OK, "http://127.1.2.3:"},
        {"0.0.0.0:0", false, QN_EUSAGE, "--insecure"},
        {"0.0.0.0:0", true, QN_OK, "http://0.0.0.0:"},
        {"9200", false, QN_EUSAGE, "HOST:PORT"},
        {":9200", false, QN_EUSAGE, "HOST:PORT"},
        {"::1:9200", false, QN_EUSAGE, "HOST:PORT"},
        {"127.0.0.1:", false, QN_EUSAGE, "HOST:PORT"},
        {"127.0.0.1:65536", false, QN_EUSAGE, "HOST:PORT"},
        {"no.such.host.invalid:1", false, QN_EPORT, "no.such.host.invalid:1"},
    };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        T_ROW(addresses[i].address);
        qn_http_listener l;
        qn_error err = {0};
        T_EQ_I(
            qn_http_listen(addresses[i].address, addresses[i].allow_remote, &l, &err),
            addresses[i].st);
        T_OK(strstr(addresses[i].st == QN_OK ? l.url : err.text, addresses[i].says));
        if (addresses[i].st == QN_OK) {
            T_OK(l.port != 0);
            (void)close(l.fd);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_url_limits),
        cmocka_unit_test(test_find_and_encode),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL) + test_net_http();
}
