/* SPDX-License-Identifier: Apache-2.0 */
/* index/segment_internal.h -- what the files of this module share. Private. */
#ifndef QN_INDEX_SEGMENT_INTERNAL_H
#define QN_INDEX_SEGMENT_INTERNAL_H

#include "base/bits.h"
#include "base/vec.h"
#include "index/segment_builder.h"
#include "num/kernels.h"

#include <stdatomic.h>

/* ---- the segment in memory ---------------------------------------------------- */

typedef struct segment_field {
    qn_segment_field pub;
    atomic_bool column_checked; /* set once the column was validated whole */
    atomic_bool points_checked;
    /* Blocks that were found and checked, NULL before. */
    const uint8_t *_Atomic terms, *_Atomic norms, *_Atomic postings;
} segment_field;

struct qn_segment {
    qn_alloc *alloc;
    qn_blockfile *file;
    uint32_t doc_count;
    uint64_t id_seed;
    const qn_kernels *kernels;
    size_t field_count;
    segment_field *fields; /* ascending id */
    struct source_unpacker *unpacker;
    /* With newer values (column_overlay.h): fields are then those of both. */
    QN_NULLABLE const struct qn_segment *bare; /* owns all but `fields` and overlay */
    QN_NULLABLE struct qn_overlay *overlay;
};

/* QN_ECORRUPT with the file's name and the place: `at` bytes into block (kind, id). */
qn_status qn_segment__corrupt(const qn_blockfile *f, uint32_t kind, uint32_t id,
                              uint64_t at, const char *what, qn_error *err);
/* A block that must be there: its absence is damage. */
QN_MUST_CHECK qn_status qn_segment__block(const qn_blockfile *f, uint32_t kind,
                                          uint32_t id, qn_slice *out, qn_error *err);
/* The same, with only the part of it checked that holds bytes [at, at + n). */
QN_MUST_CHECK qn_status qn_segment__part(const qn_blockfile *f, uint32_t kind,
                                         uint32_t id, uint64_t at, uint64_t n,
                                         qn_slice *out, qn_error *err);
/* Are all of these reserved bytes zero? */
bool qn_segment__zero(const char *p, size_t n);
/* NULL when the segment does not have it. */
segment_field *qn_segment__field(const qn_segment *seg, uint32_t field);

/* ---- bytes of the blocks; docs/formats/segment.md ------------------------------ */

enum {
    SEGMENT_HEADER = 64, /* first bytes of SEGMENT, IDS, SOURCES, TERMS, COLUMN */
    SEGMENT_FIELD = 64,  /* one field of SEGMENT */
    FIELD_TERMS = 1,     /* flags of a field */
    FIELD_POSITIONS = 2,
    FIELD_NORMS = 4,
    FIELD_COLUMN = 8,
    FIELD_FLAGS = 15,
    SOURCE_ENTRY = 16,         /* one block of sources */
    SOURCE_BLOCK = 16384,      /* a block of sources is closed at this size */
    SOURCE_BLOCK_SMALL = 4096, /* with a dictionary */
    SOURCE_BLOCK_MAX = 1 << 28,
    SOURCE_DICT = 16384,      /* bytes of a dictionary at most */
    SOURCE_LEARN = 256 << 10, /* bytes of documents it is made of */
    SOURCE_DICT_ENTRY = 8,
    SOURCE_DICTS_MAX = 16, /* of a segment: merging brings several together */
    TERMS_PER_BLOCK = 16,
    LIST_CODEC = 1,
    LIST_HEADER = 1 + 2 * QN_POSTINGS_PAIRS, /* of a list of blocks */
    BLOCK_PAIRS = 4,
    BLOCK_ENTRY = 2 + 2 * BLOCK_PAIRS, /* one block, beside its last document */
    SUPER_ENTRY = 12 + 2 * QN_POSTINGS_PAIRS,
    POSITIONS_GROUP = 32, /* chunks of positions that share a base */
    BEST_FROM = 1024,     /* documents of a list that has its best ones stored */
    POINTS_HEADER = 64,
    POINTS_CODEC = 1,
    POINTS_MIN = 16384,    /* values; fewer are looked through */
    POINTS_MAX = 1 << 23,  /* sorting takes 40 bytes a value */
    POINTS_RANGE_MIN = 64, /* fewer different values: ranges are not selective */
    COLUMN_CODEC = 1,
    COLUMN_MULTI = 1, /* flags of a column */
    COLUMN_MISSING = 2,
    COLUMN_RANKED = 4,
};

