/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_internal.h -- what the files of this folder share. */
#ifndef QN_QUERY_ANALYSIS_INTERNAL_H
#define QN_QUERY_ANALYSIS_INTERNAL_H

#include "base/map.h"
#include "base/vec.h"
#include "io/json.h"
#include "query/analysis/analysis.h"

/* Runs of terms, each with a number: the longest that begins at a place. */
typedef struct qn_qa_runs {
    qn_map map;
    size_t longest;
} qn_qa_runs;

/* false when out of memory. A run of no terms is passed over. */
bool qn_qa__runs_put(qn_qa_runs *r, const qn_slice *terms, size_t n, size_t value);
bool qn_qa__runs_find(const qn_qa_runs *r, const qn_slice *terms, size_t n,
                      size_t *length, size_t *value);

/* What depends on how an index cuts its texts. */
typedef struct qn_qa_cut {
    const qn_analyzer *analyzer;
    QN_NULLABLE qn_synonyms *synonyms;
    qn_map stops; /* term -> 1; 0: no stop word, whatever the system says */
    qn_qa_runs weights, names; /* -> entry of the dictionary */
} qn_qa_cut;

struct qn_qa_compiled {
    qn_alloc *alloc;
    qn_arena arena;
    qn_slice name;
    const qn_qa_rule *rule;
    const qn_qa_dictionary *dictionaries[QN_QA_STEP_COUNT]; /* NULL: none */
    qn_qa_cut *cuts;
    size_t cut_count;
    const qn_analyzer *words; /* `standard`: for whole queries and typed words */
    qn_qa_runs corrections, categories; /* -> entry */
};

/* NULL when the rule knows no target cut that way. */
const qn_qa_cut *qn_qa__cut_of(const qn_qa_compiled *c, const qn_analyzer *analyzer);
/* Is the rule about the target, and the step on for it? */
bool qn_qa__applies(const qn_qa_run *run, const qn_qa_compiled *c,
                    const qn_leaf_target *t);
bool qn_qa__step_on(const qn_qa_run *run, const qn_qa_compiled *c, qn_qa_step step,
                    qn_slice index);

/* Terms of a text, one a place; positions may be NULL. */
QN_MUST_CHECK qn_status qn_qa__terms(qn_arena *arena, const qn_analyzer *analyzer,
                                     qn_slice text, qn_slice **terms, size_t *n,
                                     qn_error *err);

/* Words nobody looks for, NULL-terminated; and those that are parts of other words where
 * an analyzer cuts by characters. */
extern const char *const qn_qa__stop_words[], *const qn_qa__stop_particles[];

/* ---- the account ------------------------------------------------------------------------- */

/* Of one text, cut one way. */
typedef struct qn_qa_report {
    struct qn_qa_report *next;
    const qn_analyzer *analyzer;
    qn_slice text, corrected; /* corrected: "" when nothing was to correct */
    bool sure;                /* it is what was searched */
    const qn_slice *indexes;
    size_t index_count;
    qn_slice told, rewritten; /* steps as JSON objects, commas between; a tree */
} qn_qa_report;

/* Spelling of a text: report->corrected and ->sure; what was done goes to `w`. */
QN_MUST_CHECK qn_status qn_qa__spell(qn_qa_run *run, const qn_leaf_target *t,
                                     qn_qa_report *report, qn_json_writer *w,
                                     qn_error *err);

#endif
