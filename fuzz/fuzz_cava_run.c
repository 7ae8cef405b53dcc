/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes choose the productions of a grammar, so that most inputs are programs that run:
 * loops, arrays, objects, strings, calls. Each ends within its limits. An expression over
 * literals (folded while compiling) has the value of the same one over variables (computed
 * by the machine), bit for bit. */
#include "expr/cava/cava.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const uint8_t *p, *limit;
    qn_buf a, b; /* the program over variables, and over literals */
    unsigned depth;
} input;

static unsigned next(input *in, unsigned n)
{
    return in->p < in->limit ? *in->p++ % n : 0;
}

static void add(input *in, const char *text)
{
    qn_buf_add_str(&in->a, text);
    qn_buf_add_str(&in->b, text);
}

static void add_two(input *in, const char *variable, const char *literal)
{
    qn_buf_add_str(&in->a, variable);
    qn_buf_add_str(&in->b, literal);
}

/* ---- expressions ------------------------------------------------------------------------ */

static const char *const leaves[][2] = {
    {"i", "7"},
    {"j", "(-2147483648)"},
    {"m", "9223372036854775807L"},
    {"n", "(-3L)"},
    {"x", "2.5"},
    {"y", "(-0.0)"},
    {"f", "0.1f"},
    {"b", "((byte)-128)"},
    {"s", "((short)300)"},
    {"c", "'\\uffff'"},
    {"z", "0"},
    {"w", "1e300"},
    {"u", "((uint)-1)"},
    {"v", "((ulong)-2)"},
    {"o", "1"},
};

static void expression(input *in);

static void operand(input *in)
{
    if (in->depth > 6 || next(in, 3) == 0) {
        unsigned k = next(in, sizeof leaves / sizeof *leaves);
        add_two(in, leaves[k][0], leaves[k][1]);
        return;
    }
    add(in, "(");
    expression(in);
    add(in, ")");
}

static void expression(input *in)
{
    static const char *const binary[] = {"+", "-", "*",  "/",  "%",  "&",
                                         "|", "^", "<<", ">>", ">>>"};
    static const char *const casts[] = {"(int)",   "(long)",  "(byte)",   "(short)",
                                        "(char)",  "(float)", "(double)", "(uint)",
                                        "(ulong)", "(ubyte)", "(ushort)"};
    static const char *const tests[] = {"<", "<=", ">", ">=", "==", "!="};
    in->depth++;
    switch (next(in, 6)) {
    case 0:
        add(in, casts[next(in, 11)]);
        operand(in);
        break;
    case 1:
        add(in, next(in, 2) == 0 ? "-" : "~");
        operand(in);
        break;
    case 2:
        operand(in);
        add(in, tests[next(in, 6)]);
        operand(in);
        add(in, "?");
        operand(in);
        add(in, ":");
        operand(in);
        break;
    default:
        operand(in);
        add(in, binary[next(in, 11)]);
        operand(in);
    }
    in->depth--;
}

/* ---- statements ------------------------------------------------------------------------- */

static void statement(input *in)
{
    static const char *const simple[] = {
        "i++; ",
        "j -= i; ",
        "m *= n; ",
        "x += f; ",
        "b++; ",
        "c += i; ",
        "s <<= 3; ",
        "a[i & 7] = j; ",
        "i = a[(i >>> 1) % a.length]; ",
        "k.v = i; ",
        "k = k.next; ",
        "k = new K(k); ",
        "t = t.substring(0, t.length() / 2); ",
        "i = g(i, j & 3); ",
        "p = t.split(\",\"); ",
        "t = p[p.length - 1]; ",
        "u >>= 1; ",
        "v /= (ulong)3; ",
        "a = new int[i & 1023]; ",
        "x = Math.sqrt(x) + Math.max(i, m); ",
        "z = i / z; ",
        "h[i & 3] = a; ",
        "a = h[j & 3]; ",
        "i += t.indexOf(\"b\"); ",
        "k = null; ",
    };
    if (in->depth > 5) return;
    in->depth++;
    switch (next(in, 8)) {
    case 0:
        add(in, "for (int q = 0; q < (i & 15); q++) { ");
        statement(in);
        statement(in);
        add(in, "} ");
        break;
    case 1:
        add(in, "if (i > j && !(x < y) || b != 0) { ");
        statement(in);
        add(in, "} else { ");
        statement(in);
        add(in, "} ");
        break;
    case 2:
        add(in, "while (i-- > 0) { ");
        statement(in);
        add(in,
            next(in, 2) == 0 ? "if (i == 5) break; } " : "if (i == 3) continue; } ");
        break;
    case 3:
        add(in, "switch (i & 3) { case 0: ");
        statement(in);
        add(in, "case 1: ");
        statement(in);
        add(in, "break; default: ");
        statement(in);
        add(in, "} ");
        break;
    default:
        add(in, simple[next(in, sizeof simple / sizeof *simple)]);
    }
    in->depth--;
}

