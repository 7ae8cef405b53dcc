/* SPDX-License-Identifier: Apache-2.0 */
/* attribute.c -- which words moved a score: occlusion.
 *
 * Every number is a difference of two scores of the same model, computed like any other:
 * the pair's logit less the logit of the pair without a word. Nothing is approximated, and
 * nothing adds up: words act together. Passes in the order of what they tell: the pair and
 * the empty document; runs of words of a long document; the query's words; then single
 * words of the document, first those in runs that moved most. Where time is up the rest has
 * no number. */
#include "engine/models/attribute_units.h"
#include "engine/engine_internal.h"
#include "nn/model.h"

#include <math.h>
#include <stdlib.h>

enum {
    ARENA_LIMIT = 512 << 20,
    BATCH = 64,     /* variants at a time: their texts are held together */
    GROUPS_MIN = 24 /* fewer units are looked at one by one at once */
};

typedef struct group {
    size_t first, count; /* units of the document */
    bool scored;
    float effect;
} group;

typedef struct side {
    qn_slice text; /* what the model reads of it */
    qn_pieces pieces;
    qn_unit *units;
    size_t count, unread; /* unread: bytes after what it reads */
} side;

typedef struct attribution {
    quern *q;
    quern_attribute_options o;
    qn_model *model;
    qn_slice mask; /* empty: words are cut out */
    qn_deadline deadline;
    qn_arena arena;
    side query, document;
    group *groups;
    size_t group_count;
    uint32_t tokens;
    bool truncated, partial;
    float logit, whole, empty; /* whole: of the texts as given, before they were cut */
    size_t passes;
} attribution;

/* ---- passes ------------------------------------------------------------------------- */

/* Logits of documents for a query; NAN for those that time did not reach. */
static qn_status pass(attribution *a, qn_slice query, const quern_text *documents,
                      size_t count, quern_rerank_score *scores, qn_error *err)
{
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    memset(scores, 0, count * sizeof *scores);
    o.model = a->o.model;
    o.cancel = a->o.cancel;
    o.not_kept = true;
    o.truncation = a->o.truncation;
    o.tokens_max = a->o.tokens_max;
    o.query_tokens_max = a->o.query_tokens_max;
    o.document_tokens_max = a->o.document_tokens_max;
    if (a->o.timeout_ms > 0) {
        o.timeout_ms = qn_deadline_left_ns(&a->deadline) / 1000000;
        if (o.timeout_ms <= 0) return QN_OK;
    }
    size_t scored = 0;
    QN_TRY(quern_rerank(a->q, &o, (quern_text){query.p, query.n}, documents, count,
                        scores, &scored, err));
    a->passes += scored;
    return QN_OK;
}

static quern_text as_text(qn_slice s)
{
    return (quern_text){s.p, s.n};
}

/* The pair, and the query with nothing. */
static qn_status score_pair(attribution *a, float *logit, bool *truncated,
                            qn_error *err)
{
    const quern_text documents[2] = {as_text(a->document.text), {"", 0}};
    quern_rerank_score scores[2];
    QN_TRY(pass(a, a->query.text, documents, 2, scores, err));
    if (!scores[0].scored || !scores[1].scored)
        return qn_fail(err, QN_ETIMEOUT, "time was up before the pair was scored");
    *logit = scores[0].logit;
    *truncated = scores[0].truncated;
    a->tokens = scores[0].tokens;
    a->empty = scores[1].logit;
    return QN_OK;
}

/* ---- what the model reads ----------------------------------------------------------- */

static void keep_pieces(side *s, size_t kept)
{
    if (kept >= s->pieces.n) return;
    s->pieces.n = kept;
    size_t end = kept == 0 ? 0 : s->pieces.end[kept - 1];
    s->unread += s->text.n - end;
    s->text.n = end;
}

static size_t capped(size_t n, size_t cap)
{
    return cap > 0 && cap < n ? cap : n;
}

/* Cuts both texts to the tokens that the model reads of them: taking a word out of a text
 * that goes on would bring another one in. */
