/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c -- runs a fuzz target over its corpus without a fuzzing engine: every file of
 * the folder given, then a few thousand mutations of them from a fixed seed, so that the
 * target is exercised in every build. */
#include "base/clock.h"
#include "base/slice.h"
#include "io/file.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS_PER_FILE = 200, FILE_MAX_BYTES = 1 << 20, TIME_MAX_MS = 2000 };

typedef struct replay {
    const char *folder;
    size_t files, runs;
    int64_t stop_ns;
} replay;

/* Flips, overwrites, cuts and repeats some bytes of a copy. */
static void mutate(qn_buf *copy, qn_rng *rng)
{
    size_t edits = 1 + (size_t)(qn_rng_next(rng) % 4);
    while (edits-- > 0 && copy->n > 0) {
        size_t at = (size_t)(qn_rng_next(rng) % copy->n);
        switch (qn_rng_next(rng) % 4) {
        case 0:
            copy->p[at] = (char)(copy->p[at] ^ (char)(1 << (qn_rng_next(rng) % 8)));
            break;
        case 1:
            copy->p[at] = (char)qn_rng_next(rng);
            break;
        case 2:
            copy->n = at;
            break;
        default: {
            char again[64];
            size_t n = copy->n - at < sizeof again ? copy->n - at : sizeof again;
            memcpy(again, copy->p + at, n);
            qn_buf_add(copy, again, n);
        }
        }
    }
}

static void run(replay *r, const char *bytes, size_t n)
{
    /* A block of exactly n bytes: the sanitizer sees a read past the end. */
    uint8_t *exact = qn_new0(qn_alloc_heap(), n);
    if (exact == NULL) return;
    if (n > 0) memcpy(exact, bytes, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    qn_delete(qn_alloc_heap(), exact);
    r->runs++;
}

static bool run_file(void *ctx, const char *name, bool is_dir)
{
    replay *r = ctx;
    char path[4096];
    qn_buf bytes, copy;
    qn_rng rng = {0x51534E00u + r->files};
    if (is_dir) return true;
    (void)snprintf(path, sizeof path, "%s/%s", r->folder, name);
    qn_buf_init(&bytes, qn_alloc_heap());
    qn_buf_init(&copy, qn_alloc_heap());
    if (qn_file_read(path, FILE_MAX_BYTES, &bytes, NULL) == QN_OK) {
        r->files++;
        run(r, bytes.p, bytes.n);
        for (int i = 0; i < MUTATIONS_PER_FILE && qn_clock_mono_ns() < r->stop_ns;
             i++) {
            qn_buf_reset(&copy);
            qn_buf_add(&copy, bytes.p, bytes.n);
            mutate(&copy, &rng);
            run(r, copy.p, copy.n);
        }
    }
    qn_buf_deinit(&bytes);
    qn_buf_deinit(&copy);
    return true;
}

int main(int argc, char **argv)
{
    replay r = {.folder = argc > 1 ? argv[1] : "."};
    r.stop_ns = qn_clock_mono_ns() + (int64_t)TIME_MAX_MS * 1000000;
    qn_error err = {0};
    run(&r, "", 0);
    if (qn_dir_list(r.folder, run_file, &r, &err) != QN_OK || r.files == 0) {
        (void)fprintf(stderr, "no corpus in %s: %s\n", r.folder, err.text);
        return 1;
    }
    (void)printf("%zu files, %zu inputs\n", r.files, r.runs);
    return 0;
}
