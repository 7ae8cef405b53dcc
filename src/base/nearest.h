/* SPDX-License-Identifier: Apache-2.0 */
/* base/nearest.h -- "did you mean": which known name a mistyped one is nearest to.
 *
 *     qn_nearest near = qn_nearest_begin(QN_SLICE_LIT("titel"));
 *     for each known name: qn_nearest_offer(&near, name);
 *     if (near.best.p != NULL) ... near.best ... */
#ifndef QN_BASE_NEAREST_H
#define QN_BASE_NEAREST_H

#include "base/slice.h"

/* Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
 * (optimal string alignment, bytes); anything over `most` counts as most + 1. Strings
 * over 64 bytes count as most + 1 unless equal. */
unsigned qn_edit_distance(qn_slice a, qn_slice b, unsigned most);

typedef struct qn_nearest {
    qn_slice wanted;
    qn_slice best; /* p NULL: nothing near was offered */
    unsigned distance;
} qn_nearest;

/* Near: at most a third of the wanted name's length, at least 1, at most 3. */
qn_nearest qn_nearest_begin(qn_slice wanted);
/* Keeps the first of the nearest. `name` is borrowed. */
void qn_nearest_offer(qn_nearest *n, qn_slice name);

#endif
