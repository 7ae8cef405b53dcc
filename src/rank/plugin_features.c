/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_features.c -- feature objects of plug-ins: each is a formula. */
#include "rank/plugin_internal.h"

#include <math.h>
#include <stdio.h>

bool qn_plugin__is_name(qn_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return s.n > 0 && s.n <= 128;
}

/* ---- formulas --------------------------------------------------------------------------- */

/* The i-th argument as a name that can stand in a formula. */
static qn_status name_of(const qn_cava_call *c, size_t i, qn_slice *out, qn_error *err)
{
    *out = (qn_slice){"", 0};
    if (c->args[i].r == NULL) return qn_fail(err, QN_EPLUGIN, "create(): null");
    *out = qn_cava_string(c->args[i].r);
    if (qn_plugin__is_name(*out)) return QN_OK;
    return qn_fail(err, QN_EPLUGIN, "create(): '%.*s' is no name of a field or index",
                   (int)(out->n > 64 ? 64 : out->n), out->p);
}

static qn_status text_of(const qn_cava_call *c, size_t i, qn_slice *out, qn_error *err)
{
    *out = (qn_slice){"", 0};
    if (c->args[i].r == NULL) return qn_fail(err, QN_EPLUGIN, "create(): null");
    *out = qn_cava_string(c->args[i].r);
    for (size_t k = 0; k < out->n; k++)
        if ((unsigned char)out->p[k] < ' ' || out->p[k] == '"' || out->p[k] == '\\')
            return qn_fail(err, QN_EPLUGIN,
                           "create(): a name with a quote or control character");
    return QN_OK;
}

/* Formulas of the features that have an index and a field. */
static const char *pair_formula(qn_cava_make make)
{
    switch (make) {
    case QN_CAVA_MAKE_BM25:
        return "field_bm25";
    case QN_CAVA_MAKE_WEIGHTED:
        return "field_match_weighted";
    case QN_CAVA_MAKE_FIELD_RATIO:
        return "field_match_ratio";
    case QN_CAVA_MAKE_LENGTH:
        return "field_length";
    case QN_CAVA_MAKE_FIELD_COUNT:
        return "field_term_match_count";
    case QN_CAVA_MAKE_PROXIMITY:
        return "fieldterm_proximity";
    case QN_CAVA_MAKE_RELEVANCE:
        return "text_relevance";
    default:
        return NULL;
    }
}

/* What a query feature of a whole index is: the best of its fields. */
static qn_status over_index(qn_rank_scorer *s, const char *function, qn_slice index,
                            qn_buf *b, qn_error *err)
{
    const qn_schema *schema = s->in->snapshot->schema;
    const qn_index_def *def = qn_schema_index(schema, index);
    size_t n = 0;
    if (def == NULL || def->kind != QN_INDEX_TEXT)
        return qn_fail(err, QN_EPLUGIN, "create(): no text index '%.*s'",
                       QN_SLICE_ARG(index));
    for (size_t i = 0; i < def->field_count; i++) {
        const qn_field *f = qn_schema_field_by_id(schema, def->fields[i]);
        if (f == NULL || f->type != QN_FIELD_TEXT) continue;
        if (i + 1 < def->field_count) qn_buf_add_str(b, "max(");
        qn_buf_printf(b, "%s(%.*s,%.*s)", function, QN_SLICE_ARG(f->name),
                      QN_SLICE_ARG(index));
        qn_buf_add_str(b, i + 1 < def->field_count ? "," : "");
        n++;
    }
    for (size_t i = 1; i < n; i++) qn_buf_add_char(b, ')');
    return n > 0 ? QN_OK
                 : qn_fail(err, QN_EPLUGIN, "create(): index '%.*s' has no text field",
                           QN_SLICE_ARG(index));
}

/* A number of the request, for a coordinate. */
static qn_status coordinate(qn_rank_scorer *s, const qn_cava_call *c, size_t i,
                            double *out, qn_error *err)
{
    qn_slice key, value;
    QN_TRY(text_of(c, i, &key, err));
    if (!qn_binding_kvpair(&s->binding, key, &value) || !qn_slice_to_f64(value, out))
        return qn_fail(err, QN_EPLUGIN,
                       "create(): the request has no number '%.*s' in kvpairs",
                       QN_SLICE_ARG(key));
    return QN_OK;
}

