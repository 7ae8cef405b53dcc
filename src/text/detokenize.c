/* SPDX-License-Identifier: Apache-2.0 */
/* detokenize.c -- from ids back to a text, by the steps that a tokenizer's decoder has.
 *
 * Pieces become texts one by one or many at once, and at last all are put together:
 *
 *     WordPiece      "##ing" joins what is before it, other pieces get a blank in front
 *     Metaspace      the mark of a blank becomes one; the first one goes
 *     ByteLevel      characters that stand for bytes become these
 *     ByteFallback   "<0xE2>" and its neighbours become the bytes' character
 *     BPEDecoder     the mark of a word's end becomes a blank
 *     Replace, Strip, Fuse
 *
 * Bytes that are no character become U+FFFD. */
#include "text/tokenizer_json.h"

#include "text/text_internal.h"

enum { DECODERS_MAX = 32 };

typedef enum decode_kind {
    DECODE_WORDPIECE,
    DECODE_METASPACE,
    DECODE_BYTE_LEVEL,
    DECODE_BYTE_FALLBACK,
    DECODE_BPE,
    DECODE_REPLACE,
    DECODE_STRIP,
    DECODE_FUSE,
} decode_kind;

struct qn_decode_step {
    decode_kind kind;
    qn_slice mark; /* "##", the mark of a blank or of a word's end, what is stripped */
    qn_slice with; /* REPLACE */
    const qn_subregex *pattern;
    bool flag; /* WORDPIECE: clean up; METASPACE: the first blank goes */
    size_t start, stop;
};

/* ---- reading ------------------------------------------------------------------------ */

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for a tokenizer");
}

static qn_status keep(qn_tokenizer *t, qn_slice s, const char *absent, qn_slice *out,
                      qn_error *err)
{
    *out = qn_tokenizer__keep(t, s.p == NULL ? qn_slice_of(absent) : s);
    return out->p == NULL ? no_memory(err) : QN_OK;
}

static qn_status read_replace(qn_tokenizer *t, const qn_json *v, qn_decode_step *d,
                              qn_error *err)
{
    const qn_json *pattern = qn_json_get(v, "pattern");
    qn_slice text = qn_tokenizer__string(pattern, "String"),
             regex = qn_tokenizer__string(pattern, "Regex");
    if (text.p == NULL && regex.p == NULL)
        return qn_tokenizer__unsupported("decoder", "pattern", pattern, err);
    qn_subregex **slot = &t->patterns[t->pattern_count];
    QN_TRY(qn_subregex_create(t->alloc, regex.p != NULL ? regex : text, regex.p != NULL,
                              slot, err));
    t->pattern_count++;
    d->pattern = *slot;
    return keep(t, qn_tokenizer__string(v, "content"), "", &d->with, err);
}

static size_t count_of(const qn_json *v, const char *key)
{
    const qn_json *n = qn_json_get(v, key);
    return n != NULL && n->kind == QN_JSON_INT && n->integer > 0 ? (size_t)n->integer
                                                                 : 0;
}

/* The kinds with a text of their own: its member, and what it is when absent. */
static const struct {
    const char *type;
    decode_kind kind;
    const char *member, *absent;
} kinds[] = {
    {"WordPiece", DECODE_WORDPIECE, "prefix", "##"},
    {"Metaspace", DECODE_METASPACE, "replacement", "\xE2\x96\x81"},
    {"ByteLevel", DECODE_BYTE_LEVEL, NULL, NULL},
    {"ByteFallback", DECODE_BYTE_FALLBACK, NULL, NULL},
    {"BPEDecoder", DECODE_BPE, "suffix", "</w>"},
    {"Replace", DECODE_REPLACE, NULL, NULL},
    {"Strip", DECODE_STRIP, "content", " "},
    {"Fuse", DECODE_FUSE, NULL, NULL},
};

static qn_status add_step(qn_tokenizer *t, const qn_json *v, qn_decode_step *steps,
                          qn_error *err)
{
    qn_slice type = qn_tokenizer__string(v, "type");
    if (t->decoder_count == DECODERS_MAX)
        return qn_fail(err, QN_EMODEL, "tokenizer.json: more than %d decoders",
                       DECODERS_MAX);
    qn_decode_step *d = &steps[t->decoder_count];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!qn_slice_eq_str(type, kinds[i].type)) continue;
        *d = (qn_decode_step){.kind = kinds[i].kind};
        if (kinds[i].member != NULL)
            QN_TRY(keep(t, qn_tokenizer__string(v, kinds[i].member), kinds[i].absent,
                        &d->mark, err));
        if (d->kind == DECODE_REPLACE) QN_TRY(read_replace(t, v, d, err));
        qn_slice scheme = qn_tokenizer__string(v, "prepend_scheme");
        d->flag = d->kind == DECODE_WORDPIECE ? qn_tokenizer__flag(v, "cleanup", true)
                  : scheme.p != NULL          ? !qn_slice_eq_str(scheme, "never")
                                     : qn_tokenizer__flag(v, "add_prefix_space", true);
        d->start = count_of(v, "start");
        d->stop = count_of(v, "stop");
        t->decoder_count++;
        return QN_OK;
    }
    return qn_tokenizer__unsupported("decoder", "type", qn_json_get(v, "type"), err);
}

