/* SPDX-License-Identifier: Apache-2.0 */
/* Searches through the public interface, in every dialect. */
#include "engine_fixture.h"
#include "test_engine.h"

#include <math.h>

/* ---- asking ------------------------------------------------------------------------------
 */

static qn_status ask(fixture *f, const char *table, quern_query_kind kind,
                     const char *text, const char *pipeline, quern_reply **reply)
{
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = kind;
    s.query = text;
    s.query_size = strlen(text);
    s.pipeline = pipeline;
    return quern_search(f->q, table, &s, reply, &f->err);
}

/* "3 1 2": the ids of the hits. */
static const char *ids_of(fixture *f, const char *table, quern_query_kind kind,
                          const char *text)
{
    static char out[512];
    quern_reply *reply = NULL;
    out[0] = 0;
    if (ask(f, table, kind, text, NULL, &reply) != QN_OK)
        T_FAIL("%s: %s", text, f->err.text);
    for (size_t i = 0; i < reply->hit_count; i++) {
        size_t n = strlen(out);
        (void)snprintf(out + n, sizeof out - n, "%s%s", i == 0 ? "" : " ",
                       reply->hits[i].id);
    }
    quern_reply_free(reply);
    return out;
}

static void refreshed(fixture *f, const char *table)
{
    T_CALL(quern_refresh(f->q, table, &f->err), &f->err);
}

/* ---- one table, every dialect ---------------------------------------------------------------
 */

#define FILMS                                                                          \
    "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\",\"fields\":{\"raw\":" \
    "{"                                                                                \
    "\"type\":\"keyword\"}}},\"overview\":{\"type\":\"text\"},\"year\":{\"type\":"     \
    "\"integer\"},"                                                                    \
    "\"tags\":{\"type\":\"keyword\"},\"v\":{\"type\":\"dense_vector\",\"dims\":2,"     \
    "\"similarity\":\"l2_norm\"}}}}"

static const char *const films[] = {
    "{\"title\":\"Black Adam\",\"overview\":\"a hero "
    "wakes\",\"year\":2022,\"tags\":[\"action\"],\"v\":[0,0]}",
    "{\"title\":\"Black Panther\",\"overview\":\"a king and his "
    "country\",\"year\":2018,\"tags\":[\"action\",\"africa\"],\"v\":[1,0]}",
    "{\"title\":\"The Addams Family\",\"overview\":\"a black "
    "house\",\"year\":1991,\"tags\":[\"comedy\"],\"v\":[0,2]}",
    "{\"title\":\"Up\",\"overview\":\"a house flies\",\"year\":2009,\"v\":[3,3]}",
    "{\"title\":\"Men in Black\",\"overview\":\"aliens, black "
    "suits\",\"year\":1997,\"tags\":[\"comedy\",\"action\"],\"v\":[5,5]}",
};

static void make_films(fixture *f, bool flush)
{
    char id[24];
    fixture_begin(f);
    fixture_table(f, "films", FILMS);
    for (size_t i = 0; i < sizeof films / sizeof *films; i++) {
        (void)snprintf(id, sizeof id, "%zu", i + 1);
        put(f, "films", id, films[i]);
        if (flush && i % 2 == 1) T_CALL(quern_flush(f->q, "films", &f->err), &f->err);
    }
    refreshed(f, "films");
}

