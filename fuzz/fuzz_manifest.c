/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest whose checksums hold but whose content is anything: an error that names the
 * file, or a list of segments whose delete bits have their size. The input is the JSON;
 * after a byte 0xFF the delete bits of the first segment. */
#include "base/bits.h"
#include "engine/table/manifest.h"
#include "engine_target.h"
#include "io/blockfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { BLOCK_JSON = 1, BLOCK_DELETED = 2 };

static void write_manifest(const char *path, qn_slice json, qn_slice bits)
{
    static const char magic[8] = {'Q', 'N', 'M', 'A', 'N', 'I', 'F', 0};
    qn_alloc *a = qn_alloc_heap();
    qn_blockfile_writer *w = NULL;
    qn_error err = {0};
    size_t size = 0;
    qn_assert(qn_blockfile_writer_create(a, NULL, magic, QN_MANIFEST_VERSION, &w,
                                         &err) == QN_OK);
    qn_assert(qn_blockfile_put(w, BLOCK_JSON, 0, json.p, json.n, &err) == QN_OK);
    if (bits.n > 0)
        qn_assert(qn_blockfile_put(w, BLOCK_DELETED, 0, bits.p, bits.n, &err) == QN_OK);
    qn_assert(qn_blockfile_finish(w, false, &err) == QN_OK);
    uint8_t *image = qn_blockfile_writer_take(w, &size);
    qn_blockfile_writer_destroy(w);
    FILE *f = fopen(path, "wb");
    qn_assert(f != NULL && fwrite(image, 1, size, f) == size && fclose(f) == 0);
    qn_delete_aligned(a, image);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[128];
    const uint8_t *end = n == 0 ? NULL : memchr(bytes, 0xFF, n);
    qn_slice json = {(const char *)bytes, end == NULL ? n : (size_t)(end - bytes)};
    qn_slice bits = {"", 0};
    if (end != NULL) bits = (qn_slice){(const char *)end + 1, n - json.n - 1};
    (void)snprintf(path, sizeof path, "%s/manifest-1", target_folder());
    write_manifest(path, json, bits);
    qn_manifest m;
    qn_error err = {0};
    qn_status st = qn_manifest_read(qn_alloc_heap(), target_folder(), &m, &err);
    if (st == QN_OK) {
        uint64_t deleted = 0;
        qn_assert(m.number == 1);
        for (size_t i = 0; i < m.segment_count; i++)
            for (size_t k = 0; m.segments[i].deleted != NULL &&
                               k < qn_bitset_words(m.segments[i].doc_count);
                 k++)
                deleted += (uint64_t)(m.segments[i].deleted[k] != 0);
        (void)deleted;
    } else {
        qn_assert((st == QN_ECORRUPT || st == QN_EVERSION) && err.text[0] != '\0');
    }
    qn_manifest_deinit(&m);
    return 0;
}
