/* SPDX-License-Identifier: Apache-2.0 */
/* engine/control/analyses.h -- the query analysis of tables, made ready for searches and kept.
 *
 *     control.db: rules, dictionaries --compiled--> set of a table --acquired--> searches
 *     documents --------------------words of them-> spelling dictionary
 *
 * A set is compiled when a search first needs it and again when a record or the schema has
 * changed; who holds an old one goes on with it. A rule that cannot be compiled any more
 * (its dictionary was dropped) is in the set with what is wrong.
 *
 * The spelling dictionary is made of the words in the table's text fields, of at most
 * QN_ANALYSES_SAMPLE_DOCS documents evenly taken, and made again when the table has grown
 * or shrunk by an eighth, on a thread of its own. A search that finds none or an old one
 * asks for it, waits for a part of its time, and goes on with what there is then.
 *
 * Lifetime   sets are counted.
 * Threads    any. */
#ifndef QN_ENGINE_ANALYSES_H
#define QN_ENGINE_ANALYSES_H

#include "engine/table/table.h"
#include "query/analysis/analysis.h"

enum {
    QN_ANALYSES_SAMPLE_DOCS = 10000,
    QN_ANALYSES_SAMPLE_BYTES = 1 << 24, /* of text */
    QN_ANALYSES_WAIT_MS = 1000,         /* of one search, for words being gathered */
};

typedef struct qn_analyses qn_analyses;

typedef struct qn_analysis_rule {
    qn_slice name;
    qn_qa_compiled *compiled; /* NULL: `error` says why not */
    qn_error error;
} qn_analysis_rule;

typedef struct qn_analysis_words {
    atomic_uint refs;
    qn_alloc *alloc;
    qn_spelling *spelling;
    bool sampled;
    uint64_t live_count, generation;
} qn_analysis_words;

typedef struct qn_analysis_set {
    atomic_uint refs;
    qn_alloc *alloc;
    qn_arena arena;
    char *table;
    uint64_t generation;
    size_t field_count;
    qn_analysis_rule *rules;
    size_t rule_count;
} qn_analysis_set;

QN_MUST_CHECK qn_status qn_analyses_create(qn_alloc *a, QN_OWNED qn_analyses **out,
                                           qn_error *err);
void qn_analyses_destroy(QN_OWNED QN_NULLABLE qn_analyses *a);

/* The rules of a table; *out NULL when it has none. */
QN_MUST_CHECK qn_status qn_analyses_acquire(quern *q, const char *table,
                                            const qn_schema *schema,
                                            QN_NULLABLE qn_analysis_set **out,
                                            qn_error *err);
void qn_analysis_set_release(QN_OWNED QN_NULLABLE qn_analysis_set *set);
/* NULL when there is none of that name. */
QN_NULLABLE const qn_analysis_rule *qn_analysis_set_find(const qn_analysis_set *set,
                                                         qn_slice name);

/* The words of a table as of now or some time before; *out NULL when there was no time to
 * gather them. */
QN_MUST_CHECK qn_status qn_analyses_words(quern *q, const char *table,
                                          QN_NULLABLE qn_analysis_set *set,
                                          qn_table_snapshot *snapshot,
                                          const qn_deadline *deadline,
                                          QN_NULLABLE qn_analysis_words **out,
                                          qn_error *err);
void qn_analysis_words_release(QN_OWNED QN_NULLABLE qn_analysis_words *w);

/* Compiles a rule that is not stored, with the dictionaries that are. */
QN_MUST_CHECK qn_status qn_analyses_compile(quern *q, const char *table,
                                            const qn_schema *schema, qn_slice name,
                                            qn_slice body,
                                            QN_OWNED qn_qa_compiled **out,
                                            qn_error *err);

#endif
