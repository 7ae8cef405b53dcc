/* SPDX-License-Identifier: Apache-2.0 */
/* cava_gen_call.c -- calls, overloads, creation of objects and arrays. */
#include "expr/cava/cava_gen.h"

typedef qn_cava_gen gen;
typedef qn_cava_value value;
typedef qn_cava_node node;

enum { NONE = QN_CAVA_NO_REGISTER };

typedef struct arguments {
    value values[QN_CAVA_ARGS_MAX];
    const node *nodes[QN_CAVA_ARGS_MAX];
    uint32_t n;
    bool wrong;
} arguments;

void qn_cava__emit_call(gen *g, qn_cava_opcode op, uint16_t result, uint32_t what,
                        const uint16_t *registers, size_t n)
{
    (void)qn_cava__emit(g, op, result, what, (unsigned)n);
    for (size_t i = 0; i < n; i += 3)
        (void)qn_cava__emit(g, QN_COP_ARGS, registers[i],
                            i + 1 < n ? registers[i + 1] : 0,
                            i + 2 < n ? registers[i + 2] : 0);
}

/* ---- overloads -------------------------------------------------------------------------- */

/* Java's phases: widening; then, as the vendor's examples need it, double to float. */
static bool takes(const qn_cava_method *m, const arguments *a, bool narrowing)
{
    if (m->arg_count != a->n) return false;
    for (uint32_t i = 0; i < a->n; i++) {
        qn_cava_type from = a->values[i].type, to = m->args[i];
        bool narrows = narrowing && from == QN_CT_DOUBLE && to == QN_CT_FLOAT;
        if (!qn_cava__widens(from, to) && !narrows) return false;
    }
    return true;
}

/* Every parameter of `a` would do for `b`. */
static bool more_specific(const qn_cava_method *a, const qn_cava_method *b)
{
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!qn_cava__widens(a->args[i], b->args[i])) return false;
    return true;
}

static void no_overload(gen *g, const node *n, uint32_t class_index, qn_slice name,
                        const arguments *a, bool ambiguous)
{
    qn_buf text;
    char room[96];
    qn_buf_init(&text, g->c->alloc);
    for (uint32_t i = 0; i < a->n; i++) {
        if (i > 0) qn_buf_add_str(&text, ", ");
        qn_buf_add_slice(
            &text, qn_cava__type_name(g->p, a->values[i].type, room, sizeof room));
    }
    qn_slice given = qn_buf_slice(&text);
    const qn_cava_class *k = &g->p->classes.p[class_index];
    const qn_cava_method *other = NULL;
    for (uint32_t i = k->first_method; i != UINT32_MAX; i = g->p->methods.p[i].next)
        if (qn_slice_eq(g->p->methods.p[i].name, name)) other = &g->p->methods.p[i];
    if (ambiguous)
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_ARGUMENTS,
                       "%.*s(%.*s) could be several methods", QN_SLICE_ARG(name),
                       QN_SLICE_ARG(given));
    else if (other == NULL)
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME, "%.*s has no method '%.*s'",
                       QN_SLICE_ARG(k->name), QN_SLICE_ARG(name));
    else
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_ARGUMENTS,
                       "%.*s(%.*s): there is %.*s", QN_SLICE_ARG(name),
                       QN_SLICE_ARG(given), QN_SLICE_ARG(other->signature));
    qn_buf_deinit(&text);
}

/* The method for these arguments; UINT32_MAX: reported. */
static uint32_t choose(gen *g, const node *n, uint32_t class_index, qn_slice name,
                       bool constructor, const arguments *a)
{
    const qn_cava_method *methods = g->p->methods.p;
    bool ambiguous = false;
    for (int phase = 0; phase < 2; phase++) {
        uint32_t best = UINT32_MAX;
        uint32_t i = g->p->classes.p[class_index].first_method;
        for (; i != UINT32_MAX; i = methods[i].next) {
            if (methods[i].is_constructor != constructor ||
                !qn_slice_eq(methods[i].name, name) ||
                !takes(&methods[i], a, phase > 0))
                continue;
            if (best == UINT32_MAX || more_specific(&methods[i], &methods[best])) {
                ambiguous = false;
                best = i;
            } else if (!more_specific(&methods[best], &methods[i])) {
                ambiguous = true;
            }
        }
        if (best != UINT32_MAX && !ambiguous) return best;
    }
    no_overload(g, n, class_index, name, a, ambiguous);
    return UINT32_MAX;
}

static void evaluate(gen *g, const node *list, arguments *a)
{
    for (; list != NULL; list = list->next) {
        bool later = false;
        if (a->n == QN_CAVA_ARGS_MAX) {
            qn_cava__error(g->c, list->at, list->end, QN_CAVA_E_LIMIT,
                           "more than %d arguments", QN_CAVA_ARGS_MAX);
            a->wrong = true;
            return;
        }
        for (const node *l = list->next; l != NULL; l = l->next)
            later = later || l->effects;
        value v = qn_cava__gen(g, list, NONE);
        if (v.type == QN_CT_VOID) {
            qn_cava__error(g->c, list->at, list->end, QN_CAVA_E_TYPE,
                           "this call gives no value");
            v = qn_cava__wrong();
        }
        a->wrong = a->wrong || v.type == QN_CT_ERROR;
        a->nodes[a->n] = list;
        a->values[a->n++] = qn_cava__stable(g, v, later);
    }
}

