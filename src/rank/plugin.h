/* SPDX-License-Identifier: Apache-2.0 */
/* rank/plugin.h -- a Cava program as the scorer of a stage.
 *
 *     program --describe--> its entry points --open, once a request--> init()
 *         --run, for each segment--> score() or process() per document
 *
 * Two families of entry points. *Ops*: class users.scorer.BasicSimilarityScorer (or
 * IntelligenceAlgorithmScorer, which then has the last word) with init() and score().
 * *HA3*: any class with init(ScorerProvider) and process(MatchDoc). Features are formulas:
 * TextRelevance.create(params, "title", "title") is text_relevance(title,title), and so
 * on, so that a feature means the same wherever it stands.
 *
 * When a plug-in fails the search does not:
 *   Ops   init() that returns false refuses the request. After any other failure the
 *         documents not yet scored count as not fine-sorted; a warning says why.
 *   HA3   every document that is not scored yet scores 0; a warning says why.
 *
 * Lifetime   a scorer borrows input, plug-in and arena.
 * Threads    one scorer, one thread.
 * Errors     QN_EPLUGIN: the request is refused; damage; no memory. */
#ifndef QN_RANK_PLUGIN_H
#define QN_RANK_PLUGIN_H

#include "expr/cava/cava.h"
#include "rank/bind.h"

typedef enum qn_plugin_style { QN_PLUGIN_OPS, QN_PLUGIN_HA3 } qn_plugin_style;

/* What qn_rank_plugin_describe() found. */
struct qn_rank_plugin {
    qn_slice name;
    uint32_t version;
    const qn_cava_program *program;
    qn_plugin_style style;
    qn_cava_class_name class_name;  /* HA3 */
    size_t basic_init, basic_score; /* OPS; SIZE_MAX: no such class */
    size_t smart_init, smart_score;
    size_t init, process; /* HA3; init may be SIZE_MAX */
    bool turing;          /* HA3: init() takes the provider of suez.turing */
    size_t heap_bytes;    /* of a run; 0: the default */
    uint64_t fuel;
};
typedef struct qn_rank_plugin qn_rank_plugin;

/* Finds the entry points; `class_name` "": any. QN_EPLUGINCODE with what is missing. */
QN_MUST_CHECK qn_status qn_rank_plugin_describe(const qn_cava_program *program,
                                                qn_slice class_name,
                                                qn_rank_plugin *out, qn_error *err);

/* A variable that the plug-in declared to be returned with the document. */
struct qn_plugin_value {
    qn_slice name;
    bool is_integer;
    int64_t i64;
    double f64;
};
typedef struct qn_plugin_value qn_plugin_value;

typedef struct qn_rank_scorer qn_rank_scorer;

/* `most`: documents that will be scored. */
QN_MUST_CHECK qn_status qn_rank_scorer_open(const qn_rank_input *in, qn_arena *arena,
                                            const qn_rank_plugin *plugin, size_t most,
                                            QN_OWNED qn_rank_scorer **out,
                                            qn_error *err);
void qn_rank_scorer_close(QN_OWNED QN_NULLABLE qn_rank_scorer *s);
/* As qn_rank_formula_run(); `first` counts the documents of the runs before. NaN: not
 * scored, the plug-in was stopped. */
QN_MUST_CHECK qn_status qn_rank_scorer_run(qn_rank_scorer *s, size_t first,
                                           size_t segment, const uint32_t *docs,
                                           size_t n, const qn_rank_facts *facts,
                                           double *out, qn_error *err);
/* Why it was stopped; code QN_OK: it was not. */
const qn_error *qn_rank_scorer_failure(const qn_rank_scorer *s);
uint64_t qn_rank_scorer_bad_docs(const qn_rank_scorer *s);
/* The document of that number: the lines it traced, the variables to be returned with it,
 * whether it was deleted. All in the arena. */
qn_slice qn_rank_scorer_log(const qn_rank_scorer *s, size_t number);
const qn_plugin_value *qn_rank_scorer_values(const qn_rank_scorer *s, size_t number,
                                             size_t *n);
bool qn_rank_scorer_deleted(const qn_rank_scorer *s, size_t number);

#endif
