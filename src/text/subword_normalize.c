/* SPDX-License-Identifier: Apache-2.0 */
/* subword_normalize.c -- the normalizers of tokenizer.json, on texts with origins. */
#include "text/bert_chars.h"
#include "text/subword.h"

#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for a text");
}

/* Calls for each character of a text, and what it may become. */
typedef void each_char(qn_subtext *out, uint32_t c, uint32_t from, uint32_t to);

static qn_status map_chars(qn_subtext *text, each_char *each, qn_error *err)
{
    qn_subtext out;
    qn_subtext_init(&out, text->arena);
    for (size_t i = 0, length; i < text->n; i += length) {
        uint32_t c = qn_utf8_get(text->p + i, &length);
        each(&out, c, text->from[i], text->to[i + length - 1]);
    }
    if (out.failed) return no_memory(err);
    *text = out;
    return QN_OK;
}

/* ---- BERT -------------------------------------------------------------------------- */

static bool is_bert_blank(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || u_isUWhiteSpace((UChar32)c);
}

static void clean_char(qn_subtext *out, uint32_t c, uint32_t from, uint32_t to)
{
    bool kept_control = c == '\t' || c == '\n' || c == '\r';
    bool removed = c < 0x80 ? (c < 0x20 || c == 0x7F) && !kept_control
                            : qn_bert_category_of(c) == QN_BERT_REMOVED;
    if (removed) return;
    qn_subtext_add_char(out, is_bert_blank(c) ? ' ' : c, from, to);
}

static void space_ideograph(qn_subtext *out, uint32_t c, uint32_t from, uint32_t to)
{
    bool alone = qn_bert_is_ideograph(c);
    if (alone) qn_subtext_add_char(out, ' ', from, to);
    qn_subtext_add_char(out, c, from, to);
    if (alone) qn_subtext_add_char(out, ' ', from, to);
}

static void drop_nonspacing(qn_subtext *out, uint32_t c, uint32_t from, uint32_t to)
{
    if (c >= 0x80 && qn_bert_category_of(c) == QN_BERT_MARK) return;
    qn_subtext_add_char(out, c, from, to);
}

/* The reference's tables for marks and normal forms are those of Unicode 9. */
static bool in_unicode_9(uint32_t c)
{
    UVersionInfo age;
    if (c < 0x300) return true;
    u_charAge((UChar32)c, age);
    return age[0] <= 9;
}

static bool is_mark(uint32_t c)
{
    switch (c) { /* what Unicode 9 had otherwise */
    case 0x1CF2:
    case 0x1CF3:
        return true;
    case 0x111C9:
        return false;
    default:
        return (U_GET_GC_MASK((UChar32)c) & U_GC_M_MASK) != 0 && in_unicode_9(c);
    }
}

static void drop_mark(qn_subtext *out, uint32_t c, uint32_t from, uint32_t to)
{
    if (!is_mark(c)) qn_subtext_add_char(out, c, from, to);
}

/* Each character by itself: final sigma has no place here. U+0130 alone becomes two. */
static void lower_char(qn_subtext *out, uint32_t c, uint32_t from, uint32_t to)
{
    if (c == 0x130) {
        qn_subtext_add(out, "i\xCC\x87", 3, from, to);
        return;
    }
    qn_subtext_add_char(out, (uint32_t)u_tolower((UChar32)c), from, to);
}

/* ---- normal forms ------------------------------------------------------------------- */

typedef struct form {
    const UNormalizer2 *icu;
    qn_subtext *text, out;
    UChar *source, *target;
    int32_t capacity;
} form;

/* The greatest decomposition of a character has 18 units. */
enum { DECOMPOSED_UNITS = 18 };

static const UNormalizer2 *form_of(qn_norm_kind kind, UErrorCode *icu)
{
    switch (kind) {
    case QN_NORM_NFC:
        return unorm2_getNFCInstance(icu);
    case QN_NORM_NFD:
    case QN_NORM_BERT:
        return unorm2_getNFDInstance(icu);
    case QN_NORM_NFKC:
        return unorm2_getNFKCInstance(icu);
    default:
        return unorm2_getNFKDInstance(icu);
    }
}

