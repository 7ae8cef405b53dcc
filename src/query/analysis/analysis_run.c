/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_run.c -- one text of a request through the rules, and the tree it becomes. */
#include "query/analysis/analysis_internal.h"

enum { WEIGHT_HIGH = 7, WEIGHT_MIDDLE = 4, WEIGHT_LOW = 1 };

/* What stands at one place of the text. */
typedef struct place {
    const qn_token *tokens; /* the first and its alternatives */
    size_t count;
    bool stop;
    int32_t weight; /* 0: nobody said */
    size_t length;  /* places that a synonym's left side takes, from here; 0: none */
    bool inside;    /* behind the first of them */
    bool keep;      /* the left side itself counts */
    const qn_synonym **others;
    size_t other_count;
} place;

typedef struct text_run {
    qn_qa_run *run;
    qn_leaf_maker *m;
    const qn_leaf_target *target;
    qn_slice index;
    uint64_t at;
    const qn_analyzer *analyzer;
    qn_token_list tokens;
    place *places;
    qn_slice *terms; /* the first token of each place */
    size_t n;
    qn_json_writer *w; /* NULL: told already */
    qn_error *err;
} text_run;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "query analysis");
}

/* ---- which rules -------------------------------------------------------------------------- */

static bool has_index(const qn_qa_rule *rule, const qn_leaf_target *t)
{
    qn_slice name = qn_leaf_target_name(t);
    if (rule->index_count == 0) return true;
    for (size_t i = 0; i < rule->index_count; i++)
        if (qn_slice_eq(rule->indexes[i], name)) return true;
    return false;
}

static bool is_off(const qn_qa_run *run, int step, qn_slice index)
{
    for (size_t i = 0; i < run->off_count; i++) {
        const qn_qa_switch *o = &run->off[i];
        if (o->step != step && o->step != -1) continue;
        if (o->index.n == 0 || qn_slice_eq(o->index, index)) return true;
    }
    return false;
}

bool qn_qa__applies(const qn_qa_run *run, const qn_qa_compiled *c,
                    const qn_leaf_target *t)
{
    return has_index(c->rule, t) && !is_off(run, -1, qn_leaf_target_name(t));
}

bool qn_qa__step_on(const qn_qa_run *run, const qn_qa_compiled *c, qn_qa_step step,
                    qn_slice index)
{
    return c->rule->steps[step].on && !is_off(run, (int)step, index);
}

/* ---- telling -------------------------------------------------------------------------------- */

static void begin_step(text_run *x, const qn_qa_compiled *c, qn_qa_step step)
{
    qn_json_begin_object(x->w);
    qn_json_member_str(x->w, "processor", qn_qa_steps[step].processor);
    qn_json_member_slice(x->w, "rule", c->name);
}

static void tell_terms(text_run *x, const char *key, size_t from, size_t n)
{
    qn_json_key(x->w, key);
    qn_json_begin_array(x->w);
    for (size_t i = from; i < from + n; i++) qn_json_string(x->w, x->terms[i]);
    qn_json_end_array(x->w);
}

/* ---- steps over the terms ----------------------------------------------------------------- */

static void stop_words(text_run *x, const qn_qa_compiled *c, const qn_qa_cut *cut)
{
    size_t left = 0, dropped = 0;
    for (size_t i = 0; i < x->n; i++) {
        uint64_t on = 0;
        if (!x->places[i].stop) left++;
        if (!x->places[i].stop && qn_map_get(&cut->stops, x->terms[i], &on) && on != 0)
            dropped++;
    }
    if (dropped == 0 || dropped == left) return; /* a query of such words alone */
    if (x->w != NULL) {
        begin_step(x, c, QN_QA_STOP);
        qn_json_key(x->w, "dropped");
        qn_json_begin_array(x->w);
    }
    for (size_t i = 0; i < x->n; i++) {
        uint64_t on = 0;
        if (x->places[i].stop || !qn_map_get(&cut->stops, x->terms[i], &on) || on == 0)
            continue;
        x->places[i].stop = true;
        if (x->w != NULL) qn_json_string(x->w, x->terms[i]);
    }
    if (x->w == NULL) return;
    qn_json_end_array(x->w);
    qn_json_end_object(x->w);
}

