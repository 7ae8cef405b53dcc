/* SPDX-License-Identifier: Apache-2.0 */
#include "vec/flat.h"

#include "base/bits.h"
#include "vec/flat_internal.h"
#include "vec/top.h"

#include <math.h>

/* Rows compared before the deadline is looked at, and scratch on the stack. */
enum { BATCH = 1024 };

static const flat *as_flat(const qn_vindex *v)
{
    return (const flat *)(const void *)v; /* `base` is the first member */
}

/* ---- opening ------------------------------------------------------------------------ */

/* Takes a section of `size` bytes with the zeros behind it off the block. Blocks and
 * sections are aligned to 64, so their numbers can be read in place. */
static const void *take(qn_slice *rest, uint64_t size)
{
    uint64_t padded = qn_align_up(size, QN_BLOCK_ALIGN);
    if (padded < size || padded > rest->n) return NULL;
    for (uint64_t i = size; i < padded; i++)
        if (rest->p[i] != 0) return NULL;
    const void *p = rest->p;
    rest->p += padded;
    rest->n -= padded;
    return p;
}

static bool read_header(flat *f, const uint8_t *p, bool *map)
{
    if (p == NULL || p[1] != 0 || p[2] > QN_VINDEX_COSINE || p[3] > QN_VINDEX_I8 ||
        p[4] > FLAT_FLAGS || p[5] != 0 || p[6] != 0 || p[7] != 0)
        return false;
    for (size_t i = 20; i < FLAT_HEADER; i++)
        if (p[i] != 0) return false;
    f->metric = (qn_vindex_metric)p[2];
    f->element = (qn_vindex_element)p[3];
    f->raw = p[4] & FLAT_RAW;
    *map = p[4] & FLAT_MAP;
    f->dims = qn_load32(p + 8);
    f->count = qn_load32(p + 12);
    f->doc_count = qn_load32(p + 16);
    return f->dims > 0 && f->dims <= QN_VINDEX_DIMS_MAX && f->count > 0 &&
           f->count <= UINT32_MAX / 2 &&
           (*map ? f->count < f->doc_count : f->count == f->doc_count) &&
           (!f->raw || f->element == QN_VINDEX_I8);
}

static bool docs_rise(const flat *f)
{
    for (uint32_t r = 1; r < f->count; r++)
        if (f->docs[r] <= f->docs[r - 1]) return false;
    return f->docs[f->count - 1] < f->doc_count;
}

static bool read_block(flat *f, qn_slice rest)
{
    bool map = false;
    if (!read_header(f, take(&rest, FLAT_HEADER), &map)) return false;
    uint64_t cells = (uint64_t)f->count * f->dims, list = (uint64_t)f->count * 4;
    if (map) {
        f->docs = take(&rest, list);
        if (f->docs == NULL || !docs_rise(f)) return false;
    }
    if (f->element == QN_VINDEX_I8)
        f->i8 = take(&rest, cells);
    else
        f->f32 = take(&rest, cells * sizeof(float));
    if (f->i8 == NULL && f->f32 == NULL) return false;
    if (qn_flat__has_scales(f->metric, f->element, f->raw) &&
        (f->scales = take(&rest, list)) == NULL)
        return false;
    if (qn_flat__has_squares(f->metric, f->element, f->raw) &&
        (f->squares = take(&rest, list)) == NULL)
        return false;
    if (qn_flat__has_lengths(f->metric, f->raw) &&
        (f->lengths = take(&rest, list)) == NULL)
        return false;
    return rest.n == 0;
}

static qn_status corrupt(const qn_blockfile *file, uint32_t field, qn_slice block,
                         qn_error *err)
{
    uint64_t at = QN_AT_NONE;
    for (size_t i = 0; i < qn_blockfile_count(file); i++) {
        uint32_t kind = 0, id = 0;
        uint64_t offset = 0, size = 0;
        qn_blockfile_entry(file, i, &kind, &id, &offset, &size);
        if (kind == QN_BLOCK_VINDEX && id == field) at = offset;
    }
    return qn_fail_file(err, QN_ECORRUPT, qn_blockfile_name(file), at,
                        "broken vectors of field %u (%zu bytes)", field, block.n);
}

static qn_status flat_open(qn_alloc *a, const qn_blockfile *file, uint32_t field,
                           qn_slice block, qn_vindex **out, qn_error *err)
{
    *out = NULL;
    flat f = {.base = {.kind = &qn_flat_kind, .alloc = a}};
    if (!read_block(&f, block)) return corrupt(file, field, block, err);
    flat *kept = qn_new0(a, sizeof *kept);
    if (kept == NULL) return qn_fail(err, QN_ENOMEM, "a vector index");
    *kept = f;
    *out = &kept->base;
    return QN_OK;
}

