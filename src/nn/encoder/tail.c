/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder/tail.h"

#include <math.h>
#include <stdio.h>

static const char *const pooling_names[QN_POOLINGS] = {
    [QN_POOL_CLS] = "cls",
    [QN_POOL_MEAN] = "mean",
    [QN_POOL_MAX] = "max",
    [QN_POOL_MEAN_SQRT_LEN] = "mean_sqrt_len",
    [QN_POOL_WEIGHTED_MEAN] = "weightedmean",
    [QN_POOL_LAST] = "lasttoken",
};

static const char *const step_names[] = {"dense", "norm", "unit", "cut"};

const char *qn_pooling_name(qn_pooling p)
{
    return pooling_names[p];
}

bool qn_pooling_parse(qn_slice name, qn_pooling *out)
{
    for (size_t i = 0; i < QN_POOLINGS; i++) {
        if (!qn_slice_eq_str(name, pooling_names[i])) continue;
        *out = (qn_pooling)i;
        return true;
    }
    return false;
}

uint32_t qn_tail_pooled(const qn_tail_config *c)
{
    return c->hidden * (c->poolings == 0 ? 1 : c->poolings);
}

uint32_t qn_tail_dims(const qn_tail_config *c)
{
    return c->steps == 0 ? qn_tail_pooled(c) : c->step[c->steps - 1].out;
}

qn_status qn_tail_check(const qn_tail_config *c, qn_error *err)
{
    uint32_t width = qn_tail_pooled(c);
    if (width > QN_TAIL_WIDTH_MAX)
        return qn_fail(err, QN_EMODEL, "a pooled vector of %u values, at most %d",
                       width, QN_TAIL_WIDTH_MAX);
    for (uint32_t i = 0; i < c->steps; i++) {
        const qn_tail_step *s = &c->step[i];
        if (s->in != width)
            return qn_fail(err, QN_EMODEL,
                           "step %u takes vectors of %u values, it gets %u", i, s->in,
                           width);
        if (s->out < 1 || s->out > QN_TAIL_WIDTH_MAX ||
            (s->kind == QN_TAIL_CUT && s->out > s->in) ||
            (s->kind != QN_TAIL_DENSE && s->kind != QN_TAIL_CUT && s->out != s->in))
            return qn_fail(err, QN_EMODEL, "step %u gives vectors of %u values", i,
                           s->out);
        if (s->kind == QN_TAIL_NORM && (!(s->eps > 0.0f) || !(s->eps < 1.0f)))
            return qn_fail(err, QN_EMODEL, "step %u: eps is not in (0, 1)", i);
        width = s->out;
    }
    return QN_OK;
}

/* ---- tensors ---------------------------------------------------------------- */

static bool has_weight(const qn_tail_step *s)
{
    return s->kind == QN_TAIL_DENSE || s->kind == QN_TAIL_NORM;
}

static bool has_bias(const qn_tail_step *s)
{
    return s->kind == QN_TAIL_NORM || (s->kind == QN_TAIL_DENSE && s->bias);
}

size_t qn_tail_spec_count(const qn_tail_config *c)
{
    size_t n = 0;
    for (uint32_t i = 0; i < c->steps; i++)
        n += (size_t)has_weight(&c->step[i]) + has_bias(&c->step[i]);
    return n;
}

static void describe(const qn_tail_config *c, uint32_t step, bool bias,
                     qn_tensor_spec *out)
{
    const qn_tail_step *s = &c->step[step];
    bool matrix = s->kind == QN_TAIL_DENSE && !bias;
    *out = (qn_tensor_spec){.slot = QN_SLOT_NONE,
                            .rank = matrix ? 2 : 1,
                            .rows = matrix ? s->out : 1,
                            .columns = matrix ? s->in : s->out};
    (void)snprintf(out->name, sizeof out->name, "tail.%u.%s", step,
                   bias ? "bias" : "weight");
}

