/* SPDX-License-Identifier: Apache-2.0 */
/* Merging stored sources. A compressed frame whose documents all live is copied as it
 * is, its dictionary with it; of the others, of frames too small to be worth keeping, of
 * small segments without a dictionary and of frames whose dictionary would be one too
 * many the live documents are packed again.
 *
 * The table of frames stands in front of them, so all is walked twice: once for the
 * sizes, once for the bytes. Memory is that of the table and of one frame. */
#include "index/column_overlay.h"
#include "index/merge_internal.h"

typedef struct sources_merge {
    const merge *m;
    sources open; /* documents that are packed again */
    qn_buf scratch, patched;
    QN_VEC(source_entry) entries;
    uint64_t offset;
    bool writing;        /* second walk */
    source_dicts dicts;  /* to be written */
    uint32_t dicts_from; /* that many of them are inputs' */
} sources_merge;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "sources of a merge");
}

static qn_status put_frame(sources_merge *s, uint32_t first_doc, uint32_t raw_size,
                           qn_slice packed, qn_error *err)
{
    QN_TRY(qn_merge__check(s->m, err));
    if (s->writing) {
        qn_blockfile_write(s->m->out, packed.p, packed.n);
    } else {
        source_entry e = {first_doc, raw_size, s->offset};
        if (!qn_vec_push(s->m->alloc, &s->entries, e)) return no_memory(err);
    }
    s->offset += packed.n;
    return QN_OK;
}

/* Hands on the blocks that were closed since the last time. */
static qn_status drain(sources_merge *s, qn_error *err)
{
    sources *o = &s->open;
    for (size_t i = 0; i < o->entries.n; i++) {
        const source_entry *e = &o->entries.p[i];
        uint64_t end = i + 1 < o->entries.n ? e[1].offset : o->packed.n;
        qn_slice packed = {o->packed.p + e->offset, (size_t)(end - e->offset)};
        QN_TRY(put_frame(s, e->first_doc, e->raw_size, packed, err));
    }
    o->entries.n = 0;
    qn_buf_reset(&o->packed);
    return QN_OK;
}

static qn_slice patch_of(const qn_merge_input *in, uint32_t doc)
{
    const qn_overlay *o = qn_segment_overlay(in->segment);
    return o == NULL ? (qn_slice){"", 0} : qn_overlay_patch(o, doc);
}

/* All documents of it live and are as they were. */
static bool is_as_it_was(const qn_merge_input *in, const source_frame *f)
{
    const uint64_t *deleted = in->map->deleted;
    if (deleted == NULL && qn_segment_overlay(in->segment) == NULL) return true;
    for (uint32_t doc = f->first_doc; doc < f->doc_limit; doc++)
        if ((deleted != NULL && qn_bitset_has(deleted, doc)) ||
            patch_of(in, doc).n != 0)
            return false;
    return true;
}

/* Puts the document's patch into its source. */
static qn_status patch_source(sources_merge *s, const qn_merge_input *in, uint32_t doc,
                              qn_slice *source, qn_error *err)
{
    qn_slice patch = patch_of(in, doc);
    if (patch.n == 0) return QN_OK;
    qn_buf_reset(&s->patched);
    QN_TRY(s->m->o->patch(*source, patch, &s->patched, err));
    *source = qn_buf_slice(&s->patched);
    return QN_OK;
}

static qn_status copy_frame(sources_merge *s, const qn_doc_map *map,
                            const source_frame *f, qn_error *err)
{
    QN_TRY(qn_sources__close_block(&s->open, err));
    QN_TRY(drain(s, err));
    uint32_t first = qn_doc_map_get(map, f->first_doc);
    s->open.open_doc = s->open.next_doc = first + (f->doc_limit - f->first_doc);
    return put_frame(s, first, f->raw_size, f->packed, err);
}

static qn_status pack_again(sources_merge *s, const qn_merge_input *in,
                            const source_view *v, const source_frame *f, qn_error *err)
{
    const qn_blockfile *file = qn_segment_file(in->segment);
    uint32_t count = f->doc_limit - f->first_doc;
    bool unpacked = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t to = qn_doc_map_get(in->map, f->first_doc + i);
        if (to == QN_DOC_END) continue;
        if (!unpacked && !qn_unpacker__run(in->segment->unpacker, &v->dicts, f->packed,
                                           f->raw_size, &s->scratch)) {
            if (s->scratch.failed) return no_memory(err);
            return qn_segment__corrupt(file, QN_BLOCK_SOURCES, 0, 0, "broken sources",
                                       err);
        }
        unpacked = true;
        qn_slice source, extras;
        if (!qn_sources__find(qn_buf_slice(&s->scratch), i, count, &source, &extras))
            return qn_segment__corrupt(file, QN_BLOCK_SOURCES, 0, 0, "broken sources",
                                       err);
        QN_TRY(patch_source(s, in, f->first_doc + i, &source, err));
        QN_TRY(qn_sources__add(&s->open, to, source, extras, err));
        QN_TRY(drain(s, err));
    }
    return QN_OK;
}

