/* SPDX-License-Identifier: Apache-2.0 */
/* The importer and the model file: what is refused and by which words, what survives a
 * round trip, damage, and running out of memory. */
#include "test_nn.h"

#include "../qn_test.h"

#include "io/file.h"
#include "nn/calls/embed.h"
#include "nn/file/qnm.h"
#include "nn/calls/rerank.h"

#include <math.h>

/* Where `what` first lies in the buffer, zeros in it included; NULL if nowhere. */
static const char *find_in(const qn_buf *b, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= b->n; i++)
        if (memcmp(b->p + i, what, n) == 0) return b->p + i;
    return NULL;
}

/* Copies one file of a golden folder, with the first `from` in it replaced. */
static void copy_file(const char *source, const char *target, const char *name,
                      const char *from, const char *to)
{
    char path[1024];
    qn_error err = {0};
    qn_buf text, out;
    qn_buf_init(&text, qn_alloc_heap());
    qn_buf_init(&out, qn_alloc_heap());
    (void)snprintf(path, sizeof path, "%s/%s", source, name);
    if (!qn_file_exists(path)) return;
    T_CALL(qn_file_read(path, 1 << 24, &text, &err), &err);
    size_t cut = text.n;
    if (from != NULL) {
        const char *at = find_in(&text, from);
        if (at == NULL) T_FAIL("%s is not in %s", from, name);
        cut = (size_t)(at - text.p);
    }
    qn_buf_add(&out, text.p, cut);
    if (from != NULL) {
        qn_buf_add_str(&out, to);
        qn_buf_add(&out, text.p + cut + strlen(from), text.n - cut - strlen(from));
    }
    (void)snprintf(path, sizeof path, "%s/%s", target, name);
    T_CALL(qn_file_replace(path, out.p, out.n, &err), &err);
    qn_buf_deinit(&out);
    qn_buf_deinit(&text);
}

static const char *const files[] = {"config.json",
                                    "model.safetensors",
                                    "tokenizer.json",
                                    "vocab.txt",
                                    "tokenizer_config.json",
                                    "modules.json",
                                    "sentence_bert_config.json",
                                    "config_sentence_transformers.json",
                                    "1_Pooling/config.json",
                                    "1_SpladePooling/config.json",
                                    "1_Dense/config.json",
                                    "1_Dense/model.safetensors",
                                    "2_Dense/config.json",
                                    "2_Dense/model.safetensors",
                                    "2_MultiVectorMask/config.json",
                                    "3_LayerNorm/config.json",
                                    "3_LayerNorm/model.safetensors",
                                    "3_Normalize/config.json",
                                    "4_Dense/config.json",
                                    "4_Dense/model.safetensors",
                                    "5_Normalize/config.json"};

/* The golden folder `which` with one replacement in one file; `from` NULL: the file is
 * left out. */
static const char *changed(const char *which, const char *file, const char *from,
                           const char *to)
{
    static char source[512], target[512];
    qn_error err = {0};
    (void)snprintf(source, sizeof source, "%s/tests/golden/nn/%s", QN_SOURCE_DIR,
                   which);
    (void)snprintf(target, sizeof target, "%s", nn_path("changed"));
    if (qn_file_exists(target)) T_CALL(qn_dir_remove(target, &err), &err);
    T_CALL(qn_dir_create(target, &err), &err);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bool this_one = file != NULL && strcmp(files[i], file) == 0;
        if (this_one && from == NULL) continue;
        const char *slash = strchr(files[i], '/');
        if (slash != NULL) {
            char inner[600];
            (void)snprintf(inner, sizeof inner, "%s/%.*s", target,
                           (int)(slash - files[i]), files[i]);
            T_CALL(qn_dir_create(inner, &err), &err);
        }
        copy_file(source, target, files[i], this_one ? from : NULL, to);
    }
    return target;
}

