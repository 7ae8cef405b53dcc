/* SPDX-License-Identifier: Apache-2.0 */
/* query_fixture.h -- the schema that the query tests ask.
 *
 *     index    kind     fields                       field    type, analyzer
 *     default  TEXT     title (boost 2), body        title    TEXT standard
 *     title    TEXT     title                        body     TEXT english
 *     body     TEXT     body                         tag      KEYWORD, multi, column
 *     tag      TERM     tag                          year     INT32 column
 *     year     NUMBER   year                         price    DOUBLE column
 *     price    NUMBER   price                        ...
 *     id       PRIMARY  key
 *     vector   VECTOR   key, embedding (L2, 2)
 *     picture  VECTOR   key, tag (category), pixels (DOT, 2)
 *     no index: note (TEXT), code (KEYWORD, column only), bare (INT32, no column) */
#ifndef QN_QUERY_FIXTURE_H
#define QN_QUERY_FIXTURE_H

#include "query/request.h"
#include "text/analyzer.h"

enum {
    FIX_TITLE,
    FIX_BODY,
    FIX_TAG,
    FIX_YEAR,
    FIX_PRICE,
    FIX_KEY,
    FIX_EMBEDDING,
    FIX_PIXELS,
    FIX_DAY,
    FIX_FLAG,
    FIX_NOTE,
    FIX_CODE,
    FIX_BARE,
    FIX_WEIGHT,
    FIX_COUNT
};

#define FIX_TEXT(field, n, how)                                                        \
    [field] = {.id = field,                                                            \
               .name = {n, sizeof(n) - 1},                                             \
               .path = {n, sizeof(n) - 1},                                             \
               .type = QN_FIELD_TEXT,                                                  \
               .indexed = true,                                                        \
               .analyzer = how,                                                        \
               .search_analyzer = how,                                                 \
               .position_gap = 100}
#define FIX_VALUE(field, n, kind, ...)                                                 \
    [field] = {.id = field,                                                            \
               .name = {n, sizeof(n) - 1},                                             \
               .path = {n, sizeof(n) - 1},                                             \
               .type = kind,                                                           \
               __VA_ARGS__}

static const qn_field fix_fields[FIX_COUNT] = {
    FIX_TEXT(FIX_TITLE, "title", "standard"),
    FIX_TEXT(FIX_BODY, "body", "english"),
    FIX_VALUE(FIX_TAG, "tag", QN_FIELD_KEYWORD, .indexed = true, .column = true,
              .multi = true),
    FIX_VALUE(FIX_YEAR, "year", QN_FIELD_INT32, .column = true, .int_min = INT32_MIN,
              .int_max = INT32_MAX),
    FIX_VALUE(FIX_PRICE, "price", QN_FIELD_DOUBLE, .column = true),
    FIX_VALUE(FIX_KEY, "key", QN_FIELD_KEYWORD, .column = true),
    FIX_VALUE(FIX_EMBEDDING, "embedding", QN_FIELD_VECTOR, .dims = 2,
              .metric = QN_METRIC_L2),
    FIX_VALUE(FIX_PIXELS, "pixels", QN_FIELD_VECTOR, .dims = 2,
              .metric = QN_METRIC_DOT),
    FIX_VALUE(FIX_DAY, "day", QN_FIELD_DATE, .column = true),
    FIX_VALUE(FIX_FLAG, "flag", QN_FIELD_BOOL, .column = true),
    FIX_TEXT(FIX_NOTE, "note", "standard"),
    FIX_VALUE(FIX_CODE, "code", QN_FIELD_KEYWORD, .column = true),
    FIX_VALUE(FIX_BARE, "bare", QN_FIELD_INT32, .column = false),
    FIX_VALUE(FIX_WEIGHT, "weight", QN_FIELD_FLOAT, .column = true, .multi = true),
};

#define FIX_INDEX(n, k, how, ...)                                                      \
    {                                                                                  \
        .name = {n, sizeof(n) - 1}, .kind = k, .analyzer = how,                        \
        .fields = (const uint32_t[]){__VA_ARGS__},                                     \
        .field_count = sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)      \
    }

static const qn_index_def fix_indexes[] = {
    {.name = {"default", 7},
     .kind = QN_INDEX_TEXT,
     .analyzer = "standard",
     .fields = (const uint32_t[]){FIX_TITLE, FIX_BODY},
     .boosts = (const float[]){2, 1},
     .field_count = 2},
    FIX_INDEX("title", QN_INDEX_TEXT, "standard", FIX_TITLE),
    FIX_INDEX("body", QN_INDEX_TEXT, "english", FIX_BODY),
    FIX_INDEX("tag", QN_INDEX_TERM, NULL, FIX_TAG),
    FIX_INDEX("year", QN_INDEX_NUMBER, NULL, FIX_YEAR),
    FIX_INDEX("price", QN_INDEX_NUMBER, NULL, FIX_PRICE),
    FIX_INDEX("day", QN_INDEX_NUMBER, NULL, FIX_DAY),
    FIX_INDEX("flag", QN_INDEX_NUMBER, NULL, FIX_FLAG),
    FIX_INDEX("id", QN_INDEX_PRIMARY, NULL, FIX_KEY),
    FIX_INDEX("vector", QN_INDEX_VECTOR, NULL, FIX_KEY, FIX_EMBEDDING),
    FIX_INDEX("picture", QN_INDEX_VECTOR, NULL, FIX_KEY, FIX_TAG, FIX_PIXELS),
};

static const qn_schema fix_schema = {
    .dialect = QN_SCHEMA_HA3,
    .fields = fix_fields,
    .field_count = FIX_COUNT,
    .field_id_next = FIX_COUNT,
    .indexes = fix_indexes,
    .index_count = sizeof fix_indexes / sizeof *fix_indexes,
    .primary_key = FIX_KEY,
    .default_index = &fix_indexes[0],
};

#endif