static const struct {
    const char *name;
    quern_query_kind kind;
    const char *text, *want;
} asked[] = {
    {"words", QUERN_QUERY_WORDS, "black adam", "1 3 5 2"},
    {"dsl match", QUERN_QUERY_DSL, "{\"query\":{\"match\":{\"title\":\"black adam\"}}}",
     "1 2 5"},
    {"ha3 or", QUERN_QUERY_HA3,
     "query=title:'black "
     "adam'&&config=default_operator:OR&&kvpairs=first_formula:bm25(title)",
     "1 2 5"},
    {"ha3 and", QUERN_QUERY_HA3, "query=title:'black adam'", "1"},
    {"dsl all", QUERN_QUERY_DSL, "{}", "1 2 3 4 5"},
    {"dsl sort", QUERN_QUERY_DSL, "{\"sort\":[{\"year\":\"asc\"}]}", "3 5 4 2 1"},
    {"dsl filter", QUERN_QUERY_DSL,
     "{\"query\":{\"bool\":{\"filter\":[{\"term\":{\"tags\":\"action\"}}]}}}", "1 2 5"},
    {"dsl page", QUERN_QUERY_DSL,
     "{\"from\":1,\"size\":2,\"sort\":[{\"year\":\"desc\"}]}", "2 4"},
    {"ha3 filter", QUERN_QUERY_HA3,
     "query=overview:'a'&&filter=year>2000 AND year<2020&&sort=-year", "2 4"},
    {"ha3 sort", QUERN_QUERY_HA3, "query=overview:'a'&&sort=+year", "3 4 2 1"},
    {"ha3 page", QUERN_QUERY_HA3,
     "config=start:1,hit:2&&query=overview:'a'&&sort=+year", "4 2"},
    {"ha3 number", QUERN_QUERY_HA3, "query=year:[1990,2000]&&sort=+year", "3 5"},
    {"ha3 keyword", QUERN_QUERY_HA3, "query=tags:'africa'", "2"},
    {"ha3 id", QUERN_QUERY_HA3, "query=_id:'4'", "4"},
    {"dsl knn", QUERN_QUERY_DSL,
     "{\"knn\":{\"field\":\"v\",\"query_vector\":[0.1,0],\"k\":3}}", "1 2 3"},
    {"ha3 vector", QUERN_QUERY_HA3,
     "query=v:'0.1,0&n=2'&&kvpairs=formula:0-proxima_score(v)", "1 2"},
    {"ha3 text, vector", QUERN_QUERY_HA3,
     "query=title:'up' OR v:'0.1,0&n=2'&&kvpairs=formula:0-proxima_score(v\\,0.5)",
     "1 4 2"},
    {"formula", QUERN_QUERY_HA3, "query=overview:'a'&&kvpairs=formula:year", "1 2 4 3"},
};

void test_search_dialects(void **state)
{
    (void)state;
    for (int flushed = 0; flushed < 2; flushed++) {
        fixture f;
        T_ROW("films");
        make_films(&f, flushed != 0);
        for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
            T_ROW(asked[i].name);
            T_EQ_S(ids_of(&f, "films", asked[i].kind, asked[i].text), asked[i].want);
        }
        fixture_end(&f);
    }
}

/* Equal queries have equal documents in equal order, scores in their dialect's scale. */
void test_search_equal(void **state)
{
    (void)state;
    fixture f;
    quern_reply *words = NULL, *dsl = NULL, *ha3 = NULL;
    T_ROW("equal");
    make_films(&f, true);
    T_CALL(ask(&f, "films", QUERN_QUERY_WORDS, "black house",
               "{\"recall\":{\"text\":{\"fields\":[\"title\"]}}}", &words),
           &f.err);
    T_CALL(ask(&f, "films", QUERN_QUERY_DSL,
               "{\"query\":{\"match\":{\"title\":\"black house\"}}}", NULL, &dsl),
           &f.err);
    T_CALL(ask(&f, "films", QUERN_QUERY_HA3,
               "config=default_operator:OR&&query=title:'black house'"
               "&&kvpairs=first_formula:bm25(title)",
               NULL, &ha3),
           &f.err);
    T_EQ_I(words->hit_count, 3);
    T_EQ_I(dsl->hit_count, 3);
    T_EQ_I(ha3->hit_count, 3);
    for (size_t i = 0; i < 3; i++) {
        T_EQ_S(dsl->hits[i].id, words->hits[i].id);
        T_EQ_S(ha3->hits[i].id, words->hits[i].id);
        double lucene = words->hits[i].score;
        T_OK(lucene > 0);
        T_NEAR(dsl->hits[i].score, lucene * 2.2, 1e-6);
        T_NEAR(ha3->hits[i].score, 10000 + lucene, 1e-6);
        T_NEAR(dsl->hits[i].stages.text, lucene, 1e-6);
    }
    T_EQ_I(dsl->total, 3);
    T_NEAR(dsl->max_score, dsl->hits[0].score, 0);
    quern_reply_free(words);
    quern_reply_free(dsl);
    quern_reply_free(ha3);
    fixture_end(&f);
}

