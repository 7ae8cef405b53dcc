/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/file/qnm.h"

#include "base/map.h"

#include <math.h>
#include <stdatomic.h>

enum { ARENA_LIMIT = 64 * 1024 * 1024 };

struct qn_qnm {
    qn_alloc *alloc;
    qn_blockfile *file;
    qn_arena arena; /* the JSON trees, names and tensors */
    const qn_json *meta;
    qn_slice vocab;
    qn_tensor *tensors;
    atomic_uchar *read; /* per tensor: verified */
    size_t count;
    bool unread; /* matrices are verified when asked for */
    qn_map by_name;
};

/* ---- reading ---------------------------------------------------------------- */

static qn_status bad_tensor(const qn_qnm *q, const char *name, const char *what,
                            qn_error *err)
{
    return qn_fail_file(err, QN_EMODEL, qn_blockfile_name(q->file), QN_AT_NONE,
                        "tensor \"%s\": %s", name, what);
}

static size_t dtype_size(qn_model_dtype dtype)
{
    return dtype == QN_MODEL_F32 ? 4 : dtype == QN_MODEL_BF16 ? 2 : 1;
}

static bool all_finite(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

static bool no_minus_128(const int8_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == -128) return false;
    return true;
}

static bool all_finite_bf16(const uint16_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((v[i] & 0x7F80u) == 0x7F80u) return false;
    return true;
}

/* The bytes are as many as the shape says. */
static qn_status check_sizes(const qn_qnm *q, const qn_tensor *t, qn_slice data,
                             qn_slice scale, qn_error *err)
{
    size_t count = (size_t)t->rows * t->columns; /* under 2^40: both are limited */
    if (data.n != count * dtype_size(t->dtype))
        return bad_tensor(q, t->name, "its block has another size than its shape", err);
    if (t->dtype == QN_MODEL_INT8 && scale.n != t->rows * sizeof(float))
        return bad_tensor(q, t->name, "not one scale a row", err);
    return QN_OK;
}

/* `rows` rows from `first` on are values that kernels can take. */
static qn_status check_values(const qn_qnm *q, const qn_tensor *t, size_t first,
                              size_t rows, qn_error *err)
{
    size_t at = first * t->columns, count = rows * t->columns;
    if (t->dtype == QN_MODEL_INT8) {
        if (!no_minus_128((const int8_t *)t->data + at, count))
            return bad_tensor(q, t->name, "-128 in an int8 weight", err);
        if (!all_finite(t->scale + first, rows))
            return bad_tensor(q, t->name, "a scale is not finite", err);
        return QN_OK;
    }
    bool finite = t->dtype == QN_MODEL_F32
                      ? all_finite((const float *)t->data + at, count)
                      : all_finite_bf16((const uint16_t *)t->data + at, count);
    return finite ? QN_OK : bad_tensor(q, t->name, "a value is not finite", err);
}

static bool dimension(const qn_json *v, uint32_t most, uint32_t *out)
{
    if (v == NULL || v->kind != QN_JSON_INT || v->integer < 1 || v->integer > most)
        return false;
    *out = (uint32_t)v->integer;
    return true;
}

/* Item i of the list: {"name", "dtype", "shape"}. */
static qn_status read_tensor(qn_qnm *q, const qn_json *item, uint32_t i, qn_error *err)
{
    const char *file = qn_blockfile_name(q->file);
    const qn_json *name = qn_json_get(item, "name"), *type = qn_json_get(item, "dtype");
    const qn_json *shape = qn_json_get(item, "shape");
    if (name == NULL || name->kind != QN_JSON_STRING || type == NULL ||
        type->kind != QN_JSON_STRING || shape == NULL || shape->kind != QN_JSON_ARRAY)
        return qn_fail_file(err, QN_EMODEL, file, QN_AT_NONE,
                            "tensor %u: name, dtype or shape is missing", i);
    qn_tensor *t = &q->tensors[i];
    t->name = qn_arena_strndup(&q->arena, name->string.p, name->string.n);
    if (t->name == NULL) return qn_fail(err, QN_ENOMEM, "model file");
    if (qn_map_get(&q->by_name, name->string, NULL))
        return bad_tensor(q, t->name, "there twice", err);
    if (!qn_map_put(&q->by_name, name->string, i))
        return qn_fail(err, QN_ENOMEM, "model file");
    if (!qn_model_dtype_parse(type->string, &t->dtype))
        return bad_tensor(q, t->name, "unknown dtype", err);
    const qn_json *last = shape->first == NULL ? NULL : shape->first->next;
    t->rank = (uint32_t)shape->count;
    t->rows = 1;
    bool shaped = shape->count == 1
                      ? dimension(shape->first, QN_QNM_COLUMNS_MAX, &t->columns)
                      : shape->count == 2 &&
                            dimension(shape->first, QN_QNM_ROWS_MAX, &t->rows) &&
                            dimension(last, QN_QNM_COLUMNS_MAX, &t->columns);
    if (!shaped) return bad_tensor(q, t->name, "shape out of range", err);
    if (t->rank == 1 && t->dtype != QN_MODEL_F32)
        return bad_tensor(q, t->name, "a vector that is not f32", err);

    /* Of a longer block this looks at the checksums of its pages alone. */
    qn_slice data = {0}, scale = {0};
    QN_TRY(qn_blockfile_part(q->file, QN_QNM_DATA, i, 0, 0, &data, err));
    if (t->dtype == QN_MODEL_INT8)
        QN_TRY(qn_blockfile_part(q->file, QN_QNM_SCALE, i, 0, 0, &scale, err));
    t->data = data.p;
    t->scale = t->dtype == QN_MODEL_INT8 ? (const float *)(const void *)scale.p : NULL;
    QN_TRY(check_sizes(q, t, data, scale, err));
    return q->unread && t->rank == 2 ? QN_OK : qn_qnm_read(q, t, err);
}

