/* SPDX-License-Identifier: Apache-2.0 */
/* The language of plug-ins: what a JVM answers for the same programs; what Java does not
 * have; what is refused, and where. */
#include "cava_test.h"

/* ---- the same as Java ------------------------------------------------------------------- */

typedef struct java_case {
    char name[96], kind[16];
    qn_buf classes, members, body;
} java_case;

static void begin_case(java_case *c, qn_slice line)
{
    qn_slice name = {line.p + 3, line.n - 3};
    size_t colon = name.n;
    while (name.p[colon - 1] != ':') colon--;
    (void)snprintf(c->name, sizeof c->name, "%.*s", (int)colon - 1, name.p);
    (void)snprintf(c->kind, sizeof c->kind, "%.*s", (int)(name.n - colon - 1),
                   name.p + colon + 1);
    qn_buf_reset(&c->classes);
    qn_buf_reset(&c->members);
    qn_buf_reset(&c->body);
}

static void show(const java_case *c, qn_status st, qn_cava_slot value,
                 const qn_error *err, char *out, size_t size)
{
    bool real = strcmp(c->kind, "double") == 0 || strcmp(c->kind, "float") == 0;
    if (st != QN_OK)
        (void)snprintf(out, size, "error: %s", err->text);
    else if (real && value.d != value.d)
        (void)snprintf(out, size, "nan");
    else if (real)
        (void)snprintf(out, size, "%016llx", (unsigned long long)value.i);
    else if (strcmp(c->kind, "boolean") == 0)
        (void)snprintf(out, size, "%s", value.i != 0 ? "true" : "false");
    else
        (void)snprintf(out, size, "%lld", (long long)value.i);
}

static qn_slice wanted(qn_slice results, const char *name)
{
    size_t n = strlen(name);
    for (qn_slice line; cava_line(&results, &line);)
        if (line.n > n && memcmp(line.p, name, n) == 0 && line.p[n] == '\t')
            return (qn_slice){line.p + n + 1, line.n - n - 1};
    T_FAIL("no result of %s", name);
    return results;
}

static void run_case(const java_case *c, qn_slice results)
{
    char source[8192], signature[64], got[600];
    qn_error err = {0};
    qn_cava_slot value = {.i = 0};
    (void)snprintf(source, sizeof source,
                   "%.*s\nclass T {\n%.*s static %s run() {\n%.*s}}\n",
                   QN_SLICE_ARG(qn_buf_slice(&c->classes)),
                   QN_SLICE_ARG(qn_buf_slice(&c->members)), c->kind,
                   QN_SLICE_ARG(qn_buf_slice(&c->body)));
    (void)snprintf(signature, sizeof signature, "static %s run()", c->kind);
    T_ROW(c->name);
    qn_status st = cava_run(source, signature, NULL, &value, &err);
    show(c, st, value, &err, got, sizeof got);
    qn_slice want = wanted(results, c->name);
    if (qn_slice_starts_with(want, "error ")) {
        char text[64];
        (void)snprintf(text, sizeof text, "%.*s", (int)want.n - 6, want.p + 6);
        if (st != QN_EPLUGIN || strstr(got, text) == NULL)
            T_FAIL("got %s, want an error: %s\n%s", got, text, source);
    } else if (!qn_slice_eq_str(want, got)) {
        T_FAIL("got %s, want %.*s\n%s", got, QN_SLICE_ARG(want), source);
    }
}

static void test_java(void **state)
{
    (void)state;
    char *cases_text = cava_golden("java_cases.txt"), *text = cases_text;
    char *results = cava_golden("java_results.tsv");
    qn_slice rest = qn_slice_of(text), line;
    java_case c = {.name = ""};
    size_t n = 0;
    qn_buf_init(&c.classes, qn_alloc_heap());
    qn_buf_init(&c.members, qn_alloc_heap());
    qn_buf_init(&c.body, qn_alloc_heap());
    while (cava_line(&rest, &line)) {
        if (qn_slice_starts_with(line, "== ")) {
            if (c.name[0] != '\0') run_case(&c, qn_slice_of(results));
            n += 1;
            begin_case(&c, line);
            continue;
        }
        qn_buf *to = qn_slice_starts_with(line, "class ")    ? &c.classes
                     : qn_slice_starts_with(line, "static ") ? &c.members
                                                             : &c.body;
        qn_buf_add_slice(to, line);
        qn_buf_add_char(to, '\n');
    }
    run_case(&c, qn_slice_of(results));
    T_OK(n >= 200);
    qn_buf_deinit(&c.classes);
    qn_buf_deinit(&c.members);
    qn_buf_deinit(&c.body);
    qn_delete(qn_alloc_heap(), cases_text);
    qn_delete(qn_alloc_heap(), results);
}

