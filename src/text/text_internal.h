/* SPDX-License-Identifier: Apache-2.0 */
/* text_internal.h -- what the analyzers share; never included from outside. */
#ifndef QN_TEXT_INTERNAL_H
#define QN_TEXT_INTERNAL_H

#include "text/analyzer.h"
#include "text/lexicon.h"
#include "text/wordbreak.h"

/* One analyzer's work. The text is valid UTF-8 of at most 2^31 bytes; `out` is empty.
 */
typedef qn_status qn_text__run(const qn_analyzers *set, qn_slice text, qn_arena *arena,
                               qn_token_list *out, qn_error *err);

struct qn_analyzer {
    const char *name;
    qn_text__run *run;
    const qn_analyzers *set;
};

/* The next free slot of the list, zeroed or not; NULL when out of memory. It counts
 * as taken once list->n is raised. */
static inline qn_token *qn_text__slot(qn_token_list *list, qn_arena *arena);
/* Makes room for `more` tokens; false when out of memory. */
bool qn_text__reserve(qn_token_list *list, qn_arena *arena, size_t more);
qn_status qn_text__no_memory(qn_error *err);
const qn_wordbreak *qn_text__wordbreak(const qn_analyzers *set);

/* The Chinese words, read at the first call; a failure is tried again at the next. */
qn_status qn_text__lexicon(const qn_analyzers *set, const qn_lexicon **out,
                           qn_error *err);

/* analyzer_chinese.c */
qn_text__run qn_text__run_chinese, qn_text__run_chn_single;
/* analyzer_standard.c */
qn_text__run qn_text__run_standard, qn_text__run_english;

static inline qn_token *qn_text__slot(qn_token_list *list, qn_arena *arena)
{
    if (list->n == list->capacity && !qn_text__reserve(list, arena, 1)) return NULL;
    return &list->p[list->n];
}

#endif
