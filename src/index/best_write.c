/* SPDX-License-Identifier: Apache-2.0 */
/* The best documents of a frequent term, and what bounds those left out; read back by
 * postings_best.c. The choice is by score under the segment's own statistics; whether it
 * holds under others is seen when it is read. */
#include "index/list_bounds.h"
#include "index/packing.h"

#include <stdlib.h>

enum { BEST_LEAST = 64, BEST_MOST = 1024, BEST_SHARE = 32 };

typedef struct best {
    float key; /* freq * inverse[norm]: the score grows with it */
    uint32_t doc, freq;
    uint8_t norm;
} best;

/* Is x worse than y? */
static bool worse(const best *x, const best *y)
{
    return x->key != y->key ? x->key < y->key : x->doc > y->doc;
}

static int compare(const void *a, const void *b)
{
    return worse(a, b) ? 1 : worse(b, a) ? -1 : 0;
}

static best best_of(const postings_list *l, size_t i)
{
    uint8_t norm = l->norms[l->docs[i]];
    return (best){(float)l->freqs[i] * l->inverse[norm], l->docs[i], l->freqs[i], norm};
}

/* A heap with the worst on top takes the n best. */
static void sift(best *heap, size_t n, best x)
{
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && worse(&heap[child + 1], &heap[child])) child++;
        if (!worse(&heap[child], &x)) break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

static void choose(const postings_list *l, best *heap, size_t n)
{
    for (size_t i = 0; i < n; i++) heap[i] = best_of(l, i);
    qsort(heap, n, sizeof *heap, compare);
    for (size_t i = 0; i < n / 2; i++) { /* worst first: a heap */
        best x = heap[i];
        heap[i] = heap[n - 1 - i];
        heap[n - 1 - i] = x;
    }
    for (size_t i = n; i < l->doc_count; i++) {
        best x = best_of(l, i);
        if (worse(&heap[0], &x)) sift(heap, n, x);
    }
    qsort(heap, n, sizeof *heap, compare);
}

/* ---- what is left out -------------------------------------------------------------- */

typedef struct left_out {
    list_pair pair;
    uint32_t doc; /* the first with exactly this pair; 0: none below is excluded */
} left_out;

enum { LEFT_MOST = 512 };

/* Pairs that no document left out beats, with their first document: where scores tie,
 * the order of documents decides. All those below, in a second row, without one. */
static size_t frontier_of(const postings_list *l, const best *last, left_out *out)
{
    list_bounds first, second;
    list_pair pairs[256];
    uint16_t place[256]; /* by code: in the first row, from 1 on */
    size_t n = 0;
    qn_list_bounds__reset(&first);
    qn_list_bounds__reset(&second);
    memset(place, 0, sizeof place);
    for (size_t i = 0; i < l->doc_count; i++) {
        best x = best_of(l, i);
        if (worse(last, &x) || x.doc == last->doc) continue;
        qn_list_bounds__add(&first, l, i, 1);
    }
    size_t row = qn_list_bounds__frontier(&first, pairs);
    for (; n < row; n++) {
        out[n] = (left_out){pairs[n], UINT32_MAX};
        place[pairs[n].freq] = (uint16_t)(n + 1);
    }
    for (size_t i = 0; i < l->doc_count; i++) {
        best x = best_of(l, i);
        if (worse(last, &x) || x.doc == last->doc) continue;
        size_t at = place[qn_freq__code(x.freq)];
        if (at == 0 || out[at - 1].pair.norm != x.norm)
            qn_list_bounds__add(&second, l, i, 1);
        else if (x.doc < out[at - 1].doc)
            out[at - 1].doc = x.doc;
    }
    row = qn_list_bounds__frontier(&second, pairs);
    for (size_t i = 0; i < row; i++) out[n++] = (left_out){pairs[i], 0};
    return n;
}

/* ---- bytes --------------------------------------------------------------------------- */

static void put_varint(qn_buf *out, uint64_t v)
{
    uint8_t bytes[10];
    qn_buf_add(out, bytes, qn_varint_put(bytes, v));
}

/* Documents with the same frequency and norm stand together. */
static void put_runs(const best *b, size_t n, qn_buf *out)
{
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && b[i + run].freq == b[i].freq &&
                      b[i + run].norm == b[i].norm;)
            run++;
        put_varint(out, b[i].freq);
        qn_buf_add_char(out, (char)b[i].norm);
        put_varint(out, run);
    }
}

qn_status qn_best__put(const postings_list *l, qn_buf *out, qn_error *err)
{
    best chosen[BEST_MOST];
    left_out left[LEFT_MOST];
    size_t n = l->doc_count / BEST_SHARE;
    if (n < BEST_LEAST) n = BEST_LEAST;
    if (n > BEST_MOST) n = BEST_MOST;
    choose(l, chosen, n);
    size_t left_n = frontier_of(l, &chosen[n - 1], left);
    put_varint(out, n);
    put_varint(out, left_n);
    for (size_t i = 0; i < left_n; i++) {
        qn_buf_add_char(out, (char)left[i].pair.freq);
        qn_buf_add_char(out, (char)left[i].pair.norm);
        put_varint(out, left[i].doc);
    }
    put_runs(chosen, n, out);
    size_t width = BEST_WIDTH(l->doc_limit);
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[4];
        qn_store32(bytes, chosen[i].doc);
        qn_buf_add(out, bytes, width);
    }
    return out->failed ? qn_fail(err, QN_ENOMEM, "postings") : QN_OK;
}
