/* SPDX-License-Identifier: Apache-2.0 */
/* search_layers.c -- HA3's layer clause: recall in parts, each with a quota.
 *
 *     layer=range:%docid{[0,1000)},quota:50;range:%other,quota:UNLIMITED
 *
 * Layers are searched in order, documents in order, until the layer's quota of matches is
 * used; what a layer leaves of it goes to the next. Layer i asks query i, those beyond the
 * last query ask the first. A document belongs to the first layer that takes it. The total
 * counts what matches inside the layers, whatever the quotas took.
 *
 * All documents here count as sorted: %sorted is all of them and %unsorted none, so the
 * unlimited layer of unsorted documents that HA3 adds at the end is empty. */
#include "engine/search/search.h"

#include "rank/bind.h"

#include <stdlib.h>

/* Several intervals of a layer's first divided key share its quota. */
typedef struct zone {
    const qn_layer_interval *interval; /* NULL: all of it */
    uint64_t quota;
} zone;

typedef struct layer_job {
    qn_search *s;
    uint32_t *base; /* documents before each segment */
    uint64_t doc_count;
    uint8_t **taken; /* a bit per document and segment */
    uint8_t **counted;
    qn_candidate *out;
    size_t count, capacity;
    uint64_t total;
} layer_job;

/* A layer at work. */
typedef struct layer_state {
    const qn_layer *layer;
    const qn_exec_result *found;
    const qn_layer_range
        *divided; /* the key whose intervals share the quota, or NULL */
    zone *zones;
    size_t zone_count;
    /* For each range on an attribute, a flag per candidate. */
    bool *inside[QN_LAYER_RANGES_MAX];
} layer_state;

/* ---- is a document inside? ------------------------------------------------------------ */

static bool place_in(const qn_layer_interval *v, double place)
{
    if (v->has_low && place < v->low.f64) return false;
    if (!v->has_high) return true;
    bool one = v->has_low && v->low.f64 == v->high.f64;
    return one ? place == v->low.f64 : place < v->high.f64;
}

static double place_of(const layer_job *j, qn_layer_key key, const qn_candidate *c)
{
    uint64_t at = (uint64_t)j->base[c->segment] + c->doc;
    if (key == QN_LAYER_SEGMENTID) return c->segment;
    if (key == QN_LAYER_DOCID) return (double)at;
    return 100.0 * (double)at / (double)j->doc_count;
}

static bool by_place(qn_layer_key key)
{
    return key == QN_LAYER_DOCID || key == QN_LAYER_SEGMENTID ||
           key == QN_LAYER_PERCENT;
}

static bool range_holds(const layer_job *j, const qn_layer_range *r,
                        const qn_candidate *c)
{
    if (!by_place(r->key)) return r->key != QN_LAYER_UNSORTED;
    for (size_t i = 0; i < r->interval_count; i++)
        if (place_in(&r->intervals[i], place_of(j, r->key, c))) return true;
    return r->interval_count == 0;
}

/* %other: no layer names the document. Layers on attributes are not looked at. */
static bool is_other(const layer_job *j, const qn_candidate *c)
{
    const qn_request *q = &j->s->request;
    for (size_t l = 0; l < q->layer_count; l++) {
        bool inside = q->layers[l].range_count > 0;
        for (size_t i = 0; i < q->layers[l].range_count && inside; i++) {
            const qn_layer_range *r = &q->layers[l].ranges[i];
            inside = by_place(r->key) && range_holds(j, r, c);
        }
        if (inside) return false;
    }
    return true;
}

static bool in_layer(const layer_job *j, const layer_state *st, size_t candidate)
{
    const qn_candidate *c = &st->found->candidates[candidate];
    for (size_t i = 0; i < st->layer->range_count; i++) {
        const qn_layer_range *r = &st->layer->ranges[i];
        if (r->key == QN_LAYER_ATTRIBUTE) {
            if (!st->inside[i][candidate]) return false;
        } else if (r->key == QN_LAYER_OTHER) {
            if (!is_other(j, c)) return false;
        } else if (!range_holds(j, r, c)) {
            return false;
        }
    }
    return true;
}

/* ---- attributes ----------------------------------------------------------------------- */

static void add_end(qn_buf *b, qn_slice name, const char *op, qn_slice value)
{
    qn_buf_printf(b, "%.*s%s%.*s", QN_SLICE_ARG(name), op, QN_SLICE_ARG(value));
}

