/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c -- names for models with settings, kept in DATA/control.db beside policies and
 * plug-ins, as records of the whole folder. */
#include "engine/engine_internal.h"

enum { ARENA_LIMIT = 64 << 20 };

static qn_status need_writable(const quern *q, qn_error *err)
{
    if (!q->read_only) return QN_OK;
    return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
}

static qn_status unknown(const char *id, qn_error *err)
{
    return qn_fail(err, QN_ENOTFOUND, "Inference endpoint not found [%.100s]", id);
}

static qn_status find(quern *q, const char *id, qn_arena *arena, qn_control_record *out,
                      qn_error *err)
{
    qn_status st = qn_control_get(q->control, "", QN_CONTROL_ENDPOINT, qn_slice_of(id),
                                  0, arena, out, err);
    return st == QN_ENOTFOUND || st == QN_EBADNAME ? unknown(id, err) : st;
}

qn_status quern_endpoint_put(quern *q, const char *id, const char *settings,
                             size_t settings_size, bool replace, qn_error *err)
{
    qn_arena arena;
    qn_control_record old;
    qn_error ignored;
    QN_TRY(need_writable(q, err));
    qn_arena_init(&arena, q->alloc, ARENA_LIMIT);
    qn_status st = find(q, id, &arena, &old, &ignored);
    qn_arena_deinit(&arena);
    if (st == QN_OK && !replace)
        return qn_fail(err, QN_EEXISTS, "Inference endpoint [%.100s] already exists",
                       id);
    if (st != QN_OK && replace) return unknown(id, err);
    return qn_control_put(q->control, "", QN_CONTROL_ENDPOINT, qn_slice_of(id),
                          (qn_slice){settings, settings_size}, true, NULL, err);
}

qn_status quern_endpoint_get(quern *q, const char *id, char **settings,
                             size_t *settings_size, qn_error *err)
{
    qn_arena arena;
    qn_control_record r;
    qn_buf out;
    *settings = NULL;
    qn_arena_init(&arena, q->alloc, ARENA_LIMIT);
    qn_buf_init(&out, q->alloc);
    qn_status st = find(q, id, &arena, &r, err);
    if (st == QN_OK) qn_buf_add_slice(&out, r.body);
    st = qn_engine_reply(&out, st, settings, settings_size, err);
    qn_arena_deinit(&arena);
    return st;
}

qn_status quern_endpoint_list(quern *q,
                              bool (*each)(void *ctx, const char *id,
                                           const char *settings, size_t settings_size),
                              void *ctx, qn_error *err)
{
    qn_arena arena;
    const qn_control_record *records = NULL;
    size_t n = 0;
    qn_arena_init(&arena, q->alloc, ARENA_LIMIT);
    qn_status st = qn_control_list(q->control, "", QN_CONTROL_ENDPOINT, NULL, true,
                                   &arena, &records, &n, err);
    for (size_t i = 0; st == QN_OK && i < n; i++) {
        const qn_control_record *r = &records[i];
        const char *id = qn_arena_strndup(&arena, r->name.p, r->name.n);
        if (!r->active) continue;
        if (id == NULL)
            st = qn_fail(err, QN_ENOMEM, "endpoints");
        else if (!each(ctx, id, r->body.p, r->body.n))
            break;
    }
    qn_arena_deinit(&arena);
    return st;
}

qn_status quern_endpoint_drop(quern *q, const char *id, qn_error *err)
{
    QN_TRY(need_writable(q, err));
    qn_status st =
        qn_control_drop(q->control, "", QN_CONTROL_ENDPOINT, qn_slice_of(id), err);
    return st == QN_ENOTFOUND || st == QN_EBADNAME ? unknown(id, err) : st;
}
