/* SPDX-License-Identifier: Apache-2.0 */
#include "server/reply_json.h"

static void rank_or_null(qn_json_writer *w, const char *key, uint32_t rank)
{
    qn_json_key(w, key);
    if (rank == QUERN_RANK_NONE)
        qn_json_null(w);
    else
        qn_json_int(w, rank);
}

static void write_stages(qn_json_writer *w, const quern_stage_scores *s)
{
    qn_json_key(w, "stages");
    qn_json_begin_object(w);
    qn_json_member_double(w, "text", s->text); /* NaN: null */
    qn_json_member_double(w, "vector", s->vector);
    qn_json_member_double(w, "rough", s->rough);
    qn_json_member_double(w, "fine", s->fine);
    qn_json_member_double(w, "neural", s->neural);
    qn_json_member_double(w, "neural_score", s->neural_score);
    rank_or_null(w, "recall_rank", s->recall_rank);
    rank_or_null(w, "rough_rank", s->rough_rank);
    rank_or_null(w, "fine_rank", s->fine_rank);
    rank_or_null(w, "neural_rank", s->neural_rank);
    rank_or_null(w, "final_rank", s->final_rank);
    qn_json_end_object(w);
}

static void write_explanation(qn_json_writer *w, const quern_explanation *e)
{
    qn_json_begin_object(w);
    qn_json_member_double(w, "value", e->value);
    qn_json_member_str(w, "description", e->description);
    qn_json_key(w, "details");
    qn_json_begin_array(w);
    for (size_t i = 0; i < e->detail_count; i++) write_explanation(w, &e->details[i]);
    qn_json_end_array(w);
    qn_json_end_object(w);
}

static void write_value(qn_json_writer *w, const quern_value *v)
{
    if (v->kind == QUERN_VALUE_INT)
        qn_json_int(w, v->integer);
    else if (v->kind == QUERN_VALUE_TEXT)
        qn_json_string(w, (qn_slice){v->text, v->text_size});
    else if (v->kind == QUERN_VALUE_NULL)
        qn_json_null(w);
    else
        qn_json_double(w, v->number);
}

/* Of the last neural stage that reached the hit; the hit has one. */
static const quern_neural_mark *last_mark(const quern_hit *h)
{
    size_t i = h->neural_count - 1;
    while (i > 0 && h->neural[i].rank == QUERN_RANK_NONE) i--;
    return &h->neural[i];
}

