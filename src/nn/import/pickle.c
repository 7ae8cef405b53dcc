/* SPDX-License-Identifier: Apache-2.0 */
/* pickle.c -- see pickle.h. The stack machine of Python's pickletools, with only the
 * opcodes that build data. A callable's result is written down, never computed. */
#include "nn/import/pickle.h"

#include "base/bits.h"
#include "base/vec.h"

#include <inttypes.h>

typedef enum callable {
    ORDERED_DICT,
    STORAGE,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    FIRST_ARGUMENT,
    TORCHSCRIPT_CLASS,
} callable;

/* Everything that a pickle may name. */
static const struct {
    const char *name;
    callable what;
    unsigned item_size; /* of storages */
    qn_weight_dtype dtype;
} callables[] = {
    {"collections.OrderedDict", ORDERED_DICT, 0, QN_WEIGHT_OTHER},
    {"torch._utils._rebuild_tensor_v2", REBUILD_TENSOR, 0, QN_WEIGHT_OTHER},
    {"torch._utils._rebuild_parameter", REBUILD_PARAMETER, 0, QN_WEIGHT_OTHER},
    {"torch.FloatStorage", STORAGE, 4, QN_WEIGHT_F32},
    {"torch.HalfStorage", STORAGE, 2, QN_WEIGHT_F16},
    {"torch.BFloat16Storage", STORAGE, 2, QN_WEIGHT_BF16},
    {"torch.DoubleStorage", STORAGE, 8, QN_WEIGHT_F64},
    {"torch.LongStorage", STORAGE, 8, QN_WEIGHT_OTHER},
    {"torch.IntStorage", STORAGE, 4, QN_WEIGHT_OTHER},
    {"torch.ShortStorage", STORAGE, 2, QN_WEIGHT_OTHER},
    {"torch.CharStorage", STORAGE, 1, QN_WEIGHT_OTHER},
    {"torch.ByteStorage", STORAGE, 1, QN_WEIGHT_OTHER},
    {"torch.BoolStorage", STORAGE, 1, QN_WEIGHT_OTHER},
    {"torch.jit._pickle.build_intlist", FIRST_ARGUMENT, 0, QN_WEIGHT_OTHER},
    {"torch.jit._pickle.build_doublelist", FIRST_ARGUMENT, 0, QN_WEIGHT_OTHER},
    {"torch.jit._pickle.build_boollist", FIRST_ARGUMENT, 0, QN_WEIGHT_OTHER},
    {"torch.jit._pickle.build_tensorlist", FIRST_ARGUMENT, 0, QN_WEIGHT_OTHER},
    {"torch.jit._pickle.restore_type_tag", FIRST_ARGUMENT, 0, QN_WEIGHT_OTHER},
};

enum {
    CALLABLES = sizeof callables / sizeof *callables,
    NAME_MAX_BYTES = 512, /* of a module or a class */
};

/* Objects of these are opaque packed weights. */
#define TORCHSCRIPT "__torch__."
#define TORCHSCRIPT_PACKED "__torch__.torch.classes."

typedef struct parser {
    qn_arena *arena;
    const char *name;
    const uint8_t *begin, *p, *end;
    size_t values;
    bool stopped;
    QN_VEC(qn_pickle *) stack;
    QN_VEC(size_t) marks; /* heights of the stack */
    QN_VEC(qn_pickle *) memo;
    qn_error *err;
} parser;

const char *qn_pickle_kind_name(qn_pickle_kind kind)
{
    static const char *const names[] = {"None", "bool",    "int",    "float",
                                        "str",  "tuple",   "list",   "dict",
                                        "name", "storage", "tensor", "object"};
    return names[kind];
}

/* ---- failures --------------------------------------------------------------- */

static qn_status bad(parser *r, const char *what)
{
    return qn_fail_file(r->err, QN_EMODEL, r->name, (uint64_t)(r->p - r->begin),
                        "pickle: %s", what);
}

static qn_status no_memory(parser *r)
{
    return qn_fail(r->err, QN_ENOMEM, "pickle");
}

static qn_status not_allowed(parser *r, const char *what, qn_slice name)
{
    int n = (int)(name.n < 200 ? name.n : 200);
    return qn_fail_file(r->err, QN_EUNSUPPORTED, r->name, (uint64_t)(r->p - r->begin),
                        "pickle: %s \"%.*s\" is not allowed: only tensors in "
                        "dictionaries and TorchScript modules are read, nothing is "
                        "executed; save the model's state_dict() instead",
                        what, n, name.p);
}

