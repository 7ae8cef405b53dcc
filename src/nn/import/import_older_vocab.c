/* SPDX-License-Identifier: Apache-2.0 */
/* import_older_vocab.c -- tokenizers of older files, written down as the tokenizer.json that
 * the libraries make of them:
 *
 *     vocab.txt                  BERT's WordPiece, cased or with other switches
 *     vocab.json, merges.txt     RoBERTa's byte-level BPE
 *
 * Also sentence-transformers' do_lower_case, which puts a step in front of a
 * tokenizer.json. */
#include "io/file.h"
#include "nn/import/import_internal.h"
#include "text/utf8.h"

enum { OLDER_FILE_MAX = 64 * 1024 * 1024 };

/* ---- the words of tokenizer_config.json -------------------------------------------- */

typedef enum special { PAD, UNK, CLS, SEP, MASK, SPECIALS } special;

static const char *const special_keys[SPECIALS] = {
    [PAD] = "pad_token", [UNK] = "unk_token",   [CLS] = "cls_token",
    [SEP] = "sep_token", [MASK] = "mask_token",
};

/* "[CLS]", or {"content": "[CLS]", ...}; what the class has when nothing is said. */
static qn_slice special_name(const qn_json *config, special which,
                             const char *const *names)
{
    const qn_json *v = qn_json_get(config, special_keys[which]);
    if (v != NULL && v->kind == QN_JSON_OBJECT) v = qn_json_get(v, "content");
    return v != NULL && v->kind == QN_JSON_STRING && v->string.n > 0
               ? v->string
               : qn_slice_of(names[which]);
}

static bool bool_or(const qn_json *config, const char *key, bool value)
{
    const qn_json *v = qn_json_get(config, key);
    return v != NULL && v->kind == QN_JSON_BOOL ? v->boolean : value;
}

/* What both forms have: where the words are, and the writer. */
typedef struct older {
    qn_import *im;
    qn_json_writer w;
    qn_slice name[SPECIALS];
    int64_t id[SPECIALS];
} older;

