/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file that `quern ingest` reads, in each of its formats, packed or not:
 * every operation that it makes has a source, and the lines it blames are in the file.
 * The first byte is the format; its high bits: --id is given; batches are small. */
#include "engine_target.h"

/* What would be written is looked at instead. */
#define quern_write(q, table, ops, n, o, results, err)                                 \
    check_operations((ops), (n), (o), (results))
static qn_status check_operations(const quern_op *ops, size_t n,
                                  const quern_write_options *o,
                                  quern_op_result *results);
#include "../src/cli/cmd_ingest.c"
#undef quern_write

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { WITH_ID = 64, SMALL_BATCHES = 128 };

static qn_status check_operations(const quern_op *ops, size_t n,
                                  const quern_write_options *o,
                                  quern_op_result *results)
{
    qn_assert(o->progress != NULL);
    for (size_t i = 0; i < n; i++) {
        qn_assert(ops[i].source != NULL);
        qn_assert(ops[i].source[ops[i].source_size] == '\0');
        if (ops[i].id != NULL) qn_assert(ops[i].id[ops[i].id_size] == '\0');
        if (ops[i].kind != QUERN_OP_DELETE) qn_assert(ops[i].source_size > 0);
        results[i].status = i % 3 == 2 ? QN_EDOCUMENT : QN_OK;
    }
    return QN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static cli c = {.quiet = true};
    char path[128];
    if (n == 0) return 0;
    (void)snprintf(path, sizeof path, "%s/documents", target_folder());
    FILE *f = fopen(path, "wb");
    qn_assert(f != NULL && fwrite(bytes + 1, 1, n - 1, f) == n - 1 && fclose(f) == 0);
    ingest g = {.c = &c,
                .table = "t",
                .id_field = (bytes[0] & WITH_ID) != 0 ? "key" : NULL,
                .format = (input_format)((bytes[0] & 63) % 5),
                .batch = (bytes[0] & SMALL_BATCHES) != 0 ? 2 : 500,
                .errors_shown = ERRORS_SHOWN_MAX + 1};
    qn_arena_init(&g.arena, qn_alloc_heap(), 0);
    qn_arena_init(&g.names, qn_alloc_heap(), 0);
    qn_buf_init(&g.record, qn_alloc_heap());
    c.err = (qn_error){0};
    g.progress.c = &c;
    if (!ingest_file(&g, path)) qn_assert(c.err.text[0] != '\0');
    qn_arena_deinit(&g.arena);
    qn_arena_deinit(&g.names);
    qn_buf_deinit(&g.record);
    qn_vec_deinit(qn_alloc_heap(), &g.waiting);
    qn_vec_deinit(qn_alloc_heap(), &g.columns);
    return 0;
}
