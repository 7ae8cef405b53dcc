/* SPDX-License-Identifier: Apache-2.0 */
/* Two segments with edited blocks are merged: an error that names the file, or a segment
 * that can be read like any other. The first byte chooses which documents are deleted and
 * how many of the edits are for the first segment. */
#include "index/merge.h"
#include "sound_segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { INPUTS = 2, WORDS = 8, DELETED_MAX = WORDS * 64 };

/* The merged image; NULL: the inputs are damaged. */
static uint8_t *merge(const qn_merge_input *inputs, size_t *n)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    uint8_t *image = NULL;
    qn_merge_options o = {.seed = 7};
    if (qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_SEGMENT_MAGIC,
                                   QN_SEGMENT_VERSION, &w, &err) != QN_OK)
        return NULL;
    qn_status st = qn_segment_merge(qn_alloc_heap(), inputs, INPUTS, &o, w, &err);
    /* Invalid: the two do not agree on the type of a field. */
    if (st != QN_EINVAL && sound(st, &err)) {
        must(qn_blockfile_finish(w, false, &err));
        image = qn_blockfile_writer_take(w, n);
    }
    qn_blockfile_writer_destroy(w);
    return image;
}

static void merge_and_read(qn_segment *const segments[INPUTS], uint8_t chance)
{
    qn_error err = {0};
    uint64_t deleted[INPUTS][WORDS] = {{0}};
    qn_doc_map maps[INPUTS];
    qn_merge_input inputs[INPUTS];
    uint32_t base = 0;
    for (int i = 0; i < INPUTS; i++) {
        uint32_t docs = qn_segment_doc_count(segments[i]);
        for (uint32_t d = 0; d < docs && chance % 8 != 0; d += 1 + chance % 8)
            deleted[i][d / 64] |= (uint64_t)1 << (d % 64);
        must(qn_doc_map_init(&maps[i], qn_alloc_heap(), deleted[i], docs, base, &err));
        base += maps[i].live_count;
        inputs[i] = (qn_merge_input){segments[i], &maps[i]};
    }
    size_t n = 0;
    uint8_t *image = merge(inputs, &n);
    for (int i = 0; i < INPUTS; i++) qn_doc_map_deinit(&maps[i]);
    if (image == NULL) return;
    qn_blockfile *file = NULL;
    must(qn_blockfile_open_memory(qn_alloc_heap(), image, n, true, "fuzz",
                                  QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &file, &err));
    read_segment(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static qn_blockfile *images[INPUTS];
    qn_segment *segments[INPUTS] = {NULL, NULL};
    qn_error err = {0};
    if (images[0] == NULL) images[0] = sound_image(0, 150);
    if (images[1] == NULL) images[1] = sound_image(150, 300);
    if (n == 0) return 0;
    size_t first = (size_t)(bytes[0] / 8) * EDIT_BYTES, rest = n - 1;
    if (first > rest) first = rest;
    for (int i = 0; i < INPUTS; i++) {
        const uint8_t *edits = bytes + 1 + (i == 0 ? 0 : first);
        qn_blockfile *file = edit_blocks(images[i], QN_SEGMENT_MAGIC, edits,
                                         i == 0 ? first : rest - first);
        if (file == NULL) continue;
        if (!sound(qn_segment_open(qn_alloc_heap(), file, &segments[i], &err), &err))
            qn_blockfile_close(file);
    }
    /* An edited count of documents is refused: the bits have room for the sound ones. */
    bool fit = true;
    for (int i = 0; i < INPUTS; i++)
        fit = fit && segments[i] != NULL &&
              qn_segment_doc_count(segments[i]) < DELETED_MAX;
    if (fit) merge_and_read(segments, bytes[0]);
    for (int i = 0; i < INPUTS; i++) qn_segment_close(segments[i]);
    return 0;
}