static const struct {
    const char *name, *model, *file, *from, *to;
    qn_status st;
    const char *says;
} refusals[] = {
    {"another architecture", "tiny-embed", "config.json", "\"model_type\": \"bert\"",
     "\"model_type\": \"t5\"", QN_EUNSUPPORTED, "model_type is \"t5\""},
    {"another activation", "tiny-embed", "config.json", "\"gelu\"", "\"gelu_10\"",
     QN_EUNSUPPORTED, "hidden_act is \"gelu_10\""},
    {"a question answering head", "tiny-embed", "config.json", "BertModel",
     "BertForQuestionAnswering", QN_EUNSUPPORTED, "architectures"},
    {"relative positions", "tiny-embed", "config.json", "\"model_type\": \"bert\"",
     "\"model_type\": \"bert\", \"position_embedding_type\": \"relative_key\"",
     QN_EUNSUPPORTED, "position_embedding_type"},
    {"a decoder", "tiny-embed", "config.json", "\"model_type\": \"bert\"",
     "\"model_type\": \"bert\", \"is_decoder\": true", QN_EUNSUPPORTED, "is_decoder"},
    {"heads do not divide", "tiny-embed", "config.json", "\"num_attention_heads\": 4",
     "\"num_attention_heads\": 5", QN_EMODEL, "num_attention_heads 5"},
    {"no heads", "tiny-embed", "config.json", "\"num_attention_heads\": 4",
     "\"num_attention_heads\": 0", QN_EMODEL, "num_attention_heads is 0"},
    {"hidden size is a string", "tiny-embed", "config.json", "\"hidden_size\": 32",
     "\"hidden_size\": \"32\"", QN_EMODEL, "hidden_size"},
    {"hidden size is huge", "tiny-embed", "config.json", "\"hidden_size\": 32",
     "\"hidden_size\": 4294967295", QN_EMODEL, "hidden_size is 4294967295"},
    {"epsilon is zero", "tiny-embed", "config.json", "1e-12", "0.0", QN_EMODEL,
     "layer_norm_eps"},
    {"more layers than tensors", "tiny-embed", "config.json",
     "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", QN_EMODEL,
     "\"encoder.layer.2.attention.self.query.weight\" is missing"},
    {"another vocabulary size", "tiny-embed", "config.json", "\"vocab_size\": 1",
     "\"vocab_size\": 2", QN_EMODEL, "word_embeddings.weight\" is"},
    {"config.json is broken", "tiny-embed", "config.json", "{", "{{", QN_EMODEL, ""},
    {"no config.json", "tiny-embed", "config.json", NULL, NULL, QN_ENOTFOUND, ""},
    {"no weights", "tiny-embed", "model.safetensors", NULL, NULL, QN_ENOTFOUND, ""},
    {"no tokenizer", "tiny-embed", "tokenizer.json", NULL, NULL, QN_ENOTFOUND, ""},
    {"another tokenizer", "tiny-embed", "tokenizer.json",
     "\"type\":\"WordPiece\",\"unk", "\"type\":\"WordLevel\",\"unk", QN_EMODEL,
     "\"WordLevel\""},
    {"an id twice", "tiny-embed", "tokenizer.json",
     "\"the\":", "\"the\":1,\"x\":", QN_EMODEL, "model.vocab"},
    {"a recurrent layer after pooling", "tiny-embed", "modules.json",
     "models.Normalize", "models.LSTM", QN_EUNSUPPORTED, "LSTM"},
    {"the weights of a dense layer are missing", "tiny-embed", "modules.json",
     "models.Normalize", "models.Dense", QN_ENOTFOUND, "2_Normalize/config.json"},
    {"pooling outside the folder", "tiny-embed", "modules.json", "\"1_Pooling\"",
     "\"../1_Pooling\"", QN_EUNSUPPORTED, "path"},
    {"pooling by attention", "tiny-embed", "1_Pooling/config.json",
     "\"pooling_mode_cls_token\": false", "\"pooling_mode_attention_tokens\": true",
     QN_EUNSUPPORTED, "pooling_mode_attention_tokens"},
    {"an unknown pooling", "tiny-embed", "1_Pooling/config.json",
     "\"pooling_mode_mean_tokens\": true", "\"pooling_mode\": \"attention\"",
     QN_EUNSUPPORTED, "pooling_mode is \"attention\""},
    {"two poolings of one name too many", "tiny-modules", "1_Pooling/config.json",
     "\"lasttoken\"", "\"lasttoken\", \"cls\"", QN_EUNSUPPORTED,
     "pooling_mode is \"cls\""},
    {"an unknown activation of a step", "tiny-modules", "2_Dense/config.json",
     "activation.Tanh", "activation.Mish", QN_EUNSUPPORTED, "activation_function"},
    {"a residual step", "tiny-modules", "2_Dense/config.json", "\"bias\": true",
     "\"bias\": true, \"use_residual\": true", QN_EUNSUPPORTED, "use_residual"},
    {"a step over tokens", "tiny-modules", "2_Dense/config.json", "sentence_embedding",
     "token_embeddings", QN_EUNSUPPORTED, "module_input_name"},
    {"steps that do not fit", "tiny-modules", "2_Dense/config.json",
     "\"in_features\": 96", "\"in_features\": 95", QN_EMODEL,
     "step 0 takes vectors of 95 values, it gets 96"},
    {"weights that do not fit", "tiny-modules", "2_Dense/config.json",
     "\"out_features\": 24", "\"out_features\": 23", QN_EMODEL, ""},
    {"a default prompt that is not there", "tiny-modules",
     "config_sentence_transformers.json", "\"default_prompt_name\": \"document\"",
     "\"default_prompt_name\": \"title\"", QN_EUNSUPPORTED,
     "default_prompt_name is \"title\""},
    {"pooling by minimum", "tiny-splade", "1_SpladePooling/config.json", "\"max\"",
     "\"min\"", QN_EUNSUPPORTED, "pooling_strategy is \"min\""},
    {"a sparse model without its head", "tiny-splade", "config.json", "BertForMaskedLM",
     "BertModel", QN_EUNSUPPORTED, "architectures"},
    {"arguments of the tokenizer", "tiny-modules", "sentence_bert_config.json",
     "\"module_output_name\"",
     "\"processing_kwargs\": {\"text\": {\"max_length\": 9}}, \"x\"", QN_EUNSUPPORTED,
     "processing_kwargs is {\"text\""},
    {"another output", "tiny-modules", "sentence_bert_config.json",
     "\"last_hidden_state\"", "\"pooler_output\"", QN_EUNSUPPORTED,
     "method_output_name is \"pooler_output\""},
    {"another method", "tiny-modules", "sentence_bert_config.json", "\"forward\"",
     "\"embed\"", QN_EUNSUPPORTED, "method is \"embed\""},
    {"only images", "tiny-colbert", "2_MultiVectorMask/config.json",
     "\"keep_only_token_ids\": null", "\"keep_only_token_ids\": [1]", QN_EUNSUPPORTED,
     "keep_only_token_ids"},
    {"an expansion of another kind", "tiny-expand", "sentence_bert_config.json",
     "\"fixed\"", "\"random\"", QN_EUNSUPPORTED, "query_expansion"},
    {"an expansion beyond the model", "tiny-expand", "sentence_bert_config.json",
     "\"length\": 16", "\"length\": 4096", QN_EUNSUPPORTED, "length is 4096"},
    {"another activation", "tiny-rerank", "config.json", "linear.Identity",
     "activation.Tanh", QN_EUNSUPPORTED, "sentence_transformers.activation_fn"},
    {"two labels", "tiny-rerank", "config.json", "\"0\": \"LABEL_0\"",
     "\"0\": \"NO\", \"1\": \"YES\"", QN_EMODEL,
     "\"classifier.weight\" is 1 x 32, not 2 x 32"},
    {"one type of token", "tiny-rerank", "config.json", "\"type_vocab_size\": 2",
     "\"type_vocab_size\": 1", QN_EUNSUPPORTED, "type_vocab_size"},
    {"buckets that do not fit", "tiny-deberta-v3", "config.json",
     "\"position_buckets\": 8", "\"position_buckets\": 4096", QN_EMODEL,
     "position_buckets 4096"},
    {"one bucket", "tiny-deberta-v3", "config.json", "\"position_buckets\": 8",
     "\"position_buckets\": 1", QN_EMODEL, "position_buckets 1"},
    {"a term that nobody has", "tiny-deberta-v3", "config.json", "\"p2c\"", "\"p2p\"",
     QN_EUNSUPPORTED, "pos_att_type is"},
    {"another norm of the table", "tiny-deberta-v3", "config.json", "\"layer_norm\"",
     "\"rms_norm\"", QN_EUNSUPPORTED, "norm_rel_ebd"},
    {"heads of their own size", "tiny-deberta-v3", "config.json",
     "\"num_attention_heads\": 2",
     "\"num_attention_heads\": 2,"
     "\"attention_head_size\": 4",
     QN_EUNSUPPORTED, "attention_head_size is 4"},
    {"a number for a truth", "tiny-deberta-v3", "config.json",
     "\"share_att_key\": true", "\"share_att_key\": 1", QN_EMODEL,
     "share_att_key is neither"},
    {"a pooler of another size", "tiny-deberta-v3", "config.json",
     "\"pooler_hidden_size\": 16", "\"pooler_hidden_size\": 8", QN_EUNSUPPORTED,
     "pooler_hidden_size is 8"},
    {"no labels", "tiny-deberta-v3", "config.json", "\"0\": \"LABEL_0\"", "", QN_EMODEL,
     "id2label"},
    {"a hundred thousand layers", "tiny-deberta-v3", "config.json",
     "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 100000", QN_EMODEL,
     "num_hidden_layers is 100000"},
    {"negative size", "tiny-deberta-v3", "config.json", "\"hidden_size\": 16",
     "\"hidden_size\": -16", QN_EMODEL, "hidden_size"},
    {"epsilon below zero", "tiny-deberta-v3", "config.json", "1e-07", "-1.0", QN_EMODEL,
     "layer_norm_eps"},
    {"epsilon is no number", "tiny-deberta-v3", "config.json", "1e-07", "\"NaN\"",
     QN_EMODEL, "layer_norm_eps"},
    {"DeBERTa of version 1", "tiny-deberta-v3", "config.json", "\"deberta-v2\"",
     "\"deberta\"", QN_EUNSUPPORTED, "model_type is \"deberta\""},
    {"an even kernel", "tiny-deberta-v2", "config.json", "\"conv_kernel_size\": 3",
     "\"conv_kernel_size\": 4", QN_EMODEL, "conv_kernel_size is 4"},
    {"groups that do not divide", "tiny-deberta-v2", "config.json",
     "\"conv_groups\": 2", "\"conv_groups\": 3", QN_EMODEL, "conv_groups 3"},
    {"a kernel of another width", "tiny-deberta-v2", "config.json",
     "\"conv_groups\": 2", "\"conv_groups\": 1", QN_EMODEL, "encoder.conv.conv.weight"},
    {"embeddings of no width", "tiny-deberta-v2", "config.json",
     "\"embedding_size\": 12", "\"embedding_size\": 0", QN_EMODEL,
     "embedding_size is 0"},
    {"a table of another length", "tiny-deberta-v2", "config.json",
     "\"max_relative_positions\": 10", "\"max_relative_positions\": 11", QN_EMODEL,
     "rel_embeddings"},
    {"padding outside", "tiny-xlm-roberta", "config.json", "\"pad_token_id\": 1",
     "\"pad_token_id\": 60", QN_EMODEL, "pad_token_id 60"},
    {"positions for nothing", "tiny-xlm-roberta", "config.json",
     "\"max_position_embeddings\": 50", "\"max_position_embeddings\": 2", QN_EMODEL,
     "pad_token_id 1"},
    {"a renamed head", "tiny-xlm-roberta", "model.safetensors",
     "classifier.out_proj.bias", "classifier.out_proj.bios", QN_EMODEL,
     "\"classifier.out_proj.bias\" is missing"},
    {"scaled rotary positions", "tiny-modernbert", "config.json",
     "\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"", QN_EUNSUPPORTED,
     "rope_parameters.rope_type is \"yarn\""},
    {"an angle's base below one", "tiny-modernbert", "config.json", "160000.0", "0.5",
     QN_EMODEL, "rope_theta"},
    {"another kind of layer", "tiny-modernbert", "config.json",
     "\"sliding_attention\",", "\"chunked_attention\",", QN_EUNSUPPORTED,
     "layer_types"},
    {"a layer without a kind", "tiny-modernbert", "config.json",
     "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5", QN_EUNSUPPORTED,
     "layer_types"},
    {"heads that cannot turn", "tiny-modernbert", "config.json",
     "\"num_attention_heads\": 2", "\"num_attention_heads\": 16", QN_EMODEL,
     "rotary positions need pairs"},
    {"no window", "tiny-modernbert", "config.json", "\"local_attention\": 8",
     "\"local_attention\": 1", QN_EMODEL, "local_attention"},
    {"max pooling of a classifier", "tiny-modernbert", "config.json",
     "\"classifier_pooling\": \"mean\"", "\"classifier_pooling\": \"max\"",
     QN_EUNSUPPORTED, "classifier_pooling is \"max\""},
    {"a fused tensor cut short", "tiny-modernbert", "config.json",
     "\"intermediate_size\": 24", "\"intermediate_size\": 23", QN_EMODEL,
     "\"model.layers.0.mlp.Wi.weight\" is 48 x 16, not 46 x 16"},
    {"no [SEP]", "tiny-rerank", "vocab.txt", "[SEP]", "[ZZZ]", QN_EMODEL, ""},
    {"renamed tensor", "tiny-rerank", "model.safetensors", "classifier.bias",
     "classifier.bios", QN_EMODEL, "\"classifier.bias\" is missing"},
    {"offset moved", "tiny-rerank", "model.safetensors", "\"data_offsets\":[0,",
     "\"data_offsets\":[1,", QN_EMODEL, "tensor \""},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        T_ROW(refusals[i].name);
        const char *folder = changed(refusals[i].model, refusals[i].file,
                                     refusals[i].from, refusals[i].to);
        const char *output = nn_path("refused.qnm");
        qn_import_options options = {.name = "x", .dtype = QN_MODEL_INT8};
        qn_error err = {0};
        qn_status st =
            qn_import_run(qn_alloc_heap(), folder, output, &options, NULL, &err);
        if (st != refusals[i].st)
            T_FAIL("status %d, not %d: %s: %s", st, refusals[i].st, err.file, err.text);
        if (strstr(err.text, refusals[i].says) == NULL) T_FAIL("it says: %s", err.text);
        T_OK(!qn_file_exists(output));
        T_OK(!qn_file_exists(nn_path("refused.qnm.part")));
    }
}

