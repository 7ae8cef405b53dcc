/* SPDX-License-Identifier: Apache-2.0 */
/* Folders as people have them: golden models with files added, moved and rewritten, and
 * what must come out. Numbers are those of the reference framework, or of the golden model
 * asked in another way. */
#include "test_nn.h"

#include "../qn_test.h"

#include "io/file.h"
#include "nn/calls/embed.h"
#include "nn/calls/rerank.h"
#include "nn/import/weights.h"

static const char *const settings_file = "config_sentence_transformers.json";

/* ---- folders ---------------------------------------------------------------- */

typedef struct copying {
    char from[512], to[512];
} copying;

static bool copy_one(void *ctx, const char *name, bool is_dir)
{
    const copying *c = ctx;
    copying inner;
    qn_error err = {0};
    (void)snprintf(inner.from, sizeof inner.from, "%.400s/%.100s", c->from, name);
    (void)snprintf(inner.to, sizeof inner.to, "%.400s/%.100s", c->to, name);
    if (is_dir) {
        T_CALL(qn_dir_create(inner.to, &err), &err);
        T_CALL(qn_dir_list(inner.from, copy_one, &inner, &err), &err);
        return true;
    }
    qn_buf bytes;
    qn_buf_init(&bytes, qn_alloc_heap());
    T_CALL(qn_file_read(inner.from, 1 << 24, &bytes, &err), &err);
    T_CALL(qn_file_replace(inner.to, bytes.p, bytes.n, &err), &err);
    qn_buf_deinit(&bytes);
    return true;
}

/* The golden folder `which`, copied. */
static const char *copied(const char *which)
{
    static copying c;
    qn_error err = {0};
    (void)snprintf(c.from, sizeof c.from, "%s/tests/golden/nn/%s", QN_SOURCE_DIR,
                   which);
    (void)snprintf(c.to, sizeof c.to, "%s", nn_path("copied"));
    if (qn_file_exists(c.to)) T_CALL(qn_dir_remove(c.to, &err), &err);
    T_CALL(qn_dir_create(c.to, &err), &err);
    T_CALL(qn_dir_list(c.from, copy_one, &c, &err), &err);
    return c.to;
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[700];
    qn_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    T_CALL(qn_file_replace(path, text, strlen(text), &err), &err);
}

/* NULL: it was refused; *err says why. */
static qn_model *imported(const char *folder, qn_error *err)
{
    qn_import_options options = {.name = "x"};
    const char *output = nn_path("folder.qnm");
    qn_model *m = NULL;
    *err = (qn_error){0};
    if (qn_import_run(qn_alloc_heap(), folder, output, &options, NULL, err) != QN_OK)
        return NULL;
    T_CALL(qn_model_open(qn_alloc_heap(), output, NULL, &m, err), err);
    return m;
}

static float logit_of(qn_model *m, const char *query, const char *text)
{
    qn_rerank_doc doc;
    qn_slice document = qn_slice_of(text);
    qn_error err = {0};
    T_CALL(qn_rerank_run(m, qn_slice_of(query), &document, 1, NULL, &doc, NULL, &err),
           &err);
    T_OK(doc.scored);
    return doc.logit;
}

/* ---- cross-encoders --------------------------------------------------------- */

/* What follows the logit: newer files first; names that are not PyTorch's own do not
 * count. The golden config.json says Identity. */
static void test_activation(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings;
        int activation; /* -1: refused */
    } rows[] = {
        {"none", "{}", QN_ACTIVATION_IDENTITY},
        {"sigmoid", "{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\"}",
         QN_ACTIVATION_SIGMOID},
        {"null", "{\"activation_fn\":null}", QN_ACTIVATION_IDENTITY},
        {"not trusted", "{\"activation_fn\":\"os.system\"}", QN_ACTIVATION_IDENTITY},
        {"not built in", "{\"activation_fn\":\"torch.nn.modules.activation.Tanh\"}",
         -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err;
        const char *folder = copied("tiny-rerank");
        put(folder, settings_file, rows[i].settings);
        qn_model *m = imported(folder, &err);
        if (rows[i].activation < 0) {
            T_OK(m == NULL && strstr(err.text, "activation_fn is") != NULL);
            continue;
        }
        T_EQ_I(qn_model_describe(m)->activation, rows[i].activation);
        T_EQ_I(qn_model_describe(m)->truncation, QN_TRUNCATE_LONGEST_FIRST);
        qn_model_close(m);
    }
}

