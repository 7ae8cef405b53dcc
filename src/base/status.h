/* SPDX-License-Identifier: Apache-2.0 */
/* base/status.h -- the error conventions of the whole tree, on top of the public
 * quern/quern_status.h: how a failure is made and how it is passed on. */
#ifndef QN_BASE_STATUS_H
#define QN_BASE_STATUS_H

#include "quern/quern_status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define QN_MUST_CHECK __attribute__((warn_unused_result))
#define QN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define QN_OWNED    /* the receiver frees it */
#define QN_NULLABLE /* may be NULL */

/* Fills `err` (when not NULL) and returns `code`. */
qn_status qn_fail(QN_NULLABLE qn_error *err, qn_status code, const char *fmt, ...)
    QN_PRINTF(3, 4);
/* The same, with the offset into the parsed text. */
qn_status qn_fail_at(QN_NULLABLE qn_error *err, qn_status code, uint64_t at,
                     const char *fmt, ...) QN_PRINTF(4, 5);
/* The same, with file and offset (QN_AT_NONE: the file as a whole). */
qn_status qn_fail_file(QN_NULLABLE qn_error *err, qn_status code, const char *file,
                       uint64_t at, const char *fmt, ...) QN_PRINTF(5, 6);
/* errno after a failed system call on `file`: ENOENT gives QN_ENOTFOUND, ENOSPC
 * gives QN_ENOSPC, anything else QN_EIO. `what` is the verb: "open", "write". */
qn_status qn_fail_errno(QN_NULLABLE qn_error *err, int errnum, const char *file,
                        const char *what);

/* Returns the failure of `e` from the calling function. */
#define QN_TRY(e)                                                                      \
    do {                                                                               \
        qn_status qn_try_st_ = (e);                                                    \
        if (qn_try_st_ != QN_OK) return qn_try_st_;                                    \
    } while (0)

/* Stores the failure of `e` in the local `st` and jumps to the cleanup label. */
#define QN_TRY_TO(label, e)                                                            \
    do {                                                                               \
        st = (e);                                                                      \
        if (st != QN_OK) goto label;                                                   \
    } while (0)

/* A broken invariant of ours, never a fact about outside bytes. On in every build:
 * a search engine that goes on with wrong state is worse than one that stops. */
#define qn_assert(cond) ((cond) ? (void)0 : qn_assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void qn_assert_failed(const char *cond, const char *file, int line);

#endif
