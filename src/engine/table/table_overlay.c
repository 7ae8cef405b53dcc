/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/table_overlay.h"

#include "base/log.h"
#include "engine/table/manifest.h"
#include "io/file.h"

enum {
    PLAN_VALUES_MAX = 4096,
    PLAN_BYTES_MAX = 64 * 1024, /* more of a document is as well written anew */
};

static const char overlay_magic[8] = QN_OVERLAY_MAGIC;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "update");
}

/* ---- which updates ---------------------------------------------------------------------- */

static bool is_attribute(const qn_field *f)
{
    if (!f->column || f->type == QN_FIELD_VECTOR || f->type == QN_FIELD_TEXT)
        return false;
    return f->type != QN_FIELD_KEYWORD || !f->indexed;
}

/* Does some vector come from what stands there? */
static bool is_embedded(const qn_schema *s, qn_slice path)
{
    for (size_t i = 0; i < s->field_count; i++) {
        const qn_field *f = &s->fields[i];
        for (size_t k = 0; f->model != NULL && k < f->model_path_count; k++) {
            qn_slice p = f->model_paths[k];
            if (p.n >= path.n && memcmp(p.p, path.p, path.n) == 0 &&
                (p.n == path.n || p.p[path.n] == '.'))
                return true;
        }
    }
    return false;
}

/* Only members of the document itself, named once: where a value of a member of a member
 * ends up depends on what the stored document has there. */
static bool takes_member(const qn_table_schema *s, const qn_json *member)
{
    size_t place;
    qn_slice key = member->key;
    if (member->kind == QN_JSON_OBJECT || key.n == 0 ||
        memchr(key.p, '.', key.n) != NULL || !qn_table_schema_at_path(s, key, &place))
        return false;
    for (; place != SIZE_MAX; place = qn_table_schema_next(s, place))
        if (!is_attribute(&s->schema.fields[place])) return false;
    for (const qn_json *later = member->next; later != NULL; later = later->next)
        if (qn_slice_eq(later->key, key)) return false;
    return !is_embedded(&s->schema, key);
}

/* The primary key may stand in the partial document, when it says what it is. */
static bool is_own_key(const qn_table_schema *s, const qn_json *root,
                       const qn_json *member, qn_slice id, qn_arena *arena)
{
    const qn_field *key = qn_schema_field_by_id(&s->schema, s->schema.primary_key);
    qn_slice given;
    qn_error ignored;
    return key != NULL && qn_slice_eq(key->path, member->key) &&
           qn_document_key(arena, root, key->path, &given, &ignored) == QN_OK &&
           qn_slice_eq(given, id);
}

/* ---- the plan ------------------------------------------------------------------------------ */

typedef struct planning {
    qn_table *t;
    qn_table_segment *s;
    uint32_t doc;
    const qn_document *d;
    qn_arena *arena;
    qn_overlay_plan *plan;
} planning;

static qn_overlay_value value_of(const qn_doc_value *v)
{
    qn_overlay_value out = {.bits = (uint64_t)v->i64, .text = v->text};
    if (v->field->type == QN_FIELD_FLOAT || v->field->type == QN_FIELD_DOUBLE) {
        double d = v->f64;
        if (v->field->type == QN_FIELD_FLOAT) d = (double)(float)d;
        memcpy(&out.bits, &d, sizeof d);
    }
    return out;
}

/* Opening a column looks at all its blocks: only where the overlay does not have it. */
static qn_status find_base(planning *k, const qn_field *f, qn_overlay_target *t,
                           qn_error *err)
{
    *t = (qn_overlay_target){.field = f->id, .type = f->type};
    qn_column *base = qn_arena_new(k->arena, sizeof *base);
    if (base == NULL) return no_memory(err);
    const qn_column *known = NULL;
    if (k->s->overlay != NULL && qn_overlay_base(k->s->overlay, f->id, &known)) {
        if (known != NULL) *base = *known; /* it may move when columns are added */
        t->base = known == NULL ? NULL : base;
        return QN_OK;
    }
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_segment_column(k->s->live->segment, f->id, base, &why);
    if (st == QN_OK) t->base = base;
    if (st == QN_OK || st == QN_ENOTFOUND) return QN_OK;
    if (err != NULL) *err = why;
    return st;
}

