/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { READ_BYTES = 1 << 18, LINE_MAX_BYTES = 256 << 20 };

bool cli_lines_open(cli_lines *in, const char *path, qn_error *err)
{
    *in = (cli_lines){.path = path};
    qn_buf_init(&in->buffer, qn_alloc_heap());
    /* gzread() passes what is not gzip through unchanged. */
    bool standard = strcmp(path, "-") == 0;
    errno = 0;
    gzFile file = standard ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path, "rb");
    if (file == NULL) {
        (void)qn_fail_errno(err, errno == 0 ? ENOMEM : errno, path, "open");
        return false;
    }
    in->gz = file;
    return true;
}

static bool fill(cli_lines *in, qn_error *err)
{
    if (in->begin > 0) {
        memmove(in->buffer.p, in->buffer.p + in->begin, in->buffer.n - in->begin);
        in->buffer.n -= in->begin;
        in->scanned -= in->begin;
        in->begin = 0;
    }
    char *room = qn_buf_reserve(&in->buffer, READ_BYTES);
    if (room == NULL || in->buffer.n > LINE_MAX_BYTES) {
        (void)qn_fail_file(err, QN_ELIMIT, in->path, in->bytes, "a line of over %d MB",
                           LINE_MAX_BYTES >> 20);
        return false;
    }
    int n = gzread((gzFile)in->gz, room, READ_BYTES);
    int code = Z_OK;
    const char *text = gzerror((gzFile)in->gz, &code);
    /* At the end, Z_BUF_ERROR says that a packed file was cut off. */
    if (n == 0 && code == Z_BUF_ERROR) text = "it ends too early";
    if (n < 0 || (n == 0 && code == Z_BUF_ERROR)) {
        (void)qn_fail_file(err, QN_EIO, in->path, in->bytes, "cannot read %s: %s",
                           in->path, text);
        return false;
    }
    in->buffer.n += (size_t)n;
    in->bytes += (size_t)n;
    in->at_end = n == 0;
    return true;
}

bool cli_lines_next(cli_lines *in, qn_slice *line, qn_error *err)
{
    for (;;) {
        char *from = in->buffer.p == NULL ? NULL : in->buffer.p + in->scanned;
        size_t left = in->buffer.n - in->scanned;
        char *end = left == 0 ? NULL : memchr(from, '\n', left);
        if (end == NULL && !in->at_end) {
            in->scanned = in->buffer.n;
            in->failed = !fill(in, err);
            if (in->failed) return false;
            continue;
        }
        if (end == NULL && in->begin == in->buffer.n) return false;
        size_t stop = end == NULL ? in->buffer.n : (size_t)(end - in->buffer.p);
        *line = (qn_slice){in->buffer.p + in->begin, stop - in->begin};
        if (line->n > 0 && line->p[line->n - 1] == '\r') line->n--;
        in->begin = in->scanned = end == NULL ? stop : stop + 1;
        in->line_number++;
        return true;
    }
}

void cli_lines_close(cli_lines *in)
{
    if (in->gz != NULL) (void)gzclose((gzFile)in->gz);
    qn_buf_deinit(&in->buffer);
    in->gz = NULL;
}

bool cli_read_all(const char *path, size_t limit_bytes, qn_buf *out, qn_error *err)
{
    cli_lines in;
    if (!cli_lines_open(&in, path, err)) return false;
    bool ok = true;
    while (ok && !in.at_end) {
        ok = fill(&in, err);
        if (!ok) break;
        if (in.buffer.n > limit_bytes) {
            (void)qn_fail_file(err, QN_ELIMIT, path, limit_bytes,
                               "%s is over %zu bytes", path, limit_bytes);
            ok = false;
        }
    }
    if (ok) qn_buf_add(out, in.buffer.p == NULL ? "" : in.buffer.p, in.buffer.n);
    cli_lines_close(&in);
    return ok;
}
