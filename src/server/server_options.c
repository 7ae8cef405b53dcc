/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server_options.h"

#include "base/nearest.h"
#include "io/file.h"

#include <inttypes.h>
#include <stdio.h>

enum { CONFIG_MAX_BYTES = 1 << 20, NAME_MAX_BYTES = 64 };

const qn_server_option qn_server_option_table[] = {
#define ROW(name, kind, fallback, min, max, value, help)                               \
    {#name, QN_SERVER_OPTION_##kind,          fallback, min, max, value,               \
     help,  offsetof(qn_server_options, name)},
#include "server/options.def"
#undef ROW
};
const size_t qn_server_option_count =
    sizeof qn_server_option_table / sizeof *qn_server_option_table;

static qn_status set_text(const qn_server_option *row, char *to, qn_slice v,
                          qn_error *err)
{
    if (v.n >= QN_SERVER_OPTION_TEXT_MAX)
        return qn_fail(err, QN_EUSAGE, "the value of %s is longer than %d bytes",
                       row->name, QN_SERVER_OPTION_TEXT_MAX - 1);
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < ' ')
            return qn_fail(err, QN_EUSAGE, "the value of %s has a control character",
                           row->name);
    if (v.n > 0) memcpy(to, v.p, v.n);
    to[v.n] = '\0';
    return QN_OK;
}

static qn_status set_int(const qn_server_option *row, int64_t *to, qn_slice v,
                         qn_error *err)
{
    int64_t n = 0;
    if (!qn_slice_to_i64(v, &n) || n < row->min || n > row->max)
        return qn_fail(err, QN_EUSAGE,
                       "%s must be a whole number from %" PRId64 " to %" PRId64
                       ", not '%.*s'",
                       row->name, row->min, row->max, v.n > 60 ? 60 : (int)v.n, v.p);
    *to = n;
    return QN_OK;
}

static qn_status set_flag(const qn_server_option *row, bool *to, qn_slice v,
                          qn_error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes",
                                        "off",   "on",   "0",  "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!qn_slice_eq_nocase(v, words[i])) continue;
        *to = i % 2 == 1;
        return QN_OK;
    }
    return qn_fail(err, QN_EUSAGE, "%s must be true or false, not '%.*s'", row->name,
                   v.n > 60 ? 60 : (int)v.n, v.p);
}

static qn_status set_row(qn_server_options *o, const qn_server_option *row, qn_slice v,
                         qn_error *err)
{
    void *to = (char *)o + row->offset;
    switch (row->kind) {
    case QN_SERVER_OPTION_TEXT:
        return set_text(row, to, v, err);
    case QN_SERVER_OPTION_INT:
        return set_int(row, to, v, err);
    case QN_SERVER_OPTION_FLAG:
        return set_flag(row, to, v, err);
    }
    return QN_OK;
}

void qn_server_options_init(qn_server_options *o)
{
    memset(o, 0, sizeof *o);
    for (size_t i = 0; i < qn_server_option_count; i++) {
        const qn_server_option *row = &qn_server_option_table[i];
        qn_assert(set_row(o, row, qn_slice_of(row->fallback), NULL) == QN_OK);
    }
}

static qn_status set_named(qn_server_options *o, qn_slice name, qn_slice value,
                           qn_error *err)
{
    char wanted[NAME_MAX_BYTES] = "";
    for (size_t i = 0; i < name.n && i + 1 < sizeof wanted; i++)
        wanted[i] = name.p[i] == '-' ? '_' : name.p[i];
    qn_nearest near = qn_nearest_begin(qn_slice_of(wanted));
    for (size_t i = 0; i < qn_server_option_count; i++) {
        const qn_server_option *row = &qn_server_option_table[i];
        if (strcmp(row->name, wanted) == 0) return set_row(o, row, value, err);
        qn_nearest_offer(&near, qn_slice_of(row->name));
    }
    if (near.best.p == NULL)
        return qn_fail(err, QN_EUSAGE, "unknown option '%s'", wanted);
    return qn_fail(err, QN_EUSAGE, "unknown option '%s', did you mean '%.*s'?", wanted,
                   QN_SLICE_ARG(near.best));
}

qn_status qn_server_options_set(qn_server_options *o, const char *name,
                                const char *value, qn_error *err)
{
    return set_named(o, qn_slice_of(name), qn_slice_of(value), err);
}

