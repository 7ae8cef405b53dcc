/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models/passages.h"

#include <math.h>
#include <stdlib.h>

enum { ARENA_LIMIT = 1 << 30 };

typedef struct passage {
    qn_chunk at;
    uint32_t text, number;
    qn_score_key key;
    qn_score score;
    bool known;
    uint32_t as; /* the passage whose text is the same: itself, or one before it */
} passage;

typedef struct run {
    const qn_passage_job *job;
    const qn_passage_options *options;
    const qn_slice *texts;
    size_t n;
    qn_arena arena;
    qn_chunker *chunker;
    QN_VEC(passage) passages;
    uint32_t *first;  /* [n + 1]: the passages of text i are first[i]..first[i + 1] */
    uint32_t *pieces; /* [n]: how many it was cut into */
    size_t cut;       /* texts that were, before the time was up */
    qn_error *err;
} run;

static qn_status no_memory(const run *r)
{
    return qn_fail(r->err, QN_ENOMEM, "passages of %zu texts", r->n);
}

/* ---- cutting -------------------------------------------------------------------------- */

/* Tokens that a document may have beside the query. */
static qn_status room_for(run *r, size_t *room)
{
    const qn_passage_job *job = r->job;
    const qn_tokenizer *t = qn_model_tokenizer(job->model);
    size_t most = qn_model_describe(job->model)->max_tokens;
    if (job->how.max_tokens > 0 && job->how.max_tokens < most)
        most = job->how.max_tokens;
    qn_pieces query = {0};
    QN_TRY(qn_tokenizer_encode(t, job->query, QN_TOKENIZE_PLAIN, &r->arena, &query,
                               r->err));
    size_t used = qn_tokenizer_extra(t, true) + query.n;
    /* A query that takes more than half is cut itself. */
    *room = used + most / 2 < most ? most - used : most / 2;
    if (job->how.doc_tokens_max > 0 && *room > job->how.doc_tokens_max)
        *room = job->how.doc_tokens_max;
    return QN_OK;
}

static qn_status open_chunker(run *r)
{
    const qn_chunk_settings *s = &r->options->chunking;
    size_t room = 0;
    if (s->strategy == QN_CHUNK_NONE) return QN_OK;
    if (s->strategy == QN_CHUNK_TOKEN) QN_TRY(room_for(r, &room));
    return qn_chunker_create(r->job->q->alloc, s, qn_model_tokenizer(r->job->model),
                             room, &r->chunker, r->err);
}

/* Which of a text's chunks are scored: the best by words, or those at its beginning. */
static qn_status choose(run *r, size_t text, const qn_chunk *all, qn_chunk *chosen,
                        size_t *n)
{
    const qn_passage_options *o = r->options;
    if (o->most > 0 && *n > o->most) *n = o->most;
    if (o->join == QN_PASSAGE_FIRST) *n = 1;
    memcpy(chosen, all, *n * sizeof *chosen);
    if (o->best_by_words == 0 || *n <= o->best_by_words) return QN_OK;
    QN_TRY(qn_passages__best(r->job->q, r->job->query, r->texts[text], chosen, *n,
                             o->best_by_words, r->err));
    *n = o->best_by_words;
    return QN_OK;
}

/* Chunks begin one after the other; few begin at the same place. */
static uint32_t number_of(const qn_chunk *all, size_t n, qn_chunk one)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all[middle].start < one.start)
            low = middle + 1;
        else
            high = middle;
    }
    while (all[low].end != one.end) low++;
    return (uint32_t)low;
}

static qn_status cut_text(run *r, size_t i)
{
    qn_chunk whole = {0, (uint32_t)r->texts[i].n};
    const qn_chunk *all = &whole;
    size_t n = 1;
    if (r->texts[i].n > UINT32_MAX)
        return qn_fail(r->err, QN_ELIMIT, "document %zu has %zu bytes", i,
                       r->texts[i].n);
    if (r->chunker != NULL) {
        qn_error inner = {.at = QN_AT_NONE};
        qn_status st =
            qn_chunker_run(r->chunker, r->texts[i], &r->arena, &all, &n, &inner);
        if (st != QN_OK)
            return qn_fail(r->err, st, "document %zu: %.400s", i, inner.text);
    }
    r->pieces[i] = (uint32_t)n;
    qn_chunk *chosen = qn_arena_raw(&r->arena, n, sizeof *chosen);
    if (chosen == NULL) return no_memory(r);
    QN_TRY(choose(r, i, all, chosen, &n));
    if (r->passages.n + n > QN_PASSAGES_MAX)
        return qn_fail(r->err, QN_ELIMIT, "more than %d passages in one call",
                       QN_PASSAGES_MAX);
    for (size_t k = 0; k < n; k++) {
        passage p = {.at = chosen[k],
                     .text = (uint32_t)i,
                     .number = number_of(all, r->pieces[i], chosen[k]),
                     .as = (uint32_t)r->passages.n};
        if (!qn_vec_push(r->job->q->alloc, &r->passages, p)) return no_memory(r);
    }
    return QN_OK;
}

