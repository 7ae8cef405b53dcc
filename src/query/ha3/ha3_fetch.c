/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_summary: documents by their addresses.
 *
 *     by docid or pk   gid { "," gid }
 *     by rawpk         cluster ":" pk { "," pk } { ";" cluster ":" ... }; `\x` is x
 *
 *     gid = cluster|fullVersion|indexVersion|hashid|docid|pk|ip, read from the right
 *         | cluster_fullVersion_indexVersion_hashid_docid                (older) */
#include "query/ha3/ha3_internal.h"

typedef struct builder {
    qn_ha3_request *r;
    qn_fetch_address *list;
    size_t n;
} builder;

static qn_status add(builder *b, qn_slice at, const qn_fetch_address *address)
{
    if (b->n == QN_FETCH_SUMMARY_MAX)
        return qn_fail_at(b->r->err, QN_ELIMIT, qn_ha3__offset(b->r, at),
                          "fetch_summary: over %d documents", QN_FETCH_SUMMARY_MAX);
    b->list[b->n++] = *address;
    return QN_OK;
}

/* The part of a cluster's name before the dot. */
static qn_slice zone_of(qn_slice cluster)
{
    const char *dot = cluster.n == 0 ? NULL : memchr(cluster.p, '.', cluster.n);
    if (dot != NULL) cluster.n = (size_t)(dot - cluster.p);
    return qn_slice_trim(cluster);
}

/* ---- gids ------------------------------------------------------------------------- */

/* Cuts what is behind the last `separator` off *rest. */
static bool cut_last(qn_slice *rest, char separator, qn_slice *out)
{
    size_t n = rest->n;
    while (n > 0 && rest->p[n - 1] != separator) n--;
    if (n == 0) return false;
    *out = qn_slice_trim((qn_slice){rest->p + n, rest->n - n});
    rest->n = n - 1;
    return true;
}

static bool is_hex(qn_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr("0123456789abcdefABCDEF", s.p[i]) == NULL || s.p[i] == '\0')
            return false;
    return s.n > 0 && s.n <= 32;
}

static bool read_gid(qn_slice gid, qn_fetch_address *out)
{
    char separator = memchr(gid.p, '|', gid.n) != NULL ? '|' : '_';
    qn_slice ip, docid, hash, index, full;
    int64_t ignored;
    out->pk = (qn_slice){"", 0};
    bool good = true;
    if (separator == '|')
        good = cut_last(&gid, '|', &ip) && cut_last(&gid, '|', &out->pk) &&
               is_hex(out->pk);
    good = good && cut_last(&gid, separator, &docid) &&
           cut_last(&gid, separator, &hash) && cut_last(&gid, separator, &index) &&
           cut_last(&gid, separator, &full);
    out->cluster = zone_of(gid);
    return good && out->cluster.n > 0 && qn_slice_to_i64(docid, &out->docid) &&
           out->docid >= 0 && qn_slice_to_i64(hash, &ignored) &&
           qn_slice_to_i64(index, &ignored) && qn_slice_to_i64(full, &ignored);
}

static qn_status read_gids(builder *b, qn_slice text)
{
    qn_slice gid;
    while (qn_ha3__next_piece(&text, ',', &gid)) {
        qn_fetch_address a = {0};
        if (!read_gid(gid, &a))
            return qn_fail_at(b->r->err, QN_EFETCHGID, qn_ha3__offset(b->r, gid),
                              "[%.*s] is no gid", (int)(gid.n > 100 ? 100 : gid.n),
                              gid.p);
        if (b->r->request->fetch_by == QN_FETCH_PK && a.pk.n == 0)
            return qn_fail_at(b->r->err, QN_EFETCHGID, qn_ha3__offset(b->r, gid),
                              "[%.*s] has no key to fetch by", QN_SLICE_ARG(gid));
        QN_TRY(add(b, gid, &a));
    }
    return QN_OK;
}

/* ---- raw keys --------------------------------------------------------------------- */

/* Copies up to an unescaped byte of `stops`, trimmed; false at a trailing backslash. */
static bool read_raw(qn_slice *rest, const char *stops, char **bytes, qn_slice *out,
                     char *stop)
{
    size_t i = 0, n = 0;
    for (; i < rest->n && strchr(stops, rest->p[i]) == NULL; i++) {
        if (rest->p[i] == '\\' && ++i == rest->n) return false;
        (*bytes)[n++] = rest->p[i];
    }
    *stop = i < rest->n ? rest->p[i] : '\0';
    *out = qn_slice_trim((qn_slice){*bytes, n});
    *bytes += n;
    if (i < rest->n) i++;
    *rest = (qn_slice){rest->p + i, rest->n - i};
    return true;
}

static qn_status wrong_raw(builder *b, qn_slice at, const char *what)
{
    return qn_fail_at(b->r->err, QN_EFETCH, qn_ha3__offset(b->r, at),
                      "fetch_summary: %s", what);
}

static qn_status read_raw_keys(builder *b, qn_slice text)
{
    char *bytes = qn_arena_new(b->r->arena, text.n + 1), stop = ';';
    if (bytes == NULL) return qn_fail(b->r->err, QN_ENOMEM, "fetch_summary");
    while (text.n > 0) {
        qn_slice at = text;
        qn_fetch_address a = {0};
        if (!read_raw(&text, ":;", &bytes, &a.cluster, &stop))
            return wrong_raw(b, at, "a backslash at the end");
        if (stop != ':' || a.cluster.n == 0)
            return wrong_raw(b, at, "expected cluster:key{,key}");
        a.cluster = zone_of(a.cluster);
        do {
            qn_slice key_at = text;
            if (!read_raw(&text, ",;", &bytes, &a.pk, &stop))
                return wrong_raw(b, key_at, "a backslash at the end");
            if (a.pk.n == 0) return wrong_raw(b, key_at, "an empty key");
            QN_TRY(add(b, key_at, &a));
        } while (stop == ',');
    }
    return QN_OK;
}

qn_status qn_ha3__parse_fetch(qn_ha3_request *r, qn_slice text)
{
    size_t most = text.n / 2 + 1;
    if (most > QN_FETCH_SUMMARY_MAX) most = QN_FETCH_SUMMARY_MAX;
    builder b = {.r = r, .list = qn_arena_array(r->arena, most, sizeof *b.list)};
    if (b.list == NULL) return qn_fail(r->err, QN_ENOMEM, "fetch_summary");
    QN_TRY(r->request->fetch_by == QN_FETCH_RAWPK ? read_raw_keys(&b, text)
                                                  : read_gids(&b, text));
    if (b.n == 0)
        return qn_fail_at(r->err, QN_EFETCH, qn_ha3__offset(r, text),
                          "fetch_summary: no document is named");
    r->request->fetch = b.list;
    r->request->fetch_count = b.n;
    return QN_OK;
}
