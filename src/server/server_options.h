/* SPDX-License-Identifier: Apache-2.0 */
/* server/server_options.h -- the options of `serve`: one table, three ways to set them.
 *
 *     qn_server_options o;
 *     qn_server_options_init(&o);                         defaults
 *     qn_server_options_read_file(&o, path, &err);        `name = value` lines
 *     qn_server_options_read_environment(&o, getenv, &err);   QUERN_NAME
 *     qn_server_options_set(&o, "listen", value, &err);   a flag
 *
 * Later calls win.
 *
 * Lifetime   plain memory, nothing to free.
 * Errors     QN_EUSAGE for an unknown option (naming the nearest) or a wrong value. */
#ifndef QN_SERVER_SERVER_OPTIONS_H
#define QN_SERVER_SERVER_OPTIONS_H

#include "base/slice.h"
#include "quern/quern.h"

enum { QN_SERVER_OPTION_TEXT_MAX = 1024 };

typedef enum qn_server_option_kind {
    QN_SERVER_OPTION_TEXT,
    QN_SERVER_OPTION_INT,
    QN_SERVER_OPTION_FLAG,
} qn_server_option_kind;

typedef struct qn_server_options {
#define QN_SERVER_MEMBER_TEXT(name) char name[QN_SERVER_OPTION_TEXT_MAX];
#define QN_SERVER_MEMBER_INT(name) int64_t name;
#define QN_SERVER_MEMBER_FLAG(name) bool name;
#define ROW(name, kind, fallback, min, max, value, help) QN_SERVER_MEMBER_##kind(name)
#include "server/options.def"
#undef ROW
} qn_server_options;

typedef struct qn_server_option {
    const char *name; /* "body_max_bytes"; as a flag --body-max-bytes */
    qn_server_option_kind kind;
    const char *fallback;
    int64_t min, max;
    const char *value, *help;
    size_t offset;
} qn_server_option;

extern const qn_server_option qn_server_option_table[];
extern const size_t qn_server_option_count;

void qn_server_options_init(qn_server_options *o);
/* `name` with dashes or underscores. */
QN_MUST_CHECK qn_status qn_server_options_set(qn_server_options *o, const char *name,
                                              const char *value, qn_error *err);
QN_MUST_CHECK qn_status qn_server_options_read_file(qn_server_options *o,
                                                    const char *path, qn_error *err);
/* `get`: getenv, or a test's. */
QN_MUST_CHECK qn_status qn_server_options_read_environment(
    qn_server_options *o, char *(*get)(const char *name), qn_error *err);
/* As a configuration file that gives the same options. */
void qn_server_options_print(const qn_server_options *o, qn_buf *out);
/* Those that quern_open() wants. `out` points into `o`. */
/* `deployment` is what *out points to afterwards. */
void qn_server_options_apply(const qn_server_options *o, quern_deployment *deployment,
                             quern_options *out);

#endif
