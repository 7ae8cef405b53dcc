/* SPDX-License-Identifier: Apache-2.0 */
/* subword_text.c -- texts that remember where each byte came from, and lists of cuts. */
#include "text/subword.h"

enum { TEXT_FIRST = 64, SPLITS_FIRST = 32 };

void qn_subtext_init(qn_subtext *t, qn_arena *arena)
{
    *t = (qn_subtext){.arena = arena};
}

static bool reserve(qn_subtext *t, size_t more)
{
    if (t->capacity - t->n >= more) return true;
    size_t capacity = t->capacity * 2;
    if (capacity < t->n + more) capacity = t->n + more;
    if (capacity < TEXT_FIRST) capacity = TEXT_FIRST;
    char *p = qn_arena_raw(t->arena, capacity, 1);
    uint32_t *from = qn_arena_raw(t->arena, capacity, 2 * sizeof *from);
    if (p == NULL || from == NULL) {
        t->failed = true;
        return false;
    }
    if (t->n > 0) {
        memcpy(p, t->p, t->n);
        memcpy(from, t->from, t->n * sizeof *from);
        memcpy(from + capacity, t->to, t->n * sizeof *from);
    }
    t->p = p;
    t->from = from;
    t->to = from + capacity;
    t->capacity = capacity;
    return true;
}

void qn_subtext_add(qn_subtext *t, const char *bytes, size_t n, uint32_t from,
                    uint32_t to)
{
    if (!reserve(t, n)) return;
    for (size_t i = 0; i < n; i++) {
        t->p[t->n + i] = bytes[i];
        t->from[t->n + i] = from;
        t->to[t->n + i] = to;
    }
    t->n += n;
}

void qn_subtext_copy(qn_subtext *t, const qn_subtext *other, size_t at, size_t n)
{
    if (n == 0 || !reserve(t, n)) return;
    memcpy(t->p + t->n, other->p + at, n);
    memcpy(t->from + t->n, other->from + at, n * sizeof *t->from);
    memcpy(t->to + t->n, other->to + at, n * sizeof *t->to);
    t->n += n;
}

void qn_subtext_add_original(qn_subtext *t, qn_slice original, size_t at, size_t n)
{
    if (!reserve(t, n)) return;
    for (size_t i = 0; i < n;) {
        size_t length;
        (void)qn_utf8_get(original.p + at + i, &length);
        for (size_t b = 0; b < length; b++) {
            t->p[t->n + i + b] = original.p[at + i + b];
            t->from[t->n + i + b] = (uint32_t)(at + i);
            t->to[t->n + i + b] = (uint32_t)(at + i + length);
        }
        i += length;
    }
    t->n += n;
}

void qn_subsplits_init(qn_subsplits *s, qn_arena *arena)
{
    *s = (qn_subsplits){.arena = arena};
}

void qn_subsplits_add(qn_subsplits *s, size_t start, size_t end)
{
    if (start >= end) return;
    if (s->n == s->capacity) {
        size_t capacity = s->capacity == 0 ? SPLITS_FIRST : s->capacity * 2;
        qn_subsplit *p = qn_arena_raw(s->arena, capacity, sizeof *p);
        if (p == NULL) {
            s->failed = true;
            return;
        }
        if (s->n > 0) memcpy(p, s->p, s->n * sizeof *p);
        s->p = p;
        s->capacity = capacity;
    }
    s->p[s->n++] = (qn_subsplit){start, end};
}
