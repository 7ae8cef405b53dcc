/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas of both dialects, documents against them, names and dates. */
#include "engine/schema/document.h"
#include "engine/table/names.h"
#include "engine/schema/when.h"

#include "../qn_test.h"

static qn_analyzers *analyzers;

static int set_up(void **state)
{
    (void)state;
    qn_error err;
    return qn_analyzers_create(qn_alloc_heap(), &analyzers, &err) == QN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    qn_analyzers_destroy(analyzers);
    return 0;
}

static qn_status make(const char *json, qn_table_schema **out, qn_error *err)
{
    return qn_table_schema_create(qn_alloc_heap(), analyzers, qn_slice_of(json), NULL,
                                  0, out, err);
}

/* One line a field, then one an index: what a schema came to. */
static void describe(const qn_table_schema *s, qn_buf *b)
{
    static const char *const kinds[] = {"text", "term", "number", "primary", "vector"};
    for (size_t i = 0; i < s->schema.field_count; i++) {
        const qn_field *f = &s->schema.fields[i];
        qn_buf_printf(b, "%.*s:%s%s%s%s%s", QN_SLICE_ARG(f->name),
                      qn_field_type_name(f->type), f->indexed ? ",indexed" : "",
                      f->column ? ",column" : "", f->stored ? ",stored" : "",
                      f->multi ? ",multi" : "");
        if (!qn_slice_eq(f->name, f->path))
            qn_buf_printf(b, ",from=%.*s", QN_SLICE_ARG(f->path));
        if (f->dims != 0) qn_buf_printf(b, ",dims=%u,metric=%d", f->dims, f->metric);
        if (f->analyzer != NULL) qn_buf_printf(b, ",%s", f->analyzer);
        qn_buf_add_str(b, " ");
    }
    qn_buf_add_str(b, "|");
    for (size_t i = 0; i < s->schema.index_count; i++) {
        const qn_index_def *d = &s->schema.indexes[i];
        qn_buf_printf(b, " %.*s=%s(", QN_SLICE_ARG(d->name), kinds[d->kind]);
        for (size_t k = 0; k < d->field_count; k++)
            qn_buf_printf(b, "%s%.*s^%g", k == 0 ? "" : " ",
                          QN_SLICE_ARG(s->schema.fields[d->fields[k]].name),
                          (double)d->boosts[k]);
        qn_buf_add_str(b, ")");
    }
}

static const struct {
    const char *name, *json, *want;
} good[] = {
    {"empty", "{}", "| _id=primary()"},
    {"plain fields",
     "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\",\"analyzer\":"
     "\"english\"},"
     "\"year\":{\"type\":\"integer\"}}}}",
     "title:text,indexed,stored,multi,english year:integer,column,stored | "
     "title=text(title^1) year=number(year^1) _id=primary() default=text(title^1)"},
    {"sub-fields and objects",
     "{\"mappings\":{\"properties\":{\"a\":{\"type\":\"text\",\"fields\":{\"k\":{"
     "\"type\":"
     "\"keyword\",\"ignore_above\":9}}},\"o\":{\"properties\":{\"b\":{\"type\":"
     "\"boolean\"}}}}}}",
     "a:text,indexed,stored,multi,standard "
     "a.k:keyword,indexed,column,from=a o.b:boolean,column,stored | "
     "a=text(a^1) a.k=term(a.k^1) o.b=number(o.b^1) _id=primary() default=text(a^1)"},
    {"vector",
     "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":4,"
     "\"similarity\":\"l2_norm\",\"index_options\":{\"type\":\"hnsw\"}}}}}",
     "v:dense_vector,stored,dims=4,metric=0 | v=vector(v^1) _id=primary()"},
    {"retrieval engine",
     "{\"table_name\":\"main\",\"file_compress\":[{\"name\":\"c\",\"type\":\"zstd\"}],"
     "\"summarys\":{\"summary_fields\":[\"pk\",\"content\",\"copy\"],\"parameter\":{}},"
     "\"indexs\":[{\"index_name\":\"pk\",\"index_type\":\"PRIMARYKEY64\",\"index_"
     "fields\":\"pk\","
     "\"has_primary_key_attribute\":true},{\"index_name\":\"default\",\"index_type\":"
     "\"PACK\","
     "\"index_fields\":[{\"boost\":10,\"field_name\":\"content\"}],\"doc_payload_"
     "flag\":1,"
     "\"section_attribute_config\":{\"has_field_id\":true}},{\"index_name\":\"vector\","
     "\"index_type\":\"CUSTOMIZED\",\"index_fields\":[{\"boost\":1,\"field_name\":"
     "\"pk\"},"
     "{\"boost\":1,\"field_name\":\"embedding\"}],\"indexer\":\"aitheta2_indexer\","
     "\"parameters\":{\"dimension\":\"2\",\"distance_type\":\"SquaredEuclidean\","
     "\"embedding_delimiter\":\",\",\"enable_rt_build\":\"true\"}},{\"index_name\":"
     "\"n\","
     "\"index_type\":\"NUMBER\",\"index_fields\":\"n\"}],\"attributes\":[\"pk\",{"
     "\"field_name\":"
     "\"embedding\",\"file_compress\":\"c\"},\"n\",\"copy\"],\"fields\":[{\"field_"
     "name\":\"pk\","
     "\"field_type\":\"STRING\",\"compress_type\":\"uniq\"},{\"field_name\":"
     "\"content\","
     "\"field_type\":\"TEXT\",\"analyzer\":\"whitespace\",\"user_defined_param\":{}},"
     "{\"field_name\":\"embedding\",\"field_type\":\"FLOAT\",\"multi_value\":true},"
     "{\"field_name\":\"n\",\"field_type\":\"uint8\"},{\"field_name\":\"copy\","
     "\"field_type\":\"STRING\",\"user_defined_param\":{\"copy_from\":\"content\"}}]}",
     "pk:keyword,column,stored content:text,indexed,stored,whitespace "
     "embedding:dense_vector,dims=2,metric=0 n:short,column "
     "copy:keyword,column,stored,from=content | pk=primary(pk^1) "
     "default=text(content^10) "
     "vector=vector(embedding^1) n=number(n^1) content=text(content^1) "
     "embedding=vector(embedding^1) _id=primary()"},
};