static qn_status cut_pair(attribution *a, qn_error *err)
{
    const qn_tokenizer *t = qn_model_tokenizer(a->model);
    const qn_model_info *info = qn_model_describe(a->model);
    qn_pair_lengths kept;
    QN_TRY(qn_tokenizer_encode(t, a->query.text, QN_TOKENIZE_SPECIALS, &a->arena,
                               &a->query.pieces, err));
    QN_TRY(qn_tokenizer_encode(t, a->document.text, QN_TOKENIZE_SPECIALS, &a->arena,
                               &a->document.pieces, err));
    if (!a->truncated) return QN_OK;
    size_t most = info->max_tokens;
    if (a->o.tokens_max > 0 && a->o.tokens_max < most) most = a->o.tokens_max;
    qn_truncation how = info->truncation;
    if (a->o.truncation != NULL)
        (void)qn_truncation_parse(qn_slice_of(a->o.truncation), &how);
    keep_pieces(&a->query, capped(a->query.pieces.n, a->o.query_tokens_max));
    keep_pieces(&a->document, capped(a->document.pieces.n, a->o.document_tokens_max));
    QN_TRY(qn_truncate_pair(a->query.pieces.n, a->document.pieces.n,
                            most - qn_tokenizer_extra(t, true), how, &kept, err));
    keep_pieces(&a->query, kept.first);
    keep_pieces(&a->document, kept.second);
    bool again = false;
    return score_pair(a, &a->logit, &again, err);
}

/* ---- variants ----------------------------------------------------------------------- */

static void take_effect(attribution *a, const quern_rerank_score *score, float *effect,
                        bool *known)
{
    *known = score->scored;
    *effect = score->scored ? a->logit - score->logit : 0;
    a->partial |= !score->scored;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "no memory for the texts without words");
}

/* Runs of units, as even as the root of their number. */
static qn_status make_groups(attribution *a, qn_error *err)
{
    size_t n = a->document.count;
    if (n < GROUPS_MIN) return QN_OK;
    size_t size = (size_t)ceil(sqrt((double)n));
    a->group_count = (n + size - 1) / size;
    a->groups = qn_arena_array(&a->arena, a->group_count, sizeof *a->groups);
    if (a->groups == NULL) return no_memory(err);
    for (size_t g = 0; g < a->group_count; g++) {
        size_t first = g * size, left = n - first;
        a->groups[g] = (group){.first = first, .count = left < size ? left : size};
    }
    return QN_OK;
}

static qn_status score_groups(attribution *a, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, a->q->alloc, ARENA_LIMIT);
    size_t n = a->group_count;
    quern_text *texts = qn_arena_array(&arena, n + 1, sizeof *texts);
    quern_rerank_score *scores = qn_arena_array(&arena, n + 1, sizeof *scores);
    qn_status st = texts == NULL || scores == NULL ? no_memory(err) : QN_OK;
    for (size_t g = 0; st == QN_OK && g < n; g++) {
        const group *one = &a->groups[g];
        qn_slice text =
            qn_units_without(a->document.text, a->document.units + one->first,
                             one->count, a->mask, &arena);
        if (text.p == NULL) st = no_memory(err);
        texts[g] = as_text(text);
    }
    if (st == QN_OK) st = pass(a, a->query.text, texts, n, scores, err);
    for (size_t g = 0; st == QN_OK && g < n; g++)
        take_effect(a, &scores[g], &a->groups[g].effect, &a->groups[g].scored);
    qn_arena_deinit(&arena);
    return st;
}

/* A word of the query is taken out of the query, so each needs a call of its own. */
static qn_status score_query(attribution *a, qn_error *err)
{
    const quern_text document = as_text(a->document.text);
    for (size_t i = 0; i < a->query.count; i++) {
        qn_arena arena;
        qn_arena_init(&arena, a->q->alloc, ARENA_LIMIT);
        qn_unit *u = &a->query.units[i];
        quern_rerank_score score;
        qn_slice text = qn_units_without(a->query.text, u, 1, a->mask, &arena);
        qn_status st =
            text.p == NULL ? no_memory(err) : pass(a, text, &document, 1, &score, err);
        if (st == QN_OK) take_effect(a, &score, &u->effect, &u->exact);
        qn_arena_deinit(&arena);
        QN_TRY(st);
    }
    return QN_OK;
}

