/* SPDX-License-Identifier: Apache-2.0 */
/* index/column_overlay_read.h -- a column read through an overlay: what the functions of
 * column.h of the same names do where there is one. Private to column.c and
 * column_match.c.
 *
 * A place of a value in the overlay is PLACE_NEW | block << 32 | place in the block; the
 * others are the segment's own. */
#ifndef QN_INDEX_COLUMN_OVERLAY_READ_H
#define QN_INDEX_COLUMN_OVERLAY_READ_H

#include "index/column.h"

void qn_overlay__places(const qn_column *c, uint32_t doc, uint64_t *begin,
                        uint64_t *limit);
bool qn_overlay__has(const qn_column *c, uint32_t doc);
int64_t qn_overlay__key(const qn_column *c, uint64_t place);
uint64_t qn_overlay__bits(const qn_column *c, uint64_t place);
/* `none` where a document has no value. */
void qn_overlay__keys(const qn_column *c, const uint32_t *docs, size_t n, int64_t none,
                      int64_t *out, QN_NULLABLE uint64_t *missing);
qn_slice qn_overlay__bytes(const qn_column *c, uint32_t ord);
uint32_t qn_overlay__lower_bound(const qn_column *c, qn_slice bytes);
void qn_overlay__match(const qn_column *c, int64_t low, int64_t high, uint32_t begin,
                       uint32_t limit, uint64_t *bits);
void qn_overlay__bounds(const qn_column *c, uint32_t doc, int64_t *min, int64_t *max);
void qn_overlay__geo_bounds(const qn_column *c, uint32_t doc, uint32_t *last,
                            qn_geo_box *out);
uint64_t qn_overlay__estimate(const qn_column *c, int64_t low, int64_t high);

#endif