/* {"id": .., "content": .., "special": true, ..} of each that the vocabulary has. */
static void write_added(older *o, bool mask_eats_blanks)
{
    qn_json_writer *w = &o->w;
    qn_json_key(w, "added_tokens");
    qn_json_begin_array(w);
    for (int i = 0; i < SPECIALS; i++) {
        if (o->id[i] < 0) continue;
        qn_json_begin_object(w);
        qn_json_member_int(w, "id", o->id[i]);
        qn_json_member_slice(w, "content", o->name[i]);
        qn_json_member_bool(w, "single_word", false);
        qn_json_member_bool(w, "lstrip", mask_eats_blanks && i == MASK);
        qn_json_member_bool(w, "rstrip", false);
        qn_json_member_bool(w, "normalized", false);
        qn_json_member_bool(w, "special", true);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static qn_status need_specials(older *o, const char *file, qn_error *err)
{
    static const special needed[] = {CLS, SEP};
    for (size_t i = 0; i < 2; i++)
        if (o->id[needed[i]] < 0)
            return qn_fail_file(err, QN_EMODEL, qn_import__shown(o->im, file),
                                QN_AT_NONE, "the vocabulary has no \"%.*s\"",
                                QN_SLICE_ARG(o->name[needed[i]]));
    return QN_OK;
}

static void find_special(older *o, qn_slice piece, int64_t id)
{
    for (int i = 0; i < SPECIALS; i++)
        if (qn_slice_eq(piece, o->name[i])) o->id[i] = id;
}

static void begin(older *o, qn_import *im, const qn_json *config,
                  const char *const *names)
{
    *o = (older){.im = im};
    for (int i = 0; i < SPECIALS; i++) {
        o->name[i] = special_name(config, (special)i, names);
        o->id[i] = -1;
    }
    qn_buf_reset(&im->vocab);
    qn_json_writer_init(&o->w, &im->vocab, false);
    im->meta.tokenizer = QN_TOKENIZER_JSON;
}

static qn_status end(older *o, qn_error *err)
{
    qn_json_end_object(&o->w);
    return o->im->vocab.failed ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}

/* The next line without its end; false when there is none. */
static bool next_line(qn_slice *rest, qn_slice *line)
{
    if (rest->n == 0) return false;
    const char *feed = memchr(rest->p, '\n', rest->n);
    size_t n = feed == NULL ? rest->n : (size_t)(feed - rest->p);
    size_t step = feed == NULL ? n : n + 1;
    *line = (qn_slice){rest->p, n};
    if (line->n > 0 && line->p[line->n - 1] == '\r') line->n--;
    *rest = (qn_slice){rest->p + step, rest->n - step};
    return true;
}

/* ---- WordPiece --------------------------------------------------------------------- */

static void write_bert_normalizer(qn_json_writer *w, const qn_json *config)
{
    const qn_json *accents = qn_json_get(config, "strip_accents");
    qn_json_key(w, "normalizer");
    qn_json_begin_object(w);
    qn_json_member_str(w, "type", "BertNormalizer");
    qn_json_member_bool(w, "clean_text", true);
    qn_json_member_bool(w, "handle_chinese_chars",
                        bool_or(config, "tokenize_chinese_chars", true));
    qn_json_key(w, "strip_accents");
    if (accents != NULL && accents->kind == QN_JSON_BOOL)
        qn_json_bool(w, accents->boolean);
    else
        qn_json_null(w);
    qn_json_member_bool(w, "lowercase", bool_or(config, "do_lower_case", true));
    qn_json_end_object(w);
    qn_json_key(w, "pre_tokenizer");
    qn_json_begin_object(w);
    qn_json_member_str(w, "type", "BertPreTokenizer");
    qn_json_end_object(w);
}

static void write_processor(older *o, const char *type)
{
    static const special both[] = {SEP, CLS};
    static const char *const keys[] = {"sep", "cls"};
    qn_json_key(&o->w, "post_processor");
    qn_json_begin_object(&o->w);
    qn_json_member_str(&o->w, "type", type);
    for (size_t i = 0; i < 2; i++) {
        qn_json_key(&o->w, keys[i]);
        qn_json_begin_array(&o->w);
        qn_json_string(&o->w, o->name[both[i]]);
        qn_json_int(&o->w, o->id[both[i]]);
        qn_json_end_array(&o->w);
    }
}

/* {"type": "WordPiece", ..}: one piece a line, its id the number of the line. */
static void write_word_pieces(older *o, qn_slice text)
{
    qn_json_writer *w = &o->w;
    int64_t id = 0;
    qn_json_key(w, "model");
    qn_json_begin_object(w);
    qn_json_member_str(w, "type", "WordPiece");
    qn_json_member_slice(w, "unk_token", o->name[UNK]);
    qn_json_member_str(w, "continuing_subword_prefix", "##");
    qn_json_member_int(w, "max_input_chars_per_word", 100);
    qn_json_key(w, "vocab");
    qn_json_begin_object(w);
    for (qn_slice line; next_line(&text, &line); id++) {
        qn_json_key_slice(w, line);
        qn_json_int(w, id);
    }
    qn_json_end_object(w);
    qn_json_end_object(w);
}

static qn_status write_bert(qn_import *im, const qn_json *config, qn_slice text,
                            qn_error *err)
{
    static const char *const names[SPECIALS] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                                "[MASK]"};
    older o;
    qn_slice rest = text, line;
    begin(&o, im, config, names);
    for (int64_t id = 0; next_line(&rest, &line); id++) find_special(&o, line, id);
    QN_TRY(need_specials(&o, "vocab.txt", err));
    qn_json_begin_object(&o.w);
    write_added(&o, false);
    write_bert_normalizer(&o.w, config);
    write_processor(&o, "BertProcessing");
    qn_json_end_object(&o.w);
    write_word_pieces(&o, text);
    return end(&o, err);
}

qn_status qn_import__bert_vocab(qn_import *im, const qn_json *config, qn_error *err)
{
    const char *path = NULL;
    QN_TRY(qn_import__path(im, "vocab.txt", &path, err));
    qn_buf text;
    qn_buf_init(&text, im->alloc);
    qn_status st = qn_file_read(path, OLDER_FILE_MAX, &text, err);
    if (st == QN_OK && !qn_utf8_valid(qn_buf_slice(&text), NULL))
        st = qn_fail_file(err, QN_EMODEL, path, QN_AT_NONE, "invalid UTF-8");
    if (st == QN_OK) st = write_bert(im, config, qn_buf_slice(&text), err);
    qn_buf_deinit(&text);
    return st;
}

/* ---- byte-level BPE ---------------------------------------------------------------- */

/* {"type": "BPE", ..}: vocab.json as it is, a merge a line of merges.txt. */
static void write_merges(older *o, const qn_json *vocab, qn_slice text)
{
    qn_json_writer *w = &o->w;
    qn_slice line;
    bool first = true;
    qn_json_key(w, "model");
    qn_json_begin_object(w);
    qn_json_member_str(w, "type", "BPE");
    qn_json_member_bool(w, "fuse_unk", false);
    qn_json_key(w, "vocab");
    qn_json_raw(w, vocab->raw);
    qn_json_key(w, "merges");
    qn_json_begin_array(w);
    for (; next_line(&text, &line); first = false) {
        if (line.n == 0 || (first && qn_slice_starts_with(line, "#version"))) continue;
        qn_json_string(w, line);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
}

static qn_status write_roberta(qn_import *im, const qn_json *config,
                               const qn_json *vocab, qn_slice merges, qn_error *err)
{
    static const char *const names[SPECIALS] = {"<pad>", "<unk>", "<s>", "</s>",
                                                "<mask>"};
    older o;
    bool blank = bool_or(config, "add_prefix_space", false);
    begin(&o, im, config, names);
    for (const qn_json *it = qn_json_items(vocab); it != NULL; it = it->next)
        if (it->kind == QN_JSON_INT) find_special(&o, it->key, it->integer);
    QN_TRY(need_specials(&o, "vocab.json", err));
    qn_json_writer *w = &o.w;
    qn_json_begin_object(w);
    write_added(&o, true);
    qn_json_key(w, "pre_tokenizer");
    qn_json_begin_object(w);
    qn_json_member_str(w, "type", "ByteLevel");
    qn_json_member_bool(w, "add_prefix_space", blank);
    qn_json_member_bool(w, "trim_offsets", true);
    qn_json_member_bool(w, "use_regex", true);
    qn_json_end_object(w);
    write_processor(&o, "RobertaProcessing");
    qn_json_member_bool(w, "trim_offsets", true);
    qn_json_member_bool(w, "add_prefix_space", blank);
    qn_json_end_object(w);
    write_merges(&o, vocab, merges);
    return end(&o, err);
}

qn_status qn_import__roberta_vocab(qn_import *im, const qn_json *config, qn_error *err)
{
    const qn_json *vocab = NULL;
    const char *path = NULL;
    QN_TRY(qn_import__json(im, "vocab.json", false, &vocab, err));
    if (vocab->kind != QN_JSON_OBJECT)
        return qn_fail_file(err, QN_EMODEL, qn_import__shown(im, "vocab.json"),
                            QN_AT_NONE, "no object");
    QN_TRY(qn_import__path(im, "merges.txt", &path, err));
    qn_buf text;
    qn_buf_init(&text, im->alloc);
    qn_status st = qn_file_read(path, OLDER_FILE_MAX, &text, err);
    if (st == QN_OK && !qn_utf8_valid(qn_buf_slice(&text), NULL))
        st = qn_fail_file(err, QN_EMODEL, path, QN_AT_NONE, "invalid UTF-8");
    if (st == QN_OK) st = write_roberta(im, config, vocab, qn_buf_slice(&text), err);
    qn_buf_deinit(&text);
    return st;
}

/* ---- do_lower_case ----------------------------------------------------------------- */

static bool is_lowercase(const qn_json *normalizer)
{
    return qn_import__is_string(qn_json_get(normalizer, "type"), "Lowercase");
}

/* As the library looks for it: a step of its own, at the top or in the sequence. */
static bool has_lowercase(const qn_json *normalizer)
{
    if (is_lowercase(normalizer)) return true;
    const qn_json *list = qn_json_get(normalizer, "normalizers");
    for (const qn_json *it = list == NULL ? NULL : qn_json_items(list); it != NULL;
         it = it->next)
        if (is_lowercase(it)) return true;
    return false;
}

/* The same file with {"type": "Lowercase"} in front of its normalizers. */
static void write_lowercase(qn_json_writer *w, const qn_json *tokenizer)
{
    qn_json_begin_object(w);
    for (const qn_json *it = qn_json_items(tokenizer); it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "normalizer")) continue;
        qn_json_key_slice(w, it->key);
        qn_json_raw(w, it->raw);
    }
    const qn_json *old = qn_json_get(tokenizer, "normalizer");
    qn_json_key(w, "normalizer");
    qn_json_begin_object(w);
    qn_json_member_str(w, "type", "Sequence");
    qn_json_key(w, "normalizers");
    qn_json_begin_array(w);
    qn_json_raw(w, QN_SLICE_LIT("{\"type\":\"Lowercase\"}"));
    if (old != NULL && old->kind != QN_JSON_NULL) qn_json_raw(w, old->raw);
    qn_json_end_array(w);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

qn_status qn_import__lower_case(qn_import *im, qn_error *err)
{
    static const char file[] = "sentence_bert_config.json";
    const qn_json *sentence = NULL, *tokenizer = NULL;
    QN_TRY(qn_import__json(im, file, true, &sentence, err));
    const qn_json *lower = qn_json_get(sentence, "do_lower_case");
    if (!qn_import__is_true(lower) || im->meta.tokenizer == QN_TOKENIZER_VOCAB)
        return QN_OK;
    if (im->meta.tokenizer != QN_TOKENIZER_JSON)
        return qn_import__unsupported(im, file, "do_lower_case", lower, err);
    qn_slice kept = qn_arena_slice(&im->arena, qn_buf_slice(&im->vocab));
    if (kept.p == NULL) return qn_fail(err, QN_ENOMEM, "import");
    qn_error inner = {0};
    if (qn_json_parse(&im->arena, kept, &tokenizer, &inner) != QN_OK)
        return qn_fail_file(err, QN_EMODEL, qn_import__shown(im, "tokenizer.json"),
                            inner.at, "%.300s", inner.text);
    if (has_lowercase(qn_json_get(tokenizer, "normalizer"))) return QN_OK;
    qn_json_writer w;
    qn_buf_reset(&im->vocab);
    qn_json_writer_init(&w, &im->vocab, false);
    write_lowercase(&w, tokenizer);
    return im->vocab.failed ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}
