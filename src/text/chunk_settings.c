/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_settings.c -- chunking_settings as people write them. */
#include "base/nearest.h"
#include "text/chunk.h"

static const struct {
    const char *name;
    const char *title; /* in messages */
    uint32_t size, size_min, overlap;
    const char *keys[3]; /* beside "strategy" */
} strategies[] = {
    [QN_CHUNK_NONE] = {"none", "None", 0, 0, 0, {NULL, NULL, NULL}},
    [QN_CHUNK_SENTENCE] = {"sentence",
                           "Sentence based",
                           QN_CHUNK_SIZE_DEFAULT,
                           QN_CHUNK_SENTENCE_SIZE_MIN,
                           1,
                           {"max_chunk_size", "sentence_overlap", NULL}},
    [QN_CHUNK_WORD] = {"word",
                       "Word based",
                       QN_CHUNK_SIZE_DEFAULT,
                       QN_CHUNK_WORD_SIZE_MIN,
                       QN_CHUNK_OVERLAP_DEFAULT,
                       {"max_chunk_size", "overlap", NULL}},
    [QN_CHUNK_RECURSIVE] = {"recursive",
                            "Recursive",
                            QN_CHUNK_SIZE_DEFAULT,
                            QN_CHUNK_WORD_SIZE_MIN,
                            0,
                            {"max_chunk_size", "separator_group", "separators"}},
    [QN_CHUNK_TOKEN] = {"token",
                        "Token based",
                        0,
                        QN_CHUNK_WORD_SIZE_MIN,
                        0,
                        {"max_chunk_size", "overlap", NULL}},
};
enum { STRATEGIES = sizeof strategies / sizeof *strategies };

#define PATTERN(literal)                                                               \
    {                                                                                  \
        (literal), sizeof(literal) - 1                                                 \
    }
static const qn_slice plaintext[] = {
    PATTERN("(?<!\\n)\\n\\n(?!\\n)"),
    PATTERN("(?<!\\n)\\n(?!\\n)"),
};
static const qn_slice markdown[] = {
    PATTERN("\\n# "),
    PATTERN("\\n## "),
    PATTERN("\\n### "),
    PATTERN("\\n#### "),
    PATTERN("\\n##### "),
    PATTERN("\\n###### "),
    PATTERN("\\n(?!\\s*\\n)[^\\n]*\\n-+\\n"),
    PATTERN("\\n(?!\\s*\\n)[^\\n]*\\n=+\\n"),
};

const char *qn_chunk_strategy_name(qn_chunk_strategy s)
{
    return strategies[s].name;
}

/* ---- reading ---------------------------------------------------------------------- */

typedef struct reader {
    qn_slice text;
    qn_arena *arena;
    qn_chunk_settings *s;
    qn_error *err;
} reader;

#define AT(r, v) qn_json_offset((v), (r)->text)

static qn_status read_strategy(const reader *r, qn_slice name, uint64_t at)
{
    qn_nearest near = qn_nearest_begin(name);
    for (size_t i = 0; i < STRATEGIES; i++) {
        qn_nearest_offer(&near, qn_slice_of(strategies[i].name));
        if (!qn_slice_eq_nocase(name, strategies[i].name)) continue;
        r->s->strategy = (qn_chunk_strategy)i;
        return QN_OK;
    }
    return qn_fail_at(
        r->err, QN_EINVAL, at,
        "Invalid chunkingStrategy %.*s%s%.*s%s; known are sentence, word, "
        "recursive, token, none",
        name.n > 60 ? 60 : (int)name.n, name.p,
        near.best.p == NULL ? "" : ", did you mean ",
        QN_SLICE_ARG(near.best.p == NULL ? QN_SLICE_LIT("") : near.best),
        near.best.p == NULL ? "" : "?");
}

