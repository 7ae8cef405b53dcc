/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of documents on their way into a segment: packed some KB at a time. The first
 * packs are 16 KB each; once they hold enough to learn from, a dictionary is trained on
 * their documents, and the packs that follow have 4 KB: as small in the file, and a
 * quarter of the work to read one document. */
#include "index/segment_internal.h"

#include <zdict.h>
#include <zstd.h>

enum {
    LEVEL = 1, /* the fastest: sources are text, of which it keeps a third or so */
    SIZES_PER_DOC = 8,
    SAMPLE_MAX = 4096, /* bytes of a document that are learned from */
    SAMPLES_MIN = 32,
};

void qn_sources__init(sources *s, qn_alloc *a)
{
    *s = (sources){.alloc = a};
    qn_buf_init(&s->packed, a);
    qn_buf_init(&s->open_sizes, a);
    qn_buf_init(&s->open_bytes, a);
    qn_buf_init(&s->samples, a);
    qn_buf_init(&s->dict, a);
}

void qn_sources__deinit(sources *s)
{
    qn_vec_deinit(s->alloc, &s->entries);
    qn_vec_deinit(s->alloc, &s->sample_sizes);
    qn_buf_deinit(&s->packed);
    qn_buf_deinit(&s->open_sizes);
    qn_buf_deinit(&s->open_bytes);
    qn_buf_deinit(&s->samples);
    qn_buf_deinit(&s->dict);
    ZSTD_freeCCtx(s->compressor);
    ZSTD_freeCDict(s->compressor_dict);
    s->compressor = s->compressor_dict = NULL;
    qn_unpacker__deinit(&s->unpacker);
}

size_t qn_sources__bytes(const sources *s)
{
    return s->packed.capacity + s->open_sizes.capacity + s->open_bytes.capacity +
           s->samples.capacity + s->dict.capacity +
           s->entries.capacity * sizeof *s->entries.p +
           (s->compressor == NULL ? 0 : ZSTD_sizeof_CCtx(s->compressor)) +
           (s->compressor_dict == NULL ? 0 : ZSTD_sizeof_CDict(s->compressor_dict));
}

static uint32_t open_count(const sources *s)
{
    return (uint32_t)(s->open_sizes.n / SIZES_PER_DOC);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "sources of documents");
}

/* ---- the dictionary ------------------------------------------------------------------ */

source_dicts qn_sources__dicts(const sources *s)
{
    source_dicts d = {.n = s->dict.n > 0};
    if (d.n == 0) return d;
    d.p[0] = qn_buf_slice(&s->dict);
    d.ids[0] = ZDICT_getDictID(s->dict.p, s->dict.n);
    return d;
}

/* Without a dictionary the segment is written as well: failing to learn is no error. */
static void train(sources *s)
{
    s->learned = true;
    char *room = qn_buf_reserve(&s->dict, SOURCE_DICT);
    size_t n = 0;
    if (room != NULL && s->sample_sizes.n >= SAMPLES_MIN)
        n = ZDICT_trainFromBuffer(room, SOURCE_DICT, s->samples.p, s->sample_sizes.p,
                                  (unsigned)s->sample_sizes.n);
    if (n > 0 && !ZDICT_isError(n) && ZDICT_getDictID(room, n) != 0)
        s->compressor_dict = ZSTD_createCDict(room, n, LEVEL);
    if (s->compressor_dict != NULL) s->dict.n = n;
    s->dict.failed = false;
    qn_buf_deinit(&s->samples);
    qn_vec_deinit(s->alloc, &s->sample_sizes);
}

/* Remembers what a dictionary is made of, until there is enough. */
static void sample(sources *s, qn_slice source)
{
    if (s->learned || source.n == 0) return;
    size_t n = source.n < SAMPLE_MAX ? source.n : SAMPLE_MAX;
    qn_buf_add(&s->samples, source.p, n);
    if (s->samples.failed || !qn_vec_push(s->alloc, &s->sample_sizes, n)) {
        s->learned = true; /* goes on without */
        qn_buf_deinit(&s->samples);
        qn_vec_deinit(s->alloc, &s->sample_sizes);
    } else if (s->samples.n >= SOURCE_LEARN) {
        train(s);
    }
}

/* ---- packs --------------------------------------------------------------------------- */

