/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_compile.c -- a rule, its dictionaries and the analyzers of a table made ready
 * for requests. */
#include "query/analysis/analysis_internal.h"

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "query analysis");
}

/* ---- runs of terms ---------------------------------------------------------------------- */

enum { RUN_TERMS_MAX = 32, RUN_BYTES_MAX = 4096 };

static bool run_key(const qn_slice *terms, size_t n, char *bytes, qn_slice *key)
{
    size_t at = 0;
    if (n == 0 || n > RUN_TERMS_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        if (terms[i].n + 1 > RUN_BYTES_MAX - at) return false;
        memcpy(bytes + at, terms[i].p, terms[i].n);
        at += terms[i].n;
        bytes[at++] = (char)0xff; /* in no UTF-8 */
    }
    *key = (qn_slice){bytes, at};
    return true;
}

bool qn_qa__runs_put(qn_qa_runs *r, const qn_slice *terms, size_t n, size_t value)
{
    char bytes[RUN_BYTES_MAX];
    qn_slice key;
    if (!run_key(terms, n, bytes, &key)) return true;
    if (n > r->longest) r->longest = n;
    return qn_map_put(&r->map, key, value);
}

bool qn_qa__runs_find(const qn_qa_runs *r, const qn_slice *terms, size_t n,
                      size_t *length, size_t *value)
{
    char bytes[RUN_BYTES_MAX];
    for (*length = n < r->longest ? n : r->longest; *length > 0; (*length)--) {
        qn_slice key;
        uint64_t found;
        if (!run_key(terms, *length, bytes, &key)) continue;
        if (!qn_map_get(&r->map, key, &found)) continue;
        *value = (size_t)found;
        return true;
    }
    return false;
}

qn_status qn_qa__terms(qn_arena *arena, const qn_analyzer *analyzer, qn_slice text,
                       qn_slice **terms, size_t *n, qn_error *err)
{
    qn_token_list tokens = {0};
    *n = 0;
    QN_TRY(qn_analyzer_run(analyzer, text, arena, &tokens, err));
    *terms = qn_arena_array(arena, tokens.n + 1, sizeof **terms);
    if (*terms == NULL) return no_memory(err);
    for (size_t i = 0; i < tokens.n; i++) {
        if (i > 0 && tokens.p[i].position == tokens.p[i - 1].position) continue;
        (*terms)[(*n)++] = tokens.p[i].term;
    }
    return QN_OK;
}

/* Entry `i` is found by its word as `analyzer` cuts it. */
static qn_status put_entry(qn_qa_compiled *c, qn_qa_runs *runs,
                           const qn_analyzer *analyzer, qn_slice word, size_t i,
                           qn_error *err)
{
    qn_slice *terms = NULL;
    size_t n = 0;
    QN_TRY(qn_qa__terms(&c->arena, analyzer, word, &terms, &n, err));
    return qn_qa__runs_put(runs, terms, n, i) ? QN_OK : no_memory(err);
}

static qn_status put_entries(qn_qa_compiled *c, qn_qa_runs *runs,
                             const qn_analyzer *analyzer, const qn_qa_dictionary *d,
                             qn_error *err)
{
    for (size_t i = 0; d != NULL && i < d->entry_count; i++)
        if (d->entries[i].active)
            QN_TRY(put_entry(c, runs, analyzer, d->entries[i].word, i, err));
    return QN_OK;
}

/* ---- one way of cutting ------------------------------------------------------------------ */

static qn_status put_stop(qn_qa_compiled *c, qn_qa_cut *cut, qn_slice word, bool on,
                          qn_error *err)
{
    qn_slice *terms = NULL;
    size_t n = 0;
    QN_TRY(qn_qa__terms(&c->arena, cut->analyzer, word, &terms, &n, err));
    if (n != 1) return QN_OK; /* none left, or several words */
    return qn_map_put(&cut->stops, terms[0], on) ? QN_OK : no_memory(err);
}

static qn_status put_stops(qn_qa_compiled *c, qn_qa_cut *cut, const char *const *words,
                           qn_error *err)
{
    for (; *words != NULL; words++)
        QN_TRY(put_stop(c, cut, qn_slice_of(*words), true, err));
    return QN_OK;
}

/* Does the analyzer know Chinese words, or characters alone? */
static qn_status knows_words(qn_qa_compiled *c, const qn_analyzer *analyzer,
                             bool *knows, qn_error *err)
{
    qn_slice *terms = NULL;
    size_t n = 0;
    QN_TRY(qn_qa__terms(&c->arena, analyzer, QN_SLICE_LIT("目的"), &terms, &n, err));
    *knows = n == 1;
    return QN_OK;
}

