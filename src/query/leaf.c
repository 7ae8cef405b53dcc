/* SPDX-License-Identifier: Apache-2.0 */
#include "query/leaf.h"

#include "index/column.h"
#include "query/dates.h"
#include "query/geo_point.h"
#include "text/analyzer.h"

bool qn_field_is_integer(const qn_field *f)
{
    switch (f->type) {
    case QN_FIELD_BOOL:
    case QN_FIELD_INT8:
    case QN_FIELD_INT16:
    case QN_FIELD_INT32:
    case QN_FIELD_INT64:
    case QN_FIELD_DATE:
        return true;
    default:
        return false;
    }
}

bool qn_field_is_float(const qn_field *f)
{
    return f->type == QN_FIELD_FLOAT || f->type == QN_FIELD_DOUBLE;
}

/* ---- targets --------------------------------------------------------------------- */

qn_status qn_leaf_target_index(qn_leaf_maker *m, const qn_index_def *def,
                               qn_leaf_target *out)
{
    if (def->field_count > QN_QUERY_FIELDS_MAX)
        return qn_fail(m->err, QN_ELIMIT, "index [%.*s] has over %d fields",
                       QN_SLICE_ARG(def->name), QN_QUERY_FIELDS_MAX);
    qn_query_field *fields =
        qn_arena_array(m->arena, def->field_count + 1, sizeof *fields);
    if (fields == NULL) return qn_fail(m->err, QN_ENOMEM, "query leaf");
    size_t n = 0;
    for (size_t i = 0; i < def->field_count; i++) {
        const qn_field *f = qn_schema_field_by_id(m->env->schema, def->fields[i]);
        if (f == NULL) continue;
        /* A vector index also lists the key and the category; its vector comes first
         * here. */
        if (def->kind == QN_INDEX_VECTOR && f->type != QN_FIELD_VECTOR) continue;
        fields[n++] = (qn_query_field){f, def->boosts == NULL ? 1.0f : def->boosts[i]};
    }
    *out = (qn_leaf_target){.index = def,
                            .fields = fields,
                            .field_count = n,
                            .kind = def->kind,
                            .analyzer = def->analyzer};
    if (out->analyzer == NULL && n > 0)
        out->analyzer = fields[0].field->search_analyzer != NULL
                            ? fields[0].field->search_analyzer
                            : fields[0].field->analyzer;
    return QN_OK;
}

static qn_index_kind kind_of_field(const qn_field *f)
{
    switch (f->type) {
    case QN_FIELD_TEXT:
        return QN_INDEX_TEXT;
    case QN_FIELD_KEYWORD:
        return QN_INDEX_TERM;
    case QN_FIELD_VECTOR:
        return QN_INDEX_VECTOR;
    default:
        return QN_INDEX_NUMBER;
    }
}

qn_status qn_leaf_target_field(qn_leaf_maker *m, const qn_field *field,
                               qn_leaf_target *out)
{
    qn_query_field *f = qn_arena_new(m->arena, sizeof *f);
    if (f == NULL) return qn_fail(m->err, QN_ENOMEM, "query leaf");
    *f = (qn_query_field){field, 1.0f};
    *out = (qn_leaf_target){.fields = f,
                            .field_count = 1,
                            .kind = kind_of_field(field),
                            .analyzer = field->search_analyzer != NULL
                                            ? field->search_analyzer
                                            : field->analyzer};
    return QN_OK;
}

qn_status qn_leaf_target_find(qn_leaf_maker *m, qn_slice name, uint64_t at,
                              qn_leaf_target *out)
{
    const qn_index_def *def = qn_schema_index(m->env->schema, name);
    if (def != NULL) return qn_leaf_target_index(m, def, out);
    const qn_field *field = qn_schema_field(m->env->schema, name);
    if (field != NULL) return qn_leaf_target_field(m, field, out);
    const char *near = qn_schema_nearest(m->env->schema, name);
    return qn_fail_at(m->err, QN_ENOFIELD, at, "no index or field named [%.*s]%s%s%s",
                      QN_SLICE_ARG(name), near == NULL ? "" : " did you mean [",
                      near == NULL ? "" : near, near == NULL ? "" : "]?");
}