/* The words of an item stand somewhere in places [from, from + n): they get the weight. */
static qn_status weigh_item(text_run *x, size_t from, size_t n, qn_slice text,
                            int32_t weight)
{
    qn_slice *terms = NULL;
    size_t count = 0;
    QN_TRY(qn_qa__terms(x->run->arena, x->analyzer, text, &terms, &count, x->err));
    for (size_t i = from; count > 0 && i + count <= from + n; i++) {
        size_t k = 0;
        while (k < count && qn_slice_eq(x->terms[i + k], terms[k])) k++;
        if (k < count) continue;
        for (k = 0; k < count; k++) x->places[i + k].weight = weight;
    }
    return QN_OK;
}

static int32_t weight_of_tag(const qn_qa_processor *p, qn_slice tag)
{
    for (size_t i = 0; i < p->priority_count; i++)
        if (qn_slice_eq(p->priorities[i].tag, tag)) return p->priorities[i].value;
    return WEIGHT_MIDDLE;
}

static void tell_weights(text_run *x, const qn_qa_compiled *c, qn_qa_step step)
{
    if (x->w == NULL) return;
    begin_step(x, c, step);
    qn_json_key(x->w, "weights");
    qn_json_begin_object(x->w);
    for (size_t i = 0; i < x->n; i++) {
        if (x->places[i].weight == 0) continue;
        qn_json_key_slice(x->w, x->terms[i]);
        qn_json_int(x->w, x->places[i].weight);
    }
    qn_json_end_object(x->w);
    qn_json_end_object(x->w);
}

static qn_status entities(text_run *x, const qn_qa_compiled *c, const qn_qa_cut *cut)
{
    const qn_qa_dictionary *d = c->dictionaries[QN_QA_NER];
    bool any = false;
    for (size_t i = 0; i < x->n;) {
        size_t length, entry;
        if (!qn_qa__runs_find(&cut->names, x->terms + i, x->n - i, &length, &entry)) {
            i++;
            continue;
        }
        const qn_qa_entry *e = &d->entries[entry];
        bool whole = i == 0 && length == x->n;
        for (size_t k = 0; (e->partial || whole) && k < e->item_count; k++) {
            int32_t weight = weight_of_tag(&c->rule->steps[QN_QA_NER], e->items[k].tag);
            QN_TRY(weigh_item(x, i, length, e->items[k].key, weight));
            any = true;
        }
        i += length;
    }
    if (any) tell_weights(x, c, QN_QA_NER);
    return QN_OK;
}

/* Common words count little, rare ones much. */
static qn_status weight_by_frequency(text_run *x, place *p, qn_slice term, bool *any)
{
    uint64_t documents = 0, of = 0;
    const qn_qa_run *run = x->run;
    if (run->frequency == NULL) return QN_OK;
    QN_TRY(run->frequency(run->ctx, x->target, term, &documents, &of, x->err));
    if (of < 100 || documents == 0) return QN_OK;
    p->weight = documents > of / 5    ? WEIGHT_LOW
                : documents > of / 50 ? WEIGHT_MIDDLE
                                      : WEIGHT_HIGH;
    *any = true;
    return QN_OK;
}

static qn_status weights(text_run *x, const qn_qa_compiled *c, const qn_qa_cut *cut)
{
    const qn_qa_dictionary *d = c->dictionaries[QN_QA_WEIGHT];
    bool any = false;
    for (size_t i = 0; d != NULL && i < x->n;) {
        size_t length, entry;
        if (!qn_qa__runs_find(&cut->weights, x->terms + i, x->n - i, &length, &entry)) {
            i++;
            continue;
        }
        const qn_qa_entry *e = &d->entries[entry];
        for (size_t k = 0; k < e->item_count; k++)
            QN_TRY(weigh_item(x, i, length, e->items[k].key, e->items[k].value));
        any = true;
        i += length;
    }
    for (size_t i = 0; c->rule->steps[QN_QA_WEIGHT].use_system && i < x->n; i++)
        if (x->places[i].weight == 0 && !x->places[i].stop)
            QN_TRY(weight_by_frequency(x, &x->places[i], x->terms[i], &any));
    if (any) tell_weights(x, c, QN_QA_WEIGHT);
    return QN_OK;
}

/* Space apart: what a match points to is moved out of the set's hands. */
static bool keep_synonym(text_run *x, place *p, qn_synonym found)
{
    qn_synonym *copy = qn_arena_new(x->run->arena, sizeof *copy);
    const qn_synonym **list =
        qn_arena_array(x->run->arena, p->other_count + 1, sizeof *list);
    if (copy == NULL || list == NULL) return false;
    *copy = found;
    if (p->other_count > 0) memcpy(list, p->others, p->other_count * sizeof *list);
    list[p->other_count++] = copy;
    p->others = list;
    return true;
}

