/* SPDX-License-Identifier: Apache-2.0 */
/* import_modules.c -- what follows the encoder, as sentence-transformers writes it down:
 *
 *     modules.json                        the parts, in order, each with a folder
 *     1_Pooling/config.json, 2_Dense/ ... their settings, and weights of their own
 *     config_sentence_transformers.json   prompts, kind of model
 *
 * What models of token vectors have besides: import_tokens.c.
 * A part or a key that asks for something else than what is built is refused. */
#include "io/file.h"
#include "nn/import/import_internal.h"

#include <stdio.h>

enum { FOLDER_NAME_MAX = 100 };

/* ---- small readers ---------------------------------------------------------- */

/* "sentence_transformers.models.Pooling" -> "Pooling" */
static qn_slice last_part(qn_slice dotted)
{
    size_t at = dotted.n;
    while (at > 0 && dotted.p[at - 1] != '.') at--;
    return (qn_slice){dotted.p + at, dotted.n - at};
}

static bool plain_folder(qn_slice path)
{
    if (path.n == 0 || path.n > FOLDER_NAME_MAX || path.p[0] == '.') return false;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '/' || path.p[i] == '\\' || path.p[i] == '\0') return false;
    return true;
}

bool qn_import__is_null(const qn_json *v)
{
    return v == NULL || v->kind == QN_JSON_NULL;
}

/* An integer of 1..most, where the key may be absent or null. */
qn_status qn_import__count(qn_import *im, const char *file, const qn_json *object,
                           const char *key, uint32_t most, uint32_t *out, qn_error *err)
{
    const qn_json *v = qn_json_get(object, key);
    if (qn_import__is_null(v)) return QN_OK;
    if (v->kind != QN_JSON_INT || v->integer < 1 || v->integer > most)
        return qn_import__unsupported(im, file, key, v, err);
    *out = (uint32_t)v->integer;
    return QN_OK;
}

/* A boolean that may be absent. */
qn_status qn_import__flag(qn_import *im, const char *file, const qn_json *object,
                          const char *key, bool *out, qn_error *err)
{
    const qn_json *v = qn_json_get(object, key);
    if (qn_import__is_null(v)) return QN_OK;
    if (v->kind != QN_JSON_BOOL) return qn_import__unsupported(im, file, key, v, err);
    *out = v->boolean;
    return QN_OK;
}

/* ---- prompts ---------------------------------------------------------------- */

const char qn_import__prompts_file[] = "config_sentence_transformers.json";

qn_status qn_import__add_prompt(qn_import *im, qn_slice name, qn_slice text,
                                qn_error *err)
{
    qn_model_info *info = &im->meta.info;
    qn_prompt *list = (qn_prompt *)(uintptr_t)info->prompts; /* made here */
    if (list == NULL) {
        list = qn_arena_array(&im->arena, QN_PROMPTS_MAX, sizeof *list);
        if (list == NULL) return qn_fail(err, QN_ENOMEM, "import");
        info->prompts = list;
    }
    if (info->prompt_count == QN_PROMPTS_MAX || text.n > QN_PROMPT_BYTES_MAX ||
        name.n == 0 || name.n > 64 || memchr(text.p, '\0', text.n) != NULL)
        return qn_fail_file(err, QN_EUNSUPPORTED,
                            qn_import__shown(im, qn_import__prompts_file), QN_AT_NONE,
                            "prompts: at most %d, names of 1..64 bytes, texts of %d",
                            QN_PROMPTS_MAX, QN_PROMPT_BYTES_MAX);
    qn_prompt *p = &list[info->prompt_count];
    p->name = qn_arena_strndup(&im->arena, name.p, name.n);
    p->text = qn_arena_strndup(&im->arena, text.p, text.n);
    if (p->name == NULL || p->text == NULL) return qn_fail(err, QN_ENOMEM, "import");
    info->prompt_count++;
    return QN_OK;
}

