/* SPDX-License-Identifier: Apache-2.0 */
/* io/pace.h -- how fast a long write in the background may go, and when it must stop.
 *
 * A bucket of bytes that fills at a given rate: who takes more than is in it sleeps
 * until it is there. Up to a tenth of a second of the rate can be saved up, so a burst
 * is short.
 *
 *     qn_pace pace;
 *     qn_pace_init(&pace, 20 << 20, &cancelled);
 *     qn_blockfile_writer_pace(w, &pace);
 *
 * Lifetime   in the caller's memory; no end.
 * Threads    one thread takes; the rate and the cancel flag may be set by any, and take
 *            effect within some milliseconds.
 * Errors     QN_ECANCELLED, soon after the flag was set. */
#ifndef QN_IO_PACE_H
#define QN_IO_PACE_H

#include "base/status.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct qn_pace {
    atomic_ullong bytes_per_second; /* 0: no limit */
    QN_NULLABLE const atomic_bool *cancelled;
    atomic_ullong taken; /* bytes so far */

    /* Private to pace.c. */
    int64_t filled_at_ns;
    double room; /* bytes; below 0: owed */
} qn_pace;

void qn_pace_init(qn_pace *p, uint64_t bytes_per_second,
                  QN_NULLABLE const atomic_bool *cancelled);
/* Returns when `bytes` may be written. */
QN_MUST_CHECK qn_status qn_pace_take(qn_pace *p, uint64_t bytes, qn_error *err);
/* Was the flag set? */
bool qn_pace_cancelled(QN_NULLABLE const qn_pace *p);

#endif
