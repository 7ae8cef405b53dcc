/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer_json.c -- Hugging Face's tokenizer.json: added tokens, the model, the template.
 * Its steps are read by tokenizer_steps.c. The blocks `truncation` and `padding` are settings
 * of whoever saved the file, not of the model, and are left. */
#include "text/tokenizer_json.h"

#include <math.h>
#include <stdlib.h>

enum {
    VOCAB_MAX = 1 << 22,
    ADDED_MAX = 4096,
    WORD_CHARS_DEFAULT = 100,
    SCORE_MAX = 1000000
};

qn_status qn_tokenizer__unsupported(const char *part, const char *key, const qn_json *v,
                                    qn_error *err)
{
    qn_slice raw = v == NULL ? QN_SLICE_LIT("nothing") : v->raw;
    return qn_fail(err, QN_EMODEL, "tokenizer.json: %s.%s is not supported: %.*s%s",
                   part, key, (int)(raw.n < 80 ? raw.n : 80), raw.p,
                   raw.n > 80 ? " ..." : "");
}

qn_slice qn_tokenizer__string(const qn_json *object, const char *key)
{
    const qn_json *v = qn_json_get(object, key);
    return v != NULL && v->kind == QN_JSON_STRING ? v->string : (qn_slice){NULL, 0};
}

bool qn_tokenizer__flag(const qn_json *object, const char *key, bool absent)
{
    const qn_json *v = qn_json_get(object, key);
    return v != NULL && v->kind == QN_JSON_BOOL ? v->boolean : absent;
}

qn_slice qn_tokenizer__keep(qn_tokenizer *t, qn_slice s)
{
    return qn_arena_slice(&t->arena, s);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for a tokenizer");
}

/* ---- pieces ------------------------------------------------------------------------------ */

/* One past the greatest id of added tokens, or `n`. */
static size_t count_ids(const qn_json *added, size_t n)
{
    for (const qn_json *it = qn_json_items(added); it != NULL; it = it->next) {
        const qn_json *id = qn_json_get(it, "id");
        if (id != NULL && id->kind == QN_JSON_INT && id->integer >= (int64_t)n &&
            id->integer < VOCAB_MAX)
            n = (size_t)id->integer + 1;
    }
    return n;
}

static qn_status make_pieces(qn_tokenizer *t, size_t n, qn_error *err)
{
    if (n == 0 || n > VOCAB_MAX)
        return qn_fail(err, QN_EMODEL, "tokenizer.json: a vocabulary of %zu pieces", n);
    t->pieces = qn_arena_array(&t->arena, n, sizeof *t->pieces);
    t->piece_count = n;
    return t->pieces == NULL ? no_memory(err) : QN_OK;
}

/* {"piece": id, ...}; ids may leave gaps. */
static qn_status read_vocab_object(qn_tokenizer *t, const qn_json *vocab,
                                   const qn_json *added, qn_error *err)
{
    if (vocab == NULL || vocab->kind != QN_JSON_OBJECT)
        return qn_tokenizer__unsupported("model", "vocab", vocab, err);
    size_t n = 0;
    for (const qn_json *it = qn_json_items(vocab); it != NULL; it = it->next) {
        if (it->kind != QN_JSON_INT || it->integer < 0 || it->integer >= VOCAB_MAX)
            return qn_tokenizer__unsupported("model", "vocab", it, err);
        if ((size_t)it->integer >= n) n = (size_t)it->integer + 1;
    }
    QN_TRY(make_pieces(t, count_ids(added, n), err));
    for (const qn_json *it = qn_json_items(vocab); it != NULL; it = it->next) {
        t->pieces[it->integer] = qn_tokenizer__keep(t, it->key);
        if (t->pieces[it->integer].p == NULL) return no_memory(err);
    }
    return QN_OK;
}

/* A score as the reference reads it: the digits as an integer, rounded once, then divided or
 * multiplied by a power of ten, rounded again. The nearest double decides some ties of sums
 * the other way. */
