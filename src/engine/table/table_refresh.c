/* SPDX-License-Identifier: Apache-2.0 */
/* table_refresh.c -- from memory to a segment, from segments to what searches see. */
#include "base/bits.h"
#include "engine/table/damage.h"
#include "engine/engine_internal.h"
#include "engine/table/merge_policy.h"
#include "engine/table/table_overlay.h"
#include "engine/table/table_seal.h"

/* ---- memory becomes a segment -----------------------------------------------------------
 */

static qn_status put_memory(void *ctx, qn_blockfile_writer *w, qn_error *err)
{
    const qn_memory *m = ctx;
    QN_TRY(qn_segment_builder_write(m->builder, w, err));
    uint32_t docs = qn_segment_builder_doc_count(m->builder);
    for (size_t i = 0; i < m->vectors.n; i++)
        QN_TRY(qn_flat_builder_write(m->vectors.p[i].flat, m->vectors.p[i].field, docs,
                                     w, err));
    return QN_OK;
}

qn_status qn_table__freeze(qn_table *t, qn_error *err)
{
    qn_assert(t->frozen == NULL);
    if (t->memory == NULL) return QN_OK;
    QN_TRY(qn_segment_builder_seal(t->memory->builder, err));
    qn_memory *m = t->memory;
    m->frozen_bytes = qn_memory_bytes(m);
    m->any_live = qn_segment_builder_doc_count(m->builder) > m->deleted.count;
    t->frozen = m;
    t->memory = NULL;
    return QN_OK;
}

/* Under `write`: the frozen documents stand in `live` from now on, NULL when all of them
 * were deleted by then. */
static void adopt(qn_table *t, qn_live_segment *live)
{
    qn_memory *m = t->frozen;
    if (live != NULL) { /* room was made */
        t->segments.p[t->segments.n++] =
            (qn_table_segment){.live = live, .deleted = m->deleted};
        m->deleted = (qn_delete_bits){0};
    }
    t->frozen = NULL;
    qn_memory_destroy(t->engine->alloc, m);
}

qn_status qn_table__seal(qn_table *t, bool to_file, qn_error *err)
{
    (void)pthread_mutex_lock(&t->write);
    qn_memory *m = t->frozen;
    qn_status st = QN_OK;
    uint64_t id = 0;
    bool any = m != NULL && m->any_live;
    if (m != NULL) {
        if (!qn_vec_grow(t->engine->alloc, &t->segments))
            st = qn_fail(err, QN_ENOMEM, "table %s", t->name);
        if (any && to_file) id = t->segment_id_next++;
    }
    (void)pthread_mutex_unlock(&t->write);
    if (m == NULL || st != QN_OK) return st;
    qn_live_segment *live = NULL;
    if (any) QN_TRY(qn_table__write_segment(t, id, put_memory, m, NULL, &live, err));
    (void)pthread_mutex_lock(&t->write);
    adopt(t, live);
    (void)pthread_mutex_unlock(&t->write);
    return QN_OK;
}

/* ---- images are joined ------------------------------------------------------------------
 */

/* A refresh a second would leave thousands of little images: those of about one size are
 * joined, so that a document is copied a few times at most until the flush. */
static const qn_merge_policy image_policy = {
    .fan_in = 6,
    .floor_bytes = 64 * 1024,
    .segments_max = 24,
    .bytes_max = UINT64_MAX,
    .docs_max = UINT32_MAX / 8,
    .deleted_percent = 50,
    .updated_percent = 100, /* the flush takes them in */
};

