/* SPDX-License-Identifier: Apache-2.0 */
/* encoder_tensors.c -- which tensors a BERT model has, and of what shape: the one list
 * that importer, reader and reference share. */
#include "nn/encoder.h"

#include <stdio.h>

/* Shapes in letters: V H F P T of the configuration, 1 for one; one letter is a vector.
 * '%u' is the layer. ORDER ENCODER TENSORS: encoder.c asks by position. */
typedef struct row {
    const char *name, *shape;
    bool quantize;
} row;

static const row embedding_rows[] = {
    {"embeddings.word_embeddings.weight", "VH", true},
    {"embeddings.position_embeddings.weight", "PH", true},
    {"embeddings.token_type_embeddings.weight", "TH", true},
    {"embeddings.LayerNorm.weight", "H", false},
    {"embeddings.LayerNorm.bias", "H", false},
};

static const row layer_rows[] = {
    {"attention.self.query.weight", "HH", true},
    {"attention.self.key.weight", "HH", true},
    {"attention.self.value.weight", "HH", true},
    {"attention.output.dense.weight", "HH", true},
    {"intermediate.dense.weight", "FH", true},
    {"output.dense.weight", "HF", true},
    {"attention.self.query.bias", "H", false},
    {"attention.self.key.bias", "H", false},
    {"attention.self.value.bias", "H", false},
    {"attention.output.dense.bias", "H", false},
    {"intermediate.dense.bias", "F", false},
    {"output.dense.bias", "H", false},
    {"attention.output.LayerNorm.weight", "H", false},
    {"attention.output.LayerNorm.bias", "H", false},
    {"output.LayerNorm.weight", "H", false},
    {"output.LayerNorm.bias", "H", false},
};

/* Small, and every error in them reaches the logit: kept in f32. */
static const row head_rows[] = {
    {"pooler.dense.weight", "HH", false},
    {"pooler.dense.bias", "H", false},
    {"classifier.weight", "1H", false},
    {"classifier.bias", "1", false},
};

enum {
    EMBEDDING_ROWS = sizeof embedding_rows / sizeof *embedding_rows,
    LAYER_ROWS = sizeof layer_rows / sizeof *layer_rows,
    HEAD_ROWS = sizeof head_rows / sizeof *head_rows,
};

static uint32_t letter(const qn_encoder_config *c, char shape)
{
    switch (shape) {
    case 'V':
        return c->vocab;
    case 'H':
        return c->hidden;
    case 'F':
        return c->intermediate;
    case 'P':
        return c->positions;
    case 'T':
        return c->types;
    default:
        return 1;
    }
}

size_t qn_encoder_spec_count(const qn_encoder_config *c, bool head)
{
    return EMBEDDING_ROWS + (size_t)c->layers * LAYER_ROWS + (head ? HEAD_ROWS : 0);
}

void qn_encoder_spec_at(const qn_encoder_config *c, size_t i, qn_encoder_spec *out)
{
    const row *r = NULL;
    size_t layers_end = EMBEDDING_ROWS + (size_t)c->layers * LAYER_ROWS;
    if (i < EMBEDDING_ROWS) {
        r = &embedding_rows[i];
        (void)snprintf(out->name, sizeof out->name, "%s", r->name);
    } else if (i < layers_end) {
        r = &layer_rows[(i - EMBEDDING_ROWS) % LAYER_ROWS];
        (void)snprintf(out->name, sizeof out->name, "encoder.layer.%zu.%s",
                       (i - EMBEDDING_ROWS) / LAYER_ROWS, r->name);
    } else {
        qn_assert(i - layers_end < HEAD_ROWS);
        r = &head_rows[i - layers_end];
        (void)snprintf(out->name, sizeof out->name, "%s", r->name);
    }
    out->rank = r->shape[1] == '\0' ? 1 : 2;
    out->rows = out->rank == 1 ? 1 : letter(c, r->shape[0]);
    out->columns = letter(c, r->shape[out->rank - 1]);
    out->quantize = r->quantize;
}

void qn_encoder_scale_spec(const qn_encoder_config *c, uint32_t layer,
                           qn_encoder_input which, qn_encoder_spec *out)
{
    static const char *const names[QN_ENCODER_INPUTS] = {
        [QN_INTO_QKV] = "attention.self",
        [QN_INTO_UP] = "intermediate",
        [QN_INTO_DOWN] = "output",
    };
    qn_assert(names[which] != NULL);
    (void)snprintf(out->name, sizeof out->name, "encoder.layer.%u.%s.input_scale",
                   layer, names[which]);
    out->rank = 1;
    out->rows = 1;
    out->columns = which == QN_INTO_DOWN ? c->intermediate : c->hidden;
    out->quantize = false;
}

qn_status qn_encoder_tensor(const qn_qnm *file, const qn_encoder_spec *spec,
                            const qn_tensor **out, qn_error *err)
{
    const qn_tensor *t = qn_qnm_find(file, spec->name);
    *out = t;
    if (t == NULL)
        return qn_fail_file(err, QN_EMODEL, qn_qnm_name(file), QN_AT_NONE,
                            "tensor \"%s\" is missing", spec->name);
    if (t->rank != spec->rank || t->rows != spec->rows || t->columns != spec->columns)
        return qn_fail_file(err, QN_EMODEL, qn_qnm_name(file), QN_AT_NONE,
                            "tensor \"%s\" is %u x %u, not %u x %u", spec->name,
                            t->rows, t->columns, spec->rows, spec->columns);
    if (!spec->quantize && t->dtype != QN_MODEL_F32)
        return qn_fail_file(err, QN_EMODEL, qn_qnm_name(file), QN_AT_NONE,
                            "tensor \"%s\" is not f32", spec->name);
    return QN_OK;
}

qn_status qn_encoder_config_check(const qn_encoder_config *c, qn_error *err)
{
    const struct {
        const char *key;
        uint32_t value, most;
    } rows[] = {
        {"vocab_size", c->vocab, 1u << 22},
        {"hidden_size", c->hidden, 8192},
        {"num_hidden_layers", c->layers, 128},
        {"num_attention_heads", c->heads, 256},
        {"intermediate_size", c->intermediate, 65536},
        {"max_position_embeddings", c->positions, 65536},
        {"type_vocab_size", c->types, 256},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value < 1 || rows[i].value > rows[i].most)
            return qn_fail(err, QN_EMODEL, "%s is %u, not in 1..%u", rows[i].key,
                           rows[i].value, rows[i].most);
    if (c->hidden % c->heads != 0)
        return qn_fail(err, QN_EMODEL,
                       "num_attention_heads %u does not divide hidden_size %u",
                       c->heads, c->hidden);
    if (!(c->eps > 0.0f) || !(c->eps < 1.0f))
        return qn_fail(err, QN_EMODEL, "layer_norm_eps is not in (0, 1)");
    return QN_OK;
}
