/* SPDX-License-Identifier: Apache-2.0 */
/* document_json.c -- what is done to documents as JSON: look up, merge, take the key. */
#include "engine/schema/document.h"

/* Depth is bounded by the number of dots in the path. */
const qn_json *qn_document_at(const qn_json *root, qn_slice path)
{
    if (root == NULL) return NULL;
    if (root->kind == QN_JSON_ARRAY) {
        for (const qn_json *it = qn_json_items(root); it != NULL; it = it->next) {
            const qn_json *v =
                it->kind == QN_JSON_OBJECT ? qn_document_at(it, path) : NULL;
            if (v != NULL) return v;
        }
        return NULL;
    }
    if (root->kind != QN_JSON_OBJECT) return NULL;
    const qn_json *found = NULL;
    for (const qn_json *it = qn_json_items(root); it != NULL; it = it->next) {
        if (qn_slice_eq(it->key, path)) {
            found = it;
        } else if (it->key.n < path.n && path.p[it->key.n] == '.' &&
                   memcmp(path.p, it->key.p, it->key.n) == 0) {
            qn_slice rest = {path.p + it->key.n + 1, path.n - it->key.n - 1};
            const qn_json *v = qn_document_at(it, rest);
            if (v != NULL) found = v;
        }
    }
    return found;
}

static void add_strings(const qn_json *v, qn_buf *out)
{
    if (v == NULL) return;
    if (v->kind == QN_JSON_ARRAY) {
        for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next)
            if (it->kind != QN_JSON_ARRAY) add_strings(it, out);
        return;
    }
    if (v->kind == QN_JSON_NULL || v->kind == QN_JSON_OBJECT) return;
    qn_slice text = v->kind == QN_JSON_STRING ? v->string : v->raw;
    if (text.n == 0) return;
    if (out->n != 0) qn_buf_add_char(out, ' ');
    qn_buf_add_slice(out, text);
}

qn_status qn_document_embed_text(qn_arena *arena, const qn_field *field,
                                 const qn_json *root, qn_slice *out, qn_error *err)
{
    qn_buf buf;
    qn_buf_init(&buf, arena->alloc);
    for (size_t i = 0; i < field->model_path_count; i++)
        add_strings(qn_document_at(root, field->model_paths[i]), &buf);
    *out = qn_arena_slice(arena, qn_buf_slice(&buf));
    bool failed = buf.failed || out->p == NULL;
    qn_buf_deinit(&buf);
    return failed ? qn_fail(err, QN_ENOMEM, "document") : QN_OK;
}

qn_status qn_document_key(qn_arena *arena, const qn_json *root, qn_slice path,
                          qn_slice *id, qn_error *err)
{
    const qn_json *v = qn_document_at(root, path);
    if (v != NULL && v->kind == QN_JSON_STRING) {
        *id = v->string;
        return QN_OK;
    }
    if (v != NULL && v->kind == QN_JSON_INT) {
        char *p = qn_arena_printf(arena, "%lld", (long long)v->integer);
        if (p == NULL) return qn_fail(err, QN_ENOMEM, "document");
        *id = qn_slice_of(p);
        return QN_OK;
    }
    return qn_fail(err, QN_EDOCUMENT, "the primary key [%.*s] is %s",
                   QN_SLICE_ARG(path),
                   v == NULL ? "missing" : "neither a string nor an integer");
}

static void merge_into(qn_json_writer *w, const qn_json *base, const qn_json *partial);

/* Members of `partial` replace those of `base`; of members given twice the last counts.
 * Both lists are short next to the cost of indexing the document. */
static void merge_members(qn_json_writer *w, const qn_json *base,
                          const qn_json *partial)
{
    qn_json_begin_object(w);
    for (const qn_json *it = qn_json_items(base); it != NULL; it = it->next) {
        const qn_json *newer = NULL;
        for (const qn_json *p = qn_json_items(partial); p != NULL; p = p->next)
            if (qn_slice_eq(p->key, it->key)) newer = p;
        qn_json_key_slice(w, it->key);
        if (newer == NULL)
            qn_json_raw(w, it->raw);
        else
            merge_into(w, it, newer);
    }
    for (const qn_json *p = qn_json_items(partial); p != NULL; p = p->next) {
        bool there = false, later = false;
        for (const qn_json *it = qn_json_items(base); it != NULL; it = it->next)
            there = there || qn_slice_eq(p->key, it->key);
        for (const qn_json *q = p->next; q != NULL; q = q->next)
            later = later || qn_slice_eq(p->key, q->key);
        if (there || later) continue;
        qn_json_key_slice(w, p->key);
        qn_json_raw(w, p->raw);
    }
    qn_json_end_object(w);
}

static void merge_into(qn_json_writer *w, const qn_json *base, const qn_json *partial)
{
    if (base->kind == QN_JSON_OBJECT && partial->kind == QN_JSON_OBJECT)
        merge_members(w, base, partial);
    else
        qn_json_raw(w, partial->raw);
}

qn_status qn_document_merge(const qn_json *base, const qn_json *partial, qn_buf *out,
                            qn_error *err)
{
    if (partial->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EDOCUMENT,
                       "a partial document must be an object, not %s",
                       qn_json_kind_name(partial->kind));
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    merge_members(&w, base, partial);
    return out->failed ? qn_fail(err, QN_ENOMEM, "document") : QN_OK;
}

/* ---- does an update change anything ------------------------------------------------------
 */

/* Of members given twice the last counts. */
static const qn_json *member(const qn_json *object, qn_slice key)
{
    const qn_json *found = NULL;
    for (const qn_json *it = qn_json_items(object); it != NULL; it = it->next)
        if (qn_slice_eq(it->key, key)) found = it;
    return found;
}

static bool same(const qn_json *a, const qn_json *b);

/* Every member of `a` is in `b` and the same. */
static bool contained(const qn_json *a, const qn_json *b)
{
    for (const qn_json *it = qn_json_items(a); it != NULL; it = it->next) {
        const qn_json *mine = member(a, it->key), *other = member(b, it->key);
        if (other == NULL || !same(mine, other)) return false;
    }
    return true;
}

static bool same(const qn_json *a, const qn_json *b)
{
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case QN_JSON_NULL:
        return true;
    case QN_JSON_BOOL:
        return a->boolean == b->boolean;
    case QN_JSON_INT:
        return a->integer == b->integer;
    case QN_JSON_DOUBLE:
        return qn_slice_eq(a->raw, b->raw);
    case QN_JSON_STRING:
        return qn_slice_eq(a->string, b->string);
    case QN_JSON_OBJECT:
        return contained(a, b) && contained(b, a);
    case QN_JSON_ARRAY:
        break;
    }
    if (a->count != b->count) return false;
    const qn_json *y = qn_json_items(b);
    for (const qn_json *x = qn_json_items(a); x != NULL; x = x->next, y = y->next)
        if (!same(x, y)) return false;
    return true;
}

bool qn_document_changes(const qn_json *base, const qn_json *partial)
{
    for (const qn_json *it = qn_json_items(partial); it != NULL; it = it->next) {
        const qn_json *newer = member(partial, it->key), *old = member(base, it->key);
        if (old == NULL) return true;
        bool objects = old->kind == QN_JSON_OBJECT && newer->kind == QN_JSON_OBJECT;
        if (objects ? qn_document_changes(old, newer) : !same(old, newer)) return true;
    }
    return false;
}
