/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_attributes.c -- attributes and variables of documents, for plug-ins: OpsDoc's
 * methods, and the references of HA3. */
#include "rank/plugin_internal.h"

static qn_status no_memory(const qn_error *err)
{
    return err == NULL ? QN_EPLUGIN : err->code;
}

/* ---- attributes ------------------------------------------------------------------------- */

static qn_plugin_attribute *find(qn_rank_scorer *s, qn_slice name)
{
    for (size_t i = 0; i < s->attribute_count; i++)
        if (qn_slice_eq(s->attributes[i].name, name)) return &s->attributes[i];
    return NULL;
}

static bool make_room(qn_rank_scorer *s, qn_plugin_attribute *a)
{
    size_t n = QN_EXPR_LANES;
    qn_expr_values *v = &a->values;
    bool real = a->symbol.type == QN_EXPR_FLOAT || a->symbol.type == QN_EXPR_DOUBLE;
    if (a->is_point) return true;
    if (a->symbol.multi)
        return (v->lists = qn_arena_array(s->arena, n, sizeof *v->lists)) != NULL;
    if (a->symbol.type == QN_EXPR_STRING)
        return (v->str = qn_arena_array(s->arena, n, sizeof *v->str)) != NULL;
    if (real) return (v->f64 = qn_arena_array(s->arena, n, sizeof *v->f64)) != NULL;
    return (v->i64 = qn_arena_array(s->arena, n, sizeof *v->i64)) != NULL;
}

/* *out NULL: the table has no such attribute. */
static qn_status require(qn_rank_scorer *s, qn_slice name, qn_plugin_attribute **out,
                         qn_error *err)
{
    *out = find(s, name);
    if (*out != NULL) return QN_OK;
    if (s->attribute_count == QN_PLUGIN_ATTRIBUTES_MAX)
        return qn_fail(err, QN_EPLUGIN, "more than %d attributes",
                       QN_PLUGIN_ATTRIBUTES_MAX);
    qn_plugin_attribute a = {.name = qn_arena_slice(s->arena, name)};
    a.field = qn_schema_field(s->in->snapshot->schema, name);
    a.is_point = a.field != NULL && a.field->type == QN_FIELD_GEO && a.field->column;
    if (!a.is_point && !s->env.resolve_name(s->env.ctx, a.name, &a.symbol))
        return QN_OK;
    if (a.symbol.constant) return QN_OK;
    if (a.name.p == NULL || !make_room(s, &a))
        return qn_fail(err, QN_ENOMEM, "attributes of a plug-in");
    s->attributes[s->attribute_count] = a;
    *out = &s->attributes[s->attribute_count++];
    return QN_OK;
}

/* The values of the block that the document is in. */
static qn_status load(qn_rank_scorer *s, qn_plugin_attribute *a, qn_error *err)
{
    if (a->block == s->block) return QN_OK;
    QN_TRY(qn_binding_load(&s->binding, a->symbol.slot, s->docs + s->block_begin,
                           s->block_size, &a->values, err));
    a->block = s->block;
    return QN_OK;
}

typedef enum wanted { WANT_SINGLE, WANT_MULTI, WANT_POINT } wanted;

/* The attribute of DOC_*'s first argument, loaded; NULL: undeclared or of another kind,
 * which gives 0 or null. */
static qn_status asked(qn_rank_scorer *s, const qn_cava_call *c, wanted want,
                       qn_plugin_attribute **out, qn_error *err)
{
    *out = NULL;
    if (s->starting)
        return qn_fail(err, QN_EPLUGIN, "there is no document yet: read it in score()");
    if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null name");
    qn_plugin_attribute *a = find(s, qn_cava_string(c->args[1].r));
    if (a == NULL) return QN_OK;
    wanted kind = a->is_point ? WANT_POINT : a->symbol.multi ? WANT_MULTI : WANT_SINGLE;
    if (kind != want) return QN_OK;
    if (!a->is_point) QN_TRY(load(s, a, err));
    *out = a;
    return QN_OK;
}

