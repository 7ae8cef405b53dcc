/* SPDX-License-Identifier: Apache-2.0 */
/* bind_internal.h -- slots: what the inputs of an expression stand for. */
#ifndef QN_RANK_BIND_INTERNAL_H
#define QN_RANK_BIND_INTERNAL_H

#include "base/vec.h"
#include "expr/expr.h"
#include "rank/bind.h"
#include "rank/match.h"

/* ORDER FEATURES: names in bind_features.c. */
typedef enum qn_slot_kind {
    QN_SLOT_COLUMN,
    QN_SLOT_NESTED, /* a virtual attribute: an expression of its own */
    QN_SLOT_STATIC_BM25,
    QN_SLOT_BM25,
    QN_SLOT_EXACT_MATCH_BOOST,
    QN_SLOT_TEXT_RELEVANCE,
    QN_SLOT_PROXIMITY,
    QN_SLOT_FIELD_MATCH_RATIO,
    QN_SLOT_QUERY_MATCH_RATIO,
    QN_SLOT_FIELD_TERM_MATCH_COUNT,
    QN_SLOT_QUERY_TERM_MATCH_COUNT,
    QN_SLOT_FIELD_LENGTH,
    QN_SLOT_WINDOW,
    QN_SLOT_PROXIMA,
    QN_SLOT_TAG_MATCH,
    QN_SLOT_FIRST_PHASE,
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
    unsigned nesting; /* of virtual attributes */
    bool no_memory;   /* why a name was not found */

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
/* Adds a slot and describes it as a symbol. */
QN_MUST_CHECK qn_status qn_binding_add(qn_binding *b, const qn_slot *slot,
                                       qn_expr_symbol *out, qn_error *err);

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
QN_MUST_CHECK qn_status qn_slot_bm25_value(qn_binding *b, qn_slot *slot, uint32_t doc,
                                           double *out, qn_error *err);

/* ---- bind_tags.c ----------------------------------------------------------------------- */

QN_MUST_CHECK qn_status qn_slot_tags_make(qn_binding *b, qn_slot *slot,
                                          const qn_expr_arg *args, size_t n,
                                          qn_error *err);
QN_MUST_CHECK qn_status qn_slot_tags_values(qn_binding *b, const qn_slot *slot,
                                            const uint32_t *docs, size_t n, double *out,
                                            qn_error *err);

#endif
