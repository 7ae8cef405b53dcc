/* SPDX-License-Identifier: Apache-2.0 */
/* query/analysis/analysis.h -- query analysis: what a person typed becomes what is looked
 * for.
 *
 *     "the sneekers for runing"
 *        spell_check      sneekers -> sneakers, runing -> running
 *        (the index's own analyzer cuts it into terms)
 *        stop_word        without "the", "for"
 *        ner, term_weighting   7, 4 or 1 a term; those of 1 need not be there
 *        synonym          sneakers or trainers
 *        rewrite          all terms; when too few documents are found, any of them
 *     (and (or sneakers trainers) running)     then (or sneakers trainers running)
 *
 * A RULE says which of these steps are taken, for which indexes and with which
 * DICTIONARIES; both are JSON, with the hosted product's keys. A compiled rule belongs to a
 * table. A RUN is one request: some rules one after the other, what is switched off, which
 * attempt it is, and the account of what was done. The front ends know nothing of it: it
 * stands behind qn_query_env.analyse, which qn_leaf_text() asks.
 *
 * Lifetime   rules and dictionaries live in the arena they were parsed into, texts
 *            included; a compiled rule owns all of it but schema, analyzers and spelling
 *            dictionary; a run and what it makes live in the request's arena.
 * Threads    compiled rules are read by any number; a run belongs to one request.
 * Errors     QN_EJSON, QN_EINVAL and QN_ELIMIT with the place in the text. */
#ifndef QN_QUERY_ANALYSIS_ANALYSIS_H
#define QN_QUERY_ANALYSIS_ANALYSIS_H

#include "query/leaf.h"
#include "text/spelling.h"
#include "text/synonyms.h"

enum {
    QN_QA_TEXT_MAX = 8192,     /* longer texts are left alone */
    QN_QA_WORDS_MAX = 256,     /* so are texts of more words */
    QN_QA_RULES_MAX = 8,       /* of one request */
    QN_QA_INDEXES_MAX = 64,    /* of one rule */
    QN_QA_ENTRIES_MAX = 20000, /* of one dictionary */
    QN_QA_ITEMS_MAX = 256,     /* aliases, tokens, categories of one entry */
    QN_QA_WORD_BYTES_MAX = 256,
    QN_QA_ATTEMPTS_MAX = 3,
    QN_QA_RETRY_BELOW_DEFAULT = 10,
    QN_QA_CATEGORIES_MAX = 32, /* found for one query */
};

/* A step, and the type of its dictionaries. ORDER STEPS: qn_qa_steps. */
typedef enum qn_qa_step {
    QN_QA_SPELL,
    QN_QA_STOP,
    QN_QA_NER,
    QN_QA_WEIGHT,
    QN_QA_SYNONYM,
    QN_QA_CATEGORY,
    QN_QA_STEP_COUNT,
} qn_qa_step;

typedef struct qn_qa_step_info {
    const char *processor; /* "spell_check" */
    const char *type;      /* of its dictionaries: "correction" */
} qn_qa_step_info;
extern const qn_qa_step_info qn_qa_steps[QN_QA_STEP_COUNT];

/* How terms are joined. */
typedef enum qn_qa_join {
    QN_QA_AND,  /* all but those of weight 1 */
    QN_QA_HIGH, /* those of weight 7; the others add to the score */
    QN_QA_OR,   /* any but those of weight 1 */
} qn_qa_join;
const char *qn_qa_join_name(qn_qa_join join);

/* ---- rules ------------------------------------------------------------------------------ */

typedef struct qn_qa_processor {
    bool on, use_system;
    qn_slice dictionary; /* "" none */
    /* spell_check */
    double confidence; /* corrected from here on, suggested below */
    unsigned edits_max;
    bool suggest_only;
    /* category_prediction */
    qn_slice field;
    double boost;
    /* ner: what a tag counts for; 7, 4, 1 for HIGH, MIDDLE, LOW */
    const struct qn_qa_item *priorities;
    size_t priority_count;
} qn_qa_processor;

typedef struct qn_qa_rule {
    qn_slice name, domain;
    bool active; /* also for requests that name no rule */
    bool dsl;    /* also for match queries of the DSL */
    const qn_slice *indexes;
    size_t index_count; /* 0: every text index */
    qn_qa_processor steps[QN_QA_STEP_COUNT];
    qn_qa_join joins[QN_QA_ATTEMPTS_MAX];
    size_t join_count; /* 0: what the request says, then OR */
    uint32_t retry_below;
} qn_qa_rule;

/* {"name","domain","processors":[{"name":"stop_word","use_system_dictionary":true,
 * "intervention_dictionary":"d"}],"indexes":["default"],"active":true,
 * "rewrite":["AND","OR"],"retry_below":10} */
QN_MUST_CHECK qn_status qn_qa_rule_parse(qn_arena *arena, qn_slice text,
                                         const qn_qa_rule **out, qn_error *err);

/* ---- dictionaries ------------------------------------------------------------------------ */

/* A token with its weight, a tag with its priority, a category with its relevance. */
typedef struct qn_qa_item {
    qn_slice key, tag;
    int32_t value;
} qn_qa_item;

typedef struct qn_qa_entry {
    qn_slice word;
    qn_slice raw; /* as written */
    bool active;
    bool on;             /* stopword; a correction's "enabled" */
    bool partial;        /* NER: anywhere in the query, not the whole of it alone */
    qn_slice correction; /* "" none */
    const qn_slice *aliases, *not_aliases;
    size_t alias_count, not_alias_count;
    const qn_qa_item *items;
    size_t item_count;
} qn_qa_entry;

