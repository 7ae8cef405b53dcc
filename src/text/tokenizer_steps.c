/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer_steps.c -- the steps of a tokenizer.json: normalizers and pre-tokenizers, each
 * type a row of a table with its reader. */
#include "text/tokenizer_json.h"

enum { STEPS_MAX = 32 };

/* ---- shared ------------------------------------------------------------------------------ */

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for a tokenizer");
}

/* {"String": "..."} or {"Regex": "..."} */
static qn_status read_pattern(qn_tokenizer *t, const char *part, const qn_json *v,
                              const qn_subregex **out, qn_error *err)
{
    const qn_json *pattern = qn_json_get(v, "pattern");
    qn_slice text = qn_tokenizer__string(pattern, "String"),
             regex = qn_tokenizer__string(pattern, "Regex");
    if (text.p == NULL && regex.p == NULL)
        return qn_tokenizer__unsupported(part, "pattern", pattern, err);
    qn_subregex **slot = &t->patterns[t->pattern_count];
    QN_TRY(qn_subregex_create(t->alloc, regex.p != NULL ? regex : text, regex.p != NULL,
                              slot, err));
    t->pattern_count++;
    *out = *slot;
    return QN_OK;
}

static qn_status keep_text(qn_tokenizer *t, qn_slice s, qn_slice *out, qn_error *err)
{
    *out = s.p == NULL ? (qn_slice){"", 0} : qn_tokenizer__keep(t, s);
    return out->p == NULL ? no_memory(err) : QN_OK;
}

/* ---- normalizers --------------------------------------------------------------------------- */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padded base64 to bytes in the tokenizer's arena. */
static bool decode_base64(qn_tokenizer *t, qn_slice in, qn_slice *out)
{
    char *p = qn_arena_raw(&t->arena, in.n / 4 * 3 + 3, 1);
    if (p == NULL) return false;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    while (in.n > 0 && in.p[in.n - 1] == '=') in.n--;
    for (size_t i = 0; i < in.n; i++) {
        int v = base64_value(in.p[i]);
        if (v < 0) return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        p[n++] = (char)(bits >> have & 0xFF);
    }
    *out = (qn_slice){p, n};
    return true;
}

static qn_status read_norm_fields(qn_tokenizer *t, const qn_json *v, qn_norm_step *s,
                                  qn_error *err)
{
    const qn_json *accents = qn_json_get(v, "strip_accents");
    qn_slice map = qn_tokenizer__string(v, "precompiled_charsmap");
    switch (s->kind) {
    case QN_NORM_BERT:
        s->clean_text = qn_tokenizer__flag(v, "clean_text", true);
        s->chinese = qn_tokenizer__flag(v, "handle_chinese_chars", true);
        s->lowercase = qn_tokenizer__flag(v, "lowercase", true);
        s->strip_accents = accents != NULL && accents->kind == QN_JSON_BOOL
                               ? accents->boolean
                               : s->lowercase;
        return QN_OK;
    case QN_NORM_STRIP:
        s->left = qn_tokenizer__flag(v, "strip_left", true);
        s->right = qn_tokenizer__flag(v, "strip_right", true);
        return QN_OK;
    case QN_NORM_REPLACE:
        QN_TRY(read_pattern(t, "normalizer", v, &s->pattern, err));
        return keep_text(t, qn_tokenizer__string(v, "content"), &s->text, err);
    case QN_NORM_PREPEND:
        return keep_text(t, qn_tokenizer__string(v, "prepend"), &s->text, err);
    case QN_NORM_CHARSMAP:
        if (map.p == NULL || !decode_base64(t, map, &map))
            return qn_tokenizer__unsupported("normalizer", "precompiled_charsmap", v,
                                             err);
        return qn_charsmap_read(map, &s->charsmap, err);
    default:
        return QN_OK;
    }
}

