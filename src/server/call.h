/* SPDX-License-Identifier: Apache-2.0 */
/* server/call.h -- one request on its way through a handler, and the small things that
 * all handlers do: read arguments, parameters and the JSON body, write JSON.
 *
 * A handler returns QN_OK after filling the response, or a failure, which becomes the
 * error envelope of its dialect; what it had written is dropped then.
 *
 * Lifetime   everything lives until the request is answered.
 * Threads    a call belongs to one worker. */
#ifndef QN_SERVER_CALL_H
#define QN_SERVER_CALL_H

#include "io/json.h"
#include "net/http_message.h"
#include "quern/quern.h"
#include "server/limits.h"
#include "server/router.h"

struct qn_server;

typedef struct qn_call {
    struct qn_server *server;
    quern *q;
    const qn_http_request *request;
    qn_http_response *out;
    qn_arena *arena;
    const qn_route *route;
    qn_route_match match;
    qn_api api;
    bool pretty;
    const qn_json *body; /* qn_call_body() */
    qn_json_writer w;    /* onto out->body */
    char table[256];     /* of the error envelope, when a table was named */
} qn_call;

/* ---- reading --------------------------------------------------------------------- */

/* {name} of the route as a zero-terminated text in the arena; "" when it has none. */
const char *qn_call_arg(qn_call *c, const char *name);
/* The table of {index}: one name, no pattern, no list. Remembered for errors. */
QN_MUST_CHECK qn_status qn_call_table(qn_call *c, const char **table, qn_error *err);
/* {index} when the route has it, else the default table. */
QN_MUST_CHECK qn_status qn_call_table_or_default(qn_call *c, const char **table,
                                                 qn_error *err);

/* Parameters of the address. Text: NULL when absent. Flag: present without a value, or
 * "true", is true. */
QN_NULLABLE const qn_slice *qn_call_param(const qn_call *c, const char *name);
QN_MUST_CHECK qn_status qn_call_flag(const qn_call *c, const char *name, bool *value,
                                     qn_error *err);

/* The JSON body, parsed once; NULL for an empty one. */
QN_MUST_CHECK qn_status qn_call_body(qn_call *c, const qn_json **body, qn_error *err);
/* The same, which must be an object. */
QN_MUST_CHECK qn_status qn_call_object(qn_call *c, const qn_json **body, qn_error *err);

/* Members of an object, for bodies of our own and of the inference dialects. The table
 * ends with a row without a name; a member that is not in it is refused by name. */
typedef enum qn_member_kind {
    QN_MEMBER_STRING, /* qn_slice */
    QN_MEMBER_INT,    /* int64_t, min..max */
    QN_MEMBER_BOOL,   /* bool */
    QN_MEMBER_ANY,    /* const qn_json * */
    QN_MEMBER_IGNORE, /* known, without effect here */
} qn_member_kind;
typedef struct qn_member {
    const char *name;
    qn_member_kind kind;
    void *to;
    int64_t min, max;
} qn_member;
QN_MUST_CHECK qn_status qn_call_members(const qn_json *object, const qn_member *table,
                                        qn_slice text, qn_error *err);

/* The sentence of an error with its place in the body, for dialects whose envelope has no
 * room of its own for it. In the arena. */
const char *qn_call_error_text(const qn_call *c, const qn_error *err);

/* ---- writing --------------------------------------------------------------------- */

/* Sets status and content type ("application/json" in the dialect's form) and starts the
 * writer. */
void qn_call_json(qn_call *c, int status);
void qn_call_text(qn_call *c, int status, const char *content_type, qn_slice text);

#endif