static void test_good_schemas(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        T_ROW(good[i].name);
        qn_error err = {0};
        qn_table_schema *s = NULL;
        T_CALL(make(good[i].json, &s, &err), &err);
        qn_buf b;
        qn_buf_init(&b, qn_alloc_heap());
        describe(s, &b);
        T_EQ_S(b.p, good[i].want);
        qn_buf_deinit(&b);
        qn_table_schema_release(s);
    }
}

#define FIELD(f) "{\"mappings\":{\"properties\":{\"f\":" f "}}}"
#define HA3(fields, indexs) "{\"fields\":[" fields "],\"indexs\":[" indexs "]}"
#define PK "{\"field_name\":\"pk\",\"field_type\":\"STRING\"}"

static const struct {
    const char *name, *json;
    qn_status st;
    const char *says; /* a part of the message */
} bad[] = {
    {"not an object", "[]", QN_ESCHEMA, "must be a JSON object"},
    {"broken JSON", "{\"mappings\":", QN_EJSON, ""},
    {"unknown key", "{\"mapping\":{}}", QN_ESCHEMA, "[mapping]"},
    {"unknown type", FIELD("{\"type\":\"geo_shape\"}"), QN_ESCHEMA, "[geo_shape]"},
    {"no type", FIELD("{\"analyzer\":\"english\"}"), QN_ESCHEMA, "No type specified"},
    {"unknown parameter", FIELD("{\"type\":\"text\",\"dims\":3}"), QN_ESCHEMA,
     "[dims] on mapper [f] of type [text]"},
    {"unknown analyzer", FIELD("{\"type\":\"text\",\"analyzer\":\"klingon\"}"),
     QN_ENOANALYZER, "klingon"},
    {"copy_to", FIELD("{\"type\":\"text\",\"copy_to\":\"g\"}"), QN_ESCHEMA,
     "[copy_to]"},
    {"no dims", FIELD("{\"type\":\"dense_vector\"}"), QN_ESCHEMA, "needs dims"},
    {"too many dims", FIELD("{\"type\":\"dense_vector\",\"dims\":4097}"), QN_ESCHEMA,
     "4096"},
    {"unknown similarity",
     FIELD("{\"type\":\"dense_vector\",\"dims\":3,\"similarity\":\"manhattan\"}"),
     QN_ESCHEMA, "manhattan"},
    {"model without source",
     FIELD("{\"type\":\"dense_vector\",\"dims\":3,\"quern_model\":\"m\"}"), QN_ESCHEMA,
     "quern_source"},
    {"nested type", FIELD("{\"type\":\"nested\",\"properties\":{}}"), QN_ESCHEMA,
     "[nested]"},
    {"similarity not BM25", FIELD("{\"type\":\"text\",\"similarity\":\"boolean\"}"),
     QN_EUNSUPPORTED, "BM25"},
    {"custom analysis", "{\"settings\":{\"analysis\":{\"analyzer\":{\"a\":{}}}}}",
     QN_EUNSUPPORTED, "analysis"},
    {"date format", FIELD("{\"type\":\"date\",\"format\":\"MM/dd\"}"), QN_EUNSUPPORTED,
     "MM/dd"},
    {"twice",
     "{\"mappings\":{\"properties\":{\"f\":{\"type\":\"text\"},\"f\":{\"type\":"
     "\"long\"}}}}",
     QN_ESCHEMA, "declared twice"},
    {"name of dots", "{\"mappings\":{\"properties\":{\"a..b\":{\"type\":\"text\"}}}}",
     QN_ESCHEMA, "a..b"},
    {"ha3: no fields", "{\"indexs\":[]}", QN_ESCHEMA, "needs fields"},
    {"ha3: field type", HA3("{\"field_name\":\"f\",\"field_type\":\"POLYGON\"}", ""),
     QN_ESCHEMA, "[POLYGON]"},
    {"ha3: text without analyzer",
     HA3("{\"field_name\":\"f\",\"field_type\":\"TEXT\"}", ""), QN_ESCHEMA, "analyzer"},
    {"ha3: unknown field in an index",
     HA3(PK,
         "{\"index_name\":\"i\",\"index_type\":\"STRING\",\"index_fields\":\"pq\"}"),
     QN_ESCHEMA, "did you mean pk"},
    {"ha3: unknown index type",
     HA3(PK, "{\"index_name\":\"i\",\"index_type\":\"TRIE\",\"index_fields\":\"pk\"}"),
     QN_ESCHEMA, "[TRIE]"},
    {"ha3: type does not fit",
     HA3(PK,
         "{\"index_name\":\"i\",\"index_type\":\"NUMBER\",\"index_fields\":\"pk\"}"),
     QN_ESCHEMA, "does not fit"},
    {"ha3: vector without distance",
     HA3(PK ",{\"field_name\":\"v\",\"field_type\":\"FLOAT\",\"multi_value\":true}",
         "{\"index_name\":\"v\",\"index_type\":\"CUSTOMIZED\",\"index_fields\":[{"
         "\"field_name\":\"pk\",\"boost\":1},{\"field_name\":\"v\",\"boost\":1}],"
         "\"parameters\":{\"dimension\":\"2\"}}"),
     QN_ESCHEMA, "distance_type"},
    {"ha3: text attribute",
     "{\"fields\":[{\"field_name\":\"t\",\"field_type\":\"TEXT\",\"analyzer\":"
     "\"whitespace\"}],\"indexs\":[],\"attributes\":[\"t\"]}",
     QN_ESCHEMA, "cannot be an attribute"},
    {"ha3: sub tables", "{\"fields\":[],\"indexs\":[],\"sub_schema\":{}}",
     QN_EUNSUPPORTED, "sub_schema"},
};

