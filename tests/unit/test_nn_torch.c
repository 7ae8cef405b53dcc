/* SPDX-License-Identifier: Apache-2.0 */
/* Files of PyTorch, weights in several files: what is in them, what is refused and by
 * which words. tests/golden/nn/torch is made by tests/oracle/nn_make_torch.py. */
#include "test_nn.h"

#include "../qn_test.h"

#include "base/bits.h"
#include "io/file.h"
#include "io/json.h"
#include "io/zip.h"
#include "nn/import/pickle.h"
#include "nn/import/torch_file.h"
#include "nn/import/weights.h"

static const char *golden(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/tests/golden/nn/%s", QN_SOURCE_DIR, name);
    return path;
}

/* ---- what is in them -------------------------------------------------------- */

static void check_tensor(const qn_weights *w, const qn_json *want)
{
    char name[64];
    float values[64];
    (void)snprintf(name, sizeof name, "%.*s", QN_SLICE_ARG(want->key));
    const qn_weight *t = qn_weights_find(w, name);
    T_OK(t != NULL);
    const qn_json *shape = qn_json_get(want, "shape");
    T_EQ_I(t->rank, shape->count);
    uint32_t r = 0;
    for (const qn_json *it = qn_json_items(shape); it != NULL; it = it->next)
        T_EQ_I(t->shape[r++], it->integer);
    qn_error err = {0};
    if (strcmp(name, "ids") == 0) {
        T_EQ_I(t->dtype, QN_WEIGHT_OTHER);
        T_EQ_I(qn_weights_to_f32(w, t, values, &err), QN_EMODEL);
        return;
    }
    T_CALL(qn_weights_to_f32(w, t, values, &err), &err);
    size_t i = 0;
    for (const qn_json *it = qn_json_items(qn_json_get(want, "values")); it != NULL;
         it = it->next)
        T_OK(values[i++] == (float)it->number);
    T_EQ_I(i, t->count);
}

static void test_contents(void **state)
{
    (void)state;
    static const char *const files[] = {"torch/state.bin", "torch/script.pt"};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *want = nn_cases(&arena, "torch/state");
    for (size_t i = 0; i < 2; i++) {
        T_ROW(files[i]);
        qn_weights *w = NULL;
        qn_error err = {0};
        T_CALL(qn_weights_open_file(qn_alloc_heap(), golden(files[i]), &w, &err), &err);
        T_EQ_I(qn_weights_count(w), want->count);
        for (const qn_json *it = qn_json_items(want); it != NULL; it = it->next)
            check_tensor(w, it);
        T_OK(qn_weights_find(w, "model") == NULL);
        qn_weights_close(w);
    }
    qn_arena_deinit(&arena);
}

