/* SPDX-License-Identifier: Apache-2.0 */
#include "expr_test.h"

#include <math.h>

static const struct {
    const char *text;
    unsigned where;
    qn_status st;
    const char *says;
} checks[] = {
    {"static_bm25()*10", QN_EXPR_IN_ROUGH, QN_OK, ""},
    {"static_bm25()*10", QN_EXPR_IN_FINE, QN_ENOFUNC, "is for the rough sort only"},
    {"static_bm25()*10", 0, QN_OK, ""},
    {"text_relevance(title)", QN_EXPR_IN_ROUGH, QN_ENOFUNC,
     "is for the fine sort only"},
    {"exact_match_boost()", QN_EXPR_IN_FILTER, QN_ENOFUNC,
     "is for the rough sort and the fine sort only"},
    {"text_relevance()", 0, QN_EFUNCARGS, "text_relevance(field[, index[, max]])"},
    {"text_relevance(1)", 0, QN_EFUNCARGS,
     "argument 1 of text_relevance() must be a name"},
    {"text_relevance(title,age+1)", 0, QN_EFUNCARGS, "argument 2"},
    {"text_relevance(nothing)", 0, QN_ENOFIELD, "no field 'nothing'"},
    {"proxima_score(vector,age)", 0, QN_EFUNCARGS, "a constant number"},
    {"proxima_score(vector,-1)", 0, QN_OK, ""},
    {"proxima_score(vector,0-1.5)", 0, QN_OK, ""},
    {"max(1)", 0, QN_EFUNCARGS, "max(a, b)"},
    {"max(1,2,3)", 0, QN_EFUNCARGS, "3 arguments"},
    {"if(1,2)", 0, QN_EFUNCARGS, "if(cond, then, else)"},
    {"sqrt(title)", 0, QN_ESTRINGEXPR, "string"},
    {"sqrt(tags)", 0, QN_EMULTIEXPR, "multi-value"},
    {"in(age,5)", 0, QN_EFUNCARGS, "a quoted string"},
    {"in(age,'1|x')", 0, QN_EFUNCARGS, "'x' in the list"},
    {"in(age,'1.5')", 0, QN_EFUNCARGS, "int32"},
    {"ha_in(tags,'1','')", 0, QN_EFUNCARGS, "separator"},
    {"multi_attr(age,1)", 0, QN_EFUNCARGS, "multi-value attribute of numbers"},
    {"multi_attr(names,1)", 0, QN_EFUNCARGS, "multi-value attribute of numbers"},
    {"multi_attr(tags,1,'x')", 0, QN_EFUNCARGS, "a number"},
    {"multi_attr(tags,1,'1.5')", 0, QN_EFUNCARGS, "an integer"},
    {"normalize(age,1)", 0, QN_EFUNCARGS, "over 1"},
    {"normalize(age,5,5)", 0, QN_EFUNCARGS, "over the minimum"},
    {"distance(1,2,'x',4)", 0, QN_EFUNCARGS, "a coordinate"},
    {"hamming(price,1)", 0, QN_EFUNCARGS, "an integer"},
    {"random()", QN_EXPR_IN_FILTER, QN_ENOFUNC, "random()"},
};

void test_expr_functions_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        T_ROW(checks[i].text);
        qn_expr_env env = expr_test_env;
        env.where = checks[i].where;
        qn_expr *e = NULL;
        qn_error err = {0};
        qn_status st = qn_expr_compile(qn_alloc_heap(), QN_EXPR_FORMULA,
                                       qn_slice_of(checks[i].text), &env, &e, &err);
        if (checks[i].st == QN_OK && st != QN_OK) T_FAIL("%s", err.text);
        T_EQ_I(st, checks[i].st);
        if (strstr(err.text, checks[i].says) == NULL)
            T_FAIL("message \"%s\" lacks \"%s\"", err.text, checks[i].says);
        qn_expr_destroy(e);
    }
}

/* Values known from tables or by hand; document 0 has age 50, price 2.5, pubtime one
 * day before now. */
