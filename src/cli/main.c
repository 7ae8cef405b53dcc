/* SPDX-License-Identifier: Apache-2.0 */
/* main.c -- finds the command that the words name, and runs it. */
#include "cli/cli.h"

#include "base/nearest.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many of the words make up the command's name; 0: not this command. */
static size_t words_of(const cli_command *command, int argc, char **argv)
{
    const char *name = command->name;
    size_t used = 0;
    while (*name != '\0') {
        size_t n = strcspn(name, " ");
        if (1 + used >= (size_t)argc) return 0;
        const char *word = argv[1 + used];
        if (strlen(word) != n || memcmp(word, name, n) != 0) return 0;
        used++;
        name += n;
        while (*name == ' ') name++;
    }
    return used;
}

static int unknown_command(const char *word)
{
    qn_nearest near = qn_nearest_begin(qn_slice_of(word));
    for (size_t i = 0; i < cli_command_count; i++) {
        qn_slice name = qn_slice_of(cli_commands[i].name);
        const char *blank = memchr(name.p, ' ', name.n);
        if (blank != NULL) name.n = (size_t)(blank - name.p);
        qn_nearest_offer(&near, name);
    }
    (void)fprintf(stderr, "quern: unknown command '%s'", word);
    if (near.best.p != NULL)
        (void)fprintf(stderr, "; did you mean '%.*s'?", QN_SLICE_ARG(near.best));
    (void)fprintf(stderr, "\n'quern --help' lists the commands\n");
    return 2;
}

static bool is_group(const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i < cli_command_count; i++)
        if (strncmp(cli_commands[i].name, word, n) == 0 &&
            cli_commands[i].name[n] == ' ')
            return true;
    return false;
}

static int run(cli *c, int argc, char **argv, size_t words)
{
    int rest = argc - 1 - (int)words;
    for (int i = 0; i < rest; i++)
        if (strcmp(argv[1 + (int)words + i], "--help") == 0) {
            cli_print_help(stdout, c->command);
            return 0;
        }
    if (!cli_parse(c, rest, argv + 1 + words)) return 2;
    int code = c->command->run(c);
    cli_close(c);
    if (fflush(stdout) != 0) {
        (void)fprintf(stderr, "quern: cannot write the result to standard output\n");
        return code == 0 ? 1 : code;
    }
    return code;
}

int main(int argc, char **argv)
{
    /* A reader that went away (quern ... | head) is an error to see, not to die from. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        cli_print_overview(stderr, NULL);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        cli_print_overview(stdout, argc > 2 ? argv[2] : NULL);
        return 0;
    }
    static char version_word[] = "version";
    if (strcmp(argv[1], "--version") == 0) argv[1] = version_word;

    static cli c;
    size_t words = 0;
    for (size_t i = 0; i < cli_command_count; i++) {
        size_t n = words_of(&cli_commands[i], argc, argv);
        if (n <= words) continue;
        words = n;
        c.command = &cli_commands[i];
    }
    if (words > 0) return run(&c, argc, argv, words);
    if (!is_group(argv[1])) return unknown_command(argv[1]);
    bool asked = argc > 2 && strcmp(argv[2], "--help") == 0;
    if (argc > 2 && !asked)
        (void)fprintf(stderr, "quern: unknown command '%s %s'\n", argv[1], argv[2]);
    cli_print_overview(asked ? stdout : stderr, argv[1]);
    return asked ? 0 : 2;
}
