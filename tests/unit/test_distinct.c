/* SPDX-License-Identifier: Apache-2.0 */
/* Distinct against a naive meaning: random documents over several segments, random clauses,
 * by RANK in one or two stages and by sort keys. The seed is printed and taken from
 * QUERN_SEED. */
#include "engine_fixture.h"

#include <inttypes.h>
#include <time.h>

enum { DOCS = 600, ROUNDS = 300, SHOPS = 9 };

static const char schema[] =
    "{\"table_name\":\"t\",\"fields\":["
    "{\"field_name\":\"id\",\"field_type\":\"INT64\"},"
    "{\"field_name\":\"kind\",\"field_type\":\"STRING\"},"
    "{\"field_name\":\"shop\",\"field_type\":\"STRING\"},"
    "{\"field_name\":\"n\",\"field_type\":\"INT32\"},"
    "{\"field_name\":\"rough\",\"field_type\":\"INT32\"},"
    "{\"field_name\":\"fine\",\"field_type\":\"INT32\"},"
    "{\"field_name\":\"r\",\"field_type\":\"DOUBLE\"},"
    "{\"field_name\":\"nums\",\"field_type\":\"INT32\",\"multi_value\":true}],"
    "\"indexs\":[{\"index_name\":\"id\",\"index_type\":\"PRIMARYKEY64\","
    "\"index_fields\":\"id\",\"has_primary_key_attribute\":true},"
    "{\"index_name\":\"kind\",\"index_type\":\"STRING\",\"index_fields\":\"kind\"}],"
    "\"attributes\":[\"id\",\"shop\",\"n\",\"rough\",\"fine\",\"r\",\"nums\"],"
    "\"summarys\":{\"summary_fields\":[\"id\"]}}";

typedef struct doc {
    size_t id;
    bool deleted, other;
    unsigned shop;
    int n, rough, fine, nums[2];
    size_t num_count;
} doc;

static doc docs[DOCS];
static uint64_t state;

static uint64_t roll(uint64_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % below;
}

/* Different for every document, so that ties play no part. */
static void shuffle(int *values)
{
    for (int i = 0; i < DOCS; i++) values[i] = i;
    for (size_t i = DOCS - 1; i > 0; i--) {
        size_t k = roll(i + 1);
        int swap = values[i];
        values[i] = values[k];
        values[k] = swap;
    }
}

static void make_table(fixture *f)
{
    static int rough[DOCS], fine[DOCS];
    fixture_begin(f);
    fixture_table(f, "t", schema);
    shuffle(rough);
    shuffle(fine);
    for (size_t i = 0; i < DOCS; i++) {
        char id[24], text[400], nums[40] = "";
        doc *d = &docs[i];
        *d = (doc){.id = i,
                   .other = roll(8) == 0,
                   .shop = (unsigned)roll(SHOPS),
                   .n = (int)roll(7) - 3,
                   .rough = rough[i],
                   .fine = fine[i],
                   .num_count = roll(3)};
        for (size_t k = 0; k < d->num_count; k++) {
            d->nums[k] = (int)roll(2);
            (void)snprintf(nums + strlen(nums), sizeof nums - strlen(nums), "%s%d",
                           k > 0 ? "," : "", d->nums[k]);
        }
        (void)snprintf(id, sizeof id, "%zu", i);
        char shop[40] = "";
        if (d->shop > 0) /* shop 0 is a missing value */
            (void)snprintf(shop, sizeof shop, ",\"shop\":\"s%u\"", d->shop);
        (void)snprintf(text, sizeof text,
                       "{\"id\":%zu,\"kind\":\"%s\"%s,\"n\":%d,\"rough\":%d,\"fine\":"
                       "%d,\"r\":0.5,\"nums\":[%s]}",
                       i, d->other ? "y" : "x", shop, d->n, d->rough, d->fine, nums);
        put(f, "t", id, text);
        if (i == 150 || i == 400) T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    }
    for (size_t i = 0; i < DOCS; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "%zu", i);
        docs[i].deleted = roll(15) == 0;
        if (docs[i].deleted)
            T_OK(write_one(f, "t", op_of(QUERN_OP_DELETE, id, NULL), NULL) == QN_OK);
    }
    T_CALL(quern_refresh(f->q, "t", &f->err), &f->err);
}