static void test_variants(void **state)
{
    (void)state;
    T_ROW("vocab_txt with CR LF, no modules.json, old spelling");
    const char *folder = changed("tiny-rerank", "vocab.txt", "[PAD]\n", "[PAD]\r\n");
    qn_import_options options = {.name = "tiny-rerank"};
    qn_error err = {0};
    qn_import_report report;
    const char *output = nn_path("variant.qnm");
    T_CALL(qn_import_run(qn_alloc_heap(), folder, output, &options, &report, &err),
           &err);

    T_ROW("without sentence-transformers' keys: sigmoid, balanced");
    folder =
        changed("tiny-rerank", "config.json", "\"sentence_transformers\"", "\"x\"");
    T_CALL(qn_import_run(qn_alloc_heap(), folder, output, &options, &report, &err),
           &err);
    qn_model *m = NULL;
    T_CALL(qn_model_open(qn_alloc_heap(), output, NULL, &m, &err), &err);
    T_EQ_I(qn_model_describe(m)->activation, QN_ACTIVATION_SIGMOID);
    T_EQ_I(qn_model_describe(m)->truncation, QN_TRUNCATE_BALANCED);
    T_NEAR(qn_rerank_activate(m, 0.0f), 0.5, 0);
    qn_model_close(m);

    T_ROW("a LICENSE file is recognised");
    static const struct {
        const char *text, *name;
    } licences[] = {{"  Apache License\n  Version 2.0, January 2004\n", "Apache-2.0"},
                    {"MIT License\n\nCopyright", "MIT"},
                    {"All rights reserved", ""}};
    for (size_t i = 0; i < 3; i++) {
        char path[600];
        folder = changed("tiny-embed", NULL, NULL, NULL);
        (void)snprintf(path, sizeof path, "%s/LICENSE", folder);
        T_CALL(qn_file_replace(path, licences[i].text, strlen(licences[i].text), &err),
               &err);
        T_CALL(qn_import_run(qn_alloc_heap(), folder, output, &options, &report, &err),
               &err);
        T_CALL(qn_model_open(qn_alloc_heap(), output, NULL, &m, &err), &err);
        T_EQ_S(qn_model_describe(m)->licence, licences[i].name);
        qn_model_close(m);
    }

    T_ROW("no modules.json: mean, not normalised");
    folder = changed("tiny-embed", "modules.json", NULL, NULL);
    T_CALL(qn_import_run(qn_alloc_heap(), folder, output, &options, &report, &err),
           &err);
    T_CALL(qn_model_open(qn_alloc_heap(), output, NULL, &m, &err), &err);
    T_EQ_I(qn_model_describe(m)->pooling, QN_POOL_MEAN);
    T_OK(!qn_model_describe(m)->normalize);
    qn_model_close(m);
}

