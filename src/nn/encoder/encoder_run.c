/* SPDX-License-Identifier: Apache-2.0 */
/* encoder_run.c -- one batch through the layers. */
#include "nn/encoder/encoder_internal.h"

#include "num/attention.h"

/* What a run needs at hand. */
typedef struct pass {
    const qn_encoder *e;
    qn_encoder_scratch *s;
    const qn_encoder_batch *batch;
    const qn_deadline *deadline;
    const qn_encoder_trace *trace;
    uint32_t layer; /* its number */
    const qn_encoder_layer *l;
    bool firsts; /* row i of x is the first token of sequence i, and of nothing else */
} pass;

static qn_status out_of_time(const qn_deadline *deadline, qn_error *err)
{
    if (qn_deadline_cancelled(deadline))
        return qn_fail(err, QN_ECANCELLED, "cancelled inside the encoder");
    return qn_fail(err, QN_ETIMEOUT, "the deadline passed inside the encoder");
}

static qn_status in_time(const pass *p, qn_error *err)
{
    if (p->deadline == NULL || !qn_deadline_passed(p->deadline)) return QN_OK;
    return out_of_time(p->deadline, err);
}

static size_t token_count(const pass *p)
{
    return p->batch->starts[p->batch->sequences];
}

static size_t row_count(const pass *p)
{
    return p->firsts ? p->batch->sequences : token_count(p);
}

/* Rows of the next chunk. */
static size_t chunk_at(const pass *p, size_t at, size_t n)
{
    return n - at < p->e->chunk ? n - at : p->e->chunk;
}

/* ---- a look inside ---------------------------------------------------------- */

static void show_rows(const pass *p, uint32_t layer_count)
{
    if (p->trace != NULL && p->trace->rows != NULL)
        p->trace->rows(p->trace->ctx, layer_count, p->s->x, row_count(p));
}

static void show_input(const pass *p, qn_encoder_input which, const float *x, size_t n,
                       size_t K)
{
    if (p->trace != NULL && p->trace->input != NULL)
        p->trace->input(p->trace->ctx, p->layer, which, x, n, K);
}

/* ---- rows ------------------------------------------------------------------- */

/* y = x * scale, column by column; y may be x. */
static void scale_rows(const qn_kernels *k, const float *x, const float *scale,
                       size_t n, size_t K, float *y)
{
    for (size_t r = 0; r < n; r++) k->mul(x + r * K, scale, y + r * K, K);
}

/* y = LN(x), n rows; y may be x. */
static void norm_rows(const qn_encoder *e, const qn_norm *norm, const float *x,
                      size_t n, float *y)
{
    size_t H = e->config.hidden;
    for (size_t r = 0; r < n; r++)
        e->kernels->layer_norm(x + r * H, norm->gamma, norm->beta, e->config.eps, H,
                               y + r * H);
}

/* A product ends a half layer: x = LN(x + Y W^T + bias), or without the norm. */
static qn_status end_half(const pass *p, const qn_gemm *g, const float *Y,
                          const float *bias, const qn_norm *norm, size_t n, float *x,
                          qn_error *err)
{
    size_t H = p->e->config.hidden;
    const qn_gemm_after after = {.residual = x, .ldr = H};
    qn_gemm_run_after(g, n, Y, qn_gemm_columns(g), bias, &after, p->s->rows, H,
                      p->s->gemm);
    if (p->e->config.pre_norm)
        memcpy(x, p->s->rows, n * H * sizeof *x);
    else
        norm_rows(p->e, norm, p->s->rows, n, x);
    return in_time(p, err);
}

/* What a half layer begins with, n rows: x, or LN(x) in `rows`. */
static const float *begin_half(const pass *p, const qn_norm *norm, size_t n,
                               const float *x)
{
    if (!p->e->config.pre_norm || norm->gamma == NULL) return x;
    norm_rows(p->e, norm, x, n, p->s->rows);
    return p->s->rows;
}

/* The same times the input scales of an int8 model. */
static const float *scaled(const pass *p, qn_encoder_input which, size_t n,
                           const float *x)
{
    const float *scale = p->l->scale[which];
    if (scale == NULL) return x;
    scale_rows(p->e->kernels, x, scale, n, p->e->config.hidden, p->s->rows);
    return p->s->rows;
}