qn_status qn_tokenizer__read_decoder(qn_tokenizer *t, const qn_json *v, qn_error *err)
{
    if (v == NULL || v->kind == QN_JSON_NULL) return QN_OK;
    qn_decode_step *steps = qn_arena_array(&t->arena, DECODERS_MAX, sizeof *steps);
    if (steps == NULL) return no_memory(err);
    t->decoders = steps;
    qn_error why = {0};
    qn_status st = QN_OK;
    if (qn_slice_eq_str(qn_tokenizer__string(v, "type"), "Sequence")) {
        const qn_json *x = qn_json_items(qn_json_get(v, "decoders"));
        for (; st == QN_OK && x != NULL; x = x->next) st = add_step(t, x, steps, &why);
    } else {
        st = add_step(t, v, steps, &why);
    }
    if (st == QN_ENOMEM) *err = why;
    if (st == QN_OK || st == QN_ENOMEM) return st;
    /* Texts can be read all the same; who asks for the way back hears of it. */
    t->decoder_count = 0;
    t->no_decoder = qn_tokenizer__keep(t, qn_slice_of(why.text));
    return t->no_decoder.p == NULL ? no_memory(err) : QN_OK;
}

qn_status qn_tokenizer__set_decoder(qn_tokenizer *t, qn_error *err)
{
    qn_decode_step *d = qn_arena_array(&t->arena, 1, sizeof *d);
    if (d == NULL) return no_memory(err);
    bool words = t->model == QN_SUBWORD_BERT;
    *d = (qn_decode_step){.kind = words ? DECODE_WORDPIECE : DECODE_METASPACE,
                          .mark =
                              words ? QN_SLICE_LIT("##") : QN_SLICE_LIT("\xE2\x96\x81"),
                          .flag = true};
    t->decoders = d;
    t->decoder_count = 1;
    return QN_OK;
}

/* ---- bytes that may be no text ------------------------------------------------------ */

