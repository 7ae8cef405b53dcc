/* SPDX-License-Identifier: Apache-2.0 */
/* Terms while a segment is being built: interning, and chains of occurrences. This is
 * the inner loop of indexing: one probe, one comparison, a few bytes written. */
#include "index/segment_internal.h"

#include <stdlib.h>
#include <xxhash.h>

/* ---- the pool ------------------------------------------------------------------- */

void qn_pool__deinit(byte_pool *p)
{
    for (size_t i = 0; i < p->pages.n; i++) qn_delete(p->alloc, p->pages.p[i]);
    qn_vec_deinit(p->alloc, &p->pages);
}

size_t qn_pool__bytes(const byte_pool *p)
{
    return p->pages.n * POOL_PAGE + p->pages.capacity * sizeof *p->pages.p;
}

uint8_t *qn_pool__take(byte_pool *p, uint32_t size, uint32_t *place)
{
    if (p->pages.n == 0 || p->used + size > POOL_PAGE) {
        if (p->pages.n == 65536 || !qn_vec_grow(p->alloc, &p->pages)) return NULL;
        uint8_t *page = qn_new0(p->alloc, POOL_PAGE);
        if (page == NULL) return NULL;
        p->pages.p[p->pages.n++] = page;
        p->used = 0;
    }
    *place = (uint32_t)((p->pages.n - 1) << 16) | p->used;
    uint8_t *bytes = p->pages.p[p->pages.n - 1] + p->used;
    p->used += size;
    return bytes;
}

static uint8_t *pool_at(const byte_pool *p, uint32_t place)
{
    return p->pages.p[place >> 16] + (place & 0xFFFF);
}

/* ---- interning ------------------------------------------------------------------ */

void qn_term_table__deinit(term_table *t, qn_alloc *a)
{
    for (size_t i = 0; i < t->pages.n; i++) qn_delete_aligned(a, t->pages.p[i]);
    qn_vec_deinit(a, &t->pages);
    qn_delete(a, t->slots);
    t->slots = NULL;
    t->slot_count = 0;
    t->count = 0;
}

size_t qn_term_table__bytes(const term_table *t)
{
    return t->pages.n * TERM_PAGE * sizeof **t->pages.p +
           t->pages.capacity * sizeof *t->pages.p + t->slot_count * sizeof *t->slots;
}

/* A term as the table compares it: two words, zero behind its end, as far as they hold
 * it. Read once, by one branch on the length, instead of by hash and comparison each. */
typedef struct term_key {
    uint64_t low, high;
    uint64_t hash;
} term_key;

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline term_key key_of(uint64_t seed, qn_slice s)
{
    term_key k = {0};
    const char *p = s.p;
    size_t n = s.n;
    if (n > TERM_INLINE) {
        k.hash = XXH3_64bits_withSeed(p, n, seed);
        return k;
    }
    if (n >= 8) {
        k.low = qn_load64(p);
        k.high = n == 8 ? 0 : qn_load64(p + n - 8) >> (8 * (16 - n));
    } else if (n >= 4) {
        k.low = qn_load32(p) | (uint64_t)qn_load32(p + n - 4) << (8 * (n - 4));
    } else if (n > 0) {
        k.low = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << (8 * (n / 2)) |
                (uint64_t)(uint8_t)p[n - 1] << (8 * (n - 1));
    }
    k.hash = mix(k.low ^ seed, k.high ^ n ^ UINT64_C(0x9E3779B97F4A7C15));
    k.hash = mix(k.hash ^ seed, UINT64_C(0xD6E8FEB86659FD93));
    return k;
}

static inline bool is_term(const pending_term *t, const term_key *k, qn_slice bytes)
{
    if (t->size != bytes.n) return false;
    if (bytes.n > TERM_INLINE) return memcmp(t->bytes.elsewhere, bytes.p, bytes.n) == 0;
    return ((qn_load64(t->bytes.in_place) ^ k->low) |
            (qn_load64(t->bytes.in_place + 8) ^ k->high)) == 0;
}

/* Slots for `more` terms, at most half of them taken. */
static bool grow_slots(term_table *t, qn_alloc *a, uint64_t seed, size_t more)
{
    size_t slot_count = t->slot_count == 0 ? 64 : t->slot_count;
    while (slot_count / 2 < t->count + more) slot_count *= 2;
    if (slot_count == t->slot_count) return true;
    uint64_t *slots = qn_new_array(a, slot_count, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t hash = key_of(seed, qn_term_bytes(qn_term_at(t, i))).hash;
        size_t at = hash & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = (hash >> 32 << 32) | (i + 1);
    }
    qn_delete(a, t->slots);
    t->slots = slots;
    t->slot_count = slot_count;
    return true;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "terms of a segment in the making");
}

