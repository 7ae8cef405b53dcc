/* SPDX-License-Identifier: Apache-2.0 */
#include "query/sort.h"

#include "base/bits.h"

#include <math.h>

enum { BATCH = 512, BLOCK = QN_COLUMN_BLOCK };

/* ORDER CELLS: as results are ordered. */
typedef enum cell_rank { CELL_FIRST, CELL_VALUE, CELL_NAN, CELL_LAST } cell_rank;

typedef struct cell {
    int64_t key;   /* ascends as results do */
    qn_slice text; /* keywords */
    uint8_t rank;
    bool ordinal; /* `key` is one, of the row's segment */
} cell;

typedef struct row {
    qn_candidate c;
    cell *cells;
} row;

/* One sort key and the column it reads in the segment at hand. */
typedef struct reader {
    const qn_sort_key *key;
    bool is_column, there, keyword, real;
    bool bounded; /* the column's bounds say something of the key */
    qn_field_type type;
    qn_column column;
    cell missing;
} reader;

struct qn_sorter {
    const qn_snapshot_view *snapshot;
    qn_arena *arena;
    size_t n, limit; /* rows kept, rows wanted */
    row *rows;       /* once full a heap, the worst first */
    row spare;
    size_t segment;
    uint32_t doc_base, doc_count;
    bool forward; /* documents come in document order */
    reader *readers;
    size_t key_count;
    QN_NULLABLE cell *after;
    cell bound; /* of the first key: no more than this may get in; valid when full */
    bool bound_exact; /* an equal key is an equal value */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "sort");
}

/* ---- cells ------------------------------------------------------------------------- */

static int64_t directed(const reader *r, int64_t key)
{
    return r->key->descending ? ~key : key;
}

static bool is_real(qn_field_type type)
{
    return type == QN_FIELD_FLOAT || type == QN_FIELD_DOUBLE;
}

static cell number_cell(const reader *r, int64_t key)
{
    cell c = {.key = key, .rank = CELL_VALUE};
    if (r->real) {
        double v = qn_column_f64_of_key(r->type, key);
        if (isnan(v)) return (cell){.rank = CELL_NAN};
        if (v == 0) c.key = 0; /* -0 is no less than 0 */
    }
    c.key = directed(r, c.key);
    return c;
}

static cell text_cell(qn_slice text)
{
    return (cell){.text = text, .rank = CELL_VALUE};
}

static cell f64_cell(const reader *r, double v)
{
    return number_cell(r, qn_column_key_f64(r->type, v));
}

static cell missing_cell(const reader *r)
{
    const qn_sort_key *k = r->key;
    if (k->missing == QN_MISSING_FIRST) return (cell){.rank = CELL_FIRST};
    if (k->missing == QN_MISSING_LAST) return (cell){.rank = CELL_LAST};
    int64_t integer = 0;
    double number = 0;
    if (r->keyword) return text_cell(k->missing_text);
    if (!r->real && qn_slice_to_i64(k->missing_text, &integer))
        return number_cell(r, integer);
    if (!qn_slice_to_f64(k->missing_text, &number)) return (cell){.rank = CELL_LAST};
    if (r->real) return f64_cell(r, number);
    if (!(fabs(number) < 0x1p62)) number = number < 0 ? -0x1p62 : 0x1p62;
    return number_cell(r, (int64_t)number);
}

static cell after_cell(const reader *r, const qn_sort_after *a)
{
    if (a->missing) return r->missing;
    if (r->keyword) return text_cell(a->text);
    return r->real ? f64_cell(r, a->f64) : number_cell(r, a->i64);
}

static cell value_cell(const reader *r, int64_t key)
{
    if (!r->keyword) return number_cell(r, key);
    return (cell){.key = directed(r, key),
                  .text = qn_column_bytes(&r->column, (uint32_t)key),
                  .rank = CELL_VALUE,
                  .ordinal = true};
}

