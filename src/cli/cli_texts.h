/* SPDX-License-Identifier: Apache-2.0 */
/* cli_texts.h -- texts from lines, for the commands that run a model over them. */
#ifndef QN_CLI_CLI_TEXTS_H
#define QN_CLI_CLI_TEXTS_H

#include "base/arena.h"
#include "base/vec.h"
#include "cli/cli.h"
#include "io/json.h"

typedef struct cli_texts {
    qn_arena arena;
    QN_VEC(quern_text) texts;
} cli_texts;

void cli_texts_init(cli_texts *l);
void cli_texts_deinit(cli_texts *l);
/* Adds a line: {"text": ...}, a JSON string, or the bare line. An object without a text is
 * refused by the line's number. The exit code. */
int cli_texts_add(cli *c, cli_texts *l, qn_slice line, uint64_t number);
/* All lines of a file, "-" being standard input. The exit code. */
int cli_texts_read(cli *c, const char *path, cli_texts *l);
/* Prints that memory ran out; the exit code. */
int cli_no_memory(const cli *c);

/* How results are printed: one JSON object a line, or one list of them. */
typedef struct cli_items {
    bool list;
    size_t count;
} cli_items;

/* --format jsonl (the default) or json, and --json; `table` when that is known too. */
bool cli_items_begin(cli *c, cli_items *items, bool *table);
void cli_items_add(cli_items *items, const qn_buf *object);
void cli_items_end(cli_items *items);

/* cmd_words.c: what quern_attribute() said, as bars. */
void cli_print_words(const cli *c, qn_slice json);

#endif
