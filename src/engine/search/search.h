/* SPDX-License-Identifier: Apache-2.0 */
/* engine/search/search.h -- one search, from the text of a query to a reply.
 *
 *     words --pipeline--> paths of recall \
 *     HA3   --qn_ha3_parse--> one path     > execute --> rank stages --> page --> fetch
 *     DSL   --qn_dsl_parse--> one path    /
 *
 * Lifetime   everything of a search lives in the arena of its reply; the snapshot is
 *            held until the reply is built, and not longer. */
#ifndef QN_ENGINE_SEARCH_H
#define QN_ENGINE_SEARCH_H

#include "engine/engine_internal.h"
#include "engine/models/neural.h"
#include "query/exec.h"
#include "query/explain.h"
#include "query/request.h"
#include "rank/bind.h"
#include "rank/aggregate.h"
#include "rank/pipeline.h"

enum {
    QN_SEARCH_TIMEOUT_MS = 60000,
    QN_SEARCH_WORDS_WINDOW_MAX = 10000, /* from + hits */
    QN_SEARCH_WORDS_BYTES_MAX = 8192,
    QN_SEARCH_HYBRID_TEXT_K = 1000, /* text candidates that are fused, unless said */
};

/* A reply and all that it points to. */
typedef struct qn_reply_box {
    quern_reply reply; /* first: the public pointer is the box's */
    qn_arena arena;
    qn_alloc *alloc;
} qn_reply_box;

typedef struct qn_search {
    quern *q;
    const char *table;
    qn_table_snapshot *snapshot;
    qn_arena *arena;
    quern_search_options options;
    qn_slice text;
    qn_deadline deadline;
    int64_t began_ns, now_ms;
    qn_query_env env;
    bool all_rows;       /* explain: every candidate keeps its place and scores */
    bool pruned;         /* recall gave only the best of the rough sort */
    bool unpruned;       /* which was not enough: everything this time */
    double prune_factor; /* from the scores of that recall to those of the formula */
    bool recall_only; /* no ranking: the test of a policy looks at what was recalled */
    bool watches;     /* explain: one document, below, is traced */
    qn_rank_place watched;

    /* Filled by the front end of the kind. */
    qn_request request; /* WORDS: made up */
    qn_rank_path paths[2];
    qn_exec_result found[2];
    size_t path_count;
    size_t top_n[2];
    float weights[2];
    qn_fusion fusion;
    qn_stage stages[QN_RANK_STAGES_MAX];
    size_t stage_count;
    qn_rank_scale scale;
    const qn_slice *neural_fields;
    size_t neural_field_count;
    uint32_t neural_tokens;
    int64_t neural_budget_ms;
    const qn_stage *own_stages; /* the caller's neural ones */
    size_t own_stage_count;

    size_t from, size, wanted;
    qn_rank_input input;
    qn_rank_result ranked;
    qn_neural_job neural;
    struct qn_plugin_code *plugin_codes[QN_RANK_STAGES_MAX]; /* in use */
    size_t plugin_count;
    const struct qn_rank_plugin *ha3_plugin; /* in the place of the fine formula */
    double recall_ms;
    qn_facets facets;
    double facets_ms;
    uint64_t facets_in;
    uint64_t total;
    bool total_exact, timed_out;
    qn_rank_filter *filter;
    QN_NULLABLE const bool *fetched;    /* fetch_summary: which of `ranked` are there */
    qn_error policy_warning;            /* code QN_OK: none */
    qn_error analysis_warning;          /* the same of query analysis */
    const qn_rank_category *categories; /* predicted by query analysis */
    size_t category_count;
    struct qn_search_analysis *analysis; /* NULL: no rules */
    const qn_pipeline *pipeline;         /* WORDS */
    qn_explainer *explainers[2];         /* by path; made when first asked for */
} qn_search;

/* A search of a table, and the box of its reply; box NULL after a failure. */
QN_MUST_CHECK qn_status qn_search__begin(quern *q, const char *table,
                                         const quern_search_options *options,
                                         qn_search *s, qn_reply_box **box,
                                         qn_error *err);
/* Lets go of what the reply does not need. */
void qn_search__end(qn_search *s);
/* Where a document is in the snapshot. QN_ENODOC. */
QN_MUST_CHECK qn_status qn_search__find(const qn_search *s, qn_slice id,
                                        qn_rank_place *out, qn_error *err);
/* The query by which recall finds the best of the rough sort, and how many; NULL: recall has
 * to find everything. */
