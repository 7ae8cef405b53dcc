/* SPDX-License-Identifier: Apache-2.0 */
/* import_vocab.c -- the WordPiece vocabulary of a folder, one piece a line. The
 * tokenizer built in is the uncased one; settings that ask for another are refused. */
#include "io/file.h"
#include "nn/import_internal.h"

enum { VOCAB_FILE_MAX = 64 * 1024 * 1024 };

/* Keys, where absent or null is fine and a boolean must be `true`. */
static qn_status need_true(qn_import *im, const char *file, const qn_json *object,
                           const char *const *keys, size_t n, qn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const qn_json *v = qn_json_get(object, keys[i]);
        if (v == NULL || v->kind == QN_JSON_NULL || qn_import__is_true(v)) continue;
        return qn_import__unsupported(im, file, keys[i], v, err);
    }
    return QN_OK;
}

static qn_status need_type(qn_import *im, const qn_json *tokenizer, const char *key,
                           const char *type, const qn_json **out, qn_error *err)
{
    *out = qn_json_get(tokenizer, key);
    const qn_json *v = qn_json_get(*out, "type");
    if (qn_import__is_string(v, type)) return QN_OK;
    return qn_import__unsupported(im, "tokenizer.json", key, v, err);
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

/* Tokens matched in raw text: the five that WordPiece has, with their ids. */
static qn_status check_added(qn_import *im, const qn_json *tokenizer,
                             const qn_json *vocab, qn_error *err)
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
        if (same == NULL || id == NULL || id->integer != same->integer)
            return qn_import__unsupported(im, "tokenizer.json", "added_tokens", content,
                                          err);
    }
    return QN_OK;
}

static qn_status from_tokenizer_json(qn_import *im, const qn_json *tokenizer,
                                     qn_error *err)
{
    static const char *const uncased[] = {"clean_text", "handle_chinese_chars",
                                          "strip_accents", "lowercase"};
    static const struct {
        const char *key, *value;
    } strings[] = {{"unk_token", "[UNK]"}, {"continuing_subword_prefix", "##"}};
    const qn_json *normalizer = NULL, *words = NULL, *model = NULL;
    QN_TRY(need_type(im, tokenizer, "model", "WordPiece", &model, err));
    QN_TRY(need_type(im, tokenizer, "normalizer", "BertNormalizer", &normalizer, err));
    QN_TRY(need_type(im, tokenizer, "pre_tokenizer", "BertPreTokenizer", &words, err));
    QN_TRY(need_true(im, "tokenizer.json", normalizer, uncased, 4, err));
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        const qn_json *v = qn_json_get(model, strings[i].key);
        if (v != NULL && !qn_import__is_string(v, strings[i].value))
            return qn_import__unsupported(im, "tokenizer.json", strings[i].key, v, err);
    }
    const qn_json *chars = qn_json_get(model, "max_input_chars_per_word");
    if (chars != NULL &&
        (chars->kind != QN_JSON_INT || chars->integer != QN_WORDPIECE_WORD_CHARS_MAX))
        return qn_import__unsupported(im, "tokenizer.json", "max_input_chars_per_word",
                                      chars, err);
    const qn_json *vocab = qn_json_get(model, "vocab");
    QN_TRY(vocab_lines(im, vocab, err));
    return check_added(im, tokenizer, vocab, err);
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

qn_status qn_import__vocab(qn_import *im, qn_error *err)
{
    /* These override the normalizer of tokenizer.json, as in the libraries. */
    static const char *const uncased[] = {"do_lower_case", "tokenize_chinese_chars",
                                          "strip_accents", "do_basic_tokenize"};
    const qn_json *config = NULL, *tokenizer = NULL;
    QN_TRY(qn_import__json(im, "tokenizer_config.json", true, &config, err));
    QN_TRY(need_true(im, "tokenizer_config.json", config, uncased, 4, err));
    QN_TRY(qn_import__json(im, "tokenizer.json", true, &tokenizer, err));
    return tokenizer != NULL ? from_tokenizer_json(im, tokenizer, err)
                             : from_vocab_txt(im, err);
}
