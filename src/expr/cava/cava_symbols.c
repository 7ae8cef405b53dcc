/* SPDX-License-Identifier: Apache-2.0 */
/* cava_symbols.c -- types, classes and members: the library's and the plug-in's. */
#include "expr/cava/cava_internal.h"

#include <stdio.h>

/* ORDER CAVA TYPES */
static const char *const primitive_names[QN_CT_FIRST] = {
    "?",    "void",  "null",   "boolean", "byte",  "short", "char",  "int",
    "long", "ubyte", "ushort", "uint",    "ulong", "float", "double"};

/* ---- types ------------------------------------------------------------------------------ */

bool qn_cava__is_integer(qn_cava_type t)
{
    return t >= QN_CT_BYTE && t <= QN_CT_ULONG;
}

bool qn_cava__is_number(qn_cava_type t)
{
    return t >= QN_CT_BYTE && t <= QN_CT_DOUBLE;
}

bool qn_cava__is_reference(qn_cava_type t)
{
    return t == QN_CT_NULL || t >= QN_CT_FIRST;
}

qn_cava_type qn_cava__storage(qn_cava_type t)
{
    if (t >= QN_CT_FIRST) return t;
    return t >= QN_CT_FLOAT ? QN_CT_DOUBLE : QN_CT_LONG;
}

static qn_cava_type add_type(qn_cava_compiler *c, bool is_array, uint32_t of)
{
    qn_cava_program *p = c->program;
    if (!qn_vec_push(p->alloc, &p->types, ((qn_cava_type_info){is_array, of}))) {
        c->no_memory = true;
        return QN_CT_ERROR;
    }
    return QN_CT_FIRST + (qn_cava_type)p->types.n - 1;
}

qn_cava_type qn_cava__array_of(qn_cava_compiler *c, qn_cava_type item)
{
    uint64_t known = 0;
    qn_slice key = {(const char *)&item, sizeof item};
    if (item == QN_CT_ERROR || item == QN_CT_VOID) return QN_CT_ERROR;
    if (qn_map_get(&c->array_map, key, &known)) return (qn_cava_type)known;
    qn_cava_type t = add_type(c, true, item);
    if (!qn_map_put(&c->array_map, key, t)) c->no_memory = true;
    return t;
}

qn_slice qn_cava__type_name(const qn_cava_program *p, qn_cava_type t, char *room,
                            size_t size)
{
    unsigned dims = 0;
    while (t >= QN_CT_FIRST && p->types.p[t - QN_CT_FIRST].is_array) {
        t = p->types.p[t - QN_CT_FIRST].of;
        dims++;
    }
    qn_slice base = t < QN_CT_FIRST ? qn_slice_of(primitive_names[t])
                                    : p->classes.p[p->types.p[t - QN_CT_FIRST].of].name;
    size_t n = base.n < size - 1 ? base.n : size - 1;
    memcpy(room, base.p, n);
    for (; dims > 0 && n + 3 < size; dims--) {
        room[n++] = '[';
        room[n++] = ']';
    }
    room[n] = '\0';
    return (qn_slice){room, n};
}

/* ---- classes ---------------------------------------------------------------------------- */

static bool add_class(qn_cava_compiler *c, qn_slice package, qn_slice name, bool native,
                      uint32_t *out)
{
    qn_cava_program *p = c->program;
    qn_cava_class k = {.package = package,
                       .name = name,
                       .native = native,
                       .first_method = UINT32_MAX,
                       .last_method = UINT32_MAX,
                       .init_function = UINT32_MAX};
    *out = (uint32_t)p->classes.n;
    k.type = add_type(c, false, *out);
    char *full = qn_arena_printf(&c->arena, "%.*s%s%.*s", QN_SLICE_ARG(package),
                                 package.n == 0 ? "" : ".", QN_SLICE_ARG(name));
    if (full == NULL || !qn_vec_push(p->alloc, &p->classes, k)) {
        c->no_memory = true;
        return false;
    }
    uint64_t before = 0;
    if (qn_map_get(&c->class_map, qn_slice_of(full), &before) && !native) return false;
    if (!qn_map_put(&c->class_map, qn_slice_of(full), *out + 1)) c->no_memory = true;
    return true;
}

