/* SPDX-License-Identifier: Apache-2.0 */
/* nn_texts -- what a model file makes of texts and pairs, for comparison with others.
 *
 *     nn_texts MODEL.qnm
 *
 * Standard input: a JSON object a line,
 *     {"text": .., "role": "query"|"document", "prompt": <a name>}   models of vectors
 *     {"query": .., "text": ..}                                      rerankers
 * Standard output: a line each, {"shape": [rows, columns], "values": [..]}; sparse models
 * one row of the whole vocabulary; rerankers their logits and, under "score", what the
 * model's activation makes of the first; {"error": ..} where one was refused. The first
 * line is {"task", "labels"}. */
#include "base/slice.h"
#include "io/json.h"
#include "nn/calls/embed.h"
#include "nn/calls/rerank.h"

#include <stdio.h>

enum { LINE_MAX_BYTES = 1 << 24 };

typedef struct answer {
    float *values;
    size_t rows, columns;
    bool scored;
    float score;
} answer;

static qn_slice text_of(const qn_json *line, const char *key)
{
    const qn_json *v = qn_json_get(line, key);
    return v != NULL && v->kind == QN_JSON_STRING ? v->string : (qn_slice){"", 0};
}

static qn_status embed(qn_model *m, const qn_json *line, qn_arena *arena, answer *out,
                       qn_error *err)
{
    const qn_model_info *info = qn_model_describe(m);
    qn_slice text = text_of(line, "text"), role = text_of(line, "role"),
             prompt = text_of(line, "prompt");
    qn_embed_options o = {.role = qn_slice_eq_str(role, "query")      ? QN_TEXT_QUERY
                                  : qn_slice_eq_str(role, "document") ? QN_TEXT_DOCUMENT
                                                                      : QN_TEXT_PLAIN};
    if (prompt.n > 0) o.prompt_name = qn_arena_strndup(arena, prompt.p, prompt.n);
    *out = (answer){.rows = 1, .columns = info->dims};
    out->values = qn_arena_array(arena, info->dims, sizeof *out->values);
    if (out->values == NULL) return qn_fail(err, QN_ENOMEM, "values");
    qn_alloc *a = qn_alloc_heap();
    if (info->task == QN_MODEL_EMBED)
        return qn_embed_run(m, &text, 1, &o, out->values, NULL, err);
    if (info->task == QN_MODEL_SPARSE) {
        qn_sparse_vector v = {0};
        const qn_sparse_options s = {.text = &o};
        qn_status st = qn_sparse_run(m, &text, 1, &s, a, &v, NULL, err);
        memset(out->values, 0, info->dims * sizeof *out->values);
        for (size_t i = 0; st == QN_OK && i < v.n; i++)
            out->values[v.terms[i].id] = v.terms[i].weight;
        qn_sparse_free(a, &v, 1);
        return st;
    }
    qn_token_vectors v = {0};
    qn_status st = qn_token_vectors_run(m, &text, 1, &o, a, &v, NULL, err);
    out->rows = v.n;
    out->values = qn_arena_array(arena, v.n * info->dims + 1, sizeof *out->values);
    if (st == QN_OK && out->values != NULL)
        memcpy(out->values, v.values, v.n * info->dims * sizeof *out->values);
    qn_token_vectors_free(a, &v, 1);
    return st;
}

static qn_status rerank(qn_model *m, const qn_json *line, qn_arena *arena, answer *out,
                        qn_error *err)
{
    const qn_model_info *info = qn_model_describe(m);
    qn_slice text = text_of(line, "text");
    qn_rerank_doc doc;
    *out = (answer){.rows = 1, .columns = info->labels, .scored = info->labels == 1};
    out->values = qn_arena_array(arena, info->labels, sizeof *out->values);
    if (out->values == NULL) return qn_fail(err, QN_ENOMEM, "values");
    const qn_rerank_options o = {.logits = out->values};
    QN_TRY(qn_rerank_run(m, text_of(line, "query"), &text, 1, &o, &doc, NULL, err));
    out->score = qn_rerank_activate(m, doc.logit);
    return QN_OK;
}

static void print(const answer *a, qn_status st, const qn_error *err)
{
    qn_buf line;
    qn_json_writer w;
    qn_buf_init(&line, qn_alloc_heap());
    qn_json_writer_init(&w, &line, false);
    qn_json_begin_object(&w);
    if (st != QN_OK) {
        qn_json_member_str(&w, "error", err->text);
    } else {
        qn_json_key(&w, "shape");
        qn_json_begin_array(&w);
        qn_json_int(&w, (int64_t)a->rows);
        qn_json_int(&w, (int64_t)a->columns);
        qn_json_end_array(&w);
        qn_json_key(&w, "values");
        qn_json_begin_array(&w);
        for (size_t i = 0; i < a->rows * a->columns; i++)
            qn_json_float(&w, a->values[i]);
        qn_json_end_array(&w);
        if (a->scored) {
            qn_json_key(&w, "score");
            qn_json_float(&w, a->score);
        }
    }
    qn_json_end_object(&w);
    (void)printf("%.*s\n", (int)line.n, line.p);
    qn_buf_deinit(&line);
}

static void run_line(qn_model *m, qn_slice text)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *line = NULL;
    qn_error err = {0};
    answer a = {0};
    qn_status st = qn_json_parse(&arena, text, &line, &err);
    if (st == QN_OK)
        st = (qn_model_describe(m)->task == QN_MODEL_RERANK ? rerank : embed)(
            m, line, &arena, &a, &err);
    print(&a, st, &err);
    qn_arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    static char line[LINE_MAX_BYTES];
    qn_error err = {0};
    qn_model *m = NULL;
    if (argc != 2) {
        (void)fprintf(stderr, "nn_texts MODEL.qnm\n");
        return 2;
    }
    if (qn_model_open(qn_alloc_heap(), argv[1], NULL, &m, &err) != QN_OK) {
        (void)fprintf(stderr, "%s: %s\n", err.file, err.text);
        return 1;
    }
    const qn_model_info *info = qn_model_describe(m);
    (void)printf("{\"task\":\"%s\",\"labels\":%u}\n", qn_model_task_name(info->task),
                 info->labels);
    while (fgets(line, sizeof line, stdin) != NULL) run_line(m, qn_slice_of(line));
    qn_model_close(m);
    return 0;
}