/* What ColBERT puts in front of a prompt comes as a prompt of its own. */
static qn_status read_prefix(qn_import *im, const qn_json *config, const char *key,
                             const char *name, qn_error *err)
{
    const qn_json *v = qn_json_get(config, key);
    if (qn_import__is_null(v)) return QN_OK;
    if (v->kind != QN_JSON_STRING)
        return qn_import__unsupported(im, qn_import__prompts_file, key, v, err);
    const qn_prompt *there = qn_model_prompt(&im->meta.info, qn_slice_of(name));
    if (there != NULL && there->text[0] != '\0')
        return qn_import__unsupported(im, qn_import__prompts_file, key, v, err);
    if (there == NULL)
        return qn_import__add_prompt(im, qn_slice_of(name), v->string, err);
    qn_prompt *p = (qn_prompt *)(uintptr_t)there; /* made here */
    p->text = qn_arena_strndup(&im->arena, v->string.p, v->string.n);
    return p->text == NULL ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}

static qn_status read_prompts(qn_import *im, const qn_json *config, qn_error *err)
{
    qn_model_info *info = &im->meta.info;
    const qn_json *all = qn_json_get(config, "prompts");
    const qn_json *name = qn_json_get(config, "default_prompt_name");
    if (!qn_import__is_null(all) && all->kind != QN_JSON_OBJECT)
        return qn_import__unsupported(im, qn_import__prompts_file, "prompts", all, err);
    for (const qn_json *it = qn_import__is_null(all) ? NULL : qn_json_items(all);
         it != NULL; it = it->next) {
        if (qn_import__is_null(it)) continue;
        if (it->kind != QN_JSON_STRING)
            return qn_import__unsupported(im, qn_import__prompts_file, "prompts", it,
                                          err);
        QN_TRY(qn_import__add_prompt(im, it->key, it->string, err));
    }
    QN_TRY(read_prefix(im, config, "query_prefix", "query", err));
    QN_TRY(read_prefix(im, config, "document_prefix", "document", err));
    if (qn_import__is_null(name)) return QN_OK;
    const qn_prompt *p =
        name->kind == QN_JSON_STRING ? qn_model_prompt(info, name->string) : NULL;
    if (p == NULL)
        return qn_import__unsupported(im, qn_import__prompts_file,
                                      "default_prompt_name", name, err);
    info->default_prompt = p->name;
    return QN_OK;
}

/* ---- parts ------------------------------------------------------------------ */

static qn_status refuse_module(qn_import *im, const qn_import_module *m, qn_error *err)
{
    return qn_import__unsupported(im, "modules.json", "type", m->type, err);
}

static qn_status refuse_path(qn_import *im, const qn_import_module *m, qn_error *err)
{
    return qn_fail_file(err, QN_EUNSUPPORTED, qn_import__shown(im, "modules.json"),
                        QN_AT_NONE, "path \"%.*s\" is no folder of the model",
                        (int)(m->path.n < 100 ? m->path.n : 100), m->path.p);
}

static bool is_transformer(const qn_json *type)
{
    static const char *const kinds[] = {"Transformer", "MLMTransformer"};
    if (type == NULL || type->kind != QN_JSON_STRING) return false;
    qn_slice kind = last_part(type->string);
    return qn_slice_eq_str(kind, kinds[0]) || qn_slice_eq_str(kind, kinds[1]);
}

/* "<path>/config.json" */
qn_status qn_import__module_json(qn_import *im, const qn_import_module *m,
                                 bool optional, const char **file, const qn_json **out,
                                 qn_error *err)
{
    *out = NULL;
    if (!plain_folder(m->path)) return refuse_path(im, m, err);
    *file = qn_arena_printf(&im->arena, "%.*s/config.json", QN_SLICE_ARG(m->path));
    if (*file == NULL) return qn_fail(err, QN_ENOMEM, "import");
    return qn_import__json(im, *file, optional, out, err);
}

/* "sentence_embedding" is the vector, "token_embeddings" are the rows. */
static qn_status check_input(qn_import *im, const char *file, const qn_json *config,
                             bool rows, qn_error *err)
{
    static const char *const keys[] = {"module_input_name", "module_output_name"};
    const char *want = rows ? "token_embeddings" : "sentence_embedding";
    for (size_t i = 0; i < 2; i++) {
        const qn_json *v = qn_json_get(config, keys[i]);
        /* Written before there was a choice: what the place says. */
        if (!qn_import__is_null(v) && !qn_import__is_string(v, want))
            return qn_import__unsupported(im, file, keys[i], v, err);
    }
    return QN_OK;
}

