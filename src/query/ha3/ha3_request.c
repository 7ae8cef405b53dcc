/* SPDX-License-Identifier: Apache-2.0 */
/* The request string: clauses joined by `&&`, no quoting. The last of a kind wins. The
 * order of parsing decides which of several errors is reported. */
#include "query/ha3/ha3_words.h"

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

/* ---- clauses ---------------------------------------------------------------------- */

/* ORDER CLAUSES: the order of parsing, which decides which of several errors is told. */
typedef enum clause_id {
    CLAUSE_CONFIG,
    CLAUSE_CLUSTER,
    CLAUSE_QUERY,
    CLAUSE_FILTER,
    CLAUSE_SORT,
    CLAUSE_DISTINCT,
    CLAUSE_AGGREGATE,
    CLAUSE_RANK,
    CLAUSE_HEALTHCHECK,
    CLAUSE_ATTRIBUTE,
    CLAUSE_VIRTUAL_ATTRIBUTE,
    CLAUSE_FETCH_SUMMARY,
    CLAUSE_KVPAIRS,
    CLAUSE_LAYER,
    CLAUSE_SEARCHER_CACHE,
    CLAUSE_OPTIMIZER,
    CLAUSE_RANK_SORT,
    CLAUSE_FINAL_SORT,
    CLAUSE_LEVEL,
    CLAUSE_ANALYZER,
    CLAUSE_AUX_QUERY,
    CLAUSE_AUX_FILTER,
    CLAUSE_PKFILTER,
    CLAUSE_COUNT,
} clause_id;

static qn_status parse_cluster(qn_ha3_request *r, qn_slice text);
static qn_status parse_query(qn_ha3_request *r, qn_slice text);
static qn_status parse_filter(qn_ha3_request *r, qn_slice text);
static qn_status parse_aux_query(qn_ha3_request *r, qn_slice text);
static qn_status parse_aux_filter(qn_ha3_request *r, qn_slice text);
static qn_status parse_pkfilter(qn_ha3_request *r, qn_slice text);

/* ORDER CLAUSES. A clause that is absent is not parsed, but for config, which has
 * defaults. */
