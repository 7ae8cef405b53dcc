/* SPDX-License-Identifier: Apache-2.0 */
#include "query/explain.h"

#include "query/iter.h"

#include <inttypes.h>
#include <stdio.h>

struct qn_explainer {
    qn_planner planner;
    qn_exec_options options;
    qn_plan *plan;
};

/* One document being explained. */
typedef struct teller {
    const qn_explainer *e;
    qn_iter_maker make;
    uint32_t doc;
    qn_arena *arena; /* of the explanation */
    qn_error *err;
} teller;

typedef struct qn_explanation node;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "explanation");
}

/* ---- building ---------------------------------------------------------------------- */

static qn_status tell(teller *t, bool match, double value, const char *description,
                      node **out)
{
    *out = qn_arena_new(t->arena, sizeof **out);
    if (*out == NULL || description == NULL) return no_memory(t->err);
    (*out)->match = match;
    (*out)->value = value;
    (*out)->description = description;
    return QN_OK;
}

static void append(node *parent, node *detail)
{
    const node *last = parent->first;
    if (last == NULL) {
        parent->first = detail;
        return;
    }
    while (last->next != NULL) last = last->next;
    /* Details are ours until the whole is handed out. */
    ((node *)(uintptr_t)last)->next = detail;
}

static qn_status add(teller *t, node *parent, double value, const char *description)
{
    node *detail;
    QN_TRY(tell(t, true, value, description, &detail));
    append(parent, detail);
    return QN_OK;
}

static qn_status add_count(teller *t, node *parent, uint64_t value,
                           const char *description)
{
    node *detail;
    QN_TRY(tell(t, true, (double)value, description, &detail));
    detail->whole = true;
    append(parent, detail);
    return QN_OK;
}

/* The query's text between two pieces, in the explanation's arena. */
static const char *around(teller *t, const char *before, const qn_query *q,
                          const char *after)
{
    qn_buf b = {.alloc = t->arena->alloc};
    qn_buf_add_str(&b, before);
    qn_query_lucene_text(q, &b);
    qn_buf_add_str(&b, after);
    char *text = b.failed ? NULL : qn_arena_strndup(t->arena, b.p, b.n);
    qn_buf_deinit(&b);
    return text;
}

/* Does the plan match the document, and with what score? */
static qn_status look(teller *t, const qn_plan *plan, bool *match, float *score)
{
    qn_iter *it;
    *match = false;
    *score = 0;
    QN_TRY(qn_iter_make(&t->make, plan, &it));
    if (it == NULL) return QN_OK;
    QN_TRY(qn_iter_reach(it, t->doc, t->err));
    *match = it->doc == t->doc;
    return *match ? it->kind->score(it, score, t->err) : QN_OK;
}

/* ---- words --------------------------------------------------------------------------- */

static qn_status add_idf(teller *t, node *parent, uint64_t doc_freq, uint64_t count)
{
    node *idf;
    QN_TRY(tell(t, true, (double)qn_bm25_idf(count, doc_freq),
                "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:", &idf));
    QN_TRY(add_count(t, idf, doc_freq, "n, number of documents containing term"));
    QN_TRY(add_count(t, idf, count, "N, total number of documents with field"));
    append(parent, idf);
    return QN_OK;
}

static qn_status add_idfs(teller *t, node *score, const qn_query *q,
                          const qn_plan_field *f)
{
    uint64_t count = f->stats->doc_count;
    if (q->kind == QN_QUERY_TERM) return add_idf(t, score, f->doc_freq, count);
    node *sum;
    QN_TRY(tell(t, true, (double)f->idf, "idf, sum of:", &sum));
    for (size_t i = 0; i < q->term_count; i++)
        QN_TRY(add_idf(t, sum, f->doc_freqs[i], count));
    append(score, sum);
    return QN_OK;
}

