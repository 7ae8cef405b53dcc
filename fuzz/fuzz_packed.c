/* SPDX-License-Identifier: Apache-2.0 */
/* A packed copy beside a model: not used and, where it may be, removed; or weights and
 * values of the shapes that were asked for, which multiply within their bytes. The first
 * byte chooses: even, the rest is the file; odd, the rest edits the blocks of a sound one
 * (edit_blocks.h). */
#include "edit_blocks.h"

#include "base/log.h"
#include "io/file.h"
#include "nn/encoder/packed_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { ROWS = 40, COLUMNS = 48, VALUES = 16, LINES = 3, IMAGE_MAX = 1 << 20 };

static char folder[64], path[512];
static qn_qnm *model;
static uint8_t *image; /* of the model */
static qn_blockfile *sound;
static const qn_kernels *kernels;

static void must(qn_status st, const qn_error *err)
{
    if (st != QN_OK) (void)fprintf(stderr, "%s: %s\n", err->file, err->text);
    qn_assert(st == QN_OK);
}

/* A model file of nothing: a copy belongs to its name and its checksums. */
static void make_model(void)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    size_t n = 0;
    must(qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_QNM_MAGIC, QN_QNM_VERSION,
                                    &w, &err),
         &err);
    must(qn_blockfile_put(w, QN_QNM_META, 0, "{}", 2, &err), &err);
    must(qn_blockfile_put(w, QN_QNM_TENSORS, 0, "[]", 2, &err), &err);
    must(qn_blockfile_put(w, QN_QNM_VOCAB, 0, "", 0, &err), &err);
    must(qn_blockfile_finish(w, false, &err), &err);
    image = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    must(qn_qnm_open_memory(qn_alloc_heap(), image, n, "fuzz", &model, &err), &err);
}

static bool see_file(void *ctx, const char *name, bool is_dir)
{
    (void)ctx;
    if (!is_dir && qn_slice_ends_with(qn_slice_of(name), ".qnp"))
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return true;
}

/* One weight of each type, and values. */
static void make_copy(void)
{
    static float W[ROWS * COLUMNS];
    static int8_t Q[ROWS * COLUMNS];
    static uint16_t B[ROWS * COLUMNS];
    static float scale[ROWS];
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_packed_copy *c = NULL;
    qn_gemm *g[3] = {NULL};
    static const char *const names[] = {"f32", "int8", "bf16"};
    const qn_packed_place place = {folder, false};
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        W[i] = (float)(i % 17) - 8.0f;
        Q[i] = (int8_t)(i % 200) - 100;
        B[i] = (uint16_t)(0x3F80 + i % 64);
    }
    for (size_t i = 0; i < ROWS; i++) scale[i] = 0.01f;
    must(qn_packed_copy_open(a, &place, kernels, model, &c, &err), &err);
    qn_assert(c != NULL);
    must(qn_gemm_pack_f32(a, kernels, W, ROWS, COLUMNS, &g[0], &err), &err);
    must(qn_gemm_pack_i8(a, kernels, Q, scale, ROWS, COLUMNS, &g[1], &err), &err);
    must(qn_gemm_pack_bf16(a, kernels, B, ROWS, COLUMNS, &g[2], &err), &err);
    for (size_t i = 0; i < 3; i++) qn_packed_copy_keep(c, names[i], g[i]);
    qn_packed_copy_keep_values(c, "values", W, VALUES);
    qn_assert(qn_packed_copy_settle(c));
    qn_packed_copy_close(c);
    for (size_t i = 0; i < 3; i++) qn_gemm_destroy(g[i]);
    must(qn_dir_list(folder, see_file, NULL, &err), &err);
    must(qn_blockfile_open(a, path, QN_PACKED_MAGIC, QN_PACKED_VERSION, &sound, &err),
         &err);
}

static void remove_folder(void)
{
    qn_blockfile_close(sound);
    qn_qnm_close(model);
    qn_delete_aligned(qn_alloc_heap(), image);
    if (qn_dir_remove(folder, NULL) != QN_OK)
        (void)fprintf(stderr, "%s is left\n", folder);
}

