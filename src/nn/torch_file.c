/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/torch_file.h"

#include "base/bits.h"
#include "base/map.h"
#include "base/vec.h"
#include "io/file.h"
#include "io/zip.h"
#include "nn/pickle.h"

#include <stdio.h>

enum {
    ARENA_LIMIT = 512 * 1024 * 1024,
    /* Containers may be shared, so a small file may hold a tree without end. */
    VISITS_MAX = 500000,
};

struct qn_torch_file {
    qn_alloc *alloc;
    qn_mapping map; /* zeroed when over memory */
    const char *name;
    qn_slice bytes;
    qn_zip *zip;
    qn_slice root; /* what lies in front of "/data.pkl" */
    qn_arena arena;
    QN_VEC(qn_weight) tensors;
    qn_map by_name;
    size_t visits;
};

static qn_status bad_tensor(const qn_torch_file *f, const char *name, const char *what,
                            qn_error *err)
{
    return qn_fail_file(err, QN_EMODEL, f->name, QN_AT_NONE, "tensor \"%.100s\": %s",
                        name, what);
}

/* ---- one tensor ------------------------------------------------------------- */

static qn_status entry_bytes(const qn_torch_file *f, qn_slice name, qn_slice *out,
                             qn_error *err)
{
    char path[QN_ZIP_NAME_MAX];
    int n = snprintf(path, sizeof path, "%.*s/%.*s", QN_SLICE_ARG(f->root),
                     QN_SLICE_ARG(name));
    const qn_zip_entry *e = NULL;
    if (n > 0 && (size_t)n < sizeof path)
        e = qn_zip_find(f->zip, (qn_slice){path, (size_t)n});
    if (e == NULL)
        return qn_fail_file(err, QN_EMODEL, f->name, QN_AT_NONE,
                            "the archive has no \"%.*s\"",
                            (int)(name.n < 100 ? name.n : 100), name.p);
    return qn_zip_stored(f->zip, e, out, err);
}

/* Row after row, without gaps: strides of dimensions of length 1 do not matter. */
static bool contiguous(const qn_pickle_tensor *t)
{
    uint64_t step = 1;
    for (uint32_t i = t->rank; i-- > 0;) {
        if (t->shape[i] != 1 && t->stride[i] != step) return false;
        step *= t->shape[i];
    }
    return true;
}

static qn_status storage_bytes(const qn_torch_file *f, const qn_pickle_storage *s,
                               const char *tensor, qn_slice *out, qn_error *err)
{
    char name[64];
    size_t want = 0;
    if (s->key.n > 40) return bad_tensor(f, tensor, "its storage has a bad key", err);
    (void)snprintf(name, sizeof name, "data/%.*s", QN_SLICE_ARG(s->key));
    QN_TRY(entry_bytes(f, qn_slice_of(name), out, err));
    if (!qn_mul_size(s->count, s->item_size, &want) || want != out->n)
        return bad_tensor(f, tensor, "its storage has another size than it says", err);
    return QN_OK;
}

static qn_status add_tensor(qn_torch_file *f, const qn_pickle_tensor *t,
                            const char *name, qn_error *err)
{
    qn_weight w = {
        .name = name, .dtype = t->storage->dtype, .rank = t->rank, .count = 1};
    size_t count = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        w.shape[i] = t->shape[i];
        if (!qn_mul_size(count, t->shape[i], &count))
            return bad_tensor(f, name, "shape is out of range", err);
    }
    w.count = count;
    if (count > 0 && !contiguous(t))
        return bad_tensor(f, name,
                          "its strides are not those of rows in order: save it after "
                          ".contiguous()",
                          err);
    qn_slice bytes;
    QN_TRY(storage_bytes(f, t->storage, name, &bytes, err));
    if (t->offset > t->storage->count || count > t->storage->count - t->offset)
        return bad_tensor(f, name, "goes past the end of its storage", err);
    w.data = (const uint8_t *)bytes.p + t->offset * t->storage->item_size;
    w.size = count * t->storage->item_size;
    if (f->tensors.n >= QN_TORCH_TENSORS_MAX)
        return qn_fail_file(err, QN_ELIMIT, f->name, QN_AT_NONE, "more than %d tensors",
                            QN_TORCH_TENSORS_MAX);
    return qn_vec_push(f->alloc, &f->tensors, w) ? QN_OK
                                                 : qn_fail(err, QN_ENOMEM, "weights");
}

