/* SPDX-License-Identifier: Apache-2.0 */
/* quern.h -- the public C API. Everything the program can do, it does through here.
 *
 *     quern *q;
 *     quern_options opt = QUERN_OPTIONS_INIT;
 *     opt.data_dir = "quern-data";
 *     if (quern_open(&opt, &q, &err) != QN_OK) ...
 *     quern_table_create(q, "films", schema, schema_size, &err);
 *     quern_write(q, "films", ops, op_count, NULL, results, &err);
 *     quern_refresh(q, "films", &err);
 *     quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
 *     s.kind = QUERN_QUERY_WORDS; s.query = "black adam"; s.query_size = 10;
 *     quern_reply *reply;
 *     quern_search(q, "films", &s, &reply, &err);
 *     for (size_t i = 0; i < reply->hit_count; i++) ... reply->hits[i].id ...
 *     quern_reply_free(reply);
 *     quern_close(q);
 *
 * In order of need: opening, tables, writing, reading, searching, explaining, models,
 * evaluation.
 *
 * Conventions
 *   Text is UTF-8 with an explicit size; texts in replies are zero-terminated as well.
 *   Option structs begin with their size and are filled from their _INIT; later
 * versions add members at the end. A cancel flag is an atomic_bool that the caller sets
 * to give up; work stops soon after with QN_ECANCELLED.
 *
 * Lifetime  `quern` outlives everything got from it. A reply owns all that it points
 * to. Threads   every function may be called from any thread at the same time, except
 *           quern_close(), which is the last call.
 * Errors    a qn_status; the qn_error says what, where and the way out.
 *
 * No ABI promise before 1.0. */
#ifndef QUERN_QUERN_H
#define QUERN_QUERN_H

#include "quern/quern_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
typedef bool quern_cancel; /* C++: std::atomic<bool> is laid out the same */
#else
#include <stdatomic.h>
typedef atomic_bool quern_cancel;
#endif

#if defined(__GNUC__)
#define QUERN_API __attribute__((visibility("default")))
#else
#define QUERN_API
#endif

/* ---- opening ------------------------------------------------------------------ */

typedef struct quern quern; /* an open data folder */

#define QUERN_CACHE_OFF UINT64_MAX

/* How much of the machine the calls of one model may have: allocations of some threads
 * each, set by hand or following the load between a least and a most. Zero-initialised:
 * as many allocations as use all neural threads. */
typedef struct quern_deployment {
    size_t size;
    bool adaptive;
    /* adaptive: the most 0 stands for 32. With a least of 0 the model itself goes from
     * memory after idle_ms (0: 15 minutes) without a request. */
    unsigned allocations_min, allocations_max;
    unsigned allocations; /* not adaptive; 0: as many as use all neural threads */
    unsigned threads;     /* of one allocation; 0: 1 */
    int64_t idle_ms;
} quern_deployment;
#define QUERN_DEPLOYMENT_INIT                                                          \
    {                                                                                  \
        .size = sizeof(quern_deployment)                                               \
    }

typedef struct quern_options {
    size_t size;
    const char *data_dir; /* created when absent */
    const char
        *models_dir; /* shipped models, looked in after data_dir/models; NULL: none */
    unsigned search_threads;      /* 0: one per core */
    unsigned neural_threads;      /* 0: one per core */
    uint64_t memory_budget_bytes; /* ingest buffers of all tables; 0: 512 MB */
    const char *default_embedder; /* NULL: "minilm-l6-v2" */
    const char *default_reranker; /* NULL: "reranker-minilm-l6" */
    const char *kernels;          /* NULL: the fastest set this CPU runs */
    bool read_only;
    /* async_commit: acknowledge before the log is on disk (bulk loads that can be run
     * again). Default: after. */
    bool async_commit;
    const char *default_table; /* of requests that name none; NULL: the only table */
    /* A key of an HA3 sort clause without a sign is ascending, as Alibaba's v3 API has
     * it. Default: descending, as the Retrieval Engine has it. */
    bool ha3_sort_ascending;
    uint64_t filter_cache_bytes; /* filters kept as bit sets; 0: 64 MB */
    /* Merges in the background write at most so many bytes a second (0: 40 MiB), as long
     * as a table does not have too many segments; and no segment above so many bytes
     * (0: 5 GiB). */
    uint64_t merge_bytes_per_second, merge_segment_bytes_max;
    bool manual_merges; /* none in the background: quern_table_optimize() alone */
    uint64_t code_cache_bytes; /* machine code of formulas that run often; 0: 64 MB */
    /* What models said of pairs of texts, and the token ids of documents that they read
     * (0: 32 MB and 64 MB; QUERN_CACHE_OFF: none). */
    uint64_t score_cache_bytes, token_cache_bytes;
    /* Tokens of interactive calls, and of bulk ones, that may wait for models; calls over
     * it are QN_EBUSY, those of searches and of writes never. 0: 4194304. */
    uint64_t neural_queue_tokens;
    const quern_deployment *deployment; /* of models that are given none; NULL: zeros */
} quern_options;
#define QUERN_OPTIONS_INIT                                                             \
    {                                                                                  \
        .size = sizeof(quern_options)                                                  \
    }

/* QN_ELOCKED names the process that holds the folder. */
QUERN_API qn_status quern_open(const quern_options *options, quern **out,
                               qn_error *err);
/* Flushes and closes; NULL is accepted. */
QUERN_API void quern_close(quern *q);

/* What models said and what they read, kept by content. */
typedef struct quern_cache_stats {
    size_t size;
    /* Scores of (model, query, passage): looked for and found, or not. */
    uint64_t score_hits, score_misses, score_entries, score_entries_max;
    /* Token ids of documents. */
    uint64_t token_hits, token_misses, token_entries, token_bytes, token_bytes_max;
} quern_cache_stats;
/* `out->size` is set by the caller. */
QUERN_API void quern_cache_stats_get(quern *q, quern_cache_stats *out);

/* "0.1.0"; with build facts: compiler, kernel sets, libraries, one `key: value` a line.
 */
QUERN_API const char *quern_version(void);
QUERN_API const char *quern_build_info(void);
/* Formulas and filters that run often are compiled to machine code on a thread of their
 * own, where the module with LLVM is installed; elsewhere, and before, they are
 * interpreted, to the same bits. QUERN_LLVM=off in the environment switches it off. */