/* Columns, every second value, f64: the same numbers in rows of f32. */
static void test_strides(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t rows, columns;
        float values[6];
    } rows[] = {
        {"columns", 3, 2, {0, 3, 1, 4, 2, 5}},
        {"gaps", 3, 2, {0, 2, 4, 6, 8, 10}},
        {"corner", 2, 2, {6, 10, 7, 11}},
        {"double", 1, 3, {0.1f, -2.5f, 1e-20f}},
    };
    qn_weights *w = NULL;
    qn_error err = {0};
    T_CALL(qn_weights_open_file(qn_alloc_heap(), golden("torch/strides.bin"), &w, &err),
           &err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const qn_weight *t = qn_weights_find(w, rows[i].name);
        float values[6];
        T_OK(t != NULL && t->count == rows[i].rows * rows[i].columns);
        T_CALL(qn_weights_to_f32(w, t, values, &err), &err);
        T_EQ_I(t->shape[0], rows[i].rows);
        T_EQ_I(memcmp(values, rows[i].values, t->count * sizeof *values), 0);
    }
    T_ROW("whole numbers in columns");
    T_EQ_I(qn_weights_to_f32(w, qn_weights_find(w, "ids"), NULL, &err), QN_EMODEL);
    qn_weights_close(w);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_status st;
        const char *says;
    } rows[] = {
        {"legacy.bin", QN_EUNSUPPORTED, "before version 1.6"},
        {"system.bin", QN_EUNSUPPORTED, "\"posix.system\" is not allowed"},
        {"eval.bin", QN_EUNSUPPORTED, "eval\" is not allowed"},
        {"getattr.bin", QN_EUNSUPPORTED, "getattr\" is not allowed"},
        {"module.bin", QN_EUNSUPPORTED, "\"torch.nn.modules.linear.Linear\""},
        {"quantised.bin", QN_EUNSUPPORTED, "\"torch._utils._rebuild_qtensor\""},
        {"complex.bin", QN_EUNSUPPORTED, "\"torch.ComplexFloatStorage\""},
        {"packed.pt", QN_EUNSUPPORTED, "__torch__.torch.classes.quantized"},
        {"frozen.pt", QN_EMODEL, "frozen"},
        {"empty.bin", QN_EMODEL, "no tensors"},
        {"beyond.bin", QN_EMODEL, "tensor \"w\": goes past the end"},
        {"expanded.bin", QN_EMODEL, "tensor \"w\": its strides"},
        {"compressed.bin", QN_EUNSUPPORTED, "data/0\" is compressed"},
        {"pickled.bin", QN_EUNSUPPORTED, "data.pkl\" is compressed"},
        {"big.bin", QN_EUNSUPPORTED, "byteorder"},
        {"short.bin", QN_EMODEL, "storage has another size"},
        {"twice.bin", QN_EMODEL, "several data.pkl"},
        {"outside.bin", QN_EMODEL, "plain/../../x\" has a bad name"},
        {"laughs.bin", QN_ELIMIT, "too many"},
        {"itself.bin", QN_ELIMIT, "too deep"},
        {"state.json", QN_EMODEL, "no zip"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        char name[64];
        (void)snprintf(name, sizeof name, "torch/%s", rows[i].name);
        qn_weights *w = NULL;
        qn_error err = {0};
        qn_status st = qn_weights_open_file(qn_alloc_heap(), golden(name), &w, &err);
        if (st != rows[i].st) T_FAIL("status %d: %s", st, err.text);
        if (strstr(err.text, rows[i].says) == NULL) T_FAIL("it says: %s", err.text);
        T_OK(w == NULL && err.file[0] != '\0');
    }
    T_ROW("not a number");
    qn_weights *w = NULL;
    qn_error err = {0};
    float values[2];
    T_CALL(qn_weights_open_file(qn_alloc_heap(), golden("torch/nan.bin"), &w, &err),
           &err);
    T_EQ_I(qn_weights_to_f32(w, qn_weights_find(w, "w"), values, &err), QN_EMODEL);
    T_EQ_S(err.text, "tensor \"w\": value 1 is not finite");
    qn_weights_close(w);
}

/* ---- pickles ---------------------------------------------------------------- */