static void tell_synonyms(text_run *x, const qn_qa_compiled *c, size_t at,
                          const qn_synonyms *set, const qn_synonym_match *match)
{
    if (x->w == NULL) return;
    begin_step(x, c, QN_QA_SYNONYM);
    tell_terms(x, "words", at, match->length);
    qn_json_key(x->w, match->keep ? "added" : "became");
    qn_json_begin_array(x->w);
    qn_buf text;
    qn_buf_init(&text, x->run->arena->alloc);
    for (size_t i = 0; i < match->count; i++) {
        qn_synonym one = qn_synonyms_at(set, match, i);
        qn_buf_reset(&text);
        for (size_t k = 0; k < one.count; k++) {
            if (k > 0) qn_buf_add_char(&text, ' ');
            qn_buf_add_slice(&text, one.terms[k].bytes);
        }
        qn_json_string(x->w, qn_buf_slice(&text));
    }
    qn_buf_deinit(&text);
    qn_json_end_array(x->w);
    qn_json_end_object(x->w);
}

/* Stop words may be part of a left side; places that a rule before took are not. */
static qn_status synonyms(text_run *x, const qn_qa_compiled *c, const qn_qa_cut *cut)
{
    if (cut->synonyms == NULL) return QN_OK;
    for (size_t i = 0; i < x->n;) {
        qn_synonym_match match;
        size_t free_places = 0;
        while (i + free_places < x->n && x->places[i + free_places].length == 0 &&
               !x->places[i + free_places].inside)
            free_places++;
        if (!qn_synonyms_match(cut->synonyms, x->terms + i, free_places, &match)) {
            i++;
            continue;
        }
        place *p = &x->places[i];
        p->length = match.length;
        p->keep = match.keep;
        for (size_t k = 1; k < match.length; k++) x->places[i + k].inside = true;
        for (size_t k = 0; k < match.count; k++)
            if (!keep_synonym(x, p, qn_synonyms_at(cut->synonyms, &match, k)))
                return no_memory(x->err);
        tell_synonyms(x, c, i, cut->synonyms, &match);
        i += match.length;
    }
    return QN_OK;
}

