/* SPDX-License-Identifier: Apache-2.0 */
/* query/dates.h -- dates as text: ISO 8601 to milliseconds since 1970 UTC.
 *
 *     2024   2024-05   2024-05-31   2024-05-31T12:30:15.250Z   ...+08:00
 *     1700000000000          milliseconds
 *     now   now-7d/d   2024-05-31||+1M        date arithmetic
 * Units: y M w d h H m s. No time zone means UTC; years 0001 to 9999.
 *
 * Threads   pure functions. */
#ifndef QN_QUERY_DATES_H
#define QN_QUERY_DATES_H

#include "base/slice.h"

/* With `round_up` what is left out counts as its last millisecond ("2024-05" is the end
 * of May), for `lte` and `gt`; otherwise as its first. */
bool qn_date_parse(qn_slice text, int64_t now_ms, bool round_up, int64_t *ms);
/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
int64_t qn_date_days(int64_t year, unsigned month, unsigned day);
/* "2024-05-31T12:30:15.250Z"; `out` has room for QN_DATE_TEXT_MAX bytes. */
enum { QN_DATE_TEXT_MAX = 40 };
void qn_date_format(int64_t ms, char *out);

#endif
