/* SPDX-License-Identifier: Apache-2.0 */
/* The clauses that name attributes and order by expressions: sort, rank_sort, attribute,
 * virtual_attribute. */
#include "query/ha3/ha3_words.h"

/* ---- sort ---------------------------------------------------------------------------
 * sort = key { ";" key }      key = ["+"|"-"] ( "RANK" | expr )
 * Without a sign descending, or ascending where the environment says so. */

static void describe_key(qn_ha3_request *r, qn_sort_key *key)
{
    key->field = qn_schema_field(r->env->schema, key->text);
    key->kind = key->field != NULL ? QN_SORT_FIELD : QN_SORT_EXPR;
    if (key->field == NULL) return;
    /* An attribute without a value reads as 0 or "", here as in formulas. */
    key->missing = QN_MISSING_VALUE;
    if (key->field->type != QN_FIELD_KEYWORD) key->missing_text = QN_SLICE_LIT("0");
}

/* `normal`: what makes two keys the same. */
static qn_status read_sort_key(qn_ha3_cursor *c, qn_sort_key *key, qn_slice *normal)
{
    *key = (qn_sort_key){.descending = !c->r->env->sort_ascending,
                         .missing_text = QN_SLICE_LIT("")};
    if (qn_ha3__at_mark(c, '+') || qn_ha3__at_mark(c, '-')) {
        key->signed_key = true;
        key->descending = c->word.mark == '-';
        qn_ha3__advance(c);
    }
    qn_slice text = c->word.text;
    key->at = (uint32_t)qn_ha3__offset(c->r, text);
    if (c->word.kind == QN_WORD_RESERVED && qn_slice_eq_str(text, "RANK")) {
        qn_ha3__advance(c);
        key->kind = QN_SORT_SCORE;
        key->text = *normal = text;
        return QN_OK;
    }
    qn_clause_expr expr;
    qn_ha3_form form;
    QN_TRY(qn_ha3__read_expr(c, &expr, &form));
    if (form == QN_FORM_CONDITION)
        return qn_ha3__wrong(c, QN_ERESULTTYPE, text.p,
                             "a condition cannot be sorted by");
    key->text = expr.text;
    *normal = expr.normalized;
    describe_key(c->r, key);
    return QN_OK;
}

qn_status qn_ha3__parse_sort(qn_ha3_request *r, qn_slice clause)
{
    if (clause.n == 0)
        return qn_fail_at(r->err, QN_ESORTEMPTY, qn_ha3__offset(r, clause),
                          "SortClause: sort description not exist.");
    qn_sort_key *keys =
        qn_arena_array(r->arena, QN_REQUEST_SORT_KEYS_MAX, sizeof *keys);
    qn_slice normal[QN_REQUEST_SORT_KEYS_MAX];
    if (keys == NULL) return qn_fail(r->err, QN_ENOMEM, "sort clause");
    qn_ha3_cursor c;
    qn_ha3__cursor(&c, r, clause, "SortClause", QN_ESORT);
    size_t n = 0;
    do {
        if (n == QN_REQUEST_SORT_KEYS_MAX)
            return qn_ha3__wrong(&c, QN_ELIMIT, c.word.text.p, "over %d sort keys",
                                 QN_REQUEST_SORT_KEYS_MAX);
        QN_TRY(read_sort_key(&c, &keys[n], &normal[n]));
        for (size_t i = 0; i < n; i++)
            if (qn_slice_eq(normal[i], normal[n]))
                return qn_fail_at(r->err, QN_ESORTTWICE, keys[n].at,
                                  "SortClause: two sort description with same "
                                  "expression. [%.*s]",
                                  QN_SLICE_ARG(keys[n].text));
        n++;
    } while (qn_ha3__accept_mark(&c, ';'));
    if (c.word.kind != QN_WORD_END) return qn_ha3__unexpected(&c, "an operator or ';'");
    r->request->sort = keys;
    r->request->sort_count = n;
    return QN_OK;
}

/* rank_sort = heap { ";" heap }      heap = "sort:" key { "#" key } "," "percent:" num */
static qn_status read_heap(qn_ha3_cursor *c)
{
    bool sort = false, percent = false;
    do {
        bool at_sort = qn_ha3__at_name(c, "sort");
        if (!at_sort && !qn_ha3__at_name(c, "percent"))
            return qn_ha3__unexpected(c, "sort or percent");
        qn_ha3__advance(c);
        QN_TRY(qn_ha3__expect_mark(c, ':'));
        sort |= at_sort;
        percent |= !at_sort;
        qn_clause_number share;
        qn_sort_key key;
        qn_slice normal;
        if (!at_sort) QN_TRY(qn_ha3__expect_number(c, &share));
        if (at_sort) QN_TRY(read_sort_key(c, &key, &normal));
        while (at_sort && qn_ha3__accept_mark(c, '#'))
            QN_TRY(read_sort_key(c, &key, &normal));
    } while (qn_ha3__accept_mark(c, ','));
    return sort && percent ? QN_OK : qn_ha3__unexpected(c, "both sort and percent");
}

