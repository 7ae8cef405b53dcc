/* SPDX-License-Identifier: Apache-2.0 */
/* request_dump.c -- a whole request on one line, for goldens and traces. */
#include "query/request.h"

#include <inttypes.h>

/* Every part begins by this: parts stand behind each other with "; " between. */
static void begin(qn_buf *b, const char *name)
{
    if (b->n > 0) qn_buf_add_str(b, "; ");
    qn_buf_add_str(b, name);
}

static void add_text(qn_buf *b, const char *name, qn_slice text)
{
    if (text.n == 0) return;
    begin(b, name);
    qn_buf_printf(b, " %.*s", QN_SLICE_ARG(text));
}

static void add_number(qn_buf *b, const char *name, uint64_t value, uint64_t usual)
{
    if (value == usual) return;
    begin(b, name);
    qn_buf_printf(b, " %" PRIu64, value);
}

static void add_flag(qn_buf *b, const char *name, bool value)
{
    if (value) begin(b, name);
}

static void dump_config(const qn_request *r, qn_buf *b)
{
    add_number(b, "start", r->from, 0);
    add_number(b, "hit", r->size, QN_REQUEST_SIZE_DEFAULT);
    add_number(b, "timeout", r->timeout_ms, 0);
    add_number(b, "rank_size", r->rank_size, 0);
    add_number(b, "rerank_size", r->rerank_size, 0);
    if (!qn_slice_eq_str(r->format, "xml")) add_text(b, "format", r->format);
    add_text(b, "trace", r->trace);
    add_text(b, "rank_trace", r->rank_trace);
    add_flag(b, "trace_tree", r->trace_tree);
    add_flag(b, "no_summary", r->no_summary);
    add_flag(b, "cache_info", r->cache_info);
    add_flag(b, "rerank_hint", r->rerank_hint);
    for (size_t i = 0; i < r->cluster_count; i++)
        add_text(b, i == 0 ? "cluster" : "and", r->clusters[i]);
}

static void dump_sort(const qn_request *r, qn_buf *b)
{
    for (size_t i = 0; i < r->sort_count; i++) {
        const qn_sort_key *k = &r->sort[i];
        if (i == 0) begin(b, "sort");
        qn_buf_printf(b, " %c%.*s", k->descending ? '-' : '+', QN_SLICE_ARG(k->text));
    }
}

static void dump_distinct(const qn_distinct *d, qn_buf *b)
{
    begin(b, "distinct");
    if (d->none) {
        qn_buf_add_str(b, " none");
        return;
    }
    qn_buf_printf(b, " %.*s count %u times %u", QN_SLICE_ARG(d->key.normalized),
                  d->count, d->times);
    if (d->max_item_count > 0) qn_buf_printf(b, " max %u", d->max_item_count);
    if (!d->reserved) qn_buf_add_str(b, " unreserved");
    if (d->update_total_hit) qn_buf_add_str(b, " total");
    if (d->filter.text.n > 0)
        qn_buf_printf(b, " filter %.*s", QN_SLICE_ARG(d->filter.normalized));
    for (size_t i = 0; i < d->grade_count; i++)
        qn_buf_printf(b, "%s%.17g", i == 0 ? " grades " : "|", d->grades[i]);
    if (d->module.n > 0) qn_buf_printf(b, " module %.*s", QN_SLICE_ARG(d->module));
}

static void dump_aggregate(const qn_aggregate *a, qn_buf *b)
{
    begin(b, "aggregate");
    qn_buf_printf(b, " %.*s:", QN_SLICE_ARG(a->key_name));
    for (size_t i = 0; i < a->function_count; i++)
        qn_buf_printf(b, " %.*s", QN_SLICE_ARG(a->functions[i].name));
    for (size_t i = 0; i < a->bound_count; i++)
        qn_buf_printf(b, "%s%.*s", i == 0 ? " range " : "~",
                      QN_SLICE_ARG(a->bounds[i].text));
    if (a->filter.text.n > 0)
        qn_buf_printf(b, " filter %.*s", QN_SLICE_ARG(a->filter.normalized));
    if (a->max_group != QN_AGG_GROUPS_DEFAULT)
        qn_buf_printf(b, " max %u", a->max_group);
    if (a->sampler_threshold != 0 || a->sampler_step != 0)
        qn_buf_printf(b, " sample %u/%u", a->sampler_threshold, a->sampler_step);
    if (a->order_by_count) qn_buf_add_str(b, " by count");
}

