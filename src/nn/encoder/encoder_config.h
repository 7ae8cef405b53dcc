/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/encoder_config.h -- what an encoder is made of, and which tensors it has.
 *
 * All families are one encoder: a table of words with or without positions and types,
 * layers of attention and feed-forward, and what differs between families is a field
 * here. Families differ in
 *
 *                  bert      roberta       deberta-v2             modernbert
 *     positions    table     table, from   by distance, in the    rotary
 *                            pad + 1 on    scores; also a table
 *     types        table     row 0         table, often none      none
 *     norm         after     after         after                  before, and a last one
 *     feed-forward act       act           act                    act(a) * b
 *     attention    all       all           all                    some layers in a window
 *     biases       yes       yes           yes                    as configured
 *     more                                 a convolution (v2)
 *
 * MiniLM is a BERT, XLM-R and CamemBERT are RoBERTas, DeBERTa-v3 is a deberta-v2.
 *
 * Letters   H hidden, E embedding, F intermediate, A heads, d = H / A, V vocabulary, P
 *           positions, T types, R rows of the relative table, C conv kernel.
 * Threads   plain values.
 * Errors    QN_EMODEL naming the key of config.json or the tensor. */
#ifndef QN_NN_ENCODER_CONFIG_H
#define QN_NN_ENCODER_CONFIG_H

#include "nn/encoder/act.h"
#include "nn/file/qnm.h"

typedef enum qn_family {
    QN_FAMILY_BERT,
    QN_FAMILY_ROBERTA,
    QN_FAMILY_DEBERTA,
    QN_FAMILY_MODERNBERT,
} qn_family;
enum { QN_FAMILIES = 4 };

/* "bert", "roberta", "deberta-v2", "modernbert": `architecture` of model files. */
const char *qn_family_name(qn_family family);

enum { QN_LAYERS_MAX = 128 };

typedef struct qn_encoder_config {
    qn_family family;
    uint32_t vocab, hidden, layers, heads, intermediate, positions;
    uint32_t types;     /* 0: none */
    uint32_t embedding; /* width of the tables; hidden: no projection after them */
    float eps;          /* of LayerNorm */
    qn_act act;

    /* Position t of the table is row t, or (skip_pad) row pad + 1 + t, where tokens `pad`
     * have row `pad` and are not counted. */
    bool absolute, skip_pad;
    uint32_t pad;

    /* Terms by distance in the scores (DeBERTa). */
    bool relative;           /* the table of distances is there */
    bool c2p, p2c;           /* its terms; both count in alpha, with or without it */
    bool shared, norm_table; /* share_att_key; norm_rel_ebd */
    uint32_t buckets;        /* 0: distances as they are */
    uint32_t max_distance;   /* of buckets: what the last one stands for */
    uint32_t conv_kernel, conv_groups; /* conv_kernel 0: none */
    qn_act conv_act;

    /* Norm before products, gated feed-forward, rotary positions (ModernBERT). */
    bool pre_norm, gated, rotary;
    bool norm_bias, attention_bias, feed_bias;
    uint32_t window; /* of local layers: keys at most this far away */
    uint64_t local[QN_LAYERS_MAX / 64]; /* bit i: layer i is local */
    float theta_global, theta_local;
} qn_encoder_config;

/* Everything that the family alone decides; the rest is zero, or a default that may be
 * overwritten. */
void qn_encoder_config_init(qn_encoder_config *c, qn_family family);
/* In range, and the parts fit each other. */
QN_MUST_CHECK qn_status qn_encoder_config_check(const qn_encoder_config *c,
                                                qn_error *err);

bool qn_encoder_is_local(const qn_encoder_config *c, uint32_t layer);
/* Whether types of tokens matter: RoBERTas know one, whatever is given. */
bool qn_encoder_reads_types(const qn_encoder_config *c);
/* Tokens that a sequence may have at most. */
uint32_t qn_encoder_longest(const qn_encoder_config *c);
/* Rows of the relative table on one side of zero. */
uint32_t qn_encoder_span(const qn_encoder_config *c);
/* The row of the relative table for query i and key j, distance = i - j. */
uint32_t qn_encoder_distance_row(const qn_encoder_config *c, int32_t distance);
/* 1 / sqrt(d * number of terms). */
double qn_encoder_alpha(const qn_encoder_config *c);