qn_slice qn_leaf_target_name(const qn_leaf_target *t)
{
    if (t->index != NULL) return t->index->name;
    return t->field_count > 0 ? t->fields[0].field->name : QN_SLICE_LIT("_id");
}

/* ---- nodes ----------------------------------------------------------------------- */

qn_status qn_leaf_new(qn_leaf_maker *m, qn_query_kind kind, const qn_leaf_target *t,
                      uint64_t at, qn_query **out)
{
    *out = qn_query_new(m->arena, kind, (uint32_t)at);
    if (*out == NULL) return qn_fail(m->err, QN_ENOMEM, "query leaf");
    if (t == NULL) return QN_OK;
    (*out)->index = t->index;
    (*out)->fields = t->fields;
    (*out)->field_count = t->field_count;
    (*out)->every_field = t->every_field && t->field_count > 1;
    if (t->has_weight) (*out)->weight = t->weight;
    if (t->chain.n > 0) (*out)->chain = t->chain;
    return QN_OK;
}

qn_status qn_leaf_none(qn_leaf_maker *m, uint64_t at, const qn_query **out)
{
    qn_query *none;
    QN_TRY(qn_leaf_new(m, QN_QUERY_NONE, NULL, at, &none));
    *out = none;
    return QN_OK;
}

static qn_status set_terms(qn_leaf_maker *m, qn_query *q, const qn_query_term *from,
                           size_t n)
{
    qn_query_term *terms = qn_arena_array(m->arena, n, sizeof *terms);
    if (terms == NULL) return qn_fail(m->err, QN_ENOMEM, "query leaf");
    for (size_t i = 0; i < n; i++) {
        if (from[i].bytes.n > QN_QUERY_TERM_BYTES_MAX)
            return qn_fail_at(m->err, QN_ELIMIT, q->at,
                              "a term of %zu bytes, at most %d are allowed",
                              from[i].bytes.n, QN_QUERY_TERM_BYTES_MAX);
        terms[i] = from[i];
        terms[i].bytes = qn_arena_slice(m->arena, from[i].bytes);
        if (terms[i].bytes.p == NULL) return qn_fail(m->err, QN_ENOMEM, "query leaf");
    }
    q->terms = terms;
    q->term_count = n;
    return QN_OK;
}

qn_status qn_leaf_term(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice bytes,
                       uint64_t at, qn_query **out)
{
    QN_TRY(qn_leaf_new(m, QN_QUERY_TERM, t, at, out));
    qn_query_term term = {bytes, 0};
    return set_terms(m, *out, &term, 1);
}

qn_status qn_leaf_join_nodes(qn_leaf_maker *m, qn_leaf_join how, qn_query *const *nodes,
                             size_t n, uint64_t at, qn_query **out)
{
    *out = NULL;
    const qn_query **kept = qn_arena_array(m->arena, n + 1, sizeof *kept);
    if (kept == NULL) return qn_fail(m->err, QN_ENOMEM, "query tree");
    size_t count = 0;
    qn_query *last = NULL;
    for (size_t i = 0; i < n; i++) {
        if (nodes[i] != NULL) kept[count++] = last = nodes[i];
    }
    if (count < 2) {
        *out = last;
        return QN_OK;
    }
    QN_TRY(qn_leaf_new(m, QN_QUERY_BOOL, NULL, at, out));
    qn_query_list list = {kept, count};
    if (how == QN_JOIN_AND) {
        (*out)->u.boolean.must = list;
    } else {
        (*out)->u.boolean.should = list;
        (*out)->u.boolean.should_min = 1;
    }
    return QN_OK;
}

/* ---- text ------------------------------------------------------------------------ */

static size_t tokens_at_place(const qn_token_list *tokens, size_t i)
{
    size_t n = 1;
    while (i + n < tokens->n && tokens->p[i + n].position == tokens->p[i].position) n++;
    return n;
}

static size_t place_count(const qn_token_list *tokens)
{
    size_t places = 0;
    for (size_t i = 0; i < tokens->n; i += tokens_at_place(tokens, i)) places++;
    return places;
}

