/* SPDX-License-Identifier: Apache-2.0 */
/* folders.h -- data folders of tests: made, copied, written and counted without the code
 * under test. A copy of a folder that is open is what kill -9 leaves behind. */
#ifndef QN_FAULT_FOLDERS_H
#define QN_FAULT_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>

enum { FOLDER_PATH = 512 };

/* A fresh one in the memory file system where there is one: "/dev/shm/quern-XXXXXX". */
void folder_make(char out[FOLDER_PATH]);
/* `to` does not exist yet. Links stay links between the copies' files only by content. */
void folder_copy(const char *from, const char *to);
void folder_remove(const char *path);
/* The whole file, to be freed with free(). */
unsigned char *folder_read_file(const char *path, size_t *n);
void folder_write_file(const char *path, const void *bytes, size_t n);
/* Calls `each` for every regular file below `path`, in order of names. */
void folder_walk(const char *path, void (*each)(void *ctx, const char *file),
                 void *ctx);
/* Files this process holds open. */
int folder_open_files(void);

#endif
