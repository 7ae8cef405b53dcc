/* SPDX-License-Identifier: Apache-2.0 */
/* text_dump -- tokens of many texts, for comparison with other programs.
 *
 *     text_dump tokenizer wordpiece-uncased|spm-deberta|spm-xlmr|tokenizer.json FILE
 *               plain|specials
 *     text_dump analyze NAME
 *
 * Standard input: records of a 32-bit little-endian length and as many bytes. Output:
 * a line a record, "ID:START-END ..." or "START-END:TYPE:TERM ..." in bytes, "!" and the
 * error where one was refused. */
#include "base/bits.h"
#include "text/analyzer.h"
#include "text/tokenizer.h"

#include <stdio.h>

static const qn_tokenizer *tokenizer;
static const qn_analyzer *analyzer;
static qn_tokenize_flags flags;

static bool read_file(const char *path, qn_buf *to)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) return false;
    for (size_t n; (n = fread(qn_buf_reserve(to, 65536), 1, 65536, f)) > 0;) to->n += n;
    return fclose(f) == 0 && !to->failed;
}

static qn_status print_pieces(qn_slice text, qn_arena *arena, qn_error *err)
{
    qn_pieces pieces = {0};
    QN_TRY(qn_tokenizer_encode(tokenizer, text, flags, arena, &pieces, err));
    for (size_t i = 0; i < pieces.n; i++)
        (void)printf("%s%u:%u-%u", i > 0 ? " " : "", pieces.ids[i], pieces.start[i],
                     pieces.end[i]);
    return QN_OK;
}

static qn_status print_tokens(qn_slice text, qn_arena *arena, qn_error *err)
{
    qn_token_list list = {0};
    QN_TRY(qn_analyzer_run(analyzer, text, arena, &list, err));
    for (size_t i = 0; i < list.n; i++)
        (void)printf("%s%u-%u:%s:%.*s", i > 0 ? " " : "", list.p[i].start,
                     list.p[i].end, list.p[i].type, QN_SLICE_ARG(list.p[i].term));
    return QN_OK;
}

static int run_records(void)
{
    qn_buf record;
    qn_buf_init(&record, qn_alloc_heap());
    uint8_t head[4];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t n = qn_load32(head);
        qn_buf_reset(&record);
        if (qn_buf_reserve(&record, n + 1) == NULL) return 1;
        if (fread(record.p, 1, n, stdin) != n) return 1;
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_error err = {0};
        qn_slice text = {record.p, n};
        qn_status st = tokenizer != NULL ? print_pieces(text, &arena, &err)
                                         : print_tokens(text, &arena, &err);
        if (st != QN_OK) (void)printf("!%s", err.text);
        (void)putchar('\n');
        qn_arena_deinit(&arena);
    }
    qn_buf_deinit(&record);
    return 0;
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_tokenizer_form form;
    if (argc == 5 && strcmp(argv[1], "tokenizer") == 0 &&
        qn_tokenizer_form_parse(qn_slice_of(argv[2]), &form)) {
        qn_buf bytes;
        qn_tokenizer *made = NULL;
        qn_buf_init(&bytes, qn_alloc_heap());
        if (!read_file(argv[3], &bytes) ||
            qn_tokenizer_create(qn_alloc_heap(), form, qn_buf_slice(&bytes), &made,
                                &err) != QN_OK) {
            (void)fprintf(stderr, "text_dump: %s: %s\n", argv[3], err.text);
            return 1;
        }
        flags =
            strcmp(argv[4], "plain") == 0 ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS;
        tokenizer = made;
        return run_records();
    }
    if (argc == 3 && strcmp(argv[1], "analyze") == 0) {
        qn_analyzers *set = NULL;
        if (qn_analyzers_create(qn_alloc_heap(), &set, &err) != QN_OK ||
            qn_analyzer_find(set, qn_slice_of(argv[2]), &analyzer, &err) != QN_OK) {
            (void)fprintf(stderr, "text_dump: %s\n", err.text);
            return 1;
        }
        return run_records();
    }
    (void)fprintf(stderr, "usage: text_dump tokenizer FORM FILE plain|specials\n"
                          "       text_dump analyze NAME\n");
    return 2;
}
