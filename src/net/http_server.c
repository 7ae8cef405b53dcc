/* SPDX-License-Identifier: Apache-2.0 */
/* A request's way: libmicrohttpd reads line and headers on one of its threads and calls
 * on_uri(), on_request() for the headers, again for each piece of the body, and once
 * more at its end. Then the connection is suspended and the request handed to the pool;
 * a worker runs the handler and resumes the connection, or hands a deferred request to the
 * slow pool, whose worker does; on_request() is called a last time and queues the response. on_completed() ends the request. */
#include "net/http_server.h"

#include "base/log.h"
#include "base/pool.h"
#include "net/http_address.h"
#include "net/http_encoding.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTION_BYTES = 256 * 1024, /* request line and headers; a GET query has 30 KB */
    READ_STEP_BYTES = 64 * 1024,
    IDLE_SECONDS = 300,
    HEADERS_MAX = 128,
    WATCH_MS = 50,
    SEND_GRACE_MS = 2000,
    GZIP_FROM_BYTES = 4096,
    SLOW_PRIORITY = 2, /* a little lower than everything else */
};
/* A body over the limit is read to its end, so that the client sees the answer; up to
 * here. */
#define DISCARD_MAX_BYTES ((size_t)1 << 30)

typedef enum stage {
    STAGE_HEAD, /* nothing but the target is known */
    STAGE_BODY,
    STAGE_RUNNING, /* a worker has it, or will */
    STAGE_ANSWERED,
} stage;

typedef struct exchange {
    struct qn_http_server *server;
    struct MHD_Connection *connection;
    stage stage;
    qn_arena arena;
    qn_buf body;
    size_t discarded;
    atomic_bool cancelled;
    qn_http_request request;
    qn_http_response response;
    struct exchange *next, *before; /* in the list of running ones; server->lock */
} exchange;

struct qn_http_server {
    qn_alloc *alloc;
    qn_http_handler *handler;
    void *ctx;
    size_t body_max, queue_max, worker_count, slow_worker_count, slow_max;
    int64_t grace_ms;
    struct MHD_Daemon *daemon;
    qn_pool *pool, *slow_pool;
    qn_http_listener listener;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* in_flight fell to 0, or stopping was set */
    exchange *running;
    size_t in_flight, slow_count; /* of them deferred */
    bool stopping, watching;
    atomic_size_t open_count; /* exchanges whose answer is not on its way yet */
    pthread_t watcher;
};

void qn_http_add_header(qn_http_response *r, const char *name, const char *value)
{
    if (r->header_count == QN_HTTP_HEADERS_MAX) return;
    r->headers[r->header_count++] =
        (qn_param){.name = qn_slice_of(name), .value = qn_slice_of(value)};
}

/* ---- one request ------------------------------------------------------------ */

static void *on_uri(void *arg, const char *target, struct MHD_Connection *connection)
{
    qn_http_server *s = arg;
    exchange *x = qn_new0(s->alloc, sizeof *x);
    if (x == NULL) return NULL;
    x->server = s;
    atomic_fetch_add(&s->open_count, 1);
    x->connection = connection;
    qn_arena_init(&x->arena, s->alloc, 0);
    qn_buf_init(&x->body, s->alloc);
    qn_buf_init(&x->response.body, s->alloc);
    x->request.arena = &x->arena;
    x->request.cancelled = &x->cancelled;
    x->request.arrived_ns = qn_clock_mono_ns();
    x->request.target = qn_arena_slice(&x->arena, qn_slice_of(target));
    return x;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **cls,
                         enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)connection;
    (void)why;
    exchange *x = *cls;
    if (x == NULL) return;
    *cls = NULL;
    qn_alloc *a = x->server->alloc;
    qn_buf_deinit(&x->body);
    qn_buf_deinit(&x->response.body);
    qn_arena_deinit(&x->arena);
    atomic_fetch_sub(&x->server->open_count, 1);
    qn_delete(a, x);
}

/* The target is not decoded by the library: segments are split first. */
static size_t no_unescape(void *arg, struct MHD_Connection *connection, char *s)
{
    (void)arg;
    (void)connection;
    return strlen(s);
}

