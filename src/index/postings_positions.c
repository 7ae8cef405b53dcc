/* SPDX-License-Identifier: Apache-2.0 */
/* Positions of the current document. A term's positions are one stream, cut into chunks
 * of 128; a document's begin where those of all documents before end. */
#include "index/postings_internal.h"

enum { FEW = 4, WANTED_LINES = 3 };

static qn_status corrupt(const qn_postings *p, const uint8_t *at, qn_error *err)
{
    bool own = !p->whole; /* long lists have theirs in a block of their own */
    uint64_t offset = (uint64_t)(at - (const uint8_t *)(own ? p->pos_base : p->base));
    return qn_segment__corrupt(p->file, own ? QN_BLOCK_POSITIONS : QN_BLOCK_POSTINGS,
                               p->field, offset, "broken positions", err);
}

qn_status qn_positions__init(qn_postings *p, const uint8_t *at, const uint8_t *limit,
                             qn_error *err)
{
    p->pos_chunks = (uint32_t)((p->pos_count + QN_PACK_COUNT - 1) / QN_PACK_COUNT);
    size_t groups = (p->pos_chunks - 1) / POSITIONS_GROUP;
    size_t table = p->pos_chunks > 1 ? 4 * groups + 2 * (size_t)p->pos_chunks : 0;
    if (table > (size_t)(limit - at)) return corrupt(p, at, err);
    p->pos_groups = at;
    p->pos_ends = at + 4 * groups;
    p->pos_data = at + table;
    p->pos_limit = limit;
    return QN_OK;
}

/* The bytes of one chunk; false when the tables lie. */
static bool chunk_bytes(const qn_postings *p, uint32_t chunk, const uint8_t **begin,
                        const uint8_t **limit)
{
    size_t size = (size_t)(p->pos_limit - p->pos_data);
    *begin = p->pos_data;
    *limit = p->pos_limit;
    if (p->pos_chunks == 1) return true;
    uint32_t group = chunk / POSITIONS_GROUP;
    const uint8_t *end = p->pos_ends + (size_t)chunk * 2;
    size_t base = group == 0 ? 0 : qn_load32(p->pos_groups + (size_t)(group - 1) * 4);
    size_t first = chunk % POSITIONS_GROUP == 0 ? base : base + qn_load16(end - 2);
    size_t last = base + qn_load16(end);
    if (first > last || last > size) return false;
    *begin = p->pos_data + first;
    *limit = p->pos_data + last;
    return true;
}

static qn_status load_chunk(qn_postings *p, uint64_t chunk, qn_error *err)
{
    const uint8_t *at = NULL, *limit = NULL;
    if (!chunk_bytes(p, (uint32_t)chunk, &at, &limit))
        return corrupt(p, p->pos_groups, err);
    uint64_t left = p->pos_count - chunk * QN_PACK_COUNT;
    size_t n = left < QN_PACK_COUNT ? (size_t)left : QN_PACK_COUNT;
    p->pos_chunk = UINT64_MAX;
    if (qn_pack__get(p->kernels->lists, at, limit, n, p->chunk) != limit)
        return corrupt(p, at, err);
    p->pos_chunk = chunk;
    return QN_OK;
}

/* Where the current document's positions go: in place, or in the arena. */
static uint32_t *room_for(qn_postings *p, uint32_t n)
{
    if (n <= QN_POSTINGS_BLOCK) return p->few;
    if (n <= p->many_capacity) return p->many;
    if (p->arena == NULL) return NULL;
    size_t capacity = p->many_capacity * 2 > n ? p->many_capacity * 2 : n;
    p->many_capacity = 0;
    p->many = qn_arena_array(p->arena, capacity, sizeof *p->many);
    if (p->many != NULL) p->many_capacity = capacity;
    return p->many;
}

/* Most documents have a few, in one chunk: no branch on how many. */
static bool take_few(qn_postings *p, uint32_t at, uint32_t freq)
{
    const uint32_t *in = p->chunk + at;
    uint64_t sums[FEW];
    sums[0] = in[0];
    for (size_t i = 1; i < FEW; i++) sums[i] = sums[i - 1] + in[i];
    for (size_t i = 0; i < FEW; i++) p->few[i] = (uint32_t)sums[i];
    return sums[freq - 1] <= UINT32_MAX;
}

