/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on a table, and the same on the naive engine: same answers. Results of
 * writes, documents by id, counts, searches with their scores, totals and order, sorted
 * searches; across refreshes, flushes, merges, closing, and a copy of the folder as kill -9
 * leaves it.
 *
 *     prop_engine [SEED [ROUNDS]] */
#include "../fault/folders.h"
#include "../qn_test.h"
#include "prop_arguments.h"
#include "prop_engine.h"

#include "io/io_internal.h"
#include "quern/quern.h"

#include <math.h>
#include <stdlib.h>

enum {
    ROUNDS = 16,
    STEPS = 60,
    BATCH_MAX = 400,
    SMALL_IDS = 160,
    LARGE_EVERY = 8,
    TEXT = 16 * 1024
};

typedef struct run {
    naive_rng rng;
    naive_table *t;
    char dir[FOLDER_PATH];
    quern *q;
    int ids;        /* documents are chosen among so many */
    int64_t seq_no; /* the next one */
    bool refreshed; /* all that was written is visible */
    bool exact;     /* which deleted documents still count is known */
    bool in_place;  /* the table updates attributes in place ... */
    bool asked;     /* ... from the next call on */
    bool guessed;   /* what a crash left of such updates is not known */
    naive_result *results;
} run;

static uint64_t seed = 20251122;
static long searches, exact_searches;

static void open_engine(run *r)
{
    qn_error err;
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = r->dir;
    o.neural_threads = 1;
    o.manual_merges = true; /* the folder is copied as if the process were killed */
    T_CALL(quern_open(&o, &r->q, &err), &err);
}

/* ---- writing ----------------------------------------------------------------------------
 */

typedef struct write_op {
    quern_op_kind kind;
    naive_doc doc;
    char id[16], source[NAIVE_SOURCE];
    int64_t if_seq_no;
} write_op;

static void random_op(run *r, write_op *w)
{
    static const quern_op_kind kinds[] = {
        QUERN_OP_INDEX,  QUERN_OP_INDEX,  QUERN_OP_INDEX,  QUERN_OP_CREATE,
        QUERN_OP_UPDATE, QUERN_OP_UPSERT, QUERN_OP_DELETE, QUERN_OP_DELETE};
    memset(w, 0, sizeof *w);
    w->kind = kinds[naive_below(&r->rng, 8)];
    bool whole = w->kind == QUERN_OP_INDEX || w->kind == QUERN_OP_CREATE;
    if (!whole && naive_below(&r->rng, 2) == 0)
        naive_random_attributes(&r->rng, &w->doc);
    else
        naive_random(&r->rng, &w->doc, whole);
    w->doc.id = naive_below(&r->rng, r->ids);
    w->if_seq_no = QUERN_SEQ_NONE;
    if (w->kind != QUERN_OP_CREATE && naive_below(&r->rng, 6) == 0)
        w->if_seq_no = naive_below(&r->rng, (int)r->seq_no + 1);
    (void)snprintf(w->id, sizeof w->id, "d%d", w->doc.id);
    naive_print(&w->doc, w->source);
}

/* Half of the guarded ones are given the right number. */
static void settle_guard(run *r, write_op *w)
{
    int place = r->t->newest[w->doc.id];
    if (w->if_seq_no != QUERN_SEQ_NONE && place >= 0 && naive_below(&r->rng, 2) == 0)
        w->if_seq_no = r->t->docs[place].seq_no;
}

static qn_status naive_answer(const run *r, const write_op *w)
{
    int place = r->t->newest[w->doc.id];
    if (w->kind == QUERN_OP_CREATE && place >= 0) return QN_ECONFLICT;
    if (w->kind == QUERN_OP_UPDATE && place < 0) return QN_ENODOC;
    if (w->if_seq_no != QUERN_SEQ_NONE &&
        (place < 0 || r->t->docs[place].seq_no != w->if_seq_no))
        return QN_ECONFLICT;
    if (w->kind == QUERN_OP_DELETE && place < 0) return QN_ENODOC;
    return QN_OK;
}

