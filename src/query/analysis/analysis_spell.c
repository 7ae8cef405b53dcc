/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_spell.c -- a text corrected before it is cut: by dictionary, then by the words
 * of the table. */
#include "query/analysis/analysis_internal.h"

#include "text/utf8.h"

#include <unicode/uchar.h>

/* A text on its way: tokens of the original, what stands in place of each. */
typedef struct speller {
    qn_qa_run *run;
    const qn_qa_compiled *c; /* the rule at hand */
    const qn_leaf_target *target;
    qn_json_writer *w;
    qn_token_list tokens;
    qn_slice *instead; /* a token's; p NULL: as typed */
    bool *joined;      /* goes with the token before it */
    bool *settled;     /* a dictionary has spoken */
    size_t sure, unsure;
    qn_slice *guess; /* as `instead`, suggestions included */
    qn_error *err;
} speller;

static void tell(speller *s, qn_slice word, qn_slice became, double confidence,
                 bool sure, bool dictionary)
{
    qn_json_writer *w = s->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "processor", "spell_check");
    qn_json_member_slice(w, "rule", s->c->name);
    qn_json_member_slice(w, "word", word);
    qn_json_member_slice(w, sure ? "became" : "suggested", became);
    if (dictionary)
        qn_json_member_str(w, "by", "dictionary");
    else
        qn_json_member_double(w, "confidence",
                              (double)(int)(confidence * 1000 + 0.5) / 1000);
    qn_json_end_object(w);
    if (sure)
        s->sure++;
    else
        s->unsure++;
}

/* ---- by dictionary --------------------------------------------------------------------- */

static void use_dictionary(speller *s, qn_slice text)
{
    const qn_qa_dictionary *d = s->c->dictionaries[QN_QA_SPELL];
    qn_slice terms[QN_QA_WORDS_MAX];
    for (size_t i = 0; i < s->tokens.n; i++) terms[i] = s->tokens.p[i].term;
    for (size_t i = 0; d != NULL && i < s->tokens.n;) {
        size_t length, entry;
        if (!qn_qa__runs_find(&s->c->corrections, terms + i, s->tokens.n - i, &length,
                              &entry)) {
            i++;
            continue;
        }
        const qn_qa_entry *e = &d->entries[entry];
        uint32_t from = s->tokens.p[i].start, to = s->tokens.p[i + length - 1].end;
        for (size_t k = 0; k < length; k++) {
            s->settled[i + k] = true;
            s->joined[i + k] = e->on && k > 0;
        }
        if (e->on) {
            s->instead[i] = s->guess[i] = e->correction;
            tell(s, (qn_slice){text.p + from, to - from}, e->correction, 1, true, true);
        }
        i += length;
    }
}

/* ---- by the words of the table ----------------------------------------------------------- */

/* Letters alone, and none of a script that has words without blanks. */
static bool is_word(const qn_token *t)
{
    if (strcmp(t->type, "<ALPHANUM>") != 0) return false;
    for (size_t at = 0; at < t->term.n;) {
        size_t length;
        uint32_t c = qn_utf8_get(t->term.p + at, &length);
        if (c != '\'' && !u_isalpha((UChar32)c)) return false;
        at += length;
    }
    return true;
}

/* Does a document have it? Where the spelling dictionary has seen only some of them, a
 * term of the index speaks for the word, stems and all. */
static qn_status is_known(speller *s, qn_slice word, bool *known)
{
    const qn_qa_run *run = s->run;
    *known = qn_spelling_count_of(run->spelling, word) > 0;
    if (*known || !run->spelling_sampled || run->frequency == NULL) return QN_OK;
    const qn_analyzer *analyzer = NULL;
    const char *name = s->target->analyzer == NULL ? "standard" : s->target->analyzer;
    qn_slice *terms = NULL;
    size_t n = 0;
    QN_TRY(qn_analyzer_find(run->analyzers, qn_slice_of(name), &analyzer, s->err));
    QN_TRY(qn_qa__terms(run->arena, analyzer, word, &terms, &n, s->err));
    uint64_t documents = 0, of = 0;
    for (size_t i = 0; i < n && !*known; i++) {
        QN_TRY(run->frequency(run->ctx, s->target, terms[i], &documents, &of, s->err));
        *known = documents > 0;
    }
    return QN_OK;
}