static const struct {
    const char *text;
    double want, tolerance;
} values[] = {
    {"max(2,3)", 3, 0},
    {"min(2,3)", 2, 0},
    {"max(age,price)", 50, 0},
    {"ln(2.718281828459045)", 1, 1e-15},
    {"log2(8)", 3, 0},
    {"log10(1000)", 3, 1e-15},
    {"log(2,8)", 3, 1e-15},
    {"LOG(1,8)+log(2,0)+log(0-2,8)", 0, 0},
    {"sin(0)+cos(0)+tan(0)", 1, 0},
    {"asin(1)*2", 3.14159265358979, 1e-14},
    {"acos(0)*2", 3.14159265358979, 1e-14},
    {"atan(1)*4", 3.14159265358979, 1e-14},
    {"ceil(4.2)", 5, 0},
    {"floor(4.6)", 4, 0},
    {"ceil(price)-floor(price)", 1, 0},
    {"sqrt(4)", 2, 0},
    {"pow(2,3)", 8, 0},
    {"exp(0)", 1, 0},
    {"abs(-3)+abs(age)", 53, 0},
    {"sigmoid(0)", 0.5, 0},
    {"sigmoid(price)", 0.924141819978757, 1e-15},
    {"now()", EXPR_TEST_NOW, 0},
    {"now()-pubtime", 86400, 0},
    {"timeliness(pubtime)", 1 / (1 + 1.0 / 30), 1e-15},
    {"timeliness(now()-2592000)", 0.5, 1e-15},
    {"timeliness(now()+1)", 0, 0},
    {"timeliness(-1)", 0, 0},
    {"timeliness_ms(pubtime*1000)", 1 / (1 + 1.0 / 30), 1e-12},
    {"normalize(-3)", 0, 0},
    {"normalize(1)", 0.5, 1e-15},
    {"normalize(1,100)", 0, 0},
    {"normalize(10,100)", 0.5, 1e-15},
    {"normalize(1000,100)", 1, 0},
    {"normalize(price,5,0)", 0.5, 1e-15},
    {"normalize(age,5,0)", 1, 0},
    {"normalize(-1,5,0)", 0, 0},
    {"gauss_decay(0,10,10,0.5)", 0.5, 1e-15},
    {"gauss_decay(0,20,10,0.5)", 0.0625, 1e-15},
    {"gauss_decay(0,5,10,0.5,5)", 1, 0},
    {"gauss_decay(0,-15,10,0.5,5)", 0.5, 1e-15},
    {"exp_decay(0,10,10,0.5)", 0.5, 1e-15},
    {"exp_decay(0,20,10,0.5)", 0.25, 1e-15},
    {"exp_decay(0,10,10)", 0.000001, 1e-18},
    {"linear_decay(0,10,10,0.5)", 0.5, 1e-15},
    {"linear_decay(0,30,10,0.5)", 0, 0},
    {"linear_decay(0,5,0)", 0, 0},
    {"linear_decay(0,5,10,1)", 1, 0},
    {"linear_decay(0,5,10,-1,-1)", 1 - 5 * (1 - 0.000001) / 10, 1e-15},
    {"distance(0,0,0,0)", 0, 0},
    {"distance(0,0,180,0)", 20015.1144, 1e-3}, /* half of 2 pi 6371.0088 */
    {"distance(116.4,39.9,\"121.47\",31.23)", 1067.3, 1},
    {"distance(0,0,181,0)", 0, 0},
    {"distance(0,0,180,0,name)", 20015.1144, 1e-3},
    {"hamming(7,8)", 4, 0},
    {"multi_attr(scores,1)", 1.5, 0},
    {"multi_attr(scores,mark)", 1.5, 0},
    {"multi_attr(scores,0-1)", 0, 0},
    {"multi_attr(scores,3,'2.5')", 2.5, 0},
    {"ha_in(tags,'5')+not_ha_in(tags,'5')*10", 1, 0},
    {"currentTimeInSeconds()", EXPR_TEST_NOW, 0},
};

void test_expr_function_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        T_ROW(values[i].text);
        T_NEAR(expr_test_value(QN_EXPR_FORMULA, values[i].text), values[i].want,
               values[i].tolerance);
    }
    T_ROW("random");
    double r = expr_test_value(QN_EXPR_FORMULA, "random()");
    T_OK(r >= 0 && r <= 1);
    T_NEAR(r, expr_test_value(QN_EXPR_FORMULA, "random()"), 0);
}