/* ---- the walk --------------------------------------------------------------- */

static qn_status walk(qn_torch_file *f, const qn_pickle *v, const char *name,
                      unsigned depth, qn_error *err);

static qn_status walk_items(qn_torch_file *f, const qn_pickle *dict, const char *name,
                            unsigned depth, qn_error *err)
{
    for (const qn_pickle_item *it = dict->first; it != NULL; it = it->next) {
        qn_pickle_kind kind = it->value->kind;
        bool inner = kind == QN_PICKLE_DICT || kind == QN_PICKLE_OBJECT;
        if (!inner && kind != QN_PICKLE_TENSOR) continue;
        if (it->key->kind != QN_PICKLE_STRING) continue;
        qn_slice key = it->key->string;
        if (strlen(name) + key.n + 1 > QN_TORCH_NAME_MAX ||
            memchr(key.p, '\0', key.n) != NULL)
            return bad_tensor(f, name, "a part with a bad name", err);
        const char *full = qn_arena_printf(
            &f->arena, "%s%s%.*s", name, name[0] == '\0' ? "" : ".", QN_SLICE_ARG(key));
        if (full == NULL) return qn_fail(err, QN_ENOMEM, "weights");
        QN_TRY(walk(f, it->value, full, depth + 1, err));
    }
    return QN_OK;
}

/* Recursion: at most QN_TORCH_DEPTH_MAX deep. */
static qn_status walk(qn_torch_file *f, const qn_pickle *v, const char *name,
                      unsigned depth, qn_error *err)
{
    if (depth > QN_TORCH_DEPTH_MAX || f->visits++ > VISITS_MAX)
        return qn_fail_file(err, QN_ELIMIT, f->name, QN_AT_NONE,
                            "values inside values: too deep or too many");
    if (v->kind == QN_PICKLE_TENSOR) return add_tensor(f, v->tensor, name, err);
    if (v->kind == QN_PICKLE_OBJECT) v = v->state;
    if (v == NULL || v->kind != QN_PICKLE_DICT) return QN_OK;
    return walk_items(f, v, name, depth, err);
}

/* The first part of a name, its '.' included; 0 when there is none. */
static size_t first_part(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot == NULL ? 0 : (size_t)(dot - name) + 1;
}

/* What wrappers put in front of all names is taken off. */
static void strip_wrappers(qn_torch_file *f)
{
    while (f->tensors.n > 0) {
        const char *model = f->tensors.p[0].name;
        size_t n = first_part(model);
        for (size_t i = 0; i < f->tensors.n; i++)
            if (strncmp(f->tensors.p[i].name, model, n) != 0) n = 0;
        if (n == 0) return;
        for (size_t i = 0; i < f->tensors.n; i++) f->tensors.p[i].name += n;
    }
}

static qn_status index_names(qn_torch_file *f, qn_error *err)
{
    for (size_t i = 0; i < f->tensors.n; i++) {
        qn_slice name = qn_slice_of(f->tensors.p[i].name);
        if (qn_map_get(&f->by_name, name, NULL))
            return bad_tensor(f, name.p, "there twice", err);
        if (!qn_map_put(&f->by_name, name, i))
            return qn_fail(err, QN_ENOMEM, "weights");
    }
    return QN_OK;
}

/* ---- the archive ------------------------------------------------------------ */

static qn_status find_root(qn_torch_file *f, qn_error *err)
{
    static const char suffix[] = "/data.pkl";
    size_t found = 0;
    for (size_t i = 0; i < qn_zip_count(f->zip); i++) {
        qn_slice name = qn_zip_at(f->zip, i)->name;
        if (!qn_slice_ends_with(name, suffix)) continue;
        qn_slice root = {name.p, name.n - (sizeof suffix - 1)};
        if (root.n == 0 || memchr(root.p, '/', root.n) != NULL) continue;
        f->root = root;
        found++;
    }
    if (found == 1) return QN_OK;
    return qn_fail_file(err, QN_EMODEL, f->name, QN_AT_NONE,
                        found == 0 ? "no data.pkl in the archive: no PyTorch file"
                                   : "several data.pkl in the archive");
}

