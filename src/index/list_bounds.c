/* SPDX-License-Identifier: Apache-2.0 */
#include "index/list_bounds.h"

#include "index/packing.h"

void qn_list_bounds__reset(list_bounds *b)
{
    b->limit = 0;
}

static void reach(list_bounds *b, unsigned limit)
{
    for (; b->limit < limit; b->limit++) b->norm[b->limit] = NORM_NONE;
}

void qn_list_bounds__add(list_bounds *b, const postings_list *l, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        uint8_t code = l->freqs == NULL ? 1 : qn_freq__code(l->freqs[i]);
        uint8_t norm = l->norms == NULL ? 1 : l->norms[l->docs[i]];
        if (code >= b->limit) reach(b, code + 1u);
        if (norm < b->norm[code]) b->norm[code] = norm;
    }
}

void qn_list_bounds__add_all(list_bounds *b, const list_bounds *other)
{
    reach(b, other->limit);
    for (unsigned c = 0; c < other->limit; c++)
        if (other->norm[c] < b->norm[c]) b->norm[c] = other->norm[c];
}

size_t qn_list_bounds__frontier(const list_bounds *b, list_pair *out)
{
    size_t n = 0;
    unsigned shortest = NORM_NONE;
    for (unsigned c = b->limit; c-- > 0;) {
        if (b->norm[c] >= shortest) continue;
        shortest = b->norm[c];
        out[n++] = (list_pair){(uint8_t)c, (uint8_t)shortest};
    }
    return n;
}

size_t qn_list_bounds__pairs(const list_bounds *b, const float *inverse, size_t most,
                             list_pair *out)
{
    list_pair all[256];
    size_t n = qn_list_bounds__frontier(b, all);
    while (n > most) {
        size_t best = 0;
        float least = 0;
        for (size_t i = 0; i + 1 < n; i++) { /* i has the frequency, i + 1 the length */
            float score = (float)qn_freq__most(all[i].freq) * inverse[all[i + 1].norm];
            if (i > 0 && score >= least) continue;
            least = score;
            best = i;
        }
        all[best].norm = all[best + 1].norm;
        memmove(all + best + 1, all + best + 2, (n - best - 2) * sizeof *all);
        n--;
    }
    memcpy(out, all, n * sizeof *all);
    return n;
}
