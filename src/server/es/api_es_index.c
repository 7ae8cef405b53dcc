/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as Elasticsearch's indices: made, shown, dropped, refreshed. */
#include "server/handlers.h"

#include "server/es/api_es.h"

#include <stdio.h>
#include <string.h>

static qn_status acknowledge(qn_call *c, const char *table)
{
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_bool(&c->w, "acknowledged", true);
    if (table != NULL) {
        qn_json_member_bool(&c->w, "shards_acknowledged", true);
        qn_json_member_str(&c->w, "index", table);
    }
    qn_json_end_object(&c->w);
    return QN_OK;
}

qn_status qn_es_index_create(qn_call *c, qn_error *err)
{
    const qn_json *body = NULL;
    const char *table = qn_call_arg(c, "index"); /* '*' and ',' are wrong in a name */
    (void)snprintf(c->table, sizeof c->table, "%s", table);
    QN_TRY(qn_call_body(c, &body, err));
    qn_slice schema = body == NULL ? QN_SLICE_LIT("{}") : c->request->body;
    QN_TRY(quern_table_create(c->q, table, schema.p, schema.n, err));
    return acknowledge(c, table);
}

qn_status qn_es_index_drop(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(quern_table_drop(c->q, table, err));
    return acknowledge(c, NULL);
}

/* A setting is shown as text, whatever it was given as. */
static void write_setting(qn_json_writer *w, const qn_json *v)
{
    qn_slice key = v->key;
    if (qn_slice_starts_with(key, "index.")) key = (qn_slice){key.p + 6, key.n - 6};
    if (qn_slice_starts_with(key, "translog"))
        return; /* as it is now: write_translog */
    qn_json_key_slice(w, key);
    bool plain =
        v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE || v->kind == QN_JSON_BOOL;
    if (plain)
        qn_json_string(w, v->raw);
    else
        qn_json_raw(w, v->raw);
}

/* Only what differs from every other table. */
static void write_translog(qn_json_writer *w, const qn_json *facts)
{
    const qn_json *durability = qn_json_get(facts, "durability"),
                  *interval = qn_json_get(facts, "sync_interval_ms");
    if (durability == NULL || interval == NULL ||
        !qn_slice_eq_str(durability->string, "async"))
        return;
    char text[32];
    int64_t ms = interval->integer;
    (void)snprintf(text, sizeof text, ms % 1000 == 0 ? "%llds" : "%lldms",
                   (long long)(ms % 1000 == 0 ? ms / 1000 : ms));
    qn_json_key(w, "translog");
    qn_json_begin_object(w);
    qn_json_member_slice(w, "durability", durability->string);
    qn_json_member_str(w, "sync_interval", text);
    qn_json_end_object(w);
}

/* {"index": {...}}: the settings as given, with or without their "index", and what
 * every index tells. */
