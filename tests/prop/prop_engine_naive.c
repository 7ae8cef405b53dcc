/* SPDX-License-Identifier: Apache-2.0 */
/* prop_engine_naive.c -- documents and scores of the naive engine. */
#include "prop_engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char naive_schema[] =
    "{\"mappings\":{\"dynamic\":\"strict\",\"properties\":{\"t\":{\"type\":\"text\"},"
    "\"u\":{\"type\":\"text\"},\"k\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},"
    "\"f\":{\"type\":\"double\"},\"b\":{\"type\":\"boolean\"}}}}";

uint64_t naive_next(naive_rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int naive_below(naive_rng *r, int n)
{
    return (int)(naive_next(r) % (uint64_t)n);
}

/* ---- documents --------------------------------------------------------------------------
 */

bool naive_has(const naive_doc *d, naive_field f)
{
    for (int i = 0; i < d->field_count; i++)
        if (d->order[i] == f) return true;
    return false;
}

static size_t print_field(const naive_doc *d, naive_field f, char *out, size_t size)
{
    static const char *const names[] = {"t", "u", "k", "n", "f", "b"};
    size_t n = (size_t)snprintf(out, size, "\"%s\":", names[f]);
    if (f == NAIVE_T || f == NAIVE_U) {
        n += (size_t)snprintf(out + n, size - n, "\"");
        for (int i = 0; i < d->word_count[f]; i++)
            n += (size_t)snprintf(out + n, size - n, "%sw%d", i == 0 ? "" : " ",
                                  d->words[f][i]);
        return n + (size_t)snprintf(out + n, size - n, "\"");
    }
    if (f == NAIVE_K) {
        for (int i = 0; i < d->key_count; i++)
            n += (size_t)snprintf(out + n, size - n, "%s\"k%d\"", i == 0 ? "[" : ",",
                                  d->keys[i]);
        return n + (size_t)snprintf(out + n, size - n, "]");
    }
    if (f == NAIVE_N)
        return n + (size_t)snprintf(out + n, size - n, "%lld", (long long)d->n);
    if (f == NAIVE_F) return n + (size_t)snprintf(out + n, size - n, "%g", d->f);
    return n + (size_t)snprintf(out + n, size - n, d->b ? "true" : "false");
}

void naive_print(const naive_doc *d, char out[NAIVE_SOURCE])
{
    size_t n = (size_t)snprintf(out, NAIVE_SOURCE, "{");
    for (int i = 0; i < d->field_count; i++) {
        if (i != 0) out[n++] = ',';
        n += print_field(d, d->order[i], out + n, NAIVE_SOURCE - n);
    }
    (void)snprintf(out + n, NAIVE_SOURCE - n, "}");
}

/* Small numbers are likelier than large ones. */
static int word_of(naive_rng *r)
{
    return naive_below(r, 1 + naive_below(r, NAIVE_WORDS));
}

static void random_value(naive_rng *r, naive_doc *d, naive_field f)
{
    static const int64_t scales[] = {3, 50, 5000, 1000000000000};
    int64_t scale = scales[naive_below(r, 4)];
    switch (f) {
    case NAIVE_T:
    case NAIVE_U:
        d->word_count[f] = naive_below(r, naive_below(r, 8) == 0 ? NAIVE_TOKENS : 12);
        for (int i = 0; i < d->word_count[f]; i++) d->words[f][i] = (uint8_t)word_of(r);
        break;
    case NAIVE_K:
        d->key_count = 1 + naive_below(r, 3);
        for (int i = 0, first = naive_below(r, NAIVE_KEYS); i < d->key_count; i++)
            d->keys[i] = (first + i) % NAIVE_KEYS;
        break;
    case NAIVE_N:
        d->n = (int64_t)(naive_next(r) % (uint64_t)(2 * scale)) - scale / 3;
        break;
    case NAIVE_F:
        d->f = (naive_below(r, 200) - 40) * 0.25;
        break;
    default:
        d->b = naive_below(r, 2) == 0;
        break;
    }
}

void naive_random(naive_rng *r, naive_doc *d, bool whole)
{
    d->field_count = 0;
    int begin = naive_below(r, NAIVE_FIELDS);
    for (int i = 0; i < NAIVE_FIELDS; i++) {
        naive_field f = (naive_field)((begin + i) % NAIVE_FIELDS);
        if (naive_below(r, 10) >= (whole ? 8 : 3)) continue;
        d->order[d->field_count++] = f;
        random_value(r, d, f);
    }
}

void naive_random_attributes(naive_rng *r, naive_doc *d)
{
    d->field_count = 0;
    int begin = naive_below(r, 3);
    for (int i = 0; i < 3; i++) {
        naive_field f = (naive_field)(NAIVE_N + (begin + i) % 3);
        if (i != 0 && naive_below(r, 2) == 0) continue;
        d->order[d->field_count++] = f;
        random_value(r, d, f);
    }
}

bool naive_attributes_only(const naive_doc *d)
{
    for (int i = 0; i < d->field_count; i++)
        if (d->order[i] < NAIVE_N) return false;
    return d->field_count != 0;
}

void naive_init(naive_table *t)
{
    t->count = t->live_count = 0;
    for (int i = 0; i < NAIVE_IDS; i++) t->newest[i] = -1;
}

void naive_delete(naive_table *t, int id)
{
    if (t->newest[id] < 0) return;
    t->docs[t->newest[id]].live = false;
    t->newest[id] = -1;
    t->live_count--;
}

void naive_put(naive_table *t, const naive_doc *d)
{
    naive_delete(t, d->id);
    if (t->count == NAIVE_DOCS) abort(); /* the driver forgets the dead in time */
    t->newest[d->id] = t->count;
    t->docs[t->count] = *d;
    t->docs[t->count++].live = true;
    t->live_count++;
}

void naive_change(naive_table *t, const naive_doc *d)
{
    naive_doc *old = &t->docs[t->newest[d->id]];
    *old = *d;
    old->live = true;
}

void naive_merge(naive_doc *old, const naive_doc *part)
{
    for (int i = 0; i < part->field_count; i++) {
        naive_field f = part->order[i];
        if (!naive_has(old, f)) old->order[old->field_count++] = f;
        if (f == NAIVE_T || f == NAIVE_U) {
            memcpy(old->words[f], part->words[f], sizeof old->words[f]);
            old->word_count[f] = part->word_count[f];
        }
        if (f == NAIVE_K) {
            memcpy(old->keys, part->keys, sizeof old->keys);
            old->key_count = part->key_count;
        }
        if (f == NAIVE_N) old->n = part->n;
        if (f == NAIVE_F) old->f = part->f;
        if (f == NAIVE_B) old->b = part->b;
    }
}

void naive_forget_dead(naive_table *t)
{
    int n = 0;
    for (int i = 0; i < t->count; i++) {
        if (!t->docs[i].live) continue;
        t->newest[t->docs[i].id] = n;
        if (n != i) t->docs[n] = t->docs[i];
        n++;
    }
    t->count = n;
}

/* Those that no update may have moved stand as they did. */
static bool keeps_order(const naive_table *t, const int *ids, int count)
{
    int before = -1;
    for (int i = 0; i < count; i++) {
        int place = t->newest[ids[i]];
        if (place < 0) return false;
        if (t->docs[place].moved) continue;
        if (place <= before) return false;
        before = place;
    }
    return true;
}

bool naive_reorder(naive_table *t, const int *ids, int count)
{
    static naive_doc live[NAIVE_IDS];
    int n = 0;
    if (count != t->live_count || !keeps_order(t, ids, count)) return false;
    for (int i = 0; i < count; i++) live[i] = t->docs[t->newest[ids[i]]];
    for (int i = 0; i < t->count; i++)
        if (!t->docs[i].live) t->docs[n++] = t->docs[i];
    for (int i = 0; i < count; i++) {
        live[i].moved = false;
        t->newest[live[i].id] = n;
        t->docs[n++] = live[i];
    }
    return n == t->count;
}

/* ---- Lucene's BM25 ------------------------------------------------------------------------
 * k1 = 1.2, b = 0.75, times k1 + 1 as Elasticsearch has it; lengths as SmallFloat.intToByte4 keeps them. */

static uint32_t shorten(uint32_t i)
{
    uint32_t bits = 0;
    while (bits < 32 && i >> bits != 0) bits++;
    if (bits < 4) return i;
    uint32_t shift = bits - 4;
    return ((i >> shift) & 7) | (shift + 1) << 3;
}

static uint32_t lengthen(uint32_t i)
{
    return i < 8 ? i : ((i & 7) | 8) << ((i >> 3) - 1);
}

/* What remains of a length after being kept in a byte. */
static uint32_t kept_length(uint32_t n)
{
    return n < 24 ? n : 24 + lengthen(shorten(n - 24));
}

typedef struct field_stats {
    int docs;
    int64_t tokens;
    int df[NAIVE_WORDS];
} field_stats;

typedef struct searching {
    const naive_table *t;
    field_stats fields[2];
} searching;

static void count_field(field_stats *s, const naive_doc *d, naive_field f)
{
    bool seen[NAIVE_WORDS] = {0};
    if (!naive_has(d, f) || d->word_count[f] == 0) return;
    s->docs++;
    s->tokens += d->word_count[f];
    for (int i = 0; i < d->word_count[f]; i++) {
        int w = d->words[f][i];
        s->df[w] += !seen[w];
        seen[w] = true;
    }
}

static float idf(const field_stats *s, int word)
{
    double df = s->df[word];
    return (float)log(1 + (s->docs - df + 0.5) / (df + 0.5));
}

static float bm25(const field_stats *s, float weight, int freq, int length)
{
    float average = (float)((double)s->tokens / s->docs);
    float norm = (float)kept_length((uint32_t)length);
    float inverse = 1.0f / (1.2f * ((1.0f - 0.75f) + 0.75f * norm / average));
    float scaled = weight * (1.2f + 1.0f);
    return scaled - scaled / (1.0f + (float)freq * inverse);
}

/* ---- evaluation ----------------------------------------------------------------------------
 */

static bool score_of(const searching *s, const naive_query *q, const naive_doc *d,
                     double *score);

static int frequency(const naive_doc *d, naive_field f, const int *words, int n)
{
    int found = 0;
    if (!naive_has(d, f)) return 0;
    for (int i = 0; i + n <= d->word_count[f]; i++) {
        int k = 0;
        while (k < n && d->words[f][i + k] == words[k]) k++;
        found += k == n;
    }
    return found;
}

static bool score_match(const searching *s, const naive_query *q, const naive_doc *d,
                        double *score)
{
    const field_stats *stats = &s->fields[q->field];
    double sum = 0;
    int hits = 0;
    for (int i = 0; i < q->word_count; i++) {
        int freq = frequency(d, q->field, &q->words[i], 1);
        if (freq == 0) continue;
        hits++;
        sum += (double)bm25(stats, q->boost * idf(stats, q->words[i]), freq,
                            d->word_count[q->field]);
    }
    *score = (double)(float)sum;
    return q->all ? hits == q->word_count : hits > 0;
}

static bool score_phrase(const searching *s, const naive_query *q, const naive_doc *d,
                         double *score)
{
    const field_stats *stats = &s->fields[q->field];
    double sum = 0;
    int freq = frequency(d, q->field, q->words, q->word_count);
    if (freq == 0) return false;
    for (int i = 0; i < q->word_count; i++) sum += (double)idf(stats, q->words[i]);
    *score = (double)bm25(stats, q->boost * (float)sum, freq, d->word_count[q->field]);
    return true;
}

static bool score_bool(const searching *s, const naive_query *q, const naive_doc *d,
                       double *score)
{
    double sum = 0;
    bool required = false, should = false, any = false;
    for (int i = 0; i < q->kid_count; i++) {
        double one = 0;
        bool hit = score_of(s, q->kids[i], d, &one);
        naive_role role = q->roles[i];
        if (role == NAIVE_MUST_NOT ? hit : role != NAIVE_SHOULD && !hit) return false;
        required |= role == NAIVE_MUST || role == NAIVE_FILTER;
        should |= role == NAIVE_SHOULD;
        any |= role == NAIVE_SHOULD && hit;
        if (hit && (role == NAIVE_MUST || role == NAIVE_SHOULD)) sum += one;
    }
    *score = (double)(float)sum;
    return any || required || !should;
}

static bool score_dismax(const searching *s, const naive_query *q, const naive_doc *d,
                         double *score)
{
    double best = 0, sum = 0;
    bool any = false;
    for (int i = 0; i < q->kid_count; i++) {
        double one = 0;
        if (!score_of(s, q->kids[i], d, &one)) continue;
        any = true;
        sum += one;
        if (one > best) best = one;
    }
    *score = (double)(float)(best + (sum - best) * (double)q->tie);
    return any;
}

static bool has_key(const naive_doc *d, int key)
{
    for (int i = 0; naive_has(d, NAIVE_K) && i < d->key_count; i++)
        if (d->keys[i] == key) return true;
    return false;
}

static bool in_range(const naive_query *q, const naive_doc *d)
{
    if (!naive_has(d, q->field)) return false;
    if (q->field == NAIVE_N) return d->n >= q->low && d->n < q->high;
    return d->f >= (double)q->low && d->f < (double)q->high;
}

static bool score_of(const searching *s, const naive_query *q, const naive_doc *d,
                     double *score)
{
    *score = (double)q->boost;
    switch (q->kind) {
    case NAIVE_MATCH:
        return score_match(s, q, d, score);
    case NAIVE_PHRASE:
        return score_phrase(s, q, d, score);
    case NAIVE_BOOL:
        return score_bool(s, q, d, score);
    case NAIVE_DISMAX:
        return score_dismax(s, q, d, score);
    case NAIVE_TERM:
        return has_key(d, q->words[0]);
    case NAIVE_RANGE:
        return in_range(q, d);
    /* A text without a word has no value. */
    case NAIVE_EXISTS:
        return naive_has(d, q->field) &&
               (q->field > NAIVE_U || d->word_count[q->field] > 0);
    case NAIVE_BOOLEAN:
        return naive_has(d, NAIVE_B) && d->b == (q->low != 0);
    case NAIVE_ALL:
        return true;
    case NAIVE_IDSET:
        for (int i = 0; i < q->word_count; i++)
            if (q->words[i] == d->id) return true;
        return false;
    }
    return false;
}

static int by_score(const void *a, const void *b)
{
    const naive_result *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

int naive_search(const naive_table *t, const naive_query *q,
                 naive_result out[NAIVE_DOCS])
{
    searching s = {.t = t};
    int n = 0;
    memset(s.fields, 0, sizeof s.fields);
    for (int i = 0; i < t->count; i++) {
        count_field(&s.fields[0], &t->docs[i], NAIVE_T);
        count_field(&s.fields[1], &t->docs[i], NAIVE_U);
    }
    for (int i = 0; i < t->count; i++) {
        double score = 0;
        if (!t->docs[i].live || !score_of(&s, q, &t->docs[i], &score)) continue;
        out[n++] = (naive_result){i, score};
    }
    if (n > 1) qsort(out, (size_t)n, sizeof *out, by_score);
    return n;
}
