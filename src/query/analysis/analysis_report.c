/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_report.c -- the account of a run; categories predicted for a query. */
#include "query/analysis/analysis_internal.h"

static void add_category(qn_qa_category *list, size_t *n, const qn_qa_item *item,
                         const qn_qa_processor *p)
{
    for (size_t i = 0; i < *n; i++) {
        if (!qn_slice_eq(list[i].id, item->key) || list[i].processor != p) continue;
        if (item->value > list[i].relevance) list[i].relevance = item->value;
        return;
    }
    if (*n == QN_QA_CATEGORIES_MAX || item->value == 0) return;
    list[(*n)++] = (qn_qa_category){item->key, item->value, p};
}

qn_status qn_qa_categories(qn_qa_run *run, qn_slice words, const qn_qa_category **out,
                           size_t *count, qn_error *err)
{
    *count = 0;
    *out = NULL;
    qn_qa_category *list = NULL;
    for (size_t r = 0; r < run->rule_count; r++) {
        const qn_qa_compiled *c = run->rules[r];
        const qn_qa_dictionary *d = c->dictionaries[QN_QA_CATEGORY];
        qn_slice *terms = NULL;
        size_t n = 0;
        if (d == NULL || words.n > QN_QA_TEXT_MAX ||
            !qn_qa__step_on(run, c, QN_QA_CATEGORY, QN_SLICE_LIT("")))
            continue;
        if (list == NULL)
            list = qn_arena_array(run->arena, QN_QA_CATEGORIES_MAX, sizeof *list);
        if (list == NULL) return qn_fail(err, QN_ENOMEM, "query analysis");
        QN_TRY(qn_qa__terms(run->arena, c->words, words, &terms, &n, err));
        for (size_t i = 0; i < n && n <= QN_QA_WORDS_MAX;) {
            size_t length, entry;
            if (!qn_qa__runs_find(&c->categories, terms + i, n - i, &length, &entry)) {
                i++;
                continue;
            }
            const qn_qa_entry *e = &d->entries[entry];
            for (size_t k = 0; k < e->item_count; k++)
                add_category(list, count, &e->items[k],
                             &c->rule->steps[QN_QA_CATEGORY]);
            i += length;
        }
    }
    *out = list;
    return QN_OK;
}

qn_slice qn_qa_corrected(const qn_qa_run *run, qn_slice text)
{
    for (const qn_qa_report *r = run->reports; r != NULL; r = r->next)
        if (r->sure && qn_slice_eq(r->text, text)) return r->corrected;
    return text;
}

qn_slice qn_qa_first_text(const qn_qa_run *run)
{
    return run->reports == NULL ? QN_SLICE_LIT("") : run->reports->text;
}

size_t qn_qa_corrections(const qn_qa_run *run, qn_qa_correction *out, size_t most)
{
    size_t n = 0;
    for (const qn_qa_report *r = run->reports; r != NULL; r = r->next)
        for (size_t i = 0; r->corrected.n > 0 && i < r->index_count; i++, n++)
            if (n < most)
                out[n] =
                    (qn_qa_correction){r->indexes[i], r->text, r->corrected, r->sure};
    return n;
}

void qn_qa_report_json(const qn_qa_run *run, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_array(&w);
    for (const qn_qa_report *r = run->reports; r != NULL; r = r->next) {
        qn_json_begin_object(&w);
        qn_json_key(&w, "indexes");
        qn_json_begin_array(&w);
        for (size_t i = 0; i < r->index_count; i++) qn_json_string(&w, r->indexes[i]);
        qn_json_end_array(&w);
        qn_json_member_str(&w, "analyzer", qn_analyzer_name(r->analyzer));
        qn_json_member_slice(&w, "original_query", r->text);
        if (r->corrected.n > 0) {
            qn_json_member_slice(&w, "corrected_query", r->corrected);
            qn_json_member_int(&w, "correction_level", r->sure ? 1 : 2);
        }
        qn_json_key(&w, "steps");
        qn_json_raw(&w, r->told.n == 0 ? QN_SLICE_LIT("[]") : r->told);
        qn_json_member_slice(&w, "rewritten", r->rewritten);
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
}
