/* SPDX-License-Identifier: Apache-2.0 */
/* plugins_api.c -- the public calls: check, put, list, show, activate, roll back, drop,
 * test. */
#include "engine/control/plugin_body.h"
#include "engine/control/plugins.h"

#include "io/json.h"

#include <math.h>

/* ---- checking --------------------------------------------------------------------------- */

static void write_diagnostic(qn_json_writer *w, const qn_cava_diagnostic *d,
                             const qn_cava_file *files)
{
    qn_json_begin_object(w);
    qn_json_member_slice(w, "file", files[d->file].name);
    qn_json_member_int(w, "line", d->line);
    qn_json_member_int(w, "column", d->column);
    qn_json_member_int(w, "end_line", d->end_line);
    qn_json_member_int(w, "end_column", d->end_column);
    qn_json_member_int(w, "code", d->code);
    qn_json_member_str(w, "message", d->text);
    qn_json_end_object(w);
}

/* {"ok", "error", "diagnostics": [...], "text"} */
static void write_report(qn_json_writer *w, qn_status st, const qn_error *why,
                         const qn_cava_report *report, const qn_plugin_body *body,
                         qn_slice text)
{
    qn_json_begin_object(w);
    qn_json_member_bool(w, "ok", st == QN_OK);
    if (st != QN_OK) qn_json_member_str(w, "error", why->text);
    qn_json_key(w, "diagnostics");
    qn_json_begin_array(w);
    for (size_t i = 0; i < report->n; i++)
        write_diagnostic(w, &report->items[i], body->files);
    qn_json_end_array(w);
    qn_json_member_slice(w, "text", text);
    qn_json_end_object(w);
}

/* Compiles and finds the entry points; the report as JSON. */
static qn_status check(qn_alloc *a, qn_slice name, qn_slice text, qn_buf *out,
                       qn_error *err)
{
    qn_arena arena;
    qn_plugin_body body;
    qn_cava_program *program = NULL;
    qn_rank_plugin plugin;
    qn_buf printed;
    qn_json_writer w;
    qn_error why = {.at = QN_AT_NONE};
    qn_cava_report *report = qn_new0(a, sizeof *report);
    if (report == NULL) return qn_fail(err, QN_ENOMEM, "plug-in");
    qn_arena_init(&arena, a, 0);
    qn_buf_init(&printed, a);
    qn_status st = qn_plugin_body_read(text, name, &arena, &body, &why);
    if (st == QN_OK)
        st = qn_cava_compile(a, body.files, body.file_count, report, &program, &why);
    if (st == QN_OK)
        st = qn_rank_plugin_describe(program, QN_SLICE_LIT(""), &plugin, &why);
    qn_cava_report_print(report, body.files, &printed);
    qn_json_writer_init(&w, out, false);
    write_report(&w, st, &why, report, &body, qn_buf_slice(&printed));
    if (st != QN_OK && err != NULL) *err = why;
    qn_cava_program_destroy(program);
    qn_buf_deinit(&printed);
    qn_arena_deinit(&arena);
    qn_delete(a, report);
    return st;
}

static qn_status take_json(qn_buf *b, qn_status st, char **json, size_t *json_size,
                           qn_error *err)
{
    if (b->failed && st == QN_OK) st = qn_fail(err, QN_ENOMEM, "plug-in");
    if (!b->failed && json != NULL) *json = qn_buf_take(b, json_size);
    qn_buf_deinit(b);
    return st;
}

qn_status quern_plugin_check(quern *q, const char *name, const char *body,
                             size_t body_size, char **json, size_t *json_size,
                             qn_error *err)
{
    qn_buf b;
    qn_alloc *a = q == NULL ? qn_alloc_heap() : q->alloc;
    if (json != NULL) *json = NULL;
    qn_buf_init(&b, a);
    qn_slice called = name == NULL ? QN_SLICE_LIT("plugin") : qn_slice_of(name);
    qn_status st = check(a, called, (qn_slice){body, body_size}, &b, err);
    return take_json(&b, st, json, json_size, err);
}

