/* SPDX-License-Identifier: Apache-2.0 */
/* cava_machine.c -- execution: one loop over verified instructions.
 *
 * Calls do not recurse in C: frames are an array, registers one stack. The loop keeps the
 * current frame in locals and writes them back before anything that may fail. Fuel is
 * counted down in `left`; each time it has used up a slice the deadline is looked at. */
#include "expr/cava/cava_internal.h"

#include <math.h>
#include <stdio.h>

enum {
    CHUNK_FIRST = 16 << 10,
    CHUNK_MAX = 1 << 20,
    FUEL_SLICE = 1 << 14, /* between two looks at the deadline */
    STEPS_PER_FUEL = 16,  /* a jump back over more of them costs more */
    BYTES_PER_FUEL = 64,
};

struct qn_cava_chunk {
    struct qn_cava_chunk *next;
    size_t size, used;
};

/* ---- heap ------------------------------------------------------------------------------- */

void *qn_cava__allocate(qn_cava_run *run, uint64_t bytes, qn_error *err)
{
    uint64_t limit = run->limits.heap_bytes;
    bytes = (bytes + 15) & ~(uint64_t)15;
    struct qn_cava_chunk *c = run->chunk;
    if (bytes > limit || run->heap_used + bytes > limit) {
        (void)qn_fail(err, QN_EPLUGIN, "out of memory: a run has %llu bytes",
                      (unsigned long long)limit);
        return NULL;
    }
    if (c == NULL || c->size - c->used < bytes) {
        size_t size = c == NULL ? CHUNK_FIRST : c->size * 2;
        if (size > CHUNK_MAX) size = CHUNK_MAX;
        if (size < bytes) size = (size_t)bytes;
        c = qn_new0(run->alloc, sizeof *c + size);
        if (c == NULL) {
            (void)qn_fail(err, QN_ENOMEM, "memory of a plug-in");
            return NULL;
        }
        c->size = size;
        c->next = run->chunk;
        run->chunk = c;
    }
    void *p = (char *)(c + 1) + c->used;
    c->used += (size_t)bytes;
    run->heap_used += (size_t)bytes;
    return p;
}

size_t qn_cava__item_size(const qn_cava_program *p, qn_cava_type array)
{
    static const uint8_t sizes[QN_CT_FIRST] = {
        [QN_CT_BOOLEAN] = 1, [QN_CT_BYTE] = 1,  [QN_CT_SHORT] = 2, [QN_CT_CHAR] = 2,
        [QN_CT_INT] = 4,     [QN_CT_LONG] = 8,  [QN_CT_UBYTE] = 1, [QN_CT_USHORT] = 2,
        [QN_CT_UINT] = 4,    [QN_CT_ULONG] = 8, [QN_CT_FLOAT] = 4, [QN_CT_DOUBLE] = 8};
    qn_cava_type item = p->types.p[array - QN_CT_FIRST].of;
    return item >= QN_CT_FIRST ? sizeof(void *) : sizes[item];
}

qn_cava_type qn_cava__class_type(const qn_cava_program *p, qn_cava_class_id id)
{
    return p->classes.p[id].type;
}

qn_cava_object *qn_cava_new_array(qn_cava_run *run, uint32_t type, uint64_t n,
                                  qn_error *err)
{
    if (n > UINT32_MAX) {
        (void)qn_fail(err, QN_EPLUGIN, "out of memory: an array of %llu items",
                      (unsigned long long)n);
        return NULL;
    }
    uint64_t bytes =
        sizeof(qn_cava_instance) + n * qn_cava__item_size(run->program, type);
    qn_cava_instance *o = qn_cava__allocate(run, bytes, err);
    if (o == NULL) return NULL;
    o->head = (qn_cava_object){type, (uint32_t)n};
    return &o->head;
}

qn_cava_object *qn_cava_new_view(qn_cava_run *run, qn_slice bytes, qn_error *err)
{
    qn_cava_text *t = qn_cava__allocate(run, sizeof *t, err);
    if (t == NULL) return NULL;
    t->head = (qn_cava_object){qn_cava__class_type(run->program, QN_CAVA_CString),
                               (uint32_t)bytes.n};
    t->p = bytes.p;
    return &t->head;
}

