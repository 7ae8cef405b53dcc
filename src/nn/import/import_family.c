/* SPDX-License-Identifier: Apache-2.0 */
/* import_family.c -- config.json: which encoder a folder holds. Keys that are absent have
 * the defaults of the libraries' configuration classes; a key that asks for something
 * else than what is built is refused. */
#include "nn/import/import_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *const config_file = "config.json";

/* One pass over the keys: the first failure sticks. */
typedef struct reader {
    qn_import *im;
    const qn_json *object;
    qn_error *err;
    qn_status st;
} reader;

static void refuse(reader *r, const char *key, const qn_json *value)
{
    if (r->st == QN_OK)
        r->st = qn_import__unsupported(r->im, config_file, key, value, r->err);
}

static void wrong(reader *r, const char *key, const char *what)
{
    if (r->st == QN_OK)
        r->st = qn_fail_file(r->err, QN_EMODEL, qn_import__shown(r->im, config_file),
                             QN_AT_NONE, "%s is %s", key, what);
}

/* NULL for absent and for null. */
static const qn_json *get(const reader *r, const char *key)
{
    const qn_json *v = qn_json_get(r->object, key);
    return v == NULL || v->kind == QN_JSON_NULL ? NULL : v;
}

/* An integer below 2^32; with `defaults`, the value when there is none or when it is
 * negative, which the libraries write for "not set". */
static uint32_t get_u32(reader *r, const char *key, const uint32_t *defaults)
{
    const qn_json *v = get(r, key);
    if (v == NULL && defaults != NULL) return *defaults;
    bool integer = v != NULL && v->kind == QN_JSON_INT && v->integer <= UINT32_MAX;
    if (integer && v->integer < 0 && defaults != NULL) return *defaults;
    if (integer && v->integer >= 0) return (uint32_t)v->integer;
    wrong(r, key, "no integer in range");
    return 0;
}

static uint32_t u32_or(reader *r, const char *key, uint32_t value)
{
    return get_u32(r, key, &value);
}

static float float_or(reader *r, const char *key, float value)
{
    const qn_json *v = get(r, key);
    if (v == NULL) return value;
    if (v->kind == QN_JSON_DOUBLE || v->kind == QN_JSON_INT) return (float)v->number;
    wrong(r, key, "no number");
    return value;
}

static bool bool_or(reader *r, const char *key, bool value)
{
    const qn_json *v = get(r, key);
    if (v == NULL) return value;
    if (v->kind != QN_JSON_BOOL) wrong(r, key, "neither true nor false");
    return v->boolean;
}

static qn_act act_or(reader *r, const char *key, qn_act value)
{
    const qn_json *v = get(r, key);
    if (v == NULL) return value;
    if (v->kind != QN_JSON_STRING || !qn_act_parse(v->string, &value))
        refuse(r, key, v);
    return value;
}

/* Keys that must not say so. */
static void refuse_true(reader *r, const char *key)
{
    if (qn_import__is_true(get(r, key))) refuse(r, key, get(r, key));
}

static void refuse_any(reader *r, const char *key)
{
    if (get(r, key) != NULL) refuse(r, key, get(r, key));
}

/* Whether one of the parts of "a|b|c", or of ["a", "b", "c"], is `name`; sets *unknown
 * when a part is none of the two known ones. */
static bool has_part(const qn_json *v, const char *name, const char *other,
                     bool *unknown)
{
    bool found = false;
    if (v == NULL) return false;
    const qn_json *it = v->kind == QN_JSON_ARRAY ? v->first : v;
    for (; it != NULL; it = v->kind == QN_JSON_ARRAY ? it->next : NULL) {
        if (it->kind != QN_JSON_STRING) *unknown = true;
        qn_slice rest = it->kind == QN_JSON_STRING ? it->string : (qn_slice){"", 0};
        while (rest.n > 0) {
            const char *bar = memchr(rest.p, '|', rest.n);
            size_t n = bar == NULL ? rest.n : (size_t)(bar - rest.p);
            qn_slice part = qn_slice_trim((qn_slice){rest.p, n});
            if (qn_slice_eq_str(part, name))
                found = true;
            else if (!qn_slice_eq_str(part, other))
                *unknown = true;
            if (bar != NULL) n++;
            rest = (qn_slice){rest.p + n, rest.n - n};
        }
    }
    return found;
}

