/* SPDX-License-Identifier: Apache-2.0 */
/* schema_print.c -- a schema as the mapping dialect shows it, whichever dialect made it.
 *
 * Fields are a flat list of dotted names; the print nests them again: an object for
 * every prefix that is no field itself, `fields` for those that read another's path. */
#include "engine/schema/schema_make.h"

static const char *metric_name(const qn_field *f)
{
    switch (f->metric) {
    case QN_METRIC_L2:
        return "l2_norm";
    case QN_METRIC_DOT:
        return f->any_length ? "max_inner_product" : "dot_product";
    case QN_METRIC_COSINE:
        break;
    }
    return "cosine";
}

static void print_vector(const qn_field *f, qn_json_writer *w)
{
    qn_json_member_int(w, "dims", f->dims);
    qn_json_member_bool(w, "index", true);
    qn_json_member_str(w, "similarity", metric_name(f));
    if (f->element == QN_ELEMENT_I8) qn_json_member_str(w, "element_type", "byte");
    if (f->model == NULL) return;
    qn_json_member_str(w, "quern_model", f->model);
    qn_json_key(w, "quern_source");
    qn_json_begin_array(w);
    for (size_t i = 0; i < f->model_path_count; i++)
        qn_json_string(w, f->model_paths[i]);
    qn_json_end_array(w);
}

static void print_own(const qn_field *f, qn_json_writer *w)
{
    qn_json_member_str(w, "type", qn_field_type_name(f->type));
    if (f->type == QN_FIELD_VECTOR) {
        print_vector(f, w);
        return;
    }
    if (f->type == QN_FIELD_TEXT) {
        if (!f->indexed) qn_json_member_bool(w, "index", false);
        if (strcmp(f->analyzer, "standard") != 0)
            qn_json_member_str(w, "analyzer", f->analyzer);
        if (strcmp(f->analyzer, f->search_analyzer) != 0)
            qn_json_member_str(w, "search_analyzer", f->search_analyzer);
        return;
    }
    if (f->type == QN_FIELD_KEYWORD) {
        if (!f->indexed) qn_json_member_bool(w, "index", false);
        if (f->ignore_above != 0)
            qn_json_member_int(w, "ignore_above", f->ignore_above);
    }
    if (!f->column) qn_json_member_bool(w, "doc_values", false);
}

static bool is_sub_field(const qn_field *f)
{
    return !qn_slice_eq(f->name, f->path) && f->name.n > f->path.n &&
           memcmp(f->name.p, f->path.p, f->path.n) == 0 && f->name.p[f->path.n] == '.';
}

static void print_field(const qn_schema *s, const qn_field *f, qn_json_writer *w)
{
    qn_json_begin_object(w);
    print_own(f, w);
    bool any = false;
    for (size_t i = 0; i < s->field_count; i++) {
        const qn_field *sub = &s->fields[i];
        if (!is_sub_field(sub) || !qn_slice_eq(sub->path, f->name)) continue;
        if (!any) {
            qn_json_key(w, "fields");
            qn_json_begin_object(w);
        }
        any = true;
        qn_json_key_slice(
            w, (qn_slice){sub->name.p + f->name.n + 1, sub->name.n - f->name.n - 1});
        qn_json_begin_object(w);
        print_own(sub, w);
        qn_json_end_object(w);
    }
    if (any) qn_json_end_object(w);
    qn_json_end_object(w);
}

/* The part of `name` after `prefix` and a dot, up to the next dot. */
static bool child_of(qn_slice name, qn_slice prefix, qn_slice *child, bool *leaf)
{
    size_t start = prefix.n == 0 ? 0 : prefix.n + 1;
    if (name.n <= start) return false;
    if (prefix.n != 0 &&
        (memcmp(name.p, prefix.p, prefix.n) != 0 || name.p[prefix.n] != '.'))
        return false;
    size_t end = start;
    while (end < name.n && name.p[end] != '.') end++;
    *child = (qn_slice){name.p + start, end - start};
    *leaf = end == name.n;
    return true;
}

static bool seen_before(const qn_schema *s, size_t i, qn_slice prefix, qn_slice child)
{
    for (size_t k = 0; k < i; k++) {
        qn_slice other;
        bool leaf;
        if (!is_sub_field(&s->fields[k]) &&
            child_of(s->fields[k].name, prefix, &other, &leaf) &&
            qn_slice_eq(other, child))
            return true;
    }
    return false;
}

/* Depth is bounded by QN_SCHEMA_DEPTH_MAX, which parsing enforces on dotted names. */
static void print_level(const qn_schema *s, qn_slice prefix, qn_json_writer *w)
{
    qn_json_key(w, "properties");
    qn_json_begin_object(w);
    for (size_t i = 0; i < s->field_count; i++) {
        const qn_field *f = &s->fields[i];
        qn_slice child;
        bool leaf;
        if (is_sub_field(f) || !child_of(f->name, prefix, &child, &leaf)) continue;
        if (leaf) {
            qn_json_key_slice(w, child);
            print_field(s, f, w);
        } else if (!seen_before(s, i, prefix, child)) {
            qn_json_key_slice(w, child);
            qn_json_begin_object(w);
            print_level(
                s, (qn_slice){f->name.p, (size_t)(child.p - f->name.p) + child.n}, w);
            qn_json_end_object(w);
        }
    }
    qn_json_end_object(w);
}

void qn_table_schema_print(const qn_table_schema *t, qn_json_writer *w)
{
    static const char *const dynamic[] = {"true", "false", "strict"};
    qn_json_begin_object(w);
    if (t->schema.dynamic != QN_DYNAMIC_TRUE)
        qn_json_member_str(w, "dynamic", dynamic[t->schema.dynamic]);
    if (t->schema.field_count != 0) print_level(&t->schema, (qn_slice){"", 0}, w);
    qn_json_end_object(w);
}