static bool naive_same(const naive_doc *a, const naive_doc *b)
{
    char x[NAIVE_SOURCE], y[NAIVE_SOURCE];
    naive_print(a, x);
    naive_print(b, y);
    return strcmp(x, y) == 0;
}

static void naive_apply(run *r, const write_op *w, const quern_op_result *got)
{
    int place = r->t->newest[w->doc.id];
    naive_doc d = w->doc;
    bool update = w->kind == QUERN_OP_UPDATE || w->kind == QUERN_OP_UPSERT;
    if (place >= 0 && update) {
        d = r->t->docs[place];
        naive_merge(&d, &w->doc);
        if (naive_same(&d, &r->t->docs[place])) {
            T_EQ_I(got->outcome, QUERN_NOOP);
            T_EQ_I(got->seq_no, d.seq_no);
            T_EQ_I(got->version, d.version);
            return;
        }
    }
    T_EQ_I(got->seq_no, r->seq_no);
    r->seq_no++;
    if (place >= 0) T_EQ_I(got->version, r->t->docs[place].version + 1);
    if (w->kind == QUERN_OP_DELETE) {
        naive_delete(r->t, w->doc.id);
        return;
    }
    T_EQ_I(got->created, place < 0);
    d.seq_no = got->seq_no;
    d.version = got->version;
    bool attributes = place >= 0 && update && naive_attributes_only(&w->doc);
    d.moved |= attributes;
    if (attributes && d.settled && r->in_place) {
        naive_change(r->t, &d);
    } else {
        r->asked |= attributes && d.settled;
        d.settled = false;
        naive_put(r->t, &d);
    }
}

/* What was written is in segments. */
static void settle(run *r)
{
    for (int i = 0; i < r->t->count; i++) r->t->docs[i].settled = true;
}

static void write_batch(run *r, int n)
{
    static write_op ops[BATCH_MAX];
    static quern_op_result results[BATCH_MAX];
    quern_op given[BATCH_MAX];
    qn_error err;
    for (int i = 0; i < n; i++) {
        random_op(r, &ops[i]);
        settle_guard(r, &ops[i]);
        given[i] = (quern_op){.kind = ops[i].kind,
                              .id = ops[i].id,
                              .id_size = strlen(ops[i].id),
                              .source = ops[i].source,
                              .source_size = strlen(ops[i].source),
                              .if_seq_no = ops[i].if_seq_no};
    }
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    o.refresh = naive_below(&r->rng, 5) == 0;
    T_CALL(quern_write(r->q, "t", given, (size_t)n, &o, results, &err), &err);
    for (int i = 0; i < n; i++) {
        qn_status want = naive_answer(r, &ops[i]);
        if (results[i].status != want)
            T_FAIL("op %d on %s: got %d (%s), want %d", ops[i].kind, ops[i].id,
                   results[i].status, results[i].error.text, want);
        if (want == QN_OK) naive_apply(r, &ops[i], &results[i]);
        /* Deleting what is not there takes a number too. */
        if (want == QN_ENODOC && ops[i].kind == QUERN_OP_DELETE)
            T_EQ_I(results[i].seq_no, r->seq_no++);
    }
    r->in_place |= r->asked;
    r->refreshed = o.refresh;
    if (o.refresh) settle(r);
}

static void write_some(run *r)
{
    write_batch(r, 1 + naive_below(&r->rng, naive_below(&r->rng, 2) == 0 ? 3 : 24));
}

/* ---- reading ------------------------------------------------------------------------------
 */

static void get_one(run *r)
{
    char id[16], want[NAIVE_SOURCE] = "";
    qn_error err;
    quern_document doc;
    int number = naive_below(&r->rng, r->ids), place = r->t->newest[number];
    (void)snprintf(id, sizeof id, "d%d", number);
    qn_status st = quern_get(r->q, "t", id, strlen(id), &doc, &err);
    T_EQ_I(st, place < 0 ? QN_ENODOC : QN_OK);
    if (st != QN_OK) return;
    naive_print(&r->t->docs[place], want);
    T_EQ_S(doc.source, want);
    T_EQ_I(doc.seq_no, r->t->docs[place].seq_no);
    T_EQ_I(doc.version, r->t->docs[place].version);
    quern_document_free(&doc);
}

