/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers of every form against ids of Hugging Face `tokenizers` and SentencePiece
 * (written by tests/oracle/tokenizer_oracle.py), templates, and files that are refused. */
#include "../qn_test.h"

#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text_golden.h"

enum { LINE_MAX_BYTES = 1 << 16 };

static const char folder[] = QN_SOURCE_DIR "/tests/golden/text/tokenizers";

static qn_tokenizer *open_tokenizer(const char *form_name, const char *name)
{
    char path[512], part[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) T_FAIL("cannot open %s", path);
    qn_buf bytes;
    qn_buf_init(&bytes, qn_alloc_heap());
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        qn_buf_add(&bytes, part, n);
    (void)fclose(f);
    qn_tokenizer_form form;
    qn_tokenizer *t = NULL;
    qn_error err = {0};
    T_OK(qn_tokenizer_form_parse(qn_slice_of(form_name), &form));
    T_CALL(qn_tokenizer_create(qn_alloc_heap(), form, qn_buf_slice(&bytes), &t, &err),
           &err);
    qn_buf_deinit(&bytes);
    return t;
}

static void check_ids(const qn_tokenizer *t, const qn_pieces *got, qn_slice text,
                      const char *want)
{
    size_t i = 0;
    for (const char *p = want; *p != '\0'; i++) {
        char *end = NULL;
        unsigned long id = strtoul(p, &end, 10);
        T_OK(i < got->n);
        T_EQ_I(got->ids[i], id);
        p = *end == ' ' ? end + 1 : end;
    }
    T_EQ_I(got->n, i);
    for (i = 0; i < got->n; i++) {
        T_OK(got->start[i] <= got->end[i] && got->end[i] <= text.n);
        T_OK(qn_utf8_border(text, got->start[i]) && qn_utf8_border(text, got->end[i]));
        T_OK(qn_tokenizer_piece(t, got->ids[i]).p != NULL);
    }
}

/* Columns of a line; false when there are fewer. */
static bool cut_columns(char *line, char **columns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        columns[i] = line;
        if (line == NULL) return false;
        line = strchr(line, '\t');
        if (line != NULL) *line++ = '\0';
    }
    return true;
}

static void test_golden(void **state)
{
    (void)state;
    static char line[LINE_MAX_BYTES], file[64], name[120];
    char *column[5];
    qn_tokenizer *t = NULL;
    size_t lines = 0;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    (void)snprintf(line, sizeof line, "%s/tokenizers.tsv", folder);
    FILE *f = fopen(line, "r");
    if (f == NULL) T_FAIL("cannot open %s", line);
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') continue;
        T_OK(cut_columns(line, column, 5));
        if (strcmp(file, column[1]) != 0) {
            qn_tokenizer_destroy(t);
            t = open_tokenizer(column[0], column[1]);
            (void)snprintf(file, sizeof file, "%s", column[1]);
        }
        (void)snprintf(name, sizeof name, "%.30s %.10s: %.60s", file, column[2],
                       column[3]);
        T_ROW(name);
        qn_slice s = {column[3], golden_unescape(column[3])};
        qn_pieces pieces = {0};
        qn_error err = {0};
        bool plain = strcmp(column[2], "plain") == 0;
        T_CALL(qn_tokenizer_encode(t, s,
                                   plain ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS,
                                   &arena, &pieces, &err),
               &err);
        check_ids(t, &pieces, s, column[4]);
        qn_arena_reset(&arena);
        lines++;
    }
    T_OK(lines > 800);
    (void)fclose(f);
    qn_tokenizer_destroy(t);
    qn_arena_deinit(&arena);
}

/* How pairs are put together, by the file's own template. */
static void test_templates(void **state)
{
    (void)state;
    static const struct {
        const char *form, *file;
        size_t single, pair;
        const char *ids, *types; /* of the pair "a", "a"; x is the piece */
    } rows[] = {
        {"tokenizer.json", "byte-bpe.json", 2, 3, "2 x 3 x 3", "00011"},
        {"tokenizer.json", "roberta-like.json", 2, 4, "0 x 2 2 x 2", "000000"},
        {"tokenizer.json", "byte-bpe-nfc.json", 0, 0, "x x", "00"},
        {"spm-deberta", "spm-rules.model", 2, 3, "1 x 2 x 2", "00011"},
        {"spm-xlmr", "spm-rules.model", 2, 4, "0 x 2 2 x 2", "000000"},
    };
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].file);
        qn_error err = {0};
        qn_tokenizer *t = open_tokenizer(rows[i].form, rows[i].file);
        T_EQ_I(qn_tokenizer_extra(t, false), rows[i].single);
        T_EQ_I(qn_tokenizer_extra(t, true), rows[i].pair);
        qn_pieces a = {0};
        qn_encoding e;
        T_CALL(qn_tokenizer_encode(t, QN_SLICE_LIT("a"), QN_TOKENIZE_PLAIN, &arena, &a,
                                   &err),
               &err);
        T_EQ_I(a.n, 1);
        T_CALL(qn_tokenizer_join(t, &a, &a, 64, QN_TRUNCATE_NONE, &arena, &e, &err),
               &err);
        char ids[128] = "", types[32] = "";
        for (size_t k = 0; k < e.n; k++) {
            size_t n = strlen(ids);
            if (e.ids[k] == a.ids[0])
                (void)snprintf(ids + n, sizeof ids - n, "%sx", k > 0 ? " " : "");
            else
                (void)snprintf(ids + n, sizeof ids - n, "%s%u", k > 0 ? " " : "",
                               e.ids[k]);
            types[k] = (char)('0' + e.types[k]);
        }
        T_EQ_S(ids, rows[i].ids);
        T_EQ_S(types, rows[i].types);
        qn_tokenizer_destroy(t);
    }
    qn_arena_deinit(&arena);
}