/* Tokens [from, from + n) as one TERM or PHRASE. */
static qn_status tokens_leaf(qn_leaf_maker *m, qn_query_kind kind,
                             const qn_leaf_target *t, const qn_token_list *tokens,
                             size_t from, size_t n, uint64_t at, qn_query **out)
{
    QN_TRY(qn_leaf_new(m, kind, t, at, out));
    if (n > QN_QUERY_CLAUSES_MAX)
        return qn_fail_at(m->err, QN_ELIMIT, at,
                          "too many clauses, maxClauseCount is set to %d",
                          QN_QUERY_CLAUSES_MAX);
    qn_query_term terms[QN_QUERY_CLAUSES_MAX];
    for (size_t i = 0; i < n; i++) {
        const qn_token *token = &tokens->p[from + i];
        terms[i] =
            (qn_query_term){token->term, token->position - tokens->p[from].position};
    }
    return set_terms(m, *out, terms, n);
}

/* One TERM a place, joined as asked. */
static qn_status tokens_group(qn_leaf_maker *m, const qn_leaf_target *t,
                              const qn_token_list *tokens, size_t places, uint64_t at,
                              const qn_leaf_match *how, qn_query **out)
{
    if (places > QN_QUERY_CLAUSES_MAX)
        return qn_fail_at(m->err, QN_ELIMIT, at,
                          "too many clauses, maxClauseCount is set to %d",
                          QN_QUERY_CLAUSES_MAX);
    qn_query *nodes[QN_QUERY_CLAUSES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < tokens->n;) {
        size_t here = tokens_at_place(tokens, i);
        QN_TRY(tokens_leaf(m, QN_QUERY_TERM, t, tokens, i, here, at, &nodes[n++]));
        i += here;
    }
    QN_TRY(
        qn_leaf_join_nodes(m, how->any ? QN_JOIN_OR : QN_JOIN_AND, nodes, n, at, out));
    if (!how->any || how->should_min.n == 0) return QN_OK;
    uint32_t min;
    if (!qn_should_min_of(how->should_min, places, &min))
        return qn_fail_at(m->err, QN_ESYNTAX, at, "wrong minimum_should_match [%.*s]",
                          QN_SLICE_ARG(how->should_min));
    if (places > 1) {
        (*out)->u.boolean.should_min = min == 0 ? 1 : min;
    } else if (min > 1) {
        return qn_leaf_new(m, QN_QUERY_NONE, NULL, at, out);
    }
    return QN_OK;
}

static qn_status phrase_leaf(qn_leaf_maker *m, const qn_leaf_target *t,
                             const qn_token_list *tokens, size_t places, uint64_t at,
                             const qn_leaf_match *how, qn_query **out)
{
    bool one = places == 1;
    if (how->slop > 0 && !one && places < tokens->n)
        return qn_fail_at(m->err, QN_EUNSUPPORTED, at,
                          "slop is not supported where words have alternatives");
    QN_TRY(tokens_leaf(m, one ? QN_QUERY_TERM : QN_QUERY_PHRASE, t, tokens, 0,
                       tokens->n, at, out));
    if (!one) (*out)->slop = how->slop;
    return QN_OK;
}

qn_status qn_leaf_text(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice text,
                       uint64_t at, const qn_leaf_match *how, qn_query **out)
{
    *out = NULL;
    if (t->kind != QN_INDEX_TEXT) return qn_leaf_value(m, t, text, at, out);
    bool done = false;
    if (m->env->analyse != NULL && !how->phrase)
        QN_TRY(m->env->analyse(m->env->analyse_ctx, m, t, text, at, how, out, &done));
    if (done) return QN_OK;
    qn_slice name = how->analyzer;
    if (name.n == 0) name = qn_slice_of(t->analyzer != NULL ? t->analyzer : "standard");
    const qn_analyzer *analyzer;
    QN_TRY(qn_analyzer_find(m->env->analyzers, name, &analyzer, m->err));
    qn_token_list tokens = {0};
    QN_TRY(qn_analyzer_run(analyzer, text, m->arena, &tokens, m->err));
    size_t places = place_count(&tokens);
    if (places == 0) return QN_OK;
    if (how->phrase) return phrase_leaf(m, t, &tokens, places, at, how, out);
    return tokens_group(m, t, &tokens, places, at, how, out);
}

/* ---- values ---------------------------------------------------------------------- */

