/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models/deployments.h -- how much of the machine the calls of one model may have.
 *
 * A deployment has allocations, each of some threads; their product is how many batches
 * of the model run at the same time (never more than the scheduler has threads). The
 * number of allocations is set by hand, or follows the load (allocations.h). Without
 * any, the model itself can go from memory; the next call brings it back.
 *
 * Lifetime   the scheduler outlives its deployments.
 * Threads    none of its own: the caller keeps calls apart, save group(). */
#ifndef QN_ENGINE_DEPLOYMENTS_H
#define QN_ENGINE_DEPLOYMENTS_H

#include "engine/models/allocations.h"
#include "nn/calls/scheduler.h"

enum {
    QN_ALLOCATIONS_MAX = 1024,
    QN_ALLOCATION_THREADS_MAX = 32,
};

/* Zero-initialised: as many allocations as use all threads. */
typedef struct qn_deployment_settings {
    bool adaptive;
    unsigned min, max; /* adaptive; max 0: 32 */
    unsigned count;    /* not adaptive; 0: as many as use all threads */
    unsigned threads;  /* of one allocation; 0: 1 */
    int64_t idle_ms;   /* adaptive, min 0: without a request; 0: 15 minutes */
} qn_deployment_settings;

/* QN_EINVAL naming the setting as the outside knows it. */
QN_MUST_CHECK qn_status qn_deployment_check(const qn_deployment_settings *settings,
                                            qn_error *err);

typedef struct qn_deployment qn_deployment;

QN_MUST_CHECK qn_status qn_deployment_create(qn_alloc *a, qn_scheduler *s,
                                             const qn_deployment_settings *settings,
                                             int64_t now_ns,
                                             QN_OWNED qn_deployment **out,
                                             qn_error *err);
void qn_deployment_destroy(QN_OWNED QN_NULLABLE qn_deployment *d);
/* Checked ones. */
void qn_deployment_set(qn_deployment *d, const qn_deployment_settings *settings);
void qn_deployment_settings_get(const qn_deployment *d, qn_deployment_settings *out);
qn_schedule_group *qn_deployment_group(const qn_deployment *d);

/* Somebody asks for the model. */
void qn_deployment_wake(qn_deployment *d);
/* Measures and decides, every ten seconds; to be called more often. */
void qn_deployment_tick(qn_deployment *d, int64_t now_ns);
/* How many there are now. 0: the model is not needed. */
unsigned qn_deployment_count(const qn_deployment *d);
/* What was measured: items a second, seconds for one; 0: not known. */
void qn_deployment_load(const qn_deployment *d, double *rate, double *seconds);

#endif
