/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/bind.h"

#include "rank/bind_internal.h"

#include <math.h>
#include <stdio.h>

/* A compiled expression with what it is bound to: formulas, sort keys and filters are all
 * this. */
typedef struct bound {
    qn_binding binding;
    qn_expr *expr;
    qn_expr_machine *machine;
    uint64_t bad_docs;
} bound;

struct qn_rank_formula {
    bound b;
    unsigned where;
    struct qn_rank_parts *parts; /* made for the first trace */
};
struct qn_rank_key {
    bound b;
};
struct qn_rank_filter {
    bound b;
};

static void bound_close(bound *b)
{
    qn_expr_machine_destroy(b->machine);
    qn_expr_destroy(b->expr);
    qn_binding_deinit(&b->binding);
}

static qn_status bound_open(bound *b, const qn_rank_input *in, qn_arena *arena,
                            qn_expr_dialect dialect, qn_slice text, unsigned where,
                            qn_error *err)
{
    QN_TRY(qn_binding_init(&b->binding, in, arena, err));
    qn_expr_env env = qn_binding_env(&b->binding, where);
    qn_status st = qn_expr_compile(qn_alloc_heap(), dialect, text, &env, &b->expr, err);
    if (st != QN_OK && b->binding.no_memory)
        st = qn_fail(err, QN_ENOMEM, "inputs of a formula");
    else if (st == QN_ENOATTR && b->binding.failure.code != QN_OK) {
        /* The name is a virtual attribute's: what is wrong with that. */
        st = b->binding.failure.code;
        if (err != NULL) *err = b->binding.failure;
    }
    if (st == QN_OK)
        st = qn_expr_machine_create(qn_alloc_heap(), b->expr, &b->machine, err);
    if (st == QN_OK)
        qn_expr_machine_use(b->machine, in->code);
    else
        bound_close(b);
    return st;
}

/* Puts "fine formula: " in front of the message. Of a clause, what is no sentence of the
 * language at all is that clause's error. */
static qn_status name_it(qn_error *err, const char *what, qn_status st,
                         qn_status clause)
{
    if (st == QN_ESYNTAX) st = clause;
    if (err == NULL) return st;
    err->code = st;
    char text[QN_ERROR_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s: %.*s", what, (int)(sizeof text - 64),
                   err->text);
    memcpy(err->text, text, sizeof text);
    return st;
}

static qn_expr_batch batch_of(bound *b, size_t segment, const uint32_t *docs, size_t n,
                              const qn_rank_facts *facts)
{
    const qn_rank_input *in = b->binding.in;
    b->binding.segment = segment;
    b->binding.docs = docs;
    b->binding.doc_count = n;
    b->binding.facts = facts;
    return (qn_expr_batch){.docs = docs,
                           .n = n,
                           .load = qn_binding_load,
                           .ctx = &b->binding,
                           .now_s = in->now_ms / 1000,
                           .seed = in->seed + segment,
                           .bad_docs = &b->bad_docs};
}

/* ---- formulas ---------------------------------------------------------------------------- */

qn_status qn_rank_formula_open(const qn_rank_input *in, qn_arena *arena,
                               const char *what, qn_slice text, unsigned where,
                               qn_rank_formula **out, qn_error *err)
{
    *out = NULL;
    qn_rank_formula *f = qn_new0(qn_alloc_heap(), sizeof *f);
    if (f == NULL) return qn_fail(err, QN_ENOMEM, "%s", what);
    qn_status st = bound_open(&f->b, in, arena, QN_EXPR_FORMULA, text, where, err);
    if (st != QN_OK) {
        qn_delete(qn_alloc_heap(), f);
        return name_it(err, what, st, QN_ESYNTAX);
    }
    f->where = where;
    *out = f;
    return QN_OK;
}

void qn_rank_formula_close(qn_rank_formula *f)
{
    if (f == NULL) return;
    qn_rank__parts_close(f->parts);
    bound_close(&f->b);
    qn_delete(qn_alloc_heap(), f);
}

qn_status qn_rank_formula_run(qn_rank_formula *f, size_t segment, const uint32_t *docs,
                              size_t n, const qn_rank_facts *facts, double *out,
                              qn_error *err)
{
    qn_expr_batch batch = batch_of(&f->b, segment, docs, n, facts);
    return qn_expr_eval(f->b.machine, &batch, out, err);
}

uint64_t qn_rank_formula_bad_docs(const qn_rank_formula *f)
{
    return f->b.bad_docs;
}

size_t qn_rank_formula_warnings(const qn_rank_formula *f, qn_error *out, size_t most)
{
    size_t n = f->b.binding.warning_count < most ? f->b.binding.warning_count : most;
    for (size_t i = 0; i < n; i++) out[i] = f->b.binding.warnings[i];
    return n;
}

const qn_rank_model_ask *qn_rank_formula_models(const qn_rank_formula *f, size_t *n)
{
    *n = f->b.binding.model_count;
    return f->b.binding.models;
}

bool qn_rank_formula_asks_stage(const qn_rank_formula *f)
{
    return f->b.binding.asks_stage_model;
}

bool qn_rank_formula_asks_recall(const qn_rank_formula *f)
{
    return f->b.binding.asks_recall;
}

qn_binding *qn_rank__formula_binding(qn_rank_formula *f)
{
    return &f->b.binding;
}

