/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a model file: an error, or a model that runs. The first byte chooses.
 * Even: the rest is the file. Odd: the rest is three texts with 0xFF between them, the
 * description, the list of tensors and the vocabulary; the file around them is made
 * right, with as many bytes of weights as the list asks for, so that the fuzzer works on
 * what they say and not on checksums. */
#include "nn/calls/embed.h"
#include "nn/encoder/head.h"
#include "nn/file/qnm.h"
#include "nn/calls/rerank.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { TENSORS_MAX = 128, TENSOR_BYTES_MAX = 1 << 16, DIMS_MAX = 1024 };

static qn_slice next_text(qn_slice *rest)
{
    const char *end = rest->n == 0 ? NULL : memchr(rest->p, 0xFF, rest->n);
    qn_slice text = {rest->p, end == NULL ? rest->n : (size_t)(end - rest->p)};
    size_t step = end == NULL ? rest->n : text.n + 1;
    *rest = (qn_slice){rest->p + step, rest->n - step};
    return text;
}

/* Blocks of small weights for each item of the list, of the size it asks for. */
static qn_status put_tensors(qn_blockfile_writer *w, qn_slice list, qn_error *err)
{
    static uint8_t weights[TENSOR_BYTES_MAX];
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 1 << 24);
    const qn_json *items = NULL;
    qn_status st = qn_json_parse(&arena, list, &items, err);
    uint32_t id = 0;
    for (const qn_json *it = st == QN_OK ? qn_json_items(items) : NULL;
         it != NULL && id < TENSORS_MAX && st == QN_OK; it = it->next, id++) {
        size_t count = 1, rows = 1;
        const qn_json *shape = qn_json_get(it, "shape"),
                      *type = qn_json_get(it, "dtype");
        for (const qn_json *d = qn_json_items(shape); d != NULL; d = d->next) {
            if (d->integer < 0 || d->integer > TENSOR_BYTES_MAX) continue;
            if (d == shape->first && shape->count == 2) rows = (size_t)d->integer;
            count = count * (size_t)d->integer % TENSOR_BYTES_MAX;
        }
        size_t size = type == NULL                            ? 0
                      : qn_slice_eq_str(type->string, "f32")  ? 4
                      : qn_slice_eq_str(type->string, "bf16") ? 2
                                                              : 1;
        if (count * size > TENSOR_BYTES_MAX || rows * 4 > TENSOR_BYTES_MAX) continue;
        st = qn_blockfile_put(w, QN_QNM_DATA, id, weights, count * size, err);
        if (st == QN_OK && size == 1)
            st = qn_blockfile_put(w, QN_QNM_SCALE, id, weights, rows * 4, err);
    }
    qn_arena_deinit(&arena);
    return st;
}

static uint8_t *make_image(qn_slice rest, size_t *n)
{
    qn_slice meta = next_text(&rest), list = next_text(&rest);
    qn_blockfile_writer *w = NULL;
    qn_error err = {0};
    uint8_t *image = NULL;
    if (qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_QNM_MAGIC, QN_QNM_VERSION,
                                   &w, &err) != QN_OK)
        return NULL;
    if (put_tensors(w, list, &err) == QN_OK &&
        qn_blockfile_put(w, QN_QNM_META, 0, meta.p, meta.n, &err) == QN_OK &&
        qn_blockfile_put(w, QN_QNM_TENSORS, 0, list.p, list.n, &err) == QN_OK &&
        qn_blockfile_put(w, QN_QNM_VOCAB, 0, rest.p, rest.n, &err) == QN_OK &&
        qn_blockfile_finish(w, false, &err) == QN_OK)
        image = qn_blockfile_writer_take(w, n);
    qn_blockfile_writer_destroy(w);
    return image;
}

static qn_status run_sparse(qn_model *m, qn_slice text, const qn_embed_options *embed,
                            qn_error *err)
{
    qn_sparse_vector vector = {0};
    const qn_sparse_options options = {.text = embed};
    qn_status st =
        qn_sparse_run(m, &text, 1, &options, qn_alloc_heap(), &vector, NULL, err);
    qn_sparse_free(qn_alloc_heap(), &vector, 1);
    return st;
}

static qn_status run_tokens(qn_model *m, qn_slice text, const qn_embed_options *embed,
                            qn_error *err)
{
    qn_token_vectors vectors = {0};
    qn_status st =
        qn_token_vectors_run(m, &text, 1, embed, qn_alloc_heap(), &vectors, NULL, err);
    qn_token_vectors_free(qn_alloc_heap(), &vectors, 1);
    return st;
}

static void run(qn_model *m)
{
    const qn_model_info *info = qn_model_describe(m);
    qn_slice text = QN_SLICE_LIT("a stone [SEP] mill");
    qn_error err = {0};
    qn_status st = QN_OK;
    qn_rerank_doc doc;
    float vector[DIMS_MAX];
    qn_deadline deadline = qn_deadline_in_ms(1000, NULL);
    static float logits[QN_LABELS_MAX];
    qn_rerank_options rerank = {.deadline = &deadline, .logits = logits};
    qn_embed_options embed = {.deadline = &deadline};
    if (info->task == QN_MODEL_RERANK)
        st = qn_rerank_run(m, text, &text, 1, &rerank, &doc, NULL, &err);
    else if (info->task == QN_MODEL_SPARSE)
        st = run_sparse(m, text, &embed, &err);
    else if (info->task == QN_MODEL_TOKENS)
        st = run_tokens(m, text, &embed, &err);
    else if (info->dims <= DIMS_MAX)
        st = qn_embed_run(m, &text, 1, &embed, vector, NULL, &err);
    qn_assert(st == QN_OK || st == QN_EMODEL || st == QN_ETIMEOUT || st == QN_ENOMEM);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    size_t size = n - 1;
    uint8_t *image = NULL;
    if (bytes[0] % 2 == 1) {
        image = make_image((qn_slice){(const char *)bytes + 1, n - 1}, &size);
    } else {
        image = qn_new_aligned(qn_alloc_heap(), 64, size);
        if (image != NULL) memcpy(image, bytes + 1, size);
    }
    if (image == NULL) return 0;
    qn_model *m = NULL;
    qn_error err = {0};
    qn_alloc limited = {.budget_bytes = 64 << 20};
    if (qn_model_open_memory(&limited, image, size, "fuzz", NULL, &m, &err) == QN_OK)
        run(m);
    else
        qn_assert(m == NULL && err.text[0] != '\0');
    qn_model_close(m);
    qn_assert(atomic_load(&limited.live_bytes) == 0);
    qn_delete_aligned(qn_alloc_heap(), image);
    return 0;
}
