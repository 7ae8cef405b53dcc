/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/match.h"

#include "index/bm25.h"
#include "index/segment.h"

#include <string.h>

/* ---- words ------------------------------------------------------------------------------- */

typedef struct collector {
    qn_match_word *words;
    size_t n;
} collector;

static void add_word(collector *c, const qn_query *leaf, qn_slice bytes)
{
    if (c->n == QN_FEATURE_TERMS_MAX) return;
    uint32_t id = (uint32_t)c->n;
    for (size_t i = 0; i < c->n; i++)
        if (qn_slice_eq(c->words[i].bytes, bytes)) {
            id = c->words[i].id;
            break;
        }
    c->words[c->n++] = (qn_match_word){bytes, id, leaf, leaf->weight};
}

static void collect(collector *c, const qn_query *q);

static void collect_list(collector *c, qn_query_list list)
{
    for (size_t i = 0; i < list.n; i++) collect(c, list.p[i]);
}

static void collect(collector *c, const qn_query *q)
{
    switch (q->kind) {
    case QN_QUERY_TERM:
        if (q->term_count > 0) add_word(c, q, q->terms[0].bytes);
        break;
    case QN_QUERY_PHRASE:
        for (size_t i = 0; i < q->term_count; i++) add_word(c, q, q->terms[i].bytes);
        break;
    case QN_QUERY_BOOL:
        collect_list(c, q->u.boolean.must);
        collect_list(c, q->u.boolean.should);
        break;
    case QN_QUERY_DISMAX:
        collect_list(c, q->u.dismax.children);
        break;
    case QN_QUERY_CONSTANT:
        collect(c, q->u.child);
        break;
    default:
        break;
    }
}

qn_status qn_match_words_collect(const qn_query *tree, qn_arena *arena,
                                 qn_match_words *words, qn_error *err)
{
    collector c = {qn_arena_array(arena, QN_FEATURE_TERMS_MAX, sizeof *c.words),
                   words->n};
    if (c.words == NULL) return qn_fail(err, QN_ENOMEM, "words of the query");
    if (words->n > 0) memcpy(c.words, words->p, words->n * sizeof *c.words);
    collect(&c, tree);
    *words = (qn_match_words){c.words, c.n};
    return QN_OK;
}

const qn_index_def *qn_match_index_at(const qn_match_words *all, size_t i)
{
    for (size_t w = 0; w < all->n; w++) {
        const qn_index_def *index = all->p[w].leaf->index;
        bool seen = index == NULL;
        for (size_t k = 0; k < w && !seen; k++) seen = all->p[k].leaf->index == index;
        if (!seen && i-- == 0) return index;
    }
    return NULL;
}

static bool leaf_has_field(const qn_query *leaf, const qn_field *field)
{
    for (size_t i = 0; i < leaf->field_count; i++)
        if (leaf->fields[i].field->id == field->id) return true;
    return false;
}

static qn_status choose(const qn_match_words *all, QN_NULLABLE const qn_field *field,
                        QN_NULLABLE const qn_index_def *index, qn_arena *arena,
                        qn_match_words *out, qn_error *err)
{
    qn_match_word *words = qn_arena_array(arena, all->n + 1, sizeof *words);
    size_t n = 0;
    if (words == NULL) return qn_fail(err, QN_ENOMEM, "words of the query");
    for (size_t i = 0; i < all->n; i++) {
        const qn_query *leaf = all->p[i].leaf;
        if (leaf->index != index || (field != NULL && !leaf_has_field(leaf, field)))
            continue;
        words[n++] = all->p[i];
    }
    *out = (qn_match_words){words, n};
    return QN_OK;
}

qn_status qn_match_words_of_index(const qn_match_words *all, const qn_index_def *index,
                                  qn_arena *arena, qn_match_words *out, qn_error *err)
{
    return choose(all, NULL, index, arena, out, err);
}

qn_status qn_match_words_of(const qn_match_words *all, const qn_field *field,
                            const qn_index_def *index, qn_arena *arena,
                            qn_match_words *out, qn_error *err)
{
    if (index != NULL) return choose(all, field, index, arena, out, err);
    const qn_query *first = NULL;
    for (size_t i = 0; i < all->n; i++) {
        const qn_query *leaf = all->p[i].leaf;
        if (!leaf_has_field(leaf, field)) continue;
        if (first == NULL) first = leaf;
        if (leaf->index != NULL && qn_slice_eq(leaf->index->name, field->name)) {
            first = leaf;
            break;
        }
    }
    *out = (qn_match_words){all->p, 0};
    return first == NULL ? QN_OK : choose(all, field, first->index, arena, out, err);
}

