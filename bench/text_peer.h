/* SPDX-License-Identifier: Apache-2.0 */
/* text_peer.h -- what the commands of bench_text share: options, query files, an index
 * opened for search.
 *
 * Errors end the program: it is a tool for the hands of ./dev bench. */
#ifndef QN_BENCH_TEXT_PEER_H
#define QN_BENCH_TEXT_PEER_H

#include "base/vec.h"
#include "engine/engine_internal.h"
#include "query/exec.h"

#define PEER_TABLE "bench"

/* ---- options: `--name value`, or `--name` alone ---------------------------------------- */

typedef struct peer_options {
    int argc;
    char **argv;
} peer_options;

/* NULL when it is not there, "" when it has no value. */
const char *peer_option(const peer_options *o, const char *name);
const char *peer_text(const peer_options *o, const char *name, const char *fallback);
/* Ends the program when it is not there. */
const char *peer_required(const peer_options *o, const char *name);
size_t peer_number(const peer_options *o, const char *name, size_t fallback);
/* Ends the program. */
_Noreturn void peer_die(const char *what, const char *why);
void peer_check(qn_status st, const qn_error *err);

int64_t peer_process_cpu_ns(void);

/* ---- query files: id TAB text ---------------------------------------------------------- */

typedef struct peer_topic {
    qn_slice id, text;
} peer_topic;

typedef struct peer_topics {
    QN_VEC(peer_topic) list;
    qn_buf text;
} peer_topics;

void peer_topics_read(const char *path, peer_topics *out);
void peer_topics_free(peer_topics *topics);

/* ---- an index opened for search -------------------------------------------------------- */

typedef struct peer_index {
    quern *q;
    qn_table *table;
    qn_table_snapshot *snapshot;
    const char *fields; /* "title,text" */
    const char *op;     /* "or", "and", "phrase" */
    bool sum;           /* several fields: the sum instead of the best */
    bool api;           /* through quern_search() and a DSL body */
    qn_slice filter_field, filter_value; /* .n 0: no filter */
    size_t k;                            /* 0: every match */
    bool exact;                          /* count every match */
    qn_alloc *alloc;
} peer_index;

void peer_index_open(const peer_options *o, peer_index *out);
void peer_index_close(peer_index *index);

/* One query. Candidates live in the arena. */
void peer_search(const peer_index *index, qn_slice text, qn_arena *arena,
                 qn_exec_result *out);
/* The same through quern_search(); returns the total. */
uint64_t peer_search_api(const peer_index *index, qn_slice text, double *best);

/* ---- the commands ---------------------------------------------------------------------- */

void peer_run_index(const peer_options *o);
void peer_run_search(const peer_options *o);
void peer_run_bench(const peer_options *o);
void peer_run_open(const peer_options *o);
void peer_run_mixed(const peer_options *o);

/* ---- corpora --------------------------------------------------------------------------- */

/* A JSONL corpus in memory, cut into lines. */
typedef struct peer_corpus {
    qn_mapping file;
    const char *at, *end;
} peer_corpus;

void peer_corpus_open(const char *path, peer_corpus *out);
void peer_corpus_close(peer_corpus *c);
bool peer_corpus_next(peer_corpus *c, qn_slice *line);

#endif
