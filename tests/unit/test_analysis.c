/* SPDX-License-Identifier: Apache-2.0 */
/* Query analysis through the engine: rules, dictionaries, attempts, switches. */
#include "engine_fixture.h"

static const char schema[] =
    "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},"
    "\"body\":{\"type\":\"text\",\"analyzer\":\"english\"},"
    "\"zh\":{\"type\":\"text\",\"analyzer\":\"chn_single\"},"
    "\"category\":{\"type\":\"integer\"},\"brand\":{\"type\":\"keyword\"}}}}";

static const char *const documents[] = {
    "{\"title\":\"red running shoes\",\"body\":\"light sneakers for the road\","
    "\"zh\":\"肯德基\",\"category\":1,\"brand\":\"acme\"}",
    "{\"title\":\"blue sneakers\",\"body\":\"canvas sneakers\",\"zh\":\"麦当劳\","
    "\"category\":1,\"brand\":\"acme\"}",
    "{\"title\":\"new york city map\",\"body\":\"streets of the big apple\","
    "\"zh\":\"地图\",\"category\":2,\"brand\":\"atlas\"}",
    "{\"title\":\"nyc hotels\",\"body\":\"hotels in new york\",\"zh\":\"酒店\","
    "\"category\":3,\"brand\":\"atlas\"}",
    "{\"title\":\"boundary layer theory\",\"body\":\"the retrieval of layers\","
    "\"zh\":\"流体\",\"category\":4,\"brand\":\"press\"}",
};

typedef struct world {
    fixture f;
} world;

static int set_up(void **state)
{
    static world w;
    fixture_begin(&w.f);
    fixture_table(&w.f, "shop", schema);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "%zu", i + 1);
        put(&w.f, "shop", id, documents[i]);
    }
    T_CALL(quern_refresh(w.f.q, "shop", &w.f.err), &w.f.err);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    fixture_end(&w->f);
    return 0;
}

static void put_text(world *w, quern_analysis_kind kind, const char *name,
                     const char *text)
{
    T_CALL(quern_analysis_put(w->f.q, "shop", kind, name, text, strlen(text), false,
                              NULL, NULL, &w->f.err),
           &w->f.err);
}

static void forget_all(world *w, bool dictionary)
{
    (void)quern_analysis_drop(w->f.q, "shop", QUERN_ANALYSIS_RULE, "r", NULL);
    (void)quern_analysis_drop(w->f.q, "shop", QUERN_ANALYSIS_RULE, "r2", NULL);
    if (dictionary)
        (void)quern_analysis_drop(w->f.q, "shop", QUERN_ANALYSIS_DICTIONARY, "d", NULL);
}

#define RULE(steps) "{\"processors\":[" steps "],\"active\":true,\"retry_below\":1}"
#define STEP(name) "{\"name\":\"" name "\",\"intervention_dictionary\":\"d\"}"

