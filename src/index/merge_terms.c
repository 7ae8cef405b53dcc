/* SPDX-License-Identifier: Apache-2.0 */
/* Merging one field's terms, postings, positions and lengths.
 *
 * The dictionaries are walked together, in byte order. A field with positions is walked
 * twice, once for the postings and once for the positions, because a file takes one
 * block after another: so neither has to wait in memory. */
#include "index/merge_internal.h"

enum {
    CHUNK_BYTES = 1024 * 1024,      /* goes to the writer when so much has gathered */
    ARENA_KEEP_BYTES = 1024 * 1024, /* positions of frequent terms */
};

/* ---- walking all dictionaries ------------------------------------------------------ */

typedef struct cursor {
    qn_terms terms;
    const qn_merge_input *in;
    bool freqs;
} cursor;

/* A heap of cursors that are not at their end: least term first, of equal ones the
 * earlier input. */
typedef struct walk {
    const merge *m;
    uint32_t field;
    cursor *cursors;
    size_t opened; /* cursors to be ended */
    cursor **heap;
    size_t n;
} walk;

static bool before(const cursor *a, const cursor *b)
{
    int order = qn_slice_compare(a->terms.bytes, b->terms.bytes);
    return order != 0 ? order < 0 : a < b;
}

static void sift_down(walk *w, size_t i)
{
    for (;;) {
        size_t least = i, left = 2 * i + 1;
        if (left < w->n && before(w->heap[left], w->heap[least])) least = left;
        if (left + 1 < w->n && before(w->heap[left + 1], w->heap[least]))
            least = left + 1;
        if (least == i) return;
        cursor *c = w->heap[i];
        w->heap[i] = w->heap[least];
        w->heap[least] = c;
        i = least;
    }
}

static qn_status walk_open(walk *w, const merge *m, const merge_field *f, qn_error *err)
{
    *w = (walk){.m = m, .field = f->pub.id};
    w->cursors = qn_new_array(m->alloc, m->count, sizeof *w->cursors);
    w->heap = qn_new_array(m->alloc, m->count, sizeof *w->heap);
    if (w->cursors == NULL || w->heap == NULL)
        return qn_fail(err, QN_ENOMEM, "a merge");
    for (size_t i = 0; i < m->count; i++) {
        if (f->of[i] == NULL || !f->of[i]->has_terms) continue;
        cursor *c = &w->cursors[w->opened++];
        c->in = &m->in[i];
        c->freqs = f->of[i]->has_positions;
        QN_TRY(qn_terms_init(&c->terms, c->in->segment, f->pub.id, m->alloc,
                             QN_SLICE_LIT(""), err));
        if (!c->terms.at_end) w->heap[w->n++] = c;
    }
    for (size_t i = w->n; i-- > 0;) sift_down(w, i);
    return QN_OK;
}

static void walk_close(walk *w)
{
    for (size_t i = 0; i < w->opened; i++) qn_terms_deinit(&w->cursors[i].terms);
    qn_delete(w->m->alloc, w->cursors);
    qn_delete(w->m->alloc, w->heap);
}

/* Moves the first cursor of the heap on. */
static qn_status walk_next(walk *w, qn_error *err)
{
    cursor *c = w->heap[0];
    QN_TRY(qn_terms_next(&c->terms, err));
    if (c->terms.at_end) w->heap[0] = w->heap[--w->n];
    sift_down(w, 0);
    return QN_OK;
}

/* ---- one term's list ---------------------------------------------------------------- */

/* The term in one of the inputs. */
typedef struct source {
    const qn_merge_input *in;
    qn_term term;
} source;

/* A term's list out of all inputs. The arrays grow and are used again. */
typedef struct gathered {
    qn_alloc *alloc;
    source *sources; /* room for one an input */
    size_t source_count;
    qn_arena arena; /* of positions on their way */
    qn_buf bytes;   /* the term */
    bool freqs;
    uint32_t *docs, *freq, *deltas;
    size_t docs_capacity, deltas_capacity;
    uint32_t doc_count;
    uint64_t pos_count;
} gathered;

