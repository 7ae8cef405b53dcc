/* SPDX-License-Identifier: Apache-2.0 */
/* encoder.c -- opening: tensors of the file become packed weights and tables. */
#include "nn/encoder/encoder_internal.h"

#include "num/attention.h"

#include <math.h>
#include <stdio.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "model weights");
}

/* ---- tensors ---------------------------------------------------------------- */

typedef struct opening {
    qn_encoder *e;
    const qn_weight_source *from;
    uint32_t layer;
} opening;

/* Not yet read. NULL in *out when this configuration has no such tensor. */
static qn_status unread_of(const opening *o, qn_slot slot, const qn_tensor **out,
                           qn_error *err)
{
    qn_tensor_spec spec;
    *out = NULL;
    if (!qn_encoder_spec_of(&o->e->config, slot, o->layer, &spec)) return QN_OK;
    return qn_spec_find(o->from->file, &spec, out, err);
}

static qn_status tensor_of(const opening *o, qn_slot slot, const qn_tensor **out,
                           qn_error *err)
{
    QN_TRY(unread_of(o, slot, out, err));
    return *out == NULL ? QN_OK : qn_qnm_read(o->from->file, *out, err);
}

static qn_status vector_of(const opening *o, qn_slot slot, const float **out,
                           qn_error *err)
{
    const qn_tensor *t = NULL;
    QN_TRY(tensor_of(o, slot, &t, err));
    *out = t == NULL ? NULL : t->data;
    return QN_OK;
}

static qn_status norm_of(const opening *o, qn_slot gamma, qn_slot beta, qn_norm *out,
                         qn_error *err)
{
    QN_TRY(vector_of(o, gamma, &out->gamma, err));
    return vector_of(o, beta, &out->beta, err);
}

/* A matrix as f32, to be freed. */
static qn_status matrix_f32(const opening *o, const qn_tensor *t, QN_OWNED float **out,
                            qn_error *err)
{
    *out = qn_new_array(o->e->alloc, (size_t)t->rows * t->columns, sizeof **out);
    if (*out == NULL) return no_memory(err);
    qn_tensor_to_f32(t, *out);
    return QN_OK;
}

/* ---- packed weights --------------------------------------------------------- */

/* The tensors of the slots, those that exist, one below the other. */
static qn_status pack(const opening *o, const qn_slot *slots, size_t count,
                      qn_gemm **out, qn_error *err)
{
    const qn_tensor *t[3] = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        QN_TRY(unread_of(o, slots[i], &t[n], err));
        if (t[n] != NULL) n++;
    }
    return qn_pack_weight(o->from, t, n, out, err);
}

/* The bias vectors of the slots, those that exist, one after the other; NULL when there
 * are none. */
static qn_status join_biases(const opening *o, const qn_slot *slots, size_t count,
                             QN_OWNED float **out, qn_error *err)
{
    const qn_tensor *t[3] = {0};
    size_t n = 0, N = 0;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        QN_TRY(tensor_of(o, slots[i], &t[n], err));
        if (t[n] != NULL) N += t[n++]->columns;
    }
    if (n == 0) return QN_OK;
    *out = qn_new_array(o->e->alloc, N, sizeof **out);
    if (*out == NULL) return no_memory(err);
    for (size_t i = 0, at = 0; i < n; at += t[i]->columns, i++)
        memcpy(*out + at, t[i]->data, t[i]->columns * sizeof **out);
    return QN_OK;
}

/* Input scales are there or not, each by itself. */
static qn_status open_scales(const opening *o, qn_encoder_layer *l, qn_error *err)
{
    static const qn_encoder_input scaled[] = {QN_INTO_QKV, QN_INTO_UP, QN_INTO_DOWN};
    for (size_t i = 0; i < sizeof scaled / sizeof *scaled; i++) {
        qn_tensor_spec spec;
        const qn_tensor *t = NULL;
        qn_encoder_scale_spec(&o->e->config, o->layer, scaled[i], &spec);
        if (qn_qnm_find(o->from->file, spec.name) == NULL) continue;
        QN_TRY(qn_spec_tensor(o->from->file, &spec, &t, err));
        l->scale[scaled[i]] = t->data;
    }
    return QN_OK;
}

/* ---- the relative table ----------------------------------------------------- */

