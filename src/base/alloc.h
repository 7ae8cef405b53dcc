/* SPDX-License-Identifier: Apache-2.0 */
/* base/alloc.h -- the one way to get memory.
 *
 * A qn_alloc is handed down at creation: it counts what is live, refuses past a
 * budget, and in tests fails the Nth request. Every block carries a 16-byte header
 * with its size, so freeing needs only the pointer. The heap allocator
 * (qn_alloc_heap) is the process-wide default.
 *
 * Threads   any number of threads may use one allocator.
 * Errors    NULL on failure, never abort. The caller answers QN_ENOMEM. */
#ifndef QN_BASE_ALLOC_H
#define QN_BASE_ALLOC_H

#include "base/status.h"

#include <stdatomic.h>

typedef struct qn_alloc {
    atomic_size_t live_bytes;   /* blocks handed out and not freed, headers excluded */
    size_t budget_bytes;        /* 0: no limit */
    atomic_long fail_countdown; /* tests: the request that takes it from 1 to 0 fails;
                                 * 0 or less: off */
} qn_alloc;

/* The process-wide allocator: no budget, never fails on purpose. */
qn_alloc *qn_alloc_heap(void);

/* `size` zeroed bytes, aligned to 16; NULL when over the budget or out of memory.
 * Size 0 gives a valid block of its own. */
QN_OWNED void *qn_new0(qn_alloc *a, size_t size);
/* An array of `count` zeroed items; NULL also when count * size overflows. */
QN_OWNED void *qn_new_array(qn_alloc *a, size_t count, size_t size);
/* Grows or shrinks `p` (NULL: a fresh block); the new part is not zeroed. On failure
 * NULL, and `p` is still valid. */
QN_OWNED void *qn_resize(qn_alloc *a, QN_NULLABLE void *p, size_t size);
void qn_delete(qn_alloc *a, QN_OWNED QN_NULLABLE void *p);
/* A zero-terminated copy of `n` bytes. */
QN_OWNED char *qn_strndup(qn_alloc *a, const char *s, size_t n);
/* `size` zeroed bytes aligned to `align` (a power of two, at most 4096), to be ended
 * by qn_delete_aligned(): for kernel buffers. */
QN_OWNED void *qn_new_aligned(qn_alloc *a, size_t align, size_t size);
void qn_delete_aligned(qn_alloc *a, QN_OWNED QN_NULLABLE void *p);

#endif
