/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "io/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *cli_shipped(const char *folder, char *path, size_t size)
{
    /* In a source tree (build/release/quern) and where it is installed (bin/quern). */
    static const char *const relative[] = {"/../..", "/../share/quern"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return NULL;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) *slash = '\0';
    for (size_t i = 0; i < sizeof relative / sizeof *relative; i++) {
        int used = snprintf(path, size, "%s%s/%s", self, relative[i], folder);
        if (used > 0 && (size_t)used < size && qn_file_exists(path)) return path;
    }
    return NULL;
}

bool cli_open(cli *c)
{
    static char models[4200];
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = cli_text(c, "data", "quern-data");
    o.models_dir = cli_text(c, "models", cli_shipped("models", models, sizeof models));
    o.search_threads = o.neural_threads = (unsigned)cli_int(c, "threads", 0);
    o.async_commit = cli_has(c, "no-sync");
    if (quern_open(&o, &c->q, &c->err) == QN_OK) return true;
    (void)cli_open_failed(c);
    return false;
}

int cli_open_failed(const cli *c)
{
    int code = cli_fail(c, &c->err);
    if (c->err.code == QN_ELOCKED)
        (void)fprintf(
            stderr,
            "Stop that process, use another folder (--data DIR), or go through the "
            "server: --server URL\n");
    return code;
}

void cli_close(cli *c)
{
    quern_close(c->q);
    c->q = NULL;
}

const char *cli_server(const cli *c)
{
    return cli_text(c, "server", NULL);
}
