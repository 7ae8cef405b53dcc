/* SPDX-License-Identifier: Apache-2.0 */
/* bind_features.c -- feature calls of formulas: what they look at, and their values. */
#include "rank/bind_internal.h"

#include "base/nearest.h"

#include <math.h>
#include <stdio.h>

/* What the arguments of a feature are. */
typedef enum shape {
    SHAPE_NONE,        /* no argument */
    SHAPE_FIELD,       /* field[, index][, flag] in either order of index and flag */
    SHAPE_FIELD_MAYBE, /* the same; no field: all fields asked */
    SHAPE_INDEX_MAYBE, /* [index] */
    SHAPE_OWN,         /* resolved by its own function */
} shape;

/* ORDER FEATURES */
static const struct {
    const char *name;
    qn_slot_kind kind;
    shape shape;
    qn_expr_type type;
} features[] = {
    {"static_bm25", QN_SLOT_STATIC_BM25, SHAPE_OWN, QN_EXPR_FLOAT},
    {"bm25", QN_SLOT_BM25, SHAPE_OWN, QN_EXPR_FLOAT},
    {"bm25_score", QN_SLOT_BM25_PLAIN, SHAPE_OWN, QN_EXPR_FLOAT},
    {"tfidf_score", QN_SLOT_TFIDF, SHAPE_OWN, QN_EXPR_FLOAT},
    {"exact_match_boost", QN_SLOT_EXACT_MATCH_BOOST, SHAPE_OWN, QN_EXPR_INT32},
    {"text_relevance", QN_SLOT_TEXT_RELEVANCE, SHAPE_FIELD, QN_EXPR_FLOAT},
    {"field_match_weighted", QN_SLOT_FIELD_MATCH_WEIGHTED, SHAPE_FIELD, QN_EXPR_FLOAT},
    {"field_bm25", QN_SLOT_FIELD_BM25, SHAPE_FIELD, QN_EXPR_FLOAT},
    {"fieldterm_proximity", QN_SLOT_PROXIMITY, SHAPE_FIELD_MAYBE, QN_EXPR_FLOAT},
    {"field_match_ratio", QN_SLOT_FIELD_MATCH_RATIO, SHAPE_FIELD, QN_EXPR_FLOAT},
    {"query_match_ratio", QN_SLOT_QUERY_MATCH_RATIO, SHAPE_FIELD_MAYBE, QN_EXPR_FLOAT},
    {"field_term_match_count", QN_SLOT_FIELD_TERM_MATCH_COUNT, SHAPE_FIELD,
     QN_EXPR_INT32},
    {"query_term_match_count", QN_SLOT_QUERY_TERM_MATCH_COUNT, SHAPE_FIELD_MAYBE,
     QN_EXPR_INT32},
    {"field_length", QN_SLOT_FIELD_LENGTH, SHAPE_FIELD, QN_EXPR_INT32},
    {"query_min_slide_window", QN_SLOT_WINDOW, SHAPE_FIELD, QN_EXPR_FLOAT},
    {"proxima_score", QN_SLOT_PROXIMA, SHAPE_OWN, QN_EXPR_FLOAT},
    {"tag_match", QN_SLOT_TAG_MATCH, SHAPE_OWN, QN_EXPR_DOUBLE},
    {"category_score", QN_SLOT_TAG_MATCH, SHAPE_OWN, QN_EXPR_INT32},
    {"bit_struct", QN_SLOT_BIT_STRUCT, SHAPE_OWN, QN_EXPR_INT32},
    {"in_polygon", QN_SLOT_IN_POLYGON, SHAPE_OWN, QN_EXPR_INT32},
    {"in_query_polygon", QN_SLOT_IN_QUERY_POLYGON, SHAPE_OWN, QN_EXPR_INT32},
    {"to_string", QN_SLOT_TO_STRING, SHAPE_OWN, QN_EXPR_STRING},
    {"string_replace", QN_SLOT_STRING_REPLACE, SHAPE_OWN, QN_EXPR_STRING},
    {"value_count", QN_SLOT_VALUE_COUNT, SHAPE_OWN, QN_EXPR_INT32},
    {"rrf", QN_SLOT_RRF, SHAPE_OWN, QN_EXPR_DOUBLE},
    {"linear", QN_SLOT_LINEAR, SHAPE_OWN, QN_EXPR_DOUBLE},
    {"first_phase_score", QN_SLOT_FIRST_PHASE, SHAPE_NONE, QN_EXPR_FLOAT},
    {"text_score", QN_SLOT_TEXT_SCORE, SHAPE_NONE, QN_EXPR_FLOAT},
    {"text_z", QN_SLOT_TEXT_Z, SHAPE_NONE, QN_EXPR_DOUBLE},
    {"vector_score", QN_SLOT_VECTOR_SCORE, SHAPE_OWN, QN_EXPR_FLOAT},
    {"vector_z", QN_SLOT_VECTOR_Z, SHAPE_NONE, QN_EXPR_DOUBLE},
    {"recall_score", QN_SLOT_RECALL_SCORE, SHAPE_NONE, QN_EXPR_FLOAT},
    {"neural_score", QN_SLOT_NEURAL_SCORE, SHAPE_OWN, QN_EXPR_DOUBLE},
    {"text_relevance_llm", QN_SLOT_NEURAL_SCORE, SHAPE_OWN, QN_EXPR_DOUBLE},
    {"neural_logit", QN_SLOT_NEURAL_LOGIT, SHAPE_OWN, QN_EXPR_DOUBLE},
    {"neural_z", QN_SLOT_NEURAL_Z, SHAPE_OWN, QN_EXPR_DOUBLE},
};