typedef struct quern_code_stats {
    size_t size;
    uint64_t compiled, failed, dropped; /* programs since the start */
    double compile_seconds;             /* CPU time */
    uint64_t programs, bytes;           /* kept now */
    char compiler[64];                  /* "LLVM 14.0.6"; "" before it was needed */
} quern_code_stats;
QUERN_API void quern_code_stats_get(quern *q, quern_code_stats *out);
/* What a formula costs over all documents of a table, features of a query as without one:
 * microseconds to compile, documents per second and thread, interpreted and as machine
 * code. Takes a few passes over the table. */
typedef struct quern_formula_figures {
    size_t size;
    uint64_t documents;
    double compile_us, documents_per_second;
    bool machine_code; /* false: no LLVM, or nothing of the formula can be compiled */
    double machine_code_us, machine_code_documents_per_second;
} quern_formula_figures;
QUERN_API qn_status quern_formula_measure(quern *q, const char *table,
                                          const char *formula,
                                          quern_formula_figures *out, qn_error *err);
/* Every row of quern_status.def: what a code means. */
QUERN_API const qn_status_info *quern_status_describe(qn_status code);

/* ---- tables -------------------------------------------------------------------- */

/* `schema`: a Retrieval Engine schema, or {"mappings":..., "settings":...}, or an empty
 * object for a table that maps fields as they arrive. */
QUERN_API qn_status quern_table_create(quern *q, const char *name, const char *schema,
                                       size_t schema_size, qn_error *err);
/* Settings that may change while the table is there, as Elasticsearch writes them:
 * {"index":{"translog":{"durability":"async","sync_interval":"5s"}}}, nested or dotted.
 * Durable when it returns QN_OK. "request": a write is acknowledged when it is on the
 * disk; "async": when it is with the kernel, and it is on the disk an interval later. */
QUERN_API qn_status quern_table_set(quern *q, const char *name, const char *settings,
                                    size_t settings_size, qn_error *err);
QUERN_API qn_status quern_table_drop(quern *q, const char *name, qn_error *err);
QUERN_API bool quern_table_exists(quern *q, const char *name);
/* Calls `each` by name order; false from it stops. */
QUERN_API qn_status quern_table_list(quern *q,
                                     bool (*each)(void *ctx, const char *name),
                                     void *ctx, qn_error *err);
/* The table's facts as JSON: {"name","dialect","schema":<as given>,"mappings":<as the
 * mapping dialect shows it, dynamic fields included>,"settings","created_ms","uuid"}.
 * Freed with quern_free(). */
QUERN_API qn_status quern_table_show(quern *q, const char *name, char **json,
                                     size_t *json_size, qn_error *err);
/* {"documents","deleted","segments":[{"id","in_memory","documents","deleted","bytes"}],
 * "bytes":{"segments", by kind: "terms","postings",...,"log"},
 * "log":{"bytes","unflushed","next_record","replay_from","durability"},"seq_no",
 * "memory_bytes","memory_flush_bytes","merges":{...},"damage":[...] when there is any} */
QUERN_API qn_status quern_table_stats(quern *q, const char *name, char **json,
                                      size_t *json_size, qn_error *err);
/* Reads every byte of every file and checks every checksum. QN_ECORRUPT when anything
 * is wrong; `json` lists all findings:
 * {"files":n,"blocks":n,"damaged":[{file,offset,text}]} */
QUERN_API qn_status quern_table_check(quern *q, const char *name, char **json,
                                      size_t *json_size, qn_error *err);
/* A consistent copy of a table in a new folder `dir`: all that was acknowledged before the
 * call, while writes and searches go on. Segments get a second name where the file system
 * allows it, else they are copied. QN_EEXISTS when `dir` is there and not empty. `json`
 * (may be NULL): {"table","directory","files","bytes","linked_bytes"}. */
QUERN_API qn_status quern_table_backup(quern *q, const char *name, const char *dir,
                                       char **json, size_t *json_size, qn_error *err);
/* A new table from such a folder, which stays as it is; every byte is checked first.
 * QN_ETABLEEXISTS when there is a table of that name; `json` as above. */
QUERN_API qn_status quern_table_restore(quern *q, const char *dir, const char *name,
                                        char **json, size_t *json_size, qn_error *err);
/* Visible to searches from now on: everything acknowledged before the call. */
QUERN_API qn_status quern_refresh(quern *q, const char *name, qn_error *err);
/* Memory to segment files, log rolled. */
QUERN_API qn_status quern_flush(quern *q, const char *name, qn_error *err);
/* One segment, deleted documents gone. */
QUERN_API qn_status quern_table_optimize(quern *q, const char *name, qn_error *err);
/* Documents visible to a search now. QN_ECORRUPT when a damaged part is left out; *count is
 * then what is left. */
QUERN_API qn_status quern_count_all(quern *q, const char *name, uint64_t *count,
                                    qn_error *err);

QUERN_API void quern_free(void *p);

/* ---- writing ------------------------------------------------------------------- */

typedef enum quern_op_kind {
    QUERN_OP_INDEX,  /* create or replace */
    QUERN_OP_CREATE, /* QN_ECONFLICT when it exists */
    QUERN_OP_UPDATE, /* `source` is a partial document merged into the old; when absent
                        `upsert` is created, or QN_ENODOC */
    QUERN_OP_UPSERT, /* update, or create with the same source */
    QUERN_OP_DELETE, /* QN_ENODOC when absent: taken note of all the same */
} quern_op_kind;

/* Who numbers the versions of a document. EXTERNAL: the caller, of INDEX and DELETE, with
 * QN_ECONFLICT unless `version` is above the one that is there (GTE: not below it). */
typedef enum quern_version_type {
    QUERN_VERSION_INTERNAL,
    QUERN_VERSION_EXTERNAL,
    QUERN_VERSION_EXTERNAL_GTE,
} quern_version_type;

#define QUERN_SEQ_NONE (-1)

typedef struct quern_op {
    quern_op_kind kind;
    const char *id; /* NULL: the schema's primary key, else a fresh one */
    size_t id_size;
    const char *source; /* a JSON object; unused for deletes */
    size_t source_size;
    int64_t if_seq_no; /* QUERN_SEQ_NONE, or write only over this sequence number */
    quern_version_type version_type;
    int64_t version;    /* of EXTERNAL types */
    const char *upsert; /* of UPDATE: what is created when there is no document */
    size_t upsert_size;
    bool always; /* of UPDATE and UPSERT: write also when nothing would change */
} quern_op;

