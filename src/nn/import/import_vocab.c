/* SPDX-License-Identifier: Apache-2.0 */
/* import_vocab.c -- the tokenizer of a folder, as the bytes that go into the model file:
 * BERT's uncased vocabulary one piece a line; tokenizer.json, spm.model or
 * sentencepiece.bpe.model as they are; other files as import_older_vocab.c rewrites them. */
#include "io/file.h"
#include "nn/import/import_internal.h"

enum { VOCAB_FILE_MAX = 64 * 1024 * 1024, WORD_CHARS_MAX = 100 };

/* Keys that must not say otherwise; absent or null is fine. */
static qn_status need_bool(qn_import *im, const qn_json *config,
                           const char *const *keys, size_t n, bool want, qn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const qn_json *v = qn_json_get(config, keys[i]);
        if (v == NULL || v->kind == QN_JSON_NULL ||
            (v->kind == QN_JSON_BOOL && v->boolean == want))
            continue;
        return qn_import__unsupported(im, "tokenizer_config.json", keys[i], v, err);
    }
    return QN_OK;
}

/* {"piece": id, ...} with every id from 0 to count - 1 once. */
static qn_status vocab_lines(qn_import *im, const qn_json *vocab, qn_error *err)
{
    const char *file = qn_import__shown(im, "tokenizer.json");
    if (vocab == NULL || vocab->kind != QN_JSON_OBJECT || vocab->count == 0)
        return qn_fail_file(err, QN_EMODEL, file, QN_AT_NONE,
                            "model.vocab is no object");
    qn_slice *pieces = qn_arena_array(&im->arena, vocab->count, sizeof *pieces);
    if (pieces == NULL) return qn_fail(err, QN_ENOMEM, "import");
    for (const qn_json *it = qn_json_items(vocab); it != NULL; it = it->next) {
        if (it->kind != QN_JSON_INT || it->integer < 0 ||
            (uint64_t)it->integer >= vocab->count || pieces[it->integer].p != NULL)
            return qn_fail_file(err, QN_EMODEL, file, QN_AT_NONE,
                                "model.vocab: the id of \"%.*s\" is there twice or out "
                                "of range",
                                (int)(it->key.n < 80 ? it->key.n : 80), it->key.p);
        if (it->key.n == 0 || memchr(it->key.p, '\n', it->key.n) != NULL)
            return qn_fail_file(err, QN_EMODEL, file, QN_AT_NONE,
                                "model.vocab: piece %lld is empty or has a newline",
                                (long long)it->integer);
        pieces[it->integer] = it->key;
    }
    for (size_t i = 0; i < vocab->count; i++) {
        qn_buf_add_slice(&im->vocab, pieces[i]);
        qn_buf_add_char(&im->vocab, '\n');
    }
    return im->vocab.failed ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}

/* Tokens matched in raw text are the five that WordPiece has, with their ids. */
static bool five_added(const qn_json *tokenizer, const qn_json *vocab)
{
    static const char *const five[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    const qn_json *added = qn_json_get(tokenizer, "added_tokens");
    for (const qn_json *it = qn_json_items(added); it != NULL; it = it->next) {
        const qn_json *content = qn_json_get(it, "content"),
                      *id = qn_json_get(it, "id");
        const char *found = NULL;
        for (size_t i = 0; i < 5; i++)
            if (qn_import__is_string(content, five[i])) found = five[i];
        const qn_json *same = found == NULL ? NULL : qn_json_get(vocab, found);
        if (same == NULL || id == NULL || id->integer != same->integer) return false;
    }
    return true;
}

static bool has_type(const qn_json *object, const char *type)
{
    return qn_import__is_string(qn_json_get(object, "type"), type);
}

/* Absent, or as given. */
static bool is_or_absent(const qn_json *object, const char *key, const char *value)
{
    const qn_json *v = qn_json_get(object, key);
    return v == NULL || qn_import__is_string(v, value);
}

/* BERT's uncased tokenizer, which has a reader of its own that is several times faster. */
static bool is_plain_uncased(const qn_json *tokenizer)
{
    static const char *const flags[] = {"clean_text", "handle_chinese_chars",
                                        "strip_accents", "lowercase"};
    const qn_json *model = qn_json_get(tokenizer, "model"),
                  *normalizer = qn_json_get(tokenizer, "normalizer");
    if (!has_type(model, "WordPiece") || !has_type(normalizer, "BertNormalizer") ||
        !has_type(qn_json_get(tokenizer, "pre_tokenizer"), "BertPreTokenizer"))
        return false;
    for (size_t i = 0; i < 4; i++) {
        const qn_json *v = qn_json_get(normalizer, flags[i]);
        if (v != NULL && v->kind != QN_JSON_NULL && !qn_import__is_true(v))
            return false;
    }
    const qn_json *chars = qn_json_get(model, "max_input_chars_per_word");
    return is_or_absent(model, "unk_token", "[UNK]") &&
           is_or_absent(model, "continuing_subword_prefix", "##") &&
           (chars == NULL ||
            (chars->kind == QN_JSON_INT && chars->integer == WORD_CHARS_MAX)) &&
           five_added(tokenizer, qn_json_get(model, "vocab"));
}

/* A file of the tokenizer, as it is, for the reader of its form. */
static qn_status from_file(qn_import *im, const char *name, qn_tokenizer_form form,
                           qn_error *err)
{
    const char *path = NULL;
    QN_TRY(qn_import__path(im, name, &path, err));
    im->meta.tokenizer = form;
    qn_buf_reset(&im->vocab);
    return qn_file_read(path, VOCAB_FILE_MAX, &im->vocab, err);
}

static qn_status from_vocab_txt(qn_import *im, qn_error *err)
{
    const char *path = NULL;
    QN_TRY(qn_import__path(im, "vocab.txt", &path, err));
    qn_buf text;
    qn_buf_init(&text, im->alloc);
    qn_status st;
    QN_TRY_TO(out, qn_file_read(path, VOCAB_FILE_MAX, &text, err));
    qn_slice rest = qn_buf_slice(&text);
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end == NULL ? rest.n : (size_t)(end - rest.p), keep = n;
        if (keep > 0 && rest.p[keep - 1] == '\r') keep--;
        qn_buf_add(&im->vocab, rest.p, keep);
        qn_buf_add_char(&im->vocab, '\n');
        size_t step = end == NULL ? n : n + 1;
        rest = (qn_slice){rest.p + step, rest.n - step};
    }
    if (im->vocab.failed) st = qn_fail(err, QN_ENOMEM, "import");
out:
    qn_buf_deinit(&text);
    return st;
}

