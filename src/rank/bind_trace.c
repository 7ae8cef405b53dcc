/* SPDX-License-Identifier: Apache-2.0 */
/* bind_trace.c -- what a formula made of one document: its terms, what it asked for with the
 * words that features saw, and every sub-expression, each compiled as a formula of its own. */
#include "rank/bind_internal.h"

#include <math.h>

typedef struct qn_rank_parts {
    size_t n;
    qn_expr_part parts[QN_TRACE_PARTS_MAX];
    qn_rank_formula *formulas[QN_TRACE_PARTS_MAX]; /* NULL: has no number */
} qn_rank_parts;

typedef struct tracing {
    qn_rank_formula *f;
    size_t segment;
    uint32_t doc;
    const qn_rank_facts *facts;
    qn_arena *arena;
    qn_trace_stage *out;
    qn_error *err;
} tracing;

static qn_status no_memory(const tracing *t)
{
    return qn_fail(t->err, QN_ENOMEM, "trace");
}

/* ---- features and the words they saw ---------------------------------------------------- */

static qn_status field_words(const tracing *t, const qn_slot_field *field,
                             qn_trace_word *words, size_t *n)
{
    const qn_binding *b = qn_rank__formula_binding(t->f);
    qn_match_walk *walk = NULL;
    qn_match_view view;
    QN_TRY(qn_match_walk_open(b->in->snapshot, t->segment, field->field, &field->words,
                              true, t->arena, &walk, t->err));
    QN_TRY(qn_match_walk_to(walk, t->doc, &view, t->err));
    for (size_t i = 0; i < view.term_count && i < field->words.n; i++) {
        const qn_match_term *term = &view.terms[i];
        size_t shown = term->positions == NULL ? 0 : term->count;
        if (shown > QN_TRACE_POSITIONS_MAX) shown = QN_TRACE_POSITIONS_MAX;
        uint32_t *positions = qn_arena_array(t->arena, shown + 1, sizeof *positions);
        if (positions == NULL) return no_memory(t);
        if (shown > 0) memcpy(positions, term->positions, shown * sizeof *positions);
        words[(*n)++] = (qn_trace_word){.text = field->words.p[i].spelling_count == 0
                                                    ? QN_SLICE_LIT("")
                                                    : field->words.p[i].spellings[0],
                                        .field = field->field->name,
                                        .count = term->count,
                                        .positions = positions,
                                        .position_count = shown,
                                        .length = view.length,
                                        .idf = term->idf};
    }
    return QN_OK;
}

static qn_status input_words(const tracing *t, uint32_t slot_number, qn_trace_part *out)
{
    const qn_binding *b = qn_rank__formula_binding(t->f);
    if (slot_number >= b->slots.n) return QN_OK;
    const qn_slot *slot = &b->slots.p[slot_number];
    size_t most = 0, n = 0;
    for (size_t f = 0; slot->fields != NULL && f < slot->field_count; f++)
        most += slot->fields[f].words.n;
    if (most == 0) return QN_OK;
    qn_trace_word *words = qn_arena_array(t->arena, most, sizeof *words);
    if (words == NULL) return no_memory(t);
    for (size_t f = 0; f < slot->field_count; f++)
        QN_TRY(field_words(t, &slot->fields[f], words, &n));
    out->words = words;
    out->word_count = n;
    return QN_OK;
}

/* ---- terms and inputs ---------------------------------------------------------------------- */

static qn_status take_terms(const tracing *t, const qn_expr *e, const double *values,
                            qn_trace_part *terms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        qn_expr_term term = qn_expr_term_at(e, i);
        const char *text = qn_arena_printf(t->arena, "%s%.*s", term.minus ? "-" : "",
                                           QN_SLICE_ARG(term.text));
        if (text == NULL) return no_memory(t);
        terms[i] = (qn_trace_part){
            .text = qn_slice_of(text), .parent = UINT32_MAX, .value = values[i]};
    }
    t->out->terms = terms;
    t->out->term_count = n;
    return QN_OK;
}

static qn_status take_inputs(const tracing *t, const qn_expr *e, const double *values,
                             qn_trace_part *inputs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const qn_expr_input *input = qn_expr_input_at(e, i);
        inputs[i] = (qn_trace_part){.text = qn_arena_slice(t->arena, input->text),
                                    .parent = UINT32_MAX,
                                    .value = values[i]};
        if (inputs[i].text.p == NULL) return no_memory(t);
        if (input->is_call && !input->symbol.constant)
            QN_TRY(input_words(t, input->symbol.slot, &inputs[i]));
    }
    t->out->inputs = inputs;
    t->out->input_count = n;
    return QN_OK;
}