qn_status qn_qnm_read(const qn_qnm *q, const qn_tensor *t, qn_error *err)
{
    size_t i = (size_t)(t - q->tensors);
    qn_slice ignored = {0};
    qn_assert(i < q->count);
    if (atomic_load_explicit(&q->read[i], memory_order_acquire) != 0) return QN_OK;
    QN_TRY(qn_blockfile_block(q->file, QN_QNM_DATA, (uint32_t)i, &ignored, err));
    if (t->dtype == QN_MODEL_INT8)
        QN_TRY(qn_blockfile_block(q->file, QN_QNM_SCALE, (uint32_t)i, &ignored, err));
    QN_TRY(check_values(q, t, 0, t->rows, err));
    atomic_store_explicit(&q->read[i], 1, memory_order_release);
    return QN_OK;
}

qn_status qn_qnm_read_all(const qn_qnm *q, qn_error *err)
{
    for (size_t i = 0; i < q->count; i++) QN_TRY(qn_qnm_read(q, &q->tensors[i], err));
    return QN_OK;
}

qn_status qn_qnm_row(const qn_qnm *q, const qn_tensor *t, size_t r, float *out,
                     qn_error *err)
{
    uint32_t i = (uint32_t)(t - q->tensors);
    if (atomic_load_explicit(&q->read[i], memory_order_acquire) == 0) {
        size_t row = t->columns * dtype_size(t->dtype);
        qn_slice ignored = {0};
        QN_TRY(qn_blockfile_part(q->file, QN_QNM_DATA, i, r * row, row, &ignored, err));
        if (t->dtype == QN_MODEL_INT8)
            QN_TRY(qn_blockfile_part(q->file, QN_QNM_SCALE, i, r * sizeof(float),
                                     sizeof(float), &ignored, err));
        QN_TRY(check_values(q, t, r, 1, err));
    }
    qn_tensor_row_f32(t, r, out);
    return QN_OK;
}

static qn_status read_json(qn_qnm *q, uint32_t kind, qn_json_kind want,
                           const qn_json **out, qn_error *err)
{
    qn_slice text = {0};
    QN_TRY(qn_blockfile_block(q->file, kind, 0, &text, err));
    QN_TRY(qn_json_parse(&q->arena, text, out, err));
    if ((*out)->kind == want) return QN_OK;
    return qn_fail_file(err, QN_EMODEL, qn_blockfile_name(q->file), QN_AT_NONE,
                        "block %u is no JSON %s", kind, qn_json_kind_name(want));
}

static qn_status read_all(qn_qnm *q, qn_error *err)
{
    if (!q->unread) QN_TRY(qn_blockfile_verify(q->file, err));
    QN_TRY(read_json(q, QN_QNM_META, QN_JSON_OBJECT, &q->meta, err));
    QN_TRY(qn_blockfile_block(q->file, QN_QNM_VOCAB, 0, &q->vocab, err));
    const qn_json *list = NULL;
    QN_TRY(read_json(q, QN_QNM_TENSORS, QN_JSON_ARRAY, &list, err));
    if (list->count > QN_QNM_TENSORS_MAX)
        return qn_fail_file(err, QN_EMODEL, qn_blockfile_name(q->file), QN_AT_NONE,
                            "%zu tensors, at most %d", list->count, QN_QNM_TENSORS_MAX);
    q->tensors = qn_arena_array(&q->arena, list->count + 1, sizeof *q->tensors);
    q->read = qn_arena_array(&q->arena, list->count + 1, sizeof *q->read);
    if (q->tensors == NULL || q->read == NULL)
        return qn_fail(err, QN_ENOMEM, "model file");
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        uint32_t i = (uint32_t)q->count++;
        QN_TRY(read_tensor(q, it, i, err));
    }
    return QN_OK;
}

