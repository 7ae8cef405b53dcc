/* SPDX-License-Identifier: Apache-2.0 */
/* search_words.c -- what a person typed, through a pipeline.
 *
 * The text path is a multi_match of the DSL, so that words and DSL score alike; the
 * vector path is one VECTOR leaf with the words embedded by the field's own model. */
#include "engine/search/search.h"

#include "engine/search/search_analysis.h"

#include "engine/control/rank_policies.h"

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "search");
}

/* ---- which pipeline ----------------------------------------------------------------------
 */

/* A name may be one of the table's own. */
static qn_slice resolve(const qn_search *s, qn_slice text)
{
    text = qn_slice_trim(text);
    if (text.n != 0 && text.p[0] == '{') return text;
    for (const qn_json *it = qn_json_items(s->snapshot->schema->pipelines); it != NULL;
         it = it->next)
        if (qn_slice_eq(it->key, text)) return it->raw;
    return text;
}

static qn_status find_pipeline(qn_search *s, const qn_pipeline **out, qn_error *err)
{
    qn_slice text = QN_SLICE_LIT("bm25");
    qn_slice own = s->snapshot->schema->pipeline;
    if (s->options.pipeline != NULL && s->options.pipeline[0] != 0) {
        text = qn_slice_of(s->options.pipeline);
    } else if (own.n != 0) {
        text = own;
        if (own.p[0] == '"') {
            const qn_json *name = NULL;
            QN_TRY(qn_json_parse(s->arena, own, &name, err));
            text = name->string;
        }
    }
    return qn_pipeline_parse(resolve(s, text), s->arena, out, err);
}

/* ---- text ----------------------------------------------------------------------------------
 */

static void add_fields(const qn_search *s, const qn_pipeline *p, qn_json_writer *w)
{
    const qn_schema *schema = s->snapshot->view.schema;
    qn_json_begin_array(w);
    for (size_t i = 0; i < p->text_field_count; i++)
        qn_json_string(w, p->text_fields[i]);
    for (size_t i = 0; p->text_field_count == 0 && i < schema->field_count; i++) {
        const qn_field *f = &schema->fields[i];
        if (f->type == QN_FIELD_TEXT && f->indexed && qn_slice_eq(f->name, f->path))
            qn_json_string(w, f->name);
    }
    qn_json_end_array(w);
}

static bool has_text(const qn_schema *schema)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].type == QN_FIELD_TEXT && schema->fields[i].indexed)
            return true;
    return false;
}

static qn_status text_query(qn_search *s, const qn_pipeline *p, const qn_query **out,
                            qn_error *err)
{
    if (!has_text(s->snapshot->view.schema)) {
        *out = qn_query_new(s->arena, QN_QUERY_NONE, 0);
        return *out == NULL ? no_memory(err) : QN_OK;
    }
    qn_buf b;
    qn_buf_init(&b, s->q->alloc);
    qn_json_writer w;
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "multi_match");
    qn_json_begin_object(&w);
    qn_json_member_slice(&w, "query", s->text);
    qn_json_key(&w, "fields");
    add_fields(s, p, &w);
    qn_json_member_str(&w, "type", "best_fields");
    qn_json_member_str(&w, "operator", p->operator_and ? "and" : "or");
    if (p->tie_breaker > 0)
        qn_json_member_double(&w, "tie_breaker", (double)p->tie_breaker);
    qn_json_end_object(&w);
    qn_json_end_object(&w);
    qn_slice text = qn_arena_slice(s->arena, qn_buf_slice(&b));
    bool failed = b.failed || text.p == NULL;
    qn_buf_deinit(&b);
    if (failed) return no_memory(err);
    const qn_json *node = NULL;
    const qn_query *query = NULL;
    QN_TRY(qn_json_parse(s->arena, text, &node, err));
    QN_TRY(qn_dsl_parse_query(s->arena, &s->env, text, node, &query, err));
    return qn_query_rewrite(s->arena, query, out, err);
}

/* ---- vectors ----------------------------------------------------------------------------------
 */

static qn_status vector_field(const qn_search *s, const qn_pipeline *p,
                              const qn_field **out, qn_error *err)
{
    const qn_schema *schema = s->snapshot->view.schema;
    *out = NULL;
    if (p->vector_field.n != 0) {
        const qn_field *f = qn_schema_field(schema, p->vector_field);
        const qn_index_def *d = qn_schema_index(schema, p->vector_field);
        if (f == NULL && d != NULL && d->kind == QN_INDEX_VECTOR)
            f = qn_schema_field_by_id(schema, d->fields[0]);
        if (f == NULL || f->type != QN_FIELD_VECTOR)
            return qn_fail(err, QN_ENOFIELD,
                           "the pipeline's vector field [%.*s] is no vector field",
                           QN_SLICE_ARG(p->vector_field));
        *out = f;
        return QN_OK;
    }
    for (size_t i = 0; i < schema->field_count && *out == NULL; i++)
        if (schema->fields[i].type == QN_FIELD_VECTOR &&
            schema->fields[i].model != NULL)
            *out = &schema->fields[i];
    if (*out != NULL) return QN_OK;
    return qn_fail(err, QN_ENOFIELD,
                   "this pipeline needs a vector field with quern_model, the table has "
                   "none");
}

