/* SPDX-License-Identifier: Apache-2.0 */
/* formula_bench.c -- what a formula costs over all documents of a table: quern bench expr. */
#include "engine/engine_internal.h"
#include "expr/code.h"
#include "expr/expr.h"
#include "rank/bind.h"

enum { RUN = 1024, ROUNDS = 5 };

typedef struct bench {
    qn_rank_input in;
    qn_slice formula;
    uint32_t docs[RUN];
    double scores[RUN];
} bench;

static double us_since(int64_t begin)
{
    return (double)(qn_clock_mono_ns() - begin) / 1000;
}

static qn_status open_formula(const bench *b, qn_arena *arena, qn_rank_formula **f,
                              qn_error *err)
{
    return qn_rank_formula_open(&b->in, arena, "formula", b->formula,
                                QN_EXPR_IN_ROUGH | QN_EXPR_IN_FINE, f, err);
}

/* All documents, deleted ones too: to a formula they are alike. */
static qn_status run_all(bench *b, qn_rank_formula *f, qn_error *err)
{
    const qn_snapshot_view *view = b->in.snapshot;
    for (size_t s = 0; s < view->segment_count; s++) {
        uint32_t count = view->segments[s].doc_count;
        for (uint32_t first = 0; first < count; first += RUN) {
            uint32_t n = count - first < RUN ? count - first : RUN;
            for (uint32_t i = 0; i < n; i++) b->docs[i] = first + i;
            QN_TRY(qn_rank_formula_run(f, s, b->docs, n, NULL, b->scores, err));
        }
    }
    return QN_OK;
}

/* The least time of some rounds; the first is not counted. */
static qn_status time_all(bench *b, qn_arena *arena, double *us, qn_error *err)
{
    qn_rank_formula *f = NULL;
    QN_TRY(open_formula(b, arena, &f, err));
    qn_status st = QN_OK;
    *us = 0;
    for (int round = 0; st == QN_OK && round <= ROUNDS; round++) {
        int64_t begin = qn_clock_mono_ns();
        st = run_all(b, f, err);
        double took = us_since(begin);
        if (round > 0 && (*us == 0 || took < *us)) *us = took;
    }
    qn_rank_formula_close(f);
    return st;
}

static qn_status time_compile(bench *b, qn_arena *arena, double *us, qn_error *err)
{
    *us = 0;
    for (int round = 0; round < 20; round++) {
        qn_rank_formula *f = NULL;
        int64_t begin = qn_clock_mono_ns();
        QN_TRY(open_formula(b, arena, &f, err));
        double took = us_since(begin);
        qn_rank_formula_close(f);
        if (*us == 0 || took < *us) *us = took;
    }
    return QN_OK;
}

/* With a cache of its own that compiles at once: what the formula does when it is hot. */
static qn_status time_code(bench *b, qn_arena *arena, quern_formula_figures *out,
                           qn_error *err)
{
    qn_code *code = NULL;
    qn_code_stats stats;
    qn_code_options options = {.at_once = true, .work_min = 1};
    QN_TRY(qn_code_create(qn_alloc_heap(), &options, &code, err));
    b->in.code = code;
    double us = 0;
    qn_status st = time_all(b, arena, &us, err);
    qn_code_stats_of(code, &stats);
    out->machine_code = stats.compiled > 0;
    out->machine_code_us = (double)stats.compile_ns / 1000;
    if (out->machine_code && us > 0)
        out->machine_code_documents_per_second = (double)out->documents / us * 1e6;
    b->in.code = NULL;
    qn_code_destroy(code);
    return st;
}

static qn_status measure(const qn_snapshot_view *view, qn_slice formula,
                         qn_arena *arena, quern_formula_figures *out, qn_error *err)
{
    qn_exec_result nothing = {0};
    qn_query *all = qn_query_new(arena, QN_QUERY_ALL, 0);
    bench *b = qn_arena_new(arena, sizeof *b);
    if (all == NULL || b == NULL) return qn_fail(err, QN_ENOMEM, "formula");
    qn_rank_path path = {.name = "query", .query = all, .found = &nothing, .weight = 1};
    b->formula = formula;
    b->in = (qn_rank_input){.snapshot = view,
                            .paths = &path,
                            .path_count = 1,
                            .scale = QN_RANK_HA3,
                            .now_ms = qn_clock_wall_ms()};
    double us = 0;
    out->documents = view->doc_count;
    QN_TRY(time_compile(b, arena, &out->compile_us, err));
    QN_TRY(time_all(b, arena, &us, err));
    if (us > 0) out->documents_per_second = (double)out->documents / us * 1e6;
    return time_code(b, arena, out, err);
}

qn_status quern_formula_measure(quern *q, const char *table, const char *formula,
                                quern_formula_figures *out, qn_error *err)
{
    qn_table *t = NULL;
    *out = (quern_formula_figures){.size = sizeof *out};
    QN_TRY(qn_engine_table(q, table, &t, err));
    qn_table_snapshot *s = qn_table_search(t);
    qn_table_release(t);
    qn_arena arena;
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st = measure(&s->view, qn_slice_of(formula), &arena, out, err);
    qn_arena_deinit(&arena);
    qn_table_snapshot_release(s);
    return st;
}
