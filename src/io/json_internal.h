/* SPDX-License-Identifier: Apache-2.0 */
/* json_internal.h -- what the two JSON readers share.
 *
 * The fast reader walks the tape that simdjson wrote; the plain reader is the meaning
 * of it, reads what simdjson does not (integers beyond 64 bits), and is the one that
 * says what is wrong and where. Both build nodes through the same builder. */
#ifndef QN_IO_JSON_INTERNAL_H
#define QN_IO_JSON_INTERNAL_H

#include "io/json.h"

typedef struct qn_json_builder {
    qn_arena *arena;
    const qn_json *root;
    qn_slice key; /* of the next member */
    size_t depth; /* open containers */
    struct {
        qn_json *node;
        const qn_json **tail; /* where the next child is linked */
    } open[QN_JSON_DEPTH_MAX];
    qn_json *spare; /* nodes are taken from the arena some at a time */
    size_t spare_count, block_count;
} qn_json_builder;

/* A fresh node, linked as the next child of the innermost open container; NULL when out
 * of memory. Takes the pending key. */
qn_json *qn_io__json_add(qn_json_builder *b, qn_json_kind kind);
/* Makes `node` the innermost container; false when that is one level too deep. */
bool qn_io__json_open(qn_json_builder *b, qn_json *node);
/* Ends the innermost container and returns it. */
qn_json *qn_io__json_close(qn_json_builder *b);

/* json_plain.c */
QN_MUST_CHECK qn_status qn_io__json_parse_plain(qn_arena *arena, qn_slice text,
                                                const qn_json **out, qn_error *err);
/* json_tape.c. QN_EUNSUPPORTED: this reader cannot tell, ask the plain one. */
QN_MUST_CHECK qn_status qn_io__json_parse_tape(qn_arena *arena, qn_slice text,
                                               const qn_json **out);

#endif
