/* SPDX-License-Identifier: Apache-2.0 */
#include "expr_test.h"

/* The typing rules of the filter and sort-key dialects. */
static const struct {
    qn_expr_dialect dialect;
    const char *text;
    qn_status st;
    int ha3; /* the code that the HA3 dialect shows */
} types[] = {
    {QN_EXPR_FILTER, "age>10", QN_OK, 0},
    {QN_EXPR_FILTER, "age+hits>10", QN_EEXPRTYPE, 2001},
    {QN_EXPR_FILTER, "age=hits", QN_EEXPRTYPE, 2001},
    {QN_EXPR_FILTER, "age+weight>10", QN_OK, 0},
    {QN_EXPR_FILTER, "price>ratio", QN_EEXPRTYPE, 2001},
    {QN_EXPR_FILTER, "1+2>2", QN_OK, 0},
    {QN_EXPR_FILTER, "1+2.0>2.0", QN_EEXPRTYPE, 2001},
    {QN_EXPR_FILTER, "age>1.5", QN_ECONSTTYPE, 2003},
    {QN_EXPR_FILTER, "price>1", QN_OK, 0},
    {QN_EXPR_FILTER, "ratio>1.5", QN_OK, 0},
    {QN_EXPR_FILTER, "age=\"1\"", QN_ECONSTTYPE, 2003},
    {QN_EXPR_FILTER, "title=1", QN_ECONSTTYPE, 2003},
    {QN_EXPR_FILTER, "small>127", QN_OK, 0},
    {QN_EXPR_FILTER, "small>128", QN_ECONSTVALUE, 2011},
    {QN_EXPR_FILTER, "-128<small", QN_OK, 0},
    {QN_EXPR_FILTER, "small>-129", QN_ECONSTVALUE, 2011},
    {QN_EXPR_FILTER, "ubyte>-1", QN_ECONSTVALUE, 2011},
    {QN_EXPR_FILTER, "big=18446744073709551615", QN_OK, 0},
    {QN_EXPR_FILTER, "hits=18446744073709551615", QN_ECONSTVALUE, 2011},
    {QN_EXPR_FILTER, "hits=18446744073709551616", QN_ECONSTTYPE, 2003},
    {QN_EXPR_FILTER, "topic=7", QN_OK, 0},
    {QN_EXPR_FILTER, "topic=hits", QN_EEXPRTYPE, 2001},
    {QN_EXPR_FILTER, "price&1=1", QN_EBITTYPE, 2010},
    {QN_EXPR_FILTER, "title|title=title", QN_EBITTYPE, 2010},
    {QN_EXPR_FILTER, "title+brand=title", QN_ESTRINGEXPR, 2005},
    {QN_EXPR_FILTER, "title<brand", QN_OK, 0},
    {QN_EXPR_FILTER, "tags=5", QN_OK, 0},
    {QN_EXPR_FILTER, "tags!=5", QN_OK, 0},
    {QN_EXPR_FILTER, "tags<5", QN_EMULTIEXPR, 2007},
    {QN_EXPR_FILTER, "tags=tags", QN_EMULTIEXPR, 2007},
    {QN_EXPR_FILTER, "tags+1=2", QN_EMULTIEXPR, 2007},
    {QN_EXPR_FILTER, "tags=5.5", QN_ECONSTTYPE, 2003},
    {QN_EXPR_FILTER, "tags=hits", QN_EEXPRTYPE, 2001},
    {QN_EXPR_FILTER, "abs(age) AND age=1", QN_ELOGICTYPE, 2004},
    {QN_EXPR_FILTER, "!abs(age)", QN_ELOGICTYPE, 2004},
    {QN_EXPR_FILTER, "nosuch=1", QN_ENOATTR, 2000},
    {QN_EXPR_FILTER, "nosuch(1)=1", QN_ENOFUNC, 2100},
    {QN_EXPR_FILTER, "pow(1)=1", QN_EFUNCARGS, 2101},
    {QN_EXPR_FILTER, "age", QN_ERESULTTYPE, 2009},
    {QN_EXPR_FILTER, "title", QN_ERESULTTYPE, 2009},
    {QN_EXPR_FILTER, "tags", QN_ERESULTTYPE, 2009},
    {QN_EXPR_FILTER, "age in (1,2.5)", QN_ECONSTTYPE, 2003},
    {QN_EXPR_FILTER, "age in (1,hits)", QN_EEXPRTYPE, 2001},
    {QN_EXPR_FILTER, "in(small,\"1|300\")", QN_EFUNCARGS, 2101},
    {QN_EXPR_FILTER, "in(tags,\"1\")", QN_EMULTIEXPR, 2007},
    {QN_EXPR_FILTER, "if(age>1,hits,1)=1", QN_OK, 0},
    {QN_EXPR_FILTER, "if(age>1,hits,age)=1", QN_EEXPRTYPE, 2001},
    {QN_EXPR_SORT_KEY, "age=1", QN_ERESULTTYPE, 2009},
    {QN_EXPR_SORT_KEY, "tags", QN_ERESULTTYPE, 2009},
    {QN_EXPR_SORT_KEY, "hits+comments", QN_OK, 0},
    {QN_EXPR_SORT_KEY, "hits+age", QN_EEXPRTYPE, 2001},
    {QN_EXPR_SORT_KEY, "multi_attr(tags,1,\"600\")", QN_OK, 0},
};