typedef enum quern_outcome {
    QUERN_CREATED,
    QUERN_UPDATED, /* or replaced */
    QUERN_DELETED,
    QUERN_NOOP, /* an update that changes nothing; seq_no and version are as before */
    QUERN_NOT_FOUND, /* a delete of what is not there; its status is QN_ENODOC */
} quern_outcome;

typedef struct quern_op_result {
    qn_status status;
    qn_error error;
    char id[513];          /* as stored, zero-terminated */
    quern_outcome outcome; /* of status QN_OK, and of a delete of nothing */
    bool created;          /* outcome is QUERN_CREATED */
    int64_t seq_no, version;
} quern_op_result;

typedef struct quern_write_options {
    size_t size;
    bool refresh;      /* visible when the call returns */
    bool create_table; /* make the table, mapped as documents arrive, when absent */
    const quern_cancel *cancel;
    /* Called now and then during a long write (embedding takes time): documents done.
     */
    void (*progress)(void *ctx, size_t done, size_t total);
    void *progress_ctx;
} quern_write_options;
#define QUERN_WRITE_OPTIONS_INIT                                                       \
    {                                                                                  \
        .size = sizeof(quern_write_options)                                            \
    }

/* All operations, in order, then one commit of the log: when it returns QN_OK, those
 * with status QN_OK in `results` survive a crash. One bad document does not stop the
 * others. `options` may be NULL. `results`: one per operation. */
QUERN_API qn_status quern_write(quern *q, const char *table, const quern_op *ops,
                                size_t op_count, const quern_write_options *options,
                                quern_op_result *results, qn_error *err);

/* ---- reading one document -------------------------------------------------------- */

typedef struct quern_document {
    const char *id;
    size_t id_size;
    const char *source; /* JSON as written */
    size_t source_size;
    int64_t seq_no, version;
    void *owner_; /* private */
} quern_document;

/* As last acknowledged, refreshed or not. QN_ENODOC when absent. */
QUERN_API qn_status quern_get(quern *q, const char *table, const char *id,
                              size_t id_size, quern_document *out, qn_error *err);
QUERN_API void quern_document_free(quern_document *doc);

/* ---- searching ------------------------------------------------------------------- */

typedef enum quern_query_kind {
    QUERN_QUERY_WORDS, /* what a person types; the pipeline decides how to recall */
    QUERN_QUERY_HA3,   /* a whole request: config=...&&query=...&&sort=... */
    QUERN_QUERY_DSL,   /* the body of Elasticsearch's _search */
} quern_query_kind;

typedef struct quern_search_options {
    size_t size;
    quern_query_kind kind;
    const char *query;
    size_t query_size;
    /* WORDS: how to recall and rank, as JSON (docs/reference/pipelines.md), or the name
     * of a built-in pipeline ("bm25", "vector", "hybrid", each also with "+rerank") or
     * of one stored with the table; NULL: the table's own default, else "bm25". */
    const char *pipeline;
    /* WORDS: page and extras. HA3 and DSL carry their own; -1: leave to the query. */
    int64_t from, hits;
    bool explain;       /* an explanation per hit */
    int64_t timeout_ms; /* 0: the query's own, else 60000 */
    /* Models after everything else, in place of those that the pipeline ends with: one's
     * name; several, each on the best of the one before it, as "small:100,large:20"; or
     * what "neural" of a pipeline holds, as JSON. NULL: none of the caller's own. */
    const char *rerank;
    unsigned
        rerank_window; /* how many documents each scores that says no number; 0: 100 */
    int64_t
        rerank_budget_ms; /* of all of them together; 0: what is left of the timeout */
    const quern_cancel *cancel;
    bool count_only; /* total only, no hits */
    /* What the model of `rerank` reads as the query; NULL: the words of the query. */
    const char *rerank_query;
    size_t rerank_query_size;
    bool no_source; /* hits carry no source: who wants ids alone need not unpack them */
    /* A plug-in of the table in the place of the fine stage; NULL: none of the caller's
     * own. Its `plugin_version` (0: the active one), or, for quern_plugin_test(), the body
     * given here, which need not be stored. */
    const char *plugin;
    uint32_t plugin_version;
    const char *plugin_body;
    size_t plugin_body_size;
    /* WORDS and HA3: rules of query analysis by name, commas between; "": none; NULL: what
     * an HA3 request names in kvpairs (qp), else the table's active ones. */
    const char *analysis;
    /* "qp:stop_word,qp:synonym:title"; NULL: what `disable` says. */
    const char *analysis_off;
    const char *analysis_rule; /* a rule that is not stored, in the place of any */
    size_t analysis_rule_size;
    const char *raw_query; /* what the user typed, where `query` is made of it */
    size_t raw_query_size;
    /* How the models of `rerank`, else of the pipeline, read long documents: as in
     * quern_rerank_options. */
    const char *rerank_chunking;
    const char *rerank_join;
    /* DSL: the model behind the id of an inference endpoint, of a retriever or of a
     * query_vector_builder, alive as long as the call; NULL: an id is a model's name. */
    const char *(*model_of)(void *ctx, const char *id);
    void *model_of_ctx;
    /* QN_EDEFERRED, before anything is searched, where a plug-in of a table would score: for
     * a caller that keeps other threads for what may take long. */
    bool defer_plugins;
    int64_t
        waited_ms; /* how long its caller has waited already: gone from time and budget */
    /* Beside model_of, with its ctx: how that endpoint reads long documents where a retriever
     * does not say, as in quern_rerank_options; NULL: whole. */
    const char *(*chunking_of)(void *ctx, const char *id, uint32_t *passages_max);
} quern_search_options;
#define QUERN_SEARCH_OPTIONS_INIT                                                      \
    {                                                                                  \
        .size = sizeof(quern_search_options), .from = -1, .hits = -1                   \
    }

/* An explanation: a value and what it came from. */
typedef struct quern_explanation {
    double value;
    const char *description;
    const struct quern_explanation *details;
    size_t detail_count;
    bool whole; /* the value is a count */
} quern_explanation;

typedef enum quern_value_kind {
    QUERN_VALUE_NULL,
    QUERN_VALUE_INT,
    QUERN_VALUE_DOUBLE,
    QUERN_VALUE_TEXT,
    QUERN_VALUE_SCORE, /* a relevance score in `number` */
} quern_value_kind;