static bool grow(qn_alloc *a, uint32_t **p, size_t capacity)
{
    uint32_t *grown = qn_resize(a, *p, capacity * sizeof **p);
    if (grown == NULL) return false;
    *p = grown;
    return true;
}

static qn_status docs_room(gathered *g, size_t more, qn_error *err)
{
    size_t need = g->doc_count + more;
    if (need <= g->docs_capacity) return QN_OK;
    size_t capacity = need + need / 2;
    if (!grow(g->alloc, &g->docs, capacity) || !grow(g->alloc, &g->freq, capacity))
        return qn_fail(err, QN_ENOMEM, "postings of a merge");
    g->docs_capacity = capacity;
    return QN_OK;
}

static qn_status deltas_room(gathered *g, size_t more, qn_error *err)
{
    size_t need = (size_t)g->pos_count + more;
    if (need <= g->deltas_capacity) return QN_OK;
    size_t capacity = need + need / 2;
    if (!grow(g->alloc, &g->deltas, capacity))
        return qn_fail(err, QN_ENOMEM, "positions of a merge");
    g->deltas_capacity = capacity;
    return QN_OK;
}

/* The positions of the cursor's current document. */
static qn_status add_positions(gathered *g, qn_postings *p, qn_error *err)
{
    const uint32_t *positions = NULL;
    size_t n = 0;
    QN_TRY(qn_postings_positions(p, &positions, &n, err));
    QN_TRY(deltas_room(g, n, err));
    uint32_t *out = g->deltas + g->pos_count, last = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = positions[i] - last;
        last = positions[i];
    }
    g->pos_count += n;
    return QN_OK;
}

/* Documents and frequencies, a block at a time. */
static qn_status add_blocks(gathered *g, const qn_doc_map *map, qn_postings *p,
                            qn_error *err)
{
    while (p->doc != QN_DOC_END) {
        const uint32_t *docs = NULL, *freqs = NULL;
        size_t n = 0;
        qn_postings_rest(p, &docs, &freqs, &n);
        QN_TRY(docs_room(g, n, err));
        uint32_t kept = g->doc_count;
        for (size_t i = 0; i < n; i++) {
            uint32_t doc = qn_doc_map_get(map, docs[i]);
            if (doc == QN_DOC_END) continue;
            g->docs[kept] = doc;
            g->freq[kept++] = freqs[i];
            g->pos_count += freqs[i];
        }
        g->doc_count = kept;
        QN_TRY(qn_postings_next_block(p, err));
    }
    return QN_OK;
}

static qn_status add_documents(gathered *g, const qn_doc_map *map, qn_postings *p,
                               qn_error *err)
{
    for (; p->doc != QN_DOC_END;) {
        uint32_t doc = qn_doc_map_get(map, p->doc);
        if (doc != QN_DOC_END) {
            QN_TRY(docs_room(g, 1, err));
            g->docs[g->doc_count] = doc;
            g->freq[g->doc_count++] = p->freq;
            QN_TRY(add_positions(g, p, err));
        }
        QN_TRY(qn_postings_next(p, err));
    }
    return QN_OK;
}

/* Takes the least term off the walk with the lists of all inputs that have it. With
 * `positions` these too are gathered; else they are only counted, unless so few
 * documents are left that they stay with their positions. */
static qn_status read_lists(gathered *g, bool positions, qn_error *err)
{
    g->doc_count = 0;
    g->pos_count = 0;
    for (size_t i = 0; i < g->source_count; i++) {
        const source *s = &g->sources[i];
        qn_postings p;
        QN_TRY(qn_segment_postings(s->in->segment, &s->term, &g->arena, &p, err));
        if (positions)
            QN_TRY(add_documents(g, s->in->map, &p, err));
        else
            QN_TRY(add_blocks(g, s->in->map, &p, err));
    }
    return QN_OK;
}

