/* SPDX-License-Identifier: Apache-2.0 */
/* distinct = d { ";" d }, at most two      d = "none_dist" | item { "," item }
 *
 *     item = "dist_key:" expr | "dist_count:" int | "dist_times:" int
 *          | "max_item_count:" int | "reserved:" flag | "update_total_hit:" flag
 *          | "dist_filter:" expr | "grade:" num { "|" num } | "dbmodule:" name */
#include "query/ha3/ha3_words.h"

#define CLAUSE "DistinctClause"

static qn_status read_least(qn_ha3_cursor *c, qn_status code, int64_t least,
                            uint32_t *out)
{
    const char *at = c->word.text.p;
    int64_t v;
    QN_TRY(qn_ha3__expect_int(c, code, &v));
    if (v < least || v > INT32_MAX)
        return qn_ha3__wrong(c, code, at, "[%lld] is not between %lld and %d",
                             (long long)v, (long long)least, INT32_MAX);
    *out = (uint32_t)v;
    return QN_OK;
}

static qn_status read_flag(qn_ha3_cursor *c, qn_status code, bool *out)
{
    const char *at = c->word.text.p;
    qn_slice text = c->word.text;
    *out = qn_ha3__at_name(c, "true");
    if (!*out && !qn_ha3__at_name(c, "false"))
        return qn_ha3__wrong(c, code, at, "[%.*s] is neither true nor false",
                             (int)(text.n > 40 ? 40 : text.n), text.p);
    qn_ha3__advance(c);
    return QN_OK;
}

static qn_status read_count(qn_ha3_cursor *c, qn_distinct *d)
{
    return read_least(c, QN_EDISTCOUNT, 1, &d->count);
}

static qn_status read_times(qn_ha3_cursor *c, qn_distinct *d)
{
    return read_least(c, QN_EDISTTIMES, 1, &d->times);
}

static qn_status read_max_items(qn_ha3_cursor *c, qn_distinct *d)
{
    return read_least(c, QN_EDISTMAXITEM, 0, &d->max_item_count);
}

static qn_status read_reserved(qn_ha3_cursor *c, qn_distinct *d)
{
    return read_flag(c, QN_EDISTRESERVED, &d->reserved);
}

static qn_status read_update_total(qn_ha3_cursor *c, qn_distinct *d)
{
    return read_flag(c, QN_EDISTTOTAL, &d->update_total_hit);
}

static qn_status read_key(qn_ha3_cursor *c, qn_distinct *d)
{
    return qn_ha3__read_expr(c, &d->key, NULL);
}

static qn_status read_filter(qn_ha3_cursor *c, qn_distinct *d)
{
    return qn_ha3__read_expr(c, &d->filter, NULL);
}

static qn_status read_module(qn_ha3_cursor *c, qn_distinct *d)
{
    return qn_ha3__expect_name(c, &d->module);
}

/* Thresholds, sorted. */
static qn_status read_grades(qn_ha3_cursor *c, qn_distinct *d)
{
    double *list = qn_arena_array(c->r->arena, QN_DIST_GRADES_MAX, sizeof *list);
    if (list == NULL) return qn_fail(c->r->err, QN_ENOMEM, CLAUSE);
    qn_status of_clause = c->code;
    size_t n = 0;
    c->code = QN_EDISTGRADE;
    do {
        if (n == QN_DIST_GRADES_MAX)
            return qn_ha3__wrong(c, QN_ELIMIT, c->word.text.p, "over %d grades",
                                 QN_DIST_GRADES_MAX);
        qn_clause_number v;
        QN_TRY(qn_ha3__expect_number(c, &v));
        size_t i = n++;
        for (; i > 0 && list[i - 1] > v.f64; i--) list[i] = list[i - 1];
        list[i] = v.f64;
    } while (qn_ha3__accept_mark(c, '|'));
    c->code = of_clause;
    d->grades = list;
    d->grade_count = n;
    return QN_OK;
}

static const struct {
    const char *key;
    qn_status (*read)(qn_ha3_cursor *c, qn_distinct *d);
} items[] = {
    {"dist_key", read_key},       {"dist_count", read_count},
    {"dist_times", read_times},   {"max_item_count", read_max_items},
    {"reserved", read_reserved},  {"update_total_hit", read_update_total},
    {"dist_filter", read_filter}, {"grade", read_grades},
    {"dbmodule", read_module},
};

static qn_status read_item(qn_ha3_cursor *c, qn_distinct *d)
{
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (!qn_ha3__at_name(c, items[i].key)) continue;
        qn_ha3__advance(c);
        QN_TRY(qn_ha3__expect_mark(c, ':'));
        return items[i].read(c, d);
    }
    return qn_ha3__unexpected(c, "dist_key, dist_count, dist_times, max_item_count, "
                                 "reserved, update_total_hit, dist_filter, grade or "
                                 "dbmodule");
}

static qn_status read_description(qn_ha3_cursor *c, qn_distinct *d)
{
    const qn_clause_expr nothing = {QN_SLICE_LIT(""), QN_SLICE_LIT(""), 0};
    *d = (qn_distinct){.key = nothing,
                       .filter = nothing,
                       .count = 1,
                       .times = 1,
                       .reserved = true,
                       .module = QN_SLICE_LIT("")};
    const char *begin = c->word.text.p;
    d->none = qn_ha3__at_name(c, "none_dist");
    if (d->none) {
        qn_ha3__advance(c);
        return QN_OK;
    }
    do {
        QN_TRY(read_item(c, d));
    } while (qn_ha3__accept_mark(c, ','));
    if (d->key.text.n == 0)
        return qn_ha3__wrong(c, QN_EDISTKEY, begin, "a description needs a dist_key");
    return QN_OK;
}

qn_status qn_ha3__parse_distinct(qn_ha3_request *r, qn_slice text)
{
    qn_ha3_cursor c;
    qn_ha3__cursor(&c, r, text, CLAUSE, QN_EDISTINCT);
    qn_distinct *list = qn_arena_array(r->arena, QN_DISTINCTS_MAX, sizeof *list);
    if (list == NULL) return qn_fail(r->err, QN_ENOMEM, CLAUSE);
    size_t n = 0;
    do {
        if (n == QN_DISTINCTS_MAX)
            return qn_ha3__wrong(&c, QN_EDISTDESCS, c.word.text.p,
                                 "at most %d descriptions", QN_DISTINCTS_MAX);
        QN_TRY(read_description(&c, &list[n++]));
    } while (qn_ha3__accept_mark(&c, ';'));
    if (c.word.kind != QN_WORD_END) return qn_ha3__unexpected(&c, "',' or ';'");
    r->request->distincts = list;
    r->request->distinct_count = n;
    return QN_OK;
}
