/* SPDX-License-Identifier: Apache-2.0 */
#include "index/points.h"

#include "index/column_pack.h"
#include "index/segment_internal.h"

/* ---- opening ------------------------------------------------------------------------- */

static bool lay(qn_points *p, qn_slice rest, uint32_t doc_count)
{
    const uint8_t *h = qn_packed__take(&rest, POINTS_HEADER);
    if (h == NULL || h[0] != POINTS_CODEC ||
        !qn_segment__zero((const char *)h + 1, 7) ||
        !qn_segment__zero((const char *)h + 16, POINTS_HEADER - 16))
        return false;
    uint64_t count = qn_load64(h + 8);
    p->doc_count = doc_count;
    return qn_packed__lay(&p->keys, count, &rest) &&
           qn_packed__lay(&p->docs, count, &rest) && rest.n == 0;
}

/* Documents in range; bounds of the keys' blocks rising, which searches rely on. */
static bool fits(const qn_points *p)
{
    int64_t run[PACK_BLOCK];
    for (uint64_t at = 0, block = 0; at < p->docs.count; at += PACK_BLOCK, block++) {
        uint64_t left = p->docs.count - at;
        size_t n = left < PACK_BLOCK ? (size_t)left : PACK_BLOCK;
        bool bad = false;
        qn_packed__run(&p->docs, at, n, run);
        for (size_t i = 0; i < n; i++) bad |= (uint64_t)run[i] >= p->doc_count;
        if (bad || (block > 0 && qn_packed__min(&p->keys, block) <
                                     qn_packed__max(&p->keys, block - 1)))
            return false;
    }
    return true;
}

qn_status qn_points__init(qn_points *p, const qn_blockfile *f, uint32_t field,
                          uint32_t doc_count, bool thorough, qn_error *err)
{
    qn_slice block;
    *p = (qn_points){0};
    QN_TRY(qn_segment__block(f, QN_BLOCK_POINTS, field, &block, err));
    if (lay(p, block, doc_count) && (!thorough || fits(p))) return QN_OK;
    *p = (qn_points){0};
    return qn_segment__corrupt(f, QN_BLOCK_POINTS, field, 0, "broken points", err);
}

/* ---- finding ------------------------------------------------------------------------- */

/* The first i of [low, high) at which the greatest key of a block, or the key at a place,
 * is >= key (`over`: > key); high when there is none. */