/* The same weights as a dictionary and as TorchScript: the same model, to the bit. */
static void test_torch_forms(void **state)
{
    (void)state;
    static const struct {
        const char *golden, *file;
    } rows[] = {{"torch/embed.bin", "pytorch_model.bin"}, {"torch/embed.pt", "any.pt"}};
    qn_slice text = QN_SLICE_LIT("How does a water mill grind grain?");
    float want[32], got[32];
    qn_error err = {0};
    qn_model *m = nn_tiny_open("tiny-embed", QN_MODEL_F32);
    T_CALL(qn_embed_run(m, &text, 1, NULL, want, NULL, &err), &err);
    qn_model_close(m);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].golden);
        const char *folder = changed("tiny-embed", "model.safetensors", NULL, NULL);
        char source[512], target[600];
        (void)snprintf(source, sizeof source, "%s/tests/golden/nn/%s", QN_SOURCE_DIR,
                       rows[i].golden);
        (void)snprintf(target, sizeof target, "%s/%s", folder, rows[i].file);
        qn_buf bytes;
        qn_buf_init(&bytes, qn_alloc_heap());
        T_CALL(qn_file_read(source, 1 << 24, &bytes, &err), &err);
        T_CALL(qn_file_replace(target, bytes.p, bytes.n, &err), &err);
        qn_buf_deinit(&bytes);
        qn_import_options options = {.name = "x"};
        qn_import_report report;
        const char *output = nn_path("form.qnm");
        T_CALL(qn_import_run(qn_alloc_heap(), folder, output, &options, &report, &err),
               &err);
        T_EQ_I(report.ignored, 3);
        T_CALL(qn_model_open(qn_alloc_heap(), output, NULL, &m, &err), &err);
        T_CALL(qn_embed_run(m, &text, 1, NULL, got, NULL, &err), &err);
        qn_model_close(m);
        T_OK(memcmp(want, got, sizeof want) == 0);
    }
}

