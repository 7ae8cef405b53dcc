/* SPDX-License-Identifier: Apache-2.0 */
/* layer and searcher_cache.
 *
 *     layer clause = layer { ";" layer }       layer = item { "," item }
 *     item  = "range:" R { "*" R } | "quota:" ( N | "UNLIMITED" ) [ "#" type ]
 *     R     = key [ "{" value { "," value } "}" ]
 *     key   = NAME | "%docid" | "%segmentid" | "%percent" | "%other" | "%sorted"
 *           | "%unsorted"
 *     value = num | "[" [num] "," [num] ("]" | ")")
 *
 *     searcher_cache = item { "," item }
 *     item  = "key:" int | "use:" ("yes" | "no") | "cur_time:" int
 *           | "expire_time:" expr | "cache_filter:" expr
 *           | "cache_doc_num_limit:" int { (";" | "#") int }
 *           | "refresh_attributes:" NAME { ";" NAME } */
#include "query/ha3/ha3_words.h"

#define LAYER "LayerClause"
#define CACHE "SearcherCacheClause"

/* ---- ranges ----------------------------------------------------------------------- */

/* Places in the order of documents cannot be negative. */
static qn_status read_bound(qn_ha3_cursor *c, const qn_layer_range *range,
                            qn_clause_number *out)
{
    const char *at = c->word.text.p;
    QN_TRY(qn_ha3__expect_number(c, out));
    if (range->key != QN_LAYER_ATTRIBUTE && out->f64 < 0)
        return qn_ha3__wrong(c, QN_ELAYERRANGE, at, "[%.*s] of %.*s is below zero",
                             QN_SLICE_ARG(out->text), QN_SLICE_ARG(range->name));
    return QN_OK;
}

/* value = num | "[" [num] "," [num] ("]" | ")") */
static qn_status read_interval(qn_ha3_cursor *c, const qn_layer_range *range,
                               qn_layer_interval *out)
{
    *out = (qn_layer_interval){0};
    if (!qn_ha3__accept_mark(c, '[')) {
        QN_TRY(read_bound(c, range, &out->low));
        out->high = out->low;
        out->has_low = out->has_high = true;
        return QN_OK;
    }
    const char *at = c->word.text.p;
    out->has_low = !qn_ha3__at_mark(c, ',');
    if (out->has_low) QN_TRY(read_bound(c, range, &out->low));
    QN_TRY(qn_ha3__expect_mark(c, ','));
    out->has_high = !qn_ha3__at_mark(c, ']') && !qn_ha3__at_mark(c, ')');
    if (out->has_high) QN_TRY(read_bound(c, range, &out->high));
    if (!qn_ha3__accept_mark(c, ')')) QN_TRY(qn_ha3__expect_mark(c, ']'));
    if (out->has_low && out->has_high && out->low.f64 > out->high.f64)
        return qn_ha3__wrong(c, c->code, at, "[%.*s] is above [%.*s]",
                             QN_SLICE_ARG(out->low.text), QN_SLICE_ARG(out->high.text));
    return QN_OK;
}

static qn_status read_intervals(qn_ha3_cursor *c, qn_layer_range *range)
{
    if (!qn_ha3__accept_mark(c, '{')) return QN_OK;
    size_t most = (size_t)(c->end - c->p) / 2 + 2;
    if (most > QN_LAYER_INTERVALS_MAX) most = QN_LAYER_INTERVALS_MAX;
    qn_layer_interval *list = qn_arena_array(c->r->arena, most, sizeof *list);
    if (list == NULL) return qn_fail(c->r->err, QN_ENOMEM, LAYER);
    size_t n = 0;
    do {
        if (n == most)
            return qn_ha3__wrong(c, QN_ELIMIT, c->word.text.p, "over %d ranges",
                                 QN_LAYER_INTERVALS_MAX);
        QN_TRY(read_interval(c, range, &list[n++]));
    } while (qn_ha3__accept_mark(c, ','));
    range->intervals = list;
    range->interval_count = n;
    return qn_ha3__expect_mark(c, '}');
}

/* "%" name; the sign is taken. */
static qn_status read_special_key(qn_ha3_cursor *c, qn_layer_range *range)
{
    static const struct {
        const char *name;
        qn_layer_key key;
    } specials[] = {
        {"docid", QN_LAYER_DOCID},     {"segmentid", QN_LAYER_SEGMENTID},
        {"percent", QN_LAYER_PERCENT}, {"other", QN_LAYER_OTHER},
        {"sorted", QN_LAYER_SORTED},   {"unsorted", QN_LAYER_UNSORTED},
    };
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (!qn_ha3__at_name(c, specials[i].name)) continue;
        range->key = specials[i].key;
        return qn_ha3__expect_name(c, &range->name);
    }
    return qn_ha3__unexpected(c,
                              "docid, segmentid, percent, other, sorted or unsorted");
}

