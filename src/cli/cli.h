/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h -- the command line: a table of commands, each with a table of options.
 *
 * main() finds the command by its words ("table create"), parses its options from its
 * table, and calls its function. Help on every level comes from the same tables.
 * Results go to standard output, everything else to standard error. A command returns
 * its exit code: 0 done, 1 it failed, 2 the command line was wrong, 3 not found.
 *
 * To add a command: a cmd_*.c with the function and its options, one row in
 * cli_commands.c. */
#ifndef QN_CLI_CLI_H
#define QN_CLI_CLI_H

#include "base/slice.h"
#include "quern/quern.h"

#include <stdio.h>

typedef enum cli_option_kind { CLI_FLAG, CLI_TEXT, CLI_INT, CLI_LIST } cli_option_kind;

typedef struct cli_option {
    const char *name; /* without the dashes */
    cli_option_kind kind;
    const char *value;    /* how help shows the value: "DIR" */
    const char *fallback; /* shown in help; "" none */
    const char *help;
    int64_t min, max; /* CLI_INT */
} cli_option;

typedef struct cli cli;

typedef struct cli_command {
    const char *name;      /* "table create" */
    const char *arguments; /* "NAME --schema FILE" */
    const char *summary;
    const char *details; /* more help, or NULL */
    size_t arguments_min, arguments_max;
    const cli_option *options; /* ended by a row without a name; NULL: none */
    int (*run)(cli *c);
} cli_command;

extern const cli_command cli_commands[];
extern const size_t cli_command_count;
/* Options of every command: --data, --quiet, --no-color, --help ... */
extern const cli_option cli_common_options[];

enum { CLI_VALUES_MAX = 256 };

struct cli {
    const cli_command *command;
    const char *arguments[CLI_VALUES_MAX];
    size_t argument_count;
    struct {
        const cli_option *option;
        const char *value;
    } given[CLI_VALUES_MAX];
    size_t given_count;
    bool quiet, color; /* color: standard output is a terminal that wants it */
    quern *q;          /* opened by cli_open() */
    qn_error err;
};

/* ---- options: cli_options.c ------------------------------------------------- */

/* Parses words after the command's name; prints what is wrong and returns false. */
bool cli_parse(cli *c, int argc, char **argv);
bool cli_has(const cli *c, const char *name);
/* The last value given, else the environment's (QUERN_DATA for "data" ...), else
 * `fallback`. */
const char *cli_text(const cli *c, const char *name, const char *fallback);
int64_t cli_int(const cli *c, const char *name, int64_t fallback);
/* Value number `i` of an option given several times; NULL past the last. */
const char *cli_list(const cli *c, const char *name, size_t i);
void cli_print_help(FILE *to, const cli_command *command);
void cli_print_overview(FILE *to, const char *prefix);

/* ---- the data folder: cli_open.c --------------------------------------------- */

/* Opens --data; on failure prints the error and the way out, returns false. */
bool cli_open(cli *c);
/* Prints why quern_open() failed and the way out; returns the exit code. */
int cli_open_failed(const cli *c);
void cli_close(cli *c);
/* The value of --server or $QUERN_SERVER, NULL when the folder is used directly. */
const char *cli_server(const cli *c);
/* One request to that server; the body of the reply goes to `out`. A reply of 4xx or 5xx
 * prints its body as the error and gives its exit code; 0 when all is well. */
int cli_remote(cli *c, const char *method, const char *path, const char *content_type,
               qn_slice body, qn_buf *out);
/* A request about what is kept with the table of the first argument, and its reply printed:
 * /_quern/tables/TABLE/part/part... and `tail` as it stands. `parts` ends with NULL. */
int cli_remote_table(cli *c, const char *method, const char *const *parts,
                     const char *tail, qn_slice body);

/* ---- output: cli_output.c ---------------------------------------------------- */

/* Prints "quern: <text>" with file and offset, and returns the exit code. */
int cli_fail(const cli *c, const qn_error *err);
/* The same with the text that was parsed and a caret under the place. */
int cli_fail_at(const cli *c, const qn_error *err, qn_slice text);
int cli_usage(const cli *c, const char *fmt, ...) QN_PRINTF(2, 3);
bool cli_wants_json(const cli *c);

/* Columns of a terminal that `s` takes: East Asian letters take two, marks none. */
size_t cli_width(qn_slice s);

typedef enum cli_align { CLI_LEFT, CLI_RIGHT } cli_align;

/* A table that is printed once all rows are known. */
typedef struct cli_table {
    qn_buf text;    /* cells, zero-terminated, row by row */
    size_t columns; /* of every row */
    size_t cells;
    const char *const *titles;
    const cli_align *aligns;
    const size_t *widths_max; /* longer cells are cut with an ellipsis; 0: never */
} cli_table;

void cli_table_init(cli_table *t, size_t columns, const char *const *titles,
                    const cli_align *aligns, const size_t *widths_max);
void cli_table_cell(cli_table *t, const char *fmt, ...) QN_PRINTF(2, 3);
void cli_table_print(cli_table *t, const cli *c, FILE *to);
void cli_table_deinit(cli_table *t);

/* A progress bar on standard error, on a terminal only, from the first second on. */
typedef struct cli_progress {
    const cli *c;
    const char *what;
    int64_t started_ns, shown_ns;
    size_t total; /* 0: unknown */
    bool drawn;
} cli_progress;

