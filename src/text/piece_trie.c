/* SPDX-License-Identifier: Apache-2.0 */
/* piece_trie.c -- the pieces of a vocabulary as a trie of bytes.
 *
 * Made from the sorted pieces, level by level: the children of a node lie side by side in
 * the order of their bytes. The root's are found by a table, the others by looking through
 * them: most nodes have one or two. */
#include "text/subword.h"

#include <stdlib.h>

typedef struct node {
    uint32_t child; /* the first of `count` */
    uint32_t id;    /* QN_TRIE_DEAD: no piece ends here */
    uint16_t count;
    uint8_t byte;
} node;

struct qn_piece_trie {
    qn_alloc *alloc;
    node *nodes;
    size_t count, capacity;
    uint32_t root[256]; /* the child for a byte, or QN_TRIE_DEAD */
};

typedef struct entry {
    qn_slice text;
    uint32_t id;
} entry;

/* By text; of equal ones the last id first. */
static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = qn_slice_compare(x->text, y->text);
    return order != 0 ? order : (x->id < y->id) - (x->id > y->id);
}

static bool push_node(qn_piece_trie *t, uint8_t byte)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity == 0 ? 1024 : t->capacity * 2;
        node *p = capacity >= QN_TRIE_DEAD
                      ? NULL
                      : qn_resize(t->alloc, t->nodes, capacity * sizeof *p);
        if (p == NULL) return false;
        t->nodes = p;
        t->capacity = capacity;
    }
    t->nodes[t->count++] = (node){0, QN_TRIE_DEAD, 0, byte};
    return true;
}

/* Entries [start, end) share `depth` bytes and hang under a node. */
typedef struct range {
    size_t start, end, depth;
} range;

/* The children of node `at`; ranges[i] belongs to node i. */
static bool add_children(qn_piece_trie *t, const entry *entries, range *ranges,
                         size_t at, size_t limit)
{
    range r = ranges[at];
    size_t i = r.start;
    while (i < r.end && entries[i].text.n == r.depth) {
        if (t->nodes[at].id == QN_TRIE_DEAD) t->nodes[at].id = entries[i].id;
        i++;
    }
    t->nodes[at].child = (uint32_t)t->count;
    while (i < r.end) {
        uint8_t byte = (uint8_t)entries[i].text.p[r.depth];
        size_t end = i + 1;
        while (end < r.end && (uint8_t)entries[end].text.p[r.depth] == byte) end++;
        if (t->count >= limit || !push_node(t, byte)) return false;
        t->nodes[at].count++;
        ranges[t->count - 1] = (range){i, end, r.depth + 1};
        i = end;
    }
    return true;
}

static qn_status build(qn_piece_trie *t, const entry *entries, size_t n, size_t bytes,
                       qn_error *err)
{
    /* A node for each byte of each piece at most, and the root. */
    size_t limit = bytes + 1;
    range *ranges = qn_new_array(t->alloc, limit, sizeof *ranges);
    bool done = ranges != NULL && push_node(t, 0);
    if (done) ranges[0] = (range){0, n, 0};
    for (size_t at = 0; done && at < t->count; at++)
        done = add_children(t, entries, ranges, at, limit);
    qn_delete(t->alloc, ranges);
    if (!done) return qn_fail(err, QN_ENOMEM, "out of memory for a vocabulary");
    for (size_t b = 0; b < 256; b++) t->root[b] = QN_TRIE_DEAD;
    for (uint32_t i = 0; i < t->nodes[0].count; i++)
        t->root[t->nodes[t->nodes[0].child + i].byte] = t->nodes[0].child + i;
    return QN_OK;
}

qn_status qn_piece_trie_create(qn_alloc *a, const qn_slice *pieces, const bool *skip,
                               size_t n, qn_piece_trie **out, qn_error *err)
{
    *out = NULL;
    qn_piece_trie *t = qn_new0(a, sizeof *t);
    entry *entries = qn_new_array(a, n + 1, sizeof *entries);
    qn_status st = QN_OK;
    if (t == NULL || entries == NULL) {
        st = qn_fail(err, QN_ENOMEM, "out of memory for a vocabulary");
    } else {
        t->alloc = a;
        size_t used = 0, bytes = 0;
        for (size_t i = 0; i < n; i++) {
            if (pieces[i].n == 0 || (skip != NULL && skip[i])) continue;
            entries[used++] = (entry){pieces[i], (uint32_t)i};
            bytes += pieces[i].n;
        }
        qsort(entries, used, sizeof *entries, compare_entries);
        st = build(t, entries, used, bytes, err);
    }
    qn_delete(a, entries);
    if (st != QN_OK) {
        qn_piece_trie_destroy(t);
        return st;
    }
    *out = t;
    return QN_OK;
}

void qn_piece_trie_destroy(qn_piece_trie *t)
{
    if (t == NULL) return;
    qn_delete(t->alloc, t->nodes);
    qn_delete(t->alloc, t);
}

bool qn_piece_trie_step(const qn_piece_trie *t, uint32_t *at, uint8_t byte,
                        uint32_t *id)
{
    uint32_t next = QN_TRIE_DEAD;
    if (*at == QN_TRIE_ROOT) {
        next = t->root[byte];
    } else {
        const node *n = &t->nodes[*at];
        const node *c = t->nodes + n->child;
        for (uint32_t i = 0; i < n->count && c[i].byte <= byte; i++)
            if (c[i].byte == byte) next = n->child + i;
    }
    if (next == QN_TRIE_DEAD) return false;
    *at = next;
    *id = t->nodes[next].id;
    return true;
}