static void test_pickles(void **state)
{
    (void)state;
#define P(bytes)                                                                       \
    {                                                                                  \
        bytes, sizeof(bytes) - 1                                                       \
    }
    static const struct {
        const char *name;
        struct {
            const char *p;
            size_t n;
        } text;
        qn_status st;
        const char *says;
    } rows[] = {
        {"None", P("N."), QN_OK, ""},
        {"protocol 5 with a frame", P("\x80\x05\x95\x02\0\0\0\0\0\0\0N."), QN_OK, ""},
        {"no stop", P("N"), QN_EMODEL, "cut short"},
        {"nothing", P(""), QN_EMODEL, "cut short"},
        {"stop without a value", P("."), QN_EMODEL, "wrong stack"},
        {"two values", P("NN."), QN_EMODEL, "wrong stack"},
        {"an open mark", P("(N."), QN_EMODEL, "wrong stack"},
        {"protocol 6", P("\x80\x06N."), QN_EMODEL, "protocol"},
        {"a frame past the end", P("\x95\x03\0\0\0\0\0\0\0N."), QN_EMODEL, "frame"},
        {"an instance", P("(iposix\nsystem\n."), QN_EUNSUPPORTED, "opcode 'i'"},
        {"an object", P("(o."), QN_EUNSUPPORTED, "opcode 'o'"},
        {"an extension", P("\x82\x01."), QN_EUNSUPPORTED, "opcode 0x82"},
        {"a buffer", P("\x97."), QN_EUNSUPPORTED, "opcode 0x97"},
        {"keywords", P("\x92."), QN_EUNSUPPORTED, "opcode 0x92"},
        {"a name", P("cposix\nsystem\n."), QN_EUNSUPPORTED, "\"posix.system\""},
        {"a name by the stack", P("\x8c\x02os\x8c\x06system\x93."), QN_EUNSUPPORTED,
         "\"os.system\""},
        {"a dotted name", P("ccollections\nOrderedDict.__init__\n."), QN_EUNSUPPORTED,
         "OrderedDict.__init__"},
        {"a name across the dot", P("ctorch\n_utils._rebuild_tensor_v2\n."), QN_OK, ""},
        {"a name by numbers", P("K\1K\2\x93."), QN_EMODEL, "no string"},
        {"a storage is called", P("ctorch\nFloatStorage\n)R."), QN_EUNSUPPORTED,
         "\"torch.FloatStorage\""},
        {"an object of a storage", P("ctorch\nFloatStorage\n)\x81."), QN_EUNSUPPORTED,
         "\"torch.FloatStorage\""},
        {"a call of a number", P("K\1)R."), QN_EMODEL, "no name"},
        {"a tensor of nothing", P("ctorch._utils\n_rebuild_tensor_v2\n)R."), QN_EMODEL,
         "wrong arguments"},
        {"no such storage", P("K\1Q."), QN_EMODEL, "persistent id"},
        {"memo never set", P("h\7."), QN_EMODEL, "never set"},
        {"memo index", P("Nr\xff\xff\xff\x7f."), QN_EMODEL, "too large"},
        {"memo of nothing", P("q\0."), QN_EMODEL, "remember"},
        {"a key without a value", P("}(Nu."), QN_EMODEL, "without a value"},
        {"items into a number", P("K\1(NNu."), QN_EMODEL, "no dictionary"},
        {"items into nothing", P("(NNu."), QN_EMODEL, "to put items into"},
        {"append to a dictionary", P("}Na."), QN_EMODEL, "no list"},
        {"below the mark", P("]](Na."), QN_EMODEL, "to put items into"},
        {"a tuple of what is not there", P("N\x86."), QN_EMODEL, "empty"},
        {"tuple without a mark", P("Nt."), QN_EMODEL, "no mark"},
        {"state of a number", P("K\1}b."), QN_EMODEL, "no object"},
        {"state twice", P("c__torch__\nA\n)\x81}b}b."), QN_EMODEL, "no object"},
        {"a string past the end",
         P("X\xff\xff\xff\xff"
           "a."),
         QN_EMODEL, "cut short"},
        {"a long of 9 bytes",
         P("\x8a\x09"
           "123456789."),
         QN_EMODEL, "64 bits"},
        {"a name without end", P("cposix"), QN_EMODEL, "cut short"},
    };
#undef P
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 1 << 20);
        qn_slice text = {rows[i].text.p, rows[i].text.n};
        const qn_pickle *v = NULL;
        qn_error err = {0};
        qn_status st = qn_pickle_parse(&arena, text, "x", &v, &err);
        if (st != rows[i].st) T_FAIL("status %d: %s", st, err.text);
        if (strstr(err.text, rows[i].says) == NULL) T_FAIL("it says: %s", err.text);
        qn_arena_deinit(&arena);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t n;
        int64_t want;
    } rows[] = {
        {"one byte", "K\xff.", 3, 255},
        {"two bytes", "M\xff\xff.", 4, 65535},
        {"four bytes", "J\xfe\xff\xff\xff.", 6, -2},
        {"long", "\x8a\x01\x80.", 4, -128},
        {"long, empty", "\x8a\x00.", 3, 0},
        {"long, eight bytes", "\x8a\x08\0\0\0\0\0\0\0\x80.", 11, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 1 << 20);
        const qn_pickle *v = NULL;
        qn_error err = {0};
        T_CALL(
            qn_pickle_parse(&arena, (qn_slice){rows[i].text, rows[i].n}, "x", &v, &err),
            &err);
        T_OK(v->kind == QN_PICKLE_INT && v->integer == rows[i].want);
        qn_arena_deinit(&arena);
    }
}

