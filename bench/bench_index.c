/* SPDX-License-Identifier: Apache-2.0 */
/* bench_index.c -- building a segment and walking it, one JSON line per figure, on one
 * thread, by the CPU time of the thread.
 *
 *     bench_index                    200000 made documents of 132 words, Zipf's law
 *     bench_index FILE.jsonl [MAX]   "title" and "text" of each line, words parted by
 *                                    blanks
 *
 * Analysis is left out: words are found before the clock starts. */
#include "base/clock.h"
#include "base/vec.h"
#include "index/bm25.h"
#include "index/segment_builder.h"
#include "io/file.h"
#include "io/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DOCS = 200000, WORDS = 132, VOCABULARY = 300000 };

static const qn_field fields[] = {
    {.id = 0, .type = QN_FIELD_TEXT, .indexed = true},
    {.id = 1, .type = QN_FIELD_TEXT, .indexed = true},
};

typedef struct word {
    const char *p;
    uint32_t n, field;
} word;

typedef struct corpus {
    QN_VEC(word) words;
    QN_VEC(size_t) ends; /* of each document in `words` */
    size_t bytes;
    qn_mapping file;
} corpus;

static qn_alloc *heap(void)
{
    return qn_alloc_heap();
}

static void check(qn_status st, const qn_error *err)
{
    if (st == QN_OK) return;
    (void)fprintf(stderr, "bench_index: %s\n", err->text);
    exit(1);
}

static double seconds_since(int64_t cpu_ns)
{
    return (double)(qn_clock_cpu_ns() - cpu_ns) * 1e-9;
}

/* ---- corpora ------------------------------------------------------------------------ */

static void add_word(corpus *c, const char *p, size_t n, uint32_t field)
{
    if (!qn_vec_push(heap(), &c->words, ((word){p, (uint32_t)n, field}))) exit(1);
    c->bytes += n + 1;
}

static void end_doc(corpus *c)
{
    if (!qn_vec_push(heap(), &c->ends, c->words.n)) exit(1);
}

/* Word r has probability about 1 / r, by inverting the integral of it. */
static void make_corpus(corpus *c)
{
    static char names[VOCABULARY][12];
    qn_rng rng = {1};
    for (uint32_t r = 0; r < VOCABULARY; r++) { /* frequent words are short */
        uint32_t v = r + 1, n = 0;
        while (v > 0) {
            names[r][n++] = (char)('a' + v % 26);
            v /= 26;
        }
        names[r][n++] = (char)('a' + r % 7);
    }
    for (uint32_t d = 0; d < DOCS; d++) {
        for (uint32_t i = 0; i < WORDS; i++) {
            double rank = exp(qn_rng_unit(&rng) * log(VOCABULARY));
            const char *name = names[(uint32_t)rank - 1];
            add_word(c, name, strlen(name), i < 6 ? 0 : 1);
        }
        end_doc(c);
    }
}

static void split_words(corpus *c, qn_slice text, uint32_t field)
{
    for (size_t i = 0; i < text.n;) {
        size_t start = i;
        while (i < text.n && text.p[i] != ' ') i++;
        if (i > start) add_word(c, text.p + start, i - start, field);
        i++;
    }
}

static void read_corpus(corpus *c, const char *path, size_t docs_max)
{
    static const char *const names[] = {"title", "text"};
    qn_error err = {0};
    check(qn_file_map(heap(), path, &c->file, &err), &err);
    const char *at = (const char *)c->file.p, *end = at + c->file.n;
    qn_arena arena;
    qn_arena_init(&arena, heap(), 0); /* strings stay until the end */
    while (at < end && c->ends.n < docs_max) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        qn_slice line = {at, (size_t)((stop == NULL ? end : stop) - at)};
        const qn_json *root = NULL;
        check(qn_json_parse(&arena, line, &root, &err), &err);
        for (uint32_t f = 0; f < 2; f++) {
            const qn_json *text = qn_json_get(root, names[f]);
            if (text == NULL) continue;
            char *copy = qn_strndup(heap(), text->string.p, text->string.n);
            split_words(c, (qn_slice){copy, text->string.n}, f);
        }
        end_doc(c);
        qn_arena_deinit(&arena);
        qn_arena_init(&arena, heap(), 0);
        at += line.n + 1;
    }
    qn_arena_deinit(&arena);
}

/* ---- building ------------------------------------------------------------------------- */

/* One document: the tokens of each field, as an analyzer would hand them over. */
static void add_doc(qn_segment_builder *b, const word *words, size_t n,
                    qn_segment_token *tokens)
{
    qn_error err = {0};
    for (uint32_t f = 0; f < 2; f++) {
        uint32_t count = 0;
        for (size_t i = 0; i < n; i++) {
            if (words[i].field != f) continue;
            tokens[count] = (qn_segment_token){{words[i].p, words[i].n}, count};
            count++;
        }
        check(qn_segment_builder_terms(b, &fields[f], tokens, count, &err), &err);
    }
}