qn_status qn_import__add_step(qn_import *im, const qn_import_module *m,
                              qn_tail_step step, qn_error *err)
{
    qn_tail_config *t = &im->meta.tail;
    if (t->steps == QN_TAIL_STEPS_MAX)
        return qn_fail_file(err, QN_EUNSUPPORTED, qn_import__shown(im, "modules.json"),
                            QN_AT_NONE, "more than %d parts after pooling",
                            QN_TAIL_STEPS_MAX);
    t->step[t->steps] = step;
    if (step.kind != QN_TAIL_UNIT && m != NULL) {
        const char *folder =
            qn_arena_printf(&im->arena, "%s/%.*s", im->folder, QN_SLICE_ARG(m->path));
        if (folder == NULL) return qn_fail(err, QN_ENOMEM, "import");
        QN_TRY(qn_weights_open(im->alloc, folder, &im->tail[t->steps], err));
    }
    t->steps++;
    return qn_tail_check(t, err);
}

/* ---- pooling ---------------------------------------------------------------- */

static const struct {
    const char *name, *old_key; /* in "pooling_mode"; the flag of older files */
    qn_pooling pooling;
} poolings[] = {
    {"cls", "pooling_mode_cls_token", QN_POOL_CLS},
    {"max", "pooling_mode_max_tokens", QN_POOL_MAX},
    {"mean", "pooling_mode_mean_tokens", QN_POOL_MEAN},
    {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens",
     QN_POOL_MEAN_SQRT_LEN},
    {"weightedmean", "pooling_mode_weightedmean_tokens", QN_POOL_WEIGHTED_MEAN},
    {"lasttoken", "pooling_mode_lasttoken", QN_POOL_LAST},
};

static qn_status add_pooling(qn_import *im, const char *file, const qn_json *v,
                             qn_error *err)
{
    qn_tail_config *t = &im->meta.tail;
    for (size_t i = 0; i < QN_POOLINGS && t->poolings < QN_POOLINGS; i++) {
        if (!qn_import__is_string(v, poolings[i].name)) continue;
        t->pooling[t->poolings++] = poolings[i].pooling;
        return QN_OK;
    }
    return qn_import__unsupported(im, file, "pooling_mode", v, err);
}

/* The flags of older files; none of them set is the mean. */
static qn_status read_old_poolings(qn_import *im, const char *file,
                                   const qn_json *config, qn_error *err)
{
    qn_tail_config *t = &im->meta.tail;
    for (const qn_json *it = qn_json_items(config); it != NULL; it = it->next) {
        size_t i = 0;
        if (!qn_slice_starts_with(it->key, "pooling_mode_") || !qn_import__is_true(it))
            continue;
        while (i < QN_POOLINGS && !qn_slice_eq_str(it->key, poolings[i].old_key)) i++;
        if (i == QN_POOLINGS)
            return qn_fail_file(err, QN_EUNSUPPORTED, qn_import__shown(im, file),
                                QN_AT_NONE, "%.*s is not supported",
                                QN_SLICE_ARG(it->key));
    }
    for (size_t i = 0; i < QN_POOLINGS; i++)
        if (qn_import__is_true(qn_json_get(config, poolings[i].old_key)))
            t->pooling[t->poolings++] = poolings[i].pooling;
    if (t->poolings == 0) t->pooling[t->poolings++] = QN_POOL_MEAN;
    return QN_OK;
}

static qn_status read_pooling(qn_import *im, const qn_import_module *m, qn_error *err)
{
    const char *file = NULL;
    const qn_json *config = NULL;
    QN_TRY(qn_import__module_json(im, m, false, &file, &config, err));
    const qn_json *mode = qn_json_get(config, "pooling_mode");
    if (qn_import__is_null(mode)) {
        QN_TRY(read_old_poolings(im, file, config, err));
    } else if (mode->kind == QN_JSON_ARRAY && mode->count > 0) {
        for (const qn_json *it = qn_json_items(mode); it != NULL; it = it->next)
            QN_TRY(add_pooling(im, file, it, err));
    } else {
        QN_TRY(add_pooling(im, file, mode, err));
    }
    bool include = true;
    QN_TRY(qn_import__flag(im, file, config, "include_prompt", &include, err));
    im->meta.tail.skip_prompt = !include;
    return qn_tail_check(&im->meta.tail, err);
}

/* ---- steps ------------------------------------------------------------------ */

