/* SPDX-License-Identifier: Apache-2.0 */
#include "server/own/records.h"

qn_status qn_records_answer(qn_call *c, int status, char *json, size_t n)
{
    qn_call_json(c, status);
    qn_json_raw(&c->w, (qn_slice){json, n});
    quern_free(json);
    return QN_OK;
}

qn_status qn_records_dropped(qn_call *c)
{
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_bool(&c->w, "dropped", true);
    qn_json_end_object(&c->w);
    return QN_OK;
}

qn_status qn_records_version(const qn_call *c, uint32_t *out, qn_error *err)
{
    const qn_slice *text = qn_call_param(c, "version");
    int64_t version = 0;
    *out = 0;
    if (text == NULL) return QN_OK;
    if (!qn_slice_to_i64(*text, &version) || version < 1 || version > UINT32_MAX)
        return qn_fail(err, QN_EINVAL, "[version] is a whole number from 1, not '%.*s'",
                       text->n > 40 ? 40 : (int)text->n, text->p);
    *out = (uint32_t)version;
    return QN_OK;
}

qn_status qn_records_body_version(qn_call *c, uint32_t *out, qn_error *err)
{
    const qn_json *body = NULL;
    int64_t version = 0;
    const qn_member members[] = {
        {"version", QN_MEMBER_INT, &version, 1, UINT32_MAX},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (version == 0) return qn_fail(err, QN_EINVAL, "[version] is required");
    *out = (uint32_t)version;
    return QN_OK;
}
