/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder/encoder_config.h"

#include <math.h>

const char *qn_family_name(qn_family family)
{
    static const char *const names[QN_FAMILIES] = {
        [QN_FAMILY_BERT] = "bert",
        [QN_FAMILY_ROBERTA] = "roberta",
        [QN_FAMILY_DEBERTA] = "deberta-v2",
        [QN_FAMILY_MODERNBERT] = "modernbert",
    };
    return names[family];
}

void qn_encoder_config_init(qn_encoder_config *c, qn_family family)
{
    *c = (qn_encoder_config){.family = family,
                             .norm_bias = true,
                             .attention_bias = true,
                             .feed_bias = true,
                             .conv_groups = 1,
                             .conv_act = QN_ACT_TANH};
    c->absolute = family == QN_FAMILY_BERT || family == QN_FAMILY_ROBERTA;
    c->skip_pad = family == QN_FAMILY_ROBERTA;
    c->pre_norm = c->gated = c->rotary = family == QN_FAMILY_MODERNBERT;
}

bool qn_encoder_is_local(const qn_encoder_config *c, uint32_t layer)
{
    return (c->local[layer / 64] >> (layer % 64) & 1u) != 0;
}

bool qn_encoder_reads_types(const qn_encoder_config *c)
{
    return c->types > 0 && c->family != QN_FAMILY_ROBERTA;
}

uint32_t qn_encoder_longest(const qn_encoder_config *c)
{
    uint32_t before = c->skip_pad ? c->pad + 1 : 0;
    return c->positions > before ? c->positions - before : 0;
}

uint32_t qn_encoder_span(const qn_encoder_config *c)
{
    return c->buckets > 0 ? c->buckets : c->max_distance;
}

/* Up to the middle a distance is its own bucket; beyond, the rest of the buckets divide
 * the logarithm of the distance evenly. In f32 as the libraries do it: ceil() of a number
 * that is nearly whole must fall on the same side. */
static int32_t bucket_of(const qn_encoder_config *c, int32_t distance)
{
    int32_t middle = (int32_t)c->buckets / 2, far = distance < 0 ? -distance : distance;
    if (far <= middle) return distance;
    float most = (float)(((double)c->max_distance - 1.0) / middle);
    float share = logf((float)far / (float)middle) / logf(most);
    int32_t bucket = (int32_t)ceilf(share * (float)(middle - 1)) + middle;
    return distance < 0 ? -bucket : bucket;
}

uint32_t qn_encoder_distance_row(const qn_encoder_config *c, int32_t distance)
{
    int32_t span = (int32_t)qn_encoder_span(c);
    int32_t row = (c->buckets > 0 ? bucket_of(c, distance) : distance) + span;
    return (uint32_t)(row < 0 ? 0 : row > 2 * span - 1 ? 2 * span - 1 : row);
}

double qn_encoder_alpha(const qn_encoder_config *c)
{
    uint32_t terms = 1u + (c->c2p ? 1u : 0u) + (c->p2c ? 1u : 0u);
    return 1.0 / sqrt((double)(c->hidden / c->heads) * terms);
}

/* ---- checks ----------------------------------------------------------------- */

static qn_status check_ranges(const qn_encoder_config *c, qn_error *err)
{
    const struct {
        const char *key;
        uint32_t value, least, most;
    } rows[] = {
        {"vocab_size", c->vocab, 1, 1u << 22},
        {"hidden_size", c->hidden, 1, 8192},
        {"num_hidden_layers", c->layers, 1, QN_LAYERS_MAX},
        {"num_attention_heads", c->heads, 1, 256},
        {"intermediate_size", c->intermediate, 1, c->gated ? 32768 : 65536},
        {"max_position_embeddings", c->positions, 1, 65536},
        {"type_vocab_size", c->types,
         c->family == QN_FAMILY_DEBERTA || c->rotary ? 0 : 1, 256},
        {"embedding_size", c->embedding, 1, 8192},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value < rows[i].least || rows[i].value > rows[i].most)
            return qn_fail(err, QN_EMODEL, "%s is %u, not in %u..%u", rows[i].key,
                           rows[i].value, rows[i].least, rows[i].most);
    if (c->hidden % c->heads != 0)
        return qn_fail(err, QN_EMODEL,
                       "num_attention_heads %u does not divide hidden_size %u",
                       c->heads, c->hidden);
    if (!(c->eps > 0.0f) || !(c->eps < 1.0f))
        return qn_fail(err, QN_EMODEL, "%s is not in (0, 1)",
                       c->family == QN_FAMILY_MODERNBERT ? "norm_eps"
                                                         : "layer_norm_eps");
    if (c->skip_pad && (c->pad >= c->vocab || qn_encoder_longest(c) == 0))
        return qn_fail(err, QN_EMODEL, "pad_token_id %u leaves no positions", c->pad);
    return QN_OK;
}

static qn_status check_relative(const qn_encoder_config *c, qn_error *err)
{
    if (c->buckets > 16384)
        return qn_fail(err, QN_EMODEL, "position_buckets is %u, not in 1..16384",
                       c->buckets);
    if (c->max_distance < 1 || c->max_distance > 65536)
        return qn_fail(err, QN_EMODEL, "max_relative_positions is %u, not in 1..65536",
                       c->max_distance);
    /* The logarithm of (max - 1) / middle is divided by. */
    if (c->buckets == 1 || (c->buckets > 0 && c->max_distance <= c->buckets / 2 + 1))
        return qn_fail(err, QN_EMODEL,
                       "position_buckets %u do not fit max_relative_positions %u",
                       c->buckets, c->max_distance);
    return QN_OK;
}

static qn_status check_conv(const qn_encoder_config *c, qn_error *err)
{
    if (c->conv_kernel % 2 == 0 || c->conv_kernel > 15)
        return qn_fail(err, QN_EMODEL, "conv_kernel_size is %u, not odd or over 15",
                       c->conv_kernel);
    if (c->conv_groups < 1 || c->hidden % c->conv_groups != 0)
        return qn_fail(err, QN_EMODEL, "conv_groups %u do not divide hidden_size %u",
                       c->conv_groups, c->hidden);
    if (c->conv_kernel * c->hidden > QN_QNM_COLUMNS_MAX)
        return qn_fail(err, QN_EMODEL, "conv_kernel_size %u times hidden_size %u",
                       c->conv_kernel, c->hidden);
    return QN_OK;
}

static qn_status check_rotary(const qn_encoder_config *c, qn_error *err)
{
    if (c->hidden / c->heads % 2 != 0)
        return qn_fail(err, QN_EMODEL,
                       "heads of %u values, rotary positions need pairs",
                       c->hidden / c->heads);
    if (!(c->theta_global >= 1.0f) || !isfinite(c->theta_global) ||
        !(c->theta_local >= 1.0f) || !isfinite(c->theta_local))
        return qn_fail(err, QN_EMODEL, "rope_theta is not a number of at least 1");
    if (c->window < 1 || c->window > 65536)
        return qn_fail(err, QN_EMODEL, "local_attention is not in 2..131073");
    return QN_OK;
}

qn_status qn_encoder_config_check(const qn_encoder_config *c, qn_error *err)
{
    QN_TRY(check_ranges(c, err));
    if (c->relative) QN_TRY(check_relative(c, err));
    if (c->conv_kernel > 0) QN_TRY(check_conv(c, err));
    if (c->rotary) QN_TRY(check_rotary(c, err));
    return QN_OK;
}
