/* SPDX-License-Identifier: Apache-2.0 */
/* Every bit of small files of every kind, flipped one at a time: segments, manifest, log,
 * lock, model, backup. Whoever opens the folder and reads everything gets the answers of the sound
 * files, or errors that say which file is damaged; never another answer.
 *
 * The one exception is the last group of the log: damage there cannot be told from the
 * torn tail of a crash, so the table may be as it was before it.
 *
 *     fault_flips [STRIDE [FILE]]
 *
 * STRIDE 0: every bit (of the model, whose checksums are the same code, and of the room
 * behind the log's end: some). Else one bit in so many, at places that move. FILE: only
 * files with this in their names. */
#include "folders.h"
#include "ledger.h"

#include "../qn_test.h"

#include "base/log.h"
#include "io/io_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define TABLE "t"
#define MODEL "tiny"
#define RESTORED "restored"
#define LARGE "large"

enum { FILES_MAX = 32, CALLS_MAX = 64, ANSWER_MAX = 16 * 1024, LARGE_DOCS = 400 };

typedef struct answers {
    char *texts[CALLS_MAX]; /* NULL: the call failed, saying so */
    int count;
} answers;

typedef struct file {
    char path[FOLDER_PATH];
    unsigned char *bytes;
    size_t n;
} file;

typedef enum subject {
    OF_TABLE,
    OF_MODEL,
    OF_LARGE, /* a table with blocks of more than one checksum */
    OF_BACKUP,
    SUBJECTS,
} subject;

typedef struct sound {
    char dir[FOLDER_PATH];
    file files[FILES_MAX];
    int count;
    /* Of each subject: before and after the last operation of the log. */
    answers before[SUBJECTS], after[SUBJECTS];
    size_t log_before, log_end; /* where that begins and ends */
} sound;

static subject subject_of(const char *path)
{
    if (strstr(path, "/backup/") != NULL) return OF_BACKUP;
    if (strstr(path, "/tables/" LARGE) != NULL) return OF_LARGE;
    return strstr(path, "/models/") != NULL ? OF_MODEL : OF_TABLE;
}

/* Where we are, for a crash to tell. */
static char place[FOLDER_PATH + 64];