/* ---- postings ------------------------------------------------------------------ */

/* One term's list, decoded: `deltas` are positions, the first of a document absolute,
 * the others relative to the one before. */
typedef struct postings_list {
    uint32_t doc_count; /* at least 1 */
    uint64_t pos_count;
    const uint32_t *docs, *freqs, *deltas; /* freqs NULL: a keyword */
    const uint8_t *norms;                  /* by document; NULL: none */
    const float *inverse; /* qn_bm25_field.inverse at the segment's own average length:
                           * what decides which documents are the best; 256 numbers */
    uint32_t doc_limit;   /* documents of the segment */
} postings_list;

/* The statistics behind `inverse`, from the lengths as they are kept; NULL: no lengths. */
void qn_postings__scale(QN_NULLABLE const uint8_t *norms, uint32_t doc_count,
                        qn_bm25_field *out);
/* What the dictionary says of the list, places aside. */
void qn_postings__describe(const postings_list *l, qn_term *term);
/* Appends the list's bytes and sets their place and size in *term; QN_ELIMIT past 4 GB.
 * Positions (`deltas`) are read of lists with fewer than QN_POSTINGS_BLOCK documents,
 * which keep them here, ... */
QN_MUST_CHECK qn_status qn_postings__write(const postings_list *l, qn_buf *out,
                                           qn_term *term, qn_error *err);
/* ... and here of all others; writes nothing for the former. */
QN_MUST_CHECK qn_status qn_positions__write(const postings_list *l, qn_buf *out,
                                            qn_term *term, qn_error *err);
/* The best documents of a list with frequencies and norms. */
QN_MUST_CHECK qn_status qn_best__put(const postings_list *l, qn_buf *out,
                                     qn_error *err);
/* Bytes of a document in it. */
#define BEST_WIDTH(doc_limit)                                                          \
    ((doc_limit) <= 0x100       ? (size_t)1                                            \
     : (doc_limit) <= 0x10000   ? (size_t)2                                            \
     : (doc_limit) <= 0x1000000 ? (size_t)3                                            \
                                : (size_t)4)

/* Where a cursor reads. */
typedef struct postings_source {
    const qn_blockfile *file;
    uint32_t field, doc_limit;
    qn_slice postings, positions; /* whole blocks */
    bool has_freqs, lazy;
    const uint8_t *norms; /* by document; NULL: none */
    const qn_kernels *kernels;
} postings_source;

QN_MUST_CHECK qn_status qn_postings__init(qn_postings *p, const postings_source *s,
                                          const qn_term *term, qn_arena *arena,
                                          qn_error *err);

/* ---- dictionary ----------------------------------------------------------------- */

typedef struct terms_writer {
    qn_buf data, offsets, keys;
    qn_slice last; /* the term before; borrowed */
    uint32_t count;
    bool has_freqs;
} terms_writer;

/* The first eight bytes as a number that sorts as they do; zeros behind the end. */
static inline uint64_t qn_terms__key(qn_slice bytes)
{
    uint8_t first[8] = {0};
    if (bytes.n > 0) memcpy(first, bytes.p, bytes.n < 8 ? bytes.n : 8);
    return __builtin_bswap64(qn_load64(first));
}
enum { HEAD_MORE = 15 }; /* of the two sizes in front of a term: a number follows */

void qn_terms__writer_init(terms_writer *w, qn_alloc *a, bool has_freqs);
void qn_terms__writer_deinit(terms_writer *w);
/* In byte order; `bytes` stays valid until the next call. */
void qn_terms__add(terms_writer *w, qn_slice bytes, const qn_term *term);
QN_MUST_CHECK qn_status qn_terms__finish(terms_writer *w, uint32_t field,
                                         qn_blockfile_writer *out, qn_error *err);