/* Known to those who come from elsewhere, and what to do here instead. */
static const struct {
    const char *name, *advice;
} refused[] = {
    {"popularity",
     "there is no popularity model; keep the number in an attribute of the "
     "document and use that attribute"},
    {"sub_first", "a table has no sub-documents; use multi_attr(field, 0)"},
    {"sub_min", "a table has no sub-documents; use a multi-value attribute"},
    {"sub_max", "a table has no sub-documents; use a multi-value attribute"},
    {"sub_sum", "a table has no sub-documents; use a multi-value attribute"},
    {"sub_count", "a table has no sub-documents; use value_count(field)"},
    {"sub_join", "a table has no sub-documents; use a multi-value attribute"},
};

/* ---- arguments ------------------------------------------------------------------------------ */

static qn_status find_field(const qn_binding *b, const qn_expr_arg *arg,
                            const qn_field **out, qn_error *err)
{
    const qn_schema *schema = b->in->snapshot->schema;
    *out = qn_schema_field(schema, arg->text);
    if (*out == NULL) {
        const char *near = qn_schema_nearest(schema, arg->text);
        return qn_fail_at(err, QN_ENOATTR, arg->at, "no field '%.*s'%s%s%s",
                          QN_SLICE_ARG(arg->text),
                          near == NULL ? "" : "; did you mean '",
                          near == NULL ? "" : near, near == NULL ? "" : "'?");
    }
    if ((*out)->type != QN_FIELD_TEXT)
        return qn_fail_at(
            err, QN_EFIELDTYPE, arg->at,
            "'%.*s' is a field of type %s; text features look at text fields",
            QN_SLICE_ARG(arg->text), qn_field_type_name((*out)->type));
    return QN_OK;
}

static qn_status find_index(const qn_binding *b, const qn_expr_arg *arg,
                            qn_index_kind kind, const qn_index_def **out, qn_error *err)
{
    const qn_schema *schema = b->in->snapshot->schema;
    *out = qn_schema_index(schema, arg->text);
    if (*out == NULL) {
        qn_nearest near = qn_nearest_begin(arg->text);
        for (size_t i = 0; i < schema->index_count; i++)
            if (schema->indexes[i].kind == kind)
                qn_nearest_offer(&near, schema->indexes[i].name);
        return qn_fail_at(err, QN_ENOFIELD, arg->at, "no index '%.*s'%s%.*s%s",
                          QN_SLICE_ARG(arg->text),
                          near.best.p == NULL ? "" : "; did you mean '",
                          QN_SLICE_ARG(near.best), near.best.p == NULL ? "" : "'?");
    }
    if ((*out)->kind != kind)
        return qn_fail_at(err, QN_EFIELDTYPE, arg->at, "'%.*s' is no %s index",
                          QN_SLICE_ARG(arg->text),
                          kind == QN_INDEX_VECTOR ? "vector" : "text");
    return QN_OK;
}