static qn_segment_builder *build(const corpus *c)
{
    qn_error err = {0};
    qn_segment_builder *b = NULL;
    qn_segment_token *tokens = qn_new_array(heap(), c->words.n, sizeof *tokens);
    if (tokens == NULL) exit(1);
    check(qn_segment_builder_create(heap(), 1, &b, &err), &err);
    int64_t start = qn_clock_cpu_ns();
    size_t w = 0;
    for (size_t d = 0; d < c->ends.n; d++) {
        char id[24];
        uint32_t doc = 0;
        int n = snprintf(id, sizeof id, "%zu", d);
        check(qn_segment_builder_begin(b, (qn_slice){id, (size_t)n}, &doc, &err), &err);
        add_doc(b, c->words.p + w, c->ends.p[d] - w, tokens);
        w = c->ends.p[d];
    }
    double t = seconds_since(start);
    printf("{\"bench\":\"index_add\",\"docs\":%zu,\"words\":%zu,\"MB\":%.1f,"
           "\"MB_per_s\":%.1f,\"ns_per_word\":%.1f,\"memory_MB\":%.1f}\n",
           c->ends.n, c->words.n, (double)c->bytes * 1e-6, (double)c->bytes * 1e-6 / t,
           t * 1e9 / (double)c->words.n, (double)qn_segment_builder_bytes(b) * 1e-6);
    qn_delete(heap(), tokens);
    return b;
}

static qn_segment *write_image(qn_segment_builder *b, const corpus *c)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    qn_segment *seg = NULL;
    int64_t start = qn_clock_cpu_ns();
    check(qn_blockfile_writer_create(heap(), NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION,
                                     &w, &err),
          &err);
    check(qn_segment_builder_write(b, w, &err), &err);
    check(qn_blockfile_finish(w, false, &err), &err);
    double t = seconds_since(start);
    size_t n = 0;
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    check(qn_blockfile_open_memory(heap(), bytes, n, true, "image", QN_SEGMENT_MAGIC,
                                   QN_SEGMENT_VERSION, &file, &err),
          &err);
    check(qn_segment_open(heap(), file, &seg, &err), &err);
    printf("{\"bench\":\"index_write\",\"ns_per_word\":%.1f,\"MB_per_s\":%.1f,"
           "\"bytes_per_doc\":%.1f,\"bytes_per_word\":%.3f}\n",
           t * 1e9 / (double)c->words.n, (double)c->bytes * 1e-6 / t,
           (double)n / (double)c->ends.n, (double)n / (double)c->words.n);
    for (size_t i = 0; i < qn_blockfile_count(file); i++) {
        uint32_t kind = 0, id = 0;
        uint64_t at = 0, size = 0;
        qn_blockfile_entry(file, i, &kind, &id, &at, &size);
        printf("{\"bench\":\"index_size\",\"block\":%u,\"field\":%u,"
               "\"bytes_per_word\":%.3f}\n",
               kind, id, (double)size / (double)c->words.n);
    }
    return seg;
}

/* ---- walking --------------------------------------------------------------------------- */

enum { LONG_LIST = 1000, SEEK_GAP = 2000 };

typedef struct walk {
    const qn_segment *seg;
    qn_arena *arena;
    qn_bm25_field stats;
    qn_bm25_term scorer;
    uint64_t count;
    double check;
} walk;

static void open_list(walk *w, const qn_term *term, qn_postings *p)
{
    qn_error err = {0};
    check(qn_segment_postings_open(w->seg, term, QN_POSTINGS_LAZY, w->arena, p, &err),
          &err);
}

static void walk_docs(walk *w, const qn_term *term)
{
    qn_error err = {0};
    qn_postings p;
    for (open_list(w, term, &p); p.doc != QN_DOC_END;
         check(qn_postings_next_block(&p, &err), &err)) {
        const uint32_t *docs = NULL;
        size_t n = 0;
        qn_postings_rest_docs(&p, &docs, &n);
        w->check += docs[n - 1];
        w->count += n;
    }
}

static void walk_scores(walk *w, const qn_term *term)
{
    qn_error err = {0};
    qn_postings p;
    for (open_list(w, term, &p); p.doc != QN_DOC_END;
         check(qn_postings_next_block(&p, &err), &err)) {
        const uint32_t *docs = NULL, *freqs = NULL;
        const uint8_t *norms = NULL;
        size_t n = 0;
        float scores[QN_POSTINGS_BLOCK];
        check(qn_postings_rest3(&p, &docs, &freqs, &norms, &n, &err), &err);
        qn_bm25_scores(p.kernels, &w->scorer, freqs, norms, n, scores);
        w->check += (double)scores[n - 1];
        w->count += n;
    }
}