/* ---- sources -------------------------------------------------------------------- */

typedef struct source_entry {
    uint32_t first_doc, raw_size;
    uint64_t offset;
} source_entry;

/* Dictionaries of a segment; a frame says by number which one it was packed with. */
typedef struct source_dicts {
    uint32_t n, ids[SOURCE_DICTS_MAX];
    qn_slice p[SOURCE_DICTS_MAX];
} source_dicts;

/* What unpacking keeps from one frame to the next. Used by any number of threads. */
typedef struct source_unpacker {
    _Atomic(void *) context;
    _Atomic(void *) dicts[SOURCE_DICTS_MAX]; /* by place in source_dicts */
} source_unpacker;

void qn_unpacker__deinit(source_unpacker *u);
/* Into `scratch`; false when the frame is broken, not of that size, or out of memory
 * (scratch->failed). */
bool qn_unpacker__run(source_unpacker *u, const source_dicts *dicts, qn_slice frame,
                      uint32_t raw_size, qn_buf *scratch);
/* The number of the dictionary that a frame needs; 0: none. */
uint32_t qn_unpacker__dict_of(qn_slice frame);

/* Sources on their way into a segment: closed blocks are compressed, one is open. */
typedef struct sources {
    qn_alloc *alloc;
    QN_VEC(source_entry) entries; /* of closed blocks */
    qn_buf packed;                /* closed blocks */
    uint32_t open_doc;            /* first document of the open block */
    uint32_t next_doc;            /* documents below have their source */
    qn_buf open_sizes;            /* u32 source, u32 extras per document */
    qn_buf open_bytes;
    void *compressor;

    bool learned;   /* the dictionary is made, or will never be */
    qn_buf samples; /* until then */
    QN_VEC(size_t) sample_sizes;
    qn_buf dict;
    void *compressor_dict; /* NULL: packs are made without */
    source_unpacker unpacker;
} sources;

void qn_sources__init(sources *s, qn_alloc *a);
void qn_sources__deinit(sources *s);
size_t qn_sources__bytes(const sources *s);
/* `doc` above all before; documents left out have an empty source. */
QN_MUST_CHECK qn_status qn_sources__add(sources *s, uint32_t doc, qn_slice source,
                                        qn_slice extras, qn_error *err);
/* Of a document below `doc_count`. */
QN_MUST_CHECK qn_status qn_sources__get(const sources *s, uint32_t doc, qn_buf *scratch,
                                        qn_slice *source, qn_slice *extras,
                                        qn_error *err);
QN_MUST_CHECK qn_status qn_sources__write(sources *s, uint32_t doc_count,
                                          qn_blockfile_writer *w, qn_error *err);
/* Empty sources for the documents below `doc` that were given none. */
QN_MUST_CHECK qn_status qn_sources__pad(sources *s, uint32_t doc, qn_error *err);
/* Compresses what is open, if anything is, and appends it to the closed blocks. */
QN_MUST_CHECK qn_status qn_sources__close_block(sources *s, qn_error *err);
/* None or one. */
source_dicts qn_sources__dicts(const sources *s);
/* Everything of the block but the frames. */
void qn_sources__put_front(uint32_t doc_count, const source_entry *entries, size_t n,
                           uint64_t data_size, const source_dicts *dicts,
                           qn_blockfile_writer *w);

/* A segment's block of sources. */
typedef struct source_view {
    qn_slice block, data;
    uint32_t count, doc_count; /* frames, documents */
    source_dicts dicts;
} source_view;

QN_MUST_CHECK qn_status qn_sources__view(const qn_blockfile *f, qn_slice block,
                                         uint32_t doc_count, source_view *out,
                                         qn_error *err);

/* A compressed block of sources as it lies in a segment. */
typedef struct source_frame {
    uint32_t first_doc, doc_limit, raw_size;
    qn_slice packed;
} source_frame;

/* Frame i, below the view's count. */
QN_MUST_CHECK qn_status qn_sources__frame(const qn_blockfile *f, const source_view *v,
                                          uint32_t i, source_frame *out, qn_error *err);
