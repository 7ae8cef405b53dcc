/* SPDX-License-Identifier: Apache-2.0 */
/* import_weights.c -- the folder's tensors become the tensors of a model file. */
#include "nn/import/import_internal.h"

#include <stdio.h>

/* ---- reading ---------------------------------------------------------------- */

static qn_status check_shape(const qn_import *im, const qn_source_name *name,
                             const qn_tensor_spec *spec, const qn_weight *t,
                             qn_error *err)
{
    if (t == NULL)
        return qn_fail_file(err, QN_EMODEL, qn_weights_name(im->weights), QN_AT_NONE,
                            "tensor \"%s\" is missing", name->name);
    const char *file = qn_weights_file(im->weights, t);
    uint64_t rows = (uint64_t)spec->rows * name->parts, columns = spec->columns;
    bool conv = spec->slot == QN_SLOT_CONV;
    if (conv) columns /= im->meta.encoder.conv_kernel;
    uint32_t rank = conv ? 3 : spec->rank;
    bool same = t->rank == rank &&
                (spec->rank == 1 ? t->shape[0] == columns * name->parts
                                 : t->shape[0] == rows && t->shape[1] == columns) &&
                (!conv || t->shape[2] == im->meta.encoder.conv_kernel);
    if (same) return QN_OK;
    if (t->rank == 2 && rank == 2)
        return qn_fail_file(err, QN_EMODEL, file, QN_AT_NONE,
                            "tensor \"%.100s\" is %llu x %llu, not %llu x %llu",
                            t->name, (unsigned long long)t->shape[0],
                            (unsigned long long)t->shape[1], (unsigned long long)rows,
                            (unsigned long long)columns);
    return qn_fail_file(
        err, QN_EMODEL, file, QN_AT_NONE,
        "tensor \"%.100s\" has %u dimensions, not %u, or another length", t->name,
        t->rank, rank);
}

/* Of a convolution the libraries store out x in x tap; the encoder wants out x tap x in,
 * so that a window of rows is one row of its product. */
static void taps_first(const qn_import *im, const qn_tensor_spec *spec,
                       const float *from, float *to)
{
    size_t taps = im->meta.encoder.conv_kernel, in = spec->columns / taps;
    for (size_t n = 0; n < spec->rows; n++)
        for (size_t c = 0; c < in; c++)
            for (size_t tap = 0; tap < taps; tap++)
                to[(n * taps + tap) * in + c] = from[(n * in + c) * taps + tap];
}

/* A tensor of a step after the encoder: in a file of its own, or (ColBERT of the first
 * authors) among the others. */
static qn_status read_tail(qn_import *im, const qn_tensor_spec *spec, uint32_t step,
                           QN_OWNED float **out, qn_error *err)
{
    const qn_weights *w = im->tail[step] == NULL ? im->weights : im->tail[step];
    bool dense = im->meta.tail.step[step].kind == QN_TAIL_DENSE;
    bool bias = qn_slice_ends_with(qn_slice_of(spec->name), ".bias");
    const char *name = dense ? (bias ? "linear.bias" : "linear.weight")
                             : (bias ? "norm.bias" : "norm.weight");
    const qn_weight *t = qn_weights_find(w, name);
    *out = NULL;
    if (t == NULL)
        return qn_fail_file(err, QN_EMODEL, qn_weights_name(w), QN_AT_NONE,
                            "tensor \"%s\" is missing", name);
    if (t->rank != spec->rank || t->shape[t->rank - 1] != spec->columns ||
        t->count != (uint64_t)spec->rows * spec->columns)
        return qn_fail_file(err, QN_EMODEL, qn_weights_file(w, t), QN_AT_NONE,
                            "tensor \"%s\" is not of %u x %u values", name, spec->rows,
                            spec->columns);
    *out = qn_new_array(im->alloc, t->count, sizeof **out);
    if (*out == NULL) return qn_fail(err, QN_ENOMEM, "import");
    return qn_weights_to_f32(w, t, *out, err);
}

