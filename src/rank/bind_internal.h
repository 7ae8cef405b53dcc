/* SPDX-License-Identifier: Apache-2.0 */
/* bind_internal.h -- slots: what the inputs of an expression stand for. */
#ifndef QN_RANK_BIND_INTERNAL_H
#define QN_RANK_BIND_INTERNAL_H

#include "base/vec.h"
#include "expr/expr.h"
#include "index/column.h"
#include "rank/bind.h"
#include "rank/match.h"

struct qn_column;

/* ORDER FEATURES: names in bind_features.c. */
typedef enum qn_slot_kind {
    QN_SLOT_COLUMN,
    QN_SLOT_NESTED, /* a virtual attribute: an expression of its own */
    QN_SLOT_LIST,   /* the same values for every document */
    QN_SLOT_TO_STRING,
    QN_SLOT_STRING_REPLACE,
    QN_SLOT_VALUE_COUNT,
    QN_SLOT_BIT_STRUCT,
    QN_SLOT_IN_POLYGON,
    QN_SLOT_IN_QUERY_POLYGON,
    QN_SLOT_STATIC_BM25,
    QN_SLOT_BM25,
    QN_SLOT_BM25_PLAIN, /* HA3's bm25_score(): bm25() times k1 + 1 */
    QN_SLOT_TFIDF,
    QN_SLOT_EXACT_MATCH_BOOST,
    QN_SLOT_TEXT_RELEVANCE,
    QN_SLOT_FIELD_MATCH_WEIGHTED,
    QN_SLOT_FIELD_BM25,
    QN_SLOT_PROXIMITY,
    QN_SLOT_FIELD_MATCH_RATIO,
    QN_SLOT_QUERY_MATCH_RATIO,
    QN_SLOT_FIELD_TERM_MATCH_COUNT,
    QN_SLOT_QUERY_TERM_MATCH_COUNT,
    QN_SLOT_FIELD_LENGTH,
    QN_SLOT_WINDOW,
    QN_SLOT_PROXIMA,
    QN_SLOT_TAG_MATCH,
    QN_SLOT_RRF,
    QN_SLOT_LINEAR,
    QN_SLOT_FIRST_PHASE, /* from here on: facts of the run's documents */
    QN_SLOT_TEXT_SCORE,
    QN_SLOT_TEXT_Z,
    QN_SLOT_VECTOR_SCORE,
    QN_SLOT_VECTOR_Z,
    QN_SLOT_RECALL_SCORE,
    QN_SLOT_NEURAL_SCORE,
    QN_SLOT_NEURAL_LOGIT,
    QN_SLOT_NEURAL_Z,
} qn_slot_kind;

enum { QN_SLOT_FIELDS_MAX = 64 };

/* A field that a slot looks at, with the words asked of it, and the walk over the current
 * segment. */
typedef struct qn_slot_field {
    const qn_field *field;
    qn_match_words words;
    double boost;
    qn_match_walk *walk;
} qn_slot_field;

typedef struct qn_slot {
    qn_slot_kind kind;
    qn_expr_type type;
    bool multi;
    const qn_field *field; /* COLUMN, PROXIMA, TAG_MATCH, VECTOR_* */
    const qn_index_def *index;
    qn_slot_field *fields; /* text features */
    size_t field_count;
    size_t *
        group_ends; /* STATIC_BM25: fields [group_ends[g-1], group_ends[g]) are one index */
    size_t group_count;
    bool flag;       /* WINDOW: in order; TEXT_RELEVANCE: greatest; BOOST: sum */
    double fallback; /* PROXIMA */
    qn_rank_key *nested;
    struct qn_slot_bm25 *bm25;
    struct qn_slot_tags *tags;
    struct qn_slot_shapes *shapes;
    struct qn_slot_fusion *fusion;
    size_t model; /* NEURAL_*: in qn_binding.models; SIZE_MAX: the neural stage's */
    qn_expr_list list; /* LIST */
    qn_slice replaced; /* STRING_REPLACE */
    char replacement;
    void *items; /* room for the values of a multi-value column, one run */
    size_t item_capacity;

    /* COLUMN: as it is in that segment; `absent`: nowhere. */
    qn_column column;
    size_t column_segment; /* SIZE_MAX: of none yet */
    bool absent;

    /* Where the walks stand: reopened for another segment or a document further back. */
    size_t walk_segment; /* SIZE_MAX: nowhere */
    uint32_t walk_doc;
} qn_slot;

