/* SPDX-License-Identifier: Apache-2.0 */
#include "query/dates.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t DAY_MS = 86400000;
enum { YEAR_MIN = 1, YEAR_MAX = 9999 };

typedef struct civil {
    int64_t year;
    unsigned month, day; /* 1.. */
    int64_t ms;          /* of the day */
} civil;

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March,
 * so that the leap day is the last one. */
int64_t qn_date_days(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t in_era = year - era * 400;
    int64_t in_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t of_era = in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    return era * 146097 + of_era - 719468;
}

static civil civil_of(int64_t ms)
{
    int64_t days = ms / DAY_MS, rest = ms % DAY_MS;
    if (rest < 0) {
        rest += DAY_MS;
        days--;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t in_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t in_year = of_era - (365 * in_era + in_era / 4 - in_era / 100);
    int64_t m = (5 * in_year + 2) / 153;
    civil c = {in_era + era * 400, (unsigned)(m < 10 ? m + 3 : m - 9),
               (unsigned)(in_year - (153 * m + 2) / 5 + 1), rest};
    c.year += c.month <= 2;
    return c;
}

static unsigned month_days(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30,
                                         31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

static int64_t civil_ms(civil c)
{
    return qn_date_days(c.year, c.month, c.day) * DAY_MS + c.ms;
}

/* ---- reading ------------------------------------------------------------------- */

typedef struct reader {
    const char *p, *end;
} reader;

/* Exactly `digits` digits between `low` and `high`. */
static bool digits(reader *r, int count, int64_t low, int64_t high, int64_t *out)
{
    if (r->end - r->p < count) return false;
    int64_t v = 0;
    for (int i = 0; i < count; i++) {
        char c = r->p[i];
        if (c < '0' || c > '9') return false;
        v = v * 10 + (c - '0');
    }
    if (v < low || v > high) return false;
    r->p += count;
    *out = v;
    return true;
}

static bool skip(reader *r, char c)
{
    if (r->p == r->end || *r->p != c) return false;
    r->p++;
    return true;
}

/* .5 .25 .125000: milliseconds, the rest is cut. `unit`: of the last digit kept. */
static bool fraction(reader *r, int64_t *ms, int64_t *unit)
{
    const char *begin = r->p;
    for (*ms = 0, *unit = 1000; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
        if (r->p - begin >= 9) return false;
        if (*unit == 1) continue;
        *unit /= 10;
        *ms += (*r->p - '0') * *unit;
    }
    return r->p > begin;
}

/* hh[:mm[:ss[.fff]]]; `span` becomes the length of what was named. */
static bool read_time(reader *r, int64_t *ms, int64_t *span)
{
    int64_t v;
    if (!digits(r, 2, 0, 23, &v)) return false;
    *ms = v * 3600000;
    *span = 3600000;
    if (!skip(r, ':')) return true;
    if (!digits(r, 2, 0, 59, &v)) return false;
    *ms += v * 60000;
    *span = 60000;
    if (!skip(r, ':')) return true;
    if (!digits(r, 2, 0, 59, &v)) return false;
    *ms += v * 1000;
    *span = 1000;
    if (!skip(r, '.') && !skip(r, ',')) return true;
    int64_t part;
    if (!fraction(r, &part, span)) return false;
    *ms += part;
    return true;
}

/* Z, +08, +0800, +08:00; nothing is UTC. */
static bool read_zone(reader *r, int64_t *offset_ms)
{
    *offset_ms = 0;
    if (r->p == r->end || skip(r, 'Z')) return true;
    int64_t sign = *r->p == '-' ? -1 : 1, hours, minutes = 0;
    if (!skip(r, '-') && !skip(r, '+')) return false;
    if (!digits(r, 2, 0, 18, &hours)) return false;
    bool colon = skip(r, ':');
    if (!digits(r, 2, 0, 59, &minutes) && colon) return false;
    *offset_ms = sign * (hours * 60 + minutes) * 60000;
    return true;
}

static bool read_iso(reader *r, bool round_up, int64_t *out)
{
    int64_t v, span, offset = 0;
    civil c = {0, 1, 1, 0};
    if (!digits(r, 4, YEAR_MIN, YEAR_MAX, &c.year)) return false;
    bool has_month = skip(r, '-'), has_day = false;
    if (has_month) {
        if (!digits(r, 2, 1, 12, &v)) return false;
        c.month = (unsigned)v;
        has_day = skip(r, '-');
    }
    if (has_day) {
        if (!digits(r, 2, 1, month_days(c.year, c.month), &v)) return false;
        c.day = (unsigned)v;
    }
    if (has_day)
        span = DAY_MS;
    else if (has_month)
        span = (int64_t)month_days(c.year, c.month) * DAY_MS;
    else
        span = (qn_date_days(c.year + 1, 1, 1) - qn_date_days(c.year, 1, 1)) * DAY_MS;
    if (has_day && skip(r, 'T')) {
        if (r->p < r->end && !read_time(r, &c.ms, &span)) return false;
        if (!read_zone(r, &offset)) return false;
    }
    *out = civil_ms(c) - offset + (round_up ? span - 1 : 0);
    return r->p == r->end;
}

/* ---- arithmetic ----------------------------------------------------------------- */

static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 'w':
        return 7 * DAY_MS;
    case 'd':
        return DAY_MS;
    case 'h':
    case 'H':
        return 3600000;
    case 'm':
        return 60000;
    case 's':
        return 1000;
    default:
        return 0; /* y, M: not of one length */
    }
}

