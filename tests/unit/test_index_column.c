/* SPDX-License-Identifier: Apache-2.0 */
#include "test_index.h"

#include <math.h>

/* Columns of numbers: how wide they are stored, and what comes back. INT64_MIN + 1
 * stands for a document without a value. */
#define NONE (INT64_MIN + 1)
enum { ROW_DOCS = 4 };
static const struct {
    const char *name;
    qn_field_type type;
    int64_t values[ROW_DOCS];
    int bits;
} int_rows[] = {
    {"all equal", QN_FIELD_INT64, {7, 7, 7, 7}, 0},
    {"small range", QN_FIELD_INT64, {1000000, 1000255, 1000001, 1000000}, 8},
    {"nine bits", QN_FIELD_INT32, {-1, 255, 0, 1}, 9},
    {"18 bits", QN_FIELD_INT32, {-100000, 100000, 0, 1}, 18},
    {"two hundreds", QN_FIELD_INT64, {-500, 700, 300, 100}, 3},
    {"whole range", QN_FIELD_INT64, {INT64_MIN, INT64_MAX, 0, -1}, 64},
    {"57 bits are 64", QN_FIELD_INT64, {0, INT64_C(1) << 56, 0, 1}, 64},
    {"56 bits", QN_FIELD_INT64, {0, (INT64_C(1) << 56) - 1, 0, 1}, 56},
    {"some missing", QN_FIELD_INT8, {NONE, 5, NONE, -4}, 1},
    {"most missing", QN_FIELD_INT64, {NONE, NONE, NONE, 9}, 0},
    {"one value", QN_FIELD_BOOL, {NONE, NONE, NONE, 1}, 0},
    {"dates", QN_FIELD_DATE, {0, 1700000000000, NONE, 5000}, 29},
};

static void check_ints(const qn_column *c, const int64_t *want)
{
    const uint32_t docs[ROW_DOCS] = {0, 1, 2, 3};
    int64_t ints[ROW_DOCS];
    double floats[ROW_DOCS];
    uint64_t missing = ~(uint64_t)0;
    qn_column_get_i64(c, docs, ROW_DOCS, ints, &missing);
    qn_column_get_f64(c, docs, ROW_DOCS, floats, NULL);
    T_OK(missing >> ROW_DOCS == 0);
    for (size_t i = 0; i < ROW_DOCS; i++) {
        bool none = want[i] == NONE;
        T_EQ_I(qn_bitset_has(&missing, i), none);
        T_EQ_I(qn_column_has(c, (uint32_t)i), !none);
        T_EQ_I(ints[i], none ? 0 : want[i]);
        T_OK(floats[i] == (none ? 0.0 : (double)want[i]));
    }
}

void test_column_numbers(void **state)
{
    (void)state;
    qn_error err = {0};
    for (size_t r = 0; r < sizeof int_rows / sizeof *int_rows; r++) {
        T_ROW(int_rows[r].name);
        const qn_field f = {.id = 9, .type = int_rows[r].type, .column = true};
        qn_segment_builder *b = t_builder();
        for (unsigned i = 0; i < ROW_DOCS; i++) {
            t_begin(b, i);
            if (int_rows[r].values[i] != NONE)
                T_CALL(qn_segment_builder_i64(b, &f, int_rows[r].values[i], &err),
                       &err);
        }
        qn_segment *seg = t_image(b);
        qn_column c;
        T_CALL(qn_segment_column(seg, f.id, &c, &err), &err);
        T_OK(c.values.flat);
        T_EQ_I(c.values.bits, int_rows[r].bits);
        T_EQ_I(c.type, f.type);
        check_ints(&c, int_rows[r].values);
        T_EQ_I(qn_segment_column(seg, 77, &c, &err), QN_ENOTFOUND);
        qn_segment_close(seg);
        qn_segment_builder_destroy(b);
    }
}

/* Several values a document, any of them missing, against the list that went in. */
enum { DOCS = 500, VALUES_MAX = 4 };
typedef struct doc_values {
    size_t n;
    double v[VALUES_MAX];
} doc_values;

static void check_random(const qn_column *c, const doc_values *want)
{
    for (uint32_t d = 0; d < DOCS; d++) {
        uint64_t begin = 0, limit = 0;
        qn_column_range(c, d, &begin, &limit);
        T_EQ_I(limit - begin, want[d].n);
        for (size_t i = 0; i < want[d].n; i++)
            T_OK(qn_column_value_f64(c, begin + i) == want[d].v[i]);
        double first = -1;
        uint64_t missing = 0;
        qn_column_get_f64(c, &d, 1, &first, &missing);
        T_EQ_I(missing, want[d].n == 0);
        T_OK(first == (want[d].n == 0 ? 0.0 : want[d].v[0]));
    }
}

