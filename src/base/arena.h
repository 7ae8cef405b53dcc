/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena.h -- memory of one lifetime: many small pieces, freed together.
 *
 * A request owns an arena; what it allocates on the way is gone when the request is.
 * Pieces are aligned to 16 and never move.
 *
 * Threads   one arena, one thread at a time.
 * Errors    NULL when out of memory or over the arena's limit. */
#ifndef QN_BASE_ARENA_H
#define QN_BASE_ARENA_H

#include "base/slice.h"

typedef struct qn_arena {
    qn_alloc *alloc;
    size_t limit_bytes, used_bytes; /* limit 0: none */

    /* Private to arena.c. */
    struct qn_arena_chunk *chunk;
} qn_arena;

void qn_arena_init(qn_arena *a, qn_alloc *alloc, size_t limit_bytes);
void qn_arena_deinit(qn_arena *a);
/* All pieces are gone; some memory is kept for those to come. */
void qn_arena_reset(qn_arena *a);
/* Zeroed. */
void *qn_arena_new(qn_arena *a, size_t size);
void *qn_arena_array(qn_arena *a, size_t count, size_t size);
/* Not zeroed: for arrays that are written before they are read. */
void *qn_arena_raw(qn_arena *a, size_t count, size_t size);
/* A zero-terminated copy. */
char *qn_arena_strndup(qn_arena *a, const char *s, size_t n);
/* A copied slice; {NULL, 0} when out of memory (a copied empty slice has p != NULL). */
qn_slice qn_arena_slice(qn_arena *a, qn_slice s);
char *qn_arena_printf(qn_arena *a, const char *fmt, ...) QN_PRINTF(2, 3);

#endif