static bool in_years(int64_t ms)
{
    return ms >= qn_date_days(YEAR_MIN, 1, 1) * DAY_MS &&
           ms < qn_date_days(YEAR_MAX + 1, 1, 1) * DAY_MS;
}

static bool add_months(int64_t *ms, int64_t months)
{
    civil c = civil_of(*ms);
    int64_t all = c.year * 12 + c.month - 1 + months;
    if (all < YEAR_MIN * 12 || all >= (YEAR_MAX + 1) * 12) return false;
    c.year = all / 12;
    c.month = (unsigned)(all % 12) + 1;
    unsigned last = month_days(c.year, c.month);
    if (c.day > last) c.day = last;
    *ms = civil_ms(c);
    return true;
}

static bool add_units(int64_t *ms, int64_t count, char unit)
{
    if (unit == 'y') return add_months(ms, count * 12);
    if (unit == 'M') return add_months(ms, count);
    int64_t one = unit_ms(unit);
    if (one == 0) return false;
    *ms += count * one;
    return in_years(*ms);
}

/* The first millisecond of the unit that holds *ms, or its last. Weeks begin on
 * Monday. */
static bool round_to(int64_t *ms, char unit, bool up)
{
    civil c = civil_of(*ms);
    if (unit == 'y' || unit == 'M') {
        *ms = civil_ms((civil){c.year, unit == 'y' ? 1 : c.month, 1, 0});
    } else {
        int64_t one = unit_ms(unit);
        if (one == 0) return false;
        int64_t shift = unit == 'w' ? 3 * DAY_MS : 0; /* 1970-01-01 was a Thursday */
        int64_t rest = (*ms + shift) % one;
        *ms -= rest < 0 ? rest + one : rest;
    }
    if (!up) return true;
    if (!add_units(ms, 1, unit)) return false;
    *ms -= 1;
    return true;
}

/* { ("+"|"-") [number] unit | "/" unit } */
static bool arithmetic(reader *r, bool round_up, int64_t *ms)
{
    while (r->p < r->end) {
        char op = *r->p++;
        int64_t count = 0;
        const char *begin = r->p;
        while (r->p < r->end && *r->p >= '0' && *r->p <= '9' && r->p - begin < 7) {
            count = count * 10 + (*r->p++ - '0');
        }
        if (r->p == begin) count = 1;
        if (r->p == r->end) return false;
        char unit = *r->p++;
        if (op == '/') {
            if (r->p - begin != 1 || !round_to(ms, unit, round_up)) return false;
        } else if (op == '+' || op == '-') {
            if (!add_units(ms, op == '-' ? -count : count, unit)) return false;
        } else {
            return false;
        }
    }
    return true;
}

bool qn_date_parse(qn_slice text, int64_t now_ms, bool round_up, int64_t *ms)
{
    reader r = {text.p, text.p + text.n};
    if (qn_slice_starts_with(text, "now")) {
        r.p += 3;
        *ms = now_ms;
        return arithmetic(&r, round_up, ms);
    }
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] != '|' || text.p[i + 1] != '|') continue;
        reader date = {text.p, text.p + i};
        r.p += i + 2;
        return read_iso(&date, false, ms) && arithmetic(&r, round_up, ms);
    }
    /* Four digits are a year; any other whole number is milliseconds. */
    if (text.n != 4 && qn_slice_to_i64(text, ms)) return true;
    return read_iso(&r, round_up, ms);
}

void qn_date_format(int64_t ms, char *out)
{
    civil c = civil_of(ms);
    int n =
        snprintf(out, QN_DATE_TEXT_MAX, "%04" PRId64 "-%02u-%02uT%02d:%02d:%02d.%03dZ",
                 c.year, c.month, c.day, (int)(c.ms / 3600000),
                 (int)(c.ms / 60000 % 60), (int)(c.ms / 1000 % 60), (int)(c.ms % 1000));
    qn_assert(n > 0 && n < QN_DATE_TEXT_MAX);
}
