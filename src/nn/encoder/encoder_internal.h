/* SPDX-License-Identifier: Apache-2.0 */
/* encoder_internal.h -- what encoder.c opens and encoder_run.c runs; not for others. */
#ifndef QN_NN_ENCODER_INTERNAL_H
#define QN_NN_ENCODER_INTERNAL_H

#include "nn/encoder/encoder.h"
#include "num/gemm.h"

enum {
    /* Rows that go through a layer's products together, at most: the F-wide rows in
     * between stay in the second-level cache, and the deadline is looked at after each
     * product. At least, and multiply-adds of a product: some 3 ms of one core. */
    QN_ENCODER_CHUNK = 128,
    QN_ENCODER_CHUNK_MIN = 32,
    QN_ENCODER_CHUNK_WORK = 1 << 27,
};

/* gamma NULL: no norm at this place. */
typedef struct qn_norm {
    const float *gamma, *beta; /* beta NULL: none is added */
} qn_norm;

typedef struct qn_encoder_layer {
    /* Queries, keys and values in one product; in the last layer of a first_only
     * encoder apart: queries are wanted for fewer rows. */
    qn_gemm *qkv, *query, *key_value;
    qn_gemm *out, *up; /* up: F wide, or 2F with the gate */
    qn_gemm *down;
    float *qkv_bias; /* 3H, owned; NULL: none */
    float *up_bias;  /* F or 2F, owned; NULL: none */
    const float *out_bias, *down_bias;
    qn_norm norm_1, norm_2;
    const float *scale[QN_ENCODER_INPUTS]; /* of columns going in; NULL: none */
    /* Projections of the relative table, 2 span x H; NULL: no such term. */
    const float *pos_key, *pos_query;
    float *own_pos_key, *own_pos_query; /* unless they lie in a packed copy */
    /* The same for attention in integers, where the weights are int8. */
    qn_gemm *pos_key_i8, *pos_query_i8;
    const float *rotation; /* of qn_encoder.rotation; NULL: none */
    size_t window;         /* 0: all */
} qn_encoder_layer;

/* Is attention of this layer in integers? Where keys are made by int8 weights. */
static inline bool qn_encoder_in_integers(const qn_encoder_layer *l)
{
    return qn_gemm_type_of(l->qkv != NULL ? l->qkv : l->key_value) == QN_GEMM_I8;
}

struct qn_encoder {
    qn_alloc *alloc;
    const qn_kernels *kernels;
    qn_encoder_config config;
    bool first_only;
    size_t chunk; /* rows */
    const qn_qnm *file;
    const qn_tensor *word, *position, *type; /* position and type may be NULL */
    qn_gemm *embed_proj;                     /* NULL: none */
    qn_norm embed_norm, last_norm, conv_norm;
    qn_gemm *conv; /* H x (kernel * H), or NULL */
    const float *conv_bias;
    /* Row of the relative table by distance, from -(longest - 1) on; owned. */
    int32_t *distance_rows;
    /* [longest] rows of d / 2 cosines and d / 2 sines: of global layers and of local
     * ones; owned. */
    float *rotation[2];
    qn_encoder_layer *layers;
};

struct qn_encoder_scratch {
    qn_alloc *alloc;
    size_t tokens;
    float *block;             /* one allocation; the rest point into it */
    float *x, *qkv, *context; /* tokens x H, 3H, H */
    float *first;             /* tokens x H: the embeddings, kept for the convolution */
    float *rows, *wide;       /* CHUNK x H (or E), CHUNK x the widest */
    float *scores;            /* attention */
    float *gemm;
};

#endif
