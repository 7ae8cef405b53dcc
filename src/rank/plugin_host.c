/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_host.c -- native methods of plug-ins: objects, kvpairs, traces; who serves the
 * others. */
#include "rank/plugin_internal.h"

#include <stdio.h>

static qn_status no_memory(const qn_error *err)
{
    return err == NULL ? QN_EPLUGIN : err->code;
}

/* ---- kvpairs ---------------------------------------------------------------------------- */

static qn_status pair(qn_rank_scorer *s, const qn_cava_call *c, qn_slice *value,
                      bool *there, qn_error *err)
{
    if (c->args[1].r == NULL) return qn_fail(err, QN_EPLUGIN, "null key");
    QN_TRY(qn_cava_charge(c->run, s->in->kvpair_count * sizeof *s->in->kvpairs, err));
    *there = qn_binding_kvpair(&s->binding, qn_cava_string(c->args[1].r), value);
    return QN_OK;
}

static qn_status kv_value(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_slice value;
    bool there = false;
    QN_TRY(pair(s, c, &value, &there, err));
    c->result.r = NULL;
    if (!there) return QN_OK;
    c->result.r = qn_cava_new_view(c->run, value, err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

/* Absent, or no number: 0. */
static qn_status kv_number(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_slice value;
    bool there = false;
    double real = 0;
    int64_t integer = 0;
    QN_TRY(pair(s, c, &value, &there, err));
    if (there) {
        QN_TRY(qn_cava_charge(c->run, value.n, err));
        value = qn_slice_trim(value);
    }
    if (c->arg != 0) {
        if (there && !qn_slice_to_i64(value, &integer) &&
            qn_slice_to_f64(value, &real) && real > -9e18 && real < 9e18)
            integer = (int64_t)real;
        c->result.i = integer;
    } else {
        if (there && !qn_slice_to_f64(value, &real)) real = 0;
        c->result.d = real;
    }
    return QN_OK;
}

static void put_number(void *items, size_t i, int kind, qn_slice text)
{
    double real = 0;
    int64_t integer = 0;
    text = qn_slice_trim(text);
    bool whole = qn_slice_to_i64(text, &integer);
    if (!qn_slice_to_f64(text, &real)) real = 0;
    if (!whole && real > -9e18 && real < 9e18) integer = (int64_t)real;
    switch (kind) {
    case 0:
        ((float *)items)[i] = (float)real;
        break;
    case 1:
        ((double *)items)[i] = real;
        break;
    case 2:
        ((int16_t *)items)[i] = (int16_t)integer;
        break;
    case 3:
        ((int8_t *)items)[i] = (int8_t)integer;
        break;
    case 4:
        ((int32_t *)items)[i] = (int32_t)integer;
        break;
    default:
        ((int64_t *)items)[i] = integer;
    }
}

static size_t next_part(qn_slice rest, qn_slice separator)
{
    for (size_t i = 0; i + separator.n <= rest.n; i++)
        if (memcmp(rest.p + i, separator.p, separator.n) == 0) return i;
    return rest.n;
}

static qn_status kv_array(qn_rank_scorer *s, qn_cava_call *c, qn_error *err)
{
    qn_slice value;
    bool there = false;
    QN_TRY(pair(s, c, &value, &there, err));
    c->result.r = NULL;
    if (!there) return QN_OK;
    if (c->args[2].r == NULL || c->args[2].r->n == 0)
        return qn_fail(err, QN_EPLUGIN, "an empty separator");
    qn_slice separator = qn_cava_string(c->args[2].r), rest = value;
    QN_TRY(qn_cava_charge(c->run, 2 * (uint64_t)value.n * separator.n, err));
    uint64_t n = 1;
    for (size_t i; (i = next_part(rest, separator)) < rest.n; n++) {
        rest.p += i + separator.n;
        rest.n -= i + separator.n;
        if (rest.n == 0) break;
    }
    qn_cava_object *array = qn_cava_new_array(c->run, c->type, n, err);
    if (array == NULL) return no_memory(err);
    rest = value;
    for (size_t k = 0; k < n; k++) {
        size_t i = next_part(rest, separator);
        put_number(qn_cava_items(array), k, c->arg, (qn_slice){rest.p, i});
        size_t used = i + separator.n < rest.n ? i + separator.n : rest.n;
        rest.p += used, rest.n -= used;
    }
    c->result.r = array;
    return QN_OK;
}

/* ---- traces ----------------------------------------------------------------------------- */

/* A slot as the letter of the library says; upper case: a multi-value of it. */
static void print_value(qn_buf *b, int kind, qn_cava_slot v)
{
    switch (kind) {
    case 'b':
        qn_buf_add_str(b, v.i != 0 ? "true" : "false");
        break;
    case 'u':
        qn_buf_printf(b, "%llu", (unsigned long long)v.i);
        break;
    case 'f':
    case 'd':
        qn_buf_printf(b, "%g", v.d);
        break;
    case 's':
        if (v.r == NULL)
            qn_buf_add_str(b, "null");
        else
            qn_buf_add_slice(b, qn_cava_string(v.r));
        break;
    default:
        qn_buf_printf(b, "%lld", (long long)v.i);
    }
}

static void print_any(qn_buf *b, int kind, qn_cava_slot v)
{
    bool multi = kind >= 'A' && kind <= 'Z';
    if (!multi) {
        print_value(b, kind, v);
        return;
    }
    if (v.r == NULL) {
        qn_buf_add_str(b, "null");
        return;
    }
    const qn_cava_slot *items = qn_cava_multi_items(v.r);
    for (uint32_t i = 0; i < v.r->n && b->n < QN_PLUGIN_LOG_MAX; i++) {
        if (i > 0) qn_buf_add_char(b, ',');
        print_value(b, kind - 'A' + 'a', items[i]);
    }
}

/* Only when somebody will read it; what is too long is cut. */
static qn_status trace(qn_rank_scorer *s, qn_cava_call *c, const qn_cava_slot *message,
                       qn_cava_slot value, qn_error *err)
{
    char room[160];
    if (s->in->trace == QN_TRACE_NONE || s->starting) return QN_OK;
    if (s->log.n >= QN_PLUGIN_LOG_MAX) return QN_OK;
    size_t before = s->log.n;
    qn_buf_printf(&s->log, "[%.*s][",
                  QN_SLICE_ARG(qn_cava_where(c->run, room, sizeof room)));
    if (message != NULL && message->r != NULL) {
        qn_buf_add_slice(&s->log, qn_cava_string(message->r));
        qn_buf_add_char(&s->log, ' ');
    }
    print_any(&s->log, c->arg, value);
    if (s->log.n > QN_PLUGIN_LOG_MAX) {
        s->log.n = QN_PLUGIN_LOG_MAX;
        /* No character is cut in its middle. */
        while (s->log.n > before && ((unsigned char)s->log.p[s->log.n] & 0xC0) == 0x80)
            s->log.n--;
    }
    qn_buf_add_str(&s->log, "]\n");
    return s->log.failed ? qn_fail(err, QN_ENOMEM, "trace of a plug-in") : QN_OK;
}

/* ---- all -------------------------------------------------------------------------------- */

qn_status qn_plugin__call(void *ctx, qn_cava_call *c, qn_error *err)
{
    qn_rank_scorer *s = ctx;
    switch (c->id) {
    case QN_CAVA_N_KV_VALUE:
        return kv_value(s, c, err);
    case QN_CAVA_N_KV_NUMBER:
        return kv_number(s, c, err);
    case QN_CAVA_N_KV_ARRAY:
        return kv_array(s, c, err);
    case QN_CAVA_N_OBJECT:
        c->result.r = qn_cava_new_native(c->run, (qn_cava_class_id)c->arg, 0, err);
        return c->result.r == NULL ? no_memory(err) : QN_OK;
    case QN_CAVA_N_FEATURE_CREATE:
        return qn_plugin__create(s, c, err);
    case QN_CAVA_N_FEATURE_SET:
        return qn_plugin__set(s, c, err);
    case QN_CAVA_N_FEATURE_VALUE:
        return qn_plugin__value(s, c, err);
    case QN_CAVA_N_DOC_TRACE:
        return c->n == 2 ? trace(s, c, NULL, c->args[1], err)
                         : trace(s, c, &c->args[1], c->args[2], err);
    case QN_CAVA_N_TRACE_DOC:
        return trace(s, c, NULL, c->args[2], err);
    case QN_CAVA_N_TRACE_QUERY:
        return trace(s, c, NULL, c->args[1], err);
    case QN_CAVA_N_REF_GET:
    case QN_CAVA_N_REF_SET:
    case QN_CAVA_N_REF_REQUIRE:
    case QN_CAVA_N_REF_DECLARE:
    case QN_CAVA_N_REF_FIND:
        return qn_plugin__reference(s, c, err);
    case QN_CAVA_N_MATCH_DELETE:
    case QN_CAVA_N_MATCH_DELETED:
        if (s->starting) return qn_fail(err, QN_EPLUGIN, "there is no document yet");
        if (c->id == QN_CAVA_N_MATCH_DELETE) s->deleted[qn_plugin_number(s)] = true;
        c->result.i = s->deleted[qn_plugin_number(s)];
        return QN_OK;
    case QN_CAVA_N_MATCH_INFO:
    case QN_CAVA_N_MATCH_VALUE_GET:
    case QN_CAVA_N_REQUIRE_MATCH_VALUES:
        return qn_plugin__match(s, c, err);
    case QN_CAVA_N_BATCH_REF:
    case QN_CAVA_N_BATCH_COUNT:
    case QN_CAVA_N_BATCH_DOC:
        return qn_fail(err, QN_EPLUGIN, "batchProcess() is not used: process() is");
    default:
        return qn_plugin__attribute(s, c, err);
    }
}