/* The bits of all documents, a window of 4096 after the other. */
static void walk_bits(walk *w, const qn_term *term)
{
    qn_error err = {0};
    qn_postings p;
    uint32_t limit = qn_segment_doc_count(w->seg);
    open_list(w, term, &p);
    for (uint32_t base = 0; base < limit; base += 4096) {
        uint64_t bits[64] = {0};
        check(qn_postings_or_bits(&p, base, base + 4096, bits, &err), &err);
        w->check += (double)(bits[0] & 1);
    }
    w->count += term->doc_freq;
}

static void walk_positions(walk *w, const qn_term *term)
{
    qn_error err = {0};
    qn_postings p;
    for (open_list(w, term, &p); p.doc != QN_DOC_END;
         check(qn_postings_next(&p, &err), &err)) {
        const uint32_t *at = NULL;
        size_t n = 0;
        check(qn_postings_positions(&p, &at, &n, &err), &err);
        w->count += n;
        w->check += at[n - 1];
    }
}

static void walk_seeks(walk *w, const qn_term *term)
{
    qn_error err = {0};
    qn_postings p;
    for (open_list(w, term, &p); p.doc != QN_DOC_END; w->count++) {
        check(qn_postings_seek(&p, p.doc + SEEK_GAP, &err), &err);
        w->check += p.doc == QN_DOC_END ? 0 : p.doc;
    }
}

static void walk_bounds(walk *w, const qn_term *term)
{
    qn_postings p;
    open_list(w, term, &p);
    for (uint32_t at = 0, n = qn_segment_doc_count(w->seg); at < n; at += 4096) {
        w->check += (double)qn_postings_bound_between(&p, at, at + 4096, &w->scorer);
        w->count++;
    }
}

static void walk_best(walk *w, const qn_term *term)
{
    qn_error err = {0};
    qn_postings p;
    qn_postings_top top;
    open_list(w, term, &p);
    check(qn_postings_best(&p, w->arena, &top, &err), &err);
    for (size_t i = 0; i < top.n; i++)
        w->check += (double)qn_bm25_score(&w->scorer, (float)top.entries[i].freq,
                                          top.entries[i].norm);
    w->count += top.n > 0;
}

static void walk_open(walk *w, const qn_term *term)
{
    qn_postings p;
    open_list(w, term, &p);
    w->check += p.doc;
    w->count++;
}

static const struct {
    const char *name, *unit;
    void (*walk)(walk *w, const qn_term *term);
} walks[] = {
    {"open", "lists", walk_open},       {"docs", "postings", walk_docs},
    {"score", "postings", walk_scores}, {"bits", "postings", walk_bits},
    {"seek", "seeks", walk_seeks},      {"bounds", "windows", walk_bounds},
    {"best", "lists", walk_best},       {"positions", "positions", walk_positions},
};

/* Lists of `least` documents and more, all of them, the fastest of several rounds. */
static void walk_lists(walk *w, size_t which, const qn_term *terms, size_t n,
                       uint32_t least, uint32_t most)
{
    enum { ROUNDS = 7 };
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        w->count = 0;
        w->check = 0;
        int64_t start = qn_clock_cpu_ns();
        for (size_t i = 0; i < n; i++) {
            if (terms[i].doc_freq < least || terms[i].doc_freq > most) continue;
            walks[which].walk(w, &terms[i]);
        }
        double t = seconds_since(start);
        if (round == 0 || t < best) best = t;
        qn_arena_deinit(w->arena);
        qn_arena_init(w->arena, heap(), 0);
    }
    printf("{\"bench\":\"index_%s\",\"df_from\":%u,\"%s\":%llu,\"M_per_s\":%.1f,"
           "\"ns_each\":%.2f,\"check\":%.9g}\n",
           walks[which].name, least, walks[which].unit, (unsigned long long)w->count,
           (double)w->count * 1e-6 / best, best * 1e9 / (double)w->count, w->check);
}

