/* SPDX-License-Identifier: Apache-2.0 */
/* import_tokens.c -- models of token vectors: what sentence-transformers, PyLate and
 * ColBERT's first authors write down about queries and documents.
 *
 *     config_sentence_transformers.json   of PyLate: lengths, expansion, skipped words
 *     sentence_bert_config.json           lengths, added tokens
 *     artifact.metadata                   of the first authors */
#include "nn/import/import_internal.h"

/* Whether the folder says that it is a model of token vectors. */
bool qn_import__says_tokens(const qn_json *settings)
{
    const qn_json *type = qn_json_get(settings, "model_type");
    return qn_import__is_string(type, "MultiVectorEncoder") ||
           qn_import__is_string(type, "ColBERT");
}

/* ---- token vectors ---------------------------------------------------------- */

qn_status qn_import__expansion(qn_import *im, const qn_json *v, qn_error *err)
{
    static const char file[] = "sentence_bert_config.json";
    qn_multi_config *c = &im->meta.multi;
    if (qn_import__is_null(v)) return QN_OK;
    const qn_json *strategy = qn_json_get(v, "strategy");
    const qn_json *token = qn_json_get(v, "token");
    c->expand_exact = qn_import__is_string(strategy, "fixed");
    if (!c->expand_exact && !qn_import__is_string(strategy, "min"))
        return qn_import__unsupported(im, file, "query_expansion", v, err);
    QN_TRY(qn_import__count(im, file, v, "length", im->meta.info.max_tokens,
                            &c->expand_to, err));
    QN_TRY(qn_import__flag(im, file, v, "attend", &c->expand_seen, err));
    if (qn_import__is_null(token)) return QN_OK;
    if (token->kind != QN_JSON_STRING)
        return qn_import__unsupported(im, file, "query_expansion", v, err);
    im->expand_token = token->string;
    return QN_OK;
}

qn_status qn_import__mask(qn_import *im, const qn_import_module *m, qn_error *err)
{
    const char *file = NULL;
    const qn_json *config = NULL;
    qn_multi_config *c = &im->meta.multi;
    QN_TRY(qn_import__module_json(im, m, false, &file, &config, err));
    const qn_json *keep = qn_json_get(config, "keep_only_token_ids");
    const qn_json *tasks = qn_json_get(config, "skiplist_tasks");
    if (!qn_import__is_null(keep))
        return qn_import__unsupported(im, file, "keep_only_token_ids", keep, err);
    im->skip_words = qn_json_get(config, "skiplist_words");
    if (qn_import__is_null(im->skip_words)) im->skip_words = NULL;
    im->skip_punctuation = false;
    c->skip_document = qn_import__is_null(tasks);
    for (const qn_json *it = qn_import__is_null(tasks) ? NULL : qn_json_items(tasks);
         it != NULL; it = it->next) {
        if (qn_import__is_string(it, "query"))
            c->skip_query = true;
        else if (qn_import__is_string(it, "document"))
            c->skip_document = true;
        else
            return qn_import__unsupported(im, file, "skiplist_tasks", tasks, err);
    }
    return QN_OK;
}

/* Lengths of either role, and the tokens that queries are filled up with. */
qn_status qn_import__lengths(qn_import *im, const char *file, const qn_json *config,
                             qn_error *err)
{
    qn_multi_config *c = &im->meta.multi;
    uint32_t most = QN_TAIL_WIDTH_MAX;
    QN_TRY(qn_import__count(im, file, config, "query_length", most, &c->query_tokens,
                            err));
    return qn_import__count(im, file, config, "document_length", most,
                            &c->document_tokens, err);
}

/* What PyLate writes beside the prompts. */
qn_status qn_import__pylate(qn_import *im, const qn_json *config, qn_error *err)
{
    qn_multi_config *c = &im->meta.multi;
    bool expands = true;
    QN_TRY(qn_import__lengths(im, qn_import__prompts_file, config, err));
    QN_TRY(qn_import__flag(im, qn_import__prompts_file, config, "do_query_expansion",
                           &expands, err));
    QN_TRY(qn_import__flag(im, qn_import__prompts_file, config,
                           "attend_to_expansion_tokens", &c->expand_seen, err));
    c->expand_exact = true;
    if (expands) c->expand_to = c->query_tokens > 0 ? c->query_tokens : 32;
    im->skip_words = qn_json_get(config, "skiplist_words");
    im->skip_punctuation = qn_import__is_null(im->skip_words);
    if (im->skip_punctuation) im->skip_words = NULL;
    c->skip_document = true;
    im->meta.info.normalize = true;
    return QN_OK;
}

