/* SPDX-License-Identifier: Apache-2.0 */
/* Data folders written by earlier programs open, and answer as they did then.
 *
 *     test_golden_format              checks every tests/golden/format/v<N>/
 *     test_golden_format make DIR     writes one: DIR/data and DIR/answers.txt
 *
 * A line of answers.txt is: table, what is asked (get, count, dsl, ha3, embed), the text
 * of it and the answer, between tabs. */
#include "../fault/folders.h"
#include "../qn_test.h"

#include "base/log.h"
#include "io/io_internal.h"
#include "quern/quern.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#define GOLDEN QN_SOURCE_DIR "/tests/golden/format"

enum { DOCS = 900, TEXT_MAX = 8192, VERSIONS_MAX = 99 };

/* ---- asking ---------------------------------------------------------------------------- */

static void answer_get(quern *q, const char *table, const char *id, char *out)
{
    qn_error err;
    quern_document doc;
    qn_status st = quern_get(q, table, id, strlen(id), &doc, &err);
    if (st == QN_ENODOC) {
        (void)snprintf(out, TEXT_MAX, "none");
        return;
    }
    T_CALL(st, &err);
    (void)snprintf(out, TEXT_MAX, "%lld %lld %s", (long long)doc.seq_no,
                   (long long)doc.version, doc.source);
    quern_document_free(&doc);
}

static void answer_search(quern *q, const char *table, quern_query_kind kind,
                          const char *text, char *out)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_error err;
    o.kind = kind;
    o.query = text;
    o.query_size = strlen(text);
    if (quern_search(q, table, &o, &reply, &err) != QN_OK)
        T_FAIL("%s: %s", text, err.text);
    size_t n =
        (size_t)snprintf(out, TEXT_MAX, "%llu%s:", (unsigned long long)reply->total,
                         reply->total_is_lower_bound ? "+" : "");
    for (size_t i = 0; i < reply->hit_count && n < TEXT_MAX; i++) {
        const quern_hit *hit = &reply->hits[i];
        n += (size_t)snprintf(out + n, TEXT_MAX - n, " %s", hit->id);
        if (!isnan(hit->score) && n < TEXT_MAX)
            n += (size_t)snprintf(out + n, TEXT_MAX - n, "=%.6g", hit->score);
    }
    quern_reply_free(reply);
}

static void answer_embed(quern *q, const char *model, const char *text, char *out)
{
    float values[64] = {0};
    qn_error err;
    quern_model_info info;
    quern_text one = {text, strlen(text)};
    size_t n = 0;
    T_CALL(quern_model_info_get(q, model, &info, &err), &err);
    T_OK(info.dims <= 64);
    T_CALL(quern_embed(q, model, &one, 1, 0, NULL, values, info.dims, NULL, &err),
           &err);
    for (size_t i = 0; i < info.dims; i++)
        n += (size_t)snprintf(out + n, TEXT_MAX - n, "%s%.4f", i == 0 ? "" : " ",
                              (double)values[i]);
}

static void answer(quern *q, const char *table, const char *what, const char *text,
                   char *out)
{
    qn_error err;
    uint64_t count = 0;
    if (strcmp(what, "get") == 0) {
        answer_get(q, table, text, out);
    } else if (strcmp(what, "count") == 0) {
        T_CALL(quern_count_all(q, table, &count, &err), &err);
        (void)snprintf(out, TEXT_MAX, "%llu", (unsigned long long)count);
    } else if (strcmp(what, "dsl") == 0) {
        answer_search(q, table, QUERN_QUERY_DSL, text, out);
    } else if (strcmp(what, "ha3") == 0) {
        answer_search(q, table, QUERN_QUERY_HA3, text, out);
    } else if (strcmp(what, "embed") == 0) {
        answer_embed(q, table, text, out);
    } else {
        T_FAIL("answers.txt asks for [%s]", what);
    }
}

static quern *open_engine(const char *dir)
{
    qn_error err;
    quern *q = NULL;
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = dir;
    o.neural_threads = 1;
    T_CALL(quern_open(&o, &q, &err), &err);
    return q;
}

/* ---- checking ---------------------------------------------------------------------------- */

/* The vectors of the int8 model move within its rounding when activations are quantised in
 * another way than they were when the folder was written. */