static double read_score(qn_slice raw)
{
    uint64_t digits = 0;
    int exponent = 0, written = 0;
    size_t i = raw.n > 0 && raw.p[0] == '-';
    bool point = false, full = false;
    for (; i < raw.n && (raw.p[i] == '.' || (raw.p[i] >= '0' && raw.p[i] <= '9'));
         i++) {
        unsigned digit = (unsigned)(raw.p[i] - '0');
        if (raw.p[i] == '.') {
            point = true;
        } else if (full || digits > (UINT64_MAX - digit) / 10) {
            full = true;
            exponent += !point;
        } else {
            digits = digits * 10 + digit;
            exponent -= point;
        }
    }
    if (i + 1 < raw.n) {
        bool minus = raw.p[i + 1] == '-';
        for (i += raw.p[i + 1] == '-' || raw.p[i + 1] == '+' ? 2 : 1; i < raw.n; i++)
            if (written < 1000) written = written * 10 + (raw.p[i] - '0');
        exponent += minus ? -written : written;
    }
    double value = (double)digits;
    for (; exponent < -308 && value != 0; exponent += 308) value /= 1e308;
    value = exponent < 0 ? value / pow(10, -exponent) : value * pow(10, exponent);
    return raw.n > 0 && raw.p[0] == '-' ? -value : value;
}

/* [["piece", score], ...] */
static qn_status read_vocab_list(qn_tokenizer *t, const qn_json *vocab,
                                 const qn_json *added, qn_error *err)
{
    if (vocab == NULL || vocab->kind != QN_JSON_ARRAY)
        return qn_tokenizer__unsupported("model", "vocab", vocab, err);
    QN_TRY(make_pieces(t, count_ids(added, vocab->count), err));
    t->scores = qn_arena_array(&t->arena, t->piece_count, sizeof *t->scores);
    if (t->scores == NULL) return no_memory(err);
    size_t id = 0;
    for (const qn_json *it = qn_json_items(vocab); it != NULL; it = it->next, id++) {
        const qn_json *piece = qn_json_items(it);
        const qn_json *score = piece == NULL ? NULL : piece->next;
        if (score == NULL || piece->kind != QN_JSON_STRING ||
            (score->kind != QN_JSON_DOUBLE && score->kind != QN_JSON_INT) ||
            !isfinite(score->number) || fabs(score->number) > SCORE_MAX)
            return qn_tokenizer__unsupported("model", "vocab", it, err);
        t->pieces[id] = qn_tokenizer__keep(t, piece->string);
        t->scores[id] = read_score(score->raw);
        if (t->pieces[id].p == NULL) return no_memory(err);
    }
    return QN_OK;
}

/* ---- models -------------------------------------------------------------------------------- */

/* `key`, a string, as an id. Absent or null: the model has none. */
static qn_status read_unk(qn_tokenizer *t, const qn_json *model, qn_error *err)
{
    qn_slice name = qn_tokenizer__string(model, "unk_token");
    if (name.p == NULL) return QN_OK;
    t->has_unk = qn_tokenizer__find(t, name, &t->unk);
    if (t->has_unk) return QN_OK;
    return qn_tokenizer__unsupported("model", "unk_token",
                                     qn_json_get(model, "unk_token"), err);
}

static qn_status read_wordpiece(qn_tokenizer *t, const qn_json *model,
                                const qn_json *added, qn_error *err)
{
    t->model = QN_SUBWORD_WORDPIECE;
    QN_TRY(read_vocab_object(t, qn_json_get(model, "vocab"), added, err));
    QN_TRY(qn_tokenizer__index(t, err));
    QN_TRY(read_unk(t, model, err));
    qn_slice prefix = qn_tokenizer__string(model, "continuing_subword_prefix");
    t->prefix = qn_tokenizer__keep(t, prefix.p == NULL ? QN_SLICE_LIT("##") : prefix);
    const qn_json *most = qn_json_get(model, "max_input_chars_per_word");
    t->word_chars_max = most != NULL && most->kind == QN_JSON_INT && most->integer > 0
                            ? (size_t)most->integer
                            : WORD_CHARS_DEFAULT;
    return t->prefix.p == NULL ? no_memory(err) : QN_OK;
}