/* ---- the naive meaning ---------------------------------------------------------------- */

typedef struct clause {
    bool none;
    const char *key; /* shop, n, n+1, nums */
    unsigned count, times, max_item;
    bool reserved, update;
    bool filtered; /* n<0 is freed */
    bool graded;   /* by 10200 and 10400, or 0 and 2 */
} clause;

typedef struct item {
    const doc *d;
    double score; /* RANK, or the first sort key */
    long grade;
    unsigned round;
} item;

typedef struct order {
    item items[DOCS];
    size_t n;
    bool ascending;
} order;

static order *current;

static int by_score(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->score != y->score) {
        int up = x->score < y->score ? -1 : 1;
        return current->ascending ? up : -up;
    }
    return x->d->id < y->d->id ? -1 : 1; /* sort keys repeat: then by arrival */
}

static int by_round(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->grade != y->grade) {
        int up = x->grade < y->grade ? -1 : 1;
        return current->ascending ? up : -up;
    }
    if (x->round != y->round) return x->round < y->round ? -1 : 1;
    return by_score(a, b);
}

static bool same_key(const clause *c, const doc *a, const doc *b)
{
    if (strcmp(c->key, "shop") == 0) return a->shop == b->shop;
    if (c->key[0] == 'n' && c->key[1] != 'u') return a->n == b->n;
    if (a->num_count != b->num_count) return false;
    for (size_t i = 0; i < a->num_count; i++)
        if (a->nums[i] != b->nums[i]) return false;
    return true;
}

static long grade_of(const clause *c, double score, bool ranked)
{
    if (!c->graded) return 0;
    return ranked ? (score >= 10200) + (score >= 10400) : (score >= 0) + (score >= 2);
}

