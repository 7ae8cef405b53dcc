/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregations against a naive meaning: random documents over several segments, random
 * clauses; then single cases. The seed is printed and taken from QUERN_SEED. */
#include "engine_fixture.h"

#include <inttypes.h>
#include <math.h>
#include <time.h>

enum { DOCS = 2500, ROUNDS = 250, GROUPS_MAX = 4096, VALUES_MAX = 4 };

#define FIELD(name, type) "{\"field_name\":\"" name "\",\"field_type\":\"" type "\"},"
#define LIST(name, type)                                                               \
    "{\"field_name\":\"" name "\",\"field_type\":\"" type "\",\"multi_value\":true}"
#define SCHEMA                                                                         \
    "{\"table_name\":\"t\",\"fields\":[" FIELD("id", "INT64") FIELD("kind", "STRING")  \
        FIELD("brand", "STRING") FIELD("n", "INT32") FIELD("wide", "INT64")            \
            FIELD("r", "DOUBLE") FIELD("f", "FLOAT") LIST("tags", "STRING") "," LIST(  \
                "nums",                                                                \
                "INT32") "],"                                                          \
                         "\"indexs\":[{\"index_name\":\"id\",\"index_type\":"          \
                         "\"PRIMARYKEY64\",\"index_fields\":\"id\","                   \
                         "\"has_primary_key_attribute\":true},"                        \
                         "{\"index_name\":\"kind\",\"index_type\":\"STRING\","         \
                         "\"index_fields\":\"kind\"}],"                                \
                         "\"attributes\":[\"id\",\"kind\",\"brand\",\"n\",\"wide\","   \
                         "\"r\",\"f\",\"tags\",\"nums\"],"                             \
                         "\"summarys\":{\"summary_fields\":[\"id\"]}}"

typedef struct doc {
    bool deleted;
    const char *kind, *brand;
    int64_t n, wide;
    double r, f;
    size_t tag_count, num_count;
    const char *tags[VALUES_MAX];
    int64_t nums[VALUES_MAX];
} doc;

static doc docs[DOCS];
static uint64_t state;

static uint64_t roll(uint64_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % below;
}

static const char *const brands[] = {"acme", "bolt", "core", "dune", "elm", "", "Zed"};
static const char *const tag_names[] = {"new", "sale", "red", "blue"};

static void make_doc(doc *d)
{
    *d = (doc){.kind = roll(3) == 0 ? "y" : "x",
               .brand = brands[roll(7)],
               .n = roll(10) == 0 ? 0 : (int64_t)roll(11) - 5,
               .wide = (int64_t)roll(1 << 30) * 4000000007 * (roll(2) == 0 ? 1 : -1),
               .r = ((double)roll(41) - 20) / 4,
               .f = (double)roll(9) / 4,
               .tag_count = roll(VALUES_MAX),
               .num_count = roll(VALUES_MAX)};
    if (roll(3) == 0) d->wide = (int64_t)roll(4);
    for (size_t i = 0; i < d->tag_count; i++) d->tags[i] = tag_names[roll(4)];
    for (size_t i = 0; i < d->num_count; i++) d->nums[i] = (int64_t)roll(5) - 2;
}

static void write_doc(fixture *f, size_t i)
{
    const doc *d = &docs[i];
    char id[24], text[1024];
    size_t n =
        (size_t)snprintf(text, sizeof text, "{\"id\":%zu,\"kind\":\"%s\"", i, d->kind);
    /* 0 and "" are sometimes written and sometimes missing: it is the same. */
    if (d->brand[0] != 0 || i % 2 == 0)
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"brand\":\"%s\"", d->brand);
    if (d->n != 0 || i % 2 == 0)
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"n\":%" PRId64, d->n);
    n += (size_t)snprintf(text + n, sizeof text - n,
                          ",\"wide\":%" PRId64 ",\"r\":%g,\"f\":%g,\"tags\":[", d->wide,
                          d->r, d->f);
    for (size_t k = 0; k < d->tag_count; k++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\"%s\"", k > 0 ? "," : "",
                              d->tags[k]);
    n += (size_t)snprintf(text + n, sizeof text - n, "],\"nums\":[");
    for (size_t k = 0; k < d->num_count; k++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%" PRId64, k > 0 ? "," : "",
                              d->nums[k]);
    (void)snprintf(text + n, sizeof text - n, "]}");
    (void)snprintf(id, sizeof id, "%zu", i);
    put(f, "t", id, text);
}

