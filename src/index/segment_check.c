/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a segment whole and holds it against itself: for `quern table check`. Checksums
 * tell what changed on disk; this tells what was written wrong. */
#include "index/segment_internal.h"

#include <stdlib.h>

typedef struct check {
    const qn_segment *seg;
    const qn_segment_field *f;
    const uint8_t *norms;
    qn_arena arena; /* of one term */
    qn_buf last;    /* the term before */
    uint64_t *docs; /* bits: documents with a term of the field */
    uint64_t sum_doc_freq, sum_total_term_freq;
} check;

static qn_status wrong(const check *c, const qn_term *t, const char *what,
                       qn_error *err)
{
    return qn_segment__corrupt(c->seg->file, QN_BLOCK_POSTINGS, c->f->id,
                               t->postings_at, what, err);
}

/* ---- bounds ------------------------------------------------------------------------ */

static bool dominates(qn_postings_bound b, uint32_t freq, uint8_t norm)
{
    return b.freq >= freq && b.norm <= norm;
}

static bool bounded(const qn_postings_range *r, uint32_t freq, uint8_t norm)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (dominates(r->pairs[i], freq, norm)) return true;
    return false;
}

static int by_doc(const void *a, const void *b)
{
    const qn_postings_entry *x = a, *y = b;
    return (x->doc > y->doc) - (x->doc < y->doc);
}

/* The best documents in their order; those of the list come by in the same. */
typedef struct best_check {
    qn_postings_entry *entries;
    qn_postings_top top;
    size_t at;
} best_check;

static qn_status best_open(check *c, const qn_postings *p, best_check *b, qn_error *err)
{
    *b = (best_check){0};
    QN_TRY(qn_postings_best(p, &c->arena, &b->top, err));
    if (b->top.n == 0) return QN_OK;
    b->entries = qn_arena_array(&c->arena, b->top.n, sizeof *b->entries);
    if (b->entries == NULL) return qn_fail(err, QN_ENOMEM, "the check of a segment");
    memcpy(b->entries, b->top.entries, b->top.n * sizeof *b->entries);
    qsort(b->entries, b->top.n, sizeof *b->entries, by_doc);
    return QN_OK;
}

static bool best_sound(best_check *b, uint32_t doc, uint32_t freq, uint8_t norm)
{
    if (b->top.n == 0) return true;
    if (b->at < b->top.n && b->entries[b->at].doc == doc) {
        const qn_postings_entry *e = &b->entries[b->at++];
        return e->freq == freq && e->norm == norm;
    }
    for (size_t i = 0; i < b->top.left_out_n; i++) {
        const qn_postings_entry *e = &b->top.left_out[i];
        if (e->freq >= freq && e->norm <= norm && e->doc <= doc) return true;
    }
    return false;
}

/* ---- one list ------------------------------------------------------------------------ */

static qn_status check_positions(check *c, qn_postings *p, const qn_term *t,
                                 qn_error *err)
{
    const uint32_t *positions = NULL;
    size_t n = 0;
    QN_TRY(qn_postings_positions(p, &positions, &n, err));
    if (n != p->freq) return wrong(c, t, "positions do not add up", err);
    for (size_t i = 1; i < n; i++)
        if (positions[i] < positions[i - 1])
            return wrong(c, t, "positions out of order", err);
    return QN_OK;
}

static qn_status check_list(check *c, const qn_term *t, qn_error *err)
{
    qn_postings p;
    best_check best;
    qn_postings_range block = {.n = 0}, super = {.n = 0};
    uint64_t docs = 0, freqs = 0;
    QN_TRY(qn_segment_postings(c->seg, t, &c->arena, &p, err));
    QN_TRY(best_open(c, &p, &best, err));
    for (; p.doc != QN_DOC_END; docs++) {
        uint8_t norm = c->norms == NULL ? 1 : c->norms[p.doc];
        if (docs == 0 || p.doc > block.last) qn_postings_block_ahead(&p, p.doc, &block);
        if (docs == 0 || p.doc > super.last) qn_postings_super_ahead(&p, p.doc, &super);
        if (!bounded(&block, p.freq, norm) || !bounded(&super, p.freq, norm) ||
            !dominates(p.bound, p.freq, norm))
            return wrong(c, t, "a document is better than its bounds", err);
        if (!best_sound(&best, p.doc, p.freq, norm))
            return wrong(c, t, "the best documents are others", err);
        if (p.has_positions) QN_TRY(check_positions(c, &p, t, err));
        qn_bitset_add(c->docs, p.doc);
        freqs += p.freq;
        QN_TRY(qn_postings_next(&p, err));
    }
    if (docs != t->doc_freq || freqs != t->total_term_freq || best.at != best.top.n)
        return wrong(c, t, "a list is not what the dictionary says", err);
    return QN_OK;
}

