/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder/packed_copy.h"

#include "base/log.h"
#include "io/file.h"

#include <inttypes.h>

enum {
    NAMES_LIMIT = 1 << 20,
    SPARE_BYTES = 64 << 20, /* left free on the disk */
};
#define SUFFIX ".qnp"
#define AREA "nn"

struct qn_packed_copy {
    qn_alloc *alloc;
    const qn_kernels *kernels;
    qn_packed_place place;
    char *stem; /* "reranker." */
    char *path, *temporary;
    qn_blockfile *file; /* mapped */
    qn_slice names;
    bool unfit; /* something in it was not as asked for */
    /* collecting */
    qn_blockfile_writer *writer;
    qn_buf list;
    uint32_t count;
    qn_lock lock;
};

/* ---- names ------------------------------------------------------------------ */

static char *printed(qn_alloc *a, const char *dir, const char *name, const char *end)
{
    qn_buf b;
    qn_buf_init(&b, a);
    qn_buf_printf(&b, "%s/%s%s", dir, name, end);
    char *s = b.failed ? NULL : qn_buf_take(&b, NULL);
    qn_buf_deinit(&b);
    return s;
}

/* The file's name without folder and suffix, and a dot. */
static char *stem_of(qn_alloc *a, const char *path)
{
    qn_slice s = qn_slice_of(path);
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == '/') {
            s = (qn_slice){s.p + i, s.n - i};
            break;
        }
    if (qn_slice_ends_with(s, ".qnm")) s.n -= 4;
    qn_buf b;
    qn_buf_init(&b, a);
    qn_buf_add_slice(&b, s);
    qn_buf_add_char(&b, '.');
    char *stem = b.failed ? NULL : qn_buf_take(&b, NULL);
    qn_buf_deinit(&b);
    return stem;
}

static qn_status name_all(qn_packed_copy *c, const qn_qnm *model, qn_error *err)
{
    c->stem = stem_of(c->alloc, qn_qnm_name(model));
    qn_buf name;
    qn_buf_init(&name, c->alloc);
    if (c->stem != NULL)
        qn_buf_printf(&name, "%s%016" PRIx64 ".%s.%d-%d", c->stem, qn_qnm_digest(model),
                      c->kernels->name, QN_PACKED_VERSION, QN_GEMM_PACKED_VERSION);
    if (c->stem != NULL && !name.failed) {
        c->path = printed(c->alloc, c->place.dir, name.p, SUFFIX);
        c->temporary = printed(c->alloc, c->place.dir, name.p, SUFFIX ".tmp");
    }
    qn_buf_deinit(&name);
    if (c->path != NULL && c->temporary != NULL) return QN_OK;
    return qn_fail(err, QN_ENOMEM, "packed copy");
}

/* Line `name` of the names, or count. */
static bool find(const qn_packed_copy *c, const char *name, uint32_t *id)
{
    size_t n = strlen(name), at = 0;
    for (uint32_t i = 0; at < c->names.n; i++) {
        const char *line = c->names.p + at;
        const char *end = memchr(line, '\n', c->names.n - at);
        size_t length = end == NULL ? c->names.n - at : (size_t)(end - line);
        *id = i;
        if (length == n && memcmp(line, name, n) == 0) return true;
        at += length + 1;
    }
    return false;
}

/* ---- mapping ---------------------------------------------------------------- */

static void remove_logged(const char *path)
{
    qn_error err = {0};
    if (qn_file_remove(path, &err) != QN_OK)
        qn_log(QN_LOG_WARN, AREA, "packed copies: %s", err.text);
}

static void remove_file(const qn_packed_copy *c)
{
    if (!c->place.read_only) remove_logged(c->path);
}

/* A copy that is there and whole. One that is damaged is removed. */
static void map(qn_packed_copy *c)
{
    qn_error err = {0};
    if (!qn_file_exists(c->path)) return;
    qn_status st = qn_blockfile_open(c->alloc, c->path, QN_PACKED_MAGIC,
                                     QN_PACKED_VERSION, &c->file, &err);
    if (st == QN_OK) st = qn_blockfile_verify(c->file, &err);
    if (st == QN_OK)
        st = qn_blockfile_block(c->file, QN_PACKED_NAMES, 0, &c->names, &err);
    if (st == QN_OK) return;
    qn_log(QN_LOG_WARN, AREA, "the packed copy is not used: %s", err.text);
    qn_blockfile_close(c->file);
    c->file = NULL;
    if (st == QN_ECORRUPT || st == QN_EVERSION || st == QN_ENOTFOUND) remove_file(c);
}

bool qn_packed_copy_is_mapped(const qn_packed_copy *c)
{
    return c != NULL && c->file != NULL;
}

uint64_t qn_packed_copy_bytes(const qn_packed_copy *c)
{
    return qn_packed_copy_is_mapped(c) ? qn_blockfile_size(c->file) : 0;
}