/* Other ways to say the same: the logit of a pair does not change. */
static void test_same_model(void **state)
{
    (void)state;
    static const struct {
        const char *name, *model, *file, *from, *to;
    } rows[] = {
        {"terms in one string", "tiny-deberta-v3", "config.json",
         "\"pos_att_type\": [\n    \"p2c\",\n    \"c2p\"\n  ]",
         "\"pos_att_type\": \"p2c|c2p\""},
        {"the longest distance is that of positions", "tiny-deberta-v3", "config.json",
         "\"position_buckets\": 8",
         "\"position_buckets\": 8, \"max_relative_positions\": -1"},
        {"layers by their period", "tiny-modernbert", "config.json", "\"layer_types\"",
         "\"global_attn_every_n_layers\": 3, \"x\""},
        {"angles by the old keys", "tiny-modernbert", "config.json",
         "\"rope_parameters\"",
         "\"global_rope_theta\": 160000.0, \"local_rope_theta\": 10000, \"x\""},
        {"without the prefix", "tiny-xlm-roberta", "model.safetensors",
         "\"roberta.embeddings.word_embeddings.weight\":",
         "\"embeddings.word_embeddings.weight\":        "},
        {"the old names of a norm", "tiny-rerank", "model.safetensors",
         "bert.embeddings.LayerNorm.weight\":", "bert.embeddings.LayerNorm.gamma\" :"},
        {"another name for GELU", "tiny-modernbert", "config.json",
         "\"hidden_activation\": \"gelu\"", "\"hidden_activation\": \"gelu_python\""},
    };
    qn_slice query = QN_SLICE_LIT("the water mill"),
             doc = QN_SLICE_LIT("a stone turns");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const char *folder =
            changed(rows[i].model, rows[i].file, rows[i].from, rows[i].to);
        qn_import_options options = {.name = "x"};
        qn_model *plain = nn_tiny_open(rows[i].model, QN_MODEL_F32), *m = NULL;
        qn_rerank_doc want, got;
        qn_error err = {0};
        const char *output = nn_path("same.qnm");
        T_CALL(qn_import_run(qn_alloc_heap(), folder, output, &options, NULL, &err),
               &err);
        T_CALL(qn_model_open(qn_alloc_heap(), output, NULL, &m, &err), &err);
        T_CALL(qn_rerank_run(plain, query, &doc, 1, NULL, &want, NULL, &err), &err);
        T_CALL(qn_rerank_run(m, query, &doc, 1, NULL, &got, NULL, &err), &err);
        T_OK(want.scored && got.scored && want.logit == got.logit);
        qn_model_close(m);
        qn_model_close(plain);
    }
    T_ROW("a bare encoder names no class");
    qn_error err = {0};
    qn_import_report report;
    qn_import_options options = {.name = "x"};
    const char *folder =
        changed("tiny-embed", "config.json", "\"architectures\"", "\"x\"");
    T_CALL(qn_import_run(qn_alloc_heap(), folder, nn_path("same.qnm"), &options,
                         &report, &err),
           &err);
    T_EQ_I(report.task, QN_MODEL_EMBED);
}

