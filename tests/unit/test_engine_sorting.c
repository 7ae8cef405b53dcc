/* SPDX-License-Identifier: Apache-2.0 */
/* Points, sort keys and search_after through the public interface, in both dialects. */
#include "engine_fixture.h"
#include "test_engine.h"

static const char *ids_of(fixture *f, const char *table, quern_query_kind kind,
                          const char *text)
{
    static char out[1024];
    quern_reply *reply = NULL;
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = kind;
    s.query = text;
    s.query_size = strlen(text);
    out[0] = 0;
    if (quern_search(f->q, table, &s, &reply, &f->err) != QN_OK) {
        (void)snprintf(out, sizeof out, "!%s", f->err.text);
        return out;
    }
    for (size_t i = 0; i < reply->hit_count; i++) {
        size_t n = strlen(out);
        (void)snprintf(out + n, sizeof out - n, "%s%s", i == 0 ? "" : " ",
                       reply->hits[i].id);
    }
    quern_reply_free(reply);
    return out;
}

/* ---- a mapping ------------------------------------------------------------------------ */

#define CITIES                                                                         \
    "{\"mappings\":{\"properties\":{\"name\":{\"type\":\"keyword\"},\"at\":{\"type\":" \
    "\"geo_point\"},\"people\":{\"type\":\"long\"},\"marks\":{\"type\":\"integer\"}}}" \
    "}"

/* Points in every form that there is; 6 has two of them, 7 none. */
static const char *const cities[] = {
    "{\"name\":\"Hangzhou\",\"at\":{\"lat\":30.2741,\"lon\":120.1551},\"people\":10,"
    "\"marks\":[1,9]}",
    "{\"name\":\"Beijing\",\"at\":\"39.9042,116.4074\",\"people\":21,\"marks\":[4]}",
    "{\"name\":\"Paris\",\"at\":[2.3522,48.8566],\"people\":2,\"marks\":[3,3,9]}",
    "{\"name\":\"London\",\"at\":\"POINT (-0.1276 51.5072)\",\"people\":9}",
    "{\"name\":\"Suva\",\"at\":{\"type\":\"Point\",\"coordinates\":[178.4419,-18.1248]}"
    ","
    "\"people\":1,\"marks\":[5]}",
    "{\"name\":\"Twins\",\"at\":[{\"lat\":48.9,\"lon\":2.4},\"-17.0,-179.5\"],"
    "\"people\":2,\"marks\":[2,6]}",
    "{\"name\":\"Nowhere\",\"marks\":[7]}",
    "{\"name\":\"Hash\",\"at\":\"wtmkn0\",\"people\":3}",
};

static const struct {
    const char *name, *body, *ids;
} asked[] = {
    {"near Paris",
     "{\"query\":{\"geo_distance\":{\"distance\":\"20km\",\"at\":\"48.85,2.35\"}},"
     "\"sort\":\"name\"}",
     "3 6"},
    {"near Paris, farther",
     "{\"query\":{\"geo_distance\":{\"distance\":400000,\"at\":[2.35,48.85]}},\"sort\":"
     "\"name\"}",
     "4 3 6"},
    {"over the date line",
     "{\"query\":{\"geo_distance\":{\"distance\":\"300km\",\"at\":\"-17.5,180\"}},"
     "\"sort\":\"name\"}",
     "5 6"},
    {"a box",
     "{\"query\":{\"geo_bounding_box\":{\"at\":{\"top_left\":{\"lat\":45,\"lon\":100},"
     "\"bottom_right\":\"20,130\"}}},\"sort\":\"name\"}",
     "2 1 8"},
    {"a box over the date line",
     "{\"query\":{\"geo_bounding_box\":{\"at\":{\"top\":0,\"left\":170,\"bottom\":-30,"
     "\"right\":-170}}},\"sort\":\"name\"}",
     "5 6"},
    {"a filter and not one",
     "{\"query\":{\"bool\":{\"filter\":{\"exists\":{\"field\":\"at\"}},\"must_not\":{"
     "\"geo_distance\":{\"distance\":\"9000km\",\"at\":\"50,0\"}}}},\"sort\":\"name\"}",
     "1 8 5"},
    {"by distance, the nearer point of two counts",
     "{\"sort\":[{\"_geo_distance\":{\"at\":\"48.8566,2.3522\",\"order\":\"asc\","
     "\"unit\":"
     "\"km\"}}]}",
     "3 6 4 2 1 8 5 7"},
    {"by distance, the farther one",
     "{\"sort\":[{\"_geo_distance\":{\"at\":\"48.8566,2.3522\",\"order\":\"desc\"}}],"
     "\"size\":2}",
     "5 6"},
    {"two keys", "{\"sort\":[\"people\",{\"name\":\"desc\"}]}", "5 6 3 8 4 1 2 7"},
    {"missing first",
     "{\"sort\":[{\"people\":{\"missing\":\"_first\"}},\"name\"],\"size\":2}", "7 5"},
    {"missing by a value",
     "{\"sort\":[{\"people\":{\"missing\":5}},\"name\"],\"size\":6}", "5 3 6 8 7 4"},
    {"sums",
     "{\"sort\":[{\"marks\":{\"mode\":\"sum\",\"order\":\"desc\"}}],\"size\":3}",
     "3 1 6"},
    {"averages", "{\"sort\":[{\"marks\":{\"mode\":\"avg\"}}],\"size\":4}", "2 6 1 3"},
    {"medians", "{\"sort\":[{\"marks\":{\"mode\":\"median\"}}],\"size\":3}", "3 2 6"},
    {"behind a page", "{\"sort\":[\"people\",\"name\"],\"search_after\":[2,\"Paris\"]}",
     "6 8 4 1 2 7"},
    {"behind a missing value",
     "{\"sort\":[\"people\",\"name\"],\"search_after\":[21,\"Beijing\"]}", "7"},
    {"behind the last", "{\"sort\":[\"people\"],\"search_after\":[null]}", ""},
    {"behind a place", "{\"sort\":[\"_doc\"],\"search_after\":[5],\"size\":9}", "7 8"},
    {"no field", "{\"query\":{\"geo_distance\":{\"distance\":\"1km\"}}}",
     "!failed to parse [geo_distance] query: no field given"},
    {"not a point",
     "{\"query\":{\"geo_distance\":{\"distance\":\"1km\",\"people\":[1,1]}}}",
     "!Field [people] is of unsupported type [long] for [geo_distance] query"},
    {"unmapped", "{\"query\":{\"geo_distance\":{\"distance\":\"1km\",\"x\":[1,1]}}}",
     "!failed to find geo field [x]"},
    {"unmapped and said so",
     "{\"query\":{\"geo_distance\":{\"distance\":\"1km\",\"x\":[1,1],\"ignore_"
     "unmapped\":"
     "true}}}",
     ""},
    {"by a point's field", "{\"sort\":\"at\"}",
     "!can't sort on geo_point field [at] without using specific sorting feature, like "
     "geo_distance"},
};