static const struct {
    const char *name;
    quern_query_kind kind;
    const char *text, *pipeline;
    qn_status st;
} refused[] = {
    {"broken body", QUERN_QUERY_DSL, "{\"query\":", NULL, QN_EJSON},
    {"unknown query", QUERN_QUERY_DSL, "{\"query\":{\"mtach\":{}}}", NULL, QN_ESYNTAX},
    {"window", QUERN_QUERY_DSL, "{\"from\":9999,\"size\":2}", NULL, QN_EWINDOW},
    {"empty ha3", QUERN_QUERY_HA3, "", NULL, QN_EEMPTYQUERY},
    {"unknown clause", QUERN_QUERY_HA3, "query=title:'a'&&what=1", NULL, QN_ECLAUSE},
    {"unknown index", QUERN_QUERY_HA3, "query=titel:'a'", NULL, QN_ENOFIELD},
    {"unknown attribute", QUERN_QUERY_HA3, "query=title:'a'&&filter=yaer>1", NULL,
     QN_ENOATTR},
    {"unknown function", QUERN_QUERY_HA3, "query=title:'a'&&kvpairs=formula:foo(1)",
     NULL, QN_ENOFUNC},
    {"unknown pipeline", QUERN_QUERY_WORDS, "a", "bm52", QN_ENOTFOUND},
    {"pipeline key", QUERN_QUERY_WORDS, "a", "{\"recal\":{}}", QN_EJSON},
    {"no embedding", QUERN_QUERY_WORDS, "a", "vector", QN_ENOFIELD},
    {"vector of 3", QUERN_QUERY_HA3, "query=v:'1,2,3&n=2'", NULL, QN_EVECTORTERM},
};

void test_search_refused(void **state)
{
    (void)state;
    fixture f;
    T_ROW("films");
    make_films(&f, false);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        T_ROW(refused[i].name);
        quern_reply *reply = NULL;
        qn_status st = ask(&f, "films", refused[i].kind, refused[i].text,
                           refused[i].pipeline, &reply);
        if (st != refused[i].st)
            T_FAIL("got %d (%s), want %d", st, f.err.text, refused[i].st);
        T_OK(reply == NULL);
        T_OK(f.err.text[0] != 0);
    }
    fixture_end(&f);
}

/* ---- what a reply shows ------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    quern_query_kind kind;
    const char *text, *want; /* the source of the first hit */
} sources[] = {
    {"whole", QUERN_QUERY_DSL, "{\"query\":{\"ids\":{\"values\":[\"1\"]}}}",
     "{\"title\":\"Black Adam\",\"overview\":\"a hero "
     "wakes\",\"year\":2022,\"tags\":[\"action\"],\"v\":[0,0]}"},
    {"none", QUERN_QUERY_DSL,
     "{\"_source\":false,\"query\":{\"ids\":{\"values\":[\"1\"]}}}", ""},
    {"included", QUERN_QUERY_DSL,
     "{\"_source\":[\"ti*\",\"year\"],\"query\":{\"ids\":{\"values\":[\"1\"]}}}",
     "{\"title\":\"Black Adam\",\"year\":2022}"},
    {"excluded", QUERN_QUERY_DSL,
     "{\"_source\":{\"excludes\":[\"v\",\"overview\"]},\"query\":{\"ids\":{\"values\":["
     "\"1\"]}}}",
     "{\"title\":\"Black Adam\",\"year\":2022,\"tags\":[\"action\"]}"},
    {"ha3 fields", QUERN_QUERY_HA3, "query=_id:'1'&&kvpairs=fetch_fields:year;title",
     "{\"year\":2022,\"title\":\"Black Adam\"}"},
    {"ha3 none", QUERN_QUERY_HA3, "config=no_summary:yes&&query=_id:'1'", ""},
};