typedef struct qn_qa_dictionary {
    qn_qa_step step;
    const qn_qa_entry *entries; /* no word twice */
    size_t entry_count;
    qn_slice text; /* synonym: rules; correction: lines `word count` */
    qn_synonym_options format;
} qn_qa_dictionary;

/* {"type":"synonym","entries":[{"cmd":"add","word":"kfc","alias":["x"]}],
 *  "format":"solr","text":"a, b => c"} */
QN_MUST_CHECK qn_status qn_qa_dictionary_parse(qn_arena *arena, qn_slice text,
                                               const qn_qa_dictionary **out,
                                               qn_error *err);
/* The same after `changes`, a JSON array of entries with "cmd":"add" or "delete". The new
 * body goes to `out`. */
QN_MUST_CHECK qn_status qn_qa_dictionary_change(qn_arena *arena, qn_slice text,
                                                qn_slice changes, qn_buf *out,
                                                qn_error *err);

/* ---- compiled --------------------------------------------------------------------------- */

typedef struct qn_qa_compiled qn_qa_compiled;

typedef struct qn_qa_compiler {
    qn_slice name; /* of the rule, for accounts */
    const qn_schema *schema;
    const qn_analyzers *analyzers;
    /* The body of a dictionary of the table, by name; valid until compiled. */
    qn_status (*dictionary)(void *ctx, qn_slice name, qn_slice *body, qn_error *err);
    void *ctx;
} qn_qa_compiler;

/* QN_ENOTFOUND for a dictionary that is not there; QN_ENOFIELD, QN_EINDEXKIND for an index
 * that is not there or not of text. */
QN_MUST_CHECK qn_status qn_qa_compile(qn_alloc *a, const qn_qa_compiler *compiler,
                                      qn_slice rule, QN_OWNED qn_qa_compiled **out,
                                      qn_error *err);
void qn_qa_compiled_destroy(QN_OWNED QN_NULLABLE qn_qa_compiled *c);
const qn_qa_rule *qn_qa_compiled_rule(const qn_qa_compiled *c);
qn_slice qn_qa_compiled_name(const qn_qa_compiled *c);
/* Words that its correction dictionary adds to those of the table. */
QN_MUST_CHECK qn_status qn_qa_add_words(const qn_qa_compiled *c, qn_spelling *spelling,
                                        qn_error *err);

/* ---- one request ------------------------------------------------------------------------- */

/* What is switched off: `disable=qp`, `qp:stop_word`, `qp:stop_word:index1|index2`. */
typedef struct qn_qa_switch {
    int step;       /* -1: all */
    qn_slice index; /* "" all */
} qn_qa_switch;

typedef struct qn_qa_category {
    qn_slice id;
    int32_t relevance; /* 1 or 2 */
    const qn_qa_processor *processor;
} qn_qa_category;

typedef struct qn_qa_run {
    qn_arena *arena;
    const qn_analyzers *analyzers;
    const qn_qa_compiled *const *rules;
    size_t rule_count;
    const qn_qa_switch *off;
    size_t off_count;
    /* Of words of the table; NULL: no spelling. */
    QN_NULLABLE const qn_spelling *spelling;
    bool spelling_sampled; /* it has not seen all documents */
    /* Documents with the term in the target, and documents altogether; may be NULL. */
    qn_status (*frequency)(void *ctx, const qn_leaf_target *t, qn_slice term,
                           uint64_t *documents, uint64_t *of, qn_error *err);
    void *ctx;
    size_t attempt; /* 0, 1, ... */
    bool once;      /* one attempt, joined as the request says */

    /* Out. */
    size_t attempt_count; /* how many there are, for the texts seen */
    uint32_t retry_below; /* the greatest of the rules used */
    qn_qa_join joined;    /* of the text seen last */
    struct qn_qa_report *reports;
} qn_qa_run;

/* `off` of a run, from the value of `disable`; what names nothing of query analysis is
 * passed over. QN_EINVAL for a step that there is not. */
QN_MUST_CHECK qn_status qn_qa_switches_parse(qn_arena *arena, qn_slice text,
                                             const qn_qa_switch **out, size_t *count,
                                             qn_error *err);

/* What qn_query_env.analyse is; ctx is the run. *done false: no rule is about the target,
 * or the text is over a limit. */
QN_MUST_CHECK qn_status qn_qa_analyse(void *ctx, qn_leaf_maker *m,
                                      const qn_leaf_target *t, qn_slice text,
                                      uint64_t at, const qn_leaf_match *how,
                                      qn_query **out, bool *done);

/* Categories that the rules predict for a whole query, at most QN_QA_CATEGORIES_MAX. */
QN_MUST_CHECK qn_status qn_qa_categories(qn_qa_run *run, qn_slice words,
                                         const qn_qa_category **out, size_t *count,
                                         qn_error *err);
/* The text as it was searched: the correction of `text` when there was a sure one. */
qn_slice qn_qa_corrected(const qn_qa_run *run, qn_slice text);

/* The first text that was analysed; "" when none was. */
qn_slice qn_qa_first_text(const qn_qa_run *run);

typedef struct qn_qa_correction {
    qn_slice index, text, corrected;
    bool sure; /* it was searched; else it is a suggestion */
} qn_qa_correction;
/* One an index and text; returns how many there are, fills at most `most`. */
size_t qn_qa_corrections(const qn_qa_run *run, QN_NULLABLE qn_qa_correction *out,
                         size_t most);

/* The account: [{"indexes":[],"original_query","corrected_query","correction_level",
 * "steps":[...],"rewritten":"(and ...)"}] as a JSON array. */
void qn_qa_report_json(const qn_qa_run *run, qn_buf *out);

#endif
