/* SPDX-License-Identifier: Apache-2.0 */
/* The request string: clauses joined by `&&`, no quoting. The last of a kind wins. The
 * order of parsing decides which of several errors is reported. */
#include "query/ha3/ha3_internal.h"

bool qn_ha3__next_piece(qn_slice *rest, char separator, qn_slice *piece)
{
    while (rest->n > 0) {
        const char *cut = memchr(rest->p, separator, rest->n);
        size_t n = cut == NULL ? rest->n : (size_t)(cut - rest->p);
        *piece = qn_slice_trim((qn_slice){rest->p, n});
        if (cut != NULL) n++;
        *rest = (qn_slice){rest->p + n, rest->n - n};
        if (piece->n > 0) return true;
    }
    return false;
}

/* ---- clauses ----------------------------------------------------------------------
 */

/* What is done with a clause. ORDER CLAUSES: `clauses` below. */
typedef enum clause_id {
    CLAUSE_CONFIG,
    CLAUSE_CLUSTER,
    CLAUSE_QUERY,
    CLAUSE_FILTER,
    CLAUSE_SORT,
    CLAUSE_ATTRIBUTE,
    CLAUSE_VIRTUAL_ATTRIBUTE,
    CLAUSE_KVPAIRS,
    CLAUSE_RANK,
    CLAUSE_DISTINCT,
    CLAUSE_AGGREGATE,
    CLAUSE_IGNORED, /* advice about speed or health: nothing to do here */
    CLAUSE_REFUSED, /* would change the result, and is not here */
    CLAUSE_COUNT,
} clause_id;

static const struct {
    const char *name;
    clause_id id;
} clauses[] = {
    {"config", CLAUSE_CONFIG},
    {"cluster", CLAUSE_CLUSTER},
    {"query", CLAUSE_QUERY},
    {"filter", CLAUSE_FILTER},
    {"sort", CLAUSE_SORT},
    {"attribute", CLAUSE_ATTRIBUTE},
    {"virtual_attribute", CLAUSE_VIRTUAL_ATTRIBUTE},
    {"kvpairs", CLAUSE_KVPAIRS},
    {"rank", CLAUSE_RANK},
    {"healthcheck", CLAUSE_IGNORED},
    {"searcher_cache", CLAUSE_IGNORED},
    {"optimizer", CLAUSE_IGNORED},
    {"pkfilter", CLAUSE_REFUSED},
    {"distinct", CLAUSE_DISTINCT},
    {"aggregate", CLAUSE_AGGREGATE},
    {"fetch_summary", CLAUSE_REFUSED},
    {"layer", CLAUSE_REFUSED},
    {"level", CLAUSE_REFUSED},
    {"rank_sort", CLAUSE_REFUSED},
    {"final_sort", CLAUSE_REFUSED},
    {"analyzer", CLAUSE_REFUSED},
    {"aux_query", CLAUSE_REFUSED},
    {"aux_filter", CLAUSE_REFUSED},
};

/* The texts by kind; p NULL where the clause is absent. */
typedef struct clause_set {
    qn_slice text[CLAUSE_COUNT];
} clause_set;

static qn_status unknown_clause(qn_ha3_request *r, qn_slice name)
{
    return qn_fail_at(r->err, QN_ECLAUSE, qn_ha3__offset(r, name),
                      "Error: Unknown clause. [%.*s]", (int)(name.n > 60 ? 60 : name.n),
                      name.p);
}