void test_search_sources(void **state)
{
    (void)state;
    fixture f;
    T_ROW("films");
    make_films(&f, true);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        T_ROW(sources[i].name);
        quern_reply *reply = NULL;
        T_CALL(ask(&f, "films", sources[i].kind, sources[i].text, NULL, &reply),
               &f.err);
        T_EQ_I(reply->hit_count, 1);
        char got[512];
        T_OK(reply->hits[0].source_size < sizeof got);
        T_EQ_I(reply->hits[0].source == NULL, sources[i].want[0] == 0);
        if (reply->hits[0].source != NULL)
            memcpy(got, reply->hits[0].source, reply->hits[0].source_size);
        got[reply->hits[0].source_size] = 0;
        T_EQ_S(got, sources[i].want);
        quern_reply_free(reply);
    }
    fixture_end(&f);
}

void test_search_explain(void **state)
{
    (void)state;
    fixture f;
    T_ROW("explain");
    make_films(&f, true);
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = QUERN_QUERY_HA3;
    s.query = "config=hit:1&&query=overview:'a'&&kvpairs=formula:year*2+1";
    s.query_size = strlen(s.query);
    quern_reply *reply = NULL;
    T_CALL(quern_explain(f.q, "films", "3", 1, &s, &reply, &f.err), &f.err);
    T_EQ_I(reply->hit_count, 1);
    T_EQ_S(reply->hits[0].id, "3");
    T_NEAR(reply->hits[0].explanation->value, 10000 + 1991 * 2 + 1, 0);
    T_NEAR(reply->hits[0].stages.fine, 1991 * 2 + 1, 0);
    T_EQ_I(reply->hits[0].stages.final_rank, 3);
    T_OK(strstr(reply->hits[0].trace,
                "SecondRank:\nexpression[year*2], result[3982].\n") != NULL);
    quern_reply_free(reply);
    T_CALL(quern_explain(f.q, "films", "5", 1, &s, &reply, &f.err), &f.err);
    T_EQ_I(reply->hit_count, 0);
    quern_reply_free(reply);
    T_EQ_I(quern_explain(f.q, "films", "9", 1, &s, &reply, &f.err), QN_ENODOC);
    T_ROW("explain a plain query");
    s.kind = QUERN_QUERY_DSL;
    s.query = "{\"query\":{\"match\":{\"title\":\"black adam\"}}}";
    s.query_size = strlen(s.query);
    T_CALL(quern_explain(f.q, "films", "1", 1, &s, &reply, &f.err), &f.err);
    const quern_explanation *e = reply->hits[0].explanation;
    T_NEAR(e->value, reply->hits[0].score, 1e-6);
    T_EQ_S(e->description, "sum of:");
    T_EQ_I(e->detail_count, 2);
    T_OK(strncmp(e->details[0].description, "weight(title:black in ", 22) == 0);
    T_NEAR(e->details[0].value + e->details[1].value, e->value, 1e-6);
    quern_reply_free(reply);
    fixture_end(&f);
}