/* Deleted documents count in BM25's statistics until they are merged away. The engine
 * says how many are left: all that we remember, or none, or it is not known which. */
static void learn_deleted(run *r)
{
    char *json = NULL;
    size_t n = 0;
    qn_error err;
    T_CALL(quern_table_stats(r->q, "t", &json, &n, &err), &err);
    const char *at = strstr(json, "\"deleted\":");
    T_OK(at != NULL);
    long deleted = strtol(at + strlen("\"deleted\":"), NULL, 10);
    quern_free(json);
    if (deleted == 0) naive_forget_dead(r->t);
    if (deleted == 0) r->guessed = false;
    r->exact = !r->guessed && deleted == r->t->count - r->t->live_count;
}

/* The body of the search under test, which may be longer than a message. */
#define S_FAIL(...)                                                                    \
    do {                                                                               \
        (void)fprintf(stderr, "%s\n", body);                                           \
        T_FAIL(__VA_ARGS__);                                                           \
    } while (0)

static quern_reply *ask(run *r, const char *body, bool count_only)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_error err;
    o.kind = QUERN_QUERY_DSL;
    o.query = body;
    o.query_size = strlen(body);
    o.count_only = count_only;
    if (quern_search(r->q, "t", &o, &reply, &err) != QN_OK) S_FAIL("%s", err.text);
    return reply;
}

static int place_of(const run *r, const quern_hit *hit);

/* Where a document stands whose attributes were updated: in its place, or, written anew,
 * at the end. The engine may have made a segment of it when we did not ask for one. */
static void learn_order(run *r)
{
    static int ids[NAIVE_IDS];
    const char *body = "{\"size\":4000,\"_source\":false,\"query\":{\"match_all\":{}}}";
    quern_reply *reply = ask(r, body, false);
    T_OK(reply->hit_count <= NAIVE_IDS);
    for (size_t i = 0; i < reply->hit_count; i++) {
        T_OK(place_of(r, &reply->hits[i]) >= 0);
        ids[i] = (int)strtol(reply->hits[i].id + 1, NULL, 10);
    }
    T_OK(naive_reorder(r->t, ids, (int)reply->hit_count));
    quern_reply_free(reply);
}

static int place_of(const run *r, const quern_hit *hit)
{
    int id = (int)strtol(hit->id + 1, NULL, 10);
    T_OK(hit->id[0] == 'd' && id >= 0 && id < NAIVE_IDS);
    return r->t->newest[id];
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 2e-6 * (fabs(a) > fabs(b) ? fabs(a) : fabs(b));
}

/* The hits are the naive ones from `from` on; where scores are equal up to rounding two
 * documents may have changed places. */
static void compare_scored(run *r, const quern_reply *reply, int from, int count,
                           const char *body)
{
    bool seen[NAIVE_DOCS] = {0};
    for (size_t i = 0; i < reply->hit_count; i++) {
        const quern_hit *hit = &reply->hits[i];
        const naive_result *want = &r->results[from + (int)i];
        int place = place_of(r, hit), at = 0;
        if (place < 0 || seen[place])
            S_FAIL("hit %zu, %s, is deleted or there twice", i, hit->id);
        seen[place] = true;
        while (at < count && r->results[at].doc != place) at++;
        if (at == count) S_FAIL("hit %zu, %s, does not match", i, hit->id);
        if (!r->exact) continue;
        if (!near(hit->score, r->results[at].score))
            S_FAIL("%s has score %.9g, want %.9g", hit->id, hit->score,
                   r->results[at].score);
        if (place != want->doc && !near(hit->score, want->score))
            S_FAIL("hit %zu is %s of %.9g, want d%d of %.9g", i, hit->id, hit->score,
                   r->t->docs[want->doc].id, want->score);
        if (i == 0) continue;
        const quern_hit *before = hit - 1;
        if (before->score < hit->score ||
            (before->score == hit->score && place_of(r, before) > place))
            S_FAIL("%s comes before %s", before->id, hit->id);
    }
}

