/* SPDX-License-Identifier: Apache-2.0 */
/* bind_params.c -- values of the request and texts made of values.
 *
 *   int32_param("key"[, "default"])     a value of kvpairs, of the type that the name says
 *   mint32_param("key"[, "default"])    several, with commas between them
 *   to_string(field)                    an attribute's value as text
 *   string_replace(field, "abc", "x")   its text, every byte of the second argument replaced
 *   value_count(field)                  how many values the attribute has */
#include "rank/bind_internal.h"

#include "index/column.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const struct {
    const char *name; /* in front of _param */
    qn_expr_type type;
    int64_t min, max;
} types[] = {
    {"int8", QN_EXPR_INT8, INT8_MIN, INT8_MAX},
    {"int16", QN_EXPR_INT16, INT16_MIN, INT16_MAX},
    {"int32", QN_EXPR_INT32, INT32_MIN, INT32_MAX},
    {"int64", QN_EXPR_INT64, INT64_MIN, INT64_MAX},
    {"uint8", QN_EXPR_UINT8, 0, UINT8_MAX},
    {"uint16", QN_EXPR_UINT16, 0, UINT16_MAX},
    {"uint32", QN_EXPR_UINT32, 0, UINT32_MAX},
    {"uint64", QN_EXPR_UINT64, 0, INT64_MAX},
    {"float", QN_EXPR_FLOAT, 0, 0},
    {"double", QN_EXPR_DOUBLE, 0, 0},
    {"string", QN_EXPR_STRING, 0, 0},
};

/* Which row `int32_param` and `mint32_param` are; false: neither. */
static bool find_type(qn_slice function, size_t *row, bool *multi)
{
    static const char tail[] = "_param";
    if (!qn_slice_ends_with(function, tail)) return false;
    qn_slice name = {function.p, function.n - (sizeof tail - 1)};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bool exact = qn_slice_eq_str(name, types[i].name);
        bool several =
            name.n > 1 && name.p[0] == 'm' &&
            qn_slice_eq_str((qn_slice){name.p + 1, name.n - 1}, types[i].name);
        if (!exact && !several) continue;
        *row = i;
        *multi = several;
        return true;
    }
    return false;
}

/* One value of a parameter; `out` gets it in the member of its type. */
static bool read_value(size_t row, qn_slice text, qn_expr_symbol *out)
{
    text = qn_slice_trim(text);
    switch (types[row].type) {
    case QN_EXPR_STRING:
        out->str = text;
        return true;
    case QN_EXPR_FLOAT:
    case QN_EXPR_DOUBLE:
        if (!qn_slice_to_f64(text, &out->f64)) return false;
        if (types[row].type == QN_EXPR_FLOAT) out->f64 = (double)(float)out->f64;
        return true;
    default:
        if (!qn_slice_to_i64(text, &out->i64)) return false;
        out->f64 = (double)out->i64;
        return out->i64 >= types[row].min && out->i64 <= types[row].max;
    }
}

static qn_status wrong_value(const qn_expr_arg *key, size_t row, qn_slice text,
                             qn_error *err)
{
    return qn_fail_at(err, QN_EPARAM, key->at, "kvpairs: '%.*s' of '%.*s' is no %s",
                      text.n > 60 ? 60 : (int)text.n, text.p, QN_SLICE_ARG(key->text),
                      types[row].name);
}

static qn_status read_list(qn_binding *b, const qn_expr_arg *key, size_t row,
                           qn_slice text, qn_expr_list *out, qn_error *err)
{
    size_t count = 1;
    for (size_t i = 0; i < text.n; i++) count += text.p[i] == ',';
    qn_slice *strings = qn_arena_array(b->arena, count, sizeof *strings);
    uint64_t *bits = qn_arena_array(b->arena, count, sizeof *bits);
    if (strings == NULL || bits == NULL)
        return qn_fail(err, QN_ENOMEM, "values of kvpairs");
    size_t n = 0;
    while (text.n > 0) {
        const char *comma = memchr(text.p, ',', text.n);
        qn_slice part = {text.p, comma == NULL ? text.n : (size_t)(comma - text.p)};
        size_t used = part.n + (comma != NULL);
        text = (qn_slice){text.p + used, text.n - used};
        qn_expr_symbol value = {0};
        if (!read_value(row, part, &value)) return wrong_value(key, row, part, err);
        strings[n] = value.str;
        if (types[row].type == QN_EXPR_FLOAT || types[row].type == QN_EXPR_DOUBLE)
            memcpy(&bits[n], &value.f64, sizeof bits[n]);
        else
            bits[n] = (uint64_t)value.i64;
        n++;
    }
    *out =
        (qn_expr_list){types[row].type == QN_EXPR_STRING ? (void *)strings : bits, n};
    return QN_OK;
}

bool qn_binding_is_param(qn_slice function)
{
    size_t row;
    bool multi;
    return find_type(function, &row, &multi);
}

