/* SPDX-License-Identifier: Apache-2.0 */
/* Names of documents: number to bytes by an array, bytes to number by a hash table. A
 * slot holds a number, and on disk some bits of the hash above it; the bytes decide. The
 * table on disk is fuller than the one in memory: it does not grow any more. */
#include "index/segment_internal.h"

#include <xxhash.h>

enum { SLOTS_MIN = 16, IDS_GROUP = 64 };

uint64_t qn_ids__hash(uint64_t seed, qn_slice id)
{
    return XXH3_64bits_withSeed(id.p, id.n, seed);
}

void qn_ids__init(ids *t, qn_alloc *a, uint64_t seed)
{
    *t = (ids){.alloc = a, .seed = seed};
    qn_buf_init(&t->bytes, a);
}

void qn_ids__deinit(ids *t)
{
    qn_buf_deinit(&t->bytes);
    qn_vec_deinit(t->alloc, &t->ends);
    qn_vec_deinit(t->alloc, &t->hashes);
    qn_delete(t->alloc, t->slots);
    t->slots = NULL;
}

size_t qn_ids__bytes(const ids *t)
{
    return t->bytes.capacity +
           (t->ends.capacity + t->hashes.capacity + t->slot_count) * sizeof(uint32_t);
}

static qn_slice id_of(const ids *t, uint32_t doc)
{
    uint32_t begin = doc == 0 ? 0 : t->ends.p[doc - 1];
    return (qn_slice){t->bytes.p + begin, t->ends.p[doc] - begin};
}

/* The slot of this id, or the free one where it belongs. At least one slot is free. */
static uint32_t *find_slot(const ids *t, uint32_t hash, qn_slice id)
{
    for (uint32_t i = hash & (t->slot_count - 1);; i = (i + 1) & (t->slot_count - 1)) {
        uint32_t *slot = &t->slots[i];
        if (*slot == 0) return slot;
        uint32_t doc = *slot - 1;
        if (t->hashes.p[doc] == hash && qn_slice_eq(id_of(t, doc), id)) return slot;
    }
}

static bool grow_slots(ids *t)
{
    uint32_t slot_count = t->slot_count == 0 ? SLOTS_MIN : t->slot_count * 2;
    uint32_t *slots = qn_new_array(t->alloc, slot_count, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < t->slot_count; i++) {
        if (t->slots[i] == 0) continue;
        uint32_t at = t->hashes.p[t->slots[i] - 1] & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = t->slots[i];
    }
    qn_delete(t->alloc, t->slots);
    t->slots = slots;
    t->slot_count = slot_count;
    return true;
}

qn_status qn_ids__add(ids *t, qn_slice id, qn_error *err)
{
    if (t->bytes.n + id.n > UINT32_MAX || t->count >= UINT32_MAX / 4)
        return qn_fail(err, QN_ELIMIT, "too many documents in a segment");
    if (t->count >= t->slot_count / 4 * 3 && !grow_slots(t))
        return qn_fail(err, QN_ENOMEM, "document ids");
    if (!qn_vec_grow(t->alloc, &t->ends) || !qn_vec_grow(t->alloc, &t->hashes) ||
        qn_buf_reserve(&t->bytes, id.n) == NULL) {
        t->bytes.failed = false; /* nothing was appended: still whole */
        return qn_fail(err, QN_ENOMEM, "document ids");
    }
    uint32_t hash = (uint32_t)qn_ids__hash(t->seed, id);
    *find_slot(t, hash, id) = t->count + 1;
    qn_buf_add(&t->bytes, id.p, id.n);
    t->ends.p[t->ends.n++] = (uint32_t)t->bytes.n;
    t->hashes.p[t->hashes.n++] = hash;
    t->count++;
    return QN_OK;
}

uint32_t qn_ids__find(const ids *t, qn_slice id)
{
    if (t->slot_count == 0) return QN_DOC_END;
    uint32_t slot = *find_slot(t, (uint32_t)qn_ids__hash(t->seed, id), id);
    return slot == 0 ? QN_DOC_END : slot - 1;
}

/* Closes the gap at slot `at`: what only stands further on because it was taken moves
 * up. */
static void free_slot(ids *t, uint32_t at)
{
    uint32_t mask = t->slot_count - 1;
    for (uint32_t i = (at + 1) & mask; t->slots[i] != 0; i = (i + 1) & mask) {
        uint32_t home = t->hashes.p[t->slots[i] - 1] & mask;
        if (((i - home) & mask) < ((i - at) & mask))
            continue; /* reached without `at` */
        t->slots[at] = t->slots[i];
        at = i;
    }
    t->slots[at] = 0;
}

