/* SPDX-License-Identifier: Apache-2.0 */
/* table_feed.c -- finding documents and putting them into the builder. */
#include "engine/engine_internal.h"
#include "engine/table/table_overlay.h"

const qn_field qn_seq_no_field = {
    .id = QN_FIELD_INTERNAL, .type = QN_FIELD_INT64, .column = true};
const qn_field qn_version_field = {
    .id = QN_FIELD_INTERNAL + 1, .type = QN_FIELD_INT64, .column = true};

static qn_status no_memory(const qn_table *t, qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory in table %s", t->name);
}

/* ---- finding ----------------------------------------------------------------------------
 */

static bool find_in_memory(qn_memory *m, qn_slice id, qn_place *out)
{
    if (m == NULL) return false;
    uint32_t doc = qn_segment_builder_find(m->builder, id);
    if (doc == QN_DOC_END) return false;
    out->found = !qn_delete_bits_has(&m->deleted, doc);
    out->memory = m;
    out->doc = doc;
    out->seq_no = m->docs.p[doc].seq_no;
    out->version = m->docs.p[doc].version;
    return true;
}

/* The newest place that has the id decides: older ones were deleted when it came. */
qn_status qn_table__find(qn_table *t, qn_slice id, qn_place *out, qn_error *err)
{
    *out = (qn_place){0};
    if (find_in_memory(t->memory, id, out) || find_in_memory(t->frozen, id, out))
        return QN_OK;
    uint64_t hash = qn_id_filter_hash(id);
    for (size_t i = t->segments.n; i-- > 0;) {
        const qn_table_segment *s = &t->segments.p[i];
        uint32_t doc = QN_DOC_END;
        if (s->damaged) continue;
        if (!qn_id_filter_maybe(&s->live->ids, s->live->alloc, s->live->segment, hash))
            continue;
        QN_TRY(qn_segment_find(s->live->segment, id, &doc, err));
        if (doc == QN_DOC_END) continue;
        out->found = !qn_delete_bits_has(&s->deleted, doc);
        out->segment = i;
        out->doc = doc;
        qn_column_get_i64(&s->live->seq_no, &doc, 1, &out->seq_no, NULL);
        qn_column_get_i64(&s->live->version, &doc, 1, &out->version, NULL);
        if (s->overlay == NULL) return QN_OK;
        (void)qn_overlay_number(s->overlay, qn_seq_no_field.id, doc, &out->seq_no);
        (void)qn_overlay_number(s->overlay, qn_version_field.id, doc, &out->version);
        return QN_OK;
    }
    return QN_OK;
}

qn_status qn_table__source(qn_table *t, const qn_place *place, qn_buf *scratch,
                           qn_slice *source, qn_error *err)
{
    if (place->memory != NULL)
        return qn_segment_builder_source(place->memory->builder, place->doc, scratch,
                                         source, NULL, err);
    const qn_table_segment *s = &t->segments.p[place->segment];
    QN_TRY(qn_segment_source(s->live->segment, place->doc, scratch, source, NULL, err));
    if (s->overlay == NULL) return QN_OK;
    return qn_overlaid_source(s->live->segment, s->overlay, place->doc, scratch, source,
                              err);
}

static qn_delete_bits *bits_of(qn_table *t, const qn_place *place)
{
    return place->memory != NULL ? &place->memory->deleted
                                 : &t->segments.p[place->segment].deleted;
}

qn_status qn_table__will_delete(qn_table *t, const qn_place *place, qn_error *err)
{
    if (!place->found ||
        qn_delete_bits_reserve(t->engine->alloc, bits_of(t, place), place->doc))
        return QN_OK;
    return no_memory(t, err);
}

qn_status qn_table__mark_deleted(qn_table *t, const qn_place *place, qn_error *err)
{
    if (!qn_delete_bits_set(t->engine->alloc, bits_of(t, place), place->doc))
        return no_memory(t, err);
    t->changed = true;
    return QN_OK;
}

/* ---- feeding ----------------------------------------------------------------------------
 */

