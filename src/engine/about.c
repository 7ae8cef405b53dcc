/* SPDX-License-Identifier: Apache-2.0 */
/* about.c -- what this build is, and analysis of a text. */
#include "engine/engine_internal.h"

#include "expr/code.h"

#include <stdio.h>

#ifndef QUERN_VERSION
#define QUERN_VERSION "0.1.0"
#endif

const char *quern_version(void)
{
    return QUERN_VERSION;
}

/* Written once by whoever comes first; the same bytes by all. */
const char *quern_build_info(void)
{
    static char text[1024];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)pthread_mutex_lock(&lock);
    if (text[0] == 0) {
        char sets[128] = "";
        char compiler[160] = "";
        bool compiles = qn_code_probe(NULL, compiler, sizeof compiler);
        size_t at = 0;
        for (size_t i = 0; i < qn_kernel_set_count && at < sizeof sets; i++)
            at += (size_t)snprintf(sets + at, sizeof sets - at, "%s%s%s",
                                   i == 0 ? "" : " ", qn_kernel_sets[i].name,
                                   qn_kernel_sets[i].usable() ? "" : " (not here)");
        (void)snprintf(text, sizeof text,
                       "version: %s\ncompiler: %s\nkernels: %s\nkernels in use: %s\n"
                       "formulas that run often: %s%s\nanalysis: version %d\n",
                       quern_version(),
#if defined(__clang__)
                       "clang " __clang_version__,
#else
                       "gcc " __VERSION__,
#endif
                       sets, qn_kernels_best()->name,
                       compiles ? "compiled by " : "interpreted, ", compiler,
                       QN_ANALYSIS_VERSION);
    }
    (void)pthread_mutex_unlock(&lock);
    return text;
}

void quern_code_stats_get(quern *q, quern_code_stats *out)
{
    qn_code_stats s;
    qn_code_stats_of(q->code, &s);
    *out = (quern_code_stats){
        .size = sizeof *out,
        .compiled = s.compiled,
        .failed = s.failed,
        .dropped = s.dropped,
        .compile_seconds = (double)s.compile_ns / 1e9,
        .programs = s.units,
        .bytes = s.bytes,
    };
    memcpy(out->compiler, s.back_end, sizeof out->compiler);
}

const qn_status_info *quern_status_describe(qn_status code)
{
    return qn_status_describe(code);
}

/* ---- analysis -----------------------------------------------------------------------------
 */

static qn_status analyzer_of_field(quern *q, const char *table, const char *field,
                                   const qn_analyzer **out, qn_error *err)
{
    qn_table *t = NULL;
    QN_TRY(qn_engine_table(q, table, &t, err));
    qn_table_snapshot *s = qn_table_current(t);
    const qn_schema *schema = &s->schema->schema;
    qn_slice name = qn_slice_of(field);
    const qn_field *f = qn_schema_field(schema, name);
    const qn_index_def *d = qn_schema_index(schema, name);
    const char *analyzer = NULL;
    if (f != NULL) analyzer = f->type == QN_FIELD_TEXT ? f->analyzer : "keyword";
    if (f == NULL && d != NULL)
        analyzer = d->analyzer == NULL ? "keyword" : d->analyzer;
    qn_status st = QN_OK;
    if (analyzer != NULL) {
        st = qn_analyzer_find(q->analyzers, qn_slice_of(analyzer), out, err);
    } else {
        const char *near = qn_schema_nearest(schema, name);
        st = qn_fail(err, QN_ENOFIELD, "table %s has no field [%s]%s%s", table, field,
                     near == NULL ? "" : "; did you mean ", near == NULL ? "" : near);
    }
    qn_table_snapshot_release(s);
    qn_table_release(t);
    return st;
}

qn_status quern_analyze(quern *q, const char *table, const char *field,
                        const char *analyzer, const char *text, size_t text_size,
                        void (*each)(void *ctx, const quern_token *token), void *ctx,
                        qn_error *err)
{
    const qn_analyzer *a = NULL;
    if (analyzer != NULL) {
        QN_TRY(qn_analyzer_find(q->analyzers, qn_slice_of(analyzer), &a, err));
    } else if (table != NULL && field != NULL) {
        QN_TRY(analyzer_of_field(q, table, field, &a, err));
    } else {
        QN_TRY(qn_analyzer_find(q->analyzers, QN_SLICE_LIT("standard"), &a, err));
    }
    qn_arena arena;
    qn_arena_init(&arena, q->alloc, 0);
    qn_token_list tokens = {0};
    qn_status st =
        qn_analyzer_run(a, (qn_slice){text, text_size}, &arena, &tokens, err);
    for (size_t i = 0; st == QN_OK && i < tokens.n; i++) {
        const qn_token *t = &tokens.p[i];
        const quern_token out = {
            .text = t->term.p,
            .text_size = t->term.n,
            .start = t->start,
            .end = t->end,
            .start16 = t->start16,
            .end16 = t->end16,
            .position = t->position,
            .type = t->type,
        };
        each(ctx, &out);
    }
    qn_arena_deinit(&arena);
    return st;
}
