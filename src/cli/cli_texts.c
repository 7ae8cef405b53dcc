/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_texts.h"

#include "io/json.h"

#include <string.h>

void cli_texts_init(cli_texts *l)
{
    *l = (cli_texts){0};
    qn_arena_init(&l->arena, qn_alloc_heap(), 0);
}

void cli_texts_deinit(cli_texts *l)
{
    qn_arena_deinit(&l->arena);
    qn_vec_deinit(qn_alloc_heap(), &l->texts);
}

int cli_texts_add(cli *c, cli_texts *l, qn_slice line, uint64_t number)
{
    qn_arena scratch;
    const qn_json *root = NULL;
    qn_slice text = line, trimmed = qn_slice_trim(line);
    qn_arena_init(&scratch, qn_alloc_heap(), 0);
    bool json = trimmed.n > 1 && (trimmed.p[0] == '{' || trimmed.p[0] == '"');
    if (json && qn_json_parse(&scratch, trimmed, &root, NULL) == QN_OK) {
        const qn_json *member =
            root->kind == QN_JSON_STRING ? root : qn_json_get(root, "text");
        text = member != NULL && member->kind == QN_JSON_STRING ? member->string
                                                                : (qn_slice){NULL, 0};
    }
    bool textless = text.p == NULL;
    text = qn_arena_slice(&l->arena, text);
    qn_arena_deinit(&scratch);
    if (textless) {
        (void)qn_fail(&c->err, QN_EINVAL,
                      "line %llu: a JSON object needs the text in \"text\"",
                      (unsigned long long)number);
        return cli_fail(c, &c->err);
    }
    bool added = text.p != NULL && qn_vec_push(qn_alloc_heap(), &l->texts,
                                               ((quern_text){text.p, text.n}));
    return added ? 0 : cli_no_memory(c);
}

int cli_no_memory(const cli *c)
{
    const qn_error err = {.code = QN_ENOMEM, .text = "out of memory", .at = QN_AT_NONE};
    return cli_fail(c, &err);
}

int cli_texts_read(cli *c, const char *path, cli_texts *l)
{
    cli_lines in;
    qn_slice line;
    int code = 0;
    if (!cli_lines_open(&in, path, &c->err)) return cli_fail(c, &c->err);
    while (code == 0 && cli_lines_next(&in, &line, &c->err))
        code = cli_texts_add(c, l, line, (uint64_t)in.line_number);
    if (code == 0 && in.failed) code = cli_fail(c, &c->err);
    cli_lines_close(&in);
    return code;
}

/* ---- printing ----------------------------------------------------------------------- */

bool cli_items_begin(cli *c, cli_items *items, bool *table)
{
    const char *format = cli_text(c, "format", "jsonl");
    bool json = strcmp(format, "json") == 0 || cli_has(c, "json");
    bool wants_table = strcmp(format, "table") == 0;
    *items = (cli_items){.list = json};
    if (!json && strcmp(format, "jsonl") != 0 && !(wants_table && table != NULL)) {
        (void)cli_usage(c, "--format is jsonl%s or json, not %s",
                        table != NULL ? ", table" : "", format);
        return false;
    }
    if (table != NULL) *table = wants_table && !json;
    return true;
}

void cli_items_add(cli_items *items, const qn_buf *object)
{
    if (items->list) (void)printf("%s", items->count == 0 ? "[\n" : ",\n");
    (void)printf("%.*s%s", QN_SLICE_ARG(qn_buf_slice(object)), items->list ? "" : "\n");
    items->count++;
}

void cli_items_end(cli_items *items)
{
    if (items->list) (void)printf("%s", items->count == 0 ? "[]\n" : "\n]\n");
}
