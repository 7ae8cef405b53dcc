/* SPDX-License-Identifier: Apache-2.0 */
/* cava.c -- from files to a program; diagnostics; what can be asked of a program. */
#include "expr/cava/cava_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- diagnostics ------------------------------------------------------------------------ */

uint32_t qn_cava__locate(const qn_cava_program *p, uint32_t at, uint32_t *line,
                         uint32_t *column)
{
    uint32_t file = 0;
    while (file + 1 < p->file_count && p->bases[file + 1] <= at) file++;
    qn_slice s = p->files[file].source;
    size_t offset = at - p->bases[file];
    if (offset > s.n) offset = s.n;
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        ++*column;
        if (s.p[i] != '\n') continue;
        ++*line;
        *column = 1;
    }
    return file;
}

void qn_cava__error(qn_cava_compiler *c, uint32_t at, uint32_t end, unsigned code,
                    const char *fmt, ...)
{
    va_list args;
    qn_cava_report *r = c->report;
    c->errors++;
    if (r->n == QN_CAVA_DIAGNOSTICS_MAX) {
        r->left_out++;
        return;
    }
    qn_cava_diagnostic *d = &r->items[r->n++];
    *d = (qn_cava_diagnostic){.code = code};
    d->file = qn_cava__locate(c->program, at, &d->line, &d->column);
    (void)qn_cava__locate(c->program, end > at ? end - 1 : at, &d->end_line,
                          &d->end_column);
    va_start(args, fmt);
    (void)vsnprintf(d->text, sizeof d->text, fmt, args);
    va_end(args);
}

static qn_slice line_of(qn_slice source, uint32_t line)
{
    size_t begin = 0, end = 0;
    for (uint32_t n = 1; n < line && begin < source.n; begin++)
        if (source.p[begin] == '\n') n++;
    for (end = begin; end < source.n && source.p[end] != '\n'; end++) {
    }
    if (end > begin && source.p[end - 1] == '\r') end--;
    return (qn_slice){source.p + begin, end - begin};
}

/* The line and the caret under it; a long line is shown around the place. */
static void print_line(qn_slice line, const qn_cava_diagnostic *d, qn_buf *out)
{
    enum { BEFORE = 60, WIDTH = 120 };
    size_t at = d->column - 1, begin = at > BEFORE ? at - BEFORE : 0;
    while (begin > 0 && ((unsigned char)line.p[begin] & 0xC0) == 0x80) begin--;
    size_t end = line.n < begin + WIDTH ? line.n : begin + WIDTH;
    while (end < line.n && ((unsigned char)line.p[end] & 0xC0) == 0x80) end++;
    qn_buf_add_str(out, "    ");
    qn_buf_add(out, line.p + begin, end - begin);
    qn_buf_add_str(out, "\n    ");
    for (size_t i = begin; i < at && i < end; i++) {
        if (((unsigned char)line.p[i] & 0xC0) == 0x80) continue;
        qn_buf_add_char(out, line.p[i] == '\t' ? '\t' : ' ');
    }
    qn_buf_add_char(out, '^');
    for (uint32_t i = d->column; d->end_line == d->line && i < d->end_column && i < end;
         i++)
        if (((unsigned char)line.p[i] & 0xC0) != 0x80) qn_buf_add_char(out, '~');
    qn_buf_add_char(out, '\n');
}

void qn_cava_report_print(const qn_cava_report *report, const qn_cava_file *files,
                          qn_buf *out)
{
    for (size_t i = 0; i < report->n; i++) {
        const qn_cava_diagnostic *d = &report->items[i];
        qn_buf_printf(out, "%.*s:%u.%u-%u.%u [%u] %s\n",
                      QN_SLICE_ARG(files[d->file].name), d->line, d->column,
                      d->end_line, d->end_column, d->code, d->text);
        print_line(line_of(files[d->file].source, d->line), d, out);
    }
    if (report->left_out > 0) qn_buf_printf(out, "and %zu more\n", report->left_out);
}

/* ---- compiling -------------------------------------------------------------------------- */

