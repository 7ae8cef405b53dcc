/* SPDX-License-Identifier: Apache-2.0 */
/* Random expressions: machine code gives bit for bit what the interpreter gives, for
 * formulas and conditions over a thousand documents each. prop_expr_code [SEED [COUNT]] */
#include "../qn_test.h"

#include "prop_expr.h"

#include "expr/code.h"

#include <stdlib.h>

enum { DEPTH = 6 };

static uint64_t seed = 20240607, count = 1000;
static prop_table table;
static prop_gen gen;
static qn_code *code;
static uint64_t compiled;

static bool resolve_name(void *ctx, qn_slice name, qn_expr_symbol *out)
{
    (void)ctx;
    for (uint32_t i = 0; i < prop_column_count; i++)
        if (qn_slice_eq_str(name, prop_columns[i].name)) {
            *out = (qn_expr_symbol){
                .type = prop_columns[i].type, .costly = i % 2 == 0, .slot = i};
            return true;
        }
    return false;
}

static qn_status load(void *ctx, uint32_t slot, const uint32_t *docs, size_t n,
                      qn_expr_values *out, qn_error *err)
{
    (void)ctx, (void)err;
    for (size_t i = 0; i < n; i++) {
        const prop_cell *c = &table.cells[slot * PROP_DOCS + docs[i]];
        if (out->i64 != NULL)
            out->i64[i] = c->i64;
        else
            out->f64[i] = c->f64;
    }
    return QN_OK;
}

static uint32_t docs[PROP_DOCS];

typedef struct results {
    int64_t bits[PROP_DOCS];
    double scores[PROP_DOCS];
    uint64_t bad;
} results;

static void evaluate(qn_expr_machine *m, bool strict, results *out)
{
    qn_error err = {0};
    out->bad = 0;
    qn_expr_batch b = {.docs = docs,
                       .n = PROP_DOCS,
                       .load = load,
                       .seed = seed,
                       .bad_docs = &out->bad};
    if (strict) {
        T_CALL(qn_expr_eval_i64(m, &b, out->bits, &err), &err);
    } else {
        T_CALL(qn_expr_eval(m, &b, out->scores, &err), &err);
        memcpy(out->bits, out->scores, sizeof out->bits);
    }
}

static void compare(const qn_expr *e, bool strict, qn_slice text)
{
    static results want, got;
    qn_expr_machine *plain = NULL, *fast = NULL;
    qn_error err = {0};
    T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &plain, &err), &err);
    T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &fast, &err), &err);
    qn_expr_machine_use(fast, code);
    evaluate(plain, strict, &want);
    evaluate(fast, strict, &got); /* compiled in the middle of it */
    for (int turn = 0; turn < 2; turn++) {
        for (size_t d = 0; d < PROP_DOCS; d++)
            if (want.bits[d] != got.bits[d])
                T_FAIL("document %zu: got %llx, want %llx: %s", d,
                       (unsigned long long)got.bits[d],
                       (unsigned long long)want.bits[d], text.p);
        T_EQ_I(got.bad, want.bad);
        evaluate(fast, strict, &got);
    }
    compiled += qn_expr_machine_is_compiled(fast);
    qn_expr_machine_destroy(plain);
    qn_expr_machine_destroy(fast);
}

static void one_round(bool strict)
{
    gen.used = 0;
    const prop_node *tree =
        strict ? prop_gen_condition(&gen, DEPTH) : prop_gen_formula(&gen, DEPTH);
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    prop_print(&gen, tree, strict, &text);
    qn_expr *e = NULL;
    qn_error err = {0};
    qn_expr_env env = {.resolve_name = resolve_name};
    qn_status st =
        qn_expr_compile(qn_alloc_heap(), strict ? QN_EXPR_FILTER : QN_EXPR_FORMULA,
                        qn_buf_slice(&text), &env, &e, &err);
    if (st != QN_OK)
        T_FAIL("at %d: %s: %s", (int)err.at, err.text, qn_buf_slice(&text).p);
    compare(e, strict, qn_buf_slice(&text));
    qn_expr_destroy(e);
    qn_buf_deinit(&text);
}

static void prop_same_bits(void **state)
{
    (void)state;
    char name[64];
    for (uint64_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "seed %llu", (unsigned long long)(seed + i));
        T_ROW(name);
        gen.rng = (qn_rng){seed + i};
        prop_table_fill(&table, &gen.rng);
        one_round(i % 3 == 2);
    }
    qn_code_stats stats;
    qn_code_stats_of(code, &stats);
    print_message("%s: %llu of %llu compiled, %.1f ms each\n", stats.back_end,
                  (unsigned long long)compiled, (unsigned long long)count,
                  (double)stats.compile_ns / 1e6 / (double)(stats.compiled + 1));
    T_EQ_I(stats.failed, 0);
    /* The others fold to constants or are but a column. */
    T_OK(compiled > count / 2);
}

int main(int argc, char **argv)
{
    char name[160];
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    if (argc > 2) count = strtoull(argv[2], NULL, 10);
    if (!qn_code_probe(NULL, name, sizeof name)) {
        print_message("SKIPPED: no back end to compile formulas: %s\n", name);
        return 77;
    }
    print_message("seed %llu\n", (unsigned long long)seed);
    qn_error err = {0};
    qn_code_options options = {.at_once = true, .work_min = 1, .bytes_max = 1 << 20};
    if (qn_code_create(qn_alloc_heap(), &options, &code, &err) != QN_OK) return 1;
    table.cells = qn_new_array(qn_alloc_heap(), prop_column_count * PROP_DOCS,
                               sizeof *table.cells);
    for (uint32_t i = 0; i < PROP_DOCS; i++) docs[i] = i;
    const struct CMUnitTest tests[] = {cmocka_unit_test(prop_same_bits)};
    int failed = cmocka_run_group_tests_name("prop_expr_code", tests, NULL, NULL);
    qn_delete(qn_alloc_heap(), table.cells);
    qn_code_destroy(code);
    return failed;
}
