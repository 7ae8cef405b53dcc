/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes through every analyzer: refused, or tokens that lie in the text. The first
 * byte picks the analyzer. */
#include "text/analyzer.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tokens(const qn_token_list *list, qn_slice text)
{
    uint32_t start = 0, position = 0;
    for (size_t i = 0; i < list->n; i++) {
        const qn_token *t = &list->p[i];
        qn_assert(t->start <= t->end && t->end <= text.n);
        qn_assert(t->start >= start && t->position >= position);
        qn_assert(qn_utf8_border(text, t->start) && qn_utf8_border(text, t->end));
        qn_assert(t->start16 == qn_utf16_length((qn_slice){text.p, t->start}));
        qn_assert(t->end16 == qn_utf16_length((qn_slice){text.p, t->end}));
        qn_assert(qn_utf8_valid(t->term, NULL));
        start = t->start;
        position = t->position;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static qn_analyzers *set;
    static size_t names;
    qn_error err = {0};
    if (set == NULL) {
        if (qn_analyzers_create(qn_alloc_heap(), &set, &err) != QN_OK) return 0;
        while (qn_analyzers_name_at(set, names) != NULL) names++;
    }
    if (size == 0) return 0;
    const char *name = qn_analyzers_name_at(set, data[0] % names);
    qn_slice text = {(const char *)data + 1, size - 1};
    const qn_analyzer *analyzer = NULL;
    qn_assert(qn_analyzer_find(set, qn_slice_of(name), &analyzer, &err) == QN_OK);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_token_list list = {0};
    qn_status st = qn_analyzer_run(analyzer, text, &arena, &list, &err);
    if (st == QN_OK) check_tokens(&list, text);
    if (!qn_utf8_valid(text, NULL)) qn_assert(st == QN_EUTF8);
    qn_arena_deinit(&arena);
    return 0;
}
