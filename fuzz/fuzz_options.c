/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the server's configuration file: refused with a reason, or options that
 * print a file which gives the same options. */
#include "engine_target.h"
#include "server/server_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static qn_status read_as_file(const char *bytes, size_t n, qn_server_options *o,
                              qn_error *err)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/quern.conf", target_folder());
    FILE *f = fopen(path, "wb");
    qn_assert(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    qn_server_options_init(o);
    return qn_server_options_read_file(o, path, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static qn_server_options o, again;
    qn_error err = {0};
    qn_status st = read_as_file((const char *)bytes, n, &o, &err);
    if (st != QN_OK) {
        qn_assert(err.text[0] != '\0');
        return 0;
    }
    qn_buf first = {.alloc = qn_alloc_heap()}, second = {.alloc = qn_alloc_heap()};
    qn_server_options_print(&o, &first);
    qn_assert(read_as_file(first.p, first.n, &again, &err) == QN_OK);
    qn_server_options_print(&again, &second);
    qn_assert(qn_slice_eq(qn_buf_slice(&first), qn_buf_slice(&second)));
    qn_buf_deinit(&first);
    qn_buf_deinit(&second);
    return 0;
}