static qn_status read_norm(qn_tokenizer *t, const qn_json *v, qn_norm_step *steps,
                           qn_error *err)
{
    static const struct {
        const char *type;
        qn_norm_kind kind;
    } types[] = {
        {"BertNormalizer", QN_NORM_BERT},
        {"Lowercase", QN_NORM_LOWERCASE},
        {"Strip", QN_NORM_STRIP},
        {"StripAccents", QN_NORM_STRIP_ACCENTS},
        {"NFC", QN_NORM_NFC},
        {"NFD", QN_NORM_NFD},
        {"NFKC", QN_NORM_NFKC},
        {"NFKD", QN_NORM_NFKD},
        {"Replace", QN_NORM_REPLACE},
        {"Prepend", QN_NORM_PREPEND},
        {"ByteLevel", QN_NORM_BYTE_LEVEL},
        {"Precompiled", QN_NORM_CHARSMAP},
    };
    qn_slice type = qn_tokenizer__string(v, "type");
    for (size_t i = 0; type.p != NULL && i < sizeof types / sizeof *types; i++) {
        if (!qn_slice_eq_str(type, types[i].type)) continue;
        if (t->norm_count == STEPS_MAX) break;
        qn_norm_step *s = &steps[t->norm_count++];
        s->kind = types[i].kind;
        return read_norm_fields(t, v, s, err);
    }
    return qn_tokenizer__unsupported("normalizer", "type", qn_json_get(v, "type"), err);
}

/* ---- pre-tokenizers -------------------------------------------------------------------------- */

static qn_status read_behavior(const qn_json *v, qn_split_step *s, qn_error *err)
{
    static const char *const names[] = {
        [QN_SPLIT_REMOVED] = "Removed",
        [QN_SPLIT_ISOLATED] = "Isolated",
        [QN_SPLIT_MERGED_PREVIOUS] = "MergedWithPrevious",
        [QN_SPLIT_MERGED_NEXT] = "MergedWithNext",
        [QN_SPLIT_CONTIGUOUS] = "Contiguous",
    };
    qn_slice name = qn_tokenizer__string(v, "behavior");
    s->behavior = QN_SPLIT_ISOLATED;
    if (name.p == NULL) return QN_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!qn_slice_eq_str(name, names[i])) continue;
        s->behavior = (qn_split_behavior)i;
        return QN_OK;
    }
    return qn_tokenizer__unsupported("pre_tokenizer", "behavior",
                                     qn_json_get(v, "behavior"), err);
}

static qn_status read_metaspace(const qn_json *v, qn_split_step *s, qn_error *err)
{
    static const char *const names[] = {
        [QN_PREPEND_ALWAYS] = "always",
        [QN_PREPEND_FIRST] = "first",
        [QN_PREPEND_NEVER] = "never",
    };
    qn_slice mark = qn_tokenizer__string(v, "replacement"),
             scheme = qn_tokenizer__string(v, "prepend_scheme");
    size_t length = 0;
    s->replacement = 0x2581;
    if (mark.p != NULL && mark.n > 0) s->replacement = qn_utf8_get(mark.p, &length);
    if (mark.p != NULL && length != mark.n)
        return qn_tokenizer__unsupported("pre_tokenizer", "replacement", v, err);
    s->split = qn_tokenizer__flag(v, "split", true);
    s->prepend = qn_tokenizer__flag(v, "add_prefix_space", true) ? QN_PREPEND_ALWAYS
                                                                 : QN_PREPEND_NEVER;
    for (size_t i = 0; scheme.p != NULL && i < 3; i++)
        if (qn_slice_eq_str(scheme, names[i])) s->prepend = (qn_prepend)i;
    return QN_OK;
}

