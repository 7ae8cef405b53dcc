/* SPDX-License-Identifier: Apache-2.0 */
/* The clauses made of keys and values: config, cluster, sort, kvpairs. */
#include "query/ha3/ha3_internal.h"

/* ---- config -------------------------------------------------------------------------
 * config = key ":" value { "," key ":" value }. No escapes; unknown keys are passed
 * over in silence, as HA3 does. */

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

static qn_status parse_format(qn_ha3_request *r, qn_slice value)
{
    static const char *const formats[] = {"xml", "json", "fulljson"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!qn_slice_eq_str(value, formats[i])) continue;
        r->request->format = value;
        return QN_OK;
    }
    return qn_fail_at(r->err, QN_EFORMAT, qn_ha3__offset(r, value),
                      "no result format [%.*s]: there are xml, json and fulljson",
                      QN_SLICE_ARG(value));
}

/* kvpairs inside config: k#v;k#v */
static qn_status parse_config_kvpairs(qn_ha3_request *r, qn_slice value)
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

static qn_status take_config(qn_ha3_request *r, qn_slice key, qn_slice value)
{
    qn_request *q = r->request;
    uint32_t ignored;
    if (qn_slice_eq_str(key, "start")) return parse_u32(r, value, QN_ESTART, &q->from);
    if (qn_slice_eq_str(key, "hit")) return parse_u32(r, value, QN_EHIT, &q->size);
    if (qn_slice_eq_str(key, "timeout"))
        return parse_u32(r, value, QN_ETIMEOUTTEXT, &q->timeout_ms);
    if (qn_slice_eq_str(key, "seek_timeout"))
        return parse_u32(r, value, QN_ETIMEOUTTEXT, &ignored);
    if (qn_slice_eq_str(key, "rank_size") || qn_slice_eq_str(key, "total_rank_size"))
        return parse_u32(r, value, QN_ERANKSIZE, &q->rank_size);
    if (qn_slice_eq_str(key, "rerank_size") ||
        qn_slice_eq_str(key, "total_rerank_size"))
        return parse_u32(r, value, QN_ERERANKSIZE, &q->rerank_size);
    if (qn_slice_eq_str(key, "format")) return parse_format(r, value);
    if (qn_slice_eq_str(key, "kvpairs")) return parse_config_kvpairs(r, value);
    if (qn_slice_eq_str(key, "cluster")) return qn_ha3__parse_clusters(r, value, '&');
    if (qn_slice_eq_str(key, "default_index")) r->query.default_index = value;
    if (qn_slice_eq_str(key, "analyzer")) r->query.analyzer = value;
    if (qn_slice_eq_str(key, "default_operator")) {
        if (qn_slice_eq_str(value, "OR")) r->query.default_or = true;
        if (qn_slice_eq_str(value, "AND")) r->query.default_or = false;
    }
    if (qn_slice_eq_str(key, "trace")) q->trace = value;
    if (qn_slice_eq_str(key, "rank_trace")) q->rank_trace = value;
    if (qn_slice_eq_str(key, "no_summary")) parse_flag(value, &q->no_summary);
    return QN_OK;
}

qn_status qn_ha3__parse_config(qn_ha3_request *r, qn_slice clause)
{
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
    const qn_request *q = r->request;
    if ((uint64_t)q->from + q->size > QN_REQUEST_HA3_WINDOW_MAX)
        return qn_fail(r->err, QN_EWINDOW,
                       "ConfigClause: sum of start offset [%u] and hits [%u] greater "
                       "than limit [%d]",
                       q->from, q->size, QN_REQUEST_HA3_WINDOW_MAX);
    return QN_OK;
}

/* ---- cluster ------------------------------------------------------------------------
 * names with an optional ".zone" and ":mode=values" behind, which say nothing here. */
qn_status qn_ha3__parse_clusters(qn_ha3_request *r, qn_slice names, char separator)
{
    qn_slice *list = qn_arena_array(r->arena, names.n / 2 + 1, sizeof *list);
    if (list == NULL) return qn_fail(r->err, QN_ENOMEM, "cluster clause");
    size_t n = 0;
    qn_slice piece;
    uint64_t at = qn_ha3__offset(r, names);
    while (qn_ha3__next_piece(&names, separator, &piece)) {
        size_t end = 0;
        while (end < piece.n && piece.p[end] != '.' && piece.p[end] != ':') end++;
        qn_slice name = qn_slice_trim((qn_slice){piece.p, end});
        bool known = name.n == 0;
        for (size_t i = 0; i < n; i++) known |= qn_slice_eq(list[i], name);
        if (!known) list[n++] = name;
    }
    if (n == 0)
        return qn_fail_at(r->err, QN_ENOCLUSTER, at,
                          "ConfigClause: cluster name not exist");
    r->request->clusters = list;
    r->request->cluster_count = n;
    return QN_OK;
}

/* ---- sort ---------------------------------------------------------------------------
 * sort = ["+"|"-"] key { ";" ["+"|"-"] key }; without a sign descending,
 * or ascending where the environment says so. */

/* The next key: up to a `;` outside double quotes. */
static qn_slice next_key(qn_slice *rest)
{
    size_t n = 0;
    bool quoted = false;
    for (; n < rest->n && (quoted || rest->p[n] != ';'); n++) {
        if (rest->p[n] == '"') quoted = !quoted;
        if (quoted && rest->p[n] == '\\' && n + 1 < rest->n) n++;
    }
    qn_slice key = qn_slice_trim((qn_slice){rest->p, n});
    if (n < rest->n) n++;
    *rest = (qn_slice){rest->p + n, rest->n - n};
    return key;
}

