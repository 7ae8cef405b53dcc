/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the HA3 dialect: fields of a hit, what may stand in a reply, XML. */
#include "server/aliyun/api_aliyun.h"

#include <inttypes.h>

/* ---- what may stand in a reply --------------------------------------------------------- */

/* The code point at `i` of valid UTF-8 and its length. */
static uint32_t code_point(qn_slice s, size_t i, size_t *n)
{
    const unsigned char *p = (const unsigned char *)s.p + i;
    *n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (*n > s.n - i) *n = 1;
    uint32_t c = *n == 1 ? p[0] : p[0] & (0x7Fu >> *n);
    for (size_t k = 1; k < *n; k++) c = c << 6 | (p[k] & 0x3F);
    return c;
}

static bool is_left_out(uint32_t c)
{
    return (c >= 0x7F && c <= 0x84) || (c >= 0x86 && c <= 0x9F) ||
           (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
}

void qn_ha3_clean(qn_buf *out, qn_slice s)
{
    size_t plain = 0;
    for (size_t i = 0, n = 1; i < s.n; i += n) {
        uint32_t c = code_point(s, i, &n);
        bool control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
        if (!control && !is_left_out(c)) continue;
        qn_buf_add(out, s.p + plain, i - plain);
        if (control) qn_buf_add_char(out, '\t');
        plain = i + n;
    }
    if (s.n > plain) qn_buf_add(out, s.p + plain, s.n - plain);
}

void qn_ha3_xml_text(qn_buf *out, qn_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        switch (c) {
        case '<':
            qn_buf_add_str(out, "&lt;");
            break;
        case '>':
            qn_buf_add_str(out, "&gt;");
            break;
        case '&':
            qn_buf_add_str(out, "&amp;");
            break;
        case '\'':
            qn_buf_add_str(out, "&apos;");
            break;
        case '"':
            qn_buf_add_str(out, "&quot;");
            break;
        default:
            qn_buf_add_char(out, c < 0x20 && c != '\n' && c != '\r' ? '\t' : (char)c);
        }
    }
}

void qn_ha3_xml_cdata(qn_buf *out, qn_slice s)
{
    qn_buf clean = {.alloc = out->alloc};
    qn_ha3_clean(&clean, s);
    qn_slice rest = qn_buf_slice(&clean);
    qn_buf_add_str(out, "<![CDATA[");
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.n - i >= 3 && memcmp(rest.p + i, "]]>", 3) == 0) {
            qn_buf_add_str(out, "]]&gt;");
            i += 2;
        } else {
            qn_buf_add_char(out, rest.p[i]);
        }
    }
    qn_buf_add_str(out, "]]>");
    out->failed |= clean.failed;
    qn_buf_deinit(&clean);
}

/* ---- errors ------------------------------------------------------------------------------ */

/* What HA3 says of a code; "unknown error." where it has no text. */
static const char *code_text(int code)
{
    static const struct {
        int code;
        const char *text;
    } rows[] = {
#define ROW(number, words) {number, words},
#include "server/ha3_errors.def"
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code) return rows[i].text;
    return "unknown error.";
}

const qn_error qn_ha3_out_of_time = {
    .code = QN_ETIMEOUT, .at = QN_AT_NONE, .text = "what was found so far is ranked"};

const char *qn_ha3_error_text(qn_call *c, const qn_error *err)
{
    const char *text = code_text(qn_status_describe(err->code)->ha3_code);
    if (strncmp(err->text, text, strlen(text)) == 0) return err->text;
    const char *whole = qn_arena_printf(c->arena, "%s %s", text, err->text);
    return whole == NULL ? err->text : whole;
}

/* ---- fields ------------------------------------------------------------------------------ */

static bool is_fetched(const quern_reply *r, qn_slice name)
{
    if (r->fetch_fields == NULL) return true;
    for (size_t i = 0; i < r->fetch_field_count; i++)
        if (qn_slice_eq_str(name, r->fetch_fields[i])) return true;
    return false;
}

static void add_value(qn_buf *out, const qn_json *v)
{
    if (v->kind == QN_JSON_STRING)
        qn_buf_add_slice(out, v->string);
    else if (v->kind == QN_JSON_BOOL)
        qn_buf_add_char(out, v->boolean ? '1' : '0');
    else if (v->kind != QN_JSON_NULL)
        qn_buf_add_slice(out, v->raw);
}