static cell read_cell(const qn_sorter *s, const reader *r, uint32_t doc, float score)
{
    int64_t key = 0;
    if (r->key->kind == QN_SORT_SCORE) return f64_cell(r, (double)score);
    if (r->key->kind == QN_SORT_DOC) return number_cell(r, (int64_t)s->doc_base + doc);
    if (!r->there || !qn_sort_read(r->key, &r->column, doc, &key)) return r->missing;
    return value_cell(r, key);
}

static int compare_cells(const reader *r, const cell *a, const cell *b, bool together)
{
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    if (a->rank != CELL_VALUE) return 0;
    if (r->keyword && !(together && a->ordinal && b->ordinal)) {
        int order = qn_slice_compare(a->text, b->text);
        return r->key->descending ? -order : order;
    }
    return (a->key > b->key) - (a->key < b->key);
}

/* -1: a is the better one. Documents decide at last. */
static int compare_rows(const qn_sorter *s, const row *a, const row *b)
{
    bool together = a->c.segment == b->c.segment;
    for (size_t k = 0; k < s->key_count; k++) {
        int order = compare_cells(&s->readers[k], &a->cells[k], &b->cells[k], together);
        if (order != 0) return order;
    }
    if (!together) return a->c.segment < b->c.segment ? -1 : 1;
    return (a->c.doc > b->c.doc) - (a->c.doc < b->c.doc);
}

static bool is_behind(const qn_sorter *s, const row *a)
{
    for (size_t k = 0; s->after != NULL && k < s->key_count; k++) {
        int order = compare_cells(&s->readers[k], &a->cells[k], &s->after[k], false);
        if (order != 0) return order > 0;
    }
    return s->after == NULL;
}

/* ---- creating, segments --------------------------------------------------------------- */

static void init_reader(reader *r, const qn_sort_key *key)
{
    *r = (reader){.key = key};
    r->is_column = key->kind == QN_SORT_FIELD || key->kind == QN_SORT_DISTANCE;
    r->type = key->kind == QN_SORT_SCORE ? QN_FIELD_FLOAT
              : r->is_column             ? qn_sort_type(key)
                                         : QN_FIELD_INT64;
    r->keyword = r->type == QN_FIELD_KEYWORD;
    r->real = is_real(r->type);
    r->bounded = key->kind == QN_SORT_FIELD && key->mode != QN_SORT_MODE_SUM;
    r->missing = missing_cell(r);
}

qn_status qn_sorter_create(const qn_snapshot_view *snapshot,
                           const qn_exec_options *options, qn_arena *arena,
                           qn_sorter **out, qn_error *err)
{
    size_t keys = options->sort_count;
    *out = NULL;
    if (!qn_sort_applies(options->sort, keys) || options->top_n == 0)
        return qn_fail(err, QN_EINVAL, "these keys cannot choose the best documents");
    qn_sorter *s = qn_arena_new(arena, sizeof *s);
    if (s == NULL) return no_memory(err);
    s->snapshot = snapshot;
    s->arena = arena;
    s->limit = options->top_n < snapshot->doc_count ? options->top_n
                                                    : (size_t)snapshot->doc_count + 1;
    s->key_count = keys;
    s->readers = qn_arena_array(arena, keys, sizeof *s->readers);
    s->rows = qn_arena_array(arena, s->limit, sizeof *s->rows);
    s->spare.cells = qn_arena_array(arena, keys, sizeof(cell));
    if (options->after != NULL) s->after = qn_arena_array(arena, keys, sizeof(cell));
    if (s->readers == NULL || s->rows == NULL || s->spare.cells == NULL ||
        (options->after != NULL && s->after == NULL))
        return no_memory(err);
    for (size_t k = 0; k < keys; k++) {
        init_reader(&s->readers[k], &options->sort[k]);
        if (s->after != NULL)
            s->after[k] = after_cell(&s->readers[k], &options->after[k]);
    }
    *out = s;
    return QN_OK;
}