static void test_bad_schemas(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        T_ROW(bad[i].name);
        qn_error err = {0};
        qn_table_schema *s = NULL;
        T_EQ_I(make(bad[i].json, &s, &err), bad[i].st);
        T_OK(s == NULL);
        if (strstr(err.text, bad[i].says) == NULL)
            T_FAIL("message lacks '%s': %s", bad[i].says, err.text);
    }
}

static void test_limits(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        T_ROW(extra == 0 ? "1000 fields" : "1001 fields");
        qn_buf b;
        qn_buf_init(&b, qn_alloc_heap());
        qn_buf_add_str(&b, "{\"mappings\":{\"properties\":{");
        for (size_t i = 0; i < QN_SCHEMA_FIELDS_MAX + extra; i++)
            qn_buf_printf(&b, "%s\"f%zu\":{\"type\":\"long\"}", i == 0 ? "" : ",", i);
        qn_buf_add_str(&b, "}}}");
        qn_error err = {0};
        qn_table_schema *s = NULL;
        T_EQ_I(make(b.p, &s, &err), extra == 0 ? QN_OK : QN_ELIMIT);
        qn_table_schema_release(s);
        qn_buf_deinit(&b);
    }
}

/* Printing and reading again gives the same print. */
static void test_print(void **state)
{
    (void)state;
    const char *json =
        "{\"mappings\":{\"dynamic\":\"strict\",\"properties\":{\"t\":{\"type\":"
        "\"text\","
        "\"analyzer\":\"english\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}},\"o\":{"
        "\"properties\":{\"x\":{\"type\":\"date\"},\"p\":{\"properties\":{\"y\":{"
        "\"type\":"
        "\"float\"}}}}},\"v\":{\"type\":\"dense_vector\",\"dims\":3}}}}";
    qn_error err = {0};
    qn_table_schema *s = NULL, *again = NULL;
    T_CALL(make(json, &s, &err), &err);
    qn_buf one, two;
    qn_buf_init(&one, qn_alloc_heap());
    qn_buf_init(&two, qn_alloc_heap());
    qn_json_writer w;
    qn_json_writer_init(&w, &one, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "mappings");
    qn_table_schema_print(s, &w);
    qn_json_end_object(&w);
    T_EQ_S(
        one.p,
        "{\"mappings\":{\"dynamic\":\"strict\",\"properties\":{\"t\":{\"type\":"
        "\"text\","
        "\"analyzer\":\"english\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}},\"o\":{"
        "\"properties\":{\"x\":{\"type\":\"date\"},\"p\":{\"properties\":{\"y\":{"
        "\"type\":"
        "\"float\"}}}}},\"v\":{\"type\":\"dense_vector\",\"dims\":3,\"index\":true,"
        "\"similarity\":\"cosine\"}}}}");
    T_CALL(make(one.p, &again, &err), &err);
    qn_json_writer_init(&w, &two, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "mappings");
    qn_table_schema_print(again, &w);
    qn_json_end_object(&w);
    T_EQ_S(two.p, one.p);
    qn_buf_deinit(&one);
    qn_buf_deinit(&two);
    qn_table_schema_release(s);
    qn_table_schema_release(again);
}

