/* SPDX-License-Identifier: Apache-2.0 */
#include "index/packing.h"
#include "num/kernels.h"
#include "test_index.h"

/* Every width and count, with and without exceptions, in every kernel set. */
static void check_packed(const qn_lists *k, qn_rng *rng, unsigned bits, size_t n,
                         size_t exceptions)
{
    uint32_t in[QN_PACK_COUNT], out[QN_PACK_COUNT + QN_SET_SPARE];
    uint8_t bytes[1 + QN_PACK_MAX + QN_PACK_SLACK];
    for (size_t i = 0; i < n; i++)
        in[i] = bits == 0 ? 0 : (uint32_t)(qn_rng_next(rng) >> (64 - bits));
    for (size_t i = 0; i < exceptions; i++)
        in[qn_rng_next(rng) % n] = (uint32_t)(qn_rng_next(rng) >> (32 + i % 32));
    memset(bytes, 0xAA, sizeof bytes);
    size_t size = qn_pack__put(in, n, bytes + 1); /* an odd address */
    T_OK(size <= QN_PACK_MAX);
    T_EQ_I(bytes[1 + size], 0xAA);
    T_OK(qn_pack__get(k, bytes + 1, bytes + 1 + size, n, out) == bytes + 1 + size);
    T_OK(memcmp(in, out, n * sizeof *in) == 0);
    T_OK(qn_pack__get(k, bytes + 1, bytes + size, n, out) == NULL);
}

void test_packing(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 7, 8, 64, 127, 128};
    qn_rng rng = {7};
    for (size_t s = 0; s < qn_kernel_set_count; s++) {
        if (!qn_kernel_sets[s].usable()) continue;
        for (unsigned bits = 0; bits <= 32; bits++) {
            char name[64];
            snprintf(name, sizeof name, "%s, %u bits", qn_kernel_sets[s].name, bits);
            T_ROW(name);
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
                for (size_t exceptions = 0; exceptions <= 12; exceptions += 3)
                    check_packed(qn_kernel_sets[s].lists, &rng, bits, counts[c],
                                 exceptions);
        }
    }
}

/* n numbers below span, drawn as if each were equally likely. */
static void draw_set(qn_rng *rng, size_t n, uint64_t span, uint32_t base, uint32_t *out)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t spare = span - at - (n - i), step = 0;
        if (spare > 0) step = qn_rng_next(rng) % (spare / (n - i) * 2 + 1);
        at += step > spare ? spare : step;
        out[i] = base + (uint32_t)at++;
    }
}

static void check_set(const qn_lists *k, qn_rng *rng, size_t n, uint64_t span)
{
    uint32_t in[QN_PACK_COUNT], out[QN_PACK_COUNT + QN_SET_SPARE];
    uint8_t bytes[1 + QN_SET_MAX + QN_PACK_SLACK], wrong[QN_SET_MAX + QN_PACK_SLACK];
    uint32_t base = (uint32_t)(qn_rng_next(rng) % (UINT32_MAX - span + 1));
    draw_set(rng, n, span, base, in);
    memset(bytes, 0xAA, sizeof bytes);
    size_t size = qn_set__put(in, n, base, span, bytes + 1);
    T_EQ_I(size, qn_set__size(n, span));
    T_EQ_I(bytes[1 + size], 0xAA);
    T_OK(qn_set__get(k, bytes + 1, n, base, span, out));
    T_OK(memcmp(in, out, n * sizeof *in) == 0);
    for (int edit = 0; edit < 8; edit++) { /* refused, or still such a set */
        memset(wrong, 0x55, sizeof wrong);
        memcpy(wrong, bytes + 1, size);
        wrong[qn_rng_next(rng) % size] ^= (uint8_t)(1u << edit);
        if (!qn_set__get(k, wrong, n, base, span, out)) continue;
        for (size_t i = 0; i < n; i++)
            T_OK(out[i] >= base && out[i] - base < span &&
                 (i == 0 || out[i] > out[i - 1]));
    }
}

void test_sets(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 17, 64, 127, 128};
    static const uint64_t more[] = {
        0, 1, 3, 100, 383, 384, 385, 5000, 65536, 1 << 20, 1u << 31, UINT32_MAX - 200u};
    qn_rng rng = {9};
    for (size_t s = 0; s < qn_kernel_set_count; s++) {
        if (!qn_kernel_sets[s].usable()) continue;
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
            for (size_t m = 0; m < sizeof more / sizeof *more; m++) {
                char name[64];
                snprintf(name, sizeof name, "%s, %d of %llu", qn_kernel_sets[s].name,
                         (int)counts[c], (unsigned long long)(counts[c] + more[m]));
                T_ROW(name);
                for (int run = 0; run < 20; run++)
                    check_set(qn_kernel_sets[s].lists, &rng, counts[c],
                              counts[c] + more[m]);
            }
    }
}

