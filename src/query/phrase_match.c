/* SPDX-License-Identifier: Apache-2.0 */
#include "query/phrase_match.h"

static qn_status need_room(qn_phrase *p, size_t n, qn_error *err)
{
    if (n <= p->capacity) return QN_OK;
    p->begins = qn_arena_array(p->arena, n * 2, sizeof *p->begins);
    p->capacity = p->begins == NULL ? 0 : n * 2;
    return p->begins == NULL ? qn_fail(err, QN_ENOMEM, "phrase positions") : QN_OK;
}

/* Fewest occurrences in this document first. */
static void order_places(qn_phrase *p)
{
    for (size_t i = 1; i < p->n; i++) {
        qn_phrase_place moved = p->places[i];
        size_t k = i;
        for (; k > 0 && p->places[k - 1].freq > moved.freq; k--)
            p->places[k] = p->places[k - 1];
        p->places[k] = moved;
    }
}

/* Where the phrase would begin if only this word counted. */
static size_t first_begins(qn_phrase *p, const uint32_t *positions, size_t n)
{
    uint32_t offset = p->places[0].offset;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (positions[i] < offset) continue;
        uint32_t begin = positions[i] - offset;
        if (kept > 0 && p->begins[kept - 1] == begin) continue;
        p->begins[kept++] = begin;
    }
    return kept;
}

/* Of the n beginnings those at which this word stands where it should. */
static size_t still_begins(qn_phrase *p, size_t n, uint32_t offset,
                           const uint32_t *positions, size_t count)
{
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t wanted = (uint64_t)p->begins[i] + offset;
        while (at < count && positions[at] < wanted) at++;
        if (at == count) break;
        if (positions[at] == wanted) p->begins[kept++] = p->begins[i];
    }
    return kept;
}

static qn_status reach(qn_phrase *p, uint32_t doc, qn_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        QN_TRY(qn_postings_seek(p->places[i].p, doc, err));
        QN_TRY(qn_postings_freq(p->places[i].p, &p->places[i].freq, err));
    }
    return QN_OK;
}

static qn_status sloppy_freq(qn_phrase *p, float *freq, qn_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        qn_sloppy_word *w = &p->sloppy[p->places[i].number];
        QN_TRY(qn_postings_positions(p->places[i].p, &w->positions, &w->count, err));
    }
    *freq = qn_sloppy_freq(p->sloppy, p->n, p->slop);
    return QN_OK;
}

qn_status qn_phrase_freq(qn_phrase *p, uint32_t doc, float *freq, qn_error *err)
{
    const uint32_t *positions;
    size_t count, n;
    *freq = 0;
    QN_TRY(reach(p, doc, err));
    if (p->slop > 0) return sloppy_freq(p, freq, err);
    order_places(p);
    QN_TRY(qn_postings_positions(p->places[0].p, &positions, &count, err));
    QN_TRY(need_room(p, count, err));
    n = first_begins(p, positions, count);
    for (size_t i = 1; i < p->n && n > 0; i++) {
        QN_TRY(qn_postings_positions(p->places[i].p, &positions, &count, err));
        n = still_begins(p, n, p->places[i].offset, positions, count);
    }
    *freq = (float)n;
    return QN_OK;
}

qn_status qn_phrase_freq_there(qn_phrase *p, float *freq, qn_error *err)
{
    const uint32_t *positions;
    size_t count, n;
    *freq = 0;
    order_places(p);
    QN_TRY(qn_postings_positions_at(p->places[0].p, p->places[0].spot, &positions,
                                    &count, err));
    QN_TRY(need_room(p, count, err));
    n = first_begins(p, positions, count);
    for (size_t i = 1; i < p->n && n > 0; i++) {
        const qn_phrase_place *place = &p->places[i];
        QN_TRY(
            qn_postings_positions_at(place->p, place->spot, &positions, &count, err));
        n = still_begins(p, n, place->offset, positions, count);
    }
    *freq = (float)n;
    return QN_OK;
}
