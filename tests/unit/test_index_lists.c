/* SPDX-License-Identifier: Apache-2.0 */
/* Long lists of every shape against plain arrays, in every kernel set: blocks at a time,
 * bits, bounds ahead, the best documents under changed statistics. */
#include "base/vec.h"
#include "num/kernels.h"
#include "num/lists.h"
#include "test_index.h"

#include <stdlib.h>

enum { DOCS = 100000, TERMS = 8 };

/* Documents with the term: one in `gap`, in runs of `run`; up to `freq` occurrences. */
static const struct {
    const char *term;
    uint32_t gap, run, freq;
} shapes[TERMS] = {
    {"all", 1, 1, 3},          {"dense", 2, 1, 1},     {"third", 3, 1, 9},
    {"sparse", 50, 1, 4},      {"rare", 1500, 1, 2},   {"runs", 20, 300, 2},
    {"clusters", 400, 40, 60}, {"outbursts", 9, 1, 2},
};

typedef struct list {
    QN_VEC(uint32_t) docs;
    QN_VEC(uint32_t) freqs;
} list;

typedef struct model {
    list lists[TERMS];
    uint8_t norms[DOCS];
    qn_segment_builder *b;
} model;

static model *whole; /* built once: it is the same for every test */

static uint32_t draw_freq(qn_rng *rng, uint32_t term, uint32_t doc)
{
    uint64_t r = qn_rng_next(rng);
    if (term == 7 && r % 1000 == 0) return 200 + doc % 300; /* an exception */
    uint32_t most = shapes[term].freq, freq = 1;
    for (r >>= 10; freq < most && r % 3 == 0; r /= 3) freq++;
    return freq;
}

static bool draw_has(qn_rng *rng, uint32_t term, uint32_t doc)
{
    uint32_t gap = shapes[term].gap, run = shapes[term].run;
    if (run > 1) return doc / run % gap == term % gap;
    return qn_rng_next(rng) % gap == 0;
}

/* Positions of a document: every term's occurrences one after another, then words that
 * make lengths differ. */
static void add_doc(model *m, qn_rng *rng, uint32_t doc)
{
    qn_error err = {0};
    static qn_segment_token tokens[4096];
    size_t n = 0;
    t_begin(m->b, doc);
    for (uint32_t t = 0; t < TERMS; t++) {
        if (!draw_has(rng, t, doc)) continue;
        uint32_t freq = draw_freq(rng, t, doc);
        T_OK(qn_vec_push(qn_alloc_heap(), &m->lists[t].docs, doc));
        T_OK(qn_vec_push(qn_alloc_heap(), &m->lists[t].freqs, freq));
        for (uint32_t i = 0; i < freq; i++, n++)
            tokens[n] = (qn_segment_token){qn_slice_of(shapes[t].term), (uint32_t)n};
    }
    size_t more = qn_rng_next(rng) % 40 * (doc % 50 == 0 ? 30 : 1);
    for (size_t i = 0; i < more; i++, n++)
        tokens[n] = (qn_segment_token){QN_SLICE_LIT("filler"), (uint32_t)n};
    T_CALL(qn_segment_builder_terms(m->b, &t_text, tokens, n, &err), &err);
    m->norms[doc] = qn_bm25_norm((uint32_t)n);
}

static const model *the_model(void)
{
    if (whole != NULL) return whole;
    whole = qn_new0(qn_alloc_heap(), sizeof *whole);
    T_OK(whole != NULL);
    whole->b = t_builder();
    qn_rng rng = {77};
    for (uint32_t doc = 0; doc < DOCS; doc++) add_doc(whole, &rng, doc);
    return whole;
}

int test_lists_end(void **state)
{
    (void)state;
    if (whole == NULL) return 0;
    for (size_t t = 0; t < TERMS; t++) {
        qn_vec_deinit(qn_alloc_heap(), &whole->lists[t].docs);
        qn_vec_deinit(qn_alloc_heap(), &whole->lists[t].freqs);
    }
    qn_segment_builder_destroy(whole->b);
    qn_delete(qn_alloc_heap(), whole);
    return 0;
}

