/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of formulas over one small table, through the public interface. */
#include "engine_fixture.h"

#include <math.h>

#define SHOPS                                                                          \
    "{\"table_name\":\"shops\",\"fields\":["                                           \
    "{\"field_name\":\"id\",\"field_type\":\"INT64\"},"                                \
    "{\"field_name\":\"title\",\"field_type\":\"TEXT\",\"analyzer\":\"english\"},"     \
    "{\"field_name\":\"body\",\"field_type\":\"TEXT\",\"analyzer\":\"english\"},"      \
    "{\"field_name\":\"city\",\"field_type\":\"STRING\"},"                             \
    "{\"field_name\":\"price\",\"field_type\":\"INT32\"},"                             \
    "{\"field_name\":\"ratio\",\"field_type\":\"DOUBLE\"},"                            \
    "{\"field_name\":\"bits\",\"field_type\":\"INT64\",\"multi_value\":true},"         \
    "{\"field_name\":\"tags\",\"field_type\":\"DOUBLE\",\"multi_value\":true},"        \
    "{\"field_name\":\"area\",\"field_type\":\"DOUBLE\",\"multi_value\":true},"        \
    "{\"field_name\":\"areas\",\"field_type\":\"DOUBLE\",\"multi_value\":true},"       \
    "{\"field_name\":\"point\",\"field_type\":\"DOUBLE\",\"multi_value\":true},"       \
    "{\"field_name\":\"v\",\"field_type\":\"FLOAT\",\"multi_value\":true}],"           \
    "\"indexs\":[{\"index_name\":\"id\",\"index_type\":\"PRIMARYKEY64\","              \
    "\"index_fields\":\"id\",\"has_primary_key_attribute\":true},"                     \
    "{\"index_name\":\"title\",\"index_type\":\"TEXT\",\"index_fields\":\"title\"},"   \
    "{\"index_name\":\"body\",\"index_type\":\"TEXT\",\"index_fields\":\"body\"},"     \
    "{\"index_name\":\"vec\",\"index_type\":\"CUSTOMIZED\",\"indexer\":"               \
    "\"aitheta2_indexer\",\"index_fields\":[{\"field_name\":\"id\",\"boost\":1},"      \
    "{\"field_name\":\"v\",\"boost\":1}],\"parameters\":{\"dimension\":\"2\","         \
    "\"distance_type\":\"SquaredEuclidean\"}}],\"attributes\":[\"id\",\"city\","       \
    "\"price\",\"ratio\",\"bits\",\"tags\",\"area\",\"areas\",\"point\"],"             \
    "\"summarys\":{\"summary_fields\":[\"id\"]}}"

/* bits: $1 is bits 0-3, $2 bits 4-11, $3 bits 60-63, counted from the high end. */
static const char *const shops[] = {
    "{\"id\":1,\"title\":\"red mill stones\",\"body\":\"old mill\",\"city\":\"a-b c\","
    "\"price\":7,\"ratio\":0.5,\"bits\":[1152921504606846976,2310346608841064459,5],"
    "\"tags\":[1,0.5,5,0.5,3,0.1],\"area\":[0,0,4,0,4,4,0,4],"
    "\"areas\":[2,3,4,10,10,12,10,10,12,0,0,4,0,4,4,0,4],\"point\":[1,2],\"v\":[0,0]}",
    "{\"id\":2,\"title\":\"mill\",\"body\":\"the river mill and the mill wheel\","
    "\"city\":\"\",\"price\":-3,\"tags\":[0.25,7,1],\"area\":[0,0,1],\"v\":[3,0]}",
    "{\"id\":3,\"title\":\"stones\",\"body\":\"mill stones\",\"price\":9,\"v\":[1,0]}",
};

static void make_shops(fixture *f)
{
    fixture_begin(f);
    fixture_table(f, "shops", SHOPS);
    for (size_t i = 0; i < sizeof shops / sizeof *shops; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "%zu", i + 1);
        put(f, "shops", id, shops[i]);
        if (i == 1) T_CALL(quern_flush(f->q, "shops", &f->err), &f->err);
    }
    T_CALL(quern_refresh(f->q, "shops", &f->err), &f->err);
}

#define QUERY "query=body:'mill' OR vec:'0,0&n=2'"
#define PAIRS                                                                          \
    ",t:5=0.6\\:1=0.3,keys:7,n:12,list:3\\,7\\,9,city:a-b c,x:4.5,"                    \
    "areas:0\\,0\\,9\\,0\\,0\\,9;0\\,0\\,1\\,0\\,0\\,1"