static qn_status distance(qn_rank_scorer *s, const qn_cava_call *c, qn_buf *b,
                          qn_error *err)
{
    qn_slice lon, lat;
    double x = 0, y = 0;
    QN_TRY(name_of(c, 1, &lon, err));
    QN_TRY(name_of(c, 2, &lat, err));
    QN_TRY(coordinate(s, c, 3, &x, err));
    QN_TRY(coordinate(s, c, 4, &y, err));
    qn_buf_printf(b, "distance(%.*s,%.*s,\"%.17g\",\"%.17g\")", QN_SLICE_ARG(lon),
                  QN_SLICE_ARG(lat), x, y);
    return QN_OK;
}

static qn_status tags(const qn_cava_call *c, qn_buf *b, qn_error *err)
{
    qn_slice key, field, op = {"", 0}, merge;
    QN_TRY(text_of(c, 1, &key, err));
    QN_TRY(name_of(c, 2, &field, err));
    QN_TRY(text_of(c, 4, &merge, err));
    qn_buf_printf(b, "tag_match(\"%.*s\",%.*s,", QN_SLICE_ARG(key),
                  QN_SLICE_ARG(field));
    if (c->arg == QN_CAVA_MAKE_TAGS_RESULT) {
        qn_buf_printf(b, "%.17g", c->args[3].d);
    } else {
        QN_TRY(text_of(c, 3, &op, err));
        qn_buf_printf(b, "\"%.*s\"", QN_SLICE_ARG(op));
    }
    qn_buf_printf(b, ",\"%.*s\"", QN_SLICE_ARG(merge));
    if (c->n > 5) qn_buf_add_str(b, c->args[5].i != 0 ? ",true" : ",false");
    if (c->n > 6) qn_buf_add_str(b, c->args[6].i != 0 ? ",true" : ",false");
    if (c->n > 7) qn_buf_printf(b, ",%lld", (long long)c->args[7].i);
    qn_buf_add_char(b, ')');
    return QN_OK;
}

/* Query features: of the whole query, of an index, of an index and a field. */
static qn_status query_feature(qn_rank_scorer *s, const qn_cava_call *c,
                               const char *function, qn_buf *b, qn_error *err)
{
    qn_slice index, field;
    if (c->n == 1) {
        qn_buf_printf(b, "%s()", function);
        return QN_OK;
    }
    QN_TRY(name_of(c, 1, &index, err));
    if (c->n == 2) return over_index(s, function, index, b, err);
    QN_TRY(name_of(c, 2, &field, err));
    qn_buf_printf(b, "%s(%.*s,%.*s)", function, QN_SLICE_ARG(field),
                  QN_SLICE_ARG(index));
    return QN_OK;
}

static qn_status keywords(const qn_cava_call *c, qn_buf *b, qn_error *err)
{
    qn_slice i, f;
    QN_TRY(name_of(c, 1, &i, err));
    QN_TRY(name_of(c, 2, &f, err));
    qn_buf_printf(
        b,
        "if(query_term_match_count(%.*s,%.*s)==0,0,"
        "if(query_term_match_count(%.*s,%.*s)>=query_term_count(%.*s),1,0.5))",
        QN_SLICE_ARG(f), QN_SLICE_ARG(i), QN_SLICE_ARG(f), QN_SLICE_ARG(i),
        QN_SLICE_ARG(i));
    return QN_OK;
}

static qn_status one_name(const qn_cava_call *c, const char *function, qn_buf *b,
                          qn_error *err)
{
    qn_slice name;
    QN_TRY(name_of(c, 1, &name, err));
    qn_buf_printf(b, "%s(%.*s)", function, QN_SLICE_ARG(name));
    return QN_OK;
}

static qn_status window(const qn_cava_call *c, qn_buf *b, qn_error *err)
{
    qn_slice i, f;
    QN_TRY(name_of(c, 1, &i, err));
    QN_TRY(name_of(c, 2, &f, err));
    qn_buf_printf(b, "query_min_slide_window(%.*s,%s,%.*s)", QN_SLICE_ARG(f),
                  c->n > 3 && c->args[3].i != 0 ? "true" : "false", QN_SLICE_ARG(i));
    return QN_OK;
}

/* (5 weighted + 0.5 bm25 + 9 proximity) / 14.5, with weights of the plug-in's own. */
static void relevance(const qn_plugin_feature *f, qn_buf *b)
{
    double sum = f->match + f->bm25 + f->proximity;
    qn_slice i = f->a, n = f->b;
    if (!f->changed) {
        qn_buf_printf(b, "text_relevance(%.*s,%.*s)", QN_SLICE_ARG(n), QN_SLICE_ARG(i));
        return;
    }
    qn_buf_printf(b,
                  "(field_match_weighted(%.*s,%.*s)*%.17g+field_bm25(%.*s,%.*s)*%.17g+"
                  "fieldterm_proximity(%.*s,%.*s)*%.17g)/%.17g",
                  QN_SLICE_ARG(n), QN_SLICE_ARG(i), f->match, QN_SLICE_ARG(n),
                  QN_SLICE_ARG(i), f->bm25, QN_SLICE_ARG(n), QN_SLICE_ARG(i),
                  f->proximity, sum);
}

