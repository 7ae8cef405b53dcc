/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c -- levels, and a trace as text and as JSON. */
#include "rank/trace.h"

#include "io/json.h"

#include <math.h>

qn_trace_level qn_trace_level_of(qn_slice word)
{
    static const struct {
        const char *word;
        qn_trace_level level;
    } levels[] = {{"ALL", QN_TRACE_ALL},      {"TRACE3", QN_TRACE_ALL},
                  {"TRACE2", QN_TRACE_ALL},   {"TRACE1", QN_TRACE_ALL},
                  {"DEBUG", QN_TRACE_INPUTS}, {"INFO", QN_TRACE_TERMS}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (qn_slice_eq_nocase(word, levels[i].word)) return levels[i].level;
    return QN_TRACE_NONE;
}

/* ---- text ---------------------------------------------------------------------------- */

static void word_text(const qn_trace_word *w, qn_buf *out)
{
    qn_buf_printf(out, "    word[%.*s], field[%.*s], count[%u], positions[",
                  QN_SLICE_ARG(w->text), QN_SLICE_ARG(w->field), w->count);
    for (size_t i = 0; i < w->position_count; i++)
        qn_buf_printf(out, "%s%u", i > 0 ? " " : "", w->positions[i]);
    qn_buf_printf(out, "%s], length[%u], idf[%g].\n",
                  w->position_count < w->count && w->position_count > 0 ? " ..." : "",
                  w->length, w->idf);
}

static unsigned depth_of(const qn_trace_stage *s, size_t i)
{
    unsigned depth = 0;
    for (uint32_t p = s->parts[i].parent; p != UINT32_MAX && depth < 40;
         p = s->parts[p].parent)
        depth++;
    return depth;
}

void qn_trace_text(const qn_trace *t, qn_buf *out)
{
    for (size_t k = 0; k < t->stage_count; k++) {
        const qn_trace_stage *s = &t->stages[k];
        if (!s->scored) {
            qn_buf_printf(out, "%.*s\n", QN_SLICE_ARG(s->why));
            qn_buf_add_slice(out, s->log);
            continue;
        }
        qn_buf_printf(out, "%s:\n", s->title);
        if (s->plugin.n > 0)
            qn_buf_printf(out, "plugin[%.*s], result[%g].\n", QN_SLICE_ARG(s->plugin),
                          (double)(float)s->value);
        qn_buf_add_slice(out, s->log);
        for (size_t i = 0; i < s->term_count; i++)
            qn_buf_printf(out, "expression[%.*s], result[%g].\n",
                          QN_SLICE_ARG(s->terms[i].text),
                          (double)(float)s->terms[i].value);
        for (size_t i = 0; i < s->input_count; i++) {
            const qn_trace_part *p = &s->inputs[i];
            if (!isnan(p->value))
                qn_buf_printf(out, "  input[%.*s], value[%g].\n", QN_SLICE_ARG(p->text),
                              p->value);
            for (size_t w = 0; w < p->word_count; w++) word_text(&p->words[w], out);
        }
        for (size_t i = 0; i < s->part_count; i++)
            if (!isnan(s->parts[i].value))
                qn_buf_printf(out, "  %*spart[%.*s], value[%g].\n",
                              (int)(2 * depth_of(s, i)), "",
                              QN_SLICE_ARG(s->parts[i].text), s->parts[i].value);
    }
}

/* ---- JSON ------------------------------------------------------------------------------ */

static void words_json(const qn_trace_part *p, qn_json_writer *w)
{
    if (p->word_count == 0) return;
    qn_json_key(w, "words");
    qn_json_begin_array(w);
    for (size_t i = 0; i < p->word_count; i++) {
        const qn_trace_word *word = &p->words[i];
        qn_json_begin_object(w);
        qn_json_member_slice(w, "word", word->text);
        qn_json_member_slice(w, "field", word->field);
        qn_json_member_int(w, "count", word->count);
        qn_json_key(w, "positions");
        qn_json_begin_array(w);
        for (size_t k = 0; k < word->position_count; k++)
            qn_json_int(w, word->positions[k]);
        qn_json_end_array(w);
        qn_json_member_int(w, "length", word->length);
        qn_json_member_double(w, "idf", word->idf);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static void list_json(const char *key, const qn_trace_part *parts, size_t n,
                      qn_json_writer *w)
{
    qn_json_key(w, key);
    qn_json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        qn_json_begin_object(w);
        qn_json_member_slice(w, "expression", parts[i].text);
        qn_json_member_double(w, "value", parts[i].value);
        words_json(&parts[i], w);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

/* Parts come before those within them: closing what is not an ancestor nests them. */
static void parts_json(const qn_trace_stage *s, qn_json_writer *w)
{
    uint32_t open[64];
    size_t depth = 0;
    qn_json_key(w, "parts");
    qn_json_begin_array(w);
    for (uint32_t i = 0; i < s->part_count; i++) {
        const qn_trace_part *p = &s->parts[i];
        while (depth > 0 && open[depth - 1] != p->parent) {
            qn_json_end_array(w);
            qn_json_end_object(w);
            depth--;
        }
        qn_json_begin_object(w);
        qn_json_member_slice(w, "expression", p->text);
        qn_json_member_double(w, "value", p->value);
        bool inner = i + 1 < s->part_count && s->parts[i + 1].parent == i;
        if (inner && depth < sizeof open / sizeof *open) {
            qn_json_key(w, "parts");
            qn_json_begin_array(w);
            open[depth++] = i;
        } else {
            qn_json_end_object(w);
        }
    }
    for (; depth > 0; depth--) {
        qn_json_end_array(w);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

void qn_trace_json(const qn_trace *t, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_array(&w);
    for (size_t k = 0; k < t->stage_count; k++) {
        const qn_trace_stage *s = &t->stages[k];
        qn_json_begin_object(&w);
        qn_json_member_str(&w, "stage", s->name);
        qn_json_member_slice(&w, "formula", s->formula);
        if (s->plugin.n > 0) qn_json_member_slice(&w, "plugin", s->plugin);
        if (s->log.n > 0) qn_json_member_slice(&w, "log", s->log);
        qn_json_member_bool(&w, "scored", s->scored);
        if (!s->scored) qn_json_member_slice(&w, "why", s->why);
        if (s->scored) {
            qn_json_member_double(&w, "value", s->value);
            if (s->rank != UINT32_MAX) qn_json_member_int(&w, "rank", s->rank);
            list_json("terms", s->terms, s->term_count, &w);
            if (s->input_count > 0) list_json("inputs", s->inputs, s->input_count, &w);
            if (s->part_count > 0) parts_json(s, &w);
        }
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
}