/* Asks with a formula in its place; commas are escaped here. */
static qn_status ask(fixture *f, const char *place, const char *formula,
                     quern_reply **reply)
{
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof text, "%s&&kvpairs=%s:", QUERY, place);
    for (const char *c = formula; *c != 0 && n < sizeof text - 3; c++) {
        if (*c == ',' || *c == '\\') text[n++] = '\\';
        text[n++] = *c;
    }
    (void)snprintf(text + n, sizeof text - n, "%s", PAIRS);
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = QUERN_QUERY_HA3;
    s.query = text;
    s.query_size = strlen(text);
    return quern_search(f->q, "shops", &s, reply, &f->err);
}

static const quern_hit *hit_of(const quern_reply *r, const char *id)
{
    for (size_t i = 0; i < r->hit_count; i++)
        if (strcmp(r->hits[i].id, id) == 0) return &r->hits[i];
    T_FAIL("no hit %s of %zu", id, r->hit_count);
    return NULL;
}

/* What document 1, 2 and 3 get. */
static const struct {
    const char *formula;
    double one, two, three;
} values[] = {
    /* bits of integers */
    {"bit_struct(bits,\"0-3,4-11,60-63\",\"equal,$1,1\")", 0, -1, -1},
    {"bit_struct(bits,\"0-3,4-11,60-63\",\"equal,$3,5\")", 2, -1, -1},
    {"bit_struct(bits,\"0-3,4-11,60-63\",\"equal,$1,2\",\"equal,$3,11\",\"and,$4,$5\")",
     1, -1, -1},
    {"bit_struct(bits,\"60-63\",\"overlap,$1,$1,4,6\")", 2, -1, -1},
    {"bit_struct(bits,\"0-63\",\"equal,$1,5\")", 2, -1, -1},
    {"multi_attr(bits,bit_struct(bits,\"60-63\",\"equal,$1,5\"))", 5, 0, 0},
    /* polygons */
    {"in_polygon(area,1,1)", 1, 0, 0},
    {"in_polygon(area,\"4\",\"2\")", 1, 0, 0},
    {"in_polygon(area,x,1)", 0, 0, 0},
    {"in_polygon(areas,1,1,\"true\")", 2, 0, 0},
    {"in_polygon(areas,11.5,10.5,true)", 1, 0, 0},
    {"in_polygon(areas,50,50,true)", 0, 0, 0},
    {"in_query_polygon(areas,point)", 1, 0, 0},
    /* tags */
    {"tag_match(t,tags,mul,sum)", 0.45, 0, 0},
    {"tag_match(t,tags,mul,max)", 0.3, 0, 0},
    {"tag_match(t,tags,mul,min)", 0.15, 0, 0},
    {"tag_match(t,tags,mul,avg)", 0.225, 0, 0},
    {"tag_match(t,tags,mul,first_match)", 0.15, 0, 0},
    {"tag_match(t,tags,max,sum)", 1.1, 0, 0},
    {"tag_match(t,tags,min,sum)", 0.8, 0, 0},
    {"tag_match(t,tags,sum,sum)", 1.9, 0, 0},
    {"tag_match(t,tags,avg,sum)", 0.95, 0, 0},
    {"tag_match(t,tags,query_value,sum)", 0.9, 0, 0},
    {"tag_match(t,tags,doc_value,sum)", 1, 0, 0},
    {"tag_match(t,tags,3,sum)", 6, 0, 0},
    {"tag_match(\"t\",tags,\"2.5\",\"sum\")", 5, 0, 0},
    {"tag_match(keys,tags,mul,sum,true,true)", 1, 1, 0},
    {"tag_match(keys,tags,mul,sum,\"false\",\"false\",\"50\")", 0, 1, 0},
    {"tag_match(t,tags,mul,sum,false,true,1)", 0.15, 0, 0},
    {"value_count(tags)", 6, 3, 0},
    /* values of the request */
    {"int32_param(n)+1", 13, 13, 13},
    {"double_param(none,\"2.5\")", 2.5, 2.5, 2.5},
    {"uint8_param(\"n\")*2", 24, 24, 24},
    {"ha_in(price,\"7|8\")", 1, 0, 0},
    {"kvpairs_value(n,INT)*kvpairs_value(gone,DOUBLE)", 0, 0, 0},
    /* one place in several paths: words find 1 2 3, the two nearest are 1 and 3 */
    {"rrf(vector)", 1 / 61.0, 0, 1 / 62.0},
    {"rrf(vec,2,k,0)", 2, 0, 1},
    {"rrf(text,k,1)+rrf(vector,k,1)-rrf(text,vector,k,1)", 0, 0, 0},
    {"linear(vector)", 1, 0, 0},
    {"linear(vector,4)-linear(vec,3)", 1, 0, 0},
    {"vector_score(vec)", 0, 0, 1},
    {"linear(text)>=0 and linear(text)<=1", 1, 1, 1},
    /* words */
    {"field_bm25(body)>0", 1, 1, 1},
    {"text_relevance(body)*14.5-5*field_match_weighted(body)-0.5*field_bm25(body)"
     "-9*fieldterm_proximity(body)",
     0, 0, 0},
    {"bm25_score(body)/bm25(body)", 2.2, 2.2, 2.2},
    {"tfidf_score(body)", 0, 0, 0}, /* every document has the word: ln 1 */
    {"exact_match_boost(sum)", 99, 99, 99},
};

