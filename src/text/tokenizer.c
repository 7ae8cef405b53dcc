/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.c -- making a tokenizer from a model's bytes, its pieces by name, and putting
 * pairs together. */
#include "text/tokenizer.h"

#include "base/map.h"
#include "text/subword.h"
#include "text/text_internal.h"

static const char *const form_names[] = {
    [QN_TOKENIZER_VOCAB] = "wordpiece-uncased",
    [QN_TOKENIZER_SPM_DEBERTA] = "spm-deberta",
    [QN_TOKENIZER_SPM_XLMR] = "spm-xlmr",
    [QN_TOKENIZER_JSON] = "tokenizer.json",
};
enum { FORM_COUNT = sizeof form_names / sizeof *form_names };

const char *qn_tokenizer_form_name(qn_tokenizer_form form)
{
    return form_names[form];
}

bool qn_tokenizer_form_parse(qn_slice name, qn_tokenizer_form *out)
{
    for (size_t i = 0; i < FORM_COUNT; i++) {
        if (!qn_slice_eq_str(name, form_names[i])) continue;
        *out = (qn_tokenizer_form)i;
        return true;
    }
    return false;
}

/* ---- pieces by name ------------------------------------------------------------------ */

struct qn_piece_index {
    qn_alloc *alloc;
    uint32_t *slots; /* id + 1; 0 free */
    size_t mask;
};

static size_t hash_of(qn_slice s)
{
    uint64_t h = UINT64_C(0x243F6A8885A308D3);
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(h ^ h >> 29);
}

qn_status qn_tokenizer__index(qn_tokenizer *t, qn_error *err)
{
    struct qn_piece_index *x = qn_new0(t->alloc, sizeof *x);
    size_t slots = 64;
    while (slots < t->piece_count * 2) slots *= 2;
    if (x != NULL) {
        x->alloc = t->alloc;
        x->mask = slots - 1;
        x->slots = qn_new_array(t->alloc, slots, sizeof *x->slots);
    }
    t->index = x;
    if (x == NULL || x->slots == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for a vocabulary");
    for (uint32_t id = 0; id < t->piece_count; id++) {
        qn_slice piece = t->pieces[id];
        if (piece.p == NULL) continue;
        size_t i = hash_of(piece) & x->mask;
        while (x->slots[i] != 0 && !qn_slice_eq(t->pieces[x->slots[i] - 1], piece))
            i = (i + 1) & x->mask;
        x->slots[i] = id + 1;
    }
    return QN_OK;
}

void qn_piece_index_destroy(struct qn_piece_index *x)
{
    if (x == NULL) return;
    qn_delete(x->alloc, x->slots);
    qn_delete(x->alloc, x);
}

bool qn_tokenizer__find(const qn_tokenizer *t, qn_slice piece, uint32_t *id)
{
    const struct qn_piece_index *x = t->index;
    for (size_t i = hash_of(piece) & x->mask; x->slots[i] != 0; i = (i + 1) & x->mask) {
        if (!qn_slice_eq(t->pieces[x->slots[i] - 1], piece)) continue;
        *id = x->slots[i] - 1;
        return true;
    }
    return false;
}

void qn_tokenizer__find_bytes(qn_tokenizer *t)
{
    t->all_bytes = true;
    for (unsigned b = 0; b < 256; b++) {
        static const char hex[] = "0123456789ABCDEF";
        const char name[] = {'<', '0', 'x', hex[b >> 4], hex[b & 15], '>'};
        if (qn_tokenizer__find(t, (qn_slice){name, sizeof name}, &t->byte_ids[b]))
            continue;
        t->byte_ids[b] = QN_TRIE_DEAD;
        t->all_bytes = false;
    }
}

/* ---- making one ------------------------------------------------------------------------ */

/* [CLS] a [SEP], [CLS] a [SEP] b [SEP]; the second text is of type 1. */
static void bert_templates(qn_tokenizer *t)
{
    const qn_tokenizer_specials *s = &t->special;
    t->single = (qn_template){{{s->cls, 0}, {QN_TEMPLATE_FIRST, 0}, {s->sep, 0}}, 3};
    t->pair = (qn_template){{{s->cls, 0},
                             {QN_TEMPLATE_FIRST, 0},
                             {s->sep, 0},
                             {QN_TEMPLATE_SECOND, 1},
                             {s->sep, 1}},
                            5};
}

static qn_status read_vocab(qn_tokenizer *t, qn_slice bytes, qn_error *err)
{
    t->model = QN_SUBWORD_BERT;
    QN_TRY(qn_wordpiece_create(t->alloc, bytes, &t->wordpiece, err));
    const qn_wordpiece_specials *s = qn_wordpiece_special(t->wordpiece);
    t->special =
        (qn_tokenizer_specials){(int32_t)s->pad, (int32_t)s->unk, (int32_t)s->cls,
                                (int32_t)s->sep, (int32_t)s->mask};
    bert_templates(t);
    return QN_OK;
}

qn_status qn_tokenizer_create(qn_alloc *a, qn_tokenizer_form form, qn_slice bytes,
                              qn_tokenizer **out, qn_error *err)
{
    *out = NULL;
    qn_tokenizer *t = qn_new0(a, sizeof *t);
    if (t == NULL) return qn_fail(err, QN_ENOMEM, "out of memory for a tokenizer");
    t->alloc = a;
    qn_arena_init(&t->arena, a, 0);
    t->special = (qn_tokenizer_specials){-1, -1, -1, -1, -1};
    qn_status st = QN_OK;
    switch (form) {
    case QN_TOKENIZER_VOCAB:
        st = read_vocab(t, bytes, err);
        break;
    case QN_TOKENIZER_SPM_DEBERTA:
    case QN_TOKENIZER_SPM_XLMR:
        st = qn_tokenizer__read_spm(t, bytes, form == QN_TOKENIZER_SPM_XLMR, err);
        if (st == QN_OK && form == QN_TOKENIZER_SPM_DEBERTA) bert_templates(t);
        break;
    case QN_TOKENIZER_JSON:
        st = qn_tokenizer__read_json(t, bytes, err);
        break;
    }
    if (st == QN_OK && form != QN_TOKENIZER_JSON)
        st = qn_tokenizer__set_decoder(t, err);
    if (st != QN_OK) {
        qn_tokenizer_destroy(t);
        return st;
    }
    *out = t;
    return QN_OK;
}

void qn_tokenizer_destroy(qn_tokenizer *t)
{
    if (t == NULL) return;
    for (size_t i = 0; i < t->pattern_count; i++) qn_subregex_destroy(t->patterns[i]);
    qn_bpe_merges_destroy(t->merges);
    qn_piece_trie_destroy(t->trie);
    qn_piece_index_destroy(t->index);
    qn_wordpiece_destroy(t->wordpiece);
    qn_arena_deinit(&t->arena);
    qn_delete(t->alloc, t);
}

/* ---- looking at one ---------------------------------------------------------------------- */

const qn_tokenizer_specials *qn_tokenizer_special(const qn_tokenizer *t)
{
    return &t->special;
}

/* Ids that are further on than their pieces end with <mask>. */
size_t qn_tokenizer_vocab_size(const qn_tokenizer *t)
{
    if (t->model == QN_SUBWORD_BERT) return qn_wordpiece_vocab_size(t->wordpiece);
    return t->piece_count + 2 * t->id_offset;
}

qn_slice qn_tokenizer_piece(const qn_tokenizer *t, uint32_t id)
{
    if (t->model == QN_SUBWORD_BERT) return qn_wordpiece_piece(t->wordpiece, id);
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) return t->added[i].content;
    if (id < t->id_offset || id - t->id_offset >= t->piece_count)
        return (qn_slice){NULL, 0};
    return t->pieces[id - t->id_offset];
}