/* `told`: a part of the account; `ids`: the hits in order of id. */
static const struct {
    const char *name, *dictionary, *rule, *query, *off, *told, *ids;
} rows[] = {
    {"no rule", NULL, NULL, "query=title:'sneakers'", NULL, NULL, "2"},
    {"one way", "{\"type\":\"synonym\",\"text\":\"sneakers => sneakers, shoes\"}",
     RULE(STEP("synonym")), "query=title:'sneakers'", NULL,
     "\"rewritten\":\"(term title 'sneakers'/'shoes')\"", "1 2"},
    {"not the other way",
     "{\"type\":\"synonym\",\"text\":\"sneakers => sneakers, shoes\"}",
     RULE(STEP("synonym")), "query=title:'shoes'", NULL,
     "\"rewritten\":\"(term title 'shoes')\"", "1"},
    {"both ways", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     RULE(STEP("synonym")), "query=title:'shoes'", NULL, "\"added\":[\"sneakers\"]",
     "1 2"},
    {"alias of the hosted product",
     "{\"type\":\"synonym\",\"entries\":[{\"cmd\":\"add\",\"word\":\"shoes\","
     "\"alias\":[\"sneakers\"],\"status\":\"ACTIVE\"}]}",
     RULE(STEP("synonym")), "query=title:'red shoes'", NULL,
     "\"rewritten\":\"(and (term title 'red') (term title 'shoes'/'sneakers'))\"", "1"},
    {"a phrase for a word", "{\"type\":\"synonym\",\"text\":\"nyc, new york city\"}",
     RULE(STEP("synonym")), "query=title:'nyc'", NULL,
     "(or (term title 'nyc') (phrase title", "3 4"},
    {"a word for several", "{\"type\":\"synonym\",\"text\":\"nyc, new york city\"}",
     RULE(STEP("synonym")), "query=title:'new york city'", NULL, "\"added\":[\"nyc\"]",
     "3 4"},
    {"wordnet",
     "{\"type\":\"synonym\",\"format\":\"wordnet\",\"text\":\"s(1,1,'shoes',n,1,0).\\n"
     "s(1,2,'sneakers',n,1,0).\"}",
     RULE(STEP("synonym")), "query=title:'shoes'", NULL, NULL, "1 2"},
    {"switched off", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     RULE(STEP("synonym")), "query=title:'shoes'", "qp:synonym", NULL, "1"},
    {"switched off for another index",
     "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}", RULE(STEP("synonym")),
     "query=title:'shoes'", "qp:synonym:body", NULL, "1 2"},
    {"all of it switched off", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     RULE(STEP("synonym")), "query=title:'shoes'", "qp", NULL, "1"},
    {"as kvpairs have it", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     RULE(STEP("synonym")), "query=title:'shoes'&&kvpairs=disable:qp", NULL, NULL, "1"},
    {"phrases are left alone", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     RULE(STEP("synonym")), "query=title:\"shoes\"", NULL, NULL, "1"},
    {"stop words of the system", NULL, RULE("{\"name\":\"stop_word\"}"),
     "query=title:'where is the nyc hotels'", NULL,
     "\"dropped\":[\"where\",\"is\",\"the\"]", "4"},
    {"a query of stop words", NULL, RULE("{\"name\":\"stop_word\"}"),
     "query=title:'what is the'", NULL, "\"rewritten\":\"(or (term title 'what')", ""},
    {"a stop word of one's own",
     "{\"type\":\"stopword\",\"entries\":[{\"word\":\"cheap\"}]}",
     RULE(STEP("stop_word")), "query=title:'cheap nyc hotels'", NULL,
     "\"dropped\":[\"cheap\"]", "4"},
    {"a word of the system that is none",
     "{\"type\":\"stopword\",\"entries\":[{\"word\":\"the\",\"stopword\":false}]}",
     "{\"processors\":[" STEP("stop_word") "],\"active\":true,\"rewrite\":\"AND\"}",
     "query=title:'the hotels'", NULL, "\"steps\":[]", ""},
    {"AND, then OR", NULL, "{\"active\":true,\"retry_below\":1}",
     "query=title:'purple hotels'", NULL,
     "{\"rewrite\":\"AND\",\"matched\":0},{\"rewrite\":\"OR\",\"matched\":1}", "4"},
    {"enough by AND", NULL, "{\"active\":true,\"retry_below\":1}",
     "query=title:'nyc hotels'", NULL, "[{\"rewrite\":\"AND\",\"matched\":1}]", "4"},
    {"the request's threshold", NULL, "{\"active\":true,\"retry_below\":1}",
     "config=research_threshold:2&&query=title:'blue sneakers'", NULL,
     "\"retry_below\":2", "2"},
    {"OR alone", NULL, "{\"active\":true,\"rewrite\":\"OR\"}",
     "query=title:'nyc sneakers'", NULL, "[{\"rewrite\":\"OR\",\"matched\":2}]", "2 4"},
    {"AND alone", NULL, "{\"active\":true,\"rewrite\":[\"AND\"]}",
     "query=title:'nyc sneakers'", NULL, "[{\"rewrite\":\"AND\",\"matched\":0}]", ""},
    {"weights move behind RANK",
     "{\"type\":\"term_weighting\",\"entries\":[{\"word\":\"please show hotels\","
     "\"tokens\":[{\"token\":\"hotels\",\"weight\":7},{\"token\":\"please\",\"weight\":"
     "1},"
     "{\"token\":\"show\",\"weight\":1}]}]}",
     RULE("{\"name\":\"term_weighting\",\"use_system_dictionary\":false,"
          "\"intervention_dictionary\":\"d\"}"),
     "query=title:'please show hotels'", NULL,
     "\"rewritten\":\"(rank (term title 'hotels') (term title 'please') (term title "
     "'show'))\"",
     "4"},
    {"light words recall nothing",
     "{\"type\":\"term_weighting\",\"entries\":[{\"word\":\"blue\",\"tokens\":[{"
     "\"token\":\"blue\",\"weight\":1}]}]}",
     "{\"processors\":[" STEP("term_weighting") "],\"active\":true,\"rewrite\":\"OR\"}",
     "query=title:'blue hotels'", NULL, "\"weights\":{\"blue\":1}", "4"},
    {"entities",
     "{\"type\":\"ner\",\"entries\":[{\"word\":\"nike\",\"matchType\":1,\"tokens\":[{"
     "\"tag\":\"brand\",\"token\":\"nike\",\"order\":1}]}]}",
     "{\"processors\":[{\"name\":\"ner\",\"intervention_dictionary\":\"d\","
     "\"priorities\":"
     "[{\"priority\":\"LOW\",\"tag\":\"brand\",\"order\":1}]}],\"active\":true,"
     "\"rewrite\":\"AND\"}",
     "query=title:'nike sneakers'", NULL, "\"weights\":{\"nike\":1}", "2"},
    {"spelling", NULL, RULE("{\"name\":\"spell_check\"}"), "query=title:'snaekers'",
     NULL, "\"corrected_query\":\"sneakers\",\"correction_level\":1", "2"},
    {"spelling of a stem", NULL, RULE("{\"name\":\"spell_check\"}"),
     "query=body:'retreival'", NULL, "\"corrected_query\":\"retrieval\"", "5"},
    {"a blank forgotten", NULL, RULE("{\"name\":\"spell_check\"}"),
     "query=title:'boundarylayer'", NULL, "\"corrected_query\":\"boundary layer\"",
     "5"},
    {"suggested only", NULL, RULE("{\"name\":\"spell_check\",\"suggest_only\":true}"),
     "query=title:'snaekers'", NULL, "\"correction_level\":2", ""},
    {"known words stay", NULL, RULE("{\"name\":\"spell_check\"}"),
     "query=title:'hotels'", NULL, "\"steps\":[]", "4"},
    {"a correction of one's own",
     "{\"type\":\"correction\",\"entries\":[{\"word\":\"big apple\",\"correction\":"
     "\"nyc\"}]}",
     RULE(STEP("spell_check")), "query=title:'Big Apple hotels'", NULL,
     "\"corrected_query\":\"nyc hotels\"", "4"},
    {"a word that stays",
     "{\"type\":\"correction\",\"entries\":[{\"word\":\"snaekers\",\"enabled\":false}]"
     "}",
     RULE(STEP("spell_check")), "query=title:'snaekers'", NULL, "\"steps\":[]", ""},
    {"words of a list", "{\"type\":\"correction\",\"text\":\"quern 50\\n\"}",
     RULE(STEP("spell_check")), "query=title:'quenr'", NULL,
     "\"corrected_query\":\"quern\"", ""},
    {"only its indexes", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     "{\"processors\":[" STEP("synonym") "],\"active\":true,\"indexes\":[\"body\"]}",
     "query=title:'shoes'", NULL, NULL, "1"},
    {"not active, not named", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     "{\"processors\":[" STEP("synonym") "]}", "query=title:'shoes'", NULL, NULL, "1"},
    {"not active, named", "{\"type\":\"synonym\",\"text\":\"sneakers, shoes\"}",
     "{\"processors\":[" STEP("synonym") "]}", "query=title:'shoes'&&kvpairs=qp:r",
     NULL, "\"rules\":[\"r\"]", "1 2"},
    {"chinese", "{\"type\":\"synonym\",\"text\":\"肯德基, kfc\"}",
     RULE(STEP("synonym")), "query=zh:'kfc'", NULL, "\"added\":[\"肯 德 基\"]", "1"},
    {"chinese particles", NULL, RULE("{\"name\":\"stop_word\"}"), "query=zh:'地图吗'",
     NULL, "\"dropped\":[\"吗\"]", "3"},
};