void qn_tail_spec_at(const qn_tail_config *c, size_t i, qn_tensor_spec *out,
                     uint32_t *step)
{
    size_t n = 0;
    for (uint32_t s = 0; s < c->steps; s++)
        for (int bias = 0; bias < 2; bias++) {
            if (!(bias ? has_bias(&c->step[s]) : has_weight(&c->step[s]))) continue;
            if (n++ != i) continue;
            describe(c, s, bias != 0, out);
            if (step != NULL) *step = s;
            return;
        }
    qn_assert(false); /* no tensor of that number */
}

/* ---- description ------------------------------------------------------------ */

static void write_step(const qn_tail_step *s, qn_json_writer *w)
{
    qn_json_begin_object(w);
    qn_json_member_str(w, "kind", step_names[s->kind]);
    if (s->kind == QN_TAIL_DENSE) {
        qn_json_member_int(w, "out", s->out);
        qn_json_member_bool(w, "bias", s->bias);
        qn_json_member_str(w, "act", qn_act_name(s->act));
    }
    if (s->kind == QN_TAIL_CUT) qn_json_member_int(w, "out", s->out);
    if (s->kind == QN_TAIL_NORM) {
        qn_json_key(w, "eps");
        qn_json_float(w, s->eps);
    }
    qn_json_end_object(w);
}

void qn_tail_meta_write(const qn_tail_config *c, qn_json_writer *w)
{
    if (c->poolings == 1)
        qn_json_member_str(w, "pooling", pooling_names[c->pooling[0]]);
    if (c->poolings > 1) {
        qn_json_key(w, "pooling");
        qn_json_begin_array(w);
        for (uint32_t i = 0; i < c->poolings; i++)
            qn_json_str(w, pooling_names[c->pooling[i]]);
        qn_json_end_array(w);
    }
    if (c->skip_prompt) qn_json_member_bool(w, "skip_prompt", true);
    if (c->steps == 0) return;
    qn_json_key(w, "steps");
    qn_json_begin_array(w);
    for (uint32_t i = 0; i < c->steps; i++) write_step(&c->step[i], w);
    qn_json_end_array(w);
}

static void read_step(qn_meta_reader *r, uint32_t width, qn_tail_step *s)
{
    *s = (qn_tail_step){.in = width, .out = width, .act = QN_ACT_LINEAR};
    s->kind = (qn_tail_kind)qn_meta_name(r, "kind", step_names, 4);
    if (r->st != QN_OK) return;
    if (s->kind == QN_TAIL_DENSE) {
        s->out = qn_meta_u32(r, "out");
        s->bias = qn_meta_bool(r, "bias");
        const qn_json *act = qn_meta_need(r, "act", QN_JSON_STRING);
        if (act != NULL && !qn_act_parse(act->string, &s->act))
            qn_meta_unsupported(r, "act", act);
    }
    if (s->kind == QN_TAIL_CUT) s->out = qn_meta_u32(r, "out");
    if (s->kind == QN_TAIL_NORM) s->eps = qn_meta_float(r, "eps");
}

static void read_steps(qn_meta_reader *r, qn_tail_config *c)
{
    const qn_json *outer = r->object, *steps = qn_meta_find(r, "steps");
    if (steps == NULL) return;
    if (steps->kind != QN_JSON_ARRAY || steps->count > QN_TAIL_STEPS_MAX) {
        qn_meta_unsupported(r, "steps", steps);
        return;
    }
    for (const qn_json *it = qn_json_items(steps); it != NULL; it = it->next) {
        uint32_t width = qn_tail_dims(c);
        r->object = it;
        read_step(r, width, &c->step[c->steps]);
        c->steps++;
    }
    r->object = outer;
}

static void add_pooling(qn_meta_reader *r, const qn_json *v, qn_tail_config *c)
{
    if (c->poolings == QN_POOLINGS || v->kind != QN_JSON_STRING ||
        !qn_pooling_parse(v->string, &c->pooling[c->poolings]))
        qn_meta_unsupported(r, "pooling", v);
    else
        c->poolings++;
}

