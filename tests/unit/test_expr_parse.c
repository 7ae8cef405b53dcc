/* SPDX-License-Identifier: Apache-2.0 */
#include "expr_test.h"

/* What is accepted, with its typed tree. */
static const struct {
    qn_expr_dialect dialect;
    const char *text, *want;
} accepted[] = {
    /* precedence */
    {QN_EXPR_FORMULA, "age+weight*2", "(add.f (i2f age) (mul.f (i2f weight) 2))"},
    {QN_EXPR_FORMULA, "age-weight-1", "(sub.f (sub.f (i2f age) (i2f weight)) 1)"},
    {QN_EXPR_FORMULA, "age/weight/2", "(div.f (div.f (i2f age) (i2f weight)) 2)"},
    {QN_EXPR_FORMULA, "3 & (price ^ pubtime) + (price | pubtime)",
     "(i2f (and.i 3 (f2i (add.f (i2f (xor.i (f2i price) pubtime)) "
     "(i2f (or.i (f2i price) pubtime))))))"},
    {QN_EXPR_FORMULA, "age & 1 == 0", "(i2f (and.i age 0))"},
    {QN_EXPR_FORMULA, "age | hits ^ width & 1",
     "(i2f (or.i age (xor.i hits (and.i width 1))))"},
    {QN_EXPR_FORMULA, "age<1 == hits<2", "(i2f (eq.i (lt.i age 1) (lt.i hits 2)))"},
    {QN_EXPR_FORMULA, "age or hits and width",
     "(i2f (or.i (true.i age) (and.i (true.i hits) (true.i width))))"},
    {QN_EXPR_FORMULA, "!age==0", "(i2f (eq.i (not.b (true.i age)) 0))"},
    {QN_EXPR_FORMULA, "-price*2", "(mul.f (neg.f price) 2)"},
    {QN_EXPR_FORMULA, "- - price", "(neg.f (neg.f price))"},
    {QN_EXPR_FORMULA, "price**2**3", "(pow price 8)"},
    {QN_EXPR_FORMULA, "price*price**2", "(mul.f price (pow price 2))"},
    {QN_EXPR_FORMULA, "!(age > 1 and hits < 2)",
     "(i2f (not.b (and.i (lt.i 1 age) (lt.i hits 2))))"},
    {QN_EXPR_FORMULA, "-max(width,height)", "(neg.f (max.f (i2f width) (i2f height)))"},
    /* both spellings, any whitespace */
    {QN_EXPR_FORMULA, "age = 1 AND hits == 2 OR mark != 3",
     "(i2f (or.i (and.i (eq.i age 1) (eq.i hits 2)) (ne.i mark 3)))"},
    {QN_EXPR_FORMULA, " age\n+\t\r\n1 ", "(add.f (i2f age) 1)"},
    /* numbers */
    {QN_EXPR_FORMULA, "0x1F", "31"},
    {QN_EXPR_FORMULA, "1.5f + 0.1f", "1.6000000014901161"},
    {QN_EXPR_FORMULA, "1e-3", "0.001"},
    {QN_EXPR_FORMULA, ".5 + 5.", "5.5"},
    {QN_EXPR_FORMULA, "200uc + 1c + 7us + 7s + 7ui + 7i + 7ul + 7l", "243"},
    {QN_EXPR_FORMULA, "-9223372036854775808 == -9223372036854775808", "1"},
    {QN_EXPR_FORMULA, "18446744073709551616", "1.8446744073709552e+19"},
    {QN_EXPR_FORMULA, "hits == 9223372036854775807",
     "(i2f (eq.i hits 9223372036854775807))"},
    {QN_EXPR_FORMULA, "big > 5", "(i2f (lt.u 5 big))"},
    {QN_EXPR_FORMULA, "big > hits", "(i2f (lt.f (i2f hits) (u2f big)))"},
    /* conditions */
    {QN_EXPR_FORMULA, "if(mark==1,500,0)", "(i2f (sel.i (eq.i mark 1) 500 0))"},
    {QN_EXPR_FORMULA, "if(price,1,0.5)", "(sel.f (true.f price) 1 0.5)"},
    {QN_EXPR_FORMULA, "age>1 ? 2 : hits>1 ? 3 : 4",
     "(i2f (sel.i (lt.i 1 age) 2 (sel.i (lt.i 1 hits) 3 4)))"},
    {QN_EXPR_FORMULA, "if(1,price,age)", "price"},
    {QN_EXPR_FORMULA, "true and not_a in (1)", NULL},
    /* sets */
    {QN_EXPR_FORMULA, "age in (5,1,5,3)", "(i2f (in.i age {1 3 5}))"},
    {QN_EXPR_FORMULA, "age in [2,1.5]", "(i2f (in.f (i2f age) {1.5 2}))"},
    {QN_EXPR_FORMULA, "age not in (1, hits)",
     "(i2f (not.b (or.i (in.i age {1}) (eq.i age hits))))"},
    {QN_EXPR_FORMULA, "age+1 in (2)*10",
     "(mul.f (i2f (in.f (add.f (i2f age) 1) {2})) 10)"},
    {QN_EXPR_FORMULA, "in(title,\"b| a ||b\")", "(i2f (in.s title {\"a\" \"b\"}))"},
    {QN_EXPR_FORMULA, "title in ('x')", "(i2f (in.s title {\"x\"}))"},
    {QN_EXPR_FORMULA, "notin(age,'1|2')", "(i2f (not.b (in.i age {1 2})))"},
    {QN_EXPR_FORMULA, "tags in (1,2)", "(i2f (anyin.i tags {1 2}))"},
    /* equal parts are one; constants fold; request constants fold */
    {QN_EXPR_FORMULA, "2*3+topic", "13"},
    {QN_EXPR_FORMULA, "if(2,3,5)", "3"},
    {QN_EXPR_FORMULA, "kvpairs_value(a,FLOAT)*2", "7"},
    {QN_EXPR_FORMULA, "text_relevance( title )*2", "(mul.f text_relevance(title) 2)"},
    /* strict: comparisons never inside arithmetic */
    {QN_EXPR_FILTER, "hits & 1 = 0", "(eq.i (and.i hits 1) 0)"},
    {QN_EXPR_FILTER, "hits = 1 & comments", "(eq.i hits (and.i 1 comments))"},
    {QN_EXPR_FILTER, "hits=1 OR hits=2 AND comments=3",
     "(or.i (eq.i hits 1) (and.i (eq.i hits 2) (eq.i comments 3)))"},
    {QN_EXPR_FILTER, "(hits=1 OR hits=2) AND comments=3",
     "(and.i (or.i (eq.i hits 1) (eq.i hits 2)) (eq.i comments 3))"},
    {QN_EXPR_FILTER, "hits>-5", "(lt.i -5 hits)"},
    {QN_EXPR_FILTER, "hits -5 > 0", "(lt.i 0 (sub.i hits 5))"},
    {QN_EXPR_FILTER, "title=\"a\\\"b\\\\\\c\"", "(eq.s title \"a\\\"b\\\\c\")"},
    {QN_EXPR_FILTER, "in(hits,\"1|2\") AND notin(title,\"x\")",
     "(and.i (in.i hits {1 2}) (not.b (in.s title {\"x\"})))"},
    {QN_EXPR_FILTER, "hits == 1 and !(hits<2)",
     "(and.i (eq.i hits 1) (not.b (lt.i hits 2)))"},
    {QN_EXPR_SORT_KEY, "hits+comments", "(add.i hits comments)"},
    {QN_EXPR_SORT_KEY, "title", "title"},
};

