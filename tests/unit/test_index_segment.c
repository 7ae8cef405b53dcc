/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"
#include "test_index.h"

#include <unistd.h>

void test_segment_empty(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_segment_builder *b = t_builder();
    T_EQ_I(qn_segment_builder_find(b, QN_SLICE_LIT("x")), QN_DOC_END);
    qn_segment *seg = t_image(b);
    uint32_t doc = 0;
    qn_slice id;
    qn_term term;
    T_EQ_I(qn_segment_doc_count(seg), 0);
    T_EQ_I(qn_segment_field_count(seg), 0);
    T_CALL(qn_segment_find(seg, QN_SLICE_LIT("x"), &doc, &err), &err);
    T_EQ_I(doc, QN_DOC_END);
    T_EQ_I(qn_segment_id(seg, 0, &id, &err), QN_EINVAL);
    T_CALL(qn_segment_term(seg, 1, QN_SLICE_LIT("x"), &term, &err), &err);
    T_EQ_I(term.doc_freq, 0);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
    qn_segment_close(NULL);
    qn_segment_builder_destroy(NULL);
}

/* Any bytes, the longest, and one that comes twice. */
void test_segment_ids(void **state)
{
    (void)state;
    qn_error err = {0};
    char longest[QN_SEGMENT_ID_MAX + 1];
    memset(longest, 'L', sizeof longest);
    qn_segment_builder *b = t_builder();
    uint32_t doc = 0;
    const qn_slice ids[] = {
        QN_SLICE_LIT("1"),
        QN_SLICE_LIT("\0\xFF"),
        {longest, QN_SEGMENT_ID_MAX},
        QN_SLICE_LIT("1"),
    };
    for (size_t i = 0; i < 4; i++) {
        T_CALL(qn_segment_builder_begin(b, ids[i], &doc, &err), &err);
        T_EQ_I(doc, i);
    }
    for (unsigned i = 0; i < 1000; i++) t_begin(b, i);
    T_EQ_I(qn_segment_builder_find(b, ids[0]), 3);
    T_EQ_I(qn_segment_builder_find(b, ids[1]), 1);
    T_EQ_I(qn_segment_builder_find(b, QN_SLICE_LIT("d999")), 1003);
    T_EQ_I(qn_segment_builder_find(b, QN_SLICE_LIT("d1000")), QN_DOC_END);

    qn_segment *seg = t_image(b);
    for (uint32_t i = 0; i < 4; i++) {
        qn_slice id;
        T_CALL(qn_segment_id(seg, i, &id, &err), &err);
        T_OK(qn_slice_eq(id, ids[i]));
        T_CALL(qn_segment_find(seg, ids[i], &doc, &err), &err);
        T_EQ_I(doc, i == 0 ? 3 : i);
    }
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%u", i);
        T_CALL(qn_segment_find(seg, qn_slice_of(name), &doc, &err), &err);
        T_EQ_I(doc, i + 4);
    }
    T_CALL(qn_segment_find(seg, QN_SLICE_LIT("d1000"), &doc, &err), &err);
    T_EQ_I(doc, QN_DOC_END);
    T_ROW("one byte past the limit, and none");
    T_EQ_I(qn_segment_builder_begin(b, (qn_slice){longest, sizeof longest}, &doc, &err),
           QN_EINVAL);
    T_EQ_I(qn_segment_builder_begin(b, QN_SLICE_LIT(""), &doc, &err), QN_EINVAL);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}

/* Document d's source: some without, some larger than a block. */
static qn_slice source_of(unsigned d, char *room, size_t size)
{
    if (d % 7 == 3) return QN_SLICE_LIT("");
    size_t n = d % 50 == 10 ? size : 20 + d * 37 % 400;
    for (size_t i = 0; i < n; i++) room[i] = (char)('a' + (i * i + d) % 26);
    return (qn_slice){room, n};
}