/* The intervals as a filter: ((a>=1 AND a<=3) OR (a=7 AND a=7)). */
static void filter_text(const qn_layer_range *r, qn_buf *b)
{
    for (size_t i = 0; i < r->interval_count; i++) {
        const qn_layer_interval *v = &r->intervals[i];
        if (!v->has_low && !v->has_high) { /* anything */
            qn_buf_reset(b);
            return;
        }
        qn_buf_add_str(b, i == 0 ? "(" : " OR (");
        if (v->has_low) add_end(b, r->name, ">=", v->low.text);
        if (v->has_low && v->has_high) qn_buf_add_str(b, " AND ");
        if (v->has_high) add_end(b, r->name, "<=", v->high.text);
        qn_buf_add_char(b, ')');
    }
}

static qn_status run_filter(const qn_exec_result *found, qn_rank_filter *filter,
                            qn_arena *arena, bool *inside, qn_error *err)
{
    uint32_t *docs = qn_arena_array(arena, found->count, sizeof *docs);
    if (docs == NULL) return qn_fail(err, QN_ENOMEM, "layer");
    for (size_t i = 0; i < found->count; i++) docs[i] = found->candidates[i].doc;
    for (size_t first = 0, end; first < found->count; first = end) {
        uint32_t segment = found->candidates[first].segment;
        for (end = first;
             end < found->count && found->candidates[end].segment == segment;)
            end++;
        QN_TRY(qn_rank_filter_run(filter, segment, docs + first, end - first,
                                  inside + first, err));
    }
    return QN_OK;
}

static qn_status mark_attribute(layer_job *j, layer_state *st, size_t range,
                                qn_error *err)
{
    const qn_exec_result *found = st->found;
    bool *inside = qn_arena_array(j->s->arena, found->count + 1, sizeof *inside);
    if (inside == NULL) return qn_fail(err, QN_ENOMEM, "layer");
    st->inside[range] = inside;
    for (size_t i = 0; i < found->count; i++) inside[i] = true;
    qn_buf text = {.alloc = j->s->q->alloc};
    filter_text(&st->layer->ranges[range], &text);
    qn_rank_filter *filter = NULL;
    qn_status rc = text.failed ? qn_fail(err, QN_ENOMEM, "layer") : QN_OK;
    if (rc == QN_OK && text.n > 0 && found->count > 0) {
        rc = qn_rank_filter_open(&j->s->input, j->s->arena, qn_buf_slice(&text),
                                 &filter, err);
        if (rc != QN_OK && err != NULL) err->at = QN_AT_NONE;
        if (rc == QN_OK) rc = run_filter(found, filter, j->s->arena, inside, err);
        qn_rank_filter_close(filter);
    }
    qn_buf_deinit(&text);
    return rc;
}

/* ---- quotas --------------------------------------------------------------------------- */

static double length_of(const layer_job *j, qn_layer_key key,
                        const qn_layer_interval *v)
{
    double end = key == QN_LAYER_PERCENT ? 100
                 : key == QN_LAYER_SEGMENTID
                     ? (double)j->s->snapshot->view.segment_count
                     : (double)j->doc_count;
    if (!by_place(key)) return 1;
    double low = v->has_low ? v->low.f64 : 0, high = v->has_high ? v->high.f64 : end;
    if (v->has_low && v->has_high && low == high) high = low + 1;
    if (high > end) high = end;
    return high > low ? high - low : 0;
}

/* `quota` over the zones as the layer's type says. */
static void share(const layer_job *j, layer_state *st, uint64_t quota)
{
    double whole = 0;
    bool even = st->layer->quota_type == QN_QUOTA_AVERAGE;
    for (size_t i = 0; i < st->zone_count; i++)
        whole += even || st->divided == NULL
                     ? 1
                     : length_of(j, st->divided->key, st->zones[i].interval);
    uint64_t left = quota;
    for (size_t i = 0; i < st->zone_count; i++) {
        zone *z = &st->zones[i];
        double part = even || st->divided == NULL
                          ? 1
                          : length_of(j, st->divided->key, z->interval);
        z->quota = quota;
        if (st->layer->quota_type == QN_QUOTA_EACH) continue;
        z->quota = whole > 0 ? (uint64_t)((double)quota * part / whole) : 0;
        if (z->quota > left) z->quota = left;
        left -= z->quota;
    }
    if (st->layer->quota_type != QN_QUOTA_EACH) st->zones[0].quota += left;
}

