/* SPDX-License-Identifier: Apache-2.0 */
/* base/map.h -- the one hash map: byte strings to 64-bit values.
 *
 * Keys are copied in. Open addressing, linear probing; the hash is seeded per
 * process, so no input can line up collisions. Values are often indexes into an
 * array or pointers through uintptr_t.
 *
 * Threads   many readers or one writer. */
#ifndef QN_BASE_MAP_H
#define QN_BASE_MAP_H

#include "base/slice.h"

typedef struct qn_map {
    qn_alloc *alloc;
    size_t count;

    /* Private to map.c. */
    struct qn_map_slot *slots;
    size_t capacity, tombstones;
    uint64_t seed;
} qn_map;

void qn_map_init(qn_map *m, qn_alloc *alloc);
void qn_map_deinit(qn_map *m);
/* Inserts or replaces; false when out of memory. */
bool qn_map_put(qn_map *m, qn_slice key, uint64_t value);
/* false when absent; `value` may be NULL. */
bool qn_map_get(const qn_map *m, qn_slice key, QN_NULLABLE uint64_t *value);
/* false when absent. */
bool qn_map_remove(qn_map *m, qn_slice key);
/* Walks all entries in no particular order: start with *it = 0, until false. The key
 * is valid until the entry is removed. */
bool qn_map_next(const qn_map *m, size_t *it, qn_slice *key, uint64_t *value);
void qn_map_clear(qn_map *m);

#endif