/* Counting all of them or only so many leaves the hits as they are. */
static int random_track(run *r, char *out, size_t size)
{
    int least = naive_below(&r->rng, 2) == 0 ? 1 + naive_below(&r->rng, 60) : 0;
    if (least != 0)
        (void)snprintf(out, size, "%d", least);
    else
        (void)snprintf(out, size, "true");
    return least;
}

static bool total_fits(const quern_reply *reply, int least, int count)
{
    if (reply->total == (uint64_t)count && !reply->total_is_lower_bound) return true;
    return least != 0 && count > least && reply->total_is_lower_bound &&
           reply->total == (uint64_t)least;
}

static void search_scored(run *r)
{
    static char body[TEXT];
    naive_query *query = naive_query_random(&r->rng, r->ids, 0);
    int size = 1 + naive_below(&r->rng, naive_below(&r->rng, 2) == 0 ? 10 : 200);
    int from = naive_below(&r->rng, 3) == 0 ? naive_below(&r->rng, 20) : 0;
    char track[16];
    int least = random_track(r, track, sizeof track);
    (void)snprintf(body, sizeof body,
                   "{\"track_total_hits\":%s,\"from\":%d,\"size\":%d,\"query\":", track,
                   from, size);
    naive_query_print(query, body, sizeof body - 2);
    (void)snprintf(body + strlen(body), 2, "}");
    int count = naive_search(r->t, query, r->results);
    int want = count - from < size ? count - from : size;
    quern_reply *reply = ask(r, body, false);
    if (!total_fits(reply, least, count))
        S_FAIL("total %llu, want %d", (unsigned long long)reply->total, count);
    if ((int)reply->hit_count != (want < 0 ? 0 : want))
        S_FAIL("%zu hits, want %d", reply->hit_count, want);
    compare_scored(r, reply, from, count, body);
    quern_reply_free(reply);
    searches++;
    exact_searches += r->exact;
    if (least != 0 || naive_below(&r->rng, 4) != 0) return;
    reply = ask(r, body, true);
    T_EQ_I(reply->total, count);
    quern_reply_free(reply);
}

/* ---- sorting ------------------------------------------------------------------------------
 */

enum { SORT_KEYS = 3 };

typedef struct sort_key {
    naive_field field; /* n, f or k */
    bool descending, missing_first;
} sort_key;

static struct {
    const naive_table *t;
    sort_key keys[SORT_KEYS];
    int count;
} order;

static void random_order(run *r)
{
    static const naive_field fields[] = {NAIVE_N, NAIVE_F, NAIVE_K};
    int first = naive_below(&r->rng, 3);
    order.t = r->t;
    order.count = 1 + naive_below(&r->rng, SORT_KEYS);
    for (int i = 0; i < order.count; i++)
        order.keys[i] =
            (sort_key){fields[(first + i) % 3], naive_below(&r->rng, 2) == 0,
                       naive_below(&r->rng, 4) == 0};
}

/* Of several keywords the least counts when ascending, the greatest when descending. */
static int keyword_of(const naive_doc *d, bool descending)
{
    int best = d->keys[0];
    for (int i = 1; i < d->key_count; i++)
        if ((d->keys[i] > best) == descending) best = d->keys[i];
    return best;
}

static double value_of(const naive_doc *d, const sort_key *k)
{
    return k->field == NAIVE_N   ? (double)d->n
           : k->field == NAIVE_F ? d->f
                                 : keyword_of(d, k->descending);
}

