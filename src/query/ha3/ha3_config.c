/* SPDX-License-Identifier: Apache-2.0 */
/* The config clause.
 *
 *     config = key ":" value { "," key ":" value }
 *
 * No escapes: each piece is cut at ':' and must give exactly two words. Unknown keys are
 * passed over in silence, as HA3 does; so is a flag that is neither yes nor no. */
#include "query/ha3/ha3_internal.h"

/* ---- values ----------------------------------------------------------------------- */

static qn_status parse_u32(qn_ha3_request *r, qn_slice value, qn_status code,
                           uint32_t *out)
{
    int64_t v;
    if (!qn_slice_to_i64(value, &v) || value.p[0] == '-' || v > UINT32_MAX)
        return qn_fail_at(r->err, code, qn_ha3__offset(r, value),
                          "[%.*s] is no whole number", QN_SLICE_ARG(value));
    *out = (uint32_t)v;
    return QN_OK;
}

/* Anything else leaves the value as it is. */
static void parse_flag(qn_slice value, bool *out)
{
    static const char *const yes[] = {"t", "true", "y", "yes", "1"};
    static const char *const no[] = {"f", "false", "n", "no", "0"};
    for (size_t i = 0; i < 5; i++) {
        if (qn_slice_eq_nocase(value, yes[i])) *out = true;
        if (qn_slice_eq_nocase(value, no[i])) *out = false;
    }
}

static bool is_one_of(qn_slice value, const char *const *words)
{
    for (; *words != NULL; words++)
        if (qn_slice_eq_str(value, *words)) return true;
    return false;
}

static qn_status not_one_of(const qn_ha3_request *r, qn_slice value, qn_status code,
                            const char *key, const char *known)
{
    return qn_fail_at(r->err, code, qn_ha3__offset(r, value),
                      "no %s [%.*s]: there are %s", key, QN_SLICE_ARG(value), known);
}

/* ---- keys that have a reader of their own ----------------------------------------- */

/* Whether there is such a format is told later. */
static qn_status read_format(qn_ha3_request *r, qn_slice value)
{
    r->format = value;
    return QN_OK;
}

/* kvpairs inside config: k#v;k#v */
static qn_status read_kvpairs(qn_ha3_request *r, qn_slice value)
{
    qn_slice piece;
    while (qn_ha3__next_piece(&value, ';', &piece)) {
        const char *hash = memchr(piece.p, '#', piece.n);
        size_t n = hash == NULL ? 0 : (size_t)(hash - piece.p);
        if (n == 0 || n + 1 == piece.n || memchr(hash + 1, '#', piece.n - n - 1))
            return qn_fail_at(r->err, QN_ECONFIG, qn_ha3__offset(r, piece),
                              "[%.*s] is no key#value", QN_SLICE_ARG(piece));
        QN_TRY(qn_ha3__add_kvpair(r, (qn_slice){piece.p, n},
                                  (qn_slice){hash + 1, piece.n - n - 1}));
    }
    return QN_OK;
}

static qn_status read_cluster(qn_ha3_request *r, qn_slice value)
{
    return qn_ha3__parse_clusters(r, value, '&');
}

static qn_status read_operator(qn_ha3_request *r, qn_slice value)
{
    if (qn_slice_eq_str(value, "OR")) r->query.default_or = true;
    if (qn_slice_eq_str(value, "AND")) r->query.default_or = false;
    return QN_OK;
}

static qn_status read_no_tokenize(qn_ha3_request *r, qn_slice value)
{
    r->query.raw_indexes = value;
    return QN_OK;
}

static qn_status read_fetch_type(qn_ha3_request *r, qn_slice value)
{
    /* ORDER FETCH: qn_fetch_by */
    static const char *const types[] = {"docid", "pk", "rawpk"};
    for (size_t i = 0; i < 3; i++) {
        if (!qn_slice_eq_str(value, types[i])) continue;
        r->request->fetch_by = (qn_fetch_by)i;
        return QN_OK;
    }
    return not_one_of(r, value, QN_ESUMMARYTYPE, "fetch_summary_type",
                      "docid, pk and rawpk");
}

static qn_status read_fetch_cluster(qn_ha3_request *r, qn_slice value)
{
    r->fetch_cluster = value;
    return QN_OK;
}

static qn_status read_join(qn_ha3_request *r, qn_slice value)
{
    static const char *const types[] = {"weak", "strong", NULL};
    return is_one_of(value, types)
               ? QN_OK
               : not_one_of(r, value, QN_EJOINTYPE, "join_type", "weak and strong");
}

static qn_status read_sub_doc(qn_ha3_request *r, qn_slice value)
{
    static const char *const types[] = {"no", "group", "flat", NULL};
    return is_one_of(value, types)
               ? QN_OK
               : not_one_of(r, value, QN_ESUBDOC, "sub_doc", "no, group and flat");
}

