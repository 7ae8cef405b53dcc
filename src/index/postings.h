/* SPDX-License-Identifier: Apache-2.0 */
/* index/postings.h -- walk one term's posting list in ascending document order.
 *
 * On disk a list is full blocks of 128 documents, then a tail of 0..127; tables in front
 * give each block's last document and its bounds, and those of super-blocks of 32
 * blocks, so that seek() touches only the blocks it lands in. Positions are a stream of
 * their own, read only when asked for. Bytes: docs/formats/segment.md.
 *
 * One document at a time:
 *
 *     qn_postings p;
 *     QN_TRY(qn_segment_postings(seg, &term, arena, &p, err));
 *     while (p.doc != QN_DOC_END) {
 *         use(p.doc, p.freq);
 *         QN_TRY(qn_postings_next(&p, err));
 *     }
 *
 * A block at a time, for scorers:
 *
 *     QN_TRY(qn_segment_postings_open(seg, &term, QN_POSTINGS_LAZY, NULL, &p, err));
 *     while (p.doc != QN_DOC_END) {
 *         QN_TRY(qn_postings_rest3(&p, &docs, &freqs, &norms, &n, err));
 *         qn_bm25_scores(p.kernels, &bm25, freqs, norms, n, scores);
 *         QN_TRY(qn_postings_next_block(&p, err));
 *     }
 *
 * Lifetime   a cursor borrows the segment: valid until the segment is closed. It lives
 *            in the caller's memory and needs no close; it must not be copied.
 * Threads    one cursor, one thread. Any number of cursors per segment.
 * Errors     a block is validated when first decoded, so next() and seek() can return
 *            QN_ECORRUPT long after the cursor was made. */
#ifndef QN_INDEX_POSTINGS_H
#define QN_INDEX_POSTINGS_H

#include "base/arena.h"
#include "index/bm25.h"

enum {
    QN_POSTINGS_BLOCK = 128,
    QN_POSTINGS_SUPER = 32, /* blocks of a super-block: 4096 documents of the list */
    QN_POSTINGS_PAIRS = 6,  /* bounds of a range at most */

    /* How a cursor is opened. Lazy: frequencies are decoded only when rest3() or
     * qn_postings_freq() asks for them, and p->freq is void. */
    QN_POSTINGS_LAZY = 1,
};
struct qn_blockfile;
#define QN_DOC_END UINT32_MAX /* past the last document; above every document id */

/* An upper bound of every score in a list or block: no document in it has a greater
 * frequency, none is shorter. A pair, not a score, because statistics change. */
typedef struct qn_postings_bound {
    uint32_t freq; /* UINT32_MAX: not bounded */
    uint8_t norm;  /* of the shortest document; 1 in fields without norms */
} qn_postings_bound;

/* A closer bound of a run of the list: each of its documents is dominated by one of the
 * pairs (has at most its frequency and at least its length). */
typedef struct qn_postings_range {
    uint32_t
        last;   /* last document of the run; QN_DOC_END: nothing from the target on */
    uint32_t n; /* pairs; 0 when there is nothing */
    qn_postings_bound pairs[QN_POSTINGS_PAIRS];
} qn_postings_range;

/* One of a list's best documents. */
typedef struct qn_postings_entry {
    uint32_t doc, freq;
    uint8_t norm;
} qn_postings_entry;

