/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/policy.h"

#include <stdio.h>

enum { SETTING_NAME_MAX = 256 };

qn_policy qn_policy_over(qn_policy first, qn_policy later)
{
    if (later.durability == QN_DURABILITY_UNSET) later.durability = first.durability;
    if (later.sync_interval_ms == 0) later.sync_interval_ms = first.sync_interval_ms;
    return later;
}

const char *qn_durability_name(qn_durability d)
{
    if (d == QN_DURABILITY_UNSET) return NULL;
    return d == QN_DURABILITY_ASYNC ? "async" : "request";
}

static qn_status bad_value(const qn_json *v, const char *setting, const char *known,
                           qn_error *err)
{
    return qn_fail(err, QN_EINVAL, "failed to parse value [%.*s] for setting [%s], %s",
                   v->raw.n > 60 ? 60 : (int)v->raw.n, v->raw.p, setting, known);
}

qn_status qn_policy_read_durability(const qn_json *v, const char *setting, qn_policy *p,
                                    qn_error *err)
{
    if (v->kind == QN_JSON_STRING && qn_slice_eq_nocase(v->string, "request"))
        p->durability = QN_DURABILITY_REQUEST;
    else if (v->kind == QN_JSON_STRING && qn_slice_eq_nocase(v->string, "async"))
        p->durability = QN_DURABILITY_ASYNC;
    else
        return bad_value(v, setting, "must be \"request\" or \"async\"", err);
    return QN_OK;
}

qn_status qn_policy_read_interval(const qn_json *v, const char *setting, qn_policy *p,
                                  qn_error *err)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}};
    for (size_t i = 0; v->kind == QN_JSON_STRING && i < 4; i++) {
        double n = 0;
        qn_slice s = v->string;
        if (!qn_slice_ends_with(s, units[i].unit)) continue;
        s.n -= strlen(units[i].unit);
        if (!qn_slice_to_f64(s, &n) || n < 0 || n > 1e9) continue;
        if (n * units[i].ms < QN_SYNC_INTERVAL_MIN_MS)
            return bad_value(v, setting, "must be >= [100ms]", err);
        p->sync_interval_ms = (int64_t)(n * units[i].ms);
        return QN_OK;
    }
    return bad_value(v, setting, "must be a time with its unit: \"5s\", \"250ms\"",
                     err);
}

/* ---- settings, flattened ----------------------------------------------------------------
 */

typedef struct reading {
    bool strict;
    qn_policy *policy;
} reading;

static qn_status take(const reading *r, const char *name, const qn_json *v,
                      qn_error *err)
{
    const char *bare = strncmp(name, "index.", 6) == 0 ? name + 6 : name;
    char full[SETTING_NAME_MAX];
    (void)snprintf(full, sizeof full, "index.%.*s", SETTING_NAME_MAX - 8, bare);
    if (strcmp(bare, "translog.durability") == 0)
        return qn_policy_read_durability(v, full, r->policy, err);
    if (strcmp(bare, "translog.sync_interval") == 0)
        return qn_policy_read_interval(v, full, r->policy, err);
    if (!r->strict) return QN_OK;
    return qn_fail(err, QN_EINVAL,
                   "the setting [%s] cannot be changed; those that can are "
                   "[index.translog.durability] and [index.translog.sync_interval]",
                   full);
}

static qn_status walk(const reading *r, const char *prefix, const qn_json *object,
                      qn_error *err)
{
    for (const qn_json *it = qn_json_items(object); it != NULL; it = it->next) {
        char name[SETTING_NAME_MAX];
        int n = snprintf(name, sizeof name, "%s%s%.*s", prefix, *prefix == 0 ? "" : ".",
                         QN_SLICE_ARG(it->key));
        if (n < 0 || (size_t)n >= sizeof name) {
            if (!r->strict) continue;
            return qn_fail(err, QN_EINVAL, "the name of a setting is too long");
        }
        if (it->kind == QN_JSON_OBJECT)
            QN_TRY(walk(r, name, it, err));
        else
            QN_TRY(take(r, name, it, err));
    }
    return QN_OK;
}

qn_status qn_policy_read_settings(const qn_json *settings, bool strict, qn_policy *p,
                                  qn_error *err)
{
    if (settings->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EINVAL, "settings must be an object, not %s",
                       qn_json_kind_name(settings->kind));
    reading r = {strict, p};
    return walk(&r, "", settings, err);
}