/* ---- embeddings ------------------------------------------------------------- */

/* word + position + type of one token, E values; `row` of the position table. */
static qn_status add_tables(const pass *p, uint32_t t, uint32_t row, float *part,
                            float *out, qn_error *err)
{
    const qn_encoder *e = p->e;
    const qn_encoder_config *c = &e->config;
    size_t E = c->embedding;
    qn_assert(p->batch->ids[t] < c->vocab);
    QN_TRY(qn_qnm_row(e->file, e->word, p->batch->ids[t], out, err));
    if (e->position != NULL) {
        qn_tensor_row_f32(e->position, row, part);
        e->kernels->add(out, part, E);
    }
    if (e->type != NULL) {
        uint32_t type = qn_encoder_reads_types(c) ? p->batch->types[t] : 0;
        qn_assert(type < c->types);
        qn_tensor_row_f32(e->type, type, part);
        e->kernels->add(out, part, E);
    }
    return QN_OK;
}

/* x = LN(tables), or LN(projection of tables), sequence by sequence. */
static qn_status embed(const pass *p, qn_error *err)
{
    const qn_encoder *e = p->e;
    const qn_encoder_config *c = &e->config;
    const qn_encoder_batch *batch = p->batch;
    size_t H = c->hidden, T = token_count(p);
    float *part = p->s->rows, *wide = p->s->wide;
    uint32_t seen = 0, i = 0; /* tokens of sequence i that are no padding */
    for (uint32_t t = 0; t < T; t++) {
        if (t == batch->starts[i]) {
            qn_assert(batch->starts[i + 1] - t <= qn_encoder_longest(c));
            seen = 0;
        }
        bool padding = c->skip_pad && batch->ids[t] == c->pad;
        uint32_t row = !c->skip_pad ? seen : padding ? c->pad : c->pad + 1 + seen;
        if (!padding) seen++;
        float *x = p->s->x + t * H;
        QN_TRY(add_tables(p, t, row, part, e->embed_proj == NULL ? x : wide, err));
        if (e->embed_proj != NULL)
            qn_gemm_run(e->embed_proj, 1, wide, c->embedding, NULL, x, H, p->s->gemm);
        if (t + 1 == batch->starts[i + 1]) i++;
    }
    norm_rows(e, &e->embed_norm, p->s->x, T, p->s->x);
    if (e->conv != NULL) memcpy(p->s->first, p->s->x, T * H * sizeof(float));
    return QN_OK;
}

/* ---- attention -------------------------------------------------------------- */

/* Y = x W^T + bias over all rows of x, a chunk at a time: the products that begin a
 * layer. Y has rows of 3H. */
static qn_status project(const pass *p, const qn_gemm *g, const float *bias, float *Y,
                         qn_error *err)
{
    size_t H = p->e->config.hidden, n = row_count(p);
    for (size_t at = 0; at < n; at += p->e->chunk) {
        size_t m = chunk_at(p, at, n);
        const float *X = begin_half(p, &p->l->norm_1, m, p->s->x + at * H);
        show_input(p, QN_INTO_QKV, X, m, H);
        X = scaled(p, QN_INTO_QKV, m, X);
        qn_gemm_run(g, m, X, H, bias, Y + at * 3 * H, 3 * H, p->s->gemm);
        QN_TRY(in_time(p, err));
    }
    return QN_OK;
}

/* Turns the keys of every token and, where they are all there, its queries by its
 * position. The first token is at 0, which turns nothing. */
static void rotate_all(const pass *p)
{
    const qn_encoder_config *c = &p->e->config;
    size_t H = c->hidden, d = H / c->heads;
    for (size_t i = 0; i < p->batch->sequences; i++)
        for (size_t t = p->batch->starts[i]; t < p->batch->starts[i + 1]; t++) {
            const float *table = p->l->rotation + (t - p->batch->starts[i]) * d;
            float *row = p->s->qkv + t * 3 * H;
            bool queries = p->l->qkv != NULL;
            p->e->kernels->rotate(queries ? row : row + H, table, table + d / 2, d / 2,
                                  queries ? 2 * c->heads : c->heads);
        }
}

