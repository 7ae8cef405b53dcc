/* SPDX-License-Identifier: Apache-2.0 */
/* PUT, GET and DELETE _inference/{task}/{id}: names for models with settings, as
 * Elasticsearch's service `elasticsearch` has them. What is kept is the JSON that GET shows. A
 * model answers under its own name as well, without being put. */
#include "server/es/api_es_endpoints.h"

#include "base/log.h"
#include "server/handlers.h"
#include "server/server_internal.h"

#include <inttypes.h>

enum { THREADS_MAX = 32, ALLOCATIONS_MAX = 1024 };

typedef struct endpoint {
    const char *id;
    qn_slice task, service, model, strategy;
    const qn_json *settings, *task_settings, *chunking;
    int64_t threads, allocations, chunks; /* 0: not given */
    const qn_json *adaptive;
    bool follows_load;
    int64_t least, most;
    bool return_documents, return_documents_given;
} endpoint;

/* ---- tasks -------------------------------------------------------------------------- */

static const struct {
    const char *task, *of_model; /* quern_model_info.task */
} tasks[] = {
    {"rerank", "rerank"}, {"text_embedding", "embed"}, {"sparse_embedding", "sparse"}};
enum { TASKS = sizeof tasks / sizeof *tasks };

static const char *task_of_model(const char *of_model)
{
    for (size_t i = 0; i < TASKS; i++)
        if (strcmp(tasks[i].of_model, of_model) == 0) return tasks[i].task;
    return NULL;
}

static bool is_task(qn_slice name)
{
    for (size_t i = 0; i < TASKS; i++)
        if (qn_slice_eq_str(name, tasks[i].task)) return true;
    return false;
}

/* ---- reading ------------------------------------------------------------------------ */

static qn_status read_adaptive(qn_call *c, endpoint *e, qn_error *err)
{
    const qn_member members[] = {
        {"enabled", QN_MEMBER_BOOL, &e->follows_load, 0, 0},
        {"min_number_of_allocations", QN_MEMBER_INT, &e->least, 0, ALLOCATIONS_MAX},
        {"max_number_of_allocations", QN_MEMBER_INT, &e->most, 1, ALLOCATIONS_MAX},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    if (e->adaptive == NULL) return QN_OK;
    QN_TRY(qn_call_members(e->adaptive, members, c->request->body, err));
    if (e->most > 0 && e->least > e->most)
        return qn_fail(err, QN_EINVAL,
                       "[min_number_of_allocations] is greater than "
                       "[max_number_of_allocations]");
    if (e->follows_load && e->allocations > 0)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: [number_of_allocations] cannot be set if "
                       "adaptive allocations is enabled;");
    return QN_OK;
}