static qn_status add_tf(teller *t, node *score, const qn_query *q,
                        const qn_bm25_parts *p)
{
    node *tf;
    QN_TRY(tell(
        t, true, (double)p->tf,
        "tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:", &tf));
    bool phrase = q->kind == QN_QUERY_PHRASE, synonym = !phrase && q->term_count > 1;
    const char *freq = "freq, occurrences of term within document";
    if (phrase || synonym)
        freq = qn_arena_printf(t->arena, "%s=%.1f", phrase ? "phraseFreq" : "termFreq",
                               (double)p->freq);
    QN_TRY(add(t, tf, (double)p->freq, freq));
    QN_TRY(add(t, tf, (double)p->k1, "k1, term saturation parameter"));
    QN_TRY(add(t, tf, (double)p->b, "b, length normalization parameter"));
    QN_TRY(add(t, tf, (double)p->dl,
               p->dl_approximate ? "dl, length of field (approximate)"
                                 : "dl, length of field"));
    QN_TRY(add(t, tf, (double)p->avgdl, "avgdl, average length of field"));
    append(score, tf);
    return QN_OK;
}

/* Occurrences in the document, by the iterators that count them. */
static qn_status frequency(teller *t, const qn_plan *plan, const qn_plan_field *f,
                           float *out)
{
    const qn_query *q = plan->query;
    uint64_t count = 0;
    const qn_segment *seg = t->make.view->segment;
    *out = 0;
    if (q->kind == QN_QUERY_PHRASE) {
        qn_plan one = *plan;
        qn_iter *it;
        one.fields = (qn_plan_field *)(uintptr_t)f;
        one.field_count = 1;
        QN_TRY(qn_iter_make_phrase(&t->make, &one, &it));
        if (it == NULL) return QN_OK;
        QN_TRY(qn_iter_reach(it, t->doc, t->err));
        if (it->doc == t->doc) *out = qn_iter_phrase_freq(it);
        return QN_OK;
    }
    for (size_t i = 0; i < q->term_count; i++) {
        qn_term term;
        qn_postings p;
        QN_TRY(qn_segment_term(seg, f->field->id, q->terms[i].bytes, &term, t->err));
        if (term.doc_freq == 0) continue;
        QN_TRY(qn_segment_postings(seg, &term, NULL, &p, t->err));
        QN_TRY(qn_postings_seek(&p, t->doc, t->err));
        if (p.doc == t->doc) count += p.freq;
    }
    *out = (float)count;
    return QN_OK;
}

/* One field of a TERM or PHRASE. */
static qn_status tell_field(teller *t, const qn_plan *plan, const qn_plan_field *f,
                            node **out)
{
    float freq;
    QN_TRY(frequency(t, plan, f, &freq));
    qn_query_field field = {f->field, 1.0f};
    qn_query shown = *plan->query;
    shown.fields = &field;
    shown.field_count = 1;
    shown.boost = 1.0f;
    if (freq == 0)
        return tell(t, false, 0, around(t, "no matching term: ", &shown, ""), out);
    const uint8_t *norms;
    QN_TRY(qn_segment_norms(t->make.view->segment, f->field->id, &norms, t->err));
    qn_bm25_parts p;
    qn_bm25_explain(f->stats, f->boost, f->idf, f->doc_freq, (float)freq,
                    norms == NULL ? 1 : norms[t->doc], &p);
    char tail[80];
    snprintf(tail, sizeof tail,
             " in %" PRIu32 ") [PerFieldSimilarity], result of:", t->doc);
    node *score;
    QN_TRY(tell(t, true, (double)p.score, around(t, "weight(", &shown, tail), out));
    QN_TRY(tell(t, true, (double)p.score,
                qn_arena_printf(t->arena,
                                "score(freq=%.1f), computed as boost * idf * tf from:",
                                (double)p.freq),
                &score));
    if (p.boost != 1.0f) QN_TRY(add(t, score, (double)p.boost, "boost"));
    QN_TRY(add_idfs(t, score, plan->query, f));
    QN_TRY(add_tf(t, score, plan->query, &p));
    append(*out, score);
    return QN_OK;
}