/* ---- families --------------------------------------------------------------- */

static void read_deberta(reader *r, qn_encoder_config *c)
{
    bool unknown = false;
    c->eps = float_or(r, "layer_norm_eps", 1e-7f);
    c->types = u32_or(r, "type_vocab_size", 0);
    c->embedding = u32_or(r, "embedding_size", c->hidden);
    c->absolute = bool_or(r, "position_biased_input", true);
    c->c2p = has_part(get(r, "pos_att_type"), "c2p", "p2c", &unknown);
    c->p2c = has_part(get(r, "pos_att_type"), "p2c", "c2p", &unknown);
    if (unknown) refuse(r, "pos_att_type", get(r, "pos_att_type"));
    c->relative = bool_or(r, "relative_attention", false);
    if (c->relative) {
        c->max_distance = u32_or(r, "max_relative_positions", c->positions);
        if (c->max_distance == 0) c->max_distance = c->positions;
        c->buckets = u32_or(r, "position_buckets", 0);
        c->shared = bool_or(r, "share_att_key", false);
        c->norm_table =
            has_part(get(r, "norm_rel_ebd"), "layer_norm", "none", &unknown);
        if (unknown) refuse(r, "norm_rel_ebd", get(r, "norm_rel_ebd"));
    }
    c->conv_kernel = u32_or(r, "conv_kernel_size", 0);
    c->conv_groups = u32_or(r, "conv_groups", 1);
    c->conv_act = act_or(r, "conv_act", QN_ACT_TANH);
    uint32_t size = c->heads == 0 ? 0 : c->hidden / c->heads;
    if (u32_or(r, "attention_head_size", size) != size)
        refuse(r, "attention_head_size", get(r, "attention_head_size"));
}

/* {"rope_type": "default", "rope_theta": 10000.0} */
static float rope_theta(reader *r, const char *which, const char *old_key, float value)
{
    const qn_json *all = get(r, "rope_parameters"), *outer = r->object;
    const qn_json *own = qn_json_get(all, which);
    value = float_or(r, old_key, value);
    if (own == NULL || own->kind == QN_JSON_NULL) return value;
    r->object = own;
    const qn_json *type = get(r, "rope_type");
    if (type != NULL && !qn_import__is_string(type, "default"))
        refuse(r, "rope_parameters.rope_type", type);
    if (get(r, "partial_rotary_factor") != NULL &&
        float_or(r, "partial_rotary_factor", 0.0f) != 1.0f)
        refuse(r, "rope_parameters.partial_rotary_factor",
               get(r, "partial_rotary_factor"));
    value = float_or(r, "rope_theta", value);
    r->object = outer;
    return value;
}

static void set_local(qn_encoder_config *c, uint32_t layer)
{
    c->local[layer / 64] |= (uint64_t)1 << (layer % 64);
}

/* layer_types, or every n-th layer global. */
static void read_layer_types(reader *r, qn_encoder_config *c)
{
    const qn_json *list = get(r, "layer_types");
    uint32_t every = u32_or(r, "global_attn_every_n_layers", 3), i = 0;
    if (c->layers > QN_LAYERS_MAX) return; /* refused by the check */
    if (list == NULL) {
        if (every == 0) wrong(r, "global_attn_every_n_layers", "0");
        for (; every > 0 && i < c->layers; i++)
            if (i % every != 0) set_local(c, i);
        return;
    }
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next, i++) {
        if (i < c->layers && qn_import__is_string(it, "sliding_attention"))
            set_local(c, i);
        else if (!qn_import__is_string(it, "full_attention"))
            refuse(r, "layer_types", list);
    }
    if (i != c->layers) refuse(r, "layer_types", list);
}

