/* SPDX-License-Identifier: Apache-2.0 */
/* A schema, and after a line "---" a document against it. A mapping that is accepted
 * prints as one that prints the same; the fields a document brings make a schema that
 * the document fits without bringing more. */
#include "engine/schema/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const qn_analyzers *analyzers(void)
{
    static qn_analyzers *set;
    qn_error err;
    if (set == NULL)
        qn_assert(qn_analyzers_create(qn_alloc_heap(), &set, &err) == QN_OK);
    return set;
}

static void print(const qn_table_schema *s, qn_buf *out)
{
    qn_json_writer w;
    qn_buf_init(out, qn_alloc_heap());
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "mappings");
    qn_table_schema_print(s, &w);
    qn_json_end_object(&w);
}

static void check_print(const qn_table_schema *s)
{
    qn_buf one, two;
    qn_table_schema *again = NULL;
    qn_error err;
    print(s, &one);
    qn_status st = qn_table_schema_create(qn_alloc_heap(), analyzers(),
                                          qn_buf_slice(&one), NULL, 0, &again, &err);
    qn_assert(st == QN_OK);
    print(again, &two);
    qn_assert(qn_slice_eq(qn_buf_slice(&one), qn_buf_slice(&two)));
    qn_table_schema_release(again);
    qn_buf_deinit(&one);
    qn_buf_deinit(&two);
}

static void check_document(const qn_table_schema *s, qn_slice text)
{
    qn_arena arena;
    qn_error err;
    const qn_json *root = NULL;
    qn_document d;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_slice id = QN_SLICE_LIT("1");
    if (qn_json_parse(&arena, text, &root, &err) == QN_OK &&
        qn_document_check(&arena, s, text, root, id, &d, &err) == QN_OK) {
        for (size_t i = 0; i < d.count; i++)
            qn_assert(qn_schema_field(&s->schema, d.values[i].field->name) ==
                      d.values[i].field);
        qn_table_schema *wider = NULL;
        qn_document e;
        if (d.addition_count != 0 &&
            qn_table_schema_create(qn_alloc_heap(), analyzers(), s->schema.source,
                                   d.additions, d.addition_count, &wider,
                                   &err) == QN_OK &&
            qn_document_check(&arena, wider, text, root, id, &e, &err) == QN_OK) {
            /* What is left is evidence of lists in the fields just mapped. */
            for (size_t i = 0; i < e.addition_count; i++)
                qn_assert(
                    qn_slice_eq_str(e.additions[i].mapping, "{\"quern_multi\":true}"));
        }
        qn_table_schema_release(wider);
    }
    qn_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char mark[] = "\n---\n";
    qn_slice all = {n == 0 ? "" : (const char *)bytes, n};
    size_t at = 0;
    while (at + 5 <= n && memcmp(all.p + at, mark, 5) != 0) at++;
    bool has_document = at + 5 <= n;
    qn_slice schema = {all.p, has_document ? at : n};
    qn_table_schema *s = NULL;
    qn_error err;
    if (qn_table_schema_create(qn_alloc_heap(), analyzers(), schema, NULL, 0, &s,
                               &err) != QN_OK)
        return 0;
    if (s->schema.dialect == QN_SCHEMA_MAPPING) check_print(s);
    if (has_document) check_document(s, (qn_slice){all.p + at + 5, n - at - 5});
    qn_table_schema_release(s);
    return 0;
}
