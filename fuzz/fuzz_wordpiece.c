/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a text for WordPiece, and as a vocabulary: refused, or ids of the
 * vocabulary and spans in the text; joined pairs keep to their length. The first byte
 * picks flags, strategy and length. */
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n!\n,\n.\n[\n]\n#\na\nb\nc\nab\nabc\n##a\n##b\n"
    "##bc\n##c\nthe\nsep\n\xE4\xB8\xAD\n\xCE\xB1\n##\xCE\xB1\ne\n##e\n1\n##1\n12\n";

static void check_pieces(const qn_tokenizer *t, const qn_pieces *pieces, qn_slice text)
{
    for (size_t i = 0; i < pieces->n; i++) {
        qn_assert(pieces->ids[i] < qn_tokenizer_vocab_size(t));
        qn_assert(pieces->start[i] < pieces->end[i] && pieces->end[i] <= text.n);
        qn_assert(qn_utf8_border(text, pieces->start[i]));
        qn_assert(qn_utf8_border(text, pieces->end[i]));
    }
}

static void check_join(const qn_tokenizer *t, const qn_pieces *pieces, uint8_t how,
                       qn_arena *arena)
{
    qn_error err = {0};
    qn_encoding pair;
    size_t length_max = how >> 3;
    qn_status st = qn_tokenizer_join(t, pieces, how & 4 ? pieces : NULL, length_max,
                                     (qn_truncation)(how & 3), arena, &pair, &err);
    qn_assert(st == QN_OK || st == QN_ETOOLONG || st == QN_ENOMEM);
    if (st != QN_OK) return;
    qn_assert(pair.n <= length_max && pair.n >= 2);
    qn_assert((int32_t)pair.ids[pair.n - 1] == qn_tokenizer_special(t)->sep);
    qn_assert(pair.types[0] == 0 && pair.types[pair.n - 1] == (how & 4 ? 1 : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static qn_tokenizer *t;
    qn_error err = {0};
    if (t == NULL && qn_tokenizer_create(qn_alloc_heap(), QN_TOKENIZER_VOCAB,
                                         QN_SLICE_LIT(vocab), &t, &err) != QN_OK)
        return 0;
    if (size == 0) return 0;
    qn_slice text = {(const char *)data + 1, size - 1};

    qn_wordpiece *odd = NULL;
    if (qn_wordpiece_create(qn_alloc_heap(), text, &odd, &err) == QN_OK)
        qn_wordpiece_destroy(odd);

    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_pieces pieces = {0};
    qn_tokenize_flags flags = data[0] & 1 ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS;
    qn_status st = qn_tokenizer_encode(t, text, flags, &arena, &pieces, &err);
    if (!qn_utf8_valid(text, NULL)) qn_assert(st == QN_EUTF8);
    if (st == QN_OK) {
        check_pieces(t, &pieces, text);
        check_join(t, &pieces, data[0], &arena);
    }
    qn_arena_deinit(&arena);
    return 0;
}
