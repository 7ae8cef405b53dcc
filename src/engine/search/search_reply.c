/* SPDX-License-Identifier: Apache-2.0 */
/* search_reply.c -- ranked documents become the reply: ids, sources, values, facts. */
#include "engine/search/search.h"
#include "engine/search/search_analysis.h"
#include "engine/search/search_explain.h"
#include "rank/plugin.h"
#include "engine/table/table_overlay.h"
#include "nn/calls/rerank.h"

#include <math.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "reply");
}

static const char *text_of(const qn_search *s, qn_slice text)
{
    return qn_arena_strndup(s->arena, text.p == NULL ? "" : text.p, text.n);
}

/* ---- one hit ---------------------------------------------------------------------------------
 */

static quern_stage_scores scores_of(const qn_ranked *d)
{
    return (quern_stage_scores){
        .text = d->text,
        .vector = d->vector,
        .rough = d->rough,
        .fine = d->fine,
        .neural = d->neural,
        .neural_score =
            isnan(d->neural) ? (double)NAN : (double)qn_rerank_score((float)d->neural),
        .recall_rank = d->recall_rank,
        .rough_rank = d->rough_rank,
        .fine_rank = d->fine_rank,
        .neural_rank = d->neural_rank,
        .final_rank = d->final_rank,
    };
}

static qn_status sort_values(const qn_search *s, size_t place, quern_hit *hit,
                             qn_error *err)
{
    /* HA3 tells the score as its one key; the others tell keys that were asked for. */
    if (s->input.sort_count == 0 && s->options.kind != QUERN_QUERY_HA3) return QN_OK;
    size_t keys = s->input.sort_count == 0 ? 1 : s->input.sort_count;
    if (place >= s->ranked.sort_value_rows || s->ranked.sort_values == NULL)
        return QN_OK;
    quern_value *out = qn_arena_array(s->arena, keys, sizeof *out);
    if (out == NULL) return no_memory(err);
    for (size_t i = 0; i < keys; i++) {
        const qn_sort_value *v = &s->ranked.sort_values[place * keys + i];
        switch (v->kind) {
        case QN_SORT_VALUE_MISSING:
            out[i].kind = QUERN_VALUE_NULL;
            break;
        case QN_SORT_VALUE_INT:
            out[i].kind = QUERN_VALUE_INT;
            break;
        case QN_SORT_VALUE_DOUBLE:
            out[i].kind = QUERN_VALUE_DOUBLE;
            break;
        case QN_SORT_VALUE_TEXT:
            out[i].kind = QUERN_VALUE_TEXT;
            break;
        case QN_SORT_VALUE_SCORE:
            out[i].kind = QUERN_VALUE_SCORE;
            break;
        }
        out[i].integer = v->i64;
        out[i].number = v->f64;
        if (v->kind != QN_SORT_VALUE_TEXT) continue;
        out[i].text = text_of(s, v->text);
        out[i].text_size = v->text.n;
        if (out[i].text == NULL) return no_memory(err);
    }
    hit->sort_values = out;
    hit->sort_value_count = keys;
    return QN_OK;
}

/* What every formula made of it, as text and as JSON. */
static qn_status fill_trace_of(const qn_search *s, const qn_ranked *d, quern_hit *hit,
                               qn_error *err)
{
    if (d->trace == NULL || d->trace->stage_count == 0) return QN_OK;
    qn_buf text, json;
    qn_buf_init(&text, s->q->alloc);
    qn_buf_init(&json, s->q->alloc);
    qn_trace_text(d->trace, &text);
    qn_trace_json(d->trace, &json);
    hit->trace = text_of(s, qn_buf_slice(&text));
    hit->trace_size = text.n;
    hit->trace_json = text_of(s, qn_buf_slice(&json));
    hit->trace_json_size = json.n;
    bool failed =
        text.failed || json.failed || hit->trace == NULL || hit->trace_json == NULL;
    qn_buf_deinit(&text);
    qn_buf_deinit(&json);
    return failed ? no_memory(err) : QN_OK;
}

