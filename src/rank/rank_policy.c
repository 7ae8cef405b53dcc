/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/rank_policy.h"

#include "base/nearest.h"
#include "expr/expr.h"
#include "io/json.h"

#include <math.h>

typedef struct reader {
    qn_slice text;
    bool features;
    qn_arena *arena;
    qn_error *err;
} reader;

static qn_status wrong(const reader *r, const qn_json *v, const char *wanted)
{
    return qn_fail_at(r->err, QN_EINVAL, qn_json_offset(v, r->text),
                      "policy: \"%.*s\" takes %s, not %s", QN_SLICE_ARG(v->key), wanted,
                      qn_json_kind_name(v->kind));
}

/* Refuses members that are not among `known` ("a b c"). */
static qn_status only(const reader *r, const qn_json *object, const char *known)
{
    for (const qn_json *it = qn_json_items(object); it != NULL; it = it->next) {
        qn_nearest near = qn_nearest_begin(it->key);
        bool found = false;
        for (const char *p = known; *p != '\0' && !found;) {
            size_t n = strcspn(p, " ");
            qn_nearest_offer(&near, (qn_slice){p, n});
            found = qn_slice_eq(it->key, (qn_slice){p, n});
            p += p[n] == '\0' ? n : n + 1;
        }
        if (found) continue;
        if (near.best.p != NULL)
            return qn_fail_at(r->err, QN_EINVAL, qn_json_offset(it, r->text),
                              "policy: unknown member \"%.*s\", did you mean \"%.*s\"?",
                              QN_SLICE_ARG(it->key), QN_SLICE_ARG(near.best));
        return qn_fail_at(r->err, QN_EINVAL, qn_json_offset(it, r->text),
                          "policy: unknown member \"%.*s\"; known: %s",
                          QN_SLICE_ARG(it->key), known);
    }
    return QN_OK;
}

/* ---- features -------------------------------------------------------------------------- */

static bool is_name(qn_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (unsigned char)c >= 0x80;
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return s.n > 0;
}

/* What may stand between the parentheses of a call: no parenthesis of its own, so that a
 * feature cannot be more than one call. */
static bool is_argument(qn_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '(' || s.p[i] == ')' || (unsigned char)s.p[i] < ' ') return false;
    return true;
}

static qn_status add_feature(const reader *r, const qn_json *v, qn_buf *formula)
{
    if (v->kind != QN_JSON_OBJECT)
        return qn_fail_at(r->err, QN_EINVAL, qn_json_offset(v, r->text),
                          "policy: a feature is {\"attribute\", \"arg\", \"weight\"}");
    QN_TRY(only(r, v, "attribute arg weight"));
    const qn_json *attribute = qn_json_get(v, "attribute"),
                  *arg = qn_json_get(v, "arg"), *weight = qn_json_get(v, "weight");
    if (attribute == NULL || weight == NULL)
        return qn_fail_at(r->err, QN_EINVAL, qn_json_offset(v, r->text),
                          "policy: a feature needs \"attribute\" and \"weight\"");
    if (attribute->kind != QN_JSON_STRING)
        return wrong(r, attribute, "an attribute or a call");
    if (arg != NULL && arg->kind != QN_JSON_STRING) return wrong(r, arg, "a string");
    qn_slice name = qn_slice_trim(attribute->string), in = QN_SLICE_LIT("");
    bool call = qn_slice_ends_with(name, ")");
    if (call) {
        const char *open = memchr(name.p, '(', name.n);
        size_t n = open == NULL ? 0 : (size_t)(open - name.p);
        in = qn_slice_trim(
            (qn_slice){name.p + n + 1, open == NULL ? 0 : name.n - n - 2});
        name.n = n;
    }
    if (arg != NULL && qn_slice_trim(arg->string).n > 0) {
        if (!call || in.n > 0)
            return wrong(r, arg,
                         "\"\" beside an attribute, or beside a call that has "
                         "its arguments already");
        in = qn_slice_trim(arg->string);
    }
    if (!is_name(name) || !is_argument(in))
        return wrong(r, attribute,
                     "an attribute (sale_price) or one call (static_bm25()) with its "
                     "argument in \"arg\"");
    bool number = weight->kind == QN_JSON_INT || weight->kind == QN_JSON_DOUBLE;
    if (!number || !(fabs(weight->number) <= QN_RANK_POLICY_WEIGHT_MAX) ||
        weight->number == 0)
        return wrong(r, weight, "a number from -100000 to 100000 that is not 0");
    if (formula->n > 0) qn_buf_add_str(formula, "+");
    qn_buf_add_slice(formula, name);
    if (call) qn_buf_printf(formula, "(%.*s)", QN_SLICE_ARG(in));
    qn_buf_printf(formula, "*%.*s", QN_SLICE_ARG(weight->raw));
    return QN_OK;
}