/* ---- documents ------------------------------------------------------------------------ */

#define DOC_SCHEMA                                                                     \
    "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\",\"fields\":{\"k\":{"      \
    "\"type\":"                                                                        \
    "\"keyword\",\"ignore_above\":3}}},\"n\":{\"type\":\"byte\"},\"d\":{\"type\":"     \
    "\"date\"},"                                                                       \
    "\"b\":{\"type\":\"boolean\"},\"x\":{\"type\":\"float\"},\"o\":{\"properties\":{"  \
    "\"y\":{"                                                                          \
    "\"type\":\"long\"}}},\"v\":{\"type\":\"dense_vector\",\"dims\":2}}}}"

static void describe_document(const qn_document *d, qn_buf *b)
{
    for (size_t i = 0; i < d->count; i++) {
        const qn_doc_value *v = &d->values[i];
        qn_buf_printf(b, "%s%.*s=", i == 0 ? "" : " ", QN_SLICE_ARG(v->field->name));
        if (v->field->type == QN_FIELD_TEXT || v->field->type == QN_FIELD_KEYWORD)
            qn_buf_printf(b, "'%.*s'", QN_SLICE_ARG(v->text));
        else if (v->field->type == QN_FIELD_VECTOR)
            qn_buf_printf(b, "<%g,%g>", (double)v->vector[0], (double)v->vector[1]);
        else if (v->field->type == QN_FIELD_FLOAT)
            qn_buf_printf(b, "%g", v->f64);
        else
            qn_buf_printf(b, "%lld", (long long)v->i64);
    }
    for (size_t i = 0; i < d->addition_count; i++)
        qn_buf_printf(b, " +%.*s:%.*s", QN_SLICE_ARG(d->additions[i].name),
                      QN_SLICE_ARG(d->additions[i].mapping));
}

