/* SPDX-License-Identifier: Apache-2.0 */
/* when.c -- the spellings of documents on top of the query language's dates. */
#include "engine/schema/when.h"

#include "query/dates.h"

#include <string.h>

enum { WRITTEN_MAX = 40 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Milliseconds: a run of digits that is no year, or has a sign. */
static bool milliseconds(qn_slice text, int64_t *ms)
{
    size_t i = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+');
    if (i == 0 && text.n == 4) return false;
    for (size_t k = i; k < text.n; k++)
        if (!is_digit(text.p[k])) return false;
    return text.n > i && qn_slice_to_i64(text, ms);
}

bool qn_when_parse(qn_slice text, int64_t *ms)
{
    char iso[WRITTEN_MAX];
    if (milliseconds(text, ms)) return true;
    /* No arithmetic and no "now": a document says when. */
    if (text.n < 4 || text.n > WRITTEN_MAX || !is_digit(text.p[0]) ||
        memchr(text.p, '|', text.n) != NULL)
        return false;
    memcpy(iso, text.p, text.n);
    if (text.n > 4 && iso[4] == '/') {
        iso[4] = '-';
        if (text.n > 7 && iso[7] == '/') iso[7] = '-';
    }
    if (text.n > 10 && iso[10] == ' ') iso[10] = 'T';
    return qn_date_parse((qn_slice){iso, text.n}, 0, false, ms);
}

void qn_when_print(int64_t ms, char out[32])
{
    char text[QN_DATE_TEXT_MAX];
    qn_date_format(ms, text);
    memcpy(out, text, 31);
    out[31] = '\0';
}
