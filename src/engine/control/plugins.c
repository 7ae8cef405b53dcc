/* SPDX-License-Identifier: Apache-2.0 */
/* plugins.c -- programs for searches: which one, compiled once, counted. */
#include "engine/control/plugins.h"

#include "engine/control/plugin_body.h"

#include <pthread.h>

struct qn_plugin_code {
    uint64_t id;       /* of the record; 0: of no record */
    size_t references; /* guarded by the lock of qn_plugins */
    uint64_t used;     /* when last; guarded as well */
    qn_cava_program *program;
};

struct qn_plugins {
    qn_alloc *alloc;
    pthread_mutex_t lock;
    qn_plugin_code *kept[QN_PLUGINS_KEPT]; /* guarded by lock */
    size_t count;
    uint64_t clock;
};

qn_status qn_plugins_create(qn_alloc *a, qn_plugins **out, qn_error *err)
{
    *out = NULL;
    qn_plugins *p = qn_new0(a, sizeof *p);
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "plug-ins");
    p->alloc = a;
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        qn_delete(a, p);
        return qn_fail(err, QN_ENOMEM, "plug-ins");
    }
    *out = p;
    return QN_OK;
}

static void code_destroy(qn_plugins *p, qn_plugin_code *c)
{
    qn_cava_program_destroy(c->program);
    qn_delete(p->alloc, c);
}

void qn_plugins_destroy(qn_plugins *p)
{
    if (p == NULL) return;
    for (size_t i = 0; i < p->count; i++) code_destroy(p, p->kept[i]);
    (void)pthread_mutex_destroy(&p->lock);
    qn_delete(p->alloc, p);
}

static void release(qn_plugins *p, qn_plugin_code *c)
{
    (void)pthread_mutex_lock(&p->lock);
    bool last = --c->references == 0;
    (void)pthread_mutex_unlock(&p->lock);
    if (last) code_destroy(p, c);
}

static qn_plugin_code *find_kept(qn_plugins *p, uint64_t id)
{
    qn_plugin_code *found = NULL;
    (void)pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->count && found == NULL; i++)
        if (p->kept[i]->id == id) found = p->kept[i];
    if (found != NULL) {
        found->references++;
        found->used = ++p->clock;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return found;
}

/* Keeps it, in the place of the one that was not used for longest. */
static void keep(qn_plugins *p, qn_plugin_code *c)
{
    qn_plugin_code *out = NULL;
    (void)pthread_mutex_lock(&p->lock);
    c->references++;
    c->used = ++p->clock;
    if (p->count < QN_PLUGINS_KEPT) {
        p->kept[p->count++] = c;
    } else {
        size_t oldest = 0;
        for (size_t i = 1; i < p->count; i++)
            if (p->kept[i]->used < p->kept[oldest]->used) oldest = i;
        if (--p->kept[oldest]->references == 0) out = p->kept[oldest];
        p->kept[oldest] = c;
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (out != NULL) code_destroy(p, out);
}

static qn_status compile(qn_plugins *p, qn_slice name, qn_slice body, qn_arena *arena,
                         qn_plugin_code **out, qn_error *err)
{
    qn_plugin_body b;
    *out = NULL;
    QN_TRY(qn_plugin_body_read(body, name, arena, &b, err));
    qn_plugin_code *c = qn_new0(p->alloc, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "plug-in");
    c->references = 1;
    qn_status st =
        qn_cava_compile(p->alloc, b.files, b.file_count, NULL, &c->program, err);
    if (st != QN_OK) {
        qn_delete(p->alloc, c);
        return st;
    }
    *out = c;
    return QN_OK;
}

/* The version's program (0: the active one), compiled now or before. */
static qn_status get(quern *q, const char *table, qn_slice name, uint32_t version,
                     qn_arena *arena, qn_plugin_code **out, uint32_t *number,
                     qn_error *err)
{
    qn_control_record r;
    QN_TRY(qn_control_get(q->control, table, QN_CONTROL_CAVA, name, version, arena, &r,
                          err));
    *number = r.version;
    *out = find_kept(q->plugins, r.id);
    if (*out != NULL) return QN_OK;
    QN_TRY(compile(q->plugins, name, r.body, arena, out, err));
    (*out)->id = r.id;
    keep(q->plugins, *out);
    return QN_OK;
}

/* ---- searches --------------------------------------------------------------------------- */

static qn_status no_code(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "plug-in");
}

/* A plug-in for the search: its code and what was found in it. */
static qn_status take(qn_search *s, qn_slice name, qn_slice class_name,
                      qn_rank_plugin **out, qn_error *err)
{
    qn_plugin_code *code = NULL;
    uint32_t version = 0;
    qn_rank_plugin *plugin = qn_arena_new(s->arena, sizeof *plugin);
    if (plugin == NULL) return no_code(err);
    if (s->plugin_count == QN_RANK_STAGES_MAX)
        return qn_fail(err, QN_ELIMIT, "a search runs at most %d plug-ins",
                       QN_RANK_STAGES_MAX);
    if (s->options.plugin_body_size > 0)
        QN_TRY(compile(s->q->plugins, name,
                       (qn_slice){s->options.plugin_body, s->options.plugin_body_size},
                       s->arena, &code, err));
    else
        QN_TRY(get(s->q, s->table, name, s->options.plugin_version, s->arena, &code,
                   &version, err));
    s->plugin_codes[s->plugin_count++] = code;
    QN_TRY(qn_rank_plugin_describe(code->program, class_name, plugin, err));
    plugin->name = qn_arena_slice(s->arena, name);
    plugin->version = version;
    if (plugin->name.p == NULL) return no_code(err);
    *out = plugin;
    return QN_OK;
}

