/* SPDX-License-Identifier: Apache-2.0 */
/* bench_expr -- what formulas cost: to the first result, a document once they run, and in
 * all, over 1,000, 100,000 and a million documents; beside a tree walker, LLVM's -O2 and,
 * through files in DIR, Lucene's expressions (bench/expr.py).
 *
 *     bench_expr [DIR]
 *
 * Inputs are columns in memory; answers are compared first, to the last digits that
 * different mathematical libraries share. Every figure is the best of many rounds. */
#include "base/clock.h"
#include "expr/code.h"
#include "expr_peers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DOCS = 1000000, SHARED_DOCS = 100000 };

/* Columns, with the name that Lucene's formulas have for them. */
static const struct {
    const char *name, *call; /* call: begins the feature call that it stands for */
    double low, high;
    bool whole;
} columns[] = {
    {"age", NULL, 0, 100, true},
    {"weight", NULL, 0, 120, true},
    {"price", NULL, 1, 1000, true},
    {"pubtime", NULL, 1690000000, 1700000000, true},
    {"hits", NULL, 0, 100000, true},
    {"comments", NULL, 0, 5000, true},
    {"sale", NULL, 0, 500000, true},
    {"mark", NULL, 0, 4, true},
    {"score", NULL, 0, 1, false},
    {"lon", NULL, 119, 121, false},
    {"lat", NULL, 29, 31, false},
    {"bm25", "static_bm25()", 0, 1, false},
    {"tr_title", "text_relevance(title", 0, 1, false},
    {"tr_body", "text_relevance(body", 0, 1, false},
    {"fmr_title", "field_match_ratio(title", 0, 1, false},
    {"win_title", "query_min_slide_window(title", 0, 1, false},
    {"win_body", "query_min_slide_window(content", 0, 1, false},
    {"proxima", "proxima_score(vector", 0, 20000, false},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static const struct {
    const char *name, *text, *js;
} formulas[] = {
    {"default rough", "static_bm25()*10", "bm25*10"},
    {"ages", "(age>10)*10+(age>40)*20+(weight>60)*30",
     "(age>10)*10+(age>40)*20+(weight>60)*30"},
    {"ages by if", "if(age>10,10,0) + if(age>40,20,0) +if(weight>60,30,0)",
     "(age>10?10:0)+(age>40?20:0)+(weight>60?30:0)"},
    {"bits", "3 & (price ^ pubtime) + (price | pubtime)",
     "3 & (price ^ pubtime) + (price | pubtime)"},
    {"fine text",
     "text_relevance(title)*3+text_relevance(body)+field_match_ratio(title)",
     "tr_title*3+tr_body+fmr_title"},
    {"multi-path",
     "if(query_min_slide_window(title, true, title)>0.99, 1, 0)+"
     "if(query_min_slide_window(content, true, default)>0.99, 0.5, 0)+"
     "text_relevance(body)*0.2+normalize(score)*0.1-"
     "if(proxima_score(vector)<10000,proxima_score(vector),0)",
     "(win_title>0.99?1:0)+(win_body>0.99?0.5:0)+tr_body*0.2+"
     "(score<0?0:0.6366197723675814*atan(score))*0.1-(proxima<10000?proxima:0)"},
    {"forum",
     "timeliness(pubtime)*0.5+normalize(hits,100000)*0.3+"
     "normalize(comments,10000,0)*0.2+static_bm25()",
     "((pubtime<0||pubtime>1700000000)?0:1/(1+(1700000000-pubtime)/2592000))*0.5+"
     "(hits<=1?0:min(1,ln(hits)/11.512925464970229))*0.3+"
     "min(1,max(0,comments/10000))*0.2+bm25"},
    {"news",
     "text_relevance(title)*3+text_relevance(body)+timeliness(pubtime)*2+"
     "if(hits>1000,0.5,0)+log10(hits+1)*0.1",
     "tr_title*3+tr_body+"
     "((pubtime<0||pubtime>1700000000)?0:1/(1+(1700000000-pubtime)/2592000))*2+"
     "(hits>1000?0.5:0)+log10(hits+1)*0.1"},
    {"shop",
     "text_relevance(title)*5+normalize(sale,1000000)*2+if(price in "
     "(99,199,299),0.1,0)+(mark==1 and age>0)*0.3-price/10000",
     "tr_title*5+(sale<=1?0:min(1,ln(sale)/13.815510557964274))*2+"
     "((price==99||price==199||price==299)?0.1:0)+((mark==1&&age>0)?0.3:0)-price/"
     "10000"},
    {"decay", "gauss_decay(100,price,50,0.5,5)+exp_decay(0,age,30,0.5)",
     "exp(pow(max(0,abs(price-100)-5),2)*-0.6931471805599453/2500)+"
     "exp(max(0,abs(age))*-0.6931471805599453/30)"},
    {"near", "10-min(distance(lon,lat,120.15,30.28),10)",
     "10-min(haversinMeters(lat,lon,30.28,120.15)/1000,10)"},
    {"arithmetic",
     "(age*3+weight*2-hits/7)*(price+1)-(age-weight)*(age+weight)/(hits*hits+1)",
     "(age*3+weight*2-hits/7)*(price+1)-(age-weight)*(age+weight)/(hits*hits+1)"},
};
enum { FORMULAS = sizeof formulas / sizeof *formulas };

static peer_column data[COLUMNS];
static int32_t *integers[COLUMNS];
static double *decimals[COLUMNS];
static uint32_t *docs;
static double *out, *wanted;

/* --- the formula's environment --- */

static bool resolve_name(void *ctx, qn_slice name, qn_expr_symbol *symbol)
{
    (void)ctx;
    for (uint32_t c = 0; c < COLUMNS; c++)
        if (columns[c].call == NULL && qn_slice_eq_str(name, columns[c].name)) {
            *symbol = (qn_expr_symbol){
                .type = columns[c].whole ? QN_EXPR_INT32 : QN_EXPR_DOUBLE, .slot = c};
            return true;
        }
    return false;
}

static qn_status resolve_call(void *ctx, qn_slice function, const qn_expr_arg *args,
                              size_t n, uint64_t at, qn_expr_symbol *symbol,
                              qn_error *err)
{
    (void)ctx;
    char call[128];
    (void)snprintf(call, sizeof call, "%.*s(%.*s", QN_SLICE_ARG(function),
                   n == 0 ? 1 : (int)args[0].text.n, n == 0 ? ")" : args[0].text.p);
    for (uint32_t c = 0; c < COLUMNS; c++)
        if (columns[c].call != NULL && strcmp(call, columns[c].call) == 0) {
            *symbol = (qn_expr_symbol){.type = QN_EXPR_DOUBLE, .slot = c};
            return QN_OK;
        }
    return qn_fail_at(err, QN_ENOFUNC, at, "no column stands for %s", call);
}

static void widen(const int32_t *restrict from, size_t n, int64_t *restrict to)
{
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/* Neighbours are copied at once, as a column store does. */
static qn_status load(void *ctx, uint32_t slot, const uint32_t *which, size_t n,
                      qn_expr_values *values, qn_error *err)
{
    (void)ctx, (void)err;
    bool stretch = n > 0 && which[n - 1] - which[0] == n - 1;
    if (values->i64 != NULL && stretch)
        widen(integers[slot] + which[0], n, values->i64);
    else if (stretch)
        memcpy(values->f64, decimals[slot] + which[0], n * sizeof(double));
    else if (values->i64 != NULL)
        for (size_t i = 0; i < n; i++) values->i64[i] = integers[slot][which[i]];
    else
        for (size_t i = 0; i < n; i++) values->f64[i] = decimals[slot][which[i]];
    return QN_OK;
}

static const qn_expr_env env = {.resolve_name = resolve_name,
                                .resolve_call = resolve_call};

/* --- doing it --- */

static void must(qn_status st, const char *what, const qn_error *err)
{
    if (st == QN_OK) return;
    (void)fprintf(stderr, "bench_expr: %s: %s\n", what, err->text);
    exit(1);
}

static qn_expr *compiled(size_t f)
{
    qn_expr *e = NULL;
    qn_error err = {0};
    must(qn_expr_compile(qn_alloc_heap(), QN_EXPR_FORMULA,
                         qn_slice_of(formulas[f].text), &env, &e, &err),
         formulas[f].name, &err);
    return e;
}

static qn_expr_machine *machine_of(const qn_expr *e, qn_code *code)
{
    qn_expr_machine *m = NULL;
    qn_error err = {0};
    must(qn_expr_machine_create(qn_alloc_heap(), e, &m, &err), "machine", &err);
    qn_expr_machine_use(m, code);
    return m;
}

static void run(qn_expr_machine *m, size_t n)
{
    qn_error err = {0};
    qn_expr_batch b = {.docs = docs, .n = n, .load = load, .now_s = PEER_NOW};
    must(qn_expr_eval(m, &b, out, &err), "evaluation", &err);
}

/* Everything from the text on, as a request does it. */
static void whole(size_t f, qn_code *code, size_t n)
{
    qn_expr *e = compiled(f);
    qn_expr_machine *m = machine_of(e, code);
    run(m, n);
    qn_expr_machine_destroy(m);
    qn_expr_destroy(e);
}

/* Best of as many rounds as fit into a third of a second, three at least. */
#define BEST_US(us, action)                                                            \
    do {                                                                               \
        int64_t limit = qn_clock_mono_ns() + 300000000;                                \
        (us) = 1e30;                                                                   \
        for (int round = 0; round < 3 || qn_clock_mono_ns() < limit; round++) {        \
            int64_t begin = qn_clock_mono_ns();                                        \
            action;                                                                    \
            double took = (double)(qn_clock_mono_ns() - begin) / 1000;                 \
            if (took < (us)) (us) = took;                                              \
        }                                                                              \
    } while (0)

static void check(size_t f, const char *who, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double scale = fabs(wanted[i]) > 1 ? fabs(wanted[i]) : 1;
        if (fabs(out[i] - wanted[i]) <= 1e-9 * scale) continue;
        (void)fprintf(stderr, "bench_expr: %s: %s: document %zu: %.17g, not %.17g\n",
                      formulas[f].name, who, i, out[i], wanted[i]);
        exit(1);
    }
}

/* What memory allows: the formula's columns read and a column written, nothing more. */
static uint64_t touch(const qn_expr *e, size_t n)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < qn_expr_input_count(e); i++) {
        uint32_t c = qn_expr_input_at(e, i)->symbol.slot;
        size_t bytes = n * (columns[c].whole ? sizeof(int32_t) : sizeof(double));
        const uint64_t *words =
            columns[c].whole ? (const void *)integers[c] : (const void *)decimals[c];
        for (size_t k = 0; k < bytes / sizeof *words; k++) seen |= words[k];
    }
    memset(out, 0, n * sizeof *out);
    return seen;
}