static qn_status cut_all(run *r)
{
    QN_TRY(open_chunker(r));
    for (size_t i = 0; i < r->n; i++) {
        r->first[i] = (uint32_t)r->passages.n;
        if (r->chunker != NULL && qn_deadline_passed(r->job->how.deadline)) break;
        QN_TRY(cut_text(r, i));
        r->cut = i + 1;
    }
    r->first[r->cut] = (uint32_t)r->passages.n;
    return QN_OK;
}

/* ---- what is known ---------------------------------------------------------------------- */

static qn_slice text_of(const run *r, const passage *p)
{
    return (qn_slice){r->texts[p->text].p + p->at.start, p->at.end - p->at.start};
}

/* All that a score depends on, but for the two texts. */
static qn_slice identity(run *r)
{
    const qn_model_info *info = qn_model_describe(r->job->model);
    const qn_rerank_options *o = &r->job->how;
    char *p = qn_arena_printf(
        &r->arena, "%016llx|%llu|%u|%u|%u|%u|%d%d%d", (unsigned long long)info->digest,
        (unsigned long long)info->file_bytes, o->max_tokens, o->query_tokens_max,
        o->doc_tokens_max,
        o->truncation_given ? (unsigned)o->truncation : (unsigned)info->truncation,
        o->specials_are_text, o->keep_ends, o->single);
    return p == NULL ? (qn_slice){NULL, 0} : qn_slice_of(p);
}

static int by_key(const void *a, const void *b)
{
    const passage *x = *(const passage *const *)a, *y = *(const passage *const *)b;
    if (x->key.high != y->key.high) return x->key.high < y->key.high ? -1 : 1;
    if (x->key.low != y->key.low) return x->key.low < y->key.low ? -1 : 1;
    return (x->as > y->as) - (x->as < y->as); /* of equals, the first */
}

static qn_status find_equals(run *r)
{
    size_t n = r->passages.n;
    passage **order = qn_arena_raw(&r->arena, n + 1, sizeof(passage *));
    if (order == NULL) return no_memory(r);
    for (size_t i = 0; i < n; i++) order[i] = &r->passages.p[i];
    if (n > 1) qsort(order, n, sizeof *order, by_key);
    for (size_t i = 1; i < n; i++)
        if (order[i]->key.high == order[i - 1]->key.high &&
            order[i]->key.low == order[i - 1]->key.low)
            order[i]->as = order[i - 1]->as;
    return QN_OK;
}

static qn_status look_up(run *r)
{
    qn_slice model = identity(r);
    if (model.p == NULL) return no_memory(r);
    for (size_t i = 0; i < r->passages.n; i++) {
        passage *p = &r->passages.p[i];
        p->key = qn_score_cache_key(model, r->job->query, text_of(r, p));
    }
    QN_TRY(find_equals(r));
    for (size_t i = 0; i < r->passages.n; i++) {
        passage *p = &r->passages.p[i];
        if (p->as == i && r->job->kept)
            p->known = qn_score_cache_get(r->job->q->scores, p->key, &p->score);
    }
    return QN_OK;
}

/* ---- the model --------------------------------------------------------------------------- */

static qn_status ask_model(run *r)
{
    size_t n = 0, count = r->passages.n;
    qn_slice *texts = qn_arena_raw(&r->arena, count + 1, sizeof *texts);
    uint32_t *places = qn_arena_raw(&r->arena, count + 1, sizeof *places);
    uint32_t *numbers = qn_arena_raw(&r->arena, count + 1, sizeof *numbers);
    qn_rerank_doc *docs = qn_arena_raw(&r->arena, count + 1, sizeof *docs);
    if (texts == NULL || places == NULL || numbers == NULL || docs == NULL)
        return no_memory(r);
    for (uint32_t i = 0; i < count; i++) {
        const passage *p = &r->passages.p[i];
        if (p->known || p->as != i) continue;
        texts[n] = text_of(r, p);
        numbers[n] = p->text;
        places[n++] = i;
    }
    if (n == 0) return QN_OK;
    qn_rerank_options how = r->job->how;
    how.token_cache = r->job->q->tokens;
    how.numbers = numbers;
    QN_TRY(qn_rerank_run(r->job->model, r->job->query, texts, n, &how, docs, NULL,
                         r->err));
    for (size_t i = 0; i < n; i++) {
        passage *p = &r->passages.p[places[i]];
        if (!docs[i].scored) continue;
        p->known = true;
        p->score = (qn_score){docs[i].logit, docs[i].tokens, docs[i].truncated};
        if (r->job->kept) qn_score_cache_put(r->job->q->scores, p->key, p->score);
    }
    return QN_OK;
}