bool qn_packed_copy_weight(qn_packed_copy *c, const char *name, qn_gemm_type type,
                           size_t N, size_t K, qn_gemm **out)
{
    uint32_t id = 0;
    qn_slice bytes = {0};
    qn_error err = {0};
    *out = NULL;
    if (!qn_packed_copy_is_mapped(c)) return false;
    bool fits =
        find(c, name, &id) &&
        qn_blockfile_block(c->file, QN_PACKED_WEIGHT, id, &bytes, &err) == QN_OK &&
        qn_gemm_packed_open(c->alloc, c->kernels, bytes.p, bytes.n, out, &err) ==
            QN_OK &&
        qn_gemm_type_of(*out) == type && qn_gemm_rows(*out) == N &&
        qn_gemm_columns(*out) == K;
    if (fits) return true;
    c->unfit = true;
    qn_gemm_destroy(*out);
    *out = NULL;
    return false;
}

const float *qn_packed_copy_values(qn_packed_copy *c, const char *name, size_t count)
{
    uint32_t id = 0;
    qn_slice bytes = {0};
    if (!qn_packed_copy_is_mapped(c)) return NULL;
    if (find(c, name, &id) &&
        qn_blockfile_block(c->file, QN_PACKED_VALUES, id, &bytes, NULL) == QN_OK &&
        bytes.n == count * sizeof(float))
        return (const float *)(const void *)bytes.p;
    c->unfit = true;
    return NULL;
}

/* ---- collecting ------------------------------------------------------------- */

static void give_up(qn_packed_copy *c, const qn_error *err)
{
    qn_log(QN_LOG_INFO, AREA, "no packed copy beside the models: %s", err->text);
    qn_blockfile_writer_destroy(c->writer);
    c->writer = NULL;
    qn_lock_release(&c->lock);
}

/* The file will hardly be more than twice the model's, which it is for bf16 on a CPU
 * without it. */
static qn_status enough_room(const qn_packed_copy *c, const qn_qnm *model,
                             qn_error *err)
{
    uint64_t left = 0;
    QN_TRY(qn_file_free_bytes(c->place.dir, &left, err));
    if (left >= 2 * qn_qnm_size(model) + SPARE_BYTES) return QN_OK;
    return qn_fail(err, QN_ENOSPC, "%" PRIu64 " MB are free in %s", left >> 20,
                   c->place.dir);
}

/* Whoever has the lock of a name is the only one who writes copies of it. */
static qn_status start(qn_packed_copy *c, const qn_qnm *model, qn_error *err)
{
    QN_TRY(qn_dir_create(c->place.dir, err));
    QN_TRY(enough_room(c, model, err));
    char *lock = printed(c->alloc, c->place.dir, c->stem, "lock");
    if (lock == NULL) return qn_fail(err, QN_ENOMEM, "packed copy");
    qn_status st = qn_lock_acquire(lock, &c->lock, err);
    qn_delete(c->alloc, lock);
    QN_TRY(st);
    QN_TRY(qn_file_remove(c->temporary, err));
    return qn_blockfile_writer_create(c->alloc, c->temporary, QN_PACKED_MAGIC,
                                      QN_PACKED_VERSION, &c->writer, err);
}

qn_status qn_packed_copy_open(qn_alloc *a, const qn_packed_place *place,
                              const qn_kernels *kernels, const qn_qnm *model,
                              qn_packed_copy **out, qn_error *err)
{
    *out = NULL;
    if (place->dir == NULL) return QN_OK;
    qn_packed_copy *c = qn_new0(a, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "packed copy");
    c->alloc = a;
    c->kernels = kernels;
    c->place = *place;
    c->lock.fd = -1;
    qn_buf_init(&c->list, a);
    qn_status st = name_all(c, model, err);
    if (st == QN_OK) {
        map(c);
        qn_error why = {0};
        if (c->file == NULL && !place->read_only && start(c, model, &why) != QN_OK)
            give_up(c, &why);
    }
    if (st != QN_OK || (c->file == NULL && c->writer == NULL)) {
        qn_packed_copy_close(c);
        return st;
    }
    *out = c;
    return QN_OK;
}

/* Writes block `kind` under the next number, and its name. */
static void keep(qn_packed_copy *c, uint32_t kind, const char *name, const void *bytes,
                 size_t size)
{
    qn_error err = {0};
    if (c == NULL || c->writer == NULL) return;
    qn_buf_printf(&c->list, "%s\n", name);
    if (qn_blockfile_put(c->writer, kind, c->count++, bytes, size, &err) != QN_OK)
        give_up(c, &err);
}

void qn_packed_copy_keep(qn_packed_copy *c, const char *name, const qn_gemm *g)
{
    size_t size = 0;
    if (c == NULL || c->writer == NULL) return;
    const void *bytes = qn_gemm_packed_view(g, &size);
    keep(c, QN_PACKED_WEIGHT, name, bytes, size);
}