static qn_status read_unigram(qn_tokenizer *t, const qn_json *model,
                              const qn_json *added, qn_error *err)
{
    t->model = QN_SUBWORD_UNIGRAM;
    const qn_json *vocab = qn_json_get(model, "vocab"),
                  *unk = qn_json_get(model, "unk_id");
    QN_TRY(read_vocab_list(t, vocab, added, err));
    QN_TRY(qn_tokenizer__index(t, err));
    t->has_unk = unk != NULL && unk->kind == QN_JSON_INT;
    if (t->has_unk && (unk->integer < 0 || (size_t)unk->integer >= vocab->count))
        return qn_tokenizer__unsupported("model", "unk_id", unk, err);
    t->unk = t->has_unk ? (uint32_t)unk->integer : QN_TRIE_DEAD;
    QN_TRY(
        qn_piece_trie_create(t->alloc, t->pieces, NULL, vocab->count, &t->trie, err));
    double least = HUGE_VAL;
    for (size_t i = 0; i < vocab->count; i++) least = fmin(least, t->scores[i]);
    t->unigram = (qn_unigram){.trie = t->trie,
                              .scores = t->scores,
                              .unknown_score = least - 10.0,
                              .unk = t->unk};
    return QN_OK;
}

/* "a b", or ["a", "b"]. */
static bool merge_sides(const qn_json *v, qn_slice *left, qn_slice *right)
{
    if (v->kind == QN_JSON_ARRAY && v->count == 2 && v->first->kind == QN_JSON_STRING &&
        v->first->next->kind == QN_JSON_STRING) {
        *left = v->first->string;
        *right = v->first->next->string;
        return true;
    }
    if (v->kind != QN_JSON_STRING) return false;
    const char *blank = memchr(v->string.p, ' ', v->string.n);
    if (blank == NULL) return false;
    size_t n = (size_t)(blank - v->string.p);
    *left = (qn_slice){v->string.p, n};
    *right = (qn_slice){blank + 1, v->string.n - n - 1};
    return true;
}

/* The ids of both sides and of what they become: left, then right without the prefix. */
static bool merge_ids(const qn_tokenizer *t, qn_slice left, qn_slice right,
                      qn_buf *name, qn_bpe_merge *out)
{
    if (!qn_tokenizer__find(t, left, &out->left) ||
        !qn_tokenizer__find(t, right, &out->right))
        return false;
    size_t skip = t->prefix.n <= right.n ? t->prefix.n : 0;
    qn_buf_reset(name);
    qn_buf_add_slice(name, left);
    qn_buf_add(name, right.p + skip, right.n - skip);
    return !name->failed && qn_tokenizer__find(t, qn_buf_slice(name), &out->merged);
}

static qn_status read_merges(qn_tokenizer *t, const qn_json *merges, qn_error *err)
{
    if (merges == NULL || merges->kind != QN_JSON_ARRAY || merges->count > VOCAB_MAX)
        return qn_tokenizer__unsupported("model", "merges", merges, err);
    qn_bpe_merge *list = qn_new_array(t->alloc, merges->count + 1, sizeof *list);
    if (list == NULL) return no_memory(err);
    qn_buf name;
    qn_buf_init(&name, t->alloc);
    qn_status st = QN_OK;
    size_t n = 0;
    for (const qn_json *it = qn_json_items(merges); st == QN_OK && it != NULL;
         it = it->next) {
        qn_slice left, right;
        if (!merge_sides(it, &left, &right) ||
            !merge_ids(t, left, right, &name, &list[n++]))
            st = qn_tokenizer__unsupported("model", "merges", it, err);
    }
    if (st == QN_OK) st = qn_bpe_merges_create(t->alloc, list, n, &t->merges, err);
    qn_buf_deinit(&name);
    qn_delete(t->alloc, list);
    return st;
}

static qn_status read_bpe(qn_tokenizer *t, const qn_json *model, const qn_json *added,
                          qn_error *err)
{
    t->model = QN_SUBWORD_BPE;
    QN_TRY(read_vocab_object(t, qn_json_get(model, "vocab"), added, err));
    QN_TRY(qn_tokenizer__index(t, err));
    QN_TRY(read_unk(t, model, err));
    qn_slice prefix = qn_tokenizer__string(model, "continuing_subword_prefix"),
             suffix = qn_tokenizer__string(model, "end_of_word_suffix");
    t->prefix = qn_tokenizer__keep(t, prefix.p == NULL ? QN_SLICE_LIT("") : prefix);
    t->suffix = qn_tokenizer__keep(t, suffix.p == NULL ? QN_SLICE_LIT("") : suffix);
    if (t->prefix.p == NULL || t->suffix.p == NULL) return no_memory(err);
    const qn_json *dropout = qn_json_get(model, "dropout");
    if (dropout != NULL && dropout->kind != QN_JSON_NULL && dropout->number > 0)
        return qn_tokenizer__unsupported("model", "dropout", dropout, err);
    t->fuse_unk = qn_tokenizer__flag(model, "fuse_unk", false);
    t->ignore_merges = qn_tokenizer__flag(model, "ignore_merges", false);
    return read_merges(t, qn_json_get(model, "merges"), err);
}

