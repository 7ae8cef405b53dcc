/* SPDX-License-Identifier: Apache-2.0 */
/* match, match_phrase, multi_match. */
#include "query/dsl/dsl_internal.h"

typedef struct text_options {
    const qn_json *query;
    qn_leaf_match how;
    bool zero_is_all; /* zero_terms_query: all */
    bool lenient;
    float tie_breaker;
    bool has_tie_breaker;
    qn_dsl_common common;
} text_options;

static qn_status bad_value(qn_dsl *d, const qn_json *m, const char *type)
{
    qn_slice raw = m->kind == QN_JSON_STRING ? m->string : m->raw;
    return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, m),
                      "[%s] query: wrong value [%.*s] for [%.*s]", type,
                      (int)(raw.n > 100 ? 100 : raw.n), raw.p, QN_SLICE_ARG(m->key));
}

static qn_status unsupported(qn_dsl *d, const qn_json *m, const char *type,
                             const char *why)
{
    return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                      "[%s] query: [%.*s] is not supported%s", type,
                      QN_SLICE_ARG(m->key), why);
}

static qn_status read_operator(qn_dsl *d, const qn_json *m, const char *type,
                               text_options *o)
{
    qn_slice s;
    QN_TRY(qn_dsl__text(d, m, &s));
    if (!qn_slice_eq_nocase(s, "and") && !qn_slice_eq_nocase(s, "or"))
        return bad_value(d, m, type);
    o->how.any = qn_slice_eq_nocase(s, "or");
    return QN_OK;
}

/* Members that say how to spread over spellings: without fuzziness they do nothing. */
static bool only_for_fuzziness(const qn_json *m)
{
    return qn_dsl__key_is(m, "prefix_length") || qn_dsl__key_is(m, "max_expansions") ||
           qn_dsl__key_is(m, "fuzzy_transpositions") ||
           qn_dsl__key_is(m, "fuzzy_rewrite") ||
           qn_dsl__key_is(m, "auto_generate_synonyms_phrase_query");
}

/* One member of the object form; *taken false when it is of no text query. */
static qn_status text_member(qn_dsl *d, const qn_json *m, const char *type,
                             text_options *o, bool *taken)
{
    QN_TRY(qn_dsl__common(d, type, m, &o->common, taken));
    if (*taken) return QN_OK;
    *taken = true;
    qn_slice s;
    if (qn_dsl__key_is(m, "query")) {
        o->query = m;
    } else if (qn_dsl__key_is(m, "analyzer")) {
        QN_TRY(qn_dsl__text(d, m, &o->how.analyzer));
    } else if (qn_dsl__key_is(m, "zero_terms_query")) {
        QN_TRY(qn_dsl__text(d, m, &s));
        o->zero_is_all = qn_slice_eq_nocase(s, "all");
        if (!o->zero_is_all && !qn_slice_eq_nocase(s, "none"))
            return bad_value(d, m, type);
    } else if (qn_dsl__key_is(m, "slop")) {
        int64_t slop;
        QN_TRY(qn_dsl__i64(d, m, &slop));
        if (slop < 0 || slop > INT32_MAX) return bad_value(d, m, type);
        o->how.slop = (uint32_t)slop;
    } else if (o->how.phrase) {
        *taken = false;
    } else if (qn_dsl__key_is(m, "operator")) {
        return read_operator(d, m, type, o);
    } else if (qn_dsl__key_is(m, "minimum_should_match")) {
        QN_TRY(qn_dsl__text(d, m, &o->how.should_min));
    } else if (qn_dsl__key_is(m, "lenient")) {
        return qn_dsl__flag(d, m, &o->lenient);
    } else if (qn_dsl__key_is(m, "fuzziness")) {
        return unsupported(d, m, type, "");
    } else {
        *taken = only_for_fuzziness(m);
    }
    return QN_OK;
}