void qn_ids__disown(ids *t, uint32_t doc, uint32_t before)
{
    uint32_t *slot = find_slot(t, t->hashes.p[doc], id_of(t, doc));
    qn_assert(*slot == doc + 1);
    if (before != QN_DOC_END)
        *slot = before + 1;
    else
        free_slot(t, (uint32_t)(slot - t->slots));
}

/* Bits of a slot that hold document + 1; those above are the low bits of the hash. */
static unsigned slot_width(uint32_t doc_count)
{
    return 32 - (unsigned)__builtin_clz(doc_count | 1);
}

static uint32_t slots_for(uint32_t doc_count)
{
    return doc_count == 0 ? 0 : doc_count + doc_count / 4 + 1;
}

/* High bits of the hash choose the place. */
static uint32_t place_of(uint32_t hash, uint32_t slot_count)
{
    return (uint32_t)(((uint64_t)hash * slot_count) >> 32);
}

static uint32_t tag_of(uint32_t hash, unsigned width)
{
    return width == 32 ? 0 : hash << width;
}

/* Documents in their order, so that equal contents make equal tables. */
static void fill_slots(const ids *t, const uint64_t *named, uint32_t *slots,
                       uint32_t slot_count)
{
    unsigned width = slot_width(t->count);
    for (uint32_t doc = 0; doc < t->count; doc++) {
        if (!qn_bitset_has(named, doc)) continue;
        uint32_t at = place_of(t->hashes.p[doc], slot_count);
        while (slots[at] != 0) at = at + 1 == slot_count ? 0 : at + 1;
        slots[at] = tag_of(t->hashes.p[doc], width) | (doc + 1);
    }
}

/* Ends of the ids, counted from the first id of the group that each is in. */
static void put_places(const ids *t, qn_blockfile_writer *w)
{
    for (uint32_t doc = 0; doc < t->count; doc += IDS_GROUP) {
        uint8_t base[4];
        qn_store32(base, doc == 0 ? 0 : t->ends.p[doc - 1]);
        qn_blockfile_write(w, base, sizeof base);
    }
    uint8_t ends[2 * IDS_GROUP];
    for (uint32_t doc = 0; doc < t->count; doc += IDS_GROUP) {
        uint32_t base = doc == 0 ? 0 : t->ends.p[doc - 1], n = t->count - doc;
        if (n > IDS_GROUP) n = IDS_GROUP;
        for (uint32_t i = 0; i < n; i++)
            qn_store16(ends + (size_t)2 * i, (uint16_t)(t->ends.p[doc + i] - base));
        qn_blockfile_write(w, ends, (size_t)2 * n);
    }
}

qn_status qn_ids__write(const ids *t, qn_blockfile_writer *w, qn_error *err)
{
    uint8_t header[SEGMENT_HEADER] = {0};
    uint32_t slot_count = slots_for(t->count);
    uint32_t *slots = qn_new_array(t->alloc, slot_count, sizeof *slots);
    uint64_t *named = qn_new_array(t->alloc, qn_bitset_words(t->count), sizeof *named);
    qn_status st = QN_OK;
    if (slots == NULL || named == NULL) {
        st = qn_fail(err, QN_ENOMEM, "document ids");
        goto end;
    }
    for (uint32_t i = 0; i < t->slot_count; i++)
        if (t->slots[i] != 0) qn_bitset_add(named, t->slots[i] - 1);
    fill_slots(t, named, slots, slot_count);
    qn_store32(header, t->count);
    qn_store32(header + 4, slot_count);
    qn_store64(header + 8, t->bytes.n);
    qn_blockfile_begin(w, QN_BLOCK_IDS, 0);
    qn_blockfile_write(w, header, sizeof header);
    put_places(t, w);
    if (t->count > 0) {
        qn_blockfile_write(w, slots, slot_count * sizeof *slots);
        qn_blockfile_write(w, t->bytes.p, t->bytes.n);
    }
    st = qn_blockfile_end(w, err);
end:
    qn_delete(t->alloc, slots);
    qn_delete(t->alloc, named);
    return st;
}

/* ---- reading back ------------------------------------------------------------------
 */

typedef struct ids_view {
    const qn_segment *seg;
    uint32_t slot_count;
    uint64_t bases, ends, slots, bytes; /* where they begin */
    uint64_t bytes_size;
    const char *p;
} ids_view;