static qn_status use_words(speller *s, size_t i)
{
    const qn_qa_processor *p = &s->c->rule->steps[QN_QA_SPELL];
    const qn_token *t = &s->tokens.p[i];
    const qn_suggestion *list = NULL;
    size_t n = 0;
    bool known;
    QN_TRY(is_known(s, t->term, &known));
    if (known) return QN_OK;
    qn_spelling_options o = {.edits_max = p->edits_max, .suggestions = 1};
    QN_TRY(qn_spelling_suggest(s->run->spelling, t->term, &o, s->run->arena, &list, &n,
                               s->err));
    if (n == 0) return QN_OK;
    bool sure = list[0].confidence >= p->confidence && !p->suggest_only;
    if (sure) s->instead[i] = list[0].word;
    s->guess[i] = list[0].word;
    tell(s, t->term, list[0].word, list[0].confidence, sure, false);
    return QN_OK;
}

/* ---- the whole --------------------------------------------------------------------------- */

static qn_status rebuild(speller *s, qn_slice text, const qn_slice *instead,
                         qn_slice *out)
{
    qn_buf b;
    qn_buf_init(&b, s->run->arena->alloc);
    size_t at = 0;
    for (size_t i = 0; i < s->tokens.n; i++) {
        const qn_token *t = &s->tokens.p[i];
        if (instead[i].p == NULL && !s->joined[i]) continue;
        if (!s->joined[i]) qn_buf_add_slice(&b, (qn_slice){text.p + at, t->start - at});
        qn_buf_add_slice(&b, instead[i]);
        at = t->end;
    }
    qn_buf_add_slice(&b, (qn_slice){text.p + at, text.n - at});
    *out = qn_arena_slice(s->run->arena, qn_buf_slice(&b));
    bool failed = b.failed || out->p == NULL;
    qn_buf_deinit(&b);
    return failed ? qn_fail(s->err, QN_ENOMEM, "query analysis") : QN_OK;
}

qn_status qn_qa__spell(qn_qa_run *run, const qn_leaf_target *t, qn_qa_report *report,
                       qn_json_writer *w, qn_error *err)
{
    speller s = {.run = run, .target = t, .w = w, .err = err};
    qn_slice index = qn_leaf_target_name(t);
    for (size_t r = 0; r < run->rule_count; r++) {
        s.c = run->rules[r];
        if (!qn_qa__applies(run, s.c, t)) continue;
        if (!qn_qa__step_on(run, s.c, QN_QA_SPELL, index)) continue;
        if (s.instead == NULL) {
            QN_TRY(
                qn_analyzer_run(s.c->words, report->text, run->arena, &s.tokens, err));
            if (s.tokens.n > QN_QA_WORDS_MAX) return QN_OK;
            s.instead = qn_arena_array(run->arena, s.tokens.n + 1, sizeof *s.instead);
            s.guess = qn_arena_array(run->arena, s.tokens.n + 1, sizeof *s.guess);
            s.joined = qn_arena_array(run->arena, s.tokens.n + 1, sizeof *s.joined);
            s.settled = qn_arena_array(run->arena, s.tokens.n + 1, sizeof *s.settled);
            if (s.instead == NULL || s.guess == NULL || s.joined == NULL ||
                s.settled == NULL)
                return qn_fail(err, QN_ENOMEM, "query analysis");
        }
        use_dictionary(&s, report->text);
        bool system = s.c->rule->steps[QN_QA_SPELL].use_system && run->spelling != NULL;
        for (size_t i = 0; system && i < s.tokens.n; i++)
            if (!s.settled[i] && s.guess[i].p == NULL && is_word(&s.tokens.p[i]))
                QN_TRY(use_words(&s, i));
    }
    if (s.sure + s.unsure == 0) return QN_OK;
    report->sure = s.sure > 0;
    return rebuild(&s, report->text, s.sure > 0 ? s.instead : s.guess,
                   &report->corrected);
}
