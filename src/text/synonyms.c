/* SPDX-License-Identifier: Apache-2.0 */
#include "text/synonyms.h"

#include "base/map.h"
#include "base/vec.h"
#include "text/text_internal.h"

/* What a left side leads to. */
typedef struct entry {
    bool keep;
    QN_VEC(uint32_t) out; /* phrases */
} entry;

struct qn_synonyms {
    qn_alloc *alloc;
    const qn_analyzer *analyzer;
    qn_arena kept;     /* terms of phrases */
    qn_arena scratch;  /* of one line */
    qn_map phrase_ids; /* terms and positions -> phrase */
    QN_VEC(qn_synonym) phrases;
    qn_map entry_ids; /* terms -> entry */
    QN_VEC(entry) entries;
    size_t longest, rules, links;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "synonyms");
}

qn_status qn_synonyms_create(qn_alloc *a, const qn_analyzer *analyzer,
                             qn_synonyms **out, qn_error *err)
{
    *out = qn_new0(a, sizeof **out);
    if (*out == NULL) return no_memory(err);
    (*out)->alloc = a;
    (*out)->analyzer = analyzer;
    qn_arena_init(&(*out)->kept, a, 0);
    qn_arena_init(&(*out)->scratch, a, 0);
    qn_map_init(&(*out)->phrase_ids, a);
    qn_map_init(&(*out)->entry_ids, a);
    return QN_OK;
}

void qn_synonyms_destroy(qn_synonyms *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->entries.n; i++)
        qn_vec_deinit(s->alloc, &s->entries.p[i].out);
    qn_vec_deinit(s->alloc, &s->entries);
    qn_vec_deinit(s->alloc, &s->phrases);
    qn_map_deinit(&s->entry_ids);
    qn_map_deinit(&s->phrase_ids);
    qn_arena_deinit(&s->scratch);
    qn_arena_deinit(&s->kept);
    qn_delete(s->alloc, s);
}

size_t qn_synonyms_count(const qn_synonyms *s)
{
    return s->entries.n;
}

/* ---- sides ----------------------------------------------------------------------- */

/* Terms apart by a byte that no term of valid UTF-8 holds. */
static bool key_of_terms(const qn_slice *terms, size_t n, char *key, size_t size,
                         qn_slice *out)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (terms[i].n + 1 > size - at) return false;
        memcpy(key + at, terms[i].p, terms[i].n);
        at += terms[i].n;
        key[at++] = (char)0xff;
    }
    *out = (qn_slice){key, at};
    return true;
}

enum { KEY_BYTES_MAX = QN_SYNONYM_TERMS_MAX * (QN_TOKEN_UNITS_MAX * 4 + 1) };

/* What an analyzed side is known by; *id UINT32_MAX when nothing is left of it. */
static qn_status side_of(qn_synonyms *s, qn_slice text, uint32_t *id, qn_error *err)
{
    *id = UINT32_MAX;
    qn_token_list tokens = {0};
    QN_TRY(qn_analyzer_run(s->analyzer, text, &s->scratch, &tokens, err));
    size_t n = 0;
    for (size_t i = 0; i < tokens.n; i++) { /* of several at a place, the first */
        if (i > 0 && tokens.p[i].position == tokens.p[i - 1].position) continue;
        tokens.p[n++] = tokens.p[i];
    }
    if (n == 0 || (n == 1 && tokens.p[0].term.n == 0)) return QN_OK;
    if (n > QN_SYNONYM_TERMS_MAX)
        return qn_fail(err, QN_ELIMIT, "a synonym of %zu words, at most %d", n,
                       QN_SYNONYM_TERMS_MAX);
    qn_buf key;
    qn_buf_init(&key, s->alloc);
    for (size_t i = 0; i < n; i++) {
        qn_buf_printf(&key, "%u:%zu:", tokens.p[i].position - tokens.p[0].position,
                      tokens.p[i].term.n);
        qn_buf_add_slice(&key, tokens.p[i].term);
    }
    uint64_t known;
    qn_status st = QN_OK;
    if (key.failed) {
        st = no_memory(err);
    } else if (qn_map_get(&s->phrase_ids, qn_buf_slice(&key), &known)) {
        *id = (uint32_t)known;
    } else {
        qn_synonym_term *terms = qn_arena_array(&s->kept, n, sizeof *terms);
        bool failed = terms == NULL;
        for (size_t i = 0; i < n && !failed; i++) {
            terms[i] = (qn_synonym_term){
                qn_arena_slice(&s->kept, tokens.p[i].term),
                tokens.p[i].position - tokens.p[0].position,
            };
            failed = terms[i].bytes.p == NULL;
        }
        *id = (uint32_t)s->phrases.n;
        failed = failed ||
                 !qn_map_put(&s->phrase_ids, qn_buf_slice(&key), s->phrases.n) ||
                 !qn_vec_push(s->alloc, &s->phrases, ((qn_synonym){terms, n}));
        if (failed) st = no_memory(err);
    }
    qn_buf_deinit(&key);
    return st;
}

