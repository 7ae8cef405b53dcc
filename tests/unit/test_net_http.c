/* SPDX-License-Identifier: Apache-2.0 */
/* A real server on a free port, spoken to by our own client and by a bare socket. */
#include "../qn_test.h"

#include "net/http_client.h"
#include "net/http_encoding.h"
#include "net/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

int test_net_http(void);

enum { BODY_MAX = 1 << 20, SLOW_WORKERS = 2, SLOW_MAX = 6 };

typedef struct fixture {
    qn_http_server *server;
    qn_http_client *client;
    atomic_bool started, release, saw_cancel;
    atomic_int calls;
    char url[128];
} fixture;

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* /echo: method, segments, parameters, a header, the body. /wait: until released or
 * cancelled. /slow: the same, among the slow requests. */
static void handler(void *ctx, const qn_http_request *r, qn_http_response *out)
{
    fixture *f = ctx;
    atomic_fetch_add(&f->calls, 1);
    out->content_type = "text/plain";
    qn_http_add_header(out, "X-Kind", "test");
    if (r->failure.code != QN_OK) {
        out->status = qn_status_describe(r->failure.code)->http_status;
        qn_buf_add_str(&out->body, r->failure.text);
        return;
    }
    bool slow = r->url.segment_count > 0 && qn_slice_eq_str(r->url.segments[0], "slow");
    if (slow && r->may_defer) {
        qn_buf_add_str(&out->body, "forgotten");
        out->status = 500;
        out->deferred = true;
        return;
    }
    bool wait = r->url.segment_count > 0 && qn_slice_eq_str(r->url.segments[0], "wait");
    if (slow || wait) {
        atomic_store(&f->started, true);
        while (!atomic_load(&f->release) && !atomic_load(r->cancelled)) nap();
        if (atomic_load(r->cancelled)) atomic_store(&f->saw_cancel, true);
        qn_buf_add_str(&out->body, "waited");
        return;
    }
    if (r->url.segment_count > 0 && qn_slice_eq_str(r->url.segments[0], "big")) {
        for (int i = 0; i < 20000; i++) qn_buf_add_str(&out->body, "0123456789");
        return;
    }
    qn_buf_printf(&out->body, "%.*s", QN_SLICE_ARG(r->method));
    for (size_t i = 0; i < r->url.segment_count; i++)
        qn_buf_printf(&out->body, " [%.*s]", QN_SLICE_ARG(r->url.segments[i]));
    for (size_t i = 0; i < r->url.param_count; i++)
        qn_buf_printf(&out->body, " {%.*s=%.*s}", QN_SLICE_ARG(r->url.params[i].name),
                      QN_SLICE_ARG(r->url.params[i].value));
    const qn_param *h = qn_header_find(r->headers, r->header_count, "x-test");
    if (h != NULL) qn_buf_printf(&out->body, " <%.*s>", QN_SLICE_ARG(h->value));
    qn_buf_printf(&out->body, " %zu:%.*s", r->body.n,
                  r->body.n > 100 ? 3 : (int)r->body.n, r->body.p);
}

static int setup(void **state)
{
    static fixture f;
    memset(&f, 0, sizeof f);
    qn_error err = {0};
    qn_http_server_options o = {.listen = "127.0.0.1:0",
                                .workers = 4,
                                .slow_workers = SLOW_WORKERS,
                                .slow_queue_max = SLOW_MAX,
                                .body_max_bytes = BODY_MAX,
                                .grace_ms = 50,
                                .handler = handler,
                                .ctx = &f};
    T_CALL(qn_http_server_create(qn_alloc_heap(), &o, &f.server, &err), &err);
    T_CALL(qn_http_client_create(qn_alloc_heap(), &f.client, &err), &err);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    qn_http_server_destroy(f->server);
    qn_http_client_destroy(f->client);
    return 0;
}