static void test_describe(void **state)
{
    (void)state;
    T_ROW("embed");
    qn_model *m = nn_tiny_open("tiny-embed", QN_MODEL_INT8);
    const qn_model_info *info = qn_model_describe(m);
    T_EQ_S(info->name, "tiny-embed");
    T_EQ_S(qn_model_task_name(info->task), "embed");
    T_EQ_S(qn_model_dtype_name(info->dtype), "int8");
    T_EQ_I(info->dims, 32);
    T_EQ_I(info->max_tokens, 40);
    T_OK(info->normalize && info->pooling == QN_POOL_MEAN);
    T_EQ_I(strncmp(info->source_hash, "xxh3-128:", 9), 0);
    T_EQ_I(info->layers, 2);
    qn_model_close(m);
    T_ROW("rerank");
    m = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    info = qn_model_describe(m);
    T_EQ_S(qn_model_task_name(info->task), "rerank");
    T_EQ_I(info->max_tokens, 48);
    T_EQ_I(info->truncation, QN_TRUNCATE_LONGEST_FIRST);
    T_EQ_I(info->activation, QN_ACTIVATION_IDENTITY);
    T_OK(info->file_bytes > 100000 && info->memory_bytes > 0);
    qn_model_close(m);
}

/* What the logits are called. */
static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *name, *from, *to, *label;
    } rows[] = {
        {"the library's", "", "", "LABEL_0"},
        {"named", "\"LABEL_0\"", "\"relevant \\u00e9\"", "relevant \303\251"},
        {"a number", "\"LABEL_0\"", "1", "1"},
        {"empty", "\"LABEL_0\"", "\"\"", "LABEL_0"},
        {"another key", "\"0\": \"LABEL_0\"", "\"7\": \"x\"", "LABEL_0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const char *folder =
            changed("tiny-rerank", "config.json", rows[i].from, rows[i].to);
        const char *output = nn_path("labels.qnm");
        qn_import_options options = {.name = "x"};
        qn_error err = {0};
        qn_model *m = NULL;
        T_CALL(qn_import_run(qn_alloc_heap(), folder, output, &options, NULL, &err),
               &err);
        T_CALL(qn_model_open(qn_alloc_heap(), output, NULL, &m, &err), &err);
        T_EQ_I(qn_model_describe(m)->labels, 1);
        T_EQ_S(qn_model_describe(m)->label_names[0], rows[i].label);
        qn_model_close(m);
    }
    T_ROW("none of embed models");
    qn_model *m = nn_tiny_open("tiny-embed", QN_MODEL_INT8);
    T_OK(qn_model_describe(m)->label_names == NULL);
    qn_model_close(m);
}

/* Products of a file whose weights are of the next finer type than `dtype`. */
static size_t finer_products(const char *path, qn_model_dtype dtype)
{
    static const char *const ends[] = {
        ".self.query.weight", ".attention.output.dense.weight",
        ".intermediate.dense.weight", ".output.dense.weight"};
    qn_model_dtype finer = dtype == QN_MODEL_INT8 ? QN_MODEL_BF16 : QN_MODEL_F32;
    qn_error err = {0};
    qn_qnm *file = NULL;
    size_t found = 0;
    T_CALL(qn_qnm_open(qn_alloc_heap(), path, &file, &err), &err);
    for (size_t i = 0; i < qn_qnm_count(file); i++) {
        const qn_tensor *t = qn_qnm_tensor(file, i);
        qn_slice name = qn_slice_of(t->name);
        bool product = false;
        for (size_t e = 0; e < sizeof ends / sizeof *ends; e++)
            product = product || (strncmp(t->name, "encoder.layer.", 14) == 0 &&
                                  qn_slice_ends_with(name, ends[e]));
        found += product && t->dtype == finer;
    }
    qn_qnm_close(file);
    return found;
}