/* ---- values, stack, memo ---------------------------------------------------- */

static qn_status new_value(parser *r, qn_pickle_kind kind, qn_pickle **out)
{
    if (r->values++ >= QN_PICKLE_VALUES_MAX)
        return qn_fail_file(r->err, QN_ELIMIT, r->name, QN_AT_NONE,
                            "pickle: more than %d values", QN_PICKLE_VALUES_MAX);
    *out = qn_arena_new(r->arena, sizeof **out);
    if (*out == NULL) return no_memory(r);
    (*out)->kind = kind;
    return QN_OK;
}

static qn_status push(parser *r, qn_pickle *v)
{
    return qn_vec_push(r->arena->alloc, &r->stack, v) ? QN_OK : no_memory(r);
}

static qn_status push_new(parser *r, qn_pickle_kind kind, qn_pickle **out)
{
    QN_TRY(new_value(r, kind, out));
    return push(r, *out);
}

static qn_status push_int(parser *r, int64_t integer)
{
    qn_pickle *v = NULL;
    QN_TRY(push_new(r, QN_PICKLE_INT, &v));
    v->integer = integer;
    return QN_OK;
}

/* How many values lie above the last mark: an opcode must not reach below it. */
static size_t height(const parser *r)
{
    return r->stack.n - (r->marks.n == 0 ? 0 : r->marks.p[r->marks.n - 1]);
}

static qn_status pop(parser *r, qn_pickle **out)
{
    if (height(r) == 0) return bad(r, "the stack is empty");
    *out = r->stack.p[--r->stack.n];
    return QN_OK;
}

static qn_status pop_mark(parser *r, size_t *from)
{
    if (r->marks.n == 0) return bad(r, "no mark");
    *from = r->marks.p[--r->marks.n];
    return QN_OK;
}

static qn_status add_item(parser *r, qn_pickle *to, const qn_pickle *key,
                          const qn_pickle *value)
{
    qn_pickle_item *it = qn_arena_new(r->arena, sizeof *it);
    if (it == NULL) return no_memory(r);
    *it = (qn_pickle_item){key, value, NULL};
    if (to->last != NULL)
        to->last->next = it;
    else
        to->first = it;
    to->last = it;
    to->count++;
    return QN_OK;
}

/* An index is below the number of bytes: a pickle numbers what it mentions. */
static qn_status memo_put(parser *r, uint64_t index)
{
    if (height(r) == 0) return bad(r, "nothing to remember");
    if (index >= (uint64_t)(r->end - r->begin)) return bad(r, "a memo index too large");
    while (r->memo.n <= index)
        if (!qn_vec_push(r->arena->alloc, &r->memo, NULL)) return no_memory(r);
    r->memo.p[index] = r->stack.p[r->stack.n - 1];
    return QN_OK;
}

static qn_status memo_get(parser *r, uint64_t index)
{
    if (index >= r->memo.n || r->memo.p[index] == NULL)
        return bad(r, "a memo index that was never set");
    return push(r, r->memo.p[index]);
}

/* ---- reading bytes ---------------------------------------------------------- */

static qn_status need(parser *r, uint64_t n, const uint8_t **out)
{
    if ((uint64_t)(r->end - r->p) < n) return bad(r, "cut short");
    *out = r->p;
    r->p += n;
    return QN_OK;
}

/* A little-endian unsigned number of 1, 2, 4 or 8 bytes. */
static qn_status read_number(parser *r, size_t bytes, uint64_t *out)
{
    const uint8_t *p = NULL;
    QN_TRY(need(r, bytes, &p));
    *out = 0;
    for (size_t i = 0; i < bytes; i++) *out |= (uint64_t)p[i] << (8 * i);
    return QN_OK;
}

static qn_status read_string(parser *r, size_t length_bytes)
{
    uint64_t n = 0;
    const uint8_t *p = NULL;
    qn_pickle *v = NULL;
    QN_TRY(read_number(r, length_bytes, &n));
    QN_TRY(need(r, n, &p));
    QN_TRY(push_new(r, QN_PICKLE_STRING, &v));
    v->string = (qn_slice){(const char *)p, (size_t)n};
    return QN_OK;
}

