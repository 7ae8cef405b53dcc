/* SPDX-License-Identifier: Apache-2.0 */
/* filter_path and source filtering: what of a JSON tree is kept.
 *
 * A pattern is names joined by dots; a name may have '*' in it, "**" stands for any
 * number of names. Arrays are looked through. A pattern that is used up at a node keeps
 * (or, with '-' in front, drops) all of it. While the tree is walked each pattern has a
 * set of positions, one bit a name: the states of the automaton that it is. */
#include "server/es/api_es.h"

enum { NAMES_MAX = 30, RAW_DEPTH = 200 };

typedef struct pattern {
    bool drops;
    size_t count;
    qn_slice names[NAMES_MAX];
} pattern;

typedef struct filter {
    pattern *patterns;
    size_t count;
    bool keeps_any; /* no pattern says what to keep: everything */
    qn_json_writer w;
} filter;

/* Positions of every pattern; bit i: name i is next. */
typedef struct position {
    uint32_t bits[QN_LIMIT_FILTER_PATHS];
    bool kept; /* inside something that is kept whole */
} position;

static bool name_matches(qn_slice pattern_name, qn_slice name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, back = 0;
    while (n < name.n) {
        if (p < pattern_name.n && pattern_name.p[p] == '*') {
            star = p++;
            back = n;
        } else if (p < pattern_name.n && pattern_name.p[p] == name.p[n]) {
            p++, n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern_name.n && pattern_name.p[p] == '*') p++;
    return p == pattern_name.n;
}

static bool is_any_depth(const pattern *p, size_t i)
{
    return i < p->count && qn_slice_eq_str(p->names[i], "**");
}

/* "**" may stand for nothing. */
static uint32_t close_bits(const pattern *p, uint32_t bits)
{
    for (size_t i = 0; i < p->count; i++)
        if ((bits >> i & 1) != 0 && is_any_depth(p, i)) bits |= 2u << i;
    return bits;
}

static uint32_t step_bits(const pattern *p, uint32_t bits, qn_slice key)
{
    uint32_t next = 0;
    for (size_t i = 0; i < p->count; i++) {
        if ((bits >> i & 1) == 0) continue;
        if (is_any_depth(p, i))
            next |= 1u << i;
        else if (name_matches(p->names[i], key))
            next |= 2u << i;
    }
    return close_bits(p, next);
}

/* Into the member `key`. false: it is dropped whole. */
static bool step(const filter *f, const position *from, qn_slice key, position *to)
{
    to->kept = from->kept;
    for (size_t i = 0; i < f->count; i++) {
        const pattern *p = &f->patterns[i];
        to->bits[i] = step_bits(p, from->bits[i], key);
        bool used_up = (to->bits[i] >> p->count & 1) != 0;
        if (used_up && p->drops) return false;
        if (used_up) to->kept = true;
    }
    return true;
}

static bool write_kept(filter *f, const qn_json *v, const position *at, unsigned depth);

/* A member or item; what turns out empty leaves nothing behind. */
static bool write_child(filter *f, const qn_json *child, bool member,
                        const position *at, unsigned depth)
{
    qn_json_writer saved = f->w;
    size_t n = f->w.out->n;
    if (member) qn_json_key_slice(&f->w, child->key);
    if (write_kept(f, child, at, depth)) return true;
    f->w = saved;
    f->w.out->n = n;
    return false;
}

static bool write_kept(filter *f, const qn_json *v, const position *at, unsigned depth)
{
    bool object = v->kind == QN_JSON_OBJECT;
    if ((!object && v->kind != QN_JSON_ARRAY) || depth >= RAW_DEPTH) {
        if (at->kept) qn_json_raw(&f->w, v->raw);
        return at->kept;
    }
    bool any = at->kept;
    if (object)
        qn_json_begin_object(&f->w);
    else
        qn_json_begin_array(&f->w);
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) {
        position next;
        if (object && !step(f, at, it->key, &next)) continue;
        any |= write_child(f, it, object, object ? &next : at, depth + 1);
    }
    if (object)
        qn_json_end_object(&f->w);
    else
        qn_json_end_array(&f->w);
    return any;
}

static qn_slice take_part(qn_slice *rest, char separator)
{
    const char *at = rest->n == 0 ? NULL : memchr(rest->p, separator, rest->n);
    qn_slice part = {rest->p, at == NULL ? rest->n : (size_t)(at - rest->p)};
    size_t used = part.n + (at != NULL);
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return part;
}

