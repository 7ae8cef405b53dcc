/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a dictionary of query analysis, as a change of one, as a rule, as switches:
 * an error that points into them, or what can be written and read again. The first byte
 * chooses. */
#include "query/analysis/analysis.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_error(qn_status st, const qn_error *err, size_t n)
{
    qn_assert(st != QN_OK);
    qn_assert(err->text[0] != '\0' && (err->at == QN_AT_NONE || err->at <= n));
}

static void try_dictionary(qn_arena *arena, qn_slice text)
{
    const qn_qa_dictionary *d = NULL, *again = NULL;
    qn_error err = {.at = QN_AT_NONE};
    qn_status st = qn_qa_dictionary_parse(arena, text, &d, &err);
    if (st != QN_OK) {
        check_error(st, &err, text.n);
        return;
    }
    qn_assert(d->entry_count <= QN_QA_ENTRIES_MAX);
    qn_buf out;
    qn_buf_init(&out, qn_alloc_heap());
    qn_assert(qn_qa_dictionary_change(arena, text, QN_SLICE_LIT("[]"), &out, &err) ==
              QN_OK);
    qn_assert(qn_qa_dictionary_parse(arena, qn_buf_slice(&out), &again, &err) == QN_OK);
    qn_assert(again->entry_count == d->entry_count && again->step == d->step);
    for (size_t i = 0; i < d->entry_count; i++)
        qn_assert(qn_slice_eq(again->entries[i].word, d->entries[i].word));
    qn_buf_deinit(&out);
}

static void try_change(qn_arena *arena, qn_slice changes)
{
    static const char *const bodies[] = {
        "{\"type\":\"synonym\",\"entries\":[{\"word\":\"a\",\"alias\":[\"b\"]}]}",
        "{\"type\":\"stopword\",\"entries\":[{\"word\":\"a\"}]}",
        "{\"type\":\"term_weighting\"}",
        "{\"type\":\"category_prediction\"}",
        "{\"type\":\"ner\"}",
        "{\"type\":\"correction\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        qn_buf out;
        qn_error err = {.at = QN_AT_NONE};
        qn_buf_init(&out, qn_alloc_heap());
        qn_status st =
            qn_qa_dictionary_change(arena, qn_slice_of(bodies[i]), changes, &out, &err);
        const qn_qa_dictionary *d = NULL;
        if (st != QN_OK)
            check_error(st, &err, changes.n);
        else
            qn_assert(qn_qa_dictionary_parse(arena, qn_buf_slice(&out), &d, &err) ==
                      QN_OK);
        qn_buf_deinit(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0 || n > 1 << 16) return 0;
    qn_arena arena;
    qn_slice text = {(const char *)bytes + 1, n - 1};
    qn_error err = {.at = QN_AT_NONE};
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_qa_rule *rule = NULL;
    const qn_qa_switch *off = NULL;
    size_t count = 0;
    qn_status st = QN_OK;
    switch (bytes[0] % 4) {
    case 0:
        try_dictionary(&arena, text);
        break;
    case 1:
        try_change(&arena, text);
        break;
    case 2:
        st = qn_qa_rule_parse(&arena, text, &rule, &err);
        if (st != QN_OK) check_error(st, &err, text.n);
        break;
    default:
        st = qn_qa_switches_parse(&arena, text, &off, &count, &err);
        for (size_t i = 0; st == QN_OK && i < count; i++)
            qn_assert(off[i].step >= -1 && off[i].step < QN_QA_STEP_COUNT);
    }
    qn_arena_deinit(&arena);
    return 0;
}