/* The default prompt stands in front of the query. */
static void test_query_prompt(void **state)
{
    (void)state;
    static const struct {
        const char *name, *settings, *query;
    } rows[] = {
        {"the default",
         "{\"prompts\":{\"query\":\"water \",\"x\":\"y \"},"
         "\"default_prompt_name\":\"query\"}",
         "water mill"},
        {"no default", "{\"prompts\":{\"query\":\"water \"}}", "mill"},
        {"an empty one", "{\"prompts\":{\"q\":\"\"},\"default_prompt_name\":\"q\"}",
         "mill"},
    };
    qn_error err;
    qn_model *plain = nn_tiny_open("tiny-rerank", QN_MODEL_F32);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const char *folder = copied("tiny-rerank");
        put(folder, settings_file, rows[i].settings);
        qn_model *m = imported(folder, &err);
        if (m == NULL) T_FAIL("%s", err.text);
        T_OK(logit_of(m, "mill", "a stone turns") ==
             logit_of(plain, rows[i].query, "a stone turns"));
        qn_model_close(m);
    }
    T_ROW("a default that is none of them");
    const char *folder = copied("tiny-rerank");
    put(folder, settings_file, "{\"prompts\":{},\"default_prompt_name\":\"query\"}");
    T_OK(imported(folder, &err) == NULL);
    T_OK(strstr(err.text, "default_prompt_name is \"query\"") != NULL);
    qn_model_close(plain);
}

/* Nothing may follow the encoder of a reranker. */
static void test_rerank_modules(void **state)
{
    (void)state;
    static const char one[] = "[{\"path\":\"\",\"type\":\"a.b.Transformer\"}]";
    static const char two[] = "[{\"path\":\"\",\"type\":\"a.b.Transformer\"},"
                              "{\"path\":\"1\",\"type\":\"a.b.LogitScore\"}]";
    qn_error err;
    T_ROW("the encoder alone");
    const char *folder = copied("tiny-rerank");
    put(folder, "modules.json", one);
    qn_model *m = imported(folder, &err);
    T_OK(m != NULL);
    qn_model_close(m);
    T_ROW("another module");
    put(folder, "modules.json", two);
    T_OK(imported(folder, &err) == NULL);
    T_OK(strstr(err.text, "type is \"a.b.LogitScore\"") != NULL);
    T_ROW("shorter than the model's own limit");
    put(folder, "modules.json", one);
    put(folder, "sentence_bert_config.json", "{\"max_seq_length\": 17}");
    m = imported(folder, &err);
    T_EQ_I(qn_model_describe(m)->max_tokens, 17);
    qn_model_close(m);
}

/* Whether the model is given the tokenizer's types. Logits of the reference framework. */
static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *name, *tokenizer_config;
        double logit;
    } rows[] = {
        {"with", "{\"do_lower_case\":true}", -0.218310595},
        {"with, by name",
         "{\"model_input_names\":[\"input_ids\",\"token_type_ids\"],"
         "\"tokenizer_class\":\"TokenizersBackend\"}",
         -0.218310595},
        {"without, by name", "{\"model_input_names\":[\"input_ids\"]}", -0.430472523},
        {"without, by class", "{\"tokenizer_class\":\"TokenizersBackend\"}",
         -0.430472523},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err;
        const char *folder = copied("tiny-rerank");
        put(folder, "tokenizer_config.json", rows[i].tokenizer_config);
        qn_model *m = imported(folder, &err);
        if (m == NULL) T_FAIL("%s", err.text);
        T_NEAR(logit_of(m, "the water mill", "a stone turns"), rows[i].logit, 1e-5);
        qn_model_close(m);
    }
}

/* ---- embedding models ------------------------------------------------------- */

enum { DIMS = 32 };

static void vector_of(qn_model *m, const char *text, float *out)
{
    qn_slice s = qn_slice_of(text);
    qn_error err = {0};
    T_CALL(qn_embed_run(m, &s, 1, NULL, out, NULL, &err), &err);
}

/* The first values, as they are. */
static void test_cut_vectors(void **state)
{
    (void)state;
    float whole[DIMS], cut[DIMS];
    qn_error err;
    qn_model *plain = nn_tiny_open("tiny-embed", QN_MODEL_F32);
    vector_of(plain, "the mill turns", whole);
    static const struct {
        const char *name, *settings;
        uint32_t dims;
    } rows[] = {{"eight", "{\"truncate_dim\":8}", 8},
                {"all", "{\"truncate_dim\":32}", 32},
                {"more", "{\"truncate_dim\":99}", 32},
                {"null", "{\"truncate_dim\":null}", 32}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const char *folder = copied("tiny-embed");
        put(folder, settings_file, rows[i].settings);
        qn_model *m = imported(folder, &err);
        if (m == NULL) T_FAIL("%s", err.text);
        T_EQ_I(qn_model_describe(m)->dims, rows[i].dims);
        vector_of(m, "the mill turns", cut);
        T_EQ_I(memcmp(cut, whole, rows[i].dims * sizeof *cut), 0);
        qn_model_close(m);
    }
    qn_model_close(plain);
}