static qn_status entry_of(qn_synonyms *s, uint32_t phrase, bool make, entry **out,
                          qn_error *err)
{
    char bytes[KEY_BYTES_MAX];
    qn_slice terms[QN_SYNONYM_TERMS_MAX], key;
    const qn_synonym *p = &s->phrases.p[phrase];
    *out = NULL;
    for (size_t i = 0; i < p->count; i++) terms[i] = p->terms[i].bytes;
    if (!key_of_terms(terms, p->count, bytes, sizeof bytes, &key))
        return qn_fail(err, QN_ELIMIT, "a synonym of over %d bytes", KEY_BYTES_MAX);
    uint64_t at;
    if (qn_map_get(&s->entry_ids, key, &at)) {
        *out = &s->entries.p[at];
        return QN_OK;
    }
    if (!make) return QN_OK;
    if (!qn_vec_push(s->alloc, &s->entries, (entry){0})) return no_memory(err);
    if (!qn_map_put(&s->entry_ids, key, s->entries.n - 1)) {
        s->entries.n--;
        return no_memory(err);
    }
    if (p->count > s->longest) s->longest = p->count;
    *out = &s->entries.p[s->entries.n - 1];
    return QN_OK;
}

static qn_status link_sides(qn_synonyms *s, uint32_t from, uint32_t to, bool keep,
                            qn_error *err)
{
    entry *e = NULL;
    QN_TRY(entry_of(s, from, true, &e, err));
    e->keep |= keep || from == to;
    if (from == to) return QN_OK;
    for (size_t i = 0; i < e->out.n; i++)
        if (e->out.p[i] == to) return QN_OK;
    if (e->out.n == QN_SYNONYM_SIDES_MAX)
        return qn_fail(err, QN_ELIMIT, "over %d synonyms of one word",
                       QN_SYNONYM_SIDES_MAX);
    if (s->links == QN_SYNONYM_LINKS_MAX)
        return qn_fail(err, QN_ELIMIT, "over %d synonyms in one set",
                       QN_SYNONYM_LINKS_MAX);
    if (!qn_vec_push(s->alloc, &e->out, to)) return no_memory(err);
    s->links++;
    return QN_OK;
}

static qn_status count_rule(qn_synonyms *s, qn_error *err)
{
    if (s->rules == QN_SYNONYM_RULES_MAX)
        return qn_fail(err, QN_ELIMIT, "over %d synonym rules", QN_SYNONYM_RULES_MAX);
    s->rules++;
    return QN_OK;
}

static qn_status eliminated(qn_slice text, qn_error *err)
{
    return qn_fail(err, QN_ESYNTAX,
                   "term: [%.*s] was completely eliminated by the analyzer",
                   text.n > 100 ? 100 : (int)text.n, text.p);
}

static qn_status two_sides(qn_synonyms *s, qn_slice from, qn_slice to, uint32_t ids[2],
                           qn_error *err)
{
    qn_arena_reset(&s->scratch);
    QN_TRY(side_of(s, from, &ids[0], err));
    QN_TRY(side_of(s, to, &ids[1], err));
    if (ids[0] == UINT32_MAX) return eliminated(from, err);
    return ids[1] == UINT32_MAX ? eliminated(to, err) : QN_OK;
}