/* ---- the store -------------------------------------------------------------------------- */

/* Names of plug-ins in a table count up to a limit of their own. */
static qn_status need_room(quern *q, const char *table, const char *name, qn_error *err)
{
    qn_arena arena;
    const qn_control_record *all = NULL;
    size_t n = 0, names = 0;
    bool known = false;
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st = qn_control_list(q->control, table, QN_CONTROL_CAVA, NULL, false,
                                   &arena, &all, &n, err);
    for (size_t i = 0; st == QN_OK && i < n; i++) {
        known = known || qn_slice_eq_str(all[i].name, name);
        names += i == 0 || !qn_slice_eq(all[i].name, all[i - 1].name);
    }
    qn_arena_deinit(&arena);
    if (st == QN_OK && !known && names >= QUERN_PLUGINS_MAX)
        return qn_fail(err, QN_ELIMIT, "a table has at most %d plug-ins",
                       QUERN_PLUGINS_MAX);
    return st;
}

qn_status quern_plugin_put(quern *q, const char *table, const char *name,
                           const char *body, size_t body_size, bool draft, char **json,
                           size_t *json_size, qn_error *err)
{
    uint32_t version = 0;
    qn_slice text = {body, body_size};
    qn_buf b;
    if (json != NULL) *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    QN_TRY(need_room(q, table, name, err));
    qn_buf_init(&b, q->alloc);
    qn_status st = check(q->alloc, qn_slice_of(name), text, &b, err);
    if (st != QN_OK) return take_json(&b, st, json, json_size, err);
    qn_buf_deinit(&b);
    QN_TRY(qn_control_put(q->control, table, QN_CONTROL_CAVA, qn_slice_of(name), text,
                          !draft, &version, err));
    if (json == NULL) return QN_OK;
    return quern_plugin_show(q, table, name, version, json, json_size, err);
}

static void write_record(qn_json_writer *w, const char *table,
                         const qn_control_record *r)
{
    qn_json_member_str(w, "table", table);
    qn_json_member_slice(w, "name", r->name);
    qn_json_member_int(w, "version", r->version);
    qn_json_member_bool(w, "active", r->active);
    qn_json_member_int(w, "created_ms", r->created_ms);
}

