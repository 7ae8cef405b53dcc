/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/id_filter.h"

#include "base/clock.h"

#include <xxhash.h>

enum {
    BITS_PER_ID = 12,
    BITS_SET = 6,
    LINE_WORDS = 8,
    LINE_BITS = 512,
    STEP = 1024,     /* ids taken in at a look */
    LOOKS_MIN = 256, /* and a sixteenth of the documents: then it is begun */
};

uint64_t qn_id_filter_hash(qn_slice id)
{
    return XXH3_64bits(id.p, id.n);
}

static uint64_t *line_of(const qn_id_filter *f, uint64_t hash)
{
    return f->lines + ((hash >> 32) * f->line_count >> 32) * LINE_WORDS;
}

/* The places of an id in its line: nine bits of a mixed hash each. */
static uint64_t places(uint64_t hash)
{
    qn_rng mix = {hash};
    return qn_rng_next(&mix);
}

static void add(qn_id_filter *f, uint64_t hash)
{
    uint64_t *line = line_of(f, hash), at = places(hash);
    for (int i = 0; i < BITS_SET; i++, at >>= 9) {
        uint64_t bit = at % LINE_BITS;
        line[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
}

static bool has(const qn_id_filter *f, uint64_t hash)
{
    const uint64_t *line = line_of(f, hash);
    uint64_t at = places(hash);
    for (int i = 0; i < BITS_SET; i++, at >>= 9) {
        uint64_t bit = at % LINE_BITS;
        if (((line[bit / 64] >> (bit % 64)) & 1) == 0) return false;
    }
    return true;
}

static bool begin(qn_id_filter *f, qn_alloc *a, uint32_t docs)
{
    uint64_t bits = (uint64_t)docs * BITS_PER_ID;
    f->line_count = (uint32_t)(bits / LINE_BITS + 1);
    f->lines = qn_new_aligned(a, LINE_WORDS * sizeof *f->lines,
                              (size_t)f->line_count * LINE_WORDS * sizeof *f->lines);
    return f->lines != NULL;
}

/* A damaged id leaves the filter unfinished: whoever looks meets the damage itself. */
static void take(qn_id_filter *f, const qn_segment *seg, uint32_t most)
{
    uint32_t docs = qn_segment_doc_count(seg);
    for (uint32_t i = 0; i < most && f->taken < docs; i++) {
        qn_slice id;
        if (qn_segment_id(seg, f->taken, &id, NULL) != QN_OK) return;
        add(f, qn_id_filter_hash(id));
        f->taken++;
    }
}

bool qn_id_filter_complete(const qn_id_filter *f, const qn_segment *seg)
{
    return f->lines != NULL && f->taken == qn_segment_doc_count(seg);
}

bool qn_id_filter_maybe(qn_id_filter *f, qn_alloc *a, const qn_segment *seg,
                        uint64_t hash)
{
    uint32_t docs = qn_segment_doc_count(seg);
    if (qn_id_filter_complete(f, seg)) return has(f, hash);
    if (f->lines == NULL) {
        if (++f->looks < LOOKS_MIN + docs / 16) return true;
        if (!begin(f, a, docs)) {
            f->looks = 0;
            return true;
        }
    }
    take(f, seg, STEP);
    return !qn_id_filter_complete(f, seg) || has(f, hash);
}

void qn_id_filter_make(qn_id_filter *f, qn_alloc *a, const qn_segment *seg)
{
    if (f->lines == NULL && !begin(f, a, qn_segment_doc_count(seg))) return;
    take(f, seg, UINT32_MAX);
}

void qn_id_filter_deinit(qn_id_filter *f, qn_alloc *a)
{
    qn_delete_aligned(a, f->lines);
    *f = (qn_id_filter){0};
}