/* Room for one more term, zeroed. */
static bool grow_pages(term_table *t, qn_alloc *a)
{
    if (t->count < t->pages.n * TERM_PAGE) return true;
    if (!qn_vec_grow(a, &t->pages)) return false;
    pending_term *page = qn_new_aligned(a, sizeof *page, TERM_PAGE * sizeof *page);
    if (page == NULL) return false;
    t->pages.p[t->pages.n++] = page;
    return true;
}

static qn_status add_term(term_table *t, byte_pool *names, uint64_t *slot,
                          uint64_t hash, qn_slice bytes, uint32_t *index, qn_error *err)
{
    if (t->count >= UINT32_MAX / 2)
        return qn_fail(err, QN_ELIMIT, "too many terms in a segment");
    if (!grow_pages(t, names->alloc)) return no_memory(err);
    pending_term *term = qn_term_at(t, t->count);
    char *copy = term->bytes.in_place;
    if (bytes.n > TERM_INLINE) {
        uint32_t place = 0;
        copy = (char *)qn_pool__take(names, (uint32_t)bytes.n, &place);
        if (copy == NULL) return no_memory(err);
        term->bytes.elsewhere = copy;
    }
    if (bytes.n > 0) memcpy(copy, bytes.p, bytes.n);
    term->size = (uint32_t)bytes.n;
    term->room = TERM_HEAD;
    *index = t->count++;
    *slot = (hash >> 32 << 32) | t->count;
    return QN_OK;
}

/* Slots suffice. */
static inline qn_status intern(term_table *t, byte_pool *names, const term_key *k,
                               qn_slice bytes, uint32_t *index, qn_error *err)
{
    size_t mask = t->slot_count - 1;
    for (size_t i = k->hash & mask;; i = (i + 1) & mask) {
        uint64_t slot = t->slots[i];
        if (slot == 0)
            return add_term(t, names, &t->slots[i], k->hash, bytes, index, err);
        if (slot >> 32 != k->hash >> 32) continue;
        if (is_term(qn_term_at(t, (uint32_t)slot - 1), k, bytes)) {
            *index = (uint32_t)slot - 1;
            return QN_OK;
        }
    }
}

qn_status qn_term_table__intern(term_table *t, byte_pool *names, uint64_t seed,
                                qn_slice bytes, uint32_t *index, qn_error *err)
{
    if (!grow_slots(t, names->alloc, seed, 1)) return no_memory(err);
    term_key key = key_of(seed, bytes);
    return intern(t, names, &key, bytes, index, err);
}

/* ---- chains --------------------------------------------------------------------- */

enum { LINK = 4, FIRST_CHUNK = 16, LEVEL_MAX = 7 };

static uint32_t chunk_size(uint8_t level)
{
    return (uint32_t)FIRST_CHUNK << level;
}

/* Writes `n` bytes that do not fit what is left: the rest of it, a link, and the next
 * chunk, twice the size. Takes the memory first, so that a failure changes nothing. */
static qn_status append_across(pending_term *t, byte_pool *chunks, const uint8_t *bytes,
                               uint32_t n, qn_error *err)
{
    uint8_t level = t->level == LEVEL_MAX ? LEVEL_MAX : (uint8_t)(t->level + 1);
    uint32_t place = 0, head = t->room;
    uint8_t *next = qn_pool__take(chunks, chunk_size(level), &place);
    if (next == NULL) return no_memory(err);
    if (t->level == 0) {
        memcpy(t->head + t->at, bytes, head);
        t->first = place;
    } else {
        uint8_t *old = pool_at(chunks, t->at);
        memcpy(old, bytes, head);
        qn_store32(old + head, place);
    }
    memcpy(next, bytes + head, n - head);
    t->level = level;
    t->at = place + (n - head);
    t->room = (uint16_t)(chunk_size(level) - LINK - (n - head));
    return QN_OK;
}

/* `bytes` has eight readable bytes whatever n is: two or three, mostly, so they are
 * stored together where the chunk has room for all eight. */
static inline qn_status append(pending_term *t, byte_pool *chunks, const uint8_t *bytes,
                               uint32_t n, qn_error *err)
{
    if (n > t->room) return append_across(t, chunks, bytes, n, err);
    uint8_t *out = t->level == 0 ? t->head + t->at : pool_at(chunks, t->at);
    if (n <= 8 && t->room >= 8) {
        qn_store64(out, qn_load64(bytes));
    } else {
        for (uint32_t i = 0; i < n; i++) out[i] = bytes[i];
    }
    t->at += n;
    t->room = (uint16_t)(t->room - n);
    return QN_OK;
}

/* A varint; most have one byte or two. */
static inline size_t put_code(uint8_t *p, uint64_t v)
{
    if (v >= 0x4000) return qn_varint_put(p, v);
    bool two = v >= 0x80;
    qn_store16(p, (uint16_t)(two ? (v & 0x7F) | 0x80 | v >> 7 << 8 : v));
    return two ? 2 : 1;
}

