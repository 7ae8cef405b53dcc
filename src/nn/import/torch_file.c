/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/import/torch_file.h"

#include "base/bits.h"
#include "base/vec.h"
#include "io/file.h"
#include "io/zip.h"
#include "nn/import/pickle.h"

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
    QN_VEC(uint8_t *) copies; /* of tensors that did not lie row after row */
    size_t copied;            /* bytes of them */
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

/* The place behind the last value; false when it does not fit in a size. */
static bool values_end(const qn_pickle_tensor *t, size_t *out)
{
    size_t end = 1;
    if (!qn_add_size(t->offset, end, &end)) return false;
    for (uint32_t i = 0; i < t->rank; i++) {
        size_t reach = 0;
        if (!qn_mul_size(t->shape[i] - 1, t->stride[i], &reach) ||
            !qn_add_size(end, reach, &end))
            return false;
    }
    *out = end;
    return true;
}

/* The values of a tensor whose last dimension is not the fastest, or that has gaps, in
 * rows. No larger than its storage: what repeats values is refused. */
static qn_status in_rows(qn_torch_file *f, const qn_pickle_tensor *t, qn_slice bytes,
                         qn_weight *w, qn_error *err)
{
    size_t item = t->storage->item_size, end = 0;
    if (!values_end(t, &end) || end > t->storage->count)
        return bad_tensor(f, w->name, "goes past the end of its storage", err);
    if (w->count > t->storage->count)
        return bad_tensor(
            f, w->name, "its strides repeat values: save it after .contiguous()", err);
    f->copied += w->count * item;
    if (f->copied / 2 > f->bytes.n) /* views of one storage, over and over */
        return qn_fail_file(err, QN_ELIMIT, f->name, QN_AT_NONE,
                            "tensors of other strides hold over twice the file");
    uint8_t *to = qn_new_array(f->alloc, w->count, item);
    if (to == NULL || !qn_vec_push(f->alloc, &f->copies, to)) {
        qn_delete(f->alloc, to);
        return qn_fail(err, QN_ENOMEM, "weights");
    }
    uint64_t at[QN_WEIGHT_RANK_MAX] = {0};
    size_t from = t->offset;
    w->data = to;
    w->size = w->count * item;
    for (size_t i = 0; i < w->count; i++, to += item) {
        memcpy(to, bytes.p + from * item, item);
        for (uint32_t d = t->rank; d-- > 0;) { /* the next place, as an odometer */
            from += t->stride[d];
            if (++at[d] < t->shape[d]) break;
            from -= t->stride[d] * t->shape[d];
            at[d] = 0;
        }
    }
    return QN_OK;
}

static qn_status push_tensor(qn_torch_file *f, qn_weight w, qn_error *err)
{
    if (f->tensors.n >= QN_TORCH_TENSORS_MAX)
        return qn_fail_file(err, QN_ELIMIT, f->name, QN_AT_NONE, "more than %d tensors",
                            QN_TORCH_TENSORS_MAX);
    return qn_vec_push(f->alloc, &f->tensors, w) ? QN_OK
                                                 : qn_fail(err, QN_ENOMEM, "weights");
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
    qn_slice bytes;
    QN_TRY(storage_bytes(f, t->storage, name, &bytes, err));
    if (count > 0 && !contiguous(t) && w.dtype == QN_WEIGHT_OTHER) w.count = count = 0;
    if (count > 0 && !contiguous(t)) {
        QN_TRY(in_rows(f, t, bytes, &w, err));
        return push_tensor(f, w, err);
    }
    if (t->offset > t->storage->count || count > t->storage->count - t->offset)
        return bad_tensor(f, name, "goes past the end of its storage", err);
    w.data = (const uint8_t *)bytes.p + t->offset * t->storage->item_size;
    w.size = count * t->storage->item_size;
    return push_tensor(f, w, err);
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
    return QN_OK;
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
    for (size_t i = 0; i < f->copies.n; i++) qn_delete(f->alloc, f->copies.p[i]);
    qn_vec_deinit(f->alloc, &f->copies);
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