/* The encoder in a folder of its own, as older versions wrote it. */
static void test_encoder_folder(void **state)
{
    (void)state;
    static const char *const moved[] = {"config.json", "model.safetensors",
                                        "tokenizer.json", "sentence_bert_config.json"};
    static const char modules[] =
        "[{\"path\":\"%s\",\"type\":\"s.Transformer\"},"
        "{\"path\":\"1_Pooling\",\"type\":\"s.Pooling\"},"
        "{\"path\":\"2_Normalize\",\"type\":\"s.Normalize\"}]";
    char from[700], to[700], text[400];
    float want[DIMS], got[DIMS];
    qn_error err = {0};
    const char *folder = copied("tiny-embed");
    T_ROW("moved");
    (void)snprintf(to, sizeof to, "%s/0_Transformer", folder);
    T_CALL(qn_dir_create(to, &err), &err);
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
        (void)snprintf(from, sizeof from, "%s/%s", folder, moved[i]);
        (void)snprintf(to, sizeof to, "%s/0_Transformer/%s", folder, moved[i]);
        T_CALL(qn_file_rename(from, to, &err), &err);
    }
    (void)snprintf(text, sizeof text, modules, "0_Transformer");
    put(folder, "modules.json", text);
    qn_model *m = imported(folder, &err), *plain = NULL;
    if (m == NULL) T_FAIL("%s", err.text);
    plain = nn_tiny_open("tiny-embed", QN_MODEL_F32);
    vector_of(m, "the mill turns", got);
    vector_of(plain, "the mill turns", want);
    T_EQ_I(memcmp(got, want, sizeof got), 0);
    qn_model_close(plain);
    qn_model_close(m);
    T_ROW("outside of the model");
    (void)snprintf(text, sizeof text, modules, "../other");
    put(folder, "modules.json", text);
    T_OK(imported(folder, &err) == NULL);
    T_OK(strstr(err.text, "no folder of the model") != NULL);
}

/* ---- tokenizers of older files ---------------------------------------------- */

static void remove_from(const char *folder, const char *name)
{
    char path[700];
    qn_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    T_CALL(qn_file_remove(path, &err), &err);
}

/* The ids of a text, special tokens included, as numbers with blanks between them. */
static const char *ids_of(const qn_model *m, const char *text)
{
    static char out[256];
    qn_arena arena;
    qn_pieces pieces = {0};
    qn_encoding e = {0};
    qn_error err = {0};
    const qn_tokenizer *t = qn_model_tokenizer(m);
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    T_CALL(qn_tokenizer_encode(t, qn_slice_of(text), QN_TOKENIZE_SPECIALS, &arena,
                               &pieces, &err),
           &err);
    T_CALL(qn_tokenizer_join(t, &pieces, NULL, 40, QN_TRUNCATE_LONGEST_FIRST, &arena,
                             &e, &err),
           &err);
    out[0] = '\0';
    for (size_t i = 0, n = 0; i < e.n && n < sizeof out; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, i == 0 ? "%u" : " %u", e.ids[i]);
    qn_arena_deinit(&arena);
    return out;
}

