/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of expressions inside clauses, checked before anything is compiled, and
 * their normalised spelling.
 *
 *     algebra    = value | condition | call
 *     condition  = conj { "OR" conj }                 conj = part { "AND" part }
 *     part       = condition | call                   (no bare value)
 *     comparison = value op value                     op: = != < <= > >=
 *     value      = bits of | ^ & over + - over * /    loosest first, to the left
 *     atom       = number | "-" number | NAME | STRING | call | "(" algebra ")"
 *     call       = NAME "(" [ algebra { "," algebra } ] ")"
 *
 * A comparison is no operand of arithmetic, whatever the table of precedence says:
 * `a & 1 = 0` is ((a&1)=0), `a = b = c` is refused, and so is a minus before a name.
 *
 * The spelling is a list of pieces in order; "(" before a piece are counted on it, so that
 * wrapping what was read costs nothing. */
#include "query/ha3/ha3_words.h"

#include "base/vec.h"

enum { DEPTH_MAX = 100, PIECES_MAX = 16384 };

typedef struct piece {
    uint32_t opens;
    bool quoted; /* a string constant: written anew */
    qn_slice text;
} piece;

typedef QN_VEC(piece) piece_list;

typedef struct reader {
    qn_ha3_cursor *c;
    qn_alloc *alloc;
    piece_list pieces;
} reader;

typedef struct part {
    size_t first; /* its first piece */
    qn_ha3_form form;
} part;

static qn_status read_algebra(reader *r, part *out);

static qn_status add(reader *r, qn_slice text, bool quoted)
{
    if (r->pieces.n >= PIECES_MAX)
        return qn_fail_at(
            r->c->r->err, QN_ELIMIT, qn_ha3__offset(r->c->r, r->c->word.text),
            "%s: an expression of over %d words", r->c->clause, PIECES_MAX);
    piece p = {.text = text, .quoted = quoted};
    if (qn_vec_push(r->alloc, &r->pieces, p)) return QN_OK;
    return qn_fail(r->c->r->err, QN_ENOMEM, "%s", r->c->clause);
}

static qn_status add_text(reader *r, const char *text)
{
    return add(r, qn_slice_of(text), false);
}

/* call = NAME "(" [ algebra { "," algebra } ] ")"; the name is added. */
static qn_status read_call(reader *r)
{
    QN_TRY(add_text(r, "("));
    for (bool more = !qn_ha3__accept_mark(r->c, ')'); more;) {
        part argument;
        QN_TRY(read_algebra(r, &argument));
        more = qn_ha3__accept_mark(r->c, ',');
        if (more) QN_TRY(add_text(r, " , "));
        if (!more) QN_TRY(qn_ha3__expect_mark(r->c, ')'));
    }
    return add_text(r, ")");
}

static qn_status read_atom(reader *r, part *out)
{
    qn_ha3_cursor *c = r->c;
    *out = (part){.first = r->pieces.n};
    qn_ha3_word w = c->word;
    switch (w.kind) {
    case QN_WORD_INTEGER:
    case QN_WORD_FLOAT:
        qn_ha3__advance(c);
        return add(r, w.text, false);
    case QN_WORD_STRING:
        qn_ha3__advance(c);
        return add(r, (qn_slice){w.text.p + 1, w.text.n - 2}, true);
    case QN_WORD_NAME:
        qn_ha3__advance(c);
        QN_TRY(add(r, w.text, false));
        if (!qn_ha3__accept_mark(c, '(')) return QN_OK;
        out->form = QN_FORM_CALL;
        return read_call(r);
    default:
        break;
    }
    if (qn_ha3__accept_mark(c, '-')) {
        if (c->word.kind != QN_WORD_INTEGER && c->word.kind != QN_WORD_FLOAT)
            return qn_ha3__unexpected(c, "a number after the minus sign");
        QN_TRY(add_text(r, "-"));
        qn_slice digits = c->word.text;
        qn_ha3__advance(c);
        return add(r, digits, false);
    }
    if (!qn_ha3__accept_mark(c, '(')) return qn_ha3__unexpected(c, "an expression");
    QN_TRY(read_algebra(r, out));
    return qn_ha3__expect_mark(c, ')');
}

/* The two sides become one piece of text, "(left op right)". */
static qn_status wrap(reader *r, part *left)
{
    r->pieces.p[left->first].opens++;
    return add_text(r, ")");
}

static const char *arithmetic_at(const qn_ha3_cursor *c, size_t level)
{
    static const char *const levels[] = {"|", "^", "&", "+-", "*/"};
    if (c->word.kind != QN_WORD_MARK || level >= sizeof levels / sizeof *levels)
        return NULL;
    return strchr(levels[level], c->word.mark);
}

/* value(level) = value(level + 1) { op(level) value(level + 1) } */
static qn_status read_value(reader *r, size_t level, part *out)
{
    if (level == 5) return read_atom(r, out);
    QN_TRY(read_value(r, level + 1, out));
    while (arithmetic_at(r->c, level) != NULL) {
        if (out->form == QN_FORM_CONDITION)
            return qn_ha3__unexpected(r->c, "AND, OR or the end behind a condition");
        qn_slice op = r->c->word.text;
        qn_ha3__advance(r->c);
        QN_TRY(add(r, op, false));
        const char *at = r->c->word.text.p;
        part right;
        QN_TRY(read_value(r, level + 1, &right));
        if (right.form == QN_FORM_CONDITION)
            return qn_ha3__wrong(r->c, r->c->code, at,
                                 "a condition is no operand of arithmetic");
        QN_TRY(wrap(r, out));
        out->form = QN_FORM_VALUE;
    }
    return QN_OK;
}

