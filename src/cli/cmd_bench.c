/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench.c -- quern bench ...: what work costs on the user's own table. */
#include "cli/cli.h"

#include "io/json.h"

const cli_option cmd_bench_expr_options[] = {
    {"formula", CLI_TEXT, "EXPR", "", "the formula to measure", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

int cmd_bench_expr(cli *c)
{
    const char *formula = cli_text(c, "formula", NULL);
    quern_formula_figures f;
    if (formula == NULL || formula[0] == 0)
        return cli_usage(c, "bench expr needs --formula 'EXPR'");
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_formula_measure(c->q, c->arguments[0], formula, &f, &c->err) != QN_OK)
        return c->err.at != QN_AT_NONE ? cli_fail_at(c, &c->err, qn_slice_of(formula))
                                       : cli_fail(c, &c->err);
    (void)printf("documents            %llu\n"
                 "compile              %.1f us\n"
                 "interpreted          %.0f documents/s\n",
                 (unsigned long long)f.documents, f.compile_us, f.documents_per_second);
    if (f.machine_code)
        (void)printf("machine code         %.0f documents/s, made in %.0f us\n",
                     f.machine_code_documents_per_second, f.machine_code_us);
    else
        (void)printf("machine code         none: %s\n",
                     f.documents == 0
                         ? "no documents"
                         : "no LLVM (quern version --build), or nothing to "
                           "compile");
    return 0;
}
