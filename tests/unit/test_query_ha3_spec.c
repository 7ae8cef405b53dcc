/* SPDX-License-Identifier: Apache-2.0 */
/* The HA3 language against tables written from its rules: tests/golden/query/ha3_*.tsv. A refusal
 * is the code that HA3's clients see. UPDATE_GOLDEN would only write down what the parser gives:
 * do not use it here, mend the row or the parser. */
#include "query_golden.h"

/* A refusal becomes "!1053". */
static qn_status told(qn_status st, qn_buf *dump)
{
    if (st == QN_OK) return QN_OK;
    qn_buf_reset(dump);
    qn_buf_printf(dump, "!%d", qn_status_describe(st)->ha3_code);
    return QN_OK;
}

static qn_status parse_query(qn_arena *arena, const qn_query_env *env, qn_slice text,
                             qn_buf *dump, qn_error *err)
{
    const qn_ha3_query_options options = {.default_index = {"", 0}};
    const qn_query *q = NULL;
    qn_status st = qn_ha3_parse_query(arena, env, text, &options, &q, err);
    if (st == QN_OK) qn_query_dump(q, dump);
    return told(st, dump);
}

static const qn_request *parse(qn_arena *arena, const qn_query_env *env,
                               const char *before, qn_slice text, const char *behind,
                               qn_buf *dump)
{
    const char *whole =
        qn_arena_printf(arena, "%s%.*s%s", before, QN_SLICE_ARG(text), behind);
    const qn_request *request = NULL;
    T_OK(whole != NULL);
    qn_error err = {0};
    qn_status st = qn_ha3_parse(arena, env, qn_slice_of(whole), &request, &err);
    T_OK((st == QN_OK) == (request != NULL));
    T_OK(st == QN_OK || err.text[0] != '\0');
    T_OK(st == QN_OK || err.at == QN_AT_NONE || err.at <= strlen(whole));
    T_EQ_I(told(st, dump), QN_OK);
    return request;
}

static qn_status parse_expr(qn_arena *arena, const qn_query_env *env, qn_slice text,
                            qn_buf *dump, qn_error *err)
{
    (void)err;
    const qn_request *r = parse(arena, env, "query=x&&aggregate=group_key:", text,
                                ",agg_fun:count()", dump);
    if (r != NULL) qn_buf_add_slice(dump, r->aggregates[0].key_name);
    return QN_OK;
}

static qn_status parse_clauses(qn_arena *arena, const qn_query_env *env, qn_slice text,
                               qn_buf *dump, qn_error *err)
{
    (void)err;
    const qn_request *r = parse(arena, env, "query=x&&", text, "", dump);
    if (r == NULL) return QN_OK;
    qn_request rest = *r;
    rest.query_count = 0;
    qn_request_dump(&rest, dump);
    if (dump->n == 0) qn_buf_add_char(dump, '-');
    return QN_OK;
}

static void test_queries(void **state)
{
    (void)state;
    T_OK(golden_run("ha3_spec.tsv", parse_query) >= 220);
}

static void test_expressions(void **state)
{
    (void)state;
    T_OK(golden_run("ha3_expr.tsv", parse_expr) >= 160);
}

static void test_clauses(void **state)
{
    (void)state;
    T_OK(golden_run("ha3_clauses.tsv", parse_clauses) >= 350);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_clauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
