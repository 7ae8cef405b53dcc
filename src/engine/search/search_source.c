/* SPDX-License-Identifier: Apache-2.0 */
/* search_source.c -- what a reply shows of a document. */
#include "engine/search/search.h"

/* ---- the DSL's _source -----------------------------------------------------------------------
 */

/* `*` stands for any run of bytes, dots too, as in Elasticsearch. */
static bool matches(qn_slice pattern, qn_slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

static bool any(const qn_slice *patterns, size_t n, qn_slice path)
{
    for (size_t i = 0; i < n; i++)
        if (matches(patterns[i], path)) return true;
    return false;
}

typedef struct filtering {
    const qn_source_filter *filter;
    qn_json_writer w;
    qn_buf path;
} filtering;

/* `inside`: an include named an object around this. */
static bool wanted(filtering *f, const qn_json *v, bool inside, size_t path_size);

/* The path is lengthened for each member and cut back. */
static bool wanted_below(filtering *f, const qn_json *v, size_t path_size)
{
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) {
        f->path.n = path_size;
        if (v->kind == QN_JSON_OBJECT) {
            if (path_size != 0) qn_buf_add_char(&f->path, '.');
            qn_buf_add_slice(&f->path, it->key);
        }
        bool yes = wanted(f, it, false, f->path.n);
        f->path.n = path_size;
        if (yes) return true;
    }
    return false;
}

static bool wanted(filtering *f, const qn_json *v, bool inside, size_t path_size)
{
    qn_slice path = {f->path.p, path_size};
    const qn_source_filter *s = f->filter;
    if (any(s->excludes, s->exclude_count, path)) return false;
    if (inside || s->include_count == 0 || any(s->includes, s->include_count, path))
        return true;
    bool container = v->kind == QN_JSON_OBJECT || v->kind == QN_JSON_ARRAY;
    return container && wanted_below(f, v, path_size);
}

static void write_value(filtering *f, const qn_json *v, bool inside);

static void write_members(filtering *f, const qn_json *v, bool inside)
{
    size_t mark = f->path.n;
    qn_json_begin_object(&f->w);
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) {
        if (mark != 0) qn_buf_add_char(&f->path, '.');
        qn_buf_add_slice(&f->path, it->key);
        if (!f->path.failed && wanted(f, it, inside, f->path.n)) {
            qn_slice path = qn_buf_slice(&f->path);
            bool in =
                inside || any(f->filter->includes, f->filter->include_count, path);
            qn_json_key_slice(&f->w, it->key);
            write_value(f, it, in);
        }
        f->path.n = mark;
    }
    qn_json_end_object(&f->w);
}

/* Depth is bounded by the JSON parser. */
static void write_value(filtering *f, const qn_json *v, bool inside)
{
    if (v->kind == QN_JSON_OBJECT) {
        write_members(f, v, inside);
    } else if (v->kind == QN_JSON_ARRAY && v->first != NULL &&
               v->first->kind == QN_JSON_OBJECT) {
        qn_json_begin_array(&f->w);
        for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next)
            write_value(f, it, inside);
        qn_json_end_array(&f->w);
    } else {
        qn_json_raw(&f->w, v->raw);
    }
}

static qn_status filter_source(const qn_search *s, qn_slice source, qn_buf *out,
                               qn_error *err)
{
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(s->arena, source, &root, err));
    filtering f = {.filter = &s->request.source};
    qn_json_writer_init(&f.w, out, false);
    qn_buf_init(&f.path, s->q->alloc);
    write_members(&f, root, f.filter->include_count == 0);
    bool failed = f.path.failed || out->failed;
    qn_buf_deinit(&f.path);
    return failed ? qn_fail(err, QN_ENOMEM, "source") : QN_OK;
}

/* ---- HA3's fields ---------------------------------------------------------------------------
 */

static void write_field(qn_json_writer *w, qn_slice name, qn_slice path,
                        const qn_json *root)
{
    const qn_json *v = qn_document_at(root, path);
    if (v == NULL) return;
    qn_json_key_slice(w, name);
    qn_json_raw(w, v->raw);
}

/* Those asked for, else the summary fields, in the schema's order. A copied field shows
 * what it was copied from. */
static qn_status pick_fields(const qn_search *s, qn_slice source, qn_buf *out,
                             qn_error *err)
{
    const qn_schema *schema = s->snapshot->view.schema;
    const qn_request *r = &s->request;
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(s->arena, source, &root, err));
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    for (size_t i = 0; i < r->fetch_field_count; i++) {
        const qn_field *f = qn_schema_field(schema, r->fetch_fields[i]);
        write_field(&w, r->fetch_fields[i], f == NULL ? r->fetch_fields[i] : f->path,
                    root);
    }
    for (size_t i = 0; r->fetch_field_count == 0 && i < schema->field_count; i++) {
        const qn_field *f = &schema->fields[i];
        if (f->stored) write_field(&w, f->name, f->path, root);
    }
    qn_json_end_object(&w);
    return out->failed ? qn_fail(err, QN_ENOMEM, "source") : QN_OK;
}

/* ---- either -----------------------------------------------------------------------------------
 */

bool qn_search__wants_source(const qn_search *s)
{
    if (s->options.no_source || s->request.source.none) return false;
    return s->options.kind != QUERN_QUERY_HA3 || !s->request.no_summary;
}

qn_status qn_search__source(const qn_search *s, qn_slice source, qn_slice *out,
                            qn_error *err)
{
    const qn_source_filter *f = &s->request.source;
    bool ha3 = s->options.kind == QUERN_QUERY_HA3;
    bool fields = ha3 && (s->request.fetch_field_count != 0 ||
                          s->snapshot->view.schema->dialect == QN_SCHEMA_HA3);
    bool filter = !ha3 && (f->include_count != 0 || f->exclude_count != 0);
    qn_buf b;
    qn_buf_init(&b, s->q->alloc);
    qn_slice copy = qn_arena_slice(s->arena, source);
    qn_status st = copy.p == NULL ? qn_fail(err, QN_ENOMEM, "source") : QN_OK;
    if (st == QN_OK && fields) st = pick_fields(s, copy, &b, err);
    if (st == QN_OK && filter) st = filter_source(s, copy, &b, err);
    *out = fields || filter ? qn_arena_slice(s->arena, qn_buf_slice(&b)) : copy;
    if (st == QN_OK && out->p == NULL) st = qn_fail(err, QN_ENOMEM, "source");
    qn_buf_deinit(&b);
    return st;
}