static qn_status wrong_value(qn_leaf_maker *m, const qn_field *f, qn_slice text,
                             uint64_t at)
{
    return qn_fail_at(m->err, QN_EFIELDTYPE, at,
                      "[%.*s] is no value of the %s field [%.*s]",
                      (int)(text.n > 100 ? 100 : text.n), text.p,
                      qn_field_type_name(f->type), QN_SLICE_ARG(f->name));
}

static bool parse_bool(qn_slice s, int64_t *out)
{
    *out = qn_slice_eq_str(s, "true") || qn_slice_eq_str(s, "1");
    return *out || s.n == 0 || qn_slice_eq_str(s, "false") || qn_slice_eq_str(s, "0");
}

qn_status qn_leaf_parse_i64(qn_leaf_maker *m, const qn_field *f, qn_slice text,
                            uint64_t at, int64_t *out, bool *in_range)
{
    *in_range = true;
    *out = 0;
    qn_slice s = qn_slice_trim(text);
    if (f->type == QN_FIELD_BOOL)
        return parse_bool(s, out) ? QN_OK : wrong_value(m, f, text, at);
    if (f->type == QN_FIELD_DATE) {
        if (qn_date_parse(s, m->env->now_ms, false, out)) return QN_OK;
        return wrong_value(m, f, text, at);
    }
    if (qn_slice_to_i64(s, out)) return QN_OK;
    double d;
    if (!qn_slice_to_f64(s, &d)) return wrong_value(m, f, text, at);
    *in_range = d >= -0x1p63 && d < 0x1p63 && d == (double)(int64_t)d;
    if (*in_range) *out = (int64_t)d;
    return QN_OK;
}

qn_status qn_leaf_parse_f64(qn_leaf_maker *m, const qn_field *f, qn_slice text,
                            uint64_t at, double *out)
{
    if (!qn_slice_to_f64(qn_slice_trim(text), out)) return wrong_value(m, f, text, at);
    if (f->type == QN_FIELD_FLOAT) *out = (double)(float)*out;
    return QN_OK;
}

static qn_status not_searchable(qn_leaf_maker *m, const qn_field *f, uint64_t at)
{
    return qn_fail_at(m->err, QN_EINDEXKIND, at,
                      "cannot search on field [%.*s]: it is not indexed and has no "
                      "column",
                      QN_SLICE_ARG(f->name));
}

static qn_status ids_leaf(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice value,
                          uint64_t at, qn_query **out)
{
    QN_TRY(qn_leaf_new(m, QN_QUERY_IDS, t, at, out));
    qn_query_term term = {value, 0};
    return set_terms(m, *out, &term, 1);
}

static qn_status number_leaf(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice value,
                             uint64_t at, qn_query **out)
{
    const qn_field *f = t->fields[0].field;
    if (!f->column) return not_searchable(m, f, at);
    qn_query_end end = {.present = true, .inclusive = true};
    if (qn_field_is_float(f)) {
        QN_TRY(qn_leaf_parse_f64(m, f, value, at, &end.f64));
    } else {
        bool in_range;
        QN_TRY(qn_leaf_parse_i64(m, f, value, at, &end.i64, &in_range));
        if (!in_range) return qn_leaf_new(m, QN_QUERY_NONE, NULL, at, out);
    }
    QN_TRY(qn_leaf_new(m, QN_QUERY_RANGE, t, at, out));
    (*out)->u.range.low = (*out)->u.range.high = end;
    /* A date without its time is the whole day. */
    if (f->type == QN_FIELD_DATE && !qn_date_parse(qn_slice_trim(value), m->env->now_ms,
                                                   true, &(*out)->u.range.high.i64))
        return wrong_value(m, f, value, at);
    return QN_OK;
}

/* ---- shapes ---------------------------------------------------------------------- */

/* "name(inside)" with this name: what is inside. */
static bool shape_named(qn_slice s, const char *name, qn_slice *inside)
{
    size_t n = strlen(name);
    if (s.n < n + 2 || memcmp(s.p, name, n) != 0 || s.p[n] != '(' ||
        s.p[s.n - 1] != ')')
        return false;
    *inside = (qn_slice){s.p + n + 1, s.n - n - 2};
    return true;
}