void qn_tail_meta_read(qn_meta_reader *r, bool pools, uint32_t hidden,
                       qn_tail_config *c)
{
    *c = (qn_tail_config){.hidden = hidden};
    const qn_json *v = qn_meta_find(r, "pooling");
    if (pools && v == NULL) v = qn_meta_need(r, "pooling", QN_JSON_STRING);
    if (pools && v != NULL && v->kind != QN_JSON_ARRAY) add_pooling(r, v, c);
    if (pools && v != NULL && v->kind == QN_JSON_ARRAY)
        for (const qn_json *it = qn_json_items(v); it != NULL && r->st == QN_OK;
             it = it->next)
            add_pooling(r, it, c);
    if (r->st == QN_OK && pools && c->poolings == 0)
        qn_meta_unsupported(r, "pooling", v);
    if (qn_meta_find(r, "skip_prompt") != NULL)
        c->skip_prompt = qn_meta_bool(r, "skip_prompt");
    read_steps(r, c);
    if (r->st == QN_OK) r->st = qn_tail_check(c, r->err);
}

/* ---- opening ---------------------------------------------------------------- */

qn_status qn_tail_open(const qn_weight_source *from, const qn_tail_config *config,
                       qn_tail *out, qn_error *err)
{
    *out = (qn_tail){.kernels = from->kernels, .config = *config};
    QN_TRY(qn_tail_check(config, err));
    for (size_t i = 0; i < qn_tail_spec_count(config); i++) {
        qn_tensor_spec spec;
        uint32_t step = 0;
        const qn_tensor *t = NULL;
        qn_tail_spec_at(config, i, &spec, &step);
        QN_TRY(qn_spec_find(from->file, &spec, &t, err));
        if (spec.rank == 2) {
            QN_TRY(qn_pack_weight(from, &t, 1, &out->dense[step], err));
            continue;
        }
        QN_TRY(qn_qnm_read(from->file, t, err));
        if (qn_slice_ends_with(qn_slice_of(spec.name), ".bias"))
            out->bias[step] = t->data;
        else
            out->weight[step] = t->data;
    }
    return QN_OK;
}

void qn_tail_close(qn_tail *t)
{
    for (size_t i = 0; i < QN_TAIL_STEPS_MAX; i++) qn_gemm_destroy(t->dense[i]);
    *t = (qn_tail){0};
}

size_t qn_tail_memory(const qn_tail *t)
{
    size_t bytes = 0;
    for (size_t i = 0; i < QN_TAIL_STEPS_MAX; i++)
        if (t->dense[i] != NULL) bytes += qn_gemm_bytes(t->dense[i]);
    return bytes;
}

/* ---- running ---------------------------------------------------------------- */

static size_t gemm_floats(const qn_tail *t)
{
    size_t most = 0;
    for (size_t i = 0; i < QN_TAIL_STEPS_MAX; i++) {
        size_t bytes = t->dense[i] == NULL ? 0 : qn_gemm_scratch_bytes(t->dense[i], 1);
        if (bytes > most) most = bytes;
    }
    return (most + 63) / 64 * 16;
}

/* The widest vector of all steps, in whole lines. */
static size_t widest(const qn_tail_config *c)
{
    size_t most = qn_tail_pooled(c);
    for (uint32_t i = 0; i < c->steps; i++)
        if (c->step[i].out > most) most = c->step[i].out;
    return (most + 15) / 16 * 16;
}

size_t qn_tail_scratch_bytes(const qn_tail *t)
{
    return (gemm_floats(t) + 2 * widest(&t->config)) * sizeof(float);
}

/* Sums in f64: the order of rows is fixed, so the result is too, and it is nearer to the
 * truth than f32. Weights are 1, or the place of a row. */
