/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder.h"

#include "nn/attention.h"
#include "nn/gelu_product.h"

#include <math.h>

enum {
    /* Rows that go through a layer's products together: the F-wide rows in between stay
     * in the second-level cache, and the deadline is looked at after each chunk. */
    CHUNK = 128,
    /* ORDER ENCODER TENSORS: positions in the lists of encoder_tensors.c. */
    WORD = 0,
    POSITION = 1,
    TYPE = 2,
    EMBED_GAMMA = 3,
    EMBED_BETA = 4,
    FIRST_LAYER = 5,
    QUERY = 0,
    KEY = 1,
    VALUE = 2,
    OUT = 3,
    UP = 4,
    DOWN = 5,
    BIAS = 6, /* from a weight to its bias */
    GAMMA_1 = 12,
    BETA_1 = 13,
    GAMMA_2 = 14,
    BETA_2 = 15,
    LAYER_TENSORS = 16,
};

typedef struct layer {
    /* Queries, keys and values in one product; in the last layer of a first_only
     * encoder apart: queries are wanted for fewer rows. */
    qn_gemm *qkv, *query, *key_value;
    qn_gemm *out, *up;
    qn_gelu_product down;
    float *qkv_bias; /* 3H, owned */
    const float *out_bias, *up_bias, *down_bias;
    const float *gamma_1, *beta_1, *gamma_2, *beta_2;
    const float *scale[QN_ENCODER_INPUTS]; /* of columns going in; NULL: none */
} layer;

struct qn_encoder {
    qn_alloc *alloc;
    const qn_kernels *kernels;
    qn_encoder_config config;
    bool first_only;
    const qn_tensor *word, *position, *type;
    const float *gamma, *beta;
    layer *layers;
};

struct qn_encoder_scratch {
    qn_alloc *alloc;
    size_t tokens;
    float *block;             /* one allocation; the rest point into it */
    float *x, *qkv, *context; /* tokens x H, 3H, H */
    float *rows, *wide;       /* CHUNK x H, F */
    float *scores;            /* attention */
    float *gemm;
};

/* ---- opening ---------------------------------------------------------------- */

static qn_status tensor_at(const qn_encoder *b, const qn_qnm *file, size_t i,
                           const qn_tensor **out, qn_error *err)
{
    qn_encoder_spec spec;
    qn_encoder_spec_at(&b->config, i, &spec);
    return qn_encoder_tensor(file, &spec, out, err);
}

static qn_status vector_at(const qn_encoder *b, const qn_qnm *file, size_t i,
                           const float **out, qn_error *err)
{
    const qn_tensor *t = NULL;
    QN_TRY(tensor_at(b, file, i, &t, err));
    *out = t->data;
    return QN_OK;
}

/* One packed weight of `count` tensors, from number `first` on, one below the other. */
static qn_status pack(const qn_encoder *b, const qn_qnm *file, size_t first,
                      size_t count, qn_gemm **out, qn_error *err)
{
    const qn_tensor *t[3] = {0};
    size_t N = 0;
    for (size_t i = 0; i < count; i++) {
        QN_TRY(tensor_at(b, file, first + i, &t[i], err));
        N += t[i]->rows;
        if (t[i]->dtype != t[0]->dtype)
            return qn_fail_file(err, QN_EMODEL, qn_qnm_name(file), QN_AT_NONE,
                                "tensor \"%s\" has another dtype than its neighbours",
                                t[i]->name);
    }
    size_t K = t[0]->columns;
    bool int8 = t[0]->dtype == QN_MODEL_INT8;
    qn_status st = QN_OK;
    void *weight = qn_new_array(b->alloc, N * K, int8 ? 1 : sizeof(float));
    float *scale = qn_new_array(b->alloc, N, sizeof *scale);
    if (weight == NULL || scale == NULL) {
        st = qn_fail(err, QN_ENOMEM, "model weights");
        goto done;
    }
    for (size_t i = 0, row = 0; i < count; row += t[i]->rows, i++) {
        if (!int8) {
            qn_tensor_to_f32(t[i], (float *)weight + row * K);
            continue;
        }
        memcpy((int8_t *)weight + row * K, t[i]->data, t[i]->rows * K);
        memcpy(scale + row, t[i]->scale, t[i]->rows * sizeof *scale);
    }
    st = int8 ? qn_gemm_pack_i8(b->alloc, b->kernels, weight, scale, N, K, out, err)
              : qn_gemm_pack_f32(b->alloc, b->kernels, weight, N, K, out, err);
done:
    qn_delete(b->alloc, scale);
    qn_delete(b->alloc, weight);
    return st;
}

