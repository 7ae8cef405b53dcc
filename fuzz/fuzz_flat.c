/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors with an edited block and right checksums: an error at open, or searches that
 * give documents of the segment, in order. The first byte picks the form of the block. */
#include "edit_blocks.h"
#include "vec/flat.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { FORMS = 9, DOCS = 40, DIMS = 5, FIELD = 3, K = 7 };

static void must(qn_status st)
{
    qn_assert(st == QN_OK);
}

static qn_flat_options form(unsigned i)
{
    return (qn_flat_options){
        .dims = DIMS,
        .metric = (qn_vindex_metric)(i % 3),
        .element = i < 3 ? QN_VINDEX_F32 : QN_VINDEX_I8,
        .raw = i >= 6,
    };
}

/* Built once each; they live as long as the process. */
static const qn_blockfile *sound_image(unsigned i)
{
    static qn_blockfile *files[FORMS];
    if (files[i] != NULL) return files[i];
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_flat_builder *b = NULL;
    qn_blockfile_writer *w = NULL;
    qn_flat_options o = form(i);
    must(qn_flat_builder_create(a, &o, NULL, &b, &err));
    for (uint32_t d = 0; d < DOCS; d++) {
        const float v[DIMS] = {1, (float)(d % 7), -3, (float)d, 0};
        if (i % 2 == 0 || d % 3 == 0) must(qn_flat_builder_add(b, d, v, DIMS, &err));
    }
    must(qn_blockfile_writer_create(a, NULL, "QNTEST\0", 0, &w, &err));
    must(qn_flat_builder_write(b, FIELD, DOCS, w, &err));
    must(qn_blockfile_finish(w, false, &err));
    size_t n = 0;
    uint8_t *image = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    qn_flat_builder_destroy(b);
    must(qn_blockfile_open_memory(a, image, n, true, "sound", "QNTEST\0", 0, &files[i],
                                  &err));
    return files[i];
}

static void search(const qn_vindex *v)
{
    qn_error err = {0};
    qn_vindex_info info;
    qn_vindex_info_get(v, &info);
    float query[QN_VINDEX_DIMS_MAX], out[QN_VINDEX_DIMS_MAX];
    for (uint32_t i = 0; i < info.dims; i++) query[i] = (float)(i % 5);
    query[0] = 1;
    qn_vec_hit hits[K];
    size_t n = 0;
    qn_vindex_query q = {.vector = query, .dims = info.dims, .k = K};
    must(qn_vindex_search(v, &q, hits, &n, &err));
    qn_assert(n <= K && n <= info.count);
    for (size_t i = 0; i < n; i++) {
        float value = 0;
        qn_assert(hits[i].doc < info.doc_count && qn_vindex_has(v, hits[i].doc));
        must(qn_vindex_values(v, &q, &hits[i].doc, 1, &value, &err));
        qn_assert(qn_float_bits(value) == qn_float_bits(hits[i].value) || value == 0);
        qn_assert(qn_vindex_vector(v, hits[i].doc, out));
        if (i == 0) continue;
        bool better = info.metric == QN_VINDEX_L2 ? hits[i - 1].value <= hits[i].value
                                                  : hits[i - 1].value >= hits[i].value;
        qn_assert(better);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    qn_error err = {0};
    qn_vindex *v = NULL;
    qn_blockfile *file =
        edit_blocks(sound_image(bytes[0] % FORMS), "QNTEST\0", bytes + 1, n - 1);
    if (file == NULL) return 0;
    qn_status st = qn_vindex_open(qn_alloc_heap(), file, FIELD, &v, &err);
    qn_assert(st == QN_OK || st == QN_ECORRUPT || st == QN_ENOTFOUND);
    if (st == QN_OK) search(v);
    qn_vindex_close(v);
    qn_blockfile_close(file);
    return 0;
}
