/* SPDX-License-Identifier: Apache-2.0 */
/* The web console: files that were built in. */
#include "server/own/console.h"
#include "server/handlers.h"

static const char *type_of(const char *path)
{
    static const struct {
        const char *suffix, *type;
    } rows[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".txt", "text/plain; charset=utf-8"},
        {".woff2", "font/woff2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (qn_slice_ends_with(qn_slice_of(path), rows[i].suffix)) return rows[i].type;
    return "application/octet-stream";
}

/* The path behind /_console/, joined again; "" is the first page. */
static bool is_path(const qn_call *c, const char *path)
{
    const qn_url *url = &c->request->url;
    if (url->segment_count == 1)
        return qn_slice_eq_str(qn_slice_of(path), "index.html");
    qn_slice rest = qn_slice_of(path);
    for (size_t i = 1; i < url->segment_count; i++) {
        qn_slice s = url->segments[i];
        if (rest.n < s.n || memcmp(rest.p, s.p, s.n) != 0) return false;
        rest = (qn_slice){rest.p + s.n, rest.n - s.n};
        if (i + 1 < url->segment_count) {
            if (rest.n == 0 || rest.p[0] != '/') return false;
            rest = (qn_slice){rest.p + 1, rest.n - 1};
        }
    }
    return rest.n == 0;
}

qn_status qn_console_file(qn_call *c, qn_error *err)
{
    for (const qn_console_file_row *f = qn_console_files; f->path != NULL; f++) {
        if (!is_path(c, f->path)) continue;
        qn_call_text(c, 200, type_of(f->path),
                     (qn_slice){(const char *)f->bytes, f->size});
        qn_http_add_header(c->out, "Cache-Control", "no-cache");
        qn_http_add_header(c->out, "Content-Security-Policy",
                           "default-src 'self'; img-src 'self' data:");
        qn_http_add_header(c->out, "X-Content-Type-Options", "nosniff");
        return QN_OK;
    }
    return qn_fail(err, QN_ENOTFOUND, "the console has no file %.*s",
                   c->request->url.path.n > 200 ? 200 : (int)c->request->url.path.n,
                   c->request->url.path.p);
}

qn_status qn_console_redirect(qn_call *c, qn_error *err)
{
    const qn_slice path = c->request->url.path;
    if (path.n > 0 && path.p[path.n - 1] == '/') return qn_console_file(c, err);
    qn_call_text(c, 302, NULL, (qn_slice){"", 0});
    qn_http_add_header(c->out, "Location", "/_console/");
    return QN_OK;
}