/* Two's complement of up to 8 bytes. */
static qn_status read_long(parser *r)
{
    uint64_t n = 0, v = 0;
    const uint8_t *p = NULL;
    QN_TRY(read_number(r, 1, &n));
    QN_TRY(need(r, n, &p));
    if (n > 8) return bad(r, "an integer of more than 64 bits");
    for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    if (n > 0 && n < 8 && (p[n - 1] & 0x80) != 0) v |= UINT64_MAX << (8 * n);
    return push_int(r, (int64_t)v);
}

/* Eight bytes, the highest first. */
static qn_status read_float(parser *r)
{
    const uint8_t *p = NULL;
    qn_pickle *v = NULL;
    uint64_t bits = 0;
    QN_TRY(need(r, 8, &p));
    for (size_t i = 0; i < 8; i++) bits = bits << 8 | p[i];
    QN_TRY(push_new(r, QN_PICKLE_FLOAT, &v));
    memcpy(&v->number, &bits, sizeof bits);
    return QN_OK;
}

static qn_status read_line(parser *r, qn_slice *out)
{
    const uint8_t *begin = r->p;
    while (r->p < r->end && *r->p != '\n') r->p++;
    if (r->p == r->end) return bad(r, "cut short");
    *out = (qn_slice){(const char *)begin, (size_t)(r->p - begin)};
    r->p++;
    return QN_OK;
}

/* ---- names ------------------------------------------------------------------ */

/* The one place where a name enters: it is in the table or is TorchScript's own. */
static qn_status push_name(parser *r, qn_slice module, qn_slice name)
{
    if (module.n > NAME_MAX_BYTES || name.n > NAME_MAX_BYTES)
        return bad(r, "a name that is too long");
    const char *joined = qn_arena_printf(r->arena, "%.*s.%.*s", QN_SLICE_ARG(module),
                                         QN_SLICE_ARG(name));
    if (joined == NULL) return no_memory(r);
    qn_slice full = qn_slice_of(joined);
    int i = 0;
    while (i < CALLABLES && !qn_slice_eq_str(full, callables[i].name)) i++;
    bool script = i == CALLABLES && qn_slice_starts_with(full, TORCHSCRIPT);
    if (script && qn_slice_starts_with(full, TORCHSCRIPT_PACKED))
        return qn_fail_file(r->err, QN_EUNSUPPORTED, r->name, QN_AT_NONE,
                            "pickle: \"%.200s\": weights packed by PyTorch's "
                            "quantisation are not read; save the model in floats",
                            joined);
    if (i == CALLABLES && !script) return not_allowed(r, "callable", full);
    qn_pickle *v = NULL;
    QN_TRY(push_new(r, QN_PICKLE_NAME, &v));
    v->string = full;
    v->callable = script ? -1 : i;
    return QN_OK;
}

static callable what_of(const qn_pickle *name)
{
    return name->callable < 0 ? TORCHSCRIPT_CLASS : callables[name->callable].what;
}

static qn_status read_global(parser *r)
{
    qn_slice module, name;
    QN_TRY(read_line(r, &module));
    QN_TRY(read_line(r, &name));
    return push_name(r, module, name);
}

static qn_status read_stack_global(parser *r)
{
    qn_pickle *name = NULL, *module = NULL;
    QN_TRY(pop(r, &name));
    QN_TRY(pop(r, &module));
    if (name->kind != QN_PICKLE_STRING || module->kind != QN_PICKLE_STRING)
        return bad(r, "a name that is no string");
    return push_name(r, module->string, name->string);
}

/* ---- containers ------------------------------------------------------------- */

/* The values from `from` on become the items of `to`. */
static qn_status take_items(parser *r, size_t from, qn_pickle *to)
{
    bool pairs = to->kind == QN_PICKLE_DICT;
    size_t n = r->stack.n - from;
    if (pairs && n % 2 != 0) return bad(r, "a key without a value");
    for (size_t i = 0; i < n; i += pairs ? 2 : 1) {
        const qn_pickle *const *at = (const qn_pickle *const *)&r->stack.p[from + i];
        QN_TRY(add_item(r, to, pairs ? at[0] : NULL, at[pairs ? 1 : 0]));
    }
    r->stack.n = from;
    return QN_OK;
}

