/* SPDX-License-Identifier: Apache-2.0 */
#include "index/segment_builder.h"

#include "index/bm25.h"
#include "index/segment_builder_internal.h"

#include <math.h>

#include <stdlib.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "a segment in the making");
}

qn_status qn_segment_builder_create(qn_alloc *a, uint64_t seed,
                                    qn_segment_builder **out, qn_error *err)
{
    *out = NULL;
    qn_segment_builder *b = qn_new0(a, sizeof *b);
    if (b == NULL) return no_memory(err);
    b->alloc = a;
    b->seed = seed;
    b->names.alloc = b->chunks.alloc = a;
    qn_ids__init(&b->ids, a, seed);
    qn_sources__init(&b->sources, a);
    *out = b;
    return QN_OK;
}

static void field_deinit(builder_field *f, qn_alloc *a)
{
    qn_term_table__deinit(&f->table, a);
    qn_vec_deinit(a, &f->norms);
    qn_vec_deinit(a, &f->column_docs);
    qn_vec_deinit(a, &f->column_values);
    qn_delete(a, f);
}

void qn_segment_builder_destroy(qn_segment_builder *b)
{
    if (b == NULL) return;
    for (size_t i = 0; i < b->fields.n; i++) field_deinit(b->fields.p[i], b->alloc);
    qn_vec_deinit(b->alloc, &b->fields);
    qn_pool__deinit(&b->names);
    qn_pool__deinit(&b->chunks);
    qn_ids__deinit(&b->ids);
    qn_sources__deinit(&b->sources);
    qn_delete(b->alloc, b);
}

uint32_t qn_segment_builder_doc_count(const qn_segment_builder *b)
{
    return b->ids.count;
}

size_t qn_segment_builder_bytes(const qn_segment_builder *b)
{
    size_t n = sizeof *b + qn_pool__bytes(&b->names) + qn_pool__bytes(&b->chunks) +
               qn_ids__bytes(&b->ids) + qn_sources__bytes(&b->sources);
    for (size_t i = 0; i < b->fields.n; i++) {
        const builder_field *f = b->fields.p[i];
        n += sizeof *f + qn_term_table__bytes(&f->table) + f->norms.capacity +
             f->column_docs.capacity * sizeof *f->column_docs.p +
             f->column_values.capacity * sizeof *f->column_values.p;
    }
    return n;
}

uint32_t qn_segment_builder_find(const qn_segment_builder *b, qn_slice id)
{
    return qn_ids__find(&b->ids, id);
}

qn_status qn_segment_builder_begin(qn_segment_builder *b, qn_slice id, uint32_t *doc,
                                   qn_error *err)
{
    if (id.n == 0 || id.n > QN_SEGMENT_ID_MAX)
        return qn_fail(err, QN_EINVAL, "a document id has 1 to %d bytes, this one %zu",
                       QN_SEGMENT_ID_MAX, id.n);
    QN_TRY(qn_ids__add(&b->ids, id, err));
    *doc = b->ids.count - 1;
    return QN_OK;
}

void qn_segment_builder_disown(qn_segment_builder *b, uint32_t doc, uint32_t before)
{
    qn_ids__disown(&b->ids, doc, before);
}

qn_status qn_segment_builder_seal(qn_segment_builder *b, qn_error *err)
{
    return qn_sources__pad(&b->sources, b->ids.count, err);
}

/* ---- fields -----------------------------------------------------------------------
 */

/* The fields are kept by ascending id; the one used last is tried first, because a
 * document's tokens come a field at a time. */
static qn_status find_field(qn_segment_builder *b, const qn_field *field,
                            builder_field **out, qn_error *err)
{
    if (b->last != NULL && b->last->id == field->id) {
        *out = b->last;
        return QN_OK;
    }
    size_t low = 0, high = b->fields.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->fields.p[middle]->id < field->id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < b->fields.n && b->fields.p[low]->id == field->id) {
        *out = b->last = b->fields.p[low];
        return QN_OK;
    }
    if (!qn_vec_grow(b->alloc, &b->fields)) return no_memory(err);
    builder_field *f = qn_new0(b->alloc, sizeof *f);
    if (f == NULL) return no_memory(err);
    *f = (builder_field){
        .id = field->id,
        .type = field->type,
        .indexed = field->indexed &&
                   (field->type == QN_FIELD_TEXT || field->type == QN_FIELD_KEYWORD),
        .column = field->column,
        .doc = QN_DOC_END,
    };
    memmove(b->fields.p + low + 1, b->fields.p + low,
            (b->fields.n - low) * sizeof *b->fields.p);
    b->fields.p[low] = f;
    b->fields.n++;
    *out = b->last = f;
    return QN_OK;
}