/* ---- not Java --------------------------------------------------------------------------- */

static const struct {
    const char *name, *body; /* of `static double run()` */
    double want;
} own_rows[] = {
    {"double to float", "float f = 0.1; return f;", (double)0.1f},
    {"double argument to float", "return Time.timeliness(-1) + Math.abs(-2.5);", 2.5},
    {"unsigned wraps", "uint a = 0; a -= 1; return a;", 4294967295.0},
    {"unsigned shift", "uint a = (uint)-8; return a >> 28;", 15},
    {"unsigned byte", "ubyte a = 250; a += 10; return a;", 4},
    {"unsigned division", "ulong a = (ulong)-1; return a / (ulong)2;",
     9223372036854775807.0},
    {"unsigned compare", "ulong a = (ulong)-1; return a > (ulong)1 ? 1 : 2;", 1},
    {"int by uint", "int a = 3; uint b = (uint)4; return a * b;", 12},
    {"local is zero", "int a; double d; CString s; return s == null ? a + d : 1;", 0},
    {"length of a string", "CString s = \"h\\u00e9llo\"; return s.length();", 6},
    {"equals",
     "CString s = \"ab\"; return s.equals(\"ab\") && !s.equals(null) ? 1 : 0;", 1},
    {"ignore case", "return \"aBc\".equalsIgnoreCase(\"AbC\") ? 1 : 0;", 1},
    {"compareTo", "return \"abc\".compareTo(\"abd\") * 10 + \"b\".compareTo(\"a\");",
     -9},
    {"starts ends",
     "return (\"abcab\".startsWith(\"ca\", 2) ? 1 : 0) + (\"abcab\".endsWith(\"ab\") ? "
     "2 : 0);",
     3},
    {"indexOf",
     "return \"abcabc\".indexOf(\"c\") * 100 + \"abcabc\".indexOf(\"c\", 3) * 10 + "
     "\"abc\".indexOf(\"x\");",
     249},
    {"lastIndexOf",
     "return \"abcabc\".lastIndexOf(\"b\") * 10 + \"abcabc\".lastIndexOf(\"b\", 3);",
     41},
    {"substring",
     "return \"abcdef\".substring(2, 4).equals(\"cd\") && "
     "\"abc\".substring(3).isEmpty() ? 1 : 0;",
     1},
    {"split",
     "CString[] a = \"a,b,,c\".split(\",\"); return a.length * 10 + a[3].length();",
     41},
    {"split with limit",
     "CString[] a = \"a,b,c\".split(\",\", 2); return a[1].equals(\"b,c\") ? a.length "
     ": 0;",
     2},
    {"trim", "return \" \\t ab \\n\".trim().length();", 2},
    {"bytes",
     "byte[] b = {104, 105, 33}; CString s = new CString(b, 0, 2); return "
     "s.equals(\"hi\") ? s.byteAt(1) : 0;",
     105},
    {"getChars",
     "byte[] b = new byte[4]; \"abcdef\".getChars(1, 4, b, 1); return b[0] * 1000 + "
     "b[1] + b[3];",
     98 + 100},
    {"literals are one", "return \"x\" == \"x\" ? 1 : 0;", 1},
    {"geo point",
     "OpsGeoPoint p = new OpsGeoPoint(120.5, 30); return p.getLongitude() * 1000 + "
     "p.getLatitude();",
     120530},
    {"decay",
     "return Util.linearDecay(0, 5, 10, 0.5) * 100 + Util.gaussDecay(0, 0, 1) + "
     "Util.expDecay(0, 1, 1, 0.5);",
     76.5},
    {"normalize", "return Util.normalize(5, 10, 0);", 0.5},
    {"multi-value",
     "MInt32 m = MInt32.create((uint)3); m.set((uint)1, 7); return m.get((uint)1) + "
     "m.size();",
     10},
    {"multi-string",
     "CString[] a = {\"x\", \"yz\"}; return "
     "MString.create(a).get((uint)1).toCString().length();",
     2},
    {"qualified names", "return cava.lang.Math.max(1, 2) + java.lang.Math.min(1, 2);",
     3},
    {"log is natural",
     "return Math.log(1) + Math.ln(1) + Math.log2(8) + Math.log10(1000);", 6},
};

