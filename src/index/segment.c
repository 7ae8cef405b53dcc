/* SPDX-License-Identifier: Apache-2.0 */
#include "index/segment.h"

#include "index/column_overlay_internal.h"
#include "index/points.h"
#include "index/segment_internal.h"

#include <inttypes.h>

qn_status qn_segment__corrupt(const qn_blockfile *f, uint32_t kind, uint32_t id,
                              uint64_t at, const char *what, qn_error *err)
{
    uint64_t offset = QN_AT_NONE;
    for (size_t i = 0; i < qn_blockfile_count(f); i++) {
        uint32_t k = 0, n = 0;
        uint64_t begin = 0, size = 0;
        qn_blockfile_entry(f, i, &k, &n, &begin, &size);
        if (k == kind && n == id) offset = begin + at;
    }
    return qn_fail_file(err, QN_ECORRUPT, qn_blockfile_name(f), offset,
                        "%s (block %u of field %u)", what, kind, id);
}

qn_status qn_segment__block(const qn_blockfile *f, uint32_t kind, uint32_t id,
                            qn_slice *out, qn_error *err)
{
    qn_status st = qn_blockfile_block(f, kind, id, out, err);
    if (st != QN_ENOTFOUND) return st;
    return qn_segment__corrupt(f, kind, id, 0, "a block is missing", err);
}

qn_status qn_segment__part(const qn_blockfile *f, uint32_t kind, uint32_t id,
                           uint64_t at, uint64_t n, qn_slice *out, qn_error *err)
{
    qn_status st = qn_blockfile_part(f, kind, id, at, n, out, err);
    if (st != QN_ENOTFOUND) return st;
    return qn_segment__corrupt(f, kind, id, 0, "a block is missing", err);
}

bool qn_segment__zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0) return false;
    return true;
}

/* ---- opening ----------------------------------------------------------------------
 */

static bool read_field(const char *p, uint32_t doc_count, qn_segment_field *f)
{
    uint8_t type = (uint8_t)p[4], flags = (uint8_t)p[5];
    *f = (qn_segment_field){
        .id = qn_load32(p),
        .type = (qn_field_type)type,
        .has_terms = flags & FIELD_TERMS,
        .has_positions = flags & FIELD_POSITIONS,
        .has_norms = flags & FIELD_NORMS,
        .has_column = flags & FIELD_COLUMN,
        .doc_count = qn_load32(p + 8),
        .term_count = qn_load32(p + 12),
        .sum_doc_freq = qn_load64(p + 16),
        .sum_total_term_freq = qn_load64(p + 24),
    };
    return (type <= QN_FIELD_DATE || type == QN_FIELD_GEO) && flags <= FIELD_FLAGS &&
           p[6] == 0 && p[7] == 0 && f->doc_count <= doc_count &&
           qn_segment__zero(p + 32, SEGMENT_FIELD - 32);
}

/* Each block a flag promises must be there: found at open, not in mid-query. */
static bool blocks_there(const qn_blockfile *file, const qn_segment_field *f)
{
    return (!f->has_terms || (qn_blockfile_has(file, QN_BLOCK_TERMS, f->id) &&
                              qn_blockfile_has(file, QN_BLOCK_POSTINGS, f->id))) &&
           (!f->has_positions || qn_blockfile_has(file, QN_BLOCK_POSITIONS, f->id)) &&
           (!f->has_norms || qn_blockfile_has(file, QN_BLOCK_NORMS, f->id)) &&
           (!f->has_column || qn_blockfile_has(file, QN_BLOCK_COLUMN, f->id));
}