static void open_list(const qn_segment *seg, size_t t, unsigned flags, qn_arena *arena,
                      qn_postings *p)
{
    qn_error err = {0};
    qn_term term;
    T_CALL(qn_segment_term(seg, t_text.id, qn_slice_of(shapes[t].term), &term, &err),
           &err);
    T_CALL(qn_segment_postings_open(seg, &term, flags, arena, p, &err), &err);
}

static void check_best(const model *m, const qn_segment *seg, size_t t);

/* Runs `check` on every list, in every kernel set that runs here. */
static void each_list(void (*check)(const model *m, const qn_segment *seg, size_t t))
{
    const model *m = the_model();
    for (size_t k = 0; k < qn_kernel_set_count; k++) {
        if (!qn_kernel_sets[k].usable()) continue;
        T_EQ_I(setenv("QUERN_KERNELS", qn_kernel_sets[k].name, 1), 0);
        qn_segment *seg = t_image(m->b);
        qn_error err = {0};
        if (check == check_best) T_CALL(qn_segment_check(seg, &err), &err);
        for (size_t t = 0; t < TERMS; t++) {
            char name[64];
            snprintf(name, sizeof name, "%s, %s", shapes[t].term,
                     qn_kernel_sets[k].name);
            T_ROW(name);
            check(m, seg, t);
        }
        qn_segment_close(seg);
    }
    T_EQ_I(unsetenv("QUERN_KERNELS"), 0);
}

/* ---- walking ----------------------------------------------------------------------- */

static qn_bm25_term scorer(qn_bm25_field *field, double avgdl)
{
    qn_bm25_term t;
    qn_bm25_field_init(field, QN_BM25_K1, QN_BM25_B, (uint64_t)(avgdl * 1000), 1000);
    qn_bm25_term_init(&t, field, 2.2f, 1.7f);
    return t;
}

static void check_blocks(const model *m, const qn_segment *seg, size_t t)
{
    qn_error err = {0};
    const list *l = &m->lists[t];
    qn_bm25_field field;
    qn_bm25_term s = scorer(&field, 33.3);
    qn_postings p;
    size_t at = 0;
    open_list(seg, t, QN_POSTINGS_LAZY, NULL, &p);
    while (p.doc != QN_DOC_END) {
        const uint32_t *docs = NULL, *freqs = NULL;
        const uint8_t *norms = NULL;
        size_t n = 0;
        float scores[QN_POSTINGS_BLOCK];
        uint32_t freq = 0;
        T_CALL(qn_postings_freq(&p, &freq, &err), &err);
        T_EQ_I(freq, l->freqs.p[at]);
        T_EQ_I(qn_postings_norm(&p), m->norms[p.doc]);
        T_CALL(qn_postings_rest3(&p, &docs, &freqs, &norms, &n, &err), &err);
        qn_bm25_scores(p.kernels, &s, freqs, norms, n, scores);
        for (size_t i = 0; i < n; i++, at++) {
            T_EQ_I(docs[i], l->docs.p[at]);
            T_EQ_I(freqs[i], l->freqs.p[at]);
            T_EQ_I(norms[i], m->norms[docs[i]]);
            T_EQ_I(qn_float_bits(scores[i]),
                   qn_float_bits(qn_bm25_score(&s, (float)freqs[i], norms[i])));
        }
        T_CALL(qn_postings_next_block(&p, &err), &err);
    }
    T_EQ_I(at, l->docs.n);
}

void test_lists_blocks(void **state)
{
    (void)state;
    each_list(check_blocks);
}

