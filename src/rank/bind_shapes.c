/* SPDX-License-Identifier: Apache-2.0 */
/* bind_shapes.c -- features over lists of numbers: bits of integers, polygons.
 *
 *   bit_struct(field, "0-9,10-48", "op,$1,..."...)
 *       Ranges of bits, counted from the high end of 64, name the groups $1, $2 ... of an
 *       item. Operations follow, each the next $: "equal,a,b", "overlap,a,b,c,d" (do
 *       [a,b] and [c,d] meet) and "and,a,b,..."; operands are $n or integers. The value is
 *       the index of the first item for which the last operation holds, else -1.
 *   in_polygon(field, x, y[, "true"])
 *       The document's polygon x1,y1,x2,y2,...; with "true" several: how many, the corners
 *       of each, then all corners one after another. The number, from 1, of the first that
 *       holds the point; 0: none, or no well-formed list.
 *   in_query_polygon(key, field)
 *       The request's polygons, kvpairs=key:x1\,y1\,x2\,y2...;x1\,y1..., against the
 *       document's point (a location, or a list x, y).
 * A point on an edge is inside. Polygons have no holes. */
#include "rank/bind_internal.h"

#include "index/column.h"
#include "index/segment.h"

#include <math.h>

enum {
    GROUPS_MAX = 64,
    OPS_MAX = 5,
    OPERANDS_MAX = 64,
    CORNERS_MIN = 3,
    DOC_POLYGONS_MAX = 50,
    QUERY_POLYGONS_MAX = 1000,
    LIST_MAX = 65535, /* numbers of a list that are looked at */
};

typedef struct operand {
    bool is_group;
    int64_t value; /* of a constant; the group's index */
} operand;

typedef enum bit_op { BIT_EQUAL, BIT_OVERLAP, BIT_AND } bit_op;

typedef struct bit_operation {
    bit_op op;
    operand operands[OPERANDS_MAX];
    size_t count;
} bit_operation;

typedef struct polygon {
    const double *corners; /* x, y, x, y ... */
    size_t count;          /* of corners */
} polygon;

struct qn_slot_shapes {
    struct {
        unsigned shift;
        uint64_t mask;
    } groups[GROUPS_MAX];
    size_t group_count;
    bit_operation ops[OPS_MAX];
    size_t op_count;

    double x, y; /* in_polygon */
    bool several;
    polygon *polygons; /* in_query_polygon */
    size_t polygon_count;
    double *numbers; /* of one document's list */
    size_t capacity;
};

/* Cuts the part before the next `c` off. */
static qn_slice cut(qn_slice *rest, char c)
{
    const char *at = rest->n == 0 ? NULL : memchr(rest->p, c, rest->n);
    size_t n = at == NULL ? rest->n : (size_t)(at - rest->p);
    qn_slice part = {rest->p, n};
    size_t used = at == NULL ? n : n + 1;
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return qn_slice_trim(part);
}

/* ---- bit_struct: arguments ------------------------------------------------------------ */

static qn_status read_groups(const qn_expr_arg *arg, struct qn_slot_shapes *s,
                             qn_error *err)
{
    qn_slice rest = arg->text;
    while (arg->kind == QN_EXPR_ARG_STRING && rest.n > 0) {
        qn_slice range = cut(&rest, ',');
        int64_t first = -1, last = -1;
        qn_slice low = cut(&range, '-');
        bool good = s->group_count < GROUPS_MAX && qn_slice_to_i64(low, &first) &&
                    qn_slice_to_i64(qn_slice_trim(range), &last);
        if (!good || first < 0 || first > last || last > 63)
            return qn_fail_at(err, QN_EFUNCARGS, arg->at,
                              "bit groups are ranges of 0 to 63 from the high end, as "
                              "in \"0-9,10-48\", at most %d",
                              GROUPS_MAX);
        unsigned bits = (unsigned)(last - first) + 1;
        s->groups[s->group_count].shift = (unsigned)(63 - last);
        s->groups[s->group_count++].mask =
            bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    }
    if (s->group_count > 0) return QN_OK;
    return qn_fail_at(err, QN_EFUNCARGS, arg->at,
                      "bit groups are expected here, as in \"0-9,10-48\"");
}

