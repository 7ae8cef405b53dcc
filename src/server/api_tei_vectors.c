/* SPDX-License-Identifier: Apache-2.0 */
/* The routes of text-embeddings-inference whose vectors are not one a text: /embed_sparse
 * (weights of the vocabulary's tokens) and /embed_all (a vector for each token). */
#include "server/handlers.h"
#include "server/inference.h"
#include "server/limits.h"
#include "server/server_internal.h"

typedef struct vectors_call {
    qn_call *c;
    qn_slice model, direction, prompt, role;
    const qn_json *list;
    qn_inputs inputs;
    int64_t top_k;
    double weight_min;
    bool truncate;
    quern_embed_options o;
} vectors_call;

/* ---- which model -------------------------------------------------------------------- */

typedef struct only_model {
    qn_call *c;
    const char *task, *name;
    size_t count;
} only_model;

static bool see_model(void *ctx, const quern_model_info *info)
{
    only_model *m = ctx;
    if (strcmp(info->task, m->task) != 0) return true;
    m->name = qn_arena_strndup(m->c->arena, info->name, strlen(info->name));
    m->count++;
    return true;
}

/* The named one; the original serves a single model, so the only one of the task needs no
 * name. */
static qn_status choose_model(vectors_call *v, const char *task, qn_error *err)
{
    only_model only = {.c = v->c, .task = task};
    if (v->model.n > 0) return qn_server_model(v->c, v->model, "", &v->o.model, err);
    QN_TRY(quern_model_list(v->c->q, see_model, &only, err));
    if (only.count == 1 && only.name == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for a name");
    v->o.model = only.name;
    if (only.count == 1) return QN_OK;
    return qn_fail(err, QN_EINVAL, "[model] is required: %zu models have the task %s",
                   only.count, task);
}

/* ---- requests ----------------------------------------------------------------------- */

static const char *text_of(qn_call *c, qn_slice s)
{
    return s.n == 0 ? NULL : qn_arena_strndup(c->arena, s.p, s.n);
}

static qn_status read_call(vectors_call *v, const char *task, qn_error *err)
{
    qn_call *c = v->c;
    const qn_json *body = NULL, *least = NULL;
    v->truncate = true;
    const qn_member members[] = {
        {"inputs", QN_MEMBER_ANY, &v->list, 0, 0},
        {"truncate", QN_MEMBER_BOOL, &v->truncate, 0, 0},
        {"truncation_direction", QN_MEMBER_STRING, &v->direction, 0, 0},
        {"prompt_name", QN_MEMBER_STRING, &v->prompt, 0, 0},
        {"model", QN_MEMBER_STRING, &v->model, 0, 0},
        /* not of the original */
        {"input_type", QN_MEMBER_STRING, &v->role, 0, 0},
        {"top_k", QN_MEMBER_INT, &v->top_k, 1, 1 << 24},
        {"min_weight", QN_MEMBER_ANY, &least, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (least != NULL) {
        bool number = least->kind == QN_JSON_INT || least->kind == QN_JSON_DOUBLE;
        if (!number || !(least->number >= 0.0))
            return qn_fail(err, QN_EINVAL, "[min_weight] must be a number from 0 on");
        v->weight_min = least->number;
    }
    QN_TRY(qn_inference_inputs(c, v->list, "inputs", &v->inputs, err));
    if (v->direction.n > 0 && !qn_slice_eq_str(v->direction, "Right") &&
        !qn_slice_eq_str(v->direction, "right"))
        return qn_fail(err, QN_EUNSUPPORTED, "[truncation_direction] must be Right");
    v->o = (quern_embed_options)QUERN_EMBED_OPTIONS_INIT;
    QN_TRY(choose_model(v, task, err));
    v->o.timeout_ms = c->server->options.request_timeout_ms;
    v->o.cancel = c->request->cancelled;
    v->o.refuse_long = !v->truncate;
    v->o.ids = v->inputs.ids;
    v->o.prompt_name = text_of(c, v->prompt);
    v->o.role = text_of(c, v->role);
    return QN_OK;
}

/* The reply begins with the first text: nothing can fail after it. */
static void begin(const vectors_call *v, size_t index)
{
    if (index > 0) return;
    qn_call_json(v->c, 200);
    qn_json_begin_array(&v->c->w);
}

/* ---- replies ------------------------------------------------------------------------ */

static void write_terms(void *ctx, size_t index, const quern_term *terms, size_t n,
                        const quern_embed_item *item)
{
    const vectors_call *v = ctx;
    qn_json_writer *w = &v->c->w;
    (void)item;
    begin(v, index);
    qn_json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        qn_json_begin_object(w);
        qn_json_member_int(w, "index", terms[i].id);
        qn_json_key(w, "value");
        qn_json_float(w, terms[i].weight);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

qn_status qn_tei_embed_sparse(qn_call *c, qn_error *err)
{
    vectors_call v = {.c = c};
    QN_TRY(read_call(&v, "sparse", err));
    QN_TRY(quern_embed_sparse(c->q, &v.o, (size_t)v.top_k, (float)v.weight_min,
                              v.inputs.texts, v.inputs.count, write_terms, &v, err));
    qn_json_end_array(&c->w);
    qn_metrics_add(&c->server->metrics, QN_METRIC_EMBEDDED_TEXTS, v.inputs.count);
    return QN_OK;
}

static void write_rows(void *ctx, size_t index, const float *vectors,
                       const uint32_t *ids, size_t n, size_t dims,
                       const quern_embed_item *item)
{
    const vectors_call *v = ctx;
    (void)ids;
    (void)item;
    begin(v, index);
    qn_json_begin_array(&v->c->w);
    for (size_t i = 0; i < n; i++)
        qn_inference_write_vector(v->c, vectors + i * dims, dims);
    qn_json_end_array(&v->c->w);
}

qn_status qn_tei_embed_all(qn_call *c, qn_error *err)
{
    vectors_call v = {.c = c};
    QN_TRY(read_call(&v, "tokens", err));
    QN_TRY(quern_embed_tokens(c->q, &v.o, v.inputs.texts, v.inputs.count, write_rows,
                              &v, err));
    qn_json_end_array(&c->w);
    qn_metrics_add(&c->server->metrics, QN_METRIC_EMBEDDED_TEXTS, v.inputs.count);
    return QN_OK;
}