static qn_status gather(walk *w, gathered *g, bool positions, qn_error *err)
{
    QN_TRY(qn_merge__check(w->m, err));
    g->source_count = 0;
    qn_buf_reset(&g->bytes);
    qn_buf_add_slice(&g->bytes, w->heap[0]->terms.bytes);
    if (g->bytes.failed) return qn_fail(err, QN_ENOMEM, "a term of a merge");
    if (g->arena.used_bytes > ARENA_KEEP_BYTES) {
        qn_arena_deinit(&g->arena);
        qn_arena_init(&g->arena, g->alloc, 0);
    }
    uint64_t docs = 0;
    while (w->n > 0 && qn_slice_eq(w->heap[0]->terms.bytes, qn_buf_slice(&g->bytes))) {
        const cursor *c = w->heap[0];
        if (g->source_count == w->m->count) /* an input has it twice */
            return qn_segment__corrupt(qn_segment_file(c->in->segment), QN_BLOCK_TERMS,
                                       w->field, 0, "terms out of order", err);
        g->sources[g->source_count++] = (source){c->in, c->terms.term};
        docs += c->terms.term.doc_freq;
        QN_TRY(walk_next(w, err));
    }
    if (g->freqs && docs < QN_POSTINGS_BLOCK) positions = true;
    QN_TRY(read_lists(g, positions, err));
    if (g->freqs && !positions && g->doc_count > 0 && g->doc_count < QN_POSTINGS_BLOCK)
        return read_lists(g, true, err);
    return QN_OK;
}

/* ---- writing ------------------------------------------------------------------------- */

typedef struct terms_merge {
    const merge *m;
    merge_field *f;
    gathered g;
    terms_writer terms;
    qn_buf last[2];     /* the term written last, and room for the next one */
    qn_buf sizes;       /* varints: bytes of postings of each term kept */
    qn_buf chunk;       /* bytes on their way to the writer */
    uint64_t sent;      /* bytes of the block that went to the writer */
    uint8_t *norms;     /* by document; NULL: a keyword */
    uint64_t *has_term; /* keywords: a bit a document */
    qn_bm25_field scale;
} terms_merge;

static void init(terms_merge *t, const merge *m, merge_field *f)
{
    *t = (terms_merge){.m = m, .f = f};
    t->g.alloc = m->alloc;
    t->g.freqs = f->pub.type == QN_FIELD_TEXT;
    qn_postings__scale(NULL, 0, &t->scale);
    qn_arena_init(&t->g.arena, m->alloc, 0);
    qn_terms__writer_init(&t->terms, m->alloc, t->g.freqs);
    qn_buf *const bufs[] = {&t->g.bytes, &t->last[0], &t->last[1], &t->sizes,
                            &t->chunk};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        qn_buf_init(bufs[i], m->alloc);
}

static void deinit(terms_merge *t)
{
    qn_alloc *a = t->m->alloc;
    qn_arena_deinit(&t->g.arena);
    qn_terms__writer_deinit(&t->terms);
    qn_buf *const bufs[] = {&t->g.bytes, &t->last[0], &t->last[1], &t->sizes,
                            &t->chunk};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) qn_buf_deinit(bufs[i]);
    qn_delete(a, t->g.sources);
    qn_delete(a, t->g.docs);
    qn_delete(a, t->g.freq);
    qn_delete(a, t->g.deltas);
    qn_delete(a, t->norms);
    qn_delete(a, t->has_term);
}

static postings_list list_of(const terms_merge *t)
{
    return (postings_list){
        .doc_count = t->g.doc_count,
        .pos_count = t->g.pos_count,
        .docs = t->g.docs,
        .freqs = t->g.freqs ? t->g.freq : NULL,
        .deltas = t->g.freqs ? t->g.deltas : NULL,
        .norms = t->norms,
        .inverse = t->scale.inverse,
        .doc_limit = t->m->doc_count,
    };
}

