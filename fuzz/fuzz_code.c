/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an expression, compiled to machine code: over hostile values it gives the
 * bits of the interpreter. The first byte chooses the dialect. Without a back end the
 * expression is only interpreted, twice. */
#include "base/clock.h"
#include "expr/code.h"
#include "expr/expr.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DOCS = 300 };

/* The first letter of a name is its type; upper case: costly; 'z': no such name. */
static bool resolve_name(void *ctx, qn_slice name, qn_expr_symbol *out)
{
    (void)ctx;
    unsigned letter = (unsigned char)name.p[0];
    if (letter == 'z') return false;
    *out = (qn_expr_symbol){.type = (qn_expr_type)(letter % QN_EXPR_STRING),
                            .costly = letter < 'a',
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
    static const double values[] = {0,    -0.0,  1,   -1,  1e308, -1e308, 5e-324, 0.5,
                                    1e19, -1e19, 1e6, 2e6, 3,     -7.25,  1e-300, 100};
    if (r % 32 == 30) return (double)NAN;
    if (r % 32 == 31) return (double)INFINITY;
    return values[r % 16];
}

/* The same values for the same document and slot, whoever asks. */
static qn_status load(void *ctx, uint32_t slot, const uint32_t *docs, size_t n,
                      qn_expr_values *out, qn_error *err)
{
    static const int64_t integers[] = {0, 1, -1, 2, INT64_MAX, INT64_MIN, 255, -128};
    (void)ctx, (void)err;
    for (size_t i = 0; i < n; i++) {
        qn_rng rng = {(uint64_t)slot << 32 | docs[i]};
        uint64_t r = qn_rng_next(&rng);
        if (out->i64 != NULL) out->i64[i] = integers[r % 8];
        if (out->f64 != NULL) out->f64[i] = hostile_double(r);
    }
    return QN_OK;
}

static uint32_t docs[DOCS];

static void evaluate(const qn_expr *e, qn_expr_machine *m, int64_t *out, uint64_t *bad)
{
    qn_error err = {0};
    qn_expr_type type = qn_expr_result_type(e);
    *bad = 0;
    qn_expr_batch b = {
        .docs = docs, .n = DOCS, .load = load, .now_s = 1700000000, .bad_docs = bad};
    if (type == QN_EXPR_FLOAT || type == QN_EXPR_DOUBLE)
        qn_assert(qn_expr_eval(m, &b, (double *)out, &err) == QN_OK);
    else
        qn_assert(qn_expr_eval_i64(m, &b, out, &err) == QN_OK);
}

static void compare(const qn_expr *e, qn_code *code)
{
    static int64_t want[DOCS], got[DOCS];
    uint64_t want_bad = 0, got_bad = 0;
    qn_error err = {0};
    qn_expr_machine *plain = NULL, *fast = NULL;
    qn_assert(qn_expr_machine_create(qn_alloc_heap(), e, &plain, &err) == QN_OK);
    qn_assert(qn_expr_machine_create(qn_alloc_heap(), e, &fast, &err) == QN_OK);
    qn_expr_machine_use(fast, code);
    evaluate(e, plain, want, &want_bad);
    for (int turn = 0; turn < 2; turn++) {
        evaluate(e, fast, got, &got_bad);
        qn_assert(got_bad == want_bad && memcmp(want, got, sizeof want) == 0);
    }
    qn_expr_machine_destroy(plain);
    qn_expr_machine_destroy(fast);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    for (uint32_t i = 0; i < DOCS; i++) docs[i] = i;
    qn_code *code = NULL;
    qn_code_options options = {.at_once = true, .work_min = 1};
    qn_expr_env env = {.resolve_name = resolve_name, .resolve_call = resolve_call};
    qn_error err = {.at = QN_AT_NONE};
    qn_expr *e = NULL;
    qn_status st =
        qn_expr_compile(qn_alloc_heap(), (qn_expr_dialect)(data[0] % 3),
                        (qn_slice){(const char *)data + 1, size - 1}, &env, &e, &err);
    if (st == QN_OK && qn_expr_result_type(e) != QN_EXPR_STRING) {
        qn_assert(qn_code_create(qn_alloc_heap(), &options, &code, &err) == QN_OK);
        compare(e, code);
        qn_code_stats stats;
        qn_code_stats_of(code, &stats);
        qn_assert(stats.failed == 0);
        qn_code_destroy(code);
    }
    qn_expr_destroy(e);
    return 0;
}