static qn_status tell_words(teller *t, const qn_plan *plan, node **out)
{
    if (plan->field_count == 1) return tell_field(t, plan, &plan->fields[0], out);
    bool match;
    float score;
    QN_TRY(look(t, plan, &match, &score));
    if (!match)
        return tell(t, false, 0, around(t, "no matching term: ", plan->query, ""), out);
    QN_TRY(tell(t, true, (double)score, "max of:", out));
    for (size_t i = 0; i < plan->field_count; i++) {
        node *one;
        QN_TRY(tell_field(t, plan, &plan->fields[i], &one));
        if (one->match) append(*out, one);
    }
    return QN_OK;
}

/* ---- the other nodes -------------------------------------------------------------------- */

static qn_status tell_plan(teller *t, const qn_plan *plan, node **out);

/* Constant scores: the query and, when it is not 1, its value. */
static qn_status tell_constant(teller *t, const qn_plan *plan, node **out)
{
    bool match;
    float score;
    QN_TRY(look(t, plan, &match, &score));
    if (!plan->scores) score = plan->boost; /* what it would give where scores count */
    qn_query shown = *plan->query;
    shown.boost = match ? score : 1.0f;
    if (match) return tell(t, true, (double)score, around(t, "", &shown, ""), out);
    return tell(t, false, 0, around(t, "", &shown, " doesn't match id"), out);
}

static qn_status tell_vector(teller *t, const qn_plan *plan, node **out)
{
    bool match;
    float score;
    QN_TRY(look(t, plan, &match, &score));
    return tell(t, match, (double)score,
                match ? "within top k documents" : "not in top k documents", out);
}

static qn_status tell_dismax(teller *t, const qn_plan *plan, node **out)
{
    bool match;
    float score, tie = plan->query->u.dismax.tie_breaker;
    QN_TRY(look(t, plan, &match, &score));
    if (!match) return tell(t, false, 0, "No matching clause", out);
    const char *text = "max of:";
    if (tie != 0.0f)
        text = qn_arena_printf(t->arena, "max plus %.7g times others of:", (double)tie);
    QN_TRY(tell(t, true, (double)score, text, out));
    for (size_t i = 0; i < plan->should.n; i++) {
        node *one;
        QN_TRY(tell_plan(t, plan->should.p[i], &one));
        if (one->match) append(*out, one);
    }
    return QN_OK;
}

/* A clause that has to match, or must not, and does the contrary. */
static qn_status add_failure(teller *t, node *parent, const char *what,
                             const qn_plan *plan, node *why)
{
    node *failure;
    QN_TRY(tell(t, false, 0, around(t, what, plan->query, ")"), &failure));
    append(failure, why);
    append(parent, failure);
    return QN_OK;
}

static qn_status add_filter(teller *t, node *parent, node *clause)
{
    node *product;
    QN_TRY(tell(t, true, 0, "match on required clause, product of:", &product));
    QN_TRY(add(t, product, 0, "# clause"));
    append(product, clause);
    append(parent, product);
    return QN_OK;
}

/* Every clause of one kind: `fails` where the document does not meet it. */
static qn_status add_clauses(teller *t, node *parent, qn_plan_list list, bool filter,
                             bool *fails)
{
    for (size_t i = 0; i < list.n; i++) {
        node *one;
        QN_TRY(tell_plan(t, list.p[i], &one));
        if (!one->match) {
            *fails = true;
            QN_TRY(add_failure(t, parent, "no match on required clause (", list.p[i],
                               one));
        } else if (filter) {
            QN_TRY(add_filter(t, parent, one));
        } else {
            append(parent, one);
        }
    }
    return QN_OK;
}

