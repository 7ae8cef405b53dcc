/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/when.h"

#include <stdio.h>

/* Days since 1970-01-01 of a civil date, by Howard Hinnant's algorithm: years begin in
 * March, so the leap day is the last of its year. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year =
        (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + day_of_era - 719468;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30,
                                         31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

typedef struct reader {
    const char *p, *end;
} reader;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly `digits` digits. */
static bool number(reader *r, size_t digits, unsigned *out)
{
    if ((size_t)(r->end - r->p) < digits) return false;
    unsigned v = 0;
    for (size_t i = 0; i < digits; i++) {
        if (!is_digit(r->p[i])) return false;
        v = v * 10 + (unsigned)(r->p[i] - '0');
    }
    r->p += digits;
    *out = v;
    return true;
}

static bool take(reader *r, char c)
{
    if (r->p == r->end || *r->p != c) return false;
    r->p++;
    return true;
}

/* ".123456": kept to milliseconds. */
static bool fraction(reader *r, unsigned *ms)
{
    if (r->p == r->end || !is_digit(*r->p)) return false;
    unsigned scale = 100;
    for (unsigned n = 0; r->p < r->end && is_digit(*r->p); r->p++, n++) {
        if (n >= 9) return false;
        *ms += (unsigned)(*r->p - '0') * scale;
        scale /= 10;
    }
    return true;
}

static bool zone(reader *r, int64_t *minutes)
{
    if (take(r, 'Z')) return true;
    int64_t sign = take(r, '+') ? 1 : take(r, '-') ? -1 : 0;
    unsigned h = 0, m = 0;
    if (sign == 0 || !number(r, 2, &h)) return false;
    if (take(r, ':') || (r->p < r->end && is_digit(*r->p))) {
        if (!number(r, 2, &m)) return false;
    }
    if (h > 18 || m > 59) return false;
    *minutes = sign * ((int64_t)h * 60 + m);
    return true;
}

static bool clock_time(reader *r, int64_t *ms)
{
    unsigned h = 0, m = 0, s = 0, f = 0;
    int64_t offset = 0;
    if (!number(r, 2, &h)) return false;
    if (take(r, ':')) {
        if (!number(r, 2, &m)) return false;
        if (take(r, ':')) {
            if (!number(r, 2, &s)) return false;
            if ((take(r, '.') || take(r, ',')) && !fraction(r, &f)) return false;
        }
    }
    if (h > 23 || m > 59 || s > 59) return false;
    if (r->p < r->end && !zone(r, &offset)) return false;
    *ms = ((((int64_t)h * 60 + m) - offset) * 60 + s) * 1000 + f;
    return true;
}

static bool civil(reader *r, int64_t *ms)
{
    unsigned year = 0, month = 1, day = 1;
    int64_t time_ms = 0;
    if (!number(r, 4, &year) || year == 0) return false;
    char dash = r->p < r->end && (*r->p == '-' || *r->p == '/') ? *r->p : 0;
    if (dash != 0) {
        r->p++;
        if (!number(r, 2, &month)) return false;
        if (take(r, dash) && !number(r, 2, &day)) return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    if (r->p < r->end) {
        if (!take(r, 'T') && !take(r, ' ')) return false;
        if (r->p < r->end && !clock_time(r, &time_ms)) return false;
    }
    *ms = days_of(year, month, day) * 86400000 + time_ms;
    return r->p == r->end;
}

bool qn_when_parse(qn_slice text, int64_t *ms)
{
    text = qn_slice_trim(text);
    if (text.n == 0) return false;
    size_t digits = 0;
    while (digits < text.n && is_digit(text.p[digits])) digits++;
    bool sign = text.p[0] == '-' && text.n > 1;
    if ((digits == text.n && digits != 4) || sign) return qn_slice_to_i64(text, ms);
    reader r = {text.p, text.p + text.n};
    return civil(&r, ms);
}

void qn_when_print(int64_t ms, char out[32])
{
    int64_t day = ms / 86400000, rest = ms % 86400000;
    if (rest < 0) {
        rest += 86400000;
        day--;
    }
    day += 719468;
    int64_t era = (day >= 0 ? day : day - 146096) / 146097;
    int64_t doe = day - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t d = doy - (153 * mp + 2) / 5 + 1;
    int64_t m = mp < 10 ? mp + 3 : mp - 9;
    int64_t y = yoe + era * 400 + (m <= 2);
    (void)snprintf(out, 32, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)y,
                   (int)m, (int)d, (int)(rest / 3600000), (int)(rest / 60000 % 60),
                   (int)(rest / 1000 % 60), (int)(rest % 1000));
}