/* Input scales are there or not, each by itself. */
static qn_status open_scales(const qn_encoder *b, const qn_qnm *file, uint32_t number,
                             layer *l, qn_error *err)
{
    static const qn_encoder_input scaled[] = {QN_INTO_QKV, QN_INTO_UP, QN_INTO_DOWN};
    for (size_t i = 0; i < sizeof scaled / sizeof *scaled; i++) {
        qn_encoder_spec spec;
        const qn_tensor *t = NULL;
        qn_encoder_scale_spec(&b->config, number, scaled[i], &spec);
        if (qn_qnm_find(file, spec.name) == NULL) continue;
        QN_TRY(qn_encoder_tensor(file, &spec, &t, err));
        l->scale[scaled[i]] = t->data;
    }
    return QN_OK;
}

static qn_status open_layer(const qn_encoder *b, const qn_qnm *file, size_t number,
                            layer *l, qn_error *err)
{
    size_t base = FIRST_LAYER + number * LAYER_TENSORS;
    size_t H = b->config.hidden;
    if (b->first_only && number + 1 == b->config.layers) {
        QN_TRY(pack(b, file, base + QUERY, 1, &l->query, err));
        QN_TRY(pack(b, file, base + KEY, 2, &l->key_value, err));
    } else {
        QN_TRY(pack(b, file, base + QUERY, 3, &l->qkv, err));
    }
    QN_TRY(pack(b, file, base + OUT, 1, &l->out, err));
    QN_TRY(pack(b, file, base + UP, 1, &l->up, err));
    const qn_tensor *down = NULL;
    QN_TRY(tensor_at(b, file, base + DOWN, &down, err));
    QN_TRY(qn_gelu_product_init(&l->down, b->alloc, b->kernels, down, err));
    l->qkv_bias = qn_new_array(b->alloc, 3 * H, sizeof *l->qkv_bias);
    if (l->qkv_bias == NULL) return qn_fail(err, QN_ENOMEM, "model weights");
    for (size_t i = 0; i < 3; i++) {
        const float *bias = NULL;
        QN_TRY(vector_at(b, file, base + BIAS + QUERY + i, &bias, err));
        memcpy(l->qkv_bias + i * H, bias, H * sizeof *bias);
    }
    QN_TRY(vector_at(b, file, base + BIAS + OUT, &l->out_bias, err));
    QN_TRY(vector_at(b, file, base + BIAS + UP, &l->up_bias, err));
    QN_TRY(vector_at(b, file, base + BIAS + DOWN, &l->down_bias, err));
    QN_TRY(vector_at(b, file, base + GAMMA_1, &l->gamma_1, err));
    QN_TRY(vector_at(b, file, base + BETA_1, &l->beta_1, err));
    QN_TRY(vector_at(b, file, base + GAMMA_2, &l->gamma_2, err));
    QN_TRY(vector_at(b, file, base + BETA_2, &l->beta_2, err));
    return open_scales(b, file, (uint32_t)number, l, err);
}

static qn_status open_all(qn_encoder *b, const qn_qnm *file, qn_error *err)
{
    QN_TRY(qn_encoder_config_check(&b->config, err));
    QN_TRY(tensor_at(b, file, WORD, &b->word, err));
    QN_TRY(tensor_at(b, file, POSITION, &b->position, err));
    QN_TRY(tensor_at(b, file, TYPE, &b->type, err));
    QN_TRY(vector_at(b, file, EMBED_GAMMA, &b->gamma, err));
    QN_TRY(vector_at(b, file, EMBED_BETA, &b->beta, err));
    b->layers = qn_new_array(b->alloc, b->config.layers, sizeof *b->layers);
    if (b->layers == NULL) return qn_fail(err, QN_ENOMEM, "model weights");
    for (size_t i = 0; i < b->config.layers; i++)
        QN_TRY(open_layer(b, file, i, &b->layers[i], err));
    return QN_OK;
}

qn_status qn_encoder_open(qn_alloc *a, const qn_kernels *kernels, const qn_qnm *file,
                          const qn_encoder_config *config, bool first_only,
                          qn_encoder **out, qn_error *err)
{
    *out = NULL;
    qn_encoder *b = qn_new0(a, sizeof *b);
    if (b == NULL) return qn_fail(err, QN_ENOMEM, "model weights");
    b->alloc = a;
    b->kernels = kernels;
    b->config = *config;
    b->first_only = first_only;
    qn_status st = open_all(b, file, err);
    if (st != QN_OK) {
        qn_encoder_close(b);
        return st;
    }
    *out = b;
    return QN_OK;
}

