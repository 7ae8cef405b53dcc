/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as tokenizer.json or spm.model: refused with a reason, or a tokenizer that turns
 * texts into ids of its vocabulary and spans in the text, and ids back into texts. The first
 * byte picks the form. */
#include "text/tokenizer.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_text(const qn_tokenizer *t, qn_slice text, qn_tokenize_flags flags)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 64 << 20);
    qn_pieces pieces = {0};
    qn_error err = {0};
    if (qn_tokenizer_encode(t, text, flags, &arena, &pieces, &err) == QN_OK) {
        for (size_t i = 0; i < pieces.n; i++) {
            qn_assert(pieces.ids[i] < qn_tokenizer_vocab_size(t));
            qn_assert(pieces.start[i] <= pieces.end[i] && pieces.end[i] <= text.n);
        }
        qn_slice back;
        qn_error why = {0};
        qn_status decoded =
            qn_tokenizer_decode(t, pieces.ids, pieces.n, true, &arena, &back, &why);
        qn_assert(decoded == QN_OK || why.text[0] != '\0');
        qn_encoding e;
        qn_status st = qn_tokenizer_join(t, &pieces, &pieces, 16, QN_TRUNCATE_BALANCED,
                                         &arena, &e, &err);
        qn_assert(st != QN_OK || e.n <= 16);
    } else {
        qn_assert(err.text[0] != '\0');
    }
    qn_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const qn_tokenizer_form forms[] = {
        QN_TOKENIZER_JSON, QN_TOKENIZER_SPM_DEBERTA, QN_TOKENIZER_SPM_XLMR,
        QN_TOKENIZER_VOCAB};
    if (size == 0) return 0;
    qn_slice bytes = {(const char *)data + 1, size - 1};
    qn_tokenizer *t = NULL;
    qn_error err = {0};
    qn_status st =
        qn_tokenizer_create(qn_alloc_heap(), forms[data[0] & 3], bytes, &t, &err);
    qn_assert((st == QN_OK) == (t != NULL));
    if (st != QN_OK) {
        qn_assert(err.text[0] != '\0');
        return 0;
    }
    try_text(t,
             QN_SLICE_LIT(
                 "A caf\xC3\xA9's  99 [SEP] <s> \xE4\xB8\xAD\xE6\x96\x87 e\xCC\x81 ab"),
             QN_TOKENIZE_SPECIALS);
    try_text(t, bytes, QN_TOKENIZE_PLAIN);
    qn_tokenizer_destroy(t);
    return 0;
}
