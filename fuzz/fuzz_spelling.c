/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a spelling dictionary, its last line as the word to look up. */
#include "text/spelling.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void look_up(const qn_spelling *s, qn_slice word)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_suggestion *list;
    size_t count;
    qn_spelling_options o = {.edits_max = 3, .suggestions = 16};
    qn_assert(qn_spelling_suggest(s, word, &o, &arena, &list, &count, NULL) == QN_OK);
    qn_assert(count <= QN_SPELLING_SUGGESTIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        qn_assert(list[i].edits >= 1 && list[i].edits <= 3 && list[i].count > 0);
        qn_assert(list[i].confidence >= 0 && list[i].confidence <= 1);
        qn_assert(!qn_slice_eq(list[i].word, word));
    }
    qn_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n > 1 << 16) return 0;
    size_t cut = n;
    while (cut > 0 && bytes[cut - 1] != '\n') cut--;
    qn_slice text = {(const char *)bytes, cut};
    qn_slice word = {(const char *)bytes + cut, n - cut};
    qn_spelling *s = NULL;
    qn_error err = {.at = QN_AT_NONE};
    qn_assert(qn_spelling_create(qn_alloc_heap(), &s, &err) == QN_OK);
    qn_status st = qn_spelling_add_text(s, text, &err);
    qn_assert(st == QN_OK || st == QN_ESYNTAX || st == QN_EUTF8);
    qn_assert(st == QN_OK || (err.at <= text.n && err.text[0] != '\0'));
    if (qn_utf8_check(word, NULL) != QN_OK) word = QN_SLICE_LIT("word");
    if (st == QN_OK && qn_spelling_build(s, &err) == QN_OK) look_up(s, word);
    qn_spelling_destroy(s);
    return 0;
}
