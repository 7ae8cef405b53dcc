/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char ledger_schema[] =
    "{\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"},\"w\":{\"type\":\"text\"}"
    ","
    "\"k\":{\"type\":\"keyword\"},\"f\":{\"type\":\"double\"},\"b\":{\"type\":"
    "\"boolean\"},\"d\":{\"type\":\"date\"},\"v\":{\"type\":\"dense_vector\",\"dims\":"
    "2,"
    "\"similarity\":\"l2_norm\"}}}}";

static char what[1024];

static const char *wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *wrong(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return what;
}

/* ---- values ---------------------------------------------------------------------------
 */

static void print_value(const ledger_value *v, char out[LEDGER_SOURCE_MAX])
{
    if (!v->there)
        out[0] = '\0';
    else if (v->word < 0)
        (void)snprintf(out, LEDGER_SOURCE_MAX, "{\"n\":%d}", v->n);
    else
        (void)snprintf(out, LEDGER_SOURCE_MAX,
                       "{\"n\":%d,\"w\":\"w%d grind w%d\",\"k\":[\"k%d\",\"all\"],"
                       "\"f\":%d.5,\"b\":%s,\"d\":%d,\"v\":[%d,%d]}",
                       v->n, v->word, v->word, v->word, v->word,
                       v->word % 2 == 0 ? "true" : "false", 100000 + v->word, v->v,
                       v->word);
}

void ledger_op_source(const ledger_op *op, char out[LEDGER_SOURCE_MAX])
{
    bool whole = op->kind == QUERN_OP_INDEX || op->kind == QUERN_OP_CREATE;
    ledger_value v = {true, op->n, whole ? op->word : -1, op->n};
    print_value(&v, out);
}

void ledger_init(ledger *l)
{
    memset(l, 0, sizeof *l);
    for (int i = 0; i < LEDGER_IDS; i++) l->ids[i].count = 1; /* absent */
}

/* What the operation makes of `old`; false when it cannot succeed on it. */
static bool outcome(const ledger_op *op, const ledger_value *old, ledger_value *fresh)
{
    *fresh = *old;
    switch (op->kind) {
    case QUERN_OP_CREATE:
        if (old->there) return false;
        *fresh = (ledger_value){true, op->n, op->word, op->n};
        return true;
    case QUERN_OP_INDEX:
        *fresh = (ledger_value){true, op->n, op->word, op->n};
        return true;
    case QUERN_OP_DELETE:
        *fresh = (ledger_value){0};
        return old->there;
    case QUERN_OP_UPDATE:
        if (!old->there) return false;
        break;
    case QUERN_OP_UPSERT:
        if (!old->there) *fresh = (ledger_value){true, 0, -1, 0};
        break;
    }
    fresh->n = op->n;
    return true;
}

static bool same(const ledger_value *a, const ledger_value *b)
{
    if (!a->there || !b->there) return a->there == b->there;
    return a->n == b->n && a->word == b->word && (a->word < 0 || a->v == b->v);
}

static void add(ledger_set *s, const ledger_value *v)
{
    for (int i = 0; i < s->count; i++)
        if (same(&s->maybe[i], v)) return;
    if (s->count == LEDGER_CANDIDATES)
        abort(); /* a workload beyond this test's means */
    s->maybe[s->count++] = *v;
}

void ledger_note(ledger *l, const ledger_op *op, qn_status st)
{
    ledger_set *s = &l->ids[op->id], old = *s;
    if (st == QN_ENODOC || st == QN_ECONFLICT) return;
    if (st == QN_OK) s->count = 0;
    for (int i = 0; i < old.count; i++) {
        ledger_value fresh;
        if (outcome(op, &old.maybe[i], &fresh)) add(s, &fresh);
    }
}

/* ---- reading back -----------------------------------------------------------------------
 */

/* Which of the allowed values the table shows. */
static const char *read_value(const ledger *l, quern *q, const char *table, int id,
                              ledger_value *found)
{
    char name[16], source[LEDGER_SOURCE_MAX];
    qn_error err;
    quern_document doc;
    (void)snprintf(name, sizeof name, "d%d", id);
    qn_status st = quern_get(q, table, name, strlen(name), &doc, &err);
    if (st != QN_OK && st != QN_ENODOC) return wrong("get %s: %s", name, err.text);
    const ledger_set *s = &l->ids[id];
    const char *result = NULL;
    int i = 0;
    for (; i < s->count; i++) {
        print_value(&s->maybe[i], source);
        if (st == QN_ENODOC ? !s->maybe[i].there
                            : s->maybe[i].there && strcmp(source, doc.source) == 0)
            break;
    }
    if (i < s->count) {
        *found = s->maybe[i];
    } else {
        print_value(&s->maybe[0], source);
        result = wrong("%s is [%s], not [%s] or one of %d others", name,
                       st == QN_OK ? doc.source : "", source, s->count - 1);
    }
    if (st == QN_OK) quern_document_free(&doc);
    return result;
}

typedef struct question {
    const char *text;
    quern_query_kind kind;
    /* Whether document `id` with value `v` answers it. */
    bool (*answers)(const ledger_value *v, int x);
    int x;
    int sorted; /* by n, ascending */
    int least;  /* -1: all that answer; else at least so many of them */
} question;