/* ---- walking ------------------------------------------------------------------------------- */

struct qn_match_walk {
    qn_postings *cursors; /* one a distinct word, see `cursor_of` */
    uint32_t *cursor_of;  /* by word */
    size_t cursor_count;
    qn_match_term *terms; /* by word */
    size_t word_count;
    const uint8_t *norms;
    bool positions;
    double avg_length;
};

static qn_status open_cursors(qn_match_walk *w, const qn_snapshot_view *snapshot,
                              size_t segment, const qn_field *field,
                              const qn_match_words *words, qn_arena *arena,
                              qn_error *err)
{
    const qn_segment *seg = snapshot->segments[segment].segment;
    qn_field_totals totals = qn_snapshot_field_totals(snapshot, field->id);
    w->avg_length = totals.doc_count == 0
                        ? 0
                        : (double)totals.token_count / (double)totals.doc_count;
    for (size_t i = 0; i < words->n; i++) {
        const qn_match_word *word = &words->p[i];
        size_t same = 0;
        while (same < i && words->p[same].id != word->id) same++;
        w->terms[i] = (qn_match_term){.id = word->id, .weight = 1};
        if (same < i) {
            w->terms[i].idf = w->terms[same].idf;
            w->cursor_of[i] = w->cursor_of[same];
            continue;
        }
        qn_term_totals df;
        qn_term term;
        QN_TRY(qn_snapshot_term_totals(snapshot, field->id, word->bytes, &df, err));
        w->terms[i].idf = qn_feature_idf(totals.doc_count, df.doc_count);
        QN_TRY(qn_segment_term(seg, field->id, word->bytes, &term, err));
        w->cursor_of[i] = (uint32_t)w->cursor_count;
        QN_TRY(
            qn_segment_postings(seg, &term, arena, &w->cursors[w->cursor_count], err));
        w->cursor_count++;
    }
    return qn_segment_norms(seg, field->id, &w->norms, err);
}

qn_status qn_match_walk_open(const qn_snapshot_view *snapshot, size_t segment,
                             const qn_field *field, const qn_match_words *words,
                             bool positions, qn_arena *arena, qn_match_walk **out,
                             qn_error *err)
{
    qn_match_walk *w = qn_arena_new(arena, sizeof *w);
    if (w == NULL) return qn_fail(err, QN_ENOMEM, "match data");
    w->cursors = qn_arena_array(arena, words->n + 1, sizeof *w->cursors);
    w->cursor_of = qn_arena_array(arena, words->n + 1, sizeof *w->cursor_of);
    w->terms = qn_arena_array(arena, words->n + 1, sizeof *w->terms);
    if (w->cursors == NULL || w->cursor_of == NULL || w->terms == NULL)
        return qn_fail(err, QN_ENOMEM, "match data");
    w->word_count = words->n;
    w->positions = positions;
    *out = w;
    return open_cursors(w, snapshot, segment, field, words, arena, err);
}

qn_status qn_match_walk_to(qn_match_walk *w, uint32_t doc, qn_match_view *out,
                           qn_error *err)
{
    for (size_t c = 0; c < w->cursor_count; c++)
        if (w->cursors[c].doc < doc) QN_TRY(qn_postings_seek(&w->cursors[c], doc, err));
    for (size_t i = 0; i < w->word_count; i++) {
        qn_postings *p = &w->cursors[w->cursor_of[i]];
        qn_match_term *t = &w->terms[i];
        t->count = 0;
        t->positions = NULL;
        if (p->doc != doc) continue;
        size_t n = p->freq;
        t->count = p->freq;
        if (w->positions && p->has_positions)
            QN_TRY(qn_postings_positions(p, &t->positions, &n, err));
    }
    uint32_t length = w->norms == NULL ? 1 : qn_bm25_norm_length(w->norms[doc]);
    *out = (qn_match_view){w->terms, w->word_count, length, w->avg_length};
    return QN_OK;
}