/* What each of several neural stages said: null where it did not reach the hit. */
static void write_neural(qn_json_writer *w, const quern_hit *h)
{
    qn_json_key(w, "neural");
    qn_json_begin_array(w);
    for (size_t i = 0; i < h->neural_count; i++) {
        const quern_neural_mark *m = &h->neural[i];
        qn_json_begin_object(w);
        qn_json_member_double(w, "logit", m->logit);
        qn_json_member_double(w, "score", m->score);
        rank_or_null(w, "rank", m->rank);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static void write_hit(qn_json_writer *w, const quern_hit *h)
{
    qn_json_begin_object(w);
    qn_json_member_slice(w, "id", (qn_slice){h->id, h->id_size});
    qn_json_member_double(w, "score", h->score);
    write_stages(w, &h->stages);
    if (h->sort_value_count > 0) {
        qn_json_key(w, "sort");
        qn_json_begin_array(w);
        for (size_t i = 0; i < h->sort_value_count; i++)
            write_value(w, &h->sort_values[i]);
        qn_json_end_array(w);
    }
    if (h->source != NULL) {
        qn_json_key(w, "source");
        qn_json_raw(w, (qn_slice){h->source, h->source_size});
    }
    if (h->attributes != NULL) {
        qn_json_key(w, "attributes");
        qn_json_raw(w, (qn_slice){h->attributes, h->attributes_size});
    }
    if (h->neural_count > 1) write_neural(w, h);
    if (h->passage != NULL) {
        const quern_neural_mark *m = last_mark(h);
        qn_json_key(w, "passage");
        qn_json_begin_object(w);
        qn_json_member_slice(w, "text", (qn_slice){h->passage, h->passage_size});
        qn_json_member_int(w, "offset", (int64_t)h->passage_start);
        qn_json_member_int(w, "number", m->passage);
        qn_json_member_int(w, "of", m->passages);
        qn_json_end_object(w);
    }
    if (h->explanation != NULL) {
        qn_json_key(w, "explanation");
        write_explanation(w, h->explanation);
    }
    if (h->trace != NULL)
        qn_json_member_slice(w, "trace", (qn_slice){h->trace, h->trace_size});
    if (h->trace_json != NULL) {
        qn_json_key(w, "stages_trace");
        qn_json_raw(w, (qn_slice){h->trace_json, h->trace_json_size});
    }
    qn_json_end_object(w);
}

void qn_reply_neural_json(qn_json_writer *w, const quern_reply *r)
{
    qn_json_key(w, "stages");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->neural_stage_count; i++) {
        const quern_neural_report *s = &r->neural_stages[i];
        qn_json_begin_object(w);
        qn_json_member_str(w, "model", s->model);
        qn_json_member_int(w, "scored", (int64_t)s->scored);
        qn_json_member_int(w, "of", (int64_t)s->of);
        qn_json_member_double(w, "ms", s->ms);
        qn_json_member_bool(w, "timed_out", s->timed_out);
        if (s->skipped) qn_json_member_bool(w, "skipped", true);
        if (s->failure != QN_OK)
            qn_json_member_str(w, "failure", quern_status_describe(s->failure)->name);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static void write_reports(qn_json_writer *w, const quern_reply *r)
{
    qn_json_key(w, "stages");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->stage_count; i++) {
        qn_json_begin_object(w);
        qn_json_member_str(w, "name", r->stages[i].name);
        qn_json_member_int(w, "in", (int64_t)r->stages[i].in);
        qn_json_member_int(w, "out", (int64_t)r->stages[i].out);
        qn_json_member_double(w, "ms", r->stages[i].ms);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    if (r->analysis != NULL) {
        qn_json_key(w, "analysis");
        qn_json_raw(w, (qn_slice){r->analysis, r->analysis_size});
    }
    if (!r->reranked) return;
    qn_json_key(w, "rerank");
    qn_json_begin_object(w);
    qn_json_member_str(w, "model", r->rerank_model == NULL ? "" : r->rerank_model);
    qn_json_member_int(w, "scored", (int64_t)r->rerank_scored);
    qn_json_member_int(w, "of", (int64_t)r->rerank_of);
    qn_json_member_bool(w, "timed_out", r->rerank_timed_out);
    if (r->neural_stage_count > 1) qn_reply_neural_json(w, r);
    qn_json_end_object(w);
}

/* [{"key": "brand", "groups": [{"value": "x", "count()": "3"}]}] */
static void write_facets(qn_json_writer *w, const quern_reply *r)
{
    if (r->facet_count == 0) return;
    qn_json_key(w, "facets");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->facet_count; i++) {
        const quern_facet *f = &r->facets[i];
        qn_json_begin_object(w);
        qn_json_member_str(w, "key", f->key);
        qn_json_key(w, "groups");
        qn_json_begin_array(w);
        for (size_t k = 0; k < f->group_count; k++) {
            const quern_facet_group *g = &f->groups[k];
            qn_json_begin_object(w);
            qn_json_member_slice(w, "value", (qn_slice){g->value, g->value_size});
            for (size_t j = 0; j < f->function_count; j++)
                qn_json_member_str(w, f->functions[j], g->results[j]);
            qn_json_end_object(w);
        }
        qn_json_end_array(w);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

void qn_reply_json(qn_json_writer *w, const char *table, const quern_reply *r)
{
    qn_json_begin_object(w);
    qn_json_member_str(w, "table", table);
    qn_json_member_int(w, "total", (int64_t)r->total);
    qn_json_member_bool(w, "total_is_lower_bound", r->total_is_lower_bound);
    qn_json_member_double(w, "took_ms", r->took_ms);
    qn_json_member_bool(w, "timed_out", r->timed_out);
    write_reports(w, r);
    qn_json_key(w, "hits");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->hit_count; i++) write_hit(w, &r->hits[i]);
    qn_json_end_array(w);
    write_facets(w, r);
    if (r->warning_count > 0) {
        qn_json_key(w, "warnings");
        qn_json_begin_array(w);
        for (size_t i = 0; i < r->warning_count; i++) {
            qn_json_begin_object(w);
            qn_json_member_str(w, "code",
                               quern_status_describe(r->warnings[i].code)->name);
            qn_json_member_str(w, "text", r->warnings[i].text);
            qn_json_end_object(w);
        }
        qn_json_end_array(w);
    }
    if (r->trace != NULL)
        qn_json_member_slice(w, "trace", (qn_slice){r->trace, r->trace_size});
    qn_json_end_object(w);
}

void qn_reply_deployment_json(qn_json_writer *w, const quern_deployment *d)
{
    qn_json_begin_object(w);
    qn_json_member_bool(w, "adaptive", d->adaptive);
    if (d->adaptive) {
        qn_json_member_int(w, "min_allocations", d->allocations_min);
        qn_json_member_int(w, "max_allocations", d->allocations_max);
        qn_json_member_int(w, "idle_ms", d->idle_ms);
    } else {
        qn_json_member_int(w, "allocations", d->allocations);
    }
    qn_json_member_int(w, "threads", d->threads);
    qn_json_end_object(w);
}