static const struct {
    const char *name;
    quern_query_kind kind;
    const char *text;
    bool count_only;
    uint64_t total;
    size_t hits;
} counted[] = {
    {"dsl size 0", QUERN_QUERY_DSL,
     "{\"size\":0,\"query\":{\"match\":{\"title\":\"black\"}}}", false, 3, 0},
    {"dsl count", QUERN_QUERY_DSL, "{\"query\":{\"match\":{\"title\":\"black\"}}}",
     true, 3, 0},
    {"dsl page past the end", QUERN_QUERY_DSL,
     "{\"from\":50,\"query\":{\"match\":{\"title\":\"black\"}}}", false, 3, 0},
    {"ha3 hit 0", QUERN_QUERY_HA3, "config=start:0,hit:0&&query=title:'black'", false,
     3, 0},
    {"ha3 none", QUERN_QUERY_HA3, "query=title:'nothing'", false, 0, 0},
    {"words count", QUERN_QUERY_WORDS, "black", true, 4, 0},
    {"words of no letters", QUERN_QUERY_WORDS, "?!", false, 0, 0},
};

void test_search_totals(void **state)
{
    (void)state;
    fixture f;
    T_ROW("films");
    make_films(&f, true);
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        T_ROW(counted[i].name);
        quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *reply = NULL;
        s.kind = counted[i].kind;
        s.query = counted[i].text;
        s.query_size = strlen(counted[i].text);
        s.count_only = counted[i].count_only;
        T_CALL(quern_search(f.q, "films", &s, &reply, &f.err), &f.err);
        T_EQ_I(reply->total, counted[i].total);
        T_EQ_I(reply->hit_count, counted[i].hits);
        T_OK(isnan(reply->max_score) || counted[i].total > 0);
        quern_reply_free(reply);
    }
    T_ROW("cancelled");
    quern_cancel cancel = true;
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    s.query = "black";
    s.query_size = 5;
    s.cancel = &cancel;
    T_EQ_I(quern_search(f.q, "films", &s, &reply, &f.err), QN_ECANCELLED);
    T_OK(reply == NULL);
    T_ROW("a table's own pipeline");
    fixture_table(
        &f, "own",
        "{\"mappings\":{\"properties\":{\"a\":{\"type\":\"text\"},\"b\":{\"type\":"
        "\"text\"}}},\"quern\":{\"pipeline\":\"only-b\",\"pipelines\":{\"only-b\":{"
        "\"recall\":{\"text\":{\"fields\":[\"b\"]}}}}}}");
    put(&f, "own", "1", "{\"a\":\"x\",\"b\":\"y\"}");
    put(&f, "own", "2", "{\"a\":\"y\",\"b\":\"x\"}");
    refreshed(&f, "own");
    T_EQ_S(ids_of(&f, "own", QUERN_QUERY_WORDS, "x"), "2");
    fixture_end(&f);
}

/* ---- the practice guides' cases ---------------------------------------------------------------
 */

#define CHINESE                                                                        \
    "{\"fields\":[{\"field_name\":\"id\",\"field_type\":\"INT32\"},{\"field_name\":"   \
    "\"name\","                                                                        \
    "\"field_type\":\"TEXT\",\"analyzer\":\"chn_standard\"},{\"field_name\":\"age\","  \
    "\"field_type\":\"INT32\"},{\"field_name\":\"weight\",\"field_type\":\"INT32\"},{" \
    "\"field_name\":\"mark\",\"field_type\":\"INT32\"}],\"indexs\":[{\"index_name\":"  \
    "\"id\","                                                                          \
    "\"index_type\":\"PRIMARYKEY64\",\"index_fields\":\"id\"},{\"index_name\":"        \
    "\"title\","                                                                       \
    "\"index_type\":\"PACK\",\"index_fields\":[{\"field_name\":\"name\",\"boost\":1}]" \
    "}],"                                                                              \
    "\"attributes\":[\"id\",\"age\",\"weight\",\"mark\"],\"summarys\":{\"summary_"     \
    "fields\":["                                                                       \
    "\"id\",\"name\",\"age\"]}}"

