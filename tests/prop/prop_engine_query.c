/* SPDX-License-Identifier: Apache-2.0 */
/* prop_engine_query.c -- random queries, and what they look like in the DSL. */
#include "prop_engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { POOL = 200, DEPTH_MAX = 3 };

static naive_query pool[POOL];
static int used;

static naive_query *fresh(naive_kind kind)
{
    naive_query *q = &pool[used++];
    memset(q, 0, sizeof *q);
    q->kind = kind;
    q->boost = 1;
    return q;
}

static void some_words(naive_rng *r, naive_query *q, int most)
{
    q->field = naive_below(r, 3) == 0 ? NAIVE_U : NAIVE_T;
    q->word_count = 1 + naive_below(r, most);
    for (int i = 0; i < q->word_count; i++)
        q->words[i] = naive_below(r, 1 + naive_below(r, NAIVE_WORDS));
}

static naive_query *leaf(naive_rng *r, int ids)
{
    int dice = naive_below(r, 20);
    naive_query *q = fresh(NAIVE_MATCH);
    if (dice < 8) {
        some_words(r, q, NAIVE_KIDS);
        q->all = naive_below(r, 3) == 0;
        /* One term weighs double when it stands twice: not what this is about. */
        for (int i = 0; i < q->word_count; i++)
            for (int k = 0; k < i; k++)
                if (q->words[i] == q->words[k]) q->word_count = i;
    } else if (dice < 10) {
        q->kind = NAIVE_PHRASE;
        some_words(r, q, 3);
    } else if (dice < 12) {
        q->kind = NAIVE_TERM;
        q->words[0] = naive_below(r, NAIVE_KEYS);
    } else if (dice < 15) {
        q->kind = NAIVE_RANGE;
        q->field = naive_below(r, 3) == 0 ? NAIVE_F : NAIVE_N;
        q->low = naive_below(r, 60) - 20;
        q->high = q->low + (naive_below(r, 4) == 0 ? 1000000 : naive_below(r, 30));
    } else if (dice < 16) {
        q->kind = NAIVE_EXISTS;
        q->field = (naive_field)naive_below(r, NAIVE_FIELDS);
    } else if (dice < 17) {
        q->kind = NAIVE_IDSET;
        q->word_count = NAIVE_KIDS;
        for (int i = 0; i < NAIVE_KIDS; i++) q->words[i] = naive_below(r, ids);
    } else if (dice < 18) {
        q->kind = NAIVE_BOOLEAN;
        q->low = naive_below(r, 2);
    } else if (dice < 19) {
        q->kind = NAIVE_ALL;
    } else {
        some_words(r, q, 1);
    }
    if (naive_below(r, 4) == 0) q->boost = (float)(1 + naive_below(r, 8)) * 0.5f;
    return q;
}

naive_query *naive_query_random(naive_rng *r, int ids, int depth)
{
    if (depth == 0) used = 0;
    if (depth == DEPTH_MAX || naive_below(r, 5) < 2) return leaf(r, ids);
    naive_query *q = fresh(naive_below(r, 5) == 0 ? NAIVE_DISMAX : NAIVE_BOOL);
    q->kid_count = 1 + naive_below(r, NAIVE_KIDS - 1);
    if (naive_below(r, 2) == 0) q->tie = 0.25f;
    for (int i = 0; i < q->kid_count; i++) {
        q->kids[i] = naive_query_random(r, ids, depth + 1);
        q->roles[i] = (naive_role)naive_below(r, NAIVE_ROLES);
    }
    return q;
}

/* ---- printing -----------------------------------------------------------------------------
 */

typedef struct printer {
    char *out;
    size_t n, size;
} printer;

static void put(printer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(printer *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(p->out + p->n, p->size - p->n, fmt, args);
    va_end(args);
    p->n += n > 0 && (size_t)n < p->size - p->n ? (size_t)n : 0;
}

static void print(printer *p, const naive_query *q);

static void print_words(printer *p, const naive_query *q, const char *prefix,
                        const char *between)
{
    for (int i = 0; i < q->word_count; i++)
        put(p, "%s%s%d", i == 0 ? "" : between, prefix, q->words[i]);
}

static void print_bool(printer *p, const naive_query *q)
{
    static const char *const names[] = {"must", "should", "filter", "must_not"};
    bool first = true;
    put(p, "{\"bool\":{");
    for (int role = 0; role < NAIVE_ROLES; role++) {
        bool open = false;
        for (int i = 0; i < q->kid_count; i++) {
            if (q->roles[i] != (naive_role)role) continue;
            if (!open) put(p, "%s\"%s\":[", first ? "" : ",", names[role]);
            if (open) put(p, ",");
            open = true;
            first = false;
            print(p, q->kids[i]);
        }
        if (open) put(p, "]");
    }
    put(p, "}}");
}

static void print(printer *p, const naive_query *q)
{
    static const char *const fields[] = {"t", "u", "k", "n", "f", "b"};
    const char *field = fields[q->field];
    double boost = (double)q->boost;
    switch (q->kind) {
    case NAIVE_MATCH:
        put(p, "{\"match\":{\"%s\":{\"operator\":\"%s\",\"boost\":%g,\"query\":\"",
            field, q->all ? "and" : "or", boost);
        print_words(p, q, "w", " ");
        put(p, "\"}}}");
        break;
    case NAIVE_PHRASE:
        put(p, "{\"match_phrase\":{\"%s\":{\"boost\":%g,\"query\":\"", field, boost);
        print_words(p, q, "w", " ");
        put(p, "\"}}}");
        break;
    case NAIVE_TERM:
        put(p,
            "{\"constant_score\":{\"boost\":%g,\"filter\":{\"term\":{\"k\":\"k%d\"}}}}",
            boost, q->words[0]);
        break;
    case NAIVE_RANGE:
        put(p, "{\"range\":{\"%s\":{\"gte\":%lld,\"lt\":%lld,\"boost\":%g}}}", field,
            (long long)q->low, (long long)q->high, boost);
        break;
    case NAIVE_EXISTS:
        put(p, "{\"exists\":{\"field\":\"%s\",\"boost\":%g}}", field, boost);
        break;
    case NAIVE_IDSET:
        put(p, "{\"ids\":{\"boost\":%g,\"values\":[\"", boost);
        print_words(p, q, "d", "\",\"");
        put(p, "\"]}}");
        break;
    case NAIVE_BOOLEAN:
        put(p, "{\"constant_score\":{\"boost\":%g,\"filter\":{\"term\":{\"b\":%s}}}}",
            boost, q->low != 0 ? "true" : "false");
        break;
    case NAIVE_ALL:
        put(p, "{\"match_all\":{\"boost\":%g}}", boost);
        break;
    case NAIVE_BOOL:
        print_bool(p, q);
        break;
    case NAIVE_DISMAX:
        put(p, "{\"dis_max\":{\"tie_breaker\":%g,\"queries\":[", (double)q->tie);
        for (int i = 0; i < q->kid_count; i++) {
            if (i != 0) put(p, ",");
            print(p, q->kids[i]);
        }
        put(p, "]}}");
        break;
    }
}

void naive_query_print(const naive_query *q, char *out, size_t size)
{
    printer p = {out, strlen(out), size};
    print(&p, q);
}