void qn_encoder_close(qn_encoder *b)
{
    if (b == NULL) return;
    for (size_t i = 0; b->layers != NULL && i < b->config.layers; i++) {
        layer *l = &b->layers[i];
        qn_gemm *weights[] = {l->qkv, l->query, l->key_value, l->out, l->up};
        for (size_t w = 0; w < sizeof weights / sizeof *weights; w++)
            qn_gemm_destroy(weights[w]);
        qn_gelu_product_deinit(&l->down);
        qn_delete(b->alloc, l->qkv_bias);
    }
    qn_delete(b->alloc, b->layers);
    qn_delete(b->alloc, b);
}

/* Calls `each` with every packed weight. */
static void walk_weights(const qn_encoder *b, void (*each)(void *ctx, const qn_gemm *g),
                         void *ctx)
{
    for (size_t i = 0; i < b->config.layers; i++) {
        const layer *l = &b->layers[i];
        const qn_gemm *weights[] = {l->qkv, l->query,        l->key_value,   l->out,
                                    l->up,  l->down.part[0], l->down.part[1]};
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
    size_t *most = ctx, bytes = qn_gemm_scratch_bytes(g, CHUNK);
    if (bytes > *most) *most = bytes;
}

size_t qn_encoder_memory(const qn_encoder *b)
{
    size_t bytes = 0;
    walk_weights(b, add_bytes, &bytes);
    return bytes;
}

const char *qn_encoder_backend(const qn_encoder *b)
{
    return qn_gemm_backend(b->layers[0].out);
}

/* ---- scratch ---------------------------------------------------------------- */

/* Hands out the next `count` floats, keeping 64-byte alignment; base NULL measures. */
static float *carve(float *base, size_t *at, size_t count)
{
    float *p = base == NULL ? NULL : base + *at;
    *at += (count + 15) / 16 * 16;
    return p;
}

static size_t lay_out(qn_encoder_scratch *s, const qn_encoder *b, float *base)
{
    size_t H = b->config.hidden, F = b->config.intermediate, at = 0, gemm_bytes = 0;
    walk_weights(b, most_scratch, &gemm_bytes);
    size_t gemm_floats = qn_gelu_product_scratch(&b->layers[0].down, CHUNK);
    if (gemm_bytes / sizeof(float) >= gemm_floats)
        gemm_floats = gemm_bytes / sizeof(float) + 1;
    s->x = carve(base, &at, s->tokens * H);
    s->qkv = carve(base, &at, s->tokens * 3 * H);
    s->context = carve(base, &at, s->tokens * H);
    s->rows = carve(base, &at, CHUNK * H);
    s->wide = carve(base, &at, CHUNK * F);
    size_t longest = s->tokens < b->config.positions ? s->tokens : b->config.positions;
    size_t d = H / b->config.heads;
    s->scores = carve(base, &at, qn_attention_scratch(b->kernels, d, longest, 0));
    s->gemm = carve(base, &at, gemm_floats);
    return at;
}

qn_status qn_encoder_scratch_create(qn_alloc *a, const qn_encoder *b, size_t tokens,
                                    qn_encoder_scratch **out, qn_error *err)
{
    *out = NULL;
    qn_encoder_scratch *s = qn_new0(a, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "encoder scratch");
    s->alloc = a;
    s->tokens = tokens;
    s->block = qn_new_aligned(a, 64, lay_out(s, b, NULL) * sizeof(float));
    if (s->block == NULL) {
        qn_encoder_scratch_destroy(s);
        return qn_fail(err, QN_ENOMEM, "encoder scratch");
    }
    (void)lay_out(s, b, s->block);
    *out = s;
    return QN_OK;
}

void qn_encoder_scratch_destroy(qn_encoder_scratch *s)
{
    if (s == NULL) return;
    qn_delete_aligned(s->alloc, s->block);
    qn_delete(s->alloc, s);
}

/* ---- running ---------------------------------------------------------------- */

static qn_status out_of_time(const qn_deadline *deadline, qn_error *err)
{
    if (qn_deadline_cancelled(deadline))
        return qn_fail(err, QN_ECANCELLED, "cancelled inside the encoder");
    return qn_fail(err, QN_ETIMEOUT, "the deadline passed inside the encoder");
}

static qn_status in_time(const qn_deadline *deadline, qn_error *err)
{
    if (deadline == NULL || !qn_deadline_passed(deadline)) return QN_OK;
    return out_of_time(deadline, err);
}

/* x[t] = LN(word[id] + position + type). */
static void embed(const qn_encoder *b, qn_encoder_scratch *s,
                  const qn_encoder_batch *batch)
{
    size_t H = b->config.hidden;
    for (size_t i = 0; i < batch->sequences; i++) {
        uint32_t begin = batch->starts[i], end = batch->starts[i + 1];
        qn_assert(end > begin && end - begin <= b->config.positions);
        for (uint32_t t = begin; t < end; t++) {
            float *x = s->x + t * H;
            qn_assert(batch->ids[t] < b->config.vocab &&
                      batch->types[t] < b->config.types);
            qn_tensor_row_f32(b->word, batch->ids[t], x);
            qn_tensor_row_f32(b->position, t - begin, s->rows);
            b->kernels->add(x, s->rows, H);
            qn_tensor_row_f32(b->type, batch->types[t], s->rows);
            b->kernels->add(x, s->rows, H);
            b->kernels->layer_norm(x, b->gamma, b->beta, b->config.eps, H, x);
        }
    }
}

/* What a run needs at hand. */
typedef struct pass {
    const qn_encoder *b;
    qn_encoder_scratch *s;
    const qn_encoder_batch *batch;
    const qn_deadline *deadline;
    const qn_encoder_trace *trace;
    uint32_t layer; /* its number */
    const layer *l;
} pass;

static void show_input(const pass *p, qn_encoder_input which, const float *x, size_t n,
                       size_t K)
{
    if (p->trace != NULL && p->trace->input != NULL)
        p->trace->input(p->trace->ctx, p->layer, which, x, n, K);
}

/* y = x * scale, column by column. */
static void scale_rows(const qn_kernels *k, const float *x, const float *scale,
                       size_t n, size_t K, float *y)
{
    for (size_t r = 0; r < n; r++) k->mul(x + r * K, scale, y + r * K, K);
}

/* Y = x W^T + bias over n rows of s->x, a chunk at a time: the products that begin a
 * layer. */
static qn_status project(const pass *p, const qn_gemm *g, size_t n, const float *bias,
                         float *Y, qn_error *err)
{
    qn_encoder_scratch *s = p->s;
    size_t H = p->b->config.hidden;
    const float *scale = p->l->scale[QN_INTO_QKV];
    show_input(p, QN_INTO_QKV, s->x, n, H);
    for (size_t at = 0; at < n; at += CHUNK) {
        size_t m = n - at < CHUNK ? n - at : CHUNK;
        const float *X = s->x + at * H;
        if (scale != NULL) {
            scale_rows(p->b->kernels, X, scale, m, H, s->rows);
            X = s->rows;
        }
        qn_gemm_run(g, m, X, H, bias, Y + at * 3 * H, 3 * H, s->gemm);
        QN_TRY(in_time(p->deadline, err));
    }
    return QN_OK;
}

/* x = LN(rows + x), n rows. */
static void add_norm(const pass *p, const float *gamma, const float *beta, size_t n,
                     float *x)
{
    size_t H = p->b->config.hidden;
    p->b->kernels->add(p->s->rows, x, n * H);
    for (size_t r = 0; r < n; r++)
        p->b->kernels->layer_norm(p->s->rows + r * H, gamma, beta, p->b->config.eps, H,
                                  x + r * H);
}

/* rows = W2 gelu(W1 x), n rows of at most CHUNK. */
static void feed_forward(const pass *p, const float *x, size_t n)
{
    qn_encoder_scratch *s = p->s;
    const layer *l = p->l;
    size_t H = p->b->config.hidden, F = p->b->config.intermediate;
    show_input(p, QN_INTO_UP, x, n, H);
    if (l->scale[QN_INTO_UP] != NULL) {
        scale_rows(p->b->kernels, x, l->scale[QN_INTO_UP], n, H, s->rows);
        x = s->rows;
    }
    qn_gemm_run(l->up, n, x, H, l->up_bias, s->wide, F, s->gemm);
    /* A row at a time: where a row ends must not depend on its neighbours. */
    for (size_t r = 0; r < n; r++) p->b->kernels->gelu(s->wide + r * F, F);
    show_input(p, QN_INTO_DOWN, s->wide, n, F);
    if (l->scale[QN_INTO_DOWN] != NULL)
        scale_rows(p->b->kernels, s->wide, l->scale[QN_INTO_DOWN], n, F, s->wide);
    qn_gelu_product_run(&l->down, p->b->kernels, n, s->wide, l->down_bias, s->rows,
                        s->gemm);
}

/* Everything after attention: n rows of x and context give n rows of x. */
static qn_status finish_layer(const pass *p, size_t n, qn_error *err)
{
    size_t H = p->b->config.hidden;
    const layer *l = p->l;
    show_input(p, QN_INTO_OUT, p->s->context, n, H);
    for (size_t at = 0; at < n; at += CHUNK) {
        size_t m = n - at < CHUNK ? n - at : CHUNK;
        float *x = p->s->x + at * H;
        qn_gemm_run(l->out, m, p->s->context + at * H, H, l->out_bias, p->s->rows, H,
                    p->s->gemm);
        add_norm(p, l->gamma_1, l->beta_1, m, x);
        feed_forward(p, x, m);
        add_norm(p, l->gamma_2, l->beta_2, m, x);
        QN_TRY(in_time(p->deadline, err));
    }
    return QN_OK;
}

/* Attention of every sequence and head. `first_only`: one query row a sequence, row i
 * of qkv for sequence i, and context row i. */
static qn_status attend(const pass *p, bool first_only, qn_error *err)
{
    const qn_encoder_config *c = &p->b->config;
    size_t H = c->hidden, d = H / c->heads;
    float alpha = 1.0f / sqrtf((float)d);
    for (size_t i = 0; i < p->batch->sequences; i++) {
        size_t begin = p->batch->starts[i], count = p->batch->starts[i + 1] - begin;
        size_t row = first_only ? i : begin;
        for (size_t h = 0; h < c->heads; h++) {
            const float *key = p->s->qkv + begin * 3 * H + H + h * d;
            const qn_attention a = {
                .kernels = p->b->kernels,
                .d = d,
                .keys = count,
                .queries = first_only ? 1 : count,
                .alpha = alpha,
                .Q = p->s->qkv + row * 3 * H + h * d,
                .K = key,
                .V = key + H,
                .ldq = 3 * H,
                .ldkv = 3 * H,
                .out = p->s->context + row * H + h * d,
                .ldo = H,
            };
            if (!qn_attention_run(&a, p->deadline, p->s->scores))
                return out_of_time(p->deadline, err);
        }
    }
    return QN_OK;
}

static qn_status run_layer(const pass *p, qn_error *err)
{
    const layer *l = p->l;
    qn_encoder_scratch *s = p->s;
    const qn_encoder_batch *batch = p->batch;
    size_t H = p->b->config.hidden, T = batch->starts[batch->sequences];
    if (l->qkv != NULL) {
        QN_TRY(project(p, l->qkv, T, l->qkv_bias, s->qkv, err));
        QN_TRY(attend(p, false, err));
        return finish_layer(p, T, err);
    }
    QN_TRY(project(p, l->key_value, T, l->qkv_bias + H, s->qkv + H, err));
    /* From here on row i is the first token of sequence i; i <= starts[i]. */
    for (size_t i = 0; i < batch->sequences; i++)
        memmove(s->x + i * H, s->x + batch->starts[i] * H, H * sizeof *s->x);
    QN_TRY(project(p, l->query, batch->sequences, l->qkv_bias, s->qkv, err));
    QN_TRY(attend(p, true, err));
    return finish_layer(p, batch->sequences, err);
}

static void show_rows(const pass *p, uint32_t layer_count, size_t n)
{
    if (p->trace != NULL && p->trace->rows != NULL)
        p->trace->rows(p->trace->ctx, layer_count, p->s->x, n);
}

qn_status qn_encoder_run(const qn_encoder *b, qn_encoder_scratch *s,
                         const qn_encoder_batch *batch, const qn_deadline *deadline,
                         const qn_encoder_trace *trace, const float **rows,
                         qn_error *err)
{
    size_t T = batch->starts[batch->sequences];
    qn_assert(T <= s->tokens);
    *rows = s->x;
    QN_TRY(in_time(deadline, err));
    pass p = {b, s, batch, deadline, trace, 0, NULL};
    embed(b, s, batch);
    show_rows(&p, 0, T);
    for (uint32_t i = 0; i < b->config.layers; i++) {
        p.layer = i;
        p.l = &b->layers[i];
        QN_TRY(run_layer(&p, err));
        show_rows(&p, i + 1, p.l->qkv != NULL ? T : batch->sequences);
    }
    return QN_OK;
}
