/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models/attribute_units.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* Bytes of the blank at the front; 0: there is none. */
static size_t blank_size(qn_slice s)
{
    if (s.n > 0 && is_blank(s.p[0])) return 1;
    if (s.n > 1 && memcmp(s.p, "\xC2\xA0", 2) == 0) return 2; /* no-break space */
    if (s.n > 2 && memcmp(s.p, "\xE3\x80\x80", 3) == 0)
        return 3; /* ideographic space */
    return 0;
}

typedef struct finder {
    qn_slice text;
    const qn_pieces *pieces;
    size_t at; /* the first piece that may still overlap */
    qn_unit *out;
    size_t count;
} finder;

static void add_unit(finder *f, size_t start, size_t end, bool word)
{
    qn_unit u = {.start = (uint32_t)start, .end = (uint32_t)end, .word = word};
    const qn_pieces *p = f->pieces;
    while (f->at < p->n && p->end[f->at] <= start) f->at++;
    for (size_t i = f->at; i < p->n && p->start[i] < end; i++) u.tokens++;
    f->out[f->count++] = u;
}

/* What is no blank between two words. */
static void add_gap(finder *f, size_t begin, size_t end)
{
    size_t start = begin, i = begin;
    while (i < end) {
        size_t blank = blank_size((qn_slice){f->text.p + i, end - i});
        if (blank > 0 && i > start) add_unit(f, start, i, false);
        i += blank > 0 ? blank : 1;
        if (blank > 0) start = i;
    }
    if (end > start) add_unit(f, start, end, false);
}

qn_status qn_units_find(const qn_analyzers *analyzers, qn_slice text,
                        const qn_pieces *pieces, qn_arena *arena, qn_unit **out,
                        size_t *count, qn_error *err)
{
    const qn_analyzer *standard = NULL;
    qn_token_list words = {0};
    *out = NULL;
    *count = 0;
    QN_TRY(qn_analyzer_find(analyzers, QN_SLICE_LIT("standard"), &standard, err));
    QN_TRY(qn_analyzer_run(standard, text, arena, &words, err));
    /* At most one run between two blanks, and one on either side of each word. */
    size_t most = 2 * words.n + 1;
    for (size_t i = 0; i < text.n; i++)
        most += blank_size((qn_slice){text.p + i, text.n - i}) > 0;
    finder f = {.text = text, .pieces = pieces};
    f.out = qn_arena_array(arena, most, sizeof *f.out);
    if (f.out == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the words");
    size_t end = 0;
    for (size_t i = 0; i < words.n; i++) {
        const qn_token *w = &words.p[i];
        if (w->start > end) add_gap(&f, end, w->start);
        add_unit(&f, w->start, w->end, true);
        end = w->end;
    }
    if (text.n > end) add_gap(&f, end, text.n);
    *out = f.out;
    *count = f.count;
    return QN_OK;
}

/* One blank goes with what is cut out, or two would stand side by side. */
static void widen(qn_slice text, size_t *start, size_t *end)
{
    bool free_before = *start == 0 || is_blank(text.p[*start - 1]);
    if (free_before && *end < text.n && is_blank(text.p[*end]))
        ++*end;
    else if (*end == text.n && *start > 0 && is_blank(text.p[*start - 1]))
        --*start;
}

qn_slice qn_units_without(qn_slice text, const qn_unit *units, size_t count,
                          qn_slice mask, qn_arena *arena)
{
    size_t start = units[0].start, end = units[count - 1].end;
    size_t masks = mask.n > 0 ? count * (mask.n + 1) - 1 : 0;
    if (mask.n == 0) widen(text, &start, &end);
    size_t n = start + masks + (text.n - end), at = start;
    char *p = qn_arena_new(arena, n + 1);
    if (p == NULL) return (qn_slice){NULL, 0};
    memcpy(p, text.p, start);
    for (size_t i = 0; masks > 0 && i < count; i++) {
        if (i > 0) p[at++] = ' ';
        memcpy(p + at, mask.p, mask.n);
        at += mask.n;
    }
    memcpy(p + at, text.p + end, text.n - end);
    p[n] = '\0';
    return (qn_slice){p, n};
}
