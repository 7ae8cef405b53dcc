/* SPDX-License-Identifier: Apache-2.0 */
/* The clauses made of keys and values that are cut rather than parsed: cluster, rank,
 * kvpairs, healthcheck, optimizer, level, analyzer, final_sort.
 *
 * What they say about speed, health or other machines is read, checked and has no effect
 * in one process; what would change the result and is not here is refused. */
#include "query/ha3/ha3_internal.h"

/* Cuts "key:value" at the first colon, both trimmed; false without a colon. */
static bool cut_pair(qn_slice piece, char separator, qn_slice *key, qn_slice *value)
{
    const char *cut = piece.n == 0 ? NULL : memchr(piece.p, separator, piece.n);
    size_t n = cut == NULL ? piece.n : (size_t)(cut - piece.p);
    *key = qn_slice_trim((qn_slice){piece.p, n});
    *value = (qn_slice){"", 0};
    if (cut != NULL) *value = qn_slice_trim((qn_slice){cut + 1, piece.n - n - 1});
    return cut != NULL;
}

static qn_status wrong(qn_ha3_request *r, qn_status code, qn_slice at, const char *what)
{
    return qn_fail_at(r->err, code, qn_ha3__offset(r, at), "%s [%.*s]", what,
                      (int)(at.n > 100 ? 100 : at.n), at.p);
}

/* ---- cluster ------------------------------------------------------------------------
 * cluster = name [":" mode "=" v { "|" v }] { "," ... }
 * In one process every hash id is here, so a mode is only checked. */

static qn_status check_part(qn_ha3_request *r, qn_slice id)
{
    qn_slice number, ratio;
    int64_t v;
    double share = 1;
    bool has_ratio = cut_pair(id, '#', &number, &ratio);
    if (!qn_slice_to_i64(number, &v) || v < 0 || v > 65535)
        return wrong(r, QN_ECLUSTERPART, id,
                     "ClusterClause: part_ids are 0..65535, not");
    if (has_ratio && (!qn_slice_to_f64(ratio, &share) || !(share >= 0 && share <= 1)))
        return wrong(r, QN_ECLUSTERPART, id, "ClusterClause: a ratio is 0..1, not in");
    return QN_OK;
}

static qn_status check_mode(qn_ha3_request *r, qn_slice cluster, qn_slice text)
{
    qn_slice mode, values, value;
    if (text.n == 0)
        return wrong(r, QN_ECLUSTERMODE, cluster, "ClusterClause: no mode");
    if (!cut_pair(text, '=', &mode, &values))
        return wrong(r, QN_EPARTCONFIG, text, "ClusterClause: no mode=values");
    bool parts = qn_slice_eq_str(mode, "part_ids");
    if (!parts && !qn_slice_eq_str(mode, "hash_field"))
        return wrong(r, QN_EPARTNAME, mode, "ClusterClause: unknown mode");
    size_t n = 0;
    for (; qn_ha3__next_piece(&values, '|', &value); n++)
        if (parts) QN_TRY(check_part(r, value));
    if (n > 0) return QN_OK;
    return wrong(r, parts ? QN_ECLUSTERPART : QN_ECLUSTERHASH, text,
                 "ClusterClause: nothing after the mode in");
}

qn_status qn_ha3__parse_clusters(qn_ha3_request *r, qn_slice names, char separator)
{
    qn_slice *list = qn_arena_array(r->arena, names.n / 2 + 1, sizeof *list);
    if (list == NULL) return qn_fail(r->err, QN_ENOMEM, "cluster clause");
    size_t n = 0;
    qn_slice piece, name, mode, zone, biz;
    uint64_t at = qn_ha3__offset(r, names);
    while (qn_ha3__next_piece(&names, separator, &piece)) {
        if (cut_pair(piece, ':', &name, &mode)) QN_TRY(check_mode(r, piece, mode));
        (void)cut_pair(name, '.', &zone, &biz);
        bool known = zone.n == 0;
        for (size_t i = 0; i < n; i++) known |= qn_slice_eq(list[i], zone);
        if (!known) list[n++] = zone;
    }
    if (n == 0)
        return qn_fail_at(r->err, QN_ENOCLUSTER, at,
                          "ConfigClause: cluster name not exist.");
    r->request->clusters = list;
    r->request->cluster_count = n;
    return QN_OK;
}

/* ---- rank ---------------------------------------------------------------------------
 * rank = key ":" value { "," key ":" value } */