/* The variables that a plug-in returns with the document. */
static qn_status fill_variables(const qn_search *s, const qn_ranked *d, quern_hit *hit,
                                qn_error *err)
{
    if (d->plugin_value_count == 0) return QN_OK;
    qn_json_writer w;
    qn_buf b;
    qn_buf_init(&b, s->q->alloc);
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    for (size_t i = 0; i < d->plugin_value_count; i++) {
        const qn_plugin_value *v = &d->plugin_values[i];
        qn_json_key_slice(&w, v->name);
        if (v->is_integer)
            qn_json_int(&w, v->i64);
        else
            qn_json_double(&w, v->f64);
    }
    qn_json_end_object(&w);
    hit->variables = text_of(s, qn_buf_slice(&b));
    hit->variables_size = b.n;
    bool failed = b.failed || hit->variables == NULL;
    qn_buf_deinit(&b);
    return failed ? no_memory(err) : QN_OK;
}

/* What each neural stage said. */
static qn_status fill_marks(const qn_search *s, const qn_ranked *d, quern_hit *hit,
                            qn_error *err)
{
    static const qn_neural_mark none = {
        .logit = (double)NAN, .score = (double)NAN, .rank = UINT32_MAX};
    size_t n = s->ranked.neural_run_count;
    if (n == 0) return QN_OK;
    quern_neural_mark *marks = qn_arena_array(s->arena, n, sizeof *marks);
    if (marks == NULL) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const qn_neural_mark *m = d->marks == NULL ? &none : &d->marks[i];
        marks[i] = (quern_neural_mark){
            .logit = m->logit,
            .score = m->score,
            .rank = m->rank,
            .passage = m->passage,
            .passages = m->passages,
        };
    }
    hit->neural = marks;
    hit->neural_count = n;
    return QN_OK;
}

/* The neural stage number `i` of the search. */
static const qn_stage *neural_stage(const qn_search *s, size_t i)
{
    for (size_t k = 0; k < s->stage_count; k++)
        if (s->stages[k].kind == QN_STAGE_NEURAL && i-- == 0) return &s->stages[k];
    return NULL;
}

/* Where a text was cut; an explanation has what was read of one that was not, too. */
static bool shows_passage(const qn_search *s, const qn_ranked *d)
{
    if (d->marks == NULL || d->reached == 0) return false;
    uint32_t passages = d->marks[d->reached - 1].passages;
    return passages > 1 ||
           (passages == 1 && (s->options.explain || s->request.explain));
}

/* The words of the best passage: the text is made again as the model read it. */
static qn_status fill_passage(const qn_search *s, const qn_ranked *d, qn_slice source,
                              quern_hit *hit, qn_error *err)
{
    if (!shows_passage(s, d)) return QN_OK;
    const qn_neural_mark *m = &d->marks[d->reached - 1];
    const qn_stage *stage = neural_stage(s, d->reached - 1);
    if (stage == NULL) return QN_OK;
    bool own = stage->field_count > 0;
    qn_slice text = {0};
    source = qn_arena_slice(s->arena, source);
    if (source.p == NULL) return no_memory(err);
    QN_TRY(qn_neural_text(
        s->arena, s->snapshot->view.schema, own ? stage->fields : s->neural_fields,
        own ? stage->field_count : s->neural_field_count, source, &text, err));
    if (m->passage_end > text.n) return QN_OK;
    hit->passage = text_of(
        s, (qn_slice){text.p + m->passage_start, m->passage_end - m->passage_start});
    hit->passage_size = m->passage_end - m->passage_start;
    hit->passage_start = m->passage_start;
    return hit->passage == NULL ? no_memory(err) : QN_OK;
}

