/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/import/safetensors.h"

#include "base/bits.h"
#include "base/map.h"
#include "io/file.h"
#include "io/json.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ARENA_LIMIT = 256 * 1024 * 1024 };

struct qn_safetensors {
    qn_alloc *alloc;
    qn_mapping map; /* zeroed when over memory */
    const char *name;
    qn_slice bytes;
    qn_arena arena;
    qn_weight *tensors;
    size_t count;
    qn_map by_name;
};

/* Sizes of everything the format names, so that a file with, say, integer buffers is
 * still checked as a whole. */
static const struct {
    const char *name;
    unsigned size;
    qn_weight_dtype dtype;
} dtypes[] = {{"F32", 4, QN_WEIGHT_F32},   {"F16", 2, QN_WEIGHT_F16},
              {"BF16", 2, QN_WEIGHT_BF16}, {"F64", 8, QN_WEIGHT_F64},
              {"I64", 8, QN_WEIGHT_OTHER}, {"U64", 8, QN_WEIGHT_OTHER},
              {"I32", 4, QN_WEIGHT_OTHER}, {"U32", 4, QN_WEIGHT_OTHER},
              {"I16", 2, QN_WEIGHT_OTHER}, {"U16", 2, QN_WEIGHT_OTHER},
              {"I8", 1, QN_WEIGHT_OTHER},  {"U8", 1, QN_WEIGHT_OTHER},
              {"BOOL", 1, QN_WEIGHT_OTHER}};

static qn_status bad_file(const qn_safetensors *s, const char *what, qn_error *err)
{
    return qn_fail_file(err, QN_EMODEL, s->name, QN_AT_NONE, "safetensors: %s", what);
}

static qn_status bad_tensor(const qn_safetensors *s, const char *name, const char *what,
                            qn_error *err)
{
    return qn_fail_file(err, QN_EMODEL, s->name, QN_AT_NONE, "tensor \"%.100s\": %s",
                        name, what);
}

static bool non_negative(const qn_json *v, uint64_t *out)
{
    if (v == NULL || v->kind != QN_JSON_INT || v->integer < 0) return false;
    *out = (uint64_t)v->integer;
    return true;
}

/* Fills count and rank; the product of a shape may overflow. */
static bool read_shape(const qn_json *shape, qn_weight *t)
{
    if (shape == NULL || shape->kind != QN_JSON_ARRAY ||
        shape->count > QN_WEIGHT_RANK_MAX)
        return false;
    t->count = 1;
    for (const qn_json *it = qn_json_items(shape); it != NULL; it = it->next) {
        uint64_t n = 0;
        size_t product = 0;
        if (!non_negative(it, &n) || !qn_mul_size(t->count, n, &product)) return false;
        t->shape[t->rank++] = n;
        t->count = product;
    }
    return true;
}

/* A key said twice has no one meaning. */
static bool has_double_key(const qn_json *item)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t seen = 0;
        for (const qn_json *it = qn_json_items(item); it != NULL; it = it->next)
            seen += qn_slice_eq_str(it->key, keys[i]);
        if (seen > 1) return true;
    }
    return false;
}

