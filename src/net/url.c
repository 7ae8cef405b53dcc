/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include <stdio.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool qn_url_is_utf8(qn_slice text)
{
    const unsigned char *s = (const unsigned char *)text.p;
    for (size_t i = 0; i < text.n;) {
        size_t n = s[i] < 0x80   ? 1
                   : s[i] < 0xC2 ? 0
                   : s[i] < 0xE0 ? 2
                   : s[i] < 0xF0 ? 3
                   : s[i] < 0xF5 ? 4
                                 : 0;
        if (n == 0 || n > text.n - i) return false;
        for (size_t k = 1; k < n; k++)
            if ((s[i + k] & 0xC0) != 0x80) return false;
        if ((s[i] == 0xE0 && s[i + 1] < 0xA0) || (s[i] == 0xED && s[i + 1] > 0x9F) ||
            (s[i] == 0xF0 && s[i + 1] < 0x90) || (s[i] == 0xF4 && s[i + 1] > 0x8F))
            return false;
        i += n;
    }
    return true;
}

qn_status qn_url_decode(qn_arena *arena, qn_slice s, bool plus_is_blank, qn_slice *out,
                        qn_error *err)
{
    *out = s;
    bool coded = s.n > 0 && (memchr(s.p, '%', s.n) != NULL ||
                             (plus_is_blank && memchr(s.p, '+', s.n) != NULL));
    if (coded) {
        char *bytes = qn_arena_new(arena, s.n + 1);
        if (bytes == NULL)
            return qn_fail(err, QN_ENOMEM, "no memory to read an address");
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
            char c = s.p[i];
            if (c == '+' && plus_is_blank) c = ' ';
            if (s.p[i] == '%') {
                bool whole = s.n - i > 2;
                int high = whole ? hex_digit(s.p[i + 1]) : -1;
                int low = whole ? hex_digit(s.p[i + 2]) : -1;
                if (high < 0 || low < 0)
                    return qn_fail_at(err, QN_EINVAL, i,
                                      "'%%' is not followed by two hexadecimal digits");
                c = (char)(high * 16 + low);
                i += 2;
            }
            bytes[n++] = c;
        }
        *out = (qn_slice){bytes, n};
    }
    if (!qn_url_is_utf8(*out))
        return qn_fail_at(err, QN_EUTF8, 0, "invalid UTF-8 in the address");
    return QN_OK;
}

void qn_url_encode(qn_buf *out, qn_slice s)
{
    static const char plain[] = "-._~";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || (c != '\0' && strchr(plain, c) != NULL);
        if (safe)
            qn_buf_add_char(out, c);
        else
            qn_buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

/* What stands before the next `c`, taken off the front of *rest with the separator. */
static qn_slice take_until(qn_slice *rest, char c)
{
    const char *at = rest->n == 0 ? NULL : memchr(rest->p, c, rest->n);
    qn_slice part = {rest->p, at == NULL ? rest->n : (size_t)(at - rest->p)};
    size_t used = part.n + (at != NULL);
    rest->p += used;
    rest->n -= used;
    return part;
}

/* Decodes and moves the offset of an error from the part to the target. */
static qn_status decode_part(qn_arena *arena, qn_slice target, qn_slice part, bool plus,
                             qn_slice *out, qn_error *err)
{
    qn_status st = qn_url_decode(arena, part, plus, out, err);
    if (st != QN_OK && err != NULL && err->at != QN_AT_NONE)
        err->at += (uint64_t)(part.p - target.p);
    return st;
}

static qn_status parse_segments(qn_arena *arena, qn_slice target, qn_url *out,
                                qn_error *err)
{
    qn_slice *segments = qn_arena_array(arena, QN_URL_SEGMENTS_MAX, sizeof *segments);
    if (segments == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory to read an address");
    out->segments = segments;
    qn_slice rest = out->path;
    while (rest.n > 0) {
        qn_slice part = take_until(&rest, '/');
        if (part.n == 0) continue;
        if (out->segment_count == QN_URL_SEGMENTS_MAX)
            return qn_fail_at(err, QN_ELIMIT, (uint64_t)(part.p - target.p),
                              "the path has more than %d parts", QN_URL_SEGMENTS_MAX);
        QN_TRY(decode_part(arena, target, part, false, &segments[out->segment_count],
                           err));
        out->segment_count++;
    }
    return QN_OK;
}

static qn_status parse_params(qn_arena *arena, qn_slice target, qn_slice query,
                              qn_url *out, qn_error *err)
{
    if (query.n == 0) return QN_OK;
    size_t count = 1;
    for (size_t i = 0; i < query.n; i++) count += query.p[i] == '&';
    if (count > QN_URL_PARAMS_MAX)
        return qn_fail_at(err, QN_ELIMIT, (uint64_t)(query.p - target.p),
                          "the address has more than %d parameters", QN_URL_PARAMS_MAX);
    qn_param *params = qn_arena_array(arena, count, sizeof *params);
    if (params == NULL) return qn_fail(err, QN_ENOMEM, "no memory to read an address");
    out->params = params;
    while (query.n > 0) {
        qn_slice part = take_until(&query, '&');
        if (part.n == 0) continue;
        qn_slice name = take_until(&part, '=');
        qn_param *p = &params[out->param_count];
        QN_TRY(decode_part(arena, target, name, true, &p->name, err));
        QN_TRY(decode_part(arena, target, part, true, &p->value, err));
        p->raw = part;
        out->param_count++;
    }
    return QN_OK;
}

qn_status qn_url_parse(qn_arena *arena, qn_slice target, qn_url *out, qn_error *err)
{
    *out = (qn_url){0};
    qn_slice rest = target;
    out->path = take_until(&rest, '?');
    QN_TRY(parse_segments(arena, target, out, err));
    return parse_params(arena, target, rest, out, err);
}

const qn_param *qn_param_find(const qn_param *params, size_t count, const char *name)
{
    for (size_t i = count; i > 0; i--)
        if (qn_slice_eq_str(params[i - 1].name, name)) return &params[i - 1];
    return NULL;
}

const qn_param *qn_header_find(const qn_param *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (qn_slice_eq_nocase(headers[i].name, name)) return &headers[i];
    return NULL;
}
