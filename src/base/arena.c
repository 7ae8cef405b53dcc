/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/bits.h"

#include <stdio.h>

enum { CHUNK_BYTES = 32 * 1024 };

typedef struct qn_arena_chunk {
    struct qn_arena_chunk *next;
    size_t used, capacity;
    size_t dirty; /* bytes that may be anything; those behind are zero */
} chunk;

_Static_assert(sizeof(chunk) % 16 == 0, "pieces stay 16-byte aligned");

void qn_arena_init(qn_arena *a, qn_alloc *alloc, size_t limit_bytes)
{
    *a = (qn_arena){.alloc = alloc, .limit_bytes = limit_bytes};
}

void qn_arena_deinit(qn_arena *a)
{
    for (chunk *c = a->chunk; c != NULL;) {
        chunk *next = c->next;
        qn_delete(a->alloc, c);
        c = next;
    }
    a->chunk = NULL;
    a->used_bytes = 0;
}

void qn_arena_reset(qn_arena *a)
{
    chunk *kept = a->chunk;
    if (kept == NULL || kept->capacity != CHUNK_BYTES) {
        qn_arena_deinit(a);
        return;
    }
    a->chunk = kept->next;
    qn_arena_deinit(a);
    if (kept->dirty < kept->used) kept->dirty = kept->used;
    kept->used = 0;
    kept->next = NULL;
    a->chunk = kept;
}

static chunk *add_chunk(qn_arena *a, size_t size)
{
    size_t capacity = size > CHUNK_BYTES / 4 ? size : CHUNK_BYTES;
    chunk *c = qn_resize(a->alloc, NULL, sizeof *c + capacity);
    if (c == NULL) return NULL;
    *c = (chunk){.capacity = capacity, .dirty = capacity};
    /* A big piece gets a chunk of its own, put behind the current one so that the
     * current one's room is not lost. */
    if (capacity == size && a->chunk != NULL) {
        c->next = a->chunk->next;
        a->chunk->next = c;
    } else {
        c->next = a->chunk;
        a->chunk = c;
    }
    return c;
}

/* The piece, and how many bytes at its begin are not zero. */
static void *take(qn_arena *a, size_t size, size_t *dirty)
{
    if (size > SIZE_MAX / 4) return NULL;
    size = size == 0 ? 16 : (size_t)qn_align_up(size, 16);
    if (a->limit_bytes != 0 && a->used_bytes + size > a->limit_bytes) return NULL;
    chunk *c = a->chunk;
    if (c == NULL || c->capacity - c->used < size) c = add_chunk(a, size);
    if (c == NULL) return NULL;
    void *piece = (char *)(c + 1) + c->used;
    size_t left = c->dirty > c->used ? c->dirty - c->used : 0;
    *dirty = left < size ? left : size;
    c->used += size;
    a->used_bytes += size;
    return piece;
}

void *qn_arena_new(qn_arena *a, size_t size)
{
    size_t dirty = 0;
    void *piece = take(a, size, &dirty);
    if (dirty > 0) memset(piece, 0, dirty);
    return piece;
}

void *qn_arena_array(qn_arena *a, size_t count, size_t size)
{
    size_t total = 0;
    return qn_mul_size(count, size, &total) ? qn_arena_new(a, total) : NULL;
}

void *qn_arena_raw(qn_arena *a, size_t count, size_t size)
{
    size_t total = 0, dirty = 0;
    return qn_mul_size(count, size, &total) ? take(a, total, &dirty) : NULL;
}

char *qn_arena_strndup(qn_arena *a, const char *s, size_t n)
{
    char *copy = n == SIZE_MAX ? NULL : qn_arena_new(a, n + 1);
    if (copy != NULL && n > 0) memcpy(copy, s, n);
    return copy;
}

qn_slice qn_arena_slice(qn_arena *a, qn_slice s)
{
    char *copy = qn_arena_strndup(a, s.p, s.n);
    return (qn_slice){copy, copy == NULL ? 0 : s.n};
}

char *qn_arena_printf(qn_arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : qn_arena_new(a, (size_t)n + 1);
    if (text != NULL) (void)vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