static qn_status take_clause(qn_ha3_request *r, qn_slice piece, clause_set *set)
{
    const char *equals = memchr(piece.p, '=', piece.n);
    if (equals == NULL)
        return qn_fail_at(r->err, QN_ECONFIG, qn_ha3__offset(r, piece),
                          "Missing '=' in sub-clause[%.*s]",
                          (int)(piece.n > 100 ? 100 : piece.n), piece.p);
    size_t n = (size_t)(equals - piece.p);
    qn_slice name = qn_slice_trim((qn_slice){piece.p, n});
    qn_slice text = qn_slice_trim((qn_slice){equals + 1, piece.n - n - 1});
    for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++) {
        if (!qn_slice_eq_str(name, clauses[i].name)) continue;
        if (clauses[i].id == CLAUSE_REFUSED)
            return qn_fail_at(r->err, QN_EUNSUPPORTED, qn_ha3__offset(r, name),
                              "the %s clause is not supported", clauses[i].name);
        set->text[clauses[i].id] = text;
        return QN_OK;
    }
    return unknown_clause(r, name);
}

static qn_status split_clauses(qn_ha3_request *r, clause_set *set)
{
    qn_slice rest = r->text;
    while (rest.n > 0) {
        size_t n = 0;
        while (n + 1 < rest.n && !(rest.p[n] == '&' && rest.p[n + 1] == '&')) n++;
        bool last = n + 1 >= rest.n;
        qn_slice piece = qn_slice_trim((qn_slice){rest.p, last ? rest.n : n});
        size_t used = last ? rest.n : n + 2;
        rest = (qn_slice){rest.p + used, rest.n - used};
        if (piece.n > 0) QN_TRY(take_clause(r, piece, set));
    }
    return QN_OK;
}

/* attribute = name { "," name } */
static qn_status parse_attributes(qn_ha3_request *r, qn_slice text)
{
    qn_slice *names = qn_arena_array(r->arena, QN_REQUEST_KVPAIRS_MAX, sizeof *names);
    if (names == NULL) return qn_fail(r->err, QN_ENOMEM, "attribute clause");
    size_t n = 0;
    qn_slice name;
    while (qn_ha3__next_piece(&text, ',', &name)) {
        if (qn_schema_field(r->env->schema, name) == NULL &&
            memchr(name.p, '(', name.n) != NULL)
            return qn_fail_at(r->err, QN_ENOATTR, qn_ha3__offset(r, name),
                              "[%.*s] is no attribute", QN_SLICE_ARG(name));
        if (n == QN_REQUEST_KVPAIRS_MAX)
            return qn_fail_at(r->err, QN_ELIMIT, qn_ha3__offset(r, name),
                              "over %d attributes", QN_REQUEST_KVPAIRS_MAX);
        names[n++] = name;
    }
    r->request->attributes = names;
    r->request->attribute_count = n;
    return QN_OK;
}

/* virtual_attribute = name ":" expr { ";" name ":" expr } */
static qn_status parse_virtual_attributes(qn_ha3_request *r, qn_slice text)
{
    qn_kvpair *pairs = qn_arena_array(r->arena, QN_REQUEST_KVPAIRS_MAX, sizeof *pairs);
    if (pairs == NULL) return qn_fail(r->err, QN_ENOMEM, "virtual_attribute clause");
    size_t n = 0;
    qn_slice piece;
    while (qn_ha3__next_piece(&text, ';', &piece)) {
        uint64_t at = qn_ha3__offset(r, piece);
        const char *colon = memchr(piece.p, ':', piece.n);
        if (colon == NULL || n == QN_REQUEST_KVPAIRS_MAX)
            return qn_fail_at(r->err, colon == NULL ? QN_ECONFIG : QN_ELIMIT, at,
                              "wrong virtual attribute [%.*s]", QN_SLICE_ARG(piece));
        size_t key_n = (size_t)(colon - piece.p);
        qn_kvpair pair = {qn_slice_trim((qn_slice){piece.p, key_n}),
                          qn_slice_trim((qn_slice){colon + 1, piece.n - key_n - 1})};
        bool taken = qn_schema_field(r->env->schema, pair.key) != NULL;
        for (size_t i = 0; i < n; i++) taken |= qn_slice_eq(pairs[i].key, pair.key);
        if (taken)
            return qn_fail_at(r->err, QN_EVIRTUAL, at,
                              "the virtual attribute [%.*s] has the name of another "
                              "attribute",
                              QN_SLICE_ARG(pair.key));
        pairs[n++] = pair;
    }
    r->request->virtual_attributes = pairs;
    r->request->virtual_attribute_count = n;
    return QN_OK;
}