static const struct {
    const char *name, *json;
    qn_status st;
    const char *want; /* values, or a part of the message */
} documents[] = {
    {"all kinds",
     "{\"t\":\"Up\",\"n\":\"7\",\"d\":\"2009-05-29\",\"b\":\"true\",\"x\":1.5,\"o\":{"
     "\"y\":5},"
     "\"v\":[1,0.5]}",
     QN_OK, "t='Up' t.k='Up' n=7 d=1243555200000 b=1 x=1.5 o.y=5 v=<1,0.5>"},
    {"lists, nulls", "{\"t\":[\"a\",null,[\"b\"]],\"n\":[1,2],\"b\":null}", QN_OK,
     "t='a' t='b' t.k='a' t.k='b' n=1 n=2 +t.k:{\"quern_multi\":true} "
     "+n:{\"quern_multi\":true}"},
    {"ignore_above counts characters",
     "{\"t\":\"\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97\"}", QN_OK,
     "t='\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97' "
     "t.k='\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97'"},
    {"over ignore_above", "{\"t\":\"abcd\"}", QN_OK, "t='abcd'"},
    {"dotted key", "{\"o.y\":3}", QN_OK, "o.y=3"},
    {"list of objects", "{\"o\":[{\"y\":1},{\"y\":2}]}", QN_OK,
     "o.y=1 o.y=2 +o.y:{\"quern_multi\":true}"},
    {"coerced", "{\"n\":5.7,\"x\":\"2\"}", QN_OK, "n=5 x=2"},
    {"numbers as text", "{\"t\":12}", QN_OK, "t='12' t.k='12'"},
    {"new text", "{\"new\":\"hello\"}", QN_OK,
     " +new:{\"type\":\"text\",\"fields\":{\"keyword\":{\"type\":\"keyword\","
     "\"ignore_above\":256}}}"},
    {"new others",
     "{\"a\":1,\"c\":[null,1.5],\"e\":true,\"g\":\"2020-01-02\",\"h\":[],\"i\":{}}",
     QN_OK,
     " +a:{\"type\":\"long\"} +c:{\"type\":\"float\"} +e:{\"type\":\"boolean\"} "
     "+g:{\"type\":\"date\"}"},
    {"new inside an object", "{\"o\":{\"z\":1}}", QN_OK, " +o.z:{\"type\":\"long\"}"},
    {"not a number", "{\"t\":\"x\",\n \"n\":\"abc\"}", QN_EDOCUMENT,
     "[2:6] failed to parse field [n] of type [byte] in document with id '1'. Preview "
     "of "
     "field's value: 'abc'"},
    {"out of range", "{\"n\":300}", QN_EDOCUMENT, "out of range"},
    {"beyond int64", "{\"o\":{\"y\":9223372036854775808}}", QN_EDOCUMENT,
     "out of range"},
    {"bad date", "{\"d\":\"yesterday\"}", QN_EDOCUMENT, "[d] of type [date]"},
    {"bad bool", "{\"b\":1}", QN_EDOCUMENT, "only [true] or [false]"},
    {"float overflow", "{\"x\":1e39}", QN_EDOCUMENT, "finite"},
    {"object for a text", "{\"t\":{\"a\":1}}", QN_EDOCUMENT, "START_OBJECT"},
    {"text for an object", "{\"o\":\"x\"}", QN_EDOCUMENT, "as object"},
    {"vector too short", "{\"v\":[1]}", QN_EDIMS, "dimensions [1]"},
    {"vector too long", "{\"v\":[1,2,3]}", QN_EDIMS, "dimensions [3]"},
    {"zero vector", "{\"v\":[0,0]}", QN_EDOCUMENT, "zero magnitude"},
    {"vector of words", "{\"v\":[\"a\",\"b\"]}", QN_EDOCUMENT, "list of numbers"},
    {"not an object", "[1]", QN_EDOCUMENT, "must be a JSON object"},
};

static void test_documents(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_table_schema *s = NULL;
    T_ROW("schema");
    T_CALL(make(DOC_SCHEMA, &s, &err), &err);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        T_ROW(documents[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_slice source = qn_slice_of(documents[i].json);
        const qn_json *root = NULL;
        qn_document d;
        T_CALL(qn_json_parse(&arena, source, &root, &err), &err);
        T_EQ_I(qn_document_check(&arena, s, source, root, QN_SLICE_LIT("1"), &d, &err),
               documents[i].st);
        if (documents[i].st == QN_OK) {
            qn_buf b;
            qn_buf_init(&b, qn_alloc_heap());
            describe_document(&d, &b);
            T_EQ_S(b.p == NULL ? "" : b.p, documents[i].want);
            qn_buf_deinit(&b);
        } else if (strstr(err.text, documents[i].want) == NULL) {
            T_FAIL("message lacks '%s': %s", documents[i].want, err.text);
        }
        qn_arena_deinit(&arena);
    }
    qn_table_schema_release(s);
}

static const struct {
    const char *name, *base, *partial, *want;
} merges[] = {
    {"replaced", "{\"a\":1,\"b\":2}", "{\"a\":3}", "{\"a\":3,\"b\":2}"},
    {"added", "{\"a\":1}", "{\"b\":[2]}", "{\"a\":1,\"b\":[2]}"},
    {"inside", "{\"o\":{\"x\":1,\"y\":2}}", "{\"o\":{\"y\":null}}",
     "{\"o\":{\"x\":1,\"y\":null}}"},
    {"list replaced", "{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}"},
    {"last counts", "{}", "{\"a\":1,\"a\":2}", "{\"a\":2}"},
};

static void test_merge(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        T_ROW(merges[i].name);
        qn_error err = {0};
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_json *base = NULL, *partial = NULL;
        T_CALL(qn_json_parse(&arena, qn_slice_of(merges[i].base), &base, &err), &err);
        T_CALL(qn_json_parse(&arena, qn_slice_of(merges[i].partial), &partial, &err),
               &err);
        qn_buf b;
        qn_buf_init(&b, qn_alloc_heap());
        T_CALL(qn_document_merge(base, partial, &b, &err), &err);
        T_EQ_S(b.p, merges[i].want);
        qn_buf_deinit(&b);
        qn_arena_deinit(&arena);
    }
}