static size_t place_of(const list *l, uint32_t target)
{
    size_t low = 0, high = l->docs.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->docs.p[middle] < target)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void check_seeks(const model *m, const qn_segment *seg, size_t t)
{
    qn_error err = {0};
    const list *l = &m->lists[t];
    qn_rng rng = {t};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (uint32_t most = 2; most < DOCS; most *= 7) {
        qn_postings p;
        open_list(seg, t, most % 2 ? 0 : QN_POSTINGS_LAZY, &arena, &p);
        for (uint32_t target = 0;;) {
            target += (uint32_t)(qn_rng_next(&rng) % most) + DOCS / 3000;
            size_t at = place_of(l, target);
            T_CALL(qn_postings_seek(&p, target, &err), &err);
            T_EQ_I(p.doc, at < l->docs.n ? l->docs.p[at] : QN_DOC_END);
            if (p.doc == QN_DOC_END) break;
            uint32_t freq = 0;
            T_CALL(qn_postings_freq(&p, &freq, &err), &err);
            T_EQ_I(freq, l->freqs.p[at]);
            const uint32_t *positions = NULL;
            size_t n = 0;
            T_CALL(qn_postings_positions(&p, &positions, &n, &err), &err);
            T_EQ_I(n, freq);
            for (size_t i = 1; i < n; i++) T_EQ_I(positions[i], positions[0] + i);
            target = p.doc;
        }
    }
    qn_arena_deinit(&arena);
}

void test_lists_seek(void **state)
{
    (void)state;
    each_list(check_seeks);
}

static void check_bits(const model *m, const qn_segment *seg, size_t t)
{
    qn_error err = {0};
    const list *l = &m->lists[t];
    static const uint32_t widths[] = {64, 1000, 4096, 70000};
    static uint64_t bits[70000 / 64 + 2];
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        qn_postings p;
        size_t at = 0;
        open_list(seg, t, QN_POSTINGS_LAZY, NULL, &p);
        for (uint32_t base = 0; base < DOCS; base += widths[w]) {
            uint32_t limit = base + widths[w];
            memset(bits, 0, sizeof bits);
            T_CALL(qn_postings_or_bits(&p, base, limit, bits, &err), &err);
            for (uint32_t doc = base; doc < limit; doc++) {
                bool has = at < l->docs.n && l->docs.p[at] == doc;
                at += has;
                T_EQ_I(qn_bitset_has(bits, doc - base), has);
            }
            T_EQ_I(qn_bitset_has(bits, widths[w]), false);
            T_EQ_I(p.doc, at < l->docs.n ? l->docs.p[at] : QN_DOC_END);
        }
    }
}

void test_lists_bits(void **state)
{
    (void)state;
    each_list(check_bits);
}

/* ---- bounds -------------------------------------------------------------------------- */

static float best_between(const model *m, size_t t, const qn_bm25_term *s,
                          uint32_t base, uint32_t limit)
{
    const list *l = &m->lists[t];
    float best = 0;
    for (size_t i = place_of(l, base); i < l->docs.n && l->docs.p[i] < limit; i++) {
        float score = qn_bm25_score(s, (float)l->freqs.p[i], m->norms[l->docs.p[i]]);
        if (score > best) best = score;
    }
    return best;
}

/* Never below a score; and near it, or they would be worth nothing. */
static void check_bounds(const model *m, const qn_segment *seg, size_t t)
{
    qn_error err = {0};
    qn_rng rng = {t};
    static const double lengths[] = {1, 30, 1000};
    double bounds = 0, scores = 0;
    for (size_t a = 0; a < sizeof lengths / sizeof *lengths; a++) {
        qn_bm25_field field;
        qn_bm25_term s = scorer(&field, lengths[a]);
        qn_postings p;
        open_list(seg, t, QN_POSTINGS_LAZY, NULL, &p);
        for (int run = 0; run < 60 && p.doc != QN_DOC_END; run++) {
            uint32_t base = p.doc + (uint32_t)(qn_rng_next(&rng) % 20000);
            uint32_t limit =
                base + (uint32_t)(qn_rng_next(&rng) % (run % 2 ? 300 : DOCS));
            float best = best_between(m, t, &s, base, limit);
            float bound = qn_postings_bound_between(&p, base, limit, &s);
            T_OK(bound >= best);
            bounds += (double)bound;
            scores += (double)best;
            qn_postings_range block, super;
            qn_postings_block_ahead(&p, base, &block);
            qn_postings_super_ahead(&p, base, &super);
            size_t at = place_of(&m->lists[t], base);
            T_EQ_I(block.last == QN_DOC_END, at == m->lists[t].docs.n);
            if (block.last == QN_DOC_END) continue;
            T_OK(block.last >= base && super.last >= block.last);
            float in_block = best_between(m, t, &s, base, block.last + 1);
            T_OK(qn_postings_range_score(&block, &s) >= in_block);
            T_OK(qn_postings_range_score(&super, &s) >=
                 best_between(m, t, &s, base, super.last + 1));
            if (run % 4 == 0) T_CALL(qn_postings_seek(&p, p.doc + 700, &err), &err);
        }
    }
    if (m->lists[t].docs.n > DOCS / 10) T_OK(bounds < scores * 1.15);
}

