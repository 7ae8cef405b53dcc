/* SPDX-License-Identifier: Apache-2.0 */
#include "text/bert_chars.h"

#include <unicode/uchar.h>

static bool in_unicode_8(uint32_t c)
{
    UVersionInfo age;
    u_charAge((UChar32)c, age);
    return age[0] <= 8;
}

qn_bert_category qn_bert_category_of(uint32_t c)
{
    switch (c) { /* what Unicode 8 had otherwise */
    case 0x166D:
    case 0x111C9:
        return QN_BERT_PUNCTUATION;
    case 0x1734:
        return QN_BERT_MARK;
    case 0x1885:
    case 0x1886:
    case 0xA9BD:
        return QN_BERT_PLAIN;
    case 0xFFFD:
        return QN_BERT_REMOVED;
    default:
        break;
    }
    uint32_t mask = U_GET_GC_MASK((UChar32)c);
    qn_bert_category category = QN_BERT_PLAIN;
    if (mask & U_GC_P_MASK) category = QN_BERT_PUNCTUATION;
    if (mask & U_GC_MN_MASK) category = QN_BERT_MARK;
    if (mask & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) category = QN_BERT_REMOVED;
    return category == QN_BERT_PLAIN || in_unicode_8(c) ? category : QN_BERT_PLAIN;
}

bool qn_bert_is_ideograph(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}