static qn_status read_line(qn_server_options *o, const char *path, size_t number,
                           qn_slice line, qn_error *err)
{
    line = qn_slice_trim(line);
    if (line.n == 0 || line.p[0] == '#') return QN_OK;
    const char *equals = memchr(line.p, '=', line.n);
    if (equals == NULL)
        return qn_fail_file(err, QN_EUSAGE, path, QN_AT_NONE,
                            "line %zu: write `name = value`", number);
    qn_slice name = {line.p, (size_t)(equals - line.p)};
    qn_slice value = {equals + 1, line.n - name.n - 1};
    qn_error inner = {0};
    if (set_named(o, qn_slice_trim(name), qn_slice_trim(value), &inner) == QN_OK)
        return QN_OK;
    return qn_fail_file(err, QN_EUSAGE, path, QN_AT_NONE, "line %zu: %.400s", number,
                        inner.text);
}

qn_status qn_server_options_read_file(qn_server_options *o, const char *path,
                                      qn_error *err)
{
    qn_buf text = {.alloc = qn_alloc_heap()};
    qn_status st = qn_file_read(path, CONFIG_MAX_BYTES, &text, err);
    qn_slice rest = qn_buf_slice(&text);
    for (size_t number = 1; st == QN_OK && rest.n > 0; number++) {
        const char *end = memchr(rest.p, '\n', rest.n);
        qn_slice line = {rest.p, end == NULL ? rest.n : (size_t)(end - rest.p)};
        size_t used = line.n + (end != NULL);
        rest = (qn_slice){rest.p + used, rest.n - used};
        st = read_line(o, path, number, line, err);
    }
    qn_buf_deinit(&text);
    return st;
}

qn_status qn_server_options_read_environment(qn_server_options *o,
                                             char *(*get)(const char *name),
                                             qn_error *err)
{
    for (size_t i = 0; i < qn_server_option_count; i++) {
        const qn_server_option *row = &qn_server_option_table[i];
        char name[NAME_MAX_BYTES + 8];
        (void)snprintf(name, sizeof name, "QUERN_%s", row->name);
        for (char *c = name; *c != '\0'; c++)
            if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
        const char *value = get(name);
        if (value != NULL) QN_TRY(set_row(o, row, qn_slice_of(value), err));
    }
    return QN_OK;
}

void qn_server_options_print(const qn_server_options *o, qn_buf *out)
{
    for (size_t i = 0; i < qn_server_option_count; i++) {
        const qn_server_option *row = &qn_server_option_table[i];
        const void *from = (const char *)o + row->offset;
        qn_buf_printf(out, "# %s\n%s = ", row->help, row->name);
        switch (row->kind) {
        case QN_SERVER_OPTION_TEXT:
            qn_buf_printf(out, "%s\n", (const char *)from);
            break;
        case QN_SERVER_OPTION_INT:
            qn_buf_printf(out, "%" PRId64 "\n", *(const int64_t *)from);
            break;
        case QN_SERVER_OPTION_FLAG:
            qn_buf_printf(out, "%s\n", *(const bool *)from ? "true" : "false");
            break;
        }
    }
}

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static uint64_t megabytes(int64_t n)
{
    return n == 0 ? QUERN_CACHE_OFF : (uint64_t)n << 20;
}

void qn_server_options_apply(const qn_server_options *o, quern_deployment *deployment,
                             quern_options *out)
{
    out->search_threads = (unsigned)o->search_threads;
    out->neural_threads = (unsigned)o->neural_threads;
    out->neural_queue_tokens = (uint64_t)o->neural_queue_tokens;
    *deployment = (quern_deployment)QUERN_DEPLOYMENT_INIT;
    deployment->adaptive = o->adaptive_allocations;
    deployment->allocations = (unsigned)o->allocations;
    deployment->threads = (unsigned)o->allocation_threads;
    deployment->allocations_min = (unsigned)o->min_allocations;
    deployment->allocations_max = (unsigned)o->max_allocations;
    if (o->adaptive_allocations) deployment->idle_ms = o->allocation_idle_ms;
    out->deployment = deployment;
    out->memory_budget_bytes = (uint64_t)o->memory_budget_bytes;
    out->score_cache_bytes = megabytes(o->score_cache_mb);
    out->token_cache_bytes = megabytes(o->token_cache_mb);
    out->filter_cache_bytes = (uint64_t)o->filter_cache_bytes;
    out->merge_bytes_per_second = (uint64_t)o->merge_bytes_per_second;
    out->merge_segment_bytes_max = (uint64_t)o->merge_segment_bytes_max;
    out->default_embedder = or_null(o->default_embedder);
    out->default_reranker = or_null(o->default_reranker);
    out->kernels = or_null(o->kernels);
    out->async_commit = o->async_commit;
    out->default_table = or_null(o->default_table);
    out->ha3_sort_ascending = o->ha3_sort_ascending;
}
