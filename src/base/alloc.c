/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

/* In front of every block. 16 bytes keep the block aligned as malloc aligns. */
typedef struct header {
    size_t size;
    void *base; /* aligned blocks: what to free; others: the header itself */
} header;

_Static_assert(sizeof(header) == 16, "blocks stay 16-byte aligned");

static qn_alloc heap;

qn_alloc *qn_alloc_heap(void)
{
    return &heap;
}

/* Takes `size` bytes out of the budget; false when refused. */
static bool reserve(qn_alloc *a, size_t size)
{
    if (atomic_load_explicit(&a->fail_countdown, memory_order_relaxed) > 0 &&
        atomic_fetch_sub(&a->fail_countdown, 1) == 1)
        return false;
    size_t live = atomic_fetch_add_explicit(&a->live_bytes, size, memory_order_relaxed);
    if (a->budget_bytes != 0 && live + size > a->budget_bytes) {
        atomic_fetch_sub_explicit(&a->live_bytes, size, memory_order_relaxed);
        return false;
    }
    return true;
}

static void unreserve(qn_alloc *a, size_t size)
{
    atomic_fetch_sub_explicit(&a->live_bytes, size, memory_order_relaxed);
}

void *qn_new0(qn_alloc *a, size_t size)
{
    if (size > SIZE_MAX / 2 || !reserve(a, size)) return NULL;
    /* One byte more than nothing: a pointer past the end of a block is a pointer into
     * no block, and leak checkers then call it lost while it is held. */
    header *h = calloc(1, sizeof *h + (size == 0 ? 1 : size));
    if (h == NULL) {
        unreserve(a, size);
        return NULL;
    }
    h->size = size;
    h->base = h;
    return h + 1;
}

void *qn_new_array(qn_alloc *a, size_t count, size_t size)
{
    size_t total = 0;
    if (!qn_mul_size(count, size, &total)) return NULL;
    return qn_new0(a, total);
}

void *qn_resize(qn_alloc *a, void *p, size_t size)
{
    if (p == NULL) return qn_new0(a, size);
    header *h = (header *)p - 1;
    size_t old = h->size;
    if (size > SIZE_MAX / 2) return NULL;
    if (size > old && !reserve(a, size - old)) return NULL;
    header *grown = realloc(h, sizeof *h + size);
    if (grown == NULL) {
        if (size > old) unreserve(a, size - old);
        return NULL;
    }
    if (size < old) unreserve(a, old - size);
    grown->size = size;
    grown->base = grown;
    return grown + 1;
}

void qn_delete(qn_alloc *a, void *p)
{
    if (p == NULL) return;
    header *h = (header *)p - 1;
    unreserve(a, h->size);
    free(h);
}

char *qn_strndup(qn_alloc *a, const char *s, size_t n)
{
    char *copy = qn_new0(a, n + 1);
    if (copy != NULL && n > 0) memcpy(copy, s, n);
    return copy;
}

void *qn_new_aligned(qn_alloc *a, size_t align, size_t size)
{
    qn_assert(align >= 16 && align <= 4096 && (align & (align - 1)) == 0);
    if (size > SIZE_MAX / 2 || !reserve(a, size)) return NULL;
    unsigned char *raw = calloc(1, size + align + sizeof(header));
    if (raw == NULL) {
        unreserve(a, size);
        return NULL;
    }
    uintptr_t first = (uintptr_t)raw + sizeof(header);
    uintptr_t start = (first + align - 1) & ~((uintptr_t)align - 1);
    unsigned char *block = raw + (start - (uintptr_t)raw);
    header *h = (header *)(void *)(block - sizeof(header));
    h->size = size;
    h->base = raw;
    return block;
}

void qn_delete_aligned(qn_alloc *a, void *p)
{
    if (p == NULL) return;
    header *h = (header *)p - 1;
    unreserve(a, h->size);
    free(h->base);
}
