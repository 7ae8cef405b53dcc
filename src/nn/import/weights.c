/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/import/weights.h"

#include "base/map.h"
#include "base/vec.h"
#include "io/file.h"
#include "io/json.h"
#include "nn/import/safetensors.h"
#include "nn/import/torch_file.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
    ARENA_LIMIT = 512 * 1024 * 1024,
    FILE_NAME_MAX = 200,
};

/* One of the two is open. */
typedef struct part {
    qn_slice file; /* the bare name */
    qn_safetensors *safe;
    qn_torch_file *torch;
} part;

typedef struct item {
    qn_weight t; /* first: a qn_weight of ours is an item */
    uint32_t part;
} item;

struct qn_weights {
    qn_alloc *alloc;
    qn_arena arena;
    const char *folder, *name;
    QN_VEC(part) parts;
    QN_VEC(item) items;
    qn_map by_name;
};

static const char SAFETENSORS[] = ".safetensors";

/* ---- one file --------------------------------------------------------------- */

static qn_slice part_bytes(const part *p)
{
    return p->safe != NULL ? qn_safetensors_bytes(p->safe)
                           : qn_torch_file_bytes(p->torch);
}

static size_t part_count(const part *p)
{
    return p->safe != NULL ? qn_safetensors_count(p->safe)
                           : qn_torch_file_count(p->torch);
}

static const qn_weight *part_at(const part *p, size_t i)
{
    return p->safe != NULL ? qn_safetensors_at(p->safe, i)
                           : qn_torch_file_at(p->torch, i);
}

static const char *part_name(const part *p)
{
    return p->safe != NULL ? qn_safetensors_name(p->safe)
                           : qn_torch_file_name(p->torch);
}

/* A clone without the big files has such text in their places. */
static qn_status refuse_pointer(qn_weights *w, const char *path, qn_error *err)
{
    static const char begins[] = "version https://git-lfs";
    uint64_t size = 0;
    QN_TRY(qn_file_size(path, &size, err));
    if (size > 1024) return QN_OK;
    qn_buf text;
    qn_buf_init(&text, w->alloc);
    qn_status st = qn_file_read(path, 1024, &text, err);
    if (st == QN_OK && qn_slice_starts_with(qn_buf_slice(&text), begins))
        st = qn_fail_file(err, QN_EMODEL, path, QN_AT_NONE,
                          "a pointer of Git LFS, not the weights: run 'git lfs pull'");
    qn_buf_deinit(&text);
    return st;
}

static qn_status open_part(qn_weights *w, qn_slice file, const char *path,
                           qn_error *err)
{
    part p = {.file = file};
    QN_TRY(refuse_pointer(w, path, err));
    if (qn_slice_ends_with(file, SAFETENSORS))
        QN_TRY(qn_safetensors_open(w->alloc, path, &p.safe, err));
    else
        QN_TRY(qn_torch_file_open(w->alloc, path, &p.torch, err));
    if (qn_vec_push(w->alloc, &w->parts, p)) return QN_OK;
    qn_safetensors_close(p.safe);
    qn_torch_file_close(p.torch);
    return qn_fail(err, QN_ENOMEM, "weights");
}

static qn_status add_tensors(qn_weights *w, uint32_t at, qn_error *err)
{
    const part *p = &w->parts.p[at];
    for (size_t i = 0; i < part_count(p); i++) {
        item it = {*part_at(p, i), at};
        qn_slice name = qn_slice_of(it.t.name);
        uint64_t first = 0;
        if (qn_map_get(&w->by_name, name, &first))
            return qn_fail_file(err, QN_EMODEL, part_name(p), QN_AT_NONE,
                                "tensor \"%.100s\": %s", it.t.name,
                                w->items.p[first].part == at ? "there twice"
                                                             : "in another part too");
        if (!qn_map_put(&w->by_name, name, w->items.n) ||
            !qn_vec_push(w->alloc, &w->items, it))
            return qn_fail(err, QN_ENOMEM, "weights");
    }
    return QN_OK;
}

static qn_status join_path(qn_weights *w, qn_slice file, const char **out,
                           qn_error *err)
{
    *out = qn_arena_printf(&w->arena, "%s/%.*s", w->folder, QN_SLICE_ARG(file));
    return *out == NULL ? qn_fail(err, QN_ENOMEM, "weights") : QN_OK;
}

