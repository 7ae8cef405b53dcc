/* SPDX-License-Identifier: Apache-2.0 */
/* query_golden.h -- tables of queries and their trees, in tests/golden/query.
 *
 * A file has one case a line: query, tab, what becomes of it: an S-expression, or
 * !CODE@offset. Lines with # and empty lines are passed over; \n and \t are written so.
 * With UPDATE_GOLDEN set in the environment the file is written anew; review the
 * difference. */
#ifndef QN_QUERY_GOLDEN_H
#define QN_QUERY_GOLDEN_H

#include "io/file.h"
#include "../qn_test.h"
#include "query_fixture.h"

#include <inttypes.h>
#include <stdlib.h>

typedef qn_status golden_parse(qn_arena *arena, const qn_query_env *env, qn_slice text,
                               qn_buf *dump, qn_error *err);

static void golden_unescape(qn_slice s, qn_buf *out)
{
    qn_buf_reset(out);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        char next = i + 1 < s.n ? s.p[i + 1] : '\0';
        if (c == '\\' && (next == 'n' || next == 't')) {
            c = next == 'n' ? '\n' : '\t';
            i++;
        }
        qn_buf_add_char(out, c);
    }
}

/* What the query comes to, as the file writes it. */
static void golden_answer(qn_slice query, const qn_query_env *env, golden_parse *parse,
                          qn_buf *out)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_error err = {0};
    qn_buf_reset(out);
    qn_status st = parse(&arena, env, query, out, &err);
    if (st != QN_OK) {
        qn_buf_reset(out);
        qn_buf_printf(out, "!%s", qn_status_describe(st)->name);
        if (err.at != QN_AT_NONE) qn_buf_printf(out, "@%" PRIu64, err.at);
        T_EQ_I(err.code, st);
        T_OK(err.text[0] != '\0');
    }
    qn_arena_deinit(&arena);
}

/* Runs the whole file; returns how many cases it had. */
static size_t golden_run(const char *file, golden_parse *parse)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/query/%s", QN_SOURCE_DIR, file);
    bool update = getenv("UPDATE_GOLDEN") != NULL;
    qn_error err = {0};
    qn_alloc *heap = qn_alloc_heap();
    qn_buf text = {.alloc = heap}, query = {.alloc = heap}, got = {.alloc = heap},
           renewed = {.alloc = heap};
    T_CALL(qn_file_read(path, 1 << 24, &text, &err), &err);
    qn_analyzers *analyzers;
    T_CALL(qn_analyzers_create(heap, &analyzers, &err), &err);
    qn_query_env env = {
        .schema = &fix_schema, .analyzers = analyzers, .now_ms = 1700000000000};
    size_t count = 0, failed = 0;
    qn_slice rest = qn_buf_slice(&text);
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        qn_slice line = {rest.p, end == NULL ? rest.n : (size_t)(end - rest.p)};
        size_t used = line.n + (end != NULL);
        rest = (qn_slice){rest.p + used, rest.n - used};
        const char *tab = memchr(line.p, '\t', line.n);
        if (line.n == 0 || line.p[0] == '#') {
            qn_buf_add_slice(&renewed, line);
            qn_buf_add_char(&renewed, '\n');
            continue;
        }
        qn_slice asked = {line.p, tab == NULL ? line.n : (size_t)(tab - line.p)};
        qn_slice want = {"", 0};
        if (tab != NULL) want = (qn_slice){tab + 1, line.n - asked.n - 1};
        golden_unescape(asked, &query);
        T_ROW(query.p == NULL ? "" : query.p);
        golden_answer(qn_buf_slice(&query), &env, parse, &got);
        qn_buf_add_slice(&renewed, asked);
        qn_buf_add_char(&renewed, '\t');
        qn_buf_add_slice(&renewed, qn_buf_slice(&got));
        qn_buf_add_char(&renewed, '\n');
        count++;
        if (update || qn_slice_eq(want, qn_buf_slice(&got))) continue;
        failed++;
        print_error("%s: %.*s\n   got  %.*s\n   want %.*s\n", file, QN_SLICE_ARG(asked),
                    (int)got.n, got.p == NULL ? "" : got.p, QN_SLICE_ARG(want));
    }
    if (update) {
        FILE *f = fopen(path, "wb");
        T_OK(f != NULL && fwrite(renewed.p, 1, renewed.n, f) == renewed.n);
        T_OK(fclose(f) == 0);
    }
    qn_analyzers_destroy(analyzers);
    qn_buf_deinit(&text);
    qn_buf_deinit(&query);
    qn_buf_deinit(&got);
    qn_buf_deinit(&renewed);
    T_EQ_I(failed, 0);
    return count;
}

#endif
