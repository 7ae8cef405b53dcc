/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_tokens.c -- a text in windows of a model's own tokens.
 *
 * Windows begin and end at blanks where there are any, since words do not cross them: the
 * tokens of a window's text are then the window's tokens. */
#include "text/chunk_internal.h"

#include "text/tokenizer.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Does a word begin with this piece? */
static bool begins_word(qn_slice text, const qn_pieces *p, size_t i)
{
    uint32_t at = p->start[i];
    return at == 0 || is_blank(text.p[at - 1]) || is_blank(text.p[at]);
}

/* A border of characters even where one character is several pieces. */
static bool may_cut(qn_slice text, const qn_pieces *p, size_t i)
{
    return p->start[i] >= p->end[i - 1] &&
           ((unsigned char)text.p[p->start[i]] & 0xC0) != 0x80;
}

/* The last place in (from, at] where a word begins; without one, where a cut can be, also
 * behind `at`. */
static size_t back_to_word(qn_slice text, const qn_pieces *p, size_t from, size_t at)
{
    for (size_t i = at; i > from + 1; i--)
        if (begins_word(text, p, i)) return i;
    for (size_t i = at; i > from + 1; i--)
        if (may_cut(text, p, i)) return i;
    while (at < p->n && !may_cut(text, p, at)) at++;
    return at;
}

static qn_status cut_windows(qn_chunker *c, const qn_pieces *p)
{
    size_t size = c->settings->size, overlap = c->settings->overlap, first = 0;
    if (size == 0 || size > c->room) size = c->room;
    if (size == 0) size = 1;
    if (overlap > size / 2) overlap = size / 2;
    while (p->n - first > size) {
        size_t last = back_to_word(c->text, p, first, first + size);
        uint32_t start = first == 0 ? 0 : p->start[first];
        if (last == p->n) break;
        QN_TRY(qn_chunk__add(c, start, p->start[last]));
        size_t next = last;
        if (overlap > 0 && last - first > overlap)
            next = back_to_word(c->text, p, first, last - overlap);
        first = next;
    }
    return qn_chunk__add(c, first == 0 ? 0 : p->start[first], (uint32_t)c->text.n);
}

qn_status qn_chunk__tokens(qn_chunker *c)
{
    qn_arena arena;
    qn_pieces p = {0};
    qn_arena_init(&arena, c->alloc, 0);
    qn_status st = qn_tokenizer_encode(c->tokenizer, c->text, QN_TOKENIZE_PLAIN, &arena,
                                       &p, c->err);
    if (st == QN_OK) st = cut_windows(c, &p);
    qn_arena_deinit(&arena);
    return st;
}
