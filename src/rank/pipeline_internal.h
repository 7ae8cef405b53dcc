/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_internal.h -- one ranking under way, and what the files of the pipeline share. */
#ifndef QN_RANK_PIPELINE_INTERNAL_H
#define QN_RANK_PIPELINE_INTERNAL_H

#include "rank/pipeline.h"

#include "expr/expr.h"
#include "rank/bind.h"
#include "rank/plugin.h"
#include "rank/distinct.h"
#include "rank/rank_internal.h"
#include "vec/vindex.h"

enum { STAGE_RUNS_MAX = QN_RANK_STAGES_MAX + 5, WARNINGS_MAX = 16 };

#define HA3_BASE 10000.0
#define HA3_ROUGH_MAX 20000.0

typedef struct qn_ranking {
    const qn_rank_input *in;
    qn_arena *arena;
    qn_error *err;
    qn_rank_pool pool;
    const qn_stage *rough_stage; /* NULL: none */
    float *rough;                /* parallel to the pool; NULL without a rough stage */
    qn_rank_row *rows;
    size_t row_count,
        fine_count; /* rows; the first of them went through the fine stage */
    bool fine_ran;
    qn_stage_run stages[STAGE_RUNS_MAX];
    size_t stage_count;
    qn_error warnings[WARNINGS_MAX];
    size_t warning_count;
    qn_rank_formula *rough_formula, *fine_formula, *neural_formula;
    QN_NULLABLE const qn_stage *neural_stage; /* whose formula that is */
    size_t neural_number;                     /* of the neural stages */
    const qn_stage *neural_stages[QN_RANK_STAGES_MAX];
    size_t neural_count;
    qn_neural_run neural_runs[QN_RANK_STAGES_MAX];
    qn_rank_spread spreads[3]; /* of the stage that ran last, for the trace */
    qn_rank_spread model_spreads[QN_RANK_MODELS_MAX];
    qn_rank_result *out;
} qn_ranking;

/* The first n rows in document order, with their facts in parallel arrays. */
typedef struct qn_grouped {
    size_t n;
    struct keyed {
        uint64_t document; /* segment, doc */
        uint32_t row;
    } * order;
    uint32_t *docs;
    float *text, *vector, *recall, *rough;
    double *neural, *values;
    qn_rank_spread spreads[3];          /* of text, vector, neural scores */
    double *models[QN_RANK_MODELS_MAX]; /* logits of those that the formula names */
    const double *models_at[QN_RANK_MODELS_MAX];
    qn_rank_spread model_spreads[QN_RANK_MODELS_MAX];
} qn_grouped;

/* pipeline.c */
const qn_stage *qn_rank__find_stage(const qn_rank_input *in, qn_stage_kind kind);
void qn_rank__report(qn_ranking *r, const char *name, size_t in, size_t out,
                     int64_t started_ns);
void qn_rank__take_warnings(qn_ranking *r, const qn_rank_formula *f);

/* pipeline_rows.c */
const qn_distinct *qn_rank__distinct_of(const qn_ranking *r, size_t phase);
qn_status qn_rank__thin(qn_ranking *r, const qn_distinct *d, qn_thin_job *job);
qn_status qn_rank__make_rows(qn_ranking *r);

/* recall_ranks.c: of the first n rows; the others have none. Before it a row's `recall_rank` is
 * its place in the pool. */
qn_status qn_rank__rank_recall(qn_ranking *r, size_t rows);

/* pipeline_formula.c */
size_t qn_rank__segment_end(const qn_grouped *g, size_t begin);
qn_status qn_rank__group_rows(qn_ranking *r, size_t n, qn_grouped *g);
qn_rank_facts qn_rank__facts_at(const qn_ranking *r, qn_grouped *g, size_t i);
qn_status qn_rank__run_formula(qn_ranking *r, qn_rank_formula *f, qn_grouped *g);

/* pipeline_fine.c */
qn_status qn_rank__run_fine(qn_ranking *r, const qn_stage *stage);
qn_status qn_rank__order_rows(qn_ranking *r);

/* pipeline_neural.c */
/* Every neural stage, one after another. */
qn_status qn_rank__run_neural(qn_ranking *r);
/* Gives documents that later stages did not reach scores below those they reached. */
void qn_rank__settle_scores(qn_ranking *r);

/* pipeline_final.c */
void qn_rank__set_fine_ranks(qn_ranking *r);
qn_status qn_rank__final_order(qn_ranking *r);
qn_status qn_rank__finish(qn_ranking *r);

#endif
