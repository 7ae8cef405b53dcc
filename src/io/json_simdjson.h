/* SPDX-License-Identifier: Apache-2.0 */
/* json_simdjson.h -- the C seam in front of simdjson. It has its parser's tape and the
 * offsets of the structural bytes; everything after that is C (json_tape.c).
 *
 * Tape: 64-bit words, the type in the top byte. 'l', 'u', 'd': the next word is the
 * int64, uint64 or double. '"': the low 56 bits are an offset into `strings`, where a
 * u32 length and the unescaped bytes are. '{', '[' and their ends; 't', 'f', 'n'.
 * Structural bytes: { } [ ] : , and the first byte of every scalar.
 *
 * Lifetime   the view is valid until the next call on the same thread.
 * Threads    one parser a thread.
 * Errors     false for anything that simdjson did not take; no C++ exception leaves. */
#ifndef QN_IO_JSON_SIMDJSON_H
#define QN_IO_JSON_SIMDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qn_simdjson_view {
    const uint64_t *tape;
    const uint8_t *strings;
    const uint32_t *structurals;
    size_t structural_count;
} qn_simdjson_view;

bool qn_io__simdjson_parse(const char *text, size_t n, size_t depth_max,
                           qn_simdjson_view *out);
/* Gives the parser's memory back when the last text was a big one. */
void qn_io__simdjson_done(void);

#ifdef __cplusplus
}
#endif

#endif
