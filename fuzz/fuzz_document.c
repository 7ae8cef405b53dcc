/* SPDX-License-Identifier: Apache-2.0 */
/* Any JSON as a document of a table that maps what it does not know: refused with a
 * reason, or values that fit their fields; the fields it brings make a schema under which
 * it brings no more. An update with itself changes nothing that the schema sees. */
#include "engine/schema/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { ROUNDS_MAX = 4 };

static const char source[] =
    "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\",\"fields\":{\"raw\":"
    "{\"type\":\"keyword\",\"ignore_above\":20}}},\"year\":{\"type\":\"integer\"},"
    "\"day\":{\"type\":\"date\"},\"ok\":{\"type\":\"boolean\"},\"price\":{\"type\":"
    "\"float\"},\"vec\":{\"type\":\"dense_vector\",\"dims\":3},\"o\":{\"properties\":"
    "{\"b\":{\"type\":\"byte\"},\"u\":{\"type\":\"unsigned_long\"}}}}}}";

static const qn_analyzers *analyzers(void)
{
    static qn_analyzers *set;
    qn_error err = {0};
    if (set == NULL)
        qn_assert(qn_analyzers_create(qn_alloc_heap(), &set, &err) == QN_OK);
    return set;
}

static void check_values(const qn_document *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const qn_doc_value *v = &d->values[i];
        qn_assert(v->field != NULL);
        qn_assert(v->field->type != QN_FIELD_VECTOR || v->vector != NULL);
        if (v->field->type == QN_FIELD_INT32)
            qn_assert(v->i64 >= v->field->int_min && v->i64 <= v->field->int_max);
    }
}

/* Makes schemas until the document brings nothing new. */
static qn_status settle(qn_arena *arena, qn_slice text, const qn_json *root)
{
    qn_schema_addition all[256];
    size_t count = 0;
    qn_error err = {0};
    qn_status st = QN_OK;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        qn_table_schema *schema = NULL;
        qn_document d = {0};
        st = qn_table_schema_create(qn_alloc_heap(), analyzers(), qn_slice_of(source),
                                    all, count, &schema, &err);
        if (st != QN_OK) {
            qn_assert(err.text[0] != '\0');
            return st;
        }
        st = qn_document_check(arena, schema, text, root, QN_SLICE_LIT("1"), &d, &err);
        if (st == QN_OK && d.addition_count == 0) check_values(&d);
        if (st != QN_OK) qn_assert(err.code == st && err.text[0] != '\0');
        qn_table_schema_release(schema);
        if (st != QN_OK || d.addition_count == 0 || count + d.addition_count > 256)
            return st;
        for (size_t i = 0; i < d.addition_count; i++) all[count++] = d.additions[i];
    }
    qn_assert_failed("a document goes on bringing fields", __FILE__, __LINE__);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_slice text = {(const char *)bytes, n};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *root = NULL, *merged = NULL;
    qn_error err = {0};
    if (qn_json_parse(&arena, text, &root, &err) == QN_OK &&
        root->kind == QN_JSON_OBJECT) {
        qn_status st = settle(&arena, text, root);
        qn_buf out = {.alloc = qn_alloc_heap()};
        if (qn_document_merge(root, root, &out, &err) == QN_OK) {
            qn_assert(qn_json_parse(&arena, qn_buf_slice(&out), &merged, &err) ==
                      QN_OK);
            if (st == QN_OK)
                qn_assert(settle(&arena, qn_buf_slice(&out), merged) == QN_OK);
        }
        qn_buf_deinit(&out);
    }
    qn_arena_deinit(&arena);
    return 0;
}
