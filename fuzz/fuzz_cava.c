/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the files of a plug-in, parted by a zero byte. What is refused says where,
 * in lines that the source has; what is accepted passes the verifier, prints itself, and
 * every static method without parameters ends within its limits. */
#include "expr/cava/cava.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static qn_status host_call(void *ctx, qn_cava_call *call, qn_error *err)
{
    (void)ctx, (void)call;
    return qn_fail(err, QN_EPLUGIN, "no host");
}

static size_t split(const uint8_t *data, size_t size, qn_cava_file *files)
{
    const char *p = (const char *)data, *limit = p + size;
    size_t n = 0;
    while (n < QN_CAVA_FILES_MAX) {
        const char *end = memchr(p, '\0', (size_t)(limit - p));
        if (end == NULL || n + 1 == QN_CAVA_FILES_MAX) end = limit;
        files[n++] = (qn_cava_file){QN_SLICE_LIT("f.cava"), {p, (size_t)(end - p)}};
        if (end == limit) break;
        p = end + 1;
    }
    return n;
}

static void run_all(const qn_cava_program *p)
{
    static const char *const signatures[] = {
        "static int f()",  "static double f()", "static boolean f()", "static long f()",
        "static void f()", "static float f()",  "static CString f()"};
    const qn_cava_host host = {NULL, host_call};
    const qn_cava_limits limits = {.heap_bytes = 1 << 18, .fuel = 20000, .seed = 1};
    qn_cava_class_name name;
    for (size_t i = 0; qn_cava_class_at(p, i, &name); i++) {
        for (size_t k = 0; k < sizeof signatures / sizeof *signatures; k++) {
            qn_cava_run *run = NULL;
            qn_cava_slot value;
            qn_error err = {0};
            size_t m = qn_cava_find(p, (qn_slice){name.text, name.n}, signatures[k]);
            if (m == SIZE_MAX) continue;
            qn_assert(qn_cava_run_create(qn_alloc_heap(), p, &host, &limits, &run,
                                         &err) == QN_OK);
            qn_status st = qn_cava_run_call(run, m, NULL, 0, &value, &err);
            qn_assert(st == QN_OK || (st == QN_EPLUGIN && err.text[0] != '\0'));
            qn_assert(qn_cava_run_usage(run).fuel <= limits.fuel);
            qn_assert(qn_cava_run_usage(run).heap_bytes <= limits.heap_bytes);
            qn_cava_run_destroy(run);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qn_cava_file files[QN_CAVA_FILES_MAX];
    qn_cava_report report;
    qn_cava_program *p = NULL;
    qn_error err = {0};
    qn_buf text;
    size_t n = split(data, size, files);
    qn_buf_init(&text, qn_alloc_heap());
    qn_status st = qn_cava_compile(qn_alloc_heap(), files, n, &report, &p, &err);
    qn_assert(st == QN_OK || st == QN_EPLUGINCODE || st == QN_ELIMIT ||
              st == QN_ESYNTAX);
    qn_cava_report_print(&report, files, &text);
    if (st == QN_EPLUGINCODE) qn_assert(report.n > 0 && text.n > 0);
    if (st == QN_OK) {
        qn_cava_program_dump(p, &text);
        qn_assert(!text.failed);
        run_all(p);
    }
    qn_buf_deinit(&text);
    qn_cava_program_destroy(p);
    return 0;
}
