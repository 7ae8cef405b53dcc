/* SPDX-License-Identifier: Apache-2.0 */
/* import_config.c -- the task of a folder: config.json beyond the encoder
 * (import_family.c), lengths. A key that asks for something else than what is built is
 * refused. */
#include "nn/import/import_internal.h"

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
    const qn_import_options *o = im->options;
    const qn_json *list = qn_json_get(config, "architectures");
    if (list == NULL || list->kind == QN_JSON_NULL) { /* a bare encoder */
        im->meta.info.task = QN_MODEL_EMBED;
        return QN_OK;
    }
    const qn_json *first =
        list != NULL && list->kind == QN_JSON_ARRAY ? list->first : NULL;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s%s", classes[i], known[k].suffix);
            if (!qn_import__is_string(first, name)) continue;
            im->meta.info.task = known[k].task;
            im->has_lm = strcmp(known[k].suffix, "ForMaskedLM") == 0;
            if (!o->task_given || o->task == known[k].task) return QN_OK;
            if (known[k].task == QN_MODEL_RERANK || o->task == QN_MODEL_RERANK)
                return qn_fail(err, QN_EUNSUPPORTED, "%s cannot be imported as [%s]",
                               name, qn_model_task_name(o->task));
            im->meta.info.task = o->task;
            return QN_OK;
        }
    if (qn_import__is_string(first, "HF_ColBERT")) {
        im->meta.info.task = QN_MODEL_TOKENS;
        im->colbert = true;
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

/* What sentence-transformers may do otherwise with the encoder: other arguments of the
 * tokenizer's call, another of the encoder's outputs. */
static qn_status check_sentence(qn_import *im, const qn_json *sentence, qn_error *err)
{
    static const char file[] = "sentence_bert_config.json";
    const qn_json *arguments = qn_json_get(sentence, "processing_kwargs");
    const qn_json *text = qn_json_get(qn_json_get(sentence, "modality_config"), "text");
    const qn_json *method = qn_json_get(text, "method");
    const qn_json *output = qn_json_get(text, "method_output_name");
    if (arguments != NULL && arguments->count > 0)
        return qn_import__unsupported(im, file, "processing_kwargs", arguments, err);
    if (method != NULL && !qn_import__is_string(method, "forward"))
        return qn_import__unsupported(im, file, "method", method, err);
    if (output == NULL || qn_import__is_string(output, "last_hidden_state") ||
        qn_import__is_string(output, "logits"))
        return QN_OK;
    return qn_import__unsupported(im, file, "method_output_name", output, err);
}

/* Whether the tokenizer's types go into the model: what the folder says, else what the
 * named class does. */
static bool gives_types(const qn_json *tokenizer)
{
    const qn_json *names = qn_json_get(tokenizer, "model_input_names");
    if (names == NULL || names->kind != QN_JSON_ARRAY)
        return !qn_import__is_string(qn_json_get(tokenizer, "tokenizer_class"),
                                     "TokenizersBackend");
    for (const qn_json *it = qn_json_items(names); it != NULL; it = it->next)
        if (qn_import__is_string(it, "token_type_ids")) return true;
    return false;
}

static qn_status read_max_tokens(qn_import *im, qn_error *err)
{
    const qn_json *tokenizer = NULL, *sentence = NULL;
    QN_TRY(qn_import__json(im, "tokenizer_config.json", true, &tokenizer, err));
    uint32_t most = qn_encoder_longest(&im->meta.encoder);
    most = limit_by(tokenizer, "model_max_length", most);
    QN_TRY(qn_import__json(im, "sentence_bert_config.json", true, &sentence, err));
    QN_TRY(check_sentence(im, sentence, err));
    most = limit_by(sentence, "max_seq_length", most);
    if (qn_encoder_reads_types(&im->meta.encoder))
        im->meta.untyped = !gives_types(tokenizer);
    im->meta.info.max_tokens = most;
    if (most < 5)
        return qn_fail(err, QN_EMODEL, "sequences of at most %u tokens hold no text",
                       most);
    return QN_OK;
}

/* ---- rerankers -------------------------------------------------------------- */

/* Paths that do not begin with "torch." sentence-transformers does not trust: they are as
 * if absent. */
static bool is_trusted(const qn_json *v)
{
    return v != NULL && v->kind == QN_JSON_STRING &&
           qn_slice_starts_with(v->string, "torch.");
}

/* The activation and whether sentence-transformers wrote the folder; its own order of
 * keys: what it writes since version 5, then that of 4, then that before. */
static qn_status read_reranker(qn_import *im, const qn_json *config,
                               const qn_json *settings, qn_error *err)
{
    qn_model_info *info = &im->meta.info;
    const qn_json *own = qn_json_get(config, "sentence_transformers");
    const char *file = "config_sentence_transformers.json", *key = "activation_fn";
    const qn_json *v = qn_json_get(settings, key);
    if (!is_trusted(v)) {
        file = "config.json";
        key = "sentence_transformers.activation_fn";
        v = qn_json_get(own, "activation_fn");
    }
    if (v == NULL) {
        key = "sbert_ce_default_activation_function";
        v = qn_json_get(config, key);
    }
    bool named = v != NULL && v->kind != QN_JSON_NULL;
    if (!is_trusted(v))
        info->activation =
            info->labels == 1 ? QN_ACTIVATION_SIGMOID : QN_ACTIVATION_IDENTITY;
    else if (qn_import__is_string(v, "torch.nn.modules.activation.Sigmoid"))
        info->activation = QN_ACTIVATION_SIGMOID;
    else if (qn_import__is_string(v, "torch.nn.modules.linear.Identity"))
        info->activation = QN_ACTIVATION_IDENTITY;
    else
        return qn_import__unsupported(im, file, key, v, err);

    const qn_import_options *o = im->options;
    info->truncation = o->truncation_given ? o->truncation : QN_TRUNCATE_LONGEST_FIRST;
    info->truncation_recorded =
        o->truncation_given || named || own != NULL || settings != NULL;
    return QN_OK;
}

qn_status qn_import__config(qn_import *im, qn_error *err)
{
    const qn_json *config = NULL;
    QN_TRY(qn_import__json(im, "config.json", false, &config, err));
    QN_TRY(qn_import__encoder(im, config, err));
    QN_TRY(read_task(im, config, err));
    QN_TRY(read_max_tokens(im, err));
    if (im->meta.info.task != QN_MODEL_RERANK)
        return qn_import__modules(im, config, err);
    const qn_json *settings = NULL;
    QN_TRY(qn_import__rerank_modules(im, &settings, err));
    const qn_encoder_config *c = &im->meta.encoder;
    if (c->family == QN_FAMILY_BERT && c->types < 2 && !im->meta.untyped)
        return qn_import__unsupported(im, "config.json", "type_vocab_size",
                                      qn_json_get(config, "type_vocab_size"), err);
    QN_TRY(qn_import__head(im, config, err));
    return read_reranker(im, config, settings, err);
}