static qn_status number(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_plugin_attribute *a = NULL;
    size_t i = s->at - s->block_begin;
    QN_TRY(asked(s, c, WANT_SINGLE, &a, err));
    double real = 0;
    int64_t integer = 0;
    if (a != NULL && a->values.i64 != NULL) {
        integer = a->values.i64[i];
        real = (double)integer;
    } else if (a != NULL && a->values.f64 != NULL) {
        real = a->values.f64[i];
        integer = real > -9e18 && real < 9e18 ? (int64_t)real : 0;
    }
    if (c->id == QN_CAVA_N_DOC_LONG)
        c->result.i = integer;
    else
        c->result.d = real;
    return QN_OK;
}

static qn_status literal(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_plugin_attribute *a = NULL;
    QN_TRY(asked(s, c, WANT_SINGLE, &a, err));
    c->result.r = NULL;
    if (a == NULL || a->values.str == NULL) return QN_OK;
    qn_slice text = a->values.str[s->at - s->block_begin];
    c->result.r = qn_cava_new_string(c->run, text, err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

static double item_real(const qn_expr_list *l, bool real, size_t i)
{
    return real ? ((const double *)l->items)[i]
                : (double)((const int64_t *)l->items)[i];
}

static int64_t item_integer(const qn_expr_list *l, bool real, size_t i)
{
    if (!real) return ((const int64_t *)l->items)[i];
    double v = ((const double *)l->items)[i];
    return v > -9e18 && v < 9e18 ? (int64_t)v : 0;
}

static qn_status array(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_plugin_attribute *a = NULL;
    QN_TRY(asked(s, c, WANT_MULTI, &a, err));
    c->result.r = NULL;
    bool texts = a != NULL && a->symbol.type == QN_EXPR_STRING;
    if (a == NULL || texts != (c->arg == 2)) return QN_OK;
    const qn_expr_list *l = &a->values.lists[s->at - s->block_begin];
    bool real = a->symbol.type == QN_EXPR_FLOAT || a->symbol.type == QN_EXPR_DOUBLE;
    c->result.r = qn_cava_new_array(c->run, c->type, l->n, err);
    if (c->result.r == NULL) return no_memory(err);
    void *items = qn_cava_items(c->result.r);
    for (size_t i = 0; i < l->n; i++) {
        if (c->arg == 2) {
            qn_cava_object *text =
                qn_cava_new_string(c->run, ((const qn_slice *)l->items)[i], err);
            if (text == NULL) return no_memory(err);
            ((qn_cava_object **)items)[i] = text;
        } else if (c->arg == 8) {
            ((int64_t *)items)[i] = item_integer(l, real, i);
        } else if (c->arg == 0) {
            ((float *)items)[i] = (float)item_real(l, real, i);
        } else {
            ((double *)items)[i] = item_real(l, real, i);
        }
    }
    return QN_OK;
}

static qn_status point(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_plugin_attribute *a = NULL;
    qn_column column;
    bool there = false;
    uint64_t begin = 0, limit = 0;
    QN_TRY(asked(s, c, WANT_POINT, &a, err));
    c->result.r = NULL;
    if (a == NULL) return QN_OK;
    QN_TRY(qn_binding_column(&s->binding, a->field, &column, &there, err));
    if (there) qn_column_range(&column, s->docs[s->at], &begin, &limit);
    if (begin == limit) return QN_OK;
    qn_geo_point p = qn_geo_of_bits(qn_column_value_bits(&column, begin));
    qn_cava_slot lon = {.d = p.lon};
    c->result.r = qn_cava_new_object_of(c->run, c->type, lon.i, err);
    if (c->result.r == NULL) return no_memory(err);
    *qn_cava_payload(c->result.r) = p.lat;
    return QN_OK;
}

static qn_status timestamp(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_plugin_attribute *a = NULL;
    QN_TRY(asked(s, c, WANT_SINGLE, &a, err));
    c->result.r = NULL;
    if (a == NULL || a->values.i64 == NULL) return QN_OK;
    c->result.r = qn_cava_new_object_of(c->run, c->type,
                                        a->values.i64[s->at - s->block_begin], err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

/* ---- variables -------------------------------------------------------------------------- */

static qn_plugin_variable *find_variable(qn_rank_scorer *s, qn_slice name)
{
    for (size_t i = 0; i < s->variable_count; i++)
        if (qn_slice_eq(s->variables[i].name, name)) return &s->variables[i];
    return NULL;
}

static qn_status declare(qn_rank_scorer *s, qn_slice name, int kind, bool is_integer,
                         bool serialize, qn_plugin_variable **out, qn_error *err)
{
    qn_plugin_variable *v = find_variable(s, name);
    *out = NULL;
    if (!s->starting)
        return qn_fail(err, QN_EPLUGIN, "variables are declared in init()");
    if (v != NULL) {
        if (v->kind == kind) *out = v;
        return QN_OK;
    }
    if (s->variable_count == QN_PLUGIN_VARIABLES_MAX)
        return qn_fail(err, QN_EPLUGIN, "more than %d variables",
                       QN_PLUGIN_VARIABLES_MAX);
    v = &s->variables[s->variable_count];
    *v = (qn_plugin_variable){
        .kind = kind,
        .is_integer = is_integer,
        .serialize = serialize,
        .name = qn_arena_slice(s->arena, name),
        .values = qn_arena_array(s->arena, s->most + 1, sizeof *v->values)};
    if (v->name.p == NULL || v->values == NULL)
        return qn_fail(err, QN_ENOMEM, "variables of a plug-in");
    s->variable_count++;
    *out = v;
    return QN_OK;
}

static qn_status variable(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null name");
    if (s->starting) return qn_fail(err, QN_EPLUGIN, "there is no document yet");
    qn_plugin_variable *v = find_variable(s, qn_cava_string(c->args[1].r));
    bool fits = v != NULL && v->kind == c->arg;
    qn_cava_slot *slot = fits ? &v->values[qn_plugin_number(s)] : NULL;
    if (c->id == QN_CAVA_N_DOC_SET) {
        if (fits) *slot = c->args[2];
        c->result.i = fits;
    } else if (fits) {
        c->result = *slot;
    } else if (c->arg == 0) {
        c->result.i = 0;
    } else {
        c->result.d = 0;
    }
    return QN_OK;
}

qn_status qn_plugin__attribute(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_plugin_attribute *a = NULL;
    qn_plugin_variable *v = NULL;
    switch (c->id) {
    case QN_CAVA_N_DOC_REQUIRE:
        if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null name");
        if (!s->starting)
            return qn_fail(err, QN_EPLUGIN, "attributes are required in init()");
        QN_TRY(require(s, qn_cava_string(c->args[1].r), &a, err));
        c->result.i = a != NULL;
        return QN_OK;
    case QN_CAVA_N_DOC_DECLARE:
        if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null name");
        QN_TRY(declare(s, qn_cava_string(c->args[1].r), c->arg, c->arg == 0,
                       c->args[2].i != 0, &v, err));
        c->result.i = v != NULL;
        return QN_OK;
    case QN_CAVA_N_DOC_SET:
    case QN_CAVA_N_DOC_GET:
        return variable(s, c, err);
    case QN_CAVA_N_DOC_LITERAL:
        return literal(s, c, err);
    case QN_CAVA_N_DOC_ARRAY:
        return array(s, c, err);
    case QN_CAVA_N_DOC_GEO:
        return point(s, c, err);
    case QN_CAVA_N_DOC_TIMESTAMP:
        return timestamp(s, c, err);
    default:
        return number(s, c, err);
    }
}

/* ---- references of HA3: the handle is an attribute, or a variable from BASE on ------------ */

enum { VARIABLE_BASE = 1 << 20, REF_FLOAT = 8, REF_DOUBLE = 9, REF_CHAR = 10 };

/* ORDER CAVA REFERENCES: as the rows of IRefManager number them. */
static qn_expr_type type_of_reference(int arg)
{
    static const qn_expr_type types[] = {
        QN_EXPR_INT8,   QN_EXPR_INT16,  QN_EXPR_INT32,  QN_EXPR_INT64, QN_EXPR_UINT8,
        QN_EXPR_UINT16, QN_EXPR_UINT32, QN_EXPR_UINT64, QN_EXPR_FLOAT, QN_EXPR_DOUBLE};
    if (arg == REF_CHAR || arg == 2 * REF_CHAR + 1) return QN_EXPR_STRING;
    return types[arg < REF_CHAR ? arg : arg - REF_CHAR - 1];
}

static bool is_multi(int arg)
{
    return arg > REF_CHAR;
}

static qn_status make_reference(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    c->result.r = NULL;
    if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null name");
    if (!s->starting) return qn_fail(err, QN_EPLUGIN, "references are made in init()");
    qn_slice name = qn_cava_string(c->args[1].r);
    qn_plugin_variable *v = NULL;
    qn_plugin_attribute *a = NULL;
    int64_t handle = -1;
    bool integer = c->arg < REF_FLOAT;
    if (c->id == QN_CAVA_N_REF_DECLARE) {
        if (c->arg >= REF_CHAR)
            return qn_fail(err, QN_EPLUGIN,
                           "only variables of numbers can be declared");
        QN_TRY(declare(s, name, 16 + c->arg, integer, c->args[2].i != 0, &v, err));
    } else {
        if (c->id == QN_CAVA_N_REF_REQUIRE) QN_TRY(require(s, name, &a, err));
        if (a != NULL && (a->is_point || a->symbol.multi != is_multi(c->arg) ||
                          a->symbol.type != type_of_reference(c->arg)))
            a = NULL;
        if (a == NULL) v = find_variable(s, name);
        if (v != NULL && v->kind != 16 + c->arg) v = NULL;
    }
    if (a != NULL) handle = a - s->attributes;
    if (v != NULL) handle = VARIABLE_BASE + (v - s->variables);
    if (handle < 0) return QN_OK;
    c->result.r = qn_cava_new_object_of(c->run, c->type, handle, err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

/* A list as an object that cannot be written. */
static qn_status multi_value(qn_rank_scorer *s, qn_cava_call *c, qn_plugin_attribute *a,
                             qn_error *err)
{
    const qn_expr_list *l = &a->values.lists[s->at - s->block_begin];
    static const qn_cava_class_id classes[] = {
        QN_CAVA_MInt8,  QN_CAVA_MInt16,  QN_CAVA_MInt32,  QN_CAVA_MInt64,
        QN_CAVA_MUInt8, QN_CAVA_MUInt16, QN_CAVA_MUInt32, QN_CAVA_MUInt64,
        QN_CAVA_MFloat, QN_CAVA_MDouble, QN_CAVA_MString};
    int kind = c->arg - REF_CHAR - 1;
    qn_cava_object *o = qn_cava_new_multi(c->run, classes[kind], l->n, false, err);
    if (o == NULL) return no_memory(err);
    qn_cava_slot *items = qn_cava_multi_items(o);
    for (size_t i = 0; i < l->n; i++) {
        if (a->symbol.type == QN_EXPR_STRING) {
            items[i].r =
                qn_cava_new_mchar(c->run, ((const qn_slice *)l->items)[i], err);
            if (items[i].r == NULL) return no_memory(err);
        } else if (kind >= REF_FLOAT) {
            items[i].d = ((const double *)l->items)[i];
        } else {
            items[i].i = ((const int64_t *)l->items)[i];
        }
    }
    c->result.r = o;
    return QN_OK;
}

static qn_status get_attribute(qn_rank_scorer *s, qn_cava_call *c, size_t handle,
                               qn_error *err)
{
    qn_plugin_attribute *a = &s->attributes[handle];
    size_t i = s->at - s->block_begin;
    QN_TRY(load(s, a, err));
    if (a->symbol.multi) return multi_value(s, c, a, err);
    if (a->values.str != NULL) {
        c->result.r = qn_cava_new_mchar(c->run, a->values.str[i], err);
        return c->result.r == NULL ? no_memory(err) : QN_OK;
    }
    if (a->values.f64 != NULL)
        c->result.d = a->values.f64[i];
    else
        c->result.i = a->values.i64[i];
    return QN_OK;
}

qn_status qn_plugin__reference(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    if (c->id != QN_CAVA_N_REF_GET && c->id != QN_CAVA_N_REF_SET)
        return make_reference(s, c, err);
    if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null document");
    if (s->starting) return qn_fail(err, QN_EPLUGIN, "there is no document yet");
    int64_t handle = qn_cava_handle(c->args[0].r);
    if (handle < VARIABLE_BASE) {
        if (c->id == QN_CAVA_N_REF_GET) return get_attribute(s, c, (size_t)handle, err);
        return qn_fail(err, QN_EPLUGIN,
                       "an attribute cannot be written: declare a variable");
    }
    qn_plugin_variable *v = &s->variables[handle - VARIABLE_BASE];
    qn_cava_slot *slot = &v->values[qn_plugin_number(s)];
    if (c->id == QN_CAVA_N_REF_SET)
        *slot = c->args[2];
    else
        c->result = *slot;
    return QN_OK;
}
