/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/bits.h"
#include "base/clock.h"

typedef struct qn_map_slot {
    char *key; /* NULL: free; &removed: once used */
    size_t n;
    uint64_t hash, value;
} slot;

static char removed;

void qn_map_init(qn_map *m, qn_alloc *alloc)
{
    *m = (qn_map){.alloc = alloc};
}

void qn_map_clear(qn_map *m)
{
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i].key != &removed) qn_delete(m->alloc, m->slots[i].key);
    qn_delete(m->alloc, m->slots);
    m->slots = NULL;
    m->count = m->capacity = m->tombstones = 0;
}

void qn_map_deinit(qn_map *m)
{
    if (m->alloc != NULL) qn_map_clear(m);
}

/* Murmur-style mixing, eight bytes a step; the seed makes it unpredictable. */
static uint64_t hash_bytes(uint64_t seed, const char *p, size_t n)
{
    uint64_t h = seed ^ ((uint64_t)n * 0x9E3779B97F4A7C15u);
    for (; n >= 8; p += 8, n -= 8) {
        h = (h ^ qn_load64(p)) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    uint64_t rest = 0;
    if (n > 0) memcpy(&rest, p, n);
    h = (h ^ rest) * 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ (h >> 32);
}

static slot *find(const qn_map *m, qn_slice key, uint64_t hash)
{
    for (size_t i = hash & (m->capacity - 1);; i = (i + 1) & (m->capacity - 1)) {
        slot *s = &m->slots[i];
        if (s->key == NULL) return NULL;
        if (s->key != &removed && s->hash == hash && s->n == key.n &&
            memcmp(s->key, key.p, key.n) == 0)
            return s;
    }
}

static slot *free_slot(slot *slots, size_t capacity, uint64_t hash)
{
    size_t i = hash & (capacity - 1);
    while (slots[i].key != NULL && slots[i].key != &removed)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static bool rehash(qn_map *m, size_t capacity)
{
    slot *slots = qn_new_array(m->alloc, capacity, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < m->capacity; i++) {
        slot *s = &m->slots[i];
        if (s->key == NULL || s->key == &removed) continue;
        *free_slot(slots, capacity, s->hash) = *s;
    }
    qn_delete(m->alloc, m->slots);
    m->slots = slots;
    m->capacity = capacity;
    m->tombstones = 0;
    return true;
}

bool qn_map_put(qn_map *m, qn_slice key, uint64_t value)
{
    if (m->seed == 0) m->seed = qn_clock_seed() | 1;
    uint64_t hash = hash_bytes(m->seed, key.p, key.n);
    slot *s = m->capacity == 0 ? NULL : find(m, key, hash);
    if (s != NULL) {
        s->value = value;
        return true;
    }
    if ((m->count + m->tombstones + 1) * 4 > m->capacity * 3) {
        size_t capacity = m->capacity == 0 ? 16 : m->capacity;
        if ((m->count + 1) * 2 > capacity) capacity *= 2;
        if (!rehash(m, capacity)) return false;
    }
    char *copy = qn_strndup(m->alloc, key.p, key.n);
    if (copy == NULL) return false;
    s = free_slot(m->slots, m->capacity, hash);
    if (s->key == &removed) m->tombstones--;
    *s = (slot){.key = copy, .n = key.n, .hash = hash, .value = value};
    m->count++;
    return true;
}

bool qn_map_get(const qn_map *m, qn_slice key, uint64_t *value)
{
    if (m->count == 0) return false;
    slot *s = find(m, key, hash_bytes(m->seed, key.p, key.n));
    if (s == NULL) return false;
    if (value != NULL) *value = s->value;
    return true;
}

bool qn_map_remove(qn_map *m, qn_slice key)
{
    if (m->count == 0) return false;
    slot *s = find(m, key, hash_bytes(m->seed, key.p, key.n));
    if (s == NULL) return false;
    qn_delete(m->alloc, s->key);
    *s = (slot){.key = &removed};
    m->count--;
    m->tombstones++;
    return true;
}

bool qn_map_next(const qn_map *m, size_t *it, qn_slice *key, uint64_t *value)
{
    for (; *it < m->capacity; (*it)++) {
        const slot *s = &m->slots[*it];
        if (s->key == NULL || s->key == &removed) continue;
        *key = (qn_slice){s->key, s->n};
        if (value != NULL) *value = s->value;
        (*it)++;
        return true;
    }
    return false;
}
