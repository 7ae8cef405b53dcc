/* SPDX-License-Identifier: Apache-2.0 */
#include "text/analyzer.h"

#include "text/text_internal.h"
#include "text/utf8.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unicode/uchar.h>

enum { TEXT_BYTES_MAX = INT32_MAX, FOLDER_BYTES_MAX = 512 };

#define DICTIONARY_FOLDER "/usr/share/friso/dict/UTF-8"

static qn_text__run run_whitespace, run_keyword;

/* Every analyzer. */
static const struct {
    const char *name;
    qn_text__run *run;
} analyzer_rows[] = {
    {"standard", qn_text__run_standard}, {"english", qn_text__run_english},
    {"whitespace", run_whitespace},      {"keyword", run_keyword},
    {"chinese", qn_text__run_chinese},   {"chn_single", qn_text__run_chn_single},
};
enum { ANALYZER_COUNT = sizeof analyzer_rows / sizeof *analyzer_rows };

/* Every name that is not an analyzer's own. */
static const struct {
    const char *name, *of;
} alias_rows[] = {
    {"simple", "whitespace"},
    {"eng_standard", "english"},
    {"chn_standard", "chinese"},
};
enum { ALIAS_COUNT = sizeof alias_rows / sizeof *alias_rows };

/* Read when first needed. A set is const to its users: what changes is out here. */
typedef struct lazy_lexicon {
    pthread_mutex_t lock;
    char folder[FOLDER_BYTES_MAX];
    _Atomic(qn_lexicon *) lexicon; /* written once, under the lock */
} lazy_lexicon;

struct qn_analyzers {
    qn_alloc *alloc;
    qn_wordbreak wordbreak;
    qn_analyzer items[ANALYZER_COUNT];
    lazy_lexicon *chinese;
};

qn_status qn_analyzers_create(qn_alloc *a, qn_analyzers **out, qn_error *err)
{
    *out = NULL;
    qn_analyzers *set = qn_new0(a, sizeof *set);
    if (set == NULL) return qn_text__no_memory(err);
    set->alloc = a;
    qn_status st;
    QN_TRY_TO(fail, qn_wordbreak_init(&set->wordbreak, a, err));
    set->chinese = qn_new0(a, sizeof *set->chinese);
    if (set->chinese == NULL) {
        st = qn_text__no_memory(err);
        goto fail;
    }
    (void)pthread_mutex_init(&set->chinese->lock, NULL); /* never fails on Linux */
    memcpy(set->chinese->folder, DICTIONARY_FOLDER, sizeof DICTIONARY_FOLDER);
    for (size_t i = 0; i < ANALYZER_COUNT; i++)
        set->items[i] = (qn_analyzer){analyzer_rows[i].name, analyzer_rows[i].run, set};
    *out = set;
    return QN_OK;

fail:
    qn_analyzers_destroy(set);
    return st;
}

void qn_analyzers_destroy(qn_analyzers *set)
{
    if (set == NULL) return;
    if (set->chinese != NULL) {
        qn_lexicon_destroy(atomic_load(&set->chinese->lexicon));
        (void)pthread_mutex_destroy(&set->chinese->lock);
        qn_delete(set->alloc, set->chinese);
    }
    qn_wordbreak_deinit(&set->wordbreak);
    qn_delete(set->alloc, set);
}

qn_status qn_analyzers_set_dictionary(qn_analyzers *set, const char *folder,
                                      qn_error *err)
{
    size_t n = strlen(folder);
    if (n >= FOLDER_BYTES_MAX)
        return qn_fail(err, QN_EINVAL, "path of the dictionary too long");
    memcpy(set->chinese->folder, folder, n + 1);
    return QN_OK;
}

qn_status qn_text__lexicon(const qn_analyzers *set, const qn_lexicon **out,
                           qn_error *err)
{
    lazy_lexicon *lazy = set->chinese;
    qn_lexicon *lexicon = atomic_load_explicit(&lazy->lexicon, memory_order_acquire);
    qn_status st = QN_OK;
    if (lexicon == NULL) {
        (void)pthread_mutex_lock(&lazy->lock);
        lexicon = atomic_load_explicit(&lazy->lexicon, memory_order_relaxed);
        if (lexicon == NULL) {
            st = qn_lexicon_load(set->alloc, lazy->folder, &lexicon, err);
            atomic_store_explicit(&lazy->lexicon, lexicon, memory_order_release);
        }
        (void)pthread_mutex_unlock(&lazy->lock);
    }
    *out = lexicon;
    return st;
}

const qn_wordbreak *qn_text__wordbreak(const qn_analyzers *set)
{
    return &set->wordbreak;
}