static qn_status read_fields(qn_segment *seg, qn_error *err)
{
    qn_slice block;
    QN_TRY(qn_segment__block(seg->file, QN_BLOCK_SEGMENT, 0, &block, err));
    if (block.n < SEGMENT_HEADER)
        return qn_segment__corrupt(seg->file, QN_BLOCK_SEGMENT, 0, 0, "cut short", err);
    seg->doc_count = qn_load32(block.p);
    seg->field_count = qn_load32(block.p + 4);
    seg->id_seed = qn_load64(block.p + 8);
    if (seg->doc_count >= QN_DOC_END ||
        !qn_segment__zero(block.p + 16, SEGMENT_HEADER - 16) ||
        block.n != SEGMENT_HEADER + (uint64_t)seg->field_count * SEGMENT_FIELD)
        return qn_segment__corrupt(seg->file, QN_BLOCK_SEGMENT, 0, 0,
                                   "broken segment header", err);
    seg->fields = qn_new_array(seg->alloc, seg->field_count, sizeof *seg->fields);
    seg->unpacker = qn_new0(seg->alloc, sizeof *seg->unpacker);
    if (seg->fields == NULL || seg->unpacker == NULL)
        return qn_fail(err, QN_ENOMEM, "fields of a segment");
    for (size_t i = 0; i < seg->field_count; i++) {
        uint64_t at = SEGMENT_HEADER + i * SEGMENT_FIELD;
        qn_segment_field *f = &seg->fields[i].pub;
        if (!read_field(block.p + at, seg->doc_count, f) ||
            (i > 0 && f->id <= seg->fields[i - 1].pub.id) ||
            !blocks_there(seg->file, f))
            return qn_segment__corrupt(seg->file, QN_BLOCK_SEGMENT, 0, at,
                                       "broken description of a field", err);
    }
    return QN_OK;
}

static qn_status check_version(const qn_blockfile *file, qn_error *err)
{
    if (qn_blockfile_version(file) == QN_SEGMENT_VERSION) return QN_OK;
    return qn_fail_file(err, QN_EVERSION, qn_blockfile_name(file), QN_AT_NONE,
                        "%s is of an unreleased format (version %" PRIu32
                        "): ingest again",
                        qn_blockfile_name(file), qn_blockfile_version(file));
}

qn_status qn_segment_open(qn_alloc *a, qn_blockfile *file, qn_segment **out,
                          qn_error *err)
{
    *out = NULL;
    qn_segment *seg = qn_new0(a, sizeof *seg);
    if (seg == NULL) return qn_fail(err, QN_ENOMEM, "a segment");
    seg->alloc = a;
    seg->file = file;
    seg->kernels = qn_kernels_best();
    qn_status st = check_version(file, err);
    if (st == QN_OK) st = read_fields(seg, err);
    if (st != QN_OK) {
        seg->file = NULL; /* still the caller's */
        qn_segment_close(seg);
        return st;
    }
    *out = seg;
    return QN_OK;
}

void qn_segment_close(qn_segment *seg)
{
    if (seg == NULL) return;
    if (seg->bare != NULL) {
        qn_overlay_release(seg->overlay);
        qn_delete(seg->alloc, seg->fields);
        qn_delete(seg->alloc, seg);
        return;
    }
    if (seg->unpacker != NULL) qn_unpacker__deinit(seg->unpacker);
    qn_delete(seg->alloc, seg->unpacker);
    qn_delete(seg->alloc, seg->fields);
    qn_blockfile_close(seg->file);
    qn_delete(seg->alloc, seg);
}

/* ---- what is there ------------------------------------------------------------------
 */

const qn_blockfile *qn_segment_file(const qn_segment *seg)
{
    return seg->file;
}

uint32_t qn_segment_doc_count(const qn_segment *seg)
{
    return seg->doc_count;
}

size_t qn_segment_field_count(const qn_segment *seg)
{
    return seg->field_count;
}

const qn_segment_field *qn_segment_field_at(const qn_segment *seg, size_t i)
{
    return &seg->fields[i].pub;
}

static const qn_segment *bare_of(const qn_segment *seg)
{
    return seg->bare != NULL ? seg->bare : seg;
}

segment_field *qn_segment__field(const qn_segment *seg, uint32_t field)
{
    size_t low = 0, high = seg->field_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (seg->fields[middle].pub.id < field)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == seg->field_count || seg->fields[low].pub.id != field) return NULL;
    return &seg->fields[low];
}