/* What int8 and bf16 cost on the tiny models, and that the report says so. */
static void test_report(void **state)
{
    (void)state;
    static const struct {
        const char *name, *model;
        qn_model_dtype dtype;
        size_t tensors, ignored;
        double cosine_least, change_most, tau_least;
    } rows[] = {
        {"embed int8", "tiny-embed", QN_MODEL_INT8, 43, 3, 0.99, 0.05, 0.9},
        {"embed bf16", "tiny-embed", QN_MODEL_BF16, 37, 3, 0.9999, 0.01, 0.97},
        {"rerank int8", "tiny-rerank", QN_MODEL_INT8, 47, 0, 0, 0.3, 0.9},
        {"rerank bf16", "tiny-rerank", QN_MODEL_BF16, 41, 0, 0, 0.05, 0.95},
        {"steps int8", "tiny-modules", QN_MODEL_INT8, 0, 0, 0.9, 0.2, 0.7},
        {"sparse int8", "tiny-splade", QN_MODEL_INT8, 0, 0, 0.99, 10, 0.8},
        {"sparse bf16", "tiny-splade", QN_MODEL_BF16, 0, 0, 0.999, 1, 0.9},
        {"tokens int8", "tiny-colbert", QN_MODEL_INT8, 0, 0, 0.95, 10, 0.8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_import_options options = {.name = "x", .dtype = rows[i].dtype};
        qn_import_report report;
        qn_error err = {0};
        char source[512];
        (void)snprintf(source, sizeof source, "%s/tests/golden/nn/%s", QN_SOURCE_DIR,
                       rows[i].model);
        const char *output = nn_path("report.qnm");
        T_CALL(qn_import_run(qn_alloc_heap(), source, output, &options, &report, &err),
               &err);
        if (rows[i].tensors > 0) {
            T_EQ_I(report.tensors, rows[i].tensors);
            T_EQ_I(report.ignored, rows[i].ignored);
        }
        T_OK(report.samples >= 128 && report.rankings == 16);
        bool pairs = report.task == QN_MODEL_RERANK;
        if (!pairs) T_NEAR(report.cosine_min, 1.0, 1.0 - rows[i].cosine_least);
        if (!pairs) T_OK(report.cosine_min < report.cosine_mean);
        T_NEAR(report.score_change_max, 0.0, rows[i].change_most);
        T_OK(report.score_change_mean > 0.0);
        T_OK(report.score_change_mean < report.score_change_max);
        T_OK(report.tau_mean >= rows[i].tau_least && report.tau_mean <= 1.0);
        T_OK(report.tau_min <= report.tau_mean);
        T_OK(report.score_spread > report.score_change_mean);
        /* In int8 only what is nearly free: of a classifier's last layer. */
        bool some = rows[i].dtype == QN_MODEL_BF16 || pairs;
        T_OK(report.products >= 4);
        T_OK(some == (report.products_finer > 0) && some == (report.finer_share > 0.0));
        T_OK(report.finer_share <= (rows[i].dtype == QN_MODEL_INT8 ? 1.0 / 64 : 0.25));
        T_EQ_I(finer_products(output, rows[i].dtype), report.products_finer);
        uint64_t size = 0;
        T_CALL(qn_file_size(output, &size, &err), &err);
        T_EQ_I(size, report.output_bytes);
    }
}

/* One byte changed anywhere is found, or lies in nothing that is read. */
static void test_damage(void **state)
{
    (void)state;
    T_ROW("damage");
    qn_error err = {0};
    qn_buf file;
    qn_buf_init(&file, qn_alloc_heap());
    T_CALL(qn_file_read(nn_tiny("tiny-embed", QN_MODEL_INT8), 1 << 24, &file, &err),
           &err);
    uint8_t *image = qn_new_aligned(qn_alloc_heap(), 64, file.n);
    T_OK(image != NULL);
    memcpy(image, file.p, file.n);
    for (size_t at = 0; at < file.n; at += 97) {
        image[at] ^= 0x20;
        qn_model *m = NULL;
        qn_status st =
            qn_model_open_memory(qn_alloc_heap(), image, file.n, "x", NULL, &m, &err);
        if (st == QN_OK) T_FAIL("byte %zu changed and nobody noticed", at);
        T_OK(m == NULL);
        image[at] ^= 0x20;
    }
    for (size_t n = 0; n < file.n; n += 1009) {
        qn_model *m = NULL;
        T_ROW("cut short");
        T_OK(qn_model_open_memory(qn_alloc_heap(), image, n, "x", NULL, &m, &err) !=
             QN_OK);
    }
    qn_delete_aligned(qn_alloc_heap(), image);
    qn_buf_deinit(&file);
}

/* Tensors that checksums cover and that are wrong all the same. */
static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *name, *tensors;
        uint32_t data;
        const char *says;
    } rows[] = {
        {"no list", "{}", 4, "array"},
        {"no name", "[{\"dtype\":\"f32\",\"shape\":[1]}]", 4, "name"},
        {"unknown dtype", "[{\"name\":\"a\",\"dtype\":\"f8\",\"shape\":[1]}]", 4,
         "dtype"},
        {"no shape", "[{\"name\":\"a\",\"dtype\":\"f32\"}]", 4, "shape"},
        {"rank 3", "[{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[1,1,1]}]", 4,
         "shape"},
        {"zero", "[{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[0]}]", 0, "shape"},
        {"huge",
         "[{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[4294967296,4294967296]}]", 4,
         "shape"},
        {"short", "[{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[2]}]", 4, "size"},
        {"int8 vector", "[{\"name\":\"a\",\"dtype\":\"int8\",\"shape\":[4]}]", 4,
         "f32"},
        {"not finite", "[{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[1]}]", 5,
         "finite"},
        {"minus 128", "[{\"name\":\"a\",\"dtype\":\"int8\",\"shape\":[1,4]}]", 6,
         "-128"},
        {"no such block",
         "[{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[1]},"
         "{\"name\":\"b\",\"dtype\":\"f32\",\"shape\":[1]}]",
         4, ""},
        {"twice",
         "[{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[1]},"
         "{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[1]}]",
         4, "twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err = {0};
        qn_blockfile_writer *w = NULL;
        T_CALL(qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_QNM_MAGIC,
                                          QN_QNM_VERSION, &w, &err),
               &err);
        const uint8_t zeros[4] = {0}, nan[4] = {0, 0, 0xC0, 0x7F}, low[4] = {0, 0x80};
        const uint8_t *data = rows[i].data == 5 ? nan : rows[i].data == 6 ? low : zeros;
        size_t n = rows[i].data == 0 ? 0 : 4;
        T_CALL(qn_blockfile_put(w, QN_QNM_META, 0, "{}", 2, &err), &err);
        T_CALL(qn_blockfile_put(w, QN_QNM_VOCAB, 0, "", 0, &err), &err);
        T_CALL(qn_blockfile_put(w, QN_QNM_TENSORS, 0, rows[i].tensors,
                                strlen(rows[i].tensors), &err),
               &err);
        T_CALL(qn_blockfile_put(w, QN_QNM_DATA, 0, data, n, &err), &err);
        T_CALL(qn_blockfile_put(w, QN_QNM_SCALE, 0, zeros, 4, &err), &err);
        T_CALL(qn_blockfile_finish(w, false, &err), &err);
        uint8_t *image = qn_blockfile_writer_take(w, &n);
        qn_blockfile_writer_destroy(w);
        qn_qnm *q = NULL;
        T_OK(qn_qnm_open_memory(qn_alloc_heap(), image, n, "x", &q, &err) != QN_OK);
        if (strstr(err.text, rows[i].says) == NULL) T_FAIL("it says: %s", err.text);
        qn_delete_aligned(qn_alloc_heap(), image);
    }
}