void test_segment_sources(void **state)
{
    (void)state;
    enum { DOCS = 300, BIG = 40000 };
    static char room[BIG];
    qn_error err = {0};
    qn_segment_builder *b = t_builder();
    for (unsigned d = 0; d < DOCS; d++) {
        t_begin(b, d);
        if (d % 7 == 3) continue; /* none at all */
        char extras[16];
        int n = snprintf(extras, sizeof extras, "seq%u", d);
        T_CALL(qn_segment_builder_set_source(b, source_of(d, room, BIG),
                                             (qn_slice){extras, (size_t)n}, &err),
               &err);
    }
    qn_segment *seg = t_image(b);
    qn_buf scratch;
    qn_buf_init(&scratch, qn_alloc_heap());
    for (unsigned i = 0; i < 2 * DOCS; i++) {
        unsigned d = i * 101 % DOCS;
        qn_slice source, extras, want = source_of(d, room, BIG);
        char name[32], text[16] = "";
        if (d % 7 != 3) snprintf(text, sizeof text, "seq%u", d);
        snprintf(name, sizeof name, "%s, document %u", i < DOCS ? "builder" : "image",
                 d);
        T_ROW(name);
        if (i < DOCS)
            T_CALL(qn_segment_builder_source(b, d, &scratch, &source, &extras, &err),
                   &err);
        else
            T_CALL(qn_segment_source(seg, d, &scratch, &source, &extras, &err), &err);
        T_OK(qn_slice_eq(source, want));
        T_OK(qn_slice_eq_str(extras, text));
        T_OK(scratch.n < BIG + 2 * 16384); /* one pack, not all of them */
    }
    qn_slice source;
    T_EQ_I(qn_segment_source(seg, DOCS, &scratch, &source, NULL, &err), QN_EINVAL);
    qn_buf_deinit(&scratch);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}

/* ---- dictionary ---------------------------------------------------------------------- */

static void walk_from(const qn_segment *seg, const char *from, unsigned first,
                      unsigned count)
{
    qn_error err = {0};
    qn_terms t;
    T_CALL(qn_terms_init(&t, seg, t_text.id, qn_alloc_heap(), qn_slice_of(from), &err),
           &err);
    for (unsigned i = first; i < count; i++) {
        char want[16];
        snprintf(want, sizeof want, "t%04u", i);
        T_OK(!t.at_end && qn_slice_eq_str(t.bytes, want));
        T_EQ_I(t.term.doc_freq, 1 + (i % 3 == 0));
        T_CALL(qn_terms_next(&t, &err), &err);
    }
    T_OK(t.at_end);
    T_CALL(qn_terms_next(&t, &err), &err);
    T_OK(t.at_end);
    qn_terms_deinit(&t);
}

void test_segment_terms(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 15, 16, 17, 32, 1000};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        char row[32];
        snprintf(row, sizeof row, "%u terms", counts[c]);
        T_ROW(row);
        qn_error err = {0};
        qn_segment_builder *b = t_builder();
        for (unsigned pass = 0; pass < 2; pass++) {
            t_begin(b, pass);
            for (unsigned i = 0; i < counts[c]; i++) {
                char term[16];
                snprintf(term, sizeof term, "t%04u", (i * 7919) % counts[c]);
                bool twice = (i * 7919) % counts[c] % 3 == 0;
                if (pass == 0 || twice) t_term(b, term, i);
            }
        }
        qn_segment *seg = t_image(b);
        T_EQ_I(qn_segment_field_of(seg, t_text.id)->term_count, counts[c]);
        walk_from(seg, "", 0, counts[c]);
        walk_from(seg, "t", 0, counts[c]);
        walk_from(seg, "t0000", 0, counts[c]);
        walk_from(seg, "t00000", 1, counts[c]);
        walk_from(seg, "t0014", 14, counts[c]);
        walk_from(seg, "t0014a", 15, counts[c]);
        walk_from(seg, "t0016", 16, counts[c]);
        walk_from(seg, "u", counts[c], counts[c]);
        static const char *const absent[] = {"",       "a",     "t", "t00",   "t00000",
                                             "t0014a", "t9999", "u", "t0001 "};
        for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
            qn_term term;
            T_CALL(qn_segment_term(seg, t_text.id, qn_slice_of(absent[i]), &term, &err),
                   &err);
            T_EQ_I(term.doc_freq, 0);
        }
        for (unsigned i = 0; i < counts[c]; i++) {
            char bytes[16];
            qn_term term;
            snprintf(bytes, sizeof bytes, "t%04u", i);
            T_CALL(qn_segment_term(seg, t_text.id, qn_slice_of(bytes), &term, &err),
                   &err);
            T_EQ_I(term.doc_freq, 1 + (i % 3 == 0));
        }
        qn_segment_close(seg);
        qn_segment_builder_destroy(b);
    }
}