static qn_status compile_stops(qn_qa_compiled *c, qn_qa_cut *cut, qn_error *err)
{
    const qn_qa_processor *p = &c->rule->steps[QN_QA_STOP];
    const qn_qa_dictionary *d = c->dictionaries[QN_QA_STOP];
    if (!p->on) return QN_OK;
    bool words = false;
    if (p->use_system) QN_TRY(put_stops(c, cut, qn_qa__stop_words, err));
    if (p->use_system) QN_TRY(knows_words(c, cut->analyzer, &words, err));
    if (words) QN_TRY(put_stops(c, cut, qn_qa__stop_particles, err));
    for (size_t i = 0; d != NULL && i < d->entry_count; i++)
        if (d->entries[i].active)
            QN_TRY(put_stop(c, cut, d->entries[i].word, d->entries[i].on, err));
    return QN_OK;
}

/* Words that this analyzer drops are no synonyms in what it cuts; that is no error. */
static qn_status forgive(qn_status st)
{
    return st == QN_ESYNTAX ? QN_OK : st;
}

static qn_status compile_synonyms(qn_qa_compiled *c, qn_qa_cut *cut, qn_error *err)
{
    const qn_qa_dictionary *d = c->dictionaries[QN_QA_SYNONYM];
    if (!c->rule->steps[QN_QA_SYNONYM].on || d == NULL) return QN_OK;
    QN_TRY(qn_synonyms_create(c->alloc, cut->analyzer, &cut->synonyms, err));
    qn_synonym_options format = d->format;
    format.lenient = true;
    QN_TRY(qn_synonyms_add_text(cut->synonyms, d->text, &format, err));
    for (size_t i = 0; i < d->entry_count; i++) {
        const qn_qa_entry *e = &d->entries[i];
        for (size_t k = 0; e->active && k < e->alias_count; k++)
            QN_TRY(forgive(
                qn_synonyms_add(cut->synonyms, e->word, e->aliases[k], true, err)));
    }
    for (size_t i = 0; i < d->entry_count; i++) {
        const qn_qa_entry *e = &d->entries[i];
        for (size_t k = 0; e->active && k < e->not_alias_count; k++)
            QN_TRY(forgive(
                qn_synonyms_remove(cut->synonyms, e->word, e->not_aliases[k], err)));
    }
    return QN_OK;
}

static qn_status compile_cut(qn_qa_compiled *c, const qn_analyzer *analyzer,
                             qn_error *err)
{
    qn_qa_cut *cut = &c->cuts[c->cut_count++];
    cut->analyzer = analyzer;
    qn_map_init(&cut->stops, c->alloc);
    qn_map_init(&cut->weights.map, c->alloc);
    qn_map_init(&cut->names.map, c->alloc);
    QN_TRY(compile_stops(c, cut, err));
    QN_TRY(compile_synonyms(c, cut, err));
    QN_TRY(put_entries(c, &cut->weights, analyzer, c->dictionaries[QN_QA_WEIGHT], err));
    const qn_qa_dictionary *names = c->dictionaries[QN_QA_NER];
    return put_entries(c, &cut->names, analyzer, names, err);
}

const qn_qa_cut *qn_qa__cut_of(const qn_qa_compiled *c, const qn_analyzer *analyzer)
{
    for (size_t i = 0; i < c->cut_count; i++)
        if (c->cuts[i].analyzer == analyzer) return &c->cuts[i];
    return NULL;
}

static qn_status add_cut(qn_qa_compiled *c, const qn_qa_compiler *k, const char *name,
                         qn_error *err)
{
    const qn_analyzer *analyzer = NULL;
    QN_TRY(qn_analyzer_find(k->analyzers, qn_slice_of(name == NULL ? "standard" : name),
                            &analyzer, err));
    if (qn_qa__cut_of(c, analyzer) != NULL) return QN_OK;
    return compile_cut(c, analyzer, err);
}

/* Every way in which queries on the table's texts are cut. */
static qn_status add_cuts(qn_qa_compiled *c, const qn_qa_compiler *k, qn_error *err)
{
    const qn_schema *s = k->schema;
    c->cuts = qn_arena_array(&c->arena, s->field_count * 2 + s->index_count + 1,
                             sizeof *c->cuts);
    if (c->cuts == NULL) return no_memory(err);
    for (size_t i = 0; i < s->index_count; i++)
        if (s->indexes[i].kind == QN_INDEX_TEXT && s->indexes[i].analyzer != NULL)
            QN_TRY(add_cut(c, k, s->indexes[i].analyzer, err));
    for (size_t i = 0; i < s->field_count; i++) {
        const qn_field *f = &s->fields[i];
        if (f->type != QN_FIELD_TEXT) continue;
        QN_TRY(add_cut(
            c, k, f->search_analyzer == NULL ? f->analyzer : f->search_analyzer, err));
    }
    return QN_OK;
}

/* ---- the whole --------------------------------------------------------------------------- */

static qn_status read_dictionaries(qn_qa_compiled *c, const qn_qa_compiler *k,
                                   qn_error *err)
{
    for (int i = 0; i < QN_QA_STEP_COUNT; i++) {
        const qn_qa_processor *p = &c->rule->steps[i];
        qn_slice body;
        if (!p->on || p->dictionary.n == 0) continue;
        QN_TRY(k->dictionary(k->ctx, p->dictionary, &body, err));
        QN_TRY(qn_qa_dictionary_parse(&c->arena, body, &c->dictionaries[i], err));
        qn_qa_step step = c->dictionaries[i]->step;
        if (step != (qn_qa_step)i)
            return qn_fail(err, QN_EINVAL,
                           "query analysis: [%s] takes a dictionary of type %s, [%.*s] "
                           "is of type %s",
                           qn_qa_steps[i].processor, qn_qa_steps[i].type,
                           QN_SLICE_ARG(p->dictionary), qn_qa_steps[step].type);
    }
    return QN_OK;
}