static qn_status read_model(qn_tokenizer *t, const qn_json *model, const qn_json *added,
                            qn_error *err)
{
    const qn_json *kind = qn_json_get(model, "type");
    qn_slice type = qn_tokenizer__string(model, "type");
    if (type.p == NULL && qn_json_get(model, "merges") != NULL)
        type = QN_SLICE_LIT("BPE"); /* old files do not say */
    t->byte_fallback = qn_tokenizer__flag(model, "byte_fallback", false);
    qn_status st;
    if (type.p != NULL && qn_slice_eq_str(type, "WordPiece"))
        st = read_wordpiece(t, model, added, err);
    else if (type.p != NULL && qn_slice_eq_str(type, "Unigram"))
        st = read_unigram(t, model, added, err);
    else if (type.p != NULL && qn_slice_eq_str(type, "BPE"))
        st = read_bpe(t, model, added, err);
    else
        st = qn_tokenizer__unsupported("model", "type", kind, err);
    if (st == QN_OK) qn_tokenizer__find_bytes(t);
    return st;
}

/* ---- added tokens ------------------------------------------------------------------------------- */

/* What a token looks like after the normalizers, when it is looked for there. */
static qn_status normalized_content(qn_tokenizer *t, qn_added_token *a, qn_error *err)
{
    qn_subtext s;
    qn_subtext_init(&s, &t->arena);
    qn_subtext_add_original(&s, a->content, 0, a->content.n);
    for (size_t i = 0; i < t->norm_count; i++)
        QN_TRY(qn_norm_run(&t->norms[i], &s, err));
    if (s.failed) return no_memory(err);
    if (s.n > 0) a->content = (qn_slice){s.p, s.n};
    return QN_OK;
}

static qn_status read_added(qn_tokenizer *t, const qn_json *v, qn_error *err)
{
    const qn_json *id = qn_json_get(v, "id");
    qn_slice content = qn_tokenizer__string(v, "content");
    if (content.p == NULL || content.n == 0 || id == NULL || id->kind != QN_JSON_INT ||
        id->integer < 0 || (size_t)id->integer >= t->piece_count)
        return qn_tokenizer__unsupported("added_tokens", "id", v, err);
    qn_added_token *a = &t->added[t->added_count++];
    *a = (qn_added_token){
        .content = qn_tokenizer__keep(t, content),
        .id = (uint32_t)id->integer,
        .special = qn_tokenizer__flag(v, "special", false),
        .normalized = qn_tokenizer__flag(v, "normalized", false),
        .single_word = qn_tokenizer__flag(v, "single_word", false),
        .lstrip = qn_tokenizer__flag(v, "lstrip", false),
        .rstrip = qn_tokenizer__flag(v, "rstrip", false),
    };
    if (a->content.p == NULL) return no_memory(err);
    if (t->pieces[a->id].p == NULL) t->pieces[a->id] = a->content;
    if (a->normalized) QN_TRY(normalized_content(t, a, err));
    t->added_first[(uint8_t)a->content.p[0]] = true;
    return QN_OK;
}

static int longer_first(const void *a, const void *b)
{
    const qn_added_token *x = a, *y = b;
    if (x->content.n != y->content.n) return x->content.n < y->content.n ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static qn_status read_added_tokens(qn_tokenizer *t, const qn_json *list, qn_error *err)
{
    size_t n = list == NULL ? 0 : list->count;
    if (n > ADDED_MAX)
        return qn_fail(err, QN_EMODEL, "tokenizer.json: %zu added_tokens; at most %d",
                       n, ADDED_MAX);
    t->added = qn_arena_array(&t->arena, n + 1, sizeof *t->added);
    if (t->added == NULL) return no_memory(err);
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next)
        QN_TRY(read_added(t, it, err));
    qsort(t->added, t->added_count, sizeof *t->added, longer_first);
    return QN_OK;
}