const char *qn_analyzers_name_at(const qn_analyzers *set, size_t i)
{
    (void)set;
    if (i < ANALYZER_COUNT) return analyzer_rows[i].name;
    i -= ANALYZER_COUNT;
    return i < ALIAS_COUNT ? alias_rows[i].name : NULL;
}

static qn_status unknown_name(const qn_analyzers *set, qn_slice name, qn_error *err)
{
    char known[256];
    size_t n = 0;
    const char *one;
    for (size_t i = 0; (one = qn_analyzers_name_at(set, i)) != NULL; i++) {
        size_t length = strlen(one);
        if (n + length + 3 > sizeof known) break;
        if (n > 0) {
            known[n++] = ',';
            known[n++] = ' ';
        }
        memcpy(known + n, one, length);
        n += length;
    }
    known[n] = '\0';
    if (name.n > 64) name.n = 64;
    return qn_fail(err, QN_ENOANALYZER, "no analyzer \"%.*s\"; there are: %s",
                   QN_SLICE_ARG(name), known);
}

qn_status qn_analyzer_find(const qn_analyzers *set, qn_slice name,
                           const qn_analyzer **out, qn_error *err)
{
    *out = NULL;
    qn_slice proper = name;
    for (size_t i = 0; i < ALIAS_COUNT; i++)
        if (qn_slice_eq_str(name, alias_rows[i].name))
            proper = qn_slice_of(alias_rows[i].of);
    for (size_t i = 0; i < ANALYZER_COUNT; i++)
        if (qn_slice_eq_str(proper, set->items[i].name)) *out = &set->items[i];
    return *out != NULL ? QN_OK : unknown_name(set, name, err);
}

const char *qn_analyzer_name(const qn_analyzer *analyzer)
{
    return analyzer->name;
}

qn_status qn_analyzer_run(const qn_analyzer *analyzer, qn_slice text, qn_arena *arena,
                          qn_token_list *out, qn_error *err)
{
    out->n = 0;
    if (text.n > TEXT_BYTES_MAX)
        return qn_fail(err, QN_ELIMIT, "text of %zu bytes; at most %d can be analysed",
                       text.n, TEXT_BYTES_MAX);
    QN_TRY(qn_utf8_check(text, err));
    return analyzer->run(analyzer->set, text, arena, out, err);
}

qn_status qn_text__no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory in text analysis");
}

bool qn_text__reserve(qn_token_list *list, qn_arena *arena, size_t more)
{
    if (list->capacity - list->n >= more) return true;
    size_t capacity = list->capacity * 2;
    if (capacity < list->n + more) capacity = list->n + more;
    if (capacity < 16) capacity = 16;
    qn_token *p = qn_arena_raw(arena, capacity, sizeof *p);
    if (p == NULL) return false;
    if (list->n > 0) memcpy(p, list->p, list->n * sizeof *p);
    list->p = p;
    list->capacity = capacity;
    return true;
}

/* Lucene's WhitespaceTokenizer: blanks are those of Java (no-break spaces are none);
 * a word is cut once it has 255 units, which a pair may exceed by one. */
static qn_status run_whitespace(const qn_analyzers *set, qn_slice text, qn_arena *arena,
                                qn_token_list *out, qn_error *err)
{
    (void)set;
    uint32_t start = 0, start16 = 0, at = 0, at16 = 0;
    while (at <= text.n) {
        size_t length = 1;
        bool blank = true;
        uint32_t units = 1;
        if (at < text.n) {
            uint32_t c = qn_utf8_get(text.p + at, &length);
            blank = u_isWhitespace((UChar32)c);
            units = c >= 0x10000 ? 2 : 1;
        }
        bool full = at16 - start16 >= QN_TOKEN_UNITS_MAX;
        if ((blank || full) && at > start) {
            qn_token *t = qn_text__slot(out, arena);
            if (t == NULL) return qn_text__no_memory(err);
            *t = (qn_token){{text.p + start, at - start},
                            start,
                            at,
                            start16,
                            at16,
                            (uint32_t)out->n,
                            "word"};
            out->n++;
            start = at;
            start16 = at16;
        }
        at += (uint32_t)length;
        at16 += units;
        if (blank) {
            start = at;
            start16 = at16;
        }
    }
    return QN_OK;
}

/* Also the empty text is a token, as in Lucene. */
static qn_status run_keyword(const qn_analyzers *set, qn_slice text, qn_arena *arena,
                             qn_token_list *out, qn_error *err)
{
    (void)set;
    qn_token *t = qn_text__slot(out, arena);
    if (t == NULL) return qn_text__no_memory(err);
    *t = (qn_token){.term = text, .end = (uint32_t)text.n, .type = "word"};
    if (t->term.p == NULL) t->term.p = "";
    t->end16 = (uint32_t)qn_utf16_length(text);
    out->n = 1;
    return QN_OK;
}