void test_column_random(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_field_type type;
        unsigned values_max;
    } rows[] = {
        {"float, single", QN_FIELD_FLOAT, 1},
        {"double, single", QN_FIELD_DOUBLE, 1},
        {"double, several", QN_FIELD_DOUBLE, VALUES_MAX},
        {"long, several", QN_FIELD_INT64, VALUES_MAX},
    };
    qn_error err = {0};
    static doc_values want[DOCS];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        qn_rng rng = {r};
        const qn_field f = {.id = 9, .type = rows[r].type, .column = true};
        qn_segment_builder *b = t_builder();
        double least = INFINITY, most = -INFINITY;
        for (unsigned d = 0; d < DOCS; d++) {
            t_begin(b, d);
            want[d].n = qn_rng_next(&rng) % (rows[r].values_max + 1);
            for (size_t i = 0; i < want[d].n; i++) {
                double v = (double)(int64_t)(qn_rng_next(&rng) % 100000) - 50000;
                if (rows[r].type == QN_FIELD_INT64) {
                    T_CALL(qn_segment_builder_i64(b, &f, (int64_t)v, &err), &err);
                } else {
                    v += 0.1;
                    T_CALL(qn_segment_builder_f64(b, &f, v, &err), &err);
                    if (rows[r].type == QN_FIELD_FLOAT) v = (double)(float)v;
                }
                want[d].v[i] = v;
                if (v < least) least = v;
                if (v > most) most = v;
            }
        }
        qn_segment *seg = t_image(b);
        qn_column c;
        T_CALL(qn_segment_column(seg, f.id, &c, &err), &err);
        T_EQ_I(c.multi, rows[r].values_max > 1);
        T_OK(c.has_missing);
        check_random(&c, want);
        if (rows[r].type == QN_FIELD_INT64) {
            T_EQ_I(c.min.i64, least);
            T_EQ_I(c.max.i64, most);
        } else {
            T_OK(c.min.f64 == least && c.max.f64 == most);
        }
        qn_segment_close(seg);
        qn_segment_builder_destroy(b);
    }
}

void test_column_keywords(void **state)
{
    (void)state;
    /* Document by document; values parted by blanks; "-": the empty value. */
    static const char *const docs[] = {"b a b", "", "c", "- a", "zz"};
    static const char *const dict[] = {"", "a", "b", "c", "zz"};
    static const uint32_t ords[] = {2, 1, 2, 3, 0, 1, 4};
    static const uint32_t firsts[] = {2, QN_ORD_NONE, 3, 0, 4};
    qn_error err = {0};
    qn_segment_builder *b = t_builder();
    for (unsigned d = 0; d < 5; d++) {
        t_begin(b, d);
        for (const char *p = docs[d]; *p != '\0';) {
            size_t n = strcspn(p, " ");
            qn_slice v = {p, *p == '-' ? 0 : n};
            T_CALL(qn_segment_builder_keyword(b, &t_tag, v, &err), &err);
            p += n;
            p += *p == ' ';
        }
    }
    qn_segment *seg = t_image(b);
    qn_column c;
    T_CALL(qn_segment_column(seg, t_tag.id, &c, &err), &err);
    T_EQ_I(c.dict_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        T_ROW(dict[i]);
        T_OK(qn_slice_eq_str(qn_column_bytes(&c, i), dict[i]));
        T_EQ_I(qn_column_find(&c, qn_slice_of(dict[i])), i);
    }
    T_ROW("absent");
    T_EQ_I(qn_column_find(&c, QN_SLICE_LIT("bb")), QN_ORD_NONE);
    T_EQ_I(qn_column_lower_bound(&c, QN_SLICE_LIT("bb")), 3);
    T_EQ_I(qn_column_lower_bound(&c, QN_SLICE_LIT("zzz")), 5);
    T_ROW("values in order of arrival, duplicates kept");
    const uint32_t all[] = {0, 1, 2, 3, 4};
    uint32_t got[5], place = 0;
    qn_column_get_ord(&c, all, 5, got);
    for (uint32_t d = 0; d < 5; d++) {
        uint64_t begin = 0, limit = 0;
        T_EQ_I(got[d], firsts[d]);
        qn_column_range(&c, d, &begin, &limit);
        for (; begin < limit; begin++)
            T_EQ_I(qn_column_value_ord(&c, begin), ords[place++]);
    }
    T_EQ_I(place, 7);
    T_ROW("as terms: once a document");
    qn_term term;
    T_CALL(qn_segment_term(seg, t_tag.id, QN_SLICE_LIT("b"), &term, &err), &err);
    T_EQ_I(term.doc_freq, 1);
    T_EQ_I(term.total_term_freq, 1);
    T_CALL(qn_segment_term(seg, t_tag.id, QN_SLICE_LIT(""), &term, &err), &err);
    T_EQ_I(term.doc_freq, 1);
    T_EQ_I(term.doc, 3);
    T_CALL(qn_segment_term(seg, t_tag.id, QN_SLICE_LIT("a"), &term, &err), &err);
    T_EQ_I(term.doc_freq, 2);
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}
