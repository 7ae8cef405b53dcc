/* SPDX-License-Identifier: Apache-2.0 */
/* text_golden.h -- reads the files of tests/golden/text: lines that escape as \\u{HEX}.
 */
#ifndef TEXT_GOLDEN_H
#define TEXT_GOLDEN_H

#include "text/utf8.h"

#include <stdlib.h>

/* Unescapes in place, returns the length. */
static inline size_t golden_unescape(char *s)
{
    char *out = s;
    for (char *p = s; *p != '\0';) {
        if (p[0] == '\\' && p[1] == 'u') {
            out += qn_utf8_put(out, (uint32_t)strtoul(p + 3, &p, 16));
            p++; /* the brace */
        } else {
            if (p[0] == '\\') p++;
            *out++ = *p++;
        }
    }
    *out = '\0';
    return (size_t)(out - s);
}

#endif