static qn_status score_batch(attribution *a, qn_unit *const *units, size_t count,
                             qn_error *err)
{
    quern_text texts[BATCH];
    quern_rerank_score scores[BATCH];
    qn_arena arena;
    qn_arena_init(&arena, a->q->alloc, ARENA_LIMIT);
    qn_status st = QN_OK;
    for (size_t i = 0; st == QN_OK && i < count; i++) {
        qn_slice text =
            qn_units_without(a->document.text, units[i], 1, a->mask, &arena);
        if (text.p == NULL) st = no_memory(err);
        texts[i] = as_text(text);
    }
    if (st == QN_OK) st = pass(a, a->query.text, texts, count, scores, err);
    for (size_t i = 0; st == QN_OK && i < count; i++)
        take_effect(a, &scores[i], &units[i]->effect, &units[i]->exact);
    qn_arena_deinit(&arena);
    return st;
}

static int by_size(const void *x, const void *y)
{
    const group *a = x, *b = y;
    float da = fabsf(a->effect), db = fabsf(b->effect);
    if (da != db) return da > db ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first);
}

static qn_status score_document(attribution *a, qn_error *err)
{
    size_t n = a->document.count, at = 0;
    qn_unit **order = qn_arena_array(&a->arena, n + 1, sizeof(qn_unit *));
    group *groups = qn_arena_array(&a->arena, a->group_count + 1, sizeof *groups);
    if (order == NULL || groups == NULL) return no_memory(err);
    groups[0] = (group){.first = 0, .count = n};
    size_t count = a->group_count == 0 ? 1 : a->group_count;
    if (a->group_count > 0) {
        memcpy(groups, a->groups, count * sizeof *groups);
        qsort(groups, count, sizeof *groups, by_size);
    }
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < groups[g].count; i++)
            order[at++] = &a->document.units[groups[g].first + i];
    for (size_t i = 0; i < n; i += BATCH)
        QN_TRY(score_batch(a, order + i, n - i < BATCH ? n - i : BATCH, err));
    return QN_OK;
}

/* ---- telling ------------------------------------------------------------------------ */

static void write_effect(qn_json_writer *w, bool known, float effect)
{
    qn_json_key(w, "effect");
    known ? qn_json_float(w, effect) : qn_json_null(w);
}

static double write_side(qn_json_writer *w, const char *key, const side *s)
{
    double sum = 0;
    qn_json_key(w, key);
    qn_json_begin_array(w);
    for (size_t i = 0; i < s->count; i++) {
        const qn_unit *u = &s->units[i];
        qn_json_begin_object(w);
        qn_json_member_slice(w, "text",
                             (qn_slice){s->text.p + u->start, u->end - u->start});
        qn_json_member_int(w, "start", u->start);
        qn_json_member_int(w, "end", u->end);
        qn_json_member_int(w, "tokens", u->tokens);
        if (!u->word) qn_json_member_bool(w, "punctuation", true);
        write_effect(w, u->exact, u->effect);
        qn_json_end_object(w);
        if (u->exact) sum += (double)u->effect;
    }
    qn_json_end_array(w);
    return sum;
}

static void write_groups(qn_json_writer *w, const attribution *a)
{
    qn_json_key(w, "runs");
    qn_json_begin_array(w);
    for (size_t g = 0; g < a->group_count; g++) {
        const group *one = &a->groups[g];
        const qn_unit *units = a->document.units + one->first;
        qn_json_begin_object(w);
        qn_json_member_int(w, "start", units[0].start);
        qn_json_member_int(w, "end", units[one->count - 1].end);
        qn_json_member_int(w, "words", (int64_t)one->count);
        write_effect(w, one->scored, one->effect);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static void write_score(qn_json_writer *w, float logit)
{
    qn_json_key(w, "logit");
    qn_json_float(w, logit);
    qn_json_key(w, "score");
    qn_json_float(w, (float)(1 / (1 + exp(-(double)logit))));
}

static void write_all(const attribution *a, int64_t took_ns, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "method", "occlusion");
    qn_json_member_str(&w, "how", a->mask.n > 0 ? "mask" : "remove");
    qn_json_member_str(&w, "model", qn_model_describe(a->model)->name);
    write_score(&w, a->whole);
    qn_json_key(&w, "baseline");
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "of", "the query and an empty document");
    write_score(&w, a->empty);
    qn_json_end_object(&w);
    double query = write_side(&w, "query", &a->query);
    double document = write_side(&w, "document", &a->document);
    write_groups(&w, a);
    qn_json_member_double(&w, "query_sum", query);
    qn_json_member_double(&w, "document_sum", document);
    qn_json_member_double(&w, "document_difference",
                          (double)a->logit - (double)a->empty);
    qn_json_member_int(&w, "tokens", a->tokens);
    qn_json_member_bool(&w, "truncated", a->truncated);
    if (a->truncated) {
        qn_json_key(&w, "unread_bytes");
        qn_json_begin_object(&w);
        qn_json_member_int(&w, "query", (int64_t)a->query.unread);
        qn_json_member_int(&w, "document", (int64_t)a->document.unread);
        qn_json_end_object(&w);
    }
    qn_json_member_int(&w, "passes", (int64_t)a->passes);
    qn_json_member_bool(&w, "partial", a->partial);
    qn_json_member_double(&w, "took_ms", (double)(took_ns / 1000) / 1000);
    qn_json_end_object(&w);
}