static qn_status vector_query(qn_search *s, const qn_pipeline *p, const qn_query **out,
                              qn_error *err)
{
    const qn_field *f = NULL;
    QN_TRY(vector_field(s, p, &f, err));
    qn_query *query = qn_query_new(s->arena, QN_QUERY_VECTOR, 0);
    qn_query_field *fields = qn_arena_array(s->arena, 1, sizeof *fields);
    float *values = qn_arena_array(s->arena, f->dims, sizeof *values);
    if (query == NULL || fields == NULL || values == NULL) return no_memory(err);
    qn_slice words = qn_search__analysis_words(s, s->text);
    QN_TRY(s->env.embed(s->env.embed_ctx, f, NULL, words, values, err));
    *fields = (qn_query_field){.field = f, .boost = 1.0f};
    query->fields = fields;
    query->field_count = 1;
    query->u.vector.values = values;
    query->u.vector.k = p->vector_k;
    query->u.vector.num_candidates = p->vector_k;
    query->u.vector.search_params = QN_SLICE_LIT("");
    *out = query;
    return QN_OK;
}

/* ---- the whole -----------------------------------------------------------------------------
 */

static bool has_formula_stage(const qn_pipeline *p)
{
    for (size_t i = 0; i < p->stage_count; i++)
        if (p->stages[i].kind != QN_STAGE_NEURAL) return true;
    return false;
}

/* How many of the best by text can still matter; 0: all of them. */
static size_t text_depth(const qn_search *s, const qn_pipeline *p)
{
    if (p->text_k != 0) return p->text_k;
    if (has_formula_stage(p) || s->all_rows) return 0;
    size_t depth = s->wanted;
    for (size_t i = 0; i < p->stage_count; i++) {
        size_t keep =
            p->stages[i].keep == 0 ? QN_RANK_NEURAL_KEEP_DEFAULT : p->stages[i].keep;
        if (keep > depth) depth = keep;
    }
    for (size_t i = 0; i < s->own_stage_count; i++)
        if (s->own_stages[i].keep > depth) depth = s->own_stages[i].keep;
    if (p->has_vector && depth < QN_SEARCH_HYBRID_TEXT_K)
        depth = QN_SEARCH_HYBRID_TEXT_K;
    return depth == 0 ? 1 : depth;
}

static void add_path(qn_search *s, const char *name, const qn_query *query,
                     float weight, bool is_vector, size_t top_n)
{
    size_t i = s->path_count++;
    s->paths[i] = (qn_rank_path){.name = name,
                                 .query = query,
                                 .found = &s->found[i],
                                 .weight = weight,
                                 .is_vector = is_vector};
    s->top_n[i] = top_n;
}

qn_status qn_search__words_text(qn_search *s, const qn_query **out, qn_error *err)
{
    return text_query(s, s->pipeline, out, err);
}

qn_status qn_search__words(qn_search *s, qn_error *err)
{
    const qn_pipeline *p = NULL;
    const qn_query *query = NULL;
    if (s->text.n > QN_SEARCH_WORDS_BYTES_MAX)
        return qn_fail(err, QN_ELIMIT, "a query of %zu bytes, at most %d are allowed",
                       s->text.n, QN_SEARCH_WORDS_BYTES_MAX);
    QN_TRY(find_pipeline(s, &p, err));
    s->pipeline = p;
    s->request = (qn_request){
        .dialect = QN_DIALECT_DSL,
        .score_scale = 1.0f,
        .vector_in_score = true,
        .size = QN_REQUEST_SIZE_DEFAULT,
        .track_total = QN_TOTAL_EXACT,
    };
    s->size = s->options.hits < 0 ? QN_REQUEST_SIZE_DEFAULT : (size_t)s->options.hits;
    s->from = s->options.from < 0 ? 0 : (size_t)s->options.from;
    if (s->from > QN_SEARCH_WORDS_WINDOW_MAX ||
        s->size > QN_SEARCH_WORDS_WINDOW_MAX - s->from)
        return qn_fail(err, QN_EWINDOW,
                       "Result window is too large, from + size must be less than or "
                       "equal to: [%d] but was [%zu]",
                       QN_SEARCH_WORDS_WINDOW_MAX, s->from + s->size);
    s->wanted = s->from + s->size;
    s->scale = QN_RANK_PLAIN;
    s->fusion = p->fusion;
    if (p->has_text) {
        QN_TRY(text_query(s, p, &query, err));
        add_path(s, "text", query, p->text_weight, false, text_depth(s, p));
        s->request.query = query;
    }
    if (p->has_vector) {
        QN_TRY(vector_query(s, p, &query, err));
        add_path(s, "vector", query, p->vector_weight, true, 0);
        if (s->request.query == NULL) s->request.query = query;
    }
    for (size_t i = 0; i < p->stage_count; i++)
        s->stages[s->stage_count++] = p->stages[i];
    QN_TRY(qn_rank_policies_stages(s->q->control, s->table, s->arena, s->stages,
                                   s->stage_count, err));
    s->neural_fields = p->neural_fields;
    s->neural_field_count = p->neural_field_count;
    s->neural_tokens = p->neural_tokens;
    s->neural_budget_ms = p->neural_budget_ms;
    return QN_OK;
}
