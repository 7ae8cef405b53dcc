/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/import/import.h"

#include "base/log.h"
#include "io/file.h"
#include "nn/import/import_internal.h"

#include <xxhash.h>

enum {
    ARENA_LIMIT = 512 * 1024 * 1024,
    JSON_FILE_MAX = 64 * 1024 * 1024,
};

qn_status qn_import__path(qn_import *im, const char *name, const char **out,
                          qn_error *err)
{
    static const char *const of_root[] = {"modules.json", "LICENSE",
                                          "config_sentence_transformers.json"};
    bool root = im->encoder_folder == NULL || strchr(name, '/') != NULL;
    for (size_t i = 0; i < sizeof of_root / sizeof *of_root; i++)
        root = root || strcmp(name, of_root[i]) == 0;
    *out = qn_arena_printf(&im->arena, "%s/%s", root ? im->folder : im->encoder_folder,
                           name);
    return *out == NULL ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}

const char *qn_import__shown(qn_import *im, const char *name)
{
    const char *path = NULL;
    return qn_import__path(im, name, &path, NULL) == QN_OK ? path : name;
}

qn_status qn_import__json(qn_import *im, const char *name, bool optional,
                          const qn_json **out, qn_error *err)
{
    *out = NULL;
    const char *path = NULL;
    QN_TRY(qn_import__path(im, name, &path, err));
    if (optional && !qn_file_exists(path)) return QN_OK;
    qn_buf text;
    qn_buf_init(&text, im->alloc);
    qn_slice kept = {0};
    qn_status st = qn_file_read(path, JSON_FILE_MAX, &text, err);
    if (st == QN_OK) { /* the tree points into the text: it moves to the arena */
        kept = qn_arena_slice(&im->arena, qn_buf_slice(&text));
        if (kept.p == NULL) st = qn_fail(err, QN_ENOMEM, "import");
    }
    qn_buf_deinit(&text);
    QN_TRY(st);
    qn_error inner = {0};
    st = qn_json_parse(&im->arena, kept, out, &inner);
    if (st == QN_ENOMEM) return qn_fail(err, st, "import");
    if (st == QN_OK) return QN_OK;
    return qn_fail_file(err, QN_EMODEL, path, inner.at, "%.400s", inner.text);
}

qn_status qn_import__unsupported(qn_import *im, const char *file, const char *key,
                                 const qn_json *value, qn_error *err)
{
    const char *path = qn_import__shown(im, file);
    if (value == NULL)
        return qn_fail_file(err, QN_EUNSUPPORTED, path, QN_AT_NONE, "%s is missing",
                            key);
    int n = value->raw.n < 100 ? (int)value->raw.n : 100;
    return qn_fail_file(err, QN_EUNSUPPORTED, path, QN_AT_NONE,
                        "%s is %.*s, which is not supported", key, n, value->raw.p);
}

bool qn_import__is_string(const qn_json *v, const char *s)
{
    return v != NULL && v->kind == QN_JSON_STRING && qn_slice_eq_str(v->string, s);
}

bool qn_import__is_true(const qn_json *v)
{
    return v != NULL && v->kind == QN_JSON_BOOL && v->boolean;
}