/* A field with the words asked of it; a warning when there are none although words were
 * asked: the query does not search that field. */
static qn_status add_field(qn_binding *b, qn_slot *slot, const qn_field *field,
                           const qn_index_def *index, double boost, qn_error *err)
{
    qn_slot_field *f = &slot->fields[slot->field_count];
    *f = (qn_slot_field){.field = field, .boost = boost};
    QN_TRY(qn_match_words_of(&b->words, field, index, b->arena, &f->words, err));
    slot->field_count++;
    size_t most = sizeof b->warnings / sizeof *b->warnings;
    if (f->words.n > 0 || b->words.n == 0 || b->warning_count == most) return QN_OK;
    (void)qn_fail(
        &b->warnings[b->warning_count++], QN_EFIELDTYPE,
        "2112: the query does not search the field '%.*s' that a text feature names",
        QN_SLICE_ARG(field->name));
    return QN_OK;
}

static qn_status alloc_fields(qn_binding *b, qn_slot *slot, size_t most, qn_error *err)
{
    slot->fields = qn_arena_array(b->arena, most + 1, sizeof *slot->fields);
    return slot->fields == NULL ? qn_fail(err, QN_ENOMEM, "fields of a formula")
                                : QN_OK;
}

/* Every text field that the query's words are asked of. */
static qn_status add_asked_fields(qn_binding *b, qn_slot *slot, qn_error *err)
{
    for (size_t w = 0; w < b->words.n; w++) {
        const qn_query *leaf = b->words.p[w].leaf;
        for (size_t f = 0; f < leaf->field_count; f++) {
            const qn_field *field = leaf->fields[f].field;
            bool seen =
                field->type != QN_FIELD_TEXT || slot->field_count == QN_SLOT_FIELDS_MAX;
            for (size_t i = 0; i < slot->field_count && !seen; i++)
                seen = slot->fields[i].field == field;
            if (!seen) QN_TRY(add_field(b, slot, field, leaf->index, 1, err));
        }
    }
    return QN_OK;
}

static qn_status resolve_field(qn_binding *b, qn_slot *slot, const qn_expr_arg *args,
                               size_t n, qn_error *err)
{
    const qn_field *field = NULL;
    const qn_index_def *index = NULL;
    QN_TRY(alloc_fields(b, slot, QN_SLOT_FIELDS_MAX, err));
    if (n == 0) return add_asked_fields(b, slot, err);
    QN_TRY(find_field(b, &args[0], &field, err));
    for (size_t i = 1; i < n; i++) {
        if (args[i].kind == QN_EXPR_ARG_BOOL)
            slot->flag = args[i].flag;
        else if (args[i].kind == QN_EXPR_ARG_NAME)
            QN_TRY(find_index(b, &args[i], QN_INDEX_TEXT, &index, err));
        else
            return qn_fail_at(err, QN_EFUNCARGS, args[i].at,
                              "an index or true or false is expected here");
    }
    return add_field(b, slot, field, index, 1, err);
}

/* ---- features with arguments of their own ------------------------------------------------- */

static qn_status resolve_static_bm25(qn_binding *b, qn_slot *slot, qn_error *err)
{
    QN_TRY(alloc_fields(b, slot, QN_SLOT_FIELDS_MAX, err));
    slot->group_ends = qn_arena_array(b->arena, QN_SLOT_FIELDS_MAX, sizeof(size_t));
    if (slot->group_ends == NULL) return qn_fail(err, QN_ENOMEM, "static_bm25");
    const qn_index_def *index = NULL;
    for (size_t i = 0; (index = qn_match_index_at(&b->words, i)) != NULL; i++) {
        size_t before = slot->field_count;
        for (size_t f = 0;
             f < index->field_count && slot->field_count < QN_SLOT_FIELDS_MAX; f++) {
            const qn_field *field =
                qn_schema_field_by_id(b->in->snapshot->schema, index->fields[f]);
            if (field == NULL || field->type != QN_FIELD_TEXT) continue;
            QN_TRY(add_field(b, slot, field, index, (double)index->boosts[f], err));
        }
        if (slot->field_count > before)
            slot->group_ends[slot->group_count++] = slot->field_count;
    }
    return QN_OK;
}

