/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h -- one line a fact, to standard error: time, level, area, text.
 *
 *     qn_log(QN_LOG_INFO, "engine", "table %s opened, %u documents", name, n);
 *
 * Never a secret, never a whole document.
 * Threads   lines of several threads do not mix. */
#ifndef QN_BASE_LOG_H
#define QN_BASE_LOG_H

#include "base/status.h"

typedef enum qn_log_level {
    QN_LOG_ERROR,
    QN_LOG_WARN,
    QN_LOG_INFO,
    QN_LOG_DEBUG,
} qn_log_level;

/* Lines above this level are dropped; QN_LOG_WARN at start. */
void qn_log_set_level(qn_log_level most);
void qn_log(qn_log_level level, const char *area, const char *fmt, ...) QN_PRINTF(3, 4);

#endif