typedef struct figures {
    double first_us, new_us, stored_us, touch_us;
    double interpreted_us, compiled_us, walk_us, llvm_us, llvm_compile_us;
} figures;

/* A cache whose thread has compiled the formula already. */
static qn_code *warm_code(size_t f)
{
    qn_code *code = NULL;
    qn_error err = {0};
    qn_code_options options = {.at_once = true, .work_min = 1};
    must(qn_code_create(qn_alloc_heap(), &options, &code, &err), "code", &err);
    whole(f, code, 4096);
    return code;
}

static void measure_llvm(size_t f, const qn_expr *e, size_t n, figures *g)
{
    g->llvm_us = g->llvm_compile_us = 0;
#ifdef QN_BENCH_LLVM
    peer_compiled formula = NULL;
    const void *bases[COLUMNS];
    for (size_t c = 0; c < COLUMNS; c++)
        bases[c] = integers[c] != NULL ? (const void *)integers[c] : decimals[c];
    peer_code *c = peer_compile(e, data, &formula);
    if (c == NULL) {
        (void)fprintf(stderr, "bench_expr: %s: the peer cannot\n", formulas[f].name);
        exit(1);
    }
    BEST_US(g->llvm_compile_us, {
        peer_code_free(c);
        c = peer_compile(e, data, &formula);
    });
    formula(bases, n, out);
    check(f, "LLVM -O2", n);
    BEST_US(g->llvm_us, formula(bases, n, out));
    peer_code_free(c);
#else
    (void)f, (void)e, (void)n;
#endif
}

