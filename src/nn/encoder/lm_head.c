/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder/lm_head.h"

#include <math.h>
#include <stdio.h>

enum {
    /* Rows that go through the products together: their logits, rows x V, are of this
     * many bytes at most, so that they stay in the cache. */
    LOGITS_BYTES = 1024 * 1024,
    ROWS_MAX = 16,
};

/* Shapes: H hidden, V vocabulary. */
static const struct {
    const char *name, *shape;
} tensors[] = {
    {"lm.dense.weight", "HH"},    {"lm.dense.bias", "H"},
    {"lm.LayerNorm.weight", "H"}, {"lm.LayerNorm.bias", "H"},
    {"lm.decoder.weight", "VH"},  {"lm.decoder.bias", "V"},
};
enum { DENSE, DENSE_BIAS, GAMMA, BETA, DECODER, DECODER_BIAS, TENSORS };

static bool has(const qn_lm_config *c, size_t i)
{
    return i == DENSE_BIAS ? c->dense_bias
           : i == BETA     ? c->norm_bias
           : i == DECODER  ? !c->tied
                           : true;
}

static void describe(const qn_lm_config *c, size_t i, qn_tensor_spec *out)
{
    const char *shape = tensors[i].shape;
    bool matrix = shape[1] != '\0';
    *out = (qn_tensor_spec){.slot = QN_SLOT_NONE,
                            .rank = matrix ? 2 : 1,
                            .rows = !matrix           ? 1
                                    : shape[0] == 'V' ? c->vocab
                                                      : c->hidden,
                            .columns = shape[matrix] == 'V' ? c->vocab : c->hidden,
                            .quantize = i == DECODER};
    (void)snprintf(out->name, sizeof out->name, "%s", tensors[i].name);
}

size_t qn_lm_spec_count(const qn_lm_config *c)
{
    size_t n = 0;
    for (size_t i = 0; i < TENSORS; i++) n += has(c, i);
    return n;
}

void qn_lm_spec_at(const qn_lm_config *c, size_t i, qn_tensor_spec *out)
{
    for (size_t row = 0, n = 0; row < TENSORS; row++)
        if (has(c, row) && n++ == i) describe(c, row, out);
}

/* ---- description ------------------------------------------------------------ */

void qn_lm_meta_write(const qn_lm_config *c, qn_json_writer *w)
{
    qn_json_key(w, "lm");
    qn_json_begin_object(w);
    qn_json_member_str(w, "act", qn_act_name(c->act));
    qn_json_member_bool(w, "dense_bias", c->dense_bias);
    qn_json_member_bool(w, "norm_bias", c->norm_bias);
    qn_json_key(w, "eps");
    qn_json_float(w, c->eps);
    qn_json_member_bool(w, "tied", c->tied);
    qn_json_member_str(w, "over_tokens", c->sum ? "sum" : "max");
    qn_json_member_bool(w, "log_twice", c->log_twice);
    qn_json_end_object(w);
}

void qn_lm_meta_read(qn_meta_reader *r, const qn_encoder_config *encoder,
                     qn_lm_config *c)
{
    static const char *const over[] = {"max", "sum"};
    const qn_json *outer = r->object, *inner = qn_meta_need(r, "lm", QN_JSON_OBJECT);
    *c = (qn_lm_config){.hidden = encoder->hidden, .vocab = encoder->vocab};
    if (inner == NULL) return;
    r->object = inner;
    const qn_json *act = qn_meta_need(r, "act", QN_JSON_STRING);
    if (act != NULL && !qn_act_parse(act->string, &c->act))
        qn_meta_unsupported(r, "act", act);
    c->dense_bias = qn_meta_bool(r, "dense_bias");
    c->norm_bias = qn_meta_bool(r, "norm_bias");
    c->eps = qn_meta_float(r, "eps");
    c->tied = qn_meta_bool(r, "tied");
    c->sum = qn_meta_name(r, "over_tokens", over, 2) == 1;
    c->log_twice = qn_meta_bool(r, "log_twice");
    if (r->st == QN_OK && (!(c->eps > 0.0f) || !(c->eps < 1.0f)))
        qn_meta_out_of_range(r, "eps");
    r->object = outer;
    if (r->st == QN_OK && encoder->embedding != encoder->hidden)
        r->st = qn_fail(r->err, QN_EMODEL,
                        "description: \"lm\" over embeddings of another width");
}

/* ---- opening ---------------------------------------------------------------- */

