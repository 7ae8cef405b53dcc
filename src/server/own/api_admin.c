/* SPDX-License-Identifier: Apache-2.0 */
/* Quern's own routes: health, tables, models, routes, metrics. */
#include "server/handlers.h"

#include "server/server_internal.h"

/* {"error":{"code":"ENOTABLE","number":300,"text":"...","at":7}} */
void qn_admin_error(qn_call *c, const qn_error *err)
{
    const qn_status_info *info = qn_status_describe(err->code);
    qn_call_json(c, info->http_status);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "error");
    qn_json_begin_object(w);
    qn_json_member_str(w, "code", info->name);
    qn_json_member_int(w, "number", info->code);
    qn_json_member_str(w, "text", err->text);
    if (err->file[0] != '\0') qn_json_member_str(w, "file", err->file);
    if (err->at != QN_AT_NONE) qn_json_member_int(w, "at", (int64_t)err->at);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

qn_status qn_admin_health(qn_call *c, qn_error *err)
{
    (void)err;
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_str(&c->w, "status", "ok");
    qn_json_member_str(&c->w, "version", quern_version());
    qn_json_member_int(&c->w, "uptime_ms", qn_clock_wall_ms() - c->server->started_ms);
    qn_json_end_object(&c->w);
    return QN_OK;
}

typedef struct listing {
    qn_call *c;
    qn_status st;
    qn_error *err;
    uint64_t tables, documents, damaged;
} listing;

static bool count_documents(void *ctx, const char *name)
{
    listing *l = ctx;
    uint64_t n = 0;
    l->st = quern_count_all(l->c->q, name, &n, l->err);
    if (l->st == QN_ENOTABLE) {
        l->st = QN_OK;
        return true;
    }
    if (l->st == QN_ECORRUPT) { /* what is sound of it is searched */
        l->damaged++;
        l->st = QN_OK;
    }
    l->tables++;
    l->documents += n;
    return l->st == QN_OK;
}

qn_status qn_admin_ready(qn_call *c, qn_error *err)
{
    listing l = {.c = c, .err = err};
    QN_TRY(quern_table_list(c->q, count_documents, &l, err));
    QN_TRY(l.st);
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_bool(&c->w, "ready", true);
    qn_json_member_int(&c->w, "tables", (int64_t)l.tables);
    qn_json_member_int(&c->w, "documents", (int64_t)l.documents);
    if (l.damaged != 0) qn_json_member_int(&c->w, "damaged_tables", (int64_t)l.damaged);
    qn_json_end_object(&c->w);
    return QN_OK;
}

/* ---- tables and models -------------------------------------------------------------------- */

typedef qn_status json_source(quern *q, const char *name, char **json, size_t *n,
                              qn_error *err);

static qn_status write_facts(listing *l, const char *key, json_source *get,
                             const char *name)
{
    char *json = NULL;
    size_t n = 0;
    QN_TRY(get(l->c->q, name, &json, &n, l->err));
    qn_json_key(&l->c->w, key);
    qn_json_raw(&l->c->w, (qn_slice){json, n});
    quern_free(json);
    return QN_OK;
}

static bool write_table(void *ctx, const char *name)
{
    listing *l = ctx;
    qn_json_writer *w = &l->c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "name", name);
    l->st = write_facts(l, "table", quern_table_show, name);
    if (l->st == QN_OK) l->st = write_facts(l, "stats", quern_table_stats, name);
    qn_json_end_object(w);
    if (l->st == QN_ENOTABLE) l->st = QN_OK; /* dropped meanwhile: its name is all */
    return l->st == QN_OK;
}

qn_status qn_admin_tables(qn_call *c, qn_error *err)
{
    listing l = {.c = c, .err = err};
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "tables");
    qn_json_begin_array(&c->w);
    QN_TRY(quern_table_list(c->q, write_table, &l, err));
    QN_TRY(l.st);
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

static bool write_model(void *ctx, const quern_model_info *info)
{
    listing *l = ctx;
    qn_json_writer *w = &l->c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "name", info->name);
    qn_json_member_str(w, "task", info->task);
    qn_json_member_str(w, "family", info->family);
    qn_json_member_str(w, "dtype", info->dtype);
    qn_json_member_int(w, "dims", info->dims);
    qn_json_member_int(w, "layers", info->layers);
    qn_json_member_int(w, "max_tokens", info->max_tokens);
    qn_json_member_int(w, "parameters", (int64_t)info->parameters);
    qn_json_member_int(w, "file_bytes", (int64_t)info->file_bytes);
    qn_json_member_int(w, "packed_bytes", (int64_t)info->packed_bytes);
    qn_json_member_int(w, "labels", info->labels);
    qn_json_member_str(w, "activation", info->activation);
    qn_json_member_str(w, "truncation", info->truncation);
    qn_json_member_str(w, "pooling", info->pooling);
    qn_json_member_bool(w, "normalized", info->normalized);
    qn_json_member_str(w, "licence", info->licence);
    qn_json_member_str(w, "origin", info->origin);
    qn_json_key(w, "deployment");
    qn_deployment_write(l->c, info->name);
    qn_json_end_object(w);
    return true;
}

