/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control/plugin_body.h"

#include "io/json.h"

static qn_status read_file(qn_slice text, const qn_json *v, qn_arena *arena,
                           qn_cava_file *out, qn_error *err)
{
    const qn_json *name = qn_json_get(v, "name"), *source = qn_json_get(v, "source");
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next)
        if (v->kind == QN_JSON_OBJECT && !qn_slice_eq_str(it->key, "name") &&
            !qn_slice_eq_str(it->key, "source"))
            return qn_fail_at(err, QN_EINVAL, qn_json_offset(it, text),
                              "plug-in: a file has \"name\" and \"source\", not "
                              "\"%.*s\"",
                              it->key.n > 40 ? 40 : (int)it->key.n, it->key.p);
    if (name == NULL || source == NULL || name->kind != QN_JSON_STRING ||
        source->kind != QN_JSON_STRING || name->string.n == 0 || name->string.n > 100)
        return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, text),
                          "plug-in: a file is {\"name\": \"a.cava\", \"source\": "
                          "\"...\"}");
    for (size_t i = 0; i < name->string.n; i++)
        if ((unsigned char)name->string.p[i] <= ' ' || name->string.p[i] == ':')
            return qn_fail_at(err, QN_EINVAL, qn_json_offset(name, text),
                              "plug-in: the name of a file has no blanks or colons");
    out->name = qn_arena_slice(arena, name->string);
    out->source = qn_arena_slice(arena, source->string);
    return out->name.p == NULL || out->source.p == NULL
               ? qn_fail(err, QN_ENOMEM, "plug-in")
               : QN_OK;
}

static qn_status read_json(qn_slice text, qn_arena *arena, qn_plugin_body *out,
                           qn_error *err)
{
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(arena, text, &root, err));
    for (const qn_json *it = qn_json_items(root); it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "description") && it->kind == QN_JSON_STRING) {
            out->description = it->string;
            continue;
        }
        if (!qn_slice_eq_str(it->key, "files") || it->kind != QN_JSON_ARRAY)
            return qn_fail_at(err, QN_EINVAL, qn_json_offset(it, text),
                              "plug-in: \"files\" (an array) and \"description\" (a "
                              "string) are known, not \"%.*s\" of kind %s",
                              QN_SLICE_ARG(it->key), qn_json_kind_name(it->kind));
        for (const qn_json *f = qn_json_items(it); f != NULL; f = f->next) {
            if (out->file_count == QN_CAVA_FILES_MAX)
                return qn_fail_at(err, QN_ELIMIT, qn_json_offset(f, text),
                                  "plug-in: more than %d files", QN_CAVA_FILES_MAX);
            qn_cava_file *file = &out->files[out->file_count];
            QN_TRY(read_file(text, f, arena, file, err));
            for (size_t i = 0; i < out->file_count; i++)
                if (qn_slice_eq(out->files[i].name, file->name))
                    return qn_fail_at(err, QN_EINVAL, qn_json_offset(f, text),
                                      "plug-in: two files are named \"%.*s\"",
                                      QN_SLICE_ARG(file->name));
            out->file_count++;
        }
    }
    if (out->file_count == 0)
        return qn_fail_at(err, QN_EINVAL, 0, "plug-in: \"files\" is missing or empty");
    return QN_OK;
}

qn_status qn_plugin_body_read(qn_slice text, qn_slice name, qn_arena *arena,
                              qn_plugin_body *out, qn_error *err)
{
    qn_slice body = qn_slice_trim(text);
    *out = (qn_plugin_body){.description = QN_SLICE_LIT("")};
    if (body.n == 0) return qn_fail(err, QN_EINVAL, "plug-in: the body is empty");
    if (body.p[0] == '{') return read_json(text, arena, out, err);
    char *file = qn_arena_printf(arena, "%.*s.cava", QN_SLICE_ARG(name));
    out->files[0].source = qn_arena_slice(arena, text);
    if (file == NULL || out->files[0].source.p == NULL)
        return qn_fail(err, QN_ENOMEM, "plug-in");
    out->files[0].name = qn_slice_of(file);
    out->file_count = 1;
    return QN_OK;
}