qn_status qn_lm_head_open(const qn_weight_source *from, const qn_lm_config *config,
                          qn_lm_head *out, qn_error *err)
{
    const qn_tensor *found[TENSORS] = {0};
    *out = (qn_lm_head){.kernels = from->kernels, .config = *config};
    for (size_t i = 0; i < TENSORS; i++) {
        qn_tensor_spec spec;
        describe(config, i, &spec);
        if (i == DECODER && config->tied)
            (void)snprintf(spec.name, sizeof spec.name,
                           "embeddings.word_embeddings.weight");
        else if (!has(config, i))
            continue;
        QN_TRY(qn_spec_find(from->file, &spec, &found[i], err));
        if (spec.rank == 1) QN_TRY(qn_qnm_read(from->file, found[i], err));
    }
    out->dense_bias = found[DENSE_BIAS] == NULL ? NULL : found[DENSE_BIAS]->data;
    out->gamma = found[GAMMA]->data;
    out->beta = found[BETA] == NULL ? NULL : found[BETA]->data;
    out->decoder_bias = found[DECODER_BIAS]->data;
    QN_TRY(qn_pack_weight(from, &found[DENSE], 1, &out->dense, err));
    return qn_pack_weight(from, &found[DECODER], 1, &out->decoder, err);
}

void qn_lm_head_close(qn_lm_head *h)
{
    qn_gemm_destroy(h->dense);
    qn_gemm_destroy(h->decoder);
    *h = (qn_lm_head){0};
}

size_t qn_lm_head_memory(const qn_lm_head *h)
{
    if (h->decoder == NULL) return 0;
    return qn_gemm_bytes(h->dense) + qn_gemm_bytes(h->decoder);
}

/* ---- running ---------------------------------------------------------------- */

static size_t chunk_rows(const qn_lm_head *h)
{
    size_t n = LOGITS_BYTES / (h->config.vocab * sizeof(float));
    return n < 1 ? 1 : n > ROWS_MAX ? ROWS_MAX : n;
}

static size_t lines(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static size_t gemm_floats(const qn_lm_head *h)
{
    size_t n = chunk_rows(h), a = qn_gemm_scratch_bytes(h->dense, n),
           b = qn_gemm_scratch_bytes(h->decoder, n);
    return lines(((a > b ? a : b) + 3) / 4);
}

size_t qn_lm_head_scratch_bytes(const qn_lm_head *h)
{
    size_t n = chunk_rows(h);
    return (gemm_floats(h) + lines(n * h->config.hidden) + lines(n * h->config.vocab)) *
           sizeof(float);
}

static float squash(const qn_lm_config *c, float logit)
{
    if (isnan(logit)) return logit;
    double v = log1p(logit > 0.0f ? (double)logit : 0.0);
    return (float)(c->log_twice ? log1p(v) : v);
}

/* logits: n x V. The logarithm grows with its argument: of the largest it is the largest,
 * and is taken once, at the end. */
static void gather(const qn_lm_config *c, const float *logits, size_t n, float *out)
{
    size_t V = c->vocab;
    for (size_t r = 0; r < n; r++)
        for (size_t v = 0; v < V; v++) {
            float x = logits[r * V + v];
            if (c->sum)
                out[v] += squash(c, x);
            else if (x > out[v] || isnan(x)) /* which stays, and is found */
                out[v] = x;
        }
}

bool qn_lm_head_run(const qn_lm_head *h, const float *rows, size_t n,
                    const qn_deadline *deadline, float *out, void *scratch)
{
    const qn_lm_config *c = &h->config;
    size_t H = c->hidden, V = c->vocab, most = chunk_rows(h);
    float *hidden = (float *)scratch + gemm_floats(h);
    float *logits = hidden + lines(most * H);
    memset(out, 0, V * sizeof *out);
    for (size_t at = 0; at < n; at += most) {
        size_t count = n - at < most ? n - at : most;
        if (deadline != NULL && qn_deadline_passed(deadline)) return false;
        qn_gemm_run(h->dense, count, rows + at * H, H, h->dense_bias, hidden, H,
                    scratch);
        for (size_t r = 0; r < count; r++) {
            float *x = hidden + r * H;
            qn_act_run(h->kernels, c->act, x, H);
            h->kernels->layer_norm(x, h->gamma, h->beta, c->eps, H, x);
        }
        qn_gemm_run(h->decoder, count, hidden, H, h->decoder_bias, logits, V, scratch);
        gather(c, logits, count, out);
    }
    for (size_t v = 0; v < V && !c->sum; v++)
        if (out[v] > 0.0f) out[v] = squash(c, out[v]);
    return true;
}