const qn_segment_field *qn_segment_field_of(const qn_segment *seg, uint32_t field)
{
    segment_field *f = qn_segment__field(seg, field);
    return f == NULL ? NULL : &f->pub;
}

qn_status qn_segment_source(const qn_segment *seg, uint32_t doc, qn_buf *scratch,
                            qn_slice *source, qn_slice *extras, qn_error *err)
{
    *source = (qn_slice){"", 0};
    if (extras != NULL) *extras = *source;
    if (doc >= seg->doc_count) return qn_fail(err, QN_EINVAL, "no document %u", doc);
    qn_slice block;
    QN_TRY(qn_sources__front(seg->file, &block, err));
    return qn_sources__read(seg->file, seg->unpacker, block, doc, seg->doc_count,
                            scratch, source, extras, err);
}

qn_status qn_segment_norms(const qn_segment *seg, uint32_t field, const uint8_t **norms,
                           qn_error *err)
{
    *norms = NULL;
    segment_field *f = qn_segment__field(seg, field);
    if (f == NULL || !f->pub.has_norms) return QN_OK;
    *norms = atomic_load_explicit(&f->norms, memory_order_acquire);
    if (*norms != NULL) return QN_OK;
    qn_slice block;
    QN_TRY(qn_segment__block(seg->file, QN_BLOCK_NORMS, field, &block, err));
    if (block.n != seg->doc_count)
        return qn_segment__corrupt(seg->file, QN_BLOCK_NORMS, field, 0, "cut short",
                                   err);
    *norms = (const uint8_t *)block.p;
    atomic_store_explicit(&f->norms, *norms, memory_order_release);
    return QN_OK;
}

qn_status qn_segment_postings(const qn_segment *seg, const qn_term *term,
                              qn_arena *arena, qn_postings *out, qn_error *err)
{
    return qn_segment_postings_open(seg, term, 0, arena, out, err);
}

qn_status qn_segment_postings_open(const qn_segment *seg, const qn_term *term,
                                   unsigned flags, qn_arena *arena, qn_postings *out,
                                   qn_error *err)
{
    postings_source s = {
        .file = seg->file,
        .field = term->field,
        .doc_limit = seg->doc_count,
        .postings = {"", 0},
        .positions = {"", 0},
        .lazy = flags & QN_POSTINGS_LAZY,
        .kernels = seg->kernels,
    };
    if (term->doc_freq == 0) return qn_postings__init(out, &s, term, arena, err);
    segment_field *f = qn_segment__field(seg, term->field);
    if (f == NULL || !f->pub.has_terms)
        return qn_fail(err, QN_EINVAL, "a term of another segment");
    s.has_freqs = f->pub.has_positions;
    QN_TRY(qn_segment__part(seg->file, QN_BLOCK_POSTINGS, term->field,
                            term->postings_at, term->postings_size, &s.postings, err));
    atomic_store_explicit(&f->postings, (const uint8_t *)s.postings.p,
                          memory_order_release);
    if (s.has_freqs)
        QN_TRY(qn_segment__part(seg->file, QN_BLOCK_POSITIONS, term->field,
                                term->positions_at, term->positions_size, &s.positions,
                                err));
    QN_TRY(qn_segment_norms(seg, term->field, &s.norms, err));
    return qn_postings__init(out, &s, term, arena, err);
}

qn_status qn_segment_points(const qn_segment *seg, uint32_t field, qn_points *out,
                            qn_error *err)
{
    *out = (qn_points){0};
    /* Those of a column that has newer values are of no use any more. */
    bool stale =
        seg->overlay != NULL && qn_overlay__column(seg->overlay, field) != NULL;
    segment_field *f = stale ? NULL : qn_segment__field(bare_of(seg), field);
    if (f == NULL || !qn_blockfile_has(seg->file, QN_BLOCK_POINTS, field))
        return qn_fail(err, QN_ENOTFOUND, "no points of field %u in the segment",
                       field);
    bool checked = atomic_load_explicit(&f->points_checked, memory_order_acquire);
    QN_TRY(qn_points__init(out, seg->file, field, seg->doc_count, !checked, err));
    if (!checked) atomic_store_explicit(&f->points_checked, true, memory_order_release);
    return QN_OK;
}