void qn_packed_copy_keep_values(qn_packed_copy *c, const char *name,
                                const float *values, size_t count)
{
    keep(c, QN_PACKED_VALUES, name, values, count * sizeof *values);
}

/* ---- settling --------------------------------------------------------------- */

typedef struct sweep {
    const char *dir;
    qn_slice stem, keep; /* names that begin so, but for this one */
    const char *set;     /* only of this kernel set; NULL: of all */
} sweep;

static bool contains(qn_slice s, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, part, n) == 0) return true;
    return false;
}

/* A name that only begins like ours ("a" and "a.b") has more before its identity. */
static bool is_copy_of(const sweep *s, qn_slice name)
{
    enum { IDENTITY = 16 };
    if (name.n <= s->stem.n + IDENTITY || memcmp(name.p, s->stem.p, s->stem.n) != 0)
        return false;
    for (size_t i = 0; i < IDENTITY; i++)
        if (memchr("0123456789abcdef", name.p[s->stem.n + i], 16) == NULL) return false;
    return name.p[s->stem.n + IDENTITY] == '.';
}

static bool sweep_one(void *ctx, const char *name, bool is_dir)
{
    const sweep *s = ctx;
    qn_slice n = qn_slice_of(name);
    bool ours = qn_slice_ends_with(n, SUFFIX) || qn_slice_ends_with(n, SUFFIX ".tmp");
    if (is_dir || !ours || (s->stem.n > 0 && !is_copy_of(s, n))) return true;
    if (qn_slice_eq(n, s->keep) || (s->set != NULL && !contains(n, s->set)))
        return true;
    qn_buf path;
    qn_buf_init(&path, qn_alloc_heap());
    qn_buf_printf(&path, "%s/%s", s->dir, name);
    if (!path.failed) remove_logged(path.p);
    qn_buf_deinit(&path);
    return true;
}

static void remove_stale(const qn_packed_copy *c)
{
    qn_buf set;
    qn_buf_init(&set, c->alloc);
    qn_buf_printf(&set, ".%s.", c->kernels->name);
    const char *name = c->path + strlen(c->place.dir) + 1;
    sweep s = {c->place.dir, qn_slice_of(c->stem), qn_slice_of(name), set.p};
    qn_error err = {0};
    if (!set.failed && qn_dir_list(c->place.dir, sweep_one, &s, &err) != QN_OK)
        qn_log(QN_LOG_WARN, AREA, "packed copies: %s", err.text);
    qn_buf_deinit(&set);
}

static qn_status finish(qn_packed_copy *c, qn_error *err)
{
    if (c->list.failed || c->list.n > NAMES_LIMIT)
        return qn_fail(err, QN_ENOMEM, "packed copy");
    QN_TRY(qn_blockfile_put(c->writer, QN_PACKED_NAMES, 0, c->list.p, c->list.n, err));
    QN_TRY(qn_blockfile_finish(c->writer, true, err));
    QN_TRY(qn_file_rename(c->temporary, c->path, err));
    return qn_dir_sync(c->place.dir, err);
}

bool qn_packed_copy_settle(qn_packed_copy *c)
{
    qn_error err = {0};
    if (c == NULL) return false;
    if (c->unfit) {
        qn_log(QN_LOG_WARN, AREA, "%s does not fit its model: made again", c->path);
        remove_file(c);
        return true;
    }
    if (c->writer == NULL) return false;
    if (finish(c, &err) != QN_OK) {
        give_up(c, &err);
        remove_logged(c->temporary);
        return false;
    }
    remove_stale(c);
    return true;
}

void qn_packed_copy_close(qn_packed_copy *c)
{
    if (c == NULL) return;
    qn_blockfile_close(c->file);
    qn_blockfile_writer_destroy(c->writer);
    qn_lock_release(&c->lock);
    qn_buf_deinit(&c->list);
    qn_delete(c->alloc, c->stem);
    qn_delete(c->alloc, c->path);
    qn_delete(c->alloc, c->temporary);
    qn_delete(c->alloc, c);
}

qn_status qn_packed_copy_remove(const char *dir, const char *name, qn_error *err)
{
    qn_buf stem;
    qn_buf_init(&stem, qn_alloc_heap());
    if (name != NULL) qn_buf_printf(&stem, "%s.", name);
    qn_status st = stem.failed ? qn_fail(err, QN_ENOMEM, "packed copies") : QN_OK;
    sweep s = {dir, {stem.p, stem.n}, {0}, NULL};
    qn_error why = {0};
    if (st == QN_OK) st = qn_dir_list(dir, sweep_one, &s, &why);
    qn_buf_deinit(&stem);
    if (st == QN_ENOTFOUND) return QN_OK;
    if (st != QN_OK && err != NULL && why.text[0] != '\0') *err = why;
    return st;
}