void test_expr_strict_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        T_ROW(types[i].text);
        qn_expr *e = NULL;
        qn_error err = {0};
        qn_status st = expr_test_compile(types[i].dialect, types[i].text, &e, &err);
        if (types[i].st == QN_OK && st != QN_OK) T_FAIL("%s", err.text);
        T_EQ_I(st, types[i].st);
        T_EQ_I(qn_status_describe(st)->ha3_code, types[i].ha3);
        qn_expr_destroy(e);
    }
}

/* For document 0: small 100 (int8), ubyte 250 (uint8), hits 7, comments 3, zero 0,
 * big 2^63 + 5, ratio 0.5 (float), price 2.5, tags 1 5 9, names red green blue. */
static const struct {
    qn_expr_dialect dialect;
    const char *text;
    double want;
} values[] = {
    {QN_EXPR_SORT_KEY, "small+small", -56},
    {QN_EXPR_SORT_KEY, "small*small", 16},
    {QN_EXPR_SORT_KEY, "ubyte+10", 4},
    {QN_EXPR_SORT_KEY, "0-ubyte", 6},
    {QN_EXPR_SORT_KEY, "hits/comments", 2},
    {QN_EXPR_SORT_KEY, "(0-hits)/comments", -2},
    {QN_EXPR_SORT_KEY, "age/zero", 0},
    {QN_EXPR_SORT_KEY, "price/0.0", 0},
    {QN_EXPR_SORT_KEY, "ratio/3", (double)(0.5f / 3.0f)},
    {QN_EXPR_SORT_KEY, "ratio*0.1", (double)(0.5f * 0.1f)},
    {QN_EXPR_SORT_KEY, "big/2", 4611686018427387906.0},
    {QN_EXPR_SORT_KEY, "hits^comments", 4},
    {QN_EXPR_SORT_KEY, "if(hits>5,price,0)", 2.5},
    {QN_EXPR_SORT_KEY, "multi_attr(tags,1)", 5},
    {QN_EXPR_SORT_KEY, "multi_attr(tags,3,\"600\")", 600},
    {QN_EXPR_SORT_KEY, "pow(hits,0.5)", (double)2.6457513f},
    {QN_EXPR_SORT_KEY, "hamming(hits,comments)", 1},
    {QN_EXPR_SORT_KEY, "hamming(hits,8)", 4},
    {QN_EXPR_FILTER, "ratio=0.5", 1},
    {QN_EXPR_FILTER, "ratio*0.2=0.1", 1},
    {QN_EXPR_FILTER, "big>5", 1},
    {QN_EXPR_FILTER, "big=9223372036854775813", 1},
    {QN_EXPR_FILTER, "small+100<0", 1},
    {QN_EXPR_FILTER, "title=brand", 1},
    {QN_EXPR_FILTER, "title<\"pears\" AND title>\"peaq\"", 1},
    {QN_EXPR_FILTER, "title>=\"pear\" AND title<=\"pear\" AND title!=\"x\"", 1},
    {QN_EXPR_FILTER, "tags=5", 1},
    {QN_EXPR_FILTER, "tags=6", 0},
    {QN_EXPR_FILTER, "tags!=5", 0},
    {QN_EXPR_FILTER, "tags!=6", 1},
    {QN_EXPR_FILTER, "scores=1.5", 1},
    {QN_EXPR_FILTER, "names=\"green\"", 1},
    {QN_EXPR_FILTER, "title=names", 0},
    {QN_EXPR_FILTER, "ha_in(tags,\"2|9\")", 1},
    {QN_EXPR_FILTER, "not_ha_in(tags,\"2|9\")", 0},
    {QN_EXPR_FILTER, "ha_in(names,\"x;blue\",\";\")", 1},
    {QN_EXPR_FILTER, "ha_in(scores,\"2.5\")", 1},
    {QN_EXPR_FILTER, "in(hits,\" 6 | 7 \")", 1},
    {QN_EXPR_FILTER, "in(hits,\"\")", 0},
    {QN_EXPR_FILTER, "notin(title,\"pear|x\")", 0},
    {QN_EXPR_FILTER, "hits in (1,comments,7)", 1},
    {QN_EXPR_FILTER, "hits not in (1,comments)", 1},
};

void test_expr_strict_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        T_ROW(values[i].text);
        T_NEAR(expr_test_value(values[i].dialect, values[i].text), values[i].want, 0);
    }
}
