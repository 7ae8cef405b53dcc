/* SPDX-License-Identifier: Apache-2.0 */
/* engine/control/plugins.h -- the plug-ins of tables: sources in control.db, programs in memory.
 *
 *     body (a source, or JSON with files) --read--> files --compile--> program
 *     search names one --get--> the active version's program, compiled once, kept
 *
 * A body is the source itself, or {"files": [{"name": "a.cava", "source": "..."}, ...],
 * "description": "..."}.
 *
 * Lifetime   a program that was got lives until it is released, whatever becomes of the
 *            record.
 * Threads    any.
 * Errors     QN_ENOTFOUND; QN_EPLUGINCODE; those of engine/control/control.h. */
#ifndef QN_ENGINE_PLUGINS_H
#define QN_ENGINE_PLUGINS_H

#include "engine/search/search.h"
#include "rank/plugin.h"

enum { QN_PLUGINS_KEPT = 64 }; /* compiled programs in memory */

typedef struct qn_plugins qn_plugins;
typedef struct qn_plugin_code qn_plugin_code;

QN_MUST_CHECK qn_status qn_plugins_create(qn_alloc *a, QN_OWNED qn_plugins **out,
                                          qn_error *err);
void qn_plugins_destroy(QN_OWNED QN_NULLABLE qn_plugins *p);

/* The stage's plug-in, by the name that it carries; kept in the search until
 * qn_search__plugin_end(). */
QN_MUST_CHECK qn_status qn_search__plugin_stages(qn_search *s, qn_error *err);
/* HA3: the plug-in that the request names, if it names one: second_rank_name with
 * second_rank_type:cava_script, or with a name that only a plug-in has; a rank profile.
 * The request is left without the name. */
QN_MUST_CHECK qn_status qn_search__plugin_ha3(qn_search *s, qn_request *request,
                                              qn_error *err);
void qn_search__plugin_end(qn_search *s);

#endif
