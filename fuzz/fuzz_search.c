/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a search of a small table: refused with a reason, or a reply whose hits are
 * documents of the table, no more than it counted. The first byte is the kind of query:
 * HA3, DSL, words; its bits ask for an explanation, or for a count alone. After words a
 * byte 0xFF begins the pipeline. */
#include "engine_target.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { DOCS = 24, EXPLAIN = 64, COUNT_ONLY = 128 };

static quern *engine(void)
{
    static quern *q;
    if (q != NULL) return q;
    q = target_open();
    target_table(
        q, "t",
        "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},\"body\":"
        "{\"type\":\"text\",\"analyzer\":\"english\"},\"tag\":{\"type\":"
        "\"keyword\"},\"n\":{\"type\":\"integer\"},\"price\":{\"type\":"
        "\"double\"},\"day\":{\"type\":\"date\"},\"vec\":{\"type\":"
        "\"dense_vector\",\"dims\":2,\"similarity\":\"l2_norm\"}}}}");
    for (int i = 0; i < DOCS; i++) {
        static const char *const words[] = {"stone", "mill", "grain", "flour", "wheel"};
        char id[16], source[400];
        (void)snprintf(id, sizeof id, "d%d", i);
        (void)snprintf(
            source, sizeof source,
            "{\"title\":\"%s %s\",\"body\":\"the %s of a %s\",\"tag\":[\"t%d\","
            "\"x\"],\"n\":%d,\"price\":%d.5,\"day\":\"20%02d-01-02\",\"vec\":"
            "[%d,%d]}",
            words[i % 5], words[i / 5], words[i % 3], words[i % 4], i % 4, i, i * 3, i,
            i % 6, i % 4);
        target_put(q, "t", id, source, i % 8 == 7);
    }
    return q;
}

static void check_reply(const quern_reply *r)
{
    qn_assert(r->total <= DOCS && r->hit_count <= DOCS);
    qn_assert(r->hit_count <= r->total || r->total_is_lower_bound || !r->track_total);
    for (size_t i = 0; i < r->facet_count; i++) {
        const quern_facet *f = &r->facets[i];
        qn_assert(f->key != NULL && f->function_count > 0);
        for (size_t g = 0; g < f->group_count; g++)
            for (size_t k = 0; k < f->function_count; k++)
                qn_assert(f->groups[g].value != NULL &&
                          f->groups[g].results[k] != NULL);
    }
    for (size_t i = 0; i < r->hit_count; i++) {
        const quern_hit *h = &r->hits[i];
        qn_assert(h->id_size >= 2 && h->id[0] == 'd');
        qn_assert(!isinf(h->score));
        for (size_t k = 0; k < i; k++)
            qn_assert(h->id_size != r->hits[k].id_size ||
                      memcmp(h->id, r->hits[k].id, h->id_size) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    char pipeline[1024];
    o.kind = (quern_query_kind)((bytes[0] & 63) % 3);
    o.explain = (bytes[0] & EXPLAIN) != 0;
    o.count_only = (bytes[0] & COUNT_ONLY) != 0;
    o.query = (const char *)bytes + 1;
    o.query_size = n - 1;
    o.timeout_ms = 5000;
    const char *end =
        o.kind == QUERN_QUERY_WORDS ? memchr(o.query, 0xFF, o.query_size) : NULL;
    if (end != NULL) {
        size_t size = o.query_size - (size_t)(end - o.query) - 1;
        if (size >= sizeof pipeline) return 0;
        memcpy(pipeline, end + 1, size);
        pipeline[size] = '\0';
        o.query_size = (size_t)(end - o.query);
        o.pipeline = pipeline;
    }
    quern_reply *reply = NULL;
    qn_error err = {0};
    qn_status st = quern_search(engine(), "t", &o, &reply, &err);
    if (st == QN_OK) {
        check_reply(reply);
        quern_reply_free(reply);
    } else {
        qn_assert(st != QN_EINTERNAL && st != QN_ECORRUPT);
        qn_assert(err.text[0] != '\0' && quern_status_describe(st) != NULL);
    }
    return 0;
}