void test_freq_codes(void **state)
{
    (void)state;
    T_ROW("rounded up, never down");
    for (uint32_t f = 1; f < 9000000; f += 1 + f / 100) {
        T_OK(qn_freq__most(qn_freq__code(f)) >= f);
        T_OK(f < 128 ? qn_freq__most(qn_freq__code(f)) == f
                     : f >= 7864320 || qn_freq__most(qn_freq__code(f)) < f + f / 8);
    }
    for (int c = 1; c < 255; c++) T_EQ_I(qn_freq__code(qn_freq__most((uint8_t)c)), c);
}

/* ---- lists against what went in --------------------------------------------------- */

/* Document d holds "t" f(d) times when has(d), at positions 3, 3 + s, 3 + 2s ... */
typedef struct list_shape {
    const char *name;
    uint32_t docs;   /* with the term */
    uint32_t stride; /* every so many documents has it */
    uint32_t freq_max;
} list_shape;

static const list_shape shapes[] = {
    {"none", 0, 1, 1},
    {"one", 1, 1, 1},
    {"one, late", 1, 9, 5},
    {"two", 2, 1, 1},
    {"127", 127, 1, 3},
    {"128", 128, 1, 3},
    {"129", 129, 1, 3},
    {"1000 in a row", 1000, 1, 1},
    {"1000, often", 1000, 3, 7},
    {"256, two full", 256, 2, 40},
    {"200, gaps of 300", 200, 300, 2},
    {"5000, 39 blocks", 5000, 2, 2},
    {"3, very often", 3, 1, 500},
};

static uint32_t freq_of(const list_shape *s, uint32_t doc)
{
    return 1 + doc * 7 % s->freq_max;
}

static qn_segment *build_list(const list_shape *s)
{
    qn_segment_builder *b = t_builder();
    uint32_t count = s->docs * s->stride;
    for (uint32_t doc = 0; doc < count; doc++) {
        t_begin(b, doc);
        bool has = doc % s->stride == s->stride - 1;
        for (uint32_t i = 0; has && i < freq_of(s, doc); i++)
            t_term(b, "t", 3 + i * (1 + doc % 200));
    }
    if (count == 0) t_begin(b, 0);
    qn_segment *seg = t_image(b);
    qn_segment_builder_destroy(b);
    return seg;
}

static qn_term term_of(const qn_segment *seg, const char *bytes)
{
    qn_error err = {0};
    qn_term term;
    T_CALL(qn_segment_term(seg, t_text.id, qn_slice_of(bytes), &term, &err), &err);
    return term;
}

static void check_positions(const list_shape *s, qn_postings *p)
{
    qn_error err = {0};
    const uint32_t *positions = NULL;
    size_t n = 0;
    T_CALL(qn_postings_positions(p, &positions, &n, &err), &err);
    T_EQ_I(n, freq_of(s, p->doc));
    for (uint32_t i = 0; i < n; i++) T_EQ_I(positions[i], 3 + i * (1 + p->doc % 200));
}

void test_postings_borders(void **state)
{
    (void)state;
    qn_error err = {0};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const list_shape *s = &shapes[i];
        T_ROW(s->name);
        qn_segment *seg = build_list(s);
        T_CALL(qn_segment_check(seg, &err), &err);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_term term = term_of(seg, "t");
        T_EQ_I(term.doc_freq, s->docs);
        qn_postings p;
        T_CALL(qn_segment_postings(seg, &term, &arena, &p, &err), &err);
        T_EQ_I(p.doc_count, s->docs);
        for (uint32_t k = 0; k < s->docs; k++) {
            uint32_t doc = k * s->stride + s->stride - 1;
            T_EQ_I(p.doc, doc);
            T_EQ_I(p.freq, freq_of(s, doc));
            if (k % 3 != 1) check_positions(s, &p); /* some are skipped */
            if (k % 5 == 0) check_positions(s, &p); /* and some asked for twice */
            T_CALL(qn_postings_next(&p, &err), &err);
        }
        T_EQ_I(p.doc, QN_DOC_END);
        T_CALL(qn_postings_next(&p, &err), &err);
        T_EQ_I(p.doc, QN_DOC_END);
        qn_arena_deinit(&arena);
        qn_segment_close(seg);
    }
}