static qn_status open_one(qn_weights *w, qn_slice file, qn_error *err)
{
    QN_TRY(join_path(w, file, &w->name, err));
    QN_TRY(open_part(w, file, w->name, err));
    return add_tensors(w, 0, err);
}

/* ---- parts ------------------------------------------------------------------ */

static qn_status bad_index(const qn_weights *w, qn_slice key, const char *what,
                           qn_error *err)
{
    int n = (int)(key.n < 100 ? key.n : 100);
    return qn_fail_file(err, QN_EMODEL, w->name, QN_AT_NONE, "weight_map: \"%.*s\" %s",
                        n, key.p, what);
}

/* A bare file name with the suffix of its kind: no part lies outside of the folder. */
static bool part_name_ok(qn_slice file, const char *suffix)
{
    if (file.n == 0 || file.n > FILE_NAME_MAX || file.p[0] == '.') return false;
    for (size_t i = 0; i < file.n; i++)
        if (file.p[i] == '/' || file.p[i] == '\\' || (unsigned char)file.p[i] < 0x20)
            return false;
    return qn_slice_ends_with(file, suffix);
}

static int compare_parts(const void *a, const void *b)
{
    const part *x = a, *y = b;
    return qn_slice_compare(x->file, y->file);
}

/* The distinct file names of the map, each opened, in the order of their names. */
static qn_status open_parts(qn_weights *w, const qn_json *map, const char *suffix,
                            qn_map *files, qn_error *err)
{
    for (const qn_json *it = qn_json_items(map); it != NULL; it = it->next) {
        if (it->kind != QN_JSON_STRING || !part_name_ok(it->string, suffix))
            return bad_index(w, it->key, "does not name a file of this folder", err);
        if (qn_map_get(files, it->string, NULL)) continue;
        if (files->count >= QN_WEIGHTS_PARTS_MAX)
            return qn_fail_file(err, QN_ELIMIT, w->name, QN_AT_NONE,
                                "more than %d parts", QN_WEIGHTS_PARTS_MAX);
        const char *path = NULL;
        QN_TRY(join_path(w, it->string, &path, err));
        if (!qn_map_put(files, it->string, 0))
            return qn_fail(err, QN_ENOMEM, "weights");
        QN_TRY(open_part(w, it->string, path, err));
    }
    if (w->parts.n == 0)
        return qn_fail_file(err, QN_EMODEL, w->name, QN_AT_NONE, "no parts");
    qsort(w->parts.p, w->parts.n, sizeof *w->parts.p, compare_parts);
    return QN_OK;
}

/* Every entry of the map is a tensor of that part, and there are no other tensors. */
static qn_status check_map(qn_weights *w, const qn_json *map, qn_error *err)
{
    qn_map said;
    qn_map_init(&said, w->alloc);
    qn_status st = QN_OK;
    for (const qn_json *it = qn_json_items(map); st == QN_OK && it != NULL;
         it = it->next) {
        uint64_t i = 0;
        if (qn_map_get(&said, it->key, NULL))
            st = bad_index(w, it->key, "is there twice", err);
        else if (!qn_map_get(&w->by_name, it->key, &i))
            st = bad_index(w, it->key, "is in none of the parts", err);
        else if (!qn_slice_eq(w->parts.p[w->items.p[i].part].file, it->string))
            st = bad_index(w, it->key, "is in another part than it says", err);
        else if (!qn_map_put(&said, it->key, 0))
            st = qn_fail(err, QN_ENOMEM, "weights");
    }
    for (size_t i = 0; st == QN_OK && i < w->items.n; i++) {
        const item *t = &w->items.p[i];
        if (!qn_map_get(&said, qn_slice_of(t->t.name), NULL))
            st = qn_fail_file(err, QN_EMODEL, part_name(&w->parts.p[t->part]),
                              QN_AT_NONE, "tensor \"%.100s\": not in the weight_map",
                              t->t.name);
    }
    qn_map_deinit(&said);
    return st;
}