static qn_status copy_files(qn_cava_program *p, const qn_cava_file *files, size_t n,
                            qn_error *err)
{
    qn_cava_file *copies = qn_arena_array(&p->arena, n + 1, sizeof *copies);
    p->bases = qn_arena_array(&p->arena, n + 1, sizeof *p->bases);
    uint32_t base = 0;
    if (copies == NULL || p->bases == NULL) return qn_fail(err, QN_ENOMEM, "plug-in");
    for (size_t i = 0; i < n; i++) {
        if (files[i].source.n > QN_CAVA_FILE_BYTES_MAX)
            return qn_fail(
                err, QN_ELIMIT, "%.*s has %zu bytes, a source file at most %d",
                QN_SLICE_ARG(files[i].name), files[i].source.n, QN_CAVA_FILE_BYTES_MAX);
        if (memchr(files[i].source.p, '\0', files[i].source.n) != NULL)
            return qn_fail(err, QN_ESYNTAX, "%.*s is no text: it has a zero byte",
                           QN_SLICE_ARG(files[i].name));
        copies[i].name = qn_arena_slice(&p->arena, files[i].name);
        copies[i].source = qn_arena_slice(&p->arena, files[i].source);
        if (copies[i].name.p == NULL || copies[i].source.p == NULL)
            return qn_fail(err, QN_ENOMEM, "plug-in");
        p->bases[i] = base;
        base += (uint32_t)files[i].source.n + 2;
    }
    p->files = copies;
    p->file_count = n;
    return QN_OK;
}

static qn_status first_diagnostic(const qn_cava_compiler *c, qn_error *err)
{
    const qn_cava_diagnostic *d = &c->report->items[0];
    return qn_fail(err, QN_EPLUGINCODE, "%.*s:%u.%u [%u] %s%s",
                   QN_SLICE_ARG(c->program->files[d->file].name), d->line, d->column,
                   d->code, d->text, c->errors > 1 ? " (and more)" : "");
}

static qn_status run_passes(qn_cava_compiler *c, qn_error *err)
{
    QN_TRY(qn_cava__library(c, err));
    for (uint32_t f = 0; f < c->program->file_count && !c->no_memory; f++)
        qn_cava__parse(c, f);
    /* Names and types of what did not parse would only be wrong in its wake. */
    if (c->errors == 0 && !c->no_memory) qn_cava__declare(c);
    if (c->errors == 0 && !c->no_memory) qn_cava__generate(c);
    if (c->no_memory) return qn_fail(err, QN_ENOMEM, "plug-in");
    if (c->errors > 0) return first_diagnostic(c, err);
    return qn_cava__verify(c->program, err);
}

/* Names in symbols point into the tokens' arena or the sources: all into the program. */
static bool keep(qn_cava_program *p, qn_slice *s)
{
    *s = qn_arena_slice(&p->arena, *s);
    return s->p != NULL;
}

static qn_status keep_names(qn_cava_program *p, qn_error *err)
{
    bool ok = true;
    for (size_t i = QN_CAVA_CLASS_COUNT; i < p->classes.n && ok; i++) {
        qn_cava_class *k = &p->classes.p[i];
        ok = keep(p, &k->package) && keep(p, &k->name);
        k->node = NULL;
        for (uint32_t f = 0; f < k->field_count && ok; f++) {
            ok = keep(p, &k->fields[f].name);
            k->fields[f].node = NULL;
        }
    }
    for (size_t i = 0; i < p->methods.n && ok; i++) {
        qn_cava_method *m = &p->methods.p[i];
        m->node = NULL;
        if (m->is_native) continue;
        ok = keep(p, &m->name);
        for (uint32_t a = 0; a < m->arg_count && ok; a++)
            ok = keep(p, &m->arg_names[a]);
    }
    return ok ? QN_OK : qn_fail(err, QN_ENOMEM, "plug-in");
}