static int by_id(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void ids_of(const quern_reply *r, char *out, size_t size)
{
    const char *ids[32];
    size_t at = 0;
    for (size_t i = 0; i < r->hit_count; i++) ids[i] = r->hits[i].id;
    qsort(ids, r->hit_count, sizeof *ids, by_id);
    out[0] = '\0';
    for (size_t i = 0; i < r->hit_count; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i > 0 ? " " : "", ids[i]);
}

static void test_rows(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        if (rows[i].dictionary != NULL)
            put_text(w, QUERN_ANALYSIS_DICTIONARY, "d", rows[i].dictionary);
        if (rows[i].rule != NULL) put_text(w, QUERN_ANALYSIS_RULE, "r", rows[i].rule);
        quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *reply = NULL;
        char got[128];
        o.kind = QUERN_QUERY_HA3;
        o.query = rows[i].query;
        o.query_size = strlen(o.query);
        o.analysis_off = rows[i].off;
        T_CALL(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), &w->f.err);
        ids_of(reply, got, sizeof got);
        const char *told = reply->analysis == NULL ? "" : reply->analysis;
        if (rows[i].told != NULL && strstr(told, rows[i].told) == NULL)
            T_FAIL("not told: %s\nin: %s", rows[i].told, told);
        T_EQ_S(got, rows[i].ids);
        quern_reply_free(reply);
        forget_all(w, rows[i].dictionary != NULL);
    }
}

