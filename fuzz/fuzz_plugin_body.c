/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what is uploaded as a plug-in: refused with a reason, or files with names of
 * their own, which are the same when written as JSON and read again. */
#include "engine/control/plugin_body.h"
#include "io/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_files(const qn_plugin_body *b)
{
    qn_assert(b->file_count > 0 && b->file_count <= QN_CAVA_FILES_MAX);
    for (size_t i = 0; i < b->file_count; i++) {
        qn_assert(b->files[i].name.n > 0 && b->files[i].source.p != NULL);
        for (size_t k = 0; k < i; k++)
            qn_assert(!qn_slice_eq(b->files[i].name, b->files[k].name));
    }
}

static void write_body(const qn_plugin_body *b, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    qn_json_member_slice(&w, "description", b->description);
    qn_json_key(&w, "files");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < b->file_count; i++) {
        qn_json_begin_object(&w);
        qn_json_member_slice(&w, "name", b->files[i].name);
        qn_json_member_slice(&w, "source", b->files[i].source);
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
    qn_json_end_object(&w);
    qn_assert(!out->failed);
}

static void read_again(const qn_plugin_body *b, qn_arena *arena)
{
    qn_buf text;
    qn_plugin_body again;
    qn_error err = {.at = QN_AT_NONE};
    qn_buf_init(&text, qn_alloc_heap());
    write_body(b, &text);
    qn_status st = qn_plugin_body_read(qn_buf_slice(&text), QN_SLICE_LIT("x"), arena,
                                       &again, &err);
    qn_assert(st == QN_OK && again.file_count == b->file_count);
    qn_assert(qn_slice_eq(again.description, b->description));
    for (size_t i = 0; i < b->file_count; i++) {
        qn_assert(qn_slice_eq(again.files[i].name, b->files[i].name));
        qn_assert(qn_slice_eq(again.files[i].source, b->files[i].source));
    }
    qn_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_slice text = {(const char *)bytes, n};
    qn_arena arena;
    qn_plugin_body b;
    qn_error err = {.at = QN_AT_NONE};
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_plugin_body_read(text, QN_SLICE_LIT("plugin"), &arena, &b, &err);
    if (st == QN_OK) {
        check_files(&b);
        /* JSON is UTF-8; what a source is, its compiler says. */
        if (qn_slice_trim(text).p[0] == '{') read_again(&b, &arena);
    } else {
        qn_assert(err.code == st && err.text[0] != '\0');
        qn_assert(err.at == QN_AT_NONE || err.at <= text.n);
    }
    qn_arena_deinit(&arena);
    return 0;
}
