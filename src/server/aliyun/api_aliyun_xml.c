/* SPDX-License-Identifier: Apache-2.0 */
/* The XML form of an HA3 reply, the default. */
#include "server/aliyun/api_aliyun.h"

#include "io/gid.h"

#include <inttypes.h>

/* A field's name as an element's: what XML does not allow there becomes '_'. */
static void add_tag(qn_buf *b, const char *open, qn_slice name, const char *close)
{
    qn_buf_add_str(b, open);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (unsigned char)c >= 0x80;
        bool later = (c >= '0' && c <= '9') || c == '-' || c == '.';
        qn_buf_add_char(b, letter || (later && i > 0) ? c : '_');
    }
    if (name.n == 0) qn_buf_add_char(b, '_');
    qn_buf_add_str(b, close);
}

static void write_field(void *ctx, qn_slice name, qn_slice value)
{
    qn_buf *b = ctx;
    add_tag(b, "\t\t\t<", name, ">");
    qn_ha3_xml_cdata(b, value);
    add_tag(b, "</", name, ">\n");
}

static void write_value(qn_buf *b, const qn_json *v)
{
    qn_ha3_xml_text(b, v->kind == QN_JSON_STRING ? v->string : v->raw);
}

/* <attribute> <name>v1 v2</name> </attribute>, where there is something inside. */
static void write_values(qn_call *c, const char *tag, const char *json, size_t n)
{
    qn_buf *b = &c->out->body;
    const qn_json *root = NULL;
    if (json == NULL ||
        qn_json_parse(c->arena, (qn_slice){json, n}, &root, NULL) != QN_OK ||
        qn_json_items(root) == NULL)
        return;
    qn_buf_printf(b, "\t\t<%s>\n", tag);
    for (const qn_json *m = qn_json_items(root); m != NULL; m = m->next) {
        bool list = m->kind == QN_JSON_ARRAY;
        add_tag(b, "\t\t\t<", m->key, ">");
        if (!list) write_value(b, m);
        for (const qn_json *v = list ? m->first : NULL; v != NULL; v = v->next) {
            if (v != m->first) qn_buf_add_char(b, ' ');
            write_value(b, v);
        }
        add_tag(b, "</", m->key, ">\n");
    }
    qn_buf_printf(b, "\t\t</%s>\n", tag);
}

/* gid="cluster|fullVersion|indexVersion|hashid|docid|pk|ip": the key in hexadecimal. */
static void write_gid(qn_call *c, const quern_hit *h, const char *table)
{
    qn_buf *b = &c->out->body;
    qn_buf_add_str(b, " gid=\"");
    qn_ha3_xml_text(b, qn_slice_of(table));
    qn_buf_printf(b, ".default|0|0|0|%" PRId64 "|", h->seq_no);
    char digits[QN_GID_DIGITS_MAX + 1];
    qn_buf_add_str(b, qn_gid_of_key((qn_slice){h->id, h->id_size}, digits));
    qn_buf_add_str(b, "|0\"");
}

static void write_hit(qn_call *c, const quern_reply *r, const quern_hit *h,
                      const char *table)
{
    qn_buf *b = &c->out->body;
    qn_buf_add_str(b, "\t<hit cluster_name=\"");
    qn_ha3_xml_text(b, qn_slice_of(table));
    qn_buf_printf(b, ".default\" hash_id=\"0\" docid=\"%" PRId64 "\"", h->seq_no);
    if ((r->no_summary || r->fetched) && h->id_size > 0) write_gid(c, h, table);
    qn_buf_add_str(b, ">\n");
    qn_buf_add_str(b, "\t\t<fields>\n");
    qn_ha3_fields(c, r, h, write_field, b);
    qn_buf_add_str(b, "\t\t</fields>\n\t\t<property>\n\t\t</property>\n");
    write_values(c, "attribute", h->attributes, h->attributes_size);
    write_values(c, "variableValue", h->variables, h->variables_size);
    qn_buf_add_str(b, "\t\t<sortExprValues>");
    qn_buf text = {.alloc = b->alloc};
    for (size_t i = 0; i < h->sort_value_count; i++) {
        if (i > 0) qn_buf_add_str(&text, "; ");
        qn_ha3_sort_value(&text, &h->sort_values[i]);
    }
    qn_ha3_xml_text(b, qn_buf_slice(&text));
    b->failed |= text.failed;
    qn_buf_deinit(&text);
    qn_buf_add_str(b, "</sortExprValues>\n");
    if (h->trace != NULL) {
        qn_buf_add_str(b, "\t\t<trace_info>");
        qn_ha3_xml_cdata(b, (qn_slice){h->trace, h->trace_size});
        qn_buf_add_str(b, "</trace_info>\n");
    }
    if (r->fetched_by_key) {
        qn_buf_add_str(b, "\t\t<raw_pk>");
        qn_ha3_xml_cdata(b, (qn_slice){h->id, h->id_size});
        qn_buf_add_str(b, "</raw_pk>\n");
    }
    qn_buf_add_str(b, "\t</hit>\n");
}

