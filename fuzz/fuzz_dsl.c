/* SPDX-License-Identifier: Apache-2.0 */
/* A search body: what is accepted can be printed, rewritten to itself and kept within
 * the limits; what is refused says why and where, inside the text. */
#include "../tests/unit/query_fixture.h"
#include "check_tree.h"
#include "io/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_error(const qn_error *err, qn_status st, size_t n)
{
    qn_assert(err->code == st && err->text[0] != '\0');
    qn_assert(err->at == QN_AT_NONE || err->at <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static qn_analyzers *analyzers;
    if (analyzers == NULL)
        qn_assert(qn_analyzers_create(qn_alloc_heap(), &analyzers, NULL) == QN_OK);
    const qn_query_env env = {
        .schema = &fix_schema, .analyzers = analyzers, .now_ms = 1700000000000};
    qn_slice text = {(const char *)bytes, n};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), (size_t)64 << 20);
    const qn_json *json;
    const qn_request *request;
    const qn_query *q;
    qn_error err = {.at = QN_AT_NONE};
    if (qn_json_parse(&arena, text, &json, &err) == QN_OK) {
        err = (qn_error){.at = QN_AT_NONE};
        qn_status st = qn_dsl_parse(&arena, &env, text, json, NULL, &request, &err);
        if (st == QN_OK) check_tree(request->query, &arena);
        if (st != QN_OK) check_error(&err, st, n);
        err = (qn_error){.at = QN_AT_NONE};
        st = qn_dsl_parse_query(&arena, &env, text, json, &q, &err);
        if (st == QN_OK) check_tree(q, &arena);
        if (st != QN_OK) check_error(&err, st, n);
    }
    qn_arena_deinit(&arena);
    return 0;
}