qn_status qn_synonyms_add(qn_synonyms *s, qn_slice from, qn_slice to, bool keep,
                          qn_error *err)
{
    uint32_t ids[2];
    QN_TRY(count_rule(s, err));
    QN_TRY(two_sides(s, from, to, ids, err));
    return link_sides(s, ids[0], ids[1], keep, err);
}

qn_status qn_synonyms_remove(qn_synonyms *s, qn_slice from, qn_slice to, qn_error *err)
{
    uint32_t ids[2];
    entry *e = NULL;
    QN_TRY(two_sides(s, from, to, ids, err));
    QN_TRY(entry_of(s, ids[0], false, &e, err));
    for (size_t i = 0; e != NULL && i < e->out.n; i++) {
        if (e->out.p[i] != ids[1]) continue;
        memmove(e->out.p + i, e->out.p + i + 1, (e->out.n - i - 1) * sizeof *e->out.p);
        e->out.n--;
        s->links--;
        e->keep |= e->out.n == 0; /* nothing left to replace it with */
    }
    return QN_OK;
}

/* ---- lines ----------------------------------------------------------------------- */

typedef struct sides {
    uint32_t p[QN_SYNONYM_SIDES_MAX];
    size_t n;
} sides;

static qn_status add_side(qn_synonyms *s, qn_slice text, bool lenient, sides *out,
                          qn_error *err)
{
    uint32_t id;
    QN_TRY(side_of(s, text, &id, err));
    if (id == UINT32_MAX) return lenient ? QN_OK : eliminated(text, err);
    if (out->n == QN_SYNONYM_SIDES_MAX)
        return qn_fail(err, QN_ELIMIT, "over %d synonyms in one rule",
                       QN_SYNONYM_SIDES_MAX);
    out->p[out->n++] = id;
    return QN_OK;
}

/* Cuts the piece before the next `separator` that no backslash guards off *rest. */
static qn_slice next_piece(qn_slice *rest, const char *separator)
{
    size_t width = strlen(separator), n = 0;
    while (n < rest->n) {
        if (rest->p[n] == '\\') {
            n += 2;
            continue;
        }
        if (n + width <= rest->n && memcmp(rest->p + n, separator, width) == 0) break;
        n++;
    }
    if (n > rest->n) n = rest->n;
    qn_slice piece = {rest->p, n};
    size_t used = n < rest->n ? n + width : n;
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return piece;
}

static bool unescape(qn_synonyms *s, qn_slice text, qn_slice *out)
{
    char *p = qn_arena_raw(&s->scratch, text.n + 1, 1);
    if (p == NULL) return false;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' && i + 1 < text.n) i++;
        p[n++] = text.p[i];
    }
    *out = qn_slice_trim((qn_slice){p, n});
    return true;
}

/* side { "," side } */
static qn_status read_sides(qn_synonyms *s, qn_slice text, bool lenient, sides *out,
                            qn_error *err)
{
    out->n = 0;
    while (text.n > 0) {
        qn_slice side, piece = next_piece(&text, ",");
        if (!unescape(s, piece, &side)) return no_memory(err);
        QN_TRY(add_side(s, side, lenient, out, err));
    }
    return QN_OK;
}

/* All of `from` to all of `to`. */
static qn_status link_all(qn_synonyms *s, const sides *from, const sides *to, bool keep,
                          qn_error *err)
{
    for (size_t i = 0; i < from->n; i++)
        for (size_t k = 0; k < to->n; k++)
            QN_TRY(link_sides(s, from->p[i], to->p[k], keep, err));
    return QN_OK;
}

static qn_status link_equals(qn_synonyms *s, const sides *all, bool first_only,
                             qn_error *err)
{
    if (!first_only) return link_all(s, all, all, true, err);
    if (all->n == 0) return QN_OK;
    sides first = {.p = {all->p[0]}, .n = 1};
    return link_all(s, all, &first, false, err);
}