static void pool_sum(const float *rows, size_t from, size_t n, size_t H, qn_pooling how,
                     float *out)
{
    bool weighted = how == QN_POOL_WEIGHTED_MEAN;
    double total = 0.0;
    for (size_t r = from; r < n; r++) total += weighted ? (double)(r + 1) : 1.0;
    if (how == QN_POOL_MEAN_SQRT_LEN) total = sqrt(total);
    for (size_t c = 0; c < H; c++) {
        double sum = 0.0;
        for (size_t r = from; r < n; r++)
            sum += (double)rows[r * H + c] * (weighted ? (double)(r + 1) : 1.0);
        out[c] = (float)(sum / total);
    }
}

static void pool(const float *rows, size_t from, size_t n, size_t H, qn_pooling how,
                 float *out)
{
    switch (how) {
    case QN_POOL_CLS:
        memcpy(out, rows + from * H, H * sizeof *out);
        return;
    case QN_POOL_LAST:
        memcpy(out, rows + (n - 1) * H, H * sizeof *out);
        return;
    case QN_POOL_MAX:
        memcpy(out, rows + from * H, H * sizeof *out);
        for (size_t r = from + 1; r < n; r++)
            for (size_t c = 0; c < H; c++)
                if (rows[r * H + c] > out[c]) out[c] = rows[r * H + c];
        return;
    case QN_POOL_MEAN:
    case QN_POOL_MEAN_SQRT_LEN:
    case QN_POOL_WEIGHTED_MEAN:
        pool_sum(rows, from, n, H, how, out);
        return;
    }
}

void qn_tail_unit(float *v, size_t n)
{
    double square = 0.0;
    for (size_t i = 0; i < n; i++) square += (double)v[i] * (double)v[i];
    double length = fmax(sqrt(square), 1e-12);
    for (size_t i = 0; i < n; i++) v[i] = (float)((double)v[i] / length);
}

/* One step from x to y, both wide enough. */
static void run_step(const qn_tail *t, uint32_t i, const float *x, float *y, void *gemm)
{
    const qn_tail_step *s = &t->config.step[i];
    switch (s->kind) {
    case QN_TAIL_DENSE:
        qn_gemm_run(t->dense[i], 1, x, s->in, t->bias[i], y, s->out, gemm);
        qn_act_run(t->kernels, s->act, y, s->out);
        return;
    case QN_TAIL_NORM:
        t->kernels->layer_norm(x, t->weight[i], t->bias[i], s->eps, s->out, y);
        return;
    case QN_TAIL_UNIT:
        memcpy(y, x, s->out * sizeof *y);
        qn_tail_unit(y, s->out);
        return;
    case QN_TAIL_CUT:
        memcpy(y, x, s->out * sizeof *y);
        return;
    }
}

/* x is in the first of two buffers behind the products' own scratch. */
static void run_steps(const qn_tail *t, float *out, float *scratch)
{
    float *x = scratch + gemm_floats(t), *y = x + widest(&t->config);
    for (uint32_t i = 0; i < t->config.steps; i++) {
        run_step(t, i, x, y, scratch);
        float *swap = x;
        x = y;
        y = swap;
    }
    memcpy(out, x, qn_tail_dims(&t->config) * sizeof *out);
}

void qn_tail_run(const qn_tail *t, const float *rows, size_t n, size_t skip, float *out,
                 void *scratch)
{
    const qn_tail_config *c = &t->config;
    float *x = (float *)scratch + gemm_floats(t);
    if (skip >= n) skip = 0;
    for (uint32_t i = 0; i < c->poolings; i++)
        pool(rows, skip, n, c->hidden, c->pooling[i], x + (size_t)i * c->hidden);
    run_steps(t, out, scratch);
}

void qn_tail_run_row(const qn_tail *t, const float *row, float *out, void *scratch)
{
    memcpy((float *)scratch + gemm_floats(t), row, t->config.hidden * sizeof *row);
    run_steps(t, out, scratch);
}