void test_segment_refusals(void **state)
{
    (void)state;
    static char longest[QN_SEGMENT_TERM_MAX + 1];
    memset(longest, 'x', sizeof longest);
    qn_error err = {0};
    qn_segment_builder *b = t_builder();
    T_ROW("no document");
    T_EQ_I(qn_segment_builder_term(b, &t_text, QN_SLICE_LIT("a"), 0, &err), QN_EINVAL);
    t_begin(b, 0);
    T_ROW("longest term, and one past it");
    T_CALL(qn_segment_builder_term(b, &t_text, (qn_slice){longest, QN_SEGMENT_TERM_MAX},
                                   0, &err),
           &err);
    T_EQ_I(qn_segment_builder_term(b, &t_text, (qn_slice){longest, sizeof longest}, 0,
                                   &err),
           QN_ELIMIT);
    T_EQ_I(qn_segment_builder_keyword(b, &t_tag, (qn_slice){longest, sizeof longest},
                                      &err),
           QN_ELIMIT);
    T_EQ_I(qn_segment_builder_term(b, &t_text, QN_SLICE_LIT(""), 0, &err), QN_ELIMIT);
    T_ROW("positions fall");
    t_term(b, "a", 5);
    T_EQ_I(qn_segment_builder_term(b, &t_text, QN_SLICE_LIT("b"), 4, &err), QN_EINVAL);
    T_ROW("wrong type");
    T_EQ_I(qn_segment_builder_i64(b, &t_price, 1, &err), QN_EINVAL);
    T_EQ_I(qn_segment_builder_f64(b, &t_year, 1, &err), QN_EINVAL);
    T_EQ_I(qn_segment_builder_keyword(b, &t_text, QN_SLICE_LIT("a"), &err), QN_EINVAL);
    T_EQ_I(qn_segment_builder_term(b, &t_tag, QN_SLICE_LIT("a"), 0, &err), QN_EINVAL);
    T_ROW("two sources");
    T_CALL(qn_segment_builder_set_source(b, QN_SLICE_LIT("{}"), QN_SLICE_LIT(""), &err),
           &err);
    T_EQ_I(qn_segment_builder_set_source(b, QN_SLICE_LIT("{}"), QN_SLICE_LIT(""), &err),
           QN_EINVAL);
    T_ROW("after all that it still writes");
    qn_segment *seg = t_image(b);
    T_EQ_I(qn_segment_field_of(seg, t_text.id)->term_count, 2);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}

/* ---- writing more than once ----------------------------------------------------------- */

static void add_mixed(qn_segment_builder *b, unsigned d)
{
    qn_error err = {0};
    char word[16];
    t_begin(b, d);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(word, sizeof word, "w%u", (d + i * i) % 11);
        t_term(b, word, i);
    }
    snprintf(word, sizeof word, "tag%u", d % 4);
    T_CALL(qn_segment_builder_keyword(b, &t_tag, qn_slice_of(word), &err), &err);
    if (d % 3 != 0) T_CALL(qn_segment_builder_i64(b, &t_year, 1990 + d, &err), &err);
    T_CALL(qn_segment_builder_f64(b, &t_price, d * 0.5, &err), &err);
    snprintf(word, sizeof word, "{\"d\":%u}", d);
    T_CALL(qn_segment_builder_set_source(b, qn_slice_of(word), QN_SLICE_LIT("x"), &err),
           &err);
}

static char *dump(const qn_segment *seg)
{
    qn_error err = {0};
    qn_buf out;
    size_t n = 0;
    qn_buf_init(&out, qn_alloc_heap());
    T_CALL(qn_segment_dump(seg, 100, &out, &err), &err);
    return qn_buf_take(&out, &n);
}

/* A builder that wrote after every document ends with the same segment as one that
 * wrote once. */
void test_segment_refresh(void **state)
{
    (void)state;
    enum { DOCS = 40 };
    qn_segment_builder *often = t_builder(), *once = t_builder();
    qn_segment *last = NULL;
    for (unsigned d = 0; d < DOCS; d++) {
        add_mixed(often, d);
        add_mixed(once, d);
        qn_segment_close(last);
        last = t_image(often);
        T_EQ_I(qn_segment_doc_count(last), d + 1);
    }
    qn_segment *seg = t_image(once);
    char *a = dump(seg), *b = dump(last);
    T_EQ_S(a, b);
    T_EQ_I(qn_blockfile_size(qn_segment_file(seg)),
           qn_blockfile_size(qn_segment_file(last)));
    T_OK(qn_segment_builder_bytes(once) > 1000);
    qn_delete(qn_alloc_heap(), a);
    qn_delete(qn_alloc_heap(), b);
    qn_segment_close(seg);
    qn_segment_close(last);
    qn_segment_builder_destroy(often);
    qn_segment_builder_destroy(once);
}

