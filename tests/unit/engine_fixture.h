/* SPDX-License-Identifier: Apache-2.0 */
/* engine_fixture.h -- a data folder of its own for every test of the engine. */
#ifndef QN_TEST_ENGINE_FIXTURE_H
#define QN_TEST_ENGINE_FIXTURE_H

#include "io/file.h"
#include "quern/quern.h"

#include "../qn_test.h"

#include <stdlib.h>

typedef struct fixture {
    char dir[64];
    quern *q;
    qn_error err;
} fixture;

static inline void fixture_open(fixture *f)
{
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = f->dir;
    o.neural_threads = 1;
    T_CALL(quern_open(&o, &f->q, &f->err), &f->err);
}

static inline void fixture_begin(fixture *f)
{
    memset(f, 0, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/quern-test-XXXXXX");
    T_OK(mkdtemp(f->dir) != NULL);
    fixture_open(f);
}

static inline void fixture_reopen(fixture *f)
{
    quern_close(f->q);
    fixture_open(f);
}

static inline void fixture_end(fixture *f)
{
    quern_close(f->q);
    f->q = NULL;
    T_CALL(qn_dir_remove(f->dir, &f->err), &f->err);
}

static inline void fixture_table(fixture *f, const char *name, const char *schema)
{
    T_CALL(quern_table_create(f->q, name, schema, strlen(schema), &f->err), &f->err);
}

static inline quern_op op_of(quern_op_kind kind, const char *id, const char *source)
{
    return (quern_op){.kind = kind,
                      .id = id,
                      .id_size = id == NULL ? 0 : strlen(id),
                      .source = source,
                      .source_size = source == NULL ? 0 : strlen(source),
                      .if_seq_no = QUERN_SEQ_NONE};
}

/* One operation; its own status. */
static inline qn_status write_one(fixture *f, const char *table, quern_op op,
                                  quern_op_result *result)
{
    static quern_op_result mine;
    if (result == NULL) result = &mine;
    T_CALL(quern_write(f->q, table, &op, 1, NULL, result, &f->err), &f->err);
    if (result->status != QN_OK) f->err = result->error;
    return result->status;
}

static inline void put(fixture *f, const char *table, const char *id,
                       const char *source)
{
    if (write_one(f, table, op_of(QUERN_OP_INDEX, id, source), NULL) != QN_OK)
        T_FAIL("put %s: %s", id, f->err.text);
}

static inline uint64_t count_of(fixture *f, const char *table)
{
    uint64_t n = 0;
    T_CALL(quern_refresh(f->q, table, &f->err), &f->err);
    T_CALL(quern_count_all(f->q, table, &n, &f->err), &f->err);
    return n;
}

/* "" when the document is not there. */
static inline const char *source_of(fixture *f, const char *table, const char *id)
{
    static char text[4096];
    quern_document doc;
    text[0] = 0;
    qn_status st = quern_get(f->q, table, id, strlen(id), &doc, &f->err);
    if (st == QN_ENODOC) return text;
    T_EQ_I(st, QN_OK);
    T_OK(doc.source_size < sizeof text);
    memcpy(text, doc.source, doc.source_size);
    text[doc.source_size] = 0;
    quern_document_free(&doc);
    return text;
}

#endif
