/* SPDX-License-Identifier: Apache-2.0 */
/* The whole reference lists: all stems of Lucene's PorterStemFilter, and the
 * vocabulary of BERT uncased. Skipped where the collections are not at hand. */
#include "../qn_test.h"

#include "text/porter.h"
#include "text/wordpiece.h"

#include <stdlib.h>
#include <zlib.h>

static const char *shared_path(const char *name, char path[512])
{
    const char *shared = getenv("QUERN_SHARED");
    if (shared == NULL) shared = QN_SOURCE_DIR "/../shared";
    (void)snprintf(path, 512, "%s/data/%s", shared, name);
    return path;
}

static void test_all_stems(void **state)
{
    (void)state;
    char path[512], line[512], word[512];
    gzFile f = gzopen(shared_path("golden-bm25/porter.tsv.gz", path), "rb");
    if (f == NULL) skip();
    size_t words = 0;
    while (gzgets(f, line, sizeof line) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *want = strchr(line, '\t');
        T_OK(want != NULL);
        *want++ = '\0';
        (void)snprintf(word, sizeof word, "%s", line);
        T_ROW(line);
        word[qn_porter_stem(word, strlen(word))] = '\0';
        T_EQ_S(word, want);
        words++;
    }
    (void)gzclose(f);
    T_OK(words > 97000);
}

static bool is_plain_word(qn_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) return false;
    }
    return true;
}

/* Every word of the vocabulary is its own longest piece. */
static void test_vocabulary(void **state)
{
    (void)state;
    char path[512], part[4096];
    FILE *f = fopen(shared_path("bert-uncased-tokenizer/vocab.txt", path), "rb");
    if (f == NULL) skip();
    qn_buf vocab;
    qn_buf_init(&vocab, qn_alloc_heap());
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        qn_buf_add(&vocab, part, n);
    (void)fclose(f);
    qn_error err = {0};
    qn_wordpiece *wp = NULL;
    T_CALL(qn_wordpiece_create(qn_alloc_heap(), qn_buf_slice(&vocab), &wp, &err), &err);
    T_EQ_I(qn_wordpiece_vocab_size(wp), 30522);
    T_EQ_I(qn_wordpiece_special(wp)->mask, 103);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_pieces pieces = {0};
    size_t words = 0;
    for (uint32_t id = 0; id < 30522; id++) {
        qn_slice piece = qn_wordpiece_piece(wp, id);
        if (!is_plain_word(piece)) continue;
        words++;
        (void)snprintf(part, sizeof part, "%.*s", QN_SLICE_ARG(piece));
        T_ROW(part);
        T_CALL(qn_wordpiece_encode(wp, piece, QN_TOKENIZE_PLAIN, &arena, &pieces, &err),
               &err);
        T_EQ_I(pieces.n, 1);
        T_EQ_I(pieces.ids[0], id);
    }
    T_OK(words > 20000);
    qn_arena_deinit(&arena);
    qn_wordpiece_destroy(wp);
    qn_buf_deinit(&vocab);
}

int main(void)
{
    char path[512];
    gzFile f = gzopen(shared_path("golden-bm25/porter.tsv.gz", path), "rb");
    if (f == NULL) return 77;
    (void)gzclose(f);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_stems),
        cmocka_unit_test(test_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