static qn_status read_tensor(qn_safetensors *s, const qn_json *item, qn_slice data,
                             qn_error *err)
{
    qn_weight *t = &s->tensors[s->count];
    t->name = qn_arena_strndup(&s->arena, item->key.p, item->key.n);
    if (t->name == NULL) return qn_fail(err, QN_ENOMEM, "safetensors");
    if (qn_map_get(&s->by_name, item->key, NULL))
        return bad_tensor(s, t->name, "there twice", err);
    if (item->kind != QN_JSON_OBJECT)
        return bad_tensor(s, t->name, "its entry is no object", err);
    if (has_double_key(item))
        return bad_tensor(s, t->name, "its entry has a key twice", err);

    const qn_json *type = qn_json_get(item, "dtype");
    size_t row = 0, rows = sizeof dtypes / sizeof *dtypes;
    while (row < rows && (type == NULL || type->kind != QN_JSON_STRING ||
                          !qn_slice_eq_str(type->string, dtypes[row].name)))
        row++;
    if (row == rows) return bad_tensor(s, t->name, "unknown dtype", err);
    t->dtype = dtypes[row].dtype;
    if (!read_shape(qn_json_get(item, "shape"), t))
        return bad_tensor(s, t->name, "shape is missing or out of range", err);

    const qn_json *offsets = qn_json_get(item, "data_offsets");
    uint64_t begin = 0, end = 0;
    if (offsets == NULL || offsets->kind != QN_JSON_ARRAY || offsets->count != 2 ||
        !non_negative(offsets->first, &begin) ||
        !non_negative(offsets->first->next, &end) || begin > end || end > data.n)
        return bad_tensor(s, t->name, "data_offsets are missing or out of range", err);
    size_t want = 0;
    if (!qn_mul_size(t->count, dtypes[row].size, &want) || want != end - begin)
        return bad_tensor(s, t->name, "its bytes are not as many as its shape says",
                          err);
    t->data = (const uint8_t *)data.p + begin;
    t->size = end - begin;
    s->count++;
    return QN_OK;
}

/* Empty tensors sort before the one that begins at the same byte. */
static int compare_place(const void *a, const void *b)
{
    const qn_weight *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size ? 1 : strcmp(x->name, y->name);
}

/* Sorts by place and checks that data is filled from first byte to last. */
static qn_status check_places(qn_safetensors *s, qn_slice data, qn_error *err)
{
    if (s->count > 0) qsort(s->tensors, s->count, sizeof *s->tensors, compare_place);
    const uint8_t *at = (const uint8_t *)data.p;
    for (size_t i = 0; i < s->count; i++) {
        const qn_weight *t = &s->tensors[i];
        if (t->data < at) return bad_tensor(s, t->name, "overlaps another", err);
        if (t->data > at) return bad_tensor(s, t->name, "a hole before its data", err);
        at += t->size;
        if (!qn_map_put(&s->by_name, qn_slice_of(t->name), i))
            return qn_fail(err, QN_ENOMEM, "safetensors");
    }
    if (at != (const uint8_t *)data.p + data.n)
        return bad_file(s, "bytes after the last tensor", err);
    return QN_OK;
}

/* "__metadata__" maps strings to strings, and is there at most once. */
static qn_status check_metadata(const qn_safetensors *s, const qn_json *item,
                                bool *seen, qn_error *err)
{
    if (*seen) return bad_file(s, "__metadata__ is there twice", err);
    *seen = true;
    if (item->kind != QN_JSON_OBJECT)
        return bad_file(s, "__metadata__ is no object", err);
    for (const qn_json *it = qn_json_items(item); it != NULL; it = it->next)
        if (it->kind != QN_JSON_STRING)
            return bad_file(s, "__metadata__ holds something else than strings", err);
    return QN_OK;
}

/* Names are put into the map twice: while reading, to find duplicates, then with the
 * final places. */
static qn_status read_entries(qn_safetensors *s, const qn_json *header, qn_slice data,
                              qn_error *err)
{
    if (header->count > QN_SAFETENSORS_TENSORS_MAX)
        return bad_file(s, "too many tensors", err);
    s->tensors = qn_arena_array(&s->arena, header->count + 1, sizeof *s->tensors);
    if (s->tensors == NULL) return qn_fail(err, QN_ENOMEM, "safetensors");
    bool metadata = false;
    for (const qn_json *it = qn_json_items(header); it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "__metadata__")) {
            QN_TRY(check_metadata(s, it, &metadata, err));
            continue;
        }
        QN_TRY(read_tensor(s, it, data, err));
        if (!qn_map_put(&s->by_name, it->key, 0))
            return qn_fail(err, QN_ENOMEM, "safetensors");
    }
    return check_places(s, data, err);
}