/* By the keys alone: 0 is a tie. */
static int by_keys(const naive_doc *x, const naive_doc *y)
{
    for (int i = 0; i < order.count; i++) {
        const sort_key *k = &order.keys[i];
        bool has_x = naive_has(x, k->field), has_y = naive_has(y, k->field);
        if (has_x != has_y) return has_x != k->missing_first ? -1 : 1;
        if (!has_x) continue;
        double vx = value_of(x, k), vy = value_of(y, k);
        if (vx != vy) return (vx < vy) != k->descending ? -1 : 1;
    }
    return 0;
}

static int by_order(const void *a, const void *b)
{
    const naive_result *x = a, *y = b;
    int c = by_keys(&order.t->docs[x->doc], &order.t->docs[y->doc]);
    if (c != 0) return c;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static void print_sort(char *out, size_t size)
{
    static const char *const names[] = {"t", "u", "k", "n", "f", "b"};
    size_t n = (size_t)snprintf(out, size, "\"sort\":[");
    for (int i = 0; i < order.count; i++)
        n += (size_t)snprintf(out + n, size - n,
                              "%s{\"%s\":{\"order\":\"%s\",\"missing\":\"%s\"}}",
                              i == 0 ? "" : ",", names[order.keys[i].field],
                              order.keys[i].descending ? "desc" : "asc",
                              order.keys[i].missing_first ? "_first" : "_last");
    (void)snprintf(out + n, size - n, "]");
}

static void search_page(run *r, const char *tail, const char *after,
                        const naive_result *want, int count, int size, int total)
{
    static char body[TEXT];
    char sort[512];
    print_sort(sort, sizeof sort);
    char track[16];
    int least = random_track(r, track, sizeof track);
    (void)snprintf(body, sizeof body, "{\"track_total_hits\":%s,\"size\":%d,%s%s,%s",
                   track, size, sort, after, tail);
    quern_reply *reply = ask(r, body, false);
    if (!total_fits(reply, least, total))
        S_FAIL("total %llu, want %d", (unsigned long long)reply->total, total);
    if ((int)reply->hit_count != (count < size ? count : size))
        S_FAIL("%zu hits, want %d of %d", reply->hit_count, count, size);
    for (size_t i = 0; i < reply->hit_count; i++)
        if (place_of(r, &reply->hits[i]) != want[i].doc)
            S_FAIL("hit %zu is %s, want d%d", i, reply->hits[i].id,
                   r->t->docs[want[i].doc].id);
    quern_reply_free(reply);
    searches++;
}

/* The sort values of a document, as search_after takes them. */
static void print_after(const naive_doc *d, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, ",\"search_after\":[");
    for (int i = 0; i < order.count; i++) {
        const sort_key *k = &order.keys[i];
        const char *comma = i == 0 ? "" : ",";
        if (!naive_has(d, k->field))
            n += (size_t)snprintf(out + n, size - n, "%snull", comma);
        else if (k->field == NAIVE_K)
            n += (size_t)snprintf(out + n, size - n, "%s\"k%d\"", comma,
                                  keyword_of(d, k->descending));
        else if (k->field == NAIVE_N)
            n += (size_t)snprintf(out + n, size - n, "%s%lld", comma, (long long)d->n);
        else
            n += (size_t)snprintf(out + n, size - n, "%s%g", comma, d->f);
    }
    (void)snprintf(out + n, size - n, "]");
}

static void search_sorted(run *r)
{
    static char tail[TEXT];
    char after[256];
    naive_query *query = naive_query_random(&r->rng, r->ids, 0);
    random_order(r);
    int size = 1 + naive_below(&r->rng, 40);
    (void)snprintf(tail, sizeof tail, "\"query\":");
    naive_query_print(query, tail, sizeof tail - 2);
    (void)snprintf(tail + strlen(tail), 2, "}");
    int count = naive_search(r->t, query, r->results);
    if (count > 1) qsort(r->results, (size_t)count, sizeof *r->results, by_order);
    search_page(r, tail, "", r->results, count, size, count);
    if (count == 0) return;
    /* The page behind one of them: what ties with it is passed over. */
    int last = naive_below(&r->rng, count), next = last + 1;
    const naive_doc *d = &r->t->docs[r->results[last].doc];
    for (int i = 0; i < order.count; i++)
        if (!naive_has(d, order.keys[i].field)) return;
    while (next < count && by_keys(d, &r->t->docs[r->results[next].doc]) == 0) next++;
    print_after(d, after, sizeof after);
    search_page(r, tail, after, r->results + next, count - next, size, count);
}