static qn_status read_act(qn_import *im, const char *file, const qn_json *config,
                          qn_act *out, qn_error *err)
{
    static const struct {
        const char *name;
        qn_act act;
    } known[] = {
        {"torch.nn.modules.linear.Identity", QN_ACT_LINEAR},
        {"torch.nn.modules.activation.Tanh", QN_ACT_TANH},
        {"torch.nn.modules.activation.ReLU", QN_ACT_RELU},
        {"torch.nn.modules.activation.GELU", QN_ACT_GELU},
        {"torch.nn.modules.activation.SiLU", QN_ACT_SILU},
        {"torch.nn.modules.activation.Sigmoid", QN_ACT_SIGMOID},
    };
    const qn_json *v = qn_json_get(config, "activation_function");
    *out = QN_ACT_TANH; /* the library's default, also for what it does not trust */
    if (v == NULL) return QN_OK;
    if (v->kind == QN_JSON_NULL) {
        *out = QN_ACT_LINEAR;
        return QN_OK;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!qn_import__is_string(v, known[i].name)) continue;
        *out = known[i].act;
        return QN_OK;
    }
    return qn_import__unsupported(im, file, "activation_function", v, err);
}

static qn_status read_dense(qn_import *im, const qn_import_module *m, bool rows,
                            qn_error *err)
{
    const char *file = NULL;
    const qn_json *config = NULL;
    qn_tail_step s = {.kind = QN_TAIL_DENSE, .bias = true};
    bool residual = false;
    QN_TRY(qn_import__module_json(im, m, false, &file, &config, err));
    QN_TRY(check_input(im, file, config, rows, err));
    QN_TRY(qn_import__count(im, file, config, "in_features", QN_TAIL_WIDTH_MAX, &s.in,
                            err));
    QN_TRY(qn_import__count(im, file, config, "out_features", QN_TAIL_WIDTH_MAX, &s.out,
                            err));
    QN_TRY(qn_import__flag(im, file, config, "bias", &s.bias, err));
    QN_TRY(qn_import__flag(im, file, config, "use_residual", &residual, err));
    if (residual)
        return qn_import__unsupported(im, file, "use_residual",
                                      qn_json_get(config, "use_residual"), err);
    QN_TRY(read_act(im, file, config, &s.act, err));
    return qn_import__add_step(im, m, s, err);
}

static qn_status read_norm(qn_import *im, const qn_import_module *m, qn_error *err)
{
    const char *file = NULL;
    const qn_json *config = NULL;
    qn_tail_step s = {.kind = QN_TAIL_NORM, .eps = 1e-5f}; /* the library's own */
    QN_TRY(qn_import__module_json(im, m, false, &file, &config, err));
    QN_TRY(
        qn_import__count(im, file, config, "dimension", QN_TAIL_WIDTH_MAX, &s.in, err));
    s.out = s.in;
    return qn_import__add_step(im, m, s, err);
}

/* The last one is a property of the model, which a caller may switch off. */
static qn_status read_normalize(qn_import *im, const qn_import_module *m, bool rows,
                                qn_error *err)
{
    const char *file = NULL;
    const qn_json *config = NULL;
    if (m->path.n > 0) QN_TRY(qn_import__module_json(im, m, true, &file, &config, err));
    QN_TRY(check_input(im, file, config, rows, err));
    if (m->last) {
        im->meta.info.normalize = true;
        return QN_OK;
    }
    uint32_t width = qn_tail_dims(&im->meta.tail);
    return qn_import__add_step(
        im, NULL, (qn_tail_step){.kind = QN_TAIL_UNIT, .in = width, .out = width}, err);
}

/* ---- sparse models ---------------------------------------------------------- */

static qn_status read_splade(qn_import *im, const qn_import_module *m, qn_error *err)
{
    const char *file = NULL;
    const qn_json *config = NULL;
    qn_lm_config *lm = &im->meta.lm;
    QN_TRY(qn_import__module_json(im, m, false, &file, &config, err));
    const qn_json *how = qn_json_get(config, "pooling_strategy");
    const qn_json *act = qn_json_get(config, "activation_function");
    lm->sum = qn_import__is_string(how, "sum");
    lm->log_twice = qn_import__is_string(act, "log1p_relu");
    if (!qn_import__is_null(how) && !lm->sum && !qn_import__is_string(how, "max"))
        return qn_import__unsupported(im, file, "pooling_strategy", how, err);
    if (!qn_import__is_null(act) && !lm->log_twice &&
        !qn_import__is_string(act, "relu"))
        return qn_import__unsupported(im, file, "activation_function", act, err);
    return QN_OK;
}