static enum MHD_Result add_request_header(void *arg, enum MHD_ValueKind kind,
                                          const char *name, const char *value)
{
    (void)kind;
    exchange *x = arg;
    qn_param *headers = (qn_param *)(uintptr_t)x->request.headers;
    if (x->request.header_count == HEADERS_MAX) return MHD_NO;
    qn_param *h = &headers[x->request.header_count];
    h->name = qn_arena_slice(&x->arena, qn_slice_of(name));
    h->value = qn_arena_slice(&x->arena, qn_slice_of(value == NULL ? "" : value));
    if (h->name.p == NULL || h->value.p == NULL) return MHD_NO;
    x->request.header_count++;
    return MHD_YES;
}

static qn_slice header(const exchange *x, const char *name)
{
    const qn_param *h =
        qn_header_find(x->request.headers, x->request.header_count, name);
    return h == NULL ? (qn_slice){"", 0} : h->value;
}

/* Line and headers are there. */
static enum MHD_Result begin_exchange(exchange *x, const char *method)
{
    qn_http_request *r = &x->request;
    x->stage = STAGE_BODY;
    r->method = qn_arena_slice(&x->arena, qn_slice_of(method));
    r->headers = qn_arena_array(&x->arena, HEADERS_MAX, sizeof *r->headers);
    if (r->target.p == NULL || r->method.p == NULL || r->headers == NULL) return MHD_NO;
    (void)MHD_get_connection_values(x->connection, MHD_HEADER_KIND, add_request_header,
                                    x);
    int64_t length = 0;
    qn_slice declared = header(x, "Content-Length");
    if (declared.n > 0 && qn_slice_to_i64(declared, &length) && length > 0) {
        /* Told in advance: no need to grow in steps, nor to keep what is refused. */
        if ((uint64_t)length > x->server->body_max)
            x->discarded = 1;
        else if (qn_buf_reserve(&x->body, (size_t)length) == NULL)
            return MHD_NO;
    }
    return MHD_YES;
}

static enum MHD_Result collect_body(exchange *x, const char *bytes, size_t *n)
{
    if (x->discarded > 0 || *n > x->server->body_max - x->body.n) {
        qn_buf_deinit(&x->body);
        x->discarded += *n;
        *n = 0;
        return x->discarded > DISCARD_MAX_BYTES ? MHD_NO : MHD_YES;
    }
    qn_buf_add(&x->body, bytes, *n);
    *n = 0;
    return x->body.failed ? MHD_NO : MHD_YES;
}

/* Everything that can go wrong before the handler goes to x->request.failure. */
static void prepare(exchange *x)
{
    qn_http_request *r = &x->request;
    qn_error *err = &r->failure;
    if (qn_url_parse(&x->arena, r->target, &r->url, err) != QN_OK) return;
    if (x->discarded > 0) {
        (void)qn_fail(err, QN_EBODY, "the request body is over the %zu bytes allowed",
                      x->server->body_max);
        return;
    }
    r->body = qn_buf_slice(&x->body);
    qn_slice encoding = header(x, "Content-Encoding");
    if (encoding.n == 0 || r->body.n == 0) return;
    qn_buf plain = {.alloc = x->server->alloc};
    if (qn_http_unpack(encoding, r->body, x->server->body_max, &plain, err) == QN_OK) {
        qn_buf_deinit(&x->body);
        x->body = plain;
        r->body = qn_buf_slice(&x->body);
    } else {
        qn_buf_deinit(&plain);
        r->body = (qn_slice){"", 0};
    }
}

static bool accepts_gzip(const exchange *x)
{
    qn_slice list = header(x, "Accept-Encoding");
    for (size_t i = 0; i + 4 <= list.n; i++)
        if (qn_slice_eq_nocase((qn_slice){list.p + i, 4}, "gzip")) return true;
    return false;
}

static void pack_response(exchange *x)
{
    qn_http_response *r = &x->response;
    if (r->body.n < GZIP_FROM_BYTES || !accepts_gzip(x) ||
        r->header_count == QN_HTTP_HEADERS_MAX)
        return;
    qn_buf packed = {.alloc = x->server->alloc};
    if (!qn_http_gzip(qn_buf_slice(&r->body), &packed)) {
        qn_buf_deinit(&packed);
        return;
    }
    qn_buf_deinit(&r->body);
    r->body = packed;
    qn_http_add_header(r, "Content-Encoding", "gzip");
}

