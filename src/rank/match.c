/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/match.h"

#include "index/bm25.h"
#include "index/segment.h"

#include <math.h>
#include <string.h>

/* ---- words ------------------------------------------------------------------------------- */

typedef struct collector {
    qn_match_word *words;
    size_t n;
    qn_arena *arena;
    bool no_memory;
} collector;

static bool same_spellings(const qn_match_word *a, const qn_match_word *b)
{
    if (a->spelling_count != b->spelling_count) return false;
    for (size_t i = 0; i < a->spelling_count; i++)
        if (!qn_slice_eq(a->spellings[i], b->spellings[i])) return false;
    return true;
}

/* One word, by `n` terms of the leaf. */
static void add_word(collector *c, const qn_query *leaf, const qn_query_term *terms,
                     size_t n)
{
    if (c->n == QN_FEATURE_TERMS_MAX || n == 0) return;
    qn_slice *spellings = qn_arena_array(c->arena, n, sizeof *spellings);
    if (spellings == NULL) {
        c->no_memory = true;
        return;
    }
    for (size_t i = 0; i < n; i++) spellings[i] = terms[i].bytes;
    qn_match_word word = {spellings, n, (uint32_t)c->n, leaf, leaf->weight};
    for (size_t i = 0; i < c->n; i++)
        if (same_spellings(&c->words[i], &word)) {
            word.id = c->words[i].id;
            break;
        }
    c->words[c->n++] = word;
}

/* Terms of a phrase that stand at one place are one word. */
static void add_phrase(collector *c, const qn_query *leaf)
{
    for (size_t i = 0, n; i < leaf->term_count; i += n) {
        for (n = 1; i + n < leaf->term_count &&
                    leaf->terms[i + n].position == leaf->terms[i].position;)
            n++;
        add_word(c, leaf, leaf->terms + i, n);
    }
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
        add_word(c, q, q->terms, q->term_count);
        break;
    case QN_QUERY_PHRASE:
        add_phrase(c, q);
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
                   words->n, arena, false};
    if (c.words == NULL) return qn_fail(err, QN_ENOMEM, "words of the query");
    if (words->n > 0) memcpy(c.words, words->p, words->n * sizeof *c.words);
    collect(&c, tree);
    if (c.no_memory) return qn_fail(err, QN_ENOMEM, "words of the query");
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

/* Where one distinct word's spellings are read, and their positions put together. */
typedef struct reading {
    qn_postings *cursors;
    size_t count;
    double idf, rarity;
    uint32_t *united;
    size_t capacity;
} reading;

struct qn_match_walk {
    reading *readings;    /* one a distinct word, see `reading_of` */
    uint32_t *reading_of; /* by word */
    size_t reading_count;
    qn_match_term *terms; /* by word */
    size_t word_count;
    const uint8_t *norms;
    bool positions;
    double avg_length;
    qn_arena *arena;
};

/* Opens the cursors of one word. Its rarity is that of its commonest spelling. */
static qn_status open_reading(const qn_snapshot_view *snapshot, size_t segment,
                              uint32_t field, const qn_match_word *word,
                              uint64_t doc_count, qn_arena *arena, reading *r,
                              qn_error *err)
{
    const qn_segment *seg = snapshot->segments[segment].segment;
    uint64_t most = 0;
    r->cursors = qn_arena_array(arena, word->spelling_count, sizeof *r->cursors);
    if (r->cursors == NULL) return qn_fail(err, QN_ENOMEM, "match data");
    for (size_t i = 0; i < word->spelling_count; i++) {
        qn_term_totals df;
        qn_term term;
        QN_TRY(qn_snapshot_term_totals(snapshot, field, word->spellings[i], &df, err));
        if (df.doc_count > most) most = df.doc_count;
        QN_TRY(qn_segment_term(seg, field, word->spellings[i], &term, err));
        if (term.doc_freq == 0 && i + 1 < word->spelling_count) continue;
        QN_TRY(qn_segment_postings(seg, &term, arena, &r->cursors[r->count], err));
        r->count++;
    }
    r->idf = qn_feature_idf(doc_count, most);
    /* ln(N / df) as HA3 has it: both at least 1. */
    double all = doc_count == 0 ? 1 : (double)doc_count;
    r->rarity = log(all / (most == 0 ? 1 : (double)most));
    return QN_OK;
}

static qn_status open_readings(qn_match_walk *w, const qn_snapshot_view *snapshot,
                               size_t segment, const qn_field *field,
                               const qn_match_words *words, qn_arena *arena,
                               qn_error *err)
{
    qn_field_totals totals = qn_snapshot_field_totals(snapshot, field->id);
    w->avg_length = totals.doc_count == 0
                        ? 0
                        : (double)totals.token_count / (double)totals.doc_count;
    for (size_t i = 0; i < words->n; i++) {
        const qn_match_word *word = &words->p[i];
        size_t same = 0;
        while (same < i && words->p[same].id != word->id) same++;
        if (same < i) {
            w->reading_of[i] = w->reading_of[same];
        } else {
            w->reading_of[i] = (uint32_t)w->reading_count;
            QN_TRY(open_reading(snapshot, segment, field->id, word, totals.doc_count,
                                arena, &w->readings[w->reading_count++], err));
        }
        const reading *r = &w->readings[w->reading_of[i]];
        w->terms[i] = (qn_match_term){
            .id = word->id, .weight = 1, .idf = r->idf, .rarity = r->rarity};
    }
    return qn_segment_norms(snapshot->segments[segment].segment, field->id, &w->norms,
                            err);
}

