/* SPDX-License-Identifier: Apache-2.0 */
/* text/porter.h -- Porter's stemmer as Lucene's PorterStemFilter has it.
 *
 * M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the two
 * rules of its author's later program (logi to log, bli to ble) and words of one and
 * two letters left alone. libstemmer's `porter` differs in those.
 *
 * Threads   no state. */
#ifndef QN_TEXT_PORTER_H
#define QN_TEXT_PORTER_H

#include <stddef.h>

/* Stems `word` (lower case) in place and returns its new length, never longer. Any
 * byte that is no ASCII vowel counts as a consonant. */
size_t qn_porter_stem(char *word, size_t length);

#endif