typedef struct quern_value {
    quern_value_kind kind;
    int64_t integer;
    double number;
    const char *text;
    size_t text_size;
} quern_value;

#define QUERN_RANK_NONE UINT32_MAX

/* What each stage said of a document. NaN: the stage did not score it. Ranks count from
 * 0 over the documents that took part in the stage. */
typedef struct quern_stage_scores {
    double text; /* Lucene-scale text score of recall; NaN: not recalled by text */
    double
        vector; /* raw metric: squared distance or inner product; NaN: not by vector */
    double rough, fine;
    double neural;       /* the logit of the last model that reached it */
    double neural_score; /* sigmoid of it */
    uint32_t recall_rank, rough_rank, fine_rank, neural_rank, final_rank;
} quern_stage_scores;

/* What one neural stage said of a document: as above. */
typedef struct quern_neural_mark {
    double logit, score; /* NaN: it did not reach it; `score` is the stage's */
    uint32_t rank;
    uint32_t passage, passages; /* which passage it owes that to; how many there are */
} quern_neural_mark;

typedef struct quern_hit {
    const char *id;
    size_t id_size;
    const char *source; /* JSON as written, after source filtering; NULL: not asked */
    size_t source_size;
    double score;                   /* in the scale of the dialect that asked */
    const quern_value *sort_values; /* one per sort key asked for; HA3: at least RANK */
    size_t sort_value_count;
    quern_stage_scores stages;
    const quern_explanation *explanation; /* with explain */
    const char *trace;                    /* per-hit trace text (rank_trace), or NULL */
    size_t trace_size;
    const char *trace_json; /* the same as JSON (docs/reference/policies.md), or NULL */
    size_t trace_json_size;
    int64_t seq_no, version;
    /* HA3's attribute clause: a JSON object; NULL: there was none. */
    const char *attributes;
    size_t attributes_size;
    /* What a plug-in left with the document: a JSON object; NULL: nothing. */
    const char *variables;
    size_t variables_size;
    /* One for each neural stage, in their order. */
    const quern_neural_mark *neural;
    size_t neural_count;
    /* The passage that the last model to reach it found best, where it cut the text (with
     * `explain` also of texts that it did not cut: all that it was given): the
     * words, and where they stand in the text that it read. NULL: it read the whole. */
    const char *passage;
    size_t passage_size, passage_start;
} quern_hit;

/* One group of an aggregation. */
typedef struct quern_facet_group {
    const char *value; /* "red", "2019", "10:20" */
    size_t value_size;
    const char *const *results; /* one per function of the facet, as decimal text */
} quern_facet_group;

/* What one description of HA3's aggregate clause came to. */
typedef struct quern_facet {
    const char *key;              /* the grouping expression, normalised */
    const char *const *functions; /* "count()", "max((price+1))" */
    size_t function_count;
    const quern_facet_group *groups;
    size_t group_count;
    uint64_t groups_found; /* before max_group cut them */
} quern_facet;

typedef struct quern_stage_report {
    const char *name; /* "recall", "rough", "fine", "neural", "fetch" */
    uint64_t in, out; /* documents */
    double ms;        /* wall time */
} quern_stage_report;

/* What became of a neural stage. */
typedef struct quern_neural_report {
    const char *model;
    uint64_t scored, of; /* documents */
    double ms;
    bool timed_out;
    bool skipped;      /* the next one scored the same documents anew */
    qn_status failure; /* QN_OK, or why a stage that may fail scored nothing */
} quern_neural_report;

/* A mistyped query. */
typedef struct quern_correction {
    const char *index, *original, *corrected;
    int level; /* 1: the corrected one was searched; 2: it is a suggestion */
} quern_correction;

typedef struct quern_reply {
    uint64_t total;
    bool total_is_lower_bound; /* the DSL's "gte" */
    bool track_total;          /* the DSL asked for a total at all */
    double max_score;          /* NaN when nothing was scored */
    const quern_hit *hits;
    size_t hit_count;
    const quern_stage_report *stages;
    size_t stage_count;
    double took_ms;
    bool timed_out;
    /* The neural stage, when there was one. */
    bool reranked; /* by the last of the stages in `neural_stages` that ran: */
    const char *rerank_model;
    uint64_t rerank_scored, rerank_of;
    bool rerank_timed_out; /* of some stage */
    const quern_neural_report *neural_stages;
    size_t neural_stage_count;
    /* HA3: how the request wanted its reply. */
    const char *format;              /* "json", "fulljson", "xml" */
    const char *const *fetch_fields; /* NULL: all summary fields */
    size_t fetch_field_count;
    const char *const *sort_key_names; /* with sign: "-RANK", "+age" */
    size_t sort_key_count;
    bool no_summary, want_trace;
    bool fetched, fetched_by_key; /* fetch_summary; with fetch_summary_type:rawpk */
    const quern_facet *facets;    /* one per description of the aggregate clause */
    size_t facet_count;
    double covered_percent; /* of the table, less where damaged parts are left out */
    bool
        want_cache_info; /* the reply says whether it came from a cache: it never does */
    bool sorted_by_field; /* DSL: hits carry no score unless asked */
    /* Warnings that did not stop the search (HA3 2112 and the like), with codes.
     * QN_ECORRUPT: a damaged part of the table, named with file and offset, was left
     * out. */
    const qn_error *warnings;
    size_t warning_count;
    const char
        *trace; /* request trace: the query tree, the plan, the stages; or NULL */
    size_t trace_size;
    /* What query analysis did, as JSON (docs/reference/analysis.md); NULL: no rule. */
    const char *analysis;
    size_t analysis_size;
    const quern_correction *corrections;
    size_t correction_count;
    void *owner_; /* private */
} quern_reply;

QUERN_API qn_status quern_search(quern *q, const char *table,
                                 const quern_search_options *options, quern_reply **out,
                                 qn_error *err);
QUERN_API void quern_reply_free(quern_reply *reply);

/* ---- rank policies ---------------------------------------------------------------
 *
 * A table's named formulas for the rough and the fine sort. HA3 requests name them in
 * kvpairs (first_rank_name, second_rank_name), pipelines in their stages ("policy"). The
 * policies named "default", when there are any, rank HA3 requests that name none. A name
 * has versions, of which one is active; the newest 20 are kept. Texts: rank policies in
 * docs/reference/policies.md. */
typedef enum quern_policy_stage {
    QUERN_POLICY_ROUGH,
    QUERN_POLICY_FINE
} quern_policy_stage;