static uint32_t next_unit(const UChar *units, int32_t n, int32_t *at)
{
    uint32_t c = units[(*at)++];
    if (U16_IS_LEAD(c) && *at < n)
        c = (uint32_t)U16_GET_SUPPLEMENTARY(c, units[(*at)++]);
    return c;
}

/* Characters of decompositions in canonical order. Origins stay in the order in which
 * they came, as the reference has them. */
typedef struct placed {
    uint32_t c, from, to;
    uint8_t order;
} placed;

static void add_placed(placed *all, size_t *n, uint32_t c, uint32_t from, uint32_t to)
{
    uint8_t order = u_getCombiningClass((UChar32)c);
    size_t i = (*n)++;
    all[i].from = from;
    all[i].to = to;
    for (; order != 0 && i > 0 && all[i - 1].order > order; i--) {
        all[i].c = all[i - 1].c;
        all[i].order = all[i - 1].order;
    }
    all[i].c = c;
    all[i].order = order;
}

/* Bytes [start, end) between borders, each character decomposed by itself. */
static qn_status decompose(form *f, size_t start, size_t end, qn_error *err)
{
    const qn_subtext *t = f->text;
    placed *all = qn_arena_raw(t->arena, (end - start) * DECOMPOSED_UNITS, sizeof *all);
    if (all == NULL) return no_memory(err);
    size_t n = 0, length;
    for (size_t i = start; i < end; i += length) {
        uint32_t c = qn_utf8_get(t->p + i, &length);
        uint32_t from = t->from[i], to = t->to[i + length - 1];
        UChar units[DECOMPOSED_UNITS];
        UErrorCode icu = U_ZERO_ERROR;
        int32_t many =
            unorm2_getDecomposition(f->icu, (UChar32)c, units, DECOMPOSED_UNITS, &icu);
        if (many < 0 || U_FAILURE(icu)) add_placed(all, &n, c, from, to);
        for (int32_t k = 0; U_SUCCESS(icu) && k < many;)
            add_placed(all, &n, next_unit(units, many, &k), from, to);
    }
    for (size_t i = 0; i < n; i++)
        qn_subtext_add_char(&f->out, all[i].c, all[i].from, all[i].to);
    return QN_OK;
}

/* Bytes [start, end) between borders: what they compose to came from all of them, unless
 * nothing changes. */
static qn_status compose(form *f, size_t start, size_t end, qn_error *err)
{
    qn_subtext *t = f->text;
    int32_t need = (int32_t)((end - start + 1) * DECOMPOSED_UNITS);
    if (need > f->capacity) {
        f->source = qn_arena_raw(t->arena, (size_t)need, 2 * sizeof *f->source);
        if (f->source == NULL) return no_memory(err);
        f->target = f->source + need;
        f->capacity = need;
    }
    UErrorCode icu = U_ZERO_ERROR;
    int32_t n = 0, before;
    u_strFromUTF8(f->source, f->capacity, &before, t->p + start, (int32_t)(end - start),
                  &icu);
    n = unorm2_normalize(f->icu, f->source, before, f->target, f->capacity, &icu);
    if (U_FAILURE(icu))
        return qn_fail(err, QN_EINTERNAL, "ICU cannot normalize: %s", u_errorName(icu));
    if (n == before && u_memcmp(f->source, f->target, n) == 0) {
        qn_subtext_copy(&f->out, t, start, end - start);
        return QN_OK;
    }
    for (int32_t i = 0; i < n;)
        qn_subtext_add_char(&f->out, next_unit(f->target, n, &i), t->from[start],
                            t->to[end - 1]);
    return QN_OK;
}

static qn_status normal_form(qn_norm_kind kind, qn_subtext *text, qn_error *err)
{
    UErrorCode icu = U_ZERO_ERROR;
    form f = {.icu = form_of(kind, &icu), .text = text};
    if (U_FAILURE(icu))
        return qn_fail(err, QN_EINTERNAL, "ICU without normalization data: %s",
                       u_errorName(icu));
    bool composes = kind == QN_NORM_NFC || kind == QN_NORM_NFKC;
    qn_subtext_init(&f.out, text->arena);
    for (size_t at = 0, end; at < text->n; at = end) {
        size_t length;
        uint32_t c = qn_utf8_get(text->p + at, &length);
        end = at + length;
        bool plain = c < 0x80 || !in_unicode_9(c);
        while (end < text->n) {
            c = qn_utf8_get(text->p + end, &length);
            if (c < 0x80 || !in_unicode_9(c) ||
                unorm2_hasBoundaryBefore(f.icu, (UChar32)c))
                break;
            end += length;
            plain = false;
        }
        if (plain)
            qn_subtext_copy(&f.out, text, at, end - at);
        else
            QN_TRY(composes ? compose(&f, at, end, err) : decompose(&f, at, end, err));
    }
    if (f.out.failed) return no_memory(err);
    *text = f.out;
    return QN_OK;
}