qn_cava_object *qn_cava_new_string(qn_cava_run *run, qn_slice bytes, qn_error *err)
{
    char *copy = qn_cava__allocate(run, bytes.n + 1, err);
    if (copy == NULL) return NULL;
    if (bytes.n > 0) memcpy(copy, bytes.p, bytes.n);
    return qn_cava_new_view(run, (qn_slice){copy, bytes.n}, err);
}

qn_cava_object *qn_cava_new_native(qn_cava_run *run, qn_cava_class_id id,
                                   int64_t handle, qn_error *err)
{
    return qn_cava_new_object_of(run, qn_cava__class_type(run->program, id), handle,
                                 err);
}

qn_cava_object *qn_cava_new_mchar(qn_cava_run *run, qn_slice bytes, qn_error *err)
{
    qn_cava_object *o = qn_cava_new_string(run, bytes, err);
    if (o != NULL) o->type = qn_cava__class_type(run->program, QN_CAVA_MChar);
    return o;
}

qn_cava_object *qn_cava_new_object_of(qn_cava_run *run, uint32_t type, int64_t handle,
                                      qn_error *err)
{
    qn_cava_instance *o =
        qn_cava__allocate(run, sizeof *o + 2 * sizeof(qn_cava_slot), err);
    if (o == NULL) return NULL;
    o->head = (qn_cava_object){type, 0};
    o->slots[0].i = handle;
    return &o->head;
}

qn_slice qn_cava_string(const qn_cava_object *o)
{
    const qn_cava_text *t = (const qn_cava_text *)(const void *)o;
    return (qn_slice){t->p == NULL ? "" : t->p, o->n};
}

void *qn_cava_items(const qn_cava_object *o)
{
    union {
        const void *from;
        void *to;
    } items = {((const qn_cava_instance *)(const void *)o)->slots};
    return items.to;
}

int64_t qn_cava_handle(const qn_cava_object *o)
{
    return ((const qn_cava_instance *)(const void *)o)->slots[0].i;
}

double *qn_cava_payload(qn_cava_object *o)
{
    return &((qn_cava_instance *)(void *)o)->slots[1].d;
}

/* ---- faults ----------------------------------------------------------------------------- */

/* The file and line of an instruction: "scorer.cava:12". */
static int where(const qn_cava_program *p, const qn_cava_function *f, uint32_t pc,
                 char *room, size_t size)
{
    uint32_t line = 0, column = 0;
    uint32_t file = qn_cava__locate(p, f->places[pc], &line, &column);
    return snprintf(room, size, "%.*s:%u", QN_SLICE_ARG(p->files[file].name), line);
}

qn_slice qn_cava_where(qn_cava_run *run, char *room, size_t size)
{
    if (run->frame_count == 0) return (qn_slice){"", 0};
    const qn_cava_frame *frame = &run->frames[run->frame_count - 1];
    int n = where(run->program, frame->function, frame->pc, room, size);
    return (qn_slice){room, n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1};
}

/* "scorer.cava:12: division by zero (in score, called from ...)" */
static qn_status fault(qn_cava_run *run, uint32_t pc, qn_status st, qn_error *err)
{
    run->failed = true;
    if (err == NULL) return st;
    char text[QN_ERROR_TEXT_MAX], place[128];
    const qn_cava_frame *frame = &run->frames[run->frame_count - 1];
    (void)where(run->program, frame->function, pc, place, sizeof place);
    const qn_cava_program *p = run->program;
    qn_slice method = frame->function->method == UINT32_MAX
                          ? QN_SLICE_LIT("the fields' values")
                          : p->methods.p[frame->function->method].name;
    (void)snprintf(text, sizeof text, "%s: %.*s (in %.*s)", place, 300, err->text,
                   QN_SLICE_ARG(method));
    memcpy(err->text, text, sizeof text);
    err->at = QN_AT_NONE;
    err->code = st;
    return st;
}

static qn_status plain_fault(qn_cava_run *run, uint32_t pc, const char *text,
                             qn_error *err)
{
    qn_error own = {.at = QN_AT_NONE};
    if (err == NULL) err = &own;
    (void)qn_fail(err, QN_EPLUGIN, "%s", text);
    return fault(run, pc, QN_EPLUGIN, err);
}