void test_expr_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        T_ROW(accepted[i].text);
        if (accepted[i].want == NULL) continue;
        qn_expr *e = NULL;
        qn_error err = {0};
        T_CALL(expr_test_compile(accepted[i].dialect, accepted[i].text, &e, &err),
               &err);
        T_EQ_S(expr_test_dump(e), accepted[i].want);
        qn_expr_destroy(e);
    }
}

static const struct {
    qn_expr_dialect dialect;
    const char *text;
    qn_status st;
    unsigned at;
    const char *says; /* part of the message */
} refused[] = {
    {QN_EXPR_FORMULA, "", QN_ESYNTAX, 0, "empty"},
    {QN_EXPR_FORMULA, "  ", QN_ESYNTAX, 0, "empty"},
    {QN_EXPR_FORMULA, "age +", QN_ESYNTAX, 5, "expected a value, found the end"},
    {QN_EXPR_FORMULA, "age + )", QN_ESYNTAX, 6, "found ')'"},
    {QN_EXPR_FORMULA, "(age", QN_ESYNTAX, 0, "not closed"},
    {QN_EXPR_FORMULA, "(age 1", QN_ESYNTAX, 5, "')' or an operator, found '1'"},
    {QN_EXPR_FORMULA, "age)", QN_ESYNTAX, 3, "an operator or the end"},
    {QN_EXPR_FORMULA, "age && hits", QN_ESYNTAX, 5, "found '&'"},
    {QN_EXPR_FORMULA, "age # 1", QN_ESYNTAX, 4, "'#'"},
    {QN_EXPR_FORMULA, "age % 1", QN_ESYNTAX, 4, "'%'"},
    {QN_EXPR_FORMULA, "\xE5\xB9\xB4 + 1", QN_ESYNTAX, 0, "0xe5"},
    {QN_EXPR_FORMULA, "'abc", QN_ESYNTAX, 0, "not closed"},
    {QN_EXPR_FORMULA, "'abc\\'", QN_ESYNTAX, 0, "not closed"},
    {QN_EXPR_FORMULA, "1abc", QN_ESYNTAX, 1, "'a' in a number"},
    {QN_EXPR_FORMULA, "1.2.3", QN_ESYNTAX, 3, "'.' in a number"},
    {QN_EXPR_FORMULA, "300uc", QN_ECONSTVALUE, 0, "uint8"},
    {QN_EXPR_FORMULA, "1e999", QN_ELIMIT, 0, "out of range"},
    {QN_EXPR_FORMULA, "max(1,2", QN_ESYNTAX, 7, "',' or ')'"},
    {QN_EXPR_FORMULA, "max(1,)", QN_ESYNTAX, 6, "expected a value"},
    {QN_EXPR_FORMULA, "age in 5", QN_ESYNTAX, 7, "'(' or '['"},
    {QN_EXPR_FORMULA, "age in ()", QN_ESYNTAX, 4, "needs a value"},
    {QN_EXPR_FORMULA, "age not 5", QN_ESYNTAX, 8, "'in' after 'not'"},
    {QN_EXPR_FORMULA, "age ? 1", QN_ESYNTAX, 7, "':'"},
    {QN_EXPR_FORMULA, "agee*2", QN_ENOATTR, 0, "did you mean 'age'?"},
    {QN_EXPR_FORMULA, "2*qqqqqq", QN_ENOATTR, 2, "no attribute 'qqqqqq'"},
    {QN_EXPR_FORMULA, "1+now", QN_ENOATTR, 2, "write now(...)"},
    {QN_EXPR_FORMULA, "1+field_match_ratioc(title)", QN_ENOFUNC, 2,
     "did you mean 'field_match_ratio'?"},
    {QN_EXPR_FORMULA, "qqqqqqqq(1)", QN_ENOFUNC, 0, "no function 'qqqqqqqq'"},
    {QN_EXPR_FORMULA, "title", QN_ESTRINGEXPR, 0, "string"},
    {QN_EXPR_FORMULA, "1 + title", QN_ESTRINGEXPR, 4, "string"},
    {QN_EXPR_FORMULA, "title == 'a'", QN_ESTRINGEXPR, 0, "string"},
    {QN_EXPR_FORMULA, "if(title,1,2)", QN_ESTRINGEXPR, 3, "string"},
    {QN_EXPR_FORMULA, "1 - tags", QN_EMULTIEXPR, 4, "multi_attr"},
    {QN_EXPR_FORMULA, "title in (1)", QN_EEXPRTYPE, 10, "never equal"},
    /* strict grammar */
    {QN_EXPR_FILTER, "-hits > 1", QN_ESYNTAX, 0, "minus"},
    {QN_EXPR_FILTER, "-(1) > hits", QN_ESYNTAX, 0, "minus"},
    {QN_EXPR_FILTER, "hits AND hits=1", QN_ESYNTAX, 0, "take conditions"},
    {QN_EXPR_FILTER, "hits=1 AND hits", QN_ESYNTAX, 11, "take conditions"},
    {QN_EXPR_FILTER, "(hits=1)+1 > 1", QN_ESYNTAX, 0, "cannot be an operand"},
    {QN_EXPR_FILTER, "hits=1=1", QN_ESYNTAX, 0, "cannot be an operand"},
    {QN_EXPR_FILTER, "hits<(1<2)", QN_ESYNTAX, 5, "cannot be an operand"},
    {QN_EXPR_FILTER, "!hits", QN_ESYNTAX, 1, "condition"},
    {QN_EXPR_FILTER, "title='a'", QN_ESYNTAX, 6, "double quotes"},
    {QN_EXPR_FILTER, "a.b=1", QN_ESYNTAX, 1, "'.'"},
    {QN_EXPR_FILTER, "price>1.", QN_ESYNTAX, 7, "'.' in a number"},
    {QN_EXPR_FILTER, "price>1.5f", QN_ESYNTAX, 9, "'f' in a number"},
    {QN_EXPR_FILTER, "hits ? 1 : 2", QN_ESYNTAX, 5, "an operator or the end"},
    {QN_EXPR_FILTER, "hits ** 2 > 1", QN_ESYNTAX, 5, "an operator or the end"},
};

