/* SPDX-License-Identifier: Apache-2.0 */
/* server/router.h -- from method and path to a row of the route table.
 *
 * A pattern is segments: a word stands for itself, {name} for any one segment, {name*}
 * (last) for all that follow. Where several patterns fit, a word beats a {name}, from
 * left to right: "/_search" before "/{index}". {index} takes no name that begins with
 * '_' or '.', so that a mistyped "/_serach" is an unknown route and not a table, and no
 * name that another dialect's paths begin with ("query", "rerank").
 *
 * Threads   the table is constant; everything else is the caller's. */
#ifndef QN_SERVER_ROUTER_H
#define QN_SERVER_ROUTER_H

#include "net/url.h"

enum { QN_ROUTE_ARGS_MAX = 4 };

/* Which dialect's form replies and errors have. */
typedef enum qn_api {
    QN_API_ES,     /* Elasticsearch REST */
    QN_API_HA3,    /* Retrieval Engine: /query, /update */
    QN_API_TEI,    /* text-embeddings-inference */
    QN_API_COHERE, /* Cohere, Jina, Voyage */
    QN_API_VLLM,   /* vLLM's scores, llama.cpp */
    QN_API_OPENAI,
    QN_API_DASHSCOPE, /* DashScope and AI Search */
    QN_API_QUERN,     /* our own */
} qn_api;

struct qn_call;
typedef qn_status qn_call_handler(struct qn_call *c, qn_error *err);

typedef struct qn_route {
    const char *methods; /* "GET" or "PUT,POST"; GET serves HEAD too */
    const char *pattern;
    const char *params; /* names of the parameters it reads, blanks between; "*": any */
    qn_api api;
    qn_call_handler *run;
    const char *summary;
} qn_route;

typedef struct qn_route_match {
    const qn_route *route; /* NULL: none */
    qn_param args[QN_ROUTE_ARGS_MAX];
    size_t arg_count;
    char allowed[64]; /* when only the method is wrong: what would be right */
} qn_route_match;

/* false when no route fits; `out->allowed` then tells whether the path is known. */
bool qn_route_find(const qn_route *routes, size_t count, qn_slice method,
                   const qn_url *url, qn_route_match *out);
/* {name} of the pattern; an empty slice when it has none. */
qn_slice qn_route_arg(const qn_route_match *m, const char *name);
/* Whose errors an unknown path gets. */
qn_api qn_route_api_of(const qn_url *url);
/* "elasticsearch" and so on. */
const char *qn_api_name(qn_api api);
/* `name` stands in the list, blanks between; "*" has every name. */
bool qn_route_has_param(const qn_route *route, qn_slice name);

#endif