static qn_status read_number(const reader *r, const qn_json *v, uint32_t *out)
{
    if (v->kind != QN_JSON_INT)
        return qn_fail_at(r->err, QN_EINVAL, AT(r, v),
                          "field [%.*s] is not of the expected type. The value [%.*s] "
                          "cannot be converted to a [Integer]",
                          QN_SLICE_ARG(v->key), v->raw.n > 60 ? 60 : (int)v->raw.n,
                          v->raw.p);
    if (v->integer < 0 || v->integer > QN_CHUNK_SIZE_MAX)
        return qn_fail_at(r->err, QN_EINVAL, AT(r, v),
                          "[chunking_settings] Invalid value [%lld]. [%.*s] must be %s",
                          (long long)v->integer, QN_SLICE_ARG(v->key),
                          v->integer < 0 ? "a positive integer"
                                         : "less than or equal to [100000]");
    *out = (uint32_t)v->integer;
    return QN_OK;
}

static qn_status set_group(const reader *r, qn_slice name, uint64_t at)
{
    if (qn_slice_eq_nocase(name, "plaintext")) {
        r->s->separators = plaintext;
        r->s->separator_count = sizeof plaintext / sizeof *plaintext;
    } else if (qn_slice_eq_nocase(name, "markdown")) {
        r->s->separators = markdown;
        r->s->separator_count = sizeof markdown / sizeof *markdown;
    } else {
        return qn_fail_at(r->err, QN_EINVAL, at,
                          "[chunking_settings] Invalid value [%.*s] received. "
                          "[separator_group] must be one of [markdown, plaintext]",
                          name.n > 60 ? 60 : (int)name.n, name.p);
    }
    return QN_OK;
}

static qn_status read_separators(const reader *r, const qn_json *v)
{
    if (v->kind != QN_JSON_ARRAY)
        return qn_fail_at(r->err, QN_EINVAL, AT(r, v),
                          "[chunking_settings] [separators] must be a list of regular "
                          "expressions, not %s",
                          qn_json_kind_name(v->kind));
    if (v->count == 0)
        return qn_fail_at(r->err, QN_EINVAL, AT(r, v),
                          "Recursive chunking settings can not have an empty list of "
                          "separators");
    if (v->count > QN_CHUNK_SEPARATORS_MAX)
        return qn_fail_at(r->err, QN_ELIMIT, AT(r, v),
                          "[chunking_settings] %zu [separators], at most %d", v->count,
                          QN_CHUNK_SEPARATORS_MAX);
    qn_slice *list = qn_arena_array(r->arena, v->count, sizeof *list);
    if (list == NULL) return qn_fail(r->err, QN_ENOMEM, "separators");
    size_t n = 0;
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        if (it->kind != QN_JSON_STRING || it->string.n == 0 ||
            it->string.n > QN_CHUNK_SEPARATOR_BYTES_MAX)
            return qn_fail_at(r->err, QN_EINVAL, AT(r, it),
                              "[chunking_settings] a separator is a string of 1 to %d "
                              "bytes",
                              QN_CHUNK_SEPARATOR_BYTES_MAX);
        list[n] = qn_arena_slice(r->arena, it->string);
        if (list[n++].p == NULL) return qn_fail(r->err, QN_ENOMEM, "separators");
    }
    r->s->separators = list;
    r->s->separator_count = n;
    return QN_OK;
}

static qn_status check_keys(const reader *r, const qn_json *v)
{
    qn_chunk_strategy s = r->s->strategy;
    for (const qn_json *m = v->first; m != NULL; m = m->next) {
        bool known = qn_slice_eq_str(m->key, "strategy");
        for (size_t k = 0; k < 3 && strategies[s].keys[k] != NULL; k++)
            known = known || qn_slice_eq_str(m->key, strategies[s].keys[k]);
        if (!known)
            return qn_fail_at(r->err, QN_EINVAL, AT(r, m),
                              "%s chunking settings can not have the following "
                              "settings: [%.*s]",
                              strategies[s].title, m->key.n > 60 ? 60 : (int)m->key.n,
                              m->key.p);
    }
    if (qn_json_get(v, "separators") != NULL &&
        qn_json_get(v, "separator_group") != NULL)
        return qn_fail_at(
            r->err, QN_EINVAL, AT(r, v),
            "Recursive chunking settings can not have both separators and "
            "separator_group");
    return QN_OK;
}