static qn_status plan_field(planning *k, const qn_field *f, qn_error *err)
{
    qn_overlay_change *c = &k->plan->changes[k->plan->count++];
    QN_TRY(find_base(k, f, &c->target, err));
    c->values = qn_arena_array(k->arena, k->d->count + 1, sizeof *c->values);
    if (c->values == NULL) return no_memory(err);
    for (size_t i = 0; i < k->d->count; i++)
        if (k->d->values[i].field == f) c->values[c->n++] = value_of(&k->d->values[i]);
    k->plan->differs |=
        !qn_overlay_same(k->s->overlay, &c->target, k->doc, c->values, c->n);
    return QN_OK;
}

static qn_status plan_member(planning *k, const qn_json *member, qn_error *err)
{
    const qn_table_schema *s = k->t->schema;
    size_t place;
    if (!qn_table_schema_at_path(s, member->key, &place)) return QN_OK;
    for (; place != SIZE_MAX; place = qn_table_schema_next(s, place))
        QN_TRY(plan_field(k, &s->schema.fields[place], err));
    return QN_OK;
}

static qn_status plan_patch(planning *k, const qn_json *root, qn_error *err)
{
    const qn_json *before = NULL;
    qn_slice old = {"", 0};
    k->plan->partial = k->plan->patch = root->raw;
    if (k->s->overlay != NULL) old = qn_overlay_patch(k->s->overlay, k->doc);
    if (old.n == 0) return QN_OK;
    qn_buf merged;
    qn_buf_init(&merged, k->arena->alloc);
    qn_status st = qn_json_parse(k->arena, old, &before, err);
    if (st == QN_OK) st = qn_document_merge(before, root, &merged, err);
    if (st == QN_OK) {
        k->plan->patch = qn_arena_slice(k->arena, qn_buf_slice(&merged));
        if (k->plan->patch.p == NULL) st = no_memory(err);
    }
    qn_buf_deinit(&merged);
    return st;
}

/* *fields: how many columns are touched; false: the document must be written anew. */
static bool takes_all(const qn_table *t, qn_slice id, const qn_json *root,
                      qn_arena *arena, size_t *fields)
{
    const qn_table_schema *s = t->schema;
    *fields = 0;
    for (const qn_json *it = qn_json_items(root); it != NULL; it = it->next) {
        size_t place;
        if (is_own_key(s, root, it, id, arena)) continue;
        if (!takes_member(s, it)) return false;
        (void)qn_table_schema_at_path(s, it->key, &place);
        for (; place != SIZE_MAX; place = qn_table_schema_next(s, place)) ++*fields;
    }
    return *fields != 0;
}

qn_status qn_overlay_plan_make(qn_table *t, const qn_place *place, qn_slice id,
                               qn_slice source, const qn_json *root, qn_arena *arena,
                               qn_overlay_plan *out, bool *possible, qn_error *err)
{
    *out = (qn_overlay_plan){0};
    *possible = false;
    size_t fields;
    if (place->memory != NULL || t->segments.p[place->segment].closing ||
        root->raw.n > PLAN_BYTES_MAX || !takes_all(t, id, root, arena, &fields))
        return QN_OK;
    qn_document d;
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_document_check(arena, t->schema, source, root, id, &d, &why);
    if (st != QN_OK || d.addition_count != 0 || d.count > PLAN_VALUES_MAX) return QN_OK;
    planning k = {.t = t,
                  .s = &t->segments.p[place->segment],
                  .doc = place->doc,
                  .d = &d,
                  .arena = arena,
                  .plan = out};
    out->changes = qn_arena_array(arena, fields + 2, sizeof *out->changes);
    if (out->changes == NULL) return no_memory(err);
    for (const qn_json *it = qn_json_items(root); it != NULL; it = it->next)
        if (!is_own_key(t->schema, root, it, id, arena))
            QN_TRY(plan_member(&k, it, err));
    QN_TRY(plan_patch(&k, root, err));
    *possible = out->patch.n <= PLAN_BYTES_MAX;
    return QN_OK;
}

