/* SPDX-License-Identifier: Apache-2.0 */
/* index/column_overlay_internal.h -- an overlay's insides: for what changes it, what
 * reads columns through it, and what keeps it in a file. Private.
 *
 * NUMBERS OF KEYWORDS. In blocks stand fixed ones: below the segment's dict_count its own
 * ordinals, from there on new keywords in the order they came. Readers see ordinals of
 * the words of both in byte order; overlay_dict says which are which. */
#ifndef QN_INDEX_COLUMN_OVERLAY_INTERNAL_H
#define QN_INDEX_COLUMN_OVERLAY_INTERNAL_H

#include "base/map.h"
#include "index/column_overlay.h"
#include "base/vec.h"
#include "index/segment_internal.h"

enum { OVERLAY_BLOCK = QN_COLUMN_BLOCK, OVERLAY_WORDS = OVERLAY_BLOCK / 64 };

/* Values are keys; of GEO the bits; of KEYWORD fixed numbers. Bounds may be wider than
 * need be, and of keywords they are not kept. */
typedef struct overlay_block {
    atomic_uint refs;
    uint32_t count;                  /* of values */
    uint64_t touched[OVERLAY_WORDS]; /* the other documents' are the segment's */
    uint64_t present[OVERLAY_WORDS];
    int64_t min, max;              /* min > max: no values */
    qn_geo_box box;                /* GEO */
    int64_t values[OVERLAY_BLOCK]; /* the first of each document */
    QN_NULLABLE uint32_t *ends;    /* several values: where each document's end ... */
    QN_NULLABLE int64_t *list;     /* ... in all of them */
} overlay_block;

/* New keywords sorted; immutable, counted. */
typedef struct overlay_dict {
    atomic_uint refs;
    uint32_t count, base_count;
    qn_slice *words;    /* in byte order */
    uint32_t *before;   /* the segment's words before each */
    uint32_t *place_of; /* by order of coming: place in `words` */
    char *bytes;
} overlay_dict;

typedef struct overlay_column {
    uint32_t field;
    qn_field_type type;
    bool multi, has_missing; /* in some block */
    uint64_t value_count;    /* in all blocks */
    overlay_block **blocks;  /* NULL: untouched */
    bool has_base;           /* the segment has a column of the field ... */
    qn_column base;          /* ... this one */

    /* KEYWORD, in one that is changed: */
    qn_map numbers; /* word -> order of coming */
    QN_VEC(qn_slice) words;
    overlay_dict *dict; /* as of the last freeze; NULL: no new words then */
} overlay_column;

typedef struct overlay_patch {
    atomic_uint refs;
    uint32_t size;
    char bytes[];
} overlay_patch;

typedef struct patch_block {
    atomic_uint refs;
    overlay_patch *patches[OVERLAY_BLOCK];
} patch_block;

/* A change that is ready to be seen. */
typedef struct staged_change {
    qn_overlay_target target;
    size_t column, first, n; /* its numbers: [first, first + n) of the staged ones */
    overlay_block *block;    /* NULL: in place */
} staged_change;

struct qn_overlay {
    atomic_uint refs;
    qn_alloc *alloc;
    uint32_t doc_count, block_count, patched;
    uint64_t changes;
    size_t bytes;
    bool frozen;
    QN_VEC(overlay_column) columns; /* ascending field */
    patch_block **patches;

    QN_VEC(staged_change) staged;
    QN_VEC(int64_t) staged_numbers;
    overlay_patch *staged_patch;
    uint32_t staged_doc;
};

/* NULL when the field was never touched. */
QN_NULLABLE const overlay_column *qn_overlay__column(const qn_overlay *o,
                                                     uint32_t field);
static inline const overlay_block *qn_overlay__block(const overlay_column *c,
                                                     uint32_t doc)
{
    return c->blocks[doc / OVERLAY_BLOCK];
}

/* Values [*begin, *limit) of a document in its block, as value() takes them. */
static inline void qn_overlay__range(const overlay_block *b, uint32_t doc,
                                     uint32_t *begin, uint32_t *limit)
{
    uint32_t i = doc % OVERLAY_BLOCK;
    if (b->ends != NULL) {
        *begin = i == 0 ? 0 : b->ends[i - 1];
        *limit = b->ends[i];
    } else {
        *begin = i;
        *limit = i + qn_bitset_has(b->present, i);
    }
}

static inline int64_t qn_overlay__value(const overlay_block *b, uint32_t place)
{
    return b->ends != NULL ? b->list[place] : b->values[place];
}

static inline const qn_column *qn_overlay__base(const overlay_column *c)
{
    return c->has_base ? &c->base : NULL;
}

/* The word of a fixed number. */
qn_slice qn_overlay__word(const overlay_column *c, int64_t number);
/* *has: the segment has such a column. */
QN_MUST_CHECK qn_status qn_overlay__open_base(const qn_segment *seg, uint32_t field,
                                              qn_column *out, bool *has, qn_error *err);

/* ---- ordinals ------------------------------------------------------------------------- */

/* New words that come before ordinal `ord`. */
uint32_t qn_overlay__new_before(const overlay_dict *d, int64_t ord);
/* The ordinal of a fixed number. */
uint32_t qn_overlay__ord(const overlay_dict *d, uint32_t number);

/* Lets `c` read through the overlay's column; `c` is bare, or zeroed where the segment
 * has no such column. */
void qn_overlay__attach(const overlay_column *over, uint32_t doc_count, qn_column *c);

#endif