static qn_status fill_hit(qn_search *s, size_t place, qn_buf *scratch, quern_hit *hit,
                          qn_error *err)
{
    const qn_ranked *d = &s->ranked.docs[place];
    const qn_segment *segment = s->snapshot->view.segments[d->segment].segment;
    qn_slice id = {0}, source = {0};
    if (s->fetched != NULL && !s->fetched[place]) {
        hit->id = ""; /* a hit without fields stands for what is not there */
        return QN_OK;
    }
    QN_TRY(qn_segment_id(segment, d->doc, &id, err));
    bool shown = qn_search__wants_source(s);
    if (shown || shows_passage(s, d))
        QN_TRY(qn_patched_source(segment, d->doc, scratch, &source, err));
    QN_TRY(fill_marks(s, d, hit, err));
    QN_TRY(fill_passage(s, d, source, hit, err));
    if (shown)
        QN_TRY(qn_search__source(s, source, &source, err));
    else
        source = (qn_slice){NULL, 0};
    hit->id = text_of(s, id);
    hit->id_size = id.n;
    hit->source = source.p;
    hit->source_size = source.n;
    qn_slice attributes = {0};
    QN_TRY(qn_search__attributes(s, d, &attributes, err));
    hit->attributes = attributes.p;
    hit->attributes_size = attributes.n;
    hit->score = d->score;
    hit->stages = scores_of(d);
    if (s->pruned) {
        QN_TRY(qn_search__text_score(s, d, &hit->stages.text, err));
        hit->stages.recall_rank = QUERN_RANK_NONE; /* nobody sorted by it */
    }
    QN_TRY(fill_trace_of(s, d, hit, err));
    QN_TRY(fill_variables(s, d, hit, err));
    const qn_live_segment *live = s->snapshot->segments[d->segment];
    const qn_overlaid *newer = s->snapshot->overlaid[d->segment];
    qn_column_get_i64(newer == NULL ? &live->seq_no : &newer->seq_no, &d->doc, 1,
                      &hit->seq_no, NULL);
    qn_column_get_i64(newer == NULL ? &live->version : &newer->version, &d->doc, 1,
                      &hit->version, NULL);
    if (hit->id == NULL) return no_memory(err);
    QN_TRY(sort_values(s, place, hit, err));
    if (s->options.explain || s->request.explain)
        QN_TRY(qn_search__explain(s, d, &hit->explanation, err));
    return QN_OK;
}

/* ---- facts about the search --------------------------------------------------------------------
 */

static qn_status fill_stages(const qn_search *s, double fetch_ms, quern_reply *r,
                             qn_error *err)
{
    const qn_rank_result *k = &s->ranked;
    quern_stage_report *out = qn_arena_array(s->arena, k->stage_count + 3, sizeof *out);
    if (out == NULL) return no_memory(err);
    size_t n = 0;
    bool has_recall = k->stage_count != 0 && strcmp(k->stages[0].name, "recall") == 0;
    if (!has_recall)
        out[n++] = (quern_stage_report){"recall", s->snapshot->live_count, s->total,
                                        s->recall_ms};
    for (size_t i = 0; i < k->stage_count; i++) {
        out[n] = (quern_stage_report){k->stages[i].name, k->stages[i].in,
                                      k->stages[i].out, k->stages[i].ms};
        if (i == 0 && has_recall) {
            out[n].in = s->snapshot->live_count;
            out[n].ms += s->recall_ms;
        }
        n++;
    }
    uint64_t groups = 0;
    for (size_t i = 0; i < s->facets.n; i++) groups += s->facets.p[i].groups_found;
    if (s->facets.n > 0)
        out[n++] =
            (quern_stage_report){"aggregate", s->facets_in, groups, s->facets_ms};
    out[n++] = (quern_stage_report){"fetch", r->hit_count, r->hit_count, fetch_ms};
    r->stages = out;
    r->stage_count = n;
    return QN_OK;
}

