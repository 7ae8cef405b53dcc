/* SPDX-License-Identifier: Apache-2.0 */
/* ANY: several essential words that are rare: their documents are merged, the shortest
 * lists first. A window of sums would be empty nearly everywhere. */
#include "query/run_any.h"

#include <math.h>

enum {
    ROW_BLOCKS = 4, /* of a word in one piece */
    ROW = (ROW_BLOCKS + 1) * QN_POSTINGS_BLOCK,
    SPARSE = 16, /* documents to one of the words' */
};

/* Ascending documents with their sums, an end behind the last. */
struct any_row {
    uint32_t *docs;
    double *sums;
    size_t n;
};

bool qn_any__is_sparse(const any_run *a)
{
    const any_part *part = &a->parts[0];
    uint64_t docs = 0;
    if (a->part_count > 1) return false;
    for (size_t k = part->essential; k < part->n; k++) {
        if (part->clauses[k]->n > 1) return false;
        docs += part->clauses[k]->cost;
    }
    return docs * SPARSE < a->doc_count;
}

uint32_t qn_any__merge_end(const any_run *a, uint32_t base)
{
    const any_part *part = &a->parts[0];
    uint32_t end = a->outer_end;
    for (size_t k = part->essential; k < part->n; k++) {
        qn_postings *p = &part->clauses[k]->words[0]->p;
        uint32_t last = qn_postings_last_ahead(p, base, ROW_BLOCKS);
        if (last < end) end = last + 1;
    }
    return end;
}

/* ---- rows ------------------------------------------------------------------------------ */

static qn_status make_row(any_run *a, size_t room, any_row *out)
{
    qn_arena *scratch = a->r->m->scratch;
    out->n = 0;
    out->docs = qn_arena_raw(scratch, room + 1, sizeof *out->docs);
    out->sums = qn_arena_raw(scratch, room + 1, sizeof *out->sums);
    return out->docs == NULL || out->sums == NULL ? qn_any__no_memory(a) : QN_OK;
}

static size_t row_of(const any_clause *c)
{
    size_t n = (size_t)c->cost + QN_POSTINGS_BLOCK;
    return n < ROW ? n : ROW;
}

/* A row for each word, and two for what is merged. */
static qn_status need_rows(any_run *a)
{
    const any_part *part = &a->parts[0];
    size_t all = 0;
    if (a->rows != NULL) return QN_OK;
    a->rows = qn_arena_array(a->r->m->scratch, part->n + 2, sizeof *a->rows);
    if (a->rows == NULL) return qn_any__no_memory(a);
    for (size_t k = 0; k < part->n; k++) {
        size_t room = row_of(part->outer[k]);
        part->outer[k]->row = k + 2;
        QN_TRY(make_row(a, room, &a->rows[k + 2]));
        all += room;
    }
    QN_TRY(make_row(a, all, &a->rows[0]));
    return make_row(a, all, &a->rows[1]);
}

static void end_row(any_row *row)
{
    row->docs[row->n] = QN_DOC_END;
    row->sums[row->n] = 0;
}

/* The word's documents in [base, limit) but those in blocks that cannot matter: a
 * document scores `others` more at most. */
static qn_status fill_row(any_run *a, qn_word *w, uint32_t base, uint32_t limit,
                          double others, any_row *row)
{
    qn_error *err = a->r->m->err;
    row->n = 0;
    for (uint32_t at = base > w->p.doc ? base : w->p.doc; at < limit;) {
        if (a->r->pruning) {
            qn_word_look(w, at);
            if (qn_run_hopeless(a->r, w->block + others)) {
                if (w->block_last >= limit - 1) break;
                at = w->block_last + 1;
                continue;
            }
        }
        QN_TRY(qn_word_seek(w, at, err));
        if (w->p.doc >= limit) break;
        qn_word_docs *run = &a->run;
        QN_TRY(qn_word_run(w, limit, &a->r->accept, run, err));
        memcpy(row->docs + row->n, run->docs, run->n * sizeof *row->docs);
        for (size_t i = 0; i < run->n; i++)
            row->sums[row->n + i] = (double)run->scores[i];
        row->n += run->n;
        at = run->end;
    }
    end_row(row);
    return QN_OK;
}

/* The sum where `there`, else nought. */
static inline double masked(double sum, bool there)
{
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    bits &= 0 - (uint64_t)there;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

/* Without a branch on which is the lower: that cannot be foreseen. */
static void merge(const any_row *x, const any_row *y, any_row *out)
{
    const uint32_t *x_docs = x->docs, *y_docs = y->docs;
    const double *x_sums = x->sums, *y_sums = y->sums;
    uint32_t *docs = out->docs;
    double *sums = out->sums;
    size_t n = 0;
    for (uint32_t p = *x_docs, q = *y_docs; (p & q) != QN_DOC_END; n++) {
        bool in_x = p <= q, in_y = q <= p;
        docs[n] = p < q ? p : q;
        sums[n] = masked(*x_sums, in_x) + masked(*y_sums, in_y);
        p = *(x_docs += in_x);
        q = *(y_docs += in_y);
        x_sums += in_x;
        y_sums += in_y;
    }
    out->n = n;
    end_row(out);
}

/* ---- a piece ------------------------------------------------------------------------------ */

/* Those of the row that may still get in, a batch at a time. */
static qn_status take_row(any_run *a, const any_row *row)
{
    {
    }
    any_part *part = &a->parts[0];
    bool asks = qn_accept_asks(&a->r->accept);
    double need = (double)qn_any__useless(a, !asks) / QN_SUM_SLACK * (1.0 - 1e-12) -
                  part->reach[part->essential];
    for (size_t i = 0; i < row->n;) {
        size_t end = row->n - i < BATCH ? row->n : i + BATCH, kept = 0, from = i;
        for (; i < end; i++) {
            a->docs[kept] = row->docs[i];
            part->sums[kept] = row->sums[i];
            kept += row->sums[i] > need;
        }
        if (a->r->counting && !asks) a->r->c->total += end - from - kept;
        a->n = kept;
        if (kept > 0) QN_TRY(qn_any__finish(a, true));
    }
    return QN_OK;
}

qn_status qn_any__run_merge(any_run *a, uint32_t base, uint32_t limit)
{
    const any_part *part = &a->parts[0];
    any_row *rows[QN_SHAPE_CLAUSES_MAX + 1]; /* the shortest first */
    size_t n = 0;
    QN_TRY(need_rows(a));
    for (size_t k = part->essential; k < part->n; k++) {
        any_clause *c = part->clauses[k];
        any_row *row = &a->rows[c->row];
        double others = part->reach[part->n] - c->bound;
        QN_TRY(fill_row(a, c->words[0], base, limit, others, row));
        size_t i = n++;
        for (; i > 0 && rows[i - 1]->n > row->n; i--) rows[i] = rows[i - 1];
        rows[i] = row;
    }
    const any_row *all = n > 0 ? rows[0] : &a->rows[0];
    for (size_t i = 1; i < n; i++) {
        if (rows[i]->n == 0) continue;
        any_row *out = all == &a->rows[0] ? &a->rows[1] : &a->rows[0];
        merge(all, rows[i], out);
        all = out;
    }
    return take_row(a, all);
}
