/* SPDX-License-Identifier: Apache-2.0 */
/* prop_engine.h -- a naive engine: documents in a list, queries evaluated one document
 * at a time, BM25 written down from Lucene's formula. Whatever the real engine does about
 * segments, merging, pruning and caches must not show. */
#ifndef QN_PROP_ENGINE_H
#define QN_PROP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NAIVE_IDS = 4000,  /* documents have ids d0 .. */
    NAIVE_WORDS = 24,  /* words w0 .., the first ones frequent */
    NAIVE_TOKENS = 60, /* at most so many in a text */
    NAIVE_KEYS = 6,
    NAIVE_DOCS = 12000,
    NAIVE_SOURCE = 2048,
    NAIVE_KIDS = 5,
};

/* ---- chance --------------------------------------------------------------------------- */

typedef struct naive_rng {
    uint64_t state;
} naive_rng;
uint64_t naive_next(naive_rng *r);
/* 0 .. n-1 */
int naive_below(naive_rng *r, int n);

/* ---- documents ------------------------------------------------------------------------ */

typedef enum naive_field {
    NAIVE_T, /* texts */
    NAIVE_U,
    NAIVE_K, /* keywords, several */
    NAIVE_N, /* long */
    NAIVE_F, /* double */
    NAIVE_B, /* boolean */
    NAIVE_FIELDS,
} naive_field;

extern const char naive_schema[];

typedef struct naive_doc {
    int id;
    bool live;
    naive_field order[NAIVE_FIELDS]; /* as they stand in the source */
    int field_count;
    uint8_t words[2][NAIVE_TOKENS];
    int word_count[2];
    int keys[3], key_count;
    int64_t n;
    double f;
    bool b;
    int64_t seq_no, version;
    bool settled; /* in a segment, as far as we know */
    bool moved;   /* or not: whether an update left it in its place is not known */
} naive_doc;

bool naive_has(const naive_doc *d, naive_field f);
void naive_print(const naive_doc *d, char out[NAIVE_SOURCE]);
/* Some fields with some values. */
void naive_random(naive_rng *r, naive_doc *d, bool whole);
/* Some of n, f and b. */
void naive_random_attributes(naive_rng *r, naive_doc *d);
bool naive_attributes_only(const naive_doc *d);

typedef struct naive_table {
    naive_doc docs[NAIVE_DOCS]; /* in order of arrival; dead ones may still count */
    int count, live_count;
    int newest[NAIVE_IDS]; /* place of the live document, or -1 */
} naive_table;

void naive_init(naive_table *t);
/* `d` takes the place of what had its id. */
void naive_put(naive_table *t, const naive_doc *d);
void naive_delete(naive_table *t, int id);
/* The old document with the fields of `part`. */
void naive_merge(naive_doc *old, const naive_doc *part);
/* `d` replaces what has its id, where that stands. */
void naive_change(naive_table *t, const naive_doc *d);
/* The engine has dropped all dead ones: they count no more. */
void naive_forget_dead(naive_table *t);
/* The live documents stand in this order, as the engine says; false: some stand where
 * they cannot. */
bool naive_reorder(naive_table *t, const int *ids, int count);

/* ---- queries --------------------------------------------------------------------------- */

typedef enum naive_kind {
    NAIVE_MATCH,  /* words in a text field: any or all */
    NAIVE_PHRASE, /* words one after another */
    NAIVE_TERM,   /* a keyword, in a constant_score */
    NAIVE_RANGE,  /* of n or f */
    NAIVE_EXISTS,
    NAIVE_IDSET,
    NAIVE_BOOLEAN, /* a boolean's value */
    NAIVE_ALL,
    NAIVE_BOOL,
    NAIVE_DISMAX,
} naive_kind;

typedef enum naive_role {
    NAIVE_MUST,
    NAIVE_SHOULD,
    NAIVE_FILTER,
    NAIVE_MUST_NOT,
    NAIVE_ROLES,
} naive_role;

typedef struct naive_query {
    naive_kind kind;
    naive_field field;
    int words[NAIVE_KIDS], word_count;
    bool all; /* of the words */
    int64_t low, high;
    float boost;
    float tie;
    struct naive_query *kids[NAIVE_KIDS];
    naive_role roles[NAIVE_KIDS];
    int kid_count;
} naive_query;

/* `ids`: how many there are. From a pool of its own, valid until the next call with
 * depth 0. */
naive_query *naive_query_random(naive_rng *r, int ids, int depth);
/* As JSON, behind what is in `out` already. */
void naive_query_print(const naive_query *q, char *out, size_t size);

typedef struct naive_result {
    int doc; /* place in the table */
    double score;
} naive_result;

/* All live documents that match, best first, ties in order of arrival; how many. */
int naive_search(const naive_table *t, const naive_query *q,
                 naive_result out[NAIVE_DOCS]);

#endif