static void read_modernbert(reader *r, qn_encoder_config *c)
{
    c->eps = float_or(r, "norm_eps", 1e-5f);
    c->act = act_or(r, "hidden_activation", QN_ACT_GELU);
    c->norm_bias = bool_or(r, "norm_bias", false);
    c->attention_bias = bool_or(r, "attention_bias", false);
    c->feed_bias = bool_or(r, "mlp_bias", false);
    c->types = 0;
    c->window = u32_or(r, "local_attention", 128) / 2;
    if (u32_or(r, "sliding_window", c->window) != c->window)
        refuse(r, "sliding_window", get(r, "sliding_window"));
    read_layer_types(r, c);
    refuse_any(r, "rope_scaling");
    c->theta_global = rope_theta(r, "full_attention", "global_rope_theta", 160000.0f);
    /* A local theta of null is the global one. */
    const qn_json *local = qn_json_get(r->object, "local_rope_theta");
    bool same = local != NULL && local->kind == QN_JSON_NULL;
    c->theta_local = rope_theta(r, "sliding_attention", "local_rope_theta",
                                same ? c->theta_global : 10000.0f);
}

static void read_family(reader *r, qn_encoder_config *c)
{
    c->vocab = get_u32(r, "vocab_size", NULL);
    c->hidden = c->embedding = get_u32(r, "hidden_size", NULL);
    c->layers = get_u32(r, "num_hidden_layers", NULL);
    c->heads = get_u32(r, "num_attention_heads", NULL);
    c->intermediate = get_u32(r, "intermediate_size", NULL);
    c->positions = get_u32(r, "max_position_embeddings", NULL);
    refuse_any(r, "quantization_config");
    refuse_true(r, "is_decoder");
    refuse_true(r, "add_cross_attention");
    const qn_json *kind = get(r, "position_embedding_type");
    if (kind != NULL && !qn_import__is_string(kind, "absolute"))
        refuse(r, "position_embedding_type", kind);
    if (c->family == QN_FAMILY_MODERNBERT) {
        read_modernbert(r, c);
        return;
    }
    c->act = act_or(r, "hidden_act", QN_ACT_GELU);
    if (c->family == QN_FAMILY_DEBERTA) {
        read_deberta(r, c);
        return;
    }
    c->eps = float_or(r, "layer_norm_eps", 1e-12f);
    c->types = u32_or(r, "type_vocab_size", 2);
    if (c->family == QN_FAMILY_ROBERTA) c->pad = u32_or(r, "pad_token_id", 1);
}

qn_status qn_import__encoder(qn_import *im, const qn_json *config, qn_error *err)
{
    static const struct {
        const char *model_type;
        qn_family family;
    } types[] = {
        {"bert", QN_FAMILY_BERT},           {"roberta", QN_FAMILY_ROBERTA},
        {"xlm-roberta", QN_FAMILY_ROBERTA}, {"camembert", QN_FAMILY_ROBERTA},
        {"deberta-v2", QN_FAMILY_DEBERTA},  {"modernbert", QN_FAMILY_MODERNBERT},
    };
    const qn_json *type = qn_json_get(config, "model_type");
    size_t i = 0, n = sizeof types / sizeof *types;
    while (i < n && !qn_import__is_string(type, types[i].model_type)) i++;
    if (i == n) return qn_import__unsupported(im, config_file, "model_type", type, err);
    reader r = {.im = im, .object = config, .err = err};
    qn_encoder_config *c = &im->meta.encoder;
    qn_encoder_config_init(c, types[i].family);
    im->meta.info.architecture = qn_family_name(c->family);
    read_family(&r, c);
    QN_TRY(r.st);
    qn_error inner = {0};
    qn_status st = qn_encoder_config_check(c, &inner);
    if (st == QN_OK) return QN_OK;
    return qn_fail_file(err, st, qn_import__shown(im, config_file), QN_AT_NONE, "%s",
                        inner.text);
}

/* ---- heads ------------------------------------------------------------------ */

/* id2label decides, as in the libraries; without it num_labels, without both two. */
static uint32_t count_labels(reader *r)
{
    const qn_json *names = get(r, "id2label");
    uint32_t n = names != NULL && names->kind == QN_JSON_OBJECT
                     ? (uint32_t)names->count
                     : u32_or(r, "num_labels", 2);
    if (n < 1 || n > QN_LABELS_MAX)
        wrong(r, names != NULL ? "id2label" : "num_labels", "out of range");
    return n;
}

