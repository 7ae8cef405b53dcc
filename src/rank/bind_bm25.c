/* SPDX-License-Identifier: Apache-2.0 */
/* bind_bm25.c -- bm25(index): the Lucene-scale score of the words asked of one index.
 *
 * When the index is all that the query asks, this is the text score of recall, to the bit.
 * Otherwise it is summed here, leaf by leaf: a leaf over several fields counts its best
 * field; leaf scores are added in double and rounded once, as Lucene adds clauses. */
#include "rank/bind_internal.h"

#include "index/bm25.h"
#include "index/segment.h"

#include <math.h>

/* One leaf in one of its fields. */
typedef struct leaf_field {
    size_t field;            /* in slot->fields */
    size_t word, word_count; /* in that field's words */
    qn_bm25_term term;
} leaf_field;

typedef struct leaf {
    const qn_query *query;
    leaf_field *fields;
    size_t field_count;
} leaf;

struct qn_slot_bm25 {
    bool is_text_score;
    leaf *leaves;
    size_t leaf_count;
    qn_bm25_field *stats;  /* by slot field */
    const uint8_t **norms; /* of the current segment */
    size_t norms_segment;
};

/* Leaves that score something other than words of `index`. */
static bool scores_otherwise(const qn_query *q, const qn_index_def *index)
{
    qn_query_list lists[3] = {{0}};
    switch (q->kind) {
    case QN_QUERY_TERM:
    case QN_QUERY_PHRASE:
        return index != NULL && q->index != index;
    case QN_QUERY_BOOL:
        lists[0] = q->u.boolean.must;
        lists[1] = q->u.boolean.should;
        break;
    case QN_QUERY_DISMAX:
        lists[0] = q->u.dismax.children;
        break;
    case QN_QUERY_VECTOR:
        return false; /* its score is kept apart */
    default:
        return true;
    }
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l].n; i++)
            if (scores_otherwise(lists[l].p[i], index)) return true;
    return false;
}

static bool is_text_score(const qn_binding *b, const qn_index_def *index)
{
    if (index == NULL) return true;
    for (size_t p = 0; p < b->in->path_count; p++) {
        const qn_rank_path *path = &b->in->paths[p];
        if (!path->is_vector && scores_otherwise(path->query, index)) return false;
    }
    return true;
}

/* Which of the slot's fields, made when new. */
static qn_status slot_field(qn_binding *b, qn_slot *slot, const qn_field *field,
                            size_t *out, qn_error *err)
{
    for (size_t i = 0; i < slot->field_count; i++)
        if (slot->fields[i].field == field) {
            *out = i;
            return QN_OK;
        }
    if (slot->field_count == QN_SLOT_FIELDS_MAX)
        return qn_fail(err, QN_ELIMIT, "bm25(): over %d fields", QN_SLOT_FIELDS_MAX);
    qn_slot_field *f = &slot->fields[slot->field_count];
    *f = (qn_slot_field){.field = field};
    QN_TRY(qn_match_words_of(&b->words, field, slot->index, b->arena, &f->words, err));
    *out = slot->field_count++;
    return QN_OK;
}

/* A word counts by its commonest spelling; a phrase by all spellings, as the executor
 * weighs them. */
static qn_status term_of(qn_binding *b, const qn_slot_field *f, const qn_query *query,
                         const qn_bm25_field *stats, float boost, qn_bm25_term *out,
                         qn_error *err)
{
    uint64_t most = 0;
    uint64_t *freqs = qn_arena_array(b->arena, query->term_count + 1, sizeof *freqs);
    if (freqs == NULL) return qn_fail(err, QN_ENOMEM, "bm25()");
    for (size_t i = 0; i < query->term_count; i++) {
        qn_term_totals totals;
        QN_TRY(qn_snapshot_term_totals(b->in->snapshot, f->field->id,
                                       query->terms[i].bytes, &totals, err));
        freqs[i] = totals.doc_count;
        if (freqs[i] > most) most = freqs[i];
    }
    float idf = query->kind == QN_QUERY_PHRASE
                    ? qn_bm25_idf_sum(stats->doc_count, freqs, query->term_count)
                    : qn_bm25_idf(stats->doc_count, most);
    qn_bm25_term_init(out, stats, boost, idf);
    return QN_OK;
}

