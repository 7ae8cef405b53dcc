/* SPDX-License-Identifier: Apache-2.0 */
#include "expr_test.h"

#include <stdlib.h>

typedef struct column {
    const char *name;
    qn_expr_type type;
    bool multi;
    double values[EXPR_TEST_DOCS]; /* numbers */
    const char *texts[EXPR_TEST_DOCS];
} column;

static const column columns[] = {
    {"age", QN_EXPR_INT32, false, {50, 13, 40, 41, 10, 11, 0, -3}, {0}},
    {"weight", QN_EXPR_INT32, false, {70, 60, 61, 0, 5, 99, 70, 1}, {0}},
    {"mark", QN_EXPR_INT8, false, {1, 0, 1, 0, 1, 0, 1, 0}, {0}},
    {"price", QN_EXPR_DOUBLE, false, {2.5, 0, -1, 1e300, 12.25, 3, 7, 0.5}, {0}},
    {"hits", QN_EXPR_INT64, false, {7, 6, 5, 4, 3, 2, 1, 0}, {0}},
    {"comments", QN_EXPR_INT64, false, {3, 3, 3, 3, 3, 3, 3, 3}, {0}},
    {"pubtime", QN_EXPR_INT64, false, {1699913600, 0, 5, 6, 7, 8, 9, 10}, {0}},
    {"small", QN_EXPR_INT8, false, {100, 127, -128, 1, 2, 3, 4, 5}, {0}},
    {"ubyte", QN_EXPR_UINT8, false, {250, 1, 2, 3, 4, 5, 6, 7}, {0}},
    {"width", QN_EXPR_INT32, false, {400, 300, 1, 2, 3, 4, 5, 6}, {0}},
    {"height", QN_EXPR_INT32, false, {300, 300, 1, 2, 3, 4, 5, 6}, {0}},
    {"ratio", QN_EXPR_FLOAT, false, {0.5, 0.1, 0, 1, 2, 3, 4, 5}, {0}},
    {"zero", QN_EXPR_INT32, false, {0}, {0}},
    {"title",
     QN_EXPR_STRING,
     false,
     {0},
     {"pear", "apple", "", "fig", "a", "b", "c", "d"}},
    {"brand", QN_EXPR_STRING, false, {0}, {"pear", "x", "", "y", "a", "b", "c", "d"}},
    {"tags", QN_EXPR_INT32, true, {1, 5, 9}, {0}},
    {"scores", QN_EXPR_DOUBLE, true, {0.5, 1.5, 2.5}, {0}},
    {"names", QN_EXPR_STRING, true, {0}, {"red", "green", "blue"}},
    {"big", QN_EXPR_UINT64, false, {0}, {0}},
};
enum { COLUMN_COUNT = sizeof columns / sizeof *columns, FEATURE_SLOT = 1000 };

static bool resolve_name(void *ctx, qn_slice name, qn_expr_symbol *out)
{
    (void)ctx;
    if (qn_slice_eq_str(name, "topic")) {
        *out = (qn_expr_symbol){.type = QN_EXPR_INT32, .constant = true, .i64 = 7};
        return true;
    }
    for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
        if (!qn_slice_eq_str(name, columns[i].name)) continue;
        *out = (qn_expr_symbol){
            .type = columns[i].type, .multi = columns[i].multi, .slot = i};
        return true;
    }
    return false;
}

static bool list_name(void *ctx, size_t i, qn_slice *name)
{
    (void)ctx;
    if (i >= COLUMN_COUNT) return false;
    *name = qn_slice_of(columns[i].name);
    return true;
}

static qn_status resolve_call(void *ctx, qn_slice function, const qn_expr_arg *args,
                              size_t n, uint64_t at, qn_expr_symbol *out, qn_error *err)
{
    (void)ctx;
    if (n > 0 && args[0].kind == QN_EXPR_ARG_NAME &&
        qn_slice_eq_str(args[0].text, "nothing"))
        return qn_fail_at(err, QN_ENOFIELD, args[0].at, "no field 'nothing'");
    if (qn_slice_eq_str(function, "kvpairs_value")) {
        *out = (qn_expr_symbol){.type = QN_EXPR_DOUBLE, .constant = true, .f64 = 3.5};
        return QN_OK;
    }
    uint32_t row = 0;
    while (!qn_slice_eq_str(function, qn_expr_function_at(row)->name)) row++;
    if (qn_slice_eq_str(function, "bm25")) row = 1;
    if (qn_slice_eq_str(function, "text_score")) row = 2;
    *out = (qn_expr_symbol){.type = QN_EXPR_FLOAT, .slot = FEATURE_SLOT + row};
    (void)at;
    return QN_OK;
}

