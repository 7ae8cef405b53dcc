/* SPDX-License-Identifier: Apache-2.0 */
#include "test_io.h"

#include "../qn_test.h"

#include "io/file.h"

#include <stdlib.h>
#include <unistd.h>

void test_io_folder(char *out)
{
    static int count;
    qn_error err = {0};
    (void)snprintf(out, 256, "%s/test_io.%ld.%d", QN_BUILD_DIR, (long)getpid(),
                   count++);
    if (qn_dir_create(out, &err) != QN_OK) {
        print_error("%s\n", err.text);
        exit(1);
    }
}

const char *test_io_path(const char *folder, const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

int main(void)
{
    T_ROW("start");
    return test_io_json() + test_io_file() + test_io_blockfile() + test_io_wal();
}
