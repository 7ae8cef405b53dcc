/* SPDX-License-Identifier: Apache-2.0 */
/* An HA3 request: what is accepted can be printed, rewritten to itself and kept within
 * the limits; what is refused says why and where, inside the text. */
#include "../tests/unit/query_fixture.h"
#include "check_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

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
        check_tree(whole ? request->query : q, &arena);
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
