/* SPDX-License-Identifier: Apache-2.0 */
/* edit_blocks.h -- a block file whose blocks are not what they were: the fuzzer's bytes
 * are edits of the blocks of a sound image, and checksums are those of the result, so
 * every reader behind them is reached.
 *
 * An edit is 8 bytes: block u8, operation u8 (0 set, 1 flip bits, 2 cut, 3 four bytes,
 * 4 drop the block), place u16, value u32. */
#ifndef QN_FUZZ_EDIT_BLOCKS_H
#define QN_FUZZ_EDIT_BLOCKS_H

#include "base/bits.h"
#include "io/blockfile.h"

enum { EDIT_BYTES = 8, EDITS_MAX = 64, EDIT_BLOCKS_MAX = 64 };

static void edit_block(qn_buf *b, bool *dropped, const uint8_t *e)
{
    size_t place = qn_load16(e + 2);
    uint32_t value = qn_load32(e + 4);
    if (b->n == 0) return;
    place %= b->n;
    switch (e[1] % 5) {
    case 0:
        b->p[place] = (char)value;
        break;
    case 1:
        b->p[place] = (char)(b->p[place] ^ (char)value);
        break;
    case 2:
        b->n = place;
        break;
    case 3:
        if (b->n - place >= 4) qn_store32(b->p + place, value);
        break;
    default:
        *dropped = true;
    }
}

/* The edited file, read back; NULL when memory ran out. */
static qn_blockfile *edit_blocks(const qn_blockfile *sound, const char magic[8],
                                 const uint8_t *edits, size_t n)
{
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *out = NULL;
    uint32_t version = qn_blockfile_version(sound);
    if (qn_blockfile_writer_create(a, NULL, magic, version, &w, &err) != QN_OK)
        return NULL;
    size_t count = qn_blockfile_count(sound);
    for (size_t i = 0; i < count; i++) {
        uint32_t kind = 0, id = 0;
        uint64_t offset = 0, size = 0;
        qn_slice bytes;
        qn_buf b;
        bool dropped = false;
        qn_blockfile_entry(sound, i, &kind, &id, &offset, &size);
        qn_assert(qn_blockfile_block(sound, kind, id, &bytes, &err) == QN_OK);
        qn_buf_init(&b, a);
        qn_buf_add_slice(&b, bytes);
        for (size_t k = 0; k < n / EDIT_BYTES && k < EDITS_MAX; k++)
            if (edits[k * EDIT_BYTES] % count == i)
                edit_block(&b, &dropped, edits + k * EDIT_BYTES);
        if (!dropped) qn_assert(qn_blockfile_put(w, kind, id, b.p, b.n, &err) == QN_OK);
        qn_buf_deinit(&b);
    }
    qn_assert(qn_blockfile_finish(w, false, &err) == QN_OK);
    size_t size = 0;
    uint8_t *image = qn_blockfile_writer_take(w, &size);
    qn_blockfile_writer_destroy(w);
    qn_assert(qn_blockfile_open_memory(a, image, size, true, "fuzz", magic, version,
                                       &out, &err) == QN_OK);
    return out;
}

#endif
