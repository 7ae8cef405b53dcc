/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models/attribute_units.h -- the words of a text, and the text without some of them.
 *
 * A unit is a word as the standard analyzer cuts it, or a run of what stands between words
 * and is no blank. Units do not overlap and stand in the order of the text.
 *
 * Lifetime   everything in the caller's arena. */
#ifndef QN_ENGINE_ATTRIBUTE_UNITS_H
#define QN_ENGINE_ATTRIBUTE_UNITS_H

#include "text/analyzer.h"
#include "text/pieces.h"

typedef struct qn_unit {
    uint32_t start, end; /* bytes of the text */
    uint32_t tokens;     /* of the model, that it covers or shares */
    bool word;           /* false: punctuation */
    bool exact;          /* it was left out alone: `effect` is what that changed */
    float effect;
} qn_unit;

/* `pieces`: what the model reads of the text. */
QN_MUST_CHECK qn_status qn_units_find(const qn_analyzers *analyzers, qn_slice text,
                                      const qn_pieces *pieces, qn_arena *arena,
                                      qn_unit **out, size_t *count, qn_error *err);

/* The text without units[0..count): they are cut out with one blank beside them, or each
 * replaced by `mask` when that is not empty. {NULL, 0}: out of memory. */
qn_slice qn_units_without(qn_slice text, const qn_unit *units, size_t count,
                          qn_slice mask, qn_arena *arena);

#endif
