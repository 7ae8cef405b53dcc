/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/calls/token_cache.h"

#include <pthread.h>
#include <xxhash.h>

enum {
    STRIPES = 16,
    BYTES_AN_ENTRY =
        512,           /* about what a document takes: as many buckets as that gives */
    LARGEST_SHARE = 8, /* an entry takes at most this part of a stripe */
};

typedef struct entry {
    qn_token_key key;
    struct entry *next;          /* in its bucket */
    struct entry *newer, *older; /* in the order of use */
    uint32_t n;
    bool wide; /* ids of 32 bits, else of 16 */
    uint8_t ids[];
} entry;

typedef struct stripe {
    pthread_mutex_t lock;
    entry **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    entry *newest, *oldest;
    size_t bytes, entries;
    uint64_t hits, misses;
} stripe;

struct qn_token_cache {
    qn_alloc *alloc;
    size_t bytes_max; /* of a stripe */
    stripe stripes[STRIPES];
};

qn_status qn_token_cache_create(qn_alloc *a, size_t bytes, qn_token_cache **out,
                                qn_error *err)
{
    qn_token_cache *c = *out = qn_new0(a, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "token cache");
    c->alloc = a;
    c->bytes_max = bytes / STRIPES;
    size_t buckets = 1;
    while (buckets * 2 * BYTES_AN_ENTRY <= c->bytes_max) buckets *= 2;
    bool whole = true;
    for (size_t i = 0; i < STRIPES; i++) {
        stripe *s = &c->stripes[i];
        (void)pthread_mutex_init(&s->lock, NULL);
        if (bytes == 0) continue;
        s->buckets = qn_new_array(a, buckets, sizeof(entry *));
        s->bucket_count = s->buckets == NULL ? 0 : buckets;
        whole = whole && s->buckets != NULL;
        for (size_t k = 0; k < s->bucket_count; k++) s->buckets[k] = NULL;
    }
    if (whole) return QN_OK;
    qn_token_cache_destroy(c);
    *out = NULL;
    return qn_fail(err, QN_ENOMEM, "token cache");
}

void qn_token_cache_destroy(qn_token_cache *c)
{
    if (c == NULL) return;
    for (size_t i = 0; i < STRIPES; i++) {
        stripe *s = &c->stripes[i];
        for (entry *e = s->oldest, *after; e != NULL; e = after) {
            after = e->newer;
            qn_delete(c->alloc, e);
        }
        qn_delete(c->alloc, s->buckets);
        (void)pthread_mutex_destroy(&s->lock);
    }
    qn_delete(c->alloc, c);
}

qn_token_key qn_token_cache_key(uint64_t tokenizer_digest, qn_tokenize_flags flags,
                                size_t most, qn_slice text)
{
    struct parts {
        XXH128_hash_t text;
        uint64_t size, tokenizer, flags, most;
    } parts = {
        .text = XXH3_128bits(text.p, text.n),
        .size = text.n,
        .tokenizer = tokenizer_digest,
        .flags = (uint64_t)flags,
        .most = most,
    };
    XXH128_hash_t h = XXH3_128bits(&parts, sizeof parts);
    return (qn_token_key){h.low64, h.high64};
}

/* ---- one stripe, under its lock ------------------------------------------------------ */

static stripe *stripe_of(qn_token_cache *c, qn_token_key key)
{
    return &c->stripes[key.high % STRIPES];
}

static entry **bucket_of(stripe *s, qn_token_key key)
{
    return &s->buckets[key.low & (s->bucket_count - 1)];
}

static entry *find(stripe *s, qn_token_key key)
{
    entry *e = *bucket_of(s, key);
    while (e != NULL && (e->key.low != key.low || e->key.high != key.high)) e = e->next;
    return e;
}

static void unlink_use(stripe *s, entry *e)
{
    *(e->newer == NULL ? &s->newest : &e->newer->older) = e->older;
    *(e->older == NULL ? &s->oldest : &e->older->newer) = e->newer;
}

static void link_newest(stripe *s, entry *e)
{
    e->newer = NULL;
    e->older = s->newest;
    *(s->newest == NULL ? &s->oldest : &s->newest->newer) = e;
    s->newest = e;
}

