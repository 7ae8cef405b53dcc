/* SPDX-License-Identifier: Apache-2.0 */
/* column_overlay_file.c -- an overlay in a file and back. Bytes: docs/formats/overlay.md.
 *
 * Touched documents of a column are numbered from 0 on; their values are a column of
 * docs/formats/segment.md over these numbers, their real numbers stand beside. */
#include "index/column_overlay_internal.h"
#include "index/column_pack.h"

enum {
    BLOCK_OVERLAY = 1,
    BLOCK_DOCS = 2,
    BLOCK_PATCHED = 3,
    BLOCK_PATCHES = 4,
    HEADER = 64,
    HEADER_COLUMN = 16,
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "a file of updates");
}

/* ---- writing ----------------------------------------------------------------------------- */

typedef struct gathered {
    qn_alloc *alloc;
    int64_t *docs; /* touched, ascending */
    uint32_t doc_count;
    uint32_t *places; /* of each value: the place of its document in `docs` */
    uint64_t *values;
    size_t count;
    qn_slice *dict;
    uint32_t dict_count;
} gathered;

static void gathered_deinit(gathered *g)
{
    qn_delete(g->alloc, g->docs);
    qn_delete(g->alloc, g->places);
    qn_delete(g->alloc, g->values);
    qn_delete(g->alloc, g->dict);
}

static uint32_t count_touched(const qn_overlay *o, const overlay_column *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->block_count; i++)
        for (size_t w = 0; c->blocks[i] != NULL && w < OVERLAY_WORDS; w++)
            n += (uint32_t)__builtin_popcountll(c->blocks[i]->touched[w]);
    return n;
}