static qn_status read_range(qn_ha3_cursor *c, qn_layer_range *range)
{
    *range = (qn_layer_range){.key = QN_LAYER_ATTRIBUTE};
    if (qn_ha3__accept_mark(c, '%')) {
        QN_TRY(read_special_key(c, range));
        return read_intervals(c, range);
    }
    const char *at = c->word.text.p;
    QN_TRY(qn_ha3__expect_name(c, &range->name));
    range->field = qn_schema_field(c->r->env->schema, range->name);
    if (range->field == NULL)
        return qn_ha3__wrong(c, QN_ENOATTR, at, "no attribute [%.*s]",
                             QN_SLICE_ARG(range->name));
    return read_intervals(c, range);
}

static qn_status read_ranges(qn_ha3_cursor *c, qn_layer *layer)
{
    qn_layer_range *list =
        qn_arena_array(c->r->arena, QN_LAYER_RANGES_MAX, sizeof *list);
    if (list == NULL) return qn_fail(c->r->err, QN_ENOMEM, LAYER);
    size_t n = 0;
    do {
        if (n == QN_LAYER_RANGES_MAX)
            return qn_ha3__wrong(c, QN_ELIMIT, c->word.text.p, "over %d keys",
                                 QN_LAYER_RANGES_MAX);
        QN_TRY(read_range(c, &list[n++]));
    } while (qn_ha3__accept_mark(c, '*'));
    layer->ranges = list;
    layer->range_count = n;
    return QN_OK;
}

/* ---- layers ----------------------------------------------------------------------- */

static qn_status read_quota(qn_ha3_cursor *c, qn_layer *layer)
{
    int64_t v = 0;
    const char *at = c->word.text.p;
    layer->unlimited = qn_ha3__at_name(c, "UNLIMITED");
    if (layer->unlimited)
        qn_ha3__advance(c);
    else
        QN_TRY(qn_ha3__expect_int(c, c->code, &v));
    if (v < 0 || v > UINT32_MAX)
        return qn_ha3__wrong(c, c->code, at, "[%lld] is no quota", (long long)v);
    layer->quota = (uint32_t)v;
    if (!qn_ha3__accept_mark(c, '#')) return QN_OK;
    at = c->word.text.p;
    QN_TRY(qn_ha3__expect_int(c, c->code, &v));
    if (v < QN_QUOTA_PROPORTIONAL || v > QN_QUOTA_EACH)
        return qn_ha3__wrong(
            c, c->code, at, "no type of quota [%lld]: there are 0, 1, 2", (long long)v);
    layer->quota_type = (qn_quota_type)v;
    return QN_OK;
}

static qn_status read_layer(qn_ha3_cursor *c, qn_layer *layer)
{
    *layer = (qn_layer){0};
    do {
        bool range = qn_ha3__at_name(c, "range");
        if (!range && !qn_ha3__at_name(c, "quota"))
            return qn_ha3__unexpected(c, "range or quota");
        qn_ha3__advance(c);
        QN_TRY(qn_ha3__expect_mark(c, ':'));
        QN_TRY(range ? read_ranges(c, layer) : read_quota(c, layer));
    } while (qn_ha3__accept_mark(c, ','));
    return QN_OK;
}

qn_status qn_ha3__parse_layer(qn_ha3_request *r, qn_slice text)
{
    qn_ha3_cursor c;
    qn_ha3__cursor(&c, r, text, LAYER, QN_ELAYER);
    qn_layer *list = qn_arena_array(r->arena, QN_LAYERS_MAX, sizeof *list);
    if (list == NULL) return qn_fail(r->err, QN_ENOMEM, LAYER);
    size_t n = 0;
    do {
        if (n == QN_LAYERS_MAX)
            return qn_ha3__wrong(&c, QN_ELIMIT, c.word.text.p, "over %d layers",
                                 QN_LAYERS_MAX);
        QN_TRY(read_layer(&c, &list[n++]));
    } while (qn_ha3__accept_mark(&c, ';'));
    if (c.word.kind != QN_WORD_END) return qn_ha3__unexpected(&c, "',' or ';'");
    r->request->layers = list;
    r->request->layer_count = n;
    return QN_OK;
}