typedef struct qn_postings {
    uint32_t doc;  /* current document, or QN_DOC_END */
    uint32_t freq; /* occurrences of the term in `doc`, >= 1; 1 in keyword fields */
    uint32_t doc_count; /* documents in the whole list */
    bool has_positions;
    qn_postings_bound bound;          /* over the whole list */
    const struct qn_kernels *kernels; /* what the segment was opened with */

    /* Private to postings*.c. */
    uint32_t slot, filled;       /* place in the decoded block, documents in it */
    uint32_t block, block_count; /* the decoded block; the tail is one */
    uint32_t ahead;              /* the block where the last look ahead ended */
    uint32_t doc_limit;          /* documents of the segment: every id is below */
    uint32_t field;
    bool has_freqs, lazy;
    bool whole;                              /* a short list: all decoded, no tables */
    bool counted;                            /* some frequency is not 1 */
    bool freqs_ready, norms_ready;           /* of the decoded block */
    const struct qn_blockfile *file;         /* for messages */
    const char *base, *pos_base;             /* the whole blocks; for messages */
    const uint8_t *pairs;                    /* bounds of the list */
    const uint8_t *supers, *lasts, *entries; /* tables */
    const uint8_t *data, *data_end, *list_end;
    const uint8_t *freqs_at, *freqs_end; /* of the decoded block */
    const uint8_t *norms_of;             /* by document; NULL: none, all count as 1 */
    const uint8_t *pos_groups, *pos_ends, *pos_data, *pos_limit;
    uint32_t pos_chunks;
    uint32_t pos_slot;  /* <= slot */
    uint64_t pos_count; /* positions in the whole list */
    uint64_t pos_first; /* index of the first position of slot `pos_slot` */
    uint64_t pos_chunk; /* which 128 positions `chunk` holds; UINT64_MAX: none */
    qn_arena *arena;
    uint32_t *many; /* positions of a document with more than 128 */
    size_t many_capacity;
    uint8_t norms[QN_POSTINGS_BLOCK];
    uint32_t docs[QN_POSTINGS_BLOCK + 16], freqs[QN_POSTINGS_BLOCK];
    uint32_t chunk[QN_POSTINGS_BLOCK], few[QN_POSTINGS_BLOCK];
} qn_postings;

/* Cursors are made by qn_segment_postings() (index/segment.h), placed on the first
 * document. */

/* Moves to the next document. At QN_DOC_END it stays there, returning QN_OK. */
QN_MUST_CHECK qn_status qn_postings_next(qn_postings *p, qn_error *err);
/* Moves to the first document >= `target`; never backwards. */
QN_MUST_CHECK qn_status qn_postings_seek(qn_postings *p, uint32_t target,
                                         qn_error *err);
/* Decodes `block`, which would hold `target`, and moves to a document of it that is not
 * behind target, or to the end. Never backwards. */
QN_MUST_CHECK qn_status qn_postings_seek_block(qn_postings *p, uint32_t block,
                                               uint32_t target, qn_error *err);
/* The positions of the current document, ascending, p->freq of them: valid until the
 * cursor moves or positions() is called again. QN_EUNSUPPORTED when the list has none,
 * QN_ENOMEM from the arena. */
QN_MUST_CHECK qn_status qn_postings_positions(qn_postings *p,
                                              const uint32_t **positions, size_t *n,
                                              qn_error *err);

/* Where a document's positions are among those of the list. */
typedef struct qn_postings_spot {
    uint32_t index, freq;
} qn_postings_spot;

/* Of n documents beside qn_postings_rest_docs(), given by their places, which ascend. */
QN_MUST_CHECK qn_status qn_postings_spots(qn_postings *p, const uint8_t *places,
                                          size_t n, qn_postings_spot *out,
                                          qn_error *err);
/* Asks the memory for them. */
void qn_postings_want_spot(const qn_postings *p, qn_postings_spot spot);
/* The positions at a spot of this list, wherever the cursor stands: valid until positions
 * are asked for again. */
QN_MUST_CHECK qn_status qn_postings_positions_at(qn_postings *p, qn_postings_spot spot,
                                                 const uint32_t **positions, size_t *n,
                                                 qn_error *err);

/* Of the current document, in lazy cursors too; not at the end. */
QN_MUST_CHECK qn_status qn_postings_freq(qn_postings *p, uint32_t *freq, qn_error *err);
/* Its length byte, 1 in fields without norms. */
static inline uint8_t qn_postings_norm_of(const qn_postings *p, uint32_t doc)
{
    return p->norms_of == NULL ? 1 : p->norms_of[doc];
}
static inline uint8_t qn_postings_norm(const qn_postings *p)
{
    return qn_postings_norm_of(p, p->doc);
}

/* ---- a block at a time, for scorers ------------------------------------------ */

/* The decoded documents from the current one on: docs[0] is p->doc. n is 0 at the end.
 * The arrays are the cursor's: valid until it moves. */
void qn_postings_rest_docs(const qn_postings *p, const uint32_t **docs, size_t *n);
/* The last of them; 0 at the end. */
static inline uint32_t qn_postings_decoded_last(const qn_postings *p)
{
    return p->filled == 0 ? 0 : p->docs[p->filled - 1];
}
/* With frequencies (all 1 in keyword fields); not for lazy cursors. */
void qn_postings_rest(const qn_postings *p, const uint32_t **docs,
                      const uint32_t **freqs, size_t *n);