static qn_status make_tuple(parser *r, size_t n)
{
    qn_pickle *v = NULL;
    if (height(r) < n) return bad(r, "the stack is empty");
    QN_TRY(new_value(r, QN_PICKLE_TUPLE, &v));
    QN_TRY(take_items(r, r->stack.n - n, v));
    return push(r, v);
}

static qn_status make_marked_tuple(parser *r)
{
    size_t from = 0;
    QN_TRY(pop_mark(r, &from));
    return make_tuple(r, r->stack.n - from);
}

/* APPEND, APPENDS, SETITEM, SETITEMS: what lies from `from` on goes into the value just
 * below it. */
static qn_status extend(parser *r, size_t from, qn_pickle_kind kind)
{
    size_t floor = r->marks.n == 0 ? 0 : r->marks.p[r->marks.n - 1];
    if (from <= floor) return bad(r, "nothing to put items into");
    qn_pickle *to = r->stack.p[from - 1];
    if (to->kind != kind)
        return bad(r, kind == QN_PICKLE_DICT ? "items put into what is no dictionary"
                                             : "items put into what is no list");
    return take_items(r, from, to);
}

static qn_status extend_marked(parser *r, qn_pickle_kind kind)
{
    size_t from = 0;
    QN_TRY(pop_mark(r, &from));
    return extend(r, from, kind);
}

static qn_status extend_by(parser *r, size_t n, qn_pickle_kind kind)
{
    if (height(r) < n) return bad(r, "the stack is empty");
    return extend(r, r->stack.n - n, kind);
}

/* ---- callables as data ------------------------------------------------------ */

static const qn_pickle *argument(const qn_pickle *tuple, size_t i)
{
    const qn_pickle_item *it = tuple->first;
    while (it != NULL && i-- > 0) it = it->next;
    return it == NULL ? NULL : it->value;
}

static bool argument_size(const qn_pickle *tuple, size_t i, uint64_t *out)
{
    const qn_pickle *v = argument(tuple, i);
    if (v == NULL || v->kind != QN_PICKLE_INT || v->integer < 0) return false;
    *out = (uint64_t)v->integer;
    return true;
}

/* ("storage", <X>Storage, key, location, count) */
static qn_status make_storage(parser *r)
{
    qn_pickle *id = NULL, *v = NULL;
    QN_TRY(pop(r, &id));
    const qn_pickle *word = id->kind == QN_PICKLE_TUPLE ? argument(id, 0) : NULL;
    const qn_pickle *type = word == NULL ? NULL : argument(id, 1);
    const qn_pickle *key = word == NULL ? NULL : argument(id, 2);
    uint64_t count = 0;
    if (word == NULL || word->kind != QN_PICKLE_STRING ||
        !qn_slice_eq_str(word->string, "storage") || type == NULL ||
        type->kind != QN_PICKLE_NAME || what_of(type) != STORAGE || key == NULL ||
        key->kind != QN_PICKLE_STRING || !argument_size(id, 4, &count))
        return bad(r, "a persistent id that names no storage");
    qn_pickle_storage *s = qn_arena_new(r->arena, sizeof *s);
    if (s == NULL) return no_memory(r);
    *s = (qn_pickle_storage){.key = key->string,
                             .dtype = callables[type->callable].dtype,
                             .item_size = callables[type->callable].item_size,
                             .count = count};
    QN_TRY(push_new(r, QN_PICKLE_STORAGE, &v));
    v->storage = s;
    return QN_OK;
}

static bool read_sizes(const qn_pickle *tuple, uint64_t *out, uint32_t *rank)
{
    if (tuple == NULL || tuple->kind != QN_PICKLE_TUPLE ||
        tuple->count > QN_WEIGHT_RANK_MAX)
        return false;
    *rank = 0;
    for (const qn_pickle_item *it = tuple->first; it != NULL; it = it->next) {
        if (it->value->kind != QN_PICKLE_INT || it->value->integer < 0) return false;
        out[(*rank)++] = (uint64_t)it->value->integer;
    }
    return true;
}