static void prepare(void)
{
    const char *where = getenv("TMPDIR");
    kernels = qn_kernels_find("scalar");
    qn_log_set_level(QN_LOG_ERROR);
    (void)snprintf(folder, sizeof folder, "%.40s/fuzz_packed.XXXXXX",
                   where == NULL ? "/tmp" : where);
    qn_assert(kernels != NULL && mkdtemp(folder) != NULL);
    make_model();
    make_copy();
    (void)atexit(remove_folder);
}

/* The edited blocks as the file. */
static void write_edited(const uint8_t *edits, size_t n)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *edited = edit_blocks(sound, QN_PACKED_MAGIC, edits, n);
    if (edited == NULL) return;
    must(qn_file_remove(path, &err), &err);
    must(qn_blockfile_writer_create(qn_alloc_heap(), path, QN_PACKED_MAGIC,
                                    QN_PACKED_VERSION, &w, &err),
         &err);
    for (size_t i = 0; i < qn_blockfile_count(edited); i++) {
        uint32_t kind = 0, id = 0;
        uint64_t offset = 0, size = 0;
        qn_slice block;
        qn_blockfile_entry(edited, i, &kind, &id, &offset, &size);
        must(qn_blockfile_block(edited, kind, id, &block, &err), &err);
        must(qn_blockfile_put(w, kind, id, block.p, block.n, &err), &err);
    }
    must(qn_blockfile_finish(w, false, &err), &err);
    qn_blockfile_writer_destroy(w);
    qn_blockfile_close(edited);
}

static void write_whole(const uint8_t *bytes, size_t n)
{
    (void)unlink(path);
    FILE *f = fopen(path, "wb");
    qn_assert(f != NULL);
    qn_assert(fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* Asks for what a model would ask for, and for something else; how much was there. */
static size_t use(qn_packed_copy *c)
{
    static const struct {
        const char *name;
        qn_gemm_type type;
        size_t rows, columns;
    } asked[] = {{"f32", QN_GEMM_F32, ROWS, COLUMNS},
                 {"int8", QN_GEMM_I8, ROWS, COLUMNS},
                 {"bf16", QN_GEMM_BF16, ROWS, COLUMNS},
                 {"f32", QN_GEMM_F32, ROWS, COLUMNS + 1},
                 {"other", QN_GEMM_F32, ROWS, COLUMNS}};
    static float X[LINES * COLUMNS], Y[LINES * ROWS];
    size_t found = 0;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        qn_gemm *g = NULL;
        if (!qn_packed_copy_weight(c, asked[i].name, asked[i].type, asked[i].rows,
                                   asked[i].columns, &g)) {
            qn_assert(g == NULL);
            continue;
        }
        qn_assert(asked[i].columns == COLUMNS);
        found++;
        void *scratch =
            qn_new_aligned(qn_alloc_heap(), 64, qn_gemm_scratch_bytes(g, LINES) + 64);
        qn_gemm_run(g, LINES, X, COLUMNS, NULL, Y, ROWS, scratch);
        qn_delete_aligned(qn_alloc_heap(), scratch);
        qn_gemm_destroy(g);
    }
    const float *values = qn_packed_copy_values(c, "values", VALUES);
    float copy[VALUES]; /* the sanitizer sees that all can be read */
    if (values != NULL) memcpy(copy, values, sizeof copy);
    qn_assert(values == NULL || memcmp(copy, values, sizeof copy) == 0);
    return found + (values != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0 || n > IMAGE_MAX) return 0;
    if (model == NULL) prepare();
    if (bytes[0] % 2 == 0)
        write_whole(bytes + 1, n - 1);
    else
        write_edited(bytes + 1, n - 1);
    qn_error err = {0};
    qn_packed_copy *c = NULL;
    const qn_packed_place place = {folder, true};
    qn_status st =
        qn_packed_copy_open(qn_alloc_heap(), &place, kernels, model, &c, &err);
    qn_assert(st == QN_OK);
    size_t found = c == NULL ? 0 : use(c);
    qn_assert(n != 1 || found == (bytes[0] % 2 == 1 ? 4 : 0)); /* nothing was edited */
    (void)qn_packed_copy_settle(c);
    qn_packed_copy_close(c);
    return 0;
}