static bool cut_at_comma(qn_slice s, qn_slice *left, qn_slice *right)
{
    const char *comma = s.n == 0 ? NULL : memchr(s.p, ',', s.n);
    if (comma == NULL) return false;
    *left = (qn_slice){s.p, (size_t)(comma - s.p)};
    *right = qn_slice_trim((qn_slice){comma + 1, s.n - left->n - 1});
    return true;
}

/* The Retrieval Engine's shapes; longitude first. A shape that is none finds nothing. */
static bool read_shape(qn_slice s, qn_query_geo *g)
{
    qn_slice in, left, right;
    *g = (qn_query_geo){0};
    if (shape_named(s, "point", &in)) {
        g->is_box = true;
        if (!qn_geo_parse_pair(in, &g->top, &g->left)) return false;
        g->bottom = g->top = qn_geo_lat(qn_geo_fix_lat(g->top));
        g->left = g->right = qn_geo_lon(qn_geo_fix_lon(g->left));
        return true;
    }
    if (shape_named(s, "circle", &in))
        return cut_at_comma(in, &left, &right) &&
               qn_geo_parse_pair(left, &g->lat, &g->lon) &&
               qn_slice_to_f64(right, &g->radius_m) && g->radius_m > 0;
    g->is_box = true;
    if (!shape_named(s, "rectangle", &in) || !cut_at_comma(in, &left, &right) ||
        !qn_geo_parse_pair(left, &g->bottom, &g->left) ||
        !qn_geo_parse_pair(right, &g->top, &g->right))
        return false;
    if (g->bottom > g->top) {
        double swap = g->top;
        g->top = g->bottom;
        g->bottom = swap;
    }
    return true;
}

static qn_status shape_leaf(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice value,
                            uint64_t at, qn_query **out)
{
    const qn_field *f = t->fields[0].field;
    qn_slice s = qn_slice_trim(value), in;
    if (!f->column) return not_searchable(m, f, at);
    if (shape_named(s, "polygon", &in) || shape_named(s, "line", &in))
        return qn_fail_at(m->err, QN_EUNSUPPORTED, at,
                          "[%.*s]: points, circles and rectangles are supported, not "
                          "polygons and lines",
                          QN_SLICE_ARG(f->name));
    qn_query_geo g;
    if (!read_shape(s, &g)) return qn_leaf_new(m, QN_QUERY_NONE, NULL, at, out);
    QN_TRY(qn_leaf_new(m, QN_QUERY_GEO, t, at, out));
    (*out)->u.geo = g;
    return QN_OK;
}

qn_status qn_leaf_value(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice value,
                        uint64_t at, qn_query **out)
{
    if (t->kind == QN_INDEX_PRIMARY) return ids_leaf(m, t, value, at, out);
    const qn_field *f = t->fields[0].field;
    switch (f->type) {
    case QN_FIELD_TEXT:
    case QN_FIELD_KEYWORD:
        if (f->indexed) return qn_leaf_term(m, t, value, at, out);
        if (!f->column) return not_searchable(m, f, at);
        QN_TRY(qn_leaf_new(m, QN_QUERY_SET, t, at, out));
        return set_terms(m, *out, &(qn_query_term){value, 0}, 1);
    case QN_FIELD_VECTOR:
        return qn_fail_at(m->err, QN_EFIELDTYPE, at,
                          "field [%.*s] holds vectors; it is asked with a vector query",
                          QN_SLICE_ARG(f->name));
    case QN_FIELD_GEO:
        return shape_leaf(m, t, value, at, out);
    default:
        return number_leaf(m, t, value, at, out);
    }
}

/* ---- ranges ---------------------------------------------------------------------- */