/* rank = key ":" value { "," key ":" value }: only the name of a policy is used. */
static qn_status parse_rank(qn_ha3_request *r, qn_slice text)
{
    qn_slice piece;
    while (qn_ha3__next_piece(&text, ',', &piece)) {
        uint64_t at = qn_ha3__offset(r, piece);
        const char *colon = memchr(piece.p, ':', piece.n);
        if (colon == NULL)
            return qn_fail_at(r->err, QN_ECONFIG, at, "RankClause: no ':' in [%.*s]",
                              QN_SLICE_ARG(piece));
        qn_slice key = qn_slice_trim((qn_slice){piece.p, (size_t)(colon - piece.p)});
        if (qn_slice_eq_str(key, "fieldboost"))
            return qn_fail_at(r->err, QN_EUNSUPPORTED, at,
                              "fieldboost is not supported: give the boosts in the "
                              "index definition");
        if (!qn_slice_eq_str(key, "rank_profile") && !qn_slice_eq_str(key, "rank_hint"))
            return qn_fail_at(r->err, QN_ERANKKEY, at, "RankClause: unknown key [%.*s]",
                              QN_SLICE_ARG(key));
    }
    return QN_OK;
}

static qn_status parse_query(qn_ha3_request *r, qn_slice text)
{
    if (text.p == NULL || text.n == 0)
        return qn_fail_at(r->err, QN_ENULLQUERY, 0, "QueryClause: clause not exist");
    r->request->query_text = text;
    return qn_ha3__parse_clause(r->arena, r->env, text, qn_ha3__offset(r, text),
                                &r->query, &r->request->query, r->err);
}

/* Those kvpairs that have a meaning of their own. */
static qn_status name_kvpairs(qn_ha3_request *r)
{
    qn_request *q = r->request;
    const struct {
        const char *key;
        qn_slice *out;
    } named[] = {
        {"first_formula", &q->first_formula},
        {"formula", &q->formula},
        {"first_rank_name", &q->first_rank_name},
        {"second_rank_name", &q->second_rank_name},
    };
    q->kvpairs = r->kvpairs;
    q->kvpair_count = r->kvpair_count;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const qn_kvpair *pair = qn_request_kvpair(q, named[i].key);
        if (pair != NULL) *named[i].out = pair->value;
    }
    const qn_kvpair *fetch = qn_request_kvpair(q, "fetch_fields");
    if (fetch == NULL) return QN_OK;
    qn_slice *fields = qn_arena_array(r->arena, fetch->value.n / 2 + 1, sizeof *fields);
    if (fields == NULL) return qn_fail(r->err, QN_ENOMEM, "fetch_fields");
    qn_slice rest = fetch->value;
    while (qn_ha3__next_piece(&rest, ';', &fields[q->fetch_field_count]))
        q->fetch_field_count++;
    q->fetch_fields = fields;
    return QN_OK;
}

static qn_status parse_all(qn_ha3_request *r, const clause_set *set)
{
    const qn_slice *text = set->text;
    QN_TRY(qn_ha3__parse_config(r, text[CLAUSE_CONFIG]));
    if (text[CLAUSE_CLUSTER].p != NULL)
        QN_TRY(qn_ha3__parse_clusters(r, text[CLAUSE_CLUSTER], ','));
    QN_TRY(parse_query(r, text[CLAUSE_QUERY]));
    r->request->filter = text[CLAUSE_FILTER];
    if (text[CLAUSE_FILTER].p != NULL)
        r->request->filter_at = qn_ha3__offset(r, text[CLAUSE_FILTER]);
    else
        r->request->filter = QN_SLICE_LIT("");
    if (text[CLAUSE_SORT].p != NULL) QN_TRY(qn_ha3__parse_sort(r, text[CLAUSE_SORT]));
    if (text[CLAUSE_DISTINCT].p != NULL)
        QN_TRY(qn_ha3__parse_distinct(r, text[CLAUSE_DISTINCT]));
    if (text[CLAUSE_AGGREGATE].p != NULL)
        QN_TRY(qn_ha3__parse_aggregate(r, text[CLAUSE_AGGREGATE]));
    if (text[CLAUSE_RANK].p != NULL) QN_TRY(parse_rank(r, text[CLAUSE_RANK]));
    QN_TRY(parse_attributes(r, text[CLAUSE_ATTRIBUTE]));
    QN_TRY(parse_virtual_attributes(r, text[CLAUSE_VIRTUAL_ATTRIBUTE]));
    QN_TRY(qn_ha3__parse_kvpairs(r, text[CLAUSE_KVPAIRS]));
    return name_kvpairs(r);
}

