/* SPDX-License-Identifier: Apache-2.0 */
/* search_facets.c -- aggregations of a search: over all that matched, whatever is shown;
 * what distinct means for its total. */
#include "engine/search/search.h"

#include <inttypes.h>
#include <stdlib.h>

/* Every match. Recall kept them all already when they are ranked by formulas; otherwise the
 * query runs once more, without scores. */
static qn_status all_matches(qn_search *s, const qn_exec_result **out, qn_error *err)
{
    const qn_exec_options used = qn_search__exec_options(s, 0);
    *out = &s->found[0];
    if (used.top_n == 0 && used.sort_count == 0) return QN_OK;
    if (s->request.layer_count > 0) return QN_OK; /* what the layers took */
    qn_exec_result *all = qn_arena_new(s->arena, sizeof *all);
    if (all == NULL) return qn_fail(err, QN_ENOMEM, "aggregate");
    qn_exec_options o = used;
    o.sort = NULL;
    o.sort_count = 0;
    o.after = NULL;
    o.top_n = 0;
    o.total_limit = 0;
    o.no_scores = !o.has_min_score;
    QN_TRY(qn_query_execute(&s->snapshot->view, s->paths[0].query, &o, s->arena, all,
                            err));
    s->timed_out = s->timed_out || all->timed_out;
    *out = all;
    return QN_OK;
}

qn_status qn_search__facets(qn_search *s, qn_error *err)
{
    const qn_request *r = &s->request;
    const qn_exec_result *found = NULL;
    if (r->aggregate_count == 0) return QN_OK;
    int64_t began = qn_clock_mono_ns();
    QN_TRY(all_matches(s, &found, err));
    QN_TRY(qn_aggregate_run(&s->input, s->arena, r->aggregates, r->aggregate_count,
                            found->candidates, found->count, &s->facets, err));
    s->timed_out = s->timed_out || s->facets.timed_out;
    s->facets_ms = (double)(qn_clock_mono_ns() - began) / 1e6;
    s->facets_in = found->count;
    return QN_OK;
}

/* ---- distinct ------------------------------------------------------------------------ */

bool qn_search__counts_thinned(const qn_search *s)
{
    for (size_t i = 0; i < s->request.distinct_count; i++)
        if (s->request.distincts[i].update_total_hit && !s->request.distincts[i].none)
            return true;
    return false;
}

qn_status qn_search__distinct(qn_search *s, qn_error *err)
{
    const qn_kvpair *pair = qn_request_kvpair(&s->request, "duniqfield");
    size_t n = s->request.distinct_count;
    if (pair == NULL || n == 0) return QN_OK;
    qn_distinct *copy = qn_arena_array(s->arena, n, sizeof *copy);
    if (copy == NULL) return qn_fail(err, QN_ENOMEM, "distinct");
    for (size_t i = 0; i < n; i++) {
        copy[i] = s->request.distincts[i];
        if (!copy[i].reserved && qn_slice_eq(copy[i].key.text, pair->value))
            copy[i].update_total_hit = true;
    }
    s->request.distincts = copy;
    return QN_OK;
}

/* ---- the reply ------------------------------------------------------------------------ */

/* The shortest usual form that reads back as the same number. */
static char *text_of(const qn_search *s, const qn_sort_value *v)
{
    if (v->kind == QN_SORT_VALUE_INT)
        return qn_arena_printf(s->arena, "%" PRId64, v->i64);
    char *text = qn_arena_printf(s->arena, "%.15g", v->f64);
    if (text == NULL || strtod(text, NULL) == v->f64) return text;
    return qn_arena_printf(s->arena, "%.17g", v->f64);
}

static qn_status fill_group(const qn_search *s, const qn_facet_group *from, size_t n,
                            quern_facet_group *to, qn_error *err)
{
    const char **results = qn_arena_array(s->arena, n + 1, sizeof *results);
    to->value = qn_arena_strndup(s->arena, from->label.p, from->label.n);
    to->value_size = from->label.n;
    to->results = results;
    if (results == NULL || to->value == NULL) return qn_fail(err, QN_ENOMEM, "reply");
    for (size_t i = 0; i < n; i++) {
        results[i] = text_of(s, &from->values[i]);
        if (results[i] == NULL) return qn_fail(err, QN_ENOMEM, "reply");
    }
    return QN_OK;
}

static qn_status fill_facet(const qn_search *s, const qn_facet *from, quern_facet *to,
                            qn_error *err)
{
    size_t n = from->asked->function_count;
    const char **names = qn_arena_array(s->arena, n + 1, sizeof *names);
    quern_facet_group *groups =
        qn_arena_array(s->arena, from->group_count + 1, sizeof *groups);
    qn_slice key = from->asked->key_name;
    to->key = qn_arena_strndup(s->arena, key.p, key.n);
    if (names == NULL || groups == NULL || to->key == NULL)
        return qn_fail(err, QN_ENOMEM, "reply");
    for (size_t i = 0; i < n; i++) {
        qn_slice name = from->asked->functions[i].name;
        names[i] = qn_arena_strndup(s->arena, name.p, name.n);
        if (names[i] == NULL) return qn_fail(err, QN_ENOMEM, "reply");
    }
    for (size_t i = 0; i < from->group_count; i++)
        QN_TRY(fill_group(s, &from->groups[i], n, &groups[i], err));
    to->functions = names;
    to->function_count = n;
    to->groups = groups;
    to->group_count = from->group_count;
    to->groups_found = from->groups_found;
    return QN_OK;
}

qn_status qn_search__fill_facets(const qn_search *s, quern_reply *reply, qn_error *err)
{
    if (s->facets.n == 0) return QN_OK;
    quern_facet *facets = qn_arena_array(s->arena, s->facets.n, sizeof *facets);
    if (facets == NULL) return qn_fail(err, QN_ENOMEM, "reply");
    for (size_t i = 0; i < s->facets.n; i++)
        QN_TRY(fill_facet(s, &s->facets.p[i], &facets[i], err));
    reply->facets = facets;
    reply->facet_count = s->facets.n;
    return QN_OK;
}