/* Names by id from 1. */
static bool make_names(fixture *f, const char *const *names, size_t n)
{
    char id[24], source[512];
    fixture_begin(f);
    qn_status st = quern_table_create(f->q, "App", CHINESE, strlen(CHINESE), &f->err);
    if (st == QN_ENOTFOUND) return false; /* no dictionary here */
    T_CALL(st, &f->err);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(id, sizeof id, "%zu", i + 1);
        (void)snprintf(
            source, sizeof source,
            "{\"id\":%zu,\"name\":\"%s\",\"age\":%zu,\"weight\":%zu,\"mark\":%zu}",
            i + 1, names[i], 5 + i * 15, 50 + i * 7, i % 2);
        put(f, "App", id, source);
    }
    refreshed(f, "App");
    return true;
}

static const char *const songs[] = {
    "黑色幽默,又称为“黑色喜剧”,是产生于1960年代美国的一个现代主义文学流派",
    "《黑色幽默》是周杰伦演唱的一首歌曲",
    "周杰伦,台湾华语流行歌曲男歌手、音乐家、编曲家、唱片制片人、魔术师。",
    "黑夜将至,周围一切都是黑色的,为了缓解压抑的气氛,周杰伦很幽默的说了一个笑话",
    "黑色幽默女版(原唱:周杰伦Jay Chou)",
    "Jay Chou 周杰伦【黑色幽默 Black Humor】-Official Music Video",
};

#define RELEVANCE "&&kvpairs=first_formula:static_bm25(),formula:text_relevance(name)"

void test_practice_songs(void **state)
{
    (void)state;
    fixture f;
    T_ROW("songs");
    if (!make_names(&f, songs, sizeof songs / sizeof *songs)) skip();
    T_ROW("all words: the one that is about something else comes last");
    const char *got =
        ids_of(&f, "App", QUERN_QUERY_HA3, "query=title:'黑色幽默周杰伦'" RELEVANCE);
    T_EQ_I(strlen(got), 7);
    T_OK(strchr(got, '2') != NULL && strchr(got, '5') != NULL &&
         strchr(got, '6') != NULL);
    T_EQ_S(got + 5, " 4");
    T_ROW("any word: both, then the one topic, then the rest");
    got = ids_of(&f, "App", QUERN_QUERY_HA3,
                 "config=default_operator:OR&&query=title:'黑色幽默周杰伦'" RELEVANCE);
    T_EQ_I(strlen(got), 11);
    T_OK(strchr(got, '2') < got + 5 && strchr(got, '5') < got + 5 &&
         strchr(got, '6') < got + 5);
    T_EQ_S(got + 6, "1 4 3");
    fixture_end(&f);
}

static const char *const titles[] = {
    "xxx杭州分公司",
    "xxx公司",
    "dim_itm_tb_dst_itm_relation_dd",
    "dim_itm_tb",
    "iphone case for 8 plus",
    "apple iphone 8 256g",
    "民国趣闻-民国",
    "中国民族史-民国",
    "民国",
    "手机 手机 手机 手机 壳",
    "手机 壳",
};

/* The first hit, or the order of some of them, that the guides promise. */
static const struct {
    const char *name, *text, *want;
} promised[] = {
    {"2: the shorter title first",
     "query=title:'xxx'&&kvpairs=formula:field_match_ratio(name)", "2 1"},
    {"3: the whole name first",
     "query=title:'dim_itm_tb'&&kvpairs=formula:field_match_ratio(name)", "4 3"},
    {"4: neighbours first",
     "query=title:'iphone 8'&&kvpairs=formula:query_min_slide_window(name)", "6 5"},
    {"5: the exact title first",
     "query=title:'民国'&&kvpairs=formula:query_min_slide_window(name)", "9 7 8"},
    {"6: repeats do not count",
     "query=title:'手机'&&sort=-RANK;-id&&kvpairs=formula:query_match_ratio(name)",
     "11 10"},
    {"7: stuffing goes last",
     "query=title:'手机'&&kvpairs=formula:if(field_term_match_count(name)>3\\,1\\,10)",
     "11 10"},
};