/* A new version, which becomes the active one unless it is a `draft`. It is compiled
 * against the table first; err->at is then the place in the formula. `json` (may be NULL):
 * as quern_policy_show(). */
QUERN_API qn_status quern_policy_put(quern *q, const char *table,
                                     quern_policy_stage stage, const char *name,
                                     const char *policy, size_t policy_size, bool draft,
                                     char **json, size_t *json_size, qn_error *err);
/* {"table","policies":[{"table","stage","name","version","active","created_ms",
 * "formula"}]}, by stage, name and version. */
QUERN_API qn_status quern_policy_list(quern *q, const char *table, char **json,
                                      size_t *json_size, qn_error *err);
/* One of those with "policy", its text as given; `version` 0: the active one. */
QUERN_API qn_status quern_policy_show(quern *q, const char *table,
                                      quern_policy_stage stage, const char *name,
                                      uint32_t version, char **json, size_t *json_size,
                                      qn_error *err);
QUERN_API qn_status quern_policy_activate(quern *q, const char *table,
                                          quern_policy_stage stage, const char *name,
                                          uint32_t version, qn_error *err);
/* The version before the active one becomes active; *version (may be NULL) is it. */
QUERN_API qn_status quern_policy_roll_back(quern *q, const char *table,
                                           quern_policy_stage stage, const char *name,
                                           uint32_t *version, qn_error *err);
/* What a policy makes of documents for a query, without storing anything. */
typedef struct quern_policy_test_options {
    size_t size;
    quern_policy_stage stage;
    const char *policy; /* as for quern_policy_put(), or NULL: the stored one `name` */
    size_t policy_size;
    const char *name;
    uint32_t version;  /* of `name`; 0: the active one */
    const char *query; /* an HA3 query clause, or a whole request */
    size_t query_size;
    const char *const *ids; /* 1 to 100 documents, recalled by the query or not */
    size_t id_count;
} quern_policy_test_options;
#define QUERN_POLICY_TEST_OPTIONS_INIT                                                 \
    {                                                                                  \
        .size = sizeof(quern_policy_test_options)                                      \
    }
/* {"table","stage","formula","matched","documents":[{"id","recalled","value",
 * "trace":{...}}],"warnings":[...]}; a document that is not there has "error". */
QUERN_API qn_status quern_policy_test(quern *q, const char *table,
                                      const quern_policy_test_options *options,
                                      char **json, size_t *json_size, qn_error *err);
/* All versions. */
QUERN_API qn_status quern_policy_drop(quern *q, const char *table,
                                      quern_policy_stage stage, const char *name,
                                      qn_error *err);

/* ---- query analysis -----------------------------------------------------------------
 *
 * A table's rules that turn typed words into what is searched, and the dictionaries they
 * read: docs/reference/analysis.md. Versions as those of rank policies. A rule applies to
 * requests that name it, and with "active": true in its text to those that name none. */
typedef enum quern_analysis_kind {
    QUERN_ANALYSIS_RULE,
    QUERN_ANALYSIS_DICTIONARY,
} quern_analysis_kind;

/* A new version, the active one unless it is a `draft`. A rule is compiled against the table
 * and its dictionaries first. `json` (may be NULL): as quern_analysis_show(). */
QUERN_API qn_status quern_analysis_put(quern *q, const char *table,
                                       quern_analysis_kind kind, const char *name,
                                       const char *text, size_t text_size, bool draft,
                                       char **json, size_t *json_size, qn_error *err);
/* Entries added to or deleted from a dictionary, [{"cmd":"add","word":...}]: a new version
 * of it. `json` as above. */
QUERN_API qn_status quern_analysis_change(quern *q, const char *table,
                                          const char *dictionary, const char *entries,
                                          size_t entries_size, char **json,
                                          size_t *json_size, qn_error *err);
/* {"table","analysis":[{"kind","name","version","active","created_ms"}]} of both kinds. */
QUERN_API qn_status quern_analysis_list(quern *q, const char *table, char **json,
                                        size_t *json_size, qn_error *err);
/* One of those with "body", its text as given; `version` 0: the active one. */
QUERN_API qn_status quern_analysis_show(quern *q, const char *table,
                                        quern_analysis_kind kind, const char *name,
                                        uint32_t version, char **json,
                                        size_t *json_size, qn_error *err);
QUERN_API qn_status quern_analysis_activate(quern *q, const char *table,
                                            quern_analysis_kind kind, const char *name,
                                            uint32_t version, qn_error *err);
/* The version before the active one becomes active; *version (may be NULL) is it. */
QUERN_API qn_status quern_analysis_roll_back(quern *q, const char *table,
                                             quern_analysis_kind kind, const char *name,
                                             uint32_t *version, qn_error *err);
/* All versions. QN_EINVAL for a dictionary that a rule still reads. */
QUERN_API qn_status quern_analysis_drop(quern *q, const char *table,
                                        quern_analysis_kind kind, const char *name,
                                        qn_error *err);

typedef struct quern_analysis_test_options {
    size_t size;
    const char *words;
    size_t words_size;
    const char *rules; /* as `analysis` of a search */
    const char *rule;  /* the text of a rule that is not stored, in their place; NULL */
    size_t rule_size;
    const char *off; /* as `analysis_off` of a search */
} quern_analysis_test_options;
#define QUERN_ANALYSIS_TEST_OPTIONS_INIT                                               \
    {                                                                                  \
        .size = sizeof(quern_analysis_test_options)                                    \
    }
/* What becomes of words over all text fields, and how many documents are found:
 * {"total","analysis":<as a search's>}; "analysis" is null when no rule was used. */
QUERN_API qn_status quern_analysis_test(quern *q, const char *table,
                                        const quern_analysis_test_options *options,
                                        char **json, size_t *json_size, qn_error *err);

/* ---- plug-ins ----------------------------------------------------------------------
 *
 * A table's scorers in Cava (docs/reference/cava.md). HA3 requests name them in kvpairs
 * (second_rank_name, second_rank_type:cava_script) or as a rank profile, pipelines in
 * their fine stage ("plugin"). A body is a source, or {"files": [{"name", "source"}],
 * "description"}. A name has versions, of which one is active. */
enum { QUERN_PLUGINS_MAX = 50 }; /* of one table */

/* Compiles. `json` (may be NULL): {"ok","error","diagnostics":[{"file","line","column",
 * "end_line","end_column","code","message"}],"text"}, also when it does not compile
 * (QN_EPLUGINCODE). `name` and `q` may be NULL: no data folder is needed. */