void test_lists_bounds(void **state)
{
    (void)state;
    each_list(check_bounds);
}

/* ---- the best documents ---------------------------------------------------------------- */

typedef struct scored {
    float score;
    uint32_t doc;
} scored;

static int by_rank(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static void rank_all(const model *m, size_t t, const qn_bm25_term *s, scored *out)
{
    const list *l = &m->lists[t];
    for (size_t i = 0; i < l->docs.n; i++)
        out[i] =
            (scored){qn_bm25_score(s, (float)l->freqs.p[i], m->norms[l->docs.p[i]]),
                     l->docs.p[i]};
    qsort(out, l->docs.n, sizeof *out, by_rank);
}

/* By the rule of postings.h. */
static bool is_exact(const qn_postings_top *top, const qn_bm25_term *s, scored last)
{
    for (size_t i = 0; i < top->left_out_n; i++) {
        const qn_postings_entry *e = &top->left_out[i];
        float most = e->freq == UINT32_MAX ? s->weight
                                           : qn_bm25_score(s, (float)e->freq, e->norm);
        scored x = {most, e->doc};
        if (by_rank(&last, &x) >= 0) return false;
    }
    return true;
}

/* Where the rule says exact, the k best are those of the whole list; and it says so for
 * the ten best under statistics like the segment's own. */
static void check_best(const model *m, const qn_segment *seg, size_t t)
{
    qn_error err = {0};
    static const double lengths[] = {0.5, 20, 40, 60, 500, 100000};
    static scored all[DOCS], some[2048];
    static const size_t counts[] = {1, 10, 100, 1000};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_postings p;
    qn_postings_top top;
    open_list(seg, t, 0, NULL, &p);
    T_CALL(qn_postings_best(&p, &arena, &top, &err), &err);
    T_EQ_I(top.n > 0, p.doc_count >= 1024);
    for (size_t a = 0; a < sizeof lengths / sizeof *lengths && top.n > 0; a++) {
        qn_bm25_field field;
        qn_bm25_term s = scorer(&field, lengths[a]);
        rank_all(m, t, &s, all);
        for (size_t i = 0; i < top.n; i++)
            some[i] = (scored){
                qn_bm25_score(&s, (float)top.entries[i].freq, top.entries[i].norm),
                top.entries[i].doc};
        qsort(some, top.n, sizeof *some, by_rank);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            size_t k = counts[c];
            if (k > top.n) continue;
            bool exact = is_exact(&top, &s, some[k - 1]);
            for (size_t i = 0; exact && i < k; i++) {
                T_EQ_I(some[i].doc, all[i].doc);
                T_EQ_I(qn_float_bits(some[i].score), qn_float_bits(all[i].score));
            }
            if (lengths[a] >= 20 && lengths[a] <= 60 && k <= 10) T_OK(exact);
        }
    }
    qn_arena_deinit(&arena);
}

void test_lists_best(void **state)
{
    (void)state;
    each_list(check_best);
}

/* ---- a segment that was written wrong ---------------------------------------------------- */