qn_status qn_binding_param(qn_binding *b, qn_slice function, const qn_expr_arg *args,
                           size_t n, qn_expr_symbol *out, qn_error *err)
{
    size_t row = 0;
    bool multi = false;
    qn_slice text = {"", 0};
    (void)find_type(function, &row, &multi);
    bool there = qn_binding_kvpair(b, args[0].text, &text) && text.n > 0;
    if (!there && n < 2)
        return qn_fail_at(err, QN_EPARAM, args[0].at,
                          "kvpairs has no '%.*s', and %.*s() no default",
                          QN_SLICE_ARG(args[0].text), QN_SLICE_ARG(function));
    if (!there) text = args[1].text;
    qn_slice kept = qn_arena_slice(b->arena, text);
    if (kept.p == NULL) return qn_fail(err, QN_ENOMEM, "values of kvpairs");
    if (!multi) {
        *out = (qn_expr_symbol){.type = types[row].type, .constant = true};
        return read_value(row, kept, out) ? QN_OK
                                          : wrong_value(&args[0], row, kept, err);
    }
    qn_slot slot = {.kind = QN_SLOT_LIST, .type = types[row].type, .multi = true};
    QN_TRY(read_list(b, &args[0], row, kept, &slot.list, err));
    return qn_binding_add(b, &slot, out, err);
}

/* ---- texts ---------------------------------------------------------------------------- */

qn_status qn_slot_text_make(qn_binding *b, qn_slot *slot, const qn_expr_arg *args,
                            size_t n, qn_error *err)
{
    QN_TRY(qn_binding_attribute(b, &args[0], &slot->field, err));
    if (slot->kind == QN_SLOT_VALUE_COUNT) return QN_OK;
    if (slot->field->multi || slot->field->type == QN_FIELD_GEO)
        return qn_fail_at(err, QN_EMULTIEXPR, args[0].at,
                          "'%.*s' has several values; a single-value attribute is "
                          "expected",
                          QN_SLICE_ARG(args[0].text));
    if (slot->kind == QN_SLOT_TO_STRING) return QN_OK;
    if (slot->field->type != QN_FIELD_KEYWORD)
        return qn_fail_at(err, QN_EFIELDTYPE, args[0].at,
                          "'%.*s' is an attribute of type %s; a string is expected",
                          QN_SLICE_ARG(args[0].text),
                          qn_field_type_name(slot->field->type));
    if (n != 3 || args[1].kind != QN_EXPR_ARG_STRING ||
        args[2].kind != QN_EXPR_ARG_STRING || args[2].text.n != 1)
        return qn_fail_at(err, QN_EFUNCARGS, args[2].at,
                          "two quoted strings are expected, the second one byte long");
    slot->replaced = qn_arena_slice(b->arena, args[1].text);
    slot->replacement = args[2].text.p[0];
    return slot->replaced.p == NULL ? qn_fail(err, QN_ENOMEM, "string_replace()")
                                    : QN_OK;
}

static qn_status make_text(qn_binding *b, const qn_slot *slot, const qn_column *c,
                           uint32_t doc, qn_slice *out, qn_error *err)
{
    char number[32];
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    bool real = c->type == QN_FIELD_FLOAT || c->type == QN_FIELD_DOUBLE;
    if (c->type == QN_FIELD_KEYWORD) {
        *out = begin == limit ? (qn_slice){"", 0}
                              : qn_column_bytes(c, qn_column_value_ord(c, begin));
        if (slot->kind == QN_SLOT_TO_STRING) return QN_OK;
    } else {
        int64_t whole = begin == limit || real ? 0 : qn_column_value_i64(c, begin);
        double value = begin == limit || !real ? 0 : qn_column_value_f64(c, begin);
        int n = real ? snprintf(number, sizeof number, "%g", value)
                     : snprintf(number, sizeof number, "%" PRId64, whole);
        *out = (qn_slice){number, (size_t)n};
    }
    *out = qn_arena_slice(b->arena, *out);
    if (out->p == NULL) return qn_fail(err, QN_ENOMEM, "texts of a formula");
    if (slot->kind == QN_SLOT_TO_STRING) return QN_OK;
    char *bytes = (char *)(uintptr_t)out->p; /* this arena's own copy */
    for (size_t i = 0; i < out->n; i++)
        if (slot->replaced.n > 0 &&
            memchr(slot->replaced.p, bytes[i], slot->replaced.n) != NULL)
            bytes[i] = slot->replacement;
    return QN_OK;
}

qn_status qn_slot_text_values(qn_binding *b, const qn_slot *slot, const uint32_t *docs,
                              size_t n, qn_slice *out, qn_error *err)
{
    qn_column c;
    bool there = false;
    QN_TRY(qn_binding_column(b, slot->field, &c, &there, err));
    bool number = slot->field->type != QN_FIELD_KEYWORD;
    for (size_t i = 0; i < n; i++) {
        out[i] = number ? QN_SLICE_LIT("0") : QN_SLICE_LIT("");
        if (there) QN_TRY(make_text(b, slot, &c, docs[i], &out[i], err));
    }
    return QN_OK;
}

qn_status qn_slot_count_values(qn_binding *b, const qn_slot *slot, const uint32_t *docs,
                               size_t n, double *out, qn_error *err)
{
    qn_column c;
    bool there = false;
    QN_TRY(qn_binding_column(b, slot->field, &c, &there, err));
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = 0, limit = 0;
        if (there) qn_column_range(&c, docs[i], &begin, &limit);
        out[i] = (double)(limit - begin);
    }
    return QN_OK;
}