static void test_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof own_rows / sizeof *own_rows; i++) {
        char source[2048];
        qn_error err = {0};
        qn_cava_slot value = {.i = 0};
        T_ROW(own_rows[i].name);
        (void)snprintf(source, sizeof source,
                       "import com.aliyun.opensearch.cava.framework.*;\n"
                       "import com.aliyun.opensearch.cava.features.*; import ha3.*;\n"
                       "class T { static double run() { %s } }",
                       own_rows[i].body);
        T_CALL(cava_run(source, "static double run()", NULL, &value, &err), &err);
        T_NEAR(value.d, own_rows[i].want, 1e-12);
    }
}

/* ---- what is refused -------------------------------------------------------------------- */

static const struct {
    const char *name, *source,
        *want; /* the first line of the report, from the place on */
} error_rows[] = {
    {"static variable", "class A { static int i; }",
     "1.18-1.22 [30001] static variable is not support:i"},
    {"native method", "class A { native int f(); }",
     "1.18-1.24 [30007] not support native method for security reason: f"},
    {"missing semicolon", "class A { int f() { return 1 } }",
     "1.30-1.30 [20001] ';' is expected here"},
    {"no class", "class A { Foo f; }", "1.11-1.13 [30002] no class 'Foo'"},
    {"class to import", "class A { OpsDoc f; }",
     "1.11-1.16 [30002] no class 'OpsDoc'; import "
     "com.aliyun.opensearch.cava.framework.OpsDoc"},
    {"unknown import", "import a.b.C; class A { }",
     "1.8-1.12 [30002] no class 'a.b.C'"},
    {"no variable", "class A { int f() { return x; } }",
     "1.28-1.28 [30002] no variable 'x'"},
    {"no method", "class A { void f() { g(); } }",
     "1.22-1.24 [30002] A has no method 'g'"},
    {"wrong arguments", "class A { void f(int a) { f(true); } }",
     "1.27-1.33 [30005] f(boolean): there is void f(int)"},
    {"cast needed", "class A { int f() { return 1.5; } }",
     "1.28-1.30 [30003] a cast is needed: double where int is expected"},
    {"long to int", "class A { int f(long x) { return x; } }",
     "1.34-1.34 [30003] a cast is needed: long where int is expected"},
    {"byte constant too large", "class A { byte b = 128; }",
     "1.20-1.22 [30003] a cast is needed: int where byte is expected"},
    {"int in a condition", "class A { void f(int x) { if (x) f(1); } }",
     "1.31-1.31 [30003] this is int where boolean is expected"},
    {"boolean arithmetic", "class A { int f() { return true + 1; } }",
     "1.28-1.35 [30003] '+' does not take boolean and int"},
    {"joined strings", "class A { CString f() { return \"a\" + \"b\"; } }",
     "1.32-1.40 [30003] '+' does not take CString and CString: strings cannot be "
     "joined"},
    {"missing return", "class A { int f(int x) { if (x > 1) return 1; } }",
     "1.47-1.47 [30006] f() ends without a return"},
    {"break outside", "class A { void f() { break; } }",
     "1.22-1.27 [30006] 'break' outside of a loop"},
    {"declared twice", "class A { void f() { int a = 1; int a = 2; } }",
     "1.37-1.37 [30004] variable 'a' is declared twice"},
    {"class twice", "class A { } class A { }",
     "1.19-1.19 [30004] class 'A' is declared twice"},
    {"method twice", "class A { void f(int a) { } int f(int b) { return 1; } }",
     "1.29-1.40 [30004] method 'f' with these parameters is declared twice"},
    {"this in static", "class A { int x; static int f() { return this.x; } }",
     "1.42-1.45 [30002] a static method has no 'this'"},
    {"field in static", "class A { int x; static int f() { return x; } }",
     "1.42-1.42 [30002] a static method cannot use the field 'x'"},
    {"instance from static",
     "class A { int g() { return 1; } static int f() { return g(); } }",
     "1.57-1.59 [30002] g() needs an object: it is not static"},
    {"inheritance", "class A extends B { }",
     "1.9-1.15 [20003] 'extends': Cava has no inheritance"},
    {"exceptions", "class A { void f() { try { } } }",
     "1.22-1.24 [20003] 'try': Cava has no exceptions"},
    {"for each", "class A { void f(int[] a) { for (int x : a) f(a); } }",
     "1.40-1.40 [20003] Cava has no for over items: count with an index"},
    {"string not closed", "class A { CString s = \"abc; }",
     "1.23-1.29 [10001] this string does not end on its line"},
    {"int too large", "class A { int x = 2147483649; }",
     "1.19-1.28 [10001] this number does not fit an int: write L after it"},
    {"int needs minus", "class A { int x = 2147483648; }",
     "1.19-1.28 [30003] this number fits only with a minus in front of it"},
    {"character of no meaning", "class A { int x = 1 # 2; }",
     "1.21-1.21 [10001] '#' has no meaning here"},
    {"not a statement", "class A { void f(int a) { a + 1; } }",
     "1.27-1.31 [20001] a statement is an assignment, a call, ++ or --"},
    {"assign to a call", "class A { int f() { f() = 1; return 1; } }",
     "1.21-1.23 [20001] this is nothing that a value can be assigned to"},
    {"void value", "class A { void g() { } int f() { return g(); } }",
     "1.41-1.43 [30003] this is void where int is expected"},
    {"index of no array", "class A { int f(int a) { return a[0]; } }",
     "1.33-1.36 [30003] int is no array"},
    {"duplicate case", "class A { void f(int a) { switch (a) { case 1: case 1: } } }",
     "1.48-1.51 [30004] this case is there twice"},
    {"ambiguous",
     "class A { void f(int a, long b) { } void f(long a, int b) { } void g() { f(1, "
     "1); } }",
     "1.74-1.80 [30005] f(int, int) could be several methods"},
    {"no constructor", "class A { A(int x) { } A f() { return new A(); } }",
     "1.39-1.45 [30005] A(): there is A(int)"},
    {"native class",
     "import ha3.*; class A { void f() { MatchDoc d = new MatchDoc(); } }",
     "1.49-1.62 [30002] MatchDoc has no constructor: it is given or made by create()"},
    {"generics", "class A { List<A> x; }",
     "1.15-1.15 [20003] Cava has no generic types"},
    {"second line", "class A {\n  int f() {\n    return y;\n  }\n}",
     "3.12-3.12 [30002] no variable 'y'"},
    {"end of file", "class A { void f() { ",
     "1.22-1.22 [20001] '}' is expected, the file ends here"},
};

