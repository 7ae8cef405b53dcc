/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_internal.h"

static qn_status build(qn_expr *e, const qn_expr_env *env, qn_error *err)
{
    qn_expr__builder b = {.e = e, .env = env, .alloc = e->alloc, .err = err};
    b.values = qn_new_array(e->alloc, e->tree.nodes.n, sizeof *b.values);
    qn_status st = b.values == NULL ? qn_fail(err, QN_ENOMEM, "expression")
                                    : qn_expr__type_tree(&b);
    if (st == QN_OK && b.failed) st = qn_fail(err, QN_ENOMEM, "expression");
    qn_delete(e->alloc, b.values);
    qn_delete(e->alloc, b.buckets);
    return st;
}

qn_status qn_expr_compile(qn_alloc *alloc, qn_expr_dialect dialect, qn_slice text,
                          const qn_expr_env *env, QN_OWNED qn_expr **out, qn_error *err)
{
    *out = NULL;
    if (text.n > QN_EXPR_TEXT_MAX)
        return qn_fail_at(err, QN_ELIMIT, QN_EXPR_TEXT_MAX,
                          "an expression of %zu bytes, at most %d", text.n,
                          QN_EXPR_TEXT_MAX);
    qn_expr *e = qn_new0(alloc, sizeof *e);
    if (e == NULL) return qn_fail(err, QN_ENOMEM, "expression");
    e->alloc = alloc;
    e->dialect = dialect;
    qn_arena_init(&e->arena, alloc, 0);
    qn_status st = QN_OK;
    e->text = qn_arena_slice(&e->arena, text);
    if (e->text.p == NULL) QN_TRY_TO(fail, qn_fail(err, QN_ENOMEM, "expression"));
    QN_TRY_TO(fail, qn_expr__parse(alloc, &e->arena, dialect, e->text, &e->tree, err));
    QN_TRY_TO(fail, build(e, env, err));
    QN_TRY_TO(fail, qn_expr__emit(e, &e->root, 1, &e->program, err));
    *out = e;
    return QN_OK;

fail:
    qn_expr_destroy(e);
    return st;
}

void qn_expr_destroy(QN_OWNED QN_NULLABLE qn_expr *e)
{
    if (e == NULL) return;
    qn_expr__program_deinit(e->alloc, &e->program);
    qn_expr__tree_deinit(e->alloc, &e->tree);
    qn_vec_deinit(e->alloc, &e->nodes);
    qn_vec_deinit(e->alloc, &e->args);
    qn_vec_deinit(e->alloc, &e->sets);
    qn_vec_deinit(e->alloc, &e->strings);
    qn_vec_deinit(e->alloc, &e->inputs);
    qn_vec_deinit(e->alloc, &e->input_nodes);
    qn_vec_deinit(e->alloc, &e->terms);
    qn_arena_deinit(&e->arena);
    qn_delete(e->alloc, e);
}

qn_expr_type qn_expr_result_type(const qn_expr *e)
{
    return (qn_expr_type)e->nodes.p[e->root].type;
}

bool qn_expr_is_constant(const qn_expr *e, double *value)
{
    double v;
    if (!qn_expr__is_const(e, e->root, &v)) return false;
    if (value != NULL) *value = v;
    return true;
}

size_t qn_expr_input_count(const qn_expr *e)
{
    return e->inputs.n;
}

const qn_expr_input *qn_expr_input_at(const qn_expr *e, size_t i)
{
    qn_assert(i < e->inputs.n);
    return &e->inputs.p[i];
}

size_t qn_expr_term_count(const qn_expr *e)
{
    return e->terms.n;
}

qn_expr_term qn_expr_term_at(const qn_expr *e, size_t i)
{
    qn_assert(i < e->terms.n);
    return (qn_expr_term){e->terms.p[i].text, e->terms.p[i].minus};
}
