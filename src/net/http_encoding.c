/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_encoding.h"

#include <limits.h>
#include <zlib.h>

/* zlib's window argument: what kind of stream. */
enum {
    ZLIB_STREAM = 15,
    GZIP_STREAM = 15 + 16,
    RAW_STREAM = -15,
    STEP_BYTES = 64 * 1024
};

/* Runs `step` (inflate or deflate) over all input. Z_STREAM_END when the stream ended
 * with the input, Z_BUF_ERROR over the limit. */
static int run_stream(z_stream *z, int (*step)(z_stream *, int), qn_slice in,
                      size_t limit_bytes, qn_buf *out)
{
    size_t begin = out->n;
    int rc = Z_OK;
    z->next_in = (Bytef *)(uintptr_t)in.p;
    while (rc == Z_OK) {
        if (z->avail_in == 0 && in.n > 0) {
            z->avail_in = in.n > UINT_MAX / 2 ? UINT_MAX / 2 : (uInt)in.n;
            in.n -= z->avail_in;
        }
        char *room = qn_buf_reserve(out, STEP_BYTES);
        if (room == NULL) return Z_MEM_ERROR;
        z->next_out = (Bytef *)room;
        z->avail_out = STEP_BYTES;
        rc = step(z, in.n == 0 ? Z_FINISH : Z_NO_FLUSH);
        /* With Z_FINISH a full output buffer is "buffer error": go on. */
        bool progress = z->avail_out < STEP_BYTES;
        out->n += STEP_BYTES - z->avail_out;
        out->p[out->n] = '\0';
        if (out->n - begin > limit_bytes) return Z_BUF_ERROR;
        if (rc == Z_BUF_ERROR) rc = progress && z->avail_out == 0 ? Z_OK : Z_DATA_ERROR;
    }
    if (rc == Z_STREAM_END && (z->avail_in > 0 || in.n > 0)) return Z_DATA_ERROR;
    return rc;
}

static qn_status unpack_as(int window, qn_slice packed, size_t limit_bytes, qn_buf *out,
                           qn_error *err)
{
    z_stream z = {0};
    if (inflateInit2(&z, window) != Z_OK)
        return qn_fail(err, QN_ENOMEM, "no memory to unpack the body");
    int rc = run_stream(&z, inflate, packed, limit_bytes, out);
    (void)inflateEnd(&z);
    if (rc == Z_STREAM_END) return QN_OK;
    if (rc == Z_MEM_ERROR)
        return qn_fail(err, QN_ENOMEM, "no memory to unpack the body");
    if (rc == Z_BUF_ERROR)
        return qn_fail(err, QN_EBODY,
                       "the request body unpacks to more than the %zu bytes allowed",
                       limit_bytes);
    return qn_fail(err, QN_EINVAL, "the compressed request body is broken");
}

qn_status qn_http_unpack(qn_slice encoding, qn_slice packed, size_t limit_bytes,
                         qn_buf *out, qn_error *err)
{
    encoding = qn_slice_trim(encoding);
    if (encoding.n == 0 || qn_slice_eq_nocase(encoding, "identity")) {
        qn_buf_add_slice(out, packed);
        return out->failed ? qn_fail(err, QN_ENOMEM, "no memory for the body") : QN_OK;
    }
    if (qn_slice_eq_nocase(encoding, "gzip") || qn_slice_eq_nocase(encoding, "x-gzip"))
        return unpack_as(GZIP_STREAM, packed, limit_bytes, out, err);
    if (!qn_slice_eq_nocase(encoding, "deflate"))
        return qn_fail(err, QN_EMEDIA,
                       "Content-Encoding [%.*s] is not supported, use gzip or deflate",
                       encoding.n > 64 ? 64 : (int)encoding.n, encoding.p);
    /* A zlib stream begins with method 8 and a check of the first two bytes. */
    const unsigned char *p = (const unsigned char *)packed.p;
    bool wrapped = packed.n >= 2 && (p[0] & 15) == 8 && (p[0] * 256 + p[1]) % 31 == 0;
    return unpack_as(wrapped ? ZLIB_STREAM : RAW_STREAM, packed, limit_bytes, out, err);
}

bool qn_http_gzip(qn_slice plain, qn_buf *out)
{
    enum { LEVEL = 1, MEMORY = 8 };
    z_stream z = {0};
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_STREAM, MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return false;
    int rc = run_stream(&z, deflate, plain, SIZE_MAX, out);
    (void)deflateEnd(&z);
    return rc == Z_STREAM_END;
}