static void test_errors(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof error_rows / sizeof *error_rows; i++) {
        qn_cava_file file = {QN_SLICE_LIT("a.cava"), qn_slice_of(error_rows[i].source)};
        qn_cava_report report;
        qn_cava_program *p = NULL;
        qn_error err = {0};
        qn_buf text;
        char want[300];
        T_ROW(error_rows[i].name);
        qn_buf_init(&text, qn_alloc_heap());
        qn_status st = qn_cava_compile(qn_alloc_heap(), &file, 1, &report, &p, &err);
        T_EQ_I(st, QN_EPLUGINCODE);
        qn_cava_report_print(&report, &file, &text);
        (void)snprintf(want, sizeof want, "a.cava:%s\n", error_rows[i].want);
        if (strncmp(text.p, want, strlen(want)) != 0) {
            print_error("row '%s': got %swant %s", qn_test_row, text.p, want);
            wrong++;
        }
        qn_buf_deinit(&text);
    }
    T_EQ_I(wrong, 0);
}

/* Several at once, each with its line and caret. */
static void test_report(void **state)
{
    (void)state;
    static const char source[] = "class A {\n"
                                 "  int f() { return x + ; }\n"
                                 "  void g( { }\n"
                                 "  int h() { int a = 5 5; return a; }\n"
                                 "}\n";
    static const char want[] =
        "a.cava:2.24-2.24 [20001] an expression is expected here\n"
        "      int f() { return x + ; }\n"
        "                           ^\n"
        "a.cava:3.11-3.11 [20001] a type is expected here\n"
        "      void g( { }\n"
        "              ^\n"
        "a.cava:4.23-4.23 [20001] ';' is expected here\n"
        "      int h() { int a = 5 5; return a; }\n"
        "                          ^\n";
    static const char second[] = "class A {\n"
                                 "  int f() { return left + right; }\n"
                                 "  int g() { boolean b = 1; return \"a\"; }\n"
                                 "}\n";
    static const char want_second[] =
        "a.cava:2.20-2.23 [30002] no variable 'left'\n"
        "      int f() { return left + right; }\n"
        "                       ^~~~\n"
        "a.cava:2.27-2.31 [30002] no variable 'right'\n"
        "      int f() { return left + right; }\n"
        "                              ^~~~~\n"
        "a.cava:3.25-3.25 [30003] this is int where boolean is expected\n"
        "      int g() { boolean b = 1; return \"a\"; }\n"
        "                            ^\n"
        "a.cava:3.35-3.37 [30003] this is CString where int is expected\n"
        "      int g() { boolean b = 1; return \"a\"; }\n"
        "                                      ^~~\n";
    const char *sources[] = {source, second}, *wants[] = {want, want_second};
    for (int i = 0; i < 2; i++) {
        qn_cava_file file = {QN_SLICE_LIT("a.cava"), qn_slice_of(sources[i])};
        qn_cava_report report;
        qn_cava_program *p = NULL;
        qn_error err = {0};
        qn_buf text;
        qn_buf_init(&text, qn_alloc_heap());
        T_EQ_I(qn_cava_compile(qn_alloc_heap(), &file, 1, &report, &p, &err),
               QN_EPLUGINCODE);
        qn_cava_report_print(&report, &file, &text);
        T_EQ_S(text.p, wants[i]);
        qn_buf_deinit(&text);
    }
}