void test_practice_titles(void **state)
{
    (void)state;
    fixture f;
    T_ROW("titles");
    if (!make_names(&f, titles, sizeof titles / sizeof *titles)) skip();
    for (size_t i = 0; i < sizeof promised / sizeof *promised; i++) {
        T_ROW(promised[i].name);
        T_EQ_S(ids_of(&f, "App", QUERN_QUERY_HA3, promised[i].text), promised[i].want);
    }
    fixture_end(&f);
}

/* sortExprValues of one document (age 50, weight 71, mark 1), joined by blanks. */
static const struct {
    const char *name, *clauses, *want;
} values[] = {
    {"1: sums of comparisons", "kvpairs=formula:(age>10)*10+(age>40)*20+(weight>60)*30",
     "10060.0000000000"},
    {"1: the same with if",
     "kvpairs=formula:if(age>10\\,10\\,0)+if(age>40\\,20\\,0)+if(weight>60\\,30\\,0)",
     "10060.0000000000"},
    {"8: a mark", "kvpairs=formula:if(mark==1\\,500\\,0)", "10500.0000000000"},
    {"if of a number", "kvpairs=formula:if(2\\,3\\,5)", "10003.0000000000"},
    {"if of nought", "kvpairs=formula:if(0\\,3\\,5)", "10005.0000000000"},
    {"in", "kvpairs=formula:2 in (2\\,4\\,6)", "10001.0000000000"},
    {"not in", "kvpairs=formula:3 in (2\\,4\\,6)", "10000.0000000000"},
    {"ceil", "kvpairs=formula:ceil(4.2)", "10005.0000000000"},
    {"floor", "kvpairs=formula:floor(4.6)", "10004.0000000000"},
    {"sqrt", "kvpairs=formula:sqrt(4)", "10002.0000000000"},
    {"pow", "kvpairs=formula:pow(2\\,3)", "10008.0000000000"},
    {"rough is capped", "kvpairs=first_formula:12000", "20000.0000000000"},
    {"fine is not", "kvpairs=formula:12000", "22000.0000000000"},
    {"fine replaces rough", "kvpairs=first_formula:5,formula:7", "10007.0000000000"},
    {"floats print as floats", "kvpairs=formula:0.225903", "10000.2259030044"},
    {"two keys", "sort=+age;-RANK&&kvpairs=formula:0.5", "50 10000.5000000000"},
    {"sort without RANK", "sort=-age&&kvpairs=formula:7", "50"},
    {"kvpairs_value", "kvpairs=x:2.5,formula:kvpairs_value(x\\,FLOAT)",
     "10002.5000000000"},
};

void test_practice_values(void **state)
{
    (void)state;
    fixture f;
    char text[256];
    T_ROW("values");
    if (!make_names(&f, songs, 4)) skip();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        T_ROW(values[i].name);
        quern_reply *reply = NULL;
        (void)snprintf(text, sizeof text, "query=id:4&&%s", values[i].clauses);
        T_CALL(ask(&f, "App", QUERN_QUERY_HA3, text, NULL, &reply), &f.err);
        T_EQ_I(reply->hit_count, 1);
        char got[128] = "";
        for (size_t k = 0; k < reply->hits[0].sort_value_count; k++) {
            const quern_value *v = &reply->hits[0].sort_values[k];
            size_t n = strlen(got);
            if (v->kind == QUERN_VALUE_INT)
                (void)snprintf(got + n, sizeof got - n, "%s%lld", k == 0 ? "" : " ",
                               (long long)v->integer);
            else
                (void)snprintf(got + n, sizeof got - n, "%s%.10f", k == 0 ? "" : " ",
                               v->number);
        }
        T_EQ_S(got, values[i].want);
        quern_reply_free(reply);
    }
    fixture_end(&f);
}