/* One position term of a layer, where it goes. */
typedef struct position_term {
    const char *name; /* in a packed copy */
    qn_slot weight, bias;
    float **own;
    const float **turned;
    qn_gemm **i8;
} position_term;

/* (R s) W^T + b, turned or packed, for the rows R of the relative table; s: input scales of
 * the weights, or NULL. In f32 whatever the weights are stored as: it runs once. */
static qn_status project_table(const opening *o, const float *R, const float *scale,
                               const position_term *term, bool integers, qn_error *err)
{
    qn_encoder *e = o->e;
    size_t H = e->config.hidden, n = 2 * (size_t)qn_encoder_span(&e->config);
    const qn_tensor *t = NULL;
    const float *b = NULL;
    float *W = NULL, *X = NULL, *Y = NULL;
    void *scratch = NULL;
    qn_gemm *g = NULL;
    qn_status st;
    QN_TRY(tensor_of(o, term->weight, &t, err));
    QN_TRY(vector_of(o, term->bias, &b, err));
    QN_TRY(matrix_f32(o, t, &W, err));
    QN_TRY_TO(done, qn_gemm_pack_f32(e->alloc, e->kernels, W, H, H, &g, err));
    X = qn_new_array(e->alloc, n * H, sizeof *X);
    Y = qn_new_array(e->alloc, n * H, sizeof *Y);
    scratch = qn_new_aligned(e->alloc, 64, qn_gemm_scratch_bytes(g, n) + 64);
    if (X == NULL || Y == NULL || scratch == NULL) {
        st = no_memory(err);
        goto done;
    }
    for (size_t r = 0; r < n; r++) {
        memcpy(X + r * H, R + r * H, H * sizeof *X);
        if (scale != NULL) e->kernels->mul(X + r * H, scale, X + r * H, H);
    }
    qn_gemm_run(g, n, X, H, b, Y, H, scratch);
    if (integers) {
        st = qn_attention_pack(e->alloc, e->kernels, Y, n, H, H / e->config.heads,
                               term->i8, err);
        goto done;
    }
    *term->own =
        qn_new_aligned(e->alloc, 64, qn_attention_stride(n) * H * sizeof(float));
    if (*term->own == NULL)
        st = no_memory(err);
    else
        qn_attention_turn(e->kernels, Y, n, H, *term->own);
done:
    qn_delete_aligned(e->alloc, scratch);
    qn_gemm_destroy(g);
    qn_delete(e->alloc, Y);
    qn_delete(e->alloc, X);
    qn_delete(e->alloc, W);
    return st;
}

/* R = the relative table, normed where the configuration says so; to be freed. */
static qn_status relative_table(const opening *o, QN_OWNED float **out, qn_error *err)
{
    qn_encoder *e = o->e;
    size_t H = e->config.hidden;
    const qn_tensor *t = NULL;
    qn_norm norm = {0};
    QN_TRY(tensor_of(o, QN_SLOT_RELATIVE, &t, err));
    QN_TRY(norm_of(o, QN_SLOT_RELATIVE_GAMMA, QN_SLOT_RELATIVE_BETA, &norm, err));
    QN_TRY(matrix_f32(o, t, out, err));
    for (size_t r = 0; norm.gamma != NULL && r < t->rows; r++)
        e->kernels->layer_norm(*out + r * H, norm.gamma, norm.beta, e->config.eps, H,
                               *out + r * H);
    return QN_OK;
}

/* One position term of a layer, from the copy or computed. */
static qn_status open_term(const opening *o, const float *R, const position_term *term,
                           qn_error *err)
{
    qn_encoder *e = o->e;
    const qn_encoder_config *c = &e->config;
    const qn_encoder_layer *l = &e->layers[o->layer];
    const float *scale = c->shared ? l->scale[QN_INTO_QKV] : NULL;
    size_t positions = 2 * (size_t)qn_encoder_span(c),
           count = qn_attention_stride(positions) * c->hidden;
    bool integers = qn_encoder_in_integers(l);
    char name[64];
    (void)snprintf(name, sizeof name, "layer %u %s", o->layer, term->name);
    if (integers) {
        if (qn_packed_copy_weight(o->from->copy, name, QN_GEMM_I8,
                                  c->heads * qn_attention_head_rows(positions),
                                  c->hidden / c->heads, term->i8))
            return QN_OK;
    } else {
        *term->turned = qn_packed_copy_values(o->from->copy, name, count);
        if (*term->turned != NULL) return QN_OK;
    }
    QN_TRY(project_table(o, R, scale, term, integers, err));
    if (integers)
        qn_packed_copy_keep(o->from->copy, name, *term->i8);
    else
        qn_packed_copy_keep_values(o->from->copy, name, *term->own, count);
    *term->turned = *term->own;
    return QN_OK;
}

