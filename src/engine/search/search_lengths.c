/* SPDX-License-Identifier: Apache-2.0 */
/* search_lengths.c -- the exact length of a long field: its stored text is analysed again, as
 * when it was indexed. The index keeps lengths over 40 roughly. */
#include "engine/search/search.h"

/* Tokens that stand at a place of their own, over all values of the field. */
static qn_status count_tokens(const qn_search *s, const qn_field *field,
                              const qn_document *document, qn_arena *arena,
                              uint32_t *length, qn_error *err)
{
    const qn_analyzer *analyzer = NULL;
    QN_TRY(qn_analyzer_find(s->q->analyzers, qn_slice_of(field->analyzer), &analyzer,
                            err));
    *length = 0;
    for (size_t i = 0; i < document->count; i++) {
        const qn_doc_value *v = &document->values[i];
        qn_token_list tokens = {0};
        if (v->field->id != field->id) continue;
        QN_TRY(qn_analyzer_run(analyzer, v->text, arena, &tokens, err));
        uint32_t last = UINT32_MAX;
        for (size_t t = 0; t < tokens.n; t++) {
            const qn_token *token = &tokens.p[t];
            if (token->term.n == 0 || token->term.n > QN_SEGMENT_TERM_MAX) continue;
            *length += token->position != last;
            last = token->position;
        }
    }
    return QN_OK;
}

static qn_status read_length(const qn_search *s, const qn_segment *segment,
                             uint32_t doc, const qn_field *field, qn_buf *scratch,
                             qn_arena *arena, uint32_t *length, qn_error *err)
{
    qn_slice source = {0}, id = {0};
    const qn_json *root = NULL;
    qn_document document = {0};
    QN_TRY(qn_segment_source(segment, doc, scratch, &source, NULL, err));
    QN_TRY(qn_segment_id(segment, doc, &id, err));
    QN_TRY(qn_json_parse(arena, source, &root, err));
    QN_TRY(qn_document_check(arena, s->snapshot->schema, source, root, id, &document,
                             err));
    return count_tokens(s, field, &document, arena, length, err);
}

qn_status qn_search__length(void *ctx, uint32_t segment, uint32_t doc,
                            const qn_field *field, uint32_t *length, qn_error *err)
{
    const qn_search *s = ctx;
    qn_buf scratch;
    qn_arena arena;
    qn_buf_init(&scratch, s->q->alloc);
    qn_arena_init(&arena, s->q->alloc, 0);
    qn_status st = read_length(s, s->snapshot->segments[segment]->segment, doc, field,
                               &scratch, &arena, length, err);
    qn_arena_deinit(&arena);
    qn_buf_deinit(&scratch);
    return st;
}
