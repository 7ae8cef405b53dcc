/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/policy.h -- when a table's writes are acknowledged.
 *
 *     request   after they are on the disk (default)
 *     async     after they are with the kernel; a thread brings them to the disk within an
 *               interval. A process that dies loses nothing, a machine that dies loses at
 *               most what the interval holds
 *
 * Set with the schema, in Elasticsearch's words (settings.index.translog.durability and
 * .sync_interval) or in Quern's own ("quern": {"durability", "sync_interval"}, in both
 * dialects), and later by quern_table_set().
 *
 * Errors   QN_ESCHEMA, QN_EINVAL with the setting's name. */
#ifndef QN_ENGINE_POLICY_H
#define QN_ENGINE_POLICY_H

#include "io/json.h"

enum { QN_SYNC_INTERVAL_DEFAULT_MS = 5000, QN_SYNC_INTERVAL_MIN_MS = 100 };

typedef enum qn_durability {
    QN_DURABILITY_UNSET, /* as the engine was opened: "request", or its async_commit */
    QN_DURABILITY_REQUEST,
    QN_DURABILITY_ASYNC,
} qn_durability;

typedef struct qn_policy {
    qn_durability durability;
    int64_t sync_interval_ms; /* 0: unset */
} qn_policy;

/* What is set in `later` takes the place of what is set in `first`. */
qn_policy qn_policy_over(qn_policy first, qn_policy later);
/* "request" or "async" in any case; `setting` is its name, for messages. */
QN_MUST_CHECK qn_status qn_policy_read_durability(const qn_json *v, const char *setting,
                                                  qn_policy *p, qn_error *err);
/* "5s", "250ms". */
QN_MUST_CHECK qn_status qn_policy_read_interval(const qn_json *v, const char *setting,
                                                qn_policy *p, qn_error *err);
/* Settings as Elasticsearch writes them: nested, dotted, with or without "index". When
 * `strict`, anything but the policy is refused; else it is left alone. */
QN_MUST_CHECK qn_status qn_policy_read_settings(const qn_json *settings, bool strict,
                                                qn_policy *p, qn_error *err);
/* "request" or "async"; NULL when unset. */
const char *qn_durability_name(qn_durability d);

#endif