/* Finds document `index` of `count` in an unpacked block. */
bool qn_sources__find(qn_slice raw, uint32_t index, uint32_t count, qn_slice *source,
                      QN_NULLABLE qn_slice *extras);
/* The block with what stands in front of its frames checked; read() checks a frame. */
QN_MUST_CHECK qn_status qn_sources__front(const qn_blockfile *f, qn_slice *block,
                                          qn_error *err);
/* One document, from a segment's block. */
QN_MUST_CHECK qn_status qn_sources__read(const qn_blockfile *f, source_unpacker *u,
                                         qn_slice block, uint32_t doc,
                                         uint32_t doc_count, qn_buf *scratch,
                                         qn_slice *source, qn_slice *extras,
                                         qn_error *err);

/* ---- ids ------------------------------------------------------------------------ */

typedef struct ids {
    qn_alloc *alloc;
    uint64_t seed;
    uint32_t count;
    qn_buf bytes;
    QN_VEC(uint32_t) ends;   /* of each id in `bytes` */
    QN_VEC(uint32_t) hashes; /* low half, to spare comparisons and hashing again */
    uint32_t *slots;         /* document + 1, 0: free */
    uint32_t slot_count;     /* a power of two, or 0 */
} ids;

void qn_ids__init(ids *t, qn_alloc *a, uint64_t seed);
void qn_ids__deinit(ids *t);
size_t qn_ids__bytes(const ids *t);
/* The document's number is the count before. */
QN_MUST_CHECK qn_status qn_ids__add(ids *t, qn_slice id, qn_error *err);
uint32_t qn_ids__find(const ids *t, qn_slice id);
/* The id of `doc`, which it names now, names `before` again; QN_DOC_END: nothing. */
void qn_ids__disown(ids *t, uint32_t doc, uint32_t before);
QN_MUST_CHECK qn_status qn_ids__write(const ids *t, qn_blockfile_writer *w,
                                      qn_error *err);
uint64_t qn_ids__hash(uint64_t seed, qn_slice id);

/* ---- terms in the making -------------------------------------------------------- */

/* Memory handed out in small pieces that never move and are freed together. A place is
 * page << 16 | offset. */
enum { POOL_PAGE = 65536 };
typedef struct byte_pool {
    qn_alloc *alloc;
    QN_VEC(uint8_t *) pages;
    uint32_t used; /* of the last page */
} byte_pool;

void qn_pool__deinit(byte_pool *p);
size_t qn_pool__bytes(const byte_pool *p);
/* `size` bytes (at most POOL_PAGE) at *place; NULL when out of memory. */
uint8_t *qn_pool__take(byte_pool *p, uint32_t size, uint32_t *place);

/* A distinct term of a field, with the chain that its occurrences lie in; one cache line.
 * One occurrence is a varint (gap to the document before) << 1 | 1 and the position, or,
 * in the same document, (gap to the position before) << 1; without positions the gap of
 * documents alone. The chain begins in the term itself, where all of a rare term's lies,
 * and goes on in chunks, each ending in the place of the next one. */
enum { TERM_INLINE = 16, TERM_HEAD = 16, TERM_PAGE = 256 };
typedef struct pending_term {
    uint32_t size;
    uint32_t last_doc, last_position; /* doc_count == 0: none yet */
    uint32_t doc_count;
    uint32_t pos_count; /* a chain has a byte or more for each, and under 4 GB */
    uint32_t first;     /* place of the first chunk */
    uint32_t at;        /* where to write: in `head` while level is 0, else a place */
    uint16_t room;      /* bytes left there */
    uint8_t level;      /* 0: no chunk yet; else its size: see chunk_size() */
    uint8_t zero;
    union {
        char in_place[TERM_INLINE]; /* up to TERM_INLINE bytes */
        const char *elsewhere;      /* more: in the pool of names */
    } bytes;
    uint8_t head[TERM_HEAD];
} pending_term;

_Static_assert(sizeof(pending_term) == 64, "a term is a cache line");

/* The terms of one field: a hash table over pages of terms, which never move. */
typedef struct term_table {
    QN_VEC(pending_term *) pages;
    uint32_t count;
    uint64_t *slots; /* hash's upper half << 32 | index + 1; 0: free */
    size_t slot_count;
} term_table;