static void send(terms_merge *t, size_t at_least)
{
    if (t->chunk.n < at_least || t->chunk.failed || t->chunk.n == 0) return;
    qn_blockfile_write(t->m->out, t->chunk.p, t->chunk.n);
    t->sent += t->chunk.n;
    qn_buf_reset(&t->chunk);
}

/* The entry of the dictionary. The writer keeps the bytes until the next one. */
static void add_term(terms_merge *t, const qn_term *term)
{
    qn_buf *bytes = &t->last[t->terms.count % 2];
    qn_buf_reset(bytes);
    qn_buf_add_slice(bytes, qn_buf_slice(&t->g.bytes));
    if (bytes->failed) {
        t->terms.data.failed = true; /* finish() tells */
        return;
    }
    qn_terms__add(&t->terms, qn_buf_slice(bytes), term);
    t->f->pub.sum_doc_freq += term->doc_freq;
    t->f->pub.sum_total_term_freq += term->total_term_freq;
}

static void put_size(terms_merge *t, uint64_t size)
{
    uint8_t bytes[10];
    qn_buf_add(&t->sizes, bytes, qn_varint_put(bytes, size));
}

/* First pass: postings; for keywords, which have no second one, the dictionary too. */
static qn_status put_postings(terms_merge *t, walk *w, qn_error *err)
{
    uint64_t at = 0;
    while (w->n > 0) {
        QN_TRY(gather(w, &t->g, false, err));
        if (t->g.doc_count == 0) continue; /* all its documents are deleted */
        postings_list l = list_of(t);
        qn_term term = {0};
        QN_TRY(qn_postings__write(&l, &t->chunk, &term, err));
        put_size(t, term.postings_size);
        if (!t->g.freqs) {
            for (uint32_t i = 0; i < t->g.doc_count; i++)
                qn_bitset_add(t->has_term, t->g.docs[i]);
            qn_postings__describe(&l, &term);
            term.postings_at = at;
            add_term(t, &term);
        }
        at += term.postings_size;
        send(t, CHUNK_BYTES);
    }
    send(t, 0);
    if (t->chunk.failed || t->sizes.failed)
        return qn_fail(err, QN_ENOMEM, "postings of a merge");
    return QN_OK;
}

/* Second pass: positions and the dictionary. */
static qn_status put_positions(terms_merge *t, walk *w, qn_error *err)
{
    const uint8_t *sizes = (const uint8_t *)t->sizes.p, *end = sizes + t->sizes.n;
    uint64_t postings_at = 0, positions_at = 0;
    while (w->n > 0) {
        QN_TRY(gather(w, &t->g, true, err));
        if (t->g.doc_count == 0) continue;
        postings_list l = list_of(t);
        qn_term term = {0};
        qn_postings__describe(&l, &term);
        QN_TRY(qn_positions__write(&l, &t->chunk, &term, err));
        term.postings_at = postings_at;
        term.positions_at = positions_at;
        sizes = qn_varint_get(sizes, end, &term.postings_size);
        qn_assert(sizes != NULL);
        add_term(t, &term);
        postings_at += term.postings_size;
        positions_at += term.positions_size;
        send(t, CHUNK_BYTES);
    }
    send(t, 0);
    return t->chunk.failed ? qn_fail(err, QN_ENOMEM, "positions of a merge") : QN_OK;
}

static qn_status pass(terms_merge *t, uint32_t kind,
                      qn_status (*put)(terms_merge *t, walk *w, qn_error *err),
                      qn_error *err)
{
    walk w;
    qn_status st = walk_open(&w, t->m, t->f, err);
    if (st == QN_OK) {
        qn_blockfile_begin(t->m->out, kind, t->f->pub.id);
        st = put(t, &w, err);
        qn_status ended = qn_blockfile_end(t->m->out, st == QN_OK ? err : NULL);
        if (st == QN_OK) st = ended;
    }
    walk_close(&w);
    return st;
}

