/* SPDX-License-Identifier: Apache-2.0 */
#include "text/spelling.h"

#include "base/map.h"
#include "base/vec.h"
#include "text/utf8.h"

#include <math.h>
#include <stdlib.h>

/* ---- the dictionary --------------------------------------------------------------- */

/* A letter and all words that begin with the path to it. Nodes lie in depth-first order,
 * so the subtree of node i is [i, nodes[i].end). */
typedef struct node {
    uint32_t letter, end;
    uint32_t word; /* UINT32_MAX: no word ends here */
    uint32_t depth;
} node;

typedef struct known_word {
    qn_slice text;
    uint64_t count;
} known_word;

struct qn_spelling {
    qn_alloc *alloc;
    qn_arena texts;
    qn_map counts; /* word -> count, until built: index of `words` after */
    QN_VEC(known_word) words;
    QN_VEC(node) nodes;
    uint64_t total;
    bool built;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "spelling dictionary");
}

qn_status qn_spelling_create(qn_alloc *a, qn_spelling **out, qn_error *err)
{
    *out = qn_new0(a, sizeof **out);
    if (*out == NULL) return no_memory(err);
    (*out)->alloc = a;
    qn_arena_init(&(*out)->texts, a, 0);
    qn_map_init(&(*out)->counts, a);
    return QN_OK;
}

void qn_spelling_destroy(qn_spelling *s)
{
    if (s == NULL) return;
    qn_vec_deinit(s->alloc, &s->nodes);
    qn_vec_deinit(s->alloc, &s->words);
    qn_map_deinit(&s->counts);
    qn_arena_deinit(&s->texts);
    qn_delete(s->alloc, s);
}

/* Letters of a word; 0 when there are none or too many. */
static size_t letters_of(qn_slice word, uint32_t letters[QN_SPELLING_LETTERS_MAX])
{
    size_t n = 0;
    for (size_t at = 0; at < word.n;) {
        size_t length;
        if (n == QN_SPELLING_LETTERS_MAX) return 0;
        letters[n++] = qn_utf8_get(word.p + at, &length);
        at += length;
    }
    return n;
}

qn_status qn_spelling_add(qn_spelling *s, qn_slice word, uint64_t count, qn_error *err)
{
    uint32_t letters[QN_SPELLING_LETTERS_MAX];
    qn_assert(!s->built);
    if (count == 0 || memchr(word.p, ' ', word.n) != NULL ||
        letters_of(word, letters) == 0)
        return QN_OK;
    uint64_t before = 0;
    bool known = qn_map_get(&s->counts, word, &before);
    if (!known && s->counts.count == QN_SPELLING_WORDS_MAX)
        return qn_fail(err, QN_ELIMIT, "a spelling dictionary of over %d words",
                       QN_SPELLING_WORDS_MAX);
    if (count > UINT64_MAX / 2 - before) count = UINT64_MAX / 2 - before;
    return qn_map_put(&s->counts, word, before + count) ? QN_OK : no_memory(err);
}

qn_status qn_spelling_add_text(qn_spelling *s, qn_slice text, qn_error *err)
{
    QN_TRY(qn_utf8_check(text, err));
    qn_slice rest = text;
    if (qn_slice_starts_with(rest, "\xef\xbb\xbf"))
        rest = (qn_slice){rest.p + 3, rest.n - 3};
    for (size_t row = 1; rest.n > 0; row++) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end == NULL ? rest.n : (size_t)(end - rest.p), cut;
        qn_slice line = qn_slice_trim((qn_slice){rest.p, n});
        uint64_t at = (uint64_t)(rest.p - text.p);
        if (end != NULL) n++;
        rest = (qn_slice){rest.p + n, rest.n - n};
        if (line.n == 0) continue;
        for (cut = line.n; cut > 0; cut--)
            if (line.p[cut - 1] == ' ' || line.p[cut - 1] == '\t') break;
        int64_t count;
        qn_slice word = qn_slice_trim((qn_slice){line.p, cut});
        if (cut == 0 || word.n == 0 ||
            !qn_slice_to_i64((qn_slice){line.p + cut, line.n - cut}, &count) ||
            count < 0)
            return qn_fail_at(err, QN_ESYNTAX, at,
                              "line %zu: [%.*s] is not `word count`", row,
                              line.n > 60 ? 60 : (int)line.n, line.p);
        QN_TRY(qn_spelling_add(s, word, (uint64_t)count, err));
    }
    return QN_OK;
}