/* (storage, offset, size, stride, requires_grad, hooks) */
static qn_status make_tensor(parser *r, const qn_pickle *args)
{
    const qn_pickle *storage = argument(args, 0);
    qn_pickle_tensor *t = qn_arena_new(r->arena, sizeof *t);
    if (t == NULL) return no_memory(r);
    uint32_t strides = 0;
    if (storage == NULL || storage->kind != QN_PICKLE_STORAGE ||
        !argument_size(args, 1, &t->offset) ||
        !read_sizes(argument(args, 2), t->shape, &t->rank) ||
        !read_sizes(argument(args, 3), t->stride, &strides) || strides != t->rank)
        return bad(r, "a tensor of wrong arguments");
    t->storage = storage->storage;
    qn_pickle *v = NULL;
    QN_TRY(push_new(r, QN_PICKLE_TENSOR, &v));
    v->tensor = t;
    return QN_OK;
}

static qn_status push_first(parser *r, const qn_pickle *args)
{
    if (args->first == NULL) return bad(r, "a call without arguments");
    /* Shared, as in Python; the parser alone holds values that are not const. */
    return push(r, (qn_pickle *)(uintptr_t)args->first->value);
}

static qn_status reduce(parser *r)
{
    qn_pickle *args = NULL, *f = NULL, *v = NULL;
    QN_TRY(pop(r, &args));
    QN_TRY(pop(r, &f));
    if (f->kind != QN_PICKLE_NAME || args->kind != QN_PICKLE_TUPLE)
        return bad(r, "a call of what is no name");
    switch (what_of(f)) {
    case ORDERED_DICT:
        if (args->count != 0) return bad(r, "an OrderedDict with arguments");
        return push_new(r, QN_PICKLE_DICT, &v);
    case REBUILD_TENSOR:
        return make_tensor(r, args);
    case REBUILD_PARAMETER:
        if (args->first == NULL || args->first->value->kind != QN_PICKLE_TENSOR)
            return bad(r, "a parameter that wraps no tensor");
        return push_first(r, args);
    case FIRST_ARGUMENT:
        return push_first(r, args);
    case STORAGE:
    case TORCHSCRIPT_CLASS:
        break;
    }
    return not_allowed(r, "calling", f->string);
}

static qn_status new_object(parser *r)
{
    qn_pickle *args = NULL, *f = NULL, *v = NULL;
    QN_TRY(pop(r, &args));
    QN_TRY(pop(r, &f));
    if (f->kind != QN_PICKLE_NAME || args->kind != QN_PICKLE_TUPLE)
        return bad(r, "an object of what is no class");
    if (what_of(f) != TORCHSCRIPT_CLASS || args->count != 0)
        return not_allowed(r, "making an object of", f->string);
    QN_TRY(push_new(r, QN_PICKLE_OBJECT, &v));
    v->class_name = f->string;
    return QN_OK;
}

/* The state of an object; what a dictionary carries beside its items is ignored. */
static qn_status build(parser *r)
{
    qn_pickle *state = NULL;
    QN_TRY(pop(r, &state));
    if (height(r) == 0) return bad(r, "the stack is empty");
    qn_pickle *v = r->stack.p[r->stack.n - 1];
    if (v->kind == QN_PICKLE_DICT) return QN_OK;
    if (v->kind != QN_PICKLE_OBJECT || v->state != NULL)
        return bad(r, "a state for what is no object");
    v->state = state;
    return QN_OK;
}

/* ---- the machine ------------------------------------------------------------ */

static qn_status push_bool(parser *r, bool b)
{
    qn_pickle *v = NULL;
    QN_TRY(push_new(r, QN_PICKLE_BOOL, &v));
    v->integer = b;
    return QN_OK;
}

static qn_status read_int(parser *r, size_t bytes)
{
    uint64_t v = 0;
    QN_TRY(read_number(r, bytes, &v));
    return push_int(r, bytes == 4 ? (int32_t)(uint32_t)v : (int64_t)v);
}

static qn_status memo_at(parser *r, size_t bytes, bool put)
{
    uint64_t index = 0;
    QN_TRY(read_number(r, bytes, &index));
    return put ? memo_put(r, index) : memo_get(r, index);
}

static qn_status begin_frame(parser *r)
{
    uint64_t n = 0;
    QN_TRY(read_number(r, 8, &n));
    return n > (uint64_t)(r->end - r->p) ? bad(r, "a frame that is cut short") : QN_OK;
}

static qn_status push_mark(parser *r)
{
    return qn_vec_push(r->arena->alloc, &r->marks, r->stack.n) ? QN_OK : no_memory(r);
}