static bool is_one_of(const qn_expr_arg *arg, const char *a, const char *b)
{
    bool text = arg->kind == QN_EXPR_ARG_NAME || arg->kind == QN_EXPR_ARG_STRING;
    return text && (qn_slice_eq_str(arg->text, a) || qn_slice_eq_str(arg->text, b));
}

/* tfidf_score([index]): every text field that the index, or the query, asks. */
static qn_status resolve_tfidf(qn_binding *b, qn_slot *slot, const qn_expr_arg *args,
                               size_t n, qn_error *err)
{
    const qn_index_def *index = NULL;
    QN_TRY(alloc_fields(b, slot, QN_SLOT_FIELDS_MAX, err));
    if (n == 0) return add_asked_fields(b, slot, err);
    QN_TRY(find_index(b, &args[0], QN_INDEX_TEXT, &index, err));
    for (size_t f = 0; f < index->field_count && f < QN_SLOT_FIELDS_MAX; f++) {
        const qn_field *field =
            qn_schema_field_by_id(b->in->snapshot->schema, index->fields[f]);
        if (field != NULL && field->type == QN_FIELD_TEXT)
            QN_TRY(add_field(b, slot, field, index, 1, err));
    }
    return QN_OK;
}

/* vector_score(index[, default]) is proxima_score() with another default: 1000 where the
 * query does not ask the index, 0 where it did not find the document. */
static qn_status resolve_vector_score(qn_binding *b, qn_slot *slot,
                                      const qn_expr_arg *args, size_t n, qn_error *err)
{
    bool asked = false;
    if (n == 0) return QN_OK;
    slot->kind = QN_SLOT_PROXIMA;
    QN_TRY(find_index(b, &args[0], QN_INDEX_VECTOR, &slot->index, err));
    slot->field =
        qn_schema_field_by_id(b->in->snapshot->schema, slot->index->fields[0]);
    for (size_t p = 0; p < b->in->path_count; p++)
        for (size_t v = 0; v < b->in->paths[p].found->vector_count; v++)
            asked |= b->in->paths[p].found->vectors[v].leaf->fields[0].field->id ==
                     slot->field->id;
    slot->fallback = asked ? 0 : n > 1 ? args[1].f64 : 1000;
    return QN_OK;
}

static qn_status resolve_own(qn_binding *b, qn_slot *slot, qn_slice function,
                             const qn_expr_arg *args, size_t n, qn_error *err)
{
    switch (slot->kind) {
    case QN_SLOT_BIT_STRUCT:
    case QN_SLOT_IN_POLYGON:
    case QN_SLOT_IN_QUERY_POLYGON:
        return qn_slot_shapes_make(b, slot, args, n, err);
    case QN_SLOT_TO_STRING:
    case QN_SLOT_STRING_REPLACE:
    case QN_SLOT_VALUE_COUNT:
        return qn_slot_text_make(b, slot, args, n, err);
    case QN_SLOT_RRF:
    case QN_SLOT_LINEAR:
        return qn_slot_fusion_make(b, slot, args, n, err);
    case QN_SLOT_NEURAL_SCORE:
    case QN_SLOT_NEURAL_LOGIT:
    case QN_SLOT_NEURAL_Z:
        return qn_slot_neural_make(b, slot, function, args, n, err);
    case QN_SLOT_TFIDF:
        return resolve_tfidf(b, slot, args, n, err);
    case QN_SLOT_VECTOR_SCORE:
        return resolve_vector_score(b, slot, args, n, err);
    case QN_SLOT_STATIC_BM25:
        return resolve_static_bm25(b, slot, err);
    case QN_SLOT_BM25:
    case QN_SLOT_BM25_PLAIN:
        if (n == 1) QN_TRY(find_index(b, &args[0], QN_INDEX_TEXT, &slot->index, err));
        return qn_slot_bm25_make(b, slot, err);
    case QN_SLOT_EXACT_MATCH_BOOST:
        if (n == 1 && !is_one_of(&args[0], "sum", "max") && args[0].text.n > 0)
            return qn_fail_at(err, QN_EFUNCARGS, args[0].at,
                              "sum or max is expected here");
        slot->flag = n == 1 && is_one_of(&args[0], "sum", "sum");
        QN_TRY(alloc_fields(b, slot, QN_SLOT_FIELDS_MAX, err));
        return add_asked_fields(b, slot, err);
    case QN_SLOT_TAG_MATCH:
        return qn_slice_eq_str(function, "category_score")
                   ? qn_slot_category_make(b, slot, args, err)
                   : qn_slot_tags_make(b, slot, args, n, err);
    default: /* QN_SLOT_PROXIMA */
        QN_TRY(find_index(b, &args[0], QN_INDEX_VECTOR, &slot->index, err));
        slot->field =
            qn_schema_field_by_id(b->in->snapshot->schema, slot->index->fields[0]);
        slot->fallback = n > 1 ? args[1].f64 : 10000;
        return QN_OK;
    }
}