static bool same_numbers(const char *got, const char *want)
{
    for (;;) {
        char *got_end = NULL, *want_end = NULL;
        double a = strtod(got, &got_end), b = strtod(want, &want_end);
        if (got_end == got || want_end == want)
            return got_end == got && want_end == want;
        if (fabs(a - b) > 0.01) return false;
        got = got_end;
        want = want_end;
    }
}

/* Cuts the line at its first tab; the rest. */
static char *cut(char *line)
{
    char *tab = strchr(line, '\t');
    T_OK(tab != NULL);
    *tab = '\0';
    return tab + 1;
}

static bool is_lasting(const char *what)
{
    return strcmp(what, "get") == 0 || strcmp(what, "count") == 0;
}

/* `lasting`: only what merging leaves as it is (deleted documents count in scores). */
static int check_lines(quern *q, const char *path, bool lasting)
{
    static char got[TEXT_MAX];
    size_t n = 0;
    int checked = 0;
    char *bytes = (char *)folder_read_file(path, &n);
    bytes[n] = '\0';
    for (char *line = bytes; *line != '\0';) {
        char *end = strchr(line, '\n');
        T_OK(end != NULL);
        *end = '\0';
        char *what = cut(line), *text = cut(what), *want = cut(text);
        if (!lasting || is_lasting(what)) {
            answer(q, line, what, text, got);
            bool same = strcmp(what, "embed") == 0 ? same_numbers(got, want)
                                                   : strcmp(got, want) == 0;
            if (!same)
                T_FAIL("%s %s %s: got [%s], want [%s]", line, what, text, got, want);
            checked++;
        }
        line = end + 1;
    }
    free(bytes);
    return checked;
}

static bool check_table(void *ctx, const char *name)
{
    qn_error err;
    char *json = NULL;
    size_t n = 0;
    T_CALL(quern_table_check(ctx, name, &json, &n, &err), &err);
    quern_free(json);
    return true;
}

static bool merge_table(void *ctx, const char *name)
{
    qn_error err;
    T_CALL(quern_table_optimize(ctx, name, &err), &err);
    T_CALL(quern_refresh(ctx, name, &err), &err);
    return true;
}

/* The backup that stands among the data becomes the table "restored". */
static void restore_backup(quern *q, const char *data)
{
    char backup[FOLDER_PATH];
    qn_error err;
    T_OK(snprintf(backup, sizeof backup, "%s/backup", data) < (int)sizeof backup);
    T_CALL(quern_table_restore(q, backup, "restored", NULL, NULL, &err), &err);
}

static void check_version(const char *from)
{
    char data[FOLDER_PATH], lines[FOLDER_PATH], dir[FOLDER_PATH], copy[FOLDER_PATH];
    qn_error err;
    (void)snprintf(data, sizeof data, "%s/data", from);
    (void)snprintf(lines, sizeof lines, "%s/answers.txt", from);
    folder_make(dir);
    T_OK(snprintf(copy, sizeof copy, "%s/data", dir) < (int)sizeof copy);
    folder_copy(data, copy);
    quern *q = open_engine(copy);
    restore_backup(q, copy);
    T_CALL(quern_table_list(q, check_table, q, &err), &err);
    int checked = check_lines(q, lines, false);
    T_OK(checked > 50);
    /* What it reads it can also go on with. */
    T_CALL(quern_table_list(q, merge_table, q, &err), &err);
    T_CALL(quern_table_list(q, check_table, q, &err), &err);
    T_OK(check_lines(q, lines, true) > 10);
    quern_close(q);
    folder_remove(dir);
    print_message("%s: %d answers\n", from, checked);
}

static void test_versions(void **state)
{
    (void)state;
    int found = 0;
    for (int version = 1; version <= VERSIONS_MAX; version++) {
        char path[FOLDER_PATH];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/v%d", GOLDEN, version);
        if (stat(path, &st) != 0) continue;
        T_ROW(path);
        check_version(path);
        found++;
    }
    T_OK(found > 0);
}

/* ---- making -------------------------------------------------------------------------------- */

static const char mapping[] =
    "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\",\"fields\":{\"raw\":{"
    "\"type\":\"keyword\"}}},\"body\":{\"type\":\"text\",\"analyzer\":\"english\"},"
    "\"tags\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},\"small\":{\"type\":"
    "\"byte\"},\"price\":{\"type\":\"double\"},\"weight\":{\"type\":\"float\"},"
    "\"sold\":{"
    "\"type\":\"boolean\"},\"day\":{\"type\":\"date\"},\"v\":{\"type\":\"dense_"
    "vector\","
    "\"dims\":4,\"similarity\":\"l2_norm\"},\"place\":{\"type\":\"geo_point\"},"
    "\"shelf\":{"
    "\"type\":\"keyword\",\"index\":false}}}}";