static int by_text(const void *a, const void *b)
{
    return qn_slice_compare(((const known_word *)a)->text,
                            ((const known_word *)b)->text);
}

/* UTF-8 sorts as code points do. Letters shared with the word before are nodes already. */
static bool add_word(qn_spelling *s, uint32_t *path, size_t *depth, size_t index)
{
    uint32_t letters[QN_SPELLING_LETTERS_MAX];
    size_t n = letters_of(s->words.p[index].text, letters), shared = 0;
    while (shared < *depth && shared < n &&
           s->nodes.p[path[shared]].letter == letters[shared])
        shared++;
    for (size_t d = shared; d < *depth; d++)
        s->nodes.p[path[d]].end = (uint32_t)s->nodes.n;
    for (size_t d = shared; d < n; d++) {
        path[d] = (uint32_t)s->nodes.n;
        node one = {letters[d], 0, UINT32_MAX, (uint32_t)d};
        if (!qn_vec_push(s->alloc, &s->nodes, one)) return false;
    }
    s->nodes.p[path[n - 1]].word = (uint32_t)index;
    *depth = n;
    return true;
}

qn_status qn_spelling_build(qn_spelling *s, qn_error *err)
{
    uint32_t path[QN_SPELLING_LETTERS_MAX] = {0};
    size_t it = 0, depth = 0;
    qn_slice word;
    uint64_t count;
    qn_assert(!s->built);
    while (qn_map_next(&s->counts, &it, &word, &count)) {
        known_word one = {qn_arena_slice(&s->texts, word), count};
        if (one.text.p == NULL || !qn_vec_push(s->alloc, &s->words, one))
            return no_memory(err);
        s->total += count;
    }
    if (s->words.n > 0) qsort(s->words.p, s->words.n, sizeof *s->words.p, by_text);
    for (size_t i = 0; i < s->words.n; i++) {
        if (!add_word(s, path, &depth, i) ||
            !qn_map_put(&s->counts, s->words.p[i].text, i))
            return no_memory(err);
    }
    for (size_t d = 0; d < depth; d++) s->nodes.p[path[d]].end = (uint32_t)s->nodes.n;
    s->built = true;
    return QN_OK;
}

size_t qn_spelling_word_count(const qn_spelling *s)
{
    return s->words.n;
}

uint64_t qn_spelling_count_of(const qn_spelling *s, qn_slice word)
{
    uint64_t at;
    return qn_map_get(&s->counts, word, &at) ? s->words.p[at].count : 0;
}

/* ---- the chance of a slip ----------------------------------------------------------- */