static void measure(size_t f, size_t n, figures *g)
{
    qn_expr *e = compiled(f);
    qn_expr_machine *m = machine_of(e, NULL);
    run(m, n);
    memcpy(wanted, out, n * sizeof *out);
    BEST_US(g->interpreted_us, run(m, n));
    qn_expr_machine_destroy(m);
    volatile uint64_t touched = 0;
    BEST_US(g->touch_us, touched = touch(e, n));
    (void)touched;
    peer_walk(e, data, n, out);
    check(f, "tree walker", n);
    BEST_US(g->walk_us, peer_walk(e, data, n, out));
    measure_llvm(f, e, n, g);

    qn_code *code = warm_code(f);
    m = machine_of(e, code);
    run(m, n), run(m, n);
    if (!qn_expr_machine_is_compiled(m)) g->compiled_us = 0;
    if (memcmp(out, wanted, n * sizeof *out) != 0) {
        (void)fprintf(stderr, "bench_expr: %s: machine code differs\n",
                      formulas[f].name);
        exit(1);
    }
    if (qn_expr_machine_is_compiled(m)) BEST_US(g->compiled_us, run(m, n));
    qn_expr_machine_destroy(m);
    BEST_US(g->first_us, whole(f, NULL, 1));
    BEST_US(g->new_us, whole(f, NULL, n));
    BEST_US(g->stored_us, whole(f, code, n));
    qn_code_destroy(code);
    qn_expr_destroy(e);
}