/* The worst kept row's first cell as a cell of this segment: what is greater by (rank,
 * key) cannot get in. An ordinal of another segment becomes the last one that is not
 * behind its text. */
static void find_bound(qn_sorter *s)
{
    if (s->n < s->limit) return;
    const reader *r = &s->readers[0];
    const row *worst = &s->rows[0];
    s->bound = worst->cells[0];
    s->bound_exact = true;
    if (!r->keyword || s->bound.rank != CELL_VALUE || !r->there ||
        (worst->c.segment == s->segment && s->bound.ordinal))
        return;
    int64_t place = qn_column_lower_bound(&r->column, s->bound.text);
    if (!r->key->descending && qn_column_find(&r->column, s->bound.text) == QN_ORD_NONE)
        place--;
    s->bound.key = directed(r, place);
    s->bound_exact = false;
}

qn_status qn_sorter_begin(qn_sorter *s, size_t segment, qn_error *err)
{
    const qn_segment_view *view = &s->snapshot->segments[segment];
    s->segment = segment;
    s->doc_base = view->doc_base;
    s->doc_count = view->doc_count;
    s->forward = true;
    for (size_t k = 0; k < s->key_count; k++) {
        reader *r = &s->readers[k];
        if (!r->is_column) continue;
        qn_error ignored = {0};
        qn_status st = qn_segment_column(view->segment, r->key->field->id, &r->column,
                                         err == NULL ? &ignored : err);
        r->there = st == QN_OK;
        if (st == QN_ENOTFOUND && err != NULL) *err = (qn_error){0};
        if (st != QN_OK && st != QN_ENOTFOUND) return st;
    }
    find_bound(s);
    return QN_OK;
}

/* ---- keeping --------------------------------------------------------------------------- */

static void sift_down(qn_sorter *s, size_t i)
{
    row moved = s->rows[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->n) break;
        if (child + 1 < s->n &&
            compare_rows(s, &s->rows[child + 1], &s->rows[child]) > 0)
            child++;
        if (compare_rows(s, &s->rows[child], &moved) <= 0) break;
        s->rows[i] = s->rows[child];
        i = child;
    }
    s->rows[i] = moved;
}

/* Takes the spare row in, leaving another one to spare. */
static bool take_spare(qn_sorter *s)
{
    if (s->n < s->limit) {
        cell *cells = qn_arena_array(s->arena, s->key_count, sizeof *cells);
        if (cells == NULL) return false;
        s->rows[s->n++] = s->spare;
        s->spare.cells = cells;
        if (s->n < s->limit) return true;
        for (size_t i = s->n / 2; i > 0; i--) sift_down(s, i - 1);
    } else {
        if (compare_rows(s, &s->spare, &s->rows[0]) >= 0) return true;
        row out = s->rows[0];
        s->rows[0] = s->spare;
        s->spare = out;
        sift_down(s, 0);
    }
    find_bound(s);
    return true;
}

/* Greater than what may get in? Of equal ones the earlier document wins. */
static bool over_bound(const qn_sorter *s, uint8_t rank, int64_t key)
{
    if (s->n < s->limit) return false;
    if (rank != s->bound.rank) return rank > s->bound.rank;
    if (rank != CELL_VALUE) return s->key_count == 1 && s->forward;
    if (key == s->bound.key) return s->key_count == 1 && s->forward && s->bound_exact;
    return key > s->bound.key;
}

static bool cell_over_bound(const qn_sorter *s, const cell *c)
{
    const reader *r = &s->readers[0];
    if (r->keyword && c->rank == CELL_VALUE && !c->ordinal) return false;
    return over_bound(s, c->rank, c->key);
}

