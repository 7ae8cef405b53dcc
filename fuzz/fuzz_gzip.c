/* SPDX-License-Identifier: Apache-2.0 */
/* A compressed body: refused, or unpacked within the limit; packed again and unpacked it
 * is the same. The first byte picks the encoding. */
#include "net/http_encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { LIMIT = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const encodings[] = {"gzip", "deflate", "identity", "br", ""};
    if (n == 0) return 0;
    qn_slice encoding = qn_slice_of(encodings[bytes[0] % 5]);
    qn_slice packed = {(const char *)bytes + 1, n - 1};
    qn_buf plain = {.alloc = qn_alloc_heap()}, again = {.alloc = qn_alloc_heap()},
           back = {.alloc = qn_alloc_heap()};
    qn_error err = {0};
    qn_status st = qn_http_unpack(encoding, packed, LIMIT, &plain, &err);
    if (st == QN_OK) {
        qn_assert(plain.n <= LIMIT);
        qn_assert(qn_http_gzip(qn_buf_slice(&plain), &again));
        qn_assert(qn_http_unpack(qn_slice_of("gzip"), qn_buf_slice(&again), LIMIT,
                                 &back, &err) == QN_OK);
        qn_assert(qn_slice_eq(qn_buf_slice(&plain), qn_buf_slice(&back)));
    } else {
        qn_assert(st == QN_EBODY || st == QN_EMEDIA || st == QN_EINVAL);
        qn_assert(err.text[0] != '\0');
    }
    qn_buf_deinit(&plain);
    qn_buf_deinit(&again);
    qn_buf_deinit(&back);
    return 0;
}
