/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/arena.h"
#include "base/clock.h"
#include "io/json.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

int cli_fail(const cli *c, const qn_error *err)
{
    (void)c;
    (void)fprintf(stderr, "quern: %s", err->text);
    if (err->file[0] != '\0' && strstr(err->text, err->file) == NULL)
        (void)fprintf(stderr, " (%s", err->file);
    else if (err->at != QN_AT_NONE)
        (void)fprintf(stderr, " (");
    if (err->file[0] != '\0' && strstr(err->text, err->file) == NULL) {
        if (err->at != QN_AT_NONE)
            (void)fprintf(stderr, ", byte %llu)", (unsigned long long)err->at);
        else
            (void)fprintf(stderr, ")");
    } else if (err->at != QN_AT_NONE) {
        (void)fprintf(stderr, "byte %llu)", (unsigned long long)err->at);
    }
    (void)fprintf(stderr, "\n");
    return qn_status_describe(err->code)->exit_code;
}

int cli_fail_at(const cli *c, const qn_error *err, qn_slice text)
{
    int code = cli_fail(c, err);
    if (err->at == QN_AT_NONE || err->at > text.n || err->file[0] != '\0') return code;
    /* The line that holds the place, and a caret under it. */
    size_t begin = (size_t)err->at, end = (size_t)err->at;
    while (begin > 0 && text.p[begin - 1] != '\n' && err->at - begin < 60) begin--;
    while (end < text.n && text.p[end] != '\n' && end - err->at < 60) end++;
    while (begin > 0 && ((unsigned char)text.p[begin] & 0xC0) == 0x80) begin--;
    size_t indent = cli_width((qn_slice){text.p + begin, (size_t)err->at - begin});
    (void)fprintf(stderr, "  %.*s\n  %*s^\n", (int)(end - begin), text.p + begin,
                  (int)indent, "");
    return code;
}

int cli_usage(const cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "quern: ");
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n'quern %s --help' says more\n", c->command->name);
    va_end(args);
    return 2;
}

bool cli_wants_json(const cli *c)
{
    return strcmp(cli_text(c, "format", "table"), "json") == 0;
}

/* One code point; malformed bytes count as one each. */
static uint32_t next_code_point(qn_slice s, size_t *i)
{
    unsigned char first = (unsigned char)s.p[(*i)++];
    if (first < 0x80) return first;
    unsigned more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    uint32_t cp = first & (0x3Fu >> more);
    while (more-- > 0 && *i < s.n && ((unsigned char)s.p[*i] & 0xC0) == 0x80)
        cp = cp << 6 | ((unsigned char)s.p[(*i)++] & 0x3F);
    return cp;
}

static size_t columns_of(uint32_t cp)
{
    if (cp < 0x20 || (cp >= 0x300 && cp <= 0x36F) || (cp >= 0x200B && cp <= 0x200F))
        return 0;
    bool wide = (cp >= 0x1100 && cp <= 0x115F) || (cp >= 0x2E80 && cp <= 0xA4CF) ||
                (cp >= 0xAC00 && cp <= 0xD7A3) || (cp >= 0xF900 && cp <= 0xFAFF) ||
                (cp >= 0xFE30 && cp <= 0xFE6F) || (cp >= 0xFF00 && cp <= 0xFF60) ||
                (cp >= 0xFFE0 && cp <= 0xFFE6) || (cp >= 0x1F300 && cp <= 0x1FAFF) ||
                (cp >= 0x20000 && cp <= 0x3FFFD);
    return wide ? 2 : 1;
}

size_t cli_width(qn_slice s)
{
    size_t width = 0;
    for (size_t i = 0; i < s.n;) width += columns_of(next_code_point(s, &i));
    return width;
}

/* Bytes of `s` that fit into `columns`. */
static size_t fit(qn_slice s, size_t columns)
{
    size_t used = 0, i = 0;
    while (i < s.n) {
        size_t before = i, width = columns_of(next_code_point(s, &i));
        if (used + width > columns) return before;
        used += width;
    }
    return s.n;
}

void cli_table_init(cli_table *t, size_t columns, const char *const *titles,
                    const cli_align *aligns, const size_t *widths_max)
{
    *t = (cli_table){.columns = columns,
                     .titles = titles,
                     .aligns = aligns,
                     .widths_max = widths_max};
    qn_buf_init(&t->text, qn_alloc_heap());
}