static qn_status read_index(qn_weights *w, const qn_json **map, qn_error *err)
{
    qn_buf text;
    qn_buf_init(&text, w->alloc);
    qn_error inner = {0};
    const qn_json *index = NULL;
    qn_status st;
    QN_TRY_TO(out, qn_file_read(w->name, QN_WEIGHTS_INDEX_MAX, &text, err));
    qn_slice kept = qn_arena_slice(&w->arena, qn_buf_slice(&text));
    if (kept.p == NULL) {
        st = qn_fail(err, QN_ENOMEM, "weights");
        goto out;
    }
    st = qn_json_parse(&w->arena, kept, &index, &inner);
    if (st == QN_ENOMEM)
        st = qn_fail(err, st, "weights");
    else if (st != QN_OK)
        st = qn_fail_file(err, QN_EMODEL, w->name, inner.at, "%.300s", inner.text);
    *map = st == QN_OK ? qn_json_get(index, "weight_map") : NULL;
    if (st == QN_OK && (*map == NULL || (*map)->kind != QN_JSON_OBJECT))
        st = qn_fail_file(err, QN_EMODEL, w->name, QN_AT_NONE,
                          "weight_map is no object");
out:
    qn_buf_deinit(&text);
    return st;
}

static qn_status open_index(qn_weights *w, qn_slice file, const char *suffix,
                            qn_error *err)
{
    const qn_json *map = NULL;
    QN_TRY(join_path(w, file, &w->name, err));
    QN_TRY(read_index(w, &map, err));
    qn_map files;
    qn_map_init(&files, w->alloc);
    qn_status st = open_parts(w, map, suffix, &files, err);
    qn_map_deinit(&files);
    for (uint32_t i = 0; st == QN_OK && i < w->parts.n; i++)
        st = add_tensors(w, i, err);
    return st != QN_OK ? st : check_map(w, map, err);
}

/* ---- the folder ------------------------------------------------------------- */

typedef struct scripts {
    qn_weights *w;
    qn_slice found;
    size_t count;
} scripts;

static bool see_file(void *ctx, const char *name, bool is_dir)
{
    scripts *s = ctx;
    if (is_dir || !qn_slice_ends_with(qn_slice_of(name), ".pt")) return true;
    s->found = qn_arena_slice(&s->w->arena, qn_slice_of(name));
    s->count++;
    return true;
}

static qn_status open_script(qn_weights *w, qn_error *err)
{
    scripts s = {.w = w};
    QN_TRY(qn_dir_list(w->folder, see_file, &s, err));
    if (s.count == 1 && s.found.p == NULL) return qn_fail(err, QN_ENOMEM, "weights");
    if (s.count == 1) return open_one(w, s.found, err);
    return qn_fail_file(err, QN_ENOTFOUND, w->folder, QN_AT_NONE,
                        s.count > 1
                            ? "several files *.pt: which holds the weights?"
                            : "no model.safetensors, pytorch_model.bin, an index of "
                              "either, or *.pt");
}

/* The first part of a name, its '.' included; 0 when there is none. */
static size_t first_part(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot == NULL ? 0 : (size_t)(dot - name) + 1;
}

/* What wrappers put in front of all names; 0: nothing. Names of one part are left: the
 * "linear." of "linear.weight" and "linear.bias" is theirs. */
static size_t wrapper_length(const qn_weights *w)
{
    const char *model = w->items.p[0].t.name;
    size_t n = first_part(model);
    bool longer = false;
    for (size_t i = 0; n > 0 && i < w->items.n; i++) {
        const char *name = w->items.p[i].t.name;
        if (strncmp(name, model, n) != 0) return 0;
        longer = longer || first_part(name + n) > 0;
    }
    return longer ? n : 0;
}

/* "module.", "model." in front of all names is taken off. */
static qn_status strip_wrappers(qn_weights *w, qn_error *err)
{
    bool stripped = false;
    for (size_t n; w->items.n > 0 && (n = wrapper_length(w)) > 0; stripped = true)
        for (size_t i = 0; i < w->items.n; i++) w->items.p[i].t.name += n;
    if (!stripped) return QN_OK;
    qn_map_deinit(&w->by_name);
    qn_map_init(&w->by_name, w->alloc);
    for (size_t i = 0; i < w->items.n; i++)
        if (!qn_map_put(&w->by_name, qn_slice_of(w->items.p[i].t.name), i))
            return qn_fail(err, QN_ENOMEM, "weights");
    return QN_OK;
}