static qn_status read_split_fields(qn_tokenizer *t, const qn_json *v, qn_split_step *s,
                                   qn_error *err)
{
    switch (s->kind) {
    case QN_SPLIT_PUNCTUATION:
        return read_behavior(v, s, err);
    case QN_SPLIT_DIGITS:
        s->behavior = qn_tokenizer__flag(v, "individual_digits", false)
                          ? QN_SPLIT_ISOLATED
                          : QN_SPLIT_CONTIGUOUS;
        return QN_OK;
    case QN_SPLIT_METASPACE:
        return read_metaspace(v, s, err);
    case QN_SPLIT_BYTE_LEVEL:
        s->add_prefix_space = qn_tokenizer__flag(v, "add_prefix_space", true);
        s->use_regex = qn_tokenizer__flag(v, "use_regex", true);
        return QN_OK;
    case QN_SPLIT_PATTERN:
        s->invert = qn_tokenizer__flag(v, "invert", false);
        QN_TRY(read_behavior(v, s, err));
        return read_pattern(t, "pre_tokenizer", v, &s->pattern, err);
    default:
        return QN_OK;
    }
}

static qn_status read_split(qn_tokenizer *t, const qn_json *v, qn_split_step *steps,
                            qn_error *err)
{
    static const struct {
        const char *type;
        qn_split_kind kind;
    } types[] = {
        {"BertPreTokenizer", QN_SPLIT_BERT},  {"Whitespace", QN_SPLIT_WHITESPACE},
        {"WhitespaceSplit", QN_SPLIT_BLANKS}, {"Punctuation", QN_SPLIT_PUNCTUATION},
        {"Digits", QN_SPLIT_DIGITS},          {"Metaspace", QN_SPLIT_METASPACE},
        {"ByteLevel", QN_SPLIT_BYTE_LEVEL},   {"Split", QN_SPLIT_PATTERN},
    };
    qn_slice type = qn_tokenizer__string(v, "type");
    for (size_t i = 0; type.p != NULL && i < sizeof types / sizeof *types; i++) {
        if (!qn_slice_eq_str(type, types[i].type)) continue;
        if (t->split_count == STEPS_MAX) break;
        qn_split_step *s = &steps[t->split_count++];
        s->kind = types[i].kind;
        return read_split_fields(t, v, s, err);
    }
    return qn_tokenizer__unsupported("pre_tokenizer", "type", qn_json_get(v, "type"),
                                     err);
}

/* ---- sequences ---------------------------------------------------------------------------------- */

static qn_status read_norms(qn_tokenizer *t, const qn_json *v, qn_norm_step *steps,
                            qn_error *err)
{
    if (v == NULL || v->kind == QN_JSON_NULL) return QN_OK;
    if (!qn_slice_eq_str(qn_tokenizer__string(v, "type"), "Sequence"))
        return read_norm(t, v, steps, err);
    const qn_json *list = qn_json_get(v, "normalizers");
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next)
        QN_TRY(read_norms(t, it, steps, err));
    return QN_OK;
}

static qn_status read_splits(qn_tokenizer *t, const qn_json *v, qn_split_step *steps,
                             qn_error *err)
{
    if (v == NULL || v->kind == QN_JSON_NULL) return QN_OK;
    if (!qn_slice_eq_str(qn_tokenizer__string(v, "type"), "Sequence"))
        return read_split(t, v, steps, err);
    const qn_json *list = qn_json_get(v, "pretokenizers");
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next)
        QN_TRY(read_splits(t, it, steps, err));
    return QN_OK;
}

qn_status qn_tokenizer__read_steps(qn_tokenizer *t, const qn_json *file, qn_error *err)
{
    qn_norm_step *norms = qn_arena_array(&t->arena, STEPS_MAX, sizeof *norms);
    qn_split_step *splits = qn_arena_array(&t->arena, STEPS_MAX, sizeof *splits);
    t->patterns = qn_arena_array(&t->arena, 3 * STEPS_MAX, sizeof *t->patterns);
    if (norms == NULL || splits == NULL || t->patterns == NULL) return no_memory(err);
    t->norms = norms;
    t->splits = splits;
    QN_TRY(read_norms(t, qn_json_get(file, "normalizer"), norms, err));
    return read_splits(t, qn_json_get(file, "pre_tokenizer"), splits, err);
}