static void write_files(qn_json_writer *w, const qn_plugin_body *body)
{
    if (body->description.n > 0)
        qn_json_member_slice(w, "description", body->description);
    qn_json_key(w, "files");
    qn_json_begin_array(w);
    for (size_t i = 0; i < body->file_count; i++) {
        qn_json_begin_object(w);
        qn_json_member_slice(w, "name", body->files[i].name);
        qn_json_member_slice(w, "source", body->files[i].source);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

qn_status quern_plugin_show(quern *q, const char *table, const char *name,
                            uint32_t version, char **json, size_t *json_size,
                            qn_error *err)
{
    qn_control_record r;
    qn_plugin_body body;
    qn_arena arena;
    qn_json_writer w;
    qn_buf b;
    *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    qn_arena_init(&arena, q->alloc, 0);
    qn_buf_init(&b, q->alloc);
    qn_status st = qn_control_get(q->control, table, QN_CONTROL_CAVA, qn_slice_of(name),
                                  version, &arena, &r, err);
    if (st == QN_OK) st = qn_plugin_body_read(r.body, r.name, &arena, &body, err);
    if (st == QN_OK) {
        qn_json_writer_init(&w, &b, false);
        qn_json_begin_object(&w);
        write_record(&w, table, &r);
        write_files(&w, &body);
        qn_json_end_object(&w);
    }
    qn_arena_deinit(&arena);
    return take_json(&b, st, st == QN_OK ? json : NULL, json_size, err);
}

qn_status quern_plugin_list(quern *q, const char *table, char **json, size_t *json_size,
                            qn_error *err)
{
    const qn_control_record *all = NULL;
    size_t n = 0;
    qn_arena arena;
    qn_json_writer w;
    qn_buf b;
    *json = NULL;
    QN_TRY(qn_engine_need_table(q, table, err));
    qn_arena_init(&arena, q->alloc, 0);
    qn_buf_init(&b, q->alloc);
    qn_status st = qn_control_list(q->control, table, QN_CONTROL_CAVA, NULL, false,
                                   &arena, &all, &n, err);
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "table", table);
    qn_json_key(&w, "plugins");
    qn_json_begin_array(&w);
    for (size_t i = 0; st == QN_OK && i < n; i++) {
        qn_json_begin_object(&w);
        write_record(&w, table, &all[i]);
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
    qn_json_end_object(&w);
    qn_arena_deinit(&arena);
    return take_json(&b, st, st == QN_OK ? json : NULL, json_size, err);
}

qn_status quern_plugin_activate(quern *q, const char *table, const char *name,
                                uint32_t version, qn_error *err)
{
    QN_TRY(qn_engine_need_table(q, table, err));
    if (version == 0) return qn_fail(err, QN_EINVAL, "versions are counted from 1");
    return qn_control_activate(q->control, table, QN_CONTROL_CAVA, qn_slice_of(name),
                               version, err);
}

qn_status quern_plugin_roll_back(quern *q, const char *table, const char *name,
                                 uint32_t *version, qn_error *err)
{
    QN_TRY(qn_engine_need_table(q, table, err));
    return qn_control_roll_back(q->control, table, QN_CONTROL_CAVA, qn_slice_of(name),
                                version, err);
}

qn_status quern_plugin_drop(quern *q, const char *table, const char *name,
                            qn_error *err)
{
    QN_TRY(qn_engine_need_table(q, table, err));
    return qn_control_drop(q->control, table, QN_CONTROL_CAVA, qn_slice_of(name), err);
}

/* ---- trying it on a document ------------------------------------------------------------ */

static void write_test(qn_json_writer *w, const quern_reply *r)
{
    qn_json_begin_object(w);
    qn_json_member_bool(w, "found", r->hit_count > 0);
    if (r->hit_count > 0) {
        const quern_hit *hit = &r->hits[0];
        qn_json_key(w, "id");
        qn_json_string(w, (qn_slice){hit->id, hit->id_size});
        bool scored = !isnan(hit->stages.fine);
        qn_json_member_bool(w, "scored", scored);
        if (scored) qn_json_member_double(w, "plugin_score", hit->stages.fine);
        qn_json_member_double(w, "score", hit->score);
        if (hit->trace_json != NULL) {
            qn_json_key(w, "trace");
            qn_json_raw(w, (qn_slice){hit->trace_json, hit->trace_json_size});
        }
        if (hit->variables != NULL) {
            qn_json_key(w, "variables");
            qn_json_raw(w, (qn_slice){hit->variables, hit->variables_size});
        }
    }
    qn_json_key(w, "warnings");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->warning_count; i++)
        qn_json_string(w, qn_slice_of(r->warnings[i].text));
    qn_json_end_array(w);
    qn_json_end_object(w);
}

qn_status quern_plugin_test(quern *q, const char *table, const char *id, size_t id_size,
                            const quern_search_options *options, char **json,
                            size_t *json_size, qn_error *err)
{
    quern_reply *reply = NULL;
    qn_json_writer w;
    qn_buf b;
    *json = NULL;
    if (options == NULL || options->plugin == NULL)
        return qn_fail(err, QN_EINVAL, "the plug-in to test is not named");
    QN_TRY(quern_explain(q, table, id, id_size, options, &reply, err));
    qn_buf_init(&b, q->alloc);
    qn_json_writer_init(&w, &b, false);
    write_test(&w, reply);
    quern_reply_free(reply);
    return take_json(&b, QN_OK, json, json_size, err);
}