static void search_words(world *w, const char *words, quern_reply **reply)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.query = words;
    o.query_size = strlen(words);
    T_CALL(quern_search(w->f.q, "shop", &o, reply, &w->f.err), &w->f.err);
}

/* A search does not wait for the words of its table longer than it has time; once they are
 * gathered they correct. */
static void test_gathering(void **state)
{
    enum { DOCUMENTS = 3000 };
    static quern_op ops[DOCUMENTS];
    static quern_op_result results[DOCUMENTS];
    static const char source[] =
        "{\"title\":\"many sneakers of one kind in many documents of one table\"}";
    world *w = *state;
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    o.refresh = true;
    for (size_t i = 0; i < DOCUMENTS; i++) ops[i] = op_of(QUERN_OP_INDEX, NULL, source);
    fixture_table(&w->f, "many", schema);
    T_CALL(quern_write(w->f.q, "many", ops, DOCUMENTS, &o, results, &w->f.err),
           &w->f.err);
    static const char rule[] = RULE("{\"name\":\"spell_check\"}");
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = QUERN_QUERY_HA3;
    s.query = "query=title:'snaekers'";
    s.query_size = strlen(s.query);
    s.analysis_rule = rule;
    s.analysis_rule_size = sizeof rule - 1;
    bool told = false, corrected = false;
    for (size_t tries = 0; !corrected && tries < 1000; tries++) {
        quern_reply *reply = NULL;
        s.timeout_ms = tries < 3 ? 20 : 0;
        T_CALL(quern_search(w->f.q, "many", &s, &reply, &w->f.err), &w->f.err);
        corrected = reply->total == DOCUMENTS;
        told = reply->warning_count > 0 &&
               strstr(reply->warnings[0].text, "still being gathered") != NULL;
        T_OK(corrected != told); /* one of the two, never neither */
        quern_reply_free(reply);
    }
    T_OK(corrected);
}

/* Plain words: every text field is analysed, once a way of cutting. */
static void test_words(void **state)
{
    world *w = *state;
    quern_reply *reply = NULL;
    put_text(w, QUERN_ANALYSIS_DICTIONARY, "d",
             "{\"type\":\"category_prediction\",\"entries\":[{\"word\":\"sneakers\","
             "\"relevance\":{\"1\":\"2\",\"4\":1,\"x\":1}}]}");
    put_text(
        w, QUERN_ANALYSIS_RULE, "r",
        RULE("{\"name\":\"spell_check\"},{\"name\":\"category_prediction\","
             "\"intervention_dictionary\":\"d\",\"field\":\"category\",\"boost\":50}"));
    search_words(w, "road sneekers", &reply);
    T_OK(strstr(reply->analysis, "\"corrected_query\":\"road sneakers\"") != NULL);
    T_OK(strstr(reply->analysis, "\"categories\":{\"1\":2,\"4\":1,\"x\":1}") != NULL);
    T_EQ_I(reply->hit_count, 2);
    T_OK(reply->hits[1].score > 100);
    T_EQ_I(reply->correction_count, 3);
    T_EQ_S(reply->corrections[0].original, "road sneekers");
    T_EQ_S(reply->corrections[0].corrected, "road sneakers");
    T_EQ_I(reply->corrections[0].level, 1);
    quern_reply_free(reply);
    forget_all(w, true);
}