void cli_progress_begin(cli_progress *p, const cli *c, const char *what, size_t total);
void cli_progress_at(cli_progress *p, size_t done);
void cli_progress_end(cli_progress *p);

/* Writes `json` (what `size` bytes say) indented. */
void cli_print_json(FILE *to, qn_slice json);
/* Prints what a call of the library gave, and frees it; or its error. The exit code. */
int cli_print_reply(cli *c, qn_status st, QN_NULLABLE char *json, size_t n);

/* ---- input: cli_input.c ------------------------------------------------------ */

/* Lines of a file; "-" is standard input, gzip is unpacked on the way. */
typedef struct cli_lines {
    void *gz;
    const char *path;
    qn_buf buffer;
    size_t begin, scanned;
    uint64_t line_number; /* of the line last returned, from 1 */
    uint64_t bytes;       /* read so far, unpacked */
    bool at_end, failed;
} cli_lines;

bool cli_lines_open(cli_lines *in, const char *path, qn_error *err);
/* The next line without its end; valid until the next call. False at the end or after a
 * failure (in->failed, err). */
bool cli_lines_next(cli_lines *in, qn_slice *line, qn_error *err);
void cli_lines_close(cli_lines *in);
/* The whole of a file ("-": standard input). */
bool cli_read_all(const char *path, size_t limit_bytes, qn_buf *out, qn_error *err);

/* ---- shared by commands ---------------------------------------------------------- */

/* cmd_ingest.c: adds the documents of all files to `table`, refreshes it; `expected`: for
 * the progress bar, 0 unknown. */
int cli_ingest(cli *c, const char *table, const char *const *paths, size_t count,
               size_t expected);
/* cmd_serve.c: serves c->q until a signal says stop. */
int cli_serve(cli *c, const char *greeting);
/* cli_open.c: a folder that came with the program ("models", "examples"), NULL when it is
 * not to be found. */
const char *cli_shipped(const char *folder, char *path, size_t size);

/* ---- commands ---------------------------------------------------------------- */

int cmd_serve(cli *c);
int cmd_demo(cli *c);
int cmd_table_create(cli *c);
int cmd_table_set(cli *c);
int cmd_table_list(cli *c);
int cmd_table_show(cli *c);
int cmd_table_drop(cli *c);
int cmd_table_backup(cli *c);
int cmd_table_restore(cli *c);
int cmd_table_stats(cli *c);
int cmd_table_check(cli *c);
int cmd_table_optimize(cli *c);
int cmd_policy_create(cli *c);
int cmd_bench_expr(cli *c);
int cmd_policy_list(cli *c);
int cmd_policy_show(cli *c);
int cmd_policy_test(cli *c);
int cmd_policy_activate(cli *c);
int cmd_policy_rollback(cli *c);
int cmd_policy_drop(cli *c);
int cmd_plugin_check(cli *c);
int cmd_plugin_put(cli *c);
int cmd_plugin_list(cli *c);
int cmd_plugin_show(cli *c);
int cmd_plugin_test(cli *c);
int cmd_plugin_activate(cli *c);
int cmd_plugin_rollback(cli *c);
int cmd_plugin_drop(cli *c);
int cmd_ingest(cli *c);
int cmd_analysis_put(cli *c);
int cmd_analysis_entries(cli *c);
int cmd_analysis_list(cli *c);
int cmd_analysis_show(cli *c);
int cmd_analysis_activate(cli *c);
int cmd_analysis_rollback(cli *c);
int cmd_analysis_drop(cli *c);
int cmd_analysis_test(cli *c);
int cmd_query(cli *c);
int cmd_search(cli *c);
int cmd_explain(cli *c);
int cmd_analyze(cli *c);
int cmd_embed(cli *c);
int cmd_rerank(cli *c);
int cmd_model_list(cli *c);
int cmd_model_show(cli *c);
int cmd_model_import(cli *c);
int cmd_model_verify(cli *c);
int cmd_model_rm(cli *c);
int cmd_model_deploy(cli *c);
int cmd_model_undeploy(cli *c);
int cmd_eval(cli *c);
int cmd_version(cli *c);

extern const cli_option cmd_serve_options[];
extern const cli_option cmd_demo_options[];
extern const cli_option cmd_table_set_options[];
extern const cli_option cmd_table_create_options[];
extern const cli_option cmd_table_options[];
extern const cli_option cmd_policy_create_options[];
extern const cli_option cmd_bench_expr_options[];
extern const cli_option cmd_policy_options[];
extern const cli_option cmd_policy_test_options[];
extern const cli_option cmd_plugin_put_options[];
extern const cli_option cmd_plugin_check_options[];
extern const cli_option cmd_plugin_options[];
extern const cli_option cmd_plugin_test_options[];
extern const cli_option cmd_ingest_options[];
extern const cli_option cmd_analysis_put_options[];
extern const cli_option cmd_analysis_options[];
extern const cli_option cmd_analysis_test_options[];
extern const cli_option cmd_query_options[];
extern const cli_option cmd_search_options[];
extern const cli_option cmd_explain_options[];
extern const cli_option cmd_analyze_options[];
extern const cli_option cmd_embed_options[];
extern const cli_option cmd_rerank_options[];
extern const cli_option cmd_model_import_options[];
extern const cli_option cmd_model_deploy_options[];
extern const cli_option cmd_model_undeploy_options[];
extern const cli_option cmd_eval_options[];
extern const cli_option cmd_version_options[];

#endif
