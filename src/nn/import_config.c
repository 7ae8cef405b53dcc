/* SPDX-License-Identifier: Apache-2.0 */
/* import_config.c -- config.json, modules.json, pooling, lengths: what kind of model a
 * folder holds. A key that asks for something else than what is built is refused. */
#include "nn/import_internal.h"

#include <math.h>

/* The value of a key that must be an integer in range. */
static qn_status need_u32(qn_import *im, const qn_json *config, const char *key,
                          uint32_t *out, qn_error *err)
{
    const qn_json *v = qn_json_get(config, key);
    if (v == NULL || v->kind != QN_JSON_INT || v->integer < 0 ||
        v->integer > UINT32_MAX)
        return qn_fail_file(err, QN_EMODEL, qn_import__shown(im, "config.json"),
                            QN_AT_NONE, "%s is no integer in range", key);
    *out = (uint32_t)v->integer;
    return QN_OK;
}

/* Keys that may be absent, and the one value they may have. */
static qn_status check_plain_bert(qn_import *im, const qn_json *config, qn_error *err)
{
    static const struct {
        const char *key, *value;
        bool required;
    } strings[] = {
        {"model_type", "bert", true},
        {"hidden_act", "gelu", true},
        {"position_embedding_type", "absolute", false},
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        const qn_json *v = qn_json_get(config, strings[i].key);
        if (v == NULL && !strings[i].required) continue;
        if (!qn_import__is_string(v, strings[i].value))
            return qn_import__unsupported(im, "config.json", strings[i].key, v, err);
    }
    static const char *const falses[] = {"is_decoder", "add_cross_attention"};
    for (size_t i = 0; i < sizeof falses / sizeof *falses; i++) {
        const qn_json *v = qn_json_get(config, falses[i]);
        if (qn_import__is_true(v))
            return qn_import__unsupported(im, "config.json", falses[i], v, err);
    }
    const qn_json *quantized = qn_json_get(config, "quantization_config");
    if (quantized != NULL && quantized->kind != QN_JSON_NULL)
        return qn_import__unsupported(im, "config.json", "quantization_config",
                                      quantized, err);
    return QN_OK;
}

static qn_status read_encoder(qn_import *im, const qn_json *config, qn_error *err)
{
    qn_encoder_config *c = &im->meta.encoder;
    QN_TRY(need_u32(im, config, "vocab_size", &c->vocab, err));
    QN_TRY(need_u32(im, config, "hidden_size", &c->hidden, err));
    QN_TRY(need_u32(im, config, "num_hidden_layers", &c->layers, err));
    QN_TRY(need_u32(im, config, "num_attention_heads", &c->heads, err));
    QN_TRY(need_u32(im, config, "intermediate_size", &c->intermediate, err));
    QN_TRY(need_u32(im, config, "max_position_embeddings", &c->positions, err));
    QN_TRY(need_u32(im, config, "type_vocab_size", &c->types, err));
    const qn_json *eps = qn_json_get(config, "layer_norm_eps");
    c->eps = 1e-12f; /* the libraries' default when the key is absent */
    if (eps != NULL) c->eps = eps->kind == QN_JSON_DOUBLE ? (float)eps->number : 0.0f;
    qn_error inner = {0};
    qn_status st = qn_encoder_config_check(c, &inner);
    if (st != QN_OK)
        return qn_fail_file(err, st, qn_import__shown(im, "config.json"), QN_AT_NONE,
                            "%s", inner.text);
    return QN_OK;
}

static qn_status read_task(qn_import *im, const qn_json *config, qn_error *err)
{
    static const struct {
        const char *name;
        qn_model_task task;
    } known[] = {
        {"BertForSequenceClassification", QN_MODEL_RERANK},
        {"BertModel", QN_MODEL_EMBED},
        {"BertForMaskedLM", QN_MODEL_EMBED},
        {"BertForPreTraining", QN_MODEL_EMBED},
    };
    const qn_json *list = qn_json_get(config, "architectures");
    const qn_json *first =
        list != NULL && list->kind == QN_JSON_ARRAY ? list->first : NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!qn_import__is_string(first, known[i].name)) continue;
        im->meta.info.task = known[i].task;
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
    uint32_t most = im->meta.encoder.positions;
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
 * keys. */
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
    if (!named || qn_import__is_string(v, "torch.nn.modules.activation.Sigmoid"))
        info->activation = QN_ACTIVATION_SIGMOID; /* the default for one label */
    else if (qn_import__is_string(v, "torch.nn.modules.linear.Identity"))
        info->activation = QN_ACTIVATION_IDENTITY;
    else
        return qn_import__unsupported(im, "config.json", key, v, err);

    const qn_json *labels = qn_json_get(config, "num_labels");
    const qn_json *names = qn_json_get(config, "id2label");
    if (labels != NULL && labels->kind == QN_JSON_INT && labels->integer != 1)
        return qn_import__unsupported(im, "config.json", "num_labels", labels, err);
    if (names != NULL && names->count != 1)
        return qn_import__unsupported(im, "config.json", "id2label", names, err);

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
    QN_TRY(check_plain_bert(im, config, err));
    QN_TRY(read_task(im, config, err));
    QN_TRY(read_encoder(im, config, err));
    QN_TRY(read_max_tokens(im, err));
    im->meta.info.architecture = "bert";
    if (im->meta.info.task == QN_MODEL_EMBED) return read_modules(im, err);
    if (im->meta.encoder.types < 2)
        return qn_import__unsupported(im, "config.json", "type_vocab_size",
                                      qn_json_get(config, "type_vocab_size"), err);
    return read_reranker(im, config, err);
}
