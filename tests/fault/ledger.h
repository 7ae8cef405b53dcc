/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h -- what a table may hold after calls that succeeded and calls that failed.
 *
 * For each id the ledger keeps every value that the table is allowed to show. An
 * operation that was acknowledged takes all of them a step further; one that failed
 * leaves the old ones and adds the new ones, since it may have reached the disk before it
 * failed. A value is a whole document: half of one is none of them. */
#ifndef QN_FAULT_LEDGER_H
#define QN_FAULT_LEDGER_H

#include "quern/quern.h"

enum {
    LEDGER_IDS = 40,
    LEDGER_WORDS = 7,
    LEDGER_CANDIDATES = 64,
    LEDGER_SOURCE_MAX = 256,
};

typedef struct ledger_value {
    bool there;
    int n;    /* the field "n" */
    int word; /* text, keywords and all else derive from it; -1: only "n" is there */
    int v;    /* n at the time when the vector was written */
} ledger_value;

typedef struct ledger_set {
    ledger_value maybe[LEDGER_CANDIDATES];
    int count;
} ledger_set;

typedef struct ledger {
    ledger_set ids[LEDGER_IDS];
    bool table_made, table_maybe; /* its creation was acknowledged; was tried */
} ledger;

typedef struct ledger_op {
    quern_op_kind kind;
    int id, n, word;
} ledger_op;

/* The schema that fits the documents. */
extern const char ledger_schema[];

void ledger_init(ledger *l);
/* The operation's source, and `id` as "d<id>". */
void ledger_op_source(const ledger_op *op, char out[LEDGER_SOURCE_MAX]);
/* What an operation came to. QN_ENODOC and QN_ECONFLICT are answers, not failures. */
void ledger_note(ledger *l, const ledger_op *op, qn_status st);
/* Reads everything through get, count and searches; each must agree with the others and
 * with the ledger. The table has just been refreshed. NULL or what is wrong, in a static
 * buffer. When `settle`, what was found is what the ledger allows from now on. */
const char *ledger_check(ledger *l, quern *q, const char *table, bool settle);

#endif