/* An added token, else a piece. */
static bool find_token(const qn_tokenizer *t, const char *name, uint32_t *id)
{
    for (size_t i = 0; i < t->added_count; i++) {
        if (!qn_slice_eq_str(t->added[i].content, name)) continue;
        *id = t->added[i].id;
        return true;
    }
    return qn_tokenizer__find(t, qn_slice_of(name), id);
}

static int32_t named_token(const qn_tokenizer *t, const char *const *names, size_t n)
{
    uint32_t id;
    for (size_t i = 0; i < n; i++)
        if (find_token(t, names[i], &id)) return (int32_t)id;
    return QN_TOKEN_NONE;
}

/* ---- the template ---------------------------------------------------------------------------------- */

static qn_status add_item(const qn_tokenizer *t, qn_template *out, int64_t what,
                          int64_t type, const qn_json *where, qn_error *err)
{
    bool text = what == QN_TEMPLATE_FIRST || what == QN_TEMPLATE_SECOND;
    if (out->n == QN_TEMPLATE_MAX || type < 0 || type > 1 ||
        (!text && (what < 0 || (uint64_t)what >= t->piece_count)))
        return qn_tokenizer__unsupported("post_processor", "template", where, err);
    out->items[out->n++] = (qn_template_item){(int32_t)what, (uint8_t)type};
    return QN_OK;
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}} or {"Sequence": {"id": "A", ...}} */
static qn_status read_item(const qn_tokenizer *t, const qn_json *specials,
                           const qn_json *v, qn_template *out, qn_error *err)
{
    const qn_json *token = qn_json_get(v, "SpecialToken"),
                  *text = qn_json_get(v, "Sequence");
    const qn_json *body = token != NULL ? token : text;
    const qn_json *type = qn_json_get(body, "type_id");
    qn_slice id = qn_tokenizer__string(body, "id");
    int64_t type_id = type != NULL && type->kind == QN_JSON_INT ? type->integer : 0;
    if (id.p == NULL)
        return qn_tokenizer__unsupported("post_processor", "item", v, err);
    if (token == NULL)
        return add_item(
            t, out, qn_slice_eq_str(id, "A") ? QN_TEMPLATE_FIRST : QN_TEMPLATE_SECOND,
            type_id, v, err);
    char name[128];
    if (id.n >= sizeof name)
        return qn_tokenizer__unsupported("post_processor", "item", v, err);
    memcpy(name, id.p, id.n);
    name[id.n] = '\0';
    const qn_json *ids = qn_json_get(qn_json_get(specials, name), "ids");
    if (ids == NULL || ids->count == 0)
        return qn_tokenizer__unsupported("post_processor", "special_tokens", v, err);
    for (const qn_json *it = qn_json_items(ids); it != NULL; it = it->next)
        QN_TRY(add_item(t, out, it->kind == QN_JSON_INT ? it->integer : -3, type_id, v,
                        err));
    return QN_OK;
}

static qn_status read_template(qn_tokenizer *t, const qn_json *v, qn_error *err)
{
    const qn_json *specials = qn_json_get(v, "special_tokens");
    for (const qn_json *it = qn_json_items(qn_json_get(v, "single")); it != NULL;
         it = it->next)
        QN_TRY(read_item(t, specials, it, &t->single, err));
    for (const qn_json *it = qn_json_items(qn_json_get(v, "pair")); it != NULL;
         it = it->next)
        QN_TRY(read_item(t, specials, it, &t->pair, err));
    if (t->single.n == 0)
        return qn_tokenizer__unsupported("post_processor", "single", v, err);
    return QN_OK;
}

/* {"cls": ["[CLS]", 101], "sep": ["[SEP]", 102]}: BERT's order, or RoBERTa's with two
 * separators and one type. */
static qn_status read_cls_sep(qn_tokenizer *t, const qn_json *v, bool roberta,
                              qn_error *err)
{
    const qn_json *cls = qn_json_get(v, "cls"), *sep = qn_json_get(v, "sep");
    if (cls == NULL || cls->count != 2 || sep == NULL || sep->count != 2)
        return qn_tokenizer__unsupported("post_processor", "cls", v, err);
    int64_t c = cls->first->next->integer, s = sep->first->next->integer;
    int64_t second = roberta ? 0 : 1;
    QN_TRY(add_item(t, &t->single, c, 0, v, err));
    QN_TRY(add_item(t, &t->single, QN_TEMPLATE_FIRST, 0, v, err));
    QN_TRY(add_item(t, &t->single, s, 0, v, err));
    t->pair = t->single;
    if (roberta) QN_TRY(add_item(t, &t->pair, s, 0, v, err));
    QN_TRY(add_item(t, &t->pair, QN_TEMPLATE_SECOND, second, v, err));
    return add_item(t, &t->pair, s, second, v, err);
}