/* Everything that compiled expressions of a request share: what is bound, and where the
 * evaluation stands. */
typedef struct qn_binding {
    const qn_rank_input *in;
    qn_arena *arena;
    qn_match_words words;
    QN_VEC(qn_slot) slots;
    qn_error warnings[8];
    size_t warning_count;
    qn_rank_model_ask models[QN_RANK_MODELS_MAX];
    size_t model_count;
    bool asks_stage_model; /* neural_score() and the like, without a name */
    bool asks_recall;      /* a slot is one of recall's scores */
    unsigned nesting;      /* of virtual attributes */
    bool no_memory;        /* why a name was not found */
    qn_error failure;      /* the same: what is wrong with a virtual attribute */

    /* The run in progress. */
    size_t segment;
    const uint32_t *docs; /* facts are parallel to these */
    size_t doc_count;
    const qn_rank_facts *facts;
} qn_binding;

/* ---- bind_names.c ------------------------------------------------------------------- */

QN_MUST_CHECK qn_status qn_binding_init(qn_binding *b, const qn_rank_input *in,
                                        qn_arena *arena, qn_error *err);
void qn_binding_deinit(qn_binding *b);
/* The environment to compile with; ctx is the binding. */
qn_expr_env qn_binding_env(qn_binding *b, unsigned where);
/* load() of qn_expr_batch; ctx is the binding. */
qn_status qn_binding_load(void *ctx, uint32_t slot, const uint32_t *docs, size_t n,
                          qn_expr_values *out, qn_error *err);
/* Its values are recall's own: scores, or places by them. */
bool qn_slot_is_recall(const qn_slot *slot);
/* Adds a slot and describes it as a symbol. */
QN_MUST_CHECK qn_status qn_binding_add(qn_binding *b, const qn_slot *slot,
                                       qn_expr_symbol *out, qn_error *err);

/* The value of a pair of the request, the last of that key; false: there is none. */
bool qn_binding_kvpair(const qn_binding *b, qn_slice key, qn_slice *value);
/* true or false, bare or in quotes. */
QN_MUST_CHECK qn_status qn_binding_flag(const qn_expr_arg *arg, bool *out,
                                        qn_error *err);
/* The attribute that an argument names. */
QN_MUST_CHECK qn_status qn_binding_attribute(const qn_binding *b,
                                             const qn_expr_arg *arg,
                                             const qn_field **out, qn_error *err);
/* The column of a field in the current segment; *there is false where no document of it
 * has a value. */
QN_MUST_CHECK qn_status qn_binding_column(const qn_binding *b, const qn_field *field,
                                          struct qn_column *out, bool *there,
                                          qn_error *err);

/* ---- bind.c: a formula's insides, for its trace ------------------------------------------ */

struct qn_rank_parts; /* its sub-expressions, compiled; bind_trace.c */

qn_binding *qn_rank__formula_binding(qn_rank_formula *f);
const qn_expr *qn_rank__formula_expr(const qn_rank_formula *f);
struct qn_rank_parts **qn_rank__formula_parts(qn_rank_formula *f);
unsigned qn_rank__formula_where(const qn_rank_formula *f);
qn_expr_batch qn_rank__formula_batch(qn_rank_formula *f, size_t segment,
                                     const uint32_t *docs, size_t n,
                                     const qn_rank_facts *facts);
void qn_rank__parts_close(QN_NULLABLE struct qn_rank_parts *parts);

/* ---- bind_features.c ------------------------------------------------------------------ */

/* resolve_call() of qn_expr_env. */
qn_status qn_binding_call(void *ctx, qn_slice function, const qn_expr_arg *args,
                          size_t n, uint64_t at, qn_expr_symbol *out, qn_error *err);
