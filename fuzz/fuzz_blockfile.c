/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a block file: an error, or blocks that lie inside the image. So that the
 * fuzzer gets past the checksums, the first byte decides whether they are put right. */
#include "base/bits.h"
#include "io/blockfile.h"
#include "io/blockfile_internal.h"

#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Rewrites the checksums of header, directory and footer. */
static void put_sums_right(uint8_t *image, size_t n)
{
    if (n < QN_BLOCKFILE_HEADER + QN_BLOCKFILE_FOOTER) return;
    uint8_t *footer = image + n - QN_BLOCKFILE_FOOTER;
    qn_store64(image + QN_BLOCKFILE_AT_SUM, XXH3_64bits(image, QN_BLOCKFILE_AT_SUM));
    qn_store64(footer + QN_BLOCKFILE_AT_FILE_SIZE, n);
    uint64_t offset = qn_load64(footer + QN_BLOCKFILE_AT_DIR_OFFSET);
    uint64_t count = qn_load64(footer + QN_BLOCKFILE_AT_DIR_COUNT);
    if (offset <= n && count <= (n - offset) / QN_BLOCKFILE_ENTRY)
        qn_store64(footer + QN_BLOCKFILE_AT_DIR_SUM,
                   XXH3_64bits(image + offset, (size_t)count * QN_BLOCKFILE_ENTRY));
    qn_store64(footer + QN_BLOCKFILE_AT_SUM, XXH3_64bits(footer, QN_BLOCKFILE_AT_SUM));
}

static void read_blocks(const qn_blockfile *f, const uint8_t *image, size_t n)
{
    for (size_t i = 0; i < qn_blockfile_count(f); i++) {
        uint32_t kind = 0, id = 0;
        uint64_t offset = 0, size = 0;
        qn_blockfile_entry(f, i, &kind, &id, &offset, &size);
        qn_slice s;
        qn_error err = {0};
        qn_status st = qn_blockfile_block(f, kind, id, &s, &err);
        qn_assert(st == QN_OK || (st == QN_ECORRUPT && err.at <= n && s.n == 0));
        if (st != QN_OK) continue;
        qn_assert(s.n == size && size <= n && offset <= n - size);
        qn_assert(memcmp(s.p, image + offset, s.n) == 0);
        qn_assert((uintptr_t)s.p % QN_BLOCK_ALIGN == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    qn_alloc *a = qn_alloc_heap();
    size_t size = n - 1;
    uint8_t *image = qn_new_aligned(a, QN_BLOCK_ALIGN, size + (size == 0));
    if (image == NULL) return 0;
    memcpy(image, bytes + 1, size);
    if (bytes[0] % 2 == 1) put_sums_right(image, size);
    qn_blockfile *f = NULL;
    qn_error err = {0};
    qn_status st = qn_blockfile_open_memory(a, image, size, false, "fuzz", "QNTEST\0",
                                            3, &f, &err);
    qn_assert(st == QN_OK || st == QN_ECORRUPT || st == QN_EVERSION);
    if (st == QN_OK) {
        read_blocks(f, image, size);
        st = qn_blockfile_verify(f, &err);
        qn_assert(st == QN_OK || st == QN_ECORRUPT);
    }
    qn_blockfile_close(f);
    qn_delete_aligned(a, image);
    return 0;
}
