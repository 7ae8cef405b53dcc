/* SPDX-License-Identifier: Apache-2.0 */
#include "test_io.h"

#include "../qn_test.h"

#include "base/clock.h"
#include "io/blockfile.h"
#include "io/file.h"
#include "io/io_internal.h"

#include <errno.h>

static const char magic[8] = "QNTEST\0";
enum { VERSION = 3 };

static const struct {
    uint32_t kind, id;
    const char *bytes;
} blocks[] = {
    {2, 7, "seven"},
    {1, 0, "a first block"},
    {2, 0, ""},
    {9, 1, "x"},
};
enum { BLOCKS = sizeof blocks / sizeof *blocks };

static qn_status write_sample(qn_alloc *a, const char *path, uint8_t **image, size_t *n,
                              qn_error *err)
{
    qn_blockfile_writer *w = NULL;
    QN_TRY(qn_blockfile_writer_create(a, path, magic, VERSION, &w, err));
    qn_status st = QN_OK;
    for (size_t i = 0; i < BLOCKS && st == QN_OK; i++) {
        qn_blockfile_begin(w, blocks[i].kind, blocks[i].id);
        for (const char *c = blocks[i].bytes; *c != '\0'; c++)
            qn_blockfile_write(w, c, 1);
        st = qn_blockfile_end(w, err);
    }
    if (st == QN_OK) st = qn_blockfile_finish(w, true, err);
    if (st == QN_OK && path == NULL) {
        *image = qn_blockfile_writer_take(w, n);
        if (*image == NULL) st = QN_ENOMEM;
    }
    qn_blockfile_writer_destroy(w);
    return st;
}

