/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/file/model_meta.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const task_names[] = {"embed", "rerank", "sparse", "tokens"};
enum { TASKS = sizeof task_names / sizeof *task_names };
static const char *const dtype_names[] = {"f32", "bf16", "int8"};
static const char *const pooling_names[] = {"cls", "mean"}; /* of rerank models */
static const char *const activation_names[] = {"identity", "sigmoid"};

static bool find_name(qn_slice name, const char *const *names, size_t n, int *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!qn_slice_eq_str(name, names[i])) continue;
        *out = (int)i;
        return true;
    }
    return false;
}

const char *qn_model_task_name(qn_model_task task)
{
    return task_names[task];
}

bool qn_model_task_parse(qn_slice name, qn_model_task *out)
{
    int i = 0;
    if (!find_name(name, task_names, TASKS, &i)) return false;
    *out = (qn_model_task)i;
    return true;
}

const char *qn_model_dtype_name(qn_model_dtype dtype)
{
    return dtype_names[dtype];
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

const char *qn_label_default(qn_arena *arena, uint32_t i)
{
    return qn_arena_printf(arena, "LABEL_%" PRIu32, i);
}

/* ---- writing ---------------------------------------------------------------- */

/* Only names that say something. */
static void write_labels(const qn_model_info *info, qn_json_writer *w)
{
    bool named = false;
    for (uint32_t i = 0; i < info->labels && info->label_names != NULL; i++) {
        char plain[32];
        (void)snprintf(plain, sizeof plain, "LABEL_%" PRIu32, i);
        named = named || strcmp(info->label_names[i], plain) != 0;
    }
    if (!named) return;
    qn_json_key(w, "label_names");
    qn_json_begin_array(w);
    for (uint32_t i = 0; i < info->labels; i++) qn_json_str(w, info->label_names[i]);
    qn_json_end_array(w);
}

static void write_prompts(const qn_model_info *info, qn_json_writer *w)
{
    if (info->prompt_count == 0) return;
    qn_json_key(w, "prompts");
    qn_json_begin_object(w);
    for (size_t i = 0; i < info->prompt_count; i++)
        qn_json_member_str(w, info->prompts[i].name, info->prompts[i].text);
    qn_json_end_object(w);
    if (info->default_prompt != NULL)
        qn_json_member_str(w, "default_prompt", info->default_prompt);
}

static void write_multi(const qn_multi_config *c, qn_json_writer *w)
{
    qn_json_key(w, "tokens");
    qn_json_begin_object(w);
    qn_json_member_int(w, "query_tokens", c->query_tokens);
    qn_json_member_int(w, "document_tokens", c->document_tokens);
    qn_json_member_int(w, "expand_to", c->expand_to);
    qn_json_member_int(w, "expand_id", c->expand_id);
    qn_json_member_bool(w, "expand_seen", c->expand_seen);
    qn_json_member_bool(w, "expand_exact", c->expand_exact);
    qn_json_member_bool(w, "skip_query", c->skip_query);
    qn_json_member_bool(w, "skip_document", c->skip_document);
    qn_json_key(w, "skip");
    qn_json_begin_array(w);
    for (uint32_t i = 0; i < c->skip_count; i++) qn_json_int(w, c->skip[i]);
    qn_json_end_array(w);
    qn_json_end_object(w);
}

static void write_vectors(const qn_model_meta *meta, qn_json_writer *w)
{
    qn_model_task task = meta->info.task;
    if (task == QN_MODEL_SPARSE)
        qn_lm_meta_write(&meta->lm, w);
    else
        qn_tail_meta_write(&meta->tail, w);
    if (task != QN_MODEL_SPARSE)
        qn_json_member_bool(w, "normalize", meta->info.normalize);
    if (task == QN_MODEL_TOKENS) write_multi(&meta->multi, w);
    write_prompts(&meta->info, w);
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
    qn_encoder_meta_write(&meta->encoder, w);
    qn_json_member_str(w, "tokenizer", qn_tokenizer_form_name(meta->tokenizer));
    if (meta->untyped) qn_json_member_bool(w, "untyped", true);
    qn_json_member_int(w, "max_tokens", info->max_tokens);
    if (info->task != QN_MODEL_RERANK) write_vectors(meta, w);
    if (info->task == QN_MODEL_RERANK) {
        qn_head_meta_write(&meta->head, w);
        write_labels(info, w);
        if (info->pooling == QN_POOL_MEAN)
            qn_json_member_str(w, "pooling", pooling_names[info->pooling]);
        qn_json_member_str(w, "activation", activation_names[info->activation]);
        if (info->truncation_recorded)
            qn_json_member_str(w, "truncation", qn_truncation_name(info->truncation));
        write_prompts(info, w);
    }
    qn_json_member_int(w, "parameters", (int64_t)info->parameters);
    qn_json_member_str(w, "licence", info->licence);
    qn_json_member_str(w, "origin", info->origin);
    qn_json_member_str(w, "source_hash", info->source_hash);
    qn_json_end_object(w);
}

/* ---- reading ---------------------------------------------------------------- */

static qn_tokenizer_form read_tokenizer(qn_meta_reader *r)
{
    qn_tokenizer_form form = QN_TOKENIZER_VOCAB;
    const qn_json *v = qn_meta_need(r, "tokenizer", QN_JSON_STRING);
    if (v != NULL && !qn_tokenizer_form_parse(v->string, &form))
        qn_meta_unsupported(r, "tokenizer", v);
    return form;
}

static void read_prompts(qn_meta_reader *r, qn_model_info *info)
{
    const qn_json *all = qn_meta_find(r, "prompts"), *outer = r->object;
    if (all == NULL) return;
    qn_prompt *list = NULL;
    if (all->kind == QN_JSON_OBJECT && all->count <= QN_PROMPTS_MAX)
        list = qn_arena_array(r->arena, all->count + 1, sizeof *list);
    if (list == NULL) {
        qn_meta_unsupported(r, "prompts", all);
        return;
    }
    info->prompts = list;
    r->object = all;
    for (const qn_json *it = qn_json_items(all); it != NULL && r->st == QN_OK;
         it = it->next) {
        qn_prompt *p = &list[info->prompt_count++];
        p->name = qn_arena_strndup(r->arena, it->key.p, it->key.n);
        if (p->name == NULL) r->st = qn_fail(r->err, QN_ENOMEM, "model description");
        p->text = p->name == NULL ? "" : qn_meta_string(r, p->name);
        if (strlen(p->text) > QN_PROMPT_BYTES_MAX) qn_meta_out_of_range(r, "prompts");
    }
    r->object = outer;
    if (qn_meta_find(r, "default_prompt") != NULL)
        info->default_prompt = qn_meta_string(r, "default_prompt");
}

static void read_labels(qn_meta_reader *r, qn_model_info *info)
{
    const qn_json *list = qn_meta_find(r, "label_names");
    const char **names = NULL;
    if (r->st != QN_OK) return;
    if (list != NULL && (list->kind != QN_JSON_ARRAY || list->count != info->labels)) {
        qn_meta_out_of_range(r, "label_names");
        return;
    }
    names = qn_arena_array(r->arena, info->labels, sizeof *names);
    if (names == NULL) r->st = qn_fail(r->err, QN_ENOMEM, "model description");
    const qn_json *it = list == NULL ? NULL : qn_json_items(list);
    for (uint32_t i = 0; r->st == QN_OK && i < info->labels; i++) {
        if (it != NULL &&
            (it->kind != QN_JSON_STRING || it->string.n > QN_LABEL_BYTES_MAX)) {
            qn_meta_unsupported(r, "label_names", it);
            return;
        }
        names[i] = it == NULL ? qn_label_default(r->arena, i)
                              : qn_arena_strndup(r->arena, it->string.p, it->string.n);
        if (names[i] == NULL) r->st = qn_fail(r->err, QN_ENOMEM, "model description");
        if (it != NULL) it = it->next;
    }
    info->label_names = names;
}

static void read_rerank(qn_meta_reader *r, qn_model_meta *meta)
{
    qn_model_info *info = &meta->info;
    const qn_encoder_config *c = &meta->encoder;
    qn_head_meta_read(r, c, &meta->head);
    info->labels = meta->head.labels;
    read_labels(r, info);
    /* The first row, where nothing else is said. */
    if (qn_meta_find(r, "pooling") != NULL)
        info->pooling = (qn_pooling)qn_meta_name(r, "pooling", pooling_names, 2);
    info->activation =
        (qn_activation)qn_meta_name(r, "activation", activation_names, 2);
    info->truncation = QN_TRUNCATE_BALANCED;
    const qn_json *truncation = qn_meta_find(r, "truncation");
    if (truncation != NULL) {
        info->truncation_recorded = true;
        if (truncation->kind != QN_JSON_STRING ||
            !qn_truncation_parse(truncation->string, &info->truncation))
            qn_meta_unsupported(r, "truncation", truncation);
    }
    read_prompts(r, info);
    /* A BERT with one type cannot tell the two texts apart, and was not trained so. */
    if (r->st == QN_OK && c->family == QN_FAMILY_BERT && c->types < 2 && !meta->untyped)
        r->st = qn_fail(r->err, QN_EMODEL,
                        "description: pairs need \"type_vocab_size\" 2 or more");
}

static void read_skip(qn_meta_reader *r, qn_multi_config *c)
{
    const qn_json *list = qn_meta_need(r, "skip", QN_JSON_ARRAY);
    if (list == NULL) return;
    if (list->count > QN_SKIP_IDS_MAX) {
        qn_meta_out_of_range(r, "skip");
        return;
    }
    c->skip = qn_arena_array(r->arena, list->count + 1, sizeof *c->skip);
    if (c->skip == NULL) {
        r->st = qn_fail(r->err, QN_ENOMEM, "model description");
        return;
    }
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        if (it->kind != QN_JSON_INT || it->integer < 0 || it->integer > UINT32_MAX)
            qn_meta_unsupported(r, "skip", it);
        else
            c->skip[c->skip_count++] = (uint32_t)it->integer;
    }
}

