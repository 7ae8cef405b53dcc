/* SPDX-License-Identifier: Apache-2.0 */
/* import_config.c -- the task of a folder: config.json beyond the encoder
 * (import_family.c), modules.json, pooling, lengths. A key that asks for something else
 * than what is built is refused. */
#include "nn/import_internal.h"

#include <stdio.h>

static qn_status read_task(qn_import *im, const qn_json *config, qn_error *err)
{
    static const char *const classes[] = {"Bert",      "Roberta",   "XLMRoberta",
                                          "Camembert", "DebertaV2", "ModernBert"};
    static const struct {
        const char *suffix;
        qn_model_task task;
    } known[] = {
        {"ForSequenceClassification", QN_MODEL_RERANK},
        {"Model", QN_MODEL_EMBED},
        {"ForMaskedLM", QN_MODEL_EMBED},
        {"ForPreTraining", QN_MODEL_EMBED},
    };
    const qn_json *list = qn_json_get(config, "architectures");
    const qn_json *first =
        list != NULL && list->kind == QN_JSON_ARRAY ? list->first : NULL;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s%s", classes[i], known[k].suffix);
            if (!qn_import__is_string(first, name)) continue;
            im->meta.info.task = known[k].task;
            return QN_OK;
        }
    return qn_import__unsupported(im, "config.json", "architectures", list, err);
}

/* min(most, value of the key), where the key may be absent or absurdly large. */
static uint32_t limit_by(const qn_json *object, const char *key, uint32_t most)
{
    const qn_json *v = qn_json_get(object, key);
    bool number = v != NULL && (v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE);
    return number && v->number >= 1.0 && v->number < (double)most ? (uint32_t)v->number
                                                                  : most;
}

static qn_status read_max_tokens(qn_import *im, qn_error *err)
{
    const qn_json *tokenizer = NULL, *sentence = NULL;
    QN_TRY(qn_import__json(im, "tokenizer_config.json", true, &tokenizer, err));
    uint32_t most = qn_encoder_longest(&im->meta.encoder);
    most = limit_by(tokenizer, "model_max_length", most);
    if (im->meta.info.task == QN_MODEL_EMBED) {
        QN_TRY(qn_import__json(im, "sentence_bert_config.json", true, &sentence, err));
        most = limit_by(sentence, "max_seq_length", most);
    }
    im->meta.info.max_tokens = most;
    if (most < 5)
        return qn_fail(err, QN_EMODEL, "sequences of at most %u tokens hold no text",
                       most);
    return QN_OK;
}

/* ---- rerankers -------------------------------------------------------------- */

/* The activation and whether sentence-transformers wrote the folder; its own order of
 * keys. Paths that do not begin with "torch." it does not trust: they are as if absent. */
static qn_status read_reranker(qn_import *im, const qn_json *config, qn_error *err)
{
    qn_model_info *info = &im->meta.info;
    const qn_json *own = qn_json_get(config, "sentence_transformers");
    const qn_json *v = qn_json_get(own, "activation_fn");
    const char *key = "sentence_transformers.activation_fn";
    if (v == NULL) {
        key = "sbert_ce_default_activation_function";
        v = qn_json_get(config, key);
    }
    bool named = v != NULL && v->kind != QN_JSON_NULL;
    bool trusted =
        named && v->kind == QN_JSON_STRING && qn_slice_starts_with(v->string, "torch.");
    if (!trusted)
        info->activation =
            info->labels == 1 ? QN_ACTIVATION_SIGMOID : QN_ACTIVATION_IDENTITY;
    else if (qn_import__is_string(v, "torch.nn.modules.activation.Sigmoid"))
        info->activation = QN_ACTIVATION_SIGMOID;
    else if (qn_import__is_string(v, "torch.nn.modules.linear.Identity"))
        info->activation = QN_ACTIVATION_IDENTITY;
    else
        return qn_import__unsupported(im, "config.json", key, v, err);

    const qn_import_options *o = im->options;
    info->truncation = o->truncation_given ? o->truncation : QN_TRUNCATE_LONGEST_FIRST;
    info->truncation_recorded = o->truncation_given || named || own != NULL;
    return QN_OK;
}

/* ---- embedding models ------------------------------------------------------- */

/* "sentence_transformers.models.Pooling" -> "Pooling" */
static qn_slice last_part(qn_slice dotted)
{
    size_t at = dotted.n;
    while (at > 0 && dotted.p[at - 1] != '.') at--;
    return (qn_slice){dotted.p + at, dotted.n - at};
}