/* The text in one target: NULL where nothing is left of it. */
static qn_status match_target(qn_dsl *d, const qn_leaf_target *t, const text_options *o,
                              qn_query **out)
{
    qn_slice text;
    QN_TRY(qn_dsl__text(d, o->query, &text));
    uint64_t at = qn_dsl__at(d, o->query);
    qn_status st = qn_leaf_text(&d->make, t, text, at, &o->how, out);
    if (st == QN_EFIELDTYPE && o->lenient) {
        *out = NULL;
        return QN_OK;
    }
    if (st == QN_OK && *out == NULL && o->zero_is_all)
        return qn_leaf_new(&d->make, QN_QUERY_ALL, NULL, at, out);
    return st;
}

static qn_status match_field(qn_dsl *d, const char *type, const qn_json *body,
                             bool phrase, const qn_query **out)
{
    text_options o = {.common = QN_DSL_COMMON, .how = {.any = true, .phrase = phrase}};
    const qn_json *field;
    QN_TRY(qn_dsl__one_field(d, type, body, &o.common, &field));
    if (field->kind != QN_JSON_OBJECT) o.query = field;
    for (const qn_json *m = o.query == NULL ? field->first : NULL; m != NULL;
         m = m->next) {
        bool taken;
        QN_TRY(text_member(d, m, type, &o, &taken));
        if (!taken) return qn_dsl__unknown_key(d, type, m);
    }
    if (o.query == NULL || o.query->kind == QN_JSON_NULL)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                          "No text specified for text query");
    qn_leaf_target target;
    bool known;
    QN_TRY(qn_dsl__target(d, field->key, field, &target, &known));
    qn_query *q = NULL;
    if (known) QN_TRY(match_target(d, &target, &o, &q));
    return qn_dsl__finish(d, body, q, &o.common, out);
}

qn_status qn_dsl__match(qn_dsl *d, const char *type, const qn_json *body,
                        const qn_query **out)
{
    return match_field(d, type, body, false, out);
}

qn_status qn_dsl__match_phrase(qn_dsl *d, const char *type, const qn_json *body,
                               const qn_query **out)
{
    return match_field(d, type, body, true, out);
}

/* ---- multi_match ------------------------------------------------------------------ */

typedef struct field_matches {
    qn_query *nodes[QN_QUERY_FIELDS_MAX];
    size_t n;
} field_matches;

static qn_status add_target(qn_dsl *d, const qn_leaf_target *t, float boost,
                            const qn_json *v, const text_options *o, field_matches *f)
{
    qn_query *q;
    QN_TRY(match_target(d, t, o, &q));
    if (q == NULL) return QN_OK;
    if (f->n == QN_QUERY_FIELDS_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, v),
                          "multi_match over more than %d fields", QN_QUERY_FIELDS_MAX);
    q->boost *= boost;
    f->nodes[f->n++] = q;
    return QN_OK;
}

/* Every searchable text and keyword field that a pattern names. */
static qn_status add_pattern(qn_dsl *d, qn_slice pattern, float boost, const qn_json *v,
                             const text_options *o, field_matches *f)
{
    const qn_schema *s = d->make.env->schema;
    for (size_t i = 0; i < s->field_count; i++) {
        const qn_field *field = &s->fields[i];
        bool words = field->type == QN_FIELD_TEXT || field->type == QN_FIELD_KEYWORD;
        if (!words || !field->indexed) continue;
        if (!qn_dsl__pattern_matches(pattern, field->name)) continue;
        qn_leaf_target t;
        QN_TRY(qn_leaf_target_field(&d->make, field, &t));
        QN_TRY(add_target(d, &t, boost, v, o, f));
    }
    return QN_OK;
}

