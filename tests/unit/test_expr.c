/* SPDX-License-Identifier: Apache-2.0 */
#include "expr_test.h"

/* Rows that the product pages of the language promise. Document 0: age 50, weight 70,
 * mark 1, width 400, height 300. */
void test_expr_conformance(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double want;
    } rows[] = {
        {"if(2,3,5)", 3},
        {"if(0,3,5)", 5},
        {"2 in (2,4,6)", 1},
        {"3 in (2,4,6)", 0},
        {"2 in [2,4,6]", 1},
        {"age in (50,51)", 1},
        {"age not in (50,51)", 0},
        {"age in (6,7,8,9)", 0},
        {"ceil(4.2)", 5},
        {"floor(4.6)", 4},
        {"sqrt(4)", 2},
        {"pow(2,3)", 8},
        {"(age>10)*10+(age>40)*20+(weight>60)*30", 60},
        {"if(age>10,10,0) + if(age>40,20,0) +if(weight>60,30,0)", 60},
        {"if(mark==1,500,0)", 500},
        {"if(mark==2,500,0)", 0},
        {"width / 10", 40},
        {"width>=400 and height >= 300", 1},
        {"!(width > 1 and height < 2)", 1},
        {"3 & (width ^ pubtime) + (width | pubtime)",
         (double)(3 & ((400 ^ INT64_C(1699913600)) + (400 | INT64_C(1699913600))))},
        {"7/2", 3.5},
        {"hits/comments", 7.0 / 3.0},
        {"-age", -50},
        {"1 or 0 and 0", 1},
        {"static_bm25()*10", 0},
        {"if(query_min_slide_window(title, true, title)>0.99, 1, 0)+\n"
         "  if(query_min_slide_window(content, true, default)>0.99, 0.5, 0)\n"
         "    +text_relevance(content)*0.2+normalize(price)*0.1-proxima_score(vector)",
         0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        double got = expr_test_value(QN_EXPR_FORMULA, rows[i].text);
        /* Rows over features parse and run; their values are the caller's. */
        bool features =
            strstr(rows[i].text, "static_") || strstr(rows[i].text, "query_");
        if (!features) T_NEAR(got, rows[i].want, 0);
    }
}

void test_expr_bad_documents(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double want;
        unsigned bad; /* of the eight documents */
    } rows[] = {
        {"1/zero", 0, 8},
        {"0/zero", 0, 8},
        {"1+min(1,1/zero)", 0, 8},
        {"max(1/zero,1)", 0, 8},
        {"pow(1,1/zero)", 0, 8},
        {"if(zero==0,5,1/zero)", 5, 0},
        {"1/(age-50)", 0, 1},
        {"ln(zero)", 0, 8},
        {"sqrt(-1)", 0, 8},
        {"price*1e300*1e10", 0, 1}, /* infinite for document 3 only: see below */
        {"(1/zero > 1) + 2", 2, 0},
        {"1/hits", 1.0 / 7, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        qn_expr *e = NULL;
        qn_expr_machine *m = NULL;
        qn_error err = {0};
        double out[EXPR_TEST_DOCS];
        expr_test_batch b;
        expr_test_batch_init(&b);
        T_CALL(expr_test_compile(QN_EXPR_FORMULA, rows[i].text, &e, &err), &err);
        T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
        T_CALL(qn_expr_eval(m, &b.batch, out, &err), &err);
        if (strstr(rows[i].text, "1e300") == NULL) {
            T_NEAR(out[0], rows[i].want, 0);
            T_EQ_I(b.bad_docs, rows[i].bad);
        } else {
            /* 2.5e310 and its like: all prices but 0 overflow. */
            T_EQ_I(b.bad_docs, 7);
            T_NEAR(out[1], 0, 0);
        }
        qn_expr_machine_destroy(m);
        qn_expr_destroy(e);
    }
}