static qn_status make_zones(layer_job *j, layer_state *st, qn_error *err)
{
    const qn_layer *l = st->layer;
    for (size_t i = 0; i < l->range_count && st->divided == NULL; i++)
        if (by_place(l->ranges[i].key) && l->ranges[i].interval_count > 1)
            st->divided = &l->ranges[i];
    st->zone_count = st->divided == NULL ? 1 : st->divided->interval_count;
    st->zones = qn_arena_array(j->s->arena, st->zone_count, sizeof *st->zones);
    if (st->zones == NULL) return qn_fail(err, QN_ENOMEM, "layer");
    for (size_t i = 0; i < st->zone_count; i++)
        st->zones[i] =
            (zone){.interval = st->divided == NULL ? NULL : &st->divided->intervals[i]};
    return QN_OK;
}

static zone *zone_of(const layer_job *j, const layer_state *st, const qn_candidate *c)
{
    for (size_t i = 0; i < st->zone_count; i++) {
        const qn_layer_interval *v = st->zones[i].interval;
        if (v == NULL || place_in(v, place_of(j, st->divided->key, c)))
            return &st->zones[i];
    }
    return NULL;
}

/* ---- one layer after another ---------------------------------------------------------- */

static bool test_and_set(uint8_t **bits, const qn_candidate *c)
{
    uint8_t *byte = &bits[c->segment][c->doc / 8], mask = (uint8_t)(1u << (c->doc % 8));
    bool was = (*byte & mask) != 0;
    *byte |= mask;
    return was;
}

static bool test(uint8_t **bits, const qn_candidate *c)
{
    return (bits[c->segment][c->doc / 8] >> (c->doc % 8) & 1) != 0;
}

static qn_status keep(layer_job *j, const qn_candidate *c, qn_error *err)
{
    if (j->count == j->capacity) {
        size_t capacity = j->capacity == 0 ? 256 : 2 * j->capacity;
        qn_candidate *wider = qn_arena_array(j->s->arena, capacity, sizeof *wider);
        if (wider == NULL) return qn_fail(err, QN_ENOMEM, "layer");
        if (j->count > 0) memcpy(wider, j->out, j->count * sizeof *wider);
        j->out = wider;
        j->capacity = capacity;
    }
    j->out[j->count++] = *c;
    (void)test_and_set(j->taken, c);
    return QN_OK;
}

/* Takes what the quotas allow, first each zone its own, then all of what was left;
 * *unused is what remains of it. */
static qn_status take(layer_job *j, layer_state *st, uint64_t *unused, qn_error *err)
{
    bool shared = st->layer->quota_type != QN_QUOTA_EACH;
    for (int round = 0; round < (shared ? 2 : 1); round++) {
        for (size_t i = 0; i < st->found->count; i++) {
            const qn_candidate *c = &st->found->candidates[i];
            if (!in_layer(j, st, i)) continue;
            if (round == 0 && !test_and_set(j->counted, c)) j->total++;
            if (test(j->taken, c)) continue;
            zone *z = zone_of(j, st, c);
            uint64_t *quota = round == 1 ? unused : z == NULL ? NULL : &z->quota;
            if (!st->layer->unlimited && (quota == NULL || *quota == 0)) continue;
            if (!st->layer->unlimited) (*quota)--;
            QN_TRY(keep(j, c, err));
        }
        if (round > 0) break;
        *unused = 0;
        for (size_t i = 0; i < st->zone_count; i++)
            if (!st->layer->unlimited) *unused += st->zones[i].quota;
    }
    return QN_OK;
}

static qn_status run_layer(layer_job *j, const qn_layer *layer,
                           const qn_exec_result *found, uint64_t *carried,
                           qn_error *err)
{
    layer_state st = {.layer = layer, .found = found};
    for (size_t i = 0; i < layer->range_count; i++)
        if (layer->ranges[i].key == QN_LAYER_ATTRIBUTE)
            QN_TRY(mark_attribute(j, &st, i, err));
    QN_TRY(make_zones(j, &st, err));
    share(j, &st, layer->quota + *carried);
    return take(j, &st, carried, err);
}