static bool add_one(qn_sorter *s, uint32_t doc, float score)
{
    row *one = &s->spare;
    one->c = (qn_candidate){(uint32_t)s->segment, doc, score};
    for (size_t k = 0; k < s->key_count; k++) {
        one->cells[k] = read_cell(s, &s->readers[k], doc, score);
        if (k == 0 && cell_over_bound(s, &one->cells[0])) return true;
    }
    return !is_behind(s, one) || take_spare(s);
}

/* May the first key be read in batches and compared before anything else? */
static bool reads_batches(const reader *r)
{
    return r->key->kind == QN_SORT_FIELD && r->there && !r->column.multi &&
           r->type != QN_FIELD_GEO;
}

static bool add_batch(qn_sorter *s, const uint32_t *docs, const float *scores, size_t n)
{
    const reader *r = &s->readers[0];
    int64_t keys[BATCH];
    uint64_t missing[BATCH / 64];
    qn_column_get_keys(&r->column, docs, n, keys, missing);
    for (size_t i = 0; i < n; i++) {
        bool none = qn_bitset_has(missing, i);
        bool minus_zero = r->real && keys[i] == -1;
        if (!none && !minus_zero && s->n == s->limit &&
            over_bound(s, CELL_VALUE, directed(r, keys[i])))
            continue;
        if (!add_one(s, docs[i], scores == NULL ? 0.0f : scores[i])) return false;
    }
    return true;
}