static const char ha3_schema[] =
    "{\"table_name\":\"m\",\"fields\":[{\"field_name\":\"id\",\"field_type\":\"INT64\"}"
    ",{"
    "\"field_name\":\"name\",\"field_type\":\"TEXT\",\"analyzer\":\"simple\"},{"
    "\"field_name\":\"year\",\"field_type\":\"INT32\"},{\"field_name\":\"marks\","
    "\"field_type\":\"INT32\",\"multi_value\":true},{\"field_name\":\"kind\","
    "\"field_type\":\"STRING\"}],\"indexs\":[{\"index_name\":\"pk\",\"index_type\":"
    "\"PRIMARYKEY64\",\"index_fields\":\"id\"},{\"index_name\":\"name\",\"index_type\":"
    "\"TEXT\",\"index_fields\":\"name\"},{\"index_name\":\"kind\",\"index_type\":"
    "\"STRING\",\"index_fields\":\"kind\"}],\"attributes\":[\"id\",\"year\",\"marks\","
    "\"kind\"],\"summarys\":{\"summary_fields\":[\"id\",\"name\",\"year\",\"marks\","
    "\"kind\"]}}";

/* The same numbers for ever. */
static unsigned chance(unsigned i, unsigned salt, unsigned n)
{
    uint64_t z = ((uint64_t)i * 1000003 + salt) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
    return (unsigned)((z >> 33) % n);
}

static size_t add_words(char *out, size_t size, unsigned i, unsigned salt, unsigned n)
{
    static const char *const stems[] = {"mill",  "stone", "grain", "river", "wheel",
                                        "flour", "bread", "wind",  "sack",  "miller"};
    size_t used = 0;
    out[0] = '\0';
    for (unsigned k = 0; k < n; k++) {
        unsigned w = chance(i, salt + k, 1 + chance(i, salt + 50 + k, 10));
        used += (size_t)snprintf(out + used, size - used, "%s%s", k == 0 ? "" : " ",
                                 stems[w]);
        if (chance(i, salt + 90 + k, 9) == 0)
            used += (size_t)snprintf(out + used, size - used, " rare%u",
                                     chance(i, salt + k, 400));
    }
    return used;
}

static void document(unsigned i, char *out, size_t size)
{
    char title[256], body[1024];
    (void)add_words(title, sizeof title, i, 1, 1 + chance(i, 2, 5));
    (void)add_words(body, sizeof body, i, 300, chance(i, 4, 40));
    size_t n = (size_t)snprintf(
        out, size, "{\"title\":\"%s\",\"body\":\"%s\",\"n\":%d,\"small\":%u", title,
        body, (int)chance(i, 5, 2000000) - 1000000, chance(i, 6, 100));
    if (i % 3 != 0)
        n += (size_t)snprintf(out + n, size - n, ",\"tags\":[\"tag%u\",\"tag%u\"]",
                              chance(i, 7, 12), 12 + chance(i, 8, 3));
    if (i % 5 != 0)
        n += (size_t)snprintf(out + n, size - n, ",\"price\":%u.25,\"weight\":%u.5",
                              chance(i, 9, 500), chance(i, 10, 90));
    if (i % 7 != 0)
        n += (size_t)snprintf(out + n, size - n,
                              ",\"sold\":%s,\"day\":\"20%02u-0%u-1%uT10:00:00Z\"",
                              i % 2 == 0 ? "true" : "false", 10 + chance(i, 11, 15),
                              1 + chance(i, 12, 9), chance(i, 13, 10));
    if (i % 4 != 1)
        n += (size_t)snprintf(out + n, size - n, ",\"v\":[%u,%u,%u,%u]",
                              chance(i, 14, 50), chance(i, 15, 50), chance(i, 16, 50),
                              i % 50);
    if (i % 6 != 2)
        n += (size_t)snprintf(out + n, size - n,
                              ",\"place\":{\"lat\":%d.5,\"lon\":%u.25}",
                              (int)chance(i, 17, 160) - 80, chance(i, 18, 170));
    if (i > 700) /* a field that the mapping learns */
        n += (size_t)snprintf(out + n, size - n, ",\"late\":{\"seen\":%u}", i % 10);
    (void)snprintf(out + n, size - n, "}");
}