static size_t lookup(qn_cava_compiler *c, qn_slice package, qn_slice name)
{
    char text[256];
    uint64_t found = 0;
    int n = snprintf(text, sizeof text, "%.*s%s%.*s", QN_SLICE_ARG(package),
                     package.n == 0 ? "" : ".", QN_SLICE_ARG(name));
    if (n < 0 || (size_t)n >= sizeof text) return SIZE_MAX;
    return qn_map_get(&c->class_map, (qn_slice){text, (size_t)n}, &found)
               ? (size_t)found - 1
               : SIZE_MAX;
}

/* "a.b.C": a.b and C. */
static qn_slice split_name(qn_slice full, qn_slice *package)
{
    size_t i = full.n;
    while (i > 0 && full.p[i - 1] != '.') i--;
    *package = (qn_slice){full.p, i == 0 ? 0 : i - 1};
    return (qn_slice){full.p + i, full.n - i};
}

/* HA3 compiles Java's own package names as Cava's. */
static qn_slice without_java(qn_cava_compiler *c, qn_slice name)
{
    if (!qn_slice_starts_with(name, "java.")) return name;
    char *text = qn_arena_printf(&c->arena, "cava%.*s", (int)(name.n - 4), name.p + 4);
    return text == NULL ? name : qn_slice_of(text);
}

size_t qn_cava__find_class(qn_cava_compiler *c, uint32_t file, qn_slice name)
{
    const struct qn_cava_unit *u = &c->units[file];
    qn_slice package;
    if (memchr(name.p, '.', name.n) != NULL)
        return lookup(c, (qn_slice){"", 0}, without_java(c, name));
    for (const qn_cava_node *i = u->imports; i != NULL; i = i->next) {
        qn_slice full = without_java(c, i->text);
        if (i->bits == 0 && qn_slice_eq(split_name(full, &package), name))
            return lookup(c, package, name);
    }
    size_t found = lookup(c, u->package, name);
    for (const qn_cava_node *i = u->imports; i != NULL && found == SIZE_MAX;
         i = i->next)
        if (i->bits != 0) found = lookup(c, without_java(c, i->text), name);
    return found != SIZE_MAX ? found : lookup(c, QN_SLICE_LIT("cava.lang"), name);
}

/* "; import com...": where a class of that name is. */
static const char *import_hint(qn_cava_compiler *c, qn_slice name, char *room,
                               size_t size)
{
    const qn_cava_program *p = c->program;
    room[0] = '\0';
    for (size_t i = 0; i < p->classes.n; i++)
        if (qn_slice_eq(p->classes.p[i].name, name)) {
            (void)snprintf(room, size, "; import %.*s.%.*s",
                           QN_SLICE_ARG(p->classes.p[i].package), QN_SLICE_ARG(name));
            break;
        }
    return room;
}

qn_cava_type qn_cava__resolve_type(qn_cava_compiler *c, uint32_t file,
                                   const qn_cava_node *type)
{
    qn_cava_type t = QN_CT_ERROR;
    char hint[160];
    if (type->code != 0) {
        static const uint8_t of_keyword[] = {
            QN_CT_VOID,  QN_CT_BOOLEAN, QN_CT_BYTE,  QN_CT_SHORT,  QN_CT_CHAR,
            QN_CT_INT,   QN_CT_LONG,    QN_CT_UBYTE, QN_CT_USHORT, QN_CT_UINT,
            QN_CT_ULONG, QN_CT_FLOAT,   QN_CT_DOUBLE};
        t = of_keyword[type->code - K_void];
    } else {
        size_t k = qn_cava__find_class(c, file, type->text);
        if (k == SIZE_MAX)
            qn_cava__error(c, type->at, type->end, QN_CAVA_E_NAME, "no class '%.*s'%s",
                           QN_SLICE_ARG(type->text),
                           import_hint(c, type->text, hint, sizeof hint));
        else
            t = c->program->classes.p[k].type;
    }
    for (uint64_t i = 0; i < type->bits && t != QN_CT_ERROR; i++)
        t = qn_cava__array_of(c, t);
    return t;
}

/* ---- methods ---------------------------------------------------------------------------- */