static qn_status feed_text(qn_table *t, const qn_doc_value *v, qn_arena *arena,
                           qn_error *err)
{
    const qn_field *f = v->field;
    if (!f->indexed) return QN_OK;
    const qn_analyzer *analyzer = NULL;
    QN_TRY(qn_analyzer_find(t->engine->analyzers, qn_slice_of(f->analyzer), &analyzer,
                            err));
    qn_token_list tokens = {0};
    QN_TRY(qn_analyzer_run(analyzer, v->text, arena, &tokens, err));
    qn_segment_token *terms = qn_arena_raw(arena, tokens.n, sizeof *terms);
    if (terms == NULL) return no_memory(t, err);
    uint32_t base = t->positions[f->id], last = base;
    size_t n = 0;
    for (size_t i = 0; i < tokens.n; i++) {
        const qn_token *token = &tokens.p[i];
        if (token->term.n == 0 || token->term.n > QN_SEGMENT_TERM_MAX) continue;
        last = base + token->position;
        terms[n++] = (qn_segment_token){token->term, last};
    }
    QN_TRY(qn_segment_builder_terms(t->memory->builder, f, terms, n, err));
    t->positions[f->id] = last + (tokens.n != 0) + f->position_gap;
    return QN_OK;
}

static qn_status vector_builder(qn_table *t, const qn_field *f, qn_flat_builder **out,
                                qn_error *err)
{
    for (size_t i = 0; i < t->memory->vectors.n; i++) {
        if (t->memory->vectors.p[i].field != f->id) continue;
        *out = t->memory->vectors.p[i].flat;
        return QN_OK;
    }
    qn_flat_options options = {
        .dims = f->dims,
        .metric = (qn_vindex_metric)f->metric,    /* ORDER QN_METRIC */
        .element = (qn_vindex_element)f->element, /* ORDER QN_ELEMENT */
        .raw = f->element == QN_ELEMENT_I8,
    };
    QN_TRY(qn_flat_builder_create(t->engine->alloc, &options, t->engine->kernels, out,
                                  err));
    qn_vector_builder v = {f->id, *out};
    if (qn_vec_push(t->engine->alloc, &t->memory->vectors, v)) return QN_OK;
    qn_flat_builder_destroy(*out);
    return no_memory(t, err);
}

static qn_status feed_vector(qn_table *t, const qn_field *f, uint32_t doc,
                             const float *values, qn_error *err)
{
    qn_flat_builder *flat = NULL;
    QN_TRY(vector_builder(t, f, &flat, err));
    return qn_flat_builder_add(flat, doc, values, f->dims, err);
}

static qn_status feed_value(qn_table *t, const qn_doc_value *v, uint32_t doc,
                            qn_arena *arena, qn_error *err)
{
    switch (v->field->type) {
    case QN_FIELD_TEXT:
        return feed_text(t, v, arena, err);
    case QN_FIELD_KEYWORD:
        return qn_segment_builder_keyword(t->memory->builder, v->field, v->text, err);
    case QN_FIELD_VECTOR:
        return feed_vector(t, v->field, doc, v->vector, err);
    case QN_FIELD_GEO: {
        qn_geo_point p = qn_geo_of_bits((uint64_t)v->i64);
        return qn_segment_builder_geo(t->memory->builder, v->field, p.lat, p.lon, err);
    }
    case QN_FIELD_FLOAT:
    case QN_FIELD_DOUBLE:
        if (!v->field->column) return QN_OK;
        return qn_segment_builder_f64(t->memory->builder, v->field, v->f64, err);
    default:
        if (!v->field->column) return QN_OK;
        return qn_segment_builder_i64(t->memory->builder, v->field, v->i64, err);
    }
}

static qn_status feed_all(qn_table *t, uint32_t doc, const qn_document *d,
                          qn_slice source, const qn_made_vector *made,
                          size_t made_count, qn_arena *arena, qn_error *err)
{
    const qn_doc_state *state = &t->memory->docs.p[doc];
    for (size_t i = 0; i < d->count; i++)
        QN_TRY(feed_value(t, &d->values[i], doc, arena, err));
    for (size_t i = 0; i < made_count; i++) {
        const qn_field *f = qn_schema_field_by_id(&t->schema->schema, made[i].field);
        if (f == NULL || f->type != QN_FIELD_VECTOR || f->dims != made[i].dims)
            return qn_fail(err, QN_ECORRUPT,
                           "the log has a vector for field %u, which is not in the "
                           "schema",
                           made[i].field);
        QN_TRY(feed_vector(t, f, doc, made[i].values, err));
    }
    QN_TRY(qn_segment_builder_i64(t->memory->builder, &qn_seq_no_field, state->seq_no,
                                  err));
    QN_TRY(qn_segment_builder_i64(t->memory->builder, &qn_version_field, state->version,
                                  err));
    return qn_segment_builder_set_source(t->memory->builder, source, (qn_slice){"", 0},
                                         err);
}