static qn_status fill_ha3(const qn_search *s, quern_reply *r, qn_error *err)
{
    const qn_request *q = &s->request;
    size_t keys = q->sort_count == 0 ? 1 : q->sort_count;
    const char **names = qn_arena_array(s->arena, keys, sizeof *names);
    const char **fields =
        qn_arena_array(s->arena, q->fetch_field_count + 1, sizeof *fields);
    if (names == NULL || fields == NULL) return no_memory(err);
    names[0] = "-RANK";
    for (size_t i = 0; i < q->sort_count; i++) {
        names[i] =
            qn_arena_printf(s->arena, "%c%.*s", q->sort[i].descending ? '-' : '+',
                            QN_SLICE_ARG(q->sort[i].text));
        if (names[i] == NULL) return no_memory(err);
    }
    for (size_t i = 0; i < q->fetch_field_count; i++)
        fields[i] = text_of(s, q->fetch_fields[i]);
    r->sort_key_names = names;
    r->sort_key_count = keys;
    r->fetch_fields = q->fetch_field_count == 0 ? NULL : fields;
    r->fetch_field_count = q->fetch_field_count;
    r->format = text_of(s, q->format.n == 0 ? QN_SLICE_LIT("xml") : q->format);
    r->no_summary = q->no_summary;
    r->want_trace = q->rank_trace.n != 0;
    r->want_cache_info = q->cache_info;
    r->fetched = q->fetch_count > 0;
    r->fetched_by_key = r->fetched && q->fetch_by == QN_FETCH_RAWPK;
    if (r->fetched) r->sort_key_count = 0;
    size_t parts = s->snapshot->view.segment_count, damaged = s->snapshot->damage_count;
    r->covered_percent =
        damaged == 0 ? 100 : 100.0 * (double)parts / (double)(parts + damaged);
    return r->format == NULL ? no_memory(err) : QN_OK;
}

static qn_status fill_trace(const qn_search *s, quern_reply *r, qn_error *err)
{
    if (!s->options.explain && s->request.trace.n == 0) return QN_OK;
    qn_buf b;
    qn_buf_init(&b, s->q->alloc);
    for (size_t i = 0; i < s->path_count; i++) {
        qn_buf_printf(&b, "path %s: ", s->paths[i].name);
        qn_query_dump(s->paths[i].query, &b);
        qn_buf_printf(&b, "\n  matched %llu, kept %zu\n",
                      (unsigned long long)s->found[i].total, s->found[i].count);
    }
    if (r->analysis != NULL) qn_buf_printf(&b, "query analysis: %s\n", r->analysis);
    for (size_t i = 0; i < r->stage_count; i++)
        qn_buf_printf(&b, "stage %s: in %llu, out %llu, %.3f ms\n", r->stages[i].name,
                      (unsigned long long)r->stages[i].in,
                      (unsigned long long)r->stages[i].out, r->stages[i].ms);
    for (size_t i = 0; i < s->stage_count; i++)
        if (s->stages[i].formula.n != 0)
            qn_buf_printf(&b, "formula: %.*s\n", QN_SLICE_ARG(s->stages[i].formula));
    r->trace = text_of(s, qn_buf_slice(&b));
    r->trace_size = b.n;
    bool failed = b.failed || r->trace == NULL;
    qn_buf_deinit(&b);
    return failed ? no_memory(err) : QN_OK;
}

static void fill_total(const qn_search *s, quern_reply *r)
{
    int64_t limit = s->request.track_total;
    r->total = s->total;
    r->track_total = limit != 0;
    r->total_is_lower_bound = !s->total_exact;
    if (limit > 0 && limit != QN_TOTAL_EXACT && s->total > (uint64_t)limit) {
        r->total = (uint64_t)limit;
        r->total_is_lower_bound = true;
    }
}

static bool sorted_by_field(const qn_request *r)
{
    for (size_t i = 0; i < r->sort_count; i++)
        if (r->sort[i].kind == QN_SORT_SCORE) return false;
    return r->sort_count != 0;
}

/* What ranking and aggregations say, a policy that cannot be read, and what was left out of the search
 * because it is damaged. */