static int fetch(fixture *f, const char *method, const char *path, qn_slice body,
                 const char *encoding, qn_buf *out)
{
    char url[256];
    (void)snprintf(url, sizeof url, "%s%s", qn_http_server_url(f->server), path);
    const qn_param headers[] = {
        {.name = QN_SLICE_LIT("X-Test"), .value = QN_SLICE_LIT("yes")},
        {.name = QN_SLICE_LIT("Content-Encoding"),
         .value = qn_slice_of(encoding == NULL ? "" : encoding)},
    };
    qn_http_call call = {.method = method,
                         .url = url,
                         .content_type = body.n > 0 ? "text/plain" : NULL,
                         .headers = headers,
                         .header_count = encoding == NULL ? 1 : 2,
                         .body = body,
                         .deadline = qn_deadline_in_ms(20000, NULL)};
    qn_http_reply reply = {0};
    qn_buf_init(&reply.body, qn_alloc_heap());
    qn_error err = {0};
    T_CALL(qn_http_fetch(f->client, &call, &reply, &err), &err);
    qn_buf_deinit(out);
    *out = reply.body;
    T_EQ_S(reply.content_type, "text/plain");
    return reply.status;
}

static void test_requests(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *name, *method, *path, *body;
        int status;
        const char *want;
    } rows[] = {
        {"get", "GET", "/a/b?c=d", "", 200, "GET [a] [b] {c=d} <yes> 0:"},
        {"put", "PUT", "/a%2Fb", "hello", 200, "PUT [a/b] <yes> 5:hello"},
        {"delete with a body", "DELETE", "/x", "y", 200, "DELETE [x] <yes> 1:y"},
        {"post without a body", "POST", "/x", "", 200, "POST [x] <yes> 0:"},
        {"head", "HEAD", "/x", "", 200, ""},
        {"broken escape", "GET", "/x%4", "", 400,
         "'%' is not followed by two hexadecimal digits"},
    };
    qn_buf out = {.alloc = qn_alloc_heap()};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_EQ_I(fetch(f, rows[i].method, rows[i].path, qn_slice_of(rows[i].body), NULL,
                     &out),
               rows[i].status);
        T_EQ_S(qn_buf_slice(&out).p, rows[i].want);
    }
    T_ROW("a large answer, gzip on the way");
    T_EQ_I(fetch(f, "GET", "/big", (qn_slice){"", 0}, NULL, &out), 200);
    T_EQ_I(out.n, 200000);
    qn_buf_deinit(&out);
}

static void test_body_limit(void **state)
{
    fixture *f = *state;
    static char body[BODY_MAX + 1];
    memset(body, 'x', sizeof body);
    qn_buf out = {.alloc = qn_alloc_heap()};
    T_ROW("at the limit");
    T_EQ_I(fetch(f, "PUT", "/", (qn_slice){body, BODY_MAX}, NULL, &out), 200);
    T_EQ_S(out.p, "PUT <yes> 1048576:xxx");
    T_ROW("one past it");
    T_EQ_I(fetch(f, "PUT", "/", (qn_slice){body, BODY_MAX + 1}, NULL, &out), 413);
    T_ROW("and the connection goes on");
    T_EQ_I(fetch(f, "PUT", "/", (qn_slice){body, 5}, NULL, &out), 200);
    qn_buf_deinit(&out);
}

static void test_compressed_bodies(void **state)
{
    fixture *f = *state;
    qn_buf packed = {.alloc = qn_alloc_heap()}, out = {.alloc = qn_alloc_heap()};
    qn_slice text = qn_slice_of("hello hello hello hello");
    T_ROW("gzip");
    T_OK(qn_http_gzip(text, &packed));
    T_EQ_I(fetch(f, "PUT", "/", qn_buf_slice(&packed), "gzip", &out), 200);
    T_EQ_S(out.p, "PUT <yes> 23:hello hello hello hello");
    T_ROW("cut gzip");
    T_EQ_I(fetch(f, "PUT", "/", (qn_slice){packed.p, packed.n - 9}, "gzip", &out), 400);
    T_ROW("deflate, a zlib stream");
    unsigned char zlib[200];
    uLongf n = sizeof zlib;
    T_EQ_I(compress(zlib, &n, (const unsigned char *)text.p, text.n), Z_OK);
    T_EQ_I(fetch(f, "PUT", "/", (qn_slice){(char *)zlib, n}, "deflate", &out), 200);
    T_EQ_S(out.p, "PUT <yes> 23:hello hello hello hello");
    T_ROW("deflate, raw");
    T_EQ_I(fetch(f, "PUT", "/", (qn_slice){(char *)zlib + 2, n - 6}, "deflate", &out),
           200);
    T_ROW("unknown");
    T_EQ_I(fetch(f, "PUT", "/", text, "br", &out), 406);
    T_ROW("a bomb");
    qn_buf_reset(&packed);
    qn_buf zeros = {.alloc = qn_alloc_heap()};
    T_OK(qn_buf_reserve(&zeros, 64 << 20) != NULL);
    memset(zeros.p, 0, 64 << 20);
    T_OK(qn_http_gzip((qn_slice){zeros.p, 64 << 20}, &packed) && packed.n < BODY_MAX);
    T_EQ_I(fetch(f, "PUT", "/", qn_buf_slice(&packed), "gzip", &out), 413);
    qn_buf_deinit(&zeros);
    qn_buf_deinit(&packed);
    qn_buf_deinit(&out);
}