static qn_status index_fault(qn_cava_run *run, uint32_t pc, int64_t index, uint32_t n,
                             qn_error *err)
{
    qn_error own = {.at = QN_AT_NONE};
    if (err == NULL) err = &own;
    (void)qn_fail(err, QN_EPLUGIN, "index %lld out of an array of %u items",
                  (long long)index, n);
    return fault(run, pc, QN_EPLUGIN, err);
}

/* ---- fuel ------------------------------------------------------------------------------- */

/* More than `used` of the slice is gone: is there more, and time? */
static qn_status look(qn_cava_run *run, uint64_t cost, qn_error *err)
{
    if (run->fuel < cost) {
        run->fuel = 0;
        return qn_fail(err, QN_EPLUGIN,
                       "out of fuel: a run has %llu rounds of loops and calls",
                       (unsigned long long)run->limits.fuel);
    }
    run->fuel -= cost;
    if (run->fuel + FUEL_SLICE > run->fuel_checked) return QN_OK;
    run->fuel_checked = run->fuel;
    if (qn_deadline_cancelled(run->limits.deadline))
        return qn_fail(err, QN_ECANCELLED, "cancelled");
    if (qn_deadline_passed(run->limits.deadline))
        return qn_fail(err, QN_EPLUGIN, "out of time");
    return QN_OK;
}

qn_status qn_cava_charge(qn_cava_run *run, uint64_t n, qn_error *err)
{
    return look(run, n / BYTES_PER_FUEL, err);
}

/* ---- calls ------------------------------------------------------------------------------ */

static qn_status call_native(qn_cava_run *run, const qn_cava_method *m,
                             const qn_cava_slot *regs, const qn_cava_step *s,
                             qn_cava_slot *result, qn_error *err)
{
    qn_cava_slot args[QN_CAVA_ARGS_MAX + 1];
    for (unsigned i = 0; i < s->c; i++) {
        const qn_cava_step *a = &s[1 + i / 3];
        args[i] = regs[i % 3 == 0 ? a->a : i % 3 == 1 ? a->b : a->c];
    }
    bool has_self = !m->is_static && !m->is_constructor;
    if (has_self && args[0].r == NULL) return qn_fail(err, QN_EPLUGIN, "null");
    qn_cava_call call = {.run = run,
                         .id = m->native,
                         .arg = m->native_arg,
                         .type = m->result,
                         .args = args,
                         .n = s->c};
    if (m->native < QN_CAVA_N_LANG_END)
        QN_TRY(qn_cava__lang(&call, err));
    else if (run->host.call == NULL)
        return qn_fail(err, QN_EPLUGIN, "%.*s() is not to be had here",
                       QN_SLICE_ARG(m->name));
    else
        QN_TRY(run->host.call(run->host.ctx, &call, err));
    *result = call.result;
    return QN_OK;
}

/* Room for the registers of `f` above those of the frame; its arguments are copied. */
static qn_status push_frame(qn_cava_run *run, const qn_cava_function *f, uint32_t base,
                            uint16_t result, qn_error *err)
{
    if (run->frame_count == QN_CAVA_CALLS_MAX ||
        base + f->register_count > QN_CAVA_STACK_SLOTS)
        return qn_fail(err, QN_EPLUGIN, "calls are nested too deep: at most %d",
                       QN_CAVA_CALLS_MAX);
    qn_cava_slot *regs = run->stack + base;
    memset(regs, 0, f->register_count * sizeof *regs);
    run->frames[run->frame_count++] =
        (qn_cava_frame){.function = f, .base = base, .result = result};
    return QN_OK;
}

static qn_status literal(qn_cava_run *run, uint32_t i, qn_cava_slot *out, qn_error *err)
{
    if (run->strings[i] == NULL)
        run->strings[i] = qn_cava_new_view(run, run->program->strings.p[i], err);
    out->r = run->strings[i];
    return out->r == NULL ? QN_EPLUGIN : QN_OK;
}

static qn_status new_object(qn_cava_run *run, const qn_cava_class *k, qn_cava_slot *out,
                            qn_error *err)
{
    qn_cava_instance *o =
        qn_cava__allocate(run, sizeof *o + k->field_count * sizeof *o->slots, err);
    if (o == NULL) return QN_EPLUGIN;
    o->head.type = k->type;
    out->r = &o->head;
    return QN_OK;
}