static size_t compress(const sources *s, const qn_buf *raw, char *room, size_t bound)
{
    if (s->compressor_dict != NULL)
        return ZSTD_compress_usingCDict(s->compressor, room, bound, raw->p, raw->n,
                                        s->compressor_dict);
    return ZSTD_compressCCtx(s->compressor, room, bound, raw->p, raw->n, LEVEL);
}

/* Appends the open block, compressed, to `out`. */
static qn_status pack_open(sources *s, qn_buf *out, uint32_t *raw_size, qn_error *err)
{
    if (s->compressor == NULL) s->compressor = ZSTD_createCCtx();
    if (s->compressor == NULL) return no_memory(err);
    qn_buf raw;
    qn_buf_init(&raw, s->alloc);
    qn_buf_add(&raw, s->open_sizes.p, s->open_sizes.n);
    qn_buf_add(&raw, s->open_bytes.p, s->open_bytes.n);
    size_t bound = ZSTD_compressBound(raw.n);
    char *room = raw.failed ? NULL : qn_buf_reserve(out, bound);
    size_t n = 0;
    if (room != NULL) {
        n = compress(s, &raw, room, bound);
        if (!ZSTD_isError(n)) out->n += n;
    }
    *raw_size = (uint32_t)raw.n;
    qn_buf_deinit(&raw);
    if (room == NULL) return no_memory(err);
    if (ZSTD_isError(n))
        return qn_fail(err, QN_ENOMEM, "sources: %s", ZSTD_getErrorName(n));
    return QN_OK;
}

qn_status qn_sources__close_block(sources *s, qn_error *err)
{
    if (open_count(s) == 0) return QN_OK;
    if (!qn_vec_grow(s->alloc, &s->entries)) return no_memory(err);
    source_entry e = {.first_doc = s->open_doc, .offset = s->packed.n};
    QN_TRY(pack_open(s, &s->packed, &e.raw_size, err));
    s->entries.p[s->entries.n++] = e;
    s->open_doc += open_count(s);
    qn_buf_reset(&s->open_sizes);
    qn_buf_reset(&s->open_bytes);
    return QN_OK;
}

/* Empty sources for the documents before `doc` that were given none. */
qn_status qn_sources__pad(sources *s, uint32_t doc, qn_error *err)
{
    static const uint8_t none[SIZES_PER_DOC];
    while (s->open_doc + open_count(s) < doc)
        qn_buf_add(&s->open_sizes, none, sizeof none);
    if (!s->open_sizes.failed) return QN_OK;
    s->open_sizes.failed = false; /* what was appended stands; the next call goes on */
    return no_memory(err);
}

qn_status qn_sources__add(sources *s, uint32_t doc, qn_slice source, qn_slice extras,
                          qn_error *err)
{
    if (source.n > SOURCE_BLOCK_MAX / 4 || extras.n > SOURCE_BLOCK_MAX / 4)
        return qn_fail(err, QN_EDOCTOOLARGE, "a document's source has over %d bytes",
                       SOURCE_BLOCK_MAX / 4);
    QN_TRY(qn_sources__pad(s, doc, err));
    char *sizes = qn_buf_reserve(&s->open_sizes, SIZES_PER_DOC);
    char *room = qn_buf_reserve(&s->open_bytes, source.n + extras.n);
    if (sizes == NULL || room == NULL) {
        s->open_sizes.failed = s->open_bytes.failed = false;
        return no_memory(err);
    }
    qn_store32(sizes, (uint32_t)source.n);
    qn_store32(sizes + 4, (uint32_t)extras.n);
    s->open_sizes.n += SIZES_PER_DOC;
    qn_buf_add(&s->open_bytes, source.p, source.n);
    qn_buf_add(&s->open_bytes, extras.p, extras.n);
    s->next_doc = doc + 1;
    sample(s, source);
    size_t enough = s->compressor_dict != NULL ? SOURCE_BLOCK_SMALL : SOURCE_BLOCK;
    if (s->open_sizes.n + s->open_bytes.n < enough) return QN_OK;
    return qn_sources__close_block(s, err);
}

