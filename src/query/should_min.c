/* SPDX-License-Identifier: Apache-2.0 */
#include "query/leaf.h"

/* "2", "-1", "75%", "-25%" of n. */
static bool plain(qn_slice s, int64_t n, int64_t *out)
{
    bool percent = qn_slice_ends_with(s, "%");
    if (percent) s.n--;
    int64_t v;
    if (!qn_slice_to_i64(s, &v) || v > INT32_MAX || v < -INT32_MAX) return false;
    /* Truncation towards nought on both sides: -25% of 5 lets one be missing. */
    if (percent) v = (int64_t)((float)(n * v) * (1.0f / 100.0f));
    *out = v < 0 ? n + v : v;
    return true;
}

bool qn_should_min_of(qn_slice spec, size_t clauses, uint32_t *out)
{
    int64_t n = (int64_t)clauses, result = n;
    spec = qn_slice_trim(spec);
    bool conditional = memchr(spec.p, '<', spec.n) != NULL;
    if (!conditional && !plain(spec, n, &result)) return false;
    while (conditional && spec.n > 0) {
        size_t blank = 0, less = 0;
        while (blank < spec.n && spec.p[blank] != ' ') blank++;
        while (less < blank && spec.p[less] != '<') less++;
        int64_t bound, value;
        if (less == blank || !qn_slice_to_i64((qn_slice){spec.p, less}, &bound))
            return false;
        qn_slice rule = {spec.p + less + 1, blank - less - 1};
        if (!plain(rule, n, &value)) return false;
        if (n <= bound) break;
        result = value;
        spec = qn_slice_trim((qn_slice){spec.p + blank, spec.n - blank});
    }
    if (result < 0) result = 0;
    *out = result > UINT32_MAX ? UINT32_MAX : (uint32_t)result;
    return true;
}
