/* SPDX-License-Identifier: Apache-2.0 */
/* Ids back to texts: tokenizer files with every kind of decoder, and what the tokenizers
 * library made of the same ids (tests/oracle/decode_oracle.py). */
#include "../qn_test.h"

#include "io/file.h"
#include "io/json.h"
#include "text/tokenizer.h"

enum { IDS_MAX = 32, FILES_MAX = 16 };

typedef struct fixture {
    qn_arena arena;
    qn_buf text;
    const qn_json *root;
    qn_tokenizer *made[FILES_MAX];
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    qn_error err;
    qn_arena_init(&f.arena, qn_alloc_heap(), 0);
    qn_buf_init(&f.text, qn_alloc_heap());
    T_CALL(qn_file_read(QN_SOURCE_DIR "/tests/golden/text/decode.json", 1 << 20,
                        &f.text, &err),
           &err);
    T_CALL(qn_json_parse(&f.arena, qn_buf_slice(&f.text), &f.root, &err), &err);
    size_t i = 0;
    for (const qn_json *v = qn_json_items(qn_json_get(f.root, "files")); v != NULL;
         v = v->next)
        T_CALL(qn_tokenizer_create(qn_alloc_heap(), QN_TOKENIZER_JSON, v->raw,
                                   &f.made[i++], &err),
               &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES_MAX; i++) qn_tokenizer_destroy(f.made[i]);
    qn_buf_deinit(&f.text);
    qn_arena_deinit(&f.arena);
    return 0;
}

static const qn_tokenizer *named(qn_slice name)
{
    size_t i = 0;
    for (const qn_json *v = qn_json_items(qn_json_get(f.root, "files")); v != NULL;
         v = v->next, i++)
        if (qn_slice_eq(v->key, name)) return f.made[i];
    T_FAIL("no file %.*s", QN_SLICE_ARG(name));
    return NULL;
}

static void test_golden(void **state)
{
    (void)state;
    size_t cases = 0;
    for (const qn_json *v = qn_json_items(qn_json_get(f.root, "cases")); v != NULL;
         v = v->next, cases++) {
        const qn_json *ids = v->first->next, *skip = ids->next, *want = skip->next;
        uint32_t list[IDS_MAX];
        size_t n = 0;
        qn_slice got;
        qn_error err;
        char row[64];
        (void)snprintf(row, sizeof row, "%.*s, case %zu",
                       QN_SLICE_ARG(v->first->string), cases);
        T_ROW(row);
        for (const qn_json *id = ids->first; id != NULL; id = id->next)
            list[n++] = (uint32_t)id->integer;
        T_CALL(qn_tokenizer_decode(named(v->first->string), list, n, skip->boolean,
                                   &f.arena, &got, &err),
               &err);
        if (!qn_slice_eq(got, want->string))
            T_FAIL("got '%.*s', want '%.*s'", QN_SLICE_ARG(got),
                   QN_SLICE_ARG(want->string));
    }
    T_EQ_I(cases, 182);
}

static void test_refused(void **state)
{
    (void)state;
    static const char ctc[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},"
        "\"decoder\":{\"type\":\"CTC\"}}";
    const uint32_t ids[] = {0, 4000000000u};
    qn_tokenizer *t = NULL;
    qn_slice got;
    qn_error err;
    T_ROW("an id that is none");
    T_EQ_I(qn_tokenizer_decode(named(QN_SLICE_LIT("ByteLevel")), ids, 2, true, &f.arena,
                               &got, &err),
           QN_EINVAL);
    T_OK(strstr(err.text, "token id 4000000000") != NULL);
    T_ROW("a decoder that is not built: the file is read all the same");
    T_CALL(qn_tokenizer_create(qn_alloc_heap(), QN_TOKENIZER_JSON, qn_slice_of(ctc), &t,
                               &err),
           &err);
    T_EQ_I(qn_tokenizer_decode(t, ids, 1, true, &f.arena, &got, &err), QN_EUNSUPPORTED);
    T_OK(strstr(err.text, "CTC") != NULL);
    qn_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
