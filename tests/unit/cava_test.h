/* SPDX-License-Identifier: Apache-2.0 */
/* cava_test.h -- what the tests of Cava share. */
#ifndef QN_CAVA_TEST_H
#define QN_CAVA_TEST_H

#include "expr/cava/cava.h"
#include "../qn_test.h"

/* A file of tests/golden/cava/, zero-terminated; the caller deletes it (heap). */
static inline char *cava_golden(const char *name)
{
    char path[1024];
    qn_buf b;
    (void)snprintf(path, sizeof path, "%s/tests/golden/cava/%s", QN_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) T_FAIL("cannot open %s", path);
    qn_buf_init(&b, qn_alloc_heap());
    for (int c; (c = fgetc(f)) != EOF;) qn_buf_add_char(&b, (char)c);
    (void)fclose(f);
    return qn_buf_take(&b, NULL);
}

static inline bool cava_line(qn_slice *rest, qn_slice *line)
{
    if (rest->n == 0) return false;
    const char *end = memchr(rest->p, '\n', rest->n);
    line->p = rest->p;
    line->n = end == NULL ? rest->n : (size_t)(end - rest->p);
    size_t used = line->n + (end != NULL);
    rest->p += used, rest->n -= used;
    return true;
}

/* Compiles one file and calls a static method of its class T. */
static inline qn_status cava_run(const char *source, const char *signature,
                                 const qn_cava_limits *limits, qn_cava_slot *out,
                                 qn_error *err)
{
    qn_cava_file file = {QN_SLICE_LIT("t.cava"), qn_slice_of(source)};
    qn_cava_program *p = NULL;
    qn_cava_run *run = NULL;
    QN_TRY(qn_cava_compile(qn_alloc_heap(), &file, 1, NULL, &p, err));
    size_t method = qn_cava_find(p, QN_SLICE_LIT("T"), signature);
    if (method == SIZE_MAX) T_FAIL("no method %s", signature);
    qn_status st = qn_cava_run_create(qn_alloc_heap(), p, NULL, limits, &run, err);
    if (st == QN_OK) st = qn_cava_run_call(run, method, NULL, 0, out, err);
    qn_cava_run_destroy(run);
    qn_cava_program_destroy(p);
    return st;
}

#endif
