/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int qn_slice_compare(qn_slice a, qn_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (order != 0) return order;
    return (a.n > b.n) - (a.n < b.n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

qn_slice qn_slice_trim(qn_slice s)
{
    while (s.n > 0 && is_blank(s.p[0])) s.p++, s.n--;
    while (s.n > 0 && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

bool qn_slice_starts_with(qn_slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

bool qn_slice_ends_with(qn_slice s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool qn_slice_eq_nocase(qn_slice a, const char *b)
{
    size_t n = strlen(b);
    if (a.n != n) return false;
    for (size_t i = 0; i < n; i++)
        if (lower(a.p[i]) != lower(b[i])) return false;
    return true;
}

bool qn_slice_to_i64(qn_slice s, int64_t *out)
{
    size_t i = 0;
    bool negative = false;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) negative = s.p[i++] == '-';
    if (i == s.n) return false;
    uint64_t value = 0,
             limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (value > (limit - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* Only what a decimal number is made of: strtod would also take hex, "inf", "nan". */
static bool looks_decimal(qn_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr("0123456789+-.eE", s.p[i]) == NULL || s.p[i] == '\0') return false;
    return s.n > 0 && s.n < 400;
}

bool qn_slice_to_f64(qn_slice s, double *out)
{
    char text[400];
    if (!looks_decimal(s)) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *end = NULL;
    double value = strtod(text, &end); /* the C locale: nobody calls setlocale() */
    if (end != text + s.n || !isfinite(value)) return false;
    *out = value;
    return true;
}

void qn_buf_init(qn_buf *b, qn_alloc *alloc)
{
    *b = (qn_buf){.alloc = alloc};
}

void qn_buf_deinit(qn_buf *b)
{
    if (b->alloc != NULL) qn_delete(b->alloc, b->p);
    *b = (qn_buf){.alloc = b->alloc};
}

void qn_buf_reset(qn_buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p != NULL) b->p[0] = '\0';
}

char *qn_buf_reserve(qn_buf *b, size_t n)
{
    if (b->failed) return NULL;
    if (n >= SIZE_MAX / 4 || b->n >= SIZE_MAX / 4) {
        b->failed = true;
        return NULL;
    }
    size_t need = b->n + n + 1;
    if (need > b->capacity) {
        size_t capacity = b->capacity < 64 ? 64 : b->capacity * 2;
        if (capacity < need) capacity = need;
        char *grown = qn_resize(b->alloc, b->p, capacity);
        if (grown == NULL) {
            b->failed = true;
            return NULL;
        }
        b->p = grown;
        b->capacity = capacity;
    }
    return b->p + b->n;
}

void qn_buf_add(qn_buf *b, const void *bytes, size_t n)
{
    char *room = qn_buf_reserve(b, n);
    if (room == NULL) return;
    if (n > 0) memcpy(room, bytes, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void qn_buf_add_str(qn_buf *b, const char *zero_terminated)
{
    qn_buf_add(b, zero_terminated, strlen(zero_terminated));
}

void qn_buf_add_slice(qn_buf *b, qn_slice s)
{
    qn_buf_add(b, s.p, s.n);
}

void qn_buf_add_char(qn_buf *b, char c)
{
    qn_buf_add(b, &c, 1);
}

void qn_buf_printf(qn_buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *room = n < 0 ? NULL : qn_buf_reserve(b, (size_t)n);
    if (room != NULL) {
        (void)vsnprintf(room, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

char *qn_buf_take(qn_buf *b, size_t *n)
{
    char *p = b->failed ? NULL : b->p;
    if (n != NULL) *n = p == NULL ? 0 : b->n;
    if (p == NULL) qn_buf_deinit(b);
    qn_alloc *alloc = b->alloc;
    *b = (qn_buf){.alloc = alloc};
    return p;
}

bool qn_slice_to_ms(qn_slice s, int64_t *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {
        {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5},
    };
    const double most = 365 * 864e5;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double n;
        if (!qn_slice_ends_with(s, units[i].unit)) continue;
        qn_slice number = {s.p, s.n - strlen(units[i].unit)};
        if (!qn_slice_to_f64(number, &n) || !(n >= 0)) continue;
        n *= units[i].ms;
        *ms = n > most ? (int64_t)most : n > 0 && n < 1 ? 1 : (int64_t)n;
        return true;
    }
    return false;
}