/* The values of a tensor of the model, rows x columns, to be freed. */
static qn_status read_source(qn_import *im, const qn_tensor_spec *spec,
                             QN_OWNED float **out, qn_error *err)
{
    qn_source_name name;
    *out = NULL;
    qn_import__source_name(im->meta.encoder.family, spec->name, &name);
    const qn_weight *t = qn_import__find_source(im, &name);
    QN_TRY(check_shape(im, &name, spec, t, err));
    size_t count = (size_t)spec->rows * spec->columns;
    float *all = qn_new_array(im->alloc, t->count, sizeof *all);
    if (all == NULL) return qn_fail(err, QN_ENOMEM, "import");
    qn_status st = qn_weights_to_f32(im->weights, t, all, err);
    if (st == QN_OK && name.parts == 1 && spec->slot != QN_SLOT_CONV) {
        *out = all;
        return QN_OK;
    }
    if (st == QN_OK) {
        *out = qn_new_array(im->alloc, count, sizeof **out);
        if (*out == NULL)
            st = qn_fail(err, QN_ENOMEM, "import");
        else if (spec->slot == QN_SLOT_CONV)
            taps_first(im, spec, all, *out);
        else
            memcpy(*out, all + name.part * count, count * sizeof **out);
    }
    qn_delete(im->alloc, all);
    return st;
}

/* ---- input scales ----------------------------------------------------------- */

static void divide_columns(float *values, const qn_tensor_spec *spec, const float *m)
{
    for (size_t i = 0; i < (size_t)spec->rows * spec->columns; i++)
        values[i] /= m[i % spec->columns];
}

/* Row r (of a vector: value r) times m[r]. */
static void multiply_rows(float *values, const qn_tensor_spec *spec, const float *m)
{
    size_t width = spec->rank == 1 ? 1 : spec->columns;
    for (size_t i = 0; i < (size_t)spec->rows * spec->columns; i++)
        values[i] *= m[i / width];
}

/* Takes the scales of what goes into a product out of its weights (import_smooth.c). */
static void unscale(const qn_import *im, const qn_tensor_spec *spec, float *values)
{
    if (im->scales == NULL || spec->slot < QN_SLOT_LAYER || spec->slot == QN_SLOT_NONE)
        return;
    for (int which = 0; which < QN_ENCODER_INPUTS; which++) {
        qn_slot slots[3];
        size_t n = qn_encoder_input_slots((qn_encoder_input)which, slots);
        for (size_t i = 0; i < n; i++)
            if (slots[i] == spec->slot)
                divide_columns(
                    values, spec,
                    qn_import__scale(im, spec->layer, (qn_encoder_input)which));
    }
    if (spec->slot == QN_SLOT_VALUE || spec->slot == QN_SLOT_VALUE_BIAS)
        multiply_rows(values, spec, qn_import__scale(im, spec->layer, QN_INTO_OUT));
}

/* Whether import_precision.c found that this weight's product needs it. */
static bool is_finer(const qn_import *im, const qn_tensor_spec *spec)
{
    if (im->finer == NULL || spec->slot < QN_SLOT_LAYER || spec->slot == QN_SLOT_NONE)
        return false;
    for (int which = 0; which < QN_ENCODER_INPUTS; which++) {
        qn_slot slots[3];
        size_t n = qn_encoder_input_slots((qn_encoder_input)which, slots);
        for (size_t i = 0; i < n; i++)
            if (slots[i] == spec->slot)
                return (im->finer[spec->layer] >> which & 1) != 0;
    }
    return false;
}

/* Vectors and heads are f32. The tables of positions and types are small and their errors
 * reach every token: an int8 model has them in bf16, which on MiniLM takes an eighth off
 * what int8 moves its logits by. */
static qn_model_dtype stored_as(const qn_import *im, const qn_tensor_spec *spec,
                                qn_model_dtype dtype)
{
    if (!spec->quantize) return QN_MODEL_F32;
    if (is_finer(im, spec) && dtype != QN_MODEL_F32)
        return dtype == QN_MODEL_INT8 ? QN_MODEL_BF16 : QN_MODEL_F32;
    bool small = spec->slot == QN_SLOT_POSITION || spec->slot == QN_SLOT_TYPE;
    return small && dtype == QN_MODEL_INT8 ? QN_MODEL_BF16 : dtype;
}

static qn_status write_tensor(qn_import *im, const qn_tensor_spec *spec,
                              qn_model_dtype dtype, qn_qnm_writer *w, qn_error *err)
{
    float *values = NULL;
    unsigned step = 0;
    bool tail = sscanf(spec->name, "tail.%u.", &step) == 1;
    qn_status st = tail ? read_tail(im, spec, step, &values, err)
                        : read_source(im, spec, &values, err);
    if (st == QN_OK) {
        unscale(im, spec, values);
        st = qn_qnm_writer_tensor(w, spec->name, stored_as(im, spec, dtype), spec->rank,
                                  spec->rows, spec->columns, values, err);
    }
    qn_delete(im->alloc, values);
    return st;
}

