/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate = desc { ";" desc }      desc = item { "," item }, in any order
 *
 *     item = "group_key:" ( expr | "[" expr { "," expr } "]" )
 *          | "agg_fun:" fun { "#" fun }      fun = "count()" | ("max"|"min"|"sum"
 *                                                  |"distinct_count") "(" expr ")"
 *          | "range:" num { "~" num }        | "agg_filter:" expr
 *          | "agg_sampler_threshold:" int    | "agg_sampler_step:" int
 *          | "max_group:" int                | "order_by:" name */
#include "query/ha3/ha3_words.h"

#define CLAUSE "AggregateClause"

/* One description under construction: lists with room for the most there may be. */
typedef struct builder {
    qn_ha3_cursor c;
    qn_aggregate *out;
    qn_clause_expr keys[QN_AGG_KEYS_MAX];
    qn_agg_function functions[QN_AGG_FUNCTIONS_MAX];
    qn_clause_number bounds[QN_AGG_BOUNDS_MAX];
} builder;

static qn_status too_many(builder *b, int most, const char *what)
{
    return qn_ha3__wrong(&b->c, QN_ELIMIT, b->c.word.text.p, "over %d %s", most, what);
}

/* ---- items ------------------------------------------------------------------------ */

static qn_status join_names(builder *b, qn_slice *out)
{
    size_t n = 2;
    for (size_t i = 0; i < b->out->key_count; i++) n += b->keys[i].normalized.n + 2;
    char *text = qn_arena_new(b->c.r->arena, n);
    if (text == NULL) return qn_fail(b->c.r->err, QN_ENOMEM, CLAUSE);
    n = 0;
    text[n++] = '[';
    for (size_t i = 0; i < b->out->key_count; i++) {
        qn_slice name = b->keys[i].normalized;
        if (i > 0) {
            text[n++] = ',';
            text[n++] = ' ';
        }
        memcpy(text + n, name.p, name.n);
        n += name.n;
    }
    text[n++] = ']';
    *out = (qn_slice){text, n};
    return QN_OK;
}

static qn_status read_key(builder *b)
{
    qn_aggregate *a = b->out;
    a->key_count = 0;
    if (!qn_ha3__accept_mark(&b->c, '[')) {
        QN_TRY(qn_ha3__read_expr(&b->c, &b->keys[0], NULL));
        a->key_count = 1;
        a->key_name = b->keys[0].normalized;
        return QN_OK;
    }
    do {
        if (a->key_count == QN_AGG_KEYS_MAX)
            return too_many(b, QN_AGG_KEYS_MAX, "keys");
        QN_TRY(qn_ha3__read_expr(&b->c, &b->keys[a->key_count++], NULL));
    } while (qn_ha3__accept_mark(&b->c, ','));
    QN_TRY(qn_ha3__expect_mark(&b->c, ']'));
    return join_names(b, &a->key_name);
}

/* ORDER AGGREGATE FUNCTIONS: qn_agg_kind */
static const char *const function_names[] = {"count", "sum", "max", "min",
                                             "distinct_count"};

static qn_status find_function(builder *b, qn_agg_kind *kind)
{
    for (size_t i = 0; i < sizeof function_names / sizeof *function_names; i++) {
        if (!qn_ha3__at_name(&b->c, function_names[i])) continue;
        *kind = (qn_agg_kind)i;
        return QN_OK;
    }
    if (b->c.word.kind != QN_WORD_NAME)
        return qn_ha3__unexpected(&b->c, "a function of agg_fun");
    return qn_ha3__wrong(&b->c, QN_EAGGNAME, b->c.word.text.p,
                         "no function '%.*s': there are count, sum, max, min and "
                         "distinct_count",
                         (int)(b->c.word.text.n > 40 ? 40 : b->c.word.text.n),
                         b->c.word.text.p);
}

static qn_status read_function(builder *b, qn_agg_function *f)
{
    QN_TRY(find_function(b, &f->kind));
    qn_ha3__advance(&b->c);
    QN_TRY(qn_ha3__expect_mark(&b->c, '('));
    f->argument = (qn_clause_expr){QN_SLICE_LIT(""), QN_SLICE_LIT(""), 0};
    if (f->kind != QN_AGG_COUNT) QN_TRY(qn_ha3__read_expr(&b->c, &f->argument, NULL));
    QN_TRY(qn_ha3__expect_mark(&b->c, ')'));
    const char *name =
        qn_arena_printf(b->c.r->arena, "%s(%.*s)", function_names[f->kind],
                        QN_SLICE_ARG(f->argument.normalized));
    if (name == NULL) return qn_fail(b->c.r->err, QN_ENOMEM, CLAUSE);
    f->name = qn_slice_of(name);
    return QN_OK;
}

/* Functions that are written alike are one. */
static qn_status read_functions(builder *b)
{
    qn_aggregate *a = b->out;
    a->function_count = 0;
    do {
        if (a->function_count == QN_AGG_FUNCTIONS_MAX)
            return too_many(b, QN_AGG_FUNCTIONS_MAX, "functions");
        qn_agg_function *f = &b->functions[a->function_count];
        QN_TRY(read_function(b, f));
        size_t i = 0;
        while (!qn_slice_eq(b->functions[i].name, f->name)) i++;
        if (i == a->function_count) a->function_count++;
    } while (qn_ha3__accept_mark(&b->c, '#'));
    return QN_OK;
}

