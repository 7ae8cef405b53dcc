/* SPDX-License-Identifier: Apache-2.0 */
/* A segment with edited blocks and right checksums: reading all of it gives an error
 * that names the file, or documents within bounds and in order. */
#include "sound_segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static qn_blockfile *image;
    if (image == NULL) image = sound_image(0, 1100);
    qn_blockfile *file = edit_blocks(image, QN_SEGMENT_MAGIC, bytes, n);
    if (file != NULL) read_segment(file);
    return 0;
}