static const qn_encoder_input scaled[] = {QN_INTO_QKV, QN_INTO_UP, QN_INTO_DOWN};
enum { SCALED = sizeof scaled / sizeof *scaled };

static qn_status write_scales(qn_import *im, qn_qnm_writer *w, qn_error *err)
{
    if (im->scales == NULL) return QN_OK;
    for (uint32_t layer = 0; layer < im->meta.encoder.layers; layer++)
        for (size_t i = 0; i < SCALED; i++) {
            qn_tensor_spec spec;
            qn_encoder_scale_spec(&im->meta.encoder, layer, scaled[i], &spec);
            QN_TRY(qn_qnm_writer_tensor(w, spec.name, QN_MODEL_F32, 1, 1, spec.columns,
                                        qn_import__scale(im, layer, scaled[i]), err));
        }
    return QN_OK;
}

/* Tensors of the model: the encoder's, then the head's. */
static size_t tensor_count(const qn_import *im)
{
    size_t n = qn_encoder_spec_count(&im->meta.encoder);
    switch (im->meta.info.task) {
    case QN_MODEL_RERANK:
        return n + qn_head_spec_count(&im->meta.head);
    case QN_MODEL_SPARSE:
        return n + qn_lm_spec_count(&im->meta.lm);
    case QN_MODEL_EMBED:
    case QN_MODEL_TOKENS:
        break;
    }
    return n + qn_tail_spec_count(&im->meta.tail);
}

static void tensor_at(const qn_import *im, size_t i, qn_tensor_spec *out)
{
    size_t encoder = qn_encoder_spec_count(&im->meta.encoder);
    if (i < encoder)
        qn_encoder_spec_at(&im->meta.encoder, i, out);
    else if (im->meta.info.task == QN_MODEL_RERANK)
        qn_head_spec_at(&im->meta.head, i - encoder, out);
    else if (im->meta.info.task == QN_MODEL_SPARSE)
        qn_lm_spec_at(&im->meta.lm, i - encoder, out);
    else
        qn_tail_spec_at(&im->meta.tail, i - encoder, out, NULL);
}

static qn_status write_all(qn_import *im, qn_model_dtype dtype, qn_qnm_writer *w,
                           qn_error *err)
{
    qn_model_meta meta = im->meta;
    size_t count = tensor_count(im);
    meta.info.dtype = dtype;
    meta.info.parameters = 0;
    for (size_t i = 0; i < count; i++) {
        qn_tensor_spec spec;
        tensor_at(im, i, &spec);
        QN_TRY(write_tensor(im, &spec, dtype, w, err));
        meta.info.parameters += (uint64_t)spec.rows * spec.columns;
    }
    im->meta.info.parameters = meta.info.parameters;
    QN_TRY(write_scales(im, w, err));
    qn_buf json;
    qn_buf_init(&json, im->alloc);
    qn_model_meta_write(&meta, &json);
    qn_status st = json.failed ? qn_fail(err, QN_ENOMEM, "import")
                               : qn_qnm_writer_finish(w, qn_buf_slice(&json),
                                                      qn_buf_slice(&im->vocab), err);
    qn_buf_deinit(&json);
    return st;
}

qn_status qn_import__write(qn_import *im, qn_model_dtype dtype, const char *path,
                           qn_qnm_writer **out, qn_error *err)
{
    *out = NULL;
    qn_qnm_writer *w = NULL;
    QN_TRY(qn_qnm_writer_create(im->alloc, path, &w, err));
    qn_status st = write_all(im, dtype, w, err);
    if (st != QN_OK) {
        qn_qnm_writer_destroy(w);
        return st;
    }
    *out = w;
    return QN_OK;
}

/* Some tensors of the source are several of the model: each counts once. */
size_t qn_import__ignored(const qn_import *im)
{
    size_t used = 0, count = tensor_count(im);
    for (size_t i = 0; i < count; i++) {
        qn_tensor_spec spec;
        qn_source_name name;
        tensor_at(im, i, &spec);
        unsigned step = 0;
        if (sscanf(spec.name, "tail.%u.", &step) == 1 && im->tail[step] != NULL)
            continue;
        qn_import__source_name(im->meta.encoder.family, spec.name, &name);
        if (name.part == 0) used++;
    }
    return qn_weights_count(im->weights) - used;
}

size_t qn_import__written(const qn_import *im)
{
    size_t scales = im->scales == NULL ? 0 : (size_t)im->meta.encoder.layers * SCALED;
    return tensor_count(im) + scales;
}