static void flat_close(qn_vindex *v)
{
    qn_delete(v->alloc, v);
}

static void flat_info(const qn_vindex *v, qn_vindex_info *out)
{
    const flat *f = as_flat(v);
    *out = (qn_vindex_info){
        .kind = v->kind->name,
        .metric = f->metric,
        .element = f->element,
        .raw = f->raw,
        .exact = true,
        .dims = f->dims,
        .count = f->count,
        .doc_count = f->doc_count,
    };
}

/* ---- rows and documents --------------------------------------------------------------- */

static uint32_t doc_of(const flat *f, uint32_t row)
{
    return f->docs == NULL ? row : f->docs[row];
}

/* false when the document has no vector. */
static bool row_of(const flat *f, uint32_t doc, uint32_t *row)
{
    if (f->docs == NULL) {
        *row = doc;
        return doc < f->count;
    }
    uint32_t low = 0, high = f->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->docs[middle] < doc)
            low = middle + 1;
        else
            high = middle;
    }
    *row = low;
    return low < f->count && f->docs[low] == doc;
}

static bool flat_has(const qn_vindex *v, uint32_t doc)
{
    uint32_t row = 0;
    return row_of(as_flat(v), doc, &row);
}

static bool flat_vector(const qn_vindex *v, uint32_t doc, float *out)
{
    const flat *f = as_flat(v);
    uint32_t row = 0;
    if (!row_of(f, doc, &row)) return false;
    float scale = f->raw || f->scales == NULL ? 1.0f : f->scales[row];
    if (f->lengths != NULL) scale *= f->lengths[row];
    size_t at = (size_t)row * f->dims;
    for (size_t i = 0; i < f->dims; i++)
        out[i] = (f->i8 != NULL ? (float)f->i8[at + i] : f->f32[at + i]) * scale;
    return true;
}

/* ---- comparing ------------------------------------------------------------------------ */

/* A query in the form that the rows have. */
typedef struct probe {
    const qn_kernels *kernels;
    const float *f32;
    float scale;    /* of i8 */
    int32_t square; /* sum of squares of i8 */
    float room[QN_VINDEX_DIMS_MAX];
    int8_t i8[QN_VINDEX_DIMS_MAX];
} probe;

static qn_status probe_init(probe *p, const flat *f, const qn_vindex_query *q,
                            qn_error *err)
{
    if (q->dims != f->dims)
        return qn_fail(err, QN_EDIMS,
                       "the query vector has a different number of dimensions [%zu] "
                       "than the document vectors [%u]",
                       q->dims, f->dims);
    if (!qn_flat__finite(q->vector, q->dims))
        return qn_fail(err, QN_EINVAL,
                       "the query vector holds a number that is not "
                       "finite");
    p->kernels = q->kernels != NULL ? q->kernels : qn_kernels_best();
    p->f32 = q->vector;
    p->scale = 1.0f;
    double length = 1.0;
    if (f->metric == QN_VINDEX_COSINE) {
        length = qn_flat__length(q->vector, q->dims);
        if (length == 0)
            return qn_fail(err, QN_EINVAL,
                           "a query vector of zeros has no direction "
                           "for cosine");
    }
    if (f->raw) {
        if (!qn_flat__to_i8(q->vector, q->dims, p->i8))
            return qn_fail(
                err, QN_EINVAL,
                "the field holds vectors of bytes; the query vector does not");
        p->scale = (float)(1.0 / length);
        return QN_OK;
    }
    if (f->metric == QN_VINDEX_COSINE) {
        for (size_t i = 0; i < q->dims; i++)
            p->room[i] = (float)((double)q->vector[i] / length);
        p->f32 = p->room;
    }
    if (f->element == QN_VINDEX_I8) {
        p->scale = p->kernels->quantize_i8(p->f32, q->dims, p->i8);
        p->square = p->kernels->dot_i8(p->i8, p->i8, q->dims);
    }
    return QN_OK;
}

/* From an integer product to the metric. */
static float value_i8(const flat *f, const probe *p, uint32_t row, int32_t product)
{
    if (f->raw && f->metric != QN_VINDEX_COSINE) return (float)product;
    float scale = f->scales[row];
    if (f->metric != QN_VINDEX_L2) return (float)product * scale * p->scale;
    /* |q - v|^2 of the quantised vectors, from exact sums: in double, because near
     * vectors cancel. */
    double a = (double)p->scale, b = (double)scale;
    double d = a * a * p->square + b * b * f->squares[row] - 2 * a * b * product;
    return d > 0 ? (float)d : 0.0f;
}

