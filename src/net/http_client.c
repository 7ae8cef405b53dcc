/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>

#define REPLY_MAX_BYTES ((size_t)256 << 20)

struct qn_http_client {
    qn_alloc *alloc;
    CURL *curl;
    char text[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

qn_status qn_http_client_create(qn_alloc *a, qn_http_client **out, qn_error *err)
{
    *out = NULL;
    (void)pthread_once(&curl_once, start_curl);
    qn_http_client *c = qn_new0(a, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "no memory for an HTTP client");
    c->alloc = a;
    c->curl = curl_easy_init();
    if (c->curl == NULL) {
        qn_delete(a, c);
        return qn_fail(err, QN_ENOMEM, "no memory for an HTTP client");
    }
    *out = c;
    return QN_OK;
}

void qn_http_client_destroy(qn_http_client *c)
{
    if (c == NULL) return;
    curl_easy_cleanup(c->curl);
    qn_delete(c->alloc, c);
}

/* ---- one call ----------------------------------------------------------------- */

typedef struct transfer {
    const qn_http_call *call;
    qn_http_reply *reply;
    size_t limit;
    bool over;
} transfer;

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    transfer *t = arg;
    size_t n = size * count;
    t->over = n > t->limit - t->reply->body.n;
    if (t->over) return 0;
    qn_buf_add(&t->reply->body, bytes, n);
    return t->reply->body.failed ? 0 : n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c,
                       curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    const transfer *t = arg;
    return qn_deadline_cancelled(&t->call->deadline) ? 1 : 0;
}

/* false when out of memory; *list is still to be freed. */
static bool add_line(struct curl_slist **list, const char *name, qn_slice value)
{
    char line[4096];
    int n = snprintf(line, sizeof line, "%s: %.*s", name, QN_SLICE_ARG(value));
    if (n < 0 || (size_t)n >= sizeof line) return false;
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer != NULL) *list = longer;
    return longer != NULL;
}

static bool make_headers(const qn_http_call *call, struct curl_slist **list)
{
    /* No "Expect: 100-continue": it costs a round trip. */
    bool ok = add_line(list, "Expect", (qn_slice){"", 0});
    if (call->content_type != NULL)
        ok = ok && add_line(list, "Content-Type", qn_slice_of(call->content_type));
    for (size_t i = 0; i < call->header_count; i++) {
        char name[128];
        if (call->headers[i].name.n >= sizeof name) return false;
        (void)snprintf(name, sizeof name, "%.*s", QN_SLICE_ARG(call->headers[i].name));
        ok = ok && add_line(list, name, call->headers[i].value);
    }
    return ok;
}

static void set_body(CURL *curl, const qn_http_call *call)
{
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    if (qn_slice_eq_str(qn_slice_of(call->method), "HEAD"))
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (call->body.n == 0) return;
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.p);
}

static qn_status judge(const qn_http_client *c, const transfer *t, CURLcode rc,
                       qn_error *err)
{
    const char *url = t->call->url;
    if (rc == CURLE_OK) return QN_OK;
    if (t->over)
        return qn_fail(err, QN_ELIMIT, "the reply of %.200s is over %zu bytes", url,
                       t->limit);
    if (t->reply->body.failed || rc == CURLE_OUT_OF_MEMORY)
        return qn_fail(err, QN_ENOMEM, "no memory for the reply of %.200s", url);
    if (rc == CURLE_ABORTED_BY_CALLBACK)
        return qn_fail(err, QN_ECANCELLED, "the request to %.200s was given up", url);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return qn_fail(err, QN_ETIMEOUT, "no answer from %.200s in time", url);
    return qn_fail(err, QN_ENET, "request to %.200s: %s", url,
                   c->text[0] != '\0' ? c->text : curl_easy_strerror(rc));
}

qn_status qn_http_fetch(qn_http_client *c, const qn_http_call *call,
                        qn_http_reply *reply, qn_error *err)
{
    CURL *curl = c->curl;
    int64_t left = qn_deadline_left_ns(&call->deadline);
    if (left == 0)
        return qn_fail(err, QN_ETIMEOUT, "no time left to ask %.200s", call->url);
    transfer t = {.call = call, .reply = reply, .limit = call->reply_max_bytes};
    if (t.limit == 0) t.limit = REPLY_MAX_BYTES;
    struct curl_slist *headers = NULL;
    c->text[0] = '\0';
    curl_easy_reset(curl); /* options only: connections stay */
    bool ok = make_headers(call, &headers);
    (void)curl_easy_setopt(curl, CURLOPT_URL, call->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->text);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &t);
    if (left != INT64_MAX)
        (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(left / 1000000 + 1));
    set_body(curl, call);
    CURLcode rc = ok ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
    curl_slist_free_all(headers);
    QN_TRY(judge(c, &t, rc, err));
    long status = 0;
    const char *type = NULL;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    reply->status = (int)status;
    (void)snprintf(reply->content_type, sizeof reply->content_type, "%s",
                   type == NULL ? "" : type);
    return QN_OK;
}
