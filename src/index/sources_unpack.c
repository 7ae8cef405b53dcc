/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking frames of sources. Making a decompressor and taking a dictionary apart cost
 * more than a small frame does, so both are kept: one spare decompressor, and each
 * dictionary once it was used. */
#include "index/segment_internal.h"

#include <zstd.h>

void qn_unpacker__deinit(source_unpacker *u)
{
    ZSTD_freeDCtx(atomic_exchange(&u->context, NULL));
    for (size_t i = 0; i < SOURCE_DICTS_MAX; i++)
        ZSTD_freeDDict(atomic_exchange(&u->dicts[i], NULL));
}

/* Two threads may both take it apart the first time: one of them throws its own away. */
static const ZSTD_DDict *dict_at(source_unpacker *u, const source_dicts *dicts,
                                 uint32_t place)
{
    ZSTD_DDict *d = atomic_load(&u->dicts[place]);
    if (d != NULL) return d;
    d = ZSTD_createDDict(dicts->p[place].p, dicts->p[place].n);
    void *expected = NULL;
    if (d == NULL || atomic_compare_exchange_strong(&u->dicts[place], &expected, d))
        return d;
    ZSTD_freeDDict(d);
    return expected;
}

uint32_t qn_unpacker__dict_of(qn_slice frame)
{
    return ZSTD_getDictID_fromFrame(frame.p, frame.n);
}

/* SIZE_MAX when the frame cannot be unpacked. */
static size_t unpack_with(source_unpacker *u, const source_dicts *dicts,
                          ZSTD_DCtx *context, qn_slice frame, char *room, size_t size)
{
    uint32_t id = qn_unpacker__dict_of(frame), place = 0;
    size_t n;
    if (id == 0) {
        n = ZSTD_decompressDCtx(context, room, size, frame.p, frame.n);
        return ZSTD_isError(n) ? SIZE_MAX : n;
    }
    while (place < dicts->n && dicts->ids[place] != id) place++;
    if (place == dicts->n) return SIZE_MAX;
    const ZSTD_DDict *dict = dict_at(u, dicts, place);
    if (dict == NULL) return SIZE_MAX;
    n = ZSTD_decompress_usingDDict(context, room, size, frame.p, frame.n, dict);
    return ZSTD_isError(n) ? SIZE_MAX : n;
}

bool qn_unpacker__run(source_unpacker *u, const source_dicts *dicts, qn_slice frame,
                      uint32_t raw_size, qn_buf *scratch)
{
    qn_buf_reset(scratch);
    if (raw_size > SOURCE_BLOCK_MAX ||
        ZSTD_getFrameContentSize(frame.p, frame.n) != raw_size)
        return false;
    char *room = qn_buf_reserve(scratch, raw_size);
    ZSTD_DCtx *context = room == NULL ? NULL : atomic_exchange(&u->context, NULL);
    if (context == NULL && room != NULL) context = ZSTD_createDCtx();
    if (context == NULL) {
        scratch->failed = true;
        return false;
    }
    size_t n = unpack_with(u, dicts, context, frame, room, raw_size);
    ZSTD_freeDCtx(atomic_exchange(&u->context, context));
    if (n != raw_size) return false;
    scratch->n = raw_size;
    return true;
}
