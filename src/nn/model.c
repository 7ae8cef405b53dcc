/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/nn_internal.h"

#include <xxhash.h>

enum { ARENA_LIMIT = 1024 * 1024 };

/* Adds the file to a message that names only a key of the description. */
static qn_status name_file(const qn_model *m, qn_status st, qn_error *err)
{
    if (st != QN_OK && err != NULL && err->file[0] == '\0') {
        qn_error inner = *err;
        return qn_fail_file(err, st, qn_qnm_name(m->file), QN_AT_NONE, "%s",
                            inner.text);
    }
    return st;
}

/* Whether the tokenizer's types of token have rows in the model's table. */
static qn_status check_types(const qn_model *m, qn_arena *arena, qn_error *err)
{
    qn_pieces pieces = {0};
    qn_encoding e = {0};
    bool pair = m->info.task == QN_MODEL_RERANK;
    QN_TRY(qn_tokenizer_encode(m->tokenizer, QN_SLICE_LIT("a"), QN_TOKENIZE_PLAIN,
                               arena, &pieces, err));
    QN_TRY(qn_tokenizer_join(m->tokenizer, &pieces, pair ? &pieces : NULL,
                             m->info.max_tokens, QN_TRUNCATE_LONGEST_FIRST, arena, &e,
                             err));
    for (size_t i = 0; i < e.n; i++)
        if (e.types[i] >= m->config.types)
            return qn_fail(err, QN_EMODEL,
                           "the tokenizer has tokens of type %u, type_vocab_size is %u",
                           e.types[i], m->config.types);
    return QN_OK;
}

static qn_status open_tokenizer(qn_model *m, qn_tokenizer_form form, qn_error *err)
{
    QN_TRY(
        qn_tokenizer_create(m->alloc, form, qn_qnm_vocab(m->file), &m->tokenizer, err));
    size_t pieces = qn_tokenizer_vocab_size(m->tokenizer);
    if (pieces > m->config.vocab)
        return qn_fail(err, QN_EMODEL,
                       "%zu pieces in the vocabulary, %u rows of embeddings", pieces,
                       m->config.vocab);
    if (!qn_encoder_reads_types(&m->config) || m->untyped) return QN_OK;
    qn_arena arena;
    qn_arena_init(&arena, m->alloc, ARENA_LIMIT);
    qn_status st = check_types(m, &arena, err);
    qn_arena_deinit(&arena);
    return st;
}

/* Whether the first row of a text is all that is looked at. */
static bool first_only(const qn_model_meta *meta)
{
    if (meta->info.task == QN_MODEL_RERANK) return meta->info.pooling == QN_POOL_CLS;
    const qn_tail_config *t = &meta->tail;
    return meta->info.task == QN_MODEL_EMBED && t->poolings == 1 &&
           t->pooling[0] == QN_POOL_CLS && !t->skip_prompt;
}

/* Finds the prompts that are one token: "[Q] ", "[unused0]". */
static qn_status find_markers(qn_model *m, qn_error *err)
{
    m->markers =
        qn_arena_array(&m->arena, m->info.prompt_count + 1, sizeof *m->markers);
    if (m->markers == NULL) return qn_fail(err, QN_ENOMEM, "model");
    for (size_t i = 0; i < m->info.prompt_count; i++) {
        qn_slice text = qn_slice_of(m->info.prompts[i].text);
        qn_slice bare = qn_slice_trim(text);
        if (bare.n < 3 || bare.p[0] != '[' || bare.p[bare.n - 1] != ']') continue;
        for (uint32_t id = 0; id < qn_tokenizer_vocab_size(m->tokenizer); id++) {
            qn_slice piece = qn_tokenizer_piece(m->tokenizer, id);
            if (qn_slice_eq(piece, text) || qn_slice_eq(piece, bare))
                m->markers[i] = (qn_nn_marker){true, id};
        }
    }
    return QN_OK;
}

/* What follows the encoder. */
static qn_status open_end(qn_model *m, const qn_weight_source *from,
                          const qn_model_meta *meta, qn_error *err)
{
    switch (m->info.task) {
    case QN_MODEL_RERANK:
        return qn_head_open(from, &meta->head, &m->head, err);
    case QN_MODEL_SPARSE:
        return qn_lm_head_open(from, &meta->lm, &m->lm, err);
    case QN_MODEL_EMBED:
    case QN_MODEL_TOKENS:
        break;
    }
    return qn_tail_open(from, &meta->tail, &m->tail, err);
}

static void close_weights(qn_model *m)
{
    qn_head_close(&m->head);
    qn_tail_close(&m->tail);
    qn_lm_head_close(&m->lm);
    qn_encoder_close(m->encoder);
    m->encoder = NULL;
    qn_packed_copy_close(m->copy);
    m->copy = NULL;
}

/* Once, over what copy there is. A file is verified whole unless a copy made of the same
 * content stands for its matrices. */
static qn_status try_weights(qn_model *m, const qn_model_meta *meta, qn_error *err)
{
    QN_TRY(
        qn_packed_copy_open(m->alloc, &m->packed, m->kernels, m->file, &m->copy, err));
    if (!qn_packed_copy_is_mapped(m->copy)) QN_TRY(qn_qnm_read_all(m->file, err));
    const qn_weight_source from = {m->alloc, m->kernels, m->file, m->copy};
    QN_TRY(qn_encoder_open_packed(&from, &m->config, m->first_only, &m->encoder, err));
    return open_end(m, &from, meta, err);
}

