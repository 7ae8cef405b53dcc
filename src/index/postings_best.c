/* SPDX-License-Identifier: Apache-2.0 */
/* The best documents of a frequent term, as best_write.c chose them. */
#include "index/postings_internal.h"

enum { ENTRIES_MAX = 65536, LEFT_MAX = 512 };

typedef struct reader {
    const uint8_t *at, *limit; /* at NULL: broken */
} reader;

static uint32_t get_varint(reader *r, uint64_t most)
{
    uint64_t v = 0;
    if (r->at != NULL) r->at = qn_varint_get(r->at, r->limit, &v);
    if (v > most) r->at = NULL;
    return r->at == NULL ? 0 : (uint32_t)v;
}

static uint8_t get_byte(reader *r)
{
    if (r->at == r->limit) r->at = NULL;
    return r->at == NULL ? 0 : *r->at++;
}

static void get_left_out(reader *r, qn_postings_entry *out, size_t n)
{
    for (size_t i = 0; i < n && r->at != NULL; i++) {
        uint8_t code = get_byte(r), norm = get_byte(r);
        uint32_t doc = get_varint(r, QN_DOC_END - 1);
        if (code == 0) r->at = NULL;
        out[i] = (qn_postings_entry){doc, qn_freq__most(code), norm};
    }
}

/* The first `most` of n entries: runs of equal frequency and length, then all documents,
 * which end where the list does. */
static void get_entries(reader *r, const qn_postings *p, qn_postings_entry *out,
                        size_t n, size_t most)
{
    size_t width = BEST_WIDTH(p->doc_limit);
    if (r->at == NULL || (size_t)(r->limit - r->at) < n * width) {
        r->at = NULL;
        return;
    }
    const uint8_t *docs = r->limit - n * width;
    r->limit = docs;
    for (size_t i = 0; i < most && r->at != NULL;) {
        uint32_t freq = get_varint(r, UINT32_MAX);
        uint8_t norm = r->at == NULL ? 0 : get_byte(r);
        uint32_t run = get_varint(r, n - i);
        if (freq == 0 || run == 0) r->at = NULL;
        for (uint32_t k = 0; k < run && i < most && r->at != NULL; k++, i++)
            out[i] = (qn_postings_entry){0, freq, norm};
    }
    if (r->at == NULL || (most == n && r->at != docs)) {
        r->at = NULL;
        return;
    }
    for (size_t i = 0; i < most; i++) {
        uint32_t doc = 0;
        for (size_t k = 0; k < width; k++)
            doc |= (uint32_t)docs[i * width + k] << (8 * k);
        if (doc >= p->doc_limit) r->at = NULL;
        out[i].doc = doc;
    }
}

qn_status qn_postings_best_some(const qn_postings *p, qn_arena *arena, size_t most,
                                qn_postings_top *out, qn_error *err)
{
    *out = (qn_postings_top){0};
    if (p->whole || p->data_end == p->list_end) return QN_OK;
    reader r = {p->data_end, p->list_end};
    size_t n = get_varint(&r, ENTRIES_MAX), left = get_varint(&r, LEFT_MAX);
    if (r.at == NULL || n > p->doc_count)
        return qn_postings__corrupt(p, p->data_end, "broken best documents", err);
    if (most > n) most = n;
    qn_postings_entry *all = qn_arena_raw(arena, most + left + 1, sizeof *all);
    if (all == NULL) return qn_fail(err, QN_ENOMEM, "the best documents of a term");
    get_left_out(&r, all + most, left);
    get_entries(&r, p, all, n, most);
    if (r.at == NULL)
        return qn_postings__corrupt(p, p->data_end, "broken best documents", err);
    *out = (qn_postings_top){all, all + most, most, left, n};
    return QN_OK;
}

qn_status qn_postings_best(const qn_postings *p, qn_arena *arena, qn_postings_top *out,
                           qn_error *err)
{
    return qn_postings_best_some(p, arena, SIZE_MAX, out, err);
}