/* What numbers may be; `at` is where the object is. */
static qn_status check_numbers(const reader *r, uint64_t at)
{
    const qn_chunk_settings *s = r->s;
    uint32_t least = strategies[s->strategy].size_min;
    bool fitting = s->strategy == QN_CHUNK_TOKEN && s->size == 0;
    if (s->strategy == QN_CHUNK_NONE) return QN_OK;
    if (s->size < least && !fitting)
        return qn_fail_at(
            r->err, QN_EINVAL, at,
            "[chunking_settings] Invalid value [%u]. [max_chunk_size] must "
            "be greater than or equal to [%u]",
            s->size, least);
    if (s->strategy == QN_CHUNK_SENTENCE && s->overlap > 1)
        return qn_fail_at(r->err, QN_EINVAL, at,
                          "sentence_overlap[%u] must be either 0 or 1", s->overlap);
    if (s->strategy == QN_CHUNK_SENTENCE || fitting || s->overlap <= s->size / 2)
        return QN_OK;
    return qn_fail_at(
        r->err, QN_EINVAL, at,
        "[chunking_settings] Invalid value [%u]. [overlap] must be a less "
        "than or equal to [%u]",
        s->overlap, s->size / 2);
}

/* The default overlap of `word` is for its default size: no more than half. */
static void set_defaults(qn_chunk_settings *s, bool own_size)
{
    if (!own_size) s->size = strategies[s->strategy].size;
    s->overlap = strategies[s->strategy].overlap;
    if (s->strategy == QN_CHUNK_WORD && s->overlap > s->size / 2)
        s->overlap = s->size / 2;
    if (s->strategy != QN_CHUNK_RECURSIVE) return;
    s->separators = plaintext;
    s->separator_count = sizeof plaintext / sizeof *plaintext;
}

static qn_status read_members(reader *r, const qn_json *v)
{
    const qn_json *size = qn_json_get(v, "max_chunk_size");
    const qn_json *overlap = qn_json_get(v, "overlap");
    const qn_json *group = qn_json_get(v, "separator_group");
    const qn_json *separators = qn_json_get(v, "separators");
    if (overlap == NULL) overlap = qn_json_get(v, "sentence_overlap");
    if (size != NULL) QN_TRY(read_number(r, size, &r->s->size));
    set_defaults(r->s, size != NULL);
    if (overlap != NULL) QN_TRY(read_number(r, overlap, &r->s->overlap));
    if (group != NULL && group->kind != QN_JSON_STRING)
        return qn_fail_at(
            r->err, QN_EINVAL, AT(r, group),
            "[chunking_settings] [separator_group] must be a string, not %s",
            qn_json_kind_name(group->kind));
    if (group != NULL) QN_TRY(set_group(r, group->string, AT(r, group)));
    return separators == NULL ? QN_OK : read_separators(r, separators);
}

qn_status qn_chunk_settings_read(const qn_json *v, qn_slice text, qn_arena *arena,
                                 qn_chunk_settings *out, qn_error *err)
{
    reader r = {text, arena, out, err};
    *out = (qn_chunk_settings){.strategy = QN_CHUNK_SENTENCE};
    if (v->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_EINVAL, AT(&r, v),
                          "[chunking_settings] must be an object, not %s",
                          qn_json_kind_name(v->kind));
    const qn_json *strategy = qn_json_get(v, "strategy");
    if (strategy == NULL && v->count > 0)
        return qn_fail_at(err, QN_EINVAL, AT(&r, v),
                          "Can't generate Chunker without ChunkingStrategy provided");
    if (strategy != NULL && strategy->kind != QN_JSON_STRING)
        return qn_fail_at(err, QN_EINVAL, AT(&r, strategy),
                          "[chunking_settings] [strategy] must be a string, not %s",
                          qn_json_kind_name(strategy->kind));
    if (strategy != NULL) QN_TRY(read_strategy(&r, strategy->string, AT(&r, strategy)));
    QN_TRY(check_keys(&r, v));
    QN_TRY(read_members(&r, v));
    return check_numbers(&r, AT(&r, v));
}

