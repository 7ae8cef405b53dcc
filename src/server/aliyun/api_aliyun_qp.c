/* SPDX-License-Identifier: Apache-2.0 */
/* Query analysis in the Aliyun dialects: what a request says of it, what a reply tells. */
#include "server/aliyun/api_aliyun.h"

static qn_status read_text(qn_call *c, const char *name, const char **out,
                           qn_error *err)
{
    const qn_slice *value = qn_call_param(c, name);
    if (value == NULL) return QN_OK;
    *out = qn_arena_strndup(c->arena, value->p, value->n);
    return *out == NULL ? qn_fail(err, QN_ENOMEM, "no memory") : QN_OK;
}

qn_status qn_ha3_read_analysis(qn_call *c, quern_search_options *o, qn_error *err)
{
    QN_TRY(read_text(c, "qp", &o->analysis, err));
    QN_TRY(read_text(c, "disable", &o->analysis_off, err));
    QN_TRY(read_text(c, "raw_query", &o->raw_query, err));
    o->raw_query_size = o->raw_query == NULL ? 0 : strlen(o->raw_query);
    return QN_OK;
}

void qn_ha3_write_corrections(qn_call *c, const quern_reply *r)
{
    qn_json_writer *w = &c->w;
    if (r->correction_count == 0) return;
    qn_json_key(w, "qp");
    qn_json_begin_array(w);
    qn_json_begin_object(w);
    qn_json_member_str(w, "app_name", c->table);
    qn_json_key(w, "query_correction_info");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->correction_count; i++) {
        const quern_correction *one = &r->corrections[i];
        qn_json_begin_object(w);
        qn_json_member_str(w, "index", one->index);
        qn_json_member_str(w, "original_query", one->original);
        qn_json_member_str(w, "corrected_query", one->corrected);
        qn_json_member_int(w, "correction_level", one->level);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
    qn_json_end_object(w);
    qn_json_end_array(w);
}
