/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_json.h -- members of an object, by a table. */
#ifndef QN_QUERY_ANALYSIS_JSON_H
#define QN_QUERY_ANALYSIS_JSON_H

#include "io/json.h"

typedef enum qn_qa_value {
    QN_QA_TEXT,  /* qn_slice */
    QN_QA_FLAG,  /* bool */
    QN_QA_WHOLE, /* int64_t, from min to max */
    QN_QA_SHARE, /* double, from min to max */
    QN_QA_NODE,  /* const qn_json * */
    QN_QA_ANY,   /* passed over */
} qn_qa_value;

typedef struct qn_qa_member {
    const char *key;
    qn_qa_value kind;
    void *out;
    double min, max;
} qn_qa_member;

/* What is read, for messages and places. */
typedef struct qn_qa_reader {
    qn_arena *arena;
    qn_slice text;
    const char *what; /* "query analysis", "dictionary" */
    qn_error *err;
} qn_qa_reader;

/* Every member of `v` goes where the table says (ended by a row without a key); an unknown
 * one is refused with the nearest name. */
QN_MUST_CHECK qn_status qn_qa__members(qn_qa_reader *r, const qn_json *v,
                                       const qn_qa_member *known);
/* Strings of an array; a single string is one. */
QN_MUST_CHECK qn_status qn_qa__strings(qn_qa_reader *r, QN_NULLABLE const qn_json *v,
                                       size_t most, const qn_slice **out,
                                       size_t *count);
/* "<what>: <text>" with the place of the node. */
QN_MUST_CHECK qn_status qn_qa__wrong(qn_qa_reader *r, qn_status code, const qn_json *v,
                                     const char *fmt, ...) QN_PRINTF(4, 5);

#endif
