/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model.c -- quern model ..., quern version */
#include "cli/cmd_deploy.h"

#include "base/clock.h"
#include "io/json.h"
#include "server/reply_json.h"

#include <string.h>
#include <unistd.h>

const cli_option cmd_model_import_options[] = {
    {"name", CLI_TEXT, "NAME", "", "what the model is called from now on", 0, 0},
    {"dtype", CLI_TEXT, "f32|bf16|int8", "int8", "how its numbers are kept", 0, 0},
    {"task", CLI_TEXT, "embed|rerank|sparse|tokens", "what the folder says",
     "sparse: a masked-language model without modules.json as SPLADE", 0, 0},
    {"format", CLI_TEXT, "table|json", "json, on a terminal table", "how to print", 0,
     0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_version_options[] = {
    {"build", CLI_FLAG, NULL, "", "compiler, kernel sets, libraries", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

typedef struct model_listing {
    cli *c;
    cli_table table;
    bool json;
    size_t count;
} model_listing;

static void print_model_json(cli *c, const quern_model_info *m)
{
    qn_buf out;
    qn_json_writer w;
    quern_deployment_state state;
    quern_model_deployment(c->q, m->name, &state);
    qn_buf_init(&out, qn_alloc_heap());
    qn_json_writer_init(&w, &out, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "name", m->name);
    qn_json_member_str(&w, "task", m->task);
    qn_json_member_str(&w, "family", m->family);
    qn_json_member_str(&w, "dtype", m->dtype);
    qn_json_member_int(&w, "dims", m->dims);
    qn_json_member_int(&w, "layers", m->layers);
    qn_json_member_int(&w, "max_tokens", m->max_tokens);
    qn_json_member_int(&w, "parameters", (int64_t)m->parameters);
    qn_json_member_int(&w, "bytes", (int64_t)m->file_bytes);
    qn_json_member_int(&w, "packed_bytes", (int64_t)m->packed_bytes);
    qn_json_member_str(&w, "path", m->path);
    qn_json_member_str(&w, "truncation", m->truncation);
    qn_json_member_str(&w, "activation", m->activation);
    qn_json_member_str(&w, "pooling", m->pooling);
    qn_json_member_bool(&w, "normalized", m->normalized);
    if (m->labels > 1) {
        qn_json_key(&w, "labels");
        qn_json_begin_array(&w);
        for (uint32_t i = 0; i < m->labels; i++) qn_json_str(&w, m->label_names[i]);
        qn_json_end_array(&w);
    }
    qn_json_key(&w, "deployment");
    qn_reply_deployment_json(&w, &state.settings);
    qn_json_end_object(&w);
    (void)printf("%.*s", QN_SLICE_ARG(qn_buf_slice(&out)));
    qn_buf_deinit(&out);
}

static bool list_model(void *ctx, const quern_model_info *m)
{
    model_listing *l = ctx;
    if (l->json) {
        (void)printf("%s", l->count > 0 ? "," : "");
        print_model_json(l->c, m);
    } else {
        cli_table_cell(&l->table, "%s", m->name);
        cli_table_cell(&l->table, "%s", m->task[0] == '\0' ? "damaged" : m->task);
        cli_table_cell(&l->table, "%s", m->family);
        cli_table_cell(&l->table, "%s", m->dtype);
        cli_table_cell(&l->table, "%u", m->dims);
        cli_table_cell(&l->table, "%u", m->max_tokens);
        cli_table_cell(&l->table, "%.1f M", (double)m->parameters / 1e6);
        cli_table_cell(&l->table, "%.1f MB", (double)m->file_bytes / 1e6);
        quern_deployment_state state;
        char text[80];
        quern_model_deployment(l->c->q, m->name, &state);
        cli_table_cell(&l->table, "%s",
                       cli_deployment_text(&state.settings, text, sizeof text));
    }
    l->count++;
    return true;
}

int cmd_model_list(cli *c)
{
    static const char *const titles[] = {"model",      "task", "family",
                                         "dtype",      "dims", "tokens",
                                         "parameters", "file", "allocations"};
    static const cli_align aligns[] = {CLI_LEFT,  CLI_LEFT,  CLI_LEFT,
                                       CLI_LEFT,  CLI_RIGHT, CLI_RIGHT,
                                       CLI_RIGHT, CLI_RIGHT, CLI_LEFT};
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    model_listing l = {.c = c, .json = cli_wants_json(c)};
    cli_table_init(&l.table, 9, titles, aligns, NULL);
    if (l.json) (void)printf("[");
    qn_status st = quern_model_list(c->q, list_model, &l, &c->err);
    if (l.json)
        (void)printf("]\n");
    else if (l.count > 0)
        cli_table_print(&l.table, c, stdout);
    else if (!c->quiet)
        (void)fprintf(stderr, "no models: 'quern model import --help'\n");
    cli_table_deinit(&l.table);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

int cmd_model_show(cli *c)
{
    quern_model_info m = {0};
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_model_info_get(c->q, c->arguments[0], &m, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    if (cli_wants_json(c)) {
        print_model_json(c, &m);
        (void)printf("\n");
        return 0;
    }
    (void)printf("name        %s\ntask        %s\nfamily      %s\ndtype       %s\n"
                 "dimensions  %u\nlayers      %u\ntokens      %u\nparameters  %llu\n"
                 "file        %s (%llu bytes)\npacked      %llu bytes, %s\nlicence     "
                 "%s\norigin      %s\n",
                 m.name, m.task, m.family, m.dtype, m.dims, m.layers, m.max_tokens,
                 (unsigned long long)m.parameters, m.path,
                 (unsigned long long)m.file_bytes, (unsigned long long)m.packed_bytes,
                 m.packed_bytes == 0 ? "private to each process" : "mapped and shared",
                 m.licence[0] == '\0' ? "not recorded" : m.licence,
                 m.origin[0] == '\0' ? "not recorded" : m.origin);
    if (m.truncation[0] != '\0') (void)printf("truncation  %s\n", m.truncation);
    if (m.activation[0] != '\0')
        (void)printf("activation  %s, as its makers recorded it\n", m.activation);
    if (m.pooling[0] != '\0')
        (void)printf("pooling     %s%s\n", m.pooling,
                     m.normalized ? ", scaled to length 1" : "");
    for (uint32_t i = 0; m.labels > 1 && i < m.labels; i++)
        (void)printf("%s%s", i == 0 ? "labels      " : ", ", m.label_names[i]);
    if (m.labels > 1) (void)printf("\n");
    quern_deployment_state state;
    char text[80];
    quern_model_deployment(c->q, m.name, &state);
    (void)printf("allocations %s\n",
                 cli_deployment_text(&state.settings, text, sizeof text));
    return 0;
}

/* One "key  value" a line, keys in words. */
static void print_import_report(qn_slice report)
{
    static const struct {
        const char *key, *title;
    } lines[] = {
        {"name", "name"},
        {"task", "task"},
        {"dtype", "dtype"},
        {"parameters", "parameters"},
        {"tensors", "tensors written"},
        {"ignored", "tensors left out"},
        {"source_bytes", "bytes read"},
        {"output_bytes", "bytes written"},
        {"samples", "scores compared with f32"},
        {"products", "products measured"},
        {"products_finer", "of them kept in a finer type"},
        {"products_finer_share", "part of the arithmetic"},
        {"score_change_mean", "a score moved by, on average"},
        {"score_change_max", "at most"},
        {"score_spread", "where scores spread by"},
        {"rankings", "orders compared with f32"},
        {"kendall_tau_mean", "Kendall's tau, on average"},
        {"kendall_tau_min", "at least"},
        {"cosine_mean", "cosine of vectors, on average"},
        {"cosine_min", "at least"},
        {"summary", "in words"},
    };
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    if (qn_json_parse(&arena, report, &root, NULL) == QN_OK)
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
            const qn_json *v = qn_json_get(root, lines[i].key);
            if (v == NULL) continue;
            qn_slice text = v->kind == QN_JSON_STRING ? v->string : v->raw;
            (void)printf("%-30s%.*s\n", lines[i].title, QN_SLICE_ARG(text));
        }
    qn_arena_deinit(&arena);
}

static bool is_dtype(const char *name)
{
    return strcmp(name, "f32") == 0 || strcmp(name, "bf16") == 0 ||
           strcmp(name, "int8") == 0;
}

int cmd_model_import(cli *c)
{
    const char *name = cli_text(c, "name", NULL), *dtype = cli_text(c, "dtype", "int8");
    char *report = NULL;
    size_t size = 0;
    if (name == NULL) return cli_usage(c, "--name NAME is needed");
    if (!is_dtype(dtype))
        return cli_usage(c, "--dtype is f32, bf16 or int8, not %s", dtype);
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st =
        quern_model_import_as(c->q, c->arguments[0], name, dtype,
                              cli_text(c, "task", NULL), &report, &size, &c->err);
    /* Text for a person at a terminal, JSON for scripts. */
    const char *format = cli_text(c, "format", isatty(1) ? "table" : "json");
    if (st == QN_OK && report != NULL && strcmp(format, "json") == 0)
        cli_print_json(stdout, (qn_slice){report, size});
    else if (st == QN_OK && report != NULL)
        print_import_report((qn_slice){report, size});
    quern_free(report);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

int cmd_model_verify(cli *c)
{
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_model_verify(c->q, c->arguments[0], &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    (void)printf("%s: every checksum is right\n", c->arguments[0]);
    return 0;
}

int cmd_model_rm(cli *c)
{
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_model_remove(c->q, c->arguments[0], &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return 0;
}

int cmd_version(cli *c)
{
    (void)printf("quern %s\n", quern_version());
    if (cli_has(c, "build")) (void)printf("%s", quern_build_info());
    return 0;
}