static unsigned count_loads(const char *text)
{
    qn_expr *e = NULL;
    qn_expr_machine *m = NULL;
    qn_error err = {0};
    double out[EXPR_TEST_DOCS];
    expr_test_batch b;
    expr_test_batch_init(&b);
    T_CALL(expr_test_compile(QN_EXPR_FORMULA, text, &e, &err), &err);
    T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
    T_CALL(qn_expr_eval(m, &b.batch, out, &err), &err);
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);
    return b.loads;
}

/* Each input once, folded ones never; many runs of lanes; a failing load is passed on. */
void test_expr_loads_once(void **state)
{
    (void)state;
    T_EQ_I(count_loads("age+age*2+if(age>1,age,age-1)"), 1);
    T_EQ_I(count_loads("text_relevance(title)+text_relevance(title)*price"), 2);
    T_EQ_I(count_loads("if(0,age,7)+1"), 0);
    T_EQ_I(count_loads("if(1,hits,age)"), 1);

    enum { N = 3 * QN_EXPR_LANES + 17 };
    static uint32_t docs[N];
    static double out[N];
    for (size_t i = 0; i < N; i++) docs[i] = (uint32_t)(i * 5 % EXPR_TEST_DOCS);
    qn_expr *e = NULL;
    qn_expr_machine *m = NULL;
    qn_error err = {0};
    expr_test_batch b;
    expr_test_batch_init(&b);
    b.batch.docs = docs;
    b.batch.n = N;
    T_CALL(expr_test_compile(QN_EXPR_FORMULA, "age*2+mark", &e, &err), &err);
    T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
    T_CALL(qn_expr_eval(m, &b.batch, out, &err), &err);
    T_EQ_I(b.loads, 2 * 4);
    static const int ages[] = {50, 13, 40, 41, 10, 11, 0, -3};
    for (size_t i = 0; i < N; i++)
        T_NEAR(out[i], ages[docs[i]] * 2 + (docs[i] % 2 == 0), 0);
    docs[N - 1] = EXPR_TEST_DOCS;
    T_EQ_I(qn_expr_eval(m, &b.batch, out, &err), QN_EIO);
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);
}

/* A feature is computed for the documents that look at it. Of the ages 50, 13, 40, 41, 10,
 * 11, 0, -3 none is over 100, one over 49; the marks are 1, 0, 1, 0.. */
void test_expr_lazy(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned docs;
        double first, second; /* scores of documents 0 and 1 */
    } rows[] = {
        {"if(age>100, bm25(), 1)", 0, 1, 1},
        {"if(age>49, bm25()*4, 1)", 1, 2, 1},
        {"if(age>49, 1, bm25()*4)", 8, 1, 2}, /* seven of eight: all */
        {"if(mark, bm25(), text_score())", 4 + 4, 0.5, 0.75},
        {"if(age>49, bm25(), 0) + if(age>49, bm25(), 0)", 1, 1, 0},
        {"if(age>49, bm25(), 0) + if(mark, bm25(), 0)", 8, 1, 0},
        {"bm25() + if(age>100, bm25(), 0)", 8, 0.5, 0.5},
        {"if(age>100, if(mark, bm25(), 1), 2)", 0, 2, 2},
        {"if(mark, if(age>49, bm25(), 1), 2)", 1, 0.5, 2},
        {"if(bm25()>100, text_score(), 3)", 8, 3, 3},
        {"age>100 and bm25()>0", 0, 0, 0},
        {"age>49 and bm25()>0", 1, 1, 0},
        {"age>-9 or bm25()>9", 0, 1, 1},
        {"age>13 or bm25()>9", 5, 1, 0},
        {"mark and age>49 and bm25()>0", 1, 1, 0},
        {"(age>49 or mark) and (age<100 or bm25()>0)", 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        qn_expr *e = NULL;
        qn_expr_machine *m = NULL;
        qn_error err = {0};
        double out[EXPR_TEST_DOCS];
        expr_test_batch b;
        expr_test_batch_init(&b);
        T_CALL(expr_test_compile(QN_EXPR_FORMULA, rows[i].text, &e, &err), &err);
        T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
        T_CALL(qn_expr_eval(m, &b.batch, out, &err), &err);
        T_EQ_I(b.feature_docs, rows[i].docs);
        T_NEAR(out[0], rows[i].first, 0);
        T_NEAR(out[1], rows[i].second, 0);
        qn_expr_machine_destroy(m);
        qn_expr_destroy(e);
    }
}