/* A constant of the request: kvpairs_value(key, type). */
static qn_status resolve_kvpair(const qn_binding *b, const qn_expr_arg *args,
                                qn_expr_symbol *out, qn_error *err)
{
    double value = 0;
    qn_slice text = {"", 0};
    if (qn_binding_kvpair(b, args[0].text, &text) &&
        !qn_slice_to_f64(qn_slice_trim(text), &value))
        return qn_fail_at(err, QN_EPARAM, args[0].at, "kvpairs: '%.*s' is no number",
                          QN_SLICE_ARG(text));
    bool integer = qn_slice_eq_nocase(args[1].text, "INT");
    if (!integer && !qn_slice_eq_nocase(args[1].text, "FLOAT") &&
        !qn_slice_eq_nocase(args[1].text, "DOUBLE"))
        return qn_fail_at(err, QN_EFUNCARGS, args[1].at,
                          "the type is INT, FLOAT or DOUBLE");
    *out = (qn_expr_symbol){.type = integer ? QN_EXPR_INT64 : QN_EXPR_DOUBLE,
                            .constant = true,
                            .i64 = (int64_t)value,
                            .f64 = value};
    return QN_OK;
}

/* query_term_count([index]) is the same for every document. */
static qn_status resolve_term_count(qn_binding *b, const qn_expr_arg *args, size_t n,
                                    qn_expr_symbol *out, qn_error *err)
{
    qn_match_words words = b->words;
    const qn_index_def *index = NULL;
    if (n == 1) {
        QN_TRY(find_index(b, &args[0], QN_INDEX_TEXT, &index, err));
        QN_TRY(qn_match_words_of_index(&b->words, index, b->arena, &words, err));
    }
    *out = (qn_expr_symbol){.type = QN_EXPR_INT32,
                            .constant = true,
                            .i64 = (int64_t)words.n,
                            .f64 = (double)words.n};
    return QN_OK;
}

qn_status qn_binding_call(void *ctx, qn_slice function, const qn_expr_arg *args,
                          size_t n, uint64_t at, qn_expr_symbol *out, qn_error *err)
{
    qn_binding *b = ctx;
    if (qn_slice_eq_str(function, "kvpairs_value"))
        return resolve_kvpair(b, args, out, err);
    if (qn_slice_eq_str(function, "query_term_count"))
        return resolve_term_count(b, args, n, out, err);
    if (qn_binding_is_param(function))
        return qn_binding_param(b, function, args, n, out, err);
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        if (!qn_slice_eq_str(function, features[i].name)) continue;
        qn_slot slot = {.kind = features[i].kind, .type = features[i].type};
        if (features[i].shape == SHAPE_OWN)
            QN_TRY(resolve_own(b, &slot, function, args, n, err));
        else if (features[i].shape != SHAPE_NONE)
            QN_TRY(resolve_field(b, &slot, args, n, err));
        return qn_binding_add(b, &slot, out, err);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (qn_slice_eq_str(function, refused[i].name))
            return qn_fail_at(err, QN_EUNSUPPORTED, at, "%s() is not available: %s",
                              refused[i].name, refused[i].advice);
    return qn_fail_at(err, QN_ENOFUNC, at, "%.*s() has nothing to work on here",
                      QN_SLICE_ARG(function));
}