static qn_status solr_line(qn_synonyms *s, qn_slice line, const qn_synonym_options *o,
                           qn_error *err)
{
    if (line.n == 0 || line.p[0] == '#') return QN_OK;
    QN_TRY(count_rule(s, err));
    qn_slice rest = line;
    qn_slice left = next_piece(&rest, "=>");
    sides from, to;
    QN_TRY(read_sides(s, left, o->lenient, &from, err));
    if (left.n == line.n) return link_equals(s, &from, o->first_only, err);
    qn_slice right = next_piece(&rest, "=>");
    if (right.p + right.n != line.p + line.n)
        return qn_fail(err, QN_ESYNTAX,
                       "more than one explicit mapping specified on the same line");
    QN_TRY(read_sides(s, right, o->lenient, &to, err));
    if (!o->lenient && (from.n == 0 || to.n == 0))
        return qn_fail(err, QN_ESYNTAX, "nothing %s the [=>]",
                       from.n == 0 ? "before" : "after");
    return link_all(s, &from, &to, false, err);
}

/* s(100000001,1,'woods',n,1,0). Lines of one number follow each other. */
static qn_status wordnet_line(qn_synonyms *s, qn_slice line,
                              const qn_synonym_options *o, qn_slice *number,
                              sides *group, qn_error *err)
{
    const char *comma = line.n < 2 ? NULL : memchr(line.p, ',', line.n);
    const char *open = line.n < 2 ? NULL : memchr(line.p, '\'', line.n);
    size_t close = line.n;
    while (close > 0 && line.p[close - 1] != '\'') close--;
    if (comma == NULL || open == NULL || memcmp(line.p, "s(", 2) != 0 ||
        line.p + close < open + 2)
        return qn_fail(err, QN_ESYNTAX,
                       "not a line s(number,n,'word',type,sense,count).");
    QN_TRY(count_rule(s, err));
    qn_slice id = {line.p + 2, (size_t)(comma - line.p) - 2};
    if (!qn_slice_eq(id, *number)) {
        QN_TRY(link_equals(s, group, o->first_only, err));
        group->n = 0;
        *number = id;
    }
    size_t most = (size_t)(line.p + close - open);
    char *word = qn_arena_raw(&s->scratch, most, 1);
    if (word == NULL) return no_memory(err);
    size_t n = 0;
    for (const char *p = open + 1; p < line.p + close - 1; p++) {
        if (*p == '\'' && p[1] == '\'' && p + 1 < line.p + close - 1) p++;
        word[n++] = *p;
    }
    return add_side(s, (qn_slice){word, n}, o->lenient, group, err);
}

qn_status qn_synonyms_add_text(qn_synonyms *s, qn_slice text,
                               const qn_synonym_options *o, qn_error *err)
{
    qn_slice rest = text, number = {0};
    sides group = {.n = 0};
    qn_status st = QN_OK;
    for (size_t row = 1; rest.n > 0; row++) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end == NULL ? rest.n : (size_t)(end - rest.p);
        qn_slice line = qn_slice_trim((qn_slice){rest.p, n});
        qn_arena_reset(&s->scratch);
        qn_error why = {.at = QN_AT_NONE};
        if (o->format == QN_SYNONYMS_SOLR)
            st = solr_line(s, line, o, &why);
        else if (line.n > 0)
            st = wordnet_line(s, line, o, &number, &group, &why);
        if (st != QN_OK)
            return st == QN_ENOMEM ? no_memory(err)
                                   : qn_fail_at(err, st, (uint64_t)(rest.p - text.p),
                                                "line %zu: %s", row, why.text);
        if (end != NULL) n++;
        rest = (qn_slice){rest.p + n, rest.n - n};
    }
    return link_equals(s, &group, o->first_only, err);
}

/* ---- looking up ------------------------------------------------------------------ */

bool qn_synonyms_match(const qn_synonyms *s, const qn_slice *terms, size_t n,
                       qn_synonym_match *out)
{
    char bytes[KEY_BYTES_MAX];
    for (size_t length = n < s->longest ? n : s->longest; length > 0; length--) {
        qn_slice key;
        uint64_t at;
        if (!key_of_terms(terms, length, bytes, sizeof bytes, &key)) continue;
        if (!qn_map_get(&s->entry_ids, key, &at)) continue;
        const entry *e = &s->entries.p[at];
        if (e->out.n == 0) continue;
        *out = (qn_synonym_match){length, e->keep, e->out.n, e->out.p};
        return true;
    }
    return false;
}

qn_synonym qn_synonyms_at(const qn_synonyms *s, const qn_synonym_match *match, size_t i)
{
    return s->phrases.p[match->ids[i]];
}