const qn_expr *qn_rank__formula_expr(const qn_rank_formula *f)
{
    return f->b.expr;
}

struct qn_rank_parts **qn_rank__formula_parts(qn_rank_formula *f)
{
    return &f->parts;
}

unsigned qn_rank__formula_where(const qn_rank_formula *f)
{
    return f->where;
}

qn_expr_batch qn_rank__formula_batch(qn_rank_formula *f, size_t segment,
                                     const uint32_t *docs, size_t n,
                                     const qn_rank_facts *facts)
{
    qn_expr_batch batch = batch_of(&f->b, segment, docs, n, facts);
    batch.bad_docs = NULL;
    return batch;
}

/* ---- sort keys ----------------------------------------------------------------------------- */

qn_status qn_rank_key_open(const qn_rank_input *in, qn_arena *arena, qn_slice text,
                           qn_rank_key **out, qn_error *err)
{
    *out = NULL;
    qn_rank_key *key = qn_new0(qn_alloc_heap(), sizeof *key);
    if (key == NULL) return qn_fail(err, QN_ENOMEM, "sort key");
    qn_status st =
        bound_open(&key->b, in, arena, QN_EXPR_SORT_KEY, text, QN_EXPR_IN_SORT, err);
    if (st != QN_OK) {
        qn_delete(qn_alloc_heap(), key);
        return name_it(err, "sort key", st, QN_ESORT);
    }
    *out = key;
    return QN_OK;
}

void qn_rank_key_close(qn_rank_key *key)
{
    if (key == NULL) return;
    bound_close(&key->b);
    qn_delete(qn_alloc_heap(), key);
}

qn_expr_type qn_rank_key_type(const qn_rank_key *key)
{
    return qn_expr_result_type(key->b.expr);
}

bool qn_rank_key_asks_recall(const qn_rank_key *key)
{
    return key->b.binding.asks_recall;
}

qn_status qn_rank_key_run(qn_rank_key *key, size_t segment, const uint32_t *docs,
                          size_t n, qn_sort_value *out, qn_error *err)
{
    qn_expr_type type = qn_expr_result_type(key->b.expr);
    for (size_t begin = 0; begin < n; begin += QN_EXPR_LANES) {
        size_t count = n - begin < QN_EXPR_LANES ? n - begin : QN_EXPR_LANES;
        qn_expr_batch batch = batch_of(&key->b, segment, docs + begin, count, NULL);
        double f64[QN_EXPR_LANES];
        int64_t i64[QN_EXPR_LANES];
        qn_slice str[QN_EXPR_LANES];
        bool real = type == QN_EXPR_FLOAT || type == QN_EXPR_DOUBLE;
        if (type == QN_EXPR_STRING)
            QN_TRY(qn_expr_eval_str(key->b.machine, &batch, str, err));
        else if (real)
            QN_TRY(qn_expr_eval(key->b.machine, &batch, f64, err));
        else
            QN_TRY(qn_expr_eval_i64(key->b.machine, &batch, i64, err));
        for (size_t i = 0; i < count; i++) {
            qn_sort_value *v = &out[begin + i];
            if (type == QN_EXPR_STRING)
                *v = (qn_sort_value){.kind = QN_SORT_VALUE_TEXT, .text = str[i]};
            else if (real)
                *v = (qn_sort_value){.kind = QN_SORT_VALUE_DOUBLE, .f64 = f64[i]};
            else
                *v = (qn_sort_value){
                    .kind = QN_SORT_VALUE_INT, .i64 = i64[i], .f64 = (double)i64[i]};
        }
    }
    return QN_OK;
}

/* ---- filters ------------------------------------------------------------------------------ */

qn_status qn_rank_filter_open(const qn_rank_input *in, qn_arena *arena, qn_slice text,
                              qn_rank_filter **out, qn_error *err)
{
    *out = NULL;
    qn_rank_filter *filter = qn_new0(qn_alloc_heap(), sizeof *filter);
    if (filter == NULL) return qn_fail(err, QN_ENOMEM, "filter");
    qn_status st =
        bound_open(&filter->b, in, arena, QN_EXPR_FILTER, text, QN_EXPR_IN_FILTER, err);
    if (st != QN_OK) {
        qn_delete(qn_alloc_heap(), filter);
        return name_it(err, "filter", st, QN_EFILTER);
    }
    *out = filter;
    return QN_OK;
}

void qn_rank_filter_close(qn_rank_filter *filter)
{
    if (filter == NULL) return;
    bound_close(&filter->b);
    qn_delete(qn_alloc_heap(), filter);
}

qn_status qn_rank_filter_run(void *ctx, size_t segment, const uint32_t *docs, size_t n,
                             bool *keep, qn_error *err)
{
    qn_rank_filter *filter = ctx;
    int64_t values[QN_EXPR_LANES];
    for (size_t begin = 0; begin < n; begin += QN_EXPR_LANES) {
        size_t count = n - begin < QN_EXPR_LANES ? n - begin : QN_EXPR_LANES;
        qn_expr_batch batch = batch_of(&filter->b, segment, docs + begin, count, NULL);
        QN_TRY(qn_expr_eval_i64(filter->b.machine, &batch, values, err));
        for (size_t i = 0; i < count; i++) keep[begin + i] = values[i] != 0;
    }
    return QN_OK;
}