static qn_status corrupt(const qn_segment *seg, qn_error *err)
{
    return qn_segment__corrupt(seg->file, QN_BLOCK_IDS, 0, 0, "broken document ids",
                               err);
}

/* Asks for the bytes that will be looked at, so that only they are checked. */
static qn_status want(const ids_view *v, uint64_t at, uint64_t n, qn_error *err)
{
    qn_slice block;
    return qn_segment__part(v->seg->file, QN_BLOCK_IDS, 0, at, n, &block, err);
}

static qn_status view_open(const qn_segment *seg, ids_view *v, qn_error *err)
{
    qn_slice block;
    QN_TRY(
        qn_segment__part(seg->file, QN_BLOCK_IDS, 0, 0, SEGMENT_HEADER, &block, err));
    if (block.n < SEGMENT_HEADER) return corrupt(seg, err);
    uint64_t groups = ((uint64_t)seg->doc_count + IDS_GROUP - 1) / IDS_GROUP;
    v->seg = seg;
    v->p = block.p;
    v->slot_count = qn_load32(block.p + 4);
    v->bytes_size = qn_load64(block.p + 8);
    v->bases = SEGMENT_HEADER;
    v->ends = v->bases + groups * 4;
    v->slots = v->ends + (uint64_t)seg->doc_count * 2;
    v->bytes = v->slots + (uint64_t)v->slot_count * 4;
    if (qn_load32(block.p) != seg->doc_count ||
        v->slot_count != slots_for(seg->doc_count) ||
        !qn_segment__zero(block.p + 16, SEGMENT_HEADER - 16) || v->bytes > block.n ||
        block.n - v->bytes != v->bytes_size)
        return corrupt(seg, err);
    return QN_OK;
}

static qn_status view_id(const ids_view *v, uint32_t doc, qn_slice *id, qn_error *err)
{
    uint64_t at = v->ends + (uint64_t)doc * 2, base = v->bases + doc / IDS_GROUP * 4;
    bool first = doc % IDS_GROUP == 0;
    QN_TRY(want(v, base, 4, err));
    QN_TRY(want(v, first ? at : at - 2, first ? 2 : 4, err));
    uint64_t group = qn_load32(v->p + base);
    uint64_t begin = group + (first ? 0 : qn_load16(v->p + at - 2));
    uint64_t limit = group + qn_load16(v->p + at);
    if (begin > limit || limit > v->bytes_size) return corrupt(v->seg, err);
    QN_TRY(want(v, v->bytes + begin, limit - begin, err));
    *id = (qn_slice){v->p + v->bytes + begin, (size_t)(limit - begin)};
    return QN_OK;
}

qn_status qn_segment_id(const qn_segment *seg, uint32_t doc, qn_slice *id,
                        qn_error *err)
{
    ids_view v;
    *id = (qn_slice){"", 0};
    if (doc >= seg->doc_count) return qn_fail(err, QN_EINVAL, "no document %u", doc);
    QN_TRY(view_open(seg, &v, err));
    return view_id(&v, doc, id, err);
}

qn_status qn_segment_find(const qn_segment *seg, qn_slice id, uint32_t *doc,
                          qn_error *err)
{
    ids_view v;
    *doc = QN_DOC_END;
    QN_TRY(view_open(seg, &v, err));
    if (v.slot_count == 0) return QN_OK;
    uint32_t hash = (uint32_t)qn_ids__hash(seg->id_seed, id);
    unsigned width = slot_width(seg->doc_count);
    uint32_t mask = width == 32 ? UINT32_MAX : ((uint32_t)1 << width) - 1;
    uint32_t place = place_of(hash, v.slot_count);
    for (uint32_t i = 0; i < v.slot_count; i++) {
        uint64_t at = v.slots + (uint64_t)place * 4;
        QN_TRY(want(&v, at, 4, err));
        uint32_t slot = qn_load32(v.p + at);
        if (slot == 0) return QN_OK;
        place = place + 1 == v.slot_count ? 0 : place + 1;
        if ((slot & ~mask) != tag_of(hash, width)) continue;
        uint32_t number = slot & mask;
        qn_slice found;
        if (number == 0 || number > seg->doc_count) return corrupt(seg, err);
        QN_TRY(view_id(&v, number - 1, &found, err));
        if (qn_slice_eq(found, id)) {
            *doc = number - 1;
            return QN_OK;
        }
    }
    return QN_OK;
}
