/* SPDX-License-Identifier: Apache-2.0 */
/* encoder_tensors.c -- which tensors an encoder has, and of what shape: the one list
 * that importer, reader and reference share. Names are BERT's; import_names.c knows what
 * the families call them. */
#include "nn/encoder/encoder_config.h"

#include <stdio.h>

/* When a tensor is there: all of these. */
enum {
    ALWAYS = 0,
    ABSOLUTE = 1 << 0,
    TYPES = 1 << 1,
    PROJECTED = 1 << 2,
    RELATIVE = 1 << 3,
    NORM_TABLE = 1 << 4,
    CONV = 1 << 5,
    PRE_NORM = 1 << 6,
    NORM_BIAS = 1 << 7,
    ATTENTION_BIAS = 1 << 8,
    FEED_BIAS = 1 << 9,
    GATED = 1 << 10,
    OWN_POS_KEY = 1 << 11,
    OWN_POS_QUERY = 1 << 12,
    NORM_1 =
        1 << 13, /* pre-norm models have none in layer 0: the embeddings' is next */
};

/* Shapes in letters: encoder_config.h; one letter is a vector. */
typedef struct row {
    const char *name, *shape;
    bool quantize;
    int when;
} row;

/* ORDER SLOT. The projections of the relative table run once, at load: f32. */
static const row rows[QN_SLOTS] = {
    {"embeddings.word_embeddings.weight", "VE", true, ALWAYS},
    {"embeddings.position_embeddings.weight", "PE", true, ABSOLUTE},
    {"embeddings.token_type_embeddings.weight", "TE", true, TYPES},
    {"embeddings.LayerNorm.weight", "H", false, ALWAYS},
    {"embeddings.LayerNorm.bias", "H", false, NORM_BIAS},
    {"embeddings.embed_proj.weight", "HE", true, PROJECTED},
    {"encoder.rel_embeddings.weight", "RH", false, RELATIVE},
    {"encoder.LayerNorm.weight", "H", false, RELATIVE | NORM_TABLE},
    {"encoder.LayerNorm.bias", "H", false, RELATIVE | NORM_TABLE},
    {"encoder.conv.conv.weight", "HC", false, CONV},
    {"encoder.conv.conv.bias", "H", false, CONV},
    {"encoder.conv.LayerNorm.weight", "H", false, CONV},
    {"encoder.conv.LayerNorm.bias", "H", false, CONV},
    {"final_norm.weight", "H", false, PRE_NORM},
    {"final_norm.bias", "H", false, PRE_NORM | NORM_BIAS},

    {"attention.self.query.weight", "HH", true, ALWAYS},
    {"attention.self.key.weight", "HH", true, ALWAYS},
    {"attention.self.value.weight", "HH", true, ALWAYS},
    {"attention.output.dense.weight", "HH", true, ALWAYS},
    {"intermediate.dense.weight", "FH", true, ALWAYS},
    {"intermediate.gate.weight", "FH", true, GATED},
    {"output.dense.weight", "HF", true, ALWAYS},
    {"attention.self.pos_key.weight", "HH", false, OWN_POS_KEY},
    {"attention.self.pos_query.weight", "HH", false, OWN_POS_QUERY},
    {"attention.self.query.bias", "H", false, ATTENTION_BIAS},
    {"attention.self.key.bias", "H", false, ATTENTION_BIAS},
    {"attention.self.value.bias", "H", false, ATTENTION_BIAS},
    {"attention.output.dense.bias", "H", false, ATTENTION_BIAS},
    {"intermediate.dense.bias", "F", false, FEED_BIAS},
    {"intermediate.gate.bias", "F", false, GATED | FEED_BIAS},
    {"output.dense.bias", "H", false, FEED_BIAS},
    {"attention.self.pos_key.bias", "H", false, OWN_POS_KEY},
    {"attention.self.pos_query.bias", "H", false, OWN_POS_QUERY},
    {"attention.output.LayerNorm.weight", "H", false, NORM_1},
    {"attention.output.LayerNorm.bias", "H", false, NORM_1 | NORM_BIAS},
    {"output.LayerNorm.weight", "H", false, ALWAYS},
    {"output.LayerNorm.bias", "H", false, NORM_BIAS},
};

static int features(const qn_encoder_config *c, uint32_t layer)
{
    const struct {
        bool has;
        int bit;
    } all[] = {
        {c->absolute, ABSOLUTE},
        {c->types > 0, TYPES},
        {c->embedding != c->hidden, PROJECTED},
        {c->relative, RELATIVE},
        {c->norm_table, NORM_TABLE},
        {c->conv_kernel > 0, CONV},
        {c->pre_norm, PRE_NORM},
        {c->norm_bias, NORM_BIAS},
        {c->attention_bias, ATTENTION_BIAS},
        {c->feed_bias, FEED_BIAS},
        {c->gated, GATED},
        {c->relative && !c->shared && c->c2p, OWN_POS_KEY},
        {c->relative && !c->shared && c->p2c, OWN_POS_QUERY},
        {!c->pre_norm || layer > 0, NORM_1},
    };
    int bits = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].has) bits |= all[i].bit;
    return bits;
}