static void write_settings(qn_call *c, const qn_json *facts)
{
    static const char *const defaults[][2] = {{"number_of_shards", "1"},
                                              {"number_of_replicas", "0"}};
    qn_json_writer *w = &c->w;
    const qn_json *given = qn_json_get(facts, "settings");
    const qn_json *inner = qn_json_get(given, "index"),
                  *uuid = qn_json_get(facts, "uuid"),
                  *created = qn_json_get(facts, "created_ms");
    bool seen[2] = {false, false};
    qn_json_begin_object(w);
    qn_json_key(w, "index");
    qn_json_begin_object(w);
    const qn_json *lists[] = {given, inner};
    for (size_t k = 0; k < 2; k++) {
        for (const qn_json *m = qn_json_items(lists[k]); m != NULL; m = m->next) {
            if (m == inner) continue;
            write_setting(w, m);
            for (size_t i = 0; i < 2; i++)
                seen[i] |= qn_slice_ends_with(m->key, defaults[i][0]);
        }
    }
    for (size_t i = 0; i < 2; i++)
        if (!seen[i]) qn_json_member_str(w, defaults[i][0], defaults[i][1]);
    write_translog(w, facts);
    qn_json_member_str(w, "provided_name", c->table);
    if (uuid != NULL) qn_json_member_slice(w, "uuid", uuid->string);
    if (created != NULL) qn_json_member_slice(w, "creation_date", created->raw);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

/* {"<table>": {<the named parts of quern_table_show>}} */
static qn_status show(qn_call *c, const char *const *parts, qn_error *err)
{
    const char *table = NULL;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(quern_table_show(c->q, table, &json, &n, err));
    const qn_json *facts = NULL;
    qn_status st = qn_json_parse(c->arena, (qn_slice){json, n}, &facts, err);
    if (st == QN_OK) {
        qn_call_json(c, 200);
        qn_json_writer *w = &c->w;
        qn_json_begin_object(w);
        qn_json_key(w, table);
        qn_json_begin_object(w);
        for (size_t i = 0; parts[i] != NULL; i++) {
            const qn_json *part = qn_json_get(facts, parts[i]);
            qn_json_key(w, parts[i]);
            if (strcmp(parts[i], "settings") == 0) {
                write_settings(c, facts);
                continue;
            }
            qn_json_raw(w, part == NULL || part->kind != QN_JSON_OBJECT
                               ? QN_SLICE_LIT("{}")
                               : part->raw);
        }
        qn_json_end_object(w);
        qn_json_end_object(w);
    }
    quern_free(json);
    return st;
}

qn_status qn_es_index_get(qn_call *c, qn_error *err)
{
    if (qn_slice_eq_str(c->request->method, "HEAD")) {
        const char *table = NULL;
        QN_TRY(qn_call_table(c, &table, err));
        qn_call_text(c, quern_table_exists(c->q, table) ? 200 : 404, NULL,
                     (qn_slice){"", 0});
        return QN_OK;
    }
    static const char *const parts[] = {"aliases", "mappings", "settings", NULL};
    return show(c, parts, err);
}

qn_status qn_es_mapping_get(qn_call *c, qn_error *err)
{
    static const char *const parts[] = {"mappings", NULL};
    return show(c, parts, err);
}

qn_status qn_es_settings_get(qn_call *c, qn_error *err)
{
    static const char *const parts[] = {"settings", NULL};
    return show(c, parts, err);
}

qn_status qn_es_settings_put(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    const qn_json *body = NULL;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(qn_call_object(c, &body, err));
    const qn_json *inner = qn_json_get(body, "settings"); /* Elasticsearch takes both */
    qn_slice settings = inner == NULL ? c->request->body : inner->raw;
    QN_TRY(quern_table_set(c->q, table, settings.p, settings.n, err));
    return acknowledge(c, NULL);
}

/* ---- refresh and its relatives: one table, or all ------------------------------------ */

typedef qn_status table_verb(quern *q, const char *table, qn_error *err);
typedef struct sweep {
    quern *q;
    table_verb *verb;
    qn_status st;
    qn_error *err;
} sweep;

static bool sweep_table(void *ctx, const char *name)
{
    sweep *s = ctx;
    s->st = s->verb(s->q, name, s->err);
    if (s->st == QN_ENOTABLE) s->st = QN_OK; /* dropped meanwhile */
    return s->st == QN_OK;
}

static qn_status run_verb(qn_call *c, table_verb *verb, qn_error *err)
{
    if (qn_route_arg(&c->match, "index").n > 0) {
        const char *table = NULL;
        QN_TRY(qn_call_table(c, &table, err));
        QN_TRY(verb(c->q, table, err));
    } else {
        sweep s = {.q = c->q, .verb = verb, .err = err};
        QN_TRY(quern_table_list(c->q, sweep_table, &s, err));
        QN_TRY(s.st);
    }
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_es_shards(&c->w, true);
    qn_json_end_object(&c->w);
    return QN_OK;
}

qn_status qn_es_refresh(qn_call *c, qn_error *err)
{
    return run_verb(c, quern_refresh, err);
}

qn_status qn_es_flush(qn_call *c, qn_error *err)
{
    return run_verb(c, quern_flush, err);
}

qn_status qn_es_forcemerge(qn_call *c, qn_error *err)
{
    return run_verb(c, quern_table_optimize, err);
}

qn_status qn_es_stats(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(quern_table_stats(c->q, table, &json, &n, err));
    qn_call_json(c, 200);
    qn_json_raw(&c->w, (qn_slice){json, n});
    quern_free(json);
    return QN_OK;
}