static qn_status bare_column(const qn_segment *seg, uint32_t field, qn_column *out,
                             qn_error *err)
{
    *out = (qn_column){0};
    segment_field *f = qn_segment__field(seg, field);
    if (f == NULL || !f->pub.has_column)
        return qn_fail(err, QN_ENOTFOUND, "no column of field %u in the segment",
                       field);
    /* Two threads may both do the long check the first time: no harm. */
    bool checked = atomic_load_explicit(&f->column_checked, memory_order_acquire);
    QN_TRY(qn_column__init(out, seg->file, field, seg->doc_count, !checked, err));
    out->kernels = seg->kernels;
    if (!checked) atomic_store_explicit(&f->column_checked, true, memory_order_release);
    return QN_OK;
}

qn_status qn_segment_column(const qn_segment *seg, uint32_t field, qn_column *out,
                            qn_error *err)
{
    const overlay_column *over =
        seg->overlay == NULL ? NULL : qn_overlay__column(seg->overlay, field);
    if (over == NULL) return bare_column(bare_of(seg), field, out, err);
    *out = (qn_column){0};
    if (over->has_base) QN_TRY(bare_column(seg->bare, field, out, err));
    qn_overlay__attach(over, seg->doc_count, out);
    return QN_OK;
}

/* ---- newer values ---------------------------------------------------------------------
 */

/* The fields of both, ascending. */
static bool join_fields(const qn_segment *bare, const qn_overlay *o, qn_segment *seg)
{
    size_t most = bare->field_count + o->columns.n, i = 0, k = 0, n = 0;
    seg->fields = qn_new_array(seg->alloc, most, sizeof *seg->fields);
    if (seg->fields == NULL) return false;
    while (i < bare->field_count || k < o->columns.n) {
        const qn_segment_field *own =
            i < bare->field_count ? &bare->fields[i].pub : NULL;
        const overlay_column *over = k < o->columns.n ? &o->columns.p[k] : NULL;
        qn_segment_field *to = &seg->fields[n++].pub;
        if (own != NULL && (over == NULL || own->id <= over->field)) {
            *to = *own;
            i++;
            if (over == NULL || own->id < over->field) continue;
        } else {
            *to = (qn_segment_field){.id = over->field, .type = over->type};
        }
        to->has_column = true;
        k++;
    }
    seg->field_count = n;
    return true;
}

qn_status qn_segment_with(const qn_segment *bare, qn_overlay *o, qn_segment **out,
                          qn_error *err)
{
    qn_assert(o->frozen && bare->bare == NULL);
    *out = NULL;
    qn_segment *seg = qn_new0(bare->alloc, sizeof *seg);
    if (seg == NULL) return qn_fail(err, QN_ENOMEM, "a segment");
    *seg = *bare;
    seg->bare = bare;
    if (!join_fields(bare, o, seg)) {
        qn_delete(bare->alloc, seg);
        return qn_fail(err, QN_ENOMEM, "a segment");
    }
    seg->overlay = qn_overlay_acquire(o);
    *out = seg;
    return QN_OK;
}

const qn_overlay *qn_segment_overlay(const qn_segment *seg)
{
    return seg->overlay;
}

bool qn_segment_is_newer(const qn_segment *seg, uint32_t field)
{
    return seg->overlay != NULL && qn_overlay__column(seg->overlay, field) != NULL;
}

qn_overlay *qn_segment_overlay_share(const qn_segment *seg)
{
    return seg->overlay == NULL ? NULL : qn_overlay_acquire(seg->overlay);
}