void test_expr_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        T_ROW(refused[i].text);
        qn_expr *e = NULL;
        qn_error err = {0};
        T_EQ_I(expr_test_compile(refused[i].dialect, refused[i].text, &e, &err),
               refused[i].st);
        T_OK(e == NULL);
        T_EQ_I(err.at, refused[i].at);
        if (strstr(err.text, refused[i].says) == NULL)
            T_FAIL("message \"%s\" lacks \"%s\"", err.text, refused[i].says);
    }
}

void test_expr_normalized_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"hits+comments<9 AND hits=10", "(((hits+comments)<9) AND (hits=10))"},
        {"in( hits , \"1|2\" )", "in(hits , \"1|2\")"},
        {"hits in (1, 2)", "(hits in (1,2))"},
        {"hits=1 or !(hits == 2)", "((hits=1) OR !(hits=2))"},
        {"title=\"a\\\"\"", "(title=\"a\\\"\")"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        qn_expr *e = NULL;
        qn_error err = {0};
        T_CALL(expr_test_compile(QN_EXPR_FILTER, rows[i].text, &e, &err), &err);
        T_EQ_S(expr_test_normalized(e), rows[i].want);
        qn_expr_destroy(e);
    }
}

/* `head`, `body` n times, `tail`. */
static qn_status repeated(const char *head, const char *body, size_t n,
                          const char *tail)
{
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    qn_buf_add_str(&text, head);
    for (size_t i = 0; i < n; i++) qn_buf_add_str(&text, body);
    qn_buf_add_str(&text, tail);
    qn_expr *e = NULL;
    qn_error err = {0};
    qn_status st = qn_expr_compile(qn_alloc_heap(), QN_EXPR_FORMULA,
                                   qn_buf_slice(&text), &expr_test_env, &e, &err);
    if (st == QN_OK) {
        qn_buf dump;
        qn_buf_init(&dump, qn_alloc_heap());
        qn_expr_dump(e, &dump);
        qn_expr_normalized(e, &dump);
        T_OK(!dump.failed);
        qn_buf_deinit(&dump);
    }
    qn_expr_destroy(e);
    qn_buf_deinit(&text);
    return st;
}

