/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_text.c -- quern analyze: a text in, tokens out. */
#include "cli/cli.h"

#include "io/json.h"

#include <string.h>

const cli_option cmd_analyze_options[] = {
    {"analyzer", CLI_TEXT, "NAME", "standard",
     "standard, english, whitespace, keyword, chinese", 0, 0},
    {"table", CLI_TEXT, "TABLE", "", "take the analyzer of a field of this table", 0,
     0},
    {"field", CLI_TEXT, "FIELD", "", "the field", 0, 0},
    {"format", CLI_TEXT, "table|json", "table", "how to print", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

/* ---- analyze ------------------------------------------------------------------------ */

typedef struct token_print {
    cli_table table;
    qn_json_writer w;
    bool json;
} token_print;

static void print_token(void *ctx, const quern_token *t)
{
    token_print *p = ctx;
    if (p->json) {
        qn_json_begin_object(&p->w);
        qn_json_member_slice(&p->w, "token", (qn_slice){t->text, t->text_size});
        qn_json_member_int(&p->w, "start_offset", t->start16);
        qn_json_member_int(&p->w, "end_offset", t->end16);
        qn_json_member_int(&p->w, "start_byte", t->start);
        qn_json_member_int(&p->w, "end_byte", t->end);
        qn_json_member_str(&p->w, "type", t->type);
        qn_json_member_int(&p->w, "position", t->position);
        qn_json_end_object(&p->w);
        return;
    }
    cli_table_cell(&p->table, "%u", t->position);
    cli_table_cell(&p->table, "%.*s", (int)t->text_size, t->text);
    cli_table_cell(&p->table, "%u-%u", t->start, t->end);
    cli_table_cell(&p->table, "%s", t->type);
}

int cmd_analyze(cli *c)
{
    static const char *const titles[] = {"position", "token", "bytes", "type"};
    static const cli_align aligns[] = {CLI_RIGHT, CLI_LEFT, CLI_LEFT, CLI_LEFT};
    const char *table = cli_text(c, "table", NULL), *field = cli_text(c, "field", NULL);
    const char *analyzer = cli_text(c, "analyzer", field == NULL ? "standard" : NULL);
    qn_slice text = qn_slice_of(c->arguments[0]);
    if (field != NULL && table == NULL) return cli_usage(c, "--field needs --table");
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_buf out;
    token_print p = {.json = cli_wants_json(c)};
    qn_buf_init(&out, qn_alloc_heap());
    qn_json_writer_init(&p.w, &out, false);
    cli_table_init(&p.table, 4, titles, aligns, NULL);
    if (p.json) qn_json_begin_array(&p.w);
    qn_status st = quern_analyze(c->q, table, field, analyzer, text.p, text.n,
                                 print_token, &p, &c->err);
    if (p.json) qn_json_end_array(&p.w);
    int code = 0;
    if (st != QN_OK)
        code = cli_fail_at(c, &c->err, text);
    else if (p.json)
        (void)printf("%.*s\n", QN_SLICE_ARG(qn_buf_slice(&out)));
    else
        cli_table_print(&p.table, c, stdout);
    cli_table_deinit(&p.table);
    qn_buf_deinit(&out);
    return code;
}
