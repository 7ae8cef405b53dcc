/* SPDX-License-Identifier: Apache-2.0 */
/* rank/pipeline.h -- documents in, an order out: a list of stages, run one after another.
 *
 *     paths of recall --fuse--> all candidates
 *         --rough: a cheap formula over every one-->   best `keep` go on
 *         --fine:  a rich formula over those-->        best `keep` go on
 *         --neural: a cross-encoder over those, most promising first, until its budget
 *         --> final order: (what the last stage reached, then the rest), sort keys, ties
 *
 * Everything that ranks is this list: HA3's two sorts, a pipeline of our own, Elasticsearch's
 * plain order by score. A stage is one struct: what scores, how many it keeps, its time. The
 * trace is what running the list leaves in each qn_ranked.
 *
 * Scores of the two dialect families (qn_rank_scale):
 *   QN_RANK_HA3    10000 + x for x of the last formula that scored the document, rough capped
 *                  at 20000, added in double to the float x
 *   QN_RANK_PLAIN  x itself; without a formula the fused score of recall
 *
 * Lifetime   results and texts live in the request's arena; the snapshot is borrowed.
 * Threads    one call, one thread (the neural callback may use a pool).
 * Errors     compile errors of formulas with the offset into the formula and its name in the
 *            message; damage met while reading. Running out of time is no error. */
#ifndef QN_RANK_PIPELINE_H
#define QN_RANK_PIPELINE_H

#include "nn/calls/passage_options.h"
#include "query/exec.h"
#include "query/request.h"
#include "rank/trace.h"

enum {
    QN_RANK_STAGES_MAX = 8,
    QN_RANK_PATHS_MAX = 8,
    QN_RANK_RERANK_SIZE_DEFAULT = 200, /* documents of the fine sort, HA3 */
    QN_RANK_RERANK_SIZE_MAX = 2000,
    QN_RANK_NEURAL_KEEP_DEFAULT = 100,
    QN_RANK_RRF_CONSTANT = 60,
};

/* ---- what to do ------------------------------------------------------------------- */

typedef enum qn_stage_kind {
    QN_STAGE_ROUGH,
    QN_STAGE_FINE,
    QN_STAGE_NEURAL
} qn_stage_kind;

struct qn_rank_plugin; /* rank/plugin.h */

typedef struct qn_stage {
    qn_stage_kind kind;
    qn_slice
        formula; /* ROUGH, FINE: the score. NEURAL: how the model's score becomes the
                        * stage's; "" is neural_logit() */
    size_t keep; /* ROUGH: documents that go on. FINE, NEURAL: documents it scores.
                        * 0: all for ROUGH and FINE, the default for NEURAL */
    int64_t budget_ms; /* NEURAL: 0 is what the request has left */
    /* NEURAL: the part of the time left that the stage may take, in (0, 1]; 0: an equal
     * part for it and each stage after it. */
    double budget_share;
    /* NEURAL: in (0, 1): its score is weight x its logit + (1 - weight) x the score before
     * it, both standardised over the documents it reached; 0: as `formula` says. */
    double weight;
    const char *model; /* NEURAL */
    QN_NULLABLE const char
        *query; /* NEURAL: what the model reads; NULL: the request's */
    size_t query_size;
    const qn_slice
        *fields; /* NEURAL: whose text the model reads; none: the request's */
    size_t field_count;
    uint32_t tokens_max;         /* NEURAL: of a pair; 0: what the model takes */
    qn_passage_options passages; /* NEURAL */
    /* NEURAL: how Elasticsearch's text_similarity_reranker goes about it: scores are
     * max(s, 0) + min(exp(s), 1), documents beyond `keep` or below `min_score` are no
     * results. */
    bool retriever;
    bool has_min_score;
    float min_score;
    bool may_fail; /* NEURAL: an error leaves the order before it, with a warning */
    qn_slice
        policy; /* ROUGH, FINE: its name, where `formula` is still to be looked up */
    bool
        selects_only; /* ROUGH: decides who goes on, but is not in the score of the others */
    /* FINE: scores in the place of a formula. Its name, where it is still to be looked up;
     * `plugin_class`: of HA3's style, "" for the first that has an entry point. */
    qn_slice plugin_name;
    QN_NULLABLE const struct qn_rank_plugin *plugin;
} qn_stage;