/* index "." field "(" N ")" */
static qn_status read_boost(qn_ha3_request *r, qn_slice text, qn_field_boost *out)
{
    qn_slice rest, field, number;
    if (!cut_pair(text, '.', &out->index, &rest))
        return wrong(r, QN_EBOOSTDOT, text, "RankClause: no dot in field boost");
    if (!cut_pair(rest, '(', &field, &number) || number.n == 0 ||
        number.p[number.n - 1] != ')' || field.n == 0 || out->index.n == 0)
        return wrong(r, QN_EBOOSTFORM, text, "RankClause: no index.field(N)");
    number = qn_slice_trim((qn_slice){number.p, number.n - 1});
    int64_t v;
    if (!qn_slice_to_i64(number, &v) || v < 0 || v > UINT32_MAX)
        return wrong(r, QN_EBOOSTNUMBER, text, "RankClause: no number in field boost");
    out->field = field;
    out->boost = (uint32_t)v;
    return QN_OK;
}

static qn_status read_boosts(qn_ha3_request *r, qn_slice text)
{
    qn_rank_clause *rank = &r->request->rank;
    qn_field_boost *list = qn_arena_array(r->arena, text.n / 2 + 1, sizeof *list);
    if (list == NULL) return qn_fail(r->err, QN_ENOMEM, "rank clause");
    qn_slice piece;
    rank->boosts = list;
    rank->boost_count = 0;
    while (qn_ha3__next_piece(&text, ';', &piece))
        QN_TRY(read_boost(r, piece, &list[rank->boost_count++]));
    return QN_OK;
}