static qn_status check_byteorder(const qn_torch_file *f, qn_error *err)
{
    char path[QN_ZIP_NAME_MAX];
    int n = snprintf(path, sizeof path, "%.*s/byteorder", QN_SLICE_ARG(f->root));
    const qn_zip_entry *e = n > 0 && (size_t)n < sizeof path
                                ? qn_zip_find(f->zip, (qn_slice){path, (size_t)n})
                                : NULL;
    if (e == NULL || qn_slice_eq_str(e->data, "little")) return QN_OK;
    return qn_fail_file(err, QN_EUNSUPPORTED, f->name, QN_AT_NONE,
                        "byteorder is not \"little\"");
}

/* The form before version 1.6 is a pickle from the first byte on. */
static qn_status refuse_old_form(const qn_torch_file *f, qn_error *err)
{
    if (f->bytes.n == 0 || (uint8_t)f->bytes.p[0] != 0x80) return QN_OK;
    return qn_fail_file(
        err, QN_EUNSUPPORTED, f->name, QN_AT_NONE,
        "the form of torch.save before version 1.6 is not read: load it with "
        "torch.load(path, weights_only=True) and save it again, better as safetensors");
}

static qn_status read_file(qn_torch_file *f, qn_error *err)
{
    QN_TRY(refuse_old_form(f, err));
    QN_TRY(qn_zip_open(f->alloc, f->bytes, f->name, &f->zip, err));
    QN_TRY(find_root(f, err));
    QN_TRY(check_byteorder(f, err));
    qn_slice text;
    const qn_pickle *tree = NULL;
    const char *name = qn_arena_printf(&f->arena, "%s: data.pkl", f->name);
    if (name == NULL) return qn_fail(err, QN_ENOMEM, "weights");
    QN_TRY(entry_bytes(f, QN_SLICE_LIT("data.pkl"), &text, err));
    QN_TRY(qn_pickle_parse(&f->arena, text, name, &tree, err));
    QN_TRY(walk(f, tree, "", 0, err));
    if (f->tensors.n == 0)
        return qn_fail_file(err, QN_EMODEL, f->name, QN_AT_NONE,
                            "no tensors in data.pkl: an empty or a frozen module");
    strip_wrappers(f);
    return index_names(f, err);
}

static qn_status open_bytes(qn_alloc *a, qn_mapping map, qn_slice bytes,
                            const char *name, qn_torch_file **out, qn_error *err)
{
    *out = NULL;
    qn_torch_file *f = qn_new0(a, sizeof *f);
    if (f == NULL) {
        qn_file_unmap(&map);
        return qn_fail(err, QN_ENOMEM, "weights");
    }
    f->alloc = a;
    f->map = map;
    f->bytes = bytes;
    qn_arena_init(&f->arena, a, ARENA_LIMIT);
    qn_map_init(&f->by_name, a);
    f->name = qn_arena_strndup(&f->arena, name, strlen(name));
    qn_status st =
        f->name == NULL ? qn_fail(err, QN_ENOMEM, "weights") : read_file(f, err);
    if (st != QN_OK) {
        qn_torch_file_close(f);
        return st;
    }
    *out = f;
    return QN_OK;
}

qn_status qn_torch_file_open(qn_alloc *a, const char *path, qn_torch_file **out,
                             qn_error *err)
{
    *out = NULL;
    qn_mapping map = {0};
    QN_TRY(qn_file_map(a, path, &map, err));
    qn_slice bytes = {(const char *)map.p, map.n};
    return open_bytes(a, map, bytes, path, out, err);
}

qn_status qn_torch_file_open_memory(qn_alloc *a, qn_slice bytes, const char *name,
                                    qn_torch_file **out, qn_error *err)
{
    return open_bytes(a, (qn_mapping){0}, bytes, name, out, err);
}

void qn_torch_file_close(qn_torch_file *f)
{
    if (f == NULL) return;
    qn_zip_close(f->zip);
    qn_vec_deinit(f->alloc, &f->tensors);
    qn_map_deinit(&f->by_name);
    qn_arena_deinit(&f->arena);
    qn_file_unmap(&f->map);
    qn_delete(f->alloc, f);
}

const char *qn_torch_file_name(const qn_torch_file *f)
{
    return f->name;
}

qn_slice qn_torch_file_bytes(const qn_torch_file *f)
{
    return f->bytes;
}

size_t qn_torch_file_count(const qn_torch_file *f)
{
    return f->tensors.n;
}

const qn_weight *qn_torch_file_at(const qn_torch_file *f, size_t i)
{
    return &f->tensors.p[i];
}
