/* SPDX-License-Identifier: Apache-2.0 */
#include "io/json.h"

#include "base/bits.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void qn_json_writer_init(qn_json_writer *w, qn_buf *out, bool pretty)
{
    *w = (qn_json_writer){.out = out, .pretty = pretty};
}

static void new_line(qn_json_writer *w)
{
    qn_buf_add_char(w->out, '\n');
    for (unsigned i = 0; i < w->depth; i++) qn_buf_add(w->out, "  ", 2);
}

/* Comma and line break in front of an item or a member's name. */
static void before_item(qn_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0) return;
    if (qn_bitset_has(w->has_items, w->depth - 1)) qn_buf_add_char(w->out, ',');
    qn_bitset_add(w->has_items, w->depth - 1);
    if (w->pretty) new_line(w);
}

static void begin_container(qn_json_writer *w, char bracket)
{
    before_item(w);
    qn_buf_add_char(w->out, bracket);
    w->depth++;
    qn_assert(w->depth <= QN_JSON_WRITE_DEPTH_MAX);
    qn_bitset_remove(w->has_items, w->depth - 1);
}

static void end_container(qn_json_writer *w, char bracket)
{
    qn_assert(w->depth > 0 && !w->after_key);
    bool had_items = qn_bitset_has(w->has_items, w->depth - 1);
    w->depth--;
    if (w->pretty && had_items) new_line(w);
    qn_buf_add_char(w->out, bracket);
}

void qn_json_begin_object(qn_json_writer *w)
{
    begin_container(w, '{');
}

void qn_json_end_object(qn_json_writer *w)
{
    end_container(w, '}');
}

void qn_json_begin_array(qn_json_writer *w)
{
    begin_container(w, '[');
}

void qn_json_end_array(qn_json_writer *w)
{
    end_container(w, ']');
}

/* What stands after the backslash; 'u' for \u00XX; 0: the byte needs no escape. */
static char escape_of(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return c < 0x20 ? 'u' : '\0';
    }
}

static void add_quoted(qn_buf *out, qn_slice s)
{
    qn_buf_add_char(out, '"');
    size_t plain_from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char escape = escape_of(c);
        if (escape == '\0') continue;
        qn_buf_add(out, s.p + plain_from, i - plain_from);
        plain_from = i + 1;
        if (escape == 'u')
            qn_buf_printf(out, "\\u%04x", c);
        else
            qn_buf_add(out, (const char[]){'\\', escape}, 2);
    }
    if (s.n > plain_from) qn_buf_add(out, s.p + plain_from, s.n - plain_from);
    qn_buf_add_char(out, '"');
}

void qn_json_key_slice(qn_json_writer *w, qn_slice key)
{
    before_item(w);
    add_quoted(w->out, key);
    if (w->pretty)
        qn_buf_add(w->out, ": ", 2);
    else
        qn_buf_add_char(w->out, ':');
    w->after_key = true;
}

void qn_json_key(qn_json_writer *w, const char *key)
{
    qn_json_key_slice(w, qn_slice_of(key));
}

void qn_json_string(qn_json_writer *w, qn_slice s)
{
    before_item(w);
    add_quoted(w->out, s);
}

void qn_json_str(qn_json_writer *w, const char *s)
{
    qn_json_string(w, qn_slice_of(s));
}

void qn_json_int(qn_json_writer *w, int64_t v)
{
    before_item(w);
    qn_buf_printf(w->out, "%" PRId64, v);
}

void qn_json_bool(qn_json_writer *w, bool v)
{
    before_item(w);
    qn_buf_add_str(w->out, v ? "true" : "false");
}

void qn_json_null(qn_json_writer *w)
{
    before_item(w);
    qn_buf_add_str(w->out, "null");
}

/* A floating-point number stays one when read back: "1" becomes "1.0". */
static void add_decimal(qn_buf *out, char *text)
{
    qn_buf_add_str(out, text);
    if (strpbrk(text, ".e") == NULL) qn_buf_add(out, ".0", 2);
}

/* A whole number below `limit`, where every whole number is exact: "12.0". */
static bool add_whole(qn_buf *out, double v, double limit)
{
    if (v != trunc(v) || fabs(v) >= limit) return false;
    qn_buf_printf(out, "%.1f", v);
    return true;
}

/* The first of 15, 16, 17 digits that reads back: every double has one with 17, and 15
 * digits are never too many. */
void qn_json_double(qn_json_writer *w, double v)
{
    if (!isfinite(v)) {
        qn_json_null(w);
        return;
    }
    before_item(w);
    if (add_whole(w->out, v, 1e15)) return;
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (memcmp(&back, &v, sizeof v) == 0) break;
    }
    add_decimal(w->out, text);
}

void qn_json_float(qn_json_writer *w, float v)
{
    if (!isfinite(v)) {
        qn_json_null(w);
        return;
    }
    before_item(w);
    if (add_whole(w->out, (double)v, 1e7)) return;
    char text[40];
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (qn_float_bits(strtof(text, NULL)) == qn_float_bits(v)) break;
    }
    add_decimal(w->out, text);
}

void qn_json_raw(qn_json_writer *w, qn_slice json)
{
    before_item(w);
    qn_buf_add_slice(w->out, json);
}

void qn_json_member_str(qn_json_writer *w, const char *key, const char *value)
{
    qn_json_key(w, key);
    qn_json_str(w, value);
}

void qn_json_member_slice(qn_json_writer *w, const char *key, qn_slice value)
{
    qn_json_key(w, key);
    qn_json_string(w, value);
}

void qn_json_member_int(qn_json_writer *w, const char *key, int64_t value)
{
    qn_json_key(w, key);
    qn_json_int(w, value);
}

void qn_json_member_double(qn_json_writer *w, const char *key, double value)
{
    qn_json_key(w, key);
    qn_json_double(w, value);
}

void qn_json_member_bool(qn_json_writer *w, const char *key, bool value)
{
    qn_json_key(w, key);
    qn_json_bool(w, value);
}