/* ---- archives --------------------------------------------------------------- */

static qn_buf read_golden(const char *name)
{
    qn_buf b;
    qn_buf_init(&b, qn_alloc_heap());
    qn_error err = {0};
    T_CALL(qn_file_read(golden(name), 1 << 24, &b, &err), &err);
    return b;
}

/* Every byte of the directory and the headers changed, every length cut: an error or an
 * archive whose entries lie inside. */
static void test_zip_damage(void **state)
{
    (void)state;
    T_ROW("damage");
    qn_buf file = read_golden("torch/short.bin");
    size_t opened = 0, refused = 0;
    for (size_t at = 0; at < file.n; at++) {
        for (int bit = 0; bit < 8; bit++) {
            file.p[at] = (char)(file.p[at] ^ (1 << bit));
            qn_zip *z = NULL;
            qn_error err = {0};
            qn_status st =
                qn_zip_open(qn_alloc_heap(), qn_buf_slice(&file), "x", &z, &err);
            for (size_t i = 0; st == QN_OK && i < qn_zip_count(z); i++) {
                qn_slice d = qn_zip_at(z, i)->data;
                T_OK(d.p >= file.p && d.p + d.n <= file.p + file.n);
            }
            if (st == QN_OK)
                opened++;
            else
                refused++;
            if (st != QN_OK) T_OK(err.text[0] != '\0');
            qn_zip_close(z);
            file.p[at] = (char)(file.p[at] ^ (1 << bit));
        }
    }
    T_OK(opened > 0 && refused > 300);
    for (size_t n = 0; n < file.n; n++) {
        qn_zip *z = NULL;
        qn_error err = {0};
        T_OK(qn_zip_open(qn_alloc_heap(), (qn_slice){file.p, n}, "x", &z, &err) !=
             QN_OK);
    }
    qn_buf_deinit(&file);
}

/* ---- parts ------------------------------------------------------------------ */

