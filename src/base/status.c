/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const qn_status_info infos[] = {
#define ROW(name, number, exit, http, es_type, ha3, text)                              \
    {QN_##name, #name, exit, http, es_type, ha3, text},
#include "quern/quern_status.def"
#undef ROW
};

const qn_status_info *qn_status_describe(qn_status code)
{
    const qn_status_info *internal = &infos[0];
    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++) {
        if (infos[i].code == code) return &infos[i];
        if (infos[i].code == QN_EINTERNAL) internal = &infos[i];
    }
    return internal;
}

/* Bytes of the UTF-8 sequence at p; 0 when there is none. The 0 at the end of the text
 * is no continuation, so nothing after it is read. */
static size_t utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80) return 1;
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    bool wrong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
                 (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F);
    return wrong ? 0 : n;
}

/* A message may quote any bytes, and may have been cut inside a character; replies that
 * carry it are UTF-8. */
static void make_utf8(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0';) {
        size_t n = utf8_length(p);
        if (n == 0) *p = '?';
        p += n == 0 ? 1 : n;
    }
}

__attribute__((format(printf, 5, 0))) static void fill(qn_error *err, qn_status code,
                                                       const char *file, uint64_t at,
                                                       const char *fmt, va_list args)
{
    if (err == NULL) return;
    err->code = code;
    err->at = at;
    (void)snprintf(err->file, sizeof err->file, "%s", file);
    (void)vsnprintf(err->text, sizeof err->text, fmt, args);
    make_utf8(err->text);
}

qn_status qn_fail(qn_error *err, qn_status code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, code, "", QN_AT_NONE, fmt, args);
    va_end(args);
    return code;
}

qn_status qn_fail_at(qn_error *err, qn_status code, uint64_t at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, code, "", at, fmt, args);
    va_end(args);
    return code;
}

qn_status qn_fail_file(qn_error *err, qn_status code, const char *file, uint64_t at,
                       const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, code, file, at, fmt, args);
    va_end(args);
    return code;
}

qn_status qn_fail_errno(qn_error *err, int errnum, const char *file, const char *what)
{
    qn_status code = QN_EIO;
    if (errnum == ENOENT) code = QN_ENOTFOUND;
    if (errnum == ENOSPC || errnum == EDQUOT) code = QN_ENOSPC;
    if (errnum == ENOMEM) code = QN_ENOMEM;
    if (errnum == EROFS) code = QN_EREADONLY;
    char reason[128] = "unknown";
    if (strerror_r(errnum, reason, sizeof reason) != 0) reason[0] = '\0';
    return qn_fail_file(err, code, file, QN_AT_NONE, "cannot %s %s: %s", what, file,
                        reason);
}

_Noreturn void qn_assert_failed(const char *cond, const char *file, int line)
{
    (void)fprintf(stderr, "quern: broken invariant at %s:%d: %s\n", file, line, cond);
    abort();
}
