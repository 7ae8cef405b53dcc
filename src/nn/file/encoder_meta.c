/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/file/encoder_meta.h"

/* ---- writing ---------------------------------------------------------------- */

static void write_deberta(const qn_encoder_config *c, qn_json_writer *w)
{
    qn_json_member_int(w, "embedding_size", c->embedding);
    qn_json_member_bool(w, "position_biased_input", c->absolute);
    qn_json_key(w, "pos_att_type");
    qn_json_begin_array(w);
    if (c->c2p) qn_json_str(w, "c2p");
    if (c->p2c) qn_json_str(w, "p2c");
    qn_json_end_array(w);
    qn_json_member_bool(w, "relative_attention", c->relative);
    if (c->relative) {
        qn_json_member_int(w, "max_relative_positions", c->max_distance);
        qn_json_member_int(w, "position_buckets", c->buckets);
        qn_json_member_bool(w, "share_att_key", c->shared);
        qn_json_member_str(w, "norm_rel_ebd", c->norm_table ? "layer_norm" : "none");
    }
    qn_json_member_int(w, "conv_kernel_size", c->conv_kernel);
    if (c->conv_kernel > 0) {
        qn_json_member_int(w, "conv_groups", c->conv_groups);
        qn_json_member_str(w, "conv_act", qn_act_name(c->conv_act));
    }
}

static void write_modernbert(const qn_encoder_config *c, qn_json_writer *w)
{
    qn_json_member_bool(w, "norm_bias", c->norm_bias);
    qn_json_member_bool(w, "attention_bias", c->attention_bias);
    qn_json_member_bool(w, "mlp_bias", c->feed_bias);
    qn_json_member_int(w, "local_window", c->window);
    qn_json_key(w, "local_layers");
    qn_json_begin_array(w);
    for (uint32_t i = 0; i < c->layers; i++)
        if (qn_encoder_is_local(c, i)) qn_json_int(w, i);
    qn_json_end_array(w);
    qn_json_key(w, "global_rope_theta");
    qn_json_float(w, c->theta_global);
    qn_json_key(w, "local_rope_theta");
    qn_json_float(w, c->theta_local);
}

void qn_encoder_meta_write(const qn_encoder_config *c, qn_json_writer *w)
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
    qn_json_member_str(w, "hidden_act", qn_act_name(c->act));
    if (c->family == QN_FAMILY_ROBERTA) qn_json_member_int(w, "pad_token_id", c->pad);
    if (c->family == QN_FAMILY_DEBERTA) write_deberta(c, w);
    if (c->family == QN_FAMILY_MODERNBERT) write_modernbert(c, w);
    qn_json_end_object(w);
}

void qn_head_meta_write(const qn_head_config *c, qn_json_writer *w)
{
    bool plain = c->act == QN_ACT_TANH && c->dense_bias && !c->norm;
    qn_json_key(w, "head");
    if (plain) {
        qn_json_str(w, "pooler-tanh");
    } else {
        qn_json_begin_object(w);
        qn_json_member_str(w, "act", qn_act_name(c->act));
        qn_json_member_bool(w, "dense_bias", c->dense_bias);
        qn_json_member_bool(w, "norm", c->norm);
        if (c->norm) {
            qn_json_member_bool(w, "norm_bias", c->norm_bias);
            qn_json_key(w, "norm_eps");
            qn_json_float(w, c->eps);
        }
        qn_json_end_object(w);
    }
    if (c->labels != 1) qn_json_member_int(w, "labels", c->labels);
}

/* ---- reading ---------------------------------------------------------------- */

static qn_act read_act(qn_meta_reader *r, const char *key)
{
    qn_act act = QN_ACT_GELU;
    const qn_json *v = qn_meta_need(r, key, QN_JSON_STRING);
    if (v != NULL && !qn_act_parse(v->string, &act)) qn_meta_unsupported(r, key, v);
    return act;
}

static void read_terms(qn_meta_reader *r, qn_encoder_config *c)
{
    const qn_json *list = qn_meta_need(r, "pos_att_type", QN_JSON_ARRAY);
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        bool string = it->kind == QN_JSON_STRING;
        if (string && qn_slice_eq_str(it->string, "c2p"))
            c->c2p = true;
        else if (string && qn_slice_eq_str(it->string, "p2c"))
            c->p2c = true;
        else
            qn_meta_unsupported(r, "pos_att_type", list);
    }
}