/* ---- lengths --------------------------------------------------------------------------- */

static qn_status copy_norms(terms_merge *t, qn_error *err)
{
    const merge *m = t->m;
    t->norms = qn_new_array(m->alloc, m->doc_count, 1);
    if (t->norms == NULL) return qn_fail(err, QN_ENOMEM, "lengths of a merge");
    for (size_t i = 0; i < m->count; i++) {
        const qn_doc_map *map = m->in[i].map;
        const uint8_t *norms = NULL;
        QN_TRY(qn_segment_norms(m->in[i].segment, t->f->pub.id, &norms, err));
        if (norms == NULL) continue; /* none of its documents has the field */
        if (map->deleted == NULL) {
            memcpy(t->norms + map->base, norms, map->doc_count);
            continue;
        }
        for (uint32_t doc = 0; doc < map->doc_count; doc++) {
            uint32_t to = qn_doc_map_get(map, doc);
            if (to != QN_DOC_END) t->norms[to] = norms[doc];
        }
    }
    for (uint32_t doc = 0; doc < m->doc_count; doc++)
        t->f->pub.doc_count += t->norms[doc] != 0;
    return QN_OK;
}

/* ---- the field ------------------------------------------------------------------------- */

static qn_status merge_text(terms_merge *t, qn_error *err)
{
    qn_segment_field *pub = &t->f->pub;
    QN_TRY(copy_norms(t, err));
    if (pub->doc_count == 0) return QN_OK; /* no live document has a token */
    qn_postings__scale(t->norms, t->m->doc_count, &t->scale);
    QN_TRY(qn_blockfile_put(t->m->out, QN_BLOCK_NORMS, pub->id, t->norms,
                            t->m->doc_count, err));
    QN_TRY(pass(t, QN_BLOCK_POSTINGS, put_postings, err));
    QN_TRY(pass(t, QN_BLOCK_POSITIONS, put_positions, err));
    pub->has_norms = pub->has_positions = pub->has_terms = true;
    return QN_OK;
}

static qn_status merge_keywords(terms_merge *t, qn_error *err)
{
    const merge *m = t->m;
    qn_segment_field *pub = &t->f->pub;
    size_t words = qn_bitset_words(m->doc_count);
    t->has_term = qn_new_array(m->alloc, words, sizeof *t->has_term);
    if (t->has_term == NULL) return qn_fail(err, QN_ENOMEM, "keywords of a merge");
    QN_TRY(pass(t, QN_BLOCK_POSTINGS, put_postings, err));
    for (size_t i = 0; i < words; i++)
        pub->doc_count += (uint32_t)__builtin_popcountll(t->has_term[i]);
    pub->has_terms = true;
    return QN_OK;
}

qn_status qn_merge__terms(const merge *m, merge_field *f, qn_error *err)
{
    bool any = false;
    for (size_t i = 0; i < m->count; i++)
        any |= f->of[i] != NULL && f->of[i]->has_terms;
    if (!any || m->doc_count == 0) return QN_OK;
    terms_merge t;
    init(&t, m, f);
    qn_status st = QN_OK;
    t.g.sources = qn_new_array(m->alloc, m->count, sizeof *t.g.sources);
    if (t.g.sources == NULL)
        st = qn_fail(err, QN_ENOMEM, "a merge");
    else if (f->pub.type == QN_FIELD_TEXT)
        st = merge_text(&t, err);
    else
        st = merge_keywords(&t, err);
    if (st == QN_OK && f->pub.has_terms) {
        f->pub.term_count = t.terms.count;
        st = qn_terms__finish(&t.terms, f->pub.id, m->out, err);
    }
    deinit(&t);
    return st;
}
