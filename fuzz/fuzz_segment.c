/* SPDX-License-Identifier: Apache-2.0 */
/* A segment with edited blocks and right checksums: reading all of it gives an error
 * that names the file, or documents within bounds and in order. */
#include "sound_segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    /* Most are small and fast; lists of the large one have their best documents. */
    static qn_blockfile *small, *large;
    if (small == NULL) small = sound_image(0, 300);
    if (large == NULL) large = sound_image(0, 1100);
    const qn_blockfile *image = n > 0 && bytes[0] % 8 == 7 ? large : small;
    qn_blockfile *file = edit_blocks(image, QN_SEGMENT_MAGIC, bytes, n);
    if (file != NULL) read_segment(file);
    return 0;
}