/* ---- values: text ------------------------------------------------------------------------- */

qn_status qn_slot_walks(qn_binding *b, qn_slot *slot, uint32_t doc, bool positions,
                        qn_error *err)
{
    if (slot->walk_segment == b->segment && slot->walk_doc <= doc) {
        slot->walk_doc = doc;
        return QN_OK;
    }
    for (size_t f = 0; f < slot->field_count; f++)
        QN_TRY(qn_match_walk_open(b->in->snapshot, b->segment, slot->fields[f].field,
                                  &slot->fields[f].words, positions, b->arena,
                                  &slot->fields[f].walk, err));
    slot->walk_segment = b->segment;
    slot->walk_doc = doc;
    return QN_OK;
}

static double static_bm25(const qn_slot *slot, const qn_match_view *views)
{
    double best = 0, boosts[QN_SLOT_FIELDS_MAX];
    for (size_t g = 0, begin = 0; g < slot->group_count;
         begin = slot->group_ends[g++]) {
        size_t n = slot->group_ends[g] - begin;
        for (size_t i = 0; i < n; i++) boosts[i] = slot->fields[begin + i].boost;
        best = fmax(best, qn_feature_static_bm25(views + begin, boosts, n));
    }
    return best;
}

static double exact_match_boost(const qn_slot *slot, const qn_match_view *views)
{
    double best = 0;
    for (size_t f = 0; f < slot->field_count; f++) {
        qn_boost_term terms[QN_FEATURE_TERMS_MAX];
        for (size_t i = 0; i < views[f].term_count; i++) {
            int32_t weight = slot->fields[f].words.p[i].weight;
            terms[i] = (qn_boost_term){.matched = views[f].terms[i].count > 0,
                                       .has_boost = weight != QN_QUERY_WEIGHT_DEFAULT,
                                       .boost = weight};
        }
        best = fmax(
            best, qn_feature_exact_match_boost(terms, views[f].term_count, slot->flag));
    }
    return best;
}

/* Sum over fields and words of tf x ln(N / df). */
static double tfidf(const qn_slot *slot, const qn_match_view *views)
{
    double sum = 0;
    for (size_t f = 0; f < slot->field_count; f++)
        for (size_t i = 0; i < views[f].term_count; i++)
            sum += views[f].terms[i].count * views[f].terms[i].rarity;
    return sum;
}

static double text_value(const qn_slot *slot, const qn_match_view *views)
{
    size_t n = slot->field_count;
    double best = 0;
    switch (slot->kind) {
    case QN_SLOT_STATIC_BM25:
        return static_bm25(slot, views);
    case QN_SLOT_EXACT_MATCH_BOOST:
        return exact_match_boost(slot, views);
    case QN_SLOT_TEXT_RELEVANCE:
        return qn_feature_text_relevance(views).value;
    case QN_SLOT_FIELD_MATCH_WEIGHTED:
        return qn_feature_text_relevance(views).field_match;
    case QN_SLOT_FIELD_BM25:
        return qn_feature_text_relevance(views).bm25;
    case QN_SLOT_TFIDF:
        return tfidf(slot, views);
    case QN_SLOT_FIELD_MATCH_RATIO:
        return qn_feature_field_match_ratio(views);
    case QN_SLOT_FIELD_TERM_MATCH_COUNT:
        return qn_feature_field_term_match_count(views);
    case QN_SLOT_FIELD_LENGTH:
        return qn_feature_field_length(views);
    case QN_SLOT_WINDOW:
        return qn_feature_query_min_slide_window(views, slot->flag);
    case QN_SLOT_PROXIMITY:
        for (size_t f = 0; f < n; f++)
            best = fmax(best, qn_feature_fieldterm_proximity(&views[f]));
        return best;
    case QN_SLOT_QUERY_MATCH_RATIO:
        return qn_feature_query_match_ratio_any(views, n);
    default:
        return qn_feature_query_term_match_count_any(views, n);
    }
}