/* category_score() in a fine formula, without any boost. */
static void test_category_score(void **state)
{
    world *w = *state;
    quern_reply *reply = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    put_text(w, QUERN_ANALYSIS_DICTIONARY, "d",
             "{\"type\":\"category_prediction\",\"entries\":[{\"word\":\"big city\","
             "\"relevance\":{\"3\":\"2\",\"2\":1,\"9\":\"2\"}}]}");
    put_text(
        w, QUERN_ANALYSIS_RULE, "r",
        RULE("{\"name\":\"category_prediction\",\"intervention_dictionary\":\"d\"}"));
    o.kind = QUERN_QUERY_HA3;
    o.query = "query=title:'nyc' OR title:'map' OR title:'shoes'&&kvpairs=formula:"
              "category_score(category),raw_query:a Big City map";
    o.query_size = strlen(o.query);
    T_CALL(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), &w->f.err);
    T_EQ_I(reply->hit_count, 3);
    T_EQ_S(reply->hits[0].id, "4");
    T_NEAR(reply->hits[0].score, 10002, 1e-9);
    T_EQ_S(reply->hits[1].id, "3");
    T_NEAR(reply->hits[1].score, 10001, 1e-9);
    T_NEAR(reply->hits[2].score, 10000, 1e-9);
    quern_reply_free(reply);
    forget_all(w, true);
}

/* The DSL: rules that say so, once, without minimum_should_match. */
static void test_dsl(void **state)
{
    world *w = *state;
    static const struct {
        const char *name, *rule, *query, *ids;
    } cases[] = {
        {"a rule that does not say so", RULE(STEP("synonym")),
         "{\"query\":{\"match\":{\"title\":\"trainers\"}}}", ""},
        {"match", "{\"active\":true,\"dsl\":true,\"processors\":[" STEP("synonym") "]}",
         "{\"query\":{\"match\":{\"title\":\"trainers\"}}}", "2"},
        {"and", "{\"active\":true,\"dsl\":true,\"processors\":[" STEP("synonym") "]}",
         "{\"query\":{\"match\":{\"title\":{\"query\":\"blue trainers\",\"operator\":"
         "\"and\"}}}}",
         "2"},
        {"multi_match",
         "{\"active\":true,\"dsl\":true,\"processors\":[" STEP("synonym") "]}",
         "{\"query\":{\"multi_match\":{\"query\":\"trainers\",\"fields\":[\"title^2\","
         "\"body\"]}}}",
         "1 2"},
        {"several words for one",
         "{\"active\":true,\"dsl\":true,\"processors\":[" STEP("synonym") "]}",
         "{\"query\":{\"match\":{\"title\":\"gotham\"}}}", "3"},
        {"minimum_should_match",
         "{\"active\":true,\"dsl\":true,\"processors\":[" STEP("synonym") "]}",
         "{\"query\":{\"match\":{\"title\":{\"query\":\"blue trainers\","
         "\"minimum_should_match\":2}}}}",
         ""},
        {"phrase",
         "{\"active\":true,\"dsl\":true,\"processors\":[" STEP("synonym") "]}",
         "{\"query\":{\"match_phrase\":{\"title\":\"blue trainers\"}}}", ""},
    };
    put_text(w, QUERN_ANALYSIS_DICTIONARY, "d",
             "{\"type\":\"synonym\",\"text\":\"trainers => sneakers\\n"
             "gotham => new york city\"}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        T_ROW(cases[i].name);
        quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *reply = NULL;
        char got[128];
        put_text(w, QUERN_ANALYSIS_RULE, "r", cases[i].rule);
        o.kind = QUERN_QUERY_DSL;
        o.query = cases[i].query;
        o.query_size = strlen(o.query);
        T_CALL(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), &w->f.err);
        ids_of(reply, got, sizeof got);
        T_EQ_S(got, cases[i].ids);
        quern_reply_free(reply);
    }
    forget_all(w, true);
}