static void tell_place(int signal_number)
{
    (void)!write(STDERR_FILENO, place, strlen(place));
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* ---- asking --------------------------------------------------------------------------- */

static void keep(answers *a, qn_status st, const qn_error *err, const char *text)
{
    T_OK(a->count < CALLS_MAX);
    if (st != QN_OK && st != QN_ENODOC) {
        if (st != QN_ECORRUPT && st != QN_EVERSION)
            T_FAIL("%s: not damage but %d: %s", place, st, err->text);
        if (err->text[0] == '\0') T_FAIL("%s: an error without a word", place);
        a->texts[a->count++] = NULL;
        return;
    }
    size_t n = strlen(text);
    char *copy = malloc(n + 1);
    T_OK(copy != NULL);
    memcpy(copy, text, n + 1);
    a->texts[a->count++] = copy;
}

static void keep_get(answers *a, quern *q, const char *table, int id)
{
    char name[16], text[ANSWER_MAX] = "";
    qn_error err;
    quern_document doc;
    (void)snprintf(name, sizeof name, "d%d", id);
    qn_status st = quern_get(q, table, name, strlen(name), &doc, &err);
    if (st == QN_OK) {
        (void)snprintf(text, sizeof text, "%lld %lld %s", (long long)doc.seq_no,
                       (long long)doc.version, doc.source);
        quern_document_free(&doc);
    }
    keep(a, st, &err, text);
}

static const struct search {
    quern_query_kind kind;
    const char *text;
} searches[] = {
    {QUERN_QUERY_DSL, "{\"query\":{\"match\":{\"w\":\"w1 w2 w5\"}},\"size\":50}"},
    {QUERN_QUERY_DSL, "{\"query\":{\"match_phrase\":{\"w\":\"w3 grind w3\"}}}"},
    {QUERN_QUERY_DSL, "{\"query\":{\"terms\":{\"k\":[\"k1\",\"k4\"]}},\"size\":50}"},
    {QUERN_QUERY_DSL,
     "{\"query\":{\"range\":{\"n\":{\"gte\":12}}},\"sort\":[{\"n\":\"desc\"}],\"size\":"
     "50}"},
    {QUERN_QUERY_DSL,
     "{\"query\":{\"bool\":{\"filter\":[{\"term\":{\"b\":true}},{\"range\":{\"d\":{"
     "\"gte\":100002}}}],\"must\":[{\"match\":{\"w\":\"grind\"}}]}},\"size\":50}"},
    {QUERN_QUERY_DSL,
     "{\"query\":{\"match_all\":{}},\"sort\":[{\"f\":\"asc\"}],\"size\":50}"},
    {QUERN_QUERY_HA3, "query=v:'3,3&n=50'&&config=hit:50"},
    {QUERN_QUERY_HA3, "query=w:'grind'&&config=hit:50&&filter=n>11&&sort=-n"},
};

static void keep_search(answers *a, quern *q, const char *table, const struct search *s)
{
    static char text[ANSWER_MAX];
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_error err;
    size_t n = 0;
    o.kind = s->kind;
    o.query = s->text;
    o.query_size = strlen(s->text);
    qn_status st = quern_search(q, table, &o, &reply, &err);
    text[0] = '\0';
    /* What a search left out, naming it, is reported as well. */
    for (size_t i = 0; st == QN_OK && i < reply->warning_count; i++)
        if (reply->warnings[i].code == QN_ECORRUPT) {
            st = QN_ECORRUPT;
            err = reply->warnings[i];
            break;
        }
    if (st == QN_OK) {
        n = (size_t)snprintf(text, sizeof text,
                             "%llu:", (unsigned long long)reply->total);
        for (size_t i = 0; i < reply->hit_count && n < sizeof text; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, " %s %.9g %s",
                                  reply->hits[i].id, reply->hits[i].score,
                                  reply->hits[i].source);
    }
    quern_reply_free(reply);
    keep(a, st, &err, text);
}

static void ask_table(answers *a, quern *q, const char *table)
{
    char text[32];
    qn_error err;
    uint64_t count = 0;
    char *json = NULL;
    size_t size = 0;
    qn_status st = quern_count_all(q, table, &count, &err);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    keep(a, st, &err, text);
    for (int i = 0; i < 16; i++) keep_get(a, q, table, i);
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++)
        keep_search(a, q, table, &searches[i]);
    st = quern_table_check(q, table, &json, &size, &err);
    keep(a, st, &err, "");
    quern_free(json);
}

/* The large table: a word of every document, some documents. */
static void ask_large(answers *a, quern *q)
{
    static const struct search all = {
        QUERN_QUERY_DSL, "{\"query\":{\"match\":{\"w\":\"stone\"}},\"size\":100,"
                         "\"_source\":false,\"sort\":[{\"n\":\"desc\"}]}"};
    keep_search(a, q, LARGE, &all);
    for (int i = 0; i < LARGE_DOCS; i += 37) keep_get(a, q, LARGE, i);
}

/* A restored table has an id of its own: this is of the table alone. */
static void ask_show(answers *a, quern *q)
{
    qn_error err;
    char *json = NULL;
    size_t size = 0;
    qn_status st = quern_table_show(q, TABLE, &json, &size, &err);
    keep(a, st, &err, json == NULL ? "" : json);
    quern_free(json);
}

/* The backup as a table of another folder; "restore" is one more answer in the end. */
static void ask_backup(answers *a, quern *q, const char *dir)
{
    char path[FOLDER_PATH + 16];
    qn_error err, ignored;
    (void)snprintf(path, sizeof path, "%s/backup", dir);
    qn_status st = quern_table_restore(q, path, RESTORED, NULL, NULL, &err);
    if (st == QN_OK) {
        ask_table(a, q, RESTORED);
        T_EQ_I(quern_table_drop(q, RESTORED, &ignored), QN_OK);
    }
    keep(a, st, &err, "");
}