/* ColBERT's first authors: the settings of training, beside the weights. */
qn_status qn_import__artifact(qn_import *im, qn_error *err)
{
    static const char file[] = "artifact.metadata";
    const qn_json *config = NULL;
    qn_multi_config *c = &im->meta.multi;
    bool punctuation = true;
    QN_TRY(qn_import__json(im, file, true, &config, err));
    c->expand_to = 32;
    c->expand_exact = c->skip_document = true;
    QN_TRY(qn_import__count(im, file, config, "query_maxlen", im->meta.info.max_tokens,
                            &c->expand_to, err));
    QN_TRY(qn_import__count(im, file, config, "doc_maxlen", QN_TAIL_WIDTH_MAX,
                            &c->document_tokens, err));
    QN_TRY(qn_import__flag(im, file, config, "attend_to_mask_tokens", &c->expand_seen,
                           err));
    QN_TRY(qn_import__flag(im, file, config, "mask_punctuation", &punctuation, err));
    im->skip_punctuation = punctuation;
    static const struct {
        const char *key, *name, *marker;
    } marks[] = {{"query_token_id", "query", "[unused0]"},
                 {"doc_token_id", "document", "[unused1]"}};
    for (size_t i = 0; i < 2; i++) {
        const qn_json *v = qn_json_get(config, marks[i].key);
        qn_slice text = v != NULL && v->kind == QN_JSON_STRING
                            ? v->string
                            : qn_slice_of(marks[i].marker);
        QN_TRY(qn_import__add_prompt(im, qn_slice_of(marks[i].name), text, err));
    }
    im->meta.info.normalize = true;
    const qn_weight *t = NULL;
    /* The width is the weight's own; the file is read once more with all the others. */
    qn_weights *w = NULL;
    QN_TRY(qn_weights_open(im->alloc, im->encoder_folder, &w, err));
    t = qn_weights_find(w, "linear.weight");
    uint64_t out = t == NULL || t->rank != 2 ? 0 : t->shape[0];
    qn_weights_close(w);
    if (out < 1 || out > QN_TAIL_WIDTH_MAX)
        return qn_fail_file(err, QN_EMODEL, im->folder, QN_AT_NONE,
                            "tensor \"linear.weight\" is missing or out of range");
    return qn_import__add_step(im, NULL,
                               (qn_tail_step){.kind = QN_TAIL_DENSE,
                                              .in = im->meta.encoder.hidden,
                                              .out = (uint32_t)out,
                                              .act = QN_ACT_LINEAR},
                               err);
}

/* ---- words ------------------------------------------------------------------ */

/* The id of the piece that is this word; false when there is none. */
static bool find_piece(const qn_tokenizer *t, qn_slice word, uint32_t *out)
{
    for (uint32_t id = 0; id < qn_tokenizer_vocab_size(t); id++) {
        if (!qn_slice_eq(qn_tokenizer_piece(t, id), word)) continue;
        *out = id;
        return true;
    }
    return false;
}

static void add_skipped(qn_multi_config *c, const qn_tokenizer *t, qn_slice word)
{
    uint32_t id = 0;
    if (c->skip_count < QN_SKIP_IDS_MAX && find_piece(t, word, &id))
        c->skip[c->skip_count++] = id;
}

static qn_status find_words(qn_import *im, const qn_tokenizer *t, qn_error *err)
{
    static const char punctuation[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    qn_multi_config *c = &im->meta.multi;
    c->skip = qn_arena_array(&im->arena, QN_SKIP_IDS_MAX, sizeof *c->skip);
    if (c->skip == NULL) return qn_fail(err, QN_ENOMEM, "import");
    if (im->skip_words != NULL && im->skip_words->count > QN_SKIP_IDS_MAX)
        return qn_fail(err, QN_ELIMIT, "skiplist_words: %zu words, at most %d",
                       (size_t)im->skip_words->count, QN_SKIP_IDS_MAX);
    for (const qn_json *it = im->skip_words == NULL ? NULL
                                                    : qn_json_items(im->skip_words);
         it != NULL; it = it->next)
        if (it->kind == QN_JSON_STRING) add_skipped(c, t, it->string);
    for (size_t i = 0; im->skip_punctuation && punctuation[i] != '\0'; i++)
        add_skipped(c, t, (qn_slice){punctuation + i, 1});
    if (c->expand_to == 0) return QN_OK;
    int32_t mask = qn_tokenizer_special(t)->mask;
    bool found = im->expand_token.n > 0 ? find_piece(t, im->expand_token, &c->expand_id)
                                        : mask >= 0;
    if (!found)
        return qn_fail(err, QN_EMODEL,
                       "query_expansion: its token is not in the vocabulary");
    if (im->expand_token.n == 0) c->expand_id = (uint32_t)mask;
    return QN_OK;
}

qn_status qn_import__find_words(qn_import *im, qn_error *err)
{
    qn_tokenizer *t = NULL;
    if (im->meta.info.task != QN_MODEL_TOKENS) return QN_OK;
    QN_TRY(qn_tokenizer_create(im->alloc, im->meta.tokenizer, qn_buf_slice(&im->vocab),
                               &t, err));
    qn_status st = find_words(im, t, err);
    qn_tokenizer_destroy(t);
    return st;
}