static qn_status read_proto_option(qn_ha3_request *r, qn_slice value)
{
    static const char *const options[] = {"summary_in_bytes", "pb_matchdoc_format",
                                          NULL};
    qn_slice piece;
    while (qn_ha3__next_piece(&value, '&', &piece)) {
        if (!is_one_of(piece, options))
            return not_one_of(r, piece, QN_EPROTOOPTION, "proto_format_option",
                              "summary_in_bytes and pb_matchdoc_format");
        r->pb_matchdoc |= piece.p[0] == 'p';
    }
    return QN_OK;
}

static qn_status read_version(qn_ha3_request *r, qn_slice value)
{
    int64_t v;
    if (qn_slice_to_i64(value, &v)) return QN_OK;
    return qn_fail_at(r->err, QN_EINDEXVERSION, qn_ha3__offset(r, value),
                      "[%.*s] is no version", QN_SLICE_ARG(value));
}

/* The one chain there is, and the name under which the hosted product calls it. */
static qn_status read_chain(qn_ha3_request *r, qn_slice value)
{
    static const char *const chains[] = {"DEFAULT", "search", NULL};
    return is_one_of(value, chains)
               ? QN_OK
               : not_one_of(r, value, QN_ENOCHAIN, "qrs_chain", "DEFAULT and search");
}

/* ---- the table of keys ------------------------------------------------------------ */

typedef enum value_kind {
    VALUE_NUMBER,
    VALUE_FLAG,
    VALUE_TEXT,
    VALUE_OTHER
} value_kind;

/* `offset` is into qn_ha3_config; of keys that say nothing here the value is checked and
 * left in `ignored`. Keys that are not in the table are not looked at. */
#define AT(member) offsetof(qn_ha3_config, member)
static const struct {
    const char *key;
    value_kind kind;
    qn_status code;
    size_t offset;
    qn_status (*read)(qn_ha3_request *r, qn_slice value);
} keys[] = {
    {"cluster", VALUE_OTHER, QN_OK, 0, read_cluster},
    {"start", VALUE_NUMBER, QN_ESTART, AT(start), NULL},
    {"hit", VALUE_NUMBER, QN_EHIT, AT(hit), NULL},
    {"searcher_return_hits", VALUE_NUMBER, QN_EHIT, AT(searcher_hits), NULL},
    {"format", VALUE_OTHER, QN_OK, 0, read_format},
    {"rank_size", VALUE_NUMBER, QN_ERANKSIZE, AT(rank_size), NULL},
    {"total_rank_size", VALUE_NUMBER, QN_ETOTALRANK, AT(total_rank_size), NULL},
    {"rerank_size", VALUE_NUMBER, QN_ERERANKSIZE, AT(rerank_size), NULL},
    {"total_rerank_size", VALUE_NUMBER, QN_ETOTALRERANK, AT(total_rerank_size), NULL},
    {"timeout", VALUE_NUMBER, QN_ETIMEOUTTEXT, AT(timeout), NULL},
    {"seek_timeout", VALUE_NUMBER, QN_ETIMEOUTTEXT, AT(ignored), NULL},
    {"default_index", VALUE_TEXT, QN_OK, AT(default_index), NULL},
    {"default_operator", VALUE_OTHER, QN_OK, 0, read_operator},
    {"analyzer", VALUE_TEXT, QN_OK, AT(analyzer), NULL},
    {"no_tokenize_indexes", VALUE_OTHER, QN_OK, 0, read_no_tokenize},
    {"trace", VALUE_TEXT, QN_OK, AT(trace), NULL},
    {"rank_trace", VALUE_TEXT, QN_OK, AT(rank_trace), NULL},
    {"request_trace_type", VALUE_TEXT, QN_OK, AT(trace_type), NULL},
    {"cache_info", VALUE_FLAG, QN_OK, AT(cache_info), NULL},
    {"no_summary", VALUE_FLAG, QN_OK, AT(no_summary), NULL},
    {"rerank_hint", VALUE_FLAG, QN_OK, AT(rerank_hint), NULL},
    {"kvpairs", VALUE_OTHER, QN_OK, 0, read_kvpairs},
    {"qrs_chain", VALUE_OTHER, QN_OK, 0, read_chain},
    {"debug_query_key", VALUE_TEXT, QN_OK, AT(debug_key), NULL},
    {"fetch_summary_type", VALUE_OTHER, QN_OK, 0, read_fetch_type},
    {"fetch_summary_cluster", VALUE_OTHER, QN_OK, 0, read_fetch_cluster},
    {"join_type", VALUE_OTHER, QN_OK, 0, read_join},
    {"proto_format_option", VALUE_OTHER, QN_OK, 0, read_proto_option},
    {"actual_hits_limit", VALUE_NUMBER, QN_EHIT, AT(ignored), NULL},
    {"research_threshold", VALUE_NUMBER, QN_ERESEARCH, AT(research_threshold), NULL},
    {"sub_doc", VALUE_OTHER, QN_OK, 0, read_sub_doc},
    {"version", VALUE_OTHER, QN_OK, 0, read_version},
};
#undef AT

