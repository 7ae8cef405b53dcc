/* SPDX-License-Identifier: Apache-2.0 */
/* The code cache: without a back end nothing changes; with one, units are shared, counted
 * and dropped by bytes, and the thread compiles while others run. */
#include "expr_test.h"

#include "expr/code.h"
#include "expr/expr_form.h"

#include <pthread.h>
#include <sched.h>

static qn_code *open_code(const qn_code_options *options)
{
    qn_code *code = NULL;
    qn_error err = {0};
    T_CALL(qn_code_create(qn_alloc_heap(), options, &code, &err), &err);
    return code;
}

static qn_code_stats stats_of(qn_code *code)
{
    qn_code_stats s;
    qn_code_stats_of(code, &s);
    return s;
}

static void write_form(const char *text, qn_buf *out)
{
    qn_expr *e = NULL;
    qn_error err = {0};
    qn_expr__blocks blocks;
    qn_buf_init(out, qn_alloc_heap());
    T_CALL(expr_test_compile(QN_EXPR_FORMULA, text, &e, &err), &err);
    qn_expr__blocks_find(&e->program, &blocks);
    qn_expr__form_write(&e->program, &blocks, out);
    qn_expr_destroy(e);
}

static bool back_end_is_here(void)
{
    char why[160];
    if (qn_code_probe(NULL, why, sizeof why)) return true;
    print_message("SKIPPED: no back end to compile formulas: %s\n", why);
    return false;
}

/* A module that is not there, or none of ours: the machine interprets, and says why. */
void test_expr_code_without(void **state)
{
    (void)state;
    static const struct {
        const char *name, *module, *why;
    } rows[] = {
        {"switched off", "", "switched off"},
        {"no file", "/nowhere/libquern_llvm.so", "nowhere"},
        {"another library", "libm.so.6", "none of ours"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_code_options options = {
            .at_once = true, .work_min = 1, .module = rows[i].module};
        qn_code *code = open_code(&options);
        qn_expr *e = NULL;
        qn_expr_machine *m = NULL;
        qn_error err = {0};
        expr_test_batch b;
        double out[EXPR_TEST_DOCS];
        expr_test_batch_init(&b);
        T_CALL(expr_test_compile(QN_EXPR_FORMULA, "age*2+mark/3", &e, &err), &err);
        T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
        qn_expr_machine_use(m, code);
        for (int turn = 0; turn < 3; turn++) {
            T_CALL(qn_expr_eval(m, &b.batch, out, &err), &err);
            T_NEAR(out[1], 26, 0);
            T_OK(!qn_expr_machine_is_compiled(m));
        }
        T_OK(strstr(stats_of(code).why_not, rows[i].why) != NULL);
        T_EQ_I(stats_of(code).compiled, 0);
        qn_expr_machine_destroy(m);
        qn_expr_destroy(e);
        qn_code_destroy(code);
    }
}

void test_expr_code_shares(void **state)
{
    (void)state;
    qn_code_options options = {.work_min = 1000, .module = ""};
    qn_code *code = open_code(&options);
    qn_buf form, other;
    write_form("age*2+mark/3", &form);
    write_form("age*2+mark/4", &other);
    qn_code_unit *a = qn_code_acquire(code, QN_CODE_EXPR, qn_buf_slice(&form));
    qn_code_unit *b = qn_code_acquire(code, QN_CODE_EXPR, qn_buf_slice(&form));
    qn_code_unit *c = qn_code_acquire(code, QN_CODE_EXPR, qn_buf_slice(&other));
    T_OK(a != NULL && a == b && c != a);
    T_EQ_I(stats_of(code).units, 2);
    /* Columns of other names, in the same places: the same program. */
    qn_buf renamed;
    write_form("weight*2+small/3", &renamed);
    qn_code_unit *d = qn_code_acquire(code, QN_CODE_EXPR, qn_buf_slice(&renamed));
    T_OK(d == a);
    qn_code_release(a);
    qn_code_release(b);
    qn_code_release(c);
    qn_code_release(d);
    qn_buf_deinit(&form);
    qn_buf_deinit(&other);
    qn_buf_deinit(&renamed);
    qn_code_destroy(code);
}

/* Over the limit of bytes the least recently used go; who holds one keeps it. */
void test_expr_code_drops(void **state)
{
    (void)state;
    enum { UNITS = 200 };
    qn_code_options options = {.bytes_max = 64 << 10, .work_min = 1, .at_once = true};
    bool compiles = back_end_is_here();
    qn_code *code = open_code(&options);
    qn_code_unit *first = NULL;
    for (size_t i = 0; i < (compiles ? 40 : UNITS); i++) {
        char text[64];
        qn_buf form;
        (void)snprintf(text, sizeof text, "age*%zu+mark/3+ln(hits)", i + 2);
        write_form(text, &form);
        qn_code_unit *u = qn_code_acquire(code, QN_CODE_EXPR, qn_buf_slice(&form));
        T_OK((qn_code_entries(u, 100) != NULL) == compiles);
        if (first == NULL)
            first = u;
        else
            qn_code_release(u);
        qn_buf_deinit(&form);
        T_OK(stats_of(code).bytes <= options.bytes_max);
    }
    T_OK(stats_of(code).dropped > 0);
    T_EQ_I(stats_of(code).failed, 0);
    T_OK((qn_code_entries(first, 1) != NULL) == compiles); /* still mapped */
    if (compiles) {
        typedef void (*entry)(uint64_t *, uint64_t);
        static _Alignas(64) uint64_t registers[64 * QN_EXPR_LANES];
        ((entry)(uintptr_t)*qn_code_entries(first, 1))(registers, 8);
    }
    qn_code_release(first);
    qn_code_destroy(code);
}

/* Many threads evaluate while one compiles: right answers before, during and after. */
static void *evaluate_until_compiled(void *arg)
{
    qn_expr *e = NULL;
    qn_expr_machine *m = NULL;
    qn_error err = {0};
    expr_test_batch b;
    double out[EXPR_TEST_DOCS];
    int after = 0;
    bool fine = expr_test_compile(QN_EXPR_FORMULA, "age*2+sqrt(weight-6)*mark", &e,
                                  &err) == QN_OK &&
                qn_expr_machine_create(qn_alloc_heap(), e, &m, &err) == QN_OK;
    if (fine) qn_expr_machine_use(m, arg);
    while (fine && after < 100) {
        expr_test_batch_init(&b);
        fine = qn_expr_eval(m, &b.batch, out, &err) == QN_OK && out[0] == 108 &&
               out[1] == 26;
        after += qn_expr_machine_is_compiled(m);
        (void)sched_yield();
    }
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);
    return fine ? arg : NULL;
}