typedef enum qn_fusion {
    QN_FUSION_SUM,    /* the candidates' scores added; one path: that path's score */
    QN_FUSION_RRF,    /* sum of weight / (60 + rank), ranks from 1, per path */
    QN_FUSION_LINEAR, /* sum of weight x score scaled to [0,1] within the path */
} qn_fusion;

typedef enum qn_rank_scale { QN_RANK_PLAIN, QN_RANK_HA3 } qn_rank_scale;

/* One way of recall: a tree and what running it gave. */
typedef struct qn_rank_path {
    const char *name; /* "text", "vector", "query": for trace and weights */
    const qn_query *query;
    const qn_exec_result *found;
    float weight;   /* RRF, LINEAR */
    bool is_vector; /* its candidates' scores are vector scores, not text scores */
} qn_rank_path;

/* What a model is asked: `n` documents given by (segment, doc), the most promising first. */
typedef struct qn_rank_neural_ask {
    QN_NULLABLE const char *model; /* NULL: the default */
    QN_NULLABLE const char *query; /* what it reads beside them; NULL: the request's */
    size_t query_size;
    const qn_slice *fields; /* whose text it reads; none: those of the request */
    size_t field_count;
    uint32_t tokens_max; /* of a pair; 0: what the request or the model takes */
    QN_NULLABLE const qn_passage_options *passages; /* NULL: texts as they are */
    const uint32_t *segments, *docs;
    size_t n;
    const qn_deadline *deadline;
} qn_rank_neural_ask;

typedef struct qn_rank_neural_answer {
    bool scored; /* false: not reached in time */
    float logit;
    /* The passage that the score is owed to: bytes of the text that the model read, its
     * number from 0, how many there are. */
    uint32_t passage_start, passage_end, passage, passages;
} qn_rank_neural_answer;

/* Fills ask->n answers. *model_name: who answered, alive as long as the engine. */
typedef qn_status qn_rank_neural_fn(void *ctx, const qn_rank_neural_ask *ask,
                                    qn_rank_neural_answer *answers,
                                    const char **model_name, qn_error *err);

typedef struct qn_rank_place {
    uint32_t segment, doc;
} qn_rank_place;

/* A category that the query is likely about. */
typedef struct qn_rank_category {
    int64_t id;
    int32_t relevance; /* 1 or 2 */
} qn_rank_category;

/* The exact length of a text field of one document, in tokens. */
typedef qn_status qn_rank_length_fn(void *ctx, uint32_t segment, uint32_t doc,
                                    const qn_field *field, uint32_t *length,
                                    qn_error *err);

