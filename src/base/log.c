/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int level_max = QN_LOG_WARN;

void qn_log_set_level(qn_log_level most)
{
    atomic_store(&level_max, (int)most);
}

void qn_log(qn_log_level level, const char *area, const char *fmt, ...)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed)) return;

    char line[1024];
    struct timespec now = {0};
    struct tm utc = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    int head =
        snprintf(line, sizeof line,
                 "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %-5s %s: ", utc.tm_year + 1900,
                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                 now.tv_nsec / 1000000, names[level], area);
    size_t used = head < 0 ? 0 : (size_t)head;

    va_list args;
    va_start(args, fmt);
    int body = vsnprintf(line + used, sizeof line - used - 1, fmt, args);
    va_end(args);
    used += body < 0 ? 0 : (size_t)body;
    if (used > sizeof line - 2) used = sizeof line - 2;
    line[used++] = '\n';
    /* One write per line: lines of several threads stay whole. */
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* nowhere left to report it */
}