/* A bar inside a Markdown table is written with a backslash. */
static const char *escaped_bars(const char *text)
{
    static char out[256];
    size_t n = 0;
    for (; *text != '\0' && n + 2 < sizeof out; text++) {
        if (*text == '|') out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = '\0';
    return out;
}

/* Every row has a signature that begins with its name, and the reference page shows them all. */
void test_expr_function_table(void **state)
{
    (void)state;
    FILE *f = fopen(QN_SOURCE_DIR "/docs/reference/functions.md", "rb");
    T_OK(f != NULL);
    static char page[65536];
    size_t n = fread(page, 1, sizeof page - 1, f);
    page[n] = '\0';
    fclose(f);
    for (size_t i = 0; i < qn_expr_function_count(); i++) {
        const qn_expr_function *row = qn_expr_function_at(i);
        T_ROW(row->name);
        T_OK(strncmp(row->signature, row->name, strlen(row->name)) == 0);
        T_OK(row->signature[strlen(row->name)] == '(');
        T_OK(row->args_min <= row->args_max && row->args_max <= 16);
        T_OK(qn_expr_function_find(qn_slice_of(row->name)) == row);
        T_OK(strstr(page, escaped_bars(row->signature)) != NULL);
    }
    T_ROW("nearest");
    T_EQ_S(qn_expr_function_nearest(QN_SLICE_LIT("text_relevence")), "text_relevance");
    T_OK(qn_expr_function_nearest(QN_SLICE_LIT("zzzzzzzzzz")) == NULL);
}

typedef struct seen {
    unsigned calls;
    char text[256];
} seen;

static qn_status record_call(void *ctx, qn_slice function, const qn_expr_arg *args,
                             size_t n, uint64_t at, qn_expr_symbol *out, qn_error *err)
{
    seen *s = ctx;
    (void)at, (void)err;
    s->calls++;
    int k = snprintf(s->text, sizeof s->text, "%.*s", QN_SLICE_ARG(function));
    for (size_t i = 0; i < n; i++) {
        char *p = s->text + k;
        size_t room = sizeof s->text - (size_t)k;
        switch (args[i].kind) {
        case QN_EXPR_ARG_NAME:
            k += snprintf(p, room, " name:%.*s", QN_SLICE_ARG(args[i].text));
            break;
        case QN_EXPR_ARG_STRING:
            k += snprintf(p, room, " string:%.*s", QN_SLICE_ARG(args[i].text));
            break;
        case QN_EXPR_ARG_BOOL:
            k += snprintf(p, room, " bool:%d", args[i].flag);
            break;
        case QN_EXPR_ARG_NUMBER:
            k += snprintf(p, room, " %s:%g", args[i].is_int ? "int" : "double",
                          args[i].f64);
            break;
        }
    }
    *out = (qn_expr_symbol){.type = QN_EXPR_FLOAT, .slot = 1};
    return QN_OK;
}

/* What the environment is asked, and that equal calls are asked once. */
void test_expr_features(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        unsigned calls;
    } rows[] = {
        {"query_min_slide_window(title, true, title)",
         "query_min_slide_window name:title bool:1 name:title", 1},
        {"proxima_score(vector,0)", "proxima_score name:vector int:0", 1},
        {"proxima_score(vector,-0.5)", "proxima_score name:vector double:-0.5", 1},
        {"tag_match(query_key, tags, sum, max, true, true)",
         "tag_match name:query_key name:tags name:sum name:max bool:1 bool:1", 1},
        {"tag_match(\"user_options\", options, \"mul\", \"sum\", \"false\", \"true\", "
         "100)",
         "tag_match string:user_options name:options string:mul string:sum "
         "string:false "
         "string:true int:100",
         1},
        {"text_relevance_llm(\"svc\", \"f1#f2\")",
         "text_relevance_llm string:svc string:f1#f2", 1},
        {"if(proxima_score(v)<10000,proxima_score( v ),0)", "proxima_score name:v", 1},
        {"text_relevance(a)+text_relevance(b)", "text_relevance name:b", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        seen s = {0};
        qn_expr_env env = {.ctx = &s, .resolve_call = record_call};
        qn_expr *e = NULL;
        qn_error err = {0};
        T_CALL(qn_expr_compile(qn_alloc_heap(), QN_EXPR_FORMULA,
                               qn_slice_of(rows[i].text), &env, &e, &err),
               &err);
        T_EQ_S(s.text, rows[i].want);
        T_EQ_I(s.calls, rows[i].calls);
        T_EQ_I(qn_expr_input_count(e), rows[i].calls);
        qn_expr_destroy(e);
    }
}