/* Attention of every sequence and head; context gets a row for each query. */
static qn_status attend(const pass *p, qn_error *err)
{
    const qn_encoder *e = p->e;
    const qn_encoder_config *c = &e->config;
    size_t H = c->hidden, d = H / c->heads;
    for (size_t i = 0; i < p->batch->sequences; i++) {
        size_t begin = p->batch->starts[i], count = p->batch->starts[i + 1] - begin;
        size_t row = p->firsts ? i : begin;
        qn_attention a = {
            .kernels = e->kernels,
            .d = d,
            .keys = p->batch->keys == NULL ? count : p->batch->keys[i],
            .queries = p->firsts ? 1 : count,
            .window = p->l->window,
            .alpha = (float)qn_encoder_alpha(c),
            .ldq = 3 * H,
            .ldkv = 3 * H,
            .ldo = H,
            .integers = qn_encoder_in_integers(p->l),
            .relative = {.ld = qn_attention_stride(2 * (size_t)qn_encoder_span(c)),
                         .PK_i8 = p->l->pos_key_i8,
                         .PQ_i8 = p->l->pos_query_i8},
        };
        if (e->distance_rows != NULL)
            a.relative.index = e->distance_rows + qn_encoder_longest(c) - 1;
        for (size_t h = 0; h < c->heads; h++) {
            a.Q = p->s->qkv + row * 3 * H + h * d;
            a.K = p->s->qkv + begin * 3 * H + H + h * d;
            a.V = a.K + H;
            a.out = p->s->context + row * H + h * d;
            a.relative.first =
                h * qn_attention_head_rows(2 * (size_t)qn_encoder_span(c));
            if (p->l->pos_key != NULL)
                a.relative.PK = p->l->pos_key + h * d * a.relative.ld;
            if (p->l->pos_query != NULL)
                a.relative.PQ = p->l->pos_query + h * d * a.relative.ld;
            if (!qn_attention_run(&a, p->deadline, p->s->scores))
                return out_of_time(p->deadline, err);
        }
    }
    return QN_OK;
}

/* ---- the rest of a layer ---------------------------------------------------- */

/* wide = act(a) * b for rows of a | b, F values each; packed to rows of F. */
static void gate(const pass *p, size_t n)
{
    size_t F = p->e->config.intermediate;
    float *wide = p->s->wide;
    for (size_t r = 0; r < n; r++) {
        float *row = wide + r * 2 * F;
        qn_act_run(p->e->kernels, p->e->config.act, row, F);
        p->e->kernels->mul(row, row + F, row, F);
        memmove(wide + r * F, row, F * sizeof *row);
    }
}

/* wide = act(W1 x), or act(W1 x) * Wg x; n rows of at most a chunk. */
static qn_status feed_forward(const pass *p, const float *x, size_t n, qn_error *err)
{
    const qn_encoder_layer *l = p->l;
    const qn_encoder_config *c = &p->e->config;
    qn_encoder_scratch *s = p->s;
    size_t H = c->hidden, F = c->intermediate;
    qn_gemm_after after = {0};
    bool fused = !c->gated && qn_act_pointwise(c->act, &after.pointwise);
    show_input(p, QN_INTO_UP, x, n, H);
    x = scaled(p, QN_INTO_UP, n, x);
    qn_gemm_run_after(l->up, n, x, H, l->up_bias, &after, s->wide, qn_gemm_rows(l->up),
                      s->gemm);
    if (c->gated) gate(p, n);
    /* A row at a time: where a row ends must not depend on its neighbours. */
    for (size_t r = 0; r < n && !c->gated && !fused; r++)
        qn_act_run(p->e->kernels, c->act, s->wide + r * F, F);
    show_input(p, QN_INTO_DOWN, s->wide, n, F);
    if (l->scale[QN_INTO_DOWN] != NULL)
        scale_rows(p->e->kernels, s->wide, l->scale[QN_INTO_DOWN], n, F, s->wide);
    return in_time(p, err);
}

/* Everything after attention: rows of x and context give rows of x. */
static qn_status finish_layer(const pass *p, qn_error *err)
{
    const qn_encoder_layer *l = p->l;
    size_t H = p->e->config.hidden, n = row_count(p);
    show_input(p, QN_INTO_OUT, p->s->context, n, H);
    for (size_t at = 0; at < n; at += p->e->chunk) {
        size_t m = chunk_at(p, at, n);
        float *x = p->s->x + at * H;
        QN_TRY(end_half(p, l->out, p->s->context + at * H, l->out_bias, &l->norm_1, m,
                        x, err));
        QN_TRY(feed_forward(p, begin_half(p, &l->norm_2, m, x), m, err));
        QN_TRY(end_half(p, l->down, p->s->wide, l->down_bias, &l->norm_2, m, x, err));
    }
    return QN_OK;
}