/* The hits are the documents that answer, once each. */
static const char *ask(quern *q, const char *table, const ledger_value *values,
                       const question *ask_for)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_error err;
    bool seen[LEDGER_IDS] = {0};
    o.kind = ask_for->kind;
    o.query = ask_for->text;
    o.query_size = strlen(ask_for->text);
    if (quern_search(q, table, &o, &reply, &err) != QN_OK)
        return wrong("%s: %s", ask_for->text, err.text);
    const char *result = NULL;
    int before = -1;
    for (size_t i = 0; i < reply->hit_count && result == NULL; i++) {
        const quern_hit *hit = &reply->hits[i];
        char source[LEDGER_SOURCE_MAX];
        int id = hit->id[0] == 'd' ? (int)strtol(hit->id + 1, NULL, 10) : LEDGER_IDS;
        if (id < 0 || id >= LEDGER_IDS || seen[id]) {
            result =
                wrong("%s: hit [%s], twice or never written", ask_for->text, hit->id);
            break;
        }
        seen[id] = true;
        print_value(&values[id], source);
        if (!values[id].there || !ask_for->answers(&values[id], ask_for->x))
            result = wrong("%s: hit %s, which is [%s]", ask_for->text, hit->id, source);
        else if (hit->source == NULL || strcmp(hit->source, source) != 0)
            result = wrong("%s: hit %s has source [%s], get says [%s]", ask_for->text,
                           hit->id, hit->source == NULL ? "" : hit->source, source);
        else if (ask_for->sorted && values[id].n < before)
            result = wrong("%s: hit %s is out of order", ask_for->text, hit->id);
        before = values[id].n;
    }
    int want = 0;
    for (int i = 0; i < LEDGER_IDS; i++)
        want += values[i].there && ask_for->answers(&values[i], ask_for->x);
    if (ask_for->least >= 0 && want > ask_for->least) want = ask_for->least;
    if (result == NULL && (int)reply->hit_count != want)
        result = wrong("%s: %zu hits, want %d", ask_for->text, reply->hit_count, want);
    quern_reply_free(reply);
    return result;
}

static bool has_word(const ledger_value *v, int x)
{
    return v->word == x;
}
static bool has_any_word(const ledger_value *v, int x)
{
    (void)x;
    return v->word >= 0;
}
static bool is_even(const ledger_value *v, int x)
{
    return v->word >= 0 && v->word % 2 == x;
}
static bool n_below(const ledger_value *v, int x)
{
    return v->n < x;
}
static bool word_least(const ledger_value *v, int x)
{
    return v->word >= x;
}
static bool any(const ledger_value *v, int x)
{
    (void)v;
    (void)x;
    return true;
}

static const question questions[] = {
    {"{\"query\":{\"match_all\":{}},\"size\":100,\"sort\":[{\"n\":\"asc\"}]}",
     QUERN_QUERY_DSL, any, 0, 1, -1},
    {"{\"query\":{\"term\":{\"k\":\"all\"}},\"size\":100}", QUERN_QUERY_DSL,
     has_any_word, 0, 0, -1},
    {"{\"query\":{\"match_phrase\":{\"w\":\"w3 grind w3\"}},\"size\":100}",
     QUERN_QUERY_DSL, has_word, 3, 0, -1},
    {"{\"query\":{\"range\":{\"n\":{\"lt\":50}}},\"size\":100}", QUERN_QUERY_DSL,
     n_below, 50, 0, -1},
    {"{\"query\":{\"range\":{\"f\":{\"gte\":4.5}}},\"size\":100}", QUERN_QUERY_DSL,
     word_least, 4, 0, -1},
    {"{\"query\":{\"range\":{\"d\":{\"gte\":100002}}},\"size\":100}", QUERN_QUERY_DSL,
     word_least, 2, 0, -1},
    {"{\"query\":{\"term\":{\"b\":true}},\"size\":100}", QUERN_QUERY_DSL, is_even, 0, 0,
     -1},
    {"query=v:'3,3&n=4'&&config=hit:10", QUERN_QUERY_HA3, has_any_word, 0, 0, 4},
    {"query=w:'grind'&&config=hit:100&&sort=+n", QUERN_QUERY_HA3, has_any_word, 0, 1,
     -1},
};

const char *ledger_check(ledger *l, quern *q, const char *table, bool settle)
{
    ledger_value values[LEDGER_IDS];
    uint64_t count = 0, want = 0;
    qn_error err;
    const char *result = NULL;
    for (int i = 0; i < LEDGER_IDS && result == NULL; i++) {
        result = read_value(l, q, table, i, &values[i]);
        want += result == NULL && values[i].there;
    }
    if (result != NULL) return result;
    if (quern_count_all(q, table, &count, &err) != QN_OK)
        return wrong("count: %s", err.text);
    if (count != want)
        return wrong("count is %llu, get finds %llu", (unsigned long long)count,
                     (unsigned long long)want);
    for (size_t i = 0; i < sizeof questions / sizeof *questions && result == NULL; i++)
        result = ask(q, table, values, &questions[i]);
    for (int word = 0; word < LEDGER_WORDS && result == NULL; word++) {
        char text[96];
        (void)snprintf(text, sizeof text,
                       "{\"query\":{\"match\":{\"w\":\"w%d\"}},\"size\":100}", word);
        question one = {text, QUERN_QUERY_DSL, has_word, word, 0, -1};
        result = ask(q, table, values, &one);
    }
    for (int i = 0; settle && result == NULL && i < LEDGER_IDS; i++) {
        l->ids[i].maybe[0] = values[i];
        l->ids[i].count = 1;
    }
    return result;
}