/* A safetensors file of F32 scalars: tensor "a" is 0, "b" is 1, ... */
static void write_part(const char *path, const char *names)
{
    qn_buf header, file;
    qn_buf_init(&header, qn_alloc_heap());
    qn_buf_init(&file, qn_alloc_heap());
    size_t n = strlen(names);
    qn_buf_add_char(&header, '{');
    for (size_t i = 0; i < n; i++)
        qn_buf_printf(&header,
                      "%s\"%c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":"
                      "[%zu,%zu]}",
                      i == 0 ? "" : ",", names[i], 4 * i, 4 * i + 4);
    qn_buf_add_char(&header, '}');
    uint8_t size[8];
    qn_store64(size, header.n);
    qn_buf_add(&file, size, 8);
    qn_buf_add(&file, header.p, header.n);
    for (size_t i = 0; i < n; i++) {
        uint8_t v[4];
        qn_store32(v, qn_float_bits((float)(names[i] - 'a')));
        qn_buf_add(&file, v, 4);
    }
    qn_error err = {0};
    T_CALL(qn_file_replace(path, file.p, file.n, &err), &err);
    qn_buf_deinit(&file);
    qn_buf_deinit(&header);
}

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *name, *index;
        qn_status st;
        const char *says;
    } rows[] = {
        {"right",
         "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\","
         "\"c\":\"2.safetensors\"},\"metadata\":{}}",
         QN_OK, ""},
        {"in another part",
         "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\","
         "\"c\":\"2.safetensors\"}}",
         QN_EMODEL, "\"b\" is in another part"},
        {"in no part",
         "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\","
         "\"c\":\"2.safetensors\",\"d\":\"2.safetensors\"}}",
         QN_EMODEL, "\"d\" is in none"},
        {"not in the map",
         "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}}",
         QN_EMODEL, "tensor \"b\": not in the weight_map"},
        {"a name twice",
         "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\","
         "\"c\":\"2.safetensors\",\"a\":\"1.safetensors\"}}",
         QN_EMODEL, "\"a\" is there twice"},
        {"the same tensor in two parts",
         "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\","
         "\"c\":\"3.safetensors\"}}",
         QN_EMODEL, "tensor \"b\": in another part too"},
        {"a part that is not there", "{\"weight_map\":{\"a\":\"9.safetensors\"}}",
         QN_ENOTFOUND, ""},
        {"a way out", "{\"weight_map\":{\"a\":\"../1.safetensors\"}}", QN_EMODEL,
         "\"a\" does not name a file of this folder"},
        {"a path", "{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}", QN_EMODEL,
         "does not name a file"},
        {"another suffix", "{\"weight_map\":{\"a\":\"1.bin\"}}", QN_EMODEL,
         "does not name a file"},
        {"a number", "{\"weight_map\":{\"a\":1}}", QN_EMODEL, "does not name a file"},
        {"an empty map", "{\"weight_map\":{}}", QN_EMODEL, "no parts"},
        {"no map", "{}", QN_EMODEL, "weight_map is no object"},
        {"a list", "[]", QN_EMODEL, "weight_map is no object"},
        {"broken", "{\"weight_map\":", QN_EMODEL, ""},
    };
    qn_error err = {0};
    char folder[512], path[600];
    (void)snprintf(folder, sizeof folder, "%s", nn_path("parts"));
    T_CALL(qn_dir_create(folder, &err), &err);
    (void)snprintf(path, sizeof path, "%s/1.safetensors", folder);
    write_part(path, "ab");
    (void)snprintf(path, sizeof path, "%s/2.safetensors", folder);
    write_part(path, "c");
    (void)snprintf(path, sizeof path, "%s/3.safetensors", folder);
    write_part(path, "bc");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        (void)snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
        T_CALL(qn_file_replace(path, rows[i].index, strlen(rows[i].index), &err), &err);
        qn_weights *w = NULL;
        err = (qn_error){0};
        qn_status st = qn_weights_open(qn_alloc_heap(), folder, &w, &err);
        if (st != rows[i].st) T_FAIL("status %d: %s", st, err.text);
        if (strstr(err.text, rows[i].says) == NULL) T_FAIL("it says: %s", err.text);
        if (st != QN_OK) continue;
        float v = 0.0f;
        T_EQ_I(qn_weights_count(w), 3);
        const qn_weight *c = qn_weights_find(w, "c");
        T_CALL(qn_weights_to_f32(w, c, &v, &err), &err);
        T_OK(v == 2.0f && strstr(qn_weights_file(w, c), "/2.safetensors") != NULL);
        qn_weights_close(w);
    }
    T_ROW("a folder without weights");
    (void)snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    T_CALL(qn_file_remove(path, &err), &err);
    qn_weights *w = NULL;
    T_EQ_I(qn_weights_open(qn_alloc_heap(), folder, &w, &err), QN_ENOTFOUND);
    T_OK(strstr(err.text, "pytorch_model.bin") != NULL);
    T_ROW("a pointer of Git LFS");
    const char *pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\n";
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    T_CALL(qn_file_replace(path, pointer, strlen(pointer), &err), &err);
    T_EQ_I(qn_weights_open(qn_alloc_heap(), folder, &w, &err), QN_EMODEL);
    T_OK(strstr(err.text, "git lfs pull") != NULL);
}

/* Fails the nth allocation of reading until all goes well. */
static void test_torch_out_of_memory(void **state)
{
    (void)state;
    T_ROW("out of memory");
    long n = 1;
    for (;; n++) {
        qn_alloc a = {0};
        atomic_store(&a.fail_countdown, n);
        qn_error err = {0};
        qn_weights *w = NULL;
        qn_status st = qn_weights_open_file(&a, golden("torch/script.pt"), &w, &err);
        qn_weights_close(w);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
        if (atomic_load(&a.fail_countdown) > 0) {
            T_CALL(st, &err);
            break;
        }
        T_EQ_I(st, QN_ENOMEM);
    }
    T_OK(n > 20);
}

int test_nn_torch(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents), cmocka_unit_test(test_strides),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_pickles),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_zip_damage),
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_torch_out_of_memory),
    };
    return cmocka_run_group_tests_name("nn torch", tests, NULL, NULL);
}