QUERN_API qn_status quern_plugin_check(quern *q, const char *name, const char *body,
                                       size_t body_size, char **json, size_t *json_size,
                                       qn_error *err);
/* A new version, which becomes the active one unless it is a `draft`. `json` (may be
 * NULL): as quern_plugin_show(); where it does not compile, as quern_plugin_check(). */
QUERN_API qn_status quern_plugin_put(quern *q, const char *table, const char *name,
                                     const char *body, size_t body_size, bool draft,
                                     char **json, size_t *json_size, qn_error *err);
/* {"table","plugins":[{"table","name","version","active","created_ms"}]} */
QUERN_API qn_status quern_plugin_list(quern *q, const char *table, char **json,
                                      size_t *json_size, qn_error *err);
/* One of those with "files"; `version` 0: the active one. */
QUERN_API qn_status quern_plugin_show(quern *q, const char *table, const char *name,
                                      uint32_t version, char **json, size_t *json_size,
                                      qn_error *err);
QUERN_API qn_status quern_plugin_activate(quern *q, const char *table, const char *name,
                                          uint32_t version, qn_error *err);
/* The version before the active one becomes active; *version (may be NULL) is it. */
QUERN_API qn_status quern_plugin_roll_back(quern *q, const char *table,
                                           const char *name, uint32_t *version,
                                           qn_error *err);
/* All versions. */
QUERN_API qn_status quern_plugin_drop(quern *q, const char *table, const char *name,
                                      qn_error *err);
/* What options->plugin makes of one document for a query: {"found","id","scored",
 * "plugin_score","score","trace","variables","warnings"}. */
QUERN_API qn_status quern_plugin_test(quern *q, const char *table, const char *id,
                                      size_t id_size,
                                      const quern_search_options *options, char **json,
                                      size_t *json_size, qn_error *err);

/* Which table a request means when it names none: the configured default, else the only
 * one, else an error that lists them. `name` needs room for 256 bytes. */
QUERN_API qn_status quern_default_table(quern *q, char *name, size_t name_size,
                                        qn_error *err);
/* The table of an HA3 request: its cluster clause, "general" meaning the default one.
 */
QUERN_API qn_status quern_ha3_table(quern *q, const char *request, size_t request_size,
                                    char *name, size_t name_size, qn_error *err);

/* Why document `id` has the score it has for this query: as quern_search with explain,
 * for one document, also when it is not among the best. */
QUERN_API qn_status quern_explain(quern *q, const char *table, const char *id,
                                  size_t id_size, const quern_search_options *options,
                                  quern_reply **out, qn_error *err);

/* ---- analysis -------------------------------------------------------------------- */

typedef struct quern_token {
    const char *text;
    size_t text_size;
    uint32_t start, end;     /* bytes */
    uint32_t start16, end16; /* UTF-16 units */
    uint32_t position;
    const char *type;
} quern_token;

/* `analyzer` NULL: that of `field` in `table`; `table` NULL: built-in analyzers. */
QUERN_API qn_status quern_analyze(quern *q, const char *table, const char *field,
                                  const char *analyzer, const char *text,
                                  size_t text_size,
                                  void (*each)(void *ctx, const quern_token *token),
                                  void *ctx, qn_error *err);

/* ---- models ---------------------------------------------------------------------- */

typedef struct quern_text {
    const char *text;
    size_t size;
} quern_text;

typedef struct quern_model_info {
    const char *name;
    const char *task;   /* "embed", "rerank", "sparse" or "tokens" */
    const char *family; /* "bert" */
    const char *dtype;  /* "f32", "bf16", "int8" */
    const char *path;
    uint32_t dims, layers, max_tokens;
    uint64_t parameters, file_bytes;
    const char *licence, *origin; /* "" when not recorded */
    /* Of rerankers: what their makers put behind the logit, "identity" or "sigmoid". It
     * is told, not applied: scores are sigmoids of logits whatever stands here, so that
     * those of all models lie between 0 and 1. */
    const char *activation;
    const char *truncation; /* of pairs over max_tokens, unless a call says otherwise */
    const char *pooling;    /* of embedding models: "cls", "mean", ... the first */
    bool normalized;        /* their vectors have length 1 */
    uint64_t
        packed_bytes; /* of the packed copy that is mapped; 0: weights are private */
    uint32_t labels;  /* logits of a pair: 1 of a reranker, more of a classifier */
    /* What they stand for, `labels` of them: "entailment"; "LABEL_0" and so on where the
     * model's makers said nothing. NULL when `labels` is 0. */
    const char *const *label_names;
} quern_model_info;

QUERN_API qn_status quern_model_list(quern *q,
                                     bool (*each)(void *ctx,
                                                  const quern_model_info *info),
                                     void *ctx, qn_error *err);
/* `dtype`: "f32", "bf16", "int8". `report`: what was done, as JSON; freed with
 * quern_free(). */
QUERN_API qn_status quern_model_import(quern *q, const char *folder, const char *name,
                                       const char *dtype, char **report,
                                       size_t *report_size, qn_error *err);
/* quern_model_import() as a model of this task: "sparse" makes a sparse model of a
 * masked-language model without modules.json; NULL: what the folder says. */
QUERN_API qn_status quern_model_import_as(quern *q, const char *folder,
                                          const char *name, const char *dtype,
                                          const char *task, char **report,
                                          size_t *report_size, qn_error *err);
/* Reads all bytes and checks all checksums. */
QUERN_API qn_status quern_model_verify(quern *q, const char *name, qn_error *err);
QUERN_API qn_status quern_model_remove(quern *q, const char *name, qn_error *err);
QUERN_API qn_status quern_model_info_get(quern *q, const char *name,
                                         quern_model_info *out,
                                         qn_error *err); /* texts live as long as q */

/* What goes first when models have more to do than they can at once. Interactive work
 * has sixteen times the share of bulk work. */
typedef enum quern_priority {
    QUERN_PRIORITY_INTERACTIVE, /* somebody waits for it */
    QUERN_PRIORITY_BULK,
} quern_priority;

/* The deployment of a model, now and whenever it is opened again. `deployment` NULL: that
 * of models that are given none. QN_ENOMODEL, QN_EINVAL naming the setting. */
QUERN_API qn_status quern_model_deploy(quern *q, const char *name,
                                       const quern_deployment *deployment,
                                       qn_error *err);

