/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of PyTorch: an error that names something, or tensors that lie
 * inside of it. The first byte chooses: the whole archive, or a pickle alone, which a
 * fuzzer reaches more easily than through an archive. */
#include "nn/import/pickle.h"
#include "nn/import/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_error(qn_status st, const qn_error *err)
{
    qn_assert(st == QN_EMODEL || st == QN_EUNSUPPORTED || st == QN_ELIMIT ||
              st == QN_ENOMEM);
    qn_assert(err->text[0] != '\0');
}

static void read_pickle(qn_slice text)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 64 * 1024 * 1024);
    const qn_pickle *v = NULL;
    qn_error err = {0};
    qn_status st = qn_pickle_parse(&arena, text, "fuzz", &v, &err);
    if (st != QN_OK)
        check_error(st, &err);
    else
        qn_assert(v != NULL && qn_pickle_kind_name(v->kind)[0] != '\0');
    qn_arena_deinit(&arena);
}

static void read_archive(qn_slice file)
{
    qn_torch_file *f = NULL;
    qn_error err = {0};
    qn_status st = qn_torch_file_open_memory(qn_alloc_heap(), file, "fuzz", &f, &err);
    if (st != QN_OK) {
        check_error(st, &err);
        return;
    }
    for (size_t i = 0; i < qn_torch_file_count(f); i++) {
        const qn_weight *t = qn_torch_file_at(f, i);
        if (t->count > 4096) continue;
        float values[4096];
        st = qn_weight_to_f32(t, "fuzz", values, &err);
        qn_assert(st == QN_OK || st == QN_EMODEL);
    }
    qn_torch_file_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    qn_slice rest = {(const char *)bytes + 1, n - 1};
    if (bytes[0] == 'p')
        read_pickle(rest);
    else
        read_archive(rest);
    return 0;
}
