/* SPDX-License-Identifier: Apache-2.0 */
/* Settings up to the first zero byte, then a text to cut. Chunks lie inside the text on
 * borders of characters, begin and end one after the other and leave no gap; settings
 * printed and read again are the same settings. */
#include "text/chunk.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check(qn_slice text, const qn_chunk *chunks, size_t count)
{
    qn_assert(count >= 1 && chunks[0].start == 0);
    for (size_t i = 0; i < count; i++) {
        qn_assert(chunks[i].start <= chunks[i].end && chunks[i].end <= text.n);
        qn_assert(qn_utf8_border(text, chunks[i].start));
        qn_assert(qn_utf8_border(text, chunks[i].end));
        if (i == 0) continue;
        qn_assert(chunks[i].start >= chunks[i - 1].start);
        qn_assert(chunks[i].start <= chunks[i - 1].end);
        qn_assert(chunks[i].end > chunks[i - 1].end);
    }
}

static void print_again(const qn_chunk_settings *s, qn_arena *arena)
{
    qn_buf first, second;
    qn_json_writer w;
    qn_chunk_settings again;
    qn_buf_init(&first, qn_alloc_heap());
    qn_buf_init(&second, qn_alloc_heap());
    qn_json_writer_init(&w, &first, false);
    qn_chunk_settings_print(s, &w);
    qn_assert(qn_chunk_settings_parse(qn_buf_slice(&first), arena, &again, NULL) ==
              QN_OK);
    qn_json_writer_init(&w, &second, false);
    qn_chunk_settings_print(&again, &w);
    qn_assert(qn_slice_eq(qn_buf_slice(&first), qn_buf_slice(&second)));
    qn_buf_deinit(&first);
    qn_buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n > 1 << 14) return 0;
    const char *p = (const char *)bytes;
    const char *zero = n == 0 ? NULL : memchr(p, 0, n);
    qn_slice how = {p, zero == NULL ? n : (size_t)(zero - p)};
    qn_slice text = {p + how.n + (zero != NULL), n - how.n - (zero != NULL)};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_chunk_settings s;
    qn_chunker *c = NULL;
    qn_error err = {.at = QN_AT_NONE};
    if (qn_chunk_settings_parse(how, &arena, &s, &err) == QN_OK) {
        print_again(&s, &arena);
        qn_status st = qn_chunker_create(qn_alloc_heap(), &s, NULL, 0, &c, &err);
        qn_assert(st == QN_OK || st == QN_EINVAL);
        const qn_chunk *chunks = NULL;
        size_t count = 0;
        if (st == QN_OK) st = qn_chunker_run(c, text, &arena, &chunks, &count, &err);
        if (st == QN_OK) check(text, chunks, count);
        qn_assert(st == QN_OK || st == QN_EINVAL || st == QN_EUTF8 || st == QN_ELIMIT);
    }
    qn_chunker_destroy(c);
    qn_arena_deinit(&arena);
    return 0;
}