static void read_multi(qn_meta_reader *r, uint32_t max_tokens, bool relative,
                       qn_multi_config *c)
{
    const qn_json *outer = r->object,
                  *inner = qn_meta_need(r, "tokens", QN_JSON_OBJECT);
    if (inner == NULL) return;
    r->object = inner;
    c->query_tokens = qn_meta_u32(r, "query_tokens");
    c->document_tokens = qn_meta_u32(r, "document_tokens");
    c->expand_to = qn_meta_u32(r, "expand_to");
    c->expand_id = qn_meta_u32(r, "expand_id");
    c->expand_seen = qn_meta_bool(r, "expand_seen");
    c->expand_exact = qn_meta_bool(r, "expand_exact");
    c->skip_query = qn_meta_bool(r, "skip_query");
    c->skip_document = qn_meta_bool(r, "skip_document");
    read_skip(r, c);
    if (r->st == QN_OK && c->expand_to > max_tokens)
        qn_meta_out_of_range(r, "expand_to");
    /* Attention with relative positions knows no tokens that are not seen. */
    if (r->st == QN_OK && relative && c->expand_to > 0 && !c->expand_seen)
        qn_meta_out_of_range(r, "expand_seen");
    r->object = outer;
}

static void read_vectors(qn_meta_reader *r, qn_model_meta *meta)
{
    qn_model_info *info = &meta->info;
    if (info->task == QN_MODEL_SPARSE) {
        qn_lm_meta_read(r, &meta->encoder, &meta->lm);
    } else {
        bool pools = info->task == QN_MODEL_EMBED;
        qn_tail_meta_read(r, pools, meta->encoder.hidden, &meta->tail);
        info->normalize = qn_meta_bool(r, "normalize");
        info->poolings = meta->tail.poolings;
        if (info->poolings > 0) info->pooling = meta->tail.pooling[0];
    }
    if (info->task == QN_MODEL_TOKENS)
        read_multi(r, info->max_tokens, meta->encoder.relative, &meta->multi);
    read_prompts(r, info);
}