/* ---- the rest ------------------------------------------------------------------------- */

static qn_status run_bert(const qn_norm_step *s, qn_subtext *text, qn_error *err)
{
    if (s->clean_text) QN_TRY(map_chars(text, clean_char, err));
    if (s->chinese) QN_TRY(map_chars(text, space_ideograph, err));
    if (s->strip_accents) {
        QN_TRY(normal_form(QN_NORM_BERT, text, err));
        QN_TRY(map_chars(text, drop_nonspacing, err));
    }
    return s->lowercase ? map_chars(text, lower_char, err) : QN_OK;
}

static void keep_range(qn_subtext *text, size_t start, size_t end)
{
    text->p += start;
    text->from += start;
    text->to += start;
    text->n = end - start;
    text->capacity = text->n; /* what follows is not its own any more */
}

static void run_strip(const qn_norm_step *s, qn_subtext *text)
{
    size_t start = 0, end = text->n, length;
    while (s->left && start < end &&
           u_isUWhiteSpace((UChar32)qn_utf8_get(text->p + start, &length)))
        start += length;
    while (s->right && end > start) {
        size_t at = end - 1;
        while (at > start && ((unsigned char)text->p[at] & 0xC0) == 0x80) at--;
        if (!u_isUWhiteSpace((UChar32)qn_utf8_get(text->p + at, &length))) break;
        end = at;
    }
    if (text->n > 0) keep_range(text, start, end);
}

static qn_status run_replace(const qn_norm_step *s, qn_subtext *text, qn_error *err)
{
    qn_subsplits matches;
    qn_subsplits_init(&matches, text->arena);
    QN_TRY(qn_subregex_find(s->pattern, (qn_slice){text->p, text->n}, &matches, err));
    if (matches.n == 0) return QN_OK;
    qn_subtext out;
    qn_subtext_init(&out, text->arena);
    size_t at = 0;
    for (size_t i = 0; i < matches.n; i++) {
        qn_subsplit m = matches.p[i];
        qn_subtext_copy(&out, text, at, m.start - at);
        qn_subtext_add(&out, s->text.p, s->text.n, text->from[m.start],
                       text->to[m.end - 1]);
        at = m.end;
    }
    qn_subtext_copy(&out, text, at, text->n - at);
    if (out.failed) return no_memory(err);
    *text = out;
    return QN_OK;
}

static qn_status run_prepend(qn_slice what, qn_subtext *text, qn_error *err)
{
    if (text->n == 0) return QN_OK;
    qn_subtext out;
    qn_subtext_init(&out, text->arena);
    qn_subtext_add(&out, what.p, what.n, text->from[0], text->from[0]);
    qn_subtext_copy(&out, text, 0, text->n);
    if (out.failed) return no_memory(err);
    *text = out;
    return QN_OK;
}

/* One grapheme cluster by the rules of `tokenizers`: a short one whole, by the first rule
 * that begins it, else each of its characters. */
static void map_cluster(const qn_charsmap *m, const qn_subtext *in, size_t start,
                        size_t end, qn_subtext *out)
{
    enum { CLUSTER_BYTES = 6 };
    size_t length;
    qn_slice replacement;
    if (end - start < CLUSTER_BYTES &&
        qn_charsmap_find(m, (qn_slice){in->p + start, end - start}, false, &length,
                         &replacement)) {
        qn_subtext_add(out, replacement.p, replacement.n, in->from[start],
                       in->to[end - 1]);
        return;
    }
    for (size_t i = start, step; i < end; i += step) {
        (void)qn_utf8_get(in->p + i, &step);
        if (qn_charsmap_find(m, (qn_slice){in->p + i, step}, false, &length,
                             &replacement))
            qn_subtext_add(out, replacement.p, replacement.n, in->from[i],
                           in->to[i + step - 1]);
        else
            qn_subtext_copy(out, in, i, step);
    }
}