static void walk_all(const qn_segment *seg)
{
    qn_error err = {0};
    qn_arena arena;
    qn_arena_init(&arena, heap(), 0);
    walk w = {.seg = seg, .arena = &arena};
    const qn_segment_field *f = qn_segment_field_of(seg, 1);
    qn_bm25_field_init(&w.stats, QN_BM25_K1, QN_BM25_B, f->sum_total_term_freq,
                       f->doc_count);
    qn_bm25_term_init(&w.scorer, &w.stats, 1.0f, 1.0f);
    qn_term *terms = qn_new_array(heap(), f->term_count, sizeof *terms);
    if (terms == NULL) exit(1);
    size_t n = 0;
    qn_terms t;
    int64_t start = qn_clock_cpu_ns();
    check(qn_terms_init(&t, seg, 1, heap(), QN_SLICE_LIT(""), &err), &err);
    for (; !t.at_end; check(qn_terms_next(&t, &err), &err)) terms[n++] = t.term;
    qn_terms_deinit(&t);
    printf("{\"bench\":\"index_terms\",\"terms\":%zu,\"ns_each\":%.1f}\n", n,
           seconds_since(start) * 1e9 / (double)n);
    uint32_t dense = qn_segment_doc_count(seg) / 20;
    walk_lists(&w, 0, terms, n, 2, QN_POSTINGS_BLOCK - 1);
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++)
        walk_lists(&w, i, terms, n, LONG_LIST, UINT32_MAX);
    walk_lists(&w, 1, terms, n, dense, UINT32_MAX);
    walk_lists(&w, 2, terms, n, dense, UINT32_MAX);
    walk_lists(&w, 3, terms, n, dense, UINT32_MAX);
    qn_delete(heap(), terms);
    qn_arena_deinit(&arena);
}

/* The same words again and again: what a look-up costs when the dictionary is at hand. */
static void look_up(const qn_segment *seg, const corpus *c)
{
    enum { WORDS_HOT = 1000, ROUNDS = 200 };
    static char text[WORDS_HOT][64];
    qn_slice words[WORDS_HOT];
    uint32_t of[WORDS_HOT];
    qn_error err = {0};
    size_t found = 0;
    for (size_t i = 0; i < WORDS_HOT; i++) {
        const word *x = &c->words.p[i * 104729 % c->words.n];
        size_t n = x->n < 64 ? x->n : 64;
        memcpy(text[i], x->p, n);
        words[i] = (qn_slice){text[i], n};
        of[i] = x->field;
    }
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = qn_clock_cpu_ns();
        for (size_t i = 0; i < WORDS_HOT; i++) {
            qn_term term;
            check(qn_segment_term(seg, of[i], words[i], &term, &err), &err);
            found += term.doc_freq > 0;
        }
        double t = seconds_since(start);
        if (round == 0 || t < best) best = t;
    }
    printf("{\"bench\":\"index_term\",\"ns\":%.1f,\"found\":%zu}\n",
           best * 1e9 / WORDS_HOT, found / ROUNDS);
}

/* ---- sources ----------------------------------------------------------------------------- */

/* The words of a document as its source; every source fetched once, in no order. */
static void store_and_fetch(const corpus *c)
{
    enum { DOCS_MAX = 20000 };
    qn_error err = {0};
    qn_segment_builder *b = NULL;
    qn_buf text;
    qn_buf_init(&text, heap());
    size_t docs = c->ends.n < DOCS_MAX ? c->ends.n : DOCS_MAX, w = 0, bytes = 0;
    check(qn_segment_builder_create(heap(), 1, &b, &err), &err);
    int64_t start = qn_clock_cpu_ns();
    for (size_t d = 0; d < docs; d++) {
        uint32_t doc = (uint32_t)d;
        qn_buf_reset(&text);
        for (; w < c->ends.p[d]; w++) {
            qn_buf_add(&text, c->words.p[w].p, c->words.p[w].n);
            qn_buf_add_char(&text, ' ');
        }
        bytes += text.n;
        check(qn_segment_builder_begin(b, (qn_slice){(char *)&doc, 4}, &doc, &err),
              &err);
        check(qn_segment_builder_set_source(b, qn_buf_slice(&text), QN_SLICE_LIT(""),
                                            &err),
              &err);
    }
    double stored = seconds_since(start);
    size_t kept = qn_segment_builder_bytes(b);
    qn_slice source;
    size_t fetched = 0;
    start = qn_clock_cpu_ns();
    for (size_t d = 0; d < docs; d++) {
        uint32_t doc = (uint32_t)(d * 7919 % docs);
        check(qn_segment_builder_source(b, doc, &text, &source, NULL, &err), &err);
        fetched += source.n;
    }
    printf("{\"bench\":\"index_source\",\"store_MB_per_s\":%.1f,\"ratio\":%.3f,"
           "\"fetch_us\":%.2f,\"whole\":%s}\n",
           (double)bytes * 1e-6 / stored, (double)kept / (double)bytes,
           seconds_since(start) * 1e6 / (double)docs,
           fetched == bytes ? "true" : "false");
    qn_buf_deinit(&text);
    qn_segment_builder_destroy(b);
}

int main(int argc, char **argv)
{
    corpus c = {0};
    if (argc > 1)
        read_corpus(&c, argv[1], argc > 2 ? strtoul(argv[2], NULL, 10) : SIZE_MAX);
    else
        make_corpus(&c);
    qn_segment_builder *b = build(&c);
    qn_segment *seg = write_image(b, &c);
    walk_all(seg);
    look_up(seg, &c);
    store_and_fetch(&c);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
    return 0;
}