/* The folder's own name: what follows the last '/', trailing ones aside. */
static qn_slice folder_name(const char *folder)
{
    size_t end = strlen(folder);
    while (end > 0 && folder[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/') begin--;
    return (qn_slice){folder + begin, end - begin};
}

/* What the folder's LICENSE file is, where its first lines leave no doubt; else "". */
static const char *known_licence(qn_import *im)
{
    enum { HEAD = 400, LICENCE_FILE_MAX = 1 << 20 };
    static const struct {
        const char *title, *version, *name;
    } known[] = {{"Apache License", "Version 2.0", "Apache-2.0"},
                 {"MIT License", "", "MIT"}};
    const char *path = qn_import__shown(im, "LICENSE"), *name = "";
    qn_buf text;
    qn_buf_init(&text, im->alloc);
    if (qn_file_exists(path) &&
        qn_file_read(path, LICENCE_FILE_MAX, &text, NULL) == QN_OK && text.n > 0) {
        if (text.n > HEAD) text.p[HEAD] = '\0';
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strstr(text.p, known[i].title) != NULL &&
                strstr(text.p, known[i].version) != NULL)
                name = known[i].name;
    }
    qn_buf_deinit(&text);
    return name;
}

/* Of the weights; with steps in files of their own, of all hashes in order. */
static qn_status hash_source(const qn_import *im, uint8_t out[16], qn_error *err)
{
    uint8_t all[16 * (QN_TAIL_STEPS_MAX + 1)];
    size_t n = 1;
    QN_TRY(qn_weights_hash(im->weights, all, err));
    for (size_t i = 0; i < QN_TAIL_STEPS_MAX; i++)
        if (im->tail[i] != NULL)
            QN_TRY(qn_weights_hash(im->tail[i], all + 16 * n++, err));
    memcpy(out, all, 16);
    if (n == 1) return QN_OK;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(all, 16 * n));
    memcpy(out, canonical.digest, 16);
    return QN_OK;
}

static qn_status describe(qn_import *im, qn_error *err)
{
    const qn_import_options *o = im->options;
    qn_model_info *info = &im->meta.info;
    qn_slice name = o->name != NULL ? qn_slice_of(o->name) : folder_name(im->folder);
    if (!qn_model_name_ok(name))
        return qn_fail(err, QN_EBADNAME,
                       "a model name is 1..%d letters, digits, '-', '_' or '.', not "
                       "\"%.*s\"",
                       QN_MODEL_NAME_MAX, (int)(name.n < 140 ? name.n : 140), name.p);
    info->name = qn_arena_strndup(&im->arena, name.p, name.n);
    info->licence = o->licence == NULL ? known_licence(im) : o->licence;
    info->origin = o->origin == NULL ? "" : o->origin;

    uint8_t hash[16];
    QN_TRY(hash_source(im, hash, err));
    qn_buf hex;
    qn_buf_init(&hex, im->alloc);
    qn_buf_add_str(&hex, "xxh3-128:");
    for (size_t i = 0; i < sizeof hash; i++) qn_buf_printf(&hex, "%02x", hash[i]);
    info->source_hash = qn_arena_strndup(&im->arena, hex.p == NULL ? "" : hex.p, hex.n);
    bool failed = hex.failed || info->name == NULL || info->source_hash == NULL;
    qn_buf_deinit(&hex);
    return failed ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}

static qn_status sync_parent(qn_import *im, const char *path, qn_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *parent =
        slash == NULL   ? "."
        : slash == path ? "/"
                        : qn_arena_strndup(&im->arena, path, (size_t)(slash - path));
    return parent == NULL ? qn_fail(err, QN_ENOMEM, "import")
                          : qn_dir_sync(parent, err);
}

/* The f32 model as an image in memory: what smaller dtypes are measured by. */
static qn_status open_exact(qn_import *im, uint8_t **image, qn_model **out,
                            qn_error *err)
{
    qn_qnm_writer *w = NULL;
    QN_TRY(qn_import__write(im, QN_MODEL_F32, NULL, &w, err));
    size_t n = 0;
    *image = qn_qnm_writer_take(w, &n);
    qn_qnm_writer_destroy(w);
    if (*image == NULL) return qn_fail(err, QN_ENOMEM, "import");
    return qn_model_open_memory(im->alloc, *image, n, "the model in f32", NULL, out,
                                err);
}

static void close_exact(const qn_import *im, uint8_t **image, qn_model **exact)
{
    qn_model_close(*exact);
    qn_delete_aligned(im->alloc, *image);
    *exact = NULL;
    *image = NULL;
}