qn_status qn_ha3__parse_rank(qn_ha3_request *r, qn_slice text)
{
    qn_rank_clause *rank = &r->request->rank;
    qn_slice piece, key, value;
    while (qn_ha3__next_piece(&text, ',', &piece)) {
        if (!cut_pair(piece, ':', &key, &value) || value.n == 0)
            return wrong(r, QN_EPAIR, piece, "RankClause: no key:value in");
        if (qn_slice_eq_str(key, "rank_profile")) {
            rank->profile = value;
        } else if (qn_slice_eq_str(key, "fieldboost")) {
            QN_TRY(read_boosts(r, value));
        } else if (qn_slice_eq_str(key, "rank_hint")) {
            if (value.n < 2 || (value.p[0] != '+' && value.p[0] != '-'))
                return wrong(r, QN_ERANKHINT, value,
                             "RankClause: a hint is +field or -field, not");
            rank->hint = qn_slice_trim((qn_slice){value.p + 1, value.n - 1});
            rank->hint_descending = value.p[0] == '-';
        } else {
            return wrong(r, QN_ERANKKEY, key, "RankClause: unknown key");
        }
    }
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

/* ---- what is only checked ----------------------------------------------------------- */

/* healthcheck = key ":" value { "," key ":" value } */
qn_status qn_ha3__parse_health(qn_ha3_request *r, qn_slice text)
{
    qn_slice piece, key, value;
    while (qn_ha3__next_piece(&text, ',', &piece)) {
        int64_t v = 0;
        if (!cut_pair(piece, ':', &key, &value) || value.n == 0)
            return wrong(r, QN_EHEALTH, piece, "healthcheck: no key:value in");
        bool number = qn_slice_to_i64(value, &v) && v >= 0 && v <= INT32_MAX;
        if (qn_slice_eq_str(key, "check")) {
            if (!qn_slice_eq_nocase(value, "true") &&
                !qn_slice_eq_nocase(value, "false"))
                return wrong(r, QN_EHEALTHFLAG, value,
                             "healthcheck: check is true or false, not");
        } else if (qn_slice_eq_str(key, "check_times")) {
            if (!number)
                return wrong(r, QN_EHEALTHTIMES, value, "healthcheck: no number");
        } else if (qn_slice_eq_str(key, "recover_time")) {
            if (!number)
                return wrong(r, QN_EHEALTHWAIT, value, "healthcheck: no seconds");
        } else {
            return wrong(r, QN_EHEALTH, key, "healthcheck: unknown key");
        }
    }
    return QN_OK;
}

/* optimizer = entity { ";" entity }      entity = "name:" X "," "option:" Y */
qn_status qn_ha3__parse_optimizer(qn_ha3_request *r, qn_slice text)
{
    qn_slice entity, item, key, value;
    while (qn_ha3__next_piece(&text, ';', &entity)) {
        qn_slice whole = entity;
        size_t n = 0;
        while (qn_ha3__next_piece(&entity, ',', &item)) {
            if (!cut_pair(item, ':', &key, &value))
                return wrong(r, QN_EOPTIMIZER, item, "optimizer: no key:value in");
            n++;
        }
        if (n < 2) return wrong(r, QN_EOPTIMIZER, whole, "optimizer: no option in");
    }
    return QN_OK;
}

/* level = key ":" value { "," key ":" value }: further clusters to ask when this one has
 * few matches. Unknown keys are ignored. */
qn_status qn_ha3__parse_level(qn_ha3_request *r, qn_slice text)
{
    qn_slice whole = text, piece, key, value;
    bool second = false, clusters = false, use = true;
    while (qn_ha3__next_piece(&text, ',', &piece)) {
        if (!cut_pair(piece, ':', &key, &value) || value.n == 0)
            return wrong(r, QN_ELEVEL, piece, "level: no key:value in");
        second |= qn_slice_eq_str(key, "second_level_cluster");
        clusters |= qn_slice_eq_str(key, "level_clusters");
        if (qn_slice_eq_str(key, "uselevel") && qn_slice_eq_str(value, "no"))
            use = false;
    }
    if (second && clusters)
        return wrong(r, QN_ELEVEL, whole,
                     "level: second_level_cluster and level_clusters together in");
    if (use && (second || clusters))
        return qn_fail_at(r->err, QN_EUNSUPPORTED, qn_ha3__offset(r, whole),
                          "the level clause is not supported: one request asks one "
                          "table; uselevel:no turns it off");
    return QN_OK;
}

/* ---- analyzer -----------------------------------------------------------------------
 * analyzer = key ":" value { "," key ":" value } */

static qn_status check_index_analyzers(qn_ha3_request *r, qn_slice text)
{
    qn_slice piece, index, analyzer;
    while (qn_ha3__next_piece(&text, ';', &piece)) {
        if (cut_pair(piece, '#', &index, &analyzer) && index.n > 0 && analyzer.n > 0 &&
            memchr(analyzer.p, '#', analyzer.n) == NULL)
            continue;
        return wrong(r, QN_EANALYZERS, piece, "analyzer: no index#analyzer in");
    }
    return QN_OK;
}

qn_status qn_ha3__parse_analyzer(qn_ha3_request *r, qn_slice text)
{
    qn_slice piece, key, value;
    while (qn_ha3__next_piece(&text, ',', &piece)) {
        if (!cut_pair(piece, ':', &key, &value) || value.n == 0)
            return wrong(r, QN_EANALYZERS, piece, "analyzer: no key:value in");
        if (qn_slice_eq_str(key, "global_analyzer")) {
            r->query.analyzer = value;
        } else if (qn_slice_eq_str(key, "specific_index_analyzer")) {
            QN_TRY(check_index_analyzers(r, value));
            r->query.index_analyzers = value;
        } else if (qn_slice_eq_str(key, "no_tokenize_indexes")) {
            r->query.raw_indexes = value;
        } else {
            return wrong(r, QN_EANALYZERS, key, "analyzer: unknown key");
        }
    }
    return QN_OK;
}

/* ---- final_sort ---------------------------------------------------------------------
 * final_sort = "sort_name:" NAME [";" "sort_param:" k "#" v { "," k "#" v }] */
qn_status qn_ha3__parse_final_sort(qn_ha3_request *r, qn_slice text)
{
    qn_slice whole = text, piece, key, value, param;
    qn_slice name = {"", 0}, params = {"", 0};
    while (qn_ha3__next_piece(&text, ';', &piece)) {
        if (!cut_pair(piece, ':', &key, &value) || value.n == 0)
            return wrong(r, QN_EFINALSORT, piece, "final_sort: no key:value in");
        if (qn_slice_eq_str(key, "sort_name"))
            name = value;
        else if (qn_slice_eq_str(key, "sort_param"))
            params = value;
        else
            return wrong(r, QN_EFINALSORT, key, "final_sort: unknown key");
    }
    if (name.n == 0)
        return wrong(r, QN_EFINALSORT, whole, "final_sort: no sort_name in");
    while (qn_ha3__next_piece(&params, ',', &param)) {
        if (!cut_pair(param, '#', &key, &value))
            return wrong(r, QN_EFINALSORT, param, "final_sort: no key#value in");
        if (qn_slice_eq_str(key, "sort_key"))
            return wrong(
                r, QN_EUNSUPPORTED, param,
                "final_sort by keys of its own is not supported, write them in "
                "the sort clause:");
    }
    return qn_slice_eq_str(name, "DEFAULT")
               ? QN_OK
               : wrong(r, QN_EFINALNAME, name, "final_sort: there is DEFAULT, not");
}