static void make_table(fixture *f)
{
    fixture_begin(f);
    fixture_table(f, "t", SCHEMA);
    for (size_t i = 0; i < DOCS; i++) {
        make_doc(&docs[i]);
        write_doc(f, i);
        if (i == 700 || i == 1900) T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    }
    for (size_t i = 0; i < DOCS; i++) {
        char id[24];
        docs[i].deleted = roll(12) == 0;
        (void)snprintf(id, sizeof id, "%zu", i);
        if (docs[i].deleted)
            T_OK(write_one(f, "t", op_of(QUERN_OP_DELETE, id, NULL), NULL) == QN_OK);
    }
    T_CALL(quern_refresh(f->q, "t", &f->err), &f->err);
}

/* ---- the naive meaning ---------------------------------------------------------------- */

typedef struct group {
    char label[64], text[64]; /* `text` orders groups of texts */
    double order;             /* and this those of numbers */
    int64_t count, sum_n, min_wide;
    double max_r, sum_r;
    unsigned brands; /* a bit a brand */
    const doc *last; /* a document counts once in a group */
} group;

typedef struct clause {
    const char *key;
    bool by_text;
    const char *range; /* "" or "-2~0~3" */
    const char *filter;
    unsigned threshold, step, max_group;
    bool by_count;
} clause;

static group groups[GROUPS_MAX];
static size_t group_count;

static bool passes(const clause *c, const doc *d)
{
    if (strcmp(c->filter, "n>0") == 0) return d->n > 0;
    if (strcmp(c->filter, "r<2.0 AND n>-2") == 0) return d->r < 2 && d->n > -2;
    if (strcmp(c->filter, "brand=\"acme\"") == 0) return strcmp(d->brand, "acme") == 0;
    return true;
}

static group *find_group(const char *label, double order)
{
    for (size_t i = 0; i < group_count; i++)
        if (strcmp(groups[i].label, label) == 0) return &groups[i];
    T_OK(group_count < GROUPS_MAX);
    group *g = &groups[group_count++];
    *g = (group){.order = order, .min_wide = INT64_MAX, .max_r = -HUGE_VAL};
    (void)snprintf(g->label, sizeof g->label, "%s", label);
    return g;
}

static void add(const doc *d, const char *label, double order, int64_t weight)
{
    group *g = find_group(label, order);
    if (g->last == d) return;
    g->last = d;
    g->count += weight;
    g->sum_n += d->n * weight;
    g->sum_r += d->r * (double)weight;
    if (d->wide < g->min_wide) g->min_wide = d->wide;
    if (d->r > g->max_r) g->max_r = d->r;
    for (size_t b = 0; b < 7; b++)
        if (strcmp(brands[b], d->brand) == 0) g->brands |= 1u << b;
}

static void add_number(const clause *c, const doc *d, double v, int64_t whole,
                       bool is_whole, int64_t weight)
{
    char label[64], low[32], high[32];
    if (c->range[0] == 0) {
        if (is_whole)
            (void)snprintf(label, sizeof label, "%" PRId64, whole);
        else
            (void)snprintf(label, sizeof label, "%g", v);
        add(d, label, v, weight);
        return;
    }
    bool narrow = strcmp(c->key, "wide") != 0;
    if (is_whole) {
        (void)snprintf(low, sizeof low, "%" PRId64, narrow ? INT32_MIN : INT64_MIN);
        (void)snprintf(high, sizeof high, "%" PRId64, narrow ? INT32_MAX : INT64_MAX);
    } else {
        (void)snprintf(low, sizeof low, "-1.79769e+308");
        (void)snprintf(high, sizeof high, "1.79769e+308");
    }
    double order = -HUGE_VAL;
    for (const char *p = c->range; *p != 0;) {
        char *end = NULL;
        double bound = strtod(p, &end);
        if (bound > v) {
            (void)snprintf(high, sizeof high, "%g", bound);
            break;
        }
        (void)snprintf(low, sizeof low, "%g", bound);
        order = bound;
        p = *end == '~' ? end + 1 : end;
    }
    (void)snprintf(label, sizeof label, "%s:%s", low, high);
    add(d, label, order, weight);
}

