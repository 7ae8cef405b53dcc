/* SPDX-License-Identifier: Apache-2.0 */
/* Random expressions: the batch interpreter, under every kernel set, gives bit for bit
 * what the naive evaluator gives; what is printed compiles; equal text, equal value. */
#include "../qn_test.h"

#include "prop_expr.h"

#include "expr/expr_internal.h"

#include <math.h>
#include <stdlib.h>

enum { ROUNDS = 400, DEPTH = 5 };

static uint64_t seed = 20240607;
static prop_table table;
static prop_gen gen;

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

static const qn_expr_env env = {.resolve_name = resolve_name};

static void check_formula(qn_expr *e, qn_expr_machine *m, const prop_node *tree,
                          const char *text)
{
    double got[PROP_DOCS];
    uint64_t bad = 0, want_bad = 0;
    qn_error err = {0};
    qn_expr_batch b = {.docs = docs, .n = PROP_DOCS, .load = load, .bad_docs = &bad};
    (void)e;
    T_CALL(qn_expr_eval(m, &b, got, &err), &err);
    for (size_t d = 0; d < PROP_DOCS; d++) {
        double want = prop_eval_formula(tree, &table, d);
        if (!isfinite(want)) want = 0, want_bad++;
        if (memcmp(&want, &got[d], sizeof want) != 0)
            T_FAIL("document %zu: got %.17g, want %.17g: %s", d, got[d], want, text);
    }
    T_EQ_I(bad, want_bad);
}

static void check_condition(qn_expr *e, qn_expr_machine *m, const prop_node *tree,
                            const char *text)
{
    int64_t got[PROP_DOCS];
    qn_error err = {0};
    qn_expr_batch b = {.docs = docs, .n = PROP_DOCS, .load = load};
    (void)e;
    T_CALL(qn_expr_eval_i64(m, &b, got, &err), &err);
    for (size_t d = 0; d < PROP_DOCS; d++) {
        int64_t want = prop_eval_strict(tree, &table, d);
        if (got[d] != want)
            T_FAIL("document %zu: got %d, want %d: %s", d, (int)got[d], (int)want,
                   text);
    }
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
    qn_status st =
        qn_expr_compile(qn_alloc_heap(), strict ? QN_EXPR_FILTER : QN_EXPR_FORMULA,
                        qn_buf_slice(&text), &env, &e, &err);
    if (st != QN_OK)
        T_FAIL("at %d: %s: %s", (int)err.at, err.text, qn_buf_slice(&text).p);
    for (size_t k = 0; qn_expr__kernels_at(k) != NULL; k++) {
        setenv("QUERN_KERNELS", qn_expr__kernels_at(k)->name, 1);
        qn_expr_machine *m = NULL;
        T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
        (strict ? check_condition : check_formula)(e, m, tree, qn_buf_slice(&text).p);
        qn_expr_machine_destroy(m);
    }
    qn_expr_destroy(e);
    qn_buf_deinit(&text);
}

static void rounds(bool strict)
{
    char name[64];
    for (uint64_t i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof name, "seed %llu", (unsigned long long)(seed + i));
        T_ROW(name);
        gen.rng = (qn_rng){seed + i};
        prop_table_fill(&table, &gen.rng);
        one_round(strict);
    }
}

static void prop_formula(void **state)
{
    (void)state;
    rounds(false);
}

static void prop_condition(void **state)
{
    (void)state;
    rounds(true);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    table.cells = qn_new_array(qn_alloc_heap(), prop_column_count * PROP_DOCS,
                               sizeof *table.cells);
    for (uint32_t i = 0; i < PROP_DOCS; i++) docs[i] = i;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prop_formula),
        cmocka_unit_test(prop_condition),
    };
    int failed = cmocka_run_group_tests_name("prop_expr", tests, NULL, NULL);
    qn_delete(qn_alloc_heap(), table.cells);
    return failed;
}