/* The current document, which a value needs. */
static qn_status current_doc(const qn_segment_builder *b, uint32_t *doc, qn_error *err)
{
    if (b->ids.count == 0) return qn_fail(err, QN_EINVAL, "no document was begun");
    *doc = b->ids.count - 1;
    return QN_OK;
}

/* First term of a document in this field: its length starts at 0. */
static qn_status enter_doc(qn_segment_builder *b, builder_field *f, uint32_t doc,
                           qn_error *err)
{
    if (f->doc == doc) return QN_OK;
    if (f->type == QN_FIELD_TEXT) {
        while (f->norms.n <= doc)
            if (!qn_vec_push(b->alloc, &f->norms, 0)) return no_memory(err);
    }
    f->doc = doc;
    f->length = 0;
    f->position = 0;
    f->doc_count++;
    return QN_OK;
}

static qn_status check_terms(const builder_field *f, const qn_segment_token *tokens,
                             size_t n, uint32_t doc, qn_error *err)
{
    bool first = f->doc != doc;
    uint32_t position = f->position;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].term.n == 0 || tokens[i].term.n > QN_SEGMENT_TERM_MAX)
            return qn_fail(err, QN_ELIMIT, "a term has 1 to %d bytes, this one %zu",
                           QN_SEGMENT_TERM_MAX, tokens[i].term.n);
        if (!first && tokens[i].position < position)
            return qn_fail(err, QN_EINVAL, "positions of field %u fall", f->id);
        first = false;
        position = tokens[i].position;
    }
    return QN_OK;
}

static qn_status add_terms(qn_segment_builder *b, builder_field *f, uint32_t doc,
                           const qn_segment_token *tokens, size_t n, qn_error *err)
{
    QN_TRY(qn_term_table__add(&f->table, &b->names, &b->chunks, b->seed, doc, tokens, n,
                              err));
    for (size_t i = 0; i < n; i++) {
        uint32_t position = tokens[i].position;
        if (f->length == 0 || position != f->position) f->length++;
        f->position = position;
    }
    return QN_OK;
}

qn_status qn_segment_builder_terms(qn_segment_builder *b, const qn_field *field,
                                   const qn_segment_token *tokens, size_t n,
                                   qn_error *err)
{
    uint32_t doc = 0;
    builder_field *f = NULL;
    QN_TRY(current_doc(b, &doc, err));
    QN_TRY(find_field(b, field, &f, err));
    if (f->type != QN_FIELD_TEXT || !f->indexed)
        return qn_fail(err, QN_EINVAL, "field %u is not an indexed text", f->id);
    QN_TRY(check_terms(f, tokens, n, doc, err));
    if (n == 0) return QN_OK;
    QN_TRY(enter_doc(b, f, doc, err));
    qn_status st = QN_OK;
    for (size_t i = 0; i < n && st == QN_OK; i += TERM_BATCH) {
        size_t left = n - i;
        st = add_terms(b, f, doc, tokens + i, left < TERM_BATCH ? left : TERM_BATCH,
                       err);
    }
    f->norms.p[doc] = qn_bm25_norm(f->length);
    return st;
}

qn_status qn_segment_builder_term(qn_segment_builder *b, const qn_field *field,
                                  qn_slice term, uint32_t position, qn_error *err)
{
    const qn_segment_token token = {term, position};
    return qn_segment_builder_terms(b, field, &token, 1, err);
}

static qn_status add_value(qn_segment_builder *b, builder_field *f, uint32_t doc,
                           uint64_t value, qn_error *err)
{
    if (f->column_docs.n >= UINT32_MAX)
        return qn_fail(err, QN_ELIMIT, "too many values of field %u", f->id);
    if (!qn_vec_grow(b->alloc, &f->column_docs) ||
        !qn_vec_grow(b->alloc, &f->column_values))
        return no_memory(err);
    f->column_docs.p[f->column_docs.n++] = doc;
    f->column_values.p[f->column_values.n++] = value;
    return QN_OK;
}