static qn_status read_processor(qn_tokenizer *t, const qn_json *v, qn_error *err)
{
    qn_slice type = qn_tokenizer__string(v, "type");
    if (v == NULL || v->kind == QN_JSON_NULL) return QN_OK;
    if (type.p == NULL)
        return qn_tokenizer__unsupported("post_processor", "type", v, err);
    if (qn_slice_eq_str(type, "TemplateProcessing")) return read_template(t, v, err);
    if (qn_slice_eq_str(type, "BertProcessing")) return read_cls_sep(t, v, false, err);
    if (qn_slice_eq_str(type, "RobertaProcessing"))
        return read_cls_sep(t, v, true, err);
    if (qn_slice_eq_str(type, "ByteLevel")) return QN_OK; /* offsets alone */
    if (!qn_slice_eq_str(type, "Sequence"))
        return qn_tokenizer__unsupported("post_processor", "type",
                                         qn_json_get(v, "type"), err);
    for (const qn_json *it = qn_json_items(qn_json_get(v, "processors")); it != NULL;
         it = it->next) {
        if (qn_slice_eq_str(qn_tokenizer__string(it, "type"), "Sequence"))
            return qn_tokenizer__unsupported("post_processor", "type", it, err);
        QN_TRY(read_processor(t, it, err));
    }
    return QN_OK;
}

/* Each text stands in it as often as it is given. */
static bool has_texts(const qn_template *t, size_t second)
{
    size_t a = 0, b = 0;
    for (size_t i = 0; i < t->n; i++) {
        a += t->items[i].what == QN_TEMPLATE_FIRST;
        b += t->items[i].what == QN_TEMPLATE_SECOND;
    }
    return a == 1 && b == second;
}

static qn_status finish_template(qn_tokenizer *t, qn_error *err)
{
    if (t->single.n == 0)
        QN_TRY(add_item(t, &t->single, QN_TEMPLATE_FIRST, 0, NULL, err));
    if (t->pair.n == 0) {
        QN_TRY(add_item(t, &t->pair, QN_TEMPLATE_FIRST, 0, NULL, err));
        QN_TRY(add_item(t, &t->pair, QN_TEMPLATE_SECOND, 0, NULL, err));
    }
    if (!has_texts(&t->single, 0) || !has_texts(&t->pair, 1))
        return qn_tokenizer__unsupported("post_processor", "template", NULL, err);
    static const char *const pad[] = {"[PAD]", "<pad>", "<|padding|>"};
    static const char *const mask[] = {"[MASK]", "<mask>"};
    t->special.pad = named_token(t, pad, 3);
    t->special.mask = named_token(t, mask, 2);
    t->special.unk = t->has_unk ? (int32_t)t->unk : QN_TOKEN_NONE;
    int32_t first = t->single.items[0].what,
            last = t->single.items[t->single.n - 1].what;
    t->special.cls = first >= 0 ? first : QN_TOKEN_NONE;
    t->special.sep = last >= 0 ? last : QN_TOKEN_NONE;
    return QN_OK;
}

static qn_status read_all(qn_tokenizer *t, const qn_json *v, qn_error *err)
{
    const qn_json *added = qn_json_get(v, "added_tokens");
    if (v->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EMODEL, "tokenizer.json is no object");
    QN_TRY(read_model(t, qn_json_get(v, "model"), added, err));
    QN_TRY(qn_tokenizer__read_steps(t, v, err));
    QN_TRY(read_added_tokens(t, added, err));
    QN_TRY(read_processor(t, qn_json_get(v, "post_processor"), err));
    QN_TRY(qn_tokenizer__read_decoder(t, qn_json_get(v, "decoder"), err));
    return finish_template(t, err);
}

qn_status qn_tokenizer__read_json(qn_tokenizer *t, qn_slice bytes, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, t->alloc, 0);
    const qn_json *v = NULL;
    qn_status st = qn_json_parse(&arena, bytes, &v, err);
    if (st == QN_OK) st = read_all(t, v, err);
    qn_arena_deinit(&arena);
    return st;
}