/* vocab.txt, with the library's ids. */
static void test_bert_vocab(void **state)
{
    (void)state;
    static const struct {
        const char *name, *config, *ids;
    } rows[] = {
        {"as it is", "{}", "2 89 96 9 1 5 3"},
        {"cased", "{\"do_lower_case\":false}", "2 1 96 1 1 5 3"},
        {"ideographs in words", "{\"tokenize_chinese_chars\":false}", "2 89 96 1 3"},
        {"accents", "{\"strip_accents\":false}", "2 89 96 1 1 5 3"},
        {"cased without accents", "{\"do_lower_case\":false,\"strip_accents\":true}",
         "2 1 96 9 1 5 3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err;
        const char *folder = copied("tiny-rerank");
        put(folder, "tokenizer_config.json", rows[i].config);
        qn_model *m = imported(folder, &err);
        if (m == NULL) T_FAIL("%s", err.text);
        T_EQ_S(ids_of(m, "The mill \303\251\344\270\255a"), rows[i].ids);
        qn_model_close(m);
    }
}

/* vocab.json and merges.txt. */
static void test_roberta_vocab(void **state)
{
    (void)state;
    static const char vocab[] =
        "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"m\":4,\"i\":5,\"l\":6,"
        "\"mi\":7,\"ll\":8,\"mill\":9,\"\\u0120\":10,\"\\u0120mill\":11,"
        "\"<mask>\":12}";
    static const char merges[] = "#version: 0.2\nm i\nl l\r\nmi ll\n\304\240 mill\n";
    static const struct {
        const char *name, *config, *text, *ids;
    } rows[] = {
        {"words", "{}", "mill mill mil", "0 9 11 10 7 6 2"},
        {"a blank in front", "{\"add_prefix_space\":true}", "mill mill", "0 11 11 2"},
        {"the mask takes blanks", "{\"mask_token\":{\"content\":\"<mask>\"}}",
         "mill  <mask> mill", "0 9 12 11 2"},
    };
    qn_error err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const char *folder = copied("tiny-xlm-roberta");
        remove_from(folder, "tokenizer.json");
        put(folder, "vocab.json", vocab);
        put(folder, "merges.txt", merges);
        put(folder, "tokenizer_config.json", rows[i].config);
        qn_model *m = imported(folder, &err);
        if (m == NULL) T_FAIL("%s", err.text);
        T_EQ_S(ids_of(m, rows[i].text), rows[i].ids);
        qn_model_close(m);
    }
    static const struct {
        const char *name, *vocab, *merges, *says;
    } bad[] = {
        {"no object", "[]", merges, "no object"},
        {"no <s>", "{\"</s>\":0}", merges, "has no \"<s>\""},
        {"bytes", vocab, "m \377\n", "invalid UTF-8"},
        {"a merge of one", vocab, "m\n", "merges"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        T_ROW(bad[i].name);
        const char *folder = copied("tiny-xlm-roberta");
        remove_from(folder, "tokenizer.json");
        put(folder, "vocab.json", bad[i].vocab);
        put(folder, "merges.txt", bad[i].merges);
        T_OK(imported(folder, &err) == NULL);
        if (strstr(err.text, bad[i].says) == NULL) T_FAIL("it says: %s", err.text);
    }
}

/* sentence-transformers' own lower case, in front of what tokenizer.json does. */
static void test_lower_case(void **state)
{
    (void)state;
    static const struct {
        const char *name, *config, *ids;
    } rows[] = {
        {"on", "{\"do_lower_case\":true}", "2 59 3"},
        {"off", "{\"do_lower_case\":false}", "2 1 3"},
    };
    qn_error err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const char *folder = copied("tiny-xlm-roberta");
        char text[16384];
        qn_buf json;
        qn_buf_init(&json, qn_alloc_heap());
        (void)snprintf(text, sizeof text, "%s/tokenizer.json", folder);
        T_CALL(qn_file_read(text, sizeof text, &json, &err), &err);
        const char *at = strstr(json.p, "\"lowercase\":true");
        size_t cut = at == NULL ? 0 : (size_t)(at - json.p);
        T_OK(at != NULL);
        (void)snprintf(text, sizeof text, "%.*s\"lowercase\":false%s", (int)cut, json.p,
                       at + strlen("\"lowercase\":true"));
        qn_buf_deinit(&json);
        put(folder, "tokenizer.json", text);
        put(folder, "sentence_bert_config.json", rows[i].config);
        qn_model *m = imported(folder, &err);
        if (m == NULL) T_FAIL("%s", err.text);
        T_EQ_S(ids_of(m, "STONE"), rows[i].ids);
        qn_model_close(m);
    }
}

/* ---- files of weights ------------------------------------------------------- */

/* What all names of all files have in front is left off; what is a layer's own is not. */
static void test_wrappers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *folder, *tensor;
        size_t count;
    } rows[] = {{"parts, one of them of one prefix", "torch/parts", "bert.a.weight", 3},
                {"a layer", "torch/dense", "linear.weight", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_weights *w = NULL;
        qn_error err = {0};
        T_CALL(qn_weights_open(qn_alloc_heap(), copied(rows[i].folder), &w, &err),
               &err);
        T_EQ_I(qn_weights_count(w), rows[i].count);
        T_OK(qn_weights_find(w, rows[i].tensor) != NULL);
        qn_weights_close(w);
    }
}

int test_nn_folders(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activation),     cmocka_unit_test(test_query_prompt),
        cmocka_unit_test(test_rerank_modules), cmocka_unit_test(test_types),
        cmocka_unit_test(test_cut_vectors),    cmocka_unit_test(test_encoder_folder),
        cmocka_unit_test(test_wrappers),       cmocka_unit_test(test_bert_vocab),
        cmocka_unit_test(test_roberta_vocab),  cmocka_unit_test(test_lower_case),
    };
    return cmocka_run_group_tests_name("nn folders", tests, NULL, NULL);
}