/* "title^3" */
static qn_status add_field(qn_dsl *d, const qn_json *v, const text_options *o,
                           field_matches *f)
{
    qn_slice name;
    QN_TRY(qn_dsl__text(d, v, &name));
    float boost = 1.0f;
    const char *caret = memchr(name.p, '^', name.n);
    if (caret != NULL) {
        double value;
        qn_slice number = {caret + 1, (size_t)(name.p + name.n - caret - 1)};
        if (!qn_slice_to_f64(number, &value) || value < 0)
            return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                              "wrong boost in field [%.*s]", QN_SLICE_ARG(name));
        boost = (float)value;
        name.n = (size_t)(caret - name.p);
    }
    if (memchr(name.p, '*', name.n) != NULL)
        return add_pattern(d, name, boost, v, o, f);
    qn_leaf_target target;
    bool known;
    QN_TRY(qn_dsl__target(d, name, v, &target, &known));
    return known ? add_target(d, &target, boost, v, o, f) : QN_OK;
}

static qn_status add_fields(qn_dsl *d, const qn_json *fields, const text_options *o,
                            field_matches *f)
{
    if (fields == NULL) return add_pattern(d, QN_SLICE_LIT("*"), 1.0f, o->query, o, f);
    if (fields->kind != QN_JSON_ARRAY) return add_field(d, fields, o, f);
    for (const qn_json *v = fields->first; v != NULL; v = v->next)
        QN_TRY(add_field(d, v, o, f));
    return QN_OK;
}

/* best_fields, most_fields, phrase: sets how the fields are joined. */
static qn_status read_type(qn_dsl *d, const qn_json *m, text_options *o, bool *most)
{
    qn_slice s;
    QN_TRY(qn_dsl__text(d, m, &s));
    *most = qn_slice_eq_str(s, "most_fields");
    if (*most || qn_slice_eq_str(s, "best_fields")) return QN_OK;
    o->how.phrase = qn_slice_eq_str(s, "phrase");
    if (o->how.phrase) return QN_OK;
    static const char *const others[] = {"cross_fields", "phrase_prefix",
                                         "bool_prefix"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (qn_slice_eq_str(s, others[i]))
            return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                              "multi_match of type [%s] is not supported", others[i]);
    }
    return bad_value(d, m, "multi_match");
}

qn_status qn_dsl__multi_match(qn_dsl *d, const char *type, const qn_json *body,
                              const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    text_options o = {.common = QN_DSL_COMMON, .how = {.any = true}};
    const qn_json *fields = NULL;
    bool most = false;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken = true;
        if (qn_dsl__key_is(m, "fields")) {
            fields = m;
        } else if (qn_dsl__key_is(m, "type")) {
            QN_TRY(read_type(d, m, &o, &most));
        } else if (qn_dsl__key_is(m, "tie_breaker")) {
            o.has_tie_breaker = true;
            QN_TRY(qn_dsl__float(d, m, &o.tie_breaker));
        } else {
            bool phrase = o.how.phrase;
            o.how.phrase = false; /* all members are known, whatever the type */
            QN_TRY(text_member(d, m, type, &o, &taken));
            o.how.phrase = phrase;
        }
        if (!taken) return qn_dsl__unknown_key(d, type, m);
    }
    if (o.query == NULL || o.query->kind == QN_JSON_NULL)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                          "No text specified for multi_match query");
    field_matches f = {.n = 0};
    QN_TRY(add_fields(d, fields, &o, &f));
    if (f.n == 1) return qn_dsl__finish(d, body, f.nodes[0], &o.common, out);
    qn_query *q = NULL;
    if (f.n > 0) {
        uint64_t at = qn_dsl__at(d, body);
        const qn_query **p = qn_arena_array(d->make.arena, f.n, sizeof *p);
        if (p == NULL) return qn_fail(d->make.err, QN_ENOMEM, "query tree");
        for (size_t i = 0; i < f.n; i++) p[i] = f.nodes[i];
        QN_TRY(qn_leaf_new(&d->make, QN_QUERY_DISMAX, NULL, at, &q));
        q->u.dismax.children = (qn_query_list){p, f.n};
        q->u.dismax.tie_breaker = o.has_tie_breaker ? o.tie_breaker
                                  : most            ? 1.0f
                                                    : 0.0f;
    }
    return qn_dsl__finish(d, body, q, &o.common, out);
}