/* From every start, to targets near and far. */
void test_postings_seek(void **state)
{
    (void)state;
    qn_error err = {0};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const list_shape *s = &shapes[i];
        T_ROW(s->name);
        qn_segment *seg = build_list(s);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_term term = term_of(seg, "t");
        uint32_t limit = s->docs * s->stride;
        qn_rng rng = {i};
        for (int run = 0; run < 50; run++) {
            qn_postings p;
            T_CALL(qn_segment_postings(seg, &term, &arena, &p, &err), &err);
            uint32_t target = 0;
            while (p.doc != QN_DOC_END) {
                uint64_t step = qn_rng_next(&rng) % (run % 2 == 0 ? 5 : limit + 2);
                if (target < p.doc) target = p.doc;
                target += (uint32_t)step;
                uint32_t want = target / s->stride * s->stride + s->stride - 1;
                T_CALL(qn_postings_seek(&p, target, &err), &err);
                T_EQ_I(p.doc, want < limit ? want : QN_DOC_END);
                if (p.doc == QN_DOC_END) break;
                T_EQ_I(p.freq, freq_of(s, p.doc));
                if (run % 3 == 0) check_positions(s, &p);
                if (run % 4 == 0) T_CALL(qn_postings_next(&p, &err), &err);
            }
            T_CALL(qn_postings_seek(&p, 0, &err), &err);
            T_EQ_I(p.doc, QN_DOC_END);
        }
        qn_arena_deinit(&arena);
        qn_segment_close(seg);
    }
}

/* Blocks at a time give the same documents, and no block's bound is exceeded. */
void test_postings_bounds(void **state)
{
    (void)state;
    qn_error err = {0};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const list_shape *s = &shapes[i];
        T_ROW(s->name);
        qn_segment *seg = build_list(s);
        qn_term term = term_of(seg, "t");
        const uint8_t *norms = NULL;
        T_CALL(qn_segment_norms(seg, t_text.id, &norms, &err), &err);
        qn_postings p;
        T_CALL(qn_segment_postings(seg, &term, NULL, &p, &err), &err);
        uint32_t seen = 0;
        while (p.doc != QN_DOC_END) {
            const uint32_t *docs = NULL, *freqs = NULL;
            size_t n = 0;
            qn_postings_rest(&p, &docs, &freqs, &n);
            T_OK(n > 0);
            uint32_t last = 0;
            qn_postings_bound bound;
            for (size_t k = 0; k < n; k++, seen++) {
                T_EQ_I(docs[k], seen * s->stride + s->stride - 1);
                T_EQ_I(freqs[k], freq_of(s, docs[k]));
                qn_postings_peek(&p, docs[k], &last, &bound);
                T_OK(docs[k] <= last && freqs[k] <= bound.freq);
                T_OK(bound.norm <= norms[docs[k]] && p.bound.norm <= bound.norm);
                T_OK(bound.freq <= p.bound.freq);
            }
            if (n == QN_POSTINGS_BLOCK) T_EQ_I(last, docs[n - 1]);
            T_CALL(qn_postings_next_block(&p, &err), &err);
        }
        T_EQ_I(seen, s->docs);
        qn_segment_close(seg);
    }
}

void test_postings_many_positions(void **state)
{
    (void)state;
    qn_error err = {0};
    T_ROW("over 128 positions need the arena");
    qn_segment *seg = build_list(&(list_shape){"", 3, 1, 500});
    qn_term term = term_of(seg, "t");
    qn_postings p;
    T_CALL(qn_segment_postings(seg, &term, NULL, &p, &err), &err);
    const uint32_t *positions = NULL;
    size_t n = 0;
    T_CALL(qn_postings_positions(&p, &positions, &n, &err), &err);
    qn_segment_close(seg);

    seg = build_list(&(list_shape){"", 40, 1, 300}); /* document 39 has 274 */
    term = term_of(seg, "t");
    T_CALL(qn_segment_postings(seg, &term, NULL, &p, &err), &err);
    T_CALL(qn_postings_seek(&p, 39, &err), &err);
    T_EQ_I(p.freq, 274);
    T_EQ_I(qn_postings_positions(&p, &positions, &n, &err), QN_ENOMEM);
    qn_segment_close(seg);
}

/* ---- random documents against a scan of them ----------------------------------------- */