bool qn_tokenizer_is_special(const qn_tokenizer *t, uint32_t id)
{
    const int32_t known[] = {t->special.pad, t->special.unk, t->special.cls,
                             t->special.sep, t->special.mask};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == (int32_t)id) return true;
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].special && t->added[i].id == id) return true;
    return false;
}

qn_status qn_tokenizer_encode(const qn_tokenizer *t, qn_slice text,
                              qn_tokenize_flags flags, qn_arena *arena, qn_pieces *out,
                              qn_error *err)
{
    if (t->model == QN_SUBWORD_BERT)
        return qn_wordpiece_encode(t->wordpiece, text, flags, arena, out, err);
    out->n = 0;
    if (text.n > QN_TOKENIZE_BYTES_MAX)
        return qn_fail(err, QN_ELIMIT, "text of %zu bytes; at most %d can be encoded",
                       text.n, QN_TOKENIZE_BYTES_MAX);
    QN_TRY(qn_utf8_check(text, err));
    if (!qn_pieces_reserve(out, arena, text.n / 4 + 8))
        return qn_fail(err, QN_ENOMEM, "out of memory for a text");
    return qn_tokenizer__encode(t, text, flags, arena, out, err);
}

/* ---- pairs ---------------------------------------------------------------------------------- */

static size_t count_specials(const qn_template *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += t->items[i].what >= 0;
    return n;
}

size_t qn_tokenizer_extra(const qn_tokenizer *t, bool pair)
{
    return count_specials(pair ? &t->pair : &t->single);
}

static void put(qn_encoding *out, const uint32_t *ids, size_t n, uint8_t type)
{
    if (n == 0) return;
    memcpy(out->ids + out->n, ids, n * sizeof *ids);
    memset(out->types + out->n, type, n);
    out->n += n;
}

qn_status qn_tokenizer_join(const qn_tokenizer *t, const qn_pieces *first,
                            const qn_pieces *second, size_t length_max,
                            qn_truncation how, qn_arena *arena, qn_encoding *out,
                            qn_error *err)
{
    *out = (qn_encoding){0};
    const qn_template *form = second == NULL ? &t->single : &t->pair;
    size_t extra = count_specials(form);
    if (length_max < extra)
        return qn_fail(err, QN_ETOOLONG,
                       "a length of %zu has no room for %zu special tokens", length_max,
                       extra);
    size_t room = length_max - extra;
    if (second == NULL)
        QN_TRY(qn_truncate_single(first->n, room, how, &out->kept, err));
    else
        QN_TRY(qn_truncate_pair(first->n, second->n, room, how, &out->kept, err));
    size_t n = out->kept.first + out->kept.second + extra;
    out->ids = qn_arena_array(arena, n, sizeof *out->ids);
    out->types = qn_arena_array(arena, n, sizeof *out->types);
    if (out->ids == NULL || out->types == NULL) return qn_text__no_memory(err);
    for (size_t i = 0; i < form->n; i++) {
        qn_template_item item = form->items[i];
        uint32_t id = (uint32_t)item.what;
        if (item.what == QN_TEMPLATE_FIRST)
            put(out, first->ids, out->kept.first, item.type);
        else if (item.what == QN_TEMPLATE_SECOND)
            put(out, second->ids, out->kept.second, item.type);
        else
            put(out, &id, 1, item.type);
    }
    qn_assert(out->n == n);
    return QN_OK;
}