/* Fields that were asked different words cannot be put side by side word by word: the
 * features over "any field" then take the best field. */
static bool same_words(const qn_slot *slot)
{
    const qn_match_words *first = &slot->fields[0].words;
    for (size_t f = 1; f < slot->field_count; f++) {
        const qn_match_words *words = &slot->fields[f].words;
        if (words->n != first->n) return false;
        for (size_t i = 0; i < first->n; i++)
            if (words->p[i].id != first->p[i].id) return false;
    }
    return true;
}

static double any_field_value(const qn_slot *slot, const qn_match_view *views)
{
    bool ratio = slot->kind == QN_SLOT_QUERY_MATCH_RATIO;
    if (same_words(slot)) return text_value(slot, views);
    double best = 0;
    for (size_t f = 0; f < slot->field_count; f++)
        best = fmax(best, ratio ? qn_feature_query_match_ratio(&views[f])
                                : qn_feature_query_term_match_count(&views[f]));
    return best;
}

/* Lengths whose value is told are exact: the index keeps them so below 40 tokens. */
static qn_status exact_length(const qn_binding *b, const qn_slot *slot, uint32_t doc,
                              qn_match_view *view, qn_error *err)
{
    enum { KEPT_ROUGHLY = 40 }; /* 40 stands for 41 too */
    bool told =
        slot->kind == QN_SLOT_FIELD_LENGTH || slot->kind == QN_SLOT_FIELD_MATCH_RATIO;
    if (!told || view->length < KEPT_ROUGHLY || b->in->length == NULL) return QN_OK;
    return b->in->length(b->in->length_ctx, (uint32_t)b->segment, doc,
                         slot->fields[0].field, &view->length, err);
}

static qn_status text_feature(qn_binding *b, qn_slot *slot, const uint32_t *docs,
                              size_t n, double *out, qn_error *err)
{
    qn_match_view views[QN_SLOT_FIELDS_MAX];
    bool positions = slot->kind == QN_SLOT_TEXT_RELEVANCE ||
                     slot->kind == QN_SLOT_FIELD_MATCH_WEIGHTED ||
                     slot->kind == QN_SLOT_PROXIMITY || slot->kind == QN_SLOT_WINDOW;
    bool any = slot->kind == QN_SLOT_QUERY_MATCH_RATIO ||
               slot->kind == QN_SLOT_QUERY_TERM_MATCH_COUNT;
    for (size_t i = 0; i < n; i++) {
        out[i] = 0;
        if (slot->field_count == 0) continue;
        QN_TRY(qn_slot_walks(b, slot, docs[i], positions, err));
        for (size_t f = 0; f < slot->field_count; f++)
            QN_TRY(qn_match_walk_to(slot->fields[f].walk, docs[i], &views[f], err));
        QN_TRY(exact_length(b, slot, docs[i], &views[0], err));
        out[i] = (double)(float)(any ? any_field_value(slot, views)
                                     : text_value(slot, views));
    }
    return QN_OK;
}

/* ---- values: scores of earlier stages ------------------------------------------------------- */

static const qn_field *vector_field(const qn_binding *b)
{
    for (size_t p = 0; p < b->in->path_count; p++)
        if (b->in->paths[p].found->vector_count > 0)
            return b->in->paths[p].found->vectors[0].leaf->fields[0].field;
    return NULL;
}