static void write_one(quern *q, const char *table, quern_op_kind kind, const char *id,
                      const char *source)
{
    qn_error err;
    quern_op op = {.kind = kind,
                   .id = id,
                   .id_size = id == NULL ? 0 : strlen(id),
                   .source = source,
                   .source_size = source == NULL ? 0 : strlen(source),
                   .if_seq_no = QUERN_SEQ_NONE};
    quern_op_result r;
    T_CALL(quern_write(q, table, &op, 1, NULL, &r, &err), &err);
    if (r.status != QN_OK) T_FAIL("%s %s: %s", table, source, r.error.text);
}

static void write_range(quern *q, unsigned from, unsigned to)
{
    static char source[TEXT_MAX];
    char id[16];
    for (unsigned i = from; i < to; i++) {
        document(i, source, sizeof source);
        (void)snprintf(id, sizeof id, "%u", i);
        write_one(q, "t", QUERN_OP_INDEX, id, source);
    }
}

static void change_some(quern *q, unsigned from, unsigned to)
{
    char id[16], source[64];
    for (unsigned i = from; i < to; i += 11) {
        (void)snprintf(id, sizeof id, "%u", i);
        (void)snprintf(source, sizeof source, "{\"n\":%u,\"sold\":true}", i);
        write_one(q, "t", i % 2 == 0 ? QUERN_OP_DELETE : QUERN_OP_UPDATE, id, source);
    }
}

/* Attributes alone, which are updated in place: of every type, with a keyword that is new
 * now and then. */
static void change_attributes(quern *q, unsigned from, unsigned to, unsigned salt)
{
    char id[16], source[128];
    for (unsigned i = from; i < to; i += 5) {
        unsigned n = 1 + chance(i, salt + 1, 28), kind = chance(i, salt, 4);
        if (i % 11 == 0) continue; /* some of those are deleted */
        (void)snprintf(id, sizeof id, "%u", i);
        if (kind == 0)
            (void)snprintf(source, sizeof source, "{\"n\":%u,\"small\":7}", n);
        else if (kind == 1)
            (void)snprintf(source, sizeof source, "{\"shelf\":\"s%u\",\"price\":0.5}",
                           n);
        else if (kind == 2)
            (void)snprintf(source, sizeof source,
                           "{\"place\":\"%u.5,4\",\"weight\":-2.5}", n);
        else
            (void)snprintf(source, sizeof source,
                           "{\"day\":\"2031-01-%02uT00:00:00Z\",\"sold\":null}", n);
        write_one(q, "t", QUERN_OP_UPDATE, id, source);
    }
}

static void change_small(quern *q, unsigned from, unsigned to)
{
    char id[16], source[128];
    for (unsigned i = from; i < to; i += 9) {
        (void)snprintf(id, sizeof id, "%u", i);
        (void)snprintf(source, sizeof source,
                       i % 2 == 0 ? "{\"year\":%u}" : "{\"marks\":[%u,5]}",
                       1990 + i % 7);
        write_one(q, "m", QUERN_OP_UPDATE, id, source);
    }
}

static void fill_small(quern *q)
{
    qn_error err;
    char source[256], name[128];
    for (unsigned i = 0; i < 200; i++) {
        (void)add_words(name, sizeof name, i, 700, 1 + i % 4);
        (void)snprintf(source, sizeof source,
                       "{\"id\":%u,\"name\":\"%s\",\"year\":%u,\"marks\":[%u,%u,3],"
                       "\"kind\":\"kind%u\"}",
                       i, name, 1900 + chance(i, 20, 120), chance(i, 21, 10), i % 4,
                       i % 6);
        write_one(q, "m", QUERN_OP_INDEX, NULL, source);
        if (i == 120) T_CALL(quern_flush(q, "m", &err), &err);
    }
}

