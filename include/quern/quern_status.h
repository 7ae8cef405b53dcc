/* SPDX-License-Identifier: Apache-2.0 */
/* status.h -- what a call came to, and where and why it failed.
 *
 * Every function that can fail returns a qn_status and, when its last parameter
 * is not NULL, fills a qn_error that lives in the caller's memory: no allocation,
 * nothing to free. The lowest layer that knows the file, the offset or the column
 * writes the message; those above pass it on unchanged.
 *
 * Threads   no shared state. */
#ifndef QUERN_QUERN_STATUS_H
#define QUERN_QUERN_STATUS_H

#include <stdint.h>

typedef enum qn_status {
#define ROW(name, number, exit, http, es_type, ha3, text) QN_##name = number,
#include "quern/quern_status.def"
#undef ROW
} qn_status;

enum { QN_ERROR_TEXT_MAX = 512, QN_ERROR_FILE_MAX = 192 };

/* `at` is a byte offset: into `file` when that is set, else into the text that was
 * parsed (a query, a formula, a JSON body). QN_AT_NONE where there is none. */
#define QN_AT_NONE UINT64_MAX
typedef struct qn_error {
    qn_status code;
    uint64_t at;
    char file[QN_ERROR_FILE_MAX]; /* path as the user knows it, or "" */
    char text[QN_ERROR_TEXT_MAX]; /* one sentence, UTF-8, no trailing full stop */
} qn_error;

typedef struct qn_status_info {
    qn_status code;
    const char *name; /* "ENOTFOUND" */
    int exit_code, http_status;
    const char *es_type;
    int ha3_code;
    const char *text;
} qn_status_info;

/* Never NULL: unknown numbers answer with EINTERNAL's row. */
const qn_status_info *qn_status_describe(qn_status code);

#endif