/* Leaves the first row of each sequence in x: row i; i <= starts[i]. */
static void keep_firsts(pass *p)
{
    size_t H = p->e->config.hidden;
    for (size_t i = 0; i < p->batch->sequences; i++)
        memmove(p->s->x + i * H, p->s->x + p->batch->starts[i] * H,
                H * sizeof *p->s->x);
    p->firsts = true;
}

static qn_status run_layer(pass *p, qn_error *err)
{
    const qn_encoder_layer *l = p->l;
    float *qkv = p->s->qkv;
    size_t H = p->e->config.hidden;
    if (l->qkv != NULL) {
        QN_TRY(project(p, l->qkv, l->qkv_bias, qkv, err));
    } else {
        const float *bias = l->qkv_bias;
        QN_TRY(project(p, l->key_value, bias == NULL ? NULL : bias + H, qkv + H, err));
        keep_firsts(p);
        QN_TRY(project(p, l->query, bias, qkv, err));
    }
    if (l->rotation != NULL) rotate_all(p);
    QN_TRY(attend(p, err));
    return finish_layer(p, err);
}

/* x = LN(x + act(conv(embeddings))): token t of a sequence sees the embeddings of its
 * neighbours in the sequence, zeros beyond its ends. */
static qn_status convolve(const pass *p, qn_error *err)
{
    const qn_encoder *e = p->e;
    const qn_encoder_config *c = &e->config;
    const uint32_t *starts = p->batch->starts;
    size_t H = c->hidden, taps = c->conv_kernel, T = token_count(p), i = 0;
    for (size_t at = 0; at < T; at += p->e->chunk) {
        size_t m = chunk_at(p, at, T);
        for (size_t r = 0; r < m; r++) {
            float *row = p->s->wide + r * taps * H;
            if (at + r == starts[i + 1]) i++;
            for (size_t tap = 0; tap < taps; tap++) {
                size_t from = at + r + tap; /* of token from - taps / 2 */
                bool inside =
                    from >= starts[i] + taps / 2 && from < starts[i + 1] + taps / 2;
                if (inside)
                    memcpy(row + tap * H, p->s->first + (from - taps / 2) * H,
                           H * sizeof *row);
                else
                    memset(row + tap * H, 0, H * sizeof *row);
            }
        }
        qn_gemm_run(e->conv, m, p->s->wide, taps * H, e->conv_bias, p->s->rows, H,
                    p->s->gemm);
        for (size_t r = 0; r < m; r++)
            qn_act_run(e->kernels, c->conv_act, p->s->rows + r * H, H);
        e->kernels->add(p->s->rows, p->s->x + at * H, m * H);
        norm_rows(e, &e->conv_norm, p->s->rows, m, p->s->x + at * H);
        QN_TRY(in_time(p, err));
    }
    return QN_OK;
}

qn_status qn_encoder_run(const qn_encoder *e, qn_encoder_scratch *s,
                         const qn_encoder_batch *batch, const qn_deadline *deadline,
                         const qn_encoder_trace *trace, const float **rows,
                         qn_error *err)
{
    pass p = {.e = e, .s = s, .batch = batch, .deadline = deadline, .trace = trace};
    qn_assert(token_count(&p) <= s->tokens);
    *rows = s->x;
    QN_TRY(in_time(&p, err));
    QN_TRY(embed(&p, err));
    show_rows(&p, 0);
    for (uint32_t i = 0; i < e->config.layers; i++) {
        p.layer = i;
        p.l = &e->layers[i];
        QN_TRY(run_layer(&p, err));
        if (i == 0 && e->conv != NULL) QN_TRY(convolve(&p, err));
        bool last = i + 1 == e->config.layers;
        if (last && e->first_only && !p.firsts) keep_firsts(&p);
        if (last && e->last_norm.gamma != NULL)
            norm_rows(e, &e->last_norm, s->x, row_count(&p), s->x);
        show_rows(&p, i + 1);
    }
    return QN_OK;
}