/* The position terms of every layer: PK = R Wk^T + bk and PQ = R Wq^T + bq. */
static qn_status open_relative(opening *o, qn_error *err)
{
    qn_encoder *e = o->e;
    const qn_encoder_config *c = &e->config;
    float *R = NULL;
    qn_status st = relative_table(o, &R, err);
    for (uint32_t i = 0; st == QN_OK && i < c->layers; i++) {
        qn_encoder_layer *l = &e->layers[i];
        const position_term key = {"keys",
                                   c->shared ? QN_SLOT_KEY : QN_SLOT_POS_KEY,
                                   c->shared ? QN_SLOT_KEY_BIAS : QN_SLOT_POS_KEY_BIAS,
                                   &l->own_pos_key,
                                   &l->pos_key,
                                   &l->pos_key_i8},
                            query = {"queries",
                                     c->shared ? QN_SLOT_QUERY : QN_SLOT_POS_QUERY,
                                     c->shared ? QN_SLOT_QUERY_BIAS
                                               : QN_SLOT_POS_QUERY_BIAS,
                                     &l->own_pos_query,
                                     &l->pos_query,
                                     &l->pos_query_i8};
        o->layer = i;
        if (c->c2p) st = open_term(o, R, &key, err);
        if (st == QN_OK && c->p2c) st = open_term(o, R, &query, err);
    }
    qn_delete(e->alloc, R);
    QN_TRY(st);
    int32_t longest = (int32_t)qn_encoder_longest(c);
    e->distance_rows =
        qn_new_array(e->alloc, 2 * (size_t)longest, sizeof *e->distance_rows);
    if (e->distance_rows == NULL) return no_memory(err);
    for (int32_t i = 1 - longest; i < longest; i++)
        e->distance_rows[i + longest - 1] = (int32_t)qn_encoder_distance_row(c, i);
    return QN_OK;
}

/* ---- rotary positions, convolution ------------------------------------------ */

/* Angles as the libraries have them: the frequency and its product rounded to f32. */
static qn_status open_rotation(qn_encoder *e, size_t which, float theta, qn_error *err)
{
    size_t longest = qn_encoder_longest(&e->config),
           d = e->config.hidden / e->config.heads;
    float *table = qn_new_array(e->alloc, longest * d, sizeof *table);
    if (table == NULL) return no_memory(err);
    e->rotation[which] = table;
    for (size_t k = 0; k < d / 2; k++) {
        float frequency =
            (float)(1.0 / pow((double)theta, 2.0 * (double)k / (double)d));
        for (size_t t = 0; t < longest; t++) {
            double angle = (double)((float)t * frequency);
            table[t * d + k] = (float)cos(angle);
            table[t * d + d / 2 + k] = (float)sin(angle);
        }
    }
    return QN_OK;
}

/* The stored kernel is H x (C * H / groups), tap by tap; groups become one matrix with
 * zeros outside of them. */
static qn_status open_conv(opening *o, qn_error *err)
{
    qn_encoder *e = o->e;
    const qn_encoder_config *c = &e->config;
    size_t H = c->hidden, taps = c->conv_kernel, part = H / c->conv_groups;
    const qn_tensor *t = NULL;
    QN_TRY(tensor_of(o, QN_SLOT_CONV, &t, err));
    QN_TRY(vector_of(o, QN_SLOT_CONV_BIAS, &e->conv_bias, err));
    QN_TRY(norm_of(o, QN_SLOT_CONV_GAMMA, QN_SLOT_CONV_BETA, &e->conv_norm, err));
    float *W = qn_new_array(e->alloc, H * taps * H, sizeof *W);
    if (W == NULL) return no_memory(err);
    const float *stored = t->data;
    for (size_t n = 0; n < H; n++)
        for (size_t tap = 0; tap < taps; tap++)
            memcpy(W + (n * taps + tap) * H + n / part * part,
                   stored + (n * taps + tap) * part, part * sizeof *W);
    qn_status st =
        qn_gemm_pack_f32(e->alloc, e->kernels, W, H, taps * H, &e->conv, err);
    qn_delete(e->alloc, W);
    return st;
}

