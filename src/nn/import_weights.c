/* SPDX-License-Identifier: Apache-2.0 */
/* import_weights.c -- the folder's tensors become the tensors of a model file. */
#include "nn/import_internal.h"

#include <stdio.h>

/* The source of a tensor, under any of the names in use: with or without the prefix of
 * the task classes, LayerNorm in the old spelling. */
static const qn_weight *find_source(const qn_import *im, const char *name)
{
    static const char *const prefixes[] = {"bert.", ""};
    static const struct {
        const char *now, *old;
    } spellings[] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                     {"LayerNorm.bias", "LayerNorm.beta"}};
    for (size_t p = 0; p < 2; p++) {
        char full[160];
        (void)snprintf(full, sizeof full, "%s%s", prefixes[p], name);
        const qn_weight *t = qn_weights_find(im->weights, full);
        for (size_t i = 0; t == NULL && i < 2; i++) {
            const char *at = strstr(name, spellings[i].now);
            if (at == NULL) continue;
            (void)snprintf(full, sizeof full, "%s%.*s%s", prefixes[p], (int)(at - name),
                           name, spellings[i].old);
            t = qn_weights_find(im->weights, full);
        }
        if (t != NULL) return t;
    }
    return NULL;
}

static qn_status check_shape(const qn_import *im, const qn_encoder_spec *spec,
                             const qn_weight *t, qn_error *err)
{
    if (t == NULL)
        return qn_fail_file(err, QN_EMODEL, qn_weights_name(im->weights), QN_AT_NONE,
                            "tensor \"%s\" is missing", spec->name);
    const char *file = qn_weights_file(im->weights, t);
    bool same = t->rank == spec->rank && t->shape[spec->rank - 1] == spec->columns &&
                (spec->rank == 1 || t->shape[0] == spec->rows);
    if (same) return QN_OK;
    if (t->rank == 2 && spec->rank == 2)
        return qn_fail_file(err, QN_EMODEL, file, QN_AT_NONE,
                            "tensor \"%.100s\" is %llu x %llu, not %u x %u", t->name,
                            (unsigned long long)t->shape[0],
                            (unsigned long long)t->shape[1], spec->rows, spec->columns);
    return qn_fail_file(
        err, QN_EMODEL, file, QN_AT_NONE,
        "tensor \"%.100s\" has %u dimensions, not %u, or another length", t->name,
        t->rank, spec->rank);
}

static void divide_columns(float *values, const qn_encoder_spec *spec, const float *m)
{
    for (size_t i = 0; i < (size_t)spec->rows * spec->columns; i++)
        values[i] /= m[i % spec->columns];
}

/* Row r (of a vector: value r) times m[r]. */
static void multiply_rows(float *values, const qn_encoder_spec *spec, const float *m)
{
    size_t width = spec->rank == 1 ? 1 : spec->columns;
    for (size_t i = 0; i < (size_t)spec->rows * spec->columns; i++)
        values[i] *= m[i / width];
}

/* Takes the scales of what goes into a product out of its weights (import_smooth.c). */
static void unscale(const qn_import *im, const qn_encoder_spec *spec, float *values)
{
    static const struct {
        const char *suffix;
        qn_encoder_input which;
    } products[] = {
        {".attention.self.query.weight", QN_INTO_QKV},
        {".attention.self.key.weight", QN_INTO_QKV},
        {".attention.self.value.weight", QN_INTO_QKV},
        {".attention.output.dense.weight", QN_INTO_OUT},
        {".intermediate.dense.weight", QN_INTO_UP},
        {".output.dense.weight", QN_INTO_DOWN},
    };
    unsigned layer = 0;
    int end = 0;
    if (im->scales == NULL ||
        sscanf(spec->name, "encoder.layer.%u%n", &layer, &end) != 1)
        return;
    const char *suffix = spec->name + end;
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (strcmp(suffix, products[i].suffix) == 0)
            divide_columns(values, spec,
                           qn_import__scale(im, layer, products[i].which));
    if (strncmp(suffix, ".attention.self.value.", 22) == 0)
        multiply_rows(values, spec, qn_import__scale(im, layer, QN_INTO_OUT));
}

static qn_status write_tensor(qn_import *im, const qn_encoder_spec *spec,
                              qn_model_dtype dtype, qn_qnm_writer *w, qn_error *err)
{
    const qn_weight *t = find_source(im, spec->name);
    QN_TRY(check_shape(im, spec, t, err));
    float *values = qn_new_array(im->alloc, t->count, sizeof *values);
    if (values == NULL) return qn_fail(err, QN_ENOMEM, "import");
    qn_status st = qn_weights_to_f32(im->weights, t, values, err);
    unscale(im, spec, values);
    if (st == QN_OK)
        st = qn_qnm_writer_tensor(w, spec->name, spec->quantize ? dtype : QN_MODEL_F32,
                                  spec->rank, spec->rows, spec->columns, values, err);
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
            qn_encoder_spec spec;
            qn_encoder_scale_spec(&im->meta.encoder, layer, scaled[i], &spec);
            QN_TRY(qn_qnm_writer_tensor(w, spec.name, QN_MODEL_F32, 1, 1, spec.columns,
                                        qn_import__scale(im, layer, scaled[i]), err));
        }
    return QN_OK;
}

static qn_status write_all(qn_import *im, qn_model_dtype dtype, qn_qnm_writer *w,
                           qn_error *err)
{
    qn_model_meta meta = im->meta;
    const qn_encoder_config *c = &meta.encoder;
    size_t count = qn_encoder_spec_count(c, meta.info.task == QN_MODEL_RERANK);
    meta.info.dtype = dtype;
    meta.info.parameters = 0;
    for (size_t i = 0; i < count; i++) {
        qn_encoder_spec spec;
        qn_encoder_spec_at(c, i, &spec);
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

size_t qn_import__ignored(const qn_import *im)
{
    bool head = im->meta.info.task == QN_MODEL_RERANK;
    return qn_weights_count(im->weights) -
           qn_encoder_spec_count(&im->meta.encoder, head);
}

size_t qn_import__written(const qn_import *im)
{
    const qn_encoder_config *c = &im->meta.encoder;
    size_t scales = im->scales == NULL ? 0 : (size_t)c->layers * SCALED;
    return qn_encoder_spec_count(c, im->meta.info.task == QN_MODEL_RERANK) + scales;
}
