/* SPDX-License-Identifier: Apache-2.0 */
/* nn_dump -- hidden states and logits of a model file, for comparison with others.
 *
 *     nn_dump MODEL.qnm [kernel set]
 *
 * Standard input: records of a 32-bit little-endian count n, n ids of 32 bits and n
 * types of 8 bits. Standard output, a record each: (layers + 1) x n x hidden floats, the
 * rows after the embeddings and after each layer; then the logits of a reranker from the
 * pooled rows. All little-endian. The name of the backend goes to standard error. */
#include "base/bits.h"
#include "nn/encoder/encoder.h"
#include "nn/file/model_meta.h"

#include <stdio.h>

enum { TOKENS_MAX = 65536 };

static void put_rows(void *ctx, uint32_t layer, const float *x, size_t n)
{
    const qn_encoder_config *c = ctx;
    (void)layer;
    (void)fwrite(x, sizeof *x, n * c->hidden, stdout);
}

static size_t read_record(uint32_t *ids, uint8_t *types)
{
    uint8_t word[4];
    if (fread(word, 1, 4, stdin) != 4) return 0;
    size_t n = qn_load32(word);
    if (n > TOKENS_MAX) return 0;
    for (size_t i = 0; i < n; i++) {
        if (fread(word, 1, 4, stdin) != 4) return 0;
        ids[i] = qn_load32(word);
    }
    return fread(types, 1, n, stdin) == n ? n : 0;
}

static qn_status run(const qn_qnm *file, const qn_kernels *kernels, qn_error *err)
{
    static uint32_t ids[TOKENS_MAX];
    static uint8_t types[TOKENS_MAX];
    static float logits[QN_LABELS_MAX], pooled[8192];
    qn_alloc *a = qn_alloc_heap();
    qn_arena arena;
    qn_arena_init(&arena, a, 0);
    qn_model_meta meta;
    qn_encoder *e = NULL;
    qn_encoder_scratch *s = NULL;
    qn_head head = {0};
    QN_TRY(qn_model_meta_read(qn_qnm_meta(file), &arena, &meta, err));
    QN_TRY(qn_encoder_open(a, kernels, file, &meta.encoder, false, &e, err));
    QN_TRY(qn_encoder_scratch_create(a, e, qn_encoder_longest(&meta.encoder), &s, err));
    bool rerank = meta.info.task == QN_MODEL_RERANK;
    const qn_weight_source from = {a, kernels, file, NULL};
    if (rerank) QN_TRY(qn_head_open(&from, &meta.head, &head, err));
    void *scratch = rerank ? qn_new_aligned(a, 64, qn_head_scratch_bytes(&head)) : NULL;
    (void)fprintf(stderr, "%s\n", qn_encoder_backend(e));
    size_t H = meta.encoder.hidden;
    for (size_t n; (n = read_record(ids, types)) > 0;) {
        uint32_t starts[2] = {0, (uint32_t)n};
        qn_encoder_batch batch = {ids, types, starts, 1, NULL};
        qn_encoder_trace trace = {.rows = put_rows, .ctx = &meta.encoder};
        const float *rows = NULL;
        QN_TRY(qn_encoder_run(e, s, &batch, NULL, &trace, &rows, err));
        if (!rerank) continue;
        qn_pool_rows(rows, meta.info.pooling == QN_POOL_CLS ? 1 : n, H, pooled);
        qn_head_run(&head, pooled, logits, scratch);
        (void)fwrite(logits, sizeof *logits, meta.head.labels, stdout);
    }
    qn_delete_aligned(a, scratch);
    qn_head_close(&head);
    qn_encoder_scratch_destroy(s);
    qn_encoder_close(e);
    qn_arena_deinit(&arena);
    return QN_OK;
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_qnm *file = NULL;
    const qn_kernels *kernels = argc > 2 ? qn_kernels_find(argv[2]) : qn_kernels_best();
    if (argc < 2 || kernels == NULL) {
        (void)fprintf(stderr, "nn_dump MODEL.qnm [a kernel set of this machine]\n");
        return 2;
    }
    qn_status st = qn_qnm_open(qn_alloc_heap(), argv[1], &file, &err);
    if (st == QN_OK) st = run(file, kernels, &err);
    qn_qnm_close(file);
    if (st != QN_OK) (void)fprintf(stderr, "%s: %s\n", err.file, err.text);
    return st == QN_OK ? 0 : 1;
}
