/* SPDX-License-Identifier: Apache-2.0 */
/* test_io.h -- the groups of the program test_io, and a folder of its own for each test
 * that needs one. */
#ifndef QN_TEST_IO_H
#define QN_TEST_IO_H

int test_io_json(void);
int test_io_file(void);
int test_io_blockfile(void);
int test_io_wal(void);

/* A fresh empty folder; `out` has room for 256 bytes. */
void test_io_folder(char *out);
/* The path of `name` in the folder, valid until the next but three calls. */
const char *test_io_path(const char *folder, const char *name);

#endif