static uint64_t first_from(const qn_packed *p, bool blocks, uint64_t low, uint64_t high,
                           int64_t key, bool over)
{
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int64_t v = blocks ? qn_packed__max(p, middle) : qn_packed__get(p, middle);
        if (over ? v <= key : v < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first place whose key is >= key (`over`: > key). */
static uint64_t search(const qn_packed *p, int64_t key, bool over)
{
    uint64_t blocks = (p->count + PACK_BLOCK - 1) / PACK_BLOCK;
    uint64_t begin = first_from(p, true, 0, blocks, key, over) * PACK_BLOCK;
    uint64_t limit = begin + PACK_BLOCK;
    if (begin >= p->count) return p->count;
    return first_from(p, false, begin, limit < p->count ? limit : p->count, key, over);
}

qn_points_run qn_points_find(const qn_points *p, int64_t low, int64_t high)
{
    if (low > high) return (qn_points_run){0, 0};
    qn_points_run r = {search(&p->keys, low, false), search(&p->keys, high, true)};
    if (r.limit < r.begin) r.limit = r.begin; /* keys of a block out of order: damage */
    return r;
}

void qn_points_match(const qn_points *p, qn_points_run run, uint64_t *bits)
{
    int64_t docs[PACK_BLOCK];
    while (run.begin < run.limit) {
        uint64_t end = (run.begin / PACK_BLOCK + 1) * PACK_BLOCK;
        size_t n = (size_t)((end < run.limit ? end : run.limit) - run.begin);
        qn_packed__run(&p->docs, run.begin, n, docs);
        for (size_t i = 0; i < n; i++) qn_bitset_add(bits, (size_t)docs[i]);
        run.begin += n;
    }
}

void qn_points_docs(const qn_points *p, qn_points_run run, uint32_t *docs)
{
    for (uint64_t at = run.begin; at < run.limit; at++)
        *docs++ = (uint32_t)qn_packed__get(&p->docs, at);
}

/* ---- writing -------------------------------------------------------------------------- */

typedef struct point {
    int64_t key;
    uint32_t doc;
} point;

/* By key, equal ones in the order they were in: 11 bits a pass over those bits in which
 * the keys differ. The result is in *points, what it is exchanged with in *room. */
static void sort_points(point **points, point **room, size_t n, int64_t min,
                        uint64_t range)
{
    enum { BITS = 11, BUCKETS = 1 << BITS };
    for (unsigned shift = 0; shift < 64 && range >> shift != 0; shift += BITS) {
        size_t starts[BUCKETS + 1] = {0};
        point *from = *points, *to = *room;
        for (size_t i = 0; i < n; i++) {
            uint64_t key = (uint64_t)from[i].key - (uint64_t)min;
            starts[(key >> shift) % BUCKETS + 1]++;
        }
        for (size_t b = 0; b < BUCKETS; b++) starts[b + 1] += starts[b];
        for (size_t i = 0; i < n; i++) {
            uint64_t key = (uint64_t)from[i].key - (uint64_t)min;
            to[starts[(key >> shift) % BUCKETS]++] = from[i];
        }
        *points = to;
        *room = from;
    }
}

static qn_status put_points(const point *points, size_t n, int64_t *room, qn_alloc *a,
                            qn_blockfile_writer *w, qn_error *err)
{
    uint8_t header[POINTS_HEADER] = {POINTS_CODEC};
    qn_store64(header + 8, n);
    qn_blockfile_write(w, header, sizeof header);
    for (size_t i = 0; i < n; i++) room[i] = points[i].key;
    QN_TRY(qn_packed__write(room, n, NULL, a, w, err));
    for (size_t i = 0; i < n; i++) room[i] = points[i].doc;
    return qn_packed__write(room, n, NULL, a, w, err);
}

/* Do the values of a block lie close together? Then the column's bounds do it. */
static bool is_clustered(const int64_t *keys, size_t n, double range)
{
    double sum = 0;
    size_t blocks = 0;
    for (size_t at = 0; at < n; at += PACK_BLOCK, blocks++) {
        size_t end = n - at < PACK_BLOCK ? n : at + PACK_BLOCK;
        int64_t min = keys[at], max = keys[at];
        for (size_t i = at; i < end; i++) {
            if (keys[i] < min) min = keys[i];
            if (keys[i] > max) max = keys[i];
        }
        sum += (double)max - (double)min;
    }
    return sum < range * (double)blocks / 16;
}

qn_status qn_points__write(const int64_t *keys, const uint32_t *docs, size_t n,
                           uint32_t field, qn_alloc *a, qn_blockfile_writer *w,
                           qn_error *err)
{
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        if (keys[i] < min) min = keys[i];
        if (keys[i] > max) max = keys[i];
    }
    if (n < POINTS_MIN || n > POINTS_MAX ||
        (uint64_t)max - (uint64_t)min < POINTS_RANGE_MIN ||
        is_clustered(keys, n, (double)max - (double)min))
        return QN_OK;
    point *points = qn_new_array(a, n, sizeof *points);
    point *room = qn_new_array(a, n, sizeof *room);
    int64_t *numbers = qn_new_array(a, n, sizeof *numbers);
    qn_status st = QN_OK;
    if (points == NULL || room == NULL || numbers == NULL) {
        st = qn_fail(err, QN_ENOMEM, "points of a column");
    } else {
        for (size_t i = 0; i < n; i++) points[i] = (point){keys[i], docs[i]};
        sort_points(&points, &room, n, min, (uint64_t)max - (uint64_t)min);
        qn_blockfile_begin(w, QN_BLOCK_POINTS, field);
        st = put_points(points, n, numbers, a, w, err);
        qn_status ended = qn_blockfile_end(w, st == QN_OK ? err : NULL);
        if (st == QN_OK) st = ended;
    }
    qn_delete(a, points);
    qn_delete(a, room);
    qn_delete(a, numbers);
    return st;
}