/* The fine stage is the caller's own plug-in. */
static qn_status own_stage(qn_search *s)
{
    size_t i = 0;
    while (i < s->stage_count && s->stages[i].kind != QN_STAGE_FINE) i++;
    if (i == s->stage_count) {
        size_t at = i > 0 && s->stages[i - 1].kind == QN_STAGE_NEURAL ? i - 1 : i;
        if (s->stage_count == QN_RANK_STAGES_MAX) return QN_ELIMIT;
        for (size_t k = s->stage_count++; k > at; k--) s->stages[k] = s->stages[k - 1];
        s->stages[at] =
            (qn_stage){.kind = QN_STAGE_FINE, .keep = QN_RANK_RERANK_SIZE_DEFAULT};
        i = at;
    }
    s->stages[i].formula = s->stages[i].policy = QN_SLICE_LIT("");
    s->stages[i].plugin_name = qn_slice_of(s->options.plugin);
    return QN_OK;
}

qn_status qn_search__plugin_stages(qn_search *s, qn_error *err)
{
    if (s->options.plugin != NULL && own_stage(s) != QN_OK)
        return qn_fail(err, QN_ELIMIT, "a pipeline has at most %d stages",
                       QN_RANK_STAGES_MAX);
    for (size_t i = 0; i < s->stage_count; i++) {
        qn_rank_plugin *plugin = NULL;
        if (s->stages[i].plugin_name.n == 0 || s->stages[i].plugin != NULL) continue;
        QN_TRY(take(s, s->stages[i].plugin_name, QN_SLICE_LIT(""), &plugin, err));
        s->stages[i].plugin = plugin;
    }
    return QN_OK;
}

/* Is there an active record of this kind and name? */
static bool has(qn_search *s, const char *kind, qn_slice name)
{
    qn_control_record r;
    return qn_control_get(s->q->control, s->table, kind, name, 0, s->arena, &r, NULL) ==
           QN_OK;
}

static bool is_only_plugin(qn_search *s, qn_slice name)
{
    return name.n > 0 && !has(s, QN_CONTROL_FINE, name) &&
           has(s, QN_CONTROL_CAVA, name);
}

/* A profile that is a plug-in's name: with it goes the rough policy of that name, and
 * what the request says itself goes before both. */
static qn_slice of_profile(qn_search *s, qn_request *r)
{
    qn_slice name = r->rank.profile;
    if (!is_only_plugin(s, name)) return QN_SLICE_LIT("");
    if (r->first_formula.n == 0 && r->first_rank_name.n == 0 &&
        has(s, QN_CONTROL_ROUGH, name))
        r->first_rank_name = name;
    r->rank.profile = QN_SLICE_LIT("");
    bool told = r->formula.n > 0 || r->second_rank_name.n > 0;
    return told ? QN_SLICE_LIT("") : name;
}

/* Which plug-in an HA3 request means; "": none. */
static qn_status find_named(qn_search *s, qn_request *r, qn_slice *name, qn_error *err)
{
    const qn_kvpair *pair = qn_request_kvpair(r, "second_rank_type");
    qn_slice type = pair == NULL ? QN_SLICE_LIT("") : pair->value;
    bool script = qn_slice_eq_str(type, "cava_script");
    *name = r->second_rank_name;
    if (type.n > 0 && !script && !qn_slice_eq_str(type, "expression"))
        return qn_fail(err, QN_EINVAL,
                       "second_rank_type is expression or cava_script, not '%.*s'",
                       type.n > 40 ? 40 : (int)type.n, type.p);
    if (script && name->n == 0)
        return qn_fail(err, QN_EINVAL,
                       "second_rank_type:cava_script needs second_rank_name, the name "
                       "of a plug-in");
    if (script) return QN_OK;
    if (type.n == 0 && is_only_plugin(s, *name)) return QN_OK;
    *name = of_profile(s, r);
    return QN_OK;
}

qn_status qn_search__plugin_ha3(qn_search *s, qn_request *r, qn_error *err)
{
    qn_rank_plugin *plugin = NULL;
    qn_slice name = QN_SLICE_LIT("");
    if (s->options.plugin == NULL) QN_TRY(find_named(s, r, &name, err));
    const qn_kvpair *class_name = qn_request_kvpair(r, "scorer_class_name");
    if (name.n == 0) return QN_OK;
    if (r->formula.n > 0)
        return qn_fail(err, QN_EINVAL,
                       "the request gives formula and names the plug-in [%.*s]: one of "
                       "them must go",
                       QN_SLICE_ARG(name));
    qn_error why = {.at = QN_AT_NONE};
    qn_slice wanted = class_name == NULL ? QN_SLICE_LIT("") : class_name->value;
    qn_status st = take(s, name, wanted, &plugin, &why);
    /* Without the class that the request asks for every score is 0. */
    if (st == QN_EPLUGINCODE && wanted.n > 0) {
        (void)qn_fail(&s->policy_warning, QN_EPLUGIN,
                      "no scorer [%.*s] found in the plug-in %.*s",
                      QN_SLICE_ARG(wanted), QN_SLICE_ARG(name));
    } else if (st != QN_OK) {
        if (err != NULL) *err = why;
        return st;
    }
    r->second_rank_name = QN_SLICE_LIT("");
    r->formula =
        QN_SLICE_LIT("0"); /* the place of the plug-in, and its value without */
    s->ha3_plugin = plugin;
    return QN_OK;
}

void qn_search__plugin_end(qn_search *s)
{
    while (s->plugin_count > 0)
        release(s->q->plugins, s->plugin_codes[--s->plugin_count]);
}