static bool read_operand(qn_slice text, size_t known, operand *out)
{
    *out = (operand){.is_group = text.n > 0 && text.p[0] == '$'};
    if (!out->is_group) return qn_slice_to_i64(text, &out->value);
    if (!qn_slice_to_i64((qn_slice){text.p + 1, text.n - 1}, &out->value)) return false;
    return --out->value >= 0 && (uint64_t)out->value < known;
}

static bool read_operation(qn_slice text, size_t known, bit_operation *out)
{
    static const struct {
        const char *name;
        size_t least, most;
    } rows[] = {{"equal", 2, 2}, {"overlap", 4, 4}, {"and", 1, OPERANDS_MAX}};
    qn_slice name = cut(&text, ',');
    size_t row = 0;
    while (row < 3 && !qn_slice_eq_nocase(name, rows[row].name)) row++;
    if (row == 3) return false;
    *out = (bit_operation){.op = (bit_op)row};
    while (text.n > 0) {
        if (out->count == OPERANDS_MAX ||
            !read_operand(cut(&text, ','), known, &out->operands[out->count]))
            return false;
        out->count++;
    }
    return out->count >= rows[row].least && out->count <= rows[row].most;
}

static qn_status make_bits(const qn_expr_arg *args, size_t n, struct qn_slot_shapes *s,
                           qn_error *err)
{
    QN_TRY(read_groups(&args[1], s, err));
    for (size_t i = 2; i < n; i++) {
        if (args[i].kind != QN_EXPR_ARG_STRING || s->op_count == OPS_MAX ||
            !read_operation(args[i].text, s->group_count + s->op_count,
                            &s->ops[s->op_count]))
            return qn_fail_at(err, QN_EFUNCARGS, args[i].at,
                              "an operation is \"equal,a,b\", \"overlap,a,b,c,d\" or "
                              "\"and,a,...\" of integers and $1 to $%zu",
                              s->group_count + s->op_count);
        s->op_count++;
    }
    return QN_OK;
}

/* ---- polygons: arguments -------------------------------------------------------------- */

static qn_status read_coordinate(const qn_binding *b, const qn_expr_arg *arg,
                                 double *out, qn_error *err)
{
    qn_slice text = arg->text;
    if (arg->kind == QN_EXPR_ARG_NUMBER) {
        *out = arg->f64;
        return QN_OK;
    }
    if (arg->kind != QN_EXPR_ARG_BOOL) {
        (void)qn_binding_kvpair(b, arg->text, &text);
        if (qn_slice_to_f64(qn_slice_trim(text), out)) return QN_OK;
    }
    return qn_fail_at(err, QN_EFUNCARGS, arg->at,
                      "a coordinate is a number, or the name of one in kvpairs");
}

static qn_status make_document_polygon(const qn_binding *b, const qn_expr_arg *args,
                                       size_t n, struct qn_slot_shapes *s,
                                       qn_error *err)
{
    QN_TRY(read_coordinate(b, &args[1], &s->x, err));
    QN_TRY(read_coordinate(b, &args[2], &s->y, err));
    return n > 3 ? qn_binding_flag(&args[3], &s->several, err) : QN_OK;
}

static bool read_polygon(qn_slice text, double *numbers, polygon *out)
{
    size_t n = 0;
    while (text.n > 0)
        if (!qn_slice_to_f64(cut(&text, ','), &numbers[n++])) return false;
    *out = (polygon){numbers, n / 2};
    return n % 2 == 0 && n / 2 >= CORNERS_MIN;
}

static qn_status make_query_polygons(qn_binding *b, const qn_expr_arg *key,
                                     struct qn_slot_shapes *s, qn_error *err)
{
    qn_slice text = {"", 0};
    (void)qn_binding_kvpair(b, key->text, &text);
    double *numbers = qn_arena_array(b->arena, text.n / 2 + 1, sizeof *numbers);
    s->polygons = qn_arena_array(b->arena, QUERY_POLYGONS_MAX, sizeof *s->polygons);
    if (numbers == NULL || s->polygons == NULL)
        return qn_fail(err, QN_ENOMEM, "polygons");
    while (text.n > 0) {
        qn_slice one = cut(&text, ';');
        polygon *p = &s->polygons[s->polygon_count];
        if (one.n == 0) continue;
        if (s->polygon_count++ == QUERY_POLYGONS_MAX - 1 ||
            !read_polygon(one, numbers, p))
            return qn_fail_at(err, QN_EINVAL, key->at,
                              "kvpairs: '%.*s' is no polygon x\\,y\\,x\\,y\\,x\\,y of "
                              "three corners or more",
                              one.n > 60 ? 60 : (int)one.n, one.p);
        numbers += 2 * p->count;
    }
    return QN_OK;
}

