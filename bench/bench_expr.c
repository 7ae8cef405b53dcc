/* SPDX-License-Identifier: Apache-2.0 */
/* bench_expr -- what a formula costs: microseconds to compile, documents a second to
 * score. Inputs are columns in memory, copied by load() as an engine would. */
#include "base/clock.h"
#include "expr/expr.h"

#include <inttypes.h>
#include <stdio.h>

enum { TABLE = 65536, DOCS = 1024, COLUMNS = 8 };

static double columns[COLUMNS][TABLE];
static int64_t integers[COLUMNS][TABLE];

static const struct {
    const char *name, *text;
} formulas[] = {
    {"default rough", "static_bm25()*10"},
    {"ages", "(age>10)*10+(age>40)*20+(weight>60)*30"},
    {"ages by if", "if(age>10,10,0) + if(age>40,20,0) +if(weight>60,30,0)"},
    {"mark", "if(mark==1,500,0)"},
    {"bits", "3 & (price ^ pubtime) + (price | pubtime)"},
    {"fine text",
     "text_relevance(title)*3+text_relevance(body)+field_match_ratio(title)"},
    {"multi-path", "if(query_min_slide_window(title, true, title)>0.99, 1, 0)+"
                   "if(query_min_slide_window(content, true, default)>0.99, 0.5, 0)+"
                   "text_relevance(content)*0.2+normalize(score)*0.1-"
                   "if(proxima_score(vector)<10000,proxima_score(vector),0)"},
    {"forum", "timeliness(pubtime)*0.5+normalize(hits,100000)*0.3+"
              "normalize(comments,10000,0)*0.2+static_bm25()"},
    {"shop", "text_relevance(title)*5+normalize(sale,1000000)*2+if(price in "
             "(99,199,299),0.1,0)+(mark==1 and age>0)*0.3-price/10000"},
    {"decay", "gauss_decay(100,price,50,0.5,5)+exp_decay(0,age,30,0.5)"},
    {"near", "10-min(distance(lon,lat,120.15,30.28),10)"},
    {"arithmetic",
     "(age*3+weight*2-hits/7)*(price+1)-(age-weight)*(age+weight)/(hits*hits+1)"},
};

static bool resolve_name(void *ctx, qn_slice name, qn_expr_symbol *out)
{
    (void)ctx;
    bool is_double = qn_slice_eq_str(name, "score") || qn_slice_eq_str(name, "lon") ||
                     qn_slice_eq_str(name, "lat");
    *out = (qn_expr_symbol){.type = is_double ? QN_EXPR_DOUBLE : QN_EXPR_INT32,
                            .slot = (uint32_t)((unsigned char)name.p[0] % COLUMNS)};
    return true;
}

static qn_status resolve_call(void *ctx, qn_slice function, const qn_expr_arg *args,
                              size_t n, uint64_t at, qn_expr_symbol *out, qn_error *err)
{
    (void)ctx, (void)args, (void)at, (void)err;
    *out = (qn_expr_symbol){.type = QN_EXPR_FLOAT,
                            .slot = (uint32_t)((function.n + n) % COLUMNS)};
    return QN_OK;
}

static qn_status load(void *ctx, uint32_t slot, const uint32_t *docs, size_t n,
                      qn_expr_values *out, qn_error *err)
{
    (void)ctx, (void)err;
    for (size_t i = 0; i < n && out->i64 != NULL; i++)
        out->i64[i] = integers[slot][docs[i]];
    for (size_t i = 0; i < n && out->f64 != NULL; i++)
        out->f64[i] = columns[slot][docs[i]];
    return QN_OK;
}

static const qn_expr_env env = {.resolve_name = resolve_name,
                                .resolve_call = resolve_call};

/* Best of several runs: what the machine can do when left alone. */
static double compile_us(qn_slice text, qn_error *err)
{
    double best = 1e30;
    for (int round = 0; round < 200; round++) {
        qn_expr *e = NULL;
        int64_t begin = qn_clock_mono_ns();
        qn_status st =
            qn_expr_compile(qn_alloc_heap(), QN_EXPR_FORMULA, text, &env, &e, err);
        double us = (double)(qn_clock_mono_ns() - begin) / 1000;
        qn_expr_destroy(e);
        if (st != QN_OK) return -1;
        if (us < best) best = us;
    }
    return best;
}

static double docs_per_second(qn_expr_machine *m, qn_error *err)
{
    static uint32_t docs[DOCS];
    static double out[DOCS];
    double best = 1e30;
    for (int round = 0; round < 40; round++) {
        int64_t begin = qn_clock_mono_ns();
        for (uint32_t base = 0; base < TABLE; base += DOCS) {
            for (uint32_t i = 0; i < DOCS; i++) docs[i] = base + i;
            qn_expr_batch b = {
                .docs = docs, .n = DOCS, .load = load, .now_s = 1700000000};
            if (qn_expr_eval(m, &b, out, err) != QN_OK) return 0;
        }
        double ns = (double)(qn_clock_mono_ns() - begin);
        if (ns < best) best = ns;
    }
    return TABLE / (best / 1e9);
}

static qn_status measure(const char *name, qn_slice text, bool last, qn_error *err)
{
    qn_expr *e = NULL;
    qn_expr_machine *m = NULL;
    double us = compile_us(text, err);
    qn_status st =
        qn_expr_compile(qn_alloc_heap(), QN_EXPR_FORMULA, text, &env, &e, err);
    if (st == QN_OK) st = qn_expr_machine_create(qn_alloc_heap(), e, &m, err);
    if (st == QN_OK)
        printf("  {\"formula\": \"%s\", \"compile_us\": %.1f, \"mdocs_s\": %.1f}%s\n",
               name, us, docs_per_second(m, err) / 1e6, last ? "" : ",");
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);
    return st;
}

int main(void)
{
    qn_rng rng = {1};
    for (size_t c = 0; c < COLUMNS; c++)
        for (size_t i = 0; i < TABLE; i++) {
            integers[c][i] = (int64_t)(qn_rng_next(&rng) % 1000);
            columns[c][i] = qn_rng_unit(&rng);
        }
    size_t n = sizeof formulas / sizeof *formulas;
    qn_error err = {0};
    printf("[\n");
    for (size_t i = 0; i < n; i++)
        if (measure(formulas[i].name, qn_slice_of(formulas[i].text), i + 1 == n,
                    &err) != QN_OK) {
            fprintf(stderr, "%s: %s\n", formulas[i].name, err.text);
            return 1;
        }
    printf("]\n");
    return 0;
}