static void check_sample(const qn_blockfile *f)
{
    qn_error err = {0};
    qn_slice s;
    T_EQ_I(qn_blockfile_version(f), VERSION);
    T_EQ_I(qn_blockfile_count(f), BLOCKS);
    for (size_t i = 0; i < BLOCKS; i++) {
        T_CALL(qn_blockfile_block(f, blocks[i].kind, blocks[i].id, &s, &err), &err);
        T_OK(qn_slice_eq_str(s, blocks[i].bytes));
        T_EQ_I((uintptr_t)s.p % QN_BLOCK_ALIGN, 0);
        T_OK(qn_blockfile_has(f, blocks[i].kind, blocks[i].id));
    }
    T_EQ_I(qn_blockfile_block(f, 2, 1, &s, &err), QN_ENOTFOUND);
    T_OK(s.n == 0 && !qn_blockfile_has(f, 2, 1));
    T_CALL(qn_blockfile_verify(f, &err), &err);
    uint32_t kind = 0, id = 0;
    uint64_t offset = 0, size = 0;
    qn_blockfile_entry(f, 0, &kind, &id, &offset, &size);
    T_OK(kind == 1 && id == 0 && size == 13 && offset % QN_BLOCK_ALIGN == 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256], path[300];
    test_io_folder(dir);
    (void)snprintf(path, sizeof path, "%s/f", dir);
    qn_error err = {0};
    uint8_t *image = NULL;
    size_t n = 0;
    T_CALL(write_sample(&a, path, NULL, NULL, &err), &err);
    T_CALL(write_sample(&a, NULL, &image, &n, &err), &err);
    qn_buf bytes = {.alloc = qn_alloc_heap()};
    T_CALL(qn_file_read(path, 1 << 20, &bytes, &err), &err);
    T_OK(bytes.n == n && memcmp(bytes.p, image, n) == 0); /* the same either way */

    qn_blockfile *f = NULL;
    T_CALL(qn_blockfile_open(&a, path, magic, VERSION, &f, &err), &err);
    check_sample(f);
    T_EQ_I(qn_blockfile_size(f), n);
    T_EQ_S(qn_blockfile_name(f), path);
    qn_blockfile_close(f);
    memmove(qn_buf_reserve(&bytes, 1) - bytes.n + 1, bytes.p, bytes.n);
    T_CALL(qn_blockfile_open_memory(&a, (uint8_t *)bytes.p + 1, n, false, "odd", magic,
                                    VERSION, &f, &err),
           &err);
    check_sample(f);
    qn_blockfile_close(f);
    T_EQ_I(
        qn_blockfile_open_memory(&a, image, n, true, "m", magic, VERSION - 1, &f, &err),
        QN_EVERSION);
    T_EQ_I(
        qn_blockfile_open_memory(&a, image, n, true, "m", "QNOTHER", VERSION, &f, &err),
        QN_ECORRUPT);
    T_CALL(qn_blockfile_open_memory(&a, image, n, true, "m", magic, VERSION, &f, &err),
           &err);
    check_sample(f);
    qn_blockfile_close(f);
    T_EQ_I(atomic_load(&a.live_bytes), 0);
    qn_buf_deinit(&bytes);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* Opens an image and reads all of its blocks. */
static qn_status read_image(qn_alloc *a, const uint8_t *image, size_t n, qn_error *err)
{
    qn_blockfile *f = NULL;
    QN_TRY(qn_blockfile_open_memory(a, image, n, false, "m", magic, VERSION, &f, err));
    qn_status st = QN_OK;
    for (size_t i = 0; i < BLOCKS && st == QN_OK; i++) {
        qn_slice s;
        st = qn_blockfile_block(f, blocks[i].kind, blocks[i].id, &s, err);
    }
    if (st == QN_OK) st = qn_blockfile_verify(f, err);
    qn_blockfile_close(f);
    return st;
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    qn_alloc a = {0};
    qn_error err = {0};
    uint8_t *image = NULL;
    size_t n = 0;
    T_CALL(write_sample(&a, NULL, &image, &n, &err), &err);
    for (size_t bit = 0; bit < n * 8; bit++) {
        image[bit / 8] = (uint8_t)(image[bit / 8] ^ 1u << bit % 8);
        err = (qn_error){0};
        if (read_image(&a, image, n, &err) != QN_ECORRUPT)
            T_FAIL("bit %zu of byte %zu of %zu: undetected", bit % 8, bit / 8, n);
        T_OK(err.file[0] == 'm' && err.at <= n);
        image[bit / 8] = (uint8_t)(image[bit / 8] ^ 1u << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut++)
        if (read_image(&a, image, cut, &err) != QN_ECORRUPT)
            T_FAIL("cut to %zu of %zu: undetected", cut, n);
    T_CALL(read_image(&a, image, n, &err), &err);
    qn_delete_aligned(&a, image);
    T_EQ_I(atomic_load(&a.live_bytes), 0);
}

static void test_big_blocks(void **state)
{
    (void)state;
    enum { BIG = 3 * 1024 * 1024 + 5 };
    qn_alloc a = {0};
    char dir[256], path[300];
    test_io_folder(dir);
    (void)snprintf(path, sizeof path, "%s/f", dir);
    uint8_t *bytes = qn_new0(&a, BIG);
    qn_rng rng = {.state = 3};
    for (size_t i = 0; i < BIG; i++) bytes[i] = (uint8_t)qn_rng_next(&rng);
    qn_blockfile_writer *w = NULL;
    qn_error err = {0};
    T_CALL(qn_blockfile_writer_create(&a, path, magic, 1, &w, &err), &err);
    T_CALL(qn_blockfile_put(w, 1, 1, bytes, BIG, &err), &err);
    qn_blockfile_begin(w, 1, 2);
    for (size_t at = 0; at < BIG;) {
        size_t piece = 1 + (size_t)(qn_rng_next(&rng) % 300000);
        if (piece > BIG - at) piece = BIG - at;
        qn_blockfile_write(w, bytes + at, piece);
        at += piece;
    }
    T_CALL(qn_blockfile_end(w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    qn_blockfile_writer_destroy(w);
    qn_blockfile *f = NULL;
    T_CALL(qn_blockfile_open(&a, path, magic, 1, &f, &err), &err);
    for (uint32_t id = 1; id <= 2; id++) {
        qn_slice s;
        T_CALL(qn_blockfile_block(f, 1, id, &s, &err), &err);
        T_OK(s.n == BIG && memcmp(s.p, bytes, BIG) == 0);
    }
    qn_blockfile_close(f);
    qn_delete(&a, bytes);
    T_EQ_I(atomic_load(&a.live_bytes), 0);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* Each call, then each allocation, fails once: an error, nothing left behind. */
static void test_write_faults(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256], path[300];
    test_io_folder(dir);
    (void)snprintf(path, sizeof path, "%s/f", dir);
    qn_error err = {0};
    long n = 1;
    for (bool failed = true; failed; n++) {
        qn_io__fault = (qn_io_fault){
            .calls = QN_IO_ALL, .countdown = n, .errnum = ENOSPC, .torn = true};
        qn_status st = write_sample(&a, path, NULL, NULL, &err);
        failed = atomic_load(&qn_io__fault.delivered) > 0;
        qn_io__fault = (qn_io_fault){0};
        T_EQ_I(st, failed ? QN_ENOSPC : QN_OK);
        T_EQ_I(qn_file_exists(path), !failed);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
    T_OK(n > 4);
    qn_status st = QN_ENOMEM;
    for (n = 1; st != QN_OK; n++) {
        uint8_t *image = NULL;
        size_t size = 0;
        atomic_store(&a.fail_countdown, n);
        st = write_sample(&a, NULL, &image, &size, &err);
        if (st == QN_OK) st = read_image(&a, image, size, &err);
        T_OK(st == QN_OK || st == QN_ENOMEM);
        qn_delete_aligned(&a, image);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* ---- blocks of several pages ------------------------------------------------------ */

enum { PAGE = 65536 };

static const struct {
    const char *name;
    size_t size;
} long_rows[] = {
    {"one page", PAGE},
    {"a byte more", PAGE + 1},
    {"two pages", 2 * PAGE},
    {"three pages and a bit", 3 * PAGE + 77},
};

static uint8_t *long_image(size_t size, size_t *n)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    char *bytes = qn_new_array(qn_alloc_heap(), size, 1);
    T_OK(bytes != NULL);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(i * 7 + (i >> 8));
    T_CALL(qn_blockfile_writer_create(qn_alloc_heap(), NULL, magic, VERSION, &w, &err),
           &err);
    T_CALL(qn_blockfile_put(w, 1, 1, "before", 6, &err), &err);
    qn_blockfile_begin(w, 1, 2);
    for (size_t i = 0; i < size; i += 1000)
        qn_blockfile_write(w, bytes + i, size - i < 1000 ? size - i : 1000);
    T_CALL(qn_blockfile_end(w, &err), &err);
    T_CALL(qn_blockfile_put(w, 1, 3, "behind", 6, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *image = qn_blockfile_writer_take(w, n);
    qn_blockfile_writer_destroy(w);
    qn_delete(qn_alloc_heap(), bytes);
    return image;
}

static qn_blockfile *open_long(const uint8_t *image, size_t n)
{
    qn_error err = {0};
    qn_blockfile *f = NULL;
    T_CALL(qn_blockfile_open_memory(qn_alloc_heap(), image, n, false, "m", magic,
                                    VERSION, &f, &err),
           &err);
    return f;
}

static void flip(uint8_t *image, size_t at)
{
    image[at] = (uint8_t)(image[at] ^ 0x10);
}

/* A part is refused exactly when a page that it touches is damaged. */
static void check_damage(uint8_t *image, size_t n, size_t begin, size_t size,
                         size_t where)
{
    qn_error err = {0};
    qn_slice s;
    size_t page = size > PAGE ? where / PAGE : 0, pages = (size - 1) / PAGE + 1;
    flip(image, begin + where);
    qn_blockfile *f = open_long(image, n);
    for (size_t p = 0; p < pages; p++) {
        qn_status want = p == page ? QN_ECORRUPT : QN_OK;
        T_EQ_I(qn_blockfile_part(f, 1, 2, p * PAGE, 1, &s, &err), want);
        if (want != QN_OK) T_EQ_I(err.at, begin + page * PAGE);
        if (want == QN_OK) T_EQ_I(s.n, size);
    }
    T_EQ_I(qn_blockfile_part(f, 1, 2, 0, size, &s, &err), QN_ECORRUPT);
    T_EQ_I(qn_blockfile_block(f, 1, 2, &s, &err), QN_ECORRUPT);
    T_EQ_I(qn_blockfile_verify(f, &err), QN_ECORRUPT);
    T_CALL(qn_blockfile_block(f, 1, 1, &s, &err), &err);
    T_CALL(qn_blockfile_block(f, 1, 3, &s, &err), &err);
    qn_blockfile_close(f);
    flip(image, begin + where);
}

/* Checksums of pages, the zeros around them, the block behind, directory, footer. */
static void check_behind(uint8_t *image, size_t n, size_t from)
{
    qn_error err = {0};
    for (size_t at = from; at < n; at++) {
        flip(image, at);
        qn_blockfile *f = NULL;
        qn_status st = qn_blockfile_open_memory(qn_alloc_heap(), image, n, false, "m",
                                                magic, VERSION, &f, &err);
        if (st == QN_OK) st = qn_blockfile_verify(f, &err);
        T_EQ_I(st, QN_ECORRUPT);
        qn_blockfile_close(f);
        flip(image, at);
    }
}

static void test_pages(void **state)
{
    (void)state;
    qn_error err = {0};
    for (size_t r = 0; r < sizeof long_rows / sizeof *long_rows; r++) {
        T_ROW(long_rows[r].name);
        size_t n = 0, size = long_rows[r].size;
        uint8_t *image = long_image(size, &n);
        qn_blockfile *f = open_long(image, n);
        uint32_t kind = 0, id = 0;
        uint64_t begin = 0, found = 0;
        qn_slice s;
        qn_blockfile_entry(f, 1, &kind, &id, &begin, &found);
        T_OK(id == 2 && found == size);
        T_CALL(qn_blockfile_part(f, 1, 2, size + 5, 9, &s, &err), &err); /* outside */
        T_CALL(qn_blockfile_part(f, 1, 2, size - 1, UINT64_MAX, &s, &err), &err);
        T_CALL(qn_blockfile_block(f, 1, 2, &s, &err), &err);
        T_EQ_I(s.n, size);
        T_EQ_I(s.p[size - 1], (char)((size - 1) * 7 + ((size - 1) >> 8)));
        T_CALL(qn_blockfile_verify(f, &err), &err);
        qn_blockfile_close(f);
        for (size_t at = 0; at < size; at += 20011)
            check_damage(image, n, (size_t)begin, size, at);
        check_damage(image, n, (size_t)begin, size, size - 1);
        check_behind(image, n, (size_t)begin + size);
        qn_delete_aligned(qn_alloc_heap(), image);
    }
}

int test_io_blockfile(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_big_blocks),   cmocka_unit_test(test_pages),
        cmocka_unit_test(test_write_faults),
    };
    return cmocka_run_group_tests_name("io/blockfile", tests, NULL, NULL);
}