qn_status qn_model_meta_read(const qn_json *json, qn_arena *arena, qn_model_meta *out,
                             qn_error *err)
{
    qn_meta_reader reading = {.object = json, .arena = arena, .err = err};
    qn_meta_reader *r = &reading;
    *out = (qn_model_meta){0};
    qn_model_info *info = &out->info;
    info->name = qn_meta_string(r, "name");
    info->task = (qn_model_task)qn_meta_name(r, "task", task_names, TASKS);
    info->dtype = (qn_model_dtype)qn_meta_name(r, "dtype", dtype_names, 3);
    qn_encoder_meta_read(r, &out->encoder);
    info->architecture = qn_family_name(out->encoder.family);
    out->tokenizer = read_tokenizer(r);
    if (qn_meta_find(r, "untyped") != NULL) out->untyped = qn_meta_bool(r, "untyped");
    info->max_tokens = qn_meta_u32(r, "max_tokens");
    if (info->task == QN_MODEL_RERANK) {
        read_rerank(r, out);
    } else {
        read_vectors(r, out);
    }
    info->licence = qn_meta_string(r, "licence");
    info->origin = qn_meta_string(r, "origin");
    info->source_hash = qn_meta_string(r, "source_hash");
    const qn_json *parameters = qn_meta_need(r, "parameters", QN_JSON_INT);
    if (r->st != QN_OK) return r->st;

    info->parameters = (uint64_t)parameters->integer;
    info->layers = out->encoder.layers;
    info->hidden = out->encoder.hidden;
    info->heads = out->encoder.heads;
    info->vocab = out->encoder.vocab;
    info->dims = info->task == QN_MODEL_RERANK   ? 1
                 : info->task == QN_MODEL_SPARSE ? info->vocab
                                                 : qn_tail_dims(&out->tail);
    if (!qn_model_name_ok(qn_slice_of(info->name)))
        return qn_fail(err, QN_EMODEL, "description: \"name\" is no model name");
    /* Three special tokens and one of each text is the least that means anything. */
    uint32_t longest = qn_encoder_longest(&out->encoder);
    if (info->max_tokens < 5 || info->max_tokens > longest)
        return qn_fail(err, QN_EMODEL, "description: \"max_tokens\" is not in 5..%u",
                       longest);
    return QN_OK;
}