static inline qn_status occur(pending_term *t, byte_pool *chunks, uint32_t doc,
                              uint32_t position, bool positions, qn_error *err)
{
    uint8_t bytes[20];
    bool again = t->doc_count > 0 && t->last_doc == doc;
    if (again && !positions) return QN_OK;
    size_t n = 0;
    if (again) {
        n = put_code(bytes, (uint64_t)(position - t->last_position) << 1);
    } else {
        uint64_t gap = doc - t->last_doc; /* of the first document: itself */
        n = put_code(bytes, positions ? gap << 1 | 1 : gap);
        if (positions) n += put_code(bytes + n, position);
    }
    QN_TRY(append(t, chunks, bytes, (uint32_t)n, err));
    if (!again) t->doc_count++;
    t->last_doc = doc;
    t->last_position = position;
    t->pos_count++;
    return QN_OK;
}

qn_status qn_term__occur(pending_term *t, byte_pool *chunks, uint32_t doc,
                         uint32_t position, bool positions, qn_error *err)
{
    return occur(t, chunks, doc, position, positions, err);
}

/* ---- tokens ---------------------------------------------------------------------- */

/* Each step asks the memory for what the next will touch (slot, term, chunk), and goes
 * over the whole batch, so that one token's cache misses are waited for while those of
 * the others are under way. */
qn_status qn_term_table__add(term_table *t, byte_pool *names, byte_pool *chunks,
                             uint64_t seed, uint32_t doc,
                             const qn_segment_token *tokens, size_t n, qn_error *err)
{
    term_key keys[TERM_BATCH];
    pending_term *terms[TERM_BATCH];
    qn_assert(n <= TERM_BATCH);
    if (!grow_slots(t, names->alloc, seed, n)) return no_memory(err);
    size_t mask = t->slot_count - 1;
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_of(seed, tokens[i].term);
        __builtin_prefetch(&t->slots[keys[i].hash & mask]);
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t slot = t->slots[keys[i].hash & mask];
        if (slot >> 32 == keys[i].hash >> 32 && slot != 0)
            __builtin_prefetch(qn_term_at(t, (uint32_t)slot - 1), 1);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t index = 0;
        QN_TRY(intern(t, names, &keys[i], tokens[i].term, &index, err));
        terms[i] = qn_term_at(t, index);
        if (terms[i]->level > 0) __builtin_prefetch(pool_at(chunks, terms[i]->at), 1);
    }
    for (size_t i = 0; i < n; i++)
        QN_TRY(occur(terms[i], chunks, doc, tokens[i].position, true, err));
    return QN_OK;
}

/* ---- taking chains apart --------------------------------------------------------- */

void qn_decoded__deinit(decoded_term *d)
{
    qn_buf_deinit(&d->bytes);
    qn_delete(d->alloc, d->docs);
    qn_delete(d->alloc, d->freqs);
    qn_delete(d->alloc, d->deltas);
    *d = (decoded_term){.alloc = d->alloc};
}

static bool grow_array(qn_alloc *a, uint32_t **p, size_t capacity)
{
    uint32_t *grown = qn_resize(a, *p, capacity * sizeof **p);
    if (grown == NULL) return false;
    *p = grown;
    return true;
}

static bool make_room(decoded_term *d, const pending_term *t)
{
    if (t->doc_count > d->docs_capacity) {
        size_t capacity = t->doc_count + (size_t)t->doc_count / 2;
        if (!grow_array(d->alloc, &d->docs, capacity) ||
            !grow_array(d->alloc, &d->freqs, capacity))
            return false;
        d->docs_capacity = capacity;
    }
    if (t->pos_count > d->deltas_capacity) {
        size_t capacity = t->pos_count + t->pos_count / 2;
        if (!grow_array(d->alloc, &d->deltas, capacity)) return false;
        d->deltas_capacity = capacity;
    }
    return true;
}

/* The chain as one run of bytes: in its place when the term holds it all, else a copy.
 * The chunk that holds the place to write at is the last one. */
static bool join_chunks(const pending_term *t, const byte_pool *chunks, qn_buf *out,
                        const uint8_t **begin, const uint8_t **end)
{
    if (t->level == 0) {
        *begin = t->head;
        *end = t->head + t->at;
        return true;
    }
    qn_buf_reset(out);
    qn_buf_add(out, t->head, TERM_HEAD);
    uint32_t place = t->first;
    for (uint8_t level = 1;;
         level = level == LEVEL_MAX ? level : (uint8_t)(level + 1)) {
        uint32_t size = chunk_size(level) - LINK;
        const uint8_t *chunk = pool_at(chunks, place);
        bool last = t->at >= place && t->at <= place + size;
        qn_buf_add(out, chunk, last ? t->at - place : size);
        if (last) break;
        place = qn_load32(chunk + size);
    }
    *begin = (const uint8_t *)out->p;
    *end = *begin + out->n;
    return !out->failed;
}