/* How many bytes of s are a character; *whole false: they only begin one, or are none. */
static size_t take_char(qn_slice s, bool *whole)
{
    const unsigned char *u = (const unsigned char *)s.p;
    size_t want = u[0] < 0x80                    ? 1
                  : u[0] >= 0xC2 && u[0] < 0xE0  ? 2
                  : u[0] >= 0xE0 && u[0] < 0xF0  ? 3
                  : u[0] >= 0xF0 && u[0] <= 0xF4 ? 4
                                                 : 0;
    size_t n = 1;
    unsigned char low = u[0] == 0xE0 ? 0xA0 : u[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = u[0] == 0xED ? 0x9F : u[0] == 0xF4 ? 0x8F : 0xBF;
    while (n < want && n < s.n && u[n] >= low && u[n] <= high) {
        n++;
        low = 0x80;
        high = 0xBF;
    }
    *whole = want > 0 && n == want;
    return n;
}

static void add_lossy(qn_buf *out, qn_slice bytes)
{
    while (bytes.n > 0) {
        bool whole = false;
        size_t n = take_char(bytes, &whole);
        if (whole)
            qn_buf_add(out, bytes.p, n);
        else
            qn_buf_add_str(out, "\xEF\xBF\xBD");
        bytes = (qn_slice){bytes.p + n, bytes.n - n};
    }
}

/* ---- steps -------------------------------------------------------------------------- */

typedef struct parts {
    qn_slice *p;
    size_t n;
    qn_arena *arena;
    qn_buf scratch;
} parts;

/* What is in the scratch becomes part i. */
static qn_status store(parts *x, size_t i, qn_error *err)
{
    x->p[i] = qn_arena_slice(x->arena, qn_buf_slice(&x->scratch));
    bool lost = x->scratch.failed || x->p[i].p == NULL;
    qn_buf_reset(&x->scratch);
    return lost ? qn_text__no_memory(err) : QN_OK;
}

static void add_replaced(qn_buf *out, qn_slice text, qn_slice what, qn_slice with)
{
    for (size_t i = 0; i < text.n;) {
        if (what.n > 0 && text.n - i >= what.n &&
            memcmp(text.p + i, what.p, what.n) == 0) {
            qn_buf_add_slice(out, with);
            i += what.n;
        } else {
            qn_buf_add_char(out, text.p[i++]);
        }
    }
}

/* Blanks that English has not in front of these. */
static qn_status clean_up(parts *x, size_t i, qn_error *err)
{
    static const char *const rows[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        add_replaced(&x->scratch, x->p[i], qn_slice_of(rows[k][0]),
                     qn_slice_of(rows[k][1]));
        QN_TRY(store(x, i, err));
    }
    return QN_OK;
}

static qn_status run_wordpiece(const qn_decode_step *d, parts *x, qn_error *err)
{
    for (size_t i = 0; i < x->n; i++) {
        qn_slice s = x->p[i];
        bool goes_on =
            i > 0 && s.n >= d->mark.n && memcmp(s.p, d->mark.p, d->mark.n) == 0;
        if (goes_on) s = (qn_slice){s.p + d->mark.n, s.n - d->mark.n};
        if (i > 0 && !goes_on) qn_buf_add_char(&x->scratch, ' ');
        qn_buf_add_slice(&x->scratch, s);
        QN_TRY(store(x, i, err));
        if (d->flag) QN_TRY(clean_up(x, i, err));
    }
    return QN_OK;
}

static qn_status run_metaspace(const qn_decode_step *d, parts *x, qn_error *err)
{
    for (size_t i = 0; i < x->n; i++) {
        bool drop = i == 0 && d->flag;
        add_replaced(&x->scratch, x->p[i], d->mark,
                     drop ? (qn_slice){"", 0} : QN_SLICE_LIT(" "));
        QN_TRY(store(x, i, err));
    }
    return QN_OK;
}

static qn_status run_bpe(const qn_decode_step *d, parts *x, qn_error *err)
{
    for (size_t i = 0; i < x->n; i++) {
        add_replaced(&x->scratch, x->p[i], d->mark,
                     i + 1 == x->n ? (qn_slice){"", 0} : QN_SLICE_LIT(" "));
        QN_TRY(store(x, i, err));
    }
    return QN_OK;
}

static qn_status run_replace(const qn_decode_step *d, parts *x, qn_error *err)
{
    for (size_t i = 0; i < x->n; i++) {
        qn_subsplits found;
        size_t at = 0;
        qn_subsplits_init(&found, x->arena);
        QN_TRY(qn_subregex_find(d->pattern, x->p[i], &found, err));
        for (size_t k = 0; k < found.n; k++) {
            qn_buf_add(&x->scratch, x->p[i].p + at, found.p[k].start - at);
            qn_buf_add_slice(&x->scratch, d->with);
            at = found.p[k].end;
        }
        qn_buf_add(&x->scratch, x->p[i].p + at, x->p[i].n - at);
        QN_TRY(store(x, i, err));
    }
    return QN_OK;
}

static void run_strip(const qn_decode_step *d, parts *x)
{
    qn_slice mark = d->mark;
    for (size_t i = 0; i < x->n; i++) {
        qn_slice s = x->p[i];
        for (size_t k = 0; k < d->start && mark.n > 0 && s.n >= mark.n &&
                           memcmp(s.p, mark.p, mark.n) == 0;
             k++)
            s = (qn_slice){s.p + mark.n, s.n - mark.n};
        for (size_t k = 0; k < d->stop && mark.n > 0 && s.n >= mark.n &&
                           memcmp(s.p + s.n - mark.n, mark.p, mark.n) == 0;
             k++)
            s.n -= mark.n;
        x->p[i] = s;
    }
}

/* All parts are one from now on: what is in the scratch. */
static qn_status store_all(parts *x, qn_error *err)
{
    if (x->n == 0) return QN_OK;
    x->n = 1;
    return store(x, 0, err);
}

static qn_status run_fuse(parts *x, qn_error *err)
{
    for (size_t i = 0; i < x->n; i++) qn_buf_add_slice(&x->scratch, x->p[i]);
    return store_all(x, err);
}

/* The byte that a character of a byte-level model stands for; -1: none. */
static int byte_of(uint32_t c)
{
    if (c >= 0x180) return -1;
    for (int b = 0; b < 256; b++)
        if (qn_byte_level_char((uint8_t)b) == c) return b;
    return -1;
}

static qn_status run_byte_level(parts *x, qn_error *err)
{
    qn_buf bytes;
    qn_buf_init(&bytes, x->scratch.alloc);
    for (size_t i = 0; i < x->n; i++) {
        size_t before = bytes.n, length = 0;
        bool all = true;
        for (size_t at = 0; all && at < x->p[i].n; at += length) {
            int b = byte_of(qn_utf8_get(x->p[i].p + at, &length));
            all = b >= 0;
            if (all) qn_buf_add_char(&bytes, (char)b);
        }
        if (all) continue;
        bytes.n = before; /* a piece that stands for itself */
        qn_buf_add_slice(&bytes, x->p[i]);
    }
    add_lossy(&x->scratch, qn_buf_slice(&bytes));
    x->scratch.failed |= bytes.failed;
    qn_buf_deinit(&bytes);
    return store_all(x, err);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<0xE2>" */
static bool is_byte(qn_slice s, char *out)
{
    if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>') return false;
    int high = hex_digit(s.p[3]), low = hex_digit(s.p[4]);
    *out = (char)(high * 16 + low);
    return high >= 0 && low >= 0;
}

/* A run of bytes that is no text becomes as many U+FFFD. */
static qn_status run_byte_fallback(parts *x, qn_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->n;) {
        char byte = 0;
        size_t from = i;
        while (i < x->n && is_byte(x->p[i], &byte)) {
            qn_buf_add_char(&x->scratch, byte);
            i++;
        }
        if (i == from) {
            x->p[kept++] = x->p[i++];
            continue;
        }
        if (!qn_utf8_valid(qn_buf_slice(&x->scratch), NULL)) {
            qn_buf_reset(&x->scratch);
            for (size_t k = from; k < i; k++)
                qn_buf_add_str(&x->scratch, "\xEF\xBF\xBD");
        }
        QN_TRY(store(x, kept++, err));
    }
    x->n = kept;
    return QN_OK;
}

static qn_status run_step(const qn_decode_step *d, parts *x, qn_error *err)
{
    switch (d->kind) {
    case DECODE_WORDPIECE:
        return run_wordpiece(d, x, err);
    case DECODE_METASPACE:
        return run_metaspace(d, x, err);
    case DECODE_BYTE_LEVEL:
        return run_byte_level(x, err);
    case DECODE_BYTE_FALLBACK:
        return run_byte_fallback(x, err);
    case DECODE_BPE:
        return run_bpe(d, x, err);
    case DECODE_REPLACE:
        return run_replace(d, x, err);
    case DECODE_STRIP:
        run_strip(d, x);
        return QN_OK;
    case DECODE_FUSE:
        return run_fuse(x, err);
    }
    return QN_OK;
}

/* ---- the call ----------------------------------------------------------------------- */

/* Of a tokenizer.json what the file calls special: an unknown word's token may be none. */
static bool is_left_out(const qn_tokenizer *t, uint32_t id)
{
    if (t->model == QN_SUBWORD_BERT || t->model == QN_SUBWORD_SPM)
        return qn_tokenizer_is_special(t, id);
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) return t->added[i].special;
    return false;
}

