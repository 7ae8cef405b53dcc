/* SPDX-License-Identifier: Apache-2.0 */
#include "text/lexicon.h"

#include "base/bits.h"
#include "io/file.h"
#include "text/text_internal.h"
#include "text/utf8.h"

#include <stdio.h>
#include <unicode/uscript.h>

enum {
    FILE_BYTES_MAX = 64 << 20,
    PATH_BYTES_MAX = 1024,
    WORD_BYTES_MAX = 4 * QN_LEXICON_CHARS_MAX,
};

/* A word or the beginning of one; its bytes are in lexicon->bytes. */
typedef struct slot {
    uint32_t at, frequency;
    uint8_t length; /* 0: free */
    bool is_word, is_prefix;
} slot;

struct qn_lexicon {
    qn_alloc *alloc;
    qn_buf bytes;
    slot *slots; /* open addressing, at most half full */
    size_t capacity, used, word_count;
};

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 32;
}

/* The slot of a text, or the free one where it belongs. */
static slot *find_slot(const qn_lexicon *lexicon, qn_slice text)
{
    size_t mask = lexicon->capacity - 1;
    for (size_t i = hash_bytes(text.p, text.n) & mask;; i = (i + 1) & mask) {
        slot *s = &lexicon->slots[i];
        if (s->length == 0 || (s->length == text.n &&
                               memcmp(lexicon->bytes.p + s->at, text.p, text.n) == 0))
            return s;
    }
}

static bool grow(qn_lexicon *lexicon)
{
    if (lexicon->used * 2 < lexicon->capacity) return true;
    qn_lexicon bigger = *lexicon;
    bigger.capacity = lexicon->capacity == 0 ? 1 << 12 : lexicon->capacity * 2;
    bigger.slots = qn_new_array(lexicon->alloc, bigger.capacity, sizeof(slot));
    if (bigger.slots == NULL) return false;
    for (size_t i = 0; i < lexicon->capacity; i++) {
        slot *s = &lexicon->slots[i];
        if (s->length > 0)
            *find_slot(&bigger, (qn_slice){lexicon->bytes.p + s->at, s->length}) = *s;
    }
    qn_delete(lexicon->alloc, lexicon->slots);
    *lexicon = bigger;
    return true;
}

/* The entry of a text whose bytes are already in lexicon->bytes, at `at`. */
static slot *enter(qn_lexicon *lexicon, size_t at, size_t length)
{
    if (!grow(lexicon)) return NULL;
    slot *s = find_slot(lexicon, (qn_slice){lexicon->bytes.p + at, length});
    if (s->length == 0) {
        *s = (slot){.at = (uint32_t)at, .length = (uint8_t)length};
        lexicon->used++;
    }
    return s;
}

/* Adds a word of ideographs; other words are left out. */
static bool add_word(qn_lexicon *lexicon, qn_slice word, uint32_t frequency)
{
    if (word.n == 0 || word.n > WORD_BYTES_MAX) return true;
    size_t ends[QN_LEXICON_CHARS_MAX], chars = 0;
    for (size_t i = 0, length; i < word.n; i += length) {
        UErrorCode icu = U_ZERO_ERROR;
        UChar32 c = (UChar32)qn_utf8_get(word.p + i, &length);
        if (chars == QN_LEXICON_CHARS_MAX || uscript_getScript(c, &icu) != USCRIPT_HAN)
            return true;
        ends[chars++] = i + length;
    }
    size_t at = lexicon->bytes.n;
    qn_buf_add_slice(&lexicon->bytes, word);
    if (lexicon->bytes.failed) return false;
    for (size_t k = 0; k < chars; k++) {
        slot *s = enter(lexicon, at, ends[k]);
        if (s == NULL) return false;
        if (k + 1 < chars) {
            s->is_prefix = true;
            continue;
        }
        lexicon->word_count += !s->is_word;
        s->is_word = true;
        if (frequency > s->frequency) s->frequency = frequency;
    }
    return true;
}

static qn_slice next_line(qn_slice *rest)
{
    const char *end = rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);
    size_t n = end == NULL ? rest->n : (size_t)(end - rest->p);
    qn_slice line = {rest->p, n};
    size_t skip = n < rest->n ? n + 1 : n;
    *rest = (qn_slice){rest->p + skip, rest->n - skip};
    return qn_slice_trim(line);
}

/* Up to `delimiter`; the rest begins after it. */
static qn_slice next_field(qn_slice *rest, char delimiter)
{
    const char *end = rest->n == 0 ? NULL : memchr(rest->p, delimiter, rest->n);
    size_t n = end == NULL ? rest->n : (size_t)(end - rest->p);
    qn_slice field = {rest->p, n};
    size_t skip = n < rest->n ? n + 1 : n;
    *rest = (qn_slice){rest->p + skip, rest->n - skip};
    return field;
}