/* Values of a feature slot for ascending documents of the current segment. */
QN_MUST_CHECK qn_status qn_binding_feature(qn_binding *b, qn_slot *slot,
                                           const uint32_t *docs, size_t n, double *out,
                                           qn_error *err);
/* Makes the slot's walks stand in the current segment, at or before `doc`. */
QN_MUST_CHECK qn_status qn_slot_walks(qn_binding *b, qn_slot *slot, uint32_t doc,
                                      bool positions, qn_error *err);

/* ---- bind_bm25.c ----------------------------------------------------------------------- */

QN_MUST_CHECK qn_status qn_slot_bm25_make(qn_binding *b, qn_slot *slot, qn_error *err);
/* It is the text score of recall. */
bool qn_slot_bm25_is_text_score(const qn_slot *slot);
QN_MUST_CHECK qn_status qn_slot_bm25_value(qn_binding *b, qn_slot *slot, uint32_t doc,
                                           double *out, qn_error *err);

/* ---- bind_tags.c ----------------------------------------------------------------------- */

QN_MUST_CHECK qn_status qn_slot_tags_make(qn_binding *b, qn_slot *slot,
                                          const qn_expr_arg *args, size_t n,
                                          qn_error *err);
/* category_score(field): the categories of the request as tags. */
QN_MUST_CHECK qn_status qn_slot_category_make(qn_binding *b, qn_slot *slot,
                                              const qn_expr_arg *args, qn_error *err);
QN_MUST_CHECK qn_status qn_slot_tags_values(qn_binding *b, const qn_slot *slot,
                                            const uint32_t *docs, size_t n, double *out,
                                            qn_error *err);

/* ---- bind_shapes.c --------------------------------------------------------------------- */

QN_MUST_CHECK qn_status qn_slot_shapes_make(qn_binding *b, qn_slot *slot,
                                            const qn_expr_arg *args, size_t n,
                                            qn_error *err);
QN_MUST_CHECK qn_status qn_slot_shapes_values(qn_binding *b, const qn_slot *slot,
                                              const uint32_t *docs, size_t n,
                                              double *out, qn_error *err);

/* ---- bind_params.c --------------------------------------------------------------------- */

bool qn_binding_is_param(qn_slice function);
QN_MUST_CHECK qn_status qn_binding_param(qn_binding *b, qn_slice function,
                                         const qn_expr_arg *args, size_t n,
                                         qn_expr_symbol *out, qn_error *err);
QN_MUST_CHECK qn_status qn_slot_text_make(qn_binding *b, qn_slot *slot,
                                          const qn_expr_arg *args, size_t n,
                                          qn_error *err);
QN_MUST_CHECK qn_status qn_slot_text_values(qn_binding *b, const qn_slot *slot,
                                            const uint32_t *docs, size_t n,
                                            qn_slice *out, qn_error *err);
QN_MUST_CHECK qn_status qn_slot_count_values(qn_binding *b, const qn_slot *slot,
                                             const uint32_t *docs, size_t n,
                                             double *out, qn_error *err);

/* ---- bind_fusion.c --------------------------------------------------------------------- */

QN_MUST_CHECK qn_status qn_slot_fusion_make(qn_binding *b, qn_slot *slot,
                                            const qn_expr_arg *args, size_t n,
                                            qn_error *err);
QN_MUST_CHECK qn_status qn_slot_fusion_values(qn_binding *b, const qn_slot *slot,
                                              const uint32_t *docs, size_t n,
                                              double *out, qn_error *err);

/* ---- bind_neural.c --------------------------------------------------------------------- */

/* neural_score([model]) and its kin; text_relevance_llm(model, fields). */
QN_MUST_CHECK qn_status qn_slot_neural_make(qn_binding *b, qn_slot *slot,
                                            qn_slice function, const qn_expr_arg *args,
                                            size_t n, qn_error *err);
double qn_slot_neural_value(const qn_binding *b, const qn_slot *slot, size_t fact);
/* (value - mean) / deviation; what was not scored counts as the least. */
double qn_slot_standardised(double value, QN_NULLABLE const qn_rank_spread *spread);

#endif