static void test_chain(void **state)
{
    world *w = *state;
    quern_reply *reply = NULL;
    put_text(w, QUERN_ANALYSIS_DICTIONARY, "d",
             "{\"type\":\"synonym\",\"text\":\"trainers => sneakers\"}");
    put_text(w, QUERN_ANALYSIS_RULE, "r",
             "{\"processors\":[{\"name\":\"stop_word\"}]}");
    put_text(w, QUERN_ANALYSIS_RULE, "r2", "{\"processors\":[" STEP("synonym") "]}");
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = "query=title:'the trainers'";
    o.query_size = strlen(o.query);
    o.analysis = "r,r2";
    T_CALL(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), &w->f.err);
    T_OK(strstr(reply->analysis, "\"rules\":[\"r\",\"r2\"]") != NULL);
    T_OK(strstr(reply->analysis, "\"rewritten\":\"(term title 'sneakers')\"") != NULL);
    T_EQ_I(reply->hit_count, 1);
    quern_reply_free(reply);
    o.analysis = "nobody";
    T_EQ_I(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), QN_ENOTFOUND);
    T_OK(strstr(w->f.err.text, "[nobody]") != NULL);
    o.analysis = "";
    T_CALL(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), &w->f.err);
    T_OK(reply->analysis == NULL);
    quern_reply_free(reply);
    forget_all(w, true);
}

/* Versions, changes of a dictionary, what is in use stays. */
static void test_store(void **state)
{
    world *w = *state;
    quern_reply *reply = NULL;
    char *json = NULL;
    size_t n = 0;
    uint32_t version = 0;
    put_text(w, QUERN_ANALYSIS_DICTIONARY, "d",
             "{\"type\":\"synonym\",\"entries\":[{\"word\":\"trainers\",\"alias\":["
             "\"sneakers\"]}]}");
    put_text(w, QUERN_ANALYSIS_RULE, "r", RULE(STEP("synonym")));
    static const char change[] = "[{\"cmd\":\"delete\",\"word\":\"trainers\"},"
                                 "{\"cmd\":\"add\",\"word\":\"runners\",\"alias\":["
                                 "\"sneakers\"]}]";
    T_CALL(quern_analysis_change(w->f.q, "shop", "d", change, strlen(change), &json, &n,
                                 &w->f.err),
           &w->f.err);
    T_OK(strstr(json, "\"version\":2") != NULL && strstr(json, "runners") != NULL &&
         strstr(json, "trainers") == NULL);
    quern_free(json);
    search_words(w, "runners", &reply);
    T_EQ_I(reply->hit_count, 2);
    quern_reply_free(reply);
    T_CALL(quern_analysis_roll_back(w->f.q, "shop", QUERN_ANALYSIS_DICTIONARY, "d",
                                    &version, &w->f.err),
           &w->f.err);
    T_EQ_I(version, 1);
    search_words(w, "runners", &reply);
    T_EQ_I(reply->hit_count, 0);
    quern_reply_free(reply);
    T_EQ_I(
        quern_analysis_drop(w->f.q, "shop", QUERN_ANALYSIS_DICTIONARY, "d", &w->f.err),
        QN_EINVAL);
    T_OK(strstr(w->f.err.text, "read by the rule [r]") != NULL);
    fixture_reopen(&w->f);
    search_words(w, "trainers", &reply);
    T_EQ_I(reply->hit_count, 2);
    quern_reply_free(reply);
    T_CALL(quern_analysis_list(w->f.q, "shop", &json, &n, &w->f.err), &w->f.err);
    T_OK(strstr(json, "\"kind\":\"dictionary\",\"name\":\"d\",\"version\":1") != NULL);
    quern_free(json);
    forget_all(w, true);
}