static void call_handler(exchange *x)
{
    qn_http_server *s = x->server;
    s->handler(s->ctx, &x->request, &x->response);
}

static void end_response(exchange *x)
{
    if (x->response.status == 0) x->response.status = MHD_HTTP_OK;
    if (x->response.body.failed) {
        qn_buf_deinit(&x->response.body);
        x->response.header_count = 0;
        x->response.status = MHD_HTTP_TOO_MANY_REQUESTS;
    }
    pack_response(x);
    qn_log(QN_LOG_DEBUG, "net", "%.*s %.*s %d %.3f ms", QN_SLICE_ARG(x->request.method),
           QN_SLICE_ARG(x->request.url.path), x->response.status,
           (double)(qn_clock_mono_ns() - x->request.arrived_ns) / 1e6);
}

static void list_add(qn_http_server *s, exchange *x)
{
    x->next = s->running;
    x->before = NULL;
    if (s->running != NULL) s->running->before = x;
    s->running = x;
    if (s->in_flight++ == 0) (void)pthread_cond_broadcast(&s->changed);
}

static void list_remove(qn_http_server *s, exchange *x)
{
    if (x->next != NULL) x->next->before = x->before;
    if (x->before != NULL)
        x->before->next = x->next;
    else
        s->running = x->next;
    s->in_flight--;
    if (s->in_flight == 0) (void)pthread_cond_broadcast(&s->changed);
}

/* Both under the lock, so that a stopping server sees either a running exchange or a
 * resumed connection. From then on the exchange belongs to the library's thread. */
static void resume(exchange *x)
{
    qn_http_server *s = x->server;
    (void)pthread_mutex_lock(&s->lock);
    list_remove(s, x);
    MHD_resume_connection(x->connection);
    (void)pthread_mutex_unlock(&s->lock);
}

static void end_work(exchange *x)
{
    end_response(x);
    x->stage = STAGE_ANSWERED;
    resume(x);
}

static bool slow_begins(qn_http_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    bool room = s->slow_count < s->slow_max;
    if (room) s->slow_count++;
    (void)pthread_mutex_unlock(&s->lock);
    return room;
}

static void slow_ends(qn_http_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->slow_count--;
    (void)pthread_mutex_unlock(&s->lock);
}

/* On a worker of the slow pool. */
static void work_slowly(void *arg)
{
    exchange *x = arg;
    qn_thread_lower_priority(SLOW_PRIORITY);
    call_handler(x);
    slow_ends(x->server);
    end_work(x);
}

/* The answer is forgotten, and the request queued for the slow pool; where there is no room
 * the handler says so. */
static void defer(exchange *x)
{
    qn_http_server *s = x->server;
    qn_buf_deinit(&x->response.body);
    x->response = (qn_http_response){0};
    qn_buf_init(&x->response.body, s->alloc);
    x->request.may_defer = false;
    bool room = slow_begins(s);
    if (room &&
        qn_pool_submit(s->slow_pool, work_slowly, x, &x->request.failure) == QN_OK)
        return;
    if (room)
        slow_ends(s);
    else
        (void)qn_fail(&x->request.failure, QN_EBUSY,
                      "%zu slow requests wait already, try again later", s->slow_max);
    call_handler(x);
    end_work(x);
}

/* On a worker. */
static void work(void *arg)
{
    exchange *x = arg;
    prepare(x);
    x->request.may_defer = true;
    call_handler(x);
    if (x->response.deferred)
        defer(x);
    else
        end_work(x);
}

/* Suspends the connection and queues the exchange; false with the reason in
 * x->request.failure when there is no room. */