typedef struct quern_deployment_state {
    quern_deployment settings;
    bool loaded;                   /* in memory */
    uint64_t memory_bytes;         /* of its packed weights; 0 when not loaded */
    unsigned allocations;          /* now */
    unsigned running, threads_max; /* batches that run, that may run at a time */
    uint64_t calls_waiting, tokens_waiting; /* not finished, running ones included */
    double wait_seconds;                    /* until what waits would be done */
    double rate,
        item_seconds; /* pairs or texts a second, time of one; 0: not measured */
    uint64_t calls, refused, timed_out, cancelled, items, batches, paused;
    double busy_seconds, waited_seconds; /* of threads; of calls before their start */
    uint32_t
        token_ns[6]; /* for lengths up to 32, 64, 128, 256, 512, more; 0: unknown */
} quern_deployment_state;

/* Opens nothing: a model that was never used has zeros. */
QUERN_API void quern_model_deployment(quern *q, const char *name,
                                      quern_deployment_state *out);
/* All models together; settings and token_ns are zeros. */
QUERN_API void quern_neural_state(quern *q, quern_deployment_state *out);

/* `out`: count x dims floats; `token_count` (may be NULL): tokens read. `model` NULL:
 * the default embedder. QN_EBUSY: the queue is full, or the time would not do. */
QUERN_API qn_status quern_embed(quern *q, const char *model, const quern_text *texts,
                                size_t count, int64_t timeout_ms,
                                const quern_cancel *cancel, float *out,
                                size_t out_floats, uint64_t *token_count,
                                qn_error *err);

/* How long vectors are: as the model was made; 1; what pooling gives. */
typedef enum quern_vector_length {
    QUERN_LENGTH_OF_MODEL,
    QUERN_LENGTH_ONE,
    QUERN_LENGTH_AS_POOLED,
} quern_vector_length;

/* A text that was tokenized already: ids of the model's vocabulary, special tokens
 * included. `ids` NULL: it was not. */
typedef struct quern_token_ids {
    const uint32_t *ids;
    size_t count;
} quern_token_ids;

typedef struct quern_embed_options {
    size_t size;
    const char *model;  /* NULL: the default embedder */
    int64_t timeout_ms; /* 0: none */
    const quern_cancel *cancel;
    uint32_t dims; /* only the first so many numbers, scaled anew; 0: all */
    quern_vector_length length;
    uint32_t tokens_max;        /* 0: the model's */
    bool refuse_long;           /* a text over it is QN_ETOOLONG, not cut */
    bool plain_special_tokens;  /* "[SEP]" in a text is ordinary text */
    const quern_token_ids *ids; /* in place of texts, one for each; NULL: none */
    quern_priority priority;
    /* What stands in front of texts: the model's prompt of this name; else that of the
     * role, "query" or "document"; both NULL: the model's default. */
    const char *prompt_name, *role;
    bool keep_ends; /* what is too long loses its beginning, the prompt first */
} quern_embed_options;
#define QUERN_EMBED_OPTIONS_INIT                                                       \
    {                                                                                  \
        .size = sizeof(quern_embed_options)                                            \
    }

typedef struct quern_embed_item {
    uint32_t tokens; /* read, special tokens included */
    bool truncated;
} quern_embed_item;

/* quern_embed() with every choice. `out`: count x dims floats, dims as options say;
 * `items` (may be NULL): one per text. */
QUERN_API qn_status quern_embed_texts(quern *q, const quern_embed_options *options,
                                      const quern_text *texts, size_t count, float *out,
                                      size_t out_floats, quern_embed_item *items,
                                      qn_error *err);

/* Weights of the vocabulary's tokens (SPLADE). `model` must be named: it is one whose
 * task is "sparse". `top_k`: only the greatest, 0: all; `weight_min`: only greater ones.
 * `each` gets the terms of text number `index` by id, valid during the call; texts in
 * order. `options->dims` and `length` do not matter. */
typedef struct quern_term {
    uint32_t id;
    float weight;
    const char *token; /* as the vocabulary has it, "##ing"; valid during the call */
    size_t token_size;
} quern_term;
QUERN_API qn_status quern_embed_sparse(quern *q, const quern_embed_options *options,
                                       size_t top_k, float weight_min,
                                       const quern_text *texts, size_t count,
                                       void (*each)(void *ctx, size_t index,
                                                    const quern_term *terms, size_t n,
                                                    const quern_embed_item *item),
                                       void *ctx, qn_error *err);

/* A vector for each token (ColBERT), of a model whose task is "tokens": n rows of `dims`
 * numbers and the tokens' ids, valid during the call; texts in order. */
QUERN_API qn_status quern_embed_tokens(
    quern *q, const quern_embed_options *options, const quern_text *texts, size_t count,
    void (*each)(void *ctx, size_t index, const float *vectors, const uint32_t *ids,
                 size_t n, size_t dims, const quern_embed_item *item),
    void *ctx, qn_error *err);
/* The sum over the query's vectors of the greatest product with one of the document's. */
QUERN_API float quern_max_sim(const float *query, size_t query_count,
                              const float *document, size_t document_count,
                              size_t dims);

typedef struct quern_piece {
    uint32_t id;
    const char *text; /* the bytes it covers; a special token's own name */
    size_t text_size;
    uint32_t start, end; /* bytes of the text; both 0 for added special tokens */
    bool special;        /* added around the text */
} quern_piece;

/* The pieces of a text as `model` (NULL: the default reranker) reads it, nothing cut.
 * `special`: with the special tokens around it. */
QUERN_API qn_status quern_tokenize(quern *q, const char *model, quern_text text,
                                   bool special,
                                   void (*each)(void *ctx, const quern_piece *piece),
                                   void *ctx, qn_error *err);

/* The text that token ids of a model's vocabulary stand for, freed with quern_free().
 * `skip_special`: without "[CLS]" and its like. */
QUERN_API qn_status quern_detokenize(quern *q, const char *model, const uint32_t *ids,
                                     size_t count, bool skip_special, char **text,
                                     size_t *text_size, qn_error *err);