/* Takes the block file over, also when it fails. */
static qn_status open_file(qn_alloc *a, qn_blockfile *file, bool unread, qn_qnm **out,
                           qn_error *err)
{
    *out = NULL;
    qn_qnm *q = qn_new0(a, sizeof *q);
    if (q == NULL) {
        qn_blockfile_close(file);
        return qn_fail(err, QN_ENOMEM, "model file");
    }
    q->alloc = a;
    q->file = file;
    q->unread = unread;
    qn_arena_init(&q->arena, a, ARENA_LIMIT);
    qn_map_init(&q->by_name, a);
    qn_status st = read_all(q, err);
    if (st != QN_OK) {
        qn_qnm_close(q);
        return st;
    }
    *out = q;
    return QN_OK;
}

static qn_status open_path(qn_alloc *a, const char *path, bool unread, qn_qnm **out,
                           qn_error *err)
{
    *out = NULL;
    qn_blockfile *file = NULL;
    QN_TRY(qn_blockfile_open(a, path, QN_QNM_MAGIC, QN_QNM_VERSION, &file, err));
    return open_file(a, file, unread, out, err);
}

qn_status qn_qnm_open(qn_alloc *a, const char *path, qn_qnm **out, qn_error *err)
{
    return open_path(a, path, false, out, err);
}

qn_status qn_qnm_open_unread(qn_alloc *a, const char *path, qn_qnm **out, qn_error *err)
{
    return open_path(a, path, true, out, err);
}

qn_status qn_qnm_open_memory(qn_alloc *a, const uint8_t *bytes, size_t n,
                             const char *name, qn_qnm **out, qn_error *err)
{
    *out = NULL;
    qn_blockfile *file = NULL;
    QN_TRY(qn_blockfile_open_memory(a, bytes, n, false, name, QN_QNM_MAGIC,
                                    QN_QNM_VERSION, &file, err));
    return open_file(a, file, false, out, err);
}

void qn_qnm_close(qn_qnm *q)
{
    if (q == NULL) return;
    qn_map_deinit(&q->by_name);
    qn_arena_deinit(&q->arena);
    qn_blockfile_close(q->file);
    qn_delete(q->alloc, q);
}

const char *qn_qnm_name(const qn_qnm *q)
{
    return qn_blockfile_name(q->file);
}

uint64_t qn_qnm_size(const qn_qnm *q)
{
    return qn_blockfile_size(q->file);
}

uint64_t qn_qnm_digest(const qn_qnm *q)
{
    return qn_blockfile_digest(q->file);
}

const qn_json *qn_qnm_meta(const qn_qnm *q)
{
    return q->meta;
}

qn_slice qn_qnm_vocab(const qn_qnm *q)
{
    return q->vocab;
}

size_t qn_qnm_count(const qn_qnm *q)
{
    return q->count;
}

const qn_tensor *qn_qnm_tensor(const qn_qnm *q, size_t i)
{
    return &q->tensors[i];
}

const qn_tensor *qn_qnm_find(const qn_qnm *q, const char *name)
{
    uint64_t i = 0;
    return qn_map_get(&q->by_name, qn_slice_of(name), &i) ? &q->tensors[i] : NULL;
}

/* ---- writing ---------------------------------------------------------------- */

struct qn_qnm_writer {
    qn_alloc *alloc;
    qn_blockfile_writer *file;
    qn_buf list; /* JSON of the tensors written so far */
    qn_json_writer json;
    uint32_t count;
};

qn_status qn_qnm_writer_create(qn_alloc *a, const char *path, qn_qnm_writer **out,
                               qn_error *err)
{
    *out = NULL;
    qn_qnm_writer *w = qn_new0(a, sizeof *w);
    if (w == NULL) return qn_fail(err, QN_ENOMEM, "model file");
    w->alloc = a;
    qn_buf_init(&w->list, a);
    qn_json_writer_init(&w->json, &w->list, false);
    qn_json_begin_array(&w->json);
    qn_status st = qn_blockfile_writer_create(a, path, QN_QNM_MAGIC, QN_QNM_VERSION,
                                              &w->file, err);
    if (st != QN_OK) {
        qn_qnm_writer_destroy(w);
        return st;
    }
    *out = w;
    return QN_OK;
}