static void set_defaults(qn_request *q)
{
    q->dialect = QN_DIALECT_HA3;
    q->score_scale = 1.0f;
    q->size = QN_REQUEST_SIZE_DEFAULT;
    q->track_total = QN_TOTAL_EXACT;
    q->format = QN_SLICE_LIT("xml");
    q->query_text = q->filter = q->first_formula = q->formula = QN_SLICE_LIT("");
    q->first_rank_name = q->second_rank_name = QN_SLICE_LIT("");
    q->trace = q->rank_trace = QN_SLICE_LIT("");
}

qn_status qn_ha3_parse(qn_arena *arena, const qn_query_env *env, qn_slice text,
                       const qn_request **out, qn_error *err)
{
    *out = NULL;
    if (text.n > QN_QUERY_BYTES_MAX)
        return qn_fail(err, QN_ELIMIT, "a request of %zu bytes, at most %d are allowed",
                       text.n, QN_QUERY_BYTES_MAX);
    if (qn_slice_trim(text).n == 0)
        return qn_fail_at(err, QN_EEMPTYQUERY, 0,
                          "Parse error: Query string is empty.");
    qn_ha3_request r = {.arena = arena, .env = env, .text = text, .err = err};
    r.request = qn_arena_new(arena, sizeof *r.request);
    r.kvpairs = qn_arena_array(arena, QN_REQUEST_KVPAIRS_MAX, sizeof *r.kvpairs);
    if (r.request == NULL || r.kvpairs == NULL)
        return qn_fail(err, QN_ENOMEM, "HA3 request");
    set_defaults(r.request);
    clause_set set = {0};
    QN_TRY(split_clauses(&r, &set));
    QN_TRY(parse_all(&r, &set));
    *out = r.request;
    return QN_OK;
}

qn_status qn_ha3_table_of(qn_slice text, qn_slice *table, qn_error *err)
{
    qn_request request = {0};
    qn_ha3_request r = {.text = text, .err = err, .request = &request};
    clause_set set = {0};
    QN_TRY(split_clauses(&r, &set));
    *table = QN_SLICE_LIT("");
    qn_slice rest = set.text[CLAUSE_CLUSTER], piece;
    if (rest.p == NULL) {
        rest = set.text[CLAUSE_CONFIG];
        while (qn_ha3__next_piece(&rest, ',', &piece)) {
            if (!qn_slice_starts_with(piece, "cluster:")) continue;
            rest = (qn_slice){piece.p + 8, piece.n - 8};
            break;
        }
    }
    if (rest.p == NULL) return QN_OK;
    size_t n = 0;
    rest = qn_slice_trim(rest);
    while (n < rest.n && strchr(",&:.", rest.p[n]) == NULL) n++;
    *table = qn_slice_trim((qn_slice){rest.p, n});
    return QN_OK;
}

const qn_kvpair *qn_request_kvpair(const qn_request *r, const char *key)
{
    for (size_t i = r->kvpair_count; i > 0; i--)
        if (qn_slice_eq_str(r->kvpairs[i - 1].key, key)) return &r->kvpairs[i - 1];
    return NULL;
}