/* The weighted mean of field_bm25() over the fields. */
static void bm25f(const qn_plugin_feature *f, qn_buf *b)
{
    double sum = 0;
    qn_buf_add_char(b, '(');
    for (size_t i = 0; i < f->field_count; i++) {
        qn_buf_printf(b, "%sfield_bm25(%.*s,%.*s)*%.17g", i == 0 ? "" : "+",
                      QN_SLICE_ARG(f->fields[i]), QN_SLICE_ARG(f->a), f->weights[i]);
        sum += f->weights[i];
    }
    qn_buf_printf(b, ")/%.17g", sum);
}

/* The fields of BM25F: those given, else those of the index. */
static qn_status bm25f_fields(qn_rank_scorer *s, const qn_cava_call *c,
                              qn_plugin_feature *f, qn_error *err)
{
    const qn_schema *schema = s->in->snapshot->schema;
    const qn_index_def *def = qn_schema_index(schema, f->a);
    const qn_cava_object *given = c->n > 2 ? c->args[2].r : NULL;
    qn_slice *fields = qn_arena_array(s->arena, QN_PLUGIN_FIELDS_MAX, sizeof *fields);
    if (fields == NULL) return qn_fail(err, QN_ENOMEM, "plug-in");
    if (def == NULL)
        return qn_fail(err, QN_EPLUGIN, "create(): no index '%.*s'",
                       QN_SLICE_ARG(f->a));
    size_t n = given != NULL ? given->n : def->field_count;
    if (n == 0 || n > QN_PLUGIN_FIELDS_MAX)
        return qn_fail(err, QN_EPLUGIN, "create(): BM25F takes 1 to %d fields",
                       QN_PLUGIN_FIELDS_MAX);
    for (size_t i = 0; i < n; i++) {
        qn_cava_object *const *items = given == NULL ? NULL : qn_cava_items(given);
        const qn_field *field =
            given != NULL ? NULL : qn_schema_field_by_id(schema, def->fields[i]);
        if (given != NULL && items[i] == NULL)
            return qn_fail(err, QN_EPLUGIN, "create(): null");
        qn_slice name = given != NULL ? qn_cava_string(items[i]) : field->name;
        if (!qn_plugin__is_name(name))
            return qn_fail(err, QN_EPLUGIN, "create(): a field without a name");
        fields[i] = qn_arena_slice(s->arena, name);
        f->weights[i] = 1;
    }
    f->fields = fields;
    f->field_count = n;
    return QN_OK;
}

static qn_status write_formula(qn_rank_scorer *s, qn_cava_call *c, qn_plugin_feature *f,
                               qn_buf *b, qn_error *err)
{
    const char *pair = pair_formula(f->make);
    if (pair != NULL || f->make == QN_CAVA_MAKE_BM25F ||
        f->make == QN_CAVA_MAKE_BM25F_FIELDS)
        QN_TRY(name_of(c, 1, &f->a, err));
    if (pair != NULL) {
        QN_TRY(name_of(c, 2, &f->b, err));
        qn_buf_printf(b, "%s(%.*s,%.*s)", pair, QN_SLICE_ARG(f->b), QN_SLICE_ARG(f->a));
        return QN_OK;
    }
    switch (f->make) {
    case QN_CAVA_MAKE_FIRST_PHASE:
        qn_buf_add_str(b, "first_phase_score()");
        return QN_OK;
    case QN_CAVA_MAKE_CATEGORY:
        return one_name(c, "category_score", b, err);
    case QN_CAVA_MAKE_POPULARITY:
        return one_name(c, "popularity", b, err);
    case QN_CAVA_MAKE_PROXIMA:
        return one_name(c, "proxima_score", b, err);
    case QN_CAVA_MAKE_DISTANCE:
        return distance(s, c, b, err);
    case QN_CAVA_MAKE_TAGS:
    case QN_CAVA_MAKE_TAGS_RESULT:
        return tags(c, b, err);
    case QN_CAVA_MAKE_BM25F:
    case QN_CAVA_MAKE_BM25F_FIELDS:
        QN_TRY(bm25f_fields(s, c, f, err));
        bm25f(f, b);
        return QN_OK;
    case QN_CAVA_MAKE_KEYWORDS:
        return keywords(c, b, err);
    case QN_CAVA_MAKE_QUERY_RATIO:
        return query_feature(s, c, "query_match_ratio", b, err);
    case QN_CAVA_MAKE_MATCH_COUNT:
        return query_feature(s, c, "query_term_match_count", b, err);
    case QN_CAVA_MAKE_TERM_COUNT:
        if (c->n > 1) return one_name(c, "query_term_count", b, err);
        qn_buf_add_str(b, "query_term_count()");
        return QN_OK;
    case QN_CAVA_MAKE_WINDOW:
        return window(c, b, err);
    case QN_CAVA_MAKE_GEO_DISTANCE:
        return qn_fail(err, QN_EPLUGIN,
                       "Distance over a point field is not available: give the fields "
                       "of longitude and latitude");
    default: /* LLM */
        return qn_fail(err, QN_EPLUGIN,
                       "TextRelevanceLLM is not available in plug-ins: use "
                       "text_relevance_llm() in a formula");
    }
}