static qn_status begin_sparse(qn_import *im, const qn_json *config, qn_error *err)
{
    im->meta.info.task = QN_MODEL_SPARSE;
    if (!im->has_lm)
        return qn_import__unsupported(im, "config.json", "architectures",
                                      qn_json_get(config, "architectures"), err);
    return qn_import__lm_head(im, config, err);
}

/* ---- modules.json ----------------------------------------------------------- */

static qn_status read_module(qn_import *im, const qn_json *config, size_t place,
                             const qn_import_module *m, qn_error *err)
{
    qn_model_task task = im->meta.info.task;
    bool rows = task == QN_MODEL_TOKENS;
    bool pooled = im->meta.tail.poolings > 0 || rows;
    bool first = place == 1;
    if (qn_slice_eq_str(m->kind, "SpladePooling") && first && m->last) {
        QN_TRY(begin_sparse(im, config, err));
        return read_splade(im, m, err);
    }
    if (task == QN_MODEL_SPARSE) return refuse_module(im, m, err);
    if (qn_slice_eq_str(m->kind, "Pooling") && first && !rows)
        return read_pooling(im, m, err);
    if (qn_slice_eq_str(m->kind, "Dense") && pooled)
        return read_dense(im, m, rows, err);
    if (qn_slice_eq_str(m->kind, "LayerNorm") && pooled && !rows)
        return read_norm(im, m, err);
    if (qn_slice_eq_str(m->kind, "Normalize") && pooled)
        return read_normalize(im, m, rows, err);
    if (qn_slice_eq_str(m->kind, "Dropout") && pooled) return QN_OK;
    if (qn_slice_eq_str(m->kind, "MultiVectorMask") && rows)
        return qn_import__mask(im, m, err);
    return refuse_module(im, m, err);
}

static qn_status read_modules(qn_import *im, const qn_json *config,
                              const qn_json *modules, qn_error *err)
{
    size_t place = 0;
    for (const qn_json *it = qn_json_items(modules); it != NULL; it = it->next) {
        const qn_json *path = qn_json_get(it, "path");
        qn_import_module m = {.type = qn_json_get(it, "type"),
                              .path = QN_SLICE_LIT("")};
        if (m.type == NULL || m.type->kind != QN_JSON_STRING)
            return refuse_module(im, &m, err);
        m.kind = last_part(m.type->string);
        if (path != NULL && path->kind == QN_JSON_STRING) m.path = path->string;
        /* A mask of tokens changes no value: what stands before it may be the last. */
        const qn_json *next = it->next;
        m.last = next == NULL;
        if (place++ > 0) {
            QN_TRY(read_module(im, config, place - 1, &m, err));
            continue;
        }
        if (!is_transformer(m.type)) return refuse_module(im, &m, err);
    }
    if (im->meta.info.task == QN_MODEL_EMBED && im->meta.tail.poolings == 0)
        return qn_fail_file(err, QN_EUNSUPPORTED, qn_import__shown(im, "modules.json"),
                            QN_AT_NONE, "no Pooling module");
    return QN_OK;
}

qn_status qn_import__rerank_modules(qn_import *im, const qn_json **settings,
                                    qn_error *err)
{
    const qn_json *modules = NULL;
    QN_TRY(qn_import__json(im, "modules.json", true, &modules, err));
    QN_TRY(qn_import__json(im, qn_import__prompts_file, true, settings, err));
    for (const qn_json *it = qn_json_items(modules); it != NULL; it = it->next) {
        qn_import_module m = {.type = qn_json_get(it, "type")};
        if (it == modules->first && is_transformer(m.type)) continue;
        return refuse_module(im, &m, err);
    }
    return read_prompts(im, *settings, err);
}

qn_status qn_import__find_encoder(qn_import *im, qn_error *err)
{
    const qn_json *modules = NULL;
    im->encoder_folder = im->folder;
    QN_TRY(qn_import__json(im, "modules.json", true, &modules, err));
    if (modules == NULL || modules->kind != QN_JSON_ARRAY || modules->first == NULL)
        return QN_OK;
    const qn_json *path = qn_json_get(modules->first, "path");
    if (path == NULL || path->kind != QN_JSON_STRING || path->string.n == 0)
        return QN_OK;
    qn_import_module m = {.path = path->string};
    if (!plain_folder(m.path)) return refuse_path(im, &m, err);
    im->encoder_folder =
        qn_arena_printf(&im->arena, "%s/%.*s", im->folder, QN_SLICE_ARG(m.path));
    return im->encoder_folder == NULL ? qn_fail(err, QN_ENOMEM, "import") : QN_OK;
}