/* ---- one field ------------------------------------------------------------------------ */

static qn_status check_term(check *c, const qn_terms *t, bool first, qn_error *err)
{
    qn_term found;
    qn_arena_deinit(&c->arena);
    qn_arena_init(&c->arena, c->seg->alloc, 0);
    if (!first && qn_slice_compare(qn_buf_slice(&c->last), t->bytes) >= 0)
        return wrong(c, &t->term, "terms out of order", err);
    QN_TRY(qn_segment_term(c->seg, c->f->id, t->bytes, &found, err));
    if (found.doc_freq != t->term.doc_freq || found.postings_at != t->term.postings_at)
        return wrong(c, &t->term, "a term is not found", err);
    QN_TRY(check_list(c, &t->term, err));
    qn_buf_reset(&c->last);
    qn_buf_add_slice(&c->last, t->bytes);
    if (c->last.failed) return qn_fail(err, QN_ENOMEM, "the check of a segment");
    c->sum_doc_freq += t->term.doc_freq;
    c->sum_total_term_freq += t->term.total_term_freq;
    return QN_OK;
}

static qn_status check_totals(const check *c, uint32_t terms, qn_error *err)
{
    uint32_t docs = 0;
    for (uint32_t d = 0; d < c->seg->doc_count; d++)
        docs += c->norms == NULL ? qn_bitset_has(c->docs, d) : c->norms[d] != 0;
    /* A document that failed half way may be counted and have nothing. */
    if (terms == c->f->term_count && docs <= c->f->doc_count &&
        c->sum_doc_freq == c->f->sum_doc_freq &&
        c->sum_total_term_freq == c->f->sum_total_term_freq)
        return QN_OK;
    return qn_segment__corrupt(c->seg->file, QN_BLOCK_SEGMENT, 0, 0,
                               "totals of a field do not add up", err);
}

static qn_status check_terms(check *c, qn_error *err)
{
    qn_terms t;
    uint32_t count = 0;
    memset(c->docs, 0, qn_bitset_words(c->seg->doc_count) * sizeof *c->docs);
    c->sum_doc_freq = c->sum_total_term_freq = 0;
    QN_TRY(qn_segment_norms(c->seg, c->f->id, &c->norms, err));
    qn_status st =
        qn_terms_init(&t, c->seg, c->f->id, c->seg->alloc, QN_SLICE_LIT(""), err);
    for (; st == QN_OK && !t.at_end; count++) {
        st = check_term(c, &t, count == 0, err);
        if (st == QN_OK) st = qn_terms_next(&t, err);
    }
    qn_terms_deinit(&t);
    return st == QN_OK ? check_totals(c, count, err) : st;
}

/* ---- the segment ------------------------------------------------------------------------ */

static qn_status check_ids(const check *c, qn_error *err)
{
    for (uint32_t d = 0; d < c->seg->doc_count; d++) {
        qn_slice id;
        uint32_t found = 0;
        QN_TRY(qn_segment_id(c->seg, d, &id, err));
        QN_TRY(qn_segment_find(c->seg, id, &found, err));
    }
    return QN_OK;
}

qn_status qn_segment_check(const qn_segment *seg, qn_error *err)
{
    check c = {.seg = seg};
    qn_arena_init(&c.arena, seg->alloc, 0);
    qn_buf_init(&c.last, seg->alloc);
    c.docs = qn_new_array(seg->alloc, qn_bitset_words(seg->doc_count), sizeof *c.docs);
    qn_status st = QN_OK;
    if (c.docs == NULL) st = qn_fail(err, QN_ENOMEM, "the check of a segment");
    if (st == QN_OK) st = check_ids(&c, err);
    for (size_t i = 0; st == QN_OK && i < seg->field_count; i++) {
        qn_column column;
        c.f = &seg->fields[i].pub;
        if (c.f->has_terms) st = check_terms(&c, err);
        if (st == QN_OK && c.f->has_column)
            st = qn_segment_column(seg, c.f->id, &column, err);
    }
    qn_delete(seg->alloc, c.docs);
    qn_buf_deinit(&c.last);
    qn_arena_deinit(&c.arena);
    return st;
}