#define WORDS "\"vocab\":{\"[UNK]\":0,\"a\":1,\"b\":2,\"ab\":3}"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *json, *says;
    } rows[] = {
        {"no object", "[]", "no object"},
        {"no model", "{}", "model.type"},
        {"word level", "{\"model\":{\"type\":\"WordLevel\"}}", "\"WordLevel\""},
        {"no vocabulary", "{\"model\":{\"type\":\"BPE\",\"merges\":[]}}",
         "model.vocab"},
        {"an id that is none",
         "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
         "model.vocab"},
        {"a merge of nothing",
         "{\"model\":{\"type\":\"BPE\"," WORDS ",\"merges\":[\"a c\"]}}",
         "model.merges"},
        {"a merge without a blank",
         "{\"model\":{\"type\":\"BPE\"," WORDS ",\"merges\":[\"ab\"]}}",
         "model.merges"},
        {"dropout",
         "{\"model\":{\"type\":\"BPE\",\"dropout\":0.1," WORDS ",\"merges\":[]}}",
         "model.dropout"},
        {"unk that is none",
         "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\"," WORDS ",\"merges\":[]}}",
         "model.unk_token"},
        {"unk_id out of range",
         "{\"model\":{\"type\":\"Unigram\",\"unk_id\":7,\"vocab\":[[\"a\",-1]]}}",
         "model.unk_id"},
        {"score that is none",
         "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",\"b\"]]}}",
         "model.vocab"},
        {"normalizer",
         "{\"normalizer\":{\"type\":\"Nmt\"},\"model\":{\"type\":\"BPE\"," WORDS
         ",\"merges\":[]}}",
         "\"Nmt\""},
        {"pre-tokenizer",
         "{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"},\"model\":{\"type\":"
         "\"BPE\"," WORDS ",\"merges\":[]}}",
         "\"UnicodeScripts\""},
        {"expression",
         "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"}},"
         "\"model\":{\"type\":\"BPE\"," WORDS ",\"merges\":[]}}",
         "cannot be used"},
        {"charsmap",
         "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"},"
         "\"model\":{\"type\":\"BPE\"," WORDS ",\"merges\":[]}}",
         "precompiled_charsmap"},
        {"template",
         "{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
         "\"SpecialToken"
         "\":{\"id\":\"[CLS]\",\"type_id\":0}}],\"special_tokens\":{}},\"model\":{"
         "\"type\":"
         "\"BPE\"," WORDS ",\"merges\":[]}}",
         "special_tokens"},
        {"added token out of range",
         "{\"added_tokens\":[{\"id\":-4,\"content\":\"x\"}],\"model\":{\"type\":"
         "\"BPE\"," WORDS ",\"merges\":[]}}",
         "added_tokens"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err = {0};
        qn_tokenizer *t = NULL;
        T_EQ_I(qn_tokenizer_create(qn_alloc_heap(), QN_TOKENIZER_JSON,
                                   qn_slice_of(rows[i].json), &t, &err),
               QN_EMODEL);
        T_OK(t == NULL);
        if (strstr(err.text, rows[i].says) == NULL)
            T_FAIL("\"%s\" does not say \"%s\"", err.text, rows[i].says);
    }
}

/* spm.model cut at every length, or with a byte changed: opened or refused, no more. */
static void test_damaged_spm(void **state)
{
    (void)state;
    char path[512];
    static char bytes[1 << 16];
    (void)snprintf(path, sizeof path, "%s/spm-rules.model", folder);
    FILE *f = fopen(path, "rb");
    if (f == NULL) T_FAIL("cannot open %s", path);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    T_OK(n > 1000 && n < sizeof bytes);
    for (size_t i = 0; i < n; i += 7) {
        qn_tokenizer *t = NULL;
        qn_error err = {0};
        qn_status st = qn_tokenizer_create(qn_alloc_heap(), QN_TOKENIZER_SPM_DEBERTA,
                                           (qn_slice){bytes, i}, &t, &err);
        T_OK((st == QN_OK) == (t != NULL));
        T_OK(st == QN_OK || err.text[0] != '\0');
        qn_tokenizer_destroy(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged_spm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