static void add_doc(const clause *c, const doc *d, int64_t weight)
{
    char label[64];
    if (strcmp(c->key, "brand") == 0) {
        add(d, d->brand, 0, weight);
    } else if (strcmp(c->key, "[brand,n]") == 0) {
        (void)snprintf(label, sizeof label, "[%s, %" PRId64 "]", d->brand, d->n);
        add(d, label, (double)d->n, weight);
    } else if (strcmp(c->key, "n") == 0) {
        add_number(c, d, (double)d->n, d->n, true, weight);
    } else if (strcmp(c->key, "n*2") == 0) {
        add_number(c, d, (double)(2 * d->n), 2 * d->n, true, weight);
    } else if (strcmp(c->key, "wide") == 0) {
        add_number(c, d, (double)d->wide, d->wide, true, weight);
    } else if (strcmp(c->key, "r") == 0) {
        add_number(c, d, d->r, 0, false, weight);
    } else if (strcmp(c->key, "f") == 0) {
        add_number(c, d, d->f, 0, false, weight);
    }
    bool tags = strcmp(c->key, "tags") == 0, nums = strcmp(c->key, "nums") == 0;
    for (size_t i = 0; tags && i < d->tag_count; i++) add(d, d->tags[i], 0, weight);
    for (size_t i = 0; nums && i < d->num_count; i++)
        add_number(c, d, (double)d->nums[i], d->nums[i], true, weight);
}

static const clause *sorting;

static int by_key(const group *a, const group *b)
{
    if (strcmp(sorting->key, "[brand,n]") == 0) {
        /* the brand, then the number */
        size_t na = strcspn(a->label, ","), nb = strcspn(b->label, ",");
        int order = memcmp(a->label, b->label, na < nb ? na : nb);
        if (order == 0) order = (na > nb) - (na < nb);
        if (order != 0) return order;
    }
    if (sorting->by_text) return strcmp(a->label, b->label);
    return (a->order > b->order) - (a->order < b->order);
}

static int by_count(const void *x, const void *y)
{
    const group *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return by_key(a, b);
}

static int by_key_only(const void *x, const void *y)
{
    return by_key(x, y);
}

static void naive(const clause *c, const char *kind)
{
    unsigned counted = 0, steps = 0;
    group_count = 0;
    for (size_t i = 0; i < DOCS; i++) {
        const doc *d = &docs[i];
        if (d->deleted || (kind[0] != 0 && strcmp(d->kind, kind) != 0)) continue;
        int64_t weight = 1;
        if (c->step > 1) {
            if (counted < c->threshold) {
                counted++;
            } else {
                if (++steps < c->step) continue;
                steps = 0;
                weight = c->step;
            }
        }
        if (passes(c, d)) add_doc(c, d, weight);
    }
    sorting = c;
    qsort(groups, group_count, sizeof *groups, by_count);
    if (group_count > c->max_group) group_count = c->max_group;
    if (!c->by_count) qsort(groups, group_count, sizeof *groups, by_key_only);
}

/* ---- asking --------------------------------------------------------------------------- */

static const char *const keys[] = {"brand", "n",    "wide", "r",        "f",
                                   "tags",  "nums", "n*2",  "[brand,n]"};
static const char *const filters[] = {"", "n>0", "r<2.0 AND n>-2", "brand=\"acme\""};

static void make_clause(clause *c)
{
    size_t key = roll(9);
    bool number = key != 0 && key != 5 && key != 8 && key != 7;
    *c = (clause){.key = keys[key],
                  .by_text = key == 0 || key == 5,
                  .range = number && roll(3) == 0 ? "-2~0~3" : "",
                  .filter = filters[roll(2) == 0 ? 0 : roll(4)],
                  .step = roll(3) == 0 ? 2 + (unsigned)roll(5) : 0,
                  .threshold = (unsigned)roll(1500),
                  .max_group = roll(3) == 0 ? 1 + (unsigned)roll(8) : 1000,
                  .by_count = roll(2) == 0};
    if (roll(2) == 0 && c->step == 0) c->threshold = 0;
}

static size_t write_clause(const clause *c, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size,
                                "group_key:%s,agg_fun:sum(n)#count()#max(r)#min(wide)#"
                                "sum(r)#distinct_count(brand)",
                                c->key);
    if (c->range[0] != 0)
        n += (size_t)snprintf(out + n, size - n, ",range:%s", c->range);
    if (c->filter[0] != 0)
        n += (size_t)snprintf(out + n, size - n, ",agg_filter:%s", c->filter);
    if (c->threshold != 0)
        n += (size_t)snprintf(out + n, size - n, ",agg_sampler_threshold:%u",
                              c->threshold);
    if (c->step != 0)
        n += (size_t)snprintf(out + n, size - n, ",agg_sampler_step:%u", c->step);
    if (c->max_group != 1000)
        n += (size_t)snprintf(out + n, size - n, ",max_group:%u", c->max_group);
    if (c->by_count) n += (size_t)snprintf(out + n, size - n, ",order_by:count");
    return n;
}