/* The segment again with one byte of one block changed, under right checksums. */
static qn_segment *with_byte(const qn_segment *seg, uint32_t kind, size_t at,
                             uint8_t byte)
{
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    qn_segment *out = NULL;
    const qn_blockfile *f = qn_segment_file(seg);
    T_CALL(qn_blockfile_writer_create(a, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &w,
                                      &err),
           &err);
    for (size_t i = 0; i < qn_blockfile_count(f); i++) {
        uint32_t k = 0, id = 0;
        uint64_t offset = 0, size = 0;
        qn_slice s;
        qn_blockfile_entry(f, i, &k, &id, &offset, &size);
        T_CALL(qn_blockfile_block(f, k, id, &s, &err), &err);
        qn_blockfile_begin(w, k, id);
        if (k == kind) {
            qn_blockfile_write(w, s.p, at);
            qn_blockfile_write(w, &byte, 1);
            qn_blockfile_write(w, s.p + at + 1, s.n - at - 1);
        } else {
            qn_blockfile_write(w, s.p, s.n);
        }
        T_CALL(qn_blockfile_end(w, &err), &err);
    }
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    size_t n = 0;
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    T_CALL(qn_blockfile_open_memory(a, bytes, n, true, "wrong", QN_SEGMENT_MAGIC,
                                    QN_SEGMENT_VERSION, &file, &err),
           &err);
    T_CALL(qn_segment_open(a, file, &out, &err), &err);
    return out;
}

/* Places in the one list of 2000 documents: docs/formats/segment.md. */
enum { LIST_DOCS = 2000, LIST_BLOCKS = 16, AT_PAIRS = 1, AT_ENTRIES = 13 + 4 * 16 };

static const struct {
    const char *name, *text;
    uint32_t kind;
    int at; /* < 0: from the block's end */
    int by;
} wrong_rows[] = {
    {"bound of the list", "bounds", QN_BLOCK_POSTINGS, AT_PAIRS, -1},
    {"bound of a block", "bounds", QN_BLOCK_POSTINGS, AT_ENTRIES + 2, -1},
    {"a best document", "best documents", QN_BLOCK_POSTINGS, -2, 1},
    {"length of document", "bounds", QN_BLOCK_NORMS, 1990, -4},
    {"sum of frequencies", "add up", QN_BLOCK_SEGMENT, 64 + 24, 1},
};

void test_lists_check(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_segment_builder *b = t_builder();
    for (uint32_t doc = 0; doc < LIST_DOCS; doc++) {
        t_begin(b, doc);
        for (uint32_t i = 0; i < 1 + doc % 7; i++) t_term(b, "t", i);
        for (uint32_t i = 0; i < 20; i++) t_term(b, "z", 10 + i);
    }
    qn_segment *seg = t_image(b);
    T_CALL(qn_segment_check(seg, &err), &err);
    for (size_t i = 0; i < sizeof wrong_rows / sizeof *wrong_rows; i++) {
        T_ROW(wrong_rows[i].name);
        uint32_t id = wrong_rows[i].kind == QN_BLOCK_SEGMENT ? 0 : t_text.id;
        qn_slice s;
        qn_term term;
        T_CALL(
            qn_blockfile_block(qn_segment_file(seg), wrong_rows[i].kind, id, &s, &err),
            &err);
        T_CALL(qn_segment_term(seg, t_text.id, QN_SLICE_LIT("t"), &term, &err), &err);
        size_t end =
            wrong_rows[i].kind == QN_BLOCK_POSTINGS ? (size_t)term.postings_size : s.n;
        size_t at = wrong_rows[i].at < 0 ? end - (size_t)-wrong_rows[i].at
                                         : (size_t)wrong_rows[i].at;
        qn_segment *wrong = with_byte(seg, wrong_rows[i].kind, at,
                                      (uint8_t)(s.p[at] + wrong_rows[i].by));
        T_EQ_I(qn_segment_check(wrong, &err), QN_ECORRUPT);
        if (strstr(err.text, wrong_rows[i].text) == NULL) T_FAIL("%s", err.text);
        qn_segment_close(wrong);
    }
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}