typedef struct qn_rank_input {
    const qn_snapshot_view *snapshot;
    const qn_rank_path *paths; /* at least one */
    size_t path_count;
    qn_fusion fusion;
    float
        score_scale; /* of text scores in `found`: 2.2 for the DSL; divided out of `text` */
    const qn_stage *stages;
    size_t stage_count;
    qn_rank_scale scale;
    const qn_sort_key *sort; /* none: by score */
    size_t sort_count;
    bool
        recall_is_rough; /* recall looked for the best of the rough sort: its scores are
                           * no text scores. A formula that asks for those: `unsure` */
    bool pruned;         /* and left documents out, which score at most `rough_bound` */
    double rough_bound;
    size_t rank_size; /* candidates that are looked at, in document order; 0: all */
    size_t wanted;    /* from + size: the order is exact up to here */
    const qn_rank_category *categories; /* category_score() */
    size_t category_count;
    const qn_kvpair *kvpairs; /* kvpairs_value() and friends */
    size_t kvpair_count;
    const qn_kvpair *virtual_attributes;
    size_t virtual_attribute_count;
    /* HA3's distinct: the first thins out the rough sort, the second (without one, the
     * first) the final order. */
    const qn_distinct *distincts;
    size_t distinct_count;
    int64_t now_ms;
    uint64_t seed;        /* random() */
    qn_trace_level trace; /* of the documents that are shown, or of those watched */
    const qn_rank_place *watched;
    size_t watched_count;
    QN_NULLABLE qn_rank_neural_fn *neural;
    void *neural_ctx;
    int64_t neural_budget_ms; /* of all neural stages together; 0: what is left */
    QN_NULLABLE qn_rank_length_fn *length; /* NULL: lengths as the index keeps them */
    void *length_ctx;
    QN_NULLABLE const qn_deadline *deadline; /* of the request */
    QN_NULLABLE struct qn_code *code;        /* what compiles formulas that run often */
} qn_rank_input;

/* ---- what came of it -------------------------------------------------------------- */

/* What one neural stage said of a document. */
typedef struct qn_neural_mark {
    double logit, score; /* NaN: it did not reach the document */
    uint32_t rank;       /* UINT32_MAX: it did not */
    uint32_t passage_start, passage_end, passage, passages;
} qn_neural_mark;

/* One document and what each stage said of it. NaN: that stage did not score it. Ranks from
 * 0, UINT32_MAX where the document did not take part. */
typedef struct qn_ranked {
    uint32_t segment, doc;
    double score;        /* final, in the input's scale */
    double text, vector; /* Lucene-scale text score; raw metric */
    double recall;       /* fused */
    double rough, fine;  /* as the formulas gave them, rounded to float */
    double neural;       /* the logit of the last model that reached it */
    double stage_score;  /* of the last neural stage that reached it */
    uint32_t reached;    /* neural stages up to the last one that did */
    QN_NULLABLE const qn_neural_mark
        *marks; /* of each neural stage; NULL: reached by none */
    uint32_t recall_rank, rough_rank, fine_rank, neural_rank, final_rank;
    QN_NULLABLE const qn_trace *trace; /* with the input's `trace` */
    /* Of a plug-in: it was given the document, and deleted it; the lines that it traced;
     * the variables to be returned (rank/plugin.h). */
    bool plugin_seen, deleted;
    qn_slice plugin_log;
    const struct qn_plugin_value *plugin_values;
    size_t plugin_value_count;
} qn_ranked;

/* The value of a sort key for a document. */
typedef enum qn_sort_value_kind {
    QN_SORT_VALUE_MISSING,
    QN_SORT_VALUE_INT,
    QN_SORT_VALUE_DOUBLE,
    QN_SORT_VALUE_TEXT,
    QN_SORT_VALUE_SCORE, /* `f64` is a score */
} qn_sort_value_kind;

typedef struct qn_sort_value {
    qn_sort_value_kind kind;
    int64_t i64;
    double f64;
    qn_slice text;
} qn_sort_value;

typedef struct qn_stage_run {
    const char *name; /* "recall", "rough", "fine", "neural", "sort" */
    uint64_t in, out;
    double ms;
} qn_stage_run;

/* What became of a neural stage. */
typedef struct qn_neural_run {
    const char *model; /* who answered; what was asked for when nobody did; or NULL */
    uint64_t scored, of;
    double ms;
    bool timed_out;
    bool skipped;      /* the next stage scores all the same documents anew */
    qn_status failure; /* QN_OK, or why there is no score: the stage may fail */
} qn_neural_run;