/* "double score(OpsScoreParams)", "static T create()", "CString(CString)". */
static qn_slice signature_of(qn_cava_compiler *c, const qn_cava_method *m)
{
    qn_buf b;
    char room[96];
    qn_buf_init(&b, c->alloc);
    if (m->is_static) qn_buf_add_str(&b, "static ");
    if (!m->is_constructor) {
        qn_buf_add_slice(&b,
                         qn_cava__type_name(c->program, m->result, room, sizeof room));
        qn_buf_add_char(&b, ' ');
    }
    qn_buf_add_slice(&b, m->name);
    qn_buf_add_char(&b, '(');
    for (uint32_t i = 0; i < m->arg_count; i++) {
        if (i > 0) qn_buf_add_str(&b, ", ");
        qn_buf_add_slice(&b,
                         qn_cava__type_name(c->program, m->args[i], room, sizeof room));
    }
    qn_buf_add_char(&b, ')');
    qn_slice s = qn_arena_slice(&c->program->arena, qn_buf_slice(&b));
    if (b.failed || s.p == NULL) {
        c->no_memory = true;
        s = (qn_slice){"", 0};
    }
    qn_buf_deinit(&b);
    return s;
}

static bool same_arguments(const qn_cava_method *a, const qn_cava_method *b)
{
    if (a->arg_count != b->arg_count || !qn_slice_eq(a->name, b->name)) return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (a->args[i] != b->args[i]) return false;
    return true;
}

/* False: one of that name and those arguments is there already. */
static bool add_method(qn_cava_compiler *c, uint32_t class_index, qn_cava_method *m)
{
    qn_cava_program *p = c->program;
    qn_cava_class *k = &p->classes.p[class_index];
    for (uint32_t i = k->first_method; i != UINT32_MAX; i = p->methods.p[i].next)
        if (same_arguments(&p->methods.p[i], m)) return false;
    m->class_index = class_index;
    m->next = UINT32_MAX;
    m->signature = signature_of(c, m);
    if (!qn_vec_push(p->alloc, &p->methods, *m)) {
        c->no_memory = true;
        return true;
    }
    uint32_t number = (uint32_t)p->methods.n - 1;
    if (k->last_method == UINT32_MAX)
        k->first_method = number;
    else
        p->methods.p[k->last_method].next = number;
    k->last_method = number;
    return true;
}

/* ---- the library ------------------------------------------------------------------------ */

static qn_slice word(qn_slice *rest)
{
    while (rest->n > 0 && (*rest->p == ' ' || *rest->p == ',')) rest->p++, rest->n--;
    qn_slice w = {rest->p, 0};
    while (w.n < rest->n && strchr(" ,()", rest->p[w.n]) == NULL) w.n++;
    rest->p += w.n, rest->n -= w.n;
    return w;
}

/* A type of a signature of the library: the package's own class, else any of that name. */
static qn_cava_type library_type(qn_cava_compiler *c, qn_slice package, qn_slice name)
{
    const qn_cava_program *p = c->program;
    if (qn_slice_ends_with(name, "[]"))
        return qn_cava__array_of(
            c, library_type(c, package, (qn_slice){name.p, name.n - 2}));
    for (qn_cava_type t = QN_CT_VOID; t < QN_CT_FIRST; t++)
        if (qn_slice_eq_str(name, primitive_names[t])) return t;
    size_t k = lookup(c, package, name);
    for (size_t i = 0; i < p->classes.n && k == SIZE_MAX; i++)
        if (qn_slice_eq(p->classes.p[i].name, name)) k = i;
    qn_assert(k != SIZE_MAX);
    return p->classes.p[k].type;
}

/* A row of the table becomes a method. */
static void library_method(qn_cava_compiler *c, uint32_t class_index, const char *text,
                           qn_cava_native native, int arg)
{
    qn_slice package = c->program->classes.p[class_index].package;
    qn_slice rest = qn_slice_of(text), w = word(&rest);
    qn_cava_method m = {.is_native = true, .native = native, .native_arg = arg};
    if (qn_slice_eq_str(w, "static")) {
        m.is_static = true;
        w = word(&rest);
    }
    m.is_constructor = rest.n > 0 && *rest.p == '(';
    m.result = QN_CT_VOID;
    if (m.is_constructor)
        m.result = c->program->classes.p[class_index].type;
    else
        m.result = library_type(c, package, w);
    m.name = m.is_constructor ? w : word(&rest);
    for (rest.p++, rest.n--; rest.n > 0 && *rest.p != ')';) {
        m.args[m.arg_count] = library_type(c, package, word(&rest));
        m.arg_names[m.arg_count++] = word(&rest);
    }
    qn_assert(add_method(c, class_index, &m));
}