/* Opens the formula; what is wrong with it is the plug-in's failure. */
static qn_status open_formula(qn_rank_scorer *s, qn_plugin_feature *f, qn_slice text,
                              qn_error *err)
{
    qn_rank_formula *formula = NULL;
    f->text = qn_arena_slice(s->arena, text);
    if (f->values == NULL)
        f->values = qn_arena_array(s->arena, QN_EXPR_LANES, sizeof *f->values);
    if (f->text.p == NULL || f->values == NULL)
        return qn_fail(err, QN_ENOMEM, "plug-in");
    qn_status st = qn_rank_formula_open(s->in, s->arena, "feature", f->text,
                                        QN_EXPR_IN_FINE, &formula, err);
    if (st != QN_OK && st != QN_ENOMEM) {
        if (err != NULL) err->code = QN_EPLUGIN;
        return QN_EPLUGIN;
    }
    QN_TRY(st);
    qn_rank_formula_close(f->formula);
    f->formula = formula;
    f->block = 0;
    return QN_OK;
}

qn_status qn_plugin__create(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    if (!s->starting) return qn_fail(err, QN_EPLUGIN, "features are made in init()");
    if (s->feature_count == QN_PLUGIN_FEATURES_MAX)
        return qn_fail(err, QN_EPLUGIN, "more than %d features",
                       QN_PLUGIN_FEATURES_MAX);
    qn_plugin_feature *f = &s->features[s->feature_count];
    *f = (qn_plugin_feature){.make = (qn_cava_make)c->arg};
    f->bm25 = 0.5, f->match = 5, f->proximity = 9;
    if (f->make != QN_CAVA_MAKE_BASIC) {
        qn_buf b;
        qn_buf_init(&b, qn_alloc_heap());
        qn_status st = write_formula(s, c, f, &b, err);
        if (st == QN_OK && b.failed) st = qn_fail(err, QN_ENOMEM, "plug-in");
        if (st == QN_OK) st = open_formula(s, f, qn_buf_slice(&b), err);
        qn_buf_deinit(&b);
        QN_TRY(st);
        /* Names may be of the plug-in's heap; the formula outlives nothing of it, but
         * setters write them anew. */
        f->a = qn_arena_slice(s->arena, f->a);
        f->b = qn_arena_slice(s->arena, f->b);
    }
    c->result.r =
        qn_cava_new_object_of(c->run, c->type, (int64_t)s->feature_count, err);
    if (c->result.r == NULL) return err == NULL ? QN_EPLUGIN : err->code;
    s->feature_count++;
    return QN_OK;
}

/* ---- setters ---------------------------------------------------------------------------- */

static qn_status fixed(double given, double want, const char *what, qn_error *err)
{
    if (given == want) return QN_OK;
    return qn_fail(err, QN_EPLUGIN, "%s is fixed at %g here", what, want);
}

static qn_status field_weight(qn_plugin_feature *f, const qn_cava_call *c,
                              qn_error *err)
{
    if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null");
    qn_slice name = qn_cava_string(c->args[1].r);
    if (!(c->args[2].d > 0) || !isfinite(c->args[2].d))
        return qn_fail(err, QN_EPLUGIN, "a weight is over 0");
    for (size_t i = 0; i < f->field_count; i++)
        if (qn_slice_eq(f->fields[i], name)) {
            f->weights[i] = c->args[2].d;
            f->changed = true;
            return QN_OK;
        }
    return qn_fail(err, QN_EPLUGIN, "BM25F looks at no field '%.*s'",
                   (int)(name.n > 64 ? 64 : name.n), name.p);
}

