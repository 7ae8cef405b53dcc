/* SPDX-License-Identifier: Apache-2.0 */
/* server/own/console.h -- the files of console/, built into the program by
 * cmake/embed_console.cmake. */
#ifndef QN_SERVER_CONSOLE_H
#define QN_SERVER_CONSOLE_H

#include <stddef.h>

typedef struct qn_console_file_row {
    const char *path; /* below console/, "index.html" */
    const unsigned char *bytes;
    size_t size;
} qn_console_file_row;

extern const qn_console_file_row qn_console_files[]; /* ended by a row without a path */

#endif
