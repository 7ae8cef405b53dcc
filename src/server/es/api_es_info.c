/* SPDX-License-Identifier: Apache-2.0 */
/* GET /, _cat/indices, _cluster/health: what clients and people look at first. */
#include "server/handlers.h"

#include "server/es/api_es.h"

#include <inttypes.h>
#include <stdio.h>

qn_status qn_es_root(qn_call *c, qn_error *err)
{
    (void)err;
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "name", "quern");
    qn_json_member_str(w, "cluster_name", "quern");
    qn_json_member_str(w, "cluster_uuid", "quern");
    qn_json_key(w, "version");
    qn_json_begin_object(w);
    qn_json_member_str(w, "number", QN_ES_VERSION);
    qn_json_member_str(w, "build_flavor", "default");
    qn_json_member_str(w, "build_type", "quern");
    qn_json_member_str(w, "build_hash", quern_version());
    qn_json_member_str(w, "build_date", "1970-01-01T00:00:00.000Z");
    qn_json_member_bool(w, "build_snapshot", false);
    qn_json_member_str(w, "lucene_version", "10.4.0");
    qn_json_member_str(w, "minimum_wire_compatibility_version", "8.19.0");
    qn_json_member_str(w, "minimum_index_compatibility_version", "8.0.0");
    qn_json_member_str(w, "quern", quern_version());
    qn_json_end_object(w);
    qn_json_member_str(w, "tagline", "You Know, for Search");
    qn_json_end_object(w);
    return QN_OK;
}

/* Official helpers ask before they copy an index. */
qn_status qn_es_data_streams(qn_call *c, qn_error *err)
{
    (void)err;
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "data_streams");
    qn_json_begin_array(&c->w);
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

typedef struct counter {
    quern *q;
    int64_t tables, damaged;
} counter;

static bool count_table(void *ctx, const char *name)
{
    counter *n = ctx;
    uint64_t documents = 0;
    n->tables++;
    n->damaged += quern_count_all(n->q, name, &documents, NULL) == QN_ECORRUPT;
    return true;
}

qn_status qn_es_cluster_health(qn_call *c, qn_error *err)
{
    counter n = {.q = c->q};
    QN_TRY(quern_table_list(c->q, count_table, &n, err));
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "cluster_name", "quern");
    qn_json_member_str(w, "status", n.damaged != 0 ? "red" : "green");
    qn_json_member_bool(w, "timed_out", false);
    qn_json_member_int(w, "number_of_nodes", 1);
    qn_json_member_int(w, "number_of_data_nodes", 1);
    qn_json_member_int(w, "active_primary_shards", n.tables);
    qn_json_member_int(w, "active_shards", n.tables);
    qn_json_member_int(w, "relocating_shards", 0);
    qn_json_member_int(w, "initializing_shards", 0);
    qn_json_member_int(w, "unassigned_shards", 0);
    qn_json_member_int(w, "delayed_unassigned_shards", 0);
    qn_json_member_int(w, "number_of_pending_tasks", 0);
    qn_json_member_int(w, "number_of_in_flight_fetch", 0);
    qn_json_member_int(w, "task_max_waiting_in_queue_millis", 0);
    qn_json_key(w, "active_shards_percent_as_number");
    qn_json_double(w, 100);
    qn_json_end_object(w);
    return QN_OK;
}

/* ---- _cat/indices -------------------------------------------------------------------- */

typedef struct cat {
    qn_call *c;
    bool json;
    qn_status st;
    qn_error *err;
} cat;

/* A member of the table's statistics; 0 when absent. */
static int64_t number_at(qn_arena *arena, const char *json, size_t n, const char *first,
                         const char *second)
{
    const qn_json *v = NULL;
    if (qn_json_parse(arena, (qn_slice){json, n}, &v, NULL) != QN_OK) return 0;
    v = qn_json_get(v, first);
    if (second != NULL) v = qn_json_get(v, second);
    return v != NULL && v->kind == QN_JSON_INT ? v->integer : 0;
}

static void cat_row(cat *k, const char *name, int64_t documents, int64_t deleted,
                    int64_t bytes)
{
    if (!k->json) {
        qn_buf_printf(&k->c->out->body,
                      "green open %s %s 1 0 %" PRId64 " %" PRId64 " %" PRId64
                      "b %" PRId64 "b\n",
                      name, name, documents, deleted, bytes, bytes);
        return;
    }
    qn_json_writer *w = &k->c->w;
    char text[32];
    qn_json_begin_object(w);
    qn_json_member_str(w, "health", "green");
    qn_json_member_str(w, "status", "open");
    qn_json_member_str(w, "index", name);
    qn_json_member_str(w, "uuid", name);
    qn_json_member_str(w, "pri", "1");
    qn_json_member_str(w, "rep", "0");
    (void)snprintf(text, sizeof text, "%" PRId64, documents);
    qn_json_member_str(w, "docs.count", text);
    (void)snprintf(text, sizeof text, "%" PRId64, deleted);
    qn_json_member_str(w, "docs.deleted", text);
    (void)snprintf(text, sizeof text, "%" PRId64 "b", bytes);
    qn_json_member_str(w, "store.size", text);
    qn_json_member_str(w, "pri.store.size", text);
    qn_json_end_object(w);
}

static bool cat_table(void *ctx, const char *name)
{
    cat *k = ctx;
    qn_slice only = qn_route_arg(&k->c->match, "index");
    if (only.n > 0 && !qn_slice_eq_str(only, name)) return true;
    char *json = NULL;
    size_t n = 0;
    k->st = quern_table_stats(k->c->q, name, &json, &n, k->err);
    if (k->st == QN_ENOTABLE) { /* dropped a moment ago */
        k->st = QN_OK;
        return true;
    }
    if (k->st != QN_OK) return false;
    int64_t documents = number_at(k->c->arena, json, n, "documents", NULL);
    int64_t deleted = number_at(k->c->arena, json, n, "deleted", NULL);
    int64_t bytes = number_at(k->c->arena, json, n, "bytes", "segments") +
                    number_at(k->c->arena, json, n, "bytes", "log");
    cat_row(k, name, documents, deleted, bytes);
    quern_free(json);
    return true;
}

qn_status qn_es_cat_indices(qn_call *c, qn_error *err)
{
    const qn_slice *format = qn_call_param(c, "format");
    bool heads = false;
    QN_TRY(qn_call_flag(c, "v", &heads, err));
    if (format != NULL && !qn_slice_eq_str(*format, "json") &&
        !qn_slice_eq_str(*format, "text"))
        return qn_fail(err, QN_EUNSUPPORTED,
                       "format [%.*s] is not supported: json, text",
                       format->n > 60 ? 60 : (int)format->n, format->p);
    cat k = {
        .c = c, .err = err, .json = format != NULL && qn_slice_eq_str(*format, "json")};
    if (k.json) {
        qn_call_json(c, 200);
        qn_json_begin_array(&c->w);
    } else {
        qn_call_text(c, 200, "text/plain; charset=UTF-8",
                     qn_slice_of(heads ? "health status index uuid pri rep docs.count "
                                         "docs.deleted store.size pri.store.size\n"
                                       : ""));
    }
    QN_TRY(quern_table_list(c->q, cat_table, &k, err));
    QN_TRY(k.st);
    if (k.json) qn_json_end_array(&c->w);
    return QN_OK;
}