static bool hand_over(exchange *x)
{
    qn_http_server *s = x->server;
    (void)pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    size_t waiting = s->in_flight - s->slow_count;
    bool room = !stopping && waiting < s->queue_max + s->worker_count;
    if (room) {
        x->stage = STAGE_RUNNING;
        list_add(s, x);
        MHD_suspend_connection(x->connection);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!room) {
        (void)qn_fail(&x->request.failure, QN_EBUSY,
                      stopping ? "the server is stopping"
                               : "too many requests wait already, try again later");
        return false;
    }
    if (qn_pool_submit(s->pool, work, x, &x->request.failure) == QN_OK) return true;
    x->stage = STAGE_BODY;
    resume(x);
    return false;
}

static enum MHD_Result send_response(exchange *x)
{
    qn_http_response *r = &x->response;
    qn_slice body = qn_buf_slice(&r->body);
    /* The bytes stay with the exchange, which outlives the response. */
    struct MHD_Response *out = MHD_create_response_from_buffer(
        body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_PERSISTENT);
    if (out == NULL) return MHD_NO;
    if (r->content_type != NULL)
        (void)MHD_add_response_header(out, "Content-Type", r->content_type);
    for (size_t i = 0; i < r->header_count; i++)
        (void)MHD_add_response_header(out, r->headers[i].name.p, r->headers[i].value.p);
    enum MHD_Result rc = MHD_queue_response(
        x->connection, (unsigned)(r->status == 0 ? 200 : r->status), out);
    MHD_destroy_response(out);
    return rc;
}

/* The body is complete. */
static enum MHD_Result end_body(exchange *x)
{
    if (x->request.failure.code == QN_OK && hand_over(x)) return MHD_YES;
    bool resumed = x->stage == STAGE_BODY && x->request.failure.code == QN_ENOMEM;
    qn_error refused = x->request.failure;
    if (qn_url_parse(&x->arena, x->request.target, &x->request.url, NULL) != QN_OK)
        x->request.url = (qn_url){.path = x->request.target};
    x->request.failure = refused;
    x->server->handler(x->server->ctx, &x->request, &x->response);
    x->stage = STAGE_ANSWERED;
    /* A connection that was suspended a moment ago is asked again. */
    return resumed ? MHD_YES : send_response(x);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *bytes, size_t *n,
                                  void **cls)
{
    (void)arg;
    (void)connection;
    (void)path;
    (void)version;
    exchange *x = *cls;
    if (x == NULL) return MHD_NO;
    switch (x->stage) {
    case STAGE_HEAD:
        return begin_exchange(x, method);
    case STAGE_BODY:
        return *n > 0 ? collect_body(x, bytes, n) : end_body(x);
    case STAGE_ANSWERED:
        return send_response(x);
    case STAGE_RUNNING:
        return MHD_YES;
    }
    return MHD_NO;
}

/* ---- clients that leave ------------------------------------------------------ */

/* true when the other side has closed the connection. */
static bool has_left(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL) return false;
    char byte;
    ssize_t got = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 ||
           (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Looks now and then after the connections of running requests: nobody reads them
 * meanwhile. */
static void *watch(void *arg)
{
    qn_http_server *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stopping || s->in_flight > 0) {
        for (exchange *x = s->running; x != NULL; x = x->next)
            if (!atomic_load(&x->cancelled) && has_left(x->connection))
                atomic_store(&x->cancelled, true);
        if (s->in_flight == 0 && !s->stopping) {
            (void)pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&s->lock);
        (void)nanosleep(&(struct timespec){.tv_nsec = WATCH_MS * 1000000L}, NULL);
        (void)pthread_mutex_lock(&s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- the server -------------------------------------------------------------- */

__attribute__((format(printf, 2, 0))) static void
log_from_library(void *arg, const char *fmt, va_list args)
{
    (void)arg;
    char text[512];
    (void)vsnprintf(text, sizeof text, fmt, args);
    qn_log(QN_LOG_DEBUG, "net", "%s", text);
}

static qn_status start_daemon(qn_http_server *s, const qn_http_server_options *o,
                              unsigned cores, qn_error *err)
{
    unsigned io = o->io_threads != 0 ? o->io_threads : (cores + 3) / 4;
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)io, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned connections = o->connections_max == 0 ? 4096 : o->connections_max;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
        log_from_library, NULL, MHD_OPTION_LISTEN_SOCKET, s->listener.fd,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_UNESCAPE_CALLBACK,
        no_unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_MEMORY_INCREMENT,
        (size_t)READ_STEP_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, io > 1 ? pool : pool + 1,
        MHD_OPTION_END);
    if (s->daemon == NULL)
        return qn_fail(err, QN_ENET, "the HTTP server did not start on %s",
                       s->listener.url);
    return QN_OK;
}

static unsigned core_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (unsigned)n;
}