/* ---- arguments of all ----------------------------------------------------------------- */

static qn_status find_list(const qn_binding *b, const qn_expr_arg *arg, bool integers,
                           bool points, const qn_field **out, qn_error *err)
{
    QN_TRY(qn_binding_attribute(b, arg, out, err));
    qn_field_type t = (*out)->type;
    bool integer = t >= QN_FIELD_INT8 && t <= QN_FIELD_INT64;
    bool real = t == QN_FIELD_FLOAT || t == QN_FIELD_DOUBLE;
    if (integer || (!integers && real) || (points && t == QN_FIELD_GEO)) return QN_OK;
    return qn_fail_at(err, QN_EFIELDTYPE, arg->at,
                      "'%.*s' is an attribute of type %s; a list of %s is expected",
                      QN_SLICE_ARG(arg->text), qn_field_type_name(t),
                      integers ? "integers" : "numbers");
}

qn_status qn_slot_shapes_make(qn_binding *b, qn_slot *slot, const qn_expr_arg *args,
                              size_t n, qn_error *err)
{
    struct qn_slot_shapes *s = qn_arena_new(b->arena, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "inputs of a formula");
    *s = (struct qn_slot_shapes){0};
    slot->shapes = s;
    switch (slot->kind) {
    case QN_SLOT_BIT_STRUCT:
        QN_TRY(find_list(b, &args[0], true, false, &slot->field, err));
        return make_bits(args, n, s, err);
    case QN_SLOT_IN_POLYGON:
        QN_TRY(find_list(b, &args[0], false, false, &slot->field, err));
        return make_document_polygon(b, args, n, s, err);
    default:
        QN_TRY(find_list(b, &args[1], false, true, &slot->field, err));
        return make_query_polygons(b, &args[0], s, err);
    }
}

/* ---- values --------------------------------------------------------------------------- */

static int64_t operand_value(const operand *o, const int64_t *values)
{
    return o->is_group ? values[o->value] : o->value;
}

static bool holds(const bit_operation *op, const int64_t *values)
{
    int64_t v[4] = {0};
    for (size_t i = 0; op->op == BIT_AND && i < op->count; i++)
        if (operand_value(&op->operands[i], values) == 0) return false;
    if (op->op == BIT_AND) return true;
    for (size_t i = 0; i < op->count; i++)
        v[i] = operand_value(&op->operands[i], values);
    if (op->op == BIT_EQUAL) return v[0] == v[1];
    return v[0] <= v[3] && v[2] <= v[1];
}

static double bit_struct(const struct qn_slot_shapes *s, const qn_column *c,
                         uint32_t doc)
{
    uint64_t begin = 0, limit = 0;
    int64_t values[GROUPS_MAX + OPS_MAX];
    qn_column_range(c, doc, &begin, &limit);
    for (uint64_t at = begin; at < limit; at++) {
        uint64_t bits = (uint64_t)qn_column_value_i64(c, at);
        for (size_t g = 0; g < s->group_count; g++)
            values[g] = (int64_t)(bits >> s->groups[g].shift & s->groups[g].mask);
        for (size_t o = 0; o < s->op_count; o++)
            values[s->group_count + o] = holds(&s->ops[o], values);
        if (values[s->group_count + s->op_count - 1] != 0) return (double)(at - begin);
    }
    return -1;
}

static bool on_edge(double ax, double ay, double bx, double by, double x, double y)
{
    if ((bx - ax) * (y - ay) != (by - ay) * (x - ax)) return false;
    return x >= fmin(ax, bx) && x <= fmax(ax, bx) && y >= fmin(ay, by) &&
           y <= fmax(ay, by);
}