/* Again when a copy was written, or one that did not fit removed. */
static qn_status open_weights(qn_model *m, const qn_model_meta *meta, qn_error *err)
{
    enum { ROUNDS = 3 }; /* one that does not fit; a new one; that one mapped */
    for (int i = 0;; i++) {
        QN_TRY(try_weights(m, meta, err));
        if (!qn_packed_copy_settle(m->copy)) return QN_OK;
        close_weights(m);
        if (i + 1 == ROUNDS) m->packed.dir = NULL;
    }
}

static qn_status open_parts(qn_model *m, qn_error *err)
{
    qn_model_meta meta;
    QN_TRY(qn_model_meta_read(qn_qnm_meta(m->file), &m->arena, &meta, err));
    m->info = meta.info;
    m->config = meta.encoder;
    m->untyped = meta.untyped;
    QN_TRY(open_tokenizer(m, meta.tokenizer, err));
    m->first_only = first_only(&meta);
    m->multi = meta.multi;
    if (m->multi.expand_id >= m->config.vocab)
        return qn_fail(err, QN_EMODEL, "description: \"expand_id\" is no token");
    QN_TRY(find_markers(m, err));
    QN_TRY(open_weights(m, &meta, err));
    m->info.file_bytes = qn_qnm_size(m->file);
    m->info.digest = qn_qnm_digest(m->file);
    qn_slice vocab = qn_qnm_vocab(m->file);
    m->info.tokenizer_digest = XXH3_64bits_withSeed(vocab.p, vocab.n, meta.tokenizer);
    m->info.memory_bytes = qn_encoder_memory(m->encoder) + qn_head_memory(&m->head) +
                           qn_tail_memory(&m->tail) + qn_lm_head_memory(&m->lm);
    m->info.packed_bytes = qn_packed_copy_bytes(m->copy);
    m->info.backend = qn_encoder_backend(m->encoder);
    return QN_OK;
}

/* Takes the file over, also when it fails. */
static qn_status open_file(qn_alloc *a, qn_qnm *file, const qn_model_options *options,
                           qn_model **out, qn_error *err)
{
    qn_model *m = qn_new0(a, sizeof *m);
    if (m == NULL) {
        qn_qnm_close(file);
        return qn_fail(err, QN_ENOMEM, "model");
    }
    m->alloc = a;
    m->file = file;
    m->kernels = options != NULL && options->kernels != NULL ? options->kernels
                                                             : qn_kernels_best();
    if (options != NULL)
        m->packed = (qn_packed_place){options->packed_dir, options->packed_read_only};
    (void)pthread_mutex_init(&m->lock, NULL);
    (void)pthread_cond_init(&m->unused, NULL);
    qn_arena_init(&m->arena, a, ARENA_LIMIT);
    qn_status st = name_file(m, open_parts(m, err), err);
    if (st != QN_OK) {
        qn_model_close(m);
        return st;
    }
    *out = m;
    return QN_OK;
}

qn_status qn_model_open(qn_alloc *a, const char *path, const qn_model_options *options,
                        qn_model **out, qn_error *err)
{
    *out = NULL;
    qn_qnm *file = NULL;
    bool packed = options != NULL && options->packed_dir != NULL;
    QN_TRY((packed ? qn_qnm_open_unread : qn_qnm_open)(a, path, &file, err));
    return open_file(a, file, options, out, err);
}

qn_status qn_model_open_memory(qn_alloc *a, const uint8_t *bytes, size_t n,
                               const char *name, const qn_model_options *options,
                               qn_model **out, qn_error *err)
{
    *out = NULL;
    qn_qnm *file = NULL;
    QN_TRY(qn_qnm_open_memory(a, bytes, n, name, &file, err));
    return open_file(a, file, options, out, err);
}

void qn_model_close(qn_model *m)
{
    if (m == NULL) return;
    /* Batches of calls that are gone may still run, up to their next look. */
    (void)pthread_mutex_lock(&m->lock);
    while (m->in_use > 0) (void)pthread_cond_wait(&m->unused, &m->lock);
    (void)pthread_mutex_unlock(&m->lock);
    while (m->idle != NULL) {
        qn_nn_scratch *s = m->idle;
        m->idle = s->next;
        qn_nn__scratch_destroy(m, s);
    }
    (void)pthread_mutex_destroy(&m->lock);
    (void)pthread_cond_destroy(&m->unused);
    close_weights(m);
    qn_tokenizer_destroy(m->tokenizer);
    qn_qnm_close(m->file);
    qn_arena_deinit(&m->arena);
    qn_delete(m->alloc, m);
}

const qn_model_info *qn_model_describe(const qn_model *model)
{
    return &model->info;
}

void qn_model_speed(const qn_model *model, int64_t token_ns[QN_MODEL_SPEEDS])
{
    _Static_assert((int)QN_MODEL_SPEEDS == (int)QN_SPEED_CLASSES, "one for each class");
    for (size_t i = 0; i < QN_MODEL_SPEEDS; i++)
        token_ns[i] = atomic_load(&model->speed.token_ps[i]) / 1000;
}

const qn_tokenizer *qn_model_tokenizer(const qn_model *model)
{
    return model->tokenizer;
}

const qn_prompt *qn_model_prompt(const qn_model_info *info, qn_slice name)
{
    for (size_t i = 0; i < info->prompt_count; i++)
        if (qn_slice_eq_str(name, info->prompts[i].name)) return &info->prompts[i];
    return NULL;
}