/* Arguments of the chosen method into registers, the call, its result. */
static value emit_method(gen *g, const node *n, uint32_t number, const value *self,
                         arguments *a, uint16_t wanted)
{
    uint16_t registers[QN_CAVA_ARGS_MAX + 1];
    size_t count = 0;
    /* A copy: the vectors may move. */
    qn_cava_method m = g->p->methods.p[number];
    if (self != NULL) registers[count++] = self->reg;
    for (uint32_t i = 0; i < a->n; i++) {
        value v = qn_cava__emit_convert(g, a->values[i], m.args[i], NONE);
        a->values[i] = qn_cava__load(g, v, m.args[i]);
        registers[count++] = a->values[i].reg;
    }
    value out = {.type = m.result, .is_constant = m.result == QN_CT_VOID};
    uint16_t reg = NONE;
    if (m.result != QN_CT_VOID && m.result != QN_CT_ERROR) {
        reg = qn_cava__target(g, wanted, m.result);
        out = qn_cava__in_register(g, reg, m.result, wanted);
    }
    g->place = n->at;
    qn_cava__emit_call(g, m.is_native ? QN_COP_NATIVE : QN_COP_CALL, reg,
                       m.is_native ? number : m.function, registers, count);
    if (self != NULL) qn_cava__release(g, *self);
    for (uint32_t i = 0; i < a->n; i++) qn_cava__release(g, a->values[i]);
    return out;
}

/* ---- calls ------------------------------------------------------------------------------ */

static value call_of(gen *g, const node *n, uint32_t class_index, value *self,
                     uint16_t wanted)
{
    arguments a = {.n = 0};
    bool later = false;
    for (const node *l = n->b; l != NULL; l = l->next) later = later || l->effects;
    if (self != NULL) *self = qn_cava__stable(g, *self, later);
    evaluate(g, n->b, &a);
    if (a.wrong) return qn_cava__wrong();
    uint32_t number = choose(g, n, class_index, n->text, false, &a);
    if (number == UINT32_MAX) return qn_cava__wrong();
    const qn_cava_method *m = &g->p->methods.p[number];
    if (!m->is_static && self == NULL) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME,
                       "%.*s() needs an object: it is not static",
                       QN_SLICE_ARG(n->text));
        return qn_cava__wrong();
    }
    if (m->is_static && self != NULL) {
        qn_cava__release(g, *self);
        self = NULL;
    }
    return emit_method(g, n, number, self, &a, wanted);
}

value qn_cava__gen_call(gen *g, const node *n, uint16_t wanted)
{
    char room[96];
    if (n->a == NULL) {
        value self = {.type = g->p->classes.p[g->class_index].type, .reg = 0};
        return call_of(g, n, g->class_index, g->is_static ? NULL : &self, wanted);
    }
    size_t k = qn_cava__as_class(g, n->a);
    if (k != SIZE_MAX) return call_of(g, n, (uint32_t)k, NULL, wanted);
    value object = qn_cava__gen(g, n->a, NONE);
    if (object.type == QN_CT_ERROR) return object;
    k = qn_cava__class_of(g, object.type);
    if (k == SIZE_MAX) {
        qn_cava__error(
            g->c, n->at, n->end, QN_CAVA_E_TYPE, "%.*s has no methods",
            QN_SLICE_ARG(qn_cava__type_name(g->p, object.type, room, sizeof room)));
        return qn_cava__wrong();
    }
    return call_of(g, n, (uint32_t)k, &object, wanted);
}

/* ---- objects ---------------------------------------------------------------------------- */

static value new_native(gen *g, const node *n, uint32_t k)
{
    arguments a = {.n = 0};
    evaluate(g, n->b, &a);
    if (a.wrong) return qn_cava__wrong();
    qn_slice name = g->p->classes.p[k].name;
    const qn_cava_method *methods = g->p->methods.p;
    bool any = false;
    for (uint32_t i = g->p->classes.p[k].first_method; i != UINT32_MAX;
         i = methods[i].next)
        any = any || methods[i].is_constructor;
    if (!any) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME,
                       "%.*s has no constructor: it is given or made by create()",
                       QN_SLICE_ARG(name));
        return qn_cava__wrong();
    }
    uint32_t number = choose(g, n, k, name, true, &a);
    if (number == UINT32_MAX) return qn_cava__wrong();
    return emit_method(g, n, number, NULL, &a, NONE);
}