/* Of a BertNormalizer tokenizer_config.json has the last word in the libraries: where the two
 * differ, the tokenizer here would not be theirs. */
static qn_status check_case(qn_import *im, const qn_json *config,
                            const qn_json *tokenizer, qn_error *err)
{
    const qn_json *lower = qn_json_get(config, "do_lower_case"),
                  *normalizer = qn_json_get(tokenizer, "normalizer");
    if (!has_type(normalizer, "BertNormalizer") || lower == NULL ||
        lower->kind != QN_JSON_BOOL)
        return QN_OK;
    const qn_json *v = qn_json_get(normalizer, "lowercase");
    bool lowercase = v == NULL || qn_import__is_true(v);
    if (lower->boolean == lowercase) return QN_OK;
    return qn_import__unsupported(im, "tokenizer_config.json", "do_lower_case", lower,
                                  err);
}

/* Whether vocab.txt is read as BERT's uncased vocabulary, with its names of tokens. */
static bool is_uncased(const qn_json *config)
{
    static const char *const flags[] = {"do_lower_case", "tokenize_chinese_chars",
                                        "strip_accents"};
    static const char *const names[][2] = {{"pad_token", "[PAD]"},
                                           {"unk_token", "[UNK]"},
                                           {"cls_token", "[CLS]"},
                                           {"sep_token", "[SEP]"},
                                           {"mask_token", "[MASK]"}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const qn_json *v = qn_json_get(config, flags[i]);
        if (v != NULL && v->kind == QN_JSON_BOOL && !v->boolean) return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const qn_json *v = qn_json_get(config, names[i][0]);
        if (v != NULL && v->kind == QN_JSON_OBJECT) v = qn_json_get(v, "content");
        if (v != NULL && v->kind == QN_JSON_STRING &&
            !qn_import__is_string(v, names[i][1]))
            return false;
    }
    return true;
}

static bool has_file(qn_import *im, const char *name)
{
    return qn_file_exists(qn_import__shown(im, name));
}

/* Which of the files of tokenizers is there; vocab.txt when none is, for the message. */
static qn_status from_other_files(qn_import *im, const qn_json *config, qn_error *err)
{
    /* Switches of classes that these files alone do not have. */
    static const char *const deberta[] = {"do_lower_case", "split_by_punct"};
    static const char *const bert[] = {"do_basic_tokenize"};
    if (has_file(im, "spm.model")) {
        QN_TRY(need_bool(im, config, deberta, 2, false, err));
        return from_file(im, "spm.model", QN_TOKENIZER_SPM_DEBERTA, err);
    }
    if (has_file(im, "sentencepiece.bpe.model"))
        return from_file(im, "sentencepiece.bpe.model", QN_TOKENIZER_SPM_XLMR, err);
    bool roberta = im->meta.encoder.family == QN_FAMILY_ROBERTA;
    if (roberta && has_file(im, "vocab.json"))
        return qn_import__roberta_vocab(im, config, err);
    QN_TRY(need_bool(im, config, bert, 1, true, err));
    if (!is_uncased(config)) return qn_import__bert_vocab(im, config, err);
    im->meta.tokenizer = QN_TOKENIZER_VOCAB;
    return from_vocab_txt(im, err);
}

static qn_status read_tokenizer(qn_import *im, qn_error *err)
{
    const qn_json *config = NULL, *tokenizer = NULL;
    QN_TRY(qn_import__json(im, "tokenizer_config.json", true, &config, err));
    QN_TRY(qn_import__json(im, "tokenizer.json", true, &tokenizer, err));
    if (tokenizer == NULL) return from_other_files(im, config, err);
    QN_TRY(check_case(im, config, tokenizer, err));
    if (!is_plain_uncased(tokenizer))
        return from_file(im, "tokenizer.json", QN_TOKENIZER_JSON, err);
    im->meta.tokenizer = QN_TOKENIZER_VOCAB;
    return vocab_lines(im, qn_json_get(qn_json_get(tokenizer, "model"), "vocab"), err);
}

qn_status qn_import__vocab(qn_import *im, qn_error *err)
{
    QN_TRY(read_tokenizer(im, err));
    return qn_import__lower_case(im, err);
}
