/* SPDX-License-Identifier: Apache-2.0 */
#include "index/merge.h"

#include "index/merge_internal.h"

/* ---- numbers of documents -------------------------------------------------------- */

qn_status qn_doc_map_init(qn_doc_map *m, qn_alloc *a, const uint64_t *deleted,
                          uint32_t doc_count, uint32_t base, qn_error *err)
{
    *m = (qn_doc_map){
        .doc_count = doc_count, .live_count = doc_count, .base = base, .alloc = a};
    if (deleted == NULL) return QN_OK;
    size_t words = qn_bitset_words(doc_count);
    m->before = qn_new_array(a, words, sizeof *m->before);
    if (m->before == NULL) return qn_fail(err, QN_ENOMEM, "a map of documents");
    uint32_t gone = 0;
    for (size_t i = 0; i < words; i++) {
        m->before[i] = gone;
        gone += (uint32_t)__builtin_popcountll(deleted[i]);
    }
    qn_assert(gone <= doc_count);
    if (gone == 0) { /* the quick way */
        qn_doc_map_deinit(m);
        return QN_OK;
    }
    m->deleted = deleted;
    m->live_count = doc_count - gone;
    return QN_OK;
}

void qn_doc_map_deinit(qn_doc_map *m)
{
    if (m->alloc != NULL) qn_delete(m->alloc, m->before);
    m->before = NULL;
}

qn_status qn_merge__check(const merge *m, qn_error *err)
{
    if (!qn_pace_cancelled(m->o->pace)) return QN_OK;
    return qn_fail(err, QN_ECANCELLED, "the merge was stopped");
}

/* ---- ids --------------------------------------------------------------------------- */

static qn_status add_ids(const merge *m, ids *t, qn_error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        const qn_merge_input *in = &m->in[i];
        for (uint32_t doc = 0; doc < in->map->doc_count; doc++) {
            if (doc % 4096 == 0) QN_TRY(qn_merge__check(m, err));
            if (qn_doc_map_get(in->map, doc) == QN_DOC_END) continue;
            qn_slice id;
            QN_TRY(qn_segment_id(in->segment, doc, &id, err));
            QN_TRY(qn_ids__add(t, id, err));
        }
    }
    return QN_OK;
}

qn_status qn_merge__ids(const merge *m, qn_error *err)
{
    ids t;
    qn_ids__init(&t, m->alloc, m->o->seed);
    qn_status st = add_ids(m, &t, err);
    if (st == QN_OK) st = qn_ids__write(&t, m->out, err);
    qn_ids__deinit(&t);
    return st;
}

/* ---- fields ------------------------------------------------------------------------ */

static void describe(const qn_segment_field *f, uint8_t *out)
{
    memset(out, 0, SEGMENT_FIELD);
    qn_store32(out, f->id);
    out[4] = (uint8_t)f->type;
    out[5] = (uint8_t)((f->has_terms ? FIELD_TERMS : 0) |
                       (f->has_positions ? FIELD_POSITIONS : 0) |
                       (f->has_norms ? FIELD_NORMS : 0) |
                       (f->has_column ? FIELD_COLUMN : 0));
    qn_store32(out + 8, f->doc_count);
    qn_store32(out + 12, f->term_count);
    qn_store64(out + 16, f->sum_doc_freq);
    qn_store64(out + 24, f->sum_total_term_freq);
}

/* The least field above `after` (UINT32_MAX: of all) that an input has; false: none. */
static bool next_field(const merge *m, uint32_t after, merge_field *f, qn_error *err,
                       qn_status *st)
{
    const qn_segment_field *least = NULL;
    for (size_t i = 0; i < m->count; i++) {
        const qn_segment *seg = m->in[i].segment;
        for (size_t k = 0; k < qn_segment_field_count(seg); k++) {
            const qn_segment_field *at = qn_segment_field_at(seg, k);
            if (after != UINT32_MAX && at->id <= after) continue;
            if (least == NULL || at->id < least->id) least = at;
            break;
        }
    }
    if (least == NULL) return false;
    f->pub = (qn_segment_field){.id = least->id, .type = least->type};
    for (size_t i = 0; i < m->count; i++) {
        f->of[i] = qn_segment_field_of(m->in[i].segment, least->id);
        if (f->of[i] != NULL && f->of[i]->type != least->type)
            *st = qn_fail(err, QN_EINVAL, "field %u has two types", least->id);
    }
    return true;
}

static qn_status merge_fields(const merge *m, qn_buf *header, qn_error *err)
{
    merge_field f = {.of = qn_new_array(m->alloc, m->count, sizeof *f.of)};
    if (f.of == NULL) return qn_fail(err, QN_ENOMEM, "a merge");
    qn_status st = QN_OK;
    uint32_t after = UINT32_MAX, fields = 0;
    while (st == QN_OK && next_field(m, after, &f, err, &st)) {
        after = f.pub.id;
        if (st == QN_OK) st = qn_merge__terms(m, &f, err);
        if (st == QN_OK) st = qn_merge__column(m, &f, err);
        /* A field that only deleted documents had is gone. */
        if (st != QN_OK || (!f.pub.has_terms && !f.pub.has_column)) continue;
        uint8_t description[SEGMENT_FIELD];
        describe(&f.pub, description);
        qn_buf_add(header, description, sizeof description);
        fields++;
    }
    qn_delete(m->alloc, f.of);
    if (st == QN_OK && header->failed) st = qn_fail(err, QN_ENOMEM, "a merge");
    if (st == QN_OK) qn_store32(header->p + 4, fields);
    return st;
}

static qn_status merge_all(const merge *m, qn_buf *header, qn_error *err)
{
    uint8_t counts[SEGMENT_HEADER] = {0};
    qn_store32(counts, m->doc_count);
    qn_store64(counts + 8, m->o->seed);
    qn_buf_add(header, counts, sizeof counts);
    QN_TRY(merge_fields(m, header, err));
    QN_TRY(qn_merge__ids(m, err));
    QN_TRY(qn_merge__sources(m, err));
    return qn_blockfile_put(m->out, QN_BLOCK_SEGMENT, 0, header->p, header->n, err);
}

qn_status qn_segment_merge(qn_alloc *a, const qn_merge_input *inputs, size_t count,
                           const qn_merge_options *o, qn_blockfile_writer *w,
                           qn_error *err)
{
    merge m = {.alloc = a, .in = inputs, .count = count, .o = o, .out = w};
    for (size_t i = 0; i < count; i++) {
        const qn_doc_map *map = inputs[i].map;
        qn_assert(map->doc_count == qn_segment_doc_count(inputs[i].segment) &&
                  map->base == m.doc_count);
        if (map->live_count >= QN_DOC_END / 4 - m.doc_count)
            return qn_fail(err, QN_ELIMIT, "too many documents for one segment");
        m.doc_count += map->live_count;
    }
    qn_buf header;
    qn_buf_init(&header, a);
    qn_status st = merge_all(&m, &header, err);
    qn_buf_deinit(&header);
    return st;
}
