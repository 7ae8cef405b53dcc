/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models/score_cache.h"

#include <pthread.h>
#include <xxhash.h>

enum { WAYS = 4, STRIPES = 64 };

typedef struct slot {
    qn_score_key key; /* both 0: empty */
    qn_score score;
    uint32_t used; /* the stripe's clock when it was last put or read */
} slot;

struct qn_score_cache {
    qn_alloc *alloc;
    slot *slots;
    size_t sets; /* a power of two, or 0 */
    struct stripe {
        pthread_mutex_t lock;
        uint32_t clock;
        uint64_t hits, misses, entries;
    } stripes[STRIPES];
};

qn_status qn_score_cache_create(qn_alloc *a, size_t bytes, qn_score_cache **out,
                                qn_error *err)
{
    qn_score_cache *c = *out = qn_new0(a, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "score cache");
    c->alloc = a;
    for (size_t i = 0; i < STRIPES; i++)
        (void)pthread_mutex_init(&c->stripes[i].lock, NULL);
    size_t sets = 1;
    while (sets * 2 * WAYS * sizeof(slot) <= bytes) sets *= 2;
    if (sets * WAYS * sizeof(slot) > bytes) return QN_OK;
    c->slots = qn_new_array(a, sets * WAYS, sizeof *c->slots);
    if (c->slots == NULL) {
        qn_score_cache_destroy(c);
        *out = NULL;
        return qn_fail(err, QN_ENOMEM, "score cache");
    }
    c->sets = sets;
    return QN_OK;
}

void qn_score_cache_destroy(qn_score_cache *c)
{
    if (c == NULL) return;
    for (size_t i = 0; i < STRIPES; i++)
        (void)pthread_mutex_destroy(&c->stripes[i].lock);
    qn_delete(c->alloc, c->slots);
    qn_delete(c->alloc, c);
}

typedef struct hashed {
    XXH128_hash_t model, query, passage;
    uint64_t model_size, query_size, passage_size;
} hashed;

qn_score_key qn_score_cache_key(qn_slice model, qn_slice query, qn_slice passage)
{
    hashed parts = {
        .model = XXH3_128bits(model.p, model.n),
        .query = XXH3_128bits(query.p, query.n),
        .passage = XXH3_128bits(passage.p, passage.n),
        .model_size = model.n,
        .query_size = query.n,
        .passage_size = passage.n,
    };
    XXH128_hash_t h = XXH3_128bits(&parts, sizeof parts);
    /* Both zero marks an empty slot. */
    return (qn_score_key){h.low64 | 1, h.high64};
}

static slot *set_of(qn_score_cache *c, qn_score_key key, struct stripe **stripe)
{
    size_t set = (size_t)(key.high & (c->sets - 1));
    *stripe = &c->stripes[set % STRIPES];
    return c->slots + set * WAYS;
}

bool qn_score_cache_get(qn_score_cache *c, qn_score_key key, qn_score *score)
{
    if (c->sets == 0) return false;
    struct stripe *stripe;
    slot *s = set_of(c, key, &stripe);
    bool found = false;
    (void)pthread_mutex_lock(&stripe->lock);
    for (size_t i = 0; i < WAYS && !found; i++) {
        if (s[i].key.low != key.low || s[i].key.high != key.high) continue;
        *score = s[i].score;
        s[i].used = ++stripe->clock;
        found = true;
    }
    if (found)
        stripe->hits++;
    else
        stripe->misses++;
    (void)pthread_mutex_unlock(&stripe->lock);
    return found;
}

void qn_score_cache_put(qn_score_cache *c, qn_score_key key, qn_score score)
{
    if (c->sets == 0) return;
    struct stripe *stripe;
    slot *s = set_of(c, key, &stripe);
    (void)pthread_mutex_lock(&stripe->lock);
    slot *place = &s[0];
    for (size_t i = 0; i < WAYS; i++) {
        bool same = s[i].key.low == key.low && s[i].key.high == key.high;
        if (same || s[i].key.low == 0) {
            place = &s[i];
            break;
        }
        if (s[i].used < place->used) place = &s[i];
    }
    if (place->key.low == 0) stripe->entries++;
    *place = (slot){key, score, ++stripe->clock};
    (void)pthread_mutex_unlock(&stripe->lock);
}

qn_score_cache_stats qn_score_cache_stats_get(qn_score_cache *c)
{
    qn_score_cache_stats out = {.capacity = c->sets * WAYS};
    for (size_t i = 0; i < STRIPES; i++) {
        struct stripe *s = &c->stripes[i];
        (void)pthread_mutex_lock(&s->lock);
        out.hits += s->hits;
        out.misses += s->misses;
        out.entries += s->entries;
        (void)pthread_mutex_unlock(&s->lock);
    }
    return out;
}