qn_status qn_admin_models(qn_call *c, qn_error *err)
{
    listing l = {.c = c, .err = err};
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "models");
    qn_json_begin_array(&c->w);
    QN_TRY(quern_model_list(c->q, write_model, &l, err));
    qn_json_end_array(&c->w);
    qn_json_member_str(&c->w, "default_embedder", c->server->options.default_embedder);
    qn_json_member_str(&c->w, "default_reranker", c->server->options.default_reranker);
    qn_json_end_object(&c->w);
    return QN_OK;
}

qn_status qn_admin_routes(qn_call *c, qn_error *err)
{
    (void)err;
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "routes");
    qn_json_begin_array(w);
    for (size_t i = 0; i < qn_route_count; i++) {
        qn_json_begin_object(w);
        qn_json_member_str(w, "methods", qn_routes[i].methods);
        qn_json_member_str(w, "path", qn_routes[i].pattern);
        qn_json_member_str(w, "dialect", qn_api_name(qn_routes[i].api));
        qn_json_member_str(w, "summary", qn_routes[i].summary);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
    return QN_OK;
}

/* ---- metrics --------------------------------------------------------------------------------- */

static bool write_table_gauge(void *ctx, const char *name)
{
    listing *l = ctx;
    uint64_t n = 0;
    if (quern_count_all(l->c->q, name, &n, NULL) == QN_OK)
        qn_buf_printf(&l->c->out->body, "quern_table_documents{table=\"%s\"} %llu\n",
                      name, (unsigned long long)n);
    return true;
}

/* Machine code of formulas. */
static void write_code(quern *q, qn_buf *out)
{
    quern_code_stats s;
    quern_code_stats_get(q, &s);
    qn_buf_printf(out,
                  "# HELP quern_code_compiled_total programs compiled to machine code\n"
                  "# TYPE quern_code_compiled_total counter\n"
                  "quern_code_compiled_total %llu\n"
                  "# HELP quern_code_failed_total programs that could not be compiled\n"
                  "# TYPE quern_code_failed_total counter\n"
                  "quern_code_failed_total %llu\n"
                  "# HELP quern_code_compile_seconds_total CPU time of compiling\n"
                  "# TYPE quern_code_compile_seconds_total counter\n"
                  "quern_code_compile_seconds_total %.6f\n",
                  (unsigned long long)s.compiled, (unsigned long long)s.failed,
                  s.compile_seconds);
    qn_buf_printf(out,
                  "# HELP quern_code_dropped_total programs that made room for others\n"
                  "# TYPE quern_code_dropped_total counter\n"
                  "quern_code_dropped_total %llu\n"
                  "# HELP quern_code_programs programs kept, compiled or counted\n"
                  "# TYPE quern_code_programs gauge\nquern_code_programs %llu\n"
                  "# HELP quern_code_bytes memory of them, machine code included\n"
                  "# TYPE quern_code_bytes gauge\nquern_code_bytes %llu\n",
                  (unsigned long long)s.dropped, (unsigned long long)s.programs,
                  (unsigned long long)s.bytes);
}

/* What models said, and what they read. */
static void write_caches(quern *q, qn_buf *out)
{
    quern_cache_stats s = {.size = sizeof s};
    quern_cache_stats_get(q, &s);
    const struct {
        const char *name, *kind, *help;
        uint64_t value;
    } rows[] = {
        {"quern_score_cache_hits_total", "counter", "scores known already",
         s.score_hits},
        {"quern_score_cache_misses_total", "counter", "scores looked for and not known",
         s.score_misses},
        {"quern_score_cache_entries", "gauge", "scores kept", s.score_entries},
        {"quern_token_cache_hits_total", "counter", "documents whose tokens were known",
         s.token_hits},
        {"quern_token_cache_misses_total", "counter", "documents cut into tokens",
         s.token_misses},
        {"quern_token_cache_entries", "gauge", "documents whose tokens are kept",
         s.token_entries},
        {"quern_token_cache_bytes", "gauge", "memory of them", s.token_bytes},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        qn_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", rows[i].name,
                      rows[i].help, rows[i].name, rows[i].kind, rows[i].name,
                      (unsigned long long)rows[i].value);
}

qn_status qn_admin_metrics(qn_call *c, qn_error *err)
{
    listing l = {.c = c, .err = err};
    qn_call_text(c, 200, "text/plain; version=0.0.4; charset=utf-8", (qn_slice){"", 0});
    qn_buf *out = &c->out->body;
    qn_metrics_write(&c->server->metrics, out);
    qn_buf_printf(out,
                  "# HELP quern_http_in_flight requests that wait or run\n"
                  "# TYPE quern_http_in_flight gauge\nquern_http_in_flight %zu\n"
                  "# HELP quern_uptime_seconds since the server started\n"
                  "# TYPE quern_uptime_seconds gauge\nquern_uptime_seconds %.3f\n"
                  "# HELP quern_table_documents documents that searches see\n"
                  "# TYPE quern_table_documents gauge\n",
                  qn_http_server_in_flight(c->server->http),
                  (double)(qn_clock_wall_ms() - c->server->started_ms) / 1000);
    QN_TRY(quern_table_list(c->q, write_table_gauge, &l, err));
    write_code(c->q, out);
    write_caches(c->q, out);
    return qn_deployment_metrics(c, err);
}