void test_expr_terms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *terms[4]; /* a leading '-' marks a subtracted one */
        double values[4];
    } rows[] = {
        {"static_bm25()", 1, {"static_bm25()"}, {0}},
        {"age*2 + (hits - comments) - -price",
         4,
         {"age*2", "hits", "-comments", "--price"},
         {100, 7, -3, 2.5}},
        {"1-(age-(weight+3))", 4, {"1", "-age", "weight", "3"}, {1, -50, 70, 3}},
        {"(age+1)*2", 1, {"(age+1)*2"}, {102}},
        {"1/zero + age", 2, {"1/zero", "age"}, {0, 50}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        qn_expr *e = NULL;
        qn_error err = {0};
        T_CALL(expr_test_compile(QN_EXPR_FORMULA, rows[i].text, &e, &err), &err);
        T_EQ_I(qn_expr_term_count(e), rows[i].n);
        double values[4 * EXPR_TEST_DOCS], inputs[8 * EXPR_TEST_DOCS];
        expr_test_batch b;
        expr_test_batch_init(&b);
        T_CALL(qn_expr_trace(qn_alloc_heap(), e, &b.batch, values, inputs, &err), &err);
        for (size_t t = 0; t < rows[i].n; t++) {
            char text[64];
            qn_expr_term term = qn_expr_term_at(e, t);
            snprintf(text, sizeof text, "%s%.*s", term.minus ? "-" : "",
                     QN_SLICE_ARG(term.text));
            T_EQ_S(text, rows[i].terms[t]);
            double v = values[t * EXPR_TEST_DOCS];
            if (strstr(text, "zero") != NULL)
                T_OK(v != v);
            else if (strstr(text, "bm25") == NULL)
                T_NEAR(v, rows[i].values[t], 0);
        }
        for (size_t k = 0; k < qn_expr_input_count(e); k++)
            if (qn_slice_eq_str(qn_expr_input_at(e, k)->text, "age"))
                T_NEAR(inputs[k * EXPR_TEST_DOCS + 1], 13, 0);
        qn_expr_destroy(e);
    }
}

/* The listing is what the interpreter runs and what a compiler would read. */
void test_expr_listing(void **state)
{
    (void)state;
    static const char want[] = "      r0 = 10\n"
                               "      r1 = 2\n"
                               "   0  r2 = load.i age\n"
                               "   1  r3 = load.f price\n"
                               "   2  r4 = lt.i r0 r2\n"
                               "   3  r2 = i2f r4\n"
                               "   4  r4 = mul.f r2 r1\n"
                               "   5  r2 = ln r3\n"
                               "   6  r3 = add.f r4 r2\n"
                               "   7  done\n"
                               "      result r3\n";
    qn_expr *e = NULL;
    qn_error err = {0};
    T_CALL(expr_test_compile(QN_EXPR_FORMULA, "(age>10)*2+ln(price)", &e, &err), &err);
    qn_buf buf;
    qn_buf_init(&buf, qn_alloc_heap());
    qn_expr_list_steps(e, &buf);
    T_EQ_S(qn_buf_slice(&buf).p, want);
    qn_buf_deinit(&buf);
    qn_expr_destroy(e);
}

