/* SPDX-License-Identifier: Apache-2.0 */
/* A model folder in which one file is anything: refused with a reason, or a description
 * and a vocabulary that a tokenizer takes. The first byte says which file. */
#include "engine_target.h"
#include "nn/import/import_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct {
    const char *name, *sound;
} files[] = {
    {"config.json",
     "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"hidden_size\":8,"
     "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"intermediate_size\":16,"
     "\"hidden_act\":\"gelu\",\"max_position_embeddings\":16,\"type_vocab_size\":2,"
     "\"vocab_size\":8,\"layer_norm_eps\":1e-12,\"pad_token_id\":0}"},
    {"tokenizer_config.json", "{\"do_lower_case\":true,\"model_max_length\":16}"},
    {"tokenizer.json",
     "{\"added_tokens\":[{\"id\":0,\"content\":\"[PAD]\"}],\"normalizer\":{\"type\":"
     "\"BertNormalizer\",\"clean_text\":true,\"lowercase\":true},\"pre_tokenizer\":"
     "{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":"
     "\"[UNK]\",\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":"
     "4,"
     "\"mill\":5,\"stone\":6,\"##s\":7}}}"},
    {"modules.json",
     "[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":"
     "\"sentence_transformers.models.Transformer\"},{\"idx\":1,\"name\":\"1\",\"path\":"
     "\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}]"},
    {"1_Pooling/config.json",
     "{\"word_embedding_dimension\":8,\"pooling_mode_cls_token\":false,"
     "\"pooling_mode_mean_tokens\":true}"},
    {"sentence_bert_config.json", "{\"max_seq_length\":16,\"do_lower_case\":false}"},
    {"vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nmill\nstone\n##s\n"},
    {"config_sentence_transformers.json",
     "{\"prompts\":{\"query\":\"ask: "
     "\",\"document\":\"\"},\"default_prompt_name\":null,"
     "\"similarity_fn_name\":\"cosine\"}"},
};
enum { FILES = sizeof files / sizeof *files, TOKENIZER = 2, VOCAB = 6 };

static void put(size_t i, const char *bytes, size_t n)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", target_folder(), files[i].name);
    FILE *f = fopen(path, "wb");
    qn_assert(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

static void put_sound(size_t i)
{
    put(i, files[i].sound, strlen(files[i].sound));
}

/* All files sound but the one; without tokenizer.json when vocab.txt is meant. */
static void fill(size_t which, const char *bytes, size_t n)
{
    static size_t last = SIZE_MAX;
    char path[160];
    if (last == SIZE_MAX) {
        (void)snprintf(path, sizeof path, "%s/1_Pooling", target_folder());
        qn_assert(qn_dir_create(path, NULL) == QN_OK);
        for (size_t i = 0; i < FILES; i++) put_sound(i);
    } else {
        put_sound(last);
        if (last == VOCAB) put_sound(TOKENIZER);
    }
    put(which, bytes, n);
    (void)snprintf(path, sizeof path, "%s/tokenizer.json", target_folder());
    if (which == VOCAB) qn_assert(unlink(path) == 0);
    last = which;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    fill(bytes[0] % FILES, (const char *)bytes + 1, n - 1);
    const qn_import_options options = {.dtype = QN_MODEL_F32};
    qn_import im = {
        .alloc = qn_alloc_heap(), .folder = target_folder(), .options = &options};
    qn_arena_init(&im.arena, im.alloc, 0);
    qn_buf_init(&im.vocab, im.alloc);
    qn_error err = {0};
    qn_status st = qn_import__config(&im, &err);
    if (st == QN_OK) st = qn_import__vocab(&im, &err);
    if (st == QN_OK) {
        qn_tokenizer *t = NULL;
        st = qn_tokenizer_create(im.alloc, im.meta.tokenizer, qn_buf_slice(&im.vocab),
                                 &t, &err);
        if (st == QN_OK) {
            qn_pieces pieces = {0};
            st = qn_tokenizer_encode(t, QN_SLICE_LIT("Mill stones"), QN_TOKENIZE_PLAIN,
                                     &im.arena, &pieces, &err);
        }
        qn_tokenizer_destroy(t);
    }
    if (st != QN_OK) qn_assert(err.text[0] != '\0');
    qn_buf_deinit(&im.vocab);
    qn_arena_deinit(&im.arena);
    return 0;
}