static qn_status make_leaf(qn_binding *b, qn_slot *slot, const qn_query *query, leaf *l,
                           qn_error *err)
{
    *l = (leaf){.query = query};
    l->fields = qn_arena_array(b->arena, query->field_count + 1, sizeof *l->fields);
    if (l->fields == NULL) return qn_fail(err, QN_ENOMEM, "bm25()");
    for (size_t i = 0; i < query->field_count; i++) {
        const qn_field *field = query->fields[i].field;
        leaf_field *lf = &l->fields[l->field_count];
        if (field->type != QN_FIELD_TEXT) continue;
        QN_TRY(slot_field(b, slot, field, &lf->field, err));
        const qn_slot_field *f = &slot->fields[lf->field];
        for (lf->word = 0; lf->word < f->words.n && f->words.p[lf->word].leaf != query;)
            lf->word++;
        while (lf->word + lf->word_count < f->words.n &&
               f->words.p[lf->word + lf->word_count].leaf == query)
            lf->word_count++;
        if (lf->word_count == 0) continue;
        QN_TRY(term_of(b, f, query, &slot->bm25->stats[lf->field],
                       query->boost * query->fields[i].boost, &lf->term, err));
        l->field_count++;
    }
    return QN_OK;
}

static qn_status make_stats(qn_binding *b, qn_slot *slot, qn_error *err)
{
    struct qn_slot_bm25 *s = slot->bm25;
    s->stats = qn_arena_array(b->arena, QN_SLOT_FIELDS_MAX, sizeof *s->stats);
    s->norms = qn_arena_array(b->arena, QN_SLOT_FIELDS_MAX, sizeof *s->norms);
    s->leaves = qn_arena_array(b->arena, b->words.n + 1, sizeof *s->leaves);
    slot->fields = qn_arena_array(b->arena, QN_SLOT_FIELDS_MAX, sizeof *slot->fields);
    if (s->stats == NULL || s->norms == NULL || s->leaves == NULL ||
        slot->fields == NULL)
        return qn_fail(err, QN_ENOMEM, "bm25()");
    /* Fields are met in this order again when leaves are made. */
    for (size_t w = 0; w < b->words.n; w++) {
        const qn_query *query = b->words.p[w].leaf;
        if (query->index != slot->index) continue;
        for (size_t i = 0; i < query->field_count; i++) {
            size_t at = 0;
            if (query->fields[i].field->type != QN_FIELD_TEXT) continue;
            QN_TRY(slot_field(b, slot, query->fields[i].field, &at, err));
            qn_field_totals t =
                qn_snapshot_field_totals(b->in->snapshot, query->fields[i].field->id);
            qn_bm25_field_init(&s->stats[at], 1.2f, 0.75f, t.token_count, t.doc_count);
        }
    }
    return QN_OK;
}

bool qn_slot_bm25_is_text_score(const qn_slot *slot)
{
    return slot->bm25->is_text_score;
}

qn_status qn_slot_bm25_make(qn_binding *b, qn_slot *slot, qn_error *err)
{
    slot->bm25 = qn_arena_new(b->arena, sizeof *slot->bm25);
    if (slot->bm25 == NULL) return qn_fail(err, QN_ENOMEM, "bm25()");
    struct qn_slot_bm25 *s = slot->bm25;
    s->norms_segment = SIZE_MAX;
    s->is_text_score = is_text_score(b, slot->index);
    if (s->is_text_score) return QN_OK;
    QN_TRY(make_stats(b, slot, err));
    const qn_query *last = NULL;
    for (size_t w = 0; w < b->words.n; w++) {
        const qn_query *query = b->words.p[w].leaf;
        if (query->index != slot->index || query == last) continue;
        last = query;
        QN_TRY(make_leaf(b, slot, query, &s->leaves[s->leaf_count++], err));
    }
    return QN_OK;
}

