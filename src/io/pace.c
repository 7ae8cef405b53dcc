/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pace.h"

#include "base/clock.h"

#include <time.h>

enum {
    NAP_NS = 5 * 1000 * 1000, /* between looks at the flag and the rate */
    SAVED_PARTS = 10,         /* a tenth of a second of the rate is saved up */
};

void qn_pace_init(qn_pace *p, uint64_t bytes_per_second, const atomic_bool *cancelled)
{
    *p = (qn_pace){.cancelled = cancelled, .filled_at_ns = qn_clock_mono_ns()};
    atomic_init(&p->bytes_per_second, bytes_per_second);
    atomic_init(&p->taken, 0);
}

bool qn_pace_cancelled(const qn_pace *p)
{
    return p != NULL && p->cancelled != NULL &&
           atomic_load_explicit(p->cancelled, memory_order_relaxed);
}

/* What came in since the last time, at the rate of now. */
static void fill(qn_pace *p, double rate)
{
    int64_t now = qn_clock_mono_ns();
    p->room += rate * (double)(now - p->filled_at_ns) * 1e-9;
    p->filled_at_ns = now;
    if (p->room > rate / SAVED_PARTS) p->room = rate / SAVED_PARTS;
}

qn_status qn_pace_take(qn_pace *p, uint64_t bytes, qn_error *err)
{
    atomic_fetch_add_explicit(&p->taken, bytes, memory_order_relaxed);
    p->room -= (double)bytes;
    for (;;) {
        if (qn_pace_cancelled(p)) return qn_fail(err, QN_ECANCELLED, "stopped");
        double rate =
            (double)atomic_load_explicit(&p->bytes_per_second, memory_order_relaxed);
        if (rate == 0) {
            p->room = 0;
            p->filled_at_ns = qn_clock_mono_ns();
            return QN_OK;
        }
        fill(p, rate);
        if (p->room >= 0) return QN_OK;
        double wait = -p->room / rate * 1e9;
        long nap = wait < NAP_NS ? (long)wait + 1 : NAP_NS;
        (void)nanosleep(&(struct timespec){.tv_nsec = nap}, NULL);
    }
}