/* ---- names and dates ------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool upper;
    qn_status st;
} names[] = {
    {"films", false, QN_OK},
    {"films-2", false, QN_OK},
    {"Films", false, QN_EBADNAME},
    {"Films", true, QN_OK},
    {"", false, QN_EBADNAME},
    {"_bulk", false, QN_EBADNAME},
    {"-a", false, QN_EBADNAME},
    {".", false, QN_EBADNAME},
    {"..", false, QN_EBADNAME},
    {"a/b", false, QN_EBADNAME},
    {"a b", false, QN_EBADNAME},
    {"a*", false, QN_EBADNAME},
    {"a:b", false, QN_EBADNAME},
    {"\xFF", false, QN_EBADNAME},
    {"\xE5\xBD\xB1\xE7\x89\x87", false, QN_OK},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        T_ROW(names[i].name);
        qn_error err = {0};
        T_EQ_I(qn_name_check_table(qn_slice_of(names[i].name), names[i].upper, &err),
               names[i].st);
    }
    char longest[QN_ID_MAX + 1];
    memset(longest, 'a', sizeof longest);
    qn_error err = {0};
    T_ROW("limits");
    T_EQ_I(qn_name_check_table((qn_slice){longest, 255}, false, &err), QN_OK);
    T_EQ_I(qn_name_check_table((qn_slice){longest, 256}, false, &err), QN_EBADNAME);
    T_EQ_I(qn_name_check_id((qn_slice){longest, 512}, &err), QN_OK);
    T_EQ_I(qn_name_check_id((qn_slice){longest, 513}, &err), QN_EDOCUMENT);
}

static const struct {
    const char *text;
    bool good;
    int64_t ms;
} dates[] = {
    {"1970-01-01", true, 0},
    {"2015", true, 1420070400000},
    {"2015-03", true, 1425168000000},
    {"2016-02-29", true, 1456704000000},
    {"2015-02-29", false, 0},
    {"2015-13-01", false, 0},
    {"2015-03-09T14:05", true, 1425909900000},
    {"2015-03-09 14:05:30", true, 1425909930000},
    {"2015/03/09 14:05:30", true, 1425909930000},
    {"2015-03-09T14:05:30.123456Z", true, 1425909930123},
    {"2015-03-09T14:05:30+08:00", true, 1425881130000},
    {"2015-03-09T14:05:30-0130", true, 1425915330000},
    {"1425909930000", true, 1425909930000},
    {"-1", true, -1},
    {"0001-01-01", true, -62135596800000},
    {"2015-03-09T25:00", false, 0},
    {"2015-03-09T14:05:30 x", false, 0},
    {"", false, 0},
    {"tomorrow", false, 0},
};

static void test_dates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        T_ROW(dates[i].text);
        int64_t ms = 0;
        T_EQ_I(qn_when_parse(qn_slice_of(dates[i].text), &ms), dates[i].good);
        if (dates[i].good) T_EQ_I(ms, dates[i].ms);
    }
    char out[32];
    T_ROW("print");
    qn_when_print(1425909930123, out);
    T_EQ_S(out, "2015-03-09T14:05:30.123Z");
    qn_when_print(-1, out);
    T_EQ_S(out, "1969-12-31T23:59:59.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_schemas), cmocka_unit_test(test_bad_schemas),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_print),
        cmocka_unit_test(test_documents),    cmocka_unit_test(test_merge),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
