/* SPDX-License-Identifier: Apache-2.0 */
/* blockfile_internal.h -- where the bytes are, for the writer and the reader.
 * docs/formats/blockfile.md says the same with drawings. */
#ifndef QN_IO_BLOCKFILE_INTERNAL_H
#define QN_IO_BLOCKFILE_INTERNAL_H

#include <stdint.h>

enum {
    QN_BLOCKFILE_HEADER = 64,
    QN_BLOCKFILE_FOOTER = 64,
    QN_BLOCKFILE_ENTRY = 32,

    /* header */
    QN_BLOCKFILE_AT_MAGIC = 0,   /* 8 bytes */
    QN_BLOCKFILE_AT_VERSION = 8, /* u32 */
    QN_BLOCKFILE_AT_PAGE = 12, /* u8: 16, or 0 where blocks have no pages; then zeros */

    /* directory entry */
    QN_BLOCKFILE_AT_KIND = 0,       /* u32 */
    QN_BLOCKFILE_AT_ID = 4,         /* u32 */
    QN_BLOCKFILE_AT_OFFSET = 8,     /* u64, multiple of 64 */
    QN_BLOCKFILE_AT_SIZE = 16,      /* u64 */
    QN_BLOCKFILE_AT_BLOCK_SUM = 24, /* u64, XXH3-64 of the block's bytes, or of the
                                     * checksums of its pages */

    /* A block longer than a page has the XXH3-64 of each page behind it, u64 each. */
    QN_BLOCKFILE_PAGE_BITS = 16,
    QN_BLOCKFILE_PAGE = 1 << QN_BLOCKFILE_PAGE_BITS,

    /* footer */
    QN_BLOCKFILE_AT_FILE_SIZE = 0,  /* u64 */
    QN_BLOCKFILE_AT_DIR_OFFSET = 8, /* u64, multiple of 64 */
    QN_BLOCKFILE_AT_DIR_COUNT = 16, /* u64 */
    QN_BLOCKFILE_AT_DIR_SUM = 24,   /* u64, XXH3-64 of the directory */
    QN_BLOCKFILE_AT_END_MAGIC = 32, /* 8 bytes, then zeros */

    /* header and footer end with XXH3-64 of the 56 bytes before */
    QN_BLOCKFILE_AT_SUM = 56,
};

#endif