static qn_status read_text(const char *path, qn_buf *out, qn_error *err)
{
    QN_TRY(qn_file_read(path, FILE_BYTES_MAX, out, err));
    size_t at;
    if (qn_utf8_valid(qn_buf_slice(out), &at)) return QN_OK;
    return qn_fail_file(err, QN_ECORRUPT, path, at, "%s: not UTF-8", path);
}

static qn_status load_words(qn_lexicon *lexicon, const char *path, qn_error *err)
{
    qn_buf text;
    qn_buf_init(&text, lexicon->alloc);
    qn_status st;
    QN_TRY_TO(done, read_text(path, &text, err));
    qn_slice rest = qn_buf_slice(&text);
    while (rest.n > 0) {
        qn_slice line = next_line(&rest);
        if (line.n > 0 && line.p[0] == '#') continue;
        qn_slice word = next_field(&line, '/');
        (void)next_field(&line, '/'); /* synonyms */
        int64_t frequency = 0;
        if (!qn_slice_to_i64(line, &frequency) || frequency < 0) frequency = 0;
        if (frequency > UINT32_MAX) frequency = UINT32_MAX;
        if (!add_word(lexicon, word, (uint32_t)frequency)) {
            st = qn_text__no_memory(err);
            goto done;
        }
    }
done:
    qn_buf_deinit(&text);
    return st;
}

/* A plain file name, so that nothing outside of the folder is read. */
static bool is_file_name(qn_slice name)
{
    return name.n > 0 && name.n < 256 && name.p[0] != '.' &&
           memchr(name.p, '/', name.n) == NULL && memchr(name.p, '\0', name.n) == NULL;
}

/* Loads the files of the section of ideographic words. */
static qn_status load_files(qn_lexicon *lexicon, const char *folder, qn_slice index,
                            qn_error *err)
{
    bool inside = false;
    while (index.n > 0) {
        qn_slice line = next_line(&index);
        if (line.n == 0 || line.p[0] == '#') continue;
        if (qn_slice_starts_with(line, "__LEX_CJK_WORDS__")) inside = true;
        if (!inside || qn_slice_ends_with(line, "[")) continue;
        if (line.p[0] == ']') break;
        qn_slice name = qn_slice_trim(next_field(&line, ';'));
        if (!is_file_name(name)) continue;
        char path[PATH_BYTES_MAX];
        int n = snprintf(path, sizeof path, "%s/%.*s", folder, QN_SLICE_ARG(name));
        if (n < 0 || (size_t)n >= sizeof path)
            return qn_fail(err, QN_EINVAL, "path of the dictionary too long");
        QN_TRY(load_words(lexicon, path, err));
    }
    if (lexicon->word_count == 0)
        return qn_fail_file(err, QN_ECORRUPT, folder, QN_AT_NONE,
                            "no Chinese words in the dictionary %s", folder);
    return QN_OK;
}

qn_status qn_lexicon_load(qn_alloc *a, const char *folder, qn_lexicon **out,
                          qn_error *err)
{
    *out = NULL;
    char path[PATH_BYTES_MAX];
    int n = snprintf(path, sizeof path, "%s/friso.lex.ini", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return qn_fail(err, QN_EINVAL, "path of the dictionary too long");
    qn_lexicon *lexicon = qn_new0(a, sizeof *lexicon);
    if (lexicon == NULL) return qn_text__no_memory(err);
    lexicon->alloc = a;
    qn_buf_init(&lexicon->bytes, a);
    qn_buf index;
    qn_buf_init(&index, a);
    qn_status st = read_text(path, &index, err);
    if (st == QN_OK) st = load_files(lexicon, folder, qn_buf_slice(&index), err);
    qn_buf_deinit(&index);
    if (st != QN_OK) {
        qn_lexicon_destroy(lexicon);
        return st;
    }
    *out = lexicon;
    return QN_OK;
}

void qn_lexicon_destroy(qn_lexicon *lexicon)
{
    if (lexicon == NULL) return;
    qn_buf_deinit(&lexicon->bytes);
    qn_delete(lexicon->alloc, lexicon->slots);
    qn_delete(lexicon->alloc, lexicon);
}

size_t qn_lexicon_word_count(const qn_lexicon *lexicon)
{
    return lexicon->word_count;
}

qn_lexicon_entry qn_lexicon_find(const qn_lexicon *lexicon, qn_slice text)
{
    if (text.n == 0 || text.n > WORD_BYTES_MAX) return (qn_lexicon_entry){0};
    const slot *s = find_slot(lexicon, text);
    if (s->length == 0) return (qn_lexicon_entry){0};
    return (qn_lexicon_entry){s->is_word, s->is_prefix, s->frequency};
}