void cli_table_cell(cli_table *t, const char *fmt, ...)
{
    char cell[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(cell, sizeof cell, fmt, args);
    va_end(args);
    for (char *p = cell; *p != '\0'; p++)
        if (*p == '\n' || *p == '\t' || *p == '\r') *p = ' ';
    qn_slice s = qn_slice_of(cell);
    size_t most = t->widths_max == NULL ? 0 : t->widths_max[t->cells % t->columns];
    if (most > 0 && cli_width(s) > most) {
        qn_buf_add(&t->text, cell, fit(s, most - 1));
        qn_buf_add_str(&t->text, "\xE2\x80\xA6"); /* an ellipsis */
    } else {
        qn_buf_add_slice(&t->text, s);
    }
    qn_buf_add_char(&t->text, '\0');
    t->cells++;
}

static void print_cell(FILE *to, qn_slice s, size_t width, cli_align align, bool last)
{
    int pad = (int)(width - cli_width(s));
    if (align == CLI_RIGHT)
        (void)fprintf(to, "%*s%.*s", pad, "", QN_SLICE_ARG(s));
    else if (last)
        (void)fprintf(to, "%.*s", QN_SLICE_ARG(s));
    else
        (void)fprintf(to, "%.*s%*s", QN_SLICE_ARG(s), pad, "");
    if (!last) (void)fprintf(to, "  ");
}

void cli_table_print(cli_table *t, const cli *c, FILE *to)
{
    enum { COLUMNS_MAX = 32 };
    size_t widths[COLUMNS_MAX] = {0};
    size_t columns = t->columns < COLUMNS_MAX ? t->columns : COLUMNS_MAX;
    for (size_t k = 0; k < columns; k++)
        widths[k] = cli_width(qn_slice_of(t->titles[k]));
    const char *p = t->text.p;
    for (size_t i = 0; i < t->cells; i++, p += strlen(p) + 1) {
        size_t width = cli_width(qn_slice_of(p));
        if (width > widths[i % columns]) widths[i % columns] = width;
    }
    if (c->color) (void)fprintf(to, "\033[1m");
    for (size_t k = 0; k < columns; k++)
        print_cell(to, qn_slice_of(t->titles[k]), widths[k], t->aligns[k],
                   k + 1 == columns);
    (void)fprintf(to, "%s\n", c->color ? "\033[0m" : "");
    p = t->text.p;
    for (size_t i = 0; i < t->cells; i++, p += strlen(p) + 1) {
        size_t k = i % columns;
        print_cell(to, qn_slice_of(p), widths[k], t->aligns[k], k + 1 == columns);
        if (k + 1 == columns) (void)fprintf(to, "\n");
    }
}

void cli_table_deinit(cli_table *t)
{
    qn_buf_deinit(&t->text);
}

void cli_progress_begin(cli_progress *p, const cli *c, const char *what, size_t total)
{
    *p = (cli_progress){.c = c, .what = what, .total = total};
    p->started_ns = p->shown_ns = qn_clock_mono_ns();
}

void cli_progress_at(cli_progress *p, size_t done)
{
    enum { BAR = 24 };
    int64_t now = qn_clock_mono_ns();
    /* Nothing for what is over within a second; then five times a second. */
    if (p->c->quiet || !isatty(2) || now - p->started_ns < 1000000000 ||
        now - p->shown_ns < 200000000)
        return;
    p->shown_ns = now;
    p->drawn = true;
    double seconds = (double)(now - p->started_ns) / 1e9, rate = (double)done / seconds;
    if (p->total == 0 || done > p->total) {
        (void)fprintf(stderr, "\r%s %zu, %.0f/s\033[K", p->what, done, rate);
        return;
    }
    int filled = (int)(done * BAR / p->total);
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++) bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR] = '\0';
    double left = rate > 0 ? (double)(p->total - done) / rate : 0;
    (void)fprintf(stderr, "\r%s [%s] %zu of %zu, %.0f/s, %.0f s left\033[K", p->what,
                  bar, done, p->total, rate, left);
}

void cli_progress_end(cli_progress *p)
{
    if (p->drawn) (void)fprintf(stderr, "\r\033[K");
}

static void write_indented(qn_json_writer *w, const qn_json *v)
{
    if (v->key.p != NULL) qn_json_key_slice(w, v->key);
    if (v->kind == QN_JSON_OBJECT) {
        qn_json_begin_object(w);
        for (const qn_json *it = v->first; it != NULL; it = it->next)
            write_indented(w, it);
        qn_json_end_object(w);
    } else if (v->kind == QN_JSON_ARRAY) {
        qn_json_begin_array(w);
        for (const qn_json *it = v->first; it != NULL; it = it->next)
            write_indented(w, it);
        qn_json_end_array(w);
    } else {
        qn_json_raw(w, v->raw);
    }
}

void cli_print_json(FILE *to, qn_slice json)
{
    qn_arena arena;
    qn_buf out;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_buf_init(&out, qn_alloc_heap());
    if (qn_json_parse(&arena, json, &root, NULL) == QN_OK) {
        qn_json_writer w;
        qn_json_writer_init(&w, &out, true);
        write_indented(&w, root);
        (void)fprintf(to, "%.*s\n", QN_SLICE_ARG(qn_buf_slice(&out)));
    } else {
        (void)fprintf(to, "%.*s\n", QN_SLICE_ARG(json));
    }
    qn_buf_deinit(&out);
    qn_arena_deinit(&arena);
}

int cli_print_reply(cli *c, qn_status st, char *json, size_t n)
{
    if (st != QN_OK) return cli_fail(c, &c->err);
    cli_print_json(stdout, (qn_slice){json, n});
    quern_free(json);
    return 0;
}