/* ---- in place --------------------------------------------------------------------------------- */

qn_status qn_overlay_plan_stage(qn_table *t, const qn_place *place,
                                const qn_overlay_plan *p, int64_t seq_no,
                                int64_t version, qn_error *err)
{
    qn_table_segment *s = &t->segments.p[place->segment];
    qn_overlay_value numbers[2] = {{.bits = (uint64_t)seq_no},
                                   {.bits = (uint64_t)version}};
    p->changes[p->count] = (qn_overlay_change){
        {qn_seq_no_field.id, qn_seq_no_field.type, &s->live->seq_no}, &numbers[0], 1};
    p->changes[p->count + 1] = (qn_overlay_change){
        {qn_version_field.id, qn_version_field.type, &s->live->version},
        &numbers[1],
        1};
    if (s->overlay == NULL)
        QN_TRY(
            qn_overlay_create(t->engine->alloc, s->live->doc_count, &s->overlay, err));
    return qn_overlay_stage(s->overlay, place->doc, p->changes, p->count + 2, p->patch,
                            err);
}

void qn_overlay_plan_publish(qn_table *t, const qn_place *place,
                             const qn_overlay_plan *p)
{
    qn_overlay_publish(t->segments.p[place->segment].overlay);
    t->changed = true;
    t->unflushed = true;
    t->update_bytes += p->partial.n + 64;
}

void qn_overlay_plan_drop(qn_table *t, const qn_place *place)
{
    qn_overlay_unstage(t->segments.p[place->segment].overlay);
}

/* ---- seeing it ---------------------------------------------------------------------------------- */

qn_overlaid *qn_overlaid_acquire(qn_overlaid *s)
{
    if (s != NULL) atomic_fetch_add(&s->refs, 1);
    return s;
}

void qn_overlaid_release(qn_overlaid *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) return;
    qn_segment_close(s->segment);
    qn_delete(s->alloc, s);
}

static qn_status make_overlaid(const qn_live_segment *live, qn_overlay *frozen,
                               qn_overlaid **out, qn_error *err)
{
    *out = NULL;
    qn_overlaid *s = qn_new0(live->alloc, sizeof *s);
    if (s == NULL) return no_memory(err);
    atomic_init(&s->refs, 1);
    s->alloc = live->alloc;
    s->uid = qn_live_segment_uid();
    qn_status st = qn_segment_with(live->segment, frozen, &s->segment, err);
    if (st == QN_OK)
        st = qn_segment_column(s->segment, qn_seq_no_field.id, &s->seq_no, err);
    if (st == QN_OK)
        st = qn_segment_column(s->segment, qn_version_field.id, &s->version, err);
    if (st == QN_OK)
        *out = s;
    else
        qn_overlaid_release(s);
    return st;
}

qn_status qn_table__show(qn_table_segment *s, qn_overlaid **out, qn_error *err)
{
    *out = NULL;
    if (s->overlay == NULL || qn_overlay_doc_count(s->overlay) == 0) return QN_OK;
    const qn_overlay *shown =
        s->shown == NULL ? NULL : qn_segment_overlay(s->shown->segment);
    if (shown == NULL || qn_overlay_changes(shown) != qn_overlay_changes(s->overlay)) {
        qn_overlay *frozen = NULL;
        qn_overlaid *made = NULL;
        QN_TRY(qn_overlay_freeze(s->overlay, &frozen, err));
        qn_status st = make_overlaid(s->live, frozen, &made, err);
        qn_overlay_release(frozen);
        if (st != QN_OK) return st;
        qn_overlaid_release(s->shown);
        s->shown = made;
    }
    *out = s->shown;
    return QN_OK;
}

/* ---- sources --------------------------------------------------------------------------------------- */

