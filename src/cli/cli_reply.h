/* SPDX-License-Identifier: Apache-2.0 */
/* cli_reply.h -- a search's reply for people (a table, stage by stage) and for programs. */
#ifndef QN_CLI_CLI_REPLY_H
#define QN_CLI_CLI_REPLY_H

#include "cli/cli.h"

/* Hits with every stage that took part, how far the last stage moved them, timings, and
 * explanations when they were asked for. */
void cli_reply_table(const cli *c, const quern_reply *reply);
/* The same with every column, used or not: the demo. */
void cli_reply_table_all(const cli *c, const quern_reply *reply);
void cli_reply_json(const cli *c, const quern_reply *reply);
/* "title", "name", else the first short text of the source; "" when there is none.
 * `room`: where the text is unescaped to. */
const char *cli_reply_title(const quern_hit *hit, char *room, size_t size);

#endif
