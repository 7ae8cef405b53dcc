/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_internal.h -- a scorer's insides: what its native methods work on. */
#ifndef QN_RANK_PLUGIN_INTERNAL_H
#define QN_RANK_PLUGIN_INTERNAL_H

#include "rank/bind_internal.h"
#include "rank/plugin.h"

enum {
    QN_PLUGIN_FEATURES_MAX = 256,
    QN_PLUGIN_ATTRIBUTES_MAX = 256,
    QN_PLUGIN_VARIABLES_MAX = 64,
    QN_PLUGIN_FORMULA_MAX = 2048,
    QN_PLUGIN_LOG_MAX = 16384, /* bytes of one document's trace */
    QN_PLUGIN_FIELDS_MAX = 16, /* of BM25F */
};

/* A feature object: a formula, computed for a block of documents when one asks. */
typedef struct qn_plugin_feature {
    qn_cava_make make;
    qn_slice text; /* the formula; BASIC: "" */
    qn_slice a, b; /* index and field, for those that have parameters */
    const qn_slice *fields;
    double weights[QN_PLUGIN_FIELDS_MAX];
    size_t field_count;
    double bm25, match, proximity; /* TextRelevance: weights of the parts */
    bool changed;
    qn_rank_formula *formula;
    uint64_t block; /* that `values` are of */
    double *values;
} qn_plugin_feature;

/* An attribute that was required. */
typedef struct qn_plugin_attribute {
    qn_slice name;
    const qn_field *field;
    bool is_point;
    qn_expr_symbol symbol;
    uint64_t block;
    qn_expr_values values; /* room for a block */
} qn_plugin_attribute;

typedef struct qn_plugin_variable {
    qn_slice name;
    int kind; /* of the library's `arg`: 0 long, 1 double; of references + 16 */
    bool is_integer, serialize;
    qn_cava_slot *values; /* by document */
} qn_plugin_variable;

struct qn_rank_scorer {
    const qn_rank_input *in;
    qn_arena *arena;
    const qn_rank_plugin *plugin;
    qn_cava_run *run;
    qn_binding binding;
    bool bound;
    qn_expr_env env;
    qn_error failure;
    bool starting; /* inside init() */
    bool match_values;
    uint64_t bad_docs;

    qn_plugin_feature features[QN_PLUGIN_FEATURES_MAX];
    size_t feature_count;
    qn_plugin_attribute attributes[QN_PLUGIN_ATTRIBUTES_MAX];
    size_t attribute_count;
    qn_plugin_variable variables[QN_PLUGIN_VARIABLES_MAX];
    size_t variable_count;

    qn_cava_slot basic, smart, object; /* of the plug-in's classes */
    qn_cava_slot params, doc;          /* what their methods are given */
    double basic_score;

    /* The run in progress. */
    size_t most, first, segment, n;
    const uint32_t *docs;
    const qn_rank_facts *facts;
    uint64_t block; /* counts blocks, from 1 */
    size_t block_begin, block_size, at;
    qn_buf log;
    qn_slice *logs; /* by document */
    bool *deleted;
};

/* The document that is scored, among those of the stage. */
static inline size_t qn_plugin_number(const qn_rank_scorer *s)
{
    return s->first + s->at;
}

/* ---- plugin_host.c ---------------------------------------------------------------------- */

qn_status qn_plugin__call(void *ctx, qn_cava_call *call, qn_error *err);
bool qn_plugin__is_name(qn_slice s);

/* ---- plugin_features.c ------------------------------------------------------------------ */

QN_MUST_CHECK qn_status qn_plugin__create(qn_rank_scorer *s, qn_cava_call *c,
                                          qn_error *err);
QN_MUST_CHECK qn_status qn_plugin__set(qn_rank_scorer *s, qn_cava_call *c,
                                       qn_error *err);
QN_MUST_CHECK qn_status qn_plugin__value(qn_rank_scorer *s, qn_cava_call *c,
                                         qn_error *err);

/* ---- plugin_attributes.c ---------------------------------------------------------------- */

/* DOC_* and REF_*. */
QN_MUST_CHECK qn_status qn_plugin__attribute(qn_rank_scorer *s, qn_cava_call *c,
                                             qn_error *err);
QN_MUST_CHECK qn_status qn_plugin__reference(qn_rank_scorer *s, qn_cava_call *c,
                                             qn_error *err);

/* ---- plugin_match.c --------------------------------------------------------------------- */

QN_MUST_CHECK qn_status qn_plugin__match(qn_rank_scorer *s, qn_cava_call *c,
                                         qn_error *err);

#endif
