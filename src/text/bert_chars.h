/* SPDX-License-Identifier: Apache-2.0 */
/* bert_chars.h -- what BERT's tokenizer takes a character for. Its tables of categories are
 * those of Unicode 8: categories come from ICU for characters of that age, the few that
 * changed since are listed. */
#ifndef QN_TEXT_BERT_CHARS_H
#define QN_TEXT_BERT_CHARS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum qn_bert_category {
    QN_BERT_PLAIN,
    QN_BERT_PUNCTUATION,
    QN_BERT_MARK,    /* nonspacing: what stripping accents takes away */
    QN_BERT_REMOVED, /* control characters and the like */
} qn_bert_category;

/* Of a character beyond ASCII. */
qn_bert_category qn_bert_category_of(uint32_t c);
/* Gets blanks around it. 2B920 is what the reference has where the Unicode block begins
 * at 2B820. */
bool qn_bert_is_ideograph(uint32_t c);

static inline bool qn_bert_is_ascii_punctuation(uint32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
}

static inline bool qn_bert_is_punctuation(uint32_t c)
{
    return c < 0x80 ? qn_bert_is_ascii_punctuation(c)
                    : qn_bert_category_of(c) == QN_BERT_PUNCTUATION;
}

#endif
