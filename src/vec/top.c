/* SPDX-License-Identifier: Apache-2.0 */
#include "vec/top.h"

void qn_top_init(qn_top *t, qn_vec_hit *hits, size_t k, float least)
{
    *t = (qn_top){.hits = hits, .k = k, .least = least};
}

static bool worse(qn_vec_hit a, qn_vec_hit b)
{
    if (a.value != b.value) return a.value < b.value;
    return a.doc > b.doc;
}

/* Sinks `hit` from the front into hits[0, n), where the front is free. */
static void sink(qn_vec_hit *hits, size_t n, qn_vec_hit hit)
{
    size_t at = 0;
    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && worse(hits[child + 1], hits[child])) child++;
        if (!worse(hits[child], hit)) break;
        hits[at] = hits[child];
        at = child;
    }
    hits[at] = hit;
}

void qn_top__push(qn_top *t, uint32_t doc, float key)
{
    qn_vec_hit hit = {.doc = doc, .value = key};
    if (t->n == t->k) {
        if (t->k == 0 || !worse(t->hits[0], hit)) return;
        sink(t->hits, t->n, hit);
    } else {
        size_t at = t->n++;
        for (; at > 0 && worse(hit, t->hits[(at - 1) / 2]); at = (at - 1) / 2)
            t->hits[at] = t->hits[(at - 1) / 2];
        t->hits[at] = hit;
    }
    if (t->n == t->k) t->least = t->hits[0].value;
}

size_t qn_top_finish(qn_top *t)
{
    for (size_t n = t->n; n > 1; n--) {
        qn_vec_hit worst = t->hits[0];
        sink(t->hits, n - 1, t->hits[n - 1]);
        t->hits[n - 1] = worst;
    }
    return t->n;
}
