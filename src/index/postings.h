/* SPDX-License-Identifier: Apache-2.0 */
/* index/postings.h -- walk one term's posting list in ascending document order.
 *
 * On disk a list is full blocks of 128 documents (ids delta-coded and bit-packed, then
 * their frequencies), closed by a varint tail of 0..127; a table in front gives each
 * block's last document, so seek() touches only the blocks it lands in. Positions are a
 * stream of their own, read only when asked for. Bytes: docs/formats/segment.md.
 *
 *     qn_postings p;
 *     QN_TRY(qn_segment_postings(seg, &term, arena, &p, err));
 *     while (p.doc != QN_DOC_END) {
 *         use(p.doc, p.freq);
 *         QN_TRY(qn_postings_next(&p, err));
 *     }
 *
 * Lifetime   a cursor borrows the segment: valid until the segment is closed. It lives
 *            in the caller's memory and needs no close.
 * Threads    one cursor, one thread. Any number of cursors per segment.
 * Errors     a block is validated when first decoded, so next() and seek() can return
 *            QN_ECORRUPT long after the cursor was made. */
#ifndef QN_INDEX_POSTINGS_H
#define QN_INDEX_POSTINGS_H

#include "base/arena.h"

enum { QN_POSTINGS_BLOCK = 128 };
struct qn_blockfile;
#define QN_DOC_END UINT32_MAX /* past the last document; above every document id */

/* An upper bound of every score in a list or block: no document in it has a greater
 * frequency, none is shorter. A pair, not a score, because statistics change. */
typedef struct qn_postings_bound {
    uint32_t freq; /* UINT32_MAX: not bounded */
    uint8_t norm;  /* of the shortest document; 1 in fields without norms */
} qn_postings_bound;

typedef struct qn_postings {
    uint32_t doc;  /* current document, or QN_DOC_END */
    uint32_t freq; /* occurrences of the term in `doc`, >= 1; 1 in keyword fields */
    uint32_t doc_count; /* documents in the whole list */
    bool has_positions;
    qn_postings_bound bound; /* over the whole list */

    /* Private to postings.c. */
    uint32_t slot, filled;       /* place in the decoded block, documents in it */
    uint32_t block, block_count; /* the decoded block; == block_count: the tail */
    uint32_t doc_limit;          /* documents of the segment: every id is below */
    uint32_t field;
    bool has_freqs;
    const struct qn_blockfile *file; /* for messages */
    const char *base, *pos_base;     /* the whole blocks; for messages */
    const uint8_t *skip, *data, *data_end;
    const uint8_t *pos_table, *pos_data, *pos_end;
    uint64_t pos_count; /* positions in the whole list */
    uint64_t pos_first; /* index of the first position of slot `pos_slot` */
    uint32_t pos_slot;  /* <= slot */
    uint64_t pos_chunk; /* which 128 positions `chunk` holds; UINT64_MAX: none */
    qn_arena *arena;
    uint32_t *many; /* positions of a document with more than 128 */
    size_t many_capacity;
    uint32_t docs[QN_POSTINGS_BLOCK], freqs[QN_POSTINGS_BLOCK];
    uint32_t chunk[QN_POSTINGS_BLOCK], few[QN_POSTINGS_BLOCK];
} qn_postings;

/* Cursors are made by qn_segment_postings() (index/segment.h), placed on the first
 * document. */

/* Moves to the next document. At QN_DOC_END it stays there, returning QN_OK. */
QN_MUST_CHECK qn_status qn_postings_next(qn_postings *p, qn_error *err);
/* Moves to the first document >= `target`; never backwards. */
QN_MUST_CHECK qn_status qn_postings_seek(qn_postings *p, uint32_t target,
                                         qn_error *err);
/* The positions of the current document, ascending, p->freq of them: valid until the
 * cursor moves or positions() is called again. QN_EUNSUPPORTED when the list has none,
 * QN_ENOMEM from the arena. */
QN_MUST_CHECK qn_status qn_postings_positions(qn_postings *p,
                                              const uint32_t **positions, size_t *n,
                                              qn_error *err);

/* ---- a block at a time, for scorers ------------------------------------------ */

/* The decoded documents from the current one on: docs[0] is p->doc. n is 0 at the end.
 */
void qn_postings_rest(const qn_postings *p, const uint32_t **docs,
                      const uint32_t **freqs, size_t *n);
/* Decodes the following block and moves to its first document, or to QN_DOC_END. */
QN_MUST_CHECK qn_status qn_postings_next_block(qn_postings *p, qn_error *err);
/* Without decoding: moves the *shallow* position to the block that would hold `target`
 * (>= the current document) and gives that block's last document and bound; *last is
 * QN_DOC_END when the list ends before. The cursor itself does not move. */
void qn_postings_peek(const qn_postings *p, uint32_t target, uint32_t *last,
                      qn_postings_bound *bound);

#endif