/* An end as the least (or greatest) whole number inside. `empty`: nothing is. */
static qn_status integer_end(qn_leaf_maker *m, const qn_field *f,
                             const qn_leaf_end *end, bool low, qn_query_end *out,
                             bool *empty)
{
    if (end->text.p == NULL) return QN_OK;
    int64_t v;
    bool inclusive = end->inclusive;
    qn_slice s = qn_slice_trim(end->text);
    if (f->type == QN_FIELD_DATE) {
        if (!qn_date_parse(s, m->env->now_ms, low != inclusive, &v))
            return wrong_value(m, f, s, end->at);
    } else if (f->type == QN_FIELD_BOOL) {
        if (!parse_bool(s, &v)) return wrong_value(m, f, s, end->at);
    } else if (!qn_slice_to_i64(s, &v)) {
        double d;
        if (!qn_slice_to_f64(s, &d)) return wrong_value(m, f, s, end->at);
        bool beyond_low = d < -0x1p63, beyond_high = d >= 0x1p63;
        if (low ? beyond_high : beyond_low) *empty = true;
        if (beyond_low || beyond_high) return QN_OK; /* open on that side */
        v = (int64_t)d;
        if ((double)v != d) { /* a fraction: the next whole number inside */
            if (low && d > 0) v++;
            if (!low && d < 0) v--;
            inclusive = true;
        }
    }
    if (!inclusive) {
        if (v == (low ? INT64_MAX : INT64_MIN)) {
            *empty = true;
            return QN_OK;
        }
        v += low ? 1 : -1;
    }
    *out = (qn_query_end){.present = true, .inclusive = true, .i64 = v};
    return QN_OK;
}

static qn_status float_end(qn_leaf_maker *m, const qn_field *f, const qn_leaf_end *end,
                           qn_query_end *out)
{
    if (end->text.p == NULL) return QN_OK;
    out->present = true;
    out->inclusive = end->inclusive;
    return qn_leaf_parse_f64(m, f, end->text, end->at, &out->f64);
}

static qn_status bytes_end(qn_leaf_maker *m, const qn_leaf_end *end, qn_query_end *out)
{
    if (end->text.p == NULL) return QN_OK;
    out->present = true;
    out->inclusive = end->inclusive;
    out->bytes = qn_arena_slice(m->arena, end->text);
    return out->bytes.p == NULL ? qn_fail(m->err, QN_ENOMEM, "query leaf") : QN_OK;
}

static bool range_is_empty(const qn_field *f, const qn_query_end *low,
                           const qn_query_end *high)
{
    if (!low->present || !high->present) return false;
    bool both = low->inclusive && high->inclusive;
    if (qn_field_is_integer(f)) return low->i64 > high->i64;
    if (qn_field_is_float(f))
        return !(both ? low->f64 <= high->f64 : low->f64 < high->f64);
    int c = qn_slice_compare(low->bytes, high->bytes);
    return both ? c > 0 : c >= 0;
}

qn_status qn_leaf_range(qn_leaf_maker *m, const qn_leaf_target *t,
                        const qn_leaf_end *low, const qn_leaf_end *high, uint64_t at,
                        qn_query **out)
{
    if (t->kind == QN_INDEX_PRIMARY || t->field_count != 1 ||
        t->fields[0].field->type == QN_FIELD_VECTOR ||
        t->fields[0].field->type == QN_FIELD_GEO) {
        qn_slice name = qn_leaf_target_name(t);
        return qn_fail_at(m->err, QN_EINDEXKIND, at, "[%.*s] does not support ranges",
                          QN_SLICE_ARG(name));
    }
    const qn_field *f = t->fields[0].field;
    qn_query_end from = {0}, to = {0};
    bool empty = false;
    if (qn_field_is_integer(f)) {
        QN_TRY(integer_end(m, f, low, true, &from, &empty));
        QN_TRY(integer_end(m, f, high, false, &to, &empty));
    } else if (qn_field_is_float(f)) {
        QN_TRY(float_end(m, f, low, &from));
        QN_TRY(float_end(m, f, high, &to));
    } else {
        QN_TRY(bytes_end(m, low, &from));
        QN_TRY(bytes_end(m, high, &to));
    }
    bool by_terms =
        f->indexed && (f->type == QN_FIELD_TEXT || f->type == QN_FIELD_KEYWORD);
    if (!f->column && !by_terms) return not_searchable(m, f, at);
    if (empty || range_is_empty(f, &from, &to))
        return qn_leaf_new(m, QN_QUERY_NONE, NULL, at, out);
    QN_TRY(qn_leaf_new(m, QN_QUERY_RANGE, t, at, out));
    (*out)->u.range.low = from;
    (*out)->u.range.high = to;
    return QN_OK;
}
