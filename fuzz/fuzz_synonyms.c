/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as synonym rules, in both formats: an error that points into them, or a set
 * whose look-ups stay within what was asked. The first byte chooses. */
#include "text/synonyms.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void look_up(const qn_synonyms *s)
{
    static const char *const words[] = {"a", "b", "new", "york", "city", "a,b", "x"};
    qn_slice terms[7];
    for (size_t i = 0; i < 7; i++) terms[i] = qn_slice_of(words[i]);
    for (size_t i = 0; i < 7; i++) {
        qn_synonym_match m;
        if (!qn_synonyms_match(s, terms + i, 7 - i, &m)) continue;
        qn_assert(m.length > 0 && m.length <= 7 - i && m.count > 0);
        qn_assert(m.count <= QN_SYNONYM_SIDES_MAX);
        for (size_t k = 0; k < m.count; k++) {
            qn_synonym one = qn_synonyms_at(s, &m, k);
            qn_assert(one.count > 0 && one.count <= QN_SYNONYM_TERMS_MAX);
            qn_assert(one.terms[0].position == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const names[] = {"standard", "english", "whitespace"};
    if (n == 0 || n > 1 << 16) return 0;
    qn_analyzers *set = NULL;
    const qn_analyzer *analyzer = NULL;
    qn_synonyms *s = NULL;
    qn_error err = {.at = QN_AT_NONE};
    qn_assert(qn_analyzers_create(qn_alloc_heap(), &set, &err) == QN_OK);
    qn_assert(qn_analyzer_find(set, qn_slice_of(names[bytes[0] % 3]), &analyzer,
                               &err) == QN_OK);
    qn_assert(qn_synonyms_create(qn_alloc_heap(), analyzer, &s, &err) == QN_OK);
    qn_synonym_options o = {
        .format = (bytes[0] & 4) != 0 ? QN_SYNONYMS_WORDNET : QN_SYNONYMS_SOLR,
        .first_only = (bytes[0] & 8) != 0,
        .lenient = (bytes[0] & 16) != 0,
    };
    qn_slice text = {(const char *)bytes + 1, n - 1};
    qn_status st = qn_synonyms_add_text(s, text, &o, &err);
    qn_assert(st == QN_OK || st == QN_ESYNTAX || st == QN_EUTF8 || st == QN_ELIMIT);
    qn_assert(st == QN_OK || (err.at <= text.n && err.text[0] != '\0'));
    look_up(s);
    qn_synonyms_destroy(s);
    qn_analyzers_destroy(set);
    return 0;
}