static qn_status write_bf16(qn_qnm_writer *w, uint32_t rows, uint32_t columns,
                            const float *values, qn_error *err)
{
    uint16_t *row = qn_new_array(w->alloc, columns, sizeof *row);
    if (row == NULL) return qn_fail(err, QN_ENOMEM, "model file");
    qn_blockfile_begin(w->file, QN_QNM_DATA, w->count);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++)
            row[c] = qn_bf16_from_f32(values[r * columns + c]);
        qn_blockfile_write(w->file, row, columns * sizeof *row);
    }
    qn_delete(w->alloc, row);
    return qn_blockfile_end(w->file, err);
}

static qn_status write_int8(qn_qnm_writer *w, uint32_t rows, uint32_t columns,
                            const float *values, qn_error *err)
{
    qn_status st = QN_OK;
    int8_t *row = qn_new0(w->alloc, columns);
    float *scale = qn_new_array(w->alloc, rows, sizeof *scale);
    if (row == NULL || scale == NULL) {
        st = qn_fail(err, QN_ENOMEM, "model file");
        goto out;
    }
    qn_blockfile_begin(w->file, QN_QNM_DATA, w->count);
    for (size_t r = 0; r < rows; r++) {
        scale[r] = qn_tensor_quantize_row(values + r * columns, columns, row);
        qn_blockfile_write(w->file, row, columns);
    }
    QN_TRY_TO(out, qn_blockfile_end(w->file, err));
    st = qn_blockfile_put(w->file, QN_QNM_SCALE, w->count, scale, rows * sizeof *scale,
                          err);
out:
    qn_delete(w->alloc, scale);
    qn_delete(w->alloc, row);
    return st;
}

qn_status qn_qnm_writer_tensor(qn_qnm_writer *w, const char *name, qn_model_dtype dtype,
                               uint32_t rank, uint32_t rows, uint32_t columns,
                               const float *values, qn_error *err)
{
    qn_assert(rank == 2 || (rank == 1 && rows == 1 && dtype == QN_MODEL_F32));
    size_t count = (size_t)rows * columns;
    if (!all_finite(values, count))
        return qn_fail(err, QN_EMODEL, "tensor \"%s\": a value is not finite", name);
    if (dtype == QN_MODEL_F32)
        QN_TRY(qn_blockfile_put(w->file, QN_QNM_DATA, w->count, values,
                                count * sizeof *values, err));
    else if (dtype == QN_MODEL_BF16)
        QN_TRY(write_bf16(w, rows, columns, values, err));
    else
        QN_TRY(write_int8(w, rows, columns, values, err));
    w->count++;

    qn_json_begin_object(&w->json);
    qn_json_member_str(&w->json, "name", name);
    qn_json_member_str(&w->json, "dtype", qn_model_dtype_name(dtype));
    qn_json_key(&w->json, "shape");
    qn_json_begin_array(&w->json);
    if (rank == 2) qn_json_int(&w->json, rows);
    qn_json_int(&w->json, columns);
    qn_json_end_array(&w->json);
    qn_json_end_object(&w->json);
    return QN_OK;
}

qn_status qn_qnm_writer_finish(qn_qnm_writer *w, qn_slice meta_json, qn_slice vocab,
                               qn_error *err)
{
    qn_json_end_array(&w->json);
    if (w->list.failed) return qn_fail(err, QN_ENOMEM, "model file");
    QN_TRY(qn_blockfile_put(w->file, QN_QNM_META, 0, meta_json.p, meta_json.n, err));
    QN_TRY(qn_blockfile_put(w->file, QN_QNM_VOCAB, 0, vocab.p, vocab.n, err));
    QN_TRY(qn_blockfile_put(w->file, QN_QNM_TENSORS, 0, w->list.p, w->list.n, err));
    return qn_blockfile_finish(w->file, true, err);
}

uint8_t *qn_qnm_writer_take(qn_qnm_writer *w, size_t *n)
{
    return qn_blockfile_writer_take(w->file, n);
}

void qn_qnm_writer_destroy(qn_qnm_writer *w)
{
    if (w == NULL) return;
    qn_blockfile_writer_destroy(w->file);
    qn_buf_deinit(&w->list);
    qn_delete(w->alloc, w);
}