/* Version 0 was never released. */
void test_segment_version(void **state)
{
    (void)state;
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    qn_segment *seg = NULL;
    qn_segment_builder *b = t_builder();
    size_t n = 0;
    T_CALL(qn_blockfile_writer_create(a, NULL, QN_SEGMENT_MAGIC, 0, &w, &err), &err);
    T_CALL(qn_segment_builder_write(b, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    T_CALL(qn_blockfile_open_memory(a, bytes, n, true, "old", QN_SEGMENT_MAGIC,
                                    QN_SEGMENT_VERSION, &file, &err),
           &err);
    T_EQ_I(qn_segment_open(a, file, &seg, &err), QN_EVERSION);
    T_OK(seg == NULL && strstr(err.text, "old") != NULL &&
         strstr(err.text, "ingest again") != NULL);
    qn_blockfile_close(file);
    qn_segment_builder_destroy(b);
}

void test_segment_file(void **state)
{
    (void)state;
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/test_index.%ld.seg", QN_BUILD_DIR, (long)getpid());
    qn_segment_builder *b = t_builder();
    for (unsigned d = 0; d < 20; d++) add_mixed(b, d);
    qn_blockfile_writer *w = NULL;
    T_CALL(qn_blockfile_writer_create(a, path, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &w,
                                      &err),
           &err);
    T_CALL(qn_segment_builder_write(b, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    qn_blockfile_writer_destroy(w);

    qn_blockfile *file = NULL;
    qn_segment *seg = NULL, *image = t_image(b);
    T_CALL(
        qn_blockfile_open(a, path, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &file, &err),
        &err);
    T_CALL(qn_segment_open(a, file, &seg, &err), &err);
    T_CALL(qn_blockfile_verify(qn_segment_file(seg), &err), &err);
    char *x = dump(seg), *y = dump(image);
    T_EQ_S(strchr(x, '\n'), strchr(y, '\n')); /* but for the name */
    qn_delete(a, x);
    qn_delete(a, y);
    qn_segment_close(seg);
    qn_segment_close(image);
    qn_segment_builder_destroy(b);
    T_CALL(qn_file_remove(path, &err), &err);
}

/* ---- damage ------------------------------------------------------------------------- */

/* Reads everything there is; the first failure. */
static qn_status read_all(const qn_segment *seg, qn_buf *scratch, qn_error *err)
{
    QN_TRY(qn_segment_dump(seg, 1000, scratch, err));
    for (uint32_t d = 0; d < qn_segment_doc_count(seg); d++) {
        qn_slice id, source, extras;
        uint32_t found = 0;
        QN_TRY(qn_segment_id(seg, d, &id, err));
        QN_TRY(qn_segment_find(seg, id, &found, err));
        QN_TRY(qn_segment_source(seg, d, scratch, &source, &extras, err));
    }
    for (size_t i = 0; i < qn_segment_field_count(seg); i++) {
        const uint8_t *norms = NULL;
        QN_TRY(qn_segment_norms(seg, qn_segment_field_at(seg, i)->id, &norms, err));
    }
    return QN_OK;
}

/* Every bit of a small segment flipped in turn: found when it is opened or read, and
 * named with file and place. */
void test_segment_bit_flips(void **state)
{
    (void)state;
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_segment_builder *b = t_builder();
    for (unsigned d = 0; d < 3; d++) add_mixed(b, d);
    qn_blockfile_writer *w = NULL;
    T_CALL(qn_blockfile_writer_create(a, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &w,
                                      &err),
           &err);
    T_CALL(qn_segment_builder_write(b, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    size_t n = 0;
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    qn_buf scratch;
    qn_buf_init(&scratch, a);
    for (size_t i = 0; i <= n; i++) { /* the last turn flips nothing */
        char name[64];
        snprintf(name, sizeof name, "byte %zu of %zu", i, n);
        T_ROW(name);
        uint8_t none = 0, bit = (uint8_t)(1u << (i % 8)),
                *at = i < n ? bytes + i : &none;
        *at ^= bit;
        qn_blockfile *file = NULL;
        qn_segment *seg = NULL;
        err = (qn_error){0};
        qn_status st =
            qn_blockfile_open_memory(a, bytes, n, false, "flipped", QN_SEGMENT_MAGIC,
                                     QN_SEGMENT_VERSION, &file, &err);
        if (st == QN_OK) {
            st = qn_segment_open(a, file, &seg, &err);
            if (st != QN_OK) qn_blockfile_close(file);
        }
        if (st == QN_OK) st = read_all(seg, &scratch, &err);
        qn_segment_close(seg);
        *at ^= bit;
        if (i == n) {
            T_CALL(st, &err);
            break;
        }
        T_OK(st == QN_ECORRUPT || st == QN_EVERSION);
        T_EQ_S(err.file, "flipped");
    }
    qn_buf_deinit(&scratch);
    qn_delete_aligned(a, bytes);
    qn_segment_builder_destroy(b);
}

/* ---- memory -------------------------------------------------------------------------- */

static qn_status build_some(qn_alloc *a, qn_error *err)
{
    qn_segment_builder *b = NULL;
    qn_segment *seg = NULL;
    qn_status st = qn_segment_builder_create(a, 1, &b, err);
    for (unsigned d = 0; st == QN_OK && d < 3; d++) {
        uint32_t doc = 0;
        char id[2] = {(char)('a' + d), '\0'};
        st = qn_segment_builder_begin(b, qn_slice_of(id), &doc, err);
        for (uint32_t i = 0; st == QN_OK && i < 20; i++)
            st = qn_segment_builder_term(b, &t_text, QN_SLICE_LIT("word"), i, err);
        if (st == QN_OK)
            st = qn_segment_builder_keyword(b, &t_tag, QN_SLICE_LIT("k"), err);
        if (st == QN_OK) st = qn_segment_builder_i64(b, &t_year, d, err);
        if (st == QN_OK)
            st = qn_segment_builder_set_source(b, QN_SLICE_LIT("{}"), QN_SLICE_LIT(""),
                                               err);
    }
    if (st == QN_OK) st = t_try_image(a, b, &seg, err);
    if (st == QN_OK) {
        qn_buf scratch;
        qn_buf_init(&scratch, a);
        st = read_all(seg, &scratch, err);
        if (st == QN_ECORRUPT && scratch.failed) st = QN_ENOMEM;
        qn_buf_deinit(&scratch);
    }
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
    return st;
}

/* Each allocation in turn fails: an error, no crash, no leak. */
void test_segment_no_memory(void **state)
{
    (void)state;
    for (long nth = 1;; nth++) {
        char name[32];
        snprintf(name, sizeof name, "allocation %ld", nth);
        T_ROW(name);
        qn_alloc a = {.fail_countdown = nth};
        qn_error err = {0};
        qn_status st = build_some(&a, &err);
        T_EQ_I(a.live_bytes, 0);
        if (st == QN_OK) {
            T_OK(nth > 20);
            break;
        }
        T_EQ_I(st, QN_ENOMEM);
    }
}

void test_segment_dump(void **state)
{
    (void)state;
    qn_segment_builder *b = t_builder();
    for (unsigned d = 0; d < 2; d++) add_mixed(b, d);
    qn_segment *seg = t_image(b);
    char *text = dump(seg);
    static const char *const want =
        "doc 0 \"d0\"\n"
        "doc 1 \"d1\"\n"
        "field 1 text docs=2 terms=8 df=10 ttf=10\n"
        "  \"w0\" df=1 ttf=1 0:0\n"
        "  \"w1\" df=2 ttf=2 0:1 1:0\n"
        "  \"w10\" df=1 ttf=1 1:3\n"
        "  \"w2\" df=1 ttf=1 1:1\n"
        "  \"w4\" df=1 ttf=1 0:2\n"
        "  \"w5\" df=2 ttf=2 0:4 1:2\n"
        "  \"w6\" df=1 ttf=1 1:4\n"
        "  \"w9\" df=1 ttf=1 0:3\n"
        "field 2 keyword docs=2 terms=2 df=2 ttf=2\n"
        "  \"tag0\" df=1 ttf=1 0\n"
        "  \"tag1\" df=1 ttf=1 1\n"
        "  column values=2 bits=1 distinct=2\n"
        "field 3 integer docs=0 terms=0 df=0 ttf=0\n"
        "  column values=1 bits=0 missing min=1991 max=1991\n"
        "field 4 float docs=0 terms=0 df=0 ttf=0\n"
        "  column values=2 bits=1 min=0 max=0.5\n";
    T_OK(strncmp(text, "segment image docs=2 bytes=", 27) == 0);
    T_EQ_S(strchr(text, '\n') + 1, want);
    qn_delete(qn_alloc_heap(), text);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}
