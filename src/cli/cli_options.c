/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const cli_option cli_common_options[] = {
    {"data", CLI_TEXT, "DIR", "./quern-data or $QUERN_DATA", "the data folder", 0, 0},
    {"models", CLI_TEXT, "DIR", "the shipped models or $QUERN_MODELS",
     "where models are looked for after the data folder", 0, 0},
    {"threads", CLI_INT, "N", "one per core", "threads for searching and for models", 1,
     1024},
    {"quiet", CLI_FLAG, NULL, "", "no progress, no remarks", 0, 0},
    {"no-color", CLI_FLAG, NULL, "", "plain text (so does NO_COLOR)", 0, 0},
    {"help", CLI_FLAG, NULL, "", "this text", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

/* Tables write names with underscores or dashes; on the command line both are taken. */
static bool same_name(qn_slice given, const char *name)
{
    if (given.n != strlen(name)) return false;
    for (size_t i = 0; i < given.n; i++) {
        char a = given.p[i] == '_' ? '-' : given.p[i],
             b = name[i] == '_' ? '-' : name[i];
        if (a != b) return false;
    }
    return true;
}

static const cli_option *find_in(const cli_option *list, qn_slice name)
{
    for (; list != NULL && list->name != NULL; list++)
        if (same_name(name, list->name)) return list;
    return NULL;
}

static const cli_option *find(const cli *c, qn_slice name)
{
    const cli_option *o = find_in(c->command->options, name);
    return o != NULL ? o : find_in(cli_common_options, name);
}

static bool unknown_option(const cli *c, qn_slice name)
{
    qn_nearest near = qn_nearest_begin(name);
    const cli_option *lists[] = {c->command->options, cli_common_options};
    for (size_t i = 0; i < 2; i++)
        for (const cli_option *o = lists[i]; o != NULL && o->name != NULL; o++)
            qn_nearest_offer(&near, qn_slice_of(o->name));
    if (near.best.p != NULL) {
        char best[64];
        (void)snprintf(best, sizeof best, "%.*s", QN_SLICE_ARG(near.best));
        for (char *p = best; *p != '\0'; p++)
            if (*p == '_') *p = '-';
        (void)cli_usage(c, "unknown option --%.*s; did you mean --%s?",
                        QN_SLICE_ARG(name), best);
    } else {
        (void)cli_usage(c, "unknown option --%.*s", QN_SLICE_ARG(name));
    }
    return false;
}

static bool check_value(const cli *c, const cli_option *o, const char *value)
{
    int64_t number = 0;
    if (o->kind != CLI_INT) return true;
    if (!qn_slice_to_i64(qn_slice_of(value), &number))
        return cli_usage(c, "--%s takes a whole number, not '%s'", o->name, value),
               false;
    if (number < o->min || number > o->max)
        return cli_usage(c, "--%s is %s; it may be %lld to %lld", o->name, value,
                         (long long)o->min, (long long)o->max),
               false;
    return true;
}

/* One option at argv[*i]; moves *i past its value. */
static bool take_option(cli *c, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 2, *equals = strchr(word, '=');
    qn_slice name = {word, equals == NULL ? strlen(word) : (size_t)(equals - word)};
    const cli_option *o = find(c, name);
    if (o == NULL) return unknown_option(c, name);
    const char *value = equals == NULL ? NULL : equals + 1;
    if (o->kind == CLI_FLAG && value != NULL)
        return cli_usage(c, "--%s takes no value", o->name), false;
    if (o->kind != CLI_FLAG && value == NULL) {
        if (*i + 1 >= argc)
            return cli_usage(c, "--%s needs a value: --%s %s", o->name, o->name,
                             o->value),
                   false;
        value = argv[++*i];
    }
    if (value != NULL && !check_value(c, o, value)) return false;
    if (c->given_count == CLI_VALUES_MAX)
        return cli_usage(c, "too many options"), false;
    c->given[c->given_count].option = o;
    c->given[c->given_count++].value = value;
    return true;
}

bool cli_parse(cli *c, int argc, char **argv)
{
    bool options = true;
    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strncmp(argv[i], "--", 2) == 0) {
            if (!take_option(c, argc, argv, &i)) return false;
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            return cli_usage(c, "unknown option %s (long options only: --help)",
                             argv[i]),
                   false;
        } else if (c->argument_count == CLI_VALUES_MAX) {
            return cli_usage(c, "too many arguments"), false;
        } else {
            c->arguments[c->argument_count++] = argv[i];
        }
    }
    c->quiet = cli_has(c, "quiet");
    c->color = !cli_has(c, "no-color") && getenv("NO_COLOR") == NULL && isatty(1);
    if (c->argument_count < c->command->arguments_min ||
        c->argument_count > c->command->arguments_max) {
        (void)cli_usage(c, "expected: quern %s %s", c->command->name,
                        c->command->arguments);
        return false;
    }
    return true;
}

