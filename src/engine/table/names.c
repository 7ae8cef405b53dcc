/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/names.h"

#include "text/utf8.h"

static qn_status bad(qn_slice name, const char *rule, qn_error *err)
{
    if (name.n > 80) name.n = 80;
    while (name.n != 0 && !qn_utf8_valid(name, NULL)) name.n--;
    return qn_fail(err, QN_EBADNAME, "Invalid index name [%.*s], %s",
                   QN_SLICE_ARG(name), rule);
}

/* First segments of paths that other dialects have: a table of that name could not be
 * reached. */
static bool is_reserved(qn_slice name)
{
    static const char *const words[] = {
        "query",   "update", "network", "vector-service",
        "rerank",  "embed",  "predict", "info",
        "api",     "v1",     "v2",      "v3",
        "metrics",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (qn_slice_eq_str(name, words[i])) return true;
    return false;
}

qn_status qn_name_check_table(qn_slice name, bool upper_allowed, qn_error *err)
{
    if (name.n == 0) return bad(name, "must not be empty", err);
    if (name.n > QN_TABLE_NAME_MAX)
        return bad(name, "index name is too long, at most 255 bytes", err);
    if (!qn_utf8_valid(name, NULL)) return bad(name, "must be UTF-8", err);
    if (qn_slice_eq_str(name, ".") || qn_slice_eq_str(name, ".."))
        return bad(name, "must not be '.' or '..'", err);
    if (is_reserved(name))
        return bad(name, "must not be the first part of a path of the server", err);
    if (name.p[0] == '_' || name.p[0] == '-' || name.p[0] == '+')
        return bad(name, "must not start with '_', '-', or '+'", err);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if ((unsigned char)c < 0x20 || c == 0x7F || strchr("\\/*?\"<>| ,#:", c) != NULL)
            return bad(name,
                       "must not contain the following characters "
                       "['\\','/','*','?','\"','<','>','|',' ',',','#',':']",
                       err);
        if (!upper_allowed && c >= 'A' && c <= 'Z')
            return bad(name, "must be lowercase", err);
    }
    return QN_OK;
}

qn_status qn_name_check_id(qn_slice id, qn_error *err)
{
    if (id.n == 0)
        return qn_fail(err, QN_EDOCUMENT, "if _id is specified it must not be empty");
    if (id.n > QN_ID_MAX)
        return qn_fail(err, QN_EDOCUMENT,
                       "id is too long, must be no longer than %d bytes but was: %zu",
                       QN_ID_MAX, id.n);
    if (memchr(id.p, 0, id.n) != NULL)
        return qn_fail(err, QN_EDOCUMENT, "_id must not contain a zero byte");
    return qn_utf8_check(id, err);
}

void qn_name_make_id(char out[QN_AUTO_ID_SIZE + 1], const uint64_t entropy[2])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t bits[2] = {entropy[0], entropy[1]};
    for (size_t i = 0; i < QN_AUTO_ID_SIZE; i++) {
        uint64_t *word = &bits[i / 10];
        out[i] = digits[*word & 63];
        *word >>= 6;
    }
    /* A leading '-' or '_' is awkward in URLs and on command lines. */
    if (out[0] == '-' || out[0] == '_') out[0] = 'q';
    out[QN_AUTO_ID_SIZE] = 0;
}
