/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_match.c -- MatchInfoReader: the words of the query and which of them a document
 * has. Words are those that features see. */
#include "rank/plugin_internal.h"

#include <math.h>

static qn_status text(qn_cava_call *c, qn_slice s, qn_error *err)
{
    c->result.r = qn_cava_new_string(c->run, s, err);
    if (c->result.r != NULL) return QN_OK;
    return err == NULL ? QN_EPLUGIN : err->code;
}

/* Does the document have the word in a field that it was asked of? */
static qn_status is_match(qn_rank_scorer *s, const qn_match_word *w, bool *out,
                          qn_error *err)
{
    const qn_match_words one = {w, 1};
    *out = false;
    for (size_t f = 0; f < w->leaf->field_count && !*out; f++) {
        const qn_field *field = w->leaf->fields[f].field;
        qn_match_walk *walk = NULL;
        qn_match_view view;
        if (field->type != QN_FIELD_TEXT) continue;
        QN_TRY(qn_match_walk_open(s->in->snapshot, s->segment, field, &one, false,
                                  s->arena, &walk, err));
        QN_TRY(qn_match_walk_to(walk, s->docs[s->at], &view, err));
        *out = view.term_count > 0 && view.terms[0].count > 0;
    }
    return QN_OK;
}

/* The nearness of a vector path, as the value of all words; 0 without one. */
static float vector_of(const qn_rank_scorer *s)
{
    const float *v = s->facts == NULL ? NULL : s->facts->vector;
    return v == NULL || isnan(v[s->at]) ? 0 : v[s->at];
}

static qn_status of_word(qn_rank_scorer *s, qn_cava_call *c, const qn_match_word *w,
                         qn_error *err)
{
    bool match = false;
    switch ((qn_cava_info)c->arg) {
    case QN_CAVA_INFO_PAYLOAD:
        c->result.i = 0;
        return QN_OK;
    case QN_CAVA_INFO_BOOST:
        c->result.i = w->weight;
        return QN_OK;
    case QN_CAVA_INFO_LEVEL:
        c->result.i = 1;
        return QN_OK;
    case QN_CAVA_INFO_INDEX:
        return text(
            c, w->leaf->index == NULL ? (qn_slice){"", 0} : w->leaf->index->name, err);
    case QN_CAVA_INFO_TEXT:
        return text(c, w->spellings[0], err);
    case QN_CAVA_INFO_LABEL:
        return text(c, w->leaf->label, err);
    case QN_CAVA_INFO_IS_MATCH:
        QN_TRY(is_match(s, w, &match, err));
        c->result.i = match;
        return QN_OK;
    case QN_CAVA_INFO_VALUE: {
        qn_cava_slot bits = {.d = (double)vector_of(s)};
        c->result.r = qn_cava_new_object_of(c->run, c->type, bits.i, err);
        if (c->result.r != NULL) return QN_OK;
        return err == NULL ? QN_EPLUGIN : err->code;
    }
    default:
        return qn_fail(err, QN_EPLUGIN,
                       "frequencies of words are not available in plug-ins");
    }
}

/* GetFloat() and its kin: a union of the same bytes. */
static void get_value(qn_cava_call *c)
{
    qn_cava_slot value = {.i = qn_cava_handle(c->args[0].r)};
    float f = (float)value.d;
    int32_t bits;
    memcpy(&bits, &f, sizeof bits);
    switch (c->arg) {
    case 0:
        c->result.d = (double)f;
        break;
    case 8:
        c->result.i = (int8_t)bits;
        break;
    case -8:
        c->result.i = (uint8_t)bits;
        break;
    case 16:
        c->result.i = (int16_t)bits;
        break;
    case -16:
        c->result.i = (uint16_t)bits;
        break;
    case 32:
        c->result.i = bits;
        break;
    default:
        c->result.i = (uint32_t)bits;
    }
}

qn_status qn_plugin__match(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    const qn_match_words *words = &s->binding.words;
    if (c->id == QN_CAVA_N_MATCH_VALUE_GET) {
        get_value(c);
        return QN_OK;
    }
    if (c->id == QN_CAVA_N_REQUIRE_MATCH_VALUES) {
        s->match_values = s->starting;
        c->result.i = s->starting;
        return QN_OK;
    }
    if (c->arg == QN_CAVA_INFO_SIZE) {
        c->result.i = (int64_t)words->n;
        return QN_OK;
    }
    if (c->arg == QN_CAVA_INFO_SIMPLE || c->arg == QN_CAVA_INFO_VALUES) {
        if (c->args[1].r == NULL || s->starting)
            return qn_fail(err, QN_EPLUGIN, "null document");
        c->result.r = NULL;
        if (c->arg == QN_CAVA_INFO_VALUES && !s->match_values) return QN_OK;
        c->result.r = qn_cava_new_object_of(c->run, c->type, 0, err);
        if (c->result.r != NULL) return QN_OK;
        return err == NULL ? QN_EPLUGIN : err->code;
    }
    bool of_document = c->arg == QN_CAVA_INFO_IS_MATCH || c->arg == QN_CAVA_INFO_VALUE;
    if (of_document && (c->args[1].r == NULL || s->starting))
        return qn_fail(err, QN_EPLUGIN, "null");
    uint64_t i = (uint64_t)c->args[of_document ? 2 : 1].i;
    if (i >= words->n)
        return qn_fail(err, QN_EPLUGIN, "word %llu of a query of %zu",
                       (unsigned long long)i, words->n);
    return of_word(s, c, &words->p[i], err);
}