static double rate(size_t n, double us)
{
    return us > 0 ? (double)n / us : 0;
}

static void report(size_t f, size_t n, const figures *g)
{
    (void)printf(
        "{\"formula\": \"%s\", \"docs\": %zu, \"mdocs_s\": {\"quern_code\": %.1f, "
        "\"quern_interpreter\": %.1f, \"llvm_o2\": %.1f, \"tree_walker\": %.1f, "
        "\"memory\": %.1f}, \"first_result_us\": %.1f, \"llvm_o2_compile_us\": %.0f, "
        "\"total_us\": {\"quern_new\": %.1f, \"quern_stored\": %.1f, \"llvm_o2\": "
        "%.1f, "
        "\"tree_walker\": %.1f}}\n",
        formulas[f].name, n, rate(n, g->compiled_us), rate(n, g->interpreted_us),
        rate(n, g->llvm_us), rate(n, g->walk_us), rate(n, g->touch_us), g->first_us,
        g->llvm_compile_us, g->new_us, g->stored_us, g->llvm_compile_us + g->llvm_us,
        g->walk_us);
    (void)fflush(stdout);
}

/* --- data, shared with the peer in the JVM --- */

static void fill(void)
{
    qn_rng rng = {1};
    docs = qn_new_array(qn_alloc_heap(), DOCS, sizeof *docs);
    out = qn_new_aligned(qn_alloc_heap(), 64, DOCS * sizeof *out);
    wanted = qn_new_aligned(qn_alloc_heap(), 64, DOCS * sizeof *wanted);
    for (uint32_t i = 0; i < DOCS; i++) docs[i] = i;
    for (size_t c = 0; c < COLUMNS; c++) {
        double span = columns[c].high - columns[c].low;
        if (columns[c].whole)
            data[c].i32 = integers[c] =
                qn_new_aligned(qn_alloc_heap(), 64, DOCS * sizeof(int32_t));
        else
            data[c].f64 = decimals[c] =
                qn_new_aligned(qn_alloc_heap(), 64, DOCS * sizeof(double));
        for (size_t i = 0; i < DOCS; i++) {
            double v = columns[c].low + span * qn_rng_unit(&rng);
            if (columns[c].whole)
                integers[c][i] = (int32_t)v;
            else
                decimals[c][i] = v;
        }
    }
}

static FILE *create(const char *folder, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file != NULL) return file;
    perror(path);
    exit(1);
}

/* columns.bin: DOCS doubles a column; names.txt; formulas.tsv: name, formula;
 * answers.bin: SHARED_DOCS doubles a formula. */
static void share(const char *folder)
{
    FILE *file = create(folder, "columns.bin"), *names = create(folder, "names.txt");
    for (size_t c = 0; c < COLUMNS; c++) {
        (void)fprintf(names, "%s\n", columns[c].name);
        for (size_t i = 0; i < DOCS; i++)
            out[i] = columns[c].whole ? (double)integers[c][i] : decimals[c][i];
        (void)fwrite(out, sizeof *out, DOCS, file);
    }
    (void)fclose(file), (void)fclose(names);
    file = create(folder, "formulas.tsv");
    for (size_t f = 0; f < FORMULAS; f++)
        (void)fprintf(file, "%s\t%s\n", formulas[f].name, formulas[f].js);
    (void)fclose(file);
    file = create(folder, "answers.bin");
    for (size_t f = 0; f < FORMULAS; f++) {
        whole(f, NULL, SHARED_DOCS);
        (void)fwrite(out, sizeof *out, SHARED_DOCS, file);
    }
    (void)fclose(file);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {1000, 100000, DOCS};
    fill();
    if (argc > 1) share(argv[1]);
    for (size_t f = 0; f < FORMULAS; f++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            figures g = {0};
            measure(f, sizes[s], &g);
            report(f, sizes[s], &g);
        }
    return 0;
}