static size_t size_of(size_t n, bool wide)
{
    return sizeof(entry) + n * (wide ? sizeof(uint32_t) : sizeof(uint16_t));
}

static void drop_oldest(qn_token_cache *c, stripe *s)
{
    entry *e = s->oldest, **at = bucket_of(s, e->key);
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    unlink_use(s, e);
    s->bytes -= size_of(e->n, e->wide);
    s->entries--;
    qn_delete(c->alloc, e);
}

/* ---- the calls ---------------------------------------------------------------------- */

static bool copy_ids(const entry *e, qn_arena *arena, qn_pieces *out)
{
    uint32_t *ids = qn_arena_raw(arena, e->n + 1u, sizeof *ids);
    if (ids == NULL) return false;
    if (e->wide && e->n > 0) memcpy(ids, e->ids, e->n * sizeof *ids);
    for (size_t i = 0; !e->wide && i < e->n; i++)
        ids[i] = (uint32_t)(e->ids[2 * i] | e->ids[2 * i + 1] << 8);
    *out = (qn_pieces){.ids = ids, .n = e->n};
    return true;
}

qn_status qn_token_cache_get(qn_token_cache *c, qn_token_key key, qn_arena *arena,
                             qn_pieces *out, bool *found, qn_error *err)
{
    stripe *s = stripe_of(c, key);
    *found = false;
    if (s->bucket_count == 0) return QN_OK;
    (void)pthread_mutex_lock(&s->lock);
    entry *e = find(s, key);
    bool room = e == NULL || copy_ids(e, arena, out);
    if (e != NULL) {
        unlink_use(s, e);
        link_newest(s, e);
        s->hits++;
    } else {
        s->misses++;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!room) return qn_fail(err, QN_ENOMEM, "token ids");
    *found = e != NULL;
    return QN_OK;
}

static entry *make_entry(qn_token_cache *c, qn_token_key key, const qn_pieces *p)
{
    bool wide = false;
    for (size_t i = 0; i < p->n && !wide; i++) wide = p->ids[i] > UINT16_MAX;
    size_t size = size_of(p->n, wide);
    if (size > c->bytes_max / LARGEST_SHARE) return NULL;
    entry *e = qn_new0(c->alloc, size);
    if (e == NULL) return NULL;
    e->key = key;
    e->n = (uint32_t)p->n;
    e->wide = wide;
    if (wide) memcpy(e->ids, p->ids, p->n * sizeof *p->ids);
    for (size_t i = 0; !wide && i < p->n; i++) {
        e->ids[2 * i] = (uint8_t)p->ids[i];
        e->ids[2 * i + 1] = (uint8_t)(p->ids[i] >> 8);
    }
    return e;
}

void qn_token_cache_put(qn_token_cache *c, qn_token_key key, const qn_pieces *pieces)
{
    stripe *s = stripe_of(c, key);
    if (s->bucket_count == 0) return;
    entry *e = make_entry(c, key, pieces);
    if (e == NULL) return;
    (void)pthread_mutex_lock(&s->lock);
    if (find(s, key) != NULL) { /* another thread was quicker */
        (void)pthread_mutex_unlock(&s->lock);
        qn_delete(c->alloc, e);
        return;
    }
    size_t size = size_of(e->n, e->wide);
    while (s->oldest != NULL && s->bytes + size > c->bytes_max) drop_oldest(c, s);
    entry **bucket = bucket_of(s, key);
    e->next = *bucket;
    *bucket = e;
    link_newest(s, e);
    s->bytes += size;
    s->entries++;
    (void)pthread_mutex_unlock(&s->lock);
}

qn_token_cache_stats qn_token_cache_stats_get(qn_token_cache *c)
{
    qn_token_cache_stats out = {.bytes_max = c->bytes_max * STRIPES};
    for (size_t i = 0; i < STRIPES; i++) {
        stripe *s = &c->stripes[i];
        (void)pthread_mutex_lock(&s->lock);
        out.hits += s->hits;
        out.misses += s->misses;
        out.entries += s->entries;
        out.bytes += s->bytes;
        (void)pthread_mutex_unlock(&s->lock);
    }
    return out;
}