const qn_expr_env expr_test_env = {
    .resolve_name = resolve_name, .list_name = list_name, .resolve_call = resolve_call};

static void load_list(const column *c, qn_expr_list *out)
{
    static const int64_t integers[] = {1, 5, 9};
    static qn_slice names[3];
    for (size_t i = 0; i < 3 && c->type == QN_EXPR_STRING; i++)
        names[i] = qn_slice_of(c->texts[i]);
    out->n = 3;
    out->items = c->type == QN_EXPR_STRING   ? (const void *)names
                 : c->type == QN_EXPR_DOUBLE ? (const void *)c->values
                                             : (const void *)integers;
}

static qn_status load(void *ctx, uint32_t slot, const uint32_t *docs, size_t n,
                      qn_expr_values *out, qn_error *err)
{
    expr_test_batch *b = ctx;
    b->loads++;
    if (slot >= FEATURE_SLOT) b->feature_docs += (unsigned)n;
    for (size_t i = 0; i < n; i++) {
        uint32_t d = docs[i];
        if (slot >= FEATURE_SLOT) {
            out->f64[i] = 0.25 * (slot % 4 + 1);
            continue;
        }
        const column *c = &columns[slot];
        if (d >= EXPR_TEST_DOCS) return qn_fail(err, QN_EIO, "document %u", d);
        if (c->multi) {
            /* Odd documents have empty lists. */
            load_list(c, &out->lists[i]);
            if (d % 2 == 1) out->lists[i].n = 0;
        } else if (out->str != NULL)
            out->str[i] = qn_slice_of(c->texts[d]);
        else if (out->f64 != NULL)
            out->f64[i] =
                c->type == QN_EXPR_FLOAT ? (double)(float)c->values[d] : c->values[d];
        else if (c->type == QN_EXPR_UINT64)
            out->i64[i] = (int64_t)((UINT64_C(1) << 63) + 5);
        else
            out->i64[i] = (int64_t)c->values[d];
    }
    return QN_OK;
}

void expr_test_batch_init(expr_test_batch *b)
{
    *b = (expr_test_batch){0};
    for (uint32_t i = 0; i < EXPR_TEST_DOCS; i++) b->docs[i] = i;
    b->batch = (qn_expr_batch){.docs = b->docs,
                               .n = EXPR_TEST_DOCS,
                               .load = load,
                               .ctx = b,
                               .now_s = EXPR_TEST_NOW,
                               .seed = 42,
                               .bad_docs = &b->bad_docs};
}

qn_status expr_test_compile(qn_expr_dialect dialect, const char *text, qn_expr **out,
                            qn_error *err)
{
    return qn_expr_compile(qn_alloc_heap(), dialect, qn_slice_of(text), &expr_test_env,
                           out, err);
}

double expr_test_value(qn_expr_dialect dialect, const char *text)
{
    qn_expr *e = NULL;
    qn_expr_machine *m = NULL;
    qn_error err = {0};
    double out[EXPR_TEST_DOCS];
    expr_test_batch b;
    expr_test_batch_init(&b);
    T_CALL(expr_test_compile(dialect, text, &e, &err), &err);
    T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
    T_CALL(qn_expr_eval(m, &b.batch, out, &err), &err);
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);
    return out[0];
}

static const char *into_buffer(const qn_expr *e,
                               void (*print)(const qn_expr *, qn_buf *))
{
    static char text[4096];
    qn_buf buf;
    qn_buf_init(&buf, qn_alloc_heap());
    print(e, &buf);
    T_OK(!buf.failed && buf.n < sizeof text);
    memcpy(text, qn_buf_slice(&buf).p, buf.n);
    text[buf.n] = '\0';
    qn_buf_deinit(&buf);
    return text;
}

const char *expr_test_dump(const qn_expr *e)
{
    return into_buffer(e, qn_expr_dump);
}

const char *expr_test_normalized(const qn_expr *e)
{
    return into_buffer(e, qn_expr_normalized);
}