static qn_status read_pooling(qn_import *im, const char *file, qn_error *err)
{
    qn_model_info *info = &im->meta.info;
    const qn_json *pooling = NULL;
    QN_TRY(qn_import__json(im, file, false, &pooling, err));
    const qn_json *mode = qn_json_get(pooling, "pooling_mode");
    bool mean = qn_import__is_true(qn_json_get(pooling, "pooling_mode_mean_tokens")) ||
                qn_import__is_string(mode, "mean");
    bool cls = qn_import__is_true(qn_json_get(pooling, "pooling_mode_cls_token")) ||
               qn_import__is_string(mode, "cls");
    for (const qn_json *it = qn_json_items(pooling); it != NULL; it = it->next) {
        if (!qn_slice_starts_with(it->key, "pooling_mode_") || !qn_import__is_true(it))
            continue;
        if (!qn_slice_eq_str(it->key, "pooling_mode_mean_tokens") &&
            !qn_slice_eq_str(it->key, "pooling_mode_cls_token"))
            return qn_fail_file(err, QN_EUNSUPPORTED, qn_import__shown(im, file),
                                QN_AT_NONE, "%.*s is not supported",
                                QN_SLICE_ARG(it->key));
    }
    if (mean == cls) return qn_import__unsupported(im, file, "pooling_mode", mode, err);
    info->pooling = mean ? QN_POOL_MEAN : QN_POOL_CLS;
    return QN_OK;
}

static bool plain_folder(qn_slice path)
{
    if (path.n == 0 || path.n > 100 || path.p[0] == '.') return false;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '/' || path.p[i] == '\\' || path.p[i] == '\0') return false;
    return true;
}

/* Transformer, Pooling, then perhaps Normalize: each module in its place. */
static qn_status read_modules(qn_import *im, qn_error *err)
{
    static const char *const order[] = {"Transformer", "Pooling", "Normalize"};
    qn_model_info *info = &im->meta.info;
    const qn_json *modules = NULL;
    QN_TRY(qn_import__json(im, "modules.json", true, &modules, err));
    info->pooling = QN_POOL_MEAN; /* what the libraries do with a bare encoder */
    if (modules == NULL) return QN_OK;
    size_t i = 0;
    for (const qn_json *it = qn_json_items(modules); it != NULL; it = it->next, i++) {
        const qn_json *type = qn_json_get(it, "type"), *path = qn_json_get(it, "path");
        qn_slice where = path == NULL ? (qn_slice){"", 0} : path->string;
        if (i >= 3 || type == NULL || type->kind != QN_JSON_STRING ||
            !qn_slice_eq_str(last_part(type->string), order[i]))
            return qn_import__unsupported(im, "modules.json", "type", type, err);
        if (i == 0 && where.n != 0)
            return qn_import__unsupported(im, "modules.json", "path", path, err);
        if (i == 1) {
            if (!plain_folder(where))
                return qn_import__unsupported(im, "modules.json", "path", path, err);
            const char *file =
                qn_arena_printf(&im->arena, "%.*s/config.json", QN_SLICE_ARG(where));
            if (file == NULL) return qn_fail(err, QN_ENOMEM, "import");
            QN_TRY(read_pooling(im, file, err));
        }
    }
    if (i < 2)
        return qn_fail_file(err, QN_EUNSUPPORTED, qn_import__shown(im, "modules.json"),
                            QN_AT_NONE, "no Pooling module");
    info->normalize = i == 3;
    return QN_OK;
}

qn_status qn_import__config(qn_import *im, qn_error *err)
{
    const qn_json *config = NULL;
    QN_TRY(qn_import__json(im, "config.json", false, &config, err));
    QN_TRY(qn_import__encoder(im, config, err));
    QN_TRY(read_task(im, config, err));
    QN_TRY(read_max_tokens(im, err));
    if (im->meta.info.task == QN_MODEL_EMBED) return read_modules(im, err);
    const qn_encoder_config *c = &im->meta.encoder;
    if (c->family == QN_FAMILY_BERT && c->types < 2)
        return qn_import__unsupported(im, "config.json", "type_vocab_size",
                                      qn_json_get(config, "type_vocab_size"), err);
    QN_TRY(qn_import__head(im, config, err));
    return read_reranker(im, config, err);
}
