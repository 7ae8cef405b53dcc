/* SPDX-License-Identifier: Apache-2.0 */
/* import_names.c -- what the libraries call a tensor: names in model files are BERT's,
 * and those of other families are written down here. */
#include "nn/import/import_internal.h"

#include <stdio.h>

/* What is before the weight of a layer, and before everything of a task class. */
static const struct {
    const char *layer, *prefix;
} places[QN_FAMILIES] = {
    [QN_FAMILY_BERT] = {"encoder.layer.", "bert."},
    [QN_FAMILY_ROBERTA] = {"encoder.layer.", "roberta."},
    [QN_FAMILY_DEBERTA] = {"encoder.layer.", "deberta."},
    [QN_FAMILY_MODERNBERT] = {"layers.", "model."},
};

/* `ours` up to the last part of the name becomes `theirs`; of a tensor that holds several
 * of ours, one below the other, it is number `part` of `parts`. */
static const struct {
    qn_family family;
    const char *ours, *theirs;
    uint32_t part, parts;
} renames[] = {
    {QN_FAMILY_ROBERTA, "pooler.dense.", "classifier.dense.", 0, 1},
    {QN_FAMILY_ROBERTA, "classifier.", "classifier.out_proj.", 0, 1},
    {QN_FAMILY_BERT, "lm.decoder.bias", "cls.predictions.bias", 0, 1},
    {QN_FAMILY_BERT, "lm.decoder.", "cls.predictions.decoder.", 0, 1},
    {QN_FAMILY_BERT, "lm.", "cls.predictions.transform.", 0, 1},
    {QN_FAMILY_ROBERTA, "lm.decoder.bias", "lm_head.bias", 0, 1},
    {QN_FAMILY_ROBERTA, "lm.LayerNorm.", "lm_head.layer_norm.", 0, 1},
    {QN_FAMILY_ROBERTA, "lm.", "lm_head.", 0, 1},
    {QN_FAMILY_MODERNBERT, "lm.decoder.", "decoder.", 0, 1},
    {QN_FAMILY_MODERNBERT, "lm.LayerNorm.", "head.norm.", 0, 1},
    {QN_FAMILY_MODERNBERT, "lm.", "head.", 0, 1},
    {QN_FAMILY_DEBERTA, "attention.self.query.", "attention.self.query_proj.", 0, 1},
    {QN_FAMILY_DEBERTA, "attention.self.key.", "attention.self.key_proj.", 0, 1},
    {QN_FAMILY_DEBERTA, "attention.self.value.", "attention.self.value_proj.", 0, 1},
    {QN_FAMILY_DEBERTA, "attention.self.pos_key.", "attention.self.pos_key_proj.", 0,
     1},
    {QN_FAMILY_DEBERTA, "attention.self.pos_query.", "attention.self.pos_query_proj.",
     0, 1},
    {QN_FAMILY_MODERNBERT, "embeddings.word_embeddings.", "embeddings.tok_embeddings.",
     0, 1},
    {QN_FAMILY_MODERNBERT, "embeddings.LayerNorm.", "embeddings.norm.", 0, 1},
    {QN_FAMILY_MODERNBERT, "attention.self.query.", "attn.Wqkv.", 0, 3},
    {QN_FAMILY_MODERNBERT, "attention.self.key.", "attn.Wqkv.", 1, 3},
    {QN_FAMILY_MODERNBERT, "attention.self.value.", "attn.Wqkv.", 2, 3},
    {QN_FAMILY_MODERNBERT, "attention.output.dense.", "attn.Wo.", 0, 1},
    {QN_FAMILY_MODERNBERT, "attention.output.LayerNorm.", "attn_norm.", 0, 1},
    {QN_FAMILY_MODERNBERT, "intermediate.dense.", "mlp.Wi.", 0, 2},
    {QN_FAMILY_MODERNBERT, "intermediate.gate.", "mlp.Wi.", 1, 2},
    {QN_FAMILY_MODERNBERT, "output.dense.", "mlp.Wo.", 0, 1},
    {QN_FAMILY_MODERNBERT, "output.LayerNorm.", "mlp_norm.", 0, 1},
    {QN_FAMILY_MODERNBERT, "pooler.dense.", "head.dense.", 0, 1},
    {QN_FAMILY_MODERNBERT, "pooler.LayerNorm.", "head.norm.", 0, 1},
};

void qn_import__source_name(qn_family family, const char *name, qn_source_name *out)
{
    unsigned layer = 0;
    int end = 0;
    char before[48] = "";
    if (sscanf(name, "encoder.layer.%u.%n", &layer, &end) == 1 && end > 0) {
        (void)snprintf(before, sizeof before, "%s%u.", places[family].layer, layer);
        name += end;
    }
    out->prefix = places[family].prefix;
    out->part = 0;
    out->parts = 1;
    (void)snprintf(out->name, sizeof out->name, "%s%s", before, name);
    for (size_t i = 0; i < sizeof renames / sizeof *renames; i++) {
        size_t n = strlen(renames[i].ours);
        if (renames[i].family != family || strncmp(name, renames[i].ours, n) != 0)
            continue;
        (void)snprintf(out->name, sizeof out->name, "%s%s%s", before, renames[i].theirs,
                       name + n);
        out->part = renames[i].part;
        out->parts = renames[i].parts;
        return;
    }
}

/* "...LayerNorm.weight" in the spelling of old files; false when it has no such part. */
static bool old_spelling(const char *name, char *out, size_t size)
{
    static const struct {
        const char *now, *old;
    } spellings[] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                     {"LayerNorm.bias", "LayerNorm.beta"}};
    for (size_t i = 0; i < 2; i++) {
        const char *at = strstr(name, spellings[i].now);
        if (at == NULL) continue;
        (void)snprintf(out, size, "%.*s%s", (int)(at - name), name, spellings[i].old);
        return true;
    }
    return false;
}

/* The bias of a decoder is also kept beside it, and then one of the two is used: the inner
 * one by a decoder of its own, the outer one by one that is tied to the embeddings. */
static const char *inner_bias(const char *outer)
{
    static const char *const names[][2] = {
        {"cls.predictions.bias", "cls.predictions.decoder.bias"},
        {"lm_head.bias", "lm_head.decoder.bias"}};
    for (size_t i = 0; i < 2; i++)
        if (strcmp(outer, names[i][0]) == 0) return names[i][1];
    return NULL;
}

static const qn_weight *find_bias(const qn_import *im, const qn_source_name *s)
{
    const char *inner = inner_bias(s->name);
    const qn_weight *t[2] = {qn_weights_find(im->weights, s->name), NULL};
    if (inner != NULL) t[1] = qn_weights_find(im->weights, inner);
    bool own = !im->meta.lm.tied;
    return t[own] != NULL ? t[own] : t[!own];
}

const qn_weight *qn_import__find_source(const qn_import *im, const qn_source_name *s)
{
    if (inner_bias(s->name) != NULL) return find_bias(im, s);
    const char *prefixes[] = {s->prefix, ""};
    for (size_t p = 0; p < 2; p++) {
        char full[192], old[192];
        (void)snprintf(full, sizeof full, "%s%s", prefixes[p], s->name);
        const qn_weight *t = qn_weights_find(im->weights, full);
        if (t == NULL && old_spelling(full, old, sizeof old))
            t = qn_weights_find(im->weights, old);
        if (t != NULL) return t;
    }
    return NULL;
}