static qn_status read_header(qn_safetensors *s, qn_error *err)
{
    if (s->bytes.n < 8) return bad_file(s, "shorter than 8 bytes", err);
    uint64_t n = qn_load64(s->bytes.p);
    if (n > QN_SAFETENSORS_HEADER_MAX)
        return qn_fail_file(err, QN_EMODEL, s->name, 0,
                            "safetensors: a header of %" PRIu64 " bytes, at most %d", n,
                            QN_SAFETENSORS_HEADER_MAX);
    if (n > s->bytes.n - 8)
        return bad_file(s, "the header goes past the end of the file", err);
    qn_slice text = {s->bytes.p + 8, (size_t)n};
    qn_slice data = {text.p + n, s->bytes.n - 8 - (size_t)n};
    if (n == 0 || text.p[0] != '{')
        return bad_file(s, "the header is no JSON object", err);

    const qn_json *header = NULL;
    qn_error json = {0};
    qn_status st = qn_json_parse(&s->arena, text, &header, &json);
    if (st == QN_ENOMEM) return qn_fail(err, st, "safetensors: header");
    if (st != QN_OK)
        return qn_fail_file(err, QN_EMODEL, s->name,
                            json.at == QN_AT_NONE ? QN_AT_NONE : json.at + 8,
                            "safetensors: header: %.300s", json.text);
    if (header->kind != QN_JSON_OBJECT)
        return bad_file(s, "the header is no JSON object", err);
    return read_entries(s, header, data, err);
}

static qn_status open_bytes(qn_alloc *a, qn_mapping map, qn_slice bytes,
                            const char *name, qn_safetensors **out, qn_error *err)
{
    *out = NULL;
    qn_safetensors *s = qn_new0(a, sizeof *s);
    if (s == NULL) {
        qn_file_unmap(&map);
        return qn_fail(err, QN_ENOMEM, "safetensors");
    }
    s->alloc = a;
    s->map = map;
    s->bytes = bytes;
    qn_arena_init(&s->arena, a, ARENA_LIMIT);
    qn_map_init(&s->by_name, a);
    s->name = qn_arena_strndup(&s->arena, name, strlen(name));
    qn_status st =
        s->name == NULL ? qn_fail(err, QN_ENOMEM, "safetensors") : read_header(s, err);
    if (st != QN_OK) {
        qn_safetensors_close(s);
        return st;
    }
    *out = s;
    return QN_OK;
}

qn_status qn_safetensors_open(qn_alloc *a, const char *path, qn_safetensors **out,
                              qn_error *err)
{
    *out = NULL;
    qn_mapping map = {0};
    QN_TRY(qn_file_map(a, path, &map, err));
    qn_slice bytes = {(const char *)map.p, map.n};
    return open_bytes(a, map, bytes, path, out, err);
}

qn_status qn_safetensors_open_memory(qn_alloc *a, qn_slice bytes, const char *name,
                                     qn_safetensors **out, qn_error *err)
{
    return open_bytes(a, (qn_mapping){0}, bytes, name, out, err);
}

void qn_safetensors_close(qn_safetensors *s)
{
    if (s == NULL) return;
    qn_map_deinit(&s->by_name);
    qn_arena_deinit(&s->arena);
    qn_file_unmap(&s->map);
    qn_delete(s->alloc, s);
}

const char *qn_safetensors_name(const qn_safetensors *s)
{
    return s->name;
}

qn_slice qn_safetensors_bytes(const qn_safetensors *s)
{
    return s->bytes;
}

size_t qn_safetensors_count(const qn_safetensors *s)
{
    return s->count;
}

const qn_weight *qn_safetensors_at(const qn_safetensors *s, size_t i)
{
    return &s->tensors[i];
}

const qn_weight *qn_safetensors_find(const qn_safetensors *s, const char *name)
{
    uint64_t i = 0;
    return qn_map_get(&s->by_name, qn_slice_of(name), &i) ? &s->tensors[i] : NULL;
}
