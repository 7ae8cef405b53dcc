/* SPDX-License-Identifier: Apache-2.0 */
/* text/lexicon.h -- the Chinese words of a dictionary in friso's format.
 *
 * A folder with friso.lex.ini, whose section __LEX_CJK_WORDS__ names the files; a line
 * of a file is "word/synonyms" or "character/synonyms/frequency". Words of ideographs
 * alone are taken, up to QN_LEXICON_CHARS_MAX of them.
 *
 * Lifetime   a lexicon owns what it read; the files are not needed after.
 * Threads    read-only once loaded.
 * Errors     QN_ENOTFOUND and the like with the file that is missing; QN_ECORRUPT for
 *            a folder that is no dictionary. */
#ifndef QN_TEXT_LEXICON_H
#define QN_TEXT_LEXICON_H

#include "base/slice.h"

enum { QN_LEXICON_CHARS_MAX = 5 };

typedef struct qn_lexicon qn_lexicon;

QN_MUST_CHECK qn_status qn_lexicon_load(qn_alloc *a, const char *folder,
                                        QN_OWNED qn_lexicon **out, qn_error *err);
void qn_lexicon_destroy(QN_OWNED QN_NULLABLE qn_lexicon *lexicon);
size_t qn_lexicon_word_count(const qn_lexicon *lexicon);

typedef struct qn_lexicon_entry {
    bool is_word;
    bool is_prefix;     /* a longer word begins like this */
    uint32_t frequency; /* of single characters, else 0 */
} qn_lexicon_entry;

/* All zero for what is neither. */
qn_lexicon_entry qn_lexicon_find(const qn_lexicon *lexicon, qn_slice text);

#endif