/* ---- layers ----------------------------------------------------------------- */

/* Whether the last layer can leave out all but first rows: a convolution after it needs
 * them all. */
static bool is_short(const qn_encoder *e, uint32_t layer)
{
    return e->first_only && layer + 1 == e->config.layers &&
           !(layer == 0 && e->config.conv_kernel > 0);
}

static qn_status open_layer(opening *o, uint32_t number, qn_error *err)
{
    static const qn_slot qkv[] = {QN_SLOT_QUERY, QN_SLOT_KEY, QN_SLOT_VALUE},
                         biases[] = {QN_SLOT_QUERY_BIAS, QN_SLOT_KEY_BIAS,
                                     QN_SLOT_VALUE_BIAS},
                         out[] = {QN_SLOT_OUT}, up[] = {QN_SLOT_UP, QN_SLOT_GATE},
                         down[] = {QN_SLOT_DOWN},
                         up_biases[] = {QN_SLOT_UP_BIAS, QN_SLOT_GATE_BIAS};
    qn_encoder *e = o->e;
    qn_encoder_layer *l = &e->layers[number];
    o->layer = number;
    if (is_short(e, number)) {
        QN_TRY(pack(o, qkv, 1, &l->query, err));
        QN_TRY(pack(o, qkv + 1, 2, &l->key_value, err));
    } else {
        QN_TRY(pack(o, qkv, 3, &l->qkv, err));
    }
    QN_TRY(pack(o, out, 1, &l->out, err));
    QN_TRY(pack(o, up, 2, &l->up, err));
    QN_TRY(pack(o, down, 1, &l->down, err));
    QN_TRY(join_biases(o, biases, 3, &l->qkv_bias, err));
    QN_TRY(join_biases(o, up_biases, 2, &l->up_bias, err));
    QN_TRY(vector_of(o, QN_SLOT_OUT_BIAS, &l->out_bias, err));
    QN_TRY(vector_of(o, QN_SLOT_DOWN_BIAS, &l->down_bias, err));
    QN_TRY(norm_of(o, QN_SLOT_GAMMA_1, QN_SLOT_BETA_1, &l->norm_1, err));
    QN_TRY(norm_of(o, QN_SLOT_GAMMA_2, QN_SLOT_BETA_2, &l->norm_2, err));
    bool local = qn_encoder_is_local(&e->config, number);
    l->window = local ? e->config.window : 0;
    l->rotation = e->rotation[local];
    return open_scales(o, l, err);
}

static qn_status open_embeddings(opening *o, qn_error *err)
{
    static const qn_slot proj[] = {QN_SLOT_EMBED_PROJ};
    qn_encoder *e = o->e;
    QN_TRY(unread_of(o, QN_SLOT_WORD, &e->word, err));
    QN_TRY(tensor_of(o, QN_SLOT_POSITION, &e->position, err));
    QN_TRY(tensor_of(o, QN_SLOT_TYPE, &e->type, err));
    QN_TRY(norm_of(o, QN_SLOT_EMBED_GAMMA, QN_SLOT_EMBED_BETA, &e->embed_norm, err));
    if (e->config.embedding != e->config.hidden)
        QN_TRY(pack(o, proj, 1, &e->embed_proj, err));
    return norm_of(o, QN_SLOT_LAST_GAMMA, QN_SLOT_LAST_BETA, &e->last_norm, err);
}

static qn_status open_all(qn_encoder *e, const qn_weight_source *from, qn_error *err)
{
    const qn_encoder_config *c = &e->config;
    opening o = {e, from, 0};
    QN_TRY(qn_encoder_config_check(c, err));
    e->layers = qn_new_array(e->alloc, c->layers, sizeof *e->layers);
    if (e->layers == NULL) return no_memory(err);
    QN_TRY(open_embeddings(&o, err));
    if (c->rotary) {
        QN_TRY(open_rotation(e, 0, c->theta_global, err));
        QN_TRY(open_rotation(e, 1, c->theta_local, err));
    }
    for (uint32_t i = 0; i < c->layers; i++) QN_TRY(open_layer(&o, i, err));
    if (c->conv_kernel > 0) QN_TRY(open_conv(&o, err));
    return c->relative ? open_relative(&o, err) : QN_OK;
}