/* ---- tensors ---------------------------------------------------------------- */

/* ORDER SLOT: encoder_tensors.c. Names and shapes: docs/formats/qnm.md. */
typedef enum qn_slot {
    /* One each. */
    QN_SLOT_WORD,
    QN_SLOT_POSITION,
    QN_SLOT_TYPE,
    QN_SLOT_EMBED_GAMMA,
    QN_SLOT_EMBED_BETA,
    QN_SLOT_EMBED_PROJ,
    QN_SLOT_RELATIVE,
    QN_SLOT_RELATIVE_GAMMA,
    QN_SLOT_RELATIVE_BETA,
    QN_SLOT_CONV,
    QN_SLOT_CONV_BIAS,
    QN_SLOT_CONV_GAMMA,
    QN_SLOT_CONV_BETA,
    QN_SLOT_LAST_GAMMA,
    QN_SLOT_LAST_BETA,
    /* One a layer. */
    QN_SLOT_QUERY,
    QN_SLOT_KEY,
    QN_SLOT_VALUE,
    QN_SLOT_OUT,
    QN_SLOT_UP,
    QN_SLOT_GATE,
    QN_SLOT_DOWN,
    QN_SLOT_POS_KEY,
    QN_SLOT_POS_QUERY,
    QN_SLOT_QUERY_BIAS,
    QN_SLOT_KEY_BIAS,
    QN_SLOT_VALUE_BIAS,
    QN_SLOT_OUT_BIAS,
    QN_SLOT_UP_BIAS,
    QN_SLOT_GATE_BIAS,
    QN_SLOT_DOWN_BIAS,
    QN_SLOT_POS_KEY_BIAS,
    QN_SLOT_POS_QUERY_BIAS,
    /* Norms: of attention and of feed-forward, before or after them. */
    QN_SLOT_GAMMA_1,
    QN_SLOT_BETA_1,
    QN_SLOT_GAMMA_2,
    QN_SLOT_BETA_2,
    QN_SLOT_NONE,
    QN_SLOT_LAYER = QN_SLOT_QUERY, /* the first of a layer */
} qn_slot;
enum { QN_SLOTS = QN_SLOT_NONE };

/* One tensor of a model. */
typedef struct qn_tensor_spec {
    char name[96];
    uint32_t rank, rows, columns;
    bool quantize; /* a big matrix, stored in the model's dtype; else f32 */
    qn_slot slot;
    uint32_t layer;
} qn_tensor_spec;

/* All tensors of an encoder of this configuration, in order. */
size_t qn_encoder_spec_count(const qn_encoder_config *c);
void qn_encoder_spec_at(const qn_encoder_config *c, size_t i, qn_tensor_spec *out);
/* One of them; false when there is none. */
bool qn_encoder_spec_of(const qn_encoder_config *c, qn_slot slot, uint32_t layer,
                        qn_tensor_spec *out);

/* The products of a layer, by what goes in. */
typedef enum qn_encoder_input {
    QN_INTO_QKV,
    QN_INTO_OUT,
    QN_INTO_UP, /* and the gate */
    QN_INTO_DOWN,
    QN_ENCODER_INPUTS,
} qn_encoder_input;

/* The weights that input goes into; how many. */
size_t qn_encoder_input_slots(qn_encoder_input which, qn_slot out[3]);
/* An int8 model may scale the columns that go into a product, so that no column is so
 * large that the others drown in the rounding of a row (SmoothQuant, arXiv 2211.10438):
 * X W^T = (X s) (W / s)^T. The name of s; K values. QN_INTO_OUT has none: its scale is
 * folded into the value weights. */
void qn_encoder_scale_spec(const qn_encoder_config *c, uint32_t layer,
                           qn_encoder_input which, qn_tensor_spec *out);

/* A tensor of the file, checked against the shape; not read (qn_qnm_read). */
QN_MUST_CHECK qn_status qn_spec_find(const qn_qnm *file, const qn_tensor_spec *spec,
                                     const qn_tensor **out, qn_error *err);
/* And read. */
QN_MUST_CHECK qn_status qn_spec_tensor(const qn_qnm *file, const qn_tensor_spec *spec,
                                       const qn_tensor **out, qn_error *err);

#endif