static qn_status read_protocol(parser *r)
{
    uint64_t version = 0;
    QN_TRY(read_number(r, 1, &version));
    return version > 5 ? bad(r, "a protocol over 5") : QN_OK;
}

static qn_status refuse_opcode(parser *r, uint8_t opcode)
{
    bool shown = opcode > 0x20 && opcode < 0x7F;
    return qn_fail_file(r->err, QN_EUNSUPPORTED, r->name,
                        (uint64_t)(r->p - r->begin) - 1,
                        shown ? "pickle: opcode '%c' is not allowed"
                              : "pickle: opcode 0x%02x is not allowed",
                        opcode);
}

/* LONG: one case an opcode, as in pickletools. */
static qn_status step(parser *r, uint8_t opcode)
{
    qn_pickle *v = NULL;
    switch (opcode) {
    case 0x80:
        return read_protocol(r);
    case 0x95:
        return begin_frame(r);
    case '(':
        return push_mark(r);
    case '.':
        r->stopped = true;
        return QN_OK;
    case 'N':
        return push_new(r, QN_PICKLE_NONE, &v);
    case 0x88:
        return push_bool(r, true);
    case 0x89:
        return push_bool(r, false);
    case 'J':
        return read_int(r, 4);
    case 'K':
        return read_int(r, 1);
    case 'M':
        return read_int(r, 2);
    case 0x8a:
        return read_long(r);
    case 'G':
        return read_float(r);
    case 'X':
        return read_string(r, 4);
    case 0x8c:
        return read_string(r, 1);
    case 0x8d:
        return read_string(r, 8);
    case '}':
        return push_new(r, QN_PICKLE_DICT, &v);
    case ']':
        return push_new(r, QN_PICKLE_LIST, &v);
    case ')':
        return make_tuple(r, 0);
    case 't':
        return make_marked_tuple(r);
    case 0x85:
    case 0x86:
    case 0x87:
        return make_tuple(r, opcode - 0x84u);
    case 'a':
        return extend_by(r, 1, QN_PICKLE_LIST);
    case 'e':
        return extend_marked(r, QN_PICKLE_LIST);
    case 's':
        return extend_by(r, 2, QN_PICKLE_DICT);
    case 'u':
        return extend_marked(r, QN_PICKLE_DICT);
    case 'h':
        return memo_at(r, 1, false);
    case 'j':
        return memo_at(r, 4, false);
    case 'q':
        return memo_at(r, 1, true);
    case 'r':
        return memo_at(r, 4, true);
    case 0x94:
        return memo_put(r, r->memo.n);
    case 'c':
        return read_global(r);
    case 0x93:
        return read_stack_global(r);
    case 'Q':
        return make_storage(r);
    case 'R':
        return reduce(r);
    case 0x81:
        return new_object(r);
    case 'b':
        return build(r);
    default:
        return refuse_opcode(r, opcode);
    }
}

static qn_status run(parser *r, const qn_pickle **out)
{
    if (r->end - r->begin > QN_PICKLE_BYTES_MAX)
        return qn_fail_file(r->err, QN_ELIMIT, r->name, QN_AT_NONE,
                            "pickle: %zu bytes, at most %d",
                            (size_t)(r->end - r->begin), QN_PICKLE_BYTES_MAX);
    while (!r->stopped) {
        const uint8_t *opcode = NULL;
        QN_TRY(need(r, 1, &opcode));
        QN_TRY(step(r, *opcode));
    }
    if (r->marks.n != 0 || r->stack.n != 1) return bad(r, "ends with a wrong stack");
    *out = r->stack.p[0];
    return QN_OK;
}

qn_status qn_pickle_parse(qn_arena *arena, qn_slice bytes, const char *name,
                          const qn_pickle **out, qn_error *err)
{
    *out = NULL;
    parser r = {.arena = arena,
                .name = name,
                .begin = (const uint8_t *)bytes.p,
                .p = (const uint8_t *)bytes.p,
                .err = err};
    r.end = r.begin + bytes.n;
    qn_status st = run(&r, out);
    qn_vec_deinit(arena->alloc, &r.stack);
    qn_vec_deinit(arena->alloc, &r.marks);
    qn_vec_deinit(arena->alloc, &r.memo);
    return st;
}
