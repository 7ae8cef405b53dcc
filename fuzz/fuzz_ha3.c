/* SPDX-License-Identifier: Apache-2.0 */
/* An HA3 request: what is accepted can be printed, rewritten to itself and kept within
 * the limits; what is refused says why and where, inside the text. */
#include "../tests/unit/query_fixture.h"
#include "check_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* What is written is also normalised. */
static void check_expr(const qn_clause_expr *e)
{
    qn_assert((e->text.n == 0) == (e->normalized.n == 0));
}

static void check_request(const qn_request *r, qn_arena *arena)
{
    qn_assert(r->query_count > 0 ? r->query == r->queries[0] : r->fetch_count > 0);
    for (size_t i = 0; i < r->query_count; i++) check_tree(r->queries[i], arena);
    for (size_t i = 0; i < r->aggregate_count; i++) {
        const qn_aggregate *a = &r->aggregates[i];
        qn_assert(a->key_count > 0 && a->function_count > 0);
        for (size_t k = 0; k < a->key_count; k++) check_expr(&a->keys[k]);
        for (size_t k = 0; k < a->function_count; k++)
            check_expr(&a->functions[k].argument);
        for (size_t k = 1; k < a->bound_count; k++)
            qn_assert(a->bounds[k - 1].f64 <= a->bounds[k].f64);
        check_expr(&a->filter);
    }
    for (size_t i = 0; i < r->distinct_count; i++) {
        const qn_distinct *d = &r->distincts[i];
        qn_assert(d->none || (d->key.text.n > 0 && d->count > 0 && d->times > 0));
        for (size_t k = 1; k < d->grade_count; k++)
            qn_assert(d->grades[k - 1] <= d->grades[k]);
    }
    for (size_t i = 0; i < r->fetch_count; i++)
        qn_assert(r->fetch_by == QN_FETCH_DOCID ? r->fetch[i].docid >= 0
                                                : r->fetch[i].pk.n > 0);
    qn_assert(r->format.n > 0);
    qn_buf dump = {.alloc = qn_alloc_heap()};
    qn_request_dump(r, &dump);
    qn_buf_deinit(&dump);
}

static void parse(const qn_query_env *env, qn_slice text, bool whole)
{
    const qn_ha3_query_options options = {.default_or = (text.n & 1) != 0};
    const qn_request *request = NULL;
    const qn_query *q = NULL;
    qn_error err = {.at = QN_AT_NONE};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), (size_t)64 << 20);
    qn_status st = whole ? qn_ha3_parse(&arena, env, text, &request, &err)
                         : qn_ha3_parse_query(&arena, env, text, &options, &q, &err);
    if (st == QN_OK) {
        if (whole)
            check_request(request, &arena);
        else
            check_tree(q, &arena);
    } else {
        qn_assert(err.code == st && err.text[0] != '\0');
        qn_assert(err.at == QN_AT_NONE || err.at <= text.n);
    }
    qn_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static qn_analyzers *analyzers;
    if (analyzers == NULL)
        qn_assert(qn_analyzers_create(qn_alloc_heap(), &analyzers, NULL) == QN_OK);
    const qn_query_env env = {.schema = &fix_schema, .analyzers = analyzers};
    qn_slice text = {(const char *)bytes, n}, table;
    parse(&env, text, true);
    parse(&env, text, false);
    qn_error err;
    if (qn_ha3_table_of(text, &table, &err) == QN_OK) qn_assert(table.n <= n);
    return 0;
}