/* Equal but for blanks. */
static bool same_text(qn_slice a, qn_slice b)
{
    size_t i = 0, j = 0;
    for (;;) {
        while (i < a.n && a.p[i] == ' ') i++;
        while (j < b.n && b.p[j] == ' ') j++;
        if (i == a.n || j == b.n) return i == a.n && j == b.n;
        if (a.p[i++] != b.p[j++]) return false;
    }
}

static void read_sort_key(qn_ha3_request *r, qn_slice text, qn_sort_key *key)
{
    *key = (qn_sort_key){.descending = !r->env->sort_ascending};
    if (text.p[0] == '+' || text.p[0] == '-') {
        key->signed_key = true;
        key->descending = text.p[0] == '-';
        text = qn_slice_trim((qn_slice){text.p + 1, text.n - 1});
    }
    key->text = text;
    key->at = (uint32_t)qn_ha3__offset(r, text);
    key->missing_text = QN_SLICE_LIT("");
    key->field = qn_schema_field(r->env->schema, text);
    if (qn_slice_eq_str(text, "RANK"))
        key->kind = QN_SORT_SCORE;
    else
        key->kind = key->field != NULL ? QN_SORT_FIELD : QN_SORT_EXPR;
    if (key->kind != QN_SORT_FIELD) return;
    /* An attribute without a value reads as 0 or "", here as in formulas. */
    key->missing = QN_MISSING_VALUE;
    if (key->field->type != QN_FIELD_KEYWORD) key->missing_text = QN_SLICE_LIT("0");
}

qn_status qn_ha3__parse_sort(qn_ha3_request *r, qn_slice clause)
{
    if (clause.n == 0)
        return qn_fail_at(r->err, QN_ESORTEMPTY, qn_ha3__offset(r, clause),
                          "SortClause: sort description not exist");
    qn_sort_key *keys =
        qn_arena_array(r->arena, QN_REQUEST_SORT_KEYS_MAX, sizeof *keys);
    if (keys == NULL) return qn_fail(r->err, QN_ENOMEM, "sort clause");
    size_t n = 0;
    while (clause.n > 0) {
        qn_slice text = next_key(&clause);
        if (text.n == 0) continue;
        if (n == QN_REQUEST_SORT_KEYS_MAX)
            return qn_fail_at(r->err, QN_ELIMIT, qn_ha3__offset(r, text),
                              "over %d sort keys", QN_REQUEST_SORT_KEYS_MAX);
        read_sort_key(r, text, &keys[n]);
        if (keys[n].text.n == 0)
            return qn_fail_at(r->err, QN_ESORT, qn_ha3__offset(r, text),
                              "a sort key without a name");
        for (size_t i = 0; i < n; i++) {
            if (same_text(keys[i].text, keys[n].text))
                return qn_fail_at(r->err, QN_ESORTTWICE, keys[n].at,
                                  "SortClause: two sort keys [%.*s]",
                                  QN_SLICE_ARG(keys[n].text));
        }
        n++;
    }
    r->request->sort = keys;
    r->request->sort_count = n;
    return QN_OK;
}

/* ---- kvpairs ------------------------------------------------------------------------
 * kvpairs = key ":" value { "," key ":" value }; `\x` is x for every x. */

qn_status qn_ha3__add_kvpair(qn_ha3_request *r, qn_slice key, qn_slice value)
{
    if (r->kvpair_count == QN_REQUEST_KVPAIRS_MAX)
        return qn_fail(r->err, QN_ELIMIT, "over %d kvpairs", QN_REQUEST_KVPAIRS_MAX);
    r->kvpairs[r->kvpair_count++] =
        (qn_kvpair){qn_slice_trim(key), qn_slice_trim(value)};
    return QN_OK;
}

/* Copies up to an unescaped `stop` (or the end) into `out`; moves *rest behind it. */
static bool unescape_until(qn_slice *rest, const char *stop, char *out, size_t *n)
{
    size_t i = 0;
    size_t stops = strlen(stop);
    for (*n = 0; i < rest->n && memchr(stop, rest->p[i], stops) == NULL; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->n) i++;
        out[(*n)++] = rest->p[i];
    }
    bool found = i < rest->n;
    size_t used = found && rest->p[i] != ',' ? i + 1 : i;
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return found && used > i;
}

qn_status qn_ha3__parse_kvpairs(qn_ha3_request *r, qn_slice clause)
{
    char *bytes = qn_arena_new(r->arena, clause.n + 1);
    if (bytes == NULL) return qn_fail(r->err, QN_ENOMEM, "kvpairs clause");
    while (clause.n > 0) {
        uint64_t at = qn_ha3__offset(r, clause);
        size_t n;
        bool colon = unescape_until(&clause, ":,", bytes, &n);
        qn_slice key = {bytes, n};
        if (!colon && qn_slice_trim(key).n > 0)
            return qn_fail_at(r->err, QN_EKVPAIRS, at,
                              "kvpairs: the key [%.*s] has no value",
                              (int)(n > 100 ? 100 : n), bytes);
        bytes += n;
        if (colon) {
            unescape_until(&clause, ",", bytes, &n);
            QN_TRY(qn_ha3__add_kvpair(r, key, (qn_slice){bytes, n}));
            bytes += n;
        }
        if (clause.n > 0) clause = (qn_slice){clause.p + 1, clause.n - 1}; /* comma */
    }
    return QN_OK;
}
