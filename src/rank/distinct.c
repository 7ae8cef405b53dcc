/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/distinct.h"

#include "rank/agg_internal.h"
#include "rank/rank_internal.h"

enum { KEYS_MAX = 1 << 30 }; /* distinct keys and prefixes of lists */

struct qn_thinner {
    const qn_rank_input *in;
    qn_arena *arena;
    const qn_distinct *asked;
    qn_agg_keys keys;
    bool keys_open;
    qn_agg_numbers lists;   /* of several values: (prefix, next value) */
    qn_agg_numbers members; /* (key, grade) */
    qn_rank_filter *filter;
    qn_agg_ids ids;        /* of one document */
    QN_VEC(uint32_t) seen; /* by member: documents so far */
};

static qn_status open_all(qn_thinner *t, qn_error *err)
{
    const qn_distinct *d = t->asked;
    t->lists.limit = t->members.limit = KEYS_MAX;
    t->keys_open = true;
    QN_TRY(qn_agg_keys_open(t->in, t->arena, "dist_key", &d->key, NULL, 0, KEYS_MAX,
                            &t->keys, err));
    if (t->keys.source.real || t->keys.source.type == QN_EXPR_BOOL)
        return qn_fail_at(err, t->keys.source.real ? QN_ERESULTTYPE : QN_EDISTBOOL,
                          d->key.at,
                          "dist_key: '%.*s' is a %s; integers and texts can be keys",
                          QN_SLICE_ARG(d->key.text),
                          t->keys.source.real ? "number with a fraction" : "condition");
    if (d->filter.text.n == 0) return QN_OK;
    return qn_agg_place(
        err, "dist_filter", &d->filter,
        qn_rank_filter_open(t->in, t->arena, d->filter.text, &t->filter, err));
}

qn_status qn_thinner_open(const qn_rank_input *in, qn_arena *arena,
                          const qn_distinct *asked, qn_thinner **out, qn_error *err)
{
    *out = NULL;
    qn_thinner *t = qn_new0(qn_alloc_heap(), sizeof *t);
    if (t == NULL) return qn_fail(err, QN_ENOMEM, "distinct");
    t->in = in;
    t->arena = arena;
    t->asked = asked;
    qn_status st = open_all(t, err);
    if (st != QN_OK) {
        qn_thinner_close(t);
        return st;
    }
    *out = t;
    return QN_OK;
}

void qn_thinner_close(qn_thinner *t)
{
    if (t == NULL) return;
    qn_alloc *heap = qn_alloc_heap();
    if (t->keys_open) qn_agg_keys_close(&t->keys);
    qn_agg_numbers_deinit(&t->lists);
    qn_agg_numbers_deinit(&t->members);
    qn_rank_filter_close(t->filter);
    qn_vec_deinit(heap, &t->ids);
    qn_vec_deinit(heap, &t->seen);
    qn_delete(heap, t);
}

/* ---- keys ----------------------------------------------------------------------------- */

/* All values of a document as one number: the list is walked as in a trie. */
static qn_status list_key(qn_thinner *t, uint32_t doc, uint32_t *key, qn_error *err)
{
    t->ids.n = 0;
    QN_TRY(qn_agg_keys_all(&t->keys, doc, &t->ids, err));
    *key = 0; /* the empty list */
    for (size_t i = 0; i < t->ids.n; i++) {
        uint32_t next = 0;
        QN_TRY(
            qn_agg_number(&t->lists, (uint64_t)*key << 32 | t->ids.p[i], &next, err));
        *key = next + 1;
    }
    return QN_OK;
}

/* Keys of some documents of one segment; `free_of` marks those that dist_filter frees. */
static qn_status keys_of(qn_thinner *t, size_t segment, const uint32_t *docs, size_t n,
                         uint32_t *keys, bool *free_of, qn_error *err)
{
    if (t->filter != NULL)
        QN_TRY(qn_rank_filter_run(t->filter, segment, docs, n, free_of, err));
    if (!t->keys.source.multi) return qn_agg_keys_of(&t->keys, docs, n, keys, err);
    for (size_t i = 0; i < n; i++) QN_TRY(list_key(t, docs[i], &keys[i], err));
    return QN_OK;
}

static qn_status all_keys(qn_thinner *t, const qn_thin_job *job, uint32_t *keys,
                          bool *free_of, qn_error *err)
{
    for (size_t begin = 0, n; begin < job->n; begin += n) {
        uint32_t segment = job->segments[begin];
        if (begin == 0 || job->segments[begin - 1] != segment)
            QN_TRY(qn_agg_keys_begin(t->in, &t->keys, segment, err));
        for (n = 1; n < QN_AGG_BATCH && begin + n < job->n &&
                    job->segments[begin + n] == segment;)
            n++;
        QN_TRY(keys_of(t, segment, job->docs + begin, n, keys + begin, free_of + begin,
                       err));
    }
    return QN_OK;
}

/* ---- rounds --------------------------------------------------------------------------- */

static uint32_t grade_of(const qn_distinct *d, double first)
{
    uint32_t grade = 0;
    while (grade < d->grade_count && d->grades[grade] <= first) grade++;
    return grade;
}

/* How many documents of the key and grade came before. */
static qn_status position_of(qn_thinner *t, uint32_t key, uint32_t grade,
                             uint32_t *position, qn_error *err)
{
    uint32_t member = key;
    if (t->asked->grade_count > 0)
        QN_TRY(qn_agg_number(&t->members, (uint64_t)key << 32 | grade, &member, err));
    while (t->seen.n <= member)
        if (!qn_vec_push(qn_alloc_heap(), &t->seen, 0))
            return qn_fail(err, QN_ENOMEM, "distinct");
    *position = t->seen.p[member]++;
    return QN_OK;
}

qn_status qn_thinner_run(qn_thinner *t, qn_thin_job *job, qn_error *err)
{
    const qn_distinct *d = t->asked;
    uint32_t *keys = qn_arena_raw(t->arena, job->n + 1, sizeof *keys);
    bool *free_of = qn_arena_array(t->arena, job->n + 1, sizeof *free_of);
    uint64_t *pairs = qn_arena_raw(t->arena, 2 * job->n + 1, sizeof *pairs);
    if (keys == NULL || free_of == NULL || pairs == NULL)
        return qn_fail(err, QN_ENOMEM, "distinct over %zu documents", job->n);
    QN_TRY(all_keys(t, job, keys, free_of, err));
    t->seen.n = 0;
    size_t kept = 0;
    /* (grade, round) above the place: few of their bits differ. */
    for (size_t i = 0; i < job->n; i++) {
        uint32_t at = job->order[i], position = 0;
        uint32_t grade = job->first == NULL ? 0 : grade_of(d, job->first[at]);
        if (!free_of[at]) QN_TRY(position_of(t, keys[at], grade, &position, err));
        uint32_t round = position / d->count;
        if (round >= d->times) round = d->times;
        if (round == d->times && !d->reserved) continue;
        uint64_t rank = job->descending ? d->grade_count - grade : grade;
        /* Rounds beyond the documents there are do not occur. */
        pairs[kept++] = (rank << 24 | (round < 0xFFFFFF ? round : 0xFFFFFF)) << 32 | at;
    }
    qn_rank__sort_pairs(pairs, pairs + job->n, kept);
    for (size_t i = 0; i < kept; i++) job->order[i] = (uint32_t)pairs[i];
    job->kept = kept;
    return QN_OK;
}