qn_status qn_match_walk_open(const qn_snapshot_view *snapshot, size_t segment,
                             const qn_field *field, const qn_match_words *words,
                             bool positions, qn_arena *arena, qn_match_walk **out,
                             qn_error *err)
{
    qn_match_walk *w = qn_arena_new(arena, sizeof *w);
    if (w == NULL) return qn_fail(err, QN_ENOMEM, "match data");
    w->readings = qn_arena_array(arena, words->n + 1, sizeof *w->readings);
    w->reading_of = qn_arena_array(arena, words->n + 1, sizeof *w->reading_of);
    w->terms = qn_arena_array(arena, words->n + 1, sizeof *w->terms);
    if (w->readings == NULL || w->reading_of == NULL || w->terms == NULL)
        return qn_fail(err, QN_ENOMEM, "match data");
    w->word_count = words->n;
    w->positions = positions;
    w->arena = arena;
    *out = w;
    return open_readings(w, snapshot, segment, field, words, arena, err);
}

/* Joins n ascending positions to the k that are there. */
static qn_status unite(reading *r, size_t *k, const uint32_t *more, size_t n,
                       qn_arena *arena, qn_error *err)
{
    if (*k + n > r->capacity) {
        size_t capacity = 2 * (*k + n);
        uint32_t *grown = qn_arena_array(arena, capacity, sizeof *grown);
        if (grown == NULL) return qn_fail(err, QN_ENOMEM, "match data");
        if (*k > 0) memcpy(grown, r->united, *k * sizeof *grown);
        r->united = grown;
        r->capacity = capacity;
    }
    /* From behind, so that it can be done in place; then what is there twice goes. */
    for (size_t a = *k, b = n, at = *k + n; b > 0;)
        r->united[--at] =
            a > 0 && r->united[a - 1] > more[b - 1] ? r->united[--a] : more[--b];
    size_t kept = 0;
    for (size_t i = 0; i < *k + n; i++)
        if (kept == 0 || r->united[kept - 1] != r->united[i])
            r->united[kept++] = r->united[i];
    *k = kept;
    return QN_OK;
}

/* What a word with several spellings has in the document. */
static qn_status read_spellings(const qn_match_walk *w, reading *r, uint32_t doc,
                                qn_match_term *t, qn_error *err)
{
    size_t placed = 0;
    bool all_placed = true;
    for (size_t c = 0; c < r->count; c++) {
        qn_postings *p = &r->cursors[c];
        if (p->doc != doc) continue;
        size_t n = p->freq;
        const uint32_t *positions = NULL;
        t->count += p->freq;
        if (w->positions && p->has_positions)
            QN_TRY(qn_postings_positions(p, &positions, &n, err));
        all_placed = all_placed && positions != NULL;
        if (all_placed) QN_TRY(unite(r, &placed, positions, n, w->arena, err));
    }
    t->frequency = t->count;
    if (t->count == 0 || !all_placed) return QN_OK;
    t->positions = r->united;
    t->count = (uint32_t)placed;
    return QN_OK;
}

static qn_status read_word(const qn_match_walk *w, reading *r, uint32_t doc,
                           qn_match_term *t, qn_error *err)
{
    t->count = t->frequency = 0;
    t->positions = NULL;
    if (r->count > 1) return read_spellings(w, r, doc, t, err);
    qn_postings *p = &r->cursors[0];
    size_t n = p->freq;
    if (p->doc != doc) return QN_OK;
    t->count = t->frequency = p->freq;
    if (!w->positions || !p->has_positions) return QN_OK;
    return qn_postings_positions(p, &t->positions, &n, err);
}

qn_status qn_match_walk_to(qn_match_walk *w, uint32_t doc, qn_match_view *out,
                           qn_error *err)
{
    for (size_t r = 0; r < w->reading_count; r++)
        for (size_t c = 0; c < w->readings[r].count; c++)
            if (w->readings[r].cursors[c].doc < doc)
                QN_TRY(qn_postings_seek(&w->readings[r].cursors[c], doc, err));
    for (size_t i = 0; i < w->word_count; i++)
        QN_TRY(read_word(w, &w->readings[w->reading_of[i]], doc, &w->terms[i], err));
    uint32_t length = w->norms == NULL ? 1 : qn_bm25_norm_length(w->norms[doc]);
    *out = (qn_match_view){w->terms, w->word_count, length, w->avg_length};
    return QN_OK;
}