static bool at_comparison(const qn_ha3_cursor *c)
{
    return c->word.kind == QN_WORD_MARK && strchr("=!<L>G", c->word.mark) != NULL;
}

static qn_status read_comparison(reader *r, part *out)
{
    QN_TRY(read_value(r, 0, out));
    if (!at_comparison(r->c)) return QN_OK;
    if (out->form == QN_FORM_CONDITION)
        return qn_ha3__unexpected(r->c, "AND, OR or the end behind a condition");
    QN_TRY(add(r, r->c->word.text, false));
    qn_ha3__advance(r->c);
    const char *at = r->c->word.text.p;
    part right;
    QN_TRY(read_value(r, 0, &right));
    if (right.form == QN_FORM_CONDITION)
        return qn_ha3__wrong(r->c, r->c->code, at, "a condition cannot be compared");
    if (at_comparison(r->c))
        return qn_ha3__unexpected(r->c, "AND, OR or the end behind a condition");
    out->form = QN_FORM_CONDITION;
    return wrap(r, out);
}

/* conj = comparison { "AND" comparison }; level 1: conj { "OR" conj } */
static qn_status read_logical(reader *r, qn_ha3_word_kind op, part *out)
{
    bool outer = op == QN_WORD_OR;
    const char *at = r->c->word.text.p;
    QN_TRY(outer ? read_logical(r, QN_WORD_AND, out) : read_comparison(r, out));
    while (r->c->word.kind == op) {
        if (out->form == QN_FORM_VALUE)
            return qn_ha3__wrong(r->c, r->c->code, at,
                                 "the left side of %s is no condition",
                                 outer ? "OR" : "AND");
        qn_ha3__advance(r->c);
        QN_TRY(add_text(r, outer ? " OR " : " AND "));
        const char *right_at = r->c->word.text.p;
        part right;
        QN_TRY(outer ? read_logical(r, QN_WORD_AND, &right)
                     : read_comparison(r, &right));
        if (right.form == QN_FORM_VALUE)
            return qn_ha3__wrong(r->c, r->c->code, right_at,
                                 "the right side of %s is no condition",
                                 outer ? "OR" : "AND");
        out->form = QN_FORM_CONDITION;
        QN_TRY(wrap(r, out));
    }
    return QN_OK;
}

static qn_status read_algebra(reader *r, part *out)
{
    if (++r->c->depth > DEPTH_MAX)
        return qn_fail_at(
            r->c->r->err, QN_ELIMIT, qn_ha3__offset(r->c->r, r->c->word.text),
            "%s: an expression nested deeper than %d", r->c->clause, DEPTH_MAX);
    QN_TRY(read_logical(r, QN_WORD_OR, out));
    r->c->depth--;
    return QN_OK;
}

/* ---- spelling --------------------------------------------------------------------- */

/* A string constant between its quotes: escapes resolved, then put back where needed. */
static size_t spell_string(qn_slice s, char *out)
{
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) i++;
        if (s.p[i] == '"' || s.p[i] == '\\') out[n++] = '\\';
        out[n++] = s.p[i];
    }
    out[n++] = '"';
    return n;
}

static qn_status spell(reader *r, qn_slice *out)
{
    size_t n = 1;
    for (size_t i = 0; i < r->pieces.n; i++) {
        const piece *p = &r->pieces.p[i];
        n += p->opens + (p->quoted ? 2 + 2 * p->text.n : p->text.n);
    }
    char *text = qn_arena_new(r->c->r->arena, n);
    if (text == NULL) return qn_fail(r->c->r->err, QN_ENOMEM, "%s", r->c->clause);
    n = 0;
    for (size_t i = 0; i < r->pieces.n; i++) {
        const piece *p = &r->pieces.p[i];
        memset(text + n, '(', p->opens);
        n += p->opens;
        if (p->quoted) {
            n += spell_string(p->text, text + n);
        } else {
            memcpy(text + n, p->text.p, p->text.n);
            n += p->text.n;
        }
    }
    *out = (qn_slice){text, n};
    return QN_OK;
}

qn_status qn_ha3__read_expr(qn_ha3_cursor *c, qn_clause_expr *out, qn_ha3_form *form)
{
    reader r = {.c = c, .alloc = c->r->arena->alloc};
    part whole = {0};
    const char *begin = c->word.text.p;
    c->depth = 0;
    qn_status st = read_algebra(&r, &whole);
    if (st == QN_OK) st = spell(&r, &out->normalized);
    qn_vec_deinit(r.alloc, &r.pieces);
    out->text = (qn_slice){begin, (size_t)(c->taken - begin)};
    out->at = (uint64_t)(begin - c->r->text.p);
    if (form != NULL) *form = whole.form;
    return st;
}

qn_status qn_ha3__parse_expr(qn_ha3_request *r, qn_slice text, const char *clause,
                             qn_status code, qn_clause_expr *out, qn_ha3_form *form)
{
    qn_ha3_cursor c;
    qn_ha3__cursor(&c, r, text, clause, code);
    QN_TRY(qn_ha3__read_expr(&c, out, form));
    return c.word.kind == QN_WORD_END
               ? QN_OK
               : qn_ha3__unexpected(&c, "an operator or the end");
}