static qn_status take_steps(text_run *x)
{
    for (size_t r = 0; r < x->run->rule_count; r++) {
        const qn_qa_compiled *c = x->run->rules[r];
        const qn_qa_cut *cut = qn_qa__cut_of(c, x->analyzer);
        if (cut == NULL || !qn_qa__applies(x->run, c, x->target)) continue;
        if (qn_qa__step_on(x->run, c, QN_QA_STOP, x->index)) stop_words(x, c, cut);
        if (qn_qa__step_on(x->run, c, QN_QA_NER, x->index)) QN_TRY(entities(x, c, cut));
        if (qn_qa__step_on(x->run, c, QN_QA_WEIGHT, x->index))
            QN_TRY(weights(x, c, cut));
        if (qn_qa__step_on(x->run, c, QN_QA_SYNONYM, x->index))
            QN_TRY(synonyms(x, c, cut));
    }
    return QN_OK;
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* Clauses under construction. */
typedef struct clauses {
    const qn_query **p;
    size_t n;
} clauses;

static qn_status add_clause(text_run *x, clauses *list, const qn_query *q)
{
    if (list->n == QN_QUERY_CLAUSES_MAX)
        return qn_fail_at(x->err, QN_ELIMIT, x->at, "query analysis: over %d clauses",
                          QN_QUERY_CLAUSES_MAX);
    if (list->p == NULL)
        list->p = qn_arena_array(x->run->arena, QN_QUERY_CLAUSES_MAX, sizeof *list->p);
    if (list->p == NULL) return no_memory(x->err);
    list->p[list->n++] = q;
    return QN_OK;
}

static qn_status leaf(text_run *x, qn_query_kind kind, const qn_query_term *terms,
                      size_t n, const qn_query **out)
{
    qn_query *q = NULL;
    QN_TRY(qn_leaf_new(x->m, kind, x->target, x->at, &q));
    qn_query_term *copy = qn_arena_array(x->run->arena, n, sizeof *copy);
    if (copy == NULL) return no_memory(x->err);
    memcpy(copy, terms, n * sizeof *copy);
    q->terms = copy;
    q->term_count = n;
    *out = q;
    return QN_OK;
}

static qn_status join(text_run *x, const clauses *must, const clauses *should,
                      uint32_t should_min, const qn_query **out)
{
    qn_query *q = NULL;
    if (must->n == 1 && should->n == 0) {
        *out = must->p[0];
        return QN_OK;
    }
    if (must->n == 0 && should->n == 1) {
        *out = should->p[0];
        return QN_OK;
    }
    QN_TRY(qn_leaf_new(x->m, QN_QUERY_BOOL, NULL, x->at, &q));
    q->u.boolean.must = (qn_query_list){must->p, must->n};
    q->u.boolean.should = (qn_query_list){should->p, should->n};
    q->u.boolean.should_min = must->n == 0 ? 1 : should_min;
    *out = q;
    return QN_OK;
}

/* The term of one place with its alternatives and, of synonyms, those of one word: they
 * score as one word. `own`: the place's tokens count. NULL when there is none. */
static qn_status term_of(text_run *x, const place *p, bool own, const qn_query **out)
{
    qn_query_term terms[QN_SYNONYM_SIDES_MAX * 2];
    size_t n = 0, most = sizeof terms / sizeof *terms;
    *out = NULL;
    for (size_t i = 0; own && i < p->count && n < most; i++)
        terms[n++] = (qn_query_term){p->tokens[i].term, 0};
    for (size_t i = 0; i < p->other_count && n < most; i++) {
        const qn_synonym *s = p->others[i];
        if (s->count != 1) continue;
        bool known = false;
        for (size_t k = 0; k < n; k++)
            known = known || qn_slice_eq(terms[k].bytes, s->terms[0].bytes);
        if (!known) terms[n++] = (qn_query_term){s->terms[0].bytes, 0};
    }
    return n == 0 ? QN_OK : leaf(x, QN_QUERY_TERM, terms, n, out);
}

/* Synonyms of several words, as phrases. */
static qn_status add_phrases(text_run *x, const place *p, clauses *list)
{
    for (size_t i = 0; i < p->other_count; i++) {
        qn_query_term terms[QN_SYNONYM_TERMS_MAX];
        const qn_synonym *s = p->others[i];
        const qn_query *q = NULL;
        if (s->count < 2) continue;
        for (size_t k = 0; k < s->count; k++)
            terms[k] = (qn_query_term){s->terms[k].bytes, s->terms[k].position};
        QN_TRY(leaf(x, QN_QUERY_PHRASE, terms, s->count, &q));
        QN_TRY(add_clause(x, list, q));
    }
    return QN_OK;
}

/* Place `i` with its synonyms as one clause: any of them. */
static qn_status group_of(text_run *x, size_t i, const qn_query **out)
{
    const place *p = &x->places[i];
    clauses any = {0}, all = {0}, none = {0};
    const qn_query *q = NULL;
    if (p->length <= 1) {
        QN_TRY(term_of(x, p, p->length == 0 || p->keep, &q));
        if (q != NULL) QN_TRY(add_clause(x, &any, q));
    } else {
        for (size_t k = 0; p->keep && k < p->length; k++) {
            place bare = {.tokens = x->places[i + k].tokens,
                          .count = x->places[i + k].count};
            QN_TRY(term_of(x, &bare, true, &q));
            QN_TRY(add_clause(x, &all, q));
        }
        if (all.n > 0) {
            QN_TRY(join(x, &all, &none, 0, &q));
            QN_TRY(add_clause(x, &any, q));
        }
        QN_TRY(term_of(x, p, false, &q));
        if (q != NULL) QN_TRY(add_clause(x, &any, q));
    }
    QN_TRY(add_phrases(x, p, &any));
    return join(x, &none, &any, 1, out);
}

/* Where any word is enough, so is any word of a left side. */
static qn_status add_loose(text_run *x, size_t i, clauses *list)
{
    const place *p = &x->places[i];
    const qn_query *q = NULL;
    if (p->length <= 1) {
        QN_TRY(term_of(x, p, p->length == 0 || p->keep, &q));
        if (q != NULL) QN_TRY(add_clause(x, list, q));
        return add_phrases(x, p, list);
    }
    for (size_t k = 0; p->keep && k < p->length; k++) {
        place bare = {.tokens = x->places[i + k].tokens,
                      .count = x->places[i + k].count};
        if (x->places[i + k].stop) continue;
        QN_TRY(term_of(x, &bare, true, &q));
        QN_TRY(add_clause(x, list, q));
    }
    QN_TRY(term_of(x, p, false, &q));
    if (q != NULL) QN_TRY(add_clause(x, list, q));
    return add_phrases(x, p, list);
}

/* The weight of a clause is the greatest of its places'. */
static int32_t weight_at(const text_run *x, size_t i)
{
    int32_t weight = 0;
    size_t n = x->places[i].length == 0 ? 1 : x->places[i].length;
    for (size_t k = 0; k < n; k++) {
        int32_t one =
            x->places[i + k].weight == 0 ? WEIGHT_MIDDLE : x->places[i + k].weight;
        if (one > weight) weight = one;
    }
    return weight;
}

/* Is there a place of that weight or above? */
static bool has_weight(const text_run *x, int32_t weight)
{
    for (size_t i = 0; i < x->n; i++)
        if (!x->places[i].inside && (x->places[i].length > 0 || !x->places[i].stop) &&
            weight_at(x, i) >= weight)
            return true;
    return false;
}

static qn_status build(text_run *x, qn_qa_join how, const qn_query **out)
{
    clauses needed = {0}, extra = {0}, none = {0};
    int32_t least = how == QN_QA_HIGH ? WEIGHT_HIGH : WEIGHT_MIDDLE;
    if (!has_weight(x, least)) least = WEIGHT_LOW;
    for (size_t i = 0; i < x->n; i++) {
        const place *p = &x->places[i];
        if (p->inside || (p->stop && p->length == 0)) continue;
        clauses *list = weight_at(x, i) >= least ? &needed : &extra;
        const qn_query *q = NULL;
        if (how == QN_QA_OR) {
            QN_TRY(add_loose(x, i, list));
            continue;
        }
        QN_TRY(group_of(x, i, &q));
        QN_TRY(add_clause(x, list, q));
    }
    if (how == QN_QA_OR && extra.n > 0) {
        const qn_query *any = NULL;
        clauses must = {0};
        QN_TRY(join(x, &none, &needed, 1, &any));
        QN_TRY(add_clause(x, &must, any));
        return join(x, &must, &extra, 0, out);
    }
    return how == QN_QA_OR ? join(x, &none, &needed, 1, out)
                           : join(x, &needed, &extra, 0, out);
}

/* ---- a text ------------------------------------------------------------------------------- */

static qn_status find_places(text_run *x)
{
    x->places = qn_arena_array(x->run->arena, x->tokens.n + 1, sizeof *x->places);
    x->terms = qn_arena_array(x->run->arena, x->tokens.n + 1, sizeof *x->terms);
    if (x->places == NULL || x->terms == NULL) return no_memory(x->err);
    for (size_t i = 0; i < x->tokens.n; i++) {
        const qn_token *t = &x->tokens.p[i];
        if (i > 0 && t->position == x->tokens.p[i - 1].position) {
            x->places[x->n - 1].count++;
            continue;
        }
        x->places[x->n] = (place){.tokens = t, .count = 1};
        x->terms[x->n++] = t->term;
    }
    return QN_OK;
}

/* How terms are joined this time: the first rule that says so; else as the request has it,
 * then by OR. */
static qn_qa_join join_of(text_run *x, const qn_leaf_match *how)
{
    qn_qa_join asked[2] = {how->any ? QN_QA_OR : QN_QA_AND, QN_QA_OR};
    const qn_qa_join *joins = asked;
    size_t count = how->any ? 1 : 2;
    qn_qa_run *run = x->run;
    bool said = false;
    for (size_t r = 0; r < run->rule_count; r++) {
        const qn_qa_rule *rule = run->rules[r]->rule;
        if (!qn_qa__applies(run, run->rules[r], x->target)) continue;
        if (rule->retry_below > run->retry_below) run->retry_below = rule->retry_below;
        if (said || rule->join_count == 0) continue;
        joins = rule->joins;
        count = rule->join_count;
        said = true;
    }
    if (run->once) {
        joins = asked;
        count = 1;
    }
    if (count > run->attempt_count) run->attempt_count = count;
    run->joined = joins[run->attempt < count ? run->attempt : count - 1];
    return run->joined;
}

static qn_status report_for(qn_qa_run *run, qn_slice text, const qn_analyzer *analyzer,
                            qn_slice index, qn_qa_report **out, bool *fresh,
                            qn_error *err)
{
    qn_qa_report **slot = &run->reports;
    while (*slot != NULL &&
           ((*slot)->analyzer != analyzer || !qn_slice_eq((*slot)->text, text)))
        slot = &(*slot)->next;
    *fresh = *slot == NULL;
    if (*fresh) *slot = qn_arena_new(run->arena, sizeof **slot);
    qn_qa_report *r = *out = *slot;
    if (r == NULL) return no_memory(err);
    if (*fresh) {
        r->analyzer = analyzer;
        r->text = qn_arena_slice(run->arena, text);
        r->told = r->rewritten = r->corrected = QN_SLICE_LIT("");
    }
    for (size_t i = 0; i < r->index_count; i++)
        if (qn_slice_eq(r->indexes[i], index)) return QN_OK;
    qn_slice *list = qn_arena_array(run->arena, r->index_count + 1, sizeof *list);
    if (list == NULL || r->text.p == NULL) return no_memory(err);
    if (r->index_count > 0) memcpy(list, r->indexes, r->index_count * sizeof *list);
    list[r->index_count++] = index;
    r->indexes = list;
    return QN_OK;
}

static qn_status keep_dump(text_run *x, const qn_query *tree, qn_qa_report *report)
{
    qn_buf b;
    qn_buf_init(&b, x->run->arena->alloc);
    qn_query_dump(tree, &b);
    report->rewritten = qn_arena_slice(x->run->arena, qn_buf_slice(&b));
    bool failed = b.failed || report->rewritten.p == NULL;
    qn_buf_deinit(&b);
    return failed ? no_memory(x->err) : QN_OK;
}

/* Spelling, cutting, steps; what was done is told the first time the text is seen. */
static qn_status prepare(text_run *x, qn_qa_report *report, bool fresh, bool *too_long)
{
    qn_buf b;
    qn_json_writer w;
    qn_buf_init(&b, x->run->arena->alloc);
    qn_json_writer_init(&w, &b, false);
    qn_status st = QN_OK;
    qn_json_begin_array(&w);
    if (fresh) {
        st = qn_qa__spell(x->run, x->target, report, &w, x->err);
        x->w = &w;
    }
    qn_slice text = report->sure ? report->corrected : report->text;
    if (st == QN_OK)
        st = qn_analyzer_run(x->analyzer, text, x->run->arena, &x->tokens, x->err);
    *too_long = x->tokens.n > QN_QA_WORDS_MAX;
    if (st == QN_OK && !*too_long) st = find_places(x);
    if (st == QN_OK && !*too_long) st = take_steps(x);
    if (st == QN_OK && fresh) {
        qn_json_end_array(&w);
        report->told = qn_arena_slice(x->run->arena, qn_buf_slice(&b));
        if (b.failed || report->told.p == NULL) st = no_memory(x->err);
    }
    qn_buf_deinit(&b);
    return st;
}

qn_status qn_qa_analyse(void *ctx, qn_leaf_maker *m, const qn_leaf_target *t,
                        qn_slice text, uint64_t at, const qn_leaf_match *how,
                        qn_query **out, bool *done)
{
    qn_qa_run *run = ctx;
    text_run x = {.run = run,
                  .m = m,
                  .target = t,
                  .index = qn_leaf_target_name(t),
                  .at = at,
                  .err = m->err};
    bool any = false, fresh, too_long;
    *out = NULL;
    *done = false;
    for (size_t r = 0; r < run->rule_count; r++)
        any = any || qn_qa__applies(run, run->rules[r], t);
    /* How many clauses have to match is counted in words as typed. */
    if (!any || text.n > QN_QA_TEXT_MAX || how->should_min.n > 0) return QN_OK;
    qn_slice name = how->analyzer;
    if (name.n == 0) name = qn_slice_of(t->analyzer == NULL ? "standard" : t->analyzer);
    QN_TRY(qn_analyzer_find(run->analyzers, name, &x.analyzer, m->err));
    qn_qa_report *report = NULL;
    QN_TRY(report_for(run, text, x.analyzer, x.index, &report, &fresh, m->err));
    QN_TRY(prepare(&x, report, fresh, &too_long));
    if (too_long) return QN_OK;
    *done = true;
    qn_qa_join joined = join_of(&x, how);
    if (x.n == 0) return QN_OK;
    const qn_query *tree = NULL;
    QN_TRY(build(&x, joined, &tree));
    QN_TRY(keep_dump(&x, tree, report));
    /* Leaves and groups are fresh: the caller may still set boosts and labels. */
    qn_query *own = qn_arena_new(run->arena, sizeof *own);
    if (own == NULL) return no_memory(m->err);
    *own = *tree;
    *out = own;
    return QN_OK;
}
