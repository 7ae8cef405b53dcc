/* SPDX-License-Identifier: Apache-2.0 */
/* engine_target.h -- a data folder for the targets that need a whole engine: made at the
 * first input, below the folder for temporary files, and removed at the end. */
#ifndef QN_FUZZ_ENGINE_TARGET_H
#define QN_FUZZ_ENGINE_TARGET_H

#include "base/slice.h"
#include "io/file.h"
#include "quern/quern.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char target_dir[64];
static quern *target_engine;
static pid_t target_owner;

static void target_end(void)
{
    if (getpid() != target_owner) return;
    quern_close(target_engine);
    target_engine = NULL;
    qn_assert(qn_dir_remove(target_dir, NULL) == QN_OK);
}

/* The folder; made once. */
static inline const char *target_folder(void)
{
    if (target_dir[0] != '\0') return target_dir;
    (void)snprintf(target_dir, sizeof target_dir, "/tmp/quern-fuzz-XXXXXX");
    qn_assert(mkdtemp(target_dir) != NULL);
    target_owner = getpid();
    (void)atexit(target_end);
    return target_dir;
}

/* An engine over it with one thread and no models; opened once. */
static inline quern *target_open(void)
{
    if (target_engine != NULL) return target_engine;
    quern_options o = QUERN_OPTIONS_INIT;
    qn_error err = {0};
    o.data_dir = target_folder();
    o.search_threads = o.neural_threads = 1;
    o.async_commit = true;
    qn_assert(quern_open(&o, &target_engine, &err) == QN_OK);
    return target_engine;
}

static inline void target_table(quern *q, const char *name, const char *schema)
{
    qn_error err = {0};
    qn_assert(quern_table_create(q, name, schema, strlen(schema), &err) == QN_OK);
}

static inline void target_put(quern *q, const char *table, const char *id,
                              const char *source, bool refresh)
{
    quern_op op = {.kind = QUERN_OP_INDEX,
                   .id = id,
                   .id_size = strlen(id),
                   .source = source,
                   .source_size = strlen(source),
                   .if_seq_no = QUERN_SEQ_NONE};
    static quern_op_result result;
    quern_write_options w = QUERN_WRITE_OPTIONS_INIT;
    qn_error err = {0};
    w.refresh = refresh;
    qn_assert(quern_write(q, table, &op, 1, &w, &result, &err) == QN_OK);
    qn_assert(result.status == QN_OK);
}

#endif
