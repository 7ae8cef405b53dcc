/* SPDX-License-Identifier: Apache-2.0 */
/* A file of newer values with edited blocks beside a sound segment: refused as damaged,
 * or all ways of reading the columns of both agree, and written anew and read again it
 * says the same. */
#include "check_column.h"
#include "index/column_overlay.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { UPDATED_EVERY = 7 };

static const qn_field fresh = {.id = 9, .type = QN_FIELD_DATE, .column = true};

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void update(qn_overlay *o, const qn_segment *seg, uint32_t d)
{
    enum { FIELDS = 7 };
    char word[32];
    qn_error err = {0};
    (void)snprintf(word, sizeof word, "new%u", d % 40);
    qn_overlay_value values[] = {
        {.text = qn_slice_of(word)},
        {.bits = 3000 - d},
        {.bits = bits_of(d * 0.5)},
        {.bits = d},
        {.bits = d + 1},
        {.bits = bits_of(-1.5)},
        {.bits = qn_geo_bits(d % 80, 5)},
        {.bits = d * 77},
    };
    static const qn_field *const fields[FIELDS] = {&tag,    &year,  &price, &sizes,
                                                   &weight, &place, &fresh};
    static const struct {
        size_t at, n;
    } of[FIELDS] = {{0, 1}, {1, 1}, {2, 1}, {3, 2}, {5, 1}, {6, 1}, {7, 1}};
    qn_overlay_change changes[FIELDS];
    qn_column bases[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        bool there = qn_segment_column(seg, fields[i]->id, &bases[i], &err) == QN_OK;
        changes[i] = (qn_overlay_change){
            {fields[i]->id, fields[i]->type, there ? &bases[i] : NULL},
            values + of[i].at,
            (d + i) % 6 == 0 ? 0 : of[i].n};
    }
    must(qn_overlay_stage(o, d, changes, FIELDS, QN_SLICE_LIT("{\"d\":2}"), &err));
    qn_overlay_publish(o);
}

static qn_blockfile *write_image(qn_overlay *o)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    qn_overlay *frozen = NULL;
    size_t n = 0;
    must(qn_overlay_freeze(o, &frozen, &err));
    must(qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_OVERLAY_MAGIC,
                                    QN_OVERLAY_VERSION, &w, &err));
    must(qn_overlay_write(frozen, qn_alloc_heap(), w, &err));
    must(qn_blockfile_finish(w, false, &err));
    uint8_t *image = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    qn_overlay_release(frozen);
    must(qn_blockfile_open_memory(qn_alloc_heap(), image, n, true, "fuzz",
                                  QN_OVERLAY_MAGIC, QN_OVERLAY_VERSION, &file, &err));
    return file;
}

static void read_all(qn_overlay *o, const qn_segment *bare, int64_t low, int64_t high)
{
    qn_error err = {0};
    qn_overlay *frozen = NULL;
    qn_segment *seg = NULL;
    must(qn_overlay_freeze(o, &frozen, &err));
    must(qn_segment_with(bare, frozen, &seg, &err));
    for (size_t i = 0; i < qn_segment_field_count(seg); i++) {
        uint32_t field = qn_segment_field_at(seg, i)->id;
        check_column(seg, field, false, low, high);
    }
    qn_segment_close(seg);
    qn_overlay_release(frozen);
}

static void read_again(qn_overlay *o, const qn_segment *bare)
{
    qn_error err = {0};
    qn_overlay *again = NULL;
    qn_blockfile *file = write_image(o);
    must(qn_overlay_read(qn_alloc_heap(), file, bare, &again, &err));
    qn_assert(qn_overlay_doc_count(again) == qn_overlay_doc_count(o));
    for (uint32_t d = 0; d < DOCS; d++)
        qn_assert(qn_slice_eq(qn_overlay_patch(again, d), qn_overlay_patch(o, d)));
    qn_overlay_release(again);
    qn_blockfile_close(file);
}

/* The range, then edits. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static qn_segment *bare;
    static qn_blockfile *image;
    qn_error err = {0};
    if (bare == NULL) {
        qn_overlay *o = NULL;
        must(qn_segment_open(qn_alloc_heap(), sound_image(0, DOCS), &bare, &err));
        must(qn_overlay_create(qn_alloc_heap(), DOCS, &o, &err));
        for (uint32_t d = 0; d < DOCS; d += UPDATED_EVERY) update(o, bare, d);
        image = write_image(o);
        qn_overlay_release(o);
    }
    if (n < 8) return 0;
    int64_t low = (int32_t)qn_load32(bytes), high = (int32_t)qn_load32(bytes + 4);
    qn_blockfile *file = edit_blocks(image, QN_OVERLAY_MAGIC, bytes + 8, n - 8);
    qn_overlay *o = NULL;
    if (file == NULL) return 0;
    if (sound(qn_overlay_read(qn_alloc_heap(), file, bare, &o, &err), &err)) {
        read_all(o, bare, low, high);
        read_again(o, bare);
    }
    qn_overlay_release(o);
    qn_blockfile_close(file);
    return 0;
}