typedef struct quern_rerank_options {
    size_t size;
    const char *model;      /* NULL: the default reranker */
    int64_t timeout_ms;     /* 0: none. At the limit the rest stays unscored. */
    const char *truncation; /* "balanced", "longest_first", "only_second", "none"; NULL:
                               the model's */
    uint32_t tokens_max;    /* 0: the model's */
    bool plain_special_tokens; /* "[SEP]" in a text is ordinary text */
    const quern_cancel *cancel;
    /* Caps on the tokens of either text, before the pair is cut; 0: none. */
    uint32_t query_tokens_max, document_tokens_max;
    /* How long documents are cut into passages that are scored alone, as a
     * chunking_settings object or in short, "sentence", "word:100:20"
     * (docs/reference/chunking.md); NULL or "none": documents are scored whole, cut to
     * what the model takes. */
    const char *chunking;
    uint32_t passages_max; /* of a document, from its beginning; 0: all */
    uint32_t
        passages_best; /* only so many, those that have most of the query's words */
    const char *join;  /* "max", "first", "mean", "sum" of passages; NULL: "max" */
    uint32_t join_top; /* mean and sum: of the best so many; 0: all */
    /* count x labels: every logit of each scored document; a model of several labels needs
     * it, and `logit` is then the first. NULL for one label. */
    float *logits;
    bool not_kept; /* neither use scores known from earlier calls nor keep these */
    quern_priority priority;
    /* Some scores without the others are of no use: QN_EBUSY at once when the time will
     * not do for all. */
    bool whole;
    bool keep_ends; /* texts that are too long lose their beginnings */
    /* The documents are scored alone, and the query does not matter: for classifiers of
     * one text. */
    bool single;
} quern_rerank_options;
#define QUERN_RERANK_OPTIONS_INIT                                                      \
    {                                                                                  \
        .size = sizeof(quern_rerank_options)                                           \
    }

typedef struct quern_rerank_score {
    bool scored; /* false: the deadline came first */
    float logit;
    float score; /* sigmoid of the logit */
    uint32_t tokens;
    bool truncated;
    /* The best passage: bytes of the document, its number from 0, and how many there are.
     * Of a document that is not cut: all of it. */
    size_t passage_start, passage_end;
    uint32_t passage, passages;
} quern_rerank_score;

/* `scores`: one per document, in the order given, which should be the most promising
 * first: it is the order in which they are scored. `*scored`: how many were. */
QUERN_API qn_status quern_rerank(quern *q, const quern_rerank_options *options,
                                 quern_text query, const quern_text *documents,
                                 size_t count, quern_rerank_score *scores,
                                 size_t *scored, qn_error *err);

/* Inference endpoints: names kept in the folder that stand for models, with settings that
 * the library does not read (a JSON object). QN_EEXISTS unless `replace`; QN_ENOTFOUND. */
QUERN_API qn_status quern_endpoint_put(quern *q, const char *id, const char *settings,
                                       size_t settings_size, bool replace,
                                       qn_error *err);
/* Freed with quern_free(). */
QUERN_API qn_status quern_endpoint_get(quern *q, const char *id, char **settings,
                                       size_t *settings_size, qn_error *err);
QUERN_API qn_status quern_endpoint_list(quern *q,
                                        bool (*each)(void *ctx, const char *id,
                                                     const char *settings,
                                                     size_t settings_size),
                                        void *ctx, qn_error *err);
QUERN_API qn_status quern_endpoint_drop(quern *q, const char *id, qn_error *err);

/* Which words moved a pair's score: the pair's logit less that of the pair without a word,
 * computed for each word of both texts (occlusion: exact, and not additive). */
typedef struct quern_attribute_options {
    size_t size;
    const char *model;  /* NULL: the default reranker */
    int64_t timeout_ms; /* 0: none. At the limit the rest has no number. */
    const quern_cancel *cancel;
    const char
        *how; /* "remove" (NULL): a word is cut out of its text; "mask": the model's
                        mask token stands in its place */
    /* How the pair is cut, as in quern_rerank_options: words that the model does not read
     * then have no effect and are not told. */
    const char *truncation;
    uint32_t tokens_max, query_tokens_max, document_tokens_max;
} quern_attribute_options;
#define QUERN_ATTRIBUTE_OPTIONS_INIT                                                   \
    {                                                                                  \
        .size = sizeof(quern_attribute_options)                                        \
    }
/* {"method":"occlusion","how","model","logit","score","baseline":{"of","logit","score"},
 * "query":[{"text","start","end","tokens","effect"}],"document":[...],"runs":[...],
 * "query_sum","document_sum","document_difference","tokens","truncated","passes",
 * "partial","took_ms"}. Effects are on the logit; null where time did not reach, and then
 * the run of words around it often has one. `partial`: some are null. */
QUERN_API qn_status quern_attribute(quern *q, const quern_attribute_options *options,
                                    quern_text query, quern_text document, char **json,
                                    size_t *json_size, qn_error *err);

/* ---- evaluation ------------------------------------------------------------------ */

typedef struct quern_eval_query {
    const char *id;
    const char *text;
    size_t text_size;
} quern_eval_query;

typedef struct quern_eval_judgement {
    const char *query_id, *document_id;
    int grade;
} quern_eval_judgement;

typedef struct quern_eval_options {
    size_t size;
    const quern_eval_query *queries;
    size_t query_count;
    const quern_eval_judgement *judgements;
    size_t judgement_count;
    const char *const *pipelines; /* names or JSON, as in quern_search_options */
    size_t pipeline_count;
    const char *const *metrics; /* "ndcg@10", "mrr@10", "recall@100", "map" */
    size_t metric_count;
    size_t depth; /* hits asked for per query; 0: 100 */
    void (*progress)(void *ctx, size_t done, size_t total);
    void *progress_ctx;
    const quern_cancel *cancel;
} quern_eval_options;
#define QUERN_EVAL_OPTIONS_INIT                                                        \
    {                                                                                  \
        .size = sizeof(quern_eval_options)                                             \
    }

typedef struct quern_eval_report {
    size_t pipeline_count, metric_count, query_count; /* queries with a judgement */
    const double *values;                             /* [pipeline][metric], means */
    const double *per_query;                          /* [pipeline][metric][query] */
    const char *const *query_ids;
    const double *mean_ms; /* [pipeline] */
    void *owner_;
} quern_eval_report;

/* Runs every query through every pipeline. A (query, document) pair is scored by a
 * model once, whichever pipelines ask. */
QUERN_API qn_status quern_eval(quern *q, const char *table,
                               const quern_eval_options *options,
                               quern_eval_report **out, qn_error *err);
QUERN_API void quern_eval_report_free(quern_eval_report *report);

#ifdef __cplusplus
}
#endif

#endif