static void ask_model(answers *a, quern *q)
{
    char text[ANSWER_MAX] = "";
    qn_error err;
    float out[64] = {0};
    quern_text one = {"a stone mill", 12};
    quern_model_info info;
    qn_status st = quern_model_info_get(q, MODEL, &info, &err);
    size_t dims = st == QN_OK ? info.dims : 0;
    if (st == QN_OK && dims <= 64)
        st = quern_embed(q, MODEL, &one, 1, 0, NULL, out, dims, NULL, &err);
    for (size_t i = 0, n = 0; i < dims && dims <= 64; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%.9g ", (double)out[i]);
    keep(a, st, &err, text);
    keep(a, quern_model_verify(q, MODEL, &err), &err, "");
}

static void ask_all(const char *dir, subject about, answers *a)
{
    qn_error err;
    quern *q = NULL;
    quern_options o = QUERN_OPTIONS_INIT;
    memset(a, 0, sizeof *a);
    o.data_dir = dir;
    o.neural_threads = 1;
    if (quern_open(&o, &q, &err) != QN_OK) T_FAIL("%s: open: %s", place, err.text);
    if (about == OF_TABLE) {
        ask_table(a, q, TABLE);
        ask_show(a, q);
    } else if (about == OF_MODEL) {
        ask_model(a, q);
    } else if (about == OF_LARGE) {
        ask_large(a, q);
    } else {
        ask_backup(a, q, dir);
    }
    quern_close(q);
}

static void forget(answers *a)
{
    for (int i = 0; i < a->count; i++) free(a->texts[i]);
    a->count = 0;
}

/* Each answer is the sound one, or an error; *reported: some are. */
static bool agree(const answers *got, const answers *want, bool *reported)
{
    for (int i = 0; i < got->count; i++) {
        if (got->texts[i] == NULL)
            *reported = true;
        else if (strcmp(got->texts[i], want->texts[i]) != 0)
            return false;
    }
    return true;
}

/* ---- the sound folder -------------------------------------------------------------------
 */

static void write_doc(quern *q, quern_op_kind kind, int id, int n)
{
    char name[16], source[LEDGER_SOURCE_MAX];
    qn_error err;
    ledger_op noted = {kind, id, n, (id + n) % LEDGER_WORDS};
    ledger_op_source(&noted, source);
    (void)snprintf(name, sizeof name, "d%d", id);
    quern_op op = {.kind = kind,
                   .id = name,
                   .id_size = strlen(name),
                   .source = source,
                   .source_size = strlen(source),
                   .if_seq_no = QUERN_SEQ_NONE};
    quern_op_result r;
    T_CALL(quern_write(q, TABLE, &op, 1, NULL, &r, &err), &err);
    if (r.status != QN_OK) T_FAIL("%s: %s", name, r.error.text);
}

/* Sources that do not compress. */
static void make_large(quern *q)
{
    static char source[1024];
    qn_error err;
    char id[16];
    uint64_t z = 1;
    T_CALL(quern_table_create(q, LARGE, "{}", 2, &err), &err);
    for (int i = 0; i < LARGE_DOCS; i++) {
        int n = snprintf(source, sizeof source,
                         "{\"w\":\"stone x%d\",\"n\":%d,\"s\":\"", i % 50, i);
        for (int k = 0; k < 600; k++) {
            z = z * 6364136223846793005u + 1442695040888963407u;
            source[n++] = (char)('0' + (z >> 33) % 75);
            if (source[n - 1] == '\\') source[n - 1] = '~';
        }
        (void)snprintf(source + n, sizeof source - (size_t)n, "\"}");
        (void)snprintf(id, sizeof id, "d%d", i);
        quern_op op = {.kind = QUERN_OP_INDEX,
                       .id = id,
                       .id_size = strlen(id),
                       .source = source,
                       .source_size = strlen(source),
                       .if_seq_no = QUERN_SEQ_NONE};
        quern_op_result r;
        T_CALL(quern_write(q, LARGE, &op, 1, NULL, &r, &err), &err);
        if (r.status != QN_OK) T_FAIL("%s: %s", source, r.error.text);
    }
    T_CALL(quern_flush(q, LARGE, &err), &err);
}

static void add_file(void *ctx, const char *path)
{
    sound *s = ctx;
    T_OK(s->count < FILES_MAX);
    file *f = &s->files[s->count++];
    (void)snprintf(f->path, sizeof f->path, "%s", path);
    f->bytes = folder_read_file(path, &f->n);
}

static bool is_log(const char *path)
{
    return strstr(path, "/wal-") != NULL;
}

/* The end of what is not zero in the newest log file. */
static void see_log(void *ctx, const char *path)
{
    size_t n = 0;
    if (!is_log(path) || subject_of(path) != OF_TABLE) return;
    unsigned char *bytes = folder_read_file(path, &n);
    while (n > 0 && bytes[n - 1] == 0) n--;
    free(bytes);
    *(size_t *)ctx = n;
}

static void make_sound(sound *s)
{
    char work[FOLDER_PATH], copy[FOLDER_PATH];
    qn_error err;
    quern *q = NULL;
    quern_options o = QUERN_OPTIONS_INIT;
    folder_make(work);
    o.data_dir = work;
    o.neural_threads = 1;
    o.manual_merges = true; /* the same files every time */
    T_CALL(quern_open(&o, &q, &err), &err);
    T_CALL(quern_model_import(q, QN_SOURCE_DIR "/tests/golden/nn/tiny-embed", MODEL,
                              "int8", NULL, NULL, &err),
           &err);
    T_CALL(quern_table_create(q, TABLE, ledger_schema, strlen(ledger_schema), &err),
           &err);
    for (int i = 0; i < 8; i++) write_doc(q, QUERN_OP_INDEX, i, 10);
    T_CALL(quern_flush(q, TABLE, &err), &err);
    for (int i = 6; i < 11; i++) write_doc(q, QUERN_OP_INDEX, i, 12 + i);
    write_doc(q, QUERN_OP_DELETE, 2, 0);
    write_doc(q, QUERN_OP_UPDATE, 1, 30); /* written anew; the next ones in place */
    T_CALL(quern_flush(q, TABLE, &err), &err);
    write_doc(q, QUERN_OP_UPDATE, 3, 31);
    write_doc(q, QUERN_OP_UPDATE, 4, 32);
    T_CALL(quern_flush(q, TABLE, &err), &err);
    write_doc(q, QUERN_OP_INDEX, 11, 40);
    write_doc(q, QUERN_OP_DELETE, 7, 0);
    write_doc(q, QUERN_OP_UPDATE, 0, 50);
    make_large(q);
    folder_walk(work, see_log, &s->log_before);
    T_OK(snprintf(copy, sizeof copy, "%s-before", work) < (int)sizeof copy);
    folder_copy(work, copy);
    for (int i = 0; i < OF_BACKUP; i++) ask_all(copy, (subject)i, &s->before[i]);
    folder_remove(copy);
    write_doc(q, QUERN_OP_INDEX, 12, 60);
    char backup[FOLDER_PATH + 16];
    (void)snprintf(backup, sizeof backup, "%s/backup", work);
    T_CALL(quern_table_backup(q, TABLE, backup, NULL, NULL, &err), &err);
    T_OK(snprintf(s->dir, sizeof s->dir, "%s-copy", work) < (int)sizeof s->dir);
    folder_copy(work, s->dir);
    quern_close(q);
    folder_remove(work);
    folder_walk(s->dir, add_file, s);
    folder_walk(s->dir, see_log, &s->log_end);
    T_OK(s->log_before < s->log_end);
    for (int i = 0; i < SUBJECTS; i++) {
        answers *after = &s->after[i];
        ask_all(s->dir, (subject)i, after);
        for (int k = 0; k < after->count; k++) T_OK(after->texts[k] != NULL);
    }
    T_EQ_I(s->before[OF_TABLE].count, s->after[OF_TABLE].count);
}

static void drop_extra(void *ctx, const char *path)
{
    const sound *s = ctx;
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->files[i].path, path) == 0) return;
    T_EQ_I(unlink(path), 0);
}

