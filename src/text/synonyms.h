/* SPDX-License-Identifier: Apache-2.0 */
/* text/synonyms.h -- which words stand for which: rules in, alternatives out.
 *
 *     sneaker, trainer          each means the other         (expand; else: the first)
 *     tv, telly => television   one way: the left is replaced by the right
 *     s(100,1,'woods',n,1,0).   WordNet: one number, one meaning
 *
 * Both sides are cut by the analyzer that cuts the queries, so a rule and a query meet as
 * terms; sides may have several words. Looking up is greedy: at a place the longest left
 * side wins, then the search goes on behind it.
 *
 * Rules follow Lucene's SolrSynonymParser and WordnetSynonymParser, with one difference: a
 * side may contain words that the analyzer drops ("bank of america"); its terms keep their
 * distances.
 *
 * Lifetime   owns all it needs; the analyzer must last as long.
 * Threads    adding: one; looking up: any number.
 * Errors     QN_ESYNTAX naming line and side; QN_ELIMIT over a limit below. After a
 *            failure the set holds the rules before the wrong one. */
#ifndef QN_TEXT_SYNONYMS_H
#define QN_TEXT_SYNONYMS_H

#include "text/analyzer.h"

enum {
    QN_SYNONYM_RULES_MAX = 100000,  /* lines and added pairs of one set */
    QN_SYNONYM_SIDES_MAX = 256,     /* of one line, and alternatives of one left side */
    QN_SYNONYM_TERMS_MAX = 16,      /* of one side */
    QN_SYNONYM_LINKS_MAX = 1 << 22, /* left side to right side, all together */
};

typedef enum qn_synonym_format {
    QN_SYNONYMS_SOLR,
    QN_SYNONYMS_WORDNET
} qn_synonym_format;

typedef struct qn_synonym_options {
    qn_synonym_format format;
    bool first_only; /* `a, b`: all become the first; else each also means the others */
    bool lenient;    /* a side that the analyzer empties is dropped; else an error */
} qn_synonym_options;

typedef struct qn_synonym_term {
    qn_slice bytes;
    uint32_t position; /* from 0 */
} qn_synonym_term;

/* One side of a rule. */
typedef struct qn_synonym {
    const qn_synonym_term *terms;
    size_t count;
} qn_synonym;

typedef struct qn_synonyms qn_synonyms;

QN_MUST_CHECK qn_status qn_synonyms_create(qn_alloc *a, const qn_analyzer *analyzer,
                                           QN_OWNED qn_synonyms **out, qn_error *err);
void qn_synonyms_destroy(QN_OWNED QN_NULLABLE qn_synonyms *s);

/* A file's worth of lines. */
QN_MUST_CHECK qn_status qn_synonyms_add_text(qn_synonyms *s, qn_slice text,
                                             const qn_synonym_options *options,
                                             qn_error *err);
/* `from` also means (keep) or becomes `to`. */
QN_MUST_CHECK qn_status qn_synonyms_add(qn_synonyms *s, qn_slice from, qn_slice to,
                                        bool keep, qn_error *err);
/* `from` does not mean `to`, whatever was added before. */
QN_MUST_CHECK qn_status qn_synonyms_remove(qn_synonyms *s, qn_slice from, qn_slice to,
                                           qn_error *err);

/* What stands for the longest left side that `terms` begins with. */
typedef struct qn_synonym_match {
    size_t length; /* terms of the left side */
    bool keep;     /* the left side itself still counts */
    size_t count;  /* alternatives: qn_synonyms_at(s, match, i) */

    /* Private to synonyms.c. */
    const uint32_t *ids;
} qn_synonym_match;

/* false when no left side begins here. */
bool qn_synonyms_match(const qn_synonyms *s, const qn_slice *terms, size_t n,
                       qn_synonym_match *out);
qn_synonym qn_synonyms_at(const qn_synonyms *s, const qn_synonym_match *match,
                          size_t i);

/* Left sides. */
size_t qn_synonyms_count(const qn_synonyms *s);

#endif