static qn_status take_many(qn_postings *p, uint64_t index, uint32_t freq,
                           const uint32_t **positions, qn_error *err)
{
    uint32_t *out = room_for(p, freq);
    if (out == NULL) return qn_fail(err, QN_ENOMEM, "%u positions", freq);
    uint64_t position = 0;
    for (uint32_t done = 0; done < freq;) { /* a run of them in one chunk */
        uint32_t at = (uint32_t)(index % QN_PACK_COUNT), left = freq - done;
        if (index / QN_PACK_COUNT != p->pos_chunk)
            QN_TRY(load_chunk(p, index / QN_PACK_COUNT, err));
        uint32_t run = QN_PACK_COUNT - at < left ? QN_PACK_COUNT - at : left;
        for (uint32_t i = 0; i < run; i++) {
            position += p->chunk[at + i];
            out[done + i] = (uint32_t)position;
        }
        done += run;
        index += run;
    }
    if (position > UINT32_MAX) return corrupt(p, p->pos_groups, err);
    *positions = out;
    return QN_OK;
}

static qn_status need_positions(const qn_postings *p, qn_error *err)
{
    return p->has_positions
               ? QN_OK
               : qn_fail(err, QN_EUNSUPPORTED, "the field keeps no positions");
}

/* Positions [index, index + freq) of the list, of one document. */
static qn_status take(qn_postings *p, uint64_t index, uint32_t freq,
                      const uint32_t **positions, qn_error *err)
{
    uint32_t at = (uint32_t)(index % QN_PACK_COUNT);
    if (freq == 0 || index > p->pos_count || freq > p->pos_count - index)
        return corrupt(p, p->pos_groups, err);
    if (index / QN_PACK_COUNT != p->pos_chunk)
        QN_TRY(load_chunk(p, index / QN_PACK_COUNT, err));
    if (freq > FEW || at > QN_PACK_COUNT - FEW)
        return take_many(p, index, freq, positions, err);
    if (!take_few(p, at, freq)) return corrupt(p, p->pos_groups, err);
    *positions = p->few;
    return QN_OK;
}

qn_status qn_postings_positions(qn_postings *p, const uint32_t **positions, size_t *n,
                                qn_error *err)
{
    *n = 0;
    *positions = NULL;
    QN_TRY(need_positions(p, err));
    if (p->doc == QN_DOC_END) return QN_OK;
    QN_TRY(qn_postings__load_freqs(p, err));
    uint64_t index = p->pos_first;
    for (uint32_t s = p->pos_slot; s < p->slot; s++) index += p->freqs[s];
    p->pos_first = index;
    p->pos_slot = p->slot;
    QN_TRY(take(p, index, p->freqs[p->slot], positions, err));
    *n = p->freqs[p->slot];
    return QN_OK;
}

/* Four sums side by side: one would wait for itself. */
static uint64_t sum_of(const uint32_t *v, size_t n)
{
    uint64_t sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++) sum[k] += v[i + k];
    for (; i < n; i++) sum[0] += v[i];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

qn_status qn_postings_spots(qn_postings *p, const uint8_t *places, size_t n,
                            qn_postings_spot *out, qn_error *err)
{
    QN_TRY(need_positions(p, err));
    QN_TRY(qn_postings__load_freqs(p, err));
    uint64_t index = p->pos_first;
    uint32_t s = p->pos_slot;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = p->slot + places[i];
        index += sum_of(p->freqs + s, slot - s);
        s = slot;
        if (index > UINT32_MAX) return corrupt(p, p->pos_groups, err);
        out[i] = (qn_postings_spot){(uint32_t)index, p->freqs[slot]};
    }
    return QN_OK;
}

void qn_postings_want_spot(const qn_postings *p, qn_postings_spot spot)
{
    const uint8_t *at, *limit;
    if (p->pos_chunks == 0 || spot.index >= p->pos_count ||
        !chunk_bytes(p, spot.index / QN_PACK_COUNT, &at, &limit))
        return;
    for (size_t i = 0; i < WANTED_LINES; i++) __builtin_prefetch(at + 64 * i);
}

qn_status qn_postings_positions_at(qn_postings *p, qn_postings_spot spot,
                                   const uint32_t **positions, size_t *n, qn_error *err)
{
    *n = 0;
    *positions = NULL;
    QN_TRY(need_positions(p, err));
    QN_TRY(take(p, spot.index, spot.freq, positions, err));
    *n = spot.freq;
    return QN_OK;
}