static uint32_t letter(const qn_encoder_config *c, char shape)
{
    switch (shape) {
    case 'V':
        return c->vocab;
    case 'H':
        return c->hidden;
    case 'E':
        return c->embedding;
    case 'F':
        return c->intermediate;
    case 'P':
        return c->positions;
    case 'T':
        return c->types;
    case 'R':
        return 2 * qn_encoder_span(c);
    default:
        return c->conv_kernel * (c->hidden / c->conv_groups);
    }
}

bool qn_encoder_spec_of(const qn_encoder_config *c, qn_slot slot, uint32_t layer,
                        qn_tensor_spec *out)
{
    const row *r = &rows[slot];
    qn_assert(slot < QN_SLOT_NONE);
    if ((features(c, layer) & r->when) != r->when) return false;
    if (slot < QN_SLOT_LAYER)
        (void)snprintf(out->name, sizeof out->name, "%s", r->name);
    else
        (void)snprintf(out->name, sizeof out->name, "encoder.layer.%u.%s", layer,
                       r->name);
    out->rank = r->shape[1] == '\0' ? 1 : 2;
    out->rows = out->rank == 1 ? 1 : letter(c, r->shape[0]);
    out->columns = letter(c, r->shape[out->rank - 1]);
    out->quantize = r->quantize;
    out->slot = slot;
    out->layer = layer;
    return true;
}

size_t qn_encoder_spec_count(const qn_encoder_config *c)
{
    size_t n = 0;
    qn_tensor_spec unused;
    for (int slot = 0; slot < QN_SLOTS; slot++)
        for (uint32_t l = 0; l < (slot < QN_SLOT_LAYER ? 1 : c->layers); l++)
            n += qn_encoder_spec_of(c, (qn_slot)slot, l, &unused);
    return n;
}

void qn_encoder_spec_at(const qn_encoder_config *c, size_t i, qn_tensor_spec *out)
{
    size_t n = 0;
    for (int slot = 0; slot < QN_SLOT_LAYER; slot++)
        if (qn_encoder_spec_of(c, (qn_slot)slot, 0, out) && n++ == i) return;
    for (uint32_t l = 0; l < c->layers; l++)
        for (int slot = QN_SLOT_LAYER; slot < QN_SLOTS; slot++)
            if (qn_encoder_spec_of(c, (qn_slot)slot, l, out) && n++ == i) return;
    qn_assert(false); /* no tensor of that number */
}

/* ---- input scales ----------------------------------------------------------- */

size_t qn_encoder_input_slots(qn_encoder_input which, qn_slot out[3])
{
    static const struct {
        size_t n;
        qn_slot slots[3];
    } into[QN_ENCODER_INPUTS] = {
        [QN_INTO_QKV] = {3, {QN_SLOT_QUERY, QN_SLOT_KEY, QN_SLOT_VALUE}},
        [QN_INTO_OUT] = {1, {QN_SLOT_OUT}},
        [QN_INTO_UP] = {2, {QN_SLOT_UP, QN_SLOT_GATE}},
        [QN_INTO_DOWN] = {1, {QN_SLOT_DOWN}},
    };
    memcpy(out, into[which].slots, sizeof into[which].slots);
    return into[which].n;
}

void qn_encoder_scale_spec(const qn_encoder_config *c, uint32_t layer,
                           qn_encoder_input which, qn_tensor_spec *out)
{
    static const char *const names[QN_ENCODER_INPUTS] = {
        [QN_INTO_QKV] = "attention.self",
        [QN_INTO_UP] = "intermediate",
        [QN_INTO_DOWN] = "output",
    };
    qn_assert(names[which] != NULL);
    *out = (qn_tensor_spec){.rank = 1, .rows = 1, .slot = QN_SLOT_NONE, .layer = layer};
    (void)snprintf(out->name, sizeof out->name, "encoder.layer.%u.%s.input_scale",
                   layer, names[which]);
    out->columns = which == QN_INTO_DOWN ? c->intermediate : c->hidden;
}

qn_status qn_spec_tensor(const qn_qnm *file, const qn_tensor_spec *spec,
                         const qn_tensor **out, qn_error *err)
{
    QN_TRY(qn_spec_find(file, spec, out, err));
    return qn_qnm_read(file, *out, err);
}

qn_status qn_spec_find(const qn_qnm *file, const qn_tensor_spec *spec,
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