static qn_status start(qn_http_server *s, const qn_http_server_options *o,
                       qn_error *err)
{
    unsigned cores = core_count();
    s->worker_count = o->workers != 0 ? o->workers : cores < 16 ? 16 : cores;
    s->slow_worker_count = o->slow_workers != 0 ? o->slow_workers : (cores + 1) / 2;
    QN_TRY(qn_http_listen(o->listen, o->allow_remote, &s->listener, err));
    QN_TRY(qn_pool_create(s->alloc, s->worker_count, &s->pool, err));
    QN_TRY(qn_pool_create(s->alloc, s->slow_worker_count, &s->slow_pool, err));
    if (pthread_create(&s->watcher, NULL, watch, s) != 0)
        return qn_fail(err, QN_EBUSY, "cannot start a thread");
    s->watching = true;
    return start_daemon(s, o, cores, err);
}

qn_status qn_http_server_create(qn_alloc *a, const qn_http_server_options *options,
                                qn_http_server **out, qn_error *err)
{
    *out = NULL;
    qn_http_server *s = qn_new0(a, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the HTTP server");
    s->alloc = a;
    s->handler = options->handler;
    s->ctx = options->ctx;
    s->body_max = options->body_max_bytes != 0 ? options->body_max_bytes : 100 << 20;
    s->queue_max = options->queue_max != 0 ? options->queue_max : 1000;
    s->slow_max = options->slow_queue_max != 0 ? options->slow_queue_max : 100;
    s->grace_ms = options->grace_ms != 0 ? options->grace_ms : 10000;
    s->listener.fd = -1;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    qn_status st = start(s, options, err);
    if (st != QN_OK) {
        qn_http_server_destroy(s);
        return st;
    }
    *out = s;
    return QN_OK;
}

static void cancel_all(qn_http_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    for (exchange *x = s->running; x != NULL; x = x->next)
        atomic_store(&x->cancelled, true);
    (void)pthread_mutex_unlock(&s->lock);
}

/* Waits until no request runs and the answers are sent, first in peace, then after
 * asking the requests to stop. Answers that nobody fetches are not waited for. */
static void drain(qn_http_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    int64_t cancel_at = qn_clock_mono_ns() + s->grace_ms * 1000000;
    int64_t give_up_at = cancel_at + SEND_GRACE_MS * INT64_C(1000000);
    while (atomic_load(&s->open_count) > 0) {
        int64_t now = qn_clock_mono_ns();
        if (now > cancel_at) cancel_all(s);
        if (now > give_up_at && qn_http_server_in_flight(s) == 0) return;
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

void qn_http_server_destroy(qn_http_server *s)
{
    if (s == NULL) return;
    if (s->daemon != NULL) (void)MHD_quiesce_daemon(s->daemon);
    drain(s);
    if (s->daemon != NULL) MHD_stop_daemon(s->daemon);
    if (s->watching) (void)pthread_join(s->watcher, NULL);
    qn_pool_destroy(s->pool); /* its requests may go on to the slow one */
    qn_pool_destroy(s->slow_pool);
    if (s->listener.fd >= 0) (void)close(s->listener.fd);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    qn_delete(s->alloc, s);
}

uint16_t qn_http_server_port(const qn_http_server *s)
{
    return s->listener.port;
}

const char *qn_http_server_url(const qn_http_server *s)
{
    return s->listener.url;
}

size_t qn_http_server_in_flight(const qn_http_server *s)
{
    if (s == NULL) return 0;
    qn_http_server *locked = (qn_http_server *)(uintptr_t)s;
    (void)pthread_mutex_lock(&locked->lock);
    size_t n = s->in_flight;
    (void)pthread_mutex_unlock(&locked->lock);
    return n;
}
