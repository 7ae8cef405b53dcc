/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the target of a request: an error that points into it, or parts that are
 * valid UTF-8 and survive being encoded and decoded again. */
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_part(qn_arena *arena, qn_slice part)
{
    qn_assert(qn_url_is_utf8(part));
    qn_buf coded = {.alloc = qn_alloc_heap()};
    qn_url_encode(&coded, part);
    qn_slice back;
    qn_assert(!coded.failed);
    qn_assert(qn_url_decode(arena, qn_buf_slice(&coded), true, &back, NULL) == QN_OK);
    qn_assert(qn_slice_eq(part, back));
    qn_buf_deinit(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_url url;
    qn_error err = {0};
    qn_status st = qn_url_parse(&arena, (qn_slice){(const char *)bytes, n}, &url, &err);
    if (st == QN_OK) {
        qn_assert(url.segment_count <= QN_URL_SEGMENTS_MAX);
        for (size_t i = 0; i < url.segment_count; i++)
            check_part(&arena, url.segments[i]);
        for (size_t i = 0; i < url.param_count; i++) {
            check_part(&arena, url.params[i].name);
            check_part(&arena, url.params[i].value);
        }
    } else {
        qn_assert(st == QN_EINVAL || st == QN_EUTF8 || st == QN_ELIMIT);
        qn_assert(err.at <= n && err.text[0] != '\0');
    }
    qn_arena_deinit(&arena);
    return 0;
}