static qn_status read_patterns(filter *f, qn_slice text, qn_error *err)
{
    f->keeps_any = true;
    while (text.n > 0) {
        qn_slice part = qn_slice_trim(take_part(&text, ','));
        if (part.n == 0) continue;
        if (f->count == QN_LIMIT_FILTER_PATHS)
            return qn_fail(err, QN_ELIMIT, "more than %d patterns to filter by",
                           QN_LIMIT_FILTER_PATHS);
        pattern *p = &f->patterns[f->count++];
        p->drops = part.p[0] == '-';
        if (p->drops) part = (qn_slice){part.p + 1, part.n - 1};
        if (!p->drops) f->keeps_any = false;
        while (part.n > 0) {
            if (p->count == NAMES_MAX)
                return qn_fail(err, QN_ELIMIT, "a pattern has more than %d names",
                               NAMES_MAX);
            p->names[p->count++] = take_part(&part, '.');
        }
    }
    return QN_OK;
}

qn_status qn_es_filter(qn_arena *arena, const qn_json *v, qn_slice patterns,
                       bool pretty, qn_buf *out, qn_error *err)
{
    filter f = {.patterns =
                    qn_arena_array(arena, QN_LIMIT_FILTER_PATHS, sizeof *f.patterns)};
    if (f.patterns == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory to filter a reply");
    QN_TRY(read_patterns(&f, patterns, err));
    qn_json_writer_init(&f.w, out, pretty);
    position at = {.kept = f.keeps_any};
    for (size_t i = 0; i < f.count; i++) at.bits[i] = close_bits(&f.patterns[i], 1);
    size_t begin = out->n;
    if (!write_kept(&f, v, &at, 0)) {
        out->n = begin;
        qn_buf_add_str(out, v->kind == QN_JSON_ARRAY ? "[]" : "{}");
    }
    return out->failed ? qn_fail(err, QN_ENOMEM, "no memory to filter a reply") : QN_OK;
}

qn_status qn_es_finish(qn_call *c, qn_error *err)
{
    const qn_slice *patterns = qn_call_param(c, "filter_path");
    const char *type = c->out->content_type;
    if ((patterns == NULL && !c->pretty) || type == NULL ||
        strstr(type, "json") == NULL || c->out->body.n == 0)
        return QN_OK;
    const qn_json *tree = NULL;
    qn_buf kept = {.alloc = c->out->body.alloc};
    QN_TRY(qn_json_parse(c->arena, qn_buf_slice(&c->out->body), &tree, err));
    qn_status st =
        qn_es_filter(c->arena, tree, patterns == NULL ? (qn_slice){"", 0} : *patterns,
                     c->pretty, &kept, err);
    if (st == QN_OK && c->pretty) qn_buf_add_char(&kept, '\n');
    if (st == QN_OK) {
        qn_buf_deinit(&c->out->body);
        c->out->body = kept;
    } else {
        qn_buf_deinit(&kept);
    }
    return st;
}

/* ---- _source of one document ------------------------------------------------------- */

/* Adds "a,b" as ",-a,-b" when they are to be dropped. */
static void add_patterns(qn_buf *all, const qn_slice *list, bool drops)
{
    qn_slice rest = list == NULL ? (qn_slice){"", 0} : *list;
    while (rest.n > 0) {
        qn_slice part = take_part(&rest, ',');
        qn_buf_add_str(all, drops ? ",-" : ",");
        qn_buf_add_slice(all, part);
    }
}

qn_status qn_es_filter_source(const qn_call *c, qn_slice source, qn_buf *out,
                              bool *none, qn_error *err)
{
    return qn_es_filter_source_as(c, source, qn_call_param(c, "_source"), out, none,
                                  err);
}

qn_status qn_es_filter_source_as(const qn_call *c, qn_slice source,
                                 const qn_slice *value, qn_buf *out, bool *none,
                                 qn_error *err)
{
    const qn_slice *includes = qn_call_param(c, "_source_includes");
    const qn_slice *excludes = qn_call_param(c, "_source_excludes");
    *none = value != NULL && qn_slice_eq_str(*value, "false");
    if (value != NULL && (*none || value->n == 0 || qn_slice_eq_str(*value, "true")))
        value = NULL;
    if (*none || (value == NULL && includes == NULL && excludes == NULL)) {
        if (!*none) qn_buf_add_slice(out, source);
        return QN_OK;
    }
    qn_buf patterns = {.alloc = out->alloc};
    add_patterns(&patterns, value, false);
    add_patterns(&patterns, includes, false);
    add_patterns(&patterns, excludes, true);
    const qn_json *tree = NULL;
    qn_status st = qn_json_parse(c->arena, source, &tree, err);
    if (st == QN_OK)
        st = qn_es_filter(c->arena, tree, qn_buf_slice(&patterns), false, out, err);
    qn_buf_deinit(&patterns);
    return st;
}
