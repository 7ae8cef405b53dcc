/* SPDX-License-Identifier: Apache-2.0 */
/* index/postings_internal.h -- what the files of a cursor share. Private. */
#ifndef QN_INDEX_POSTINGS_INTERNAL_H
#define QN_INDEX_POSTINGS_INTERNAL_H

#include "index/packing.h"
#include "index/segment_internal.h"

/* QN_ECORRUPT at a place in the field's postings; in its positions. */
qn_status qn_postings__corrupt(const qn_postings *p, const uint8_t *at,
                               const char *what, qn_error *err);
/* Frequencies of the decoded block, unless they are there. */
QN_MUST_CHECK qn_status qn_postings__load_freqs(qn_postings *p, qn_error *err);
/* Reads the tables of a stream of p->pos_count positions in [at, limit). */
QN_MUST_CHECK qn_status qn_positions__init(qn_postings *p, const uint8_t *at,
                                           const uint8_t *limit, qn_error *err);

/* ---- the tables in front of a list, checked for size when it was opened ------------- */

static inline uint32_t block_last(const qn_postings *p, uint32_t block)
{
    return qn_load32(p->lasts + (size_t)block * 4);
}

static inline const uint8_t *block_entry(const qn_postings *p, uint32_t block)
{
    return p->entries + (size_t)block * BLOCK_ENTRY;
}

static inline const uint8_t *super_entry(const qn_postings *p, uint32_t super)
{
    return p->supers + (size_t)super * SUPER_ENTRY;
}

static inline bool has_supers(const qn_postings *p)
{
    return p->block_count > QN_POSTINGS_SUPER;
}

static inline uint32_t block_docs(const qn_postings *p, uint32_t block)
{
    uint32_t left = p->doc_count - block * QN_POSTINGS_BLOCK;
    return left < QN_POSTINGS_BLOCK ? left : QN_POSTINGS_BLOCK;
}

/* The first block from `from` on whose last document is >= target; p->block_count when
 * there is none. */
uint32_t qn_postings__find(const qn_postings *p, uint32_t from, uint32_t target);
/* The bytes of a block; false when the tables lie. */
bool qn_postings__bytes(const qn_postings *p, uint32_t block, const uint8_t **begin,
                        const uint8_t **limit);

/* The block that would hold `target`; p->block_count when the list ends before. Begins
 * where the last look ended, if that is not behind. */
uint32_t qn_postings__look(qn_postings *p, uint32_t target);

#endif
