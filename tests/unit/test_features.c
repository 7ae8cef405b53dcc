/* SPDX-License-Identifier: Apache-2.0 */
/* Documents are written as their tokens, with blanks between. */
#include "../qn_test.h"

#include "rank/features.h"

enum { TERMS = 8, TOKENS = 64 };

typedef struct match {
    qn_match_view view;
    qn_match_term terms[TERMS];
    uint32_t positions[TERMS][TOKENS];
} match;

/* Cuts at blanks; returns how many. */
static size_t cut(const char *text, const char *begin[], size_t length[])
{
    size_t n = 0;
    while (*text != '\0') {
        size_t k = strcspn(text, " ");
        begin[n] = text;
        length[n++] = k;
        text += k + (text[k] == ' ');
    }
    return n;
}

/* idf 1, weight 1, average length 20: the values of the reference table. */
static const qn_match_view *match_of(match *m, const char *query, const char *field)
{
    const char *q[TERMS], *f[TOKENS];
    size_t ql[TERMS], fl[TOKENS], n = cut(query, q, ql), length = cut(field, f, fl);
    *m = (match){0};
    for (size_t i = 0; i < n; i++) {
        qn_match_term *t = &m->terms[i];
        *t = (qn_match_term){.id = (uint32_t)i, .weight = 1, .idf = 1};
        for (size_t k = i; k-- > 0;)
            if (ql[k] == ql[i] && memcmp(q[k], q[i], ql[i]) == 0)
                t->id = m->terms[k].id;
        for (size_t p = 0; p < length; p++)
            if (fl[p] == ql[i] && memcmp(f[p], q[i], ql[i]) == 0)
                m->positions[i][t->count++] = (uint32_t)p;
        t->positions = m->positions[i];
    }
    m->view = (qn_match_view){.terms = m->terms,
                              .term_count = n,
                              .length = (uint32_t)length,
                              .avg_length = 20};
    return &m->view;
}

/* The worked documents: song titles and texts around two words and a name. */
static void test_relevance_table(void **state)
{
    (void)state;
    static const char query[] = "黑色 幽默 周杰伦";
    static const struct {
        const char *field;
        double relevance, field_match, bm25, proximity, window, ordered, fmr, qmr;
    } rows[] = {
        {"黑色 幽默 是 周杰伦 演唱 的 一首 歌曲", .5565, .229, .347, .750, .750, .750,
         .375, 1},
        {"黑色 幽默 女版 原唱 周杰伦 Jay Chou", .5079, .238, .348, .667, .600, .600,
         .429, 1},
        {"Jay Chou 周杰伦 黑色 幽默 Black Humor Official Music Video", .4745, .217,
         .345, .625, 1, 0, .3, 1},
        {"黑色 幽默 又 称为 黑色 喜剧 是 产生 于 1960 年代 美国 的 一个 现代 主义 文学 "
         "流派",
         .3647, .130, .279, .5, 1, 1, .167, .667},
        {"黑夜 将至 周围 一切 都是 黑色 的 为了 缓解 压抑 的 气氛 周杰伦 很 幽默 的 说 "
         "了 "
         "一个 笑话",
         .1897, .192, .333, .181, .3, 0, .15, 1},
        {"周杰伦 台湾 华语 流行 歌曲 男歌手 音乐家 编曲家 唱片 制片人 魔术师", .0248,
         .061, .115, 0, 1, 1, .091, .333},
    };
    double last = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].field);
        match m;
        const qn_match_view *v = match_of(&m, query, rows[i].field);
        qn_text_relevance r = qn_feature_text_relevance(v);
        T_NEAR(r.value, rows[i].relevance, 0.00005);
        T_NEAR(r.field_match, rows[i].field_match, 0.0005);
        T_NEAR(r.bm25, rows[i].bm25, 0.0005);
        T_NEAR(r.proximity, rows[i].proximity, 0.0005);
        T_NEAR(qn_feature_query_min_slide_window(v, false), rows[i].window, 0.0005);
        T_NEAR(qn_feature_query_min_slide_window(v, true), rows[i].ordered, 0.0005);
        T_NEAR(qn_feature_field_match_ratio(v), rows[i].fmr, 0.0005);
        T_NEAR(qn_feature_query_match_ratio(v), rows[i].qmr, 0.0005);
        T_OK(r.value < last); /* the table is in the order that the guide promises */
        last = r.value;
    }
}

static double relevance(const char *query, const char *field)
{
    match m;
    return qn_feature_text_relevance(match_of(&m, query, field)).value;
}

static double ratio(const char *query, const char *field)
{
    match m;
    return qn_feature_field_match_ratio(match_of(&m, query, field));
}