/* ---- all of them ---------------------------------------------------------------------- */

static int by_document(const void *a, const void *b)
{
    const qn_candidate *x = a, *y = b;
    if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static qn_status make_bits(layer_job *j, qn_error *err)
{
    const qn_table_snapshot *snap = j->s->snapshot;
    size_t n = snap->view.segment_count;
    j->base = qn_arena_array(j->s->arena, n + 1, sizeof *j->base);
    j->taken = qn_arena_array(j->s->arena, n + 1, sizeof *j->taken);
    j->counted = qn_arena_array(j->s->arena, n + 1, sizeof *j->counted);
    bool good = j->base != NULL && j->taken != NULL && j->counted != NULL;
    for (size_t i = 0; i < n && good; i++) {
        size_t bytes = (size_t)snap->segments[i]->doc_count / 8 + 1;
        j->base[i] = (uint32_t)j->doc_count;
        j->doc_count += snap->segments[i]->doc_count;
        j->taken[i] = qn_arena_array(j->s->arena, bytes, 1);
        j->counted[i] = qn_arena_array(j->s->arena, bytes, 1);
        good = j->taken[i] != NULL && j->counted[i] != NULL;
    }
    return good ? QN_OK : qn_fail(err, QN_ENOMEM, "layer");
}

/* The vector hits of all queries, for what reads them by leaf. */
static qn_status join_vectors(const layer_job *j, const qn_exec_result *found, size_t n,
                              qn_exec_result *out, qn_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += found[i].vector_count;
    qn_vector_hits *all = qn_arena_array(j->s->arena, count + 1, sizeof *all);
    if (all == NULL) return qn_fail(err, QN_ENOMEM, "layer");
    out->vectors = all;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < found[i].vector_count; k++)
            all[out->vector_count++] = found[i].vectors[k];
    return QN_OK;
}

static qn_status execute(layer_job *j, const qn_query *query, qn_exec_result *found,
                         qn_error *err)
{
    qn_exec_options o = qn_search__exec_options(j->s, 0);
    o.sort = NULL;
    o.sort_count = 0;
    o.after = NULL;
    o.top_n = 0;
    o.total_limit = 0;
    return qn_query_execute(&j->s->snapshot->view, query, &o, j->s->arena, found, err);
}

qn_status qn_search__layers(qn_search *s, qn_exec_result *out, qn_error *err)
{
    const qn_request *q = &s->request;
    layer_job j = {.s = s};
    qn_exec_result *found = qn_arena_array(s->arena, q->query_count, sizeof *found);
    if (found == NULL) return qn_fail(err, QN_ENOMEM, "layer");
    QN_TRY(make_bits(&j, err));
    size_t asked = q->query_count < q->layer_count ? q->query_count : q->layer_count;
    bool timed_out = false;
    for (size_t i = 0; i < asked; i++) {
        QN_TRY(execute(&j, q->queries[i], &found[i], err));
        timed_out |= found[i].timed_out;
    }
    uint64_t carried = 0;
    for (size_t i = 0; i < q->layer_count; i++)
        QN_TRY(run_layer(&j, &q->layers[i], &found[i < asked ? i : 0], &carried, err));
    if (j.count > 0) qsort(j.out, j.count, sizeof *j.out, by_document);
    *out = (qn_exec_result){.candidates = j.out,
                            .count = j.count,
                            .total = j.total,
                            .total_exact = true,
                            .timed_out = timed_out};
    for (size_t i = 0; i < j.count; i++)
        if (j.out[i].score > out->max_score) out->max_score = j.out[i].score;
    return join_vectors(&j, found, asked, out, err);
}

qn_status qn_search__layer_query(qn_search *s, const qn_query **out, qn_error *err)
{
    const qn_request *q = &s->request;
    size_t n = q->query_count < q->layer_count ? q->query_count : q->layer_count;
    *out = q->query;
    if (n < 2) return QN_OK;
    qn_query *any = qn_query_new(s->arena, QN_QUERY_BOOL, 0);
    if (any == NULL) return qn_fail(err, QN_ENOMEM, "layer");
    any->u.boolean.should = (qn_query_list){q->queries, n};
    any->u.boolean.should_min = 1;
    return qn_query_rewrite(s->arena, any, out, err);
}
