/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that mean harm: each ends with an error that says what it was, having used no
 * more fuel, memory and time than it was given. */
#include "cava_test.h"

#include "base/clock.h"

static const struct {
    const char *name, *members, *body, *want;
} rows[] = {
    {"endless for", "", "for (;;) { }", "out of fuel"},
    {"endless while", "", "while (true) ;", "out of fuel"},
    {"endless do", "", "int i = 0; do { i++; } while (i != -1 || true);",
     "out of fuel"},
    {"endless by continue", "",
     "for (int i = 0; i < 10; ) { if (i < 20) continue; i++; }", "out of fuel"},
    {"nested loops", "",
     "long s = 0; for (int i = 0; i < 100000; i++) for (int j = 0; j < 100000; j++) s "
     "+= j;",
     "out of fuel"},
    {"recursion", "static int g(int n) { return g(n + 1) + 1; }", "g(0);",
     "nested too deep"},
    {"recursion by two",
     "static int g(int n) { return h(n) + 1; } static int h(int n) { return g(n) + 1; "
     "}",
     "g(0);", "nested too deep"},
    {"wide recursion",
     "static int g(int n) { if (n == 0) return 0; return g(n - 1) + g(n - 1); }",
     "g(400);", "out of fuel"},
    {"recursion through a constructor", "static int g() { new K(); return 1; }", "g();",
     "nested too deep"},
    {"giant array", "", "double[] a = new double[2147483647];", "out of memory"},
    {"many arrays", "", "for (;;) { long[] a = new long[100000]; }", "out of memory"},
    {"many objects", "",
     "L first = null; for (;;) { L next = new L(); next.tail = first; first = next; }",
     "out of"},
    {"array of arrays", "",
     "long[][] a = new long[1000000][]; for (int i = 0; i < a.length; i++) a[i] = new "
     "long[1000000];",
     "out of memory"},
    {"negative array", "", "int n = -2147483648; byte[] a = new byte[n];",
     "an array of -2147483648 items"},
    {"string bomb", "",
     "byte[] b = new byte[8000000]; for (;;) { CString s = new CString(b, 0, "
     "b.length); }",
     "out of memory"},
    {"split bomb", "",
     "byte[] b = new byte[1000000]; for (int i = 0; i < b.length; i++) b[i] = 44; "
     "CString s = new CString(b, 0, b.length); for (;;) { CString[] p = "
     "s.split(\",\"); }",
     "out of memory"},
    {"search bomb", "",
     "byte[] b = new byte[2000000]; CString s = new CString(b, 0, b.length); CString t "
     "= new CString(b, 0, 1000000); for (;;) { int i = s.indexOf(t, 1); }",
     "out of fuel"},
    {"index over the end", "", "int[] a = new int[4]; a[4] = 1;",
     "index 4 out of an array of 4 items"},
    {"index below", "", "int[] a = new int[4]; int i = a[-1];",
     "index -1 out of an array of 4 items"},
    {"index wraps", "", "int[] a = new int[4]; int i = 2147483647; i += 2; a[i] = 1;",
     "index -2147483647 out of an array"},
    {"bytes over the end", "",
     "byte[] b = new byte[4]; CString s = new CString(b, 2, 2147483647);",
     "2147483647 bytes from 2"},
    {"bytes by wrapping", "",
     "byte[] b = new byte[4]; CString s = new CString(b, 2147483647, 2147483647);",
     "bytes from 2147483647"},
    {"substring over the end", "", "CString s = \"abc\".substring(2, 2147483647);",
     "bytes 2 to 2147483647"},
    {"substring backwards", "", "CString s = \"abc\".substring(2, 1);", "bytes 2 to 1"},
    {"byteAt", "", "int b = \"abc\".byteAt(-1);", "byte -1 of a string of 3"},
    {"getChars over the end", "",
     "byte[] b = new byte[2]; \"abcdef\".getChars(0, 6, b, 2147483647);",
     "into an array of 2"},
    {"multi-value", "",
     "ha3.MInt64 m = ha3.MInt64.create((uint)2); m.set((uint)-1, 5L);",
     "index 4294967295"},
    {"giant multi-value", "", "ha3.MInt64 m = ha3.MInt64.create((uint)-1);", "out of"},
    {"division", "", "int z = 0; int a = 1 / z;", "division by zero"},
    {"remainder", "", "ulong z = (ulong)0; ulong a = (ulong)1 % z;",
     "division by zero"},
    {"null object", "", "L l = null; l.tail = l;", "null"},
    {"null string", "", "CString s = null; int n = s.length();", "null"},
    {"null argument", "", "boolean b = \"a\".startsWith(null);", "null"},
    {"host without a host", "", "ha3.KVMapApi k = null; CString s = k.getValue(\"a\");",
     "null"},
};

static const char classes[] = "class K { K k; K() { k = new K(); } }\n"
                              "class L { long[] room = new long[100]; L tail; }\n";

static void test_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char source[2048];
        qn_error err = {0};
        qn_cava_slot value;
        T_ROW(rows[i].name);
        (void)snprintf(source, sizeof source,
                       "%sclass T { %s static int run() { %s\n return 0; } }", classes,
                       rows[i].members, rows[i].body);
        int64_t began = qn_clock_cpu_ns();
        T_EQ_I(cava_run(source, "static int run()", NULL, &value, &err), QN_EPLUGIN);
        if (strstr(err.text, rows[i].want) == NULL)
            T_FAIL("got %s, want %s", err.text, rows[i].want);
        T_OK(strncmp(err.text, "t.cava:", 7) == 0);
        /* Ten times what the slowest takes in a build for debugging. */
        T_OK(qn_clock_cpu_ns() - began < INT64_C(20000000000));
    }
}