static double window(const char *query, const char *field, bool in_order)
{
    match m;
    return qn_feature_query_min_slide_window(match_of(&m, query, field), in_order);
}

static double proximity(const char *query, const char *field)
{
    match m;
    return qn_feature_fieldterm_proximity(match_of(&m, query, field));
}

/* The recipes of the ranking guide. */
static void test_recipes(void **state)
{
    (void)state;
    T_ROW("2: the company before its branch");
    T_NEAR(ratio("xxx 公司", "xxx 公司"), 1, 0);
    T_NEAR(ratio("xxx 公司", "xxx 杭州 分 公司"), 0.5, 0);
    T_ROW("3: the table before the longer name");
    T_NEAR(ratio("dim itm tb", "dim itm tb"), 1, 0);
    T_NEAR(ratio("dim itm tb", "dim itm tb dst itm relation dd"), 4.0 / 7, 1e-15);
    T_ROW("4: words together");
    T_NEAR(window("iphone 8", "apple iphone 8 256g", false), 1, 0);
    T_NEAR(window("iphone 8", "iphone case for 8 plus", false), 0.5, 0);
    T_NEAR(window("iphone 8", "8 iphone", false), 1, 0);
    T_NEAR(window("iphone 8", "8 iphone", true), 0, 0);
    T_ROW("5: the word alone first");
    T_NEAR(relevance("民国", "民国"), .978, .0005);
    T_NEAR(relevance("民国", "民国 趣闻 民国"), .849, .0005);
    T_NEAR(relevance("民国", "中国 民族 史 民国"), .820, .0005);
    T_NEAR(window("民国", "中国 民族 史 民国", false), 1, 0);
    T_ROW("7: stuffed titles");
    match m;
    T_NEAR(qn_feature_field_term_match_count(match_of(&m, "鞋", "鞋 鞋 女 鞋 鞋")), 4,
           0);
    T_NEAR(qn_feature_field_term_match_count(match_of(&m, "鞋", "女 鞋")), 1, 0);
    T_ROW("the manual's examples");
    T_NEAR(ratio("OpenSearch 使用 手册", "field match ratio 使用 手册"), 0.4, 1e-15);
    T_NEAR(window("搜索 手册", "开放 搜索 用户 手册", false), 2.0 / 3, 1e-15);
    T_OK(proximity("用户 手册", "开放 搜索 用户 手册") >
         proximity("用户 手册", "用户 使用 开放 搜索 手册 解决 问题"));
}