static qn_status open_folder(qn_weights *w, qn_error *err)
{
    static const struct {
        const char *file, *part_suffix; /* NULL: it holds the weights itself */
    } forms[] = {
        {"model.safetensors", NULL},
        {"model.safetensors.index.json", SAFETENSORS},
        {"pytorch_model.bin", NULL},
        {"pytorch_model.bin.index.json", ".bin"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *path = NULL;
        qn_slice file = qn_slice_of(forms[i].file);
        QN_TRY(join_path(w, file, &path, err));
        if (!qn_file_exists(path)) continue;
        return forms[i].part_suffix == NULL
                   ? open_one(w, file, err)
                   : open_index(w, file, forms[i].part_suffix, err);
    }
    return open_script(w, err);
}

static qn_status create(qn_alloc *a, qn_weights **out, qn_error *err)
{
    *out = NULL;
    qn_weights *w = qn_new0(a, sizeof *w);
    if (w == NULL) return qn_fail(err, QN_ENOMEM, "weights");
    w->alloc = a;
    qn_arena_init(&w->arena, a, ARENA_LIMIT);
    qn_map_init(&w->by_name, a);
    *out = w;
    return QN_OK;
}

/* Ends the collection when it failed. */
static qn_status finish(qn_status st, qn_weights **out)
{
    if (st == QN_OK) return st;
    qn_weights_close(*out);
    *out = NULL;
    return st;
}

qn_status qn_weights_open(qn_alloc *a, const char *folder, qn_weights **out,
                          qn_error *err)
{
    QN_TRY(create(a, out, err));
    (*out)->folder = qn_arena_strndup(&(*out)->arena, folder, strlen(folder));
    if ((*out)->folder == NULL) return finish(qn_fail(err, QN_ENOMEM, "weights"), out);
    qn_status st = open_folder(*out, err);
    return finish(st == QN_OK ? strip_wrappers(*out, err) : st, out);
}

qn_status qn_weights_open_file(qn_alloc *a, const char *path, qn_weights **out,
                               qn_error *err)
{
    QN_TRY(create(a, out, err));
    qn_weights *w = *out;
    w->name = qn_arena_strndup(&w->arena, path, strlen(path));
    if (w->name == NULL) return finish(qn_fail(err, QN_ENOMEM, "weights"), out);
    qn_status st = open_part(w, qn_slice_of(w->name), w->name, err);
    if (st == QN_OK) st = add_tensors(w, 0, err);
    return finish(st == QN_OK ? strip_wrappers(w, err) : st, out);
}

void qn_weights_close(qn_weights *w)
{
    if (w == NULL) return;
    for (size_t i = 0; i < w->parts.n; i++) {
        qn_safetensors_close(w->parts.p[i].safe);
        qn_torch_file_close(w->parts.p[i].torch);
    }
    qn_vec_deinit(w->alloc, &w->parts);
    qn_vec_deinit(w->alloc, &w->items);
    qn_map_deinit(&w->by_name);
    qn_arena_deinit(&w->arena);
    qn_delete(w->alloc, w);
}

/* ---- looking ---------------------------------------------------------------- */

size_t qn_weights_count(const qn_weights *w)
{
    return w->items.n;
}

const qn_weight *qn_weights_at(const qn_weights *w, size_t i)
{
    return &w->items.p[i].t;
}

const qn_weight *qn_weights_find(const qn_weights *w, const char *name)
{
    uint64_t i = 0;
    return qn_map_get(&w->by_name, qn_slice_of(name), &i) ? &w->items.p[i].t : NULL;
}

const char *qn_weights_file(const qn_weights *w, const qn_weight *t)
{
    const item *it = (const item *)(const void *)t;
    return part_name(&w->parts.p[it->part]);
}

const char *qn_weights_name(const qn_weights *w)
{
    return w->name;
}

qn_status qn_weights_to_f32(const qn_weights *w, const qn_weight *t, float *out,
                            qn_error *err)
{
    return qn_weight_to_f32(t, qn_weights_file(w, t), out, err);
}

uint64_t qn_weights_bytes(const qn_weights *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->parts.n; i++) n += part_bytes(&w->parts.p[i]).n;
    return n;
}

qn_status qn_weights_hash(const qn_weights *w, uint8_t out[16], qn_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL) return qn_fail(err, QN_ENOMEM, "weights");
    (void)XXH3_128bits_reset(state);
    for (size_t i = 0; i < w->parts.n; i++) {
        qn_slice b = part_bytes(&w->parts.p[i]);
        (void)XXH3_128bits_update(state, b.p, b.n);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    (void)XXH3_freeState(state);
    memcpy(out, canonical.digest, 16);
    return QN_OK;
}