value qn_cava__gen_new(gen *g, const node *n)
{
    char room[96];
    qn_cava_type t = qn_cava__resolve_type(g->c, g->file, n->type);
    size_t k = qn_cava__class_of(g, t);
    if (t == QN_CT_ERROR) return qn_cava__wrong();
    if (k == SIZE_MAX) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_TYPE, "%.*s is no class",
                       QN_SLICE_ARG(qn_cava__type_name(g->p, t, room, sizeof room)));
        return qn_cava__wrong();
    }
    if (g->p->classes.p[k].native) return new_native(g, n, (uint32_t)k);
    arguments a = {.n = 0};
    qn_cava_class class = g->p->classes.p[k];
    value object = {.type = t, .temporary = true, .reg = qn_cava__register(g, t)};
    (void)qn_cava__emit(g, QN_COP_NEW, object.reg, (unsigned)k, 0);
    evaluate(g, n->b, &a);
    if (a.wrong) return qn_cava__wrong();
    bool any = false;
    for (uint32_t i = class.first_method; i != UINT32_MAX; i = g->p->methods.p[i].next)
        any = any || g->p->methods.p[i].is_constructor;
    if (any) {
        value self = {.type = t, .reg = object.reg};
        uint32_t number = choose(g, n, (uint32_t)k, class.name, true, &a);
        if (number != UINT32_MAX) (void)emit_method(g, n, number, &self, &a, NONE);
    } else if (a.n > 0) {
        no_overload(g, n, (uint32_t)k, class.name, &a, false);
    } else if (class.init_function != UINT32_MAX) {
        qn_cava__emit_call(g, QN_COP_CALL, NONE, class.init_function, &object.reg, 1);
    }
    return object;
}

/* ---- arrays ----------------------------------------------------------------------------- */

/* A new array of the constant length n. */
static value fixed_array(gen *g, qn_cava_type type, uint64_t n)
{
    value length = qn_cava__constant(QN_CT_INT, (qn_cava_slot){.i = (int64_t)n});
    value v = {.type = type, .temporary = true, .reg = qn_cava__register(g, type)};
    length = qn_cava__load(g, length, QN_CT_INT);
    (void)qn_cava__emit(g, QN_COP_ARRAY, v.reg, length.reg, 0);
    qn_cava__release(g, length);
    return v;
}

value qn_cava__gen_list(gen *g, const node *n, qn_cava_type type)
{
    qn_cava_type item = QN_CT_ERROR;
    char room[96];
    uint64_t count = 0;
    if (type == QN_CT_ERROR) return qn_cava__wrong();
    if (!qn_cava__is_array(g, type, &item)) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_TYPE,
                       "a list of items where %.*s is expected",
                       QN_SLICE_ARG(qn_cava__type_name(g->p, type, room, sizeof room)));
        return qn_cava__wrong();
    }
    if (++g->depth > QN_CAVA_GEN_DEPTH_MAX) {
        g->depth--;
        return qn_cava__gen(g, n, NONE);
    }
    for (const node *i = n->a; i != NULL; i = i->next) count++;
    value array = fixed_array(g, type, count);
    int64_t at = 0;
    for (const node *i = n->a; i != NULL; i = i->next, at++) {
        value index = qn_cava__constant(QN_CT_INT, (qn_cava_slot){.i = at});
        value v = i->kind == N_LIST ? qn_cava__gen_list(g, i, item)
                                    : qn_cava__gen(g, i, NONE);
        v = qn_cava__assignable(g, v, item, i, NONE);
        v = qn_cava__load(g, v, item);
        index = qn_cava__load(g, index, QN_CT_INT);
        if (v.type == QN_CT_ERROR) continue;
        (void)qn_cava__emit(g, qn_cava__store_op(item), array.reg, index.reg, v.reg);
        qn_cava__release(g, v);
        qn_cava__release(g, index);
    }
    g->depth--;
    return array;
}

value qn_cava__gen_new_array(gen *g, const node *n)
{
    qn_cava_type item = qn_cava__resolve_type(g->c, g->file, n->type);
    if (item == QN_CT_VOID) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_TYPE,
                       "there are no arrays of void");
        item = QN_CT_ERROR;
    }
    for (uint64_t i = 0; i < n->bits && item != QN_CT_ERROR; i++)
        item = qn_cava__array_of(g->c, item);
    qn_cava_type type = qn_cava__array_of(g->c, item);
    if (n->b != NULL) return qn_cava__gen_list(g, n->b, type);
    if (n->a == NULL) return qn_cava__wrong();
    value length = qn_cava__gen(g, n->a, NONE);
    length = qn_cava__assignable(
        g, length, length.type == QN_CT_UINT ? QN_CT_UINT : QN_CT_INT, n->a, NONE);
    length = qn_cava__load(g, length, QN_CT_INT);
    if (length.type == QN_CT_ERROR || type == QN_CT_ERROR) return qn_cava__wrong();
    value v = {.type = type, .temporary = true, .reg = qn_cava__register(g, type)};
    g->place = n->at;
    (void)qn_cava__emit(g, QN_COP_ARRAY, v.reg, length.reg, 0);
    qn_cava__release(g, length);
    return v;
}