bool cli_has(const cli *c, const char *name)
{
    return cli_list(c, name, 0) != NULL;
}

const char *cli_list(const cli *c, const char *name, size_t i)
{
    for (size_t k = 0; k < c->given_count; k++) {
        if (strcmp(c->given[k].option->name, name) != 0) continue;
        if (i-- == 0) return c->given[k].value == NULL ? "" : c->given[k].value;
    }
    return NULL;
}

const char *cli_text(const cli *c, const char *name, const char *fallback)
{
    static const struct {
        const char *name, *variable;
    } environment[] = {
        {"data", "QUERN_DATA"},     {"models", "QUERN_MODELS"},
        {"server", "QUERN_SERVER"}, {"listen", "QUERN_LISTEN"},
        {"config", "QUERN_CONFIG"},
    };
    const char *value = NULL;
    for (size_t k = 0; k < c->given_count; k++)
        if (strcmp(c->given[k].option->name, name) == 0) value = c->given[k].value;
    for (size_t i = 0; value == NULL && i < sizeof environment / sizeof *environment;
         i++)
        if (strcmp(environment[i].name, name) == 0)
            value = getenv(environment[i].variable);
    return value == NULL || value[0] == '\0' ? fallback : value;
}

int64_t cli_int(const cli *c, const char *name, int64_t fallback)
{
    const char *text = cli_text(c, name, NULL);
    int64_t value = fallback;
    if (text != NULL) (void)qn_slice_to_i64(qn_slice_of(text), &value);
    return value;
}

static void print_options(FILE *to, const cli_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", o->name,
                       o->value == NULL ? "" : " ", o->value == NULL ? "" : o->value);
        (void)fprintf(to, "  %-24s %s", left, o->help);
        if (o->fallback != NULL && o->fallback[0] != '\0')
            (void)fprintf(to, " (default: %s)", o->fallback);
        (void)fprintf(to, "\n");
    }
}

void cli_print_help(FILE *to, const cli_command *command)
{
    (void)fprintf(to, "quern %s %s\n\n%s\n", command->name, command->arguments,
                  command->summary);
    if (command->details != NULL) (void)fprintf(to, "\n%s\n", command->details);
    if (command->options != NULL && command->options->name != NULL) {
        (void)fprintf(to, "\nOptions\n");
        print_options(to, command->options);
    }
    (void)fprintf(to, "\nOptions of every command\n");
    print_options(to, cli_common_options);
    (void)fprintf(
        to, "\nExit codes: 0 done, 1 it failed, 2 the command line was wrong, 3 not "
            "found\n");
}

void cli_print_overview(FILE *to, const char *prefix)
{
    size_t n = prefix == NULL ? 0 : strlen(prefix);
    if (prefix == NULL)
        (void)fprintf(to,
                      "quern %s -- search, ranked in two stages, reranked by a model, "
                      "explained\n\nUsage: quern COMMAND ...\n\n",
                      quern_version());
    size_t shown = 0;
    for (size_t i = 0; i < cli_command_count; i++) {
        const cli_command *command = &cli_commands[i];
        if (n > 0 && (strncmp(command->name, prefix, n) != 0 ||
                      (command->name[n] != ' ' && command->name[n] != '\0')))
            continue;
        (void)fprintf(to, "  %-16s %s\n", command->name, command->summary);
        shown++;
    }
    if (shown == 0) (void)fprintf(to, "no command begins with '%s'\n", prefix);
    (void)fprintf(
        to, "\n'quern COMMAND --help' says more. The five-minute tour: README.md\n");
}