/* With frequencies and length bytes, for any cursor. */
QN_MUST_CHECK qn_status qn_postings_rest3(qn_postings *p, const uint32_t **docs,
                                          const uint32_t **freqs, const uint8_t **norms,
                                          size_t *n, qn_error *err);
/* The frequencies beside qn_postings_rest_docs(), for any cursor. */
QN_MUST_CHECK qn_status qn_postings_freqs(qn_postings *p, const uint32_t **freqs,
                                          qn_error *err);
/* Decodes the following block and moves to its first document, or to QN_DOC_END. */
QN_MUST_CHECK qn_status qn_postings_next_block(qn_postings *p, qn_error *err);
/* Sets bit (document - base) for every document of the list from the current one on that
 * is in [base, limit), and moves to the first one >= limit. Needs p->doc >= base; `bits`
 * has (limit - base) bits or more. Blocks stored as bitmaps are ORed by words. */
QN_MUST_CHECK qn_status qn_postings_or_bits(qn_postings *p, uint32_t base,
                                            uint32_t limit, uint64_t *bits,
                                            qn_error *err);

/* ---- bounds ahead, without decoding and without moving -------------------------- */

/* Moves the *shallow* position to the block that would hold `target` (>= the current
 * document) and gives that block's last document and bound; *last is QN_DOC_END when
 * the list ends before. The cursor itself does not move. */
void qn_postings_peek(const qn_postings *p, uint32_t target, uint32_t *last,
                      qn_postings_bound *bound);
/* Asks the memory for the block that would hold `target`. */
void qn_postings_want(qn_postings *p, uint32_t target);
/* Which block would hold `target` (the decoded one when the list is short), and its last
 * document; QN_DOC_END when the list ends before or is short. */
uint32_t qn_postings_block_at(qn_postings *p, uint32_t target, uint32_t *last);
void qn_postings_want_block(const qn_postings *p, uint32_t block);
/* The same with closer bounds: of the block that would hold `target`, and of the
 * super-block (which runs to its own last document). Targets need not ascend, though
 * that is fastest. */
void qn_postings_block_ahead(qn_postings *p, uint32_t target, qn_postings_range *out);
void qn_postings_super_ahead(qn_postings *p, uint32_t target, qn_postings_range *out);
/* Of the whole list. */
void qn_postings_list_range(const qn_postings *p, qn_postings_range *out);
/* The last document of the block that is `blocks` - 1 blocks behind the one that would
 * hold `target`; QN_DOC_END when the list ends no later. */
uint32_t qn_postings_last_ahead(qn_postings *p, uint32_t target, uint32_t blocks);
/* No score in the range is greater (0 for an empty one). */
float qn_postings_range_score(const qn_postings_range *r, const qn_bm25_term *t);
/* No score of the list's documents in [base, limit) is greater; 0 when there is none for
 * certain. Looks at super-blocks where they lie inside, at blocks elsewhere. */
float qn_postings_bound_between(qn_postings *p, uint32_t base, uint32_t limit,
                                const qn_bm25_term *t);

/* ---- the best documents of a frequent term -------------------------------------- */

/* Some of the list's documents, the best first under the statistics that the segment was
 * written with, and what bounds all others: each document left out is dominated by a
 * pair of `left_out` (its frequency, its norm) and is not below that pair's `doc`.
 *
 * So when the k-th best of the entries under today's statistics (score, then lower
 * document) comes before every pair of `left_out` (score, then `doc`), the k best of the
 * entries are the k best of the list; else the caller walks the list. Deleted documents
 * are the caller's to skip. *n is 0 where no such list is stored: rare terms, and fields
 * without frequencies. */
typedef struct qn_postings_top {
    const qn_postings_entry *entries, *left_out; /* in the arena */
    size_t n, left_out_n;
    size_t of; /* entries stored: more than n when only some were read */
} qn_postings_top;
QN_MUST_CHECK qn_status qn_postings_best(const qn_postings *p, qn_arena *arena,
                                         qn_postings_top *out, qn_error *err);
/* Only the first `most` entries are read. Those behind come, under the statistics that
 * the segment was written with, after them. */
QN_MUST_CHECK qn_status qn_postings_best_some(const qn_postings *p, qn_arena *arena,
                                              size_t most, qn_postings_top *out,
                                              qn_error *err);

#endif