/* Limits at the limit and one past it. */
static void test_budget(void **state)
{
    (void)state;
    static const char loop[] =
        "class T { static int run() { for (int i = 0; i < 1000; i++) ; return 7; } }";
    static const char room[] =
        "class T { static int run() { byte[] a = new byte[1008]; return a.length; } }";
    qn_cava_slot value = {.i = 0};
    qn_error err = {0};
    T_ROW("fuel");
    qn_cava_limits limits = {.fuel = 1001}; /* the call, and 1000 rounds */
    T_CALL(cava_run(loop, "static int run()", &limits, &value, &err), &err);
    limits.fuel--;
    T_EQ_I(cava_run(loop, "static int run()", &limits, &value, &err), QN_EPLUGIN);
    T_ROW("heap");
    limits = (qn_cava_limits){.heap_bytes = 1024};
    T_CALL(cava_run(room, "static int run()", &limits, &value, &err), &err);
    limits.heap_bytes--;
    T_EQ_I(cava_run(room, "static int run()", &limits, &value, &err), QN_EPLUGIN);
    T_ROW("deadline");
    const qn_deadline past = {.at_ns = 1}; /* long ago */
    limits = (qn_cava_limits){.deadline = &past};
    T_EQ_I(cava_run("class T { static int run() { for (;;) ; } }", "static int run()",
                    &limits, &value, &err),
           QN_EPLUGIN);
    T_OK(strstr(err.text, "out of time") != NULL);
    T_ROW("cancelled");
    atomic_bool gone = true;
    const qn_deadline left = {.cancelled = &gone};
    limits = (qn_cava_limits){.deadline = &left};
    T_EQ_I(cava_run("class T { static int run() { for (;;) ; } }", "static int run()",
                    &limits, &value, &err),
           QN_ECANCELLED);
}

/* ---- sources ---------------------------------------------------------------------------- */

static void repeat(qn_buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) qn_buf_add_str(b, text);
}

static qn_status compile(const qn_buf *b, qn_error *err)
{
    const qn_cava_file file = {QN_SLICE_LIT("t.cava"), qn_buf_slice(b)};
    qn_cava_program *p = NULL;
    qn_status st = qn_cava_compile(qn_alloc_heap(), &file, 1, NULL, &p, err);
    qn_cava_program_destroy(p);
    return st;
}

static const struct {
    const char *name, *before, *open, *middle, *close, *after;
    size_t n;
    qn_status st;
} sources[] = {
    {"parentheses at the limit", "class T { int f() { return ", "(", "1", ")", "; } }",
     60, QN_OK},
    {"parentheses", "class T { int f() { return ", "(", "1", ")", "; } }", 4000,
     QN_EPLUGINCODE},
    {"blocks", "class T { void f() ", "{", "", "}", "}", 4000, QN_EPLUGINCODE},
    {"ifs", "class T { void f() { ", "if (true) ", ";", "", "} }", 900, QN_EPLUGINCODE},
    {"minuses", "class T { int f() { return ", "- ", "1", "", "; } }", 4000,
     QN_EPLUGINCODE},
    {"casts", "class T { int f() { return ", "(int)", "1", "", "; } }", 1500,
     QN_EPLUGINCODE},
    {"sums", "class T { int f(int a) { return a", "+a", "", "", "; } }", 4000,
     QN_EPLUGINCODE},
    {"choices", "class T { int f(boolean b) { return ", "b?1:", "1", "", "; } }", 2000,
     QN_EPLUGINCODE},
    {"choices to the left", "class T { int f(boolean b) { return ", "b?", "1", ":2",
     "; } }", 40, QN_OK},
    {"calls of calls", "class T { int f(int a) { return ", "f(", "1", ")", "; } }",
     3000, QN_EPLUGINCODE},
    {"dots", "class T { T t; T f() { return t", ".t", "", "", "; } }", 4000,
     QN_EPLUGINCODE},
    {"indexes", "class T { int f(int[] a) { return ", "a[", "0", "]", "; } }", 3000,
     QN_EPLUGINCODE},
    {"array types", "class T { int", "[]", " a", "", "; }", 4000, QN_OK},
    {"assignments", "class T { void f(int a) { ", "a=", "1", "", "; } }", 4000,
     QN_EPLUGINCODE},
    {"lists", "class T { int[] a = ", "{", "", "}", "; }", 4000, QN_EPLUGINCODE},
    {"only braces", "", "{", "", "", "", 9000, QN_EPLUGINCODE},
    {"only closing ones", "", "}", "", "", "", 9000, QN_EPLUGINCODE},
    {"only quotes", "", "\"", "", "", "", 9000, QN_EPLUGINCODE},
    {"comment", "", "/*", "", "", "", 4000, QN_EPLUGINCODE},
    {"too long", "class T { } //", "x", "", "", "", 10240, QN_ELIMIT},
};

static void test_sources(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        qn_buf b;
        qn_error err = {0};
        T_ROW(sources[i].name);
        qn_buf_init(&b, qn_alloc_heap());
        qn_buf_add_str(&b, sources[i].before);
        repeat(&b, sources[i].open, sources[i].n);
        qn_buf_add_str(&b, sources[i].middle);
        repeat(&b, sources[i].close, sources[i].n);
        qn_buf_add_str(&b, sources[i].after);
        qn_status st = compile(&b, &err);
        if (st != sources[i].st && err.code != 0) print_error("%s\n", err.text);
        T_EQ_I(st, sources[i].st);
        qn_buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hostile),
                                       cmocka_unit_test(test_budget),
                                       cmocka_unit_test(test_sources)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