static bool is_vowel(uint32_t c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

/* Letters that sound alike, and keys side by side; both ways. */
static bool is_pair(const char *const *pairs, uint32_t a, uint32_t b)
{
    if (a >= 128 || b >= 128) return false;
    for (; *pairs != NULL; pairs++) {
        uint32_t left = (unsigned char)(*pairs)[0], right = (unsigned char)(*pairs)[1];
        if ((a == left && b == right) || (a == right && b == left)) return true;
    }
    return false;
}

static double replace_cost(uint32_t typed, uint32_t meant)
{
    static const char *const sounds[] = {"ck", "cs", "sz", "fv", "gj", "mn",
                                         "bp", "dt", "kq", "uw", "cx", "xs",
                                         "fp", "ct", "st", NULL};
    static const char *const keys[] = {"qw", "we", "er", "rt", "ty", "yu", "ui", "io",
                                       "op", "as", "sd", "df", "fg", "gh", "hj", "jk",
                                       "kl", "zx", "xc", "cv", "vb", "bn", "nm", "qa",
                                       "ws", "ed", "rf", "tg", "yh", "uj", "ik", "ol",
                                       "az", "sx", "dc", "fv", "gb", "hn", "jm", NULL};
    if (is_vowel(typed) && is_vowel(meant)) return 0.7;
    if (is_pair(sounds, typed, meant)) return 0.75;
    return is_pair(keys, typed, meant) ? 0.9 : 1.15;
}

/* A letter left out (of what was meant) or put in (of what was typed), beside the letters
 * on both sides of it. */
static double gap_cost(uint32_t letter, uint32_t before, uint32_t after)
{
    if (letter == before || letter == after) return 0.55;
    if (letter == '\'' || letter == '-') return 0.3;
    if (is_vowel(letter) || letter == 'h') return 0.85;
    return 1.0;
}

static uint32_t at_or_0(const uint32_t *p, size_t n, size_t i)
{
    return i < n ? p[i] : 0;
}

/* Of turning `meant` into `typed`: the cheapest of all ways (optimal string alignment). */
static double slip_cost(const uint32_t *typed, size_t n, const uint32_t *meant,
                        size_t m)
{
    double rows[3][QN_SPELLING_LETTERS_MAX + QN_SPELLING_EDITS_MAX + 2];
    for (size_t i = 0; i <= n; i++) {
        double *row = rows[i % 3], *above = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
        /* A slip at the very beginning is rare. */
        for (size_t k = 0; k <= m; k++) {
            double best = i == 0 && k == 0 ? 0 : 1e9, way;
            double first = i <= 1 && k <= 1 ? 0.4 : 0;
            if (i > 0) {
                way = above[k] + first +
                      gap_cost(typed[i - 1], i > 1 ? typed[i - 2] : 0,
                               at_or_0(typed, n, i));
                if (way < best) best = way;
            }
            if (k > 0) {
                way = row[k - 1] + first +
                      gap_cost(meant[k - 1], k > 1 ? meant[k - 2] : 0,
                               at_or_0(meant, m, k));
                if (way < best) best = way;
            }
            if (i > 0 && k > 0) {
                bool same = typed[i - 1] == meant[k - 1];
                way = above[k - 1] +
                      (same ? 0 : first + replace_cost(typed[i - 1], meant[k - 1]));
                if (way < best) best = way;
            }
            if (i > 1 && k > 1 && typed[i - 1] == meant[k - 2] &&
                typed[i - 2] == meant[k - 1]) {
                way = two[k - 2] + 0.7;
                if (way < best) best = way;
            }
            row[k] = best;
        }
    }
    return rows[n % 3][m];
}

/* ---- looking for words within some edits --------------------------------------------- */

typedef struct found_word {
    uint32_t words[2]; /* the second UINT32_MAX when there is one */
    unsigned edits;
    double score; /* log of chance of word and slip, up to a constant */
} found_word;

typedef struct finder {
    const qn_spelling *s;
    const qn_spelling_options *options;
    uint32_t typed[QN_SPELLING_LETTERS_MAX];
    size_t n;
    unsigned edits;
    found_word *found; /* the best so far, `capacity` of them */
    size_t count, capacity;
} finder;

/* What the weights mean: a slip of cost 1 is about e^-SLIP times as likely as none; the
 * chance of a word counts by its power COUNT. */
static const double slip_weight = 5.5, count_weight = 0.6;
/* The word as typed, unknown to the dictionary, against the known ones. */
static const double unknown_cost = 1.9, split_cost = 1.5;

static double log_share(const qn_spelling *s, uint64_t count)
{
    double share = (double)count / (double)(s->total == 0 ? 1 : s->total);
    return log(share < 1e-8 ? 1e-8 : share);
}

/* Keeps the best, the best first. */
static void offer(finder *f, found_word w)
{
    if (f->count == f->capacity && f->found[f->count - 1].score >= w.score) return;
    size_t i = f->count < f->capacity ? f->count++ : f->count - 1;
    for (; i > 0 && f->found[i - 1].score < w.score; i--) f->found[i] = f->found[i - 1];
    f->found[i] = w;
}

static void offer_word(finder *f, uint32_t word, unsigned edits)
{
    uint32_t letters[QN_SPELLING_LETTERS_MAX];
    const known_word *w = &f->s->words.p[word];
    if (edits == 0 || w->count < f->options->count_min) return;
    size_t m = letters_of(w->text, letters);
    double cost = slip_cost(f->typed, f->n, letters, m);
    offer(f,
          (found_word){{word, UINT32_MAX},
                       edits,
                       count_weight * log_share(f->s, w->count) - slip_weight * cost});
}

enum { ROW_MAX = QN_SPELLING_LETTERS_MAX + 1, FAR = 100 };

/* Row `d` of the matrix from the two above it: only the cells within `edits` of the
 * diagonal. Returns the least of them. */
static unsigned fill_row(const finder *f, uint8_t (*rows)[ROW_MAX],
                         const uint32_t *path, size_t d)
{
    size_t k = f->edits, from = d > k ? d - k : 0, to = d + k < f->n ? d + k : f->n;
    uint8_t *row = rows[d];
    unsigned least = FAR;
    if (from > 0) row[from - 1] = FAR;
    if (to < f->n) row[to + 1] = FAR;
    for (size_t i = from; i <= to; i++) {
        unsigned best = i == 0 ? (unsigned)d : FAR;
        if (d > 0 && i > 0) {
            unsigned way =
                rows[d - 1][i - 1] + (f->typed[i - 1] != path[d - 1] ? 1U : 0U);
            if (way < best) best = way;
            if (d > 1 && i > 1 && f->typed[i - 1] == path[d - 2] &&
                f->typed[i - 2] == path[d - 1] && rows[d - 2][i - 2] + 1U < best)
                best = rows[d - 2][i - 2] + 1U;
        }
        if (i > 0 && row[i - 1] + 1U < best) best = row[i - 1] + 1U;
        if (d > 0 && rows[d - 1][i] + 1U < best) best = rows[d - 1][i] + 1U;
        if (d == 0) best = (unsigned)i;
        row[i] = (uint8_t)(best > FAR ? FAR : best);
        if (row[i] < least) least = row[i];
    }
    return least;
}

static void find_near(finder *f)
{
    uint8_t rows[QN_SPELLING_LETTERS_MAX + 1][ROW_MAX];
    uint32_t path[QN_SPELLING_LETTERS_MAX] = {0};
    memset(rows, FAR, sizeof rows);
    (void)fill_row(f, rows, path, 0);
    const node *nodes = f->s->nodes.p;
    for (uint32_t i = 0; i < f->s->nodes.n;) {
        size_t d = nodes[i].depth + 1;
        path[d - 1] = nodes[i].letter;
        if (d > f->n + f->edits) {
            i = nodes[i].end;
            continue;
        }
        if (fill_row(f, rows, path, d) > f->edits) {
            i = nodes[i].end;
            continue;
        }
        bool near = d + f->edits >= f->n && rows[d][f->n] <= f->edits;
        if (near && nodes[i].word != UINT32_MAX)
            offer_word(f, nodes[i].word, rows[d][f->n]);
        i++;
    }
}

/* Two known words with the blank between them forgotten. */
static void find_splits(finder *f, qn_slice word)
{
    enum { PART_LETTERS_MIN = 2 };
    size_t letters = 0;
    for (size_t at = 0; at < word.n; letters++) {
        size_t length;
        (void)qn_utf8_get(word.p + at, &length);
        if (letters >= PART_LETTERS_MIN && f->n - letters >= PART_LETTERS_MIN) {
            uint64_t left, right;
            if (qn_map_get(&f->s->counts, (qn_slice){word.p, at}, &left) &&
                qn_map_get(&f->s->counts, (qn_slice){word.p + at, word.n - at},
                           &right)) {
                uint64_t a = f->s->words.p[left].count, b = f->s->words.p[right].count;
                if (a >= f->options->count_min && b >= f->options->count_min)
                    offer(f, (found_word){{(uint32_t)left, (uint32_t)right},
                                          1,
                                          count_weight * (log_share(f->s, a) +
                                                          log_share(f->s, b)) -
                                              slip_weight * split_cost});
            }
        }
        at += length;
    }
}

static unsigned edits_for(size_t letters, unsigned asked)
{
    if (asked == 0) asked = 2;
    if (asked > QN_SPELLING_EDITS_MAX) asked = QN_SPELLING_EDITS_MAX;
    if (letters < 3) return 0;
    if (letters < 5) return asked < 1 ? asked : 1;
    return asked;
}

/* With a blank between them; a dictionary's words may hold any character, zero included. */
static qn_slice two_words(qn_arena *arena, qn_slice a, qn_slice b)
{
    char *p = qn_arena_raw(arena, a.n + b.n + 2, 1);
    if (p == NULL) return (qn_slice){NULL, 0};
    memcpy(p, a.p, a.n);
    p[a.n] = ' ';
    memcpy(p + a.n + 1, b.p, b.n);
    p[a.n + 1 + b.n] = '\0';
    return (qn_slice){p, a.n + 1 + b.n};
}

static qn_status tell(const finder *f, qn_slice word, qn_arena *arena, size_t most,
                      const qn_suggestion **out, size_t *count, qn_error *err)
{
    uint64_t own = qn_spelling_count_of(f->s, word);
    double typed = count_weight * log_share(f->s, own) -
                   (own == 0 ? slip_weight * unknown_cost : 0);
    double top = f->count > 0 && f->found[0].score > typed ? f->found[0].score : typed;
    double sum = exp(typed - top);
    for (size_t i = 0; i < f->count; i++) sum += exp(f->found[i].score - top);
    *count = f->count < most ? f->count : most;
    qn_suggestion *list = qn_arena_array(arena, *count + 1, sizeof *list);
    if (list == NULL) return no_memory(err);
    for (size_t i = 0; i < *count; i++) {
        const found_word *w = &f->found[i];
        const known_word *a = &f->s->words.p[w->words[0]], *b = NULL;
        if (w->words[1] != UINT32_MAX) b = &f->s->words.p[w->words[1]];
        qn_slice text = b == NULL ? qn_arena_slice(arena, a->text)
                                  : two_words(arena, a->text, b->text);
        if (text.p == NULL) return no_memory(err);
        list[i] = (qn_suggestion){
            .word = text,
            .count = b != NULL && b->count < a->count ? b->count : a->count,
            .edits = w->edits,
            .confidence = exp(w->score - top) / sum,
        };
    }
    *out = list;
    return QN_OK;
}

qn_status qn_spelling_suggest(const qn_spelling *s, qn_slice word,
                              const qn_spelling_options *options, qn_arena *arena,
                              const qn_suggestion **out, size_t *count, qn_error *err)
{
    found_word found[QN_SPELLING_SUGGESTIONS_MAX * 2];
    finder f = {.s = s,
                .options = options,
                .found = found,
                .capacity = sizeof found / sizeof *found};
    qn_assert(s->built);
    *out = NULL;
    *count = 0;
    f.n = letters_of(word, f.typed);
    f.edits = edits_for(f.n, options->edits_max);
    if (f.n == 0 || f.edits == 0) return QN_OK;
    find_near(&f);
    if (!options->no_splits) find_splits(&f, word);
    size_t most = options->suggestions == 0 ? 5 : options->suggestions;
    if (most > QN_SPELLING_SUGGESTIONS_MAX) most = QN_SPELLING_SUGGESTIONS_MAX;
    return tell(&f, word, arena, most, out, count, err);
}