static void test_files(void **state)
{
    (void)state;
    const qn_cava_file files[] = {
        {QN_SLICE_LIT("one.cava"),
         QN_SLICE_LIT(
             "package a.b; class One { static int f() { return Two.g() + 1; } };")},
        {QN_SLICE_LIT("two.cava"),
         QN_SLICE_LIT(
             "package a.b;\nclass Two { static int g() { int z = 0; return 1 / z; } "
             "}")},
    };
    qn_cava_program *p = NULL;
    qn_cava_run *run = NULL;
    qn_cava_slot value;
    qn_error err = {0};
    T_ROW("two files");
    T_CALL(qn_cava_compile(qn_alloc_heap(), files, 2, NULL, &p, &err), &err);
    size_t f = qn_cava_find(p, QN_SLICE_LIT("a.b.One"), "static int f()");
    T_OK(f != SIZE_MAX);
    T_OK(qn_cava_find(p, QN_SLICE_LIT("a.b.One"), "int f()") == SIZE_MAX);
    T_OK(qn_cava_find(p, QN_SLICE_LIT("One"), "static int f()") == SIZE_MAX);
    T_CALL(qn_cava_run_create(qn_alloc_heap(), p, NULL, NULL, &run, &err), &err);
    T_EQ_I(qn_cava_run_call(run, f, NULL, 0, &value, &err), QN_EPLUGIN);
    T_EQ_S(err.text, "two.cava:2: division by zero (in g)");
    /* A run that failed is not run again. */
    T_EQ_I(qn_cava_run_call(run, f, NULL, 0, &value, &err), QN_EPLUGIN);
    T_OK(strstr(err.text, "failed before") != NULL);
    qn_cava_run_destroy(run);
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    qn_cava_program_dump(p, &text);
    T_OK(strstr(text.p, "class a.b.Two") != NULL && strstr(text.p, "DIV_I") != NULL);
    qn_buf_deinit(&text);
    qn_cava_program_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_java),   cmocka_unit_test(test_own),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_report),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