/* Bytes [start, end) that may hold clusters of more than one character. */
static qn_status map_clusters(const qn_charsmap *m, const qn_subtext *in, size_t start,
                              size_t end, UBreakIterator **it, qn_subtext *out,
                              qn_error *err)
{
    UErrorCode icu = U_ZERO_ERROR;
    UText text = UTEXT_INITIALIZER;
    if (*it == NULL) *it = ubrk_open(UBRK_CHARACTER, "en", NULL, 0, &icu);
    utext_openUTF8(&text, in->p + start, (int64_t)(end - start), &icu);
    if (U_SUCCESS(icu)) ubrk_setUText(*it, &text, &icu);
    if (U_FAILURE(icu)) {
        utext_close(&text);
        return qn_fail(err, QN_EINTERNAL, "ICU cannot cut a text: %s",
                       u_errorName(icu));
    }
    int32_t at = ubrk_first(*it);
    for (int32_t next; (next = ubrk_next(*it)) != UBRK_DONE; at = next)
        map_cluster(m, in, start + (size_t)at, start + (size_t)next, out);
    utext_close(&text);
    return QN_OK;
}

static bool is_border(const qn_subtext *t, size_t i)
{
    if (i >= t->n) return true;
    unsigned char a = (unsigned char)t->p[i - 1], b = (unsigned char)t->p[i];
    return a < 0x80 && b < 0x80 && !(a == '\r' && b == '\n');
}

static qn_status run_charsmap(const qn_charsmap *m, qn_subtext *text, qn_error *err)
{
    qn_subtext out;
    qn_subtext_init(&out, text->arena);
    UBreakIterator *it = NULL;
    qn_status st = QN_OK;
    for (size_t at = 0, end; st == QN_OK && at < text->n; at = end) {
        end = at + 1;
        while (!is_border(text, end)) end++;
        if (end == at + 1)
            map_cluster(m, text, at, end, &out);
        else
            st = map_clusters(m, text, at, end, &it, &out, err);
    }
    if (it != NULL) ubrk_close(it);
    QN_TRY(st);
    if (out.failed) return no_memory(err);
    *text = out;
    return QN_OK;
}

/* GPT-2's alphabet: printable bytes stand for themselves, the others follow U+00FF. */
uint32_t qn_byte_level_char(uint8_t byte)
{
    if ((byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
        byte >= 0xAE)
        return byte;
    if (byte <= 0x20) return 0x100u + byte;
    if (byte <= 0xA0) return 0x121u + (byte - 0x7Fu);
    return 0x143; /* 0xAD */
}

static qn_status run_byte_level(qn_subtext *text, qn_error *err)
{
    qn_subtext out;
    qn_subtext_init(&out, text->arena);
    for (size_t i = 0; i < text->n; i++)
        qn_subtext_add_char(&out, qn_byte_level_char((uint8_t)text->p[i]),
                            text->from[i], text->to[i]);
    if (out.failed) return no_memory(err);
    *text = out;
    return QN_OK;
}

qn_status qn_norm_run(const qn_norm_step *s, qn_subtext *text, qn_error *err)
{
    switch (s->kind) {
    case QN_NORM_BERT:
        return run_bert(s, text, err);
    case QN_NORM_LOWERCASE:
        return map_chars(text, lower_char, err);
    case QN_NORM_STRIP:
        run_strip(s, text);
        return QN_OK;
    case QN_NORM_STRIP_ACCENTS:
        return map_chars(text, drop_mark, err);
    case QN_NORM_NFC:
    case QN_NORM_NFD:
    case QN_NORM_NFKC:
    case QN_NORM_NFKD:
        return normal_form(s->kind, text, err);
    case QN_NORM_REPLACE:
        return run_replace(s, text, err);
    case QN_NORM_PREPEND:
        return run_prepend(s->text, text, err);
    case QN_NORM_CHARSMAP:
        return run_charsmap(&s->charsmap, text, err);
    case QN_NORM_BYTE_LEVEL:
        return run_byte_level(text, err);
    }
    return QN_OK;
}