static const struct {
    const char *name;
    quern_analysis_kind kind;
    const char *text;
    qn_status st;
    const char *why;
} wrong[] = {
    {"no JSON", QUERN_ANALYSIS_RULE, "{", QN_EJSON, ""},
    {"unknown key", QUERN_ANALYSIS_RULE, "{\"procesors\":[]}", QN_EJSON,
     "did you mean \"processors\""},
    {"unknown step", QUERN_ANALYSIS_RULE, RULE("{\"name\":\"stem\"}"), QN_EINVAL,
     "no processor [stem]"},
    {"vectors", QUERN_ANALYSIS_RULE, RULE("{\"name\":\"text_vectorization\"}"),
     QN_EUNSUPPORTED, "pipeline"},
    {"a trained model", QUERN_ANALYSIS_RULE,
     RULE("{\"name\":\"category_prediction\",\"categoryPrediction\":\"m\"}"),
     QN_EUNSUPPORTED, "trained models"},
    {"twice", QUERN_ANALYSIS_RULE,
     RULE("{\"name\":\"stop_word\"},{\"name\":\"stop_word\"}"), QN_EINVAL, "twice"},
    {"no dictionary", QUERN_ANALYSIS_RULE, RULE("{\"name\":\"ner\"}"), QN_EINVAL,
     "needs an intervention_dictionary"},
    {"a dictionary that is not there", QUERN_ANALYSIS_RULE, RULE(STEP("synonym")),
     QN_ENOTFOUND, "[d]"},
    {"an index that is not there", QUERN_ANALYSIS_RULE, "{\"indexes\":[\"titel\"]}",
     QN_ENOFIELD, "did you mean title"},
    {"an index of numbers", QUERN_ANALYSIS_RULE, "{\"indexes\":[\"category\"]}",
     QN_EINDEXKIND, "not of text"},
    {"domain", QUERN_ANALYSIS_RULE, "{\"domain\":\"SPACE\"}", QN_EINVAL, "GENERAL"},
    {"rewrite", QUERN_ANALYSIS_RULE, "{\"rewrite\":[\"XOR\"]}", QN_EINVAL, "[XOR]"},
    {"too many rewrites", QUERN_ANALYSIS_RULE,
     "{\"rewrite\":[\"AND\",\"OR\",\"AND\",\"OR\"]}", QN_ELIMIT, "at most 3"},
    {"confidence", QUERN_ANALYSIS_RULE,
     RULE("{\"name\":\"spell_check\",\"confidence\":1.5}"), QN_ELIMIT, "from 0 to 1"},
    {"no type", QUERN_ANALYSIS_DICTIONARY, "{}", QN_EINVAL, "\"type\""},
    {"a suggester's", QUERN_ANALYSIS_DICTIONARY, "{\"type\":\"suggest_allowlist\"}",
     QN_EUNSUPPORTED, "suggest_allowlist"},
    {"no word", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"stopword\",\"entries\":[{\"stopword\":true}]}", QN_EINVAL,
     "\"word\""},
    {"cmd", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"stopword\",\"entries\":[{\"cmd\":\"put\",\"word\":\"a\"}]}",
     QN_EINVAL, "[put]"},
    {"no alias", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"synonym\",\"entries\":[{\"word\":\"a\"}]}", QN_EINVAL, "\"alias\""},
    {"weight", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"term_weighting\",\"entries\":[{\"word\":\"a\",\"tokens\":[{\"token\":"
     "\"a\",\"weight\":5}]}]}",
     QN_EINVAL, "7, 4 or 1"},
    {"relevance", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"category_prediction\",\"entries\":[{\"word\":\"a\",\"relevance\":{"
     "\"1\":3}}]}",
     QN_EINVAL, "0, 1 or 2"},
    {"wrong rules", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"synonym\",\"text\":\"a => b => c\"}", QN_ESYNTAX, "line 1"},
    {"wrong list of words", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"correction\",\"text\":\"word\"}", QN_ESYNTAX, "word count"},
    {"text where there is none", QUERN_ANALYSIS_DICTIONARY,
     "{\"type\":\"stopword\",\"text\":\"a\"}", QN_EINVAL, "\"text\" is for"},
};

static void test_wrong(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_ROW(wrong[i].name);
        const char *text = wrong[i].text;
        T_EQ_I(quern_analysis_put(w->f.q, "shop", wrong[i].kind, "x", text,
                                  strlen(text), false, NULL, NULL, &w->f.err),
               wrong[i].st);
        if (strstr(w->f.err.text, wrong[i].why) == NULL)
            T_FAIL("\"%s\" is not in \"%s\"", wrong[i].why, w->f.err.text);
    }
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    put_text(w, QUERN_ANALYSIS_RULE, "r", "{\"active\":true}");
    o.query = "hotels";
    o.query_size = 6;
    o.analysis_off = "qp:stem";
    T_EQ_I(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), QN_EINVAL);
    o = (quern_search_options)QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_DSL;
    o.analysis = "r";
    T_EQ_I(quern_search(w->f.q, "shop", &o, &reply, &w->f.err), QN_EUNSUPPORTED);
    forget_all(w, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_words),
        cmocka_unit_test(test_chain),     cmocka_unit_test(test_category_score),
        cmocka_unit_test(test_gathering), cmocka_unit_test(test_dsl),
        cmocka_unit_test(test_store),     cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