/* A folder without modules.json. */
static qn_status bare_folder(qn_import *im, const qn_json *config, qn_error *err)
{
    qn_tail_config *t = &im->meta.tail;
    switch (im->meta.info.task) {
    case QN_MODEL_SPARSE:
        return begin_sparse(im, config, err);
    case QN_MODEL_TOKENS:
        if (im->colbert) return qn_import__artifact(im, err);
        return qn_fail_file(err, QN_EUNSUPPORTED, qn_import__shown(im, "modules.json"),
                            QN_AT_NONE, "a model of token vectors needs it");
    case QN_MODEL_EMBED:
    case QN_MODEL_RERANK:
        break;
    }
    t->pooling[t->poolings++] =
        QN_POOL_MEAN; /* what the libraries do with an encoder */
    return QN_OK;
}

/* The first values of what all parts make, which are not scaled anew. */
static qn_status read_truncate_dim(qn_import *im, const qn_json *settings,
                                   qn_error *err)
{
    uint32_t most = 0, width = qn_tail_dims(&im->meta.tail);
    qn_model_info *info = &im->meta.info;
    QN_TRY(qn_import__count(im, qn_import__prompts_file, settings, "truncate_dim",
                            QN_TAIL_WIDTH_MAX, &most, err));
    if (most == 0 || (info->task == QN_MODEL_EMBED && most >= width)) return QN_OK;
    if (info->task != QN_MODEL_EMBED)
        return qn_import__unsupported(im, qn_import__prompts_file, "truncate_dim",
                                      qn_json_get(settings, "truncate_dim"), err);
    qn_tail_step unit = {.kind = QN_TAIL_UNIT, .in = width, .out = width};
    qn_tail_step cut = {.kind = QN_TAIL_CUT, .in = width, .out = most};
    if (info->normalize) QN_TRY(qn_import__add_step(im, NULL, unit, err));
    info->normalize = false;
    return qn_import__add_step(im, NULL, cut, err);
}

qn_status qn_import__modules(qn_import *im, const qn_json *config, qn_error *err)
{
    const qn_json *modules = NULL, *settings = NULL, *sentence = NULL;
    QN_TRY(qn_import__json(im, "modules.json", true, &modules, err));
    QN_TRY(qn_import__json(im, qn_import__prompts_file, true, &settings, err));
    QN_TRY(qn_import__json(im, "sentence_bert_config.json", true, &sentence, err));
    qn_model_info *info = &im->meta.info;
    im->meta.tail = (qn_tail_config){.hidden = im->meta.encoder.hidden};
    if (qn_import__says_tokens(settings) && !im->options->task_given)
        info->task = QN_MODEL_TOKENS;
    QN_TRY(read_prompts(im, settings, err));
    if (info->task == QN_MODEL_TOKENS) {
        QN_TRY(qn_import__lengths(im, "sentence_bert_config.json", sentence, err));
        QN_TRY(qn_import__expansion(im, qn_json_get(sentence, "query_expansion"), err));
        if (qn_import__is_string(qn_json_get(settings, "model_type"), "ColBERT"))
            QN_TRY(qn_import__pylate(im, settings, err));
    }
    QN_TRY(modules == NULL ? bare_folder(im, config, err)
                           : read_modules(im, config, modules, err));
    const qn_multi_config *multi = &im->meta.multi;
    if (info->task == QN_MODEL_TOKENS && im->meta.encoder.relative &&
        multi->expand_to > 0 && !multi->expand_seen)
        return qn_fail_file(err, QN_EUNSUPPORTED, im->folder, QN_AT_NONE,
                            "query_expansion: tokens that the others do not attend to "
                            "are not supported with relative_attention");
    QN_TRY(read_truncate_dim(im, settings, err));
    info->poolings = im->meta.tail.poolings;
    if (info->poolings > 0) info->pooling = im->meta.tail.pooling[0];
    return QN_OK;
}
