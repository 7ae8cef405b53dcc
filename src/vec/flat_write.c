/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors collected in memory, and the bytes of their block; read back by flat.c. */
#include "base/bits.h"
#include "vec/flat_internal.h"

#include <math.h>

struct qn_flat_builder {
    qn_alloc *alloc;
    qn_flat_options o;
    const qn_kernels *kernels;
    uint32_t count, next_doc;
    qn_buf docs, rows, scales, squares, lengths;
    float *scratch; /* a normalised vector */
};

double qn_flat__length(const float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)v[i] * (double)v[i];
    return sqrt(sum);
}

bool qn_flat__finite(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

bool qn_flat__to_i8(const float *v, size_t n, int8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] >= -128.0f && v[i] <= 127.0f) || v[i] != truncf(v[i])) return false;
        out[i] = (int8_t)v[i];
    }
    return true;
}

qn_status qn_flat_builder_create(qn_alloc *a, const qn_flat_options *o,
                                 const qn_kernels *kernels, qn_flat_builder **out,
                                 qn_error *err)
{
    *out = NULL;
    if (o->dims == 0 || o->dims > QN_VINDEX_DIMS_MAX)
        return qn_fail(err, QN_EDIMS, "a vector has 1 to %d dimensions, not %u",
                       QN_VINDEX_DIMS_MAX, o->dims);
    if (o->raw && o->element != QN_VINDEX_I8)
        return qn_fail(err, QN_EINVAL, "raw vectors are of int8");
    qn_flat_builder *b = qn_new0(a, sizeof *b);
    if (b == NULL) return qn_fail(err, QN_ENOMEM, "vectors");
    b->alloc = a;
    b->o = *o;
    b->kernels = kernels != NULL ? kernels : qn_kernels_best();
    qn_buf *const bufs[] = {&b->docs, &b->rows, &b->scales, &b->squares, &b->lengths};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) qn_buf_init(bufs[i], a);
    b->scratch = qn_new_array(a, o->dims, sizeof *b->scratch);
    if (b->scratch == NULL) {
        qn_flat_builder_destroy(b);
        return qn_fail(err, QN_ENOMEM, "vectors");
    }
    *out = b;
    return QN_OK;
}

void qn_flat_builder_destroy(qn_flat_builder *b)
{
    if (b == NULL) return;
    qn_buf *const bufs[] = {&b->docs, &b->rows, &b->scales, &b->squares, &b->lengths};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) qn_buf_deinit(bufs[i]);
    qn_delete(b->alloc, b->scratch);
    qn_delete(b->alloc, b);
}

uint32_t qn_flat_builder_count(const qn_flat_builder *b)
{
    return b->count;
}

size_t qn_flat_builder_bytes(const qn_flat_builder *b)
{
    return sizeof *b + b->docs.capacity + b->rows.capacity + b->scales.capacity +
           b->squares.capacity + b->lengths.capacity + b->o.dims * sizeof *b->scratch;
}

/* ---- adding ------------------------------------------------------------------------- */

static size_t row_size(const qn_flat_options *o)
{
    return o->dims * (o->element == QN_VINDEX_I8 ? sizeof(int8_t) : sizeof(float));
}

/* Room in every section, so that a vector is added whole or not at all. */
static bool reserve(qn_flat_builder *b)
{
    bool all = qn_buf_reserve(&b->docs, 4) != NULL;
    all = qn_buf_reserve(&b->rows, row_size(&b->o)) != NULL && all;
    all = qn_buf_reserve(&b->scales, 4) != NULL && all;
    all = qn_buf_reserve(&b->squares, 4) != NULL && all;
    all = qn_buf_reserve(&b->lengths, 4) != NULL && all;
    if (all) return true;
    b->docs.failed = b->rows.failed = b->scales.failed = false;
    b->squares.failed = b->lengths.failed = false;
    return false;
}

static void put_float(qn_buf *out, float v)
{
    qn_buf_add(out, &v, sizeof v);
}