static inline pending_term *qn_term_at(const term_table *t, uint32_t index)
{
    return &t->pages.p[index / TERM_PAGE][index % TERM_PAGE];
}

static inline qn_slice qn_term_bytes(const pending_term *t)
{
    return (qn_slice){t->size <= TERM_INLINE ? t->bytes.in_place : t->bytes.elsewhere,
                      t->size};
}

void qn_term_table__deinit(term_table *t, qn_alloc *a);
size_t qn_term_table__bytes(const term_table *t);
/* Finds or adds; QN_OK and its index. Bytes of long new terms go to `names`. */
QN_MUST_CHECK qn_status qn_term_table__intern(term_table *t, byte_pool *names,
                                              uint64_t seed, qn_slice bytes,
                                              uint32_t *index, qn_error *err);
/* Tokens of one document, found or added, one occurrence more each; at most
 * TERM_BATCH. */
enum { TERM_BATCH = 128 };
QN_MUST_CHECK qn_status qn_term_table__add(term_table *t, byte_pool *names,
                                           byte_pool *chunks, uint64_t seed,
                                           uint32_t doc, const qn_segment_token *tokens,
                                           size_t n, qn_error *err);
/* One more occurrence; without positions a second one in a document changes nothing. */
QN_MUST_CHECK qn_status qn_term__occur(pending_term *t, byte_pool *chunks, uint32_t doc,
                                       uint32_t position, bool positions,
                                       qn_error *err);

/* A chain taken apart. The arrays grow and are used again for the next term. */
typedef struct decoded_term {
    qn_alloc *alloc;
    qn_buf bytes;
    uint32_t *docs, *freqs, *deltas;
    size_t docs_capacity, deltas_capacity;
} decoded_term;

void qn_decoded__deinit(decoded_term *d);
/* A hint that the term will be taken apart soon. */
void qn_term__expect_chain(const pending_term *t, const byte_pool *chunks);
QN_MUST_CHECK qn_status qn_term__decode(const pending_term *t, const byte_pool *chunks,
                                        bool positions, decoded_term *d, qn_error *err);
/* Indexes of the table's terms in byte order; the caller frees the array. */
QN_MUST_CHECK qn_status qn_term_table__sort(const term_table *t, qn_alloc *a,
                                            QN_OWNED uint32_t **order, qn_error *err);

/* ---- columns -------------------------------------------------------------------- */

typedef struct column_values {
    qn_field_type type;
    uint32_t doc_count;
    size_t count;           /* of values */
    const uint32_t *docs;   /* ascending; equal ones: several values */
    const uint64_t *values; /* as qn_column_value_bits() */
    const qn_slice *dict;   /* KEYWORD: in byte order */
    uint32_t dict_count;
    bool no_points;
} column_values;

QN_MUST_CHECK qn_status qn_column__write(const column_values *c, uint32_t field,
                                         qn_alloc *a, qn_blockfile_writer *w,
                                         qn_error *err);
/* Lays a view over the block; checks sizes, and with `thorough` every value. */
QN_MUST_CHECK qn_status qn_column__init(qn_column *c, const qn_blockfile *f,
                                        uint32_t field, uint32_t doc_count,
                                        bool thorough, qn_error *err);
/* Keys and their documents, in the order of documents; writes nothing where points are
 * not worth it. */
QN_MUST_CHECK qn_status qn_points__write(const int64_t *keys, const uint32_t *docs,
                                         size_t n, uint32_t field, qn_alloc *a,
                                         qn_blockfile_writer *w, qn_error *err);
struct qn_points;
QN_MUST_CHECK qn_status qn_points__init(struct qn_points *p, const qn_blockfile *f,
                                        uint32_t field, uint32_t doc_count,
                                        bool thorough, qn_error *err);
/* The place of a document's first value, or where it would be; `doc` up to doc_count. */
uint64_t qn_column__place(const qn_column *c, uint32_t doc);
static inline bool qn_column__is_float(qn_field_type type)
{
    return type == QN_FIELD_FLOAT || type == QN_FIELD_DOUBLE;
}

#endif