enum { DOCS = 700, WORDS_MAX = 60, VOCABULARY = 300 };

typedef struct random_doc {
    uint32_t n, words[WORDS_MAX], positions[WORDS_MAX];
} random_doc;

static void word_text(uint32_t word, char *out, size_t size)
{
    /* Lengths from 1 to over 20, many shared prefixes, bytes over 127. */
    snprintf(out, size, "%.*s%x\xC3\xA9", (int)(word % 20), "aaaaaaaaaaaaaaaaaaaaaaaa",
             word);
}

/* Zipf-like, so that some lists are long and most are short. */
static uint32_t random_word(qn_rng *rng)
{
    double u = qn_rng_unit(rng);
    return (uint32_t)(VOCABULARY * u * u * u * u);
}

static qn_segment_builder *random_docs(random_doc *docs, uint64_t seed)
{
    qn_rng rng = {seed};
    qn_segment_builder *b = t_builder();
    for (uint32_t d = 0; d < DOCS; d++) {
        random_doc *doc = &docs[d];
        doc->n = (uint32_t)(qn_rng_next(&rng) % WORDS_MAX);
        uint32_t position = 0;
        t_begin(b, d);
        for (uint32_t i = 0; i < doc->n; i++) {
            position += (uint32_t)(qn_rng_next(&rng) % 3); /* 0: stacked */
            doc->words[i] = random_word(&rng);
            doc->positions[i] = position;
            char text[64];
            word_text(doc->words[i], text, sizeof text);
            t_term(b, text, position);
        }
    }
    return b;
}

static uint32_t scan_doc(const random_doc *doc, uint32_t word, uint32_t *positions)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < doc->n; i++)
        if (doc->words[i] == word) positions[n++] = doc->positions[i];
    return n;
}

static void check_word(const qn_segment *seg, const random_doc *docs, uint32_t word,
                       qn_arena *arena)
{
    qn_error err = {0};
    char text[64];
    word_text(word, text, sizeof text);
    qn_term term = term_of(seg, text);
    qn_postings p;
    T_CALL(qn_segment_postings(seg, &term, arena, &p, &err), &err);
    uint32_t found = 0;
    uint64_t total = 0;
    for (uint32_t d = 0; d < DOCS; d++) {
        uint32_t want[WORDS_MAX], n = scan_doc(&docs[d], word, want);
        if (n == 0) continue;
        T_EQ_I(p.doc, d);
        T_EQ_I(p.freq, n);
        const uint32_t *got = NULL;
        size_t got_n = 0;
        T_CALL(qn_postings_positions(&p, &got, &got_n, &err), &err);
        T_EQ_I(got_n, n);
        T_OK(memcmp(got, want, n * sizeof *want) == 0);
        T_CALL(qn_postings_next(&p, &err), &err);
        found++;
        total += n;
    }
    T_EQ_I(p.doc, QN_DOC_END);
    T_EQ_I(term.doc_freq, found);
    if (found > 0) T_EQ_I(term.total_term_freq, total);
}

static uint32_t length_of(const random_doc *doc)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i < doc->n; i++)
        length += i == 0 || doc->positions[i] != doc->positions[i - 1];
    return length;
}

void test_postings_random(void **state)
{
    (void)state;
    static random_doc docs[DOCS];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        char name[32];
        snprintf(name, sizeof name, "seed %d", (int)seed);
        T_ROW(name);
        qn_error err = {0};
        qn_segment_builder *b = random_docs(docs, seed);
        qn_segment *seg = t_image(b);
        T_CALL(qn_segment_check(seg, &err), &err);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        for (uint32_t word = 0; word < VOCABULARY; word++)
            check_word(seg, docs, word, &arena);
        const uint8_t *norms = NULL;
        T_CALL(qn_segment_norms(seg, t_text.id, &norms, &err), &err);
        uint64_t tokens = 0;
        uint32_t with = 0;
        for (uint32_t d = 0; d < DOCS; d++) {
            T_EQ_I(norms[d], qn_bm25_norm(length_of(&docs[d])));
            tokens += docs[d].n;
            with += docs[d].n > 0;
        }
        const qn_segment_field *f = qn_segment_field_of(seg, t_text.id);
        T_EQ_I(f->doc_count, with);
        T_EQ_I(f->sum_total_term_freq, tokens);
        qn_arena_deinit(&arena);
        qn_segment_close(seg);
        qn_segment_builder_destroy(b);
    }
}
