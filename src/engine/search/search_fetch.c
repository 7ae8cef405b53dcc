/* SPDX-License-Identifier: Apache-2.0 */
/* search_fetch.c -- HA3's second phase alone: documents by their addresses.
 *
 * By raw key and by the key of a gid a document is found whatever became of it since; by
 * its place only as long as it was not written anew. What is not found leaves a hit without
 * fields and a warning. */
#include "engine/search/search.h"

#include "io/gid.h"

#include <math.h>
#include <stdlib.h>

typedef struct fetch_job {
    qn_search *s;
    qn_ranked *docs; /* one per address */
    bool *found;
    size_t missing;
} fetch_job;

static const qn_fetch_address *address(const fetch_job *j, size_t i)
{
    return &j->s->request.fetch[i];
}

static void set_found(fetch_job *j, size_t i, size_t segment, uint32_t doc)
{
    if (j->found[i]) return;
    j->found[i] = true;
    j->missing--;
    j->docs[i] = (qn_ranked){.segment = (uint32_t)segment,
                             .doc = doc,
                             .recall_rank = UINT32_MAX,
                             .rough_rank = UINT32_MAX,
                             .fine_rank = UINT32_MAX,
                             .neural_rank = UINT32_MAX,
                             .final_rank = (uint32_t)i};
}

static qn_status find_key(fetch_job *j, size_t i, qn_slice key, qn_error *err)
{
    const qn_table_snapshot *snap = j->s->snapshot;
    for (size_t seg = 0; seg < snap->view.segment_count; seg++) {
        uint32_t doc = QN_DOC_END;
        QN_TRY(qn_segment_find(snap->segments[seg]->segment, key, &doc, err));
        if (doc == QN_DOC_END || qn_segment_view_is_deleted(&snap->views[seg], doc))
            continue;
        set_found(j, i, seg, doc);
        return QN_OK;
    }
    return QN_OK;
}

/* Keys as they are, and short ones out of gids. */
static qn_status find_by_keys(fetch_job *j, qn_error *err)
{
    for (size_t i = 0; i < j->s->request.fetch_count; i++) {
        char bytes[QN_GID_KEY_MAX];
        size_t n = 0;
        qn_slice pk = address(j, i)->pk;
        if (j->s->request.fetch_by == QN_FETCH_RAWPK)
            QN_TRY(find_key(j, i, pk, err));
        else if (qn_gid_to_key(pk, bytes, &n))
            QN_TRY(find_key(j, i, (qn_slice){bytes, n}, err));
    }
    return QN_OK;
}

/* ---- all documents are looked at ---------------------------------------------------- */

typedef struct wanted_place {
    int64_t place;
    size_t address;
} wanted_place;

static int by_place(const void *a, const void *b)
{
    const wanted_place *x = a, *y = b;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void look_up_place(fetch_job *j, const wanted_place *sorted, size_t n,
                          int64_t place, size_t segment, uint32_t doc)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle].place < place)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n && sorted[low].place == place; low++)
        set_found(j, sorted[low].address, segment, doc);
}

static qn_status find_by_places(fetch_job *j, qn_error *err)
{
    enum { STEP = 256 };
    const qn_table_snapshot *snap = j->s->snapshot;
    size_t n = j->s->request.fetch_count;
    wanted_place *sorted = qn_arena_array(j->s->arena, n, sizeof *sorted);
    if (sorted == NULL) return qn_fail(err, QN_ENOMEM, "fetch_summary");
    for (size_t i = 0; i < n; i++) sorted[i] = (wanted_place){address(j, i)->docid, i};
    qsort(sorted, n, sizeof *sorted, by_place);
    for (size_t seg = 0; seg < snap->view.segment_count && j->missing > 0; seg++) {
        const qn_live_segment *live = snap->segments[seg];
        const qn_overlaid *newer = snap->overlaid[seg];
        for (uint32_t first = 0; first < live->doc_count; first += STEP) {
            uint32_t docs[STEP], count = live->doc_count - first;
            int64_t places[STEP];
            if (count > STEP) count = STEP;
            for (uint32_t k = 0; k < count; k++) docs[k] = first + k;
            qn_column_get_i64(newer == NULL ? &live->seq_no : &newer->seq_no, docs,
                              count, places, NULL);
            for (uint32_t k = 0; k < count; k++)
                if (!qn_segment_view_is_deleted(&snap->views[seg], docs[k]))
                    look_up_place(j, sorted, n, places[k], seg, docs[k]);
        }
    }
    return QN_OK;
}

/* Long keys stand in gids as hashes: the ids of all documents are hashed and compared. */
static qn_status find_by_hashes(fetch_job *j, qn_error *err)
{
    const qn_table_snapshot *snap = j->s->snapshot;
    for (size_t seg = 0; seg < snap->view.segment_count; seg++) {
        const qn_live_segment *live = snap->segments[seg];
        for (uint32_t doc = 0; doc < live->doc_count && j->missing > 0; doc++) {
            qn_slice id;
            if (qn_segment_view_is_deleted(&snap->views[seg], doc)) continue;
            QN_TRY(qn_segment_id(live->segment, doc, &id, err));
            if (id.n <= QN_GID_KEY_MAX) continue;
            for (size_t i = 0; i < j->s->request.fetch_count; i++)
                if (!j->found[i] && qn_gid_names(address(j, i)->pk, id))
                    set_found(j, i, seg, doc);
        }
    }
    return QN_OK;
}

/* ---- the result ----------------------------------------------------------------------- */

static qn_status warn_of_lack(fetch_job *j, qn_error *err)
{
    size_t n = j->s->request.fetch_count;
    qn_error *warning = qn_arena_new(j->s->arena, sizeof *warning);
    if (warning == NULL) return qn_fail(err, QN_ENOMEM, "fetch_summary");
    (void)qn_fail(warning, QN_EFETCHLACK,
                  "Lack of summary. The size of returned hits[%zu] is not equal the "
                  "size of required hits[%zu]",
                  n - j->missing, n);
    j->s->ranked.warnings = warning;
    j->s->ranked.warning_count = 1;
    return QN_OK;
}

qn_status qn_search__fetch(qn_search *s, qn_error *err)
{
    size_t n = s->request.fetch_count;
    fetch_job j = {.s = s,
                   .docs = qn_arena_array(s->arena, n, sizeof *j.docs),
                   .found = qn_arena_array(s->arena, n, sizeof *j.found),
                   .missing = n};
    if (j.docs == NULL || j.found == NULL)
        return qn_fail(err, QN_ENOMEM, "fetch_summary");
    if (s->request.fetch_by == QN_FETCH_DOCID) {
        QN_TRY(find_by_places(&j, err));
    } else {
        QN_TRY(find_by_keys(&j, err));
        if (j.missing > 0 && s->request.fetch_by == QN_FETCH_PK)
            QN_TRY(find_by_hashes(&j, err));
    }
    s->ranked = (qn_rank_result){.docs = j.docs, .count = n, .max_score = (double)NAN};
    s->fetched = j.found;
    s->from = 0;
    s->size = s->wanted = n;
    s->total = n;
    s->total_exact = true;
    return j.missing == 0 ? QN_OK : warn_of_lack(&j, err);
}