static const struct question {
    const char *table, *what, *text;
} questions[] = {
    {"t", "count", ""},
    {"m", "count", ""},
    {"restored", "count", ""},
    {"restored", "ha3", "query=name:'mill'&&config=hit:20"},
    {"tiny", "embed", "a stone mill by the river"},
    {"t", "dsl", "{\"query\":{\"match\":{\"body\":\"river stones\"}}}"},
    {"t", "dsl",
     "{\"query\":{\"match\":{\"body\":\"mill rare17 wheels\"}},\"size\":30}"},
    {"t", "dsl",
     "{\"query\":{\"match\":{\"body\":{\"query\":\"mill grain bread\",\"operator\":"
     "\"and\"}}},\"size\":30,\"track_total_hits\":true}"},
    {"t", "dsl", "{\"query\":{\"match_phrase\":{\"body\":\"mill mill\"}},\"size\":20}"},
    {"t", "dsl", "{\"query\":{\"match\":{\"title\":\"miller\"}},\"size\":20}"},
    {"t", "dsl", "{\"query\":{\"match\":{\"title\":\"mill\"}},\"size\":5}"},
    {"t", "dsl",
     "{\"query\":{\"term\":{\"title.raw\":\"mill\"}},\"size\":40,\"sort\":[{\"n\":"
     "\"asc\"}]}"},
    {"t", "dsl",
     "{\"query\":{\"multi_match\":{\"query\":\"wind sack\",\"fields\":[\"title^2\","
     "\"body\"]}}}"},
    {"t", "dsl",
     "{\"query\":{\"bool\":{\"must\":[{\"match\":{\"body\":\"flour\"}}],\"filter\":[{"
     "\"term\":{\"tags\":\"tag3\"}}],\"must_not\":[{\"term\":{\"sold\":true}}]}}}"},
    {"t", "dsl",
     "{\"query\":{\"range\":{\"n\":{\"gte\":-5000,\"lt\":5000}}},\"track_total_hits\":"
     "true,\"size\":20}"},
    {"t", "dsl",
     "{\"query\":{\"range\":{\"price\":{\"gt\":400.25}}},\"sort\":[{\"price\":\"desc\"}"
     "],"
     "\"size\":20}"},
    {"t", "dsl",
     "{\"query\":{\"range\":{\"weight\":{\"lte\":3.5}}},\"sort\":[{\"weight\":\"asc\"}]"
     ","
     "\"size\":20}"},
    {"t", "dsl",
     "{\"query\":{\"range\":{\"day\":{\"gte\":\"2020-01-01\",\"lt\":\"2021-01-01\"}}},"
     "\"sort\":[{\"day\":\"asc\"}],\"size\":20}"},
    {"t", "dsl",
     "{\"query\":{\"range\":{\"small\":{\"gte\":95}}},\"sort\":[{\"small\":\"desc\"}],"
     "\"size\":20}"},
    {"t", "dsl", "{\"query\":{\"terms\":{\"tags\":[\"tag1\",\"tag13\"]}},\"size\":10}"},
    {"t", "dsl", "{\"query\":{\"exists\":{\"field\":\"place\"}},\"size\":3}"},
    {"t", "dsl", "{\"query\":{\"exists\":{\"field\":\"late.seen\"}},\"size\":3}"},
    {"t", "dsl", "{\"query\":{\"term\":{\"late.seen\":7}},\"size\":30}"},
    {"t", "dsl",
     "{\"knn\":{\"field\":\"v\",\"query_vector\":[10,20,30,40],\"k\":10,"
     "\"num_candidates\":100}}"},
    {"t", "dsl",
     "{\"query\":{\"match_all\":{}},\"sort\":[{\"n\":\"desc\"}],\"size\":25}"},
    {"t", "dsl",
     "{\"query\":{\"geo_distance\":{\"distance\":\"2500km\",\"place\":{\"lat\":20,"
     "\"lon\":40}}},\"size\":15,\"sort\":[{\"n\":\"asc\"}]}"},
    {"t", "dsl",
     "{\"query\":{\"range\":{\"n\":{\"gte\":900000}}},\"sort\":[{\"tags\":\"desc\"},{"
     "\"n\":\"asc\"}],\"size\":30,\"track_total_hits\":5}"},
    {"t", "dsl",
     "{\"query\":{\"exists\":{\"field\":\"shelf\"}},\"sort\":[{\"shelf\":\"desc\"},{"
     "\"n\":\"asc\"}],\"size\":30}"},
    {"t", "dsl", "{\"query\":{\"terms\":{\"shelf\":[\"s3\",\"s11\"]}},\"size\":30}"},
    {"t", "dsl",
     "{\"query\":{\"bool\":{\"must_not\":[{\"exists\":{\"field\":\"sold\"}}]}},"
     "\"sort\":[{"
     "\"day\":\"desc\"},{\"n\":\"asc\"}],\"size\":40}"},
    {"m", "ha3", "query=name:'mill'&&config=hit:20"},
    {"m", "ha3", "query=name:'river' OR name:'wind'&&config=hit:20&&sort=-year;+id"},
    {"m", "ha3", "query=kind:'kind3'&&filter=year>1950&&config=hit:30&&sort=+id"},
    {"m", "ha3", "query=name:'stone'&&filter=marks=5&&config=hit:30&&sort=+id"},
};