static qn_status terms_and_inputs(const tracing *t, qn_trace_level level)
{
    const qn_expr *e = qn_rank__formula_expr(t->f);
    size_t terms = qn_expr_term_count(e), inputs = qn_expr_input_count(e);
    double *values = qn_arena_array(t->arena, terms + inputs + 1, sizeof *values);
    qn_trace_part *parts = qn_arena_array(t->arena, terms + inputs + 1, sizeof *parts);
    if (values == NULL || parts == NULL) return no_memory(t);
    qn_expr_batch batch =
        qn_rank__formula_batch(t->f, t->segment, &t->doc, 1, t->facts);
    QN_TRY(qn_expr_trace(qn_alloc_heap(), e, &batch, values, values + terms, t->err));
    QN_TRY(take_terms(t, e, values, parts, terms));
    if (level < QN_TRACE_INPUTS) return QN_OK;
    return take_inputs(t, e, values + terms, parts + terms, inputs);
}

/* ---- sub-expressions ------------------------------------------------------------------------- */

void qn_rank__parts_close(struct qn_rank_parts *parts)
{
    if (parts == NULL) return;
    for (size_t i = 0; i < parts->n; i++) qn_rank_formula_close(parts->formulas[i]);
    qn_delete(qn_alloc_heap(), parts);
}

/* A string or a list has no number. Logits of models are known by their place in the whole
 * formula, so what asks for one has its value among the inputs alone. */
static qn_status open_part(const tracing *t, qn_slice text, qn_rank_formula **out)
{
    const qn_binding *b = qn_rank__formula_binding(t->f);
    qn_error ignored;
    size_t models = 0;
    qn_status st = qn_rank_formula_open(b->in, b->arena, "trace", text,
                                        qn_rank__formula_where(t->f), out, &ignored);
    if (st == QN_ENOMEM) return no_memory(t);
    if (st != QN_OK) return QN_OK;
    (void)qn_rank_formula_models(*out, &models);
    if (models > 0) {
        qn_rank_formula_close(*out);
        *out = NULL;
    }
    return QN_OK;
}

static qn_status make_parts(const tracing *t)
{
    qn_rank_parts **kept = qn_rank__formula_parts(t->f);
    if (*kept != NULL) return QN_OK;
    qn_rank_parts *p = *kept = qn_new0(qn_alloc_heap(), sizeof *p);
    if (p == NULL) return no_memory(t);
    size_t n = qn_expr_parts(qn_rank__formula_expr(t->f), p->parts, QN_TRACE_PARTS_MAX);
    for (size_t i = 0; i < n; i++) {
        QN_TRY(open_part(t, p->parts[i].text, &p->formulas[i]));
        p->n = i + 1;
    }
    return QN_OK;
}

static qn_status sub_expressions(const tracing *t)
{
    QN_TRY(make_parts(t));
    const qn_rank_parts *p = *qn_rank__formula_parts(t->f);
    qn_trace_part *out = qn_arena_array(t->arena, p->n + 1, sizeof *out);
    if (out == NULL) return no_memory(t);
    for (size_t i = 0; i < p->n; i++) {
        out[i] = (qn_trace_part){.text = qn_arena_slice(t->arena, p->parts[i].text),
                                 .parent = p->parts[i].parent,
                                 .value = (double)NAN};
        if (out[i].text.p == NULL) return no_memory(t);
        if (p->formulas[i] == NULL) continue;
        QN_TRY(qn_rank_formula_run(p->formulas[i], t->segment, &t->doc, 1, t->facts,
                                   &out[i].value, t->err));
    }
    t->out->parts = out;
    t->out->part_count = p->n;
    return QN_OK;
}

qn_status qn_rank_formula_trace(qn_rank_formula *f, qn_trace_level level,
                                size_t segment, uint32_t doc,
                                const qn_rank_facts *facts, qn_arena *arena,
                                qn_trace_stage *out, qn_error *err)
{
    tracing t = {f, segment, doc, facts, arena, out, err};
    QN_TRY(terms_and_inputs(&t, level));
    return level < QN_TRACE_ALL ? QN_OK : sub_expressions(&t);
}
