/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/model_meta.h"

#include <inttypes.h>

static const char *const task_names[] = {"embed", "rerank"};
static const char *const dtype_names[] = {"f32", "bf16", "int8"};
static const char *const pooling_names[] = {"cls", "mean"};
static const char *const activation_names[] = {"identity", "sigmoid"};

const char *qn_model_task_name(qn_model_task task)
{
    return task_names[task];
}

const char *qn_model_dtype_name(qn_model_dtype dtype)
{
    return dtype_names[dtype];
}

static bool find_name(qn_slice name, const char *const *names, size_t n, int *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!qn_slice_eq_str(name, names[i])) continue;
        *out = (int)i;
        return true;
    }
    return false;
}

bool qn_model_dtype_parse(qn_slice name, qn_model_dtype *out)
{
    int i = 0;
    if (!find_name(name, dtype_names, 3, &i)) return false;
    *out = (qn_model_dtype)i;
    return true;
}

bool qn_model_name_ok(qn_slice name)
{
    if (name.n < 1 || name.n > QN_MODEL_NAME_MAX || name.p[0] == '.') return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return true;
}

/* ---- writing ---------------------------------------------------------------- */

static void write_encoder(const qn_encoder_config *c, qn_json_writer *w)
{
    qn_json_key(w, "encoder");
    qn_json_begin_object(w);
    qn_json_member_int(w, "vocab_size", c->vocab);
    qn_json_member_int(w, "hidden_size", c->hidden);
    qn_json_member_int(w, "num_hidden_layers", c->layers);
    qn_json_member_int(w, "num_attention_heads", c->heads);
    qn_json_member_int(w, "intermediate_size", c->intermediate);
    qn_json_member_int(w, "max_position_embeddings", c->positions);
    qn_json_member_int(w, "type_vocab_size", c->types);
    qn_json_key(w, "layer_norm_eps");
    qn_json_float(w, c->eps);
    qn_json_member_str(w, "hidden_act", "gelu");
    qn_json_end_object(w);
}

void qn_model_meta_write(const qn_model_meta *meta, qn_buf *out)
{
    const qn_model_info *info = &meta->info;
    qn_json_writer writer, *w = &writer;
    qn_json_writer_init(w, out, true);
    qn_json_begin_object(w);
    qn_json_member_str(w, "name", info->name);
    qn_json_member_str(w, "task", qn_model_task_name(info->task));
    qn_json_member_str(w, "architecture", info->architecture);
    qn_json_member_str(w, "dtype", qn_model_dtype_name(info->dtype));
    write_encoder(&meta->encoder, w);
    qn_json_member_str(w, "tokenizer", qn_tokenizer_form_name(meta->tokenizer));
    qn_json_member_int(w, "max_tokens", info->max_tokens);
    if (info->task == QN_MODEL_EMBED) {
        qn_json_member_str(w, "pooling", pooling_names[info->pooling]);
        qn_json_member_bool(w, "normalize", info->normalize);
    } else {
        qn_json_member_str(w, "head", "pooler-tanh");
        qn_json_member_str(w, "activation", activation_names[info->activation]);
        if (info->truncation_recorded)
            qn_json_member_str(w, "truncation", qn_truncation_name(info->truncation));
    }
    qn_json_member_int(w, "parameters", (int64_t)info->parameters);
    qn_json_member_str(w, "licence", info->licence);
    qn_json_member_str(w, "origin", info->origin);
    qn_json_member_str(w, "source_hash", info->source_hash);
    qn_json_end_object(w);
}

/* ---- reading ---------------------------------------------------------------- */

/* One pass over the keys: the first failure sticks. */
typedef struct reader {
    const qn_json *object;
    qn_arena *arena;
    qn_error *err;
    qn_status st;
} reader;

static const qn_json *need(reader *r, const char *key, qn_json_kind kind)
{
    if (r->st != QN_OK) return NULL;
    const qn_json *v = qn_json_get(r->object, key);
    if (v != NULL && v->kind == kind) return v;
    r->st = qn_fail(r->err, QN_EMODEL, "description: \"%s\" is no %s", key,
                    qn_json_kind_name(kind));
    return NULL;
}

static uint32_t need_u32(reader *r, const char *key)
{
    const qn_json *v = need(r, key, QN_JSON_INT);
    if (v == NULL) return 0;
    if (v->integer >= 0 && v->integer <= UINT32_MAX) return (uint32_t)v->integer;
    r->st = qn_fail(r->err, QN_EMODEL, "description: \"%s\" is out of range", key);
    return 0;
}

static const char *need_string(reader *r, const char *key)
{
    const qn_json *v = need(r, key, QN_JSON_STRING);
    if (v == NULL) return "";
    const char *s = qn_arena_strndup(r->arena, v->string.p, v->string.n);
    if (s != NULL) return s;
    r->st = qn_fail(r->err, QN_ENOMEM, "model description");
    return "";
}