static qn_status check_names(const qn_qa_compiled *c, const qn_schema *schema,
                             qn_error *err)
{
    const qn_qa_rule *rule = c->rule;
    for (size_t i = 0; i < rule->index_count; i++) {
        const qn_index_def *d = qn_schema_index(schema, rule->indexes[i]);
        const qn_field *f = qn_schema_field(schema, rule->indexes[i]);
        const char *near = qn_schema_nearest(schema, rule->indexes[i]);
        if (d == NULL && f == NULL)
            return qn_fail(
                err, QN_ENOFIELD, "query analysis: no index or field named [%.*s]%s%s",
                QN_SLICE_ARG(rule->indexes[i]), near == NULL ? "" : "; did you mean ",
                near == NULL ? "" : near);
        if (d != NULL ? d->kind != QN_INDEX_TEXT : f->type != QN_FIELD_TEXT)
            return qn_fail(err, QN_EINDEXKIND,
                           "query analysis: index [%.*s] is not of text",
                           QN_SLICE_ARG(rule->indexes[i]));
    }
    qn_slice field = rule->steps[QN_QA_CATEGORY].field;
    if (field.n > 0 && qn_schema_field(schema, field) == NULL)
        return qn_fail(err, QN_ENOFIELD, "category_prediction: no field named [%.*s]",
                       QN_SLICE_ARG(field));
    return QN_OK;
}

/* In the strict reading, so that a wrong rule is told when it is stored. */
static qn_status check_synonyms(const qn_qa_compiled *c, qn_error *err)
{
    const qn_qa_dictionary *d = c->dictionaries[QN_QA_SYNONYM];
    if (d == NULL || d->text.n == 0) return QN_OK;
    qn_synonyms *s = NULL;
    QN_TRY(qn_synonyms_create(c->alloc, c->words, &s, err));
    qn_status st = qn_synonyms_add_text(s, d->text, &d->format, err);
    qn_synonyms_destroy(s);
    return st;
}

qn_status qn_qa_compile(qn_alloc *a, const qn_qa_compiler *k, qn_slice rule,
                        qn_qa_compiled **out, qn_error *err)
{
    qn_status st;
    *out = NULL;
    qn_qa_compiled *c = qn_new0(a, sizeof *c);
    if (c == NULL) return no_memory(err);
    c->alloc = a;
    qn_arena_init(&c->arena, a, 0);
    qn_map_init(&c->corrections.map, a);
    qn_map_init(&c->categories.map, a);
    QN_TRY_TO(fail, qn_qa_rule_parse(&c->arena, rule, &c->rule, err));
    c->name = qn_arena_slice(&c->arena, k->name.n > 0 ? k->name : c->rule->name);
    QN_TRY_TO(fail, check_names(c, k->schema, err));
    QN_TRY_TO(fail,
              qn_analyzer_find(k->analyzers, QN_SLICE_LIT("standard"), &c->words, err));
    QN_TRY_TO(fail, read_dictionaries(c, k, err));
    QN_TRY_TO(fail, check_synonyms(c, err));
    QN_TRY_TO(fail, add_cuts(c, k, err));
    QN_TRY_TO(fail, put_entries(c, &c->corrections, c->words,
                                c->dictionaries[QN_QA_SPELL], err));
    QN_TRY_TO(fail, put_entries(c, &c->categories, c->words,
                                c->dictionaries[QN_QA_CATEGORY], err));
    *out = c;
    return QN_OK;

fail:
    qn_qa_compiled_destroy(c);
    return st;
}

void qn_qa_compiled_destroy(qn_qa_compiled *c)
{
    if (c == NULL) return;
    for (size_t i = 0; i < c->cut_count; i++) {
        qn_synonyms_destroy(c->cuts[i].synonyms);
        qn_map_deinit(&c->cuts[i].stops);
        qn_map_deinit(&c->cuts[i].weights.map);
        qn_map_deinit(&c->cuts[i].names.map);
    }
    qn_map_deinit(&c->corrections.map);
    qn_map_deinit(&c->categories.map);
    qn_arena_deinit(&c->arena);
    qn_delete(c->alloc, c);
}

qn_slice qn_qa_compiled_name(const qn_qa_compiled *c)
{
    return c->name;
}

const qn_qa_rule *qn_qa_compiled_rule(const qn_qa_compiled *c)
{
    return c->rule;
}

qn_status qn_qa_add_words(const qn_qa_compiled *c, qn_spelling *spelling, qn_error *err)
{
    const qn_qa_dictionary *d = c->dictionaries[QN_QA_SPELL];
    return d == NULL ? QN_OK : qn_spelling_add_text(spelling, d->text, err);
}