static qn_status new_array(qn_cava_run *run, qn_cava_type type, int64_t n,
                           qn_cava_slot *out, qn_error *err)
{
    if (n < 0) return qn_fail(err, QN_EPLUGIN, "an array of %lld items", (long long)n);
    uint64_t bytes = (uint64_t)n * qn_cava__item_size(run->program, type);
    if (bytes <= run->limits.heap_bytes) QN_TRY(qn_cava_charge(run, bytes, err));
    out->r = qn_cava_new_array(run, type, (uint64_t)n, err);
    return out->r == NULL ? QN_EPLUGIN : QN_OK;
}

static int64_t divide(int64_t a, int64_t b)
{
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t remain(int64_t a, int64_t b)
{
    return b == -1 ? 0 : a % b;
}

/* ---- the loop --------------------------------------------------------------------------- */

#define A regs[s->a]
#define B regs[s->b]
#define C regs[s->c]
#define U(x) ((uint64_t)(x))
#define FAULT(text) return plain_fault(run, (uint32_t)(s - code), text, err)
#define CHECKED(call)                                                                  \
    do {                                                                               \
        run->frames[run->frame_count - 1].pc = (uint32_t)(s - code);                   \
        qn_status st_ = (call);                                                        \
        if (st_ != QN_OK) {                                                            \
            st_ = err != NULL ? err->code : st_;                                       \
            return fault(run, (uint32_t)(s - code), st_, err);                         \
        }                                                                              \
    } while (0)
/* A jump taken: back costs fuel, more when the loop's body is long. */
#define GO(c)                                                                          \
    do {                                                                               \
        int go_ = (int16_t)(c);                                                        \
        if (go_ < 0) CHECKED(look(run, 1 + (uint64_t)-go_ / STEPS_PER_FUEL, err));     \
        s += go_;                                                                      \
    } while (0)
#define ITEM(object, index)                                                            \
    const qn_cava_instance *array =                                                    \
        (const qn_cava_instance *)(const void *)(object).r;                            \
    int64_t at = (index).i;                                                            \
    if (array == NULL) FAULT("null array");                                            \
    if ((uint64_t)at >= array->head.n)                                                 \
    return index_fault(run, (uint32_t)(s - code), at, array->head.n, err)
#define LOAD(op, type, member)                                                         \
    case QN_COP_##op: {                                                                \
        ITEM(B, C);                                                                    \
        A.member = ((const type *)(const void *)array->slots)[at];                     \
        break;                                                                         \
    }
#define STORE(op, type, member)                                                        \
    case QN_COP_##op: {                                                                \
        ITEM(A, B);                                                                    \
        ((type *)qn_cava_items(&array->head))[at] = (type)C.member;                    \
        break;                                                                         \
    }
#define FIELD(object)                                                                  \
    qn_cava_instance *o = (qn_cava_instance *)(void *)(object).r;                      \
    if (o == NULL) FAULT("null object")