static qn_status fill_warnings(const qn_search *s, quern_reply *r, qn_error *err)
{
    size_t damaged = s->snapshot->damage_count, ranked = s->ranked.warning_count, n = 0;
    size_t grouped = s->facets.warning_count;
    qn_error *all =
        qn_arena_array(s->arena, ranked + grouped + damaged + 2, sizeof *all);
    if (all == NULL) return no_memory(err);
    for (size_t i = 0; i < ranked; i++) all[n++] = s->ranked.warnings[i];
    for (size_t i = 0; i < grouped; i++) all[n++] = s->facets.warnings[i];
    if (s->policy_warning.code != QN_OK) all[n++] = s->policy_warning;
    if (s->analysis_warning.code != QN_OK) all[n++] = s->analysis_warning;
    for (size_t i = 0; i < damaged; i++) {
        all[n] = s->snapshot->damage[i];
        all[n++].code = QN_ECORRUPT;
    }
    r->warnings = all;
    r->warning_count = n;
    return QN_OK;
}

/* What became of each neural stage. */
static qn_status fill_neural(const qn_search *s, quern_reply *r, qn_error *err)
{
    size_t n = s->ranked.neural_run_count;
    quern_neural_report *list = qn_arena_array(s->arena, n + 1, sizeof *list);
    if (list == NULL) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const qn_neural_run *run = &s->ranked.neural_runs[i];
        list[i] = (quern_neural_report){
            .model = text_of(s, qn_slice_of(run->model == NULL ? "" : run->model)),
            .scored = run->scored,
            .of = run->of,
            .ms = run->ms,
            .timed_out = run->timed_out,
            .skipped = run->skipped,
            .failure = run->failure,
        };
        if (list[i].model == NULL) return no_memory(err);
    }
    r->neural_stages = list;
    r->neural_stage_count = n;
    return QN_OK;
}

qn_status qn_search__reply(qn_search *s, size_t first, size_t count, quern_reply *r,
                           qn_error *err)
{
    int64_t began = qn_clock_mono_ns();
    quern_hit *hits = qn_arena_array(s->arena, count + 1, sizeof *hits);
    if (hits == NULL) return no_memory(err);
    qn_buf scratch;
    qn_buf_init(&scratch, s->q->alloc);
    qn_status st = QN_OK;
    for (size_t i = 0; i < count && st == QN_OK; i++)
        st = fill_hit(s, first + i, &scratch, &hits[i], err);
    qn_buf_deinit(&scratch);
    QN_TRY(st);
    r->hits = hits;
    r->hit_count = count;
    fill_total(s, r);
    bool ranked = s->wanted != 0 && !s->options.count_only;
    r->sorted_by_field = sorted_by_field(&s->request);
    r->max_score = ranked && !r->sorted_by_field && s->ranked.count != 0
                       ? s->ranked.max_score
                       : (double)NAN;
    r->timed_out = s->timed_out;
    r->reranked = s->ranked.neural_ran;
    r->rerank_scored = s->ranked.neural_scored;
    r->rerank_of = s->ranked.neural_of;
    r->rerank_timed_out = s->ranked.neural_timed_out;
    if (s->neural.model_name != NULL)
        r->rerank_model = text_of(s, qn_slice_of(s->neural.model_name));
    QN_TRY(fill_neural(s, r, err));
    QN_TRY(fill_warnings(s, r, err));
    QN_TRY(qn_search__fill_facets(s, r, err));
    QN_TRY(qn_search__analysis_reply(s, r, err));
    if (s->options.kind == QUERN_QUERY_HA3) QN_TRY(fill_ha3(s, r, err));
    QN_TRY(fill_stages(s, (double)(qn_clock_mono_ns() - began) / 1e6, r, err));
    QN_TRY(fill_trace(s, r, err));
    r->took_ms = (double)(qn_clock_mono_ns() - s->began_ns) / 1e6;
    return QN_OK;
}