void test_expr_strings_and_integers(void **state)
{
    (void)state;
    qn_expr *e = NULL;
    qn_expr_machine *m = NULL;
    qn_error err = {0};
    expr_test_batch b;
    expr_test_batch_init(&b);
    T_CALL(expr_test_compile(QN_EXPR_SORT_KEY, "title", &e, &err), &err);
    T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
    qn_slice texts[EXPR_TEST_DOCS];
    double numbers[EXPR_TEST_DOCS];
    T_EQ_I(qn_expr_result_type(e), QN_EXPR_STRING);
    T_CALL(qn_expr_eval_str(m, &b.batch, texts, &err), &err);
    T_OK(qn_slice_eq_str(texts[1], "apple") && texts[2].n == 0);
    T_EQ_I(qn_expr_eval(m, &b.batch, numbers, &err), QN_EEXPRTYPE);
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);

    T_CALL(expr_test_compile(QN_EXPR_SORT_KEY, "big", &e, &err), &err);
    T_CALL(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), &err);
    int64_t integers[EXPR_TEST_DOCS];
    T_EQ_I(qn_expr_result_type(e), QN_EXPR_UINT64);
    T_CALL(qn_expr_eval_i64(m, &b.batch, integers, &err), &err);
    T_OK((uint64_t)integers[0] == (UINT64_C(1) << 63) + 5);
    T_EQ_I(qn_expr_eval_str(m, &b.batch, texts, &err), QN_EEXPRTYPE);
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);

    double value = 0;
    T_CALL(expr_test_compile(QN_EXPR_FORMULA, "2*topic", &e, &err), &err);
    T_OK(qn_expr_is_constant(e, &value) && value == 14);
    qn_expr_destroy(e);
}

/* Fail every allocation in turn: no crash, no leak, ENOMEM, until it succeeds. */
void test_expr_out_of_memory(void **state)
{
    (void)state;
    static const char text[] = "if(age in (1,2,3),text_relevance(title)*2+ln(price),"
                               "in(title,'a|b')*3)-multi_attr(scores,1)";
    for (long nth = 1;; nth++) {
        qn_alloc alloc = {0};
        atomic_store(&alloc.fail_countdown, nth);
        qn_expr *e = NULL;
        qn_expr_machine *m = NULL;
        qn_error err = {0};
        qn_status st = qn_expr_compile(&alloc, QN_EXPR_FORMULA, qn_slice_of(text),
                                       &expr_test_env, &e, &err);
        if (st == QN_OK) st = qn_expr_machine_create(&alloc, e, &m, &err);
        bool done = atomic_load(&alloc.fail_countdown) > 0;
        qn_expr_machine_destroy(m);
        qn_expr_destroy(e);
        T_EQ_I(atomic_load(&alloc.live_bytes), 0);
        if (done) {
            T_EQ_I(st, QN_OK);
            T_OK(nth > 10);
            return;
        }
        T_OK(st == QN_ENOMEM || st == QN_OK); /* OK: a list of spare registers failed */
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr_accepts),
        cmocka_unit_test(test_expr_refuses),
        cmocka_unit_test(test_expr_normalized_form),
        cmocka_unit_test(test_expr_limits),
        cmocka_unit_test(test_expr_strict_types),
        cmocka_unit_test(test_expr_strict_values),
        cmocka_unit_test(test_expr_functions_check),
        cmocka_unit_test(test_expr_function_values),
        cmocka_unit_test(test_expr_function_table),
        cmocka_unit_test(test_expr_features),
        cmocka_unit_test(test_expr_conformance),
        cmocka_unit_test(test_expr_bad_documents),
        cmocka_unit_test(test_expr_loads_once),
        cmocka_unit_test(test_expr_lazy),
        cmocka_unit_test(test_expr_terms),
        cmocka_unit_test(test_expr_listing),
        cmocka_unit_test(test_expr_strings_and_integers),
        cmocka_unit_test(test_expr_out_of_memory),
        cmocka_unit_test(test_expr_math_bounds),
        cmocka_unit_test(test_expr_math_pow),
        cmocka_unit_test(test_expr_math_edges),
        cmocka_unit_test(test_expr_math_beyond),
        cmocka_unit_test(test_expr_math_sets),
        cmocka_unit_test(test_expr_code_without),
        cmocka_unit_test(test_expr_code_shares),
        cmocka_unit_test(test_expr_code_drops),
        cmocka_unit_test(test_expr_code_threads),
        cmocka_unit_test(test_expr_code_blocks),
    };
    return cmocka_run_group_tests_name("expr", tests, NULL, NULL);
}