static bool ascends(const qn_clause_number *low, const qn_clause_number *high)
{
    if (low->whole && high->whole) return low->i64 < high->i64;
    return low->f64 < high->f64;
}

static qn_status read_bounds(builder *b)
{
    qn_aggregate *a = b->out;
    a->bound_count = 0;
    do {
        if (a->bound_count == QN_AGG_BOUNDS_MAX)
            return too_many(b, QN_AGG_BOUNDS_MAX, "boundaries");
        const char *at = b->c.word.text.p;
        qn_clause_number *bound = &b->bounds[a->bound_count++];
        QN_TRY(qn_ha3__expect_number(&b->c, bound));
        if (a->bound_count > 1 && !ascends(bound - 1, bound))
            return qn_ha3__wrong(
                &b->c, QN_EAGGRANGE, at,
                "range [%.*s] does not follow [%.*s] in ascending order",
                QN_SLICE_ARG(bound->text), QN_SLICE_ARG(bound[-1].text));
    } while (qn_ha3__accept_mark(&b->c, '~'));
    return QN_OK;
}

static qn_status read_count(builder *b, uint32_t *out)
{
    int64_t v;
    QN_TRY(qn_ha3__expect_int(&b->c, b->c.code, &v));
    *out = v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
    return QN_OK;
}

static qn_status read_order(builder *b)
{
    qn_slice name;
    QN_TRY(qn_ha3__expect_name(&b->c, &name));
    b->out->order_by_count = qn_slice_eq_str(name, "count");
    return QN_OK;
}

static qn_status read_filter(builder *b)
{
    return qn_ha3__read_expr(&b->c, &b->out->filter, NULL);
}

static qn_status read_threshold(builder *b)
{
    return read_count(b, &b->out->sampler_threshold);
}

static qn_status read_step(builder *b)
{
    return read_count(b, &b->out->sampler_step);
}

static qn_status read_max_group(builder *b)
{
    return read_count(b, &b->out->max_group);
}

static const struct {
    const char *key;
    qn_status (*read)(builder *b);
} items[] = {
    {"group_key", read_key},
    {"agg_fun", read_functions},
    {"range", read_bounds},
    {"agg_filter", read_filter},
    {"agg_sampler_threshold", read_threshold},
    {"agg_sampler_step", read_step},
    {"max_group", read_max_group},
    {"order_by", read_order},
};

static qn_status read_item(builder *b)
{
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (!qn_ha3__at_name(&b->c, items[i].key)) continue;
        qn_ha3__advance(&b->c);
        QN_TRY(qn_ha3__expect_mark(&b->c, ':'));
        return items[i].read(b);
    }
    return qn_ha3__unexpected(
        &b->c, "group_key, agg_fun, range, agg_filter, agg_sampler_threshold, "
               "agg_sampler_step, max_group or order_by");
}

/* ---- descriptions ----------------------------------------------------------------- */

/* The lists, at their lengths, into the arena. */
static qn_status keep_lists(builder *b)
{
    qn_aggregate *a = b->out;
    const struct {
        const void *from;
        size_t n, size;
        const void **to;
    } lists[] = {
        {b->keys, a->key_count, sizeof *b->keys, (const void **)&a->keys},
        {b->functions, a->function_count, sizeof *b->functions,
         (const void **)&a->functions},
        {b->bounds, a->bound_count, sizeof *b->bounds, (const void **)&a->bounds},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        void *copy = qn_arena_array(b->c.r->arena, lists[i].n, lists[i].size);
        if (copy == NULL && lists[i].n > 0)
            return qn_fail(b->c.r->err, QN_ENOMEM, CLAUSE);
        if (lists[i].n > 0) memcpy(copy, lists[i].from, lists[i].n * lists[i].size);
        *lists[i].to = copy;
    }
    return QN_OK;
}

static qn_status read_description(builder *b)
{
    const char *begin = b->c.word.text.p;
    *b->out = (qn_aggregate){
        .max_group = QN_AGG_GROUPS_DEFAULT,
        .filter = {QN_SLICE_LIT(""), QN_SLICE_LIT(""), 0},
    };
    do {
        QN_TRY(read_item(b));
    } while (qn_ha3__accept_mark(&b->c, ','));
    if (b->out->key_count == 0 || b->out->function_count == 0)
        return qn_ha3__wrong(&b->c, b->c.code, begin, "an aggregation needs %s",
                             b->out->key_count == 0 ? "a group_key" : "an agg_fun");
    return keep_lists(b);
}

qn_status qn_ha3__parse_aggregate(qn_ha3_request *r, qn_slice text)
{
    builder *b = qn_arena_new(r->arena, sizeof *b);
    qn_aggregate *list = qn_arena_array(r->arena, QN_AGGREGATES_MAX, sizeof *list);
    if (b == NULL || list == NULL) return qn_fail(r->err, QN_ENOMEM, CLAUSE);
    qn_ha3__cursor(&b->c, r, text, CLAUSE, QN_EAGGREGATE);
    size_t n = 0;
    do {
        if (n == QN_AGGREGATES_MAX)
            return too_many(b, QN_AGGREGATES_MAX, "aggregations");
        b->out = &list[n++];
        QN_TRY(read_description(b));
    } while (qn_ha3__accept_mark(&b->c, ';'));
    if (b->c.word.kind != QN_WORD_END) return qn_ha3__unexpected(&b->c, "',' or ';'");
    r->request->aggregates = list;
    r->request->aggregate_count = n;
    return QN_OK;
}