void test_expr_code_threads(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    if (!back_end_is_here()) return;
    qn_code_options options = {.work_min = 100};
    qn_code *code = open_code(&options);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        T_EQ_I(pthread_create(&threads[i], NULL, evaluate_until_compiled, code), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        T_EQ_I(pthread_join(threads[i], &result), 0);
        T_OK(result != NULL);
    }
    T_EQ_I(stats_of(code).compiled, 1);
    T_EQ_I(stats_of(code).failed, 0);
    qn_code_destroy(code);
}

/* What a block is: steps between those that ask the caller; jumps stay whole. */
void test_expr_code_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t blocks;
    } rows[] = {
        {"age*2+mark/3", 1},
        {"age", 0},
        {"if(age>3, ln(hits)+ln(comments), 0)", 1},  /* the jump is inside */
        {"if(age>3 and mark, bm25()*2+hits, 0)", 2}, /* the feature asks */
        {"sin(age)+hits*3+comments", 1},             /* <math.h> may serve sin */
        {"if(in(title,\"pear|fig\"), age*2, hits*3)+mark", 1}, /* strings come first */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        qn_expr *e = NULL;
        qn_error err = {0};
        qn_expr__blocks blocks;
        T_CALL(expr_test_compile(QN_EXPR_FORMULA, rows[i].text, &e, &err), &err);
        qn_expr__blocks_find(&e->program, &blocks);
        T_EQ_I(blocks.count, rows[i].blocks);
        qn_expr_destroy(e);
    }
}
