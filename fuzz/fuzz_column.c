/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of every type: the batch functions, the search for a range and the bounds agree
 * with the values one by one. With edited blocks they are refused as damaged when asked
 * for, or reading them stays within bounds (what edited bounds say of the values may be
 * wrong: only checksums know). */
#include "check_column.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* The range, then edits. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static qn_blockfile *image;
    qn_error err = {0};
    qn_segment *seg = NULL;
    if (image == NULL) image = sound_image(0, DOCS);
    if (n < 8) return 0;
    int64_t low = (int32_t)qn_load32(bytes), high = (int32_t)qn_load32(bytes + 4);
    qn_blockfile *file = edit_blocks(image, QN_SEGMENT_MAGIC, bytes + 8, n - 8);
    if (file == NULL) return 0;
    if (!sound(qn_segment_open(qn_alloc_heap(), file, &seg, &err), &err)) {
        qn_blockfile_close(file);
        return 0;
    }
    for (size_t i = 0; i < qn_segment_field_count(seg); i++) {
        uint32_t field = qn_segment_field_at(seg, i)->id;
        read_column(seg, field);
        check_column(seg, field, n >= 8 + EDIT_BYTES, low, high);
    }
    qn_segment_close(seg);
    return 0;
}