qn_status qn_sources__get(const sources *s, uint32_t doc, qn_buf *scratch,
                          qn_slice *source, qn_slice *extras, qn_error *err)
{
    *source = (qn_slice){"", 0};
    if (extras != NULL) *extras = (qn_slice){"", 0};
    qn_buf_reset(scratch);
    if (doc >= s->open_doc) {
        if (doc - s->open_doc >= open_count(s)) return QN_OK; /* none was set */
        qn_buf_add(scratch, s->open_sizes.p, s->open_sizes.n);
        qn_buf_add(scratch, s->open_bytes.p, s->open_bytes.n);
        if (scratch->failed) return no_memory(err);
        qn_assert(qn_sources__find(qn_buf_slice(scratch), doc - s->open_doc,
                                   open_count(s), source, extras));
        return QN_OK;
    }
    size_t low = 0, high = s->entries.n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (s->entries.p[middle].first_doc <= doc)
            low = middle;
        else
            high = middle;
    }
    const source_entry *e = &s->entries.p[low];
    bool last = low + 1 == s->entries.n;
    uint64_t limit = last ? s->packed.n : e[1].offset;
    uint32_t doc_limit = last ? s->open_doc : e[1].first_doc;
    qn_slice frame = {s->packed.p + e->offset, limit - e->offset};
    const source_dicts dicts = qn_sources__dicts(s);
    source_unpacker *u = (source_unpacker *)(uintptr_t)&s->unpacker; /* a cache */
    if (!qn_unpacker__run(u, &dicts, frame, e->raw_size, scratch))
        return no_memory(err);
    qn_assert(qn_sources__find(qn_buf_slice(scratch), doc - e->first_doc,
                               doc_limit - e->first_doc, source, extras));
    return QN_OK;
}

/* ---- writing -------------------------------------------------------------------------- */

static void put_entry(qn_blockfile_writer *w, const source_entry *e)
{
    uint8_t bytes[SOURCE_ENTRY];
    qn_store32(bytes, e->first_doc);
    qn_store32(bytes + 4, e->raw_size);
    qn_store64(bytes + 8, e->offset);
    qn_blockfile_write(w, bytes, sizeof bytes);
}

void qn_sources__put_front(uint32_t doc_count, const source_entry *entries, size_t n,
                           uint64_t data_size, const source_dicts *dicts,
                           qn_blockfile_writer *w)
{
    uint8_t header[SEGMENT_HEADER] = {0};
    uint64_t dict_bytes = 0;
    for (uint32_t i = 0; i < dicts->n; i++) dict_bytes += dicts->p[i].n;
    qn_store32(header, doc_count);
    qn_store32(header + 4, (uint32_t)n);
    qn_store32(header + 8, dicts->n);
    qn_store64(header + 16, dict_bytes);
    qn_blockfile_write(w, header, sizeof header);
    for (size_t i = 0; i < n; i++) put_entry(w, &entries[i]);
    const source_entry end = {.first_doc = doc_count, .offset = data_size};
    put_entry(w, &end);
    for (uint32_t i = 0; i < dicts->n; i++) {
        uint8_t bytes[SOURCE_DICT_ENTRY];
        qn_store32(bytes, dicts->ids[i]);
        qn_store32(bytes + 4, (uint32_t)dicts->p[i].n);
        qn_blockfile_write(w, bytes, sizeof bytes);
    }
    for (uint32_t i = 0; i < dicts->n; i++)
        qn_blockfile_write(w, dicts->p[i].p, dicts->p[i].n);
}

qn_status qn_sources__write(sources *s, uint32_t doc_count, qn_blockfile_writer *w,
                            qn_error *err)
{
    QN_TRY(qn_sources__pad(s, doc_count, err));
    if (s->next_doc != doc_count) s->next_doc = doc_count;
    qn_buf tail;
    qn_buf_init(&tail, s->alloc);
    /* Room for the open block among the others, which it is not yet. */
    if (!qn_vec_grow(s->alloc, &s->entries)) return no_memory(err);
    size_t n = s->entries.n;
    if (open_count(s) > 0) {
        source_entry open = {.first_doc = s->open_doc, .offset = s->packed.n};
        qn_status st = pack_open(s, &tail, &open.raw_size, err);
        if (st != QN_OK) {
            qn_buf_deinit(&tail);
            return st;
        }
        s->entries.p[n++] = open;
    }
    const source_dicts dicts = qn_sources__dicts(s);
    qn_blockfile_begin(w, QN_BLOCK_SOURCES, 0);
    qn_sources__put_front(doc_count, s->entries.p, n, s->packed.n + tail.n, &dicts, w);
    if (s->packed.n > 0) qn_blockfile_write(w, s->packed.p, s->packed.n);
    if (tail.n > 0) qn_blockfile_write(w, tail.p, tail.n);
    qn_buf_deinit(&tail);
    return qn_blockfile_end(w, err);
}