static qn_status take_config(qn_ha3_request *r, qn_slice key, qn_slice value)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!qn_slice_eq_str(key, keys[i].key)) continue;
        void *out = (char *)&r->config + keys[i].offset;
        switch (keys[i].kind) {
        case VALUE_NUMBER:
            return parse_u32(r, value, keys[i].code, out);
        case VALUE_FLAG:
            parse_flag(value, out);
            return QN_OK;
        case VALUE_TEXT:
            *(qn_slice *)out = value;
            return QN_OK;
        case VALUE_OTHER:
            return keys[i].read(r, value);
        }
    }
    return QN_OK;
}

/* A level at which anything is told; HA3 takes a word that it does not know for NONE. */
static qn_slice told_level(qn_slice level)
{
    static const char *const levels[] = {"ALL",    "TRACE3", "TRACE2",
                                         "TRACE1", "DEBUG",  "INFO"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (qn_slice_eq_nocase(level, levels[i])) return level;
    return QN_SLICE_LIT("");
}

/* What the keys mean together. The total sizes say more than those of one partition. */
static void settle(qn_ha3_request *r)
{
    qn_request *q = r->request;
    const qn_ha3_config *c = &r->config;
    q->from = c->start;
    q->size = c->hit;
    q->timeout_ms = c->timeout;
    q->research_threshold = c->research_threshold;
    q->rank_size = c->total_rank_size != 0 ? c->total_rank_size : c->rank_size;
    q->rerank_size = c->total_rerank_size != 0 ? c->total_rerank_size : c->rerank_size;
    q->trace = told_level(c->trace);
    q->rank_trace = told_level(c->rank_trace);
    q->trace_tree = qn_slice_eq_str(c->trace_type, "kvtracer");
    q->cache_info = c->cache_info;
    q->no_summary = c->no_summary;
    q->rerank_hint = c->rerank_hint;
    r->query.default_index = c->default_index;
    r->query.analyzer = c->analyzer;
    if (c->debug_key.n == 0) return;
    q->from = 0;
    q->no_summary = false;
    if (q->trace.n == 0) q->trace = QN_SLICE_LIT("INFO");
    if (q->rank_trace.n == 0) q->rank_trace = QN_SLICE_LIT("INFO");
}

qn_status qn_ha3__parse_config(qn_ha3_request *r, qn_slice clause)
{
    const qn_slice nothing = QN_SLICE_LIT("");
    r->config = (qn_ha3_config){.hit = QN_REQUEST_SIZE_DEFAULT,
                                .default_index = nothing,
                                .analyzer = nothing,
                                .trace = nothing,
                                .rank_trace = nothing,
                                .trace_type = nothing,
                                .debug_key = nothing};
    qn_slice piece;
    while (qn_ha3__next_piece(&clause, ',', &piece)) {
        qn_slice rest = piece, key, value, more;
        bool two = qn_ha3__next_piece(&rest, ':', &key) &&
                   qn_ha3__next_piece(&rest, ':', &value);
        if (!two || qn_ha3__next_piece(&rest, ':', &more))
            return qn_fail_at(r->err, QN_ECONFIG, qn_ha3__offset(r, piece),
                              "config: [%.*s] is no key:value", QN_SLICE_ARG(piece));
        QN_TRY(take_config(r, key, value));
    }
    settle(r);
    return QN_OK;
}

qn_status qn_ha3__check_summary(const qn_ha3_request *r)
{
    const qn_request *q = r->request;
    if (r->pb_matchdoc && !q->no_summary)
        return qn_fail(r->err, QN_EPBPHASE, "pb_matchdoc_format needs no_summary:yes");
    if (r->pb_matchdoc)
        return qn_fail(r->err, QN_EPBFORMAT,
                       "pb_matchdoc_format needs format:protobuf");
    if (r->fetch_cluster.n > 0 && q->fetch_by != QN_FETCH_RAWPK)
        return qn_fail_at(r->err, QN_EFETCHCLUSTER, qn_ha3__offset(r, r->fetch_cluster),
                          "fetch_summary_cluster needs fetch_summary_type:rawpk");
    return QN_OK;
}

qn_status qn_ha3__check_config(qn_ha3_request *r)
{
    static const char *const formats[] = {"xml", "json", "fulljson", NULL};
    qn_request *q = r->request;
    if ((uint64_t)q->from + q->size > QN_REQUEST_HA3_WINDOW_MAX)
        return qn_fail(r->err, QN_EWINDOW,
                       "start offset [%u] and hits [%u], together at most [%d]",
                       q->from, q->size, QN_REQUEST_HA3_WINDOW_MAX);
    /* The one searcher there is hands over no more than this. */
    uint32_t most = r->config.searcher_hits;
    if (most != 0 && q->from >= most) q->size = 0;
    if (most != 0 && q->from < most && q->size > most - q->from)
        q->size = most - q->from;
    if (r->format.n == 0) return QN_OK;
    if (!is_one_of(r->format, formats))
        return not_one_of(r, r->format, QN_EFORMAT, "result format",
                          "xml, json and fulljson");
    q->format = r->format;
    return QN_OK;
}