static qn_status part_weight(qn_plugin_feature *f, double *part, double value,
                             qn_error *err)
{
    *part = value;
    f->changed = true;
    if (!(value >= 0) || !(f->bm25 + f->match + f->proximity > 0) || !isfinite(value))
        return qn_fail(err, QN_EPLUGIN, "weights are not below 0, and not all 0");
    return QN_OK;
}

static qn_status merge_op(const qn_cava_call *c, qn_error *err)
{
    qn_slice op = {"", 0};
    if (c->args[1].r != NULL) op = qn_cava_string(c->args[1].r);
    if (qn_slice_eq_str(op, "sum") || qn_slice_eq_str(op, "max")) return QN_OK;
    return qn_fail(err, QN_EPLUGIN, "groups are merged by \"sum\" or \"max\"");
}

static qn_status apply_setting(qn_plugin_feature *f, const qn_cava_call *c,
                               qn_error *err)
{
    switch ((qn_cava_setting)c->arg) {
    case QN_CAVA_SET_MERGE: /* a query has one group */
        return merge_op(c, err);
    case QN_CAVA_SET_BM25_WEIGHT:
        return part_weight(f, &f->bm25, c->args[1].d, err);
    case QN_CAVA_SET_MATCH_WEIGHT:
        return part_weight(f, &f->match, c->args[1].d, err);
    case QN_CAVA_SET_PROXIMITY_WEIGHT:
        return part_weight(f, &f->proximity, c->args[1].d, err);
    case QN_CAVA_SET_K:
        return fixed(c->args[1].d, 2, "parameter k", err);
    case QN_CAVA_SET_B:
        return fixed(c->args[1].d, 0.1, "parameter b", err);
    case QN_CAVA_SET_C:
        return fixed(c->args[1].d, 0.7, "parameter c", err);
    case QN_CAVA_SET_A:
        return fixed(c->args[1].d, 0.5, "parameter a", err);
    case QN_CAVA_SET_FIELD_B:
        return fixed(c->args[2].d, 0.1, "parameter b", err);
    case QN_CAVA_SET_FIELD_WEIGHT:
        return field_weight(f, c, err);
    case QN_CAVA_SET_TOTAL:
    case QN_CAVA_SET_AVERAGE:
    case QN_CAVA_SET_FIELD_AVERAGE:
        return QN_OK; /* the table's own statistics are known exactly */
    default:
        return qn_fail(err, QN_EPLUGIN, "bonuses of FieldMatchWeighted are fixed here");
    }
}

qn_status qn_plugin__set(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    if (!s->starting) return QN_OK; /* no effect outside of init(), as documented */
    qn_plugin_feature *f = &s->features[qn_cava_handle(c->args[0].r)];
    bool before = f->changed;
    f->changed = false;
    qn_status st = apply_setting(f, c, err);
    bool rewrite = f->changed;
    f->changed = f->changed || before;
    if (st != QN_OK || !rewrite) return st;
    qn_buf b;
    qn_buf_init(&b, qn_alloc_heap());
    if (f->make == QN_CAVA_MAKE_RELEVANCE)
        relevance(f, &b);
    else
        bm25f(f, &b);
    st = b.failed ? qn_fail(err, QN_ENOMEM, "plug-in")
                  : open_formula(s, f, qn_buf_slice(&b), err);
    qn_buf_deinit(&b);
    return st;
}

/* ---- values ----------------------------------------------------------------------------- */

qn_status qn_plugin__value(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    if (s->starting) return qn_fail(err, QN_EPLUGIN, "evaluate() belongs into score()");
    qn_plugin_feature *f = &s->features[qn_cava_handle(c->args[0].r)];
    if (f->make == QN_CAVA_MAKE_BASIC) {
        c->result.d = s->basic_score;
        return QN_OK;
    }
    if (f->block != s->block) {
        qn_rank_facts facts = *s->facts;
        size_t begin = s->block_begin;
        if (facts.text != NULL) facts.text += begin;
        if (facts.vector != NULL) facts.vector += begin;
        if (facts.recall != NULL) facts.recall += begin;
        if (facts.rough != NULL) facts.rough += begin;
        if (facts.neural != NULL) facts.neural += begin;
        QN_TRY(qn_rank_formula_run(f->formula, s->segment, s->docs + begin,
                                   s->block_size, &facts, f->values, err));
        f->block = s->block;
    }
    c->result.d = f->values[s->at - s->block_begin];
    return QN_OK;
}