/* Writes the file and opens it once. */
static qn_status write_and_open(qn_import *im, const char *path, qn_model **out,
                                qn_error *err)
{
    qn_qnm_writer *w = NULL;
    QN_TRY(qn_import__write(im, im->options->dtype, path, &w, err));
    qn_qnm_writer_destroy(w);
    return qn_model_open(im->alloc, path, NULL, out, err);
}

/* f32 is written as it is; a smaller dtype is prepared and judged with the f32 model. */
static qn_status write_model(qn_import *im, const char *path, qn_import_report *report,
                             qn_error *err)
{
    uint8_t *image = NULL;
    qn_model *exact = NULL, *written = NULL;
    bool smaller = im->options->dtype != QN_MODEL_F32;
    qn_status st;
    if (smaller) QN_TRY_TO(out, open_exact(im, &image, &exact, err));
    if (im->options->dtype == QN_MODEL_INT8) {
        QN_TRY_TO(out, qn_import__smooth(im, exact, err));
        close_exact(im, &image, &exact); /* again, with the scales */
        QN_TRY_TO(out, open_exact(im, &image, &exact, err));
    }
    if (smaller) QN_TRY_TO(out, qn_import__precision(im, exact, report, err));
    QN_TRY_TO(out, write_and_open(im, path, &written, err));
    if (smaller) st = qn_import__compare(im, exact, written, report, err);
out:
    qn_model_close(written);
    close_exact(im, &image, &exact);
    return st;
}

/* Under another name until it is whole. */
static qn_status write_output(qn_import *im, const char *output,
                              qn_import_report *report, qn_error *err)
{
    const char *part = qn_arena_printf(&im->arena, "%s.part", output);
    if (part == NULL) return qn_fail(err, QN_ENOMEM, "import");
    qn_status st;
    QN_TRY_TO(out, write_model(im, part, report, err));
    QN_TRY_TO(out, qn_file_size(part, &report->output_bytes, err));
    QN_TRY_TO(out, qn_file_rename(part, output, err));
    st = sync_parent(im, output, err);
out:
    if (st != QN_OK && qn_file_remove(part, NULL) != QN_OK)
        qn_log(QN_LOG_WARN, "nn", "cannot remove %s", part);
    return st;
}

static qn_status import_all(qn_import *im, const char *output, qn_import_report *report,
                            qn_error *err)
{
    QN_TRY(qn_import__find_encoder(im, err));
    QN_TRY(qn_import__config(im, err));
    QN_TRY(qn_import__vocab(im, err));
    QN_TRY(qn_import__find_words(im, err));
    QN_TRY(qn_weights_open(im->alloc, im->encoder_folder, &im->weights, err));
    QN_TRY(describe(im, err));
    QN_TRY(write_output(im, output, report, err));
    const qn_model_info *info = &im->meta.info;
    report->task = info->task;
    report->parameters = info->parameters;
    report->tensors = qn_import__written(im);
    report->ignored = qn_import__ignored(im);
    report->source_bytes = qn_weights_bytes(im->weights);
    for (size_t i = 0; i < QN_TAIL_STEPS_MAX; i++)
        if (im->tail[i] != NULL) report->source_bytes += qn_weights_bytes(im->tail[i]);
    return QN_OK;
}

qn_status qn_import_run(qn_alloc *a, const char *folder, const char *output,
                        const qn_import_options *options, qn_import_report *report,
                        qn_error *err)
{
    qn_import im = {.alloc = a, .folder = folder, .options = options};
    qn_import_report unused;
    if (report == NULL) report = &unused;
    *report = (qn_import_report){0};
    qn_arena_init(&im.arena, a, ARENA_LIMIT);
    qn_buf_init(&im.vocab, a);
    qn_status st = import_all(&im, output, report, err);
    qn_weights_close(im.weights);
    for (size_t i = 0; i < QN_TAIL_STEPS_MAX; i++) qn_weights_close(im.tail[i]);
    qn_buf_deinit(&im.vocab);
    qn_arena_deinit(&im.arena);
    return st;
}