/* ---- the short form --------------------------------------------------------------- */

static qn_slice next_part(qn_slice *rest)
{
    const char *colon = rest->n == 0 ? NULL : memchr(rest->p, ':', rest->n);
    qn_slice part = {rest->p, colon == NULL ? rest->n : (size_t)(colon - rest->p)};
    size_t used = part.n + (colon != NULL);
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return part;
}

static qn_status short_number(const reader *r, qn_slice part, uint32_t *out)
{
    int64_t v = 0;
    if (!qn_slice_to_i64(part, &v) || v < 0 || v > QN_CHUNK_SIZE_MAX)
        return qn_fail(r->err, QN_EINVAL,
                       "chunking '%.*s': '%.*s' is no whole number from 0 to %d",
                       r->text.n > 60 ? 60 : (int)r->text.n, r->text.p,
                       part.n > 60 ? 60 : (int)part.n, part.p, QN_CHUNK_SIZE_MAX);
    *out = (uint32_t)v;
    return QN_OK;
}

static qn_status read_short(const reader *r)
{
    qn_slice rest = r->text, name = next_part(&rest);
    bool more = rest.n > 0;
    QN_TRY(read_strategy(r, name, QN_AT_NONE));
    if (more) QN_TRY(short_number(r, next_part(&rest), &r->s->size));
    set_defaults(r->s, more);
    if (rest.n > 0) {
        qn_slice part = next_part(&rest);
        if (r->s->strategy == QN_CHUNK_RECURSIVE)
            QN_TRY(set_group(r, part, QN_AT_NONE));
        else
            QN_TRY(short_number(r, part, &r->s->overlap));
    }
    if (rest.n > 0 || (more && r->s->strategy == QN_CHUNK_NONE))
        return qn_fail(r->err, QN_EINVAL,
                       "chunking '%.*s': STRATEGY[:SIZE[:OVERLAP]] or "
                       "recursive:SIZE:GROUP is expected",
                       r->text.n > 60 ? 60 : (int)r->text.n, r->text.p);
    return check_numbers(r, QN_AT_NONE);
}

qn_status qn_chunk_settings_parse(qn_slice text, qn_arena *arena,
                                  qn_chunk_settings *out, qn_error *err)
{
    text = qn_slice_trim(text);
    if (text.n > 0 && text.p[0] == '{') {
        const qn_json *v = NULL;
        QN_TRY(qn_json_parse(arena, text, &v, err));
        return qn_chunk_settings_read(v, text, arena, out, err);
    }
    reader r = {text, arena, out, err};
    *out = (qn_chunk_settings){.strategy = QN_CHUNK_SENTENCE};
    return read_short(&r);
}

/* ---- printing --------------------------------------------------------------------- */

void qn_chunk_settings_print(const qn_chunk_settings *s, qn_json_writer *w)
{
    qn_json_begin_object(w);
    qn_json_member_str(w, "strategy", strategies[s->strategy].name);
    if (s->strategy != QN_CHUNK_NONE && s->size > 0)
        qn_json_member_int(w, "max_chunk_size", s->size);
    if (s->strategy == QN_CHUNK_SENTENCE)
        qn_json_member_int(w, "sentence_overlap", s->overlap);
    if (s->strategy == QN_CHUNK_WORD || s->strategy == QN_CHUNK_TOKEN)
        qn_json_member_int(w, "overlap", s->overlap);
    if (s->strategy == QN_CHUNK_RECURSIVE) {
        qn_json_key(w, "separators");
        qn_json_begin_array(w);
        for (size_t i = 0; i < s->separator_count; i++)
            qn_json_string(w, s->separators[i]);
        qn_json_end_array(w);
    }
    qn_json_end_object(w);
}