typedef struct library_row {
    enum { ROW_PACKAGE, ROW_CLASS, ROW_ALIAS, ROW_METHOD } kind;
    const char *text;
    int id, arg;
} library_row;

static const library_row library[] = {
#define PACKAGE(name) {ROW_PACKAGE, name, 0, 0},
#define CLASS(id, name) {ROW_CLASS, name, QN_CAVA_##id, 0},
#define ALIAS(package, id) {ROW_ALIAS, package, QN_CAVA_##id, 0},
#define METHOD(native, arg, signature) {ROW_METHOD, signature, QN_CAVA_N_##native, arg},
#include "expr/cava/cava_library.def"
#undef PACKAGE
#undef CLASS
#undef ALIAS
#undef METHOD
};

qn_status qn_cava__library(qn_cava_compiler *c, qn_error *err)
{
    const size_t n = sizeof library / sizeof *library;
    qn_slice package = {"", 0};
    uint32_t number = 0;
    for (size_t i = 0; i < n && !c->no_memory; i++) {
        if (library[i].kind == ROW_PACKAGE) package = qn_slice_of(library[i].text);
        if (library[i].kind != ROW_CLASS) continue;
        (void)add_class(c, package, qn_slice_of(library[i].text), true, &number);
        qn_assert(c->no_memory || number == (uint32_t)library[i].id);
    }
    for (size_t i = 0; i < n && !c->no_memory; i++) {
        const library_row *row = &library[i];
        if (row->kind == ROW_CLASS) number = (uint32_t)row->id;
        if (row->kind == ROW_METHOD)
            library_method(c, number, row->text, (qn_cava_native)row->id, row->arg);
        if (row->kind != ROW_ALIAS) continue;
        char *full = qn_arena_printf(&c->arena, "%s.%.*s", row->text,
                                     QN_SLICE_ARG(c->program->classes.p[row->id].name));
        if (full == NULL ||
            !qn_map_put(&c->class_map, qn_slice_of(full), (uint64_t)row->id + 1))
            c->no_memory = true;
    }
    return c->no_memory ? qn_fail(err, QN_ENOMEM, "Cava's library") : QN_OK;
}

/* ---- the plug-in's own ------------------------------------------------------------------ */

static void declare_class(qn_cava_compiler *c, uint32_t file, qn_cava_node *node)
{
    qn_cava_program *p = c->program;
    uint32_t number = 0;
    if (node->kind != N_CLASS) return;
    if (p->classes.n - QN_CAVA_CLASS_COUNT >= QN_CAVA_CLASSES_MAX) {
        qn_cava__error(c, node->at, node->end, QN_CAVA_E_LIMIT, "more than %d classes",
                       QN_CAVA_CLASSES_MAX);
        return;
    }
    if (!add_class(c, c->units[file].package, node->text, false, &number)) {
        if (c->no_memory) return;
        qn_cava__error(c, node->at, node->end, QN_CAVA_E_TWICE,
                       "class '%.*s' is declared twice", QN_SLICE_ARG(node->text));
    }
    p->classes.p[number].node = node;
    p->classes.p[number].file = file;
    node->bits = number;
}

static void declare_field(qn_cava_compiler *c, qn_cava_class *k,
                          const qn_cava_node *node)
{
    qn_cava_field *f = &k->fields[k->field_count];
    for (uint32_t i = 0; i < k->field_count; i++)
        if (qn_slice_eq(k->fields[i].name, node->text))
            qn_cava__error(c, node->at, node->end, QN_CAVA_E_TWICE,
                           "field '%.*s' is declared twice", QN_SLICE_ARG(node->text));
    *f = (qn_cava_field){.name = node->text, .node = node};
    f->type = qn_cava__resolve_type(c, k->file, node->type);
    for (uint64_t d = 0; d < node->bits; d++) f->type = qn_cava__array_of(c, f->type);
    if (f->type == QN_CT_VOID) {
        qn_cava__error(c, node->at, node->end, QN_CAVA_E_TYPE,
                       "a field cannot be void");
        f->type = QN_CT_ERROR;
    }
    k->field_count++;
}

