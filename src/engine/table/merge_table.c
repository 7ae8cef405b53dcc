/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/merge_table.h"

#include "base/bits.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/table/manifest.h"
#include "engine/table/table_overlay.h"

static const char segment_magic[8] = QN_SEGMENT_MAGIC;

/* ---- a new segment ------------------------------------------------------------------- */

static qn_status open_image(qn_table *t, qn_blockfile_writer *w, qn_blockfile **file,
                            qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    size_t n = 0;
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    if (bytes == NULL) return qn_fail(err, QN_ENOMEM, "image of %s", t->name);
    qn_status st = qn_blockfile_open_memory(a, bytes, n, true, t->name, segment_magic,
                                            QN_SEGMENT_VERSION, file, err);
    if (st != QN_OK) qn_delete_aligned(a, bytes);
    return st;
}

static qn_status write_file(qn_table *t, const char *path, qn_blocks_fn *put, void *ctx,
                            qn_pace *pace, qn_blockfile **file, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    qn_blockfile_writer *w = NULL;
    QN_TRY(qn_blockfile_writer_create(a, path, segment_magic, QN_SEGMENT_VERSION, &w,
                                      err));
    qn_blockfile_writer_pace(w, pace);
    qn_status st = put(ctx, w, err);
    if (st == QN_OK) st = qn_blockfile_finish(w, path != NULL, err);
    if (st == QN_OK && path == NULL) st = open_image(t, w, file, err);
    qn_blockfile_writer_destroy(w);
    if (st == QN_OK && path != NULL)
        st = qn_blockfile_open(a, path, segment_magic, QN_SEGMENT_VERSION, file, err);
    return st;
}