static qn_status read_features(const reader *r, const qn_json *v, qn_rank_policy *out)
{
    if (!r->features)
        return qn_fail_at(
            r->err, QN_EINVAL, qn_json_offset(v, r->text),
            "policy: features with weights make a rough policy; a fine one "
            "takes \"formula\"");
    if (v->kind != QN_JSON_ARRAY || v->count == 0)
        return wrong(r, v, "a list of {\"attribute\", \"arg\", \"weight\"}");
    if (v->count > QN_RANK_POLICY_FEATURES_MAX)
        return qn_fail_at(r->err, QN_ELIMIT, qn_json_offset(v, r->text),
                          "policy: %zu features, at most %d", v->count,
                          QN_RANK_POLICY_FEATURES_MAX);
    qn_buf formula;
    qn_buf_init(&formula, qn_alloc_heap());
    qn_status st = QN_OK;
    for (const qn_json *it = v->first; st == QN_OK && it != NULL; it = it->next)
        st = add_feature(r, it, &formula);
    if (st == QN_OK) {
        out->formula = qn_arena_slice(r->arena, qn_buf_slice(&formula));
        if (formula.failed || out->formula.p == NULL)
            st = qn_fail(r->err, QN_ENOMEM, "policy");
    }
    qn_buf_deinit(&formula);
    return st;
}

/* ---- the whole --------------------------------------------------------------------------- */

static qn_status read_formula(const reader *r, const qn_json *v, qn_rank_policy *out)
{
    if (v->kind != QN_JSON_STRING) return wrong(r, v, "a formula as a string");
    out->formula = qn_arena_slice(r->arena, qn_slice_trim(v->string));
    return out->formula.p == NULL ? qn_fail(r->err, QN_ENOMEM, "policy") : QN_OK;
}

/* {"type": "STRING" | "STRUCT" | "expression", "meta": ...} */
static qn_status read_typed(const reader *r, const qn_json *type, const qn_json *meta,
                            qn_rank_policy *out)
{
    if (type == NULL || meta == NULL)
        return qn_fail(r->err, QN_EINVAL, "policy: \"type\" and \"meta\" go together");
    if (type->kind == QN_JSON_STRING &&
        (qn_slice_eq_nocase(type->string, "string") ||
         qn_slice_eq_nocase(type->string, "expression")))
        return read_formula(r, meta, out);
    if (type->kind == QN_JSON_STRING && qn_slice_eq_nocase(type->string, "struct"))
        return read_features(r, meta, out);
    return wrong(r, type, "\"STRING\", \"STRUCT\" or \"expression\"");
}

static qn_status read_object(const reader *r, const qn_json *root, qn_rank_policy *out)
{
    /* name and active come with the management API's objects; here they are said elsewhere */
    QN_TRY(only(r, root, "formula features description type meta name active"));
    const qn_json *formula = qn_json_get(root, "formula"),
                  *features = qn_json_get(root, "features"),
                  *type = qn_json_get(root, "type"), *meta = qn_json_get(root, "meta"),
                  *description = qn_json_get(root, "description");
    int forms = (formula != NULL) + (features != NULL) + (type != NULL || meta != NULL);
    if (forms != 1)
        return qn_fail(r->err, QN_EINVAL,
                       "policy: one of \"formula\", \"features\" and \"type\" with "
                       "\"meta\" is needed, and one only");
    if (description != NULL && description->kind != QN_JSON_STRING)
        return wrong(r, description, "a string");
    if (description != NULL)
        out->description = qn_arena_slice(r->arena, description->string);
    if (formula != NULL) return read_formula(r, formula, out);
    if (features != NULL) return read_features(r, features, out);
    return read_typed(r, type, meta, out);
}

qn_status qn_rank_policy_parse(qn_slice text, bool features, qn_arena *arena,
                               qn_rank_policy *out, qn_error *err)
{
    reader r = {qn_slice_trim(text), features, arena, err};
    const qn_json *root = NULL;
    *out = (qn_rank_policy){QN_SLICE_LIT(""), QN_SLICE_LIT("")};
    if (r.text.n > 0 && r.text.p[0] == '{') {
        QN_TRY(qn_json_parse(arena, r.text, &root, err));
        QN_TRY(read_object(&r, root, out));
    } else {
        out->formula = qn_arena_slice(arena, r.text);
        if (out->formula.p == NULL) return qn_fail(err, QN_ENOMEM, "policy");
    }
    if (out->formula.n == 0)
        return qn_fail(err, QN_EINVAL, "policy: the formula is empty");
    if (out->formula.n > QN_EXPR_TEXT_MAX)
        return qn_fail(err, QN_ELIMIT, "policy: a formula of %zu bytes, at most %d",
                       out->formula.n, QN_EXPR_TEXT_MAX);
    return QN_OK;
}