/* ---- the call ----------------------------------------------------------------------- */

/* The model is to be released, whatever comes next. */
static qn_status get_model(attribution *a, const quern_attribute_options *given,
                           qn_error *err)
{
    a->o = (quern_attribute_options)QUERN_ATTRIBUTE_OPTIONS_INIT;
    if (given != NULL) {
        if (given->size > sizeof a->o)
            return qn_fail(err, QN_EINVAL,
                           "quern_attribute_options of a newer version");
        memcpy(&a->o, given, given->size);
    }
    a->deadline = (qn_deadline){.cancelled = a->o.cancel};
    if (a->o.timeout_ms > 0)
        a->deadline = qn_deadline_in_ms(a->o.timeout_ms, a->o.cancel);
    return qn_models_get_by(a->q->models, a->o.model, QN_MODEL_RERANK, &a->deadline,
                            &a->model, err);
}

static qn_status read_options(attribution *a, qn_error *err)
{
    if (qn_model_describe(a->model)->labels > 1)
        return qn_fail(err, QN_EMODELTASK,
                       "model %s has several labels: words move one score",
                       qn_model_describe(a->model)->name);
    const char *how = a->o.how == NULL ? "remove" : a->o.how;
    if (strcmp(how, "remove") == 0) return QN_OK;
    if (strcmp(how, "mask") != 0)
        return qn_fail(err, QN_EINVAL, "[%s]: words are taken out by remove or mask",
                       how);
    const qn_tokenizer *t = qn_model_tokenizer(a->model);
    int32_t mask = qn_tokenizer_special(t)->mask;
    if (mask >= 0) a->mask = qn_tokenizer_piece(t, (uint32_t)mask);
    if (a->mask.n > 0) return QN_OK;
    return qn_fail(err, QN_EUNSUPPORTED, "the model %s has no mask token: use remove",
                   qn_model_describe(a->model)->name);
}

static qn_status run(attribution *a, qn_error *err)
{
    QN_TRY(score_pair(a, &a->logit, &a->truncated, err));
    a->whole = a->logit;
    QN_TRY(cut_pair(a, err));
    QN_TRY(qn_units_find(a->q->analyzers, a->query.text, &a->query.pieces, &a->arena,
                         &a->query.units, &a->query.count, err));
    QN_TRY(qn_units_find(a->q->analyzers, a->document.text, &a->document.pieces,
                         &a->arena, &a->document.units, &a->document.count, err));
    QN_TRY(make_groups(a, err));
    QN_TRY(score_groups(a, err));
    QN_TRY(score_query(a, err));
    return score_document(a, err);
}

qn_status quern_attribute(quern *q, const quern_attribute_options *options,
                          quern_text query, quern_text document, char **json,
                          size_t *json_size, qn_error *err)
{
    attribution a = {.q = q, .mask = {"", 0}};
    int64_t begin = qn_clock_mono_ns();
    *json = NULL;
    QN_TRY(get_model(&a, options, err));
    a.query.text = (qn_slice){query.text, query.size};
    a.document.text = (qn_slice){document.text, document.size};
    qn_arena_init(&a.arena, q->alloc, ARENA_LIMIT);
    qn_buf out;
    qn_buf_init(&out, q->alloc);
    qn_status st = read_options(&a, err);
    if (st == QN_OK) st = run(&a, err);
    if (st == QN_OK) write_all(&a, qn_clock_mono_ns() - begin, &out);
    st = qn_engine_reply(&out, st, json, json_size, err);
    qn_arena_deinit(&a.arena);
    qn_models_release(q->models, a.model);
    return st;
}