static void make_folder(const char *data)
{
    qn_error err;
    quern *q = open_engine(data);
    T_CALL(quern_model_import(q, QN_SOURCE_DIR "/tests/golden/nn/tiny-embed", "tiny",
                              "int8", NULL, NULL, &err),
           &err);
    T_CALL(quern_table_create(q, "t", mapping, strlen(mapping), &err), &err);
    T_CALL(quern_table_create(q, "m", ha3_schema, strlen(ha3_schema), &err), &err);
    write_range(q, 0, 400);
    T_CALL(quern_flush(q, "t", &err), &err);
    write_range(q, 400, 750);
    change_some(q, 0, 400);
    T_CALL(quern_flush(q, "t", &err), &err);
    change_attributes(q, 1, 700, 40);
    T_CALL(quern_flush(q, "t", &err), &err);
    change_attributes(q, 3, 700, 50);
    write_range(q, 750, DOCS);
    change_some(q, 410, DOCS);
    fill_small(q);
    change_small(q, 0, 100);
    T_CALL(quern_flush(q, "m", &err), &err);
    change_small(q, 3, 190);
    char backup[FOLDER_PATH];
    T_OK(snprintf(backup, sizeof backup, "%s/backup", data) < (int)sizeof backup);
    T_CALL(quern_table_backup(q, "m", backup, NULL, NULL, &err), &err);
    /* As a process leaves it that is killed: with a log. */
    char copy[FOLDER_PATH];
    T_OK(snprintf(copy, sizeof copy, "%s-killed", data) < (int)sizeof copy);
    folder_copy(data, copy);
    quern_close(q);
    folder_remove(data);
    T_EQ_I(rename(copy, data), 0);
}

static void print_answer(FILE *out, quern *q, const char *table, const char *what,
                         const char *text)
{
    static char got[TEXT_MAX];
    answer(q, table, what, text, got);
    (void)fprintf(out, "%s\t%s\t%s\t%s\n", table, what, text, got);
}

static void make(const char *dir)
{
    char data[FOLDER_PATH], path[FOLDER_PATH], copy[FOLDER_PATH], id[16];
    T_EQ_I(mkdir(dir, 0777), 0);
    (void)snprintf(data, sizeof data, "%s/data", dir);
    (void)snprintf(copy, sizeof copy, "%s/copy", dir);
    (void)snprintf(path, sizeof path, "%s/answers.txt", dir);
    make_folder(data);
    folder_copy(data, copy);
    quern *q = open_engine(copy);
    restore_backup(q, copy);
    FILE *out = fopen(path, "w");
    T_OK(out != NULL);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        print_answer(out, q, questions[i].table, questions[i].what, questions[i].text);
    for (unsigned i = 0; i < DOCS; i += 13) {
        (void)snprintf(id, sizeof id, "%u", i);
        print_answer(out, q, "t", "get", id);
        if (i < 200) print_answer(out, q, "m", "get", id);
    }
    T_EQ_I(fclose(out), 0);
    quern_close(q);
    folder_remove(copy);
    T_OK(snprintf(path, sizeof path, "%s/quern.lock", data) < (int)sizeof path);
    T_EQ_I(remove(path), 0);
    check_version(dir);
}

static const char *target;

static void test_make(void **state)
{
    (void)state;
    make(target);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest check[] = {cmocka_unit_test(test_versions)};
    const struct CMUnitTest making[] = {cmocka_unit_test(test_make)};
    qn_io__fault.skip_sync = true;
    qn_log_set_level(QN_LOG_ERROR);
    if (argc == 3 && strcmp(argv[1], "make") == 0) {
        target = argv[2];
        return cmocka_run_group_tests(making, NULL, NULL);
    }
    return cmocka_run_group_tests(check, NULL, NULL);
}