static qn_status tell_bool(teller *t, const qn_plan *plan, node **out)
{
    bool match, fails = false;
    float score;
    QN_TRY(look(t, plan, &match, &score));
    QN_TRY(tell(t, match, (double)score, "sum of:", out));
    QN_TRY(add_clauses(t, *out, plan->must, false, &fails));
    QN_TRY(add_clauses(t, *out, plan->filter, true, &fails));
    for (size_t i = 0; i < plan->should.n; i++) {
        node *one;
        QN_TRY(tell_plan(t, plan->should.p[i], &one));
        if (one->match) append(*out, one);
    }
    for (size_t i = 0; i < plan->must_not.n; i++) {
        node *one;
        QN_TRY(tell_plan(t, plan->must_not.p[i], &one));
        if (!one->match) continue;
        fails = true;
        QN_TRY(add_failure(t, *out, "match on prohibited clause (", plan->must_not.p[i],
                           one));
    }
    if (match) return QN_OK;
    (*out)->description =
        fails ? "Failure to meet condition(s) of required/prohibited clause(s)"
              : qn_arena_printf(t->arena,
                                "Failure to match minimum number of optional clauses: "
                                "%" PRIu32,
                                plan->should_min == 0 ? 1 : plan->should_min);
    return (*out)->description == NULL ? no_memory(t->err) : QN_OK;
}

static qn_status tell_plan(teller *t, const qn_plan *plan, node **out)
{
    switch (plan->query->kind) {
    case QN_QUERY_TERM:
    case QN_QUERY_PHRASE:
        return tell_words(t, plan, out);
    case QN_QUERY_VECTOR:
        return tell_vector(t, plan, out);
    case QN_QUERY_BOOL:
        return tell_bool(t, plan, out);
    case QN_QUERY_DISMAX:
        return tell_dismax(t, plan, out);
    default:
        return tell_constant(t, plan, out);
    }
}

/* ---- outside --------------------------------------------------------------------------- */

qn_status qn_explainer_create(const qn_snapshot_view *snapshot, const qn_query *query,
                              const qn_exec_options *options, qn_arena *arena,
                              qn_explainer **out, qn_error *err)
{
    qn_explainer *e = *out = qn_arena_new(arena, sizeof *e);
    if (e == NULL) return no_memory(err);
    e->options = *options;
    QN_TRY(qn_planner_init(&e->planner, snapshot, &e->options, arena, err));
    qn_planner_deinit(&e->planner); /* of single documents: no cached filters */
    QN_TRY(qn_plan_vectors(&e->planner, query));
    return qn_plan_build(&e->planner, query, 1.0f, true, &e->plan);
}

qn_status qn_explainer_run(const qn_explainer *e, uint32_t segment, uint32_t doc,
                           qn_arena *arena, const qn_explanation **out, qn_error *err)
{
    const qn_snapshot_view *s = e->planner.snapshot;
    *out = NULL;
    if (segment >= s->segment_count || doc >= s->segments[segment].doc_count)
        return qn_fail(err, QN_ENODOC, "no document %u in segment %u", doc, segment);
    qn_arena scratch;
    qn_arena_init(&scratch, arena->alloc, 0);
    teller t = {.e = e,
                .make = {.planner = &e->planner,
                         .segment = segment,
                         .view = &s->segments[segment],
                         .scratch = &scratch,
                         .jumps = true,
                         .err = err},
                .doc = doc,
                .arena = arena,
                .err = err};
    node *whole;
    qn_status st = tell_plan(&t, e->plan, &whole);
    if (st == QN_OK) *out = whole;
    qn_arena_deinit(&scratch);
    return st;
}

static void print(const qn_explanation *e, unsigned depth, qn_buf *out)
{
    for (unsigned i = 0; i < depth; i++) qn_buf_add_str(out, "  ");
    qn_buf_printf(out, e->whole ? "%.0f %s\n" : "%.8g %s\n", e->value, e->description);
    for (const qn_explanation *d = e->first; d != NULL; d = d->next)
        print(d, depth + 1, out);
}

void qn_explanation_print(const qn_explanation *e, qn_buf *out)
{
    print(e, 0, out);
}