/* ---- searcher_cache --------------------------------------------------------------- */

/* Digits of a uint64. */
static qn_status read_u64(qn_ha3_cursor *c, uint64_t most, uint64_t *out)
{
    qn_slice digits = c->word.text;
    *out = 0;
    bool good = c->word.kind == QN_WORD_INTEGER;
    for (size_t i = 0; good && i < digits.n; i++) {
        uint64_t d = (uint64_t)(digits.p[i] - '0');
        good = digits.p[i] >= '0' && digits.p[i] <= '9' && *out <= (most - d) / 10;
        *out = *out * 10 + d;
    }
    if (!good) return qn_ha3__unexpected(c, "a whole number");
    qn_ha3__advance(c);
    return QN_OK;
}

static qn_status read_use(qn_ha3_cursor *c, qn_searcher_cache *out)
{
    out->use = qn_ha3__at_name(c, "yes");
    if (!out->use && !qn_ha3__at_name(c, "no"))
        return qn_ha3__unexpected(c, "yes or no");
    qn_ha3__advance(c);
    return QN_OK;
}

static qn_status read_limits(qn_ha3_cursor *c)
{
    uint64_t ignored;
    do {
        QN_TRY(read_u64(c, UINT32_MAX, &ignored));
    } while (qn_ha3__accept_mark(c, ';') || qn_ha3__accept_mark(c, '#'));
    return QN_OK;
}

static qn_status read_refresh(qn_ha3_cursor *c, qn_searcher_cache *out)
{
    const char *begin = c->word.text.p;
    do {
        const char *at = c->word.text.p;
        qn_slice name;
        QN_TRY(qn_ha3__expect_name(c, &name));
        if (qn_schema_field(c->r->env->schema, name) == NULL)
            return qn_ha3__wrong(c, QN_ECACHEREFRESH, at, "no attribute [%.*s]",
                                 QN_SLICE_ARG(name));
    } while (qn_ha3__accept_mark(c, ';'));
    out->refresh_attributes = (qn_slice){begin, (size_t)(c->taken - begin)};
    return QN_OK;
}

/* The name before the colon is taken. */
static qn_status read_cache_value(qn_ha3_cursor *c, qn_slice key,
                                  qn_searcher_cache *out)
{
    uint64_t v = 0;
    if (qn_slice_eq_str(key, "key")) {
        out->has_key = true;
        return read_u64(c, UINT64_MAX, &out->key);
    }
    if (qn_slice_eq_str(key, "use")) return read_use(c, out);
    if (qn_slice_eq_str(key, "expire_time"))
        return qn_ha3__read_expr(c, &out->expire_time, NULL);
    if (qn_slice_eq_str(key, "cache_filter"))
        return qn_ha3__read_expr(c, &out->filter, NULL);
    if (qn_slice_eq_str(key, "cache_doc_num_limit")) return read_limits(c);
    if (qn_slice_eq_str(key, "refresh_attributes")) return read_refresh(c, out);
    if (!qn_slice_eq_str(key, "cur_time"))
        return qn_ha3__wrong(c, c->code, key.p, "no key [%.*s]", QN_SLICE_ARG(key));
    QN_TRY(read_u64(c, UINT32_MAX, &v));
    out->current_time = (uint32_t)v;
    return QN_OK;
}

qn_status qn_ha3__parse_cache(qn_ha3_request *r, qn_slice text)
{
    const qn_clause_expr nothing = {QN_SLICE_LIT(""), QN_SLICE_LIT(""), 0};
    qn_searcher_cache *cache = qn_arena_new(r->arena, sizeof *cache);
    if (cache == NULL) return qn_fail(r->err, QN_ENOMEM, CACHE);
    *cache = (qn_searcher_cache){
        .expire_time = nothing, .filter = nothing, .refresh_attributes = nothing.text};
    qn_ha3_cursor c;
    qn_ha3__cursor(&c, r, text, CACHE, QN_ECACHE);
    do {
        qn_slice key = c.word.text;
        if (c.word.kind != QN_WORD_NAME && c.word.kind != QN_WORD_RESERVED)
            return qn_ha3__unexpected(&c, "a key");
        qn_ha3__advance(&c);
        QN_TRY(qn_ha3__expect_mark(&c, ':'));
        QN_TRY(read_cache_value(&c, key, cache));
    } while (qn_ha3__accept_mark(&c, ','));
    if (c.word.kind != QN_WORD_END) return qn_ha3__unexpected(&c, "','");
    r->request->searcher_cache = cache;
    return QN_OK;
}