static void read_deberta(qn_meta_reader *r, qn_encoder_config *c)
{
    static const char *const norms[] = {"none", "layer_norm"};
    c->embedding = qn_meta_u32(r, "embedding_size");
    c->absolute = qn_meta_bool(r, "position_biased_input");
    read_terms(r, c);
    c->relative = qn_meta_bool(r, "relative_attention");
    if (c->relative) {
        c->max_distance = qn_meta_u32(r, "max_relative_positions");
        c->buckets = qn_meta_u32(r, "position_buckets");
        c->shared = qn_meta_bool(r, "share_att_key");
        c->norm_table = qn_meta_name(r, "norm_rel_ebd", norms, 2) == 1;
    }
    c->conv_kernel = qn_meta_u32(r, "conv_kernel_size");
    if (c->conv_kernel > 0) {
        c->conv_groups = qn_meta_u32(r, "conv_groups");
        c->conv_act = read_act(r, "conv_act");
    }
}

static void read_modernbert(qn_meta_reader *r, qn_encoder_config *c)
{
    c->norm_bias = qn_meta_bool(r, "norm_bias");
    c->attention_bias = qn_meta_bool(r, "attention_bias");
    c->feed_bias = qn_meta_bool(r, "mlp_bias");
    c->window = qn_meta_u32(r, "local_window");
    const qn_json *list = qn_meta_need(r, "local_layers", QN_JSON_ARRAY);
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        if (it->kind != QN_JSON_INT || it->integer < 0 || it->integer >= QN_LAYERS_MAX)
            qn_meta_out_of_range(r, "local_layers");
        else
            c->local[it->integer / 64] |= (uint64_t)1 << (it->integer % 64);
    }
    c->theta_global = qn_meta_float(r, "global_rope_theta");
    c->theta_local = qn_meta_float(r, "local_rope_theta");
}

void qn_encoder_meta_read(qn_meta_reader *r, qn_encoder_config *c)
{
    const char *families[QN_FAMILIES];
    for (int i = 0; i < QN_FAMILIES; i++) families[i] = qn_family_name((qn_family)i);
    qn_encoder_config_init(
        c, (qn_family)qn_meta_name(r, "architecture", families, QN_FAMILIES));
    const qn_json *outer = r->object,
                  *inner = qn_meta_need(r, "encoder", QN_JSON_OBJECT);
    r->object = inner;
    c->vocab = qn_meta_u32(r, "vocab_size");
    c->hidden = c->embedding = qn_meta_u32(r, "hidden_size");
    c->layers = qn_meta_u32(r, "num_hidden_layers");
    c->heads = qn_meta_u32(r, "num_attention_heads");
    c->intermediate = qn_meta_u32(r, "intermediate_size");
    c->positions = qn_meta_u32(r, "max_position_embeddings");
    c->types = qn_meta_u32(r, "type_vocab_size");
    c->eps = qn_meta_float(r, "layer_norm_eps");
    c->act = read_act(r, "hidden_act");
    if (c->family == QN_FAMILY_ROBERTA) c->pad = qn_meta_u32(r, "pad_token_id");
    if (c->family == QN_FAMILY_DEBERTA) read_deberta(r, c);
    if (c->family == QN_FAMILY_MODERNBERT) read_modernbert(r, c);
    r->object = outer;
    if (r->st == QN_OK) r->st = qn_encoder_config_check(c, r->err);
}

void qn_head_meta_read(qn_meta_reader *r, const qn_encoder_config *encoder,
                       qn_head_config *c)
{
    *c = (qn_head_config){.labels = 1,
                          .hidden = encoder->hidden,
                          .act = QN_ACT_TANH,
                          .dense_bias = true,
                          .eps = encoder->eps};
    const qn_json *head = qn_meta_find(r, "head");
    if (head == NULL || head->kind != QN_JSON_OBJECT) {
        static const char *const plain = "pooler-tanh";
        (void)qn_meta_name(r, "head", &plain, 1);
    } else {
        const qn_json *outer = r->object;
        r->object = head;
        c->act = read_act(r, "act");
        c->dense_bias = qn_meta_bool(r, "dense_bias");
        c->norm = qn_meta_bool(r, "norm");
        if (c->norm) {
            c->norm_bias = qn_meta_bool(r, "norm_bias");
            c->eps = qn_meta_float(r, "norm_eps");
            if (r->st == QN_OK && (!(c->eps > 0.0f) || !(c->eps < 1.0f)))
                qn_meta_out_of_range(r, "norm_eps");
        }
        r->object = outer;
    }
    if (qn_meta_find(r, "labels") != NULL) {
        c->labels = qn_meta_u32(r, "labels");
        if (r->st == QN_OK && (c->labels < 1 || c->labels > QN_LABELS_MAX))
            qn_meta_out_of_range(r, "labels");
    }
}
