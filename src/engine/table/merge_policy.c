/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/merge_policy.h"

#include "engine/engine_internal.h"

/* Bytes of the live documents, about. */
static uint64_t live_bytes(const qn_merge_shape *s)
{
    if (s->docs == 0) return 0;
    return (uint64_t)((double)s->bytes * (double)(s->docs - s->deleted) /
                      (double)s->docs);
}

static unsigned tier_of(const qn_merge_policy *p, const qn_merge_shape *s)
{
    unsigned tier = 0;
    for (uint64_t bytes = live_bytes(s) / p->fan_in; bytes >= p->floor_bytes;
         bytes /= p->fan_in)
        tier++;
    return tier;
}

/* Can [first, first + count) become one segment? */
static bool fits(const qn_merge_policy *p, const qn_merge_shape *s, size_t first,
                 size_t count)
{
    uint64_t bytes = 0, docs = 0;
    for (size_t i = first; i < first + count; i++) {
        uint64_t more = live_bytes(&s[i]);
        bytes = more > UINT64_MAX - bytes ? UINT64_MAX : bytes + more;
        docs += s[i].docs - s[i].deleted;
    }
    return bytes <= p->bytes_max && docs <= p->docs_max;
}

/* ---- full tiers ------------------------------------------------------------------------ */

/* The largest tier in [begin, n). */
static unsigned top_tier(const qn_merge_policy *p, const qn_merge_shape *s,
                         size_t begin, size_t n)
{
    unsigned top = 0;
    for (size_t i = begin; i < n; i++)
        if (tier_of(p, &s[i]) > top) top = tier_of(p, &s[i]);
    return top;
}

/* Where a stretch of that tier, with whatever smaller stands between, ends. */
static size_t stretch_end(const qn_merge_policy *p, const qn_merge_shape *s,
                          size_t begin, size_t n, unsigned tier)
{
    size_t end = begin;
    for (size_t i = begin; i < n; i++)
        if (tier_of(p, &s[i]) >= tier) end = i + 1;
    return end;
}

/* `fan_in` neighbours of [begin, end) that may be joined, the oldest such. */
static bool full_window(const qn_merge_policy *p, const qn_merge_shape *s, size_t begin,
                        size_t end, qn_merge_choice *out)
{
    for (size_t i = begin; i + p->fan_in <= end; i++) {
        if (!fits(p, s, i, p->fan_in)) continue;
        *out = (qn_merge_choice){i, p->fan_in};
        return true;
    }
    return false;
}

static bool choose_tier(const qn_merge_policy *p, const qn_merge_shape *s, size_t n,
                        qn_merge_choice *out)
{
    for (size_t begin = 0; begin < n;) {
        size_t end = stretch_end(p, s, begin, n, top_tier(p, s, begin, n));
        if (full_window(p, s, begin, end, out)) return true;
        begin = end;
    }
    return false;
}

/* ---- deletes, numbers -------------------------------------------------------------------- */

static bool is_above(uint32_t n, uint32_t docs, unsigned percent)
{
    return n != 0 && (uint64_t)n * 100 > (uint64_t)docs * percent;
}

static bool choose_deleted(const qn_merge_policy *p, const qn_merge_shape *s, size_t n,
                           qn_merge_choice *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_above(s[i].deleted, s[i].docs, p->deleted_percent) &&
            !is_above(s[i].updated, s[i].docs, p->updated_percent))
            continue;
        *out = (qn_merge_choice){i, 1};
        return true;
    }
    return false;
}

/* The two neighbours that are least together. */
static bool choose_cheapest(const qn_merge_policy *p, const qn_merge_shape *s, size_t n,
                            qn_merge_choice *out)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i + 2 <= n; i++) {
        uint64_t bytes = live_bytes(&s[i]) + live_bytes(&s[i + 1]);
        if (bytes >= least || !fits(p, s, i, 2)) continue;
        least = bytes;
        *out = (qn_merge_choice){i, 2};
    }
    return least != UINT64_MAX;
}

qn_merge_choice qn_merge_policy_choose(const qn_merge_policy *p,
                                       const qn_merge_shape *s, size_t n)
{
    qn_merge_choice out = {0};
    if (choose_tier(p, s, n, &out) || choose_deleted(p, s, n, &out)) return out;
    if (n > p->segments_max && choose_cheapest(p, s, n, &out)) return out;
    return (qn_merge_choice){0};
}

qn_status qn_merge_choose(const qn_table *t, size_t first, size_t n,
                          const qn_merge_policy *p, qn_merge_choice *out, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    *out = (qn_merge_choice){0};
    qn_merge_shape *s = qn_new_array(a, n, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "merge");
    for (size_t i = 0; i < n; i++) {
        const qn_table_segment *seg = &t->segments.p[first + i];
        s[i] = (qn_merge_shape){
            .bytes = qn_blockfile_size(qn_segment_file(seg->live->segment)),
            .docs = seg->live->doc_count,
            .deleted = seg->deleted.count,
            .updated = seg->overlay == NULL ? 0 : qn_overlay_doc_count(seg->overlay),
        };
    }
    *out = qn_merge_policy_choose(p, s, n);
    out->first += first;
    qn_delete(a, s);
    return QN_OK;
}
