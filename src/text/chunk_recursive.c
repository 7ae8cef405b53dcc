/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_recursive.c -- a text cut at separators: the coarsest first, then, where a part is
 * still too long, the next. A separator stands at the beginning of what follows it. */
#include "text/chunk_internal.h"

#include <unicode/ustring.h>

/* ICU's own unit, about a millisecond each; and what a match may keep in mind. */
enum { REGEX_TIME = 200, REGEX_STACK_BYTES = 1 << 20 };

qn_status qn_chunk__recursive_open(qn_chunker *c)
{
    for (size_t i = 0; i < c->settings->separator_count; i++) {
        qn_slice s = c->settings->separators[i];
        UErrorCode code = U_ZERO_ERROR;
        UParseError where;
        UText pattern = UTEXT_INITIALIZER;
        utext_openUTF8(&pattern, s.p, (int64_t)s.n, &code);
        c->separators[i] = uregex_openUText(&pattern, 0, &where, &code);
        utext_close(&pattern);
        if (code == U_MEMORY_ALLOCATION_ERROR) return qn_chunk__failed(c, code);
        if (U_FAILURE(code))
            return qn_fail(c->err, QN_EINVAL,
                           "[chunking_settings] the separator [%.*s] is no regular "
                           "expression: %s",
                           s.n > 100 ? 100 : (int)s.n, s.p, u_errorName(code));
        uregex_setTimeLimit(c->separators[i], REGEX_TIME, &code);
        uregex_setStackLimit(c->separators[i], REGEX_STACK_BYTES, &code);
        if (U_FAILURE(code)) return qn_chunk__failed(c, code);
    }
    return QN_OK;
}

static bool fits(const qn_chunker *c, uint32_t start, uint32_t end)
{
    return qn_chunk__words_before(c, end) - qn_chunk__words_before(c, start) <=
           c->settings->size;
}

static qn_status too_slow(qn_chunker *c, size_t separator, UErrorCode code)
{
    qn_slice s = c->settings->separators[separator];
    if (code != U_REGEX_TIME_OUT && code != U_REGEX_STACK_OVERFLOW)
        return qn_chunk__failed(c, code);
    return qn_fail(
        c->err, QN_ELIMIT,
        "[chunking_settings] looking for the separator [%.*s] takes too long",
        s.n > 100 ? 100 : (int)s.n, s.p);
}

typedef QN_VEC(uint32_t) cut_list;

/* Where the separator stands in bytes [start, end), which are looked at by themselves. */
static qn_status find_cuts(qn_chunker *c, uint32_t start, uint32_t end,
                           size_t separator, cut_list *cuts)
{
    URegularExpression *re = c->separators[separator];
    UErrorCode code = U_ZERO_ERROR;
    UText view = UTEXT_INITIALIZER;
    bool room = true;
    utext_openUTF8(&view, c->text.p + start, (int64_t)(end - start), &code);
    uregex_setUText(re, &view, &code);
    while (U_SUCCESS(code) && room && uregex_findNext(re, &code)) {
        uint32_t at = start + (uint32_t)uregex_start64(re, 0, &code);
        if (U_SUCCESS(code) && at > start && at < end)
            room = qn_vec_push(c->alloc, cuts, at);
    }
    utext_close(&view);
    if (!room) return qn_fail(c->err, QN_ENOMEM, "chunks of a text");
    return U_SUCCESS(code) ? QN_OK : too_slow(c, separator, code);
}

/* As deep as there are separators, which are limited. */
qn_status qn_chunk__recursive(qn_chunker *c, uint32_t start, uint32_t end,
                              size_t separator)
{
    if (fits(c, start, end)) return qn_chunk__add(c, start, end);
    if (separator == c->settings->separator_count)
        return qn_chunk__sentences(c, start, end, c->settings->size, false);
    cut_list cuts = {0};
    qn_status st = find_cuts(c, start, end, separator, &cuts);
    for (size_t i = 0; i <= cuts.n && st == QN_OK; i++) {
        uint32_t to = i < cuts.n ? cuts.p[i] : end;
        st = qn_chunk__recursive(c, start, to, separator + 1);
        start = to;
    }
    qn_vec_deinit(c->alloc, &cuts);
    return st;
}
