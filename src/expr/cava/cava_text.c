/* SPDX-License-Identifier: Apache-2.0 */
/* cava_text.c -- CString: bytes (UTF-8), never changed. Parts share the bytes of the
 * whole. Work over bytes costs fuel. */
#include "expr/cava/cava_internal.h"

static qn_status no_memory(const qn_error *err)
{
    return err == NULL ? QN_EPLUGIN : err->code;
}

static qn_status result_string(qn_cava_call *c, qn_slice s, qn_error *err)
{
    c->result.r = qn_cava_new_view(c->run, s, err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static int compare(qn_slice a, qn_slice b, bool nocase)
{
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        int x = nocase ? lower(a.p[i]) : (unsigned char)a.p[i];
        int y = nocase ? lower(b.p[i]) : (unsigned char)b.p[i];
        if (x != y) return x - y;
    }
    return a.n == b.n ? 0 : a.n < b.n ? -(int)(b.n - n) : (int)(a.n - n);
}

static bool at(qn_slice s, int64_t offset, qn_slice part)
{
    return offset >= 0 && (uint64_t)offset <= s.n && part.n <= s.n - (size_t)offset &&
           (part.n == 0 || memcmp(s.p + offset, part.p, part.n) == 0);
}

/* The first place from `from` on; -1: none. */
static int64_t find(qn_slice s, qn_slice part, int64_t from)
{
    if (from < 0) from = 0;
    for (; (uint64_t)from + part.n <= s.n; from++)
        if (at(s, from, part)) return from;
    return -1;
}

static int64_t find_last(qn_slice s, qn_slice part, int64_t from)
{
    if (part.n > s.n) return -1;
    if (from > (int64_t)(s.n - part.n)) from = (int64_t)(s.n - part.n);
    for (; from >= 0; from--)
        if (at(s, from, part)) return from;
    return -1;
}

/* Searching may compare every byte of one with every byte of the other. */
static qn_status charge_search(qn_cava_call *c, qn_slice s, qn_slice part,
                               qn_error *err)
{
    return qn_cava_charge(c->run, (uint64_t)s.n * (part.n + 1), err);
}

static qn_status substring(qn_cava_call *c, qn_slice s, qn_error *err)
{
    int64_t begin = c->args[1].i, end = c->n > 2 ? c->args[2].i : (int64_t)s.n;
    if (begin < 0 || end < begin || end > (int64_t)s.n)
        return qn_fail(err, QN_EPLUGIN, "bytes %lld to %lld of a string of %zu",
                       (long long)begin, (long long)end, s.n);
    return result_string(c, (qn_slice){s.p + begin, (size_t)(end - begin)}, err);
}

/* Parts between separators, empty ones kept; with a limit the last part has the rest. */
static qn_status split(qn_cava_call *c, qn_slice s, qn_slice separator, qn_error *err)
{
    int64_t limit = c->n > 2 ? c->args[2].i : 0;
    uint64_t n = 1;
    if (separator.n == 0) return qn_fail(err, QN_EPLUGIN, "split by an empty string");
    QN_TRY(charge_search(c, s, separator, err));
    for (int64_t i = find(s, separator, 0); i >= 0;
         i = find(s, separator, i + (int64_t)separator.n))
        n++;
    if (limit > 0 && n > (uint64_t)limit) n = (uint64_t)limit;
    qn_cava_object *array = qn_cava_new_array(c->run, c->type, n, err);
    if (array == NULL) return no_memory(err);
    qn_cava_object **items = qn_cava_items(array);
    int64_t begin = 0;
    for (uint64_t i = 0; i < n; i++) {
        int64_t end = i + 1 < n ? find(s, separator, begin) : (int64_t)s.n;
        items[i] = qn_cava_new_view(
            c->run, (qn_slice){s.p + begin, (size_t)(end - begin)}, err);
        if (items[i] == NULL) return no_memory(err);
        begin = end + (int64_t)separator.n;
    }
    c->result.r = array;
    return QN_OK;
}

static qn_status trim(qn_cava_call *c, qn_slice s, qn_error *err)
{
    QN_TRY(qn_cava_charge(c->run, s.n, err));
    while (s.n > 0 && (unsigned char)s.p[0] <= ' ') s.p++, s.n--;
    while (s.n > 0 && (unsigned char)s.p[s.n - 1] <= ' ') s.n--;
    return result_string(c, s, err);
}

/* getChars(begin, end, target, at) and getChars(target, at). */
static qn_status get_chars(qn_cava_call *c, qn_slice s, qn_error *err)
{
    bool whole = c->n == 3;
    int64_t begin = whole ? 0 : c->args[1].i;
    int64_t end = whole ? (int64_t)s.n : c->args[2].i;
    qn_cava_object *target = c->args[whole ? 1 : 3].r;
    int64_t to = c->args[whole ? 2 : 4].i;
    if (target == NULL) return qn_fail(err, QN_EPLUGIN, "null array");
    if (begin < 0 || end < begin || end > (int64_t)s.n || to < 0 ||
        end - begin > (int64_t)target->n - to)
        return qn_fail(err, QN_EPLUGIN,
                       "bytes %lld to %lld of a string of %zu, into an array of %u at "
                       "%lld",
                       (long long)begin, (long long)end, s.n, target->n, (long long)to);
    QN_TRY(qn_cava_charge(c->run, (uint64_t)(end - begin), err));
    if (end > begin)
        memcpy((char *)qn_cava_items(target) + to, s.p + begin, (size_t)(end - begin));
    return QN_OK;
}

static qn_status from_bytes(qn_cava_call *c, qn_error *err)
{
    const qn_cava_object *array = c->args[0].r;
    int64_t offset = c->args[1].i, n = c->args[2].i;
    if (array == NULL) return qn_fail(err, QN_EPLUGIN, "null array");
    if (offset < 0 || n < 0 || n > (int64_t)array->n - offset)
        return qn_fail(err, QN_EPLUGIN, "%lld bytes from %lld of an array of %u",
                       (long long)n, (long long)offset, array->n);
    QN_TRY(qn_cava_charge(c->run, (uint64_t)n, err));
    const char *bytes = qn_cava_items(array);
    c->result.r =
        qn_cava_new_string(c->run, (qn_slice){bytes + offset, (size_t)n}, err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

/* Methods with another string as the first argument. */
static qn_status with_other(qn_cava_call *c, qn_slice s, qn_error *err)
{
    if (c->args[1].r == NULL) {
        /* equals(null) is false, as in Java; the others need a string. */
        c->result.i = 0;
        bool equals = c->id == QN_CAVA_N_LANG_STRING_EQUALS ||
                      c->id == QN_CAVA_N_LANG_STRING_EQUALS_IGNORE_CASE;
        return equals ? QN_OK : qn_fail(err, QN_EPLUGIN, "null string");
    }
    qn_slice other = qn_cava_string(c->args[1].r);
    int64_t third = c->n > 2 ? c->args[2].i : 0;
    bool nocase = c->id == QN_CAVA_N_LANG_STRING_EQUALS_IGNORE_CASE ||
                  c->id == QN_CAVA_N_LANG_STRING_COMPARE_TO_IGNORE_CASE;
    switch (c->id) {
    case QN_CAVA_N_LANG_STRING_EQUALS:
    case QN_CAVA_N_LANG_STRING_EQUALS_IGNORE_CASE:
        QN_TRY(qn_cava_charge(c->run, s.n, err));
        c->result.i = s.n == other.n && compare(s, other, nocase) == 0;
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_COMPARE_TO:
    case QN_CAVA_N_LANG_STRING_COMPARE_TO_IGNORE_CASE:
        QN_TRY(qn_cava_charge(c->run, s.n, err));
        c->result.i = compare(s, other, nocase);
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_STARTS_WITH:
        QN_TRY(qn_cava_charge(c->run, other.n, err));
        c->result.i = at(s, third, other);
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_ENDS_WITH:
        QN_TRY(qn_cava_charge(c->run, other.n, err));
        c->result.i = at(s, (int64_t)s.n - (int64_t)other.n, other);
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_INDEX_OF:
        QN_TRY(charge_search(c, s, other, err));
        c->result.i = find(s, other, third);
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_LAST_INDEX_OF:
        QN_TRY(charge_search(c, s, other, err));
        c->result.i = find_last(s, other, c->n > 2 ? third : (int64_t)s.n);
        return QN_OK;
    default:
        return split(c, s, other, err);
    }
}

qn_status qn_cava__lang_text(qn_cava_call *c, qn_error *err)
{
    if (c->id == QN_CAVA_N_LANG_STRING_BYTES) return from_bytes(c, err);
    if (c->args[0].r == NULL) return qn_fail(err, QN_EPLUGIN, "null string");
    qn_slice s = qn_cava_string(c->args[0].r);
    switch (c->id) {
    case QN_CAVA_N_LANG_STRING_COPY:
        return result_string(c, s, err);
    case QN_CAVA_N_LANG_STRING_LENGTH:
        c->result.i = (int64_t)s.n;
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_IS_EMPTY:
        c->result.i = s.n == 0;
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_BYTE_AT:
        if ((uint64_t)c->args[1].i >= s.n)
            return qn_fail(err, QN_EPLUGIN, "byte %lld of a string of %zu",
                           (long long)c->args[1].i, s.n);
        c->result.i = (int8_t)s.p[c->args[1].i];
        return QN_OK;
    case QN_CAVA_N_LANG_STRING_SUBSTRING:
        return substring(c, s, err);
    case QN_CAVA_N_LANG_STRING_TRIM:
        return trim(c, s, err);
    case QN_CAVA_N_LANG_STRING_GET_CHARS:
        return get_chars(c, s, err);
    default:
        return with_other(c, s, err);
    }
}