static const struct {
    const char *name;
    qn_status (*parse)(qn_ha3_request *r, qn_slice text);
} clauses[CLAUSE_COUNT] = {
    {"config", qn_ha3__parse_config},
    {"cluster", parse_cluster},
    {"query", parse_query},
    {"filter", parse_filter},
    {"sort", qn_ha3__parse_sort},
    {"distinct", qn_ha3__parse_distinct},
    {"aggregate", qn_ha3__parse_aggregate},
    {"rank", qn_ha3__parse_rank},
    {"healthcheck", qn_ha3__parse_health},
    {"attribute", qn_ha3__parse_attributes},
    {"virtual_attribute", qn_ha3__parse_virtuals},
    {"fetch_summary", qn_ha3__parse_fetch},
    {"kvpairs", qn_ha3__parse_kvpairs},
    {"layer", qn_ha3__parse_layer},
    {"searcher_cache", qn_ha3__parse_cache},
    {"optimizer", qn_ha3__parse_optimizer},
    {"rank_sort", qn_ha3__parse_rank_sort},
    {"final_sort", qn_ha3__parse_final_sort},
    {"level", qn_ha3__parse_level},
    {"analyzer", qn_ha3__parse_analyzer},
    {"aux_query", parse_aux_query},
    {"aux_filter", parse_aux_filter},
    {"pkfilter", parse_pkfilter},
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
        return qn_fail_at(r->err, QN_EPAIR, qn_ha3__offset(r, piece),
                          "Missing '=' in sub-clause[%.*s]",
                          (int)(piece.n > 100 ? 100 : piece.n), piece.p);
    size_t n = (size_t)(equals - piece.p);
    qn_slice name = qn_slice_trim((qn_slice){piece.p, n});
    qn_slice text = qn_slice_trim((qn_slice){equals + 1, piece.n - n - 1});
    for (size_t i = 0; i < CLAUSE_COUNT; i++) {
        if (!qn_slice_eq_str(name, clauses[i].name)) continue;
        set->text[i] = text;
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

/* ---- clauses of one expression or query ---------------------------------------------- */

static qn_status parse_cluster(qn_ha3_request *r, qn_slice text)
{
    return qn_ha3__parse_clusters(r, text, ',');
}

/* What is wrong with names and words of the query is told only when all clauses are
 * right in themselves. */
static qn_status parse_query(qn_ha3_request *r, qn_slice text)
{
    r->request->query_text = text;
    if (text.n == 0) return QN_OK;
    qn_ha3_layers layers = {0};
    qn_status st = qn_ha3__parse_clause(r->arena, r->env, text, qn_ha3__offset(r, text),
                                        &r->query, &layers, r->err);
    r->request->query = layers.count == 0 ? NULL : layers.queries[0];
    r->request->queries = layers.queries;
    r->request->query_count = layers.count;
    if (st == QN_OK || st == QN_ESYNTAX || st == QN_ENOMEM || st == QN_ELIMIT)
        return st;
    r->held = st;
    if (r->err != NULL) r->held_error = *r->err;
    return QN_OK;
}

static qn_status parse_filter(qn_ha3_request *r, qn_slice text)
{
    qn_clause_expr expr;
    QN_TRY(qn_ha3__parse_expr(r, text, "FilterClause", QN_EFILTER, &expr, NULL));
    r->request->filter = expr.text;
    r->request->filter_at = expr.at;
    return QN_OK;
}

/* The cluster that these would join is nobody's here: they are read and refused. */
static qn_status parse_aux_query(qn_ha3_request *r, qn_slice text)
{
    const qn_ha3_query_options options = {.default_index = QN_SLICE_LIT("")};
    qn_ha3_layers layers = {0};
    qn_status st = qn_ha3__parse_clause(r->arena, r->env, text, qn_ha3__offset(r, text),
                                        &options, &layers, r->err);
    if (st == QN_ENOMEM || st == QN_ELIMIT) return st;
    if (st != QN_ESYNTAX) r->aux = true;
    return st != QN_ESYNTAX ? QN_OK
                            : qn_fail_at(r->err, QN_EAUXQUERY, qn_ha3__offset(r, text),
                                         "aux_query: no query [%.*s]",
                                         (int)(text.n > 100 ? 100 : text.n), text.p);
}

static qn_status parse_aux_filter(qn_ha3_request *r, qn_slice text)
{
    qn_clause_expr expr;
    r->aux = true;
    return qn_ha3__parse_expr(r, text, "AuxFilterClause", QN_EAUXFILTER, &expr, NULL);
}

/* A primary key as it stands: the query finds that document or none. */
static qn_status parse_pkfilter(qn_ha3_request *r, qn_slice text)
{
    if (text.n == 0)
        return qn_fail_at(r->err, QN_EPKFILTER, qn_ha3__offset(r, text),
                          "PKFilter clause error. no key");
    r->pkfilter = text;
    return QN_OK;
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

/* Every query keeps only the document of pkfilter. */
static qn_status restrict_to_key(qn_ha3_request *r)
{
    qn_request *q = r->request;
    qn_leaf_maker make = {r->arena, r->env, r->err};
    uint64_t at = qn_ha3__offset(r, r->pkfilter);
    const qn_leaf_target primary = {.kind = QN_INDEX_PRIMARY};
    const qn_query **queries =
        qn_arena_array(r->arena, q->query_count, sizeof *queries);
    if (queries == NULL) return qn_fail(r->err, QN_ENOMEM, "pkfilter");
    for (size_t i = 0; i < q->query_count; i++) {
        qn_query *both, *key;
        QN_TRY(qn_leaf_value(&make, &primary, r->pkfilter, at, &key));
        QN_TRY(qn_leaf_new(&make, QN_QUERY_BOOL, NULL, at, &both));
        const qn_query **lists = qn_arena_array(r->arena, 2, sizeof *lists);
        if (lists == NULL) return qn_fail(r->err, QN_ENOMEM, "pkfilter");
        lists[0] = q->queries[i];
        lists[1] = key;
        both->u.boolean.must = (qn_query_list){lists, 1};
        both->u.boolean.filter = (qn_query_list){lists + 1, 1};
        QN_TRY(qn_query_rewrite(r->arena, both, &queries[i], r->err));
    }
    q->queries = queries;
    q->query = queries[0];
    return QN_OK;
}

static qn_status parse_clauses(qn_ha3_request *r, const clause_set *set)
{
    /* Which analyzers there are decides how the query is read, but what is wrong with
     * them is told in its turn. */
    qn_error *err = r->err;
    r->err = NULL;
    qn_status analyzers = QN_OK;
    if (set->text[CLAUSE_ANALYZER].p != NULL)
        analyzers = qn_ha3__parse_analyzer(r, set->text[CLAUSE_ANALYZER]);
    qn_ha3_query_options named = r->query;
    r->err = err;
    if (analyzers == QN_ENOMEM) return qn_fail(err, QN_ENOMEM, "analyzer clause");
    for (size_t i = 0; i < CLAUSE_COUNT; i++) {
        if (set->text[i].p == NULL && i != CLAUSE_CONFIG) continue;
        QN_TRY(clauses[i].parse(r, set->text[i]));
        if (i != CLAUSE_CONFIG) continue;
        if (named.analyzer.n > 0) r->query.analyzer = named.analyzer;
        if (named.index_analyzers.n > 0)
            r->query.index_analyzers = named.index_analyzers;
        if (named.raw_indexes.n > 0) r->query.raw_indexes = named.raw_indexes;
    }
    return QN_OK;
}

/* What can be told only when everything is parsed, in HA3's order. */
static qn_status validate(qn_ha3_request *r)
{
    const qn_request *q = r->request;
    QN_TRY(qn_ha3__check_summary(r));
    if (q->query_text.n == 0 && q->fetch_count == 0)
        return qn_fail_at(r->err, QN_ENULLQUERY, 0, "QueryClause: clause not exist.");
    if (r->held != QN_OK) {
        if (r->err != NULL) *r->err = r->held_error;
        return r->held;
    }
    QN_TRY(qn_ha3__check_config(r));
    if (r->aux)
        return qn_fail(r->err, QN_EAUXCLUSTER,
                       "No ScanJoinCluster cannot execute aux query or filter");
    if (r->pkfilter.n > 0 && q->query_count > 0) return restrict_to_key(r);
    return QN_OK;
}

static qn_status parse_all(qn_ha3_request *r, const clause_set *set)
{
    QN_TRY(parse_clauses(r, set));
    QN_TRY(validate(r));
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
    q->rank.profile = q->rank.hint = QN_SLICE_LIT("");
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