void qn_term__expect_chain(const pending_term *t, const byte_pool *chunks)
{
    if (t->level > 0) __builtin_prefetch(pool_at(chunks, t->first));
}

/* One number; most have one byte. */
static inline const uint8_t *get_code(const uint8_t *at, const uint8_t *end,
                                      uint64_t *code)
{
    if (*at >= 0x80) return qn_varint_get(at, end, code);
    *code = *at;
    return at + 1;
}

qn_status qn_term__decode(const pending_term *t, const byte_pool *chunks,
                          bool positions, decoded_term *d, qn_error *err)
{
    const uint8_t *at = NULL, *end = NULL;
    if (!make_room(d, t) || !join_chunks(t, chunks, &d->bytes, &at, &end))
        return no_memory(err);
    uint32_t count = 0, doc = 0, *docs = d->docs, *freqs = d->freqs;
    uint32_t *delta = d->deltas;
    while (at < end) {
        uint64_t code = 0;
        at = get_code(at, end, &code);
        if (!positions || code & 1) {
            doc += (uint32_t)(positions ? code >> 1 : code);
            docs[count] = doc;
            freqs[count++] = 1;
            if (positions) {
                at = get_code(at, end, &code);
                *delta++ = (uint32_t)code;
            }
        } else {
            freqs[count - 1]++;
            *delta++ = (uint32_t)(code >> 1);
        }
    }
    qn_assert(count == t->doc_count &&
              (!positions || (size_t)(delta - d->deltas) == t->pos_count));
    return QN_OK;
}

/* ---- order ---------------------------------------------------------------------- */

typedef struct sort_key {
    uint64_t prefix; /* first eight bytes, so that they compare as one number */
    const pending_term *term;
    uint32_t index;
} sort_key;

static uint64_t prefix_of(qn_slice s)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < 8; i++)
        prefix = prefix << 8 | (i < s.n ? (uint8_t)s.p[i] : 0);
    return prefix;
}

static int compare_keys(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;
    if (x->prefix != y->prefix) return x->prefix < y->prefix ? -1 : 1;
    return qn_slice_compare(qn_term_bytes(x->term), qn_term_bytes(y->term));
}

/* Under so many keys, inserting each in its place is fastest. */
enum { SORT_FEW = 24 };

static void sort_few(sort_key *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        sort_key key = keys[i];
        size_t k = i;
        for (; k > 0 && compare_keys(&key, &keys[k - 1]) < 0; k--)
            keys[k] = keys[k - 1];
        keys[k] = key;
    }
}

/* Spreads the keys by one byte of their prefix, the highest first, and goes on within
 * each byte's keys; `spare` has room for as many. */
static void sort_keys(sort_key *keys, sort_key *spare, size_t n, unsigned shift)
{
    if (n <= SORT_FEW) {
        sort_few(keys, n);
        return;
    }
    size_t ends[256] = {0};
    for (size_t i = 0; i < n; i++) ends[keys[i].prefix >> shift & 0xFF]++;
    size_t sum = 0;
    for (size_t i = 0; i < 256; i++) {
        size_t count = ends[i];
        ends[i] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        spare[ends[keys[i].prefix >> shift & 0xFF]++] = keys[i];
    memcpy(keys, spare, n * sizeof *keys);
    for (size_t i = 0, begin = 0; i < 256; begin = ends[i++]) {
        size_t count = ends[i] - begin;
        if (count < 2) continue;
        if (shift > 0)
            sort_keys(keys + begin, spare, count, shift - 8);
        else
            qsort(keys + begin, count, sizeof *keys, compare_keys);
    }
}

qn_status qn_term_table__sort(const term_table *t, qn_alloc *a, uint32_t **order,
                              qn_error *err)
{
    sort_key *keys = qn_new_array(a, t->count, sizeof *keys);
    sort_key *spare = qn_new_array(a, t->count, sizeof *spare);
    *order = qn_new_array(a, t->count, sizeof **order);
    bool ok = keys != NULL && spare != NULL && *order != NULL;
    for (uint32_t i = 0; ok && i < t->count; i++) {
        const pending_term *term = qn_term_at(t, i);
        keys[i] = (sort_key){prefix_of(qn_term_bytes(term)), term, i};
    }
    if (ok) sort_keys(keys, spare, t->count, 56);
    for (uint32_t i = 0; ok && i < t->count; i++) (*order)[i] = keys[i].index;
    qn_delete(a, keys);
    qn_delete(a, spare);
    if (ok) return QN_OK;
    qn_delete(a, *order);
    *order = NULL;
    return no_memory(err);
}