static qn_status take_pieces(const qn_tokenizer *t, const uint32_t *ids, size_t n,
                             bool skip_special, parts *x, qn_error *err)
{
    size_t vocabulary = qn_tokenizer_vocab_size(t);
    x->p = qn_arena_array(x->arena, n + 1, sizeof *x->p);
    if (x->p == NULL) return qn_text__no_memory(err);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= vocabulary)
            return qn_fail(err, QN_EINVAL,
                           "token id %u: the model's vocabulary ends at %zu", ids[i],
                           vocabulary - 1);
        qn_slice piece = qn_tokenizer_piece(t, ids[i]);
        bool left_out = skip_special && is_left_out(t, ids[i]);
        if (piece.p != NULL && !left_out) x->p[x->n++] = piece;
    }
    return QN_OK;
}

qn_status qn_tokenizer_decode(const qn_tokenizer *t, const uint32_t *ids, size_t n,
                              bool skip_special, qn_arena *arena, qn_slice *out,
                              qn_error *err)
{
    *out = (qn_slice){"", 0};
    if (t->no_decoder.n > 0)
        return qn_fail(err, QN_EUNSUPPORTED, "%.*s", QN_SLICE_ARG(t->no_decoder));
    parts x = {.arena = arena};
    qn_status st;
    qn_buf_init(&x.scratch, t->alloc);
    QN_TRY_TO(done, take_pieces(t, ids, n, skip_special, &x, err));
    for (size_t i = 0; i < t->decoder_count; i++)
        QN_TRY_TO(done, run_step(&t->decoders[i], &x, err));
    for (size_t i = 0; i < x.n; i++) {
        /* Without a decoder pieces stand apart. */
        if (i > 0 && t->decoder_count == 0) qn_buf_add_char(&x.scratch, ' ');
        qn_buf_add_slice(&x.scratch, x.p[i]);
    }
    *out = qn_arena_slice(arena, qn_buf_slice(&x.scratch));
    if (x.scratch.failed || out->p == NULL) st = qn_text__no_memory(err);
done:
    qn_buf_deinit(&x.scratch);
    return st;
}