static double fact_value(const qn_binding *b, const qn_slot *slot, size_t i)
{
    const qn_rank_facts *f = b->facts;
    double text = f->text == NULL || isnan(f->text[i]) ? 0 : (double)f->text[i];
    double vector = f->vector == NULL ? (double)NAN : (double)f->vector[i];
    const qn_field *field = vector_field(b);
    if (!isnan(vector) && field != NULL)
        vector = (double)qn_vector_score(field, (float)vector);
    switch (slot->kind) {
    case QN_SLOT_FIRST_PHASE:
        if (f->rough != NULL && !isnan(f->rough[i])) return (double)f->rough[i];
        return f->recall == NULL ? 0 : (double)f->recall[i];
    case QN_SLOT_TEXT_SCORE:
        return text;
    case QN_SLOT_TEXT_Z:
        return qn_slot_standardised(text, f->text_spread);
    case QN_SLOT_VECTOR_SCORE:
        return isnan(vector) ? 0 : vector;
    case QN_SLOT_VECTOR_Z:
        return qn_slot_standardised(vector, f->vector_spread);
    case QN_SLOT_RECALL_SCORE:
        return f->recall == NULL ? 0 : (double)f->recall[i];
    default:
        return qn_slot_neural_value(b, slot, i);
    }
}

static double proxima_value(const qn_binding *b, const qn_slot *slot, uint32_t doc)
{
    float metric = 0;
    for (size_t p = 0; p < b->in->path_count; p++)
        if (qn_exec_vector_metric(b->in->paths[p].found, slot->field->id,
                                  (uint32_t)b->segment, doc, &metric))
            return (double)metric;
    return slot->fallback;
}

qn_status qn_binding_feature(qn_binding *b, qn_slot *slot, const uint32_t *docs,
                             size_t n, double *out, qn_error *err)
{
    if (slot->kind >= QN_SLOT_FIRST_PHASE) {
        /* The batch may be any ascending part of the run: find each document's facts. */
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            while (at < b->doc_count && b->docs[at] < docs[i]) at++;
            out[i] =
                b->facts == NULL || at == b->doc_count ? 0 : fact_value(b, slot, at);
        }
        return QN_OK;
    }
    if (slot->kind == QN_SLOT_PROXIMA) {
        for (size_t i = 0; i < n; i++) out[i] = proxima_value(b, slot, docs[i]);
        return QN_OK;
    }
    switch (slot->kind) {
    case QN_SLOT_TAG_MATCH:
        return qn_slot_tags_values(b, slot, docs, n, out, err);
    case QN_SLOT_BIT_STRUCT:
    case QN_SLOT_IN_POLYGON:
    case QN_SLOT_IN_QUERY_POLYGON:
        return qn_slot_shapes_values(b, slot, docs, n, out, err);
    case QN_SLOT_VALUE_COUNT:
        return qn_slot_count_values(b, slot, docs, n, out, err);
    case QN_SLOT_RRF:
    case QN_SLOT_LINEAR:
        return qn_slot_fusion_values(b, slot, docs, n, out, err);
    case QN_SLOT_BM25:
    case QN_SLOT_BM25_PLAIN:
        for (size_t i = 0; i < n; i++)
            QN_TRY(qn_slot_bm25_value(b, slot, docs[i], &out[i], err));
        return QN_OK;
    default:
        return text_feature(b, slot, docs, n, out, err);
    }
}

/* ---- ties ----------------------------------------------------------------------------------- */

qn_status qn_rank_tie_values(const qn_rank_input *in, qn_arena *arena, size_t segment,
                             const uint32_t *docs, size_t n, float *query_match,
                             float *field_match, qn_error *err)
{
    qn_binding b;
    qn_slot slot = {.kind = QN_SLOT_QUERY_MATCH_RATIO, .walk_segment = SIZE_MAX};
    qn_match_view views[QN_SLOT_FIELDS_MAX];
    QN_TRY(qn_binding_init(&b, in, arena, err));
    b.segment = segment;
    QN_TRY(alloc_fields(&b, &slot, QN_SLOT_FIELDS_MAX, err));
    QN_TRY(add_asked_fields(&b, &slot, err));
    for (size_t i = 0; i < n; i++) {
        query_match[i] = field_match[i] = 0;
        if (slot.field_count == 0) continue;
        QN_TRY(qn_slot_walks(&b, &slot, docs[i], false, err));
        for (size_t f = 0; f < slot.field_count; f++) {
            QN_TRY(qn_match_walk_to(slot.fields[f].walk, docs[i], &views[f], err));
            field_match[i] =
                fmaxf(field_match[i], (float)qn_feature_field_match_ratio(&views[f]));
        }
        query_match[i] = (float)any_field_value(&slot, views);
    }
    return QN_OK;
}