qn_status qn_ha3__parse_rank_sort(qn_ha3_request *r, qn_slice text)
{
    qn_ha3_cursor c;
    qn_ha3__cursor(&c, r, text, "RankSortClause", QN_ERANKSORT);
    do {
        QN_TRY(read_heap(&c));
    } while (qn_ha3__accept_mark(&c, ';'));
    if (c.word.kind != QN_WORD_END) return qn_ha3__unexpected(&c, "',' or ';'");
    return qn_ha3__wrong(
        &c, QN_EUNSUPPORTED, text.p,
        "several orders at once are not supported, use the sort clause");
}

/* ---- attributes --------------------------------------------------------------------- */

/* attribute = NAME { "," NAME } */
qn_status qn_ha3__parse_attributes(qn_ha3_request *r, qn_slice text)
{
    qn_slice *names = qn_arena_array(r->arena, QN_REQUEST_KVPAIRS_MAX, sizeof *names);
    if (names == NULL) return qn_fail(r->err, QN_ENOMEM, "attribute clause");
    size_t n = 0;
    qn_slice name;
    while (qn_ha3__next_piece(&text, ',', &name)) {
        if (qn_schema_field(r->env->schema, name) == NULL &&
            memchr(name.p, '(', name.n) != NULL)
            return qn_fail_at(r->err, QN_ENOATTR, qn_ha3__offset(r, name),
                              "[%.*s] is no attribute", QN_SLICE_ARG(name));
        if (n == QN_REQUEST_KVPAIRS_MAX)
            return qn_fail_at(r->err, QN_ELIMIT, qn_ha3__offset(r, name),
                              "over %d attributes", QN_REQUEST_KVPAIRS_MAX);
        names[n++] = name;
    }
    r->request->attributes = names;
    r->request->attribute_count = n;
    return QN_OK;
}

static bool virtual_taken(const qn_ha3_request *r, const qn_kvpair *pairs, size_t n,
                          qn_slice name)
{
    bool taken = qn_schema_field(r->env->schema, name) != NULL;
    for (size_t i = 0; i < n; i++) taken |= qn_slice_eq(pairs[i].key, name);
    return taken;
}

/* virtual_attribute = {";"} NAME ":" expr { ";" NAME ":" expr } {";"} */
qn_status qn_ha3__parse_virtuals(qn_ha3_request *r, qn_slice text)
{
    qn_kvpair *pairs = qn_arena_array(r->arena, QN_REQUEST_KVPAIRS_MAX, sizeof *pairs);
    if (pairs == NULL) return qn_fail(r->err, QN_ENOMEM, "virtual_attribute clause");
    qn_ha3_cursor c;
    qn_ha3__cursor(&c, r, text, "VirtualAttributeClause", QN_EVIRTUAL);
    size_t n = 0;
    for (bool more = true; more;) {
        while (qn_ha3__accept_mark(&c, ';')) {
        }
        if (c.word.kind == QN_WORD_END) break;
        const char *at = c.word.text.p;
        qn_slice name;
        qn_clause_expr expr;
        if (n == QN_REQUEST_KVPAIRS_MAX)
            return qn_ha3__wrong(&c, QN_ELIMIT, at, "over %d", QN_REQUEST_KVPAIRS_MAX);
        QN_TRY(qn_ha3__expect_name(&c, &name));
        QN_TRY(qn_ha3__expect_mark(&c, ':'));
        QN_TRY(qn_ha3__read_expr(&c, &expr, NULL));
        if (virtual_taken(r, pairs, n, name))
            return qn_ha3__wrong(&c, QN_EVIRTUAL, at,
                                 "[%.*s] has the name of another attribute",
                                 QN_SLICE_ARG(name));
        pairs[n++] = (qn_kvpair){name, expr.text};
        more = qn_ha3__accept_mark(&c, ';');
    }
    if (c.word.kind != QN_WORD_END) return qn_ha3__unexpected(&c, "an operator or ';'");
    r->request->virtual_attributes = pairs;
    r->request->virtual_attribute_count = n;
    return QN_OK;
}