/* Of rows [row, row + n), n at most BATCH. */
static void values_of_rows(const flat *f, const probe *p, uint32_t row, uint32_t n,
                           float *out)
{
    const qn_kernels *k = p->kernels;
    size_t at = (size_t)row * f->dims;
    if (f->element == QN_VINDEX_F32) {
        if (f->metric == QN_VINDEX_L2)
            k->l2_f32_rows(p->f32, f->f32 + at, n, f->dims, out);
        else
            k->dot_f32_rows(p->f32, f->f32 + at, n, f->dims, out);
        return;
    }
    int32_t products[BATCH];
    if (f->raw && f->metric == QN_VINDEX_L2)
        k->l2_i8_rows(p->i8, f->i8 + at, n, f->dims, products);
    else
        k->dot_i8_rows(p->i8, f->i8 + at, n, f->dims, products);
    for (uint32_t i = 0; i < n; i++) out[i] = value_i8(f, p, row + i, products[i]);
}

static qn_status flat_values(const qn_vindex *v, const qn_vindex_query *q,
                             const uint32_t *docs, size_t n, float *out, qn_error *err)
{
    const flat *f = as_flat(v);
    probe p;
    QN_TRY(probe_init(&p, f, q, err));
    for (size_t i = 0; i < n; i++) {
        uint32_t row = 0;
        if (row_of(f, docs[i], &row))
            values_of_rows(f, &p, row, 1, &out[i]);
        else
            out[i] = NAN;
    }
    return QN_OK;
}

/* ---- searching -------------------------------------------------------------------------- */

static bool accepted(const flat *f, const qn_vindex_query *q, uint32_t row)
{
    return q->accept == NULL || qn_bitset_has(q->accept, doc_of(f, row));
}

/* Rows [row, row + n): all at once where enough of them count, else one by one. Both
 * give the same bits. */
static void search_batch(const flat *f, const qn_vindex_query *q, const probe *p,
                         uint32_t row, uint32_t n, qn_top *top)
{
    float values[BATCH];
    float sign = f->metric == QN_VINDEX_L2 ? -1.0f : 1.0f;
    uint32_t wanted = n;
    if (q->accept != NULL) {
        wanted = 0;
        for (uint32_t i = 0; i < n; i++) wanted += accepted(f, q, row + i);
    }
    bool together = wanted >= n / 4;
    if (wanted == 0) return;
    if (together) values_of_rows(f, p, row, n, values);
    for (uint32_t i = 0; i < n; i++) {
        if (!accepted(f, q, row + i)) continue;
        if (!together) values_of_rows(f, p, row + i, 1, &values[i]);
        qn_top_offer(top, doc_of(f, row + i), sign * values[i]);
    }
}

static qn_status flat_search(const qn_vindex *v, const qn_vindex_query *q,
                             qn_vec_hit *hits, size_t *n, qn_error *err)
{
    const flat *f = as_flat(v);
    probe p;
    *n = 0;
    QN_TRY(probe_init(&p, f, q, err));
    float sign = f->metric == QN_VINDEX_L2 ? -1.0f : 1.0f;
    qn_top top;
    qn_top_init(&top, hits, q->k, q->has_threshold ? sign * q->threshold : -INFINITY);
    qn_status st = QN_OK;
    for (uint32_t row = 0; row < f->count && q->k > 0; row += BATCH) {
        if (qn_deadline_passed(q->deadline)) {
            st = qn_deadline_cancelled(q->deadline)
                     ? qn_fail(err, QN_ECANCELLED, "the search was cancelled")
                     : qn_fail(err, QN_ETIMEOUT, "out of time after %u of %u vectors",
                               row, f->count);
            break;
        }
        uint32_t left = f->count - row;
        search_batch(f, q, &p, row, left < BATCH ? left : BATCH, &top);
    }
    *n = qn_top_finish(&top);
    for (size_t i = 0; i < *n; i++) hits[i].value *= sign;
    return st;
}

const qn_vindex_kind qn_flat_kind = {
    .code = FLAT_CODE,
    .name = "flat",
    .exact = true,
    .open = flat_open,
    .close = flat_close,
    .info = flat_info,
    .has = flat_has,
    .search = flat_search,
    .values = flat_values,
    .vector = flat_vector,
};