static void test_values(void **state)
{
    (void)state;
    fixture f;
    make_shops(&f);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        T_ROW(values[i].formula);
        quern_reply *r = NULL;
        T_CALL(ask(&f, "formula", values[i].formula, &r), &f.err);
        T_NEAR(hit_of(r, "1")->stages.fine, values[i].one, 1e-5);
        T_NEAR(hit_of(r, "2")->stages.fine, values[i].two, 1e-5);
        T_NEAR(hit_of(r, "3")->stages.fine, values[i].three, 1e-5);
        quern_reply_free(r);
    }
    fixture_end(&f);
}

static const struct {
    const char *place, *formula;
    qn_status st;
    const char *says;
} wrong[] = {
    {"formula", "category_score(city)", QN_EFIELDTYPE, "whole numbers"},
    {"formula", "popularity(m)", QN_EUNSUPPORTED, "attribute"},
    {"formula", "sub_count()", QN_EUNSUPPORTED, "value_count(field)"},
    {"formula", "sub_max(price)", QN_EUNSUPPORTED, "no sub-documents"},
    {"formula", "int32_param(gone)", QN_EPARAM, "kvpairs has no 'gone'"},
    {"formula", "int8_param(n,\"1\")+int8_param(x)", QN_EPARAM, "is no int8"},
    {"formula", "uint8_param(none,\"-1\")", QN_EPARAM, "is no uint8"},
    {"formula", "bit_struct(price,\"0-70\",\"equal,$1,1\")", QN_EFUNCARGS, "0 to 63"},
    {"formula", "bit_struct(bits,\"0-7\",\"equal,$2,1\")", QN_EFUNCARGS, "$1 to $1"},
    {"formula", "bit_struct(bits,\"0-7\",\"equals,$1,1\")", QN_EFUNCARGS, "operation"},
    {"formula", "bit_struct(tags,\"0-7\",\"equal,$1,1\")", QN_EFIELDTYPE, "integers"},
    {"formula", "bit_struct(bit,\"0-7\",\"equal,$1,1\")", QN_ENOATTR, "'bits'?"},
    {"formula", "bit_struct(bits,0,\"equal,$1,1\")", QN_EFUNCARGS, "quoted"},
    {"formula", "in_polygon(area,city,1)", QN_EFUNCARGS, "coordinate"},
    {"formula", "in_polygon(city,1,1)", QN_EFIELDTYPE, "numbers"},
    {"formula", "in_query_polygon(t,point)", QN_EINVAL, "polygon"},
    {"formula", "tag_match(t,tags,multiply,sum)", QN_EFUNCARGS, "kv_op"},
    {"formula", "tag_match(t,tags,mul,product)", QN_EFUNCARGS, "merge_op"},
    {"formula", "tag_match(t,tags,mul,sum,false,true,6000)", QN_EFUNCARGS, "5120"},
    {"formula", "tag_match(t,city,mul,sum)", QN_EFIELDTYPE, "numbers"},
    {"formula", "rrf(words)", QN_EFUNCARGS, "path of recall"},
    {"formula", "rrf(text,k,0-1)", QN_EFUNCARGS, ""},
    {"formula", "linear(3)", QN_EFUNCARGS, "path of recall"},
    {"formula", "neural_score()", QN_EFUNCARGS, "neural_score(\"model\")"},
    {"formula", "neural_score(\"gone\")", QN_ENOMODEL, "gone"},
    {"formula", "text_relevance_llm(\"m\",\"titel\")", QN_ENOATTR, "'title'?"},
    {"formula", "bm25(bodi)", QN_ENOFIELD, "'body'?"},
    {"formula", "proxima_score(vex)", QN_ENOFIELD, "'vec'?"},
    {"formula", "proxima_score(body)", QN_EFIELDTYPE, "vector index"},
    {"formula", "exact_match_boost(least)", QN_EFUNCARGS, "sum or max"},
    {"formula", "text_relevence(body)", QN_ENOFUNC, "'text_relevance'?"},
    {"formula", "field_bm25(price)", QN_EFIELDTYPE, "text fields"},
    {"first_formula", "text_relevance(body)", QN_ENOFUNC, "the fine sort"},
    {"formula", "static_bm25()", QN_ENOFUNC, "the rough sort"},
    {"formula", "kvpairs_value(city,INT)", QN_EPARAM, "is no number"},
    {"formula", "to_string(tags)", QN_EMULTIEXPR, "several values"},
    {"formula", "string_replace(price,\"a\",\"b\")", QN_EFIELDTYPE, "string"},
};