/* Places where all words of a phrase stand at their distances. Words and terms are in the
 * same order; a word has a term a spelling. */
static float phrase_count(const qn_query *query, const qn_match_word *words,
                          const qn_match_term *terms, size_t n)
{
    uint32_t count = 0, places[QN_FEATURE_TERMS_MAX];
    size_t at[QN_FEATURE_TERMS_MAX] = {0};
    for (size_t i = 0, t = 0; i < n; t += words[i++].spelling_count) {
        if (terms[i].positions == NULL) return 0;
        places[i] = query->terms[t].position;
    }
    for (uint32_t first = 0; first < terms[0].count; first++) {
        uint32_t start = terms[0].positions[first] - places[0];
        bool all = true;
        for (size_t i = 1; i < n && all; i++) {
            uint32_t wanted = start + places[i];
            while (at[i] < terms[i].count && terms[i].positions[at[i]] < wanted)
                at[i]++;
            all = at[i] < terms[i].count && terms[i].positions[at[i]] == wanted;
        }
        count += all;
    }
    return (float)count;
}

static qn_status read_norms(qn_binding *b, qn_slot *slot, qn_error *err)
{
    struct qn_slot_bm25 *s = slot->bm25;
    if (s->norms_segment == b->segment) return QN_OK;
    for (size_t f = 0; f < slot->field_count; f++)
        QN_TRY(qn_segment_norms(b->in->snapshot->segments[b->segment].segment,
                                slot->fields[f].field->id, &s->norms[f], err));
    s->norms_segment = b->segment;
    return QN_OK;
}

static double text_fact(const qn_binding *b, uint32_t doc)
{
    if (b->facts == NULL || b->facts->text == NULL) return 0;
    size_t low = 0, high = b->doc_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->docs[middle] < doc)
            low = middle + 1;
        else
            high = middle;
    }
    bool found =
        low < b->doc_count && b->docs[low] == doc && !isnan(b->facts->text[low]);
    return found ? (double)b->facts->text[low] : 0;
}

qn_status qn_slot_bm25_value(qn_binding *b, qn_slot *slot, uint32_t doc, double *out,
                             qn_error *err)
{
    struct qn_slot_bm25 *s = slot->bm25;
    qn_match_view views[QN_SLOT_FIELDS_MAX];
    /* HA3's own plug-in keeps the factor that orders nothing. */
    float scale = slot->kind == QN_SLOT_BM25_PLAIN ? 2.2F : 1.0F;
    *out = 0;
    if (s->is_text_score) {
        *out = (double)(scale * (float)text_fact(b, doc));
        return QN_OK;
    }
    QN_TRY(read_norms(b, slot, err));
    QN_TRY(qn_slot_walks(b, slot, doc, true, err));
    for (size_t f = 0; f < slot->field_count; f++)
        QN_TRY(qn_match_walk_to(slot->fields[f].walk, doc, &views[f], err));
    double sum = 0;
    for (size_t l = 0; l < s->leaf_count; l++) {
        float best = 0;
        for (size_t i = 0; i < s->leaves[l].field_count; i++) {
            const leaf_field *lf = &s->leaves[l].fields[i];
            const qn_match_term *terms = views[lf->field].terms + lf->word;
            bool phrase = s->leaves[l].query->kind == QN_QUERY_PHRASE;
            float freq = phrase
                             ? phrase_count(s->leaves[l].query,
                                            slot->fields[lf->field].words.p + lf->word,
                                            terms, lf->word_count)
                             : (float)terms[0].frequency;
            uint8_t norm = s->norms[lf->field] == NULL ? 1 : s->norms[lf->field][doc];
            if (freq > 0) best = fmaxf(best, qn_bm25_score(&lf->term, freq, norm));
        }
        sum += (double)best;
    }
    *out = (double)(scale * (float)sum);
    return QN_OK;
}