/* What an update may change, or all of it. */
static qn_status read_service_settings(qn_call *c, endpoint *e, bool update,
                                       qn_error *err)
{
    const qn_member members[] = {
        {"model_id", QN_MEMBER_STRING, &e->model, 0, 0},
        {"num_threads", QN_MEMBER_INT, &e->threads, 1, THREADS_MAX},
        {"num_allocations", QN_MEMBER_INT, &e->allocations, 1, ALLOCATIONS_MAX},
        {"adaptive_allocations", QN_MEMBER_ANY, &e->adaptive, 0, 0},
        {"long_document_strategy", QN_MEMBER_STRING, &e->strategy, 0, 0},
        {"max_chunks_per_doc", QN_MEMBER_INT, &e->chunks, 1, UINT32_MAX},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    const qn_member of_update[] = {
        {"num_allocations", QN_MEMBER_INT, &e->allocations, 1, ALLOCATIONS_MAX},
        {"adaptive_allocations", QN_MEMBER_ANY, &e->adaptive, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    if (e->settings == NULL || e->settings->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: [service_settings] does not contain the "
                       "required setting [model_id];");
    QN_TRY(qn_call_members(e->settings, update ? of_update : members, c->request->body,
                           err));
    if (!update && e->model.n == 0)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: [service_settings] does not contain the "
                       "required setting [model_id];");
    if (!update && e->threads == 0)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: [service_settings] does not contain the "
                       "required setting [num_threads];");
    if ((e->threads & (e->threads - 1)) != 0)
        return qn_fail(err, QN_EINVAL, "[num_threads] must be a power of 2");
    if (e->allocations == 0 && e->adaptive == NULL)
        return qn_fail(
            err, QN_EINVAL,
            "Validation Failed: 1: [service_settings] does not contain one of "
            "the required settings [num_allocations, adaptive_allocations];");
    bool chunk = qn_slice_eq_str(e->strategy, "chunk");
    if (e->strategy.n > 0 && !chunk && !qn_slice_eq_str(e->strategy, "truncate"))
        return qn_fail(err, QN_EINVAL,
                       "[long_document_strategy] must be truncate or chunk");
    if (e->chunks > 0 && !chunk)
        return qn_fail(err, QN_EINVAL,
                       "The [max_chunks_per_doc] setting requires "
                       "[long_document_strategy] to be [chunk]");
    return read_adaptive(c, e, err);
}

static qn_status read_task_settings(qn_call *c, endpoint *e, qn_error *err)
{
    const qn_member members[] = {
        {"return_documents", QN_MEMBER_BOOL, &e->return_documents, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    e->return_documents = true;
    if (e->task_settings == NULL) return QN_OK;
    if (!qn_slice_eq_str(e->task, "rerank"))
        return e->task_settings->count == 0
                   ? QN_OK
                   : qn_fail(err, QN_EINVAL,
                             "Task settings contain unknown entries [%.*s]",
                             QN_SLICE_ARG(e->task_settings->first->key));
    return qn_call_members(e->task_settings, members, c->request->body, err);
}

/* How texts of semantic_text fields are cut when documents are written. Checked, kept and
 * shown; a request for vectors never looks at them, neither here nor in Elasticsearch. */
static qn_status read_chunking(qn_call *c, const endpoint *e, qn_error *err)
{
    static const char *const strategies[] = {"sentence", "word", "recursive", "none"};
    qn_slice strategy = {NULL, 0}, group = {"", 0};
    int64_t size = 0, overlap = 0, sentences = 0;
    const qn_json *separators = NULL;
    const qn_member members[] = {
        {"strategy", QN_MEMBER_STRING, &strategy, 0, 0},
        {"max_chunk_size", QN_MEMBER_INT, &size, 10, 100000},
        {"overlap", QN_MEMBER_INT, &overlap, 0, 100000},
        {"sentence_overlap", QN_MEMBER_INT, &sentences, 0, 1},
        {"separators", QN_MEMBER_ANY, &separators, 0, 0},
        {"separator_group", QN_MEMBER_STRING, &group, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    if (e->chunking == NULL) return QN_OK;
    if (qn_slice_eq_str(e->task, "rerank"))
        return qn_fail(
            err, QN_EINVAL,
            "[chunking_settings] cannot be specified for task type [rerank]");
    QN_TRY(qn_call_members(e->chunking, members, c->request->body, err));
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++)
        if (strategy.p != NULL && qn_slice_eq_str(strategy, strategies[i]))
            return QN_OK;
    return qn_fail(
        err, QN_EINVAL,
        "[chunking_settings] [strategy] must be sentence, word, recursive or "
        "none");
}

static qn_status check_service(const endpoint *e, qn_error *err)
{
    if (e->service.n == 0)
        return qn_fail(err, QN_EINVAL, "Inference endpoint is missing a service");
    if (qn_slice_eq_str(e->service, "elasticsearch") ||
        qn_slice_eq_str(e->service, "elser"))
        return QN_OK;
    return qn_fail(err, QN_EINVAL,
                   "Unknown service [%.*s]: models run here, under the service "
                   "[elasticsearch]",
                   e->service.n > 100 ? 100 : (int)e->service.n, e->service.p);
}

/* The model is there, does the task, and no model is called like the endpoint. */
static qn_status check_model(qn_call *c, const endpoint *e, const char **model,
                             qn_error *err)
{
    quern_model_info info;
    qn_error ignored;
    if (quern_model_info_get(c->q, e->id, &info, &ignored) == QN_OK)
        return qn_fail(err, QN_EINVAL,
                       "Inference endpoint IDs must be unique. Requested inference "
                       "endpoint ID [%s] matches existing trained model ID(s) but must "
                       "not.",
                       e->id);
    QN_TRY(qn_server_model(c, e->model, "", model, err));
    QN_TRY(quern_model_info_get(c->q, *model, &info, err));
    const char *task = task_of_model(info.task);
    if (task != NULL && qn_slice_eq_str(e->task, task)) return QN_OK;
    return qn_fail(err, QN_EMODELTASK, "the model [%s] is for [%s], not for [%.*s]",
                   *model, task == NULL ? info.task : task, QN_SLICE_ARG(e->task));
}

static qn_status read_endpoint(qn_call *c, endpoint *e, qn_error *err)
{
    const qn_json *body = NULL;
    qn_slice task = {"", 0};
    *e =
        (endpoint){.id = qn_call_arg(c, "id"), .task = qn_route_arg(&c->match, "task")};
    const qn_member members[] = {
        {"task_type", QN_MEMBER_STRING, &task, 0, 0},
        {"service", QN_MEMBER_STRING, &e->service, 0, 0},
        {"service_settings", QN_MEMBER_ANY, &e->settings, 0, 0},
        {"task_settings", QN_MEMBER_ANY, &e->task_settings, 0, 0},
        {"chunking_settings", QN_MEMBER_ANY, &e->chunking, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (e->task.n == 0) e->task = task;
    if (!is_task(e->task))
        return qn_fail(err, QN_EINVAL,
                       "Unknown task_type [%.*s]: here are rerank, text_embedding and "
                       "sparse_embedding",
                       e->task.n > 100 ? 100 : (int)e->task.n, e->task.p);
    if (task.n > 0 && !qn_slice_eq(task, e->task))
        return qn_fail(err, QN_EINVAL,
                       "Cannot resolve conflicting task_type parameter in the request "
                       "URL [%.*s] and the request body [%.*s]",
                       QN_SLICE_ARG(e->task), task.n > 100 ? 100 : (int)task.n, task.p);
    QN_TRY(check_service(e, err));
    QN_TRY(read_service_settings(c, e, false, err));
    QN_TRY(read_task_settings(c, e, err));
    return read_chunking(c, e, err);
}

/* ---- writing ------------------------------------------------------------------------ */

static void write_service_settings(qn_json_writer *w, const endpoint *e)
{
    qn_json_key(w, "service_settings");
    qn_json_begin_object(w);
    qn_json_member_int(w, "num_threads", e->threads);
    if (e->allocations > 0) qn_json_member_int(w, "num_allocations", e->allocations);
    qn_json_member_slice(w, "model_id", e->model);
    if (e->strategy.n > 0)
        qn_json_member_slice(w, "long_document_strategy", e->strategy);
    if (e->chunks > 0) qn_json_member_int(w, "max_chunks_per_doc", e->chunks);
    if (e->adaptive != NULL) {
        qn_json_key(w, "adaptive_allocations");
        qn_json_begin_object(w);
        qn_json_member_bool(w, "enabled", e->follows_load);
        if (e->follows_load)
            qn_json_member_int(w, "min_number_of_allocations", e->least);
        if (e->most > 0) qn_json_member_int(w, "max_number_of_allocations", e->most);
        qn_json_end_object(w);
    }
    qn_json_end_object(w);
}

static void write_endpoint(qn_json_writer *w, const endpoint *e)
{
    qn_json_begin_object(w);
    qn_json_member_str(w, "inference_id", e->id);
    qn_json_member_slice(w, "task_type", e->task);
    qn_json_member_slice(w, "service", e->service);
    write_service_settings(w, e);
    if (e->chunking != NULL) {
        qn_json_key(w, "chunking_settings");
        qn_json_raw(w, e->chunking->raw);
    }
    qn_json_key(w, "task_settings");
    qn_json_begin_object(w);
    if (qn_slice_eq_str(e->task, "rerank"))
        qn_json_member_bool(w, "return_documents", e->return_documents);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

/* A stored endpoint back into what it was made of. */
static void load_endpoint(const qn_json *root, const char *id, endpoint *e)
{
    const qn_json *settings = qn_json_get(root, "service_settings");
    const qn_json *told =
        qn_json_get(qn_json_get(root, "task_settings"), "return_documents");
    const qn_json *v;
    *e = (endpoint){.id = id, .settings = settings, .return_documents = true};
    if ((v = qn_json_get(root, "task_type")) != NULL) e->task = v->string;
    if ((v = qn_json_get(root, "service")) != NULL) e->service = v->string;
    if ((v = qn_json_get(settings, "model_id")) != NULL) e->model = v->string;
    if ((v = qn_json_get(settings, "num_threads")) != NULL) e->threads = v->integer;
    if ((v = qn_json_get(settings, "num_allocations")) != NULL)
        e->allocations = v->integer;
    if ((v = qn_json_get(settings, "long_document_strategy")) != NULL)
        e->strategy = v->string;
    if ((v = qn_json_get(settings, "max_chunks_per_doc")) != NULL)
        e->chunks = v->integer;
    e->adaptive = qn_json_get(settings, "adaptive_allocations");
    if ((v = qn_json_get(e->adaptive, "enabled")) != NULL) e->follows_load = v->boolean;
    if ((v = qn_json_get(e->adaptive, "min_number_of_allocations")) != NULL)
        e->least = v->integer;
    if ((v = qn_json_get(e->adaptive, "max_number_of_allocations")) != NULL)
        e->most = v->integer;
    e->chunking = qn_json_get(root, "chunking_settings");
    if (told != NULL) e->return_documents = told->boolean;
}

static qn_status deploy(quern *q, const char *model, const endpoint *e, qn_error *err)
{
    quern_deployment d = QUERN_DEPLOYMENT_INIT;
    d.adaptive = e->follows_load;
    d.allocations_min = (unsigned)e->least;
    d.allocations_max = (unsigned)e->most;
    d.allocations = (unsigned)e->allocations;
    d.threads = (unsigned)e->threads;
    return quern_model_deploy(q, model, &d, err);
}

static qn_status keep(qn_call *c, const endpoint *e, bool replace, qn_error *err)
{
    qn_buf text;
    qn_json_writer w;
    qn_buf_init(&text, c->out->body.alloc);
    qn_json_writer_init(&w, &text, false);
    write_endpoint(&w, e);
    qn_status st = text.failed
                       ? qn_fail(err, QN_ENOMEM, "no memory for the endpoint")
                       : quern_endpoint_put(c->q, e->id, text.p, text.n, replace, err);
    if (st == QN_OK) {
        qn_call_json(c, 200);
        qn_json_raw(&c->w, qn_buf_slice(&text));
    }
    qn_buf_deinit(&text);
    return st;
}

/* ---- using -------------------------------------------------------------------------- */

/* The stored endpoint; *found false: there is none of that name. */
static qn_status look_up(qn_call *c, const char *id, endpoint *e, bool *found,
                         qn_error *err)
{
    char *text = NULL;
    size_t n = 0;
    const qn_json *root = NULL;
    qn_error why;
    qn_status st = quern_endpoint_get(c->q, id, &text, &n, &why);
    *found = st == QN_OK;
    if (st == QN_ENOTFOUND) return QN_OK;
    if (st != QN_OK) {
        *err = why;
        return st;
    }
    qn_slice own = qn_arena_slice(c->arena, (qn_slice){text, n});
    quern_free(text);
    if (own.p == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the endpoint");
    QN_TRY(qn_json_parse(c->arena, own, &root, err));
    load_endpoint(root, id, e);
    return QN_OK;
}

qn_status qn_es_endpoint_put(qn_call *c, qn_error *err)
{
    endpoint e, old;
    bool found = false;
    const char *model = NULL;
    QN_TRY(read_endpoint(c, &e, err));
    QN_TRY(check_model(c, &e, &model, err));
    QN_TRY(look_up(c, e.id, &old, &found, err));
    if (found)
        return qn_fail(err, QN_EEXISTS, "Inference endpoint [%s] already exists", e.id);
    QN_TRY(deploy(c->q, model, &e, err));
    return keep(c, &e, false, err);
}

/* The strategy "chunk": passages of whole sentences. */
static const char *chunking_of(const endpoint *e, uint32_t *passages_max)
{
    bool chunks = qn_slice_eq_str(e->strategy, "chunk");
    *passages_max = chunks ? (uint32_t)e->chunks : 0;
    return chunks ? "sentence" : NULL;
}

qn_status qn_es_endpoint_use(qn_call *c, const char *task, qn_es_endpoint *out,
                             qn_error *err)
{
    endpoint e;
    bool found = false;
    const char *id = qn_call_arg(c, "id");
    *out = (qn_es_endpoint){.model = qn_route_arg(&c->match, "id"),
                            .return_documents = true};
    QN_TRY(look_up(c, id, &e, &found, err));
    if (!found) return QN_OK;
    if (!qn_slice_eq_str(e.task, task))
        return qn_fail(err, QN_EINVAL,
                       "Incompatible task_type, the requested type [%s] does not match "
                       "the model type [%.*s]",
                       task, QN_SLICE_ARG(e.task));
    out->model = e.model;
    out->return_documents = e.return_documents;
    out->chunking = chunking_of(&e, &out->passages_max);
    return QN_OK;
}

const char *qn_es_endpoint_model(void *call, const char *id)
{
    qn_call *c = call;
    endpoint e;
    bool found = false;
    qn_error ignored;
    const char *name = NULL;
    qn_slice model = qn_slice_of(id);
    if (look_up(c, id, &e, &found, &ignored) == QN_OK && found) model = e.model;
    return qn_server_model(c, model, "", &name, &ignored) == QN_OK ? name : id;
}

const char *qn_es_endpoint_chunking(void *call, const char *id, uint32_t *passages_max)
{
    endpoint e;
    bool found = false;
    qn_error ignored;
    if (look_up(call, id, &e, &found, &ignored) != QN_OK || !found) return NULL;
    return chunking_of(&e, passages_max);
}

/* POST _inference/{id}: the endpoint knows its task, a model its own. */
qn_status qn_es_endpoint_run(qn_call *c, qn_error *err)
{
    endpoint e;
    bool found = false;
    quern_model_info info;
    const char *id = qn_call_arg(c, "id"), *model = NULL;
    QN_TRY(look_up(c, id, &e, &found, err));
    if (!found) {
        QN_TRY(qn_server_model(c, qn_slice_of(id), "", &model, err));
        if (quern_model_info_get(c->q, model, &info, err) != QN_OK)
            return qn_fail(err, QN_ENOMODEL, "Inference endpoint not found [%s]", id);
        const char *task = task_of_model(info.task);
        e.task = qn_slice_of(task == NULL ? "" : task);
    }
    qn_slice asked = qn_route_arg(&c->match, "task");
    if (asked.n > 0)
        return qn_fail(
            err, QN_EINVAL,
            "Incompatible task_type, the requested type [%.*s] does not match "
            "the model type [%.*s]",
            asked.n > 40 ? 40 : (int)asked.n, asked.p, QN_SLICE_ARG(e.task));
    if (qn_slice_eq_str(e.task, "rerank")) return qn_es_inference_rerank(c, err);
    if (qn_slice_eq_str(e.task, "text_embedding")) return qn_es_inference_embed(c, err);
    if (qn_slice_eq_str(e.task, "sparse_embedding"))
        return qn_es_inference_sparse(c, err);
    return qn_fail(err, QN_EUNSUPPORTED, "[%s] has no task that is run here", id);
}

/* ---- listing, changing, dropping ---------------------------------------------------- */

typedef struct listing {
    qn_call *c;
    qn_slice task; /* of those to list; "_all": any */
} listing;

static bool list_stored(void *ctx, const char *id, const char *text, size_t n)
{
    listing *l = ctx;
    const qn_json *root = NULL;
    (void)id;
    if (qn_json_parse(l->c->arena, (qn_slice){text, n}, &root, NULL) != QN_OK)
        return true;
    const qn_json *task = qn_json_get(root, "task_type");
    if (l->task.n == 0 || (task != NULL && qn_slice_eq(task->string, l->task)))
        qn_json_raw(&l->c->w, (qn_slice){text, n});
    return true;
}

static void write_model(qn_call *c, const quern_model_info *info, const char *task)
{
    const qn_json adaptive = {.kind = QN_JSON_OBJECT};
    endpoint e = {.id = info->name,
                  .task = qn_slice_of(task),
                  .service = QN_SLICE_LIT("elasticsearch"),
                  .model = qn_slice_of(info->name),
                  .threads = 1,
                  .return_documents = true};
    quern_deployment_state state;
    quern_model_deployment(c->q, info->name, &state);
    if (state.settings.threads > 0) e.threads = state.settings.threads;
    e.allocations =
        state.settings.adaptive ? state.allocations : state.settings.allocations;
    if (state.settings.adaptive) {
        e.adaptive = &adaptive;
        e.follows_load = true;
        e.least = state.settings.allocations_min;
        e.most = state.settings.allocations_max;
    }
    write_endpoint(&c->w, &e);
}

/* Models answer under their own names. */
static bool list_model(void *ctx, const quern_model_info *info)
{
    listing *l = ctx;
    const char *task = task_of_model(info->task);
    if (task != NULL && (l->task.n == 0 || qn_slice_eq_str(l->task, task)))
        write_model(l->c, info, task);
    return true;
}

static qn_status list_all(qn_call *c, qn_slice task, qn_error *err)
{
    listing l = {c, task};
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "endpoints");
    qn_json_begin_array(&c->w);
    QN_TRY(quern_endpoint_list(c->q, list_stored, &l, err));
    QN_TRY(quern_model_list(c->q, list_model, &l, err));
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

static qn_status check_task(qn_call *c, qn_slice task, qn_slice own, qn_error *err)
{
    (void)c;
    if (task.n == 0 || qn_slice_eq(task, own)) return QN_OK;
    return qn_fail(err, QN_EINVAL,
                   "Requested inference endpoint task type [%.*s] does not match the "
                   "endpoint's [%.*s]",
                   task.n > 100 ? 100 : (int)task.n, task.p, QN_SLICE_ARG(own));
}

qn_status qn_es_endpoint_get(qn_call *c, qn_error *err)
{
    endpoint e;
    bool found = false;
    quern_model_info info;
    qn_slice task = qn_route_arg(&c->match, "task");
    const char *id = qn_call_arg(c, "id"), *model = NULL;
    bool all = id[0] == '\0' || strcmp(id, "_all") == 0 || strcmp(id, "*") == 0;
    if (all) return list_all(c, task, err);
    QN_TRY(look_up(c, id, &e, &found, err));
    if (!found && task.n == 0 && is_task(qn_slice_of(id)))
        return list_all(c, qn_slice_of(id), err);
    if (!found) {
        QN_TRY(qn_server_model(c, qn_slice_of(id), "", &model, err));
        if (quern_model_info_get(c->q, model, &info, err) != QN_OK ||
            task_of_model(info.task) == NULL)
            return qn_fail(err, QN_ENOTFOUND, "Inference endpoint not found [%s]", id);
        e.task = qn_slice_of(task_of_model(info.task));
    }
    QN_TRY(check_task(c, task, e.task, err));
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "endpoints");
    qn_json_begin_array(&c->w);
    found ? write_endpoint(&c->w, &e) : write_model(c, &info, task_of_model(info.task));
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

qn_status qn_es_endpoint_update(qn_call *c, qn_error *err)
{
    endpoint e, given = {0};
    bool found = false;
    const qn_json *body = NULL;
    const char *id = qn_call_arg(c, "id"), *model = NULL;
    const qn_member members[] = {
        {"service_settings", QN_MEMBER_ANY, &given.settings, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(read_service_settings(c, &given, true, err));
    QN_TRY(look_up(c, id, &e, &found, err));
    if (!found)
        return qn_fail(err, QN_ENOTFOUND, "Inference endpoint not found [%s]", id);
    QN_TRY(check_task(c, qn_route_arg(&c->match, "task"), e.task, err));
    e.allocations = given.allocations;
    e.adaptive = given.adaptive;
    e.follows_load = given.follows_load;
    e.least = given.least;
    e.most = given.most;
    QN_TRY(qn_server_model(c, e.model, "", &model, err));
    QN_TRY(deploy(c->q, model, &e, err));
    return keep(c, &e, true, err);
}

qn_status qn_es_endpoint_drop(qn_call *c, qn_error *err)
{
    endpoint e;
    bool found = false, dry = false, force = false;
    quern_model_info info;
    qn_error ignored;
    const char *id = qn_call_arg(c, "id"), *model = NULL;
    QN_TRY(qn_call_flag(c, "dry_run", &dry, err));
    QN_TRY(qn_call_flag(c, "force", &force, err));
    QN_TRY(look_up(c, id, &e, &found, err));
    if (!found && quern_model_info_get(c->q, id, &info, &ignored) == QN_OK)
        return qn_fail(err, QN_EINVAL,
                       "[%s] is a model, no endpoint that was put: 'quern model rm'",
                       id);
    if (!found)
        return qn_fail(err, QN_ENOTFOUND, "Inference endpoint not found [%s]", id);
    QN_TRY(check_task(c, qn_route_arg(&c->match, "task"), e.task, err));
    if (!dry) {
        QN_TRY(qn_server_model(c, e.model, "", &model, err));
        QN_TRY(quern_endpoint_drop(c->q, id, err));
        /* The model goes on by its own name, as if nothing had been set. */
        (void)quern_model_deploy(c->q, model, NULL, &ignored);
    }
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_bool(&c->w, "acknowledged", !dry);
    qn_json_key(&c->w, "pipelines");
    qn_json_begin_array(&c->w);
    qn_json_end_array(&c->w);
    qn_json_key(&c->w, "indexes");
    qn_json_begin_array(&c->w);
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

/* ---- at the start ------------------------------------------------------------------- */

static bool deploy_stored(void *ctx, const char *id, const char *text, size_t n)
{
    quern *q = ctx;
    endpoint e;
    qn_arena arena;
    const qn_json *root = NULL;
    qn_error err = {0};
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_json_parse(&arena, (qn_slice){text, n}, &root, &err);
    if (st == QN_OK) {
        load_endpoint(root, id, &e);
        const char *model = qn_arena_strndup(&arena, e.model.p, e.model.n);
        st = model == NULL ? QN_ENOMEM : deploy(q, model, &e, &err);
    }
    if (st != QN_OK)
        qn_log(QN_LOG_WARN, "server", "inference endpoint %s: %s", id, err.text);
    qn_arena_deinit(&arena);
    return true;
}

void qn_es_endpoints_start(quern *q)
{
    qn_error err = {0};
    if (quern_endpoint_list(q, deploy_stored, q, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "server", "inference endpoints: %s", err.text);
}