/* Puts the items in rounds; counts those that leave the total. */
static void thin(order *o, const clause *c, bool ranked, size_t *dropped)
{
    current = o;
    qsort(o->items, o->n, sizeof *o->items, by_score);
    if (c->none) return;
    for (size_t i = 0; i < o->n; i++) {
        item *it = &o->items[i];
        unsigned before = 0;
        it->grade = grade_of(c, it->score, ranked);
        for (size_t k = 0; k < i; k++) {
            const item *p = &o->items[k];
            bool counted = !(c->filtered && p->d->n < 0);
            before += counted && p->grade == it->grade && same_key(c, p->d, it->d);
        }
        if (c->filtered && it->d->n < 0) before = 0;
        it->round = before / c->count;
        if (it->round > c->times) it->round = c->times;
    }
    qsort(o->items, o->n, sizeof *o->items, by_round);
    size_t kept = 0;
    for (size_t i = 0; i < o->n; i++)
        if (c->reserved || o->items[i].round < c->times) o->items[kept++] = o->items[i];
    if (c->update) *dropped += o->n - kept;
    o->n = kept;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* How a request sorts. */
typedef enum way { ROUGH, TWO_STAGES, BY_FIELD, BY_FIELD_UP } way;

static void naive(order *o, way w, const clause *first, const clause *second,
                  size_t fine, size_t wanted, size_t *total)
{
    size_t dropped = 0;
    bool ranked = w == ROUGH || w == TWO_STAGES;
    const clause *late = second != NULL ? second : first;
    o->n = 0;
    o->ascending = w == BY_FIELD_UP;
    for (size_t i = 0; i < DOCS; i++)
        if (!docs[i].deleted && !docs[i].other)
            o->items[o->n++] =
                (item){.d = &docs[i],
                       .score = ranked ? 10000.0 + docs[i].rough : (double)docs[i].n};
    *total = o->n;
    if (ranked || second != NULL) {
        size_t most = larger(wanted, first->none ? 0 : first->max_item);
        if (w == TWO_STAGES) most = larger(most, fine);
        thin(o, first, ranked, &dropped);
        bool cuts = ranked || !first->none;
        if (cuts && o->n > most) o->n = most;
    }
    for (size_t i = 0; w == TWO_STAGES && i < o->n && i < fine; i++)
        o->items[i].score = 10000.0 + o->items[i].d->fine;
    thin(o, late, ranked, &dropped);
    *total -= dropped;
}

/* ---- asking --------------------------------------------------------------------------- */

static void make_clause(clause *c, bool may_be_none)
{
    static const char *const keys[] = {"shop", "n", "n+1", "nums"};
    *c = (clause){.none = may_be_none && roll(4) == 0,
                  .key = keys[roll(4)],
                  .count = 1 + (unsigned)roll(3),
                  .times = 1 + (unsigned)roll(3),
                  .max_item = roll(3) == 0 ? (unsigned)roll(80) : 0,
                  .reserved = roll(2) == 0,
                  .update = roll(2) == 0,
                  .filtered = roll(3) == 0,
                  .graded = roll(3) == 0};
}

static void write_clause(const clause *c, bool ranked, char *out, size_t size)
{
    if (c->none) {
        (void)snprintf(out, size, "none_dist");
        return;
    }
    (void)snprintf(out, size,
                   "dist_key:%s,dist_count:%u,dist_times:%u,max_item_count:%u,"
                   "reserved:%s,update_total_hit:%s%s%s",
                   c->key, c->count, c->times, c->max_item,
                   c->reserved ? "true" : "false", c->update ? "true" : "false",
                   c->filtered ? ",dist_filter:n<0" : "",
                   !c->graded ? ""
                   : ranked   ? ",grade:10200|10400"
                              : ",grade:0|2");
}

static const char *const sorts[] = {"", "", "&&sort=-n;+id", "&&sort=+n;+id"};

static void one_round(fixture *f)
{
    static order want;
    char text[1024], one[300], two[300] = "";
    clause c[2];
    way w = (way)roll(4);
    bool ranked = w == ROUGH || w == TWO_STAGES, both = roll(2) == 0;
    size_t fine = 1 + roll(60), start = roll(20), hit = roll(60), total = 0;
    make_clause(&c[0], both);
    make_clause(&c[1], true);
    write_clause(&c[0], ranked, one, sizeof one);
    if (both) write_clause(&c[1], ranked, two, sizeof two);
    (void)snprintf(text, sizeof text,
                   "config=start:%zu,hit:%zu,rerank_size:%zu&&query=kind:'x'%s&&"
                   "distinct=%s%s%s&&kvpairs=first_formula:rough%s",
                   start, hit, fine, sorts[w], one, both ? ";" : "", two,
                   w == TWO_STAGES ? ",formula:fine" : "");
    T_ROW(text);
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *r = NULL;
    s.kind = QUERN_QUERY_HA3;
    s.query = text;
    s.query_size = strlen(text);
    T_CALL(quern_search(f->q, "t", &s, &r, &f->err), &f->err);
    naive(&want, w, &c[0], both ? &c[1] : NULL, fine, start + hit, &total);
    if (hit > 0 || c[0].update || (both && c[1].update)) T_EQ_I(r->total, total);
    size_t shown = want.n < start ? 0 : want.n - start;
    if (shown > hit) shown = hit;
    if (start + hit > 0) T_EQ_I(r->hit_count, shown);
    for (size_t i = 0; i < r->hit_count; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "%zu", want.items[start + i].d->id);
        T_EQ_S(r->hits[i].id, id);
    }
    quern_reply_free(r);
}

static void test_random(void **unused)
{
    (void)unused;
    const char *given = getenv("QUERN_SEED");
    state = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("QUERN_SEED=%" PRIu64 "\n", state);
    fixture f;
    make_table(&f);
    for (size_t i = 0; i < ROUNDS; i++) one_round(&f);
    fixture_end(&f);
}

static const struct {
    const char *name, *clause;
    qn_status st;
    const char *says;
} refused[] = {
    {"fraction", "dist_key:r", QN_ERESULTTYPE, "integers and texts"},
    {"no attribute", "dist_key:sop", QN_ENOATTR, "'shop'?"},
    {"wrong filter", "dist_key:n,dist_filter:n+1", QN_ERESULTTYPE, "dist_filter"},
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
        (void)snprintf(text, sizeof text, "query=kind:'x'&&distinct=%s",
                       refused[i].clause);
        quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *r = NULL;
        s.kind = QUERN_QUERY_HA3;
        s.query = text;
        s.query_size = strlen(text);
        T_EQ_I(quern_search(f.q, "t", &s, &r, &f.err), refused[i].st);
        if (strstr(f.err.text, refused[i].says) == NULL) T_FAIL("says %s", f.err.text);
        T_OK(f.err.at >= 24 && f.err.at < strlen(text));
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