static void remove_file(const char *path)
{
    qn_error err;
    if (qn_file_exists(path) && qn_file_remove(path, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", path, err.text);
}

qn_status qn_table__write_segment(qn_table *t, uint64_t id, qn_blocks_fn *put,
                                  void *ctx, qn_pace *pace, qn_live_segment **out,
                                  qn_error *err)
{
    qn_buf path;
    qn_blockfile *file = NULL;
    *out = NULL;
    qn_table_schema *schema = qn_table_schema_now(t);
    qn_buf_init(&path, t->engine->alloc);
    if (id != 0) qn_manifest_segment_path(&path, t->dir, id);
    qn_status st = path.failed ? qn_fail(err, QN_ENOMEM, "segment") : QN_OK;
    if (st == QN_OK)
        st = write_file(t, id == 0 ? NULL : path.p, put, ctx, pace, &file, err);
    if (st == QN_OK)
        st = qn_live_segment_create(t->engine->alloc, file, id, &schema->schema, out,
                                    err);
    if (st != QN_OK && id != 0 && !path.failed) remove_file(path.p);
    qn_buf_deinit(&path);
    qn_table_schema_release(schema);
    return st;
}

/* ---- begin ----------------------------------------------------------------------------- */

static qn_status take_input(qn_merging *m, size_t i, qn_table_segment *s, qn_error *err)
{
    qn_alloc *a = m->table->engine->alloc;
    qn_overlaid *shown = NULL;
    uint32_t docs = s->live->doc_count;
    m->inputs[i] = qn_live_segment_acquire(s->live);
    m->many_looks |= s->live->ids.lines != NULL;
    m->count = i + 1;
    QN_TRY(qn_table__show(s, &shown, err));
    m->shown[i] = qn_overlaid_acquire(shown);
    if (shown != NULL) m->seen[i] = qn_segment_overlay_share(shown->segment);
    if (s->deleted.count != 0) {
        size_t words = qn_bitset_words(docs);
        m->before[i] = qn_new_array(a, words + 1, sizeof **m->before);
        if (m->before[i] == NULL) return qn_fail(err, QN_ENOMEM, "merge");
        size_t n = words < s->deleted.word_capacity ? words : s->deleted.word_capacity;
        memcpy(m->before[i], s->deleted.words, n * sizeof **m->before);
    }
    QN_TRY(qn_doc_map_init(&m->maps[i], a, m->before[i], docs, m->live_count, err));
    if (m->maps[i].live_count > UINT32_MAX / 4 - m->live_count)
        return qn_fail(err, QN_ELIMIT, "too many documents for one segment");
    m->live_count += m->maps[i].live_count;
    return QN_OK;
}

qn_status qn_merging_begin(qn_merging *m, qn_table *t, size_t first, size_t count,
                           qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    *m = (qn_merging){.table = t};
    m->inputs = qn_new_array(a, count, sizeof *m->inputs);
    m->shown = qn_new_array(a, count, sizeof *m->shown);
    m->seen = qn_new_array(a, count, sizeof *m->seen);
    m->before = qn_new_array(a, count, sizeof *m->before);
    m->maps = qn_new_array(a, count, sizeof *m->maps);
    if (m->shown == NULL || m->seen == NULL || m->inputs == NULL || m->before == NULL ||
        m->maps == NULL)
        return qn_fail(err, QN_ENOMEM, "merge");
    for (size_t i = 0; i < count; i++)
        QN_TRY(take_input(m, i, &t->segments.p[first + i], err));
    /* So that carrying deletes over cannot fail. */
    if (m->live_count != 0 &&
        !qn_delete_bits_reserve(a, &m->deleted, m->live_count - 1))
        return qn_fail(err, QN_ENOMEM, "merge");
    return QN_OK;
}

/* ---- run ------------------------------------------------------------------------------- */

typedef struct blocks {
    const qn_merging *m;
    qn_pace *pace;
    qn_merge_input *in;
    qn_vindex_merge_input *vectors;
} blocks;

/* The input's vectors of a field, NULL when it has none. */
static const qn_vindex *vectors_of(const qn_live_segment *s, uint32_t field)
{
    for (size_t i = 0; i < s->vector_count; i++)
        if (s->vectors[i].field_id == field) return s->vectors[i].index;
    return NULL;
}

static qn_status put_vectors(const blocks *b, uint32_t field, qn_blockfile_writer *w,
                             qn_error *err)
{
    const qn_merging *m = b->m;
    for (size_t i = 0; i < m->count; i++)
        b->vectors[i] = (qn_vindex_merge_input){
            .index = vectors_of(m->inputs[i], field),
            .deleted = m->maps[i].deleted,
            .doc_count = m->inputs[i]->doc_count,
        };
    return qn_vindex_merge(b->vectors, m->count, field, w, err);
}

/* Every field with vectors, once: at the first input that has it. */
static qn_status put_all_vectors(const blocks *b, qn_blockfile_writer *w, qn_error *err)
{
    const qn_merging *m = b->m;
    for (size_t i = 0; i < m->count; i++) {
        const qn_live_segment *s = m->inputs[i];
        for (size_t v = 0; v < s->vector_count; v++) {
            uint32_t field = s->vectors[v].field_id;
            bool earlier = false;
            for (size_t k = 0; k < i; k++)
                earlier |= vectors_of(m->inputs[k], field) != NULL;
            if (!earlier) QN_TRY(put_vectors(b, field, w, err));
        }
    }
    return QN_OK;
}

static qn_status put_blocks(void *ctx, qn_blockfile_writer *w, qn_error *err)
{
    const blocks *b = ctx;
    const qn_merge_options o = {
        .seed = qn_clock_seed(), .patch = qn_patch_source, .pace = b->pace};
    QN_TRY(
        qn_segment_merge(b->m->table->engine->alloc, b->in, b->m->count, &o, w, err));
    return put_all_vectors(b, w, err);
}

/* ---- updates that come meanwhile ---------------------------------------------------------- */

enum { CATCH_UP_ROUNDS = 2 };

/* Input i's newer values of now, into the output's. */
static qn_status carry_overlay(qn_merging *m, size_t i, const qn_overlay *now,
                               qn_error *err)
{
    const qn_overlay *seen = m->seen[i];
    if (m->output == NULL || now == NULL ||
        (seen != NULL && qn_overlay_changes(seen) == qn_overlay_changes(now)))
        return QN_OK;
    if (m->overlay == NULL)
        QN_TRY(qn_overlay_create(m->table->engine->alloc, m->live_count, &m->overlay,
                                 err));
    return qn_overlay_carry(now, seen, &m->maps[i], m->output->segment, m->overlay,
                            err);
}

static qn_status freeze_input(qn_merging *m, size_t i, qn_overlay **out, qn_error *err)
{
    qn_status st = QN_OK;
    *out = NULL;
    (void)pthread_mutex_lock(&m->table->write);
    qn_overlay *now = m->table->segments.p[qn_merging_place(m) + i].overlay;
    if (now != NULL && qn_overlay_doc_count(now) != 0)
        st = qn_overlay_freeze(now, out, err);
    (void)pthread_mutex_unlock(&m->table->write);
    return st;
}

static qn_status catch_up(qn_merging *m, qn_error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        qn_overlay *now = NULL;
        QN_TRY(freeze_input(m, i, &now, err));
        qn_status st = carry_overlay(m, i, now, err);
        if (st == QN_OK && now != NULL) {
            qn_overlay_release(m->seen[i]);
            m->seen[i] = now;
        } else {
            qn_overlay_release(now);
        }
        if (st != QN_OK) return st;
    }
    return QN_OK;
}

qn_status qn_merging_run(qn_merging *m, uint64_t id, qn_pace *pace, qn_error *err)
{
    qn_alloc *a = m->table->engine->alloc;
    if (m->live_count == 0) return QN_OK;
    blocks b = {
        .m = m,
        .pace = pace,
        .in = qn_new_array(a, m->count, sizeof *b.in),
        .vectors = qn_new_array(a, m->count, sizeof *b.vectors),
    };
    qn_status st =
        b.in == NULL || b.vectors == NULL ? qn_fail(err, QN_ENOMEM, "merge") : QN_OK;
    for (size_t i = 0; i < m->count && st == QN_OK; i++)
        b.in[i] = (qn_merge_input){m->shown[i] != NULL ? m->shown[i]->segment
                                                       : m->inputs[i]->segment,
                                   &m->maps[i]};
    if (st == QN_OK)
        st = qn_table__write_segment(m->table, id, put_blocks, &b, pace, &m->output,
                                     err);
    qn_assert(st != QN_OK || m->output->doc_count == m->live_count);
    /* Where ids are looked for often they will be in this one, too. */
    if (st == QN_OK && m->many_looks)
        qn_id_filter_make(&m->output->ids, a, m->output->segment);
    /* Most of what was updated meanwhile, so that little is left for the lock. */
    for (int round = 0; round < CATCH_UP_ROUNDS && st == QN_OK; round++)
        st = catch_up(m, err);
    qn_delete(a, b.in);
    qn_delete(a, b.vectors);
    return st;
}

/* ---- carry, swap, end ------------------------------------------------------------------ */

size_t qn_merging_place(const qn_merging *m)
{
    const qn_table *t = m->table;
    for (size_t i = 0; i + m->count <= t->segments.n; i++)
        if (t->segments.p[i].live == m->inputs[0]) return i;
    qn_assert(false); /* nobody else may have replaced them */
    return 0;
}

static void carry_one(qn_merging *m, size_t i, const qn_delete_bits *now)
{
    size_t words = qn_bitset_words(m->inputs[i]->doc_count);
    if (words > now->word_capacity) words = now->word_capacity;
    for (size_t w = 0; w < words; w++) {
        uint64_t fresh = now->words[w];
        if (m->before[i] != NULL) fresh &= ~m->before[i][w];
        for (; fresh != 0; fresh &= fresh - 1) {
            uint32_t doc = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(fresh);
            bool set = qn_delete_bits_set(m->table->engine->alloc, &m->deleted,
                                          qn_doc_map_get(&m->maps[i], doc));
            qn_assert(set); /* there is room for all */
        }
    }
}

qn_status qn_merging_carry(qn_merging *m, qn_error *err)
{
    size_t place = qn_merging_place(m);
    for (size_t i = 0; i < m->count; i++) {
        const qn_table_segment *s = &m->table->segments.p[place + i];
        carry_one(m, i, &s->deleted);
        QN_TRY(carry_overlay(m, i, s->overlay, err));
    }
    return QN_OK;
}

void qn_merging_carry_deletes(qn_merging *m)
{
    size_t place = qn_merging_place(m);
    for (size_t i = 0; i < m->count; i++)
        carry_one(m, i, &m->table->segments.p[place + i].deleted);
}

void qn_merging_close(qn_merging *m, bool closing)
{
    size_t place = qn_merging_place(m);
    for (size_t i = 0; i < m->count; i++)
        m->table->segments.p[place + i].closing = closing;
}

void qn_merging_swap(qn_merging *m)
{
    qn_table *t = m->table;
    size_t place = qn_merging_place(m);
    qn_table_segment *p = t->segments.p + place;
    bool committed = p->committed;
    for (size_t i = 0; i < m->count; i++) {
        qn_assert(p[i].live == m->inputs[i]);
        qn_live_segment_doom(p[i].live, t->folder);
        /* The merging has another reference. */
        qn_table_segment_deinit(t->engine->alloc, &p[i]);
    }
    size_t kept = m->output != NULL;
    if (m->output != NULL)
        p[0] = (qn_table_segment){.live = qn_live_segment_acquire(m->output),
                                  .deleted = m->deleted,
                                  .overlay = m->overlay,
                                  .committed = committed};
    memmove(p + kept, p + m->count,
            (t->segments.n - place - m->count) * sizeof *t->segments.p);
    t->segments.n -= m->count - kept;
    m->deleted = (qn_delete_bits){0};
    if (m->output != NULL) m->overlay = NULL;
    m->swapped = true;
    t->changed = true;
}

void qn_merging_end(qn_merging *m)
{
    qn_alloc *a = m->table->engine->alloc;
    if (m->output != NULL && !m->swapped && !m->keep_output)
        qn_live_segment_doom(m->output, m->table->folder);
    qn_live_segment_release(m->output);
    qn_overlay_release(m->overlay);
    for (size_t i = 0; i < m->count; i++) {
        qn_overlay_release(m->seen[i]);
        qn_overlaid_release(m->shown[i]);
        qn_live_segment_release(m->inputs[i]);
        qn_delete(a, m->before[i]);
        qn_doc_map_deinit(&m->maps[i]);
    }
    qn_delete(a, m->inputs);
    qn_delete(a, m->shown);
    qn_delete(a, m->seen);
    qn_delete(a, m->before);
    qn_delete(a, m->maps);
    qn_delete(a, m->deleted.words);
    *m = (qn_merging){.table = m->table};
}