/* Rows of a chunk, a multiple of 16: the fewer, the wider the model. */
static size_t chunk_of(const qn_encoder_config *c)
{
    size_t wide =
        (c->gated ? 2u : 1u) * (size_t)c->intermediate + 3 * (size_t)c->hidden;
    size_t rows = QN_ENCODER_CHUNK_WORK / ((size_t)c->hidden * wide / 2 + 1) / 16 * 16;
    return rows < QN_ENCODER_CHUNK_MIN ? QN_ENCODER_CHUNK_MIN
           : rows > QN_ENCODER_CHUNK   ? QN_ENCODER_CHUNK
                                       : rows;
}

qn_status qn_encoder_open_packed(const qn_weight_source *from,
                                 const qn_encoder_config *config, bool first_only,
                                 qn_encoder **out, qn_error *err)
{
    *out = NULL;
    qn_encoder *e = qn_new0(from->alloc, sizeof *e);
    if (e == NULL) return no_memory(err);
    e->alloc = from->alloc;
    e->kernels = from->kernels;
    e->file = from->file;
    e->config = *config;
    e->first_only = first_only;
    e->chunk = chunk_of(config);
    qn_status st = open_all(e, from, err);
    if (st != QN_OK) {
        qn_encoder_close(e);
        return st;
    }
    *out = e;
    return QN_OK;
}

qn_status qn_encoder_open(qn_alloc *a, const qn_kernels *kernels, const qn_qnm *file,
                          const qn_encoder_config *config, bool first_only,
                          qn_encoder **out, qn_error *err)
{
    const qn_weight_source from = {a, kernels, file, NULL};
    return qn_encoder_open_packed(&from, config, first_only, out, err);
}

void qn_encoder_close(qn_encoder *e)
{
    if (e == NULL) return;
    for (size_t i = 0; e->layers != NULL && i < e->config.layers; i++) {
        qn_encoder_layer *l = &e->layers[i];
        qn_gemm *weights[] = {l->qkv, l->query, l->key_value,  l->out,
                              l->up,  l->down,  l->pos_key_i8, l->pos_query_i8};
        for (size_t w = 0; w < sizeof weights / sizeof *weights; w++)
            qn_gemm_destroy(weights[w]);
        qn_delete(e->alloc, l->qkv_bias);
        qn_delete(e->alloc, l->up_bias);
        qn_delete_aligned(e->alloc, l->own_pos_key);
        qn_delete_aligned(e->alloc, l->own_pos_query);
    }
    qn_gemm_destroy(e->embed_proj);
    qn_gemm_destroy(e->conv);
    qn_delete(e->alloc, e->rotation[0]);
    qn_delete(e->alloc, e->rotation[1]);
    qn_delete(e->alloc, e->distance_rows);
    qn_delete(e->alloc, e->layers);
    qn_delete(e->alloc, e);
}

/* ---- sizes ------------------------------------------------------------------ */

/* Calls `each` with every packed weight. */
static void walk_weights(const qn_encoder *e, void (*each)(void *ctx, const qn_gemm *g),
                         void *ctx)
{
    const qn_gemm *own[] = {e->embed_proj, e->conv};
    for (size_t w = 0; w < sizeof own / sizeof *own; w++)
        if (own[w] != NULL) each(ctx, own[w]);
    for (size_t i = 0; i < e->config.layers; i++) {
        const qn_encoder_layer *l = &e->layers[i];
        const qn_gemm *weights[] = {l->qkv, l->query, l->key_value,
                                    l->out, l->up,    l->down};
        for (size_t w = 0; w < sizeof weights / sizeof *weights; w++)
            if (weights[w] != NULL) each(ctx, weights[w]);
    }
}

static void add_bytes(void *ctx, const qn_gemm *g)
{
    *(size_t *)ctx += qn_gemm_bytes(g);
}

static void most_scratch(void *ctx, const qn_gemm *g)
{
    size_t *most = ctx, bytes = qn_gemm_scratch_bytes(g, QN_ENCODER_CHUNK);
    if (bytes > *most) *most = bytes;
}