bool qn_sorter_add(qn_sorter *s, const uint32_t *docs, const float *scores, size_t n)
{
    if (!reads_batches(&s->readers[0])) {
        for (size_t i = 0; i < n; i++)
            if (!add_one(s, docs[i], scores == NULL ? 0.0f : scores[i])) return false;
        return true;
    }
    for (size_t at = 0; at < n; at += BATCH) {
        size_t run = n - at < BATCH ? n - at : BATCH;
        if (!add_batch(s, docs + at, scores == NULL ? NULL : scores + at, run))
            return false;
    }
    return true;
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* The best that a document from `doc` to *last can be by its first key. */
static cell best_of_block(const qn_sorter *s, uint32_t doc, uint32_t *last)
{
    const reader *r = &s->readers[0];
    int64_t min, max;
    qn_column_bounds(&r->column, doc, last, &min, &max);
    cell best = {.rank = CELL_LAST};
    if (min <= max) {
        int64_t key = r->key->descending ? max : min;
        if (r->real && key >= -1 && key <= 0) key = r->key->descending ? 0 : -1;
        best = (cell){.key = directed(r, key), .rank = CELL_VALUE, .ordinal = true};
        if (r->real && isnan(qn_column_f64_of_key(r->type, key)))
            best.key = INT64_MIN; /* tells nothing of the numbers beside */
    }
    if (!r->column.has_missing) return best;
    const cell *m = &r->missing;
    if (m->rank < best.rank) return *m;
    if (m->rank == CELL_VALUE && (r->keyword || m->key < best.key))
        best.key = r->keyword ? INT64_MIN : m->key;
    return best;
}

/* Is all of a block before the page that was asked for? */
static bool block_is_before(const qn_sorter *s, uint32_t doc)
{
    const reader *r = &s->readers[0];
    const cell *a = s->after;
    if (a == NULL || r->keyword || a->rank != CELL_VALUE || r->column.has_missing)
        return false;
    uint32_t last;
    int64_t min, max;
    qn_column_bounds(&r->column, doc, &last, &min, &max);
    int64_t worst = directed(r, r->key->descending ? min : max);
    return min <= max && !r->real && worst < a->key;
}

static bool may_skip(const qn_sorter *s)
{
    return s->readers[0].bounded && s->readers[0].there;
}

uint32_t qn_sorter_skip(const qn_sorter *s, uint32_t doc)
{
    const reader *r = &s->readers[0];
    if (s->n == s->limit && s->forward && r->key->kind == QN_SORT_DOC &&
        !r->key->descending)
        return QN_DOC_END;
    if (!may_skip(s)) return doc;
    while (doc < s->doc_count) {
        uint32_t last = doc;
        cell best = best_of_block(s, doc, &last);
        if (!over_bound(s, best.rank, best.key) && !block_is_before(s, doc)) return doc;
        doc = last + 1;
    }
    return QN_DOC_END;
}

typedef struct block {
    cell best;
    uint32_t begin, limit;
} block;

static bool better_block(const block *a, const block *b)
{
    if (a->best.rank != b->best.rank) return a->best.rank < b->best.rank;
    if (a->best.key != b->best.key) return a->best.key < b->best.key;
    return a->begin < b->begin;
}

static void sift_block(block *heap, size_t n, size_t i)
{
    block moved = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && better_block(&heap[child + 1], &heap[child])) child++;
        if (!better_block(&heap[child], &moved)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static size_t block_docs(const block *b, const uint64_t *accept,
                         const uint64_t *deleted, uint32_t *docs)
{
    size_t n = 0;
    for (uint32_t at = b->begin; at < b->limit; at += 64) {
        uint64_t left = accept == NULL ? UINT64_MAX : accept[at / 64];
        if (deleted != NULL) left &= ~deleted[at / 64];
        if (b->limit - at < 64) left &= UINT64_MAX >> (64 - (b->limit - at));
        for (; left != 0; left &= left - 1)
            docs[n++] = at + (uint32_t)__builtin_ctzll(left);
    }
    return n;
}

static bool take_block(qn_sorter *s, const block *b, const uint64_t *accept)
{
    uint32_t docs[BLOCK];
    const uint64_t *deleted = s->snapshot->segments[s->segment].deleted;
    size_t n = block_docs(b, accept, deleted, docs);
    return qn_sorter_add(s, docs, NULL, n);
}

qn_status qn_sorter_blocks(qn_sorter *s, const uint64_t *accept, qn_arena *scratch,
                           qn_error *err)
{
    size_t n = 0, room = s->doc_count / BLOCK + 1;
    block *heap = qn_arena_array(scratch, room, sizeof *heap);
    if (heap == NULL) return no_memory(err);
    bool bounds = may_skip(s);
    for (uint32_t doc = 0; doc < s->doc_count;) {
        uint32_t left = s->doc_count - doc;
        block b = {.begin = doc, .limit = doc + (left < BLOCK ? left : BLOCK)};
        uint32_t last;
        if (bounds) b.best = best_of_block(s, doc, &last);
        doc = b.limit;
        if (bounds && block_is_before(s, b.begin)) continue;
        heap[n++] = b;
    }
    s->forward = !bounds;
    for (size_t i = n / 2; bounds && i > 0; i--) sift_block(heap, n, i - 1);
    for (size_t i = 0; !bounds && i < n; i++)
        if (!take_block(s, &heap[i], accept)) return no_memory(err);
    while (bounds && n > 0) {
        if (over_bound(s, heap[0].best.rank, heap[0].best.key)) break;
        if (!take_block(s, &heap[0], accept)) return no_memory(err);
        heap[0] = heap[--n];
        if (n > 0) sift_block(heap, n, 0);
    }
    return QN_OK;
}

/* ---- the end ----------------------------------------------------------------------------- */

qn_status qn_sorter_finish(qn_sorter *s, const qn_candidate **out, size_t *count,
                           qn_error *err)
{
    size_t n = s->n;
    qn_candidate *sorted = qn_arena_array(s->arena, n + 1, sizeof *sorted);
    if (sorted == NULL) return no_memory(err);
    if (n < s->limit)
        for (size_t i = n / 2; i > 0; i--) sift_down(s, i - 1);
    while (s->n > 0) {
        sorted[s->n - 1] = s->rows[0].c;
        s->rows[0] = s->rows[--s->n];
        if (s->n > 0) sift_down(s, 0);
    }
    *out = sorted;
    *count = n;
    return QN_OK;
}
