/* SPDX-License-Identifier: Apache-2.0 */
#include "server/router.h"

#include <stdio.h>

/* The part before the next `separator`, taken off the front of *rest. */
static qn_slice take_part(qn_slice *rest, char separator)
{
    const char *at = rest->n == 0 ? NULL : memchr(rest->p, separator, rest->n);
    qn_slice part = {rest->p, at == NULL ? rest->n : (size_t)(at - rest->p)};
    size_t used = part.n + (at != NULL);
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return part;
}

static bool is_variable(qn_slice part)
{
    return part.n > 2 && part.p[0] == '{' && part.p[part.n - 1] == '}';
}

/* First segments of other dialects: no table may have such a name. */
static bool is_reserved(qn_slice segment)
{
    static const char *const names[] = {"query",  "update", "network", "vector-service",
                                        "rerank", "embed",  "predict", "info",
                                        "api",    "v1",     "v2",      "v3",
                                        "metrics"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (qn_slice_eq_str(segment, names[i])) return true;
    return false;
}

static bool takes_segment(qn_slice variable, qn_slice segment)
{
    if (!qn_slice_eq_str(variable, "{index}")) return true;
    return segment.n > 0 && segment.p[0] != '_' && segment.p[0] != '.' &&
           !is_reserved(segment);
}

/* How well the pattern fits: a bit for each segment that is a word, the first on top,
 * and the lowest bit when it ends where the path ends. -1: not at all. */
static int64_t fit(const char *pattern, const qn_url *url, qn_route_match *out)
{
    qn_slice rest = qn_slice_of(pattern + 1);
    int64_t score = 0;
    size_t i = 0;
    out->arg_count = 0;
    for (; rest.n > 0; i++) {
        qn_slice part = take_part(&rest, '/');
        bool variable = is_variable(part);
        if (variable && part.p[part.n - 2] == '*') return score;
        if (i >= url->segment_count) return -1;
        if (variable) {
            if (!takes_segment(part, url->segments[i])) return -1;
            out->args[out->arg_count++] =
                (qn_param){.name = {part.p + 1, part.n - 2}, .value = url->segments[i]};
        } else if (qn_slice_eq(part, url->segments[i])) {
            score |= (int64_t)1 << (QN_URL_SEGMENTS_MAX - i);
        } else {
            return -1;
        }
    }
    return i == url->segment_count ? score | 1 : -1;
}

static bool has_method(const char *methods, qn_slice method)
{
    qn_slice rest = qn_slice_of(methods);
    while (rest.n > 0)
        if (qn_slice_eq(take_part(&rest, ','), method)) return true;
    return false;
}

static void add_allowed(qn_route_match *out, const char *methods)
{
    qn_slice rest = qn_slice_of(methods);
    while (rest.n > 0) {
        qn_slice method = take_part(&rest, ',');
        char text[16];
        (void)snprintf(text, sizeof text, "%.*s", QN_SLICE_ARG(method));
        if (strstr(out->allowed, text) != NULL) continue;
        size_t n = strlen(out->allowed);
        (void)snprintf(out->allowed + n, sizeof out->allowed - n, "%s%s",
                       n == 0 ? "" : ", ", text);
    }
}

bool qn_route_find(const qn_route *routes, size_t count, qn_slice method,
                   const qn_url *url, qn_route_match *out)
{
    *out = (qn_route_match){0};
    int64_t best = -1;
    bool head = qn_slice_eq_str(method, "HEAD");
    for (size_t i = 0; i < count; i++) {
        qn_route_match m = {0};
        int64_t score = fit(routes[i].pattern, url, &m);
        if (score < 0) continue;
        bool serves = has_method(routes[i].methods, method) ||
                      (head && has_method(routes[i].methods, QN_SLICE_LIT("GET")));
        if (!serves) {
            add_allowed(out, routes[i].methods);
            continue;
        }
        if (score <= best) continue;
        best = score;
        out->route = &routes[i];
        memcpy(out->args, m.args, sizeof m.args);
        out->arg_count = m.arg_count;
    }
    return out->route != NULL;
}

qn_slice qn_route_arg(const qn_route_match *m, const char *name)
{
    for (size_t i = 0; i < m->arg_count; i++)
        if (qn_slice_eq_str(m->args[i].name, name)) return m->args[i].value;
    return (qn_slice){"", 0};
}

qn_api qn_route_api_of(const qn_url *url)
{
    static const struct {
        const char *first;
        qn_api api;
    } rows[] = {
        {"query", QN_API_HA3},      {"update", QN_API_HA3},    {"network", QN_API_HA3},
        {"v3", QN_API_HA3},         {"rerank", QN_API_TEI},    {"embed", QN_API_TEI},
        {"predict", QN_API_TEI},    {"info", QN_API_TEI},      {"v2", QN_API_COHERE},
        {"v1", QN_API_OPENAI},      {"api", QN_API_DASHSCOPE}, {"_quern", QN_API_QUERN},
        {"_console", QN_API_QUERN}, {"metrics", QN_API_QUERN},
    };
    for (size_t i = 0; url->segment_count > 0 && i < sizeof rows / sizeof *rows; i++)
        if (qn_slice_eq_str(url->segments[0], rows[i].first)) return rows[i].api;
    if (url->segment_count == 2 && qn_slice_eq_str(url->segments[1], "search"))
        return QN_API_HA3;
    return QN_API_ES;
}

const char *qn_api_name(qn_api api)
{
    static const char *const names[] = {
        [QN_API_ES] = "elasticsearch",
        [QN_API_HA3] = "ha3",
        [QN_API_TEI] = "tei",
        [QN_API_COHERE] = "cohere",
        [QN_API_VLLM] = "vllm",
        [QN_API_OPENAI] = "openai",
        [QN_API_DASHSCOPE] = "dashscope",
        [QN_API_QUERN] = "quern",
    };
    return names[api];
}

bool qn_route_has_param(const qn_route *route, qn_slice name)
{
    qn_slice rest = qn_slice_of(route->params);
    if (qn_slice_eq_str(rest, "*")) return true;
    while (rest.n > 0)
        if (qn_slice_eq(take_part(&rest, ' '), name)) return true;
    return false;
}
