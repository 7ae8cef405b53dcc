/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an expression: the first one chooses the dialect. What is refused says
 * where; what is accepted prints itself, evaluates over hostile values without a fault,
 * gives only finite scores, and its normalised spelling means the same. */
#include "base/clock.h"
#include "expr/expr.h"

#include <math.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DOCS = 8 };

/* The first letter of a name is its type; upper case: a list; 'z': no such name. */
static bool resolve_name(void *ctx, qn_slice name, qn_expr_symbol *out)
{
    (void)ctx;
    unsigned letter = (unsigned char)name.p[0];
    if (letter == 'z') return false;
    *out = (qn_expr_symbol){.type = (qn_expr_type)(letter % (QN_EXPR_STRING + 1)),
                            .multi = letter < 'a' && letter != '_',
                            .constant = letter == 'k',
                            .slot = letter};
    return true;
}

static qn_status resolve_call(void *ctx, qn_slice function, const qn_expr_arg *args,
                              size_t n, uint64_t at, qn_expr_symbol *out, qn_error *err)
{
    (void)ctx, (void)args, (void)at, (void)err;
    *out = (qn_expr_symbol){.type = QN_EXPR_DOUBLE, .slot = (uint32_t)(function.n + n)};
    return QN_OK;
}

static double hostile_double(uint64_t r)
{
    static const double values[] = {0, -0.0, 1, -1, 1e308, -1e308, 5e-324, 0.5};
    if (r % 16 == 8) return (double)NAN;
    if (r % 16 == 9) return (double)INFINITY;
    return values[r % 8];
}

static int64_t hostile_int(uint64_t r)
{
    static const int64_t values[] = {0, 1, -1, 2, INT64_MAX, INT64_MIN, 255, -128};
    return values[r % 8];
}

static qn_status load(void *ctx, uint32_t slot, const uint32_t *docs, size_t n,
                      qn_expr_values *out, qn_error *err)
{
    static const int64_t integers[] = {1, 2, INT64_MIN};
    static const double doubles[] = {0.5, -1, 1e308};
    static const qn_slice strings[] = {{"", 0}, {"a", 1}, {"\0b", 2}};
    qn_rng *rng = ctx;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        uint64_t r = qn_rng_next(rng) + docs[i];
        if (out->i64 != NULL) out->i64[i] = hostile_int(r);
        if (out->f64 != NULL) out->f64[i] = hostile_double(r);
        if (out->str != NULL) out->str[i] = strings[r % 3];
        if (out->lists == NULL) continue;
        qn_expr_type type = (qn_expr_type)(slot % (QN_EXPR_STRING + 1));
        out->lists[i].n = r % 4;
        out->lists[i].items = type == QN_EXPR_STRING ? (const void *)strings
                              : type == QN_EXPR_FLOAT || type == QN_EXPR_DOUBLE
                                  ? (const void *)doubles
                                  : (const void *)integers;
    }
    return QN_OK;
}

static void evaluate(const qn_expr *e, qn_alloc *alloc)
{
    qn_error err = {0};
    qn_expr_machine *m = NULL;
    static const uint32_t docs[DOCS] = {0, 1, 2, 3, 4, 5, 6, UINT32_MAX};
    qn_rng rng = {7};
    double numbers[DOCS];
    int64_t integers[DOCS];
    qn_slice strings[DOCS];
    qn_expr_batch b = {
        .docs = docs, .n = DOCS, .load = load, .ctx = &rng, .now_s = 1700000000};
    qn_assert(qn_expr_machine_create(alloc, e, &m, &err) == QN_OK);
    qn_expr_type type = qn_expr_result_type(e);
    if (type == QN_EXPR_STRING) {
        qn_assert(qn_expr_eval_str(m, &b, strings, &err) == QN_OK);
    } else {
        qn_assert(qn_expr_eval(m, &b, numbers, &err) == QN_OK);
        for (size_t i = 0; i < DOCS; i++) qn_assert(isfinite(numbers[i]));
        if (type != QN_EXPR_FLOAT && type != QN_EXPR_DOUBLE)
            qn_assert(qn_expr_eval_i64(m, &b, integers, &err) == QN_OK);
    }
    qn_expr_machine_destroy(m);
    qn_assert(qn_expr_trace(alloc, e, &b, NULL, NULL, &err) == QN_OK);
}

/* The strict dialects read their own normalised spelling back as the same thing. */
static void check_normalized(const qn_expr *e, qn_expr_dialect dialect,
                             const qn_expr_env *env, qn_alloc *alloc)
{
    qn_buf first, second;
    qn_buf_init(&first, alloc);
    qn_buf_init(&second, alloc);
    qn_expr_normalized(e, &first);
    qn_error err = {0};
    qn_expr *again = NULL;
    qn_status st =
        qn_expr_compile(alloc, dialect, qn_buf_slice(&first), env, &again, &err);
    if (st == QN_OK) {
        qn_expr_normalized(again, &second);
        qn_assert(qn_slice_eq(qn_buf_slice(&first), qn_buf_slice(&second)));
    } else {
        qn_assert(st == QN_ELIMIT); /* its parentheses can be too many */
    }
    qn_expr_destroy(again);
    qn_buf_deinit(&first);
    qn_buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    qn_expr_dialect dialect = (qn_expr_dialect)(data[0] % 3);
    qn_slice text = {(const char *)data + 1, size - 1};
    qn_alloc alloc = {0};
    qn_expr_env env = {.resolve_name = resolve_name, .resolve_call = resolve_call};
    qn_error err = {.at = QN_AT_NONE};
    qn_expr *e = NULL;
    qn_status st = qn_expr_compile(&alloc, dialect, text, &env, &e, &err);
    if (st != QN_OK) {
        qn_assert(e == NULL && err.text[0] != '\0');
        qn_assert(err.at == QN_AT_NONE || err.at <= text.n);
    } else {
        qn_buf out;
        qn_buf_init(&out, &alloc);
        qn_expr_dump(e, &out);
        qn_expr_list_steps(e, &out);
        qn_buf_deinit(&out);
        if (dialect != QN_EXPR_FORMULA) check_normalized(e, dialect, &env, &alloc);
        evaluate(e, &alloc);
        qn_expr_destroy(e);
    }
    qn_assert(atomic_load(&alloc.live_bytes) == 0);
    return 0;
}
