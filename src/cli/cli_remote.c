/* SPDX-License-Identifier: Apache-2.0 */
/* cli_remote.c -- commands through a running server: --server URL. */
#include "cli/cli.h"

#include "io/json.h"
#include "net/http_client.h"
#include "net/url.h"

#include <string.h>

enum { TIMEOUT_MS = 600000 };

/* The sentence in an error reply of any dialect, else its whole body. */
static qn_slice reason_in(const qn_json *root, qn_slice body)
{
    const qn_json *error = qn_json_get(root, "error");
    const qn_json *reason = qn_json_get(error, "reason");
    if (reason == NULL) reason = qn_json_get(error, "text");
    if (reason == NULL) reason = qn_json_get(root, "message");
    if (reason == NULL && error != NULL && error->kind == QN_JSON_STRING)
        reason = error;
    return reason != NULL && reason->kind == QN_JSON_STRING ? reason->string : body;
}

static int refuse(int status, qn_slice body)
{
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    if (qn_json_parse(&arena, body, &root, NULL) != QN_OK) root = NULL;
    const qn_json *report = qn_json_get(root, "text");
    qn_slice reason = reason_in(root, body);
    /* A source that does not compile comes back with its lines and carets. */
    if (qn_json_get(root, "diagnostics") != NULL && report != NULL &&
        report->kind == QN_JSON_STRING && report->string.n > 0)
        (void)fprintf(stderr, "quern: the server answered %d:\n%.*s", status,
                      QN_SLICE_ARG(report->string));
    else
        (void)fprintf(stderr, "quern: the server answered %d: %.*s\n", status,
                      QN_SLICE_ARG(reason));
    qn_arena_deinit(&arena);
    return status == 404 ? 3 : 1;
}

int cli_remote(cli *c, const char *method, const char *path, const char *content_type,
               qn_slice body, qn_buf *out)
{
    qn_http_client *client = NULL;
    qn_http_reply reply = {0};
    qn_buf url;
    qn_slice server = qn_slice_of(cli_server(c));
    while (server.n > 0 && server.p[server.n - 1] == '/') server.n--;
    qn_buf_init(&url, qn_alloc_heap());
    qn_buf_printf(&url, "%s%.*s%s",
                  memchr(server.p, ':', server.n) == NULL ||
                          !qn_slice_starts_with(server, "http")
                      ? "http://"
                      : "",
                  QN_SLICE_ARG(server), path);
    qn_buf_init(&reply.body, qn_alloc_heap());
    qn_http_call call = {.method = method,
                         .url = url.p,
                         .content_type = content_type,
                         .body = body,
                         .deadline = qn_deadline_in_ms(TIMEOUT_MS, NULL)};
    qn_status st = qn_http_client_create(qn_alloc_heap(), &client, &c->err);
    if (st == QN_OK) st = qn_http_fetch(client, &call, &reply, &c->err);
    int code = 0;
    if (st != QN_OK)
        code = cli_fail(c, &c->err);
    else if (reply.status >= 400)
        code = refuse(reply.status, qn_buf_slice(&reply.body));
    else
        qn_buf_add_slice(out, qn_buf_slice(&reply.body));
    qn_http_client_destroy(client);
    qn_buf_deinit(&reply.body);
    qn_buf_deinit(&url);
    return code;
}

int cli_remote_table(cli *c, const char *method, const char *const *parts,
                     const char *tail, qn_slice body)
{
    qn_buf path, reply;
    qn_buf_init(&path, qn_alloc_heap());
    qn_buf_init(&reply, qn_alloc_heap());
    qn_buf_add_str(&path, "/_quern/tables/");
    qn_url_encode(&path, qn_slice_of(c->arguments[0]));
    for (size_t i = 0; parts[i] != NULL; i++) {
        qn_buf_add_char(&path, '/');
        qn_url_encode(&path, qn_slice_of(parts[i]));
    }
    qn_buf_add_str(&path, tail);
    int code = cli_remote(c, method, path.p, body.n > 0 ? "application/json" : NULL,
                          body, &reply);
    if (code == 0) cli_print_json(stdout, qn_buf_slice(&reply));
    qn_buf_deinit(&reply);
    qn_buf_deinit(&path);
    return code;
}
