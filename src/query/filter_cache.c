/* SPDX-License-Identifier: Apache-2.0 */
#include "query/filter_cache.h"

#include "base/bits.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    RECENT = 4096,     /* uses remembered, to tell what repeats */
    ENTRY_BYTES = 256, /* charged beside the words */
};

struct qn_filter_entry {
    qn_alloc *alloc;
    atomic_uint refs;
    uint64_t bytes;
    qn_slice key; /* with the segment's number in front */
    struct qn_filter_entry *newer, *older;
    uint64_t words[];
};
typedef struct qn_filter_entry entry;

struct qn_filter_cache {
    qn_alloc *alloc;
    uint64_t budget;
    uint32_t docs_min;
    pthread_mutex_t lock;
    /* Guarded by `lock`. */
    qn_map map;
    entry *newest, *oldest;
    qn_filter_cache_stats stats;
    uint64_t recent[RECENT]; /* hashes by their low bits; 0: none */
};

static void lock(qn_filter_cache *c)
{
    (void)pthread_mutex_lock(&c->lock);
}

static void unlock(qn_filter_cache *c)
{
    (void)pthread_mutex_unlock(&c->lock);
}

qn_status qn_filter_cache_create(qn_alloc *a, uint64_t budget_bytes, uint32_t docs_min,
                                 qn_filter_cache **out, qn_error *err)
{
    qn_filter_cache *c = *out = qn_new0(a, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "filter cache");
    c->alloc = a;
    c->budget = budget_bytes;
    c->docs_min = docs_min;
    qn_map_init(&c->map, a);
    (void)pthread_mutex_init(&c->lock, NULL);
    return QN_OK;
}

static void drop_ref(entry *e)
{
    if (atomic_fetch_sub(&e->refs, 1) != 1) return;
    qn_delete(e->alloc, (void *)(uintptr_t)e->key.p);
    qn_delete(e->alloc, e);
}

void qn_filter_bits_release(const qn_filter_bits *b)
{
    if (b->entry != NULL) drop_ref(b->entry);
}

/* ---- the list, newest first ---------------------------------------------------------- */

static void unlink_entry(qn_filter_cache *c, entry *e)
{
    *(e->newer == NULL ? &c->newest : &e->newer->older) = e->older;
    *(e->older == NULL ? &c->oldest : &e->older->newer) = e->newer;
}

static void link_newest(qn_filter_cache *c, entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest == NULL ? &c->oldest : &c->newest->newer) = e;
    c->newest = e;
}

static void remove_entry(qn_filter_cache *c, entry *e)
{
    unlink_entry(c, e);
    (void)qn_map_remove(&c->map, e->key);
    c->stats.entries--;
    c->stats.bytes -= e->bytes;
    drop_ref(e);
}

void qn_filter_cache_destroy(qn_filter_cache *c)
{
    if (c == NULL) return;
    while (c->oldest != NULL) remove_entry(c, c->oldest);
    qn_map_deinit(&c->map);
    (void)pthread_mutex_destroy(&c->lock);
    qn_delete(c->alloc, c);
}

qn_filter_cache_stats qn_filter_cache_look(qn_filter_cache *c)
{
    lock(c);
    qn_filter_cache_stats s = c->stats;
    unlock(c);
    return s;
}

uint32_t qn_filter_cache_docs_min(const qn_filter_cache *c)
{
    return c->docs_min;
}

/* ---- asking ------------------------------------------------------------------------- */

static qn_filter_bits hold(entry *e, uint32_t count)
{
    atomic_fetch_add(&e->refs, 1);
    return (qn_filter_bits){e->words + 1, count, e};
}

/* The segment's number and the key in one, and their hash (FNV-1a). */
static qn_slice full_key(qn_alloc *a, uint64_t segment, qn_slice key, uint64_t *hash)
{
    char *p = qn_new_array(a, key.n + sizeof segment, 1);
    if (p == NULL) return (qn_slice){NULL, 0};
    qn_store64(p, segment);
    if (key.n > 0) memcpy(p + sizeof segment, key.p, key.n);
    qn_slice full = {p, key.n + sizeof segment};
    *hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < full.n; i++)
        *hash = (*hash ^ (uint8_t)p[i]) * UINT64_C(0x100000001B3);
    if (*hash == 0) *hash = 1;
    return full;
}

bool qn_filter_cache_get(qn_filter_cache *c, uint64_t segment, qn_slice key,
                         qn_filter_bits *out, bool *wanted)
{
    uint64_t hash = 0, value = 0;
    *wanted = false;
    qn_slice full = full_key(c->alloc, segment, key, &hash);
    if (full.p == NULL) return false;
    lock(c);
    bool found = qn_map_get(&c->map, full, &value);
    if (found) {
        entry *e = (entry *)(uintptr_t)value;
        unlink_entry(c, e);
        link_newest(c, e);
        *out = hold(e, (uint32_t)e->words[0]);
        c->stats.hits++;
    } else {
        uint64_t *place = &c->recent[(hash ^ hash >> 32) % RECENT];
        *wanted = *place == hash;
        *place = hash;
        c->stats.misses++;
    }
    unlock(c);
    qn_delete(c->alloc, (void *)(uintptr_t)full.p);
    return found;
}

static entry *new_entry(qn_filter_cache *c, uint64_t segment, qn_slice key,
                        const uint64_t *words, uint32_t doc_count, uint32_t count)
{
    size_t n = qn_bitset_words(doc_count);
    uint64_t hash = 0;
    entry *e = qn_new0(c->alloc, sizeof *e + (n + 2) * sizeof *words);
    if (e == NULL) return NULL;
    e->key = full_key(c->alloc, segment, key, &hash);
    if (e->key.p == NULL) {
        qn_delete(c->alloc, e);
        return NULL;
    }
    e->alloc = c->alloc;
    e->bytes = ENTRY_BYTES + e->key.n + n * sizeof *words;
    e->words[0] = count; /* a count, the bits, a zero */
    memcpy(e->words + 1, words, n * sizeof *words);
    atomic_init(&e->refs, 1);
    return e;
}

bool qn_filter_cache_put(qn_filter_cache *c, uint64_t segment, qn_slice key,
                         const uint64_t *words, uint32_t doc_count, uint32_t count,
                         qn_filter_bits *out)
{
    entry *e = new_entry(c, segment, key, words, doc_count, count);
    if (e == NULL) return false;
    uint64_t value = 0;
    lock(c);
    bool kept = e->bytes <= c->budget;
    if (qn_map_get(&c->map, e->key, &value)) /* another thread was quicker */
        remove_entry(c, (entry *)(uintptr_t)value);
    kept = kept && qn_map_put(&c->map, e->key, (uint64_t)(uintptr_t)e);
    if (kept) {
        link_newest(c, e);
        c->stats.entries++;
        c->stats.bytes += e->bytes;
        *out = hold(e, count);
        while (c->stats.bytes > c->budget) {
            remove_entry(c, c->oldest);
            c->stats.evictions++;
        }
    }
    unlock(c);
    if (!kept) drop_ref(e);
    return kept;
}