QN_MUST_CHECK qn_status qn_search__prune(qn_search *s, const qn_query **query,
                                         size_t *top_n, qn_error *err);
qn_exec_options qn_search__prune_options(const qn_search *s, size_t top_n);
/* What documents that it left out score at most. */
double qn_search__prune_bound(const qn_search *s);
/* The text score of a document that such a recall found. */
QN_MUST_CHECK qn_status qn_search__text_score(qn_search *s, const qn_ranked *d,
                                              double *out, qn_error *err);
/* Paths, stages and the made-up request of WORDS. */
QN_MUST_CHECK qn_status qn_search__words(qn_search *s, qn_error *err);
/* The text path's query, made anew. */
QN_MUST_CHECK qn_status qn_search__words_text(qn_search *s, const qn_query **out,
                                              qn_error *err);
/* The kind's text becomes a request, recall runs, stages run. */
QN_MUST_CHECK qn_status qn_search__run(qn_search *s, qn_error *err);
/* HA3's layers: path 0 recalled in parts; what the path asks as a whole. */
QN_MUST_CHECK qn_status qn_search__layers(qn_search *s, qn_exec_result *out,
                                          qn_error *err);
QN_MUST_CHECK qn_status qn_search__layer_query(qn_search *s, const qn_query **out,
                                               qn_error *err);
/* HA3's fetch_summary: the documents named, as the ranked ones. */
QN_MUST_CHECK qn_status qn_search__fetch(qn_search *s, qn_error *err);
/* How path `i` is run. */
qn_exec_options qn_search__exec_options(const qn_search *s, size_t i);
/* Hits [first, first + count) of the ranked documents become the reply's. */
QN_MUST_CHECK qn_status qn_search__reply(qn_search *s, size_t first, size_t count,
                                         quern_reply *reply, qn_error *err);

/* Aggregations over all that matched; into the reply. */
QN_MUST_CHECK qn_status qn_search__facets(qn_search *s, qn_error *err);
QN_MUST_CHECK qn_status qn_search__fill_facets(const qn_search *s, quern_reply *reply,
                                               qn_error *err);

/* kvpairs=duniqfield:key has a total without what distinct on that key leaves out. */
QN_MUST_CHECK qn_status qn_search__distinct(qn_search *s, qn_error *err);
/* The total depends on what distinct leaves out, whether documents are shown or not. */
bool qn_search__counts_thinned(const qn_search *s);

/* A qn_rank_length_fn; ctx is the search. */
qn_status qn_search__length(void *ctx, uint32_t segment, uint32_t doc,
                            const qn_field *field, uint32_t *length, qn_error *err);

/* The caller's own models: read, and put after everything else, in the place of the
 * pipeline's. */
QN_MUST_CHECK qn_status qn_search__rerank_read(qn_search *s, qn_error *err);
/* Those that an HA3 request names in kvpairs, when the caller names none. */
QN_MUST_CHECK qn_status qn_search__rerank_ha3(qn_search *s, const qn_request *r,
                                              qn_error *err);
QN_MUST_CHECK qn_status qn_search__rerank(qn_search *s, qn_error *err);
/* The stages of text_similarity_rerankers, the innermost first; NULL: none. */
QN_MUST_CHECK qn_status qn_search__retrievers(qn_search *s,
                                              QN_NULLABLE const qn_retriever *r,
                                              qn_error *err);
/* A retriever has a least score: only what it gives counts. */
bool qn_search__counts_ranked(const qn_search *s);
/* The words that a model reads beside each document: what the caller says, else the
 * words of the query. */
QN_MUST_CHECK qn_status qn_search__neural_text(qn_search *s, qn_slice *out,
                                               qn_error *err);

/* Does the reply show sources at all? */
bool qn_search__wants_source(const qn_search *s);
/* What the reply shows of a source: all of it, what the DSL's _source lets through, or
 * the HA3 fields. */
QN_MUST_CHECK qn_status qn_search__source(const qn_search *s, qn_slice source,
                                          qn_slice *out, qn_error *err);

/* HA3's attribute clause: names nothing but attributes; the values of one document as a
 * JSON object (p NULL: no such clause). */
QN_MUST_CHECK qn_status qn_search__check_attributes(const qn_search *s, qn_error *err);
QN_MUST_CHECK qn_status qn_search__attributes(const qn_search *s, const qn_ranked *d,
                                              qn_slice *out, qn_error *err);

#endif
