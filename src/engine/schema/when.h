/* SPDX-License-Identifier: Apache-2.0 */
/* engine/schema/when.h -- dates in documents: text to milliseconds since 1970 UTC.
 *
 *     2015                      2015-03                  2015-03-09
 *     2015-03-09T14:05          2015-03-09 14:05:30      2015-03-09T14:05:30.123456Z
 *     2015-03-09T14:05+08:00    2015/03/09 14:05:30      1425909930000 (milliseconds)
 *
 * Four digits alone are a year; any other run of digits, with a sign or not, is
 * milliseconds. The Gregorian calendar, years 0001 to 9999; without a zone it is UTC. */
#ifndef QN_ENGINE_WHEN_H
#define QN_ENGINE_WHEN_H

#include "base/slice.h"

/* false when it is no date. */
bool qn_when_parse(qn_slice text, int64_t *ms);
/* "2015-03-09T14:05:30.000Z", at most 32 bytes with the zero. */
void qn_when_print(int64_t ms, char out[32]);

#endif