/* Only the first rerank_size documents of the rough sort are scored finely. */
void test_rerank_size(void **state)
{
    (void)state;
    fixture f;
    char id[24], source[64];
    T_ROW("rerank_size");
    fixture_begin(&f);
    fixture_table(&f, "t",
                  "{\"mappings\":{\"properties\":{\"w\":{\"type\":\"keyword\"},\"n\":{"
                  "\"type\":\"long\"}}}}");
    for (int i = 0; i < 210; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)snprintf(source, sizeof source, "{\"w\":\"x\",\"n\":%d}", i);
        put(&f, "t", id, source);
    }
    refreshed(&f, "t");
    quern_reply *reply = NULL;
    T_CALL(
        ask(&f, "t", QUERN_QUERY_HA3,
            "config=start:0,hit:210&&query=w:'x'&&kvpairs=first_formula:n,formula:1000",
            NULL, &reply),
        &f.err);
    T_EQ_I(reply->hit_count, 210);
    T_NEAR(reply->hits[199].score, 11000, 0);
    T_NEAR(reply->hits[200].score, 10009, 0);
    T_EQ_S(reply->hits[200].id, "9");
    T_OK(isnan(reply->hits[200].stages.fine));
    quern_reply_free(reply);
    T_CALL(
        ask(&f, "t", QUERN_QUERY_HA3,
            "config=start:0,hit:5,rerank_size:3&&query=w:'x'&&kvpairs=first_formula:n,"
            "formula:0-20000",
            NULL, &reply),
        &f.err);
    T_EQ_S(reply->hits[0].id, "206"); /* a negative fine score sinks, as documented */
    quern_reply_free(reply);
    fixture_end(&f);
}

/* ---- evaluation --------------------------------------------------------------------------------
 */

void test_eval(void **state)
{
    (void)state;
    fixture f;
    T_ROW("evaluation");
    make_films(&f, true);
    const quern_eval_query queries[] = {
        {"q1", "black adam", 10}, {"q2", "house", 5}, {"q3", "nobody asked", 12}};
    const quern_eval_judgement judged[] = {
        {"q1", "2", 1}, {"q1", "1", 2}, {"q2", "4", 1}, {"q9", "1", 1}};
    const char *const pipelines[] = {
        "bm25", "{\"recall\":{\"text\":{\"fields\":[\"title\"]}}}"};
    const char *const metrics[] = {"ndcg@10", "mrr@10", "recall@2", "map"};
    quern_eval_options o = QUERN_EVAL_OPTIONS_INIT;
    o.queries = queries;
    o.query_count = 3;
    o.judgements = judged;
    o.judgement_count = 4;
    o.pipelines = pipelines;
    o.pipeline_count = 2;
    o.metrics = metrics;
    o.metric_count = 4;
    quern_eval_report *r = NULL;
    T_CALL(quern_eval(f.q, "films", &o, &r, &f.err), &f.err);
    T_EQ_I(r->query_count, 2);
    T_EQ_S(r->query_ids[1], "q2");
    /* q1 is perfect by title alone; q2's film is found by its overview alone. */
    T_NEAR(r->per_query[0], (2 + 1 / log2(5)) / (2 + 1 / log2(3)), 1e-12);
    T_OK(r->per_query[1] > 0.6);
    T_NEAR(r->per_query[4 * 2 + 1], 0, 0);
    T_NEAR(r->values[4], 0.5, 1e-12);
    T_NEAR(r->values[6], 0.5, 1e-12);
    quern_eval_report_free(r);
    const char *const wrong[] = {"ndcq@10"};
    o.metrics = wrong;
    o.metric_count = 1;
    T_EQ_I(quern_eval(f.q, "films", &o, &r, &f.err), QN_EINVAL);
    T_OK(r == NULL);
    fixture_end(&f);
}
