/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

enum { LENGTH_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned qn_edit_distance(qn_slice a, qn_slice b, unsigned most)
{
    if (qn_slice_eq(a, b)) return 0;
    if (a.n > LENGTH_MAX || b.n > LENGTH_MAX) return most + 1;

    /* Three rows of the usual table: two back for the swap. */
    unsigned rows[3][LENGTH_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b.n; j++) last[j] = before[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned differ = a.p[i - 1] != b.p[j - 1];
            unsigned d =
                least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + differ);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                d = least(d, before[j - 2] + 1);
            row[j] = d;
        }
        unsigned *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return least(last[b.n], most + 1);
}

qn_nearest qn_nearest_begin(qn_slice wanted)
{
    unsigned most = (unsigned)(wanted.n > 9 ? 3 : wanted.n < 4 ? 1 : wanted.n / 3);
    return (qn_nearest){.wanted = wanted, .distance = most + 1};
}

void qn_nearest_offer(qn_nearest *n, qn_slice name)
{
    if (n->distance == 0) return;
    unsigned d = qn_edit_distance(n->wanted, name, n->distance - 1);
    if (d >= n->distance) return;
    n->distance = d;
    n->best = name;
}