static uint64_t bits_of(const overlay_column *c, int64_t v)
{
    if (c->type == QN_FIELD_KEYWORD)
        return c->dict == NULL ? (uint64_t)v : qn_overlay__ord(c->dict, (uint32_t)v);
    if (!qn_column__is_float(c->type)) return (uint64_t)v;
    uint64_t bits;
    double d = qn_column_f64_of_key(c->type, v);
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static void gather_block(gathered *g, const overlay_column *c, uint32_t first,
                         const overlay_block *b)
{
    for (uint32_t i = 0; i < OVERLAY_BLOCK; i++) {
        if (!qn_bitset_has(b->touched, i)) continue;
        uint32_t begin = 0, limit = 0;
        qn_overlay__range(b, i, &begin, &limit);
        for (; begin < limit; begin++) {
            g->places[g->count] = g->doc_count;
            g->values[g->count++] = bits_of(c, qn_overlay__value(b, begin));
        }
        g->docs[g->doc_count++] = first + i;
    }
}

static qn_status gather(gathered *g, const qn_overlay *o, const overlay_column *c,
                        qn_error *err)
{
    size_t most = 0;
    for (uint32_t i = 0; i < o->block_count; i++)
        if (c->blocks[i] != NULL) most += c->blocks[i]->count;
    g->docs = qn_new_array(g->alloc, (size_t)count_touched(o, c) + 1, sizeof *g->docs);
    g->places = qn_new_array(g->alloc, most + 1, sizeof *g->places);
    g->values = qn_new_array(g->alloc, most + 1, sizeof *g->values);
    if (g->docs == NULL || g->places == NULL || g->values == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < o->block_count; i++)
        if (c->blocks[i] != NULL) gather_block(g, c, i * OVERLAY_BLOCK, c->blocks[i]);
    return QN_OK;
}

/* Values become ordinals of the words that they use. */
static qn_status gather_words(gathered *g, const overlay_column *c, qn_error *err)
{
    qn_column all = c->base;
    qn_overlay__attach(c, 0, &all);
    uint32_t *to = qn_new_array(g->alloc, (size_t)all.dict_count + 1, sizeof *to);
    if (to == NULL) return no_memory(err);
    uint32_t n = 0;
    for (size_t i = 0; i < g->count; i++) to[g->values[i]] = 1;
    for (uint32_t ord = 0; ord < all.dict_count; ord++) n += to[ord];
    g->dict = qn_new_array(g->alloc, (size_t)n + 1, sizeof *g->dict);
    for (uint32_t ord = 0; g->dict != NULL && ord < all.dict_count; ord++) {
        if (to[ord] == 0) continue;
        to[ord] = g->dict_count;
        g->dict[g->dict_count++] = qn_column_bytes(&all, ord);
    }
    for (size_t i = 0; g->dict != NULL && i < g->count; i++)
        g->values[i] = to[g->values[i]];
    qn_delete(g->alloc, to);
    return g->dict == NULL ? no_memory(err) : QN_OK;
}

static qn_status put_docs(const int64_t *docs, uint32_t n, uint32_t kind, uint32_t id,
                          qn_alloc *a, qn_blockfile_writer *w, qn_error *err)
{
    qn_blockfile_begin(w, kind, id);
    qn_status st = qn_packed__write(docs, n, NULL, a, w, err);
    qn_status ended = qn_blockfile_end(w, st == QN_OK ? err : NULL);
    return st != QN_OK ? st : ended;
}

static qn_status put_column(const qn_overlay *o, const overlay_column *c, qn_alloc *a,
                            qn_blockfile_writer *w, qn_error *err)
{
    gathered g = {.alloc = a};
    qn_status st = gather(&g, o, c, err);
    if (st == QN_OK && c->type == QN_FIELD_KEYWORD) st = gather_words(&g, c, err);
    if (st == QN_OK)
        st = put_docs(g.docs, g.doc_count, BLOCK_DOCS, c->field, a, w, err);
    if (st == QN_OK && g.count != 0) {
        column_values values = {.type = c->type,
                                .doc_count = g.doc_count,
                                .count = g.count,
                                .docs = g.places,
                                .values = g.values,
                                .dict = g.dict,
                                .dict_count = g.dict_count,
                                .no_points = true};
        st = qn_column__write(&values, c->field, a, w, err);
    }
    gathered_deinit(&g);
    return st;
}

static qn_status put_header(const qn_overlay *o, qn_blockfile_writer *w, qn_error *err)
{
    uint8_t header[HEADER] = {0};
    qn_store32(header, o->doc_count);
    uint32_t columns = 0; /* one may be there for an update that came to nothing */
    for (size_t i = 0; i < o->columns.n; i++)
        columns += count_touched(o, &o->columns.p[i]) != 0;
    qn_store32(header + 4, columns);
    qn_store32(header + 8, o->patched);
    qn_blockfile_begin(w, BLOCK_OVERLAY, 0);
    qn_blockfile_write(w, header, sizeof header);
    for (size_t i = 0; i < o->columns.n; i++) {
        const overlay_column *c = &o->columns.p[i];
        uint8_t column[HEADER_COLUMN] = {0};
        if (count_touched(o, c) == 0) continue;
        qn_store32(column, c->field);
        column[4] = (uint8_t)c->type;
        qn_store32(column + 8, count_touched(o, c));
        qn_blockfile_write(w, column, sizeof column);
    }
    return qn_blockfile_end(w, err);
}

static qn_status put_texts(const qn_overlay *o, int64_t *docs, int64_t *places,
                           qn_alloc *a, qn_blockfile_writer *w, qn_error *err)
{
    uint32_t n = 0;
    for (uint32_t doc = 0; doc < o->doc_count; doc++) {
        qn_slice text = qn_overlay_patch(o, doc);
        if (text.n == 0) continue;
        docs[n++] = doc;
        places[n] = places[n - 1] + (int64_t)text.n;
    }
    qn_assert(n == o->patched);
    QN_TRY(put_docs(docs, n, BLOCK_PATCHED, 0, a, w, err));
    qn_blockfile_begin(w, BLOCK_PATCHES, 0);
    qn_status st = qn_packed__write(places, (uint64_t)n + 1, NULL, a, w, err);
    for (uint32_t i = 0; i < n; i++) {
        qn_slice text = qn_overlay_patch(o, (uint32_t)docs[i]);
        qn_blockfile_write(w, text.p, text.n);
    }
    qn_packed__pad(w, (uint64_t)places[n]);
    qn_status ended = qn_blockfile_end(w, st == QN_OK ? err : NULL);
    return st != QN_OK ? st : ended;
}

static qn_status put_patches(const qn_overlay *o, qn_alloc *a, qn_blockfile_writer *w,
                             qn_error *err)
{
    int64_t *docs = qn_new_array(a, (size_t)o->patched + 1, sizeof *docs);
    int64_t *places = qn_new_array(a, (size_t)o->patched + 1, sizeof *places);
    qn_status st = docs == NULL || places == NULL
                       ? no_memory(err)
                       : put_texts(o, docs, places, a, w, err);
    qn_delete(a, docs);
    qn_delete(a, places);
    return st;
}

qn_status qn_overlay_write(const qn_overlay *o, qn_alloc *a, qn_blockfile_writer *w,
                           qn_error *err)
{
    qn_assert(o->frozen);
    QN_TRY(put_header(o, w, err));
    for (size_t i = 0; i < o->columns.n; i++)
        if (count_touched(o, &o->columns.p[i]) != 0)
            QN_TRY(put_column(o, &o->columns.p[i], a, w, err));
    return put_patches(o, a, w, err);
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct reading {
    const qn_blockfile *file;
    const qn_segment *bare;
    qn_overlay *o;
} reading;

static qn_status corrupt(const reading *r, uint32_t kind, uint32_t id, const char *what,
                         qn_error *err)
{
    return qn_segment__corrupt(r->file, kind, id, 0, what, err);
}

/* n numbers of documents, ascending. */
static qn_status lay_docs(const reading *r, uint32_t kind, uint32_t id, uint32_t n,
                          qn_packed *out, qn_error *err)
{
    qn_slice rest;
    int64_t before = -1;
    QN_TRY(qn_segment__block(r->file, kind, id, &rest, err));
    bool good = n <= r->o->doc_count && qn_packed__lay(out, n, &rest) && rest.n == 0;
    for (uint32_t i = 0; good && i < n; i++) {
        int64_t doc = qn_packed__get(out, i);
        good = doc > before && doc < r->o->doc_count;
        before = doc;
    }
    return good ? QN_OK : corrupt(r, kind, id, "broken list of documents", err);
}

static qn_status set_values(qn_overlay *o, const qn_overlay_target *t, uint32_t doc,
                            qn_overlay_value *values, size_t n, qn_error *err)
{
    const qn_overlay_change change = {*t, values, n};
    QN_TRY(qn_overlay_stage(o, doc, &change, 1, (qn_slice){"", 0}, err));
    qn_overlay_publish(o);
    return QN_OK;
}

static qn_status read_doc(const reading *r, const qn_overlay_target *t,
                          const qn_column *c, uint32_t i, uint32_t doc, qn_error *err)
{
    enum { FEW = 8 };
    qn_overlay_value few[FEW], *values = few;
    uint64_t begin = 0, limit = 0;
    if (c != NULL) qn_column_range(c, i, &begin, &limit);
    size_t n = (size_t)(limit - begin);
    if (n > FEW) values = qn_new_array(r->o->alloc, n, sizeof *values);
    if (values == NULL) return no_memory(err);
    for (size_t v = 0; v < n; v++) {
        values[v] = (qn_overlay_value){.bits = qn_column_value_bits(c, begin + v)};
        if (t->type == QN_FIELD_KEYWORD)
            values[v].text = qn_column_bytes(c, (uint32_t)values[v].bits);
    }
    qn_status st = set_values(r->o, t, doc, values, n, err);
    if (values != few) qn_delete(r->o->alloc, values);
    return st;
}

static qn_status read_column(const reading *r, qn_slice entry, qn_error *err)
{
    uint32_t field = qn_load32(entry.p), n = qn_load32(entry.p + 8);
    qn_column base, c;
    bool has_base = false, any = qn_blockfile_has(r->file, QN_BLOCK_COLUMN, field);
    qn_packed docs;
    QN_TRY(qn_overlay__open_base(r->bare, field, &base, &has_base, err));
    qn_overlay_target t = {field, (qn_field_type)entry.p[4], has_base ? &base : NULL};
    bool known = t.type >= QN_FIELD_KEYWORD && t.type <= QN_FIELD_GEO &&
                 t.type != QN_FIELD_VECTOR;
    if (!known || n == 0 || (has_base && base.type != t.type))
        return corrupt(r, BLOCK_OVERLAY, 0, "a column of another type", err);
    QN_TRY(lay_docs(r, BLOCK_DOCS, field, n, &docs, err));
    if (any) {
        QN_TRY(qn_column__init(&c, r->file, field, n, true, err));
        if (c.type != t.type)
            return corrupt(r, QN_BLOCK_COLUMN, field, "a column of another type", err);
    }
    for (uint32_t i = 0; i < n; i++)
        QN_TRY(read_doc(r, &t, any ? &c : NULL, i, (uint32_t)qn_packed__get(&docs, i),
                        err));
    return QN_OK;
}

static qn_status read_patches(const reading *r, uint32_t n, qn_error *err)
{
    qn_packed docs, places;
    qn_slice rest;
    QN_TRY(lay_docs(r, BLOCK_PATCHED, 0, n, &docs, err));
    QN_TRY(qn_segment__block(r->file, BLOCK_PATCHES, 0, &rest, err));
    if (!qn_packed__lay(&places, (uint64_t)n + 1, &rest) ||
        qn_packed__get(&places, 0) != 0)
        return corrupt(r, BLOCK_PATCHES, 0, "broken patches", err);
    int64_t end = qn_packed__get(&places, n);
    const char *text =
        end < 0 ? NULL : (const char *)qn_packed__take(&rest, (uint64_t)end);
    if (text == NULL || rest.n != 0)
        return corrupt(r, BLOCK_PATCHES, 0, "broken patches", err);
    for (uint32_t i = 0; i < n; i++) {
        int64_t from = qn_packed__get(&places, i), to = qn_packed__get(&places, i + 1);
        if (from < 0 || to <= from || to > end || to - from > QN_OVERLAY_PATCH_MAX)
            return corrupt(r, BLOCK_PATCHES, 0, "broken patches", err);
        qn_slice patch = {text + from, (size_t)(to - from)};
        uint32_t doc = (uint32_t)qn_packed__get(&docs, i);
        QN_TRY(qn_overlay_stage(r->o, doc, NULL, 0, patch, err));
        qn_overlay_publish(r->o);
    }
    return QN_OK;
}

static qn_status read_all(reading *r, qn_alloc *a, qn_error *err)
{
    qn_slice h;
    uint32_t docs = qn_segment_doc_count(r->bare);
    QN_TRY(qn_segment__block(r->file, BLOCK_OVERLAY, 0, &h, err));
    bool good = h.n >= HEADER && qn_load32(h.p) == docs &&
                qn_segment__zero(h.p + 12, HEADER - 12);
    uint32_t n = good ? qn_load32(h.p + 4) : 0;
    good = good && h.n == HEADER + (uint64_t)n * HEADER_COLUMN;
    for (uint32_t i = 0; good && i < n; i++) {
        const char *p = h.p + HEADER + (size_t)i * HEADER_COLUMN;
        good = qn_segment__zero(p + 5, 3) && qn_segment__zero(p + 12, 4) &&
               (i == 0 || qn_load32(p) > qn_load32(p - HEADER_COLUMN));
    }
    if (!good)
        return corrupt(r, BLOCK_OVERLAY, 0, "it does not go with its segment", err);
    QN_TRY(qn_overlay_create(a, docs, &r->o, err));
    for (uint32_t i = 0; i < n; i++) {
        qn_slice entry = {h.p + HEADER + (size_t)i * HEADER_COLUMN, HEADER_COLUMN};
        QN_TRY(read_column(r, entry, err));
    }
    return read_patches(r, qn_load32(h.p + 8), err);
}

qn_status qn_overlay_read(qn_alloc *a, const qn_blockfile *f, const qn_segment *bare,
                          qn_overlay **out, qn_error *err)
{
    reading r = {.file = f, .bare = bare};
    *out = NULL;
    qn_status st = read_all(&r, a, err);
    if (st == QN_ELIMIT) /* nobody writes so much */
        st = corrupt(&r, BLOCK_OVERLAY, 0, "too many new keywords", err);
    if (st == QN_OK)
        *out = r.o;
    else
        qn_overlay_release(r.o);
    return st;
}