/* Will the frame's dictionary be in the merged segment? The first walk takes those that
 * come first and leaves a place for the one that packing again may bring. */
static bool has_dict(sources_merge *s, const source_view *v, const source_frame *f)
{
    uint32_t id = qn_unpacker__dict_of(f->packed), at = 0, to = 0;
    if (id == 0) return true;
    while (at < v->dicts.n && v->dicts.ids[at] != id) at++;
    if (at == v->dicts.n) return false; /* and unpacking will say so */
    while (to < s->dicts_from && s->dicts.ids[to] != id) to++;
    if (to < s->dicts_from) return qn_slice_eq(s->dicts.p[to], v->dicts.p[at]);
    if (s->writing || s->dicts_from == SOURCE_DICTS_MAX - 1) return false;
    s->dicts.ids[to] = id;
    s->dicts.p[to] = v->dicts.p[at];
    s->dicts_from = ++s->dicts.n;
    return true;
}

static bool is_worth_keeping(const source_frame *f)
{
    uint32_t whole =
        qn_unpacker__dict_of(f->packed) != 0 ? SOURCE_BLOCK_SMALL : SOURCE_BLOCK;
    return f->raw_size >= whole / 2;
}

static qn_status walk_input(sources_merge *s, const qn_merge_input *in, qn_error *err)
{
    const qn_blockfile *file = qn_segment_file(in->segment);
    uint32_t docs = in->map->doc_count, expected = 0;
    qn_slice block;
    source_view v;
    QN_TRY(qn_segment__block(file, QN_BLOCK_SOURCES, 0, &block, err));
    QN_TRY(qn_sources__view(file, block, docs, &v, err));
    /* What was too little to learn from may be enough together. */
    bool learns = v.dicts.n == 0 && v.count <= 2 * SOURCE_LEARN / SOURCE_BLOCK;
    for (uint32_t i = 0; i < v.count; i++) {
        source_frame f;
        QN_TRY(qn_sources__frame(file, &v, i, &f, err));
        if (f.first_doc != expected)
            return qn_segment__corrupt(file, QN_BLOCK_SOURCES, 0, 0,
                                       "sources out of order", err);
        expected = f.doc_limit;
        if (!learns && is_worth_keeping(&f) && is_as_it_was(in, &f) &&
            has_dict(s, &v, &f))
            QN_TRY(copy_frame(s, in->map, &f, err));
        else
            QN_TRY(pack_again(s, in, &v, &f, err));
    }
    if (expected == docs) return QN_OK;
    return qn_segment__corrupt(file, QN_BLOCK_SOURCES, 0, 0, "sources are missing",
                               err);
}

/* Both walks begin with nothing learned, and learn the same. */
static qn_status walk_all(sources_merge *s, bool writing, qn_error *err)
{
    s->writing = writing;
    s->offset = 0;
    qn_sources__deinit(&s->open);
    qn_sources__init(&s->open, s->m->alloc);
    for (size_t i = 0; i < s->m->count; i++) QN_TRY(walk_input(s, &s->m->in[i], err));
    QN_TRY(qn_sources__close_block(&s->open, err));
    return drain(s, err);
}

/* The dictionary of what was packed again, unless an input brought the same. */
static qn_status add_own_dict(sources_merge *s, const source_dicts *own, qn_error *err)
{
    if (own->n == 0) return QN_OK;
    for (uint32_t i = 0; i < s->dicts.n; i++) {
        if (s->dicts.ids[i] != own->ids[0]) continue;
        if (qn_slice_eq(s->dicts.p[i], own->p[0])) return QN_OK;
        return qn_fail(err, QN_ELIMIT, "two dictionaries of sources have one number");
    }
    s->dicts.ids[s->dicts.n] = own->ids[0];
    s->dicts.p[s->dicts.n++] = own->p[0];
    return QN_OK;
}

static qn_status write_block(sources_merge *s, qn_error *err)
{
    qn_blockfile_writer *w = s->m->out;
    uint64_t size = s->offset;
    const source_dicts own = qn_sources__dicts(&s->open);
    QN_TRY(add_own_dict(s, &own, err));
    qn_blockfile_begin(w, QN_BLOCK_SOURCES, 0);
    qn_sources__put_front(s->m->doc_count, s->entries.p, s->entries.n, size, &s->dicts,
                          w);
    qn_status st = walk_all(s, true, err);
    qn_assert(st != QN_OK || s->offset == size);
    qn_status ended = qn_blockfile_end(w, st == QN_OK ? err : NULL);
    return st != QN_OK ? st : ended;
}

qn_status qn_merge__sources(const merge *m, qn_error *err)
{
    sources_merge s = {.m = m};
    qn_sources__init(&s.open, m->alloc);
    qn_buf_init(&s.scratch, m->alloc);
    qn_buf_init(&s.patched, m->alloc);
    qn_status st = walk_all(&s, false, err);
    if (st == QN_OK) st = write_block(&s, err);
    qn_sources__deinit(&s.open);
    qn_buf_deinit(&s.scratch);
    qn_buf_deinit(&s.patched);
    qn_vec_deinit(m->alloc, &s.entries);
    return st;
}