static void put_i8(qn_flat_builder *b, const float *v, double length)
{
    const qn_flat_options *o = &b->o;
    int8_t *row = (int8_t *)(void *)(b->rows.p + b->rows.n);
    float scale = 0;
    if (o->raw) {
        (void)qn_flat__to_i8(v, o->dims, row); /* checked before */
        scale = (float)(1.0 / length);         /* only of use with COSINE */
    } else {
        scale = b->kernels->quantize_i8(v, o->dims, row);
    }
    b->rows.n += o->dims;
    if (qn_flat__has_scales(o->metric, o->element, o->raw))
        put_float(&b->scales, scale);
    if (qn_flat__has_squares(o->metric, o->element, o->raw)) {
        int32_t square = b->kernels->dot_i8(row, row, o->dims);
        qn_buf_add(&b->squares, &square, sizeof square);
    }
}

static qn_status check_vector(qn_flat_builder *b, uint32_t doc, const float *v,
                              size_t dims, qn_error *err)
{
    int8_t room[QN_VINDEX_DIMS_MAX];
    if (dims != b->o.dims)
        return qn_fail(err, QN_EDIMS, "a vector of %zu dimensions in a field of %u",
                       dims, b->o.dims);
    if (doc < b->next_doc || doc == UINT32_MAX)
        return qn_fail(err, QN_EINVAL, "vectors come in ascending order of documents");
    if (!qn_flat__finite(v, dims))
        return qn_fail(err, QN_EINVAL, "a vector holds a number that is not finite");
    if (b->o.raw && !qn_flat__to_i8(v, dims, room))
        return qn_fail(err, QN_EINVAL, "a vector of bytes holds another number");
    return QN_OK;
}

qn_status qn_flat_builder_add(qn_flat_builder *b, uint32_t doc, const float *vector,
                              size_t dims, qn_error *err)
{
    const qn_flat_options *o = &b->o;
    QN_TRY(check_vector(b, doc, vector, dims, err));
    double length = o->metric == QN_VINDEX_COSINE ? qn_flat__length(vector, dims) : 1.0;
    if (length == 0)
        return qn_fail(err, QN_EINVAL, "a vector of zeros has no direction for cosine");
    if (!reserve(b)) return qn_fail(err, QN_ENOMEM, "vectors");
    if (qn_flat__has_lengths(o->metric, o->raw)) {
        for (size_t i = 0; i < dims; i++)
            b->scratch[i] = (float)((double)vector[i] / length);
        vector = b->scratch;
        put_float(&b->lengths, (float)length);
    }
    qn_buf_add(&b->docs, &doc, sizeof doc);
    if (o->element == QN_VINDEX_I8)
        put_i8(b, vector, length);
    else
        qn_buf_add(&b->rows, vector, dims * sizeof *vector);
    b->count++;
    b->next_doc = doc + 1;
    return QN_OK;
}

/* ---- writing ------------------------------------------------------------------------ */

static void put_section(qn_blockfile_writer *w, const qn_buf *bytes)
{
    static const uint8_t zero[QN_BLOCK_ALIGN];
    if (bytes->n == 0) return;
    qn_blockfile_write(w, bytes->p, bytes->n);
    qn_blockfile_write(w, zero,
                       (size_t)(qn_align_up(bytes->n, QN_BLOCK_ALIGN) - bytes->n));
}

qn_status qn_flat_builder_write(const qn_flat_builder *b, uint32_t field,
                                uint32_t doc_count, qn_blockfile_writer *w,
                                qn_error *err)
{
    if (b->count == 0) return QN_OK;
    if (b->next_doc > doc_count)
        return qn_fail(err, QN_EINVAL, "a vector of document %u in a segment of %u",
                       b->next_doc - 1, doc_count);
    bool map = b->count < doc_count;
    uint8_t header[FLAT_HEADER] = {0};
    header[0] = FLAT_CODE;
    header[2] = (uint8_t)b->o.metric;
    header[3] = (uint8_t)b->o.element;
    header[4] = (uint8_t)((b->o.raw ? FLAT_RAW : 0) | (map ? FLAT_MAP : 0));
    qn_store32(header + 8, b->o.dims);
    qn_store32(header + 12, b->count);
    qn_store32(header + 16, doc_count);
    qn_blockfile_begin(w, QN_BLOCK_VINDEX, field);
    qn_blockfile_write(w, header, sizeof header);
    if (map) put_section(w, &b->docs);
    put_section(w, &b->rows);
    put_section(w, &b->scales);
    put_section(w, &b->squares);
    put_section(w, &b->lengths);
    return qn_blockfile_end(w, err);
}