static qn_status join_images(qn_table *t, bool *joined, qn_error *err)
{
    qn_merging m = {.table = t};
    qn_merge_choice choice = {0};
    qn_status st = QN_OK;
    (void)pthread_mutex_lock(&t->write);
    size_t first = qn_table__first_image(t);
    st = qn_merge_choose(t, first, t->segments.n - first, &image_policy, &choice, err);
    *joined = st == QN_OK && choice.count != 0;
    if (*joined) st = qn_merging_begin(&m, t, choice.first, choice.count, err);
    (void)pthread_mutex_unlock(&t->write);
    if (*joined && st == QN_OK) st = qn_merging_run(&m, 0, NULL, err);
    if (*joined && st == QN_OK) {
        (void)pthread_mutex_lock(&t->write);
        st = qn_merging_carry(&m, err);
        if (st == QN_OK) qn_merging_swap(&m);
        (void)pthread_mutex_unlock(&t->write);
    }
    qn_merging_end(&m);
    return st;
}

size_t qn_table__first_image(const qn_table *t)
{
    size_t i = t->segments.n;
    while (i > 0 && t->segments.p[i - 1].live->id == 0) i--;
    return i;
}

/* ---- snapshots ---------------------------------------------------------------------------
 */

/* `shown` NULL: the segment as it is. */
static qn_status add_view(qn_table_snapshot *s, qn_live_segment *live,
                          qn_overlaid *shown, const qn_delete_bits *deleted,
                          qn_error *err)
{
    size_t i = s->view.segment_count++;
    s->segments[i] = qn_live_segment_acquire(live);
    s->overlaid[i] = qn_overlaid_acquire(shown);
    uint32_t gone = 0;
    if (deleted->count != 0) {
        size_t words = qn_bitset_words(live->doc_count);
        s->deleted[i] = qn_new_array(s->alloc, words + 1, sizeof **s->deleted);
        if (s->deleted[i] == NULL) return qn_fail(err, QN_ENOMEM, "snapshot");
        size_t copied = words < deleted->word_capacity ? words : deleted->word_capacity;
        memcpy(s->deleted[i], deleted->words, copied * sizeof **s->deleted);
        for (size_t k = 0; k < words; k++)
            gone += (uint32_t)__builtin_popcountll(s->deleted[i][k]);
    }
    s->views[i] = (qn_segment_view){
        .segment = shown == NULL ? live->segment : shown->segment,
        .uid = live->uid,
        .newer_uid = shown == NULL ? 0 : shown->uid,
        .doc_base = s->view.doc_count,
        .doc_count = live->doc_count,
        .deleted = gone == 0 ? NULL : s->deleted[i],
        .vectors = live->vectors,
        .vector_count = live->vector_count,
    };
    if (live->doc_count > UINT32_MAX - s->view.doc_count)
        return qn_fail(err, QN_ELIMIT,
                       "over 2^32 documents in a table, deleted ones included");
    s->view.doc_count += live->doc_count;
    s->live_count += live->doc_count - gone;
    return QN_OK;
}

static qn_status make_snapshot(qn_table *t, qn_table_snapshot **out, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    size_t n = t->segments.n + 1; /* one more may come: see finish_moment() */
    *out = NULL;
    qn_table_snapshot *s = qn_new0(a, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "snapshot");
    s->alloc = a;
    atomic_init(&s->refs, 1);
    s->schema = qn_table_schema_acquire(t->schema);
    s->segments = qn_new_array(a, n, sizeof *s->segments);
    s->overlaid = qn_new_array(a, n, sizeof *s->overlaid);
    s->deleted = qn_new_array(a, n, sizeof *s->deleted);
    s->views = qn_new_array(a, n, sizeof *s->views);
    qn_status st = QN_OK;
    if (s->segments == NULL || s->overlaid == NULL || s->deleted == NULL ||
        s->views == NULL)
        st = qn_fail(err, QN_ENOMEM, "snapshot");
    for (size_t i = 0; i < t->segments.n && st == QN_OK; i++) {
        qn_table_segment *seg = &t->segments.p[i];
        qn_overlaid *shown = NULL;
        if (seg->damaged) continue;
        st = qn_table__show(seg, &shown, err);
        if (st == QN_OK) st = add_view(s, seg->live, shown, &seg->deleted, err);
    }
    if (st == QN_OK) st = qn_damage_copy(t, &s->damage, &s->damage_count, err);
    if (st != QN_OK) {
        qn_table_snapshot_release(s);
        return st;
    }
    s->view.schema = &s->schema->schema;
    s->view.segments = s->views;
    s->view.filters = t->engine->filters;
    *out = s;
    return QN_OK;
}