static int need_name(reader *r, const char *key, const char *const *names, size_t n)
{
    const qn_json *v = need(r, key, QN_JSON_STRING);
    int i = 0;
    if (v == NULL || find_name(v->string, names, n, &i)) return i;
    r->st = qn_fail(r->err, QN_EUNSUPPORTED, "description: \"%s\" is \"%.*s\"", key,
                    QN_SLICE_ARG(v->string));
    return 0;
}

static void need_exactly(reader *r, const char *key, const char *value)
{
    (void)need_name(r, key, &value, 1);
}

static qn_tokenizer_form read_tokenizer(reader *r)
{
    qn_tokenizer_form form = QN_TOKENIZER_VOCAB;
    const qn_json *v = need(r, "tokenizer", QN_JSON_STRING);
    if (v != NULL && !qn_tokenizer_form_parse(v->string, &form))
        r->st =
            qn_fail(r->err, QN_EUNSUPPORTED, "description: \"tokenizer\" is \"%.*s\"",
                    QN_SLICE_ARG(v->string));
    return form;
}

static void read_encoder(reader *r, qn_encoder_config *c)
{
    const qn_json *outer = r->object;
    r->object = need(r, "encoder", QN_JSON_OBJECT);
    c->vocab = need_u32(r, "vocab_size");
    c->hidden = need_u32(r, "hidden_size");
    c->layers = need_u32(r, "num_hidden_layers");
    c->heads = need_u32(r, "num_attention_heads");
    c->intermediate = need_u32(r, "intermediate_size");
    c->positions = need_u32(r, "max_position_embeddings");
    c->types = need_u32(r, "type_vocab_size");
    need_exactly(r, "hidden_act", "gelu");
    const qn_json *eps =
        r->st == QN_OK ? qn_json_get(r->object, "layer_norm_eps") : NULL;
    bool number =
        eps != NULL && (eps->kind == QN_JSON_DOUBLE || eps->kind == QN_JSON_INT);
    c->eps = number ? (float)eps->number : 0.0f;
    r->object = outer;
    if (r->st == QN_OK) r->st = qn_encoder_config_check(c, r->err);
}

static void read_rerank(reader *r, qn_model_info *info, const qn_encoder_config *c)
{
    need_exactly(r, "head", "pooler-tanh");
    info->activation = (qn_activation)need_name(r, "activation", activation_names, 2);
    info->truncation = QN_TRUNCATE_BALANCED;
    const qn_json *truncation = qn_json_get(r->object, "truncation");
    if (r->st == QN_OK && truncation != NULL) {
        info->truncation_recorded = true;
        if (truncation->kind != QN_JSON_STRING ||
            !qn_truncation_parse(truncation->string, &info->truncation))
            r->st = qn_fail(r->err, QN_EUNSUPPORTED, "description: \"truncation\"");
    }
    if (r->st == QN_OK && c->types < 2)
        r->st = qn_fail(r->err, QN_EMODEL,
                        "description: pairs need \"type_vocab_size\" 2 or more");
}

qn_status qn_model_meta_read(const qn_json *json, qn_arena *arena, qn_model_meta *out,
                             qn_error *err)
{
    reader reading = {.object = json, .arena = arena, .err = err}, *r = &reading;
    *out = (qn_model_meta){0};
    qn_model_info *info = &out->info;
    info->name = need_string(r, "name");
    info->task = (qn_model_task)need_name(r, "task", task_names, 2);
    need_exactly(r, "architecture", "bert");
    info->architecture = "bert";
    info->dtype = (qn_model_dtype)need_name(r, "dtype", dtype_names, 3);
    read_encoder(r, &out->encoder);
    out->tokenizer = read_tokenizer(r);
    info->max_tokens = need_u32(r, "max_tokens");
    if (info->task == QN_MODEL_RERANK) {
        read_rerank(r, info, &out->encoder);
    } else {
        info->pooling = (qn_pooling)need_name(r, "pooling", pooling_names, 2);
        const qn_json *normalize = need(r, "normalize", QN_JSON_BOOL);
        info->normalize = normalize != NULL && normalize->boolean;
    }
    info->licence = need_string(r, "licence");
    info->origin = need_string(r, "origin");
    info->source_hash = need_string(r, "source_hash");
    const qn_json *parameters = need(r, "parameters", QN_JSON_INT);
    if (r->st != QN_OK) return r->st;

    info->parameters = (uint64_t)parameters->integer;
    info->layers = out->encoder.layers;
    info->hidden = out->encoder.hidden;
    info->heads = out->encoder.heads;
    info->vocab = out->encoder.vocab;
    info->dims = info->task == QN_MODEL_EMBED ? info->hidden : 1;
    if (!qn_model_name_ok(qn_slice_of(info->name)))
        return qn_fail(err, QN_EMODEL, "description: \"name\" is no model name");
    /* Three special tokens and one of each text is the least that means anything. */
    if (info->max_tokens < 5 || info->max_tokens > out->encoder.positions)
        return qn_fail(err, QN_EMODEL, "description: \"max_tokens\" is not in 5..%u",
                       out->encoder.positions);
    return QN_OK;
}