/* ---- joining ----------------------------------------------------------------------------- */

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* The best `top` of n, added up in double from the best down. */
static qn_status add_best(run *r, const passage *p, size_t n, float *out)
{
    size_t top = r->options->top == 0 || r->options->top > n ? n : r->options->top;
    float *values = qn_arena_raw(&r->arena, n, sizeof *values);
    if (values == NULL) return no_memory(r);
    for (size_t i = 0; i < n; i++) values[i] = r->passages.p[p[i].as].score.logit;
    qsort(values, n, sizeof *values, descending);
    double sum = 0;
    for (size_t i = 0; i < top; i++) sum += (double)values[i];
    *out = (float)(r->options->join == QN_PASSAGE_MEAN ? sum / (double)top : sum);
    return QN_OK;
}

static qn_status join_text(run *r, size_t i, qn_passage_score *out)
{
    const passage *p = r->passages.p + r->first[i];
    size_t n = r->first[i + 1] - r->first[i], best = 0;
    qn_passage_score o = {.passages = r->pieces[i], .scored = true};
    for (size_t k = 0; k < n; k++) {
        const passage *same = &r->passages.p[p[k].as];
        if (!same->known) {
            *out = (qn_passage_score){.passages = r->pieces[i]};
            return QN_OK;
        }
        o.tokens += same->score.tokens;
        o.truncated = o.truncated || same->score.truncated;
        float now = same->score.logit, most = r->passages.p[p[best].as].score.logit;
        if (now > most || (now == most && p[k].number < p[best].number)) best = k;
    }
    o.logit = r->passages.p[p[best].as].score.logit;
    o.start = p[best].at.start;
    o.end = p[best].at.end;
    o.passage = p[best].number;
    if (r->options->join == QN_PASSAGE_MEAN || r->options->join == QN_PASSAGE_SUM)
        QN_TRY(add_best(r, p, n, &o.logit));
    *out = o;
    return QN_OK;
}

static qn_status run_all(run *r, qn_passage_score *out, size_t *scored)
{
    r->first = qn_arena_array(&r->arena, r->n + 1, sizeof *r->first);
    r->pieces = qn_arena_array(&r->arena, r->n + 1, sizeof *r->pieces);
    if (r->first == NULL || r->pieces == NULL) return no_memory(r);
    QN_TRY(cut_all(r));
    QN_TRY(look_up(r));
    QN_TRY(ask_model(r));
    for (size_t i = 0; i < r->cut; i++) {
        QN_TRY(join_text(r, i, &out[i]));
        *scored += out[i].scored;
    }
    return QN_OK;
}

/* Every logit of a model with several labels: whole texts, straight through. */
static qn_status score_whole(const qn_passage_job *job, const qn_slice *texts, size_t n,
                             qn_passage_score *out, size_t *scored, qn_error *err)
{
    qn_alloc *a = job->q->alloc;
    if (job->options != NULL && job->options->chunking.strategy != QN_CHUNK_NONE)
        return qn_fail(err, QN_EINVAL,
                       "a model with several labels reads whole texts: no chunking");
    qn_rerank_doc *docs = qn_new_array(a, n + 1, sizeof *docs);
    if (docs == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    qn_rerank_options how = job->how;
    how.token_cache = job->q->tokens;
    qn_status st =
        qn_rerank_run(job->model, job->query, texts, n, &how, docs, NULL, err);
    for (size_t i = 0; i < n && st == QN_OK; i++) {
        out[i] = (qn_passage_score){.scored = docs[i].scored,
                                    .truncated = docs[i].truncated,
                                    .logit = docs[i].logit,
                                    .tokens = docs[i].tokens,
                                    .end = (uint32_t)texts[i].n,
                                    .passages = 1};
        *scored += docs[i].scored;
    }
    qn_delete(a, docs);
    return st;
}

qn_status qn_passages_score(const qn_passage_job *job, const qn_slice *texts, size_t n,
                            qn_passage_score *out, size_t *scored, qn_error *err)
{
    static const qn_passage_options whole;
    *scored = 0;
    if (n > QN_PASSAGES_MAX)
        return qn_fail(err, QN_ELIMIT, "%zu documents in one call, at most %d", n,
                       QN_PASSAGES_MAX);
    if (n > 0) memset(out, 0, n * sizeof *out);
    if (job->how.logits != NULL) return score_whole(job, texts, n, out, scored, err);
    run r = {.job = job,
             .options = job->options == NULL ? &whole : job->options,
             .texts = texts,
             .n = n,
             .err = err};
    qn_arena_init(&r.arena, job->q->alloc, ARENA_LIMIT);
    qn_status st = run_all(&r, out, scored);
    qn_chunker_destroy(r.chunker);
    qn_vec_deinit(job->q->alloc, &r.passages);
    qn_arena_deinit(&r.arena);
    return st;
}