static void dump_rank(const qn_rank_clause *r, qn_buf *b)
{
    add_text(b, "profile", r->profile);
    for (size_t i = 0; i < r->boost_count; i++) {
        begin(b, "boost");
        qn_buf_printf(b, " %.*s.%.*s=%u", QN_SLICE_ARG(r->boosts[i].index),
                      QN_SLICE_ARG(r->boosts[i].field), r->boosts[i].boost);
    }
    add_text(b, r->hint_descending ? "hint -" : "hint +", r->hint);
}

static void dump_fetch(const qn_request *r, qn_buf *b)
{
    /* ORDER FETCH */
    static const char *const by[] = {"docid", "pk", "rawpk"};
    for (size_t i = 0; i < r->fetch_count; i++) {
        const qn_fetch_address *a = &r->fetch[i];
        begin(b, "fetch");
        qn_buf_printf(b, " %s %.*s", by[r->fetch_by], QN_SLICE_ARG(a->cluster));
        if (r->fetch_by == QN_FETCH_DOCID)
            qn_buf_printf(b, " %" PRId64, a->docid);
        else
            qn_buf_printf(b, " %.*s", QN_SLICE_ARG(a->pk));
    }
}

static void dump_range(const qn_layer_range *r, qn_buf *b)
{
    qn_buf_printf(b, " %s%.*s", r->key == QN_LAYER_ATTRIBUTE ? "" : "%",
                  QN_SLICE_ARG(r->name));
    for (size_t i = 0; i < r->interval_count; i++) {
        const qn_layer_interval *v = &r->intervals[i];
        qn_slice none = QN_SLICE_LIT("*"), low = v->has_low ? v->low.text : none;
        qn_slice high = v->has_high ? v->high.text : none;
        qn_buf_printf(b, "%s%.*s..%.*s", i == 0 ? " " : ",", QN_SLICE_ARG(low),
                      QN_SLICE_ARG(high));
    }
}

static void dump_layer(const qn_layer *l, qn_buf *b)
{
    begin(b, "layer");
    for (size_t i = 0; i < l->range_count; i++) dump_range(&l->ranges[i], b);
    if (l->unlimited)
        qn_buf_add_str(b, " quota all");
    else
        qn_buf_printf(b, " quota %u", l->quota);
    if (l->quota_type != QN_QUOTA_PROPORTIONAL)
        qn_buf_printf(b, " type %d", (int)l->quota_type);
}

static void dump_cache(const qn_searcher_cache *c, qn_buf *b)
{
    if (c == NULL) return;
    begin(b, c->use ? "cache used" : "cache");
    if (c->has_key) qn_buf_printf(b, " key %" PRIu64, c->key);
    if (c->current_time != 0) qn_buf_printf(b, " at %u", c->current_time);
    const struct {
        const char *name;
        qn_slice text;
    } texts[] = {{"expires", c->expire_time.normalized},
                 {"filter", c->filter.normalized},
                 {"refresh", c->refresh_attributes}};
    for (size_t i = 0; i < 3; i++)
        if (texts[i].text.n > 0)
            qn_buf_printf(b, " %s %.*s", texts[i].name, QN_SLICE_ARG(texts[i].text));
}

static void dump_pairs(const qn_kvpair *pairs, size_t n, const char *name, qn_buf *b)
{
    for (size_t i = 0; i < n; i++) {
        begin(b, name);
        qn_buf_printf(b, " %.*s=%.*s", QN_SLICE_ARG(pairs[i].key),
                      QN_SLICE_ARG(pairs[i].value));
    }
}

void qn_request_dump(const qn_request *r, qn_buf *b)
{
    dump_config(r, b);
    for (size_t i = 0; i < r->query_count; i++) {
        begin(b, i == 0 ? "query " : "then ");
        qn_query_dump(r->queries[i], b);
    }
    add_text(b, "filter", r->filter);
    dump_sort(r, b);
    for (size_t i = 0; i < r->distinct_count; i++) dump_distinct(&r->distincts[i], b);
    for (size_t i = 0; i < r->aggregate_count; i++)
        dump_aggregate(&r->aggregates[i], b);
    dump_rank(&r->rank, b);
    for (size_t i = 0; i < r->attribute_count; i++)
        add_text(b, i == 0 ? "attribute" : "and", r->attributes[i]);
    dump_pairs(r->virtual_attributes, r->virtual_attribute_count, "virtual", b);
    dump_fetch(r, b);
    dump_pairs(r->kvpairs, r->kvpair_count, "kv", b);
    for (size_t i = 0; i < r->layer_count; i++) dump_layer(&r->layers[i], b);
    dump_cache(r->searcher_cache, b);
}