typedef struct qn_rank_result {
    const qn_ranked *docs; /* best first; all candidates, in order as far as `wanted` */
    size_t count;
    const qn_sort_value
        *sort_values; /* count x max(sort_count, 1): the first `wanted` rows */
    size_t sort_value_rows;
    double max_score; /* NaN when nothing was scored */
    const qn_stage_run *stages;
    size_t stage_count;
    bool unsure; /* with `recall_is_rough`: what recall left out might belong here, or a
                  * formula asks for its scores. Nothing else is filled */
    bool neural_ran, neural_timed_out; /* some stage */
    const char *neural_model;          /* of the last stage that ran */
    uint64_t neural_scored, neural_of; /* of the same */
    const qn_neural_run *neural_runs;  /* one for each neural stage */
    size_t neural_run_count;
    uint64_t dropped;  /* documents that distinct or a plug-in took out of the total */
    uint64_t bad_docs; /* documents whose formula was not finite: scored 0 */
    const qn_error *warnings;
    size_t warning_count;
} qn_rank_result;

/* Runs the stages over the candidates. */
QN_MUST_CHECK qn_status qn_rank_run(const qn_rank_input *in, qn_arena *arena,
                                    qn_rank_result *out, qn_error *err);

/* The stages that an HA3 request implies: rough from first_formula, fine from formula, sizes
 * and the defaults of Alibaba OpenSearch. Without a formula the rough sort is
 * `static_bm25()*10`. A sort clause without RANK needs no stage at all. */
QN_MUST_CHECK qn_status qn_rank_stages_ha3(const qn_request *request, qn_arena *arena,
                                           const qn_stage **stages, size_t *count,
                                           qn_error *err);

/* A sort key's value as HA3 prints it: RANK with ten decimals, integers plain. */
void qn_sort_value_print(const qn_sort_value *v, qn_buf *out);

/* ---- pipelines as JSON ---------------------------------------------------------------
 * docs/reference/pipelines.md. What a person's words become:
 *
 *   {"recall": {"text":   {"fields": ["title^2", "overview"], "operator": "or", "k": 1000},
 *               "vector": {"field": "embedding", "k": 100},
 *               "fusion": "rrf" | "linear" | "sum", "weights": {"text": 1, "vector": 1}},
 *    "rough":  {"formula": "..." | "policy": NAME, "keep": 1000},
 *    "fine":   {"formula": "..." | "policy": NAME | "plugin": NAME, "keep": 200},
 *    "neural": {"model": "...", "fields": ["title", "overview"], "keep": 50,
 *               "budget_ms": 800, "formula": "neural_z()+0.5*text_z()"} | [{...}, ...],
 *    "neural_budget_ms": 800} */
typedef struct qn_pipeline {
    bool has_text, has_vector;
    const qn_slice
        *text_fields; /* names with boosts: "title^2"; none: every TEXT field */
    size_t text_field_count;
    bool operator_and;
    float tie_breaker;     /* of best_fields */
    size_t text_k;         /* best of the text path that go on; 0: all */
    qn_slice vector_field; /* "": the first VECTOR field with a model */
    uint32_t vector_k;     /* 100 */
    qn_fusion fusion;
    float text_weight, vector_weight;
    const qn_stage *stages;
    size_t stage_count;
    int64_t neural_budget_ms; /* of all neural stages together; 0: what is left */
    const qn_slice
        *neural_fields; /* whose text the model reads; none: every TEXT field */
    size_t neural_field_count;
    uint32_t
        neural_tokens; /* of query and document together; 0: what the model takes */
} qn_pipeline;

/* `text`: a JSON object, or a built-in name: bm25, vector, hybrid, each also with +rerank.
 * QN_ENOTFOUND for another name, which lists the known ones. */
QN_MUST_CHECK qn_status qn_pipeline_parse(qn_slice text, qn_arena *arena,
                                          const qn_pipeline **out, qn_error *err);
/* Neural stages alone: what "neural" of a pipeline holds, an object or a list of them. */
QN_MUST_CHECK qn_status qn_pipeline_neural(qn_slice text, qn_arena *arena,
                                           const qn_stage **stages, size_t *count,
                                           qn_error *err);

#endif