/* Opening may have cut, rolled or swept files: all are put back. */
static void restore(const sound *s, subject about)
{
    folder_walk(s->dir, drop_extra, (void *)(uintptr_t)s);
    for (int i = 0; i < s->count; i++) {
        const file *f = &s->files[i];
        if (subject_of(f->path) == about) folder_write_file(f->path, f->bytes, f->n);
    }
}

/* ---- the flips ----------------------------------------------------------------------------
 */

static void flip(const sound *s, const file *f, size_t bit, long *harmless)
{
    answers got;
    subject about = subject_of(f->path + strlen(s->dir));
    bool reported = false;
    bool torn = about == OF_TABLE && is_log(f->path) && bit / 8 >= s->log_before;
    const answers *want = &s->after[about];
    (void)snprintf(place, sizeof place, "%s, byte %zu, bit %zu\n",
                   f->path + strlen(s->dir), bit / 8, bit % 8);
    f->bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    folder_write_file(f->path, f->bytes, f->n);
    f->bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    ask_all(s->dir, about, &got);
    /* A backup that is not taken gives one answer: that. */
    bool refused = about == OF_BACKUP && got.count == 1 && got.texts[0] == NULL;
    if (refused) reported = true;
    if (!refused && !agree(&got, want, &reported) &&
        !(torn && agree(&got, &s->before[about], &reported))) {
        for (int i = 0; i < got.count; i++)
            if (got.texts[i] != NULL && strcmp(got.texts[i], want->texts[i]) != 0)
                T_FAIL("%s answer %d is [%s], want [%s]", place, i, got.texts[i],
                       want->texts[i]);
    }
    *harmless += !reported;
    forget(&got);
    restore(s, about);
}