static qn_status nested(const char *open, size_t n, const char *core, const char *close)
{
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    for (size_t i = 0; i < n; i++) qn_buf_add_str(&text, open);
    qn_buf_add_str(&text, core);
    qn_status st = repeated(qn_buf_slice(&text).p, close, n, "");
    qn_buf_deinit(&text);
    return st;
}

void test_expr_limits(void **state)
{
    (void)state;
    T_ROW("depth of parentheses");
    T_EQ_I(nested("(", QN_EXPR_DEPTH_MAX, "1", ")"), QN_OK);
    T_EQ_I(nested("(", QN_EXPR_DEPTH_MAX + 1, "1", ")"), QN_ELIMIT);
    T_ROW("depth of calls");
    T_EQ_I(nested("abs(", QN_EXPR_DEPTH_MAX, "age", ")"), QN_OK);
    T_EQ_I(nested("abs(", QN_EXPR_DEPTH_MAX + 1, "age", ")"), QN_ELIMIT);
    T_ROW("depth of signs");
    T_EQ_I(repeated("", "!", QN_EXPR_DEPTH_MAX, "age"), QN_OK);
    T_EQ_I(repeated("", "!", QN_EXPR_DEPTH_MAX + 1, "age"), QN_ELIMIT);
    T_ROW("depth of powers");
    T_EQ_I(repeated("age", "**age", QN_EXPR_DEPTH_MAX, ""), QN_OK);
    T_EQ_I(repeated("age", "**age", QN_EXPR_DEPTH_MAX + 1, ""), QN_ELIMIT);
    T_ROW("depth of choices");
    T_EQ_I(repeated("", "age?1:", QN_EXPR_DEPTH_MAX, "2"), QN_OK);
    T_EQ_I(repeated("", "age?1:", QN_EXPR_DEPTH_MAX + 1, "2"), QN_ELIMIT);
    T_ROW("nodes"); /* n additions have 2n + 1 */
    T_EQ_I(repeated("-age", "+age", QN_EXPR_NODES_MAX / 2 - 1, ""), QN_OK);
    T_EQ_I(repeated("age", "+age", QN_EXPR_NODES_MAX / 2, ""), QN_ELIMIT);
    T_ROW("elements");
    T_EQ_I(repeated("age in (1", ",1", QN_EXPR_ARGS_MAX - 1, ")"), QN_OK);
    T_EQ_I(repeated("age in (1", ",1", QN_EXPR_ARGS_MAX, ")"), QN_ELIMIT);
    T_EQ_I(repeated("in(age,'1", "|1", QN_EXPR_ARGS_MAX - 1, "')"), QN_OK);
    T_EQ_I(repeated("in(age,'1", "|1", QN_EXPR_ARGS_MAX, "')"), QN_ELIMIT);
    T_ROW("bytes");
    T_EQ_I(repeated("age", " ", QN_EXPR_TEXT_MAX - 3, ""), QN_OK);
    T_EQ_I(repeated("age", " ", QN_EXPR_TEXT_MAX - 2, ""), QN_ELIMIT);
    T_ROW("inputs");
    for (size_t n = QN_EXPR_INPUTS_MAX; n <= QN_EXPR_INPUTS_MAX + 1; n++) {
        qn_buf text;
        qn_buf_init(&text, qn_alloc_heap());
        qn_buf_add_str(&text, "0");
        for (size_t i = 0; i < n; i++) qn_buf_printf(&text, "+field_length(f%zu)", i);
        T_EQ_I(repeated(qn_buf_slice(&text).p, "", 0, ""),
               n <= QN_EXPR_INPUTS_MAX ? QN_OK : QN_ELIMIT);
        qn_buf_deinit(&text);
    }
}
