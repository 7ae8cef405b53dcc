/* SPDX-License-Identifier: Apache-2.0 */
/* spm_model.c -- SentencePiece: its model file (a protobuf) and its normalizer, as the C++
 * library has them; the Unigram model alone.
 *
 * Fields: ModelProto 1 pieces {1 piece, 2 score, 3 type}, 2 trainer_spec {3 model_type,
 * 24 treat_whitespace_as_suffix, 35 byte_fallback}, 3 normalizer_spec {2
 * precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces,
 * 5 escape_whitespaces}. */
#include "text/subword.h"

#include <float.h>
#include <math.h>

enum { PIECES_MAX = 1 << 22, MODEL_UNIGRAM = 1 };

enum piece_type {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN,
    PIECE_CONTROL,
    PIECE_USER_DEFINED,
    PIECE_UNUSED,
    PIECE_BYTE,
};

static const char blank_mark[] = "\xE2\x96\x81"; /* U+2581 */

/* ---- protobuf ---------------------------------------------------------------------------- */

typedef struct field {
    uint32_t number;
    unsigned wire; /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t value;
    qn_slice bytes;
} field;

static bool take_varint(qn_slice *in, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in->n == 0) return false;
        uint8_t byte = (uint8_t)*in->p++;
        in->n--;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static bool take_field(qn_slice *in, field *out)
{
    uint64_t key = 0, n = 0;
    if (!take_varint(in, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return false;
    *out = (field){.number = (uint32_t)(key >> 3), .wire = (unsigned)(key & 7)};
    switch (out->wire) {
    case 0:
        return take_varint(in, &out->value);
    case 1:
        n = 8;
        break;
    case 2:
        if (!take_varint(in, &n)) return false;
        break;
    case 5:
        n = 4;
        break;
    default:
        return false;
    }
    if (n > in->n) return false;
    out->bytes = (qn_slice){in->p, (size_t)n};
    in->p += n;
    in->n -= (size_t)n;
    for (size_t i = 0; i < n && out->wire != 2; i++)
        out->value |= (uint64_t)(uint8_t)out->bytes.p[i] << (8 * i);
    return true;
}

static qn_status damaged(qn_error *err, const char *what)
{
    return qn_fail(err, QN_EMODEL, "spm.model: %s", what);
}

/* ---- the model ------------------------------------------------------------------------------ */

typedef struct reader {
    qn_tokenizer *t;
    uint8_t *types;
    size_t n;
    qn_slice charsmap;
    bool byte_fallback;
    uint64_t model_type;
} reader;

static qn_status read_piece(reader *r, qn_slice in, qn_error *err)
{
    qn_tokenizer *t = r->t;
    field f;
    qn_slice text = {"", 0};
    float score = 0;
    uint64_t type = PIECE_NORMAL;
    while (in.n > 0) {
        if (!take_field(&in, &f)) return damaged(err, "a piece is cut off");
        uint32_t bits = (uint32_t)f.value;
        if (f.number == 1 && f.wire == 2) text = f.bytes;
        if (f.number == 2 && f.wire == 5) memcpy(&score, &bits, sizeof score);
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    if (text.n == 0 || !qn_utf8_valid(text, NULL))
        return damaged(err, "a piece is empty or no UTF-8");
    if (!isfinite(score) || type < PIECE_NORMAL || type > PIECE_BYTE)
        return damaged(err, "a piece has no usable score or type");
    t->pieces[r->n] = qn_arena_slice(&t->arena, text);
    t->scores[r->n] = (double)score;
    r->types[r->n++] = (uint8_t)type;
    return t->pieces[r->n - 1].p == NULL ? qn_fail(err, QN_ENOMEM, "out of memory")
                                         : QN_OK;
}

static qn_status read_trainer(reader *r, qn_slice in, qn_error *err)
{
    field f;
    while (in.n > 0) {
        if (!take_field(&in, &f)) return damaged(err, "trainer_spec is cut off");
        if (f.number == 3 && f.wire == 0) r->model_type = f.value;
        if (f.number == 35 && f.wire == 0) r->byte_fallback = f.value != 0;
        if (f.number == 24 && f.wire == 0 && f.value != 0)
            return damaged(err, "treat_whitespace_as_suffix is not supported");
    }
    return QN_OK;
}

static qn_status read_normalizer(reader *r, qn_slice in, qn_error *err)
{
    field f;
    while (in.n > 0) {
        if (!take_field(&in, &f)) return damaged(err, "normalizer_spec is cut off");
        if (f.number == 2 && f.wire == 2) r->charsmap = f.bytes;
        if (f.wire != 0) continue;
        if (f.number == 3) r->t->dummy_prefix = f.value != 0;
        if (f.number == 4) r->t->squeeze_blanks = f.value != 0;
        if (f.number == 5) r->t->escape_blanks = f.value != 0;
    }
    return QN_OK;
}

static qn_status read_model(reader *r, qn_slice in, qn_error *err)
{
    field f;
    while (in.n > 0) {
        if (!take_field(&in, &f)) return damaged(err, "it is cut off, or no protobuf");
        if (f.wire != 2) continue;
        if (f.number == 1) QN_TRY(read_piece(r, f.bytes, err));
        if (f.number == 2) QN_TRY(read_trainer(r, f.bytes, err));
        if (f.number == 3) QN_TRY(read_normalizer(r, f.bytes, err));
    }
    if (r->model_type != MODEL_UNIGRAM)
        return damaged(err, "its model_type is not Unigram; use tokenizer.json");
    return QN_OK;
}

static size_t count_pieces(qn_slice in)
{
    size_t n = 0;
    field f;
    while (in.n > 0 && take_field(&in, &f)) n += f.number == 1 && f.wire == 2;
    return n;
}

/* The trie of pieces that a text may be cut into, and what their scores allow. */
static qn_status prepare(reader *r, qn_error *err)
{
    qn_tokenizer *t = r->t;
    bool *skip = qn_arena_array(&t->arena, r->n + 1, sizeof *skip);
    t->user = qn_arena_array(&t->arena, r->n + 1, sizeof *t->user);
    if (skip == NULL || t->user == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for a vocabulary");
    /* The library begins with the least positive number, not the least. */
    float least = FLT_MAX, greatest = FLT_MIN;
    for (size_t i = 0; i < r->n; i++) {
        t->user[i] = r->types[i] == PIECE_USER_DEFINED;
        skip[i] = r->types[i] != PIECE_NORMAL && !t->user[i];
        if (r->types[i] == PIECE_UNKNOWN) {
            t->has_unk = true;
            t->unk = (uint32_t)i;
        }
        if (r->types[i] != PIECE_NORMAL) continue;
        least = fminf(least, (float)t->scores[i]);
        greatest = fmaxf(greatest, (float)t->scores[i]);
    }
    if (!t->has_unk) return damaged(err, "it has no unknown piece");
    QN_TRY(qn_piece_trie_create(t->alloc, t->pieces, skip, r->n, &t->trie, err));
    t->unigram = (qn_unigram){.trie = t->trie,
                              .scores = t->scores,
                              .user = t->user,
                              .unknown_score = (double)(least - 10.0f),
                              .user_score = (double)greatest,
                              .unk = t->unk,
                              .in_float = true};
    return QN_OK;
}

/* ---- special tokens --------------------------------------------------------------------------- */

static void add_special(qn_tokenizer *t, const char *name, uint32_t id, bool lstrip)
{
    t->added[t->added_count++] =
        (qn_added_token){qn_slice_of(name), id, true, false, false, lstrip, false};
    t->added_first[(uint8_t)name[0]] = true;
}

static qn_status deberta_specials(qn_tokenizer *t, qn_error *err)
{
    static const char *const names[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
    int32_t *const ids[] = {&t->special.pad, &t->special.unk, &t->special.cls,
                            &t->special.sep};
    for (size_t i = 0; i < 4; i++) {
        uint32_t id;
        if (!qn_tokenizer__find(t, qn_slice_of(names[i]), &id))
            return qn_fail(err, QN_EMODEL, "spm.model: there is no piece %s", names[i]);
        *ids[i] = (int32_t)id;
        add_special(t, names[i], id, false);
    }
    t->special.mask = (int32_t)t->piece_count;
    t->pieces[t->piece_count++] = QN_SLICE_LIT("[MASK]");
    add_special(t, "[MASK]", (uint32_t)t->special.mask, false);
    return QN_OK;
}

/* <s> 0, <pad> 1, </s> 2, <unk> 3, then the model's pieces from its fourth on, each one
 * further (its own first three are <unk>, <s>, </s>); <mask> is last. */
static void xlmr_specials(qn_tokenizer *t)
{
    uint32_t mask = (uint32_t)t->piece_count + 1;
    t->id_offset = 1;
    t->special = (qn_tokenizer_specials){1, 3, 0, 2, (int32_t)mask};
    add_special(t, "<s>", 0, false);
    add_special(t, "<pad>", 1, false);
    add_special(t, "</s>", 2, false);
    add_special(t, "<unk>", 3, false);
    add_special(t, "<mask>", mask, true);
    t->single = (qn_template){{{0, 0}, {QN_TEMPLATE_FIRST, 0}, {2, 0}}, 3};
    t->pair = (qn_template){{{0, 0},
                             {QN_TEMPLATE_FIRST, 0},
                             {2, 0},
                             {2, 0},
                             {QN_TEMPLATE_SECOND, 0},
                             {2, 0}},
                            6};
}

qn_status qn_tokenizer__read_spm(qn_tokenizer *t, qn_slice bytes, bool xlmr,
                                 qn_error *err)
{
    enum { ADDED_MAX = 8 };
    t->model = QN_SUBWORD_SPM;
    t->dummy_prefix = t->squeeze_blanks = t->escape_blanks = true;
    size_t n = count_pieces(bytes);
    if (n == 0 || n > PIECES_MAX)
        return damaged(err, "it has no usable list of pieces");
    reader r = {.t = t, .model_type = MODEL_UNIGRAM};
    t->pieces = qn_arena_array(&t->arena, n + 2, sizeof *t->pieces);
    t->scores = qn_arena_array(&t->arena, n + 2, sizeof *t->scores);
    t->added = qn_arena_array(&t->arena, ADDED_MAX, sizeof *t->added);
    r.types = qn_arena_array(&t->arena, n + 2, 1);
    if (t->pieces == NULL || t->scores == NULL || t->added == NULL || r.types == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for a vocabulary");
    QN_TRY(read_model(&r, bytes, err));
    t->piece_count = r.n;
    qn_slice charsmap = qn_arena_slice(&t->arena, r.charsmap);
    QN_TRY(
        qn_charsmap_read(r.charsmap.n == 0 ? r.charsmap : charsmap, &t->charsmap, err));
    QN_TRY(qn_tokenizer__index(t, err));
    QN_TRY(prepare(&r, err));
    t->byte_fallback = r.byte_fallback;
    qn_tokenizer__find_bytes(t);
    if (!xlmr) return deberta_specials(t, err);
    xlmr_specials(t);
    return QN_OK;
}

/* ---- encoding ------------------------------------------------------------------------------------ */

/* The longest user-defined piece that begins the text. */
static size_t user_piece(const qn_tokenizer *t, qn_slice in)
{
    size_t found = 0;
    uint32_t node = QN_TRIE_ROOT, id;
    for (size_t i = 0; i < in.n; i++) {
        if (!qn_piece_trie_step(t->trie, &node, (uint8_t)in.p[i], &id)) break;
        if (id != QN_TRIE_DEAD && t->user[id]) found = i + 1;
    }
    return found;
}

/* What the beginning of the text becomes; returns how much of it that is. */
static size_t normalize_prefix(const qn_tokenizer *t, qn_slice in, qn_slice *out)
{
    size_t length = user_piece(t, in);
    if (length == 0) {
        if (qn_charsmap_find(&t->charsmap, in, true, &length, out)) return length;
        (void)qn_utf8_get(in.p, &length);
    }
    *out = (qn_slice){in.p, length};
    return length;
}

static void add_normal(const qn_tokenizer *t, qn_slice s, uint32_t from, uint32_t to,
                       qn_subtext *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (t->escape_blanks && s.p[i] == ' ')
            qn_subtext_add(out, blank_mark, 3, from, to);
        else
            qn_subtext_add(out, s.p + i, 1, from, to);
    }
}

static bool ends_with(const qn_subtext *s, const char *what, size_t n)
{
    return s->n >= n && memcmp(s->p + s->n - n, what, n) == 0;
}

static void normalize(const qn_tokenizer *t, qn_slice text, uint32_t base,
                      qn_subtext *out)
{
    size_t at = 0;
    qn_slice s;
    while (t->squeeze_blanks && at < text.n) {
        size_t length = normalize_prefix(t, (qn_slice){text.p + at, text.n - at}, &s);
        if (!qn_slice_eq_str(s, " ")) break;
        at += length;
    }
    if (at == text.n) return;
    uint32_t begin = base + (uint32_t)at;
    if (t->dummy_prefix) add_normal(t, QN_SLICE_LIT(" "), begin, begin, out);
    bool after_blank = t->squeeze_blanks;
    while (at < text.n) {
        size_t length = normalize_prefix(t, (qn_slice){text.p + at, text.n - at}, &s);
        while (after_blank && s.n > 0 && s.p[0] == ' ')
            s = (qn_slice){s.p + 1, s.n - 1};
        if (s.n > 0) {
            add_normal(t, s, base + (uint32_t)at, base + (uint32_t)(at + length), out);
            after_blank = s.p[s.n - 1] == ' ';
        }
        if (!t->squeeze_blanks) after_blank = false;
        at += length;
    }
    const char *blank = t->escape_blanks ? blank_mark : " ";
    size_t n = strlen(blank);
    while (t->squeeze_blanks && ends_with(out, blank, n)) out->n -= n;
}

static qn_status push_cut(const qn_tokenizer *t, const qn_subtext *s, qn_unigram_cut c,
                          bool *after_unk, qn_arena *arena, qn_pieces *out,
                          qn_error *err)
{
    size_t bytes = c.end - c.start;
    if (!qn_pieces_reserve(out, arena, bytes))
        return qn_fail(err, QN_ENOMEM, "out of memory for a text");
    uint32_t from = s->from[c.start], to = s->to[c.end - 1];
    bool unknown = c.id == t->unk;
    if (unknown && t->byte_fallback && t->all_bytes) {
        for (size_t i = 0; i < bytes; i++)
            qn_pieces_push(out, t->byte_ids[(uint8_t)s->p[c.start + i]] + t->id_offset,
                           from, to);
    } else if (unknown && *after_unk && out->n > 0) {
        out->end[out->n - 1] = to;
    } else {
        uint32_t id = unknown ? (uint32_t)t->special.unk : c.id + t->id_offset;
        qn_pieces_push(out, id, from, to);
    }
    *after_unk = unknown && !(t->byte_fallback && t->all_bytes);
    return QN_OK;
}

qn_status qn_tokenizer__encode_spm(const qn_tokenizer *t, qn_slice text, uint32_t base,
                                   qn_arena *arena, qn_pieces *out, qn_error *err)
{
    if (text.n == 0) return QN_OK;
    qn_subtext s;
    qn_subtext_init(&s, arena);
    normalize(t, text, base, &s);
    if (s.failed) return qn_fail(err, QN_ENOMEM, "out of memory for a text");
    if (s.n == 0) return QN_OK;
    qn_unigram_cut *cuts = NULL;
    size_t n = 0;
    QN_TRY(
        qn_unigram_cut_text(&t->unigram, (qn_slice){s.p, s.n}, arena, &cuts, &n, err));
    bool after_unk = false;
    for (size_t i = 0; i < n; i++)
        QN_TRY(push_cut(t, &s, cuts[i], &after_unk, arena, out, err));
    return QN_OK;
}