/* How often a ray to the right crosses the edges. */
static bool is_inside(const polygon *p, double x, double y)
{
    bool inside = false;
    for (size_t i = 0, k = p->count - 1; i < p->count; k = i++) {
        double ax = p->corners[2 * k], ay = p->corners[2 * k + 1];
        double bx = p->corners[2 * i], by = p->corners[2 * i + 1];
        if (on_edge(ax, ay, bx, by, x, y)) return true;
        if ((ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax)
            inside = !inside;
    }
    return inside;
}

static double in_polygons(const struct qn_slot_shapes *s, const double *v, size_t n)
{
    if (!s->several) {
        polygon one = {v, n / 2};
        return n % 2 == 0 && one.count >= CORNERS_MIN && is_inside(&one, s->x, s->y);
    }
    if (n == 0 || !(v[0] >= 1 && v[0] <= DOC_POLYGONS_MAX)) return 0;
    size_t count = (size_t)v[0], total = 0;
    if (n < 1 + count) return 0;
    for (size_t i = 1; i <= count; i++) {
        if (!(v[i] >= CORNERS_MIN && v[i] <= LIST_MAX)) return 0;
        total += (size_t)v[i];
    }
    if (n - 1 - count != 2 * total) return 0;
    const double *corners = v + 1 + count;
    for (size_t i = 1; i <= count; corners += 2 * (size_t)v[i++]) {
        polygon p = {corners, (size_t)v[i]};
        if (is_inside(&p, s->x, s->y)) return (double)i;
    }
    return 0;
}

static double in_query_polygons(const struct qn_slot_shapes *s, double x, double y)
{
    for (size_t i = 0; i < s->polygon_count; i++)
        if (is_inside(&s->polygons[i], x, y)) return (double)(i + 1);
    return 0;
}

static double point_value(const qn_slot *slot, const qn_column *c, uint32_t doc)
{
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    if (slot->field->type == QN_FIELD_GEO) {
        for (uint64_t at = begin; at < limit; at++) {
            qn_geo_point p = qn_geo_of_bits(qn_column_value_bits(c, at));
            double value = in_query_polygons(slot->shapes, p.lon, p.lat);
            if (value > 0) return value;
        }
        return 0;
    }
    if (limit - begin < 2) return 0;
    return in_query_polygons(slot->shapes, qn_column_value_f64(c, begin),
                             qn_column_value_f64(c, begin + 1));
}

static qn_status list_value(qn_binding *b, const qn_slot *slot, const qn_column *c,
                            uint32_t doc, double *out, qn_error *err)
{
    struct qn_slot_shapes *s = slot->shapes;
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    size_t n = (size_t)(limit - begin);
    if (n > LIST_MAX) return QN_OK;
    if (n > s->capacity) {
        s->numbers = qn_arena_array(b->arena, 2 * n, sizeof *s->numbers);
        if (s->numbers == NULL) return qn_fail(err, QN_ENOMEM, "in_polygon()");
        s->capacity = 2 * n;
    }
    for (size_t i = 0; i < n; i++) s->numbers[i] = qn_column_value_f64(c, begin + i);
    *out = in_polygons(s, s->numbers, n);
    return QN_OK;
}

qn_status qn_slot_shapes_values(qn_binding *b, const qn_slot *slot,
                                const uint32_t *docs, size_t n, double *out,
                                qn_error *err)
{
    qn_column c;
    bool there = false;
    QN_TRY(qn_binding_column(b, slot->field, &c, &there, err));
    for (size_t i = 0; i < n; i++) {
        out[i] = slot->kind == QN_SLOT_BIT_STRUCT ? -1 : 0;
        if (!there || !qn_column_has(&c, docs[i])) continue;
        if (slot->kind == QN_SLOT_BIT_STRUCT)
            out[i] = bit_struct(slot->shapes, &c, docs[i]);
        else if (slot->kind == QN_SLOT_IN_POLYGON)
            QN_TRY(list_value(b, slot, &c, docs[i], &out[i], err));
        else
            out[i] = point_value(slot, &c, docs[i]);
    }
    return QN_OK;
}