qn_status qn_segment_builder_keyword(qn_segment_builder *b, const qn_field *field,
                                     qn_slice value, qn_error *err)
{
    uint32_t doc = 0, index = 0;
    builder_field *f = NULL;
    if (value.n > QN_SEGMENT_TERM_MAX)
        return qn_fail(err, QN_ELIMIT, "a keyword has at most %d bytes, this one %zu",
                       QN_SEGMENT_TERM_MAX, value.n);
    QN_TRY(current_doc(b, &doc, err));
    QN_TRY(find_field(b, field, &f, err));
    if (f->type != QN_FIELD_KEYWORD)
        return qn_fail(err, QN_EINVAL, "field %u is not a keyword", f->id);
    if (!f->indexed && !f->column) return QN_OK;
    QN_TRY(qn_term_table__intern(&f->table, &b->names, b->seed, value, &index, err));
    if (f->indexed) {
        QN_TRY(enter_doc(b, f, doc, err));
        QN_TRY(qn_term__occur(qn_term_at(&f->table, index), &b->chunks, doc, 0, false,
                              err));
    }
    return f->column ? add_value(b, f, doc, index, err) : QN_OK;
}

static bool is_integer_type(qn_field_type type)
{
    return type == QN_FIELD_BOOL || type == QN_FIELD_DATE ||
           (type >= QN_FIELD_INT8 && type <= QN_FIELD_INT64);
}

qn_status qn_segment_builder_i64(qn_segment_builder *b, const qn_field *field,
                                 int64_t value, qn_error *err)
{
    uint32_t doc = 0;
    builder_field *f = NULL;
    QN_TRY(current_doc(b, &doc, err));
    QN_TRY(find_field(b, field, &f, err));
    if (!is_integer_type(f->type))
        return qn_fail(err, QN_EINVAL, "field %u holds no integers", f->id);
    return f->column ? add_value(b, f, doc, (uint64_t)value, err) : QN_OK;
}

qn_status qn_segment_builder_f64(qn_segment_builder *b, const qn_field *field,
                                 double value, qn_error *err)
{
    uint32_t doc = 0;
    builder_field *f = NULL;
    QN_TRY(current_doc(b, &doc, err));
    QN_TRY(find_field(b, field, &f, err));
    if (!qn_column__is_float(f->type))
        return qn_fail(err, QN_EINVAL, "field %u holds no floating-point numbers",
                       f->id);
    /* Rounded now, so that the column's least and greatest are values it holds. */
    if (f->type == QN_FIELD_FLOAT) value = (double)(float)value;
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return f->column ? add_value(b, f, doc, bits, err) : QN_OK;
}

qn_status qn_segment_builder_geo(qn_segment_builder *b, const qn_field *field,
                                 double lat, double lon, qn_error *err)
{
    uint32_t doc = 0;
    builder_field *f = NULL;
    QN_TRY(current_doc(b, &doc, err));
    QN_TRY(find_field(b, field, &f, err));
    if (f->type != QN_FIELD_GEO)
        return qn_fail(err, QN_EINVAL, "field %u holds no points", f->id);
    if (!(fabs(lat) <= 90) || !(fabs(lon) <= 180))
        return qn_fail(err, QN_EINVAL, "no point on the earth: %g, %g", lat, lon);
    return f->column ? add_value(b, f, doc, qn_geo_bits(lat, lon), err) : QN_OK;
}

/* ---- sources ----------------------------------------------------------------------
 */

qn_status qn_segment_builder_set_source(qn_segment_builder *b, qn_slice source,
                                        qn_slice extras, qn_error *err)
{
    uint32_t doc = 0;
    QN_TRY(current_doc(b, &doc, err));
    if (b->sources.next_doc > doc)
        return qn_fail(err, QN_EINVAL, "document %u has its source", doc);
    return qn_sources__add(&b->sources, doc, source, extras, err);
}

qn_status qn_segment_builder_source(const qn_segment_builder *b, uint32_t doc,
                                    qn_buf *scratch, qn_slice *source, qn_slice *extras,
                                    qn_error *err)
{
    if (doc >= b->ids.count) return qn_fail(err, QN_EINVAL, "no document %u", doc);
    return qn_sources__get(&b->sources, doc, scratch, source, extras, err);
}