static void add_element(qn_buf *b, const char *name, const char *text)
{
    qn_buf_printf(b, "<%s>", name); /* the function's text, as the original has it */
    qn_ha3_xml_text(b, qn_slice_of(text));
    qn_buf_printf(b, "</%s>", name);
}

static void write_facets(qn_buf *b, const quern_reply *r)
{
    qn_buf_add_str(b, "<AggregateResults>\n");
    for (size_t i = 0; i < r->facet_count; i++) {
        const quern_facet *f = &r->facets[i];
        qn_buf_add_str(b, "\t<AggregateResult key='");
        qn_ha3_xml_text(b, qn_slice_of(f->key));
        qn_buf_add_str(b, "'>\n");
        for (size_t k = 0; k < f->group_count; k++) {
            const quern_facet_group *g = &f->groups[k];
            qn_buf_add_str(b, "\t\t<group value='");
            qn_ha3_xml_text(b, (qn_slice){g->value, g->value_size});
            qn_buf_add_str(b, "'>");
            for (size_t j = 0; j < f->function_count; j++)
                add_element(b, f->functions[j], g->results[j]);
            qn_buf_add_str(b, "</group>\n");
        }
        qn_buf_add_str(b, "\t</AggregateResult>\n");
    }
    qn_buf_add_str(b, "</AggregateResults>\n");
}

static void begin(qn_call *c, double seconds)
{
    qn_call_text(c, 200, "text/xml; charset=UTF-8", (qn_slice){"", 0});
    qn_buf_printf(&c->out->body,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Root>\n"
                  "<TotalTime>%.3f</TotalTime>\n",
                  seconds);
}

static void write_nested_error(qn_call *c, const qn_error *err)
{
    qn_buf *b = &c->out->body;
    qn_buf_add_str(b, "\t<Error>\n\t\t<PartitionID></PartitionID>\n"
                      "\t\t<HostName></HostName>\n");
    qn_buf_printf(b, "\t\t<ErrorCode>%d</ErrorCode>\n\t\t<ErrorDescription>",
                  qn_status_describe(err->code)->ha3_code);
    qn_ha3_xml_cdata(b, qn_slice_of(qn_ha3_error_text(c, err)));
    qn_buf_add_str(b, "</ErrorDescription>\n\t</Error>\n");
}

static void write_errors(qn_call *c, const qn_error *errors, size_t count, bool late)
{
    qn_buf *b = &c->out->body;
    qn_buf_printf(b,
                  "<Error>\n\t<ErrorCode>%d</ErrorCode>\n"
                  "\t<ErrorDescription>%s</ErrorDescription>\n",
                  count == 0 && !late ? 0 : 2,
                  count == 0 && !late ? "" : "general error.");
    for (size_t i = 0; i < count; i++) write_nested_error(c, &errors[i]);
    if (late) write_nested_error(c, &qn_ha3_out_of_time);
    qn_buf_add_str(b, "</Error>\n");
}

void qn_ha3_write_xml(qn_call *c, const quern_reply *r, const char *table)
{
    begin(c, r->took_ms / 1000);
    qn_buf *b = &c->out->body;
    qn_buf names = {.alloc = b->alloc};
    for (size_t i = 0; i < r->sort_key_count; i++) {
        if (i > 0) qn_buf_add_char(&names, ';');
        qn_buf_add_str(&names, r->sort_key_names[i]);
    }
    qn_buf_add_str(b, "<SortExprMeta>");
    qn_ha3_xml_cdata(b, qn_buf_slice(&names));
    b->failed |= names.failed;
    qn_buf_deinit(&names);
    qn_buf_printf(b,
                  "</SortExprMeta>\n<hits numhits=\"%zu\" totalhits=\"%" PRIu64
                  "\" coveredPercent=\"%.2f\">\n",
                  r->hit_count, r->total, r->covered_percent);
    for (size_t i = 0; i < r->hit_count; i++) write_hit(c, r, &r->hits[i], table);
    qn_buf_add_str(b, "</hits>\n");
    write_facets(b, r);
    write_errors(c, r->warnings, r->warning_count, r->timed_out);
    if (r->trace != NULL) {
        qn_buf_add_str(b, "<Request_Trace>\n<trace_info>");
        qn_ha3_xml_cdata(b, (qn_slice){r->trace, r->trace_size});
        qn_buf_add_str(b, "</trace_info>\n</Request_Trace>\n");
    }
    if (r->want_cache_info) qn_buf_add_str(b, "<fromCache>no</fromCache>\n");
    qn_buf_add_str(b, "</Root>\n");
}

void qn_ha3_write_xml_error(qn_call *c, const qn_error *err)
{
    int status = c->out->status;
    begin(c, 0);
    c->out->status = status;
    qn_buf_add_str(
        &c->out->body,
        "<hits numhits=\"0\" totalhits=\"0\" coveredPercent=\"0.00\">\n</hits>\n"
        "<AggregateResults>\n</AggregateResults>\n");
    write_errors(c, err, 1, false);
    qn_buf_add_str(&c->out->body, "</Root>\n");
}