static qn_memory *memory_create(qn_alloc *a, qn_error *err)
{
    qn_memory *m = qn_new0(a, sizeof *m);
    if (m == NULL) {
        (void)qn_fail(err, QN_ENOMEM, "documents in memory");
        return NULL;
    }
    if (qn_segment_builder_create(a, qn_clock_seed(), &m->builder, err) == QN_OK)
        return m;
    qn_delete(a, m);
    return NULL;
}

void qn_memory_destroy(qn_alloc *a, qn_memory *m)
{
    if (m == NULL) return;
    qn_segment_builder_destroy(m->builder);
    for (size_t i = 0; i < m->vectors.n; i++)
        qn_flat_builder_destroy(m->vectors.p[i].flat);
    qn_vec_deinit(a, &m->vectors);
    qn_vec_deinit(a, &m->docs);
    qn_delete(a, m->deleted.words);
    qn_delete(a, m);
}

size_t qn_memory_bytes(const qn_memory *m)
{
    if (m == NULL) return 0;
    size_t bytes = qn_segment_builder_bytes(m->builder);
    for (size_t i = 0; i < m->vectors.n; i++)
        bytes += qn_flat_builder_bytes(m->vectors.p[i].flat);
    return bytes;
}

static qn_status make_room(qn_table *t, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    if (t->memory == NULL) t->memory = memory_create(a, err);
    if (t->memory == NULL) return QN_ENOMEM;
    size_t fields = t->schema->schema.field_count;
    if (fields > t->positions_capacity) {
        uint32_t *p = qn_resize(a, t->positions, 2 * fields * sizeof *p);
        if (p == NULL) return no_memory(t, err);
        t->positions = p;
        t->positions_capacity = 2 * fields;
    }
    if (fields != 0) memset(t->positions, 0, fields * sizeof *t->positions);
    return qn_vec_grow(a, &t->memory->docs) ? QN_OK : no_memory(t, err);
}

qn_status qn_table__feed(qn_table *t, qn_slice id, const qn_document *d,
                         qn_slice source, const qn_made_vector *made, size_t made_count,
                         int64_t seq_no, int64_t version, qn_error *err)
{
    QN_TRY(make_room(t, err));
    qn_memory *m = t->memory;
    uint32_t doc = qn_segment_builder_doc_count(m->builder);
    uint32_t before = qn_segment_builder_find(m->builder, id);
    if (!qn_delete_bits_reserve(t->engine->alloc, &m->deleted, doc))
        return no_memory(t, err);
    QN_TRY(qn_segment_builder_begin(m->builder, id, &doc, err));
    qn_assert(doc == m->docs.n);
    m->docs.p[m->docs.n++] = (qn_doc_state){.seq_no = seq_no, .version = version};
    t->changed = true;
    /* An arena of its own: token lists are large, and memory used a moment ago is
     * still in the cache. */
    qn_status st = feed_all(t, doc, d, source, made, made_count, &t->words, err);
    qn_arena_reset(&t->words);
    if (st != QN_OK) {
        /* Half a document: hidden, and not what its id names. */
        qn_segment_builder_disown(m->builder, doc, before);
        (void)qn_delete_bits_set(t->engine->alloc, &m->deleted, doc);
    }
    return st;
}

qn_status qn_table__add_fields(qn_table *t, const qn_schema_addition *fields,
                               size_t count, bool log, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    size_t old = t->schema->addition_count;
    qn_schema_addition *all = qn_new_array(a, old + count + 1, sizeof *all);
    if (all == NULL) return no_memory(t, err);
    if (old != 0) memcpy(all, t->schema->additions, old * sizeof *all);
    memcpy(all + old, fields, count * sizeof *all);
    qn_table_schema *wider = NULL;
    qn_status st =
        qn_table_schema_create(a, t->engine->analyzers, t->schema->schema.source, all,
                               old + count, &wider, err);
    qn_delete(a, all);
    if (st != QN_OK) return st;
    if (log) {
        qn_oplog_op op = {
            .type = QN_OPLOG_FIELDS, .fields = fields, .field_count = count};
        st = qn_oplog_append(t->wal, t->lsn_next, &op, &t->scratch, err);
        if (st != QN_OK) {
            qn_table_schema_release(wider);
            return st;
        }
        t->lsn_next++;
    }
    (void)pthread_mutex_lock(&t->current_lock);
    qn_table_schema *narrower = t->schema;
    t->schema = wider;
    (void)pthread_mutex_unlock(&t->current_lock);
    qn_table_schema_release(narrower);
    t->changed = true;
    t->unflushed = true;
    return QN_OK;
}