/* LONG: one case for each instruction. Runs until the frame count is `until` again. */
static qn_status execute(qn_cava_run *run, uint32_t until, qn_cava_slot *result,
                         qn_error *err)
{
    const qn_cava_program *p = run->program;
    qn_cava_frame *frame = &run->frames[run->frame_count - 1];
    qn_cava_slot *regs = run->stack + frame->base;
    const qn_cava_step *code = frame->function->code, *s = code;
    for (;; s++) {
    entered:
        switch ((qn_cava_opcode)s->op) {
#define PLAIN(op, does)                                                                \
    case QN_COP_##op:                                                                  \
        does;                                                                          \
        break;
#define DIVIDE(op, does)                                                               \
    case QN_COP_##op:                                                                  \
        if (C.i == 0) FAULT("division by zero");                                       \
        does;                                                                          \
        break;
#define JUMP(op, when)                                                                 \
    case QN_COP_##op:                                                                  \
        if (when) GO(s->c);                                                            \
        break;
#define CHECK(op, call)                                                                \
    case QN_COP_##op:                                                                  \
        CHECKED(call);                                                                 \
        break;
#include "expr/cava/cava_steps.def"
#undef PLAIN
#undef DIVIDE
#undef JUMP
#undef CHECK
        case QN_COP_GET_I:
        case QN_COP_GET_D:
        case QN_COP_GET_R: {
            FIELD(B);
            A = o->slots[s->c];
            break;
        }
        case QN_COP_PUT_I:
        case QN_COP_PUT_D:
        case QN_COP_PUT_R: {
            FIELD(A);
            o->slots[s->b] = C;
            break;
        }
        case QN_COP_LENGTH:
            if (B.r == NULL) FAULT("null array");
            A.i = (int32_t)B.r->n;
            break;
            LOAD(LD_I8, int8_t, i)
            LOAD(LD_U8, uint8_t, i)
            LOAD(LD_I16, int16_t, i)
            LOAD(LD_U16, uint16_t, i)
            LOAD(LD_I32, int32_t, i)
            LOAD(LD_U32, uint32_t, i)
            LOAD(LD_I64, int64_t, i)
            LOAD(LD_F64, double, d)
            STORE(ST_8, int8_t, i)
            STORE(ST_16, int16_t, i)
            STORE(ST_32, int32_t, i)
            STORE(ST_64, int64_t, i)
            STORE(ST_F32, float, d)
            STORE(ST_F64, double, d)
        case QN_COP_LD_F32: {
            ITEM(B, C);
            A.d = (double)((const float *)(const void *)array->slots)[at];
            break;
        }
        case QN_COP_LD_R: {
            ITEM(B, C);
            A.r = ((qn_cava_object *const *)(const void *)array->slots)[at];
            break;
        }
        case QN_COP_ST_R: {
            ITEM(A, B);
            ((qn_cava_object **)qn_cava_items(&array->head))[at] = C.r;
            break;
        }
        case QN_COP_CALL: {
            const qn_cava_function *f = &p->functions.p[s->b];
            const qn_cava_slot *from = regs;
            bool has_self =
                f->method == UINT32_MAX || !p->methods.p[f->method].is_static;
            CHECKED(look(run, 1 + f->code_count / STEPS_PER_FUEL, err));
            frame->pc = (uint32_t)(s - code);
            CHECKED(push_frame(run, f, frame->base + frame->function->register_count,
                               s->a, err));
            frame = &run->frames[run->frame_count - 1];
            regs = run->stack + frame->base;
            for (unsigned i = 0; i < s->c; i++) {
                const qn_cava_step *a = &s[1 + i / 3];
                regs[i] = from[i % 3 == 0 ? a->a : i % 3 == 1 ? a->b : a->c];
            }
            if (has_self && regs[0].r == NULL) {
                run->frame_count--;
                FAULT("null object");
            }
            code = s = f->code;
            goto entered;
        }
        case QN_COP_NATIVE: {
            qn_cava_slot value = {.i = 0};
            CHECKED(look(run, 1, err));
            CHECKED(call_native(run, &p->methods.p[s->b], regs, s, &value, err));
            if (s->a != UINT16_MAX) A = value;
            s += (s->c + 2) / 3;
            break;
        }
        case QN_COP_ARGS:
            break;
        case QN_COP_RETURN_I:
        case QN_COP_RETURN_D:
        case QN_COP_RETURN_R:
        case QN_COP_RETURN: {
            qn_cava_slot value = {.i = 0};
            if (s->op != QN_COP_RETURN) value = A;
            uint16_t to = frame->result;
            if (--run->frame_count == until) {
                *result = value;
                return QN_OK;
            }
            frame = &run->frames[run->frame_count - 1];
            regs = run->stack + frame->base;
            code = frame->function->code;
            s = code + frame->pc;
            if (to != UINT16_MAX) regs[to] = value;
            s += (s->c + 2) / 3;
            break;
        }
        case QN_COP_END:
        case QN_COP_COUNT:
            FAULT("the end of a method was reached");
        }
    }
}

/* ---- runs ------------------------------------------------------------------------------- */