static void search_some(run *r)
{
    qn_error err;
    uint64_t count = 0;
    if (!r->refreshed) T_CALL(quern_refresh(r->q, "t", &err), &err);
    r->refreshed = true;
    settle(r);
    T_CALL(quern_count_all(r->q, "t", &count, &err), &err);
    T_EQ_I(count, r->t->live_count);
    learn_deleted(r);
    learn_order(r);
    for (int i = 0; i < 6; i++) search_scored(r);
    for (int i = 0; i < 2; i++) search_sorted(r);
    for (int i = 0; i < 4; i++) get_one(r);
}

/* ---- the run --------------------------------------------------------------------------------
 */

/* A process that is killed, and the next one: with a copy of the folder. */
static void crash(run *r)
{
    char copy[FOLDER_PATH];
    T_OK(snprintf(copy, sizeof copy, "%s+", r->dir) < (int)sizeof copy);
    folder_copy(r->dir, copy);
    quern_close(r->q);
    folder_remove(r->dir);
    memcpy(r->dir, copy, sizeof copy);
    open_engine(r);
    settle(r);
    r->guessed |= r->in_place;
    /* What was in no file is written anew, in the order of its updates. */
    for (int i = 0; i < r->t->count; i++) r->t->docs[i].moved |= r->in_place;
}

static void step(run *r)
{
    qn_error err;
    int dice = naive_below(&r->rng, 100);
    if (dice < 50) {
        write_some(r);
    } else if (dice < 76) {
        search_some(r);
    } else if (dice < 84) {
        T_CALL(quern_flush(r->q, "t", &err), &err);
        settle(r);
    } else if (dice < 88) {
        T_CALL(quern_table_optimize(r->q, "t", &err), &err);
        r->refreshed = false;
        settle(r);
    } else if (dice < 92) {
        quern_close(r->q);
        open_engine(r);
        settle(r);
    } else if (dice < 95) {
        crash(r);
    } else {
        get_one(r);
    }
}

static void play(uint64_t number)
{
    qn_error err;
    run r = {.rng = {number}, .t = malloc(sizeof *r.t), .ids = SMALL_IDS};
    /* Lists of many blocks now and then. */
    bool large = number % LARGE_EVERY == 0;
    if (large) r.ids = NAIVE_IDS;
    r.results = malloc(NAIVE_DOCS * sizeof *r.results);
    T_OK(r.t != NULL && r.results != NULL);
    naive_init(r.t);
    folder_make(r.dir);
    open_engine(&r);
    T_CALL(quern_table_create(r.q, "t", naive_schema, strlen(naive_schema), &err),
           &err);
    for (int i = 0; i < 20 && large; i++) write_batch(&r, BATCH_MAX);
    for (int i = 0; i < STEPS; i++) step(&r);
    search_some(&r);
    T_CALL(quern_table_optimize(r.q, "t", &err), &err);
    r.refreshed = false;
    search_some(&r);
    T_OK(r.exact);
    quern_close(r.q);
    folder_remove(r.dir);
    free(r.t);
    free(r.results);
}

static long rounds = ROUNDS;

static void test_against_naive(void **state)
{
    (void)state;
    char row[64];
    qn_io__fault.skip_sync = true;
    for (long i = 0; i < rounds; i++) {
        (void)snprintf(row, sizeof row, "prop_engine %llu 1",
                       (unsigned long long)(seed + (uint64_t)i));
        T_ROW(row);
        play(seed + (uint64_t)i);
    }
    print_message("%ld searches, %ld of them with exact scores\n", searches,
                  exact_searches);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_naive)};
    prop_arguments(argc, argv, &seed, &rounds);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