qn_status qn_cava_compile(qn_alloc *alloc, const qn_cava_file *files, size_t n,
                          qn_cava_report *report, qn_cava_program **out, qn_error *err)
{
    *out = NULL;
    if (report != NULL) report->n = report->left_out = 0;
    if (n == 0 || n > QN_CAVA_FILES_MAX)
        return qn_fail(err, QN_ELIMIT, "%zu source files, a plug-in has 1 to %d", n,
                       QN_CAVA_FILES_MAX);
    qn_cava_compiler *c = qn_new0(alloc, sizeof *c);
    qn_cava_report *own = qn_new0(alloc, sizeof *own);
    qn_cava_program *p = qn_new0(alloc, sizeof *p);
    qn_status st = QN_OK;
    if (c == NULL || own == NULL || p == NULL) {
        st = qn_fail(err, QN_ENOMEM, "plug-in");
    } else {
        p->alloc = c->alloc = alloc;
        qn_arena_init(&p->arena, alloc, 0);
        qn_arena_init(&c->arena, alloc, 0);
        qn_map_init(&c->class_map, alloc);
        qn_map_init(&c->array_map, alloc);
        c->program = p;
        c->report = report == NULL ? own : report;
        st = copy_files(p, files, n, err);
        if (st == QN_OK) st = run_passes(c, err);
        if (st == QN_OK) st = keep_names(p, err);
        qn_arena_deinit(&c->arena);
        qn_map_deinit(&c->class_map);
        qn_map_deinit(&c->array_map);
    }
    qn_delete(alloc, c);
    qn_delete(alloc, own);
    if (st == QN_OK)
        *out = p;
    else if (p != NULL && p->alloc != NULL)
        qn_cava_program_destroy(p);
    else
        qn_delete(alloc, p);
    return st;
}

void qn_cava_program_destroy(qn_cava_program *p)
{
    if (p == NULL) return;
    qn_alloc *alloc = p->alloc;
    qn_vec_deinit(alloc, &p->types);
    qn_vec_deinit(alloc, &p->classes);
    qn_vec_deinit(alloc, &p->methods);
    qn_vec_deinit(alloc, &p->functions);
    qn_vec_deinit(alloc, &p->constants);
    qn_vec_deinit(alloc, &p->strings);
    qn_arena_deinit(&p->arena);
    qn_delete(alloc, p);
}

/* ---- what a program has ----------------------------------------------------------------- */

size_t qn_cava_program_bytes(const qn_cava_program *p)
{
    return sizeof *p + p->arena.used_bytes + p->types.capacity * sizeof *p->types.p +
           p->classes.capacity * sizeof *p->classes.p +
           p->methods.capacity * sizeof *p->methods.p +
           p->functions.capacity * sizeof *p->functions.p;
}

static bool is_named(const qn_cava_class *k, qn_slice full)
{
    if (k->package.n == 0) return qn_slice_eq(k->name, full);
    return full.n == k->package.n + 1 + k->name.n &&
           memcmp(full.p, k->package.p, k->package.n) == 0 &&
           full.p[k->package.n] == '.' &&
           memcmp(full.p + k->package.n + 1, k->name.p, k->name.n) == 0;
}

static const qn_cava_class *own_class(const qn_cava_program *p, qn_slice full)
{
    for (size_t i = QN_CAVA_CLASS_COUNT; i < p->classes.n; i++)
        if (is_named(&p->classes.p[i], full)) return &p->classes.p[i];
    return NULL;
}

size_t qn_cava_find(const qn_cava_program *p, qn_slice class_name,
                    const char *signature)
{
    const qn_cava_class *k = own_class(p, class_name);
    uint32_t i = k == NULL ? UINT32_MAX : k->first_method;
    for (; i != UINT32_MAX; i = p->methods.p[i].next)
        if (qn_slice_eq_str(p->methods.p[i].signature, signature)) return i;
    return SIZE_MAX;
}

bool qn_cava_takes(const qn_cava_program *p, size_t method, qn_cava_class_id id)
{
    return method != SIZE_MAX && p->methods.p[method].arg_count > 0 &&
           p->methods.p[method].args[0] == p->classes.p[id].type;
}

size_t qn_cava_find_constructor(const qn_cava_program *p, qn_slice class_name)
{
    const qn_cava_class *k = own_class(p, class_name);
    uint32_t i = k == NULL ? UINT32_MAX : k->first_method;
    for (; i != UINT32_MAX; i = p->methods.p[i].next)
        if (p->methods.p[i].is_constructor && p->methods.p[i].arg_count == 0) return i;
    return SIZE_MAX;
}

bool qn_cava_class_at(const qn_cava_program *p, size_t i, qn_cava_class_name *name)
{
    if (QN_CAVA_CLASS_COUNT + i >= p->classes.n) return false;
    const qn_cava_class *k = &p->classes.p[QN_CAVA_CLASS_COUNT + i];
    int n =
        snprintf(name->text, sizeof name->text, "%.*s%s%.*s", QN_SLICE_ARG(k->package),
                 k->package.n == 0 ? "" : ".", QN_SLICE_ARG(k->name));
    name->n = n < 0 ? 0 : (size_t)n < sizeof name->text ? (size_t)n : 0;
    return true;
}