static void test_refused(void **state)
{
    (void)state;
    fixture f;
    make_shops(&f);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_ROW(wrong[i].formula);
        quern_reply *r = NULL;
        T_EQ_I(ask(&f, wrong[i].place, wrong[i].formula, &r), wrong[i].st);
        T_OK(r == NULL);
        if (strstr(f.err.text, wrong[i].says) == NULL) T_FAIL("says %s", f.err.text);
    }
    fixture_end(&f);
}

/* Filters and sort keys: texts, lists and virtual attributes keep their types. */
static const struct {
    const char *name, *clauses, *want;
} clauses[] = {
    {"text of a number", "filter=to_string(price)=\"-3\"", "2"},
    {"text of a fraction", "filter=to_string(ratio)=\"0.5\"", "1"},
    {"replaced", "filter=string_replace(city,\"- \",\"_\")=\"a_b_c\"", "1"},
    {"a string of the request", "filter=city=string_param(\"city\")", "1"},
    {"its default", "filter=city=string_param(\"gone\",\"a-b c\")", "1"},
    {"a number of the request", "filter=price<int32_param(\"n\")", "1 2 3"},
    {"numbers of the request", "filter=mint32_param(\"list\")=price", "1 3"},
    {"how many", "filter=value_count(tags)>3", "1"},
    {"bits", "filter=bit_struct(bits,\"60-63\",\"equal,$1,5\")>0", "1"},
    {"inside", "filter=in_polygon(area,1,1)>0", "1"},
    {"virtual integer", "virtual_attribute=twice:price*2&&filter=twice=14", "1"},
    {"virtual text", "virtual_attribute=p:to_string(price)&&filter=p=\"9\"", "3"},
    {"virtual of a virtual", "virtual_attribute=a:price+1;b:a*10&&filter=b>70&&sort=+b",
     "1 3"},
    {"sorted by text", "sort=-to_string(price)", "3 1 2"},
};

static void test_clauses(void **state)
{
    (void)state;
    fixture f;
    make_shops(&f);
    for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++) {
        T_ROW(clauses[i].name);
        char text[1024], got[64] = "";
        quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
        (void)snprintf(
            text, sizeof text, "%s&&%s%s&&kvpairs=a:b%s", QUERY, clauses[i].clauses,
            strstr(clauses[i].clauses, "sort=") == NULL ? "&&sort=+id" : "", PAIRS);
        s.kind = QUERN_QUERY_HA3;
        s.query = text;
        s.query_size = strlen(text);
        quern_reply *r = NULL;
        T_CALL(quern_search(f.q, "shops", &s, &r, &f.err), &f.err);
        for (size_t h = 0; h < r->hit_count; h++) {
            size_t n = strlen(got);
            (void)snprintf(got + n, sizeof got - n, "%s%s", h == 0 ? "" : " ",
                           r->hits[h].id);
        }
        T_EQ_S(got, clauses[i].want);
        quern_reply_free(r);
    }
    fixture_end(&f);
}

/* Lengths over 40, which the index keeps roughly, are told exactly. */
static void test_lengths(void **state)
{
    (void)state;
    static const unsigned lengths[] = {1, 39, 40, 41, 43, 100, 777};
    fixture f;
    fixture_begin(&f);
    fixture_table(&f, "shops", SHOPS);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char id[24], text[6000];
        (void)snprintf(id, sizeof id, "%zu", i + 1);
        size_t n =
            (size_t)snprintf(text, sizeof text, "{\"id\":%zu,\"body\":\"mill", i + 1);
        for (unsigned k = 1; k < lengths[i]; k++)
            n += (size_t)snprintf(text + n, sizeof text - n, " w%u", k % 7);
        (void)snprintf(text + n, sizeof text - n, "\",\"v\":[0,0]}");
        put(&f, "shops", id, text);
    }
    T_CALL(quern_refresh(f.q, "shops", &f.err), &f.err);
    static const struct {
        const char *formula;
        bool ratio;
    } rows[] = {{"field_length(body)", false}, {"field_match_ratio(body)", true}};
    for (size_t i = 0; i < 2; i++) {
        T_ROW(rows[i].formula);
        quern_reply *r = NULL;
        T_CALL(ask(&f, "formula", rows[i].formula, &r), &f.err);
        for (size_t d = 0; d < sizeof lengths / sizeof *lengths; d++) {
            char id[24];
            (void)snprintf(id, sizeof id, "%zu", d + 1);
            T_NEAR(hit_of(r, id)->stages.fine,
                   rows[i].ratio ? 1.0 / lengths[d] : lengths[d], 1e-6);
        }
        quern_reply_free(r);
    }
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_clauses),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