qn_status qn_cava_run_create(qn_alloc *alloc, const qn_cava_program *p,
                             const qn_cava_host *host, const qn_cava_limits *limits,
                             qn_cava_run **out, qn_error *err)
{
    *out = NULL;
    qn_cava_run *run = qn_new0(alloc, sizeof *run);
    if (run == NULL) return qn_fail(err, QN_ENOMEM, "a run of a plug-in");
    run->alloc = alloc;
    run->program = p;
    if (host != NULL) run->host = *host;
    if (limits != NULL) run->limits = *limits;
    if (run->limits.heap_bytes == 0) run->limits.heap_bytes = QN_CAVA_HEAP_DEFAULT;
    if (run->limits.fuel == 0) run->limits.fuel = QN_CAVA_FUEL_DEFAULT;
    run->fuel = run->fuel_checked = run->limits.fuel;
    run->rng.state = run->limits.seed;
    run->stack = qn_new_array(alloc, QN_CAVA_STACK_SLOTS, sizeof *run->stack);
    run->strings = qn_new_array(alloc, p->strings.n + 1, sizeof *run->strings);
    if (run->stack == NULL || run->strings == NULL) {
        qn_cava_run_destroy(run);
        return qn_fail(err, QN_ENOMEM, "a run of a plug-in");
    }
    *out = run;
    return QN_OK;
}

void qn_cava_run_destroy(qn_cava_run *run)
{
    if (run == NULL) return;
    while (run->chunk != NULL) {
        struct qn_cava_chunk *next = run->chunk->next;
        qn_delete(run->alloc, run->chunk);
        run->chunk = next;
    }
    qn_delete(run->alloc, run->stack);
    qn_delete(run->alloc, run->strings);
    qn_delete(run->alloc, run);
}

static qn_status call_function(qn_cava_run *run, const qn_cava_function *f,
                               const qn_cava_slot *args, size_t n, qn_cava_slot *result,
                               qn_error *err)
{
    qn_error own = {.at = QN_AT_NONE};
    if (err == NULL) err = &own;
    if (run->failed)
        return qn_fail(err, QN_EPLUGIN,
                       "the plug-in failed before and is not run again");
    qn_assert(n == f->arg_count);
    uint32_t until = run->frame_count;
    qn_status st = look(run, 1, err);
    if (st == QN_OK) st = push_frame(run, f, 0, UINT16_MAX, err);
    if (st != QN_OK) return st;
    if (n > 0) memcpy(run->stack, args, n * sizeof *args);
    st = execute(run, until, result, err);
    run->frame_count = until;
    return st;
}

qn_status qn_cava_run_call(qn_cava_run *run, size_t method, const qn_cava_slot *args,
                           size_t n, qn_cava_slot *result, qn_error *err)
{
    const qn_cava_method *m = &run->program->methods.p[method];
    qn_assert(run->frame_count == 0 && !m->is_native);
    return call_function(run, &run->program->functions.p[m->function], args, n, result,
                         err);
}

qn_status qn_cava_run_new(qn_cava_run *run, qn_slice class_name, qn_cava_slot *result,
                          qn_error *err)
{
    const qn_cava_program *p = run->program;
    size_t constructor = qn_cava_find_constructor(p, class_name);
    qn_cava_slot ignored;
    for (size_t i = QN_CAVA_CLASS_COUNT; i < p->classes.n; i++) {
        qn_cava_class_name name;
        (void)qn_cava_class_at(p, i - QN_CAVA_CLASS_COUNT, &name);
        if (!qn_slice_eq((qn_slice){name.text, name.n}, class_name)) continue;
        const qn_cava_class *k = &p->classes.p[i];
        QN_TRY(new_object(run, k, result, err));
        if (constructor != SIZE_MAX)
            return qn_cava_run_call(run, constructor, result, 1, &ignored, err);
        if (k->init_function != UINT32_MAX)
            return call_function(run, &p->functions.p[k->init_function], result, 1,
                                 &ignored, err);
        return QN_OK;
    }
    return qn_fail(err, QN_EPLUGIN, "no class %.*s", QN_SLICE_ARG(class_name));
}

qn_cava_usage qn_cava_run_usage(const qn_cava_run *run)
{
    return (qn_cava_usage){run->limits.fuel - run->fuel, run->heap_used};
}

uint64_t qn_cava_random(qn_cava_run *run)
{
    return qn_rng_next(&run->rng);
}

int64_t qn_cava_now_ms(const qn_cava_run *run)
{
    return run->limits.now_ms;
}