static void compare_facet(const quern_facet *f)
{
    T_EQ_I(f->function_count, 6);
    T_EQ_I(f->group_count, group_count);
    for (size_t i = 0; i < group_count; i++) {
        const group *g = &groups[i];
        const char *const *v = f->groups[i].results;
        T_EQ_S(f->groups[i].value, g->label);
        T_EQ_I(strtoll(v[0], NULL, 10), g->sum_n);
        T_EQ_I(strtoll(v[1], NULL, 10), g->count);
        T_NEAR(strtod(v[2], NULL), g->max_r, 0);
        T_EQ_I(strtoll(v[3], NULL, 10), g->min_wide);
        T_NEAR(strtod(v[4], NULL), g->sum_r, 0);
        T_EQ_I(strtoll(v[5], NULL, 10), __builtin_popcount(g->brands));
    }
}

static qn_status ask(fixture *f, const char *text, quern_reply **r)
{
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = QUERN_QUERY_HA3;
    s.query = text;
    s.query_size = strlen(text);
    return quern_search(f->q, "t", &s, r, &f->err);
}

/* By RANK, by a field, without hits: aggregations see all matches either way. */
static const char *const ways[] = {"", "&&sort=+n", "&&config=hit:0", "&&sort=-n;+id"};

static void test_random(void **unused)
{
    (void)unused;
    const char *given = getenv("QUERN_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("QUERN_SEED=%" PRIu64 "\n", seed);
    state = seed;
    fixture f;
    make_table(&f);
    for (size_t round = 0; round < ROUNDS; round++) {
        char text[2048];
        clause c[3];
        size_t count = 1 + roll(3);
        const char *kind = roll(2) == 0 ? "x" : "y";
        size_t n = (size_t)snprintf(
            text, sizeof text, "query=kind:'%s'%s&&aggregate=", kind, ways[roll(4)]);
        for (size_t i = 0; i < count; i++) {
            make_clause(&c[i]);
            if (i > 0) text[n++] = ';';
            n += write_clause(&c[i], text + n, sizeof text - n);
        }
        T_ROW(text);
        quern_reply *r = NULL;
        T_CALL(ask(&f, text, &r), &f.err);
        T_EQ_I(r->facet_count, count);
        T_EQ_I(r->warning_count, 0);
        for (size_t i = 0; i < count; i++) {
            naive(&c[i], kind);
            compare_facet(&r->facets[i]);
        }
        quern_reply_free(r);
    }
    fixture_end(&f);
}

/* ---- single cases --------------------------------------------------------------------- */

static const struct {
    const char *name, *clause;
    qn_status st;
    const char *says;
} refused[] = {
    {"sum of a text", "group_key:n,agg_fun:sum(brand)", QN_EAGGTYPE, "sum(brand)"},
    {"max of several", "group_key:n,agg_fun:max(nums)", QN_EMULTIEXPR,
     "several values"},
    {"range of a text", "group_key:brand,agg_fun:count(),range:1~2", QN_EAGGRANGETYPE,
     "'brand' is a text"},
    {"range of no whole number", "group_key:n,agg_fun:count(),range:1.5~2",
     QN_EAGGRANGETYPE, "whole"},
    {"tuple of several", "group_key:[brand,tags],agg_fun:count()", QN_EMULTIEXPR,
     "'tags'"},
    {"no attribute", "group_key:brnd,agg_fun:count()", QN_ENOATTR, "'brand'?"},
    {"no attribute in a function", "group_key:n,agg_fun:sum(bran)", QN_ENOATTR,
     "'brand'?"},
    {"wrong filter", "group_key:n,agg_fun:count(),agg_filter:brand>3", QN_ECONSTTYPE,
     "agg_filter"},
    {"filter that is no condition", "group_key:n,agg_fun:count(),agg_filter:n+1",
     QN_ERESULTTYPE, "agg_filter"},
};

static void test_refused(void **unused)
{
    (void)unused;
    fixture f;
    state = 7;
    make_table(&f);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char text[512];
        T_ROW(refused[i].name);
        (void)snprintf(text, sizeof text, "query=kind:'x'&&aggregate=%s",
                       refused[i].clause);
        quern_reply *r = NULL;
        T_EQ_I(ask(&f, text, &r), refused[i].st);
        if (strstr(f.err.text, refused[i].says) == NULL) T_FAIL("says %s", f.err.text);
    }
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