size_t qn_encoder_memory(const qn_encoder *e)
{
    const qn_encoder_config *c = &e->config;
    size_t bytes = 0,
           table = qn_attention_stride(2 * (size_t)qn_encoder_span(c)) * c->hidden;
    walk_weights(e, add_bytes, &bytes);
    for (size_t i = 0; i < c->layers; i++)
        bytes += ((e->layers[i].own_pos_key != NULL ? table : 0) +
                  (e->layers[i].own_pos_query != NULL ? table : 0)) *
                 sizeof(float);
    if (c->rotary)
        bytes +=
            2 * (size_t)qn_encoder_longest(c) * (c->hidden / c->heads) * sizeof(float);
    return bytes;
}

/* Values of each type, and one weight of it. */
typedef struct types {
    size_t values[3]; /* by qn_gemm_type */
    const qn_gemm *one[3];
} types;

static void count_type(void *ctx, const qn_gemm *g)
{
    types *t = ctx;
    t->values[qn_gemm_type_of(g)] += qn_gemm_rows(g) * qn_gemm_columns(g);
    t->one[qn_gemm_type_of(g)] = g;
}

const char *qn_encoder_backend(const qn_encoder *e)
{
    types t = {0};
    size_t most = 0;
    walk_weights(e, count_type, &t);
    for (size_t i = 1; i < sizeof t.one / sizeof *t.one; i++)
        if (t.values[i] > t.values[most]) most = i;
    return qn_gemm_backend(t.one[most]);
}

qn_gemm **qn_encoder_product(qn_encoder *e, uint32_t layer, qn_encoder_input which)
{
    qn_encoder_layer *l = &e->layers[layer];
    qn_gemm **products[QN_ENCODER_INPUTS] = {
        [QN_INTO_QKV] = &l->qkv,
        [QN_INTO_OUT] = &l->out,
        [QN_INTO_UP] = &l->up,
        [QN_INTO_DOWN] = &l->down,
    };
    return products[which];
}

/* ---- scratch ---------------------------------------------------------------- */

/* Hands out the next `count` floats, keeping 64-byte alignment; base NULL measures. */
static float *carve(float *base, size_t *at, size_t count)
{
    float *p = base == NULL ? NULL : base + *at;
    *at += (count + 15) / 16 * 16;
    return p;
}

static size_t max_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t lay_out(qn_encoder_scratch *s, const qn_encoder *e, float *base)
{
    const qn_encoder_config *c = &e->config;
    size_t H = c->hidden, at = 0, gemm_bytes = 0;
    size_t wide = max_of((c->gated ? 2u : 1u) * (size_t)c->intermediate,
                         max_of(c->conv_kernel * H, c->embedding));
    walk_weights(e, most_scratch, &gemm_bytes);
    size_t gemm_floats = gemm_bytes / sizeof(float) + 1;
    size_t longest = qn_encoder_longest(c);
    if (longest > s->tokens) longest = s->tokens;
    bool terms = c->relative && (c->c2p || c->p2c);
    s->x = carve(base, &at, s->tokens * H);
    s->qkv = carve(base, &at, s->tokens * 3 * H);
    s->context = carve(base, &at, s->tokens * H);
    s->first = carve(base, &at, c->conv_kernel > 0 ? s->tokens * H : 0);
    s->rows = carve(base, &at, QN_ENCODER_CHUNK * max_of(H, c->embedding));
    s->wide = carve(base, &at, QN_ENCODER_CHUNK * wide);
    s->scores = carve(base, &at,
                      qn_attention_scratch(e->kernels, H / c->heads, longest,
                                           terms ? 2 * qn_encoder_span(c) : 0));
    s->gemm = carve(base, &at, gemm_floats);
    return at;
}

qn_status qn_encoder_scratch_create(qn_alloc *a, const qn_encoder *e, size_t tokens,
                                    qn_encoder_scratch **out, qn_error *err)
{
    *out = NULL;
    qn_encoder_scratch *s = qn_new0(a, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "encoder scratch");
    s->alloc = a;
    s->tokens = tokens;
    s->block = qn_new_aligned(a, 64, lay_out(s, e, NULL) * sizeof(float));
    if (s->block == NULL) {
        qn_encoder_scratch_destroy(s);
        return qn_fail(err, QN_ENOMEM, "encoder scratch");
    }
    (void)lay_out(s, e, s->block);
    *out = s;
    return QN_OK;
}

void qn_encoder_scratch_destroy(qn_encoder_scratch *s)
{
    if (s == NULL) return;
    qn_delete_aligned(s->alloc, s->block);
    qn_delete(s->alloc, s);
}