/* ---- refresh ------------------------------------------------------------------------------
 */

/* A snapshot is of one moment, that of the freeze: what writers delete or replace while
 * the frozen documents become a segment shows neither its old nor its new side. */
typedef struct moment {
    qn_table_snapshot *snapshot; /* of the segments there were */
    bool more;                   /* the frozen documents are to follow */
    qn_delete_bits deleted;      /* of them, then */
} moment;

/* Under `seal` and `write`. */
static qn_status begin_moment(qn_table *t, moment *m, qn_error *err)
{
    QN_TRY(make_snapshot(t, &m->snapshot, err));
    QN_TRY(qn_table__freeze(t, err));
    t->changed = false;
    m->more = t->frozen != NULL && t->frozen->any_live;
    const qn_delete_bits *now = m->more ? &t->frozen->deleted : NULL;
    if (now == NULL || now->count == 0) return QN_OK;
    m->deleted = (qn_delete_bits){
        .words = qn_new_array(t->engine->alloc, now->word_capacity, sizeof *now->words),
        .word_capacity = now->word_capacity,
        .count = now->count,
    };
    if (m->deleted.words == NULL) return qn_fail(err, QN_ENOMEM, "snapshot");
    memcpy(m->deleted.words, now->words, now->word_capacity * sizeof *now->words);
    return QN_OK;
}

/* Under `seal`: nobody else has added a segment since. */
static qn_status finish_moment(qn_table *t, moment *m, qn_error *err)
{
    QN_TRY(qn_table__seal(t, false, err));
    if (!m->more) return QN_OK;
    (void)pthread_mutex_lock(&t->write);
    qn_live_segment *last = t->segments.p[t->segments.n - 1].live;
    /* What was updated in it since the moment shows the next time. */
    qn_status st = add_view(m->snapshot, last, NULL, &m->deleted, err);
    (void)pthread_mutex_unlock(&t->write);
    return st;
}

static void publish(qn_table *t, moment *m)
{
    (void)pthread_mutex_lock(&t->current_lock);
    qn_table_snapshot *old = t->current;
    t->current = m->snapshot;
    m->snapshot = old;
    (void)pthread_mutex_unlock(&t->current_lock);
}

/* Under `seal`. */
static qn_status refresh(qn_table *t, qn_error *err)
{
    QN_TRY(qn_table__seal(t, false, err)); /* what a failure left frozen */
    (void)pthread_mutex_lock(&t->write);
    bool due = t->changed || t->current == NULL;
    (void)pthread_mutex_unlock(&t->write);
    if (!due) return QN_OK;
    for (bool more = true; more;) QN_TRY(join_images(t, &more, err));
    moment m = {0};
    (void)pthread_mutex_lock(&t->write);
    qn_status st = begin_moment(t, &m, err);
    (void)pthread_mutex_unlock(&t->write);
    if (st == QN_OK) st = finish_moment(t, &m, err);
    if (st == QN_OK) {
        publish(t, &m);
    } else {
        (void)pthread_mutex_lock(&t->write);
        t->changed = true; /* it is to be tried again */
        (void)pthread_mutex_unlock(&t->write);
    }
    qn_table_snapshot_release(m.snapshot);
    qn_delete(t->engine->alloc, m.deleted.words);
    return st;
}

qn_status qn_table_refresh(qn_table *t, qn_error *err)
{
    (void)pthread_mutex_lock(&t->seal);
    int64_t began = qn_clock_mono_ns();
    qn_status st = refresh(t, err);
    int64_t now = qn_clock_mono_ns();
    atomic_store(&t->refreshed_at_ns, now);
    atomic_store(&t->refresh_took_ns, now - began);
    (void)pthread_mutex_unlock(&t->seal);
    return st;
}