qn_status qn_patch_source(qn_slice source, qn_slice patch, qn_buf *out, qn_error *err)
{
    const qn_json *base = NULL, *newer = NULL;
    qn_arena arena;
    qn_arena_init(&arena, out->alloc, 0);
    qn_status st = qn_json_parse(&arena, source, &base, err);
    if (st == QN_OK) st = qn_json_parse(&arena, patch, &newer, err);
    if (st == QN_OK && base->kind != QN_JSON_OBJECT)
        st = qn_fail(err, QN_ECORRUPT, "a stored document is no object");
    if (st == QN_OK) st = qn_document_merge(base, newer, out, err);
    qn_arena_deinit(&arena);
    return st;
}

qn_status qn_patched_source(const qn_segment *seg, uint32_t doc, qn_buf *scratch,
                            qn_slice *source, qn_error *err)
{
    QN_TRY(qn_segment_source(seg, doc, scratch, source, NULL, err));
    const qn_overlay *o = qn_segment_overlay(seg);
    return o == NULL ? QN_OK : qn_overlaid_source(seg, o, doc, scratch, source, err);
}

qn_status qn_overlaid_source(const qn_segment *seg, const qn_overlay *o, uint32_t doc,
                             qn_buf *scratch, qn_slice *source, qn_error *err)
{
    qn_slice patch = qn_overlay_patch(o, doc);
    if (patch.n == 0) return QN_OK;
    qn_buf merged;
    qn_error why = {.at = QN_AT_NONE};
    qn_buf_init(&merged, scratch->alloc);
    qn_status st = qn_patch_source(*source, patch, &merged, &why);
    if (st == QN_OK) {
        qn_buf_reset(scratch);
        qn_buf_add_slice(scratch, qn_buf_slice(&merged));
        *source = qn_buf_slice(scratch);
        if (scratch->failed) st = no_memory(&why);
    } else if (st != QN_ENOMEM) {
        st = qn_fail_file(&why, QN_ECORRUPT, qn_blockfile_name(qn_segment_file(seg)),
                          QN_AT_NONE, "the update of document %u is broken", doc);
    }
    qn_buf_deinit(&merged);
    if (st != QN_OK && err != NULL) *err = why;
    return st;
}

/* ---- files --------------------------------------------------------------------------------------- */

void qn_overlay_remove(const qn_table *t, uint64_t id)
{
    qn_buf path;
    qn_error err;
    qn_buf_init(&path, t->engine->alloc);
    qn_manifest_overlay_path(&path, t->dir, id);
    if (!path.failed && qn_file_exists(path.p) && qn_file_remove(path.p, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", path.p, err.text);
    qn_buf_deinit(&path);
}

qn_status qn_overlay_save(qn_table *t, uint64_t id, const qn_overlay *o, qn_error *err)
{
    qn_buf path;
    qn_blockfile_writer *w = NULL;
    qn_buf_init(&path, t->engine->alloc);
    qn_manifest_overlay_path(&path, t->dir, id);
    qn_status st =
        path.failed
            ? no_memory(err)
            : qn_blockfile_writer_create(t->engine->alloc, path.p, overlay_magic,
                                         QN_OVERLAY_VERSION, &w, err);
    bool created = st == QN_OK;
    if (st == QN_OK) st = qn_overlay_write(o, t->engine->alloc, w, err);
    if (st == QN_OK) st = qn_blockfile_finish(w, true, err);
    qn_blockfile_writer_destroy(w);
    if (st != QN_OK && created) qn_overlay_remove(t, id);
    qn_buf_deinit(&path);
    return st;
}

qn_status qn_overlay_load(qn_alloc *a, const char *path, const qn_segment *segment,
                          qn_overlay **out, qn_error *err)
{
    qn_blockfile *f = NULL;
    *out = NULL;
    QN_TRY(qn_blockfile_open(a, path, overlay_magic, QN_OVERLAY_VERSION, &f, err));
    qn_status st = qn_overlay_read(a, f, segment, out, err);
    qn_blockfile_close(f);
    return st;
}