static void test_windows(void **state)
{
    (void)state;
    static const struct {
        const char *name, *query, *field;
        double any, ordered;
    } rows[] = {
        {"nothing hit", "a b", "x y z", 0, 0},
        {"no query", "", "x y z", 0, 0},
        {"no field", "a b", "", 0, 0},
        {"one hit", "a b", "x b z", 1, 1},
        {"later window is shorter", "a b", "a x x b x a b", 1, 1},
        {"reverse only", "a b c", "c b a", 1, 0},
        {"order costs length", "a b c", "a c b x c", 1, 0.6},
        {"repeated term, both there", "a a", "a x a", 2.0 / 3, 2.0 / 3},
        {"repeated term, once there", "a a", "x a", 1, 1},
        {"repeats within", "a b a", "a b x a", 0.75, 0.75},
        {"repeats, shorter later", "a b a", "a x b x x a b a", 1, 1},
        {"many", "a b c d", "d x a b x c x x d", 4.0 / 6, 4.0 / 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_NEAR(window(rows[i].query, rows[i].field, false), rows[i].any, 1e-15);
        T_NEAR(window(rows[i].query, rows[i].field, true), rows[i].ordered, 1e-15);
    }
    T_ROW("two tokens at one place");
    uint32_t place[] = {3};
    qn_match_term terms[] = {{.id = 0, .count = 1, .positions = place},
                             {.id = 1, .count = 1, .positions = place}};
    qn_match_view v = {.terms = terms, .term_count = 2, .length = 4};
    T_NEAR(qn_feature_query_min_slide_window(&v, false), 1, 0);
    T_NEAR(qn_feature_query_min_slide_window(&v, true), 0, 0);
    T_NEAR(qn_feature_fieldterm_proximity(&v), 0, 0);
}

static void test_counts(void **state)
{
    (void)state;
    match m;
    const qn_match_view *v = match_of(&m, "a b a c", "a x a y b");
    T_NEAR(qn_feature_field_length(v), 5, 0);
    T_NEAR(qn_feature_query_term_count(v), 4, 0);
    T_NEAR(qn_feature_query_term_match_count(v), 3, 0);
    T_NEAR(qn_feature_field_term_match_count(v), 3, 0);
    T_NEAR(qn_feature_query_match_ratio(v), 0.75, 0);
    match other;
    qn_match_view fields[2] = {*v, *match_of(&other, "a b a c", "c")};
    T_NEAR(qn_feature_query_term_match_count_any(fields, 2), 4, 0);
    T_NEAR(qn_feature_query_match_ratio_any(fields, 2), 1, 0);
    v = match_of(&m, "", "");
    T_NEAR(qn_feature_query_match_ratio(v), 0, 0);
    T_NEAR(qn_feature_field_match_ratio(v), 0, 0);
    T_NEAR(qn_feature_text_relevance(v).value, 0, 0);
}

static double static_bm25(const char *query, const char *field)
{
    match m;
    return qn_feature_static_bm25(match_of(&m, query, field), NULL, 1);
}

static void test_static_bm25(void **state)
{
    (void)state;
    T_ROW("by hand: k = 2 (0.9 + 0.1 * 3 / 20)");
    T_NEAR(static_bm25("民国", "民国 趣闻 民国"), 2 / (2 + 1.83), 1e-15);
    T_NEAR(static_bm25("民国", "中国 民族 史 民国"), 1 / (1 + 1.84), 1e-15);
    T_ROW("repeats raise it, below 1");
    T_OK(static_bm25("a", "a a x x") > static_bm25("a", "a x x x"));
    T_OK(static_bm25("a b", "a a a a a b b b b b") < 1);
    T_ROW("expansions accumulate");
    match m;
    match_of(&m, "苹果 apple", "苹果 苹果 苹果 apple apple apple");
    m.terms[1].expanded = true;
    T_OK(qn_feature_static_bm25(&m.view, NULL, 1) > 1);
    T_ROW("fields by boost, idf by term");
    match title, body;
    qn_match_view fields[2] = {*match_of(&title, "a b", "a"),
                               *match_of(&body, "a b", "b b")};
    title.terms[0].idf = body.terms[0].idf = 3;
    double boosts[2] = {3, 1};
    double sa = 1 / (1 + 2 * (0.9 + 0.1 * 1 / 20)),
           sb = 2 / (2 + 2 * (0.9 + 0.1 * 2 / 20));
    T_NEAR(qn_feature_static_bm25(fields, boosts, 2), (3 * 3 * sa + sb) / 4 / 4, 1e-15);
    T_NEAR(qn_feature_static_bm25(fields, boosts, 0), 0, 0);
    T_ROW("idf");
    T_NEAR(qn_feature_idf(10, 3), 1.1451323043030026, 1e-15);
    T_OK(qn_feature_idf(3, 5) > 0);
}

static void test_groups_and_boosts(void **state)
{
    (void)state;
    match own, other;
    qn_match_view groups[2] = {*match_of(&own, "民国", "民国 趣闻 民国"),
                               *match_of(&other, "趣闻", "民国 趣闻 民国")};
    double a = qn_feature_text_relevance(&groups[0]).value;
    double b = qn_feature_text_relevance(&groups[1]).value;
    T_NEAR(qn_feature_text_relevance_groups(groups, 2, true), a > b ? a : b, 0);
    T_NEAR(qn_feature_text_relevance_groups(groups, 2, false), 1, 0);
    T_NEAR(qn_feature_text_relevance_groups(groups, 1, false), a, 0);
    T_NEAR(qn_feature_text_relevance_groups(groups, 0, false), 0, 0);

    T_ROW("term weights tip the proximity");
    match m;
    match_of(&m, "a b c", "a b x x c");
    m.terms[0].weight = 7;
    T_NEAR(qn_feature_fieldterm_proximity(&m.view), (4 * 1 + 1 * (1.0 / 3)) / 5, 1e-15);

    const qn_boost_term boosts[] = {
        {true, true, 20}, {false, true, 90}, {true, true, -5}, {true, true, 40}};
    T_NEAR(qn_feature_exact_match_boost(boosts, 4, false), 40, 0);
    T_NEAR(qn_feature_exact_match_boost(boosts, 4, true), 60, 0);
    const qn_boost_term plain[] = {{true, false, 0}, {true, true, 300}};
    T_NEAR(qn_feature_exact_match_boost(plain, 1, false), 99, 0);
    T_NEAR(qn_feature_exact_match_boost(plain + 1, 1, false), 99, 0);
    T_NEAR(qn_feature_exact_match_boost(boosts + 1, 1, false), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relevance_table),
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_static_bm25),
        cmocka_unit_test(test_groups_and_boosts),
    };
    return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