static void declare_method(qn_cava_compiler *c, uint32_t class_index,
                           const qn_cava_node *node)
{
    uint32_t file = c->program->classes.p[class_index].file;
    qn_cava_method m = {.name = node->text, .is_static = node->is_static, .node = node};
    m.is_constructor = node->type == NULL;
    m.result = QN_CT_VOID;
    if (node->type != NULL) m.result = qn_cava__resolve_type(c, file, node->type);
    for (const qn_cava_node *a = node->a; a != NULL; a = a->next) {
        if (m.arg_count == QN_CAVA_ARGS_MAX) {
            qn_cava__error(c, a->at, a->end, QN_CAVA_E_LIMIT, "more than %d parameters",
                           QN_CAVA_ARGS_MAX);
            break;
        }
        for (uint32_t i = 0; i < m.arg_count; i++)
            if (qn_slice_eq(m.arg_names[i], a->text))
                qn_cava__error(c, a->at, a->end, QN_CAVA_E_TWICE,
                               "parameter '%.*s' is declared twice",
                               QN_SLICE_ARG(a->text));
        qn_cava_type t = qn_cava__resolve_type(c, file, a->type);
        if (t == QN_CT_VOID) {
            qn_cava__error(c, a->at, a->end, QN_CAVA_E_TYPE,
                           "a parameter cannot be void");
            t = QN_CT_ERROR;
        }
        m.args[m.arg_count] = t;
        m.arg_names[m.arg_count++] = a->text;
    }
    if (c->program->methods.n > sizeof library / sizeof *library + QN_CAVA_METHODS_MAX)
        qn_cava__error(c, node->at, node->end, QN_CAVA_E_LIMIT, "more than %d methods",
                       QN_CAVA_METHODS_MAX);
    else if (!add_method(c, class_index, &m))
        qn_cava__error(c, node->at, node->end, QN_CAVA_E_TWICE,
                       "method '%.*s' with these parameters is declared twice",
                       QN_SLICE_ARG(node->text));
}

static void declare_members(qn_cava_compiler *c, uint32_t class_index)
{
    const qn_cava_node *node = c->program->classes.p[class_index].node;
    size_t n = 0;
    for (const qn_cava_node *m = node->a; m != NULL; m = m->next)
        n += m->kind == N_FIELD;
    if (n > QN_CAVA_FIELDS_MAX) {
        qn_cava__error(c, node->at, node->end, QN_CAVA_E_LIMIT, "more than %d fields",
                       QN_CAVA_FIELDS_MAX);
        return;
    }
    qn_cava_class *k = &c->program->classes.p[class_index];
    k->fields = qn_arena_array(&c->program->arena, n + 1, sizeof *k->fields);
    if (k->fields == NULL) {
        c->no_memory = true;
        return;
    }
    for (const qn_cava_node *m = node->a; m != NULL; m = m->next) {
        if (m->kind == N_FIELD) declare_field(c, k, m);
        if (m->kind == N_METHOD) declare_method(c, class_index, m);
    }
}

static void check_imports(qn_cava_compiler *c, uint32_t file)
{
    qn_slice package;
    char hint[160];
    for (const qn_cava_node *i = c->units[file].imports; i != NULL; i = i->next) {
        qn_slice full = without_java(c, i->text);
        bool known = i->bits == 0 && lookup(c, (qn_slice){"", 0}, full) != SIZE_MAX;
        for (size_t k = 0; k < c->program->classes.n && !known && i->bits != 0; k++)
            known = qn_slice_eq(c->program->classes.p[k].package, full);
        /* cava.util has no classes that are known; importing all of them is harmless. */
        if (i->bits != 0 && qn_slice_eq_str(full, "cava.util")) known = true;
        if (!known)
            qn_cava__error(
                c, i->at, i->end, QN_CAVA_E_NAME, "no %s '%.*s'%s",
                i->bits != 0 ? "package" : "class", QN_SLICE_ARG(i->text),
                import_hint(c, split_name(full, &package), hint, sizeof hint));
    }
}

void qn_cava__declare(qn_cava_compiler *c)
{
    qn_cava_program *p = c->program;
    for (uint32_t f = 0; f < p->file_count; f++)
        for (qn_cava_node *n = c->units[f].classes; n != NULL; n = n->next)
            declare_class(c, f, n);
    if (c->no_memory) return;
    for (uint32_t f = 0; f < p->file_count; f++) check_imports(c, f);
    for (uint32_t k = QN_CAVA_CLASS_COUNT; k < p->classes.n && !c->no_memory; k++)
        if (p->classes.p[k].node != NULL) declare_members(c, k);
}