void qn_ha3_fields(qn_call *c, const quern_reply *r, const quern_hit *h,
                   void (*each)(void *ctx, qn_slice name, qn_slice value), void *ctx)
{
    const qn_json *source = NULL;
    if (r->no_summary || h->source == NULL ||
        qn_json_parse(c->arena, (qn_slice){h->source, h->source_size}, &source, NULL) !=
            QN_OK)
        return;
    qn_buf text = {.alloc = c->out->body.alloc};
    size_t count = 0;
    for (const qn_json *m = qn_json_items(source); m != NULL; m = m->next) {
        if (!is_fetched(r, m->key) || count++ == QN_LIMIT_XML_FIELDS) continue;
        qn_buf_reset(&text);
        if (m->kind != QN_JSON_ARRAY) add_value(&text, m);
        for (const qn_json *v = m->kind == QN_JSON_ARRAY ? m->first : NULL; v != NULL;
             v = v->next) {
            if (v != m->first) qn_buf_add_char(&text, '\t');
            add_value(&text, v);
        }
        each(ctx, m->key, qn_buf_slice(&text));
    }
    c->out->body.failed |= text.failed;
    qn_buf_deinit(&text);
}

void qn_ha3_sort_value(qn_buf *out, const quern_value *v)
{
    switch (v->kind) {
    case QUERN_VALUE_NULL:
        break;
    case QUERN_VALUE_INT:
        qn_buf_printf(out, "%" PRId64, v->integer);
        break;
    case QUERN_VALUE_DOUBLE:
        qn_buf_printf(out, "%.15g", v->number);
        break;
    case QUERN_VALUE_SCORE: /* 10000.2259030193, 20000.0000000000 */
        qn_buf_printf(out, "%.10f", v->number);
        break;
    case QUERN_VALUE_TEXT:
        qn_buf_add(out, v->text, v->text_size);
        break;
    }
}

/* ---- which format ------------------------------------------------------------------------- */

/* The value of `key` in "a:b,c:d". */
static qn_slice config_value(qn_slice clause, const char *key)
{
    while (clause.n > 0) {
        const char *comma = memchr(clause.p, ',', clause.n);
        qn_slice part = {clause.p,
                         comma == NULL ? clause.n : (size_t)(comma - clause.p)};
        size_t used = part.n + (comma != NULL);
        clause = (qn_slice){clause.p + used, clause.n - used};
        const char *colon = part.n == 0 ? NULL : memchr(part.p, ':', part.n);
        if (colon == NULL) continue;
        qn_slice name = {part.p, (size_t)(colon - part.p)};
        if (qn_slice_eq_str(qn_slice_trim(name), key))
            return qn_slice_trim((qn_slice){colon + 1, part.n - name.n - 1});
    }
    return (qn_slice){"", 0};
}

qn_ha3_format qn_ha3_format_of(qn_slice request)
{
    qn_slice rest = request;
    qn_ha3_format found = QN_HA3_XML;
    while (rest.n > 0) {
        size_t end = 0;
        while (end < rest.n &&
               !(rest.p[end] == '&' && end + 1 < rest.n && rest.p[end + 1] == '&'))
            end++;
        qn_slice clause = qn_slice_trim((qn_slice){rest.p, end});
        size_t used = end < rest.n ? end + 2 : end;
        rest = (qn_slice){rest.p + used, rest.n - used};
        const char *equals = clause.n == 0 ? NULL : memchr(clause.p, '=', clause.n);
        size_t n = equals == NULL ? 0 : (size_t)(equals - clause.p);
        if (!qn_slice_eq_str(qn_slice_trim((qn_slice){clause.p, n}), "config"))
            continue;
        qn_slice format =
            config_value((qn_slice){equals + 1, clause.n - n - 1}, "format");
        found = qn_slice_eq_str(format, "json")       ? QN_HA3_JSON
                : qn_slice_eq_str(format, "fulljson") ? QN_HA3_FULLJSON
                                                      : QN_HA3_XML;
    }
    return found;
}