/* Fails the nth allocation of importing, opening and running until all goes well. */
static void test_out_of_memory(void **state)
{
    (void)state;
    T_ROW("out of memory");
    char source[512];
    (void)snprintf(source, sizeof source, "%s/tests/golden/nn/tiny-rerank",
                   QN_SOURCE_DIR);
    const char *output = nn_path("memory.qnm");
    qn_import_options options = {.name = "x", .dtype = QN_MODEL_INT8};
    qn_slice docs[2] = {QN_SLICE_LIT("the mill"), QN_SLICE_LIT("water")};
    long n = 1;
    for (;; n += n < 400 ? 7 : 37) {
        qn_alloc a = {0};
        atomic_store(&a.fail_countdown, n);
        qn_error err = {0};
        qn_model *m = NULL;
        qn_rerank_doc out[2];
        qn_status st = qn_import_run(&a, source, output, &options, NULL, &err);
        if (st == QN_OK) st = qn_model_open(&a, output, NULL, &m, &err);
        if (st == QN_OK) st = qn_rerank_run(m, docs[0], docs, 2, NULL, out, NULL, &err);
        qn_model_close(m);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
        if (atomic_load(&a.fail_countdown) > 0) {
            T_CALL(st, &err);
            break;
        }
        T_EQ_I(st, QN_ENOMEM);
    }
    T_OK(n > 50);
}

int test_nn_import(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_variants),
        cmocka_unit_test(test_same_model), cmocka_unit_test(test_torch_forms),
        cmocka_unit_test(test_describe),   cmocka_unit_test(test_labels),
        cmocka_unit_test(test_report),     cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("nn import", tests, NULL, NULL);
}
