/* SPDX-License-Identifier: Apache-2.0 */
/* unigram.c -- the cut of a text whose pieces' scores have the greatest sum.
 *
 * The forward pass of SentencePiece's EncodeOptimized and of the crate `tokenizers`: for
 * each character border the best way to it; a later way replaces an earlier one only when
 * it is strictly better. In float the sums are rounded as the C++ library rounds them,
 * which decides ties. */
#include "text/subword.h"

/* The best way to a border: where its last piece began, and which it is. */
typedef struct way {
    double score;
    uint32_t start, id; /* start UINT32_MAX: no way yet */
} way;

static void offer(const qn_unigram *u, way *w, double score, uint32_t start,
                  uint32_t id)
{
    if (u->in_float) score = (double)(float)score;
    if (w->start == UINT32_MAX || score > w->score) *w = (way){score, start, id};
}

static size_t char_length(const char *p)
{
    size_t length;
    (void)qn_utf8_get(p, &length);
    return length;
}

/* Ways over the pieces that begin at byte `at`. */
static void extend(const qn_unigram *u, qn_slice text, size_t at, way *ways)
{
    double before = ways[at].score;
    size_t one = char_length(text.p + at);
    bool single = false;
    uint32_t node = QN_TRIE_ROOT, id;
    for (size_t i = at; i < text.n; i++) {
        if (!qn_piece_trie_step(u->trie, &node, (uint8_t)text.p[i], &id)) break;
        if (id == QN_TRIE_DEAD) continue;
        size_t length = i + 1 - at;
        double score = u->user != NULL && u->user[id]
                           ? (double)((float)length * (float)u->user_score - 0.1f)
                           : u->scores[id];
        offer(u, &ways[i + 1], score + before, (uint32_t)at, id);
        if (length == one) single = true;
    }
    if (single) return;
    offer(u, &ways[at + one], u->unknown_score + before, (uint32_t)at, u->unk);
}

qn_status qn_unigram_cut_text(const qn_unigram *u, qn_slice text, qn_arena *arena,
                              qn_unigram_cut **out, size_t *n, qn_error *err)
{
    *n = 0;
    *out = NULL;
    way *ways = qn_arena_raw(arena, text.n + 1, sizeof *ways);
    if (ways == NULL) return qn_fail(err, QN_ENOMEM, "out of memory for a text");
    for (size_t i = 0; i <= text.n; i++) ways[i] = (way){0, UINT32_MAX, 0};
    for (size_t at = 0; at < text.n; at += char_length(text.p + at))
        extend(u, text, at, ways);
    for (size_t at = text.n; at > 0; at = ways[at].start) ++*n;
    qn_unigram_cut *cuts = qn_arena_raw(arena, *n + 1, sizeof *cuts);
    if (cuts == NULL) return qn_fail(err, QN_ENOMEM, "out of memory for a text");
    size_t left = *n;
    for (size_t at = text.n; at > 0; at = ways[at].start)
        cuts[--left] = (qn_unigram_cut){ways[at].start, (uint32_t)at, ways[at].id};
    *out = cuts;
    return QN_OK;
}
