/* SPDX-License-Identifier: Apache-2.0 */
/* bpe.c -- byte pair encoding: of all neighbours the pair of the lowest rank is joined, the
 * leftmost first, until no rule applies.
 *
 * Rules stand in a table by both ids. A heap holds the pairs that may be joined; entries
 * whose symbols have changed meanwhile are dropped when they come up. */
#include "text/subword.h"

typedef struct rule {
    uint32_t left, right, merged, rank; /* merged QN_TRIE_DEAD: free */
} rule;

struct qn_bpe_merges {
    qn_alloc *alloc;
    rule *rules;
    size_t mask;
};

static size_t slot_of(uint32_t left, uint32_t right, size_t mask)
{
    uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(h >> 32) & mask;
}

/* Of equal pairs the last rule counts, as in the reference. */
qn_status qn_bpe_merges_create(qn_alloc *a, const qn_bpe_merge *list, size_t n,
                               qn_bpe_merges **out, qn_error *err)
{
    *out = NULL;
    qn_bpe_merges *m = qn_new0(a, sizeof *m);
    size_t slots = 64;
    while (slots < n * 2) slots *= 2;
    if (m != NULL) {
        m->alloc = a;
        m->rules = qn_new_array(a, slots, sizeof *m->rules);
    }
    if (m == NULL || m->rules == NULL) {
        qn_bpe_merges_destroy(m);
        return qn_fail(err, QN_ENOMEM, "out of memory for merges");
    }
    m->mask = slots - 1;
    for (size_t i = 0; i < slots; i++) m->rules[i].merged = QN_TRIE_DEAD;
    for (size_t i = 0; i < n; i++) {
        size_t s = slot_of(list[i].left, list[i].right, m->mask);
        while (m->rules[s].merged != QN_TRIE_DEAD &&
               (m->rules[s].left != list[i].left || m->rules[s].right != list[i].right))
            s = (s + 1) & m->mask;
        m->rules[s] = (rule){list[i].left, list[i].right, list[i].merged, (uint32_t)i};
    }
    *out = m;
    return QN_OK;
}

void qn_bpe_merges_destroy(qn_bpe_merges *m)
{
    if (m == NULL) return;
    qn_delete(m->alloc, m->rules);
    qn_delete(m->alloc, m);
}

static const rule *find_rule(const qn_bpe_merges *m, uint32_t left, uint32_t right)
{
    for (size_t s = slot_of(left, right, m->mask);; s = (s + 1) & m->mask) {
        const rule *r = &m->rules[s];
        if (r->merged == QN_TRIE_DEAD) return NULL;
        if (r->left == left && r->right == right) return r;
    }
}

/* A pair that may be joined: symbol `at` and the one after it. */
typedef struct candidate {
    uint32_t rank, at, merged;
} candidate;

typedef struct merger {
    const qn_bpe_merges *rules;
    qn_bpe_symbol *symbols;
    uint32_t *next, *before; /* [n]; UINT32_MAX at the ends */
    candidate *heap;
    size_t heap_count;
} merger;

static bool sooner(candidate a, candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void heap_push(merger *g, candidate c)
{
    size_t i = g->heap_count++;
    for (; i > 0 && sooner(c, g->heap[(i - 1) / 2]); i = (i - 1) / 2)
        g->heap[i] = g->heap[(i - 1) / 2];
    g->heap[i] = c;
}

static candidate heap_pop(merger *g)
{
    candidate top = g->heap[0], last = g->heap[--g->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= g->heap_count) break;
        if (child + 1 < g->heap_count && sooner(g->heap[child + 1], g->heap[child]))
            child++;
        if (!sooner(g->heap[child], last)) break;
        g->heap[i] = g->heap[child];
        i = child;
    }
    g->heap[i] = last;
    return top;
}

static void consider(merger *g, uint32_t at)
{
    if (at == UINT32_MAX || g->next[at] == UINT32_MAX) return;
    const rule *r = find_rule(g->rules, g->symbols[at].id, g->symbols[g->next[at]].id);
    if (r != NULL) heap_push(g, (candidate){r->rank, at, r->merged});
}

/* Whether a candidate still is what the symbols say; a joined symbol has start == end. */
static bool current(const merger *g, candidate c)
{
    const qn_bpe_symbol *left = &g->symbols[c.at];
    if (left->start == left->end || g->next[c.at] == UINT32_MAX) return false;
    const rule *r = find_rule(g->rules, left->id, g->symbols[g->next[c.at]].id);
    return r != NULL && r->merged == c.merged;
}

static void join(merger *g, candidate c)
{
    uint32_t gone = g->next[c.at];
    g->symbols[c.at].id = c.merged;
    g->symbols[c.at].end = g->symbols[gone].end;
    g->symbols[gone].start = g->symbols[gone].end;
    g->next[c.at] = g->next[gone];
    if (g->next[gone] != UINT32_MAX) g->before[g->next[gone]] = c.at;
    consider(g, g->before[c.at]);
    consider(g, c.at);
}

qn_status qn_bpe_merge_all(const qn_bpe_merges *m, qn_bpe_symbol *symbols, size_t *n,
                           qn_arena *arena, qn_error *err)
{
    size_t count = *n;
    if (count < 2) return QN_OK;
    /* Each join offers two pairs at most. */
    merger g = {.rules = m, .symbols = symbols};
    g.next = qn_arena_raw(arena, count, 2 * sizeof *g.next);
    g.heap = qn_arena_raw(arena, 3 * count, sizeof *g.heap);
    if (g.next == NULL || g.heap == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for a text");
    g.before = g.next + count;
    for (uint32_t i = 0; i < count; i++) {
        g.next[i] = i + 1 < count ? i + 1 : UINT32_MAX;
        g.before[i] = i > 0 ? i - 1 : UINT32_MAX;
    }
    for (uint32_t i = 0; i < count; i++) consider(&g, i);
    while (g.heap_count > 0) {
        candidate c = heap_pop(&g);
        if (current(&g, c)) join(&g, c);
    }
    size_t kept = 0;
    for (uint32_t i = 0; i != UINT32_MAX; i = g.next[i]) symbols[kept++] = symbols[i];
    *n = kept;
    return QN_OK;
}