static long stride;
static const char *only = "";

/* Odd, so that all bits of a byte have their turn. */
static size_t step_of(const sound *s, const file *f, size_t bit)
{
    const char *name = f->path + strlen(s->dir);
    bool room = is_log(name) && bit / 8 > s->log_end + 64;
    size_t step = stride != 0 ? (size_t)stride : 1;
    /* A backup's files but its list are files of a table. */
    if (subject_of(name) == OF_BACKUP && strstr(name, "BACKUP") == NULL) step *= 9;
    if (room || subject_of(name) == OF_MODEL) step *= 65;
    if (subject_of(name) == OF_LARGE) step *= 2003;
    return step + (step % 2 == 0);
}

static void test_flips(void **state)
{
    (void)state;
    static sound s;
    T_ROW("making");
    make_sound(&s);
    for (int i = 0; i < SUBJECTS; i++) restore(&s, (subject)i);
    for (int i = 0; i < s.count; i++) {
        const file *f = &s.files[i];
        const char *name = f->path + strlen(s.dir);
        if (strstr(name, only) == NULL) continue;
        long flips = 0, harmless = 0;
        T_ROW(name);
        for (size_t bit = 0; bit < f->n * 8; flips++) {
            flip(&s, f, bit, &harmless);
            bit += step_of(&s, f, bit);
        }
        print_message("%s: %zu bytes, %ld bits flipped, %ld of them harmless\n", name,
                      f->n, flips, harmless);
    }
    for (int i = 0; i < s.count; i++) free(s.files[i].bytes);
    for (int i = 0; i < SUBJECTS; i++) {
        forget(&s.before[i]);
        forget(&s.after[i]);
    }
    folder_remove(s.dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flips)};
    if (argc > 1) stride = strtol(argv[1], NULL, 10);
    if (argc > 2) only = argv[2];
    (void)signal(SIGSEGV, tell_place);
    (void)signal(SIGBUS, tell_place);
    (void)signal(SIGABRT, tell_place);
    qn_io__fault.skip_sync = true;
    qn_log_set_level(QN_LOG_ERROR);
    return stride < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
