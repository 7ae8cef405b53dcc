/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON form of an HA3 reply; the order of keys is the original's. */
#include "server/aliyun/api_aliyun.h"

#include <math.h>

static void write_field(void *ctx, qn_slice name, qn_slice value)
{
    qn_call *c = ctx;
    qn_buf clean = {.alloc = c->out->body.alloc};
    qn_ha3_clean(&clean, value);
    qn_json_key_slice(&c->w, name);
    qn_json_string(&c->w, qn_buf_slice(&clean));
    c->out->body.failed |= clean.failed;
    qn_buf_deinit(&clean);
}

static void empty_object(qn_json_writer *w, const char *key)
{
    qn_json_key(w, key);
    qn_json_begin_object(w);
    qn_json_end_object(w);
}

/* fulljson is json and the hosted product's names beside it. */
static bool is_full(const quern_reply *r)
{
    return r->format != NULL && strcmp(r->format, "fulljson") == 0;
}

static void write_hosted_item(qn_json_writer *w, const quern_hit *h)
{
    if (h->variables == NULL) {
        empty_object(w, "variableValue");
    } else {
        qn_json_key(w, "variableValue");
        qn_json_raw(w, (qn_slice){h->variables, h->variables_size});
    }
    empty_object(w, "property");
}

void qn_ha3_write_sort_values(qn_call *c, const quern_hit *h)
{
    qn_buf text = {.alloc = c->out->body.alloc};
    qn_json_begin_array(&c->w);
    for (size_t i = 0; i < h->sort_value_count; i++) {
        qn_buf_reset(&text);
        qn_ha3_sort_value(&text, &h->sort_values[i]);
        qn_json_string(&c->w, qn_buf_slice(&text));
    }
    qn_json_end_array(&c->w);
    qn_buf_deinit(&text);
}

static void write_item(qn_call *c, const quern_reply *r, const quern_hit *h)
{
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "fields");
    qn_json_begin_object(w);
    qn_ha3_fields(c, r, h, write_field, c);
    qn_json_end_object(w);
    empty_object(w, "properties");
    if (h->attributes == NULL) {
        empty_object(w, "attributes");
    } else {
        qn_json_key(w, "attributes");
        qn_json_raw(w, (qn_slice){h->attributes, h->attributes_size});
    }
    if (h->variables == NULL) {
        empty_object(w, "variableValues");
    } else {
        qn_json_key(w, "variableValues");
        qn_json_raw(w, (qn_slice){h->variables, h->variables_size});
    }
    qn_json_key(w, "sortExprValues");
    qn_ha3_write_sort_values(c, h);
    if (h->trace != NULL)
        qn_json_member_slice(w, "tracerInfo", (qn_slice){h->trace, h->trace_size});
    if (is_full(r)) write_hosted_item(w, h);
    qn_json_end_object(w);
}

/* ---- facets ------------------------------------------------------------------------- */

/* fulljson: the function's bare name, its result as a number where it is one. */
static void write_hosted_result(qn_json_writer *w, const char *function,
                                const char *result)
{
    qn_slice name = qn_slice_of(function), text = qn_slice_of(result);
    const char *bracket = memchr(name.p, '(', name.n);
    double number;
    if (bracket != NULL) name.n = (size_t)(bracket - name.p);
    qn_json_key_slice(w, name);
    bool plain = text.n > 0 && strchr("-0123456789", text.p[0]) != NULL &&
                 qn_slice_to_f64(text, &number) && isfinite(number);
    if (plain)
        qn_json_raw(w, text);
    else
        qn_json_string(w, text);
}

static void write_group(qn_call *c, bool own, bool hosted, const quern_facet *f,
                        const quern_facet_group *g)
{
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_slice(w, "value", (qn_slice){g->value, g->value_size});
    for (size_t i = 0; own && i < f->function_count; i++)
        qn_json_member_str(w, f->functions[i], g->results[i]);
    for (size_t i = 0; hosted && i < f->function_count; i++)
        write_hosted_result(w, f->functions[i], g->results[i]);
    qn_json_end_object(w);
}

static void write_all_facets(qn_call *c, const quern_reply *r, bool own, bool hosted)
{
    qn_json_writer *w = &c->w;
    qn_json_key(w, "facet");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->facet_count; i++) {
        const quern_facet *f = &r->facets[i];
        qn_json_begin_object(w);
        qn_json_member_str(w, "key", f->key);
        qn_json_key(w, "items");
        qn_json_begin_array(w);
        for (size_t k = 0; k < f->group_count; k++)
            write_group(c, own, hosted, f, &f->groups[k]);
        qn_json_end_array(w);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static void write_facets(qn_call *c, const quern_reply *r)
{
    write_all_facets(c, r, true, is_full(r));
}

void qn_ha3_write_hosted_facets(qn_call *c, const quern_reply *r)
{
    write_all_facets(c, r, false, true);
}

/* ---- replies ------------------------------------------------------------------------ */

static void write_error(qn_call *c, const qn_error *err)
{
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_int(w, "code", qn_status_describe(err->code)->ha3_code);
    qn_json_member_str(w, "message", qn_ha3_error_text(c, err));
    qn_json_end_object(w);
}

static void write_head(qn_json_writer *w, double seconds, size_t hits, uint64_t total,
                       double covered)
{
    qn_json_key(w, "result");
    qn_json_begin_object(w);
    qn_json_member_double(w, "searchtime", seconds);
    qn_json_member_int(w, "numHits", (int64_t)hits);
    qn_json_member_int(w, "totalHits", (int64_t)total);
    qn_json_member_double(w, "coveredPercent", covered);
}

void qn_ha3_write_json(qn_call *c, const quern_reply *r)
{
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    if (is_full(r)) qn_json_member_str(w, "status", "OK");
    write_head(w, r->took_ms / 1000, r->hit_count, r->total, r->covered_percent);
    if (is_full(r)) {
        qn_json_member_int(w, "total", (int64_t)r->total);
        qn_json_member_int(w, "viewtotal", (int64_t)r->total);
        qn_json_member_int(w, "num", (int64_t)r->hit_count);
    }
    qn_json_key(w, "items");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->hit_count; i++) write_item(c, r, &r->hits[i]);
    qn_json_end_array(w);
    write_facets(c, r);
    qn_json_end_object(w);
    qn_json_key(w, "errors");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->warning_count; i++) write_error(c, &r->warnings[i]);
    if (r->timed_out) write_error(c, &qn_ha3_out_of_time);
    qn_json_end_array(w);
    if (r->trace != NULL)
        qn_json_member_slice(w, "requestTrace", (qn_slice){r->trace, r->trace_size});
    qn_ha3_write_corrections(c, r);
    qn_json_end_object(w);
}

void qn_ha3_write_json_error(qn_call *c, bool full, const qn_error *err)
{
    const quern_reply nothing = {0};
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    if (full) qn_json_member_str(w, "status", "FAIL");
    write_head(w, 0, 0, 0, 0);
    write_facets(c, &nothing);
    qn_json_end_object(w);
    qn_json_key(w, "errors");
    qn_json_begin_array(w);
    write_error(c, err);
    qn_json_end_array(w);
    qn_json_end_object(w);
}