/* {"0": "negative", "1": "positive"}; a label without a name has the libraries'. */
static void read_label_names(reader *r, uint32_t n)
{
    qn_arena *arena = &r->im->arena;
    const qn_json *all = get(r, "id2label");
    const char **names = qn_arena_array(arena, n, sizeof *names);
    if (names == NULL) {
        r->st = qn_fail(r->err, QN_ENOMEM, "import");
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%" PRIu32, i);
        const qn_json *v =
            all != NULL && all->kind == QN_JSON_OBJECT ? qn_json_get(all, key) : NULL;
        qn_slice text = v == NULL                   ? (qn_slice){"", 0}
                        : v->kind == QN_JSON_STRING ? v->string
                        : v->kind != QN_JSON_NULL   ? v->raw
                                                    : (qn_slice){"", 0};
        bool plain = text.n > 0 && text.n <= QN_LABEL_BYTES_MAX &&
                     memchr(text.p, '\0', text.n) == NULL;
        if (text.n > 0 && !plain) refuse(r, "id2label", all);
        names[i] = plain ? qn_arena_strndup(arena, text.p, text.n)
                         : qn_label_default(arena, i);
        if (names[i] == NULL) r->st = qn_fail(r->err, QN_ENOMEM, "import");
    }
    r->im->meta.info.label_names = names;
}

qn_status qn_import__head(qn_import *im, const qn_json *config, qn_error *err)
{
    reader reading = {.im = im, .object = config, .err = err}, *r = &reading;
    const qn_encoder_config *c = &im->meta.encoder;
    qn_head_config *h = &im->meta.head;
    *h = (qn_head_config){
        .hidden = c->hidden, .act = QN_ACT_TANH, .dense_bias = true, .eps = c->eps};
    im->meta.info.pooling = QN_POOL_CLS;
    h->labels = im->meta.info.labels = count_labels(r);
    if (r->st == QN_OK) read_label_names(r, h->labels);
    if (c->family == QN_FAMILY_DEBERTA) {
        h->act = act_or(r, "pooler_hidden_act", QN_ACT_GELU);
        if (u32_or(r, "pooler_hidden_size", c->hidden) != c->hidden)
            refuse(r, "pooler_hidden_size", get(r, "pooler_hidden_size"));
    }
    if (c->family == QN_FAMILY_MODERNBERT) {
        const qn_json *pooling = get(r, "classifier_pooling");
        h->act = act_or(r, "classifier_activation", QN_ACT_GELU);
        h->dense_bias = bool_or(r, "classifier_bias", false);
        h->norm = true;
        h->norm_bias = c->norm_bias;
        if (qn_import__is_string(pooling, "mean"))
            im->meta.info.pooling = QN_POOL_MEAN;
        else if (pooling != NULL && !qn_import__is_string(pooling, "cls"))
            refuse(r, "classifier_pooling", pooling);
    }
    return r->st;
}

/* The last layer before the vocabulary, as SPLADE uses it. */
qn_status qn_import__lm_head(qn_import *im, const qn_json *config, qn_error *err)
{
    reader reading = {.im = im, .object = config, .err = err}, *r = &reading;
    const qn_encoder_config *c = &im->meta.encoder;
    qn_lm_config *h = &im->meta.lm;
    *h = (qn_lm_config){.hidden = c->hidden,
                        .vocab = c->vocab,
                        .act = c->family == QN_FAMILY_ROBERTA ? QN_ACT_GELU : c->act,
                        .dense_bias = true,
                        .norm_bias = true,
                        .eps = c->eps};
    h->tied = bool_or(r, "tie_word_embeddings", true);
    if (c->family == QN_FAMILY_DEBERTA)
        refuse(r, "architectures", get(r, "architectures"));
    if (c->family == QN_FAMILY_MODERNBERT) {
        h->act = act_or(r, "classifier_activation", QN_ACT_GELU);
        h->dense_bias = bool_or(r, "classifier_bias", false);
        h->norm_bias = c->norm_bias;
        if (!bool_or(r, "decoder_bias", true))
            refuse(r, "decoder_bias", get(r, "decoder_bias"));
    }
    return r->st;
}