static void check_cities(fixture *f)
{
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        T_ROW(asked[i].name);
        T_EQ_S(ids_of(f, "cities", QUERN_QUERY_DSL, asked[i].body), asked[i].ids);
    }
}

void test_points_and_keys(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f);
    fixture_table(&f, "cities", CITIES);
    for (size_t i = 0; i < sizeof cities / sizeof *cities; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "%zu", i + 1);
        put(&f, "cities", id, cities[i]);
        if (i == 2 || i == 5) T_CALL(quern_flush(f.q, "cities", &f.err), &f.err);
    }
    T_CALL(quern_refresh(f.q, "cities", &f.err), &f.err);
    check_cities(&f);
    T_CALL(quern_table_optimize(f.q, "cities", &f.err), &f.err);
    check_cities(&f);
    fixture_end(&f);
}

/* ---- the Retrieval Engine's schema --------------------------------------------------------- */

#define SHOPS                                                                          \
    "{\"table_name\":\"shops\",\"fields\":[{\"field_name\":\"id\",\"field_type\":"     \
    "\"STRING\"},{\"field_name\":\"loc\",\"field_type\":\"LOCATION\"}],\"indexs\":[{"  \
    "\"index_name\":\"id\",\"index_type\":\"PRIMARYKEY64\",\"index_fields\":\"id\"},{" \
    "\"index_name\":\"spot\",\"index_type\":\"SPATIAL\",\"index_fields\":\"loc\"}],"   \
    "\"attributes\":[\"id\",\"loc\"],\"summarys\":{\"summary_fields\":[\"id\"]}}"

void test_locations(void **state)
{
    (void)state;
    static const struct {
        const char *name, *query, *ids;
    } rows[] = {
        {"circle", "query=spot:'circle(116.4 39.9,5000)'", "1 2"},
        {"small circle", "query=spot:'circle(116.4 39.9,500)'", "1"},
        {"point", "query=spot:'point(116.43 39.9)'", "2"},
        {"rectangle", "query=spot:'rectangle(116 40,117 39)'", "1 2"},
        {"over the date line", "query=spot:'rectangle(179 -1,-179 1)'", "3"},
        {"no shape finds nothing", "query=spot:'circle(116.4 39.9)'", ""},
        {"polygons are refused", "query=spot:'polygon(1 1,2 2,3 1,1 1)'",
         "![loc]: points, circles and rectangles are supported, not polygons and "
         "lines"},
    };
    fixture f;
    fixture_begin(&f);
    fixture_table(&f, "shops", SHOPS);
    put(&f, "shops", "1", "{\"id\":\"1\",\"loc\":\"116.4 39.9\"}");
    put(&f, "shops", "2", "{\"id\":\"2\",\"loc\":\"10 10\\u001d116.43 39.9\"}");
    put(&f, "shops", "3", "{\"id\":\"3\",\"loc\":\"179.99 0.5\"}");
    T_CALL(quern_refresh(f.q, "shops", &f.err), &f.err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_EQ_S(ids_of(&f, "shops", QUERN_QUERY_HA3, rows[i].query), rows[i].ids);
    }
    fixture_end(&f);
}