static void test_busy_port(void **state)
{
    fixture *f = *state;
    char address[64];
    (void)snprintf(address, sizeof address, "127.0.0.1:%d",
                   qn_http_server_port(f->server));
    qn_http_server_options o = {.listen = address, .handler = handler, .ctx = f};
    qn_http_server *second = NULL;
    qn_error err = {0};
    T_EQ_I(qn_http_server_create(qn_alloc_heap(), &o, &second, &err), QN_EPORT);
    T_OK(second == NULL && strstr(err.text, address) && strstr(err.text, "--listen"));
}

static int dial(const fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(qn_http_server_port(f->server))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    T_EQ_I(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    T_EQ_I(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* A client that leaves sets the request's cancel flag. */
static void test_client_leaves(void **state)
{
    fixture *f = *state;
    int fd = dial(f);
    say(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!atomic_load(&f->started)) nap();
    T_EQ_I(qn_http_server_in_flight(f->server), 1);
    (void)close(fd);
    while (qn_http_server_in_flight(f->server) > 0) nap();
    T_OK(atomic_load(&f->saw_cancel));
}

/* All that comes until the other side closes. */
static void listen_to(int fd, char *text, size_t size)
{
    size_t n = 0;
    for (ssize_t got; (got = recv(fd, text + n, size - 1 - n, 0)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    (void)close(fd);
}

/* Two requests on one connection, the second sent while the first runs. */
static void test_keep_alive(void **state)
{
    fixture *f = *state;
    int fd = dial(f);
    say(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n"
            "Connection: close\r\n\r\n");
    while (!atomic_load(&f->started)) nap();
    atomic_store(&f->release, true);
    char text[4096];
    listen_to(fd, text, sizeof text);
    const char *first = strstr(text, "waited"), *second = strstr(text, "GET [two] 0:");
    T_OK(first != NULL && second != NULL && first < second);
    T_OK(strstr(text, "X-Kind: test") != NULL);
    T_OK(!atomic_load(&f->saw_cancel));
}

static void *waiter(void *arg)
{
    fixture *f = arg;
    qn_http_client *c = NULL;
    qn_error err = {0};
    char *answer = NULL;
    if (qn_http_client_create(qn_alloc_heap(), &c, &err) != QN_OK) return NULL;
    qn_http_call call = {.method = "GET", .url = f->url};
    qn_http_reply reply = {0};
    qn_buf_init(&reply.body, qn_alloc_heap());
    if (qn_http_fetch(c, &call, &reply, &err) == QN_OK)
        answer = qn_buf_take(&reply.body, &(size_t){0});
    qn_buf_deinit(&reply.body);
    qn_http_client_destroy(c);
    return answer;
}

/* Stopping lets a running request end; one that does not is cancelled after the grace,
 * and still answers. */
static void test_stop(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    (void)snprintf(f->url, sizeof f->url, "%s/wait", qn_http_server_url(f->server));
    T_EQ_I(pthread_create(&thread, NULL, waiter, f), 0);
    while (!atomic_load(&f->started)) nap();
    qn_http_server_destroy(f->server);
    f->server = NULL;
    void *answer = NULL;
    (void)pthread_join(thread, &answer);
    T_OK(atomic_load(&f->saw_cancel));
    T_OK(answer != NULL);
    T_EQ_S(answer, "waited");
    qn_delete(qn_alloc_heap(), answer);
}

/* More slow requests than there are workers of any kind: the others are answered meanwhile,
 * one slow request too many is refused, none is lost. */
static void test_slow_lane(void **state)
{
    static const char ask[] =
        "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    fixture *f = *state;
    int fds[SLOW_MAX];
    char text[4096];
    for (size_t i = 0; i < SLOW_MAX; i++) {
        fds[i] = dial(f);
        say(fds[i], ask);
    }
    while (atomic_load(&f->calls) < SLOW_MAX + SLOW_WORKERS) nap();
    int late = dial(f);
    say(late, ask);
    listen_to(late, text, sizeof text);
    T_OK(strncmp(text, "HTTP/1.1 429", 12) == 0);
    T_OK(strstr(text, "6 slow requests wait already") != NULL);
    int other = dial(f);
    say(other, "GET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    listen_to(other, text, sizeof text);
    T_OK(strstr(text, "GET [one] 0:") != NULL);
    T_EQ_I(qn_http_server_in_flight(f->server), SLOW_MAX);
    atomic_store(&f->release, true);
    for (size_t i = 0; i < SLOW_MAX; i++) {
        listen_to(fds[i], text, sizeof text);
        T_OK(strncmp(text, "HTTP/1.1 200", 12) == 0);
        T_OK(strstr(text, "\r\n\r\nwaited") != NULL);
    }
}

static void test_client_errors(void **state)
{
    fixture *f = *state;
    char url[256];
    qn_error err = {0};
    qn_http_reply reply = {0};
    qn_buf_init(&reply.body, qn_alloc_heap());
    (void)snprintf(url, sizeof url, "%s/wait", qn_http_server_url(f->server));
    qn_http_call call = {
        .method = "GET", .url = url, .deadline = qn_deadline_in_ms(30, NULL)};
    T_ROW("deadline");
    T_EQ_I(qn_http_fetch(f->client, &call, &reply, &err), QN_ETIMEOUT);
    atomic_store(&f->release, true);
    T_ROW("reply over the limit");
    (void)snprintf(url, sizeof url, "%s/big", qn_http_server_url(f->server));
    call.deadline = (qn_deadline){0};
    call.reply_max_bytes = 199999;
    T_EQ_I(qn_http_fetch(f->client, &call, &reply, &err), QN_ELIMIT);
    T_ROW("nobody there");
    call.url = "http://127.0.0.1:1/";
    T_EQ_I(qn_http_fetch(f->client, &call, &reply, &err), QN_ENET);
    T_OK(strstr(err.text, "127.0.0.1:1") != NULL);
    T_ROW("no http");
    call.url = "file:///etc/hostname";
    T_EQ_I(qn_http_fetch(f->client, &call, &reply, &err), QN_ENET);
    qn_buf_deinit(&reply.body);
}

typedef struct member {
    fixture *f;
    int good;
} member;

static void *crowd_member(void *arg)
{
    member *m = arg;
    qn_http_client *c = NULL;
    if (qn_http_client_create(qn_alloc_heap(), &c, NULL) != QN_OK) return NULL;
    for (int i = 0; i < 100; i++) {
        qn_http_call call = {
            .method = "POST", .url = m->f->url, .body = QN_SLICE_LIT("abc")};
        qn_http_reply reply = {0};
        qn_buf_init(&reply.body, qn_alloc_heap());
        if (qn_http_fetch(c, &call, &reply, NULL) == QN_OK && reply.status == 200 &&
            qn_slice_eq_str(qn_buf_slice(&reply.body), "POST [many] 3:abc"))
            m->good++;
        qn_buf_deinit(&reply.body);
    }
    qn_http_client_destroy(c);
    return NULL;
}

static void test_many_clients(void **state)
{
    enum { CLIENTS = 8 };
    fixture *f = *state;
    (void)snprintf(f->url, sizeof f->url, "%s/many", qn_http_server_url(f->server));
    pthread_t threads[CLIENTS];
    member members[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        members[i] = (member){.f = f};
        T_EQ_I(pthread_create(&threads[i], NULL, crowd_member, &members[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)pthread_join(threads[i], NULL);
        T_EQ_I(members[i].good, 100);
    }
    T_EQ_I(atomic_load(&f->calls), 100 * CLIENTS);
}

int test_net_http(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_body_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_lane, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_clients, setup, teardown),
    };
    return cmocka_run_group_tests_name("net/http", tests, NULL, NULL);
}