/* ---- running ---------------------------------------------------------------------------- */

static qn_cava_program *compile(const qn_buf *text)
{
    const qn_cava_file file = {QN_SLICE_LIT("f.cava"), qn_buf_slice(text)};
    qn_cava_program *p = NULL;
    qn_error err = {0};
    qn_status st = qn_cava_compile(qn_alloc_heap(), &file, 1, NULL, &p, &err);
    qn_assert(st == QN_OK || st == QN_EPLUGINCODE || st == QN_ELIMIT);
    return p;
}

static qn_status run(const qn_cava_program *p, const char *signature, qn_cava_slot *out)
{
    const qn_cava_limits limits = {.heap_bytes = 1 << 16, .fuel = 5000};
    qn_cava_run *r = NULL;
    qn_error err = {0};
    size_t m = qn_cava_find(p, QN_SLICE_LIT("T"), signature);
    qn_assert(m != SIZE_MAX);
    qn_assert(qn_cava_run_create(qn_alloc_heap(), p, NULL, &limits, &r, &err) == QN_OK);
    qn_status st = qn_cava_run_call(r, m, NULL, 0, out, &err);
    qn_assert(st == QN_OK || (st == QN_EPLUGIN && err.text[0] != '\0'));
    qn_assert(qn_cava_run_usage(r).heap_bytes <= limits.heap_bytes);
    qn_cava_run_destroy(r);
    return st;
}

static const char head[] =
    "class K { int v; K next; K(K n) { next = n; v = 1; } }\n"
    "class T {\n"
    "static int g(int n, int d) { if (d <= 0) return n; return g(n + 1, d - 1) ^ d; }\n"
    "static double f() {\n"
    "int i = 7; int j = -2147483648; long m = 9223372036854775807L; long n = -3L; "
    "double x = 2.5; double y = -0.0; float f = 0.1f; byte b = -128; short s = 300; "
    "char c = '\\uffff'; int z = 0; double w = 1e300; uint u = (uint)-1; "
    "ulong v = (ulong)-2; int o = 1; int[] a = {1, 2, 3, 4, 5, 6, 7, 8}; "
    "int[][] h = {a, a, null, a}; K k = new K(null); CString t = \"a,b,cc\"; "
    "CString[] p = t.split(\",\");\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {.p = data, .limit = data + size};
    qn_cava_slot x = {.i = 0}, y = {.i = 0};
    qn_buf_init(&in.a, qn_alloc_heap());
    qn_buf_init(&in.b, qn_alloc_heap());
    bool statements = next(&in, 2) == 0;
    add(&in, head);
    if (statements) {
        for (unsigned i = 0; i < 12 && in.p < in.limit; i++) statement(&in);
        add(&in, "return x + i + m + b + s + c + u; } }\n");
    } else {
        add(&in, "return ");
        expression(&in);
        add(&in, "; } }\n");
    }
    qn_cava_program *a = compile(&in.a), *b = statements ? NULL : compile(&in.b);
    if (a != NULL) {
        qn_status st = run(a, "static double f()", &x);
        if (b != NULL) {
            qn_assert(run(b, "static double f()", &y) == st);
            /* Of NaN only that it is one. */
            if (st == QN_OK) qn_assert(x.i == y.i || (x.d != x.d && y.d != y.d));
        }
    }
    qn_cava_program_destroy(a);
    qn_cava_program_destroy(b);
    qn_buf_deinit(&in.a);
    qn_buf_deinit(&in.b);
    return 0;
}
